/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_SELECT_RACE_H
#define PARE_SELECT_RACE_H

#include "select/front.h"

/* Which variants need no more samples, because they are off the front or out of bounds beyond
 * doubt. `in` holds what is known now: figures that are exact or measured, and, of the metrics that
 * are still being measured, the samples so far (the same ones for all). A variant that may be
 * stopped is stopped when
 * - it breaks a bound, unless every variant does; or
 * - a rival is better in every objective (no worse where they are exact), and keeps every bound
 * that the variant keeps. All intervals are paired. Those over samples are at 1 - 0.001 / (looks x
 * (variants + bounds)), so that the chance of stopping a variant wrongly, over all looks, rivals
 * and bounds, is below 0.001; those over rounds, of which no more will come, at 0.999, as in the
 * front. What lacks a figure neither stops nor is stopped by what needs it. */
struct pare_race_verdict {
    bool stop;
    size_t rival; /* who is better; SIZE_MAX: a bound is broken */
    size_t bound; /* which one; SIZE_MAX: a rival is better */
};

/* `running`: [n] who may be stopped (never the baseline); `looks`: how often this is asked in all;
 * `out`: [n]. Errors: PARE_NOMEM. Pure function, any thread. */
int pare_race_decide(const struct pare_front_input *in, const bool *running, size_t looks,
                     struct pare_race_verdict *out, struct pare_error *err);

#endif
