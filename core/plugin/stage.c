/* SPDX-License-Identifier: Apache-2.0 */
/* One stage at work: allocate what is layer-wise, run the transform, look at what came out. */
#include "base/str.h"
#include "plugin/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- calls into plugins
 * -------------------------------------------------------------------------- */

static const struct pare_host *host_of(const struct pare_ctx *ctx)
{
    const struct pare_host *host = ctx->stage->env->host;
    return host ? host : &pare_host_table;
}

static int call_score(struct pare_ctx *ctx, void *user)
{
    (void)user;
    return ctx->plugin->desc.score(ctx, host_of(ctx));
}

static int call_allocate(struct pare_ctx *ctx, void *user)
{
    (void)user;
    return ctx->plugin->desc.allocate(ctx, host_of(ctx));
}

static int call_apply(struct pare_ctx *ctx, void *user)
{
    (void)user;
    return ctx->plugin->desc.apply(ctx, host_of(ctx));
}

static int call_apply_unit(struct pare_ctx *ctx, void *user)
{
    return ctx->plugin->desc.apply_unit(ctx, host_of(ctx), user);
}

static int call_check(struct pare_ctx *ctx, void *user)
{
    (void)user;
    return ctx->plugin->desc.check(ctx, host_of(ctx));
}

static int find_plugin(struct pare_stage *stage, const char *id, unsigned kind,
                       const struct pare_plugin_file **out, struct pare_error *err)
{
    int rc = pare_catalog_find(stage->env->catalog, id ? id : "", NULL, out, err);
    if (rc == PARE_OK && (*out)->desc.kind != kind)
        rc = pare_error_set(err, PARE_INVALID, "plugin '%s' is no %s", id,
                            kind == PARE_SCORE ? "score" : "allocator");
    return rc;
}

/* ---- scores
 * -------------------------------------------------------------------------------------- */

int pare_stage_run_score(struct pare_stage *stage, const char *id, const json_t *params,
                         unsigned kind, const struct pare_units *rows, double *values,
                         struct pare_error *err)
{
    const struct pare_plugin_file *plugin;
    struct pare_ctx ctx;
    int rc = find_plugin(stage, id, PARE_SCORE, &plugin, err);
    if (rc != PARE_OK)
        return rc;
    if (!(plugin->desc.unit_kind & kind))
        return pare_error_set(err, PARE_UNSUPPORTED, "score '%s' does not rate a %s", id,
                              pare_unit_kind_name(kind));
    pare_ctx_begin(&ctx, stage, plugin, params, err);
    ctx.row_kind = kind;
    ctx.rows = rows->n;
    ctx.columns = 1;
    ctx.table = values;
    for (size_t i = 0; i < rows->n; i++)
        values[i] = NAN;
    rc = pare_ctx_call(&ctx, "score", call_score, NULL);
    for (size_t i = 0; rc == PARE_OK && i < rows->n; i++) {
        if (isnan(values[i]))
            rc = pare_error_set(err, PARE_FAILED, "score '%s' left %s without a value", id,
                                rows->items[i].path);
        else if (plugin->desc.flags & PARE_HIGHER_IS_WORSE)
            values[i] = -values[i];
    }
    pare_ctx_end(&ctx);
    return rc;
}

/* ---- a stage's frame
 * ----------------------------------------------------------------------------- */

#define ALL_UNITS                                                                                  \
    (PARE_UNIT_LINEAR | PARE_UNIT_HEAD | PARE_UNIT_CHANNEL | PARE_UNIT_BRANCH | PARE_UNIT_BLOCK |  \
     PARE_UNIT_STREAM)

static int stage_begin(struct pare_stage *stage, struct pare_stage_env *env,
                       struct pare_graph *graph, const struct pare_step *step,
                       struct pare_error *err)
{
    int rc;
    *stage = (struct pare_stage){.env = env, .step = step, .graph = graph};
    PARE_TRY(pare_graph_copy(graph, &stage->entry, err));
    PARE_TRY(pare_graph_infer(stage->entry, err));
    PARE_TRY(pare_units_of(stage->entry, ALL_UNITS, &stage->entry_units, err));
out:
    return rc;
}

static void stage_end(struct pare_stage *stage)
{
    for (size_t i = 0; i < stage->n_assignments; i++) {
        free(stage->assignments[i].values);
        free(stage->assignments[i].scores);
        free(stage->assignments[i].units.items);
    }
    free(stage->assignments);
    free(stage->decisions);
    pare_reference_free(stage->stage_reference);
    pare_reference_free(stage->baseline_reference);
    pare_cosines_free(stage->cosines);
    pare_restart_free(stage->restart);
    pare_graph_free(stage->winner);
    pare_statistics_free(&stage->entry_stats);
    pare_statistics_free(&stage->now_stats);
    pare_units_free(&stage->entry_units);
    pare_graph_free(stage->entry);
}

/* Run the stage's transform on stage->graph, with the assignments as they are. */
static int run_transform(struct pare_stage *stage, struct pare_error *err)
{
    const struct pare_plugin *desc = &stage->step->plugin->desc;
    struct pare_stage_env *env = stage->env;
    struct pare_ctx ctx;
    int rc = PARE_OK;
    pare_ctx_begin(&ctx, stage, stage->step->plugin, stage->step->params, err);
    if (desc->apply) {
        PARE_TRY(pare_ctx_call(&ctx, "apply", call_apply, NULL));
        goto out;
    }
    const struct pare_units *units = pare_ctx_units(&ctx, desc->unit_kind);
    if (!units) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (size_t i = 0; i < units->n; i++) {
        if (env->cancelled && env->cancelled(env->user)) {
            rc = pare_error_set(err, PARE_CANCELLED, "interrupted");
            goto out;
        }
        PARE_TRY(pare_ctx_call(&ctx, "apply_unit", call_apply_unit,
                               (void *)(uintptr_t)&units->items[i]));
        if (env->progress)
            env->progress(env->user, (double)(i + 1) / (double)units->n);
    }
out:
    pare_ctx_end(&ctx);
    return rc;
}

/* ---- allocation
 * ---------------------------------------------------------------------------------- */

/* The selected units of a kind as the rows of an assignment. */
static int assignment_rows(struct pare_stage *stage, struct pare_assignment *a,
                           struct pare_error *err)
{
    struct pare_ctx ctx;
    pare_ctx_begin(&ctx, stage, stage->step->plugin, stage->step->params, err);
    const struct pare_units *units = pare_ctx_units(&ctx, a->kind);
    size_t n = units ? units->n : 0;
    a->units.items = pare_alloc(n, sizeof *a->units.items);
    a->values = pare_calloc(n, sizeof *a->values);
    a->scores = pare_calloc(n, sizeof *a->scores);
    bool fine = units && a->units.items && a->values && a->scores;
    if (fine && n)
        memcpy(a->units.items, units->items, n * sizeof *units->items);
    a->units.n = fine ? n : 0;
    pare_ctx_end(&ctx);
    return fine ? PARE_OK : pare_error_nomem(err, 0);
}

int pare_stage_trial(struct pare_ctx *ctx, const double *values, struct pare_graph **out)
{
    struct pare_stage *stage = ctx->stage, trial = *stage;
    struct pare_stage_env *env = stage->env;
    struct pare_graph *g = NULL;
    int rc;
    void (*progress)(void *, double) = env->progress;
    env->progress = NULL; /* the trial's own progress means nothing to the one who waits */
    trial.now_stats = (struct pare_statistics){0};
    trial.changes = 0;
    trial.decisions = NULL; /* what a trial settles is nobody's record */
    trial.n_decisions = trial.cap_decisions = 0;
    trial.assignments = pare_alloc(stage->n_assignments, sizeof *trial.assignments);
    if (!trial.assignments) {
        rc = pare_error_nomem(ctx->err, 0);
        goto out;
    }
    /* those decided before hold, the last one is being tried */
    memcpy(trial.assignments, stage->assignments, stage->n_assignments * sizeof *trial.assignments);
    trial.assignments[stage->n_assignments - 1].values = (double *)(uintptr_t)values;
    PARE_TRY(pare_graph_copy(stage->entry, &g, ctx->err));
    trial.graph = g;
    PARE_TRY(run_transform(&trial, ctx->err));
    PARE_TRY(pare_graph_infer(g, ctx->err));
    *out = g;
    g = NULL;
out:
    env->progress = progress;
    /* what was collected about the entry graph is the stage's, and serves the next trial */
    stage->entry_stats = trial.entry_stats;
    stage->cosines = trial.cosines;
    stage->restart = trial.restart;
    stage->stage_reference = trial.stage_reference;
    stage->baseline_reference = trial.baseline_reference;
    pare_statistics_free(&trial.now_stats);
    free(trial.assignments);
    free(trial.decisions);
    pare_graph_free(g);
    return pare_ctx_pass(ctx, rc);
}

/* The kind of unit that is allocated over: `per`, else the score's own, else what the parameter
 * varies over; of several, the smallest. */
static unsigned allocation_kind(struct pare_stage *stage, const json_t *setting,
                                const struct pare_param *param)
{
    const char *per = json_string_value(json_object_get(setting, "per"));
    const json_t *score = json_object_get(setting, "score");
    const struct pare_plugin_file *plugin;
    unsigned kinds = param->varies, wider = param->varies;
    /* a member inherits: a parameter of linears can be decided per branch or block */
    if (wider & (PARE_UNIT_LINEAR | PARE_UNIT_HEAD | PARE_UNIT_CHANNEL))
        wider |= PARE_UNIT_BRANCH;
    if (wider & (PARE_UNIT_BRANCH | PARE_UNIT_STREAM))
        wider |= PARE_UNIT_BLOCK;
    if (json_is_object(score) &&
        find_plugin(stage, json_string_value(json_object_get(score, "plugin")), PARE_SCORE, &plugin,
                    NULL) == PARE_OK)
        kinds = wider & plugin->desc.unit_kind;
    if (per)
        return wider & pare_unit_kind_from(per);
    return kinds & -kinds;
}

static int allocate(struct pare_stage *stage, const struct pare_param *param, const json_t *setting,
                    struct pare_error *err)
{
    const json_t *how = json_object_get(setting, "allocate"),
                 *score = json_object_get(setting, "score");
    const struct pare_plugin_file *plugin;
    struct pare_assignment *a = &stage->assignments[stage->n_assignments++];
    struct pare_ctx ctx;
    int rc;
    *a = (struct pare_assignment){.param = param->name,
                                  .kind = allocation_kind(stage, setting, param)};
    if (a->kind == 0)
        return pare_error_set(err, PARE_INVALID,
                              "'%s' does not vary over what 'per' or the score names", param->name);
    PARE_TRY(assignment_rows(stage, a, err));
    if (json_is_object(score)) {
        PARE_TRY(pare_stage_run_score(stage, json_string_value(json_object_get(score, "plugin")),
                                      json_object_get(score, "params"), a->kind, &a->units,
                                      a->scores, err));
    } else {
        free(a->scores);
        a->scores = NULL;
    }
    PARE_TRY(find_plugin(stage, json_string_value(json_object_get(how, "plugin")), PARE_ALLOCATE,
                         &plugin, err));
    pare_ctx_begin(&ctx, stage, plugin, json_object_get(how, "params"), err);
    ctx.scored = a;
    ctx.param = param;
    ctx.chosen = a->values;
    ctx.measures = true;
    for (size_t i = 0; i < a->units.n; i++)
        a->values[i] = NAN;
    rc = pare_ctx_call(&ctx, "allocate", call_allocate, NULL);
    pare_ctx_end(&ctx);
    for (size_t i = 0; rc == PARE_OK && i < a->units.n; i++) {
        if (isnan(a->values[i]))
            rc = pare_error_set(err, PARE_FAILED, "allocator '%s' left %s without a value",
                                plugin->desc.id, a->units.items[i].path);
    }
out:
    return rc;
}

static int allocate_all(struct pare_stage *stage, struct pare_error *err)
{
    const struct pare_plugin *desc = &stage->step->plugin->desc;
    int rc = PARE_OK;
    stage->assignments = pare_calloc(desc->n_params, sizeof *stage->assignments);
    if (!stage->assignments)
        return pare_error_nomem(err, 0);
    for (uint32_t i = 0; i < desc->n_params; i++) {
        const json_t *setting = json_object_get(stage->step->params, desc->params[i].name);
        if (json_is_object(setting) && json_object_get(setting, "allocate"))
            PARE_TRY(allocate(stage, &desc->params[i], setting, err));
    }
out:
    return rc;
}

/* ---- what came out
 * ------------------------------------------------------------------------------- */

/* The basis of a linear counts with it in the stage that makes it; later it is a unit of its own.
 */
static bool is_inside(const struct pare_stage *stage, const struct pare_node *node,
                      const struct pare_unit *u)
{
    size_t n = strlen(u->path);
    if (strncmp(node->path, u->path, n) != 0)
        return false;
    return node->path[n] == '\0' ||
           (node->path[n] == '.' &&
            (u->kind != PARE_UNIT_LINEAR || pare_graph_find(stage->entry, node->path) < 0));
}

/* Whether a node before this one, of those that units can be, holds the same weight: it is counted
 * once. */
static bool counted_before(const struct pare_graph *g, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        if (g->nodes[i].weight == g->nodes[at].weight && g->nodes[i].op != PARE_OP_EMBED)
            return true;
    }
    return false;
}

static void unit_cost(const struct pare_stage *stage, const struct pare_graph *g,
                      const struct pare_unit *u, uint64_t *bytes, uint64_t *macs)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (!is_inside(stage, node, u))
            continue;
        if (node->weight && !counted_before(g, i))
            *bytes += pare_weight_bytes(node->weight);
        *macs += pare_node_macs(g, node);
    }
}

static double score_of(const struct pare_stage *stage, const char *param, const struct pare_unit *u)
{
    const struct pare_assignment *a;
    size_t row;
    return pare_assignment_find(stage, param, u, &a, &row) && a->scores ? a->scores[row]
                                                                        : (double)NAN;
}

static void record_value(struct pare_stage *stage, const struct pare_unit *u, const char *name,
                         double value, double score)
{
    struct pare_unit_value v = {.stage = stage->step->stage,
                                .unit = u->path,
                                .role = u->role,
                                .name = name,
                                .value = value,
                                .score = score};
    unit_cost(stage, stage->entry, u, &v.bytes_before, &v.macs_before);
    unit_cost(stage, stage->graph, u, &v.bytes_after, &v.macs_after);
    stage->env->record(stage->env->user, &v);
}

/* Whether the transform settled that parameter itself, for the unit or for one that holds it. */
static bool is_decided(const struct pare_stage *stage, const struct pare_param *param,
                       const struct pare_unit *u)
{
    for (size_t i = 0; i < stage->n_decisions; i++) {
        const struct pare_decision *d = &stage->decisions[i];
        size_t n = strlen(d->unit->path);
        if (d->param == param && strncmp(d->unit->path, u->path, n) == 0 &&
            (u->path[n] == '\0' || u->path[n] == '.'))
            return true;
    }
    return false;
}

/* Report what the transform settled, and every number that varies over units, with what the unit
 * cost before and costs now. */
static int record(struct pare_stage *stage, struct pare_error *err)
{
    const struct pare_plugin *desc = &stage->step->plugin->desc;
    struct pare_ctx ctx;
    int rc = PARE_OK;
    if (!stage->env->record)
        return PARE_OK;
    pare_ctx_begin(&ctx, stage, stage->step->plugin, stage->step->params, err);
    for (size_t i = 0; i < stage->n_decisions; i++) {
        const struct pare_decision *d = &stage->decisions[i];
        record_value(stage, d->unit, d->param->name, d->value, d->score);
    }
    for (uint32_t p = 0; p < desc->n_params; p++) {
        const struct pare_param *param = &desc->params[p];
        unsigned kind = param->varies & -param->varies;
        if (kind == 0 || param->type > PARE_BOOL)
            continue;
        const struct pare_units *units = pare_ctx_units(&ctx, kind);
        if (!units) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
        for (size_t i = 0; i < units->n; i++) {
            const struct pare_unit *u = &units->items[i];
            double value;
            if (is_decided(stage, param, u))
                continue;
            PARE_TRY(pare_setting_number(&ctx, u, param->name, &value));
            record_value(stage, u, param->name, value, score_of(stage, param->name, u));
        }
    }
out:
    pare_ctx_end(&ctx);
    return rc;
}

/* Weights are checked when they are made; what else a plugin or a fit leaves behind, here. */
static int check_finite(const struct pare_graph *g, struct pare_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        const struct pare_blob *parts[] = {node->bias, node->a, node->b};
        for (size_t k = 0; k < PARE_COUNT(parts); k++) {
            size_t n = parts[k] ? parts[k]->size / sizeof(float) : 0;
            for (size_t j = 0; j < n; j++) {
                if (!isfinite(pare_blob_f32(parts[k])[j]))
                    return pare_error_set(err, PARE_FAILED, "%s holds a number that is not finite",
                                          node->path);
            }
        }
    }
    return PARE_OK;
}

int pare_stage_apply(struct pare_stage_env *env, struct pare_graph *graph,
                     const struct pare_step *step, struct pare_error *err)
{
    struct pare_stage stage;
    int rc;
    if (!pare_plugin_transforms(&step->plugin->desc))
        return pare_error_set(err, PARE_INVALID,
                              "plugin '%s' is no transform: it cannot be a stage",
                              step->plugin->desc.id);
    PARE_TRY(stage_begin(&stage, env, graph, step, err));
    PARE_TRY(allocate_all(&stage, err));
    PARE_TRY(run_transform(&stage, err));
    rc = pare_graph_infer(graph, err);
    if (rc == PARE_OK)
        rc = check_finite(graph, err);
    if (rc != PARE_OK) {
        pare_error_detail(err, "after plugin '%s', stage '%s'", step->plugin->desc.id, step->stage);
        goto out;
    }
    PARE_TRY(record(&stage, err));
out:
    stage_end(&stage);
    return rc;
}

int pare_stage_score(struct pare_stage_env *env, const struct pare_graph *graph, const char *plugin,
                     const json_t *params, unsigned kind, double *values, size_t n,
                     struct pare_error *err)
{
    struct pare_stage stage;
    struct pare_graph *copy = NULL;
    struct pare_units rows = {0};
    int rc;
    PARE_TRY(pare_graph_copy(graph, &copy, err));
    rc = stage_begin(&stage, env, copy, NULL, err);
    if (rc == PARE_OK)
        rc = pare_units_of(graph, kind, &rows, err);
    if (rc == PARE_OK && rows.n != n)
        rc = pare_error_set(err, PARE_INVALID, "there are %zu units, room was given for %zu",
                            rows.n, n);
    if (rc == PARE_OK)
        rc = pare_stage_run_score(&stage, plugin, params, kind, &rows, values, err);
    pare_units_free(&rows);
    stage_end(&stage);
    pare_graph_free(copy);
out:
    return rc;
}

int pare_stage_check(struct pare_catalog *catalog, const struct pare_units *model,
                     const struct pare_step *step, struct pare_error *err)
{
    struct pare_stage_env env = {.catalog = catalog, .threads = 1};
    struct pare_stage stage = {.env = &env, .step = step};
    if (model)
        stage.entry_units = *model; /* looked at only: it stays the caller's */
    struct pare_ctx ctx;
    if (!step->plugin->desc.check)
        return PARE_OK;
    pare_ctx_begin(&ctx, &stage, step->plugin, step->params, err);
    int rc = pare_ctx_call(&ctx, "check", call_check, NULL);
    pare_ctx_end(&ctx);
    return rc;
}
