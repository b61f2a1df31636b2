/* SPDX-License-Identifier: Apache-2.0 */
#include "select/front_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "select/dominance.h"

const char *pare_front_status_name(enum pare_front_status status)
{
    static const char *const names[] = {
        [PARE_FRONT_SURE] = "sure",
        [PARE_FRONT_FRONT] = "front",
        [PARE_FRONT_MAYBE] = "maybe",
        [PARE_FRONT_OUT] = "out",
        [PARE_FRONT_INFEASIBLE] = "infeasible",
        [PARE_FRONT_UNMEASURED] = "unmeasured",
    };
    return names[status];
}

double pare_front_limit(const struct pare_front_bound *bound, double baseline)
{
    switch (bound->kind) {
    case PARE_LIMIT_BASELINE_PLUS:
        return baseline + bound->number;
    case PARE_LIMIT_BASELINE_TIMES:
        return baseline * bound->number;
    case PARE_LIMIT_ABSOLUTE:
        break;
    }
    return bound->number;
}

double pare_front_room(const struct pare_front_bound *bound, double limit, double value)
{
    return bound->direction > 0 ? value - limit : limit - value;
}

bool pare__metric_used(const struct pare_front_input *in, size_t metric)
{
    bool used = in->metrics[metric].objective;
    for (size_t c = 0; c < in->n_bounds; c++)
        used |= in->bounds[c].metric == metric;
    return used;
}

static int invalid(struct pare_error *err, const char *what)
{
    return pare_error_set(err, PARE_INVALID, "no front: %s", what);
}

static int check_rounds(const struct pare_front_input *in, const struct pare_front_metric *m,
                        struct pare_error *err)
{
    for (size_t s = 0; s < m->n_sessions; s++) {
        for (size_t r = 0; r < m->sessions[s].n_rounds; r++) {
            double ns = m->sessions[s].baseline[r]; /* NaN: the round counts for nobody */
            if (ns <= 0 || isinf(ns))
                return invalid(err, "a round's time is not positive");
        }
    }
    for (size_t i = 0; i < in->n; i++) {
        if (m->session[i] == SIZE_MAX || !m->round ||
            !m->round[i]) /* none, or they were not needed */
            continue;
        if (m->session[i] >= m->n_sessions)
            return invalid(err, "a variant's session is not there");
        for (size_t r = 0; r < m->sessions[m->session[i]].n_rounds; r++) {
            if (m->round[i][r] <= 0 || isinf(m->round[i][r]))
                return invalid(err, "a round's time is not positive");
        }
    }
    return PARE_OK;
}

int pare__front_check(const struct pare_front_input *in, struct pare_error *err)
{
    size_t objectives = 0;
    int rc = PARE_OK;
    for (size_t m = 0; m < in->n_metrics; m++) {
        const struct pare_front_metric *metric = &in->metrics[m];
        objectives += metric->objective;
        if (metric->kind == PARE_FIGURE_SAMPLES && metric->n_samples > UINT32_MAX)
            return invalid(err, "too many samples");
        if (metric->kind == PARE_FIGURE_ROUNDS)
            PARE_TRY(check_rounds(in, metric, err));
    }
    if (objectives == 0)
        return invalid(err, "there is no objective");
    if (in->baseline >= in->n)
        return invalid(err, "there is no baseline");
    for (size_t c = 0; c < in->n_bounds; c++) {
        if (in->bounds[c].metric >= in->n_metrics)
            return invalid(err, "a constraint is on no metric");
    }
out:
    return rc;
}

/* ---- the whole ---- */

static struct pare_front_item blank(void)
{
    return (struct pare_front_item){.rank = SIZE_MAX,
                                    .rival = SIZE_MAX,
                                    .folded = SIZE_MAX,
                                    .missing = SIZE_MAX,
                                    .settle_metric = SIZE_MAX,
                                    .p_front = (double)NAN,
                                    .p_feasible = (double)NAN,
                                    .knee = (double)NAN};
}

static int make_room(struct pare_front *out, size_t n, size_t width, struct pare_error *err)
{
    size_t cells;
    *out = (struct pare_front){.n = n,
                               .n_metrics = width,
                               .knee = SIZE_MAX,
                               .limiting = SIZE_MAX,
                               .nearest_miss = SIZE_MAX};
    if (!pare_mul_size(n, width, &cells))
        return pare_error_nomem(err, 0);
    out->items = pare_calloc(n, sizeof *out->items);
    out->point = pare_alloc(cells, sizeof *out->point);
    out->order = pare_alloc(n, sizeof *out->order);
    if (!out->items || !out->point || !out->order)
        return pare_error_nomem(err, cells * sizeof *out->point);
    for (size_t i = 0; i < n; i++)
        out->items[i] = blank();
    return PARE_OK;
}

/* The input of some of the variants, in order. Arrays come from the pool. */
static int gather(const struct pare_front_input *in, const size_t *index, size_t n,
                  struct pare_pool *pool, struct pare_front_input *out, struct pare_error *err)
{
    struct pare_front_metric *metrics = pare_pool_alloc(pool, in->n_metrics, sizeof *metrics);
    if (!metrics)
        return pare_error_nomem(err, 0);
    *out = *in;
    out->n = n;
    out->metrics = metrics;
    out->settled = NULL;
    for (size_t i = 0; i < n; i++) {
        if (index[i] == in->baseline)
            out->baseline = i;
    }
    for (size_t k = 0; k < in->n_metrics; k++) {
        const struct pare_front_metric *m = &in->metrics[k];
        double *value = pare_pool_alloc(pool, n, sizeof *value);
        double *sem = pare_pool_alloc(pool, n, sizeof *sem);
        const float **sample = pare_pool_alloc(pool, n, sizeof *sample);
        size_t *session = pare_pool_alloc(pool, n, sizeof *session);
        const double **rounds = pare_pool_alloc(pool, n, sizeof *rounds);
        struct pare_front_summary *summary = pare_pool_alloc(pool, n, sizeof *summary);
        if (!value || !sem || !sample || !session || !rounds || !summary)
            return pare_error_nomem(err, 0);
        for (size_t i = 0; i < n; i++) {
            size_t at = index[i];
            if (m->value)
                value[i] = m->value[at];
            if (m->sem)
                sem[i] = m->sem[at];
            if (m->sample)
                sample[i] = m->sample[at];
            if (m->session)
                session[i] = m->session[at];
            if (m->round)
                rounds[i] = m->round[at];
            if (m->summary)
                summary[i] = m->summary[at];
        }
        metrics[k] = *m;
        metrics[k].value = m->value ? value : NULL;
        metrics[k].sem = m->sem ? sem : NULL;
        metrics[k].sample = m->sample ? sample : NULL;
        metrics[k].session = m->session ? session : NULL;
        metrics[k].round = m->round ? rounds : NULL;
        metrics[k].summary = m->summary ? summary : NULL;
    }
    return PARE_OK;
}

/* Point estimates of some variants, to their places in `point`. */
static int find_points(const struct pare_front_input *some, const size_t *index, double *point,
                       struct pare_error *err)
{
    struct pare_draw *draw = NULL;
    double *value = pare_alloc(some->n * some->n_metrics, sizeof *value);
    int rc = value ? pare__draw_new(some, &draw, err) : pare_error_nomem(err, 0);
    if (rc == PARE_OK) {
        pare__draw_point(draw, value);
        for (size_t i = 0; i < some->n; i++)
            memcpy(point + index[i] * some->n_metrics, value + i * some->n_metrics,
                   some->n_metrics * sizeof *value);
    }
    pare__draw_free(draw);
    free(value);
    return rc;
}

/* What lacks a figure that an objective or a bound needs takes no part. */
static void find_unmeasured(const struct pare_front_input *in, struct pare_front *out)
{
    for (size_t i = 0; i < in->n; i++) {
        struct pare_front_item *item = &out->items[i];
        const double *point = out->point + i * in->n_metrics;
        *item = blank();
        for (size_t m = 0; m < in->n_metrics && item->missing == SIZE_MAX; m++) {
            if (pare__metric_used(in, m) && !isfinite(point[m]))
                item->missing = m;
        }
        if (item->missing != SIZE_MAX)
            item->status = PARE_FRONT_UNMEASURED;
        for (size_t c = 0; item->missing == SIZE_MAX && c < in->n_bounds; c++) {
            const struct pare_front_bound *b = &in->bounds[c];
            double limit =
                pare_front_limit(b, out->point[in->baseline * in->n_metrics + b->metric]);
            double room = pare_front_room(b, limit, point[b->metric]);
            if (room < 0)
                item->shortfall += -room / fmax(fabs(limit), 1e-12);
        }
    }
}

struct whole {
    const struct pare_front_input *in;
    struct pare_front *out;
    struct pare_error *err;
    struct pare_pool pool;
    struct pare_summaries summaries;
    size_t *rival;  /* [n]: who settles it; SIZE_MAX: nobody */
    size_t *index;  /* [n]: variants that are looked at closely, in order */
    size_t *of_few; /* [n]: rivals among those */
    bool *flag;     /* [n]: of those, which are open */
    double *x;      /* [n][k] */
    size_t k;
};

static void oriented(const struct whole *w, const size_t *index, size_t n)
{
    size_t width = w->in->n_metrics;
    for (size_t i = 0; i < n; i++) {
        size_t c = i * w->k;
        for (size_t m = 0; m < width; m++) {
            if (w->in->metrics[m].objective)
                w->x[c++] = -w->in->metrics[m].direction * w->out->point[index[i] * width + m];
        }
    }
}

/* It has all figures, and nothing settles it. */
static bool is_open(const struct whole *w, size_t i)
{
    return w->rival[i] == SIZE_MAX && w->out->items[i].missing == SIZE_MAX;
}

/* Look closely at what is open, and at the baseline. */
static size_t find_open(struct whole *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->in->n; i++) {
        if (is_open(w, i) || i == w->in->baseline)
            w->index[n++] = i;
    }
    return n;
}

static void flag_open(struct whole *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        w->flag[i] = is_open(w, w->index[i]);
}

/* Settle what can be: by summaries, then by comparing pairs of the rest. */
static int settle(struct whole *w)
{
    const struct pare_front_input *in = w->in;
    struct pare_summaries few = {0};
    struct pare_front_input some;
    int rc = PARE_OK;
    if (!in->settled && !in->draw_all)
        PARE_TRY(pare__settle(&w->summaries, w->rival, w->err));
    for (size_t i = 0; in->settled && i < in->n; i++)
        w->rival[i] = in->settled[i] == i ? SIZE_MAX : in->settled[i];
    for (size_t i = 0; i < in->n; i++) {
        for (size_t m = 0; m < in->n_metrics; m++)
            w->out->point[i * in->n_metrics + m] = pare__summary_point(&w->summaries, m, i);
    }
    find_unmeasured(in, w->out);
    size_t n = find_open(w);
    PARE_TRY(gather(in, w->index, n, &w->pool, &some, w->err));
    PARE_TRY(find_points(&some, w->index, w->out->point, w->err));
    find_unmeasured(in, w->out);
    if (in->draw_all)
        goto out;
    flag_open(w, n);
    oriented(w, w->index, n);
    PARE_TRY(pare__summaries_new(&some, &few, w->err));
    PARE_TRY(pare__settle_pairs(&few, w->x, w->flag, w->of_few, &w->out->n_compared, w->err));
    for (size_t i = 0; i < n; i++) {
        if (w->of_few[i] != SIZE_MAX)
            w->rival[w->index[i]] = w->index[w->of_few[i]];
    }
out:
    pare__summaries_free(&few);
    return rc;
}

/* What the bootstrap found, to its place among all. */
static void scatter(struct whole *w, const struct pare_front *some)
{
    struct pare_front *out = w->out;
    const size_t *at = w->index;
    for (size_t i = 0; i < some->n; i++) {
        if (!w->flag[i])
            continue;
        struct pare_front_item *item = &out->items[at[i]], old = *item;
        *item = some->items[i];
        item->shortfall = old.shortfall;
        item->missing = old.missing;
        item->rival = item->rival == SIZE_MAX ? SIZE_MAX : at[item->rival];
        item->folded = item->folded == SIZE_MAX ? SIZE_MAX : at[item->folded];
        out->n_drawn++;
    }
    for (size_t i = 0; i < some->n_order; i++)
        out->order[i] = at[some->order[i]];
    out->n_order = some->n_order;
    out->knee = some->knee == SIZE_MAX ? SIZE_MAX : at[some->knee];
    out->limiting = some->limiting;
}

static int draw(struct whole *w)
{
    struct pare_front_input some;
    struct pare_front few = {0};
    int rc;
    size_t n = find_open(w);
    flag_open(w, n);
    PARE_TRY(gather(w->in, w->index, n, &w->pool, &some, w->err));
    PARE_TRY(make_room(&few, n, w->in->n_metrics, w->err));
    PARE_TRY(pare__front_drawn(&some, w->flag, &few, w->err));
    scatter(w, &few);
out:
    pare_front_free(&few);
    return rc;
}

/* What was settled: its chance to keep the bounds, and, of those that settle it, the rival that is
 * most surely on the front. */
static void finish_settled(struct whole *w)
{
    struct pare_front *out = w->out;
    const struct pare_front_input *in = w->in;
    size_t n = 0;
    for (size_t i = 0; i < in->n; i++) {
        struct pare_front_item *item = &out->items[i];
        if (item->missing == SIZE_MAX && w->rival[i] != SIZE_MAX) {
            item->beaten = true;
            item->rival = w->rival[i];
            item->p_front = 0;
            item->p_feasible = pare__summary_feasible(&w->summaries, i);
            item->status = pare__front_status(0, item->p_feasible);
        }
        out->n_feasible += item->missing == SIZE_MAX && item->p_feasible >= 0.5;
    }
    for (size_t o = 0; o < out->n_order; o++) { /* surest first */
        size_t i = out->order[o], at = n++;
        for (; at && out->items[w->index[at - 1]].p_front < out->items[i].p_front; at--)
            w->index[at] = w->index[at - 1];
        w->index[at] = i;
    }
    for (size_t i = 0; i < in->n; i++) {
        struct pare_front_item *item = &out->items[i];
        for (size_t o = 0; item->beaten && o < n; o++) {
            size_t j = w->index[o];
            if (!(out->items[j].p_front > out->items[item->rival].p_front))
                break;
            if (pare__settles(&w->summaries, j, i)) {
                item->rival = j;
                break;
            }
        }
        if (out->n_feasible == 0 && item->missing == SIZE_MAX &&
            (out->nearest_miss == SIZE_MAX ||
             item->shortfall < out->items[out->nearest_miss].shortfall))
            out->nearest_miss = i;
    }
}

/* Ranks of the point estimates of what is feasible more often than not. */
static int assign_ranks(struct whole *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->in->n; i++) {
        if (w->out->items[i].missing == SIZE_MAX && w->out->items[i].p_feasible >= 0.5)
            w->index[n++] = i;
    }
    oriented(w, w->index, n);
    int rc = pare_front_ranks(w->x, n, w->k, w->of_few, w->err);
    for (size_t i = 0; rc == PARE_OK && i < n; i++)
        w->out->items[w->index[i]].rank = w->of_few[i];
    return rc;
}

int pare_front_compute(const struct pare_front_input *in, struct pare_front *out,
                       struct pare_error *err)
{
    struct whole w = {.in = in, .out = out, .err = err};
    size_t cells = 0;
    int rc;

    *out = (struct pare_front){.knee = SIZE_MAX, .limiting = SIZE_MAX, .nearest_miss = SIZE_MAX};
    PARE_TRY(pare__front_check(in, err));
    PARE_TRY(make_room(out, in->n, in->n_metrics, err));
    for (size_t m = 0; m < in->n_metrics; m++)
        w.k += in->metrics[m].objective;
    if (!pare_mul_size(in->n, w.k, &cells))
        cells = SIZE_MAX;
    w.rival = pare_alloc(in->n, sizeof *w.rival);
    w.index = pare_alloc(in->n, sizeof *w.index);
    w.of_few = pare_alloc(in->n, sizeof *w.of_few);
    w.flag = pare_calloc(in->n, sizeof *w.flag);
    w.x = pare_alloc(cells, sizeof *w.x);
    if (!w.rival || !w.index || !w.of_few || !w.flag || !w.x) {
        rc = pare_error_nomem(err, cells);
        goto out;
    }
    for (size_t i = 0; i < in->n; i++)
        w.rival[i] = SIZE_MAX;
    PARE_TRY(pare__summaries_new(in, &w.summaries, err));
    PARE_TRY(settle(&w));
    PARE_TRY(draw(&w));
    finish_settled(&w);
    PARE_TRY(assign_ranks(&w));
out:
    pare__summaries_free(&w.summaries);
    pare_pool_free(&w.pool);
    free(w.rival);
    free(w.index);
    free(w.of_few);
    free(w.flag);
    free(w.x);
    if (rc != PARE_OK)
        pare_front_free(out);
    return rc;
}

void pare_front_free(struct pare_front *front)
{
    free(front->items);
    free(front->point);
    free(front->order);
    *front = (struct pare_front){.knee = SIZE_MAX, .limiting = SIZE_MAX, .nearest_miss = SIZE_MAX};
}
