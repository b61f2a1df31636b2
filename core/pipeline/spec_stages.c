/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "model/unit.h"
#include "pipeline/label.h"
#include "pipeline/spec_parts.h"
#include "plugin/descriptor.h"

/* What a stage says about itself before its plugin is known. */
struct stage_text {
    struct pare_pipeline_stage *stage;
    const struct pare_yaml *plugin, *with, *tries, *on, *except;
    int compressed; /* -1: as the plugin wants */
};

static void stage_id(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    pare_read_word(r, node, "id", &((struct stage_text *)into)->stage->id);
}

static void stage_plugin(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)r;
    ((struct stage_text *)into)->plugin = node;
}

static void stage_optional(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    if (node->kind != PARE_YAML_BOOL)
        pare_expected(&r->check, node, "optional", "true or false");
    ((struct stage_text *)into)->stage->optional = node->boolean;
}

static void stage_with(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    if (node->kind == PARE_YAML_MAP)
        ((struct stage_text *)into)->with = node;
    else if (node->kind != PARE_YAML_NULL)
        pare_expected(&r->check, node, "with", "a map of parameters");
}

static void stage_try(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    bool ok = node->kind == PARE_YAML_LIST && node->n > 0;
    for (size_t i = 0; ok && i < node->n; i++)
        ok = node->items[i]->kind == PARE_YAML_MAP;
    if (ok)
        ((struct stage_text *)into)->tries = node;
    else
        pare_expected(&r->check, node, "try", "a list of maps of parameters");
}

static void stage_on(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)r;
    ((struct stage_text *)into)->on = node;
}

static void stage_except(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)r;
    ((struct stage_text *)into)->except = node;
}

static void stage_propagate(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    struct stage_text *s = into;
    bool text = node->kind == PARE_YAML_TEXT;
    if (text && !strcmp(node->text, "original"))
        s->compressed = 0;
    else if (text && !strcmp(node->text, "compressed"))
        s->compressed = 1;
    else
        pare_expected(&r->check, node, "propagate", "original or compressed");
}

static void stage_as(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    pare_read_text(r, node, "as", &((struct stage_text *)into)->stage->as);
}

static void stage_limits(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    pare_read_limits(r, node, &((struct stage_text *)into)->stage->limits);
}

/* ---- which units ---- */

static const char **strings_of(struct pare_reader *r, const json_t *list)
{
    size_t n = json_array_size(list);
    const char **out = pare_read_alloc(r, n + 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        out[i] = pare_read_strdup(r, json_string_value(json_array_get(list, i)));
    return out;
}

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    return n;
}

static void read_selection(struct pare_reader *r, const struct stage_text *s)
{
    struct pare_pipeline_stage *stage = s->stage;
    const struct pare_plugin *desc = &stage->plugin->desc;
    unsigned kinds = desc->unit_kind;
    json_t *on = s->on ? pare_checked_selectors(&r->check, s->on, kinds) : NULL;
    json_t *except = s->except ? pare_checked_selectors(&r->check, s->except, kinds) : NULL;
    bool ok = (on || !s->on) && (except || !s->except);
    if (ok && s->on && json_array_size(on) == 0) {
        pare_expected(&r->check, s->on, "on", "at least one selector");
        ok = false;
    }
    if (ok) {
        struct pare_pool *pool = &r->p->pool;
        stage->on =
            on ? strings_of(r, on) : pare_descriptor_selectors(pool, desc->on ? desc->on : "**");
        stage->except_is_default = !except;
        stage->except = except ? strings_of(r, except)
                               : pare_descriptor_selectors(pool, desc->except ? desc->except : "");
        if (!stage->on || !stage->except)
            r->check.diags->nomem = true;
    }
    json_decref(on);
    json_decref(except);
    if (!ok || !r->check.units || !stage->on || !stage->except)
        return;
    bool any = false;
    for (size_t i = 0; i < r->check.n_units; i++) {
        const struct pare_unit *unit = &r->check.units[i];
        if (kinds && !(unit->kind & kinds))
            continue;
        any = true;
        if (pare_unit_chosen(unit, stage->on, count(stage->on), stage->except,
                             count(stage->except)))
            return;
    }
    const char *missing = any ? NULL : pare_unit_kinds_missing(kinds);
    pare_yaml_error(r->check.diags, s->on ? s->on : s->plugin,
                    "stage '%s' has nothing to work on in this model", stage->id);
    if (missing)
        pare_diag_hint(r->check.diags, "%s", missing);
    else if (stage->except_is_default && stage->except[0])
        pare_diag_hint(r->check.diags,
                       "plugin '%s' leaves out '%s' unless told otherwise: except: []", desc->id,
                       stage->except[0]);
}

/* ---- its settings ---- */

static void read_settings(struct pare_reader *r, const struct stage_text *s)
{
    struct pare_pipeline_stage *stage = s->stage;
    size_t n = s->tries ? s->tries->n : 1;
    json_t *all = json_array();
    bool ok = all != NULL;
    for (size_t i = 0; all && i < n; i++) {
        const struct pare_yaml *maps[2];
        size_t n_maps = 0;
        if (s->with)
            maps[n_maps++] = s->with;
        if (s->tries)
            maps[n_maps++] = s->tries->items[i];
        json_t *part = pare_checked_settings(&r->check, stage->plugin, maps, n_maps, s->plugin);
        ok = part && json_array_extend(all, part) == 0 && ok;
        json_decref(part);
    }
    if (ok)
        stage->settings = all;
    else
        json_decref(all);
}

static int any_needs(void *user, const struct pare_plugin_file *file)
{
    if (file->desc.needs)
        *(const char **)user = file->desc.id;
    return PARE_OK;
}

static void check_needs(struct pare_reader *r, const struct stage_text *s)
{
    const struct pare_plugin *desc = &s->stage->plugin->desc;
    const char *who = NULL;
    size_t i;
    json_t *setting;
    json_array_foreach(s->stage->settings, i, setting)
    {
        if (pare_plugin_needs(desc, setting))
            who = desc->id;
        pare_setting_plugins(r->check.used, desc, setting, any_needs, &who);
    }
    if (!who || pare_yaml_get(pare_yaml_get(r->p->tree.root, "data"), "calibrate"))
        return;
    pare_yaml_error(r->check.diags, s->plugin, "plugin '%s' needs calibration data", who);
    pare_diag_hint(r->check.diags, "%s",
                   r->check.env->calibrate_hint
                       ? r->check.env->calibrate_hint
                       : "add data: {calibrate: {from: ..., split: ..., samples: 256}}");
}

/* ---- stages and groups ---- */

/* The last part of a plugin's id: "org.example.gptq" makes the stage "gptq". */
static const char *id_of(const struct pare_plugin *desc)
{
    const char *dot = strrchr(desc->id, '.');
    return dot ? dot + 1 : desc->id;
}

static void check_id(struct pare_reader *r, const struct stage_text *s)
{
    const struct pare_yaml *at = pare_yaml_get(s->stage->node, "id");
    for (size_t i = 0; s->stage->id && i + 1 < r->p->n_stages; i++) {
        const struct pare_pipeline_stage *other = &r->p->stages[i];
        if (!other->id || strcmp(other->id, s->stage->id) != 0)
            continue;
        pare_yaml_error(r->check.diags, at ? at : s->plugin, "two stages are called '%s'",
                        s->stage->id);
        pare_diag_note(r->check.diags, other->node->at, "the first");
        if (!at)
            pare_diag_hint(r->check.diags, "give this one an `id`");
        return;
    }
}

static void check_template(struct pare_reader *r, const struct pare_pipeline_stage *stage)
{
    char name[64];
    if (!stage->as || pare_label_check(stage->as, &stage->plugin->desc, name, sizeof name))
        return;
    const struct pare_yaml *at = pare_yaml_get(stage->node, "as");
    if (name[0])
        pare_yaml_error(r->check.diags, at, "plugin '%s' has no parameter '%s' for the label",
                        stage->plugin->desc.id, name);
    else
        pare_yaml_error(r->check.diags, at, "a brace that is not {PARAMETER}");
}

static void read_stage(struct pare_reader *r, const struct pare_yaml *node, struct pare_item *item)
{
    static const struct pare_field fields[] = {
        {"id", stage_id, NULL},
        {"plugin", stage_plugin, NULL},
        {"optional", stage_optional, NULL},
        {"with", stage_with, NULL},
        {"try", stage_try, NULL},
        {"on", stage_on, NULL},
        {"except", stage_except, NULL},
        {"propagate", stage_propagate, NULL},
        {"as", stage_as, NULL},
        {"limits", stage_limits, NULL},
    };
    if (r->p->n_stages == PARE_STAGES_MOST) {
        pare_yaml_error(r->check.diags, node, "more than %d stages", PARE_STAGES_MOST);
        return;
    }
    struct pare_pipeline_stage *stage = &r->p->stages[r->p->n_stages];
    struct stage_text s = {.stage = stage, .compressed = -1};
    *stage = (struct pare_pipeline_stage){.node = node};
    item->kind = PARE_ITEM_STAGE;
    item->stage = r->p->n_stages++;
    pare_read_fields(r, node, "a stage", fields, PARE_COUNT(fields), &s);
    if (!s.plugin) {
        if (node->kind == PARE_YAML_MAP || node->kind == PARE_YAML_NULL)
            pare_diag_add(r->check.diags, node->at, node->at, "a stage without `plugin`");
        check_id(r, &s);
        return;
    }
    stage->plugin_node = s.plugin;
    stage->plugin = pare_checked_plugin(&r->check, s.plugin, PARE_TRANSFORM);
    if (!stage->id && stage->plugin && !pare_yaml_get(node, "id"))
        stage->id = id_of(&stage->plugin->desc);
    check_id(r, &s);
    if (!stage->plugin)
        return; /* what depends on the plugin cannot be checked */
    stage->compressed =
        s.compressed >= 0 ? s.compressed : (stage->plugin->desc.flags & PARE_WANTS_COMPRESSED) != 0;
    read_selection(r, &s);
    read_settings(r, &s);
    check_template(r, stage);
    if (stage->settings)
        check_needs(r, &s);
}

static void read_items(struct pare_reader *r, const struct pare_yaml *list, const char *name,
                       struct pare_item **items, size_t *n);

#define ORDER_MOST 6

static void read_order(struct pare_reader *r, const struct pare_yaml *node, struct pare_item *item)
{
    static const char *const keys[] = {"order", "stages"};
    const struct pare_yaml *order = pare_yaml_get(node, "order"),
                           *list = pare_yaml_get(node, "stages");
    item->kind = PARE_ITEM_ANY_ORDER;
    pare_checked_keys(&r->check, node, keys, PARE_COUNT(keys), "{order: any, stages: [...]}");
    if (!order || order->kind != PARE_YAML_TEXT || strcmp(order->text, "any") != 0)
        pare_expected(&r->check, order ? order : node, "order", "any");
    if (!list)
        pare_expected(&r->check, node, "stages", "a list of stages");
    else
        read_items(r, list, "stages", &item->items, &item->n_items);
    if (item->n_items > ORDER_MOST)
        pare_yaml_error(r->check.diags, list, "more than %d stages in any order", ORDER_MOST);
}

static void read_one_of(struct pare_reader *r, const struct pare_yaml *node, struct pare_item *item)
{
    static const char *const keys[] = {"one_of"};
    item->kind = PARE_ITEM_ONE_OF;
    pare_checked_keys(&r->check, node, keys, PARE_COUNT(keys), "{one_of: [...]}");
    read_items(r, pare_yaml_get(node, "one_of"), "one_of", &item->items, &item->n_items);
}

static void read_items(struct pare_reader *r, const struct pare_yaml *list, const char *name,
                       struct pare_item **items, size_t *n)
{
    if (list->kind != PARE_YAML_LIST || list->n == 0) {
        pare_expected(&r->check, list, name, "a list of stages");
        return;
    }
    *items = pare_read_alloc(r, list->n, sizeof **items);
    for (size_t i = 0; *items && i < list->n; i++) {
        const struct pare_yaml *node = list->items[i];
        struct pare_item *item = &(*items)[(*n)++];
        item->node = node;
        if (pare_yaml_get(node, "one_of"))
            read_one_of(r, node, item);
        else if (pare_yaml_get(node, "order") || pare_yaml_get(node, "stages"))
            read_order(r, node, item);
        else
            read_stage(r, node, item);
    }
}

void pare_read_stages(struct pare_reader *r, const struct pare_yaml *node)
{
    r->p->stages_node = node;
    r->p->stages = pare_read_alloc(r, PARE_STAGES_MOST, sizeof *r->p->stages);
    if (r->p->stages)
        read_items(r, node, "stages", &r->p->items, &r->p->n_items);
}

/* ---- exclude ---- */

static size_t find_stage(const struct pare_pipeline *p, const char *id, size_t length)
{
    for (size_t i = 0; i < p->n_stages; i++) {
        const char *name = p->stages[i].id;
        if (name && strlen(name) == length && !strncmp(name, id, length))
            return i;
    }
    return SIZE_MAX;
}

static void no_such_stage(struct pare_reader *r, const struct pare_yaml *key, size_t length)
{
    const char *names[PARE_STAGES_MOST];
    size_t n = 0;
    char id[80];
    snprintf(id, sizeof id, "%.*s", (int)PARE_MIN(length, (size_t)79), key->text);
    for (size_t i = 0; i < r->p->n_stages; i++) {
        if (r->p->stages[i].id)
            names[n++] = r->p->stages[i].id;
    }
    pare_yaml_error(r->check.diags, key, "no stage is called '%s'", id);
    const char *near = pare_nearest(id, names, n);
    if (near)
        pare_diag_hint(r->check.diags, "did you mean '%s'?", near);
}

static void read_condition(struct pare_reader *r, const struct pare_yaml *key,
                           const struct pare_yaml *value, struct pare_condition *out)
{
    size_t length = strcspn(key->text, ".");
    if (!key->text[length]) {
        pare_expected(&r->check, key, "exclude", "a key STAGE.PARAMETER");
        return;
    }
    out->stage = find_stage(r->p, key->text, length);
    if (out->stage == SIZE_MAX) {
        no_such_stage(r, key, length);
        return;
    }
    const struct pare_plugin_file *file = r->p->stages[out->stage].plugin;
    if (!file)
        return; /* said already */
    const char *name = key->text + length + 1;
    const struct pare_param *param = NULL;
    const char **names = pare_read_alloc(r, file->desc.n_params, sizeof *names);
    for (size_t i = 0; names && i < file->desc.n_params; i++) {
        names[i] = file->desc.params[i].name;
        if (!strcmp(names[i], name))
            param = &file->desc.params[i];
    }
    if (param) {
        out->param = param->name;
        out->values = pare_checked_values(&r->check, file, param, value);
    } else if (names) {
        pare_yaml_error(r->check.diags, key, "unknown parameter '%s' for plugin '%s'", name,
                        file->desc.id);
        const char *near = pare_nearest(name, names, file->desc.n_params);
        if (near)
            pare_diag_hint(r->check.diags, "did you mean '%s'?", near);
    }
}

void pare_read_excludes(struct pare_reader *r, const struct pare_yaml *node)
{
    struct pare_pipeline *p = r->p;
    if (node->kind != PARE_YAML_LIST) {
        pare_expected(&r->check, node, "exclude", "a list of maps {STAGE.PARAMETER: VALUE, ...}");
        return;
    }
    p->excludes = pare_read_alloc(r, node->n, sizeof *p->excludes);
    for (size_t i = 0; p->excludes && i < node->n; i++) {
        const struct pare_yaml *map = node->items[i];
        struct pare_exclude *exclude = &p->excludes[p->n_excludes++];
        exclude->node = map;
        if (map->kind != PARE_YAML_MAP || map->n == 0) {
            pare_expected(&r->check, map, "exclude", "a map {STAGE.PARAMETER: VALUE, ...}");
            continue;
        }
        exclude->conditions = pare_read_alloc(r, map->n, sizeof *exclude->conditions);
        for (size_t k = 0; exclude->conditions && k < map->n; k++)
            read_condition(r, map->keys[k], map->items[k], &exclude->conditions[exclude->n++]);
    }
}
