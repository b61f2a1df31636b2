/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "model/unit.h"
#include "pipeline/label.h"
#include "pipeline/plan_parts.h"
#include "plugin/descriptor.h"

static const struct {
    unsigned kind;
    const char *one, *many;
} nouns[] = {
    {PARE_UNIT_LINEAR, "linear", "linears"},    {PARE_UNIT_HEAD, "head", "heads"},
    {PARE_UNIT_CHANNEL, "channel", "channels"}, {PARE_UNIT_BRANCH, "branch", "branches"},
    {PARE_UNIT_BLOCK, "block", "blocks"},       {PARE_UNIT_STREAM, "stream", "streams"},
};

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    return n;
}

#define LEFT_SHOWN 3

/* "49 of 50 linears; left: classifier (default)" */
static bool describe_match(const struct pare_pipeline *p, const struct pare_pipeline_stage *stage,
                           struct pare_pool *pool, struct pare_match *out)
{
    struct pare_str text = {0}, left = {0};
    unsigned kinds = stage->plugin->desc.unit_kind;
    size_t n_on = count(stage->on), n_except = count(stage->except), n_left = 0;
    out->stage = stage->id;
    for (size_t k = 0; k < PARE_COUNT(nouns); k++) {
        size_t total = 0, chosen = 0;
        for (size_t i = 0; i < p->n_units; i++) {
            const struct pare_unit *unit = &p->units[i];
            if (unit->kind != nouns[k].kind || (kinds && !(unit->kind & kinds)))
                continue;
            total++;
            if (pare_unit_chosen(unit, stage->on, n_on, stage->except, n_except)) {
                chosen++;
            } else if (n_left++ < LEFT_SHOWN) {
                pare_str_printf(&left, "%s%s", left.len ? ", " : "", unit->path);
            }
        }
        if (total)
            pare_str_printf(&text, "%s%zu of %zu %s", text.len ? ", " : "", chosen, total,
                            total == 1 ? nouns[k].one : nouns[k].many);
        out->total += total;
        out->chosen += chosen;
    }
    if (n_left > LEFT_SHOWN)
        pare_str_printf(&left, " and %zu more", n_left - LEFT_SHOWN);
    if (n_left)
        pare_str_printf(&text, "; left: %s%s", left.data ? left.data : "",
                        stage->except_is_default && n_except ? " (default)" : "");
    out->text =
        text.failed || left.failed ? NULL : pare_pool_strdup(pool, text.data ? text.data : "");
    pare_str_free(&text);
    pare_str_free(&left);
    return out->text != NULL;
}

struct notes {
    struct pare_run_plan *plan;
    struct pare_table seen;
    const char **list;
    size_t cap;
};

static bool add_note(struct notes *n, const char *text)
{
    struct pare_run_plan *plan = n->plan;
    if (pare_table_find(&n->seen, text, strlen(text)) != PARE_TABLE_NONE)
        return true;
    const char *copy = pare_pool_strdup(&plan->pool, text);
    if (!copy || !pare_table_add(&n->seen, copy, strlen(copy), 1) ||
        !pare_grow(&n->list, &n->cap, plan->n_notes + 1, sizeof *n->list))
        return false;
    n->list[plan->n_notes++] = copy;
    return true;
}

/* What scores decide is known only when the stage begins. */
static bool note_setting(struct notes *n, const struct pare_pipeline_stage *stage, json_t *setting)
{
    const char *name;
    json_t *value;
    bool ok = true;
    json_object_foreach(setting, name, value)
    {
        const char *by = json_string_value(json_object_get(value, "plugin"));
        const char *allocator =
            json_string_value(json_object_get(json_object_get(value, "allocate"), "plugin"));
        const char *score =
            json_string_value(json_object_get(json_object_get(value, "score"), "plugin"));
        char text[512];
        if (allocator)
            snprintf(text, sizeof text, "%s: %s is decided at run time, per %s, by %s%s%s",
                     stage->id, name, json_string_value(json_object_get(value, "per")), allocator,
                     score ? " from " : "", score ? score : "");
        else if (by)
            snprintf(text, sizeof text, "%s: what %s picks is decided at run time by %s", stage->id,
                     name, by);
        const struct pare_param *p = pare_plugin_param(&stage->plugin->desc, name);
        if ((allocator || by) && (!p || pare_param_counts(p, setting)))
            ok = ok && add_note(n, text);
    }
    return ok;
}

bool pare_run_plan_describe(const struct pare_pipeline *p, const bool *exclude_hits,
                            struct pare_run_plan *plan)
{
    struct notes n = {.plan = plan};
    plan->matches = pare_pool_alloc(&plan->pool, p->n_stages, sizeof *plan->matches);
    bool ok = plan->matches != NULL;
    for (size_t i = 0; ok && i < p->n_stages; i++) {
        size_t k;
        json_t *setting;
        ok = describe_match(p, &p->stages[i], &plan->pool, &plan->matches[plan->n_matches++]);
        json_array_foreach(p->stages[i].settings, k, setting)
        {
            ok = ok && note_setting(&n, &p->stages[i], setting);
        }
    }
    for (size_t i = 0; ok && i < p->n_excludes; i++) {
        char text[80];
        if (exclude_hits[i])
            continue;
        snprintf(text, sizeof text, "exclude in line %u takes nothing out",
                 p->excludes[i].node->at.line);
        ok = add_note(&n, text);
    }
    if (ok && plan->n_notes) {
        plan->notes = pare_pool_alloc(&plan->pool, plan->n_notes, sizeof *plan->notes);
        ok = plan->notes != NULL;
        if (ok)
            memcpy(plan->notes, n.list, plan->n_notes * sizeof *plan->notes);
    }
    if (!ok)
        plan->n_notes = 0;
    free(n.list);
    pare_table_free(&n.seen);
    return ok;
}
