/* SPDX-License-Identifier: Apache-2.0 */
/* Services on the model: units, weights, surgery. */
#include "base/mem.h"
#include "model/branch.h"
#include "model/encoding.h"
#include "model/half.h"
#include "plugin/context.h"
#include "plugin/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- units
 * --------------------------------------------------------------------------------------- */

static uint32_t model_count(struct pare_ctx *ctx, uint32_t kind)
{
    const struct pare_units *u = pare_ctx_units(ctx, kind);
    return u ? (uint32_t)u->n : 0;
}

static const struct pare_unit *model_unit(struct pare_ctx *ctx, uint32_t kind, uint32_t index)
{
    const struct pare_units *u = pare_ctx_units(ctx, kind);
    return u && index < u->n ? &u->items[index] : NULL;
}

static const struct pare_unit *model_find(struct pare_ctx *ctx, uint32_t kind, const char *path)
{
    const struct pare_units *all = &ctx->stage->entry_units;
    for (size_t i = 0; path && i < all->n; i++) {
        if (all->items[i].kind == kind && strcmp(all->items[i].path, path) == 0)
            return &all->items[i];
    }
    return NULL;
}

static uint32_t model_blocks(struct pare_ctx *ctx)
{
    const struct pare_units *all = &ctx->stage->entry_units;
    uint32_t n = 0;
    if (ctx->stage->entry)
        return ctx->stage->entry->blocks;
    for (size_t i = 0; i < all->n; i++) /* of the units that `check` is shown */
        n = PARE_MAX(n, (uint32_t)(all->items[i].block + 1)); /* -1: in none */
    return n;
}

const struct pare_ext_model pare_service_model = {
    .struct_size = sizeof pare_service_model,
    .count = model_count,
    .unit = model_unit,
    .find = model_find,
    .blocks = model_blocks,
};

/* ---- weights
 * ------------------------------------------------------------------------------------- */

/* Scores and allocators look; only a transform changes. */
static int may_change(struct pare_ctx *ctx)
{
    if (pare_plugin_transforms(&ctx->plugin->desc))
        return PARE_OK;
    return pare_ctx_fail(ctx, PARE_INVALID,
                         "plugin '%s' is no transform: it may not change the model",
                         ctx->plugin->desc.id);
}

static int not_given(struct pare_ctx *ctx, const char *what)
{
    return pare_ctx_fail(ctx, PARE_INVALID, "plugin '%s' passes no %s", ctx->plugin->desc.id, what);
}

static bool is_product(const struct pare_graph *g, const char *path)
{
    int32_t at = pare_graph_find(g, path);
    return at >= 0 && pare_graph_basis(g, (uint32_t)at) >= 0;
}

int pare_ctx_fresh(struct pare_ctx *ctx, const struct pare_unit *linear)
{
    const struct pare_stage *stage = ctx->stage;
    if (!is_product(stage->graph, linear->path) || is_product(stage->entry, linear->path))
        return PARE_OK;
    return pare_ctx_fail(ctx, PARE_INVALID,
                         "%s became a product of two in this stage: what follows is for later ones",
                         linear->path);
}

/* The node of a linear in the model as it is now. */
static int node_of(struct pare_ctx *ctx, const struct pare_unit *unit, struct pare_node **out)
{
    struct pare_graph *g = ctx->stage->graph;
    int32_t at = unit && unit->kind == PARE_UNIT_LINEAR ? pare_graph_find(g, unit->path) : -1;
    if (at < 0 || (g->nodes[at].op != PARE_OP_LINEAR && g->nodes[at].op != PARE_OP_CONV2D))
        return pare_ctx_fail(ctx, PARE_INVALID, "%s is no linear of the model as it is now",
                             unit ? unit->path : "(none)");
    *out = &g->nodes[at];
    return pare_ctx_fresh(ctx, unit);
}

static int rows_fit(struct pare_ctx *ctx, const struct pare_node *node, uint32_t row, uint32_t n)
{
    if (row > node->weight->rows || n > node->weight->rows - row)
        return pare_ctx_fail(ctx, PARE_INVALID, "rows %u to %u are asked of %s, which has %u", row,
                             row + n, node->path, node->weight->rows);
    return PARE_OK;
}

static int weight_read(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t row, uint32_t n,
                       float *out)
{
    struct pare_node *node = NULL;
    int rc;
    PARE_TRY(node_of(ctx, unit, &node));
    PARE_TRY(rows_fit(ctx, node, row, n));
    pare_weight_decode(node->weight, row, n, out);
out:
    return rc;
}

static int weight_read_kept(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t row,
                            uint32_t n, uint8_t *out)
{
    struct pare_node *node = NULL;
    int rc;
    PARE_TRY(node_of(ctx, unit, &node));
    PARE_TRY(rows_fit(ctx, node, row, n));
    pare_weight_kept(node->weight, row, n, out);
out:
    return rc;
}

/* Put a new weight in place of a node's, and of all that share it; `rc` is what making it gave. */
static int replace(struct pare_ctx *ctx, struct pare_node *node, int rc, struct pare_weight *w)
{
    struct pare_graph *g = ctx->stage->graph;
    struct pare_weight *old = node->weight;
    if (rc != PARE_OK) {
        if (ctx->err && rc == PARE_INVALID)
            pare_error_detail(ctx->err, "set by plugin '%s' on %s", ctx->plugin->desc.id,
                              node->path);
        return pare_ctx_pass(ctx, rc);
    }
    pare_weight_ref(old); /* to compare with until all are done */
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].weight != old)
            continue;
        pare_weight_unref(old);
        g->nodes[i].weight = pare_weight_ref(w);
    }
    pare_weight_unref(old);
    pare_weight_unref(w);
    ctx->stage->changes++;
    return PARE_OK;
}

/* The node that a plugin is about to give a new weight. */
static int node_to_change(struct pare_ctx *ctx, const struct pare_unit *unit,
                          struct pare_node **out)
{
    int rc = may_change(ctx);
    return rc == PARE_OK ? node_of(ctx, unit, out) : rc;
}

static int weight_set_values(struct pare_ctx *ctx, const struct pare_unit *unit,
                             const float *values)
{
    struct pare_node *node = NULL;
    struct pare_weight *w = NULL;
    int rc = node_to_change(ctx, unit, &node);
    if (rc != PARE_OK)
        return rc;
    if (!values)
        return not_given(ctx, "values");
    rc = pare_weight_with_values(node->weight, values, &w, ctx->err);
    return replace(ctx, node, rc, w);
}

static int weight_set_integers(struct pare_ctx *ctx, const struct pare_unit *unit,
                               const struct pare_integers *integers)
{
    struct pare_node *node = NULL;
    struct pare_weight *w = NULL;
    int rc = node_to_change(ctx, unit, &node);
    if (rc != PARE_OK)
        return rc;
    if (!integers || !PARE_REACHES(integers, zeros) || !integers->codes || !integers->scales ||
        (integers->zero_kind != PARE_ZERO_NONE && !integers->zeros))
        return pare_ctx_fail(ctx, PARE_INVALID, "integers for %s lack codes, scales or zeros",
                             node->path);
    rc = pare_weight_with_integers(node->weight, integers, &w, ctx->err);
    return replace(ctx, node, rc, w);
}

static int weight_set_structure(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t n,
                                uint32_t m, const uint8_t *keep)
{
    struct pare_node *node = NULL;
    struct pare_weight *w = NULL;
    int rc = node_to_change(ctx, unit, &node);
    if (rc != PARE_OK)
        return rc;
    if (!keep)
        return not_given(ctx, "mask");
    rc = pare_weight_with_structure(node->weight, n, m, keep, &w, ctx->err);
    return replace(ctx, node, rc, w);
}

static int weight_read_bias(struct pare_ctx *ctx, const struct pare_unit *unit, float *out)
{
    struct pare_node *node = NULL;
    int rc = node_of(ctx, unit, &node);
    if (rc != PARE_OK)
        return rc;
    memset(out, 0, node->weight->rows * sizeof *out);
    if (node->bias)
        memcpy(out, node->bias->data, node->weight->rows * sizeof *out);
    return PARE_OK;
}

static int weight_set_bias(struct pare_ctx *ctx, const struct pare_unit *unit, const float *bias)
{
    struct pare_node *node = NULL;
    struct pare_blob *blob = NULL;
    int rc;
    PARE_TRY(node_to_change(ctx, unit, &node));
    if (!bias)
        return not_given(ctx, "bias");
    for (uint32_t r = 0; r < node->weight->rows; r++) {
        if (!isfinite(bias[r]))
            return pare_ctx_fail(ctx, PARE_INVALID, "plugin '%s' sets a bias of %s to %g",
                                 ctx->plugin->desc.id, node->path, (double)bias[r]);
    }
    PARE_TRY(pare_ctx_pass(
        ctx, pare_blob_copy(bias, node->weight->rows, sizeof *bias, &blob, ctx->err)));
    pare_blob_unref(node->bias);
    node->bias = blob;
    ctx->stage->changes++;
out:
    return rc;
}

static float weight_round_f16(float x)
{
    return pare_f16_to_f32(pare_f32_to_f16(x));
}

static int weight_set_activations(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t bits)
{
    struct pare_node *node = NULL;
    int rc = node_to_change(ctx, unit, &node);
    if (rc != PARE_OK)
        return rc;
    if (bits != 0 && bits != 8)
        return pare_ctx_fail(ctx, PARE_UNSUPPORTED,
                             "activations of %u bits: only 0 (f32) and 8 exist", bits);
    node->activation_bits = bits;
    node->activation_group = 0;
    ctx->stage->changes++;
    return PARE_OK;
}

static int weight_set_activation_group(struct pare_ctx *ctx, const struct pare_unit *unit,
                                       uint32_t columns)
{
    struct pare_node *node = NULL;
    int rc = node_to_change(ctx, unit, &node);
    if (rc != PARE_OK)
        return rc;
    if (columns != 0 && (columns != PARE_ACTIVATION_GROUP || node->op != PARE_OP_LINEAR))
        return pare_ctx_fail(
            ctx, PARE_UNSUPPORTED,
            "activations of %s with a scale per %u columns: only %u, and 0 (one per "
            "token), exist, of linears",
            node->path, columns, PARE_ACTIVATION_GROUP);
    node->activation_group = columns;
    ctx->stage->changes++;
    return PARE_OK;
}

/* 0 wherever the structure keeps nothing: what was pruned stays so. */
static int keeps_zeros(const struct pare_weight *old, const struct pare_weight *w,
                       struct pare_error *err)
{
    float *row = pare_alloc(w->cols, sizeof *row);
    uint8_t *kept = pare_alloc(w->cols, 1);
    int rc = row && kept ? PARE_OK : pare_error_nomem(err, w->cols * sizeof *row);
    for (uint32_t r = 0; rc == PARE_OK && old->structure != PARE_DENSE && r < w->rows; r++) {
        pare_weight_kept(old, r, 1, kept);
        pare_weight_decode(w, r, 1, row);
        for (uint32_t c = 0; rc == PARE_OK && c < w->cols; c++) {
            if (!kept[c] && row[c] != 0)
                rc = pare_error_set(err, PARE_INVALID,
                                    "row %u, column %u was pruned and would be %g", r, c,
                                    (double)row[c]);
        }
    }
    free(row);
    free(kept);
    return rc;
}

static int weight_set_encoded(struct pare_ctx *ctx, const struct pare_unit *unit,
                              const char *encoding, const void *data, uint64_t size)
{
    const struct pare_own_encoding *own;
    const struct pare_plugin_file *file;
    struct pare_node *node = NULL;
    struct pare_weight *w = NULL;
    struct pare_blob *blob = NULL;
    int rc = node_to_change(ctx, unit, &node);
    if (rc != PARE_OK)
        return rc;
    if (!data || size == 0 || size > SIZE_MAX)
        return not_given(ctx, "bytes");
    if (encoding)
        PARE_TRY(pare_catalog_find(ctx->stage->env->catalog, encoding, NULL, &file, ctx->err));
    PARE_TRY(pare_encoding_find(encoding ? encoding : ctx->plugin->desc.id, &own, ctx->err));
    PARE_TRY(pare_blob_copy(data, (size_t)size, 1, &blob, ctx->err));
    PARE_TRY(pare_weight_encoded(own, node->weight->rows, node->weight->cols, blob, &w, ctx->err));
    PARE_TRY(keeps_zeros(node->weight, w, ctx->err));
    node->activation_bits = node->activation_group = 0;
out:
    pare_blob_unref(blob);
    if (rc != PARE_OK) {
        pare_weight_unref(w);
        w = NULL;
    }
    return replace(ctx, node, rc, w);
}

const struct pare_ext_weight pare_service_weight = {
    .struct_size = sizeof pare_service_weight,
    .read = weight_read,
    .read_kept = weight_read_kept,
    .set_values = weight_set_values,
    .set_integers = weight_set_integers,
    .set_structure = weight_set_structure,
    .read_bias = weight_read_bias,
    .set_bias = weight_set_bias,
    .round_f16 = weight_round_f16,
    .set_activations = weight_set_activations,
    .set_activation_group = weight_set_activation_group,
    .set_encoded = weight_set_encoded,
};

/* ---- surgery
 * ------------------------------------------------------------------------------------- */

static int drop_branch(struct pare_ctx *ctx, const char *path, uint32_t replace_by)
{
    struct pare_stage *stage = ctx->stage;
    float *mean = NULL, *map = NULL;
    int rc = PARE_OK;
    if (replace_by != PARE_REPLACE_NOTHING)
        PARE_TRY(pare_fit_branch(stage, path, &mean,
                                 replace_by == PARE_REPLACE_LINEAR ? &map : NULL, ctx->err));
    PARE_TRY(pare_graph_drop_branch(stage->graph, path, mean, map, ctx->err));
    stage->changes++;
out:
    free(mean);
    free(map);
    return pare_ctx_pass(ctx, rc);
}

static int surgery_drop(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t replace_by)
{
    const struct pare_units *all = &ctx->stage->entry_units;
    int rc = may_change(ctx);
    if (rc != PARE_OK)
        return rc;
    if (!unit)
        return not_given(ctx, "unit");
    if (replace_by > PARE_REPLACE_LINEAR)
        return pare_ctx_fail(ctx, PARE_INVALID, "replacement %u is not known", replace_by);
    if (unit->kind == PARE_UNIT_BRANCH)
        return drop_branch(ctx, unit->path, replace_by);
    if (unit->kind != PARE_UNIT_BLOCK)
        return pare_ctx_fail(ctx, PARE_INVALID, "%s is neither branch nor block", unit->path);
    for (size_t i = 0; i < all->n && rc == PARE_OK; i++) {
        const struct pare_unit *b = &all->items[i];
        if (b->kind == PARE_UNIT_BRANCH && b->block == unit->block)
            rc = drop_branch(ctx, b->path, replace_by);
    }
    return rc;
}

static int surgery_keep(struct pare_ctx *ctx, uint32_t kind, const char *branch,
                        const uint8_t *keep, uint32_t n, uint32_t refit)
{
    struct pare_graph *g = ctx->stage->graph;
    float *consumer = NULL;
    int rc = may_change(ctx);
    if (rc != PARE_OK)
        return rc;
    if (!branch || !keep)
        return not_given(ctx, "branch or mask");
    if (kind != PARE_UNIT_HEAD && kind != PARE_UNIT_CHANNEL)
        return pare_ctx_fail(ctx, PARE_INVALID, "only heads and channels can be removed so");
    if (refit)
        PARE_TRY(pare_fit_consumer(ctx->stage, branch, kind, keep, n, &consumer, ctx->err));
    if (kind == PARE_UNIT_HEAD)
        PARE_TRY(pare_graph_keep_heads(g, branch, keep, n, consumer, ctx->err));
    else
        PARE_TRY(pare_graph_keep_channels(g, branch, keep, n, consumer, ctx->err));
    ctx->stage->changes++;
out:
    free(consumer);
    return pare_ctx_pass(ctx, rc);
}

static int surgery_merge(struct pare_ctx *ctx, const struct pare_unit *stream, uint32_t r)
{
    int rc = may_change(ctx);
    if (rc != PARE_OK)
        return rc;
    if (!stream)
        return not_given(ctx, "stream point");
    if (stream->kind != PARE_UNIT_STREAM)
        return pare_ctx_fail(ctx, PARE_INVALID, "%s is no point of the stream", stream->path);
    ctx->stage->changes++;
    return pare_ctx_pass(ctx,
                         pare_graph_merge_tokens(ctx->stage->graph, stream->path, r, ctx->err));
}

static int surgery_factorize(struct pare_ctx *ctx, const struct pare_unit *linear, uint32_t rank,
                             const float *left, const float *right)
{
    struct pare_node *node = NULL;
    int rc = node_to_change(ctx, linear, &node);
    if (rc != PARE_OK)
        return rc;
    if (!left || !right)
        return not_given(ctx, "factors");
    ctx->stage->changes++;
    return pare_ctx_pass(
        ctx, pare_graph_factorize(ctx->stage->graph, linear->path, rank, left, right, ctx->err));
}

static int surgery_cache_bits(struct pare_ctx *ctx, const struct pare_unit *branch, uint32_t bits)
{
    int rc = may_change(ctx);
    if (rc != PARE_OK)
        return rc;
    if (!branch)
        return not_given(ctx, "branch");
    if (branch->kind != PARE_UNIT_BRANCH)
        return pare_ctx_fail(ctx, PARE_INVALID, "%s is no branch", branch->path);
    ctx->stage->changes++;
    return pare_ctx_pass(ctx,
                         pare_graph_cache_bits(ctx->stage->graph, branch->path, bits, ctx->err));
}

const struct pare_ext_surgery pare_service_surgery = {
    .struct_size = sizeof pare_service_surgery,
    .drop = surgery_drop,
    .keep = surgery_keep,
    .merge_tokens = surgery_merge,
    .set_cache_bits = surgery_cache_bits,
    .factorize = surgery_factorize,
};
