/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/text_world.h"

static const struct llama_shape shape = {60, 48, 32, 32, 4, 2, 8, 48, 3, 0, 16, 0, false, 0};
static const struct bert_shape encoder = {60, 48, 32, 32, 4, 48, 2, 3};

static void check_bits(const struct pare_graph *g, const uint32_t bits[3])
{
    char path[64];
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "layer.%u.attn.mix", i);
        ck_assert_uint_eq(world_node(g, path)->cache_bits, bits[i]);
    }
}

static const struct {
    const char *params, *on;
    uint32_t bits[3];
} settings[] = {
    {"{}", NULL, {8, 8, 8}},
    {"{'bits': 4}", NULL, {4, 4, 4}},
    {"{'bits': 4}", "layer.1.attn", {16, 4, 16}},
    {"{'bits': 16}", NULL, {16, 16, 16}},
    {"{'bits': {'by': [{'on': ['layer.0.attn'], 'value': 8}, {'on': ['layer.2.*'], 'value': 4}]}}",
     NULL,
     {8, 16, 4}},
};

/* The model that comes out is the one with these bits set by hand. */
START_TEST(sets_bits)
{
    struct world w;
    char path[64];
    struct pare_graph *g = random_llama(&shape, 5), *hand;
    world_open_text(&w, g, 6);
    struct pare_graph *got = world_with(&w, g, "kv-quant", settings[_i].params, settings[_i].on);
    check_bits(got, settings[_i].bits);
    hand = world_copy(&w, g);
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "layer.%u.attn.mix", i);
        hand->nodes[pare_graph_find(hand, path)].cache_bits = settings[_i].bits[i];
    }
    world_same(&w, got, hand, 0, settings[_i].params);
    ck_assert_uint_eq(pare_graph_bytes(got), pare_graph_bytes(g));
    pare_graph_free(got);
    pare_graph_free(hand);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* Fewer bits are further away, and 8 are close. */
START_TEST(costs)
{
    struct world w;
    struct pare_graph *g = random_llama(&shape, 5);
    world_open_text(&w, g, 6);
    struct pare_graph *q8 = world_with(&w, g, "kv-quant", "{'bits': 8}", NULL);
    struct pare_graph *q4 = world_with(&w, g, "kv-quant", "{'bits': 4}", NULL);
    double eight = world_kl(&w, g, q8), four = world_kl(&w, g, q4);
    ck_assert_double_gt(eight, 0);
    ck_assert_double_lt(eight, 1e-3);
    ck_assert_double_gt(four, 10 * eight);
    pare_graph_free(q4);
    pare_graph_free(q8);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* An allocator's choice between two widths, by a score of branches. */
START_TEST(by_allocator)
{
    struct world w;
    uint32_t bits[2] = {0};
    char path[64];
    struct pare_graph *g = random_llama(&shape, 5);
    world_open_text(&w, g, 6);
    struct pare_graph *got =
        world_with(&w, g, "kv-quant",
                   "{'bits': {'allocate': {'plugin': 'two-level', 'params': {'high': 8, 'low': "
                   "4}}, 'score': {'plugin': 'output-change'}, 'per': 'branch'}}",
                   NULL);
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "layer.%u.attn.mix", i);
        const uint32_t b = world_node(got, path)->cache_bits;
        ck_assert(b == 8 || b == 4);
        bits[b == 8]++;
    }
    ck_assert(bits[0] > 0 && bits[1] > 0);
    pare_graph_free(got);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(refuses)
{
    struct world w;
    struct pare_graph *g = random_llama(&shape, 5), *bert = random_bert(&encoder, 5);
    world_open_text(&w, g, 1);
    ck_assert_int_eq(world_apply(&w, g, "kv-quant", "{'bits': 5}", NULL, NULL), PARE_INVALID);
    ck_assert_msg(strstr(w.err.what, "4, 8 or 16") != NULL, "%s", w.err.what);
    ck_assert_int_eq(world_apply(&w, g, "kv-quant",
                                 "{'bits': {'by': [{'on': ['*'], 'value': 12}]}}", NULL, NULL),
                     PARE_INVALID);
    ck_assert_int_eq(world_apply(&w, bert, "kv-quant", "{}", NULL, NULL), PARE_UNSUPPORTED);
    ck_assert_msg(strstr(w.err.what, "not causal") != NULL, "%s", w.err.what);
    ck_assert_int_eq(world_apply(&w, g, "kv-quant", "{}", "role:feed_forward", NULL),
                     PARE_UNSUPPORTED);
    ck_assert_msg(strstr(w.err.what, "no attention") != NULL, "%s", w.err.what);
    pare_graph_free(g);
    pare_graph_free(bert);
    world_close(&w);
}
END_TEST

START_TEST(page)
{
    world_check_page("kv-quant");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kv-quant");
    TCase *tc = pare_test_case(s, "kv-quant");
    tcase_add_loop_test(tc, sets_bits, 0, (int)PARE_COUNT(settings));
    tcase_add_test(tc, costs);
    tcase_add_test(tc, by_allocator);
    tcase_add_test(tc, refuses);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
