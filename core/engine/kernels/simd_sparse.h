/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse float products: vectors run over tokens, so that any pattern of stored positions costs the
 * same. Inputs come feature-major in blocks of tokens; outputs are turned back through a small
 * square. */
#ifndef PARE_SIMD_SPARSE_H
#define PARE_SIMD_SPARSE_H

#include "engine/kernels/simd_ops.h"

#define TOKEN_BLOCK (PARE_TOKEN_VECS * VL)

/* One output over `vecs` vectors of tokens. */
INLINE void sparse_row(const int vecs, const struct pare_entry *e, const struct pare_entry *end,
                       const float *x, float *out)
{
    vf acc[PARE_TOKEN_VECS];
    UNROLL
    for (int j = 0; j < vecs; j++)
        acc[j] = vf_zero();
    for (; e < end; e++) {
        const float *xk = x + e->offset;
        vf w = vf_set1(e->value);
        UNROLL
        for (int j = 0; j < vecs; j++)
            acc[j] = vf_fma(w, vf_load(xk + j * VL), acc[j]);
    }
    UNROLL
    for (int j = 0; j < vecs; j++)
        vf_store(out + j * VL, acc[j]);
}

/* Two outputs at once, when they store equally many numbers: twice the chains in flight. */
INLINE void sparse_rows2(const int vecs, const struct pare_entry *e, uint32_t n, const float *x,
                         float *out)
{
    vf acc[2][PARE_TOKEN_VECS];
    UNROLL
    for (int j = 0; j < vecs; j++)
        acc[0][j] = acc[1][j] = vf_zero();
    const struct pare_entry *f = e + n;
    for (uint32_t i = 0; i < n; i++) {
        const float *x0 = x + e[i].offset, *x1 = x + f[i].offset;
        vf w0 = vf_set1(e[i].value), w1 = vf_set1(f[i].value);
        UNROLL
        for (int j = 0; j < vecs; j++) {
            acc[0][j] = vf_fma(w0, vf_load(x0 + j * VL), acc[0][j]);
            acc[1][j] = vf_fma(w1, vf_load(x1 + j * VL), acc[1][j]);
        }
    }
    UNROLL
    for (int j = 0; j < vecs; j++) {
        vf_store(out + j * VL, acc[0][j]);
        vf_store(out + TOKEN_BLOCK + j * VL, acc[1][j]);
    }
}

INLINE void sparse_outputs(const int vecs, const struct pare_packed *w, uint32_t n0, uint32_t n1,
                           const float *x, float *out)
{
    const struct pare_entry *entries = w->data;
    for (uint32_t n = n0; n < n1; n++, out += TOKEN_BLOCK) {
        const struct pare_entry *e = entries + w->starts[n];
        uint32_t count = w->starts[n + 1] - w->starts[n];
        if (n + 1 < n1 && w->starts[n + 2] - w->starts[n + 1] == count) {
            sparse_rows2(vecs, e, count, x, out);
            n++;
            out += TOKEN_BLOCK;
        } else {
            sparse_row(vecs, e, e + count, x, out);
        }
    }
}

static void simd_sparse(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    float square[VL][TOKEN_BLOCK] __attribute__((aligned(64)));
    for (uint32_t b = job->m0; b < job->m1; b++) {
        const float *x = job->x + (size_t)b * w->k * TOKEN_BLOCK;
        uint32_t first = b * TOKEN_BLOCK,
                 tokens = PARE_MIN(job->rows - first, (uint32_t)TOKEN_BLOCK);
        uint32_t vecs = (tokens + VL - 1) / VL;
        for (uint32_t n0 = job->p0 * VL; n0 < w->n && n0 < job->p1 * VL; n0 += VL) {
            uint32_t n1 = PARE_MIN(n0 + VL, w->n);
            switch (vecs) {
            case 1:
                sparse_outputs(1, w, n0, n1, x, square[0]);
                break;
            case 2:
                sparse_outputs(2, w, n0, n1, x, square[0]);
                break;
            case 3:
                sparse_outputs(3, w, n0, n1, x, square[0]);
                break;
            default:
                sparse_outputs(4, w, n0, n1, x, square[0]);
                break;
            }
            vm mask = vm_first(n1 - n0);
            struct tile_end end = {
                .bias = job->end.bias ? job->end.bias + n0 : NULL,
                .factor = job->end.factor,
            };
            for (uint32_t j = 0; j < vecs; j++) {
                vf v[VL];
                UNROLL_ALL
                for (uint32_t i = 0; i < VL; i++)
                    v[i] = i < n1 - n0 ? vf_load(square[i] + (size_t)j * VL) : vf_zero();
                transpose_square(v);
                vf turned[VL] __attribute__((aligned(64)));
                UNROLL_ALL
                for (uint32_t i = 0; i < VL; i++)
                    turned[i] = v[i];
                uint32_t here = PARE_MIN(tokens - j * VL, (uint32_t)VL);
                for (uint32_t i = 0; i < here; i++) {
                    size_t at = (size_t)(first + j * VL + i) * w->n + n0;
                    const float *residual = job->end.residual ? job->end.residual + at : NULL;
                    vf_store_m(job->y + at, mask, end_vec(turned[i], &end, residual, 0, mask));
                    if (job->end.activation)
                        simd_activate(job->end.activation, job->y + at, job->y + at, n1 - n0);
                }
            }
        }
    }
}

#endif
