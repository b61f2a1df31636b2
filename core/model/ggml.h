/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_GGML_H
#define PARE_MODEL_GGML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* ggml's tensor types. A row of n numbers is n / elements blocks of `bytes` bytes, one after the
 * other; nothing in a block is aligned. The integer types write a number as scale * code, or as
 * scale * code + zero with PARE_ZERO_MIN, for groups of consecutive numbers; in the K types a
 * group's scale and zero are themselves small integers times the block's f16 numbers.
 * Source of layouts and formulas: ggml-common.h and ggml-quants.c of
 * https://github.com/ggml-org/llama.cpp (MIT). Numbers are ggml's. All functions are pure. */
enum pare_ggml_type {
    PARE_GGML_F32 = 0,
    PARE_GGML_F16 = 1,
    PARE_GGML_Q4_0 = 2,
    PARE_GGML_Q4_1 = 3,
    PARE_GGML_Q5_0 = 6,
    PARE_GGML_Q5_1 = 7,
    PARE_GGML_Q8_0 = 8,
    PARE_GGML_Q2_K = 10,
    PARE_GGML_Q3_K = 11,
    PARE_GGML_Q4_K = 12,
    PARE_GGML_Q5_K = 13,
    PARE_GGML_Q6_K = 14,
    PARE_GGML_BF16 = 30
};

#define PARE_GGML_BLOCK_MAX 256 /* most elements of a block */

struct pare_ggml_kind {
    const char *name;  /* "Q4_K", as ggml prints it */
    uint32_t type;     /* enum pare_ggml_type */
    uint32_t elements; /* numbers per block */
    uint32_t bytes;    /* bytes per block */
    uint8_t bits;      /* of a code; 0: floating point */
    uint8_t zero_kind; /* PARE_ZERO_NONE or PARE_ZERO_MIN of <pare/plugin.h> */
    uint8_t exact;     /* scales and zeros are f16 numbers as they stand in the block */
    uint8_t encodes;   /* pare_ggml_encode() writes it */
    uint32_t group;    /* numbers per scale */
};

/* The type with that number, or with that name; NULL: none that is read. */
const struct pare_ggml_kind *pare_ggml_find(uint32_t type);
const struct pare_ggml_kind *pare_ggml_named(const char *name);
/* ggml's name of any type, also of those that are not read ("IQ4_XS"); NULL: not known. */
const char *pare_ggml_name(uint32_t type);
/* All types that are read, `*n` of them. */
const struct pare_ggml_kind *pare_ggml_kinds(size_t *n);

/* Bytes of n numbers. False: n is no multiple of the block, or the bytes do not fit a size_t. */
bool pare_ggml_bytes(const struct pare_ggml_kind *kind, size_t n, size_t *out);

/* n numbers (whole blocks) to f32, bit for bit what ggml's dequantize_row gives; `type` is one that
 * pare_ggml_find() knows. */
void pare_ggml_decode(uint32_t type, const void *blocks, size_t n, float *out);
/* The codes of n numbers of an integer type, as they enter the formulas of enum pare_zero_kind. */
void pare_ggml_codes(uint32_t type, const void *blocks, size_t n, int16_t *out);
/* Scale and zero of one group of a block of an integer type (zero: 0 without one). */
void pare_ggml_scale(uint32_t type, const void *block, uint32_t group, float *scale, float *zero);

/* n numbers from f32, for the types with `encodes`. F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1 give
 * the bytes of ggml's reference quantizers; Q4_K and Q6_K search the scales and minima of least
 * squared error. Errors: PARE_INVALID for numbers that are not finite or need a scale beyond half
 * precision, PARE_UNSUPPORTED for other types. */
int pare_ggml_encode(uint32_t type, const float *x, size_t n, void *out, struct pare_error *err);

/* One block of Q8_0, Q4_0, Q4_1, Q5_0 or Q5_1 from its parts: halves as bits, 32 codes as
 * pare_ggml_codes() gives them. `min` is ignored by types without one. */
void pare_ggml_join(uint32_t type, uint16_t scale, uint16_t min, const int16_t *codes, void *block);

#endif
