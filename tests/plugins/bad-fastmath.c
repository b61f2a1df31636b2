/* SPDX-License-Identifier: Apache-2.0 */
/* Harmless by itself, but linked with -ffast-math, which brings a constructor along. */
#include <pare/plugin.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    (void)ctx, (void)host;
    return PARE_OK;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-fastmath",
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
