/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "pipeline/label.h"
#include "pipeline/plan_parts.h"
#include "plugin/descriptor.h"

int pare_planner_nomem(struct pare_planner *pl)
{
    return pare_error_nomem(pl->err, 0);
}

/* ---- distinct steps ---- */

struct file_list {
    const char *hashes[32];
    size_t n;
};

static int add_file(void *user, const struct pare_plugin_file *file)
{
    struct file_list *list = user;
    for (size_t i = 0; i < list->n; i++) {
        if (!strcmp(list->hashes[i], file->sha256))
            return PARE_OK;
    }
    if (list->n == PARE_COUNT(list->hashes))
        return PARE_UNSUPPORTED;
    list->hashes[list->n++] = file->sha256;
    return PARE_OK;
}

static void append_selectors(struct pare_str *s, const char *name, const char *const *list)
{
    pare_str_printf(s, ",\"%s\":[", name);
    for (size_t i = 0; list[i]; i++) {
        json_t *text = json_string(list[i]);
        pare_str_append(s, i ? "," : "");
        if (text)
            pare_canonical_append(s, text);
        else
            s->failed = true;
        json_decref(text);
    }
    pare_str_append(s, "]");
}

/* The text that goes into the recipe; the stage's id does not. */
static char *step_text(const struct pare_step *step)
{
    struct pare_str s = {0};
    pare_str_printf(&s, "{\"plugin\":\"%s\"", step->plugin->desc.id);
    append_selectors(&s, "on", step->on);
    append_selectors(&s, "except", step->except);
    pare_str_printf(
        &s, ",\"propagate\":\"%s\",\"params\":", step->compressed ? "compressed" : "original");
    pare_canonical_append(&s, step->params);
    pare_str_append(&s, "}");
    return pare_str_take(&s);
}

static int describe_step(struct pare_planner *pl, struct pare_distinct *d)
{
    struct file_list files = {0};
    struct pare_error why = {0};
    int rc;
    PARE_TRY(add_file(&files, d->step.plugin));
    rc =
        pare_setting_plugins(&pl->p->used, &d->step.plugin->desc, d->step.params, add_file, &files);
    if (rc != PARE_OK) {
        pare_error_set(pl->err, rc, "stage '%s' uses more than %zu plugins", d->step.stage,
                       PARE_COUNT(files.hashes));
        goto out;
    }
    const char **kept = pare_pool_alloc(&pl->pool, files.n, sizeof *kept);
    if (!kept)
        return pare_planner_nomem(pl);
    memcpy(kept, files.hashes, files.n * sizeof *kept);
    d->files = kept;
    d->n_files = files.n;
    if (pl->env->check && pl->env->check(pl->env->user, &d->step, &why) != PARE_OK) {
        d->refused = pare_pool_printf(&pl->plan->pool, "%s: %s%s%s", d->step.stage, why.what,
                                      why.detail[0] ? ": " : "", why.detail);
        if (!d->refused)
            return pare_planner_nomem(pl);
    }
out:
    return rc;
}

static int intern_step(struct pare_planner *pl, const struct pare_pipeline_stage *stage,
                       const json_t *params, size_t *out)
{
    struct pare_distinct d = {.step = {.stage = stage->id,
                                       .plugin = stage->plugin,
                                       .on = stage->on,
                                       .except = stage->except,
                                       .compressed = stage->compressed,
                                       .params = params}};
    char *text = step_text(&d.step);
    int rc = PARE_OK;
    if (!text)
        return pare_planner_nomem(pl);
    *out = pare_table_find(&pl->step_table, text, strlen(text));
    if (*out != PARE_TABLE_NONE)
        goto out;
    d.text = pare_pool_strdup(&pl->pool, text);
    if (!d.text || !pare_grow(&pl->steps, &pl->cap_steps, pl->n_steps + 1, sizeof *pl->steps) ||
        !pare_table_add(&pl->step_table, d.text, strlen(d.text), pl->n_steps)) {
        rc = pare_planner_nomem(pl);
        goto out;
    }
    PARE_TRY(describe_step(pl, &d));
    *out = pl->n_steps;
    pl->steps[pl->n_steps++] = d;
out:
    free(text);
    return rc;
}

static int prepare_stage(struct pare_planner *pl, size_t index)
{
    const struct pare_pipeline_stage *stage = &pl->p->stages[index];
    const struct pare_plugin *desc = &stage->plugin->desc;
    struct pare_stage_info *info = &pl->stages[index];
    const char *template = stage->as ? stage->as : desc->label ? desc->label : desc->id;
    size_t n = json_array_size(stage->settings);
    info->pieces = pare_pool_alloc(&pl->pool, n, sizeof *info->pieces);
    info->step = pare_pool_alloc(&pl->pool, n, sizeof *info->step);
    info->identity = pare_pool_alloc(&pl->pool, n, sizeof *info->identity);
    if (!info->pieces || !info->step || !info->identity ||
        !pare_label_pieces(&pl->pool, template, stage->settings, info->pieces))
        return pare_planner_nomem(pl);
    int rc = PARE_OK;
    for (size_t i = 0; i < n && rc == PARE_OK; i++) {
        const json_t *params = json_array_get(stage->settings, i);
        info->identity[i] = pare_setting_is_identity(desc, params);
        rc = intern_step(pl, stage, params, &info->step[i]);
    }
    return rc;
}

/* ---- which combinations are wanted, which are possible ---- */

static int prepare_rules(struct pare_planner *pl)
{
    const struct pare_pipeline *p = pl->p;
    size_t n = p->n_stages, n_conditions = 0, at = 0;
    pl->forbidden = pare_pool_alloc(&pl->pool, n * n, sizeof *pl->forbidden);
    if (!pl->forbidden)
        return pare_planner_nomem(pl);
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b < n; b++) {
            const struct pare_plugin *first = &p->stages[a].plugin->desc;
            const struct pare_plugin *then = &p->stages[b].plugin->desc;
            pl->forbidden[a * n + b] = pare_plugin_lists(then->precedes, first->id) ||
                                       pare_plugin_lists(first->follows, then->id);
        }
    }
    for (size_t i = 0; i < p->n_excludes; i++)
        n_conditions += p->excludes[i].n;
    pl->excluded = pare_pool_alloc(&pl->pool, n_conditions, sizeof *pl->excluded);
    pl->exclude_hits = pare_pool_alloc(&pl->pool, p->n_excludes, sizeof *pl->exclude_hits);
    if (!pl->exclude_hits)
        return pare_planner_nomem(pl);
    for (size_t i = 0; pl->excluded && i < p->n_excludes; i++) {
        for (size_t k = 0; k < p->excludes[i].n; k++, at++) {
            const struct pare_condition *c = &p->excludes[i].conditions[k];
            const json_t *settings = p->stages[c->stage].settings;
            size_t n_settings = json_array_size(settings);
            bool *hit = pare_pool_alloc(&pl->pool, n_settings, sizeof *hit);
            if (!hit)
                return pare_planner_nomem(pl);
            for (size_t s = 0; s < n_settings; s++) {
                json_t *value = json_object_get(json_array_get(settings, s), c->param);
                for (size_t v = 0; v < json_array_size(c->values) && !hit[s]; v++)
                    hit[s] = json_equal(value, json_array_get(c->values, v));
            }
            pl->excluded[at] = hit;
        }
    }
    return pl->excluded ? PARE_OK : pare_planner_nomem(pl);
}

static bool is_excluded(struct pare_planner *pl, const struct pare_ref *refs, size_t n)
{
    const struct pare_pipeline *p = pl->p;
    for (size_t i = 0, at = 0; i < p->n_excludes; at += p->excludes[i].n, i++) {
        bool all = p->excludes[i].n > 0;
        for (size_t k = 0; k < p->excludes[i].n && all; k++) {
            bool found = false;
            for (size_t r = 0; r < n && !found; r++)
                found = refs[r].stage == p->excludes[i].conditions[k].stage &&
                        pl->excluded[at + k][refs[r].setting];
            all = found;
        }
        if (all) {
            pl->exclude_hits[i] = true;
            return true;
        }
    }
    return false;
}

/* Why the combination cannot be, or NULL. */
static const char *why_impossible(struct pare_planner *pl, const struct pare_ref *refs, size_t n)
{
    const struct pare_pipeline_stage *stages = pl->p->stages;
    for (size_t b = 0; b < n; b++) {
        const struct pare_distinct *d = &pl->steps[pl->stages[refs[b].stage].step[refs[b].setting]];
        if (d->refused)
            return d->refused;
        for (size_t a = 0; a < b; a++) {
            if (!pl->forbidden[refs[a].stage * pl->p->n_stages + refs[b].stage])
                continue;
            const char *reason = pare_pool_printf(
                &pl->plan->pool, "plugin '%s' cannot come after '%s' (stages '%s' and '%s')",
                stages[refs[b].stage].plugin->desc.id, stages[refs[a].stage].plugin->desc.id,
                stages[refs[b].stage].id, stages[refs[a].stage].id);
            return reason ? reason : "impossible";
        }
    }
    return NULL;
}

/* ---- variants ---- */

static int node_after(struct pare_planner *pl, size_t parent, size_t step, size_t *out)
{
    size_t edge[2] = {parent, step};
    *out = pare_table_find(&pl->node_table, edge, sizeof edge);
    if (*out != PARE_TABLE_NONE)
        return PARE_OK;
    struct pare_plan_node *node = pare_pool_alloc(&pl->pool, 1, sizeof *node);
    if (!node || !pare_grow(&pl->nodes, &pl->cap_nodes, pl->n_nodes + 1, sizeof *pl->nodes))
        return pare_planner_nomem(pl);
    *node = (struct pare_plan_node){.edge = {parent, step}, .variant = PARE_TABLE_NONE};
    if (!pare_table_add(&pl->node_table, node->edge, sizeof node->edge, pl->n_nodes))
        return pare_planner_nomem(pl);
    *out = pl->n_nodes;
    pl->nodes[pl->n_nodes++] = node;
    return PARE_OK;
}

/* The pieces joined by '+'; with_stage: each with its stage's name. */
const char *pare_planner_join(struct pare_planner *pl, const struct pare_ref *refs, size_t n,
                              bool with_stage)
{
    pl->text.len = 0;
    for (size_t i = 0; i < n; i++) {
        pare_str_append(&pl->text, i ? "+" : "");
        pare_str_append(&pl->text, pl->stages[refs[i].stage].pieces[refs[i].setting]);
        if (with_stage)
            pare_str_printf(&pl->text, "[stage=%s]", pl->p->stages[refs[i].stage].id);
    }
    return pl->text.failed ? NULL : pare_pool_strndup(&pl->plan->pool, pl->text.data, pl->text.len);
}

static int add_also(struct pare_planner *pl, size_t variant, const char *label)
{
    struct pare_draft *d = &pl->drafts[variant];
    if (!strcmp(label, pl->plan->variants[variant].label) ||
        (d->also && !strcmp(label, d->also->label)))
        return PARE_OK;
    struct pare_also *also = pare_pool_alloc(&pl->pool, 1, sizeof *also);
    if (!also)
        return pare_planner_nomem(pl);
    *also = (struct pare_also){label, d->also};
    d->also = also;
    d->n_also++;
    return PARE_OK;
}

static int new_variant(struct pare_planner *pl, size_t node, const struct pare_ref *refs, size_t n,
                       const char *label, const char *skip)
{
    struct pare_run_plan *plan = pl->plan;
    size_t want = plan->n_variants + 1;
    struct pare_ref *kept = pare_pool_alloc(&pl->pool, n, sizeof *kept);
    struct pare_step *steps = pare_pool_alloc(&plan->pool, n, sizeof *steps);
    if (!kept || !steps || !label ||
        !pare_grow(&plan->variants, &pl->cap_variants, want, sizeof *plan->variants) ||
        !pare_grow(&pl->drafts, &pl->cap_drafts, want, sizeof *pl->drafts))
        return pare_planner_nomem(pl);
    for (size_t i = 0; i < n; i++) {
        kept[i] = refs[i];
        steps[i] = pl->steps[pl->stages[refs[i].stage].step[refs[i].setting]].step;
        steps[i].stage = pl->p->stages[refs[i].stage].id;
    }
    pl->drafts[plan->n_variants] = (struct pare_draft){.node = node, .refs = kept};
    plan->variants[plan->n_variants] = (struct pare_variant){
        .label = label, .n_steps = n, .steps = steps, .is_baseline = node == 0, .skip = skip};
    pl->nodes[node]->variant = plan->n_variants++;
    plan->n_skipped += skip != NULL;
    return PARE_OK;
}

/* One combination: `refs` is what each stage does, in order. */
static int add_combination(struct pare_planner *pl, const struct pare_ref *refs, size_t n)
{
    struct pare_ref kept[PARE_STAGES_MOST];
    size_t n_kept = 0, node = 0;
    const char *label;
    int rc = PARE_OK;
    if (is_excluded(pl, refs, n)) {
        pl->plan->n_excluded++;
        return PARE_OK;
    }
    for (size_t i = 0; i < n; i++) {
        const struct pare_stage_info *info = &pl->stages[refs[i].stage];
        if (info->identity[refs[i].setting])
            continue;
        kept[n_kept++] = refs[i];
        PARE_TRY(node_after(pl, node, info->step[refs[i].setting], &node));
    }
    size_t known = pl->nodes[node]->variant;
    if (known == PARE_TABLE_NONE) {
        const char *skip = why_impossible(pl, kept, n_kept);
        known = pl->plan->n_variants;
        PARE_TRY(
            new_variant(pl, node, kept, n_kept, pare_planner_join(pl, kept, n_kept, false), skip));
    } else {
        pl->plan->n_duplicates += n > 0;
    }
    if (n > 0 && (n != n_kept || pl->plan->n_variants != known + 1)) {
        label = pare_planner_join(pl, refs, n, false);
        if (!label)
            return pare_planner_nomem(pl);
        PARE_TRY(add_also(pl, known, label));
    }
    const char *skip = pl->plan->variants[known].skip;
    for (size_t i = 0; i < n; i++) {
        struct pare_stage_info *info = &pl->stages[refs[i].stage];
        info->reached = true;
        info->ran = info->ran || !skip;
        info->reason = skip;
    }
out:
    return rc;
}

static int too_many(struct pare_planner *pl)
{
    const struct pare_yaml *at = pl->p->stages_node;
    pare_yaml_error(pl->diags, at, "more than %u combinations", PARE_COMBINATIONS_MOST);
    pare_diag_hint(pl->diags, "try fewer values");
    return pare_diags_status(pl->diags, pl->err);
}

static int expand(struct pare_planner *pl)
{
    const struct pare_pipeline *p = pl->p;
    const struct pare_ways_context context = {p, &pl->pool, pl->forbidden};
    struct pare_ways *ways = pare_calloc(p->n_items, sizeof *ways);
    size_t *digit = pare_calloc(p->n_items, sizeof *digit), total = 1;
    int rc = ways && digit ? PARE_OK : pare_planner_nomem(pl);
    for (size_t i = 0; rc == PARE_OK && i < p->n_items; i++) {
        rc = pare_ways_of(&context, &p->items[i], &ways[i]);
        if (rc == PARE_NOMEM)
            pare_planner_nomem(pl);
        else if (rc != PARE_OK || !pare_mul_size(total, ways[i].n, &total) ||
                 total > PARE_COMBINATIONS_MOST)
            rc = too_many(pl);
    }
    for (size_t k = 0; rc == PARE_OK && k < total; k++) {
        struct pare_ref refs[PARE_STAGES_MOST];
        size_t n = 0;
        for (size_t i = 0; i < p->n_items; i++) {
            const struct pare_way *way = &ways[i].items[digit[i]];
            for (size_t r = 0; r < way->n; r++)
                refs[n++] = way->refs[r];
        }
        rc = add_combination(pl, refs, n);
        for (size_t i = p->n_items; i-- > 0;) {
            if (++digit[i] < ways[i].n)
                break;
            digit[i] = 0;
        }
    }
    for (size_t i = 0; ways && i < p->n_items; i++)
        free(ways[i].items);
    free(ways);
    free(digit);
    return rc;
}

static int run_planner(struct pare_planner *pl)
{
    const struct pare_pipeline *p = pl->p;
    size_t root;
    int rc;
    pl->stages = pare_pool_alloc(&pl->pool, p->n_stages, sizeof *pl->stages);
    if (!pl->stages)
        return pare_planner_nomem(pl);
    PARE_TRY(node_after(pl, PARE_TABLE_NONE, PARE_TABLE_NONE, &root));
    PARE_TRY(new_variant(pl, root, NULL, 0, "baseline", NULL));
    for (size_t i = 0; i < p->n_stages; i++)
        PARE_TRY(prepare_stage(pl, i));
    PARE_TRY(prepare_rules(pl));
    PARE_TRY(expand(pl));
    PARE_TRY(pare_planner_finish(pl));
out:
    return rc;
}

int pare_run_plan_make(const struct pare_pipeline *p, const struct pare_spec_env *env,
                       struct pare_diags *diags, struct pare_run_plan **out, struct pare_error *err)
{
    struct pare_planner pl = {.p = p, .env = env, .diags = diags, .err = err};
    int rc = PARE_OK;
    *out = NULL;
    pl.plan = pare_calloc(1, sizeof *pl.plan);
    if (!pl.plan)
        return pare_error_nomem(err, sizeof *pl.plan);
    rc = run_planner(&pl);
    pare_table_free(&pl.step_table);
    pare_table_free(&pl.node_table);
    pare_table_free(&pl.label_table);
    free(pl.steps);
    free(pl.nodes);
    free(pl.drafts);
    pare_str_free(&pl.text);
    pare_pool_free(&pl.pool);
    if (rc == PARE_OK)
        *out = pl.plan;
    else
        pare_run_plan_free(pl.plan);
    return rc;
}

void pare_run_plan_free(struct pare_run_plan *plan)
{
    if (!plan)
        return;
    free(plan->variants);
    pare_pool_free(&plan->pool);
    free(plan);
}
