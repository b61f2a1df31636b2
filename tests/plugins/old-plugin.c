/* SPDX-License-Identifier: Apache-2.0 */
/* Built against a header that lacks the descriptor's last field; see local.mk. */
#include <pare/plugin.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    return weight->set_activations(ctx, model->unit(ctx, PARE_UNIT_LINEAR, 0), 8);
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "old-plugin",
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
