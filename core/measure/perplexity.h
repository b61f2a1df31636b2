/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_PERPLEXITY_H
#define PARE_MEASURE_PERPLEXITY_H

#include "base/stat.h"
#include "measure/windows.h"
#include "model/graph.h"

/* How well a language model predicts a text, token by token, and how far it is from another one. */
struct pare_perplexity {
    uint32_t windows, tokens;        /* read; counted */
    uint32_t *ends;                  /* [windows]: counted tokens up to and with each window */
    float *nll;                      /* [tokens]: negative log likelihood, nats */
    uint32_t *predicted;             /* [tokens]: the likeliest token */
    uint32_t right;                  /* of them as in the text */
    struct pare_interval mean;       /* of nll, at 95 %, from the windows' means: windows are
                                        independent, tokens are not */
    struct pare_interval perplexity; /* e^mean */
    /* Beside a baseline; NULL and 0 without one. */
    float *divergence; /* [tokens]: Kullback-Leibler, of this one from the baseline, nats */
    uint8_t *agrees;   /* [tokens]: whether both find the same one likeliest */
    uint32_t agreed;   /* how many */
};

struct pare_perplexity_job {
    const struct pare_graph *graph, *baseline; /* baseline: reads the same; NULL: none */
    const struct pare_windows *windows;
    uint32_t window;       /* tokens of the longest */
    const uint32_t *which; /* n numbers of windows; NULL: all, and n is not read */
    uint32_t n, threads;
    int (*progress)(void *user, uint32_t done); /* after every window; nonzero stops; NULL: none */
    void *user;
};

/* Errors: those of plans; PARE_INVALID: a window longer than the model's context, ids that its
 * vocabulary lacks; PARE_CANCELLED. Memory: the plans, and the logits of 128 tokens. */
int pare_perplexity_measure(const struct pare_perplexity_job *job, struct pare_perplexity *out,
                            struct pare_error *err);
void pare_perplexity_free(struct pare_perplexity *p);

#endif
