/* SPDX-License-Identifier: Apache-2.0 */
/* A score that does everything wrong that a score can do. */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

static int score(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_table *table = host->extension(ctx, PARE_EXT_TABLE);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_ext_calibration *data = host->extension(ctx, PARE_EXT_CALIBRATION);
    const struct pare_ext_allocation *choice = host->extension(ctx, PARE_EXT_ALLOCATION);
    const char *what;
    double x;
    int rc = host->get_text(ctx, NULL, "what", &what);
    if (rc != PARE_OK)
        return rc;
    if (strcmp(what, "missing") == 0)
        return PARE_OK; /* the table stays empty */
    if (strcmp(what, "nan") == 0)
        return table->set(ctx, 0, 0, NAN);
    if (strcmp(what, "outside") == 0)
        return table->set(ctx, table->rows(ctx), 0, 1);
    if (strcmp(what, "column") == 0)
        return table->set(ctx, 0, 1, 1);
    if (strcmp(what, "changes") == 0)
        return weight->set_activations(ctx, model->unit(ctx, PARE_UNIT_LINEAR, 0), 8);
    if (strcmp(what, "chooses") == 0)
        return choice->choose(ctx, 0, 1);
    return data->cosine(ctx, model->unit(ctx, PARE_UNIT_BLOCK, 0), &x); /* without 'needs' */
}

static const struct pare_param params[] = {
    {.name = "what",
     .help = "which mistake",
     .type = PARE_CHOICE,
     .dflt = "nan",
     .choices = "nan|missing|outside|column|changes|chooses|undeclared"}};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-score",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .kind = PARE_SCORE,
    .unit_kind = PARE_UNIT_BLOCK | PARE_UNIT_BRANCH,
    PARE_PLUGIN_PARAMS(params),
    .score = score,
};

PARE_PLUGIN(plugin)
