/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/plan_parts.h"

struct pare_cache {
    uint32_t texts, context, capacity;
    size_t bytes;     /* of a text */
    size_t *offsets;  /* per node */
    uint32_t *length; /* per text */
    char *data;
};

void pare_cache_free(struct pare_cache *cache)
{
    if (!cache)
        return;
    free(cache->offsets);
    free(cache->length);
    free(cache->data);
    free(cache);
}

int pare_cache_new(const struct pare_plan *plan, uint32_t texts, uint32_t context,
                   struct pare_cache **out, struct pare_error *err)
{
    const struct pare_graph *g = plan->graph;
    const uint32_t most = PARE_MAX(plan->options.context, g->length);
    struct pare_cache *c = pare_calloc(1, sizeof *c);
    int rc = PARE_OK;
    size_t all;
    if (!c)
        return pare_error_nomem(err, sizeof *c);
    if (!pare_graph_reads_text(g) || texts == 0 || context == 0 || context > most) {
        rc = pare_error_set(err, PARE_INVALID,
                            "a cache of %u texts of %u tokens does not fit the plan", texts,
                            context);
        goto out;
    }
    c->texts = texts;
    c->context = context;
    c->capacity = (uint32_t)pare_round_up(context, plan->kernels->lanes);
    c->offsets = pare_calloc(g->n_nodes, sizeof *c->offsets);
    c->length = pare_calloc(texts, sizeof *c->length);
    if (!c->offsets || !c->length) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op != PARE_OP_ATTENTION || !g->nodes[i].causal)
            continue;
        c->offsets[i] = c->bytes;
        c->bytes += pare_kept_of(plan->kernels, g, &g->nodes[i], c->capacity).bytes;
    }
    if (!pare_mul_size(PARE_MAX(c->bytes, (size_t)1), texts, &all)) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    c->data = pare_alloc_aligned(all, 1);
    if (!c->data)
        rc = pare_error_nomem(err, all);
out:
    if (rc == PARE_OK)
        *out = c;
    else
        pare_cache_free(c);
    return rc;
}

uint32_t pare_cache_length(const struct pare_cache *cache, uint32_t text)
{
    return text < cache->texts ? cache->length[text] : 0;
}

void pare_cache_cut(struct pare_cache *cache, uint32_t text, uint32_t length)
{
    if (text < cache->texts)
        cache->length[text] = PARE_MIN(cache->length[text], length);
}

uint64_t pare_cache_bytes(const struct pare_cache *cache)
{
    return (uint64_t)cache->bytes * cache->texts;
}

float pare_logits_sum(const float *logits, uint32_t n, uint32_t *top)
{
    return pare_kernels_of(pare_isa_best())->log_sum(logits, n, top);
}

float pare_logits_divergence(const float *from, float from_sum, const float *to, float to_sum,
                             uint32_t n)
{
    return pare_kernels_of(pare_isa_best())->divergence(from, from_sum, to, to_sum, n);
}

/* ---- one pass ---- */

/* What is read in one pass: parts of texts. */
struct pass {
    struct pare_plan *plan;
    struct pare_cache *cache;
    uint32_t most_rows, most_parts, most_wanted;
    uint32_t n, rows, n_wanted; /* parts, tokens, and outputs asked for */
    float *ids;                 /* per row */
    uint32_t *starts;           /* n + 1 per group */
    uint32_t *wanted_starts;    /* n + 1 */
    uint32_t *past, *wanted, *text;
    char **kept;
    void *memory;
};

/* One block of memory, kept by the plan from one reading to the next, whether with a cache or not.
 */
static int pass_new(struct pare_plan *plan, struct pare_cache *cache, struct pass *p,
                    struct pare_error *err)
{
    const struct pare_program *program = &plan->program;
    *p = (struct pass){.plan = plan,
                       .cache = cache,
                       .most_rows = pare_plan_rows(plan),
                       .most_parts = cache ? pare_plan_rows(plan) : program->samples,
                       .most_wanted = program->wanted ? program->wanted : pare_plan_rows(plan)};
    for (uint32_t i = 0; i < program->n_groups; i++)
        if (program->groups[i].op == PARE_OP_POOL)
            p->most_parts = program->samples;
    const size_t rows = p->most_rows, parts = PARE_MAX(rows, p->most_parts) + 1;
    const size_t words = rows + (program->n_groups + 1) * parts + 2 * parts + rows;
    if (!plan->starts) {
        plan->starts = pare_alloc(words * sizeof(uint32_t) + (parts + 1) * sizeof(char *), 1);
        if (!plan->starts)
            return pare_error_nomem(err, words * sizeof(uint32_t));
    }
    p->kept = (char **)(void *)plan->starts;
    uint32_t *at = (uint32_t *)(void *)(p->kept + parts);
    p->ids = (float *)(void *)at;
    p->starts = at + rows;
    p->wanted_starts = p->starts + program->n_groups * parts;
    p->past = p->wanted_starts + parts;
    p->text = p->past + parts;
    p->wanted = p->text + parts;
    return PARE_OK;
}

/* Take up to `n` tokens of a text that begin at `ids`; how many there was room for. */
static uint32_t pass_add(struct pass *p, const struct pare_text *t, uint32_t from)
{
    uint32_t room = p->most_rows - p->rows, left = t->n - from, n = PARE_MIN(room, left);
    if (p->n == p->most_parts || p->n_wanted == p->most_wanted || n == 0 || (!p->cache && n < left))
        return 0;
    if (t->all)
        n = PARE_MIN(n, p->most_wanted - p->n_wanted);
    p->starts[p->n] = p->rows;
    p->wanted_starts[p->n] = p->n_wanted;
    p->text[p->n] = t->text;
    p->past[p->n] = 0;
    if (p->cache) {
        p->past[p->n] = p->cache->length[t->text];
        p->kept[p->n] = p->cache->data + p->cache->bytes * t->text;
        p->cache->length[t->text] += n;
    }
    for (uint32_t i = 0; i < n; i++) {
        p->ids[p->rows + i] = (float)t->ids[from + i];
        if (t->all || from + i + 1 == t->n)
            p->wanted[p->n_wanted++] = p->rows + i;
    }
    p->rows += n;
    p->n++;
    return n;
}

/* Rows of every group from those of the input. */
static void spread_rows(struct pass *p, struct pare_rows *rows)
{
    const struct pare_program *program = &p->plan->program;
    rows[0] = (struct pare_rows){.n = p->n, .starts = p->starts};
    for (uint32_t g = 1; g < program->n_groups; g++) {
        const struct pare_group *group = &program->groups[g];
        const struct pare_node *node = &p->plan->graph->nodes[group->node];
        const struct pare_rows *from = &rows[group->parent];
        uint32_t *starts = p->starts + (size_t)g * (p->most_parts + 1);
        rows[g] = (struct pare_rows){.n = p->n, .tokens = 1};
        if (group->op == PARE_OP_POOL)
            continue;
        rows[g].starts = group->op == PARE_OP_ROWS ? p->wanted_starts : starts;
        starts[0] = 0;
        for (uint32_t i = 0; group->op == PARE_OP_TOKEN_MERGE && i < p->n; i++)
            starts[i + 1] = starts[i] + pare_merged_tokens(pare_rows_first(from, i + 1) -
                                                               pare_rows_first(from, i),
                                                           node->prefix, node->merge);
    }
}

static int pass_run(struct pass *p, float *out, size_t *n_out, struct pare_error *err)
{
    struct pare_plan *plan = p->plan;
    const struct pare_graph *g = plan->graph;
    const struct pare_passage passage = {
        .past = p->past,
        .wanted = p->wanted,
        .kept = p->cache ? p->kept : NULL,
        .capacity = p->cache ? p->cache->capacity : 0,
        .offsets = p->cache ? p->cache->offsets : NULL,
    };
    struct pare_run run = {.rows = plan->rows, .passage = &passage, .inputs = p->ids, .n = p->n};
    p->starts[p->n] = p->rows;
    p->wanted_starts[p->n] = p->n_wanted;
    spread_rows(p, plan->rows);
    int rc = pare_plan_pass(plan, &run, err);
    if (rc != PARE_OK)
        return rc;
    const size_t rows = pare_rows_all(pare_slot_rows(&run, g->output));
    const size_t width = g->values[g->output].width;
    memcpy(out, pare_slot_read(&run, g->output), rows * width * sizeof *out);
    rc = pare_plan_check(plan, out, (uint32_t)rows, err);
    *n_out = rows * width;
    p->n = p->rows = p->n_wanted = 0;
    return rc;
}

/* ---- reading ---- */

static int check_texts(const struct pare_plan *plan, const struct pare_cache *cache,
                       const struct pare_text *texts, uint32_t n, struct pare_error *err)
{
    const struct pare_graph *g = plan->graph;
    if (!pare_graph_reads_text(g))
        return pare_error_set(err, PARE_INVALID, "the model reads images, not text");
    if (plan->tapped)
        return pare_error_set(err, PARE_INVALID, "taps see whole texts of full length only");
    for (uint32_t i = 0; i < n; i++) {
        const struct pare_text *t = &texts[i];
        const uint32_t room = cache ? cache->context : g->length;
        if (cache && t->text >= cache->texts)
            return pare_error_set(err, PARE_INVALID, "the cache has no text %u", t->text);
        const uint32_t past = cache ? cache->length[t->text] : 0;
        if (t->n == 0 || t->n > room - past) {
            pare_error_set(err, PARE_INVALID,
                           t->n ? "a text of %u tokens is too long" : "a text of %u tokens is none",
                           past + t->n);
            pare_error_detail(err, "there is room for %u", room);
            return PARE_INVALID;
        }
        for (uint32_t k = 0; k < t->n; k++) {
            if (t->ids[k] < 0 || (uint32_t)t->ids[k] >= g->vocabulary)
                return pare_error_set(err, PARE_INVALID,
                                      "token %d is not in the model's vocabulary of %u", t->ids[k],
                                      g->vocabulary);
        }
    }
    return PARE_OK;
}

int pare_plan_read(struct pare_plan *plan, struct pare_cache *cache, const struct pare_text *texts,
                   uint32_t n, float *out, struct pare_error *err)
{
    struct pass p;
    size_t written;
    int rc;
    PARE_TRY(check_texts(plan, cache, texts, n, err));
    PARE_TRY(pass_new(plan, cache, &p, err));
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t from = 0; from < texts[i].n;) {
            const uint32_t taken = pass_add(&p, &texts[i], from);
            from += taken;
            if (taken && from == texts[i].n)
                break;
            PARE_TRY(pass_run(&p, out, &written, err));
            out += written;
        }
    }
    if (p.n)
        PARE_TRY(pass_run(&p, out, &written, err));
out:
    return rc;
}
