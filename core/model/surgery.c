/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a graph that keep it whole. Every function infers the shapes anew. */
#include "base/mem.h"
#include "model/branch.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_branch(const struct pare_graph *g, const char *path, struct pare_branch *b,
                       struct pare_error *err)
{
    if (pare_branch_find(g, path, b))
        return PARE_OK;
    return pare_error_set(err, PARE_NOT_FOUND, "the model has no branch %s", path);
}

/* ---- dropping a branch
 * --------------------------------------------------------------------------- */

/* A branch whose inner values are read outside it (its keys by a token merge) cannot go. */
static int check_private(const struct pare_graph *g, const struct pare_branch *b,
                         struct pare_error *err)
{
    for (uint32_t i = b->add; i < g->n_nodes; i++) {
        for (uint32_t j = 0; j < g->nodes[i].n_inputs; j++) {
            int32_t writer = pare_graph_writer(g, g->nodes[i].inputs[j]);
            if (i == b->add || writer < 0 || !pare_branch_has(g, b, (uint32_t)writer))
                continue;
            pare_error_set(err, PARE_UNSUPPORTED,
                           "%s cannot be dropped: %s reads a value inside it", b->path,
                           g->nodes[i].path);
            pare_error_hint(err, "drop layers before merging tokens");
            return PARE_UNSUPPORTED;
        }
    }
    return PARE_OK;
}

static struct pare_node replacement(const struct pare_branch *b, uint8_t op, const char *word)
{
    struct pare_node node = {.op = op, .n_inputs = 1, .inputs = {b->stream}, .block = b->block};
    snprintf(node.path, sizeof node.path, "%.80s.%s", b->path, word);
    snprintf(node.role, sizeof node.role, "%s", word);
    return node;
}

static int insert_mean(struct pare_graph *g, const struct pare_branch *b, const float *mean,
                       struct pare_error *err)
{
    struct pare_node node = replacement(b, PARE_OP_ADD_VECTOR, "mean");
    int rc = pare_blob_copy(mean, g->values[b->stream].width, sizeof *mean, &node.a, err);
    if (rc == PARE_OK)
        rc = pare_graph_insert(g, b->add, &node, err);
    if (rc == PARE_OK)
        pare_graph_remove(g, b->add + 1, g->nodes[b->add].outputs[0]);
    return rc;
}

static int insert_map(struct pare_graph *g, const struct pare_branch *b, const float *mean,
                      const float *map, struct pare_error *err)
{
    struct pare_node node = replacement(b, PARE_OP_LINEAR, "map");
    uint32_t width = g->values[b->stream].width;
    int rc;
    PARE_TRY(pare_weight_new(width, width, map, &node.weight, err));
    PARE_TRY(pare_blob_copy(mean, width, sizeof *mean, &node.bias, err));
    rc = pare_graph_insert(g, b->add, &node, err);
    node = (struct pare_node){0};
    if (rc != PARE_OK)
        goto out;
    struct pare_node *add = &g->nodes[b->add + 1];
    for (uint32_t i = 0; i < add->n_inputs; i++) {
        if (add->inputs[i] == b->out)
            add->inputs[i] = g->nodes[b->add].outputs[0];
    }
out:
    pare_node_release(&node);
    return rc;
}

int pare_graph_drop_branch(struct pare_graph *g, const char *path, const float *mean,
                           const float *map, struct pare_error *err)
{
    struct pare_branch b;
    int rc;
    PARE_TRY(find_branch(g, path, &b, err));
    PARE_TRY(check_private(g, &b, err));
    if (g->values[b.stream].width != g->values[b.out].width) {
        rc =
            pare_error_set(err, PARE_UNSUPPORTED, "%s does not keep the width of its stream", path);
        goto out;
    }
    if (map)
        PARE_TRY(insert_map(g, &b, mean, map, err));
    else if (mean)
        PARE_TRY(insert_mean(g, &b, mean, err));
    else
        pare_graph_remove(g, b.add, b.stream);
    pare_graph_sweep(g);
    PARE_TRY(pare_graph_infer(g, err));
out:
    return rc;
}

/* ---- removing heads and channels
 * ----------------------------------------------------------------- */

static uint32_t count(const uint8_t *keep, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        kept += keep[i] != 0;
    return kept;
}

/* One mask entry per unit becomes `width` entries. */
static uint8_t *widen(const uint8_t *keep, uint32_t n, uint32_t width)
{
    uint8_t *mask = pare_alloc((size_t)n * width, 1);
    for (size_t i = 0; mask && i < (size_t)n * width; i++)
        mask[i] = keep[i / width];
    return mask;
}

static int select_rows(struct pare_node *node, const uint8_t *mask, struct pare_error *err)
{
    struct pare_weight *w = NULL;
    struct pare_blob *bias = NULL;
    uint32_t rows = node->weight->rows;
    int rc;
    PARE_TRY(pare_weight_select(node->weight, mask, NULL, &w, err));
    if (node->bias) {
        PARE_TRY(pare_blob_new(w->rows, sizeof(float), &bias, err));
        float *to = bias->data;
        for (uint32_t r = 0; r < rows; r++) {
            if (mask[r])
                *to++ = pare_blob_f32(node->bias)[r];
        }
        pare_blob_unref(node->bias);
        node->bias = bias;
        bias = NULL;
    }
    pare_weight_unref(node->weight);
    node->weight = w;
    w = NULL;
out:
    pare_weight_unref(w);
    pare_blob_unref(bias);
    return rc;
}

static int select_cols(struct pare_node *node, const uint8_t *mask, uint32_t kept,
                       const float *values, struct pare_error *err)
{
    struct pare_weight *w = NULL;
    int rc =
        pare_weight_select(node->weight, NULL, mask, &w, err); /* also refuses what is encoded */
    if (rc == PARE_OK && values) {
        uint32_t rows = w->rows;
        pare_weight_unref(w);
        rc = pare_weight_new(rows, kept, values, &w, err);
    }
    if (rc != PARE_OK)
        return rc;
    pare_weight_unref(node->weight);
    node->weight = w;
    return PARE_OK;
}

static int select_ids(struct pare_node *node, const uint8_t *keep, uint32_t n,
                      struct pare_error *err)
{
    struct pare_blob *ids = NULL;
    const uint32_t *old = node->ids ? node->ids->data : NULL;
    int rc = pare_blob_new(count(keep, n), sizeof(uint32_t), &ids, err);
    if (rc != PARE_OK)
        return rc;
    uint32_t *to = ids->data;
    for (uint32_t i = 0; i < n; i++) {
        if (keep[i])
            *to++ = old ? old[i] : i;
    }
    pare_blob_unref(node->ids);
    node->ids = ids;
    return PARE_OK;
}

static int check_keep(const struct pare_branch *b, const char *what, uint32_t have,
                      const uint8_t *keep, uint32_t n, struct pare_error *err)
{
    if (have == 0 || b->consumer < 0)
        return pare_error_set(err, PARE_UNSUPPORTED, "%s has no %s that could be removed", b->path,
                              what);
    if (n != have)
        return pare_error_set(err, PARE_INVALID, "%s has %u %s, %u were given", b->path, have, what,
                              n);
    if (count(keep, n) == 0) {
        pare_error_set(err, PARE_INVALID, "all %s of %s would go", what, b->path);
        pare_error_hint(err, "drop the branch with layer-drop instead");
        return PARE_INVALID;
    }
    return PARE_OK;
}

int pare_graph_keep_heads(struct pare_graph *g, const char *branch, const uint8_t *keep, uint32_t n,
                          const float *consumer, struct pare_error *err)
{
    struct pare_branch b;
    uint8_t *mask = NULL;
    int rc;
    PARE_TRY(find_branch(g, branch, &b, err));
    uint32_t heads = b.attention < 0 ? 0 : g->nodes[b.attention].heads;
    PARE_TRY(check_keep(&b, "heads", heads, keep, n, err));
    struct pare_node *mix = &g->nodes[b.attention];
    uint32_t out_width = 0;
    for (uint32_t i = 0; i < 3; i++) {
        int32_t at = pare_graph_writer(g, mix->inputs[i]);
        if (at < 0 || g->nodes[at].op != PARE_OP_LINEAR) {
            rc = pare_error_set(err, PARE_UNSUPPORTED, "the heads of %s do not come from linears",
                                branch);
            goto out;
        }
        out_width = g->nodes[at].weight->rows / heads;
        free(mask);
        mask = widen(keep, n, out_width);
        PARE_TRY(mask ? select_rows(&g->nodes[at], mask, err) : pare_error_nomem(err, n));
    }
    PARE_TRY(select_cols(&g->nodes[b.consumer], mask, count(keep, n) * out_width, consumer, err));
    PARE_TRY(select_ids(mix, keep, n, err));
    mix->heads = count(keep, n);
    PARE_TRY(pare_graph_infer(g, err));
out:
    free(mask);
    return rc;
}

int pare_graph_keep_channels(struct pare_graph *g, const char *branch, const uint8_t *keep,
                             uint32_t n, const float *consumer, struct pare_error *err)
{
    struct pare_branch b;
    int rc;
    PARE_TRY(find_branch(g, branch, &b, err));
    uint32_t channels = b.producer < 0 ? 0 : g->nodes[b.producer].weight->rows;
    PARE_TRY(check_keep(&b, "channels", channels, keep, n, err));
    PARE_TRY(select_rows(&g->nodes[b.producer], keep, err));
    PARE_TRY(select_cols(&g->nodes[b.consumer], keep, count(keep, n), consumer, err));
    PARE_TRY(select_ids(&g->nodes[b.producer], keep, n, err));
    PARE_TRY(pare_graph_infer(g, err));
out:
    return rc;
}

int32_t pare_graph_consumer(const struct pare_graph *g, const char *branch, unsigned kind)
{
    struct pare_branch b;
    if (!pare_branch_find(g, branch, &b))
        return -1;
    bool has = kind == PARE_UNIT_HEAD ? b.attention >= 0 : b.producer >= 0;
    return has ? b.consumer : -1;
}

/* ---- merging tokens
 * ------------------------------------------------------------------------------ */

/* Tokens that never merge away: those that the embedding put in front. */
static uint32_t protected_tokens(const struct pare_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op == PARE_OP_TOKENS)
            return g->nodes[i].prefix;
    }
    return 0;
}

static int find_stream(const struct pare_graph *g, const char *path, struct pare_branch *b,
                       struct pare_error *err)
{
    char name[PARE_PATH_MAX];
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (!pare_branch_at(g, i, b) || b->attention < 0)
            continue;
        snprintf(name, sizeof name, "layer.%d.stream", b->block);
        if (strcmp(name, path) == 0)
            return PARE_OK;
    }
    return pare_error_set(err, PARE_NOT_FOUND,
                          "tokens cannot be merged at %s: there is no such point", path);
}

/* Later operations see the merged stream and the sizes, up to the next merge, which takes them
 * over. */
static void pass_on(struct pare_graph *g, uint32_t at, uint32_t before)
{
    const uint32_t merged = g->nodes[at].outputs[0], sizes = g->nodes[at].outputs[1];
    bool passed = false;
    for (uint32_t i = at + 1; i < g->n_nodes; i++) {
        struct pare_node *node = &g->nodes[i];
        for (uint32_t j = 0; j < node->n_inputs; j++) {
            if (node->inputs[j] == before)
                node->inputs[j] = merged;
        }
        if (passed)
            continue;
        if (node->op == PARE_OP_ATTENTION) {
            node->inputs[3] = sizes;
            node->n_inputs = 4;
        } else if (node->op == PARE_OP_TOKEN_MERGE) {
            node->inputs[2] = sizes;
            node->n_inputs = 3;
            passed = true;
        }
    }
}

int pare_graph_merge_tokens(struct pare_graph *g, const char *stream, uint32_t r,
                            struct pare_error *err)
{
    struct pare_branch b;
    int rc;
    PARE_TRY(find_stream(g, stream, &b, err));
    uint32_t before = g->nodes[b.add].outputs[0];
    const struct pare_node *mix = &g->nodes[b.attention];
    struct pare_node node = {.op = PARE_OP_TOKEN_MERGE,
                             .n_inputs = 2,
                             .block = b.block,
                             .merge = r,
                             .inputs = {before, mix->inputs[1]},
                             .heads = mix->heads,
                             .prefix = protected_tokens(g)};
    snprintf(node.path, sizeof node.path, "layer.%d.merge", b.block);
    snprintf(node.role, sizeof node.role, "token_merge");
    if (mix->n_inputs == 4) { /* tokens have merged before */
        node.inputs[2] = mix->inputs[3];
        node.n_inputs = 3;
    }
    PARE_TRY(pare_graph_insert(g, b.add + 1, &node, err));
    pass_on(g, b.add + 1, before);
    PARE_TRY(pare_graph_infer(g, err));
out:
    return rc;
}
