/* SPDX-License-Identifier: Apache-2.0 */
#include "select/race.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define WRONG 0.001       /* chance that a variant is stopped wrongly */
#define SURELY 0.999      /* of rounds, which are all there: as the front itself leaves out */
#define MEDIAN_LEVEL 0.99 /* of the baseline's own median, where a bound is in milliseconds */

/* What an interval says of a claim. */
enum verdict { UNKNOWN, HOLDS, BROKEN };

struct race {
    const struct pare_front_input *in;
    double level;    /* of samples */
    double *scratch; /* samples or rounds, whichever are more */
};

static enum verdict at_least(struct pare_interval x, double limit)
{
    return x.lo >= limit ? HOLDS : x.hi < limit ? BROKEN : UNKNOWN; /* NaN: unknown */
}

/* ---- bounds
 * ------------------------------------------------------------------------------------- */

/* Mean over samples of x - factor * baseline. */
static struct pare_interval sample_mean(const struct race *r, const struct pare_front_metric *m,
                                        size_t v, double factor)
{
    const float *x = m->sample[v], *base = m->sample[r->in->baseline];
    size_t gain = 0, loss = 0;
    bool binary = true;
    for (size_t k = 0; k < m->n_samples; k++) {
        double b = factor == 0 ? 0 : (double)base[k];
        r->scratch[k] = (double)x[k] - factor * b;
        binary = binary && (x[k] == 0 || x[k] == 1) && (b == 0 || b == 1);
        gain += (double)x[k] > b;
        loss += (double)x[k] < b;
    }
    if (binary && factor == 0)
        return pare_stat_wilson(gain, m->n_samples, r->level);
    if (binary && factor == 1)
        return pare_stat_bonett_price(gain, loss, m->n_samples, r->level);
    return pare_stat_mean(r->scratch, m->n_samples, r->level, NULL);
}

static enum verdict check_samples(const struct race *r, const struct pare_front_metric *m,
                                  const struct pare_front_bound *b, size_t v)
{
    bool relative = b->kind == PARE_LIMIT_BASELINE_TIMES, absolute = b->kind == PARE_LIMIT_ABSOLUTE;
    if (m->exponential || !m->sample[v] || (!absolute && !m->sample[r->in->baseline]))
        return UNKNOWN;
    struct pare_interval x = sample_mean(r, m, v, absolute ? 0 : relative ? b->number : 1);
    double limit = relative ? 0 : b->number;
    if (b->direction > 0)
        return at_least(x, limit);
    return at_least((struct pare_interval){-x.value, -x.hi, -x.lo}, -limit);
}

/* Latency as a ratio to the baseline, and the limit as one too: a time in milliseconds is as sure
 * as the baseline's own. */
static enum verdict check_rounds(const struct race *r, const struct pare_front_metric *m,
                                 const struct pare_front_bound *b, size_t v)
{
    struct pare_comparison c;
    struct pare_error ignored;
    size_t n = 0, base = r->in->baseline;
    if (m->session[v] == SIZE_MAX || m->session[base] == SIZE_MAX ||
        pare_front_compare(r->in, (size_t)(m - r->in->metrics), v, base, SURELY, &c, &ignored) !=
            PARE_OK)
        return UNKNOWN;
    const struct pare_front_session *s = &m->sessions[0];
    for (size_t k = 0; k < s->n_rounds; k++) {
        if (!isnan(s->baseline[k]))
            r->scratch[n++] = s->baseline[k];
    }
    struct pare_interval t = pare_stat_median_interval(r->scratch, n, MEDIAN_LEVEL);
    double lo = pare_front_limit(b, t.lo) / t.lo, hi = pare_front_limit(b, t.hi) / t.hi;
    double least = fmin(lo, hi), most = fmax(lo, hi);
    struct pare_interval x = c.difference;
    if (isnan(x.lo) || isnan(x.hi) || isnan(lo) || isnan(hi))
        return UNKNOWN;
    if (b->direction > 0)
        return x.lo >= most ? HOLDS : x.hi < least ? BROKEN : UNKNOWN;
    return x.hi <= least ? HOLDS : x.lo > most ? BROKEN : UNKNOWN;
}

static enum verdict check_bound(const struct race *r, const struct pare_front_bound *b, size_t v)
{
    const struct pare_front_metric *m = &r->in->metrics[b->metric];
    if (m->kind == PARE_FIGURE_SAMPLES)
        return check_samples(r, m, b, v);
    if (m->kind == PARE_FIGURE_ROUNDS)
        return check_rounds(r, m, b, v);
    double limit = pare_front_limit(b, m->value[r->in->baseline]), x = m->value[v];
    if (m->kind != PARE_FIGURE_EXACT || isnan(limit) || isnan(x))
        return UNKNOWN;
    return pare_front_room(b, limit, x) >= 0 ? HOLDS : BROKEN;
}

/* Whether the rival keeps what the variant keeps: by being better in that very metric, or for sure.
 */
static bool keeps_bounds(const struct race *r, size_t rival)
{
    for (size_t i = 0; i < r->in->n_bounds; i++) {
        const struct pare_front_bound *b = &r->in->bounds[i];
        const struct pare_front_metric *m = &r->in->metrics[b->metric];
        bool implied = m->objective && m->direction == b->direction;
        if (!implied && check_bound(r, b, rival) != HOLDS)
            return false;
    }
    return true;
}

/* ---- rivals
 * ------------------------------------------------------------------------------------- */

static double mean_of(const struct pare_front_metric *m, size_t v)
{
    double sum = 0;
    for (size_t k = 0; k < m->n_samples; k++)
        sum += (double)m->sample[v][k];
    return sum;
}

static bool better_in(const struct race *r, size_t metric, size_t rival, size_t v, bool *strictly)
{
    const struct pare_front_metric *m = &r->in->metrics[metric];
    struct pare_comparison c;
    struct pare_error ignored;
    if (m->kind == PARE_FIGURE_EXACT) {
        double d = (m->value[rival] - m->value[v]) * m->direction;
        *strictly = *strictly || d > 0;
        return d >= 0; /* NaN: not known */
    }
    *strictly = true;
    double level = m->kind == PARE_FIGURE_ROUNDS ? SURELY : r->level;
    if (pare_front_compare(r->in, metric, rival, v, level, &c, &ignored) != PARE_OK)
        return false;
    double same = c.ratio ? 1 : 0;
    return m->direction > 0 ? c.difference.lo > same : c.difference.hi < same;
}

static bool is_better(const struct race *r, size_t rival, size_t v)
{
    static const enum pare_figure_kind cheap_first[] = {PARE_FIGURE_EXACT, PARE_FIGURE_SPREAD,
                                                        PARE_FIGURE_ROUNDS, PARE_FIGURE_SAMPLES};
    bool strictly = false;
    for (size_t k = 0; k < PARE_COUNT(cheap_first); k++) {
        for (size_t m = 0; m < r->in->n_metrics; m++) {
            const struct pare_front_metric *metric = &r->in->metrics[m];
            if (!metric->objective || metric->kind != cheap_first[k])
                continue;
            if (!better_in(r, m, rival, v, &strictly))
                return false;
        }
    }
    return strictly && keeps_bounds(r, rival);
}

/* Who is better; among several the one with most right, for people to read. */
static size_t find_rival(const struct race *r, size_t v)
{
    size_t best = SIZE_MAX;
    double most = -INFINITY;
    for (size_t rival = 0; rival < r->in->n; rival++) {
        if (rival == v || !is_better(r, rival, v))
            continue;
        double right = 0;
        for (size_t m = 0; m < r->in->n_metrics; m++) {
            const struct pare_front_metric *metric = &r->in->metrics[m];
            if (metric->objective && metric->kind == PARE_FIGURE_SAMPLES)
                right += metric->direction * mean_of(metric, rival);
        }
        if (right > most) {
            most = right;
            best = rival;
        }
    }
    return best;
}

/* ---- the decision
 * ------------------------------------------------------------------------------- */

static size_t broken_bound(const struct race *r, size_t v)
{
    for (size_t b = 0; b < r->in->n_bounds; b++) {
        if (check_bound(r, &r->in->bounds[b], v) == BROKEN)
            return b;
    }
    return SIZE_MAX;
}

static size_t most_figures(const struct pare_front_input *in)
{
    size_t most = 0;
    for (size_t m = 0; m < in->n_metrics; m++) {
        most = PARE_MAX(most, in->metrics[m].n_samples);
        for (size_t s = 0; s < in->metrics[m].n_sessions; s++)
            most = PARE_MAX(most, in->metrics[m].sessions[s].n_rounds);
    }
    return most;
}

int pare_race_decide(const struct pare_front_input *in, const bool *running, size_t looks,
                     struct pare_race_verdict *out, struct pare_error *err)
{
    struct race r = {.in = in};
    bool all_broken = true;
    r.scratch = pare_alloc(most_figures(in), sizeof *r.scratch);
    if (!r.scratch)
        return pare_error_nomem(err, 0);
    r.level = 1 - WRONG / ((double)PARE_MAX(looks, (size_t)1) * (double)(in->n + in->n_bounds));
    for (size_t v = 0; v < in->n; v++) {
        out[v] = (struct pare_race_verdict){.rival = SIZE_MAX, .bound = broken_bound(&r, v)};
        all_broken = all_broken && out[v].bound != SIZE_MAX;
    }
    for (size_t v = 0; v < in->n; v++) {
        if (all_broken || !running[v])
            out[v].bound = SIZE_MAX;
        if (!running[v] || v == in->baseline)
            continue;
        if (out[v].bound == SIZE_MAX)
            out[v].rival = find_rival(&r, v);
        out[v].stop = out[v].bound != SIZE_MAX || out[v].rival != SIZE_MAX;
    }
    free(r.scratch);
    return PARE_OK;
}
