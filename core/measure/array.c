/* SPDX-License-Identifier: Apache-2.0 */
/* IDX files (the format of MNIST: yann.lecun.com/exdb/mnist), plain or gzipped, and .npy files. */
#include "measure/array.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

/* Deflate packs at most 1032 to 1; a header that claims more lies. */
#define DEFLATE_RATIO 1032u
#define IDX_HEADER_MAX (4 + 4 * PARE_ARRAY_RANK)

bool pare_array_bytes(const struct pare_array *array, size_t *out)
{
    size_t n = array->size;
    for (unsigned i = 0; i < array->rank; i++) {
        if (array->dims[i] > SIZE_MAX || !pare_mul_size(n, (size_t)array->dims[i], &n))
            return false;
    }
    *out = n;
    return true;
}

void pare_array_close(struct pare_array *array)
{
    pare_map_close(&array->map);
    free(array->own);
    *array = (struct pare_array){0};
}

static int truncated(const char *path, struct pare_error *err)
{
    return pare_error_set(err, PARE_INVALID, "%s is truncated", path);
}

/* Two zero bytes, a type, the rank, then each dimension as 32 bits, big endian. */
static int idx_header(const char *path, const uint8_t *p, size_t size, struct pare_array *out,
                      size_t *start, struct pare_error *err)
{
    if (size < 4 || p[0] != 0 || p[1] != 0) {
        pare_error_set(err, PARE_INVALID, "%s is neither an IDX nor a .npy file", path);
        return PARE_INVALID;
    }
    if (p[2] != 0x08) {
        pare_error_set(err, p[2] >= 0x09 && p[2] <= 0x0e ? PARE_UNSUPPORTED : PARE_INVALID,
                       "%s: IDX type 0x%02x is not read", path, p[2]);
        pare_error_hint(err, "unsigned bytes (0x08) are");
        return p[2] >= 0x09 && p[2] <= 0x0e ? PARE_UNSUPPORTED : PARE_INVALID;
    }
    if (p[3] == 0 || p[3] > PARE_ARRAY_RANK)
        return pare_error_set(err, PARE_INVALID, "%s: %u dimensions are not read", path, p[3]);
    *start = 4 + 4 * (size_t)p[3];
    if (size < *start)
        return truncated(path, err);
    out->kind = 'u';
    out->size = 1;
    out->rank = p[3];
    for (unsigned i = 0; i < out->rank; i++) {
        const uint8_t *d = p + 4 + 4 * i;
        out->dims[i] = (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3];
    }
    return PARE_OK;
}

/* ---- gzip
 * ---------------------------------------------------------------------------------------- */

struct inflation {
    z_stream z;
    const uint8_t *in;
    size_t left;
    bool ended; /* the last member is over */
};

/* Inflate `want` bytes, or fewer when the stream ends; `*got` says how many. */
static int inflate_bytes(struct inflation *f, const char *path, uint8_t *out, size_t want,
                         size_t *got, struct pare_error *err)
{
    *got = 0;
    while (*got < want && !f->ended) {
        const uInt room = (uInt)PARE_MIN(want - *got, (size_t)1 << 30);
        if (f->z.avail_in == 0) {
            const size_t part = PARE_MIN(f->left, (size_t)1 << 30);
            f->z.next_in = (Bytef *)(uintptr_t)f->in; /* zlib only reads it */
            f->z.avail_in = (uInt)part;
            f->in += part;
            f->left -= part;
        }
        f->z.next_out = out + *got;
        f->z.avail_out = room;
        int z = inflate(&f->z, Z_NO_FLUSH);
        *got += room - f->z.avail_out;
        if (z == Z_STREAM_END && f->z.avail_in + f->left > 0)
            z = inflateReset(&f->z); /* another member follows */
        else if (z == Z_STREAM_END)
            f->ended = true;
        else if (z == Z_BUF_ERROR)
            return truncated(path, err);
        if (z != Z_OK && z != Z_STREAM_END) {
            pare_error_set(err, PARE_INVALID, "%s is a broken gzip file", path);
            pare_error_detail(err, "%s", f->z.msg ? f->z.msg : zError(z));
            return PARE_INVALID;
        }
    }
    return PARE_OK;
}

/* An IDX file within a gzip stream: the header says how much to expect, no byte more is inflated.
 */
static int open_gzip(const char *path, bool header_only, struct pare_array *out,
                     struct pare_error *err)
{
    struct inflation f = {.in = out->map.data, .left = out->map.size};
    uint8_t head[IDX_HEADER_MAX], beyond;
    size_t got, start, rest, bytes;
    int rc;
    if (inflateInit2(&f.z, 15 + 16) != Z_OK)
        return pare_error_nomem(err, 0);
    PARE_TRY(inflate_bytes(&f, path, head, 4, &got, err));
    const size_t header = 4 + 4 * (size_t)PARE_MIN(got == 4 ? head[3] : 0, PARE_ARRAY_RANK);
    if (got == 4) {
        PARE_TRY(inflate_bytes(&f, path, head + 4, header - 4, &rest, err));
        got += rest;
    }
    PARE_TRY(idx_header(path, head, got, out, &start, err));
    if (header_only)
        goto out;
    if (!pare_array_bytes(out, &bytes) || bytes / DEFLATE_RATIO > out->map.size) {
        rc = pare_error_set(err, PARE_INVALID,
                            "%s: the header asks for more than the file can hold", path);
        goto out;
    }
    out->own = pare_alloc(bytes, 1);
    if (!out->own) {
        rc = pare_error_nomem(err, bytes);
        goto out;
    }
    PARE_TRY(inflate_bytes(&f, path, out->own, bytes, &got, err));
    if (got < bytes) {
        rc = truncated(path, err);
        goto out;
    }
    PARE_TRY(inflate_bytes(&f, path, &beyond, 1, &got, err)); /* reads the checksum, too */
    if (got != 0) {
        rc = pare_error_set(err, PARE_INVALID, "%s is longer than its header says", path);
        goto out;
    }
    out->data = out->own;
    out->bytes = bytes;
out:
    inflateEnd(&f.z);
    return rc;
}

/* ---- any file
 * ------------------------------------------------------------------------------------ */

int pare_array_open(const char *path, bool header_only, struct pare_array *out,
                    struct pare_error *err)
{
    struct pare_array a = {0};
    size_t start = 0, bytes;
    int rc;
    PARE_TRY(pare_map_open(path, &a.map, err));
    const uint8_t *p = a.map.data;
    if (a.map.size >= 2 && p[0] == 0x1f && p[1] == 0x8b) {
        PARE_TRY(open_gzip(path, header_only, &a, err));
    } else {
        if (a.map.size >= 6 && memcmp(p, "\x93NUMPY", 6) == 0)
            PARE_TRY(pare_npy_header(path, p, a.map.size, &a, &start, err));
        else
            PARE_TRY(idx_header(path, p, a.map.size, &a, &start, err));
        if (!pare_array_bytes(&a, &bytes) || bytes > a.map.size - start) {
            rc = truncated(path, err);
            goto out;
        }
        if (bytes < a.map.size - start) {
            rc = pare_error_set(err, PARE_INVALID, "%s is longer than its header says", path);
            goto out;
        }
        a.data = p + start;
        a.bytes = bytes;
    }
    if (header_only || a.own)
        pare_map_close(&a.map);
    if (header_only)
        a.data = NULL;
    *out = a;
    a = (struct pare_array){0};
out:
    pare_array_close(&a);
    return rc;
}
