/* SPDX-License-Identifier: Apache-2.0 */
/* Refuses as a plugin should. */
#include <pare/plugin.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    return host->error(ctx, PARE_UNSUPPORTED, "this model has %d legs too many", 3);
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-refusal",
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
