/* SPDX-License-Identifier: Apache-2.0 */
/* Labelled texts, each read at its own length: classes, right choices, similarity of pairs. */
#include "measure/evaluate_parts.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "measure/next_token.h"
#include "measure/sequences.h"

#define TOKENS_PER_PASS 4096u

/* ---- models that give a vector per text ---- */

/* Reads several texts at once. */
struct pooled {
    const struct pare_sequences *sequences;
    struct pare_graph *graph;
    struct pare_plan *plan;
    struct pare_text *texts;
    float *out;
    uint32_t samples, parts, width; /* samples at once, texts of each */
};

static void pooled_close(struct pooled *p)
{
    pare_plan_free(p->plan);
    pare_graph_free(p->graph);
    free(p->texts);
    free(p->out);
}

static int pooled_open(const struct pare_evaluation *e, uint32_t parts, struct pooled *p,
                       struct pare_error *err)
{
    const uint32_t n = PARE_MAX(1u, pare__samples_of(e));
    int rc;
    *p = (struct pooled){.sequences = pare_dataset_sequences(e->data), .parts = parts};
    const uint32_t longest = pare_sequences_longest(p->sequences);
    p->samples = PARE_MIN(PARE_MIN(e->batch, n), TOKENS_PER_PASS / parts / longest);
    p->samples = PARE_MAX(p->samples, 1u);
    const struct pare_plan_options options = {
        .batch = p->samples * parts, .threads = e->threads, .isa = -1};
    PARE_TRY(pare_graph_copy(e->graph, &p->graph, err));
    PARE_TRY(pare_graph_set_length(p->graph, longest, err));
    PARE_TRY(pare_plan_new(p->graph, &options, &p->plan, err));
    p->width = p->graph->values[p->graph->output].width;
    p->texts = pare_alloc(options.batch, sizeof *p->texts);
    p->out = pare_alloc((size_t)options.batch * p->width, sizeof *p->out);
    if (!p->texts || !p->out)
        rc = pare_error_nomem(err, (uint64_t)options.batch * p->width * sizeof *p->out);
out:
    return rc;
}

/* All parts of n samples from number `first` of those evaluated. */
static int pooled_read(struct pooled *p, const struct pare_evaluation *e, uint32_t first,
                       uint32_t n, struct pare_error *err)
{
    for (uint32_t i = 0; i < n * p->parts; i++) {
        const uint32_t sample = pare__sample_at(e, first + i / p->parts);
        const struct pare_sequence s =
            pare_sequences_part(p->sequences, pare_dataset_number(e->data, sample), i % p->parts);
        p->texts[i] = (struct pare_text){s.ids, s.n, 0, false};
    }
    return pare_plan_read(p->plan, NULL, p->texts, n * p->parts, p->out, err);
}

static int evaluate_classes(struct pare_evaluation *e, struct pare_outcomes *o,
                            struct pare_error *err)
{
    struct pooled p;
    int rc;
    PARE_TRY(pooled_open(e, 1, &p, err));
    for (uint32_t done = 0, n; done < o->n; done += n) {
        n = PARE_MIN(p.samples, o->n - done);
        PARE_TRY(pooled_read(&p, e, done, n, err));
        PARE_TRY(pare__take_outcomes(e, p.out, p.width, done, n, o, err));
        PARE_TRY(pare__tell(e->progress, e->user, done + n, err));
    }
out:
    pooled_close(&p);
    return rc;
}

/* Of the angle between two vectors; 0 where one has no length. */
static float cosine(const float *a, const float *b, uint32_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? (float)(ab / sqrt(aa * bb)) : 0;
}

static int evaluate_similarity(struct pare_evaluation *e, struct pare_outcomes *o,
                               struct pare_error *err)
{
    struct pooled p = {0};
    int rc = PARE_OK;
    o->similarity = pare_alloc(o->n, sizeof *o->similarity);
    o->score = pare_alloc(o->n, sizeof *o->score);
    if (!o->similarity || !o->score) {
        rc = pare_error_nomem(err, o->n * sizeof *o->score);
        goto out;
    }
    PARE_TRY(pooled_open(e, 2, &p, err));
    for (uint32_t done = 0, n; done < o->n; done += n) {
        n = PARE_MIN(p.samples, o->n - done);
        PARE_TRY(pooled_read(&p, e, done, n, err));
        for (uint32_t i = 0; i < n; i++) {
            const float *a = p.out + (size_t)2 * i * p.width;
            o->similarity[done + i] = cosine(a, a + p.width, p.width);
            o->score[done + i] = pare_dataset_score(e->data, pare__sample_at(e, done + i));
        }
        PARE_TRY(pare__tell(e->progress, e->user, done + n, err));
    }
out:
    pooled_close(&p);
    return rc;
}

/* ---- models that give the next token ---- */

/* What was read last stays in the cache as far as the next choice begins like it: the context is
 * read once. */
struct chooser {
    struct pare_next next;
    struct pare_sequence last;
    double *each; /* log probability of each token of a part */
    uint32_t threads;
};

/* Log probabilities of the tokens after those at .. at + n - 1, which were read. */
static void take_part(struct chooser *c, const struct pare_sequence *s, uint32_t at, uint32_t n,
                      double *sum)
{
    const uint32_t from = PARE_MAX(s->first, at + 1), to = PARE_MIN(at + n + 1, s->n);
    const size_t v = c->next.vocabulary;
#pragma omp parallel for num_threads((int)c->threads)
    for (uint32_t t = from; t < to; t++) {
        const float *logits = c->next.logits + (t - 1 - at) * v;
        uint32_t top;
        c->each[t - 1 - at] =
            (double)logits[s->ids[t]] - (double)pare_logits_sum(logits, (uint32_t)v, &top);
    }
    for (uint32_t t = from; t < to; t++) /* in order, whatever the threads */
        *sum += c->each[t - 1 - at];
}

/* The log likelihood of a choice behind its context. */
static int read_choice(struct chooser *c, const struct pare_sequence *s, double *sum,
                       struct pare_error *err)
{
    const uint32_t most = PARE_MIN(PARE_MIN(s->first - 1, c->last.n ? c->last.n - 1 : 0), s->n - 1);
    uint32_t at = 0;
    int rc = PARE_OK;
    while (at < most && s->ids[at] == c->last.ids[at])
        at++;
    pare_cache_cut(c->next.cache, 0, at);
    *sum = 0;
    for (uint32_t n; at + 1 < s->n; at += n) {
        n = PARE_MIN(c->next.part, s->n - 1 - at);
        const bool counted = at + n >= s->first;
        PARE_TRY(pare_next_read(&c->next, s->ids + at, n, counted, err));
        if (counted)
            take_part(c, s, at, n, sum);
    }
    c->last = *s;
out:
    return rc;
}

/* The likeliest, plainly and per byte, and how unlikely the right one is among them. */
static void take_choices(struct pare_outcomes *o, uint32_t i, const double *sums,
                         const uint32_t *bytes, uint32_t n)
{
    uint32_t best = 0, best_per_byte = 0;
    double total = 0;
    for (uint32_t k = 1; k < n; k++) {
        if (sums[k] > sums[best])
            best = k;
        if (sums[k] / bytes[k] > sums[best_per_byte] / bytes[best_per_byte])
            best_per_byte = k;
    }
    for (uint32_t k = 0; k < n; k++)
        total += exp(sums[k] - sums[best]);
    o->predicted[i] = best;
    o->normalised[i] = best_per_byte;
    o->nll[i] = (float)(log(total) + sums[best] - sums[o->target[i]]);
    o->correct += best == o->target[i];
    o->correct_normalised += best_per_byte == o->target[i];
}

static uint32_t most_choices(const struct pare_evaluation *e)
{
    const struct pare_sequences *s = pare_dataset_sequences(e->data);
    uint32_t most = 1;
    for (uint32_t i = 0; i < pare_dataset_size(e->data); i++)
        most = PARE_MAX(most, pare_sequences_parts(s, pare_dataset_number(e->data, i)));
    return most;
}

static int evaluate_choices(struct pare_evaluation *e, struct pare_outcomes *o,
                            struct pare_error *err)
{
    const struct pare_sequences *sequences = pare_dataset_sequences(e->data);
    const uint32_t most = most_choices(e);
    struct chooser c = {.threads = e->threads};
    double *sums = pare_alloc(most, sizeof *sums);
    uint32_t *bytes = pare_alloc(most, sizeof *bytes);
    int rc;
    PARE_TRY(pare_next_open(e->graph, pare_sequences_longest(sequences), e->threads, &c.next, err));
    c.each = pare_alloc(c.next.part, sizeof *c.each);
    o->normalised = pare_alloc(o->n, sizeof *o->normalised);
    if (!sums || !bytes || !c.each || !o->normalised) {
        rc = pare_error_nomem(err, o->n * sizeof *o->normalised);
        goto out;
    }
    for (uint32_t i = 0; i < o->n; i++) {
        const uint32_t sample = pare_dataset_number(e->data, pare__sample_at(e, i));
        const uint32_t n = pare_sequences_parts(sequences, sample);
        for (uint32_t k = 0; k < n; k++) {
            const struct pare_sequence s = pare_sequences_part(sequences, sample, k);
            PARE_TRY(read_choice(&c, &s, &sums[k], err));
            bytes[k] = s.bytes;
        }
        take_choices(o, i, sums, bytes, n);
        PARE_TRY(pare__tell(e->progress, e->user, i + 1, err));
    }
out:
    pare_next_close(&c.next);
    free(c.each);
    free(sums);
    free(bytes);
    return rc;
}

int pare__evaluate_labelled(struct pare_evaluation *e, struct pare_outcomes *out,
                            struct pare_error *err)
{
    static int (*const tasks[])(struct pare_evaluation *, struct pare_outcomes *,
                                struct pare_error *) = {[PARE_TASK_CLASSES] = evaluate_classes,
                                                        [PARE_TASK_CHOICES] = evaluate_choices,
                                                        [PARE_TASK_SIMILARITY] =
                                                            evaluate_similarity};
    struct pare_outcomes o = {.n = pare__samples_of(e)};
    int rc = PARE_OK;
    o.target = pare_alloc(o.n, sizeof *o.target);
    o.predicted = pare_alloc(o.n, sizeof *o.predicted);
    o.nll = pare_alloc(o.n, sizeof *o.nll);
    if (!o.target || !o.predicted || !o.nll) {
        rc = pare_error_nomem(err, (uint64_t)o.n * 3 * sizeof *o.nll);
        goto out;
    }
    for (uint32_t i = 0; i < o.n; i++) {
        o.target[i] = pare_dataset_label(e->data, pare__sample_at(e, i));
        o.predicted[i] = UINT32_MAX;
        o.nll[i] = NAN;
    }
    PARE_TRY(tasks[pare_dataset_task(e->data)](e, &o, err));
    *out = o;
    o = (struct pare_outcomes){0};
out:
    pare_outcomes_free(&o);
    return rc;
}
