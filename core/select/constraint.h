/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_SELECT_CONSTRAINT_H
#define PARE_SELECT_CONSTRAINT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* The units that measured values are kept in. */
enum pare_metric_unit {
    PARE_METRIC_FRACTION, /* 0 to 1 */
    PARE_METRIC_MS,
    PARE_METRIC_BYTES,
    PARE_METRIC_COUNT,
    PARE_METRIC_NUMBER /* any number, with digits after the point */
};

/* A measured quantity that can be chosen by. */
struct pare_metric {
    const char *name;
    enum pare_metric_unit unit;
    bool higher; /* higher is better */
};

/* What this program measures, `latency_ms` being that of the first shape. */
const struct pare_metric *pare_metrics(size_t *n);

/* The metric of that name among `known`; NULL: none. */
const struct pare_metric *pare_metric_find(const char *name, const struct pare_metric *known,
                                           size_t n_known);

/* What to do about a name that is none of `known`: the nearest, and all there are. */
#define PARE_METRIC_HINT 384
void pare_metric_hint(const char *name, const struct pare_metric *known, size_t n_known,
                      char out[PARE_METRIC_HINT]);

/* METRIC (<=|>=) NUMBER | baseline + NUMBER | baseline - NUMBER | NUMBER * baseline, with the units
 * kB, MB, GB, ms, s, % and pp (percentage points). `value` is in the metric's own unit. */
enum pare_bound {
    PARE_BOUND_ABSOLUTE, /* value */
    PARE_BOUND_PLUS,     /* baseline + value */
    PARE_BOUND_TIMES     /* baseline * value */
};

struct pare_constraint {
    const struct pare_metric *metric; /* one of `known` */
    bool at_most;                     /* <=; else >= */
    enum pare_bound bound;
    double value;
};

/* Read a constraint. On PARE_INVALID (the text) or PARE_NOT_FOUND (a metric that is none of
 * `known`) `column` (may be NULL) tells where in `text`, from 1. Percentages must say of what:
 * `top1 >= 86%` and `50% * baseline` do, `latency_ms <= baseline - 20%` is a fifth of the baseline,
 * but `baseline - 1%` of a fraction is refused, because it may mean 1 pp. */
int pare_constraint_parse(const char *text, const struct pare_metric *known, size_t n_known,
                          struct pare_constraint *out, size_t *column, struct pare_error *err);

/* The limit in the metric's unit, given the baseline's value, and whether `value` keeps it. */
double pare_constraint_limit(const struct pare_constraint *c, double baseline);
bool pare_constraint_holds(const struct pare_constraint *c, double value, double baseline);

#endif
