/* SPDX-License-Identifier: Apache-2.0 */
/* How encodings lie in memory; shared by the code that reads and makes them, and by kernels that
 * pack. */
#ifndef PARE_MODEL_WEIGHT_PARTS_H
#define PARE_MODEL_WEIGHT_PARTS_H

#include <stdbool.h>

#include "model/weight.h"

/* Positions a row stores: cols, or for N:M n of every started group. For a bitmap, the most
 * possible. */
uint32_t pare_weight_row_stored(const struct pare_weight *w);
/* Bits of one place in a group of m, and bytes of a row of `index` (0 when dense). */
unsigned pare_weight_place_bits(const struct pare_weight *w);
size_t pare_weight_index_row(const struct pare_weight *w);
/* Whether the rows are those of a tensor in one of ggml's types: floats, halves or blocks. */
bool pare_weight_is_ggml(const struct pare_weight *w);
/* Bytes of one stored number that is no integer. */
unsigned pare_weight_value_bytes(const struct pare_weight *w);
/* ggml's type of a dense weight that is floats or blocks. */
uint32_t pare_weight_ggml_type(const struct pare_weight *w);
/* Bytes of a row of `stored`; not for a bitmap, whose rows differ. */
size_t pare_weight_row_bytes(const struct pare_weight *w);
/* First stored value of a row. */
const void *pare_weight_row(const struct pare_weight *w, uint32_t row);

/* One code of a packed run, unsigned. */
int pare_code_load(const uint8_t *packed, size_t i, unsigned bits);
void pare_code_store(uint8_t *packed, size_t i, unsigned bits, int code);
/* What is added to a code to store it unsigned: 0 when there is a zero, and for 8 bits. */
int pare_code_offset(const struct pare_weight *w);

/* A weight without blobs: dense, f32, one group. */
int pare_weight_blank(uint32_t rows, uint32_t cols, struct pare_weight **out,
                      struct pare_error *err);
/* Give `w` the structure of `from`, sharing the index. */
void pare_weight_take_structure(struct pare_weight *w, const struct pare_weight *from);
/* Where each row of a bitmap starts; nothing to do for others. Needs structure, index and values.
 */
int pare_weight_make_row_start(struct pare_weight *w, struct pare_error *err);
/* Bytes that `stored` has to have. */
size_t pare_weight_stored_bytes(const struct pare_weight *w);
/* f32 numbers: PARE_INVALID names the first that is not finite. */
int pare_weight_check_finite(const float *x, size_t n, struct pare_error *err);
/* The scales, and zeros where there are any, of blocks with f16 scales, as the blobs of an integer
 * weight with scales apart. */
int pare_weight_split_scales(const struct pare_weight *w, struct pare_blob **scales,
                             struct pare_blob **zeros, struct pare_error *err);

#endif
