/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ggml_golden.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"
#include "model/gguf.h"
#include "model/half.h"
#include "model/weight.h"

static struct pare_error err;

/* ---- ggml's types
 * -------------------------------------------------------------------------------- */

enum { MOST = 2 * PARE_GGML_BLOCK_MAX };

START_TEST(blocks_decode_as_ggml_does)
{
    float out[MOST];
    for (size_t i = 0; i < PARE_COUNT(golden); i++) {
        const struct pare_ggml_kind *kind = pare_ggml_find(golden[i].type);
        size_t n = 2 * kind->elements;
        pare_ggml_decode(kind->type, golden[i].blocks, n, out);
        for (int k = 0; k < GOLDEN_SEEN; k++)
            ck_assert_msg(out[golden[i].at[k]] == golden[i].seen[k], "%s number %u: %a, not %a",
                          kind->name, golden[i].at[k], (double)out[golden[i].at[k]],
                          (double)golden[i].seen[k]);
        ck_assert_msg(pare_crc32(0, out, n * sizeof *out) == golden[i].crc, "%s differs somewhere",
                      kind->name);
    }
}
END_TEST

START_TEST(codes_and_scales_make_the_numbers)
{
    float out[MOST];
    int16_t codes[MOST];
    for (size_t i = 0; i < PARE_COUNT(golden); i++) {
        const struct pare_ggml_kind *kind = pare_ggml_find(golden[i].type);
        int lo = kind->zero_kind ? 0 : -(1 << (kind->bits - 1)), hi = lo + (1 << kind->bits) - 1;
        pare_ggml_decode(kind->type, golden[i].blocks, 2 * kind->elements, out);
        pare_ggml_codes(kind->type, golden[i].blocks, 2 * kind->elements, codes);
        for (uint32_t e = 0; e < 2 * kind->elements; e++) {
            float scale, zero;
            pare_ggml_scale(kind->type, golden[i].blocks + e / kind->elements * kind->bytes,
                            e % kind->elements / kind->group, &scale, &zero);
            ck_assert_int_ge(codes[e], lo);
            ck_assert_int_le(codes[e], hi);
            float product = scale * (float)codes[e];
            ck_assert(out[e] == (kind->zero_kind ? product + zero : product));
        }
    }
}
END_TEST

/* The numbers that the golden data speak of. */
static void fill(float *x)
{
    for (uint32_t i = 0; i < MOST; i++)
        x[i] = ((float)(i * 2654435761u >> 12) - 0x1p19f) * 0x1p-22f;
}

START_TEST(simple_types_encode_as_ggml_does)
{
    float x[MOST];
    uint8_t out[MOST * 4];
    fill(x);
    for (size_t i = 0; i < PARE_COUNT(encoded); i++) {
        const struct pare_ggml_kind *kind = pare_ggml_find(encoded[i].type);
        size_t bytes;
        ck_assert_ok(pare_ggml_encode(kind->type, x, MOST, out, &err), err);
        ck_assert(pare_ggml_bytes(kind, MOST, &bytes));
        ck_assert_msg(pare_crc32(0, out, bytes) == encoded[i].crc, "%s differs", kind->name);
    }
}
END_TEST

START_TEST(searched_types_are_as_close_as_ggml)
{
    float x[MOST], y[MOST], back[MOST];
    uint8_t out[MOST];
    fill(x);
    for (size_t i = 0; i < PARE_COUNT(searched); i++) {
        for (int shape = 0; shape < 3; shape++) {
            double error = 0;
            for (int k = 0; k < MOST; k++)
                y[k] = shape == 0 ? x[k] : shape == 1 ? x[k] * x[k] * x[k] : x[k] + 0.5f;
            ck_assert_ok(pare_ggml_encode(searched[i].type, y, MOST, out, &err), err);
            pare_ggml_decode(searched[i].type, out, MOST, back);
            for (int k = 0; k < MOST; k++)
                error += ((double)back[k] - (double)y[k]) * ((double)back[k] - (double)y[k]) / MOST;
            /* a search finds a local optimum: one percent is left to chance */
            ck_assert_msg(error <= 1.01 * searched[i].error[shape], "%s: %g, not %g",
                          pare_ggml_name(searched[i].type), error, searched[i].error[shape]);
        }
    }
}
END_TEST

START_TEST(encoding_extremes)
{
    static const float values[] = {0, 1e-45f, 1e-30f, 1e-7f, 1, 3e4f};
    float x[PARE_GGML_BLOCK_MAX], back[PARE_GGML_BLOCK_MAX];
    uint8_t out[PARE_GGML_BLOCK_MAX * 4];
    size_t n;
    const struct pare_ggml_kind *kinds = pare_ggml_kinds(&n);
    for (size_t k = 0; k < n; k++) {
        if (!kinds[k].encodes) {
            ck_assert_int_eq(pare_ggml_encode(kinds[k].type, x, 256, out, &err), PARE_UNSUPPORTED);
            continue;
        }
        for (size_t v = 0; v < PARE_COUNT(values); v++) {
            for (int sign = -1; sign <= 1; sign++) {
                /* constant, alternating and one-sided blocks */
                for (int i = 0; i < 256; i++)
                    x[i] = values[v] * (float)(sign ? sign : i % 2 * 2 - 1);
                ck_assert_ok(pare_ggml_encode(kinds[k].type, x, 256, out, &err), err);
                pare_ggml_decode(kinds[k].type, out, 256, back);
                for (int i = 0; i < 256; i++)
                    ck_assert_msg(fabsf(back[i] - x[i]) <= 0.13f * values[v] + 1e-6f,
                                  "%s gives %g for %g", kinds[k].name, (double)back[i],
                                  (double)x[i]);
            }
        }
        x[7] = NAN;
        ck_assert_int_eq(pare_ggml_encode(kinds[k].type, x, 256, out, &err), PARE_INVALID);
        ck_assert_ptr_nonnull(strstr(err.what, "number 7"));
        for (int i = 0; i < 256; i++)
            x[i] = i % 2 ? 3e38f : -3e38f;
        int rc = pare_ggml_encode(kinds[k].type, x, 256, out, &err);
        bool wide = kinds[k].type == PARE_GGML_F32 || kinds[k].type == PARE_GGML_BF16;
        ck_assert_int_eq(rc, wide ? PARE_OK : PARE_INVALID);
        if (kinds[k].elements > 1)
            ck_assert_int_eq(pare_ggml_encode(kinds[k].type, x, 31, out, &err), PARE_INVALID);
    }
    ck_assert_int_eq(pare_ggml_encode(23, x, 256, out, &err), PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.what, "IQ4_XS"));
    ck_assert_ptr_null(pare_ggml_name(12345));
    ck_assert_ptr_eq(pare_ggml_named("Q6_K"), pare_ggml_find(PARE_GGML_Q6_K));
}
END_TEST

/* ---- a file by hand
 * ------------------------------------------------------------------------------ */

/* Places in the file that tests change. */
enum mark {
    MAGIC,
    VERSION,
    N_TENSORS,
    N_VALUES,
    KEY, /* the first entry's: length, text, type, value */
    KEY_TEXT,
    TYPE,
    TEXT,
    KEY2_TEXT,
    ALIGN_TYPE,
    ALIGN,
    ARRAY_TYPE,
    ARRAY_N,
    ELEMENT,
    NUMBERS_TYPE,
    NUMBERS_N,
    BOOL,
    NAME, /* the first tensor's */
    NAME_TEXT,
    RANK,
    DIM,
    TENSOR_TYPE,
    OFFSET,
    NAME2_TEXT,
    DIM2,
    OFFSET2,
    MARKS
};

struct bytes {
    uint8_t data[1024];
    size_t n, at[MARKS];
};

static void put(struct bytes *b, int mark, uint64_t x, size_t size)
{
    if (mark >= 0)
        b->at[mark] = b->n;
    for (size_t i = 0; i < size; i++)
        b->data[b->n++] = (uint8_t)(x >> 8 * i);
}

static void put_text(struct bytes *b, int mark, int text_mark, const char *text)
{
    put(b, mark, strlen(text), 8);
    if (text_mark >= 0)
        b->at[text_mark] = b->n;
    memcpy(b->data + b->n, text, strlen(text));
    b->n += strlen(text);
}

/* A small valid file: five entries, two tensors, alignment 64. */
static void make_file(struct bytes *b)
{
    *b = (struct bytes){0};
    put(b, MAGIC, 0x46554747, 4);
    put(b, VERSION, 3, 4);
    put(b, N_TENSORS, 2, 8);
    put(b, N_VALUES, 5, 8);
    put_text(b, KEY, KEY_TEXT, "general.name");
    put(b, TYPE, PARE_GGUF_TEXT, 4);
    put_text(b, TEXT, -1, "small");
    put_text(b, -1, KEY2_TEXT, "general.alignment");
    put(b, ALIGN_TYPE, PARE_GGUF_U32, 4);
    put(b, ALIGN, 64, 4);
    put_text(b, -1, -1, "tokens");
    put(b, -1, PARE_GGUF_ARRAY, 4);
    put(b, ARRAY_TYPE, PARE_GGUF_TEXT, 4);
    put(b, ARRAY_N, 3, 8);
    put_text(b, ELEMENT, -1, "a");
    put_text(b, -1, -1, "");
    put_text(b, -1, -1, "\xff\xfe");
    put_text(b, -1, -1, "numbers");
    put(b, -1, PARE_GGUF_ARRAY, 4);
    put(b, NUMBERS_TYPE, PARE_GGUF_I16, 4);
    put(b, NUMBERS_N, 2, 8);
    put(b, -1, 0xfffe, 2);
    put(b, -1, 7, 2);
    put_text(b, -1, -1, "flag.ok");
    put(b, -1, PARE_GGUF_BOOL, 4);
    put(b, BOOL, 1, 1);
    put_text(b, NAME, NAME_TEXT, "one.weight");
    put(b, RANK, 2, 4);
    put(b, DIM, 4, 8);
    put(b, -1, 2, 8);
    put(b, TENSOR_TYPE, PARE_GGML_F32, 4);
    put(b, OFFSET, 0, 8);
    put_text(b, -1, NAME2_TEXT, "two.weight");
    put(b, -1, 1, 4);
    put(b, DIM2, 64, 8);
    put(b, -1, PARE_GGML_Q8_0, 4);
    put(b, OFFSET2, 64, 8);
    b->n = pare_round_up(b->n, 64);
    for (int i = 0; i < 8; i++)
        put(b, -1, 0x3f800000, 4);
    b->n = pare_round_up(b->n, 64);
    put(b, -1, 0x3c00, 2); /* one block of Q8_0 with scale 1, one with scale 0 */
    for (uint64_t i = 0; i < 32; i++)
        put(b, -1, i, 1);
    b->n += 34;
}

/* Open bytes as a file. */
static int open_bytes(const uint8_t *data, size_t n, struct pare_gguf **out)
{
    char path[64];
    int fd = memfd_create("gguf", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, n), (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int rc = pare_gguf_open(path, out, &err);
    close(fd);
    return rc;
}

START_TEST(file_is_read)
{
    struct bytes b;
    struct pare_gguf *f;
    struct pare_gguf_text text;
    const struct pare_gguf_value *v;
    uint32_t u;
    int64_t whole;
    double real;
    bool flag = false;
    for (unsigned version = 2; version <= 3; version++) {
        make_file(&b);
        b.data[b.at[VERSION]] = (uint8_t)version;
        ck_assert_ok(open_bytes(b.data, b.n, &f), err);
        ck_assert_uint_eq(f->version, version);
        ck_assert_uint_eq(f->alignment, 64);
        ck_assert_uint_eq(f->n_values, 5);
        ck_assert_ok(pare_gguf_text(f, "general.name", &text, &err), err);
        ck_assert_uint_eq(text.len, 5);
        ck_assert_mem_eq(text.data, "small", 5);
        ck_assert_ok(pare_gguf_u32(f, "general.alignment", &u, &err), err);
        ck_assert_uint_eq(u, 64);
        ck_assert_ok(pare_gguf_f64(f, "general.alignment", &real, &err), err);
        ck_assert(real == 64);
        ck_assert_ok(pare_gguf_bool(f, "flag.ok", &flag, &err), err);
        ck_assert(flag);
        ck_assert_ok(pare_gguf_array(f, "tokens", PARE_GGUF_TEXT, &v, &err), err);
        ck_assert_uint_eq(v->n, 3);
        ck_assert(pare_gguf_text_at(v, 0, &text) && text.len == 1 && text.data[0] == 'a');
        ck_assert(pare_gguf_text_at(v, 1, &text) && text.len == 0);
        ck_assert(pare_gguf_text_at(v, 2, &text) && text.len == 2);
        ck_assert_ok(pare_gguf_array(f, "numbers", PARE_GGUF_I64, &v, &err), err);
        ck_assert(pare_gguf_i64_at(v, 0, &whole) && whole == -2);
        ck_assert(pare_gguf_f64_at(v, 1, &real) && real == 7);
        /* what is asked wrongly */
        ck_assert_int_eq(pare_gguf_u32(f, "none", &u, &err), PARE_NOT_FOUND);
        ck_assert_ptr_nonnull(strstr(err.what, "none"));
        ck_assert_int_eq(pare_gguf_u32(f, "general.name", &u, &err), PARE_INVALID);
        ck_assert_ptr_nonnull(strstr(err.what, "is text, an integer is expected"));
        ck_assert_int_eq(pare_gguf_text(f, "tokens", &text, &err), PARE_INVALID);
        ck_assert_int_eq(pare_gguf_bool(f, "general.alignment", &flag, &err), PARE_INVALID);
        ck_assert_int_eq(pare_gguf_f64(f, "flag.ok", &real, &err), PARE_INVALID);
        ck_assert_int_eq(pare_gguf_array(f, "numbers", PARE_GGUF_TEXT, &v, &err), PARE_INVALID);
        ck_assert_int_eq(pare_gguf_array(f, "flag.ok", PARE_GGUF_BOOL, &v, &err), PARE_INVALID);
        /* tensors, which outlive the file */
        const struct pare_gguf_tensor *t = pare_gguf_tensor(f, "two.weight");
        ck_assert_ptr_nonnull(t);
        ck_assert_ptr_null(pare_gguf_tensor(f, "three.weight"));
        ck_assert_uint_eq(t->data->size, 68);
        ck_assert_uint_eq(t->dims[0], 64);
        ck_assert_uint_eq(t->dims[1], 1);
        struct pare_weight *w;
        float row[64];
        ck_assert_ok(pare_weight_from_ggml(t->type, 1, 64, t->data, &w, &err), err);
        pare_gguf_close(f);
        pare_weight_decode(w, 0, 1, row);
        ck_assert(row[5] == 5 && row[63] == 0);
        pare_weight_unref(w);
    }
}
END_TEST

/* One change each to the valid file, and what is said. */
static const struct mistake {
    enum mark mark;
    int beyond; /* bytes after the mark */
    size_t size;
    uint64_t value;
    int status;
    const char *says;
} mistakes[] = {
    {MAGIC, 0, 4, 0x46554746, PARE_INVALID, "no GGUF file"},
    {VERSION, 0, 4, 1, PARE_UNSUPPORTED, "version 1 is not read"},
    {VERSION, 0, 4, 4, PARE_UNSUPPORTED, "version 4 is not read"},
    {VERSION, 0, 4, 0, PARE_UNSUPPORTED, "version 0 is not read"},
    {VERSION, 0, 4, 0x03000000, PARE_UNSUPPORTED, "big-endian"},
    {N_TENSORS, 0, 8, UINT64_MAX, PARE_INVALID, "tensors are announced"},
    {N_TENSORS, 0, 8, 1000, PARE_INVALID, "1000 tensors are announced"},
    {N_TENSORS, 0, 8, 3, PARE_INVALID, "a tensor's name"},
    {N_VALUES, 0, 8, UINT64_MAX, PARE_INVALID, "metadata entries are announced"},
    {N_VALUES, 0, 8, 6, PARE_INVALID, "a tensor's name is said to have"}, /* one line eaten */
    {KEY, 0, 8, 0, PARE_INVALID, "a key is said to have 0 bytes"},
    {KEY, 0, 8, UINT64_MAX, PARE_INVALID, "a key is said to have"},
    {KEY, 0, 8, 60000, PARE_INVALID, "a key takes 60000 bytes"},
    {KEY_TEXT, 3, 1, 0, PARE_INVALID, "no UTF-8"},
    {KEY_TEXT, 3, 1, 0xff, PARE_INVALID, "no UTF-8"},
    {KEY_TEXT, 3, 2, 0x80c0, PARE_INVALID, "no UTF-8"},   /* overlong */
    {KEY_TEXT, 3, 3, 0x80a0ed, PARE_INVALID, "no UTF-8"}, /* surrogate */
    {TYPE, 0, 4, 13, PARE_INVALID, "has type 13, which does not exist"},
    {TYPE, 0, 4, UINT32_MAX, PARE_INVALID, "does not exist"},
    {TEXT, 0, 8, UINT64_MAX, PARE_INVALID,
     "the value of 'general.name' takes 18446744073709551615 bytes"},
    {ALIGN, 0, 4, 0, PARE_INVALID, "alignment of 0"},
    {ALIGN, 0, 4, 48, PARE_INVALID, "alignment of 48"},
    {ALIGN, 0, 4, 4, PARE_INVALID, "alignment of 4"},
    {ALIGN, 0, 4, 0x80000000, PARE_INVALID, "alignment of 2147483648"},
    {ALIGN_TYPE, 0, 4, PARE_GGUF_I32, PARE_INVALID, "'general.alignment' is i32"},
    {ARRAY_TYPE, 0, 4, PARE_GGUF_ARRAY, PARE_UNSUPPORTED, "array of arrays"},
    {ARRAY_TYPE, 0, 4, 77, PARE_INVALID, "array of type 77"},
    {ARRAY_N, 0, 8, UINT64_MAX, PARE_INVALID, "more than the file has bytes for"},
    {ARRAY_N, 0, 8, 100, PARE_INVALID, "'tokens' is said to hold 100 elements"},
    {ELEMENT, 0, 8, UINT64_MAX - 8, PARE_INVALID, "the value of 'tokens' takes"},
    {NUMBERS_TYPE, 0, 4, PARE_GGUF_F64, PARE_INVALID, ""}, /* swallows what follows */
    {NUMBERS_N, 0, 8, UINT64_MAX / 2 + 1, PARE_INVALID, "'numbers' is said to hold"},
    {BOOL, 0, 1, 2, PARE_INVALID, "bool of value 2"},
    {NAME, 0, 8, 0, PARE_INVALID, "name is said to have 0 bytes"},
    {NAME, 0, 8, 65, PARE_INVALID, "name is said to have 65 bytes"},
    {NAME_TEXT, 0, 1, 0, PARE_INVALID, "a tensor's name is no UTF-8"},
    {RANK, 0, 4, 0, PARE_INVALID, "'one.weight' has 0 dimensions"},
    {RANK, 0, 4, 5, PARE_INVALID, "'one.weight' has 5 dimensions"},
    {DIM, 0, 8, 0, PARE_INVALID, "absurd shape"},
    {DIM, 0, 8, UINT64_MAX, PARE_INVALID, "absurd shape"},
    {DIM, 0, 8, INT64_MAX, PARE_INVALID, "absurd shape"},
    {DIM, 0, 8, UINT64_MAX / 8 + 1, PARE_INVALID, "absurd shape"}, /* times 2 fits, times 4 not */
    {DIM, 0, 8, 1000, PARE_INVALID, "takes 8000 bytes from byte"},
    {DIM, 0, 8, 16, PARE_INVALID, "'one.weight' and 'two.weight' overlap"},
    {TENSOR_TYPE, 0, 4, PARE_GGML_Q4_K, PARE_INVALID, "rows of 4, no multiple of 256 as Q4_K"},
    {TENSOR_TYPE, 0, 4, 23, PARE_UNSUPPORTED, "type IQ4_XS (23)"},
    {TENSOR_TYPE, 0, 4, 4000, PARE_UNSUPPORTED, "type unknown (4000)"},
    {OFFSET, 0, 8, 8, PARE_INVALID, "offset 8, no multiple of the alignment 64"},
    {OFFSET, 0, 8, UINT64_MAX - 63, PARE_INVALID, "is at offset 18446744073709551552"},
    {OFFSET, 0, 8, 64, PARE_INVALID, "overlap"},
    {OFFSET2, 0, 8, 0, PARE_INVALID, "overlap"},
    {OFFSET2, 0, 8, 128, PARE_INVALID, "takes 68 bytes from byte"},
    {DIM2, 0, 8, 32 * 5, PARE_INVALID, "takes 170 bytes from byte"},
    {DIM2, 0, 8, 48, PARE_INVALID, "rows of 48"},
    {NAME2_TEXT, 0, 3, 0x656e6f, PARE_INVALID, "tensor 'one.weight' is there twice"},
};

START_TEST(mistakes_are_named)
{
    const struct mistake *m = &mistakes[_i];
    struct bytes b;
    struct pare_gguf *f;
    make_file(&b);
    for (size_t i = 0; i < m->size; i++)
        b.data[b.at[m->mark] + (size_t)m->beyond + i] = (uint8_t)(m->value >> 8 * i);
    int rc = open_bytes(b.data, b.n, &f);
    ck_assert_msg(rc == m->status, "status %d: %s", rc, rc ? err.what : "taken");
    ck_assert_msg(strstr(err.what, m->says) != NULL, "'%s' does not say '%s'", err.what, m->says);
    ck_assert_ptr_nonnull(strstr(err.what, "/proc/self/fd/"));
    ck_assert_ptr_nonnull(strstr(err.detail, "at byte"));
    ck_assert_int_ne(err.hint[0], 0);
}
END_TEST

START_TEST(keys_are_unique)
{
    struct bytes b;
    struct pare_gguf *f;
    /* the second key, as long as the first */
    b = (struct bytes){0};
    put(&b, -1, 0x46554747, 4);
    put(&b, -1, 3, 4);
    put(&b, -1, 0, 8);
    put(&b, -1, 2, 8);
    for (int i = 0; i < 2; i++) {
        put_text(&b, KEY, KEY_TEXT, "a.b");
        put(&b, -1, PARE_GGUF_U8, 4);
        put(&b, -1, 1, 1);
    }
    ck_assert_int_eq(open_bytes(b.data, b.n, &f), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "key 'a.b' is there twice"));
    b.data[b.at[KEY_TEXT]] = 'c';
    ck_assert_ok(open_bytes(b.data, b.n, &f), err); /* metadata alone is a file too */
    ck_assert_uint_eq(f->n_tensors, 0);
    pare_gguf_close(f);
}
END_TEST

START_TEST(every_cut_is_refused)
{
    struct bytes b;
    struct pare_gguf *f;
    make_file(&b);
    for (size_t n = 0; n < b.n; n++) {
        int rc = open_bytes(b.data, n, &f);
        ck_assert_msg(rc == PARE_INVALID, "%zu bytes of %zu: status %d", n, b.n, rc);
    }
}
END_TEST

/* ---- size and many texts
 * ------------------------------------------------------------------------- */

static size_t resident_kib(void)
{
    unsigned long pages[2] = {0};
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%lu %lu", &pages[0], &pages[1]), 2);
    fclose(f);
    return pages[1] * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

START_TEST(data_is_not_read)
{
    /* a header over 8 GB of nothing, as a file with holes */
    const char *dir = pare_test_folder();
    char path[4200];
    struct bytes b = {0};
    struct pare_gguf *f;
    struct pare_weight *w;
    const uint64_t columns = 4096, rows = 2000000;
    float row[4096];
    put(&b, -1, 0x46554747, 4);
    put(&b, -1, 3, 4);
    put(&b, -1, 1, 8);
    put(&b, -1, 0, 8);
    put_text(&b, -1, -1, "token_embd.weight");
    put(&b, -1, 2, 4);
    put(&b, -1, columns, 8);
    put(&b, -1, rows, 8);
    put(&b, -1, PARE_GGML_Q8_0, 4);
    put(&b, -1, 0, 8);
    snprintf(path, sizeof path, "%s/large.gguf", dir);
    ck_assert_ok(pare_file_write(path, b.data, b.n, &err), err);
    off_t size = (off_t)(pare_round_up(b.n, 32) + columns / 32 * 34 * rows);
    ck_assert_int_eq(truncate(path, size), 0);
    size_t before = resident_kib();
    ck_assert_ok(pare_gguf_open(path, &f, &err), err);
    const struct pare_gguf_tensor *t = pare_gguf_tensor(f, "token_embd.weight");
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_gt(t->data->size, 8000000000u);
    ck_assert_ok(
        pare_weight_from_ggml(t->type, (uint32_t)rows, (uint32_t)columns, t->data, &w, &err), err);
    pare_weight_decode(w, 1999999, 1, row);
    ck_assert(row[4095] == 0);
    ck_assert_uint_lt(resident_kib(), before + 4096);
    pare_weight_unref(w);
    pare_gguf_close(f);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(a_vocabulary_is_indexed)
{
    enum { TEXTS = 262144 };
    const char *dir = pare_test_folder();
    char path[4200];
    struct pare_gguf_draft *draft;
    struct pare_gguf *f;
    const struct pare_gguf_value *v;
    struct pare_gguf_text *texts = calloc(TEXTS, sizeof *texts), text;
    char *words = calloc(TEXTS, 12);
    for (int i = 0; i < TEXTS; i++) {
        int n = snprintf(words + 12 * i, 12, "w%d", i);
        texts[i] = (struct pare_gguf_text){words + 12 * i, (size_t)n};
    }
    snprintf(path, sizeof path, "%s/v.gguf", dir);
    ck_assert_ok(pare_gguf_draft_new(&draft, &err), err);
    ck_assert_ok(pare_gguf_put_texts(draft, "tokenizer.ggml.tokens", TEXTS, texts, &err), err);
    ck_assert_ok(pare_gguf_write(path, draft, &err), err);
    pare_gguf_draft_free(draft);
    ck_assert_ok(pare_gguf_open(path, &f, &err), err);
    ck_assert_ok(pare_gguf_array(f, "tokenizer.ggml.tokens", PARE_GGUF_TEXT, &v, &err), err);
    ck_assert_uint_eq(v->n, TEXTS);
    for (int i = 0; i < TEXTS; i++) {
        ck_assert(pare_gguf_text_at(v, (size_t)i, &text) && text.len == texts[i].len &&
                  memcmp(text.data, texts[i].data, text.len) == 0);
    }
    pare_gguf_close(f);
    free(texts);
    free(words);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* ---- writing
 * ------------------------------------------------------------------------------------- */

START_TEST(what_is_written_is_read)
{
    static const uint8_t flags[] = {1, 0, 1};
    static const float floats[] = {0.5f, -2};
    static const int32_t kinds[] = {1, -3, 6};
    const uint64_t dims[] = {64, 1}, dims3[] = {2, 3, 2};
    const char *dir = pare_test_folder();
    char path[4200];
    struct bytes b;
    struct pare_gguf *from, *f;
    struct pare_gguf_draft *draft;
    struct pare_gguf_text text;
    struct pare_blob *blob;
    const struct pare_gguf_value *v;
    const struct pare_gguf_tensor *t;
    double real;
    int64_t whole;
    bool flag;
    make_file(&b);
    ck_assert_ok(open_bytes(b.data, b.n, &from), err);
    ck_assert_ok(pare_gguf_draft_new(&draft, &err), err);
    for (size_t i = 0; i < from->n_values; i++) {
        if (strcmp(from->values[i].key, "general.alignment") != 0)
            ck_assert_ok(pare_gguf_put_value(draft, &from->values[i], &err), err);
    }
    ck_assert_ok(pare_gguf_put_u32(draft, "x.u32", UINT32_MAX, &err), err);
    ck_assert_ok(pare_gguf_put_u64(draft, "x.u64", (uint64_t)1 << 62, &err), err);
    ck_assert_ok(pare_gguf_put_f32(draft, "x.f32", 1e-5f, &err), err);
    ck_assert_ok(pare_gguf_put_bool(draft, "x.bool", false, &err), err);
    ck_assert_ok(pare_gguf_put_text(draft, "x.text", "caf\xc3\xa9", &err), err);
    ck_assert_ok(pare_gguf_put_array(draft, "x.flags", PARE_GGUF_BOOL, 3, flags, &err), err);
    ck_assert_ok(pare_gguf_put_array(draft, "x.floats", PARE_GGUF_F32, 2, floats, &err), err);
    ck_assert_ok(pare_gguf_put_array(draft, "x.kinds", PARE_GGUF_I32, 3, kinds, &err), err);
    ck_assert_ok(pare_gguf_put_array(draft, "x.empty", PARE_GGUF_I32, 0, kinds, &err), err);
    ck_assert_ok(pare_blob_new(12, 4, &blob, &err), err);
    ((float *)blob->data)[11] = 42;
    ck_assert_ok(pare_gguf_put_tensor(draft, "three", PARE_GGML_F32, 3, dims3, blob, &err), err);
    t = pare_gguf_tensor(from, "two.weight");
    ck_assert_ok(pare_gguf_put_tensor(draft, "two", t->type, 2, dims, t->data, &err), err);
    /* what cannot be put */
    ck_assert_int_eq(pare_gguf_put_u32(draft, "x.u32", 1, &err), PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_u32(draft, "", 1, &err), PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_u32(draft, "general.alignment", 64, &err), PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_text(draft, "\xff", "", &err), PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_array(draft, "y", PARE_GGUF_TEXT, 1, flags, &err), PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_tensor(draft, "two", t->type, 2, dims, t->data, &err),
                     PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_tensor(draft, "n", t->type, 3, dims3, t->data, &err),
                     PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_tensor(draft,
                                          "a name of sixty-four bytes is one more than "
                                          "llama.cpp will read.",
                                          t->type, 2, dims, t->data, &err),
                     PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_tensor(draft, "n", 23, 2, dims, t->data, &err), PARE_INVALID);
    ck_assert_int_eq(pare_gguf_put_tensor(draft, "n", PARE_GGML_F16, 2, dims, t->data, &err),
                     PARE_INVALID);
    snprintf(path, sizeof path, "%s/none/x.gguf", dir);
    ck_assert_int_eq(pare_gguf_write(path, draft, &err), PARE_IO);
    snprintf(path, sizeof path, "%s/x.gguf", dir);
    ck_assert_ok(pare_gguf_write(path, draft, &err), err);
    pare_gguf_draft_free(draft);
    pare_gguf_close(from);
    pare_blob_unref(blob);

    ck_assert_ok(pare_gguf_open(path, &f, &err), err);
    ck_assert_uint_eq(f->version, 3);
    ck_assert_uint_eq(f->alignment, 32);
    ck_assert_uint_eq(f->n_values, 4 + 9);
    ck_assert_ok(pare_gguf_array(f, "tokens", PARE_GGUF_TEXT, &v, &err), err);
    ck_assert(v->n == 3 && pare_gguf_text_at(v, 2, &text) && text.len == 2);
    ck_assert_ok(pare_gguf_text(f, "x.text", &text, &err), err);
    ck_assert(text.len == 5 && memcmp(text.data, "caf\xc3\xa9", 5) == 0);
    ck_assert_ok(pare_gguf_i64(f, "x.u64", &whole, &err), err);
    ck_assert(whole == (int64_t)1 << 62);
    ck_assert_ok(pare_gguf_f64(f, "x.f32", &real, &err), err);
    ck_assert(real == (double)1e-5f);
    ck_assert_ok(pare_gguf_bool(f, "x.bool", &flag, &err), err);
    ck_assert(!flag);
    ck_assert_ok(pare_gguf_array(f, "x.flags", PARE_GGUF_BOOL, &v, &err), err);
    ck_assert(pare_gguf_bool_at(v, 2, &flag) && flag);
    ck_assert_ok(pare_gguf_array(f, "x.floats", PARE_GGUF_F64, &v, &err), err);
    ck_assert(pare_gguf_f64_at(v, 1, &real) && real == -2);
    ck_assert_ok(pare_gguf_array(f, "x.kinds", PARE_GGUF_I64, &v, &err), err);
    ck_assert(pare_gguf_i64_at(v, 1, &whole) && whole == -3);
    ck_assert_ok(pare_gguf_array(f, "x.empty", PARE_GGUF_I64, &v, &err), err);
    ck_assert_uint_eq(v->n, 0);
    t = pare_gguf_tensor(f, "three");
    ck_assert(t->rank == 3 && t->dims[1] == 3 && t->dims[3] == 1);
    ck_assert(((const float *)t->data->data)[11] == 42);
    t = pare_gguf_tensor(f, "two");
    ck_assert_uint_eq(((const uint8_t *)t->data->data)[3], 1);
    ck_assert_uint_eq((uintptr_t)t->data->data % 32, 0);
    pare_gguf_close(f);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* The names in a folder. */
static int count_files(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

START_TEST(a_file_is_replaced_whole)
{
    const char *dir = pare_test_folder();
    const uint64_t dims[] = {4};
    char path[4200], taken[4200];
    struct pare_gguf_draft *draft;
    struct pare_gguf *f;
    struct pare_blob *blob;
    ck_assert_ok(pare_blob_new(4, 4, &blob, &err), err);
    ((float *)blob->data)[3] = 3;
    snprintf(path, sizeof path, "%s/x.gguf", dir);
    ck_assert_ok(pare_gguf_draft_new(&draft, &err), err);
    ck_assert_ok(pare_gguf_put_tensor(draft, "t", PARE_GGML_F32, 1, dims, blob, &err), err);
    ck_assert_ok(pare_gguf_write(path, draft, &err), err);
    pare_gguf_draft_free(draft);
    pare_blob_unref(blob);
    /* a file can be written over one that is open and gives the data */
    ck_assert_ok(pare_gguf_open(path, &f, &err), err);
    ck_assert_ok(pare_gguf_draft_new(&draft, &err), err);
    ck_assert_ok(pare_gguf_put_text(draft, "a", "b", &err), err);
    ck_assert_ok(pare_gguf_put_tensor(draft, "u", PARE_GGML_F32, 1, dims,
                                      pare_gguf_tensor(f, "t")->data, &err),
                 err);
    pare_gguf_close(f);
    ck_assert_ok(pare_gguf_write(path, draft, &err), err);
    ck_assert_ok(pare_gguf_open(path, &f, &err), err);
    ck_assert(((const float *)pare_gguf_tensor(f, "u")->data->data)[3] == 3);
    pare_gguf_close(f);
    /* and what cannot take its place leaves nothing */
    snprintf(taken, sizeof taken, "%s/folder", dir);
    ck_assert_ok(pare_make_folders(taken, &err), err);
    ck_assert_int_eq(pare_gguf_write(taken, draft, &err), PARE_IO);
    ck_assert_int_eq(count_files(dir), 2);
    pare_gguf_draft_free(draft);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* ---- weights in ggml's types
 * --------------------------------------------------------------------- */

enum { ROWS = 3, COLS = 512 };

static void random_numbers(float *x, size_t n, uint64_t seed)
{
    struct pare_random r;
    pare_random_seed(&r, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = 0.1f * (float)pare_random_normal(&r);
}

/* A weight of a type: encoded where Pare encodes, else blocks of random bits with small scales. */
static struct pare_weight *block_weight(const struct pare_ggml_kind *kind)
{
    static float x[ROWS * COLS];
    struct pare_blob *blob;
    struct pare_weight *w;
    size_t bytes;
    ck_assert(pare_ggml_bytes(kind, ROWS * COLS, &bytes));
    ck_assert_ok(pare_blob_new(bytes, 1, &blob, &err), err);
    random_numbers(x, ROWS * COLS, kind->type);
    if (kind->encodes) {
        ck_assert_ok(pare_ggml_encode(kind->type, x, ROWS * COLS, blob->data, &err), err);
    } else {
        for (size_t i = 0; i < PARE_COUNT(golden); i++) {
            for (size_t b = 0; golden[i].type == kind->type && b < bytes; b += kind->bytes)
                memcpy((char *)blob->data + b, golden[i].blocks, kind->bytes);
        }
    }
    ck_assert_ok(pare_weight_from_ggml(kind->type, ROWS, COLS, blob, &w, &err), err);
    pare_blob_unref(blob);
    return w;
}

START_TEST(weights_of_all_types_are_read)
{
    static float values[ROWS * COLS], want[ROWS * COLS];
    static int16_t codes[ROWS * COLS];
    static uint8_t kept[ROWS * COLS];
    size_t n;
    const struct pare_ggml_kind *kinds = pare_ggml_kinds(&n);
    for (size_t k = 0; k < n; k++) {
        struct pare_weight *w = block_weight(&kinds[k]);
        char text[48], name[48];
        uint32_t type;
        struct pare_blob *data;
        ck_assert_ok(pare_weight_check(w, &err), err);
        pare_weight_decode(w, 0, ROWS, values);
        pare_ggml_decode(kinds[k].type, w->stored->data, ROWS * COLS, want);
        ck_assert_mem_eq(values, want, sizeof values);
        pare_weight_decode(w, 2, 1, values);
        ck_assert_mem_eq(values, want + 2 * COLS, COLS * sizeof *values);
        pare_weight_describe(w, text);
        for (size_t i = 0; i <= strlen(kinds[k].name); i++) /* "f16", but "Q4_K" */
            name[i] = (char)(kinds[k].bits || kinds[k].name[i] < 'A' ? kinds[k].name[i]
                                                                     : kinds[k].name[i] + 32);
        ck_assert_str_eq(text, name);
        ck_assert_uint_eq(pare_weight_bytes(w), pare_round_up(w->stored->size, PARE_ALIGN));
        ck_assert_uint_eq(pare_weight_stored(w), ROWS * COLS);
        pare_weight_kept(w, 0, ROWS, kept);
        for (int i = 0; i < ROWS * COLS; i++)
            ck_assert_uint_eq(kept[i], 1);
        ck_assert_ok(pare_weight_to_ggml(w, 0, &type, &data, &err), err);
        ck_assert_uint_eq(type, kinds[k].type);
        ck_assert_ptr_eq(data, w->stored);
        pare_blob_unref(data);
        if (kinds[k].bits) {
            ck_assert_uint_eq(w->bits, kinds[k].bits);
            ck_assert_uint_eq(w->groups * w->group, COLS);
            pare_weight_codes(w, 0, ROWS, codes);
            for (uint32_t i = 0; i < ROWS * COLS; i++) {
                uint32_t r = i / COLS, g = i % COLS / w->group;
                float product = pare_weight_scale(w, r, g) * (float)codes[i];
                float zero = pare_weight_zero(w, r, g);
                ck_assert(want[i] == (w->zero_kind ? product + zero : product));
            }
        }
        pare_weight_unref(w);
    }
}
END_TEST

START_TEST(weights_refuse_what_does_not_fit)
{
    struct pare_blob *blob, *odd;
    struct pare_weight *w;
    ck_assert_ok(pare_blob_new(1024, 1, &blob, &err), err);
    ck_assert_int_eq(pare_weight_from_ggml(23, 1, 256, blob, &w, &err), PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.what, "IQ4_XS"));
    ck_assert_int_eq(pare_weight_from_ggml(PARE_GGML_Q4_K, 1, 255, blob, &w, &err), PARE_INVALID);
    ck_assert_int_eq(pare_weight_from_ggml(PARE_GGML_Q4_K, 1, 256, blob, &w, &err), PARE_INVALID);
    ck_assert_int_eq(pare_weight_from_ggml(PARE_GGML_F32, 0, 256, blob, &w, &err), PARE_INVALID);
    ck_assert_ok(pare_blob_part(blob, 1, 64, &odd, &err), err);
    ck_assert_int_eq(pare_weight_from_ggml(PARE_GGML_F32, 1, 16, odd, &w, &err), PARE_INVALID);
    pare_blob_unref(odd);
    /* numbers that are not finite pass at first, and are found by the check */
    ((float *)blob->data)[200] = INFINITY;
    ck_assert_ok(pare_weight_from_ggml(PARE_GGML_F32, 16, 16, blob, &w, &err), err);
    ck_assert_int_eq(pare_weight_check(w, &err), PARE_INVALID);
    pare_weight_unref(w);
    ((uint16_t *)blob->data)[36 * 7 / 2 + 1] = 0x7e00;
    ck_assert_ok(pare_blob_part(blob, 0, 40 * 16, &odd, &err), err);
    ck_assert_ok(pare_weight_from_ggml(PARE_GGML_Q4_1, 16, 64, odd, &w, &err), err);
    pare_blob_unref(odd);
    ck_assert_ok(pare_weight_check(w, &err), err);
    pare_weight_unref(w);
    ((uint16_t *)blob->data)[40 * 7 / 2 + 1] = 0x7e00; /* the minimum of row 7's first group */
    ck_assert_ok(pare_blob_part(blob, 0, 40 * 16, &odd, &err), err);
    ck_assert_ok(pare_weight_from_ggml(PARE_GGML_Q4_1, 16, 64, odd, &w, &err), err);
    pare_blob_unref(odd);
    ck_assert_int_eq(pare_weight_check(w, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "minimum of row 7"));
    pare_weight_unref(w);
    ((uint16_t *)blob->data)[300] = 0x7f80; /* infinity in bf16, a NaN in f16 */
    for (uint32_t type = PARE_GGML_F16; type <= PARE_GGML_BF16; type += 29) {
        ck_assert_ok(pare_weight_from_ggml(type, 16, 32, blob, &w, &err), err);
        ck_assert_int_eq(pare_weight_check(w, &err), PARE_INVALID);
        pare_weight_unref(w);
    }
    pare_blob_unref(blob);
}
END_TEST

START_TEST(structure_on_blocks)
{
    static float before[ROWS * COLS], after[ROWS * COLS];
    static uint8_t keep[ROWS * COLS];
    size_t n;
    const struct pare_ggml_kind *kinds = pare_ggml_kinds(&n);
    for (int i = 0; i < ROWS * COLS; i++)
        keep[i] = i % 4 == 1 || i % 4 == 2;
    for (size_t k = 0; k < n; k++) {
        struct pare_weight *w = block_weight(&kinds[k]), *sparse;
        pare_weight_decode(w, 0, ROWS, before);
        for (int nm = 0; nm < 2; nm++) {
            ck_assert_ok(pare_weight_with_structure(w, nm ? 2 : 0, nm ? 4 : 0, keep, &sparse, &err),
                         err);
            pare_weight_decode(sparse, 0, ROWS, after);
            for (int i = 0; i < ROWS * COLS; i++)
                ck_assert(after[i] == (keep[i] ? before[i] : 0));
            bool codes = kinds[k].exact && !(nm && kinds[k].zero_kind);
            ck_assert_uint_eq(sparse->values, codes ? PARE_VALUES_INT : PARE_VALUES_F32);
            ck_assert_uint_eq(sparse->ggml, 0);
            pare_weight_unref(sparse);
        }
        pare_weight_unref(w);
    }
}
END_TEST

START_TEST(new_values_and_integers_on_blocks)
{
    static float values[ROWS * COLS], back[ROWS * COLS], scales[ROWS];
    static int16_t codes[ROWS * COLS];
    size_t n;
    const struct pare_ggml_kind *kinds = pare_ggml_kinds(&n);
    random_numbers(values, ROWS * COLS, 77);
    for (int i = 0; i < ROWS * COLS; i++)
        codes[i] = (int16_t)(i % 7 - 3);
    for (int r = 0; r < ROWS; r++)
        scales[r] = 0.25f;
    for (size_t k = 0; k < n; k++) {
        struct pare_weight *w = block_weight(&kinds[k]), *other;
        struct pare_integers x = {
            .struct_size = sizeof x, .bits = 3, .codes = codes, .scales = scales};
        ck_assert_ok(pare_weight_with_values(w, values, &other, &err), err);
        pare_weight_decode(other, 0, ROWS, back);
        ck_assert_mem_eq(values, back, sizeof values);
        ck_assert_uint_eq(other->values, PARE_VALUES_F32);
        pare_weight_unref(other);
        ck_assert_ok(pare_weight_with_integers(w, &x, &other, &err), err);
        pare_weight_decode(other, 0, ROWS, back);
        for (int i = 0; i < ROWS * COLS; i++)
            ck_assert(back[i] == 0.25f * (float)codes[i]);
        ck_assert_uint_eq(other->ggml, 0);
        pare_weight_unref(other);
        pare_weight_unref(w);
    }
}
END_TEST

START_TEST(rows_and_columns_of_blocks)
{
    static float all[ROWS * COLS], some[ROWS * COLS];
    static const uint8_t rows[ROWS] = {1, 0, 1};
    static uint8_t cols[COLS];
    size_t n;
    const struct pare_ggml_kind *kinds = pare_ggml_kinds(&n);
    for (size_t k = 0; k < n; k++) {
        struct pare_weight *w = block_weight(&kinds[k]), *part;
        uint32_t run = PARE_MAX(kinds[k].elements, 2); /* the second run of each pair stays */
        pare_weight_decode(w, 0, ROWS, all);
        for (uint32_t c = 0; c < COLS; c++)
            cols[c] = c / run % 2;
        ck_assert_ok(pare_weight_select(w, rows, cols, &part, &err), err);
        ck_assert_uint_eq(part->rows, 2);
        ck_assert_uint_eq(part->cols, COLS / 2);
        ck_assert_uint_eq(part->ggml, w->ggml);
        ck_assert_uint_eq(part->values, w->values);
        pare_weight_decode(part, 0, 2, some);
        for (uint32_t i = 0; i < COLS; i++) {
            uint32_t c = i % (COLS / 2), from = c / run * 2 * run + run + c % run;
            ck_assert(some[i] == all[(i < COLS / 2 ? 0 : 2) * COLS + from]);
        }
        pare_weight_unref(part);
        cols[0] = !cols[0];
        int rc = pare_weight_select(w, NULL, cols, &part, &err);
        ck_assert_int_eq(rc, kinds[k].elements > 1 ? PARE_UNSUPPORTED : PARE_OK);
        if (rc == PARE_OK)
            pare_weight_unref(part);
        pare_weight_unref(w);
    }
}
END_TEST

START_TEST(weights_become_tensors)
{
    /* bits, group, zero kind; the type without and with widening, 0: refused */
    static const struct {
        uint32_t bits, group, zero, exact, wide;
    } cases[] = {
        {8, 32, PARE_ZERO_NONE, PARE_GGML_Q8_0, PARE_GGML_Q8_0},
        {5, 32, PARE_ZERO_NONE, PARE_GGML_Q5_0, PARE_GGML_Q5_0},
        {5, 32, PARE_ZERO_MIN, PARE_GGML_Q5_1, PARE_GGML_Q5_1},
        {4, 32, PARE_ZERO_NONE, PARE_GGML_Q4_0, PARE_GGML_Q4_0},
        {4, 32, PARE_ZERO_MIN, PARE_GGML_Q4_1, PARE_GGML_Q4_1},
        {4, 32, PARE_ZERO_INT, 0, PARE_GGML_Q5_0},
        {4, 128, PARE_ZERO_NONE, 0, PARE_GGML_Q4_0},
        {4, 0, PARE_ZERO_MIN, 0, PARE_GGML_Q4_1},
        {4, 16, PARE_ZERO_NONE, 0, 0},
        {3, 32, PARE_ZERO_NONE, 0, PARE_GGML_Q4_0},
        {2, 64, PARE_ZERO_MIN, 0, PARE_GGML_Q4_1},
        {7, 32, PARE_ZERO_INT, 0, PARE_GGML_Q8_0},
        {8, 32, PARE_ZERO_INT, 0, 0},
        {8, 32, PARE_ZERO_MIN, 0, 0},
    };
    static float values[ROWS * COLS], scales[ROWS * COLS], zeros[ROWS * COLS], back[ROWS * COLS];
    static int16_t codes[ROWS * COLS];
    static uint8_t keep[ROWS * COLS];
    struct pare_weight *dense, *w, *sparse;
    struct pare_blob *data;
    uint32_t type;
    struct pare_random r;
    pare_random_seed(&r, 8);
    random_numbers(values, ROWS * COLS, 5);
    ck_assert_ok(pare_weight_new(ROWS, COLS, values, &dense, &err), err);
    for (size_t k = 0; k < PARE_COUNT(cases); k++) {
        int lo = cases[k].zero ? 0 : -(1 << (cases[k].bits - 1));
        for (int i = 0; i < ROWS * COLS; i++) {
            codes[i] = (int16_t)(lo + (int)pare_random_below(&r, 1u << cases[k].bits));
            scales[i] = pare_f16_to_f32((uint16_t)(0x2800 + pare_random_below(&r, 1024)));
            zeros[i] = cases[k].zero == PARE_ZERO_INT
                           ? (float)pare_random_below(&r, 1u << cases[k].bits)
                           : pare_f16_to_f32((uint16_t)(0xb000 + pare_random_below(&r, 1024)));
        }
        struct pare_integers x = {.struct_size = sizeof x,
                                  .bits = cases[k].bits,
                                  .group_size = cases[k].group,
                                  .zero_kind = cases[k].zero,
                                  .codes = codes,
                                  .scales = scales,
                                  .zeros = zeros};
        ck_assert_ok(pare_weight_with_integers(dense, &x, &w, &err), err);
        pare_weight_decode(w, 0, ROWS, values);
        for (int widen = 0; widen < 2; widen++) {
            uint32_t want = widen ? cases[k].wide : cases[k].exact;
            int rc = pare_weight_to_ggml(w, widen, &type, &data, &err);
            ck_assert_msg(rc == (want ? PARE_OK : PARE_UNSUPPORTED), "case %zu, %d: status %d", k,
                          widen, rc);
            if (!want) {
                ck_assert_ptr_nonnull(strstr(err.what, "GGUF has no type for a int"));
                ck_assert_int_ne(err.detail[0], 0);
                continue;
            }
            ck_assert_uint_eq(type, want);
            pare_ggml_decode(type, data->data, ROWS * COLS, back);
            ck_assert_mem_eq(values, back, sizeof values);
            pare_blob_unref(data);
        }
        pare_weight_unref(w);
    }
    /* sparse weights: only widened, and not with a minimum */
    for (int i = 0; i < ROWS * COLS; i++)
        keep[i] = i % 4 < 2;
    ck_assert_ok(pare_weight_with_structure(dense, 2, 4, keep, &sparse, &err), err);
    ck_assert_int_eq(pare_weight_to_ggml(sparse, 0, &type, &data, &err), PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.what, "2:4 f32"));
    ck_assert_ok(pare_weight_to_ggml(sparse, 1, &type, &data, &err), err);
    ck_assert_uint_eq(type, PARE_GGML_F32);
    pare_weight_decode(sparse, 0, ROWS, values);
    ck_assert_mem_eq(values, data->data, sizeof values);
    pare_blob_unref(data);
    for (int i = 0; i < ROWS * COLS; i++)
        codes[i] = (int16_t)(i % 15 - 7);
    struct pare_integers x = {
        .struct_size = sizeof x, .bits = 4, .group_size = 32, .codes = codes, .scales = scales};
    ck_assert_ok(pare_weight_with_integers(sparse, &x, &w, &err), err);
    ck_assert_int_eq(pare_weight_to_ggml(w, 0, &type, &data, &err), PARE_UNSUPPORTED);
    ck_assert_ok(pare_weight_to_ggml(w, 1, &type, &data, &err), err);
    ck_assert_uint_eq(type, PARE_GGML_Q4_0);
    pare_weight_decode(w, 0, ROWS, values);
    pare_ggml_decode(type, data->data, ROWS * COLS, back);
    for (int i = 0; i < ROWS * COLS; i++)
        ck_assert(values[i] == back[i]);
    pare_blob_unref(data);
    pare_weight_unref(w);
    pare_weight_unref(sparse);
    pare_weight_unref(dense);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gguf");
    TCase *tc = pare_test_case(s, "ggml");
    tcase_add_test(tc, blocks_decode_as_ggml_does);
    tcase_add_test(tc, codes_and_scales_make_the_numbers);
    tcase_add_test(tc, simple_types_encode_as_ggml_does);
    tcase_add_test(tc, searched_types_are_as_close_as_ggml);
    tcase_add_test(tc, encoding_extremes);
    tc = pare_test_case(s, "file");
    tcase_add_test(tc, file_is_read);
    tcase_add_loop_test(tc, mistakes_are_named, 0, (int)PARE_COUNT(mistakes));
    tcase_add_test(tc, keys_are_unique);
    tcase_add_test(tc, every_cut_is_refused);
    tcase_add_test(tc, data_is_not_read);
    tcase_add_test(tc, a_vocabulary_is_indexed);
    tcase_add_test(tc, what_is_written_is_read);
    tcase_add_test(tc, a_file_is_replaced_whole);
    tc = pare_test_case(s, "weights");
    tcase_add_test(tc, weights_of_all_types_are_read);
    tcase_add_test(tc, weights_refuse_what_does_not_fit);
    tcase_add_test(tc, structure_on_blocks);
    tcase_add_test(tc, new_values_and_integers_on_blocks);
    tcase_add_test(tc, rows_and_columns_of_blocks);
    tcase_add_test(tc, weights_become_tensors);
    return pare_test_main(&s, 1);
}
