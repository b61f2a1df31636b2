/* SPDX-License-Identifier: Apache-2.0 */
/* The model of tokenizer.json: its vocabulary and merges. */
#include "text/json_reader.h"

#include <string.h>

/* "vocab": {"token": id, ...} */
static int vocabulary(struct pare_json_reader *r, const json_t *json)
{
    json_t *vocab = json_object_get(json, "vocab"), *value;
    const char *key;
    size_t len;
    int rc = PARE_OK;
    if (!json_is_object(vocab))
        return pare_json_fail(r, PARE_INVALID, "'vocab' is not an object");
    json_object_keylen_foreach(vocab, key, len, value)
    {
        const struct pare_bytes text = pare_keep_bytes(r->t, key, len);
        if (!text.data)
            return pare_error_nomem(r->err, len);
        if (!json_is_integer(value))
            return pare_json_fail(r, PARE_INVALID, "the id of '%.60s' is not an integer", key);
        rc = pare_add_token(r->t, json_integer_value(value), text, 0, r->err);
        if (rc != PARE_OK)
            return pare_json_pass(r, rc);
    }
    return rc;
}

/* The token for what is unknown, when the vocabulary has it. */
static int unknown(struct pare_json_reader *r, const json_t *json, int32_t *out)
{
    struct pare_bytes text = {0};
    const int rc = pare_json_text(r, json, "unk_token", &text);
    *out = text.data ? pare_vocab_find(&r->t->vocab, text.data, text.len) : -1;
    r->t->special[PARE_SPECIAL_UNK] = *out;
    return rc;
}

/* A merge as "left right" or ["left", "right"]. */
static bool merge_parts(const json_t *merge, struct pare_bytes *left, struct pare_bytes *right)
{
    const json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    if (json_is_string(merge)) {
        const char *text = json_string_value(merge);
        const size_t len = json_string_length(merge);
        const char *space = memchr(text, ' ', len);
        if (!space || memchr(space + 1, ' ', len - (size_t)(space + 1 - text)))
            return false;
        *left = (struct pare_bytes){text, (size_t)(space - text)};
        *right = (struct pare_bytes){space + 1, len - left->len - 1};
        return true;
    }
    if (json_array_size(merge) != 2 || !json_is_string(a) || !json_is_string(b))
        return false;
    *left = (struct pare_bytes){json_string_value(a), json_string_length(a)};
    *right = (struct pare_bytes){json_string_value(b), json_string_length(b)};
    return true;
}

static int add_merge(struct pare_json_reader *r, const json_t *merge, uint32_t rank,
                     struct pare_str *joined)
{
    struct pare_tokenizer *t = r->t;
    struct pare_bytes left, right;
    if (!merge_parts(merge, &left, &right))
        return pare_json_fail(r, PARE_INVALID, "a merge is not two tokens");
    const size_t skip = PARE_MIN(t->bpe.prefix.len, right.len);
    joined->len = 0;
    pare_str_append_n(joined, left.data, left.len);
    pare_str_append_n(joined, right.data + skip, right.len - skip);
    if (joined->failed)
        return pare_error_nomem(r->err, 0);
    const int32_t a = pare_vocab_find(&t->vocab, left.data, left.len);
    const int32_t b = pare_vocab_find(&t->vocab, right.data, right.len);
    const int32_t id = pare_vocab_find(&t->vocab, joined->data, joined->len);
    if (a < 0 || b < 0 || id < 0) {
        const struct pare_bytes missing = a < 0   ? left
                                          : b < 0 ? right
                                                  : (struct pare_bytes){joined->data, joined->len};
        return pare_json_fail(r, PARE_INVALID,
                              "the merge of '%.60s' and '%.60s' needs the token "
                              "'%.60s', which the vocabulary lacks",
                              left.data, right.data, missing.data);
    }
    return pare_bpe_add_merge(&t->bpe, a, b, rank, id, r->err);
}

static int bpe(struct pare_json_reader *r, const json_t *json)
{
    struct pare_bpe *m = &r->t->bpe;
    const json_t *merges = json_object_get(json, "merges");
    struct pare_str joined = {0};
    const size_t len = strlen(r->place);
    int rc;
    r->t->model = PARE_MODEL_BPE;
    PARE_TRY(vocabulary(r, json));
    PARE_TRY(unknown(r, json, &m->unk));
    m->unk_missing = m->unk < 0 && json_is_string(json_object_get(json, "unk_token"));
    if (json_number_value(json_object_get(json, "dropout")) > 0) {
        rc = pare_json_fail(r, PARE_UNSUPPORTED, "a 'dropout' of merges is for training");
        goto out;
    }
    PARE_TRY(pare_json_bool(r, json, "fuse_unk", &m->fuse_unk));
    PARE_TRY(pare_json_bool(r, json, "byte_fallback", &m->byte_fallback));
    PARE_TRY(pare_json_bool(r, json, "ignore_merges", &m->ignore_merges));
    if (json_is_string(json_object_get(json, "continuing_subword_prefix")))
        PARE_TRY(pare_json_keep(r, json, "continuing_subword_prefix", &m->prefix));
    if (json_is_string(json_object_get(json, "end_of_word_suffix")))
        PARE_TRY(pare_json_keep(r, json, "end_of_word_suffix", &m->suffix));
    if (!json_is_array(merges)) {
        rc = pare_json_fail(r, PARE_INVALID, "'merges' is not an array");
        goto out;
    }
    for (size_t i = 0; i < json_array_size(merges); i++) {
        snprintf(r->place + len, sizeof r->place - len, ".merges[%zu]", i);
        PARE_TRY(add_merge(r, json_array_get(merges, i), (uint32_t)i, &joined));
    }
out:
    r->place[len] = '\0';
    pare_str_free(&joined);
    return rc;
}

static int wordpiece(struct pare_json_reader *r, const json_t *json)
{
    struct pare_wordpiece *m = &r->t->wordpiece;
    int rc;
    r->t->model = PARE_MODEL_WORDPIECE;
    m->longest = 100;
    PARE_TRY(vocabulary(r, json));
    PARE_TRY(unknown(r, json, &m->unk));
    PARE_TRY(pare_json_count(r, json, "max_input_chars_per_word", &m->longest));
    if (json_object_get(json, "continuing_subword_prefix"))
        PARE_TRY(pare_json_keep(r, json, "continuing_subword_prefix", &m->prefix));
    else
        m->prefix = (struct pare_bytes){"##", 2};
out:
    return rc;
}

/* "vocab": [["token", score], ...] */
static int unigram(struct pare_json_reader *r, const json_t *json)
{
    struct pare_unigram *m = &r->t->unigram;
    const json_t *vocab = json_object_get(json, "vocab"), *unk = json_object_get(json, "unk_id");
    const size_t n = json_array_size(vocab), len = strlen(r->place);
    int rc = PARE_OK;
    r->t->model = PARE_MODEL_UNIGRAM;
    if (!json_is_array(vocab))
        return pare_json_fail(r, PARE_INVALID, "'vocab' is not an array");
    for (size_t i = 0; i < n; i++) {
        snprintf(r->place + len, sizeof r->place - len, ".vocab[%zu]", i);
        const json_t *pair = json_array_get(vocab, i), *text = json_array_get(pair, 0);
        const json_t *score = json_array_get(pair, 1);
        if (!json_is_string(text) || !json_is_number(score)) {
            rc = pare_json_fail(r, PARE_INVALID, "not a token and its score");
            goto out;
        }
        const struct pare_bytes keep =
            pare_keep_bytes(r->t, json_string_value(text), json_string_length(text));
        PARE_TRY(keep.data ? PARE_OK : pare_error_nomem(r->err, 0));
        PARE_TRY(pare_json_pass(
            r, pare_add_token(r->t, (long long)i, keep, json_number_value(score), r->err)));
    }
    r->place[len] = '\0';
    if (unk && !json_is_null(unk)) {
        const json_int_t id = json_integer_value(unk);
        if (!json_is_integer(unk) || id < 0 || (size_t)id >= n) {
            rc = pare_json_fail(r, PARE_INVALID, "'unk_id' is not the id of a token");
            goto out;
        }
        m->unk = r->t->special[PARE_SPECIAL_UNK] = (int32_t)id;
    }
    PARE_TRY(pare_json_bool(r, json, "byte_fallback", &m->byte_fallback));
out:
    r->place[len] = '\0';
    return rc;
}

int pare_json_model(struct pare_json_reader *r, const json_t *json)
{
    static const struct pare_json_type types[] = {
        {"BPE", bpe}, {"Unigram", unigram}, {"WordPiece", wordpiece}};
    const json_t *type = json_object_get(json, "type");
    if (json_is_object(json) && !type) { /* files before the type was written */
        strcpy(r->place, "model");
        const int rc = json_object_get(json, "merges")                 ? bpe(r, json)
                       : json_is_array(json_object_get(json, "vocab")) ? unigram(r, json)
                                                                       : wordpiece(r, json);
        r->place[0] = '\0';
        return rc;
    }
    if (!json_is_object(json))
        return pare_json_fail(r, PARE_INVALID, "'model' is missing");
    return pare_json_typed(r, json, "model", "models", types, PARE_COUNT(types));
}
