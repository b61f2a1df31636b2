/* SPDX-License-Identifier: Apache-2.0 */
/* How far an altered model's outputs are from a reference's. */
#include "plugin/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double log_sum_exp(const float *x, size_t n)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)x[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - most);
    return most + log(sum);
}

/* KL(softmax(p) || softmax(q)), in nats. */
static double kl(const float *p, const float *q, size_t n)
{
    double lp = log_sum_exp(p, n), lq = log_sum_exp(q, n), sum = 0;
    for (size_t i = 0; i < n; i++) {
        double a = (double)p[i] - lp;
        sum += exp(a) * (a - ((double)q[i] - lq));
    }
    return fmax(sum, 0);
}

static double relative_l2(const float *a, const float *b, size_t n)
{
    double d = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        double e = (double)b[i] - (double)a[i];
        d += e * e;
        s += (double)a[i] * (double)a[i];
    }
    return s > 0 ? sqrt(d / s) : d > 0;
}

static double one_minus_cos(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? 1 - ab / sqrt(aa * bb) : aa != bb;
}

int pare_distance(const struct pare_stage *stage, unsigned distance, const uint32_t *samples,
                  uint32_t n, const float *reference, const float *logits, const float *hidden,
                  double *per_sample, double *mean, struct pare_error *err)
{
    const struct pare_stage_env *env = stage->env;
    size_t classes = stage->entry->values[stage->entry->output].width;
    size_t width = pare_hidden_size(stage->entry);
    const float *ref_hidden = reference + env->n * classes;
    double sum = 0;
    if (distance == PARE_DISTANCE_LOSS && !env->labels)
        return pare_error_set(err, PARE_INVALID,
                              "a loss needs labels, and the calibration data have none");
    for (uint32_t at = 0; at < n; at++) {
        size_t i = samples ? samples[at] : at;
        const float *p = reference + i * classes, *q = logits + i * classes;
        double d;
        switch (distance) {
        case PARE_DISTANCE_KL:
            d = kl(p, q, classes);
            break;
        case PARE_DISTANCE_L2:
            d = relative_l2(ref_hidden + i * width, hidden + i * width, width);
            break;
        case PARE_DISTANCE_COSINE:
            d = one_minus_cos(ref_hidden + i * width, hidden + i * width, width);
            break;
        case PARE_DISTANCE_LOSS: {
            size_t y = env->labels[i] < classes ? env->labels[i] : 0;
            d = (log_sum_exp(q, classes) - (double)q[y]) - (log_sum_exp(p, classes) - (double)p[y]);
            break;
        }
        default:
            return pare_error_set(err, PARE_INVALID, "distance %u is not known", distance);
        }
        if (per_sample)
            per_sample[i] = d;
        sum += d;
    }
    *mean = n ? sum / (double)n : 0;
    return PARE_OK;
}

static int run_reference(struct pare_stage *stage, const struct pare_graph *graph, float **out,
                         struct pare_error *err)
{
    size_t n = stage->env->n, classes = graph->values[graph->output].width;
    float *ref = pare_alloc(n * (classes + pare_hidden_size(graph)), sizeof *ref);
    if (!ref)
        return pare_error_nomem(err, 0);
    int rc = pare_restart_run(stage, graph, NULL, (uint32_t)n, 0, ref, ref + n * classes, err);
    if (rc != PARE_OK) {
        free(ref);
        return rc;
    }
    *out = ref;
    return PARE_OK;
}

int pare_reference(struct pare_stage *stage, unsigned which, const float **out,
                   struct pare_error *err)
{
    bool base = which == PARE_REFERENCE_BASELINE && stage->env->baseline;
    float **slot = base ? &stage->baseline_reference : &stage->stage_reference;
    int rc = PARE_OK;
    if (!*slot)
        rc = run_reference(stage, base ? stage->env->baseline : stage->entry, slot, err);
    *out = *slot;
    return rc;
}
