/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_METRIC_H
#define PARE_PLUGIN_METRIC_H

#include <jansson.h>

#include "base/stat.h"
#include "plugin/catalog.h"

struct pare_stage_env;

/* Metrics that a pipeline can have besides Pare's own. */
#define PARE_METRICS_MOST 8u

/* A metric's values for one batch of outputs, `outputs->samples` of them: finite, or NaN where a
 * sample has none. `params` are all of its parameters in canonical form (see plugin/step.h). Of the
 * environment (plugin/stage.h) threads, host and the calls of long work count. The plugin's own
 * failures come with its words; PARE_FAILED: a value is not finite. */
int pare_metric_measure(struct pare_stage_env *env, const struct pare_plugin_file *plugin,
                        const json_t *params, const struct pare_outputs *outputs, double *values,
                        struct pare_error *err);

/* The mean of the values that are not NaN, with its normal interval at 95 %; of n values, `stride`
 * numbers apart. `*counted`: how many are not NaN. Without two there is no interval. */
struct pare_interval pare_metric_mean(const double *values, size_t n, size_t stride,
                                      size_t *counted);

/* Which way is better. */
static inline bool pare_metric_higher(const struct pare_plugin *plugin)
{
    return !(plugin->flags & PARE_HIGHER_IS_WORSE);
}

#endif
