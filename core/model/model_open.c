/* SPDX-License-Identifier: Apache-2.0 */
/* Opening models: folders, Pare's own files, GGUF files. */
#include "base/file.h"
#include "base/mem.h"
#include "model/config_gguf.h"
#include "model/family_parts.h"
#include "model/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX ((size_t)64 << 20) /* vocabularies are the largest */

int pare_read_json(const char *folder, const char *name, bool required, json_t **out,
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
    if (!*out) {
        json_decref(*out);
        *out = NULL;
        rc = pare_error_set(err, PARE_INVALID, "%s:%d:%d: no JSON", path, why.line, why.column);
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

static int set_tokenizer(struct pare_model *model, enum pare_tokenizer_source source,
                         const char *path, struct pare_error *err)
{
    free(model->tokenizer);
    model->tokenizer = realpath(path, NULL);
    if (!model->tokenizer) /* a file without a name */
        model->tokenizer = pare_strdup(path);
    if (!model->tokenizer)
        return pare_error_nomem(err, 0);
    model->tokenizer_source = source;
    return PARE_OK;
}

/* A text model's tokenizer: beside the file, or where the model came from when that is still there.
 */
static int find_tokenizer(const char *path, const json_t *stored, struct pare_model *model,
                          struct pare_error *err)
{
    const char *from = json_string_value(json_object_get(stored, "path"));
    const char *source = json_string_value(json_object_get(stored, "source"));
    char *folder = pare_is_folder(path) ? pare_strdup(path) : pare_path_folder(path),
         *beside = NULL;
    int rc = PARE_OK;
    if (!folder || !(beside = pare_path_join(folder, "tokenizer.json"))) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    if (pare_file_exists(beside))
        PARE_TRY(set_tokenizer(model, PARE_TOKENIZER_FOLDER, folder, err));
    else if (from && source && pare_file_exists(from))
        PARE_TRY(set_tokenizer(
            model, strcmp(source, "gguf") == 0 ? PARE_TOKENIZER_GGUF : PARE_TOKENIZER_FOLDER, from,
            err));
out:
    free(folder);
    free(beside);
    return rc;
}

static int open_native(const char *path, struct pare_tensors *tensors, const char *text,
                       struct pare_model *model, struct pare_error *err)
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
    if (pare_graph_reads_text(model->graph))
        PARE_TRY(find_tokenizer(path, json_object_get(all, "tokenizer"), model, err));
    else
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

/* Build what model->config describes. */
static int build_family(const char *path, enum pare_dialect from, struct pare_tensors *tensors,
                        struct pare_model *model, struct pare_error *err)
{
    const char *type = json_string_value(json_object_get(model->config, "model_type"));
    const struct pare_family *family = pare_family_of(type);
    int rc;
    if (!family) {
        char types[256];
        pare_family_types(types);
        rc = pare_error_set(err, PARE_UNSUPPORTED, "%s: model_type '%s' is not supported", path,
                            type ? type : "(none)");
        pare_error_hint(err, "supported: %s", types);
        goto out;
    }
    if (from == PARE_DIALECT_HF && family->describe)
        PARE_TRY(family->describe(path, model->config, err));
    PARE_TRY(family->build(model->config, from, tensors, model, err));
    PARE_TRY(read_labels(json_object_get(model->config, "id2label"), model, err));
    model->family = pare_strdup(family->name);
    if (!model->family)
        rc = pare_error_nomem(err, 0);
out:
    return rc;
}

static int open_folder(const char *folder, struct pare_tensors *tensors, struct pare_model *model,
                       struct pare_error *err)
{
    json_t *preprocessor = NULL;
    int rc;
    PARE_TRY(pare_read_json(folder, "config.json", true, &model->config, err));
    PARE_TRY(build_family(folder, PARE_DIALECT_HF, tensors, model, err));
    if (pare_graph_reads_text(model->graph)) {
        PARE_TRY(set_tokenizer(model, PARE_TOKENIZER_FOLDER, folder, err));
        goto out;
    }
    PARE_TRY(pare_read_json(folder, "preprocessor_config.json", false, &preprocessor, err));
    PARE_TRY(pare_preprocess_read(preprocessor, model->graph, &model->preprocess, err));
out:
    json_decref(preprocessor);
    return rc;
}

/* Whether a file begins as GGUF files do. */
static bool is_gguf(const char *path)
{
    char magic[4] = {0};
    FILE *f = pare_is_folder(path) ? NULL : fopen(path, "rb");
    bool is = f && fread(magic, 1, sizeof magic, f) == sizeof magic &&
              memcmp(magic, "GGUF", sizeof magic) == 0;
    if (f)
        fclose(f);
    return is;
}

static int open_gguf(const char *path, struct pare_model *model, struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    struct pare_gguf *file = NULL;
    int rc;
    PARE_TRY(pare_gguf_open(path, &file, err));
    PARE_TRY(pare_config_from_gguf(file, &model->config, err));
    for (size_t i = 0; i < file->n_tensors; i++) {
        const struct pare_gguf_tensor *t = &file->tensors[i];
        uint64_t shape[PARE_GGUF_RANK_MAX];
        for (uint32_t k = 0; k < t->rank; k++)
            shape[k] = t->dims[t->rank - 1 - k];
        PARE_TRY(pare_tensors_add_ggml(&tensors, t->name, t->type, t->rank, shape, t->data, err));
    }
    pare_tensors_sort(&tensors);
    rc = build_family(path, PARE_DIALECT_GGUF, &tensors, model, err);
    if (rc != PARE_OK && !err->detail[0])
        pare_error_detail(err, "%s, its metadata in the words of config.json", path);
    PARE_TRY(rc);
    PARE_TRY(set_tokenizer(model, PARE_TOKENIZER_GGUF, path, err));
out:
    pare_tensors_free(&tensors);
    pare_gguf_close(file);
    return rc;
}

static int open_tensors(const char *path, struct pare_model *model, struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    int rc;
    PARE_TRY(pare_tensors_open(path, &tensors, err));
    const char *own = json_string_value(json_object_get(tensors.metadata, "pare"));
    if (own) {
        PARE_TRY(open_native(path, &tensors, own, model, err));
    } else if (pare_is_folder(path)) {
        PARE_TRY(open_folder(path, &tensors, model, err));
    } else {
        rc = pare_error_set(err, PARE_INVALID, "%s does not describe its model", path);
        pare_error_hint(err, "name the folder that holds it with its config.json");
    }
out:
    pare_tensors_free(&tensors);
    return rc;
}

int pare_model_open(const char *path, struct pare_model **out, struct pare_error *err)
{
    struct pare_model *model = calloc(1, sizeof *model);
    if (!model)
        return pare_error_nomem(err, sizeof *model);
    int rc = is_gguf(path) ? open_gguf(path, model, err) : open_tensors(path, model, err);
    if (rc == PARE_OK)
        *out = model;
    else
        pare_model_free(model);
    return rc;
}
