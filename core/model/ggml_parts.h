/* SPDX-License-Identifier: Apache-2.0 */
/* Where the parts of ggml's larger blocks lie; shared by reading and writing them. */
#ifndef PARE_MODEL_GGML_PARTS_H
#define PARE_MODEL_GGML_PARTS_H

#include "model/ggml.h"

/* Bytes from the start of a block. Q2_K: scales, codes, d, dmin. Q3_K: high bits, codes, scales, d.
 * Q4_K: d, dmin, scales, codes. Q5_K: the same with high bits before the codes. Q6_K: low bits,
 * high bits, scales, d. */
enum {
    PARE_Q2_K_QS = 16,
    PARE_Q2_K_D = 80,
    PARE_Q3_K_QS = 32,
    PARE_Q3_K_SCALES = 96,
    PARE_Q3_K_D = 108,
    PARE_Q4_K_SCALES = 4,
    PARE_Q4_K_QS = 16,
    PARE_Q5_K_QH = 16,
    PARE_Q5_K_QS = 48,
    PARE_Q6_K_QH = 128,
    PARE_Q6_K_SCALES = 192,
    PARE_Q6_K_D = 208
};

/* One block of 256 numbers, by search. False: a scale is beyond half precision. */
bool pare_ggml_encode_q4_k(const float *x, uint8_t *block);
bool pare_ggml_encode_q6_k(const float *x, uint8_t *block);

#endif
