/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_FAMILY_TEXT_H
#define PARE_MODEL_FAMILY_TEXT_H

#include "model/family_parts.h"

/* What families that read text share. A table says for every part of a model its path and what the
 * kinds of files call it, so that building and writing need no names of their own. */

enum pare_column { PARE_COLUMN_HF, PARE_COLUMN_GGUF, PARE_COLUMN_OTHER, PARE_COLUMNS };

struct pare_part {
    const char *path, *role;         /* of the node; below "layer.N." in a layer */
    const char *names[PARE_COLUMNS]; /* of the tensors, without ".weight" and ".bias" */
    bool end;                        /* not in a layer */
    bool apart;                      /* Hugging Face's name has no prefix */
};

/* Which column, and what comes before its names. */
struct pare_naming {
    enum pare_column column;
    const char *prefix; /* "model." */
    const char *layers; /* "layers.": before the number of a layer */
};

/* NAME of a part, with `suffix` (".weight"). */
void pare_part_name(const struct pare_naming *naming, const struct pare_part *part, int32_t layer,
                    const char *suffix, char out[PARE_TENSOR_NAME]);

/* Sizes that every text model has. */
struct pare_text_dims {
    uint32_t vocabulary, context, hidden, ffn, heads, kv_heads, head, depth, activation;
    float eps;
};
/* Where a configuration has them; a second name is tried when the first is not there. */
struct pare_dim_key {
    const char *key, *other;
    size_t offset;
    uint32_t most, fallback; /* 0: it must be there */
};
/* Read them. A context beyond what graphs can have is cut. PARE_INVALID. */
int pare_text_dims_read(const json_t *config, const struct pare_dim_key *keys, size_t n,
                        struct pare_text_dims *out, struct pare_error *err);

enum pare_bias { PARE_BIAS_NONE, PARE_BIAS_MAY, PARE_BIAS_MUST };

struct pare_text_build {
    struct pare_build base;
    struct pare_naming naming;
    struct pare_text_dims d;
};

/* A graph of the sizes in `d`, for texts of at most 512 tokens at first; the model's. */
int pare_text_begin(struct pare_text_build *b, struct pare_model *model);
bool pare_text_has(const struct pare_text_build *b, const struct pare_part *part, int32_t layer);
/* Nodes from the part's tensors. `*out` is what the node writes. A linear whose weights are
 * integers of ggml's gets its inputs as integers with a scale per 32 columns, as llama.cpp
 * multiplies them. `weight` (or NULL) is used in place of the file's. */
int pare_text_linear(struct pare_text_build *b, const struct pare_part *part, int32_t layer,
                     uint32_t input, uint32_t rows, uint32_t cols, enum pare_bias bias,
                     struct pare_weight *weight, uint32_t *out);
int pare_text_embed(struct pare_text_build *b, const struct pare_part *part, enum pare_embed embed,
                    uint32_t rows, uint32_t *out);
/* Layer norm, or RMS norm over `heads` slices of `width`. */
int pare_text_norm(struct pare_text_build *b, const struct pare_part *part, int32_t layer,
                   uint32_t input, uint32_t *out);
int pare_text_rms_norm(struct pare_text_build *b, const struct pare_part *part, int32_t layer,
                       uint32_t input, uint32_t heads, uint32_t width, uint32_t *out);
/* softmax(q k' / sqrt(head)) v */
int pare_text_attention(struct pare_text_build *b, int32_t layer, uint32_t q, uint32_t k,
                        uint32_t v, bool causal, uint32_t window, uint32_t *out);

/* ---- writing
 * ------------------------------------------------------------------------------------- */

/* Take the number of heads and the width of feed-forward parts from the first layer that is left:
 * other files have one for all layers. */
void pare_text_uniform(const struct pare_writing *w, struct pare_text_dims *d);
/* Refuse nodes that the table does not know and that do something. */
int pare_text_check(const struct pare_writing *w, const struct pare_part *parts, size_t n);
/* NAME.weight and NAME.bias of a linear, embedding or norm. */
int pare_text_put(const struct pare_writing *w, const struct pare_naming *naming,
                  const struct pare_part *part, int32_t block, uint32_t number,
                  const uint32_t *order);
/* "layer.3.attn was dropped alone" */
int pare_text_missing(const struct pare_writing *w, const struct pare_part *part, int32_t block);
/* Whether the part's weight has those sizes; refused if not. */
int pare_text_fits(const struct pare_writing *w, const struct pare_node *node, uint32_t rows,
                   uint32_t cols);
/* A copy of the configuration with the layers that are left: their number under `key`, and their
 * entries of lists that have one per layer. */
int pare_text_config(const struct pare_writing *w, uint32_t depth, const char *key, json_t **out);

#endif
