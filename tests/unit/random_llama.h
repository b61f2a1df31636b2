/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEST_RANDOM_LLAMA_H
#define PARE_TEST_RANDOM_LLAMA_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/random.h"
#include "model/graph.h"
#include "model/half.h"

/* A language model with random weights: RMS norms, rotary positions, grouped heads, SwiGLU, tied
 * embeddings. */
struct llama_shape {
    uint32_t vocabulary, context, length, width, heads, kv_heads, head_width, hidden, layers;
    uint32_t window, cache_bits, adjacent;
    bool qk_norm;
    uint32_t bits; /* of the linears, in groups of 32 with f16 scales, inputs as int8; 0: f32 */
};

struct llama_maker {
    struct pare_graph *g;
    struct pare_random r;
    const struct llama_shape *s;
    struct pare_blob *frequency;
    int32_t layer;
};

static inline float *llama_floats(struct llama_maker *m, size_t n, float scale, float mean)
{
    float *x = pare_alloc(n, sizeof *x);
    if (!x)
        abort();
    for (size_t i = 0; i < n; i++)
        x[i] = mean + scale * (float)pare_random_normal(&m->r);
    return x;
}

static inline struct pare_weight *llama_weight(struct llama_maker *m, uint32_t rows, uint32_t cols)
{
    struct pare_weight *w = NULL;
    float *x = llama_floats(m, (size_t)rows * cols, 1.0f / sqrtf((float)cols), 0);
    if (pare_weight_new(rows, cols, x, &w, NULL) != PARE_OK)
        abort();
    free(x);
    return w;
}

/* The same as integers. */
static inline struct pare_weight *llama_integers(struct llama_maker *m, uint32_t rows,
                                                 uint32_t cols)
{
    struct pare_weight *w = NULL, *plain = llama_weight(m, rows, cols);
    const uint32_t bits = m->s->bits, groups = (cols + 31) / 32;
    int16_t *codes = pare_alloc((size_t)rows * cols, sizeof *codes);
    float *scales = pare_alloc((size_t)rows * groups, sizeof *scales);
    if (!codes || !scales)
        abort();
    for (size_t i = 0; i < (size_t)rows * cols; i++)
        codes[i] = (int16_t)((int)pare_random_below(&m->r, 1u << bits) - (1 << (bits - 1)));
    for (size_t i = 0; i < (size_t)rows * groups; i++)
        scales[i] =
            pare_f16_to_f32(pare_f32_to_f16(3.0f / sqrtf((float)cols) / (float)(1 << bits)));
    const struct pare_integers integers = {.struct_size = sizeof integers,
                                           .bits = bits,
                                           .group_size = 32,
                                           .codes = codes,
                                           .scales = scales};
    if (pare_weight_with_integers(plain, &integers, &w, NULL) != PARE_OK)
        abort();
    pare_weight_unref(plain);
    free(codes);
    free(scales);
    return w;
}

static inline struct pare_blob *llama_vector(struct llama_maker *m, size_t n)
{
    struct pare_blob *b = NULL;
    float *x = llama_floats(m, n, 0.1f, 1);
    if (pare_blob_copy(x, n, sizeof *x, &b, NULL) != PARE_OK)
        abort();
    free(x);
    return b;
}

static inline uint32_t llama_put(struct llama_maker *m, struct pare_node node, const char *name)
{
    node.block = m->layer;
    if (m->layer >= 0)
        snprintf(node.path, sizeof node.path, "layer.%d.%s", m->layer, name);
    else
        snprintf(node.path, sizeof node.path, "%s", name);
    snprintf(node.role, sizeof node.role, "%s", name);
    if (pare_graph_add(m->g, &node, NULL) != PARE_OK)
        abort();
    return m->g->nodes[m->g->n_nodes - 1].outputs[0];
}

static inline uint32_t llama_norm(struct llama_maker *m, uint32_t x, uint32_t width, uint32_t heads,
                                  const char *name)
{
    return llama_put(m,
                     (struct pare_node){.op = PARE_OP_RMS_NORM,
                                        .n_inputs = 1,
                                        .inputs = {x},
                                        .heads = heads,
                                        .eps = 1e-5f,
                                        .a = llama_vector(m, width)},
                     name);
}

static inline uint32_t llama_linear(struct llama_maker *m, uint32_t x, uint32_t rows, uint32_t cols,
                                    const char *name)
{
    struct pare_node node = {.op = PARE_OP_LINEAR, .n_inputs = 1, .inputs = {x}};
    node.weight = m->s->bits ? llama_integers(m, rows, cols) : llama_weight(m, rows, cols);
    node.activation_bits = m->s->bits ? 8 : 0;
    node.activation_group = m->s->bits ? PARE_ACTIVATION_GROUP : 0;
    return llama_put(m, node, name);
}

static inline uint32_t llama_rope(struct llama_maker *m, uint32_t x, uint32_t heads,
                                  const char *name)
{
    return llama_put(m,
                     (struct pare_node){.op = PARE_OP_ROPE,
                                        .n_inputs = 1,
                                        .inputs = {x},
                                        .heads = heads,
                                        .adjacent = m->s->adjacent,
                                        .scale = 1,
                                        .a = pare_blob_ref(m->frequency)},
                     name);
}

static inline uint32_t llama_add(struct llama_maker *m, uint32_t x, uint32_t y, const char *name)
{
    return llama_put(
        m, (struct pare_node){.op = PARE_OP_ADD, .n_inputs = 2, .inputs = {x, y}, .scale = 1},
        name);
}

static inline uint32_t llama_layer(struct llama_maker *m, uint32_t x)
{
    const struct llama_shape *s = m->s;
    const uint32_t kv = s->kv_heads * s->head_width, all = s->heads * s->head_width;
    uint32_t n = llama_norm(m, x, s->width, 1, "attn.norm");
    uint32_t q = llama_linear(m, n, all, s->width, "attn.query");
    uint32_t k = llama_linear(m, n, kv, s->width, "attn.key");
    uint32_t v = llama_linear(m, n, kv, s->width, "attn.value");
    if (s->qk_norm) {
        q = llama_norm(m, q, s->head_width, s->heads, "attn.query_norm");
        k = llama_norm(m, k, s->head_width, s->kv_heads, "attn.key_norm");
    }
    q = llama_rope(m, q, s->heads, "attn.query_rope");
    k = llama_rope(m, k, s->kv_heads, "attn.key_rope");
    uint32_t mix = llama_put(m,
                             (struct pare_node){.op = PARE_OP_ATTENTION,
                                                .n_inputs = 3,
                                                .inputs = {q, k, v},
                                                .heads = s->heads,
                                                .kv_heads = s->kv_heads,
                                                .causal = 1,
                                                .window = s->window,
                                                .cache_bits = s->cache_bits ? s->cache_bits : 16,
                                                .scale = 1.0f / sqrtf((float)s->head_width)},
                             "attn.mix");
    x = llama_add(m, x, llama_linear(m, mix, s->width, all, "attn.output"), "attn.add");
    n = llama_norm(m, x, s->width, 1, "ffn.norm");
    uint32_t gate = llama_linear(m, n, s->hidden, s->width, "ffn.gate");
    gate = llama_put(
        m,
        (struct pare_node){
            .op = PARE_OP_ACTIVATION, .n_inputs = 1, .inputs = {gate}, .activation = PARE_ACT_SILU},
        "ffn.act");
    uint32_t up = llama_linear(m, n, s->hidden, s->width, "ffn.up");
    up = llama_put(m, (struct pare_node){.op = PARE_OP_MUL, .n_inputs = 2, .inputs = {gate, up}},
                   "ffn.mul");
    return llama_add(m, x, llama_linear(m, up, s->width, s->hidden, "ffn.down"), "ffn.add");
}

/* NULL: the shape is impossible. Released with pare_graph_free(). */
static inline struct pare_graph *random_llama(const struct llama_shape *s, uint64_t seed)
{
    struct llama_maker m = {.s = s, .layer = -1};
    const uint32_t pairs = s->head_width / 2;
    pare_random_seed(&m.r, seed);
    if (pare_graph_new_text(s->vocabulary, s->context, s->length, &m.g, NULL) != PARE_OK ||
        pare_blob_new(pairs, sizeof(float), &m.frequency, NULL) != PARE_OK)
        abort();
    for (uint32_t i = 0; i < pairs; i++)
        pare_blob_f32(m.frequency)[i] = powf(10000, -(float)i / (float)pairs);
    struct pare_weight *table = llama_weight(&m, s->vocabulary, s->width);
    uint32_t x = llama_put(
        &m,
        (struct pare_node){.op = PARE_OP_EMBED, .n_inputs = 1, .weight = pare_weight_ref(table)},
        "embed.token");
    for (m.layer = 0; m.layer < (int32_t)s->layers; m.layer++)
        x = llama_layer(&m, x);
    m.layer = -1;
    x = llama_put(&m, (struct pare_node){.op = PARE_OP_ROWS, .n_inputs = 1, .inputs = {x}}, "rows");
    x = llama_norm(&m, x, s->width, 1, "norm");
    m.g->output = llama_put(
        &m, (struct pare_node){.op = PARE_OP_LINEAR, .n_inputs = 1, .inputs = {x}, .weight = table},
        "head");
    m.g->blocks = s->layers;
    pare_blob_unref(m.frequency);
    if (pare_graph_infer(m.g, NULL) != PARE_OK) {
        pare_graph_free(m.g);
        return NULL;
    }
    return m.g;
}

#endif
