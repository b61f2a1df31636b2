/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind a plugin's `struct pare_ctx *`: one call of one entry point. Internal to
 * core/plugin. */
#ifndef PARE_PLUGIN_CONTEXT_H
#define PARE_PLUGIN_CONTEXT_H

#include "base/random.h"
#include "engine/plan.h"
#include "model/unit.h"
#include "plugin/open.h"
#include "plugin/stage.h"

#define PARE_UNIT_KINDS 6

/* Statistics of one value of a graph. */
struct pare_value_stats {
    uint32_t value, width;
    double weight;                                   /* tokens seen, each counted by its size */
    double *mean, *mean_abs, *mean_square, *max_abs; /* width each */
    double *tokens;                                  /* those being added to gram, as f64 */
    double *gram;                                    /* width * width, or NULL */
};

/* Statistics collected over the calibration samples on one graph; lazily, by plugin/statistics.c.
 */
struct pare_statistics {
    struct pare_value_stats *values;
    size_t n;
};

/* Cosines of all branches and blocks; plugin/fit.c. */
struct pare_cosines;
void pare_cosines_free(struct pare_cosines *cosines);

/* What a reference says of every calibration sample; plugin/distance.c. */
struct pare_reference_run;

/* Activations stored at points of the graph where only the stream (and sizes) lives;
 * plugin/restart.c. */
struct pare_restart;

/* A choice per unit, by an allocator: one row per unit of `kind`. */
struct pare_assignment {
    const char *param;
    unsigned kind;
    struct pare_units units;
    double *values, *scores; /* scores may be NULL */
};

/* One stage at work; shared by the transform and by the scores and allocators that run for it. */
struct pare_stage {
    struct pare_stage_env *env;
    const struct pare_step *step;
    struct pare_graph *graph;      /* being changed */
    struct pare_graph *entry;      /* as it entered the stage */
    uint64_t changes;              /* raised by every change of graph */
    struct pare_units entry_units; /* all kinds, of `entry` */
    struct pare_statistics entry_stats;
    struct pare_statistics now_stats; /* propagate: compressed */
    uint64_t now_stats_at;
    struct pare_cosines *cosines; /* of the entry graph's branches and blocks; or NULL */
    struct pare_restart *restart; /* stored activations */
    struct pare_graph *winner;    /* of the last comparison of assignments; or NULL */
    struct pare_reference_run *stage_reference, *baseline_reference; /* by probes; or NULL */
    struct pare_assignment *assignments;
    size_t n_assignments;
    struct pare_decision *decisions; /* what the transform settled by itself */
    size_t n_decisions, cap_decisions;
};

struct pare_decision {
    const struct pare_unit *unit; /* of entry_units */
    const struct pare_param *param;
    double value, score;
};

struct pare_ctx {
    struct pare_stage *stage;
    const struct pare_plugin_file *plugin;
    const json_t *params; /* canonical */
    struct pare_units
        units[PARE_UNIT_KINDS]; /* what this call sees: selected, of the entry graph */
    bool units_known[PARE_UNIT_KINDS];
    struct pare_pool scratch; /* freed when the entry point returns */
    void **blocks;            /* of `alloc` */
    size_t n_blocks, cap_blocks;
    struct pare_random random;
    struct pare_error *err;
    bool reported; /* `error` was called, or a service set the message */
    /* scores */
    unsigned row_kind;
    size_t rows;
    uint32_t columns;
    const double *column_values;
    double *table;
    /* allocators */
    const struct pare_assignment *scored;
    const struct pare_param *param; /* being allocated */
    double *chosen;
    bool measures; /* assignments can be measured: the stage is at its allocation */
};

extern const struct pare_host pare_host_table;

/* context.c: prepare and release a context for one call of an entry point. */
void pare_ctx_begin(struct pare_ctx *ctx, struct pare_stage *stage,
                    const struct pare_plugin_file *plugin, const json_t *params,
                    struct pare_error *err);
void pare_ctx_end(struct pare_ctx *ctx);
/* Run an entry point of a plugin: denormal and rounding state guarded, a failure without a message
 * gets one. `call` returns what the plugin returned. */
int pare_ctx_call(struct pare_ctx *ctx, const char *entry,
                  int (*call)(struct pare_ctx *ctx, void *user), void *user);
/* Selected units of a kind, in execution order; NULL: no memory. */
const struct pare_units *pare_ctx_units(struct pare_ctx *ctx, unsigned kind);
/* Pass on a status whose message, if it is a failure, is already in ctx->err. */
int pare_ctx_pass(struct pare_ctx *ctx, int rc);
/* Set the message of a service that was used wrongly; returns the status. */
int pare_ctx_fail(struct pare_ctx *ctx, int status, const char *fmt, ...) PARE_PRINTF(3, 4);

/* service_model.c: PARE_INVALID when the linear became a product of two in this stage: its unit
 * tells of a matrix that is no more. */
int pare_ctx_fresh(struct pare_ctx *ctx, const struct pare_unit *linear);

/* stage.c: run a score plugin over `rows`, units of one kind; `values` gets the importance of each.
 */
int pare_stage_run_score(struct pare_stage *stage, const char *plugin, const json_t *params,
                         unsigned kind, const struct pare_units *rows, double *values,
                         struct pare_error *err);

/* stage.c: a copy of the entry graph, transformed with these values of what is being allocated. */
int pare_stage_trial(struct pare_ctx *ctx, const double *values, struct pare_graph **out);

/* race.c: the distortion of an assignment, and the best of `n` of them, see pare_ext_allocation. */
int pare_measure_one(struct pare_ctx *ctx, const double *values, double *distortion);
int pare_measure_best(struct pare_ctx *ctx, const double *values, uint32_t n, uint32_t *best,
                      double *distortion);
/* Whether the candidate, after the `n` samples seen, is worse than the leader beyond doubt: the
 * paired interval at `level` of its distances less the leader's lies above zero. `scratch` holds n.
 * Distances are per sample, at the samples' numbers; `seen` are those numbers. */
bool pare_race_beaten(const double *candidate, const double *leader, const uint32_t *seen,
                      uint32_t n, double level, double *scratch);

/* setting.c: the assignment of a parameter and its row that covers a unit; false: none. */
bool pare_assignment_find(const struct pare_stage *stage, const char *param,
                          const struct pare_unit *unit, const struct pare_assignment **out,
                          size_t *row);

/* setting.c: the value of a parameter for a unit, out of its canonical form. */
int pare_setting_number(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                        double *out);

/* pass.c: samples of a batch, fewer where outputs are large (of texts: length times vocabulary); a
 * plan for the calibration samples that keeps every value (PARE_INVALID when there are none);
 * whether to go on (PARE_CANCELLED: no); and one run of all samples, `*first` being the first of
 * the batch that taps see. */
uint32_t pare_pass_batch(const struct pare_graph *graph);
int pare_pass_new(const struct pare_stage_env *env, const struct pare_graph *graph,
                  struct pare_plan **out, struct pare_error *err);
int pare_pass_go_on(const struct pare_stage_env *env, struct pare_error *err);
int pare_pass_run(const struct pare_stage_env *env, const struct pare_graph *graph,
                  struct pare_plan *plan, uint32_t *first, struct pare_error *err);

/* statistics.c. `graph` is the stage's entry, or for propagate: compressed the current one. */
int pare_statistics_get(struct pare_ctx *ctx, const struct pare_unit *linear, bool gram,
                        const struct pare_value_stats **out);
/* Collect the given values of a graph in one pass. */
int pare_statistics_collect(struct pare_stage *stage, const struct pare_graph *graph,
                            const uint32_t *values, size_t n, bool gram,
                            struct pare_statistics *out, struct pare_error *err);
void pare_statistics_free(struct pare_statistics *stats);

/* Some samples of a run: their numbers (NULL: those from `first` on), outputs and last hidden
 * states (pare_hidden_size() each), one sample after the other. */
struct pare_batch {
    const uint32_t *samples;
    uint32_t first, n;
    const float *outputs, *hidden;
};
typedef int (*pare_batch_fn)(void *user, const struct pare_batch *batch, struct pare_error *err);
static inline uint32_t pare_batch_sample(const struct pare_batch *batch, uint32_t i)
{
    return batch->samples ? batch->samples[batch->first + i] : batch->first + i;
}

/* restart.c: run `n` calibration samples (their numbers, or NULL: the first n) through an altered
 * copy of the entry graph, from the last stored point before what differs; `fn` gets them batch by
 * batch, in that order. `spared`: further samples that these stand for, in the account of work. */
int pare_restart_run(struct pare_stage *stage, const struct pare_graph *altered,
                     const uint32_t *samples, uint32_t n, uint32_t spared, pare_batch_fn fn,
                     void *user, struct pare_error *err);
/* Store activations of another graph than the entry graph: what is tried next differs less from it.
 * What both share is not computed again. */
int pare_restart_rebase(struct pare_stage *stage, const struct pare_graph *base,
                        struct pare_error *err);
void pare_restart_free(struct pare_restart *restart);
/* The last hidden state, what the head reads: the pooled token, else the tokens whose output is
 * asked for, else the output itself; and its floats per sample. */
uint32_t pare_hidden_value(const struct pare_graph *graph);
size_t pare_hidden_size(const struct pare_graph *graph);

/* The services, a file each. */
extern const struct pare_ext_model pare_service_model;
extern const struct pare_ext_weight pare_service_weight;
extern const struct pare_ext_surgery pare_service_surgery;
extern const struct pare_ext_calibration pare_service_calibration;
extern const struct pare_ext_probe pare_service_probe;
extern const struct pare_ext_linalg pare_service_linalg;
extern const struct pare_ext_parallel pare_service_parallel;
extern const struct pare_ext_random pare_service_random;
extern const struct pare_ext_scored pare_service_scored;
extern const struct pare_ext_table pare_service_table;
extern const struct pare_ext_allocation pare_service_allocation;

/* distance.c: mean distance of an altered graph from a reference (enum pare_reference) over `n`
 * samples, as in pare_restart_run(); `per_sample` (may be NULL) receives each at its number. */
int pare_distance(struct pare_stage *stage, const struct pare_graph *altered, unsigned distance,
                  unsigned reference, const uint32_t *samples, uint32_t n, uint32_t spared,
                  double *per_sample, double *mean, struct pare_error *err);
void pare_reference_free(struct pare_reference_run *reference);

/* lapack.c: the same as the service, for the host's own use. */
int pare_linalg_solve(uint32_t n, const double *a, double damp, uint32_t m, double *b,
                      struct pare_error *err);

#endif
