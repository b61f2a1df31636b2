/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring assignments, and finding the best of several without measuring each on all samples. */
#include "base/stat.h"
#include "plugin/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LOOK 32u   /* samples that every candidate runs; fewer tell little of a spread */
#define WRONG_SHARE 0.01 /* probability that the best of a comparison is stopped, at most */

/* ---- the rule
 * ----------------------------------------------------------------------------------- */

bool pare_race_beaten(const double *candidate, const double *leader, const uint32_t *seen,
                      uint32_t n, double level, double *scratch)
{
    for (uint32_t i = 0; i < n; i++)
        scratch[i] = candidate[seen[i]] - leader[seen[i]];
    return n > 1 && pare_stat_mean(scratch, n, level, NULL).lo > 0;
}

/* ---- running
 * ------------------------------------------------------------------------------------ */

/* Some samples of a trial's graph; `distances` (may be NULL) receives theirs. */
static int run_samples(struct pare_ctx *ctx, const struct pare_graph *g, const uint32_t *samples,
                       uint32_t n, uint32_t spared, double *distances, double *mean)
{
    return pare_ctx_pass(ctx, pare_distance(ctx->stage, g, PARE_DISTANCE_KL, PARE_REFERENCE_STAGE,
                                            samples, n, spared, distances, mean, ctx->err));
}

int pare_measure_one(struct pare_ctx *ctx, const double *values, double *distortion)
{
    struct pare_graph *g = NULL;
    int rc;
    PARE_TRY(pare_stage_trial(ctx, values, &g));
    PARE_TRY(run_samples(ctx, g, NULL, ctx->stage->env->n, 0, NULL, distortion));
out:
    pare_graph_free(g);
    return rc;
}

/* ---- the race
 * ----------------------------------------------------------------------------------- */

struct entrant {
    uint32_t index;
    double mean; /* over what was run */
    double *distances;
};

struct race {
    struct pare_ctx *ctx;
    const double *values;
    uint32_t n, samples, units;
    uint32_t *order;     /* samples, shuffled: a data set may be sorted */
    double level;        /* of each interval */
    double *scratch;     /* samples of them */
    double *distances;   /* n times samples */
    struct entrant *all; /* n of them, best first look first */
    const struct entrant *leader;
    struct pare_graph *winner; /* the leader's */
};

static int by_mean(const void *a, const void *b)
{
    const struct entrant *x = a, *y = b;
    if (x->mean != y->mean)
        return x->mean < y->mean ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int prepare(struct race *r)
{
    const struct pare_stage_env *env = r->ctx->stage->env;
    struct pare_random random;
    uint32_t looks = 1;
    r->samples = env->n;
    r->order = pare_alloc(r->samples, sizeof *r->order);
    r->scratch = pare_alloc(r->samples, sizeof *r->scratch);
    r->distances = pare_calloc(r->n, r->samples * sizeof *r->distances);
    r->all = pare_calloc(r->n, sizeof *r->all);
    if (!r->order || !r->scratch || !r->distances || !r->all)
        return pare_ctx_pass(r->ctx, pare_error_nomem(r->ctx->err, 0));
    pare_random_seed(&random, env->seed);
    for (uint32_t i = 0; i < r->samples; i++)
        r->order[i] = i;
    pare_random_shuffle(&random, r->order, r->samples);
    for (uint32_t seen = FIRST_LOOK; seen < r->samples; seen *= 2)
        looks++;
    r->level = 1 - WRONG_SHARE / ((double)r->n * looks); /* Bonferroni */
    for (uint32_t i = 0; i < r->n; i++)
        r->all[i] =
            (struct entrant){.index = i, .distances = r->distances + (size_t)i * r->samples};
    return PARE_OK;
}

/* Run samples [from, to) of the order. The mean is over the samples in their own order, so that it
 * is what pare_measure_one() says. */
static int run_look(struct race *r, struct entrant *e, const struct pare_graph *g, uint32_t from,
                    uint32_t to)
{
    double mean;
    int rc = run_samples(r->ctx, g, r->order + from, to - from, from ? 0 : r->samples - to,
                         e->distances, &mean);
    if (from == 0)
        e->mean = mean;
    if (rc != PARE_OK || to < r->samples)
        return rc;
    e->mean = 0;
    for (uint32_t i = 0; i < r->samples; i++)
        e->mean += e->distances[i];
    e->mean /= (double)r->samples;
    return PARE_OK;
}

static bool is_beaten(const struct race *r, const struct entrant *e, uint32_t seen)
{
    return r->leader && pare_race_beaten(e->distances, r->leader->distances, r->order, seen,
                                         r->level, r->scratch);
}

/* Run what is left of an entrant, looking at it after every doubling. */
static int run_rest(struct race *r, struct entrant *e, uint32_t seen)
{
    struct pare_graph *g = NULL;
    int rc = PARE_OK;
    if (is_beaten(r, e, seen))
        return PARE_OK;
    if (seen < r->samples)
        PARE_TRY(pare_stage_trial(r->ctx, r->values + (size_t)e->index * r->units, &g));
    for (uint32_t to; seen < r->samples; seen = to) {
        to = r->leader ? PARE_MIN(2 * seen, r->samples) : r->samples;
        PARE_TRY(run_look(r, e, g, seen, to));
        if (to < r->samples && is_beaten(r, e, to))
            goto out;
    }
    if (!r->leader || by_mean(e, r->leader) < 0) {
        r->leader = e;
        pare_graph_free(r->winner);
        r->winner = g;
        g = NULL;
    }
out:
    pare_graph_free(g);
    return rc;
}

int pare_measure_best(struct pare_ctx *ctx, const double *values, uint32_t n, uint32_t *best,
                      double *distortion)
{
    struct race r = {.ctx = ctx,
                     .values = values,
                     .n = n,
                     .units = ctx->scored ? (uint32_t)ctx->scored->units.n : 0};
    struct pare_graph *g = NULL;
    int rc;
    PARE_TRY(prepare(&r));
    if (ctx->stage->winner) { /* the next step of a search mostly goes on from the last */
        PARE_TRY(pare_ctx_pass(ctx, pare_restart_rebase(ctx->stage, ctx->stage->winner, ctx->err)));
        pare_graph_free(ctx->stage->winner);
        ctx->stage->winner = NULL;
    }
    uint32_t first = PARE_MIN(FIRST_LOOK, r.samples);
    for (uint32_t i = 0; i < n; i++) {
        PARE_TRY(pare_stage_trial(ctx, values + (size_t)i * r.units, &g));
        PARE_TRY(run_look(&r, &r.all[i], g, 0, first));
        pare_graph_free(g);
        g = NULL;
    }
    qsort(r.all, n, sizeof *r.all, by_mean);
    for (uint32_t i = 0; i < n; i++)
        PARE_TRY(run_rest(&r, &r.all[i], first));
    *best = r.leader->index;
    if (distortion)
        *distortion = r.leader->mean;
    if (!r.winner) /* the first look was all that there is */
        PARE_TRY(pare_stage_trial(ctx, values + (size_t)*best * r.units, &r.winner));
    ctx->stage->winner = r.winner;
    r.winner = NULL;
out:
    pare_graph_free(g);
    pare_graph_free(r.winner);
    free(r.order);
    free(r.scratch);
    free(r.distances);
    free(r.all);
    return rc;
}
