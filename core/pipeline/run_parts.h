/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a run share. Internal to core/pipeline/run*.c. */
#ifndef PARE_PIPELINE_RUN_PARTS_H
#define PARE_PIPELINE_RUN_PARTS_H

#include "pipeline/child.h"
#include "pipeline/choose.h"
#include "pipeline/run.h"

#define PARE_TRIES 3
#define PARE_LOOKS_MOST 8
/* Of the machine's memory: for one worker unless limits.memory says, and for all together. */
#define PARE_MEMORY_SHARE 0.8

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
    bool points_known;             /* of the model as it is on disk */
    struct pare_run_point *points; /* at which it can be started, in execution order */
    size_t n_points;
    uint64_t macs; /* per sample; known with the points */
    char reason[256];
};

/* Where a model can be started from stored activations, see pare_graph_points(). */
struct pare_run_point {
    uint64_t id; /* the head of the key */
    char key[PARE_HASH_HEX];
    uint64_t macs, floats;
};

struct pare_run_outcome {
    int32_t predicted, target; /* -1: none; no label */
    float nll;
    float divergence, agreement; /* of a window beside the baseline; NaN: not asked for */
    int32_t normalised;          /* of choices: the likeliest per byte; -1: none */
    float similarity;            /* of a pair, and the score that is known; NaN: none */
    double score;
};

struct pare_run_variant {
    size_t node; /* SIZE_MAX: skipped */
    bool evaluated, evaluating, failed;
    bool stopped;                  /* by racing: on some samples only, which has to do */
    bool completed;                /* --retry: it was stopped before, and is not again */
    int64_t attempt;               /* at evaluating it, while it runs; 0: none */
    struct pare_run_outcome *seen; /* in the order of the looks */
    size_t n_seen;
    double *measured;   /* of each sample seen, by every metric of plugins; NaN: no value */
    json_t *tokens;     /* of windows: losses of all tokens, and where each window ends, as the
                           worker told them; NULL: none */
    double share;       /* of the samples that were run */
    double cpu_seconds; /* of the attempt so far */
    int64_t peak_rss;
    double quality; /* top1, perplexity or spearman; NaN: not known in this run */
    char first_logits[PARE_HASH_HEX];
};

/* Evaluations go over one set of samples at a time: in one look, or (racing) in several, each over
 * samples that were not looked at yet. */
struct pare_run_samples {
    const struct pare_data *data;
    int64_t id;
    bool targets_known;
    uint32_t *order; /* samples in the order of the looks, ascending in each; NULL: as they are */
    size_t ends[PARE_LOOKS_MOST]; /* samples looked at by the end of each look */
    size_t n_looks;
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
    uint64_t memory; /* of the machine, bytes; PARE_MEMORY says less */
    unsigned cpus;
    json_t *setup;            /* what workers are told first */
    struct pare_choice *race; /* what is known when a race begins; NULL: nobody is stopped */
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
/* A shape as the store has it, and as a worker is told: {"batch": 1, "threads": 1, ...}. `out`
 * holds PARE_SHAPE_TEXT bytes. */
#define PARE_SHAPE_TEXT 128
void pare_run_shape(const struct pare_shape *shape, char *out);

void pare_run_need(struct pare_runner *r, size_t node);

/* run_build.c: build what is needed, evaluate the variants marked (all: those not evaluated) on
 * `samples`. After each look but the last `look` (may be NULL) decides which variants are stopped.
 */
typedef int (*pare_look_fn)(struct pare_runner *r, struct pare_run_samples *samples, size_t look,
                            struct pare_error *err);
int pare_run_build(struct pare_runner *r, struct pare_run_samples *samples, const bool *only,
                   pare_look_fn look, struct pare_error *err);

/* run_commit.c: a built model with its figures; an evaluated variant with its outcomes. */
int pare_commit_built(struct pare_runner *r, size_t node, int64_t attempt,
                      const struct pare_store_end *end, const json_t *answer,
                      struct pare_error *err);
int pare_commit_evaluated(struct pare_runner *r, struct pare_run_samples *samples, size_t variant,
                          const struct pare_store_end *end, struct pare_error *err);

/* run_race.c: racing (`search: {racing: true}`). Who was stopped by a run before; looks for the
 * evaluations, over samples in an order of the pipeline's seed; and what one look decides. */
int pare_race_recall(struct pare_runner *r, struct pare_error *err);
int pare_race_begin(struct pare_runner *r, struct pare_run_samples *samples,
                    struct pare_error *err);
int pare_race_look(struct pare_runner *r, struct pare_run_samples *samples, size_t look,
                   struct pare_error *err);
void pare_race_end(struct pare_runner *r);
/* Keep the outcomes that a variant has so far, for a run that is cut; in the store once it has all.
 */
int pare_race_save(struct pare_runner *r, const struct pare_run_samples *samples, size_t variant,
                   struct pare_error *err);

/* run_plan.c: whether all that the pipeline measures of a node's model on those samples is known.
 */
int pare_run_evaluated(struct pare_runner *r, size_t node, const struct pare_run_samples *samples,
                       bool *yes, struct pare_error *err);

/* run.c: the variant with that build key; SIZE_MAX: none. */
size_t pare_run_variant(const struct pare_runner *r, const char *build);

/* run_time.c: one session of one shape over the members (a mask over variants, baseline included).
 */
int pare_run_session(struct pare_runner *r, const struct pare_shape *shape, const bool *members,
                     struct pare_error *err);

/* run_limits.c: what a piece of work may take. `stage`: by its own limits first; NULL: by the
 * pipeline's. */
struct pare_run_bound {
    double time_s; /* 0: as it likes */
    double stall_s;
    uint64_t bytes;
    const struct pare_pipeline_stage *stage;
    bool own_time, own_stall, own_memory; /* the stage's */
    const char *cause;                    /* of a failure, as the store has it */
    char why[256];
};
void pare_run_bound(const struct pare_runner *r, const struct pare_pipeline_stage *stage,
                    struct pare_run_bound *out);
/* Whether work that began at `since` took more; `why` and `cause` tell. */
bool pare_run_beyond(struct pare_run_bound *bound, const struct pare_child *child, double since);

/* run_view.c: progress on stderr. */
void pare_view_status(struct pare_runner *r, const char *fmt, ...) PARE_PRINTF(2, 3);
void pare_view_line(struct pare_runner *r, const char *fmt, ...) PARE_PRINTF(2, 3);

/* run_data.c: a data entry as a job's member; limit: at most so many samples (0: all). NULL for no
 * data. */
json_t *pare_run_data_json(const struct pare_data *data, uint64_t limit);

#endif
