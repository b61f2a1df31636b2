/* SPDX-License-Identifier: Apache-2.0 */
/* Dense float products. A tile is TILE_ROWS rows by TILE_VECS vectors of outputs, held in registers
 * while the inner dimension runs from first to last, one fused multiply-add per step: the order of
 * every sum is that of the inner dimension. */
#ifndef PARE_SIMD_GEMM_H
#define PARE_SIMD_GEMM_H

#include "base/mem.h"
#include "engine/kernels/simd_math.h"

/* What a finished tile needs besides its sums: all pointers at the tile's first output. */
struct tile_end {
    const float *bias, *residual;
    size_t ld_residual;
    float factor;
    unsigned activation;
};

INLINE void act_row(unsigned activation, const float *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vf_store(y + i, vf_act(activation, vf_load(x + i)));
    if (i < n) {
        vm m = vm_first((uint32_t)(n - i));
        vf_store_m(y + i, m, vf_act(activation, vf_load_m(x + i, m)));
    }
}

static void simd_activate(unsigned activation, const float *x, float *y, size_t n)
{
    switch (activation) { /* constants, so that the choice leaves the loops */
    case PARE_ACT_GELU:
        act_row(PARE_ACT_GELU, x, y, n);
        break;
    case PARE_ACT_GELU_TANH:
        act_row(PARE_ACT_GELU_TANH, x, y, n);
        break;
    case PARE_ACT_SILU:
        act_row(PARE_ACT_SILU, x, y, n);
        break;
    case PARE_ACT_RELU:
        act_row(PARE_ACT_RELU, x, y, n);
        break;
    case PARE_ACT_TANH:
        act_row(PARE_ACT_TANH, x, y, n);
        break;
    default:
        break;
    }
}

/* Bias and residual on a vector of sums. */
INLINE vf end_vec(vf v, const struct tile_end *end, const float *residual, size_t col, vm mask)
{
    if (end->bias)
        v = vf_add(v, vf_load_m(end->bias + col, mask));
    if (residual)
        v = vf_mul(vf_set1(end->factor), vf_add(vf_load_m(residual + col, mask), v));
    return v;
}

/* rows x vecs vectors of C (+)= X B; `width` columns of them are real. `first`: start from 0, else
 * from C. `end`: NULL while more inner columns follow. */
INLINE void tile_f32(const int rows, const int vecs, uint32_t k, const float *x, size_t ldx,
                     const float *b, float *c, size_t ldc, uint32_t width, bool first,
                     const struct tile_end *end)
{
    vf acc[TILE_ROWS][TILE_VECS];
    const vm tail = vm_first(width - (uint32_t)(vecs - 1) * VL), all = vm_first(VL);
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vecs; j++)
            acc[i][j] = first ? vf_zero()
                              : vf_load_m(c + (size_t)i * ldc + j * VL, j == vecs - 1 ? tail : all);
    }
    for (uint32_t p = 0; p < k; p++) {
        vf bv[TILE_VECS];
        UNROLL
        for (int j = 0; j < vecs; j++)
            bv[j] = vf_load(b + j * VL);
        b += vecs * VL;
        UNROLL
        for (int i = 0; i < rows; i++) {
            vf xv = vf_set1(x[(size_t)i * ldx + p]);
            UNROLL
            for (int j = 0; j < vecs; j++)
                acc[i][j] = vf_fma(xv, bv[j], acc[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        float *row = c + (size_t)i * ldc;
        const float *residual =
            end && end->residual ? end->residual + (size_t)i * end->ld_residual : NULL;
        UNROLL
        for (int j = 0; j < vecs; j++) {
            vm mask = j == vecs - 1 ? tail : all;
            vf v = acc[i][j];
            if (end)
                v = end_vec(v, end, residual, (size_t)j * VL, mask);
            vf_store_m(row + j * VL, mask, v);
        }
    }
}

typedef void (*tile_f32_fn)(uint32_t k, const float *x, size_t ldx, const float *b, float *c,
                            size_t ldc, uint32_t width, bool first, const struct tile_end *end);

#define TILE_F32(R, V)                                                                             \
    static void tile_f32_##R##x##V(uint32_t k, const float *x, size_t ldx, const float *b,         \
                                   float *c, size_t ldc, uint32_t width, bool first,               \
                                   const struct tile_end *end)                                     \
    {                                                                                              \
        tile_f32(R, V, k, x, ldx, b, c, ldc, width, first, end);                                   \
    }
#if PARE_VEC == 16
#define EACH_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V) X(7, V) X(8, V)
#define EACH_TILE(X) EACH_ROWS(X, 1) EACH_ROWS(X, 2) EACH_ROWS(X, 3)
#else
#define EACH_ROWS(X, V) X(1, V) X(2, V) X(3, V) X(4, V) X(5, V) X(6, V)
#define EACH_TILE(X) EACH_ROWS(X, 1) EACH_ROWS(X, 2)
#endif
EACH_TILE(TILE_F32)

#define TILE_F32_ENTRY(R, V) [V - 1][R - 1] = tile_f32_##R##x##V,
static const tile_f32_fn tiles_f32[TILE_VECS][TILE_ROWS] = {EACH_TILE(TILE_F32_ENTRY)};

/* Rows m0..m1 are cut into equal tiles, so that no last tile is too small to fill the pipeline. */
INLINE uint32_t tile_count(uint32_t m)
{
    return (m + TILE_ROWS - 1) / TILE_ROWS;
}

/* All rows of a panel part: `b` holds k x (vecs * VL). Pointers in `end` are at row 0, panel column
 * 0. */
static void panel_f32(uint32_t m, uint32_t k, const float *x, size_t ldx, const float *b, float *c,
                      size_t ldc, uint32_t width, bool first, const struct tile_end *end,
                      struct ahead next)
{
    uint32_t vecs = (width + VL - 1) / VL, tiles = tile_count(m), at = 0;
    for (uint32_t t = 0; t < tiles; t++) {
        uint32_t rows = (m - at + tiles - t - 1) / (tiles - t);
        struct tile_end here;
        if (end) {
            here = *end;
            if (here.residual)
                here.residual += (size_t)at * here.ld_residual;
        }
        float *out = c + (size_t)at * ldc;
        fetch_ahead(next, t, tiles);
        tiles_f32[vecs - 1][rows - 1](k, x + (size_t)at * ldx, ldx, b, out, ldc, width, first,
                                      end ? &here : NULL);
        if (end && end->activation)
            for (uint32_t i = 0; i < rows; i++)
                simd_activate(end->activation, out + (size_t)i * ldc, out + (size_t)i * ldc, width);
        at += rows;
    }
}

/* Inner columns per pass: a panel of them fills half of the first cache. */
#define K_CHUNK ((uint32_t)(24576 / (TILE_VECS * VL * sizeof(float))))

/* Bring inner columns k0..k1 of a panel to floats. */
typedef const float *(*decode_fn)(const struct pare_packed *w, uint32_t panel, uint32_t k0,
                                  uint32_t k1, uint32_t padded, float *scratch);

/* The end of a tile whose first row is `row` and whose first output is n0. */
INLINE struct tile_end end_of(const struct pare_job *job, uint32_t row, uint32_t n0)
{
    return (struct tile_end){
        .bias = job->end.bias ? job->end.bias + n0 : NULL,
        .residual = job->end.residual ? job->end.residual + (size_t)row * job->w->n + n0 : NULL,
        .ld_residual = job->w->n,
        .factor = job->end.factor,
        .activation = job->end.activation,
    };
}

/* One finished row: sums of the `vecs` vectors from output n0 on. */
INLINE void end_row(const struct pare_job *job, uint32_t row, uint32_t n0, const int vecs,
                    const vf acc[TILE_VECS])
{
    const uint32_t width = PARE_MIN((uint32_t)vecs * VL, job->w->n - n0);
    const struct tile_end end = end_of(job, row, n0);
    float *y = job->y + (size_t)row * job->w->n + n0;
    UNROLL
    for (int j = 0; j < vecs; j++) {
        const vm mask = vm_first(width - (uint32_t)j * VL);
        vf_store_m(y + j * VL, mask, end_vec(acc[j], &end, end.residual, (size_t)j * VL, mask));
    }
    if (end.activation)
        simd_activate(end.activation, y, y, width);
}

/* A plugin's kernel makes the sums; what comes after them is ours. */
static void simd_plugin(const struct pare_job *job)
{
    const uint32_t n0 = job->p0 * job->w->panel,
                   width = PARE_MIN(job->p1 * job->w->panel, job->w->n) - n0;
    if (job->m0 == job->m1)
        return;
    pare_plugin_sums(job);
    for (uint32_t r = job->m0; r < job->m1; r++) {
        const struct tile_end end = end_of(job, r, n0);
        float *y = job->y + (size_t)r * job->w->n + n0;
        for (uint32_t i = 0; i < width; i += VL) {
            const vm mask = vm_first(PARE_MIN(width - i, (uint32_t)VL));
            vf_store_m(y + i, mask, end_vec(vf_load_m(y + i, mask), &end, end.residual, i, mask));
        }
        if (end.activation)
            simd_activate(end.activation, y, y, width);
    }
}

INLINE void product_panels(const struct pare_job *job, decode_fn decode)
{
    const struct pare_packed *w = job->w;
    for (uint32_t p = job->p0; p < job->p1; p++) {
        uint32_t n0 = p * w->panel, width = PARE_MIN(w->panel, w->n - n0);
        uint32_t padded = (width + VL - 1) / VL * VL;
        struct tile_end end = end_of(job, job->m0, n0);
        uint32_t chunks = (w->k + K_CHUNK - 1) / K_CHUNK;
        /* Even chunks whose ends are a multiple of 2, as packed 4-bit codes need. */
        uint32_t chunk = (w->k + chunks - 1) / chunks;
        chunk += chunk & 1;
        if (w->groups > 1 && w->scales) { /* those of the next panel */
            const size_t scales =
                (size_t)w->groups * w->panel * (w->half ? sizeof(uint16_t) : sizeof(float));
            fetch_ahead((struct ahead){(const char *)w->scales + (p + 1) * scales, scales}, 0, 1);
        }
        for (uint32_t k0 = 0; k0 < w->k; k0 += chunk) {
            uint32_t k1 = PARE_MIN(k0 + chunk, w->k);
            const float *b = decode(w, p, k0, k1, padded, job->scratch);
            /* What is read next, panel after panel. */
            const struct ahead next = {(const char *)w->data + p * w->panel_bytes +
                                           (size_t)k1 * w->panel_bytes / w->k,
                                       (size_t)(k1 - k0) * w->panel_bytes / w->k};
            panel_f32(job->m1 - job->m0, k1 - k0, job->x + (size_t)job->m0 * w->k + k0, w->k, b,
                      job->y + (size_t)job->m0 * w->n + n0, w->n, width, k0 == 0,
                      k1 == w->k ? &end : NULL, next);
        }
    }
}

#endif
