/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/allocator_test.h"

/* Shares count parameters: of 92,928 down has 27,744, down and up 55,680, with output 64,992. */
static const struct {
    double share;
    const char *score;
    double want[ALLOCATED];
} cases[] = {
    {.0, "[1, 2, 3, 4, 5, 6]", {4, 4, 4, 4, 4, 4}},
    {.5, "[1, 2, 3, 4, 5, 6]", {4, 4, 4, 4, 4, 8}},
    {.6, "[1, 2, 3, 4, 5, 6]", {4, 4, 4, 4, 8, 8}},
    {.7, "[1, 2, 3, 4, 5, 6]", {4, 4, 4, 8, 8, 8}},
    {1., "[1, 2, 3, 4, 5, 6]", {8, 8, 8, 8, 8, 8}},
    {.25, "[6, 5, 4, 3, 2, 1]", {8, 8, 4, 4, 4, 4}},
    {.25, "[0, 0, 0, 0, 0, 0]", {8, 8, 4, 4, 4, 4}},       /* among equals the earlier */
    {.25, "[-5, -1, -3, -2, -9, -9]", {4, 8, 4, 8, 4, 4}}, /* negated distortions */
    {.35, "[1, 1, 1, 3, 9, 1]", {4, 4, 4, 4, 8, 4}},       /* what does not fit ends it */
};

START_TEST(golden)
{
    char how[160];
    snprintf(how, sizeof how,
             "{'plugin': 'two-level', 'params': {'high': 8, 'low': 4, 'high_share': %g}}",
             cases[_i].share);
    allocator_check("level", how, cases[_i].score, cases[_i].want);
}
END_TEST

START_TEST(page)
{
    world_check_page("two-level");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("two-level");
    TCase *tc = pare_test_case(s, "two-level");
    tcase_add_loop_test(tc, golden, 0, PARE_COUNT(cases));
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
