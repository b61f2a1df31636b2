/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_NORMALIZE_H
#define PARE_TEXT_NORMALIZE_H

#include "text/charsmap.h"
#include "text/regex.h"
#include "text/tokenizer.h"

/* One step of normalization, with the names of tokenizer.json. A Sequence is its steps in order. */
enum pare_normalize_kind {
    PARE_NORMALIZE_NFC,
    PARE_NORMALIZE_NFD,
    PARE_NORMALIZE_NFKC,
    PARE_NORMALIZE_NFKD,
    PARE_NORMALIZE_LOWERCASE,
    PARE_NORMALIZE_STRIP_ACCENTS,
    PARE_NORMALIZE_STRIP,
    PARE_NORMALIZE_REPLACE,
    PARE_NORMALIZE_PREPEND,
    PARE_NORMALIZE_BERT,
    PARE_NORMALIZE_CHARSMAP
};

struct pare_normalize_step {
    enum pare_normalize_kind kind;
    bool left, right;                              /* strip */
    bool clean, ideographs, no_accents, lowercase; /* bert */
    struct pare_bytes pattern;                     /* replace: literal, unless `regex` */
    struct pare_bytes content;                     /* replace, prepend */
    struct pare_regex *regex;                      /* owned by the tokenizer */
    struct pare_charsmap map;
};

/* Normalize `text`, which is UTF-8, into `out` (emptied first); `spare` is scratch. `*first`, when
 * not NULL, says that the text begins where the whole one does, and is cleared when its first
 * character is dropped. Errors: PARE_NOMEM, PARE_FAILED (a regex). Const in the steps, so any
 * number of threads. */
int pare_normalize(const struct pare_normalize_step *steps, size_t n_steps, const char *text,
                   size_t n, struct pare_str *out, struct pare_str *spare, bool *first,
                   struct pare_error *err);

/* Append `text` with every match replaced: for normalizers and decoders. */
int pare_replace(const struct pare_regex *regex, struct pare_bytes pattern,
                 struct pare_bytes content, const char *text, size_t n, struct pare_str *out,
                 struct pare_error *err);

#endif
