/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_ENGINE_TEXT_H
#define PARE_ENGINE_TEXT_H

#include "engine/plan.h"

/* Reading texts of any length, in parts, several at once, keeping what later tokens look back at.
 * Results depend neither on the parts nor on what else is read. */

/* The keys and values that causal attention looks back at, for several texts. Belongs to the plan
 * that it was made for. One thread at a time. */
struct pare_cache;

/* Room for `texts` texts of at most `context` tokens (at most the plan's own). Release before the
 * plan with pare_cache_free(). PARE_INVALID: more than the plan's context. */
int pare_cache_new(const struct pare_plan *plan, uint32_t texts, uint32_t context,
                   struct pare_cache **out, struct pare_error *err);
void pare_cache_free(struct pare_cache *cache);
/* Tokens of text number `text` that were read. */
uint32_t pare_cache_length(const struct pare_cache *cache, uint32_t text);
/* Forget all but the first `length` tokens of a text. */
void pare_cache_cut(struct pare_cache *cache, uint32_t text, uint32_t length);
uint64_t pare_cache_bytes(const struct pare_cache *cache);

struct pare_text {
    const int32_t *ids; /* n >= 1 tokens that go on from what the cache holds */
    uint32_t n;
    uint32_t text; /* number in the cache */
    bool all;      /* outputs for every token, else for the last */
};

/* What logits say of the next token, by the best kernels of this CPU: the log of the sum of their
 * exponentials (less it, a logit is a log probability) and the highest one; and how far one
 * distribution is from another, in nats (see struct pare_kernels). Any thread. */
float pare_logits_sum(const float *logits, uint32_t n, uint32_t *top);
float pare_logits_divergence(const float *from, float from_sum, const float *to, float to_sum,
                             uint32_t n);

/* Read on in n texts. Without a cache (NULL) each is a whole text of at most the graph's length.
 * `out`: the outputs, one after the other (pare_graph: width of the output), for every text those
 * of its tokens or of the last; one per text where the graph pools. Errors: PARE_INVALID: an image
 * model, an id out of the vocabulary, a text longer than its room (nothing is read then);
 * PARE_FAILED: an output that is not finite. */
int pare_plan_read(struct pare_plan *plan, struct pare_cache *cache, const struct pare_text *texts,
                   uint32_t n, float *out, struct pare_error *err);

#endif
