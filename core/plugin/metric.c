/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: what a plugin measures of a model's outputs. There is no model in their context. */
#include "plugin/metric.h"
#include "plugin/context.h"

#include <math.h>
#include <string.h>

struct call {
    const struct pare_outputs *outputs;
    double *values;
};

static int call_measure(struct pare_ctx *ctx, void *user)
{
    const struct call *c = user;
    const struct pare_host *host = ctx->stage->env->host;
    return ctx->plugin->desc.measure(ctx, host ? host : &pare_host_table, c->outputs, c->values);
}

/* An evaluation may have several metrics, and a plugin need not name itself in its reason. */
static void name_metric(const char *id, struct pare_error *err)
{
    char what[sizeof err->what];
    if (!err || strstr(err->what, id))
        return;
    snprintf(what, sizeof what, "%s", err->what);
    snprintf(err->what, sizeof err->what, "metric '%s': %.270s", id, what);
}

int pare_metric_measure(struct pare_stage_env *env, const struct pare_plugin_file *plugin,
                        const json_t *params, const struct pare_outputs *outputs, double *values,
                        struct pare_error *err)
{
    struct pare_stage stage = {.env = env};
    struct call call = {outputs, values};
    struct pare_ctx ctx;
    for (uint32_t i = 0; i < outputs->samples; i++)
        values[i] = NAN;
    pare_ctx_begin(&ctx, &stage, plugin, params, err);
    int rc = pare_ctx_call(&ctx, "measure", call_measure, &call);
    pare_ctx_end(&ctx);
    if (rc != PARE_OK)
        name_metric(plugin->desc.id, err);
    for (uint32_t i = 0; rc == PARE_OK && i < outputs->samples; i++) {
        if (isinf(values[i]))
            rc = pare_error_set(err, PARE_FAILED,
                                "metric '%s' gave a sample a value that is not finite: sample %u "
                                "of a batch of %u, of %u class%s: %g",
                                plugin->desc.id, i, outputs->samples, outputs->width,
                                outputs->width == 1 ? "" : "es", values[i]);
    }
    return rc;
}

struct pare_interval pare_metric_mean(const double *values, size_t n, size_t stride,
                                      size_t *counted)
{
    double sum = 0, squares = 0;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        const double x = values[i * stride];
        m += !isnan(x);
        sum += isnan(x) ? 0 : x;
    }
    const double mean = m ? sum / (double)m : (double)NAN;
    for (size_t i = 0; i < n; i++) {
        const double d = values[i * stride] - mean;
        squares += isnan(d) ? 0 : d * d;
    }
    const double variance = squares / ((double)m - 1) / (double)m;
    const double half = m < 2 ? (double)NAN : pare_stat_normal_quantile(0.975) * sqrt(variance);
    *counted = m;
    return (struct pare_interval){mean, mean - half, mean + half};
}
