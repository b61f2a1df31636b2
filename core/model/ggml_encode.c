/* SPDX-License-Identifier: Apache-2.0 */
/* Writing ggml's tensor types: the simple ones as ggml's reference quantizers do. */
#include "base/mem.h"
#include "model/ggml_parts.h"
#include "model/half.h"

#include <math.h>
#include <pare/plugin.h>
#include <string.h>

static void put_half(uint8_t *to, uint16_t half)
{
    to[0] = (uint8_t)half;
    to[1] = (uint8_t)(half >> 8);
}

static bool finite_half(uint16_t half)
{
    return (half & 0x7c00u) != 0x7c00u;
}

void pare_ggml_join(uint32_t type, uint16_t scale, uint16_t min, const int16_t *codes, void *block)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(type);
    uint8_t *b = block, high[4] = {0};
    int offset = kind->zero_kind == PARE_ZERO_MIN || kind->bits == 8 ? 0 : 1 << (kind->bits - 1);
    put_half(b, scale);
    b += 2;
    if (kind->zero_kind == PARE_ZERO_MIN) {
        put_half(b, min);
        b += 2;
    }
    if (kind->bits == 8) {
        for (unsigned j = 0; j < 32; j++)
            b[j] = (uint8_t)codes[j];
        return;
    }
    if (kind->bits == 5) {
        for (unsigned j = 0; j < 32; j++)
            high[j / 8] |= (uint8_t)(((codes[j] + offset) >> 4 & 1) << j % 8);
        memcpy(b, high, sizeof high);
        b += sizeof high;
    }
    for (unsigned j = 0; j < 16; j++)
        b[j] = (uint8_t)(((codes[j] + offset) & 15) | ((codes[j + 16] + offset) & 15) << 4);
}

/* To an integer by cutting, as C converts, kept within bounds; NaN gives `lo`. */
static int16_t cut(float x, int lo, int hi)
{
    if (!(x > (float)lo))
        return (int16_t)lo;
    return (int16_t)(x < (float)hi ? (int)x : hi);
}

/* A scale through the number of largest magnitude: that one gets the code of least value. */
static bool encode_symmetric(const struct pare_ggml_kind *kind, const float *x, uint8_t *block)
{
    float most = 0;
    int16_t codes[32];
    for (unsigned j = 0; j < 32; j++)
        most = fabsf(x[j]) > fabsf(most) ? x[j] : most;
    int half = 1 << (kind->bits - 1);
    float scale = most / (float)-half, inverse = scale != 0 ? 1.0f / scale : 0;
    for (unsigned j = 0; j < 32; j++) {
        float v = x[j] * inverse;
        codes[j] = (int16_t)(cut(v + ((float)half + 0.5f), 0, 2 * half - 1) - half);
    }
    uint16_t d = pare_f32_to_f16(scale);
    pare_ggml_join(kind->type, d, 0, codes, block);
    return finite_half(d);
}

static bool encode_min(const struct pare_ggml_kind *kind, const float *x, uint8_t *block)
{
    float lo = x[0], hi = x[0];
    int16_t codes[32];
    for (unsigned j = 1; j < 32; j++) {
        lo = x[j] < lo ? x[j] : lo;
        hi = x[j] > hi ? x[j] : hi;
    }
    int last = (1 << kind->bits) - 1;
    float scale = (hi - lo) / (float)last, inverse = scale != 0 ? 1.0f / scale : 0;
    for (unsigned j = 0; j < 32; j++) {
        float v = (x[j] - lo) * inverse;
        codes[j] = cut(v + 0.5f, 0, last);
    }
    uint16_t d = pare_f32_to_f16(scale), m = pare_f32_to_f16(lo);
    pare_ggml_join(kind->type, d, m, codes, block);
    return finite_half(d) && finite_half(m);
}

static bool encode_q8_0(const float *x, uint8_t *block)
{
    float most = 0;
    int16_t codes[32];
    for (unsigned j = 0; j < 32; j++)
        most = fmaxf(most, fabsf(x[j]));
    float scale = most / 127.0f, inverse = scale != 0 ? 1.0f / scale : 0;
    for (unsigned j = 0; j < 32; j++)
        codes[j] = cut(roundf(x[j] * inverse), -127, 127);
    uint16_t d = pare_f32_to_f16(scale);
    pare_ggml_join(PARE_GGML_Q8_0, d, 0, codes, block);
    return finite_half(d);
}

static bool encode_half(uint32_t type, float x, uint8_t *out)
{
    uint16_t half = type == PARE_GGML_F16 ? pare_f32_to_f16(x) : pare_f32_to_bf16(x);
    put_half(out, half);
    return type == PARE_GGML_F16 ? finite_half(half) : (half & 0x7f80u) != 0x7f80u;
}

static bool encode_block(const struct pare_ggml_kind *kind, const float *x, uint8_t *out)
{
    switch (kind->type) {
    case PARE_GGML_F32:
        memcpy(out, x, sizeof *x);
        return true;
    case PARE_GGML_F16:
    case PARE_GGML_BF16:
        return encode_half(kind->type, *x, out);
    case PARE_GGML_Q8_0:
        return encode_q8_0(x, out);
    case PARE_GGML_Q4_K:
        return pare_ggml_encode_q4_k(x, out);
    case PARE_GGML_Q6_K:
        return pare_ggml_encode_q6_k(x, out);
    default:
        return kind->zero_kind == PARE_ZERO_MIN ? encode_min(kind, x, out)
                                                : encode_symmetric(kind, x, out);
    }
}

int pare_ggml_encode(uint32_t type, const float *x, size_t n, void *out, struct pare_error *err)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(type);
    uint8_t *to = out;
    if (!kind || !kind->encodes) {
        const char *name = pare_ggml_name(type);
        return pare_error_set(err, PARE_UNSUPPORTED, "%s is not written",
                              name ? name : "that type");
    }
    if (n % kind->elements != 0)
        return pare_error_set(err, PARE_INVALID, "%zu numbers are no whole blocks of %s", n,
                              kind->name);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return pare_error_set(err, PARE_INVALID, "number %zu is not finite", i);
    }
    for (size_t i = 0; i < n; i += kind->elements, to += kind->bytes) {
        if (!encode_block(kind, x + i, to))
            return pare_error_set(err, PARE_INVALID,
                                  "numbers from %zu are too large for half precision in %s", i,
                                  kind->name);
    }
    return PARE_OK;
}
