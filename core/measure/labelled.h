/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_LABELLED_H
#define PARE_MEASURE_LABELLED_H

#include "measure/sequences.h"

/* A file of labelled texts, as one model reads it. */
struct pare_labelled {
    enum pare_task task;
    struct pare_sequences *sequences;
    uint32_t n;
    uint32_t *labels; /* n classes, or numbers of right choices; NULL: pairs */
    double *scores;   /* n, of pairs; or NULL */
};

/* PARE_INVALID: a mistake in the file, with its place; texts for another kind of model. `note` is
 * told of texts that are too long. Released with pare_labelled_free(). */
int pare_labelled_open(const char *path, const struct pare_model *model, struct pare_labelled *out,
                       char note[PARE_DATA_NOTE], struct pare_error *err);
void pare_labelled_free(struct pare_labelled *x);

#endif
