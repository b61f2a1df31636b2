/* SPDX-License-Identifier: Apache-2.0 */
/* As if it were built with the header of a later minor version: every struct that it hands over is
 * longer than the host's, and holds something there. */
#include <pare/plugin.h>

struct later_plugin {
    struct pare_plugin now;
    const char *later;
};
struct later_param {
    struct pare_param now;
    const char *later;
};
struct later_integers {
    struct pare_integers now;
    double later;
};
struct later_alter {
    struct pare_alter now;
    double later;
};

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_ext_probe *probe = host->extension(ctx, PARE_EXT_PROBE);
    const struct pare_unit *unit = model->unit(ctx, PARE_UNIT_LINEAR, 0);
    struct later_alter alters[2] = {{{sizeof alters[0], PARE_ALTER_DROP, NULL, 0}, -1},
                                    {{sizeof alters[0], PARE_ALTER_SCALE, NULL, 1}, -1}};
    struct later_integers integers = {{.struct_size = sizeof integers, .bits = 8}, -1};
    int64_t second;
    double moved;
    int rc = host->get_int(ctx, NULL, "second", &second);
    if (rc != PARE_OK || second != 7)
        return host->error(ctx, PARE_FAILED, "the second parameter is not found");
    alters[0].now.unit = model->find(ctx, PARE_UNIT_BRANCH, "layer.3.ffn");
    alters[1].now.unit = model->find(ctx, PARE_UNIT_BRANCH, "layer.3.attn");
    rc = probe->run(ctx, &alters[0].now, 2, PARE_DISTANCE_L2, PARE_REFERENCE_STAGE, &moved, NULL);
    if (rc != PARE_OK || !(moved > 0))
        return rc != PARE_OK ? rc : host->error(ctx, PARE_FAILED, "nothing moved");
    int16_t *codes = host->alloc(ctx, (size_t)unit->rows * unit->cols, sizeof *codes);
    float *scales = host->alloc(ctx, unit->rows, sizeof *scales);
    if (!codes || !scales)
        return PARE_NOMEM;
    for (uint32_t r = 0; r < unit->rows; r++)
        scales[r] = 0.25f;
    for (size_t i = 0; i < (size_t)unit->rows * unit->cols; i++)
        codes[i] = (int16_t)(i % 17);
    integers.now.codes = codes;
    integers.now.scales = scales;
    return weight->set_integers(ctx, unit, &integers.now);
}

static const struct later_param params[] = {
    {{.name = "first", .help = "the first", .type = PARE_INT, .min = 0, .max = 9, .dflt = "3"},
     "later"},
    {{.name = "second", .help = "the second", .type = PARE_INT, .min = 0, .max = 9, .dflt = "7"},
     "later"},
};

static const struct later_plugin plugin = {
    {
        .struct_size = sizeof plugin,
        .abi_major = PARE_ABI_MAJOR,
        .abi_minor = PARE_ABI_MINOR + 1,
        .id = "young-plugin",
        .version = "1.0.0",
        .summary = "of a later minor version, for tests",
        .author = "the Pare authors",
        .license = "Apache-2.0",
        .label = "young",
        .kind = PARE_TRANSFORM,
        .needs = PARE_NEEDS_DATA,
        .unit_kind = PARE_UNIT_LINEAR,
        .n_params = sizeof params / sizeof params[0],
        .param_size = sizeof params[0],
        .params = &params[0].now,
        .apply = apply,
    },
    "later",
};

PARE_PLUGIN(plugin.now)
