/* SPDX-License-Identifier: Apache-2.0 */
/* Encodings from the parts of a file, and the check of all that a weight holds. */
#include "base/mem.h"
#include "model/encoding.h"
#include "model/ggml.h"
#include "model/weight_parts.h"

#include <math.h>
#include <stdlib.h>

static int check_places(const struct pare_weight *w, struct pare_error *err)
{
    size_t bytes = pare_weight_index_row(w);
    const uint8_t *index = w->index->data;
    unsigned bits = pare_weight_place_bits(w);
    uint32_t total = pare_weight_row_stored(w);
    for (uint32_t r = 0; r < w->rows; r++, index += bytes) {
        if (w->structure == PARE_BITMAP) {
            if (w->cols % 8 && index[bytes - 1] >> w->cols % 8)
                return pare_error_set(err, PARE_INVALID, "row %u keeps columns beyond the last", r);
            continue;
        }
        int last = -1;
        for (uint32_t i = 0; i < total; i++) {
            unsigned at = i * bits;
            int place = index[at / 8] >> at % 8 & ((1u << bits) - 1);
            if (i % w->n == 0)
                last = -1;
            if (place <= last || place >= w->m)
                return pare_error_set(err, PARE_INVALID, "row %u: places in a group do not ascend",
                                      r);
            last = place;
        }
    }
    return PARE_OK;
}

static int check_halves(const struct pare_blob *blob, const char *what, struct pare_error *err)
{
    const uint16_t *h = blob->data;
    for (size_t i = 0; i < blob->size / 2; i++) {
        if ((h[i] & 0x7c00u) == 0x7c00u)
            return pare_error_set(err, PARE_INVALID, "%s number %zu is not finite", what, i);
    }
    return PARE_OK;
}

static int check_size(const struct pare_blob *blob, size_t want, const char *what,
                      struct pare_error *err)
{
    size_t have = blob ? blob->size : 0;
    if (have != want)
        return pare_error_set(err, PARE_INVALID, "%s take %zu bytes, %zu are there", what, want,
                              have);
    return PARE_OK;
}

static bool is_half(unsigned values)
{
    return values == PARE_VALUES_F16 || values == PARE_VALUES_BF16;
}

/* What is a tensor of ggml's as it stands: blocks and halves. */
static int assemble_ggml(const struct pare_weight *shape, struct pare_weight **out,
                         struct pare_error *err)
{
    struct pare_weight *w = NULL;
    int rc;
    if (shape->structure != PARE_DENSE || shape->index || shape->scales || shape->zeros) {
        rc = pare_error_set(err, PARE_INVALID, "halves and blocks are dense, without scales apart");
        goto out;
    }
    PARE_TRY(pare_weight_from_ggml(pare_weight_ggml_type(shape), shape->rows, shape->cols,
                                   shape->stored, &w, err));
    PARE_TRY(pare_weight_check(w, err));
    *out = w;
    w = NULL;
out:
    pare_weight_unref(w);
    return rc;
}

int pare_weight_assemble(const struct pare_weight *shape, struct pare_weight **out,
                         struct pare_error *err)
{
    struct pare_weight *w = NULL;
    int rc;
    if (shape->encoding && (shape->structure != PARE_DENSE || shape->index))
        return pare_error_set(err, PARE_INVALID, "a plugin's encoding is dense");
    if (shape->encoding)
        return pare_weight_encoded(shape->encoding, shape->rows, shape->cols, shape->stored, out,
                                   err);
    if (shape->ggml || is_half(shape->values))
        return assemble_ggml(shape, out, err);
    PARE_TRY(pare_weight_blank(shape->rows, shape->cols, &w, err));
    bool nm = shape->structure == PARE_NM, ints = shape->values == PARE_VALUES_INT;
    if (shape->structure > PARE_BITMAP || shape->values > PARE_VALUES_INT ||
        (nm && (shape->m < 2 || shape->m > 16 || shape->n < 1 || shape->n > shape->m)) ||
        (ints && (shape->bits < 2 || shape->bits > 8 || shape->zero_kind > PARE_ZERO_MIN ||
                  shape->group < 1 || shape->group > shape->cols))) {
        rc = pare_error_set(err, PARE_INVALID, "the encoding of a weight is not one that exists");
        goto out;
    }
    pare_weight_take_structure(w, shape);
    w->values = shape->values;
    w->stored = pare_blob_ref(shape->stored);
    PARE_TRY(
        check_size(w->index, w->rows * pare_weight_index_row(w), "the structure's places", err));
    if (w->index)
        PARE_TRY(check_places(w, err));
    if (ints) {
        w->bits = shape->bits;
        w->zero_kind = shape->zero_kind;
        w->group = shape->group;
        w->groups = (w->cols + w->group - 1) / w->group;
        w->scales = pare_blob_ref(shape->scales);
        w->zeros = pare_blob_ref(shape->zeros);
        size_t n = (size_t)w->rows * w->groups;
        static const uint8_t zero_bytes[] = {0, 1, 2};
        PARE_TRY(check_size(w->scales, n * 2, "the scales", err));
        PARE_TRY(check_halves(w->scales, "scale", err));
        PARE_TRY(check_size(w->zeros, n * zero_bytes[w->zero_kind], "the zeros", err));
        if (w->zero_kind == PARE_ZERO_MIN)
            PARE_TRY(check_halves(w->zeros, "minimum", err));
    }
    PARE_TRY(pare_weight_make_row_start(w, err));
    PARE_TRY(check_size(w->stored, pare_weight_stored_bytes(w), "the values", err));
    if (!ints)
        PARE_TRY(pare_weight_check_finite(w->stored->data, w->stored->size / sizeof(float), err));
    *out = w;
    w = NULL;
out:
    pare_weight_unref(w);
    return rc;
}

/* ---- all numbers of a weight
 * --------------------------------------------------------------------- */

static int check_block_scales(const struct pare_weight *w, struct pare_error *err)
{
    for (uint32_t r = 0; r < w->rows; r++) {
        for (uint32_t g = 0; g < w->groups; g++) {
            float scale = pare_weight_scale(w, r, g), zero = pare_weight_zero(w, r, g);
            if (!isfinite(scale) || !isfinite(zero)) {
                pare_error_set(err, PARE_INVALID, "the %s of row %u is not finite",
                               isfinite(scale) ? "minimum" : "scale", r);
                pare_error_detail(err, "group %u of %u, in %s", g, w->groups,
                                  pare_ggml_name(w->ggml));
                return PARE_INVALID;
            }
        }
    }
    return PARE_OK;
}

int pare_weight_check(const struct pare_weight *w, struct pare_error *err)
{
    int rc = PARE_OK;
    float *row = NULL;
    if (w->ggml)
        return check_block_scales(w, err);
    if (w->values == PARE_VALUES_INT) {
        PARE_TRY(check_halves(w->scales, "scale", err));
        if (w->zero_kind == PARE_ZERO_MIN)
            PARE_TRY(check_halves(w->zeros, "minimum", err));
        return PARE_OK;
    }
    if (w->values == PARE_VALUES_F32)
        return pare_weight_check_finite(w->stored->data, w->stored->size / sizeof(float), err);
    row = pare_alloc(w->cols, sizeof *row);
    if (!row)
        return pare_error_nomem(err, w->cols * sizeof *row);
    for (uint32_t r = 0; rc == PARE_OK && r < w->rows; r++) {
        pare_weight_decode(w, r, 1, row);
        rc = pare_weight_check_finite(row, w->cols, err);
        if (rc != PARE_OK)
            pare_error_detail(err, "counted from the start of row %u", r);
    }
out:
    free(row);
    return rc;
}
