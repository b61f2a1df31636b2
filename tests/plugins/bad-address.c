/* SPDX-License-Identifier: Apache-2.0 */
/* Promises the same bytes, and draws from where its memory and its stack lie: the same in every run
 * of a process, another in another process. */
#include <pare/plugin.h>

#include <stdlib.h>

static uintptr_t seed;

static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const size_t n = (size_t)unit->rows * unit->cols;
    float *values = host->alloc(ctx, n, sizeof *values);
    int rc = values ? PARE_OK : PARE_NOMEM;
    if (!seed) {
        void *volatile block = malloc(100);
        seed = (uintptr_t)block ^ (uintptr_t)&rc;
        free(block);
    }
    if (rc == PARE_OK)
        rc = weight->read(ctx, unit, 0, unit->rows, values);
    if (rc != PARE_OK)
        return rc;
    values[0] = (float)(seed >> 12 & 0xffff);
    return weight->set_values(ctx, unit, values);
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-address",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_LINEAR,
    .apply_unit = apply_unit,
};

PARE_PLUGIN(plugin)
