/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_EVAL_METRIC_H
#define PARE_CLI_EVAL_METRIC_H

#include "plugin/metric.h"
#include "plugin/stage.h"

/* A metric of a plugin, with its defaults, for `pare eval --metric`. */
struct pare_cli_metric {
    struct pare_catalog *catalog;
    const struct pare_plugin_file *plugin;
    json_t *params;
    struct pare_stage_env env;
    double *values; /* of n samples */
    size_t n;
};

/* PARE_NOT_FOUND: no such plugin; PARE_INVALID: no metric, or a parameter without a default.
 * Release what was begun, too, with pare_cli_metric_close(). */
int pare_cli_metric_open(const char *name, size_t n, struct pare_cli_metric *out,
                         struct pare_error *err);
void pare_cli_metric_close(struct pare_cli_metric *m);

/* Add ID, ID_lo and ID_hi to an object. False: no memory. */
bool pare_cli_metric_add(const struct pare_cli_metric *m, json_t *object);

#endif
