/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's format (numpy.lib.format, versions 1 to 3): the magic, a version, the length of a header,
 * the header: a Python dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. */
#include "measure/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

/* The header's text; `at` moves over it. */
struct text {
    const char *at, *end;
};

static void skip(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n'))
        t->at++;
}

static bool take(struct text *t, char c)
{
    skip(t);
    if (t->at == t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static bool take_word(struct text *t, const char *word)
{
    const size_t n = strlen(word);
    skip(t);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0)
        return false;
    t->at += n;
    return true;
}

/* 'text' without escapes, shorter than `room`. */
static bool take_string(struct text *t, char *out, size_t room)
{
    skip(t);
    const char quote = t->at < t->end ? *t->at : 0;
    size_t n = 0;
    if (quote != '\'' && quote != '"')
        return false;
    for (t->at++; t->at < t->end && *t->at != quote; t->at++) {
        if (n + 1 == room || *t->at == '\\')
            return false;
        out[n++] = *t->at;
    }
    out[n] = '\0';
    return take(t, quote);
}

static bool take_number(struct text *t, uint64_t *out)
{
    uint64_t v = 0;
    skip(t);
    const char *from = t->at;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) {
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (unsigned)(*t->at - '0'), &v))
            return false;
    }
    *out = v;
    return t->at > from;
}

/* (2, 3) or (2,); `*rank` counts beyond the room, so that too many can be told from nonsense. */
static bool take_shape(struct text *t, uint64_t *dims, unsigned *rank)
{
    *rank = 0;
    if (!take(t, '('))
        return false;
    while (!take(t, ')')) {
        uint64_t n;
        if (!take_number(t, &n) || *rank > 64)
            return false;
        if (*rank < PARE_ARRAY_RANK)
            dims[*rank] = n;
        (*rank)++;
        if (!take(t, ','))
            return take(t, ')');
    }
    return true;
}

/* '<f4', '|u1': byte order, kind, size. */
static int read_type(const char *path, const char *descr, struct pare_array *out,
                     struct pare_error *err)
{
    static const char *const types[] = {"|u1", "<u1", "|i1", "<i1", "<u2", "<i2",
                                        "<u4", "<i4", "<u8", "<i8", "<f4", "<f8"};
    for (size_t i = 0; i < PARE_COUNT(types); i++) {
        if (strcmp(descr, types[i]) == 0) {
            out->kind = descr[1];
            out->size = (unsigned)(descr[2] - '0');
            return PARE_OK;
        }
    }
    pare_error_set(err, PARE_UNSUPPORTED, "%s: numbers of type '%s' are not read", path, descr);
    pare_error_hint(err, "little-endian integers, float32 and float64 are: save x.astype('<f4')");
    return PARE_UNSUPPORTED;
}

/* The dictionary with its three entries, in any order. */
static bool take_header(struct text *t, char descr[16], bool *fortran, struct pare_array *out)
{
    bool typed = false, ordered = false, shaped = false;
    char key[16];
    if (!take(t, '{'))
        return false;
    while (!take(t, '}')) {
        if (!take_string(t, key, sizeof key) || !take(t, ':'))
            return false;
        if (strcmp(key, "descr") == 0)
            typed = take_string(t, descr, 16);
        else if (strcmp(key, "fortran_order") == 0)
            ordered = (*fortran = take_word(t, "True")) || take_word(t, "False");
        else if (strcmp(key, "shape") == 0)
            shaped = take_shape(t, out->dims, &out->rank);
        else
            return false;
        if (!take(t, ',')) {
            if (!take(t, '}'))
                return false;
            break;
        }
    }
    return typed && ordered && shaped;
}

int pare_npy_header(const char *path, const uint8_t *bytes, size_t size, struct pare_array *out,
                    size_t *start, struct pare_error *err)
{
    char descr[16] = "";
    bool fortran = false;
    const size_t head = size >= 8 && bytes[6] == 1 ? 10 : 12;
    if (size < head)
        return pare_error_set(err, PARE_INVALID, "%s is truncated", path);
    if (bytes[6] < 1 || bytes[6] > 3)
        return pare_error_set(err, PARE_UNSUPPORTED, "%s: .npy version %u is not read", path,
                              bytes[6]);
    const size_t length =
        head == 12 ? pare_get_le32(bytes + 8) : (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (length > size - head)
        return pare_error_set(err, PARE_INVALID, "%s is truncated", path);
    struct text t = {(const char *)bytes + head, (const char *)bytes + head + length};
    if (!take_header(&t, descr, &fortran, out))
        return pare_error_set(err, PARE_INVALID, "%s: the header does not parse", path);
    if (fortran && out->rank > 1) {
        pare_error_set(err, PARE_UNSUPPORTED, "%s is in Fortran order", path);
        pare_error_hint(err, "save np.ascontiguousarray(x)");
        return PARE_UNSUPPORTED;
    }
    if (out->rank == 0 || out->rank > PARE_ARRAY_RANK)
        return pare_error_set(err, PARE_INVALID, "%s: %u dimensions are not read", path, out->rank);
    *start = head + length;
    return read_type(path, descr, out, err);
}

int pare_npy_write(const char *path, const float *x, size_t n, struct pare_error *err)
{
    enum { HEADER = 128 }; /* magic, version, length of the text, the text, and a line's end */
    const size_t size = HEADER + n * sizeof *x;
    char text[HEADER - 10 + 1];
    int rc;
    uint8_t *out = pare_alloc(size, 1);
    if (!out)
        return pare_error_nomem(err, size);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = HEADER - 10;
    out[9] = 0;
    const int len = snprintf(text, sizeof text,
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu,), }", n);
    memset(out + 10, ' ', HEADER - 11);
    memcpy(out + 10, text, (size_t)len);
    out[HEADER - 1] = '\n';
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        for (int b = 0; b < 4; b++)
            out[HEADER + 4 * i + (size_t)b] = (uint8_t)(bits >> 8 * b);
    }
    rc = pare_file_write(path, out, size, err);
    free(out);
    return rc;
}
