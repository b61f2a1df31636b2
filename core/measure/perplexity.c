/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/perplexity.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "measure/evaluate_parts.h"
#include "measure/next_token.h"

/* What a part of a window says: tokens at .. at + n - 1 were read, tokens up to `end` follow. */
static void take_part(struct pare_perplexity *p, const struct pare_next *model,
                      const struct pare_next *baseline, const int32_t *ids, uint32_t at, uint32_t n,
                      struct pare_window window, uint32_t threads)
{
    const uint32_t from = PARE_MAX(window.first, at + 1), to = PARE_MIN(at + n + 1, window.n);
    const size_t v = model->vocabulary;
    uint32_t right = 0, agreed = 0;
#pragma omp parallel for num_threads((int)threads) reduction(+ : right, agreed)
    for (uint32_t t = from; t < to; t++) { /* the token that is predicted */
        const float *logits = model->logits + (t - 1 - at) * v;
        const uint32_t k = p->tokens + t - from;
        uint32_t top, other;
        const float sum = pare_logits_sum(logits, (uint32_t)v, &top);
        p->nll[k] = sum - logits[ids[t]];
        p->predicted[k] = top;
        right += top == (uint32_t)ids[t];
        if (!baseline)
            continue;
        const float *theirs = baseline->logits + (t - 1 - at) * v;
        const float their_sum = pare_logits_sum(theirs, (uint32_t)v, &other);
        p->divergence[k] = pare_logits_divergence(theirs, their_sum, logits, sum, (uint32_t)v);
        p->agrees[k] = top == other;
        agreed += top == other;
    }
    p->tokens += to > from ? to - from : 0;
    p->right += right;
    p->agreed += agreed;
}

/* The mean over tokens, its error from the windows' sums: each token has the same weight. */
static void summarise(struct pare_perplexity *p)
{
    double total = 0, squares = 0;
    for (uint32_t i = 0; i < p->tokens; i++)
        total += (double)p->nll[i];
    const double mean = total / p->tokens;
    for (uint32_t w = 0; w < p->windows; w++) {
        double sum = 0;
        for (uint32_t i = w ? p->ends[w - 1] : 0; i < p->ends[w]; i++)
            sum += (double)p->nll[i] - mean;
        squares += sum * sum;
    }
    const double n = p->windows, half = p->windows < 2
                                            ? (double)NAN
                                            : pare_stat_t_quantile(0.975, n - 1) *
                                                  sqrt(squares * n / (n - 1)) / p->tokens;
    p->mean = (struct pare_interval){mean, mean - half, mean + half};
    p->perplexity = (struct pare_interval){exp(mean), exp(p->mean.lo), exp(p->mean.hi)};
}

void pare_perplexity_free(struct pare_perplexity *p)
{
    free(p->ends);
    free(p->nll);
    free(p->predicted);
    free(p->divergence);
    free(p->agrees);
    *p = (struct pare_perplexity){0};
}

static int make_room(const struct pare_perplexity_job *job, struct pare_perplexity *p,
                     struct pare_error *err)
{
    const size_t n = p->windows, most = n * job->window;
    p->ends = pare_alloc(n, sizeof *p->ends);
    p->nll = pare_alloc(most, sizeof *p->nll);
    p->predicted = pare_alloc(most, sizeof *p->predicted);
    p->divergence = job->baseline ? pare_alloc(most, sizeof *p->divergence) : NULL;
    p->agrees = job->baseline ? pare_alloc(most, 1) : NULL;
    if (!p->ends || !p->nll || !p->predicted || (job->baseline && (!p->divergence || !p->agrees)))
        return pare_error_nomem(err, most * sizeof *p->nll);
    return PARE_OK;
}

static int read_window(const struct pare_perplexity_job *job, struct pare_next *model,
                       struct pare_next *baseline, struct pare_window w, const int32_t *ids,
                       struct pare_perplexity *p, struct pare_error *err)
{
    const uint32_t part = model->part;
    int rc = PARE_OK;
    pare_cache_cut(model->cache, 0, 0);
    if (baseline)
        pare_cache_cut(baseline->cache, 0, 0);
    for (uint32_t at = 0; at + 1 < w.n; at += part) {
        const uint32_t n = PARE_MIN(part, w.n - 1 - at); /* nothing follows the last token */
        const bool counted = at + n >= w.first;
        PARE_TRY(pare_next_read(model, ids + at, n, counted, err));
        if (baseline)
            PARE_TRY(pare_next_read(baseline, ids + at, n, counted, err));
        take_part(p, model, baseline, ids, at, n, w, job->threads);
    }
out:
    return rc;
}

int pare_perplexity_measure(const struct pare_perplexity_job *job, struct pare_perplexity *out,
                            struct pare_error *err)
{
    struct pare_next model = {0}, other = {0};
    struct pare_perplexity p = {.windows = job->which ? job->n : pare_windows_count(job->windows)};
    int32_t *ids = pare_alloc(job->window, sizeof *ids);
    int rc = ids ? PARE_OK : pare_error_nomem(err, job->window);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(make_room(job, &p, err));
    PARE_TRY(pare_next_open(job->graph, job->window, job->threads, &model, err));
    if (job->baseline)
        PARE_TRY(pare_next_open(job->baseline, job->window, job->threads, &other, err));
    if (job->baseline && other.vocabulary != model.vocabulary) {
        rc = pare_error_set(err, PARE_INVALID, "the baseline has another vocabulary");
        pare_error_detail(err, "%u tokens against %u", other.vocabulary, model.vocabulary);
        pare_error_hint(err, "only models with the same tokens can be compared token by token");
        goto out;
    }
    for (uint32_t i = 0; i < p.windows; i++) {
        const struct pare_window w =
            pare_windows_read(job->windows, job->which ? job->which[i] : i, ids);
        PARE_TRY(read_window(job, &model, job->baseline ? &other : NULL, w, ids, &p, err));
        p.ends[i] = p.tokens;
        PARE_TRY(pare__tell(job->progress, job->user, i + 1, err));
    }
    if (p.tokens == 0) {
        rc = pare_error_set(err, PARE_INVALID, "the windows leave no token to predict");
        goto out;
    }
    summarise(&p);
    *out = p;
    p = (struct pare_perplexity){0};
out:
    pare_perplexity_free(&p);
    pare_next_close(&model);
    pare_next_close(&other);
    free(ids);
    return rc;
}
