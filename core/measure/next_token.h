/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_NEXT_TOKEN_H
#define PARE_MEASURE_NEXT_TOKEN_H

#include <stdbool.h>

#include "engine/text.h"

/* A language model that reads one text at a time, part by part, and gives the logits of the tokens
 * that follow. Zero-initialise. One thread at a time. */
struct pare_next {
    struct pare_graph *graph;
    struct pare_plan *plan;
    struct pare_cache *cache; /* of one text */
    float *logits;            /* of one part: part * vocabulary */
    uint32_t vocabulary;
    uint32_t part; /* tokens that are read at once, at most */
};

/* For texts of at most `context` tokens. PARE_INVALID: more than the model reads, a model that does
 * not predict the next token. Released with pare_next_close(). */
int pare_next_open(const struct pare_graph *graph, uint32_t context, uint32_t threads,
                   struct pare_next *out, struct pare_error *err);
void pare_next_close(struct pare_next *next);

/* Read on: n tokens, at most `part`. `all`: logits of each, else of the last. */
int pare_next_read(struct pare_next *next, const int32_t *ids, uint32_t n, bool all,
                   struct pare_error *err);

#endif
