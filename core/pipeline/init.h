/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_INIT_H
#define PARE_PIPELINE_INIT_H

#include <stddef.h>

#include "base/status.h"

/* A split that was found in a data folder. */
struct pare_init_split {
    const char *name; /* NULL: the data has no named splits */
    unsigned long long samples;
};

/* Write the text of a commented pipeline to begin with: calibration, evaluation and confirmation
 * never share samples. Paths are written as given. `*out` is freed with free(). PARE_INVALID: the
 * data has too few samples to be divided. Pure; thread safe. */
int pare_init_text(const char *name, const char *model, const char *data,
                   const struct pare_init_split *splits, size_t n_splits, char **out,
                   struct pare_error *err);

#endif
