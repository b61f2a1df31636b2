/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/eval_metric.h"

#include <stdlib.h>

#include "cli/show.h"
#include "pipeline/spec_env.h"

/* All parameters at their defaults; a mistake is told as the first of its diagnostics. */
static int take_defaults(struct pare_cli_metric *m, struct pare_error *err)
{
    static const struct pare_yaml nothing = {.kind = PARE_YAML_NULL};
    struct pare_spec_env env = pare_catalog_env(m->catalog);
    struct pare_diags diags = {0};
    struct pare_used used = {0};
    struct pare_checker checker = {.env = &env, .diags = &diags, .used = &used, .folder = "."};
    json_t *all = pare_checked_settings(&checker, m->plugin, NULL, 0, &nothing);
    m->params = json_incref(json_array_get(all, 0));
    int rc = m->params ? PARE_OK
             : diags.n ? pare_error_set(err, PARE_INVALID, "%s", diags.items[0].what)
                       : pare_error_nomem(err, 0);
    json_decref(all);
    pare_diags_free(&diags);
    free(used.files);
    return rc;
}

int pare_cli_metric_open(const char *name, size_t n, struct pare_cli_metric *out,
                         struct pare_error *err)
{
    int rc;
    *out = (struct pare_cli_metric){.n = n};
    PARE_TRY(pare_catalog_new(&out->catalog, err));
    PARE_TRY(pare_catalog_find(out->catalog, name, NULL, &out->plugin, err));
    if (out->plugin->desc.kind != PARE_METRIC) {
        rc = pare_error_set(err, PARE_INVALID, "plugin '%s' is no metric", out->plugin->desc.id);
        pare_error_hint(err, "`pare plugins` tells the kind of each");
        goto out;
    }
    PARE_TRY(take_defaults(out, err));
    out->env = (struct pare_stage_env){.catalog = out->catalog, .threads = 1};
    out->values = pare_alloc(n, sizeof *out->values);
    if (!out->values)
        rc = pare_error_nomem(err, n * sizeof *out->values);
out:
    return rc;
}

void pare_cli_metric_close(struct pare_cli_metric *m)
{
    json_decref(m->params);
    free(m->values);
    pare_catalog_free(m->catalog);
    *m = (struct pare_cli_metric){0};
}

bool pare_cli_metric_add(const struct pare_cli_metric *m, json_t *object)
{
    size_t counted;
    return pare_cli_add_interval(object, m->plugin->desc.id,
                                 pare_metric_mean(m->values, m->n, 1, &counted));
}
