/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "model/unit.h"
#include "pipeline/values_parts.h"

/* ---- selectors ---- */

/* A score's rows and an allocation's units, from the finest to the coarsest. */
static const unsigned kinds_by_size[] = {PARE_UNIT_LINEAR, PARE_UNIT_HEAD,   PARE_UNIT_CHANNEL,
                                         PARE_UNIT_STREAM, PARE_UNIT_BRANCH, PARE_UNIT_BLOCK};

static bool of_kind(const struct pare_unit *unit, unsigned kinds)
{
    return kinds == 0 || (unit->kind & kinds);
}

static size_t component(const char *text)
{
    return strcspn(text, ".");
}

/* What the selector would be if its plain words were those of `path`: "layr.*.attn" along
 * "layer.0.attn.query" is "layer.*.attn". False when it does not fit in `out`. */
static bool along(const char *selector, const char *path, char *out, size_t size)
{
    size_t used = 0;
    while (*selector && *path) {
        size_t n = component(selector), m = component(path);
        bool wild = memchr(selector, '*', n) || memchr(selector, '?', n);
        const char *from = wild ? selector : path;
        size_t length = wild ? n : m;
        if (used + length + 2 > size)
            return false;
        if (used)
            out[used++] = '.';
        memcpy(out + used, from, length);
        used += length;
        selector += n + (selector[n] == '.');
        path += m + (path[m] == '.');
    }
    out[used] = '\0';
    return used > 0;
}

/* Most units that are asked for near misses: a suggestion is not worth more. */
#define NEAR_MOST 4000

static void suggest(struct pare_checker *c, const char *selector, unsigned kinds)
{
    struct pare_pool pool = {0};
    const char **names = pare_alloc(NEAR_MOST, sizeof *names);
    bool by_role = !strncmp(selector, "role:", 5);
    const char *before = "";
    size_t n = 0;
    for (size_t i = 0; names && i < c->n_units && n < NEAR_MOST; i++) {
        const struct pare_unit *unit = &c->units[i];
        char text[64];
        if (!of_kind(unit, kinds) || (by_role && !unit->role))
            continue;
        if (by_role)
            snprintf(text, sizeof text, "role:%.50s", unit->role);
        else if (!along(selector, unit->path, text, sizeof text))
            continue;
        if (!strcmp(text, before) || !pare_unit_selected(unit, text))
            continue;
        before = pare_pool_strdup(&pool, text);
        if (!before)
            break;
        names[n++] = before;
    }
    const char *near = n ? pare_nearest(selector, names, n) : NULL;
    if (near)
        pare_diag_hint(c->diags, "did you mean '%s'? `pare model` lists the units", near);
    else
        pare_diag_hint(c->diags, "`pare model` lists the units with their paths and roles");
    free(names);
    pare_pool_free(&pool);
}

static json_t *check_selector(struct pare_checker *c, const struct pare_yaml *node, unsigned kinds)
{
    if (node->kind != PARE_YAML_TEXT || !*node->text)
        return pare_expected(c, node, "on/except",
                             "a selector (\"layer.*.attn.**\", \"role:NAME\")");
    bool found = c->units == NULL;
    for (size_t i = 0; i < c->n_units && !found; i++)
        found = of_kind(&c->units[i], kinds) && pare_unit_selected(&c->units[i], node->text);
    if (!found) {
        pare_yaml_error(c->diags, node, "selector '%s' matches nothing in this model", node->text);
        suggest(c, node->text, kinds);
        return NULL;
    }
    return json_string(!strcmp(node->text, "*") ? "**" : node->text);
}

static int by_value(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

json_t *pare_checked_selectors(struct pare_checker *c, const struct pare_yaml *node, unsigned kinds)
{
    bool is_list = node->kind == PARE_YAML_LIST;
    size_t n = is_list ? node->n : 1, kept = 0;
    json_t **items = pare_calloc(n, sizeof *items), *list = json_array();
    bool ok = items && list;
    for (size_t i = 0; items && i < n; i++) {
        json_t *item = check_selector(c, is_list ? node->items[i] : node, kinds);
        ok = ok && item;
        if (item)
            items[kept++] = item;
    }
    if (kept)
        qsort(items, kept, sizeof *items, by_value);
    for (size_t i = 0; i < kept; i++) {
        if (ok && (i == 0 || by_value(&items[i - 1], &items[i]) != 0))
            ok = json_array_append(list, items[i]) == 0;
    }
    for (size_t i = 0; i < kept; i++)
        json_decref(items[i]);
    free(items);
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

/* ---- by hand ---- */

static bool covers_all(struct pare_checker *c, const json_t *entries, unsigned kinds)
{
    size_t i, k;
    json_t *entry, *selector;
    for (size_t u = 0; u < c->n_units; u++) {
        bool covered = !of_kind(&c->units[u], kinds);
        json_array_foreach(entries, i, entry)
        {
            json_array_foreach(json_object_get(entry, "on"), k, selector) covered =
                covered || pare_unit_selected(&c->units[u], json_string_value(selector));
        }
        if (!covered)
            return false;
    }
    return true;
}

/* What units without a value of their own get: what changes nothing, else the default. */
static const char *value_of_rest(const struct pare_param *p)
{
    if (p->identity)
        return p->identity;
    return p->param_flags & PARE_PARAM_REQUIRED ? NULL : p->dflt;
}

static json_t *by_entry(struct pare_checker *c, const struct pare_plugin_file *plugin,
                        const struct pare_param *p, const struct pare_yaml *node)
{
    static const char *const keys[] = {"on", "value"};
    if (node->kind != PARE_YAML_MAP)
        return pare_expected(c, node, "by", "{on: SELECTOR, value: VALUE}");
    const struct pare_yaml *on = pare_yaml_get(node, "on"), *value = pare_yaml_get(node, "value");
    if (!pare_checked_keys(c, node, keys, PARE_COUNT(keys), "an entry of `by`"))
        return NULL;
    if (!on || !value)
        return pare_expected(c, node, "by", "both `on` and `value`");
    if (value->kind == PARE_YAML_MAP || (value->kind == PARE_YAML_LIST && p->type != PARE_INTS))
        return pare_expected(c, value, p->name, "one plain value");
    json_t *selectors = pare_checked_selectors(c, on, p->varies);
    json_t *values = pare_checked_value(c, plugin, p, value, false);
    json_t *entry = NULL;
    if (selectors && values)
        entry = json_pack("{s:O, s:O}", "on", selectors, "value", json_array_get(values, 0));
    json_decref(selectors);
    json_decref(values);
    return entry;
}

json_t *pare_checked_by(struct pare_checker *c, const struct pare_plugin_file *plugin,
                        const struct pare_param *p, const struct pare_yaml *map)
{
    static const char *const keys[] = {"by"};
    const struct pare_yaml *list = pare_yaml_get(map, "by");
    if (!pare_checked_keys(c, map, keys, PARE_COUNT(keys), "{by: [...]}"))
        return NULL;
    if (!p->varies) {
        pare_yaml_error(c->diags, map, "'%s' of plugin '%s' is one value for the whole stage",
                        p->name, plugin->desc.id);
        return NULL;
    }
    if (list->kind != PARE_YAML_LIST || list->n == 0)
        return pare_expected(c, list, "by", "a list of {on: SELECTOR, value: VALUE}");
    json_t *entries = json_array(), *rest = NULL;
    bool ok = entries != NULL;
    for (size_t i = 0; i < list->n; i++) {
        json_t *entry = by_entry(c, plugin, p, list->items[i]);
        ok = entry && json_array_append_new(entries, entry) == 0 && ok;
    }
    if (ok && !covers_all(c, entries, p->varies)) {
        if (!value_of_rest(p)) {
            pare_yaml_error(c->diags, list,
                            "'%s' has no default, and `by` leaves units without a value", p->name);
            pare_diag_hint(c->diags, "begin with {on: \"*\", value: ...}");
            ok = false;
        } else {
            rest = pare_checked_own_text(c, plugin, p, value_of_rest(p), map);
            ok = rest && json_array_insert_new(entries, 0,
                                               json_pack("{s:[s], s:O}", "on", "**", "value",
                                                         json_array_get(rest, 0))) == 0;
            json_decref(rest);
        }
    }
    json_t *value = ok ? json_pack("{s:O}", "by", entries) : NULL;
    json_decref(entries);
    return pare_checked_single(c, value);
}

/* ---- plugins within parameters ---- */

#define PLUGIN_DEPTH 4

static bool use(struct pare_checker *c, const struct pare_plugin_file *file,
                const struct pare_yaml *name)
{
    struct pare_used *used = c->used;
    const struct pare_plugin_file *same = pare_used_find(used, file->desc.id);
    if (same == file)
        return true;
    if (same) {
        pare_yaml_error(c->diags, name, "two files call themselves '%s': %s and %s", file->desc.id,
                        same->path, file->path);
        return false;
    }
    if (!pare_grow(&used->files, &used->cap, used->n + 1, sizeof *used->files)) {
        pare_checked_nomem(c);
        return false;
    }
    used->files[used->n++] = file;
    return true;
}

const struct pare_plugin_file *pare_used_find(const struct pare_used *used, const char *id)
{
    for (size_t i = 0; i < used->n; i++) {
        if (!strcmp(used->files[i]->desc.id, id))
            return used->files[i];
    }
    return NULL;
}

const struct pare_plugin_file *pare_checked_plugin(struct pare_checker *c,
                                                   const struct pare_yaml *name, unsigned kind)
{
    static const char *const nouns[] = {[PARE_TRANSFORM] = "a transform",
                                        [PARE_SCORE] = "a score",
                                        [PARE_ALLOCATE] = "an allocator",
                                        [PARE_ENCODING] = "an encoding",
                                        [PARE_METRIC] = "a metric"};
    const struct pare_plugin_file *file = NULL;
    struct pare_error err = {0};
    if (name->kind != PARE_YAML_TEXT || !*name->text)
        return pare_expected(c, name, "plugin", "the name of a plugin");
    int rc = c->env->find(c->env->user, name->text, c->folder, &file, &err);
    if (rc == PARE_NOMEM) {
        pare_checked_nomem(c);
        return NULL;
    }
    if (rc != PARE_OK) {
        if (rc == PARE_NOT_FOUND && strchr(name->text, '/'))
            pare_yaml_error(c->diags, name, "unknown plugin '%s': there is no such file%s%s",
                            name->text, name->text[0] == '/' ? "" : " from ",
                            name->text[0] == '/' ? "" : c->folder);
        else if (rc == PARE_NOT_FOUND)
            pare_yaml_error(c->diags, name, "unknown plugin '%s'", name->text);
        else
            pare_yaml_error(c->diags, name, "plugin '%s' cannot be used: %s%s%s", name->text,
                            err.what, err.detail[0] ? ": " : "", err.detail);
        if (err.hint[0])
            pare_diag_hint(c->diags, "%s", err.hint);
        return NULL;
    }
    if (file->desc.kind != kind &&
        !(kind == PARE_TRANSFORM && pare_plugin_transforms(&file->desc))) {
        pare_yaml_error(c->diags, name, "plugin '%s' is %s, expected %s", name->text,
                        file->desc.kind < PARE_COUNT(nouns) && nouns[file->desc.kind]
                            ? nouns[file->desc.kind]
                            : "of a kind that this program does not know",
                        nouns[kind]);
        return NULL;
    }
    return use(c, file, name) ? file : NULL;
}

/* ID or {plugin: ID, PARAMETER: VALUE, ...}: an array of {"plugin": ID, "params": {...}}. */
static json_t *plugin_settings(struct pare_checker *c, const struct pare_yaml *node, unsigned kind,
                               const char *what, const struct pare_plugin_file **out)
{
    bool is_map = node->kind == PARE_YAML_MAP;
    const struct pare_yaml *name = is_map ? pare_yaml_get(node, "plugin") : node;
    *out = NULL;
    if (!name || (!is_map && node->kind != PARE_YAML_TEXT))
        return pare_expected(c, node, what,
                             "a plugin's name or {plugin: NAME, PARAMETER: VALUE, ...}");
    if (c->depth >= PLUGIN_DEPTH) {
        pare_yaml_error(c->diags, node, "plugins within plugins, more than %d deep", PLUGIN_DEPTH);
        return NULL;
    }
    const struct pare_plugin_file *file = pare_checked_plugin(c, name, kind);
    if (!file)
        return NULL;
    c->depth++;
    json_t *settings = pare_checked_settings(c, file, &node, is_map ? 1 : 0, name);
    c->depth--;
    json_t *list = settings ? json_array() : NULL, *params;
    size_t i;
    json_array_foreach(settings, i, params)
    {
        json_t *entry = json_pack("{s:O, s:s}", "params", params, "plugin", file->desc.id);
        if (!entry || json_array_append_new(list, entry) != 0)
            pare_checked_nomem(c);
    }
    json_decref(settings);
    *out = file;
    return list;
}

json_t *pare_checked_scored(struct pare_checker *c, const struct pare_plugin_file *plugin,
                            const struct pare_param *p, const struct pare_yaml *node)
{
    const struct pare_plugin_file *score;
    (void)plugin;
    return plugin_settings(c, node, PARE_SCORE, p->name, &score);
}

/* The kind of unit that gets a value: as said, else the score's own, else the parameter's. 0:
 * wrong, and was said. */
static unsigned allocation_unit(struct pare_checker *c, const struct pare_param *p,
                                const struct pare_plugin_file *score, const struct pare_yaml *per)
{
    unsigned can = score && score->desc.unit_kind ? score->desc.unit_kind : ~0u;
    if (per) {
        unsigned kind = per->kind == PARE_YAML_TEXT ? pare_unit_kind_from(per->text) : 0;
        if (!kind) {
            pare_expected(c, per, "per", "linear, head, channel, branch or block");
            return 0;
        }
        if (!(kind & can)) {
            pare_yaml_error(c->diags, per, "score '%s' has no value per %s", score->desc.id,
                            per->text);
            return 0;
        }
        return kind;
    }
    can &= score && !(can & p->varies) ? ~0u : p->varies;
    for (size_t i = 0; i < PARE_COUNT(kinds_by_size); i++) {
        if (can & kinds_by_size[i])
            return kinds_by_size[i];
    }
    return PARE_UNIT_LINEAR;
}

json_t *pare_checked_allocate(struct pare_checker *c, const struct pare_plugin_file *plugin,
                              const struct pare_param *p, const struct pare_yaml *map)
{
    static const char *const keys[] = {"allocate", "score", "per"};
    const struct pare_plugin_file *allocator, *score = NULL;
    const struct pare_yaml *by = pare_yaml_get(map, "score");
    size_t i, k;
    json_t *a, *s;
    if (!pare_checked_keys(c, map, keys, PARE_COUNT(keys), "{allocate: ..., score: ..., per: ...}"))
        return NULL;
    bool number = p->type == PARE_INT || p->type == PARE_REAL || p->type == PARE_BOOL;
    if (!p->varies || !number) {
        pare_yaml_error(c->diags, map, "'%s' of plugin '%s' %s", p->name, plugin->desc.id,
                        p->varies ? "is no number: nothing to allocate"
                                  : "is one value for the whole stage");
        return NULL;
    }
    json_t *list = NULL, *none = json_pack("[n]");
    json_t *allocators =
        plugin_settings(c, pare_yaml_get(map, "allocate"), PARE_ALLOCATE, "allocate", &allocator);
    json_t *scores = by ? plugin_settings(c, by, PARE_SCORE, "score", &score) : json_incref(none);
    unsigned per =
        allocators && scores ? allocation_unit(c, p, score, pare_yaml_get(map, "per")) : 0;
    list = per ? json_array() : NULL;
    json_array_foreach(list ? allocators : NULL, i, a)
    {
        json_array_foreach(scores, k, s)
        {
            json_t *value = json_pack("{s:O, s:s, s:O}", "allocate", a, "per",
                                      pare_unit_kind_name(per), "score", s);
            if (!value || json_array_append_new(list, value) != 0)
                pare_checked_nomem(c);
        }
    }
    json_decref(allocators);
    json_decref(scores);
    json_decref(none);
    return list;
}
