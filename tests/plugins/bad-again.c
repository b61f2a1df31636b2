/* SPDX-License-Identifier: Apache-2.0 */
/* Works once. */
#include <pare/plugin.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    static int calls;
    return calls++ ? host->error(ctx, PARE_FAILED, "it has worked already") : PARE_OK;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-again",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .kind = PARE_TRANSFORM,
    .apply = apply,
};

PARE_PLUGIN(plugin)
