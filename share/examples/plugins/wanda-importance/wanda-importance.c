/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.example.wanda-importance: how much the linears of a unit do with the inputs that they get:
 * the sum over their weights of |W_ij| times the norm of input j (Wanda), of a linear, a branch, or
 * a block. Per parameter, so that units of several sizes compare, or as it is.
 *
 * A worked example of: a score for several kinds of unit, statistics, progress.
 */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

#define ROWS 64u /* of a weight that are decoded at a time */

struct task {
    struct pare_ctx *ctx;
    const struct pare_host *host;
    const struct pare_ext_model *model;
    const struct pare_ext_weight *weight;
    const struct pare_ext_calibration *data;
    float *rows; /* room for ROWS of the widest linear */
    double *norm;
};

static int alloc_room(struct task *t)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < t->model->count(t->ctx, PARE_UNIT_LINEAR); i++) {
        const uint32_t cols = t->model->unit(t->ctx, PARE_UNIT_LINEAR, i)->cols;
        most = cols > most ? cols : most;
    }
    t->rows = t->host->alloc(t->ctx, (size_t)most * ROWS, sizeof *t->rows);
    t->norm = t->host->alloc(t->ctx, most, sizeof *t->norm);
    return t->rows && t->norm ? PARE_OK : PARE_NOMEM;
}

/* Sum over all weights of |W_ij| sqrt(E[x_j^2]): per token, so that no number of samples counts.
 * What reads the image has no statistics; pixels are normalised, so they count as 1. */
static int rate_linear(struct task *t, const struct pare_unit *linear, double *sum)
{
    const double *mean, *mean_abs, *square, *most;
    int rc = t->data->moments(t->ctx, linear, &mean, &mean_abs, &square, &most);
    const int known = rc == PARE_OK;
    if (rc == PARE_UNSUPPORTED)
        rc = PARE_OK;
    for (uint32_t j = 0; rc == PARE_OK && j < linear->cols; j++)
        t->norm[j] = known ? sqrt(square[j]) : 1;
    for (uint32_t row = 0; rc == PARE_OK && row < linear->rows; row += ROWS) {
        const uint32_t n = linear->rows - row < ROWS ? linear->rows - row : ROWS;
        rc = t->weight->read(t->ctx, linear, row, n, t->rows);
        for (size_t i = 0; rc == PARE_OK && i < (size_t)n * linear->cols; i++)
            *sum += fabs((double)t->rows[i]) * t->norm[i % linear->cols];
    }
    return rc;
}

/* Whether the linear is the unit, or in it. */
static int is_in(const struct pare_unit *linear, const struct pare_unit *unit)
{
    if (unit->kind == PARE_UNIT_BLOCK)
        return linear->block == unit->block;
    if (unit->kind == PARE_UNIT_BRANCH)
        return linear->within && strcmp(linear->within, unit->path) == 0;
    return strcmp(linear->path, unit->path) == 0;
}

static int rate(struct task *t, const struct pare_unit *unit, int per_parameter, double *value)
{
    double parameters = 0;
    *value = 0;
    for (uint32_t i = 0; i < t->model->count(t->ctx, PARE_UNIT_LINEAR); i++) {
        const struct pare_unit *linear = t->model->unit(t->ctx, PARE_UNIT_LINEAR, i);
        int rc;
        if (!is_in(linear, unit))
            continue;
        if ((rc = rate_linear(t, linear, value)) != PARE_OK)
            return rc;
        parameters += (double)linear->parameters;
    }
    if (per_parameter && parameters > 0)
        *value /= parameters;
    return PARE_OK;
}

static int score(struct pare_ctx *ctx, const struct pare_host *host)
{
    struct task t = {.ctx = ctx,
                     .host = host,
                     .model = host->extension(ctx, PARE_EXT_MODEL),
                     .weight = host->extension(ctx, PARE_EXT_WEIGHT),
                     .data = host->extension(ctx, PARE_EXT_CALIBRATION)};
    const struct pare_ext_table *table = host->extension(ctx, PARE_EXT_TABLE);
    const char *divide;
    double value;
    int rc;
    if (!PARE_HAS(t.model, unit) || !PARE_HAS(t.weight, read) || !PARE_HAS(t.data, moments) ||
        !PARE_HAS(table, set))
        return host->error(ctx, PARE_UNSUPPORTED, "this host has nothing to rate linears by");
    if ((rc = host->get_text(ctx, NULL, "divide", &divide)) != PARE_OK ||
        (rc = alloc_room(&t)) != PARE_OK)
        return rc;
    const uint32_t rows = table->rows(ctx);
    for (uint32_t i = 0; i < rows; i++) {
        const struct pare_unit *unit = t.model->unit(ctx, table->unit_kind(ctx), i);
        if ((rc = rate(&t, unit, strcmp(divide, "parameters") == 0, &value)) != PARE_OK ||
            (rc = table->set(ctx, i, 0, value)) != PARE_OK)
            return rc;
        if (host->progress(ctx, (double)(i + 1) / rows))
            return host->error(ctx, PARE_CANCELLED, "interrupted");
    }
    return PARE_OK;
}

static const struct pare_param params[] = {
    {.name = "divide",
     .help = "what the sum of a unit is divided by",
     .type = PARE_CHOICE,
     .dflt = "parameters",
     .choices = "parameters|nothing"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "org.example.wanda-importance",
    .version = "0.1.0",
    .summary = "importance of linears, branches or blocks: their weights times the norms of inputs",
    .author = "the Pare authors",
    .url = "https://example.org/wanda-importance",
    .license = "Apache-2.0",
    .citation = "Sun et al., A Simple and Effective Pruning Approach for Large Language Models, "
                "ICLR 2024, arXiv:2306.11695",
    .kind = PARE_SCORE,
    .flags = PARE_DETERMINISTIC,
    .needs = PARE_NEEDS_MOMENTS,
    .unit_kind = PARE_UNIT_LINEAR | PARE_UNIT_BRANCH | PARE_UNIT_BLOCK,
    PARE_PLUGIN_PARAMS(params),
    .score = score,
};

PARE_PLUGIN(plugin)
