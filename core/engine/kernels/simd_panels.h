/* SPDX-License-Identifier: Apache-2.0 */
/* Products of float inputs and weights of any width. For many rows a panel of the weight is brought
 * to floats and used by all of them. One row, as a language model writes, uses every number once:
 * it goes from memory through registers. Both round in the same places, so a row's bits are the
 * same either way. */
#ifndef PARE_SIMD_PANELS_H
#define PARE_SIMD_PANELS_H

#include "engine/kernels/simd_gemm.h"

/* How a weight's numbers lie in a panel: row after row of columns, of 4 bits two columns in a row
 * of bytes. */
enum panel_form { FORM_F32, FORM_F16, FORM_BF16, FORM_CODES8, FORM_CODES4 };

INLINE uint32_t form_bytes(const enum panel_form form)
{
    return form == FORM_F32 ? 4 : form == FORM_F16 || form == FORM_BF16 ? 2 : 1;
}

/* VL floats or halves. */
INLINE vf load_floats(const void *at, const enum panel_form form)
{
    return form == FORM_F32 ? vf_load(at) : form == FORM_F16 ? vf_load_f16(at) : vf_load_bf16(at);
}

/* The low 4 bits of every lane as floats. What is left beside it by AVX-512's permutation, which
 * looks at no other bits, shares the work between the units for permutations and conversions. */
struct nibbles {
#if PARE_VEC == 16
    vf table;
#else
    vi mask;
#endif
};
INLINE struct nibbles nibbles_new(void)
{
#if PARE_VEC == 16
    return (struct nibbles){_mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)};
#else
    return (struct nibbles){vi_set1(15)};
#endif
}
INLINE vf nibbles_low(struct nibbles n, vi codes)
{
#if PARE_VEC == 16
    return _mm512_permutexvar_ps(codes, n.table);
#else
    return vf_from_int(vi_and(codes, n.mask));
#endif
}
INLINE vf nibbles_high(vi codes)
{
    return vf_from_int(vi_shr(codes, 4));
}

/* A number is scale * code + shift: scale * (code - zero), scale * code + minimum, or scale *
 * (stored code - bias). Products of scale and code are exact, so that it rounds as the reference.
 */
struct code_scale {
    vf scale, shift;
};
INLINE struct code_scale code_scale(const struct pare_packed *w, size_t at)
{
    struct code_scale s = {.scale = load_scale((const char *)w->scales, at, w->half)};
    if (w->zeros)
        s.shift = load_scale((const char *)w->zeros, at, w->half);
    else
        s.shift = vf_set1((float)w->code_bias);
    if (w->zero_kind != PARE_ZERO_MIN)
        s.shift = vf_mul(vf_sub(vf_zero(), s.shift), s.scale);
    return s;
}

INLINE vf code8(const uint8_t *at, const bool shifted)
{
    return vf_from_int(shifted ? vi_widen_u8(at) : vi_widen_s8(at));
}

INLINE vf scaled(vf code, const struct code_scale *s, const bool shifted)
{
    return shifted ? vf_fma(code, s->scale, s->shift) : vf_mul(code, s->scale);
}

/* ---- many rows ---- */

INLINE const float *decode_none(const struct pare_packed *w, uint32_t panel, uint32_t k0,
                                uint32_t k1, uint32_t padded, float *scratch)
{
    (void)k1, (void)scratch;
    const char *data = w->data;
    return (const float *)(const void *)(data + panel * w->panel_bytes) + (size_t)k0 * padded;
}

INLINE const float *decode_halves(const struct pare_packed *w, uint32_t panel, uint32_t k0,
                                  uint32_t k1, uint32_t padded, float *scratch,
                                  const enum panel_form form)
{
    const uint16_t *at =
        (const uint16_t *)(const void *)((const char *)w->data + panel * w->panel_bytes) +
        (size_t)k0 * padded;
    for (size_t i = 0; i < (size_t)(k1 - k0) * padded; i += VL)
        vf_store(scratch + i, load_floats(at + i, form));
    return scratch;
}

/* Columns k0..k1, all of one group, of VL outputs; of 4 bits there is room for one beyond the last.
 */
INLINE void decode_vector(const uint8_t *row, uint32_t k0, uint32_t k1, uint32_t padded,
                          const struct code_scale *s, float *out, const enum panel_form form,
                          const bool shifted)
{
    const struct nibbles nibbles = nibbles_new();
    const uint32_t step = form == FORM_CODES4 ? 2 : 1;
    for (uint32_t k = k0; k < k1; k += step, row += padded, out += (size_t)step * padded) {
        if (form == FORM_CODES8) {
            vf_store(out, scaled(code8(row, shifted), s, shifted));
            continue;
        }
        const vi both = vi_widen_u8(row);
        vf_store(out, scaled(nibbles_low(nibbles, both), s, shifted));
        vf_store(out + padded, scaled(nibbles_high(both), s, shifted));
    }
}

INLINE const float *decode_codes(const struct pare_packed *w, uint32_t panel, uint32_t k0,
                                 uint32_t k1, uint32_t padded, float *scratch,
                                 const enum panel_form form, const bool shifted)
{
    const uint8_t *codes = (const uint8_t *)w->data + panel * w->panel_bytes;
    const uint32_t step = form == FORM_CODES4 ? 2 : 1;
    for (uint32_t k = k0, end; k < k1; k = end) {
        const uint32_t g = k / w->group;
        const size_t at = ((size_t)panel * w->groups + g) * w->panel;
        end = PARE_MIN((g + 1) * w->group, k1);
        for (uint32_t j = 0; j < padded; j += VL) {
            const struct code_scale s = code_scale(w, at + j);
            decode_vector(codes + (size_t)(k / step) * padded + j, k, end, padded, &s,
                          scratch + (size_t)(k - k0) * padded + j, form, shifted);
        }
    }
    return scratch;
}

/* ---- one row ---- */

#define TOKEN_PANELS 2 /* side by side: enough chains to hide the latency of additions */
#define EACH_TOKEN_VEC(body)                                                                       \
    {                                                                                              \
        UNROLL                                                                                     \
        for (int i = 0; i < panels; i++) {                                                         \
            UNROLL                                                                                 \
            for (int j = 0; j < vecs; j++)                                                         \
                body;                                                                              \
        }                                                                                          \
    }

/* Add a column times its input, of 4-bit codes two if `second` says so. */
INLINE vf token_add(vf acc, const uint8_t *from, vf x, vf x_second, const bool second,
                    const struct code_scale *s, const enum panel_form form, const bool shifted)
{
    if (form < FORM_CODES8)
        return vf_fma(x, load_floats(from, form), acc);
    if (form == FORM_CODES8)
        return vf_fma(x, scaled(code8(from, shifted), s, shifted), acc);
    const vi both = vi_widen_u8(from);
    acc = vf_fma(x, scaled(nibbles_low(nibbles_new(), both), s, shifted), acc);
    return second ? vf_fma(x_second, scaled(nibbles_high(both), s, shifted), acc) : acc;
}

/* Sums of one row for `panels` neighbouring panels, each `vecs` vectors wide. */
INLINE void token_tile(const struct pare_job *job, uint32_t p, const int panels, const int vecs,
                       const enum panel_form form, const bool shifted)
{
    const struct pare_packed *w = job->w;
    const float *x = job->x + (size_t)job->m0 * w->k;
    const uint32_t vec_bytes = VL * form_bytes(form);
    const uint32_t step = form == FORM_CODES4 ? 2 : 1;
    const uint8_t *at = (const uint8_t *)w->data + p * w->panel_bytes;
    vf acc[TOKEN_PANELS][TILE_VECS];
    EACH_TOKEN_VEC(acc[i][j] = vf_zero())
    for (uint32_t g = 0, k = 0; g < w->groups; g++) {
        const uint32_t end = PARE_MIN((g + 1) * w->group, w->k);
        struct code_scale s[TOKEN_PANELS][TILE_VECS];
        if (form >= FORM_CODES8)
            EACH_TOKEN_VEC(
                s[i][j] = code_scale(w, ((size_t)(p + (uint32_t)i) * w->groups + g) * w->panel +
                                            (size_t)j * VL))
        for (; k + step <= end; k += step, at += (uint32_t)vecs * vec_bytes) {
            const vf first = vf_set1(x[k]), second = step == 2 ? vf_set1(x[k + 1]) : first;
            EACH_TOKEN_VEC({
                const uint8_t *from = at + (size_t)i * w->panel_bytes + (uint32_t)j * vec_bytes;
                if (vec_bytes > VL || j == 0)
                    _mm_prefetch((const char *)from + STREAM_AHEAD, _MM_HINT_T0);
                acc[i][j] =
                    token_add(acc[i][j], from, first, second, true, &s[i][j], form, shifted);
            })
        }
        if (step == 2 && k < end) { /* an odd column, the last */
            const vf first = vf_set1(x[k++]);
            EACH_TOKEN_VEC(acc[i][j] = token_add(
                               acc[i][j], at + (size_t)i * w->panel_bytes + (uint32_t)j * vec_bytes,
                               first, first, false, &s[i][j], form, shifted))
        }
    }
    UNROLL
    for (int i = 0; i < panels; i++)
        end_row(job, job->m0, (p + (uint32_t)i) * w->panel, vecs, acc[i]);
}

INLINE void token_panels(const struct pare_job *job, const enum panel_form form, const bool shifted)
{
    const struct pare_packed *w = job->w;
    for (uint32_t p = job->p0; p < job->p1; p++) {
        const uint32_t left = (w->n - p * w->panel + VL - 1) / VL; /* vectors */
        if (left >= TOKEN_PANELS * TILE_VECS && p + 1 < job->p1)
            token_tile(job, p++, TOKEN_PANELS, TILE_VECS, form, shifted);
        else if (left >= TILE_VECS)
            token_tile(job, p, 1, TILE_VECS, form, shifted);
        else if (left == 2)
            token_tile(job, p, 1, 2, form, shifted);
        else
            token_tile(job, p, 1, 1, form, shifted);
    }
}

/* ---- both ---- */

static void simd_dense(const struct pare_job *job)
{
    if (job->m1 - job->m0 == 1)
        token_panels(job, FORM_F32, false);
    else
        product_panels(job, decode_none);
}

#define HALVES(name, form)                                                                         \
    static const float *decode_##name(const struct pare_packed *w, uint32_t panel, uint32_t k0,    \
                                      uint32_t k1, uint32_t padded, float *scratch)                \
    {                                                                                              \
        return decode_halves(w, panel, k0, k1, padded, scratch, form);                             \
    }                                                                                              \
    static void name(const struct pare_job *job)                                                   \
    {                                                                                              \
        if (job->m1 - job->m0 == 1)                                                                \
            token_panels(job, form, false);                                                        \
        else                                                                                       \
            product_panels(job, decode_##name);                                                    \
    }
HALVES(simd_f16, FORM_F16)
HALVES(simd_bf16_weight, FORM_BF16)

/* Constants, so that the choice leaves the loops. */
#define CODES(name, form, shifted)                                                                 \
    static const float *decode_##name(const struct pare_packed *w, uint32_t panel, uint32_t k0,    \
                                      uint32_t k1, uint32_t padded, float *scratch)                \
    {                                                                                              \
        return decode_codes(w, panel, k0, k1, padded, scratch, form, shifted);                     \
    }                                                                                              \
    static void name(const struct pare_job *job)                                                   \
    {                                                                                              \
        if (job->m1 - job->m0 == 1)                                                                \
            token_panels(job, form, shifted);                                                      \
        else                                                                                       \
            product_panels(job, decode_##name);                                                    \
    }
CODES(simd_codes4, FORM_CODES4, true)
CODES(codes8_shifted, FORM_CODES8, true)
CODES(codes8_plain, FORM_CODES8, false)

static void simd_codes8(const struct pare_job *job)
{
    if (job->w->zeros)
        codes8_shifted(job);
    else
        codes8_plain(job);
}

#endif
