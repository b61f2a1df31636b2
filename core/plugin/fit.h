/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_FIT_H
#define PARE_PLUGIN_FIT_H

#include "plugin/context.h"

/* What a dropped branch is replaced by, fitted on the calibration samples through the stage's entry
 * graph, tokens weighted by their size: `*mean` alone, the branch's mean output; with `map` !=
 * NULL, the ridge least-squares fit F(x) = A x + b, A in *map (width x width, rows are outputs) and
 * b in *mean. Both are freed with free(). */
int pare_fit_branch(struct pare_stage *stage, const char *branch, float **mean, float **map,
                    struct pare_error *err);

/* The consumer's weight over the kept heads or channels that best reproduces its output:
 * W' = ((W H)_S + d W_S) inv(H_SS + d I), rows x kept columns, d = 1 % of the mean of H_SS's
 * diagonal. `keep` has one entry per unit. */
int pare_fit_consumer(struct pare_stage *stage, const char *branch, unsigned kind,
                      const uint8_t *keep, uint32_t n, float **out, struct pare_error *err);

/* Mean over all tokens of the cosine between a branch's or block's input and output. The first call
 * of a stage finds those of all, in one pass. */
int pare_fit_cosine(struct pare_stage *stage, const struct pare_unit *unit, double *out,
                    struct pare_error *err);

#endif
