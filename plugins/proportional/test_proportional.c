/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/allocator_test.h"

#define HOW(text) "{'plugin': 'proportional', 'params': {" text "}}"

/* Worked out by hand; the budget is the mean times 92,928.
 * 1: nothing is clamped: one factor, 3 x 92,928 / 204,096.
 * 2: the first four rest on the floor; 278,784 - 4 x 9,312 x 2 is left for the others, whose scores
 *    times parameters are 166,848: 204,288 / 166,848 = 1.224396.
 * 3: and down at the ceiling of 4: 93,312 left for up: 93,312 / 27,936.
 * 4: as 2 in whole numbers: down to 2 2 2 2 2 4, then up where the remainder is largest while the
 *    budget lasts: down 5 (269,088), not up (297,024).
 * 5: equal scores get the mean.
 * 6: the mean at the ceiling. */
static const struct {
    const char *param, *how, *score;
    double want[ALLOCATED];
} cases[] = {
    {"share",
     HOW("'mean': 3"),
     "[1, 1, 1, 1, 2, 4]",
     {1.365945, 1.365945, 1.365945, 1.365945, 2.731891, 5.463782}},
    {"share", HOW("'mean': 3, 'min': 2"), "[1, 1, 1, 1, 2, 4]", {2, 2, 2, 2, 2.448792, 4.897583}},
    {"share",
     HOW("'mean': 3, 'min': 2, 'max': 4"),
     "[1, 1, 1, 1, 2, 4]",
     {2, 2, 2, 2, 3.340206, 4}},
    {"level", HOW("'mean': 3"), "[1, 1, 1, 1, 2, 4]", {2, 2, 2, 2, 2, 5}},
    {"share", HOW("'mean': 0.5"), "[7, 7, 7, 7, 7, 7]", {.5, .5, .5, .5, .5, .5}},
    {"level", HOW("'mean': 8"), "[1, 2, 3, 4, 5, 6]", {8, 8, 8, 8, 8, 8}},
};

START_TEST(golden)
{
    allocator_check(cases[_i].param, cases[_i].how, cases[_i].score, cases[_i].want);
}
END_TEST

static const double parameters[ALLOCATED] = {9312, 9312, 9312, 9312, 27936, 27744};

/* Negative scores (distortions), more for the unimportant, floors and ceilings: order and budget.
 */
START_TEST(promises)
{
    static const struct {
        const char *param, *how;
        int order; /* of the values along rising importance */
        double mean, min, max;
    } many[] = {
        {"share", HOW("'mean': 0.5, 'max': 0.6, 'more_for': 'unimportant'"), -1, .5, 0, .6},
        {"share", HOW("'mean': 0.5, 'min': 0.4, 'max': 0.9"), 1, .5, .4, .9},
        {"level", HOW("'mean': 4.3, 'min': 3"), 1, 4.3, 3, 8},
        {"level", HOW("'mean': 5, 'more_for': 'unimportant'"), -1, 5, 2, 8},
    };
    struct world w;
    double got[ALLOCATED], spent = 0, room = 0;
    world_open(&w, 1);
    int rc = allocator_try(&w, many[_i].param, many[_i].how, "[-90, -40, -30, -20, -10, -1]", got);
    ck_assert_msg(rc == PARE_OK, "%s", w.err.what);
    for (int i = 0; i < ALLOCATED; i++) {
        ck_assert(got[i] >= many[_i].min - 1e-9 && got[i] <= many[_i].max + 1e-9);
        spent += got[i] * parameters[i];
    }
    ck_assert((got[5] - got[0]) * many[_i].order > 0);
    room = many[_i].mean * ALLOCATED_TOTAL - spent;
    /* whole numbers leave less than one unit's step unspent */
    ck_assert(room > -1e-3 && room < (strcmp(many[_i].param, "level") ? 1e-3 : 27936));
    world_close(&w);
}
END_TEST

START_TEST(refused)
{
    static const char *const how[] = {HOW("'mean': 1"), HOW("'mean': 9"),
                                      HOW("'mean': 4, 'min': 5")};
    allocator_refused("level", how[_i], "is not between");
}
END_TEST

START_TEST(page)
{
    world_check_page("proportional");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proportional");
    TCase *tc = pare_test_case(s, "proportional");
    tcase_add_loop_test(tc, golden, 0, PARE_COUNT(cases));
    tcase_add_loop_test(tc, promises, 0, 4);
    tcase_add_loop_test(tc, refused, 0, 3);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
