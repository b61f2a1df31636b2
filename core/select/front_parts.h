/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_SELECT_FRONT_PARTS_H
#define PARE_SELECT_FRONT_PARTS_H

#include "base/random.h"
#include "select/front.h"

/* The bootstrap's draws: figures of all variants in one replicate. */
struct pare_draw;

int pare__draw_new(const struct pare_front_input *in, struct pare_draw **out,
                   struct pare_error *err);
void pare__draw_free(struct pare_draw *draw);

/* Point estimates: value[i * n_metrics + m]; NaN where missing. */
void pare__draw_point(struct pare_draw *draw, double *value);

/* One replicate; the same draw of rounds (per session) and samples for every variant. */
void pare__draw_replicate(struct pare_draw *draw, struct pare_random *random, double *value);

/* The bootstrap over some of the variants: `out` has room for them, `drawn` tells who takes part.
 */
int pare__front_drawn(const struct pare_front_input *in, bool *drawn, struct pare_front *out,
                      struct pare_error *err);
/* Of a variant that is measured, by how often it is on the front and keeps its bounds. */
enum pare_front_status pare__front_status(double p, double feasible);

/* Refuses what pare_front_compute() refuses. */
int pare__front_check(const struct pare_front_input *in, struct pare_error *err);

/* Whether an objective or a bound needs the metric. */
bool pare__metric_used(const struct pare_front_input *in, size_t metric);

/* Summaries of all metrics that objectives and bounds need. */
struct pare_summaries {
    const struct pare_front_input *in;
    const struct pare_front_summary **metric; /* [n_metrics] of [n]; NULL: not needed */
    struct pare_front_summary **own;          /* those that were found here */
    struct {
        double value, sem;
    } * reference; /* [n_metrics]: log of the baseline's own time in the reference session */
};
int pare__summaries_new(const struct pare_front_input *in, struct pare_summaries *s,
                        struct pare_error *err);
void pare__summaries_free(struct pare_summaries *s);

/* The figure in its own unit, and how likely all bounds are kept, by normal errors. */
double pare__summary_point(const struct pare_summaries *s, size_t metric, size_t i);
double pare__summary_feasible(const struct pare_summaries *s, size_t i);

/* pare_front_settle() on summaries that are there. */
int pare__settle(const struct pare_summaries *s, size_t *rival, struct pare_error *err);

/* Whether j, by summaries, beats i however the errors fall. */
bool pare__settles(const struct pare_summaries *s, size_t j, size_t i);

/* rival[i]: one that beats i in every objective by samples and rounds, at 99.9 %; SIZE_MAX: none of
 * those that could, by their point estimates `x` ([n][objectives], smaller is better). */
int pare__settle_pairs(const struct pare_summaries *s, const double *x, const bool *measured,
                       size_t *rival, size_t *compared, struct pare_error *err);

#endif
