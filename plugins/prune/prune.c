/* SPDX-License-Identifier: Apache-2.0 */
/* Prune weights (a mask), or heads and channels (gone for good). Criteria: magnitude, and Wanda
 * (Sun et al., ICLR 2024, arXiv:2306.11695): |w| times the root mean square of the input that it
 * meets. */
#include <pare/plugin.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCOPE_ROW, SCOPE_LAYER, SCOPE_MODEL };

struct stage {
    struct pare_ctx *ctx;
    const struct pare_host *host;
    const struct pare_ext_model *model;
    const struct pare_ext_weight *weight;
    const struct pare_ext_calibration *data;
    const struct pare_ext_linalg *linalg;
    const struct pare_ext_surgery *surgery;
    int wanda, scope;
    uint32_t n, m; /* n of m are kept; m = 0: unstructured */
};

/* "2:4" -> 2 and 4; "unstructured" -> 0 and 0. */
static int parse_pattern(const char *text, uint32_t *n, uint32_t *m)
{
    char rest;
    *n = *m = 0;
    if (strcmp(text, "unstructured") == 0)
        return 1;
    return sscanf(text, "%2u:%2u%c", n, m, &rest) == 2 && *n >= 1 && *n < *m && *m <= 16;
}

/* ---- weights
 * ------------------------------------------------------------------------------------- */

/* How much each weight of a linear matters: rows * cols, never negative. */
static int weight_scores(struct stage *s, const struct pare_unit *unit, double *score)
{
    size_t n = (size_t)unit->rows * unit->cols;
    const double *mean, *mean_abs, *square, *most;
    float *w = s->host->alloc(s->ctx, n, sizeof *w);
    int rc;
    if (!w)
        return PARE_NOMEM;
    if ((rc = s->weight->read(s->ctx, unit, 0, unit->rows, w)) != PARE_OK)
        return rc;
    if (s->wanda &&
        (rc = s->data->moments(s->ctx, unit, &mean, &mean_abs, &square, &most)) != PARE_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        score[i] = fabs((double)w[i]) * (s->wanda ? sqrt(square[i % unit->cols]) : 1);
    return PARE_OK;
}

/* How many of n go; 0.29 of 100 are 29, whatever the product rounds to. */
static size_t share_of(double sparsity, size_t n)
{
    return (size_t)(sparsity * (double)n + 1e-9);
}

/* Drop the `drop` lowest of `n` scores; among equals the earlier. `work` has room for n. */
static void keep_highest(struct stage *s, const double *score, size_t n, size_t drop, double *work,
                         uint8_t *keep)
{
    memset(keep, 1, n);
    if (drop == 0)
        return;
    memcpy(work, score, n * sizeof *work);
    double threshold = s->linalg->select(work, n, drop - 1);
    for (size_t i = 0; i < n; i++) {
        if (score[i] < threshold) {
            keep[i] = 0;
            drop--;
        }
    }
    for (size_t i = 0; i < n && drop > 0; i++) {
        if (score[i] == threshold) {
            keep[i] = 0;
            drop--;
        }
    }
}

/* Keep the n highest of every m consecutive columns; among equals the later. */
static void keep_pattern(const struct stage *s, const struct pare_unit *unit, const double *score,
                         uint8_t *keep)
{
    for (uint32_t r = 0; r < unit->rows; r++, score += unit->cols, keep += unit->cols) {
        for (uint32_t c = 0; c < unit->cols; c++) {
            uint32_t start = c / s->m * s->m,
                     end = start + s->m < unit->cols ? start + s->m : unit->cols;
            uint32_t better = 0;
            for (uint32_t j = start; j < end; j++)
                better += score[j] > score[c] || (score[j] == score[c] && j > c);
            keep[c] = better < s->n;
        }
    }
}

/* A matrix of which nothing goes stays as it is: a mask of ones would only cost bytes. */
static int set_mask(struct stage *s, const struct pare_unit *unit, const uint8_t *keep)
{
    if (!memchr(keep, 0, (size_t)unit->rows * unit->cols))
        return PARE_OK;
    return s->weight->set_structure(s->ctx, unit, s->n, s->m, keep);
}

static int prune_unit(struct stage *s, const struct pare_unit *unit, const double *score,
                      double *work, uint8_t *keep)
{
    size_t n = (size_t)unit->rows * unit->cols;
    double sparsity;
    int rc = s->host->get_real(s->ctx, unit, "sparsity", &sparsity);
    if (rc != PARE_OK)
        return rc;
    if (s->m) {
        keep_pattern(s, unit, score, keep);
    } else if (s->scope == SCOPE_ROW) {
        for (uint32_t r = 0; r < unit->rows; r++)
            keep_highest(s, score + (size_t)r * unit->cols, unit->cols,
                         share_of(sparsity, unit->cols), work, keep + (size_t)r * unit->cols);
    } else {
        keep_highest(s, score, n, share_of(sparsity, n), work, keep);
    }
    return set_mask(s, unit, keep);
}

/* Competing over the model leaves no room for a sparsity per unit. */
static int model_sparsity(struct stage *s, uint32_t kind, double *sparsity)
{
    uint32_t n = s->model->count(s->ctx, kind);
    double x;
    *sparsity = 0;
    for (uint32_t i = 0; i < n; i++) {
        int rc = s->host->get_real(s->ctx, s->model->unit(s->ctx, kind, i), "sparsity",
                                   i ? &x : sparsity);
        if (rc != PARE_OK)
            return rc;
        if (i && x != *sparsity)
            return s->host->error(s->ctx, PARE_INVALID,
                                  "scope: model goes with one sparsity, not one per unit");
    }
    return PARE_OK;
}

/* One threshold for the whole model: gather all scores first. */
static int prune_model(struct stage *s, uint32_t units, size_t total)
{
    const struct pare_host *host = s->host;
    double *score = host->alloc(s->ctx, total, sizeof *score);
    double *work = host->alloc(s->ctx, total, sizeof *work);
    uint8_t *keep = host->alloc(s->ctx, total, 1);
    double sparsity;
    size_t at = 0;
    int rc;
    if (!score || !work || !keep)
        return PARE_NOMEM;
    if ((rc = model_sparsity(s, PARE_UNIT_LINEAR, &sparsity)) != PARE_OK)
        return rc;
    for (uint32_t i = 0; i < units; i++) {
        const struct pare_unit *unit = s->model->unit(s->ctx, PARE_UNIT_LINEAR, i);
        if ((rc = weight_scores(s, unit, score + at)) != PARE_OK)
            return rc;
        at += (size_t)unit->rows * unit->cols;
    }
    keep_highest(s, score, total, share_of(sparsity, total), work, keep);
    at = 0;
    for (uint32_t i = 0; i < units; i++) {
        const struct pare_unit *unit = s->model->unit(s->ctx, PARE_UNIT_LINEAR, i);
        if ((rc = set_mask(s, unit, keep + at)) != PARE_OK)
            return rc;
        at += (size_t)unit->rows * unit->cols;
    }
    return PARE_OK;
}

static int prune_weights(struct stage *s)
{
    uint32_t units = s->model->count(s->ctx, PARE_UNIT_LINEAR);
    size_t total = 0, most = 1;
    for (uint32_t i = 0; i < units; i++) {
        const struct pare_unit *unit = s->model->unit(s->ctx, PARE_UNIT_LINEAR, i);
        size_t n = (size_t)unit->rows * unit->cols;
        total += n;
        most = n > most ? n : most;
    }
    if (s->scope == SCOPE_MODEL && s->m == 0)
        return prune_model(s, units, total);
    double *score = s->host->alloc(s->ctx, most, sizeof *score);
    double *work = s->host->alloc(s->ctx, most, sizeof *work);
    uint8_t *keep = s->host->alloc(s->ctx, most, 1);
    if (!score || !work || !keep)
        return PARE_NOMEM;
    for (uint32_t i = 0; i < units; i++) {
        const struct pare_unit *unit = s->model->unit(s->ctx, PARE_UNIT_LINEAR, i);
        int rc = weight_scores(s, unit, score);
        if (rc == PARE_OK)
            rc = prune_unit(s, unit, score, work, keep);
        if (rc != PARE_OK)
            return rc;
        if (s->host->progress(s->ctx, (double)(i + 1) / units))
            return s->host->error(s->ctx, PARE_CANCELLED, "interrupted");
    }
    return PARE_OK;
}

/* ---- heads and channels
 * -------------------------------------------------------------------------- */

static int read_matrix(struct stage *s, const struct pare_unit *linear, double **out)
{
    const size_t n = (size_t)linear->rows * linear->cols;
    float *w = s->host->alloc(s->ctx, n, sizeof *w);
    *out = s->host->alloc(s->ctx, n, sizeof **out);
    if (!w || !*out)
        return PARE_NOMEM;
    int rc = s->weight->read(s->ctx, linear, 0, linear->rows, w);
    for (size_t i = 0; rc == PARE_OK && i < n; i++)
        (*out)[i] = (double)w[i];
    return rc;
}

/* The linear that writes a branch's output, and the one whose columns are its units: the same, or
 * the first of two whose product it is. */
struct consumer {
    const struct pare_unit *last, *reader;
};

/* Squared L2 norm of each of the consumer's columns. */
static int columns_norm(struct stage *s, const struct consumer *c, double *norm)
{
    const uint32_t rows = c->last->rows, cols = c->reader->cols;
    double *w, *basis;
    int rc;
    if ((rc = read_matrix(s, c->last, &w)) != PARE_OK)
        return rc;
    if (c->reader != c->last) {
        double *product = s->host->alloc(s->ctx, (size_t)rows * cols, sizeof *product);
        if (!product)
            return PARE_NOMEM;
        if ((rc = read_matrix(s, c->reader, &basis)) != PARE_OK ||
            (rc = s->linalg->multiply(s->ctx, rows, cols, c->reader->rows, w, 0, basis, 0,
                                      product)) != PARE_OK)
            return rc;
        w = product;
    }
    memset(norm, 0, cols * sizeof *norm);
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t i = 0; i < cols; i++) {
            double x = w[(size_t)r * cols + i];
            norm[i] += x * x;
        }
    }
    return PARE_OK;
}

static int find_consumer(struct stage *s, const char *branch, uint32_t kind, uint32_t n,
                         struct consumer *c)
{
    char path[160];
    snprintf(path, sizeof path, "%s.%s", branch, kind == PARE_UNIT_HEAD ? "output" : "down");
    c->last = s->model->find(s->ctx, PARE_UNIT_LINEAR, path);
    strcat(path, ".basis");
    c->reader = s->model->find(s->ctx, PARE_UNIT_LINEAR, path);
    if (!c->reader)
        c->reader = c->last;
    if (!c->last || c->reader->cols % n || (c->reader != c->last && !PARE_HAS(s->linalg, multiply)))
        return s->host->error(s->ctx, PARE_UNSUPPORTED, "%s has no linear that reads its units",
                              branch);
    return PARE_OK;
}

/* Importance of each unit of a branch: the energy that its columns of the consumer can carry, and
 * for Wanda do carry: sum over its columns of |W[:, c]|^2 (times E[x_c^2]). */
static int slice_scores(struct stage *s, const char *branch, uint32_t kind, uint32_t n,
                        double *score)
{
    const double *mean, *mean_abs, *square, *most;
    struct consumer consumer;
    int rc = find_consumer(s, branch, kind, n, &consumer);
    if (rc != PARE_OK)
        return rc;
    double *norm = s->host->alloc(s->ctx, consumer.reader->cols, sizeof *norm);
    if (!norm)
        return PARE_NOMEM;
    if ((rc = columns_norm(s, &consumer, norm)) != PARE_OK)
        return rc;
    if (s->wanda && (rc = s->data->moments(s->ctx, consumer.reader, &mean, &mean_abs, &square,
                                           &most)) != PARE_OK)
        return rc;
    uint32_t width = consumer.reader->cols / n;
    for (uint32_t i = 0; i < n; i++) {
        score[i] = 0;
        for (uint32_t c = i * width; c < (i + 1) * width; c++)
            score[i] += norm[c] * (s->wanda ? square[c] : 1);
    }
    return PARE_OK;
}

/* Units of the branch that begins at unit `first`. */
static uint32_t branch_units(struct stage *s, uint32_t kind, uint32_t first)
{
    uint32_t all = s->model->count(s->ctx, kind), n = 1;
    const char *branch = s->model->unit(s->ctx, kind, first)->within;
    while (first + n < all && strcmp(s->model->unit(s->ctx, kind, first + n)->within, branch) == 0)
        n++;
    return n;
}

static int keep_units(struct stage *s, uint32_t kind, uint32_t first, uint32_t n,
                      const double *score, uint8_t *keep)
{
    int64_t refit;
    uint32_t kept = 0, best = 0;
    int rc = s->host->get_int(s->ctx, NULL, "refit", &refit);
    if (rc != PARE_OK)
        return rc;
    for (uint32_t i = 0; i < n; i++) {
        kept += keep[i];
        best = score[i] > score[best] ? i : best;
    }
    if (kept == 0)
        keep[best] = 1; /* a branch without any is layer-drop's business */
    for (uint32_t i = 0; i < n && kind == PARE_UNIT_HEAD && PARE_HAS(s->host, decided); i++) {
        const struct pare_unit *head = s->model->unit(s->ctx, kind, first + i);
        if ((rc = s->host->decided(s->ctx, head, "sparsity", !keep[i], score[i])) != PARE_OK)
            return rc;
    }
    if (kept == n)
        return PARE_OK;
    return s->surgery->keep(s->ctx, kind, s->model->unit(s->ctx, kind, first)->within, keep, n,
                            refit != 0);
}

static int prune_slices(struct stage *s, uint32_t kind)
{
    uint32_t all = s->model->count(s->ctx, kind);
    double *score = s->host->alloc(s->ctx, all + 1u, sizeof *score);
    double *work = s->host->alloc(s->ctx, all + 1u, sizeof *work);
    uint8_t *keep = s->host->alloc(s->ctx, all + 1u, 1);
    double sparsity;
    int rc;
    if (!score || !work || !keep)
        return PARE_NOMEM;
    for (uint32_t i = 0, n; i < all; i += n) {
        n = branch_units(s, kind, i);
        if ((rc = slice_scores(s, s->model->unit(s->ctx, kind, i)->within, kind, n, score + i)) !=
            PARE_OK)
            return rc;
    }
    if (s->scope == SCOPE_MODEL) {
        if ((rc = model_sparsity(s, kind, &sparsity)) != PARE_OK)
            return rc;
        keep_highest(s, score, all, share_of(sparsity, all), work, keep);
    }
    for (uint32_t i = 0, n; i < all; i += n) {
        n = branch_units(s, kind, i);
        if (s->scope != SCOPE_MODEL) {
            const struct pare_unit *unit = s->model->unit(s->ctx, kind, i);
            if ((rc = s->host->get_real(s->ctx, unit, "sparsity", &sparsity)) != PARE_OK)
                return rc;
            keep_highest(s, score + i, n, share_of(sparsity, n), work, keep + i);
        }
        if ((rc = keep_units(s, kind, i, n, score + i, keep + i)) != PARE_OK)
            return rc;
    }
    return PARE_OK;
}

/* ---- the stage
 * ----------------------------------------------------------------------------------- */

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    struct stage s = {.ctx = ctx,
                      .host = host,
                      .model = host->extension(ctx, PARE_EXT_MODEL),
                      .weight = host->extension(ctx, PARE_EXT_WEIGHT),
                      .data = host->extension(ctx, PARE_EXT_CALIBRATION),
                      .linalg = host->extension(ctx, PARE_EXT_LINALG),
                      .surgery = host->extension(ctx, PARE_EXT_SURGERY)};
    const char *what, *pattern, *criterion, *scope;
    int rc;
    if (!s.model || !s.weight || !s.data || !PARE_HAS(s.linalg, select) ||
        !PARE_HAS(s.surgery, keep))
        return host->error(ctx, PARE_UNSUPPORTED, "this host lacks a service that prune needs");
    if ((rc = host->get_text(ctx, NULL, "what", &what)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "pattern", &pattern)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "criterion", &criterion)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "scope", &scope)) != PARE_OK)
        return rc;
    s.wanda = criterion[0] == 'w';
    s.scope = scope[0] == 'r' ? SCOPE_ROW : scope[0] == 'l' ? SCOPE_LAYER : SCOPE_MODEL;
    if (!parse_pattern(pattern, &s.n, &s.m))
        return host->error(ctx, PARE_INVALID, "pattern '%s' is neither 'unstructured' nor N:M",
                           pattern);
    if (what[0] == 'w')
        return prune_weights(&s);
    return prune_slices(&s, what[0] == 'h' ? PARE_UNIT_HEAD : PARE_UNIT_CHANNEL);
}

static int check(struct pare_ctx *ctx, const struct pare_host *host)
{
    const char *what, *pattern;
    uint32_t n, m;
    int rc;
    if ((rc = host->get_text(ctx, NULL, "what", &what)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "pattern", &pattern)) != PARE_OK)
        return rc;
    if (!parse_pattern(pattern, &n, &m))
        return host->error(ctx, PARE_INVALID,
                           "pattern '%s' is neither 'unstructured' nor N:M with 1 <= N < M <= 16",
                           pattern);
    if (m && what[0] != 'w')
        return host->error(ctx, PARE_INVALID, "pattern %s is for weights: %s have a sparsity",
                           pattern, what);
    return PARE_OK;
}

static const struct pare_param params[] = {
    {.name = "what",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "weights",
     .choices = "weights|heads|channels",
     .help =
         "single weights (a mask), or attention heads or feed-forward channels (removed for good)"},
    {.name = "pattern",
     .type = PARE_TEXT,
     .min = 1,
     .max = 0,
     .dflt = "unstructured",
     .help = "for weights: 'unstructured', or N:M, which keeps N of every M consecutive inputs"},
    {.name = "sparsity",
     .type = PARE_REAL,
     .min = 0,
     .max = 0.99,
     .dflt = "0.5",
     .identity = "0",
     .search = "0.25,0.5,0.75",
     .varies = PARE_UNIT_LINEAR | PARE_UNIT_HEAD | PARE_UNIT_CHANNEL,
     .help = "share that goes; N:M decides it itself"},
    {.name = "criterion",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "wanda",
     .choices = "magnitude|wanda",
     .help = "what matters: the size of a weight, or its size times the input it meets"},
    {.name = "scope",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "row",
     .choices = "row|layer|model",
     .help = "weights compete within an output row, a matrix, or the model (heads, channels: a "
             "branch or "
             "the model)"},
    {.name = "refit",
     .type = PARE_BOOL,
     .min = 1,
     .max = 0,
     .dflt = "true",
     .help = "heads and channels: refit the linear that reads them by least squares"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "prune",
    .version = "1.0.0",
    .summary = "prune weights (unstructured or N:M), attention heads or feed-forward channels",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation =
        "Sun, Liu, Bair, Kolter: A Simple and Effective Pruning Approach for Large Language Models "
        "(Wanda). ICLR 2024. arXiv:2306.11695",
    .label = "prune{sparsity}",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .needs = PARE_NEEDS_MOMENTS | PARE_NEEDS_DATA,
    .unit_kind = PARE_UNIT_LINEAR | PARE_UNIT_HEAD | PARE_UNIT_CHANNEL,
    .on = "layer.**",
    PARE_PLUGIN_PARAMS(params),
    .apply = apply,
    .check = check,
    .needs_when = "criterion=wanda;what=heads|channels",
};

PARE_PLUGIN(plugin)
