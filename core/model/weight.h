/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_WEIGHT_H
#define PARE_MODEL_WEIGHT_H

#include <stdint.h>

#include <pare/plugin.h>

#include "model/blob.h"

/* A weight matrix, rows (outputs) by cols (inputs), in an encoding: a structure (which positions
 * are stored) times values (how a stored number is written). Immutable once made, shared by count.
 *
 * Structure
 *   dense   every position
 *   N:M     exactly n of every m consecutive columns of a row are stored (zeros fill up when fewer
 *           are kept; columns beyond `cols` count as dropped), ascending; `index` holds each stored
 *           position's place in its group, 2 bits for m <= 4, 4 bits for m <= 16, low bits first,
 *           every row starting at a byte
 *   bitmap  any positions; `index` holds one bit per position, low bit first, every row starting at
 *           a byte; only kept positions are stored, row after row
 *
 * Values
 *   f32     4 bytes
 *   f16,    2 bytes; dense only
 *   bf16
 *   int     2 to 8 bits with f16 scales. Within a row, codes are packed 32 at a time, the last pack
 *           padded: 8 bits: one byte each; 4 bits: byte j holds code j (low) and j + 16 (high), as
 *           ggml's Q4_0; others: a little-endian bit string. Codes are stored unsigned
 *           (code + 2^(bits-1) when there is no zero), except 8 bits without a zero: two's
 *           complement, as ggml's Q8_0. Groups count original columns, so a structure keeps the
 *           scales. A row of a bitmap starts at a fresh pack of 32 codes.
 *   int in  `ggml` names the type: `stored` holds the rows as ggml's blocks, codes and scales
 *   blocks  interleaved, dense only, cols a multiple of the block; `scales` and `zeros` are not
 *           there. Bits, zero_kind, group and groups say what the type means, so that codes, scales
 *           and zeros read like those of any integer weight; they are f32 numbers, not all of them
 *           f16.
 *   plugin  bytes that a plugin laid out, dense only; see encoding.h */
enum pare_structure { PARE_DENSE = 0, PARE_NM = 1, PARE_BITMAP = 2 };
enum pare_values {
    PARE_VALUES_F32 = 0,
    PARE_VALUES_INT = 1,
    PARE_VALUES_F16 = 2,
    PARE_VALUES_BF16 = 3,
    PARE_VALUES_PLUGIN = 4
};

struct pare_own_encoding;

struct pare_weight {
    int refs;
    uint32_t rows, cols;
    uint8_t structure; /* enum pare_structure */
    uint8_t n, m;      /* N:M */
    uint8_t values;    /* enum pare_values */
    uint8_t bits;      /* int */
    uint8_t zero_kind; /* enum pare_zero_kind */
    uint8_t ggml;      /* int: enum pare_ggml_type of the blocks; 0: codes and scales apart */
    uint32_t group;    /* columns per scale; cols: one scale per row */
    uint32_t groups;   /* scales per row */
    struct pare_blob *stored; /* floats, halves, codes, blocks, or a plugin's bytes */
    struct pare_blob *index;  /* N:M, bitmap */
    struct pare_blob *scales; /* f16 [rows][groups] */
    struct pare_blob *zeros;  /* PARE_ZERO_INT: u8, PARE_ZERO_MIN: f16, [rows][groups] */
    const struct pare_own_encoding *encoding; /* of values that a plugin laid out */
    uint64_t *row_start; /* derived, bitmap: index of each row's first stored value, in values for
                            f32, in bytes for int; rows + 1 entries */
};

/* Dense f32; `data` is copied. NaN and infinity are refused. */
int pare_weight_new(uint32_t rows, uint32_t cols, const float *data, struct pare_weight **out,
                    struct pare_error *err);
/* The same without a copy: `data` holds rows * cols floats and is kept by reference. */
int pare_weight_wrap(uint32_t rows, uint32_t cols, struct pare_blob *data, struct pare_weight **out,
                     struct pare_error *err);

/* An encoding put together from its parts, as read from a file: `shape` gives every field but the
 * blobs' contents, which are checked (sizes, ascending places in their groups, finite scales).
 * Blobs are referenced. With `ggml` or `encoding` set only rows, cols and stored of the shape
 * matter. */
int pare_weight_assemble(const struct pare_weight *shape, struct pare_weight **out,
                         struct pare_error *err);

/* A dense weight over a tensor in one of ggml's types (enum pare_ggml_type): `data` holds rows *
 * cols numbers, is kept by reference and not read, so that a mapped file stays where it is. Numbers
 * that are not finite are found by pare_weight_check(), or by whoever reads them first. Errors:
 * PARE_UNSUPPORTED for a type that is not read, PARE_INVALID for sizes that do not fit. */
int pare_weight_from_ggml(uint32_t type, uint32_t rows, uint32_t cols, struct pare_blob *data,
                          struct pare_weight **out, struct pare_error *err);
/* The same numbers as a tensor in one of ggml's types; `*data` is a new reference, to the weight's
 * own bytes where they are such a tensor already. Exact, or PARE_UNSUPPORTED with the reason. When
 * `widen` is 0 the tensor takes the weight's own bits and its dense structure; else codes may go
 * into a type of more bits, scales be repeated and dropped positions be written as zeros. */
int pare_weight_to_ggml(const struct pare_weight *w, int widen, uint32_t *type,
                        struct pare_blob **data, struct pare_error *err);
/* Read all of a weight and refuse values, scales and minima that are not finite (PARE_INVALID). */
int pare_weight_check(const struct pare_weight *w, struct pare_error *err);

struct pare_weight *pare_weight_ref(struct pare_weight *w);
void pare_weight_unref(struct pare_weight *w);

/* `n` rows from `row`, decoded to f32 (the reference for every kernel): n * cols. */
void pare_weight_decode(const struct pare_weight *w, uint32_t row, uint32_t n, float *out);
/* 1 where the structure stores a position: n * cols. For N:M, filled-up positions count as stored.
 */
void pare_weight_kept(const struct pare_weight *w, uint32_t row, uint32_t n, uint8_t *out);
/* Integer codes of n rows, as they enter the formulas of enum pare_zero_kind (signed without a
 * zero): n * cols; positions that are not stored get the code of zero: 0, the group's zero, or 0.
 */
void pare_weight_codes(const struct pare_weight *w, uint32_t row, uint32_t n, int16_t *out);
/* Scale and zero of one group as floats (zero: 0 when there is none). */
float pare_weight_scale(const struct pare_weight *w, uint32_t row, uint32_t group);
float pare_weight_zero(const struct pare_weight *w, uint32_t row, uint32_t group);

/* New weights from old ones. All refuse values that are not finite. What is made has codes and f16
 * scales apart, or f32 values: with_structure on blocks keeps the codes where the type's scales are
 * f16 numbers (Q8_0, Q4_0, Q4_1, Q5_0, Q5_1) and the structure can hold its zeros (a minimum and
 * N:M cannot go together), else the values, as f32; on f16 and bf16 the values, as f32. */
int pare_weight_with_values(const struct pare_weight *w, const float *values,
                            struct pare_weight **out,
                            struct pare_error *err); /* keeps the structure; becomes f32 */
int pare_weight_with_integers(const struct pare_weight *w, const struct pare_integers *integers,
                              struct pare_weight **out,
                              struct pare_error *err); /* keeps the structure */
int pare_weight_with_structure(const struct pare_weight *w, uint32_t n, uint32_t m,
                               const uint8_t *keep, struct pare_weight **out,
                               struct pare_error *err); /* keeps the codes */
/* The rows and columns whose keep is nonzero (NULL: all), in the same encoding. Sparse weights,
 * integers with scales apart, and parts of a ggml block cannot be removed: PARE_UNSUPPORTED. */
int pare_weight_select(const struct pare_weight *w, const uint8_t *keep_rows,
                       const uint8_t *keep_cols, struct pare_weight **out, struct pare_error *err);

/* Bytes truly stored: the payloads, each rounded up to PARE_ALIGN. */
uint64_t pare_weight_bytes(const struct pare_weight *w);
/* Numbers that a product has to multiply per row of input: stored positions. */
uint64_t pare_weight_stored(const struct pare_weight *w);
/* "f32", "bf16", "2:4 int8", "int4 g32 min", "Q4_K", ... at least 48 bytes. */
void pare_weight_describe(const struct pare_weight *w, char *out);

/* Bytes of a packed run of n codes: packs of 32. */
static inline size_t pare_packed_bytes(size_t n, unsigned bits)
{
    return (n + 31) / 32 * 4 * bits;
}

#endif
