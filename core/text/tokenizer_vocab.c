/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers from the vocabularies of GGUF files, after llama.cpp. */
#include "text/tokenizer_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/gguf_pre.h"
#include "text/utf8.h"

#define MARK "\xE2\x96\x81" /* U+2581, SentencePiece's space */

static struct pare_bytes literal(const char *text)
{
    return (struct pare_bytes){text, strlen(text)};
}

static bool begins(struct pare_bytes text, const char *with)
{
    return text.len >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

/* BERT's vocabularies mark where words begin, not where they go on: "▁the", "ing". */
static struct pare_bytes bert_text(struct pare_tokenizer *t, struct pare_bytes text)
{
    struct pare_str s = {0};
    if (begins(text, MARK))
        return pare_keep_bytes(t, text.data + strlen(MARK), text.len - strlen(MARK));
    pare_str_append(&s, "##");
    pare_str_append_n(&s, text.data, text.len);
    const struct pare_bytes keep =
        s.failed ? (struct pare_bytes){0} : pare_keep_bytes(t, s.data, s.len);
    pare_str_free(&s);
    return keep;
}

static int add_token(struct pare_tokenizer *t, const struct pare_vocab_spec *spec, size_t i,
                     bool bert, struct pare_error *err)
{
    const int32_t type = spec->types ? spec->types[i] : PARE_TOKEN_NORMAL;
    const struct pare_bytes in = spec->tokens[i];
    const double score = !spec->scores ? 0 : type == PARE_TOKEN_USER ? 0 : (double)spec->scores[i];
    int rc = PARE_OK;
    const bool apart =
        type == PARE_TOKEN_CONTROL || type == PARE_TOKEN_USER || type == PARE_TOKEN_UNKNOWN;
    if (in.len == 0)
        return pare_vocab_reach(&t->vocab, (long long)i, err);
    if (!isfinite(score))
        return pare_error_set(err, PARE_INVALID, "the score of token %zu is not finite", i);
    const struct pare_bytes text =
        bert && !apart ? bert_text(t, in) : pare_keep_bytes(t, in.data, in.len);
    if (!text.data)
        return pare_error_nomem(err, in.len);
    const int32_t other = pare_vocab_find(&t->vocab, text.data, text.len);
    if (other >= 0) {
        rc = pare_error_set(err, PARE_INVALID, "two tokens of the vocabulary are the same");
        pare_error_detail(err, "%d and %zu are '%.*s'", other, i, (int)PARE_MIN(text.len, 100),
                          text.data);
        goto out;
    }
    PARE_TRY(pare_add_token(t, (long long)i, text, score, err));
    t->vocab.tokens[i].special = type == PARE_TOKEN_CONTROL || type == PARE_TOKEN_UNKNOWN;
    /* what is no UTF-8 is not found in text, and must not cut a character in two */
    if (!apart || pare_utf8_valid(text.data, text.len) < text.len)
        goto out;
    if (!pare_grow(&t->added, &t->added_cap, t->n_added + 1, sizeof *t->added)) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    t->added[t->n_added++] =
        (struct pare_added){.id = (int32_t)i, .text = text, .special = t->vocab.tokens[i].special};
out:
    return rc;
}

static int add_regex(struct pare_tokenizer *t, const char *pattern, struct pare_error *err)
{
    struct pare_pretokenize_step *s = pare_add_pretokenize(t);
    if (!s)
        return pare_error_nomem(err, 0);
    s->kind = PARE_PRETOKENIZE_SPLIT;
    s->by = PARE_SPLIT_REGEX;
    s->behavior = PARE_SPLIT_ISOLATED;
    return pare_regex_compile(pattern, strlen(pattern), &s->regex, err);
}

static int add_merges(struct pare_tokenizer *t, const struct pare_vocab_spec *spec,
                      struct pare_error *err)
{
    struct pare_str joined = {0};
    int rc = PARE_OK;
    for (size_t i = 0; i < spec->n_merges; i++) {
        const struct pare_bytes m = spec->merges[i];
        /* a token may be a space itself, but none is empty */
        const char *space = m.len > 2 ? memchr(m.data + 1, ' ', m.len - 2) : NULL;
        int32_t left = -1, right = -1, id = -1;
        if (space) {
            const size_t n = (size_t)(space - m.data);
            joined.len = 0;
            pare_str_append_n(&joined, m.data, n);
            pare_str_append_n(&joined, space + 1, m.len - n - 1);
            if (joined.failed) {
                rc = pare_error_nomem(err, m.len);
                goto out;
            }
            left = pare_vocab_find(&t->vocab, m.data, n);
            right = pare_vocab_find(&t->vocab, space + 1, m.len - n - 1);
            id = pare_vocab_find(&t->vocab, joined.data, joined.len);
        }
        if (left < 0 || right < 0 || id < 0) {
            rc = pare_error_set(err, PARE_INVALID, "merge %zu of the vocabulary is broken", i);
            pare_error_detail(err, "'%.*s' are not two tokens that make a third",
                              (int)PARE_MIN(m.len, 100), m.data);
            goto out;
        }
        PARE_TRY(pare_bpe_add_merge(&t->bpe, left, right, (uint32_t)i, id, err));
    }
out:
    pare_str_free(&joined);
    return rc;
}

/* Byte-level BPE. */
static int gpt2(struct pare_tokenizer *t, const struct pare_vocab_spec *spec,
                struct pare_error *err)
{
    const char *name = spec->pre ? spec->pre : "default";
    const struct pare_gguf_pre *pre = pare_gguf_pre(name);
    struct pare_pretokenize_step *s;
    struct pare_decode_step *d;
    int rc;
    if (!pre) {
        pare_error_set(err, PARE_UNSUPPORTED, "the pre-tokenizer '%.60s' is not known", name);
        pare_error_hint(err, "use the model's tokenizer.json");
        return PARE_UNSUPPORTED;
    }
    t->model = PARE_MODEL_BPE;
    t->bpe.ignore_merges = pre->ignore_merges;
    t->bpe.unk_parts = true;
    for (size_t i = 0; i < PARE_PRE_REGEXES && pre->regexes[i]; i++)
        PARE_TRY(add_regex(t, pre->regexes[i], err));
    PARE_TRY((s = pare_add_pretokenize(t)) ? PARE_OK : pare_error_nomem(err, 0));
    s->kind = PARE_PRETOKENIZE_BYTES;
    PARE_TRY((d = pare_add_decode(t)) ? PARE_OK : pare_error_nomem(err, 0));
    d->kind = PARE_DECODE_BYTES;
    PARE_TRY(add_merges(t, spec, err));
out:
    return rc;
}

/* Spaces as SentencePiece writes them, one more in front of each text. */
static int sentencepiece(struct pare_tokenizer *t, bool prefix, struct pare_error *err)
{
    struct pare_normalize_step *s = pare_add_normalize(t);
    struct pare_decode_step *d;
    int rc = s ? PARE_OK : pare_error_nomem(err, 0);
    PARE_TRY(rc);
    s->kind = PARE_NORMALIZE_REPLACE;
    s->pattern = literal(" ");
    s->content = literal(MARK);
    if (prefix) {
        PARE_TRY((s = pare_add_normalize(t)) ? PARE_OK : pare_error_nomem(err, 0));
        s->kind = PARE_NORMALIZE_PREPEND;
        s->content = literal(MARK);
    }
    const struct pare_decode_step steps[] = {
        {.kind = PARE_DECODE_REPLACE, .pattern = literal(MARK), .content = literal(" ")},
        {.kind = PARE_DECODE_BYTE_FALLBACK},
        {.kind = PARE_DECODE_FUSE},
        {.kind = PARE_DECODE_STRIP, .pattern = literal(" "), .start = 1}};
    for (size_t i = 0; i < PARE_COUNT(steps) - !prefix; i++) {
        PARE_TRY((d = pare_add_decode(t)) ? PARE_OK : pare_error_nomem(err, 0));
        *d = steps[i];
    }
out:
    return rc;
}

static int llama(struct pare_tokenizer *t, const struct pare_vocab_spec *spec,
                 struct pare_error *err)
{
    t->model = PARE_MODEL_BPE;
    t->bpe.by_score = true;
    t->bpe.unk = spec->special[PARE_SPECIAL_UNK];
    return sentencepiece(t, spec->add_space_prefix, err);
}

static int squeeze(struct pare_tokenizer *t, const char *pattern, struct pare_bytes content,
                   struct pare_error *err)
{
    struct pare_normalize_step *s = pare_add_normalize(t);
    if (!s)
        return pare_error_nomem(err, 0);
    s->kind = PARE_NORMALIZE_REPLACE;
    s->content = content;
    return pare_regex_compile(pattern, strlen(pattern), &s->regex, err);
}

static int t5(struct pare_tokenizer *t, const struct pare_vocab_spec *spec, struct pare_error *err)
{
    struct pare_normalize_step *s;
    int rc = PARE_OK;
    t->model = PARE_MODEL_UNIGRAM;
    t->unigram.unk = spec->special[PARE_SPECIAL_UNK];
    if (spec->charsmap && spec->charsmap_size > 0) {
        const struct pare_bytes blob = pare_keep_bytes(t, spec->charsmap, spec->charsmap_size);
        uint32_t *units = pare_pool_alloc(&t->pool, spec->charsmap_size / 4 + 1, sizeof *units);
        s = pare_add_normalize(t);
        if (!blob.data || !units || !s) {
            rc = pare_error_nomem(err, spec->charsmap_size);
            goto out;
        }
        s->kind = PARE_NORMALIZE_CHARSMAP;
        s->map.longest = true;
        PARE_TRY(pare_charsmap_parse(blob.data, blob.len, units, &s->map, err));
    }
    if (spec->remove_extra_spaces) {
        PARE_TRY(squeeze(t, "\\A +|[ " MARK "]+\\z", literal(""), err));
        PARE_TRY(squeeze(t, " {2,}", literal(" "), err));
    }
    PARE_TRY(sentencepiece(t, spec->add_space_prefix, err));
out:
    return rc;
}

static int bert(struct pare_tokenizer *t, const struct pare_vocab_spec *spec,
                struct pare_error *err)
{
    static const enum pare_split_by by[] = {PARE_SPLIT_SPACE, PARE_SPLIT_PUNCTUATION};
    struct pare_normalize_step *n = pare_add_normalize(t);
    struct pare_decode_step *d = pare_add_decode(t);
    if (!n || !d)
        return pare_error_nomem(err, 0);
    t->model = PARE_MODEL_WORDPIECE;
    t->wordpiece.prefix = literal("##");
    t->wordpiece.unk = spec->special[PARE_SPECIAL_UNK];
    t->wordpiece.longest = SIZE_MAX;
    *n = (struct pare_normalize_step){.kind = PARE_NORMALIZE_BERT,
                                      .clean = true,
                                      .ideographs = true,
                                      .no_accents = spec->strip_accents,
                                      .lowercase = spec->lowercase};
    *d = (struct pare_decode_step){
        .kind = PARE_DECODE_WORDPIECE, .pattern = literal("##"), .cleanup = true};
    for (size_t i = 0; i < PARE_COUNT(by); i++) {
        struct pare_pretokenize_step *s = pare_add_pretokenize(t);
        if (!s)
            return pare_error_nomem(err, 0);
        s->kind = PARE_PRETOKENIZE_SPLIT;
        s->by = by[i];
        s->behavior = i == 0 ? PARE_SPLIT_REMOVED : PARE_SPLIT_ISOLATED;
    }
    return PARE_OK;
}

/* What goes around one text; for two, the same around each, but that BERT's second has no CLS. */
static int around(struct pare_tokenizer *t, int32_t before, int32_t after, bool bert_pair,
                  struct pare_error *err)
{
    struct pare_template_item *items = pare_pool_alloc(&t->pool, 6, sizeof *items);
    size_t n = 0;
    if (!items)
        return pare_error_nomem(err, 0);
    for (uint8_t i = 0; i < 2; i++) {
        if (before >= 0 && !(i == 1 && bert_pair))
            items[n++] = (struct pare_template_item){PARE_TEMPLATE_TOKEN, before, i};
        items[n++] = (struct pare_template_item){i == 0 ? PARE_TEMPLATE_A : PARE_TEMPLATE_B, -1, i};
        if (after >= 0)
            items[n++] = (struct pare_template_item){PARE_TEMPLATE_TOKEN, after, i};
        if (i == 0)
            t->one = (struct pare_template){items, n};
    }
    t->two = (struct pare_template){items, n};
    return PARE_OK;
}

int pare_tokenizer_from_vocab(const struct pare_vocab_spec *spec, struct pare_tokenizer **out,
                              struct pare_error *err)
{
    static const struct {
        const char *name;
        int (*fill)(struct pare_tokenizer *, const struct pare_vocab_spec *, struct pare_error *);
        bool add_bos, add_eos;
    } models[] = {{"gpt2", gpt2, false, false},
                  {"llama", llama, true, false},
                  {"bert", bert, true, true},
                  {"t5", t5, false, true}};
    struct pare_tokenizer *t = NULL;
    size_t m = 0;
    int rc;
    *out = NULL;
    while (m < PARE_COUNT(models) && strcmp(models[m].name, spec->model) != 0)
        m++;
    if (m == PARE_COUNT(models)) {
        pare_error_set(err, PARE_UNSUPPORTED, "the tokenizer '%.60s' is not known", spec->model);
        pare_error_hint(err, "GGUF tokenizers that are: gpt2, llama, bert, t5");
        return PARE_UNSUPPORTED;
    }
    if (!(t = pare_tokenizer_new()))
        return pare_error_nomem(err, sizeof *t);
    const bool is_bert = models[m].fill == bert;
    for (size_t i = 0; i < spec->n_tokens; i++)
        PARE_TRY(add_token(t, spec, i, is_bert, err));
    for (int i = 0; i < PARE_SPECIAL_COUNT; i++) {
        const int32_t id = spec->special[i];
        if (id >= 0 && (size_t)id >= spec->n_tokens) {
            rc = pare_error_set(err, PARE_INVALID, "a special token has the id %d, of %zu tokens",
                                id, spec->n_tokens);
            goto out;
        }
        t->special[i] = id;
    }
    PARE_TRY(models[m].fill(t, spec, err));
    const struct pare_gguf_pre *pre =
        models[m].fill == gpt2 ? pare_gguf_pre(spec->pre ? spec->pre : "default") : NULL;
    const bool bos =
        spec->add_bos >= 0 ? spec->add_bos : models[m].add_bos || (pre && pre->add_bos);
    const bool eos = spec->add_eos >= 0 ? spec->add_eos : models[m].add_eos;
    const int32_t *ids = spec->special;
    PARE_TRY(around(t, !bos ? -1 : ids[is_bert ? PARE_SPECIAL_CLS : PARE_SPECIAL_BOS],
                    !(eos || is_bert) ? -1 : ids[is_bert ? PARE_SPECIAL_SEP : PARE_SPECIAL_EOS],
                    is_bert, err));
    PARE_TRY(pare_tokenizer_finish(t, err));
    *out = t;
    t = NULL;
out:
    pare_tokenizer_free(t);
    return rc;
}
