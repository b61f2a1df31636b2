/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin_test.h"

/* np.mean((w - w.mean()) / w.std() > 1), or of the absolute value. */
static double share(const struct pare_graph *g, const char *path, bool both)
{
    const struct pare_weight *weight = world_node(g, path)->weight;
    size_t n = (size_t)weight->rows * weight->cols, beyond = 0;
    float *w = world_weight(g, path);
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)w[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        square += ((double)w[i] - mean) * ((double)w[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double z = ((double)w[i] - mean) / sqrt(square);
        beyond += (both ? fabs(z) : z) > 1;
    }
    free(w);
    return (double)beyond / (double)n;
}

START_TEST(linears)
{
    struct world w;
    struct pare_units units;
    world_open(&w, 1);
    w.env.n = 0; /* it needs no data */
    double *score = world_score(&w, w.model->graph, "zd", _i ? "{'sides': 'two'}" : "{}",
                                PARE_UNIT_LINEAR, &units);
    for (size_t i = 0; i < units.n; i++) /* a distortion: importance is its negative */
        ck_assert_double_eq_tol(score[i], -share(w.model->graph, units.items[i].path, _i), 2e-4);
    free(score);
    pare_units_free(&units);
    world_close(&w);
}
END_TEST

/* A branch or block has the mean of its linears. */
START_TEST(branches_and_blocks)
{
    static const char *const names[] = {"attn.query",  "attn.key", "attn.value",
                                        "attn.output", "ffn.up",   "ffn.down"};
    struct world w;
    struct pare_units units;
    double one[6], all = 0;
    char path[64];
    world_open(&w, 1);
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "layer.4.%s", names[i]);
        one[i] = share(w.model->graph, path, false);
        all += one[i];
    }
    double *branch = world_score(&w, w.model->graph, "zd", "", PARE_UNIT_BRANCH, &units);
    ck_assert_str_eq(units.items[8].path, "layer.4.attn");
    ck_assert_double_eq_tol(branch[8], -(one[0] + one[1] + one[2] + one[3]) / 4, 2e-4);
    ck_assert_double_eq_tol(branch[9], -(one[4] + one[5]) / 2, 2e-4);
    pare_units_free(&units);
    double *block = world_score(&w, w.model->graph, "zd", "", PARE_UNIT_BLOCK, &units);
    ck_assert_double_eq_tol(block[4], -all / 6, 2e-4);
    free(branch);
    free(block);
    pare_units_free(&units);
    world_close(&w);
}
END_TEST

/* By hand: seven of eight weights of a row are 0 and one is 1: the mean is 1/8, only the ones are
 * beyond one deviation, 8 of 64. */
START_TEST(by_hand)
{
    float down[64] = {0};
    struct world w;
    struct pare_units units;
    for (int i = 0; i < 8; i++)
        down[i * 9] = 1;
    world_begin(&w, 1, 8);
    struct pare_graph *g = hand_graph(8, 1, 1, down, NULL);
    double *score = world_score(&w, g, "zd", "", PARE_UNIT_LINEAR, &units);
    for (size_t i = 0; i < units.n; i++)
        ck_assert(score[i] == -.125);
    free(score);
    pare_units_free(&units);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(page)
{
    world_check_page("zd");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("zd");
    TCase *tc = pare_test_case(s, "zd");
    tcase_add_loop_test(tc, linears, 0, 2);
    tcase_add_test(tc, branches_and_blocks);
    tcase_add_test(tc, by_hand);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
