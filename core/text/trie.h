/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_TRIE_H
#define PARE_TEXT_TRIE_H

#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "text/tokenizer.h"

/* A trie of byte strings. The children of a node lie one after another, sorted by their byte, so
 * that a step is a binary search. Built once, then const in any number of threads. */
struct pare_trie_node {
    uint32_t child; /* the first of them */
    uint16_t n_children;
    uint8_t byte;
    int32_t value; /* of the string that ends here, -1: none */
};

struct pare_trie {
    struct pare_trie_node *nodes; /* the first is the root; NULL: no strings */
    size_t n;
};

struct pare_trie_entry {
    struct pare_bytes key;
    int32_t value;
};

/* Of `n` entries, which get sorted; empty keys are left out, of equal keys the lowest value stays.
 * The nodes belong to `pool`. PARE_NOMEM. */
int pare_trie_build(struct pare_trie_entry *entries, size_t n, struct pare_pool *pool,
                    struct pare_trie *out, struct pare_error *err);

/* The child of `node` for one byte, NULL when there is none. */
const struct pare_trie_node *pare_trie_step(const struct pare_trie *trie,
                                            const struct pare_trie_node *node, uint8_t byte);

/* The longest string of the trie at the start of `text`: its value, -1 when there is none. */
int32_t pare_trie_longest(const struct pare_trie *trie, const char *text, size_t n, size_t *len);

#endif
