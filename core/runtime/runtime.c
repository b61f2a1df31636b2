/* SPDX-License-Identifier: Apache-2.0 */
/* <pare/runtime.h>: a model and its plans behind a handle. */
#include <pare/runtime.h>

#include <fenv.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/plan.h"
#include "measure/dataset.h"
#include "model/encoding.h"
#include "plugin/open.h"

#define BATCH 16u

struct pare_rt_model {
    struct pare_model *model;
    struct pare_plan *single;
    struct pare_plan *batch; /* made when several inputs are run for the first time */
    unsigned threads;
};

/* The three parts of a message in one line. */
static int tell(int rc, const struct pare_error *err, char *message, size_t size)
{
    if (!message || size == 0)
        return rc;
    if (rc == PARE_OK)
        message[0] = '\0';
    else
        snprintf(message, size, "%s%s%s%s%s", err->what, err->detail[0] ? ": " : "", err->detail,
                 err->hint[0] ? "; " : "", err->hint);
    return rc;
}

static int new_plan(const struct pare_rt_model *m, uint32_t batch, struct pare_plan **out,
                    struct pare_error *err)
{
    const struct pare_plan_options options = {.batch = batch, .threads = m->threads, .isa = -1};
    return pare_plan_new(m->model->graph, &options, out, err);
}

int pare_rt_plugin(const char *file, char *message, size_t size)
{
    const struct pare_plugin *plugin;
    struct pare_error err = {0};
    char sha256[PARE_HASH_HEX];
    int rc;
    PARE_TRY(pare_hash_file(file, sha256, &err));
    PARE_TRY(pare_plugin_open(file, &plugin, &err));
    if (PARE_REACHES(plugin, encoding) && plugin->encoding && plugin->id)
        rc = pare_encoding_add(plugin->id, plugin->encoding, file, sha256, &err);
    else
        rc = pare_error_set(&err, PARE_INVALID, "%s brings no encoding", file);
out:
    return tell(rc, &err, message, size);
}

int pare_rt_open(const char *path, unsigned threads, pare_rt_model **model, char *message,
                 size_t size)
{
    struct pare_error err = {0};
    struct pare_rt_model *m = calloc(1, sizeof *m);
    int rc = m ? PARE_OK : pare_error_nomem(&err, sizeof *m);
    *model = NULL;
    if (rc != PARE_OK)
        goto out;
    m->threads = threads;
    PARE_TRY(pare_model_open(path, &m->model, &err));
    PARE_TRY(new_plan(m, 1, &m->single, &err));
    *model = m;
    m = NULL;
out:
    pare_rt_close(m);
    return tell(rc, &err, message, size);
}

void pare_rt_close(pare_rt_model *model)
{
    if (!model)
        return;
    pare_plan_free(model->single);
    pare_plan_free(model->batch);
    pare_model_free(model->model);
    free(model);
}

void pare_rt_input_shape(const pare_rt_model *model, unsigned *channels, unsigned *height,
                         unsigned *width)
{
    *channels = model->model->graph->channels;
    *height = model->model->graph->height;
    *width = model->model->graph->width;
}

size_t pare_rt_input_size(const pare_rt_model *model)
{
    const struct pare_graph *g = model->model->graph;
    return pare_graph_inputs(g);
}

unsigned pare_rt_classes(const pare_rt_model *model)
{
    const struct pare_graph *g = model->model->graph;
    return g->values[g->output].width;
}

const char *pare_rt_label(const pare_rt_model *model, unsigned class_index)
{
    return class_index < model->model->n_labels ? model->model->labels[class_index] : NULL;
}

int pare_rt_load_image(const pare_rt_model *model, const char *file, float *input, char *message,
                       size_t size)
{
    struct pare_error err = {0};
    return tell(pare_image_load(file, model->model, input, &err), &err, message, size);
}

int pare_rt_run(pare_rt_model *model, const float *inputs, size_t n, float *outputs, char *message,
                size_t size)
{
    const size_t in = pare_rt_input_size(model), out = pare_rt_classes(model);
    struct pare_error err = {0};
    fenv_t before;
    const int all = omp_get_max_threads();
    int rc = PARE_OK;
    fegetenv(&before);
    omp_set_num_threads((int)model->threads); /* flush the threads that run, start no others */
    pare_flush_denormals();
    omp_set_num_threads(all);
    if (n > 1 && !model->batch)
        PARE_TRY(new_plan(model, BATCH, &model->batch, &err));
    for (size_t done = 0, part; done < n; done += part) {
        part = PARE_MIN(n - done, n > 1 ? BATCH : 1);
        PARE_TRY(pare_plan_run(n > 1 ? model->batch : model->single, inputs + done * in,
                               (uint32_t)part, outputs + done * out, &err));
    }
out:
    fesetenv(&before);
    return tell(rc, &err, message, size);
}
