/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_STAT_H
#define PARE_BASE_STAT_H

#include <stdbool.h>
#include <stddef.h>

/* The few statistics that every figure of Pare rests on. Pure functions, any thread, no allocation.
 * Where data are too few for what is asked the answer is NaN, which the database stores as NULL. */

struct pare_interval {
    double value, lo, hi;
};

/* Quantile of the standard normal and of Student's t with `df` > 0 degrees of freedom at 0 < p < 1;
 * absolute error below 1e-9 for |quantile| < 1000. */
double pare_stat_normal_quantile(double p);
double pare_stat_t_quantile(double p, double df);

void pare_stat_sort(double *x, size_t n); /* ascending; no NaN among them */

/* The median; sorts `x`. NaN for n = 0. */
double pare_stat_median(double *x, size_t n);

/* The p-quantile (0 <= p <= 1) of a sorted array, linear between order statistics (Hyndman and
 * Fan's type 7). NaN for n = 0. */
double pare_stat_quantile(const double *sorted, size_t n, double p);

/* Ranks (counting from 1) of the order statistics between which the median lies with at least the
 * confidence `level`, whatever the distribution: n = 12 at 0.95 gives 3 and 10. False when n is too
 * small (below 6 at 0.95). */
bool pare_stat_median_ranks(size_t n, double level, size_t *lo, size_t *hi);

/* The median with that interval; sorts `x`. */
struct pare_interval pare_stat_median_interval(double *x, size_t n, double level);

/* 20 % trimmed mean with the interval from the winsorised standard error (Yuen 1974; Tukey and
 * McLaughlin 1963): s_w / ((1 - 2g/n) sqrt(n)), g = floor(0.2 n), n - 2g - 1 degrees of freedom.
 * Sorts `x`. When the winsorised spread is zero the interval is the range of the data. `*spread`,
 * if not NULL, receives s_w / (1 - 2g/n), so that the standard error is spread / sqrt(n). */
struct pare_interval pare_stat_trimmed_mean(double *x, size_t n, double level, double *spread);

/* Mean with Student's interval. `*spread`, if not NULL, receives the standard deviation. */
struct pare_interval pare_stat_mean(const double *x, size_t n, double level, double *spread);

/* A proportion of `k` in `n` with Wilson's interval (1927). */
struct pare_interval pare_stat_wilson(size_t k, size_t n, double level);

/* Difference of two paired proportions, (gain - loss) / n, with the interval of Bonett and Price
 * (2012): `gain` samples are right in the first only, `loss` in the second only. The interval is
 * centred on the estimate with one added to both counts. */
struct pare_interval pare_stat_bonett_price(size_t gain, size_t loss, size_t n, double level);

#endif
