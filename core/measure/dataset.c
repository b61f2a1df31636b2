/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of a data set, chosen, checked and made ready for a model. */
#include "measure/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "measure/array.h"
#include "measure/image.h"
#include "measure/labelled.h"
#include "measure/source.h"
#include "measure/spearman.h"
#include "measure/tokens.h"
#include "measure/windows.h"

struct pare_dataset {
    struct pare_place place;
    struct pare_array images;      /* either these */
    struct pare_image_files files; /* or these */
    struct pare_windows *windows;  /* or these */
    struct pare_labelled texts;    /* or these, which have no `labels` */
    uint32_t window;
    bool planes;                      /* images: channels come before height and width */
    uint32_t channels, height, width; /* of stored images; 0 for files: each has its own */
    uint32_t *labels;                 /* of all samples of the split; NULL: none */
    uint32_t total;                   /* samples of the split */
    uint32_t *chosen;                 /* their numbers, n of them */
    uint32_t n, classes;
    bool for_model; /* opened for a model, and so readable */
    struct pare_preprocess preprocess;
    uint32_t model_channels, model_height, model_width;
    char hash[PARE_HASH_HEX], note[PARE_DATA_NOTE];
};

void pare_dataset_close(struct pare_dataset *data)
{
    if (!data)
        return;
    pare_place_free(&data->place);
    pare_array_close(&data->images);
    pare_image_files_free(&data->files);
    pare_windows_free(data->windows);
    pare_labelled_free(&data->texts);
    free(data->labels);
    free(data->chosen);
    free(data);
}

/* ---- opening
 * ------------------------------------------------------------------------------------- */

/* Which dimension is what: N H W, N H W C, or N C H W; of two readings the model's, else N H W C.
 */
static int find_layout(struct pare_dataset *d, const char *path, struct pare_error *err)
{
    const struct pare_array *a = &d->images;
    const bool last = a->rank == 4 && (a->dims[3] == 1 || a->dims[3] == 3);
    const bool first = a->rank == 4 && (a->dims[1] == 1 || a->dims[1] == 3);
    d->planes = first && (!last || (d->for_model && a->dims[1] == d->model_channels &&
                                    a->dims[3] != d->model_channels));
    if (a->rank != 3 && !first && !last) {
        pare_error_set(err, PARE_INVALID, "%s holds no images", path);
        pare_error_detail(err, "it has %u dimensions", a->rank);
        pare_error_hint(err, "expected samples x height x width, with 1 or 3 channels after the "
                             "samples or at the end");
        return PARE_INVALID;
    }
    const uint64_t c = a->rank == 3 ? 1 : d->planes ? a->dims[1] : a->dims[3];
    const uint64_t h = a->dims[d->planes ? 2 : 1], w = a->dims[d->planes ? 3 : 2];
    if (a->dims[0] == 0 || a->dims[0] > PARE_SAMPLES_MAX)
        return pare_error_set(err, PARE_INVALID, "%s: %ju samples are not read", path,
                              (uintmax_t)a->dims[0]);
    if (h == 0 || w == 0 || h > PARE_SIDE_MAX || w > PARE_SIDE_MAX || h * w > PARE_PIXELS_MAX)
        return pare_error_set(err, PARE_INVALID, "%s: images of %ju x %ju pixels are not read",
                              path, (uintmax_t)w, (uintmax_t)h);
    if (a->kind != 'f' && !(a->kind == 'u' && a->size == 1)) {
        pare_error_set(err, PARE_UNSUPPORTED, "%s: images of %u-byte integers are not read", path,
                       a->size);
        pare_error_hint(err, "uint8, float32 and float64 are");
        return PARE_UNSUPPORTED;
    }
    if (a->kind == 'f' && d->for_model &&
        (c != d->model_channels || h != d->model_height || w != d->model_width)) {
        pare_error_set(err, PARE_INVALID,
                       "%s: images of %ju x %ju x %ju do not fit the model's "
                       "%u x %u x %u",
                       path, (uintmax_t)c, (uintmax_t)h, (uintmax_t)w, d->model_channels,
                       d->model_height, d->model_width);
        pare_error_hint(err, "floating-point images are taken as ready for the model; store uint8 "
                             "to have them resized and normalised");
        return PARE_INVALID;
    }
    d->channels = (uint32_t)c;
    d->height = (uint32_t)h;
    d->width = (uint32_t)w;
    d->total = (uint32_t)a->dims[0];
    return PARE_OK;
}

/* One integer of an array as a label; false: negative or too large. */
static bool get_label(const struct pare_array *a, size_t i, uint32_t *out)
{
    const uint8_t *p = a->data + i * a->size;
    uint64_t v = 0;
    for (unsigned b = a->size; b-- > 0;)
        v = v << 8 | p[b];
    if (v >= UINT32_MAX || (a->kind == 'i' && (p[a->size - 1] & 0x80)))
        return false;
    *out = (uint32_t)v;
    return true;
}

static int read_labels(struct pare_dataset *d, const char *path, struct pare_error *err)
{
    struct pare_array a = {0};
    int rc;
    PARE_TRY(pare_array_open(path, false, &a, err));
    if (a.kind == 'f' || (a.rank != 1 && !(a.rank == 2 && a.dims[1] == 1))) {
        rc = pare_error_set(err, PARE_INVALID, "%s holds no labels", path);
        pare_error_hint(err, "expected one integer per sample");
        goto out;
    }
    if (a.dims[0] != d->total) {
        rc = pare_error_set(err, PARE_INVALID, "%s has %u images, %s has %ju labels",
                            d->place.images, d->total, path, (uintmax_t)a.dims[0]);
        goto out;
    }
    d->labels = pare_alloc(d->total, sizeof *d->labels);
    if (!d->labels) {
        rc = pare_error_nomem(err, (uint64_t)d->total * sizeof *d->labels);
        goto out;
    }
    for (uint32_t i = 0; i < d->total; i++) {
        if (!get_label(&a, i, &d->labels[i])) {
            rc = pare_error_set(err, PARE_INVALID, "%s: the label of sample %u is out of range",
                                path, i);
            goto out;
        }
    }
out:
    pare_array_close(&a);
    return rc;
}

static int label_files(struct pare_dataset *d, const struct pare_model *model,
                       struct pare_error *err)
{
    const struct pare_image_files *f = &d->files;
    uint32_t *number = pare_alloc(f->n_classes, sizeof *number);
    int rc;
    d->labels = pare_alloc(f->n, sizeof *d->labels);
    rc = number && d->labels ? PARE_OK : pare_error_nomem(err, (uint64_t)f->n * sizeof *d->labels);
    if (rc == PARE_OK)
        rc = pare_number_classes(f, model, d->place.images, number, d->note, err);
    for (uint32_t i = 0; rc == PARE_OK && i < f->n; i++)
        d->labels[i] = number[f->classes[i]];
    free(number);
    return rc;
}

static int open_place(struct pare_dataset *d, const struct pare_model *model,
                      struct pare_error *err)
{
    int rc;
    if (pare_is_folder(d->place.images)) {
        PARE_TRY(pare_image_files_list(d->place.images, &d->files, err));
        d->total = d->files.n;
        if (d->place.labels)
            PARE_TRY(read_labels(d, d->place.labels, err));
        else
            PARE_TRY(label_files(d, model, err));
    } else {
        PARE_TRY(pare_array_open(d->place.images, false, &d->images, err));
        PARE_TRY(find_layout(d, d->place.images, err));
        if (d->place.labels)
            PARE_TRY(read_labels(d, d->place.labels, err));
    }
out:
    return rc;
}

static int open_windows(struct pare_dataset *d, const struct pare_data_spec *spec,
                        const struct pare_model *model, struct pare_error *err)
{
    struct pare_tokenizer *tokenizer = NULL;
    struct pare_window_spec how = {.window = spec->window ? (uint32_t)spec->window
                                                          : pare_window_default(model->graph),
                                   .stride = (uint32_t)spec->stride};
    int rc;
    if (spec->method && strcmp(spec->method, "llama.cpp") == 0)
        how.method = PARE_WINDOWS_LLAMA_CPP;
    PARE_TRY(pare_window_check(model->graph, PARE_MAX(spec->window, spec->stride), err));
    how.path = d->place.images;
    PARE_TRY(pare_model_tokenizer(model, &tokenizer, err));
    PARE_TRY(pare_windows_open(&how, tokenizer, &d->windows, err));
    snprintf(d->note, sizeof d->note, "%s", pare_windows_note(d->windows));
    d->window = how.window;
    d->total = pare_windows_count(d->windows);
out:
    pare_tokenizer_free(tokenizer);
    return rc;
}

static int open_text(struct pare_dataset *d, const struct pare_data_spec *spec,
                     const struct pare_model *model, struct pare_error *err)
{
    int rc;
    PARE_TRY(pare_place_text(spec, &d->place, err));
    if (!pare_records_named(d->place.images))
        return open_windows(d, spec, model, err);
    if (spec->window || spec->stride || spec->method) {
        rc = pare_error_set(err, PARE_INVALID, "%s is not cut into windows: a sample is a line",
                            d->place.images);
        pare_error_hint(err, "leave window, stride and method out");
        goto out;
    }
    PARE_TRY(pare_labelled_open(d->place.images, model, &d->texts, d->note, err));
    d->total = d->texts.n;
out:
    return rc;
}

/* More samples are asked for than there are. */
static int too_few(const struct pare_dataset *d, const struct pare_data_spec *spec, uint64_t left,
                   struct pare_error *err)
{
    const char *split = d->place.split;
    const uintmax_t skip = spec->skip, samples = spec->samples;
    if (left == 0 && samples == 1)
        pare_error_set(err, PARE_INVALID, "there is no sample %ju in %s", skip, split);
    else if (left == 0)
        pare_error_set(err, PARE_INVALID, "nothing of %s is left after skipping %ju samples", split,
                       skip);
    else if (skip)
        pare_error_set(err, PARE_INVALID,
                       "%ju samples of %s are asked for, after skipping %ju only %ju are left",
                       samples, split, skip, (uintmax_t)left);
    else
        pare_error_set(err, PARE_INVALID, "%ju samples of %s are asked for, %ju are there", samples,
                       split, (uintmax_t)left);
    pare_error_detail(err, "it has %u, counted from 0", d->total);
    return PARE_INVALID;
}

/* Shuffle the split, then leave out and take. */
static int choose(struct pare_dataset *d, const struct pare_data_spec *spec, struct pare_error *err)
{
    const uint64_t left = spec->skip < d->total ? d->total - spec->skip : 0;
    if (left == 0 || (spec->samples > left && !spec->fewer))
        return too_few(d, spec, left, err);
    uint32_t *order = pare_alloc(d->total, sizeof *order);
    if (!order)
        return pare_error_nomem(err, (uint64_t)d->total * sizeof *order);
    for (uint32_t i = 0; i < d->total; i++)
        order[i] = i;
    if (spec->shuffle) {
        struct pare_random r;
        pare_random_seed(&r, spec->seed);
        pare_random_shuffle(&r, order, d->total);
    }
    d->n = (uint32_t)(spec->samples ? PARE_MIN(spec->samples, left) : left);
    memmove(order, order + spec->skip, d->n * sizeof *order);
    d->chosen = order;
    return PARE_OK;
}

static int check_labels(struct pare_dataset *d, const struct pare_model *model,
                        struct pare_error *err)
{
    const uint32_t outputs = model ? model->graph->values[model->graph->output].width : UINT32_MAX;
    for (uint32_t i = 0; d->labels && i < d->n; i++) {
        const uint32_t label = d->labels[d->chosen[i]];
        if (label >= outputs) {
            pare_error_set(err, PARE_INVALID, "%s: label %u is out of range",
                           d->place.labels ? d->place.labels : d->place.images, label);
            pare_error_detail(err, "sample %u; the model has %u classes", d->chosen[i], outputs);
            return PARE_INVALID;
        }
        d->classes = PARE_MAX(d->classes, label + 1);
    }
    return PARE_OK;
}

static size_t sample_bytes(const struct pare_dataset *d)
{
    return (size_t)d->channels * d->height * d->width * d->images.size;
}

/* Texts as their tokens, and what is known of them. */
static void hash_texts(struct pare_dataset *d)
{
    const struct pare_labelled *t = &d->texts;
    struct pare_hash h;
    pare_hash_begin(&h);
    if (d->windows) {
        pare_hash_text(&h, pare_windows_hash(d->windows));
        pare_hash_add(&h, d->chosen, d->n * sizeof *d->chosen);
    }
    for (uint32_t i = 0; t->n && i < d->n; i++) {
        const uint32_t s = d->chosen[i];
        pare_sequences_hash(t->sequences, s, &h);
        if (t->labels)
            pare_hash_add(&h, &t->labels[s], sizeof t->labels[s]);
        else
            pare_hash_add(&h, &t->scores[s], sizeof t->scores[s]);
    }
    pare_hash_end(&h, d->hash);
}

/* What was chosen, in order: the stored bytes and the label. Folders say their class by its name,
 * so that the hash is the same whatever the model calls them; version 2 is the rule by which names
 * become classes. */
static int hash_samples(struct pare_dataset *d, struct pare_error *err)
{
    struct pare_hash h;
    char text[96];
    int rc = PARE_OK;
    if (d->windows || d->texts.n) {
        hash_texts(d);
        return PARE_OK;
    }
    snprintf(text, sizeof text, "pare data %d %c%u %ux%ux%u %s %s",
             d->files.n && !d->place.labels ? 2 : 1, d->images.kind ? d->images.kind : '-',
             d->images.size, d->channels, d->height, d->width, d->planes ? "planes" : "pixels",
             d->labels ? "labels" : "bare");
    pare_hash_begin(&h);
    pare_hash_text(&h, text);
    for (uint32_t i = 0; i < d->n; i++) {
        const uint32_t s = d->chosen[i];
        if (d->files.n) {
            char *bytes;
            size_t size;
            rc = pare_file_read(d->files.paths[s], PARE_IMAGE_FILE_MAX, &bytes, &size, err);
            if (rc != PARE_OK)
                return rc;
            snprintf(text, sizeof text, "%zu", size);
            pare_hash_text(&h, text);
            pare_hash_add(&h, bytes, size);
            free(bytes);
        } else {
            pare_hash_add(&h, d->images.data + s * sample_bytes(d), sample_bytes(d));
        }
        if (d->files.n && !d->place.labels) {
            pare_hash_text(&h, d->files.names[d->files.classes[s]]);
        } else if (d->labels) {
            snprintf(text, sizeof text, "%u", d->labels[s]);
            pare_hash_text(&h, text);
        }
    }
    pare_hash_end(&h, d->hash);
    return PARE_OK;
}

/* Scores that nothing can correlate with are told of before anything runs. */
static int note_scores(struct pare_dataset *d, struct pare_error *err)
{
    const size_t used = strlen(d->note);
    double *scores = d->texts.scores ? pare_alloc(d->n, sizeof *scores) : NULL;
    if (!d->texts.scores)
        return PARE_OK;
    if (!scores)
        return pare_error_nomem(err, d->n * sizeof *scores);
    for (uint32_t i = 0; i < d->n; i++)
        scores[i] = d->texts.scores[d->chosen[i]];
    const char *why = pare_spearman_lacks(NULL, scores, d->n);
    if (why)
        snprintf(d->note + used, sizeof d->note - used, "%s%.200s has no rank correlation: %s",
                 used ? "\n" : "", d->place.images, why);
    free(scores);
    return PARE_OK;
}

int pare_dataset_open(const struct pare_data_spec *spec, const struct pare_model *model,
                      struct pare_dataset **out, struct pare_error *err)
{
    struct pare_dataset *d = calloc(1, sizeof *d);
    int rc = d ? PARE_OK : pare_error_nomem(err, sizeof *d);
    if (rc != PARE_OK)
        return rc;
    if (model) {
        d->for_model = true;
        d->preprocess = model->preprocess;
        d->model_channels = model->graph->channels;
        d->model_height = model->graph->height;
        d->model_width = model->graph->width;
    }
    const bool reads_text = model && pare_graph_reads_text(model->graph);
    if (reads_text && spec->from) {
        PARE_TRY(open_text(d, spec, model, err));
    } else if (reads_text) {
        rc = pare_error_set(err, PARE_INVALID, "a language model reads a text, not arrays");
        goto out;
    } else if (spec->from) {
        PARE_TRY(pare_place_find(spec->from, spec->split, &d->place, err));
    } else if (spec->inputs) {
        d->place.split = pare_strdup(spec->split ? spec->split : pare_path_name(spec->inputs));
        d->place.images = pare_strdup(spec->inputs);
        d->place.labels = spec->labels ? pare_strdup(spec->labels) : NULL;
        if (!d->place.split || !d->place.images || (spec->labels && !d->place.labels)) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
    } else {
        rc = pare_error_set(err, PARE_INVALID, "no data set is named");
        goto out;
    }
    if (!reads_text)
        PARE_TRY(open_place(d, model, err));
    PARE_TRY(choose(d, spec, err));
    PARE_TRY(check_labels(d, model, err));
    PARE_TRY(hash_samples(d, err));
    PARE_TRY(note_scores(d, err));
    *out = d;
    d = NULL;
out:
    pare_dataset_close(d);
    return rc;
}

/* ---- what is known
 * ------------------------------------------------------------------------------- */

uint32_t pare_dataset_size(const struct pare_dataset *data)
{
    return data->n;
}

enum pare_task pare_dataset_task(const struct pare_dataset *data)
{
    if (data->windows)
        return PARE_TASK_WINDOWS;
    return data->texts.n ? data->texts.task : PARE_TASK_CLASSES;
}

bool pare_dataset_has_labels(const struct pare_dataset *data)
{
    return data->labels || data->texts.labels;
}

uint32_t pare_dataset_classes(const struct pare_dataset *data)
{
    return data->classes;
}

const char *pare_dataset_hash(const struct pare_dataset *data)
{
    return data->hash;
}

const char *pare_dataset_source(const struct pare_dataset *data, size_t i)
{
    return i == 0 ? data->place.images : i == 1 ? data->place.labels : NULL;
}

const char *pare_dataset_split(const struct pare_dataset *data)
{
    return data->place.split;
}

const struct pare_windows *pare_dataset_windows(const struct pare_dataset *data)
{
    return data->windows;
}

const struct pare_sequences *pare_dataset_sequences(const struct pare_dataset *data)
{
    return data->texts.sequences;
}

uint32_t pare_dataset_label(const struct pare_dataset *data, uint32_t i)
{
    const uint32_t *labels = data->labels ? data->labels : data->texts.labels;
    return labels ? labels[data->chosen[i]] : UINT32_MAX;
}

double pare_dataset_score(const struct pare_dataset *data, uint32_t i)
{
    return data->texts.scores ? data->texts.scores[data->chosen[i]] : (double)NAN;
}

uint32_t pare_dataset_number(const struct pare_dataset *data, uint32_t i)
{
    return data->chosen[i];
}

uint32_t pare_dataset_window(const struct pare_dataset *data)
{
    return data->window;
}

const char *pare_dataset_note(const struct pare_dataset *data)
{
    return data->note;
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

/* Floating-point samples are ready for the model; only their layout changes. */
static int read_floats(const struct pare_dataset *d, uint32_t sample, float *out,
                       struct pare_error *err)
{
    const struct pare_array *a = &d->images;
    const size_t plane = (size_t)d->height * d->width, n = plane * d->channels;
    const uint8_t *p = a->data + sample * sample_bytes(d);
    for (size_t i = 0; i < n; i++, p += a->size) {
        float x;
        double wide;
        if (a->size == 8) {
            memcpy(&wide, p, sizeof wide);
            x = (float)wide;
        } else {
            memcpy(&x, p, sizeof x);
        }
        if (!isfinite(x))
            return pare_error_set(err, PARE_INVALID, "%s: sample %u is not finite", d->place.images,
                                  sample);
        out[d->planes ? i : i % d->channels * plane + i / d->channels] = x;
    }
    return PARE_OK;
}

static int read_pixels(const struct pare_dataset *d, uint32_t sample, struct pare_image *out,
                       struct pare_error *err)
{
    const size_t plane = (size_t)d->height * d->width;
    const uint8_t *p = d->images.data + sample * sample_bytes(d);
    int rc = pare_image_new(d->width, d->height, d->channels, out, err);
    if (rc != PARE_OK)
        return rc;
    if (!d->planes || d->channels == 1) {
        memcpy(out->pixels, p, sample_bytes(d));
        return PARE_OK;
    }
    for (uint32_t c = 0; c < d->channels; c++) {
        for (size_t i = 0; i < plane; i++)
            out->pixels[i * d->channels + c] = *p++;
    }
    return PARE_OK;
}

static int read_file(const char *path, struct pare_image *out, struct pare_error *err)
{
    char *bytes;
    size_t size;
    int rc = pare_file_read(path, PARE_IMAGE_FILE_MAX, &bytes, &size, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare_image_decode(path, bytes, size, out, err);
    free(bytes);
    return rc;
}

static int read_window(const struct pare_dataset *d, uint32_t sample, float *out,
                       struct pare_error *err)
{
    int32_t *ids = pare_calloc(d->window, sizeof *ids);
    if (!ids)
        return pare_error_nomem(err, d->window * sizeof *ids);
    pare_windows_read(d->windows, sample, ids);
    for (uint32_t i = 0; i < d->window; i++)
        out[i] = (float)ids[i];
    free(ids);
    return PARE_OK;
}

static int read_sample(const struct pare_dataset *d, uint32_t sample, float *out,
                       struct pare_error *err)
{
    struct pare_image image = {0};
    int rc;
    if (d->windows)
        return read_window(d, sample, out, err);
    if (d->images.kind == 'f')
        return read_floats(d, sample, out, err);
    if (d->files.n)
        PARE_TRY(read_file(d->files.paths[sample], &image, err));
    else
        PARE_TRY(read_pixels(d, sample, &image, err));
    rc = pare_preprocess_image(&d->preprocess, d->model_channels, d->model_height, d->model_width,
                               &image, out, err);
    if (rc != PARE_OK && d->files.n)
        pare_error_detail(err, "%s", d->files.paths[sample]);
out:
    free(image.pixels);
    return rc;
}

int pare_dataset_read(struct pare_dataset *data, uint32_t first, uint32_t n, float *images,
                      uint32_t *labels, struct pare_error *err)
{
    const size_t size = data->windows
                            ? data->window
                            : (size_t)data->model_channels * data->model_height * data->model_width;
    int rc = PARE_OK;
    if (!data->for_model || first > data->n || n > data->n - first)
        return pare_error_set(err, PARE_INVALID, "samples %u to %ju are not there", first,
                              (uintmax_t)first + n);
    if (data->texts.n) {
        pare_error_set(err, PARE_INVALID, "%s: its samples have no common length",
                       data->place.images);
        pare_error_hint(err, "name a plain text (.txt) here, which is cut into windows");
        return PARE_INVALID;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t sample = data->chosen[first + i];
        if (images)
            PARE_TRY(read_sample(data, sample, images + i * size, err));
        if (labels)
            labels[i] = data->labels ? data->labels[sample] : UINT32_MAX;
    }
out:
    return rc;
}
