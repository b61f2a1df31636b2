/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_SOURCE_H
#define PARE_MEASURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "measure/dataset.h"
#include "model/model.h"

/* Where the samples of a split lie: arrays of images and labels, or a folder of images per class.
 * Zero-initialise; strings are released with pare_place_free(). */
struct pare_place {
    char *split;
    char *images; /* an IDX or .npy file, or a folder with a folder per class */
    char *labels; /* or NULL */
};

/* Find a split of a folder: a sub-folder, a file prefix, or an entry of dataset.yaml; NULL: the
 * only one. A folder that itself holds a folder per class is one split, "all". PARE_NOT_FOUND names
 * the splits that are there. */
int pare_place_find(const char *folder, const char *split, struct pare_place *out,
                    struct pare_error *err);
void pare_place_free(struct pare_place *place);

/* The file of texts that a specification means: itself, or SPLIT.txt, .jsonl or .tsv of a folder
 * (without a split its only one). */
int pare_place_text(const struct pare_data_spec *spec, struct pare_place *out,
                    struct pare_error *err);

/* A folder of images per class. Zero-initialise. */
struct pare_image_files {
    const char **paths; /* n of them: class by class, each sorted by name */
    uint32_t *classes;  /* n: index of the class */
    const char **names; /* of the classes, sorted */
    uint32_t n, n_classes;
    struct pare_pool pool;
};

/* List the images (.jpg, .jpeg, .png) of each sub-folder, sub-folders sorted byte by byte; hidden
 * files are passed over. PARE_INVALID: no images. Released with pare_image_files_free(). */
int pare_image_files_list(const char *folder, struct pare_image_files *out, struct pare_error *err);
void pare_image_files_free(struct pare_image_files *files);

/* The model's class of each of the n_classes folders, into `number`:
 *   1. all are named as labels of the model, in any case and with / space _ and - alike: theirs;
 *   2. all are whole numbers: these;
 *   3. none is named as a label: their place in the alphabet, which `note` then tells.
 * PARE_INVALID: only some are named as labels, or two are the same class. model may be NULL. */
int pare_number_classes(const struct pare_image_files *files, const struct pare_model *model,
                        const char *folder, uint32_t *number, char note[PARE_DATA_NOTE],
                        struct pare_error *err);

/* The class that a name means: the label itself, else the only one that is alike; UINT32_MAX: none.
 */
uint32_t pare_label_find(const char *name, const struct pare_model *model);

/* Whether some sub-folder holds an image. */
bool pare_has_image_files(const char *folder);

/* The names in a folder, hidden ones left out, sorted byte by byte; they live in `pool`. */
int pare_folder_list(const char *folder, struct pare_pool *pool, const char ***out, size_t *n,
                     struct pare_error *err);

#endif
