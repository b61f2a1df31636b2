/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_ADDED_H
#define PARE_TEXT_ADDED_H

#include "text/trie.h"

/* Tokens that are found in the text before anything else is done to it. */
struct pare_added {
    int32_t id;
    struct pare_bytes text;
    bool special;
    bool lstrip, rstrip; /* takes the blanks before, after with it */
    bool single_word;    /* only between characters that are not of a word */
    bool normalized;     /* is looked for in normalized text, and normalized itself */
};

struct pare_added_set {
    struct pare_trie trie; /* values are places in `tokens` */
    const struct pare_added *tokens;
    bool lead[256]; /* bytes that one begins with */
};

/* Those of `tokens` that are normalized, or are not; `text` has what to look for in each. */
int pare_added_build(struct pare_added_set *set, const struct pare_added *tokens, size_t n,
                     bool normalized, const struct pare_bytes *text, struct pare_pool *pool,
                     struct pare_error *err);

/* How far a text was searched, and a stretch that is known to be blank. */
struct pare_added_cursor {
    size_t from, blank, blank_end;
};

/* The next token that begins at or after the cursor: the leftmost, of those the longest. False:
 * none.
 * [*start, *end) is what it takes of the text, of which all before `done` is spoken for; the
 * cursor is then where to go on: behind the token, not behind the blanks that it takes along,
 * because the reference finds tokens in those, too. With `plain`, special tokens are text. */
bool pare_added_next(const struct pare_added_set *set, const char *text, size_t n, bool plain,
                     size_t done, struct pare_added_cursor *cursor, size_t *start, size_t *end,
                     int32_t *id);

#endif
