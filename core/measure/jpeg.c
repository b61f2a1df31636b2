/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG by libjpeg-turbo. Its errors come back by longjmp: what must survive one lies in struct
 * job. */
#include "measure/image.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/mem.h"

/* A progressive file of a few bytes can ask for work without end: scans past this are refused. */
#define SCANS_MAX 500

struct job {
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct d;
    jmp_buf back;
    struct pare_image image;
    uint8_t *line; /* one row of CMYK */
    char message[JMSG_LENGTH_MAX];
    int rc;
};

static void leave(struct job *job, const char *message)
{
    snprintf(job->message, sizeof job->message, "%s", message);
    longjmp(job->back, 1);
}

static void on_error(j_common_ptr d)
{
    struct job *job = d->client_data;
    char text[JMSG_LENGTH_MAX];
    d->err->format_message(d, text);
    leave(job, text);
}

/* Warnings are damage that libjpeg can live with; so can everybody else's reader, but for a file
 * that ends too early. */
static void on_message(j_common_ptr d, int level)
{
    if (level < 0 && d->err->msg_code == JWRN_JPEG_EOF)
        leave(d->client_data, "the file ends too early");
}

static void on_progress(j_common_ptr d)
{
    struct job *job = d->client_data;
    if (job->d.input_scan_number > SCANS_MAX)
        leave(job, "it has too many scans");
}

/* ---- EXIF's orientation
 * -------------------------------------------------------------------------- */

static uint32_t number(const uint8_t *p, unsigned bytes, bool little)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[little ? bytes - 1 - i : i];
    return v;
}

/* The value of tag 0x0112 in the first directory of an APP1 segment (CIPA DC-008, 4.6); 1 when
 * there is none. */
static unsigned exif_orientation(const uint8_t *p, size_t n)
{
    if (n < 14 || memcmp(p, "Exif\0\0", 6) != 0 || (p[6] != 'I' && p[6] != 'M'))
        return 1;
    p += 6;
    n -= 6;
    const bool little = p[0] == 'I';
    const size_t at = number(p + 4, 4, little);
    if (at > n - 2)
        return 1;
    const size_t entries = number(p + at, 2, little);
    for (size_t i = 0; i < entries && at + 2 + 12 * (i + 1) <= n; i++) {
        const uint8_t *entry = p + at + 2 + 12 * i;
        if (number(entry, 2, little) == 0x0112 && number(entry + 2, 2, little) == 3) {
            unsigned value = number(entry + 8, 2, little);
            return value >= 1 && value <= 8 ? value : 1;
        }
    }
    return 1;
}

/* Turn the image upright: 2 to 4 mirror and rotate by half, 5 to 8 swap the axes. */
static int upright(struct pare_image *image, unsigned orientation, struct pare_error *err)
{
    const bool swap = orientation >= 5;
    const bool flip_x =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool flip_y =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const uint32_t w = image->width, h = image->height, c = image->channels;
    struct pare_image made;
    int rc;
    if (orientation <= 1)
        return PARE_OK;
    rc = pare_image_new(swap ? h : w, swap ? w : h, c, &made, err);
    if (rc != PARE_OK)
        return rc;
    for (uint32_t y = 0; y < made.height; y++) {
        for (uint32_t x = 0; x < made.width; x++) {
            uint32_t from_x = swap ? y : x, from_y = swap ? x : y;
            from_x = flip_x ? w - 1 - from_x : from_x;
            from_y = flip_y ? h - 1 - from_y : from_y;
            memcpy(made.pixels + ((size_t)y * made.width + x) * c,
                   image->pixels + ((size_t)from_y * w + from_x) * c, c);
        }
    }
    free(image->pixels);
    *image = made;
    return PARE_OK;
}

/* ---- pixels
 * -------------------------------------------------------------------------------------- */

/* Pillow's CMYK to RGB. Adobe's files hold the inverse. */
static void from_cmyk(const uint8_t *line, uint32_t width, bool inverse, uint8_t *rgb)
{
    for (uint32_t x = 0; x < width; x++, line += 4, rgb += 3) {
        const unsigned flip = inverse ? 255 : 0, rest = 255 - (line[3] ^ flip);
        for (unsigned c = 0; c < 3; c++) {
            unsigned t = (line[c] ^ flip) * rest + 128;
            rgb[c] = (uint8_t)(rest - (((t >> 8) + t) >> 8));
        }
    }
}

static unsigned file_orientation(const struct jpeg_decompress_struct *d)
{
    for (jpeg_saved_marker_ptr m = d->marker_list; m; m = m->next) {
        unsigned found = exif_orientation(m->data, m->data_length);
        if (found != 1)
            return found;
    }
    return 1;
}

/* The part that libjpeg may leave by longjmp. */
static int decode(struct job *job, const char *name, const void *bytes, size_t size,
                  struct pare_error *err)
{
    struct jpeg_decompress_struct *d = &job->d;
    if (setjmp(job->back)) {
        pare_error_set(err, PARE_INVALID, "%s is a broken JPEG", name);
        pare_error_detail(err, "%s", job->message);
        return PARE_INVALID;
    }
    jpeg_create_decompress(d);
    d->progress = &job->progress;
    jpeg_mem_src(d, bytes, (unsigned long)size);
    jpeg_save_markers(d, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(d, TRUE);
    if ((uint64_t)d->image_width * d->image_height > PARE_PIXELS_MAX)
        leave(job, "it has too many pixels");
    const uint32_t channels = d->num_components == 1 ? 1 : 3;
    d->out_color_space = d->num_components == 1   ? JCS_GRAYSCALE
                         : d->num_components == 4 ? JCS_CMYK
                                                  : JCS_RGB;
    jpeg_start_decompress(d);
    job->rc = pare_image_new(d->output_width, d->output_height, channels, &job->image, err);
    if (job->rc != PARE_OK)
        return job->rc;
    if (d->out_color_space == JCS_CMYK) {
        job->line = pare_alloc(d->output_width, 4);
        if (!job->line)
            return pare_error_nomem(err, (uint64_t)d->output_width * 4);
    }
    while (d->output_scanline < d->output_height) {
        uint8_t *row = job->image.pixels + (size_t)d->output_scanline * d->output_width * channels;
        JSAMPROW into = job->line ? job->line : row;
        jpeg_read_scanlines(d, &into, 1);
        if (job->line)
            from_cmyk(job->line, d->output_width, d->saw_Adobe_marker, row);
    }
    unsigned orientation = file_orientation(d);
    jpeg_finish_decompress(d);
    return upright(&job->image, orientation, err);
}

int pare_image_decode_jpeg(const char *name, const void *bytes, size_t size, struct pare_image *out,
                           struct pare_error *err)
{
    struct job *job = calloc(1, sizeof *job);
    int rc = job ? PARE_OK : pare_error_nomem(err, sizeof *job);
    if (rc != PARE_OK)
        return rc;
    job->d.err = jpeg_std_error(&job->errors);
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    job->progress.progress_monitor = on_progress;
    job->d.client_data = job;
    PARE_TRY(decode(job, name, bytes, size, err));
    *out = job->image;
    job->image.pixels = NULL;
out:
    jpeg_destroy_decompress(&job->d);
    free(job->image.pixels);
    free(job->line);
    free(job);
    return rc;
}
