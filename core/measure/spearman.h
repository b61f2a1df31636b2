/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_SPEARMAN_H
#define PARE_MEASURE_SPEARMAN_H

#include "base/stat.h"
#include "base/status.h"

/* Spearman's rank correlation of two lists of n finite numbers: Pearson's of their ranks, the
 * average rank where some are equal. The interval at 95 % is that of 1,000 bootstrap replicates
 * over pairs, drawn from a fixed seed. `part` (n, or NULL) gets what each pair adds: their mean is
 * rho, and their spread over sqrt(n) its standard error, the jackknife's (Efron 1982), so that two
 * lists measured on the same pairs are compared pair by pair. Figures are NaN where one of the
 * lists is all one value, or n is below 3. n log n. Errors: PARE_NOMEM. Any thread. */
/* Why there is none of them; NULL: there is one. Without x as far as y alone tells. */
const char *pare_spearman_lacks(const float *x, const double *y, size_t n);
int pare_spearman(const float *x, const double *y, size_t n, struct pare_interval *rho, float *part,
                  struct pare_error *err);

#endif
