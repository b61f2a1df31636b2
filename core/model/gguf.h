/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_GGUF_H
#define PARE_MODEL_GGUF_H

#include <stdbool.h>

#include "base/mem.h"
#include "model/blob.h"
#include "model/ggml.h"

/* The GGUF format, versions 2 and 3, little endian: a header, typed metadata, a table of tensors,
 * and their data, each tensor aligned.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
enum pare_gguf_type {
    PARE_GGUF_U8 = 0,
    PARE_GGUF_I8 = 1,
    PARE_GGUF_U16 = 2,
    PARE_GGUF_I16 = 3,
    PARE_GGUF_U32 = 4,
    PARE_GGUF_I32 = 5,
    PARE_GGUF_F32 = 6,
    PARE_GGUF_BOOL = 7,
    PARE_GGUF_TEXT = 8,
    PARE_GGUF_ARRAY = 9, /* in the file only: a value has the type of its elements */
    PARE_GGUF_U64 = 10,
    PARE_GGUF_I64 = 11,
    PARE_GGUF_F64 = 12
};

#define PARE_GGUF_RANK_MAX 4
#define PARE_GGUF_NAME_MAX 64   /* bytes of a tensor's name */
#define PARE_GGUF_KEY_MAX 65535 /* bytes of a key */
#define PARE_GGUF_ALIGNMENT 32  /* when a file does not say, and what is written */

/* Bytes of a text in the file, not terminated; any bytes, though UTF-8 by the format's word. */
struct pare_gguf_text {
    const char *data;
    size_t len;
};

/* One entry of the metadata. The elements stay in the mapped file, unaligned: read them with the
 * functions below. */
struct pare_gguf_value {
    const char *key;
    uint8_t type; /* enum pare_gguf_type of the value, or of an array's elements; never ARRAY */
    bool array;
    size_t n; /* elements; 1 when no array */
    const uint8_t *data;
    size_t *at; /* texts: where each element lies, from data */
};

struct pare_gguf_tensor {
    const char *name;
    uint32_t type;                     /* enum pare_ggml_type */
    uint32_t rank;                     /* 1 to 4 */
    uint64_t dims[PARE_GGUF_RANK_MAX]; /* as in the file: dims[0] counts columns, 1 beyond rank */
    struct pare_blob *data;            /* a part of the mapping, which it keeps */
};

/* An open file. Reading it is safe from several threads. */
struct pare_gguf {
    uint32_t version, alignment;
    struct pare_gguf_value *values; /* in the order of the file */
    size_t n_values;
    struct pare_gguf_tensor *tensors; /* in the order of the file */
    size_t n_tensors;
    const char *path; /* for messages */
    struct pare_blob *file;
    struct pare_gguf_value **by_key; /* sorted */
    struct pare_gguf_tensor **by_name;
    struct pare_pool pool; /* names */
};

/* Open a file: it is mapped, and header, metadata and table are read and checked whole (counts,
 * lengths, types, names, offsets, overlaps); the tensors' data is not touched. Errors: PARE_INVALID
 * for a damaged file, PARE_UNSUPPORTED for what the format allows and Pare does not read (version
 * 1, big endian, other tensor types, arrays of arrays), PARE_NOT_FOUND, PARE_IO, PARE_NOMEM; `what`
 * names the file, `detail` the byte. Freed by pare_gguf_close(); tensors' data may be kept by
 * pare_blob_ref(). */
int pare_gguf_open(const char *path, struct pare_gguf **out, struct pare_error *err);
void pare_gguf_close(struct pare_gguf *file); /* NULL is fine */

/* NULL: not there. */
const struct pare_gguf_value *pare_gguf_find(const struct pare_gguf *file, const char *key);
const struct pare_gguf_tensor *pare_gguf_tensor(const struct pare_gguf *file, const char *name);

/* One value by its key. Errors: PARE_NOT_FOUND, and `*out` is untouched; PARE_INVALID when it is an
 * array, of another kind or out of range. Any integer type is read as an integer, any number as a
 * real. */
int pare_gguf_u32(const struct pare_gguf *file, const char *key, uint32_t *out,
                  struct pare_error *err);
int pare_gguf_i64(const struct pare_gguf *file, const char *key, int64_t *out,
                  struct pare_error *err);
int pare_gguf_f64(const struct pare_gguf *file, const char *key, double *out,
                  struct pare_error *err);
int pare_gguf_bool(const struct pare_gguf *file, const char *key, bool *out,
                   struct pare_error *err);
int pare_gguf_text(const struct pare_gguf *file, const char *key, struct pare_gguf_text *out,
                   struct pare_error *err);
/* An array with elements of a kind: PARE_GGUF_TEXT, PARE_GGUF_BOOL, PARE_GGUF_F64 (any number) or
 * PARE_GGUF_I64 (any integer). */
int pare_gguf_array(const struct pare_gguf *file, const char *key, enum pare_gguf_type kind,
                    const struct pare_gguf_value **out, struct pare_error *err);

/* Element i < n of a value. False: the type does not convert, or not in range. */
bool pare_gguf_i64_at(const struct pare_gguf_value *value, size_t i, int64_t *out);
bool pare_gguf_f64_at(const struct pare_gguf_value *value, size_t i, double *out);
bool pare_gguf_bool_at(const struct pare_gguf_value *value, size_t i, bool *out);
bool pare_gguf_text_at(const struct pare_gguf_value *value, size_t i, struct pare_gguf_text *out);

const char *pare_gguf_type_name(unsigned type); /* "u32", "text", ... ; NULL: none */

/* ---- writing: collect metadata and tensors, then write one file
 * ---------------------------------- */

struct pare_gguf_draft;

int pare_gguf_draft_new(struct pare_gguf_draft **out, struct pare_error *err);
void pare_gguf_draft_free(struct pare_gguf_draft *draft); /* NULL is fine */

/* Add an entry. A key that is there already is PARE_INVALID, as is one that a file cannot hold.
 * Texts are given by their bytes. */
int pare_gguf_put_u32(struct pare_gguf_draft *draft, const char *key, uint32_t value,
                      struct pare_error *err);
int pare_gguf_put_u64(struct pare_gguf_draft *draft, const char *key, uint64_t value,
                      struct pare_error *err);
int pare_gguf_put_f32(struct pare_gguf_draft *draft, const char *key, float value,
                      struct pare_error *err);
int pare_gguf_put_bool(struct pare_gguf_draft *draft, const char *key, bool value,
                       struct pare_error *err);
int pare_gguf_put_text(struct pare_gguf_draft *draft, const char *key, const char *text,
                       struct pare_error *err);
/* `n` elements of a type other than text and array, in the machine's layout (bool: a byte). */
int pare_gguf_put_array(struct pare_gguf_draft *draft, const char *key, enum pare_gguf_type type,
                        size_t n, const void *elements, struct pare_error *err);
int pare_gguf_put_texts(struct pare_gguf_draft *draft, const char *key, size_t n,
                        const struct pare_gguf_text *texts, struct pare_error *err);
/* An entry as another file has it, under its key. */
int pare_gguf_put_value(struct pare_gguf_draft *draft, const struct pare_gguf_value *value,
                        struct pare_error *err);

/* Add a tensor; `data` is referenced and must have the size that type and dims ask for. */
int pare_gguf_put_tensor(struct pare_gguf_draft *draft, const char *name, uint32_t type,
                         uint32_t rank, const uint64_t *dims, struct pare_blob *data,
                         struct pare_error *err);

/* Write version 3 with alignment 32, tensors in the order they were added; a reader sees the old
 * file or the new, never a part. The tensors' data is written from where it lies, without a copy.
 * "general.alignment" must not have been put. */
int pare_gguf_write(const char *path, const struct pare_gguf_draft *draft, struct pare_error *err);

#endif
