/* SPDX-License-Identifier: Apache-2.0 */
/* Fails without a word. */
#include <pare/plugin.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    (void)ctx, (void)host;
    return 77; /* not even a status */
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-silent",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .precedes = "cosine,quantize",
    .follows = "quantize",
    .kind = PARE_TRANSFORM,
    .unit_kind = PARE_UNIT_LINEAR,

    .apply = apply,
};

PARE_PLUGIN(plugin)
