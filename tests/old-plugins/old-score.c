/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.example.old-score: the importance of a linear as the mean size of its weights. Begin by making this do what
 * yours shall do; `make check` tells whether the contract still holds.
 *
 * The three rules that matter most: return the status that `error` returned, take memory from
 * `alloc`, and never print to stdout.
 */
#include <pare/plugin.h>

#include <math.h>

static double mean_power(const float *x, size_t n, double power)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += pow(fabs((double)x[i]), power);
    return pow(sum / (double)n, 1 / power);
}

/* Rows of the table are the units to be rated: higher means more important. */
static int score(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_ext_table *table = host->extension(ctx, PARE_EXT_TABLE);
    double power;
    int rc;

    /* An older host may lack a service or a slot of it: say so rather than crash. */
    if (!PARE_HAS(model, unit) || !PARE_HAS(weight, read) || !PARE_HAS(table, set))
        return host->error(ctx, PARE_UNSUPPORTED, "this host has no weights to rate");
    if ((rc = host->get_real(ctx, NULL, "power", &power)) != PARE_OK)
        return rc;

    const uint32_t rows = table->rows(ctx);
    for (uint32_t i = 0; i < rows; i++) {
        const struct pare_unit *unit = model->unit(ctx, table->unit_kind(ctx), i);
        const size_t n = (size_t)unit->rows * unit->cols;
        /* The host frees this when score returns; NULL: it has set the message. */
        float *values = host->alloc(ctx, n, sizeof *values);
        if (!values)
            return PARE_NOMEM;
        if ((rc = weight->read(ctx, unit, 0, unit->rows, values)) != PARE_OK ||
            (rc = table->set(ctx, i, 0, mean_power(values, n, power))) != PARE_OK)
            return rc;
        if (host->progress(ctx, (double)(i + 1) / rows))
            return host->error(ctx, PARE_CANCELLED, "interrupted");
    }
    return PARE_OK;
}

static const struct pare_param params[] = {
    {
        .name = "power",
        .help = "of the mean: 1 is the mean size, 2 the root of the mean square",
        .type = PARE_REAL,
        .min = 0.5, /* bounds count for numbers; min > max: none */
        .max = 8,
        .dflt = "1",
        .search = "1,2",
    },
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "org.example.old-score",
    .version = "0.1.0",
    .summary = "importance of a linear: the mean size of its weights",
    .author = "your name",
    .url = "https://example.org/old-score",
    .license = "Apache-2.0",
    .kind = PARE_SCORE,
    .flags = PARE_DETERMINISTIC, /* PARE_HIGHER_IS_WORSE: values are distortions */
    .unit_kind = PARE_UNIT_LINEAR,
    PARE_PLUGIN_PARAMS(params),
    .score = score,
};

PARE_PLUGIN(plugin)
