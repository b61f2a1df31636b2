/* SPDX-License-Identifier: Apache-2.0 */
#include "select/dominance.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

bool pare_dominates(const double *a, const double *b, size_t k)
{
    bool better = false;
    for (size_t j = 0; j < k; j++) {
        if (!(a[j] <= b[j]))
            return false;
        better |= a[j] < b[j];
    }
    return better;
}

void pare_front_mask(const double *x, size_t n, size_t k, const bool *alive, bool *on)
{
    for (size_t i = 0; i < n; i++) {
        on[i] = !alive || alive[i];
        for (size_t j = 0; on[i] && j < n; j++) {
            if ((!alive || alive[j]) && pare_dominates(x + j * k, x + i * k, k))
                on[i] = false;
        }
    }
}

void pare_front_ranks(const double *x, size_t n, size_t k, size_t *rank)
{
    size_t left = n;
    for (size_t i = 0; i < n; i++)
        rank[i] = SIZE_MAX;
    for (size_t r = 0; left; r++) {
        for (size_t i = 0; i < n; i++) {
            bool beaten = rank[i] != SIZE_MAX;
            /* A rival of this very rank has been set to r already and still competes. */
            for (size_t j = 0; !beaten && j < n; j++)
                beaten = (rank[j] == SIZE_MAX || rank[j] == r) &&
                         pare_dominates(x + j * k, x + i * k, k);
            if (!beaten) {
                rank[i] = r;
                left--;
            }
        }
    }
}

struct point {
    double c[3];
};

static int by_first(const void *a, const void *b)
{
    double x = ((const struct point *)a)->c[0], y = ((const struct point *)b)->c[0];
    return (x > y) - (x < y);
}

static int by_last(const void *a, const void *b)
{
    double x = ((const struct point *)a)->c[2], y = ((const struct point *)b)->c[2];
    return (x > y) - (x < y);
}

/* Area of the first two coordinates; sorts the points. */
static double area(struct point *p, size_t n, const double *reference)
{
    double total = 0, floor = reference[1];
    qsort(p, n, sizeof *p, by_first);
    for (size_t i = 0; i < n; i++) {
        if (p[i].c[1] < floor) {
            total += (reference[0] - p[i].c[0]) * (floor - p[i].c[1]);
            floor = p[i].c[1];
        }
    }
    return total;
}

int pare_hypervolume(const double *x, size_t n, size_t k, const double *reference, double *out,
                     struct pare_error *err)
{
    if (k != 2 && k != 3)
        return pare_error_set(err, PARE_UNSUPPORTED,
                              "the hypervolume is known for 2 and 3 objectives, not for %zu", k);
    struct point *p = pare_alloc(n, 2 * sizeof *p);
    if (!p)
        return pare_error_nomem(err, n * 2 * sizeof *p);
    struct point *slice = p + n;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        bool inside = true;
        for (size_t j = 0; j < k; j++)
            inside &= x[i * k + j] < reference[j];
        if (inside) {
            p[m] = (struct point){{0}};
            memcpy(p[m++].c, x + i * k, k * sizeof *x);
        }
    }
    *out = 0;
    if (k == 2) {
        *out = area(p, m, reference);
    } else { /* slices between the values of the third coordinate */
        qsort(p, m, sizeof *p, by_last);
        for (size_t i = 0; i < m; i++) {
            double top = i + 1 < m ? p[i + 1].c[2] : reference[2];
            if (top > p[i].c[2]) {
                memcpy(slice, p, (i + 1) * sizeof *p);
                *out += (top - p[i].c[2]) * area(slice, i + 1, reference);
            }
        }
    }
    free(p);
    return PARE_OK;
}

#define KNEE_MAX 8

/* Solve the k by k system a w = 1 by elimination with pivoting; false when it is singular. */
static bool solve_ones(double a[KNEE_MAX][KNEE_MAX + 1], size_t k, double *w)
{
    for (size_t i = 0; i < k; i++)
        a[i][k] = 1;
    for (size_t c = 0; c < k; c++) {
        size_t best = c;
        for (size_t r = c + 1; r < k; r++)
            best = fabs(a[r][c]) > fabs(a[best][c]) ? r : best;
        if (fabs(a[best][c]) < 1e-9)
            return false;
        for (size_t j = 0; j <= k; j++) {
            double t = a[c][j];
            a[c][j] = a[best][j];
            a[best][j] = t;
        }
        for (size_t r = 0; r < k; r++) {
            double f = r == c ? 0 : a[r][c] / a[c][c];
            for (size_t j = c; j <= k; j++)
                a[r][j] -= f * a[c][j];
        }
    }
    for (size_t i = 0; i < k; i++)
        w[i] = a[i][k] / a[i][i];
    return true;
}

size_t pare_knee(const double *x, size_t n, size_t k, double *distance)
{
    double lo[KNEE_MAX], span[KNEE_MAX], w[KNEE_MAX], a[KNEE_MAX][KNEE_MAX + 1];
    size_t best = SIZE_MAX, used[KNEE_MAX], m = 0;
    for (size_t i = 0; i < n; i++)
        distance[i] = 0;
    if (n < 3 || k < 2 || k > KNEE_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j < k; j++) { /* a coordinate in which all agree decides nothing */
        double hi = lo[j] = x[j];
        for (size_t i = 1; i < n; i++) {
            lo[j] = fmin(lo[j], x[i * k + j]);
            hi = fmax(hi, x[i * k + j]);
        }
        span[j] = hi - lo[j];
        if (span[j] > 0)
            used[m++] = j;
    }
    if (m < 2)
        return SIZE_MAX;
    /* An extreme of a coordinate is the point that is worst in it; of equals the better in sum. The
     * plane through them is w . y = 1 in scaled coordinates. */
    for (size_t r = 0; r < m; r++) {
        double most = -1, least = 0;
        for (size_t i = 0; i < n; i++) {
            double at = (x[i * k + used[r]] - lo[used[r]]) / span[used[r]], sum = 0;
            for (size_t c = 0; c < m; c++)
                sum += (x[i * k + used[c]] - lo[used[c]]) / span[used[c]];
            if (at > most || (at == most && sum < least)) {
                most = at;
                least = sum;
                for (size_t c = 0; c < m; c++)
                    a[r][c] = (x[i * k + used[c]] - lo[used[c]]) / span[used[c]];
            }
        }
    }
    bool usable = solve_ones(a, m, w);
    double norm = 0;
    for (size_t c = 0; c < m; c++) {
        usable = usable && w[c] > 0;
        norm += w[c] * w[c];
    }
    if (!usable) { /* extremes that coincide or tilt the plane: the simplex of the scaled box */
        for (size_t c = 0; c < m; c++)
            w[c] = 1;
        norm = (double)m;
    }
    for (size_t i = 0; i < n; i++) {
        double y = 0;
        for (size_t c = 0; c < m; c++)
            y += w[c] * (x[i * k + used[c]] - lo[used[c]]) / span[used[c]];
        distance[i] = (1 - y) / sqrt(norm);
        if (distance[i] > 1e-12 && (best == SIZE_MAX || distance[i] > distance[best]))
            best = i;
    }
    return best;
}
