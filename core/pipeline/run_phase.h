/* SPDX-License-Identifier: Apache-2.0 */
/* Workers at their seats, and the phase that they work in. Internal to core/pipeline/run_build.c
 * and run_finish.c. */
#ifndef PARE_PIPELINE_RUN_PHASE_H
#define PARE_PIPELINE_RUN_PHASE_H

#include "pipeline/run_share.h"

enum job_kind { JOB_NONE, JOB_BUILD, JOB_POINTS, JOB_EVAL };

/* One worker and what it is at. */
struct seat {
    struct pare_child child;
    enum job_kind job;
    size_t node;     /* of a build; of an evaluation: the variant's */
    size_t variant;  /* of an evaluation */
    int64_t attempt; /* at a build; an evaluation's is the variant's */
    double since;
    struct pare_run_bound bound;
    char stage[128], plugin[128];
    const char *killed; /* why we ended it; NULL: we did not */
};

struct phase {
    struct pare_runner *r;
    struct pare_run_samples *samples;
    const bool *only; /* variants to evaluate; NULL: all */
    size_t look;
    bool *waiting; /* scratch: a mask over variants */
    struct pare_share share;
    struct seat *seats;
    size_t n_seats;
    size_t most_busy;          /* seats at work together, so that they fit into memory */
    unsigned long long widest; /* most memory that a worker has had */
    int rc;                    /* of the store: a failure there ends the run */
    struct pare_error *err;
};

/* run_build.c: whether a variant is still to be evaluated in this look. */
bool pare_phase_wants(const struct phase *p, size_t variant);

/* run_finish.c: a worker answered well, or failed: with words, or by being gone. Failures of the
 * store go to p->rc. */
void pare_phase_finish(struct phase *p, struct seat *s, const json_t *answer);
void pare_phase_fail(struct phase *p, struct seat *s, struct pare_store_end end);
/* A failure, now or in an earlier run: try again, or not. */
void pare_phase_settle(struct phase *p, size_t node, size_t variant, enum pare_phase phase,
                       const char *reason);
struct pare_store_end pare_phase_end(const struct seat *s, const json_t *answer, const char *state);

#endif
