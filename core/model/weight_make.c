/* SPDX-License-Identifier: Apache-2.0 */
/* Making encodings: from floats, from a plugin's integers, from a mask. */
#include "base/mem.h"
#include "model/ggml.h"
#include "model/half.h"
#include "model/weight_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* No model comes near; it keeps every product of sizes far from overflow. */
#define SIDE_MAX (1u << 24)

int pare_weight_blank(uint32_t rows, uint32_t cols, struct pare_weight **out,
                      struct pare_error *err)
{
    if (rows == 0 || cols == 0 || rows > SIDE_MAX || cols > SIDE_MAX)
        return pare_error_set(err, PARE_INVALID, "a weight of %u x %u is out of range", rows, cols);
    struct pare_weight *w = calloc(1, sizeof *w);
    if (!w)
        return pare_error_nomem(err, sizeof *w);
    w->refs = 1;
    w->rows = rows;
    w->cols = cols;
    w->group = cols;
    w->groups = 1;
    *out = w;
    return PARE_OK;
}

int pare_weight_check_finite(const float *x, size_t n, struct pare_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return pare_error_set(err, PARE_INVALID, "weight number %zu is not finite", i);
    }
    return PARE_OK;
}

int pare_weight_wrap(uint32_t rows, uint32_t cols, struct pare_blob *data, struct pare_weight **out,
                     struct pare_error *err)
{
    struct pare_weight *w = NULL;
    int rc;
    PARE_TRY(pare_weight_blank(rows, cols, &w, err));
    if (data->size != (size_t)rows * cols * sizeof(float)) {
        rc = pare_error_set(err, PARE_INVALID, "%zu bytes do not hold %u x %u floats", data->size,
                            rows, cols);
        goto out;
    }
    PARE_TRY(pare_weight_check_finite(data->data, (size_t)rows * cols, err));
    w->stored = pare_blob_ref(data);
    *out = w;
    w = NULL;
out:
    pare_weight_unref(w);
    return rc;
}

int pare_weight_new(uint32_t rows, uint32_t cols, const float *data, struct pare_weight **out,
                    struct pare_error *err)
{
    struct pare_blob *blob = NULL;
    int rc;
    PARE_TRY(pare_blob_copy(data, (size_t)rows * cols, sizeof *data, &blob, err));
    PARE_TRY(pare_weight_wrap(rows, cols, blob, out, err));
out:
    pare_blob_unref(blob);
    return rc;
}

/* ---- structure
 * ----------------------------------------------------------------------------------- */

static void set_place(const struct pare_weight *w, uint8_t *index, uint32_t i, uint32_t place)
{
    unsigned bits = pare_weight_place_bits(w), at = i * bits;
    index[at / 8] |= (uint8_t)(place << at % 8);
}

/* The places of one row: the kept columns of every group, filled up with dropped ones, ascending.
 */
static void index_nm_row(const struct pare_weight *w, const uint8_t *keep, uint8_t *index)
{
    uint32_t i = 0;
    for (uint32_t c = 0; c < w->cols; c += w->m) {
        uint32_t kept = 0;
        for (uint32_t j = 0; j < w->m && c + j < w->cols; j++)
            kept += keep[c + j] != 0;
        uint32_t fill = w->n - kept; /* the first dropped ones take the free places */
        for (uint32_t j = 0; j < w->m; j++) {
            bool keeps = c + j < w->cols && keep[c + j];
            if (keeps || fill) {
                fill -= !keeps;
                set_place(w, index, i++, j);
            }
        }
    }
}

static int make_index(struct pare_weight *w, const uint8_t *keep, struct pare_error *err)
{
    size_t row_bytes = pare_weight_index_row(w);
    int rc;
    PARE_TRY(pare_blob_new(w->rows, row_bytes, &w->index, err));
    uint8_t *index = w->index->data;
    for (uint32_t r = 0; r < w->rows; r++, index += row_bytes, keep += w->cols) {
        if (w->structure == PARE_NM) {
            index_nm_row(w, keep, index);
            continue;
        }
        for (uint32_t c = 0; c < w->cols; c++)
            index[c / 8] |= (uint8_t)((keep[c] != 0) << c % 8);
    }
out:
    return rc;
}

static uint32_t row_count(const uint8_t *index, size_t bytes)
{
    uint32_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += (uint32_t)__builtin_popcount(index[i]);
    return n;
}

/* Where each row of a bitmap starts. */
int pare_weight_make_row_start(struct pare_weight *w, struct pare_error *err)
{
    if (w->structure != PARE_BITMAP)
        return PARE_OK;
    w->row_start = pare_alloc((size_t)w->rows + 1, sizeof *w->row_start);
    if (!w->row_start)
        return pare_error_nomem(err, (w->rows + 1ull) * sizeof *w->row_start);
    size_t bytes = pare_weight_index_row(w);
    const uint8_t *index = w->index->data;
    uint64_t at = 0;
    for (uint32_t r = 0; r < w->rows; r++, index += bytes) {
        w->row_start[r] = at;
        uint32_t n = row_count(index, bytes);
        at += w->values == PARE_VALUES_F32 ? n : pare_packed_bytes(n, w->bits);
    }
    w->row_start[w->rows] = at;
    return PARE_OK;
}

size_t pare_weight_stored_bytes(const struct pare_weight *w)
{
    if (w->structure == PARE_BITMAP)
        return w->row_start[w->rows] * (w->values == PARE_VALUES_F32 ? sizeof(float) : 1);
    return w->rows * pare_weight_row_bytes(w);
}

/* Give `w` the structure of `from`, sharing the index. */
void pare_weight_take_structure(struct pare_weight *w, const struct pare_weight *from)
{
    w->structure = from->structure;
    w->n = from->n;
    w->m = from->m;
    w->index = pare_blob_ref(from->index);
}

/* Store one row: `values` (f32) or `codes` at the positions that the structure keeps. */
static void store_row(const struct pare_weight *w, uint32_t row, const uint8_t *kept,
                      const float *values, const int16_t *codes)
{
    void *stored = (void *)(uintptr_t)pare_weight_row(w, row);
    const uint8_t *index =
        w->index ? (const uint8_t *)w->index->data + row * pare_weight_index_row(w) : NULL;
    uint32_t total = pare_weight_row_stored(w), i = 0;
    unsigned bits = pare_weight_place_bits(w);
    for (uint32_t k = 0; k < total; k++) {
        uint32_t col = k;
        if (w->structure == PARE_NM) {
            unsigned at = k * bits;
            col = k / w->n * w->m + (index[at / 8] >> at % 8 & ((1u << bits) - 1));
        } else if (w->structure == PARE_BITMAP && !kept[col]) {
            continue;
        }
        bool inside = col < w->cols;
        if (w->values == PARE_VALUES_F32)
            ((float *)stored)[i] = inside ? values[col] : 0;
        else
            pare_code_store(stored, i, w->bits, (inside ? codes[col] : 0) + pare_code_offset(w));
        i++;
    }
}

/* ---- new from old
 * -------------------------------------------------------------------------------- */

int pare_weight_with_values(const struct pare_weight *old, const float *values,
                            struct pare_weight **out, struct pare_error *err)
{
    struct pare_weight *w = NULL;
    uint8_t *kept = NULL;
    int rc;
    PARE_TRY(pare_weight_check_finite(values, (size_t)old->rows * old->cols, err));
    PARE_TRY(pare_weight_blank(old->rows, old->cols, &w, err));
    pare_weight_take_structure(w, old);
    PARE_TRY(pare_weight_make_row_start(w, err));
    PARE_TRY(pare_blob_new(pare_weight_stored_bytes(w), 1, &w->stored, err));
    kept = pare_alloc(w->cols, 1);
    float *row = pare_alloc(w->cols, sizeof *row);
    if (!kept || !row) {
        free(row);
        rc = pare_error_nomem(err, w->cols);
        goto out;
    }
    for (uint32_t r = 0; r < w->rows; r++) {
        pare_weight_kept(w, r, 1, kept);
        /* a place that was only filled up holds an exact zero, and keeps it */
        pare_weight_decode(old, r, 1, row);
        for (uint32_t c = 0; c < w->cols; c++) {
            bool filled = old->structure == PARE_NM && kept[c] && row[c] == 0;
            row[c] = filled ? 0 : values[(size_t)r * w->cols + c];
        }
        store_row(w, r, kept, row, NULL);
    }
    free(row);
    *out = w;
    w = NULL;
out:
    free(kept);
    pare_weight_unref(w);
    return rc;
}

static int check_integers(const struct pare_weight *old, const struct pare_integers *x,
                          struct pare_error *err)
{
    if (x->bits < 2 || x->bits > 8 || x->zero_kind > PARE_ZERO_MIN)
        return pare_error_set(err, PARE_INVALID,
                              "integers of %u bits and zero kind %u do not exist", x->bits,
                              x->zero_kind);
    int lo = x->zero_kind == PARE_ZERO_NONE ? -(1 << (x->bits - 1)) : 0;
    int hi = lo + (1 << x->bits) - 1;
    size_t n = (size_t)old->rows * old->cols;
    for (size_t i = 0; i < n; i++) {
        if (x->codes[i] < lo || x->codes[i] > hi)
            return pare_error_set(err, PARE_INVALID, "code %d is outside %d..%d", x->codes[i], lo,
                                  hi);
    }
    return PARE_OK;
}

static int make_scales(struct pare_weight *w, const struct pare_integers *x, struct pare_error *err)
{
    size_t n = (size_t)w->rows * w->groups;
    int rc;
    PARE_TRY(pare_blob_new(n, sizeof(uint16_t), &w->scales, err));
    if (w->zero_kind != PARE_ZERO_NONE)
        PARE_TRY(pare_blob_new(n, w->zero_kind == PARE_ZERO_INT ? 1 : 2, &w->zeros, err));
    for (size_t i = 0; i < n; i++) {
        uint16_t half = pare_f32_to_f16(x->scales[i]);
        if ((half & 0x7c00u) == 0x7c00u) {
            rc = pare_error_set(err, PARE_INVALID, "scale %g does not fit half precision",
                                (double)x->scales[i]);
            goto out;
        }
        ((uint16_t *)w->scales->data)[i] = half;
        if (w->zero_kind == PARE_ZERO_NONE)
            continue;
        float zero = x->zeros[i];
        if (w->zero_kind == PARE_ZERO_INT) {
            if (!(zero >= 0 && zero <= (float)((1 << w->bits) - 1)) || zero != rintf(zero)) {
                rc = pare_error_set(err, PARE_INVALID, "zero point %g is no %u-bit integer",
                                    (double)zero, w->bits);
                goto out;
            }
            ((uint8_t *)w->zeros->data)[i] = (uint8_t)zero;
        } else {
            uint16_t min = pare_f32_to_f16(zero);
            if ((min & 0x7c00u) == 0x7c00u) {
                rc = pare_error_set(err, PARE_INVALID, "minimum %g does not fit half precision",
                                    (double)zero);
                goto out;
            }
            ((uint16_t *)w->zeros->data)[i] = min;
        }
    }
out:
    return rc;
}

/* The last step of both ways to an integer weight: everything but the codes is set. */
static int store_codes(struct pare_weight *w, const int16_t *codes, struct pare_error *err)
{
    int rc;
    uint8_t *kept = NULL;
    PARE_TRY(pare_weight_make_row_start(w, err));
    PARE_TRY(pare_blob_new(pare_weight_stored_bytes(w), 1, &w->stored, err));
    kept = pare_alloc(w->cols, 1);
    if (!kept) {
        rc = pare_error_nomem(err, w->cols);
        goto out;
    }
    for (uint32_t r = 0; r < w->rows; r++) {
        pare_weight_kept(w, r, 1, kept);
        store_row(w, r, kept, NULL, codes + (size_t)r * w->cols);
    }
out:
    free(kept);
    return rc;
}

/* Codes where the old weight's exact zeros stay zeros: what N:M fills up has to decode to zero. */
static int zero_codes(const struct pare_weight *old, const struct pare_weight *w,
                      const int16_t *codes, int16_t **out, struct pare_error *err)
{
    size_t total = (size_t)w->rows * w->cols;
    int16_t *own = pare_alloc(total, sizeof *own);
    float *row = pare_alloc(w->cols, sizeof *row);
    if (!own || !row) {
        free(own);
        free(row);
        return pare_error_nomem(err, total * sizeof *own);
    }
    memcpy(own, codes, total * sizeof *own);
    for (uint32_t r = 0; r < w->rows; r++) {
        pare_weight_decode(old, r, 1, row);
        for (uint32_t c = 0; c < w->cols; c++) {
            if (row[c] == 0)
                own[(size_t)r * w->cols + c] = w->zero_kind == PARE_ZERO_INT
                                                   ? (int16_t)pare_weight_zero(w, r, c / w->group)
                                                   : 0;
        }
    }
    free(row);
    *out = own;
    return PARE_OK;
}

static int refuse_min(struct pare_error *err)
{
    pare_error_set(err, PARE_UNSUPPORTED,
                   "N:M does not go with integers with a minimum: zero has no code");
    pare_error_hint(err, "quantize symmetrically, or with a zero point");
    return PARE_UNSUPPORTED;
}

int pare_weight_with_integers(const struct pare_weight *old, const struct pare_integers *x,
                              struct pare_weight **out, struct pare_error *err)
{
    struct pare_weight *w = NULL;
    int16_t *own = NULL;
    int rc;
    PARE_TRY(check_integers(old, x, err));
    PARE_TRY(pare_weight_blank(old->rows, old->cols, &w, err));
    pare_weight_take_structure(w, old);
    w->values = PARE_VALUES_INT;
    w->bits = (uint8_t)x->bits;
    w->zero_kind = (uint8_t)x->zero_kind;
    w->group = x->group_size == 0 || x->group_size > w->cols ? w->cols : x->group_size;
    w->groups = (w->cols + w->group - 1) / w->group;
    if (w->structure == PARE_NM && w->zero_kind == PARE_ZERO_MIN) {
        rc = refuse_min(err);
        goto out;
    }
    PARE_TRY(make_scales(w, x, err));
    if (w->structure == PARE_NM)
        PARE_TRY(zero_codes(old, w, x->codes, &own, err));
    PARE_TRY(store_codes(w, own ? own : x->codes, err));
    *out = w;
    w = NULL;
out:
    free(own);
    pare_weight_unref(w);
    return rc;
}

static int check_mask(const struct pare_weight *old, uint32_t n, uint32_t m, const uint8_t *keep,
                      struct pare_error *err)
{
    if (m == 0)
        return PARE_OK;
    if (m > 16 || m < 2 || n == 0 || n > m)
        return pare_error_set(err, PARE_INVALID,
                              "%u of %u is no structure: 1 <= N <= M, M from 2 to 16", n, m);
    for (uint32_t r = 0; r < old->rows; r++) {
        for (uint32_t c = 0; c < old->cols; c += m) {
            uint32_t kept = 0;
            for (uint32_t j = 0; j < m && c + j < old->cols; j++)
                kept += keep[(size_t)r * old->cols + c + j] != 0;
            if (kept > n)
                return pare_error_set(err, PARE_INVALID,
                                      "row %u keeps %u of the %u columns from %u, %u may be", r,
                                      kept, m, c, n);
        }
    }
    return PARE_OK;
}

/* The kept values of `old`, as f32. */
static int structure_values(const struct pare_weight *old, const uint8_t *keep,
                            struct pare_weight *w, struct pare_error *err)
{
    float *row = pare_alloc(w->cols, sizeof *row);
    uint8_t *kept = pare_alloc(w->cols, 1);
    int rc;
    if (!row || !kept) {
        rc = pare_error_nomem(err, w->cols * sizeof *row);
        goto out;
    }
    PARE_TRY(pare_weight_make_row_start(w, err));
    PARE_TRY(pare_blob_new(pare_weight_stored_bytes(w), 1, &w->stored, err));
    for (uint32_t r = 0; r < w->rows; r++) {
        pare_weight_decode(old, r, 1, row);
        PARE_TRY(pare_weight_check_finite(row, w->cols, err));
        for (uint32_t c = 0; c < w->cols; c++)
            row[c] = keep[(size_t)r * w->cols + c] ? row[c] : 0;
        pare_weight_kept(w, r, 1, kept);
        store_row(w, r, kept, row, NULL);
    }
out:
    free(row);
    free(kept);
    return rc;
}

/* The kept codes of `old`, with its scales. */
static int structure_codes(const struct pare_weight *old, const uint8_t *keep,
                           struct pare_weight *w, struct pare_error *err)
{
    size_t total = (size_t)old->rows * old->cols;
    int16_t *codes = NULL;
    int rc;
    w->values = PARE_VALUES_INT;
    w->bits = old->bits;
    w->zero_kind = old->zero_kind;
    w->group = old->group;
    w->groups = old->groups;
    if (w->zero_kind == PARE_ZERO_MIN && w->structure == PARE_NM)
        return refuse_min(err);
    if (old->ggml) {
        PARE_TRY(pare_weight_split_scales(old, &w->scales, &w->zeros, err));
    } else {
        w->scales = pare_blob_ref(old->scales);
        w->zeros = pare_blob_ref(old->zeros);
    }
    codes = pare_alloc(total, sizeof *codes);
    if (!codes) {
        rc = pare_error_nomem(err, total * sizeof *codes);
        goto out;
    }
    pare_weight_codes(old, 0, old->rows, codes);
    for (size_t i = 0; i < total; i++) {
        uint32_t r = (uint32_t)(i / w->cols), g = (uint32_t)(i % w->cols) / w->group;
        if (!keep[i]) /* a filled-up place has to decode to zero */
            codes[i] = w->zero_kind == PARE_ZERO_INT ? (int16_t)pare_weight_zero(old, r, g) : 0;
    }
    PARE_TRY(store_codes(w, codes, err));
out:
    free(codes);
    return rc;
}

/* Whether codes can stay. Blocks came from a file that knew nothing of the structure: where it
 * cannot hold their codes, their values are kept, for a later step to quantize. */
static bool keeps_codes(const struct pare_weight *old, uint32_t structure)
{
    if (old->values != PARE_VALUES_INT || !old->ggml)
        return old->values == PARE_VALUES_INT;
    return pare_ggml_find(old->ggml)->exact &&
           !(structure == PARE_NM && old->zero_kind == PARE_ZERO_MIN);
}

int pare_weight_with_structure(const struct pare_weight *old, uint32_t n, uint32_t m,
                               const uint8_t *keep, struct pare_weight **out,
                               struct pare_error *err)
{
    struct pare_weight *w = NULL;
    int rc;
    PARE_TRY(check_mask(old, n, m, keep, err));
    PARE_TRY(pare_weight_blank(old->rows, old->cols, &w, err));
    w->structure = m ? PARE_NM : PARE_BITMAP;
    w->n = (uint8_t)n;
    w->m = (uint8_t)m;
    PARE_TRY(make_index(w, keep, err));
    PARE_TRY(keeps_codes(old, w->structure) ? structure_codes(old, keep, w, err)
                                            : structure_values(old, keep, w, err));
    *out = w;
    w = NULL;
out:
    pare_weight_unref(w);
    return rc;
}

/* ---- fewer rows and columns
 * ---------------------------------------------------------------------- */

static uint32_t count_kept(const uint8_t *keep, uint32_t n)
{
    uint32_t kept = keep ? 0 : n;
    for (uint32_t i = 0; keep && i < n; i++)
        kept += keep[i] != 0;
    return kept;
}

/* Whether columns go or stay by whole runs of `unit`. */
static bool whole_units(const uint8_t *keep, uint32_t n, uint32_t unit)
{
    for (uint32_t i = 0; keep && i < n; i++) {
        if ((keep[i] != 0) != (keep[i / unit * unit] != 0))
            return false;
    }
    return true;
}

int pare_weight_select(const struct pare_weight *old, const uint8_t *keep_rows,
                       const uint8_t *keep_cols, struct pare_weight **out, struct pare_error *err)
{
    uint32_t rows = count_kept(keep_rows, old->rows), cols = count_kept(keep_cols, old->cols);
    const bool plain = pare_weight_is_ggml(old);
    const struct pare_ggml_kind *kind = plain ? pare_ggml_find(pare_weight_ggml_type(old)) : NULL;
    struct pare_blob *data = NULL;
    int rc;
    if (!plain || !whole_units(keep_cols, old->cols, kind->elements)) {
        char what[48];
        pare_weight_describe(old, what);
        rc = pare_error_set(err, PARE_UNSUPPORTED, "%s cannot be removed from a %s weight",
                            plain ? "these columns" : "rows or columns", what);
        if (plain)
            pare_error_detail(err, "its columns are encoded %u at a time", kind->elements);
        pare_error_hint(err, plain ? "begin with a model in f16 or f32"
                                   : "remove heads and channels before pruning weights or "
                                     "quantizing");
        goto out;
    }
    size_t row_bytes = (size_t)cols / kind->elements * kind->bytes;
    PARE_TRY(pare_blob_new(rows, row_bytes, &data, err));
    char *to = data->data;
    for (uint32_t r = 0; r < old->rows; r++) {
        if (keep_rows && !keep_rows[r])
            continue;
        const char *from = pare_weight_row(old, r);
        for (uint32_t c = 0; c < old->cols; c += kind->elements, from += kind->bytes) {
            if (!keep_cols || keep_cols[c]) {
                memcpy(to, from, kind->bytes);
                to += kind->bytes;
            }
        }
    }
    PARE_TRY(pare_weight_from_ggml(kind->type, rows, cols, data, out, err));
out:
    pare_blob_unref(data);
    return rc;
}
