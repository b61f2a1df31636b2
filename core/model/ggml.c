/* SPDX-License-Identifier: Apache-2.0 */
/* ggml's tensor types: the table, and reading blocks. */
#include "model/ggml.h"
#include "base/mem.h"
#include "model/ggml_parts.h"
#include "model/half.h"

#include <pare/plugin.h>
#include <string.h>

static const struct pare_ggml_kind kinds[] = {
    /* name, type, elements, bytes, bits, zero, exact, encodes, group */
    {"F32", PARE_GGML_F32, 1, 4, 0, PARE_ZERO_NONE, 0, 1, 0},
    {"F16", PARE_GGML_F16, 1, 2, 0, PARE_ZERO_NONE, 0, 1, 0},
    {"BF16", PARE_GGML_BF16, 1, 2, 0, PARE_ZERO_NONE, 0, 1, 0},
    {"Q8_0", PARE_GGML_Q8_0, 32, 34, 8, PARE_ZERO_NONE, 1, 1, 32},
    {"Q4_0", PARE_GGML_Q4_0, 32, 18, 4, PARE_ZERO_NONE, 1, 1, 32},
    {"Q4_1", PARE_GGML_Q4_1, 32, 20, 4, PARE_ZERO_MIN, 1, 1, 32},
    {"Q5_0", PARE_GGML_Q5_0, 32, 22, 5, PARE_ZERO_NONE, 1, 1, 32},
    {"Q5_1", PARE_GGML_Q5_1, 32, 24, 5, PARE_ZERO_MIN, 1, 1, 32},
    {"Q2_K", PARE_GGML_Q2_K, 256, 84, 2, PARE_ZERO_MIN, 0, 0, 16},
    {"Q3_K", PARE_GGML_Q3_K, 256, 110, 3, PARE_ZERO_NONE, 0, 0, 16},
    {"Q4_K", PARE_GGML_Q4_K, 256, 144, 4, PARE_ZERO_MIN, 0, 1, 32},
    {"Q5_K", PARE_GGML_Q5_K, 256, 176, 5, PARE_ZERO_MIN, 0, 0, 32},
    {"Q6_K", PARE_GGML_Q6_K, 256, 210, 6, PARE_ZERO_NONE, 0, 1, 16},
};

/* The rest of ggml's numbers, so that a message can say what a file holds. */
static const struct {
    uint32_t type;
    const char *name;
} others[] = {
    {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {41, "Q1_0"},     {42, "Q2_0"},
    {9, "Q8_1"},        {15, "Q8_K"},       {16, "IQ2_XXS"},    {17, "IQ2_XS"},   {18, "IQ3_XXS"},
    {19, "IQ1_S"},      {20, "IQ4_NL"},     {21, "IQ3_S"},      {22, "IQ2_S"},    {23, "IQ4_XS"},
    {24, "I8"},         {25, "I16"},        {26, "I32"},        {27, "I64"},      {28, "F64"},
    {29, "IQ1_M"},      {34, "TQ1_0"},      {35, "TQ2_0"},      {39, "MXFP4"},    {40, "NVFP4"},
    {4, "Q4_2"},        {5, "Q4_3"},        {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"}, {33, "Q4_0_8_8"},
};

const struct pare_ggml_kind *pare_ggml_kinds(size_t *n)
{
    *n = PARE_COUNT(kinds);
    return kinds;
}

const struct pare_ggml_kind *pare_ggml_find(uint32_t type)
{
    /* one more than the place in the table; it is asked once per group */
    static const uint8_t places[] = {
        [PARE_GGML_F32] = 1,   [PARE_GGML_F16] = 2,   [PARE_GGML_BF16] = 3,  [PARE_GGML_Q8_0] = 4,
        [PARE_GGML_Q4_0] = 5,  [PARE_GGML_Q4_1] = 6,  [PARE_GGML_Q5_0] = 7,  [PARE_GGML_Q5_1] = 8,
        [PARE_GGML_Q2_K] = 9,  [PARE_GGML_Q3_K] = 10, [PARE_GGML_Q4_K] = 11, [PARE_GGML_Q5_K] = 12,
        [PARE_GGML_Q6_K] = 13,
    };
    unsigned place = type < PARE_COUNT(places) ? places[type] : 0;
    return place ? &kinds[place - 1] : NULL;
}

const struct pare_ggml_kind *pare_ggml_named(const char *name)
{
    for (size_t i = 0; name && i < PARE_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

const char *pare_ggml_name(uint32_t type)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(type);
    if (kind)
        return kind->name;
    for (size_t i = 0; i < PARE_COUNT(others); i++) {
        if (others[i].type == type)
            return others[i].name;
    }
    return NULL;
}

bool pare_ggml_bytes(const struct pare_ggml_kind *kind, size_t n, size_t *out)
{
    return n % kind->elements == 0 && pare_mul_size(n / kind->elements, kind->bytes, out);
}

/* ---- codes of one block
 * -------------------------------------------------------------------------- */

static void nibbles(const uint8_t *q, int offset, int16_t *out)
{
    for (unsigned j = 0; j < 16; j++) {
        out[j] = (int16_t)((q[j] & 15) - offset);
        out[j + 16] = (int16_t)((q[j] >> 4) - offset);
    }
}

/* The fifth bits of 32 codes follow in order, low bit first. */
static void fifth_bits(const uint8_t *high, const uint8_t *q, int offset, int16_t *out)
{
    nibbles(q, offset, out);
    for (unsigned j = 0; j < 32; j++)
        out[j] = (int16_t)(out[j] + ((high[j / 8] >> j % 8 & 1) << 4));
}

static void codes_q4_0(const uint8_t *b, int16_t *out)
{
    nibbles(b + 2, 8, out);
}

static void codes_q4_1(const uint8_t *b, int16_t *out)
{
    nibbles(b + 4, 0, out);
}

static void codes_q5_0(const uint8_t *b, int16_t *out)
{
    fifth_bits(b + 2, b + 6, 16, out);
}

static void codes_q5_1(const uint8_t *b, int16_t *out)
{
    fifth_bits(b + 4, b + 8, 0, out);
}

static void codes_q8_0(const uint8_t *b, int16_t *out)
{
    for (unsigned j = 0; j < 32; j++)
        out[j] = (int8_t)b[2 + j];
}

/* Two bits of 256 codes: a byte holds those of codes 32 apart, in each half of the block. */
static void two_bits(const uint8_t *q, int16_t *out)
{
    for (unsigned k = 0; k < 8; k++, out += 32) {
        const uint8_t *from = q + k / 4 * 32;
        for (unsigned l = 0; l < 32; l++)
            out[l] = (int16_t)(from[l] >> k % 4 * 2 & 3);
    }
}

static void codes_q2_k(const uint8_t *b, int16_t *out)
{
    two_bits(b + PARE_Q2_K_QS, out);
}

static void codes_q3_k(const uint8_t *b, int16_t *out)
{
    two_bits(b + PARE_Q3_K_QS, out);
    for (unsigned k = 0; k < 8; k++, out += 32) {
        for (unsigned l = 0; l < 32; l++)
            out[l] = (int16_t)(out[l] + (b[l] >> k & 1) * 4 - 4);
    }
}

/* Four bits: a byte holds those of two codes 32 apart. */
static void four_bits(const uint8_t *q, int16_t *out)
{
    for (unsigned k = 0; k < 8; k++, out += 32) {
        const uint8_t *from = q + k / 2 * 32;
        for (unsigned l = 0; l < 32; l++)
            out[l] = (int16_t)(from[l] >> k % 2 * 4 & 15);
    }
}

static void codes_q4_k(const uint8_t *b, int16_t *out)
{
    four_bits(b + PARE_Q4_K_QS, out);
}

static void codes_q5_k(const uint8_t *b, int16_t *out)
{
    four_bits(b + PARE_Q5_K_QS, out);
    b += PARE_Q5_K_QH;
    for (unsigned k = 0; k < 8; k++, out += 32) {
        for (unsigned l = 0; l < 32; l++)
            out[l] = (int16_t)(out[l] + (b[l] >> k & 1) * 16);
    }
}

static void codes_q6_k(const uint8_t *b, int16_t *out)
{
    for (unsigned k = 0; k < 8; k++, out += 32) {
        const uint8_t *low = b + k / 4 * 64 + k % 2 * 32, *high = b + PARE_Q6_K_QH + k / 4 * 32;
        for (unsigned l = 0; l < 32; l++)
            out[l] =
                (int16_t)((low[l] >> k % 4 / 2 * 4 & 15) + (high[l] >> k % 4 * 2 & 3) * 16 - 32);
    }
}

/* ---- scale and zero of one group
 * ----------------------------------------------------------------- */

static float half_at(const uint8_t *b)
{
    return pare_f16_to_f32((uint16_t)(b[0] | b[1] << 8));
}

static void scale_plain(const uint8_t *b, uint32_t g, float *scale, float *zero)
{
    (void)g;
    *scale = half_at(b);
    *zero = 0;
}

static void scale_min(const uint8_t *b, uint32_t g, float *scale, float *zero)
{
    (void)g;
    *scale = half_at(b);
    *zero = half_at(b + 2);
}

static void scale_q2_k(const uint8_t *b, uint32_t g, float *scale, float *zero)
{
    *scale = half_at(b + PARE_Q2_K_D) * (float)(b[g] & 15);
    *zero = -(half_at(b + PARE_Q2_K_D + 2) * (float)(b[g] >> 4));
}

/* 16 scales of 6 bits: the low four are nibbles, scale j and j + 8 in one byte; the high two are in
 * four more bytes, scales j, j + 4, j + 8, j + 12 in one. */
static void scale_q3_k(const uint8_t *b, uint32_t g, float *scale, float *zero)
{
    const uint8_t *s = b + PARE_Q3_K_SCALES;
    int low = s[g % 8] >> (g / 8 * 4) & 15, high = s[8 + g % 4] >> (g / 4 * 2) & 3;
    *scale = half_at(b + PARE_Q3_K_D) * (float)(low + high * 16 - 32);
    *zero = 0;
}

static void scale_q4_k(const uint8_t *b, uint32_t g, float *scale, float *zero)
{
    const uint8_t *s = b + PARE_Q4_K_SCALES;
    int sc, mn;
    if (g < 4) {
        sc = s[g] & 63;
        mn = s[g + 4] & 63;
    } else { /* the high bits lie above the first four's scales and minima */
        sc = (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
        mn = s[g + 4] >> 4 | s[g] >> 6 << 4;
    }
    *scale = half_at(b) * (float)sc;
    *zero = -(half_at(b + 2) * (float)mn);
}

static void scale_q6_k(const uint8_t *b, uint32_t g, float *scale, float *zero)
{
    *scale = half_at(b + PARE_Q6_K_D) * (float)(int8_t)b[PARE_Q6_K_SCALES + g];
    *zero = 0;
}

static const struct reader {
    void (*codes)(const uint8_t *block, int16_t *out);
    void (*scale)(const uint8_t *block, uint32_t group, float *scale, float *zero);
} readers[] = {
    [PARE_GGML_Q8_0] = {codes_q8_0, scale_plain}, [PARE_GGML_Q4_0] = {codes_q4_0, scale_plain},
    [PARE_GGML_Q4_1] = {codes_q4_1, scale_min},   [PARE_GGML_Q5_0] = {codes_q5_0, scale_plain},
    [PARE_GGML_Q5_1] = {codes_q5_1, scale_min},   [PARE_GGML_Q2_K] = {codes_q2_k, scale_q2_k},
    [PARE_GGML_Q3_K] = {codes_q3_k, scale_q3_k},  [PARE_GGML_Q4_K] = {codes_q4_k, scale_q4_k},
    [PARE_GGML_Q5_K] = {codes_q5_k, scale_q4_k},  [PARE_GGML_Q6_K] = {codes_q6_k, scale_q6_k},
};

/* ---- runs of blocks
 * ------------------------------------------------------------------------------ */

void pare_ggml_codes(uint32_t type, const void *blocks, size_t n, int16_t *out)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(type);
    const struct reader *reader = &readers[type];
    const uint8_t *b = blocks;
    for (size_t at = 0; at < n; at += kind->elements, b += kind->bytes)
        reader->codes(b, out + at);
}

void pare_ggml_scale(uint32_t type, const void *block, uint32_t group, float *scale, float *zero)
{
    readers[type].scale(block, group, scale, zero);
}

static void decode_halves(uint32_t type, const uint8_t *b, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t half = (uint16_t)(b[2 * i] | b[2 * i + 1] << 8);
        out[i] = type == PARE_GGML_F16 ? pare_f16_to_f32(half) : pare_bf16_to_f32(half);
    }
}

void pare_ggml_decode(uint32_t type, const void *blocks, size_t n, float *out)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(type);
    const uint8_t *b = blocks;
    int16_t codes[PARE_GGML_BLOCK_MAX];
    if (type == PARE_GGML_F32) {
        memcpy(out, blocks, n * sizeof *out);
        return;
    }
    if (!kind->bits) {
        decode_halves(type, b, n, out);
        return;
    }
    const struct reader *reader = &readers[type];
    for (size_t at = 0; at < n; at += kind->elements, b += kind->bytes) {
        reader->codes(b, codes);
        for (uint32_t g = 0; g < kind->elements / kind->group; g++) {
            float scale, zero;
            reader->scale(b, g, &scale, &zero);
            const int16_t *code = codes + g * kind->group;
            float *to = out + at + g * kind->group;
            /* the product is rounded before the sum, as in ggml; and 0 * -1 stays -0 without one */
            for (uint32_t i = 0; i < kind->group; i++) {
                float product = scale * (float)code[i];
                to[i] = kind->zero_kind == PARE_ZERO_MIN ? product + zero : product;
            }
        }
    }
}
