/* SPDX-License-Identifier: Apache-2.0 */
/* N:M times float. A vector of inputs (VL columns of a row) stays in a register; for each stored
 * number every output picks its input from there by a permutation, so inputs are read once and in
 * order. */
#ifndef PARE_SIMD_NM_H
#define PARE_SIMD_NM_H

#include "engine/kernels/simd_gemm.h"

#if PARE_VEC == 16
#define NM_ROWS 6
#define vf_pick(x, index) _mm512_permutexvar_ps(index, x)
#else
#define NM_ROWS 3
#define vf_pick(x, index) _mm256_permutevar8x32_ps(x, index)
#endif

struct nm_tile {
    const float *x;
    size_t ldx;
    const float *w;       /* [block][slot][vecs * VL] */
    const uint8_t *index; /* the same */
    uint32_t k0, k1, k;   /* columns of this pass, a multiple of VL or the end; of all */
    uint32_t slots, width;
    float *c;
    size_t ldc;
    bool first;
    const struct tile_end *end;
};

INLINE void tile_nm(const int rows, const int vecs, const struct nm_tile *t)
{
    vf acc[NM_ROWS][TILE_VECS];
    const vm tail = vm_first(t->width - (uint32_t)(vecs - 1) * VL), all = vm_first(VL);
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vecs; j++)
            acc[i][j] = t->first ? vf_zero()
                                 : vf_load_m(t->c + (size_t)i * t->ldc + j * VL,
                                             j == vecs - 1 ? tail : all);
    }
    const float *w = t->w;
    const uint8_t *index = t->index;
    for (uint32_t k = t->k0; k < t->k1; k += VL) {
        const vm here = vm_first(t->k - k);
        vf xv[NM_ROWS];
        UNROLL
        for (int i = 0; i < rows; i++)
            xv[i] = vf_load_m(t->x + (size_t)i * t->ldx + k, here);
        for (uint32_t s = 0; s < t->slots; s++) {
            UNROLL
            for (int j = 0; j < vecs; j++) {
                const vf wv = vf_load(w + j * VL);
                const vi iv = vi_widen_u8(index + j * VL);
                UNROLL
                for (int i = 0; i < rows; i++)
                    acc[i][j] = vf_fma(vf_pick(xv[i], iv), wv, acc[i][j]);
            }
            w += vecs * VL;
            index += vecs * VL;
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        const float *residual =
            t->end && t->end->residual ? t->end->residual + (size_t)i * t->end->ld_residual : NULL;
        UNROLL
        for (int j = 0; j < vecs; j++) {
            vm mask = j == vecs - 1 ? tail : all;
            vf v = acc[i][j];
            if (t->end)
                v = end_vec(v, t->end, residual, (size_t)j * VL, mask);
            vf_store_m(t->c + (size_t)i * t->ldc + j * VL, mask, v);
        }
    }
}

typedef void (*tile_nm_fn)(const struct nm_tile *t);

#define TILE_NM(R, V)                                                                              \
    static void tile_nm_##R##x##V(const struct nm_tile *t)                                         \
    {                                                                                              \
        tile_nm(R, V, t);                                                                          \
    }
#define TILE_NM_ENTRY(R, V) [V - 1][R - 1] = tile_nm_##R##x##V,
#if PARE_VEC == 16
#define EACH_NM_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V)
#define EACH_NM(X) EACH_NM_ROWS(X, 1) EACH_NM_ROWS(X, 2) EACH_NM_ROWS(X, 3)
#else
#define EACH_NM_ROWS(X, V) X(1, V) X(2, V) X(3, V)
#define EACH_NM(X) EACH_NM_ROWS(X, 1) EACH_NM_ROWS(X, 2)
#endif
EACH_NM(TILE_NM)
static const tile_nm_fn tiles_nm[TILE_VECS][NM_ROWS] = {EACH_NM(TILE_NM_ENTRY)};

static void simd_nm(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    const uint32_t m = job->m1 - job->m0, count = (m + NM_ROWS - 1) / NM_ROWS;
    for (uint32_t p = job->p0; p < job->p1; p++) {
        const uint32_t n0 = p * w->panel, width = PARE_MIN(w->panel, w->n - n0);
        const uint32_t vecs = (width + VL - 1) / VL;
        const float *data =
            (const float *)(const void *)((const char *)w->data + p * w->panel_bytes);
        const uint8_t *index = w->control + p * (w->panel_bytes / sizeof(float));
        for (uint32_t k0 = 0; k0 < w->k; k0 += K_CHUNK) {
            const uint32_t k1 = PARE_MIN(k0 + K_CHUNK, w->k);
            const size_t skip = (size_t)(k0 / VL) * w->slots * vecs * VL;
            for (uint32_t i = 0, at = 0; i < count; i++) {
                const uint32_t rows = (m - at + count - i - 1) / (count - i), r = job->m0 + at;
                struct tile_end end = {
                    .bias = job->end.bias ? job->end.bias + n0 : NULL,
                    .residual =
                        job->end.residual ? job->end.residual + (size_t)r * w->n + n0 : NULL,
                    .ld_residual = w->n,
                    .factor = job->end.factor,
                };
                struct nm_tile t = {
                    .x = job->x + (size_t)r * w->k,
                    .ldx = w->k,
                    .w = data + skip,
                    .index = index + skip,
                    .k0 = k0,
                    .k1 = k1,
                    .k = w->k,
                    .slots = w->slots,
                    .width = width,
                    .c = job->y + (size_t)r * w->n + n0,
                    .ldc = w->n,
                    .first = k0 == 0,
                    .end = k1 == w->k ? &end : NULL,
                };
                tiles_nm[vecs - 1][rows - 1](&t);
                if (t.end && job->end.activation)
                    for (uint32_t row = 0; row < rows; row++)
                        simd_activate(job->end.activation, t.c + row * t.ldc, t.c + row * t.ldc,
                                      width);
                at += rows;
            }
        }
    }
}

#endif
