/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_CHOOSE_H
#define PARE_PIPELINE_CHOOSE_H

#include <jansson.h>

#include "db/store.h"
#include "select/constraint.h"
#include "select/front.h"

/* Which figures to choose by. All may be NULL or 0, see pare_trials_load(). */
struct pare_choice_query {
    const char *pipeline, *host, *shape;
    const char *const *constraints; /* further ones; each replaces the pipeline's own on the same
                                       metric and side */
    size_t n_constraints;
    const char *const
        *closely; /* hashes of variants whose samples and rounds are wanted even where
                     the front is settled without them; those of their rivals come too */
    size_t n_closely;
    bool whole; /* samples and rounds of all */
};

/* The front of a pipeline out of the database, with everything it was made of. Read-only; texts and
 * arrays live until pare_choice_free(). Metrics are in the units of pare_metrics(): milliseconds,
 * bytes, fractions. */
struct pare_choice {
    struct pare_trials trials; /* the variants, in the order of all arrays */
    struct pare_metric *known; /* every metric that can be named, one per entry of input.metrics */
    size_t n_known;
    struct pare_constraint *constraints; /* one per entry of input.bounds */
    const char **constraint_texts;
    size_t n_constraints;
    struct pare_front_input input;
    struct pare_front front;
    char data_hash[PARE_HASH_HEX]; /* of all figures that went in */
    int64_t changes;               /* pare_store_changes() when they were read */
    struct pare_pool pool;
};

/* Load a pipeline's figures and compute its front. Samples and rounds come only of what is not
 * settled without them (the others compare with nothing, see pare_front_compare()). Besides the
 * metrics of pare_metrics() there is `latency_ms.NAME` for every shape but the first; `latency_ms`
 * is that of the query's shape. Errors: those of pare_trials_load(), pare_constraint_parse() and
 * pare_front_compute(); PARE_INVALID: no baseline. One thread per store. */
int pare_choice_make(struct pare_store *store, const struct pare_choice_query *query,
                     struct pare_choice *out, struct pare_error *err);
void pare_choice_free(struct pare_choice *choice);

/* A metric that says how good a model is, and the column of the views that has its paired change
 * from the baseline's (with _lo and _hi); NULL: it is not compared sample by sample. */
struct pare_quality {
    const char *metric, *change;
    bool log; /* the change is that of the logarithm */
};
const struct pare_quality *pare_qualities(size_t *n);
/* That of a metric; NULL: it is none. */
const struct pare_quality *pare_quality_of(const char *metric);

/* The front in short, for the database and for people, as a new reference:
 *   variants, failed, impossible, stopped: counts
 *   quality: the metric of pare_qualities() that is chosen by, else the first that was measured
 *   data, samples: what that is of; samples 0: of none
 *   host, shape, batch, threads, session, rounds: of the baseline's latency; without a host nothing
 *     was timed
 *   hidden: counts by status of what a table for people leaves out, with `folded`
 *   broken: metrics whose limits are broken
 *   knee, nearest (what meets the constraints most nearly when nothing does), ask (what is most
 *     worth a look): labels
 *   breaks: the constraint that the nearest one breaks
 *   feasible: count
 *   limit: {metric, more, of, settles}: whose noise decides, and how many more samples or rounds
 *     would settle which variant; {missing, waiting}: a metric and how many lack it
 * What does not apply is left out. Errors: PARE_NOMEM, and the store's. */
int pare_choice_summary(struct pare_store *store, const struct pare_choice *choice, json_t **out,
                        struct pare_error *err);

/* Whether a table for people has the variant without being asked for all. */
bool pare_choice_shown(const struct pare_choice *choice, size_t variant);

/* Write the front with the rule, seed and hash that make it again. `*id` may be NULL. Errors: those
 * of pare_store_front(). */
int pare_choice_store(struct pare_store *store, const struct pare_choice *choice, int64_t *id,
                      struct pare_error *err);

/* Index of the metric (SIZE_MAX: not known), and of the variant with that hash (SIZE_MAX: not a
 * current one). */
size_t pare_choice_metric(const struct pare_choice *choice, const char *name);
size_t pare_choice_variant(const struct pare_choice *choice, const char *hash);

/* The constraint that the variant's figures miss by most, relative to its limit; SIZE_MAX: it keeps
 * all. */
size_t pare_choice_broken(const struct pare_choice *choice, size_t variant);

/* Whether the metric was measured of the variant, and has a value for no sample: nothing that would
 * be measured later. */
bool pare_choice_empty(const struct pare_choice *choice, size_t variant, size_t metric);

/* One line for people: why the variant stands where it stands. `out` holds 256 bytes. */
void pare_choice_why(const struct pare_choice *choice, size_t variant, char *out);

#endif
