/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and kinds: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, llama-vocab.cpp of
 * https://github.com/ggml-org/llama.cpp; tokenizer.json: https://github.com/huggingface/tokenizers
 */
#include "model/export_tokenizer.h"
#include "base/str.h"
#include "model/family_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE }; /* kinds of tokens */

#define KEY "tokenizer.ggml."
#define WORD_START "\xe2\x96\x81" /* U+2581, a space in SentencePiece's words */

struct task {
    json_t *tokenizer, *settings; /* tokenizer.json, tokenizer_config.json or NULL */
    const json_t *config, *model;
    uint32_t vocabulary;
    struct pare_gguf_draft *draft;
    struct pare_gguf_text *tokens;
    int32_t *kinds;
    float *scores;
    struct pare_pool pool;
    struct pare_error *err;
};

static int unsupported(const struct task *t, const char *why)
{
    pare_error_set(t->err, PARE_UNSUPPORTED, "not representable in GGUF because %s", why);
    pare_error_detail(t->err, "in tokenizer.json");
    return PARE_UNSUPPORTED;
}

static const char *type_of(const json_t *j)
{
    const char *type = json_string_value(json_object_get(j, "type"));
    return type ? type : "";
}

static bool is(const json_t *j, const char *type)
{
    return strcmp(type_of(j), type) == 0;
}

/* ---- tokens
 * -------------------------------------------------------------------------------------- */

static int put_token(struct task *t, const char *text, const json_t *id, int kind)
{
    const json_int_t at = json_integer_value(id);
    if (!json_is_integer(id) || at < 0 || at >= (json_int_t)t->vocabulary)
        return pare_error_set(t->err, PARE_INVALID,
                              "tokenizer.json: token '%.64s' has an id that the model has no "
                              "embedding for",
                              text);
    t->tokens[at] = (struct pare_gguf_text){text, strlen(text)};
    t->kinds[at] = kind;
    return PARE_OK;
}

static bool is_byte(const char *text)
{
    return strlen(text) == 6 && strncmp(text, "<0x", 3) == 0 && text[5] == '>';
}

static int collect_tokens(struct task *t)
{
    const char *unknown = json_string_value(json_object_get(t->model, "unk_token")), *text;
    json_t *id, *added;
    size_t i;
    int rc = PARE_OK;
    json_object_foreach(json_object_get(t->model, "vocab"), text, id)
        PARE_TRY(put_token(t, text, id, is_byte(text) ? BYTE : NORMAL));
    json_array_foreach(json_object_get(t->tokenizer, "added_tokens"), i, added)
    {
        text = json_string_value(json_object_get(added, "content"));
        bool special = json_is_true(json_object_get(added, "special"));
        if (text)
            PARE_TRY(put_token(t, text, json_object_get(added, "id"), special ? CONTROL : USER));
    }
    for (uint32_t k = 0; k < t->vocabulary; k++) {
        if (t->tokens[k].data) {
            if (unknown && is(t->model, "BPE") && strcmp(t->tokens[k].data, unknown) == 0)
                t->kinds[k] = UNKNOWN;
            continue;
        }
        char *filler = pare_pool_printf(&t->pool, "[PAD%u]", k);
        if (!filler)
            return pare_error_nomem(t->err, 0);
        t->tokens[k] = (struct pare_gguf_text){filler, strlen(filler)};
        t->kinds[k] = UNUSED;
    }
out:
    return rc;
}

/* WordPiece marks what goes on a word ("##ing"), llama.cpp what begins one. */
static int mark_starts(struct task *t)
{
    const char *prefix = json_string_value(json_object_get(t->model, "continuing_subword_prefix"));
    if (prefix && strcmp(prefix, "##") != 0)
        return unsupported(t, "its WordPiece goes on words by another mark than ##");
    for (uint32_t i = 0; i < t->vocabulary; i++) {
        struct pare_gguf_text *text = &t->tokens[i];
        char *marked;
        if (t->kinds[i] == CONTROL || t->kinds[i] == UNUSED)
            continue;
        if (strncmp(text->data, "##", 2) == 0) {
            *text = (struct pare_gguf_text){text->data + 2, text->len - 2};
            continue;
        }
        marked = pare_pool_printf(&t->pool, WORD_START "%s", text->data);
        if (!marked)
            return pare_error_nomem(t->err, 0);
        *text = (struct pare_gguf_text){marked, strlen(marked)};
    }
    return PARE_OK;
}

/* ---- merges
 * -------------------------------------------------------------------------------------- */

/* Merge i as "left right"; NULL: damaged. */
static const char *merge_text(struct task *t, const json_t *merge)
{
    const char *left = json_string_value(json_array_get(merge, 0));
    const char *right = json_string_value(json_array_get(merge, 1));
    if (json_is_string(merge))
        return json_string_value(merge);
    return left && right ? pare_pool_printf(&t->pool, "%s %s", left, right) : NULL;
}

static int put_merges(struct task *t)
{
    const json_t *merges = json_object_get(t->model, "merges");
    const size_t n = json_array_size(merges);
    struct pare_gguf_text *texts = pare_calloc(n, sizeof *texts);
    int rc = texts ? PARE_OK : pare_error_nomem(t->err, n);
    for (size_t i = 0; rc == PARE_OK && i < n; i++) {
        const char *text = merge_text(t, json_array_get(merges, i));
        texts[i] = (struct pare_gguf_text){text, text ? strlen(text) : 0};
        if (!text)
            rc = pare_error_set(t->err, PARE_INVALID, "tokenizer.json: merge %zu is damaged", i);
    }
    if (rc == PARE_OK)
        rc = pare_gguf_put_texts(t->draft, KEY "merges", n, texts, t->err);
    free(texts);
    return rc;
}

/* Scores from the merges: the earlier one makes a token, the higher. */
static int score_tokens(struct task *t)
{
    const json_t *merges = json_object_get(t->model, "merges");
    const json_t *vocab = json_object_get(t->model, "vocab");
    struct pare_str joined = {0};
    int rc = PARE_OK;
    for (size_t i = json_array_size(merges); i-- > 0;) {
        const char *text = merge_text(t, json_array_get(merges, i));
        const char *space = text ? strchr(text, ' ') : NULL;
        pare_str_free(&joined);
        pare_str_append_n(&joined, text ? text : "", space ? (size_t)(space - text) : 0);
        pare_str_append(&joined, space ? space + 1 : "");
        const json_t *id = joined.data ? json_object_get(vocab, joined.data) : NULL;
        if (!json_is_integer(id)) {
            rc = pare_error_set(t->err, PARE_INVALID, "tokenizer.json: merge %zu is damaged", i);
            break;
        }
        t->scores[json_integer_value(id)] = -(float)(i + 1);
    }
    pare_str_free(&joined);
    return rc;
}

/* ---- kinds of tokenizers
 * ------------------------------------------------------------------------- */

#define CASELESS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* llama.cpp's names for the ways to split before byte-level BPE. */
static const struct {
    const char *name, *first, *regex; /* of the step before the bytes; NULL: there is none */
} splits[] = {
    {"gpt-2", NULL, NULL},
    {"smollm", "Digits", NULL},
    {"llama-bpe", "Split", CASELESS "\\p{N}{1,3}" REST},
    {"qwen2", "Split", CASELESS "\\p{N}" REST},
};

static const char *split_name(const json_t *pre)
{
    const json_t *steps = is(pre, "Sequence") ? json_object_get(pre, "pretokenizers") : NULL;
    const size_t n = steps ? json_array_size(steps) : 1;
    const json_t *first = n == 2 ? json_array_get(steps, 0) : NULL;
    const json_t *last = steps ? json_array_get(steps, n - 1) : pre;
    if (n > 2 || !is(last, "ByteLevel") || json_is_true(json_object_get(last, "add_prefix_space")))
        return NULL;
    for (size_t i = 0; i < PARE_COUNT(splits); i++) {
        const char *regex =
            json_string_value(json_object_get(json_object_get(first, "pattern"), "Regex"));
        const bool by_regex = !json_is_false(json_object_get(last, "use_regex"));
        if (!first != !splits[i].first || (first && !is(first, splits[i].first)) ||
            by_regex != !splits[i].regex)
            continue;
        if (!splits[i].regex || (regex && strcmp(regex, splits[i].regex) == 0))
            return splits[i].name;
    }
    return NULL;
}

/* Whether a normalizer puts a space before the text. */
static bool prepends(const json_t *j)
{
    const json_t *step;
    size_t i;
    json_array_foreach(json_object_get(j, "normalizers"), i, step)
    {
        if (prepends(step))
            return true;
    }
    const char *scheme = json_string_value(json_object_get(j, "prepend_scheme"));
    return is(j, "Prepend") || (is(j, "Metaspace") && (!scheme || strcmp(scheme, "never") != 0));
}

static int put_kind(struct task *t)
{
    const json_t *pre = json_object_get(t->tokenizer, "pre_tokenizer");
    const json_t *normalizer = json_object_get(t->tokenizer, "normalizer");
    int rc;
    if (is(t->model, "WordPiece")) {
        PARE_TRY(pare_gguf_put_text(t->draft, KEY "model", "bert", t->err));
        PARE_TRY(mark_starts(t));
    } else if (is(t->model, "BPE") && json_is_true(json_object_get(t->model, "byte_fallback"))) {
        PARE_TRY(pare_gguf_put_text(t->draft, KEY "model", "llama", t->err));
        PARE_TRY(pare_gguf_put_text(t->draft, KEY "pre", "default", t->err));
        PARE_TRY(pare_gguf_put_bool(t->draft, KEY "add_space_prefix",
                                    prepends(normalizer) || prepends(pre), t->err));
        PARE_TRY(score_tokens(t));
        PARE_TRY(pare_gguf_put_array(t->draft, KEY "scores", PARE_GGUF_F32, t->vocabulary,
                                     t->scores, t->err));
    } else if (is(t->model, "BPE")) {
        const char *name = split_name(pre);
        if (!name)
            return unsupported(t, "llama.cpp has no name for how its tokenizer splits text");
        PARE_TRY(pare_gguf_put_text(t->draft, KEY "model", "gpt2", t->err));
        PARE_TRY(pare_gguf_put_text(t->draft, KEY "pre", name, t->err));
        PARE_TRY(put_merges(t));
    } else {
        return unsupported(t, "its tokenizer is neither BPE nor WordPiece");
    }
    PARE_TRY(pare_gguf_put_texts(t->draft, KEY "tokens", t->vocabulary, t->tokens, t->err));
    PARE_TRY(pare_gguf_put_array(t->draft, KEY "token_type", PARE_GGUF_I32, t->vocabulary, t->kinds,
                                 t->err));
out:
    return rc;
}

/* ---- what stands around
 * -------------------------------------------------------------------------- */

/* What is put around one text: TemplateProcessing, alone or as a step; NULL: another way. */
static const json_t *template_of(const json_t *processor)
{
    const json_t *step;
    size_t i;
    if (is(processor, "TemplateProcessing"))
        return processor;
    json_array_foreach(json_object_get(processor, "processors"), i, step)
    {
        if (is(step, "TemplateProcessing"))
            return step;
    }
    return NULL;
}

/* The id of the special token at one end of a single text; NULL: none. */
static const json_t *template_id(const json_t *processor, bool last)
{
    const json_t *template = template_of(processor), *single = json_object_get(template, "single");
    const size_t n = json_array_size(single);
    if (is(processor, "BertProcessing")) /* ["[SEP]", 102] */
        return json_array_get(json_object_get(processor, last ? "sep" : "cls"), 1);
    if (last && n < 2)
        return NULL;
    const json_t *token = json_object_get(json_array_get(single, last ? n - 1 : 0), "SpecialToken");
    const char *name = json_string_value(json_object_get(token, "id"));
    const json_t *all = json_object_get(template, "special_tokens");
    return name ? json_array_get(json_object_get(json_object_get(all, name), "ids"), 0) : NULL;
}

/* The id of a token that tokenizer_config.json names, else what stands at that end of a text, else
 * config.json's; -1: none. */
static json_int_t special_id(const struct task *t, const char *name, const char *in_config,
                             const json_t *at_end)
{
    const json_t *token = json_object_get(t->settings, name), *added, *id = NULL;
    const char *text =
        json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
    size_t i;
    if (!text && strcmp(name, "unk_token") == 0)
        text = json_string_value(json_object_get(t->model, "unk_token"));
    json_array_foreach(json_object_get(t->tokenizer, "added_tokens"), i, added)
    {
        const char *content = json_string_value(json_object_get(added, "content"));
        if (text && content && strcmp(text, content) == 0)
            id = json_object_get(added, "id");
    }
    if (!id && text)
        id = json_object_get(json_object_get(t->model, "vocab"), text);
    if (!id)
        id = at_end;
    if (!id)
        id = json_object_get(t->config, in_config);
    const json_int_t x = json_integer_value(id);
    return json_is_integer(id) && x >= 0 && x < (json_int_t)t->vocabulary ? x : -1;
}

static int put_specials(struct task *t)
{
    enum { NEITHER, FIRST, LAST }; /* where such a token stands */
    static const struct {
        const char *name, *in_config, *key;
        int bpe, wordpiece;
    } names[] = {{"bos_token", "bos_token_id", KEY "bos_token_id", FIRST, FIRST},
                 {"eos_token", "eos_token_id", KEY "eos_token_id", LAST, NEITHER},
                 {"unk_token", "unk_token_id", KEY "unknown_token_id", NEITHER, NEITHER},
                 {"sep_token", "sep_token_id", KEY "seperator_token_id", NEITHER, LAST},
                 {"pad_token", "pad_token_id", KEY "padding_token_id", NEITHER, NEITHER},
                 {"cls_token", "cls_token_id", KEY "cls_token_id", NEITHER, FIRST},
                 {"mask_token", "mask_token_id", KEY "mask_token_id", NEITHER, NEITHER}};
    static const char *const adds[2][2] = {{"add_bos_token", KEY "add_bos_token"},
                                           {"add_eos_token", KEY "add_eos_token"}};
    const json_t *processor = json_object_get(t->tokenizer, "post_processor");
    const json_t *ends[] = {NULL, template_id(processor, false), template_id(processor, true)};
    const char *chat = json_string_value(json_object_get(t->settings, "chat_template"));
    const bool wordpiece = is(t->model, "WordPiece");
    int rc = PARE_OK;
    for (size_t i = 0; i < PARE_COUNT(names); i++) {
        json_int_t id = special_id(t, names[i].name, names[i].in_config,
                                   ends[wordpiece ? names[i].wordpiece : names[i].bpe]);
        if (id >= 0)
            PARE_TRY(pare_gguf_put_u32(t->draft, names[i].key, (uint32_t)id, t->err));
    }
    for (int i = 0; i < 2 && !wordpiece; i++) {
        const json_t *said = json_object_get(t->settings, adds[i][0]);
        const bool add = template_of(processor) ? ends[FIRST + i] != NULL : json_is_true(said);
        PARE_TRY(pare_gguf_put_bool(t->draft, adds[i][1], add, t->err));
    }
    if (chat)
        PARE_TRY(pare_gguf_put_text(t->draft, "tokenizer.chat_template", chat, t->err));
out:
    return rc;
}

int pare_tokenizer_to_gguf(const char *folder, const json_t *config, uint32_t vocabulary,
                           struct pare_gguf_draft *draft, bool *there, struct pare_error *err)
{
    struct task t = {.config = config, .vocabulary = vocabulary, .draft = draft, .err = err};
    int rc;
    *there = false;
    PARE_TRY(pare_read_json(folder, "tokenizer.json", false, &t.tokenizer, err));
    PARE_TRY(pare_read_json(folder, "tokenizer_config.json", false, &t.settings, err));
    if (!t.tokenizer)
        goto out;
    t.model = json_object_get(t.tokenizer, "model");
    t.tokens = pare_calloc(vocabulary, sizeof *t.tokens);
    t.kinds = pare_calloc(vocabulary, sizeof *t.kinds);
    t.scores = pare_calloc(vocabulary, sizeof *t.scores);
    if (!t.tokens || !t.kinds || !t.scores) {
        rc = pare_error_nomem(err, vocabulary);
        goto out;
    }
    PARE_TRY(collect_tokens(&t));
    PARE_TRY(put_kind(&t));
    PARE_TRY(put_specials(&t));
    *there = true;
out:
    free(t.tokens);
    free(t.kinds);
    free(t.scores);
    pare_pool_free(&t.pool);
    json_decref(t.tokenizer);
    json_decref(t.settings);
    return rc;
}
