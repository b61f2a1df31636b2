/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.example.old-allocate: the more important a unit is in the ranking, the further its value is from `strong` towards
 * `mild`. Begin by making this do what yours shall do; `make check` tells whether the contract
 * still holds.
 *
 * The three rules that matter most: return the status that `error` returned, take memory from
 * `alloc`, and never print to stdout.
 */
#include <pare/plugin.h>

#include <math.h>

/* How many units are less important, ties counting half: a rank that no order of equals changes. */
static double rank(struct pare_ctx *ctx, const struct pare_ext_allocation *a, uint32_t row,
                   uint32_t n)
{
    const double mine = a->importance(ctx, row);
    double below = 0;
    for (uint32_t i = 0; i < n; i++) {
        const double other = i == row ? mine : a->importance(ctx, i);
        below += i == row ? 0 : other < mine ? 1 : other == mine ? 0.5 : 0;
    }
    return below;
}

/* Rows are the units; each gets one value of the parameter that the pipeline has allocated. */
static int allocate(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_allocation *a = host->extension(ctx, PARE_EXT_ALLOCATION);
    double strong, mild, min, max;
    uint32_t integer;
    int rc;

    /* An older host may lack a service or a slot of it: say so rather than crash. */
    if (!PARE_HAS(a, choose))
        return host->error(ctx, PARE_UNSUPPORTED, "this host has nothing to allocate");
    if ((rc = host->get_real(ctx, NULL, "strong", &strong)) != PARE_OK ||
        (rc = host->get_real(ctx, NULL, "mild", &mild)) != PARE_OK ||
        (rc = a->range(ctx, &min, &max, &integer)) != PARE_OK)
        return rc;

    const uint32_t n = a->units(ctx);
    for (uint32_t i = 0; i < n; i++) {
        const double share = n > 1 ? rank(ctx, a, i, n) / (n - 1) : 0;
        double value = strong + share * (mild - strong);
        value = fmin(fmax(integer ? rint(value) : value, min), max);
        if ((rc = a->choose(ctx, i, value)) != PARE_OK)
            return rc;
        if (host->progress(ctx, (double)(i + 1) / n))
            return host->error(ctx, PARE_CANCELLED, "interrupted");
    }
    return PARE_OK;
}

/* Values of another plugin's parameter: its bounds hold, so these have none (min > max). */
static const struct pare_param params[] = {
    {
        .name = "strong",
        .help = "value of the least important unit",
        .type = PARE_REAL,
        .min = 1,
        .max = 0,
        .param_flags = PARE_PARAM_REQUIRED,
    },
    {
        .name = "mild",
        .help = "value of the most important unit",
        .type = PARE_REAL,
        .min = 1,
        .max = 0,
        .param_flags = PARE_PARAM_REQUIRED,
    },
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "org.example.old-allocate",
    .version = "0.1.0",
    .summary = "values by rank of importance, from strong to mild",
    .author = "your name",
    .url = "https://example.org/old-allocate",
    .license = "Apache-2.0",
    .kind = PARE_ALLOCATE,
    .flags = PARE_DETERMINISTIC,
    PARE_PLUGIN_PARAMS(params),
    .allocate = allocate,
};

PARE_PLUGIN(plugin)
