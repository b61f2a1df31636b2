/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_CHARSMAP_H
#define PARE_TEXT_CHARSMAP_H

#include "text/tokenizer.h"

/* SentencePiece's compiled normalizer: the bytes of a double-array trie (darts-clone), then the
 * replacements it points to, each ended by a NUL. It belongs to whoever made it. */
struct pare_charsmap {
    const uint32_t *units;
    size_t n_units;
    struct pare_bytes text;
    bool longest; /* look up as SentencePiece does */
};

/* `blob`: the size of the trie as a little-endian number of four bytes, the trie, the replacements.
 * `units` receives the trie; it holds at least size / 4 numbers. PARE_INVALID. */
int pare_charsmap_parse(const void *blob, size_t size, uint32_t *units, struct pare_charsmap *out,
                        struct pare_error *err);

/* Append `text`, which is UTF-8, normalized. SentencePiece replaces the longest entry that begins
 * at a place. Hugging Face's reference looks up a grapheme of fewer than six bytes as a whole,
 * others by character, and replaces the part by the shortest entry that it begins with. */
void pare_charsmap_apply(const struct pare_charsmap *map, const char *text, size_t n,
                         struct pare_str *out);

#endif
