/* SPDX-License-Identifier: Apache-2.0 */
/* Services on the calibration data: statistics and probes. */
#include "model/branch.h"
#include "plugin/context.h"
#include "plugin/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Statistics cost a pass: a plugin gets those that it declared, so that a plan can tell the cost.
 */
static int needs(struct pare_ctx *ctx, uint32_t need)
{
    static const struct {
        uint32_t need;
        const char *what, *flag;
    } all[] = {{PARE_NEEDS_DATA, "probes", "PARE_NEEDS_DATA"},
               {PARE_NEEDS_MOMENTS, "moments", "PARE_NEEDS_MOMENTS"},
               {PARE_NEEDS_GRAM, "Gram matrices", "PARE_NEEDS_GRAM"},
               {PARE_NEEDS_COSINE, "cosines", "PARE_NEEDS_COSINE"},
               {PARE_NEEDS_ACTIVITY, "activity", "PARE_NEEDS_ACTIVITY"}};
    size_t i = 0;
    if (ctx->plugin->desc.needs & need)
        return PARE_OK;
    while (all[i].need != need)
        i++;
    return pare_ctx_fail(ctx, PARE_INVALID, "plugin '%s' uses %s without declaring %s in 'needs'",
                         ctx->plugin->desc.id, all[i].what, all[i].flag);
}

/* ---- statistics
 * ---------------------------------------------------------------------------------- */

static uint64_t calibration_samples(struct pare_ctx *ctx)
{
    return ctx->stage->env->n;
}

static int calibration_moments(struct pare_ctx *ctx, const struct pare_unit *linear,
                               const double **mean, const double **mean_abs,
                               const double **mean_square, const double **max_abs)
{
    const struct pare_value_stats *s;
    int rc;
    PARE_TRY(needs(ctx, PARE_NEEDS_MOMENTS));
    PARE_TRY(pare_statistics_get(ctx, linear, false, &s));
    const double *const arrays[] = {s->mean, s->mean_abs, s->mean_square, s->max_abs};
    const double **const wanted[] = {mean, mean_abs, mean_square, max_abs};
    for (size_t i = 0; i < PARE_COUNT(arrays); i++) {
        if (wanted[i]) /* NULL: of no interest */
            *wanted[i] = arrays[i];
    }
out:
    return rc;
}

static int calibration_gram(struct pare_ctx *ctx, const struct pare_unit *linear,
                            const double **out)
{
    const struct pare_value_stats *s;
    int rc;
    PARE_TRY(needs(ctx, PARE_NEEDS_GRAM));
    PARE_TRY(pare_statistics_get(ctx, linear, true, &s));
    *out = s->gram;
out:
    return rc;
}

static int calibration_cosine(struct pare_ctx *ctx, const struct pare_unit *unit, double *out)
{
    int rc = needs(ctx, PARE_NEEDS_COSINE);
    if (rc == PARE_OK && !unit)
        rc = pare_ctx_fail(ctx, PARE_INVALID, "a cosine of no unit is asked for");
    return rc != PARE_OK ? rc
                         : pare_ctx_pass(ctx, pare_fit_cosine(ctx->stage, unit, out, ctx->err));
}

/* The consumer's input columns that a head or channel fills. */
static int columns_of(struct pare_ctx *ctx, const struct pare_graph *g,
                      const struct pare_unit *unit, int32_t *consumer, uint32_t *first, uint32_t *n)
{
    struct pare_branch b;
    bool head = unit && unit->kind == PARE_UNIT_HEAD;
    uint32_t count = 0;
    if (!unit)
        return pare_ctx_fail(ctx, PARE_INVALID, "the activity of no unit is asked for");
    if (!unit->within || (!head && unit->kind != PARE_UNIT_CHANNEL) ||
        !pare_branch_find(g, unit->within, &b) ||
        (count = pare_branch_units(g, &b, unit->kind)) == 0)
        return pare_ctx_fail(ctx, PARE_NOT_FOUND, "%s is no head or channel of the model",
                             unit->path);
    const char *dot = strrchr(unit->path, '.');
    uint32_t id = (uint32_t)strtoul(dot ? dot + 1 : "", NULL, 10), at = id;
    for (at = 0; at < count && pare_branch_unit_id(g, &b, unit->kind, at) != id;)
        at++;
    if (at == count)
        return pare_ctx_fail(ctx, PARE_NOT_FOUND, "%s is no head or channel of the model",
                             unit->path);
    *n = g->nodes[b.consumer].weight->cols / count;
    *first = at * *n;
    *consumer = b.consumer;
    return PARE_OK;
}

static int calibration_activity(struct pare_ctx *ctx, const struct pare_unit *unit, double *out)
{
    const struct pare_graph *g = ctx->stage->entry;
    const struct pare_value_stats *s;
    int32_t consumer = 0;
    uint32_t first = 0, n = 0;
    int rc;
    PARE_TRY(needs(ctx, PARE_NEEDS_ACTIVITY));
    PARE_TRY(columns_of(ctx, g, unit, &consumer, &first, &n));
    struct pare_unit linear = {.struct_size = sizeof linear,
                               .kind = PARE_UNIT_LINEAR,
                               .block = unit->block,
                               .path = g->nodes[consumer].path};
    PARE_TRY(pare_statistics_get(ctx, &linear, false, &s));
    *out = 0;
    for (uint32_t i = first; i < first + n; i++)
        *out += s->mean_square[i];
out:
    return rc;
}

const struct pare_ext_calibration pare_service_calibration = {
    .struct_size = sizeof pare_service_calibration,
    .samples = calibration_samples,
    .moments = calibration_moments,
    .gram = calibration_gram,
    .cosine = calibration_cosine,
    .activity = calibration_activity,
};

/* ---- probes
 * -------------------------------------------------------------------------------------- */

/* Multiply columns [first, first + n) of a linear by `factor`; with means, what is taken away of
 * the mean input comes back through the bias. */
static int scale_columns(struct pare_graph *g, int32_t at, uint32_t first, uint32_t n, float factor,
                         const double *means, struct pare_error *err)
{
    struct pare_node *node = &g->nodes[at];
    uint32_t rows = node->weight->rows, cols = node->weight->cols;
    struct pare_weight *w = NULL;
    struct pare_blob *bias = NULL;
    float *values = pare_alloc((size_t)rows * cols, sizeof *values);
    int rc = PARE_OK;
    if (!values) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    pare_weight_decode(node->weight, 0, rows, values);
    PARE_TRY(pare_blob_new(rows, sizeof(float), &bias, err));
    if (node->bias)
        memcpy(bias->data, node->bias->data, node->bias->size);
    for (uint32_t r = 0; r < rows; r++) {
        double lost = 0;
        for (uint32_t c = first; c < first + n; c++) {
            float *x = &values[(size_t)r * cols + c];
            lost += means ? (double)*x * means[c] : 0;
            *x *= factor;
        }
        pare_blob_f32(bias)[r] += (float)lost;
    }
    PARE_TRY(pare_weight_new(rows, cols, values, &w, err));
    pare_weight_unref(node->weight);
    node->weight = w;
    pare_blob_unref(node->bias);
    node->bias = bias;
    bias = NULL;
out:
    free(values);
    pare_blob_unref(bias);
    return rc;
}

static int alter_columns(struct pare_ctx *ctx, struct pare_graph *g, const struct pare_alter *a)
{
    const struct pare_value_stats *s = NULL;
    int32_t at = 0;
    uint32_t first = 0, n = 0;
    int rc;
    PARE_TRY(columns_of(ctx, g, a->unit, &at, &first, &n));
    if (a->what == PARE_ALTER_MEAN) {
        struct pare_unit linear = {.struct_size = sizeof linear,
                                   .kind = PARE_UNIT_LINEAR,
                                   .block = a->unit->block,
                                   .path = g->nodes[at].path};
        PARE_TRY(pare_statistics_get(ctx, &linear, false, &s));
    }
    PARE_TRY(pare_ctx_pass(ctx, scale_columns(g, at, first, n,
                                              a->what == PARE_ALTER_SCALE ? (float)a->factor : 0,
                                              s ? s->mean : NULL, ctx->err)));
out:
    return rc;
}

/* A linear's whole output: scaled, dropped (zero), or its mean, which is the mean input through it.
 */
static int alter_linear(struct pare_ctx *ctx, struct pare_graph *g, const struct pare_alter *a)
{
    const struct pare_value_stats *s = NULL;
    int32_t at = pare_graph_find(g, a->unit->path);
    int rc;
    if (at < 0 || (g->nodes[at].op != PARE_OP_LINEAR && g->nodes[at].op != PARE_OP_CONV2D))
        return pare_ctx_fail(ctx, PARE_NOT_FOUND, "%s is no linear of the model", a->unit->path);
    if (a->what == PARE_ALTER_MEAN)
        PARE_TRY(pare_statistics_get(ctx, a->unit, false, &s));
    float factor = a->what == PARE_ALTER_SCALE ? (float)a->factor : 0;
    PARE_TRY(pare_ctx_pass(ctx, scale_columns(g, at, 0, g->nodes[at].weight->cols, factor,
                                              s ? s->mean : NULL, ctx->err)));
    for (uint32_t r = 0; a->what != PARE_ALTER_MEAN && r < g->nodes[at].weight->rows; r++)
        pare_blob_f32(g->nodes[at].bias)[r] *= factor;
out:
    return rc;
}

static int alter_branch(struct pare_ctx *ctx, struct pare_graph *g, const struct pare_alter *a,
                        const char *path)
{
    struct pare_branch b;
    float *mean = NULL;
    int rc = PARE_OK;
    if (a->what == PARE_ALTER_SCALE) {
        struct pare_unit unit = {
            .struct_size = sizeof unit, .kind = PARE_UNIT_LINEAR, .block = a->unit->block};
        if (!pare_branch_find(g, path, &b) || b.last < 0)
            return pare_ctx_fail(ctx, PARE_UNSUPPORTED,
                                 "%s does not end in a linear: it cannot be scaled", path);
        unit.path = g->nodes[b.last].path;
        struct pare_alter scaled = *a;
        scaled.unit = &unit;
        return alter_linear(ctx, g, &scaled);
    }
    if (a->what == PARE_ALTER_MEAN)
        PARE_TRY(pare_fit_branch(ctx->stage, path, &mean, NULL, ctx->err));
    PARE_TRY(pare_graph_drop_branch(g, path, mean, NULL, ctx->err));
out:
    free(mean);
    return pare_ctx_pass(ctx, rc);
}

static int alter(struct pare_ctx *ctx, struct pare_graph *g, const struct pare_alter *a)
{
    const struct pare_units *all = &ctx->stage->entry_units;
    int rc = PARE_OK;
    if (!PARE_REACHES(a, factor) || !a->unit || a->what < PARE_ALTER_DROP ||
        a->what > PARE_ALTER_SCALE || (a->what == PARE_ALTER_SCALE && !isfinite(a->factor)))
        return pare_ctx_fail(ctx, PARE_INVALID, "an alteration is not well formed");
    switch (a->unit->kind) {
    case PARE_UNIT_LINEAR:
        return alter_linear(ctx, g, a);
    case PARE_UNIT_HEAD:
    case PARE_UNIT_CHANNEL:
        return alter_columns(ctx, g, a);
    case PARE_UNIT_BRANCH:
        return alter_branch(ctx, g, a, a->unit->path);
    case PARE_UNIT_BLOCK:
        for (size_t i = 0; i < all->n && rc == PARE_OK; i++) {
            if (all->items[i].kind == PARE_UNIT_BRANCH && all->items[i].block == a->unit->block)
                rc = alter_branch(ctx, g, a, all->items[i].path);
        }
        return rc;
    default:
        return pare_ctx_fail(ctx, PARE_INVALID, "%s cannot be altered", a->unit->path);
    }
}

static int probe_run(struct pare_ctx *ctx, const struct pare_alter *alters, uint32_t n,
                     uint32_t distance, uint32_t reference, double *mean, double *per_sample)
{
    struct pare_stage *stage = ctx->stage;
    const struct pare_graph *entry = stage->entry;
    struct pare_graph *g = NULL;
    int rc;
    PARE_TRY(needs(ctx, PARE_NEEDS_DATA));
    if (reference > PARE_REFERENCE_BASELINE || !mean || (n && !alters))
        return pare_ctx_fail(ctx, PARE_INVALID, "a probe is not well formed");
    PARE_TRY(pare_ctx_pass(ctx, pare_graph_copy(entry, &g, ctx->err)));
    for (uint32_t i = 0; i < n; i++) { /* elements are as long as the plugin's header says */
        const char *at = (const char *)alters + (size_t)i * alters->struct_size;
        PARE_TRY(alter(ctx, g, (const struct pare_alter *)(const void *)at));
    }
    PARE_TRY(pare_ctx_pass(ctx, pare_graph_infer(g, ctx->err)));
    PARE_TRY(pare_ctx_pass(ctx, pare_distance(stage, g, distance, reference, NULL, stage->env->n, 0,
                                              per_sample, mean, ctx->err)));
out:
    pare_graph_free(g);
    return rc;
}

const struct pare_ext_probe pare_service_probe = {
    .struct_size = sizeof pare_service_probe,
    .run = probe_run,
};
