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
 * false (alive may be NULL) neither compete nor win; one with a NaN is on the front and beats
 * nobody. n log n up to three columns, above n times the front. Errors: PARE_NOMEM. */
int pare_front_mask(const double *x, size_t n, size_t k, const bool *alive, bool *on,
                    struct pare_error *err);

/* Ranks of the non-dominated sort (Deb et al. 2002): 0 for the front, 1 for the front of the rest,
 * ... Each point, from the best in the first column on, searches the fronts by bisection (Zhang et
 * al. 2015). Errors: PARE_NOMEM. */
int pare_front_ranks(const double *x, size_t n, size_t k, size_t *rank, struct pare_error *err);

/* Which points are dominated whatever their errors do: best[i] and worst[i] are the corners of the
 * box that i lies in. rival[i] is one with may[j] whose worst corner dominates the best corner of
 * i; SIZE_MAX: there is none. A NaN takes no part. `*looked`, if not NULL, grows by the number of
 * corners that were looked at: n log n up to three columns. Errors: PARE_NOMEM. */
int pare_front_settled(const double *best, const double *worst, size_t n, size_t k, const bool *may,
                       size_t *rival, size_t *looked, struct pare_error *err);

/* Volume between the points and the reference point, which bounds them from above; what does not
 * beat it in every coordinate counts nothing. k is 2 or 3, else PARE_UNSUPPORTED. */
int pare_hypervolume(const double *x, size_t n, size_t k, const double *reference, double *out,
                     struct pare_error *err);

/* The knee: the point farthest below the chord (k = 2) or hyperplane (k >= 3) through the extremes,
 * with every coordinate scaled to [0, 1] over the points. distance[i] is each point's, positive
 * below. Returns its index, SIZE_MAX when no point is below (or fewer than three points). */
size_t pare_knee(const double *x, size_t n, size_t k, double *distance);

#endif
