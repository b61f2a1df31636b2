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
#define LEVEL 0.95
#define DOMINATIONS 200e6 /* how many may be counted to find who beats whom most often */

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

static enum pare_front_status status_of(double p, double feasible)
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
        items[i].status = status_of(items[i].p_front, items[i].p_feasible);
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

/* The bootstrap over some of the variants: `out` has room for them, `drawn` tells who takes part.
 */
static int bootstrap(const struct pare_front_input *in, bool *drawn, struct pare_front *out,
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
            bool used = in->metrics[m].objective;
            for (size_t c = 0; c < in->n_bounds; c++)
                used |= in->bounds[c].metric == m;
            if (used && !isfinite(point[m]))
                item->missing = m;
        }
        if (item->missing != SIZE_MAX)
            item->status = PARE_FRONT_UNMEASURED;
        for (size_t c = 0; item->missing == SIZE_MAX && c < in->n_bounds; c++) {
            const struct pare_front_bound *b = &in->bounds[c];
            double limit =
                pare_front_limit(b, out->point[in->baseline * in->n_metrics + b->metric]);
            double miss = b->direction * (limit - point[b->metric]);
            if (miss > 0)
                item->shortfall += miss / fmax(fabs(limit), 1e-12);
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
    bool *flag;     /* [n] */
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

/* Those that have all figures and that nothing settles; and the baseline. */
static size_t open_ones(const struct whole *w, size_t *index)
{
    size_t n = 0;
    for (size_t i = 0; i < w->in->n; i++) {
        bool open = w->rival[i] == SIZE_MAX && w->out->items[i].missing == SIZE_MAX;
        if (open || i == w->in->baseline)
            index[n++] = i;
    }
    return n;
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
    size_t n = open_ones(w, w->index);
    PARE_TRY(gather(in, w->index, n, &w->pool, &some, w->err));
    PARE_TRY(find_points(&some, w->index, w->out->point, w->err));
    find_unmeasured(in, w->out);
    if (in->draw_all)
        goto out;
    for (size_t i = 0; i < n; i++)
        w->flag[i] =
            w->out->items[w->index[i]].missing == SIZE_MAX && w->rival[w->index[i]] == SIZE_MAX;
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
    size_t n = open_ones(w, w->index);
    for (size_t i = 0; i < n; i++)
        w->flag[i] =
            w->out->items[w->index[i]].missing == SIZE_MAX && w->rival[w->index[i]] == SIZE_MAX;
    PARE_TRY(gather(w->in, w->index, n, &w->pool, &some, w->err));
    PARE_TRY(make_room(&few, n, w->in->n_metrics, w->err));
    PARE_TRY(bootstrap(&some, w->flag, &few, w->err));
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
            item->status = status_of(0, item->p_feasible);
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
