/* SPDX-License-Identifier: Apache-2.0 */
/* What a graph is worth: shapes, checks, and counts of work and storage. */
#include "model/graph.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bounds that no real model reaches; they keep sizes far from overflow. */
#define TOKENS_MAX (1u << 20)
#define WIDTH_MAX (1u << 20)

static const char *const op_names[PARE_OP_COUNT] = {
    [PARE_OP_CONV2D] = "conv2d",
    [PARE_OP_TOKENS] = "tokens",
    [PARE_OP_LINEAR] = "linear",
    [PARE_OP_NORM] = "norm",
    [PARE_OP_ATTENTION] = "attention",
    [PARE_OP_ACTIVATION] = "activation",
    [PARE_OP_ADD] = "add",
    [PARE_OP_ADD_VECTOR] = "add_vector",
    [PARE_OP_POOL] = "pool",
    [PARE_OP_TOKEN_MERGE] = "token_merge",
    [PARE_OP_EMBED] = "embed",
    [PARE_OP_RMS_NORM] = "rms_norm",
    [PARE_OP_ROPE] = "rope",
    [PARE_OP_MUL] = "mul",
    [PARE_OP_ROWS] = "rows",
};

const char *pare_op_name(unsigned op)
{
    return op < PARE_OP_COUNT && op_names[op] ? op_names[op] : "unknown";
}

uint32_t pare_merged_tokens(uint32_t tokens, uint32_t prefix, uint32_t r)
{
    uint32_t most = tokens > prefix ? (tokens - prefix) / 2 : 0;
    return tokens - PARE_MIN(r, most);
}

static size_t blob_floats(const struct pare_blob *blob)
{
    return blob ? blob->size / sizeof(float) : 0;
}

static bool blob_finite(const struct pare_blob *blob)
{
    const float *x = pare_blob_f32(blob);
    for (size_t i = 0; i < blob_floats(blob); i++) {
        if (!isfinite(x[i]))
            return false;
    }
    return true;
}

/* What a check of one node needs. */
struct check {
    const struct pare_graph *graph;
    const struct pare_node *node;
    const struct pare_value *in[PARE_NODE_INPUTS];
    struct pare_value out[PARE_NODE_OUTPUTS];
    struct pare_error *err;
};

static int wrong(const struct check *c, const char *what)
{
    return pare_error_set(c->err, PARE_INVALID, "%s (%s): %s", c->node->path,
                          pare_op_name(c->node->op), what);
}

static int check_matrix(const struct check *c, uint32_t cols)
{
    const struct pare_node *node = c->node;
    if (!node->weight)
        return wrong(c, "has no weight");
    if (node->weight->cols != cols) {
        pare_error_set(c->err, PARE_INVALID, "%s: the weight takes %u inputs, %u arrive",
                       node->path, node->weight->cols, cols);
        return PARE_INVALID;
    }
    if (node->bias && node->bias->size != node->weight->rows * sizeof(float))
        return wrong(c, "the bias does not fit the weight");
    if (node->activation_bits != 0 && node->activation_bits != 8)
        return wrong(c, "activations are f32 (0) or 8 bits");
    if (node->activation_group != 0 && node->activation_group != PARE_ACTIVATION_GROUP)
        return wrong(c, "activations have a scale per token (0) or per 32 columns");
    return PARE_OK;
}

static int infer_conv2d(struct check *c)
{
    const struct pare_graph *g = c->graph;
    uint32_t k = c->node->kernel;
    if (c->node->inputs[0] != 0 || pare_graph_reads_text(g))
        return wrong(c, "reads something else than the image");
    if (k == 0 || k > g->height || k > g->width)
        return wrong(c, "the patch does not fit into the image");
    c->out[0].tokens = (g->height / k) * (g->width / k);
    int rc = check_matrix(c, g->channels * k * k);
    if (rc == PARE_OK)
        c->out[0].width = c->node->weight->rows;
    return rc;
}

static int infer_tokens(struct check *c)
{
    const struct pare_node *node = c->node;
    c->out[0] = *c->in[0];
    c->out[0].tokens += node->prefix;
    size_t width = c->in[0]->width;
    if (blob_floats(node->a) != node->prefix * width)
        return wrong(c, "the prefix tokens do not fit the width");
    if (blob_floats(node->b) != c->out[0].tokens * width)
        return wrong(c, "the position embeddings do not fit the tokens");
    return PARE_OK;
}

static int infer_linear(struct check *c)
{
    int rc = check_matrix(c, c->in[0]->width);
    if (rc != PARE_OK)
        return rc;
    c->out[0].tokens = c->in[0]->tokens;
    c->out[0].width = c->node->weight->rows;
    if (c->node->ids && c->node->ids->size != c->node->weight->rows * sizeof(uint32_t))
        return wrong(c, "the numbers of its rows do not fit the weight");
    return PARE_OK;
}

static int infer_norm(struct check *c)
{
    c->out[0] = *c->in[0];
    if (blob_floats(c->node->a) != c->in[0]->width || blob_floats(c->node->b) != c->in[0]->width)
        return wrong(c, "gamma and beta do not fit the width");
    if (!(c->node->eps >= 0 && c->node->eps < 1))
        return wrong(c, "epsilon is out of range");
    return PARE_OK;
}

static int infer_attention(struct check *c)
{
    const struct pare_value *q = c->in[0], *k = c->in[1], *v = c->in[2];
    const struct pare_node *node = c->node;
    uint32_t heads = node->heads, kv = node->kv_heads ? node->kv_heads : heads;
    if (heads == 0 || heads % kv || q->width % heads || v->width % kv || k->width % kv ||
        q->width / heads != k->width / kv)
        return wrong(c, "queries, keys and values do not divide into the heads");
    if (q->tokens != k->tokens || q->tokens != v->tokens)
        return wrong(c, "queries, keys and values differ in tokens");
    if (c->in[3] && (c->in[3]->width != 1 || c->in[3]->tokens != k->tokens))
        return wrong(c, "the token sizes do not fit the keys");
    if (c->in[3] && node->causal)
        return wrong(c, "causal attention knows no token sizes");
    if (!node->causal && kv != heads)
        return wrong(c, "only causal attention shares heads of keys");
    if (node->causal > 1 || (!node->causal && node->window))
        return wrong(c, "a window needs causal attention");
    if (node->causal ? node->cache_bits != 4 && node->cache_bits != 8 && node->cache_bits != 16 &&
                           node->cache_bits != 32
                     : node->cache_bits != 0)
        return wrong(c, "keys and values are kept as 4, 8, 16 or 32 bits, of causal attention");
    if (!isfinite(node->scale))
        return wrong(c, "the scale is not finite");
    if (node->ids && node->ids->size != heads * sizeof(uint32_t))
        return wrong(c, "the numbers of its heads do not fit");
    uint64_t width = (uint64_t)v->width / kv * heads;
    c->out[0] =
        (struct pare_value){.tokens = q->tokens, .width = width > WIDTH_MAX ? 0 : (uint32_t)width};
    return PARE_OK;
}

static int infer_activation(struct check *c)
{
    c->out[0] = *c->in[0];
    if (c->node->activation < PARE_ACT_GELU || c->node->activation > PARE_ACT_TANH)
        return wrong(c, "an activation that is not known");
    return PARE_OK;
}

static int infer_add(struct check *c)
{
    c->out[0] = *c->in[0];
    if (c->in[0]->tokens != c->in[1]->tokens || c->in[0]->width != c->in[1]->width)
        return wrong(c, "its two inputs differ in shape");
    if (!isfinite(c->node->scale))
        return wrong(c, "the factor is not finite");
    return PARE_OK;
}

static int infer_add_vector(struct check *c)
{
    c->out[0] = *c->in[0];
    return blob_floats(c->node->a) == c->in[0]->width
               ? PARE_OK
               : wrong(c, "the vector does not fit the width");
}

static int infer_pool(struct check *c)
{
    c->out[0] = (struct pare_value){.tokens = 1, .width = c->in[0]->width};
    if (c->in[1] && (c->in[1]->width != 1 || c->in[1]->tokens != c->in[0]->tokens))
        return wrong(c, "the token sizes do not fit the tokens");
    if (c->node->token != PARE_POOL_MEAN && c->node->token >= c->in[0]->tokens)
        return wrong(c, "the token to take is not there");
    return PARE_OK;
}

static int infer_token_merge(struct check *c)
{
    const struct pare_value *x = c->in[0], *keys = c->in[1];
    if (keys->tokens != x->tokens)
        return wrong(c, "the keys do not fit the tokens");
    if (c->node->heads == 0 || keys->width % c->node->heads)
        return wrong(c, "the keys do not divide into the heads");
    if (c->in[2] && (c->in[2]->width != 1 || c->in[2]->tokens != x->tokens))
        return wrong(c, "the token sizes do not fit the tokens");
    uint32_t left = pare_merged_tokens(x->tokens, c->node->prefix, c->node->merge);
    c->out[0] = (struct pare_value){.tokens = left, .width = x->width};
    c->out[1] = (struct pare_value){.tokens = left, .width = 1};
    return PARE_OK;
}

static int infer_embed(struct check *c)
{
    const struct pare_node *node = c->node;
    const struct pare_graph *g = c->graph;
    static const char *const few[] = {[PARE_EMBED_ID] = "the weight has no row for every token id",
                                      [PARE_EMBED_POSITION] = "the weight has no row for every "
                                                              "position",
                                      [PARE_EMBED_SEGMENT] = "the weight has no two rows"};
    if (!pare_graph_reads_text(g) || node->inputs[0] != 0)
        return wrong(c, "reads something else than the text");
    if (!node->weight)
        return wrong(c, "has no weight");
    if (node->embed > PARE_EMBED_SEGMENT)
        return wrong(c, "looks up what is not known");
    const uint32_t least[] = {g->vocabulary, g->context, 2};
    if (node->weight->rows < least[node->embed])
        return wrong(c, few[node->embed]);
    c->out[0] = (struct pare_value){.tokens = c->in[0]->tokens, .width = node->weight->cols};
    return PARE_OK;
}

static int infer_rms_norm(struct check *c)
{
    uint32_t heads = c->node->heads;
    c->out[0] = *c->in[0];
    if (heads == 0 || c->in[0]->width % heads || blob_floats(c->node->a) != c->in[0]->width / heads)
        return wrong(c, "the weight does not fit the slices");
    if (!(c->node->eps >= 0 && c->node->eps < 1))
        return wrong(c, "epsilon is out of range");
    return PARE_OK;
}

static int infer_rope(struct check *c)
{
    uint32_t heads = c->node->heads;
    c->out[0] = *c->in[0];
    if (heads == 0 || c->in[0]->width % heads || !c->node->a ||
        2 * blob_floats(c->node->a) > c->in[0]->width / heads)
        return wrong(c, "the frequencies do not fit the heads");
    if (c->node->adjacent > 1 || !isfinite(c->node->scale))
        return wrong(c, "its parameters are out of range");
    return PARE_OK;
}

static int infer_mul(struct check *c)
{
    c->out[0] = *c->in[0];
    if (c->in[0]->tokens != c->in[1]->tokens || c->in[0]->width != c->in[1]->width)
        return wrong(c, "its two inputs differ in shape");
    return PARE_OK;
}

static int infer_rows(struct check *c)
{
    c->out[0] = *c->in[0];
    return pare_graph_reads_text(c->graph) ? PARE_OK : wrong(c, "an image has no rows to ask for");
}

static const struct {
    int (*infer)(struct check *);
    uint8_t least, most, outputs; /* inputs and outputs */
} rules[PARE_OP_COUNT] = {
    [PARE_OP_CONV2D] = {infer_conv2d, 1, 1, 1},
    [PARE_OP_TOKENS] = {infer_tokens, 1, 1, 1},
    [PARE_OP_LINEAR] = {infer_linear, 1, 1, 1},
    [PARE_OP_NORM] = {infer_norm, 1, 1, 1},
    [PARE_OP_ATTENTION] = {infer_attention, 3, 4, 1},
    [PARE_OP_ACTIVATION] = {infer_activation, 1, 1, 1},
    [PARE_OP_ADD] = {infer_add, 2, 2, 1},
    [PARE_OP_ADD_VECTOR] = {infer_add_vector, 1, 1, 1},
    [PARE_OP_POOL] = {infer_pool, 1, 2, 1},
    [PARE_OP_TOKEN_MERGE] = {infer_token_merge, 2, 3, 2},
    [PARE_OP_EMBED] = {infer_embed, 1, 1, 1},
    [PARE_OP_RMS_NORM] = {infer_rms_norm, 1, 1, 1},
    [PARE_OP_ROPE] = {infer_rope, 1, 1, 1},
    [PARE_OP_MUL] = {infer_mul, 2, 2, 1},
    [PARE_OP_ROWS] = {infer_rows, 1, 1, 1},
};

uint8_t pare_op_outputs(unsigned op)
{
    return op < PARE_OP_COUNT ? rules[op].outputs : 0;
}

static int check_node(struct pare_graph *g, struct check *c, const bool *written)
{
    const struct pare_node *node = c->node;
    if (node->op == 0 || node->op >= PARE_OP_COUNT)
        return wrong(c, "an operation that is not known");
    if (node->n_inputs < rules[node->op].least || node->n_inputs > rules[node->op].most ||
        node->n_outputs != rules[node->op].outputs)
        return wrong(c, "the wrong number of inputs or outputs");
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (node->inputs[i] >= g->n_values || !written[node->inputs[i]])
            return wrong(c, "reads a value before it is written");
        if (node->inputs[i] == 0 && node->op != PARE_OP_CONV2D && node->op != PARE_OP_EMBED)
            return wrong(c, "cannot read the input");
        c->in[i] = &g->values[node->inputs[i]];
    }
    if (!blob_finite(node->bias) || !blob_finite(node->a) || !blob_finite(node->b))
        return wrong(c, "a parameter is not finite");
    return rules[node->op].infer(c);
}

static int infer_input(struct pare_graph *g, struct pare_error *err)
{
    if (pare_graph_reads_text(g)) {
        if (g->vocabulary == 0 || g->vocabulary > TOKENS_MAX || g->length == 0 ||
            g->length > g->context || g->context > TOKENS_MAX)
            return pare_error_set(err, PARE_INVALID,
                                  "a text of %u of at most %u tokens, out of a vocabulary of %u, "
                                  "is out of range",
                                  g->length, g->context, g->vocabulary);
        g->values[0] = (struct pare_value){.tokens = g->length, .width = 1};
        return PARE_OK;
    }
    if (g->channels > 16 || g->height == 0 || g->width == 0 || g->height > 16384 ||
        g->width > 16384)
        return pare_error_set(err, PARE_INVALID, "an image of %u x %u x %u is out of range",
                              g->channels, g->height, g->width);
    g->values[0] = (struct pare_value){.tokens = g->channels, .width = g->height * g->width};
    return PARE_OK;
}

int pare_graph_infer(struct pare_graph *g, struct pare_error *err)
{
    int rc = PARE_OK;
    bool *written = pare_calloc(g->n_values, sizeof *written);
    if (!written)
        return pare_error_nomem(err, g->n_values);
    PARE_TRY(infer_input(g, err));
    written[0] = true;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        struct check c = {.graph = g, .node = &g->nodes[i], .err = err};
        PARE_TRY(check_node(g, &c, written));
        for (uint32_t o = 0; o < c.node->n_outputs; o++) {
            uint32_t value = c.node->outputs[o];
            if (value >= g->n_values || written[value]) {
                rc = wrong(&c, "writes a value that is written already or does not exist");
                goto out;
            }
            if (c.out[o].tokens == 0 || c.out[o].tokens > TOKENS_MAX || c.out[o].width == 0 ||
                c.out[o].width > WIDTH_MAX) {
                rc = wrong(&c, "its output is out of range");
                goto out;
            }
            written[value] = true;
            g->values[value] = c.out[o];
        }
    }
    if (g->output >= g->n_values || g->output == 0 || !written[g->output]) {
        rc = pare_error_set(err, PARE_INVALID, "the graph's output is never written");
        goto out;
    }
    if (g->values[g->output].tokens != 1 && !pare_graph_reads_text(g))
        rc = pare_error_set(err, PARE_INVALID, "the graph's output has more than one token");
out:
    free(written);
    return rc;
}

int pare_graph_set_length(struct pare_graph *g, uint32_t length, struct pare_error *err)
{
    if (!pare_graph_reads_text(g))
        return pare_error_set(err, PARE_INVALID, "a model that reads images has no text length");
    if (length > g->context) {
        pare_error_set(err, PARE_INVALID, "a text of %u tokens is longer than the model's context",
                       length);
        pare_error_detail(err, "it reads at most %u tokens", g->context);
        return PARE_INVALID;
    }
    g->length = length;
    return pare_graph_infer(g, err);
}

size_t pare_graph_inputs(const struct pare_graph *g)
{
    return (size_t)g->values[0].tokens * g->values[0].width;
}

size_t pare_graph_outputs(const struct pare_graph *g)
{
    return (size_t)g->values[g->output].tokens * g->values[g->output].width;
}

/* ---- counts
 * -------------------------------------------------------------------------------------- */

/* Pairs of a query and a key that it sees. */
static uint64_t causal_pairs(uint64_t tokens, uint64_t window)
{
    uint64_t w = window && window < tokens ? window : tokens;
    return w * (w + 1) / 2 + (tokens - w) * w;
}

uint64_t pare_node_macs(const struct pare_graph *g, const struct pare_node *node)
{
    const struct pare_value *in = &g->values[node->inputs[0]], *out = &g->values[node->outputs[0]];
    switch (node->op) {
    case PARE_OP_CONV2D:
    case PARE_OP_LINEAR:
        return pare_weight_stored(node->weight) * out->tokens;
    case PARE_OP_ATTENTION: {
        uint64_t pairs = (uint64_t)in->tokens * in->tokens;
        if (node->causal) /* what a window leaves out is gone at the start */
            pairs = causal_pairs(in->tokens, node->window);
        return pairs * ((uint64_t)in->width + out->width);
    }
    case PARE_OP_TOKEN_MERGE: {
        uint64_t half = in->tokens / 2, metric = g->values[node->inputs[1]].width / node->heads;
        return half * (in->tokens - half) * metric;
    }
    default:
        return 0; /* element-wise: counted by nobody */
    }
}

uint64_t pare_graph_macs(const struct pare_graph *g)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        total += pare_node_macs(g, &g->nodes[i]);
    return total;
}

/* Whether an earlier node holds the same weight. */
static bool seen_before(const struct pare_graph *g, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        if (g->nodes[i].weight == g->nodes[at].weight)
            return true;
    }
    return false;
}

uint64_t pare_graph_parameters(const struct pare_graph *g)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (node->weight && !seen_before(g, i))
            total += pare_weight_stored(node->weight);
        total += blob_floats(node->bias) + blob_floats(node->b);
        if (node->op != PARE_OP_ROPE) /* its frequencies are computed */
            total += blob_floats(node->a);
    }
    return total;
}

static uint64_t blob_bytes(const struct pare_blob *blob)
{
    return blob ? pare_round_up(blob->size, PARE_ALIGN) : 0;
}

uint64_t pare_graph_bytes(const struct pare_graph *g)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (node->weight && !seen_before(g, i))
            total += pare_weight_bytes(node->weight);
        total += blob_bytes(node->bias) + blob_bytes(node->a) + blob_bytes(node->b);
    }
    return total;
}

enum pare_output pare_graph_output(const struct pare_graph *graph)
{
    const int32_t writer = pare_graph_writer(graph, graph->output);
    bool pools = false;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        pools = pools || graph->nodes[i].op == PARE_OP_POOL;
    if (!pools)
        return PARE_OUTPUT_NEXT_TOKEN;
    return writer >= 0 && graph->nodes[writer].op == PARE_OP_LINEAR ? PARE_OUTPUT_CLASSES
                                                                    : PARE_OUTPUT_EMBEDDING;
}
