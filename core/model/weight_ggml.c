/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in ggml's types: from a tensor's bytes, and to them. */
#include "base/mem.h"
#include "model/ggml.h"
#include "model/weight_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pare_weight_from_ggml(uint32_t type, uint32_t rows, uint32_t cols, struct pare_blob *data,
                          struct pare_weight **out, struct pare_error *err)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(type);
    struct pare_weight *w = NULL;
    size_t n, bytes;
    int rc;
    if (!kind) {
        const char *name = pare_ggml_name(type);
        return pare_error_set(err, PARE_UNSUPPORTED, "tensors of type %s (%u) are not read",
                              name ? name : "unknown", type);
    }
    PARE_TRY(pare_weight_blank(rows, cols, &w, err));
    if (cols % kind->elements != 0 || !pare_mul_size(rows, cols, &n) ||
        !pare_ggml_bytes(kind, n, &bytes)) {
        rc = pare_error_set(err, PARE_INVALID, "%u columns are no whole blocks of %s", cols,
                            kind->name);
        pare_error_detail(err, "a block holds %u", kind->elements);
        goto out;
    }
    if (data->size != bytes) {
        rc = pare_error_set(err, PARE_INVALID, "%zu bytes do not hold %u x %u of %s", data->size,
                            rows, cols, kind->name);
        pare_error_detail(err, "they take %zu", bytes);
        goto out;
    }
    if (kind->elements == 1 && (uintptr_t)data->data % kind->bytes != 0) {
        rc = pare_error_set(err, PARE_INVALID, "a tensor of type %s is not aligned to its numbers",
                            kind->name);
        goto out;
    }
    if (kind->bits) {
        w->values = PARE_VALUES_INT;
        w->ggml = (uint8_t)kind->type;
        w->bits = kind->bits;
        w->zero_kind = kind->zero_kind;
        w->group = kind->group;
        w->groups = cols / kind->group;
    } else if (kind->type != PARE_GGML_F32) {
        w->values = kind->type == PARE_GGML_F16 ? PARE_VALUES_F16 : PARE_VALUES_BF16;
    }
    w->stored = pare_blob_ref(data);
    *out = w;
    w = NULL;
out:
    pare_weight_unref(w);
    return rc;
}

int pare_weight_split_scales(const struct pare_weight *w, struct pare_blob **scales,
                             struct pare_blob **zeros, struct pare_error *err)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(w->ggml);
    size_t blocks = (size_t)w->rows * w->groups; /* one scale per block */
    const uint8_t *b = w->stored->data;
    int rc;
    PARE_TRY(pare_blob_new(blocks, 2, scales, err));
    if (w->zero_kind == PARE_ZERO_MIN)
        PARE_TRY(pare_blob_new(blocks, 2, zeros, err));
    for (size_t i = 0; i < blocks; i++, b += kind->bytes) {
        memcpy((char *)(*scales)->data + 2 * i, b, 2);
        if (w->zero_kind == PARE_ZERO_MIN)
            memcpy((char *)(*zeros)->data + 2 * i, b + 2, 2);
    }
    PARE_TRY(pare_weight_check(w, err));
out:
    return rc;
}

/* ---- to a tensor
 * --------------------------------------------------------------------------------- */

static int no_type(const struct pare_weight *w, const char *why, struct pare_error *err)
{
    char what[48];
    pare_weight_describe(w, what);
    pare_error_set(err, PARE_UNSUPPORTED, "GGUF has no type for a %s weight", what);
    pare_error_detail(err, "%s", why);
    pare_error_hint(err, "quantize to int8, int5 or int4 with group 32, or write the values in a "
                         "wider type");
    return PARE_UNSUPPORTED;
}

/* The type for codes of `bits` that are signed or have a minimum: the narrowest that holds them. */
static const struct pare_ggml_kind *type_for(unsigned bits, unsigned zero_kind)
{
    const struct pare_ggml_kind *best = NULL;
    size_t n;
    const struct pare_ggml_kind *kinds = pare_ggml_kinds(&n);
    for (size_t i = 0; i < n; i++) {
        if (kinds[i].exact && kinds[i].zero_kind == zero_kind && kinds[i].bits >= bits &&
            (!best || kinds[i].bits < best->bits))
            best = &kinds[i];
    }
    return best;
}

/* The type that holds an integer weight with scales apart; NULL: none, and `*why` says so. */
static const struct pare_ggml_kind *choose_type(const struct pare_weight *w, int widen,
                                                const char **why)
{
    /* code - zero of b bits is a signed number of b + 1 */
    bool point = w->zero_kind == PARE_ZERO_INT;
    unsigned bits = w->bits + point, zero_kind = point ? PARE_ZERO_NONE : w->zero_kind;
    const struct pare_ggml_kind *kind = type_for(bits, zero_kind);
    *why = NULL;
    if (w->structure != PARE_DENSE && (!widen || w->zero_kind == PARE_ZERO_MIN))
        *why = "its tensors are dense";
    else if (!kind)
        *why = point ? "integers with a zero point do not fit" : "no type has these bits";
    else if (!widen && point)
        *why = "no type has a zero point";
    else if (!widen && kind->bits != w->bits)
        *why = "no type has these bits";
    else if (w->cols % kind->elements != 0)
        *why = "its rows are not multiples of 32";
    else if (w->group != w->cols && w->group % kind->group != 0)
        *why = "its groups are not multiples of 32";
    else if (!widen && w->group != kind->group)
        *why = "its types have a scale for every 32 numbers";
    return *why ? NULL : kind;
}

/* Blocks from codes and scales. */
static int join_blocks(const struct pare_weight *w, const struct pare_ggml_kind *kind,
                       struct pare_blob **out, struct pare_error *err)
{
    int16_t *codes = pare_alloc(w->cols, sizeof *codes);
    size_t bytes;
    int rc;
    if (!codes || !pare_ggml_bytes(kind, (size_t)w->rows * w->cols, &bytes)) {
        rc = pare_error_nomem(err, w->cols * sizeof *codes);
        goto out;
    }
    PARE_TRY(pare_blob_new(bytes, 1, out, err));
    uint8_t *to = (*out)->data;
    for (uint32_t r = 0; r < w->rows; r++) {
        pare_weight_codes(w, r, 1, codes);
        for (uint32_t c = 0; c < w->cols; c += kind->elements, to += kind->bytes) {
            size_t at = (size_t)r * w->groups + c / w->group;
            uint16_t scale = ((const uint16_t *)w->scales->data)[at], min = 0;
            if (w->zero_kind == PARE_ZERO_MIN)
                min = ((const uint16_t *)w->zeros->data)[at];
            for (uint32_t i = c; w->zero_kind == PARE_ZERO_INT && i < c + kind->elements; i++)
                codes[i] = (int16_t)(codes[i] - ((const uint8_t *)w->zeros->data)[at]);
            pare_ggml_join(kind->type, scale, min, codes + c, to);
        }
    }
out:
    free(codes);
    return rc;
}

/* A sparse f32 weight as a dense one. */
static int fill_zeros(const struct pare_weight *w, struct pare_blob **out, struct pare_error *err)
{
    int rc = pare_blob_new((size_t)w->rows * w->cols, sizeof(float), out, err);
    if (rc == PARE_OK)
        pare_weight_decode(w, 0, w->rows, (*out)->data);
    return rc;
}

int pare_weight_to_ggml(const struct pare_weight *w, int widen, uint32_t *type,
                        struct pare_blob **data, struct pare_error *err)
{
    const struct pare_ggml_kind *kind;
    const char *why = "its tensors are dense";
    if (pare_weight_is_ggml(w)) {
        *type = pare_weight_ggml_type(w);
        *data = pare_blob_ref(w->stored);
        return PARE_OK;
    }
    if (w->values == PARE_VALUES_PLUGIN)
        return no_type(w, "only the plugin that brings it reads it", err);
    if (w->values != PARE_VALUES_INT) {
        *type = pare_weight_ggml_type(w);
        return widen ? fill_zeros(w, data, err) : no_type(w, why, err);
    }
    kind = choose_type(w, widen, &why);
    if (!kind)
        return no_type(w, why, err);
    *type = kind->type;
    return join_blocks(w, kind, data, err);
}
