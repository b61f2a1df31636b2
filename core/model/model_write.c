/* SPDX-License-Identifier: Apache-2.0 */
/* Writing models: Pare's own files and Hugging Face's folders. */
#include "base/file.h"
#include "base/mem.h"
#include "model/family_parts.h"
#include "model/gguf.h"
#include "model/native.h"
#include "text/vocab_json.h"

#include <stdlib.h>
#include <string.h>

#define COMPANION_MAX ((size_t)256 << 20)

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
    if (all && model->tokenizer)
        json_object_set_new(
            all, "tokenizer",
            json_pack("{s:s, s:s}", "path", model->tokenizer, "source",
                      model->tokenizer_source == PARE_TOKENIZER_GGUF ? "gguf" : "folder"));
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

/* The files of a model's folder that belong to reading text; what is not there is left out. */
static const char *const companions[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
};

/* tokenizer.json and its settings, from the vocabulary of the GGUF file that the model came from.
 */
static int write_tokenizer(const struct pare_model *model, const char *folder,
                           struct pare_error *err)
{
    struct pare_gguf *file = NULL;
    json_t *tokenizer = NULL, *settings = NULL;
    int rc;
    PARE_TRY(pare_gguf_open(model->tokenizer, &file, err));
    rc = pare_gguf_tokenizer_json(file, &tokenizer, &settings, err);
    if (rc == PARE_NOT_FOUND) {
        rc = PARE_OK;
        goto out;
    }
    PARE_TRY(rc);
    PARE_TRY(write_json(folder, "tokenizer.json", tokenizer, err));
    PARE_TRY(write_json(folder, "tokenizer_config.json", settings, err));
out:
    json_decref(tokenizer);
    json_decref(settings);
    pare_gguf_close(file);
    return rc;
}

static int copy_companions(const struct pare_model *model, const char *folder,
                           struct pare_error *err)
{
    int rc = PARE_OK;
    if (model->tokenizer_source == PARE_TOKENIZER_GGUF)
        return write_tokenizer(model, folder, err);
    if (model->tokenizer_source != PARE_TOKENIZER_FOLDER)
        return PARE_OK;
    for (size_t i = 0; rc == PARE_OK && i < PARE_COUNT(companions); i++) {
        char *from = pare_path_join(model->tokenizer, companions[i]), *text = NULL;
        char *to = pare_path_join(folder, companions[i]), *above = NULL;
        size_t size;
        if (!from || !to || !(above = pare_path_folder(to)))
            rc = pare_error_nomem(err, 0);
        else if (pare_file_exists(from) &&
                 (rc = pare_file_read(from, COMPANION_MAX, &text, &size, err)) == PARE_OK &&
                 (rc = pare_make_folders(above, err)) == PARE_OK)
            rc = pare_file_write(to, text, size, err);
        free(from);
        free(to);
        free(above);
        free(text);
    }
    return rc;
}

int pare_model_write_hf(const struct pare_model *model, const char *folder, bool decode,
                        struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    struct pare_writing writing = {model, &tensors, PARE_DIALECT_HF, decode, err};
    json_t *config = NULL, *preprocessor = NULL;
    char *file = NULL;
    int rc;
    PARE_TRY(pare_writing_run(&writing, &config));
    tensors.metadata = json_pack("{s:s}", "format", "pt");
    file = pare_path_join(folder, "model.safetensors");
    if (!file) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_make_folders(folder, err));
    PARE_TRY(write_json(folder, "config.json", config, err));
    if (!pare_graph_reads_text(model->graph)) {
        preprocessor = preprocessor_of(model);
        PARE_TRY(write_json(folder, "preprocessor_config.json", preprocessor, err));
    }
    PARE_TRY(copy_companions(model, folder, err));
    PARE_TRY(pare_tensors_write(file, &tensors, err));
out:
    free(file);
    json_decref(config);
    json_decref(preprocessor);
    pare_tensors_free(&tensors);
    return rc;
}
