/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse float products: vectors run over tokens, so that any pattern of stored positions costs the
 * same. Inputs come feature-major in blocks of tokens. A chunk of a block's columns stays in the
 * first cache while many outputs pick from it; their sums wait in between. Outputs are turned back
 * through a small square, or stay feature-major for a sparse product that reads them next. */
#ifndef PARE_SIMD_SPARSE_H
#define PARE_SIMD_SPARSE_H

#include "engine/kernels/simd_ops.h"

#define TOKEN_BLOCK (PARE_TOKEN_VECS * VL)
/* Columns of a block that fill two thirds of the first cache. */
#define SPARSE_CHUNK (32768 / (TOKEN_BLOCK * (int)sizeof(float)))
/* Panels of VL outputs whose sums wait in the second cache. */
#define SPARSE_PANELS (256 / VL)

/* Outputs summed side by side: enough chains to hide the latency of additions. */
#if PARE_VEC == 16
#define SPARSE_OUTS 2
#else
#define SPARSE_OUTS 1
#endif
/* Stored numbers whose values and offsets are fetched together: what limits the speed is the loads,
 * and one broadcast and one offset each would add a quarter to them. */
#define SPARSE_RUN 8

/* Value `u` of a run to every lane. */
#if PARE_VEC == 16
struct sparse_lanes {
    vi lane[SPARSE_RUN];
};
typedef vf sparse_values;
INLINE struct sparse_lanes sparse_lanes(void)
{
    struct sparse_lanes l;
    UNROLL
    for (int u = 0; u < SPARSE_RUN; u++) {
        l.lane[u] = vi_set1(u);
        __asm__("" : "+v"(l.lane[u])); /* stays in its register */
    }
    return l;
}
#define sparse_fetch(p) _mm512_castps256_ps512(_mm256_loadu_ps(p))
#define sparse_spread(lanes, values, u) _mm512_permutexvar_ps((lanes).lane[u], values)
#else
struct sparse_lanes {
    char none;
};
typedef const float *sparse_values;
INLINE struct sparse_lanes sparse_lanes(void)
{
    return (struct sparse_lanes){0};
}
#define sparse_fetch(p) (p)
#define sparse_spread(lanes, values, u) ((void)(lanes), vf_set1((values)[u]))
#endif

INLINE void sparse_entry(const int vecs, vf *acc, vf w, uint64_t offset, const float *x)
{
    const float *xk = (const float *)(const void *)((const char *)x + offset);
    UNROLL
    for (int j = 0; j < vecs; j++)
        acc[j] = vf_fma(w, vf_load(xk + j * VL), acc[j]);
}

/* A chunk of a panel: VL outputs, each over `vecs` vectors of tokens. `starts`: VL + 1 indices. */
INLINE void sparse_panel(const int vecs, const struct pare_packed *w, const uint32_t *starts,
                         const float *x, float *sums, bool first)
{
    const struct sparse_lanes lanes = sparse_lanes();
    for (int o = 0; o < VL; o += SPARSE_OUTS, sums += (size_t)SPARSE_OUTS * TOKEN_BLOCK) {
        vf acc[SPARSE_OUTS][PARE_TOKEN_VECS];
        const float *values[SPARSE_OUTS];
        const uint16_t *offsets[SPARSE_OUTS];
        uint32_t count[SPARSE_OUTS], common = UINT32_MAX, n = 0;
        UNROLL
        for (int i = 0; i < SPARSE_OUTS; i++) {
            values[i] = (const float *)w->data + starts[o + i];
            offsets[i] = w->offsets + starts[o + i];
            count[i] = starts[o + i + 1] - starts[o + i];
            common = PARE_MIN(common, count[i]);
            UNROLL
            for (int j = 0; j < vecs; j++)
                acc[i][j] = first ? vf_zero() : vf_load(sums + i * TOKEN_BLOCK + j * VL);
        }
        for (; n + SPARSE_RUN <= common; n += SPARSE_RUN) {
            sparse_values v[SPARSE_OUTS];
            uint64_t at[SPARSE_OUTS][SPARSE_RUN / 4];
            UNROLL
            for (int i = 0; i < SPARSE_OUTS; i++) {
                _mm_prefetch((const char *)(values[i] + n) + 2048, _MM_HINT_T0);
                _mm_prefetch((const char *)(offsets[i] + n) + 1024, _MM_HINT_T0);
                v[i] = sparse_fetch(values[i] + n);
                __builtin_memcpy(at[i], offsets[i] + n, sizeof at[i]);
            }
            UNROLL
            for (int u = 0; u < SPARSE_RUN; u++) {
                UNROLL
                for (int i = 0; i < SPARSE_OUTS; i++)
                    sparse_entry(vecs, acc[i], sparse_spread(lanes, v[i], u),
                                 at[i][u / 4] >> 16 * (u % 4) & 0xffff, x);
            }
        }
        UNROLL
        for (int i = 0; i < SPARSE_OUTS; i++) {
            for (uint32_t left = n; left < count[i]; left++)
                sparse_entry(vecs, acc[i], vf_set1(values[i][left]), offsets[i][left], x);
            UNROLL
            for (int j = 0; j < vecs; j++)
                vf_store(sums + i * TOKEN_BLOCK + j * VL, acc[i][j]);
        }
    }
}

typedef void (*sparse_panel_fn)(const struct pare_packed *w, const uint32_t *starts, const float *x,
                                float *sums, bool first);
#define SPARSE_PANEL(V)                                                                            \
    static void sparse_panel_##V(const struct pare_packed *w, const uint32_t *starts,              \
                                 const float *x, float *sums, bool first)                          \
    {                                                                                              \
        sparse_panel(V, w, starts, x, sums, first);                                                \
    }
#define EACH_TOKEN_VECS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define SPARSE_PANEL_ENTRY(V) [V] = sparse_panel_##V,
EACH_TOKEN_VECS(SPARSE_PANEL)
static const sparse_panel_fn sparse_panels[PARE_TOKEN_VECS + 1] = {
    EACH_TOKEN_VECS(SPARSE_PANEL_ENTRY)};

/* Finished sums of the outputs from n0 on, to rows. */
static void sparse_turn_back(const struct pare_job *job, struct pare_token_block tokens,
                             uint32_t n0, const float *sums)
{
    const uint32_t n = job->w->n, width = PARE_MIN(n - n0, (uint32_t)VL);
    const vm mask = vm_first(width);
    const struct tile_end end = {
        .bias = job->end.bias ? job->end.bias + n0 : NULL,
        .factor = job->end.factor,
    };
    for (uint32_t t = 0; t < tokens.count; t += VL) {
        vf v[VL];
        UNROLL_ALL
        for (uint32_t i = 0; i < VL; i++)
            v[i] = vf_load(sums + i * TOKEN_BLOCK + t);
        transpose_square(v);
        vf turned[VL] __attribute__((aligned(64)));
        UNROLL_ALL
        for (uint32_t i = 0; i < VL; i++)
            turned[i] = v[i];
        const uint32_t here = PARE_MIN(tokens.count - t, (uint32_t)VL);
        for (uint32_t i = 0; i < here; i++) {
            size_t at = (size_t)(tokens.first + t + i) * n + n0;
            const float *residual = job->end.residual ? job->end.residual + at : NULL;
            vf_store_m(job->y + at, mask, end_vec(turned[i], &end, residual, 0, mask));
            if (job->end.activation)
                simd_activate(job->end.activation, job->y + at, job->y + at, width);
        }
    }
}

/* Finished sums of the outputs from n0 on, as a block of tokens. There is no residual. */
static void sparse_keep_turned(const struct pare_job *job, uint32_t vecs, uint32_t block,
                               uint32_t n0, const float *sums)
{
    const uint32_t n = job->w->n;
    float *y = job->y + ((size_t)block * n + n0) * TOKEN_BLOCK;
    for (uint32_t i = 0; i < VL && n0 + i < n; i++, y += TOKEN_BLOCK, sums += TOKEN_BLOCK) {
        const vf bias = vf_set1(job->end.bias ? job->end.bias[n0 + i] : 0.0f);
        for (uint32_t j = 0; j < vecs; j++)
            vf_store(y + j * VL, vf_add(vf_load(sums + j * VL), bias));
        simd_activate(job->end.activation, y, y, (size_t)vecs * VL);
    }
}

static void simd_sparse(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    const uint32_t chunks = (w->k + SPARSE_CHUNK - 1) / SPARSE_CHUNK;
    for (uint32_t b = job->m0; b < job->m1; b++) {
        const float *x = job->x + (size_t)b * w->k * TOKEN_BLOCK;
        const struct pare_token_block tokens = pare_token_block(job->rows, VL, TOKEN_BLOCK, b);
        const uint32_t vecs = (tokens.count + VL - 1) / VL;
        for (uint32_t p0 = job->p0, p1; p0 < job->p1; p0 = p1) {
            const uint32_t group = p0 / SPARSE_PANELS * SPARSE_PANELS;
            const uint32_t panels = PARE_MIN(w->panels - group, (uint32_t)SPARSE_PANELS);
            p1 = PARE_MIN(group + panels, job->p1);
            for (uint32_t c = 0; c < chunks; c++) {
                const uint32_t *starts =
                    w->starts + ((size_t)group * chunks + (size_t)c * panels + p0 - group) * VL;
                const float *chunk = x + (size_t)c * SPARSE_CHUNK * TOKEN_BLOCK;
                float *sums = job->scratch;
                for (uint32_t p = p0; p < p1; p++, sums += VL * TOKEN_BLOCK, starts += VL) {
                    sparse_panels[vecs](w, starts, chunk, sums, c == 0);
                    if (c + 1 < chunks)
                        continue;
                    if (job->turned)
                        sparse_keep_turned(job, vecs, b, p * VL, sums);
                    else
                        sparse_turn_back(job, tokens, p * VL, sums);
                }
            }
        }
    }
}

#endif
