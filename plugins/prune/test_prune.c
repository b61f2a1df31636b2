/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin_test.h"

#define UNIT "layer.1.ffn.up"

static size_t zeros_in(const float *x, size_t n)
{
    size_t zeros = 0;
    for (size_t i = 0; i < n; i++)
        zeros += x[i] == 0;
    return zeros;
}

static uint32_t cols_of(const struct pare_graph *g, const char *path)
{
    return world_node(g, path)->weight->cols;
}

/* The digest's Wanda 2:4 mask and its error. */
START_TEST(golden_wanda)
{
    static const uint8_t keep[2][GOLDEN] = {{0, 1, 0, 1, 0, 1, 1, 0}, {1, 0, 0, 1, 0, 1, 0, 1}};
    struct golden t;
    uint8_t got[GOLDEN];
    double d[2][GOLDEN];
    golden_open(&t);
    struct pare_graph *g =
        world_with(&t.w, t.graph, "prune", "{'pattern': '2:4'}", "layer.0.ffn.down");
    const struct pare_weight *w = world_node(g, "layer.0.ffn.down")->weight;
    for (uint32_t r = 0; r < 2; r++) {
        pare_weight_kept(w, r, 1, got);
        ck_assert_mem_eq(got, keep[r], GOLDEN);
    }
    golden_difference(&t, g, d);
    ck_assert_double_eq_tol(golden_error(&t, d), .466669054, 1e-6);
    pare_graph_free(g);
    golden_close(&t);
}
END_TEST

/* Solve the small symmetric system m x = b by elimination. */
static void solve(int n, double m[GOLDEN][GOLDEN], double *b)
{
    for (int i = 0; i < n; i++) {
        for (int r = i + 1; r < n; r++) {
            double f = m[r][i] / m[i][i];
            for (int c = i; c < n; c++)
                m[r][c] -= f * m[i][c];
            b[r] -= f * b[i];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int c = i + 1; c < n; c++)
            b[i] -= m[i][c] * b[c];
        b[i] /= m[i][i];
    }
}

/* Rows over the kept channels by normal equations; the ridge pulls towards the old weights. */
static double refit_error(const struct golden *t, const int *kept, int k, double share,
                          double d[2][GOLDEN])
{
    double ridge = 0;
    for (int i = 0; i < k; i++)
        ridge += share * t->h[kept[i]][kept[i]] / k;
    for (int r = 0; r < 2; r++) {
        double m[GOLDEN][GOLDEN], b[GOLDEN];
        for (int i = 0; i < k; i++) {
            b[i] = ridge * t->weight[r][kept[i]];
            for (int j = 0; j < k; j++)
                m[i][j] = t->h[kept[i]][kept[j]] + (i == j ? ridge : 0);
            for (int j = 0; j < GOLDEN; j++)
                b[i] += t->h[kept[i]][j] * t->weight[r][j];
        }
        solve(k, m, b);
        for (int j = 0; j < GOLDEN; j++)
            d[r][j] = -t->weight[r][j];
        for (int i = 0; i < k; i++)
            d[r][kept[i]] += b[i];
    }
    return golden_error(t, d);
}

static int keep_pair(struct pare_ctx *ctx, const struct pare_host *host)
{
    static const uint8_t keep[GOLDEN] = {1, 1, 0, 1, 0, 1, 1, 1};
    const struct pare_ext_surgery *surgery = host->extension(ctx, PARE_EXT_SURGERY);
    return surgery->keep(ctx, PARE_UNIT_CHANNEL, "layer.0.ffn", keep, GOLDEN, 1);
}

/* Channels 2 and 4 go: the digest's optimum without damping; the host damps by 1 %. */
START_TEST(golden_refit)
{
    static const int kept[] = {0, 1, 3, 5, 6, 7};
    struct pare_plugin_file by_hand = {
        .desc = {PARE_PLUGIN_HEAD, .id = "by-hand", .version = "1.0.0", .label = "x",
                 .kind = PARE_TRANSFORM, .needs = PARE_NEEDS_GRAM, .apply = keep_pair}};
    struct golden t;
    double want[2][GOLDEN];
    golden_open(&t);
    ck_assert_double_eq_tol(refit_error(&t, kept, 6, 0, want), .002796066, 1e-8);
    double damped = refit_error(&t, kept, 6, .01, want);
    ck_assert_double_gt(damped, .002796066);
    struct pare_graph *g = world_copy(&t.w, t.graph);
    ck_assert_int_eq(world_apply_file(&t.w, g, &by_hand, "", NULL, NULL), PARE_OK);
    ck_assert_uint_eq(cols_of(g, "layer.0.ffn.down"), 6);
    float *values = world_weight(g, "layer.0.ffn.down");
    for (int r = 0; r < 2; r++) {
        for (int i = 0; i < 6; i++)
            ck_assert_double_eq_tol((double)values[r * 6 + i],
                                    want[r][kept[i]] + t.weight[r][kept[i]], 2e-5);
    }
    free(values);
    pare_graph_free(g);
    golden_close(&t);
}
END_TEST

/* Exactly floor(sparsity x n) go, within each row, matrix, or all matrices together. */
START_TEST(counts)
{
    static const struct {
        const char *scope;
        double sparsity;
    } cases[] = {{"row", .5}, {"row", .29}, {"layer", .7}, {"model", .3}};
    struct world w;
    char params[160];
    world_open(&w, 16);
    snprintf(params, sizeof params, "{'scope': '%s', 'sparsity': %g}", cases[_i].scope,
             cases[_i].sparsity);
    struct pare_graph *g = world_with(&w, w.model->graph, "prune", params, NULL);
    size_t zeros = 0, total = 0;
    bool even = true;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (node->op != PARE_OP_LINEAR || node->block < 0)
            continue;
        float *x = world_weight(g, node->path);
        uint32_t cols = node->weight->cols, rows = node->weight->rows;
        for (uint32_t r = 0; _i < 2 && r < rows; r++)
            ck_assert_uint_eq(zeros_in(x + (size_t)r * cols, cols),
                              (size_t)floor(cases[_i].sparsity * cols + 1e-9));
        size_t here = zeros_in(x, (size_t)rows * cols);
        if (_i == 2)
            ck_assert_uint_eq(here, (size_t)floor(cases[_i].sparsity * rows * cols + 1e-9));
        even = even && here == (size_t)(cases[_i].sparsity * rows * cols);
        zeros += here;
        total += (size_t)rows * cols;
        ck_assert_uint_eq(pare_weight_stored(node->weight), (size_t)rows * cols - here);
        free(x);
    }
    if (_i == 3) {
        ck_assert_uint_eq(zeros, (size_t)floor(cases[_i].sparsity * (double)total + 1e-9));
        ck_assert(!even); /* matrices competed */
    }
    ck_assert_int_eq(world_node(g, "classifier")->weight->structure, PARE_DENSE);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(patterns)
{
    static const struct {
        const char *text;
        uint32_t n, m;
    } cases[] = {{"2:4", 2, 4}, {"4:8", 4, 8}, {"1:4", 1, 4}, {"3:5", 3, 5}, {"8:16", 8, 16}};
    struct world w;
    char params[64];
    world_open(&w, 8);
    snprintf(params, sizeof params, "{'pattern': '%s'}", cases[_i].text);
    struct pare_graph *g = world_with(&w, w.model->graph, "prune", params, UNIT);
    const struct pare_weight *p = world_node(g, UNIT)->weight;
    ck_assert(p->structure == PARE_NM && p->n == cases[_i].n && p->m == cases[_i].m);
    float *x = world_weight(g, UNIT);
    for (uint32_t r = 0; r < p->rows; r++) {
        for (uint32_t c = 0; c < p->cols; c += p->m) {
            uint32_t width = PARE_MIN((uint32_t)p->m, p->cols - c), kept = 0;
            for (uint32_t j = 0; j < width; j++)
                kept += x[(size_t)r * p->cols + c + j] != 0;
            ck_assert_uint_eq(kept, PARE_MIN(width, (uint32_t)p->n));
        }
    }
    free(x);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

static int equal_weights(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_unit *unit = model->unit(ctx, PARE_UNIT_LINEAR, 0);
    float *ones = host->alloc(ctx, (size_t)unit->rows * unit->cols, sizeof *ones);
    for (size_t i = 0; i < (size_t)unit->rows * unit->cols; i++)
        ones[i] = 1;
    return weight->set_values(ctx, unit, ones);
}

/* Among equals the later stay, with a mask and with a pattern. */
START_TEST(ties)
{
    struct pare_plugin_file same = {.desc = {PARE_PLUGIN_HEAD, .id = "same", .version = "1.0.0",
                                             .label = "x", .kind = PARE_TRANSFORM,
                                             .apply = equal_weights}};
    struct golden t;
    golden_open(&t);
    ck_assert_int_eq(world_apply_file(&t.w, t.graph, &same, "", "layer.0.ffn.down", NULL), PARE_OK);
    struct pare_graph *row = world_with(&t.w, t.graph, "prune", "{'criterion': 'magnitude'}", NULL);
    struct pare_graph *nm =
        world_with(&t.w, t.graph, "prune", "{'criterion': 'magnitude', 'pattern': '2:4'}", NULL);
    float *a = world_weight(row, "layer.0.ffn.down"), *b = world_weight(nm, "layer.0.ffn.down");
    for (int i = 0; i < GOLDEN * GOLDEN; i++) {
        ck_assert(a[i] == (i % 8 >= 4));
        ck_assert(b[i] == (i % 4 >= 2));
    }
    free(a);
    free(b);
    pare_graph_free(row);
    pare_graph_free(nm);
    golden_close(&t);
}
END_TEST

/* By hand from the digest's numbers: of row 0 magnitude keeps 1 and 3, but input 6 is the largest;
 * of row 1 it keeps 0, which meets the smallest input, where Wanda keeps 7. */
START_TEST(criteria_differ)
{
    static const uint8_t want[2][2][GOLDEN] = {
        {{0, 1, 0, 1, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 1, 0, 0}},
        {{0, 0, 0, 1, 0, 0, 1, 0}, {0, 0, 0, 0, 0, 1, 0, 1}}};
    static const char *const params[] = {"{'sparsity': 0.75, 'criterion': 'magnitude'}",
                                         "{'sparsity': 0.75, 'criterion': 'wanda'}"};
    struct golden t;
    uint8_t keep[GOLDEN];
    golden_open(&t);
    struct pare_graph *g = world_with(&t.w, t.graph, "prune", params[_i], "layer.0.ffn.down");
    for (uint32_t r = 0; r < 2; r++) {
        pare_weight_kept(world_node(g, "layer.0.ffn.down")->weight, r, 1, keep);
        ck_assert_mem_eq(keep, want[_i][r], GOLDEN);
    }
    pare_graph_free(g);
    golden_close(&t);
}
END_TEST

/* Heads and channels are gone: shapes, products, bytes; those that stay keep their numbers. */
START_TEST(slices_are_gone)
{
    struct world w;
    struct pare_units units;
    world_open(&w, 64);
    struct pare_graph *heads =
        world_with(&w, w.model->graph, "prune", "{'what': 'heads', 'sparsity': 0.34}", NULL);
    struct pare_graph *g = world_with(&w, heads, "prune", "{'what': 'channels'}", NULL);
    for (uint32_t b = 0; b < 8; b++) {
        char path[64];
        snprintf(path, sizeof path, "layer.%u.attn.query", b);
        ck_assert_uint_eq(world_node(g, path)->weight->rows, 64);
        snprintf(path, sizeof path, "layer.%u.attn.output", b);
        ck_assert_uint_eq(cols_of(g, path), 64);
        snprintf(path, sizeof path, "layer.%u.ffn.up", b);
        ck_assert_uint_eq(world_node(g, path)->weight->rows, 144);
        snprintf(path, sizeof path, "layer.%u.ffn.down", b);
        ck_assert_uint_eq(cols_of(g, path), 144);
    }
    /* 50 tokens; per layer a head takes 4 x 96 x 32 + 2 x 50 x 32 and a channel 2 x 96 per token */
    uint64_t less = 8ull * 50 * (4 * 96 * 32 + 2 * 50 * 32 + 144 * 2 * 96);
    ck_assert_uint_eq(pare_graph_macs(w.model->graph) - pare_graph_macs(g), less);
    ck_assert_ok(pare_units_of(g, PARE_UNIT_HEAD | PARE_UNIT_CHANNEL, &units, &w.err), w.err);
    ck_assert_uint_eq(units.n, 8 * (2 + 144));
    pare_units_free(&units);
    pare_graph_free(g);
    pare_graph_free(heads);
    world_close(&w);
}
END_TEST

START_TEST(refit_helps)
{
    static const char *const params[][2] = {
        {"{'what': 'heads', 'sparsity': 0.34, 'refit': false}",
         "{'what': 'heads', 'sparsity': 0.34}"},
        {"{'what': 'channels', 'refit': false}", "{'what': 'channels'}"},
    };
    struct world w;
    double kl[2];
    world_open(&w, 128);
    for (int i = 0; i < 2; i++) {
        struct pare_graph *g = world_with(&w, w.model->graph, "prune", params[_i][i], NULL);
        kl[i] = world_kl(&w, w.model->graph, g);
        pare_graph_free(g);
    }
    ck_assert_msg(kl[1] < kl[0], "with refit %g, without %g", kl[1], kl[0]);
    world_close(&w);
}
END_TEST

/* Competing over the model, a branch may lose nearly all: it keeps its best one. */
START_TEST(model_scope_of_heads)
{
    struct world w;
    struct recorded r = {0};
    world_open(&w, 16);
    w.env.record = world_record;
    w.env.user = &r;
    struct pare_graph *g = world_with(
        &w, w.model->graph, "prune",
        "{'what': 'heads', 'sparsity': 0.9, 'scope': 'model', 'criterion': 'magnitude'}", NULL);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op != PARE_OP_ATTENTION)
            continue;
        ck_assert_uint_ge(g->nodes[i].heads, 1);
        kept += g->nodes[i].heads;
    }
    ck_assert_uint_ge(kept, 8);
    ck_assert_uint_le(kept, 10); /* 24 - floor(0.9 x 24) = 3, and one where none was left */
    /* Which ones is on record. */
    for (uint32_t layer = 0; layer < 8; layer++) {
        for (uint32_t head = 0; head < 3; head++) {
            char path[64];
            snprintf(path, sizeof path, "layer.%u.attn.head.%u", layer, head);
            kept -= recorded_value(&r, path, "sparsity") == 0;
        }
    }
    ck_assert_uint_eq(kept, 0);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* Settings that are tried on the way leave no record: that is of the one which was taken. */
START_TEST(heads_by_greedy)
{
    struct world w;
    struct recorded r = {0};
    world_open(&w, 16);
    w.env.record = world_record;
    w.env.user = &r;
    struct pare_graph *g = world_with(
        &w, w.model->graph, "prune",
        "{'what': 'heads', 'criterion': 'magnitude', 'sparsity': {'allocate': {'plugin': 'greedy', "
        "'params': {'count': 1, 'from': 0, 'to': 0.34}}, 'per': 'branch'}}",
        NULL);
    unsigned gone = 0;
    for (uint32_t layer = 0; layer < 8; layer++) {
        for (uint32_t head = 0; head < 3; head++) {
            char path[64];
            snprintf(path, sizeof path, "layer.%u.attn.head.%u", layer, head);
            gone += recorded_value(&r, path, "sparsity") == 1;
        }
    }
    ck_assert_uint_le(gone, 1); /* the greedy choice may be a feed-forward branch, which has none */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        kept += g->nodes[i].op == PARE_OP_ATTENTION ? g->nodes[i].heads : 0;
    ck_assert_uint_eq(kept, 24 - gone);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *params, *why;
    } cases[] = {
        {"{'pattern': '2:x'}", "pattern '2:x'"},
        {"{'pattern': '4:4'}", "pattern '4:4'"},
        {"{'pattern': '2:32'}", "pattern '2:32'"},
        {"{'pattern': '2:4', 'what': 'heads'}", "have a sparsity"},
        {"{'scope': 'model', 'sparsity': {'by': [{'on': ['layer.0.**'], 'value': 0.5}]}}",
         "one sparsity"},
    };
    struct world w;
    world_open(&w, 8);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    ck_assert_int_eq(world_apply(&w, g, "prune", cases[_i].params, NULL, NULL), PARE_INVALID);
    ck_assert_msg(strstr(w.err.what, cases[_i].why) != NULL, "%s", w.err.what);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(identity)
{
    static const char *const params[] = {
        "{'sparsity': 0}", "{'sparsity': 0, 'scope': 'model'}", "{'sparsity': 0, 'what': 'heads'}",
        "{'sparsity': 0, 'what': 'channels'}", "{'sparsity': 0, 'scope': 'layer'}"};
    world_check_identity("prune", params[_i], NULL);
}
END_TEST

START_TEST(repeats)
{
    static const char *const params[] = {"{}", "{'pattern': '2:4'}", "{'what': 'channels'}",
                                         "{'what': 'heads', 'sparsity': 0.4}",
                                         "{'scope': 'model'}"};
    world_check_repeats("prune", params[_i], NULL);
}
END_TEST

START_TEST(page)
{
    world_check_page("prune");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("prune");
    TCase *tc = pare_test_case(s, "prune");
    tcase_add_test(tc, golden_wanda);
    tcase_add_test(tc, golden_refit);
    tcase_add_loop_test(tc, counts, 0, 4);
    tcase_add_loop_test(tc, patterns, 0, 5);
    tcase_add_test(tc, ties);
    tcase_add_loop_test(tc, criteria_differ, 0, 2);
    tcase_add_test(tc, slices_are_gone);
    tcase_add_loop_test(tc, refit_helps, 0, 2);
    tcase_add_test(tc, model_scope_of_heads);
    tcase_add_test(tc, heads_by_greedy);
    tcase_add_loop_test(tc, refused, 0, 5);
    tcase_add_loop_test(tc, identity, 0, 5);
    tcase_add_loop_test(tc, repeats, 0, 5);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
