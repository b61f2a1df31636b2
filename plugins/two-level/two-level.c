/* SPDX-License-Identifier: Apache-2.0 */
/* Two values: the most important units get `high` until they hold `high_share` of the parameters,
 * the others `low` (Layer-Wise Quantization, arXiv:2406.17415). */
#include <pare/plugin.h>

static int allocate(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_allocation *a = host->extension(ctx, PARE_EXT_ALLOCATION);
    double high, low, share, total = 0, given = 0;
    int rc;
    if (!a)
        return host->error(ctx, PARE_UNSUPPORTED, "this host does not allocate");
    if ((rc = host->get_real(ctx, NULL, "high", &high)) != PARE_OK ||
        (rc = host->get_real(ctx, NULL, "low", &low)) != PARE_OK ||
        (rc = host->get_real(ctx, NULL, "high_share", &share)) != PARE_OK)
        return rc;
    uint32_t n = a->units(ctx);
    uint8_t *done = host->alloc(ctx, n + 1u, 1);
    if (!done)
        return PARE_NOMEM;
    for (uint32_t i = 0; i < n; i++)
        total += a->parameters(ctx, i);
    for (uint32_t k = 0; k < n && rc == PARE_OK; k++) {
        uint32_t best = n; /* among equals the earlier unit */
        for (uint32_t i = 0; i < n; i++) {
            if (!done[i] && (best == n || a->importance(ctx, i) > a->importance(ctx, best)))
                best = i;
        }
        done[best] = 1;
        given += a->parameters(ctx, best);
        rc = a->choose(ctx, best, given <= share * total * (1 + 1e-9) ? high : low);
    }
    return rc;
}

static const struct pare_param params[] = {
    {.name = "high",
     .type = PARE_REAL,
     .min = 1,
     .max = 0,
     .param_flags = PARE_PARAM_REQUIRED,
     .help = "the value of the most important units"},
    {.name = "low",
     .type = PARE_REAL,
     .min = 1,
     .max = 0,
     .param_flags = PARE_PARAM_REQUIRED,
     .help = "the value of the others"},
    {.name = "high_share",
     .type = PARE_REAL,
     .min = 0,
     .max = 1,
     .dflt = "0.5",
     .search = "0.25,0.5,0.75",
     .help = "share of the parameters that may get the high value"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "two-level",
    .version = "1.0.0",
    .summary = "one value for the most important units, another for the rest",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation = "Dumitru et al.: Layer-Wise Quantization, arXiv:2406.17415",
    .kind = PARE_ALLOCATE,
    .flags = PARE_DETERMINISTIC,
    PARE_PLUGIN_PARAMS(params),
    .allocate = allocate,
};

PARE_PLUGIN(plugin)
