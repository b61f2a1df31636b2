/* SPDX-License-Identifier: Apache-2.0 */
/* Takes memory and touches it until there is none. */
#include <pare/plugin.h>

#include <stdlib.h>
#include <string.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    enum { STEP = 64 << 20 };
    for (;;) {
        char *p = malloc(STEP);
        if (!p)
            return host->error(ctx, PARE_NOMEM, "out of memory at last");
        memset(p, 1, STEP);
    }
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-memory",
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
