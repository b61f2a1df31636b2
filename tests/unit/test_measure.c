/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <sys/stat.h>
#include <zlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "measure/array.h"
#include "measure/data_json.h"
#include "measure/image.h"
#include "measure/measure.h"
#include "measure/source.h"
#include "tests/unit/fashion_logits.h"

/* All test images take minutes with sanitizers; there the first ones must do. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static struct pare_error err;

/* ---- helpers
 * ------------------------------------------------------------------------------------- */

/* The pattern of tests/fixtures/make_images.py. */
static struct pare_image pattern(uint32_t w, uint32_t h, uint32_t c)
{
    struct pare_image image;
    uint32_t state = 12345;
    const size_t n = (size_t)w * h * c;
    ck_assert_ok(pare_image_new(w, h, c, &image, &err), err);
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        image.pixels[i] = (uint8_t)((state >> 24) / 2 + i * 128 / n);
    }
    return image;
}

static void ck_pixels(const char *what, const struct pare_image *image, const char *expected)
{
    char hex[PARE_HASH_HEX];
    pare_hash_bytes(image->pixels, (size_t)image->width * image->height * image->channels, hex);
    ck_assert_msg(strcmp(hex, expected) == 0, "%s", what);
}

static char *read_fixture(const char *name, size_t *size)
{
    char path[256], *data;
    snprintf(path, sizeof path, "tests/fixtures/images/%s", name);
    ck_assert_ok(pare_file_read(pare_test_source(path), 1u << 20, &data, size, &err), err);
    return data;
}

/* Go through the lines of expected.txt that begin with `kind`; `text` holds the rest. */
struct lines {
    char *all, *at;
};

static bool next_line(struct lines *l, const char *kind, char text[256])
{
    size_t size;
    if (!l->all)
        l->at = l->all = read_fixture("expected.txt", &size);
    while (*l->at) {
        const size_t length = strcspn(l->at, "\n"), n = strlen(kind);
        const char *line = l->at;
        l->at += length + 1;
        if (strncmp(line, kind, n) == 0 && line[n] == ' ') {
            snprintf(text, 256, "%.*s", (int)(length - n - 1), line + n + 1);
            return true;
        }
    }
    free(l->all);
    return false;
}

static char folder[4096];
static struct pare_pool paths;

static void set_up(void)
{
    snprintf(folder, sizeof folder, "%s", pare_test_folder());
}

static void tear_down(void)
{
    pare_remove_tree(folder, NULL);
    pare_pool_free(&paths);
}

/* A path within the test's folder; it stays valid throughout the test. */
static const char *in_folder(const char *name)
{
    char *path = pare_pool_printf(&paths, "%s/%s", folder, name);
    ck_assert_ptr_nonnull(path);
    return path;
}

static void put(const char *name, const void *data, size_t size)
{
    char *above = pare_path_folder(in_folder(name));
    ck_assert_ok(pare_make_folders(above, &err), err);
    ck_assert_ok(pare_file_write(in_folder(name), data, size, &err), err);
    free(above);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static void put_fixture(const char *name, const char *fixture)
{
    size_t size;
    char *data = read_fixture(fixture, &size);
    put(name, data, size);
    free(data);
}

static void put_gzip(const char *name, const void *data, size_t size)
{
    gzFile f = gzopen(in_folder(name), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(gzwrite(f, data, (unsigned)size), (int)size);
    gzclose(f);
}

/* An IDX header in front of bytes 0, 1, 2...; returns all bytes, freed by the caller. */
static uint8_t *idx(unsigned rank, const uint32_t *dims, size_t *size)
{
    size_t n = 1;
    for (unsigned i = 0; i < rank; i++)
        n *= dims[i];
    uint8_t *p = pare_alloc(4 + 4 * rank + n, 1);
    memcpy(p, (uint8_t[]){0, 0, 8, (uint8_t)rank}, 4);
    for (unsigned i = 0; i < rank; i++) {
        for (unsigned b = 0; b < 4; b++)
            p[4 + 4 * i + b] = (uint8_t)(dims[i] >> (24 - 8 * b));
    }
    for (size_t i = 0; i < n; i++)
        p[4 + 4 * rank + i] = (uint8_t)i;
    *size = 4 + 4 * rank + n;
    return p;
}

static void put_idx(const char *name, unsigned rank, const uint32_t *dims)
{
    size_t size;
    uint8_t *p = idx(rank, dims, &size);
    put(name, p, size);
    free(p);
}

static void put_npy(const char *name, const char *header, const void *data, size_t size)
{
    uint8_t all[8192] = "\x93NUMPY\x01";
    const size_t length = strlen(header);
    ck_assert(10 + length + size <= sizeof all);
    all[8] = (uint8_t)length;
    all[9] = (uint8_t)(length >> 8);
    memcpy(all + 10, header, length);
    if (size)
        memcpy(all + 10 + length, data, size);
    put(name, all, 10 + length + size);
}

/* A model without nodes: its output is its image, so it has as many classes as pixels a channel. */
static struct pare_model bare_model(uint32_t channels, uint32_t height, uint32_t width)
{
    struct pare_model m = {0};
    ck_assert_ok(pare_graph_new(channels, height, width, &m.graph, &err), err);
    m.preprocess.channels = channels;
    return m;
}

/* Four 2 x 2 images of the bytes 0 to 15 with the labels 0 to 3. */
static struct pare_model four_samples(void)
{
    put_idx("a-images-idx3-ubyte", 3, (uint32_t[]){4, 2, 2});
    put_idx("a-labels-idx1-ubyte", 1, (uint32_t[]){4});
    return bare_model(1, 2, 2);
}

static struct pare_dataset *open_data(const struct pare_data_spec *spec,
                                      const struct pare_model *model)
{
    struct pare_dataset *d = NULL;
    ck_assert_ok(pare_dataset_open(spec, model, &d, &err), err);
    return d;
}

static void ck_refused(const struct pare_data_spec *spec, const struct pare_model *model,
                       int status, const char *what)
{
    struct pare_dataset *d = NULL;
    const int rc = pare_dataset_open(spec, model, &d, &err);
    ck_assert_msg(rc == status && d == NULL, "status %d, '%s'", rc, err.what);
    ck_assert_msg(strstr(err.what, what) || strstr(err.detail, what), "'%s' not in '%s' '%s'", what,
                  err.what, err.detail);
}

static void ck_floats(struct pare_dataset *d, uint32_t sample, size_t n, const float *expected)
{
    float out[64];
    ck_assert_ok(pare_dataset_read(d, sample, 1, out, NULL, &err), err);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(out[i] == expected[i], "%zu: %g, not %g", i, (double)out[i],
                      (double)expected[i]);
}

/* ---- images
 * -------------------------------------------------------------------------------------- */

START_TEST(decodes_as_pillow)
{
    struct lines l = {0};
    char text[256], name[64], hex[PARE_HASH_HEX];
    struct pare_image image;
    unsigned w, h, c, n = 0;
    while (next_line(&l, "decode", text)) {
        size_t size;
        ck_assert_int_eq(sscanf(text, "%63s %u %u %u %64s", name, &w, &h, &c, hex), 5);
        char *data = read_fixture(name, &size);
        ck_assert_ok(pare_image_decode(name, data, size, &image, &err), err);
        ck_assert_msg(image.width == w && image.height == h && image.channels == c,
                      "%s: %u x %u x %u", name, image.width, image.height, image.channels);
        ck_pixels(name, &image, hex);
        free(image.pixels);
        free(data);
        n++;
    }
    ck_assert_uint_ge(n, 24);
}
END_TEST

START_TEST(resizes_as_pillow)
{
    struct lines l = {0};
    char text[256], hex[PARE_HASH_HEX];
    unsigned w, h, c, r, width, height, n = 0;
    while (next_line(&l, "resize", text)) {
        struct pare_image made, image;
        ck_assert_int_eq(
            sscanf(text, "%u %u %u %u %u %u %64s", &w, &h, &c, &r, &width, &height, hex), 7);
        image = pattern(w, h, c);
        ck_assert_ok(pare_image_resize(&image, width, height, r, &made, &err), err);
        ck_assert(made.width == width && made.height == height && made.channels == c);
        ck_pixels(text, &made, hex);
        free(image.pixels);
        free(made.pixels);
        n++;
    }
    ck_assert_uint_ge(n, 88);
}
END_TEST

START_TEST(converts_as_pillow)
{
    struct lines l = {0};
    char text[256], hex[PARE_HASH_HEX];
    unsigned w, h, from, to, n = 0;
    while (next_line(&l, "convert", text)) {
        ck_assert_int_eq(sscanf(text, "%u %u %u %u %64s", &w, &h, &from, &to, hex), 5);
        struct pare_image image = pattern(w, h, from);
        ck_assert_ok(pare_image_convert(&image, to, &err), err);
        ck_pixels(text, &image, hex);
        free(image.pixels);
        n++;
    }
    ck_assert_uint_eq(n, 2);
}
END_TEST

#define IMAGENET                                                                                   \
    .rescale = true, .factor = 1.0 / 255, .normalize = true, .mean = {0.485, 0.456, 0.406},        \
    .deviation = {0.229, 0.224, 0.225}
static const struct {
    const char *name;
    struct pare_preprocess p;
} ways[] = {
    {"vit",
     {.resize = true,
      .resize_height = 24,
      .resize_width = 24,
      .resample = 2,
      .rescale = true,
      .factor = 1.0 / 255,
      .normalize = true,
      .mean = {0.5, 0.5, 0.5},
      .deviation = {0.5, 0.5, 0.5}}},
    {"deit",
     {.resize = true,
      .resize_height = 26,
      .resize_width = 26,
      .resample = 3,
      .crop = true,
      .crop_height = 24,
      .crop_width = 24,
      IMAGENET}},
    {"clip",
     {.resize = true,
      .shortest_edge = 24,
      .resample = 3,
      .crop = true,
      .crop_height = 24,
      .crop_width = 24,
      IMAGENET}},
    {"padded", {.crop = true, .crop_height = 24, .crop_width = 24, IMAGENET}},
    {"bare", {.resize = true, .resize_height = 24, .resize_width = 24}},
};

START_TEST(prepares_as_transformers)
{
    struct lines l = {0};
    char text[256], name[32], expected[PARE_HASH_HEX], hex[PARE_HASH_HEX];
    unsigned w, h, c, n = 0;
    static float out[3 * 24 * 24];
    while (next_line(&l, "prepare", text)) {
        ck_assert_int_eq(sscanf(text, "%31s %u %u %u %64s", name, &w, &h, &c, expected), 5);
        size_t i = 0;
        while (i < PARE_COUNT(ways) && strcmp(ways[i].name, name) != 0)
            i++;
        ck_assert_uint_lt(i, PARE_COUNT(ways));
        struct pare_image image = pattern(w, h, c);
        ck_assert_ok(pare_preprocess_image(&ways[i].p, 3, 24, 24, &image, out, &err), err);
        pare_hash_bytes(out, sizeof out, hex);
        ck_assert_msg(strcmp(hex, expected) == 0, "%s", text);
        free(image.pixels);
        n++;
    }
    ck_assert_uint_eq(n, 30);
}
END_TEST

START_TEST(image_of_another_size)
{
    struct pare_preprocess p = {0};
    struct pare_image image = pattern(5, 4, 1);
    float out[64];
    ck_assert_int_eq(pare_preprocess_image(&p, 1, 4, 4, &image, out, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "5 x 4"));
    p.resize = true;
    p.shortest_edge = 16384; /* 1 x 60000 pixels would become 16384 x 983040000 */
    free(image.pixels);
    image = pattern(1, 60000, 1);
    ck_assert_int_eq(pare_preprocess_image(&p, 1, 4, 4, &image, out, &err), PARE_INVALID);
    free(image.pixels);
}
END_TEST

/* However a file is cut off, that is seen. */
START_TEST(truncated_images)
{
    static const char *const names[] = {"rgb.png", "interlaced.png",  "palette.png", "grey16.png",
                                        "rgb.jpg", "progressive.jpg", "cmyk.jpg",    "turned6.jpg"};
    for (size_t i = 0; i < PARE_COUNT(names); i++) {
        size_t size;
        char *data = read_fixture(names[i], &size);
        for (size_t cut = 0; cut < size; cut++) {
            struct pare_image image = {0};
            char *part = pare_alloc(cut, 1); /* of its own, so that sanitizers see its end */
            memcpy(part, data, cut);
            ck_assert_msg(pare_image_decode(names[i], part, cut, &image, &err) == PARE_INVALID,
                          "%s was read when cut at %zu of %zu", names[i], cut, size);
            ck_assert_ptr_null(image.pixels);
            free(part);
        }
        free(data);
    }
}
END_TEST

START_TEST(broken_images)
{
    struct pare_image image = {0};
    size_t size;
    char *png = read_fixture("rgb.png", &size);
    png[size - 20] ^= 1; /* in the last data: the checksum differs */
    ck_assert_int_eq(pare_image_decode("x.png", png, size, &image, &err), PARE_INVALID);
    ck_assert_str_eq(err.what, "x.png is a broken PNG");
    png[size - 20] ^= 1;
    memcpy(png + 16, "\0\0\x7f\xff\0\0\x7f\xff", 8); /* a small file of 32767 x 32767 pixels */
    const uint32_t crc = pare_crc32(0, png + 12, 17);
    memcpy(png + 29, (uint8_t[]){crc >> 24, crc >> 16 & 255, crc >> 8 & 255, crc & 255}, 4);
    ck_assert_int_eq(pare_image_decode("x.png", png, size, &image, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "32767 x 32767"));
    free(png);

    char *jpeg = read_fixture("rgb.jpg", &size);
    memset(jpeg + 2, 0, size - 2);
    ck_assert_int_eq(pare_image_decode("x.jpg", jpeg, size, &image, &err), PARE_INVALID);
    ck_assert_int_eq(pare_image_decode("x.txt", "hello", 5, &image, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "neither a JPEG nor a PNG"));
    free(jpeg);
}
END_TEST

/* ---- arrays
 * -------------------------------------------------------------------------------------- */

START_TEST(idx_plain_and_gzipped)
{
    struct pare_array plain, packed, head;
    size_t size;
    uint8_t *p = idx(3, (uint32_t[]){3, 4, 5}, &size);
    put("plain", p, size);
    put_gzip("packed.gz", p, size);
    ck_assert_ok(pare_array_open(in_folder("plain"), false, &plain, &err), err);
    ck_assert_ok(pare_array_open(in_folder("packed.gz"), false, &packed, &err), err);
    ck_assert_ok(pare_array_open(in_folder("packed.gz"), true, &head, &err), err);
    ck_assert(plain.rank == 3 && plain.dims[0] == 3 && plain.dims[2] == 5 && plain.bytes == 60);
    ck_assert_ptr_null(head.data);
    ck_assert(head.rank == 3 && head.dims[1] == 4);
    ck_assert(packed.bytes == 60 && memcmp(plain.data, packed.data, 60) == 0);
    pare_array_close(&plain);
    pare_array_close(&packed);
    pare_array_close(&head);
    free(p);
}
END_TEST

static void ck_array_refused(const char *name, int status, const char *what)
{
    struct pare_array a = {0};
    const int rc = pare_array_open(in_folder(name), false, &a, &err);
    ck_assert_msg(rc == status && strstr(err.what, what), "%s: status %d, '%s', not '%s'", name, rc,
                  err.what, what);
    ck_assert_ptr_null(a.data);
}

START_TEST(broken_idx)
{
    size_t size, packed_size;
    char *packed;
    uint8_t *p = idx(3, (uint32_t[]){30, 4, 5}, &size);
    put("short", p, size - 1);
    ck_array_refused("short", PARE_INVALID, "is truncated");
    put("header", p, 10);
    ck_array_refused("header", PARE_INVALID, "is truncated");
    put("long", p, size); /* the header then tells of one image less */
    p[7] = 29;
    put("long", p, size);
    ck_array_refused("long", PARE_INVALID, "longer than its header");
    put_gzip("long.gz", p, size);
    ck_array_refused("long.gz", PARE_INVALID, "longer than its header");
    p[7] = 31;
    put_gzip("short.gz", p, size);
    ck_array_refused("short.gz", PARE_INVALID, "is truncated");
    p[7] = 30;
    put_gzip("cut.gz", p, size);
    ck_assert_ok(pare_file_read(in_folder("cut.gz"), 1u << 20, &packed, &packed_size, &err), err);
    for (size_t cut = 2; cut < packed_size; cut++) {
        put("cut.gz", packed, cut);
        ck_array_refused("cut.gz", PARE_INVALID, "is truncated");
    }
    packed[packed_size - 6] ^= 1; /* the checksum */
    put("cut.gz", packed, packed_size);
    ck_array_refused("cut.gz", PARE_INVALID, "is a broken gzip file");
    free(packed);
    p[2] = 0x0d;
    put("floats", p, size);
    ck_array_refused("floats", PARE_UNSUPPORTED, "type 0x0d");
    put("text", "hello, world", 12);
    ck_array_refused("text", PARE_INVALID, "is neither an IDX nor a .npy file");
    put("empty", "", 0);
    ck_array_refused("empty", PARE_INVALID, "is neither");
    ck_array_refused("absent", PARE_NOT_FOUND, "");
    free(p);
}
END_TEST

/* A small file whose header asks for 4 EB, and one that holds what its header says, but a lot. */
START_TEST(gzip_bombs)
{
    uint8_t head[16] = {0, 0, 8, 3, 0x40, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0};
    put_gzip("claims.gz", head, sizeof head);
    ck_array_refused("claims.gz", PARE_INVALID, "more than the file can hold");
    memcpy(head + 4, (uint8_t[]){0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, 12);
    gzFile f = gzopen(in_folder("swells.gz"), "wb9");
    static const uint8_t zeros[1 << 16];
    gzwrite(f, head, sizeof head);
    for (unsigned i = 0; i < 256; i++)
        gzwrite(f, zeros, sizeof zeros);
    gzclose(f);
    ck_array_refused("swells.gz", PARE_INVALID, "longer than its header");
}
END_TEST

START_TEST(broken_npy)
{
    static const struct {
        const char *header;
        int status;
        const char *what;
    } cases[] = {
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 3), }", PARE_INVALID,
         "longer than"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 5), }", PARE_INVALID,
         "is truncated"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }",
         PARE_INVALID, "is truncated"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 1), }",
         PARE_INVALID, "does not parse"},
        {"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2, 4), }", PARE_UNSUPPORTED,
         "Fortran"},
        {"{'descr': '>u2', 'fortran_order': False, 'shape': (2, 2, 2), }", PARE_UNSUPPORTED,
         "'>u2'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 2, 2), }", PARE_UNSUPPORTED, "'|O'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }", PARE_INVALID,
         "does not parse"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (), }", PARE_INVALID, "0 dimensions"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 16), }", PARE_INVALID,
         "5 dimensions"},
        {"{'descr': '|u1', 'shape': (16,), }", PARE_INVALID, "does not parse"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (16,", PARE_INVALID, "does not parse"},
        {"", PARE_INVALID, "does not parse"},
    };
    const uint8_t data[16] = {0};
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        put_npy("x.npy", cases[i].header, data, sizeof data);
        ck_array_refused("x.npy", cases[i].status, cases[i].what);
    }
    put("x.npy", "\x93NUMPY\x01\0\xff\xff{}", 12);
    ck_array_refused("x.npy", PARE_INVALID, "is truncated");
    put("x.npy", "\x93NUMPY\x09\0\x02\0{}  ", 14);
    ck_array_refused("x.npy", PARE_UNSUPPORTED, "version 9");
    put("x.npy", "\x93NUMPY", 6);
    ck_array_refused("x.npy", PARE_INVALID, "is truncated");
}
END_TEST

/* ---- data sets
 * ----------------------------------------------------------------------------------- */

START_TEST(npy_pairs)
{
    const uint8_t pixels[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const float planes[6] = {0, 1.5f, -2, 3, 4, 5};
    const double wide[6] = {0, 1, 2, 3, 4, NAN};
    const int64_t labels[2] = {1, 0}, negative[2] = {0, -1}, three[3] = {0};
    struct pare_model grey = bare_model(1, 1, 2), rgb = bare_model(3, 1, 2);
    struct pare_data_spec spec = {.inputs = in_folder("x.npy"), .labels = in_folder("y.npy")};
    struct pare_dataset *d;
    uint32_t got[2];
    float out[12];
    put_npy("y.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", labels, 16);

    put_npy("x.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 2), }", pixels, 4);
    d = open_data(&spec, &grey);
    ck_assert_uint_eq(pare_dataset_size(d), 2);
    ck_assert(pare_dataset_has_labels(d));
    ck_assert_uint_eq(pare_dataset_classes(d), 2);
    ck_assert_ok(pare_dataset_read(d, 0, 2, out, got, &err), err);
    ck_assert(got[0] == 1 && got[1] == 0 && out[3] == 3.0f);
    ck_assert_int_eq(pare_dataset_read(d, 1, 2, out, got, &err), PARE_INVALID);
    pare_dataset_close(d);

    put_npy("x.npy", "{'shape': (2, 1, 2, 3), 'fortran_order': False, 'descr': '|u1'}", pixels, 12);
    d = open_data(&spec, &rgb);
    ck_floats(d, 1, 6, (float[]){6, 9, 7, 10, 8, 11});
    pare_dataset_close(d);

    put_npy("x.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 1, 2), }", pixels,
            12);
    d = open_data(&spec, &rgb);
    ck_floats(d, 1, 6, (float[]){6, 7, 8, 9, 10, 11});
    pare_dataset_close(d);

    spec.labels = NULL;
    put_npy("x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 1, 2), }", planes,
            24);
    d = open_data(&spec, &rgb);
    ck_assert(!pare_dataset_has_labels(d) && pare_dataset_classes(d) == 0);
    ck_floats(d, 0, 6, planes);
    ck_assert_ok(pare_dataset_read(d, 0, 1, out, got, &err), err);
    ck_assert_uint_eq(got[0], UINT32_MAX);
    pare_dataset_close(d);
    ck_refused(&spec, &grey, PARE_INVALID, "do not fit the model's 1 x 1 x 2");

    put_npy("x.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 2, 3), }", wide, 48);
    d = open_data(&spec, &rgb);
    ck_assert_int_eq(pare_dataset_read(d, 0, 1, out, NULL, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "not finite"));
    pare_dataset_close(d);
    put_npy("x.npy", "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2, 3), }", wide, 24);
    ck_refused(&spec, &grey, PARE_UNSUPPORTED, "4-byte integers");
    put_npy("x.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 6), }", pixels, 12);
    ck_refused(&spec, &grey, PARE_INVALID, "2 dimensions");
    put_npy("x.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 2, 2), }", pixels, 0);
    ck_refused(&spec, &grey, PARE_INVALID, "0 samples");

    put_npy("x.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 2), }", pixels, 4);
    spec.labels = in_folder("y.npy");
    put_npy("y.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", three, 24);
    ck_refused(&spec, &grey, PARE_INVALID, "has 2 images");
    put_npy("y.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", negative, 16);
    ck_refused(&spec, &grey, PARE_INVALID, "label of sample 1 is out of range");
    put_npy("y.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", wide, 16);
    ck_refused(&spec, &grey, PARE_INVALID, "holds no labels");
    pare_graph_free(grey.graph);
    pare_graph_free(rgb.graph);
}
END_TEST

START_TEST(chooses_samples)
{
    struct pare_model m = four_samples(), small = bare_model(1, 1, 2);
    struct pare_data_spec spec = {.from = folder};
    struct pare_dataset *d = open_data(&spec, &m), *part, *again;
    uint32_t labels[4], seen = 0;
    float out[16];
    ck_assert_str_eq(pare_dataset_split(d), "a");
    ck_assert_uint_eq(pare_dataset_size(d), 4);
    ck_assert_uint_eq(pare_dataset_classes(d), 4);

    spec.skip = 1;
    spec.samples = 2;
    part = open_data(&spec, &m);
    ck_assert_ok(pare_dataset_read(part, 0, 2, out, labels, &err), err);
    ck_assert(labels[0] == 1 && labels[1] == 2 && out[0] == 4.0f && out[7] == 11.0f);
    ck_assert_str_ne(pare_dataset_hash(part), pare_dataset_hash(d));
    pare_dataset_close(part);

    /* a shuffle is of the whole split, comes from its seed, and leaves nothing out */
    spec = (struct pare_data_spec){.from = folder, .shuffle = true, .seed = 3};
    part = open_data(&spec, &m);
    again = open_data(&spec, &m);
    ck_assert_str_eq(pare_dataset_hash(part), pare_dataset_hash(again));
    ck_assert_ok(pare_dataset_read(part, 0, 4, out, labels, &err), err);
    for (unsigned i = 0; i < 4; i++) {
        seen |= 1u << labels[i];
        ck_assert(out[4 * i] == 4.0f * (float)labels[i]);
    }
    ck_assert_uint_eq(seen, 15);
    spec.skip = 3;
    uint32_t last = labels[3];
    pare_dataset_close(again);
    again = open_data(&spec, &m);
    ck_assert_ok(pare_dataset_read(again, 0, 1, out, labels, &err), err);
    ck_assert_uint_eq(labels[0], last);
    pare_dataset_close(again);
    pare_dataset_close(part);

    spec = (struct pare_data_spec){.from = folder, .samples = 5};
    ck_refused(&spec, &m, PARE_INVALID, "5 samples of a are asked for, 4 are there");
    spec.fewer = true;
    part = open_data(&spec, &m);
    ck_assert_uint_eq(pare_dataset_size(part), 4);
    pare_dataset_close(part);
    spec = (struct pare_data_spec){.from = folder, .split = "a", .samples = 3, .skip = 2};
    ck_refused(&spec, &m, PARE_INVALID, "after skipping 2 only 2 are left");
    spec.skip = 4;
    ck_refused(&spec, &m, PARE_INVALID, "nothing of a is left after skipping 4 samples");
    spec.samples = 1;
    ck_refused(&spec, &m, PARE_INVALID, "there is no sample 4 in a");
    spec = (struct pare_data_spec){.from = folder, .skip = 4};
    ck_refused(&spec, &m, PARE_INVALID, "nothing of a is left");
    spec = (struct pare_data_spec){.from = folder, .skip = UINT64_MAX, .samples = UINT64_MAX};
    ck_refused(&spec, &m, PARE_INVALID, "nothing of a is left");
    spec = (struct pare_data_spec){.from = folder};
    ck_refused(&spec, &small, PARE_INVALID, "label 2 is out of range");
    ck_assert_ptr_nonnull(strstr(err.detail, "2 classes"));

    /* without a model there is a size and a hash, but nothing to read */
    again = open_data(&spec, NULL);
    ck_assert_str_eq(pare_dataset_hash(again), pare_dataset_hash(d));
    ck_assert_int_eq(pare_dataset_read(again, 0, 1, out, NULL, &err), PARE_INVALID);
    pare_dataset_close(again);
    pare_dataset_close(d);
    pare_graph_free(m.graph);
    pare_graph_free(small.graph);
}
END_TEST

START_TEST(hash_is_of_content)
{
    struct pare_model m = four_samples();
    struct pare_data_spec spec = {.from = folder, .split = "a", .samples = 3};
    struct pare_dataset *d = open_data(&spec, &m), *other;
    size_t size;
    uint8_t *p = idx(1, (uint32_t[]){4}, &size);
    p[8 + 3] = 1; /* a label that is not among the three */
    put("a-labels-idx1-ubyte", p, size);
    other = open_data(&spec, &m);
    ck_assert_str_eq(pare_dataset_hash(d), pare_dataset_hash(other));
    pare_dataset_close(other);
    p[8 + 2] = 1;
    put("a-labels-idx1-ubyte", p, size);
    other = open_data(&spec, &m);
    ck_assert_str_ne(pare_dataset_hash(d), pare_dataset_hash(other));
    pare_dataset_close(other);
    pare_dataset_close(d);
    pare_graph_free(m.graph);
    free(p);
}
END_TEST

START_TEST(counts_differ)
{
    struct pare_model m = four_samples();
    struct pare_data_spec spec = {.from = folder};
    put_idx("a-labels-idx1-ubyte", 1, (uint32_t[]){3});
    ck_refused(&spec, &m, PARE_INVALID, "has 4 images");
    pare_graph_free(m.graph);
}
END_TEST

START_TEST(splits)
{
    struct pare_model m = four_samples();
    struct pare_data_spec spec = {.from = folder, .split = "b"};
    struct pare_split list[4];
    struct pare_dataset *d;
    size_t n;
    ck_refused(&spec, &m, PARE_NOT_FOUND, "there: a");
    spec.split = "../a";
    ck_refused(&spec, &m, PARE_NOT_FOUND, "has no split '../a'");

    put_npy("b-images.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 2), }",
            "abcd", 4);
    put_fixture("c/ant/x.png", "grey.png");
    put_text("dataset.yaml", "splits:\n  d: {images: b-images.npy}\n  e: {labels: x}\n");
    spec.split = NULL;
    ck_refused(&spec, &m, PARE_INVALID, "there: a, b, c, d, e");
    spec.split = "d";
    d = open_data(&spec, &m);
    ck_floats(d, 0, 4, (float[]){'a', 'b', 'c', 'd'});
    pare_dataset_close(d);
    spec.split = "e";
    ck_refused(&spec, &m, PARE_INVALID, "dataset.yaml:3:6: expected {images: PATH");
    ck_assert_int_eq(pare_dataset_splits(folder, list, 4, &n, &err), PARE_OK);
    ck_assert_uint_eq(n, 4);
    put_text("dataset.yaml", "splits:\n  d: {images: b-images.npy}\n");
    ck_assert_ok(pare_dataset_splits(folder, list, 4, &n, &err), err);
    ck_assert_uint_eq(n, 4);
    ck_assert_str_eq(list[0].name, "a");
    ck_assert_uint_eq(list[0].samples, 4);
    ck_assert_str_eq(list[2].name, "c");
    ck_assert_uint_eq(list[3].samples, 1);

    put_text("dataset.yaml", "splits: {\n");
    spec.split = "d";
    ck_refused(&spec, &m, PARE_INVALID, "dataset.yaml:2:1");
    put_text("dataset.yaml", "split: {}\n");
    ck_refused(&spec, &m, PARE_INVALID, "dataset.yaml:1:1: expected splits");
    spec.from = in_folder("absent");
    ck_refused(&spec, &m, PARE_NOT_FOUND, "is not a folder");
    ck_assert_ok(pare_make_folders(in_folder("empty"), &err), err);
    spec.from = in_folder("empty");
    ck_refused(&spec, &m, PARE_NOT_FOUND, "holds no data set");
    pare_graph_free(m.graph);
}
END_TEST

START_TEST(image_folders)
{
    struct pare_model m = bare_model(3, 24, 24);
    const char *names[2] = {"bee", "ant"};
    struct pare_data_spec spec = {.from = in_folder("set"), .split = "test"};
    struct pare_dataset *d, *renamed;
    uint32_t labels[4];
    float *out = pare_alloc((size_t)4 * 3 * 24 * 24, sizeof *out), *one = out + 3 * 24 * 24;
    m.preprocess = ways[0].p;
    put_fixture("set/test/bee/2.jpg", "rgb.jpg");
    put_fixture("set/test/bee/1.PNG", "grey.png");
    put_fixture("set/test/ant/9.jpeg", "cmyk.jpg");
    put_text("set/test/bee/notes.txt", "no image");
    put_text("set/test/.hidden/x.png", "no image");
    d = open_data(&spec, &m);
    ck_assert_str_eq(pare_dataset_split(d), "test");
    ck_assert_uint_eq(pare_dataset_size(d), 3);
    ck_assert_uint_eq(pare_dataset_classes(d), 2);
    ck_assert_ok(pare_dataset_read(d, 0, 3, out, labels, &err), err);
    ck_assert(labels[0] == 0 && labels[1] == 1 && labels[2] == 1);
    ck_assert_ok(pare_image_load(in_folder("set/test/bee/1.PNG"), &m, out, &err), err);
    ck_assert_int_eq(memcmp(out, one, sizeof *out * 3 * 24 * 24), 0);

    /* where the folders carry the names of the model's labels, those count; the data are the same
     */
    m.n_labels = 2;
    m.labels = (char **)(uintptr_t)names;
    ck_assert_ptr_nonnull(strstr(pare_dataset_note(d), "classes 0 to 1 in alphabetical order"));
    renamed = open_data(&spec, &m);
    ck_assert_str_eq(pare_dataset_note(renamed), "");
    ck_assert_ok(pare_dataset_read(renamed, 0, 3, out, labels, &err), err);
    ck_assert(labels[0] == 1 && labels[1] == 0 && labels[2] == 0);
    ck_assert_str_eq(pare_dataset_hash(d), pare_dataset_hash(renamed));
    pare_dataset_close(renamed);
    pare_dataset_close(d);

    spec = (struct pare_data_spec){.from = in_folder("set/test")};
    d = open_data(&spec, &m);
    ck_assert_str_eq(pare_dataset_split(d), "all");
    pare_dataset_close(d);

    put("set/test/ant/bad.jpg", "\xff\xd8\xff\xe0 no more", 12);
    put("set/test/ant/bad.png", "\x89PNG\r\n\x1a\n no more", 16);
    d = open_data(&spec, &m);
    ck_assert_int_eq(pare_dataset_read(d, 1, 1, out, labels, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "ant/bad.jpg is a broken JPEG"));
    ck_assert_int_eq(pare_dataset_read(d, 2, 1, out, labels, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "ant/bad.png is a broken PNG"));
    pare_dataset_close(d);
    free(out);
    pare_graph_free(m.graph);
}
END_TEST

/* Which class a folder is, by its name and the model's labels. */
START_TEST(classes_of_folders)
{
    static const char *const labels[] = {"T-shirt/top", "Coat", "Ankle boot", "coats"};
    static const struct {
        const char *names[4];
        uint32_t n, want[4];
        const char *note, *error, *detail, *hint; /* parts of; NULL: there is none */
    } cases[] = {
        {{"Ankle boot", "Coat", "T-shirt_top"}, 3, {2, 1, 0}, NULL, NULL, NULL, NULL},
        {{"T-SHIRT-TOP", "ankle_boot", "coat"}, 3, {0, 2, 1}, NULL, NULL, NULL, NULL},
        {{"00", "10", "2"}, 3, {0, 10, 2}, NULL, NULL, NULL, NULL},
        {{"ant", "bee"}, 2, {0, 1}, "alphabetical order, ant first", NULL, NULL, NULL},
        {{"Coat", "Cota", "ant"}, 3, {0}, NULL, "some not", "2 of 3 are not: Cota, ant", "'Coat'"},
        {{"3", "Coat"}, 2, {0}, NULL, "some not", "1 of 2 are not: 3", "id2label"},
        {{"Coat", "coat"}, 2, {0}, NULL, "the folders Coat and coat are both class 1", "", ""},
        {{"1", "2", "01"}, 3, {0}, NULL, "the folders 1 and 01 are both class 1", "", ""},
    };
    struct pare_model m = {.labels = (char **)(uintptr_t)labels, .n_labels = 4};
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_image_files f = {.names = (const char **)(uintptr_t)cases[i].names,
                                     .n_classes = cases[i].n};
        uint32_t number[4];
        char note[PARE_DATA_NOTE];
        int rc = pare_number_classes(&f, &m, "set", number, note, &err);
        if (cases[i].error) {
            ck_assert_int_eq(rc, PARE_INVALID);
            ck_assert_msg(strstr(err.what, cases[i].error) && strstr(err.detail, cases[i].detail) &&
                              strstr(err.hint, cases[i].hint),
                          "%zu: %s; %s; %s", i, err.what, err.detail, err.hint);
            continue;
        }
        ck_assert_ok(rc, err);
        ck_assert_msg(cases[i].note ? strstr(note, cases[i].note) != NULL : !note[0], "%s", note);
        ck_assert_msg(memcmp(number, cases[i].want, f.n_classes * sizeof *number) == 0, "case %zu",
                      i);
    }
}
END_TEST

/* ---- measuring
 * ----------------------------------------------------------------------------------- */

static struct pare_model *fashion(void)
{
    struct pare_model *m = NULL;
    ck_assert_ok(pare_model_open(pare_test_source("share/models/fashion-vit"), &m, &err), err);
    return m;
}

static struct pare_dataset *fashion_test(const struct pare_model *m, uint64_t samples)
{
    const struct pare_data_spec spec = {
        .from = pare_test_source("share/data/fashion-mnist"), .split = "test", .samples = samples};
    return open_data(&spec, m);
}

/* The first logits of a plan against the independent ones. */
static void ck_logits(const struct pare_model *m, struct pare_dataset *d,
                      const struct pare_plan_options *options, uint32_t n)
{
    struct fashion_logits truth;
    struct pare_plan *plan = NULL;
    float *images = pare_alloc((size_t)n * 28 * 28, sizeof *images), out[64 * 10];
    double worst = 0;
    fashion_logits_read(&truth);
    ck_assert(truth.classes == 10 && n <= truth.images && n <= 64);
    ck_assert_ok(pare_plan_new(m->graph, options, &plan, &err), err);
    ck_assert_ok(pare_dataset_read(d, 0, n, images, NULL, &err), err);
    ck_assert_ok(pare_plan_run(plan, images, n, out, &err), err);
    for (size_t i = 0; i < (size_t)n * 10; i++)
        worst = fmax(worst, fabs((double)out[i] - (double)truth.logits[i]));
    ck_assert_msg(worst <= 1e-4, "logits differ by %g", worst);
    pare_plan_free(plan);
    free(images);
}

START_TEST(logits_are_the_truth)
{
    struct pare_model *m = fashion();
    struct pare_dataset *d = fashion_test(m, 64);
    ck_logits(m, d, &(struct pare_plan_options){.batch = 64, .threads = 2, .isa = -1}, 64);
    ck_logits(m, d,
              &(struct pare_plan_options){.batch = 8, .threads = 1, .isa = -1, .no_fusion = true},
              8);
    ck_logits(m, d,
              &(struct pare_plan_options){.batch = 4, .threads = 1, .isa = -1, .reference = true},
              4);
    ck_logits(m, d, &(struct pare_plan_options){.batch = 4, .threads = 1, .isa = PARE_ISA_SCALAR},
              4);
    pare_dataset_close(d);
    pare_model_free(m);
}
END_TEST

static int count_calls(void *user, uint32_t done)
{
    uint32_t *calls = user;
    calls[0]++;
    calls[1] = done;
    return 0;
}

START_TEST(correct_are_the_truth)
{
    struct fashion_logits truth;
    struct pare_model *m = fashion();
    struct pare_dataset *d = fashion_test(m, SANITIZED ? 500 : 0);
    struct pare_outcomes o;
    uint32_t calls[2] = {0}, right = 0;
    fashion_logits_read(&truth);
    ck_assert_ok(pare_evaluate(m->graph, d, 64, 2, count_calls, calls, &o, &err), err);
    if (!SANITIZED) {
        ck_assert_uint_eq(o.n, truth.samples);
        ck_assert_msg(abs((int)o.correct - (int)truth.correct) <= 2, "%u correct, not %u",
                      o.correct, truth.correct);
    }
    ck_assert(calls[0] > 1 && calls[1] == o.n);
    for (uint32_t i = 0; i < o.n; i++) {
        right += o.predicted[i] == o.target[i];
        ck_assert(o.nll[i] >= 0 && o.nll[i] < 100);
    }
    ck_assert_uint_eq(right, o.correct);
    /* the first one's likelihood, from the independent logits */
    double sum = 0;
    for (unsigned k = 0; k < 10; k++)
        sum += exp((double)truth.logits[k] - (double)truth.logits[o.target[0]]);
    ck_assert(fabs(log(sum) - (double)o.nll[0]) < 1e-4);
    pare_outcomes_free(&o);
    pare_dataset_close(d);
    pare_model_free(m);
}
END_TEST

static int stop_at_once(void *user, uint32_t done)
{
    (void)user;
    return done > 0;
}

START_TEST(outcomes_depend_on_nothing_else)
{
    struct pare_model *m = fashion();
    struct pare_dataset *d = fashion_test(m, 40);
    struct pare_outcomes a, b;
    ck_assert_ok(pare_evaluate(m->graph, d, 1, 1, NULL, NULL, &a, &err), err);
    ck_assert_ok(pare_evaluate(m->graph, d, 17, 2, NULL, NULL, &b, &err), err);
    ck_assert_uint_eq(a.n, 40);
    ck_assert_str_eq(a.first_logits, b.first_logits);
    ck_assert_uint_eq(strlen(a.first_logits), 64);
    ck_assert_int_eq(memcmp(a.nll, b.nll, 40 * sizeof *a.nll), 0);
    ck_assert_int_eq(memcmp(a.predicted, b.predicted, 40 * sizeof *a.predicted), 0);
    pare_outcomes_free(&a);
    pare_outcomes_free(&b);
    ck_assert_int_eq(pare_evaluate(m->graph, d, 8, 1, stop_at_once, NULL, &b, &err),
                     PARE_CANCELLED);
    pare_dataset_close(d);
    pare_model_free(m);
}
END_TEST

START_TEST(without_labels)
{
    struct pare_model *m = fashion();
    const uint32_t dims[3] = {3, 28, 28};
    struct pare_data_spec spec = {.from = folder};
    struct pare_outcomes o;
    put_idx("x-images-idx3-ubyte", 3, dims);
    struct pare_dataset *d = open_data(&spec, m);
    ck_assert_ok(pare_evaluate(m->graph, d, 2, 1, NULL, NULL, &o, &err), err);
    ck_assert_uint_eq(o.n, 3);
    ck_assert_uint_eq(o.correct, 0);
    ck_assert(o.target[2] == UINT32_MAX && isnan(o.nll[2]) && o.predicted[2] < 10);
    pare_outcomes_free(&o);
    pare_dataset_close(d);
    pare_model_free(m);
}
END_TEST

START_TEST(visits)
{
    struct pare_model *m = fashion();
    struct pare_dataset *d = fashion_test(m, 5);
    struct pare_outcomes o;
    struct pare_bench *one, *three, *blind;
    struct pare_visit v;
    ck_assert_ok(pare_evaluate(m->graph, d, 5, 1, NULL, NULL, &o, &err), err);
    ck_assert_ok(pare_bench_new(m->graph, d, &(struct pare_bench_shape){.batch = 1, .threads = 1},
                                &one, &err),
                 err);
    ck_assert_ok(pare_bench_visit(one, &v, &err), err);
    ck_assert(v.n == 1 || (v.n >= 5 && v.n <= 200));
    ck_assert(v.min_ns > 0 && v.min_ns <= v.p50_ns && v.p50_ns <= v.p90_ns && v.p90_ns <= v.max_ns);
    for (uint32_t i = 0; i < v.n; i++)
        ck_assert(v.ns[i] >= v.min_ns && v.ns[i] <= v.max_ns);
    ck_assert(v.steal >= 0 && v.steal <= 1 && v.load1 >= 0 && v.mhz >= 0 && v.nivcsw >= 0);
    ck_assert_str_eq(v.first_logits, o.first_logits);
    ck_assert_ptr_nonnull(pare_bench_plan(one));
    /* more samples a batch than there are */
    ck_assert_ok(pare_bench_new(m->graph, d, &(struct pare_bench_shape){.batch = 7, .threads = 2},
                                &three, &err),
                 err);
    ck_assert_ok(pare_bench_visit(three, &v, &err), err);
    ck_assert_str_eq(v.first_logits, o.first_logits);
    ck_assert_ok(pare_bench_new(m->graph, NULL,
                                &(struct pare_bench_shape){.batch = 1, .threads = 1}, &blind, &err),
                 err);
    ck_assert_ok(pare_bench_visit(blind, &v, &err), err);
    ck_assert_str_ne(v.first_logits, o.first_logits);
    pare_bench_free(blind);
    ck_assert_int_eq(pare_bench_new(m->graph, NULL,
                                    &(struct pare_bench_shape){.batch = 0, .threads = 1}, &blind,
                                    &err),
                     PARE_INVALID);
    pare_bench_free(one);
    pare_bench_free(three);
    pare_outcomes_free(&o);
    pare_dataset_close(d);
    pare_model_free(m);
}
END_TEST

START_TEST(host)
{
    static const char *const names[] = {"hostname", "cpu", "kernel", "isa", "id"};
    json_t *facts = pare_host_facts(), *again = pare_host_facts();
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        ck_assert_msg(json_string_length(json_object_get(facts, names[i])) > 0, "%s", names[i]);
    ck_assert(json_integer_value(json_object_get(facts, "cores")) > 0);
    ck_assert(json_integer_value(json_object_get(facts, "memory")) > 1000000);
    ck_assert(json_equal(json_object_get(facts, "id"), json_object_get(again, "id")));
    json_decref(facts);
    json_decref(again);
    const uint64_t before = pare_peak_rss();
    ck_assert(before > 100000);
    volatile char *p = malloc(64u << 20);
    for (size_t i = 0; i < 64u << 20; i += 4096)
        p[i] = 1;
    ck_assert(pare_peak_rss() >= before + (32u << 20));
    free((void *)(uintptr_t)p);
}
END_TEST

START_TEST(specs_as_json)
{
    const struct pare_data_spec spec = {.from = "there",
                                        .split = "test",
                                        .skip = 7,
                                        .samples = 1ull << 40,
                                        .shuffle = true,
                                        .seed = UINT64_MAX};
    struct pare_data_spec back;
    json_t *json = pare_data_spec_to_json(&spec);
    ck_assert_ok(pare_data_spec_from_json(json, &back, &err), err);
    ck_assert_str_eq(back.from, "there");
    ck_assert_str_eq(back.split, "test");
    ck_assert_ptr_null(back.inputs);
    ck_assert(back.skip == 7 && back.samples == 1ull << 40 && back.shuffle &&
              back.seed == UINT64_MAX);
    json_decref(json);
    static const char *const bad[] = {"[]",
                                      "{\"form\": \"x\"}",
                                      "{\"from\": 1}",
                                      "{\"skip\": -1}",
                                      "{\"skip\": 1.5}",
                                      "{\"shuffle\": 1}"};
    for (size_t i = 0; i < PARE_COUNT(bad); i++) {
        json = json_loads(bad[i], 0, NULL);
        ck_assert_msg(pare_data_spec_from_json(json, &back, &err) == PARE_INVALID, "%s", bad[i]);
        json_decref(json);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("measure");
    TCase *tc = pare_test_case(s, "images");
    tcase_add_test(tc, decodes_as_pillow);
    tcase_add_test(tc, resizes_as_pillow);
    tcase_add_test(tc, converts_as_pillow);
    tcase_add_test(tc, prepares_as_transformers);
    tcase_add_test(tc, image_of_another_size);
    tcase_add_test(tc, truncated_images);
    tcase_add_test(tc, broken_images);
    tc = pare_test_case(s, "data");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, idx_plain_and_gzipped);
    tcase_add_test(tc, broken_idx);
    tcase_add_test(tc, gzip_bombs);
    tcase_add_test(tc, broken_npy);
    tcase_add_test(tc, npy_pairs);
    tcase_add_test(tc, chooses_samples);
    tcase_add_test(tc, hash_is_of_content);
    tcase_add_test(tc, counts_differ);
    tcase_add_test(tc, splits);
    tcase_add_test(tc, image_folders);
    tcase_add_test(tc, classes_of_folders);
    tcase_add_test(tc, without_labels);
    tc = pare_test_case(s, "measure");
    tcase_set_timeout(tc, 300); /* all test images */
    tcase_add_test(tc, logits_are_the_truth);
    tcase_add_test(tc, correct_are_the_truth);
    tcase_add_test(tc, outcomes_depend_on_nothing_else);
    tcase_add_test(tc, visits);
    tcase_add_test(tc, host);
    tcase_add_test(tc, specs_as_json);
    return pare_test_main(&s, 1);
}
