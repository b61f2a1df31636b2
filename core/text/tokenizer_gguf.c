/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"

#define KEY(name) "tokenizer.ggml." name

/* What is read from the file until the tokenizer is made. */
struct source {
    const struct pare_gguf *file;
    struct pare_bytes *tokens, *merges;
    float *scores;
    int32_t *types;
    uint8_t *charsmap;
    char model[32], pre[64];
    struct pare_vocab_spec spec;
    struct pare_error *err;
};

/* A short text; not there: `out` is empty. */
static int get_text(struct source *s, const char *key, char *out, size_t size)
{
    struct pare_gguf_text text = {0};
    *out = '\0';
    if (!pare_gguf_find(s->file, key))
        return PARE_OK;
    const int rc = pare_gguf_text(s->file, key, &text, s->err);
    if (rc != PARE_OK)
        return rc;
    if (text.len >= size || memchr(text.data, 0, text.len)) {
        pare_error_set(s->err, PARE_UNSUPPORTED, "%s: '%s' is not known", s->file->path, key);
        pare_error_detail(s->err, "%.*s", (int)PARE_MIN(text.len, 100), text.data);
        return PARE_UNSUPPORTED;
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return PARE_OK;
}

static int get_bool(struct source *s, const char *key, bool *out)
{
    return pare_gguf_find(s->file, key) ? pare_gguf_bool(s->file, key, out, s->err) : PARE_OK;
}

static int get_choice(struct source *s, const char *key, int *out)
{
    bool truth = false;
    *out = -1;
    if (!pare_gguf_find(s->file, key))
        return PARE_OK;
    const int rc = pare_gguf_bool(s->file, key, &truth, s->err);
    *out = truth;
    return rc;
}

static int get_texts(struct source *s, const char *key, struct pare_bytes **out, size_t *n)
{
    const struct pare_gguf_value *value;
    const int rc = pare_gguf_array(s->file, key, PARE_GGUF_TEXT, &value, s->err);
    if (rc != PARE_OK)
        return rc;
    *n = value->n;
    *out = pare_alloc(value->n, sizeof **out);
    if (!*out)
        return pare_error_nomem(s->err, value->n * sizeof **out);
    for (size_t i = 0; i < value->n; i++) {
        struct pare_gguf_text text = {0};
        pare_gguf_text_at(value, i, &text);
        (*out)[i] = (struct pare_bytes){text.data, text.len};
    }
    return PARE_OK;
}

/* An array with a number per token; not there: nothing. */
static int get_numbers(struct source *s, const char *key, const struct pare_gguf_value **value)
{
    *value = NULL;
    if (!pare_gguf_find(s->file, key))
        return PARE_OK;
    const int rc = pare_gguf_array(s->file, key, PARE_GGUF_F64, value, s->err);
    if (rc == PARE_OK && (*value)->n < s->spec.n_tokens) {
        pare_error_set(s->err, PARE_INVALID, "%s: '%s' has %zu numbers for %zu tokens",
                       s->file->path, key, (*value)->n, s->spec.n_tokens);
        return PARE_INVALID;
    }
    return rc;
}

static int get_scores_and_types(struct source *s)
{
    const struct pare_gguf_value *scores, *types;
    const size_t n = s->spec.n_tokens;
    double x = 0;
    int rc;
    PARE_TRY(get_numbers(s, KEY("scores"), &scores));
    PARE_TRY(get_numbers(s, KEY("token_type"), &types));
    s->scores = scores ? pare_alloc(n, sizeof *s->scores) : NULL;
    s->types = types ? pare_alloc(n, sizeof *s->types) : NULL;
    if ((scores && !s->scores) || (types && !s->types)) {
        rc = pare_error_nomem(s->err, n * sizeof *s->scores);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        if (scores && pare_gguf_f64_at(scores, i, &x))
            s->scores[i] = (float)x;
        int64_t type = PARE_TOKEN_NORMAL;
        if (types)
            s->types[i] = pare_gguf_i64_at(types, i, &type) && type >= 0 && type <= PARE_TOKEN_BYTE
                              ? (int32_t)type
                              : PARE_TOKEN_NORMAL;
    }
    s->spec.scores = s->scores;
    s->spec.types = s->types;
out:
    return rc;
}

/* Ids by their keys, or what llama.cpp takes without. An id beyond the vocabulary is none. */
static int get_special(struct source *s)
{
    static const struct {
        enum pare_special which;
        const char *key;
        int32_t llama, bert, t5;
    } keys[] = {
        {PARE_SPECIAL_BOS, KEY("bos_token_id"), 1, 101, -1},
        {PARE_SPECIAL_EOS, KEY("eos_token_id"), 2, -1, 1},
        {PARE_SPECIAL_UNK, KEY("unknown_token_id"), 0, 100, 2},
        {PARE_SPECIAL_PAD, KEY("padding_token_id"), -1, 0, 0},
        {PARE_SPECIAL_SEP, KEY("seperator_token_id"), -1, 102, -1}, /* so it is spelled */
        {PARE_SPECIAL_CLS, KEY("cls_token_id"), -1, -1, -1},
        {PARE_SPECIAL_MASK, KEY("mask_token_id"), -1, 103, -1},
    };
    const char *model = s->model;
    for (size_t i = 0; i < PARE_COUNT(keys); i++) {
        int64_t id = strcmp(model, "llama") == 0  ? keys[i].llama
                     : strcmp(model, "bert") == 0 ? keys[i].bert
                     : strcmp(model, "t5") == 0   ? keys[i].t5
                                                  : -1;
        if (pare_gguf_find(s->file, keys[i].key)) {
            const int rc = pare_gguf_i64(s->file, keys[i].key, &id, s->err);
            if (rc != PARE_OK)
                return rc;
        }
        s->spec.special[keys[i].which] =
            id >= 0 && (uint64_t)id < s->spec.n_tokens ? (int32_t)id : -1;
    }
    int32_t *special = s->spec.special;
    if (strcmp(model, "bert") == 0 && special[PARE_SPECIAL_CLS] < 0)
        special[PARE_SPECIAL_CLS] = special[PARE_SPECIAL_BOS];
    return PARE_OK;
}

static int get_charsmap(struct source *s)
{
    const struct pare_gguf_value *value;
    const char *key = KEY("precompiled_charsmap");
    if (!pare_gguf_find(s->file, key))
        return PARE_OK;
    const int rc = pare_gguf_array(s->file, key, PARE_GGUF_I64, &value, s->err);
    if (rc != PARE_OK)
        return rc;
    if (!(s->charsmap = pare_alloc(value->n, 1)))
        return pare_error_nomem(s->err, value->n);
    for (size_t i = 0; i < value->n; i++) {
        int64_t byte = 0;
        pare_gguf_i64_at(value, i, &byte);
        s->charsmap[i] = (uint8_t)byte;
    }
    s->spec.charsmap = s->charsmap;
    s->spec.charsmap_size = value->n;
    return PARE_OK;
}

int pare_gguf_vocab(const struct pare_gguf *file,
                    int (*use)(void *user, const struct pare_vocab_spec *, struct pare_error *),
                    void *user, struct pare_error *err)
{
    struct source s = {.file = file, .err = err};
    struct pare_vocab_spec *spec = &s.spec;
    int rc;
    if (!pare_gguf_find(file, KEY("model")) || !pare_gguf_find(file, KEY("tokens"))) {
        pare_error_set(err, PARE_NOT_FOUND, "%s has no tokenizer", file->path);
        pare_error_detail(err, "'%s' or '%s' is missing", KEY("model"), KEY("tokens"));
        return PARE_NOT_FOUND;
    }
    PARE_TRY(get_text(&s, KEY("model"), s.model, sizeof s.model));
    PARE_TRY(get_text(&s, KEY("pre"), s.pre, sizeof s.pre));
    spec->model = s.model;
    spec->pre = s.pre[0] ? s.pre : NULL;
    PARE_TRY(get_texts(&s, KEY("tokens"), &s.tokens, &spec->n_tokens));
    spec->tokens = s.tokens;
    PARE_TRY(get_scores_and_types(&s));
    if (strcmp(s.model, "gpt2") == 0)
        PARE_TRY(get_texts(&s, KEY("merges"), &s.merges, &spec->n_merges));
    spec->merges = s.merges;
    PARE_TRY(get_special(&s));
    PARE_TRY(get_charsmap(&s));
    PARE_TRY(get_choice(&s, KEY("add_bos_token"), &spec->add_bos));
    PARE_TRY(get_choice(&s, KEY("add_eos_token"), &spec->add_eos));
    spec->add_space_prefix = strcmp(s.model, "llama") == 0 || strcmp(s.model, "t5") == 0;
    PARE_TRY(get_bool(&s, KEY("add_space_prefix"), &spec->add_space_prefix));
    PARE_TRY(get_bool(&s, KEY("remove_extra_whitespaces"), &spec->remove_extra_spaces));
    spec->lowercase = true;
    PARE_TRY(get_bool(&s, KEY("normalizer.lowercase"), &spec->lowercase));
    spec->strip_accents = spec->lowercase;
    PARE_TRY(get_bool(&s, KEY("normalizer.strip_accents"), &spec->strip_accents));
    PARE_TRY(use(user, spec, err));
out:
    free(s.tokens);
    free(s.merges);
    free(s.scores);
    free(s.types);
    free(s.charsmap);
    return rc;
}

static int make(void *user, const struct pare_vocab_spec *spec, struct pare_error *err)
{
    return pare_tokenizer_from_vocab(spec, user, err);
}

int pare_tokenizer_from_gguf(const struct pare_gguf *file, struct pare_tokenizer **out,
                             struct pare_error *err)
{
    *out = NULL;
    return pare_gguf_vocab(file, make, out, err);
}
