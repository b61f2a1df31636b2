/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_IMAGE_H
#define PARE_MEASURE_IMAGE_H

#include "model/model.h"

/* Most pixels of an image: past this a small file was made to fill the memory. */
#define PARE_PIXELS_MAX (100u << 20)
/* Most bytes of an image file. */
#define PARE_IMAGE_FILE_MAX ((size_t)256 << 20)

/* An image of 8 bits: height x width x channels, row-major, channels side by side (1: grey, 3:
 * RGB). `pixels` is freed with free(). */
struct pare_image {
    uint32_t width, height, channels;
    uint8_t *pixels;
};

/* All functions here are pure and may be called by any thread; `*out` is untouched on failure. */

/* Room for an image; the pixels are not set. PARE_INVALID: no pixels, or too many. */
int pare_image_new(uint32_t width, uint32_t height, uint32_t channels, struct pare_image *out,
                   struct pare_error *err);

/* Decode a JPEG or PNG file that lies in memory; `name` is for messages. As Pillow does it:
 * palettes and small depths are expanded, alpha is dropped, of 16 bits the upper 8 are kept, CMYK
 * becomes RGB, EXIF's orientation is applied. A truncated file is PARE_INVALID. */
int pare_image_decode(const char *name, const void *bytes, size_t size, struct pare_image *out,
                      struct pare_error *err);
int pare_image_decode_jpeg(const char *name, const void *bytes, size_t size, struct pare_image *out,
                           struct pare_error *err);
int pare_image_decode_png(const char *name, const void *bytes, size_t size, struct pare_image *out,
                          struct pare_error *err);

/* Grey to RGB or back (ITU-R 601-2, in Pillow's integers); replaces the pixels. */
int pare_image_convert(struct pare_image *image, uint32_t channels, struct pare_error *err);

/* Resize as Pillow's Image.resize(), bit for bit: separable, antialiased when shrinking, 22-bit
 * coefficients. `resample` is PIL's number (see struct pare_preprocess). */
int pare_image_resize(const struct pare_image *in, uint32_t width, uint32_t height,
                      uint32_t resample, struct pare_image *out, struct pare_error *err);

/* Resize, crop (with zeros around what is too small), rescale and normalise, as transformers'
 * slow image processors do, in their precision and order; channels are converted first. `out`:
 * channels * height * width floats, one plane after another. `image` is used up (its pixels are
 * replaced), the caller frees it. PARE_INVALID: what comes out has another size than the model's.
 */
int pare_preprocess_image(const struct pare_preprocess *p, uint32_t channels, uint32_t height,
                          uint32_t width, struct pare_image *image, float *out,
                          struct pare_error *err);

#endif
