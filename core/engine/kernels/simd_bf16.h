/* SPDX-License-Identifier: Apache-2.0 */
/* Products of bf16 by bf16 in pairs of columns, added up in f32 (vdpbf16ps, which takes denormals
 * for 0 and rounds to nearest, whatever the control bits say). Pairs run from first to last for any
 * number of rows, so a row's bits are the same alone and among others. */
#ifndef PARE_SIMD_BF16_H
#define PARE_SIMD_BF16_H

#include "engine/kernels/simd_gemm.h"

#ifdef PARE_BF16

/* Rows r.. of panel p. Weights lie as [k / 2][vecs * VL][2]. */
INLINE void tile_bf16(const int rows, const int vecs, const struct pare_job *job, uint32_t r,
                      uint32_t p)
{
    const struct pare_packed *w = job->w;
    const char *at = (const char *)w->data + p * w->panel_bytes;
    const uint16_t *x = job->halves + (size_t)r * w->k_padded;
    vf acc[TILE_ROWS][TILE_VECS];
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vecs; j++)
            acc[i][j] = vf_zero();
    }
    for (uint32_t k = 0; k < w->k_padded; k += 2, at += (size_t)vecs * VL * 4) {
        vi wv[TILE_VECS];
        UNROLL
        for (int j = 0; j < vecs; j++) {
            wv[j] = vi_load(at + j * VL * 4);
            if (rows == 1)
                _mm_prefetch(at + j * VL * 4 + STREAM_AHEAD, _MM_HINT_T0);
        }
        UNROLL
        for (int i = 0; i < rows; i++) {
            const vi xv = vi_spread4(x + (size_t)i * w->k_padded + k);
            UNROLL
            for (int j = 0; j < vecs; j++)
                acc[i][j] = _mm512_dpbf16_ps(acc[i][j], (__m512bh)xv, (__m512bh)wv[j]);
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++)
        end_row(job, r + (uint32_t)i, p * w->panel, vecs, acc[i]);
}

typedef void (*tile_bf16_fn)(const struct pare_job *job, uint32_t r, uint32_t p);

#define TILE_BF16(R, V)                                                                            \
    static void tile_bf16_##R##x##V(const struct pare_job *job, uint32_t r, uint32_t p)            \
    {                                                                                              \
        tile_bf16(R, V, job, r, p);                                                                \
    }
#define TILE_BF16_ENTRY(R, V) [V - 1][R - 1] = tile_bf16_##R##x##V,
EACH_TILE(TILE_BF16)
static const tile_bf16_fn tiles_bf16[TILE_VECS][TILE_ROWS] = {EACH_TILE(TILE_BF16_ENTRY)};

static void simd_bf16(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    const uint32_t m = job->m1 - job->m0, tiles = tile_count(m);
    for (uint32_t p = job->p0; p < job->p1; p++) {
        const uint32_t width = PARE_MIN(w->panel, w->n - p * w->panel);
        const uint32_t vecs = (width + VL - 1) / VL;
        const struct ahead next = {(const char *)w->data + (p + 1) * w->panel_bytes,
                                   w->panel_bytes};
        for (uint32_t t = 0, at = 0; t < tiles; t++) {
            const uint32_t rows = (m - at + tiles - t - 1) / (tiles - t);
            if (m > 1)
                fetch_ahead(next, t, tiles);
            tiles_bf16[vecs - 1][rows - 1](job, job->m0 + at, p);
            at += rows;
        }
    }
}

static void simd_to_bf16(const float *x, uint32_t rows, uint32_t k, uint16_t *out)
{
    const uint32_t stride = pare_bf16_stride(k);
    for (uint32_t r = 0; r < rows; r++, x += k, out += stride) {
        for (uint32_t i = 0; i < k; i += VL) {
            const vf v = vf_load_m(x + i, vm_first(k - i));
            _mm256_mask_storeu_epi16(out + i, vm_first(stride - i), (__m256i)_mm512_cvtneps_pbh(v));
        }
    }
}

#endif

#endif
