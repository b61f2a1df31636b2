/* SPDX-License-Identifier: Apache-2.0 */
/* Hands the host numbers that are none, wherever it may. */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_unit *unit = model->unit(ctx, PARE_UNIT_LINEAR, 0);
    size_t n = (size_t)unit->rows * unit->cols;
    float *values = host->alloc(ctx, n, sizeof *values);
    int16_t *codes = host->alloc(ctx, n, sizeof *codes);
    const char *where;
    int rc = host->get_text(ctx, NULL, "where", &where);
    if (rc != PARE_OK)
        return rc;
    if (!values || !codes)
        return PARE_NOMEM;
    values[0] = NAN;
    if (strcmp(where, "bias") == 0)
        return weight->set_bias(ctx, unit, values);
    if (strcmp(where, "scales") == 0)
        return weight->set_integers(
            ctx, unit,
            &(struct pare_integers){.struct_size = sizeof(struct pare_integers),
                                    .bits = 8,
                                    .codes = codes,
                                    .scales = values});
    return weight->set_values(ctx, unit, values);
}

static const struct pare_param params[] = {{.name = "where",
                                            .help = "which numbers",
                                            .type = PARE_CHOICE,
                                            .dflt = "weights",
                                            .choices = "weights|bias|scales"}};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-nan",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .kind = PARE_TRANSFORM,
    .unit_kind = PARE_UNIT_LINEAR,
    .n_params = 1,
    .param_size = sizeof params[0],
    .params = params,
    .apply = apply,
};

PARE_PLUGIN(plugin)
