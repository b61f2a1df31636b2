/* SPDX-License-Identifier: Apache-2.0 */
/* Running altered copies of a stage's model from stored activations: what comes before the first
 * altered node is not computed again. */
#include "plugin/context.h"

#include <stdlib.h>
#include <string.h>

#define STORE_MAX ((size_t)512 << 20) /* bytes of stored activations */

/* A point before node `at` of the entry graph where at most two values live (stream and sizes). */
struct point {
    uint32_t at;
    uint32_t values[2];
    uint32_t n;
    float *data[2]; /* env->n samples each */
};

struct pare_restart {
    struct point *points; /* ascending */
    size_t n;
};

void pare_restart_free(struct pare_restart *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        free(r->points[i].data[0]);
        free(r->points[i].data[1]);
    }
    free(r->points);
    free(r);
}

/* The pooled token that the head reads: the last hidden state. */
static uint32_t hidden_value(const struct pare_graph *g)
{
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        if (g->nodes[i].op == PARE_OP_POOL)
            return g->nodes[i].outputs[0];
    }
    return g->output;
}

size_t pare_hidden_size(const struct pare_graph *g)
{
    return g->values[hidden_value(g)].width;
}

static size_t value_floats(const struct pare_graph *g, uint32_t value)
{
    return (size_t)g->values[value].tokens * g->values[value].width;
}

struct store_tap {
    struct pare_restart *restart;
    const struct pare_graph *graph;
    uint32_t first; /* sample of this run */
};

static int store_tap(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                     uint32_t tokens, uint32_t width)
{
    struct store_tap *t = user;
    (void)sizes;
    for (size_t p = 0; p < t->restart->n; p++) {
        struct point *point = &t->restart->points[p];
        for (uint32_t i = 0; i < point->n; i++) {
            size_t per = (size_t)tokens * width;
            if (point->values[i] == value)
                memcpy(point->data[i] + t->first * per, data, n * per * sizeof *data);
        }
    }
    return PARE_OK;
}

/* Choose the points, as many as fit. */
static int choose_points(const struct pare_stage *stage, struct pare_restart *r,
                         struct pare_error *err)
{
    const struct pare_graph *g = stage->entry;
    uint32_t *live = pare_alloc(g->n_values, sizeof *live);
    int32_t last = pare_graph_writer(g, hidden_value(g)); /* every run has to compute it */
    size_t total = 0;
    int rc = PARE_OK;
    r->points = pare_calloc(g->n_nodes, sizeof *r->points);
    if (!live || !r->points) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (uint32_t i = 1; (int32_t)i <= last; i++) {
        uint32_t n = pare_graph_live(g, i, live);
        bool image = false;
        size_t floats = 0;
        for (uint32_t k = 0; k < n && k < 2; k++) {
            image = image || live[k] == 0;
            floats += value_floats(g, live[k]);
        }
        if (n == 0 || n > 2 || image ||
            (n == 2 && g->values[live[0]].width != 1 && g->values[live[1]].width != 1))
            continue;
        size_t bytes = floats * stage->env->n * sizeof(float);
        if (total + bytes > STORE_MAX)
            continue;
        total += bytes;
        struct point *p = &r->points[r->n++];
        *p = (struct point){.at = i, .n = n};
        for (uint32_t k = 0; k < n; k++) {
            p->values[k] = live[k];
            p->data[k] = pare_alloc(value_floats(g, live[k]) * stage->env->n, sizeof(float));
            if (!p->data[k]) {
                rc = pare_error_nomem(err, bytes);
                goto out;
            }
        }
    }
out:
    free(live);
    return rc;
}

static int store(struct pare_stage *stage, struct pare_error *err)
{
    const struct pare_graph *g = stage->entry;
    struct pare_restart *r = calloc(1, sizeof *r);
    struct pare_plan *plan = NULL;
    struct store_tap t = {.restart = r, .graph = g};
    bool *tapped = pare_calloc(g->n_values, sizeof *tapped);
    int rc;
    if (!r || !tapped) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(choose_points(stage, r, err));
    PARE_TRY(pare_pass_new(stage->env, g, &plan, err));
    for (size_t p = 0; p < r->n; p++) {
        for (uint32_t i = 0; i < r->points[p].n; i++) {
            uint32_t value = r->points[p].values[i];
            if (!tapped[value])
                PARE_TRY(pare_plan_tap(plan, value, store_tap, &t, err));
            tapped[value] = true;
        }
    }
    PARE_TRY(pare_pass_run(stage->env, g, plan, &t.first, err));
    stage->restart = r;
    r = NULL;
out:
    pare_restart_free(r);
    pare_plan_free(plan);
    free(tapped);
    return rc;
}

static bool same_node(const struct pare_node *a, const struct pare_node *b)
{
    return a->op == b->op && a->n_inputs == b->n_inputs &&
           memcmp(a->inputs, b->inputs, a->n_inputs * sizeof *a->inputs) == 0 &&
           a->outputs[0] == b->outputs[0] && (a->n_outputs < 2 || a->outputs[1] == b->outputs[1]) &&
           a->weight == b->weight && a->bias == b->bias && a->a == b->a && a->b == b->b &&
           a->activation_bits == b->activation_bits && a->kernel == b->kernel &&
           a->prefix == b->prefix && a->heads == b->heads && a->activation == b->activation &&
           a->token == b->token && a->merge == b->merge && a->eps == b->eps && a->scale == b->scale;
}

/* The first node at which the two graphs differ. */
static uint32_t first_difference(const struct pare_graph *a, const struct pare_graph *b)
{
    uint32_t n = PARE_MIN(a->n_nodes, b->n_nodes);
    for (uint32_t i = 0; i < n; i++) {
        if (!same_node(&a->nodes[i], &b->nodes[i]))
            return i;
    }
    return n;
}

static const struct point *best_point(const struct pare_restart *r, uint32_t at)
{
    const struct point *best = NULL;
    for (size_t i = 0; i < r->n && r->points[i].at <= at; i++)
        best = &r->points[i];
    return best;
}

struct hidden_tap {
    float *out;
    size_t width;
    uint32_t first;
};

static int hidden_tap(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                      uint32_t tokens, uint32_t width)
{
    struct hidden_tap *t = user;
    (void)value, (void)sizes, (void)tokens;
    memcpy(t->out + t->first * t->width, data, (size_t)n * width * sizeof *data);
    return PARE_OK;
}

/* Nodes of the stored prefix are the same in both graphs, but an altered graph may read a stored
 * value less, or another one: all that lives at the point must be stored. */
static bool point_serves(const struct pare_graph *altered, const struct point *p, uint32_t *live)
{
    uint32_t n = pare_graph_live(altered, p->at, live);
    for (uint32_t i = 0; i < n; i++) {
        if (live[i] != p->values[0] && !(p->n == 2 && live[i] == p->values[1]))
            return false;
    }
    return true;
}

static uint64_t macs_from(const struct pare_graph *g, uint32_t first)
{
    uint64_t total = 0;
    for (uint32_t i = first; i < g->n_nodes; i++)
        total += pare_node_macs(g, &g->nodes[i]);
    return total;
}

int pare_restart_run(struct pare_stage *stage, const struct pare_graph *altered, float *out,
                     float *hidden, struct pare_error *err)
{
    struct pare_stage_env *env = stage->env;
    struct pare_plan *plan = NULL;
    uint32_t *live = pare_alloc(altered->n_values, sizeof *live);
    size_t pixels = (size_t)altered->channels * altered->height * altered->width;
    size_t classes = altered->values[altered->output].width;
    struct hidden_tap t = {.out = hidden, .width = pare_hidden_size(altered)};
    int rc = PARE_OK;
    if (!live) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_pass_new(env, altered, &plan, err));
    if (!stage->restart)
        PARE_TRY(store(stage, err));
    const struct point *p = best_point(stage->restart, first_difference(stage->entry, altered));
    if (p && !point_serves(altered, p, live))
        p = NULL;
    if (hidden)
        PARE_TRY(pare_plan_tap(plan, hidden_value(altered), hidden_tap, &t, err));
    env->macs_naive += macs_from(altered, 0) * env->n;
    env->macs_run += macs_from(altered, p ? p->at : 0) * env->n;
    for (t.first = 0; t.first < env->n; t.first += PARE_PASS_BATCH) {
        uint32_t n = PARE_MIN(env->n - t.first, (uint32_t)PARE_PASS_BATCH), n_given = 0;
        struct pare_given given[2];
        PARE_TRY(pare_pass_go_on(env, err));
        for (uint32_t i = 0; p && i < p->n; i++)
            given[n_given++] = (struct pare_given){
                p->values[i], p->data[i] + t.first * value_floats(stage->entry, p->values[i])};
        float *to = out + t.first * classes;
        if (p)
            PARE_TRY(pare_plan_run_from(plan, p->at, given, n_given, n, to, err));
        else
            PARE_TRY(pare_plan_run(plan, env->images + t.first * pixels, n, to, err));
    }
out:
    free(live);
    pare_plan_free(plan);
    return rc;
}
