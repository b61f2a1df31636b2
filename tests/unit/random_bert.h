/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEST_RANDOM_BERT_H
#define PARE_TEST_RANDOM_BERT_H

#include "tests/unit/random_llama.h"

/* An encoder with random weights: token, segment and position embeddings, layer norms behind each
 * branch, biases, GELU; a classifier on the first token, or (classes = 0) the mean over tokens. */
struct bert_shape {
    uint32_t vocabulary, context, length, width, heads, hidden, layers, classes;
};

static inline uint32_t bert_norm(struct llama_maker *m, uint32_t x, uint32_t width,
                                 const char *name)
{
    return llama_put(m,
                     (struct pare_node){.op = PARE_OP_NORM,
                                        .n_inputs = 1,
                                        .inputs = {x},
                                        .eps = 1e-6f,
                                        .a = llama_vector(m, width),
                                        .b = llama_vector(m, width)},
                     name);
}

static inline uint32_t bert_embed(struct llama_maker *m, uint32_t rows, uint32_t cols,
                                  enum pare_embed what, const char *name)
{
    return llama_put(m,
                     (struct pare_node){.op = PARE_OP_EMBED,
                                        .n_inputs = 1,
                                        .weight = llama_weight(m, rows, cols),
                                        .embed = what,
                                        .token = 2},
                     name);
}

static inline uint32_t bert_linear(struct llama_maker *m, uint32_t x, uint32_t rows, uint32_t cols,
                                   const char *name)
{
    struct pare_node node = {.op = PARE_OP_LINEAR,
                             .n_inputs = 1,
                             .inputs = {x},
                             .weight = llama_weight(m, rows, cols),
                             .bias = llama_vector(m, rows)};
    return llama_put(m, node, name);
}

static inline uint32_t bert_layer(struct llama_maker *m, const struct bert_shape *s, uint32_t x)
{
    static const char *const names[] = {"attn.query", "attn.key", "attn.value"};
    struct pare_node mix = {.op = PARE_OP_ATTENTION,
                            .n_inputs = 3,
                            .heads = s->heads,
                            .scale = 1.0f / sqrtf((float)s->width / (float)s->heads)};
    for (int i = 0; i < 3; i++)
        mix.inputs[i] = bert_linear(m, x, s->width, s->width, names[i]);
    uint32_t y = llama_put(m, mix, "attn.mix");
    y = bert_linear(m, y, s->width, s->width, "attn.output");
    x = bert_norm(m, llama_add(m, x, y, "attn.add"), s->width, "attn.norm");
    y = bert_linear(m, x, s->hidden, s->width, "ffn.up");
    y = llama_put(
        m,
        (struct pare_node){
            .op = PARE_OP_ACTIVATION, .n_inputs = 1, .inputs = {y}, .activation = PARE_ACT_GELU},
        "ffn.act");
    y = bert_linear(m, y, s->width, s->hidden, "ffn.down");
    return bert_norm(m, llama_add(m, x, y, "ffn.add"), s->width, "ffn.norm");
}

/* Released with pare_graph_free(). */
static inline struct pare_graph *random_bert(const struct bert_shape *s, uint64_t seed)
{
    struct llama_maker m = {.layer = -1};
    pare_random_seed(&m.r, seed);
    if (pare_graph_new_text(s->vocabulary, s->context, s->length, &m.g, NULL) != PARE_OK)
        abort();
    uint32_t x = bert_embed(&m, s->vocabulary, s->width, PARE_EMBED_ID, "embed.token");
    uint32_t y = bert_embed(&m, 2, s->width, PARE_EMBED_SEGMENT, "embed.segment");
    x = llama_add(&m, x, y, "embed.segment_add");
    y = bert_embed(&m, s->context, s->width, PARE_EMBED_POSITION, "embed.position");
    x = llama_add(&m, x, y, "embed.position_add");
    x = bert_norm(&m, x, s->width, "embed.norm");
    for (m.layer = 0; m.layer < (int32_t)s->layers; m.layer++)
        x = bert_layer(&m, s, x);
    m.layer = -1;
    x = llama_put(&m,
                  (struct pare_node){.op = PARE_OP_POOL,
                                     .n_inputs = 1,
                                     .inputs = {x},
                                     .token = s->classes ? 0 : PARE_POOL_MEAN},
                  "pool");
    if (s->classes)
        x = bert_linear(&m, x, s->classes, s->width, "classifier");
    m.g->output = x;
    m.g->blocks = s->layers;
    if (pare_graph_infer(m.g, NULL) != PARE_OK)
        abort();
    return m.g;
}

#endif
