/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.example.old-transform: sets weights to zero that are small beside the largest one of their row. Begin by making
 * this do what yours shall do; `make check` tells whether the contract still holds.
 *
 * The three rules that matter most: return the status that `error` returned, take memory from
 * `alloc`, and never print to stdout.
 */
#include <pare/plugin.h>

#include <math.h>

/* What all rows of one weight share; `row` below runs on the host's threads. */
struct job {
    const float *values;
    uint8_t *keep;
    uint32_t cols;
    double threshold;
};

static int row(void *user, size_t index)
{
    const struct job *job = user;
    const float *x = job->values + index * job->cols;
    uint8_t *keep = job->keep + index * job->cols;
    float most = 0;
    for (uint32_t i = 0; i < job->cols; i++)
        most = fmaxf(most, fabsf(x[i]));
    for (uint32_t i = 0; i < job->cols; i++)
        keep[i] = fabs((double)x[i]) >= job->threshold * (double)most;
    return 0;
}

/* Called once for each linear that the pipeline selects, in execution order. */
static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_ext_parallel *parallel = host->extension(ctx, PARE_EXT_PARALLEL);
    struct job job = {.cols = unit->cols};
    size_t n = (size_t)unit->rows * unit->cols, dropped = 0;
    int rc;

    /* An older host may lack a service or a slot of it: say so rather than crash. */
    if (!PARE_HAS(weight, set_structure) || !PARE_HAS(parallel, run))
        return host->error(ctx, PARE_UNSUPPORTED, "this host cannot change weights");

    /* Asking with the unit is all it takes for the parameter to vary by layer. */
    if ((rc = host->get_real(ctx, unit, "threshold", &job.threshold)) != PARE_OK)
        return rc;
    if (job.threshold == 0)
        return PARE_OK;

    /* The host frees this when apply_unit returns; NULL: it has set the message. */
    float *values = host->alloc(ctx, n, sizeof *values);
    job.keep = host->alloc(ctx, n, sizeof *job.keep);
    if (!values || !job.keep)
        return PARE_NOMEM;
    if ((rc = weight->read(ctx, unit, 0, unit->rows, values)) != PARE_OK)
        return rc;
    job.values = values;
    if ((rc = parallel->run(ctx, unit->rows, row, &job)) != PARE_OK)
        return rc;

    for (size_t i = 0; i < n; i++)
        dropped += job.keep[i] == 0;
    host->log(ctx, PARE_LOG_INFO, "%s: %zu of %zu weights go", unit->path, dropped, n);
    return weight->set_structure(ctx, unit, 0, 0, job.keep);
}

static const struct pare_param params[] = {
    {
        .name = "threshold",
        .help = "share of the largest weight of a row below which one goes",
        .type = PARE_REAL,
        .min = 0, /* bounds count for numbers; min > max: none */
        .max = 1,
        .dflt = "0.05",
        .identity = "0", /* the setting that changes nothing */
        .search = "0.02,0.05,0.1",
        .varies = PARE_UNIT_LINEAR,
    },
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "org.example.old-transform",
    .version = "0.1.0",
    .summary = "zero weights that are small beside the largest of their row",
    .author = "your name",
    .url = "https://example.org/old-transform",
    .license = "Apache-2.0",
    .label = "old-transform{threshold}",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_LINEAR,
    .on = "layer.**",
    PARE_PLUGIN_PARAMS(params),
    .apply_unit = apply_unit,
};

PARE_PLUGIN(plugin)
