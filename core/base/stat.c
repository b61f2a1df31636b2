/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stat.h"

#include <math.h>
#include <stdlib.h>

#define NONE ((struct pare_interval){NAN, NAN, NAN})

double pare_stat_normal_quantile(double p)
{
    if (!(p > 0 && p < 1))
        return NAN;
    if (p == 0.5)
        return 0;
    /* Bisection on erfc is exact to the last digits and this is no inner loop. */
    double q = p < 0.5 ? p : 1 - p, lo = 0, hi = 40;
    for (int i = 0; i < 200 && hi - lo > 1e-15 * hi; i++) {
        double mid = (lo + hi) / 2;
        if (0.5 * erfc(mid * M_SQRT1_2) > q)
            lo = mid;
        else
            hi = mid;
    }
    return p < 0.5 ? -(lo + hi) / 2 : (lo + hi) / 2;
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 500; m++) {
        double steps[2] = {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                           -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))};
        double change = 1;
        for (int k = 0; k < 2; k++) {
            d = 1 + steps[k] * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + steps[k] / c;
            c = fabs(c) < tiny ? tiny : c;
            change = d * c;
            h *= change;
        }
        if (fabs(change - 1) < 1e-16)
            break;
    }
    return h;
}

static double beta_regularised(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double pare_stat_t_quantile(double p, double df)
{
    if (!(p > 0 && p < 1) || !(df > 0))
        return NAN;
    if (p == 0.5)
        return 0;
    double q = p < 0.5 ? p : 1 - p, lo = 0, hi = 1;
    /* P(T > t) = I(df / (df + t^2); df/2, 1/2) / 2 */
    while (hi < 1e12 && 0.5 * beta_regularised(df / 2, 0.5, df / (df + hi * hi)) > q)
        hi *= 2;
    for (int i = 0; i < 200 && hi - lo > 1e-14 * hi; i++) {
        double mid = (lo + hi) / 2;
        if (0.5 * beta_regularised(df / 2, 0.5, df / (df + mid * mid)) > q)
            lo = mid;
        else
            hi = mid;
    }
    return p < 0.5 ? -(lo + hi) / 2 : (lo + hi) / 2;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void pare_stat_sort(double *x, size_t n)
{
    if (n > 32) {
        qsort(x, n, sizeof *x, ascending);
        return;
    }
    for (size_t i = 1; i < n; i++) { /* rounds are few and the bootstrap sorts many times */
        double v = x[i];
        size_t j = i;
        for (; j && x[j - 1] > v; j--)
            x[j] = x[j - 1];
        x[j] = v;
    }
}

double pare_stat_median(double *x, size_t n)
{
    if (n == 0)
        return NAN;
    pare_stat_sort(x, n);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

double pare_stat_quantile(const double *sorted, size_t n, double p)
{
    if (n == 0)
        return NAN;
    double at = p * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

bool pare_stat_median_ranks(size_t n, double level, size_t *lo, size_t *hi)
{
    /* The largest k with 2 P(Binomial(n, 1/2) <= k - 1) <= 1 - level. */
    double tail = 0, log_term = -(double)n * M_LN2;
    size_t k = 0;
    while (k < n / 2) {
        tail += exp(log_term);
        if (2 * tail > (1 - level) * (1 + 1e-12))
            break;
        log_term += log((double)(n - k) / (double)(k + 1));
        k++;
    }
    if (k == 0)
        return false;
    *lo = k;
    *hi = n + 1 - k;
    return true;
}

struct pare_interval pare_stat_median_interval(double *x, size_t n, double level)
{
    struct pare_interval out = NONE;
    size_t lo, hi;
    out.value = pare_stat_median(x, n);
    if (pare_stat_median_ranks(n, level, &lo, &hi)) {
        out.lo = x[lo - 1];
        out.hi = x[hi - 1];
    }
    return out;
}

struct pare_interval pare_stat_trimmed_mean(double *x, size_t n, double level, double *spread)
{
    struct pare_interval out = NONE;
    if (spread)
        *spread = NAN;
    if (n == 0)
        return out;
    pare_stat_sort(x, n);
    size_t g = n / 5, kept = n - 2 * g;
    double sum = 0, winsorised = 0, squares = 0;
    for (size_t i = g; i < n - g; i++)
        sum += x[i];
    out.value = sum / (double)kept;
    if (kept < 2)
        return out;
    for (size_t i = 0; i < n; i++)
        winsorised += i < g ? x[g] : i >= n - g ? x[n - g - 1] : x[i];
    winsorised /= (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = (i < g ? x[g] : i >= n - g ? x[n - g - 1] : x[i]) - winsorised;
        squares += d * d;
    }
    double s = sqrt(squares / (double)(n - 1)) * (double)n / (double)kept;
    if (spread)
        *spread = s;
    if (s == 0) {
        out.lo = x[0];
        out.hi = x[n - 1];
        return out;
    }
    double half =
        pare_stat_t_quantile(1 - (1 - level) / 2, (double)(kept - 1)) * s / sqrt((double)n);
    out.lo = out.value - half;
    out.hi = out.value + half;
    return out;
}

struct pare_interval pare_stat_mean(const double *x, size_t n, double level, double *spread)
{
    struct pare_interval out = NONE;
    double sum = 0, squares = 0;
    if (spread)
        *spread = NAN;
    if (n == 0)
        return out;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    out.value = sum / (double)n;
    if (n < 2)
        return out;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - out.value) * (x[i] - out.value);
    double s = sqrt(squares / (double)(n - 1));
    if (spread)
        *spread = s;
    double half = pare_stat_t_quantile(1 - (1 - level) / 2, (double)(n - 1)) * s / sqrt((double)n);
    out.lo = out.value - half;
    out.hi = out.value + half;
    return out;
}

struct pare_interval pare_stat_wilson(size_t k, size_t n, double level)
{
    if (n == 0)
        return NONE;
    double z = pare_stat_normal_quantile(1 - (1 - level) / 2), N = (double)n, p = (double)k / N;
    double centre = (p + z * z / (2 * N)) / (1 + z * z / N);
    double half = z / (1 + z * z / N) * sqrt(p * (1 - p) / N + z * z / (4 * N * N));
    return (struct pare_interval){p, k == 0 ? 0 : centre - half, k == n ? 1 : centre + half};
}

struct pare_interval pare_stat_bonett_price(size_t gain, size_t loss, size_t n, double level)
{
    if (n == 0)
        return NONE;
    double z = pare_stat_normal_quantile(1 - (1 - level) / 2), m = (double)n + 2;
    double p12 = ((double)gain + 1) / m, p21 = ((double)loss + 1) / m, d = p12 - p21;
    double half = z * sqrt((p12 + p21 - d * d) / m);
    return (struct pare_interval){((double)gain - (double)loss) / (double)n, fmax(d - half, -1),
                                  fmin(d + half, 1)};
}
