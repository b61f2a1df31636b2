/* SPDX-License-Identifier: Apache-2.0 */
/* The normalizers, pre-tokenizers and decoders of tokenizer.json, as steps. */
#include "text/json_reader.h"

#include <stdlib.h>
#include <string.h>

#include <nettle/base64.h>

#define NO_MEMORY(r) pare_error_nomem((r)->err, 0)

static int simple_normalizer(struct pare_json_reader *r, const json_t *json)
{
    static const struct {
        const char *name;
        enum pare_normalize_kind kind;
    } kinds[] = {{"NFC", PARE_NORMALIZE_NFC},
                 {"NFD", PARE_NORMALIZE_NFD},
                 {"NFKC", PARE_NORMALIZE_NFKC},
                 {"NFKD", PARE_NORMALIZE_NFKD},
                 {"Lowercase", PARE_NORMALIZE_LOWERCASE},
                 {"StripAccents", PARE_NORMALIZE_STRIP_ACCENTS}};
    const char *type = json_string_value(json_object_get(json, "type"));
    struct pare_normalize_step *s = pare_add_normalize(r->t);
    for (size_t i = 0; s && i < PARE_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, type) == 0)
            s->kind = kinds[i].kind;
    return s ? PARE_OK : NO_MEMORY(r);
}

static int strip_normalizer(struct pare_json_reader *r, const json_t *json)
{
    struct pare_normalize_step *s = pare_add_normalize(r->t);
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_NORMALIZE_STRIP;
    PARE_TRY(pare_json_bool(r, json, "strip_left", &s->left));
    PARE_TRY(pare_json_bool(r, json, "strip_right", &s->right));
out:
    return rc;
}

static int replace_normalizer(struct pare_json_reader *r, const json_t *json)
{
    struct pare_normalize_step *s = pare_add_normalize(r->t);
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_NORMALIZE_REPLACE;
    PARE_TRY(pare_json_pattern(r, json, &s->pattern, &s->regex));
    PARE_TRY(pare_json_keep(r, json, "content", &s->content));
out:
    return rc;
}

static int prepend_normalizer(struct pare_json_reader *r, const json_t *json)
{
    struct pare_normalize_step *s = pare_add_normalize(r->t);
    if (!s)
        return NO_MEMORY(r);
    s->kind = PARE_NORMALIZE_PREPEND;
    return pare_json_keep(r, json, "prepend", &s->content);
}

static int bert_normalizer(struct pare_json_reader *r, const json_t *json)
{
    struct pare_normalize_step *s = pare_add_normalize(r->t);
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_NORMALIZE_BERT;
    PARE_TRY(pare_json_bool(r, json, "clean_text", &s->clean));
    PARE_TRY(pare_json_bool(r, json, "handle_chinese_chars", &s->ideographs));
    PARE_TRY(pare_json_bool(r, json, "lowercase", &s->lowercase));
    s->no_accents = s->lowercase; /* unless it is said */
    PARE_TRY(pare_json_bool(r, json, "strip_accents", &s->no_accents));
out:
    return rc;
}

static int charsmap_normalizer(struct pare_json_reader *r, const json_t *json)
{
    struct pare_normalize_step *s = pare_add_normalize(r->t);
    struct pare_bytes text = {0};
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_NORMALIZE_CHARSMAP;
    PARE_TRY(pare_json_text(r, json, "precompiled_charsmap", &text));
    if (!text.data || text.len == 0) { /* SentencePiece's "identity" */
        r->t->n_normalize--;
        goto out;
    }
    struct base64_decode_ctx base64;
    size_t size = BASE64_DECODE_LENGTH(text.len);
    uint8_t *blob = pare_pool_alloc(&r->t->pool, size + 1, 1);
    uint32_t *units = pare_pool_alloc(&r->t->pool, size / 4 + 1, sizeof *units);
    if (!blob || !units) {
        rc = NO_MEMORY(r);
        goto out;
    }
    base64_decode_init(&base64);
    if (!base64_decode_update(&base64, &size, blob, text.len, text.data) ||
        !base64_decode_final(&base64)) {
        rc = pare_json_fail(r, PARE_INVALID, "'precompiled_charsmap' is not base64");
        goto out;
    }
    rc = pare_json_pass(r, pare_charsmap_parse(blob, size, units, &s->map, r->err));
out:
    return rc;
}

int pare_json_normalizer(struct pare_json_reader *r, const json_t *json)
{
    static const struct pare_json_type types[] = {
        {"BertNormalizer", bert_normalizer},  {"Lowercase", simple_normalizer},
        {"NFC", simple_normalizer},           {"NFD", simple_normalizer},
        {"NFKC", simple_normalizer},          {"NFKD", simple_normalizer},
        {"Precompiled", charsmap_normalizer}, {"Prepend", prepend_normalizer},
        {"Replace", replace_normalizer},      {"Strip", strip_normalizer},
        {"StripAccents", simple_normalizer}};
    return pare_json_typed(r, json, "normalizer", "normalizers", types, PARE_COUNT(types));
}

/* A Split; NULL: no memory. */
static struct pare_pretokenize_step *split(struct pare_json_reader *r, enum pare_split_by by,
                                           enum pare_split_behavior behavior)
{
    struct pare_pretokenize_step *s = pare_add_pretokenize(r->t);
    if (s) {
        s->kind = PARE_PRETOKENIZE_SPLIT;
        s->by = by;
        s->behavior = behavior;
    }
    return s;
}

static int behavior_of(struct pare_json_reader *r, const json_t *json,
                       enum pare_split_behavior *out)
{
    static const char *const names[] = {[PARE_SPLIT_REMOVED] = "Removed",
                                        [PARE_SPLIT_ISOLATED] = "Isolated",
                                        [PARE_SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
                                        [PARE_SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
                                        [PARE_SPLIT_CONTIGUOUS] = "Contiguous"};
    const json_t *value = json_object_get(json, "behavior");
    const char *text = json_string_value(value);
    if (!value)
        return PARE_OK;
    for (size_t i = 0; text && i < PARE_COUNT(names); i++)
        if (strcmp(names[i], text) == 0) {
            *out = (enum pare_split_behavior)i;
            return PARE_OK;
        }
    return pare_json_fail(r, PARE_UNSUPPORTED, "the behavior '%.60s' is not known",
                          text ? text : "");
}

static int byte_level(struct pare_json_reader *r, const json_t *json)
{
    bool prefix = true, regex = true;
    struct pare_pretokenize_step *s;
    int rc;
    PARE_TRY(pare_json_bool(r, json, "add_prefix_space", &prefix));
    PARE_TRY(pare_json_bool(r, json, "use_regex", &regex));
    if (prefix) {
        PARE_TRY((s = pare_add_pretokenize(r->t)) ? PARE_OK : NO_MEMORY(r));
        s->kind = PARE_PRETOKENIZE_PREFIX;
    }
    if (regex) {
        s = split(r, PARE_SPLIT_REGEX, PARE_SPLIT_ISOLATED);
        PARE_TRY(s ? PARE_OK : NO_MEMORY(r));
        PARE_TRY(
            pare_regex_compile(PARE_GPT2_PATTERN, strlen(PARE_GPT2_PATTERN), &s->regex, r->err));
    }
    PARE_TRY((s = pare_add_pretokenize(r->t)) ? PARE_OK : NO_MEMORY(r));
    s->kind = PARE_PRETOKENIZE_BYTES;
out:
    return rc;
}

static int split_pretokenizer(struct pare_json_reader *r, const json_t *json)
{
    struct pare_pretokenize_step *s = split(r, PARE_SPLIT_LITERAL, PARE_SPLIT_ISOLATED);
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    PARE_TRY(pare_json_pattern(r, json, &s->literal, &s->regex));
    s->by = s->regex ? PARE_SPLIT_REGEX : PARE_SPLIT_LITERAL;
    PARE_TRY(behavior_of(r, json, &s->behavior));
    PARE_TRY(pare_json_bool(r, json, "invert", &s->invert));
out:
    return rc;
}

static int digits(struct pare_json_reader *r, const json_t *json)
{
    bool each = false;
    const int rc = pare_json_bool(r, json, "individual_digits", &each);
    if (rc != PARE_OK)
        return rc;
    return split(r, PARE_SPLIT_NUMBER, each ? PARE_SPLIT_ISOLATED : PARE_SPLIT_CONTIGUOUS)
               ? PARE_OK
               : NO_MEMORY(r);
}

static int whitespace(struct pare_json_reader *r, const json_t *json)
{
    (void)json;
    struct pare_pretokenize_step *s = split(r, PARE_SPLIT_WORD, PARE_SPLIT_REMOVED);
    if (s)
        s->invert = true;
    return s ? PARE_OK : NO_MEMORY(r);
}

static int whitespace_split(struct pare_json_reader *r, const json_t *json)
{
    (void)json;
    return split(r, PARE_SPLIT_SPACE, PARE_SPLIT_REMOVED) ? PARE_OK : NO_MEMORY(r);
}

static int punctuation(struct pare_json_reader *r, const json_t *json)
{
    struct pare_pretokenize_step *s = split(r, PARE_SPLIT_PUNCTUATION, PARE_SPLIT_ISOLATED);
    return s ? behavior_of(r, json, &s->behavior) : NO_MEMORY(r);
}

static int bert_pretokenizer(struct pare_json_reader *r, const json_t *json)
{
    const int rc = whitespace_split(r, json);
    if (rc != PARE_OK)
        return rc;
    return split(r, PARE_SPLIT_PUNCTUATION, PARE_SPLIT_ISOLATED) ? PARE_OK : NO_MEMORY(r);
}

/* When the space in front is added; older files say only whether. */
static int prepend_scheme(struct pare_json_reader *r, const json_t *json, enum pare_prepend *out)
{
    static const char *const names[] = {[PARE_PREPEND_ALWAYS] = "always",
                                        [PARE_PREPEND_FIRST] = "first",
                                        [PARE_PREPEND_NEVER] = "never"};
    bool prefix = true;
    struct pare_bytes text = {0};
    int rc;
    PARE_TRY(pare_json_bool(r, json, "add_prefix_space", &prefix));
    PARE_TRY(pare_json_text(r, json, "prepend_scheme", &text));
    *out = prefix ? PARE_PREPEND_ALWAYS : PARE_PREPEND_NEVER;
    if (!text.data)
        goto out;
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        if (strcmp(names[i], text.data) == 0) {
            *out = (enum pare_prepend)i;
            goto out;
        }
    rc = pare_json_fail(r, PARE_UNSUPPORTED, "the prepend_scheme '%.60s' is not known", text.data);
out:
    return rc;
}

static int metaspace(struct pare_json_reader *r, const json_t *json)
{
    struct pare_pretokenize_step *s = pare_add_pretokenize(r->t);
    bool cut = true;
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_PRETOKENIZE_METASPACE;
    PARE_TRY(pare_json_keep(r, json, "replacement", &s->literal));
    PARE_TRY(prepend_scheme(r, json, &s->prepend));
    PARE_TRY(pare_json_bool(r, json, "split", &cut));
    const struct pare_bytes mark = s->literal;
    if (cut) {
        s = split(r, PARE_SPLIT_LITERAL, PARE_SPLIT_MERGED_WITH_NEXT);
        PARE_TRY(s ? PARE_OK : NO_MEMORY(r));
        s->literal = mark;
    }
out:
    return rc;
}

int pare_json_pretokenizer(struct pare_json_reader *r, const json_t *json)
{
    static const struct pare_json_type types[] = {{"BertPreTokenizer", bert_pretokenizer},
                                                  {"ByteLevel", byte_level},
                                                  {"Digits", digits},
                                                  {"Metaspace", metaspace},
                                                  {"Punctuation", punctuation},
                                                  {"Split", split_pretokenizer},
                                                  {"Whitespace", whitespace},
                                                  {"WhitespaceSplit", whitespace_split}};
    return pare_json_typed(r, json, "pre_tokenizer", "pretokenizers", types, PARE_COUNT(types));
}

static int simple_decoder(struct pare_json_reader *r, const json_t *json)
{
    static const struct {
        const char *name;
        enum pare_decode_kind kind;
    } kinds[] = {{"ByteLevel", PARE_DECODE_BYTES},
                 {"ByteFallback", PARE_DECODE_BYTE_FALLBACK},
                 {"Fuse", PARE_DECODE_FUSE}};
    const char *type = json_string_value(json_object_get(json, "type"));
    struct pare_decode_step *s = pare_add_decode(r->t);
    for (size_t i = 0; s && i < PARE_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, type) == 0)
            s->kind = kinds[i].kind;
    return s ? PARE_OK : NO_MEMORY(r);
}

static int metaspace_decoder(struct pare_json_reader *r, const json_t *json)
{
    struct pare_decode_step *s = pare_add_decode(r->t);
    enum pare_prepend prepend;
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_DECODE_METASPACE;
    PARE_TRY(pare_json_keep(r, json, "replacement", &s->pattern));
    PARE_TRY(prepend_scheme(r, json, &prepend));
    s->strip = prepend != PARE_PREPEND_NEVER;
    if (s->pattern.len == 0)
        rc = pare_json_fail(r, PARE_INVALID, "'replacement' is empty");
out:
    return rc;
}

static int wordpiece_decoder(struct pare_json_reader *r, const json_t *json)
{
    struct pare_decode_step *s = pare_add_decode(r->t);
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_DECODE_WORDPIECE;
    s->cleanup = true;
    PARE_TRY(pare_json_keep(r, json, "prefix", &s->pattern));
    PARE_TRY(pare_json_bool(r, json, "cleanup", &s->cleanup));
out:
    return rc;
}

static int strip_decoder(struct pare_json_reader *r, const json_t *json)
{
    struct pare_decode_step *s = pare_add_decode(r->t);
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_DECODE_STRIP;
    PARE_TRY(pare_json_keep(r, json, "content", &s->pattern));
    PARE_TRY(pare_json_count(r, json, "start", &s->start));
    PARE_TRY(pare_json_count(r, json, "stop", &s->stop));
    if (s->pattern.len == 0)
        rc = pare_json_fail(r, PARE_INVALID, "'content' is empty");
out:
    return rc;
}

static int replace_decoder(struct pare_json_reader *r, const json_t *json)
{
    struct pare_decode_step *s = pare_add_decode(r->t);
    int rc = s ? PARE_OK : NO_MEMORY(r);
    PARE_TRY(rc);
    s->kind = PARE_DECODE_REPLACE;
    PARE_TRY(pare_json_pattern(r, json, &s->pattern, &s->regex));
    PARE_TRY(pare_json_keep(r, json, "content", &s->content));
out:
    return rc;
}

int pare_json_decoder(struct pare_json_reader *r, const json_t *json)
{
    static const struct pare_json_type types[] = {
        {"ByteFallback", simple_decoder}, {"ByteLevel", simple_decoder}, {"Fuse", simple_decoder},
        {"Metaspace", metaspace_decoder}, {"Replace", replace_decoder},  {"Strip", strip_decoder},
        {"WordPiece", wordpiece_decoder}};
    return pare_json_typed(r, json, "decoder", "decoders", types, PARE_COUNT(types));
}
