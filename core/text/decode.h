/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_DECODE_H
#define PARE_TEXT_DECODE_H

#include "text/regex.h"
#include "text/tokenizer.h"

/* One step from tokens to text, with the names of tokenizer.json. A Sequence is its steps in order;
 * each makes a list of texts from a list of texts, and in the end they are joined. */
enum pare_decode_kind {
    PARE_DECODE_BYTES,         /* ByteLevel */
    PARE_DECODE_METASPACE,     /* `pattern` is a space; `strip`: the first token's is dropped */
    PARE_DECODE_WORDPIECE,     /* `pattern` glues; `cleanup`: no spaces before signs */
    PARE_DECODE_BYTE_FALLBACK, /* <0x0A> is a byte */
    PARE_DECODE_FUSE,
    PARE_DECODE_STRIP, /* `pattern`, so often at the ends */
    PARE_DECODE_REPLACE
};

struct pare_decode_step {
    enum pare_decode_kind kind;
    bool strip, cleanup;
    size_t start, stop;
    struct pare_bytes pattern, content;
    struct pare_regex *regex; /* replace; owned by the tokenizer */
};

/* Append the text of `n` tokens. With `middle` they are a part of a longer text: what only happens
 * at its ends does not, and bytes that are no UTF-8 stay as they are. Errors: PARE_NOMEM,
 * PARE_FAILED (a regex). */
int pare_decode(const struct pare_decode_step *steps, size_t n_steps,
                const struct pare_bytes *tokens, size_t n, bool middle, struct pare_str *out,
                struct pare_error *err);

#endif
