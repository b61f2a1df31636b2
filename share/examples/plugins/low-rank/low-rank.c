/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.example.low-rank: a linear's weight W as a product A B of two thin ones, by the truncated SVD
 * that loses least of the linear's output (SVD-LLM). With C = LL' the mean of x x' over the
 * calibration data, the mean of |(W - AB) x|^2 is |(W - AB) L|^2: an SVD of W L.
 *
 * A worked example of statistics, linear algebra, a change of the graph, and a layer-wise
 * parameter.
 */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

/* Against covariances that are singular: fewer tokens than inputs, inputs that are always 0. */
#define DAMP 1e-6

struct task {
    struct pare_ctx *ctx;
    const struct pare_host *host;
    const struct pare_unit *unit;
    const struct pare_ext_weight *weight;
    const struct pare_ext_calibration *data;
    const struct pare_ext_linalg *linalg;
    const struct pare_ext_surgery *surgery;
    size_t rows, cols, rank;
    int64_t bias;
    double *w, *l;
    const double *mean;
    float *left, *right;
};

static double *doubles(const struct task *t, size_t n)
{
    return t->host->alloc(t->ctx, n, sizeof(double));
}

/* W, the mean input, and L; of the covariance, where the bias takes what W - AB makes of the mean.
 */
static int read_inputs(struct task *t)
{
    const size_t n = t->cols, size = t->rows * n;
    const double *gram, *mean_abs, *square, *most;
    float *values = t->host->alloc(t->ctx, size, sizeof *values);
    int rc;
    t->w = doubles(t, size);
    t->l = doubles(t, n * n);
    if (!values || !t->w || !t->l)
        return PARE_NOMEM;
    if ((rc = t->weight->read(t->ctx, t->unit, 0, t->unit->rows, values)) != PARE_OK ||
        (rc = t->data->gram(t->ctx, t->unit, &gram)) != PARE_OK)
        return rc;
    memcpy(t->l, gram, n * n * sizeof *gram); /* the next statistics take its place */
    if ((rc = t->data->moments(t->ctx, t->unit, &t->mean, &mean_abs, &square, &most)) != PARE_OK)
        return rc;
    for (size_t i = 0; i < size; i++)
        t->w[i] = (double)values[i];
    for (size_t i = 0; t->bias && i < n * n; i++)
        t->l[i] -= t->mean[i / n] * t->mean[i % n];
    return t->linalg->cholesky(t->ctx, t->unit->cols, t->l, DAMP);
}

/* W L = U S V', cut to `rank`: A = U sqrt(S), and B' solves L' B' = V sqrt(S). */
static int cut(struct task *t)
{
    const size_t k = t->rows < t->cols ? t->rows : t->cols;
    double *wl = doubles(t, t->rows * t->cols), *u = doubles(t, t->rows * k), *s = doubles(t, k);
    double *vt = doubles(t, k * t->cols), *b = doubles(t, t->cols * t->rank);
    int rc;
    t->left = t->host->alloc(t->ctx, t->rows * t->rank, sizeof *t->left);
    t->right = t->host->alloc(t->ctx, t->rank * t->cols, sizeof *t->right);
    if (!wl || !u || !s || !vt || !b || !t->left || !t->right)
        return PARE_NOMEM;
    if ((rc = t->linalg->multiply(t->ctx, t->unit->rows, t->unit->cols, t->unit->cols, t->w, 0,
                                  t->l, 0, wl)) != PARE_OK ||
        (rc = t->linalg->svd(t->ctx, t->unit->rows, t->unit->cols, wl, u, s, vt)) != PARE_OK)
        return rc;
    for (size_t i = 0; i < t->cols * t->rank; i++)
        b[i] = vt[i % t->rank * t->cols + i / t->rank] * sqrt(s[i % t->rank]);
    if ((rc = t->linalg->solve_triangular(t->ctx, t->unit->cols, t->l, 1, (uint32_t)t->rank, b)) !=
        PARE_OK)
        return rc;
    for (size_t i = 0; i < t->rows * t->rank; i++)
        t->left[i] = (float)(u[i / t->rank * k + i % t->rank] * sqrt(s[i % t->rank]));
    for (size_t i = 0; i < t->rank * t->cols; i++)
        t->right[i] = (float)b[i % t->cols * t->rank + i / t->cols];
    return PARE_OK;
}

/* The bias takes (W - AB) mean: the mean output stays. */
static int correct_bias(struct task *t)
{
    float *bias = t->host->alloc(t->ctx, t->rows, sizeof *bias);
    double *latent = doubles(t, t->rank);
    int rc;
    if (!bias || !latent)
        return PARE_NOMEM;
    if ((rc = t->weight->read_bias(t->ctx, t->unit, bias)) != PARE_OK)
        return rc;
    for (size_t i = 0; i < t->rank * t->cols; i++)
        latent[i / t->cols] += (double)t->right[i] * t->mean[i % t->cols];
    for (size_t r = 0; r < t->rows; r++) {
        double lost = 0;
        for (size_t i = 0; i < t->cols; i++)
            lost += t->w[r * t->cols + i] * t->mean[i];
        for (size_t i = 0; i < t->rank; i++)
            lost -= (double)t->left[r * t->rank + i] * latent[i];
        bias[r] += (float)lost;
    }
    return t->weight->set_bias(t->ctx, t->unit, bias);
}

/* Called once for each linear that the pipeline selects, in execution order. */
static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    struct task t = {.ctx = ctx,
                     .host = host,
                     .unit = unit,
                     .weight = host->extension(ctx, PARE_EXT_WEIGHT),
                     .data = host->extension(ctx, PARE_EXT_CALIBRATION),
                     .linalg = host->extension(ctx, PARE_EXT_LINALG),
                     .surgery = host->extension(ctx, PARE_EXT_SURGERY),
                     .rows = unit->rows,
                     .cols = unit->cols};
    double ratio;
    int rc;
    if (!PARE_HAS(t.weight, set_bias) || !PARE_HAS(t.data, gram) || !PARE_HAS(t.linalg, svd) ||
        !PARE_HAS(t.surgery, factorize))
        return host->error(ctx, PARE_UNSUPPORTED, "this host cannot make a linear low rank");
    if ((rc = host->get_real(ctx, unit, "ratio", &ratio)) != PARE_OK ||
        (rc = host->get_int(ctx, NULL, "bias", &t.bias)) != PARE_OK || ratio == 1)
        return rc;
    t.rank = (size_t)(ratio * (double)(t.rows * t.cols) / (double)(t.rows + t.cols));
    if (t.rank == 0 || t.rank * (t.rows + t.cols) >= t.rows * t.cols) {
        host->log(ctx, PARE_LOG_INFO, "%s stays: no product of rank 1 is smaller", unit->path);
        return PARE_HAS(host, decided) ? host->decided(ctx, unit, "ratio", 1, (double)NAN)
                                       : PARE_OK;
    }
    if ((rc = read_inputs(&t)) != PARE_OK || (rc = cut(&t)) != PARE_OK ||
        (t.bias && (rc = correct_bias(&t)) != PARE_OK))
        return rc;
    return t.surgery->factorize(ctx, unit, (uint32_t)t.rank, t.left, t.right);
}

static const struct pare_param params[] = {
    {.name = "ratio",
     .help = "share of a linear's numbers that its two factors have; 1 leaves it alone",
     .type = PARE_REAL,
     .min = 0.01,
     .max = 1,
     .dflt = "0.5",
     .identity = "1",
     .search = "0.3,0.5,0.7",
     .varies = PARE_UNIT_LINEAR},
    {.name = "bias",
     .help = "let the bias make up for what the mean input loses",
     .type = PARE_BOOL,
     .dflt = "true"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "org.example.low-rank",
    .version = "0.1.0",
    .summary = "linears as products of two, by an SVD whitened by their inputs",
    .author = "the Pare authors",
    .url = "https://example.org/low-rank",
    .license = "Apache-2.0",
    .citation = "Wang et al., SVD-LLM, ICLR 2025, arXiv:2403.07378",
    .label = "lr{ratio}",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .needs = PARE_NEEDS_GRAM | PARE_NEEDS_MOMENTS,
    .unit_kind = PARE_UNIT_LINEAR,
    .on = "layer.**",
    .precedes = "quantize", /* factors of integers would be larger than the integers */
    PARE_PLUGIN_PARAMS(params),
    .apply_unit = apply_unit,
};

PARE_PLUGIN(plugin)
