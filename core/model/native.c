/* SPDX-License-Identifier: Apache-2.0 */
/* Pare's own format: a safetensors file whose metadata describes the graph. */
#include "model/native.h"
#include "base/mem.h"
#include "model/encoding.h"
#include "model/ggml.h"
#include "model/weight_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX (1u << 18)

/* Fields of a node that are plain numbers: name in the file, offset, whether float. */
static const struct field {
    const char *name;
    size_t offset;
    bool real;
} fields[] = {
    {"activation_bits", offsetof(struct pare_node, activation_bits), false},
    {"activation_group", offsetof(struct pare_node, activation_group), false},
    {"kernel", offsetof(struct pare_node, kernel), false},
    {"prefix", offsetof(struct pare_node, prefix), false},
    {"heads", offsetof(struct pare_node, heads), false},
    {"kv_heads", offsetof(struct pare_node, kv_heads), false},
    {"causal", offsetof(struct pare_node, causal), false},
    {"window", offsetof(struct pare_node, window), false},
    {"cache_bits", offsetof(struct pare_node, cache_bits), false},
    {"adjacent", offsetof(struct pare_node, adjacent), false},
    {"embed", offsetof(struct pare_node, embed), false},
    {"activation", offsetof(struct pare_node, activation), false},
    {"token", offsetof(struct pare_node, token), false},
    {"merge", offsetof(struct pare_node, merge), false},
    {"eps", offsetof(struct pare_node, eps), true},
    {"scale", offsetof(struct pare_node, scale), true},
};

/* The blobs of a node and the suffix of their tensors' names. */
static const struct {
    const char *suffix;
    size_t offset;
    uint8_t dtype;
} blobs[] = {
    {"bias", offsetof(struct pare_node, bias), PARE_F32},
    {"a", offsetof(struct pare_node, a), PARE_F32},
    {"b", offsetof(struct pare_node, b), PARE_F32},
    {"ids", offsetof(struct pare_node, ids), PARE_U32},
};

static const char *const structures[] = {"dense", "n:m", "bitmap"};
static const char *const zero_kinds[] = {"none", "int", "min"};

/* How values are named, and the dtype they are stored with. Integers are told by their bits, or by
 * the type of their blocks; f32 is what is meant when nothing is said. */
static const char *const value_names[] = {
    [PARE_VALUES_F32] = "f32",   [PARE_VALUES_INT] = "int",       [PARE_VALUES_F16] = "f16",
    [PARE_VALUES_BF16] = "bf16", [PARE_VALUES_PLUGIN] = "plugin",
};
static const uint8_t value_dtypes[] = {
    [PARE_VALUES_F32] = PARE_F32,   [PARE_VALUES_INT] = PARE_U8,    [PARE_VALUES_F16] = PARE_F16,
    [PARE_VALUES_BF16] = PARE_BF16, [PARE_VALUES_PLUGIN] = PARE_U8,
};

static struct pare_blob **blob_of(struct pare_node *node, size_t i)
{
    return (struct pare_blob **)(void *)((char *)node + blobs[i].offset);
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static int add_blob(struct pare_tensors *tensors, const char *path, const char *suffix,
                    struct pare_blob *blob, enum pare_dtype dtype, struct pare_error *err)
{
    char name[PARE_PATH_MAX + 32];
    if (!blob)
        return PARE_OK;
    uint64_t n = blob->size / pare_dtype_size(dtype);
    snprintf(name, sizeof name, "%s.%s", path, suffix);
    return pare_tensors_add(tensors, name, dtype, 1, &n, blob, err);
}

static int add_weight(struct pare_tensors *tensors, const struct pare_node *node, json_t *out,
                      struct pare_error *err)
{
    const struct pare_weight *w = node->weight;
    int rc;
    if (!w)
        return PARE_OK;
    bool ints = w->values == PARE_VALUES_INT;
    json_t *j = json_pack("{s:I, s:I, s:s}", "rows", (json_int_t)w->rows, "cols",
                          (json_int_t)w->cols, "structure", structures[w->structure]);
    if (!j || json_object_set_new(out, "weight", j) != 0)
        return pare_error_nomem(err, 0);
    if (w->structure == PARE_NM) {
        json_object_set_new(j, "n", json_integer(w->n));
        json_object_set_new(j, "m", json_integer(w->m));
    }
    if (w->encoding) {
        json_object_set_new(j, "encoding", json_string(w->encoding->id));
    } else if (w->ggml) {
        json_object_set_new(j, "ggml", json_string(pare_ggml_name(w->ggml)));
    } else if (w->values == PARE_VALUES_F16 || w->values == PARE_VALUES_BF16) {
        json_object_set_new(j, "values", json_string(value_names[w->values]));
    } else if (ints) {
        json_object_set_new(j, "bits", json_integer(w->bits));
        json_object_set_new(j, "group", json_integer(w->group));
        json_object_set_new(j, "zero", json_string(zero_kinds[w->zero_kind]));
    }
    PARE_TRY(add_blob(tensors, node->path, "weight", w->stored,
                      (enum pare_dtype)value_dtypes[w->values], err));
    PARE_TRY(add_blob(tensors, node->path, "weight.index", w->index, PARE_U8, err));
    PARE_TRY(add_blob(tensors, node->path, "weight.scales", w->scales, PARE_F16, err));
    PARE_TRY(add_blob(tensors, node->path, "weight.zeros", w->zeros,
                      w->zero_kind == PARE_ZERO_MIN ? PARE_F16 : PARE_U8, err));
out:
    return rc;
}

static json_t *value_list(const uint32_t *values, uint32_t n, const uint32_t *number)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(number[values[i]]));
    return list;
}

/* The first node that holds the weight: tied ones are stored once. */
static const struct pare_node *holder_of(const struct pare_graph *g, const struct pare_weight *w)
{
    const struct pare_node *node = g->nodes;
    while (node->weight != w)
        node++;
    return node;
}

static int add_node(struct pare_tensors *tensors, const struct pare_graph *g,
                    struct pare_node *node, const uint32_t *number, json_t *list,
                    struct pare_error *err)
{
    int rc;
    json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "op", pare_op_name(node->op), "path",
                          node->path, "role", node->role, "block", (int)node->block, "in",
                          value_list(node->inputs, node->n_inputs, number), "out",
                          value_list(node->outputs, node->n_outputs, number));
    if (!j || json_array_append_new(list, j) != 0)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < PARE_COUNT(fields); i++) {
        const char *at = (const char *)node + fields[i].offset;
        uint32_t whole;
        float real;
        memcpy(&whole, at, sizeof whole);
        memcpy(&real, at, sizeof real);
        if (whole != 0)
            json_object_set_new(j, fields[i].name,
                                fields[i].real ? json_real((double)real) : json_integer(whole));
    }
    const struct pare_node *holder = node->weight ? holder_of(g, node->weight) : node;
    if (holder != node)
        json_object_set_new(j, "weight", json_string(holder->path));
    else
        PARE_TRY(add_weight(tensors, node, j, err));
    for (size_t i = 0; i < PARE_COUNT(blobs); i++)
        PARE_TRY(add_blob(tensors, node->path, blobs[i].suffix, *blob_of(node, i),
                          (enum pare_dtype)blobs[i].dtype, err));
out:
    return rc;
}

int pare_native_store(const struct pare_graph *g, struct pare_tensors *tensors, json_t **out,
                      struct pare_error *err)
{
    /* values are numbered in the order they are written, whatever the graph went through */
    uint32_t *number = pare_calloc(g->n_values, sizeof *number), next = 1;
    json_t *list = json_array(), *graph = NULL;
    int rc = PARE_OK;
    if (!number || !list) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t o = 0; o < g->nodes[i].n_outputs; o++)
            number[g->nodes[i].outputs[o]] = next++;
        PARE_TRY(add_node(tensors, g, &g->nodes[i], number, list, err));
    }
    graph =
        json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "version", 1, "channels",
                  (json_int_t)g->channels, "height", (json_int_t)g->height, "width",
                  (json_int_t)g->width, "values", (json_int_t)next, "output",
                  (json_int_t)number[g->output], "blocks", (json_int_t)g->blocks, "nodes", list);
    if (!graph)
        rc = pare_error_nomem(err, 0);
    else if (pare_graph_reads_text(g))
        json_object_update_new(
            graph, json_pack("{s:I, s:I, s:I}", "vocabulary", (json_int_t)g->vocabulary, "context",
                             (json_int_t)g->context, "length", (json_int_t)g->length));
    *out = graph;
out:
    json_decref(list);
    free(number);
    return rc;
}

/* ---- reading: everything is a stranger's until checked
 * ------------------------------------------- */

static int wrong(struct pare_error *err, const char *what)
{
    return pare_error_set(err, PARE_INVALID, "the model file's graph is damaged: %s", what);
}

static bool get_u32(const json_t *j, const char *key, uint32_t *out)
{
    const json_t *value = json_object_get(j, key);
    json_int_t x = json_integer_value(value);
    if (!json_is_integer(value) || x < 0 || x > UINT32_MAX)
        return false;
    *out = (uint32_t)x;
    return true;
}

static int get_name(const json_t *j, const char *key, char *out, size_t size,
                    struct pare_error *err)
{
    const char *text = json_string_value(json_object_get(j, key));
    if (!text || strlen(text) >= size)
        return wrong(err, "a name is missing or too long");
    for (const char *p = text; *p; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '.' || *p == '_'))
            return wrong(err, "a name has characters that names do not have");
    }
    snprintf(out, size, "%s", text);
    return PARE_OK;
}

/* The tensor PATH.SUFFIX with that dtype; NULL in *out when it is not there. */
static int get_blob(struct pare_tensors *tensors, const char *path, const char *suffix,
                    enum pare_dtype dtype, struct pare_blob **out, struct pare_error *err)
{
    char name[PARE_PATH_MAX + 32];
    snprintf(name, sizeof name, "%s.%s", path, suffix);
    struct pare_tensor *t = pare_tensors_find(tensors, name);
    if (!t)
        return PARE_OK;
    if (t->dtype != dtype || t->rank != 1)
        return pare_error_set(err, PARE_INVALID, "tensor '%s' has dtype %s, %s is expected", name,
                              pare_dtype_name(t->dtype), pare_dtype_name(dtype));
    t->used = true;
    if ((uintptr_t)t->data->data % pare_dtype_size(dtype) == 0) {
        *out = pare_blob_ref(t->data);
        return PARE_OK;
    }
    return pare_blob_copy(t->data->data, t->data->size, 1, out, err);
}

static int find_word(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; word && i < n; i++) {
        if (strcmp(word, words[i]) == 0)
            return (int)i;
    }
    return -1;
}

/* Of a weight: how its numbers are written. */
static int get_values_kind(const json_t *w, struct pare_weight *shape, struct pare_error *err)
{
    const json_t *ggml = json_object_get(w, "ggml"), *values = json_object_get(w, "values");
    const char *own = json_string_value(json_object_get(w, "encoding"));
    const struct pare_ggml_kind *kind = pare_ggml_named(json_string_value(ggml));
    uint32_t bits = 0;
    if (own) {
        shape->values = PARE_VALUES_PLUGIN;
        return pare_encoding_find(own, &shape->encoding, err);
    }
    if (ggml) {
        if (!kind || !kind->bits)
            return wrong(err, "a weight has blocks of no known type");
        shape->values = PARE_VALUES_INT;
        shape->ggml = (uint8_t)kind->type;
    } else if (values) {
        int known = find_word(json_string_value(values), value_names, PARE_COUNT(value_names));
        if (known != PARE_VALUES_F16 && known != PARE_VALUES_BF16)
            return wrong(err, "a weight has values of no known kind");
        shape->values = (uint8_t)known;
    } else if (get_u32(w, "bits", &bits)) {
        int zero = find_word(json_string_value(json_object_get(w, "zero")), zero_kinds, 3);
        if (bits > 8 || zero < 0 || !get_u32(w, "group", &shape->group))
            return wrong(err, "an integer weight lacks its parts");
        shape->values = PARE_VALUES_INT;
        shape->bits = (uint8_t)bits;
        shape->zero_kind = (uint8_t)zero;
    }
    return PARE_OK;
}

static int get_weight(struct pare_tensors *tensors, const json_t *j, struct pare_node *node,
                      struct pare_error *err)
{
    const json_t *w = json_object_get(j, "weight");
    struct pare_weight shape = {0};
    uint32_t n = 0, m = 0;
    int rc = PARE_OK;
    if (!w)
        return PARE_OK;
    int structure = find_word(json_string_value(json_object_get(w, "structure")), structures, 3);
    if (!get_u32(w, "rows", &shape.rows) || !get_u32(w, "cols", &shape.cols) || structure < 0)
        return wrong(err, "a weight lacks its shape");
    if (structure == PARE_NM && (!get_u32(w, "n", &n) || !get_u32(w, "m", &m) || n > 16 || m > 16))
        return wrong(err, "a weight lacks its n:m");
    PARE_TRY(get_values_kind(w, &shape, err));
    shape.structure = (uint8_t)structure;
    shape.n = (uint8_t)n;
    shape.m = (uint8_t)m;
    PARE_TRY(get_blob(tensors, node->path, "weight", (enum pare_dtype)value_dtypes[shape.values],
                      &shape.stored, err));
    PARE_TRY(get_blob(tensors, node->path, "weight.index", PARE_U8, &shape.index, err));
    PARE_TRY(get_blob(tensors, node->path, "weight.scales", PARE_F16, &shape.scales, err));
    PARE_TRY(get_blob(tensors, node->path, "weight.zeros",
                      shape.zero_kind == PARE_ZERO_MIN ? PARE_F16 : PARE_U8, &shape.zeros, err));
    if (!shape.stored) {
        rc = wrong(err, "a weight has no values");
        goto out;
    }
    rc = pare_weight_assemble(&shape, &node->weight, err);
    if (rc != PARE_OK)
        pare_error_detail(err, "in the weight of %s", node->path);
out:
    pare_blob_unref(shape.stored);
    pare_blob_unref(shape.index);
    pare_blob_unref(shape.scales);
    pare_blob_unref(shape.zeros);
    return rc;
}

static int get_values(const json_t *list, uint32_t *out, size_t most, uint8_t *n, uint32_t values,
                      struct pare_error *err)
{
    if (!json_is_array(list) || json_array_size(list) > most)
        return wrong(err, "a node has too many inputs or outputs");
    *n = (uint8_t)json_array_size(list);
    for (size_t i = 0; i < *n; i++) {
        const json_t *j = json_array_get(list, i);
        if (!json_is_integer(j) || json_integer_value(j) < 0 || json_integer_value(j) >= values)
            return wrong(err, "a node names a value that does not exist");
        out[i] = (uint32_t)json_integer_value(j);
    }
    return PARE_OK;
}

static int get_fields(const json_t *j, struct pare_node *node, struct pare_error *err)
{
    for (size_t i = 0; i < PARE_COUNT(fields); i++) {
        const json_t *value = json_object_get(j, fields[i].name);
        char *at = (char *)node + fields[i].offset;
        uint32_t whole;
        if (!value)
            continue;
        if (fields[i].real) {
            float real = (float)json_number_value(value);
            if (!json_is_number(value) || !isfinite(real))
                return wrong(err, "a number is not finite");
            memcpy(at, &real, sizeof real);
        } else if (get_u32(j, fields[i].name, &whole)) {
            memcpy(at, &whole, sizeof whole);
        } else {
            return wrong(err, "a number is out of range");
        }
    }
    return PARE_OK;
}

static int get_node(struct pare_tensors *tensors, const json_t *j, struct pare_graph *g,
                    struct pare_error *err)
{
    struct pare_node node = {0};
    const char *op = json_string_value(json_object_get(j, "op"));
    const json_t *block = json_object_get(j, "block");
    int rc;
    while (node.op < PARE_OP_COUNT && !(op && strcmp(op, pare_op_name(node.op)) == 0))
        node.op++;
    if (node.op == 0 || node.op == PARE_OP_COUNT || !json_is_integer(block) ||
        json_integer_value(block) < -1 || json_integer_value(block) >= (json_int_t)g->blocks) {
        rc = wrong(err, "an operation is not known");
        goto out;
    }
    node.block = (int32_t)json_integer_value(block);
    PARE_TRY(get_name(j, "path", node.path, sizeof node.path, err));
    PARE_TRY(get_name(j, "role", node.role, sizeof node.role, err));
    if (pare_graph_find(g, node.path) >= 0) {
        rc = wrong(err, "two parts have the same path");
        goto out;
    }
    PARE_TRY(get_values(json_object_get(j, "in"), node.inputs, PARE_NODE_INPUTS, &node.n_inputs,
                        g->n_values, err));
    PARE_TRY(get_values(json_object_get(j, "out"), node.outputs, PARE_NODE_OUTPUTS, &node.n_outputs,
                        g->n_values, err));
    PARE_TRY(get_fields(j, &node, err));
    const json_t *weight = json_object_get(j, "weight");
    int32_t holder = json_is_string(weight) ? pare_graph_find(g, json_string_value(weight)) : -1;
    if (holder >= 0)
        node.weight = pare_weight_ref(g->nodes[holder].weight);
    else
        PARE_TRY(get_weight(tensors, j, &node, err));
    for (size_t i = 0; i < PARE_COUNT(blobs); i++)
        PARE_TRY(get_blob(tensors, node.path, blobs[i].suffix, (enum pare_dtype)blobs[i].dtype,
                          blob_of(&node, i), err));
    g->nodes[g->n_nodes++] = node;
    return PARE_OK;
out:
    pare_node_release(&node);
    return rc;
}

int pare_native_load(const json_t *graph, struct pare_tensors *tensors, struct pare_graph **out,
                     struct pare_error *err)
{
    const json_t *nodes = json_object_get(graph, "nodes");
    struct pare_graph *g = NULL;
    uint32_t channels, height, width, values, output, blocks, version;
    int rc;
    if (!get_u32(graph, "version", &version) || version != 1) {
        rc = pare_error_set(err, PARE_UNSUPPORTED,
                            "the model file was written by another version of Pare");
        goto out;
    }
    if (!get_u32(graph, "channels", &channels) || !get_u32(graph, "height", &height) ||
        !get_u32(graph, "width", &width) || !get_u32(graph, "values", &values) ||
        !get_u32(graph, "output", &output) || !get_u32(graph, "blocks", &blocks) ||
        !json_is_array(nodes) || json_array_size(nodes) > NODES_MAX || blocks > NODES_MAX ||
        values > NODES_MAX * PARE_NODE_OUTPUTS || values == 0) {
        rc = wrong(err, "its sizes are missing or out of range");
        goto out;
    }
    PARE_TRY(pare_graph_new(channels, height, width, &g, err));
    if (channels == 0 &&
        (!get_u32(graph, "vocabulary", &g->vocabulary) || !get_u32(graph, "context", &g->context) ||
         !get_u32(graph, "length", &g->length))) {
        rc = wrong(err, "it reads neither images nor text");
        goto out;
    }
    size_t cap_values = g->cap_values, cap_nodes = 0;
    if (!pare_grow(&g->values, &cap_values, values, sizeof *g->values) ||
        !pare_grow(&g->nodes, &cap_nodes, json_array_size(nodes), sizeof *g->nodes)) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    g->cap_values = (uint32_t)cap_values;
    g->cap_nodes = (uint32_t)cap_nodes;
    memset(g->values + 1, 0, (values - 1) * sizeof *g->values);
    g->n_values = values;
    g->output = output;
    g->blocks = blocks;
    for (size_t i = 0; i < json_array_size(nodes); i++)
        PARE_TRY(get_node(tensors, json_array_get(nodes, i), g, err));
    PARE_TRY(pare_graph_infer(g, err));
    *out = g;
    g = NULL;
out:
    pare_graph_free(g);
    return rc;
}
