/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/spec_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "pipeline/keys.h"
#include "plugin/stage.h"
#include "text/tokenizer.h"

static int find_in_catalog(void *user, const char *name, const char *folder,
                           const struct pare_plugin_file **out, struct pare_error *err)
{
    return pare_catalog_find(user, name, folder, out, err);
}

struct pare_spec_env pare_catalog_env(struct pare_catalog *catalog)
{
    return (struct pare_spec_env){.user = catalog, .find = find_in_catalog};
}

static int find(void *user, const char *name, const char *folder,
                const struct pare_plugin_file **out, struct pare_error *err)
{
    return find_in_catalog(((struct pare_world *)user)->catalog, name, folder, out, err);
}

static void close_model(struct pare_world *w)
{
    pare_units_free(&w->units);
    pare_model_free(w->model);
    free(w->model_path);
    w->model = NULL;
    w->model_path = NULL;
}

void pare_world_read(struct pare_world *w, const char *path)
{
    if (!w->reads)
        w->reads = json_array();
    if (path)
        json_array_append_new(w->reads, json_string(path));
}

/* A tokenizer can lie where another model is; of a folder only its files are of interest. */
static void read_tokenizer(struct pare_world *w)
{
    const char *path = w->model->tokenizer;
    if (w->model->tokenizer_source != PARE_TOKENIZER_FOLDER) {
        pare_world_read(w, path);
        return;
    }
    for (size_t i = 0; i < PARE_TOKENIZER_FILES; i++) {
        char *file = pare_path_join(path, pare_tokenizer_files[i]);
        pare_world_read(w, file);
        free(file);
    }
}

static int open_model(void *user, const char *path, const struct pare_unit **units, size_t *n,
                      char hash[PARE_HASH_HEX], bool *reads_text, enum pare_output *output,
                      struct pare_error *err)
{
    struct pare_world *w = user;
    const char *text;
    int rc = PARE_OK;
    if (!w->model || strcmp(w->model_path, path) != 0) {
        close_model(w);
        w->model_path = pare_strdup(path);
        if (!w->model_path)
            return pare_error_nomem(err, 0);
        PARE_TRY(pare_model_open(path, &w->model, err));
        PARE_TRY(pare_units_of(w->model->graph, ~0u, &w->units, err));
        pare_world_read(w, path);
        read_tokenizer(w);
    }
    *units = w->units.items;
    *n = w->units.n;
    *reads_text = pare_graph_reads_text(w->model->graph);
    *output = pare_graph_output(w->model->graph);
    PARE_TRY(pare_model_hash(w->model, &text, err));
    memcpy(hash, text, PARE_HASH_HEX);
out:
    if (rc != PARE_OK)
        close_model(w);
    return rc;
}

static int read_data(void *user, struct pare_data *data, struct pare_error *err)
{
    struct pare_world *w = user;
    return w->data(w->data_user, data, err);
}

static int check(void *user, const struct pare_step *step, struct pare_error *err)
{
    struct pare_world *w = user;
    return pare_stage_check(w->catalog, w->model ? &w->units : NULL, step, err);
}

struct pare_spec_env pare_world_env(struct pare_world *w)
{
    return (struct pare_spec_env){.user = w,
                                  .find = find,
                                  .model = open_model,
                                  .data = read_data,
                                  .check = check,
                                  .numerics = PARE_ENGINE_NUMERICS,
                                  .sets = w->sets};
}

void pare_world_free(struct pare_world *w)
{
    close_model(w);
    json_decref(w->reads);
    free(w->data_notes);
    w->reads = NULL;
    w->data_notes = NULL;
}
