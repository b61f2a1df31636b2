/* SPDX-License-Identifier: Apache-2.0 */
/* Services for scores and allocators, and the small ones: parallel loops and random numbers. */
#include "plugin/context.h"

#include <math.h>

/* ---- parallel, random
 * ---------------------------------------------------------------------------- */

static int parallel_run(struct pare_ctx *ctx, size_t n, int (*body)(void *, size_t), void *user)
{
    int threads = (int)PARE_MAX(1u, ctx->stage->env->threads), rc = 0;
    if (threads == 1) {
        for (size_t i = 0; i < n && rc == 0; i++)
            rc = body(user, i);
        return rc;
    }
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (size_t i = 0; i < n; i++) {
        int stop, mine;
#pragma omp atomic read
        stop = rc;
        if (stop)
            continue;
        mine = body(user, i);
        if (mine) {
#pragma omp atomic write
            rc = mine;
        }
    }
    return rc;
}

const struct pare_ext_parallel pare_service_parallel = {
    .struct_size = sizeof pare_service_parallel,
    .run = parallel_run,
};

static double random_unit(struct pare_ctx *ctx)
{
    return pare_random_unit(&ctx->random);
}

static double random_normal(struct pare_ctx *ctx)
{
    return pare_random_normal(&ctx->random);
}

static uint64_t random_below(struct pare_ctx *ctx, uint64_t n)
{
    return n ? pare_random_below(&ctx->random, n) : 0;
}

const struct pare_ext_random pare_service_random = {
    .struct_size = sizeof pare_service_random,
    .unit = random_unit,
    .normal = random_normal,
    .below = random_below,
};

/* ---- scores, as a transform asks for them
 * -------------------------------------------------------- */

static int scored_importance(struct pare_ctx *ctx, const char *param, uint32_t kind,
                             const double **out)
{
    const struct pare_param *p = pare_plugin_param(&ctx->plugin->desc, param);
    const json_t *j = json_object_get(ctx->params, param);
    const struct pare_units *rows = pare_ctx_units(ctx, kind);
    if (!p || p->type != PARE_SCORED || !json_is_object(j))
        return pare_ctx_fail(ctx, PARE_INVALID, "'%s' names no score", param);
    double *values = rows ? pare_pool_alloc(&ctx->scratch, rows->n, sizeof *values) : NULL;
    if (!values)
        return pare_ctx_fail(ctx, PARE_NOMEM, "out of memory");
    int rc = pare_stage_run_score(ctx->stage, json_string_value(json_object_get(j, "plugin")),
                                  json_object_get(j, "params"), kind, rows, values, ctx->err);
    ctx->reported = ctx->reported || rc != PARE_OK;
    *out = values;
    return rc;
}

const struct pare_ext_scored pare_service_scored = {
    .struct_size = sizeof pare_service_scored,
    .importance = scored_importance,
};

/* ---- the table that a score fills
 * ---------------------------------------------------------------- */

static uint32_t table_unit_kind(struct pare_ctx *ctx)
{
    return ctx->row_kind;
}

static uint32_t table_rows(struct pare_ctx *ctx)
{
    return (uint32_t)ctx->rows;
}

static uint32_t table_columns(struct pare_ctx *ctx)
{
    return ctx->columns;
}

static double table_column_value(struct pare_ctx *ctx, uint32_t column)
{
    return ctx->column_values && column < ctx->columns ? ctx->column_values[column] : (double)NAN;
}

static int table_set(struct pare_ctx *ctx, uint32_t row, uint32_t column, double value)
{
    if (!ctx->table || row >= ctx->rows || column >= ctx->columns)
        return pare_ctx_fail(ctx, PARE_INVALID,
                             "score '%s' sets row %u, column %u of a table of %zu x %u",
                             ctx->plugin->desc.id, row, column, ctx->rows, ctx->columns);
    if (!isfinite(value))
        return pare_ctx_fail(ctx, PARE_FAILED, "score '%s' gives row %u a value that is not finite",
                             ctx->plugin->desc.id, row);
    ctx->table[(size_t)row * ctx->columns + column] = value;
    return PARE_OK;
}

const struct pare_ext_table pare_service_table = {
    .struct_size = sizeof pare_service_table,
    .unit_kind = table_unit_kind,
    .rows = table_rows,
    .columns = table_columns,
    .column_value = table_column_value,
    .set = table_set,
};

/* ---- the choice that an allocator makes
 * ---------------------------------------------------------- */

static uint32_t allocation_units(struct pare_ctx *ctx)
{
    return ctx->scored ? (uint32_t)ctx->scored->units.n : 0;
}

static const struct pare_unit *allocation_unit(struct pare_ctx *ctx, uint32_t row)
{
    return ctx->scored && row < ctx->scored->units.n ? &ctx->scored->units.items[row] : NULL;
}

static double allocation_importance(struct pare_ctx *ctx, uint32_t row)
{
    const struct pare_assignment *a = ctx->scored;
    return a && a->scores && row < a->units.n ? a->scores[row] : 0;
}

static double allocation_parameters(struct pare_ctx *ctx, uint32_t row)
{
    const struct pare_unit *u = allocation_unit(ctx, row);
    return u ? (double)u->parameters : 0;
}

static int allocation_range(struct pare_ctx *ctx, double *min, double *max, uint32_t *integer)
{
    if (!ctx->param)
        return pare_ctx_fail(ctx, PARE_INVALID, "nothing is being allocated");
    bool open = ctx->param->min > ctx->param->max, flag = ctx->param->type == PARE_BOOL;
    *min = flag ? 0 : open ? -(double)INFINITY : ctx->param->min;
    *max = flag ? 1 : open ? (double)INFINITY : ctx->param->max;
    *integer = ctx->param->type != PARE_REAL;
    return PARE_OK;
}

/* Whether the parameter that is being allocated can have that value. */
static int check_option(struct pare_ctx *ctx, double value)
{
    double min = 0, max = 0;
    uint32_t integer = 0;
    int rc = allocation_range(ctx, &min, &max, &integer);
    if (rc == PARE_OK && (!isfinite(value) || value < min || value > max ||
                          (integer && (value != rint(value) || fabs(value) > 0x1p53))))
        rc = pare_ctx_fail(ctx, PARE_INVALID,
                           "allocator '%s' chooses %g for '%s', which takes %s from %g to %g",
                           ctx->plugin->desc.id, value, ctx->param->name,
                           integer ? "a whole number" : "a number", min, max);
    return rc;
}

static int allocation_choose(struct pare_ctx *ctx, uint32_t row, double value)
{
    int rc = check_option(ctx, value);
    if (rc != PARE_OK)
        return rc;
    if (row >= allocation_units(ctx))
        return pare_ctx_fail(ctx, PARE_INVALID, "allocator '%s' chooses for row %u of %u",
                             ctx->plugin->desc.id, row, allocation_units(ctx));
    ctx->chosen[row] = value;
    return PARE_OK;
}

static int check_assignment(struct pare_ctx *ctx, const double *values)
{
    int rc = PARE_OK;
    if (!ctx->measures)
        return pare_ctx_fail(ctx, PARE_INVALID, "there is nothing to measure here");
    for (uint32_t i = 0; i < allocation_units(ctx) && rc == PARE_OK; i++)
        rc = check_option(ctx, values[i]);
    return rc;
}

static int allocation_measure(struct pare_ctx *ctx, const double *values, double *distortion)
{
    int rc = check_assignment(ctx, values);
    return rc == PARE_OK ? pare_measure_one(ctx, values, distortion) : rc;
}

static int allocation_best(struct pare_ctx *ctx, const double *values, uint32_t n, uint32_t *best,
                           double *distortion)
{
    int rc = PARE_OK;
    if (n == 0)
        return pare_ctx_fail(ctx, PARE_INVALID, "the best of no assignments is asked for");
    for (uint32_t i = 0; i < n && rc == PARE_OK; i++)
        rc = check_assignment(ctx, values + (size_t)i * allocation_units(ctx));
    return rc == PARE_OK ? pare_measure_best(ctx, values, n, best, distortion) : rc;
}

const struct pare_ext_allocation pare_service_allocation = {
    .struct_size = sizeof pare_service_allocation,
    .units = allocation_units,
    .unit = allocation_unit,
    .importance = allocation_importance,
    .parameters = allocation_parameters,
    .range = allocation_range,
    .choose = allocation_choose,
    .measure = allocation_measure,
    .best = allocation_best,
};
