/* SPDX-License-Identifier: Apache-2.0 */
/* Never comes back, and reports no progress. */
#include <pare/plugin.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    volatile unsigned long turns = 0;
    (void)ctx, (void)host;
    for (;;)
        turns++;
    return PARE_OK;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-stall",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .kind = PARE_TRANSFORM,
    .unit_kind = PARE_UNIT_LINEAR,

    .apply = apply,
};

PARE_PLUGIN(plugin)
