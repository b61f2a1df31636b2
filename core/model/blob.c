/* SPDX-License-Identifier: Apache-2.0 */
#include "model/blob.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct pare_blob *blob_of(void *data, size_t size)
{
    struct pare_blob *blob = malloc(sizeof *blob);
    if (blob)
        *blob = (struct pare_blob){.data = data, .size = size, .refs = 1};
    return blob;
}

int pare_blob_new(size_t n, size_t size, struct pare_blob **out, struct pare_error *err)
{
    size_t bytes;
    void *data = NULL;
    if (!pare_mul_size(n, size, &bytes))
        return pare_error_nomem(err, 0);
    data = pare_alloc_aligned(bytes, 1);
    *out = data ? blob_of(data, bytes) : NULL;
    if (!*out) {
        free(data);
        return pare_error_nomem(err, bytes);
    }
    memset(data, 0, bytes);
    return PARE_OK;
}

int pare_blob_copy(const void *data, size_t n, size_t size, struct pare_blob **out,
                   struct pare_error *err)
{
    int rc = pare_blob_new(n, size, out, err);
    if (rc == PARE_OK && (*out)->size != 0)
        memcpy((*out)->data, data, (*out)->size);
    return rc;
}

int pare_blob_map(const char *path, struct pare_blob **out, struct pare_error *err)
{
    struct pare_map map;
    int rc = pare_map_open(path, &map, err);
    if (rc != PARE_OK)
        return rc;
    *out = blob_of((void *)(uintptr_t)map.data, map.size);
    if (!*out) {
        pare_map_close(&map);
        return pare_error_nomem(err, sizeof **out);
    }
    (*out)->mapped = 1;
    return PARE_OK;
}

int pare_blob_part(struct pare_blob *parent, size_t offset, size_t size, struct pare_blob **out,
                   struct pare_error *err)
{
    if (offset > parent->size || size > parent->size - offset)
        return pare_error_set(err, PARE_INVALID, "%zu bytes from %zu are asked of %zu", size,
                              offset, parent->size);
    *out = blob_of((char *)parent->data + offset, size);
    if (!*out)
        return pare_error_nomem(err, sizeof **out);
    (*out)->parent = pare_blob_ref(parent);
    return PARE_OK;
}

struct pare_blob *pare_blob_ref(struct pare_blob *blob)
{
    if (blob)
        __atomic_fetch_add(&blob->refs, 1, __ATOMIC_RELAXED);
    return blob;
}

void pare_blob_unref(struct pare_blob *blob)
{
    while (blob && __atomic_sub_fetch(&blob->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        struct pare_blob *parent = blob->parent;
        if (blob->mapped) {
            struct pare_map map = {.data = blob->data, .size = blob->size};
            pare_map_close(&map);
        } else if (!parent) {
            free(blob->data);
        }
        free(blob);
        blob = parent;
    }
}

#define FORGET_LEAST ((size_t)64 << 10)

void pare_blob_forget(const struct pare_blob *blob)
{
    const struct pare_blob *root = blob;
    while (root && root->parent)
        root = root->parent;
    if (!root || !root->mapped || blob->size < FORGET_LEAST)
        return;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)blob->data + page - 1) / page * page;
    const uintptr_t to = ((uintptr_t)blob->data + blob->size) / page * page;
    if (from < to) /* the mapping is of a file and never written: nothing is lost */
        madvise((void *)from, to - from, MADV_DONTNEED);
}
