/* SPDX-License-Identifier: Apache-2.0 */
/* What is settled before anything is drawn: by summaries first, then pair by pair. */
#include "select/front_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "select/dominance.h"

#define LEVEL 0.999
#define Z 3.2905267314918945 /* normal quantile for it */
#define P_KEEPS 0.999        /* a rival that may break a bound settles nothing */
#define NONE ((struct pare_front_summary){NAN, NAN, NAN, NAN, NAN, NAN})

/* ---- summaries ---- */

/* Bonett and Price's interval is that of the differences of n + 2 pairs: the data, one gain and one
 * loss. Each variant's share of these, with its own standard deviation, gives intervals that are
 * apart only if theirs leaves out 0, because the deviation of a difference is at most the sum of
 * the two. */
struct pare_front_summary pare_front_summary_counts(size_t right, size_t n, size_t gain,
                                                    size_t loss)
{
    if (n == 0)
        return NONE;
    double N = (double)n, m = N + 2, p = (double)right / N, q = ((double)right + 1) / m;
    double d = ((double)gain - (double)loss) / N, moved = ((double)gain + (double)loss) / N;
    double half = Z * sqrt(q * (1 - q) / m);
    return (struct pare_front_summary){.value = p,
                                       .sem = sqrt(p * (1 - p) / N),
                                       .lo = q - half,
                                       .hi = q + half,
                                       .d = d,
                                       .d_sem = sqrt(fmax(moved - d * d, 0) / N)};
}

struct pare_front_summary pare_front_summary_ratio(struct pare_interval log_ratio, size_t rounds,
                                                   struct pare_front_memory *memory)
{
    if (memory->rounds != rounds) {
        double df = (double)(rounds - 2 * (rounds / 5)) - 1; /* of the trimmed mean */
        memory->rounds = rounds;
        memory->t95 = pare_stat_t_quantile(0.975, df);
        memory->t999 = pare_stat_t_quantile(1 - (1 - LEVEL) / 2, df);
    }
    double x = log_ratio.value, sem = fmax(x - log_ratio.lo, log_ratio.hi - x) / memory->t95;
    double half = sem * memory->t999;
    return (struct pare_front_summary){x,        sem, x - half,
                                       x + half, x,   sem}; /* NaN: too few rounds */
}

static struct pare_front_summary of_samples(const struct pare_front_metric *m, size_t baseline,
                                            size_t i)
{
    const float *x = m->sample[i], *base = m->sample[baseline];
    double n = (double)m->n_samples, sum = 0, squares = 0, d = 0, d_squares = 0;
    size_t right = 0, gain = 0, loss = 0;
    bool binary = !m->exponential;
    if (!x || m->n_samples == 0)
        return NONE;
    for (size_t k = 0; k < m->n_samples; k++) {
        double b = base ? (double)base[k] : (double)NAN, diff = (double)x[k] - b;
        binary = binary && (x[k] == 0 || x[k] == 1);
        right += x[k] > 0;
        gain += diff > 0;
        loss += diff < 0;
        sum += (double)x[k];
        d += diff;
    }
    if (binary && base)
        return pare_front_summary_counts(right, m->n_samples, gain, loss);
    for (size_t k = 0; k < m->n_samples; k++) {
        double a = (double)x[k] - sum / n;
        double b = base ? (double)x[k] - (double)base[k] - d / n : (double)NAN;
        squares += a * a;
        d_squares += b * b;
    }
    double sem = sqrt(squares / (n - 1) / n);
    double half = pare_stat_t_quantile(1 - (1 - LEVEL) / 2, n - 1) * sem;
    return (struct pare_front_summary){.value = sum / n,
                                       .sem = sem,
                                       .lo = sum / n - half,
                                       .hi = sum / n + half,
                                       .d = d / n,
                                       .d_sem = sqrt(d_squares / (n - 1) / n)};
}

static struct pare_front_summary of_rounds(const struct pare_front_metric *m, size_t i,
                                           double *scratch, struct pare_front_memory *memory)
{
    size_t n = 0;
    if (m->session[i] == SIZE_MAX)
        return NONE;
    const struct pare_front_session *s = &m->sessions[m->session[i]];
    for (size_t r = 0; r < s->n_rounds; r++) {
        double x = log(m->round[i][r] / s->baseline[r]);
        if (!isnan(x))
            scratch[n++] = x;
    }
    return pare_front_summary_ratio(pare_stat_trimmed_mean(scratch, n, 0.95, NULL), n, memory);
}

static size_t most_rounds(const struct pare_front_metric *m)
{
    size_t most = 0;
    for (size_t s = 0; s < m->n_sessions; s++)
        most = PARE_MAX(most, m->sessions[s].n_rounds);
    return most;
}

static struct pare_front_summary *summarise(const struct pare_front_input *in,
                                            const struct pare_front_metric *m)
{
    struct pare_front_memory memory = {0};
    struct pare_front_summary *out = pare_alloc(in->n, sizeof *out);
    bool timed = m->kind == PARE_FIGURE_ROUNDS;
    double *scratch = pare_alloc(timed ? most_rounds(m) : 0, sizeof *scratch);
    for (size_t i = 0; out && scratch && i < in->n; i++) {
        switch (m->kind) {
        case PARE_FIGURE_EXACT:
        case PARE_FIGURE_SPREAD: {
            double sem = m->kind == PARE_FIGURE_SPREAD && !isnan(m->sem[i]) ? m->sem[i] : 0;
            double x = m->value[i], base = m->value[in->baseline];
            out[i] = (struct pare_front_summary){x, sem, x - Z * sem, x + Z * sem, x - base, sem};
            break;
        }
        case PARE_FIGURE_SAMPLES:
            out[i] = of_samples(m, in->baseline, i);
            break;
        case PARE_FIGURE_ROUNDS:
            out[i] = of_rounds(m, i, scratch, &memory);
            break;
        }
    }
    if (!scratch) {
        free(out);
        out = NULL;
    }
    free(scratch);
    return out;
}

int pare__summaries_new(const struct pare_front_input *in, struct pare_summaries *s,
                        struct pare_error *err)
{
    *s = (struct pare_summaries){.in = in};
    s->metric = pare_calloc(in->n_metrics, sizeof *s->metric);
    s->own = pare_calloc(in->n_metrics, sizeof *s->own);
    s->reference = pare_calloc(in->n_metrics, sizeof *s->reference);
    if (!s->metric || !s->own || !s->reference)
        return pare_error_nomem(err, 0);
    for (size_t k = 0; k < in->n_metrics; k++) {
        const struct pare_front_metric *m = &in->metrics[k];
        s->metric[k] = m->summary;
        if (!m->summary && pare__metric_used(in, k)) {
            s->metric[k] = s->own[k] = summarise(in, m);
            if (!s->own[k])
                return pare_error_nomem(err, in->n * sizeof *s->own[k]);
        }
        if (m->kind != PARE_FIGURE_ROUNDS || m->n_sessions == 0)
            continue;
        size_t n = 0;
        double *times = pare_alloc(m->sessions[0].n_rounds, sizeof *times);
        if (!times)
            return pare_error_nomem(err, 0);
        for (size_t r = 0; r < m->sessions[0].n_rounds; r++) {
            if (!isnan(m->sessions[0].baseline[r]))
                times[n++] = log(m->sessions[0].baseline[r]);
        }
        struct pare_interval t = pare_stat_trimmed_mean(times, n, 0.95, NULL);
        s->reference[k].value = pare_stat_median(times, n);
        s->reference[k].sem = (t.hi - t.lo) / 4;
        free(times);
    }
    return PARE_OK;
}

void pare__summaries_free(struct pare_summaries *s)
{
    for (size_t k = 0; s->own && k < s->in->n_metrics; k++)
        free(s->own[k]);
    free(s->own);
    free(s->metric);
    free(s->reference);
    *s = (struct pare_summaries){0};
}

double pare__summary_point(const struct pare_summaries *s, size_t metric, size_t i)
{
    const struct pare_front_metric *m = &s->in->metrics[metric];
    if (m->kind == PARE_FIGURE_EXACT || m->kind == PARE_FIGURE_SPREAD)
        return m->value[i];
    if (!s->metric[metric])
        return (double)NAN;
    double x = s->metric[metric][i].value;
    if (m->kind == PARE_FIGURE_ROUNDS)
        return exp(s->reference[metric].value + x);
    return m->exponential ? exp(x) : x;
}

/* ---- bounds ---- */

static double normal_above(double margin, double sem)
{
    if (!(sem > 0))
        return isnan(margin) ? (double)NAN : margin >= 0 ? 1 : 0;
    return 0.5 * erfc(-margin / sem * M_SQRT1_2);
}

static double keeps(const struct pare_summaries *s, const struct pare_front_bound *b, size_t i)
{
    const struct pare_front_metric *m = &s->in->metrics[b->metric];
    struct pare_front_summary x = s->metric[b->metric][i],
                              base = s->metric[b->metric][s->in->baseline];
    double sign = b->direction;
    if (m->kind == PARE_FIGURE_ROUNDS) {
        double own = s->reference[b->metric].value; /* the limit as a log ratio to the baseline */
        if (!s->in->metrics[b->metric].n_sessions)
            return (double)NAN;
        double limit = log(pare_front_limit(b, exp(own))) - own;
        double noise = b->kind == PARE_LIMIT_BASELINE_TIMES ? 0 : s->reference[b->metric].sem;
        if (b->kind == PARE_LIMIT_BASELINE_PLUS)
            noise *= fabs(b->number) / fmax(exp(own) + b->number, 1e-300);
        return isnan(limit) ? (sign > 0)
                            : normal_above(sign * (x.value - limit), hypot(x.sem, noise));
    }
    if (m->exponential) {
        double limit = log(pare_front_limit(b, exp(base.value)));
        bool absolute = b->kind == PARE_LIMIT_ABSOLUTE;
        return isnan(limit) ? (sign > 0)
                            : normal_above(sign * (x.value - limit), absolute ? x.sem : x.d_sem);
    }
    double factor = b->kind == PARE_LIMIT_ABSOLUTE         ? 0
                    : b->kind == PARE_LIMIT_BASELINE_TIMES ? b->number
                                                           : 1;
    double shared = (x.sem * x.sem + base.sem * base.sem - x.d_sem * x.d_sem) / 2;
    double square = x.sem * x.sem + factor * factor * base.sem * base.sem - 2 * factor * shared;
    if (factor == 1)
        square = x.d_sem * x.d_sem;
    return normal_above(sign * (x.value - pare_front_limit(b, base.value)), sqrt(fmax(square, 0)));
}

double pare__summary_feasible(const struct pare_summaries *s, size_t i)
{
    double p = 1;
    for (size_t c = 0; c < s->in->n_bounds; c++)
        p *= keeps(s, &s->in->bounds[c], i);
    return p;
}

/* Whether a rival keeps every bound that what it beats keeps: by being better in that very metric,
 * or for sure. */
static bool may_settle(const struct pare_summaries *s, size_t i)
{
    for (size_t c = 0; c < s->in->n_bounds; c++) {
        const struct pare_front_bound *b = &s->in->bounds[c];
        const struct pare_front_metric *m = &s->in->metrics[b->metric];
        bool implied = m->objective && m->direction == b->direction;
        if (!implied && !(keeps(s, b, i) >= P_KEEPS))
            return false;
    }
    return true;
}

/* ---- by summaries ---- */

bool pare__settles(const struct pare_summaries *s, size_t j, size_t i)
{
    bool better = false;
    for (size_t m = 0; m < s->in->n_metrics; m++) {
        if (!s->in->metrics[m].objective)
            continue;
        const struct pare_front_summary *a = &s->metric[m][j], *b = &s->metric[m][i];
        double by = s->in->metrics[m].direction > 0 ? a->lo - b->hi : b->lo - a->hi;
        if (!(by >= 0))
            return false;
        better |= by > 0;
    }
    return better && may_settle(s, j);
}

int pare__settle(const struct pare_summaries *s, size_t *rival, struct pare_error *err)
{
    const struct pare_front_input *in = s->in;
    size_t k = 0, cells;
    int rc = PARE_OK;
    for (size_t m = 0; m < in->n_metrics; m++)
        k += in->metrics[m].objective;
    if (!pare_mul_size(in->n, k, &cells))
        return pare_error_nomem(err, 0);
    double *best = pare_alloc(cells, sizeof *best), *worst = pare_alloc(cells, sizeof *worst);
    bool *may = pare_calloc(in->n, sizeof *may);
    if (!best || !worst || !may) {
        rc = pare_error_nomem(err, cells * sizeof *best);
        goto out;
    }
    for (size_t i = 0; i < in->n; i++) {
        size_t c = i * k;
        for (size_t m = 0; m < in->n_metrics; m++) {
            if (!in->metrics[m].objective)
                continue;
            const struct pare_front_summary *x = &s->metric[m][i];
            bool higher = in->metrics[m].direction > 0;
            best[c] = higher ? -x->hi : x->lo;
            worst[c++] = higher ? -x->lo : x->hi;
        }
        for (size_t b = 0; b < in->n_bounds; b++) { /* what lacks a bounded figure is unmeasured */
            if (isnan(s->metric[in->bounds[b].metric][i].value))
                best[i * k] = worst[i * k] = (double)NAN;
        }
        may[i] = may_settle(s, i);
    }
    rc = pare_front_settled(best, worst, in->n, k, may, rival, NULL, err);
out:
    free(best);
    free(worst);
    free(may);
    return rc;
}

int pare_front_settle(const struct pare_front_input *in, size_t *rival, struct pare_error *err)
{
    struct pare_summaries s = {0};
    int rc = pare__front_check(in, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare__summaries_new(in, &s, err);
    if (rc == PARE_OK)
        rc = pare__settle(&s, rival, err);
    for (size_t k = 0; rc == PARE_OK && k < in->n_metrics; k++) {
        for (size_t i = 0; pare__metric_used(in, k) && i < in->n; i++) {
            if (isnan(s.metric[k][i].value))
                rival[i] = i;
        }
    }
    pare__summaries_free(&s);
    return rc;
}

/* ---- pair by pair ---- */

enum { T_KEPT = 64 };

struct pairs {
    const struct pare_front_input *in;
    const double *x; /* [n][k]: point estimates, smaller is better */
    size_t k, *objective;
    uint64_t **bits; /* [k]: of SAMPLES that are 0 or 1, [n][words]; else NULL */
    size_t *words;   /* [k] */
    double *scratch;
    double t[T_KEPT]; /* Student's quantiles by degrees of freedom; 0: not known yet */
};

static int pack(struct pairs *p, size_t c, struct pare_error *err)
{
    const struct pare_front_metric *m = &p->in->metrics[p->objective[c]];
    size_t words = m->n_samples / 64 + 1, total;
    if (m->kind != PARE_FIGURE_SAMPLES || m->exponential)
        return PARE_OK;
    for (size_t i = 0; i < p->in->n; i++) {
        for (size_t j = 0; m->sample[i] && j < m->n_samples; j++) {
            if (m->sample[i][j] != 0 && m->sample[i][j] != 1)
                return PARE_OK;
        }
    }
    if (!pare_mul_size(p->in->n, words, &total) ||
        !(p->bits[c] = pare_calloc(total, sizeof **p->bits)))
        return pare_error_nomem(err, 0);
    p->words[c] = words;
    for (size_t i = 0; i < p->in->n; i++) {
        for (size_t j = 0; m->sample[i] && j < m->n_samples; j++)
            p->bits[c][i * words + j / 64] |= (uint64_t)(m->sample[i][j] != 0) << (j % 64);
    }
    return PARE_OK;
}

static double t_quantile(struct pairs *p, size_t df)
{
    if (df >= T_KEPT)
        return pare_stat_t_quantile(1 - (1 - LEVEL) / 2, (double)df);
    if (p->t[df] == 0)
        p->t[df] = pare_stat_t_quantile(1 - (1 - LEVEL) / 2, (double)df);
    return p->t[df];
}

/* By how much j is surely better than i at the worst end; NaN: not known. In two sessions, or where
 * figures are no plain counts, as pare_front_compare() has it. */
static double surely_by(struct pairs *p, size_t c, size_t j, size_t i)
{
    size_t metric = p->objective[c];
    const struct pare_front_metric *m = &p->in->metrics[metric];
    if (m->kind == PARE_FIGURE_EXACT)
        return (m->value[j] - m->value[i]) * m->direction;
    if (p->bits[c]) {
        const uint64_t *a = p->bits[c] + j * p->words[c], *b = p->bits[c] + i * p->words[c];
        size_t gain = 0, loss = 0;
        for (size_t w = 0; w < p->words[c]; w++) {
            gain += (size_t)__builtin_popcountll(a[w] & ~b[w]);
            loss += (size_t)__builtin_popcountll(b[w] & ~a[w]);
        }
        double n = (double)m->n_samples + 2;
        double p12 = ((double)gain + 1) / n, p21 = ((double)loss + 1) / n, d = p12 - p21;
        double half = Z * sqrt((p12 + p21 - d * d) / n);
        return m->direction > 0 ? d - half : -d - half;
    }
    if (m->kind == PARE_FIGURE_ROUNDS && m->session[i] == m->session[j]) {
        double spread;
        size_t n = 0, rounds = m->sessions[m->session[i]].n_rounds;
        for (size_t r = 0; r < rounds; r++) {
            double d = log(m->round[j][r] / m->round[i][r]);
            if (!isnan(d))
                p->scratch[n++] = d;
        }
        /* No level: the quantile is known here. Without any spread the range comes all the same. */
        struct pare_interval d = pare_stat_trimmed_mean(p->scratch, n, (double)NAN, &spread);
        size_t kept = n - 2 * (n / 5);
        if (kept < 2)
            return (double)NAN;
        if (spread == 0)
            return m->direction > 0 ? d.lo : -d.hi;
        double half = t_quantile(p, kept - 1) * spread / sqrt((double)n);
        return m->direction * d.value - half;
    }
    struct pare_comparison d;
    if (pare_front_compare(p->in, metric, j, i, LEVEL, &d, NULL) != PARE_OK)
        return (double)NAN;
    double same = d.ratio ? 1 : 0;
    return m->direction > 0 ? d.difference.lo - same : same - d.difference.hi;
}

static bool beats(struct pairs *p, size_t j, size_t i)
{
    bool better = false;
    for (size_t c = 0; c < p->k; c++) {
        double by = surely_by(p, c, j, i);
        if (!(by >= 0))
            return false;
        better |= by > 0;
    }
    return better;
}

/* Cheap metrics first: most pairs end there. */
static void order_objectives(struct pairs *p)
{
    static const enum pare_figure_kind cheap[] = {PARE_FIGURE_EXACT, PARE_FIGURE_SPREAD,
                                                  PARE_FIGURE_SAMPLES, PARE_FIGURE_ROUNDS};
    size_t k = 0;
    for (size_t kind = 0; kind < PARE_COUNT(cheap); kind++) {
        for (size_t m = 0; m < p->in->n_metrics; m++) {
            if (p->in->metrics[m].objective && p->in->metrics[m].kind == cheap[kind])
                p->objective[k++] = m;
        }
    }
    p->k = k;
}

int pare__settle_pairs(const struct pare_summaries *s, const double *x, const bool *measured,
                       size_t *rival, size_t *compared, struct pare_error *err)
{
    const struct pare_front_input *in = s->in;
    struct pairs p = {.in = in, .x = x};
    size_t most = 0, n_rivals = 0, *rivals = pare_alloc(in->n, sizeof *rivals);
    bool *on = pare_calloc(in->n, sizeof *on), *may = pare_calloc(in->n, sizeof *may);
    int rc = PARE_OK;
    for (size_t m = 0; m < in->n_metrics; m++)
        most = PARE_MAX(most, most_rounds(&in->metrics[m]));
    p.objective = pare_alloc(in->n_metrics, sizeof *p.objective);
    p.bits = pare_calloc(in->n_metrics, sizeof *p.bits);
    p.words = pare_calloc(in->n_metrics, sizeof *p.words);
    p.scratch = pare_alloc(most, sizeof *p.scratch);
    if (!rivals || !on || !may || !p.objective || !p.bits || !p.words || !p.scratch) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    order_objectives(&p);
    for (size_t c = 0; c < p.k; c++)
        PARE_TRY(pack(&p, c, err));
    /* Rivals are those that none is better than by the estimates: few, and what any other would
     * settle besides is left to the bootstrap. */
    for (size_t i = 0; i < in->n; i++)
        may[i] = measured[i] && may_settle(s, i);
    PARE_TRY(pare_front_mask(x, in->n, p.k, may, on, err));
    for (size_t i = 0; i < in->n; i++) {
        if (on[i])
            rivals[n_rivals++] = i;
    }
    for (size_t i = 0; i < in->n; i++) {
        rival[i] = SIZE_MAX;
        for (size_t r = 0; measured[i] && r < n_rivals && rival[i] == SIZE_MAX; r++) {
            size_t j = rivals[r];
            if (!pare_dominates(x + j * p.k, x + i * p.k, p.k))
                continue;
            ++*compared;
            if (beats(&p, j, i))
                rival[i] = j;
        }
    }
out:
    for (size_t c = 0; p.bits && c < in->n_metrics; c++)
        free(p.bits[c]);
    free(p.bits);
    free(p.words);
    free(p.objective);
    free(p.scratch);
    free(rivals);
    free(on);
    free(may);
    return rc;
}
