/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.json (https://github.com/huggingface/tokenizers) from the vocabulary of a GGUF file. */
#include "text/vocab_json.h"

#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"
#include "text/gguf_pre.h"
#include "text/tokenizer_parts.h"
#include "text/utf8.h"

#define MARK "\xE2\x96\x81" /* U+2581, SentencePiece's space */

struct writer {
    const struct pare_vocab_spec *spec;
    struct pare_tokenizer *t; /* made from it: texts as Hugging Face writes them, templates */
    json_t *out;              /* tokenizer.json */
    struct pare_error *err;
};

static json_t *text_of(struct pare_bytes text)
{
    return json_stringn(text.data, text.len);
}

static json_t *token_text(const struct writer *w, int32_t id)
{
    return text_of(pare_tokenizer_token(w->t, id));
}

/* Put a part of tokenizer.json in place, which takes it over. */
static int put(struct writer *w, const char *key, json_t *part)
{
    return json_object_set_new(w->out, key, part) == 0 ? PARE_OK : pare_error_nomem(w->err, 0);
}

static json_t *sequence(const char *of, json_t *steps)
{
    return json_pack("{s:s, s:o}", "type", "Sequence", of, steps);
}

static json_t *replace(const char *kind, const char *pattern, const char *content)
{
    return json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", kind, pattern, "content",
                     content);
}

/* ---- models
 * ------------------------------------------------------------------------------------- */

static json_t *vocabulary(const struct writer *w)
{
    json_t *vocab = json_object();
    for (size_t i = 0; i < w->spec->n_tokens; i++) {
        const struct pare_bytes text = pare_tokenizer_token(w->t, (int32_t)i);
        if (text.data)
            json_object_setn_new(vocab, text.data, text.len, json_integer((json_int_t)i));
    }
    return vocab;
}

static json_t *bpe(json_t *vocab, json_t *merges, bool bytes, json_t *unk, bool ignore_merges)
{
    return json_pack("{s:s, s:n, s:o, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                     "unk_token", unk, "continuing_subword_prefix", "end_of_word_suffix",
                     "fuse_unk", bytes, "byte_fallback", bytes, "ignore_merges", ignore_merges,
                     "vocab", vocab, "merges", merges);
}

static json_t *byte_level(bool regex)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", regex,
                     "trim_offsets", 1, "use_regex", regex);
}

static int gpt2(struct writer *w)
{
    const struct pare_vocab_spec *spec = w->spec;
    const struct pare_gguf_pre *pre = pare_gguf_pre(spec->pre ? spec->pre : "default");
    json_t *steps = json_array(), *merges = json_array();
    int rc;
    for (size_t i = 0; i < PARE_PRE_REGEXES && pre->regexes[i]; i++)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split",
                                               "pattern", "Regex", pre->regexes[i], "behavior",
                                               "Isolated", "invert", 0));
    json_array_append_new(steps, byte_level(false));
    for (size_t i = 0; i < spec->n_merges; i++) {
        const struct pare_bytes m = spec->merges[i];
        const char *space = memchr(m.data + 1, ' ', m.len - 2);
        const struct pare_bytes left = {m.data, (size_t)(space - m.data)};
        const struct pare_bytes right = {space + 1, m.len - left.len - 1};
        json_array_append_new(merges, json_pack("[o, o]", text_of(left), text_of(right)));
    }
    PARE_TRY(put(w, "pre_tokenizer", sequence("pretokenizers", steps)));
    PARE_TRY(put(w, "decoder", byte_level(true)));
    PARE_TRY(
        put(w, "model", bpe(vocabulary(w), merges, false, json_null(), w->t->bpe.ignore_merges)));
out:
    return rc;
}

/* Two tokens that make a third. */
struct merge {
    double score; /* of the third */
    int32_t id, left, right;
};

static int by_score(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->id != y->id       ? (x->id > y->id) - (x->id < y->id)
           : x->left != y->left ? (x->left > y->left) - (x->left < y->left)
                                : (x->right > y->right) - (x->right < y->right);
}

/* All pairs of tokens that make a token, the one of highest score first, as SentencePiece merges
 * what makes that. */
static int merges_by_score(const struct writer *w, json_t *out)
{
    const struct pare_vocab *v = &w->t->vocab;
    struct merge *all = NULL;
    size_t n = 0, cap = 0;
    int rc = PARE_OK;
    for (size_t i = 0; i < w->spec->n_tokens; i++) {
        const struct pare_bytes text = v->tokens[i].text;
        for (size_t cut = 1; cut < text.len; cut++) {
            if (((uint8_t)text.data[cut] & 0xC0) == 0x80)
                continue;
            const int32_t left = pare_vocab_find(v, text.data, cut);
            const int32_t right = pare_vocab_find(v, text.data + cut, text.len - cut);
            if (left < 0 || right < 0)
                continue;
            if (!pare_grow(&all, &cap, n + 1, sizeof *all)) {
                rc = pare_error_nomem(w->err, 0);
                goto out;
            }
            all[n++] = (struct merge){v->tokens[i].score, (int32_t)i, left, right};
        }
    }
    if (n > 0)
        qsort(all, n, sizeof *all, by_score);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            out, json_pack("[o, o]", token_text(w, all[i].left), token_text(w, all[i].right)));
out:
    free(all);
    return rc;
}

static int llama(struct writer *w)
{
    const bool prefix = w->spec->add_space_prefix;
    const int32_t unk = w->spec->special[PARE_SPECIAL_UNK];
    json_t *normal = json_array(), *decode = json_array(), *merges = json_array();
    int rc;
    if (prefix)
        json_array_append_new(normal, json_pack("{s:s, s:s}", "type", "Prepend", "prepend", MARK));
    json_array_append_new(normal, replace("String", " ", MARK));
    json_array_append_new(decode, replace("String", MARK, " "));
    json_array_append_new(decode, json_pack("{s:s}", "type", "ByteFallback"));
    json_array_append_new(decode, json_pack("{s:s}", "type", "Fuse"));
    if (prefix)
        json_array_append_new(decode, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content",
                                                " ", "start", 1, "stop", 0));
    PARE_TRY(put(w, "normalizer", sequence("normalizers", normal)));
    PARE_TRY(put(w, "decoder", sequence("decoders", decode)));
    PARE_TRY(put(w, "model",
                 bpe(vocabulary(w), json_incref(merges), true,
                     unk >= 0 ? token_text(w, unk) : json_null(), false)));
    PARE_TRY(merges_by_score(w, merges));
out:
    json_decref(merges);
    return rc;
}

static json_t *metaspace(bool prefix)
{
    return json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", MARK,
                     "prepend_scheme", prefix ? "always" : "never", "split", 0);
}

static json_t *charsmap(const struct pare_vocab_spec *spec)
{
    const size_t len = BASE64_ENCODE_RAW_LENGTH(spec->charsmap_size);
    char *text = pare_alloc(len + 1, 1);
    if (!text)
        return NULL;
    base64_encode_raw(text, spec->charsmap_size, spec->charsmap);
    json_t *step =
        json_pack("{s:s, s:s#}", "type", "Precompiled", "precompiled_charsmap", text, (int)len);
    free(text);
    return step;
}

static int t5(struct writer *w)
{
    const struct pare_vocab_spec *spec = w->spec;
    json_t *normal = json_array(), *vocab = json_array();
    int rc;
    if (spec->charsmap && spec->charsmap_size > 0)
        json_array_append_new(normal, charsmap(spec));
    if (spec->remove_extra_spaces) {
        json_array_append_new(normal, replace("Regex", "\\A +|[ " MARK "]+\\z", ""));
        json_array_append_new(normal, replace("Regex", " {2,}", " "));
    }
    for (size_t i = 0; i < spec->n_tokens; i++)
        json_array_append_new(
            vocab, json_pack("[o, f]", token_text(w, (int32_t)i), w->t->vocab.tokens[i].score));
    PARE_TRY(put(w, "normalizer", sequence("normalizers", normal)));
    PARE_TRY(put(w, "pre_tokenizer", metaspace(spec->add_space_prefix)));
    PARE_TRY(put(w, "decoder", metaspace(spec->add_space_prefix)));
    const int32_t unk = spec->special[PARE_SPECIAL_UNK];
    PARE_TRY(put(w, "model",
                 json_pack("{s:s, s:o, s:o, s:b}", "type", "Unigram", "unk_id",
                           unk >= 0 ? json_integer(unk) : json_null(), "vocab", vocab,
                           "byte_fallback", 0)));
out:
    return rc;
}

static int bert(struct writer *w)
{
    const struct pare_vocab_spec *spec = w->spec;
    const int32_t unk = spec->special[PARE_SPECIAL_UNK];
    int rc;
    PARE_TRY(put(w, "normalizer",
                 json_pack("{s:s, s:b, s:b, s:b, s:b}", "type", "BertNormalizer", "clean_text", 1,
                           "handle_chinese_chars", 1, "strip_accents", spec->strip_accents,
                           "lowercase", spec->lowercase)));
    PARE_TRY(put(w, "pre_tokenizer", json_pack("{s:s}", "type", "BertPreTokenizer")));
    PARE_TRY(put(w, "decoder",
                 json_pack("{s:s, s:s, s:b}", "type", "WordPiece", "prefix", "##", "cleanup", 1)));
    PARE_TRY(put(w, "model",
                 json_pack("{s:s, s:o, s:s, s:i, s:o}", "type", "WordPiece", "unk_token",
                           unk >= 0 ? token_text(w, unk) : json_string("[UNK]"),
                           "continuing_subword_prefix", "##", "max_input_chars_per_word", 100,
                           "vocab", vocabulary(w))));
out:
    return rc;
}

/* ---- what they have in common
 * ------------------------------------------------------------------- */

static int put_added(struct writer *w)
{
    json_t *list = json_array();
    for (size_t i = 0; i < w->t->n_added; i++) {
        const struct pare_added *a = &w->t->added[i];
        json_array_append_new(list,
                              json_pack("{s:i, s:o, s:b, s:b, s:b, s:b, s:b}", "id", (int)a->id,
                                        "content", text_of(a->text), "single_word", 0, "lstrip", 0,
                                        "rstrip", 0, "normalized", 0, "special", a->special));
    }
    return put(w, "added_tokens", list);
}

static json_t *template_items(const struct writer *w, const struct pare_template *t,
                              json_t *specials)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->n; i++) {
        const struct pare_template_item *item = &t->items[i];
        const bool token = item->what == PARE_TEMPLATE_TOKEN;
        json_t *id = token ? token_text(w, item->id)
                           : json_string(item->what == PARE_TEMPLATE_A ? "A" : "B");
        json_array_append_new(list, json_pack("{s:{s:O, s:i}}", token ? "SpecialToken" : "Sequence",
                                              "id", id, "type_id", (int)item->type));
        if (token)
            json_object_set_new(
                specials, json_string_value(id),
                json_pack("{s:O, s:[i], s:[O]}", "id", id, "ids", (int)item->id, "tokens", id));
        json_decref(id);
    }
    return list;
}

static int put_template(struct writer *w)
{
    json_t *specials = json_object();
    json_t *one = template_items(w, &w->t->one, specials);
    json_t *two = template_items(w, &w->t->two, specials);
    return put(w, "post_processor",
               json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", one,
                         "pair", two, "special_tokens", specials));
}

static json_t *settings_of(const struct writer *w)
{
    static const char *const names[PARE_SPECIAL_COUNT] = {
        "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"};
    json_t *settings = json_pack("{s:s, s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                                 "clean_up_tokenization_spaces", 0);
    for (int i = 0; i < PARE_SPECIAL_COUNT; i++)
        if (w->spec->special[i] >= 0)
            json_object_set_new(settings, names[i], token_text(w, w->spec->special[i]));
    return settings;
}

/* Texts that JSON can hold. */
static int check_texts(const struct writer *w)
{
    for (size_t i = 0; i < w->spec->n_tokens; i++) {
        const struct pare_bytes text = pare_tokenizer_token(w->t, (int32_t)i);
        if (text.data && pare_utf8_valid(text.data, text.len) < text.len) {
            pare_error_set(w->err, PARE_UNSUPPORTED,
                           "the vocabulary cannot be written as tokenizer.json");
            pare_error_detail(w->err, "token %zu is not UTF-8", i);
            return PARE_UNSUPPORTED;
        }
    }
    return PARE_OK;
}

int pare_vocab_to_json(const struct pare_vocab_spec *spec, json_t **tokenizer, json_t **settings,
                       struct pare_error *err)
{
    static const struct {
        const char *name;
        int (*put)(struct writer *);
    } models[] = {{"gpt2", gpt2}, {"llama", llama}, {"t5", t5}, {"bert", bert}};
    struct writer w = {.spec = spec, .err = err};
    int rc;
    *tokenizer = *settings = NULL;
    PARE_TRY(pare_tokenizer_from_vocab(spec, &w.t, err));
    PARE_TRY(check_texts(&w));
    w.out = json_pack("{s:s, s:n, s:n, s:[], s:n, s:n, s:n, s:n, s:n}", "version", "1.0",
                      "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                      "post_processor", "decoder", "model");
    PARE_TRY(put_added(&w));
    if (w.t->one.n > 1)
        PARE_TRY(put_template(&w));
    for (size_t i = 0; i < PARE_COUNT(models); i++)
        if (strcmp(models[i].name, spec->model) == 0)
            PARE_TRY(models[i].put(&w));
    *settings = settings_of(&w);
    *tokenizer = json_incref(w.out);
out:
    json_decref(w.out);
    pare_tokenizer_free(w.t);
    return rc;
}

struct both {
    json_t **tokenizer, **settings;
};

static int convert(void *user, const struct pare_vocab_spec *spec, struct pare_error *err)
{
    const struct both *b = user;
    return pare_vocab_to_json(spec, b->tokenizer, b->settings, err);
}

int pare_gguf_tokenizer_json(const struct pare_gguf *file, json_t **tokenizer, json_t **settings,
                             struct pare_error *err)
{
    static const char key[] = "tokenizer.chat_template";
    struct pare_gguf_text chat;
    int rc;
    PARE_TRY(pare_gguf_vocab(file, convert, &(struct both){tokenizer, settings}, err));
    if (pare_gguf_find(file, key)) {
        PARE_TRY(pare_gguf_text(file, key, &chat, err));
        json_object_set_new(*settings, "chat_template", json_stringn(chat.data, chat.len));
    }
out:
    return rc;
}
