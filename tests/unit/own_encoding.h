/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin's encoding in its simplest form: a float scale per row, then int8 codes. */
#ifndef PARE_TEST_OWN_ENCODING_H
#define PARE_TEST_OWN_ENCODING_H

#include <math.h>
#include <stdio.h>

#include "model/encoding.h"
#include "tests/unit/test.h"

static const char *own_check(const struct pare_encoded *w)
{
    if (w->size != (uint64_t)w->rows * (sizeof(float) + w->cols))
        return "it has another size";
    for (uint32_t r = 0; r < w->rows; r++)
        if (!isfinite(((const float *)w->data)[r]))
            return "a scale is not finite";
    return NULL;
}

static const int8_t *own_codes(const struct pare_encoded *w, uint32_t row)
{
    return (const int8_t *)w->data + w->rows * sizeof(float) + (size_t)row * w->cols;
}

static void own_decode(const struct pare_encoded *w, uint32_t row, uint32_t n, float *out)
{
    for (uint32_t r = row; r < row + n; r++)
        for (uint32_t c = 0; c < w->cols; c++)
            *out++ = ((const float *)w->data)[r] * own_codes(w, r)[c];
}

static void own_describe(const struct pare_encoded *w, char *out, uint32_t size)
{
    snprintf(out, size, "own8 of %u", w->cols);
}

static void own_multiply(const struct pare_encoded *w, const struct pare_multiply *job)
{
    float *room = job->scratch;
    for (uint32_t r = 0; r < job->n; r++) {
        own_decode(w, job->row + r, 1, room);
        for (uint32_t t = 0; t < job->tokens; t++) {
            float sum = 0;
            for (uint32_t c = 0; c < w->cols; c++)
                sum += job->x[t * job->ldx + c] * room[c];
            job->y[t * job->ldy + r] = sum;
        }
    }
}

static uint64_t own_scratch(const struct pare_encoded *w, uint32_t tokens)
{
    (void)tokens;
    return w->cols * sizeof(float);
}

static const struct pare_encoding own_encoding = {
    .struct_size = sizeof own_encoding,
    .check = own_check,
    .decode = own_decode,
    .describe = own_describe,
    .multiply = own_multiply,
    .scratch = own_scratch,
};
/* The same without a kernel. */
static const struct pare_encoding slow_encoding = {
    .struct_size = offsetof(struct pare_encoding, describe),
    .check = own_check,
    .decode = own_decode,
};

/* `values` in that encoding, which is made known. */
static inline struct pare_weight *own_weight(const char *id, const struct pare_encoding *table,
                                             uint32_t rows, uint32_t cols, const float *values)
{
    struct pare_error err = {0};
    const struct pare_own_encoding *own;
    struct pare_weight *w = NULL;
    struct pare_blob *blob = NULL;
    ck_assert_ok(pare_encoding_add(id, table, id, table->multiply ? "fast" : "slow", &err), err);
    ck_assert_ok(pare_encoding_find(id, &own, &err), err);
    ck_assert_ok(pare_blob_new(rows, sizeof(float) + cols, &blob, &err), err);
    for (uint32_t r = 0; r < rows; r++) {
        float top = 1e-6f, *scale = (float *)blob->data + r;
        for (uint32_t c = 0; c < cols; c++)
            top = fmaxf(top, fabsf(values[(size_t)r * cols + c]));
        *scale = top / 127.0f;
        int8_t *codes = (int8_t *)blob->data + rows * sizeof(float) + (size_t)r * cols;
        for (uint32_t c = 0; c < cols; c++)
            codes[c] = (int8_t)lrintf(values[(size_t)r * cols + c] / *scale);
    }
    ck_assert_ok(pare_weight_encoded(own, rows, cols, blob, &w, &err), err);
    pare_blob_unref(blob);
    return w;
}

#endif
