/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_MEASURE_H
#define PARE_MEASURE_MEASURE_H

#include "engine/plan.h"
#include "measure/dataset.h"
#include "model/prefix.h"

/* What a classifier does on a data set; arrays have one entry per sample that was evaluated, in
 * order, freed by pare_outcomes_free(). */
struct pare_outcomes {
    uint32_t n;
    uint32_t *target;    /* UINT32_MAX: no label */
    uint32_t *predicted; /* the class with the highest logit; of equals the first */
    float *nll;          /* negative log likelihood of the target, nats; NaN without labels. Of a
                            window: the mean over its tokens, weighted so that the mean over all the
                            data's windows is that over their tokens */
    float *divergence;   /* windows beside a baseline: of their tokens' distributions from it, nats;
                            and the share of tokens that both find likeliest. Else NULL */
    float *agreement;    /* the weights are as those of nll */
    uint32_t correct;
    /* Of choices: predicted is the likeliest one, nll that of the right one among them. */
    uint32_t *normalised; /* the likeliest per byte of its text; else NULL */
    uint32_t correct_normalised;
    /* Of pairs: the cosine of the embeddings, and the score that is known; else NULL. */
    float *similarity;
    double *score;
    /* Of windows: the loss of every token that counts, in nats, and how many there are up to and
     * with each window; else NULL. */
    float *token_nll;
    uint32_t *token_ends, n_tokens;
    char first_logits[PARE_HASH_HEX]; /* hash of the logits of the data set's first sample, which
                                         a timed run must repeat; "": it was not among them */
};

/* Run all samples. `progress` (may be NULL) is called now and then with the samples done; nonzero
 * stops with PARE_CANCELLED. */
int pare_evaluate(const struct pare_graph *graph, struct pare_dataset *data, uint32_t batch,
                  uint32_t threads, int (*progress)(void *user, uint32_t done), void *user,
                  struct pare_outcomes *out, struct pare_error *err);

/* Activations in a file: the floats of each value at a point of the graph, value after value, each
 * for all samples of the evaluation in their order. */
struct pare_stored {
    const char *path;
    const struct pare_point *point; /* of the evaluation's own graph */
};

/* The same on some samples, from stored activations, storing them, or all of it. Outcomes are those
 * of pare_evaluate() bit for bit. Memory: the plan and one batch, whatever is stored. */
struct pare_outputs;
struct pare_evaluation {
    const struct pare_graph *graph;
    struct pare_dataset *data;
    const struct pare_graph *baseline; /* of texts: also how far from this one; or NULL */
    uint32_t batch, threads;
    const uint32_t *samples; /* which, ascending; NULL: all, and n_samples is not read */
    uint32_t n_samples;
    const struct pare_stored *from; /* start here; NULL, or a file that is not of the right size:
                                       start from the images */
    const struct pare_stored *keep; /* write these, whole or not at all */
    size_t n_keep;
    bool *kept;   /* [n_keep]: written; a full disk costs the file, not the evaluation */
    bool started; /* set when `from` was used */
    int (*progress)(void *user, uint32_t done);
    /* Of classes (NULL: nobody asks): the logits and targets of samples first, first + 1, ... of
     * those evaluated, one batch after the other. Another answer than PARE_OK ends it so. */
    int (*outputs)(void *user, const struct pare_outputs *outputs, uint32_t first,
                   struct pare_error *err);
    void *user;
};
int pare_evaluate_part(struct pare_evaluation *e, struct pare_outcomes *out,
                       struct pare_error *err);
void pare_outcomes_free(struct pare_outcomes *outcomes);

/* What one timed inference is. */
enum pare_bench_phase {
    PARE_BENCH_WHOLE = 0, /* whole samples: images, or texts of the graph's length */
    PARE_BENCH_PREFILL,   /* a language model reads `tokens` tokens after `depth` others */
    PARE_BENCH_DECODE     /* ... one after the other, as they are generated */
};
struct pare_bench_shape {
    uint32_t batch, threads; /* samples, or texts, at once */
    enum pare_bench_phase phase;
    uint32_t tokens, depth;
};

/* A model ready to be timed in one shape. Inputs are samples of `data`, or random numbers when it
 * is NULL (always, in the phases of a language model); every bench of one session cycles through
 * the same inputs. PARE_INVALID: a phase for what is no language model, more tokens than its
 * context. */
struct pare_bench;
int pare_bench_new(const struct pare_graph *graph, struct pare_dataset *data,
                   const struct pare_bench_shape *shape, struct pare_bench **out,
                   struct pare_error *err);
void pare_bench_free(struct pare_bench *bench);

/* One visit: warm-up of at least 3 inferences and 50 ms, then k = clamp(0.25 s / estimate, 5, 200)
 * inferences timed one by one (above 0.2 s an inference: one warm-up, one timed). */
struct pare_visit {
    uint32_t n;
    uint32_t ns[200]; /* each inference, saturating */
    uint32_t min_ns, p50_ns, p90_ns, max_ns;
    long nivcsw;  /* involuntary context switches during the timed part */
    double steal; /* share of the time that the hypervisor took, of all CPUs */
    double load1;
    double mhz;                       /* 0: not known */
    char first_logits[PARE_HASH_HEX]; /* of the first input, batch 1's worth; "" of a phase */
};
int pare_bench_visit(struct pare_bench *bench, struct pare_visit *out, struct pare_error *err);

/* Multiply-accumulates of what one timed inference does for a sample, or a text. */
int pare_bench_macs(const struct pare_graph *graph, const struct pare_bench_shape *shape,
                    uint64_t *out, struct pare_error *err);

/* The plan behind a bench, for reports and profiles; the bench's. */
struct pare_plan *pare_bench_plan(struct pare_bench *bench);
/* Peak resident memory of this process so far, in bytes. */
uint64_t pare_peak_rss(void);

/* What is known of this machine, as a JSON object: hostname, cpu, cores, memory, kernel, isa,
 * governor,
 * ..., and `id`, a hash of what stays the same between boots. New reference. */
json_t *pare_host_facts(void);

#endif
