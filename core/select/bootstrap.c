/* SPDX-License-Identifier: Apache-2.0 */
#include "select/front_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Samples of a metric. What all variants share moves every figure alike, so it is summed once; only
 * the samples in which they differ are summed per variant. */
struct sampled {
    size_t n_differ, n_same;
    size_t *differ, *same;
    float *same_value;
    float *value;  /* [n][n_differ] */
    float *weight; /* [n_differ], of this draw */
    size_t group;  /* whose draw: the first metric with as many samples */
};

struct timed {
    double *ratio; /* all variants' log ratios, one after another */
    size_t *start; /* [n]: where a variant's begin */
};

struct pare_draw {
    const struct pare_front_input *in;
    struct sampled *sampled; /* [n_metrics] */
    struct timed *timed;     /* [n_metrics] */
    uint16_t *count;         /* draws per sample, for the largest number of samples */
    size_t *picked;          /* rounds drawn */
    double *scratch;
};

static bool differs(const struct pare_front_metric *m, size_t n, size_t at, float *common)
{
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        if (!m->sample[i])
            continue;
        if (first)
            *common = m->sample[i][at];
        else if (m->sample[i][at] != *common)
            return true;
        first = false;
    }
    return false;
}

static int prepare_samples(const struct pare_front_input *in, size_t at, struct sampled *s,
                           struct pare_error *err)
{
    const struct pare_front_metric *m = &in->metrics[at];
    size_t total;
    float common = 0;
    s->differ = pare_alloc(m->n_samples, sizeof *s->differ);
    s->same = pare_alloc(m->n_samples, sizeof *s->same);
    s->same_value = pare_alloc(m->n_samples, sizeof *s->same_value);
    s->weight = pare_alloc(m->n_samples, sizeof *s->weight);
    if (!s->differ || !s->same || !s->same_value || !s->weight)
        return pare_error_nomem(err, m->n_samples * sizeof *s->differ);
    for (size_t k = 0; k < m->n_samples; k++) {
        if (differs(m, in->n, k, &common)) {
            s->differ[s->n_differ++] = k;
        } else {
            s->same_value[s->n_same] = common;
            s->same[s->n_same++] = k;
        }
    }
    if (!pare_mul_size(in->n, s->n_differ, &total) ||
        !(s->value = pare_alloc(total, sizeof *s->value)))
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < in->n; i++) {
        for (size_t k = 0; m->sample[i] && k < s->n_differ; k++)
            s->value[i * s->n_differ + k] = m->sample[i][s->differ[k]];
    }
    for (s->group = 0; s->group < at; s->group++) {
        const struct pare_front_metric *other = &in->metrics[s->group];
        if (other->kind == PARE_FIGURE_SAMPLES && other->n_samples == m->n_samples)
            break;
    }
    return PARE_OK;
}

static int prepare_rounds(const struct pare_front_input *in, size_t at, struct timed *t,
                          struct pare_error *err)
{
    const struct pare_front_metric *m = &in->metrics[at];
    size_t total = 0;
    t->start = pare_calloc(in->n, sizeof *t->start);
    if (!t->start)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < in->n; i++) {
        t->start[i] = total;
        if (m->session[i] != SIZE_MAX)
            total += m->sessions[m->session[i]].n_rounds;
    }
    t->ratio = pare_alloc(total, sizeof *t->ratio);
    if (!t->ratio)
        return pare_error_nomem(err, total * sizeof *t->ratio);
    for (size_t i = 0; i < in->n; i++) {
        if (m->session[i] == SIZE_MAX)
            continue;
        const struct pare_front_session *s = &m->sessions[m->session[i]];
        for (size_t r = 0; r < s->n_rounds; r++)
            t->ratio[t->start[i] + r] = log(m->round[i][r] / s->baseline[r]);
    }
    return PARE_OK;
}

int pare__draw_new(const struct pare_front_input *in, struct pare_draw **out,
                   struct pare_error *err)
{
    size_t most_samples = 0, most_rounds = 0;
    int rc = PARE_OK;
    struct pare_draw *d = pare_calloc(1, sizeof *d);
    if (!d)
        return pare_error_nomem(err, sizeof *d);
    d->in = in;
    d->sampled = pare_calloc(in->n_metrics, sizeof *d->sampled);
    d->timed = pare_calloc(in->n_metrics, sizeof *d->timed);
    if (!d->sampled || !d->timed) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (size_t k = 0; k < in->n_metrics; k++) {
        const struct pare_front_metric *m = &in->metrics[k];
        if (m->kind == PARE_FIGURE_SAMPLES) {
            PARE_TRY(prepare_samples(in, k, &d->sampled[k], err));
            most_samples = PARE_MAX(most_samples, m->n_samples);
        } else if (m->kind == PARE_FIGURE_ROUNDS) {
            PARE_TRY(prepare_rounds(in, k, &d->timed[k], err));
            for (size_t s = 0; s < m->n_sessions; s++)
                most_rounds = PARE_MAX(most_rounds, m->sessions[s].n_rounds);
        }
    }
    d->count = pare_calloc(most_samples, sizeof *d->count);
    d->picked = pare_alloc(most_rounds, sizeof *d->picked);
    d->scratch = pare_alloc(most_rounds, sizeof *d->scratch);
    if (!d->count || !d->picked || !d->scratch) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    *out = d;
    d = NULL;
out:
    pare__draw_free(d);
    return rc;
}

void pare__draw_free(struct pare_draw *d)
{
    if (!d)
        return;
    for (size_t k = 0; d->sampled && k < d->in->n_metrics; k++) {
        free(d->sampled[k].differ);
        free(d->sampled[k].same);
        free(d->sampled[k].same_value);
        free(d->sampled[k].value);
        free(d->sampled[k].weight);
    }
    for (size_t k = 0; d->timed && k < d->in->n_metrics; k++) {
        free(d->timed[k].ratio);
        free(d->timed[k].start);
    }
    free(d->sampled);
    free(d->timed);
    free(d->count);
    free(d->picked);
    free(d->scratch);
    free(d);
}

/* n draws among n samples: counts of a multinomial. Two draws of 32 bits from each number; the bias
 * of the multiplication is below n / 2^32. */
static void draw_counts(struct pare_random *random, uint16_t *count, size_t n)
{
    memset(count, 0, n * sizeof *count);
    for (size_t i = 0; i < n; i += 2) {
        uint64_t x = pare_random_u64(random);
        count[(x >> 32) * n >> 32]++;
        if (i + 1 < n)
            count[(x & 0xffffffffu) * n >> 32]++;
    }
}

/* Means under the current counts (random) or plain (count NULL). */
static void sample_figures(struct pare_draw *d, size_t at, const uint16_t *count, double *value)
{
    const struct pare_front_metric *m = &d->in->metrics[at];
    struct sampled *s = &d->sampled[at];
    double shared = 0;
    for (size_t k = 0; k < s->n_same; k++)
        shared += (double)s->same_value[k] * (count ? (double)count[s->same[k]] : 1.0);
    for (size_t k = 0; k < s->n_differ; k++)
        s->weight[k] = count ? (float)count[s->differ[k]] : 1.0f;
    for (size_t i = 0; i < d->in->n; i++) {
        double sum = shared;
        const float *x = s->value + i * s->n_differ;
        double *out = &value[i * d->in->n_metrics + at];
        if (!m->sample[i]) {
            *out = (double)NAN;
            continue;
        }
        for (size_t k = 0; k < s->n_differ; k++)
            sum += (double)(x[k] * s->weight[k]);
        *out = sum / (double)m->n_samples;
        if (m->exponential)
            *out = exp(*out);
    }
}

/* The median over the picked rounds (NULL: all) of x, leaving NaN out. */
static double median_of(struct pare_draw *d, const double *x, const size_t *picked, size_t n)
{
    size_t kept = 0;
    for (size_t r = 0; r < n; r++) {
        double v = x[picked ? picked[r] : r];
        if (!isnan(v))
            d->scratch[kept++] = v;
    }
    return pare_stat_median(d->scratch, kept);
}

static void round_figures(struct pare_draw *d, size_t at, struct pare_random *random, double *value)
{
    const struct pare_front_metric *m = &d->in->metrics[at];
    size_t width = d->in->n_metrics;
    double reference = (double)NAN;
    for (size_t i = 0; i < d->in->n; i++)
        value[i * width + at] = (double)NAN;
    for (size_t s = 0; s < m->n_sessions; s++) {
        const struct pare_front_session *session = &m->sessions[s];
        size_t n = session->n_rounds;
        for (size_t r = 0; random && r < n; r++)
            d->picked[r] = (size_t)pare_random_below(random, n);
        const size_t *picked = random ? d->picked : NULL;
        if (s == 0)
            reference = median_of(d, session->baseline, picked, n);
        for (size_t i = 0; i < d->in->n; i++) {
            if (m->session[i] == s)
                value[i * width + at] =
                    reference *
                    exp(median_of(d, d->timed[at].ratio + d->timed[at].start[i], picked, n));
        }
    }
}

static void figures(struct pare_draw *d, struct pare_random *random, double *value)
{
    const struct pare_front_input *in = d->in;
    for (size_t k = 0; k < in->n_metrics; k++) {
        const struct pare_front_metric *m = &in->metrics[k];
        switch (m->kind) {
        case PARE_FIGURE_EXACT:
        case PARE_FIGURE_SPREAD:
            for (size_t i = 0; i < in->n; i++) {
                double noise = random && m->kind == PARE_FIGURE_SPREAD && !isnan(m->sem[i])
                                   ? m->sem[i] * pare_random_normal(random)
                                   : 0;
                value[i * in->n_metrics + k] = m->value[i] + noise;
            }
            break;
        case PARE_FIGURE_SAMPLES:
            break; /* below: metrics with as many samples share a draw */
        case PARE_FIGURE_ROUNDS:
            round_figures(d, k, random, value);
            break;
        }
    }
    for (size_t g = 0; g < in->n_metrics; g++) {
        if (in->metrics[g].kind != PARE_FIGURE_SAMPLES || d->sampled[g].group != g)
            continue;
        if (random)
            draw_counts(random, d->count, in->metrics[g].n_samples);
        for (size_t k = g; k < in->n_metrics; k++) {
            if (in->metrics[k].kind == PARE_FIGURE_SAMPLES && d->sampled[k].group == g)
                sample_figures(d, k, random ? d->count : NULL, value);
        }
    }
}

void pare__draw_point(struct pare_draw *draw, double *value)
{
    figures(draw, NULL, value);
}

void pare__draw_replicate(struct pare_draw *draw, struct pare_random *random, double *value)
{
    figures(draw, random, value);
}
