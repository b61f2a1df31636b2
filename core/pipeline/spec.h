/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_SPEC_H
#define PARE_PIPELINE_SPEC_H

#include <stdint.h>

#include "measure/dataset.h"
#include "pipeline/values.h"
#include "plugin/metric.h"
#include "select/constraint.h"

/* Samples of a data set. Paths are ready to open (joined with the YAML's folder). */
struct pare_data {
    const char *from;            /* a folder or file; NULL: the pair below */
    const char *inputs, *labels; /* .npy */
    const char *split;           /* or NULL */
    uint64_t samples;            /* at most so many; 0: all */
    uint64_t skip;
    uint64_t window, stride;  /* tokens of a text's windows, and between them; 0: as they come */
    const char *method;       /* how windows count: hf (NULL) or llama.cpp */
    int64_t shuffle;          /* seed of the order they are taken in; -1: as they come */
    char hash[PARE_HASH_HEX]; /* of the samples read */
    unsigned long long n_samples; /* as found; 0: the entry is absent */
    enum pare_task task;          /* of the samples read */
};

struct pare_shape {
    const char *name;
    unsigned batch, threads;
    unsigned prefill, decode; /* tokens that a language model reads at once, or one by one */
    unsigned depth;           /* after so many others */
};

/* A metric that a plugin brings. Its name is the plugin's id. */
struct pare_measure {
    const struct pare_plugin_file *plugin;
    json_t *params;          /* all of its parameters, canonical */
    char *settings;          /* the same as canonical text */
    char key[PARE_HASH_HEX]; /* figures of another key are of another metric */
};

struct pare_objective {
    const struct pare_metric *metric;
    double tolerance; /* in the metric's unit, or a share of the value */
    bool relative;
};

/* 0: not limited. */
struct pare_limits {
    double time_s, stall_s;
    uint64_t memory_bytes;
    double memory_share; /* of the machine's memory, 0 to 1 */
    /* of the pipeline only */
    uint64_t activation_bytes; /* files of stored activations together; 1: none */
    bool unconfined;           /* workers may touch what the user may */
};

/* A stage with all the settings that it stands for. */
struct pare_pipeline_stage {
    const char *id;
    const struct pare_plugin_file *plugin;
    bool optional, compressed;
    const char *as;            /* label template, or NULL */
    const char *const *on;     /* NULL-terminated, sorted */
    const char *const *except; /* NULL-terminated, sorted */
    bool except_is_default;
    struct pare_limits limits;
    json_t *settings; /* array of objects, each with every parameter */
    const struct pare_yaml *node, *plugin_node;
};

enum pare_item_kind { PARE_ITEM_STAGE, PARE_ITEM_ANY_ORDER, PARE_ITEM_ONE_OF };

/* What `stages` is made of. */
struct pare_item {
    enum pare_item_kind kind;
    size_t stage; /* PARE_ITEM_STAGE: index in stages */
    struct pare_item *items;
    size_t n_items;
    const struct pare_yaml *node;
};

/* A combination not wanted: all of its conditions hold. */
struct pare_condition {
    size_t stage;
    const char *param;
    json_t *values; /* any of these */
};

struct pare_exclude {
    struct pare_condition *conditions;
    size_t n;
    const struct pare_yaml *node;
};

/* Values in objectives and bounds are in the metrics' units. */
struct pare_pipeline {
    const char *path, *folder, *name;
    const char *model;
    char model_hash[PARE_HASH_HEX];
    const struct pare_unit *units; /* the environment's */
    size_t n_units;
    struct pare_data calibrate, evaluate, confirm;
    struct pare_pipeline_stage *stages; /* in the order of the file */
    size_t n_stages;
    struct pare_item *items;
    size_t n_items;
    struct pare_exclude *excludes;
    size_t n_excludes;
    bool reads_text;
    enum pare_output output;
    enum pare_task task; /* of what is evaluated; without that, what fits the model */
    bool top1, perplexity, acc_norm, spearman;
    bool kl, agreement;                              /* beside the baseline */
    struct pare_measure measures[PARE_METRICS_MOST]; /* by plugins */
    size_t n_measures;
    struct pare_shape *shapes; /* the first is `latency_ms`, others latency_ms.NAME */
    size_t n_shapes;
    struct pare_metric *metrics; /* what this pipeline measures */
    size_t n_metrics;
    struct pare_objective *objectives;
    size_t n_objectives;
    struct pare_constraint *constraints;
    const char **constraint_texts;
    size_t n_constraints;
    bool racing; /* stop evaluating variants that are beaten beyond doubt */
    struct pare_limits limits;
    uint64_t max_variants; /* `limit:`; 0: PARE_VARIANTS_MOST */
    uint64_t seed;
    struct pare_used used; /* all plugins */
    const struct pare_yaml *stages_node;
    struct pare_yaml_tree tree;
    struct pare_pool pool;
};

/* The metric that says how good a variant is. */
static inline const char *pare_pipeline_quality(const struct pare_pipeline *p)
{
    static const char *const names[] = {[PARE_TASK_CLASSES] = "top1",
                                        [PARE_TASK_WINDOWS] = "perplexity",
                                        [PARE_TASK_CHOICES] = "top1",
                                        [PARE_TASK_SIMILARITY] = "spearman"};
    return names[p->task];
}

/* Variants that need no `limit:`, and the largest that it can be. */
#define PARE_VARIANTS_MOST 256
#define PARE_VARIANTS_LIMIT 1000001u
#define PARE_STAGES_MOST 64

/* Read a pipeline from a file, or from text that is shown as `path`. All mistakes are gathered in
 * `diags` (zero-initialised by the caller, who frees it), sorted; then the result is PARE_INVALID,
 * `err` names the first and *out is NULL. The pipeline refers to plugins and units of the
 * environment and is released with pare_pipeline_free(). One thread. */
int pare_pipeline_read(const char *path, const struct pare_spec_env *env, struct pare_diags *diags,
                       struct pare_pipeline **out, struct pare_error *err);
int pare_pipeline_parse(const char *path, const char *text, size_t size,
                        const struct pare_spec_env *env, struct pare_diags *diags,
                        struct pare_pipeline **out, struct pare_error *err);
void pare_pipeline_free(struct pare_pipeline *p);

/* "30s", "5min", "1h" in seconds; "12 kB", "2MB", "1GB" in bytes (powers of ten); "80%" as 0.8.
 * False: not so written, or not positive. */
bool pare_parse_duration(const char *text, double *seconds);
bool pare_parse_bytes(const char *text, uint64_t *bytes);
bool pare_parse_percent(const char *text, double *share);

#endif
