/* SPDX-License-Identifier: Apache-2.0 */
/* Causal attention over keys and values as they are kept (struct pare_kept). One query at a time
 * reads them where they lie; many take them out into panels of floats first. Both sum in the same
 * order, that of the features and then of the tokens of a stretch of keys, and join stretches in
 * their order, so a row's bits are the same either way. */
#ifndef PARE_SIMD_ATTEND_H
#define PARE_SIMD_ATTEND_H

#include "engine/kernels/simd_ops.h"

#define FEW_QUERIES 4

INLINE uint32_t whole_vectors(uint32_t n)
{
    return (n + VL - 1) / VL * VL;
}

/* What a stretch of keys leaves of a head, pare_attend_sums(): its values by their weights, the sum
 * of the weights by lanes, and the highest score in every lane. */
INLINE size_t sums_stride(uint32_t dv)
{
    return whole_vectors(dv) + 2 * VL;
}

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

/* v for tokens first..last of those from t on, `other` elsewhere. */
INLINE vf where_seen(vf v, vf other, uint32_t t, uint32_t first, uint32_t last)
{
    v = vf_select(vm_first(last + 1 - PARE_MIN(last + 1, t)), v, other);
    return vf_select(vm_first(first - PARE_MIN(first, t)), other, v);
}

/* Scores of tokens t0..t1 to their weights e^(scale score - top), 0 for those outside first..last;
 * `sums` gets what they come to and the top, and the values' scales are then multiplied in. Returns
 * what the least values come to. */
INLINE float weigh(const struct pare_attend *a, const struct kept_head *h, float *s, uint32_t t0,
                   uint32_t first, uint32_t last, uint32_t t1, float *sums)
{
    const struct pare_kept *kept = a->kept;
    const vf low = vf_set1(-INFINITY);
    vf top = low, sum = vf_zero(), rest = vf_zero();
    for (uint32_t t = t0; t < t1; t += VL) {
        const vf v =
            where_seen(vf_mul(vf_load(s + t - t0), vf_set1(a->scale)), low, t, first, last);
        vf_store(s + t - t0, v);
        top = vf_max(top, v);
    }
    top = vf_set1(vf_highest(top));
    for (uint32_t t = t0; t < t1; t += VL) {
        vf e = where_seen(vf_exp(vf_sub(vf_load(s + t - t0), top)), vf_zero(), t, first, last);
        sum = vf_add(sum, e);
        if (kept->bits <= 8) {
            const vm m = vm_first(t1 - t); /* beyond lies anything */
            rest = vf_fma(e, vf_load_m(h->value_scales + kept->capacity + t, m), rest);
            e = vf_mul(e, vf_load_m(h->value_scales + t, m));
        }
        vf_store(s + t - t0, e);
    }
    const uint32_t width = whole_vectors(kept->value_width);
    vf_store(sums + width, sum);
    vf_store(sums + width + VL, top);
    return kept->bits <= 8 ? vf_sum(rest) : 0;
}

/* Add what comes of the next tokens to `all`, `dv` values of each. */
INLINE void join_sums(float *all, const float *next, uint32_t dv)
{
    const uint32_t width = whole_vectors(dv);
    const vf before = vf_load(all + width + VL), after = vf_load(next + width + VL);
    const vf top = vf_max(before, after);
    const vf x = vf_exp(vf_sub(before, top)), y = vf_exp(vf_sub(after, top));
    for (uint32_t d = 0; d <= width; d += VL) /* and the sum of the weights behind them */
        vf_store(all + d, vf_fma(vf_load(next + d), y, vf_mul(vf_load(all + d), x)));
    vf_store(all + width + VL, top);
}

INLINE void end_sums(const float *all, uint32_t dv, float *out)
{
    const vf inv = vf_set1(1.0f / vf_sum(vf_load(all + whole_vectors(dv))));
    for (uint32_t d = 0; d < dv; d += VL)
        store_part(out, d, dv, vf_mul(vf_load(all + d), inv));
}

static void simd_attend_end(float *sums, uint32_t n, uint32_t dv, float *out)
{
    const size_t stride = sums_stride(dv);
    for (uint32_t i = 1; i < n; i++)
        join_sums(sums, sums + i * stride, dv);
    end_sums(sums, dv, out);
}

INLINE uint32_t first_seen(const struct pare_attend *a, uint32_t row)
{
    const uint32_t at = a->past + row;
    return a->window && at + 1 > a->window ? at + 1 - a->window : 0;
}

/* Scores of m heads for `blocks` blocks of keys, side by side so that sums need not wait. */
INLINE void few_scores(const int bits, const int m, const int blocks, const struct pare_kept *kept,
                       const char *keys, const float *q, float *s)
{
    const uint32_t dk = kept->key_width;
    vf acc[FEW_QUERIES][TILE_VECS];
    UNROLL
    for (int i = 0; i < m; i++) {
        UNROLL
        for (int b = 0; b < blocks; b++)
            acc[i][b] = vf_zero();
    }
    for (uint32_t k = 0; k < dk; k++) {
        vf key[TILE_VECS];
        UNROLL
        for (int b = 0; b < blocks; b++)
            key[b] = key_vec(bits, keys + b * kept->key_block, k);
        const size_t at = (size_t)k * VL * (size_t)bits / 8;
        UNROLL
        for (int b = 0; b < blocks; b++)
            if (at % 64 == 0)
                _mm_prefetch(keys + (b + TILE_VECS) * kept->key_block + at, _MM_HINT_T0);
        UNROLL
        for (int i = 0; i < m; i++) {
            const vf x = vf_set1(q[(size_t)i * dk + k]);
            UNROLL
            for (int b = 0; b < blocks; b++)
                acc[i][b] = vf_fma(x, key[b], acc[i][b]);
        }
    }
    UNROLL
    for (int i = 0; i < m; i++) {
        UNROLL
        for (int b = 0; b < blocks; b++)
            vf_store(s + i * PARE_KEY_STRETCH + b * VL, acc[i][b]);
    }
}

/* Values of n tokens by the weights of m heads. */
INLINE void few_values(const int bits, const int m, const struct pare_kept *kept, const char *rows,
                       uint32_t n, const float *s, const float *rest, float *sums, size_t stride)
{
    const uint32_t vecs = (kept->value_width + VL - 1) / VL;
    for (uint32_t d = 0; d < vecs; d += 4) {
        const uint32_t here = PARE_MIN(vecs - d, 4u);
        vf acc[FEW_QUERIES][4];
        UNROLL
        for (int i = 0; i < m; i++) {
            UNROLL
            for (int j = 0; j < 4; j++)
                acc[i][j] = vf_zero();
        }
        for (uint32_t t = 0; t < n; t++) {
            const char *row = rows + t * kept->value_row;
            for (uint32_t at = 0; at < 4 * VL * (uint32_t)bits / 8; at += 64)
                _mm_prefetch(row + STREAM_AHEAD + d * VL * (uint32_t)bits / 8 + at, _MM_HINT_T0);
            UNROLL
            for (uint32_t j = 0; j < 4; j++) {
                if (j >= here)
                    break;
                const vf v = value_vec(bits, row, d + j);
                UNROLL
                for (int i = 0; i < m; i++)
                    acc[i][j] = vf_fma(vf_set1(s[(size_t)i * PARE_KEY_STRETCH + t]), v, acc[i][j]);
            }
        }
        UNROLL
        for (int i = 0; i < m; i++)
            for (uint32_t j = 0; j < here; j++)
                vf_store(sums + i * stride + (d + j) * VL,
                         bits > 8 ? acc[i][j] : vf_add(acc[i][j], vf_set1(rest[i])));
    }
}

/* m heads of the one row over a stretch of keys. */
INLINE void attend_few(const int bits, const int m, const struct pare_attend *a,
                       const struct kept_head *h, const float *q, uint32_t stretch, float *sums,
                       size_t stride)
{
    const struct pare_kept *kept = a->kept;
    const uint32_t dk = kept->key_width, begin = stretch * PARE_KEY_STRETCH;
    const uint32_t first = PARE_MAX(first_seen(a, 0), begin);
    const uint32_t last = PARE_MIN(a->past, begin + PARE_KEY_STRETCH - 1);
    const uint32_t t0 = first / VL * VL, blocks = (last - t0) / VL + 1;
    const char *keys = h->keys + (size_t)t0 / VL * kept->key_block;
    float s[FEW_QUERIES * PARE_KEY_STRETCH], rest[FEW_QUERIES];
    uint32_t b = 0;
    for (; b + TILE_VECS <= blocks; b += TILE_VECS)
        few_scores(bits, m, TILE_VECS, kept, keys + b * kept->key_block, q, s + b * VL);
    for (; b < blocks; b++)
        few_scores(bits, m, 1, kept, keys + b * kept->key_block, q, s + b * VL);
    for (int i = 0; i < m; i++) {
        float *row = s + (size_t)i * PARE_KEY_STRETCH;
        scale_scores(kept, h, kept->bits > 8 ? 0 : feature_sum(q + (size_t)i * dk, dk), row, t0,
                     t0 + blocks * VL);
        rest[i] = weigh(a, h, row, t0, first, last, last + 1, sums + i * stride);
    }
    few_values(bits, m, kept, h->values + (size_t)t0 * kept->value_row, last + 1 - t0, s, rest,
               sums, stride);
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

/* What rows of queries share: keys t0..t0 + tokens and their values as panels, those of keys
 * beginning anew with every stretch. */
struct many {
    const struct pare_attend *a;
    const struct kept_head *h;
    uint32_t t0, tokens;
    const float *keys, *values;
    float *scores, *next, *all; /* of PARE_QUERY_BLOCK rows: of a stretch, its sums, all sums */
};

INLINE uint32_t stretch_end(uint32_t t)
{
    return (t / PARE_KEY_STRETCH + 1) * PARE_KEY_STRETCH;
}

/* m rows from m0 on over the keys from..to, which are of one stretch. */
static void attend_stretch(const struct many *x, const float *q, uint32_t m0, uint32_t m,
                           uint32_t from, uint32_t to)
{
    const struct pare_attend *a = x->a;
    const struct pare_kept *kept = a->kept;
    const uint32_t dk = kept->key_width, dv = kept->value_width, nr = TILE_VECS * VL;
    /* Panels have the tokens that the last row of all sees. */
    const uint32_t packed = PARE_MIN(stretch_end(from), x->t0 + x->tokens);
    const uint32_t d_padded = whole_vectors(dv), padded = whole_vectors(packed - from);
    const size_t stride = sums_stride(dv);
    for (uint32_t t = 0; t < to - from; t += nr)
        panel_f32(m, dk, q, a->q_stride, x->keys + (size_t)(from - x->t0 + t) * dk, x->scores + t,
                  PARE_KEY_STRETCH, PARE_MIN(nr, padded - t), true, NULL, (struct ahead){0});
    float rest[PARE_QUERY_BLOCK];
    for (uint32_t i = 0; i < m; i++) {
        float *s = x->scores + (size_t)i * PARE_KEY_STRETCH;
        scale_scores(kept, x->h, kept->bits > 8 ? 0 : feature_sum(q + i * a->q_stride, dk), s, from,
                     to);
        rest[i] = weigh(a, x->h, s, from, PARE_MIN(PARE_MAX(first_seen(a, m0 + i), from), to),
                        PARE_MIN(a->past + m0 + i, to - 1), to, x->next + i * stride);
    }
    for (uint32_t d = 0; d < dv; d += nr) {
        const uint32_t width = PARE_MIN(nr, d_padded - d);
        panel_f32(m, to - from, x->scores, PARE_KEY_STRETCH,
                  x->values + (size_t)d * x->tokens + (size_t)(from - x->t0) * width, x->next + d,
                  stride, width, true, NULL, (struct ahead){0});
    }
    for (uint32_t i = 0; i < m && kept->bits <= 8; i++)
        for (uint32_t d = 0; d < d_padded; d += VL)
            vf_store(x->next + i * stride + d,
                     vf_add(vf_load(x->next + i * stride + d), vf_set1(rest[i])));
}

/* A block of rows of one head. */
static void attend_block(const struct many *x, uint32_t head, uint32_t m0)
{
    const struct pare_attend *a = x->a;
    const uint32_t dv = a->kept->value_width, m = PARE_MIN(PARE_QUERY_BLOCK, a->rows - m0);
    const uint32_t end = a->past + m0 + m; /* what the last of these rows sees */
    const size_t stride = sums_stride(dv);
    const float *q = a->q + (size_t)head * a->kept->key_width + m0 * a->q_stride;
    for (uint32_t from = x->t0, to; from < end; from = to) {
        to = PARE_MIN(stretch_end(from), end);
        attend_stretch(x, q, m0, m, from, to);
        for (uint32_t i = 0; i < m; i++) {
            const uint32_t first = first_seen(a, m0 + i);
            float *all = x->all + i * stride, *next = x->next + i * stride;
            if (first >= to || a->past + m0 + i < from)
                continue;
            if (first >= from)
                memcpy(all, next, stride * sizeof *all);
            else
                join_sums(all, next, dv);
        }
    }
    for (uint32_t i = 0; i < m; i++)
        end_sums(x->all + i * stride, dv, a->out + (m0 + i) * a->out_stride + (size_t)head * dv);
}

INLINE void attend_many(const int bits, const struct pare_attend *a, const struct kept_head *h)
{
    const struct pare_kept *kept = a->kept;
    const uint32_t dk = kept->key_width, dv = kept->value_width, nr = TILE_VECS * VL;
    const uint32_t t0 = first_seen(a, 0) / VL * VL, end = a->past + a->rows, tokens = end - t0;
    const uint32_t t_padded = whole_vectors(tokens), d_padded = whole_vectors(dv);
    float *keys = a->scratch, *values = keys + (size_t)t_padded * dk;
    struct many m = {.a = a, .h = h, .t0 = t0, .tokens = tokens, .keys = keys, .values = values};
    m.scores = values + (size_t)d_padded * t_padded;
    m.next = m.scores + (size_t)PARE_QUERY_BLOCK * PARE_KEY_STRETCH;
    m.all = m.next + (size_t)PARE_QUERY_BLOCK * sums_stride(dv);
    for (uint32_t from = t0, to; from < end; from = to) {
        to = PARE_MIN(stretch_end(from), end);
        for (uint32_t t = from; t < to; t += nr)
            take_keys(bits, kept, h, t, PARE_MIN(t + nr, to), keys + (size_t)(t - t0) * dk);
    }
    for (uint32_t d = 0; d < dv; d += nr)
        take_values(bits, kept, h, t0, end, d, (PARE_MIN(nr, dv - d) + VL - 1) / VL,
                    values + (size_t)d * tokens);
    for (uint32_t head = 0; head < a->n; head++)
        for (uint32_t m0 = 0; m0 < a->rows; m0 += PARE_QUERY_BLOCK)
            attend_block(&m, head, m0);
}

/* Heads of the one row from `head` on, up to FEW_QUERIES, over a stretch; returns how many. */
INLINE uint32_t attend_some(const int bits, const struct pare_attend *a, const struct kept_head *h,
                            uint32_t head, uint32_t stretch, float *sums, size_t stride)
{
    const float *q = a->q + (size_t)head * a->kept->key_width;
    const uint32_t m = PARE_MIN(a->n - head, (uint32_t)FEW_QUERIES);
    switch (m) {
    case 4:
        attend_few(bits, 4, a, h, q, stretch, sums, stride);
        break;
    case 3:
        attend_few(bits, 3, a, h, q, stretch, sums, stride);
        break;
    case 2:
        attend_few(bits, 2, a, h, q, stretch, sums, stride);
        break;
    default:
        attend_few(bits, 1, a, h, q, stretch, sums, stride);
        break;
    }
    return m;
}

/* The one row over all that it sees. */
INLINE void attend_one(const int bits, const struct pare_attend *a, const struct kept_head *h)
{
    const uint32_t dv = a->kept->value_width;
    const uint32_t begin = first_seen(a, 0) / PARE_KEY_STRETCH, end = a->past / PARE_KEY_STRETCH;
    const size_t stride = sums_stride(dv);
    float *all = a->scratch, *next = all + FEW_QUERIES * stride;
    for (uint32_t head = 0, m; head < a->n; head += m) {
        m = attend_some(bits, a, h, head, begin, all, stride);
        for (uint32_t stretch = begin + 1; stretch <= end; stretch++) {
            attend_some(bits, a, h, head, stretch, next, stride);
            for (uint32_t i = 0; i < m; i++)
                join_sums(all + i * stride, next + i * stride, dv);
        }
        for (uint32_t i = 0; i < m; i++)
            end_sums(all + i * stride, dv, a->out + (size_t)(head + i) * dv);
    }
}

INLINE void attend_bits(const int bits, const struct pare_attend *a)
{
    const struct kept_head h = kept_head(a->kept, a->data, a->kv_head);
    if (a->rows > 1)
        attend_many(bits, a, &h);
    else if (!a->sums)
        attend_one(bits, a, &h);
    for (uint32_t head = 0; a->sums && head < a->n;)
        head += attend_some(bits, a, &h, head, a->stretch, a->sums + head * a->sums_stride,
                            a->sums_stride);
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
