/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of values over the calibration samples: means, least-squares maps, cosines. */
#include "plugin/fit.h"
#include "model/branch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RIDGE 0.01 /* share of the mean of the diagonal */

/* Sees two values of the same tokens: x when it is written, then y. */
struct pair {
    uint32_t x, y, width;
    float *kept; /* x of the current run */
    size_t cap;
    double weight, *mean_x, *mean_y, *xx, *xy; /* NULL where not wanted */
    double cosine;
};

static void add_pair(struct pair *p, const float *x, const float *y, double size)
{
    uint32_t w = p->width;
    double dot = 0, nx = 0, ny = 0;
    for (uint32_t i = 0; i < w; i++) {
        dot += (double)x[i] * (double)y[i];
        nx += (double)x[i] * (double)x[i];
        ny += (double)y[i] * (double)y[i];
    }
    /* a zero vector has no direction: counted as unrelated */
    p->cosine += size * (nx > 0 && ny > 0 ? dot / sqrt(nx * ny) : 0);
    p->weight += size;
    for (uint32_t i = 0; p->mean_y && i < w; i++) {
        p->mean_x[i] += size * (double)x[i];
        p->mean_y[i] += size * (double)y[i];
    }
    for (uint32_t i = 0; p->xx && i < w; i++) {
        double a = size * (double)x[i];
        for (uint32_t j = 0; j < w; j++) {
            p->xx[(size_t)i * w + j] += a * (double)x[j];
            p->xy[(size_t)i * w + j] += a * (double)y[j];
        }
    }
}

static int pair_tap(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                    uint32_t tokens, uint32_t width)
{
    struct pair *p = user;
    size_t rows = (size_t)n * tokens;
    if (value == p->x) {
        if (!pare_grow(&p->kept, &p->cap, rows * width, sizeof *p->kept))
            return PARE_NOMEM;
        memcpy(p->kept, data, rows * width * sizeof *data);
    }
    for (size_t t = 0; value == p->y && t < rows; t++)
        add_pair(p, p->kept + t * width, data + t * width, sizes ? (double)sizes[t] : 1.0);
    return PARE_OK;
}

static int run_pair(struct pare_stage *stage, struct pair *p, struct pare_error *err)
{
    struct pare_plan *plan = NULL;
    uint32_t first;
    int rc;
    PARE_TRY(pare_pass_new(stage->env, stage->entry, &plan, err));
    PARE_TRY(pare_plan_tap(plan, p->x, pair_tap, p, err));
    PARE_TRY(pare_plan_tap(plan, p->y, pair_tap, p, err));
    PARE_TRY(pare_pass_run(stage->env, stage->entry, plan, &first, err));
out:
    pare_plan_free(plan);
    return rc;
}

static void pair_free(struct pair *p)
{
    free(p->kept);
    free(p->mean_x);
    free(p->mean_y);
    free(p->xx);
    free(p->xy);
}

/* From sums to the centred normal equations, and on to A and b. */
static int solve_map(struct pair *p, float **map, float *mean, struct pare_error *err)
{
    uint32_t w = p->width;
    int rc = PARE_OK;
    float *a = pare_alloc((size_t)w * w, sizeof *a);
    if (!a)
        return pare_error_nomem(err, (size_t)w * w * sizeof *a);
    for (uint32_t i = 0; i < w; i++) {
        for (uint32_t j = 0; j < w; j++) {
            size_t at = (size_t)i * w + j;
            p->xx[at] = p->xx[at] / p->weight - p->mean_x[i] * p->mean_x[j];
            p->xy[at] = p->xy[at] / p->weight - p->mean_x[i] * p->mean_y[j];
        }
    }
    rc = pare_linalg_solve(w, p->xx, RIDGE, w, p->xy, err); /* xy becomes A' */
    for (uint32_t i = 0; rc == PARE_OK && i < w; i++) {
        double b = p->mean_y[i];
        for (uint32_t j = 0; j < w; j++) {
            double x = p->xy[(size_t)j * w + i];
            a[(size_t)i * w + j] = (float)x;
            b -= x * p->mean_x[j];
        }
        mean[i] = (float)b;
    }
    if (rc == PARE_OK)
        *map = a;
    else
        free(a);
    return rc;
}

int pare_fit_branch(struct pare_stage *stage, const char *path, float **mean, float **map,
                    struct pare_error *err)
{
    struct pare_branch b;
    struct pair p = {0};
    float *out = NULL;
    int rc = PARE_OK;
    if (!pare_branch_find(stage->entry, path, &b)) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "the model has no branch %s", path);
        goto out;
    }
    p.x = b.stream;
    p.y = b.out;
    p.width = stage->entry->values[b.out].width;
    p.mean_x = pare_calloc(p.width, sizeof *p.mean_x);
    p.mean_y = pare_calloc(p.width, sizeof *p.mean_y);
    out = pare_alloc(p.width, sizeof *out);
    if (map) {
        p.xx = pare_calloc((size_t)p.width * p.width, sizeof *p.xx);
        p.xy = pare_calloc((size_t)p.width * p.width, sizeof *p.xy);
    }
    if (!p.mean_x || !p.mean_y || !out || (map && (!p.xx || !p.xy))) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(run_pair(stage, &p, err));
    for (uint32_t i = 0; i < p.width; i++) {
        p.mean_x[i] /= p.weight;
        p.mean_y[i] /= p.weight;
        out[i] = (float)p.mean_y[i];
    }
    if (map)
        PARE_TRY(solve_map(&p, map, out, err));
    *mean = out;
    out = NULL;
out:
    free(out);
    pair_free(&p);
    return rc;
}

int pare_fit_cosine(struct pare_stage *stage, const struct pare_unit *unit, double *out,
                    struct pare_error *err)
{
    const struct pare_graph *g = stage->entry;
    struct pare_branch b;
    struct pair p = {0};
    bool first = true, rated = unit->kind == PARE_UNIT_BRANCH || unit->kind == PARE_UNIT_BLOCK;
    int rc = PARE_OK;
    for (uint32_t i = 0; rated && i < g->n_nodes; i++) {
        if (!pare_branch_at(g, i, &b))
            continue;
        bool mine = unit->kind == PARE_UNIT_BRANCH ? strcmp(b.path, unit->path) == 0
                                                   : b.block == unit->block;
        if (!mine)
            continue;
        if (first)
            p.x = b.stream;
        p.y = g->nodes[b.add].outputs[0];
        first = false;
    }
    if (first)
        return pare_error_set(err, PARE_NOT_FOUND, "%s is no branch or block of the model",
                              unit->path);
    p.width = g->values[p.x].width;
    if (g->values[p.x].tokens != g->values[p.y].tokens)
        return pare_error_set(err, PARE_UNSUPPORTED, "tokens merge inside %s: it has no cosine",
                              unit->path);
    rc = run_pair(stage, &p, err);
    if (rc == PARE_OK)
        *out = p.cosine / p.weight;
    pair_free(&p);
    return rc;
}

int pare_fit_consumer(struct pare_stage *stage, const char *path, unsigned kind,
                      const uint8_t *keep, uint32_t n, float **out, struct pare_error *err)
{
    const struct pare_graph *g = stage->graph;
    struct pare_statistics s = {0};
    double *hss = NULL, *rhs = NULL;
    float *w = NULL, *fitted = NULL;
    uint32_t *kept = NULL, k = 0;
    int rc = PARE_OK;
    int32_t at = pare_graph_consumer(g, path, kind);
    if (at < 0) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "%s has nothing that could be refitted", path);
        goto out;
    }
    const struct pare_weight *weight = g->nodes[at].weight;
    uint32_t rows = weight->rows, cols = weight->cols, value = g->nodes[at].inputs[0];
    if (n == 0 || cols % n) {
        rc = pare_error_set(err, PARE_INVALID, "%s: %u units do not divide %u columns", path, n,
                            cols);
        goto out;
    }
    PARE_TRY(pare_statistics_collect(stage, g, &value, 1, true, &s, err));
    kept = pare_alloc(cols, sizeof *kept);
    w = pare_alloc((size_t)rows * cols, sizeof *w);
    for (uint32_t c = 0; kept && c < cols; c++) {
        if (keep[c / (cols / n)])
            kept[k++] = c;
    }
    hss = pare_alloc((size_t)k * k, sizeof *hss);
    rhs = pare_calloc((size_t)k * rows, sizeof *rhs);
    fitted = pare_alloc((size_t)rows * k, sizeof *fitted);
    if (!kept || !w || !hss || !rhs || !fitted) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    if (k == 0) {
        rc = pare_error_set(err, PARE_INVALID, "nothing of %s would be kept", path);
        goto out;
    }
    pare_weight_decode(weight, 0, rows, w);
    const double *h = s.values[0].gram;
    double ridge = 0;
    for (uint32_t i = 0; i < k; i++)
        ridge += RIDGE / k * h[(size_t)kept[i] * cols + kept[i]];
    for (uint32_t i = 0; i < k; i++) {
        for (uint32_t r = 0; r < rows; r++) /* the damping pulls towards the old weights */
            rhs[(size_t)i * rows + r] = ridge * (double)w[(size_t)r * cols + kept[i]];
        for (uint32_t j = 0; j < k; j++)
            hss[(size_t)i * k + j] = h[(size_t)kept[i] * cols + kept[j]];
        for (uint32_t c = 0; c < cols; c++) {
            double x = h[(size_t)kept[i] * cols + c];
            for (uint32_t r = 0; r < rows; r++)
                rhs[(size_t)i * rows + r] += x * (double)w[(size_t)r * cols + c];
        }
    }
    PARE_TRY(pare_linalg_solve(k, hss, RIDGE, rows, rhs, err));
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t i = 0; i < k; i++)
            fitted[(size_t)r * k + i] = (float)rhs[(size_t)i * rows + r];
    }
    *out = fitted;
    fitted = NULL;
out:
    free(kept);
    free(w);
    free(hss);
    free(rhs);
    free(fitted);
    pare_statistics_free(&s);
    return rc;
}
