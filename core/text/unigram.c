/* SPDX-License-Identifier: Apache-2.0 */
#include "text/unigram.h"

#include <stdlib.h>

#include "text/utf8.h"

/* How much less likely an unknown character is than the least likely token (SentencePiece). */
#define UNKNOWN 10.0

struct pare_unigram_node {
    double score;   /* of the best way to here */
    uint32_t start; /* of its last token; UINT32_MAX: no way yet */
    int32_t id;     /* of that, -1: unknown */
    uint32_t next;  /* where the token after here ends, on the best way of all */
};

int pare_unigram_build(struct pare_unigram *u, const struct pare_vocab *v, struct pare_pool *pool,
                       struct pare_error *err)
{
    struct pare_trie_entry *entries = pare_alloc(v->size, sizeof *entries);
    double least = 0;
    size_t n = 0;
    if (!entries)
        return pare_error_nomem(err, v->size * sizeof *entries);
    for (size_t i = 0; i < v->size; i++) {
        const struct pare_bytes text = v->tokens[i].text;
        if (!text.data || v->tokens[i].special ||
            pare_vocab_find(v, text.data, text.len) != (int32_t)i)
            continue;
        least = n == 0 || v->tokens[i].score < least ? v->tokens[i].score : least;
        entries[n++] = (struct pare_trie_entry){text, (int32_t)i};
    }
    u->unk_score = least - UNKNOWN;
    const int rc = pare_trie_build(entries, n, pool, &u->trie, err);
    free(entries);
    return rc;
}

static void reach(struct pare_unigram_node *node, double score, size_t start, int32_t id)
{
    if (node->start == UINT32_MAX || score > node->score)
        *node = (struct pare_unigram_node){score, (uint32_t)start, id, 0};
}

/* One stretch of the best way: a token, or unknown characters in a row. */
static int emit(const struct pare_unigram *u, const struct pare_vocab *v, const char *text,
                size_t n, int32_t id, struct pare_ids *out, struct pare_error *err)
{
    int rc = PARE_OK;
    if (id < 0)
        id = pare_vocab_find(v, text, n);
    if (id >= 0)
        return pare_ids_push(out, id, err);
    bool bytes = u->byte_fallback;
    for (size_t i = 0; bytes && i < n; i++)
        bytes = u->bytes[(uint8_t)text[i]] >= 0;
    for (size_t i = 0; bytes && i < n && rc == PARE_OK; i++)
        rc = pare_ids_push(out, u->bytes[(uint8_t)text[i]], err);
    return bytes ? rc : pare_ids_push(out, u->unk, err);
}

int pare_unigram_piece(const struct pare_unigram *u, const struct pare_vocab *v,
                       struct pare_unigram_work *w, const char *text, size_t n,
                       struct pare_ids *out, struct pare_error *err)
{
    if (!pare_grow(&w->best, &w->cap, n + 1, sizeof *w->best))
        return pare_error_nomem(err, n * sizeof *w->best);
    struct pare_unigram_node *best = w->best;
    for (size_t i = 0; i <= n; i++)
        best[i] = (struct pare_unigram_node){0, UINT32_MAX, -1, 0};
    for (size_t i = 0; i < n; i += pare_utf8_len(text[i])) {
        const size_t one = pare_utf8_len(text[i]);
        const struct pare_trie_node *node = u->trie.nodes;
        bool single = false;
        for (size_t k = i; node && k < n; k++) {
            node = pare_trie_step(&u->trie, node, (uint8_t)text[k]);
            if (node && node->value >= 0) {
                reach(&best[k + 1], best[i].score + v->tokens[node->value].score, i,
                      node->value == u->unk ? -1 : node->value);
                single = single || k + 1 - i == one;
            }
        }
        if (!single) {
            if (u->unk < 0)
                return pare_error_set(
                    err, PARE_INVALID,
                    "a character is unknown, and the vocabulary has no token for that");
            reach(&best[i + one], best[i].score + u->unk_score, i, -1);
        }
    }
    for (size_t end = n; end > 0; end = best[end].start)
        best[best[end].start].next = (uint32_t)end;
    int rc = PARE_OK;
    for (size_t i = 0, end; i < n && rc == PARE_OK; i = end) {
        end = best[i].next;
        const int32_t id = best[end].id;
        while (id < 0 && end < n && best[best[end].next].id < 0)
            end = best[end].next;
        rc = emit(u, v, text + i, end - i, id, out, err);
    }
    return rc;
}
