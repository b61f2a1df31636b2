/* SPDX-License-Identifier: Apache-2.0 */
/* Pillow's resize for 8 bits (src/libImaging/Resample.c and Geometry.c of Pillow 13), so that what
 * a model sees here is what it saw when it was trained. */
#include "measure/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PRECISION_BITS (32 - 8 - 2)
#define PI 3.14159265358979323846

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double sinc(double x)
{
    if (x == 0)
        return 1;
    x *= PI;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

/* By PIL's numbers; nearest is done apart. */
static const struct filter {
    double (*at)(double x);
    double support;
} filters[] = {{NULL, 0}, {lanczos, 3}, {triangle, 1}, {cubic, 2}};

/* Which inputs make an output along one axis, and how much of each. */
struct axis {
    uint32_t *first, *count; /* per output */
    int32_t *weights;        /* `most` per output */
    uint32_t most;
};

static void axis_free(struct axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weights);
}

static int axis_new(const struct filter *filter, uint32_t in, uint32_t out, struct axis *axis,
                    struct pare_error *err)
{
    const double scale = (double)in / out;
    const double stretch = scale < 1 ? 1 : scale, support = filter->support * stretch;
    const double shrink = 1 / stretch;
    int rc = PARE_OK;
    axis->most = (uint32_t)ceil(support) * 2 + 1;
    axis->first = pare_alloc(out, sizeof *axis->first);
    axis->count = pare_alloc(out, sizeof *axis->count);
    axis->weights = pare_calloc(out, (size_t)axis->most * sizeof *axis->weights);
    double *w = pare_alloc(axis->most, sizeof *w);
    if (!axis->first || !axis->count || !axis->weights || !w) {
        rc = pare_error_nomem(err, (uint64_t)out * axis->most * sizeof *axis->weights);
        goto out;
    }
    for (uint32_t o = 0; o < out; o++) {
        const double center = (o + 0.5) * scale;
        double low = center - support + 0.5, high = center + support + 0.5, sum = 0;
        uint32_t first = low < 0 ? 0 : (uint32_t)low;
        uint32_t end = high > in ? in : (uint32_t)high;
        int32_t *weights = axis->weights + (size_t)o * axis->most;
        for (uint32_t i = 0; i < end - first; i++) {
            w[i] = filter->at((i + first - center + 0.5) * shrink);
            sum += w[i];
        }
        for (uint32_t i = 0; i < end - first; i++) {
            double x = (sum != 0 ? w[i] / sum : w[i]) * (1 << PRECISION_BITS);
            weights[i] = (int32_t)(x < 0 ? x - 0.5 : x + 0.5);
        }
        axis->first[o] = first;
        axis->count[o] = end - first;
    }
out:
    free(w);
    return rc;
}

static uint8_t clip(int64_t sum)
{
    sum >>= PRECISION_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void across(const struct pare_image *in, const struct axis *axis, struct pare_image *out)
{
    const uint32_t c = in->channels;
    for (uint32_t y = 0; y < out->height; y++) {
        const uint8_t *line = in->pixels + (size_t)y * in->width * c;
        uint8_t *to = out->pixels + (size_t)y * out->width * c;
        for (uint32_t x = 0; x < out->width; x++) {
            const uint8_t *from = line + (size_t)axis->first[x] * c;
            const int32_t *w = axis->weights + (size_t)x * axis->most;
            for (uint32_t k = 0; k < c; k++) {
                int64_t sum = 1 << (PRECISION_BITS - 1);
                for (uint32_t i = 0; i < axis->count[x]; i++)
                    sum += from[(size_t)i * c + k] * w[i];
                *to++ = clip(sum);
            }
        }
    }
}

static void down(const struct pare_image *in, const struct axis *axis, struct pare_image *out)
{
    const size_t line = (size_t)in->width * in->channels;
    for (uint32_t y = 0; y < out->height; y++) {
        const uint8_t *from = in->pixels + axis->first[y] * line;
        const int32_t *w = axis->weights + (size_t)y * axis->most;
        uint8_t *to = out->pixels + y * line;
        for (size_t x = 0; x < line; x++) {
            int64_t sum = 1 << (PRECISION_BITS - 1);
            for (uint32_t i = 0; i < axis->count[y]; i++)
                sum += from[i * line + x] * w[i];
            to[x] = clip(sum);
        }
    }
}

/* Positions are added up step by step, as Pillow does, rounding errors and all. */
static void nearest(const struct pare_image *in, struct pare_image *out)
{
    const double step_x = (double)in->width / out->width, step_y = (double)in->height / out->height;
    const uint32_t c = in->channels;
    double at_y = step_y * 0.5;
    for (uint32_t y = 0; y < out->height; y++, at_y += step_y) {
        const uint32_t from_y = PARE_MIN((uint32_t)at_y, in->height - 1);
        double at_x = step_x * 0.5;
        for (uint32_t x = 0; x < out->width; x++, at_x += step_x) {
            const uint32_t from_x = PARE_MIN((uint32_t)at_x, in->width - 1);
            memcpy(out->pixels + ((size_t)y * out->width + x) * c,
                   in->pixels + ((size_t)from_y * in->width + from_x) * c, c);
        }
    }
}

/* Whether the rows go first: each pass rounds to 8 bits, so the order shows. Before version 13
 * Pillow always took the columns first, which differs by a level here and there in tall images. */
static bool rows_first(const struct pare_image *in, uint32_t width, uint32_t height)
{
    const int64_t less_high = (int64_t)in->height - height, less_wide = (int64_t)in->width - width;
    return less_high > 0 && less_high > 2 * less_wide;
}

int pare_image_resize(const struct pare_image *in, uint32_t width, uint32_t height,
                      uint32_t resample, struct pare_image *out, struct pare_error *err)
{
    struct axis x = {0}, y = {0};
    struct pare_image half = {0}, made = {0};
    int rc;
    if (resample >= PARE_COUNT(filters))
        return pare_error_set(err, PARE_UNSUPPORTED, "resample %u is not supported", resample);
    PARE_TRY(pare_image_new(width, height, in->channels, &made, err));
    if (width == in->width && height == in->height) {
        memcpy(made.pixels, in->pixels, (size_t)width * height * in->channels);
    } else if (!filters[resample].at) {
        nearest(in, &made);
    } else {
        PARE_TRY(axis_new(&filters[resample], in->width, width, &x, err));
        PARE_TRY(axis_new(&filters[resample], in->height, height, &y, err));
        if (height == in->height) {
            across(in, &x, &made);
        } else if (width == in->width) {
            down(in, &y, &made);
        } else if (rows_first(in, width, height)) {
            PARE_TRY(pare_image_new(in->width, height, in->channels, &half, err));
            down(in, &y, &half);
            across(&half, &x, &made);
        } else {
            PARE_TRY(pare_image_new(width, in->height, in->channels, &half, err));
            across(in, &x, &half);
            down(&half, &y, &made);
        }
    }
    *out = made;
    made.pixels = NULL;
out:
    axis_free(&x);
    axis_free(&y);
    free(half.pixels);
    free(made.pixels);
    return rc;
}
