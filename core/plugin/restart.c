/* SPDX-License-Identifier: Apache-2.0 */
/* Running altered copies of a stage's model from stored activations: what comes before the first
 * altered node is not computed again. */
#include "plugin/context.h"

#include <stdlib.h>
#include <string.h>

#define STORE_MAX ((size_t)512 << 20) /* bytes of stored activations */

/* A point before node `at` of the base graph where at most two values live (stream and sizes). */
struct point {
    uint32_t at;
    uint32_t values[2];
    uint32_t n;
    float *data[2]; /* env->n samples each */
};

struct pare_restart {
    struct pare_graph *base; /* whose activations these are: the entry graph, or what won since */
    struct point *points;    /* ascending */
    size_t n;
};

/* Forget all points from the n-th on. */
static void cut(struct pare_restart *r, size_t n)
{
    while (r->n > n) {
        r->n--;
        free(r->points[r->n].data[0]);
        free(r->points[r->n].data[1]);
    }
}

void pare_restart_free(struct pare_restart *r)
{
    if (!r)
        return;
    cut(r, 0);
    pare_graph_free(r->base);
    free(r->points);
    free(r);
}

uint32_t pare_hidden_value(const struct pare_graph *g)
{
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        if (g->nodes[i].op == PARE_OP_POOL || g->nodes[i].op == PARE_OP_ROWS)
            return g->nodes[i].outputs[0];
    }
    return g->output;
}

static size_t value_floats(const struct pare_graph *g, uint32_t value)
{
    return (size_t)g->values[value].tokens * g->values[value].width;
}

size_t pare_hidden_size(const struct pare_graph *g)
{
    return value_floats(g, pare_hidden_value(g));
}

static size_t point_floats(const struct pare_graph *g, const struct point *p)
{
    return value_floats(g, p->values[0]) + (p->n > 1 ? value_floats(g, p->values[1]) : 0);
}

struct store_tap {
    struct pare_restart *restart;
    size_t known;   /* points that are stored already */
    uint32_t first; /* sample of this run */
};

static int store_tap(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                     uint32_t tokens, uint32_t width)
{
    struct store_tap *t = user;
    (void)sizes;
    for (size_t p = t->known; p < t->restart->n; p++) {
        struct point *point = &t->restart->points[p];
        for (uint32_t i = 0; i < point->n; i++) {
            size_t per = (size_t)tokens * width;
            if (point->values[i] == value)
                memcpy(point->data[i] + t->first * per, data, n * per * sizeof *data);
        }
    }
    return PARE_OK;
}

/* Whether the base can be run from node `at` on, and what has to be stored for it. */
static bool point_at(const struct pare_graph *g, uint32_t at, uint32_t *live, struct point *p)
{
    uint32_t n = pare_graph_live(g, at, live);
    *p = (struct point){.at = at, .n = n};
    for (uint32_t k = 0; k < n && k < 2; k++) {
        if (live[k] == 0)
            return false; /* the input lives */
        p->values[k] = live[k];
    }
    return n == 1 || (n == 2 && (g->values[live[0]].width == 1 || g->values[live[1]].width == 1));
}

/* Choose points after those that are there, all or, evenly spaced, as many as fit. */
static int choose_points(const struct pare_stage *stage, struct pare_restart *r,
                         struct pare_error *err)
{
    const struct pare_graph *g = r->base;
    const size_t samples = stage->env->n * sizeof(float), known = r->n;
    const uint32_t from = r->n ? r->points[r->n - 1].at + 1 : 1;
    uint32_t *live = pare_alloc(g->n_values, sizeof *live);
    int32_t last = pare_graph_writer(g, pare_hidden_value(g)); /* every run has to compute it */
    size_t total = 0, wanted = 0, room;
    int rc = PARE_OK;
    struct point *points = pare_realloc(r->points, g->n_nodes, sizeof *r->points);
    r->points = points ? points : r->points;
    if (!live || !points) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (size_t p = 0; p < known; p++)
        total += point_floats(g, &points[p]) * samples;
    size_t n = known;
    for (uint32_t i = from; (int32_t)i <= last; i++) {
        if (point_at(g, i, live, &points[n]))
            wanted += point_floats(g, &points[n++]) * samples;
    }
    room = STORE_MAX - PARE_MIN(total, STORE_MAX);
    const size_t every = wanted > room ? wanted / PARE_MAX(room, (size_t)1) + 1 : 1;
    for (size_t i = known; i < n; i++) {
        struct point p = points[i];
        size_t bytes = point_floats(g, &p) * samples;
        if ((i - known + 1) % every || total + bytes > STORE_MAX)
            continue;
        total += bytes;
        points[r->n++] = p;
        for (uint32_t k = 0; k < p.n; k++) {
            points[r->n - 1].data[k] = pare_alloc(value_floats(g, p.values[k]), samples);
            if (!points[r->n - 1].data[k]) {
                rc = pare_error_nomem(err, bytes);
                goto out;
            }
        }
    }
out:
    free(live);
    return rc;
}

static bool same_blob(const struct pare_blob *a, const struct pare_blob *b)
{
    return a == b || (a && b && a->size == b->size && memcmp(a->data, b->data, a->size) == 0);
}

/* By content: a transform that runs again makes equal weights anew. */
static bool same_weight(const struct pare_weight *a, const struct pare_weight *b)
{
    return a == b ||
           (a && b && a->rows == b->rows && a->cols == b->cols && a->structure == b->structure &&
            a->n == b->n && a->m == b->m && a->values == b->values && a->bits == b->bits &&
            a->zero_kind == b->zero_kind && a->group == b->group && a->ggml == b->ggml &&
            a->encoding == b->encoding && same_blob(a->scales, b->scales) &&
            same_blob(a->zeros, b->zeros) && same_blob(a->index, b->index) &&
            same_blob(a->stored, b->stored));
}

static bool same_node(const struct pare_node *a, const struct pare_node *b)
{
    return a->op == b->op && a->n_inputs == b->n_inputs &&
           memcmp(a->inputs, b->inputs, a->n_inputs * sizeof *a->inputs) == 0 &&
           a->outputs[0] == b->outputs[0] && (a->n_outputs < 2 || a->outputs[1] == b->outputs[1]) &&
           same_weight(a->weight, b->weight) && same_blob(a->bias, b->bias) &&
           same_blob(a->a, b->a) && same_blob(a->b, b->b) &&
           a->activation_bits == b->activation_bits && a->activation_group == b->activation_group &&
           a->kernel == b->kernel && a->prefix == b->prefix && a->heads == b->heads &&
           a->kv_heads == b->kv_heads && a->causal == b->causal && a->window == b->window &&
           a->cache_bits == b->cache_bits && a->adjacent == b->adjacent && a->embed == b->embed &&
           a->activation == b->activation && a->token == b->token && a->merge == b->merge &&
           a->eps == b->eps && a->scale == b->scale;
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

/* Where a batch's inputs lie together, `per` floats a sample: in place, or gathered into `room`. */
static const float *gather(const struct pare_batch *b, const float *all, size_t per, float *room)
{
    if (!b->samples)
        return all + b->first * per;
    for (uint32_t i = 0; i < b->n; i++)
        memcpy(room + i * per, all + pare_batch_sample(b, i) * per, per * sizeof *room);
    return room;
}

/* `user` is the room for the hidden states of a batch. */
static int hidden_tap(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                      uint32_t tokens, uint32_t width)
{
    (void)value, (void)sizes;
    memcpy(user, data, (size_t)n * tokens * width * sizeof *data);
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

/* One batch from the point (NULL: from the inputs) to the end. `room` holds the outputs, and behind
 * them what is gathered for a batch. */
static int run_batch(const struct pare_stage *stage, struct pare_plan *plan, const struct point *p,
                     const struct pare_batch *b, float *room, struct pare_error *err)
{
    const struct pare_stage_env *env = stage->env;
    const struct pare_graph *g = stage->restart->base;
    struct pare_given given[2];
    float *at = room + b->n * pare_graph_outputs(g);
    int rc;
    PARE_TRY(pare_pass_go_on(env, err));
    for (uint32_t i = 0; p && i < p->n; i++) {
        size_t per = value_floats(g, p->values[i]);
        given[i] = (struct pare_given){p->values[i], gather(b, p->data[i], per, at)};
        at += b->n * per;
    }
    if (p)
        PARE_TRY(pare_plan_run_from(plan, p->at, given, p->n, b->n, room, err));
    else
        PARE_TRY(
            pare_plan_run(plan, gather(b, env->images, pare_graph_inputs(g), at), b->n, room, err));
out:
    return rc;
}

/* Room for what run_batch() writes and gathers; NULL: no memory. */
static float *batch_room(const struct pare_graph *g, const struct point *p, uint32_t batch)
{
    size_t per = p ? point_floats(g, p) : pare_graph_inputs(g);
    return pare_alloc(batch, (per + pare_graph_outputs(g)) * sizeof(float));
}

static int tap_points(struct pare_plan *plan, struct store_tap *t, struct pare_error *err)
{
    const struct pare_restart *r = t->restart;
    bool *tapped = pare_calloc(r->base->n_values, sizeof *tapped);
    int rc = tapped ? PARE_OK : pare_error_nomem(err, 0);
    for (size_t p = t->known; p < r->n && rc == PARE_OK; p++) {
        for (uint32_t i = 0; i < r->points[p].n && rc == PARE_OK; i++) {
            uint32_t value = r->points[p].values[i];
            if (!tapped[value])
                rc = pare_plan_tap(plan, value, store_tap, t, err);
            tapped[value] = true;
        }
    }
    free(tapped);
    return rc;
}

/* A value that lives at the point started from and at a later one is written by nobody on the way.
 */
static void copy_given(const struct pare_stage *stage, const struct point *from, struct point *to)
{
    for (uint32_t i = 0; i < to->n; i++) {
        for (uint32_t k = 0; k < from->n; k++) {
            if (to->values[i] == from->values[k])
                memcpy(to->data[i], from->data[k],
                       value_floats(stage->restart->base, to->values[i]) * stage->env->n *
                           sizeof(float));
        }
    }
}

/* Run the base from its last stored point on, and store what comes after. */
static int store_rest(struct pare_stage *stage, struct pare_error *err)
{
    struct pare_restart *r = stage->restart;
    struct pare_stage_env *env = stage->env;
    struct pare_plan *plan = NULL;
    struct store_tap t = {.restart = r, .known = r->n};
    struct pare_batch b = {0};
    const uint32_t batch = pare_pass_batch(r->base);
    float *room = NULL;
    int rc;
    PARE_TRY(pare_pass_new(env, r->base, &plan, err));
    PARE_TRY(choose_points(stage, r, err));
    PARE_TRY(tap_points(plan, &t, err));
    const struct point *p = t.known ? &r->points[t.known - 1] : NULL;
    room = batch_room(r->base, p, batch);
    if (!room) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    uint64_t macs = macs_from(r->base, p ? p->at : 0) * env->n;
    env->macs_stored += macs;
    env->macs_run += macs;
    for (; b.first < env->n; b.first += b.n) {
        b.n = PARE_MIN(env->n - b.first, batch);
        t.first = b.first;
        PARE_TRY(run_batch(stage, plan, p, &b, room, err));
    }
    for (size_t i = t.known; p && i < r->n; i++)
        copy_given(stage, p, &r->points[i]);
out:
    if (rc != PARE_OK)
        cut(r, t.known);
    free(room);
    pare_plan_free(plan);
    return rc;
}

int pare_restart_rebase(struct pare_stage *stage, const struct pare_graph *base,
                        struct pare_error *err)
{
    struct pare_restart *r = stage->restart;
    struct pare_graph *own = NULL;
    uint32_t *live = pare_alloc(base->n_values, sizeof *live), same = 0;
    size_t keep = 0;
    int rc = PARE_OK;
    if (!r)
        r = stage->restart = pare_calloc(1, sizeof *r);
    if (!r || !live) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_graph_copy(base, &own, err));
    same = r->base ? first_difference(r->base, base) : 0;
    while (keep < r->n && r->points[keep].at <= same && point_serves(base, &r->points[keep], live))
        keep++;
    cut(r, keep);
    pare_graph_free(r->base);
    r->base = own;
    PARE_TRY(store_rest(stage, err));
out:
    if (r && !r->base) { /* nothing to compare with */
        pare_restart_free(r);
        stage->restart = NULL;
    }
    free(live);
    return rc;
}

int pare_restart_run(struct pare_stage *stage, const struct pare_graph *altered,
                     const uint32_t *samples, uint32_t n, uint32_t spared, pare_batch_fn fn,
                     void *user, struct pare_error *err)
{
    struct pare_stage_env *env = stage->env;
    const uint32_t batch = pare_pass_batch(altered);
    struct pare_plan *plan = NULL;
    uint32_t *live = pare_alloc(altered->n_values, sizeof *live);
    float *room = NULL, *hidden = pare_alloc(batch, pare_hidden_size(altered) * sizeof *hidden);
    struct pare_batch b = {.samples = samples};
    int rc = PARE_OK;
    if (!live || !hidden) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    if (!stage->restart)
        PARE_TRY(pare_restart_rebase(stage, stage->entry, err));
    const struct pare_graph *base = stage->restart->base;
    if (pare_graph_outputs(altered) != pare_graph_outputs(base)) {
        rc = pare_error_set(err, PARE_UNSUPPORTED,
                            "the altered model has outputs of another shape: they cannot be "
                            "compared");
        goto out;
    }
    PARE_TRY(pare_pass_new(env, altered, &plan, err));
    const struct point *p = best_point(stage->restart, first_difference(base, altered));
    if (p && !point_serves(altered, p, live))
        p = NULL;
    PARE_TRY(pare_plan_tap(plan, pare_hidden_value(altered), hidden_tap, hidden, err));
    room = batch_room(base, p, batch);
    if (!room) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    uint64_t rest = macs_from(altered, p ? p->at : 0);
    env->macs_naive += macs_from(altered, 0) * ((uint64_t)n + spared);
    env->macs_stored += rest * ((uint64_t)n + spared);
    env->macs_run += rest * n;
    for (; b.first < n; b.first += b.n) {
        b.n = PARE_MIN(n - b.first, batch);
        PARE_TRY(run_batch(stage, plan, p, &b, room, err));
        b.outputs = room;
        b.hidden = hidden;
        PARE_TRY(fn(user, &b, err));
    }
out:
    free(live);
    free(room);
    free(hidden);
    pare_plan_free(plan);
    return rc;
}
