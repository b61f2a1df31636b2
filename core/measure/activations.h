/* SPDX-License-Identifier: Apache-2.0 */
/* Files of stored activations, see struct pare_stored. They serve one run on one machine: the key
 * of the point, then floats as in memory. Internal to core/measure. */
#ifndef PARE_MEASURE_ACTIVATIONS_H
#define PARE_MEASURE_ACTIVATIONS_H

#include "measure/measure.h"

/* One open file; zero-initialise. One thread. */
struct pare_activations {
    bool file; /* open; false: nothing can be read or written, which is no error */
    bool torn; /* a write failed: the file comes to nothing */
    int fd;
    char *part;     /* written here, until it is whole */
    size_t written; /* bytes of activations: each is written once */
    uint32_t n;     /* samples */
    const struct pare_stored *what;
};

/* Open to read; false: there is no such file, or it is of another point or number of
 * samples. */
bool pare_activations_open(struct pare_activations *a, const struct pare_stored *what, uint32_t n);
/* `n` samples from `first` of the k-th value at the point. */
int pare_activations_read(struct pare_activations *a, uint32_t k, uint32_t first, uint32_t n,
                          float *out, struct pare_error *err);

/* Begin to write. What goes wrong shows in pare_activations_finish(). */
void pare_activations_create(struct pare_activations *a, const struct pare_stored *what,
                             uint32_t n);
/* `n` samples from `first` of a value; one that is not at the point is passed over. */
void pare_activations_write(struct pare_activations *a, uint32_t value, uint32_t first, uint32_t n,
                            const float *data);
/* Give the file its name; false: it could not be written. */
bool pare_activations_finish(struct pare_activations *a);
/* Close; what was not finished is removed. */
void pare_activations_close(struct pare_activations *a);

#endif
