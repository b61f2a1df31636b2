/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_SHOW_PROFILE_H
#define PARE_CLI_SHOW_PROFILE_H

#include "cli/table.h"
#include "engine/plan.h"

/* Where the time of a model goes: per node the median over many inferences, per sample. */
struct pare_profile {
    uint32_t n;                       /* nodes */
    double *ns;                       /* [n] */
    double total_ns;                  /* the median of the whole inference, while it was profiled */
    struct pare_node_report *reports; /* [n]; texts are the pool's */
    uint8_t *op;                      /* [n] enum pare_op */
    uint64_t *bytes;                  /* [n] stored payloads of the node */
    struct pare_pool pool;
};

/* What is profiled: how many samples at once, and of a text how many tokens (0: the graph's
 * length), on how many threads, how often. */
struct pare_profile_shape {
    uint32_t batch, tokens, threads, runs;
};

/* Profile some models together, one inference of each in turn, so that disturbances meet all alike;
 * inputs are random. `out` has one per graph, each released with pare_profile_free(). Call
 * pare_flush_denormals() before. */
int pare_profile_run(const struct pare_graph *const *graphs, size_t n,
                     const struct pare_profile_shape *shape, struct pare_profile *const *out,
                     struct pare_error *err);
void pare_profile_free(struct pare_profile *profile);

/* One row per node. False: it could not be written. */
bool pare_profile_print(const struct pare_profile *profile, enum pare_format format, FILE *to);

#endif
