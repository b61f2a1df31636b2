/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of the calibration samples: one pass of the engine with taps on what is asked for. */
#include "plugin/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_AT_ONCE 16u /* of a Gram matrix: while a row is at hand */

void pare_statistics_free(struct pare_statistics *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->values[i].mean); /* one allocation holds them all but gram */
        free(s->values[i].gram);
    }
    free(s->values);
    *s = (struct pare_statistics){0};
}

static int prepare(struct pare_value_stats *v, uint32_t value, uint32_t width, bool gram,
                   struct pare_error *err)
{
    *v = (struct pare_value_stats){.value = value, .width = width};
    v->mean = pare_calloc((size_t)width * (4 + (gram ? TOKENS_AT_ONCE : 0)), sizeof *v->mean);
    v->gram = gram ? pare_calloc((size_t)width * width, sizeof *v->gram) : NULL;
    if (!v->mean || (gram && !v->gram))
        return pare_error_nomem(err, (size_t)width * width * sizeof *v->gram);
    v->mean_abs = v->mean + width;
    v->mean_square = v->mean_abs + width;
    v->max_abs = v->mean_square + width;
    v->tokens = v->max_abs + width;
    return PARE_OK;
}

/* The lower triangle of the sum of size * x x'. Every element adds up token by token, whichever
 * thread does it. */
static void add_outers(struct pare_value_stats *v, const float *data, const float *sizes,
                       size_t tokens, int threads)
{
    const size_t width = v->width;
    for (size_t from = 0; from < tokens; from += TOKENS_AT_ONCE) {
        const size_t n = PARE_MIN(tokens - from, (size_t)TOKENS_AT_ONCE);
        for (size_t i = 0; i < n * width; i++)
            v->tokens[i] = (double)data[from * width + i];
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16) if (threads > 1)
        for (size_t i = 0; i < width; i++) {
            double *row = v->gram + i * width;
            for (size_t t = 0; t < n; t++) {
                const double *x = v->tokens + t * width;
                const double a = (sizes ? (double)sizes[from + t] : 1.0) * x[i];
#pragma omp simd
                for (size_t j = 0; j <= i; j++)
                    row[j] += a * x[j];
            }
        }
    }
}

/* Add one token; `size` source tokens stand behind it. Sums run in f64 in the order of the samples,
 * so the result does not depend on batch or threads. */
static void add_token(struct pare_value_stats *v, const float *x, double size)
{
    for (uint32_t i = 0; i < v->width; i++) {
        double a = (double)x[i];
        v->mean[i] += size * a;
        v->mean_abs[i] += size * fabs(a);
        v->mean_square[i] += size * a * a;
        v->max_abs[i] = fmax(v->max_abs[i], fabs(a));
    }
    v->weight += size;
}

struct collector {
    struct pare_statistics *stats;
    int threads;
};

static int tap(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
               uint32_t tokens, uint32_t width)
{
    const struct collector *c = user;
    const size_t all = (size_t)n * tokens;
    for (size_t i = 0; i < c->stats->n; i++) {
        struct pare_value_stats *v = &c->stats->values[i];
        if (v->value != value)
            continue;
        for (size_t t = 0; t < all; t++)
            add_token(v, data + t * width, sizes ? (double)sizes[t] : 1.0);
        if (v->gram)
            add_outers(v, data, sizes, all, c->threads);
    }
    return PARE_OK;
}

static void finish(struct pare_value_stats *v)
{
    double scale = v->weight > 0 ? 1 / v->weight : 0;
    for (uint32_t i = 0; i < v->width * 3; i++)
        v->mean[i] *= scale; /* mean, mean_abs, mean_square lie together */
    for (uint32_t i = 0; v->gram && i < v->width; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            double x = v->gram[(size_t)i * v->width + j] * scale;
            v->gram[(size_t)i * v->width + j] = v->gram[(size_t)j * v->width + i] = x;
        }
    }
}

int pare_statistics_collect(struct pare_stage *stage, const struct pare_graph *graph,
                            const uint32_t *values, size_t n, bool gram,
                            struct pare_statistics *out, struct pare_error *err)
{
    struct pare_plan *plan = NULL;
    struct pare_statistics s = {0};
    struct collector c = {.stats = &s, .threads = (int)PARE_MAX(1u, stage->env->threads)};
    uint32_t first;
    int rc;
    PARE_TRY(pare_pass_new(stage->env, graph, &plan, err));
    s.values = pare_calloc(n, sizeof *s.values);
    if (!s.values) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (; s.n < n; s.n++) {
        PARE_TRY(prepare(&s.values[s.n], values[s.n], graph->values[values[s.n]].width, gram, err));
        PARE_TRY(pare_plan_tap(plan, values[s.n], tap, &c, err));
    }
    PARE_TRY(pare_pass_run(stage->env, graph, plan, &first, err));
    for (size_t i = 0; i < s.n; i++)
        finish(&s.values[i]);
    *out = s;
    s = (struct pare_statistics){0};
out:
    pare_statistics_free(&s);
    pare_plan_free(plan);
    return rc;
}

static const struct pare_value_stats *find(const struct pare_statistics *s, uint32_t value,
                                           bool gram)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->values[i].value == value && (!gram || s->values[i].gram))
            return &s->values[i];
    }
    return NULL;
}

/* The values to collect together: the inputs of all linears of the unit's block (Gram matrices take
 * room), or of the whole model. */
static size_t wanted_values(const struct pare_graph *g, const struct pare_unit *unit, bool gram,
                            uint32_t *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (node->op != PARE_OP_LINEAR || (gram && node->block != unit->block))
            continue;
        bool known = false;
        for (size_t k = 0; k < n; k++)
            known = known || out[k] == node->inputs[0];
        if (!known)
            out[n++] = node->inputs[0];
    }
    return n;
}

int pare_statistics_get(struct pare_ctx *ctx, const struct pare_unit *linear, bool gram,
                        const struct pare_value_stats **out)
{
    struct pare_stage *stage = ctx->stage;
    bool now = stage->step && stage->step->compressed && stage->changes > 0;
    const struct pare_graph *graph = now ? stage->graph : stage->entry;
    struct pare_statistics *s = now ? &stage->now_stats : &stage->entry_stats;
    if (!linear)
        return pare_ctx_fail(ctx, PARE_INVALID, "statistics of no linear are asked for");
    int32_t at = pare_graph_find(graph, linear->path);
    uint32_t *values = NULL, one;
    size_t n = 1;
    int rc = PARE_OK;
    if (at < 0 || graph->nodes[at].op != PARE_OP_LINEAR) {
        if (at >= 0 && graph->nodes[at].op == PARE_OP_CONV2D)
            return pare_ctx_fail(ctx, PARE_UNSUPPORTED,
                                 "%s reads the image: it has no input statistics", linear->path);
        return pare_ctx_fail(ctx, PARE_NOT_FOUND, "%s is no linear of the model any more",
                             linear->path);
    }
    if (now && (rc = pare_ctx_fresh(ctx, linear)) != PARE_OK)
        return rc;
    one = graph->nodes[at].inputs[0];
    /* the inputs of linears that ran before the last change are still right: only what is behind
     * changes, and the host drives units in execution order */
    if (now && stage->now_stats_at != stage->changes && !find(s, one, gram))
        pare_statistics_free(s);
    *out = find(s, one, gram);
    if (*out)
        return PARE_OK;
    if (now) {
        values = &one;
    } else {
        values = pare_alloc(graph->n_nodes, sizeof *values);
        if (!values)
            return pare_ctx_fail(ctx, PARE_NOMEM, "out of memory");
        n = wanted_values(graph, linear, gram, values);
    }
    pare_statistics_free(s);
    rc = pare_statistics_collect(stage, graph, values, n, gram, s, ctx->err);
    if (values != &one)
        free(values);
    if (rc != PARE_OK) {
        ctx->reported = true;
        return rc;
    }
    stage->now_stats_at = stage->changes;
    *out = find(s, one, gram);
    return PARE_OK;
}
