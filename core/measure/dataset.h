/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_DATASET_H
#define PARE_MEASURE_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "model/model.h"

/* What is to be done with samples, and so what can be measured on them. */
enum pare_task {
    PARE_TASK_CLASSES,   /* images or texts of one class each: top1 */
    PARE_TASK_WINDOWS,   /* of a plain text, whose tokens are predicted: perplexity */
    PARE_TASK_CHOICES,   /* texts that go on in several ways, one of them right: top1, acc_norm */
    PARE_TASK_SIMILARITY /* pairs of texts with a score: spearman */
};

/* Which samples: a split of a folder, or a pair of .npy files. Zero-initialise. */
struct pare_data_spec {
    const char *from;   /* folder; NULL for a pair */
    const char *split;  /* NULL: the folder's only one */
    const char *inputs; /* .npy pair */
    const char *labels; /* may be NULL: no labels */
    uint64_t skip;      /* samples left out at the front */
    uint64_t samples;   /* so many; 0: all */
    bool fewer;         /* `samples` at most: fewer do as well */
    bool shuffle;       /* take them in the order of a seeded shuffle of the split */
    uint64_t seed;
    /* Of a text: samples are windows of it, see pare_window_spec. */
    uint64_t window, stride; /* tokens; 0: 512 or the model's context, and the window */
    const char *method;      /* "hf" or "llama.cpp"; NULL: the former */
};

/* Samples of a data set, ready for one model: images as its preprocessing makes them, and as its
 * tokenizer reads them windows of a plain text, or labelled texts (see measure/records.h):
 * SPLIT.txt, .jsonl or .tsv in a folder, or a file. Reading is thread safe once opened. A split is
 * a sub-folder, else a file prefix, else what dataset.yaml in the folder says. Formats: IDX (plain
 * or gzipped), .npy pairs, a folder of images (JPEG, PNG) per class, see pare_number_classes() for
 * which class that is. */
struct pare_dataset;

int pare_dataset_open(const struct pare_data_spec *spec, const struct pare_model *model,
                      struct pare_dataset **out, struct pare_error *err);
void pare_dataset_close(struct pare_dataset *data);

enum pare_task pare_dataset_task(const struct pare_dataset *data);
uint32_t pare_dataset_size(const struct pare_dataset *data);
bool pare_dataset_has_labels(const struct pare_dataset *data);
uint32_t
pare_dataset_classes(const struct pare_dataset *data); /* highest label + 1; 0 without labels */
/* SHA-256 over the samples chosen, in order, as they are stored, and their labels. */
const char *pare_dataset_hash(const struct pare_dataset *data);
/* The files or folders that it is read from, one or two; NULL: no such. */
const char *pare_dataset_source(const struct pare_dataset *data, size_t i);
/* Name of the split that was taken. */
const char *pare_dataset_split(const struct pare_dataset *data);

/* What is worth telling about how it was read, "" when nothing is. */
#define PARE_DATA_NOTE 512
const char *pare_dataset_note(const struct pare_dataset *data);

/* The windows of a text, or the token sequences of labelled ones, and the number among them of
 * sample `i`; NULL: samples are something else. */
struct pare_windows;
const struct pare_windows *pare_dataset_windows(const struct pare_dataset *data);
struct pare_sequences;
const struct pare_sequences *pare_dataset_sequences(const struct pare_dataset *data);
uint32_t pare_dataset_number(const struct pare_dataset *data, uint32_t i);
uint32_t pare_dataset_window(const struct pare_dataset *data); /* tokens of a window */

/* Of sample `i`: the class or the right choice, UINT32_MAX: no labels; the score of a pair. */
uint32_t pare_dataset_label(const struct pare_dataset *data, uint32_t i);
double pare_dataset_score(const struct pare_dataset *data, uint32_t i);

/* Not of labelled texts. Read n samples from `first`: images (may be NULL: of no interest) gets n *
 * channels * height * width floats, of a text n * window ids, the last window filled up by 0;
 * labels (may be NULL) n.
 */
int pare_dataset_read(struct pare_dataset *data, uint32_t first, uint32_t n, float *images,
                      uint32_t *labels, struct pare_error *err);

/* The splits of a folder, with their sizes: for `pare init` and error messages. */
struct pare_split {
    char name[64];
    uint64_t samples;
    enum pare_task task;
};
int pare_dataset_splits(const char *folder, struct pare_split *out, size_t room, size_t *n,
                        struct pare_error *err);
/* The same of texts, as `model` reads them: SPLIT.txt, .jsonl and .tsv of a folder, or a file,
 * which is one split without a name. Plain texts are cut into windows of as many tokens as by
 * default. */
int pare_text_splits(const char *path, const struct pare_model *model, struct pare_split *out,
                     size_t room, size_t *n, struct pare_error *err);

/* One image file (JPEG or PNG), as the model wants it: channels * height * width floats. */
int pare_image_load(const char *path, const struct pare_model *model, float *out,
                    struct pare_error *err);

#endif
