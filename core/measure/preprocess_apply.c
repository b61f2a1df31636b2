/* SPDX-License-Identifier: Apache-2.0 */
/* What preprocessor_config.json says, done as in transformers' image_transforms.py. */
#include "measure/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "measure/dataset.h"

/* The shorter side becomes `edge`, the longer one keeps the ratio, rounded down. */
static void by_shortest_edge(const struct pare_image *image, uint32_t edge, uint32_t *width,
                             uint32_t *height)
{
    const bool upright = image->width <= image->height;
    const uint32_t small = upright ? image->width : image->height;
    const uint32_t large = upright ? image->height : image->width;
    const uint64_t longer = (uint64_t)edge * large / small;
    const uint32_t other = longer > UINT32_MAX ? UINT32_MAX : (uint32_t)longer;
    *width = upright ? edge : other;
    *height = upright ? other : edge;
}

static int resize(const struct pare_preprocess *p, struct pare_image *image, struct pare_error *err)
{
    uint32_t width = p->resize_width, height = p->resize_height;
    struct pare_image made;
    if (width == 0 || height == 0)
        by_shortest_edge(image, p->shortest_edge, &width, &height);
    if (width == image->width && height == image->height)
        return PARE_OK;
    int rc = pare_image_resize(image, width, height, p->resample, &made, err);
    if (rc == PARE_OK) {
        free(image->pixels);
        *image = made;
    }
    return rc;
}

/* The middle of the image; what lies outside of it is zero. */
static int crop(const struct pare_preprocess *p, struct pare_image *image, struct pare_error *err)
{
    const int64_t dy = (int64_t)image->height - p->crop_height;
    const int64_t dx = (int64_t)image->width - p->crop_width;
    const int64_t top = (dy - (dy < 0)) / 2, left = (dx - (dx < 0)) / 2; /* rounded down */
    const uint32_t c = image->channels;
    struct pare_image made;
    if (dx == 0 && dy == 0)
        return PARE_OK;
    int rc = pare_image_new(p->crop_width, p->crop_height, c, &made, err);
    if (rc != PARE_OK)
        return rc;
    memset(made.pixels, 0, (size_t)made.width * made.height * c);
    const int64_t x0 = left < 0 ? -left : 0;
    const int64_t x1 = PARE_MIN((int64_t)made.width, (int64_t)image->width - left);
    for (int64_t y = 0; y < made.height; y++) {
        if (y + top < 0 || y + top >= image->height || x1 <= x0)
            continue;
        memcpy(made.pixels + (size_t)(y * made.width + x0) * c,
               image->pixels + (size_t)((y + top) * image->width + x0 + left) * c,
               (size_t)(x1 - x0) * c);
    }
    free(image->pixels);
    *image = made;
    return PARE_OK;
}

int pare_preprocess_image(const struct pare_preprocess *p, uint32_t channels, uint32_t height,
                          uint32_t width, struct pare_image *image, float *out,
                          struct pare_error *err)
{
    int rc;
    PARE_TRY(pare_image_convert(image, channels, err));
    if (p->resize)
        PARE_TRY(resize(p, image, err));
    if (p->crop)
        PARE_TRY(crop(p, image, err));
    if (image->width != width || image->height != height) {
        rc = pare_error_set(err, PARE_INVALID,
                            "an image of %u x %u pixels does not fit the model's %u x %u",
                            image->width, image->height, width, height);
        pare_error_hint(err, "let preprocessor_config.json resize or crop");
        goto out;
    }
    const size_t plane = (size_t)width * height;
    for (uint32_t c = 0; c < channels; c++) {
        float table[256]; /* every pixel is one of these: f64 to rescale, f32 to normalise */
        for (unsigned v = 0; v < 256; v++) {
            float x = p->rescale ? (float)(v * p->factor) : (float)v;
            table[v] = p->normalize ? (x - (float)p->mean[c]) / (float)p->deviation[c] : x;
        }
        const uint8_t *from = image->pixels + c;
        for (size_t i = 0; i < plane; i++)
            out[c * plane + i] = table[from[i * channels]];
    }
out:
    return rc;
}

int pare_image_load(const char *path, const struct pare_model *model, float *out,
                    struct pare_error *err)
{
    const struct pare_graph *g = model->graph;
    struct pare_image image = {0};
    char *bytes = NULL;
    size_t size;
    int rc;
    PARE_TRY(pare_file_read(path, PARE_IMAGE_FILE_MAX, &bytes, &size, err));
    PARE_TRY(pare_image_decode(path, bytes, size, &image, err));
    PARE_TRY(pare_preprocess_image(&model->preprocess, g->channels, g->height, g->width, &image,
                                   out, err));
out:
    free(image.pixels);
    free(bytes);
    return rc;
}
