/* SPDX-License-Identifier: Apache-2.0 */
/* <pare/runtime.h> through the library as it is installed; the rest of Pare only writes models. */
#include <pare/runtime.h>

#include "tests/unit/fashion_logits.h"

#include "base/file.h"
#include "model/model.h"

static char message[512];
static const char *const boot = "tests/fixtures/images/boot.png";

#define ck_run(call)                                                                               \
    do {                                                                                           \
        message[0] = '\0';                                                                         \
        int ck_rc = (call);                                                                        \
        ck_assert_msg(ck_rc == PARE_OK, "%s: %s", #call, message);                                 \
    } while (0)

static pare_rt_model *fashion(unsigned threads)
{
    pare_rt_model *m = NULL;
    ck_run(pare_rt_open(pare_test_source("share/models/fashion-vit"), threads, &m, message,
                        sizeof message));
    return m;
}

START_TEST(tells_shapes_and_labels)
{
    pare_rt_model *m = fashion(1);
    unsigned c, h, w;
    pare_rt_input_shape(m, &c, &h, &w);
    ck_assert(c == 1 && h == 28 && w == 28);
    ck_assert_uint_eq(pare_rt_input_size(m), 784);
    ck_assert_uint_eq(pare_rt_classes(m), 10);
    ck_assert_str_eq(pare_rt_label(m, 9), "Ankle boot");
    ck_assert_ptr_null(pare_rt_label(m, 10));
    pare_rt_close(m);
    pare_rt_close(NULL);
}
END_TEST

START_TEST(runs_as_the_truth)
{
    struct fashion_logits truth;
    pare_rt_model *m = fashion(1);
    float input[784], logits[10];
    fashion_logits_read(&truth);
    ck_run(pare_rt_load_image(m, pare_test_source(boot), input, message, sizeof message));
    ck_run(pare_rt_run(m, input, 1, logits, message, sizeof message));
    for (unsigned i = 0; i < 10; i++)
        ck_assert_msg(fabs((double)logits[i] - (double)truth.logits[i]) <= 1e-4, "%u", i);
    ck_run(pare_rt_run(m, input, 0, logits, message, sizeof message));
    pare_rt_close(m);
}
END_TEST

START_TEST(outputs_stand_alone)
{
    pare_rt_model *one = fashion(1), *two = fashion(2);
    enum { N = 37 };
    static float inputs[N * 784], together[N * 10], single[10];
    volatile float tiny = 1e-40f;
    ck_run(pare_rt_load_image(one, pare_test_source(boot), inputs, message, sizeof message));
    for (unsigned i = 784; i < N * 784; i++)
        inputs[i] = inputs[i % 784] * (float)(i / 784 % 5) / 4;
    ck_run(pare_rt_run(two, inputs, N, together, message, sizeof message));
    for (unsigned i = 0; i < N; i++) {
        ck_run(pare_rt_run(one, inputs + i * 784, 1, single, message, sizeof message));
        ck_assert_int_eq(memcmp(single, together + i * 10, sizeof single), 0);
    }
    ck_assert_msg(tiny * 0.5f != 0, "denormals are still flushed");
    pare_rt_close(one);
    pare_rt_close(two);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    pare_rt_model *m = NULL, *fine = fashion(1);
    float input[784], logits[10];
    char few[8];
    ck_assert_int_eq(pare_rt_open("/nowhere", 1, &m, message, sizeof message), PARE_NOT_FOUND);
    ck_assert(m == NULL && strstr(message, "/nowhere"));
    ck_assert_int_eq(pare_rt_open("/nowhere", 1, &m, few, sizeof few), PARE_NOT_FOUND);
    ck_assert_uint_eq(strlen(few), sizeof few - 1);
    ck_assert_int_eq(pare_rt_open("/nowhere", 1, &m, NULL, 0), PARE_NOT_FOUND);
    ck_assert_int_eq(
        pare_rt_open(pare_test_source("share/models/fashion-vit"), 0, &m, message, sizeof message),
        PARE_INVALID);
    ck_assert_ptr_null(m);
    ck_assert_int_eq(
        pare_rt_load_image(fine, pare_test_source("README.md"), input, message, sizeof message),
        PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(message, "README.md"));
    memset(input, 0xff, sizeof input); /* NaN */
    ck_assert_int_eq(pare_rt_run(fine, input, 1, logits, message, sizeof message), PARE_FAILED);
    ck_assert_uint_gt(strlen(message), 0);
    pare_rt_close(fine);
}
END_TEST

/* Run a command line, give back its first line. */
static int run_line(const char *command, char *line, size_t size)
{
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    line[0] = '\0';
    if (fgets(line, (int)size, f))
        line[strcspn(line, "\n")] = '\0';
    return pclose(f);
}

static const char *top_build(void)
{
    const char *top = getenv("PARE_TOP_BUILD");
    return top ? top : ".";
}

/* A model whose weights a plugin laid out: it runs once the plugin is loaded. */
START_TEST(encodings_of_plugins)
{
    const char *folder = pare_test_folder();
    char command[16384], line[256], path[4200], plugin[4200];
    pare_rt_model *m = NULL;
    float input[784] = {0}, logits[10];
    struct pare_error err = {0};
    snprintf(plugin, sizeof plugin, "%s/tests/plugins/.libs/bad-encoding.so", top_build());
    if (access(plugin, R_OK) != 0) /* shared objects are not built here */
        return;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(command, sizeof command, "%s/pare apply %s %s -o %s --in-process", top_build(),
             pare_test_source("share/models/fashion-vit"), plugin, path);
    ck_assert_int_eq(run_line(command, line, sizeof line), 0);
    ck_assert_int_eq(pare_rt_open(path, 1, &m, message, sizeof message), PARE_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(message, "'bad-encoding'"));
    ck_assert_ptr_nonnull(strstr(message, "pare_rt_plugin()"));
    ck_assert_int_eq(pare_rt_plugin("/nowhere.so", message, sizeof message), PARE_NOT_FOUND);
    snprintf(line, sizeof line, "%.200s", plugin);
    strcpy(strstr(plugin, "bad-encoding"), "bad-silent.so");
    ck_assert_int_eq(pare_rt_plugin(plugin, message, sizeof message), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(message, "brings no encoding"));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pare_rt_plugin(line, message, sizeof message), PARE_OK);
    ck_assert_int_eq(pare_rt_open(path, 1, &m, message, sizeof message), PARE_OK);
    ck_assert_int_eq(pare_rt_run(m, input, 1, logits, message, sizeof message), PARE_OK);
    pare_rt_close(m);
    ck_assert_ok(pare_remove_tree(folder, &err), err);
}
END_TEST

START_TEST(example_classifies)
{
    struct pare_error err;
    struct pare_model *m;
    char command[16384], file[5000], line[256];
    const char *folder = pare_test_folder();
    snprintf(file, sizeof file, "%s/boot model.safetensors", folder);
    ck_assert_ok(pare_model_open(pare_test_source("share/models/fashion-vit"), &m, &err), err);
    ck_assert_ok(pare_model_write(m, file, NULL, &err), err);
    snprintf(command, sizeof command, "'%s/share/examples/classify' '%s' '%s'", top_build(), file,
             pare_test_source(boot));
    ck_assert_int_eq(run_line(command, line, sizeof line), 0);
    ck_assert_str_eq(line, "9 Ankle boot");
    snprintf(command, sizeof command, "'%s/share/examples/classify' '%s' '%s' 2>&1", top_build(),
             file, file);
    ck_assert_int_ne(run_line(command, line, sizeof line), 0);
    ck_assert_ptr_nonnull(strstr(line, "neither a JPEG nor a PNG"));
    pare_model_free(m);
    ck_assert_ok(pare_remove_tree(folder, &err), err);
}
END_TEST

/* Nothing but the interface is visible, and what only measuring needs is not linked. */
START_TEST(library_is_small)
{
    char command[16384], line[256];
    snprintf(command, sizeof command,
             "nm -D --defined-only '%s/.libs/libpare.so' | awk '{print $3}'"
             " | grep -v '^pare_rt_' | grep -v '^_'",
             top_build());
    run_line(command, line, sizeof line);
    ck_assert_msg(line[0] == '\0', "%s is visible", line);
    snprintf(command, sizeof command,
             "nm -D --defined-only '%s/.libs/libpare.so' | grep -c ' T pare_rt_'", top_build());
    run_line(command, line, sizeof line);
    ck_assert_str_eq(line, "9");
    snprintf(command, sizeof command,
             "objdump -p '%s/.libs/libpare.so' | grep -E 'NEEDED.*(sqlite|yaml|lapack|openblas)'",
             top_build());
    run_line(command, line, sizeof line);
    ck_assert_msg(line[0] == '\0', "%s", line);
}
END_TEST

/* The header by itself, as C99 and, where there is a compiler, as C++. */
START_TEST(header_is_clean)
{
    static const char *const compilers[] = {"cc -std=c99 -x c", "c++ -std=c++98 -x c++"};
    char command[16384], line[256];
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "command -v %.3s", compilers[i]);
        if (run_line(command, line, sizeof line) != 0)
            continue;
        snprintf(command, sizeof command,
                 "%s -pedantic-errors -Wall -Wextra -Werror -fsyntax-only -I'%s' '%s' 2>&1",
                 compilers[i], pare_test_source("core/include"),
                 pare_test_source("share/examples/classify.c"));
        if (i == 1) /* the example is C */
            snprintf(command, sizeof command,
                     "echo '#include <pare/runtime.h>' | %s -pedantic-errors -Wall -Wextra -Werror "
                     "-fsyntax-only -I'%s' - 2>&1",
                     compilers[i], pare_test_source("core/include"));
        ck_assert_msg(run_line(command, line, sizeof line) == 0, "%s", line);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runtime");
    TCase *tc = pare_test_case(s, "runtime");
    tcase_add_test(tc, tells_shapes_and_labels);
    tcase_add_test(tc, runs_as_the_truth);
    tcase_add_test(tc, outputs_stand_alone);
    tcase_add_test(tc, says_what_is_wrong);
    tcase_add_test(tc, encodings_of_plugins);
    tcase_add_test(tc, example_classifies);
    tcase_add_test(tc, library_is_small);
    tcase_add_test(tc, header_is_clean);
    return pare_test_main(&s, 1);
}
