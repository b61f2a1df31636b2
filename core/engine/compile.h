/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_ENGINE_COMPILE_H
#define PARE_ENGINE_COMPILE_H

#include "engine/engine.h"

/* What was decided for a node, once, when the plan was made. */
struct pare_plan_node {
    struct pare_packed *packed;
    struct pare_choice choice;
    char kernel[96];
};

struct pare_plan_tap {
    pare_tap_fn fn;
    void *user;
};

/* A graph as steps over slots in one arena. */
struct pare_program {
    struct pare_step *steps;
    uint32_t n_steps, cap_steps;
    struct pare_slot *slots;
    uint32_t n_slots, cap_slots;
    uint32_t *sizes_of; /* per value: the value of its token sizes, or 0: all are one */
    uint32_t *fused;    /* per node: 1 + node that it is part of, or 0 */
    uint32_t samples;   /* the arena holds */
    size_t arena_bytes, scratch_bytes;
};

/* `fuse`: whether operations may be fused; values with a tap stay. `samples`: of one pass; 0:
 * enough to fill the caches, at most `most`. */
int pare_program_new(const struct pare_graph *graph, const struct pare_kernels *kernels,
                     const struct pare_plan_node *nodes, const struct pare_plan_tap *taps,
                     bool fuse, uint32_t samples, uint32_t most, struct pare_program *out,
                     struct pare_error *err);
void pare_program_free(struct pare_program *p);

#endif
