/* SPDX-License-Identifier: Apache-2.0 */
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
#define SURELY 0.999 /* level of the intervals that settle a variant without a bootstrap */
#define LEVEL 0.95

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

/* What one computation needs while it runs. */
struct work {
    const struct pare_front_input *in;
    struct pare_front *out;
    struct pare_error *err;
    struct pare_draw *draw;
    size_t n, width, k, replicates; /* width: metrics; k: objectives */
    size_t *objective;              /* [k]: index of the metric */
    double *value;                  /* [replicates][n][width] */
    double *x;                      /* [n][k]: oriented, smaller is better */
    double *frozen;                 /* [n][width] */
    bool *measured, *alive, *on;    /* [n] */
    size_t *beats;                  /* [n][n]: replicates in which j beats i */
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

/* By how much a figure misses its limit; at most 0 when it is met. */
static double violation(const struct work *w, const struct pare_front_bound *b, const double *value,
                        size_t i)
{
    double limit = pare_front_limit(b, value[w->in->baseline * w->width + b->metric]);
    double v = value[i * w->width + b->metric];
    return b->direction > 0 ? limit - v : v - limit;
}

static bool feasible(const struct work *w, const double *value, size_t i)
{
    for (size_t c = 0; c < w->in->n_bounds; c++) {
        if (!(violation(w, &w->in->bounds[c], value, i) <= 0))
            return false;
    }
    return true;
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
        if (m->session[i] == SIZE_MAX)
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

static int check(const struct pare_front_input *in, struct pare_error *err)
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

static int begin(struct work *w)
{
    const struct pare_front_input *in = w->in;
    struct pare_front *out = w->out;
    size_t cells, total;

    w->n = in->n;
    w->width = in->n_metrics;
    w->replicates = in->replicates ? in->replicates : REPLICATES;
    if (!pare_mul_size(w->n, w->width, &cells) || !pare_mul_size(cells, w->replicates, &total))
        return pare_error_nomem(w->err, 0);
    w->objective = pare_alloc(w->width, sizeof *w->objective);
    w->value = pare_alloc(total, sizeof *w->value);
    w->x = pare_alloc(cells, sizeof *w->x);
    w->frozen = pare_alloc(cells, sizeof *w->frozen);
    w->measured = pare_calloc(w->n, sizeof *w->measured);
    w->alive = pare_calloc(w->n, sizeof *w->alive);
    w->on = pare_calloc(w->n, sizeof *w->on);
    w->beats = pare_calloc(w->n * w->n, sizeof *w->beats);
    w->p_frozen = pare_calloc(cells, sizeof *w->p_frozen);
    out->items = pare_calloc(w->n, sizeof *out->items);
    out->point = pare_alloc(cells, sizeof *out->point);
    out->order = pare_alloc(w->n, sizeof *out->order);
    if (!w->objective || !w->value || !w->x || !w->frozen || !w->measured || !w->alive || !w->on ||
        !w->beats || !w->p_frozen || !out->items || !out->point || !out->order)
        return pare_error_nomem(w->err, total * sizeof *w->value);
    for (size_t m = 0; m < w->width; m++) {
        if (in->metrics[m].objective)
            w->objective[w->k++] = m;
    }
    out->n = w->n;
    out->n_metrics = w->width;
    return PARE_OK;
}

/* What lacks a figure that an objective or a bound needs takes no part. */
static void find_unmeasured(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct pare_front_item *item = &w->out->items[i];
        *item = (struct pare_front_item){.rank = SIZE_MAX,
                                         .rival = SIZE_MAX,
                                         .folded = SIZE_MAX,
                                         .missing = SIZE_MAX,
                                         .settle_metric = SIZE_MAX,
                                         .p_front = (double)NAN,
                                         .p_feasible = (double)NAN,
                                         .knee = (double)NAN};
        for (size_t m = 0; m < w->width && item->missing == SIZE_MAX; m++) {
            bool used = w->in->metrics[m].objective;
            for (size_t c = 0; c < w->in->n_bounds; c++)
                used |= w->in->bounds[c].metric == m;
            if (used && !isfinite(w->out->point[i * w->width + m]))
                item->missing = m;
        }
        w->measured[i] = item->missing == SIZE_MAX;
        for (size_t c = 0; w->measured[i] && c < w->in->n_bounds; c++) {
            const struct pare_front_bound *b = &w->in->bounds[c];
            double base = w->out->point[w->in->baseline * w->width + b->metric];
            double miss = violation(w, b, w->out->point, i);
            if (miss > 0)
                item->shortfall += miss / fmax(fabs(pare_front_limit(b, base)), 1e-12);
        }
    }
}

static void draw_all(struct work *w)
{
    struct pare_random random;
    pare_random_seed(&random, w->in->seed);
    for (size_t b = 0; b < w->replicates; b++)
        pare__draw_replicate(w->draw, &random, w->value + b * w->n * w->width);
    for (size_t i = 0; i < w->n; i++) {
        size_t met = 0;
        if (!w->measured[i])
            continue;
        for (size_t b = 0; b < w->replicates; b++)
            met += feasible(w, w->value + b * w->n * w->width, i);
        w->out->items[i].p_feasible = (double)met / (double)w->replicates;
    }
}

/* Does j beat i at both ends of every interval? */
static int surely_beats(struct work *w, size_t j, size_t i, bool *yes)
{
    *yes = false;
    if (!pare_dominates(w->x + j * w->k, w->x + i * w->k, w->k))
        return PARE_OK;
    bool better = false;
    for (size_t c = 0; c < w->k; c++) {
        const struct pare_front_metric *m = &w->in->metrics[w->objective[c]];
        struct pare_comparison d;
        int rc = pare_front_compare(w->in, w->objective[c], j, i, SURELY, &d, w->err);
        if (rc != PARE_OK)
            return rc;
        double same = d.ratio ? 1 : 0;
        double worst = m->direction > 0 ? d.difference.lo - same : same - d.difference.hi;
        if (!(worst >= 0))
            return PARE_OK;
        better |= worst > 0;
    }
    *yes = better;
    return PARE_OK;
}

static int find_beaten(struct work *w)
{
    int rc = PARE_OK;
    orient(w, w->out->point, w->x);
    for (size_t i = 0; i < w->n; i++) {
        for (size_t j = 0; w->measured[i] && j < w->n && !w->out->items[i].beaten; j++) {
            /* A rival that may break a constraint settles nothing. */
            if (j == i || !w->measured[j] || w->out->items[j].p_feasible < 1)
                continue;
            PARE_TRY(surely_beats(w, j, i, &w->out->items[i].beaten));
        }
    }
out:
    return rc;
}

static void front_of(struct work *w, const double *value)
{
    for (size_t i = 0; i < w->n; i++)
        w->alive[i] = w->measured[i] && !w->out->items[i].beaten && feasible(w, value, i);
    orient(w, value, w->x);
    pare_front_mask(w->x, w->n, w->k, w->alive, w->on);
}

static void count_fronts(struct work *w)
{
    double one = 1.0 / (double)w->replicates;
    size_t cells = w->n * w->width;
    for (size_t i = 0; i < w->n; i++) {
        if (w->measured[i])
            w->out->items[i].p_front = 0;
    }
    for (size_t b = 0; b < w->replicates; b++) {
        const double *value = w->value + b * cells;
        front_of(w, value);
        for (size_t i = 0; i < w->n; i++) {
            if (w->on[i])
                w->out->items[i].p_front += one;
            for (size_t j = 0; w->measured[i] && j < w->n; j++)
                w->beats[i * w->n + j] +=
                    w->alive[j] && pare_dominates(w->x + j * w->k, w->x + i * w->k, w->k);
        }
        for (size_t m = 0; m < w->width; m++) {
            if (!noisy(&w->in->metrics[m]))
                continue;
            memcpy(w->frozen, value, cells * sizeof *value);
            for (size_t i = 0; i < w->n; i++)
                w->frozen[i * w->width + m] = w->out->point[i * w->width + m];
            front_of(w, w->frozen);
            for (size_t i = 0; i < w->n; i++)
                w->p_frozen[m * w->n + i] += w->on[i] ? one : 0;
        }
    }
}

static void assign(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct pare_front_item *item = &w->out->items[i];
        /* Sums of 1/1000 end a hair beside a threshold that the count meets. */
        item->p_front = round(item->p_front * (double)w->replicates) / (double)w->replicates;
        double p = item->p_front;
        item->status = !w->measured[i]                   ? PARE_FRONT_UNMEASURED
                       : item->p_feasible < P_INFEASIBLE ? PARE_FRONT_INFEASIBLE
                       : p >= P_SURE                     ? PARE_FRONT_SURE
                       : p >= P_FRONT                    ? PARE_FRONT_FRONT
                       : p >= P_MAYBE                    ? PARE_FRONT_MAYBE
                                                         : PARE_FRONT_OUT;
        w->out->n_feasible += w->measured[i] && item->p_feasible >= 0.5;
    }
    for (size_t i = 0; i < w->n; i++) {
        struct pare_front_item *item = &w->out->items[i];
        size_t most = 0;
        for (size_t j = 0; w->measured[i] && j < w->n; j++) {
            size_t wins = w->beats[i * w->n + j];
            if (wins > most || (wins && wins == most &&
                                w->out->items[j].p_front > w->out->items[item->rival].p_front)) {
                most = wins;
                item->rival = j;
            }
        }
    }
}

/* Ranks of the point estimates of what is feasible more often than not. */
static int assign_ranks(struct work *w)
{
    size_t m = 0;
    size_t *index = pare_alloc(w->n, sizeof *index), *rank = pare_alloc(w->n, sizeof *rank);
    int rc = index && rank ? PARE_OK : pare_error_nomem(w->err, 0);
    orient(w, w->out->point, w->x);
    for (size_t i = 0; rc == PARE_OK && i < w->n; i++) {
        if (w->measured[i] && w->out->items[i].p_feasible >= 0.5) {
            memmove(w->x + m * w->k, w->x + i * w->k, w->k * sizeof *w->x);
            index[m++] = i;
        }
    }
    if (rc == PARE_OK) {
        pare_front_ranks(w->x, m, w->k, rank);
        for (size_t i = 0; i < m; i++)
            w->out->items[index[i]].rank = rank[i];
    }
    free(index);
    free(rank);
    return rc;
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
        if (!on_front(&items[i]) && items[i].status != PARE_FRONT_MAYBE)
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
        if (!on_front(item) || item->folded != SIZE_MAX)
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
            if (w->measured[i] && undecided(p))
                removed += p * (1 - p) - q * (1 - q);
        }
        if (removed > most + 1e-9) {
            most = removed;
            out->limiting = m;
        }
    }
    for (size_t i = 0; i < w->n; i++) {
        struct pare_front_item *item = &out->items[i];
        if (!w->measured[i] || !undecided(item->p_front))
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
        if (!on_front(&out->items[i]) && out->items[i].status != PARE_FRONT_MAYBE)
            continue;
        double v = -w->in->metrics[by].direction * out->point[i * w->width + by];
        size_t at = out->n_order++;
        for (; at &&
               -w->in->metrics[by].direction * out->point[out->order[at - 1] * w->width + by] > v;
             at--)
            out->order[at] = out->order[at - 1];
        out->order[at] = i;
    }
    out->nearest_miss = SIZE_MAX;
    for (size_t i = 0; out->n_feasible == 0 && i < w->n; i++) {
        if (w->measured[i] && (out->nearest_miss == SIZE_MAX ||
                               out->items[i].shortfall < out->items[out->nearest_miss].shortfall))
            out->nearest_miss = i;
    }
}

int pare_front_compute(const struct pare_front_input *in, struct pare_front *out,
                       struct pare_error *err)
{
    struct work w = {.in = in, .out = out, .err = err};
    size_t *index = NULL;
    int rc;

    *out = (struct pare_front){.knee = SIZE_MAX, .limiting = SIZE_MAX, .nearest_miss = SIZE_MAX};
    PARE_TRY(check(in, err));
    PARE_TRY(begin(&w));
    index = pare_alloc(in->n, sizeof *index);
    if (!index) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare__draw_new(in, &w.draw, err));
    pare__draw_point(w.draw, out->point);
    find_unmeasured(&w);
    draw_all(&w);
    PARE_TRY(find_beaten(&w));
    count_fronts(&w);
    assign(&w);
    PARE_TRY(assign_ranks(&w));
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
    free(w.measured);
    free(w.alive);
    free(w.on);
    free(w.beats);
    free(w.p_frozen);
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
