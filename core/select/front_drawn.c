/* SPDX-License-Identifier: Apache-2.0 */
/* What is drawn: the front of every replicate, and what follows from how often a variant is on it.
 */
#include "select/front_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "select/dominance.h"

#define REPLICATES 1000
#define P_SURE 0.95
#define P_FRONT 0.5
#define P_MAYBE 0.1
#define P_INFEASIBLE 0.05
#define LEVEL 0.95
#define DOMINATIONS 200e6 /* how many may be counted to find who beats whom most often */

/* What the bootstrap needs while it runs: of the variants that reach it, and the baseline. */
struct work {
    const struct pare_front_input *in;
    struct pare_front *out;
    struct pare_error *err;
    struct pare_draw *draw;
    size_t n, width, k, replicates; /* width: metrics; k: objectives */
    size_t counted;                 /* replicates in which `beats` is counted */
    size_t *objective;              /* [k]: index of the metric */
    double *value;                  /* [n][width]: of one replicate */
    double *x;                      /* [n][k]: oriented, smaller is better */
    double *frozen;                 /* [n][width] */
    bool *drawn, *alive, *on;       /* [n]; drawn: takes part */
    uint32_t *beats;                /* [n][n]: replicates in which j beats i */
    double *p_frozen;               /* [width][n]: p_front without that metric's noise */
};

static bool noisy(const struct pare_front_metric *m)
{
    return m->kind != PARE_FIGURE_EXACT;
}

static void orient(const struct work *w, const double *value, double *x)
{
    for (size_t i = 0; i < w->n; i++) {
        for (size_t c = 0; c < w->k; c++) {
            size_t m = w->objective[c];
            x[i * w->k + c] = -w->in->metrics[m].direction * value[i * w->width + m];
        }
    }
}

static bool feasible(const struct work *w, const double *value, size_t i)
{
    for (size_t c = 0; c < w->in->n_bounds; c++) {
        const struct pare_front_bound *b = &w->in->bounds[c];
        double limit = pare_front_limit(b, value[w->in->baseline * w->width + b->metric]);
        if (!(pare_front_room(b, limit, value[i * w->width + b->metric]) >= 0))
            return false;
    }
    return true;
}

static int begin(struct work *w)
{
    const struct pare_front_input *in = w->in;
    size_t cells, pairs;

    w->n = in->n;
    w->width = in->n_metrics;
    w->replicates = in->replicates ? in->replicates : REPLICATES;
    if (!pare_mul_size(w->n, w->width, &cells) || !pare_mul_size(w->n, w->n, &pairs))
        return pare_error_nomem(w->err, 0);
    w->counted = (size_t)fmin((double)w->replicates, ceil(DOMINATIONS / (double)pairs));
    w->objective = pare_alloc(w->width, sizeof *w->objective);
    w->value = pare_alloc(cells, sizeof *w->value);
    w->x = pare_alloc(cells, sizeof *w->x);
    w->frozen = pare_alloc(cells, sizeof *w->frozen);
    w->alive = pare_calloc(w->n, sizeof *w->alive);
    w->on = pare_calloc(w->n, sizeof *w->on);
    w->beats = pare_calloc(pairs, sizeof *w->beats);
    w->p_frozen = pare_calloc(cells, sizeof *w->p_frozen);
    if (!w->objective || !w->value || !w->x || !w->frozen || !w->alive || !w->on || !w->beats ||
        !w->p_frozen)
        return pare_error_nomem(w->err, pairs * sizeof *w->beats);
    for (size_t m = 0; m < w->width; m++) {
        if (in->metrics[m].objective)
            w->objective[w->k++] = m;
    }
    return pare__draw_new(in, &w->draw, w->err);
}

static int front_of(struct work *w, const double *value)
{
    for (size_t i = 0; i < w->n; i++)
        w->alive[i] = w->drawn[i] && feasible(w, value, i);
    orient(w, value, w->x);
    return pare_front_mask(w->x, w->n, w->k, w->alive, w->on, w->err);
}

static void count_beats(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        for (size_t j = 0; w->drawn[i] && j < w->n; j++)
            w->beats[i * w->n + j] +=
                w->alive[j] && pare_dominates(w->x + j * w->k, w->x + i * w->k, w->k);
    }
}

static int count_fronts(struct work *w)
{
    struct pare_front_item *items = w->out->items;
    double one = 1.0 / (double)w->replicates;
    size_t cells = w->n * w->width;
    struct pare_random random;
    int rc = PARE_OK;
    pare_random_seed(&random, w->in->seed);
    for (size_t i = 0; i < w->n; i++)
        items[i].p_front = items[i].p_feasible = 0;
    for (size_t b = 0; b < w->replicates; b++) {
        pare__draw_replicate(w->draw, &random, w->value);
        PARE_TRY(front_of(w, w->value));
        for (size_t i = 0; i < w->n; i++) {
            items[i].p_front += w->on[i] ? 1 : 0;
            items[i].p_feasible += w->alive[i] ? 1 : 0;
        }
        if (b < w->counted)
            count_beats(w);
        for (size_t m = 0; m < w->width; m++) {
            if (!noisy(&w->in->metrics[m]))
                continue;
            memcpy(w->frozen, w->value, cells * sizeof *w->value);
            for (size_t i = 0; i < w->n; i++)
                w->frozen[i * w->width + m] = w->out->point[i * w->width + m];
            PARE_TRY(front_of(w, w->frozen));
            for (size_t i = 0; i < w->n; i++)
                w->p_frozen[m * w->n + i] += w->on[i] ? one : 0;
        }
    }
    for (size_t i = 0; i < w->n; i++) {
        items[i].p_front /= (double)w->replicates;
        items[i].p_feasible /= (double)w->replicates;
    }
out:
    return rc;
}

enum pare_front_status pare__front_status(double p, double feasible)
{
    return feasible < P_INFEASIBLE ? PARE_FRONT_INFEASIBLE
           : p >= P_SURE           ? PARE_FRONT_SURE
           : p >= P_FRONT          ? PARE_FRONT_FRONT
           : p >= P_MAYBE          ? PARE_FRONT_MAYBE
                                   : PARE_FRONT_OUT;
}

static void assign(struct work *w)
{
    struct pare_front_item *items = w->out->items;
    for (size_t i = 0; i < w->n; i++)
        items[i].status = pare__front_status(items[i].p_front, items[i].p_feasible);
    for (size_t i = 0; i < w->n; i++) {
        size_t most = 0;
        for (size_t j = 0; w->drawn[i] && j < w->n; j++) {
            size_t wins = w->beats[i * w->n + j];
            if (wins > most ||
                (wins && wins == most && items[j].p_front > items[items[i].rival].p_front)) {
                most = wins;
                items[i].rival = j;
            }
        }
    }
}

static bool on_front(const struct pare_front_item *item)
{
    return item->status == PARE_FRONT_SURE || item->status == PARE_FRONT_FRONT;
}

static bool practically_same(const struct work *w, size_t i, size_t j)
{
    for (size_t c = 0; c < w->k; c++) {
        const struct pare_front_metric *m = &w->in->metrics[w->objective[c]];
        double a = w->out->point[i * w->width + w->objective[c]];
        double b = w->out->point[j * w->width + w->objective[c]];
        if (!(fabs(a - b) <= m->tolerance * (m->relative ? fabs(b) : 1)))
            return false;
    }
    return true;
}

/* Members from the surest on; one that is practically an earlier one goes under it. */
static void fold(struct work *w, size_t *by_p)
{
    struct pare_front_item *items = w->out->items;
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!w->drawn[i] || (!on_front(&items[i]) && items[i].status != PARE_FRONT_MAYBE))
            continue;
        size_t at = n++;
        for (; at && items[by_p[at - 1]].p_front < items[i].p_front; at--)
            by_p[at] = by_p[at - 1];
        by_p[at] = i;
    }
    for (size_t a = 0; a < n; a++) {
        size_t i = by_p[a];
        for (size_t b = 0; b < a && i != w->in->baseline; b++) {
            size_t j = by_p[b];
            if (items[j].folded == SIZE_MAX && on_front(&items[j]) && practically_same(w, i, j)) {
                items[i].folded = j;
                break;
            }
        }
    }
}

static int find_knee(struct work *w, size_t *index)
{
    size_t m = 0;
    double *distance = pare_alloc(w->n, sizeof *distance);
    if (!distance)
        return pare_error_nomem(w->err, w->n * sizeof *distance);
    for (size_t i = 0; i < w->n; i++) {
        const struct pare_front_item *item = &w->out->items[i];
        if (!w->drawn[i] || !on_front(item) || item->folded != SIZE_MAX)
            continue;
        for (size_t c = 0; c < w->k; c++) {
            const struct pare_front_metric *metric = &w->in->metrics[w->objective[c]];
            double v = w->out->point[i * w->width + w->objective[c]];
            if (metric->log_scale)
                v = log(fmax(v, 1e-300));
            w->x[m * w->k + c] = -metric->direction * v;
        }
        index[m++] = i;
    }
    size_t at = pare_knee(w->x, m, w->k, distance);
    for (size_t i = 0; i < m; i++)
        w->out->items[index[i]].knee = distance[i];
    w->out->knee = at == SIZE_MAX ? SIZE_MAX : index[at];
    free(distance);
    return PARE_OK;
}

/* Samples that would tell whether the variant keeps to baseline + number. */
static size_t bound_needs(struct work *w, size_t i, size_t metric)
{
    for (size_t c = 0; c < w->in->n_bounds; c++) {
        const struct pare_front_bound *b = &w->in->bounds[c];
        const struct pare_front_metric *m = &w->in->metrics[metric];
        struct pare_comparison d;
        if (b->metric != metric || b->kind != PARE_LIMIT_BASELINE_PLUS ||
            m->kind != PARE_FIGURE_SAMPLES || m->exponential ||
            pare_front_compare(w->in, metric, i, w->in->baseline, LEVEL, &d, NULL) != PARE_OK)
            continue;
        double gap = d.difference.value - b->number, half = (d.difference.hi - d.difference.lo) / 2;
        double n = ceil((double)d.n * pow(half / gap, 2));
        if (isfinite(n) && n > (double)d.n && n < 1e15)
            return (size_t)n - d.n;
    }
    return 0;
}

static bool undecided(double p)
{
    return p > 1 - P_SURE && p < P_SURE;
}

/* Which metric's noise leaves variants undecided, and how much more of it would decide each. */
static void find_limits(struct work *w)
{
    struct pare_front *out = w->out;
    double most = 0;
    out->limiting = SIZE_MAX;
    for (size_t m = 0; m < w->width; m++) {
        double removed = 0;
        for (size_t i = 0; noisy(&w->in->metrics[m]) && i < w->n; i++) {
            double p = out->items[i].p_front, q = w->p_frozen[m * w->n + i];
            if (w->drawn[i] && undecided(p))
                removed += p * (1 - p) - q * (1 - q);
        }
        if (removed > most + 1e-9) {
            most = removed;
            out->limiting = m;
        }
    }
    for (size_t i = 0; i < w->n; i++) {
        struct pare_front_item *item = &out->items[i];
        if (!w->drawn[i] || !undecided(item->p_front))
            continue;
        double best = 0, p = item->p_front;
        for (size_t m = 0; m < w->width; m++) {
            double q = w->p_frozen[m * w->n + i], removed = p * (1 - p) - q * (1 - q);
            if (noisy(&w->in->metrics[m]) && removed > best + 1e-9) {
                best = removed;
                item->settle_metric = m;
            }
        }
        if (item->settle_metric == SIZE_MAX)
            continue;
        struct pare_comparison d;
        if (undecided(item->p_feasible))
            item->settle_more = bound_needs(w, i, item->settle_metric);
        if (item->settle_more == 0 && item->rival != SIZE_MAX &&
            pare_front_compare(w->in, item->settle_metric, i, item->rival, LEVEL, &d, NULL) ==
                PARE_OK &&
            d.n_needed > d.n)
            item->settle_more = d.n_needed - d.n;
    }
}

static void sort_order(struct work *w)
{
    struct pare_front *out = w->out;
    size_t by = w->objective[0];
    for (size_t c = w->k; c-- > 0;) {
        if (w->in->metrics[w->objective[c]].kind == PARE_FIGURE_ROUNDS)
            by = w->objective[c];
    }
    for (size_t i = 0; i < w->n; i++) {
        if (!w->drawn[i] || (!on_front(&out->items[i]) && out->items[i].status != PARE_FRONT_MAYBE))
            continue;
        double v = -w->in->metrics[by].direction * out->point[i * w->width + by];
        size_t at = out->n_order++;
        for (; at &&
               -w->in->metrics[by].direction * out->point[out->order[at - 1] * w->width + by] > v;
             at--)
            out->order[at] = out->order[at - 1];
        out->order[at] = i;
    }
}

int pare__front_drawn(const struct pare_front_input *in, bool *drawn, struct pare_front *out,
                      struct pare_error *err)
{
    struct work w = {.in = in, .out = out, .err = err, .drawn = drawn};
    size_t *index = pare_alloc(in->n, sizeof *index);
    int rc;
    if (!index)
        return pare_error_nomem(err, 0);
    PARE_TRY(begin(&w));
    pare__draw_point(w.draw, out->point);
    PARE_TRY(count_fronts(&w));
    assign(&w);
    fold(&w, index);
    PARE_TRY(find_knee(&w, index));
    find_limits(&w);
    sort_order(&w);
out:
    pare__draw_free(w.draw);
    free(index);
    free(w.objective);
    free(w.value);
    free(w.x);
    free(w.frozen);
    free(w.alive);
    free(w.on);
    free(w.beats);
    free(w.p_frozen);
    return rc;
}
