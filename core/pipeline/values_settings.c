/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "pipeline/values_parts.h"
#include "plugin/descriptor.h"

/* One parameter of a plugin and what the pipeline says about it. */
struct slot {
    const struct pare_param *param;
    const struct pare_yaml *node; /* NULL: not given */
    json_t *values;               /* array of canonical values */
};

static int by_param_name(const void *a, const void *b)
{
    return strcmp(((const struct slot *)a)->param->name, ((const struct slot *)b)->param->name);
}

static struct slot *find_slot(struct slot *slots, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(slots[i].param->name, name))
            return &slots[i];
    }
    return NULL;
}

static void unknown_parameter(struct pare_checker *c, const struct pare_plugin *plugin,
                              const struct pare_yaml *key)
{
    const char **names = pare_alloc(plugin->n_params, sizeof *names);
    if (!names) {
        pare_checked_nomem(c);
        return;
    }
    for (size_t i = 0; i < plugin->n_params; i++)
        names[i] = plugin->params[i].name;
    const char *near = pare_nearest(key->text, names, plugin->n_params);
    pare_yaml_error(c->diags, key, "unknown parameter '%s' for plugin '%s'", key->text, plugin->id);
    if (near)
        pare_diag_hint(c->diags, "did you mean '%s'? `pare plugins %s` lists them", near,
                       plugin->id);
    else
        pare_diag_hint(c->diags, "`pare plugins %s` lists them", plugin->id);
    free(names);
}

/* Note which parameters are given, `order` holding them as they first appear. */
static bool gather(struct pare_checker *c, const struct pare_plugin *plugin, struct slot *slots,
                   const struct pare_yaml *const *maps, size_t n_maps, struct slot **order,
                   size_t *n_order)
{
    bool ok = true;
    for (size_t m = 0; m < n_maps; m++) {
        for (size_t i = 0; i < maps[m]->n; i++) {
            const struct pare_yaml *key = maps[m]->keys[i];
            if (!strcmp(key->text, "plugin"))
                continue;
            struct slot *slot = find_slot(slots, plugin->n_params, key->text);
            if (!slot) {
                unknown_parameter(c, plugin, key);
                ok = false;
                continue;
            }
            if (!slot->node)
                order[(*n_order)++] = slot;
            slot->node = maps[m]->items[i];
        }
    }
    return ok;
}

static json_t *default_values(struct pare_checker *c, const struct pare_plugin_file *plugin,
                              const struct pare_param *p, const struct pare_yaml *at)
{
    if (p->param_flags & PARE_PARAM_REQUIRED) {
        pare_yaml_error(c->diags, at, "plugin '%s' needs a value for '%s'", plugin->desc.id,
                        p->name);
        if (p->help)
            pare_diag_hint(c->diags, "%s: %s", p->name, p->help);
        return NULL;
    }
    if (p->dflt)
        return pare_checked_own_text(c, plugin, p, p->dflt, at);
    if (p->type == PARE_INTS)
        return pare_checked_single(c, json_array());
    return pare_checked_single(c, p->type == PARE_TEXT ? json_string("") : json_null());
}

/* Every combination, the first of `order` varying slowest, each an object in the order of `slots`.
 */
static json_t *combine(struct pare_checker *c, const struct slot *slots, size_t n_slots,
                       struct slot *const *order, size_t n_order, const struct pare_yaml *at)
{
    size_t total = 1;
    json_t *list = json_array();
    size_t *digit = pare_calloc(n_slots, sizeof *digit); /* by slot */
    for (size_t i = 0; i < n_order; i++) {
        if (!pare_mul_size(total, json_array_size(order[i]->values), &total) ||
            total > PARE_SETTINGS_MOST) {
            pare_yaml_error(c->diags, at, "more than %u combinations of parameters in one stage",
                            PARE_SETTINGS_MOST);
            goto fail;
        }
    }
    for (size_t k = 0; list && digit && k < total; k++) {
        json_t *setting = json_object();
        for (size_t i = 0; setting && i < n_slots; i++)
            json_object_set(setting, slots[i].param->name,
                            json_array_get(slots[i].values, digit[i]));
        if (!setting || json_object_size(setting) != n_slots ||
            json_array_append_new(list, setting) != 0) {
            pare_checked_nomem(c);
            goto fail;
        }
        for (size_t i = n_order; i-- > 0;) {
            size_t *d = &digit[order[i] - slots];
            if (++*d < json_array_size(order[i]->values))
                break;
            *d = 0;
        }
    }
    if (list && digit) {
        free(digit);
        return list;
    }
    pare_checked_nomem(c);
fail:
    free(digit);
    json_decref(list);
    return NULL;
}

json_t *pare_checked_settings(struct pare_checker *c, const struct pare_plugin_file *plugin,
                              const struct pare_yaml *const *maps, size_t n_maps,
                              const struct pare_yaml *at)
{
    const struct pare_plugin *desc = &plugin->desc;
    size_t n = desc->n_params, n_order = 0;
    struct slot *slots = pare_calloc(n, sizeof *slots);
    struct slot **order = pare_calloc(n, sizeof *order);
    json_t *list = NULL;
    if (!slots || !order) {
        pare_checked_nomem(c);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        slots[i].param = &desc->params[i];
    qsort(slots, n, sizeof *slots, by_param_name);
    bool ok = gather(c, desc, slots, maps, n_maps, order, &n_order);
    for (size_t i = 0; i < n; i++) {
        struct slot *s = &slots[i];
        s->values = s->node ? pare_checked_values(c, plugin, s->param, s->node)
                            : default_values(c, plugin, s->param, at);
        ok = ok && s->values;
    }
    if (ok)
        list = combine(c, slots, n, order, n_order, at);
out:
    for (size_t i = 0; slots && i < n; i++)
        json_decref(slots[i].values);
    free(slots);
    free(order);
    return list;
}

/* ---- reading settings ---- */

static bool is_identity_scalar(const struct pare_param *p, const json_t *value)
{
    double x;
    if (json_is_number(value))
        return pare_parse_double(p->identity, &x) && json_number_value(value) == x;
    if (json_is_boolean(value))
        return !strcmp(p->identity, json_is_true(value) ? "true" : "false");
    if (json_is_array(value))
        return json_array_size(value) == 0 && !strcmp(p->identity, "[]");
    return json_is_string(value) && !strcmp(p->identity, json_string_value(value));
}

static bool is_identity_value(const struct pare_param *p, const json_t *value)
{
    const json_t *entries = json_object_get(value, "by");
    const json_t *entry;
    size_t i;
    if (!entries)
        return is_identity_scalar(p, value);
    json_array_foreach(entries, i, entry)
    {
        if (!is_identity_scalar(p, json_object_get(entry, "value")))
            return false;
    }
    return true;
}

bool pare_setting_is_identity(const struct pare_plugin *plugin, const json_t *params)
{
    for (size_t i = 0; i < plugin->n_params; i++) {
        const struct pare_param *p = &plugin->params[i];
        const json_t *value = json_object_get(params, p->name);
        if (p->identity && value && is_identity_value(p, value))
            return true;
    }
    return false;
}

static int walk(const struct pare_used *used, json_t *value,
                int (*found)(void *user, const struct pare_plugin_file *file), void *user)
{
    const char *name;
    json_t *item;
    size_t i;
    int rc = PARE_OK;
    if (json_is_object(value)) {
        const char *id = json_string_value(json_object_get(value, "plugin"));
        const json_t *params = json_object_get(value, "params");
        const struct pare_plugin_file *file = id && params ? pare_used_find(used, id) : NULL;
        if (file)
            PARE_TRY(found(user, file));
        json_object_foreach(value, name, item) PARE_TRY(walk(used, item, found, user));
    }
    json_array_foreach(value, i, item) PARE_TRY(walk(used, item, found, user));
out:
    return rc;
}

int pare_setting_plugins(const struct pare_used *used, const struct pare_plugin *plugin,
                         const json_t *params,
                         int (*found)(void *user, const struct pare_plugin_file *file), void *user)
{
    const char *name;
    json_t *value;
    int rc = PARE_OK;
    /* jansson's iterator takes no const object; nothing is changed through it */
    union {
        const json_t *in;
        json_t *out;
    } plain = {.in = params};
    json_object_foreach(plain.out, name, value)
    {
        const struct pare_param *p = pare_plugin_param(plugin, name);
        if (!p || pare_param_counts(p, params))
            PARE_TRY(walk(used, value, found, user));
    }
out:
    return rc;
}
