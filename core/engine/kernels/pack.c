/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/kernels/kernels.h"
#include "model/encoding.h"
#include "model/half.h"

/* Integer sums of 32768 products of 255 and 127 fit 31 bits; longer rows run as floats. */
#define MOST_INT_COLUMNS 32768u
/* Fewer tokens than this leave a transposed block mostly empty. */
#define FEWEST_SPARSE_TOKENS 8u

const char *pare_product_name(unsigned product)
{
    static const char *const names[] = {
#define X(id, field, name, input) [PARE_PRODUCT_##id] = name,
        PARE_PRODUCTS(X)
#undef X
    };
    return product < PARE_COUNT(names) ? names[product] : "unknown";
}

enum pare_input pare_product_input(unsigned product)
{
    static const uint8_t inputs[] = {
#define X(id, field, name, input) [PARE_PRODUCT_##id] = input,
        PARE_PRODUCTS(X)
#undef X
    };
    return product < PARE_COUNT(inputs) ? (enum pare_input)inputs[product] : PARE_INPUT_F32;
}

size_t pare_attention_scratch(const struct pare_kernels *kernels, uint32_t tokens,
                              uint32_t head_width, uint32_t value_width)
{
    if (kernels->lanes == 1)
        return tokens;
    size_t t = pare_round_up(tokens, kernels->lanes),
           d = pare_round_up(value_width, kernels->lanes);
    return t * head_width + d * tokens + PARE_QUERY_BLOCK * t + t;
}

size_t pare_attend_scratch(const struct pare_kernels *kernels, uint32_t tokens, uint32_t key_width,
                           uint32_t value_width)
{
    size_t t = pare_round_up(tokens, kernels->lanes),
           d = pare_round_up(value_width, kernels->lanes);
    return t * key_width + d * t +
           PARE_QUERY_BLOCK * (PARE_KEY_STRETCH + 2 * pare_attend_sums(kernels, value_width));
}

size_t pare_attend_sums(const struct pare_kernels *kernels, uint32_t value_width)
{
    return pare_round_up(value_width, kernels->lanes) + 2 * (size_t)kernels->lanes;
}

struct pare_kept pare_kept_new(const struct pare_kernels *kernels, uint32_t bits, uint32_t heads,
                               uint32_t key_width, uint32_t value_width, uint32_t capacity)
{
    const size_t lanes = kernels->lanes;
    struct pare_kept k = {.bits = (uint8_t)bits,
                          .heads = heads,
                          .key_width = key_width,
                          .value_width = value_width,
                          .capacity = (uint32_t)pare_round_up(capacity, lanes)};
    const size_t blocks = k.capacity / lanes;
    if (bits == 4) {
        k.key_block = (key_width + 1) / 2 * lanes;
        k.value_row = pare_round_up(value_width, 2 * lanes) / 2;
    } else {
        k.key_block = key_width * lanes * (bits / 8);
        k.value_row = pare_round_up(value_width, lanes) * (bits / 8);
    }
    k.key_bytes = pare_round_up(blocks * k.key_block, PARE_ALIGN);
    k.value_bytes = pare_round_up(k.capacity * k.value_row, PARE_ALIGN);
    const size_t scales = bits <= 8 ? heads * k.capacity * 2 * sizeof(float) : 0;
    k.values = heads * k.key_bytes;
    k.key_scales = k.values + heads * k.value_bytes;
    k.value_scales = k.key_scales + scales;
    k.bytes = pare_round_up(k.value_scales + scales, PARE_ALIGN);
    return k;
}

size_t pare_nearest_scratch(const struct pare_kernels *kernels, uint32_t n, uint32_t k)
{
    return pare_round_up(n, kernels->lanes) * ((size_t)k + PARE_QUERY_BLOCK);
}

size_t pare_job_scratch(const struct pare_packed *w, uint32_t rows)
{
    switch (w->product) {
    case PARE_PRODUCT_PLUGIN: {
        const struct pare_encoded bytes = pare_encoded_of(w->weight);
        const struct pare_encoding *own = &w->weight->encoding->table;
        return own->scratch ? (size_t)own->scratch(&bytes, rows) : 0;
    }
    case PARE_PRODUCT_DYNAMIC:
        return w->zeros ? (size_t)rows * w->groups * sizeof(float) : 0;
    default:
        return w->scratch * sizeof(float);
    }
}

static bool groups_fit(const struct pare_weight *w, uint32_t step)
{
    return w->groups <= 1 || w->group % step == 0;
}

/* Whether groups of columns are whole spans of what is summed as integers. */
static bool spans_fit(const struct pare_weight *w)
{
    return w->groups <= 1 || w->group % PARE_SUM_SPAN == 0;
}

/* The product of dense halves. `as_is`: inputs are not rounded. The portable kernels multiply f32,
 * which asks less of them than bf16; their product of bf16 is a reference. */
static uint8_t choose_half(const struct pare_kernels *kernels, const struct pare_weight *w,
                           bool as_is)
{
    const uint8_t widened = w->values == PARE_VALUES_BF16 ? PARE_PRODUCT_BF16 : PARE_PRODUCT_F16;
    if (w->values == PARE_VALUES_BF16 && !as_is && kernels->lanes > 1 &&
        kernels->product[PARE_PRODUCT_BF16_DOT])
        return PARE_PRODUCT_BF16_DOT;
    return kernels->product[widened] ? widened : PARE_PRODUCT_DENSE;
}

struct pare_choice pare_choose(const struct pare_kernels *kernels, const struct pare_weight *w,
                               uint32_t activation_bits, uint32_t activation_group, uint32_t tokens)
{
    const bool integer = w->values == PARE_VALUES_INT, dense = w->structure == PARE_DENSE;
    struct pare_choice c = {.product = PARE_PRODUCT_DENSE};
    if (activation_bits == 8) {
        /* A position that is not stored is exactly 0, which scale * code + zero cannot say. */
        bool codes =
            integer && w->cols <= MOST_INT_COLUMNS && (dense || w->zero_kind != PARE_ZERO_MIN);
        if (activation_group && codes && spans_fit(w)) {
            bool four = w->bits <= 4 && kernels->product[PARE_PRODUCT_BLOCKS4];
            c.product = four ? PARE_PRODUCT_BLOCKS4 : PARE_PRODUCT_BLOCKS8;
            c.decoded = w->bits != (four ? 4 : 8) || !dense;
            return c;
        }
        bool half = w->structure == PARE_NM && 2 * w->n == w->m && (w->m == 4 || w->m == 8);
        codes = codes && !activation_group;
        if (codes && half && w->zero_kind == PARE_ZERO_NONE && groups_fit(w, 8) &&
            kernels->product[PARE_PRODUCT_DYNAMIC_SPARSE]) {
            c.product = PARE_PRODUCT_DYNAMIC_SPARSE;
            c.decoded = w->bits != 8;
            return c;
        }
        if (codes && groups_fit(w, 4)) {
            c.product = PARE_PRODUCT_DYNAMIC;
            c.decoded = w->bits != 8 || !dense;
            return c;
        }
        c.dequantize = true;
        c.decoded = true;
    }
    if (!dense) {
        /* Stored positions cost more than those of a dense product, so half of them has to be gone.
         */
        uint64_t all = (uint64_t)w->rows * w->cols;
        bool thin = pare_weight_stored(w) * 2 <= all;
        bool nm = thin && w->structure == PARE_NM && kernels->product[PARE_PRODUCT_NM] &&
                  kernels->lanes % w->m == 0;
        /* Vectors over tokens are the fastest where there are tokens to fill them; permutations ask
         * for none, and read the fewest bytes where a token comes alone. */
        const bool fill = tokens == PARE_TOKENS_ANY ? !nm : tokens >= FEWEST_SPARSE_TOKENS;
        if (thin && fill && kernels->product[PARE_PRODUCT_SPARSE] && all < UINT32_MAX)
            c.product = PARE_PRODUCT_SPARSE;
        else if (nm)
            c.product = PARE_PRODUCT_NM;
        c.decoded = c.decoded || integer || c.product == PARE_PRODUCT_DENSE;
        return c;
    }
    if (integer && kernels->product[PARE_PRODUCT_CODES8]) {
        c.product = w->bits <= 4 && groups_fit(w, 2) ? PARE_PRODUCT_CODES4 : PARE_PRODUCT_CODES8;
        c.decoded = c.decoded || w->bits != (c.product == PARE_PRODUCT_CODES4 ? 4 : 8);
        return c;
    }
    if (w->values == PARE_VALUES_BF16 || w->values == PARE_VALUES_F16) {
        c.product = choose_half(kernels, w, c.dequantize);
        c.decoded = c.decoded || c.product == PARE_PRODUCT_DENSE;
        return c;
    }
    if (w->encoding && w->encoding->table.multiply)
        c.product = PARE_PRODUCT_PLUGIN;
    c.decoded = c.decoded || integer || (w->encoding && c.product == PARE_PRODUCT_DENSE);
    return c;
}

void pare_plugin_sums(const struct pare_job *job)
{
    const struct pare_packed *w = job->w;
    const struct pare_encoded bytes = pare_encoded_of(w->weight);
    const uint32_t row = job->p0 * w->panel;
    const struct pare_multiply part = {
        .struct_size = sizeof part,
        .row = row,
        .n = PARE_MIN(job->p1 * w->panel, w->n) - row,
        .tokens = job->m1 - job->m0,
        .x = job->x + (size_t)job->m0 * w->k,
        .y = job->y + (size_t)job->m0 * w->n + row,
        .ldx = w->k,
        .ldy = w->n,
        .scratch = job->scratch,
    };
    w->weight->encoding->table.multiply(&bytes, &part);
}

void pare_packed_free(struct pare_packed *p)
{
    if (!p)
        return;
    free(p->data);
    free(p->control);
    free(p->offsets);
    free(p->starts);
    free(p->scales);
    free(p->zeros);
    free(p->sums);
    pare_weight_unref(p->weight);
    free(p);
}

/* A buffer of the packed weight, zeroed and counted. */
static void *room(struct pare_packed *p, size_t n, size_t size, int *rc, struct pare_error *err)
{
    void *data = *rc == PARE_OK ? pare_alloc_aligned(n, size) : NULL;
    if (data) {
        memset(data, 0, n * size);
        p->bytes += n * size;
    } else if (*rc == PARE_OK) {
        *rc = pare_error_nomem(err, (unsigned long long)n * size);
    }
    return data;
}

static uint32_t panel_width(const struct pare_packed *p, const struct pare_kernels *kernels,
                            uint32_t panel)
{
    uint32_t left = p->n - panel * p->panel;
    return left >= p->panel ? p->panel : (uint32_t)pare_round_up(left, kernels->lanes);
}

static int pack_dense(const struct pare_kernels *kernels, const struct pare_weight *w,
                      struct pare_packed *p, struct pare_error *err)
{
    int rc = PARE_OK;
    float *row = NULL;
    p->panel_bytes = (size_t)p->k * p->panel * sizeof(float);
    float *data = p->data = room(p, (size_t)p->panels * p->panel, p->k * sizeof(float), &rc, err);
    if (rc != PARE_OK)
        return rc;
    if (kernels->panel == 1) {
        pare_weight_decode(w, 0, w->rows, data);
        return rc;
    }
    row = pare_alloc(p->k, sizeof *row);
    if (!row)
        return pare_error_nomem(err, p->k * sizeof *row);
    for (uint32_t n = 0; n < p->n; n++) {
        uint32_t panel = n / p->panel, width = panel_width(p, kernels, panel);
        float *to = data + (size_t)panel * p->panel * p->k + n % p->panel;
        pare_weight_decode(w, n, 1, row);
        for (size_t k = 0; k < p->k; k++)
            to[k * width] = row[k];
    }
    free(row);
    return rc;
}

/* Halves as they are; for products of bf16 in pairs of columns, the last one filled up by 0. */
static int pack_halves(const struct pare_kernels *kernels, const struct pare_weight *w,
                       struct pare_packed *p, struct pare_error *err)
{
    int rc = PARE_OK;
    const bool pairs = p->product == PARE_PRODUCT_BF16_DOT;
    const uint32_t per = pairs ? 2 : 1;
    p->k_padded = pairs ? pare_bf16_stride(p->k) : p->k;
    p->scratch = pairs ? 0 : (kernels->k_chunk + 2) * p->panel; /* a decoded chunk */
    p->panel_bytes = (size_t)p->k_padded * p->panel * sizeof(uint16_t);
    uint8_t *data = p->data = room(p, p->panels, p->panel_bytes, &rc, err);
    float *row = pare_alloc(p->k, sizeof *row);
    if (rc == PARE_OK && !row)
        rc = pare_error_nomem(err, p->k * sizeof *row);
    for (uint32_t n = 0; rc == PARE_OK && n < p->n; n++) {
        const uint32_t panel = n / p->panel, width = panel_width(p, kernels, panel);
        uint16_t *to = (uint16_t *)(void *)(data + panel * p->panel_bytes);
        pare_weight_decode(w, n, 1, row);
        for (uint32_t k = 0; k < p->k; k++)
            to[((size_t)k / per * width + n % p->panel) * per + k % per] =
                p->product == PARE_PRODUCT_F16 ? pare_f32_to_f16(row[k]) : pare_f32_to_bf16(row[k]);
    }
    free(row);
    return rc;
}

/* For each vector of inputs as many slots as the pattern stores there, ascending; short ones filled
 * up. */
static int pack_nm(const struct pare_kernels *kernels, const struct pare_weight *w,
                   struct pare_packed *p, struct pare_error *err)
{
    int rc = PARE_OK;
    const uint32_t lanes = kernels->lanes, blocks = (p->k + lanes - 1) / lanes;
    p->slots = w->n * (lanes / w->m);
    p->panel_bytes = (size_t)blocks * p->slots * p->panel * sizeof(float);
    size_t panel_size = p->panel_bytes / sizeof(float);
    float *data = p->data = room(p, p->panels, p->panel_bytes, &rc, err);
    p->control = room(p, p->panels, panel_size, &rc, err);
    float *row = pare_alloc(p->k, sizeof *row);
    uint8_t *kept = pare_alloc(p->k, 1);
    if (rc == PARE_OK && (!row || !kept))
        rc = pare_error_nomem(err, p->k * 5ull);
    for (uint32_t n = 0; rc == PARE_OK && n < p->n; n++) {
        const uint32_t panel = n / p->panel, width = panel_width(p, kernels, panel);
        pare_weight_kept(w, n, 1, kept);
        pare_weight_decode(w, n, 1, row);
        for (uint32_t b = 0; b < blocks; b++) {
            size_t at = panel * panel_size + (size_t)b * p->slots * width + n % p->panel;
            for (uint32_t k = b * lanes; k < PARE_MIN((b + 1) * lanes, p->k); k++) {
                if (!kept[k])
                    continue;
                data[at] = row[k];
                p->control[at] = (uint8_t)(k - b * lanes);
                at += width;
            }
        }
    }
    free(row);
    free(kept);
    return rc;
}

/* Entries lie in the order in which panels of outputs and chunks of columns are worked off. */
static int pack_sparse(const struct pare_kernels *kernels, const struct pare_weight *w,
                       struct pare_packed *p, struct pare_error *err)
{
    int rc = PARE_OK;
    const uint32_t chunk = kernels->sparse_chunk;
    const size_t chunks = (p->k + chunk - 1) / chunk, stored = pare_weight_stored(w);
    p->panel = kernels->lanes;
    p->panels = (p->n + p->panel - 1) / p->panel;
    p->starts = room(p, p->panels * chunks * p->panel + 1, sizeof *p->starts, &rc, err);
    p->offsets = room(p, stored, sizeof *p->offsets, &rc, err);
    float *values = p->data = room(p, stored, sizeof *values, &rc, err);
    const uint32_t together = kernels->sparse_panels * p->panel;
    p->scratch = together * kernels->token_block;
    float *rows = pare_alloc((size_t)together * p->k, sizeof *rows);
    uint8_t *kept = pare_alloc((size_t)together * p->k, 1);
    if (rc == PARE_OK && (!rows || !kept))
        rc = pare_error_nomem(err, together * p->k * 5ull);
    uint32_t at = 0, *start = p->starts;
    for (uint32_t n0 = 0; rc == PARE_OK && n0 < p->n; n0 += together) {
        const uint32_t here = PARE_MIN(together, p->n - n0);
        pare_weight_kept(w, n0, here, kept);
        pare_weight_decode(w, n0, here, rows);
        for (uint32_t k0 = 0; k0 < p->k; k0 += chunk) {
            for (uint32_t i = 0; i < pare_round_up(here, p->panel); i++) {
                const uint32_t k1 = i < here ? PARE_MIN(k0 + chunk, p->k) : k0;
                for (uint32_t k = k0; k < k1; k++) {
                    if (!kept[(size_t)i * p->k + k])
                        continue;
                    values[at] = rows[(size_t)i * p->k + k];
                    p->offsets[at++] = (uint16_t)((k - k0) * kernels->token_block * sizeof(float));
                }
                *++start = at;
            }
        }
    }
    free(rows);
    free(kept);
    return rc;
}

/* Whether every scale and zero of the weight is an f16. */
static bool all_half(const struct pare_weight *w)
{
    for (uint32_t n = 0; n < w->rows; n++) {
        for (uint32_t g = 0; g < w->groups; g++) {
            const float scale = pare_weight_scale(w, n, g), zero = pare_weight_zero(w, n, g);
            if (pare_f16_to_f32(pare_f32_to_f16(scale)) != scale ||
                pare_f16_to_f32(pare_f32_to_f16(zero)) != zero)
                return false;
        }
    }
    return true;
}

static void put_scale(const struct pare_packed *p, float *to, size_t at, float x)
{
    if (p->half)
        ((uint16_t *)(void *)to)[at] = pare_f32_to_f16(x);
    else
        to[at] = x;
}

/* Scales of row n and, for weights with zeros, what belongs to them. `shift` was subtracted from
 * codes. */
static void pack_scales(const struct pare_weight *w, struct pare_packed *p, uint32_t n, float shift)
{
    for (uint32_t g = 0; g < p->groups; g++) {
        size_t at = ((size_t)(n / p->panel) * p->groups + g) * p->panel + n % p->panel;
        float scale = pare_weight_scale(w, n, g), zero = pare_weight_zero(w, n, g);
        put_scale(p, p->scales, at, scale);
        if (!p->zeros)
            continue;
        if (p->product != PARE_PRODUCT_DYNAMIC)
            put_scale(p, p->zeros, at, zero);
        else /* the sum of the inputs is multiplied by this */
            p->zeros[at] =
                w->zero_kind == PARE_ZERO_INT ? -scale * (zero - shift) : zero + scale * shift;
    }
}

static int pack_codes(const struct pare_kernels *kernels, const struct pare_weight *w,
                      struct pare_packed *p, struct pare_error *err)
{
    int rc = PARE_OK;
    const bool four = p->product == PARE_PRODUCT_CODES4;
    p->zero_kind = w->zero_kind;
    /* One decoded chunk; packed pairs may reach one column beyond. */
    p->scratch = (kernels->k_chunk + 2) * p->panel;
    p->code_bias = four && w->zero_kind == PARE_ZERO_NONE ? 8 : 0;
    p->panel_bytes = (size_t)(four ? (p->k + 1) / 2 : p->k) * p->panel;
    p->half = all_half(w);
    size_t scales = (size_t)p->panels * p->panel * p->groups;
    const size_t scale_size = p->half ? sizeof(uint16_t) : sizeof(float);
    uint8_t *data = p->data = room(p, p->panels, p->panel_bytes, &rc, err);
    p->scales = room(p, scales, scale_size, &rc, err);
    if (w->zero_kind != PARE_ZERO_NONE)
        p->zeros = room(p, scales, scale_size, &rc, err);
    int16_t *row = pare_alloc(p->k, sizeof *row);
    if (rc == PARE_OK && !row)
        rc = pare_error_nomem(err, p->k * sizeof *row);
    for (uint32_t n = 0; rc == PARE_OK && n < p->n; n++) {
        uint32_t panel = n / p->panel, width = panel_width(p, kernels, panel);
        uint8_t *to = data + panel * p->panel_bytes + n % p->panel;
        pare_weight_codes(w, n, 1, row);
        for (size_t k = 0; k < p->k; k++) {
            if (four)
                to[k / 2 * width] |= (uint8_t)((row[k] + p->code_bias) << (k % 2 * 4));
            else
                to[k * width] = (uint8_t)row[k];
        }
        pack_scales(w, p, n, 0);
    }
    free(row);
    return rc;
}

/* Codes of one row for integer products, `shift` taken off; 0 beyond the last column. */
static void dynamic_row(const struct pare_weight *w, uint32_t n, int shift, int16_t *row,
                        uint32_t padded)
{
    pare_weight_codes(w, n, 1, row);
    for (uint32_t k = 0; k < w->cols; k++)
        row[k] = (int16_t)(row[k] - shift);
    for (uint32_t k = w->cols; k < padded; k++)
        row[k] = 0;
}

/* The n stored columns of the m from k on: their places and codes. Fewer stored: any others, with
 * code 0. */
static void pick(const uint8_t *kept, const int16_t *row, uint32_t k, uint32_t n, uint32_t m,
                 uint8_t *places, int8_t *codes)
{
    uint32_t found = 0;
    memset(places, 0, n);
    memset(codes, 0, n);
    for (uint32_t i = 0; i < m && found < n; i++) {
        if (kept[k + i]) {
            places[found] = (uint8_t)i;
            codes[found++] = (int8_t)row[k + i];
        }
    }
}

/* A row of a 4:8 or 2:4 weight, as output j of a panel `width` wide. */
static void pack_places(struct pare_packed *p, const uint8_t *kept, const int16_t *row,
                        uint32_t panel, uint32_t width, uint32_t j)
{
    const uint32_t half = p->place_bits == 2 ? 2 : 1; /* patterns per 8 columns */
    int8_t *data = (int8_t *)p->data + panel * p->panel_bytes;
    uint8_t *control = p->control + panel * (p->panel_bytes / 8 * p->place_bits);
    for (uint32_t k = 0; k < p->k_padded; k += 8) {
        const size_t at = (size_t)k / 8 * width + j;
        uint8_t places[4];
        for (uint32_t h = 0; h < half; h++)
            pick(kept, row, k + h * 4, 4 / half, 8 / half, places + h * 2, data + at * 4 + h * 2);
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t bit = i * p->place_bits;
            control[at * p->place_bits / 2 + bit / 8] |= (uint8_t)(places[i] << bit % 8);
        }
    }
}

static int pack_dynamic(const struct pare_kernels *kernels, const struct pare_weight *w,
                        struct pare_packed *p, struct pare_error *err)
{
    int rc = PARE_OK;
    const bool sparse = p->product == PARE_PRODUCT_DYNAMIC_SPARSE, plain = kernels->panel == 1;
    const int shift = w->bits == 8 && w->zero_kind != PARE_ZERO_NONE ? 128 : 0;
    const uint32_t step = kernels->k_step;
    p->k_padded = (uint32_t)pare_round_up(p->k, 8);
    if (p->groups == 1)
        p->group = p->k_padded;
    p->panel_bytes = (size_t)p->k_padded / (sparse ? 2 : 1) * p->panel;
    size_t scales = (size_t)p->panels * p->panel * p->groups;
    if (plain)
        p->data = room(p, (size_t)p->n * p->k, sizeof(int16_t), &rc, err);
    else
        p->data = room(p, p->panels, p->panel_bytes, &rc, err);
    if (sparse) {
        p->place_bits = w->m == 4 ? 2 : 4;
        p->control = room(p, p->panels, p->panel_bytes / 8 * p->place_bits, &rc, err);
        p->scratch = (uint32_t)(p->panel_bytes / sizeof(float));
    }
    p->scales = room(p, scales, sizeof(float), &rc, err);
    p->sums = room(p, scales, sizeof(int32_t), &rc, err);
    if (w->zero_kind != PARE_ZERO_NONE)
        p->zeros = room(p, scales, sizeof(float), &rc, err);
    int16_t *row = pare_alloc(p->k_padded, sizeof *row);
    uint8_t *kept = pare_calloc(p->k_padded, 1);
    if (rc == PARE_OK && (!row || !kept))
        rc = pare_error_nomem(err, p->k_padded * 3ull);
    for (uint32_t n = 0; rc == PARE_OK && n < p->n; n++) {
        uint32_t panel = n / p->panel, width = panel_width(p, kernels, panel), j = n % p->panel;
        size_t at = (size_t)panel * p->groups * p->panel + j;
        dynamic_row(w, n, shift, row, p->k_padded);
        pack_scales(w, p, n, (float)shift);
        for (uint32_t k = 0; k < p->k; k++)
            p->sums[at + (size_t)PARE_MIN(k / p->group, p->groups - 1) * p->panel] += 128 * row[k];
        if (plain) {
            memcpy((int16_t *)p->data + (size_t)n * p->k, row, p->k * sizeof *row);
        } else if (sparse) {
            pare_weight_kept(w, n, 1, kept);
            pack_places(p, kept, row, panel, width, j);
        } else {
            int8_t *to = (int8_t *)p->data + panel * p->panel_bytes;
            for (uint32_t k = 0; k < p->k_padded; k++)
                to[((size_t)k / step * width + j) * step + k % step] = (int8_t)row[k];
        }
    }
    free(row);
    free(kept);
    return rc;
}

/* ---- blocks ---- */

static int pack_blocks(const struct pare_kernels *kernels, const struct pare_weight *w,
                       struct pare_packed *p, struct pare_error *err)
{
    int rc = PARE_OK;
    const bool four = p->product == PARE_PRODUCT_BLOCKS4, plain = kernels->panel == 1;
    const bool is_unsigned = four || (!plain && kernels->k_step == 4);
    const bool centred = w->zero_kind == PARE_ZERO_NONE;
    const uint32_t per = four ? 8 : 4; /* columns that four bytes hold */
    if (four)
        p->offset = centred ? -8 : 0;
    else if (is_unsigned)
        p->offset = centred ? -128 : 0;
    else
        p->offset = !centred && w->bits == 8 ? 128 : 0;
    p->k_padded = (uint32_t)pare_round_up(p->k, PARE_ACTIVATION_GROUP);
    p->span =
        p->groups > 1 && p->group % PARE_ACTIVATION_GROUP ? PARE_SUM_SPAN : PARE_ACTIVATION_GROUP;
    if (p->groups == 1)
        p->group = p->k_padded;
    p->half = w->zero_kind != PARE_ZERO_INT && all_half(w);
    p->panel_bytes = (size_t)p->k_padded / (four ? 2 : 1) * p->panel;
    const size_t scales = (size_t)p->panels * p->panel * p->groups;
    const size_t scale_size = p->half ? sizeof(uint16_t) : sizeof(float);
    uint8_t *data = p->data = room(p, p->panels, p->panel_bytes, &rc, err);
    p->scales = room(p, scales + kernels->lanes, scale_size, &rc, err);
    if (!centred)
        p->zeros = room(p, scales + kernels->lanes, scale_size, &rc, err);
    int16_t *row = pare_calloc(p->k_padded, sizeof *row);
    if (rc == PARE_OK && !row)
        rc = pare_error_nomem(err, p->k_padded * sizeof *row);
    for (uint32_t n = 0; rc == PARE_OK && n < p->n; n++) {
        const uint32_t panel = n / p->panel, width = panel_width(p, kernels, panel),
                       j = n % p->panel;
        uint8_t *to = data + panel * p->panel_bytes;
        pare_weight_codes(w, n, 1, row);
        for (uint32_t k = 0; k < p->k; k++) {
            const int stored = row[k] - p->offset;
            if (plain)
                to[k] = (uint8_t)stored;
            else if (four)
                to[((size_t)k / per * width + j) * 4 + k % 4] |= (uint8_t)(stored << k / 4 % 2 * 4);
            else
                to[((size_t)k / per * width + j) * 4 + k % 4] = (uint8_t)stored;
        }
        for (uint32_t g = 0; g < p->groups; g++) {
            const size_t at = ((size_t)panel * p->groups + g) * p->panel + j;
            const float scale = pare_weight_scale(w, n, g), zero = pare_weight_zero(w, n, g);
            put_scale(p, p->scales, at, scale);
            if (p->zeros)
                put_scale(p, p->zeros, at, w->zero_kind == PARE_ZERO_INT ? -scale * zero : zero);
        }
    }
    free(row);
    return rc;
}

int pare_pack(const struct pare_kernels *kernels, unsigned product, const struct pare_weight *w,
              struct pare_packed **out, struct pare_error *err)
{
    int rc = PARE_OK;
    struct pare_packed *p = pare_calloc(1, sizeof *p);
    if (!p)
        return pare_error_nomem(err, sizeof *p);
    *p = (struct pare_packed){
        .product = (uint8_t)product,
        .isa = kernels->isa,
        .n = w->rows,
        .k = w->cols,
        .k_padded = w->cols,
        .group = w->values == PARE_VALUES_INT ? w->group : w->cols,
        .groups = w->values == PARE_VALUES_INT ? w->groups : 1,
        .panel = kernels->panel,
        .panels = (w->rows + kernels->panel - 1) / kernels->panel,
    };
    switch (product) {
    case PARE_PRODUCT_PLUGIN:
        p->weight = pare_weight_ref((struct pare_weight *)(uintptr_t)w);
        p->bytes = w->stored->size;
        break;
    case PARE_PRODUCT_DENSE:
        PARE_TRY(pack_dense(kernels, w, p, err));
        break;
    case PARE_PRODUCT_NM:
        PARE_TRY(pack_nm(kernels, w, p, err));
        break;
    case PARE_PRODUCT_SPARSE:
        PARE_TRY(pack_sparse(kernels, w, p, err));
        break;
    case PARE_PRODUCT_F16:
    case PARE_PRODUCT_BF16:
    case PARE_PRODUCT_BF16_DOT:
        PARE_TRY(pack_halves(kernels, w, p, err));
        break;
    case PARE_PRODUCT_CODES4:
    case PARE_PRODUCT_CODES8:
        PARE_TRY(pack_codes(kernels, w, p, err));
        break;
    case PARE_PRODUCT_BLOCKS8:
    case PARE_PRODUCT_BLOCKS4:
        PARE_TRY(pack_blocks(kernels, w, p, err));
        break;
    default:
        PARE_TRY(pack_dynamic(kernels, w, p, err));
        break;
    }
    *out = p;
    p = NULL;
out:
    pare_packed_free(p);
    return rc;
}
