/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_PLAN_H
#define PARE_PIPELINE_PLAN_H

#include "pipeline/keys.h"
#include "pipeline/spec.h"

/* One model to build and measure. */
struct pare_variant {
    const char *label;          /* unique in the plan */
    const char *const *also;    /* NULL-terminated: other combinations that are the same model */
    char recipe[PARE_HASH_HEX]; /* what is done to which model */
    char build[PARE_HASH_HEX];  /* and with which plugin files, data, seed, host code: the id */
    size_t n_steps;
    const struct pare_step *steps;     /* none for the baseline */
    const char *const *prefixes;       /* build key after each step; the last is `build` */
    const char *const *prefix_recipes; /* and the recipe key */
    bool is_baseline;
    const char *skip; /* why this combination is impossible, or NULL */
};

/* What a stage's selectors take. */
struct pare_match {
    const char *stage;
    size_t chosen, total; /* units of the plugin's kinds */
    const char *text;     /* "49 of 50 linears; left: classifier (default)" */
};

struct pare_run_plan {
    struct pare_variant *variants; /* the baseline first, then the grid, first stage slowest */
    size_t n_variants;
    size_t n_skipped;           /* of these */
    size_t n_excluded;          /* combinations taken out by `exclude` */
    size_t n_duplicates;        /* combinations that are a model already in the plan */
    struct pare_match *matches; /* one per stage */
    size_t n_matches;
    const char **notes; /* "quant: bits is decided at run time by two-level from zd" */
    size_t n_notes;
    struct pare_pool pool;
};

/* Every combination of a pipeline, in order, each model once. Mistakes that show only now (too many
 * variants, a stage that can never run) go to `diags`; then the result is PARE_INVALID. The plan
 * refers to the pipeline, which must live longer; release with pare_run_plan_free(). One thread. */
int pare_run_plan_make(const struct pare_pipeline *p, const struct pare_spec_env *env,
                       struct pare_diags *diags, struct pare_run_plan **out,
                       struct pare_error *err);
void pare_run_plan_free(struct pare_run_plan *plan);

/* Combinations that are looked at, before duplicates and excluded ones go. */
#define PARE_COMBINATIONS_MOST 1000000u

/* Steps that were read back from JSON. */
struct pare_steps {
    struct pare_step *items;
    size_t n;
    json_t *source; /* holds the parameters */
    struct pare_pool pool;
};

/* Steps as JSON for another process: {"plugins": [{"id", "path", "sha256"}], "steps": [{"stage",
 * "plugin", "on", "except", "propagate", "params"}]}, where plugins are the steps' own and the
 * scores and allocators in their parameters. A new reference; NULL: no memory. */
json_t *pare_steps_to_json(const struct pare_step *steps, size_t n, const struct pare_used *used);

/* And back, with the reader's own plugins: of the environment only find() is used, with each
 * plugin's path. PARE_INVALID: not such JSON; PARE_FAILED: a plugin's file is not the one that was
 * planned with. Release with pare_steps_free(). */
int pare_steps_from_json(const json_t *json, const struct pare_spec_env *env,
                         struct pare_steps *out, struct pare_error *err);
void pare_steps_free(struct pare_steps *steps);

#endif
