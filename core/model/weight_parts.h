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
/* First stored value of a row. */
const void *pare_weight_row(const struct pare_weight *w, uint32_t row);

/* One code of a packed run, unsigned. */
int pare_code_load(const uint8_t *packed, size_t i, unsigned bits);
void pare_code_store(uint8_t *packed, size_t i, unsigned bits, int code);
/* What is added to a code to store it unsigned: 0 when there is a zero, and for 8 bits. */
int pare_code_offset(const struct pare_weight *w);

#endif
