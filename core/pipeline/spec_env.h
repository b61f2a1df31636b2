/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_SPEC_ENV_H
#define PARE_PIPELINE_SPEC_ENV_H

#include "model/model.h"
#include "model/unit.h"
#include "pipeline/spec.h"

/* The real plugins and models for reading pipelines. Zero-initialise, then fill in the first part.
 */
struct pare_world {
    struct pare_catalog *catalog; /* the caller's */
    int (*data)(void *user, struct pare_data *data,
                struct pare_error *err); /* as in pare_spec_env */
    void *data_user;
    const char *const *sets; /* of `--set`, NULL-terminated, or NULL */

    struct pare_model *model; /* opened when a pipeline names it; the last one */
    char *model_path;
    struct pare_units units; /* all of the model's */
    json_t *reads;           /* paths of models and data: what workers have to read */
    char *data_notes;        /* what is worth telling about the data, a line each; NULL: nothing */
};

/* An environment that looks into `w`, which must stay where it is. Pipelines read with it must not
 * be used after pare_world_free(), nor after another model was asked for. */
struct pare_spec_env pare_world_env(struct pare_world *w);
void pare_world_free(struct pare_world *w);

/* Remember a path (NULL: none) for workers to read. */
void pare_world_read(struct pare_world *w, const char *path);

/* An environment that only finds plugins: enough for settings and for steps read back. */
struct pare_spec_env pare_catalog_env(struct pare_catalog *catalog);

#endif
