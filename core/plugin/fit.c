/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of values over the calibration samples: means, least-squares maps, cosines. */
#include "plugin/fit.h"
#include "model/branch.h"

#include <math.h>
#include <stdio.h>
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

/* ---- cosines, all in one pass
 * ---------------------------------------------------------------------------- */

/* A branch or block: what goes in, what comes out, and their cosines so far. */
struct turn {
    const char *path;
    uint32_t kind, x, y;
    double cosine, weight;
};

/* A value that turns begin with: kept until the last of them has ended. */
struct start {
    float *data;
    size_t cap;
    uint32_t turns, left; /* turns that begin here; those of this run that have not ended */
};

struct pare_cosines {
    struct turn *turns;
    size_t n;
    struct start *starts; /* per value of the graph; during the pass */
    uint32_t n_values;
};

void pare_cosines_free(struct pare_cosines *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; c->starts && i < c->n_values; i++)
        free(c->starts[i].data);
    free(c->starts);
    free(c->turns);
    free(c);
}

static int turn_tap(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                    uint32_t tokens, uint32_t width)
{
    struct pare_cosines *c = user;
    const size_t rows = (size_t)n * tokens;
    for (size_t i = 0; i < c->n; i++) {
        struct turn *turn = &c->turns[i];
        struct start *from = &c->starts[turn->x];
        if (turn->y != value)
            continue;
        struct pair p = {.width = width, .cosine = turn->cosine, .weight = turn->weight};
        for (size_t t = 0; t < rows; t++)
            add_pair(&p, from->data + t * width, data + t * width, sizes ? (double)sizes[t] : 1.0);
        turn->cosine = p.cosine;
        turn->weight = p.weight;
        if (--from->left == 0) { /* few are held at a time, however deep the model */
            free(from->data);
            from->data = NULL;
            from->cap = 0;
        }
    }
    struct start *here = &c->starts[value];
    if (here->turns == 0)
        return PARE_OK;
    if (!pare_grow(&here->data, &here->cap, rows * width, sizeof *here->data))
        return PARE_NOMEM;
    memcpy(here->data, data, rows * width * sizeof *data);
    here->left = here->turns;
    return PARE_OK;
}

/* The turn of a unit; NULL: none. */
static struct turn *find_turn(const struct pare_cosines *c, uint32_t kind, const char *path)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->turns[i].kind == kind && strcmp(c->turns[i].path, path) == 0)
            return &c->turns[i];
    }
    return NULL;
}

/* Where the units of the stage begin and end: a block with its first branch and with its last. */
static int list_turns(const struct pare_stage *stage, struct pare_cosines *c,
                      struct pare_error *err)
{
    const struct pare_graph *g = stage->entry;
    const struct pare_units *all = &stage->entry_units;
    struct pare_branch b;
    c->turns = pare_calloc(all->n, sizeof *c->turns);
    if (!c->turns)
        return pare_error_nomem(err, all->n * sizeof *c->turns);
    for (size_t u = 0; u < all->n; u++) {
        const struct pare_unit *unit = &all->items[u];
        if (unit->kind == PARE_UNIT_BRANCH || unit->kind == PARE_UNIT_BLOCK)
            c->turns[c->n++] = (struct turn){.path = unit->path, .kind = unit->kind};
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        char block[PARE_PATH_MAX];
        if (!pare_branch_at(g, i, &b))
            continue;
        snprintf(block, sizeof block, "layer.%d", b.block);
        struct turn *turns[] = {find_turn(c, PARE_UNIT_BRANCH, b.path),
                                find_turn(c, PARE_UNIT_BLOCK, block)};
        for (size_t k = 0; k < PARE_COUNT(turns); k++) {
            if (!turns[k])
                continue;
            if (turns[k]->y == 0)
                turns[k]->x = b.stream;
            turns[k]->y = g->nodes[b.add].outputs[0];
        }
    }
    return PARE_OK;
}

static int run_cosines(struct pare_stage *stage, struct pare_cosines *c, struct pare_error *err)
{
    const struct pare_graph *g = stage->entry;
    struct pare_plan *plan = NULL;
    bool *tapped = pare_calloc(g->n_values, sizeof *tapped);
    uint32_t first;
    size_t kept = 0;
    int rc;
    PARE_TRY(list_turns(stage, c, err));
    c->n_values = g->n_values;
    c->starts = pare_calloc(c->n_values, sizeof *c->starts);
    if (!c->starts || !tapped) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_pass_new(stage->env, g, &plan, err));
    for (size_t i = 0; i < c->n; i++) { /* tokens that merge inside leave nothing to compare */
        if (c->turns[i].y != 0 &&
            g->values[c->turns[i].x].tokens == g->values[c->turns[i].y].tokens)
            c->turns[kept++] = c->turns[i];
    }
    c->n = kept;
    for (size_t i = 0; i < c->n; i++) {
        const uint32_t ends[] = {c->turns[i].x, c->turns[i].y};
        c->starts[ends[0]].turns++;
        for (size_t k = 0; k < PARE_COUNT(ends); k++) {
            if (!tapped[ends[k]])
                PARE_TRY(pare_plan_tap(plan, ends[k], turn_tap, c, err));
            tapped[ends[k]] = true;
        }
    }
    PARE_TRY(pare_pass_run(stage->env, g, plan, &first, err));
out:
    free(tapped);
    pare_plan_free(plan);
    return rc;
}

int pare_fit_cosine(struct pare_stage *stage, const struct pare_unit *unit, double *out,
                    struct pare_error *err)
{
    const struct pare_units *all = &stage->entry_units;
    bool known = false;
    if (!stage->cosines) {
        struct pare_cosines *c = pare_calloc(1, sizeof *c);
        int rc = c ? run_cosines(stage, c, err) : pare_error_nomem(err, sizeof *c);
        if (rc != PARE_OK) {
            pare_cosines_free(c);
            return rc;
        }
        stage->cosines = c;
    }
    const struct turn *turn = find_turn(stage->cosines, unit->kind, unit->path);
    if (turn) {
        *out = turn->cosine / turn->weight;
        return PARE_OK;
    }
    for (size_t i = 0; i < all->n; i++)
        known = known || (all->items[i].kind == unit->kind &&
                          (unit->kind == PARE_UNIT_BRANCH || unit->kind == PARE_UNIT_BLOCK) &&
                          strcmp(all->items[i].path, unit->path) == 0);
    if (known)
        return pare_error_set(err, PARE_UNSUPPORTED, "tokens merge inside %s: it has no cosine",
                              unit->path);
    return pare_error_set(err, PARE_NOT_FOUND, "%s is no branch or block of the model", unit->path);
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
