/* SPDX-License-Identifier: Apache-2.0 */
/* Importance of a unit as how far the model's output moves when the unit is removed or altered: a
 * probe. */
#include <pare/plugin.h>

#include <string.h>

static const struct {
    const char *name;
    uint32_t value;
} distances[] = {{"kl", PARE_DISTANCE_KL},
                 {"l2", PARE_DISTANCE_L2},
                 {"cosine", PARE_DISTANCE_COSINE},
                 {"loss", PARE_DISTANCE_LOSS}};

static uint32_t distance_of(const char *name)
{
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        if (strcmp(distances[i].name, name) == 0)
            return distances[i].value;
    }
    return 0;
}

static int score(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_table *table = host->extension(ctx, PARE_EXT_TABLE);
    const struct pare_ext_probe *probe = host->extension(ctx, PARE_EXT_PROBE);
    struct pare_alter alter = {.struct_size = sizeof alter};
    const char *distance, *how;
    int rc;
    if (!model || !table || !PARE_HAS(probe, run))
        return host->error(ctx, PARE_UNSUPPORTED, "this host has no probes");
    if ((rc = host->get_text(ctx, NULL, "distance", &distance)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "alter", &how)) != PARE_OK ||
        (rc = host->get_real(ctx, NULL, "factor", &alter.factor)) != PARE_OK)
        return rc;
    alter.what = how[0] == 'm'   ? PARE_ALTER_MEAN
                 : how[0] == 's' ? PARE_ALTER_SCALE
                                 : PARE_ALTER_DROP;
    uint32_t n = table->rows(ctx), kind = table->unit_kind(ctx);
    for (uint32_t i = 0; i < n; i++) {
        double mean;
        alter.unit = model->unit(ctx, kind, i);
        rc = probe->run(ctx, &alter, 1, distance_of(distance), PARE_REFERENCE_STAGE, &mean, NULL);
        if (rc == PARE_OK)
            rc = table->set(ctx, i, 0, mean);
        if (rc != PARE_OK)
            return rc;
        if (host->progress(ctx, (double)(i + 1) / n))
            return host->error(ctx, PARE_CANCELLED, "interrupted");
    }
    return PARE_OK;
}

static const struct pare_param params[] = {
    {.name = "distance",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "kl",
     .choices = "kl|l2|cosine|loss",
     .help = "KL divergence of the outputs, relative L2 or 1 - cos of the last hidden state, or "
             "the loss"},
    {.name = "alter",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "drop",
     .choices = "drop|mean|scale",
     .help = "remove the unit, put its mean in its place, or scale its output by 'factor'"},
    {.name = "factor",
     .type = PARE_REAL,
     .min = -100,
     .max = 100,
     .dflt = "0.9",
     .help = "for alter: scale"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "output-change",
    .version = "1.0.0",
    .summary = "how far the output moves when a unit is removed or altered",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation = "Zhang et al.: FinerCut, arXiv:2405.18218 (its score, with a true KL divergence)",
    .kind = PARE_SCORE,
    .flags = PARE_DETERMINISTIC,
    .needs = PARE_NEEDS_DATA | PARE_NEEDS_MOMENTS,
    .unit_kind =
        PARE_UNIT_LINEAR | PARE_UNIT_HEAD | PARE_UNIT_CHANNEL | PARE_UNIT_BRANCH | PARE_UNIT_BLOCK,
    PARE_PLUGIN_PARAMS(params),
    .score = score,
};

PARE_PLUGIN(plugin)
