/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_GRAPH_H
#define PARE_MODEL_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "model/weight.h"

/* A model as coarse operations in execution order. A value is, per sample, tokens x width floats
 * (row-major). Value 0 is the input: an image of channels x (height * width), or a text of `length`
 * token ids, one float each. Operations are pure functions of their inputs and parameters, and of
 * a token's position where they say so. A family builds the graph; nothing after that asks which
 * family it was. */
enum pare_op {
    PARE_OP_CONV2D =
        1, /* image -> tokens: a linear over patches, kernel = stride, row-major patches, each
              flattened as channel, y, x; weight rows x (channels * kernel * kernel) */
    PARE_OP_TOKENS,      /* x -> [prefix; x] + position;  a: prefix count x width (may be empty), b:
                            position */
    PARE_OP_LINEAR,      /* x -> x W' + bias */
    PARE_OP_NORM,        /* layer norm over the width, a: gamma, b: beta */
    PARE_OP_ATTENTION,   /* q, k, v [, sizes] -> softmax(q k' scale [+ log sizes]) v, heads side by
                            side; fewer kv_heads serve as many query heads each; causal: a token
                            sees itself and the `window` - 1 before it (0: all before it) */
    PARE_OP_ACTIVATION,  /* element by element */
    PARE_OP_ADD,         /* x, y -> factor * (x + y) */
    PARE_OP_ADD_VECTOR,  /* x -> x + a, the same vector for every token (a dropped branch's mean) */
    PARE_OP_POOL,        /* x [, sizes] -> one token: row `token`, or the mean of all when token is
                            PARE_POOL_MEAN, each counting by its size */
    PARE_OP_TOKEN_MERGE, /* stream, keys [, sizes] -> merged stream, sizes (tokens x 1); ToMe */
    PARE_OP_EMBED,       /* ids -> rows of the weight, chosen as enum pare_embed says */
    PARE_OP_RMS_NORM,    /* x / sqrt(mean x^2 + eps) * a, over each of `heads` equal slices (a: one
                            slice) */
    PARE_OP_ROPE, /* rotary position embedding over each of `heads` slices: pair i of a slice is
                     turned by position * a[i]; pairs beyond a stay; everything times `scale`.
                     `adjacent`: pairs (2i, 2i + 1), else (i, i + pairs) */
    PARE_OP_MUL,  /* x, y -> x * y */
    PARE_OP_ROWS, /* x -> the tokens whose output is asked for; all of a whole text */
    PARE_OP_COUNT
};

enum pare_activation {
    PARE_ACT_GELU = 1,      /* x Phi(x), by erf */
    PARE_ACT_GELU_TANH = 2, /* the tanh approximation */
    PARE_ACT_SILU = 3,
    PARE_ACT_RELU = 4,
    PARE_ACT_TANH = 5
};

/* What an EMBED node looks up. */
enum pare_embed {
    PARE_EMBED_ID = 0,
    PARE_EMBED_POSITION,
    PARE_EMBED_SEGMENT /* 0 up to and with the first token `token` (the separator), 1 after it */
};

#define PARE_POOL_MEAN UINT32_MAX
#define PARE_ACTIVATION_GROUP 32u /* columns per scale where activations have several */
#define PARE_NODE_INPUTS 4
#define PARE_NODE_OUTPUTS 2
#define PARE_PATH_MAX 96
#define PARE_ROLE_MAX 48

struct pare_node {
    uint8_t op; /* enum pare_op */
    uint8_t n_inputs, n_outputs;
    int32_t block;                     /* layer of the original model, -1: none */
    uint32_t inputs[PARE_NODE_INPUTS]; /* values */
    uint32_t outputs[PARE_NODE_OUTPUTS];
    char path[PARE_PATH_MAX];   /* "layer.3.attn.query": unique, and for ever */
    char role[PARE_ROLE_MAX];   /* "attention.query" */
    struct pare_weight *weight; /* CONV2D, LINEAR, EMBED */
    struct pare_blob *bias;     /* CONV2D, LINEAR: rows floats, or NULL */
    struct pare_blob *a, *b;    /* see enum pare_op */
    struct pare_blob *ids; /* ATTENTION: original numbers of the heads; LINEAR: of the rows; u32, or
                              NULL when none was removed */
    uint32_t activation_bits;  /* LINEAR: 0: f32 inputs; 8: int8 (absmax / 127) */
    uint32_t activation_group; /* LINEAR: columns per scale of those; 0: one per token */
    uint32_t kernel;           /* CONV2D */
    uint32_t prefix;     /* TOKENS: rows in a; TOKEN_MERGE: leading tokens that never merge away */
    uint32_t heads;      /* ATTENTION, RMS_NORM, ROPE, TOKEN_MERGE */
    uint32_t kv_heads;   /* ATTENTION: of keys and values; 0: as many as heads */
    uint32_t causal;     /* ATTENTION: 1: no token sees a later one */
    uint32_t window;     /* ATTENTION, causal: tokens it sees; 0: all */
    uint32_t cache_bits; /* ATTENTION, causal: keys and values as 32: f32, 16: f16, 8 or 4: integers
                            with a scale per head and token */
    uint32_t adjacent;   /* ROPE */
    uint32_t embed;      /* EMBED: enum pare_embed */
    uint32_t activation; /* ACTIVATION: enum pare_activation */
    uint32_t token;      /* POOL; EMBED: the separator */
    uint32_t merge;      /* TOKEN_MERGE: r, as given; capped when it runs */
    float eps;           /* NORM, RMS_NORM */
    float scale;         /* ATTENTION: on q k'; ADD, ROPE: factor */
};

struct pare_value {
    uint32_t tokens, width; /* derived by pare_graph_infer() */
};

struct pare_graph {
    struct pare_node *nodes;
    uint32_t n_nodes, cap_nodes;
    struct pare_value *values; /* value 0 is the image */
    uint32_t n_values, cap_values;
    uint32_t channels, height, width; /* of the image; 0: the input is text */
    uint32_t vocabulary;              /* of the text: ids are below it */
    uint32_t context;                 /* most tokens of a text */
    uint32_t length;                  /* tokens of a text that shapes and counts speak of */
    uint32_t output;                  /* the logits */
    uint32_t blocks;                  /* layers of the original model */
};

int pare_graph_new(uint32_t channels, uint32_t height, uint32_t width, struct pare_graph **out,
                   struct pare_error *err);
/* A graph that reads text. `length` <= `context` can be changed later, see pare_graph_set_length().
 */
int pare_graph_new_text(uint32_t vocabulary, uint32_t context, uint32_t length,
                        struct pare_graph **out, struct pare_error *err);
void pare_graph_free(struct pare_graph *graph);
static inline bool pare_graph_reads_text(const struct pare_graph *graph)
{
    return graph->channels == 0;
}
/* What a sample's output is: a number per class, or a vector of another meaning, or what follows
 * each token of a text. */
enum pare_output { PARE_OUTPUT_CLASSES, PARE_OUTPUT_EMBEDDING, PARE_OUTPUT_NEXT_TOKEN };
enum pare_output pare_graph_output(const struct pare_graph *graph);
/* The same graph for texts of `length` tokens: shapes are inferred anew. PARE_INVALID: longer than
 * the context, or an image. */
int pare_graph_set_length(struct pare_graph *graph, uint32_t length, struct pare_error *err);
/* Floats that a sample goes in with, and comes out with. */
size_t pare_graph_inputs(const struct pare_graph *graph);
size_t pare_graph_outputs(const struct pare_graph *graph);
/* Copy on write: nodes are copied, weights and blobs shared. */
int pare_graph_copy(const struct pare_graph *graph, struct pare_graph **out,
                    struct pare_error *err);

/* Append a node: `*node` is copied with its references (which move to the graph, even on failure),
 * inputs and n_inputs are the caller's, outputs are given here. */
int pare_graph_add(struct pare_graph *graph, const struct pare_node *node, struct pare_error *err);
/* The same at a position in execution order. */
int pare_graph_insert(struct pare_graph *graph, uint32_t at, const struct pare_node *node,
                      struct pare_error *err);
/* Remove a node and let whoever read its first output read `instead`. */
void pare_graph_remove(struct pare_graph *graph, uint32_t at, uint32_t instead);
/* Remove nodes whose outputs nobody reads. */
void pare_graph_sweep(struct pare_graph *graph);

/* Work out every value's shape and check the whole graph: operations known, inputs written before
 * they are read, widths fitting, all sizes within reason. Run after every change and after reading
 * a file. */
int pare_graph_infer(struct pare_graph *graph, struct pare_error *err);

/* Index of the node with that path, or -1. */
int32_t pare_graph_find(const struct pare_graph *graph, const char *path);
/* Index of the node that writes a value, -1 for the image. */
int32_t pare_graph_writer(const struct pare_graph *graph, uint32_t value);

uint64_t pare_node_macs(const struct pare_graph *graph,
                        const struct pare_node *node); /* per sample */
uint64_t pare_graph_macs(const struct pare_graph *graph);
uint64_t pare_graph_parameters(const struct pare_graph *graph); /* stored, tied ones once */
uint64_t pare_graph_bytes(const struct pare_graph *graph); /* aligned payloads, each counted once */

void pare_node_release(struct pare_node *node); /* drop the references */
void pare_node_retain(struct pare_node *node);
const char *pare_op_name(unsigned op);
uint8_t pare_op_outputs(unsigned op); /* values that an operation writes; 0: not known */

/* Tokens left after merging r pairs (capped at half of the tokens that may merge). */
uint32_t pare_merged_tokens(uint32_t tokens, uint32_t prefix, uint32_t r);

#endif
