/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_INIT_H
#define PARE_PIPELINE_INIT_H

#include "measure/dataset.h"

/* What a pipeline is written for; strings are borrowed, paths written as given. Zero-initialise. */
struct pare_init {
    const char *name, *model, *data;
    const struct pare_split *splits; /* found in the data; a name "": it has no named ones */
    size_t n_splits;
    bool texts;      /* else images */
    bool writes;     /* the model predicts the next token */
    uint32_t window; /* of texts: tokens that are read together */
};

/* Write the text of a commented pipeline to begin with, which measures what the samples are for:
 * calibration, evaluation and confirmation never share samples, and labelled texts calibrate
 * nothing. `*out` is freed with free(). PARE_INVALID: the data has too few samples to be divided,
 * or plain texts for a model that does not write. Pure; thread safe. */
int pare_init_text(const struct pare_init *in, char **out, struct pare_error *err);

#endif
