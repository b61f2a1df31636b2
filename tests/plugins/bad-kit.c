/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks what only `pare plugin check` sees: it leaks, counts its calls, trusts every answer, does
 * not ask per unit, goes on when told to stop, exports more than its entry, and tells too little.
 */
#include <pare/plugin.h>

#include <stdlib.h>

PARE_EXPORT int a_second_symbol;

static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    static int calls;
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const size_t n = (size_t)unit->rows * unit->cols;
    float *values = host->alloc(ctx, n, sizeof *values);
    double share = 0;
    void *volatile lost = malloc(100);
    (void)lost;
    host->get_real(ctx, NULL, "share", &share);
    host->progress(ctx, 0.5);
    weight->read(ctx, unit, 0, unit->rows, values);
    values[0] += 1.0f + (float)share + (float)++calls;
    return weight->set_values(ctx, unit, values);
}

static const struct pare_param params[] = {
    {.name = "share",
     .type = PARE_REAL,
     .min = 0,
     .max = 1,
     .dflt = "0.5",
     .identity = "0",
     .varies = PARE_UNIT_LINEAR,
     .help = "how much"},
    {.name = "step",
     .type = PARE_INT,
     .min = 1,
     .max = 4,
     .dflt = "1",
     .search = "1,9",
     .help = "how far"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-kit",
    .version = "1.0",
    .summary = "breaks what only the checks see",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "kit",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_LINEAR,
    PARE_PLUGIN_PARAMS(params),
    .apply_unit = apply_unit,
};

PARE_PLUGIN(plugin)
