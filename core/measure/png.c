/* SPDX-License-Identifier: Apache-2.0 */
/* PNG by libpng. Its errors come back by longjmp: what must survive one lies in struct job. */
#include "measure/image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct job {
    const uint8_t *at;
    size_t left;
    png_structp png;
    png_infop info;
    struct pare_image image;
    png_bytep *rows;
    char message[200];
    int rc;
};

static void on_error(png_structp png, png_const_charp text)
{
    struct job *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof job->message, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    struct job *job = png_get_io_ptr(png);
    if (n > job->left)
        png_error(png, "the file ends too early");
    memcpy(to, job->at, n);
    job->at += n;
    job->left -= n;
}

/* Deflate packs at most 1032 to 1: what claims more is refused before memory is asked for. */
static int check_size(const struct job *job, uint64_t bits_per_pixel, const char *name,
                      struct pare_error *err)
{
    uint64_t w = png_get_image_width(job->png, job->info);
    uint64_t h = png_get_image_height(job->png, job->info);
    if (w * h > PARE_PIXELS_MAX || w * h / 8 * bits_per_pixel / 1040 > job->left)
        return pare_error_set(err, PARE_INVALID, "%s: %ju x %ju pixels in %zu bytes are not read",
                              name, (uintmax_t)w, (uintmax_t)h, job->left);
    return PARE_OK;
}

/* The part that libpng may leave by longjmp. */
static int decode(struct job *job, const char *name, struct pare_error *err)
{
    if (setjmp(png_jmpbuf(job->png))) {
        pare_error_set(err, PARE_INVALID, "%s is a broken PNG", name);
        pare_error_detail(err, "%s", job->message);
        return PARE_INVALID;
    }
    png_set_read_fn(job->png, job, on_read);
    png_read_info(job->png, job->info);
    unsigned type = png_get_color_type(job->png, job->info);
    unsigned depth = png_get_bit_depth(job->png, job->info);
    job->rc = check_size(job, (uint64_t)png_get_channels(job->png, job->info) * depth, name, err);
    if (job->rc != PARE_OK)
        return job->rc;
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(job->png);
    else if (depth < 8)
        png_set_expand_gray_1_2_4_to_8(job->png);
    if (depth == 16)
        png_set_strip_16(job->png);
    png_set_strip_alpha(job->png); /* the palette's, too */
    png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
    uint32_t channels = type == PNG_COLOR_TYPE_PALETTE || (type & PNG_COLOR_MASK_COLOR) ? 3 : 1;
    job->rc = pare_image_new(png_get_image_width(job->png, job->info),
                             png_get_image_height(job->png, job->info), channels, &job->image, err);
    if (job->rc != PARE_OK)
        return job->rc;
    size_t line = (size_t)job->image.width * channels;
    if (png_get_rowbytes(job->png, job->info) != line)
        png_error(job->png, "rows of an unexpected length");
    job->rows = pare_alloc(job->image.height, sizeof *job->rows);
    if (!job->rows)
        return pare_error_nomem(err, job->image.height * sizeof *job->rows);
    for (uint32_t y = 0; y < job->image.height; y++)
        job->rows[y] = job->image.pixels + y * line;
    png_read_image(job->png, job->rows);
    png_read_end(job->png, NULL); /* the last checksums */
    return PARE_OK;
}

int pare_image_decode_png(const char *name, const void *bytes, size_t size, struct pare_image *out,
                          struct pare_error *err)
{
    struct job job = {.at = bytes, .left = size};
    int rc = PARE_OK;
    job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;
    if (!job.info) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(decode(&job, name, err));
    *out = job.image;
    job.image.pixels = NULL;
out:
    free(job.image.pixels);
    free(job.rows);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    return rc;
}
