/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_SEQUENCES_H
#define PARE_MEASURE_SEQUENCES_H

#include "base/hash.h"
#include "measure/records.h"
#include "text/tokenizer.h"

/* Labelled texts as one model reads them: one or more token sequences per sample, each of its own
 * length. Of a class: the text, or both of a pair as one. Of similarity: each of the two. Of
 * choices: each choice behind what comes before it. Any thread may read once they are made. */
struct pare_sequences;

/* A text longer than `context` tokens is cut as transformers does it, at its end (of a pair: at the
 * longer one's); what comes before a choice is cut as lm-evaluation-harness does it, at its
 * beginning. `note` tells how many were. PARE_INVALID, with the line: a choice that does not fit,
 * a text without tokens. `path` is for messages. Released with pare_sequences_free(). */
int pare_sequences_new(const struct pare_records *records, const char *path,
                       const struct pare_tokenizer *tokenizer, uint32_t context,
                       struct pare_sequences **out, char note[PARE_DATA_NOTE],
                       struct pare_error *err);
void pare_sequences_free(struct pare_sequences *s);

struct pare_sequence {
    const int32_t *ids;
    uint32_t n;     /* at most the context; of a choice one more, for its last is not read */
    uint32_t first; /* of a choice: its tokens are first .. n - 1, and first is not 0 */
    uint32_t bytes; /* of a choice: of its text as it was written */
};
uint32_t pare_sequences_parts(const struct pare_sequences *s, uint32_t sample);
struct pare_sequence pare_sequences_part(const struct pare_sequences *s, uint32_t sample,
                                         uint32_t part);
uint32_t pare_sequences_longest(const struct pare_sequences *s); /* tokens that are read at once */

/* Add one sample to a hash: its ids and how they are divided. */
void pare_sequences_hash(const struct pare_sequences *s, uint32_t sample, struct pare_hash *hash);

#endif
