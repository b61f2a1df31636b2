/* SPDX-License-Identifier: Apache-2.0 */
/* What all variants together have to keep: limits, keys, labels of their own. */
#include <string.h>

#include "pipeline/plan_parts.h"

static int check_totals(struct pare_planner *pl)
{
    const struct pare_pipeline *p = pl->p;
    const struct pare_yaml *limit = pare_yaml_get(p->tree.root, "limit");
    uint64_t most = p->max_variants ? p->max_variants : PARE_VARIANTS_MOST;
    size_t n = pl->plan->n_variants - pl->plan->n_skipped;
    if (n > most) {
        pare_yaml_error(pl->diags, limit ? limit : p->stages_node, "%zu variants, more than %llu%s",
                        n, (unsigned long long)most, limit ? "" : " without a `limit:`");
        pare_diag_hint(pl->diags, "`limit: %zu` allows them; `exclude` takes some out", n);
    }
    for (size_t i = 0; i < p->n_stages; i++) {
        const struct pare_stage_info *info = &pl->stages[i];
        if (!info->reached || info->ran)
            continue;
        pare_yaml_error(pl->diags, p->stages[i].plugin_node,
                        "stage '%s' cannot run in any combination: %s", p->stages[i].id,
                        info->reason);
    }
    pare_diags_sort(pl->diags);
    return pare_diags_status(pl->diags, pl->err);
}

/* Index every label; false in *fine when some variants have the same. The baseline keeps its own.
 */
static int index_labels(struct pare_planner *pl, bool *fine)
{
    struct pare_run_plan *plan = pl->plan;
    pare_table_free(&pl->label_table);
    *fine = true;
    for (size_t i = 0; i < plan->n_variants; i++) {
        const char *label = plan->variants[i].label;
        size_t other = pare_table_find(&pl->label_table, label, strlen(label));
        if (other != PARE_TABLE_NONE) {
            *fine = false;
            pl->drafts[i].clash = true;
            pl->drafts[other].clash = true;
        } else if (!pare_table_add(&pl->label_table, label, strlen(label), i)) {
            return pare_planner_nomem(pl);
        }
    }
    return PARE_OK;
}

/* Pieces are different within a stage; two stages may still give the same. Then stages are named,
 * and if even that is not enough, the recipe is. */
static int settle_labels(struct pare_planner *pl)
{
    struct pare_run_plan *plan = pl->plan;
    bool fine;
    int rc;
    PARE_TRY(index_labels(pl, &fine));
    for (int round = 0; round < 2 && !fine; round++) {
        for (size_t i = 1; i < plan->n_variants; i++) {
            struct pare_variant *v = &plan->variants[i];
            if (!pl->drafts[i].clash)
                continue;
            v->label = round == 0
                           ? pare_planner_join(pl, pl->drafts[i].refs, v->n_steps, true)
                           : pare_pool_printf(&plan->pool, "%s[recipe=%.12s]", v->label, v->recipe);
            if (!v->label)
                return pare_planner_nomem(pl);
            pl->drafts[i].clash = false;
        }
        PARE_TRY(index_labels(pl, &fine));
    }
out:
    return rc;
}

/* Parents come before their children in the list of nodes. */
static int make_keys(struct pare_planner *pl)
{
    const struct pare_pipeline *p = pl->p;
    const char *calibration = p->calibrate.n_samples ? p->calibrate.hash : NULL;
    for (size_t i = 0; i < pl->n_nodes; i++) {
        struct pare_plan_node *node = pl->nodes[i];
        char *build = pare_pool_alloc(&pl->plan->pool, PARE_HASH_HEX, 1);
        char *recipe = pare_pool_alloc(&pl->plan->pool, PARE_HASH_HEX, 1);
        if (!build || !recipe)
            return pare_planner_nomem(pl);
        if (i == 0) {
            pare_recipe_begin(&node->recipe, p->model_hash);
        } else {
            const struct pare_distinct *d = &pl->steps[node->edge[1]];
            node->recipe = pl->nodes[node->edge[0]]->recipe;
            pare_recipe_add(&node->recipe, d->text, d->files, d->n_files);
        }
        pare_build_key(&node->recipe, calibration, p->seed, pl->env->numerics, build);
        pare_recipe_key(&node->recipe, recipe);
        node->build = build;
        node->recipe_key = recipe;
    }
    for (size_t i = 0; i < pl->plan->n_variants; i++) {
        struct pare_variant *v = &pl->plan->variants[i];
        const struct pare_plan_node *node = pl->nodes[pl->drafts[i].node];
        const char **prefixes = pare_pool_alloc(&pl->plan->pool, v->n_steps, sizeof *prefixes);
        const char **recipes = pare_pool_alloc(&pl->plan->pool, v->n_steps, sizeof *recipes);
        if (!prefixes || !recipes)
            return pare_planner_nomem(pl);
        memcpy(v->recipe, node->recipe_key, PARE_HASH_HEX);
        memcpy(v->build, node->build, PARE_HASH_HEX);
        for (size_t k = v->n_steps; k-- > 0; node = pl->nodes[node->edge[0]]) {
            prefixes[k] = node->build;
            recipes[k] = node->recipe_key;
        }
        v->prefixes = prefixes;
        v->prefix_recipes = recipes;
    }
    return PARE_OK;
}

static int list_also(struct pare_planner *pl)
{
    for (size_t i = 0; i < pl->plan->n_variants; i++) {
        const struct pare_draft *d = &pl->drafts[i];
        size_t k = d->n_also;
        const char **list = pare_pool_alloc(&pl->plan->pool, k + 1, sizeof *list);
        if (!list)
            return pare_planner_nomem(pl);
        for (const struct pare_also *a = d->also; a; a = a->next)
            list[--k] = a->label;
        pl->plan->variants[i].also = list;
    }
    return PARE_OK;
}

int pare_planner_finish(struct pare_planner *pl)
{
    int rc;
    PARE_TRY(check_totals(pl));
    PARE_TRY(make_keys(pl));
    PARE_TRY(settle_labels(pl));
    PARE_TRY(list_also(pl));
    if (!pare_run_plan_describe(pl->p, pl->exclude_hits, pl->plan))
        rc = pare_planner_nomem(pl);
out:
    return rc;
}
