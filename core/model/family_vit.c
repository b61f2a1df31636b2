/* SPDX-License-Identifier: Apache-2.0 */
/* ViT and DeiT as transformers publishes them: ViTForImageClassification, ViTModel with a pooler,
 * DeiTForImageClassification with and without teacher. */
#include "base/mem.h"
#include "model/family_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

/* ---- config.json
 * --------------------------------------------------------------------------------- */

/* A number, or [height, width]. */
static int get_pair(const json_t *config, const char *key, uint32_t fallback, uint32_t *height,
                    uint32_t *width, struct pare_error *err)
{
    const json_t *j = json_object_get(config, key);
    if (!json_is_array(j)) {
        int rc = pare_config_size(config, key, PARE_SIDE_MAX, fallback, height, err);
        *width = *height;
        return rc;
    }
    const json_t *a = json_array_get(j, 0), *b = json_array_get(j, 1);
    if (json_array_size(j) != 2 || !json_is_integer(a) || !json_is_integer(b) ||
        json_integer_value(a) < 1 || json_integer_value(b) < 1 ||
        json_integer_value(a) > PARE_SIDE_MAX || json_integer_value(b) > PARE_SIDE_MAX)
        return pare_error_set(err, PARE_INVALID, "config.json: %s is no pair of sizes", key);
    *height = (uint32_t)json_integer_value(a);
    *width = (uint32_t)json_integer_value(b);
    return PARE_OK;
}

static int read_dims(const json_t *config, struct dims *d, struct pare_error *err)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    uint32_t patch_width;
    int rc;
    d->deit = type && strcmp(type, "deit") == 0;
    PARE_TRY(get_pair(config, "image_size", 224, &d->height, &d->width, err));
    PARE_TRY(get_pair(config, "patch_size", 16, &d->patch, &patch_width, err));
    PARE_TRY(pare_config_size(config, "num_channels", PARE_SIDE_MAX, 3, &d->channels, err));
    PARE_TRY(pare_config_size(config, "hidden_size", PARE_SIDE_MAX, 768, &d->hidden, err));
    PARE_TRY(pare_config_size(config, "intermediate_size", PARE_SIDE_MAX, 3072, &d->ffn, err));
    PARE_TRY(pare_config_size(config, "num_attention_heads", PARE_SIDE_MAX, 12, &d->heads, err));
    PARE_TRY(pare_config_size(config, "num_hidden_layers", PARE_SIDE_MAX, 12, &d->depth, err));
    PARE_TRY(pare_config_activation(config, "hidden_act", "gelu", &d->activation, err));
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

struct build {
    struct pare_build base;
    const char *prefix; /* "vit.", "deit." or "" */
    struct dims d;
};

/* Fill in weight and bias of a matrix node from NAME.weight and NAME.bias, and add it. */
static int add_matrix(struct build *b, struct pare_node *node, uint32_t rows, uint32_t cols,
                      unsigned rank, const uint64_t *shape, const char *name, bool needs_bias)
{
    struct pare_blob *data = NULL;
    char bias[256];
    int rc;
    PARE_TRY(pare_build_take(&b->base, rank, shape, &data, "%s.weight", name));
    PARE_TRY(pare_weight_wrap(rows, cols, data, &node->weight, b->base.err));
    snprintf(bias, sizeof bias, "%s.bias", name);
    if (needs_bias || pare_build_has(&b->base, bias))
        PARE_TRY(pare_build_take(&b->base, 1, (uint64_t[]){rows}, &node->bias, "%s", bias));
    PARE_TRY(pare_build_put(&b->base, node));
out:
    pare_blob_unref(data);
    pare_node_release(node);
    return rc;
}

static int add_linear(struct build *b, int32_t block, const char *path, const char *role,
                      uint32_t input, uint32_t rows, uint32_t cols, const char *name,
                      bool needs_bias)
{
    struct pare_node node = pare_build_node(PARE_OP_LINEAR, block, path, role, input);
    return add_matrix(b, &node, rows, cols, 2, (uint64_t[]){rows, cols}, name, needs_bias);
}

static int add_norm(struct build *b, int32_t block, const char *path, uint32_t input,
                    const char *name)
{
    struct pare_node node = pare_build_node(PARE_OP_NORM, block, path, "norm", input);
    int rc;
    node.eps = b->d.eps;
    PARE_TRY(pare_build_take(&b->base, 1, (uint64_t[]){b->d.hidden}, &node.a, "%s.weight", name));
    PARE_TRY(pare_build_take(&b->base, 1, (uint64_t[]){b->d.hidden}, &node.b, "%s.bias", name));
    PARE_TRY(pare_build_put(&b->base, &node));
out:
    pare_node_release(&node);
    return rc;
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
        *out = pare_build_last(&b->base);
    return rc;
}

static int add_layer(struct build *b, int32_t layer)
{
    uint32_t x = pare_build_last(&b->base), normed, q, k, v, y;
    char name[160];
    int rc;

    snprintf(name, sizeof name, "%sencoder.layer.%d.layernorm_before", b->prefix, layer);
    PARE_TRY(add_norm(b, layer, "attn.norm", x, name));
    normed = pare_build_last(&b->base);
    PARE_TRY(add_part(b, layer, QUERY, normed, &q));
    PARE_TRY(add_part(b, layer, KEY, normed, &k));
    PARE_TRY(add_part(b, layer, VALUE, normed, &v));
    struct pare_node mix =
        pare_build_node(PARE_OP_ATTENTION, layer, "attn.mix", "attention.mix", q);
    mix.n_inputs = 3;
    mix.inputs[1] = k;
    mix.inputs[2] = v;
    mix.heads = b->d.heads;
    mix.scale = 1.0f / sqrtf((float)(b->d.hidden / b->d.heads));
    PARE_TRY(pare_build_put(&b->base, &mix));
    PARE_TRY(add_part(b, layer, OUTPUT, pare_build_last(&b->base), &y));
    PARE_TRY(pare_build_add(&b->base, layer, "attn.add", x, y, 1));

    x = pare_build_last(&b->base);
    snprintf(name, sizeof name, "%sencoder.layer.%d.layernorm_after", b->prefix, layer);
    PARE_TRY(add_norm(b, layer, "ffn.norm", x, name));
    PARE_TRY(add_part(b, layer, UP, pare_build_last(&b->base), &y));
    PARE_TRY(
        pare_build_activation(&b->base, layer, "ffn.act", "feed_forward.act", b->d.activation, y));
    PARE_TRY(add_part(b, layer, DOWN, pare_build_last(&b->base), &y));
    PARE_TRY(pare_build_add(&b->base, layer, "ffn.add", x, y, 1));
out:
    return rc;
}

static int add_embedding(struct build *b)
{
    const struct dims *d = &b->d;
    struct pare_blob *cls = NULL, *distil = NULL;
    struct pare_node patch =
        pare_build_node(PARE_OP_CONV2D, -1, "embed.patch", "embedding.patch", 0);
    struct pare_node tokens = {0};
    char name[160];
    int rc;
    patch.kernel = d->patch;
    snprintf(name, sizeof name, "%sembeddings.patch_embeddings.projection", b->prefix);
    PARE_TRY(add_matrix(b, &patch, d->hidden, d->channels * d->patch * d->patch, 4,
                        (uint64_t[]){d->hidden, d->channels, d->patch, d->patch}, name, true));
    tokens = pare_build_node(PARE_OP_TOKENS, -1, "embed.tokens", "embedding.tokens",
                             pare_build_last(&b->base));
    tokens.prefix = d->prefix;
    PARE_TRY(pare_build_take(&b->base, 1, (uint64_t[]){d->hidden}, &cls, "%sembeddings.cls_token",
                             b->prefix));
    if (d->deit)
        PARE_TRY(pare_build_take(&b->base, 1, (uint64_t[]){d->hidden}, &distil,
                                 "%sembeddings.distillation_token", b->prefix));
    PARE_TRY(pare_blob_new((size_t)d->prefix * d->hidden, sizeof(float), &tokens.a, b->base.err));
    memcpy(tokens.a->data, cls->data, d->hidden * sizeof(float));
    if (distil)
        memcpy(pare_blob_f32(tokens.a) + d->hidden, distil->data, d->hidden * sizeof(float));
    PARE_TRY(pare_build_take(&b->base, 2, (uint64_t[]){d->tokens, d->hidden}, &tokens.b,
                             "%sembeddings.position_embeddings", b->prefix));
    PARE_TRY(pare_build_put(&b->base, &tokens));
out:
    pare_node_release(&tokens);
    pare_blob_unref(cls);
    pare_blob_unref(distil);
    return rc;
}

/* A classifier on one token; its number of outputs is the file's. */
static int add_classifier(struct build *b, uint32_t x, uint32_t token, const char *pool,
                          const char *path, const char *name, uint32_t *out)
{
    char full[64];
    int rc;
    snprintf(full, sizeof full, "%s.weight", name);
    const struct pare_tensor *t = pare_tensors_find(b->base.tensors, full);
    if (t->rank != 2 || t->shape[0] == 0 || t->shape[0] > PARE_SIDE_MAX * 16)
        return pare_error_set(b->base.err, PARE_INVALID, "tensor '%s' is no matrix of classes",
                              full);
    PARE_TRY(pare_build_pool(&b->base, pool, x, token));
    PARE_TRY(add_linear(b, -1, path, "classifier", pare_build_last(&b->base), (uint32_t)t->shape[0],
                        b->d.hidden, name, true));
    *out = pare_build_last(&b->base);
out:
    return rc;
}

static int add_head(struct build *b)
{
    char name[160];
    uint32_t x, cls, distil;
    int rc;
    snprintf(name, sizeof name, "%slayernorm", b->prefix);
    PARE_TRY(add_norm(b, -1, "norm", pare_build_last(&b->base), name));
    x = pare_build_last(&b->base);
    snprintf(name, sizeof name, "%spooler.dense", b->prefix);
    if (pare_build_has(&b->base, "classifier.weight")) {
        PARE_TRY(add_classifier(b, x, 0, "pool", "classifier", "classifier", &cls));
    } else if (pare_build_has(&b->base, "cls_classifier.weight") &&
               pare_build_has(&b->base, "distillation_classifier.weight")) {
        PARE_TRY(add_classifier(b, x, 0, "pool", "classifier", "cls_classifier", &cls));
        PARE_TRY(add_classifier(b, x, 1, "pool.distillation", "classifier.distillation",
                                "distillation_classifier", &distil));
        PARE_TRY(pare_build_add(&b->base, -1, "classifier.mean", cls, distil, 0.5f));
    } else {
        strcat(name, ".weight");
        if (!pare_build_has(&b->base, name)) {
            rc = pare_error_set(b->base.err, PARE_INVALID,
                                "the model has neither a classifier nor a pooler");
            goto out;
        }
        name[strlen(name) - strlen(".weight")] = '\0';
        PARE_TRY(pare_build_pool(&b->base, "pool", x, 0));
        PARE_TRY(add_linear(b, -1, "pooler", "pooler", pare_build_last(&b->base), b->d.hidden,
                            b->d.hidden, name, true));
        PARE_TRY(pare_build_activation(&b->base, -1, "pooler.act", "pooler.act", PARE_ACT_TANH,
                                       pare_build_last(&b->base)));
    }
    b->base.graph->output = pare_build_last(&b->base);
out:
    return rc;
}

/* Tensors that a checkpoint may carry without this model using them. */
static bool may_be_unused(const char *name)
{
    return strstr(name, "pooler.") || strstr(name, "mask_token");
}

static int build_vit(const json_t *config, enum pare_dialect from, struct pare_tensors *tensors,
                     struct pare_model *model, struct pare_error *err)
{
    (void)from; /* there is one kind of file */
    static const char *const prefixes[] = {"vit.", "deit.", ""};
    struct build b = {.base = {.tensors = tensors, .err = err}, .prefix = ""};
    char name[64];
    int rc;
    PARE_TRY(read_dims(config, &b.d, err));
    for (size_t i = 0; i < PARE_COUNT(prefixes); i++) {
        snprintf(name, sizeof name, "%sembeddings.cls_token", prefixes[i]);
        if (pare_build_has(&b.base, name)) {
            b.prefix = prefixes[i];
            break;
        }
    }
    PARE_TRY(pare_graph_new(b.d.channels, b.d.height, b.d.width, &b.base.graph, err));
    model->graph = b.base.graph;
    b.base.graph->blocks = b.d.depth;
    PARE_TRY(add_embedding(&b));
    for (uint32_t i = 0; i < b.d.depth; i++)
        PARE_TRY(add_layer(&b, (int32_t)i));
    PARE_TRY(add_head(&b));
    PARE_TRY(pare_build_finish(&b.base, may_be_unused, "ViT"));
out:
    return rc;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

/* NAME.weight and NAME.bias of a matrix. */
static int put_matrix(const struct pare_writing *w, const struct pare_node *node, const char *name,
                      unsigned rank, const uint64_t *shape)
{
    char full[PARE_TENSOR_NAME];
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = pare_writing_weight(w, node, full, rank, shape, NULL);
    if (rc != PARE_OK)
        return rc;
    snprintf(full, sizeof full, "%s.bias", name);
    return pare_writing_vector(w, node->bias, full, NULL);
}

static int put_layer(const struct pare_writing *w, int32_t block, uint32_t number,
                     const char *prefix, const struct dims *d)
{
    static const char *const norms[2][2] = {{"attn.norm", "layernorm_before"},
                                            {"ffn.norm", "layernorm_after"}};
    char name[192];
    int rc = PARE_OK;
    for (size_t i = 0; i < PARE_COUNT(norms); i++) {
        const struct pare_node *node = pare_writing_node(w, block, norms[i][0]);
        if (!node)
            return pare_writing_refuse(w, "layer.%d lacks one of its branches", block);
        snprintf(name, sizeof name, "%sencoder.layer.%u.%s", prefix, number, norms[i][1]);
        PARE_TRY(pare_writing_norm(w, node, name));
    }
    for (size_t i = 0; i < PARE_COUNT(parts); i++) {
        const struct pare_node *node = pare_writing_node(w, block, parts[i].path);
        if (!node)
            return pare_writing_refuse(w, "layer.%d lacks one of its branches", block);
        uint32_t rows = parts[i].wide_out ? d->ffn : d->hidden;
        uint32_t cols = parts[i].wide_in ? d->ffn : d->hidden;
        if (!node->weight || node->weight->rows != rows || node->weight->cols != cols)
            return pare_writing_refuse(w, "%s has a width of its own", node->path);
        snprintf(name, sizeof name, "%sencoder.layer.%u.%s", prefix, number, parts[i].name);
        PARE_TRY(put_matrix(w, node, name, 2, (uint64_t[]){rows, cols}));
    }
out:
    return rc;
}

static int put_ends(const struct pare_writing *w, const char *prefix, const struct dims *d)
{
    static const char *const heads[][2] = {{"classifier", "classifier"},
                                           {"classifier.distillation", "distillation_classifier"},
                                           {"pooler", "pooler.dense"}};
    const struct pare_node *patch = pare_writing_node(w, -1, "embed.patch");
    const struct pare_node *tokens = pare_writing_node(w, -1, "embed.tokens");
    const struct pare_node *norm = pare_writing_node(w, -1, "norm");
    struct pare_blob *part = NULL;
    char name[192];
    int rc;
    if (!patch || !patch->weight || !tokens || !tokens->a || !norm)
        return pare_writing_refuse(w, "its beginning or its last norm is missing");
    snprintf(name, sizeof name, "%sembeddings.patch_embeddings.projection", prefix);
    PARE_TRY(
        put_matrix(w, patch, name, 4, (uint64_t[]){d->hidden, d->channels, d->patch, d->patch}));
    for (uint32_t i = 0; i < d->prefix; i++) {
        pare_blob_unref(part);
        part = NULL;
        PARE_TRY(pare_blob_part(tokens->a, i * d->hidden * sizeof(float), d->hidden * sizeof(float),
                                &part, w->err));
        snprintf(name, sizeof name, "%sembeddings.%s", prefix,
                 i ? "distillation_token" : "cls_token");
        PARE_TRY(pare_tensors_add(w->out, name, PARE_F32, 3, (uint64_t[]){1, 1, d->hidden}, part,
                                  w->err));
    }
    snprintf(name, sizeof name, "%sembeddings.position_embeddings", prefix);
    PARE_TRY(pare_tensors_add(w->out, name, PARE_F32, 3, (uint64_t[]){1, d->tokens, d->hidden},
                              tokens->b, w->err));
    snprintf(name, sizeof name, "%slayernorm", prefix);
    PARE_TRY(pare_writing_norm(w, norm, name));
    bool teacher = pare_writing_node(w, -1, "classifier.distillation");
    for (size_t i = 0; i < PARE_COUNT(heads); i++) {
        const struct pare_node *node = pare_writing_node(w, -1, heads[i][0]);
        if (!node || !node->weight)
            continue;
        snprintf(name, sizeof name, "%s%s", i == 2 ? prefix : (i == 0 && teacher ? "cls_" : ""),
                 heads[i][1]);
        PARE_TRY(
            put_matrix(w, node, name, 2, (uint64_t[]){node->weight->rows, node->weight->cols}));
    }
out:
    pare_blob_unref(part);
    return rc;
}

static int write_vit(const struct pare_writing *w, json_t **config)
{
    const struct pare_graph *g = w->model->graph;
    struct dims d = {0};
    uint32_t number = 0;
    int rc;
    if (w->to == PARE_DIALECT_GGUF)
        return pare_writing_refuse(w, "llama.cpp has no ViT");
    PARE_TRY(read_dims(w->model->config, &d, w->err));
    const char *prefix = d.deit ? "deit." : "vit.";
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (node->op == PARE_OP_TOKEN_MERGE || node->op == PARE_OP_ADD_VECTOR) {
            rc = pare_writing_refuse(w, "%s is an operation that a ViT lacks", node->path);
            goto out;
        }
    }
    for (uint32_t b = 0; b < d.depth; b++) {
        if (pare_writing_has_layer(w, (int32_t)b))
            PARE_TRY(put_layer(w, (int32_t)b, number++, prefix, &d));
    }
    PARE_TRY(put_ends(w, prefix, &d));
    *config = json_deep_copy(w->model->config);
    if (!*config || json_object_set_new(*config, "num_hidden_layers", json_integer(number)) != 0)
        rc = pare_error_nomem(w->err, 0);
out:
    return rc;
}

/* ---- random models
 * ------------------------------------------------------------------------------- */

static int random_vit(const char *shape, uint64_t seed, struct pare_tensors *out, json_t **config,
                      json_t **preprocessor, struct pare_error *err)
{
    enum { CLASSES = 10 };
    uint32_t s[7];
    struct pare_random r;
    char name[192];
    int rc;
    if (!pare_random_shape(shape, s, PARE_COUNT(s)))
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
    PARE_TRY(pare_random_tensor(out, &r, "vit.embeddings.cls_token", 3, (uint64_t[]){1, 1, width},
                                0, 0.02, err));
    PARE_TRY(pare_random_tensor(out, &r, "vit.embeddings.position_embeddings", 3,
                                (uint64_t[]){1, tokens, width}, 0, 0.02, err));
    PARE_TRY(pare_random_pair(out, &r, "vit.embeddings.patch_embeddings.projection", 4,
                              (uint64_t[]){width, channels, patch, patch}, true, err));
    for (uint64_t i = 0; i < depth; i++) {
        static const char *const norms[] = {"layernorm_before", "layernorm_after"};
        for (size_t j = 0; j < PARE_COUNT(norms); j++) {
            snprintf(name, sizeof name, "vit.encoder.layer.%llu.%s", (unsigned long long)i,
                     norms[j]);
            PARE_TRY(pare_random_pair(out, &r, name, 1, &width, true, err));
        }
        for (size_t j = 0; j < PARE_COUNT(parts); j++) {
            uint64_t size[2] = {parts[j].wide_out ? ffn : width, parts[j].wide_in ? ffn : width};
            snprintf(name, sizeof name, "vit.encoder.layer.%llu.%s", (unsigned long long)i,
                     parts[j].name);
            PARE_TRY(pare_random_pair(out, &r, name, 2, size, true, err));
        }
    }
    PARE_TRY(pare_random_pair(out, &r, "vit.layernorm", 1, &width, true, err));
    PARE_TRY(pare_random_pair(out, &r, "classifier", 2, (uint64_t[]){CLASSES, width}, true, err));
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
