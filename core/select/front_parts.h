/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_SELECT_FRONT_PARTS_H
#define PARE_SELECT_FRONT_PARTS_H

#include "base/random.h"
#include "select/front.h"

/* The bootstrap's draws: figures of all variants in one replicate. */
struct pare_draw;

int pare__draw_new(const struct pare_front_input *in, struct pare_draw **out,
                   struct pare_error *err);
void pare__draw_free(struct pare_draw *draw);

/* Point estimates: value[i * n_metrics + m]; NaN where missing. */
void pare__draw_point(struct pare_draw *draw, double *value);

/* One replicate; the same draw of rounds (per session) and samples for every variant. */
void pare__draw_replicate(struct pare_draw *draw, struct pare_random *random, double *value);

#endif
