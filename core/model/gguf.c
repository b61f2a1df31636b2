/* SPDX-License-Identifier: Apache-2.0 */
/* Reading GGUF: everything is a stranger's until checked. */
#include "model/gguf.h"
#include "model/gguf_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_ENTRY = 14,  /* bytes of the shortest entry: a key of one byte, a bool */
    LEAST_TENSOR = 33, /* and of the shortest line of the table */
    MOST_TEXTS = 1 << 24,
    ALIGNMENT_LEAST = 8, /* by the format: a multiple of 8 */
    ALIGNMENT_MOST = 1 << 20
};

struct reader {
    const char *path;
    const uint8_t *data;
    size_t size, at;
};

static const char fetch_again[] = "the file is damaged or cut short: fetch it again";
static const char convert_again[] = "convert the model again with a current converter";

/* "FILE: what", "at byte N", and what to do. */
static int PARE_PRINTF(6, 7) refuse(const struct reader *r, size_t at, int status, const char *hint,
                                    struct pare_error *err, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    pare_error_set(err, status, "%s: %s", r->path, what);
    pare_error_detail(err, "at byte %zu", at);
    pare_error_hint(err, "%s", hint);
    return status;
}

/* Go past n bytes of what is called `what`, or is `what` of `name`. */
static int take(struct reader *r, uint64_t n, const uint8_t **out, const char *what,
                const char *name, struct pare_error *err)
{
    if (n > r->size - r->at)
        return refuse(r, r->at, PARE_INVALID, fetch_again, err,
                      "%s%s%s%s takes %llu bytes, %zu are left", what, name ? " of '" : "",
                      name ? name : "", name ? "'" : "", (unsigned long long)n, r->size - r->at);
    *out = r->data + r->at;
    r->at += (size_t)n;
    return PARE_OK;
}

static int take_number(struct reader *r, size_t size, uint64_t *out, const char *what,
                       const char *name, struct pare_error *err)
{
    const uint8_t *p = NULL;
    int rc = take(r, size, &p, what, name, err);
    if (rc == PARE_OK)
        *out = pare_gguf_load(p, size);
    return rc;
}

/* A key or a tensor's name, copied with its end. */
static int take_name(struct reader *r, struct pare_gguf *f, size_t most, const char **out,
                     const char *what, struct pare_error *err)
{
    const uint8_t *p = NULL;
    uint64_t n = 0;
    size_t start = r->at;
    int rc;
    PARE_TRY(take_number(r, 8, &n, what, NULL, err));
    if (n == 0 || n > most)
        return refuse(r, start, PARE_INVALID, fetch_again, err,
                      "%s is said to have %llu bytes, 1 to %zu may be", what, (unsigned long long)n,
                      most);
    PARE_TRY(take(r, n, &p, what, NULL, err));
    if (!pare_gguf_is_name(p, (size_t)n))
        return refuse(r, start + 8, PARE_INVALID, fetch_again, err, "%s is no UTF-8 without NUL",
                      what);
    *out = pare_pool_strndup(&f->pool, (const char *)p, (size_t)n);
    if (!*out)
        rc = pare_error_nomem(err, n);
out:
    return rc;
}

/* ---- metadata
 * ------------------------------------------------------------------------------------ */

/* Texts of an array, one after the other: remember where each lies. */
static int take_texts(struct reader *r, struct pare_gguf_value *v, struct pare_error *err)
{
    const uint8_t *p = NULL;
    uint64_t n = 0;
    int rc = PARE_OK;
    if (v->n > MOST_TEXTS)
        return refuse(r, r->at, PARE_INVALID, fetch_again, err,
                      "'%s' is said to hold %zu texts, at most %d are read", v->key, v->n,
                      MOST_TEXTS);
    v->at = pare_alloc(v->n, sizeof *v->at);
    if (!v->at)
        return pare_error_nomem(err, (unsigned long long)v->n * sizeof *v->at);
    for (size_t i = 0; i < v->n; i++) {
        v->at[i] = (size_t)(r->data + r->at - v->data);
        PARE_TRY(take_number(r, 8, &n, "the value", v->key, err));
        PARE_TRY(take(r, n, &p, "the value", v->key, err));
    }
out:
    return rc;
}

static int take_array(struct reader *r, struct pare_gguf_value *v, struct pare_error *err)
{
    uint64_t type = 0, n = 0;
    size_t start = r->at, bytes;
    const uint8_t *p = NULL;
    int rc;
    PARE_TRY(take_number(r, 4, &type, "the value", v->key, err));
    if (type == PARE_GGUF_ARRAY)
        return refuse(r, start, PARE_UNSUPPORTED, convert_again, err,
                      "'%s' is an array of arrays, which is not read", v->key);
    if (!pare_gguf_type_name((unsigned)type))
        return refuse(r, start, PARE_INVALID, fetch_again, err,
                      "'%s' is an array of type %llu, which does not exist", v->key,
                      (unsigned long long)type);
    PARE_TRY(take_number(r, 8, &n, "the value", v->key, err));
    v->type = (uint8_t)type;
    v->array = true;
    v->data = r->data + r->at;
    size_t least = type == PARE_GGUF_TEXT ? 8 : pare_gguf_type_size((unsigned)type);
    if (n > (r->size - r->at) / least || !pare_mul_size((size_t)n, least, &bytes))
        return refuse(r, start + 4, PARE_INVALID, fetch_again, err,
                      "'%s' is said to hold %llu elements, more than the file has bytes for",
                      v->key, (unsigned long long)n);
    v->n = (size_t)n;
    rc = type == PARE_GGUF_TEXT ? take_texts(r, v, err)
                                : take(r, bytes, &p, "the value", v->key, err);
out:
    return rc;
}

static int take_value(struct reader *r, struct pare_gguf *f, struct pare_gguf_value *v,
                      struct pare_error *err)
{
    uint64_t type = 0, n = 0;
    const uint8_t *p = NULL;
    int rc;
    PARE_TRY(take_name(r, f, PARE_GGUF_KEY_MAX, &v->key, "a key", err));
    size_t start = r->at;
    PARE_TRY(take_number(r, 4, &type, "the value", v->key, err));
    if (type == PARE_GGUF_ARRAY)
        return take_array(r, v, err);
    if (!pare_gguf_type_name((unsigned)type) || type > UINT8_MAX)
        return refuse(r, start, PARE_INVALID, fetch_again, err,
                      "'%s' has type %llu, which does not exist", v->key, (unsigned long long)type);
    v->type = (uint8_t)type;
    v->n = 1;
    v->data = r->data + r->at;
    if (type == PARE_GGUF_TEXT) {
        PARE_TRY(take_number(r, 8, &n, "the value", v->key, err));
        PARE_TRY(take(r, n, &p, "the value", v->key, err));
        return PARE_OK;
    }
    PARE_TRY(take(r, pare_gguf_type_size((unsigned)type), &p, "the value", v->key, err));
    if (type == PARE_GGUF_BOOL && *p > 1)
        return refuse(r, start + 4, PARE_INVALID, fetch_again, err, "'%s' is a bool of value %u",
                      v->key, *p);
out:
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const struct pare_gguf_value *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static int read_values(struct reader *r, struct pare_gguf *f, uint64_t n, struct pare_error *err)
{
    size_t cap = 0;
    int rc = PARE_OK;
    if (n > (r->size - r->at) / LEAST_ENTRY)
        return refuse(r, 16, PARE_INVALID, fetch_again, err,
                      "%llu metadata entries are announced, more than the file has bytes for",
                      (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++) {
        if (!pare_grow(&f->values, &cap, f->n_values + 1, sizeof *f->values))
            return pare_error_nomem(err, 0);
        struct pare_gguf_value *v = &f->values[f->n_values++];
        *v = (struct pare_gguf_value){0};
        PARE_TRY(take_value(r, f, v, err));
    }
    f->by_key = pare_alloc(f->n_values, sizeof(struct pare_gguf_value *));
    if (!f->by_key)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < f->n_values; i++)
        f->by_key[i] = &f->values[i];
    qsort(f->by_key, f->n_values, sizeof(struct pare_gguf_value *), by_key);
    for (size_t i = 1; i < f->n_values; i++) {
        const struct pare_gguf_value *v = f->by_key[i];
        if (strcmp(v->key, f->by_key[i - 1]->key) == 0)
            return refuse(r, (size_t)(v->data - r->data), PARE_INVALID, convert_again, err,
                          "key '%s' is there twice", v->key);
    }
out:
    return rc;
}

static int read_alignment(struct reader *r, struct pare_gguf *f, struct pare_error *err)
{
    const struct pare_gguf_value *v = pare_gguf_find(f, "general.alignment");
    f->alignment = PARE_GGUF_ALIGNMENT;
    if (!v)
        return PARE_OK;
    size_t at = (size_t)(v->data - r->data);
    if (v->type != PARE_GGUF_U32 || v->array)
        return refuse(r, at, PARE_INVALID, convert_again, err,
                      "'general.alignment' is %s, u32 is expected",
                      v->array ? "an array" : pare_gguf_type_name(v->type));
    uint32_t x = (uint32_t)pare_gguf_load(v->data, 4);
    if (x < ALIGNMENT_LEAST || x > ALIGNMENT_MOST || (x & (x - 1)) != 0)
        return refuse(r, at, PARE_INVALID, convert_again, err,
                      "an alignment of %u is no power of two from %d to %d", x, ALIGNMENT_LEAST,
                      ALIGNMENT_MOST);
    f->alignment = x;
    return PARE_OK;
}

/* ---- the table of tensors
 * ------------------------------------------------------------------------ */

/* Where a tensor's line and data lie. */
struct place {
    const struct pare_gguf_tensor *tensor;
    size_t line, begin, size;
};

static int take_dims(struct reader *r, struct pare_gguf_tensor *t, size_t *count,
                     struct pare_error *err)
{
    uint64_t rank = 0;
    size_t start = r->at;
    int rc;
    PARE_TRY(take_number(r, 4, &rank, "the line", t->name, err));
    if (rank < 1 || rank > PARE_GGUF_RANK_MAX)
        return refuse(r, start, PARE_INVALID, fetch_again, err,
                      "tensor '%s' has %llu dimensions, 1 to %d may be", t->name,
                      (unsigned long long)rank, PARE_GGUF_RANK_MAX);
    t->rank = (uint32_t)rank;
    *count = 1;
    for (uint32_t i = 0; i < PARE_GGUF_RANK_MAX; i++) {
        t->dims[i] = 1;
        if (i >= t->rank)
            continue;
        start = r->at;
        PARE_TRY(take_number(r, 8, &t->dims[i], "the line", t->name, err));
        if (t->dims[i] == 0 || t->dims[i] > INT64_MAX || t->dims[i] > SIZE_MAX ||
            !pare_mul_size(*count, (size_t)t->dims[i], count))
            return refuse(r, start, PARE_INVALID, fetch_again, err,
                          "tensor '%s' has an absurd shape", t->name);
    }
out:
    return rc;
}

static int take_tensor(struct reader *r, struct pare_gguf *f, struct pare_gguf_tensor *t,
                       struct place *place, struct pare_error *err)
{
    uint64_t type = 0, offset = 0;
    size_t count = 0, start;
    int rc;
    place->line = r->at;
    PARE_TRY(take_name(r, f, PARE_GGUF_NAME_MAX, &t->name, "a tensor's name", err));
    PARE_TRY(take_dims(r, t, &count, err));
    start = r->at;
    PARE_TRY(take_number(r, 4, &type, "the line", t->name, err));
    t->type = (uint32_t)type;
    const struct pare_ggml_kind *kind = pare_ggml_find(t->type);
    if (!kind) {
        const char *name = pare_ggml_name(t->type);
        return refuse(r, start, PARE_UNSUPPORTED,
                      "use a file in F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 or Q2_K to Q6_K",
                      err, "tensor '%s' has type %s (%u), which is not read", t->name,
                      name ? name : "unknown", t->type);
    }
    if (t->dims[0] % kind->elements != 0)
        return refuse(r, start, PARE_INVALID, convert_again, err,
                      "tensor '%s' has rows of %llu, no multiple of %u as %s asks", t->name,
                      (unsigned long long)t->dims[0], kind->elements, kind->name);
    if (!pare_ggml_bytes(kind, count, &place->size))
        return refuse(r, start, PARE_INVALID, fetch_again, err, "tensor '%s' has an absurd shape",
                      t->name);
    start = r->at;
    PARE_TRY(take_number(r, 8, &offset, "the line", t->name, err));
    if (offset % f->alignment != 0)
        return refuse(r, start, PARE_INVALID, convert_again, err,
                      "tensor '%s' is at offset %llu, no multiple of the alignment %u", t->name,
                      (unsigned long long)offset, f->alignment);
    if (offset > r->size)
        return refuse(r, start, PARE_INVALID, fetch_again, err,
                      "tensor '%s' is at offset %llu of a file of %zu bytes", t->name,
                      (unsigned long long)offset, r->size);
    place->begin = (size_t)offset;
out:
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const struct pare_gguf_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int by_begin(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->begin != y->begin ? (x->begin < y->begin ? -1 : 1)
                                : (x->line > y->line) - (x->line < y->line);
}

static int check_names(struct reader *r, struct pare_gguf *f, const struct place *places,
                       struct pare_error *err)
{
    f->by_name = pare_alloc(f->n_tensors, sizeof(struct pare_gguf_tensor *));
    if (!f->by_name)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < f->n_tensors; i++)
        f->by_name[i] = &f->tensors[i];
    qsort(f->by_name, f->n_tensors, sizeof(struct pare_gguf_tensor *), by_name);
    for (size_t i = 1; i < f->n_tensors; i++) {
        if (strcmp(f->by_name[i]->name, f->by_name[i - 1]->name) == 0)
            return refuse(r, places[f->by_name[i] - f->tensors].line, PARE_INVALID, convert_again,
                          err, "tensor '%s' is there twice", f->by_name[i]->name);
    }
    return PARE_OK;
}

/* Every tensor lies inside the file, none over another; and gets its part of the mapping. */
static int place_tensors(struct reader *r, struct pare_gguf *f, struct place *places, size_t base,
                         struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t i = 0; i < f->n_tensors; i++) {
        struct place *p = &places[i];
        size_t begin = base + p->begin; /* neither is beyond the file's size */
        if (begin > r->size || p->size > r->size - begin)
            return refuse(r, p->line, PARE_INVALID, fetch_again, err,
                          "tensor '%s' takes %zu bytes from byte %zu, the file has %zu",
                          f->tensors[i].name, p->size, begin, r->size);
        PARE_TRY(pare_blob_part(f->file, begin, p->size, &f->tensors[i].data, err));
        p->tensor = &f->tensors[i];
    }
    qsort(places, f->n_tensors, sizeof *places, by_begin);
    for (size_t i = 1; i < f->n_tensors; i++) {
        const struct place *p = &places[i], *before = &places[i - 1];
        if (p->begin < before->begin + before->size)
            return refuse(r, p->line, PARE_INVALID, convert_again, err,
                          "tensors '%s' and '%s' overlap", before->tensor->name, p->tensor->name);
    }
out:
    return rc;
}

static int read_tensors(struct reader *r, struct pare_gguf *f, uint64_t n, struct pare_error *err)
{
    struct place *places = NULL;
    size_t cap = 0, cap_places = 0;
    int rc = PARE_OK;
    if (n > (r->size - r->at) / LEAST_TENSOR)
        return refuse(r, 8, PARE_INVALID, fetch_again, err,
                      "%llu tensors are announced, more than the file has bytes for",
                      (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++) {
        if (!pare_grow(&f->tensors, &cap, f->n_tensors + 1, sizeof *f->tensors) ||
            !pare_grow(&places, &cap_places, f->n_tensors + 1, sizeof *places)) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
        struct pare_gguf_tensor *t = &f->tensors[f->n_tensors];
        *t = (struct pare_gguf_tensor){0};
        places[f->n_tensors] = (struct place){0};
        PARE_TRY(take_tensor(r, f, t, &places[f->n_tensors++], err));
    }
    PARE_TRY(check_names(r, f, places, err));
    if (n) /* the data begins at the first multiple of the alignment */
        PARE_TRY(place_tensors(r, f, places, pare_round_up(r->at, f->alignment), err));
out:
    free(places);
    return rc;
}

/* ---- the file
 * ------------------------------------------------------------------------------------ */

static int read_header(struct reader *r, struct pare_gguf *f, uint64_t *n_tensors,
                       uint64_t *n_values, struct pare_error *err)
{
    const uint8_t *magic = NULL;
    uint64_t version = 0;
    int rc;
    if (r->size < 4 || memcmp(r->data, "GGUF", 4) != 0)
        return refuse(r, 0, PARE_INVALID,
                      "a GGUF file begins with the letters GGUF: check that the download is the "
                      "file itself and not a page or a pointer to it",
                      err, "this is no GGUF file");
    PARE_TRY(take(r, 4, &magic, "the header", NULL, err));
    PARE_TRY(take_number(r, 4, &version, "the header", NULL, err));
    if ((version & 0xffff) == 0 && version != 0)
        return refuse(r, 4, PARE_UNSUPPORTED,
                      "use the little-endian file; the converter's --bigendian makes the other",
                      err, "this is a big-endian GGUF file, which is not read");
    if (version != 2 && version != 3)
        return refuse(r, 4, PARE_UNSUPPORTED, convert_again, err,
                      "GGUF version %llu is not read, versions 2 and 3 are",
                      (unsigned long long)version);
    f->version = (uint32_t)version;
    PARE_TRY(take_number(r, 8, n_tensors, "the header", NULL, err));
    PARE_TRY(take_number(r, 8, n_values, "the header", NULL, err));
out:
    return rc;
}

int pare_gguf_open(const char *path, struct pare_gguf **out, struct pare_error *err)
{
    struct pare_gguf *f = pare_calloc(1, sizeof *f);
    struct reader r = {.path = path};
    uint64_t n_tensors = 0, n_values = 0;
    int rc;
    if (!f)
        return pare_error_nomem(err, sizeof *f);
    f->path = pare_pool_strdup(&f->pool, path);
    if (!f->path) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_blob_map(path, &f->file, err));
    r.data = f->file->data;
    r.size = f->file->size;
    PARE_TRY(read_header(&r, f, &n_tensors, &n_values, err));
    PARE_TRY(read_values(&r, f, n_values, err));
    PARE_TRY(read_alignment(&r, f, err));
    PARE_TRY(read_tensors(&r, f, n_tensors, err));
    *out = f;
    f = NULL;
out:
    pare_gguf_close(f);
    return rc;
}

void pare_gguf_close(struct pare_gguf *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_values; i++)
        free(f->values[i].at);
    for (size_t i = 0; i < f->n_tensors; i++)
        pare_blob_unref(f->tensors[i].data);
    free(f->values);
    free(f->tensors);
    free(f->by_key);
    free(f->by_name);
    pare_blob_unref(f->file);
    pare_pool_free(&f->pool);
    free(f);
}
