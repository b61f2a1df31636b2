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

/* ---- sorted points and growing fronts ---- */

struct entry {
    const double *x;
    size_t at, k;
};

static int by_columns(const void *a, const void *b)
{
    const struct entry *p = a, *q = b;
    for (size_t j = 0; j < p->k; j++) {
        if (p->x[j] != q->x[j])
            return p->x[j] < q->x[j] ? -1 : 1;
    }
    return (p->at > q->at) - (p->at < q->at);
}

static bool same(const double *a, const double *b, size_t k)
{
    for (size_t j = 0; j < k; j++) {
        if (a[j] != b[j])
            return false;
    }
    return true;
}

static bool has_nan(const double *x, size_t k)
{
    for (size_t j = 0; j < k; j++) {
        if (isnan(x[j]))
            return true;
    }
    return false;
}

/* The points of `x` that take part, ascending by their columns; NULL: memory is out. */
static struct entry *sorted(const double *x, size_t n, size_t k, const bool *alive, size_t *m)
{
    struct entry *e = pare_alloc(n, sizeof *e);
    *m = 0;
    for (size_t i = 0; e && i < n; i++) {
        if ((!alive || alive[i]) && !has_nan(x + i * k, k))
            e[(*m)++] = (struct entry){x + i * k, i, k};
    }
    if (e)
        qsort(e, *m, sizeof *e, by_columns);
    return e;
}

/* Points that come in ascending order of the first column. Up to three columns they are a staircase
 * in the other two: the second ascends, the third descends, what is covered there is left out. */
struct front {
    struct entry *items;
    size_t n, cap;
};

static double column(const struct entry *e, size_t j)
{
    return j < e->k ? e->x[j] : 0;
}

/* The first step whose second column is above y. */
static size_t step_above(const struct front *f, double y, size_t *looked)
{
    size_t lo = 0, hi = f->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        ++*looked;
        if (column(&f->items[mid], 1) <= y)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* A member that is no worse than p in all columns. It is p's equal only where none dominates p. */
static const struct entry *covering(const struct front *f, const struct entry *p, size_t *looked)
{
    if (p->k <= 3) {
        size_t at = step_above(f, column(p, 1), looked);
        return at && column(&f->items[at - 1], 2) <= column(p, 2) ? &f->items[at - 1] : NULL;
    }
    const struct entry *equal = NULL;
    for (size_t i = 0; i < f->n; i++) {
        ++*looked;
        if (pare_dominates(f->items[i].x, p->x, p->k))
            return &f->items[i];
        if (same(f->items[i].x, p->x, p->k))
            equal = &f->items[i];
    }
    return equal;
}

/* Add a point that nothing covers. */
static bool join(struct front *f, const struct entry *p, size_t *looked)
{
    if (!pare_grow(&f->items, &f->cap, f->n + 1, sizeof *f->items))
        return false;
    if (p->k > 3) {
        f->items[f->n++] = *p;
        return true;
    }
    size_t at = step_above(f, column(p, 1), looked), end = at;
    if (at && column(&f->items[at - 1], 1) == column(p, 1))
        at--; /* its third column is larger, or it would cover p */
    while (end < f->n && column(&f->items[end], 2) >= column(p, 2))
        end++;
    memmove(f->items + at + 1, f->items + end, (f->n - end) * sizeof *f->items);
    f->items[at] = *p;
    f->n = f->n - (end - at) + 1;
    return true;
}

int pare_front_mask(const double *x, size_t n, size_t k, const bool *alive, bool *on,
                    struct pare_error *err)
{
    struct front front = {0};
    size_t m, looked = 0;
    struct entry *e = sorted(x, n, k, alive, &m);
    bool fine = e != NULL;
    for (size_t i = 0; i < n; i++)
        on[i] = (!alive || alive[i]) && has_nan(x + i * k, k);
    for (size_t i = 0; fine && i < m; i++) {
        if (i && same(e[i].x, e[i - 1].x, k)) {
            on[e[i].at] = on[e[i - 1].at];
            continue;
        }
        on[e[i].at] = covering(&front, &e[i], &looked) == NULL;
        if (on[e[i].at])
            fine = join(&front, &e[i], &looked);
    }
    free(front.items);
    free(e);
    return fine ? PARE_OK : pare_error_nomem(err, n * sizeof *e);
}

int pare_front_ranks(const double *x, size_t n, size_t k, size_t *rank, struct pare_error *err)
{
    struct front *fronts = NULL;
    size_t m, n_fronts = 0, cap = 0, looked = 0;
    struct entry *e = sorted(x, n, k, NULL, &m);
    bool fine = e != NULL;
    for (size_t i = 0; i < n; i++)
        rank[i] = 0; /* what has a NaN is beaten by nothing */
    for (size_t i = 0; fine && i < m; i++) {
        if (i && same(e[i].x, e[i - 1].x, k)) {
            rank[e[i].at] = rank[e[i - 1].at];
            continue;
        }
        size_t lo = 0, hi = n_fronts; /* what a front covers, all better fronts cover */
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (covering(&fronts[mid], &e[i], &looked))
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo == n_fronts) {
            fine = pare_grow(&fronts, &cap, n_fronts + 1, sizeof *fronts);
            if (fine)
                fronts[n_fronts++] = (struct front){0};
        }
        fine = fine && join(&fronts[lo], &e[i], &looked);
        rank[e[i].at] = lo;
    }
    for (size_t f = 0; f < n_fronts; f++)
        free(fronts[f].items);
    free(fronts);
    free(e);
    return fine ? PARE_OK : pare_error_nomem(err, n * sizeof *e);
}

int pare_front_settled(const double *best, const double *worst, size_t n, size_t k, const bool *may,
                       size_t *rival, size_t *looked, struct pare_error *err)
{
    struct front front = {0};
    size_t m, n_rivals, next = 0, count = 0;
    struct entry *e = sorted(best, n, k, NULL, &m);
    struct entry *rivals = sorted(worst, n, k, may, &n_rivals);
    bool fine = e && rivals;
    for (size_t i = 0; i < n; i++)
        rival[i] = SIZE_MAX;
    for (size_t i = 0; fine && i < m; i++) {
        for (; fine && next < n_rivals && rivals[next].x[0] <= e[i].x[0]; next++) {
            if (!covering(&front, &rivals[next], &count))
                fine = join(&front, &rivals[next], &count);
        }
        const struct entry *r = covering(&front, &e[i], &count);
        if (r && !same(r->x, e[i].x, k))
            rival[e[i].at] = r->at;
    }
    if (looked)
        *looked += count;
    free(front.items);
    free(e);
    free(rivals);
    return fine ? PARE_OK : pare_error_nomem(err, n * sizeof *e);
}

/* ---- volume and knee ---- */

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
