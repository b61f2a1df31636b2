/* SPDX-License-Identifier: Apache-2.0 */
/* Products of integers whose inputs have a scale per 32 columns (struct pare_blocks). Codes lie as
 * bytes or two to a byte, and either way four inputs are multiplied at a time: with VNNI as they
 * are (unsigned codes times signed inputs), without by pairs in 16 bits, which cannot saturate:
 * codes of 4 bits stay small, those of 8 give their sign to the input first. Sums over 16 or 32
 * columns are exact; scales are applied to them in float. */
#ifndef PARE_SIMD_BLOCKS_H
#define PARE_SIMD_BLOCKS_H

#include "engine/kernels/simd_attend.h"
#include "engine/kernels/simd_int8.h"

#define BLOCK_ROWS (PARE_VEC == 16 ? 4 : 2)

#if PARE_VEC == 16
#define vi_and_bytes(a, x) _mm512_and_si512(a, _mm512_set1_epi8(x))
#define vi_shr16(a, n) _mm512_srli_epi16(a, n)
#define vi_add16(a, b) _mm512_add_epi16(a, b)
#define vi_abs8(a) _mm512_abs_epi8(a)
#define vi_maddubs(a, b) _mm512_maddubs_epi16(a, b)
#define vi_ones16() _mm512_set1_epi16(1)
#define vi_signed(x, w) _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x)
#else
#define vi_and_bytes(a, x) _mm256_and_si256(a, _mm256_set1_epi8(x))
#define vi_shr16(a, n) _mm256_srli_epi16(a, n)
#define vi_add16(a, b) _mm256_add_epi16(a, b)
#define vi_abs8(a) _mm256_abs_epi8(a)
#define vi_maddubs(a, b) _mm256_maddubs_epi16(a, b)
#define vi_ones16() _mm256_set1_epi16(1)
#define vi_signed(x, w) _mm256_sign_epi8(x, w)
#endif

struct block_tile {
    const int8_t *x;            /* codes of the first row */
    size_t ldx;                 /* bytes between rows */
    size_t x_scales, x_sums;    /* bytes from a row's codes */
    const uint8_t *w;           /* the panel, [k / 4 or 8][padded][4] */
    const char *scales, *zeros; /* [group][panel], f32 or f16 */
    bool half;
    int32_t offset; /* a code is what is stored, plus this */
    uint32_t span;  /* columns summed as integers */
    uint32_t spans, group, panel, width;
    float *y;
    size_t ldy;
    const struct tile_end *end;
};

/* Four columns of codes of 8 bits. Without VNNI `w` is signed. */
INLINE void block_dot8(vi *acc, vi w, const int8_t *x)
{
#ifdef PARE_VNNI
    dot4(acc, w, vi_spread4(x));
#else
    *acc =
        vi_add(*acc, vi_madd16(vi_maddubs(vi_abs8(w), vi_signed(vi_spread4(x), w)), vi_ones16()));
#endif
}

/* The same of 4 bits: without VNNI into sums of 16 bits, of at most 8 pairs of 15 * 127. */
INLINE void block_dot4(vi *acc, vi w, const int8_t *x)
{
#ifdef PARE_VNNI
    dot4(acc, w, vi_spread4(x));
#else
    *acc = vi_add16(*acc, vi_maddubs(w, vi_spread4(x)));
#endif
}

INLINE void span_sums(const int rows, const int vecs, const bool four,
                      vi out[BLOCK_ROWS][TILE_VECS], const int8_t *x, size_t ldx, const uint8_t *w,
                      uint32_t span, const int32_t start[BLOCK_ROWS])
{
    vi acc[BLOCK_ROWS][TILE_VECS];
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vecs; j++) {
#ifdef PARE_VNNI
            acc[i][j] = vi_set1(start[i]);
#else
            acc[i][j] = four ? vi_zero() : vi_set1(start[i]);
#endif
        }
    }
    for (uint32_t k = 0; k < span; k += four ? 8 : 4) {
        vi low[TILE_VECS], high[TILE_VECS];
        UNROLL
        for (int j = 0; j < vecs; j++) {
            const vi both = vi_load(w + j * VL * 4);
            if (rows == 1) /* a single pass over the weight: from memory, line by line */
                _mm_prefetch((const char *)w + (size_t)j * VL * 4 + STREAM_AHEAD, _MM_HINT_T0);
            low[j] = four ? vi_and_bytes(both, 15) : both;
            high[j] = four ? vi_and_bytes(vi_shr16(both, 4), 15) : both;
        }
        w += (size_t)vecs * VL * 4;
        UNROLL
        for (int i = 0; i < rows; i++) {
            const int8_t *at = x + (size_t)i * ldx + k;
            UNROLL
            for (int j = 0; j < vecs; j++) {
                if (four)
                    block_dot4(&acc[i][j], low[j], at);
                else
                    block_dot8(&acc[i][j], low[j], at);
            }
            if (!four)
                continue;
            UNROLL
            for (int j = 0; j < vecs; j++)
                block_dot4(&acc[i][j], high[j], at + 4);
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vecs; j++) {
#ifdef PARE_VNNI
            out[i][j] = acc[i][j];
#else
            out[i][j] =
                four ? vi_add(vi_madd16(acc[i][j], vi_ones16()), vi_set1(start[i])) : acc[i][j];
#endif
        }
    }
}

INLINE void tile_block(const int rows, const int vecs, const bool four, const struct block_tile *t)
{
    vf y[BLOCK_ROWS][TILE_VECS];
    const uint32_t padded = (uint32_t)vecs * VL;
    const vm tail = vm_first(t->width - (uint32_t)(vecs - 1) * VL), all = vm_first(VL);
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vecs; j++)
            y[i][j] = vf_zero();
    }
    for (uint32_t s = 0; s < t->spans; s++) {
        const uint32_t k = s * t->span;
        const size_t group = (size_t)(k / t->group) * t->panel;
        vi acc[BLOCK_ROWS][TILE_VECS];
        int32_t sums[BLOCK_ROWS], start[BLOCK_ROWS];
        UNROLL
        for (int i = 0; i < rows; i++) {
            const char *row = (const char *)t->x + (size_t)i * t->ldx + t->x_sums;
            const int32_t *sum = (const int32_t *)(const void *)row + k / PARE_SUM_SPAN;
            sums[i] = t->span == PARE_SUM_SPAN ? sum[0] : sum[0] + sum[1];
            start[i] = t->offset * sums[i];
        }
        span_sums(rows, vecs, four, acc, t->x + k, t->ldx,
                  t->w + (size_t)k / (four ? 2 : 1) * padded, t->span, start);
        vf scale[TILE_VECS];
        UNROLL
        for (int j = 0; j < vecs; j++)
            scale[j] = load_scale(t->scales, group + (size_t)j * VL, t->half);
        UNROLL
        for (int i = 0; i < rows; i++) {
            const char *row = (const char *)t->x + (size_t)i * t->ldx + t->x_scales;
            const float x_scale = ((const float *)(const void *)row)[k / PARE_ACTIVATION_GROUP];
            const vf factor = vf_set1(x_scale);
            UNROLL
            for (int j = 0; j < vecs; j++)
                y[i][j] = vf_fma(vf_mul(scale[j], factor), vf_from_int(acc[i][j]), y[i][j]);
            if (!t->zeros)
                continue;
            const vf inputs = vf_set1(x_scale * (float)sums[i]);
            UNROLL
            for (int j = 0; j < vecs; j++)
                y[i][j] =
                    vf_fma(load_scale(t->zeros, group + (size_t)j * VL, t->half), inputs, y[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        const float *residual =
            t->end->residual ? t->end->residual + (size_t)i * t->end->ld_residual : NULL;
        UNROLL
        for (int j = 0; j < vecs; j++) {
            const vm mask = j == vecs - 1 ? tail : all;
            vf_store_m(t->y + (size_t)i * t->ldy + j * VL, mask,
                       end_vec(y[i][j], t->end, residual, (size_t)j * VL, mask));
        }
    }
}

typedef void (*tile_block_fn)(const struct block_tile *t);

#define TILE_BLOCK(R, V)                                                                           \
    static void tile_block8_##R##x##V(const struct block_tile *t)                                  \
    {                                                                                              \
        tile_block(R, V, false, t);                                                                \
    }                                                                                              \
    static void tile_block4_##R##x##V(const struct block_tile *t)                                  \
    {                                                                                              \
        tile_block(R, V, true, t);                                                                 \
    }
#define TILE_BLOCK8_ENTRY(R, V) [V - 1][R - 1] = tile_block8_##R##x##V,
#define TILE_BLOCK4_ENTRY(R, V) [V - 1][R - 1] = tile_block4_##R##x##V,
#if PARE_VEC == 16
#define EACH_BLOCK_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V)
#define EACH_BLOCK(X) EACH_BLOCK_ROWS(X, 1) EACH_BLOCK_ROWS(X, 2) EACH_BLOCK_ROWS(X, 3)
#else
#define EACH_BLOCK_ROWS(X, V) X(1, V) X(2, V)
#define EACH_BLOCK(X) EACH_BLOCK_ROWS(X, 1) EACH_BLOCK_ROWS(X, 2)
#endif
EACH_BLOCK(TILE_BLOCK)
static const tile_block_fn tiles_block8[TILE_VECS][BLOCK_ROWS] = {EACH_BLOCK(TILE_BLOCK8_ENTRY)};
static const tile_block_fn tiles_block4[TILE_VECS][BLOCK_ROWS] = {EACH_BLOCK(TILE_BLOCK4_ENTRY)};

INLINE void product_blocks(const struct pare_job *job, const tile_block_fn (*tiles)[BLOCK_ROWS])
{
    const struct pare_packed *w = job->w;
    const struct pare_blocks b = pare_blocks_of(w->k);
    const uint32_t m = job->m1 - job->m0, count = (m + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const size_t scale_size = w->half ? sizeof(uint16_t) : sizeof(float);
    for (uint32_t p = job->p0; p < job->p1; p++) {
        const uint32_t n0 = p * w->panel, width = PARE_MIN(w->panel, w->n - n0);
        const uint32_t vecs = (width + VL - 1) / VL;
        const size_t scales = (size_t)p * w->groups * w->panel * scale_size;
        const size_t scale_bytes = (size_t)w->groups * w->panel * scale_size;
        for (uint32_t i = 0, at = 0; i < count; i++) {
            const uint32_t rows = (m - at + count - i - 1) / (count - i), r = job->m0 + at;
            const struct tile_end end = end_of(job, r, n0);
            const struct block_tile t = {
                .x = (const int8_t *)job->blocks + r * b.bytes,
                .ldx = b.bytes,
                .x_scales = b.scales,
                .x_sums = b.sums,
                .w = (const uint8_t *)w->data + p * w->panel_bytes,
                .scales = (const char *)w->scales + scales,
                .zeros = w->zeros ? (const char *)w->zeros + scales : NULL,
                .half = w->half,
                .offset = w->offset,
                .span = w->span,
                .spans = (w->k + w->span - 1) / w->span,
                .group = w->group,
                .panel = w->panel,
                .width = width,
                .y = job->y + (size_t)r * w->n + n0,
                .ldy = w->n,
                .end = &end,
            };
            if (m > 1)
                fetch_ahead((struct ahead){(const char *)t.w + w->panel_bytes, w->panel_bytes}, i,
                            count);
            fetch_ahead((struct ahead){t.scales + scale_bytes, scale_bytes}, i, count);
            tiles[vecs - 1][rows - 1](&t);
            if (job->end.activation)
                for (uint32_t row = 0; row < rows; row++)
                    simd_activate(job->end.activation, t.y + row * t.ldy, t.y + row * t.ldy, width);
            at += rows;
        }
    }
}

static void simd_blocks8(const struct pare_job *job)
{
    product_blocks(job, tiles_block8);
}

static void simd_blocks4(const struct pare_job *job)
{
    product_blocks(job, tiles_block4);
}

/* absmax / 127 per block, codes rounded to nearest, ties to even. A block that is not finite gets a
 * scale of NaN, so that it stays visible. */
static void simd_quantize_blocks(const float *x, uint32_t rows, uint32_t k, void *out)
{
    const struct pare_blocks b = pare_blocks_of(k);
    char *row = out;
    for (uint32_t r = 0; r < rows; r++, x += k, row += b.bytes) {
        int8_t *codes = (int8_t *)row;
        float *scales = (float *)(void *)(row + b.scales);
        int32_t *sums = (int32_t *)(void *)(row + b.sums);
        for (uint32_t g = 0; g < b.groups; g++) {
            enum { VECS = PARE_ACTIVATION_GROUP / VL, EACH = PARE_SUM_SPAN / VL };
            const uint32_t k0 = g * PARE_ACTIVATION_GROUP;
            vf v[VECS], most = vf_zero(), bad = vf_zero();
            UNROLL
            for (uint32_t j = 0; j < VECS; j++) {
                const uint32_t at = k0 + j * VL;
                v[j] = at < k ? load_part(x, at, k) : vf_zero();
                most = vf_max(most, vf_abs(v[j]));
                bad = vf_fma(v[j], vf_zero(), bad);
            }
            const float top = vf_highest(most);
            const vf inv = vf_set1(top > 0 ? 127.0f / top : 0.0f);
            scales[g] = top / 127.0f + vf_sum(bad);
            vf part = vf_zero();
            UNROLL
            for (uint32_t j = 0; j < VECS; j++) {
                const vf code = vf_round(vf_mul(v[j], inv));
                vi_store_s8(codes + k0 + j * VL, vf_to_int(code));
                part = vf_add(part, code);
                if ((j + 1) % EACH)
                    continue;
                sums[(k0 + j * VL) / PARE_SUM_SPAN] = (int32_t)vf_sum(part);
                part = vf_zero();
            }
        }
    }
}

#endif
