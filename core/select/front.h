/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_SELECT_FRONT_H
#define PARE_SELECT_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/stat.h"
#include "base/status.h"

/* The Pareto front under noise: a bootstrap in which every replicate draws the same rounds and the
 * same samples for all variants, and sorts plainly. p_front is the share of replicates in which a
 * variant meets the constraints and no other one that does is better. Plain arrays in, plain arrays
 * out; no database. Pure functions: any thread. */

enum pare_figure_kind {
    PARE_FIGURE_EXACT,   /* value[i], without error: bytes, MACs */
    PARE_FIGURE_SPREAD,  /* value[i] with standard error sem[i]: unpaired */
    PARE_FIGURE_SAMPLES, /* the mean over samples of sample[i][]: correct or not, nats per window */
    PARE_FIGURE_ROUNDS,  /* latency: log ratios to the baseline in the same session and round */
};

/* One interleaved session of a latency metric: the baseline's time in each of its rounds, > 0, or
 * NaN where it was not visited: that round then counts for nobody. */
struct pare_front_session {
    const double *baseline;
    size_t n_rounds;
};

/* What is known of a variant in a noisy metric without its samples or rounds: enough to tell what
 * is settled without looking closer. All NaN where it is missing. */
struct pare_front_summary {
    double value;    /* SAMPLES: their mean; ROUNDS: log ratio to the baseline, a trimmed mean */
    double sem;      /* its standard error */
    double lo, hi;   /* its interval at 99.9 % */
    double d, d_sem; /* SAMPLES: mean difference to the baseline, sample by sample */
};

struct pare_front_metric {
    const char *name;
    enum pare_figure_kind kind;
    int direction;                             /* +1: higher is better, -1: lower is better */
    bool objective;                            /* else it serves constraints only */
    double tolerance;                          /* differences up to it do not matter in practice */
    bool relative;                             /* tolerance is a share of the value */
    bool exponential;                          /* SAMPLES: the figure is exp(mean): perplexity */
    bool log_scale;                            /* for the knee: bytes, times */
    const double *value;                       /* EXACT, SPREAD: [n], NaN where missing */
    const double *sem;                         /* SPREAD: [n] */
    size_t n_samples;                          /* SAMPLES */
    const float *const *sample;                /* [n] pointers to [n_samples]; NULL where missing */
    const struct pare_front_session *sessions; /* ROUNDS: [0] is the reference */
    size_t n_sessions;
    const size_t *session; /* [n]: index of the variant's session, SIZE_MAX where missing */
    const double *const
        *round; /* [n] pointers to [that session's n_rounds], NaN where not visited */
    const struct pare_front_summary *summary; /* [n], or NULL: found from the figures themselves.
                                                 SAMPLES and ROUNDS only */
};

/* METRIC <= or >= NUMBER | baseline + NUMBER | NUMBER * baseline, with the metric looked up. */
enum pare_limit_kind { PARE_LIMIT_ABSOLUTE, PARE_LIMIT_BASELINE_PLUS, PARE_LIMIT_BASELINE_TIMES };
struct pare_front_bound {
    size_t metric; /* index into the metrics */
    int direction; /* -1: at most, +1: at least */
    enum pare_limit_kind kind;
    double number;
};

struct pare_front_input {
    size_t n, baseline; /* variants; index of the baseline */
    const struct pare_front_metric *metrics;
    size_t n_metrics;
    const struct pare_front_bound *bounds;
    size_t n_bounds;
    size_t replicates; /* 0: 1000 */
    uint64_t seed;
    const size_t *settled; /* [n] as pare_front_settle() left it: SAMPLES and ROUNDS of what has a
                              rival are not read, but for the baseline; NULL: found here */
    bool draw_all;         /* settle nothing: everything that is measured reaches the bootstrap */
};

enum pare_front_status {
    PARE_FRONT_SURE,  /* p >= 0.95 */
    PARE_FRONT_FRONT, /* p >= 0.5 */
    PARE_FRONT_MAYBE, /* p >= 0.1: too close to call */
    PARE_FRONT_OUT,
    PARE_FRONT_INFEASIBLE, /* meets the constraints in less than 1 replicate of 20 */
    PARE_FRONT_UNMEASURED, /* lacks a figure that an objective or constraint needs */
};

/* "sure", "front", ... as the database stores it. */
const char *pare_front_status_name(enum pare_front_status status);

struct pare_front_item {
    enum pare_front_status status;
    double p_front, p_feasible; /* NaN when unmeasured */
    size_t rank;      /* of the non-dominated sort of the point estimates; SIZE_MAX: not in it */
    size_t rival;     /* the one that beats it most surely; SIZE_MAX: none does */
    bool beaten;      /* left out before the bootstrap: beaten at both ends of 99.9 % intervals.
                         Its p_feasible is then that of normal errors */
    size_t folded;    /* the member it is practically the same as; SIZE_MAX: none */
    double knee;      /* scaled distance below the chord; NaN off the front */
    size_t missing;   /* unmeasured: index of the first metric that lacks; SIZE_MAX: none */
    double shortfall; /* sum over the constraints of the relative miss of the point estimate; 0:
                         none */
    size_t
        settle_metric;  /* the metric whose noise leaves it undecided; SIZE_MAX: decided or exact */
    size_t settle_more; /* that many more rounds or samples would decide against its rival; 0:
                           unknown */
};

struct pare_front {
    size_t n, n_metrics;
    struct pare_front_item *items; /* [n] */
    double *point; /* [n][n_metrics]: figures in their own units; NaN where missing */
    size_t
        *order; /* the front and maybe, by latency (first ROUNDS objective), else first objective */
    size_t n_order;
    size_t knee;     /* SIZE_MAX: none */
    size_t limiting; /* the metric whose noise leaves most undecided; SIZE_MAX: nothing undecided */
    size_t nearest_miss; /* when nothing is feasible, the smallest shortfall; else SIZE_MAX */
    size_t n_feasible;   /* p_feasible >= 0.5 */
    size_t n_compared;   /* pairs that were compared by samples and rounds to leave one out */
    size_t n_drawn;      /* variants that reached the bootstrap */
};

/* What one rival beats in every objective however the errors fall: rival[i]; i itself where a
 * figure lacks that an objective or a bound needs; SIZE_MAX for what has to be looked at. Reads
 * EXACT values and summaries only, so that samples and rounds need not be there yet (metrics
 * without summaries are summarised from them). Intervals are each variant's own at 99.9 %, never
 * narrower than the paired ones, and the rival keeps every bound that the variant keeps. n log n up
 * to three objectives. Errors: PARE_NOMEM, and those of pare_front_compute(). */
int pare_front_settle(const struct pare_front_input *in, size_t *rival, struct pare_error *err);

/* Summaries. Of `right` in `n` samples, where `gain` are right here and wrong in the baseline and
 * `loss` the other way round. And of the log ratio of a time to the baseline's over `rounds`
 * rounds, from its interval at 95 %; the quantiles are remembered from one call to the next in
 * `memory`, which begins as zeros. */
struct pare_front_memory {
    size_t rounds;
    double t95, t999;
};
struct pare_front_summary pare_front_summary_counts(size_t right, size_t n, size_t gain,
                                                    size_t loss);
struct pare_front_summary pare_front_summary_ratio(struct pare_interval log_ratio, size_t rounds,
                                                   struct pare_front_memory *memory);

/* PARE_INVALID: no objective, a baseline that is not there, a bound on no metric, a round that is
 * not positive. Release with pare_front_free(). */
int pare_front_compute(const struct pare_front_input *in, struct pare_front *out,
                       struct pare_error *err);
void pare_front_free(struct pare_front *front);

/* Two variants in one metric, paired where both have samples or rounds of one session: the
 * difference a - b, but for ROUNDS the ratio a / b and for exponential metrics exp(difference).
 * Exact metrics have no width. */
struct pare_comparison {
    struct pare_interval difference;
    bool ratio;
    bool paired;     /* false: through the baseline, or by standard errors */
    bool distinct;   /* the interval leaves out "the same" */
    size_t n;        /* samples or rounds compared; 0: exact */
    size_t n_needed; /* to tell them apart if the difference is as estimated; 0: unknown, or told
                        apart */
};
/* PARE_NOT_FOUND: one of them lacks the metric, or its samples or rounds were not needed. */
int pare_front_compare(const struct pare_front_input *in, size_t metric, size_t a, size_t b,
                       double level, struct pare_comparison *out, struct pare_error *err);

/* The limit of a bound as a number in the metric's own unit, from the baseline's point estimate. */
double pare_front_limit(const struct pare_front_bound *bound, double baseline);
/* How far a figure is inside such a limit: at least 0 when it keeps it, NaN when either lacks. */
double pare_front_room(const struct pare_front_bound *bound, double limit, double value);

#endif
