/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin_test.h"

/* Tokens that leave each layer. */
static void tokens_after(const struct pare_graph *g, uint32_t tokens[8])
{
    char path[64];
    for (uint32_t b = 0; b < 8; b++) {
        snprintf(path, sizeof path, "layer.%u.ffn.add", b);
        tokens[b] = g->values[world_node(g, path)->outputs[0]].tokens;
    }
}

static const struct {
    const char *params, *on;
    uint32_t tokens[8];
} schedules[] = {
    {"{'r': 4}", NULL, {46, 42, 38, 34, 30, 26, 22, 18}},
    /* floor(8 (7 - i) / 7) = 8 6 5 4 3 2 1 0 */
    {"{'r': 4, 'schedule': 'decreasing'}", NULL, {42, 36, 31, 27, 24, 22, 21, 21}},
    {"{'schedule': 'list', 'list': [0, 0, 10, 0, 5, 0, 0, 3]}",
     NULL,
     {50, 50, 40, 40, 35, 35, 35, 32}},
    {"{'r': {'by': [{'on': ['layer.6.**'], 'value': 7}]}}", NULL, {50, 50, 50, 50, 50, 50, 43, 43}},
    {"{'r': 5}", "layer.2.stream", {50, 50, 45, 45, 45, 45, 45, 45}},
    /* one token is protected, and at most half of the others merge */
    {"{'r': 65536}", NULL, {26, 14, 8, 5, 3, 2, 2, 2}},
};

START_TEST(token_counts)
{
    struct world w;
    uint32_t tokens[8];
    world_open(&w, 16);
    struct pare_graph *g =
        world_with(&w, w.model->graph, "token-merge", schedules[_i].params, schedules[_i].on);
    tokens_after(g, tokens);
    for (int b = 0; b < 8; b++)
        ck_assert_msg(tokens[b] == schedules[_i].tokens[b], "layer %d: %u, not %u", b, tokens[b],
                      schedules[_i].tokens[b]);
    ck_assert_uint_lt(pare_graph_macs(g), pare_graph_macs(w.model->graph));
    world_accuracy(&w, g); /* it runs, and every output is finite */
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* A merge goes with every other compression, before and after it, in any order the same model. */
START_TEST(composes)
{
    struct world w;
    world_open_split(&w, 256, "test");
    struct pare_graph *m = world_with(&w, w.model->graph, "token-merge", "{'r': 2}", NULL);
    struct pare_graph *mq = world_with(&w, m, "quantize", "{}", NULL);
    struct pare_graph *q = world_with(&w, w.model->graph, "quantize", "{}", NULL);
    struct pare_graph *qm = world_with(&w, q, "token-merge", "{'r': 2}", NULL);
    char a[PARE_HASH_HEX], b[PARE_HASH_HEX];
    world_hash(&w, mq, a);
    world_hash(&w, qm, b);
    ck_assert_str_eq(a, b);
    double base = world_accuracy(&w, w.model->graph);
    ck_assert_double_ge(world_accuracy(&w, m), base - .03);
    ck_assert_double_ge(world_accuracy(&w, mq), base - .03);
    struct pare_graph *pruned = world_with(&w, mq, "prune", "{'pattern': '2:4'}", NULL);
    ck_assert_double_ge(world_accuracy(&w, pruned), .5);
    struct pare_graph *g[] = {m, mq, q, qm, pruned};
    for (size_t i = 0; i < PARE_COUNT(g); i++)
        pare_graph_free(g[i]);
    world_close(&w);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *params, *why;
    } cases[] = {
        {"{'schedule': 'list'}", "needs the numbers"},
        {"{'list': [1]}", "but the schedule is constant"},
        {"{'schedule': 'list', 'list': [1, 2]}",
         "list has 2 numbers, tokens can merge at 8 points"},
    };
    struct world w;
    world_open(&w, 1);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    ck_assert_int_eq(world_apply(&w, g, "token-merge", cases[_i].params, NULL, NULL), PARE_INVALID);
    ck_assert_msg(strstr(w.err.what, cases[_i].why) != NULL, "%s", w.err.what);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(identity)
{
    static const char *const params[] = {"{'r': 0}", "{'r': 0, 'schedule': 'decreasing'}"};
    world_check_identity("token-merge", params[_i], NULL);
}
END_TEST

START_TEST(repeats)
{
    world_check_repeats("token-merge", "{'r': 3}", NULL);
}
END_TEST

START_TEST(page)
{
    world_check_page("token-merge");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("token-merge");
    TCase *tc = pare_test_case(s, "token-merge");
    tcase_add_loop_test(tc, token_counts, 0, PARE_COUNT(schedules));
    tcase_add_test(tc, composes);
    tcase_add_loop_test(tc, refused, 0, 3);
    tcase_add_loop_test(tc, identity, 0, 2);
    tcase_add_test(tc, repeats);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
