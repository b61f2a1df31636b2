/* SPDX-License-Identifier: Apache-2.0 */
/* What families share in writing a graph's tensors under the names of others' files. */
#include "base/mem.h"
#include "model/branch.h"
#include "model/family_parts.h"
#include "model/ggml.h"
#include "model/weight_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int pare_writing_refuse(const struct pare_writing *w, const char *fmt, ...)
{
    char why[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    pare_error_set(w->err, PARE_UNSUPPORTED, "not representable %s because %s",
                   w->to == PARE_DIALECT_GGUF ? "in GGUF" : "as a Hugging Face model", why);
    pare_error_hint(w->err, "Pare's own format holds every model");
    return PARE_UNSUPPORTED;
}

int pare_writing_run(const struct pare_writing *w, json_t **config)
{
    const struct pare_family *family = pare_family_find(w->model->family);
    const struct pare_graph *g = w->model->graph;
    if (!family)
        return pare_error_set(w->err, PARE_UNSUPPORTED, "family %s is not known", w->model->family);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (pare_graph_basis(g, i) >= 0)
            return pare_writing_refuse(w, "%s is low rank: its weight is a product of two",
                                       g->nodes[i].path);
    }
    return family->write(w, config);
}

const struct pare_node *pare_writing_node(const struct pare_writing *w, int32_t block,
                                          const char *path)
{
    char full[PARE_PATH_MAX];
    if (block >= 0)
        snprintf(full, sizeof full, "layer.%d.%s", block, path);
    else
        snprintf(full, sizeof full, "%s", path);
    int32_t at = pare_graph_find(w->model->graph, full);
    return at < 0 ? NULL : &w->model->graph->nodes[at];
}

bool pare_writing_has_layer(const struct pare_writing *w, int32_t block)
{
    const struct pare_graph *g = w->model->graph;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].block == block)
            return true;
    }
    return false;
}

/* A weight in a type that the file can have. */
static int encode(const struct pare_writing *w, const struct pare_node *node, uint32_t *type,
                  struct pare_blob **data)
{
    const struct pare_weight *weight = node->weight;
    char what[48];
    bool plain = pare_weight_is_ggml(weight) && !weight->ggml;
    if (plain || w->to == PARE_DIALECT_GGUF) {
        int rc = pare_weight_to_ggml(weight, w->decode, type, data, w->err);
        if (rc != PARE_UNSUPPORTED)
            return rc;
    }
    if (w->decode) {
        *type = PARE_GGML_F32;
        int rc = pare_blob_new((size_t)weight->rows * weight->cols, sizeof(float), data, w->err);
        if (rc == PARE_OK)
            pare_weight_decode(weight, 0, weight->rows, (*data)->data);
        return rc;
    }
    pare_weight_describe(weight, what);
    pare_writing_refuse(w, "%s is %s %s weight", node->path, what[0] == 'i' ? "an" : "a", what);
    if (w->to == PARE_DIALECT_GGUF && weight->structure == PARE_DENSE)
        pare_error_detail(
            w->err,
            "its integers share a scale per 32 columns (or per 16 and 256): group_size "
            "32, where that divides the %u columns",
            weight->cols);
    pare_error_hint(w->err, "--decode writes such weights as f32, at the size of f32");
    return PARE_UNSUPPORTED;
}

/* `*data` with its rows in another order: a copy. */
static int reorder(struct pare_blob **data, uint32_t rows, const uint32_t *order,
                   struct pare_error *err)
{
    struct pare_blob *copy = NULL;
    size_t row = (*data)->size / rows;
    int rc = pare_blob_new((*data)->size, 1, &copy, err);
    if (rc != PARE_OK)
        return rc;
    for (uint32_t i = 0; i < rows; i++)
        memcpy((char *)copy->data + i * row, (const char *)(*data)->data + order[i] * row, row);
    pare_blob_unref(*data);
    *data = copy;
    return PARE_OK;
}

int pare_writing_weight(const struct pare_writing *w, const struct pare_node *node,
                        const char *name, unsigned rank, const uint64_t *shape,
                        const uint32_t *order)
{
    struct pare_blob *data = NULL;
    uint32_t type = 0;
    int rc;
    PARE_TRY(encode(w, node, &type, &data));
    if (order)
        PARE_TRY(reorder(&data, node->weight->rows, order, w->err));
    PARE_TRY(pare_tensors_add_ggml(w->out, name, type, rank, shape, data, w->err));
out:
    pare_blob_unref(data);
    return rc;
}

int pare_writing_vector(const struct pare_writing *w, struct pare_blob *data, const char *name,
                        const uint32_t *order)
{
    uint64_t n = data ? data->size / sizeof(float) : 0;
    int rc = PARE_OK;
    if (!data)
        return PARE_OK;
    data = pare_blob_ref(data);
    if (order)
        PARE_TRY(reorder(&data, (uint32_t)n, order, w->err));
    PARE_TRY(pare_tensors_add(w->out, name, PARE_F32, 1, &n, data, w->err));
out:
    pare_blob_unref(data);
    return rc;
}

int pare_writing_norm(const struct pare_writing *w, const struct pare_node *node, const char *name)
{
    char full[PARE_TENSOR_NAME];
    snprintf(full, sizeof full, "%s.weight", name);
    int rc = pare_writing_vector(w, node->a, full, NULL);
    if (rc != PARE_OK)
        return rc;
    snprintf(full, sizeof full, "%s.bias", name);
    return pare_writing_vector(w, node->b, full, NULL);
}
