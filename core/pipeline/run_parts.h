/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a run share. Internal to core/pipeline/run*.c. */
#ifndef PARE_PIPELINE_RUN_PARTS_H
#define PARE_PIPELINE_RUN_PARTS_H

#include "pipeline/child.h"
#include "pipeline/run.h"

#define PARE_TRIES 3

enum pare_node_state { PARE_WAITING, PARE_RUNNING, PARE_DONE, PARE_FAILED_FOR_GOOD, PARE_BLOCKED };

/* A model on the way: the baseline, a prefix that variants share, or a variant. Parents come first.
 */
struct pare_run_node {
    const char *build, *recipe;
    size_t parent;                /* SIZE_MAX: the baseline */
    const struct pare_step *step; /* from the parent; NULL for the baseline */
    size_t variant;               /* that ends here; SIZE_MAX: only a prefix */
    size_t n_steps;
    const char *label; /* of the variant, or of the first one that passes here */
    int64_t id;        /* in the store */
    char *path;        /* of the built model */
    enum pare_node_state state;
    bool needed;
    char reason[256];
};

struct pare_run_variant {
    size_t node; /* SIZE_MAX: skipped */
    bool evaluated, evaluating, failed;
    double top1; /* NaN: not known in this run */
    char first_logits[PARE_HASH_HEX];
};

/* Evaluations go over one set of samples at a time. */
struct pare_run_samples {
    const struct pare_data *data;
    int64_t id;
    bool targets_known;
};

struct pare_runner {
    struct pare_store *store;
    const struct pare_pipeline *pipeline;
    const struct pare_run_plan *plan;
    const struct pare_run_options *options;
    struct pare_run_summary *summary;
    struct pare_run_node *nodes;
    size_t n_nodes;
    struct pare_run_variant *variants; /* one per variant of the plan */
    int64_t pipeline_id, host_id;
    const char *isa;
    char program_hash[PARE_HASH_HEX];
    char *folder;
    struct pare_run_samples evaluate, confirm;
    uint64_t memory; /* of the machine, bytes */
    unsigned cpus;
    /* progress */
    size_t build_total, build_done;
    double began;
    bool line_open; /* a status line stands on the terminal */
};

/* run.c: signals. 0: go on, 1: finish what is in flight, 2: stop at once. */
int pare_run_stop(void);

/* run_plan.c: nodes from the plan, all of it into the store, what is there already. */
int pare_run_prepare(struct pare_runner *r, struct pare_error *err);
void pare_run_release(struct pare_runner *r);
/* Mark what has to be built so that this variant's model is on disk. */
void pare_run_need(struct pare_runner *r, size_t node);

/* run_build.c: build what is needed, evaluate the variants marked (all: those not evaluated) on
 * `samples`. */
int pare_run_build(struct pare_runner *r, struct pare_run_samples *samples, const bool *only,
                   struct pare_error *err);

/* run_time.c: one session of one shape over the members (a mask over variants, baseline included).
 */
int pare_run_session(struct pare_runner *r, const struct pare_shape *shape, const bool *members,
                     struct pare_error *err);

/* run_view.c: progress on stderr. */
void pare_view_status(struct pare_runner *r, const char *fmt, ...) PARE_PRINTF(2, 3);
void pare_view_line(struct pare_runner *r, const char *fmt, ...) PARE_PRINTF(2, 3);

/* run_data.c: a data entry as a job's member; limit: at most so many samples (0: all). NULL for no
 * data. */
json_t *pare_run_data_json(const struct pare_data *data, uint64_t limit);

#endif
