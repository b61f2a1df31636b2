/* SPDX-License-Identifier: Apache-2.0 */
/* A metric whose values can be worked out by hand, and that goes wrong as a test wants it. */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

/* The logit of the right class, scaled; samples without one keep what the host set. */
static int measure(struct pare_ctx *ctx, const struct pare_host *host,
                   const struct pare_outputs *outputs, double *values)
{
    const char *how;
    double scale;
    int rc = host->get_text(ctx, NULL, "how", &how);
    if (rc == PARE_OK)
        rc = host->get_real(ctx, NULL, "scale", &scale);
    if (rc != PARE_OK)
        return rc;
    if (strcmp(how, "silent") == 0)
        return PARE_FAILED;
    if (strcmp(how, "crash") == 0) {
        volatile int *volatile nowhere = NULL;
        *nowhere = 1;
    }
    if (strcmp(how, "refuse") == 0)
        return host->error(ctx, PARE_UNSUPPORTED, "these are not to be measured");
    if (strcmp(how, "services") == 0 &&
        (host->extension(ctx, PARE_EXT_MODEL) || host->extension(ctx, PARE_EXT_WEIGHT) ||
         !host->extension(ctx, PARE_EXT_LINALG) || !host->extension(ctx, PARE_EXT_PARALLEL)))
        return host->error(ctx, PARE_FAILED, "other services than a metric has");
    for (uint32_t i = 0; i < outputs->samples; i++) {
        const uint32_t target = outputs->targets[i];
        if (target != PARE_NO_TARGET && strcmp(how, "none") != 0)
            values[i] = scale * (double)outputs->values[(size_t)i * outputs->width + target];
        if (strcmp(how, "infinite") == 0)
            values[i] = (double)INFINITY;
    }
    return PARE_OK;
}

static const struct pare_param params[] = {
    {.name = "scale", .help = "of values", .type = PARE_REAL, .min = -9, .max = 9, .dflt = "1"},
    {.name = "how",
     .help = "it behaves",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "well",
     .choices = "well|services|silent|refuse|infinite|none|crash"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "given-metric",
    .version = "1.0.0",
    .summary = "logits of the right classes, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .kind = PARE_METRIC,
    .flags = PARE_DETERMINISTIC,
    PARE_PLUGIN_PARAMS(params),
    .measure = measure,
    .unit = "logit",
};

PARE_PLUGIN(plugin)
