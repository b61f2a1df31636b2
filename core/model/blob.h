/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_BLOB_H
#define PARE_MODEL_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Bytes shared by reference count: an own allocation (aligned to PARE_ALIGN), or a part of a mapped
 * file. Never changed once a second holder exists. The count is atomic; everything else is the
 * holder's. */
struct pare_blob {
    void *data; /* NULL when size is 0 and mapped */
    size_t size;
    struct pare_blob *parent; /* the mapping it is a part of, or NULL */
    int refs;
    int mapped; /* data came from mmap and is unmapped at the end */
};

int pare_blob_new(size_t n, size_t size, struct pare_blob **out,
                  struct pare_error *err); /* zeroed */
int pare_blob_copy(const void *data, size_t n, size_t size, struct pare_blob **out,
                   struct pare_error *err);
/* A whole file, read-only. */
int pare_blob_map(const char *path, struct pare_blob **out, struct pare_error *err);
/* `size` bytes from `offset` of `parent`, which it keeps alive. */
int pare_blob_part(struct pare_blob *parent, size_t offset, size_t size, struct pare_blob **out,
                   struct pare_error *err);

struct pare_blob *pare_blob_ref(struct pare_blob *blob); /* NULL gives NULL */
void pare_blob_unref(struct pare_blob *blob);            /* NULL is fine */

/* Let the system take back the memory of a large part of a mapped file: it is read again when it is
 * looked at. Nothing happens to other bytes. */
void pare_blob_forget(const struct pare_blob *blob); /* NULL is fine */

static inline float *pare_blob_f32(const struct pare_blob *blob)
{
    return blob ? (float *)blob->data : (float *)0;
}

#endif
