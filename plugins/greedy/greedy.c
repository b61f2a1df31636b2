/* SPDX-License-Identifier: Apache-2.0 */
/* Greedy, by measurement (FinerCut, arXiv:2405.18218): start with every unit at `from`; again and
 * again give the unit that hurts least the value `to`, measured with what was changed before. */
#include <pare/plugin.h>

/* One assignment per unit that could be next, one after the other; returns how many. `which` tells
 * the unit of each. */
static uint32_t candidates(const double *values, uint32_t n, double to, double *out,
                           uint32_t *which)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (values[i] == to)
            continue;
        for (uint32_t k = 0; k < n; k++)
            out[(size_t)count * n + k] = k == i ? to : values[k];
        which[count++] = i;
    }
    return count;
}

static int allocate(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_allocation *a = host->extension(ctx, PARE_EXT_ALLOCATION);
    double from, to;
    int64_t count;
    int rc;
    if (!PARE_HAS(a, best))
        return host->error(ctx, PARE_UNSUPPORTED, "this host does not compare allocations");
    if ((rc = host->get_real(ctx, NULL, "from", &from)) != PARE_OK ||
        (rc = host->get_real(ctx, NULL, "to", &to)) != PARE_OK ||
        (rc = host->get_int(ctx, NULL, "count", &count)) != PARE_OK)
        return rc;
    uint32_t n = a->units(ctx);
    if (count > n)
        return host->error(ctx, PARE_INVALID, "count is %lld, but there are %u units",
                           (long long)count, n);
    double *values = host->alloc(ctx, n + 1u, sizeof *values);
    double *tried = host->alloc(ctx, (size_t)n * n + 1u, sizeof *tried);
    uint32_t *which = host->alloc(ctx, n + 1u, sizeof *which);
    if (!values || !tried || !which)
        return PARE_NOMEM;
    for (uint32_t i = 0; i < n; i++)
        values[i] = from;
    for (int64_t k = 0; k < count; k++) {
        uint32_t best, left = candidates(values, n, to, tried, which);
        double least;
        if (left == 0)
            return host->error(ctx, PARE_FAILED, "no unit could be changed");
        if ((rc = a->best(ctx, tried, left, &best, &least)) != PARE_OK)
            return rc;
        values[which[best]] = to;
        host->log(ctx, PARE_LOG_INFO, "greedy %lld of %lld: %s, distortion %.4g",
                  (long long)(k + 1), (long long)count, a->unit(ctx, which[best])->path, least);
        if (host->progress(ctx, (double)(k + 1) / (double)count))
            return host->error(ctx, PARE_CANCELLED, "interrupted");
    }
    for (uint32_t i = 0; i < n && rc == PARE_OK; i++)
        rc = a->choose(ctx, i, values[i]);
    return rc;
}

static const struct pare_param params[] = {
    {.name = "count",
     .type = PARE_INT,
     .min = 0,
     .max = 4096,
     .dflt = "1",
     .unit = "units",
     .search = "1,2,3,4",
     .help = "how many units get the value 'to'"},
    {.name = "from",
     .type = PARE_REAL,
     .min = 1,
     .max = 0,
     .dflt = "0",
     .help = "the value before"},
    {.name = "to", .type = PARE_REAL, .min = 1, .max = 0, .dflt = "1", .help = "the value after"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "greedy",
    .version = "1.1.0",
    .summary = "change the unit that hurts least, measure, and again (FinerCut)",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation = "Zhang et al.: FinerCut, arXiv:2405.18218",
    .kind = PARE_ALLOCATE,
    .flags = PARE_DETERMINISTIC,
    PARE_PLUGIN_PARAMS(params),
    .allocate = allocate,
};

PARE_PLUGIN(plugin)
