/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_WORDPIECE_H
#define PARE_TEXT_WORDPIECE_H

#include "text/trie.h"
#include "text/vocab.h"

/* WordPiece (Wu et al. 2016, as in BERT): from left to right the longest token, which within a word
 * begins with a prefix ("##"); a word with a part that is no token is unknown as a whole. */
struct pare_wordpiece {
    struct pare_trie begin, inside; /* the latter without the prefix */
    struct pare_bytes prefix;
    int32_t unk;
    size_t longest; /* words of more characters are unknown */
};

/* Index the model's tokens of `v`. */
int pare_wordpiece_build(struct pare_wordpiece *wp, const struct pare_vocab *v,
                         struct pare_pool *pool, struct pare_error *err);

/* Append the ids of one word, which is UTF-8. PARE_NOMEM; PARE_INVALID: it is unknown and there is
 * no token for that. */
int pare_wordpiece_word(const struct pare_wordpiece *wp, const char *text, size_t n,
                        struct pare_ids *out, struct pare_error *err);

#endif
