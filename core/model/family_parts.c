/* SPDX-License-Identifier: Apache-2.0 */
/* What families share in building a graph, and in making random models. */
#include "model/family_parts.h"
#include "base/mem.h"
#include "model/ggml.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first name of each activation is the one that is written. */
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
    {"tanh", PARE_ACT_TANH},
};

/* ---- config.json
 * --------------------------------------------------------------------------------- */

int pare_config_size(const json_t *config, const char *key, uint32_t most, uint32_t fallback,
                     uint32_t *out, struct pare_error *err)
{
    const json_t *j = json_object_get(config, key);
    if ((!j || json_is_null(j)) && fallback) {
        *out = fallback;
        return PARE_OK;
    }
    if (!j)
        return pare_error_set(err, PARE_INVALID, "config.json: %s is missing", key);
    if (!json_is_integer(j) || json_integer_value(j) < 1 || json_integer_value(j) > most)
        return pare_error_set(err, PARE_INVALID, "config.json: %s is no size from 1 to %u", key,
                              most);
    *out = (uint32_t)json_integer_value(j);
    return PARE_OK;
}

int pare_config_real(const json_t *config, const char *key, double fallback, double *out,
                     struct pare_error *err)
{
    const json_t *j = json_object_get(config, key);
    if (!j || json_is_null(j)) {
        *out = fallback;
        return isnan(fallback)
                   ? pare_error_set(err, PARE_INVALID, "config.json: %s is missing", key)
                   : PARE_OK;
    }
    *out = json_number_value(j);
    if (!json_is_number(j) || !isfinite(*out))
        return pare_error_set(err, PARE_INVALID, "config.json: %s is no number", key);
    return PARE_OK;
}

int pare_config_activation(const json_t *config, const char *key, const char *fallback,
                           uint32_t *out, struct pare_error *err)
{
    const char *name = json_string_value(json_object_get(config, key));
    if (!name)
        name = fallback;
    for (size_t i = 0; i < PARE_COUNT(activations); i++) {
        if (strcmp(name, activations[i].name) == 0) {
            *out = activations[i].activation;
            return PARE_OK;
        }
    }
    return pare_error_set(err, PARE_UNSUPPORTED, "config.json: %s '%s' is not supported", key,
                          name);
}

const char *pare_activation_name(uint32_t activation)
{
    size_t i = 0;
    while (activations[i].activation != activation)
        i++;
    return activations[i].name;
}

/* ---- taking tensors
 * ------------------------------------------------------------------------------ */

int pare_build_take(struct pare_build *b, unsigned rank, const uint64_t *shape,
                    struct pare_blob **out, const char *fmt, ...)
{
    char name[PARE_TENSOR_NAME];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return pare_tensors_take(b->tensors, name, rank, shape, out, b->err);
}

/* The type of a tensor that can be a weight as it stands. */
static int ggml_type(const struct pare_tensor *t, uint32_t *out, struct pare_error *err)
{
    static const uint32_t types[] = {
        [PARE_F32] = PARE_GGML_F32, [PARE_F16] = PARE_GGML_F16, [PARE_BF16] = PARE_GGML_BF16};
    *out = t->ggml;
    if (t->dtype == PARE_BLOCKS)
        return PARE_OK;
    if (t->dtype == PARE_F64 || t->dtype > PARE_BF16)
        return pare_error_set(err, PARE_UNSUPPORTED,
                              "tensor '%s' has dtype %s, F32, F16 or BF16 is expected", t->name,
                              pare_dtype_name(t->dtype));
    *out = types[t->dtype];
    return PARE_OK;
}

int pare_build_rows(struct pare_build *b, const char *name, uint32_t all, uint32_t first,
                    uint32_t rows, uint32_t cols, struct pare_weight **out)
{
    struct pare_tensor *t;
    struct pare_blob *data = NULL, *aligned = NULL;
    uint32_t type;
    int rc;
    PARE_TRY(pare_tensors_expect(b->tensors, name, 2, (uint64_t[]){all, cols}, &t, b->err));
    PARE_TRY(ggml_type(t, &type, b->err));
    t->used = true;
    size_t row = t->data->size / all;
    if (rows == all)
        data = pare_blob_ref(t->data);
    else
        PARE_TRY(pare_blob_part(t->data, first * row, rows * row, &data, b->err));
    if (t->dtype != PARE_BLOCKS && (uintptr_t)data->data % pare_dtype_size(t->dtype) != 0) {
        PARE_TRY(pare_blob_copy(data->data, data->size, 1, &aligned, b->err));
        pare_blob_unref(data);
        data = aligned;
    }
    rc = pare_weight_from_ggml(type, rows, cols, data, out, b->err);
    if (rc != PARE_OK)
        pare_error_detail(b->err, "in tensor '%s'", name);
out:
    pare_blob_unref(data);
    return rc;
}

int pare_build_weight(struct pare_build *b, const char *name, uint32_t rows, uint32_t cols,
                      struct pare_weight **out)
{
    return pare_build_rows(b, name, rows, 0, rows, cols, out);
}

bool pare_build_has(const struct pare_build *b, const char *name)
{
    return pare_tensors_find(b->tensors, name) != NULL;
}

void pare_build_ignore(struct pare_build *b, const char *name)
{
    struct pare_tensor *t = pare_tensors_find(b->tensors, name);
    if (t)
        t->used = true;
}

int pare_build_finish(struct pare_build *b, bool (*may)(const char *name), const char *what)
{
    for (size_t i = 0; i < b->tensors->n; i++) {
        const struct pare_tensor *t = &b->tensors->items[i];
        if (t->used || (may && may(t->name)))
            continue;
        pare_error_set(b->err, PARE_UNSUPPORTED, "tensor '%s' belongs to no part of a %s", t->name,
                       what);
        pare_error_hint(b->err, "the configuration and the weights may belong to different models");
        return PARE_UNSUPPORTED;
    }
    return pare_graph_infer(b->graph, b->err);
}

/* ---- adding nodes
 * -------------------------------------------------------------------------------- */

uint32_t pare_build_last(const struct pare_build *b)
{
    return b->graph->nodes[b->graph->n_nodes - 1].outputs[0];
}

struct pare_node pare_build_node(uint8_t op, int32_t block, const char *path, const char *role,
                                 uint32_t input)
{
    struct pare_node node = {.op = op, .block = block, .n_inputs = 1, .inputs = {input}};
    if (block >= 0)
        snprintf(node.path, sizeof node.path, "layer.%d.%s", block, path);
    else
        snprintf(node.path, sizeof node.path, "%s", path);
    snprintf(node.role, sizeof node.role, "%s", role);
    return node;
}

int pare_build_put(struct pare_build *b, struct pare_node *node)
{
    int rc = pare_graph_add(b->graph, node, b->err);
    *node = (struct pare_node){0};
    return rc;
}

int pare_build_add(struct pare_build *b, int32_t block, const char *path, uint32_t x, uint32_t y,
                   float factor)
{
    struct pare_node node = pare_build_node(PARE_OP_ADD, block, path, "residual", x);
    node.n_inputs = 2;
    node.inputs[1] = y;
    node.scale = factor;
    return pare_build_put(b, &node);
}

int pare_build_activation(struct pare_build *b, int32_t block, const char *path, const char *role,
                          uint32_t activation, uint32_t input)
{
    struct pare_node node = pare_build_node(PARE_OP_ACTIVATION, block, path, role, input);
    node.activation = activation;
    return pare_build_put(b, &node);
}

int pare_build_pool(struct pare_build *b, const char *path, uint32_t input, uint32_t token)
{
    struct pare_node node = pare_build_node(PARE_OP_POOL, -1, path, "pool", input);
    node.token = token;
    return pare_build_put(b, &node);
}

/* ---- random models
 * ------------------------------------------------------------------------------- */

int pare_random_tensor(struct pare_tensors *out, struct pare_random *r, const char *name,
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

int pare_random_pair(struct pare_tensors *out, struct pare_random *r, const char *name,
                     unsigned rank, const uint64_t *shape, bool bias, struct pare_error *err)
{
    char full[PARE_TENSOR_NAME];
    double fan = 1;
    for (unsigned i = 1; i < rank; i++)
        fan *= (double)shape[i];
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = pare_random_tensor(out, r, full, rank, shape, rank == 1,
                                rank == 1 ? 0.1 : 1 / sqrt(fan), err);
    if (rc != PARE_OK || !bias)
        return rc;
    snprintf(full, sizeof full, "%s.bias", name);
    return pare_random_tensor(out, r, full, 1, shape, 0, 0.02, err);
}

bool pare_random_shape(const char *text, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *end;
        unsigned long x = strtoul(text, &end, 10);
        if (end == text || x == 0 || x > PARE_WIDTH_MAX || *end != (i + 1 < n ? ',' : '\0'))
            return false;
        out[i] = (uint32_t)x;
        text = end + 1;
    }
    return true;
}
