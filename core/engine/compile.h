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
    uint32_t *sizes_of;        /* per value: the value of its token sizes, or 0: all are one */
    uint32_t *fused;           /* per node: 1 + node that it is part of, or 0 */
    struct pare_group *groups; /* the input's is the first; a group comes after its parent */
    uint32_t n_groups;
    uint32_t samples; /* the arena holds */
    uint32_t wanted;  /* rows that may be asked for in a pass; 0: all */
    size_t arena_bytes, scratch_bytes;
};

/* How much a pass has to hold. */
struct pare_extent {
    uint32_t samples; /* of one pass; 0: enough to fill the caches, at most `most` */
    uint32_t most;
    uint32_t wanted;  /* rows asked for; 0: all */
    uint32_t context; /* tokens that a text may have in the cache */
};

/* `fuse`: whether operations may be fused; values with a tap stay. */
int pare_program_new(const struct pare_graph *graph, const struct pare_kernels *kernels,
                     const struct pare_plan_node *nodes, const struct pare_plan_tap *taps,
                     bool fuse, const struct pare_extent *extent, struct pare_program *out,
                     struct pare_error *err);
void pare_program_free(struct pare_program *p);

#endif
