/* SPDX-License-Identifier: Apache-2.0 */
/* A score whose values the test gives, one per row, so that allocations can be worked out by hand.
 */
#include <pare/plugin.h>

static int score(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_table *table = host->extension(ctx, PARE_EXT_TABLE);
    const int64_t *values;
    uint32_t n;
    int rc = host->get_ints(ctx, NULL, "values", &values, &n);
    if (rc == PARE_OK && n != table->rows(ctx))
        rc = host->error(ctx, PARE_INVALID, "%u values for %u rows", n, table->rows(ctx));
    for (uint32_t i = 0; i < n && rc == PARE_OK; i++)
        rc = table->set(ctx, i, 0, (double)values[i]);
    return rc;
}

static const struct pare_param params[] = {
    {.name = "values", .help = "one per row", .type = PARE_INTS, .min = 1, .max = 0}};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "given-score",
    .version = "1.0.0",
    .summary = "values that a test gives",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .kind = PARE_SCORE,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_LINEAR | PARE_UNIT_BRANCH | PARE_UNIT_BLOCK,
    PARE_PLUGIN_PARAMS(params),
    .score = score,
};

PARE_PLUGIN(plugin)
