/* SPDX-License-Identifier: Apache-2.0 */
/* Importance of a branch or block as 1 - cos(input, output), mean over tokens: Block Influence
 * (ShortGPT, arXiv:2403.03853) for blocks, LLM-Drop's score (arXiv:2406.15786) for branches; LIM
 * (arXiv:2406.17415) differs by a constant. */
#include <pare/plugin.h>

static int score(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_table *table = host->extension(ctx, PARE_EXT_TABLE);
    const struct pare_ext_calibration *data = host->extension(ctx, PARE_EXT_CALIBRATION);
    int rc = PARE_OK;
    if (!model || !table || !PARE_HAS(data, cosine))
        return host->error(ctx, PARE_UNSUPPORTED, "this host has no cosines");
    uint32_t n = table->rows(ctx), kind = table->unit_kind(ctx);
    for (uint32_t i = 0; i < n && rc == PARE_OK; i++) {
        double cosine;
        rc = data->cosine(ctx, model->unit(ctx, kind, i), &cosine);
        if (rc == PARE_OK)
            rc = table->set(ctx, i, 0, 1 - cosine);
    }
    return rc;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "cosine",
    .version = "1.0.0",
    .summary = "1 - cos of what goes into a branch or block and what comes out",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation = "Men et al.: ShortGPT, arXiv:2403.03853; He et al.: What Matters in Transformers, "
                "arXiv:2406.15786; Dumitru et al.: Layer-Wise Quantization, arXiv:2406.17415",
    .kind = PARE_SCORE,
    .flags = PARE_DETERMINISTIC,
    .needs = PARE_NEEDS_COSINE,
    .unit_kind = PARE_UNIT_BRANCH | PARE_UNIT_BLOCK,
    .score = score,
};

PARE_PLUGIN(plugin)
