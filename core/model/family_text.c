/* SPDX-License-Identifier: Apache-2.0 */
#include "model/family_text.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LENGTH_FIRST                                                                               \
    512u /* tokens that shapes and counts speak of until someone says otherwise                    \
          */

void pare_part_name(const struct pare_naming *naming, const struct pare_part *part, int32_t layer,
                    const char *suffix, char out[PARE_TENSOR_NAME])
{
    const char *name = part->names[naming->column], *prefix = part->apart ? "" : naming->prefix;
    if (part->end)
        snprintf(out, PARE_TENSOR_NAME, "%s%s%s", prefix, name, suffix);
    else
        snprintf(out, PARE_TENSOR_NAME, "%s%s%d.%s%s", prefix, naming->layers, layer, name, suffix);
}

int pare_text_dims_read(const json_t *config, const struct pare_dim_key *keys, size_t n,
                        struct pare_text_dims *out, struct pare_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *key = keys[i].key;
        uint32_t *to = (uint32_t *)(void *)((char *)out + keys[i].offset);
        if (keys[i].other && !json_object_get(config, key))
            key = keys[i].other;
        int rc = pare_config_size(config, key, keys[i].most, keys[i].fallback, to, err);
        if (rc != PARE_OK)
            return rc;
    }
    out->context = PARE_MIN(out->context, PARE_WIDTH_MAX);
    if (!out->kv_heads)
        out->kv_heads = out->heads;
    if (!out->head && out->hidden % out->heads)
        return pare_error_set(err, PARE_INVALID,
                              "config.json: width %u does not divide into %u heads", out->hidden,
                              out->heads);
    if (!out->head)
        out->head = out->hidden / out->heads;
    if (out->heads % out->kv_heads)
        return pare_error_set(err, PARE_INVALID,
                              "config.json: %u heads do not divide into %u heads of keys",
                              out->heads, out->kv_heads);
    if ((uint64_t)out->head * out->heads > PARE_WIDTH_MAX)
        return pare_error_set(err, PARE_INVALID, "config.json: %u heads of %u are too wide",
                              out->heads, out->head);
    return PARE_OK;
}

/* ---- building
 * ------------------------------------------------------------------------------------ */

int pare_text_begin(struct pare_text_build *b, struct pare_model *model)
{
    int rc = pare_graph_new_text(b->d.vocabulary, b->d.context,
                                 PARE_MIN(b->d.context, LENGTH_FIRST), &b->base.graph, b->base.err);
    if (rc != PARE_OK)
        return rc;
    model->graph = b->base.graph;
    b->base.graph->blocks = b->d.depth;
    return PARE_OK;
}

bool pare_text_has(const struct pare_text_build *b, const struct pare_part *part, int32_t layer)
{
    char name[PARE_TENSOR_NAME];
    pare_part_name(&b->naming, part, layer, ".weight", name);
    return pare_build_has(&b->base, name);
}

static struct pare_node node_of(uint8_t op, const struct pare_part *part, int32_t layer,
                                uint32_t input)
{
    return pare_build_node(op, part->end ? -1 : layer, part->path, part->role, input);
}

static int put(struct pare_text_build *b, struct pare_node *node, uint32_t *out)
{
    int rc = pare_build_put(&b->base, node);
    if (rc == PARE_OK)
        *out = pare_build_last(&b->base);
    return rc;
}

int pare_text_linear(struct pare_text_build *b, const struct pare_part *part, int32_t layer,
                     uint32_t input, uint32_t rows, uint32_t cols, enum pare_bias bias,
                     struct pare_weight *weight, uint32_t *out)
{
    struct pare_node node = node_of(PARE_OP_LINEAR, part, layer, input);
    char name[PARE_TENSOR_NAME];
    int rc;
    pare_part_name(&b->naming, part, layer, ".weight", name);
    if (weight)
        node.weight = pare_weight_ref(weight);
    else
        PARE_TRY(pare_build_weight(&b->base, name, rows, cols, &node.weight));
    pare_part_name(&b->naming, part, layer, ".bias", name);
    if (bias == PARE_BIAS_MUST || (bias == PARE_BIAS_MAY && pare_build_has(&b->base, name)))
        PARE_TRY(pare_build_take(&b->base, 1, (uint64_t[]){rows}, &node.bias, "%s", name));
    if (node.weight->ggml) {
        node.activation_bits = 8;
        node.activation_group = PARE_ACTIVATION_GROUP;
    }
    PARE_TRY(put(b, &node, out));
out:
    pare_node_release(&node);
    return rc;
}

int pare_text_embed(struct pare_text_build *b, const struct pare_part *part, enum pare_embed embed,
                    uint32_t rows, uint32_t *out)
{
    struct pare_node node = node_of(PARE_OP_EMBED, part, -1, 0);
    char name[PARE_TENSOR_NAME];
    int rc;
    node.embed = embed;
    pare_part_name(&b->naming, part, -1, ".weight", name);
    PARE_TRY(pare_build_weight(&b->base, name, rows, b->d.hidden, &node.weight));
    PARE_TRY(put(b, &node, out));
out:
    pare_node_release(&node);
    return rc;
}

int pare_text_norm(struct pare_text_build *b, const struct pare_part *part, int32_t layer,
                   uint32_t input, uint32_t *out)
{
    struct pare_node node = node_of(PARE_OP_NORM, part, layer, input);
    const uint64_t width = b->d.hidden;
    char name[PARE_TENSOR_NAME];
    int rc;
    node.eps = b->d.eps;
    pare_part_name(&b->naming, part, layer, ".weight", name);
    PARE_TRY(pare_build_take(&b->base, 1, &width, &node.a, "%s", name));
    pare_part_name(&b->naming, part, layer, ".bias", name);
    PARE_TRY(pare_build_take(&b->base, 1, &width, &node.b, "%s", name));
    PARE_TRY(put(b, &node, out));
out:
    pare_node_release(&node);
    return rc;
}

int pare_text_rms_norm(struct pare_text_build *b, const struct pare_part *part, int32_t layer,
                       uint32_t input, uint32_t heads, uint32_t width, uint32_t *out)
{
    struct pare_node node = node_of(PARE_OP_RMS_NORM, part, layer, input);
    char name[PARE_TENSOR_NAME];
    int rc;
    node.eps = b->d.eps;
    node.heads = heads;
    pare_part_name(&b->naming, part, layer, ".weight", name);
    PARE_TRY(pare_build_take(&b->base, 1, (uint64_t[]){width}, &node.a, "%s", name));
    PARE_TRY(put(b, &node, out));
out:
    pare_node_release(&node);
    return rc;
}

int pare_text_attention(struct pare_text_build *b, int32_t layer, uint32_t q, uint32_t k,
                        uint32_t v, bool causal, uint32_t window, uint32_t *out)
{
    struct pare_node mix =
        pare_build_node(PARE_OP_ATTENTION, layer, "attn.mix", "attention.mix", q);
    mix.n_inputs = 3;
    mix.inputs[1] = k;
    mix.inputs[2] = v;
    mix.heads = b->d.heads;
    mix.scale = 1.0f / sqrtf((float)b->d.head);
    if (causal) {
        mix.kv_heads = b->d.kv_heads;
        mix.causal = 1;
        mix.window = window;
        mix.cache_bits = 16;
    }
    return put(b, &mix, out);
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static bool known(const struct pare_node *node, const struct pare_part *parts, size_t n)
{
    const char *path = node->path;
    if (node->block >= 0 && strncmp(path, "layer.", 6) == 0 && strchr(path + 6, '.'))
        path = strchr(path + 6, '.') + 1;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].end == (node->block < 0) && strcmp(parts[i].path, path) == 0)
            return true;
    }
    return false;
}

void pare_text_uniform(const struct pare_writing *w, struct pare_text_dims *d)
{
    for (uint32_t b = 0; b < w->model->graph->blocks; b++) {
        const struct pare_node *up = pare_writing_node(w, (int32_t)b, "ffn.up");
        const struct pare_node *mix = pare_writing_node(w, (int32_t)b, "attn.mix");
        if (!up || !up->weight || !mix || mix->heads == 0)
            continue;
        d->ffn = up->weight->rows;
        d->heads = mix->heads;
        d->kv_heads = mix->kv_heads ? mix->kv_heads : mix->heads;
        return;
    }
}

int pare_text_check(const struct pare_writing *w, const struct pare_part *parts, size_t n)
{
    const struct pare_graph *g = w->model->graph;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        bool does =
            node->weight || node->op == PARE_OP_ADD_VECTOR || node->op == PARE_OP_TOKEN_MERGE;
        if (does && !known(node, parts, n))
            return pare_writing_refuse(w, "%s is an operation that a %s lacks", node->path,
                                       w->model->family);
    }
    return PARE_OK;
}

int pare_text_missing(const struct pare_writing *w, const struct pare_part *part, int32_t block)
{
    if (part->end)
        return pare_writing_refuse(w, "%s is missing", part->path);
    return pare_writing_refuse(w, "layer.%d.%.*s was dropped alone", block,
                               (int)strcspn(part->path, "."), part->path);
}

int pare_text_fits(const struct pare_writing *w, const struct pare_node *node, uint32_t rows,
                   uint32_t cols)
{
    if (!node->weight)
        return pare_writing_refuse(w, "%s has no weight", node->path);
    if (node->weight->rows == rows && node->weight->cols == cols)
        return PARE_OK;
    return pare_writing_refuse(w, "%s is %u x %u, not %u x %u as in other layers", node->path,
                               node->weight->rows, node->weight->cols, rows, cols);
}

int pare_text_put(const struct pare_writing *w, const struct pare_naming *naming,
                  const struct pare_part *part, int32_t block, uint32_t number,
                  const uint32_t *order)
{
    const struct pare_node *node = pare_writing_node(w, part->end ? -1 : block, part->path);
    char weight[PARE_TENSOR_NAME], bias[PARE_TENSOR_NAME];
    if (!node)
        return pare_text_missing(w, part, block);
    pare_part_name(naming, part, (int32_t)number, ".weight", weight);
    pare_part_name(naming, part, (int32_t)number, ".bias", bias);
    int rc = node->weight
                 ? pare_writing_weight(w, node, weight, 2,
                                       (uint64_t[]){node->weight->rows, node->weight->cols}, order)
                 : pare_writing_vector(w, node->a, weight, order);
    if (rc != PARE_OK)
        return rc;
    return pare_writing_vector(w, node->weight ? node->bias : node->b, bias, order);
}

/* The dtype that all matrices of the tensors share; f32 when they differ. */
static const char *dtype_of(const struct pare_tensors *tensors)
{
    static const char *const names[] = {
        [PARE_F32] = "float32", [PARE_F16] = "float16", [PARE_BF16] = "bfloat16"};
    int dtype = -1;
    for (size_t i = 0; i < tensors->n; i++) {
        const struct pare_tensor *t = &tensors->items[i];
        if (t->rank < 2)
            continue;
        if (t->dtype > PARE_BF16 || (dtype >= 0 && t->dtype != dtype))
            return names[PARE_F32];
        dtype = t->dtype;
    }
    return names[dtype < 0 ? PARE_F32 : dtype];
}

int pare_text_config(const struct pare_writing *w, uint32_t depth, const char *key, json_t **out)
{
    json_t *config = json_deep_copy(w->model->config), *types;
    uint32_t full = 0, number = 0;
    if (!config)
        return pare_error_nomem(w->err, 0);
    const json_t *first = json_object_get(config, "max_window_layers");
    types = json_object_get(config, "layer_types");
    for (uint32_t b = 0; b < w->model->graph->blocks; b++) {
        if (pare_writing_has_layer(w, (int32_t)b)) {
            full += json_is_integer(first) && b < json_integer_value(first);
            number++;
        } else if (json_is_array(types)) {
            json_array_remove(types, number);
        }
    }
    if (json_is_integer(first))
        json_object_set_new(config, "max_window_layers", json_integer(full));
    json_object_set_new(config, key, json_integer(depth));
    json_object_del(config, "dtype");
    json_object_set_new(config, "torch_dtype", json_string(dtype_of(w->out)));
    *out = config;
    return PARE_OK;
}
