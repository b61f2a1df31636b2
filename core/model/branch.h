/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_BRANCH_H
#define PARE_MODEL_BRANCH_H

#include "model/graph.h"

/* A residual branch: y = x + F(x), found in the graph as an addition of which one input was
 * computed from the other. Its path is the addition's without ".add". */
struct pare_branch {
    uint32_t add;      /* index of the addition */
    uint32_t stream;   /* value x */
    uint32_t out;      /* value F(x) */
    uint32_t first;    /* index of its first node */
    int32_t attention; /* index of its attention node, -1: none */
    int32_t consumer;  /* the linear that writes F(x), -1: none */
    int32_t producer;  /* the linear whose rows are its hidden channels, -1: none */
    int32_t block;
    char path[PARE_PATH_MAX];
};

/* Look at the node `at`: true when it closes a branch, which is then described. */
bool pare_branch_at(const struct pare_graph *graph, uint32_t at, struct pare_branch *out);
/* By path; false: none. */
bool pare_branch_find(const struct pare_graph *graph, const char *path, struct pare_branch *out);
/* Whether the node at that index is inside the branch (between the stream and the addition). */
bool pare_branch_has(const struct pare_graph *graph, const struct pare_branch *branch, uint32_t at);

#endif
