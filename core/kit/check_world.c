/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins are checked on: tiny random models, settings as in a pipeline, and one run. */
#include "kit/check_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/str.h"
#include "model/model.h"
#include "model/native.h"
#include "model/unit.h"
#include "pipeline/spec_env.h"
#include "pipeline/values.h"
#include "plugin/context.h"
#include "plugin/descriptor.h"

enum { SAMPLES = 6 };

/* ---- models
 * ------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *shape;
    const struct pare_family *family;
} shapes[] = {
    {"vit", "16,4,1,32,3,4,64", &pare_family_vit},
    {"llama", "61,32,32,3,4,2,64", &pare_family_llama},
    {"gpt2", "61,32,32,3,4", &pare_family_gpt2},
    {"bert", "61,32,32,3,4,64", &pare_family_bert},
    {"odd vit", "15,5,3,26,2,1,37", &pare_family_vit},
    {"odd llama", "17,19,22,2,1,1,29", &pare_family_llama},
    {"odd bert", "23,21,13,2,1,31", &pare_family_bert},
};

static int make_model(size_t i, struct pare_model **out, struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    json_t *preprocessor = NULL;
    struct pare_model *model = pare_calloc(1, sizeof *model);
    int rc = model ? PARE_OK : pare_error_nomem(err, sizeof *model);
    PARE_TRY(rc);
    PARE_TRY(
        shapes[i].family->random(shapes[i].shape, 3, &tensors, &model->config, &preprocessor, err));
    pare_tensors_sort(&tensors);
    PARE_TRY(shapes[i].family->build(model->config, PARE_DIALECT_HF, &tensors, model, err));
    model->family = pare_strdup(shapes[i].family->name);
    if (!model->family)
        rc = pare_error_nomem(err, 0);
out:
    pare_tensors_free(&tensors);
    json_decref(preprocessor);
    if (rc != PARE_OK) {
        pare_model_free(model);
        model = NULL;
    }
    *out = model;
    return rc;
}

/* Images of normal numbers, texts of uniform ids, labels at random. */
static bool fill_samples(struct pare_check_model *m)
{
    const struct pare_graph *g = m->model->graph;
    const size_t size = pare_graph_inputs(g);
    const uint32_t classes = g->values[g->output].width;
    struct pare_random r;
    pare_random_seed(&r, 17);
    m->n = SAMPLES;
    m->inputs = pare_alloc(m->n * size, sizeof *m->inputs);
    m->labels = g->values[g->output].tokens == 1 ? pare_alloc(m->n, sizeof *m->labels) : NULL;
    for (size_t i = 0; m->inputs && i < m->n * size; i++)
        m->inputs[i] = pare_graph_reads_text(g) ? (float)pare_random_below(&r, g->vocabulary)
                                                : (float)pare_random_normal(&r);
    for (uint32_t i = 0; m->labels && i < m->n; i++)
        m->labels[i] = (uint32_t)pare_random_below(&r, classes);
    return m->inputs != NULL;
}

bool pare_check_model(struct pare_check *check, size_t i, struct pare_check_model *out)
{
    struct pare_error err = {0};
    if (i >= PARE_COUNT(shapes))
        return false;
    *out = (struct pare_check_model){.name = shapes[i].name};
    if (make_model(i, &out->model, &err) == PARE_OK && fill_samples(out))
        return true;
    pare_check_say(check, PARE_CHECK_FAIL, "no model to check it on: %s", err.what);
    pare_check_model_free(out);
    return false;
}

void pare_check_model_free(struct pare_check_model *m)
{
    pare_model_free(m->model);
    free(m->inputs);
    free(m->labels);
    *m = (struct pare_check_model){0};
}

/* ---- settings
 * ----------------------------------------------------------------------------------- */

/* What parameters without a default get: the first value worth trying, else the least. An
 * allocator's values without bounds are those of `sparsity`, see run_allocator(). */
static void append_required(struct pare_str *s, const struct pare_plugin *desc, const char *yaml)
{
    for (uint32_t i = 0; i < desc->n_params; i++) {
        const struct pare_param *p = &desc->params[i];
        char first_key[80], later_key[80];
        snprintf(first_key, sizeof first_key, "{%.70s:", p->name);
        snprintf(later_key, sizeof later_key, ", %.70s:", p->name);
        if (!(p->param_flags & PARE_PARAM_REQUIRED) ||
            (yaml && (strstr(yaml, first_key) || strstr(yaml, later_key))))
            continue;
        const char *first = p->search ? p->search : p->choices;
        pare_str_printf(s, "%s%s: ", s->len > 1 ? ", " : "", p->name);
        if (first)
            pare_str_append_n(s, first, strcspn(first, ",|"));
        else
            pare_str_printf(s, "%.17g",
                            p->min > p->max && desc->kind == PARE_ALLOCATE ? 0.5 : p->min);
    }
}

json_t *pare_check_setting(struct pare_check *check, const char *yaml, struct pare_error *why)
{
    struct pare_spec_env env = pare_catalog_env(check->catalog);
    struct pare_diags diags = {0};
    struct pare_used used = {0};
    struct pare_yaml_tree tree = {0};
    struct pare_checker checker = {.env = &env, .diags = &diags, .used = &used, .folder = "."};
    struct pare_str text = {0};
    json_t *all = NULL, *one = NULL;
    pare_str_append(&text, "{");
    if (yaml)
        pare_str_append_n(&text, yaml + 1, strlen(yaml) - 2);
    append_required(&text, &check->file->desc, yaml);
    pare_str_append(&text, "}");
    if (!text.failed && pare_yaml_parse("setting", text.data, text.len, &diags, &tree) == PARE_OK &&
        !diags.n)
        all = pare_checked_settings(&checker, check->file, &tree.root, 1, tree.root);
    if (all && json_array_size(all) > 0)
        one = json_incref(json_array_get(all, 0));
    else if (why)
        pare_error_set(why, PARE_INVALID, "%s", diags.n ? diags.items[0].what : "no memory");
    json_decref(all);
    pare_yaml_free(&tree);
    pare_diags_free(&diags);
    free(used.files);
    pare_str_free(&text);
    return one;
}

/* ---- a run
 * -------------------------------------------------------------------------------------- */

int pare_check_graph_hash(const struct pare_graph *graph, char hash[PARE_HASH_HEX],
                          struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    struct pare_hash h;
    json_t *json = NULL;
    int rc;
    PARE_TRY(pare_native_store(graph, &tensors, &json, err));
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    pare_hash_begin(&h);
    pare_hash_text(&h, text ? text : "");
    pare_tensors_hash(&tensors, &h);
    pare_hash_end(&h, hash);
    free(text);
out:
    json_decref(json);
    pare_tensors_free(&tensors);
    return rc;
}

static bool spoke; /* the plugin called `error` in this run */

static int noted_error(struct pare_ctx *ctx, int status, const char *fmt, ...)
{
    char text[sizeof ctx->err->what];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    spoke = true;
    return pare_host_table.error(ctx, status, "%s", text);
}

struct pare_host pare_check_host(void)
{
    struct pare_host host = pare_host_table;
    host.error = noted_error;
    return host;
}

static struct pare_stage_env env_of(const struct pare_check *check,
                                    const struct pare_check_model *m,
                                    const struct pare_check_use *use)
{
    return (struct pare_stage_env){.baseline = m->model->graph,
                                   .catalog = check->catalog,
                                   .images = m->inputs,
                                   .labels = m->labels,
                                   .n = m->n,
                                   .seed = use->seed,
                                   .threads = use->threads ? use->threads : 1,
                                   .host = use->host};
}

static void apply_step(struct pare_check *check, const struct pare_check_model *m,
                       const struct pare_check_use *use, const struct pare_plugin_file *plugin,
                       const json_t *setting, struct pare_check_outcome *out)
{
    struct pare_pool pool = {0};
    struct pare_stage_env env = env_of(check, m, use);
    struct pare_units units = {0};
    const char *own = plugin->desc.on ? plugin->desc.on : "**";
    const char *not_on = plugin->desc.except ? plugin->desc.except : "";
    const struct pare_step step = {.stage = "check",
                                   .plugin = plugin,
                                   .on = pare_descriptor_selectors(&pool, own),
                                   .except = pare_descriptor_selectors(&pool, not_on),
                                   .params = setting};
    out->rc = step.on && step.except ? pare_graph_copy(m->model->graph, &out->graph, &out->err)
                                     : pare_error_nomem(&out->err, 0);
    if (out->rc == PARE_OK)
        out->rc = pare_units_of(out->graph, ~0u, &units, &out->err);
    if (out->rc == PARE_OK)
        out->rc = pare_stage_check(check->catalog, &units, &step, &out->err);
    spoke = spoke || out->rc != PARE_OK;
    if (out->rc == PARE_OK)
        out->rc = pare_stage_apply(&env, out->graph, &step, &out->err);
    if (out->rc == PARE_OK)
        out->rc = pare_check_graph_hash(out->graph, out->hash, &out->err);
    pare_units_free(&units);
    pare_pool_free(&pool);
}

/* Its values for all units of every kind that it rates. */
static void run_score(struct pare_check *check, const struct pare_check_model *m,
                      const struct pare_check_use *use, struct pare_check_outcome *out)
{
    struct pare_stage_env env = env_of(check, m, use);
    struct pare_units units = {0};
    struct pare_hash h;
    pare_hash_begin(&h);
    for (unsigned kind = 1; kind <= check->file->desc.unit_kind && out->rc == PARE_OK; kind <<= 1) {
        if (!(check->file->desc.unit_kind & kind))
            continue;
        out->rc = pare_units_of(m->model->graph, kind, &units, &out->err);
        double *values = pare_calloc(units.n + 1, sizeof *values);
        if (out->rc == PARE_OK && values && units.n)
            out->rc = pare_stage_score(&env, m->model->graph, check->plugin, use->setting, kind,
                                       values, units.n, &out->err);
        if (values)
            pare_hash_add(&h, values, units.n * sizeof *values);
        free(values);
        pare_units_free(&units);
    }
    pare_hash_end(&h, out->hash);
}

/* A plugin of Pare's with its defaults, but for what `yaml` says. NULL: why is in `err`. */
static json_t *setting_of(const struct pare_check *check, const char *plugin, const char *yaml,
                          const struct pare_plugin_file **file, struct pare_error *err)
{
    struct pare_check with = *check;
    if (pare_catalog_find(check->catalog, plugin, NULL, &with.file, err) != PARE_OK)
        return NULL;
    *file = with.file;
    return pare_check_setting(&with, yaml, err);
}

/* An allocator chooses a parameter of another plugin, among units that a score rates. */
static void run_allocator(struct pare_check *check, const struct pare_check_model *m,
                          const struct pare_check_use *use, struct pare_check_outcome *out)
{
    static const struct {
        const char *plugin, *param, *setting, *per;
    } chosen[] = {{"prune", "sparsity", "{sparsity: 0.5}", "linear"},
                  {"layer-drop", "drop", "{choose: each}", "branch"}};
    for (size_t i = 0; i < PARE_COUNT(chosen); i++) {
        const struct pare_plugin_file *plugin, *rates;
        pare_check_outcome_free(out);
        json_t *setting =
            setting_of(check, chosen[i].plugin, chosen[i].setting, &plugin, &out->err);
        json_t *score = setting_of(check, "output-change", NULL, &rates, &out->err);
        if (!setting || !score) {
            out->rc = PARE_NOT_FOUND;
        } else {
            json_object_set_new(setting, chosen[i].param,
                                json_pack("{s:{s:s, s:O}, s:{s:s, s:O}, s:s}", "allocate", "plugin",
                                          check->plugin, "params", use->setting, "score", "plugin",
                                          "output-change", "params", score, "per", chosen[i].per));
            apply_step(check, m, use, plugin, setting, out);
        }
        json_decref(setting);
        json_decref(score);
        if (out->rc == PARE_OK)
            return;
    }
}

/* Its own check of the parameters, then its values. */
static void run_metric(struct pare_check *check, const struct pare_check_model *m,
                       const struct pare_check_use *use, struct pare_check_outcome *out)
{
    static const char *const none[] = {NULL};
    struct pare_stage_env env = env_of(check, m, use);
    const struct pare_step step = {.stage = "measure",
                                   .plugin = check->file,
                                   .on = none,
                                   .except = none,
                                   .params = use->setting};
    out->rc = pare_stage_check(check->catalog, NULL, &step, &out->err);
    spoke = out->rc != PARE_OK;
    if (out->rc == PARE_OK)
        pare_check_measure(check, m, &env, use->setting, out);
}

void pare_check_apply(struct pare_check *check, const struct pare_check_model *m,
                      const struct pare_check_use *use, struct pare_check_outcome *out)
{
    const struct pare_host noting = pare_check_host();
    struct pare_check_use with = *use;
    *out = (struct pare_check_outcome){0};
    with.host = use->host ? use->host : &noting;
    spoke = false;
    switch (check->file->desc.kind) {
    case PARE_SCORE:
        run_score(check, m, &with, out);
        break;
    case PARE_ALLOCATE:
        run_allocator(check, m, &with, out);
        break;
    case PARE_METRIC:
        run_metric(check, m, &with, out);
        break;
    default:
        apply_step(check, m, &with, check->file, use->setting, out);
        break;
    }
    out->own_words = spoke;
}

void pare_check_outcome_free(struct pare_check_outcome *o)
{
    pare_graph_free(o->graph);
    *o = (struct pare_check_outcome){0};
}

bool pare_check_refused(const struct pare_check_outcome *o)
{
    return o->err.what[0] && (o->rc == PARE_UNSUPPORTED ||
                              (o->own_words && (o->rc == PARE_INVALID || o->rc == PARE_NOT_FOUND)));
}
