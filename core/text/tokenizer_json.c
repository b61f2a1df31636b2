/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define FILE_MAX ((size_t)256 << 20)

/* A token of "added_tokens". One that the model has keeps the model's id, as in the reference. */
static int added_token(struct pare_json_reader *r, const json_t *json)
{
    struct pare_tokenizer *t = r->t;
    struct pare_added a = {.normalized = true};
    const json_t *id = json_object_get(json, "id");
    int rc;
    if (!json_is_integer(id))
        return pare_json_fail(r, PARE_INVALID, "'id' is not an integer");
    PARE_TRY(pare_json_keep(r, json, "content", &a.text));
    PARE_TRY(pare_json_bool(r, json, "special", &a.special));
    PARE_TRY(pare_json_bool(r, json, "lstrip", &a.lstrip));
    PARE_TRY(pare_json_bool(r, json, "rstrip", &a.rstrip));
    PARE_TRY(pare_json_bool(r, json, "single_word", &a.single_word));
    a.normalized = !a.special;
    PARE_TRY(pare_json_bool(r, json, "normalized", &a.normalized));
    if (a.text.len == 0)
        goto out;
    a.id = pare_vocab_find(&t->vocab, a.text.data, a.text.len);
    if (a.id < 0) {
        PARE_TRY(pare_json_pass(r, pare_vocab_reach(&t->vocab, json_integer_value(id), r->err)));
        a.id = (int32_t)json_integer_value(id);
        const struct pare_bytes there = t->vocab.tokens[a.id].text;
        if (there.data &&
            (there.len != a.text.len || memcmp(there.data, a.text.data, there.len) != 0)) {
            rc = pare_json_fail(r, PARE_INVALID, "'%.60s' has the id of '%.60s'", a.text.data,
                                there.data);
            goto out;
        }
        t->vocab.tokens[a.id].text = a.text;
    }
    if (!pare_grow(&t->added, &t->added_cap, t->n_added + 1, sizeof *t->added)) {
        rc = pare_error_nomem(r->err, 0);
        goto out;
    }
    t->added[t->n_added++] = a;
out:
    return rc;
}

static int added_tokens(struct pare_json_reader *r, const json_t *list)
{
    int rc = PARE_OK;
    for (size_t i = 0; i < json_array_size(list) && rc == PARE_OK; i++) {
        snprintf(r->place, sizeof r->place, "added_tokens[%zu]", i);
        rc = added_token(r, json_array_get(list, i));
    }
    r->place[0] = '\0';
    return rc;
}

/* Without a word about them, special tokens are known by their customary names. */
static void customary(struct pare_tokenizer *t)
{
    static const struct {
        enum pare_special which;
        const char *name;
    } names[] = {
        {PARE_SPECIAL_BOS, "<s>"},           {PARE_SPECIAL_BOS, "<|begin_of_text|>"},
        {PARE_SPECIAL_BOS, "<bos>"},         {PARE_SPECIAL_EOS, "</s>"},
        {PARE_SPECIAL_EOS, "<eos>"},         {PARE_SPECIAL_EOS, "<|end_of_text|>"},
        {PARE_SPECIAL_EOS, "<|endoftext|>"}, {PARE_SPECIAL_UNK, "<unk>"},
        {PARE_SPECIAL_UNK, "[UNK]"},         {PARE_SPECIAL_PAD, "<pad>"},
        {PARE_SPECIAL_PAD, "[PAD]"},         {PARE_SPECIAL_SEP, "[SEP]"},
        {PARE_SPECIAL_CLS, "[CLS]"},         {PARE_SPECIAL_MASK, "[MASK]"},
        {PARE_SPECIAL_MASK, "<mask>"},
    };
    for (size_t i = 0; i < PARE_COUNT(names); i++) {
        const int32_t id = pare_tokenizer_find(t, names[i].name, strlen(names[i].name));
        if (id >= 0 && t->special[names[i].which] < 0 && pare_tokenizer_is_special(t, id))
            t->special[names[i].which] = id;
    }
}

static int parse(struct pare_json_reader *r, const json_t *json, const json_t *config)
{
    int rc = PARE_OK;
    if (!json_is_object(json))
        return pare_json_fail(r, PARE_INVALID, "not an object");
    PARE_TRY(pare_json_model(r, json_object_get(json, "model")));
    PARE_TRY(added_tokens(r, json_object_get(json, "added_tokens")));
    PARE_TRY(pare_json_normalizer(r, json_object_get(json, "normalizer")));
    PARE_TRY(pare_json_pretokenizer(r, json_object_get(json, "pre_tokenizer")));
    PARE_TRY(pare_json_postprocessor(r, json_object_get(json, "post_processor")));
    PARE_TRY(pare_json_decoder(r, json_object_get(json, "decoder")));
    PARE_TRY(pare_tokenizer_finish(r->t, r->err));
    if (config)
        PARE_TRY(pare_json_config(r, config));
    customary(r->t);
out:
    return rc;
}

static int load(const char *name, const char *text, size_t size, json_t **out,
                struct pare_error *err)
{
    json_error_t why;
    *out = json_loadb(text, size, JSON_ALLOW_NUL, &why);
    if (*out)
        return PARE_OK;
    pare_error_set(err, PARE_INVALID, "%.200s is not JSON", name);
    pare_error_detail(err, "line %d, column %d: %s", why.line, why.column, why.text);
    return PARE_INVALID;
}

int pare_tokenizer_parse(const char *name, const char *text, size_t size, const char *config_text,
                         size_t config_size, struct pare_tokenizer **out, struct pare_error *err)
{
    struct pare_json_reader r = {.t = pare_tokenizer_new(), .name = name, .err = err};
    json_t *json = NULL, *config = NULL;
    int rc;
    *out = NULL;
    if (!r.t)
        return pare_error_nomem(err, sizeof *r.t);
    PARE_TRY(load(name, text, size, &json, err));
    if (config_text)
        PARE_TRY(load("tokenizer_config.json", config_text, config_size, &config, err));
    PARE_TRY(parse(&r, json, config));
    *out = r.t;
    r.t = NULL;
out:
    json_decref(json);
    json_decref(config);
    pare_tokenizer_free(r.t);
    return rc;
}

const char *const pare_tokenizer_files[PARE_TOKENIZER_FILES] = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"};

/* The file beside tokenizer.json that names the special tokens; `*out` stays NULL without one. */
static int beside(const char *folder, char **out, size_t *size, struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t i = 1; i < PARE_TOKENIZER_FILES && !*out && rc == PARE_OK; i++) {
        char *path = pare_path_join(folder, pare_tokenizer_files[i]);
        if (!path)
            return pare_error_nomem(err, 0);
        if (pare_file_exists(path))
            rc = pare_file_read(path, FILE_MAX, out, size, err);
        free(path);
    }
    return rc;
}

int pare_tokenizer_open(const char *path, struct pare_tokenizer **out, struct pare_error *err)
{
    const bool whole = pare_is_folder(path);
    char *folder = whole ? pare_strdup(path) : pare_path_folder(path);
    char *file = whole ? pare_path_join(path, "tokenizer.json") : pare_strdup(path);
    char *text = NULL, *config = NULL;
    size_t size = 0, config_size = 0;
    int rc;
    *out = NULL;
    if (!folder || !file) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_file_read(file, FILE_MAX, &text, &size, err));
    PARE_TRY(beside(folder, &config, &config_size, err));
    PARE_TRY(pare_tokenizer_parse(file, text, size, config, config_size, out, err));
out:
    free(folder);
    free(file);
    free(text);
    free(config);
    return rc;
}
