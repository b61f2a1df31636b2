/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/sampling.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static int by_logit(const void *a, const void *b)
{
    const struct pare_candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static uint32_t likeliest(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

uint32_t pare_sample(const float *logits, uint32_t n, const struct pare_sampling *how,
                     struct pare_random *random, struct pare_candidate *scratch)
{
    if (how->temperature <= 0 || how->top_k == 1)
        return likeliest(logits, n);
    for (uint32_t i = 0; i < n; i++)
        scratch[i] = (struct pare_candidate){logits[i], i};
    qsort(scratch, n, sizeof *scratch, by_logit);
    const uint32_t most = how->top_k ? PARE_MIN(how->top_k, n) : n;
    const double top = (double)scratch[0].logit;
    double all = 0, kept = 0;
    for (uint32_t i = 0; i < most; i++)
        all += exp(((double)scratch[i].logit - top) / how->temperature);
    uint32_t last = 0;
    for (; last < most && kept < how->top_p * all; last++)
        kept += exp(((double)scratch[last].logit - top) / how->temperature);
    double at = pare_random_unit(random) * kept;
    for (uint32_t i = 0; i < last; i++) {
        at -= exp(((double)scratch[i].logit - top) / how->temperature);
        if (at < 0)
            return scratch[i].token;
    }
    return scratch[last ? last - 1 : 0].token;
}
