/* SPDX-License-Identifier: Apache-2.0 */
#include "select/pick.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#define TIGHTER 0.05

struct picker {
    const struct pare_front_input *in;
    const struct pare_front *front;
    const size_t *by;
    size_t n_by;
};

static double figure(const struct picker *p, size_t i, size_t m)
{
    return p->front->point[i * p->front->n_metrics + m];
}

static double limit_of(const struct picker *p, const struct pare_front_bound *b)
{
    return pare_front_limit(b, figure(p, p->in->baseline, b->metric));
}

static double room(const struct picker *p, const struct pare_front_bound *b, size_t i, double limit)
{
    return pare_front_room(b, limit, figure(p, i, b->metric));
}

/* A limit 5 % tighter: the allowance of "baseline + number" shrinks, other limits move by 5 % of
 * themselves. */
static double tighter_limit(const struct picker *p, const struct pare_front_bound *b)
{
    double limit = limit_of(p, b);
    double step =
        b->kind == PARE_LIMIT_BASELINE_PLUS && b->number != 0 ? fabs(b->number) : fabs(limit);
    return limit + b->direction * TIGHTER * step;
}

static bool member(const struct picker *p, size_t i)
{
    const struct pare_front_item *item = &p->front->items[i];
    if (item->status != PARE_FRONT_SURE && item->status != PARE_FRONT_FRONT)
        return false;
    for (size_t c = 0; c < p->in->n_bounds; c++) {
        if (!(room(p, &p->in->bounds[c], i, limit_of(p, &p->in->bounds[c])) >= 0))
            return false;
    }
    for (size_t c = 0; c < p->n_by; c++) {
        if (isnan(figure(p, i, p->by[c])))
            return false;
    }
    return item->p_feasible >= 0.5;
}

/* Members but for `except`; with limit `tight` drawn tighter (SIZE_MAX: none). */
static void enter(const struct picker *p, bool *in_race, size_t except, size_t tight)
{
    for (size_t i = 0; i < p->front->n; i++) {
        in_race[i] = i != except && member(p, i);
        if (in_race[i] && tight != SIZE_MAX) {
            const struct pare_front_bound *b = &p->in->bounds[tight];
            in_race[i] = room(p, b, i, tighter_limit(p, b)) >= 0;
        }
    }
}

/* The best in the metrics in turn, from `first` on. In each those within its tolerance of the best
 * go on to the next; the last has no tolerance. */
static size_t best_of(const struct picker *p, bool *in_race, size_t first)
{
    size_t best = SIZE_MAX;
    for (size_t c = first; c < p->n_by; c++) {
        const struct pare_front_metric *m = &p->in->metrics[p->by[c]];
        best = SIZE_MAX;
        for (size_t i = 0; i < p->front->n; i++) {
            if (in_race[i] && (best == SIZE_MAX || m->direction * figure(p, i, p->by[c]) >
                                                       m->direction * figure(p, best, p->by[c])))
                best = i;
        }
        if (best == SIZE_MAX || c + 1 == p->n_by)
            break;
        double top = figure(p, best, p->by[c]);
        double slack = m->tolerance * (m->relative ? fabs(top) : 1);
        for (size_t i = 0; i < p->front->n; i++)
            in_race[i] = in_race[i] && m->direction * (top - figure(p, i, p->by[c])) <= slack;
    }
    return best;
}

/* Whether the choice and `i` differ in a metric beyond the noise: above 0, the choice is better;
 * 0: not as far as can be told. */
static int better(const struct picker *p, size_t m, size_t chosen, size_t i)
{
    struct pare_comparison d;
    const double x = p->in->metrics[m].direction * (figure(p, chosen, m) - figure(p, i, m));
    if (p->in->metrics[m].kind != PARE_FIGURE_EXACT &&
        (pare_front_compare(p->in, m, chosen, i, 0.95, &d, NULL) != PARE_OK || !d.distinct))
        return 0;
    return (x > 0) - (x < 0);
}

static void find_alike(const struct picker *p, bool *in_race, struct pare_pick *out)
{
    if (p->in->metrics[p->by[0]].kind == PARE_FIGURE_EXACT)
        return;
    enter(p, in_race, SIZE_MAX, SIZE_MAX);
    for (size_t i = 0; i < p->front->n; i++)
        in_race[i] = in_race[i] && (i == out->chosen || better(p, p->by[0], out->chosen, i) == 0);
    const size_t best = best_of(p, in_race, 1);
    for (size_t c = 1; c < p->n_by && best != out->chosen; c++) {
        if (better(p, p->by[c], out->chosen, best) >= 0)
            continue;
        out->alike = best;
        out->by_next = p->by[c];
        return;
    }
}

int pare_pick(const struct pare_front_input *in, const struct pare_front *front, const size_t *by,
              size_t n_by, struct pare_pick *out, struct pare_error *err)
{
    struct picker p = {in, front, by, n_by};
    bool *in_race = NULL;
    int rc = PARE_OK;

    *out = (struct pare_pick){
        .chosen = SIZE_MAX, .runner_up = SIZE_MAX, .alike = SIZE_MAX, .n_bounds = in->n_bounds};
    if (n_by == 0)
        return pare_error_set(err, PARE_INVALID, "a pick needs a metric to go by");
    for (size_t c = 0; c < n_by; c++) {
        if (by[c] >= in->n_metrics)
            return pare_error_set(err, PARE_INVALID, "a pick by a metric that is not there");
    }
    in_race = pare_calloc(front->n, sizeof *in_race);
    out->margin = pare_alloc(in->n_bounds, sizeof *out->margin);
    out->tighter = pare_alloc(in->n_bounds, sizeof *out->tighter);
    if (!in_race || !out->margin || !out->tighter) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    enter(&p, in_race, SIZE_MAX, SIZE_MAX);
    out->chosen = best_of(&p, in_race, 0);
    if (out->chosen != SIZE_MAX) {
        enter(&p, in_race, out->chosen, SIZE_MAX);
        out->runner_up = best_of(&p, in_race, 0);
        find_alike(&p, in_race, out);
    }
    for (size_t c = 0; c < in->n_bounds; c++) {
        const struct pare_front_bound *b = &in->bounds[c];
        out->margin[c] =
            out->chosen == SIZE_MAX ? (double)NAN : room(&p, b, out->chosen, limit_of(&p, b));
        enter(&p, in_race, SIZE_MAX, c);
        out->tighter[c] = best_of(&p, in_race, 0);
    }
    if (out->runner_up != SIZE_MAX)
        rc = pare_front_compare(in, by[0], out->chosen, out->runner_up, 0.95, &out->against, err);
out:
    free(in_race);
    if (rc != PARE_OK)
        pare_pick_free(out);
    return rc;
}

void pare_pick_free(struct pare_pick *pick)
{
    free(pick->margin);
    free(pick->tighter);
    *pick = (struct pare_pick){.chosen = SIZE_MAX, .runner_up = SIZE_MAX, .alike = SIZE_MAX};
}
