/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_SAFETENSORS_H
#define PARE_MODEL_SAFETENSORS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/hash.h"
#include "model/blob.h"

/* The safetensors format: 8 bytes of header length, a JSON header, the payloads.
 * https://github.com/huggingface/safetensors (format section of its README). */
enum pare_dtype {
    PARE_F64,
    PARE_F32,
    PARE_F16,
    PARE_BF16,
    PARE_I64,
    PARE_I32,
    PARE_I16,
    PARE_I8,
    PARE_U64,
    PARE_U32,
    PARE_U16,
    PARE_U8,
    PARE_BOOL8,
    PARE_DTYPE_COUNT,
    PARE_BLOCKS = PARE_DTYPE_COUNT /* of a type of ggml's: in GGUF files only */
};

#define PARE_RANK_MAX 8

struct pare_tensor {
    char *name;
    uint8_t dtype; /* enum pare_dtype */
    uint8_t ggml;  /* PARE_BLOCKS: enum pare_ggml_type */
    uint8_t rank;
    bool used; /* a family took it */
    uint64_t shape[PARE_RANK_MAX];
    struct pare_blob *data; /* a part of the mapped file, or own bytes */
};

/* The tensors of one file, or of all files of an index, sorted by name. */
struct pare_tensors {
    struct pare_tensor *items;
    size_t n, cap;
    json_t *metadata; /* object of strings, or NULL */
};

/* `path` is a .safetensors file, a .safetensors.index.json, or a folder with model.safetensors or
 * model.safetensors.index.json. Everything is checked: lengths, offsets inside the file and not
 * overlapping, shapes against sizes, names unique. The files stay mapped while a tensor lives. */
int pare_tensors_open(const char *path, struct pare_tensors *out, struct pare_error *err);
void pare_tensors_free(struct pare_tensors *tensors);

/* By name, as finding them wants it. */
void pare_tensors_sort(struct pare_tensors *tensors);

struct pare_tensor *pare_tensors_find(const struct pare_tensors *tensors, const char *name);

/* The tensor of that name with that shape; dimensions of 1 at the front of the file's shape are
 * ignored. Errors: PARE_INVALID: not there, or of another shape. */
int pare_tensors_expect(const struct pare_tensors *tensors, const char *name, unsigned rank,
                        const uint64_t *shape, struct pare_tensor **out, struct pare_error *err);

/* Take a floating-point tensor as f32 (F64, F16 and BF16 are converted) with that shape; dimensions
 * of 1 at the front of the file's shape are ignored. NaN and infinity are refused. Marks it used;
 * `*out` is a reference. */
int pare_tensors_take(struct pare_tensors *tensors, const char *name, unsigned rank,
                      const uint64_t *shape, struct pare_blob **out, struct pare_error *err);

/* Add names and payloads to `h`, in the order of `items`. */
void pare_tensors_hash(const struct pare_tensors *tensors, struct pare_hash *h);

/* Append a tensor for writing; `data` is referenced. */
int pare_tensors_add(struct pare_tensors *tensors, const char *name, enum pare_dtype dtype,
                     unsigned rank, const uint64_t *shape, struct pare_blob *data,
                     struct pare_error *err);
/* The same in one of ggml's types (enum pare_ggml_type): those of safetensors get their dtype,
 * others are PARE_BLOCKS. */
int pare_tensors_add_ggml(struct pare_tensors *tensors, const char *name, uint32_t type,
                          unsigned rank, const uint64_t *shape, struct pare_blob *data,
                          struct pare_error *err);
/* Write one file, atomically; payloads in the order of `items`. `metadata` values must be strings.
 */
int pare_tensors_write(const char *path, const struct pare_tensors *tensors,
                       struct pare_error *err);

const char *pare_dtype_name(unsigned dtype);
size_t pare_dtype_size(unsigned dtype);

#endif
