/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_UNIGRAM_H
#define PARE_TEXT_UNIGRAM_H

#include "text/trie.h"
#include "text/vocab.h"

/* The unigram language model (Kudo 2018): of all ways to write a text as tokens, the one whose
 * scores, log probabilities, have the greatest sum (Viterbi). */
struct pare_unigram {
    struct pare_trie trie;
    double unk_score; /* of a character that is no token */
    int32_t unk;      /* -1: none */
    bool byte_fallback;
    int32_t bytes[256]; /* of <0x00> to <0xFF>, -1: none */
};

/* Index the model's tokens of `v`, whose scores are set; those that are special by now are never
 * found in text. */
int pare_unigram_build(struct pare_unigram *u, const struct pare_vocab *v, struct pare_pool *pool,
                       struct pare_error *err);

/* One thread's scratch: the best way to each byte. Zero-initialise; free() its array. */
struct pare_unigram_work {
    struct pare_unigram_node *best;
    size_t cap;
};

/* Append the ids of one piece of text, which is UTF-8 and shorter than 4 GB. PARE_NOMEM;
 * PARE_INVALID: a character is unknown and there is no token for that. */
int pare_unigram_piece(const struct pare_unigram *u, const struct pare_vocab *v,
                       struct pare_unigram_work *w, const char *text, size_t n,
                       struct pare_ids *out, struct pare_error *err);

#endif
