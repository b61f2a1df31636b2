/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin_test.h"

/* LIM of a block that takes (1, 2, 3) to (1.5, 2, 2.5) is -0.982708 in the digest; the score here
 * is 1 more. */
START_TEST(golden)
{
    const float down[9] = {0}, bias[3] = {.5f, 0, -.5f};
    struct world w;
    struct pare_units units;
    world_begin(&w, 1, 3);
    for (int i = 0; i < 3; i++)
        w.images[i] = (float)(i + 1);
    struct pare_graph *g = hand_graph(3, 1, 1, down, bias);
    double *branch = world_score(&w, g, "cosine", "", PARE_UNIT_BRANCH, &units);
    ck_assert_uint_eq(units.n, 1);
    ck_assert_double_eq_tol(branch[0], 1 - .982708, 5e-7);
    pare_units_free(&units);
    double *block = world_score(&w, g, "cosine", "", PARE_UNIT_BLOCK, &units);
    ck_assert_double_eq_tol(block[0], branch[0], 1e-12);
    pare_units_free(&units);
    free(branch);
    free(block);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* 1 - cos of two stored activations, mean over all tokens. */
static double distance(const float *x, const float *y, size_t tokens, size_t width)
{
    double sum = 0;
    for (size_t t = 0; t < tokens; t++, x += width, y += width) {
        double xy = 0, xx = 0, yy = 0;
        for (size_t i = 0; i < width; i++) {
            xy += (double)x[i] * (double)y[i];
            xx += (double)x[i] * (double)x[i];
            yy += (double)y[i] * (double)y[i];
        }
        sum += xy / sqrt(xx) / sqrt(yy);
    }
    return 1 - sum / (double)tokens;
}

START_TEST(equals_stored_activations)
{
    struct world w;
    struct pare_units units;
    struct pare_branch first, last;
    char path[64];
    unsigned kind = _i ? PARE_UNIT_BLOCK : PARE_UNIT_BRANCH;
    world_open(&w, 20); /* no multiple of the batch */
    const struct pare_graph *g = w.model->graph;
    double *score = world_score(&w, g, "cosine", "", kind, &units);
    ck_assert_uint_eq(units.n, _i ? 8 : 16);
    for (size_t i = 0; i < units.n; i += 3) {
        snprintf(path, sizeof path, "%s%s", units.items[i].path, _i ? ".attn" : "");
        ck_assert(pare_branch_find(g, path, &first));
        snprintf(path, sizeof path, "%s%s", units.items[i].path, _i ? ".ffn" : "");
        ck_assert(pare_branch_find(g, path, &last));
        float *x = world_value(&w, g, first.stream, NULL);
        float *y = world_value(&w, g, g->nodes[last.add].outputs[0], NULL);
        ck_assert_double_eq_tol(score[i], distance(x, y, 20 * 50, 96), 1e-10);
        free(x);
        free(y);
    }
    free(score);
    pare_units_free(&units);
    world_close(&w);
}
END_TEST

/* A token that stands for several counts as often; here only that merging is gone through at all,
 * and that a block whose tokens merge inside is refused with its name. */
START_TEST(merged_tokens)
{
    struct world w;
    struct pare_units units;
    world_open(&w, 8);
    struct pare_graph *g = world_with(&w, w.model->graph, "token-merge", "{'r': 4}", NULL);
    double *score = world_score(&w, g, "cosine", "", PARE_UNIT_BRANCH, &units);
    for (size_t i = 0; i < units.n; i++)
        ck_assert(score[i] > 0 && score[i] < 2);
    free(score);
    pare_units_free(&units);
    double blocks[8];
    json_t *none = json_object();
    ck_assert_int_eq(
        pare_stage_score(&w.env, g, "cosine", none, PARE_UNIT_BLOCK, blocks, 8, &w.err),
        PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(w.err.what, "layer.0"));
    json_decref(none);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(needs_data)
{
    struct world w;
    double blocks[8];
    world_open(&w, 1);
    w.env.n = 0;
    json_t *none = json_object();
    ck_assert_int_eq(pare_stage_score(&w.env, w.model->graph, "cosine", none, PARE_UNIT_BLOCK,
                                      blocks, 8, &w.err),
                     PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(w.err.what, "calibration data"));
    json_decref(none);
    world_close(&w);
}
END_TEST

START_TEST(page)
{
    world_check_page("cosine");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cosine");
    TCase *tc = pare_test_case(s, "cosine");
    tcase_add_test(tc, golden);
    tcase_add_loop_test(tc, equals_stored_activations, 0, 2);
    tcase_add_test(tc, merged_tokens);
    tcase_add_test(tc, needs_data);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
