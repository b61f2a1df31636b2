/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_GRAPH_H
#define PARE_MODEL_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "model/weight.h"

/* A model as coarse operations in execution order. A value is, per sample, tokens x width floats
 * (row-major); the image is one value of channels x (height * width). Operations are pure functions
 * of their inputs and parameters. A family builds the graph; nothing after that asks which family
 * it was. */
enum pare_op {
    PARE_OP_CONV2D =
        1, /* image -> tokens: a linear over patches, kernel = stride, row-major patches, each
              flattened as channel, y, x; weight rows x (channels * kernel * kernel) */
    PARE_OP_TOKENS,     /* x -> [prefix; x] + position;  a: prefix count x width (may be empty), b:
                           position */
    PARE_OP_LINEAR,     /* x -> x W' + bias */
    PARE_OP_NORM,       /* layer norm over the width, a: gamma, b: beta */
    PARE_OP_ATTENTION,  /* q, k, v [, sizes] -> softmax(q k' scale [+ log sizes]) v, heads side by
                           side */
    PARE_OP_ACTIVATION, /* element by element */
    PARE_OP_ADD,        /* x, y -> factor * (x + y) */
    PARE_OP_ADD_VECTOR, /* x -> x + a, the same vector for every token (a dropped branch's mean) */
    PARE_OP_POOL, /* x -> one token: row `token`, or the mean of all when token is PARE_POOL_MEAN */
    PARE_OP_TOKEN_MERGE, /* stream, keys [, sizes] -> merged stream, sizes (tokens x 1); ToMe */
    PARE_OP_COUNT
};

enum pare_activation {
    PARE_ACT_GELU = 1,      /* x Phi(x), by erf */
    PARE_ACT_GELU_TANH = 2, /* the tanh approximation */
    PARE_ACT_SILU = 3,
    PARE_ACT_RELU = 4,
    PARE_ACT_TANH = 5
};

#define PARE_POOL_MEAN UINT32_MAX
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
    struct pare_weight *weight; /* CONV2D, LINEAR */
    struct pare_blob *bias;     /* CONV2D, LINEAR: rows floats, or NULL */
    struct pare_blob *a, *b;    /* see enum pare_op */
    struct pare_blob *ids; /* ATTENTION: original numbers of the heads; LINEAR: of the rows; u32, or
                              NULL when none was removed */
    uint32_t
        activation_bits; /* LINEAR: 0: f32 inputs; 8: int8, one scale per token (absmax / 127) */
    uint32_t kernel;     /* CONV2D */
    uint32_t prefix;     /* TOKENS: rows in a; TOKEN_MERGE: leading tokens that never merge away */
    uint32_t heads;      /* ATTENTION */
    uint32_t activation; /* ACTIVATION: enum pare_activation */
    uint32_t token;      /* POOL */
    uint32_t merge;      /* TOKEN_MERGE: r, as given; capped when it runs */
    float eps;           /* NORM */
    float scale;         /* ATTENTION: on q k'; ADD: factor */
};

struct pare_value {
    uint32_t tokens, width; /* derived by pare_graph_infer() */
};

struct pare_graph {
    struct pare_node *nodes;
    uint32_t n_nodes, cap_nodes;
    struct pare_value *values; /* value 0 is the image */
    uint32_t n_values, cap_values;
    uint32_t channels, height, width; /* of the image */
    uint32_t output;                  /* the logits */
    uint32_t blocks;                  /* layers of the original model */
};

int pare_graph_new(uint32_t channels, uint32_t height, uint32_t width, struct pare_graph **out,
                   struct pare_error *err);
void pare_graph_free(struct pare_graph *graph);
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
uint64_t pare_graph_parameters(const struct pare_graph *graph);
uint64_t pare_graph_bytes(const struct pare_graph *graph); /* aligned payloads, each counted once */

void pare_node_release(struct pare_node *node); /* drop the references */
void pare_node_retain(struct pare_node *node);
const char *pare_op_name(unsigned op);
uint8_t pare_op_outputs(unsigned op); /* values that an operation writes; 0: not known */

/* Tokens left after merging r pairs (capped at half of the tokens that may merge). */
uint32_t pare_merged_tokens(uint32_t tokens, uint32_t prefix, uint32_t r);

#endif
