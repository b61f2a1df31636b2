/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_HALF_H
#define PARE_MODEL_HALF_H

#include <stdint.h>
#include <string.h>

/* IEEE binary16 and bfloat16, in portable arithmetic; round to nearest, ties to even; independent
 * of the denormal control bits. */
static inline float pare_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = (h >> 10) & 31u, man = h & 1023u, bits;
    if (exp == 31) {
        bits = sign | 0x7f800000u | man << 13;
    } else if (exp != 0) {
        bits = sign | (exp + 112) << 23 | man << 13;
    } else if (man == 0) {
        bits = sign;
    } else {
        int shift = __builtin_clz(man) - 21; /* bring the leading one to bit 10 */
        bits = sign | (uint32_t)(113 - shift) << 23 | ((man << shift) & 1023u) << 13;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint16_t pare_f32_to_f16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = (bits >> 16) & 0x8000u, exp = (bits >> 23) & 255u, man = bits & 0x7fffffu;
    if (exp == 255)
        return (uint16_t)(sign | 0x7c00u | (man ? 0x200u : 0));
    if (exp > 142)
        return (uint16_t)(sign | 0x7c00u);
    if (exp < 102)
        return (uint16_t)sign;
    uint32_t half, rest, middle;
    if (exp > 112) {
        half = (exp - 112) << 10 | man >> 13;
        rest = man & 0x1fffu;
        middle = 0x1000u;
    } else {
        uint32_t shift = 126 - exp; /* subnormal: the implicit one moves into the mantissa */
        man |= 0x800000u;
        half = man >> shift;
        rest = man & ((1u << shift) - 1);
        middle = 1u << (shift - 1);
    }
    half += rest > middle || (rest == middle && (half & 1));
    return (uint16_t)(sign | half);
}

static inline float pare_bf16_to_f32(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint16_t pare_f32_to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

#endif
