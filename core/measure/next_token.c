/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/next_token.h"

#include <stdlib.h>

#include "base/mem.h"
#include "measure/windows.h"

#define TOKENS_PER_PASS 128u

void pare_next_close(struct pare_next *next)
{
    pare_cache_free(next->cache);
    pare_plan_free(next->plan);
    pare_graph_free(next->graph);
    free(next->logits);
    *next = (struct pare_next){0};
}

int pare_next_open(const struct pare_graph *graph, uint32_t context, uint32_t threads,
                   struct pare_next *out, struct pare_error *err)
{
    struct pare_next r = {.part = PARE_MIN(context, TOKENS_PER_PASS)};
    const struct pare_plan_options options = {
        .batch = 1, .threads = threads, .isa = -1, .context = context};
    int rc;
    PARE_TRY(pare_graph_copy(graph, &r.graph, err));
    PARE_TRY(pare_window_check(graph, context, err));
    PARE_TRY(pare_graph_set_length(r.graph, r.part, err));
    if (r.graph->values[r.graph->output].tokens != r.part) {
        rc = pare_error_set(err, PARE_INVALID, "the model does not predict the next token");
        pare_error_hint(err, "what it can be measured on are labelled texts: .jsonl or .tsv");
        goto out;
    }
    PARE_TRY(pare_plan_new(r.graph, &options, &r.plan, err));
    PARE_TRY(pare_cache_new(r.plan, 1, context, &r.cache, err));
    r.vocabulary = r.graph->values[r.graph->output].width;
    r.logits = pare_alloc((size_t)r.part * r.vocabulary, sizeof *r.logits);
    if (!r.logits) {
        rc = pare_error_nomem(err, (uint64_t)r.part * r.vocabulary * sizeof *r.logits);
        goto out;
    }
    *out = r;
    r = (struct pare_next){0};
out:
    pare_next_close(&r);
    return rc;
}

int pare_next_read(struct pare_next *next, const int32_t *ids, uint32_t n, bool all,
                   struct pare_error *err)
{
    const struct pare_text text = {ids, n, 0, all};
    return pare_plan_read(next->plan, next->cache, &text, 1, next->logits, err);
}
