/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_VOCAB_H
#define PARE_TEXT_VOCAB_H

#include "base/mem.h"
#include "text/tokenizer.h"

/* The tokens of a tokenizer by id, and the ids of its model's tokens by their text. Built by one
 * thread, then const in any number. */
struct pare_token {
    struct pare_bytes text; /* data NULL: no such id */
    struct pare_bytes read; /* what it decodes to before the decoder; data NULL: its text */
    double score;
    bool special;
};

struct pare_vocab {
    struct pare_token *tokens; /* [size] */
    size_t size, cap;
    int32_t *slots; /* open addressing over the model's tokens; -1: empty */
    size_t mask, n_model;
};

#define PARE_ID_LIMIT (1 << 24) /* ids are below; no vocabulary comes near */

/* Make room for `id`; the tokens between are holes. PARE_INVALID: out of range. */
int pare_vocab_reach(struct pare_vocab *v, long long id, struct pare_error *err);

/* Index the token `id`, which has its text, as one of the model's; of equal texts the later one is
 * found. PARE_NOMEM. */
int pare_vocab_index(struct pare_vocab *v, int32_t id, struct pare_error *err);

/* The id of one of the model's tokens, -1: none. */
int32_t pare_vocab_find(const struct pare_vocab *v, const char *text, size_t n);

void pare_vocab_free(struct pare_vocab *v);

/* Append one id. PARE_NOMEM. */
int pare_ids_push(struct pare_ids *ids, int32_t id, struct pare_error *err);

uint64_t pare_text_hash(const char *text, size_t n);

#endif
