/* SPDX-License-Identifier: Apache-2.0 */
/* Z-score distribution (Dumitru et al., Layer-Wise Quantization, arXiv:2406.17415): the share of a
 * unit's weights with z > 1, z = (w - mean) / deviation of their matrix. A higher share means less
 * important. */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

/* Share of one linear's weights beyond one deviation; `w` has room for them. */
static int share_of(struct pare_ctx *ctx, const struct pare_ext_weight *weight,
                    const struct pare_unit *linear, int both, float *w, double *share)
{
    size_t n = (size_t)linear->rows * linear->cols;
    double mean = 0, square = 0, beyond = 0;
    int rc;
    if ((rc = weight->read(ctx, linear, 0, linear->rows, w)) != PARE_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        mean += (double)w[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        square += ((double)w[i] - mean) * ((double)w[i] - mean);
    double deviation = sqrt(square / (double)n);
    for (size_t i = 0; i < n; i++) {
        double d = (double)w[i] - mean;
        beyond += (both ? fabs(d) : d) > deviation;
    }
    *share = beyond / (double)n;
    return PARE_OK;
}

/* Whether a linear belongs to the row: is it, or lies in that branch or block. */
static int belongs(const struct pare_unit *linear, const struct pare_unit *row)
{
    if (row->kind == PARE_UNIT_BLOCK)
        return linear->block == row->block;
    return strcmp(row->kind == PARE_UNIT_LINEAR || !linear->within ? linear->path : linear->within,
                  row->path) == 0;
}

static int score(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_table *table = host->extension(ctx, PARE_EXT_TABLE);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const char *sides;
    int rc;
    if (!model || !table || !weight)
        return host->error(ctx, PARE_UNSUPPORTED, "this host has no weights to score");
    if ((rc = host->get_text(ctx, NULL, "sides", &sides)) != PARE_OK)
        return rc;
    uint32_t rows = table->rows(ctx), kind = table->unit_kind(ctx);
    uint32_t linears = model->count(ctx, PARE_UNIT_LINEAR);
    size_t most = 1;
    for (uint32_t i = 0; i < linears; i++) {
        const struct pare_unit *linear = model->unit(ctx, PARE_UNIT_LINEAR, i);
        size_t n = (size_t)linear->rows * linear->cols;
        most = n > most ? n : most;
    }
    float *w = host->alloc(ctx, most, sizeof *w);
    if (!w)
        return PARE_NOMEM;
    for (uint32_t r = 0; r < rows; r++) {
        const struct pare_unit *row = model->unit(ctx, kind, r);
        double sum = 0, share;
        uint32_t n = 0;
        for (uint32_t i = 0; i < linears; i++) {
            const struct pare_unit *linear = model->unit(ctx, PARE_UNIT_LINEAR, i);
            if (!belongs(linear, row))
                continue;
            if ((rc = share_of(ctx, weight, linear, sides[0] == 't', w, &share)) != PARE_OK)
                return rc;
            sum += share;
            n++;
        }
        if (n == 0)
            return host->error(ctx, PARE_INVALID, "%s holds no selected linear", row->path);
        if ((rc = table->set(ctx, r, 0, sum / n)) != PARE_OK)
            return rc;
    }
    return PARE_OK;
}

static const struct pare_param params[] = {
    {.name = "sides",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "one",
     .choices = "one|two",
     .help = "count z > 1 (one, as in the paper) or |z| > 1 (two)"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "zd",
    .version = "1.0.0",
    .summary = "share of weights beyond one standard deviation; needs no data",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation = "Dumitru et al.: Layer-Wise Quantization, arXiv:2406.17415",
    .kind = PARE_SCORE,
    .flags = PARE_DETERMINISTIC | PARE_HIGHER_IS_WORSE,
    .unit_kind = PARE_UNIT_BLOCK | PARE_UNIT_BRANCH | PARE_UNIT_LINEAR,
    PARE_PLUGIN_PARAMS(params),
    .score = score,
};

PARE_PLUGIN(plugin)
