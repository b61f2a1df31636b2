/* SPDX-License-Identifier: Apache-2.0 */
/* The portable reference of what texts need: plain loops and libm. */
#include <math.h>

#include "base/mem.h"
#include "engine/kernels/scalar.h"
#include "model/half.h"

void pare_scalar_rms_norm(const float *x, const float *gamma, float eps, float *out, size_t rows,
                          uint32_t width)
{
    for (size_t r = 0; r < rows; r++, x += width, out += width) {
        float squares = 0;
        for (uint32_t i = 0; i < width; i++)
            squares += x[i] * x[i];
        const float inv = 1.0f / sqrtf(squares / (float)width + eps);
        for (uint32_t i = 0; i < width; i++)
            out[i] = x[i] * inv * gamma[i];
    }
}

void pare_scalar_mul(const float *x, const float *y, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] * y[i];
}

float pare_scalar_log_sum(const float *x, size_t n, uint32_t *top)
{
    double sum = 0;
    *top = 0;
    for (size_t i = 1; i < n; i++)
        *top = x[i] > x[*top] ? (uint32_t)i : *top;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - (double)x[*top]);
    return (float)(log(sum) + (double)x[*top]);
}

float pare_scalar_divergence(const float *x, float x_sum, const float *y, float y_sum, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double p = (double)x[i] - (double)x_sum, q = (double)y[i] - (double)y_sum;
        sum += exp(p) * (p - q);
    }
    return (float)sum;
}

/* ---- keys and values: a block is one token ---- */

/* Number `i` of a token's keys or values, as it is stored. */
static float load(unsigned bits, const char *at, uint32_t i)
{
    switch (bits) {
    case 32:
        return ((const float *)(const void *)at)[i];
    case 16:
        return pare_f16_to_f32(((const uint16_t *)(const void *)at)[i]);
    case 8:
        return ((const uint8_t *)at)[i];
    default:
        return (float)(((const uint8_t *)at)[i / 2] >> i % 2 * 4 & 15);
    }
}

static void store(unsigned bits, char *at, uint32_t i, float x)
{
    uint8_t *byte = (uint8_t *)at;
    switch (bits) {
    case 32:
        ((float *)(void *)at)[i] = x;
        break;
    case 16:
        ((uint16_t *)(void *)at)[i] = pare_f32_to_f16(x);
        break;
    case 8:
        byte[i] = (uint8_t)(int)x;
        break;
    default:
        byte[i / 2] = i % 2 ? (uint8_t)((byte[i / 2] & 15) | (int)x << 4) : (uint8_t)(int)x;
        break;
    }
}

static void keep_row(unsigned bits, const float *x, uint32_t n, char *to, float *scale,
                     float *least)
{
    float low = x[0], high = x[0], bad = 0;
    for (uint32_t i = 0; bits <= 8 && i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        bad += x[i] * 0.0f;
    }
    const float step = (high - low) / (float)((1u << (bits & 15)) - 1);
    const float inv = step > 0 ? 1.0f / step : 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        float code = bits > 8 ? x[i] : nearbyintf((x[i] - low) * inv);
        store(bits, to, i, bits > 8 || (code >= 0 && code <= 255) ? code : 0);
    }
    if (bits > 8)
        return;
    *scale = step + bad; /* not finite: it stays visible */
    *least = low;
}

static float *scales_of(const struct pare_kept *kept, const char *data, size_t where, uint32_t head)
{
    return (float *)(uintptr_t)(const void *)(data + where) + 2 * (size_t)kept->capacity * head;
}

void pare_scalar_keep(const struct pare_kept *kept, char *data, uint32_t head, const float *keys,
                      size_t key_stride, const float *values, size_t value_stride, uint32_t at,
                      uint32_t n)
{
    char *k = data + kept->keys + kept->key_bytes * head + at * kept->key_block;
    char *v = data + kept->values + kept->value_bytes * head + at * kept->value_row;
    float *k_scales = scales_of(kept, data, kept->key_scales, head) + at;
    float *v_scales = scales_of(kept, data, kept->value_scales, head) + at;
    for (uint32_t i = 0; i < n; i++) {
        keep_row(kept->bits, keys + i * key_stride, kept->key_width, k + i * kept->key_block,
                 k_scales + i, k_scales + kept->capacity + i);
        keep_row(kept->bits, values + i * value_stride, kept->value_width, v + i * kept->value_row,
                 v_scales + i, v_scales + kept->capacity + i);
    }
}

/* One head of one row over the keys of a stretch: values and weights, summed, and the top. */
static void attend_stretch(const struct pare_attend *a, const float *q, uint32_t last,
                           uint32_t stretch, float *sums)
{
    const struct pare_kept *kept = a->kept;
    const char *keys = a->data + kept->keys + kept->key_bytes * a->kv_head;
    const char *values = a->data + kept->values + kept->value_bytes * a->kv_head;
    const float *k_scales = scales_of(kept, a->data, kept->key_scales, a->kv_head);
    const float *v_scales = scales_of(kept, a->data, kept->value_scales, a->kv_head);
    const uint32_t from = stretch * PARE_KEY_STRETCH, to = from + PARE_KEY_STRETCH;
    const uint32_t seen = a->window && last + 1 > a->window ? last + 1 - a->window : 0;
    const uint32_t first = PARE_MAX(seen, from), end = PARE_MIN(last + 1, to);
    const bool coded = kept->bits <= 8;
    float s[PARE_KEY_STRETCH], top = -INFINITY, sum = 0;
    for (uint32_t t = first; t < end; t++) {
        float dot = 0, features = 0;
        for (uint32_t i = 0; i < kept->key_width; i++) {
            dot += q[i] * load(kept->bits, keys + t * kept->key_block, i);
            features += q[i];
        }
        if (coded)
            dot = k_scales[t] * dot + k_scales[kept->capacity + t] * features;
        s[t - from] = dot * a->scale;
        top = s[t - from] > top ? s[t - from] : top;
    }
    for (uint32_t t = first; t < end; t++) {
        s[t - from] = expf(s[t - from] - top);
        sum += s[t - from];
    }
    for (uint32_t d = 0; d < kept->value_width; d++) {
        sums[d] = 0;
        for (uint32_t t = first; t < end; t++) {
            float v = load(kept->bits, values + t * kept->value_row, d);
            if (coded)
                v = v_scales[t] * v + v_scales[kept->capacity + t];
            sums[d] += s[t - from] * v;
        }
    }
    sums[kept->value_width] = sum;
    sums[kept->value_width + 1] = top;
}

static void join_sums(float *all, const float *next, uint32_t width)
{
    const float before = all[width + 1], after = next[width + 1];
    const float top = before > after ? before : after;
    for (uint32_t d = 0; d <= width; d++)
        all[d] = all[d] * expf(before - top) + next[d] * expf(after - top);
    all[width + 1] = top;
}

static void end_sums(const float *all, uint32_t width, float *out)
{
    for (uint32_t d = 0; d < width; d++)
        out[d] = all[d] / all[width];
}

void pare_scalar_attend_end(float *sums, uint32_t n, uint32_t value_width, float *out)
{
    for (uint32_t i = 1; i < n; i++)
        join_sums(sums, sums + (size_t)i * (value_width + 2), value_width);
    end_sums(sums, value_width, out);
}

static void attend_row(const struct pare_attend *a, const float *q, float *out, uint32_t last)
{
    const uint32_t first = a->window && last + 1 > a->window ? last + 1 - a->window : 0;
    const uint32_t width = a->kept->value_width, begin = first / PARE_KEY_STRETCH;
    float *all = a->scratch, *next = all + width + 2;
    attend_stretch(a, q, last, begin, all);
    for (uint32_t i = begin + 1; i <= last / PARE_KEY_STRETCH; i++) {
        attend_stretch(a, q, last, i, next);
        join_sums(all, next, width);
    }
    end_sums(all, width, out);
}

void pare_scalar_attend(const struct pare_attend *a)
{
    for (uint32_t r = 0; r < a->rows; r++) {
        for (uint32_t h = 0; h < a->n; h++) {
            const float *q = a->q + r * a->q_stride + (size_t)h * a->kept->key_width;
            if (a->sums)
                attend_stretch(a, q, a->past, a->stretch, a->sums + h * a->sums_stride);
            else
                attend_row(a, q, a->out + r * a->out_stride + (size_t)h * a->kept->value_width,
                           a->past + r);
        }
    }
}
