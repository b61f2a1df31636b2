/* SPDX-License-Identifier: Apache-2.0 */
/* Causal attention over keys and values as they are kept (struct pare_kept). One query at a time
 * reads them where they lie; many take them out into panels of floats first. Both sum in the same
 * order, that of the features and then of the tokens, so a row's bits are the same either way. */
#ifndef PARE_SIMD_ATTEND_H
#define PARE_SIMD_ATTEND_H

#include "engine/kernels/simd_ops.h"

#define FEW_QUERIES 4

/* Where the parts of a head begin. */
struct kept_head {
    const char *keys, *values;
    const float *key_scales, *value_scales; /* scales of all tokens, then least values */
};

INLINE struct kept_head kept_head(const struct pare_kept *kept, const char *data, uint32_t head)
{
    const size_t scales = 2 * (size_t)kept->capacity * head;
    return (struct kept_head){
        .keys = data + kept->keys + kept->key_bytes * head,
        .values = data + kept->values + kept->value_bytes * head,
        .key_scales = (const float *)(const void *)(data + kept->key_scales) + scales,
        .value_scales = (const float *)(const void *)(data + kept->value_scales) + scales,
    };
}

/* Feature `k` of the VL tokens of a block; codes as they are. */
INLINE vf key_vec(const int bits, const char *block, uint32_t k)
{
    switch (bits) {
    case 32:
        return vf_load((const float *)(const void *)block + (size_t)k * VL);
    case 16:
        return vf_load_f16((const uint16_t *)(const void *)block + (size_t)k * VL);
    case 8:
        return vf_from_int(vi_widen_u8(block + (size_t)k * VL));
    default: {
        vi both = vi_widen_u8(block + (size_t)(k / 2) * VL);
        return vf_from_int(k % 2 ? vi_shr(both, 4) : vi_and(both, vi_set1(15)));
    }
    }
}

/* Vector `d` of the features of one token's values. */
INLINE vf value_vec(const int bits, const char *row, uint32_t d)
{
    switch (bits) {
    case 32:
        return vf_load((const float *)(const void *)row + (size_t)d * VL);
    case 16:
        return vf_load_f16((const uint16_t *)(const void *)row + (size_t)d * VL);
    case 8:
        return vf_from_int(vi_widen_u8(row + (size_t)d * VL));
    default: {
        vi both = vi_widen_u8(row + (size_t)(d / 2) * VL);
        return vf_from_int(d % 2 ? vi_shr(both, 4) : vi_and(both, vi_set1(15)));
    }
    }
}

/* The features of a query, summed: what a key's least value is multiplied by. */
INLINE float feature_sum(const float *x, uint32_t n)
{
    vf sum = vf_zero();
    for (uint32_t i = 0; i < n; i += VL)
        sum = vf_add(sum, load_part(x, i, n));
    return vf_sum(sum);
}

/* Sums of codes become sums of keys; tokens t0..t1, t0 a multiple of VL. */
INLINE void scale_scores(const struct pare_kept *kept, const struct kept_head *h, float features,
                         float *s, uint32_t t0, uint32_t t1)
{
    if (kept->bits > 8)
        return;
    for (uint32_t t = t0; t < t1; t += VL)
        vf_store(s + t - t0,
                 vf_fma(vf_load(h->key_scales + t), vf_load(s + t - t0),
                        vf_mul(vf_load(h->key_scales + kept->capacity + t), vf_set1(features))));
}

/* Scores of tokens t0..last to shares of attention, those below `first` getting none, and 0 from
 * last + 1 to t1. Returns what the least values of the shares come to; shares are then multiplied
 * by the values' scales. */
INLINE float shares_of(const struct pare_attend *a, const struct kept_head *h, float *s,
                       uint32_t t0, uint32_t first, uint32_t last, uint32_t t1)
{
    const struct pare_kept *kept = a->kept;
    for (uint32_t t = t0; t < first; t++)
        s[t - t0] = -INFINITY;
    softmax_row(s, last + 1 - t0, a->scale, NULL);
    for (uint32_t t = t0; t < first; t++)
        s[t - t0] = 0; /* vf_exp() gives it a little, enough to break a tie */
    for (uint32_t t = last + 1; t < t1; t++)
        s[t - t0] = 0;
    if (kept->bits > 8)
        return 0;
    vf sum = vf_zero();
    for (uint32_t t = t0; t < t1; t += VL) {
        const vm m = vm_first(t1 - t);
        const vf share = vf_load_m(s + t - t0, m);
        sum = vf_fma(share, vf_load_m(h->value_scales + kept->capacity + t, m), sum);
        vf_store_m(s + t - t0, m, vf_mul(share, vf_load_m(h->value_scales + t, m)));
    }
    return vf_sum(sum);
}

INLINE uint32_t first_seen(const struct pare_attend *a, uint32_t row)
{
    const uint32_t at = a->past + row;
    return a->window && at + 1 > a->window ? at + 1 - a->window : 0;
}

/* m heads of the one row. */
INLINE void attend_few(const int bits, const int m, const struct pare_attend *a,
                       const struct kept_head *h, const float *q, float *out)
{
    const struct pare_kept *kept = a->kept;
    const uint32_t dk = kept->key_width, dv = kept->value_width, last = a->past;
    const uint32_t first = first_seen(a, 0), t0 = first / VL * VL;
    const uint32_t padded = (last + VL - t0) / VL * VL, vecs = (dv + VL - 1) / VL;
    float *s = a->scratch, rest[FEW_QUERIES];
    const size_t block = kept->key_block;
    for (uint32_t t = 0; t < padded; t += VL) {
        const char *keys = h->keys + (size_t)(t0 + t) / VL * block;
        vf acc[FEW_QUERIES];
        UNROLL
        for (int i = 0; i < m; i++)
            acc[i] = vf_zero();
        for (uint32_t k = 0; k < dk; k++) {
            const vf key = key_vec(bits, keys, k);
            UNROLL
            for (int i = 0; i < m; i++)
                acc[i] = vf_fma(vf_set1(q[(size_t)i * dk + k]), key, acc[i]);
        }
        UNROLL
        for (int i = 0; i < m; i++)
            vf_store(s + (size_t)i * padded + t, acc[i]);
    }
    for (int i = 0; i < m; i++) {
        scale_scores(kept, h, kept->bits > 8 ? 0 : feature_sum(q + (size_t)i * dk, dk),
                     s + (size_t)i * padded, t0, t0 + padded);
        rest[i] = shares_of(a, h, s + (size_t)i * padded, t0, first, last, last + 1);
    }
    for (uint32_t d = 0; d < vecs; d += 4) {
        const uint32_t here = PARE_MIN(vecs - d, 4u);
        vf acc[FEW_QUERIES][4];
        UNROLL
        for (int i = 0; i < m; i++) {
            UNROLL
            for (int j = 0; j < 4; j++)
                acc[i][j] = vf_zero();
        }
        for (uint32_t t = 0; t <= last - t0; t++) {
            const char *row = h->values + (size_t)(t0 + t) * kept->value_row;
            UNROLL
            for (uint32_t j = 0; j < 4; j++) {
                if (j >= here)
                    break;
                const vf v = value_vec(bits, row, d + j);
                UNROLL
                for (int i = 0; i < m; i++)
                    acc[i][j] = vf_fma(vf_set1(s[(size_t)i * padded + t]), v, acc[i][j]);
            }
        }
        UNROLL
        for (int i = 0; i < m; i++)
            for (uint32_t j = 0; j < here; j++)
                store_part(out + (size_t)i * dv, (d + j) * VL, dv,
                           vf_add(acc[i][j], vf_set1(rest[i])));
    }
}

/* Blocks of keys of tokens t0..t1 as a panel: out[feature][padded]. */
INLINE void take_keys(const int bits, const struct pare_kept *kept, const struct kept_head *h,
                      uint32_t t0, uint32_t t1, float *out)
{
    const uint32_t vecs = (t1 - t0 + VL - 1) / VL;
    for (uint32_t b = 0; b < vecs; b++) {
        const char *block = h->keys + ((size_t)t0 / VL + b) * kept->key_block;
        for (uint32_t k = 0; k < kept->key_width; k++)
            vf_store(out + ((size_t)k * vecs + b) * VL, key_vec(bits, block, k));
    }
}

/* Features d0.. (`vecs` vectors) of the values of tokens t0..t1 as a panel: out[token][padded]. */
INLINE void take_values(const int bits, const struct pare_kept *kept, const struct kept_head *h,
                        uint32_t t0, uint32_t t1, uint32_t d0, uint32_t vecs, float *out)
{
    for (uint32_t t = t0; t < t1; t++) {
        const char *row = h->values + (size_t)t * kept->value_row;
        for (uint32_t j = 0; j < vecs; j++, out += VL)
            vf_store(out, value_vec(bits, row, d0 / VL + j));
    }
}

INLINE void attend_many(const int bits, const struct pare_attend *a, const struct kept_head *h)
{
    const struct pare_kept *kept = a->kept;
    const uint32_t dk = kept->key_width, dv = kept->value_width, nr = TILE_VECS * VL;
    const uint32_t t0 = first_seen(a, 0) / VL * VL, end = a->past + a->rows, tokens = end - t0;
    const uint32_t t_padded = (tokens + VL - 1) / VL * VL, d_padded = (dv + VL - 1) / VL * VL;
    float *keys = a->scratch, *values = keys + (size_t)t_padded * dk;
    float *scores = values + (size_t)d_padded * tokens;
    float *rest = scores + (size_t)PARE_QUERY_BLOCK * t_padded;
    for (uint32_t t = 0; t < tokens; t += nr)
        take_keys(bits, kept, h, t0 + t, PARE_MIN(t0 + t + nr, end), keys + (size_t)t * dk);
    for (uint32_t d = 0; d < dv; d += nr)
        take_values(bits, kept, h, t0, end, d, (PARE_MIN(nr, dv - d) + VL - 1) / VL,
                    values + (size_t)d * tokens);
    for (uint32_t head = 0; head < a->n; head++) {
        const float *q = a->q + (size_t)head * dk;
        float *out = a->out + (size_t)head * dv;
        for (uint32_t m0 = 0; m0 < a->rows; m0 += PARE_QUERY_BLOCK) {
            const uint32_t m = PARE_MIN(PARE_QUERY_BLOCK, a->rows - m0);
            const uint32_t seen = a->past + m0 + m - t0; /* by the last of these rows */
            for (uint32_t t = 0; t < seen; t += nr)
                panel_f32(m, dk, q + m0 * a->q_stride, a->q_stride, keys + (size_t)t * dk,
                          scores + t, t_padded, (PARE_MIN(nr, tokens - t) + VL - 1) / VL * VL, true,
                          NULL, (struct ahead){0});
            for (uint32_t i = 0; i < m; i++) {
                float *s = scores + (size_t)i * t_padded;
                const float *row = q + (m0 + i) * a->q_stride;
                scale_scores(kept, h, kept->bits > 8 ? 0 : feature_sum(row, dk), s, t0, t0 + seen);
                rest[i] =
                    shares_of(a, h, s, t0, first_seen(a, m0 + i), a->past + m0 + i, t0 + seen);
            }
            for (uint32_t d = 0; d < dv; d += nr)
                panel_f32(m, seen, scores, t_padded, values + (size_t)d * tokens,
                          out + m0 * a->out_stride + d, a->out_stride, PARE_MIN(nr, dv - d), true,
                          NULL, (struct ahead){0});
            for (uint32_t i = 0; i < m; i++) {
                float *y = out + (m0 + i) * a->out_stride;
                for (uint32_t d = 0; d < dv; d += VL)
                    store_part(y, d, dv, vf_add(load_part(y, d, dv), vf_set1(rest[i])));
            }
        }
    }
}

INLINE void attend_bits(const int bits, const struct pare_attend *a)
{
    const struct kept_head h = kept_head(a->kept, a->data, a->kv_head);
    const uint32_t dk = a->kept->key_width, dv = a->kept->value_width;
    if (a->rows > 1) {
        attend_many(bits, a, &h);
        return;
    }
    for (uint32_t head = 0; head < a->n;) {
        const float *q = a->q + (size_t)head * dk;
        float *out = a->out + (size_t)head * dv;
        switch (PARE_MIN(a->n - head, (uint32_t)FEW_QUERIES)) {
        case 4:
            attend_few(bits, 4, a, &h, q, out);
            break;
        case 3:
            attend_few(bits, 3, a, &h, q, out);
            break;
        case 2:
            attend_few(bits, 2, a, &h, q, out);
            break;
        default:
            attend_few(bits, 1, a, &h, q, out);
            break;
        }
        head += PARE_MIN(a->n - head, (uint32_t)FEW_QUERIES);
    }
}

static void simd_attend(const struct pare_attend *a)
{
    switch (a->kept->bits) { /* constants, so that the choice leaves the loops */
    case 32:
        attend_bits(32, a);
        break;
    case 16:
        attend_bits(16, a);
        break;
    case 8:
        attend_bits(8, a);
        break;
    default:
        attend_bits(4, a);
        break;
    }
}

/* ---- keeping ---- */

/* Least value and step of a row, and its codes as floats. */
INLINE void code_row(const float *x, uint32_t n, unsigned bits, float *codes, float *scale,
                     float *least)
{
    vf low = vf_set1(x[0]), high = low, bad = vf_zero();
    for (uint32_t i = 0; i < n; i += VL) {
        const vm m = vm_first(n - i);
        const vf v = vf_select(m, load_part(x, i, n), low);
        low = vf_min(low, v);
        high = vf_max(high, v);
        bad = vf_fma(v, vf_zero(), bad);
    }
    const float bottom = -vf_highest(vf_sub(vf_zero(), low)), top = vf_highest(high);
    const float step = (top - bottom) / (float)((1u << bits) - 1);
    const vf inv = vf_set1(step > 0 ? 1.0f / step : 0.0f);
    for (uint32_t i = 0; i < n; i += VL)
        store_part(codes, i, n, vf_round(vf_mul(vf_sub(load_part(x, i, n), vf_set1(bottom)), inv)));
    *scale = step + vf_sum(bad); /* not finite: it stays visible */
    *least = bottom;
}

/* One token's keys or values: `step` elements apart, in the element type of `bits`. */
static void simd_keep(const struct pare_kept *kept, char *data, uint32_t head, const float *keys,
                      size_t key_stride, const float *values, size_t value_stride, uint32_t at,
                      uint32_t n)
{
    float codes[PARE_HEAD_MOST];
    char *const k_head = data + kept->keys + kept->key_bytes * head;
    char *const v_head = data + kept->values + kept->value_bytes * head;
    float *const k_scales =
        (float *)(void *)(data + kept->key_scales) + 2ul * kept->capacity * head;
    float *const v_scales =
        (float *)(void *)(data + kept->value_scales) + 2ul * kept->capacity * head;
    const uint32_t dk = kept->key_width, dv = kept->value_width;
    for (uint32_t i = 0; i < n; i++, keys += key_stride, values += value_stride) {
        const uint32_t t = at + i, lane = t % VL;
        char *block = k_head + (size_t)(t / VL) * kept->key_block;
        char *row = v_head + (size_t)t * kept->value_row;
        const float *k = keys, *v = values;
        if (kept->bits <= 8) {
            code_row(keys, dk, kept->bits, codes, &k_scales[t], &k_scales[kept->capacity + t]);
            k = codes;
        }
        for (uint32_t f = 0; f < dk; f++) {
            const size_t place = (size_t)f * VL + lane;
            if (kept->bits == 32) {
                ((float *)(void *)block)[place] = k[f];
            } else if (kept->bits == 16) {
                ((uint16_t *)(void *)block)[place] =
                    (uint16_t)_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(k[f]), 0));
            } else if (kept->bits == 8) {
                ((uint8_t *)block)[place] = (uint8_t)(int)k[f];
            } else {
                uint8_t *two = (uint8_t *)block + (size_t)(f / 2) * VL + lane;
                *two = f % 2 ? (uint8_t)((*two & 15) | (int)k[f] << 4) : (uint8_t)(int)k[f];
            }
        }
        if (kept->bits <= 8) {
            code_row(values, dv, kept->bits, codes, &v_scales[t], &v_scales[kept->capacity + t]);
            v = codes;
        }
        for (uint32_t d = 0; d < dv; d += VL) {
            const vf x = load_part(v, d, dv);
            if (kept->bits == 32)
                vf_store((float *)(void *)row + d, x);
            else if (kept->bits == 16)
                vf_store_f16((uint16_t *)(void *)row + d, x);
            for (uint32_t j = d; kept->bits <= 8 && j < PARE_MIN(d + VL, dv); j++) {
                uint8_t code = (uint8_t)(int)v[j];
                uint8_t *to = (uint8_t *)row + (kept->bits == 8 ? j : d / VL / 2 * VL + j % VL);
                *to = kept->bits == 8 ? code
                      : d / VL % 2    ? (uint8_t)((*to & 15) | code << 4)
                                      : code;
            }
        }
    }
}

#endif
