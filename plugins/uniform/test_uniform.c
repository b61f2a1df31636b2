/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/allocator_test.h"

START_TEST(same_for_all)
{
    allocator_check("level", "{'plugin': 'uniform', 'params': {'value': 5}}", NULL,
                    (const double[]){5, 5, 5, 5, 5, 5});
    allocator_check("share", "{'plugin': 'uniform', 'params': {'value': 0.25}}", NULL,
                    (const double[]){.25, .25, .25, .25, .25, .25});
}
END_TEST

/* What the parameter cannot be is refused: out of bounds, or no whole number. */
START_TEST(refused)
{
    static const char *const how[] = {"{'plugin': 'uniform', 'params': {'value': 9}}",
                                      "{'plugin': 'uniform', 'params': {'value': 2.5}}"};
    allocator_refused("level", how[_i], "a whole number from 2 to 8");
}
END_TEST

START_TEST(page)
{
    world_check_page("uniform");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("uniform");
    TCase *tc = pare_test_case(s, "uniform");
    tcase_add_test(tc, same_for_all);
    tcase_add_loop_test(tc, refused, 0, 2);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
