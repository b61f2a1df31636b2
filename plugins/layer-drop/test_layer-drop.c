/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin_test.h"

/* Which layers still have a branch of that name; bit b: layer b. */
static unsigned layers_with(const struct pare_graph *g, const char *branch)
{
    struct pare_branch b;
    unsigned have = 0;
    char path[64];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "layer.%u.%s", i, branch);
        have |= (unsigned)pare_branch_find(g, path, &b) << i;
    }
    return have;
}

/* R = 8 - count stay, at round(j 7 / (R - 1)). */
START_TEST(evenly)
{
    struct world w;
    char params[64];
    unsigned want = 0, kept = 8 - (unsigned)_i;
    world_open(&w, 1);
    snprintf(params, sizeof params, "{'choose': 'even', 'count': %d}", _i);
    for (unsigned j = 0; j < kept; j++)
        want |= 1u << (kept == 1 ? 0 : (unsigned)floor(j * 7.0 / (kept - 1) + .5));
    struct pare_graph *g = world_with(&w, w.model->graph, "layer-drop", params, NULL);
    ck_assert_uint_eq(layers_with(g, "attn"), want);
    ck_assert_uint_eq(layers_with(g, "ffn"), want);
    ck_assert_int_eq(__builtin_popcount(want), (int)kept);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* The lowest scores go; what is left of the model is what it costs. */
START_TEST(lowest_score)
{
    struct world w;
    struct pare_units units;
    struct pare_branch b;
    world_open(&w, 16);
    double *score = world_score(&w, w.model->graph, "cosine", "", PARE_UNIT_BRANCH, &units);
    struct recorded r = {0};
    w.env.record = world_record;
    w.env.user = &r;
    struct pare_graph *g =
        world_with(&w, w.model->graph, "layer-drop", "{'unit': 'any', 'count': 3}", NULL);
    uint64_t macs = pare_graph_macs(w.model->graph);
    for (size_t i = 0; i < units.n; i++) {
        unsigned lower = 0;
        for (size_t j = 0; j < units.n; j++)
            lower += score[j] < score[i] || (score[j] == score[i] && j > i);
        bool gone = !pare_branch_find(g, units.items[i].path, &b);
        ck_assert_msg(gone == (lower < 3), "%s", units.items[i].path);
        ck_assert(recorded_value(&r, units.items[i].path, "drop") == gone);
        macs -= gone ? units.items[i].macs : 0;
    }
    ck_assert_uint_eq(pare_graph_macs(g), macs);
    ck_assert_uint_eq(r.n, units.n); /* and nothing else */
    for (size_t i = 0; i < r.n; i++)
        ck_assert(r.items[i].score == score[i]);
    free(score);
    pare_units_free(&units);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(by_number)
{
    static const struct {
        const char *params;
        unsigned attention, ffn;
    } cases[] = {
        {"{'choose': 'layers', 'layers': [2, 5]}", 0xdb, 0xdb},
        {"{'choose': 'layers', 'layers': [0], 'unit': 'attention'}", 0xfe, 0xff},
        {"{'choose': 'layers', 'layers': [7, 6], 'unit': 'ffn'}", 0xff, 0x3f},
        {"{'choose': 'each', 'drop': {'by': [{'on': ['layer.1.attn', 'layer.4'], 'value': true}]}}",
         0xed, 0xef},
        {"{'unit': 'ffn', 'count': 8}", 0xff, 0},
    };
    struct world w;
    world_open(&w, 8);
    struct pare_graph *g = world_with(&w, w.model->graph, "layer-drop", cases[_i].params, NULL);
    ck_assert_uint_eq(layers_with(g, "attn"), cases[_i].attention);
    ck_assert_uint_eq(layers_with(g, "ffn"), cases[_i].ffn);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* The mean is the branch's mean output over tokens and samples. */
START_TEST(mean_is_the_mean)
{
    struct world w;
    struct pare_branch b;
    world_open(&w, 32);
    const struct pare_graph *m = w.model->graph;
    ck_assert(pare_branch_find(m, "layer.3.ffn", &b));
    float *out = world_value(&w, m, b.out, NULL);
    struct pare_graph *g =
        world_with(&w, m, "layer-drop",
                   "{'choose': 'layers', 'layers': [3], 'unit': 'ffn', 'replace': 'mean'}", NULL);
    const struct pare_node *node = world_node(g, "layer.3.ffn.mean");
    ck_assert_uint_eq(node->op, PARE_OP_ADD_VECTOR);
    for (uint32_t c = 0; c < 96; c++) {
        double sum = 0;
        for (size_t t = 0; t < 32 * 50; t++)
            sum += (double)out[t * 96 + c];
        ck_assert_double_eq_tol((double)pare_blob_f32(node->a)[c], sum / (32 * 50), 1e-5);
    }
    free(out);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* Squared distance of the stream behind layer `b` to what the untouched model has there. */
static double stream_error(struct world *w, const struct pare_graph *g, int b, const float *want)
{
    char path[64];
    struct pare_branch next;
    double sum = 0;
    snprintf(path, sizeof path, "layer.%d.attn", b + 1);
    ck_assert(pare_branch_find(g, path, &next));
    float *x = world_value(w, g, next.stream, NULL);
    for (size_t i = 0; i < (size_t)w->n * 50 * 96; i++)
        sum += ((double)x[i] - (double)want[i]) * ((double)x[i] - (double)want[i]);
    free(x);
    return sum;
}

/* On the data that they were fitted on: behind the branch a linear map is closer than the mean, and
 * the mean closer than nothing. (What the error becomes at the output, later layers decide.) */
START_TEST(replacements)
{
    static const char *const by[] = {"nothing", "mean", "linear"};
    struct world w;
    struct pare_branch next;
    double error[3];
    char params[128];
    int layer = 1 + 2 * _i;
    world_open(&w, 64);
    snprintf(params, sizeof params, "layer.%d.attn", layer + 1);
    ck_assert(pare_branch_find(w.model->graph, params, &next));
    float *want = world_value(&w, w.model->graph, next.stream, NULL);
    for (int i = 0; i < 3; i++) {
        snprintf(params, sizeof params,
                 "{'choose': 'layers', 'layers': [%d], 'unit': 'ffn', 'replace': '%s'}", layer,
                 by[i]);
        struct pare_graph *g = world_with(&w, w.model->graph, "layer-drop", params, NULL);
        error[i] = stream_error(&w, g, layer, want);
        pare_graph_free(g);
    }
    ck_assert_double_lt(error[2], error[1]);
    ck_assert_double_lt(error[1], error[0]);
    free(want);
    world_close(&w);
}
END_TEST

/* Two blocks, each decided by measurement with what went before; `per` decides for whole blocks. */
START_TEST(each_by_greedy)
{
    struct world w;
    world_open(&w, 16);
    struct pare_graph *g = world_with(
        &w, w.model->graph, "layer-drop",
        "{'choose': 'each', 'drop': {'allocate': {'plugin': 'greedy', 'params': {'count': 2}},"
        " 'per': 'block'}}",
        NULL);
    ck_assert_uint_eq(layers_with(g, "attn"), layers_with(g, "ffn"));
    ck_assert_int_eq(__builtin_popcount(layers_with(g, "attn")), 6);
    ck_assert_uint_lt(w.env.macs_run, w.env.macs_naive);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *params, *why;
    } cases[] = {
        {"{'count': 9}", "there are 8 to drop from"},
        {"{'choose': 'layers'}", "go together"},
        {"{'layers': [1]}", "go together"},
        {"{'choose': 'layers', 'layers': [8]}", "layer 8 has nothing to drop"},
        {"{'choose': 'each', 'unit': 'ffn'}", "takes its units from 'on'"},
    };
    struct world w;
    world_open(&w, 8);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    ck_assert_int_eq(world_apply(&w, g, "layer-drop", cases[_i].params, NULL, NULL), PARE_INVALID);
    ck_assert_msg(strstr(w.err.what, cases[_i].why) != NULL, "%s", w.err.what);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(identity)
{
    static const char *const params[] = {"{'count': 0}", "{'count': 0, 'choose': 'even'}",
                                         "{'choose': 'each'}"};
    world_check_identity("layer-drop", params[_i], NULL);
}
END_TEST

START_TEST(repeats)
{
    static const char *const params[] = {
        "{'count': 2}", "{'count': 2, 'unit': 'ffn', 'replace': 'linear'}",
        "{'unit': 'attention', 'replace': 'mean', 'score': 'output-change'}"};
    world_check_repeats("layer-drop", params[_i], NULL);
}
END_TEST

START_TEST(page)
{
    world_check_page("layer-drop");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("layer-drop");
    TCase *tc = pare_test_case(s, "layer-drop");
    tcase_add_loop_test(tc, evenly, 0, 8);
    tcase_add_test(tc, lowest_score);
    tcase_add_loop_test(tc, by_number, 0, 5);
    tcase_add_test(tc, mean_is_the_mean);
    tcase_add_loop_test(tc, replacements, 0, 3);
    tcase_add_test(tc, each_by_greedy);
    tcase_add_loop_test(tc, refused, 0, 5);
    tcase_add_loop_test(tc, identity, 0, 3);
    tcase_add_loop_test(tc, repeats, 0, 3);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
