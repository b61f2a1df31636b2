/* SPDX-License-Identifier: Apache-2.0 */
/* Images of 8 bits: telling formats apart, changing channels. */
#include "measure/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int pare_image_new(uint32_t width, uint32_t height, uint32_t channels, struct pare_image *out,
                   struct pare_error *err)
{
    uint64_t pixels = (uint64_t)width * height;
    if (pixels == 0 || pixels > PARE_PIXELS_MAX)
        return pare_error_set(err, PARE_INVALID, "an image of %u x %u pixels is not read", width,
                              height);
    uint8_t *data = pare_alloc((size_t)pixels, channels);
    if (!data)
        return pare_error_nomem(err, pixels * channels);
    *out = (struct pare_image){width, height, channels, data};
    return PARE_OK;
}

int pare_image_decode(const char *name, const void *bytes, size_t size, struct pare_image *out,
                      struct pare_error *err)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t jpeg[3] = {0xff, 0xd8, 0xff};
    if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        return pare_image_decode_png(name, bytes, size, out, err);
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        return pare_image_decode_jpeg(name, bytes, size, out, err);
    return pare_error_set(err, PARE_INVALID, "%s is neither a JPEG nor a PNG image", name);
}

int pare_image_convert(struct pare_image *image, uint32_t channels, struct pare_error *err)
{
    struct pare_image made;
    const uint8_t *p = image->pixels;
    const size_t n = (size_t)image->width * image->height;
    if (image->channels == channels)
        return PARE_OK;
    if (image->channels + channels != 4 || (channels != 1 && channels != 3))
        return pare_error_set(err, PARE_UNSUPPORTED,
                              "an image of %u channels cannot become one of %u", image->channels,
                              channels);
    int rc = pare_image_new(image->width, image->height, channels, &made, err);
    if (rc != PARE_OK)
        return rc;
    if (channels == 1) {
        for (size_t i = 0; i < n; i++, p += 3)
            made.pixels[i] =
                (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
    } else {
        for (size_t i = 0; i < n; i++)
            memset(made.pixels + 3 * i, p[i], 3);
    }
    free(image->pixels);
    *image = made;
    return PARE_OK;
}
