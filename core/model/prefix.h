/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_PREFIX_H
#define PARE_MODEL_PREFIX_H

#include <stddef.h>

#include "base/hash.h"
#include "model/graph.h"

#define PARE_POINT_VALUES 2 /* the stream, and the token sizes once tokens have merged */

/* A point between two nodes where few values live: who has these values can run the rest of the
 * graph without what comes before. */
struct pare_point {
    uint32_t at; /* index of the first node of the rest */
    uint32_t n;  /* values that are read there or later and written before; never the image */
    uint32_t values[PARE_POINT_VALUES]; /* ascending by who writes them */
    size_t floats[PARE_POINT_VALUES];   /* of each, per sample */
    uint64_t macs;                      /* of the nodes before, per sample */
    char key[PARE_HASH_HEX];            /* of all that these values depend on but the image */
};

/* Floats per sample of all values at a point. */
size_t pare_point_floats(const struct pare_point *point);

/* All points of a graph whose shapes are known (pare_graph_infer()), in execution order. Two graphs
 * have a point with the same key exactly when their nodes before it do the same with the same
 * parameters (compared by content, so in files of different models too) and the same values live
 * there: on the same images, with the same kernels, these values are equal bit for bit. Costs a
 * SHA-256 over the weights. `*out` is freed with free(). Errors: PARE_NOMEM. Any thread. */
int pare_graph_points(const struct pare_graph *graph, struct pare_point **out, size_t *n,
                      struct pare_error *err);

#endif
