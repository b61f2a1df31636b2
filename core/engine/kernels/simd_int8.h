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
    const uint8_t *control; /* sparse: places, in the form of the tile */
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
            if (rows == 1)
                _mm_prefetch((const char *)w + j * VL * K_STEP + STREAM_AHEAD, _MM_HINT_T0);
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

/* What a tile multiplies. */
enum int_form {
    INT_DENSE,
    INT_PLACES,  /* 4 of 8 columns, whose places are a byte each */
    INT_PLACES4, /* ... 4 bits each, as they are packed */
    INT_PLACES2  /* 2 of 4 columns twice, places of 2 bits each */
};

#ifdef PARE_VNNI
/* Places of VL outputs, 4 bits or 2 each, as bytes: those of the second 4 of 2:4 begin at 4, and
 * odd outputs pick from the second 8 of 16 bytes. */
INLINE vi spread_places(const uint8_t *at, const enum int_form form)
{
    const vi odd = _mm512_set1_epi64(0x0808080800000000);
    if (form == INT_PLACES4) {
        const vi two = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)at));
        const vi one = vi_and(_mm512_or_si512(two, vi_shl(two, 8)), vi_set1(0x00ff00ff));
        return _mm512_or_si512(vi_and(_mm512_or_si512(one, vi_shl(one, 4)), vi_set1(0x07070707)),
                               odd);
    }
    const vi four = vi_widen_u8(at), two = _mm512_or_si512(four, vi_shl(four, 12));
    const vi one = vi_and(_mm512_or_si512(two, vi_shl(two, 6)), vi_set1(0x03030303));
    return _mm512_or_si512(one, _mm512_or_si512(odd, vi_set1(0x04040000)));
}

/* Bytes of the places of as many outputs and 8 columns. */
INLINE size_t place_bytes(const enum int_form form, size_t outputs)
{
    return form == INT_PLACES ? 4 * outputs : form == INT_PLACES4 ? 2 * outputs : outputs;
}

/* 4 of every 8 columns: 8 inputs to every 64 bits, picked by each output's places, then one dot
 * product. */
INLINE void group_sparse(const int rows, const int vecs, const enum int_form form,
                         vi out[INT_ROWS][TILE_VECS], const uint8_t *x, size_t ldx, const int8_t *w,
                         const uint8_t *control, uint32_t steps)
{
    vi acc[INT_ROWS][TILE_VECS];
    ZERO_TILE(acc)
    for (uint32_t s = 0; s < steps; s++) {
        vi wv[TILE_VECS], cv[TILE_VECS];
        UNROLL
        for (int j = 0; j < vecs; j++) {
            wv[j] = vi_load(w + j * VL * 4);
            cv[j] = form == INT_PLACES ? vi_load(control + j * VL * 4)
                                       : spread_places(control + place_bytes(form, j * VL), form);
            if (rows == 1)
                _mm_prefetch((const char *)w + j * VL * 4 + STREAM_AHEAD, _MM_HINT_T0);
        }
        if (rows == 1)
            _mm_prefetch((const char *)control + STREAM_AHEAD, _MM_HINT_T0);
        w += (size_t)vecs * VL * 4;
        control += place_bytes(form, (size_t)vecs * VL);
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

/* Places of a panel for many rows: spread once. */
INLINE void spread_panel(const uint8_t *places, size_t outputs, uint32_t steps, uint8_t *out,
                         const enum int_form form)
{
    for (size_t i = 0; i < outputs * steps; i += VL)
        _mm512_storeu_si512(out + i * 4, spread_places(places + place_bytes(form, i), form));
}
#endif

INLINE void tile_int(const int rows, const int vecs, const enum int_form form,
                     const struct int_tile *t)
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
        if (form != INT_DENSE)
            group_sparse(rows, vecs, form, acc, x, t->ldx, t->w + (size_t)k0 / 2 * padded,
                         t->control + place_bytes(form, (size_t)k0 / 8 * padded), (k1 - k0) / 8);
        else
#endif
            group_dense(rows, vecs, acc, x, t->ldx, t->w + (size_t)k0 * padded, (k1 - k0) / K_STEP);
        (void)form;
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
        tile_int(R, V, INT_DENSE, t);                                                              \
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
        tile_int(R, V, INT_PLACES, t);                                                             \
    }
#define TILE_SPARSE_ENTRY(R, V) [V - 1][R - 1] = tile_sparse_##R##x##V,
EACH_SPARSE(TILE_SPARSE)
static const tile_int_fn tiles_sparse[TILE_VECS][SPARSE_ROWS] = {EACH_SPARSE(TILE_SPARSE_ENTRY)};

#define TILE_PLACES(FORM, V)                                                                       \
    static void tile_##FORM##_##V(const struct int_tile *t)                                        \
    {                                                                                              \
        tile_int(1, V, FORM, t);                                                                   \
    }
TILE_PLACES(INT_PLACES4, 1)
TILE_PLACES(INT_PLACES4, 2)
TILE_PLACES(INT_PLACES4, 3)
TILE_PLACES(INT_PLACES2, 1)
TILE_PLACES(INT_PLACES2, 2)
TILE_PLACES(INT_PLACES2, 3)
static const tile_int_fn tiles_places4[] = {tile_INT_PLACES4_1, tile_INT_PLACES4_2,
                                            tile_INT_PLACES4_3};
static const tile_int_fn tiles_places2[] = {tile_INT_PLACES2_1, tile_INT_PLACES2_2,
                                            tile_INT_PLACES2_3};
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

/* Panel p as `tiles` want it, for rows m0.. in tiles of at most `most`. */
INLINE void int_panel(const struct pare_job *job, const tile_int_fn *tiles, const uint32_t most,
                      uint32_t p, const uint8_t *control, const float *x_sums)
{
    const struct pare_packed *w = job->w;
    const uint32_t m = job->m1 - job->m0, count = (m + most - 1) / most;
    const uint32_t n0 = p * w->panel, width = PARE_MIN(w->panel, w->n - n0);
    const uint32_t vecs = (width + VL - 1) / VL;
    const size_t scales = (size_t)p * w->groups * w->panel;
    for (uint32_t i = 0, at = 0; i < count; i++) {
        const uint32_t rows = (m - at + count - i - 1) / (count - i), r = job->m0 + at;
        const struct tile_end end = end_of(job, r, n0);
        const struct int_tile t = {
            .x = (const uint8_t *)job->q.codes + r * job->q.stride * CODE_SIZE,
            .ldx = job->q.stride * CODE_SIZE,
            .x_scales = job->q.scales + r,
            .w = (const int8_t *)w->data + p * w->panel_bytes,
            .control = control,
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
        if (m > 1)
            fetch_ahead((struct ahead){(const char *)(t.w + w->panel_bytes), w->panel_bytes}, i,
                        count);
        tiles[(vecs - 1) * most + rows - 1](&t);
        if (job->end.activation)
            for (uint32_t row = 0; row < rows; row++)
                simd_activate(job->end.activation, t.y + row * t.ldy, t.y + row * t.ldy, width);
        at += rows;
    }
}

static void simd_dynamic(const struct pare_job *job)
{
    const float *x_sums = job->w->zeros ? job->scratch : NULL;
    if (x_sums)
        input_sums(job, job->scratch);
    for (uint32_t p = job->p0; p < job->p1; p++)
        int_panel(job, tiles_int[0], INT_ROWS, p, NULL, x_sums);
}

#ifdef PARE_VNNI
static void simd_dynamic_sparse(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    const bool two = w->place_bits == 2;
    const uint32_t steps = w->k_padded / 8;
    for (uint32_t p = job->p0; p < job->p1; p++) {
        const uint8_t *places = w->control + p * ((size_t)steps * w->panel * w->place_bits / 2);
        const size_t padded =
            pare_round_up(PARE_MIN(w->panel, w->n - p * w->panel), VL); /* outputs */
        if (job->m1 - job->m0 == 1) {
            int_panel(job, two ? tiles_places2 : tiles_places4, 1, p, places, NULL);
            continue;
        }
        if (two)
            spread_panel(places, padded, steps, job->scratch, INT_PLACES2);
        else
            spread_panel(places, padded, steps, job->scratch, INT_PLACES4);
        int_panel(job, tiles_sparse[0], SPARSE_ROWS, p, job->scratch, NULL);
    }
}
#endif

#endif
