/* SPDX-License-Identifier: Apache-2.0 */
/* Classify one image. */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "measure/measure.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct job {
    struct pare_model *model;
    float *image, *logits;
    uint32_t classes, label; /* label: UINT32_MAX when it is not known */
};

/* A file of many samples, of which one has to be named. */
static bool holds_many(const char *file)
{
    return pare_ends_with(file, ".npy") || strstr(pare_path_name(file), "-images") != NULL;
}

/* FILE:INDEX splits at the last colon; *file is NULL when it is not so written. */
static int split_index(const char *text, char **file, uint64_t *index, struct pare_error *err)
{
    const char *colon = strrchr(text, ':');
    struct pare_str s = {0};
    long long n;
    *file = NULL;
    if (!colon || colon == text)
        return PARE_OK;
    pare_str_append_n(&s, text, (size_t)(colon - text));
    char *name = pare_str_take(&s);
    if (!name)
        return pare_error_nomem(err, 0);
    if (!pare_file_exists(name)) {
        free(name);
        return PARE_OK;
    }
    if (!pare_parse_int(colon + 1, &n) || n < 0) {
        int rc = pare_error_set(err, PARE_INVALID, "'%s' is no number of a sample of %s", colon + 1,
                                name);
        pare_error_hint(err, "FILE:INDEX counts from 0");
        free(name);
        return rc;
    }
    *file = name;
    *index = (uint64_t)n;
    return PARE_OK;
}

/* One sample of an .npy file, or of FOLDER/SPLIT-images-idx3-ubyte(.gz). */
static int read_sample(struct job *j, const char *file, uint64_t index, struct pare_error *err)
{
    struct pare_data_spec spec = {.skip = index, .samples = 1};
    struct pare_dataset *data = NULL;
    char *folder = NULL, split[256];
    const char *name = pare_path_name(file), *mark = strstr(name, "-images");
    int rc = PARE_OK;
    if (mark) {
        folder = pare_path_folder(file);
        snprintf(split, sizeof split, "%.*s", (int)PARE_MIN(mark - name, 255), name);
        spec.from = folder;
        spec.split = split;
    } else {
        spec.inputs = file;
    }
    PARE_TRY(pare_dataset_open(&spec, j->model, &data, err));
    rc = pare_dataset_read(data, 0, 1, j->image, pare_dataset_has_labels(data) ? &j->label : NULL,
                           err);
out:
    pare_dataset_close(data);
    free(folder);
    return rc;
}

static int read_input(struct job *j, const char *text, struct pare_error *err)
{
    const struct pare_graph *g = j->model->graph;
    char *file = NULL;
    uint64_t index;
    int rc;
    j->classes = g->values[g->output].width;
    j->image = pare_alloc_aligned(pare_graph_inputs(g), sizeof *j->image);
    j->logits = pare_alloc_aligned(j->classes, sizeof *j->logits);
    if (!j->image || !j->logits)
        return pare_error_nomem(err, 0);
    if (pare_file_exists(text) && holds_many(text)) {
        rc = pare_error_set(err, PARE_INVALID, "%s holds many samples: name one", text);
        pare_error_hint(err, "FILE:INDEX, as %s:0", text);
        return rc;
    }
    rc = pare_file_exists(text) ? PARE_OK : split_index(text, &file, &index, err);
    if (rc == PARE_OK)
        rc = file ? read_sample(j, file, index, err)
                  : pare_image_load(text, j->model, j->image, err);
    free(file);
    return rc;
}

static int infer(struct job *j, struct pare_error *err)
{
    const struct pare_plan_options options = {.batch = 1, .threads = 1, .isa = -1};
    struct pare_plan *plan = NULL;
    int rc;
    pare_flush_denormals();
    PARE_TRY(pare_plan_new(j->model->graph, &options, &plan, err));
    PARE_TRY(pare_plan_run(plan, j->image, 1, j->logits, err));
out:
    pare_plan_free(plan);
    return rc;
}

static bool print_top(const struct job *j, uint32_t top, enum pare_format format)
{
    static const char *const names[] = {"rank", "class", "label", "probability", "is_target"};
    struct pare_table t = {0};
    double most = -HUGE_VAL, sum = 0;
    bool known = j->label != UINT32_MAX;
    bool *taken = pare_calloc(j->classes, sizeof *taken);
    if (!taken)
        return false;
    for (size_t i = 0; i < PARE_COUNT(names) - !known; i++)
        pare_table_column(&t, names[i]);
    for (uint32_t i = 0; i < j->classes; i++)
        most = fmax(most, (double)j->logits[i]);
    for (uint32_t i = 0; i < j->classes; i++)
        sum += exp((double)j->logits[i] - most);
    for (uint32_t k = 0; k < PARE_MIN(top, j->classes); k++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i < j->classes; i++) {
            if (!taken[i] && (best == UINT32_MAX || j->logits[i] > j->logits[best]))
                best = i;
        }
        char text[32];
        double p = exp((double)j->logits[best] - most) / sum;
        taken[best] = true;
        pare_table_integer(&t, k + 1);
        pare_table_integer(&t, best);
        pare_table_text(&t, best < j->model->n_labels ? j->model->labels[best] : NULL);
        snprintf(text, sizeof text, "%.4f", p);
        pare_table_number(&t, p, format == PARE_FORMAT_TABLE ? text : NULL);
        if (known)
            pare_table_text(&t, best == j->label ? "yes" : NULL);
    }
    free(taken);
    return pare_table_print(&t, format, stdout);
}

static int run(struct pare_cli *cli)
{
    struct job j = {.label = UINT32_MAX};
    struct pare_error err = {0};
    long long top;
    int exit = PARE_EXIT_OK, rc;
    if (!pare_cli_number(cli, "top", 1, 1000000, 5, &top))
        return PARE_EXIT_USAGE;
    PARE_TRY(pare_cli_model(cli, cli->args[0], &j.model, NULL, &err));
    PARE_TRY(read_input(&j, cli->args[1], &err));
    PARE_TRY(infer(&j, &err));
    if (!print_top(&j, (uint32_t)top, cli->format))
        exit = PARE_EXIT_FAILED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    free(j.image);
    free(j.logits);
    pare_model_free(j.model);
    return exit;
}

static const struct pare_option options[] = {
    {"top", 'k', "N", "the N most likely classes (5)"},
};

const struct pare_command pare_command_predict = {
    .name = "predict",
    .summary = "Classify one image",
    .arguments = "MODEL INPUT",
    .about = "INPUT is a JPEG or PNG file, or one sample of an .npy or IDX file as FILE:INDEX,\n"
             "counting from 0. Images go through the model's own preprocessing.\n\n"
             "examples:\n"
             "  pare predict edge/ leaf.jpg --top 3\n"
             "  pare predict drop1+q8 share/data/fashion-mnist/test-images-idx3-ubyte.gz:7",
    .least = 2,
    .most = 2,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
