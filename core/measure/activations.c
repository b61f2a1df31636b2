/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/activations.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES (PARE_HASH_HEX - 1) /* a file begins with the key of its point */

/* Byte at which a sample of the k-th value begins. Files are read and written in pieces, not
 * mapped: their pages would count as the worker's memory. */
static off_t place_of(const struct pare_activations *a, uint32_t k, uint32_t sample)
{
    const struct pare_point *p = a->what->point;
    size_t floats = (size_t)sample * p->floats[k];
    for (uint32_t i = 0; i < k; i++)
        floats += (size_t)a->n * p->floats[i];
    return (off_t)(KEY_BYTES + floats * sizeof(float));
}

bool pare_activations_open(struct pare_activations *a, const struct pare_stored *what, uint32_t n)
{
    struct stat st;
    char key[KEY_BYTES];
    *a = (struct pare_activations){.what = what, .n = n};
    a->fd = open(what->path, O_RDONLY | O_CLOEXEC);
    if (a->fd < 0)
        return false;
    a->file = true;
    if (fstat(a->fd, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_size == place_of(a, what->point->n - 1, n) &&
        pread(a->fd, key, KEY_BYTES, 0) == KEY_BYTES &&
        memcmp(key, what->point->key, KEY_BYTES) == 0)
        return true;
    pare_activations_close(a);
    return false;
}

int pare_activations_read(struct pare_activations *a, uint32_t k, uint32_t first, uint32_t n,
                          float *out, struct pare_error *err)
{
    size_t size = n * a->what->point->floats[k] * sizeof *out;
    off_t at = place_of(a, k, first);
    for (size_t got = 0; got < size;) {
        ssize_t part = pread(a->fd, (char *)out + got, size - got, at + (off_t)got);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return pare_error_errno(err, "cannot read stored activations %s", a->what->path);
        if (part == 0)
            return pare_error_set(err, PARE_IO, "stored activations %s end too early",
                                  a->what->path);
        got += (size_t)part;
    }
    return PARE_OK;
}

void pare_activations_create(struct pare_activations *a, const struct pare_stored *what, uint32_t n)
{
    struct pare_str part = {0};
    *a = (struct pare_activations){.what = what, .n = n};
    pare_str_printf(&part, "%s.part", what->path);
    a->part = pare_str_take(&part);
    a->fd = a->part ? open(a->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    a->file = a->fd >= 0;
    a->torn = a->file && pwrite(a->fd, what->point->key, KEY_BYTES, 0) != KEY_BYTES;
}

void pare_activations_write(struct pare_activations *a, uint32_t value, uint32_t first, uint32_t n,
                            const float *data)
{
    const struct pare_point *p = a->what->point;
    for (uint32_t k = 0; a->file && !a->torn && k < p->n; k++) {
        size_t size = n * p->floats[k] * sizeof *data;
        off_t at = place_of(a, k, first);
        for (size_t put = 0; p->values[k] == value && put < size && !a->torn;) {
            ssize_t part = pwrite(a->fd, (const char *)data + put, size - put, at + (off_t)put);
            if (part < 0 && errno == EINTR)
                continue;
            a->torn = part <= 0;
            put += part > 0 ? (size_t)part : 0;
            a->written += part > 0 ? (size_t)part : 0;
        }
    }
}

bool pare_activations_finish(struct pare_activations *a)
{
    size_t all = a->n * pare_point_floats(a->what->point) * sizeof(float);
    bool whole = a->file && !a->torn && a->written == all && rename(a->part, a->what->path) == 0;
    if (whole) { /* nothing left to remove */
        free(a->part);
        a->part = NULL;
    }
    return whole;
}

void pare_activations_close(struct pare_activations *a)
{
    if (a->file)
        close(a->fd);
    if (a->part)
        unlink(a->part);
    free(a->part);
    *a = (struct pare_activations){0};
}
