/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_SELECT_DOMINANCE_H
#define PARE_SELECT_DOMINANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Exact geometry of points where smaller is better in every coordinate: `x` holds n rows of k
 * columns. Pure functions, any thread. */

/* Whether a is no worse in all and better in one. */
bool pare_dominates(const double *a, const double *b, size_t k);

/* on[i]: no other point dominates i. Equal points are on the front together. Points with alive[i]
 * false (alive may be NULL) neither compete nor win. */
void pare_front_mask(const double *x, size_t n, size_t k, const bool *alive, bool *on);

/* Ranks of the non-dominated sort (Deb et al. 2002): 0 for the front, 1 for the front of the rest,
 * ... */
void pare_front_ranks(const double *x, size_t n, size_t k, size_t *rank);

/* Volume between the points and the reference point, which bounds them from above; what does not
 * beat it in every coordinate counts nothing. k is 2 or 3, else PARE_UNSUPPORTED. */
int pare_hypervolume(const double *x, size_t n, size_t k, const double *reference, double *out,
                     struct pare_error *err);

/* The knee: the point farthest below the chord (k = 2) or hyperplane (k >= 3) through the extremes,
 * with every coordinate scaled to [0, 1] over the points. distance[i] is each point's, positive
 * below. Returns its index, SIZE_MAX when no point is below (or fewer than three points). */
size_t pare_knee(const double *x, size_t n, size_t k, double *distance);

#endif
