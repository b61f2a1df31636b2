/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_STAGE_H
#define PARE_PLUGIN_STAGE_H

#include <stdbool.h>

#include "model/model.h"
#include "model/unit.h"
#include "plugin/catalog.h"
#include "plugin/step.h"

/* One number that a stage decided or changed for one unit. */
struct pare_unit_value {
    const char *stage, *unit, *role;
    const char *name; /* of the parameter */
    double value;
    double score; /* NaN: no score took part */
    uint64_t bytes_before, bytes_after, macs_before,
        macs_after; /* of the unit; after: 0 when it is gone */
};

/* What a stage needs from outside; the caller's, unchanged but for the counters. */
struct pare_stage_env {
    const struct pare_graph *baseline; /* the untouched model */
    struct pare_catalog *catalog;
    const float *images;    /* calibration samples: n * pare_graph_inputs() floats; may be NULL */
    const uint32_t *labels; /* n, or NULL */
    uint32_t n;
    uint64_t seed;
    uint32_t threads;
    const struct pare_host *host;  /* what plugins get; NULL: the host's own table */
    bool (*cancelled)(void *user); /* may be NULL */
    void (*log)(void *user, int level,
                const char *text);              /* may be NULL; level: enum pare_log_level */
    void (*progress)(void *user, double share); /* may be NULL */
    void (*record)(void *user, const struct pare_unit_value *value); /* may be NULL */
    void *user;
    /* Work of probes and measured allocations, in multiply-accumulates: all of it, what is left of
     * it by starting from stored activations, and what ran, as candidates were stopped early too.
     */
    uint64_t macs_naive, macs_stored, macs_run;
};

/* Apply one step to a graph (changed in place; on failure it is undefined but whole, to be freed).
 * Checks the result: finite, and still a graph that infers. The floating-point control state of
 * every thread is compared before and after. */
int pare_stage_apply(struct pare_stage_env *env, struct pare_graph *graph,
                     const struct pare_step *step, struct pare_error *err);

/* The plugin's own check of its parameters together, before any work. `model`: all units of the
 * untouched model, or NULL when it is not known. */
int pare_stage_check(struct pare_catalog *catalog, const struct pare_units *model,
                     const struct pare_step *step, struct pare_error *err);

/* Fill a score table of one column: `values` has one entry per unit of `kind` in `graph`.
 * Importance, higher is to be kept (a distortion is negated). Used by `pare model --score`, and by
 * stages. */
int pare_stage_score(struct pare_stage_env *env, const struct pare_graph *graph, const char *plugin,
                     const json_t *params, unsigned kind, double *values, size_t n,
                     struct pare_error *err);

#endif
