/* SPDX-License-Identifier: Apache-2.0 */
/* ViT and DeiT as transformers publishes them: ViTForImageClassification, ViTModel with a pooler,
 * DeiTForImageClassification with and without teacher. */
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "model/model.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 65536

struct dims {
    uint32_t channels, height, width, patch;
    uint32_t hidden, ffn, heads, depth, prefix, tokens;
    uint32_t activation;
    float eps;
    bool bias; /* of q, k and v */
    bool deit;
};

/* The linears of a layer: Pare's path below layer.N, transformers' name below encoder.layer.N. */
static const struct part {
    const char *path, *role, *name;
    bool wide_out, wide_in; /* ffn wide instead of hidden */
    bool optional_bias;
} parts[] = {
    {"attn.query", "attention.query", "attention.attention.query", false, false, true},
    {"attn.key", "attention.key", "attention.attention.key", false, false, true},
    {"attn.value", "attention.value", "attention.attention.value", false, false, true},
    {"attn.output", "attention.output", "attention.output.dense", false, false, false},
    {"ffn.up", "feed_forward.up", "intermediate.dense", true, false, false},
    {"ffn.down", "feed_forward.down", "output.dense", false, true, false},
};
enum { QUERY, KEY, VALUE, OUTPUT, UP, DOWN };

static const struct {
    const char *name;
    uint32_t activation;
} activations[] = {
    {"gelu", PARE_ACT_GELU},
    {"gelu_new", PARE_ACT_GELU_TANH},
    {"gelu_pytorch_tanh", PARE_ACT_GELU_TANH},
    {"gelu_fast", PARE_ACT_GELU_TANH},
    {"silu", PARE_ACT_SILU},
    {"swish", PARE_ACT_SILU},
    {"relu", PARE_ACT_RELU},
};

/* ---- config.json
 * --------------------------------------------------------------------------------- */

static int get_size(const json_t *config, const char *key, uint32_t fallback, uint32_t *out,
                    struct pare_error *err)
{
    const json_t *j = json_object_get(config, key);
    if (!j) {
        *out = fallback;
        return PARE_OK;
    }
    if (!json_is_integer(j) || json_integer_value(j) < 1 || json_integer_value(j) > SIDE_MAX)
        return pare_error_set(err, PARE_INVALID, "config.json: %s is no size from 1 to %d", key,
                              SIDE_MAX);
    *out = (uint32_t)json_integer_value(j);
    return PARE_OK;
}

/* A number, or [height, width]. */
static int get_pair(const json_t *config, const char *key, uint32_t fallback, uint32_t *height,
                    uint32_t *width, struct pare_error *err)
{
    const json_t *j = json_object_get(config, key);
    if (!json_is_array(j)) {
        int rc = get_size(config, key, fallback, height, err);
        *width = *height;
        return rc;
    }
    const json_t *a = json_array_get(j, 0), *b = json_array_get(j, 1);
    if (json_array_size(j) != 2 || !json_is_integer(a) || !json_is_integer(b) ||
        json_integer_value(a) < 1 || json_integer_value(b) < 1 ||
        json_integer_value(a) > SIDE_MAX || json_integer_value(b) > SIDE_MAX)
        return pare_error_set(err, PARE_INVALID, "config.json: %s is no pair of sizes", key);
    *height = (uint32_t)json_integer_value(a);
    *width = (uint32_t)json_integer_value(b);
    return PARE_OK;
}

static int get_activation(const json_t *config, uint32_t *out, struct pare_error *err)
{
    const char *name = json_string_value(json_object_get(config, "hidden_act"));
    if (!name)
        name = "gelu";
    for (size_t i = 0; i < PARE_COUNT(activations); i++) {
        if (strcmp(name, activations[i].name) == 0) {
            *out = activations[i].activation;
            return PARE_OK;
        }
    }
    return pare_error_set(err, PARE_UNSUPPORTED, "config.json: hidden_act '%s' is not supported",
                          name);
}

static int read_dims(const json_t *config, struct dims *d, struct pare_error *err)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    uint32_t patch_width;
    int rc;
    d->deit = type && strcmp(type, "deit") == 0;
    PARE_TRY(get_pair(config, "image_size", 224, &d->height, &d->width, err));
    PARE_TRY(get_pair(config, "patch_size", 16, &d->patch, &patch_width, err));
    PARE_TRY(get_size(config, "num_channels", 3, &d->channels, err));
    PARE_TRY(get_size(config, "hidden_size", 768, &d->hidden, err));
    PARE_TRY(get_size(config, "intermediate_size", 3072, &d->ffn, err));
    PARE_TRY(get_size(config, "num_attention_heads", 12, &d->heads, err));
    PARE_TRY(get_size(config, "num_hidden_layers", 12, &d->depth, err));
    PARE_TRY(get_activation(config, &d->activation, err));
    const json_t *eps = json_object_get(config, "layer_norm_eps");
    const json_t *bias = json_object_get(config, "qkv_bias");
    d->eps = json_is_number(eps) ? (float)json_number_value(eps) : 1e-12f;
    d->bias = !json_is_false(bias);
    d->prefix = d->deit ? 2 : 1;
    if (patch_width != d->patch)
        rc = pare_error_set(err, PARE_UNSUPPORTED, "config.json: patches of %u x %u are not square",
                            d->patch, patch_width);
    else if (d->channels > 4 || d->depth > 1024)
        rc = pare_error_set(err, PARE_INVALID, "config.json: %u channels, %u layers: out of range",
                            d->channels, d->depth);
    else if (d->patch > d->height || d->patch > d->width)
        rc = pare_error_set(err, PARE_INVALID, "config.json: a patch of %u does not fit %u x %u",
                            d->patch, d->height, d->width);
    else if (d->hidden % d->heads)
        rc =
            pare_error_set(err, PARE_INVALID, "config.json: width %u does not divide into %u heads",
                           d->hidden, d->heads);
    if (rc == PARE_OK)
        d->tokens = (d->height / d->patch) * (d->width / d->patch) + d->prefix;
out:
    return rc;
}

/* ---- building
 * ------------------------------------------------------------------------------------ */

/* What the steps of building share. Node fields that most nodes leave alone start from zero. */
struct build {
    struct pare_graph *graph;
    struct pare_tensors *tensors;
    const char *prefix; /* "vit.", "deit." or "" */
    struct dims d;
    struct pare_error *err;
};

static int take(struct build *b, unsigned rank, const uint64_t *shape, struct pare_blob **out,
                const char *fmt, ...) PARE_PRINTF(5, 6);
static int take(struct build *b, unsigned rank, const uint64_t *shape, struct pare_blob **out,
                const char *fmt, ...)
{
    char name[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return pare_tensors_take(b->tensors, name, rank, shape, out, b->err);
}

static bool has(const struct build *b, const char *name)
{
    return pare_tensors_find(b->tensors, name) != NULL;
}

static uint32_t last_value(const struct build *b)
{
    return b->graph->nodes[b->graph->n_nodes - 1].outputs[0];
}

static void set_names(struct pare_node *node, int32_t block, const char *path, const char *role)
{
    node->block = block;
    if (block >= 0)
        snprintf(node->path, sizeof node->path, "layer.%d.%s", block, path);
    else
        snprintf(node->path, sizeof node->path, "%s", path);
    snprintf(node->role, sizeof node->role, "%s", role);
}

static struct pare_node node_of(uint8_t op, int32_t block, const char *path, const char *role,
                                uint32_t input)
{
    struct pare_node node = {.op = op, .n_inputs = 1, .inputs = {input}};
    set_names(&node, block, path, role);
    return node;
}

/* Add a node; its references are the graph's from here on, whatever happens. */
static int put_node(struct build *b, struct pare_node *node)
{
    int rc = pare_graph_add(b->graph, node, b->err);
    *node = (struct pare_node){0};
    return rc;
}

/* Fill in weight and bias of a matrix node from NAME.weight and NAME.bias, and add it. */
static int add_matrix(struct build *b, struct pare_node *node, uint32_t rows, uint32_t cols,
                      unsigned rank, const uint64_t *shape, const char *name, bool needs_bias)
{
    struct pare_blob *data = NULL;
    char bias[256];
    int rc;
    PARE_TRY(take(b, rank, shape, &data, "%s.weight", name));
    PARE_TRY(pare_weight_wrap(rows, cols, data, &node->weight, b->err));
    snprintf(bias, sizeof bias, "%s.bias", name);
    if (needs_bias || has(b, bias))
        PARE_TRY(take(b, 1, (uint64_t[]){rows}, &node->bias, "%s", bias));
    PARE_TRY(put_node(b, node));
out:
    pare_blob_unref(data);
    pare_node_release(node);
    return rc;
}

static int add_linear(struct build *b, int32_t block, const char *path, const char *role,
                      uint32_t input, uint32_t rows, uint32_t cols, const char *name,
                      bool needs_bias)
{
    struct pare_node node = node_of(PARE_OP_LINEAR, block, path, role, input);
    return add_matrix(b, &node, rows, cols, 2, (uint64_t[]){rows, cols}, name, needs_bias);
}

static int add_norm(struct build *b, int32_t block, const char *path, uint32_t input,
                    const char *name)
{
    struct pare_node node = node_of(PARE_OP_NORM, block, path, "norm", input);
    int rc;
    node.eps = b->d.eps;
    PARE_TRY(take(b, 1, (uint64_t[]){b->d.hidden}, &node.a, "%s.weight", name));
    PARE_TRY(take(b, 1, (uint64_t[]){b->d.hidden}, &node.b, "%s.bias", name));
    PARE_TRY(put_node(b, &node));
out:
    pare_node_release(&node);
    return rc;
}

static int add_add(struct build *b, int32_t block, const char *path, uint32_t x, uint32_t y,
                   float factor)
{
    struct pare_node node = node_of(PARE_OP_ADD, block, path, "residual", x);
    node.n_inputs = 2;
    node.inputs[1] = y;
    node.scale = factor;
    return pare_graph_add(b->graph, &node, b->err);
}

static int add_part(struct build *b, int32_t layer, int which, uint32_t input, uint32_t *out)
{
    const struct part *p = &parts[which];
    uint32_t rows = p->wide_out ? b->d.ffn : b->d.hidden,
             cols = p->wide_in ? b->d.ffn : b->d.hidden;
    char name[160];
    snprintf(name, sizeof name, "%sencoder.layer.%d.%s", b->prefix, layer, p->name);
    int rc = add_linear(b, layer, p->path, p->role, input, rows, cols, name,
                        !p->optional_bias || b->d.bias);
    if (rc == PARE_OK)
        *out = last_value(b);
    return rc;
}

static int add_layer(struct build *b, int32_t layer)
{
    uint32_t x = last_value(b), normed, q, k, v, y;
    char name[160];
    int rc;

    snprintf(name, sizeof name, "%sencoder.layer.%d.layernorm_before", b->prefix, layer);
    PARE_TRY(add_norm(b, layer, "attn.norm", x, name));
    normed = last_value(b);
    PARE_TRY(add_part(b, layer, QUERY, normed, &q));
    PARE_TRY(add_part(b, layer, KEY, normed, &k));
    PARE_TRY(add_part(b, layer, VALUE, normed, &v));
    struct pare_node mix = node_of(PARE_OP_ATTENTION, layer, "attn.mix", "attention.mix", q);
    mix.n_inputs = 3;
    mix.inputs[1] = k;
    mix.inputs[2] = v;
    mix.heads = b->d.heads;
    mix.scale = 1.0f / sqrtf((float)(b->d.hidden / b->d.heads));
    PARE_TRY(pare_graph_add(b->graph, &mix, b->err));
    PARE_TRY(add_part(b, layer, OUTPUT, last_value(b), &y));
    PARE_TRY(add_add(b, layer, "attn.add", x, y, 1));

    x = last_value(b);
    snprintf(name, sizeof name, "%sencoder.layer.%d.layernorm_after", b->prefix, layer);
    PARE_TRY(add_norm(b, layer, "ffn.norm", x, name));
    PARE_TRY(add_part(b, layer, UP, last_value(b), &y));
    struct pare_node act = node_of(PARE_OP_ACTIVATION, layer, "ffn.act", "feed_forward.act", y);
    act.activation = b->d.activation;
    PARE_TRY(pare_graph_add(b->graph, &act, b->err));
    PARE_TRY(add_part(b, layer, DOWN, last_value(b), &y));
    PARE_TRY(add_add(b, layer, "ffn.add", x, y, 1));
out:
    return rc;
}

static int add_embedding(struct build *b)
{
    const struct dims *d = &b->d;
    struct pare_blob *cls = NULL, *distil = NULL;
    struct pare_node patch = node_of(PARE_OP_CONV2D, -1, "embed.patch", "embedding.patch", 0);
    struct pare_node tokens = {0};
    char name[160];
    int rc;
    patch.kernel = d->patch;
    snprintf(name, sizeof name, "%sembeddings.patch_embeddings.projection", b->prefix);
    PARE_TRY(add_matrix(b, &patch, d->hidden, d->channels * d->patch * d->patch, 4,
                        (uint64_t[]){d->hidden, d->channels, d->patch, d->patch}, name, true));
    tokens = node_of(PARE_OP_TOKENS, -1, "embed.tokens", "embedding.tokens", last_value(b));
    tokens.prefix = d->prefix;
    PARE_TRY(take(b, 1, (uint64_t[]){d->hidden}, &cls, "%sembeddings.cls_token", b->prefix));
    if (d->deit)
        PARE_TRY(take(b, 1, (uint64_t[]){d->hidden}, &distil, "%sembeddings.distillation_token",
                      b->prefix));
    PARE_TRY(pare_blob_new((size_t)d->prefix * d->hidden, sizeof(float), &tokens.a, b->err));
    memcpy(tokens.a->data, cls->data, d->hidden * sizeof(float));
    if (distil)
        memcpy(pare_blob_f32(tokens.a) + d->hidden, distil->data, d->hidden * sizeof(float));
    PARE_TRY(take(b, 2, (uint64_t[]){d->tokens, d->hidden}, &tokens.b,
                  "%sembeddings.position_embeddings", b->prefix));
    PARE_TRY(put_node(b, &tokens));
out:
    pare_node_release(&tokens);
    pare_blob_unref(cls);
    pare_blob_unref(distil);
    return rc;
}

static int add_pooled(struct build *b, uint32_t x, uint32_t token, const char *path)
{
    struct pare_node pool = node_of(PARE_OP_POOL, -1, path, "pool", x);
    pool.token = token;
    return pare_graph_add(b->graph, &pool, b->err);
}

/* A classifier on one token; its number of outputs is the file's. */
static int add_classifier(struct build *b, uint32_t x, uint32_t token, const char *pool,
                          const char *path, const char *name, uint32_t *out)
{
    char full[64];
    int rc;
    snprintf(full, sizeof full, "%s.weight", name);
    const struct pare_tensor *t = pare_tensors_find(b->tensors, full);
    if (t->rank != 2 || t->shape[0] == 0 || t->shape[0] > SIDE_MAX * 16)
        return pare_error_set(b->err, PARE_INVALID, "tensor '%s' is no matrix of classes", full);
    PARE_TRY(add_pooled(b, x, token, pool));
    PARE_TRY(add_linear(b, -1, path, "classifier", last_value(b), (uint32_t)t->shape[0],
                        b->d.hidden, name, true));
    *out = last_value(b);
out:
    return rc;
}

static int add_head(struct build *b)
{
    char name[160];
    uint32_t x, cls, distil;
    int rc;
    snprintf(name, sizeof name, "%slayernorm", b->prefix);
    PARE_TRY(add_norm(b, -1, "norm", last_value(b), name));
    x = last_value(b);
    snprintf(name, sizeof name, "%spooler.dense", b->prefix);
    if (has(b, "classifier.weight")) {
        PARE_TRY(add_classifier(b, x, 0, "pool", "classifier", "classifier", &cls));
    } else if (has(b, "cls_classifier.weight") && has(b, "distillation_classifier.weight")) {
        PARE_TRY(add_classifier(b, x, 0, "pool", "classifier", "cls_classifier", &cls));
        PARE_TRY(add_classifier(b, x, 1, "pool.distillation", "classifier.distillation",
                                "distillation_classifier", &distil));
        PARE_TRY(add_add(b, -1, "classifier.mean", cls, distil, 0.5f));
    } else {
        strcat(name, ".weight");
        if (!has(b, name)) {
            rc = pare_error_set(b->err, PARE_INVALID,
                                "the model has neither a classifier nor a pooler");
            goto out;
        }
        name[strlen(name) - strlen(".weight")] = '\0';
        PARE_TRY(add_pooled(b, x, 0, "pool"));
        PARE_TRY(add_linear(b, -1, "pooler", "pooler", last_value(b), b->d.hidden, b->d.hidden,
                            name, true));
        struct pare_node act =
            node_of(PARE_OP_ACTIVATION, -1, "pooler.act", "pooler.act", last_value(b));
        act.activation = PARE_ACT_TANH;
        PARE_TRY(pare_graph_add(b->graph, &act, b->err));
    }
    b->graph->output = last_value(b);
out:
    return rc;
}

/* Tensors that a checkpoint may carry without this model using them. */
static bool may_be_unused(const char *name)
{
    return strstr(name, "pooler.") || strstr(name, "mask_token");
}

static int build_vit(const json_t *config, struct pare_tensors *tensors, struct pare_model *model,
                     struct pare_error *err)
{
    static const char *const prefixes[] = {"vit.", "deit.", ""};
    struct build b = {.tensors = tensors, .err = err, .prefix = ""};
    char name[64];
    int rc;
    PARE_TRY(read_dims(config, &b.d, err));
    for (size_t i = 0; i < PARE_COUNT(prefixes); i++) {
        snprintf(name, sizeof name, "%sembeddings.cls_token", prefixes[i]);
        if (has(&b, name)) {
            b.prefix = prefixes[i];
            break;
        }
    }
    PARE_TRY(pare_graph_new(b.d.channels, b.d.height, b.d.width, &b.graph, err));
    model->graph = b.graph;
    b.graph->blocks = b.d.depth;
    PARE_TRY(add_embedding(&b));
    for (uint32_t i = 0; i < b.d.depth; i++)
        PARE_TRY(add_layer(&b, (int32_t)i));
    PARE_TRY(add_head(&b));
    for (size_t i = 0; i < tensors->n; i++) {
        const struct pare_tensor *t = &tensors->items[i];
        if (!t->used && !may_be_unused(t->name)) {
            rc = pare_error_set(err, PARE_UNSUPPORTED, "tensor '%s' belongs to no part of a ViT",
                                t->name);
            pare_error_hint(err, "config.json and the weights may belong to different models");
            goto out;
        }
    }
    PARE_TRY(pare_graph_infer(b.graph, err));
out:
    return rc;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static int refuse(struct pare_error *err, const char *path, const char *why)
{
    pare_error_set(err, PARE_UNSUPPORTED, "not representable as a Hugging Face ViT: %s %s", path,
                   why);
    pare_error_hint(err, "Pare's own format holds every model");
    return PARE_UNSUPPORTED;
}

/* Collect one weight as f32 under its name; encoded ones only with `decode`. */
static int put_weight(struct pare_tensors *out, const struct pare_node *node, const char *name,
                      unsigned rank, const uint64_t *shape, bool decode, struct pare_error *err)
{
    const struct pare_weight *w = node->weight;
    struct pare_blob *data = NULL;
    char full[224];
    int rc;
    if ((w->structure != PARE_DENSE || w->values != PARE_VALUES_F32) && !decode) {
        char what[48];
        pare_weight_describe(w, what);
        rc = refuse(err, node->path, "is encoded");
        pare_error_detail(err, "%s is stored as %s", node->path, what);
        pare_error_hint(err, "--decode writes it as f32, at the size of f32");
        goto out;
    }
    PARE_TRY(pare_blob_new((size_t)w->rows * w->cols, sizeof(float), &data, err));
    pare_weight_decode(w, 0, w->rows, data->data);
    snprintf(full, sizeof full, "%s.weight", name);
    PARE_TRY(pare_tensors_add(out, full, PARE_F32, rank, shape, data, err));
    if (node->bias) {
        snprintf(full, sizeof full, "%s.bias", name);
        PARE_TRY(pare_tensors_add(out, full, PARE_F32, 1, (uint64_t[]){w->rows}, node->bias, err));
    }
out:
    pare_blob_unref(data);
    return rc;
}

static int put_norm(struct pare_tensors *out, const struct pare_node *node, const char *name,
                    struct pare_error *err)
{
    uint64_t width = node->a->size / sizeof(float);
    char full[224];
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = pare_tensors_add(out, full, PARE_F32, 1, &width, node->a, err);
    snprintf(full, sizeof full, "%s.bias", name);
    return rc != PARE_OK ? rc : pare_tensors_add(out, full, PARE_F32, 1, &width, node->b, err);
}

static const struct pare_node *find_part(const struct pare_graph *g, int32_t block,
                                         const char *path)
{
    char full[PARE_PATH_MAX];
    snprintf(full, sizeof full, "layer.%d.%s", block, path);
    int32_t at = pare_graph_find(g, full);
    return at < 0 ? NULL : &g->nodes[at];
}

static int put_layer(const struct pare_graph *g, int32_t block, uint32_t number, const char *prefix,
                     const struct dims *d, bool decode, struct pare_tensors *out,
                     struct pare_error *err)
{
    static const char *const norms[2][2] = {{"attn.norm", "layernorm_before"},
                                            {"ffn.norm", "layernorm_after"}};
    char name[192], path[32];
    int rc = PARE_OK;
    snprintf(path, sizeof path, "layer.%d", block);
    for (size_t i = 0; i < PARE_COUNT(norms); i++) {
        const struct pare_node *node = find_part(g, block, norms[i][0]);
        if (!node)
            return refuse(err, path, "lacks one of its branches");
        snprintf(name, sizeof name, "%sencoder.layer.%u.%s", prefix, number, norms[i][1]);
        PARE_TRY(put_norm(out, node, name, err));
    }
    for (size_t i = 0; i < PARE_COUNT(parts); i++) {
        const struct pare_node *node = find_part(g, block, parts[i].path);
        if (!node)
            return refuse(err, path, "lacks one of its branches");
        uint32_t rows = parts[i].wide_out ? d->ffn : d->hidden;
        uint32_t cols = parts[i].wide_in ? d->ffn : d->hidden;
        if (node->weight->rows != rows || node->weight->cols != cols)
            return refuse(err, node->path, "has a width of its own");
        snprintf(name, sizeof name, "%sencoder.layer.%u.%s", prefix, number, parts[i].name);
        PARE_TRY(put_weight(out, node, name, 2, (uint64_t[]){rows, cols}, decode, err));
    }
out:
    return rc;
}

static int put_ends(const struct pare_graph *g, const char *prefix, const struct dims *d,
                    bool decode, struct pare_tensors *out, struct pare_error *err)
{
    static const char *const heads[][2] = {{"classifier", "classifier"},
                                           {"classifier.distillation", "distillation_classifier"},
                                           {"pooler", "pooler.dense"}};
    const struct pare_node *patch = &g->nodes[pare_graph_find(g, "embed.patch")];
    const struct pare_node *tokens = &g->nodes[pare_graph_find(g, "embed.tokens")];
    struct pare_blob *part = NULL;
    char name[192];
    int rc;
    snprintf(name, sizeof name, "%sembeddings.patch_embeddings.projection", prefix);
    PARE_TRY(put_weight(out, patch, name, 4,
                        (uint64_t[]){d->hidden, d->channels, d->patch, d->patch}, decode, err));
    for (uint32_t i = 0; i < d->prefix; i++) {
        pare_blob_unref(part);
        part = NULL;
        PARE_TRY(pare_blob_part(tokens->a, i * d->hidden * sizeof(float), d->hidden * sizeof(float),
                                &part, err));
        snprintf(name, sizeof name, "%sembeddings.%s", prefix,
                 i ? "distillation_token" : "cls_token");
        PARE_TRY(
            pare_tensors_add(out, name, PARE_F32, 3, (uint64_t[]){1, 1, d->hidden}, part, err));
    }
    snprintf(name, sizeof name, "%sembeddings.position_embeddings", prefix);
    PARE_TRY(pare_tensors_add(out, name, PARE_F32, 3, (uint64_t[]){1, d->tokens, d->hidden},
                              tokens->b, err));
    snprintf(name, sizeof name, "%slayernorm", prefix);
    PARE_TRY(put_norm(out, &g->nodes[pare_graph_find(g, "norm")], name, err));
    bool teacher = pare_graph_find(g, "classifier.distillation") >= 0;
    for (size_t i = 0; i < PARE_COUNT(heads); i++) {
        int32_t at = pare_graph_find(g, heads[i][0]);
        if (at < 0)
            continue;
        const struct pare_node *node = &g->nodes[at];
        snprintf(name, sizeof name, "%s%s", i == 2 ? prefix : (i == 0 && teacher ? "cls_" : ""),
                 heads[i][1]);
        PARE_TRY(put_weight(out, node, name, 2,
                            (uint64_t[]){node->weight->rows, node->weight->cols}, decode, err));
    }
out:
    pare_blob_unref(part);
    return rc;
}

static int write_vit(const struct pare_model *model, bool decode, struct pare_tensors *out,
                     json_t **config, struct pare_error *err)
{
    const struct pare_graph *g = model->graph;
    struct dims d = {0};
    uint32_t number = 0;
    int rc;
    PARE_TRY(read_dims(model->config, &d, err));
    const char *prefix = d.deit ? "deit." : "vit.";
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (node->op == PARE_OP_TOKEN_MERGE || node->op == PARE_OP_ADD_VECTOR) {
            rc = refuse(err, node->path, "is an operation that it lacks");
            goto out;
        }
    }
    for (uint32_t b = 0; b < d.depth; b++) {
        bool any = false;
        for (uint32_t i = 0; i < g->n_nodes && !any; i++)
            any = g->nodes[i].block == (int32_t)b;
        if (any)
            PARE_TRY(put_layer(g, (int32_t)b, number++, prefix, &d, decode, out, err));
    }
    PARE_TRY(put_ends(g, prefix, &d, decode, out, err));
    *config = json_deep_copy(model->config);
    if (!*config || json_object_set_new(*config, "num_hidden_layers", json_integer(number)) != 0)
        rc = pare_error_nomem(err, 0);
out:
    return rc;
}

/* ---- random models
 * ------------------------------------------------------------------------------- */

static int put_random(struct pare_tensors *out, struct pare_random *r, const char *name,
                      unsigned rank, const uint64_t *shape, double mean, double deviation,
                      struct pare_error *err)
{
    struct pare_blob *data = NULL;
    size_t n = 1;
    for (unsigned i = 0; i < rank; i++)
        n *= shape[i];
    int rc = pare_blob_new(n, sizeof(float), &data, err);
    if (rc != PARE_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        pare_blob_f32(data)[i] = (float)(mean + deviation * pare_random_normal(r));
    rc = pare_tensors_add(out, name, PARE_F32, rank, shape, data, err);
    pare_blob_unref(data);
    return rc;
}

/* NAME.weight and NAME.bias of a matrix (rank 2 or 4) or a norm (rank 1). */
static int put_random_pair(struct pare_tensors *out, struct pare_random *r, const char *name,
                           unsigned rank, const uint64_t *shape, struct pare_error *err)
{
    char full[224];
    double fan = 1;
    for (unsigned i = 1; i < rank; i++)
        fan *= (double)shape[i];
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = put_random(out, r, full, rank, shape, rank == 1, rank == 1 ? 0.1 : 1 / sqrt(fan), err);
    snprintf(full, sizeof full, "%s.bias", name);
    return rc != PARE_OK ? rc : put_random(out, r, full, 1, shape, 0, 0.02, err);
}

static bool read_shape(const char *text, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *end;
        unsigned long x = strtoul(text, &end, 10);
        if (end == text || x == 0 || x > SIDE_MAX || *end != (i + 1 < n ? ',' : '\0'))
            return false;
        out[i] = (uint32_t)x;
        text = end + 1;
    }
    return true;
}

static int random_vit(const char *shape, uint64_t seed, struct pare_tensors *out, json_t **config,
                      json_t **preprocessor, struct pare_error *err)
{
    enum { CLASSES = 10 };
    uint32_t s[7];
    struct pare_random r;
    char name[192];
    int rc;
    if (!read_shape(shape, s, PARE_COUNT(s)))
        return pare_error_set(err, PARE_INVALID, "'%s' is no shape: %s", shape,
                              pare_family_vit.shape_help);
    uint64_t image = s[0], patch = s[1], channels = s[2], width = s[3], depth = s[4], heads = s[5],
             ffn = s[6];
    if (patch > image || channels > 4 || width % heads || depth > 1024)
        return pare_error_set(
            err, PARE_INVALID,
            "shape '%s': the patch must fit the image, at most 4 channels and 1024 "
            "layers, and the width divide into the heads",
            shape);
    uint64_t tokens = (image / patch) * (image / patch) + 1;
    pare_random_seed(&r, seed);
    PARE_TRY(put_random(out, &r, "vit.embeddings.cls_token", 3, (uint64_t[]){1, 1, width}, 0, 0.02,
                        err));
    PARE_TRY(put_random(out, &r, "vit.embeddings.position_embeddings", 3,
                        (uint64_t[]){1, tokens, width}, 0, 0.02, err));
    PARE_TRY(put_random_pair(out, &r, "vit.embeddings.patch_embeddings.projection", 4,
                             (uint64_t[]){width, channels, patch, patch}, err));
    for (uint64_t i = 0; i < depth; i++) {
        static const char *const norms[] = {"layernorm_before", "layernorm_after"};
        for (size_t j = 0; j < PARE_COUNT(norms); j++) {
            snprintf(name, sizeof name, "vit.encoder.layer.%llu.%s", (unsigned long long)i,
                     norms[j]);
            PARE_TRY(put_random_pair(out, &r, name, 1, &width, err));
        }
        for (size_t j = 0; j < PARE_COUNT(parts); j++) {
            uint64_t size[2] = {parts[j].wide_out ? ffn : width, parts[j].wide_in ? ffn : width};
            snprintf(name, sizeof name, "vit.encoder.layer.%llu.%s", (unsigned long long)i,
                     parts[j].name);
            PARE_TRY(put_random_pair(out, &r, name, 2, size, err));
        }
    }
    PARE_TRY(put_random_pair(out, &r, "vit.layernorm", 1, &width, err));
    PARE_TRY(put_random_pair(out, &r, "classifier", 2, (uint64_t[]){CLASSES, width}, err));
    *config = json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:b, s:i}",
                        "architectures", "ViTForImageClassification", "model_type", "vit",
                        "image_size", (json_int_t)image, "patch_size", (json_int_t)patch,
                        "num_channels", (json_int_t)channels, "hidden_size", (json_int_t)width,
                        "num_hidden_layers", (json_int_t)depth, "num_attention_heads",
                        (json_int_t)heads, "intermediate_size", (json_int_t)ffn, "hidden_act",
                        "gelu", "layer_norm_eps", 1e-12, "qkv_bias", 1, "num_labels", (int)CLASSES);
    json_t *mean = json_array(), *deviation = json_array();
    for (uint64_t i = 0; i < channels; i++) {
        json_array_append_new(mean, json_real(0.5));
        json_array_append_new(deviation, json_real(0.5));
    }
    *preprocessor = json_pack("{s:b, s:b, s:b, s:f, s:o, s:o, s:{s:I, s:I}, s:i}", "do_resize", 1,
                              "do_rescale", 1, "do_normalize", 1, "rescale_factor", 1 / 255.0,
                              "image_mean", mean, "image_std", deviation, "size", "height",
                              (json_int_t)image, "width", (json_int_t)image, "resample", 2);
    if (!*config || !*preprocessor)
        rc = pare_error_nomem(err, 0);
out:
    return rc;
}

const struct pare_family pare_family_vit = {
    .name = "vit",
    .model_types = (const char *const[]){"vit", "deit", NULL},
    .build = build_vit,
    .write = write_vit,
    .random = random_vit,
    .shape_help = "IMAGE,PATCH,CHANNELS,WIDTH,DEPTH,HEADS,FFN, such as 224,16,3,192,12,3,768",
};
