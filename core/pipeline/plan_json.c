/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "pipeline/plan.h"

static json_t *selector_list(const char *const *list)
{
    json_t *out = json_array();
    for (size_t i = 0; out && list[i]; i++)
        json_array_append_new(out, json_string(list[i]));
    return out;
}

static int add_plugin(void *user, const struct pare_plugin_file *file)
{
    json_t *list = user, *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        if (!strcmp(json_string_value(json_object_get(entry, "id")), file->desc.id))
            return PARE_OK;
    }
    entry = json_pack("{s:s, s:s, s:s}", "id", file->desc.id, "path", file->path, "sha256",
                      file->sha256);
    return entry && json_array_append_new(list, entry) == 0 ? PARE_OK : PARE_NOMEM;
}

json_t *pare_steps_to_json(const struct pare_step *steps, size_t n, const struct pare_used *used)
{
    json_t *plugins = json_array(), *list = json_array();
    bool ok = plugins && list;
    for (size_t i = 0; ok && i < n; i++) {
        const struct pare_step *s = &steps[i];
        ok =
            add_plugin(plugins, s->plugin) == PARE_OK &&
            pare_setting_plugins(used, &s->plugin->desc, s->params, add_plugin, plugins) == PARE_OK;
        json_t *params = ok ? json_deep_copy(s->params) : NULL;
        json_t *entry = NULL;
        if (params)
            entry = json_pack("{s:s, s:s, s:o, s:o, s:s, s:o}", "stage", s->stage, "plugin",
                              s->plugin->desc.id, "on", selector_list(s->on), "except",
                              selector_list(s->except), "propagate",
                              s->compressed ? "compressed" : "original", "params", params);
        ok = entry && json_array_append_new(list, entry) == 0;
    }
    if (ok)
        return json_pack("{s:o, s:o}", "plugins", plugins, "steps", list);
    json_decref(plugins);
    json_decref(list);
    return NULL;
}

/* ---- and back ---- */

struct known {
    const char *id;
    const struct pare_plugin_file *file;
};

static int bad(struct pare_error *err, const char *what)
{
    return pare_error_set(err, PARE_INVALID, "steps in JSON: %s", what);
}

static int load_plugins(const json_t *list, const struct pare_spec_env *env, struct known *known,
                        struct pare_error *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *id = json_string_value(json_object_get(entry, "id"));
        const char *path = json_string_value(json_object_get(entry, "path"));
        const char *sha256 = json_string_value(json_object_get(entry, "sha256"));
        if (!id || !path || !sha256)
            return bad(err, "a plugin lacks its id, path or sha256");
        int rc = env->find(env->user, path, NULL, &known[i].file, err);
        if (rc != PARE_OK)
            return rc;
        if (strcmp(known[i].file->sha256, sha256) != 0 || strcmp(known[i].file->desc.id, id) != 0) {
            pare_error_set(err, PARE_FAILED, "plugin '%s' has changed since the plan was made", id);
            pare_error_detail(err, "%s", path);
            pare_error_hint(err, "plan again");
            return PARE_FAILED;
        }
        known[i].id = id;
    }
    return PARE_OK;
}

static int read_selectors(const json_t *list, struct pare_pool *pool, const char *const **out,
                          struct pare_error *err)
{
    size_t n = json_array_size(list);
    const char **texts = pare_pool_alloc(pool, n + 1, sizeof *texts);
    if (!texts)
        return pare_error_nomem(err, 0);
    if (!json_is_array(list))
        return bad(err, "selectors are no list");
    for (size_t i = 0; i < n; i++) {
        texts[i] = json_string_value(json_array_get(list, i));
        if (!texts[i])
            return bad(err, "a selector is no text");
    }
    *out = texts;
    return PARE_OK;
}

static int read_step(const json_t *entry, const struct known *known, size_t n_known,
                     struct pare_pool *pool, struct pare_step *out, struct pare_error *err)
{
    const char *id = json_string_value(json_object_get(entry, "plugin"));
    const char *propagate = json_string_value(json_object_get(entry, "propagate"));
    int rc = PARE_OK;
    out->stage = json_string_value(json_object_get(entry, "stage"));
    out->params = json_object_get(entry, "params");
    for (size_t i = 0; id && i < n_known; i++) {
        if (!strcmp(known[i].id, id))
            out->plugin = known[i].file;
    }
    if (!out->stage || !out->plugin || !json_is_object(out->params))
        return bad(err, "a step lacks its stage, plugin or params");
    if (!pare_plugin_transforms(&out->plugin->desc))
        return bad(err, "a step's plugin is no transform");
    if (!propagate || (strcmp(propagate, "original") != 0 && strcmp(propagate, "compressed") != 0))
        return bad(err, "propagate is neither original nor compressed");
    out->compressed = propagate[0] == 'c';
    for (size_t i = 0; i < out->plugin->desc.n_params; i++) {
        if (!json_object_get(out->params, out->plugin->desc.params[i].name))
            return bad(err, "a parameter is missing");
    }
    PARE_TRY(read_selectors(json_object_get(entry, "on"), pool, &out->on, err));
    PARE_TRY(read_selectors(json_object_get(entry, "except"), pool, &out->except, err));
    if (!out->on[0])
        return bad(err, "a step works on nothing");
out:
    return rc;
}

int pare_steps_from_json(const json_t *json, const struct pare_spec_env *env,
                         struct pare_steps *out, struct pare_error *err)
{
    const json_t *plugins = json_object_get(json, "plugins"),
                 *steps = json_object_get(json, "steps");
    struct known *known;
    int rc;
    *out = (struct pare_steps){0};
    if (!json_is_array(plugins) || !json_is_array(steps))
        return bad(err, "plugins or steps are missing");
    out->source = json_deep_copy(json);
    out->n = json_array_size(steps);
    out->items = pare_pool_alloc(&out->pool, out->n, sizeof *out->items);
    known = pare_pool_alloc(&out->pool, json_array_size(plugins), sizeof *known);
    if (!out->source || !out->items || !known) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    plugins = json_object_get(out->source, "plugins");
    steps = json_object_get(out->source, "steps");
    PARE_TRY(load_plugins(plugins, env, known, err));
    for (size_t i = 0; i < out->n; i++)
        PARE_TRY(read_step(json_array_get(steps, i), known, json_array_size(plugins), &out->pool,
                           &out->items[i], err));
out:
    if (rc != PARE_OK)
        pare_steps_free(out);
    return rc;
}

void pare_steps_free(struct pare_steps *steps)
{
    json_decref(steps->source);
    pare_pool_free(&steps->pool);
    *steps = (struct pare_steps){0};
}
