/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_ARRAY_H
#define PARE_MEASURE_ARRAY_H

#include <stdbool.h>

#include "base/file.h"

#define PARE_ARRAY_RANK 4
/* Most images of one array, and most pixels along a side. */
#define PARE_SAMPLES_MAX (1u << 30)
#define PARE_SIDE_MAX 16384u

/* Numbers of one type from a file, row-major, little endian. Zero-initialise. */
struct pare_array {
    char kind;     /* 'u' unsigned, 'i' signed, 'f' floating point */
    unsigned size; /* bytes of a number */
    unsigned rank;
    uint64_t dims[PARE_ARRAY_RANK];
    const uint8_t *data; /* bytes from `map` or `own`; NULL when only the header was read */
    size_t bytes;
    struct pare_map map;
    uint8_t *own;
};

/* Read an IDX file (plain or gzipped) or a .npy file; with `header_only` just its type and shape.
 * All is checked: PARE_INVALID for what is neither, truncated, or longer than its header says;
 * PARE_UNSUPPORTED for types and layouts that are not read (big-endian .npy, Fortran order). Any
 * thread; released with pare_array_close(). */
int pare_array_open(const char *path, bool header_only, struct pare_array *out,
                    struct pare_error *err);
void pare_array_close(struct pare_array *array);

/* The header of a .npy file in memory; `*start` is where its numbers begin. */
int pare_npy_header(const char *path, const uint8_t *bytes, size_t size, struct pare_array *out,
                    size_t *start, struct pare_error *err);

/* Bytes of all numbers; false: too many. */
bool pare_array_bytes(const struct pare_array *array, size_t *out);

/* Write n numbers as a .npy file of one dimension, float32 in little endian; whole or not at all.
 * Any thread. */
int pare_npy_write(const char *path, const float *x, size_t n, struct pare_error *err);

#endif
