/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEST_H
#define PARE_TEST_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"

/* A program of unit tests: run every suite, report in TAP. */
static inline int pare_test_main(Suite **suites, size_t n)
{
    SRunner *runner = srunner_create(suites[0]);
    for (size_t i = 1; i < n; i++)
        srunner_add_suite(runner, suites[i]);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

/* A case of its own for each named group; the time-out is for tests that hang, also under
 * sanitizers on a machine that is busy. */
static inline TCase *pare_test_case(Suite *suite, const char *name)
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 600);
    suite_add_tcase(suite, tc);
    return tc;
}

#define ck_assert_ok(call, err) /* the call succeeds; else its message is shown */                 \
    do {                                                                                           \
        int ck_rc = (call);                                                                        \
        ck_assert_msg(ck_rc == PARE_OK, "%s: %s %s", #call, (err).what, (err).detail);             \
    } while (0)

/* A path below the source tree, from a rotating set of static buffers. */
static inline const char *pare_test_source(const char *name)
{
    static char paths[8][4096];
    static unsigned turn;
    const char *top = getenv("PARE_TOP_SRC");
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", top ? top : ".", name);
    return path;
}

/* A fresh folder below TMPDIR; the test removes it with pare_remove_tree(). */
static inline const char *pare_test_folder(void)
{
    static char path[4096];
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/pare-test-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

#endif
