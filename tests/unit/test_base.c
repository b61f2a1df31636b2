/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

START_TEST(numbers_round_trip)
{
    char text[32];
    double back;
    struct pare_random r;
    pare_random_seed(&r, 7);
    for (int i = 0; i < 2000; i++) {
        double x = pare_random_normal(&r) * pow(10, (double)pare_random_below(&r, 40) - 20);
        pare_format_double(x, text);
        ck_assert(pare_parse_double(text, &back) && back == x);
    }
    pare_format_double(0.1, text);
    ck_assert_str_eq(text, "0.1");
    pare_format_double(4, text);
    ck_assert_str_eq(text, "4");
}
END_TEST

/* Every order of four comes about equally often: 1000 times of 24000, with a deviation of 31. */
START_TEST(shuffles_are_even)
{
    size_t times[256] = {0}, orders = 0;
    struct pare_random r;
    pare_random_seed(&r, 11);
    for (int i = 0; i < 24000; i++) {
        uint32_t x[] = {0, 1, 2, 3, 9};
        pare_random_shuffle(&r, x, 4);
        ck_assert(x[4] == 9 && x[0] < 4 && x[1] < 4 && x[2] < 4 && x[3] < 4);
        times[x[0] | x[1] << 2 | x[2] << 4 | x[3] << 6]++;
    }
    for (size_t i = 0; i < PARE_COUNT(times); i++) {
        orders += times[i] > 0;
        ck_assert(times[i] == 0 || (times[i] > 840 && times[i] < 1160));
    }
    ck_assert_uint_eq(orders, 24);
}
END_TEST

START_TEST(numbers_refused)
{
    static const char *const bad[] = {"",      "x",    "1x", "nan", "inf",
                                      "1e999", "0x10", " 1", "1 ",  "--1"};
    double x;
    long long n;
    for (size_t i = 0; i < PARE_COUNT(bad); i++)
        ck_assert_msg(!pare_parse_double(bad[i], &x), "'%s' was read as a number", bad[i]);
    ck_assert(!pare_parse_int("1.5", &n));
    ck_assert(!pare_parse_int("99999999999999999999", &n));
    ck_assert(pare_parse_int("-12", &n) && n == -12);
}
END_TEST

START_TEST(globs)
{
    static const struct {
        const char *pattern, *path;
        bool match;
    } cases[] = {
        {"layer.**", "layer.0.attn.query", true},
        {"layer.*", "layer.0.attn", false},
        {"layer.*", "layer.0", true},
        {"layer.*.attn.*", "layer.11.attn.query", true},
        {"**.query", "layer.3.attn.query", true},
        {"**", "", true},
        {"**", "a.b", true},
        {"*", "a.b", false},
        {"*", "", true},
        {"layer.?", "layer.1", true},
        {"layer.?", "layer.10", false},
        {"**.attn.**", "layer.3.attn.query", true},
        {"layer.0.**", "layer.01.attn", false},
        {"**1", "layer.1.1", true},
        {"l*r.**.q*y", "layer.3.attn.query", true},
        {"a", "ab", false},
        {"**.*y", "x.query", true},
        {"*.b.**.d", "a.b.c.d", true},
    };
    for (size_t i = 0; i < PARE_COUNT(cases); i++)
        ck_assert_msg(pare_glob_match(cases[i].pattern, cases[i].path) == cases[i].match,
                      "%s on %s", cases[i].pattern, cases[i].path);
}
END_TEST

START_TEST(nearest)
{
    static const char *const words[] = {"sparsity", "criterion", "pattern", "scope"};
    ck_assert_str_eq(pare_nearest("sparcity", words, 4), "sparsity");
    ck_assert_str_eq(pare_nearest("pattren", words, 4), "pattern");
    ck_assert_ptr_null(pare_nearest("zzzzzz", words, 4));
    static const char *const metrics[] = {"top1", "latency_ms", "latency_ms.server", "size_bytes"};
    ck_assert_str_eq(pare_nearest("size", metrics, 4), "size_bytes");
    ck_assert_ptr_null(pare_nearest("late", metrics, 4)); /* two are */
    ck_assert_ptr_null(pare_nearest("si", metrics, 4));
}
END_TEST

START_TEST(hash_vectors)
{
    char hex[PARE_HASH_HEX];
    pare_hash_bytes("abc", 3, hex); /* FIPS 180-4, example B.1 */
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pare_hash_bytes("", 0, hex);
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_uint_eq(pare_crc32(0, "123456789", 9), 0xcbf43926u);
}
END_TEST

START_TEST(files)
{
    struct pare_error err;
    const char *dir = pare_test_folder();
    char *path = pare_path_join(dir, "a/b/c");
    char *folder = pare_path_folder(path);
    char *data;
    size_t size;
    ck_assert_ok(pare_make_folders(folder, &err), err);
    ck_assert_ok(pare_file_write(path, "hello", 5, &err), err);
    ck_assert_ok(pare_file_read(path, 100, &data, &size, &err), err);
    ck_assert_uint_eq(size, 5);
    ck_assert_str_eq(data, "hello");
    free(data);
    ck_assert_int_eq(pare_file_read(path, 4, &data, &size, &err), PARE_INVALID);
    ck_assert_int_eq(pare_file_read(folder, 100, &data, &size, &err), PARE_INVALID);
    ck_assert_int_eq(pare_file_read("/nowhere/at/all", 4, &data, &size, &err), PARE_NOT_FOUND);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
    ck_assert(!pare_file_exists(dir));
    free(path);
    free(folder);
}
END_TEST

START_TEST(paths_are_joined)
{
    static const char *const cases[][3] = {
        {"a", "b", "a/b"},     {"a/", "b", "a/b"},
        {"a", "/b", "/b"},     {"", "b", "b"},
        {".", "b", "b"},       {".", "./b/c", "b/c"},
        {"x", "././b", "x/b"}, {"x", ".hid", "x/.hid"},
        {".", "../b", "../b"}, {"x", "..//b", "x/..//b"},
        {".", "", "./"},       {"/", "b", "/b"},
    };
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        char *path = pare_path_join(cases[i][0], cases[i][1]);
        ck_assert_str_eq(path, cases[i][2]);
        free(path);
    }
}
END_TEST

START_TEST(sizes_do_not_wrap)
{
    size_t cap = 0;
    void *p = NULL;
    ck_assert_ptr_null(pare_alloc(SIZE_MAX / 2, 4));
    ck_assert_ptr_null(pare_alloc_aligned(SIZE_MAX / 4, 4));
    ck_assert(!pare_grow(&p, &cap, SIZE_MAX / 2 + 2, 8));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base");
    TCase *tc = pare_test_case(s, "base");
    tcase_add_test(tc, numbers_round_trip);
    tcase_add_test(tc, numbers_refused);
    tcase_add_test(tc, shuffles_are_even);
    tcase_add_test(tc, globs);
    tcase_add_test(tc, nearest);
    tcase_add_test(tc, hash_vectors);
    tcase_add_test(tc, files);
    tcase_add_test(tc, paths_are_joined);
    tcase_add_test(tc, sizes_do_not_wrap);
    return pare_test_main(&s, 1);
}
