/* SPDX-License-Identifier: Apache-2.0 */
/* The portable reference: plain loops and libm. What every other kernel is tested against, and what
 * runs where there is no other. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/kernels/rope.h"
#include "engine/kernels/scalar.h"
#include "model/half.h"

static float activate_one(unsigned activation, float x)
{
    switch (activation) {
    case PARE_ACT_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    case PARE_ACT_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
    case PARE_ACT_SILU:
        return x / (1.0f + expf(-x));
    case PARE_ACT_RELU:
        return x < 0 ? 0 : x;
    case PARE_ACT_TANH:
        return tanhf(x);
    default:
        return x;
    }
}

static void scalar_activate(unsigned activation, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = activate_one(activation, x[i]);
}

static float finish(const struct pare_epilogue *end, float sum, size_t col, size_t at)
{
    if (end->bias)
        sum += end->bias[col];
    sum = activate_one(end->activation, sum);
    if (end->residual)
        sum = end->factor * (end->residual[at] + sum);
    return sum;
}

static void scalar_dense(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    for (size_t r = job->m0; r < job->m1; r++) {
        const float *x = job->x + r * w->k;
        for (size_t c = job->p0; c < job->p1; c++) {
            const float *row = (const float *)w->data + c * w->k;
            float sum = 0;
            for (size_t i = 0; i < w->k; i++)
                sum += x[i] * row[i];
            job->y[r * w->n + c] = finish(&job->end, sum, c, r * w->n + c);
        }
    }
}

/* Columns per chunk: offsets are in bytes of 16 bits. */
#define SPARSE_CHUNK 16384u

static void scalar_sparse(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    const size_t chunks = (w->k + SPARSE_CHUNK - 1) / SPARSE_CHUNK;
    for (size_t r = job->m0; r < job->m1; r++) {
        for (size_t n = job->p0; n < job->p1; n++) {
            float sum = 0;
            for (size_t c = 0; c < chunks; c++) {
                const float *x = job->x + r * w->k + c * SPARSE_CHUNK;
                const uint32_t *start = w->starts + n * chunks + c;
                for (size_t i = start[0]; i < start[1]; i++)
                    sum += ((const float *)w->data)[i] * x[w->offsets[i] / sizeof *x];
            }
            job->y[r * w->n + n] = finish(&job->end, sum, n, r * w->n + n);
        }
    }
}

static void scalar_plugin(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    if (job->m0 == job->m1)
        return;
    pare_plugin_sums(job);
    for (size_t r = job->m0; r < job->m1; r++) {
        for (size_t n = job->p0; n < job->p1; n++) {
            float *y = &job->y[r * w->n + n];
            *y = finish(&job->end, *y, n, r * w->n + n);
        }
    }
}

static void scalar_dynamic(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    for (size_t r = job->m0; r < job->m1; r++) {
        const uint8_t *x = (const uint8_t *)job->q.codes + r * job->q.stride;
        for (size_t c = job->p0; c < job->p1; c++) {
            const int16_t *row = (const int16_t *)w->data + c * w->k;
            float sum = 0;
            for (size_t g = 0; g < w->groups; g++) {
                size_t k1 = PARE_MIN((g + 1) * w->group, (size_t)w->k);
                int64_t exact = 0, inputs = 0;
                for (size_t k = g * w->group; k < k1; k++) {
                    exact += (x[k] - 128) * row[k];
                    inputs += x[k] - 128;
                }
                sum += w->scales[c * w->groups + g] * (float)exact;
                if (w->zeros)
                    sum += w->zeros[c * w->groups + g] * (float)inputs;
            }
            job->y[r * w->n + c] = finish(&job->end, sum * job->q.scales[r], c, r * w->n + c);
        }
    }
}

static void scalar_blocks8(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    const struct pare_blocks b = pare_blocks_of(w->k);
    for (size_t r = job->m0; r < job->m1; r++) {
        const char *row = (const char *)job->blocks + r * b.bytes;
        const int8_t *x = (const int8_t *)row;
        const float *x_scales = (const float *)(const void *)(row + b.scales);
        for (size_t c = job->p0; c < job->p1; c++) {
            const int8_t *codes = (const int8_t *)w->data + c * w->panel_bytes;
            float sum = 0;
            for (uint32_t k0 = 0; k0 < w->k; k0 += w->span) {
                const size_t at = c * w->groups + k0 / w->group;
                const float scale =
                    w->half ? pare_f16_to_f32(((const uint16_t *)(const void *)w->scales)[at])
                            : w->scales[at];
                int32_t exact = 0, inputs = 0;
                for (uint32_t k = k0; k < PARE_MIN(k0 + w->span, w->k); k++) {
                    exact += x[k] * (codes[k] + w->offset);
                    inputs += x[k];
                }
                const float x_scale = x_scales[k0 / PARE_ACTIVATION_GROUP];
                sum += scale * x_scale * (float)exact;
                if (w->zeros)
                    sum +=
                        (w->half ? pare_f16_to_f32(((const uint16_t *)(const void *)w->zeros)[at])
                                 : w->zeros[at]) *
                        (x_scale * (float)inputs);
            }
            job->y[r * w->n + c] = finish(&job->end, sum, c, r * w->n + c);
        }
    }
}

/* Products of two bf16 are exact in f32: each addition rounds once. */
static void scalar_bf16(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    for (size_t r = job->m0; r < job->m1; r++) {
        const uint16_t *x = job->halves + r * w->k_padded;
        for (size_t c = job->p0; c < job->p1; c++) {
            const uint16_t *row = (const uint16_t *)w->data + c * w->k_padded;
            float sum = 0;
            for (size_t k = 0; k < w->k_padded; k++)
                sum += pare_bf16_to_f32(x[k]) * pare_bf16_to_f32(row[k]);
            job->y[r * w->n + c] = finish(&job->end, sum, c, r * w->n + c);
        }
    }
}

static void scalar_to_bf16(const float *x, uint32_t rows, uint32_t k, uint16_t *out)
{
    for (uint32_t r = 0; r < rows; r++, x += k, out += pare_bf16_stride(k)) {
        out[pare_bf16_stride(k) - 1] = 0;
        for (uint32_t i = 0; i < k; i++)
            out[i] = pare_f32_to_bf16(fpclassify(x[i]) == FP_SUBNORMAL ? copysignf(0, x[i]) : x[i]);
    }
}

static void scalar_quantize_blocks(const float *x, uint32_t rows, uint32_t k, void *out)
{
    const struct pare_blocks b = pare_blocks_of(k);
    char *row = out;
    for (uint32_t r = 0; r < rows; r++, x += k, row += b.bytes) {
        int8_t *codes = (int8_t *)row;
        float *scales = (float *)(void *)(row + b.scales);
        int32_t *sums = (int32_t *)(void *)(row + b.sums);
        memset(row, 0, b.bytes);
        for (uint32_t g = 0; g < b.groups; g++) {
            const uint32_t k0 = g * PARE_ACTIVATION_GROUP;
            const uint32_t k1 = PARE_MIN(k0 + PARE_ACTIVATION_GROUP, k);
            float top = 0, bad = 0;
            for (uint32_t i = k0; i < k1; i++) {
                top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
                bad += x[i] * 0.0f;
            }
            const float inv = top > 0 ? 127.0f / top : 0;
            scales[g] = top / 127.0f + bad;
            for (uint32_t i = k0; i < k1; i++) {
                const float v = nearbyintf(x[i] * inv);
                codes[i] = (int8_t)(v >= -127 && v <= 127 ? (int)v : 0);
                sums[i / PARE_SUM_SPAN] += codes[i];
            }
        }
    }
}

static void scalar_quantize(const float *x, uint32_t rows, uint32_t k, void *codes, size_t stride,
                            float *scales)
{
    uint8_t *out = codes;
    for (uint32_t r = 0; r < rows; r++, x += k, out += stride) {
        float top = 0, bad = 0;
        for (uint32_t i = 0; i < k; i++) {
            top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
            bad += x[i] * 0.0f;
        }
        float inv = top > 0 ? 127.0f / top : 0;
        scales[r] = top / 127.0f + bad;
        for (uint32_t i = 0; i < stride; i++) {
            float v = i < k ? nearbyintf(x[i] * inv) : 0;
            out[i] = (uint8_t)((v >= -127 && v <= 127 ? (int)v : 0) + 128);
        }
    }
}

/* The scalar product reads rows as they are: a block of one token. */
static void scalar_transpose(const float *x, uint32_t m, uint32_t k, uint32_t block, float *out)
{
    (void)m;
    memcpy(out, x + (size_t)block * k, k * sizeof *x);
}

static void scalar_add(const float *x, const float *y, float factor, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = factor * (x[i] + y[i]);
}

static void scalar_add_vector(const float *x, const float *a, float *out, uint32_t rows,
                              uint32_t width)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i++)
            out[r * width + i] = x[r * width + i] + a[i];
}

static void scalar_norm(const float *x, const float *gamma, const float *beta, float eps,
                        float *out, uint32_t rows, uint32_t width)
{
    for (uint32_t r = 0; r < rows; r++, x += width, out += width) {
        float mean = 0, var = 0;
        for (uint32_t i = 0; i < width; i++)
            mean += x[i];
        mean /= (float)width;
        for (uint32_t i = 0; i < width; i++)
            var += (x[i] - mean) * (x[i] - mean);
        float inv = 1.0f / sqrtf(var / (float)width + eps);
        for (uint32_t i = 0; i < width; i++)
            out[i] = (x[i] - mean) * inv * gamma[i] + beta[i];
    }
}

static void scalar_mean(const float *x, float *out, uint32_t rows, uint32_t width)
{
    for (size_t i = 0; i < width; i++) {
        float sum = 0;
        for (size_t r = 0; r < rows; r++)
            sum += x[r * width + i];
        out[i] = sum / (float)rows;
    }
}

static float scalar_dot(const float *x, const float *y, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static void scalar_nearest(const float *x, size_t ldx, uint32_t m, const float *y, size_t ldy,
                           uint32_t n, uint32_t k, uint32_t *index, float *product, float *scratch)
{
    (void)scratch;
    for (uint32_t i = 0; i < m; i++) {
        index[i] = 0;
        product[i] = scalar_dot(x + i * ldx, y, k);
        for (uint32_t j = 1; j < n; j++) {
            float here = scalar_dot(x + i * ldx, y + j * ldy, k);
            if (here > product[i]) {
                index[i] = j;
                product[i] = here;
            }
        }
    }
}

static void scalar_attention(const struct pare_attention *a, uint32_t head)
{
    const size_t dh = a->head_width, width = a->heads * dh, tokens = a->tokens;
    const size_t dv = a->value_width, v_width = a->heads * dv;
    const size_t start = head * dh, v_start = head * dv;
    const float *sizes = a->sizes;
    float *s = a->scratch;
    for (size_t i = a->query0; i < a->query1; i++) {
        float top = -INFINITY, sum = 0;
        for (size_t j = 0; j < tokens; j++) {
            s[j] = a->scale * scalar_dot(a->q + start + i * width, a->k + start + j * width, dh);
            if (sizes)
                s[j] += logf(sizes[j]);
            top = s[j] > top ? s[j] : top;
        }
        for (size_t j = 0; j < tokens; j++) {
            s[j] = expf(s[j] - top);
            sum += s[j];
        }
        for (size_t d = 0; d < dv; d++) {
            float v = 0;
            for (size_t j = 0; j < tokens; j++)
                v += s[j] / sum * a->v[v_start + j * v_width + d];
            a->out[v_start + i * v_width + d] = v;
        }
    }
}

const struct pare_kernels pare_kernels_scalar = {
    .isa = PARE_ISA_SCALAR,
    .lanes = 1,
    .panel = 1,
    .rows = 1,
    .token_block = 1,
    .sparse_chunk = SPARSE_CHUNK,
    .sparse_panels = 1,
    .code_size = 1,
    .k_step = 1,
    .product =
        {
            [PARE_PRODUCT_DENSE] = scalar_dense,
            [PARE_PRODUCT_SPARSE] = scalar_sparse,
            [PARE_PRODUCT_BF16_DOT] = scalar_bf16,
            [PARE_PRODUCT_DYNAMIC] = scalar_dynamic,
            [PARE_PRODUCT_BLOCKS8] = scalar_blocks8,
            [PARE_PRODUCT_PLUGIN] = scalar_plugin,
        },
    .quantize = scalar_quantize,
    .quantize_blocks = scalar_quantize_blocks,
    .to_bf16 = scalar_to_bf16,
    .transpose = scalar_transpose,
    .activate = scalar_activate,
    .add = scalar_add,
    .add_vector = scalar_add_vector,
    .norm = scalar_norm,
    .mean = scalar_mean,
    .attention = scalar_attention,
    .rms_norm = pare_scalar_rms_norm,
    .mul = pare_scalar_mul,
    .rope = plain_rope,
    .keep = pare_scalar_keep,
    .attend = pare_scalar_attend,
    .attend_end = pare_scalar_attend_end,
    .dot = scalar_dot,
    .log_sum = pare_scalar_log_sum,
    .divergence = pare_scalar_divergence,
    .nearest = scalar_nearest,
};
