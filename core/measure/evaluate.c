/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy: what a classifier answers, sample by sample. */
#include "measure/measure.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

void pare_outcomes_free(struct pare_outcomes *outcomes)
{
    free(outcomes->target);
    free(outcomes->predicted);
    free(outcomes->nll);
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

static int take_outcomes(const float *logits, uint32_t classes, uint32_t first, uint32_t n,
                         struct pare_outcomes *o, struct pare_error *err)
{
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
    return PARE_OK;
}

int pare_evaluate(const struct pare_graph *graph, struct pare_dataset *data, uint32_t batch,
                  uint32_t threads, int (*progress)(void *user, uint32_t done), void *user,
                  struct pare_outcomes *out, struct pare_error *err)
{
    const uint32_t n = pare_dataset_size(data), classes = graph->values[graph->output].width;
    const struct pare_plan_options options = {
        .batch = PARE_MIN(batch, n), .threads = threads, .isa = -1};
    const size_t pixels = (size_t)graph->channels * graph->height * graph->width;
    struct pare_outcomes o = {.n = n};
    struct pare_plan *plan = NULL;
    float *images = NULL, *logits = NULL;
    int rc;
    PARE_TRY(pare_plan_new(graph, &options, &plan, err));
    o.target = pare_alloc(n, sizeof *o.target);
    o.predicted = pare_alloc(n, sizeof *o.predicted);
    o.nll = pare_alloc(n, sizeof *o.nll);
    images = pare_alloc(options.batch, pixels * sizeof *images);
    logits = pare_alloc(options.batch, classes * sizeof *logits);
    if (!o.target || !o.predicted || !o.nll || !images || !logits) {
        rc = pare_error_nomem(err, (uint64_t)options.batch * pixels * sizeof *images);
        goto out;
    }
    for (uint32_t done = 0, part; done < n; done += part) {
        part = PARE_MIN(options.batch, n - done);
        PARE_TRY(pare_dataset_read(data, done, part, images, o.target + done, err));
        PARE_TRY(pare_plan_run(plan, images, part, logits, err));
        if (done == 0)
            pare_hash_bytes(logits, classes * sizeof *logits, o.first_logits);
        PARE_TRY(take_outcomes(logits, classes, done, part, &o, err));
        if (progress && progress(user, done + part) != 0) {
            rc = pare_error_set(err, PARE_CANCELLED, "the evaluation was stopped");
            goto out;
        }
    }
    *out = o;
    o = (struct pare_outcomes){0};
out:
    free(images);
    free(logits);
    pare_plan_free(plan);
    pare_outcomes_free(&o);
    return rc;
}
