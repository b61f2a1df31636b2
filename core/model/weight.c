/* SPDX-License-Identifier: Apache-2.0 */
/* Reading encodings: the portable reference that every kernel is tested against. */
#include "model/weight.h"
#include "base/mem.h"
#include "model/encoding.h"
#include "model/ggml.h"
#include "model/half.h"
#include "model/weight_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t pare_weight_row_stored(const struct pare_weight *w)
{
    return w->structure == PARE_NM ? (w->cols + w->m - 1) / w->m * w->n : w->cols;
}

unsigned pare_weight_place_bits(const struct pare_weight *w)
{
    return w->m <= 4 ? 2 : 4;
}

size_t pare_weight_index_row(const struct pare_weight *w)
{
    if (w->structure == PARE_NM)
        return ((size_t)pare_weight_row_stored(w) * pare_weight_place_bits(w) + 7) / 8;
    return w->structure == PARE_BITMAP ? ((size_t)w->cols + 7) / 8 : 0;
}

int pare_code_load(const uint8_t *packed, size_t i, unsigned bits)
{
    const uint8_t *pack = packed + i / 32 * 4 * bits;
    unsigned j = (unsigned)(i % 32);
    if (bits == 8)
        return pack[j];
    if (bits == 4)
        return j < 16 ? pack[j] & 15 : pack[j - 16] >> 4;
    unsigned at = j * bits, byte = at / 8, shift = at % 8;
    unsigned two = pack[byte] | (shift + bits > 8 ? (unsigned)pack[byte + 1] << 8 : 0);
    return (int)(two >> shift & ((1u << bits) - 1));
}

void pare_code_store(uint8_t *packed, size_t i, unsigned bits, int code)
{
    uint8_t *pack = packed + i / 32 * 4 * bits;
    unsigned j = (unsigned)(i % 32), value = (unsigned)code & ((1u << bits) - 1);
    if (bits == 8) {
        pack[j] = (uint8_t)value;
        return;
    }
    if (bits == 4) {
        uint8_t *p = pack + (j & 15);
        *p = (uint8_t)(j < 16 ? (*p & 0xf0u) | value : (*p & 0x0fu) | value << 4);
        return;
    }
    unsigned at = j * bits, byte = at / 8, shift = at % 8, mask = ((1u << bits) - 1) << shift;
    unsigned two = pack[byte] | (shift + bits > 8 ? (unsigned)pack[byte + 1] << 8 : 0);
    two = (two & ~mask) | value << shift;
    pack[byte] = (uint8_t)two;
    if (shift + bits > 8)
        pack[byte + 1] = (uint8_t)(two >> 8);
}

int pare_code_offset(const struct pare_weight *w)
{
    bool plain = w->zero_kind != PARE_ZERO_NONE || w->bits == 8;
    return plain ? 0 : 1 << (w->bits - 1);
}

/* A stored code as it enters the formula: signed when there is no zero. */
static int load_code(const struct pare_weight *w, const uint8_t *row, size_t i)
{
    int code = pare_code_load(row, i, w->bits);
    if (w->zero_kind != PARE_ZERO_NONE)
        return code;
    return w->bits == 8 ? (int8_t)code : code - pare_code_offset(w);
}

/* Scale and zero of a group in ggml's blocks. */
static void block_scale(const struct pare_weight *w, uint32_t row, uint32_t group, float *scale,
                        float *zero)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(w->ggml);
    uint32_t per_block = kind->elements / kind->group;
    const char *block = pare_weight_row(w, row);
    pare_ggml_scale(w->ggml, block + (size_t)(group / per_block) * kind->bytes, group % per_block,
                    scale, zero);
}

float pare_weight_scale(const struct pare_weight *w, uint32_t row, uint32_t group)
{
    if (w->ggml) {
        float scale, zero;
        block_scale(w, row, group, &scale, &zero);
        return scale;
    }
    const uint16_t *scales = w->scales->data;
    return pare_f16_to_f32(scales[(size_t)row * w->groups + group]);
}

float pare_weight_zero(const struct pare_weight *w, uint32_t row, uint32_t group)
{
    size_t at = (size_t)row * w->groups + group;
    if (w->ggml) {
        float scale, zero;
        block_scale(w, row, group, &scale, &zero);
        return zero;
    }
    if (w->zero_kind == PARE_ZERO_INT)
        return (float)((const uint8_t *)w->zeros->data)[at];
    if (w->zero_kind == PARE_ZERO_MIN)
        return pare_f16_to_f32(((const uint16_t *)w->zeros->data)[at]);
    return 0;
}

/* Walk a row's stored positions in order: column `col`, stored number `i`. */
struct walk {
    const struct pare_weight *w;
    const uint8_t *index;
    uint32_t i, col, total;
};

static struct walk walk_row(const struct pare_weight *w, uint32_t row)
{
    struct walk it = {
        .w = w, .total = pare_weight_row_stored(w), .i = UINT32_MAX, .col = UINT32_MAX};
    if (w->index)
        it.index = (const uint8_t *)w->index->data + (size_t)row * pare_weight_index_row(w);
    return it;
}

static bool walk_next(struct walk *it)
{
    const struct pare_weight *w = it->w;
    if (w->structure == PARE_BITMAP) {
        do {
            if (++it->col >= w->cols)
                return false;
        } while (!(it->index[it->col / 8] >> it->col % 8 & 1));
        it->i++;
        return true;
    }
    if (++it->i >= it->total)
        return false;
    if (w->structure == PARE_DENSE) {
        it->col = it->i;
        return true;
    }
    unsigned bits = pare_weight_place_bits(w), at = it->i * bits;
    unsigned place = it->index[at / 8] >> at % 8 & ((1u << bits) - 1);
    it->col = it->i / w->n * w->m + place;
    return true;
}

bool pare_weight_is_ggml(const struct pare_weight *w)
{
    return w->structure == PARE_DENSE &&
           (w->ggml || (w->values != PARE_VALUES_INT && w->values != PARE_VALUES_PLUGIN));
}

unsigned pare_weight_value_bytes(const struct pare_weight *w)
{
    static const uint8_t bytes[] = {
        [PARE_VALUES_F32] = 4, [PARE_VALUES_F16] = 2, [PARE_VALUES_BF16] = 2};
    return bytes[w->values];
}

uint32_t pare_weight_ggml_type(const struct pare_weight *w)
{
    static const uint8_t types[] = {[PARE_VALUES_F32] = PARE_GGML_F32,
                                    [PARE_VALUES_F16] = PARE_GGML_F16,
                                    [PARE_VALUES_BF16] = PARE_GGML_BF16};
    return w->ggml ? w->ggml : types[w->values];
}

size_t pare_weight_row_bytes(const struct pare_weight *w)
{
    size_t n = pare_weight_row_stored(w);
    if (w->ggml) {
        const struct pare_ggml_kind *kind = pare_ggml_find(w->ggml);
        return n / kind->elements * kind->bytes;
    }
    return w->values == PARE_VALUES_INT ? pare_packed_bytes(n, w->bits)
                                        : n * pare_weight_value_bytes(w);
}

const void *pare_weight_row(const struct pare_weight *w, uint32_t row)
{
    const char *base = w->stored->data;
    if (w->structure == PARE_BITMAP)
        return base + w->row_start[row] * (w->values == PARE_VALUES_F32 ? sizeof(float) : 1);
    return base + row * pare_weight_row_bytes(w);
}

void pare_weight_decode(const struct pare_weight *w, uint32_t row, uint32_t n, float *out)
{
    if (w->values == PARE_VALUES_PLUGIN) {
        const struct pare_encoded bytes = pare_encoded_of(w);
        w->encoding->table.decode(&bytes, row, n, out);
        return;
    }
    for (uint32_t r = row; r < row + n; r++, out += w->cols) {
        const void *stored = pare_weight_row(w, r);
        if (pare_weight_is_ggml(w)) {
            pare_ggml_decode(pare_weight_ggml_type(w), stored, w->cols, out);
            continue;
        }
        memset(out, 0, w->cols * sizeof *out);
        for (struct walk it = walk_row(w, r); walk_next(&it);) {
            if (it.col >= w->cols)
                continue;
            if (w->values == PARE_VALUES_F32) {
                out[it.col] = ((const float *)stored)[it.i];
                continue;
            }
            uint32_t g = it.col / w->group;
            float code = (float)load_code(w, stored, it.i), zero = pare_weight_zero(w, r, g);
            float scale = pare_weight_scale(w, r, g);
            out[it.col] =
                w->zero_kind == PARE_ZERO_MIN ? scale * code + zero : scale * (code - zero);
        }
    }
}

void pare_weight_kept(const struct pare_weight *w, uint32_t row, uint32_t n, uint8_t *out)
{
    for (uint32_t r = row; r < row + n; r++, out += w->cols) {
        memset(out, 0, w->cols);
        for (struct walk it = walk_row(w, r); walk_next(&it);) {
            if (it.col < w->cols)
                out[it.col] = 1;
        }
    }
}

void pare_weight_codes(const struct pare_weight *w, uint32_t row, uint32_t n, int16_t *out)
{
    for (uint32_t r = row; r < row + n; r++, out += w->cols) {
        const void *stored = pare_weight_row(w, r);
        if (w->ggml) {
            pare_ggml_codes(w->ggml, stored, w->cols, out);
            continue;
        }
        for (uint32_t c = 0; c < w->cols; c++)
            out[c] =
                w->zero_kind == PARE_ZERO_INT ? (int16_t)pare_weight_zero(w, r, c / w->group) : 0;
        for (struct walk it = walk_row(w, r); walk_next(&it);) {
            if (it.col < w->cols)
                out[it.col] = (int16_t)load_code(w, stored, it.i);
        }
    }
}

struct pare_weight *pare_weight_ref(struct pare_weight *w)
{
    if (w)
        __atomic_fetch_add(&w->refs, 1, __ATOMIC_RELAXED);
    return w;
}

void pare_weight_unref(struct pare_weight *w)
{
    if (!w || __atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    pare_blob_unref(w->stored);
    pare_blob_unref(w->index);
    pare_blob_unref(w->scales);
    pare_blob_unref(w->zeros);
    free(w->row_start);
    free(w);
}

uint64_t pare_weight_bytes(const struct pare_weight *w)
{
    const struct pare_blob *parts[] = {w->stored, w->index, w->scales, w->zeros};
    uint64_t total = 0;
    for (size_t i = 0; i < PARE_COUNT(parts); i++) {
        if (parts[i])
            total += pare_round_up(parts[i]->size, PARE_ALIGN);
    }
    return total;
}

uint64_t pare_weight_stored(const struct pare_weight *w)
{
    if (w->structure != PARE_BITMAP)
        return (uint64_t)w->rows * pare_weight_row_stored(w);
    uint64_t total = 0;
    const uint8_t *index = w->index->data;
    for (size_t i = 0; i < w->index->size; i++)
        total += (unsigned)__builtin_popcount(index[i]);
    return total;
}

void pare_weight_describe(const struct pare_weight *w, char *out)
{
    static const char *const zeros[] = {"", " zero", " min"};
    char structure[16] = "", group[24] = "";
    if (w->values == PARE_VALUES_PLUGIN) {
        const struct pare_encoded bytes = pare_encoded_of(w);
        snprintf(out, 48, "%.47s", w->encoding->id);
        if (w->encoding->table.describe)
            w->encoding->table.describe(&bytes, out, 48);
        out[47] = '\0';
        return;
    }
    if (w->structure == PARE_NM)
        snprintf(structure, sizeof structure, "%u:%u ", w->n, w->m);
    else if (w->structure == PARE_BITMAP)
        snprintf(structure, sizeof structure, "sparse ");
    if (w->ggml || w->values != PARE_VALUES_INT) {
        static const char *const floats[] = {
            [PARE_VALUES_F32] = "f32", [PARE_VALUES_F16] = "f16", [PARE_VALUES_BF16] = "bf16"};
        snprintf(out, 48, "%s%s", structure, w->ggml ? pare_ggml_name(w->ggml) : floats[w->values]);
        return;
    }
    if (w->group < w->cols)
        snprintf(group, sizeof group, " g%u", w->group);
    snprintf(out, 48, "%sint%u%s%s", structure, w->bits, group, zeros[w->zero_kind]);
}
