/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_RUN_H
#define PARE_PIPELINE_RUN_H

#include <stdbool.h>

#include "db/store.h"
#include "pipeline/plan.h"
#include "pipeline/spec_env.h"

/* Running a pipeline: the supervisor. It never enters a parallel region and runs no model: that is
 * what its workers do. Everything that ends well is committed at once, so that a kill loses only
 * what was in flight, and running again goes on from there. */

enum { PARE_ROUNDS = 12, PARE_ROUNDS_QUICK = 6 };

struct pare_run_options {
    const char *program; /* this executable */
    const json_t *reads; /* the world's: what workers read */
    unsigned jobs;       /* workers side by side for building and evaluating; 0: one per CPU */
    unsigned rounds;     /* of a latency session; 0: PARE_ROUNDS */
    double session_s;    /* time budget of a session; 0: 15 minutes */
    bool retry;          /* failed attempts of before count no more */
    bool no_latency;     /* leave the timing phase out */
    bool quiet;          /* no progress */
};

struct pare_run_summary {
    size_t variants, skipped, ready; /* ready: built and evaluated, now or before */
    size_t built, evaluated, timed;  /* in this run */
    size_t failed, blocked;
    size_t stopped;              /* by racing, now or before */
    size_t started;              /* evaluations that began from stored activations */
    double macs_run, macs_naive; /* of evaluations per sample: what ran, and without that */
    bool interrupted;
    char first_failure[256];
};

/* Build, evaluate and time what is not known yet; choose, and confirm the chosen. The store is open
 * for writing; it is locked while this runs. PARE_CANCELLED: interrupted (what was done is kept).
 */
int pare_run(struct pare_store *store, const struct pare_pipeline *pipeline,
             const struct pare_run_plan *plan, const struct pare_run_options *options,
             struct pare_run_summary *summary, struct pare_error *err);

/* The `data` callback for struct pare_world: hash and number of the samples that an entry reads.
 * Wants the world's model open. `user` is the world. */
int pare_run_data(void *user, struct pare_data *data, struct pare_error *err);

/* The machine's memory in bytes, or what PARE_MEMORY says that may be used of it: containers show
 * the machine's. */
uint64_t pare_run_memory(void);

/* The folder of built models beside a database: NAME.db.d. Freed with free(). */
char *pare_run_folder(const char *database);

#endif
