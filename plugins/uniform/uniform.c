/* SPDX-License-Identifier: Apache-2.0 */
/* The same value for every unit: the baseline that every allocator has to beat. */
#include <pare/plugin.h>

static int allocate(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_allocation *a = host->extension(ctx, PARE_EXT_ALLOCATION);
    double value;
    int rc;
    if (!a)
        return host->error(ctx, PARE_UNSUPPORTED, "this host does not allocate");
    if ((rc = host->get_real(ctx, NULL, "value", &value)) != PARE_OK)
        return rc;
    for (uint32_t i = 0; i < a->units(ctx) && rc == PARE_OK; i++)
        rc = a->choose(ctx, i, value);
    return rc;
}

static const struct pare_param params[] = {
    {.name = "value",
     .type = PARE_REAL,
     .min = 1,
     .max = 0,
     .param_flags = PARE_PARAM_REQUIRED,
     .help = "the value of every unit"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "uniform",
    .version = "1.0.0",
    .summary = "the same value for every unit",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .kind = PARE_ALLOCATE,
    .flags = PARE_DETERMINISTIC,
    PARE_PLUGIN_PARAMS(params),
    .allocate = allocate,
};

PARE_PLUGIN(plugin)
