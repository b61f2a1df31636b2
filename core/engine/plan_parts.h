/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_ENGINE_PLAN_PARTS_H
#define PARE_ENGINE_PLAN_PARTS_H

#include "engine/compile.h"
#include "engine/plan.h"

/* What plan.c and text.c share. */
struct pare_plan {
    struct pare_graph *graph; /* a copy; its weights are gone, their packed forms are in `nodes` */
    const struct pare_kernels *kernels;
    struct pare_plan_options options;
    struct pare_plan_node *nodes;
    struct pare_plan_tap *taps; /* per value */
    bool tapped, profiling, ran;
    struct pare_program program;
    uint32_t lanes; /* blocks of samples that run at once */
    char *arena, *scratch;
    struct pare_claims *claims; /* per step */
    size_t arena_bytes;         /* of all lanes */
    struct pare_node_report *reports;
    uint64_t *times;
    struct pare_rows *rows; /* per lane and group */
    uint32_t *starts;       /* text: rows of all groups, for texts that differ in length */
};

/* The most rows that one pass reads. */
uint32_t pare_plan_rows(const struct pare_plan *plan);
/* One pass over `run`, whose rows, passage and inputs are set, by all threads. */
int pare_plan_pass(struct pare_plan *plan, struct pare_run *run, struct pare_error *err);
/* n outputs: PARE_FAILED names the first that is not finite. */
int pare_plan_check(const struct pare_plan *plan, const float *out, uint32_t n,
                    struct pare_error *err);

#endif
