/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary position embeddings (Su et al., RoFormer, 2021, eq. 34), in plain C for every instruction
 * set: each product and sum rounds by itself, so all give the same bits. */
#ifndef PARE_KERNELS_ROPE_H
#define PARE_KERNELS_ROPE_H

#include <string.h>

#include "engine/kernels/kernels.h"

static void plain_rope(const float *restrict x, const float *restrict angles, float *restrict out,
                       uint32_t heads, uint32_t width, uint32_t pairs, bool adjacent, float factor)
{
    const float *cosine = angles, *sine = angles + pairs;
    for (uint32_t h = 0; h < heads; h++, x += width, out += width) {
        for (uint32_t i = 0; adjacent && i < pairs; i++) {
            out[2 * i] = factor * (x[2 * i] * cosine[i] - x[2 * i + 1] * sine[i]);
            out[2 * i + 1] = factor * (x[2 * i] * sine[i] + x[2 * i + 1] * cosine[i]);
        }
        for (uint32_t i = 0; !adjacent && i < pairs; i++) {
            out[i] = factor * (x[i] * cosine[i] - x[i + pairs] * sine[i]);
            out[i + pairs] = factor * (x[i] * sine[i] + x[i + pairs] * cosine[i]);
        }
        if (2 * pairs < width)
            memcpy(out + 2ul * pairs, x + 2ul * pairs, (width - 2ul * pairs) * sizeof *out);
    }
}

#endif
