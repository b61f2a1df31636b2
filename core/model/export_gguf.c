/* SPDX-License-Identifier: Apache-2.0 */
/* Writing GGUF files. */
#include "base/mem.h"
#include "model/config_gguf.h"
#include "model/export_tokenizer.h"
#include "model/family_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUANTIZATION_VERSION 2 /* of ggml's blocks */

/* Entries of another file that go along: those of the tokenizer, and what the model is. */
static bool goes_along(const char *key)
{
    static const char *const own[] = {"general.architecture",    "general.alignment",
                                      "general.file_type",       "general.quantization_version",
                                      "general.parameter_count", "tokenizer.ggml.token_type_count"};
    for (size_t i = 0; i < PARE_COUNT(own); i++) {
        if (strcmp(key, own[i]) == 0)
            return false;
    }
    return strncmp(key, "general.", 8) == 0 || strncmp(key, "tokenizer.", 10) == 0;
}

static int copy_entries(const char *path, struct pare_gguf_draft *draft, struct pare_error *err)
{
    struct pare_gguf *file = NULL;
    int rc;
    PARE_TRY(pare_gguf_open(path, &file, err));
    for (size_t i = 0; i < file->n_values; i++) {
        if (goes_along(file->values[i].key))
            PARE_TRY(pare_gguf_put_value(draft, &file->values[i], err));
    }
out:
    pare_gguf_close(file);
    return rc;
}

/* Without a tokenizer: its ids as far as the configuration says them. */
static int put_special_tokens(const json_t *config, struct pare_gguf_draft *draft,
                              struct pare_error *err)
{
    static const char *const ids[][2] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"},
                                         {"eos_token_id", "tokenizer.ggml.eos_token_id"},
                                         {"pad_token_id", "tokenizer.ggml.padding_token_id"}};
    const json_t *separator = json_object_get(json_object_get(config, "pare"), "separator");
    int rc;
    PARE_TRY(pare_gguf_put_text(draft, "tokenizer.ggml.model", "none", err));
    if (json_is_integer(separator))
        PARE_TRY(pare_gguf_put_u32(draft, "tokenizer.ggml.seperator_token_id",
                                   (uint32_t)json_integer_value(separator), err));
    for (size_t i = 0; i < PARE_COUNT(ids); i++) {
        const json_t *id = json_object_get(config, ids[i][0]);
        if (json_is_integer(id) && json_integer_value(id) >= 0 &&
            json_integer_value(id) < PARE_WIDTH_MAX)
            PARE_TRY(pare_gguf_put_u32(draft, ids[i][1], (uint32_t)json_integer_value(id), err));
    }
out:
    return rc;
}

/* "pare.NAME": texts as they are, anything else as JSON. */
static int put_about(const json_t *about, struct pare_gguf_draft *draft, struct pare_error *err)
{
    json_t *all = json_deep_copy(about), *value;
    const char *name;
    int rc = PARE_OK;
    json_object_foreach(all, name, value)
    {
        char key[128];
        char *text = json_is_string(value)
                         ? pare_strdup(json_string_value(value))
                         : json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        snprintf(key, sizeof key, "pare.%s", name);
        rc = text ? pare_gguf_put_text(draft, key, text, err) : pare_error_nomem(err, 0);
        free(text);
        if (rc != PARE_OK)
            break;
    }
    json_decref(all);
    return rc;
}

static int put_tensors(const struct pare_tensors *tensors, struct pare_gguf_draft *draft,
                       struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t i = 0; rc == PARE_OK && i < tensors->n; i++) {
        const struct pare_tensor *t = &tensors->items[i];
        uint64_t dims[PARE_GGUF_RANK_MAX];
        for (unsigned k = 0; k < t->rank; k++)
            dims[k] = t->shape[t->rank - 1 - k];
        rc = pare_gguf_put_tensor(draft, t->name, t->ggml, t->rank, dims, t->data, err);
    }
    return rc;
}

int pare_model_write_gguf(const struct pare_model *model, const char *path, bool decode,
                          const json_t *about, struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    struct pare_writing writing = {model, &tensors, PARE_DIALECT_GGUF, decode, err};
    struct pare_gguf_draft *draft = NULL;
    json_t *config = NULL;
    bool converted = false;
    int rc;
    PARE_TRY(pare_gguf_draft_new(&draft, err));
    PARE_TRY(pare_writing_run(&writing, &config));
    PARE_TRY(pare_config_to_gguf(config, draft, err));
    PARE_TRY(pare_gguf_put_u32(draft, "general.quantization_version", QUANTIZATION_VERSION, err));
    if (model->tokenizer_source == PARE_TOKENIZER_GGUF)
        PARE_TRY(copy_entries(model->tokenizer, draft, err));
    if (model->tokenizer_source == PARE_TOKENIZER_FOLDER)
        PARE_TRY(pare_tokenizer_to_gguf(model->tokenizer, config, model->graph->vocabulary, draft,
                                        &converted, err));
    if (model->tokenizer_source != PARE_TOKENIZER_GGUF && !converted)
        PARE_TRY(put_special_tokens(config, draft, err));
    PARE_TRY(put_about(about, draft, err));
    PARE_TRY(put_tensors(&tensors, draft, err));
    PARE_TRY(pare_gguf_write(path, draft, err));
out:
    json_decref(config);
    pare_gguf_draft_free(draft);
    pare_tensors_free(&tensors);
    return rc;
}
