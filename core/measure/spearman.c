/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/spearman.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"

#define REPLICATES 1000u
#define SEED 20261123u

struct place {
    double value;
    uint32_t at;
};

/* One list. Equal numbers are a group; groups are numbered in ascending order. */
struct list {
    struct place *sorted;
    uint32_t *group; /* of each pair */
    uint32_t n_groups;
    double *weight; /* of each group: pairs that are in it */
    double *rank;   /* of each group: weight before it and half of its own, whose mean is n / 2 */
    double *above;  /* of each group: a sum over those above it; n_groups + 1 */
};

struct pairs {
    size_t n;
    struct list a, b;
    double *count; /* of each pair: times it is there */
    double *tree;  /* Fenwick's, over the groups of b; n_groups + 1 */
};

static int by_value(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static bool make_list(struct list *l, size_t n)
{
    l->sorted = pare_alloc(n, sizeof *l->sorted);
    l->group = pare_alloc(n, sizeof *l->group);
    l->weight = pare_alloc(n, sizeof *l->weight);
    l->rank = pare_alloc(n, sizeof *l->rank);
    l->above = pare_calloc(n + 1, sizeof *l->above);
    return l->sorted && l->group && l->weight && l->rank && l->above;
}

static void free_list(struct list *l)
{
    free(l->sorted);
    free(l->group);
    free(l->weight);
    free(l->rank);
    free(l->above);
}

static void sort_list(struct list *l, size_t n)
{
    qsort(l->sorted, n, sizeof *l->sorted, by_value);
    for (size_t i = 0; i < n; i++) {
        l->n_groups += i == 0 || l->sorted[i].value > l->sorted[i - 1].value;
        l->group[l->sorted[i].at] = l->n_groups - 1;
    }
}

/* Ranks under the counts; the sum of their squares about the mean. */
static double rank_list(struct list *l, const double *count, size_t n)
{
    double before = 0, squares = 0;
    memset(l->weight, 0, l->n_groups * sizeof *l->weight);
    for (size_t i = 0; i < n; i++)
        l->weight[l->group[i]] += count[i];
    for (uint32_t g = 0; g < l->n_groups; g++) {
        l->rank[g] = before + l->weight[g] / 2;
        before += l->weight[g];
        squares += l->weight[g] * pow(l->rank[g] - (double)n / 2, 2);
    }
    return squares;
}

static double rho_of(struct pairs *p)
{
    const double middle = (double)p->n / 2;
    const double aa = rank_list(&p->a, p->count, p->n), bb = rank_list(&p->b, p->count, p->n);
    double ab = 0;
    for (size_t i = 0; i < p->n; i++)
        ab +=
            p->count[i] * (p->a.rank[p->a.group[i]] - middle) * (p->b.rank[p->b.group[i]] - middle);
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : (double)NAN;
}

/* Percentiles of rho over draws of the pairs. */
static int draw(struct pairs *p, struct pare_interval *rho, struct pare_error *err)
{
    struct pare_random r;
    double *drawn = pare_alloc(REPLICATES, sizeof *drawn);
    size_t kept = 0;
    if (!drawn)
        return pare_error_nomem(err, REPLICATES * sizeof *drawn);
    pare_random_seed(&r, SEED);
    for (size_t k = 0; k < REPLICATES; k++) {
        memset(p->count, 0, p->n * sizeof *p->count);
        for (size_t i = 0; i < p->n; i++)
            p->count[pare_random_below(&r, p->n)]++;
        const double x = rho_of(p);
        if (!isnan(x))
            drawn[kept++] = x;
    }
    pare_stat_sort(drawn, kept);
    rho->lo = pare_stat_quantile(drawn, kept, 0.025);
    rho->hi = pare_stat_quantile(drawn, kept, 0.975);
    free(drawn);
    return PARE_OK;
}

/* ---- without one pair ---- */

/* Taking pair i out lowers the rank of what is above it in a list by one, of what equals it by a
 * half. This is the sum of a value over the other pairs, each times what it is lowered by: `above`
 * has the sums of that value over the groups from each on, `own` is that over the others of i's. */
static double shifted(const struct list *l, uint32_t g, double own)
{
    return l->above[g + 1] + own / 2;
}

/* Sums of a value of each pair over the groups above. */
static void sum_above(struct list *l, const struct list *of, size_t n)
{
    memset(l->above, 0, (l->n_groups + 1) * sizeof *l->above);
    for (size_t i = 0; i < n; i++)
        l->above[l->group[i]] += of->rank[of->group[i]];
    for (uint32_t g = l->n_groups; g-- > 0;)
        l->above[g] += l->above[g + 1];
}

/* The sum of squared ranks about their mean without pair i; `all` is the sum of their squares. */
static double squares_without(const struct list *l, size_t n, double all, uint32_t g)
{
    const double rank = l->rank[g], others = l->weight[g] - 1, m = (double)n - 1;
    const double above = (double)n - rank - l->weight[g] / 2;
    return all - rank * rank - 2 * shifted(l, g, others * rank) + above + others / 4 -
           m * m / 4 * m;
}

static void tree_add(struct pairs *p, uint32_t at, double x)
{
    for (uint32_t i = at + 1; i <= p->b.n_groups; i += i & -i)
        p->tree[i] += x;
}

static double tree_sum(const struct pairs *p, uint32_t n) /* of the first n */
{
    double sum = 0;
    for (; n; n -= n & -n)
        sum += p->tree[n];
    return sum;
}

/* Of each pair the sum over the others of what it takes from both of their ranks: from the highest
 * group of a on, whose own members count half. */
static void common(struct pairs *p, double *out)
{
    const struct place *s = p->a.sorted;
    memset(p->tree, 0, (p->b.n_groups + 1) * sizeof *p->tree);
    for (size_t end = p->n, begin; end; end = begin) {
        const uint32_t g = p->a.group[s[end - 1].at];
        for (begin = end; begin && p->a.group[s[begin - 1].at] == g; begin--)
            tree_add(p, p->b.group[s[begin - 1].at], 0.5);
        const double all = tree_sum(p, p->b.n_groups);
        for (size_t i = begin; i < end; i++) {
            const uint32_t h = p->b.group[s[i].at];
            const double to = tree_sum(p, h + 1), own = to - tree_sum(p, h);
            out[s[i].at] = all - to + own / 2 - 0.25;
        }
        for (size_t i = begin; i < end; i++)
            tree_add(p, p->b.group[s[i].at], 0.5);
    }
}

/* out: rho without each of the pairs. The counts are all one. */
static void leave_out(struct pairs *p, double *out)
{
    const double m = (double)p->n - 1;
    double aa = 0, bb = 0, ab = 0;
    common(p, out);
    for (size_t i = 0; i < p->n; i++) {
        const double x = p->a.rank[p->a.group[i]], y = p->b.rank[p->b.group[i]];
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    sum_above(&p->a, &p->b, p->n); /* for the products first */
    sum_above(&p->b, &p->a, p->n);
    for (size_t i = 0; i < p->n; i++) {
        const uint32_t g = p->a.group[i], h = p->b.group[i];
        const double x = p->a.rank[g], y = p->b.rank[h];
        out[i] += ab - x * y - m * m / 4 * m -
                  shifted(&p->a, g, p->a.above[g] - p->a.above[g + 1] - y) -
                  shifted(&p->b, h, p->b.above[h] - p->b.above[h + 1] - x);
    }
    sum_above(&p->a, &p->a, p->n);
    sum_above(&p->b, &p->b, p->n);
    for (size_t i = 0; i < p->n; i++)
        out[i] /= sqrt(squares_without(&p->a, p->n, aa, p->a.group[i]) *
                       squares_without(&p->b, p->n, bb, p->b.group[i]));
}

static int fill_parts(struct pairs *p, double rho, float *part, struct pare_error *err)
{
    const double n = (double)p->n;
    double mean = 0, *without = pare_alloc(p->n, sizeof *without);
    if (!without)
        return pare_error_nomem(err, p->n * sizeof *without);
    leave_out(p, without);
    for (size_t i = 0; i < p->n; i++)
        mean += without[i] / n;
    for (size_t i = 0; i < p->n; i++)
        part[i] = (float)(rho + (n - 1) * (mean - without[i]));
    free(without);
    return PARE_OK;
}

const char *pare_spearman_lacks(const float *x, const double *y, size_t n)
{
    bool same_x = x != NULL, same_y = true;
    for (size_t i = 1; i < n; i++) {
        same_x = same_x && x[i] == x[0];
        same_y = same_y && y[i] == y[0];
    }
    return n < 3    ? "there are fewer than 3 pairs"
           : same_y ? "all scores are the same"
           : same_x ? "all similarities are the same"
                    : NULL;
}

int pare_spearman(const float *x, const double *y, size_t n, struct pare_interval *rho, float *part,
                  struct pare_error *err)
{
    struct pairs p = {.n = n};
    int rc = PARE_OK;
    *rho = (struct pare_interval){NAN, NAN, NAN};
    for (size_t i = 0; part && i < n; i++)
        part[i] = NAN;
    if (n < 3 || n > UINT32_MAX / 2)
        return PARE_OK;
    p.count = pare_alloc(n, sizeof *p.count);
    p.tree = pare_alloc(n + 1, sizeof *p.tree);
    if (!make_list(&p.a, n) || !make_list(&p.b, n) || !p.count || !p.tree) {
        rc = pare_error_nomem(err, n * sizeof *p.count);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        p.a.sorted[i] = (struct place){(double)x[i], (uint32_t)i};
        p.b.sorted[i] = (struct place){y[i], (uint32_t)i};
        p.count[i] = 1;
    }
    sort_list(&p.a, n);
    sort_list(&p.b, n);
    rho->value = rho_of(&p);
    if (isnan(rho->value))
        goto out;
    if (part)
        PARE_TRY(fill_parts(&p, rho->value, part, err));
    PARE_TRY(draw(&p, rho, err));
out:
    free_list(&p.a);
    free_list(&p.b);
    free(p.count);
    free(p.tree);
    return rc;
}
