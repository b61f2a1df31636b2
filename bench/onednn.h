/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BENCH_ONEDNN_H
#define PARE_BENCH_ONEDNN_H

/* A dense product by oneDNN, weights in the library's own layout: what Pare's kernels are compared
 * with, in speed by bench/kernels and in values by the tests. */
#ifdef HAVE_ONEDNN

#include <stdbool.h>
#include <stdint.h>

#include <oneapi/dnnl/dnnl.h>

struct onednn_product {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_memory_t x, plain, w, b, y;
    dnnl_primitive_desc_t desc, reorder_desc;
    dnnl_primitive_t product, reorder;
    const char *implementation; /* "brgemm:avx512_core", ... */
};

/* y (m x n) = x (m x k) w' (w: n x k) + bias; the buffers stay the caller's. Release even on
 * failure. */
static inline bool onednn_new(struct onednn_product *p, uint32_t m, uint32_t k, uint32_t n,
                              float *x, float *w, float *bias, float *y)
{
    const dnnl_dims_t dx = {m, k}, dw = {n, k}, db = {n}, dy = {m, n};
    dnnl_memory_desc_t xd, wd, plain, bd, yd;
    dnnl_inner_product_desc_t d;
    *p = (struct onednn_product){0};
    if (dnnl_engine_create(&p->engine, dnnl_cpu, 0) ||
        dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags) ||
        dnnl_memory_desc_init_by_tag(&xd, 2, dx, dnnl_f32, dnnl_ab) ||
        dnnl_memory_desc_init_by_tag(&wd, 2, dw, dnnl_f32, dnnl_format_tag_any) ||
        dnnl_memory_desc_init_by_tag(&plain, 2, dw, dnnl_f32, dnnl_ab) ||
        dnnl_memory_desc_init_by_tag(&bd, 1, db, dnnl_f32, dnnl_a) ||
        dnnl_memory_desc_init_by_tag(&yd, 2, dy, dnnl_f32, dnnl_ab) ||
        dnnl_inner_product_forward_desc_init(&d, dnnl_forward_inference, &xd, &wd, &bd, &yd) ||
        dnnl_primitive_desc_create(&p->desc, &d, NULL, p->engine, NULL) ||
        dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, &p->implementation))
        return false;
    const dnnl_memory_desc_t *want =
        dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 0);
    if (dnnl_memory_create(&p->x, &xd, p->engine, x) ||
        dnnl_memory_create(&p->plain, &plain, p->engine, w) ||
        dnnl_memory_create(&p->w, want, p->engine, DNNL_MEMORY_ALLOCATE) ||
        dnnl_memory_create(&p->b, &bd, p->engine, bias) ||
        dnnl_memory_create(&p->y, &yd, p->engine, y) ||
        dnnl_reorder_primitive_desc_create(&p->reorder_desc, &plain, p->engine, want, p->engine,
                                           NULL) ||
        dnnl_primitive_create(&p->reorder, p->reorder_desc) ||
        dnnl_primitive_create(&p->product, p->desc))
        return false;
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, p->plain}, {DNNL_ARG_TO, p->w}};
    return !dnnl_primitive_execute(p->reorder, p->stream, 2, args) && !dnnl_stream_wait(p->stream);
}

static inline bool onednn_run(struct onednn_product *p)
{
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, p->x},
                                    {DNNL_ARG_WEIGHTS, p->w},
                                    {DNNL_ARG_BIAS, p->b},
                                    {DNNL_ARG_DST, p->y}};
    return !dnnl_primitive_execute(p->product, p->stream, 4, args) && !dnnl_stream_wait(p->stream);
}

static inline void onednn_free(struct onednn_product *p)
{
    const dnnl_memory_t memories[] = {p->x, p->plain, p->w, p->b, p->y};
    for (int i = 0; i < 5; i++)
        if (memories[i])
            dnnl_memory_destroy(memories[i]);
    if (p->product)
        dnnl_primitive_destroy(p->product);
    if (p->reorder)
        dnnl_primitive_destroy(p->reorder);
    if (p->desc)
        dnnl_primitive_desc_destroy(p->desc);
    if (p->reorder_desc)
        dnnl_primitive_desc_destroy(p->reorder_desc);
    if (p->stream)
        dnnl_stream_destroy(p->stream);
    if (p->engine)
        dnnl_engine_destroy(p->engine);
}

#endif
#endif
