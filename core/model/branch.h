/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_BRANCH_H
#define PARE_MODEL_BRANCH_H

#include "model/graph.h"

#define PARE_PRODUCERS 2
#define PARE_BETWEEN 4

/* A residual branch: y = x + F(x), found in the graph as an addition of which one input was
 * computed from the other. Its path is the addition's without ".add". */
struct pare_branch {
    uint32_t add;                      /* index of the addition */
    uint32_t stream;                   /* value x */
    uint32_t out;                      /* value F(x) */
    uint32_t first;                    /* index of its first node */
    int32_t attention;                 /* index of its attention node, -1: none */
    int32_t last;                      /* the linear that writes F(x), -1: none */
    int32_t consumer;                  /* the linear whose columns are its heads or hidden channels:
                                          `last`, or the basis of that; -1: none */
    int32_t producers[PARE_PRODUCERS]; /* linears whose rows are its hidden channels: the up linear,
                                          with SwiGLU gate and up */
    uint32_t n_producers;
    int32_t block;
    char path[PARE_PATH_MAX];
};

/* Look at the node `at`: true when it closes a branch, which is then described. */
bool pare_branch_at(const struct pare_graph *graph, uint32_t at, struct pare_branch *out);
/* By path; false: none. */
bool pare_branch_find(const struct pare_graph *graph, const char *path, struct pare_branch *out);
/* Whether the node at that index is inside the branch (between the stream and the addition). */
bool pare_branch_has(const struct pare_graph *graph, const struct pare_branch *branch, uint32_t at);

/* A linear whose weight is a product of two reads its basis, the linear PATH.basis: the index of
 * that, or -1. */
int32_t pare_graph_basis(const struct pare_graph *graph, uint32_t at);
/* Length of a linear's path or role without the ".basis" of one that is a basis. */
size_t pare_basis_stem(const char *name);

/* Whether some attention of the graph is causal: then tokens cannot merge, as later ones would mix
 * into earlier ones. */
bool pare_graph_causal(const struct pare_graph *graph);

/* Where queries, keys or values come from: a linear, and what works on each head by itself (norms
 * of queries and keys, rotations) or adds a vector, from the linear on. */
struct pare_source {
    uint32_t linear;
    uint32_t between[PARE_BETWEEN];
    uint32_t n;
};
/* The source of an input of attention; false: it does not come from a linear. */
bool pare_branch_source(const struct pare_graph *graph, const struct pare_branch *branch,
                        uint32_t input, struct pare_source *out);

/* Heads or channels (PARE_UNIT_HEAD, PARE_UNIT_CHANNEL) that can be removed one by one; 0: none.
 * Query heads that share a head of keys and values are one: none of them can go without the others.
 * Each fills as many columns of the consumer. */
uint32_t pare_branch_units(const struct pare_graph *graph, const struct pare_branch *branch,
                           unsigned kind);
/* The number that the i-th of them had in the original model. */
uint32_t pare_branch_unit_id(const struct pare_graph *graph, const struct pare_branch *branch,
                             unsigned kind, uint32_t i);

/* Keep the keys and values of a branch's attention as 32, 16, 8 or 4 bits. PARE_UNSUPPORTED: its
 * attention is not causal, so that nothing is kept. */
int pare_graph_cache_bits(struct pare_graph *graph, const char *branch, uint32_t bits,
                          struct pare_error *err);

#endif
