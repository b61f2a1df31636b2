/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_ENGINE_PLAN_H
#define PARE_ENGINE_PLAN_H

#include <stdbool.h>

#include "model/graph.h"

/* Instruction sets, ascending. PARE_ISA=scalar|avx2|avx512|avx512vnni|avx512bf16 lowers the choice.
 */
enum pare_isa {
    PARE_ISA_SCALAR = 0,
    PARE_ISA_AVX2,
    PARE_ISA_AVX512,
    PARE_ISA_AVX512VNNI,
    PARE_ISA_AVX512BF16, /* and VNNI */
    PARE_ISA_COUNT
};

enum pare_isa
pare_isa_best(void); /* of this CPU, lowered by PARE_ISA; an unknown name is ignored */
const char *pare_isa_name(enum pare_isa isa);

/* Denormals to zero (FTZ and DAZ) on this thread and on every OpenMP thread. Call before the first
 * parallel region of a process that runs models. */
void pare_flush_denormals(void);

/* A plan is a graph compiled for a batch, a number of threads and an instruction set: weights
 * packed for their kernels, one arena for all values, operations fused. It shares nothing mutable
 * with the graph and keeps what it needs alive. One thread at a time may run it. Results depend on
 * the graph and the instruction set, not on batch, threads, or what else is in the batch. */
struct pare_plan;

struct pare_plan_options {
    uint32_t batch;   /* most samples of one run, at least 1; of text: of the graph's length */
    uint32_t threads; /* at least 1 */
    int isa;          /* enum pare_isa, or -1: the best */
    bool reference;   /* every operation by its portable scalar reference */
    bool no_fusion;   /* keep every value, so that taps see all */
    uint32_t wanted;  /* text: most outputs of one pass; 0: of every token */
    uint32_t context; /* text: most tokens of one with a cache; 0: the graph's length */
};

int pare_plan_new(const struct pare_graph *graph, const struct pare_plan_options *options,
                  struct pare_plan **out, struct pare_error *err);
void pare_plan_free(struct pare_plan *plan);

/* Run `n` <= batch samples: inputs is n * pare_graph_inputs(), images normalised or token ids of
 * texts of full length; out n * pare_graph_outputs(). PARE_FAILED when an output is not finite. */
int pare_plan_run(struct pare_plan *plan, const float *inputs, uint32_t n, float *out,
                  struct pare_error *err);

/* Taps: called right after a value was written (value 0: before the first node), with n samples of
 * tokens * width. `sizes`: n * tokens, how many source tokens each stands for, or NULL when all are
 * one. Values that taps name are never fused away. Taps are set before the first run. */
typedef int (*pare_tap_fn)(void *user, uint32_t value, const float *data, const float *sizes,
                           uint32_t n, uint32_t tokens, uint32_t width);
int pare_plan_tap(struct pare_plan *plan, uint32_t value, pare_tap_fn fn, void *user,
                  struct pare_error *err);

/* Run from the node at index `first` of the graph on. `given` lists the values that earlier nodes
 * would have written and later ones read (with their data, n samples each); all others are
 * computed. pare_graph_live() tells which those are. Only for plans with no_fusion. */
struct pare_given {
    uint32_t value;
    const float *data;
};
int pare_plan_run_from(struct pare_plan *plan, uint32_t first, const struct pare_given *given,
                       uint32_t n_given, uint32_t n, float *out, struct pare_error *err);
/* Values alive before node `first`: written (or the input) before it and read at or after it. `out`
 * holds graph->n_values; returns the number. */
uint32_t pare_graph_live(const struct pare_graph *graph, uint32_t first, uint32_t *out);

/* What a plan does for each node: for `pare why` and `pare bench --layers`. */
struct pare_node_report {
    const char *path; /* valid as long as the plan */
    const char
        *kernel; /* "f32 dense avx512", "int8 dynamic avx512vnni", "decode int3 -> f32 avx2", ... */
    uint64_t macs;         /* per sample, as the graph counts */
    uint64_t packed_bytes; /* of the weight as packed for the kernel */
    bool decoded;          /* no kernel of its own: decoded to a wider form */
};
uint32_t pare_plan_reports(const struct pare_plan *plan, const struct pare_node_report **out);
/* The kernel that does the most multiply-adds of weights, for tables of one line; "" without
 * weights. Valid as long as the plan. */
const char *pare_plan_main_kernel(const struct pare_plan *plan);

/* Time of each node in the next runs, in ns, added up; indices as in pare_plan_reports(). Off by
 * default: it costs a clock reading per node. */
void pare_plan_profile(struct pare_plan *plan, bool on);
const uint64_t *pare_plan_times(const struct pare_plan *plan);

uint64_t pare_plan_arena_bytes(const struct pare_plan *plan);

#endif
