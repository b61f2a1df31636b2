/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and writing whole models. */
#include "model/model.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/native.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX ((size_t)16 << 20)

static const struct pare_family *const families[] = {&pare_family_vit};

const struct pare_family *pare_family_find(const char *name)
{
    for (size_t i = 0; i < PARE_COUNT(families); i++) {
        if (strcmp(families[i]->name, name) == 0)
            return families[i];
    }
    return NULL;
}

static const struct pare_family *family_of(const char *model_type)
{
    for (size_t i = 0; model_type && i < PARE_COUNT(families); i++) {
        for (const char *const *t = families[i]->model_types; *t; t++) {
            if (strcmp(*t, model_type) == 0)
                return families[i];
        }
    }
    return NULL;
}

void pare_model_free(struct pare_model *model)
{
    if (!model)
        return;
    pare_graph_free(model->graph);
    for (uint32_t i = 0; i < model->n_labels; i++)
        free(model->labels[i]);
    free(model->labels);
    free(model->family);
    json_decref(model->config);
    json_decref(model->about);
    free(model);
}

/* ---- hash
 * ---------------------------------------------------------------------------------------- */

static int hash_model(struct pare_model *model, struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    struct pare_hash h;
    json_t *graph = NULL, *preprocess = pare_preprocess_json(&model->preprocess);
    char *text = NULL, *how = NULL;
    int rc;
    PARE_TRY(pare_native_store(model->graph, &tensors, &graph, err));
    text = json_dumps(graph, JSON_COMPACT | JSON_SORT_KEYS);
    how = json_dumps(preprocess, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text || !how) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    pare_hash_begin(&h);
    pare_hash_text(&h, text);
    pare_hash_text(&h, how);
    for (size_t i = 0; i < tensors.n; i++) {
        pare_hash_text(&h, tensors.items[i].name);
        pare_hash_add(&h, tensors.items[i].data->data, tensors.items[i].data->size);
    }
    pare_hash_end(&h, model->hash);
out:
    free(text);
    free(how);
    json_decref(graph);
    json_decref(preprocess);
    pare_tensors_free(&tensors);
    return rc;
}

/* ---- opening
 * ------------------------------------------------------------------------------------- */

static int read_json(const char *folder, const char *name, bool required, json_t **out,
                     struct pare_error *err)
{
    char *path = pare_path_join(folder, name), *text = NULL;
    size_t size;
    json_error_t why;
    int rc = path ? PARE_OK : pare_error_nomem(err, 0);
    *out = NULL;
    if (rc != PARE_OK || (!required && !pare_file_exists(path)))
        goto out;
    PARE_TRY(pare_file_read(path, CONFIG_MAX, &text, &size, err));
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        rc = pare_error_set(err, PARE_INVALID, "%s:%d:%d: no JSON object", path, why.line,
                            why.column);
        pare_error_detail(err, "%s", why.text);
    }
out:
    free(path);
    free(text);
    return rc;
}

/* id2label as {"0": "cat", ...} or labels as a list. */
static int read_labels(const json_t *labels, struct pare_model *model, struct pare_error *err)
{
    uint32_t n = model->graph->values[model->graph->output].width;
    size_t size = json_is_array(labels) ? json_array_size(labels) : json_object_size(labels);
    if (!labels || size != n)
        return PARE_OK;
    model->labels = pare_calloc(n, sizeof *model->labels);
    if (!model->labels)
        return pare_error_nomem(err, n);
    model->n_labels = n;
    for (uint32_t i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        const char *text = json_string_value(json_is_array(labels) ? json_array_get(labels, i)
                                                                   : json_object_get(labels, key));
        model->labels[i] = pare_strdup(text ? text : key);
        if (!model->labels[i])
            return pare_error_nomem(err, 0);
    }
    return PARE_OK;
}

static int open_native(struct pare_tensors *tensors, const char *text, struct pare_model *model,
                       struct pare_error *err)
{
    json_error_t why;
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    const char *family = json_string_value(json_object_get(all, "family"));
    int rc;
    if (!json_is_object(all) || !family) {
        rc = pare_error_set(err, PARE_INVALID, "the model file's description is damaged");
        pare_error_detail(err, "%s", all ? "it names no family" : why.text);
        goto out;
    }
    PARE_TRY(pare_native_load(json_object_get(all, "graph"), tensors, &model->graph, err));
    PARE_TRY(pare_preprocess_read(json_object_get(all, "preprocess"), model->graph,
                                  &model->preprocess, err));
    PARE_TRY(read_labels(json_object_get(all, "labels"), model, err));
    model->config = json_deep_copy(json_object_get(all, "config"));
    model->about = json_deep_copy(json_object_get(all, "about"));
    model->family = pare_strdup(family);
    if (!model->family)
        rc = pare_error_nomem(err, 0);
out:
    json_decref(all);
    return rc;
}

static int open_family(const char *folder, struct pare_tensors *tensors, struct pare_model *model,
                       struct pare_error *err)
{
    json_t *preprocessor = NULL;
    int rc;
    PARE_TRY(read_json(folder, "config.json", true, &model->config, err));
    PARE_TRY(read_json(folder, "preprocessor_config.json", false, &preprocessor, err));
    const char *type = json_string_value(json_object_get(model->config, "model_type"));
    const struct pare_family *family = family_of(type);
    if (!family) {
        rc = pare_error_set(err, PARE_UNSUPPORTED, "%s: model_type '%s' is not supported", folder,
                            type ? type : "(none)");
        pare_error_hint(err, "supported: vit, deit");
        goto out;
    }
    PARE_TRY(family->build(model->config, tensors, model, err));
    PARE_TRY(pare_preprocess_read(preprocessor, model->graph, &model->preprocess, err));
    PARE_TRY(read_labels(json_object_get(model->config, "id2label"), model, err));
    model->family = pare_strdup(family->name);
    if (!model->family)
        rc = pare_error_nomem(err, 0);
out:
    json_decref(preprocessor);
    return rc;
}

int pare_model_open(const char *path, struct pare_model **out, struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    struct pare_model *model = calloc(1, sizeof *model);
    int rc = model ? PARE_OK : pare_error_nomem(err, sizeof *model);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare_tensors_open(path, &tensors, err));
    const char *own = json_string_value(json_object_get(tensors.metadata, "pare"));
    if (own) {
        PARE_TRY(open_native(&tensors, own, model, err));
    } else if (pare_is_folder(path)) {
        PARE_TRY(open_family(path, &tensors, model, err));
    } else {
        rc = pare_error_set(err, PARE_INVALID, "%s does not describe its model", path);
        pare_error_hint(err, "name the folder that holds it with its config.json");
        goto out;
    }
    PARE_TRY(hash_model(model, err));
    *out = model;
    model = NULL;
out:
    pare_tensors_free(&tensors);
    pare_model_free(model);
    return rc;
}

int pare_model_with_graph(const struct pare_model *old, struct pare_graph *graph,
                          struct pare_model **out, struct pare_error *err)
{
    struct pare_model *model = calloc(1, sizeof *model);
    int rc = PARE_OK;
    if (!model) {
        pare_graph_free(graph);
        return pare_error_nomem(err, sizeof *model);
    }
    model->graph = graph;
    model->preprocess = old->preprocess;
    model->config = json_incref(old->config);
    model->family = pare_strdup(old->family);
    model->labels = pare_calloc(old->n_labels, sizeof *model->labels);
    if (!model->family || !model->labels) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (; model->n_labels < old->n_labels; model->n_labels++) {
        model->labels[model->n_labels] = pare_strdup(old->labels[model->n_labels]);
        if (!model->labels[model->n_labels]) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
    }
    PARE_TRY(pare_graph_infer(graph, err));
    PARE_TRY(hash_model(model, err));
    *out = model;
    model = NULL;
out:
    pare_model_free(model);
    return rc;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

int pare_model_write(const struct pare_model *model, const char *file, const json_t *about,
                     struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    json_t *graph = NULL, *all = NULL, *labels = json_array();
    char *text = NULL;
    int rc;
    PARE_TRY(pare_native_store(model->graph, &tensors, &graph, err));
    for (uint32_t i = 0; i < model->n_labels; i++)
        json_array_append_new(labels, json_string(model->labels[i]));
    all = json_pack("{s:s, s:O, s:O*, s:O, s:o}", "family", model->family, "graph", graph, "config",
                    model->config, "labels", labels, "preprocess",
                    pare_preprocess_json(&model->preprocess));
    if (all && about)
        json_object_set_new(all, "about", json_deep_copy(about));
    text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    if (!all || !text) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    tensors.metadata = json_pack("{s:s, s:s}", "format", "pare", "pare", text);
    PARE_TRY(pare_tensors_write(file, &tensors, err));
out:
    free(text);
    json_decref(all);
    json_decref(graph);
    json_decref(labels);
    pare_tensors_free(&tensors);
    return rc;
}

static int write_json(const char *folder, const char *name, const json_t *j, struct pare_error *err)
{
    char *path = pare_path_join(folder, name), *text = json_dumps(j, JSON_INDENT(2));
    int rc =
        path && text ? pare_file_write(path, text, strlen(text), err) : pare_error_nomem(err, 0);
    free(path);
    free(text);
    return rc;
}

/* preprocessor_config.json, in transformers' words. */
static json_t *preprocessor_of(const struct pare_model *model)
{
    const struct pare_preprocess *p = &model->preprocess;
    json_t *j = pare_preprocess_json(p);
    json_object_set_new(j, "image_processor_type", json_string("ViTImageProcessor"));
    return j;
}

int pare_model_write_hf(const struct pare_model *model, const char *folder, bool decode,
                        struct pare_error *err)
{
    const struct pare_family *family = pare_family_find(model->family);
    struct pare_tensors tensors = {0};
    json_t *config = NULL, *preprocessor = preprocessor_of(model);
    char *file = NULL;
    int rc;
    PARE_TRY(family
                 ? family->write(model, decode, &tensors, &config, err)
                 : pare_error_set(err, PARE_UNSUPPORTED, "family %s is not known", model->family));
    tensors.metadata = json_pack("{s:s}", "format", "pt");
    file = pare_path_join(folder, "model.safetensors");
    if (!file) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_make_folders(folder, err));
    PARE_TRY(write_json(folder, "config.json", config, err));
    PARE_TRY(write_json(folder, "preprocessor_config.json", preprocessor, err));
    PARE_TRY(pare_tensors_write(file, &tensors, err));
out:
    free(file);
    json_decref(config);
    json_decref(preprocessor);
    pare_tensors_free(&tensors);
    return rc;
}
