/* SPDX-License-Identifier: Apache-2.0 */
/* Two variants in one metric: paired wherever there is something to pair. */
#include "select/front.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static struct pare_interval exp_all(struct pare_interval x)
{
    return (struct pare_interval){exp(x.value), exp(x.lo), exp(x.hi)};
}

/* As many observations as a difference of d needs, when one observation has this spread. */
static size_t needed(double quantile, double spread, double d)
{
    double n = ceil(pow(quantile * spread / d, 2));
    return isfinite(n) && n < 1e15 ? (size_t)n : 0;
}

static int compare_samples(const struct pare_front_metric *m, size_t a, size_t b, double level,
                           struct pare_comparison *out, struct pare_error *err)
{
    const float *x = m->sample[a], *y = m->sample[b];
    size_t gain = 0, loss = 0, n = m->n_samples;
    bool binary = !m->exponential;
    double *d = NULL, spread, z = pare_stat_normal_quantile(1 - (1 - level) / 2);

    out->paired = true;
    out->n = n;
    for (size_t k = 0; k < n && binary; k++) {
        binary = (x[k] == 0 || x[k] == 1) && (y[k] == 0 || y[k] == 1);
        gain += x[k] > y[k];
        loss += x[k] < y[k];
    }
    if (binary) {
        out->difference = pare_stat_bonett_price(gain, loss, n, level);
        double p12 = ((double)gain + 1) / ((double)n + 2),
               p21 = ((double)loss + 1) / ((double)n + 2);
        out->n_needed = needed(z, sqrt(p12 + p21), p12 - p21);
    } else {
        d = pare_alloc(n, sizeof *d);
        if (!d)
            return pare_error_nomem(err, n * sizeof *d);
        for (size_t k = 0; k < n; k++)
            d[k] = (double)x[k] - (double)y[k];
        out->difference = pare_stat_mean(d, n, level, &spread);
        out->n_needed = needed(z, spread, out->difference.value);
        free(d);
    }
    out->distinct = out->difference.lo > 0 || out->difference.hi < 0;
    if (m->exponential) {
        out->ratio = true;
        out->difference = exp_all(out->difference);
    }
    return PARE_OK;
}

/* Log ratios of a to b per round (b SIZE_MAX: to the baseline) and their trimmed mean. */
static struct pare_interval log_ratio(const struct pare_front_metric *m, size_t a, size_t b,
                                      double level, double *scratch, size_t *n, double *spread)
{
    const struct pare_front_session *s = &m->sessions[m->session[a]];
    const double *against = b == SIZE_MAX ? s->baseline : m->round[b];
    *n = 0;
    for (size_t r = 0; r < s->n_rounds; r++) {
        double d = log(m->round[a][r] / against[r]);
        if (!isnan(d))
            scratch[(*n)++] = d;
    }
    return pare_stat_trimmed_mean(scratch, *n, level, spread);
}

static int compare_rounds(const struct pare_front_metric *m, size_t a, size_t b, double level,
                          struct pare_comparison *out, struct pare_error *err)
{
    double spread, p = 1 - (1 - level) / 2;
    size_t most =
        PARE_MAX(m->sessions[m->session[a]].n_rounds, m->sessions[m->session[b]].n_rounds);
    double *scratch = pare_alloc(most, sizeof *scratch);
    if (!scratch)
        return pare_error_nomem(err, most * sizeof *scratch);
    out->ratio = true;
    out->paired = m->session[a] == m->session[b];
    if (out->paired) {
        out->difference = log_ratio(m, a, b, level, scratch, &out->n, &spread);
        size_t kept = out->n - 2 * (out->n / 5);
        if (kept > 1)
            out->n_needed =
                needed(pare_stat_t_quantile(p, (double)(kept - 1)), spread, out->difference.value);
    } else { /* each against the baseline of its session: the errors add */
        size_t na, nb;
        struct pare_interval da = log_ratio(m, a, SIZE_MAX, level, scratch, &na, NULL);
        struct pare_interval db = log_ratio(m, b, SIZE_MAX, level, scratch, &nb, NULL);
        double half = hypot((da.hi - da.lo) / 2, (db.hi - db.lo) / 2), d = da.value - db.value;
        out->difference = (struct pare_interval){d, d - half, d + half};
        out->n = PARE_MIN(na, nb);
    }
    free(scratch);
    out->distinct = out->difference.lo > 0 || out->difference.hi < 0;
    out->difference = exp_all(out->difference);
    return PARE_OK;
}

int pare_front_compare(const struct pare_front_input *in, size_t metric, size_t a, size_t b,
                       double level, struct pare_comparison *out, struct pare_error *err)
{
    const struct pare_front_metric *m = &in->metrics[metric];
    bool there = false;
    int rc = PARE_OK;

    *out = (struct pare_comparison){0};
    switch (m->kind) {
    case PARE_FIGURE_EXACT:
    case PARE_FIGURE_SPREAD:
        there = !isnan(m->value[a]) && !isnan(m->value[b]);
        break;
    case PARE_FIGURE_SAMPLES:
        there = m->sample[a] && m->sample[b];
        break;
    case PARE_FIGURE_ROUNDS:
        there = m->session[a] != SIZE_MAX && m->session[b] != SIZE_MAX && m->round && m->round[a] &&
                m->round[b];
        break;
    }
    if (!there)
        return pare_error_set(err, PARE_NOT_FOUND, "%s is not known for both", m->name);
    if (m->kind == PARE_FIGURE_SAMPLES) {
        rc = compare_samples(m, a, b, level, out, err);
    } else if (m->kind == PARE_FIGURE_ROUNDS) {
        rc = compare_rounds(m, a, b, level, out, err);
    } else {
        double d = m->value[a] - m->value[b], half = 0;
        if (m->kind == PARE_FIGURE_SPREAD && !isnan(m->sem[a]) && !isnan(m->sem[b]))
            half = pare_stat_normal_quantile(1 - (1 - level) / 2) * hypot(m->sem[a], m->sem[b]);
        out->difference = (struct pare_interval){d, d - half, d + half};
        out->distinct = d - half > 0 || d + half < 0;
    }
    if (out->distinct || m->kind == PARE_FIGURE_EXACT)
        out->n_needed = 0;
    return rc;
}
