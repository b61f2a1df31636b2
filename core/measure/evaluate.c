/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy: what a classifier answers, sample by sample. */
#include "measure/activations.h"
#include "measure/evaluate_parts.h"
#include "measure/perplexity.h"

#include <math.h>
#include <stdlib.h>

#include <pare/plugin.h>

#include "base/mem.h"

void pare_outcomes_free(struct pare_outcomes *outcomes)
{
    free(outcomes->target);
    free(outcomes->predicted);
    free(outcomes->nll);
    free(outcomes->divergence);
    free(outcomes->agreement);
    free(outcomes->normalised);
    free(outcomes->similarity);
    free(outcomes->score);
    free(outcomes->token_nll);
    free(outcomes->token_ends);
    *outcomes = (struct pare_outcomes){0};
}

static uint32_t highest(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (logits[i] > logits[best])
            best = i;
    }
    return best;
}

/* -log softmax(logits)[target], by the log of the sum of exponentials below the highest. */
static float nll_of(const float *logits, uint32_t n, uint32_t target)
{
    const double top = (double)logits[highest(logits, n)];
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - top);
    return (float)(log(sum) + top - (double)logits[target]);
}

int pare__take_outcomes(const struct pare_evaluation *e, const float *logits, uint32_t classes,
                        uint32_t first, uint32_t n, struct pare_outcomes *o, struct pare_error *err)
{
    const struct pare_outputs outputs = {.struct_size = sizeof outputs,
                                         .samples = n,
                                         .rows = 1,
                                         .width = classes,
                                         .values = logits,
                                         .targets = o->target + first};
    for (uint32_t i = first; i < first + n; i++, logits += classes) {
        o->predicted[i] = highest(logits, classes);
        o->nll[i] = NAN;
        if (o->target[i] == UINT32_MAX)
            continue;
        if (o->target[i] >= classes)
            return pare_error_set(err, PARE_INVALID,
                                  "label %u of sample %u is out of range: the "
                                  "model has %u classes",
                                  o->target[i], i, classes);
        o->nll[i] = nll_of(logits, classes, o->target[i]);
        o->correct += o->predicted[i] == o->target[i];
    }
    return e->outputs ? e->outputs(e->user, &outputs, first, err) : PARE_OK;
}

/* One batch at a time: from the images or a file of activations, through the plan, into outcomes
 * and files. */
struct pass {
    struct pare_evaluation *e;
    struct pare_plan *plan;
    struct pare_activations from, *keep; /* keep: n_keep of them */
    float *images, *logits, *given;
    uint32_t n;    /* samples in all */
    uint32_t done; /* before this batch */
};

/* Samples that follow each other in the data set are read at once. */
static int read_batch(struct pass *p, uint32_t part, uint32_t *labels, struct pare_error *err)
{
    const struct pare_evaluation *e = p->e;
    const size_t pixels = pare_graph_inputs(e->graph);
    int rc = PARE_OK;
    for (uint32_t i = 0, run; i < part; i += run) {
        uint32_t first = pare__sample_at(e, p->done + i);
        for (run = 1; i + run < part && pare__sample_at(e, p->done + i + run) == first + run;)
            run++;
        PARE_TRY(pare_dataset_read(e->data, first, run, e->started ? NULL : p->images + i * pixels,
                                   labels + i, err));
    }
out:
    return rc;
}

static int keep_tap(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                    uint32_t tokens, uint32_t width)
{
    struct pass *p = user;
    (void)sizes, (void)tokens, (void)width;
    for (size_t i = 0; i < p->e->n_keep; i++)
        pare_activations_write(&p->keep[i], value, p->done, n, data);
    return PARE_OK;
}

static int run_batch(struct pass *p, uint32_t part, struct pare_error *err)
{
    const struct pare_evaluation *e = p->e;
    struct pare_given given[PARE_POINT_VALUES];
    float *to = p->given;
    if (!e->started)
        return pare_plan_run(p->plan, p->images, part, p->logits, err);
    const struct pare_point *point = e->from->point;
    for (uint32_t k = 0; k < point->n; k++) {
        int rc = pare_activations_read(&p->from, k, p->done, part, to, err);
        if (rc != PARE_OK)
            return rc;
        given[k] = (struct pare_given){point->values[k], to};
        for (size_t i = 0; i < e->n_keep; i++) /* nobody writes it in this run: no tap tells */
            pare_activations_write(&p->keep[i], point->values[k], p->done, part, to);
        to += part * point->floats[k];
    }
    return pare_plan_run_from(p->plan, point->at, given, point->n, part, p->logits, err);
}

static int set_taps(struct pass *p, struct pare_error *err)
{
    const struct pare_evaluation *e = p->e;
    bool *tapped = pare_calloc(e->graph->n_values, sizeof *tapped);
    int rc = tapped ? PARE_OK : pare_error_nomem(err, 0);
    for (size_t i = 0; i < e->n_keep && rc == PARE_OK; i++) {
        const struct pare_point *point = e->keep[i].point;
        if (!p->keep[i].file || (e->started && point->at <= e->from->point->at))
            continue;
        for (uint32_t k = 0; k < point->n && rc == PARE_OK; k++) {
            if (!tapped[point->values[k]])
                rc = pare_plan_tap(p->plan, point->values[k], keep_tap, p, err);
            tapped[point->values[k]] = true;
        }
    }
    free(tapped);
    return rc;
}

/* A run that starts in the middle is not fused, which costs little; every other one is. */
static int prepare(struct pass *p, struct pare_error *err)
{
    struct pare_evaluation *e = p->e;
    const struct pare_graph *g = e->graph;
    const size_t pixels = pare_graph_inputs(g);
    int rc = PARE_OK;
    e->started = e->from && pare_activations_open(&p->from, e->from, p->n);
    for (size_t i = 0; i < e->n_keep; i++) {
        e->kept[i] = false;
        pare_activations_create(&p->keep[i], &e->keep[i], p->n);
    }
    const struct pare_plan_options options = {.batch = PARE_MAX(1u, PARE_MIN(e->batch, p->n)),
                                              .threads = e->threads,
                                              .isa = -1,
                                              .no_fusion = e->started};
    PARE_TRY(pare_plan_new(g, &options, &p->plan, err));
    PARE_TRY(set_taps(p, err));
    size_t in = e->started ? pare_point_floats(e->from->point) : pixels;
    float *input = pare_alloc(options.batch, in * sizeof *input);
    p->images = e->started ? NULL : input;
    p->given = e->started ? input : NULL;
    p->logits = pare_alloc(options.batch, g->values[g->output].width * sizeof *p->logits);
    if (!input || !p->logits)
        rc = pare_error_nomem(err, (uint64_t)options.batch * in * sizeof *input);
out:
    return rc;
}

/* ---- texts ---- */

/* Tokens that count in all the data's windows, over the number of windows: what a window's sum is
 * divided by. */
static double tokens_per_window(const struct pare_dataset *data)
{
    const uint32_t n = pare_dataset_size(data);
    double tokens = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct pare_window w =
            pare_windows_span(pare_dataset_windows(data), pare_dataset_number(data, i));
        tokens += w.n > w.first ? w.n - w.first : 0;
    }
    return tokens / n;
}

static int evaluate_text(struct pare_evaluation *e, struct pare_outcomes *out,
                         struct pare_error *err)
{
    const uint32_t n = pare__samples_of(e);
    const double each = tokens_per_window(e->data);
    uint32_t *which = pare_alloc(n, sizeof *which);
    struct pare_perplexity p = {0};
    struct pare_outcomes o = {.n = n};
    int rc = PARE_OK;
    o.target = pare_alloc(n, sizeof *o.target);
    o.predicted = pare_alloc(n, sizeof *o.predicted);
    o.nll = pare_calloc(n, sizeof *o.nll);
    o.divergence = e->baseline ? pare_calloc(n, sizeof *o.divergence) : NULL;
    o.agreement = e->baseline ? pare_calloc(n, sizeof *o.agreement) : NULL;
    if (!which || !o.target || !o.predicted || !o.nll ||
        (e->baseline && (!o.divergence || !o.agreement))) {
        rc = pare_error_nomem(err, n * sizeof *o.nll);
        goto out;
    }
    for (uint32_t i = 0; i < n; i++)
        which[i] = pare_dataset_number(e->data, pare__sample_at(e, i));
    const struct pare_perplexity_job job = {.graph = e->graph,
                                            .baseline = e->baseline,
                                            .windows = pare_dataset_windows(e->data),
                                            .window = pare_dataset_window(e->data),
                                            .which = which,
                                            .n = n,
                                            .threads = e->threads,
                                            .progress = e->progress,
                                            .user = e->user};
    PARE_TRY(pare_perplexity_measure(&job, &p, err));
    for (uint32_t i = 0, t = 0; i < n; i++) {
        double nll = 0, far = 0, agreed = 0;
        for (; t < p.ends[i]; t++) {
            nll += (double)p.nll[t];
            far += e->baseline ? (double)p.divergence[t] : 0;
            agreed += e->baseline ? p.agrees[t] : 0;
        }
        o.target[i] = o.predicted[i] = UINT32_MAX;
        o.nll[i] = (float)(nll / each);
        if (e->baseline) {
            o.divergence[i] = (float)(far / each);
            o.agreement[i] = (float)(agreed / each);
        }
    }
    o.n_tokens = p.tokens;
    o.token_nll = p.nll;
    o.token_ends = p.ends;
    p.nll = NULL;
    p.ends = NULL;
    *out = o;
    o = (struct pare_outcomes){0};
out:
    free(which);
    pare_perplexity_free(&p);
    pare_outcomes_free(&o);
    return rc;
}

int pare_evaluate_part(struct pare_evaluation *e, struct pare_outcomes *out, struct pare_error *err)
{
    if (pare_dataset_windows(e->data))
        return evaluate_text(e, out, err);
    if (pare_dataset_sequences(e->data))
        return pare__evaluate_labelled(e, out, err);
    const uint32_t n = pare__samples_of(e);
    const uint32_t classes = e->graph->values[e->graph->output].width;
    const uint32_t batch = PARE_MAX(1u, PARE_MIN(e->batch, n));
    struct pass p = {.e = e, .n = n, .keep = pare_calloc(e->n_keep, sizeof *p.keep)};
    struct pare_outcomes o = {.n = n};
    int rc;
    o.target = pare_alloc(n, sizeof *o.target);
    o.predicted = pare_alloc(n, sizeof *o.predicted);
    o.nll = pare_alloc(n, sizeof *o.nll);
    if (!p.keep || !o.target || !o.predicted || !o.nll) {
        rc = pare_error_nomem(err, (uint64_t)n * 3 * sizeof *o.nll);
        goto out;
    }
    PARE_TRY(prepare(&p, err));
    for (uint32_t part; p.done < n; p.done += part) {
        part = PARE_MIN(batch, n - p.done);
        PARE_TRY(read_batch(&p, part, o.target + p.done, err));
        PARE_TRY(run_batch(&p, part, err));
        if (p.done == 0 && pare__sample_at(e, 0) == 0)
            pare_hash_bytes(p.logits, classes * sizeof *p.logits, o.first_logits);
        PARE_TRY(pare__take_outcomes(e, p.logits, classes, p.done, part, &o, err));
        PARE_TRY(pare__tell(e->progress, e->user, p.done + part, err));
    }
    for (size_t i = 0; i < e->n_keep; i++)
        e->kept[i] = pare_activations_finish(&p.keep[i]);
    *out = o;
    o = (struct pare_outcomes){0};
out:
    for (size_t i = 0; p.keep && i < e->n_keep; i++)
        pare_activations_close(&p.keep[i]);
    pare_activations_close(&p.from);
    free(p.keep);
    free(p.images);
    free(p.given);
    free(p.logits);
    pare_plan_free(p.plan);
    pare_outcomes_free(&o);
    return rc;
}

int pare_evaluate(const struct pare_graph *graph, struct pare_dataset *data, uint32_t batch,
                  uint32_t threads, int (*progress)(void *user, uint32_t done), void *user,
                  struct pare_outcomes *out, struct pare_error *err)
{
    struct pare_evaluation e = {.graph = graph,
                                .data = data,
                                .batch = batch,
                                .threads = threads,
                                .progress = progress,
                                .user = user};
    return pare_evaluate_part(&e, out, err);
}
