/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_PRETOKENIZE_H
#define PARE_TEXT_PRETOKENIZE_H

#include "text/regex.h"
#include "text/tokenizer.h"

/* One step that cuts text into the pieces which the model sees, with the names of tokenizer.json. A
 * Sequence is its steps in order. */
enum pare_pretokenize_kind {
    PARE_PRETOKENIZE_BYTES,    /* ByteLevel's alphabet; its regex is a Split of its own */
    PARE_PRETOKENIZE_PREFIX,   /* ByteLevel's add_prefix_space */
    PARE_PRETOKENIZE_SPLIT,    /* Split, and all others that cut at characters or matches */
    PARE_PRETOKENIZE_METASPACE /* Metaspace's replacement; its split is a Split of its own */
};

/* What a Split looks for; but for the first two, runs of single characters. */
enum pare_split_by {
    PARE_SPLIT_REGEX,
    PARE_SPLIT_LITERAL,
    PARE_SPLIT_SPACE,
    PARE_SPLIT_NUMBER,
    PARE_SPLIT_PUNCTUATION,
    PARE_SPLIT_WORD /* matches are \w+ and [^\w\s]+ */
};

enum pare_split_behavior {
    PARE_SPLIT_REMOVED,
    PARE_SPLIT_ISOLATED,
    PARE_SPLIT_MERGED_WITH_PREVIOUS,
    PARE_SPLIT_MERGED_WITH_NEXT,
    PARE_SPLIT_CONTIGUOUS
};

enum pare_prepend { PARE_PREPEND_ALWAYS, PARE_PREPEND_FIRST, PARE_PREPEND_NEVER };

struct pare_pretokenize_step {
    enum pare_pretokenize_kind kind;
    enum pare_split_by by;
    enum pare_split_behavior behavior;
    bool invert;
    enum pare_prepend prepend; /* metaspace */
    struct pare_bytes literal; /* split; metaspace: what stands for a space */
    struct pare_regex *regex;  /* owned by the tokenizer */
};

/* Text in pieces. Zero-initialise, reuse, free. */
struct pare_piece {
    size_t start, end;
    bool first; /* begins where the whole text does */
};

struct pare_pieces {
    struct pare_str text;
    struct pare_piece *at;
    size_t n, cap;
};
void pare_pieces_free(struct pare_pieces *p);

/* Cut `text`, which is UTF-8, into `out`; `spare` is scratch. `first`: it begins where the whole
 * text does. Pieces are never empty. Errors: PARE_NOMEM, PARE_FAILED (a regex). Const in the steps,
 * so any number of threads. */
int pare_pretokenize(const struct pare_pretokenize_step *steps, size_t n_steps, const char *text,
                     size_t n, bool first, struct pare_pieces *out, struct pare_pieces *spare,
                     struct pare_error *err);

/* Byte-level alphabets write each byte as a character: itself where it is printable in Latin-1,
 * the others from U+0100 on in their order (GPT-2). The byte of a character is -1 for others. */
uint32_t pare_byte_char(uint8_t byte);
int pare_char_byte(uint32_t c);

/* The pattern of GPT-2, which ByteLevel uses. */
#define PARE_GPT2_PATTERN                                                                          \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

#endif
