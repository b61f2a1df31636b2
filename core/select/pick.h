/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_SELECT_PICK_H
#define PARE_SELECT_PICK_H

#include "select/front.h"

/* One choice from a front by an explicit rule: of the members that meet the constraints, the one
 * that is best in the first named metric; within its tolerance the second decides, and so on. */
struct pare_pick {
    size_t chosen;    /* SIZE_MAX: nothing is feasible; then nearest_miss of the front holds */
    size_t runner_up; /* SIZE_MAX: it is the only one */
    struct pare_comparison against; /* chosen against runner-up in the first metric */
    /* What would be chosen if all that is not distinguishable from the choice in the first metric
     * were as good in it, and a further metric of the rule in which that is better beyond doubt;
     * SIZE_MAX: the choice itself. */
    size_t alike, by_next;
    double *margin; /* [n_bounds]: distance to the limit in the metric's unit, >= 0: kept */
    size_t n_bounds;
    size_t *tighter; /* [n_bounds]: the pick when that limit is 5 % tighter; SIZE_MAX: none */
};

/* `by`: indices of metrics, in order of weight (at least one). PARE_INVALID: none, or one that is
 * not there. Release with pare_pick_free(). */
int pare_pick(const struct pare_front_input *in, const struct pare_front *front, const size_t *by,
              size_t n_by, struct pare_pick *out, struct pare_error *err);
void pare_pick_free(struct pare_pick *pick);

#endif
