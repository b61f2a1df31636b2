/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves a descriptor open in every run. */
#include <pare/plugin.h>

#include <unistd.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    return dup(2) < 0 ? host->error(ctx, PARE_FAILED, "no descriptor is left") : PARE_OK;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-files",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .kind = PARE_TRANSFORM,
    .apply = apply,
};

PARE_PLUGIN(plugin)
