/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_PLAN_PARTS_H
#define PARE_PIPELINE_PLAN_PARTS_H

#include "pipeline/plan.h"

/* A hash table from bytes to a number. The keys' memory is the caller's and must stay. */
struct pare_table {
    struct pare_table_entry {
        const void *key;
        size_t size;
        uint64_t hash;
        size_t value;
    } * entries;
    size_t cap, n; /* cap: a power of two */
};

#define PARE_TABLE_NONE SIZE_MAX

size_t pare_table_find(const struct pare_table *t, const void *key, size_t size);
bool pare_table_add(struct pare_table *t, const void *key, size_t size, size_t value);
void pare_table_free(struct pare_table *t);

/* One setting of one stage, and one way that part of the stages can go: an ordered list of them. */
struct pare_ref {
    uint32_t stage, setting;
};

struct pare_way {
    struct pare_ref *refs;
    size_t n;
};

struct pare_ways {
    struct pare_way *items;
    size_t n, cap;
};

/* All ways of an item. Memory is the pool's but for out->items, which is freed with free().
 * PARE_INVALID: more than PARE_COMBINATIONS_MOST. */
struct pare_ways_context {
    const struct pare_pipeline *p;
    struct pare_pool *pool;
    const bool *forbidden; /* [a * n_stages + b]: a must not run before b */
};
int pare_ways_of(const struct pare_ways_context *c, const struct pare_item *item,
                 struct pare_ways *out);

/* A distinct step: the same settings of the same plugin on the same units are one, whichever stage
 * or combination of values they come from. */
struct pare_distinct {
    struct pare_step step;
    const char *text;         /* canonical */
    const char *const *files; /* SHA-256 of the plugin files */
    size_t n_files;
    const char *refused; /* by the plugin's own check, or NULL */
};

/* What is known of each stage's settings. */
struct pare_stage_info {
    const char **pieces;
    size_t *step;      /* index of the distinct step */
    bool *identity;    /* changes nothing */
    bool reached, ran; /* in some combination; in one that is possible */
    const char *reason;
};

/* A state of the model: the steps on the way from the root. Variants are nodes, prefixes are
 * shared. */
struct pare_plan_node {
    size_t edge[2]; /* parent, distinct step: the key in the table */
    size_t variant; /* PARE_TABLE_NONE: only a prefix */
    struct pare_recipe recipe;
    const char *build;
    const char *recipe_key;
};

/* What expansion remembers of a variant besides the plan's own fields. */
struct pare_draft {
    size_t node;
    const struct pare_ref *refs; /* what has an effect */
    struct pare_also {
        const char *label;
        struct pare_also *next;
    } * also;
    size_t n_also;
    bool clash;
};

struct pare_planner {
    const struct pare_pipeline *p;
    const struct pare_spec_env *env;
    struct pare_diags *diags;
    struct pare_error *err;
    struct pare_run_plan *plan;
    struct pare_stage_info *stages;
    bool *forbidden;
    struct pare_distinct *steps;
    size_t n_steps, cap_steps;
    struct pare_plan_node **nodes; /* pointers: the table's keys must stay where they are */
    size_t n_nodes, cap_nodes;
    struct pare_draft *drafts;
    size_t cap_drafts, cap_variants;
    struct pare_table step_table, node_table, label_table;
    bool *exclude_hits; /* by exclude */
    bool **excluded;    /* [exclude's condition, counted through][setting] */
    struct pare_str text;
    struct pare_pool pool; /* until the plan is made */
};

/* "out of memory" in pl->err. */
int pare_planner_nomem(struct pare_planner *pl);

/* The pieces joined by '+'; with_stage: each with its stage's name. The plan's; NULL: no memory. */
const char *pare_planner_join(struct pare_planner *pl, const struct pare_ref *refs, size_t n,
                              bool with_stage);

/* When all combinations were added: check what they are together, give keys and labels. */
int pare_planner_finish(struct pare_planner *pl);

/* What `plan` tells besides the variants. `exclude_hits`: which excludes took something out. False:
 * no memory. */
bool pare_run_plan_describe(const struct pare_pipeline *p, const bool *exclude_hits,
                            struct pare_run_plan *plan);

#endif
