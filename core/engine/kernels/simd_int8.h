/* SPDX-License-Identifier: Apache-2.0 */
/* Products of int8 activations and int8 codes. Sums are exact int32: with VNNI, bytes of int8 + 128
 * times int8, less 128 times the codes' sum; without, both widened to 16 bits and multiplied in
 * pairs. Neither saturates (vpmaddubsw would). Scales are applied group by group in float. */
#ifndef PARE_SIMD_INT8_H
#define PARE_SIMD_INT8_H

#include "engine/kernels/simd_gemm.h"

#ifdef PARE_VNNI
#define INT_ROWS TILE_ROWS
#define K_STEP 4
#define CODE_SIZE 1
#else
#define INT_ROWS (PARE_VEC == 16 ? 6 : 3)
#define K_STEP 2
#define CODE_SIZE 2
#endif

#define EACH_OF_TILE(body)                                                                         \
    UNROLL                                                                                         \
    for (int i = 0; i < rows; i++) {                                                               \
        UNROLL                                                                                     \
        for (int j = 0; j < vecs; j++)                                                             \
            body;                                                                                  \
    }
#define ZERO_TILE(a) EACH_OF_TILE(a[i][j] = vi_zero())
#define COPY_TILE(to, from) EACH_OF_TILE(to[i][j] = from[i][j])

struct int_tile {
    const uint8_t *x; /* first row */
    size_t ldx;       /* bytes */
    const float *x_scales;
    const int8_t *w;        /* the panel, [k / step][padded][step] */
    const uint8_t *control; /* sparse: beside w */
    const float *scales, *zeros;
    const int32_t *sums;
    const float *x_sums; /* rows x groups, where there are zeros */
    uint32_t k_padded, group, groups, panel, width;
    float *y;
    size_t ldy;
    const struct tile_end *end;
};

#ifdef PARE_VNNI
/* vpdpbusd in place. Given the intrinsic, GCC 12 copies and stores every sum in the inner loop. */
INLINE void dot4(vi *acc, vi x, vi w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*acc) : "v"(x), "v"(w));
}
#endif

/* The products of one group. The sums are a local array all along: the compiler keeps those of a
 * caller in memory. */
INLINE void group_dense(const int rows, const int vecs, vi out[INT_ROWS][TILE_VECS],
                        const uint8_t *x, size_t ldx, const int8_t *w, uint32_t steps)
{
    vi acc[INT_ROWS][TILE_VECS];
    ZERO_TILE(acc)
    for (uint32_t s = 0; s < steps; s++) {
        vi wv[TILE_VECS];
        UNROLL
        for (int j = 0; j < vecs; j++) {
#ifdef PARE_VNNI
            wv[j] = vi_load(w + j * VL * 4);
#else
            wv[j] = vi_widen_s8_16(w + j * VL * 2);
#endif
        }
        w += (size_t)vecs * VL * K_STEP;
        UNROLL
        for (int i = 0; i < rows; i++) {
            vi xv = vi_spread4(x + (size_t)i * ldx + (size_t)s * 4);
            UNROLL
            for (int j = 0; j < vecs; j++) {
#ifdef PARE_VNNI
                dot4(&acc[i][j], xv, wv[j]);
#else
                acc[i][j] = vi_add(acc[i][j], vi_madd16(xv, wv[j]));
#endif
            }
        }
    }
    COPY_TILE(out, acc)
}

#ifdef PARE_VNNI
/* 4 of every 8 columns: 8 inputs to every 64 bits, picked by each output's control, then one dot
 * product. */
INLINE void group_sparse(const int rows, const int vecs, vi out[INT_ROWS][TILE_VECS],
                         const uint8_t *x, size_t ldx, const int8_t *w, const uint8_t *control,
                         uint32_t steps)
{
    vi acc[INT_ROWS][TILE_VECS];
    ZERO_TILE(acc)
    for (uint32_t s = 0; s < steps; s++) {
        vi wv[TILE_VECS], cv[TILE_VECS];
        UNROLL
        for (int j = 0; j < vecs; j++) {
            wv[j] = vi_load(w + j * VL * 4);
            cv[j] = vi_load(control + j * VL * 4);
        }
        w += (size_t)vecs * VL * 4;
        control += (size_t)vecs * VL * 4;
        UNROLL
        for (int i = 0; i < rows; i++) {
            int64_t word;
            __builtin_memcpy(&word, x + (size_t)i * ldx + (size_t)s * 8, sizeof word);
            vi xv = _mm512_set1_epi64(word);
            UNROLL
            for (int j = 0; j < vecs; j++)
                dot4(&acc[i][j], _mm512_shuffle_epi8(xv, cv[j]), wv[j]);
        }
    }
    COPY_TILE(out, acc)
}
#endif

INLINE void tile_int(const int rows, const int vecs, const bool sparse, const struct int_tile *t)
{
    float part[INT_ROWS][TILE_VECS][VL] __attribute__((aligned(64)));
    const uint32_t padded = (uint32_t)vecs * VL;
    const vm tail = vm_first(t->width - (uint32_t)(vecs - 1) * VL), all = vm_first(VL);
    EACH_OF_TILE(vf_store(part[i][j], vf_zero()))
    for (uint32_t g = 0; g < t->groups; g++) {
        vi acc[INT_ROWS][TILE_VECS];
        uint32_t k0 = g * t->group, k1 = PARE_MIN(k0 + t->group, t->k_padded);
        const uint8_t *x = t->x + (size_t)k0 * CODE_SIZE;
#ifdef PARE_VNNI
        if (sparse)
            group_sparse(rows, vecs, acc, x, t->ldx, t->w + (size_t)k0 / 2 * padded,
                         t->control + (size_t)k0 / 2 * padded, (k1 - k0) / 8);
        else
#endif
            group_dense(rows, vecs, acc, x, t->ldx, t->w + (size_t)k0 * padded, (k1 - k0) / K_STEP);
        (void)sparse;
        UNROLL
        for (int j = 0; j < vecs; j++) {
            const size_t at = (size_t)g * t->panel + (size_t)j * VL;
            const vf scale = vf_load(t->scales + at);
#ifdef PARE_VNNI
            const vi sums = vi_load(t->sums + at);
#endif
            UNROLL
            for (int i = 0; i < rows; i++) {
#ifdef PARE_VNNI
                vf sum = vf_from_int(vi_sub(acc[i][j], sums));
#else
                vf sum = vf_from_int(acc[i][j]);
#endif
                vf v = vf_fma(scale, sum, vf_load(part[i][j]));
                if (t->zeros)
                    v = vf_fma(vf_load(t->zeros + at),
                               vf_set1(t->x_sums[(size_t)i * t->groups + g]), v);
                vf_store(part[i][j], v);
            }
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        const float *residual =
            t->end->residual ? t->end->residual + (size_t)i * t->end->ld_residual : NULL;
        const vf scale = vf_set1(t->x_scales[i]);
        UNROLL
        for (int j = 0; j < vecs; j++) {
            vm mask = j == vecs - 1 ? tail : all;
            vf v = vf_mul(vf_load(part[i][j]), scale);
            vf_store_m(t->y + (size_t)i * t->ldy + j * VL, mask,
                       end_vec(v, t->end, residual, (size_t)j * VL, mask));
        }
    }
}

typedef void (*tile_int_fn)(const struct int_tile *t);

#define TILE_INT(R, V)                                                                             \
    static void tile_int_##R##x##V(const struct int_tile *t)                                       \
    {                                                                                              \
        tile_int(R, V, false, t);                                                                  \
    }
#define TILE_INT_ENTRY(R, V) [V - 1][R - 1] = tile_int_##R##x##V,
#if PARE_VEC == 16 && defined(PARE_VNNI)
#define EACH_INT(X) EACH_TILE(X)
#define EACH_SPARSE_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V)
#define EACH_SPARSE(X) EACH_SPARSE_ROWS(X, 1) EACH_SPARSE_ROWS(X, 2) EACH_SPARSE_ROWS(X, 3)
#elif PARE_VEC == 16
#define EACH_INT_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V)
#define EACH_INT(X) EACH_INT_ROWS(X, 1) EACH_INT_ROWS(X, 2) EACH_INT_ROWS(X, 3)
#else
#define EACH_INT_ROWS(X, V) X(1, V) X(2, V) X(3, V)
#define EACH_INT(X) EACH_INT_ROWS(X, 1) EACH_INT_ROWS(X, 2)
#endif
EACH_INT(TILE_INT)
static const tile_int_fn tiles_int[TILE_VECS][INT_ROWS] = {EACH_INT(TILE_INT_ENTRY)};

#ifdef PARE_VNNI
#define SPARSE_ROWS 6
#define TILE_SPARSE(R, V)                                                                          \
    static void tile_sparse_##R##x##V(const struct int_tile *t)                                    \
    {                                                                                              \
        tile_int(R, V, true, t);                                                                   \
    }
#define TILE_SPARSE_ENTRY(R, V) [V - 1][R - 1] = tile_sparse_##R##x##V,
EACH_SPARSE(TILE_SPARSE)
static const tile_int_fn tiles_sparse[TILE_VECS][SPARSE_ROWS] = {EACH_SPARSE(TILE_SPARSE_ENTRY)};
#endif

/* Sums of the inputs per row and group, for weights with zeros. */
static void input_sums(const struct pare_job *job, float *out)
{
    const struct pare_packed *w = job->w;
    for (uint32_t r = job->m0; r < job->m1; r++) {
        for (uint32_t g = 0; g < w->groups; g++) {
            uint32_t k0 = g * w->group, k1 = PARE_MIN(k0 + w->group, w->k);
            int32_t sum = 0;
#ifdef PARE_VNNI
            const uint8_t *x = (const uint8_t *)job->q.codes + r * job->q.stride;
            for (uint32_t k = k0; k < k1; k++)
                sum += x[k] - 128;
#else
            const int16_t *x = (const int16_t *)job->q.codes + r * job->q.stride;
            for (uint32_t k = k0; k < k1; k++)
                sum += x[k];
#endif
            *out++ = (float)sum;
        }
    }
}

INLINE void product_int(const struct pare_job *job, const tile_int_fn *tiles, const uint32_t most,
                        bool sparse)
{
    const struct pare_packed *w = job->w;
    float *x_sums = NULL;
    if (w->zeros) {
        x_sums = job->scratch;
        input_sums(job, x_sums);
    }
    const uint32_t m = job->m1 - job->m0, count = (m + most - 1) / most;
    for (uint32_t p = job->p0; p < job->p1; p++) {
        uint32_t n0 = p * w->panel, width = PARE_MIN(w->panel, w->n - n0);
        uint32_t vecs = (width + VL - 1) / VL, at = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t rows = (m - at + count - i - 1) / (count - i), r = job->m0 + at;
            struct tile_end end = {
                .bias = job->end.bias ? job->end.bias + n0 : NULL,
                .residual = job->end.residual ? job->end.residual + (size_t)r * w->n + n0 : NULL,
                .ld_residual = w->n,
                .factor = job->end.factor,
            };
            size_t scales = (size_t)p * w->groups * w->panel;
            struct int_tile t = {
                .x = (const uint8_t *)job->q.codes + r * job->q.stride * CODE_SIZE,
                .ldx = job->q.stride * CODE_SIZE,
                .x_scales = job->q.scales + r,
                .w = (const int8_t *)w->data + p * w->panel_bytes,
                .control = sparse ? w->control + p * w->panel_bytes : NULL,
                .scales = w->scales + scales,
                .zeros = w->zeros ? w->zeros + scales : NULL,
                .sums = w->sums + scales,
                .x_sums = x_sums ? x_sums + (size_t)at * w->groups : NULL,
                .k_padded = w->k_padded,
                .group = w->group,
                .groups = w->groups,
                .panel = w->panel,
                .width = width,
                .y = job->y + (size_t)r * w->n + n0,
                .ldy = w->n,
                .end = &end,
            };
            fetch_ahead((struct ahead){(const char *)(t.w + w->panel_bytes), w->panel_bytes}, i,
                        count);
            if (sparse)
                fetch_ahead(
                    (struct ahead){(const char *)(t.control + w->panel_bytes), w->panel_bytes}, i,
                    count);
            tiles[(vecs - 1) * most + rows - 1](&t);
            if (job->end.activation)
                for (uint32_t row = 0; row < rows; row++)
                    simd_activate(job->end.activation, t.y + row * t.ldy, t.y + row * t.ldy, width);
            at += rows;
        }
    }
}

static void simd_dynamic(const struct pare_job *job)
{
    product_int(job, tiles_int[0], INT_ROWS, false);
}

#ifdef PARE_VNNI
static void simd_dynamic_sparse(const struct pare_job *job)
{
    product_int(job, tiles_sparse[0], SPARSE_ROWS, true);
}
#endif

#endif
