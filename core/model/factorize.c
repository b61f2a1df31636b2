/* SPDX-License-Identifier: Apache-2.0 */
/* A linear whose weight is a product of two: the linear itself, and before it its basis. */
#include "base/mem.h"
#include "base/str.h"
#include "model/branch.h"
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#define BASIS ".basis"

size_t pare_basis_stem(const char *name)
{
    return strlen(name) - (pare_ends_with(name, BASIS) ? strlen(BASIS) : 0);
}

int32_t pare_graph_basis(const struct pare_graph *g, uint32_t at)
{
    const struct pare_node *node = &g->nodes[at];
    const int32_t from = node->op == PARE_OP_LINEAR ? pare_graph_writer(g, node->inputs[0]) : -1;
    if (from < 0 || g->nodes[from].op != PARE_OP_LINEAR)
        return -1;
    const char *path = g->nodes[from].path;
    const size_t n = strlen(node->path);
    return strncmp(path, node->path, n) == 0 && strcmp(path + n, BASIS) == 0 ? from : -1;
}

/* Every refusal comes before any change. */
static int check(const struct pare_graph *g, const char *path, uint32_t rank,
                 struct pare_error *err)
{
    const int32_t at = pare_graph_find(g, path);
    const struct pare_node *node = at < 0 ? NULL : &g->nodes[at];
    if (!node || (node->op != PARE_OP_LINEAR && node->op != PARE_OP_CONV2D))
        return pare_error_set(err, PARE_NOT_FOUND, "the model has no linear %s", path);
    const uint32_t most = PARE_MIN(node->weight->rows, node->weight->cols);
    if (rank == 0 || rank > most)
        return pare_error_set(err, PARE_INVALID, "%s: a rank of %u is not between 1 and %u", path,
                              rank, most);
    if (node->op == PARE_OP_CONV2D)
        return pare_error_set(err, PARE_UNSUPPORTED,
                              "%s reads patches of the image: it cannot be a product", path);
    if (pare_graph_basis(g, (uint32_t)at) >= 0 || path[pare_basis_stem(path)] != '\0') {
        pare_error_set(err, PARE_UNSUPPORTED, "%s is part of a product already", path);
        pare_error_hint(err, "factorize once, at the rank that is wanted in the end");
        return PARE_UNSUPPORTED;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (&g->nodes[i] == node || g->nodes[i].weight != node->weight)
            continue;
        pare_error_set(err, PARE_UNSUPPORTED,
                       "%s shares its weight with %s: one of them alone cannot be a product", path,
                       g->nodes[i].path);
        pare_error_hint(err, "leave it out with `except`");
        return PARE_UNSUPPORTED;
    }
    if (strlen(path) + sizeof BASIS > PARE_PATH_MAX ||
        strlen(node->role) + sizeof BASIS > PARE_ROLE_MAX)
        return pare_error_set(err, PARE_UNSUPPORTED, "%s: its name is too long for a product",
                              path);
    return PARE_OK;
}

int pare_graph_factorize(struct pare_graph *g, const char *path, uint32_t rank, const float *left,
                         const float *right, struct pare_error *err)
{
    struct pare_node basis = {0};
    struct pare_weight *weight = NULL;
    int rc;
    PARE_TRY(check(g, path, rank, err));
    const uint32_t at = (uint32_t)pare_graph_find(g, path);
    const struct pare_node *old = &g->nodes[at];
    basis = (struct pare_node){.op = PARE_OP_LINEAR,
                               .n_inputs = 1,
                               .inputs = {old->inputs[0]},
                               .block = old->block,
                               .activation_bits = old->activation_bits,
                               .activation_group = old->activation_group};
    snprintf(basis.path, sizeof basis.path, "%.*s" BASIS, PARE_PATH_MAX - (int)sizeof BASIS, path);
    snprintf(basis.role, sizeof basis.role, "%.*s" BASIS, PARE_ROLE_MAX - (int)sizeof BASIS,
             old->role);
    PARE_TRY(pare_weight_new(old->weight->rows, rank, left, &weight, err));
    PARE_TRY(pare_weight_new(rank, old->weight->cols, right, &basis.weight, err));
    PARE_TRY(pare_weight_check(weight, err));
    PARE_TRY(pare_weight_check(basis.weight, err));
    rc = pare_graph_insert(g, at, &basis, err);
    basis = (struct pare_node){0};
    if (rc != PARE_OK)
        goto out;
    struct pare_node *node = &g->nodes[at + 1];
    node->inputs[0] = g->nodes[at].outputs[0];
    node->activation_bits = node->activation_group = 0; /* what it reads now was never rounded */
    pare_weight_unref(node->weight);
    node->weight = weight;
    weight = NULL;
    PARE_TRY(pare_graph_infer(g, err));
out:
    pare_node_release(&basis);
    pare_weight_unref(weight);
    return rc;
}
