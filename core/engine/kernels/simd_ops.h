/* SPDX-License-Identifier: Apache-2.0 */
/* The operations between products. */
#ifndef PARE_SIMD_OPS_H
#define PARE_SIMD_OPS_H

#include <math.h>
#include <string.h>

#include "engine/kernels/simd_gemm.h"

static void simd_add(const float *x, const float *y, float factor, float *out, size_t n)
{
    size_t i = 0;
    vf f = vf_set1(factor);
    for (; i + VL <= n; i += VL)
        vf_store(out + i, vf_mul(f, vf_add(vf_load(x + i), vf_load(y + i))));
    if (i < n) {
        vm m = vm_first((uint32_t)(n - i));
        vf_store_m(out + i, m, vf_mul(f, vf_add(vf_load_m(x + i, m), vf_load_m(y + i, m))));
    }
}

static void simd_add_vector(const float *x, const float *a, float *out, uint32_t rows,
                            uint32_t width)
{
    for (uint32_t r = 0; r < rows; r++)
        simd_add(x + (size_t)r * width, a, 1.0f, out + (size_t)r * width, width);
}

INLINE vf load_part(const float *x, uint32_t i, uint32_t n)
{
    return i + VL <= n ? vf_load(x + i) : vf_load_m(x + i, vm_first(n - i));
}

INLINE void store_part(float *x, uint32_t i, uint32_t n, vf v)
{
    if (i + VL <= n)
        vf_store(x + i, v);
    else
        vf_store_m(x + i, vm_first(n - i), v);
}

/* Two passes: the variance is that of the centred values, so a large mean costs no digits. */
static void simd_norm(const float *x, const float *gamma, const float *beta, float eps, float *out,
                      uint32_t rows, uint32_t width)
{
    const float share = 1.0f / (float)width;
    for (uint32_t r = 0; r < rows; r++, x += width, out += width) {
        vf sum = vf_zero(), squares = vf_zero();
        for (uint32_t i = 0; i < width; i += VL)
            sum = vf_add(sum, load_part(x, i, width));
        const vf mean = vf_set1(vf_sum(sum) * share);
        uint32_t i = 0;
        for (; i + VL <= width; i += VL) {
            vf d = vf_sub(vf_load(x + i), mean);
            squares = vf_fma(d, d, squares);
        }
        if (i < width) {
            vm m = vm_first(width - i);
            vf d = vf_select(m, vf_sub(vf_load_m(x + i, m), mean), vf_zero());
            squares = vf_fma(d, d, squares);
        }
        const vf inv = vf_set1(1.0f / sqrtf(vf_sum(squares) * share + eps));
        for (i = 0; i < width; i += VL) {
            vf d = vf_mul(vf_sub(load_part(x, i, width), mean), inv);
            store_part(out, i, width,
                       vf_fma(d, load_part(gamma, i, width), load_part(beta, i, width)));
        }
    }
}

static void simd_rms_norm(const float *x, const float *gamma, float eps, float *out, size_t rows,
                          uint32_t width)
{
    for (size_t r = 0; r < rows; r++, x += width, out += width) {
        vf squares = vf_zero();
        for (uint32_t i = 0; i < width; i += VL) {
            vf v = load_part(x, i, width);
            squares = vf_fma(v, v, squares);
        }
        const vf inv = vf_set1(1.0f / sqrtf(vf_sum(squares) / (float)width + eps));
        for (uint32_t i = 0; i < width; i += VL)
            store_part(out, i, width,
                       vf_mul(vf_mul(load_part(x, i, width), inv), load_part(gamma, i, width)));
    }
}

static void simd_mul(const float *x, const float *y, float *out, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vf_store(out + i, vf_mul(vf_load(x + i), vf_load(y + i)));
    if (i < n) {
        vm m = vm_first((uint32_t)(n - i));
        vf_store_m(out + i, m, vf_mul(vf_load_m(x + i, m), vf_load_m(y + i, m)));
    }
}

static void simd_mean(const float *x, float *out, uint32_t rows, uint32_t width)
{
    const vf share = vf_set1(1.0f / (float)rows);
    for (uint32_t i = 0; i < width; i += VL) {
        vf sum = vf_zero();
        for (uint32_t r = 0; r < rows; r++)
            sum = vf_add(sum, load_part(x + (size_t)r * width, i, width));
        store_part(out, i, width, vf_mul(sum, share));
    }
}

static float simd_dot(const float *x, const float *y, size_t n)
{
    vf sum = vf_zero();
    for (uint32_t i = 0; i < n; i += VL)
        sum = vf_fma(load_part(x, i, (uint32_t)n), load_part(y, i, (uint32_t)n), sum);
    return vf_sum(sum);
}

/* e^(scale s + bias - max) over a row, divided by its sum. */
static void softmax_row(float *s, uint32_t n, float scale, const float *bias)
{
    const vf factor = vf_set1(scale);
    vf top = vf_set1(-INFINITY);
    for (uint32_t i = 0; i < n; i += VL) {
        vm m = vm_first(n - i);
        vf v = vf_mul(vf_load_m(s + i, m), factor);
        if (bias)
            v = vf_add(v, vf_load_m(bias + i, m));
        vf_store_m(s + i, m, v);
        top = vf_max(top, vf_select(m, v, vf_set1(-INFINITY)));
    }
    const vf most = vf_set1(vf_highest(top));
    vf sum = vf_zero();
    for (uint32_t i = 0; i < n; i += VL) {
        vm m = vm_first(n - i);
        vf e = vf_exp(vf_sub(vf_load_m(s + i, m), most));
        vf_store_m(s + i, m, e);
        sum = vf_add(sum, vf_select(m, e, vf_zero()));
    }
    const vf inv = vf_set1(1.0f / vf_sum(sum));
    for (uint32_t i = 0; i < n; i += VL) {
        vm m = vm_first(n - i);
        vf_store_m(s + i, m, vf_mul(vf_load_m(s + i, m), inv));
    }
}

/* Columns of a panel of width `width`, rows from memory: b[row][padded] = x[row][0..width). */
static void pack_rows(const float *x, size_t ld, uint32_t rows, uint32_t width, float *b)
{
    uint32_t padded = (width + VL - 1) / VL * VL;
    for (uint32_t r = 0; r < rows; r++, x += ld, b += padded)
        for (uint32_t i = 0; i < width; i += VL)
            vf_store(b + i, vf_load_m(x + i, vm_first(width - i)));
}

/* The same transposed: b[col][padded] = x[0..rows)[col]. */
static void pack_columns(const float *x, size_t ld, uint32_t rows, uint32_t cols, float *b)
{
    uint32_t padded = (rows + VL - 1) / VL * VL;
    for (uint32_t r0 = 0; r0 < rows; r0 += VL) {
        for (uint32_t c0 = 0; c0 < cols; c0 += VL) {
            uint32_t height = PARE_MIN(rows - r0, (uint32_t)VL);
            uint32_t width = PARE_MIN(cols - c0, (uint32_t)VL);
            vf v[VL];
            UNROLL_ALL
            for (uint32_t i = 0; i < VL; i++)
                v[i] = i < height ? vf_load_m(x + (size_t)(r0 + i) * ld + c0, vm_first(width))
                                  : vf_zero();
            transpose_square(v);
            UNROLL_ALL
            for (uint32_t i = 0; i < VL; i++)
                if (i < width)
                    vf_store(b + (size_t)(c0 + i) * padded + r0, v[i]);
        }
    }
}

static void simd_transpose(const float *x, uint32_t m, uint32_t k, uint32_t block, float *out)
{
    const struct pare_token_block tokens = pare_token_block(m, VL, PARE_TOKEN_VECS * VL, block);
    const uint32_t rows = tokens.count;
    x += (size_t)tokens.first * k;
    for (uint32_t r0 = 0; r0 < rows; r0 += VL) {
        for (uint32_t c0 = 0; c0 < k; c0 += VL) {
            uint32_t height = PARE_MIN(rows - r0, (uint32_t)VL);
            uint32_t width = PARE_MIN(k - c0, (uint32_t)VL);
            vf v[VL];
            UNROLL_ALL
            for (uint32_t i = 0; i < VL; i++)
                v[i] = i < height ? vf_load_m(x + (size_t)(r0 + i) * k + c0, vm_first(width))
                                  : vf_zero();
            transpose_square(v);
            UNROLL_ALL
            for (uint32_t i = 0; i < VL; i++)
                if (i < width)
                    vf_store(out + (size_t)(c0 + i) * PARE_TOKEN_VECS * VL + r0, v[i]);
        }
    }
}

/* One head of one sample. Keys are packed feature-major and values token-major, in panels, so that
 * both products run on the tiles of simd_gemm.h. */
static void simd_attention(const struct pare_attention *a, uint32_t head)
{
    const uint32_t tokens = a->tokens, dh = a->head_width, dv = a->value_width;
    const uint32_t nr = TILE_VECS * VL;
    const size_t width = (size_t)a->heads * dh, start = (size_t)head * dh;
    const size_t v_width = (size_t)a->heads * dv, v_start = (size_t)head * dv;
    const float *q = a->q + start, *k = a->k + start, *v = a->v + v_start;
    const uint32_t t_padded = (tokens + VL - 1) / VL * VL, d_padded = (dv + VL - 1) / VL * VL;
    float *keys = a->scratch, *values = keys + (size_t)t_padded * dh;
    float *scores = values + (size_t)d_padded * tokens;
    float *logs = scores + (size_t)PARE_QUERY_BLOCK * t_padded;
    for (uint32_t t = 0; t < tokens; t += nr)
        pack_columns(k + t * width, width, PARE_MIN(nr, tokens - t), dh, keys + (size_t)t * dh);
    for (uint32_t d = 0; d < dv; d += nr)
        pack_rows(v + d, v_width, tokens, PARE_MIN(nr, dv - d), values + (size_t)d * tokens);
    if (a->sizes)
        for (uint32_t t = 0; t < tokens; t++)
            logs[t] = logf(a->sizes[t]);
    for (uint32_t m0 = a->query0; m0 < a->query1; m0 += PARE_QUERY_BLOCK) {
        uint32_t m = PARE_MIN(PARE_QUERY_BLOCK, a->query1 - m0);
        for (uint32_t t = 0; t < tokens; t += nr)
            panel_f32(m, dh, q + m0 * width, width, keys + (size_t)t * dh, scores + t, t_padded,
                      PARE_MIN(nr, tokens - t), true, NULL, (struct ahead){0});
        for (uint32_t i = 0; i < m; i++)
            softmax_row(scores + (size_t)i * t_padded, tokens, a->scale, a->sizes ? logs : NULL);
        for (uint32_t d = 0; d < dv; d += nr)
            panel_f32(m, tokens, scores, t_padded, values + (size_t)d * tokens,
                      a->out + v_start + m0 * v_width + d, v_width, PARE_MIN(nr, dv - d), true,
                      NULL, (struct ahead){0});
    }
}

/* The first of the largest. */
INLINE uint32_t first_highest(const float *x, uint32_t n)
{
    vf most = vf_set1(x[0]);
    uint32_t i = 0;
    for (; i + VL <= n; i += VL)
        most = vf_max(most, vf_load(x + i));
    float top = vf_highest(most);
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (i = 0; i < n; i++)
        if (x[i] == top)
            return i;
    return 0; /* all are NaN */
}

static float simd_log_sum(const float *x, size_t n, uint32_t *top)
{
    *top = first_highest(x, (uint32_t)n);
    const vf most = vf_set1(x[*top]);
    vf sum = vf_zero();
    for (uint32_t i = 0; i < n; i += VL) {
        const vm m = vm_first((uint32_t)n - i);
        sum = vf_add(sum, vf_select(m, vf_exp(vf_sub(vf_load_m(x + i, m), most)), vf_zero()));
    }
    return logf(vf_sum(sum)) + x[*top];
}

static float simd_divergence(const float *x, float x_sum, const float *y, float y_sum, size_t n)
{
    const vf from_x = vf_set1(x_sum), from_y = vf_set1(y_sum);
    vf sum = vf_zero();
    for (uint32_t i = 0; i < n; i += VL) {
        const vm m = vm_first((uint32_t)n - i);
        const vf p = vf_sub(vf_load_m(x + i, m), from_x), q = vf_sub(vf_load_m(y + i, m), from_y);
        sum = vf_add(sum, vf_select(m, vf_mul(vf_exp(p), vf_sub(p, q)), vf_zero()));
    }
    return vf_sum(sum);
}

static void simd_nearest(const float *x, size_t ldx, uint32_t m, const float *y, size_t ldy,
                         uint32_t n, uint32_t k, uint32_t *index, float *product, float *scratch)
{
    const uint32_t nr = TILE_VECS * VL, padded = (n + VL - 1) / VL * VL;
    float *packed = scratch, *products = packed + (size_t)padded * k;
    for (uint32_t j = 0; j < n; j += nr)
        pack_columns(y + j * ldy, ldy, PARE_MIN(nr, n - j), k, packed + (size_t)j * k);
    for (uint32_t m0 = 0; m0 < m; m0 += PARE_QUERY_BLOCK) {
        const uint32_t rows = PARE_MIN(PARE_QUERY_BLOCK, m - m0);
        for (uint32_t j = 0; j < n; j += nr)
            panel_f32(rows, k, x + m0 * ldx, ldx, packed + (size_t)j * k, products + j, padded,
                      PARE_MIN(nr, n - j), true, NULL, (struct ahead){0});
        for (uint32_t i = 0; i < rows; i++) {
            const float *row = products + (size_t)i * padded;
            index[m0 + i] = first_highest(row, n);
            product[m0 + i] = row[index[m0 + i]];
        }
    }
}

/* absmax / 127 per row, codes rounded to nearest, ties to even. A row that is not finite gets a
 * scale of NaN, so that it stays visible. */
static void simd_quantize(const float *x, uint32_t rows, uint32_t k, void *codes, size_t stride,
                          float *scales)
{
    for (uint32_t r = 0; r < rows; r++, x += k) {
        vf most = vf_zero(), bad = vf_zero();
        for (uint32_t i = 0; i < k; i += VL) {
            vf v = load_part(x, i, k);
            most = vf_max(most, vf_abs(v));
            bad = vf_fma(v, vf_zero(), bad);
        }
        float top = vf_highest(most);
        scales[r] = top / 127.0f + vf_sum(bad);
        vf inv = vf_set1(top > 0 ? 127.0f / top : 0.0f);
        for (uint32_t i = 0; i < stride; i += VL) {
            vf v = i < k ? load_part(x, i, k) : vf_zero();
            vi c = vf_to_int(vf_round(vf_mul(v, inv)));
#ifdef PARE_VNNI
            vi_store_u8((uint8_t *)codes + r * stride + i, vi_add(c, vi_set1(128)));
#else
            vi_store_s16((int16_t *)codes + r * stride + i, c);
#endif
        }
    }
}

#endif
