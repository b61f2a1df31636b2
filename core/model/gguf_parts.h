/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing GGUF share. */
#ifndef PARE_MODEL_GGUF_PARTS_H
#define PARE_MODEL_GGUF_PARTS_H

#include "model/gguf.h"

/* Bytes of one element; 0: text, array, or no type. */
size_t pare_gguf_type_size(unsigned type);

/* Whether bytes are UTF-8 (no overlong forms, surrogates, numbers beyond U+10FFFF) without NUL. */
bool pare_gguf_is_name(const uint8_t *bytes, size_t n);

/* Little-endian number of `size` bytes. */
static inline uint64_t pare_gguf_load(const uint8_t *p, size_t size)
{
    uint64_t x = 0;
    for (size_t i = size; i > 0; i--)
        x = x << 8 | p[i - 1];
    return x;
}

#endif
