/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BENCH_RANDOM_VIT_H
#define PARE_BENCH_RANDOM_VIT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/plan.h"
#include "model/half.h"

/* A Vision Transformer with random weights, put together node by node: for tests and benchmarks of
 * the engine, which must not depend on a family. */
struct vit_shape {
    uint32_t channels, image, patch, width, heads, hidden, layers, classes;
    uint32_t merge;           /* tokens merged per layer */
    uint32_t activation_bits; /* of every linear but the classifier */
    uint32_t bits, group;     /* integer weights; 0: f32 */
    uint32_t n, m;            /* N:M weights; 0: dense */
    uint32_t density;         /* percent of the positions that a bitmap stores; 0: no bitmap */
};

static inline struct pare_blob *vit_vector(struct pare_random *r, size_t n, float mean,
                                           float spread)
{
    struct pare_blob *blob = NULL;
    if (pare_blob_new(n, sizeof(float), &blob, NULL) != PARE_OK)
        return NULL;
    for (size_t i = 0; i < n; i++)
        pare_blob_f32(blob)[i] = mean + spread * (float)pare_random_normal(r);
    return blob;
}

/* Symmetric integers by absmax over each group. */
static inline int vit_integers(struct pare_weight **w, const float *values, uint32_t bits,
                               uint32_t group)
{
    uint32_t rows = (*w)->rows, cols = (*w)->cols;
    group = group ? group : cols;
    uint32_t groups = (cols + group - 1) / group;
    int16_t *codes = pare_alloc((size_t)rows * cols, sizeof *codes);
    float *scales = pare_alloc((size_t)rows * groups, sizeof *scales);
    const int top = (1 << (bits - 1)) - 1;
    int rc = codes && scales ? PARE_OK : PARE_NOMEM;
    for (size_t i = 0; rc == PARE_OK && i < (size_t)rows * groups; i++) {
        size_t row = i / groups, k0 = i % groups * group, k1 = PARE_MIN(k0 + group, (size_t)cols);
        float most = 1e-6f;
        for (size_t k = k0; k < k1; k++)
            most = fmaxf(most, fabsf(values[row * cols + k]));
        scales[i] = pare_f16_to_f32(pare_f32_to_f16(most / (float)top));
        for (size_t k = k0; k < k1; k++) {
            float code = rintf(values[row * cols + k] / scales[i]);
            codes[row * cols + k] = (int16_t)fmaxf(-(float)top, fminf((float)top, code));
        }
    }
    struct pare_integers integers = {
        .struct_size = sizeof integers,
        .bits = bits,
        .group_size = group == cols ? 0 : group,
        .zero_kind = PARE_ZERO_NONE,
        .codes = codes,
        .scales = scales,
    };
    struct pare_weight *next = NULL;
    if (rc == PARE_OK)
        rc = pare_weight_with_integers(*w, &integers, &next, NULL);
    if (rc == PARE_OK) {
        pare_weight_unref(*w);
        *w = next;
    }
    free(codes);
    free(scales);
    return rc;
}

static inline struct pare_weight *vit_weight(struct pare_random *r, uint32_t rows, uint32_t cols,
                                             const struct vit_shape *s)
{
    struct pare_weight *w = NULL, *next = NULL;
    float *values = pare_alloc((size_t)rows * cols, sizeof *values);
    uint8_t *keep = pare_calloc((size_t)rows * cols, 1);
    int rc = values && keep ? PARE_OK : PARE_NOMEM;
    for (size_t i = 0; rc == PARE_OK && i < (size_t)rows * cols; i++)
        values[i] = (float)pare_random_normal(r) / sqrtf((float)cols);
    if (rc == PARE_OK)
        rc = pare_weight_new(rows, cols, values, &w, NULL);
    if (rc == PARE_OK && s->m) {
        for (size_t row = 0; row < rows; row++)
            for (uint32_t k = 0; k < cols; k += s->m) {
                uint32_t have = PARE_MIN(s->m, cols - k),
                         start = (uint32_t)pare_random_below(r, have);
                for (uint32_t i = 0; i < PARE_MIN(s->n, have); i++)
                    keep[row * cols + k + (start + i) % have] = 1;
            }
        rc = pare_weight_with_structure(w, s->n, s->m, keep, &next, NULL);
        if (rc == PARE_OK) {
            pare_weight_unref(w);
            w = next;
        }
    }
    if (rc == PARE_OK && s->density) {
        for (size_t i = 0; i < (size_t)rows * cols; i++)
            keep[i] = pare_random_below(r, 100) < s->density;
        rc = pare_weight_with_structure(w, 0, 0, keep, &next, NULL);
        if (rc == PARE_OK) {
            pare_weight_unref(w);
            w = next;
        }
    }
    if (rc == PARE_OK && s->bits)
        rc = vit_integers(&w, values, s->bits, s->group);
    free(values);
    free(keep);
    if (rc != PARE_OK) {
        pare_weight_unref(w);
        return NULL;
    }
    return w;
}

struct vit_builder {
    struct pare_graph *g;
    struct pare_random r;
    const struct vit_shape *s;
    int rc;
};

/* Append a node and give its first output. */
static inline uint32_t vit_add(struct vit_builder *b, struct pare_node node, const char *path,
                               int layer)
{
    if (layer >= 0)
        snprintf(node.path, sizeof node.path, "layer.%d.%s", layer, path);
    else
        snprintf(node.path, sizeof node.path, "%s", path);
    snprintf(node.role, sizeof node.role, "%s", path);
    node.block = layer;
    if (b->rc == PARE_OK)
        b->rc = pare_graph_add(b->g, &node, NULL);
    else
        pare_node_release(&node);
    return b->rc == PARE_OK ? b->g->nodes[b->g->n_nodes - 1].outputs[0] : 0;
}

static inline uint32_t vit_linear(struct vit_builder *b, uint32_t x, uint32_t rows, uint32_t cols,
                                  const char *path, int layer)
{
    static const struct vit_shape plain;
    const struct vit_shape *s = layer >= 0 ? b->s : &plain;
    return vit_add(b,
                   (struct pare_node){.op = PARE_OP_LINEAR,
                                      .n_inputs = 1,
                                      .inputs = {x},
                                      .weight = vit_weight(&b->r, rows, cols, s),
                                      .bias = vit_vector(&b->r, rows, 0, 0.1f),
                                      .activation_bits = s->activation_bits},
                   path, layer);
}

static inline uint32_t vit_norm(struct vit_builder *b, uint32_t x, const char *path, int layer)
{
    return vit_add(b,
                   (struct pare_node){.op = PARE_OP_NORM,
                                      .n_inputs = 1,
                                      .inputs = {x},
                                      .a = vit_vector(&b->r, b->s->width, 1, 0.1f),
                                      .b = vit_vector(&b->r, b->s->width, 0, 0.1f),
                                      .eps = 1e-12f},
                   path, layer);
}

static inline uint32_t vit_sum(struct vit_builder *b, uint32_t x, uint32_t y, const char *path,
                               int layer)
{
    return vit_add(
        b, (struct pare_node){.op = PARE_OP_ADD, .n_inputs = 2, .inputs = {x, y}, .scale = 1.0f},
        path, layer);
}

/* NULL: no memory. */
static inline struct pare_graph *vit_new(const struct vit_shape *s, uint64_t seed)
{
    struct vit_builder b = {.s = s};
    const struct vit_shape plain = {0};
    pare_random_seed(&b.r, seed);
    if (pare_graph_new(s->channels, s->image, s->image, &b.g, NULL) != PARE_OK)
        return NULL;
    const uint32_t w = s->width, grid = s->image / s->patch, tokens = grid * grid + 1;
    uint32_t x = vit_add(
        &b,
        (struct pare_node){.op = PARE_OP_CONV2D,
                           .n_inputs = 1,
                           .weight = vit_weight(&b.r, w, s->channels * s->patch * s->patch, &plain),
                           .bias = vit_vector(&b.r, w, 0, 0.1f),
                           .kernel = s->patch},
        "embed.patch", -1);
    x = vit_add(&b,
                (struct pare_node){.op = PARE_OP_TOKENS,
                                   .n_inputs = 1,
                                   .inputs = {x},
                                   .a = vit_vector(&b.r, w, 0, 0.5f),
                                   .b = vit_vector(&b.r, (size_t)tokens * w, 0, 0.5f),
                                   .prefix = 1},
                "embed.tokens", -1);
    uint32_t sizes = 0;
    for (int l = 0; l < (int)s->layers; l++) {
        uint32_t y = vit_norm(&b, x, "norm1", l);
        uint32_t q = vit_linear(&b, y, w, w, "attn.query", l);
        uint32_t k = vit_linear(&b, y, w, w, "attn.key", l);
        uint32_t v = vit_linear(&b, y, w, w, "attn.value", l);
        y = vit_add(&b,
                    (struct pare_node){.op = PARE_OP_ATTENTION,
                                       .n_inputs = sizes ? 4 : 3,
                                       .inputs = {q, k, v, sizes},
                                       .heads = s->heads,
                                       .scale = 1.0f / sqrtf((float)w / (float)s->heads)},
                    "attn.core", l);
        x = vit_sum(&b, x, vit_linear(&b, y, w, w, "attn.output", l), "add1", l);
        if (s->merge) {
            x = vit_add(&b,
                        (struct pare_node){.op = PARE_OP_TOKEN_MERGE,
                                           .n_inputs = sizes ? 3 : 2,
                                           .inputs = {x, k, sizes},
                                           .heads = s->heads,
                                           .prefix = 1,
                                           .merge = s->merge},
                        "merge", l);
            sizes = b.rc == PARE_OK ? b.g->nodes[b.g->n_nodes - 1].outputs[1] : 0;
        }
        y = vit_linear(&b, vit_norm(&b, x, "norm2", l), s->hidden, w, "ffn.up", l);
        y = vit_add(&b,
                    (struct pare_node){.op = PARE_OP_ACTIVATION,
                                       .n_inputs = 1,
                                       .inputs = {y},
                                       .activation = PARE_ACT_GELU},
                    "ffn.act", l);
        x = vit_sum(&b, x, vit_linear(&b, y, w, s->hidden, "ffn.down", l), "add2", l);
    }
    x = vit_norm(&b, x, "norm", -1);
    x = vit_add(&b,
                (struct pare_node){.op = PARE_OP_POOL, .n_inputs = 1, .inputs = {x}, .token = 0},
                "pool", -1);
    b.g->output = vit_linear(&b, x, s->classes, w, "classifier", -1);
    b.g->blocks = s->layers;
    if (b.rc == PARE_OK)
        b.rc = pare_graph_infer(b.g, NULL);
    if (b.rc != PARE_OK) {
        pare_graph_free(b.g);
        return NULL;
    }
    return b.g;
}

#endif
