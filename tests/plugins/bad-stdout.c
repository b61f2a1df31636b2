/* SPDX-License-Identifier: Apache-2.0 */
/* Prints where the host prints its data. */
#include <pare/plugin.h>

#include <stdio.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    (void)ctx, (void)host;
    printf("hello from a plugin\n");
    fflush(stdout);
    return PARE_OK;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-stdout",
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
