/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

/* From how many bytes on words are remembered, so that those that come again cost less. */
#define LONG_TEXT 4096

struct pare_tokenizer *pare_tokenizer_new(void)
{
    struct pare_tokenizer *t = pare_calloc(1, sizeof *t);
    for (int i = 0; t && i < PARE_SPECIAL_COUNT; i++)
        t->special[i] = -1;
    if (t)
        t->bpe.unk = t->unigram.unk = t->wordpiece.unk = -1;
    return t;
}

void pare_tokenizer_free(struct pare_tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_normalize; i++)
        pare_regex_free(t->normalize[i].regex);
    for (size_t i = 0; i < t->n_pretokenize; i++)
        pare_regex_free(t->pretokenize[i].regex);
    for (size_t i = 0; i < t->n_decode; i++)
        pare_regex_free(t->decode[i].regex);
    free(t->normalize);
    free(t->pretokenize);
    free(t->decode);
    free(t->added);
    pare_bpe_free(&t->bpe);
    pare_vocab_free(&t->vocab);
    pare_pool_free(&t->pool);
    free(t);
}

struct pare_normalize_step *pare_add_normalize(struct pare_tokenizer *t)
{
    if (!pare_grow(&t->normalize, &t->normalize_cap, t->n_normalize + 1, sizeof *t->normalize))
        return NULL;
    t->normalize[t->n_normalize] = (struct pare_normalize_step){0};
    return &t->normalize[t->n_normalize++];
}

struct pare_pretokenize_step *pare_add_pretokenize(struct pare_tokenizer *t)
{
    if (!pare_grow(&t->pretokenize, &t->pretokenize_cap, t->n_pretokenize + 1,
                   sizeof *t->pretokenize))
        return NULL;
    t->pretokenize[t->n_pretokenize] = (struct pare_pretokenize_step){0};
    return &t->pretokenize[t->n_pretokenize++];
}

struct pare_decode_step *pare_add_decode(struct pare_tokenizer *t)
{
    if (!pare_grow(&t->decode, &t->decode_cap, t->n_decode + 1, sizeof *t->decode))
        return NULL;
    t->decode[t->n_decode] = (struct pare_decode_step){0};
    return &t->decode[t->n_decode++];
}

struct pare_bytes pare_keep_bytes(struct pare_tokenizer *t, const char *data, size_t len)
{
    char *copy = pare_pool_alloc(&t->pool, len + 1, 1);
    if (copy && len > 0)
        memcpy(copy, data, len);
    return (struct pare_bytes){copy, len};
}

int pare_add_token(struct pare_tokenizer *t, long long id, struct pare_bytes text, double score,
                   struct pare_error *err)
{
    int rc = PARE_OK;
    PARE_TRY(pare_vocab_reach(&t->vocab, id, err));
    struct pare_token *token = &t->vocab.tokens[id];
    if (token->text.data) {
        rc = pare_error_set(err, PARE_INVALID, "two tokens have the id %lld", id);
        pare_error_detail(err, "'%.*s' and '%.*s'", (int)PARE_MIN(token->text.len, 100),
                          token->text.data, (int)PARE_MIN(text.len, 100), text.data);
        goto out;
    }
    token->text = text;
    token->score = score;
    PARE_TRY(pare_vocab_index(&t->vocab, (int32_t)id, err));
out:
    return rc;
}

/* What to look for in normalized text is the normalized token, and that is what the reference
 * decodes it to. */
static int index_added(struct pare_tokenizer *t, struct pare_error *err)
{
    struct pare_bytes *text = pare_alloc(t->n_added, sizeof *text);
    struct pare_str out = {0}, spare = {0};
    int rc = PARE_OK;
    if (!text) {
        rc = pare_error_nomem(err, t->n_added * sizeof *text);
        goto out;
    }
    for (size_t i = 0; i < t->n_added; i++) {
        const struct pare_added *a = &t->added[i];
        text[i] = a->text;
        if (!a->normalized)
            continue;
        PARE_TRY(pare_normalize(t->normalize, t->n_normalize, a->text.data, a->text.len, &out,
                                &spare, NULL, err));
        text[i] = pare_keep_bytes(t, out.data, out.len);
        if (!text[i].data) {
            rc = pare_error_nomem(err, out.len);
            goto out;
        }
        if (out.len > 0)
            t->vocab.tokens[a->id].read = text[i];
    }
    PARE_TRY(pare_added_build(&t->raw, t->added, t->n_added, false, text, &t->pool, err));
    PARE_TRY(pare_added_build(&t->normalized, t->added, t->n_added, true, text, &t->pool, err));
out:
    pare_str_free(&out);
    pare_str_free(&spare);
    free(text);
    return rc;
}

int pare_tokenizer_finish(struct pare_tokenizer *t, struct pare_error *err)
{
    int rc = PARE_OK;
    if (t->model == PARE_MODEL_WORDPIECE)
        PARE_TRY(pare_wordpiece_build(&t->wordpiece, &t->vocab, &t->pool, err));
    if (t->model == PARE_MODEL_UNIGRAM)
        PARE_TRY(pare_unigram_build(&t->unigram, &t->vocab, &t->pool, err));
    pare_find_bytes(&t->vocab, t->model == PARE_MODEL_UNIGRAM ? t->unigram.bytes : t->bpe.bytes);
    for (size_t i = 0; i < t->n_added; i++) {
        struct pare_added *a = &t->added[i];
        PARE_TRY(pare_vocab_reach(&t->vocab, a->id, err));
        struct pare_token *token = &t->vocab.tokens[a->id];
        if (!token->text.data)
            token->text = a->text;
        token->special = token->special || a->special;
    }
    PARE_TRY(index_added(t, err));
out:
    return rc;
}

/* What one call needs. */
struct work {
    const struct pare_tokenizer *t;
    bool plain; /* special tokens in the text are text */
    struct pare_str repaired, normal, spare;
    struct pare_pieces pieces, spare_pieces;
    struct pare_bpe_work bpe;
    struct pare_unigram_work unigram;
    struct pare_error *err;
};

static void work_free(struct work *w)
{
    pare_str_free(&w->repaired);
    pare_str_free(&w->normal);
    pare_str_free(&w->spare);
    pare_pieces_free(&w->pieces);
    pare_pieces_free(&w->spare_pieces);
    pare_bpe_work_free(&w->bpe);
    free(w->unigram.best);
}

/* Normalized text without added tokens. */
static int encode_text(struct work *w, const char *text, size_t n, bool first, struct pare_ids *out)
{
    const struct pare_tokenizer *t = w->t;
    int rc = pare_pretokenize(t->pretokenize, t->n_pretokenize, text, n, first, &w->pieces,
                              &w->spare_pieces, w->err);
    for (size_t i = 0; i < w->pieces.n && rc == PARE_OK; i++) {
        const char *piece = w->pieces.text.data + w->pieces.at[i].start;
        const size_t len = w->pieces.at[i].end - w->pieces.at[i].start;
        if (t->model == PARE_MODEL_BPE)
            rc = pare_bpe_word(&t->bpe, &t->vocab, &w->bpe, piece, len, out, w->err);
        else if (t->model == PARE_MODEL_UNIGRAM)
            rc = pare_unigram_piece(&t->unigram, &t->vocab, &w->unigram, piece, len, out, w->err);
        else
            rc = pare_wordpiece_word(&t->wordpiece, piece, len, out, w->err);
    }
    return rc;
}

/* Text, of which `set` may find tokens; what is between goes to `next`. */
static int divide(struct work *w, const struct pare_added_set *set, const char *text, size_t n,
                  bool first, struct pare_ids *out,
                  int (*next)(struct work *, const char *, size_t, bool, struct pare_ids *))
{
    struct pare_added_cursor cursor = {0};
    size_t done = 0, start, end;
    int32_t id;
    int rc = PARE_OK;
    while (pare_added_next(set, text, n, w->plain, done, &cursor, &start, &end, &id)) {
        if (start > done)
            PARE_TRY(next(w, text + done, start - done, first && done == 0, out));
        PARE_TRY(pare_ids_push(out, id, w->err));
        done = end;
    }
    if (n > done)
        PARE_TRY(next(w, text + done, n - done, first && done == 0, out));
out:
    return rc;
}

static int encode_raw(struct work *w, const char *text, size_t n, bool first, struct pare_ids *out)
{
    const struct pare_tokenizer *t = w->t;
    const int rc = pare_normalize(t->normalize, t->n_normalize, text, n, &w->normal, &w->spare,
                                  &first, w->err);
    if (rc != PARE_OK)
        return rc;
    return divide(w, &t->normalized, w->normal.data ? w->normal.data : "", w->normal.len, first,
                  out, encode_text);
}

static int encode(struct work *w, const char *text, size_t n, struct pare_ids *out)
{
    if (n > PARE_TEXT_MAX / 2) {
        pare_error_set(w->err, PARE_INVALID, "a text of %zu bytes is too long", n);
        pare_error_hint(w->err, "encode it in parts");
        return PARE_INVALID;
    }
    if (n >= LONG_TEXT)
        pare_bpe_remember(&w->bpe);
    if (pare_utf8_valid(text, n) < n) {
        w->repaired.len = 0;
        pare_utf8_repair(text, n, &w->repaired);
        if (w->repaired.failed)
            return pare_error_nomem(w->err, n);
        text = w->repaired.data;
        n = w->repaired.len;
    }
    return divide(w, &w->t->raw, text, n, true, out, encode_raw);
}

int pare_tokenizer_encode_pair(const struct pare_tokenizer *t, const char *a, size_t n_a,
                               const char *b, size_t n_b, unsigned flags, struct pare_ids *out,
                               struct pare_error *err)
{
    struct work w = {.t = t, .plain = flags & PARE_ENCODE_PLAIN, .err = err};
    struct pare_ids ids_a = {0}, ids_b = {0};
    int rc;
    PARE_TRY(encode(&w, a, n_a, &ids_a));
    if (b)
        PARE_TRY(encode(&w, b, n_b, &ids_b));
    PARE_TRY(pare_template_apply(b ? &t->two : &t->one, flags & PARE_ENCODE_ADD, &ids_a,
                                 b ? &ids_b : NULL, out, err));
out:
    work_free(&w);
    pare_ids_free(&ids_a);
    pare_ids_free(&ids_b);
    return rc;
}

int pare_tokenizer_encode(const struct pare_tokenizer *t, const char *text, size_t n,
                          unsigned flags, struct pare_ids *out, struct pare_error *err)
{
    return pare_tokenizer_encode_pair(t, text, n, NULL, 0, flags, out, err);
}

/* A token as the decoder gets it. */
static struct pare_bytes readable(const struct pare_tokenizer *t, int32_t id)
{
    const struct pare_bytes text = pare_tokenizer_token(t, id);
    return text.data && t->vocab.tokens[id].read.data ? t->vocab.tokens[id].read : text;
}

int pare_tokenizer_decode(const struct pare_tokenizer *t, const int32_t *ids, size_t n,
                          bool skip_special, struct pare_str *out, struct pare_error *err)
{
    struct pare_bytes *tokens = pare_alloc(n, sizeof *tokens);
    size_t used = 0;
    if (!tokens)
        return pare_error_nomem(err, n * sizeof *tokens);
    for (size_t i = 0; i < n; i++) {
        const struct pare_bytes token = readable(t, ids[i]);
        if (token.data && !(skip_special && pare_tokenizer_is_special(t, ids[i])))
            tokens[used++] = token;
    }
    const int rc = pare_decode(t->decode, t->n_decode, tokens, used, false, out, err);
    free(tokens);
    return rc;
}

int pare_tokenizer_token_bytes(const struct pare_tokenizer *t, int32_t id, struct pare_str *out,
                               struct pare_error *err)
{
    const struct pare_bytes token = readable(t, id);
    if (!token.data || pare_tokenizer_is_special(t, id))
        return PARE_OK;
    return pare_decode(t->decode, t->n_decode, &token, 1, true, out, err);
}

size_t pare_tokenizer_size(const struct pare_tokenizer *t)
{
    return t->vocab.size;
}

int32_t pare_tokenizer_special(const struct pare_tokenizer *t, enum pare_special which)
{
    return t->special[which];
}

bool pare_tokenizer_is_special(const struct pare_tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->vocab.size && t->vocab.tokens[id].special;
}

struct pare_bytes pare_tokenizer_token(const struct pare_tokenizer *t, int32_t id)
{
    if (id < 0 || (size_t)id >= t->vocab.size)
        return (struct pare_bytes){0};
    return t->vocab.tokens[id].text;
}

int32_t pare_tokenizer_find(const struct pare_tokenizer *t, const char *token, size_t len)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].text.len == len && memcmp(t->added[i].text.data, token, len) == 0)
            return t->added[i].id;
    return pare_vocab_find(&t->vocab, token, len);
}
