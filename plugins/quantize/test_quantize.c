/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin_test.h"

#include "model/half.h"

#define UNIT "layer.0.attn.query"

/* 3-bit symmetric round-to-nearest, from the digest: codes exactly; scales are stored as f16, and
 * the error follows them: sqrt(E) is a norm, so it moves by at most the norm of the change. */
START_TEST(golden_codes)
{
    static const int16_t codes[2][GOLDEN] = {{1, 3, 0, -3, -2, 2, 3, -1},
                                             {3, 2, -2, -3, 0, 3, 1, -2}};
    static const double scales[2] = {.324616, .329389};
    struct golden t;
    int16_t got[GOLDEN];
    double d[2][GOLDEN], change[2][GOLDEN];
    golden_open(&t);
    struct pare_graph *g = world_with(&t.w, t.graph, "quantize", "{'bits': 3}", "layer.0.ffn.down");
    const struct pare_weight *w = world_node(g, "layer.0.ffn.down")->weight;
    for (uint32_t r = 0; r < 2; r++) {
        pare_weight_codes(w, r, 1, got);
        double scale = (double)pare_weight_scale(w, r, 0);
        ck_assert_double_eq_tol(scale, scales[r], scales[r] * 0x1p-11 + 1e-6);
        for (int j = 0; j < GOLDEN; j++) {
            ck_assert_int_eq(got[j], codes[r][j]);
            change[r][j] = (scale - scales[r]) * codes[r][j];
        }
    }
    golden_difference(&t, g, d);
    ck_assert_double_eq_tol(sqrt(golden_error(&t, d)), sqrt(.110361099),
                            sqrt(golden_error(&t, change)) + 1e-6);
    pare_graph_free(g);
    golden_close(&t);
}
END_TEST

static const struct grid_case {
    int bits, group, symmetric;
} grids[] = {
    {2, 0, 1}, {3, 0, 1},  {4, 32, 1}, {5, 0, 1},  {6, 40, 1}, {7, 0, 1}, {8, 0, 1},  {8, 32, 1},
    {2, 0, 0}, {3, 32, 0}, {4, 0, 0},  {4, 32, 0}, {5, 7, 0},  {6, 0, 0}, {7, 48, 0}, {8, 0, 0},
};

/* One group against the formulas: a code is the nearest one, within its range. */
static void check_group(const struct grid_case *c, const float *x, const int16_t *code,
                        const float *back, uint32_t n, double scale, double zero)
{
    double low = c->symmetric ? -(1 << (c->bits - 1)) : 0, high = low + (1 << c->bits) - 1;
    float min = 0, max = 0;
    for (uint32_t i = 0; i < n; i++) {
        min = fminf(min, x[i]);
        max = fmaxf(max, x[i]);
    }
    float reach = c->symmetric ? fmaxf(-min, max) / (float)high : (max - min) / (float)high;
    ck_assert_double_eq(scale, (double)pare_f16_to_f32(pare_f32_to_f16(reach)));
    double offset = fmin(fmax(-(double)min / scale, 0), high);
    ck_assert(c->symmetric ? zero == 0 : zero == rint(zero) && fabs(zero - offset) <= .50001);
    for (uint32_t i = 0; i < n; i++) {
        double exact = fmin(fmax((double)x[i] / scale + zero, low), high);
        ck_assert_msg(code[i] >= low && code[i] <= high && fabs(code[i] - exact) <= .50001,
                      "%g of scale %g, zero %g got code %d", (double)x[i], scale, zero, code[i]);
        ck_assert_double_eq_tol((double)back[i], scale * (code[i] - zero), 1e-6 * scale);
    }
}

START_TEST(formulas)
{
    const struct grid_case *c = &grids[_i];
    struct world w;
    char params[128];
    world_open(&w, 1);
    snprintf(params, sizeof params, "{'bits': %d, 'group_size': %d, 'symmetric': %s}", c->bits,
             c->group, c->symmetric ? "true" : "false");
    struct pare_graph *g = world_with(&w, w.model->graph, "quantize", params, UNIT);
    const struct pare_weight *q = world_node(g, UNIT)->weight;
    float *x = world_weight(w.model->graph, UNIT), *back = world_weight(g, UNIT);
    int16_t *codes = pare_alloc((size_t)q->rows * q->cols, sizeof *codes);
    pare_weight_codes(q, 0, q->rows, codes);
    uint32_t size = c->group ? (uint32_t)c->group : q->cols, groups = (q->cols + size - 1) / size;
    ck_assert_uint_eq(q->groups, groups);
    for (uint32_t r = 0; r < q->rows; r++) {
        for (uint32_t k = 0; k < groups; k++) {
            size_t at = (size_t)r * q->cols + k * size;
            check_group(c, x + at, codes + at, back + at, PARE_MIN(size, q->cols - k * size),
                        (double)pare_weight_scale(q, r, k), (double)pare_weight_zero(q, r, k));
        }
    }
    /* what it costs: packed codes, f16 scales, one byte per zero; each part to 64 bytes */
    uint64_t stored = q->rows * pare_packed_bytes(q->cols, q->bits), n = (uint64_t)q->rows * groups;
    ck_assert_uint_eq(pare_weight_bytes(q), (stored + 63) / 64 * 64 + (n * 2 + 63) / 64 * 64 +
                                                (c->symmetric ? 0 : (n + 63) / 64 * 64));
    ck_assert_ptr_eq(world_node(g, "layer.0.attn.key")->weight,
                     world_node(w.model->graph, "layer.0.attn.key")->weight);
    free(x);
    free(back);
    free(codes);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

static double row_error(const float *a, const float *b, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += pow(fabs((double)a[i] - (double)b[i]), 2.4);
    return sum;
}

/* The search starts from the full range: by its own norm no row gets worse, and some get better. */
START_TEST(clipping_helps)
{
    static const char *const params[][2] = {
        {"{'bits': 3}", "{'bits': 3, 'clip': 'mse'}"},
        {"{'bits': 4, 'symmetric': false}", "{'bits': 4, 'symmetric': false, 'clip': 'mse'}"},
    };
    struct world w;
    world_open(&w, 1);
    struct pare_graph *g[2];
    for (int i = 0; i < 2; i++)
        g[i] = world_with(&w, w.model->graph, "quantize", params[_i][i], UNIT);
    float *x = world_weight(w.model->graph, UNIT), *none = world_weight(g[0], UNIT),
          *mse = world_weight(g[1], UNIT);
    uint32_t rows = world_node(g[0], UNIT)->weight->rows, cols = 96, better = 0;
    for (uint32_t r = 0; r < rows; r++) {
        double a = row_error(x + r * cols, none + r * cols, cols);
        double b = row_error(x + r * cols, mse + r * cols, cols);
        ck_assert_double_le(b, a * (1 + 1e-5)); /* it sums in f32 */
        better += b < a * .99;
    }
    ck_assert_uint_gt(better, rows / 2);
    free(x);
    free(none);
    free(mse);
    for (int i = 0; i < 2; i++)
        pare_graph_free(g[i]);
    world_close(&w);
}
END_TEST

/* N:M survives: the same places, exact zeros, and codes for the rest. */
START_TEST(composes_with_nm)
{
    static const char *const params[] = {"{'bits': 4, 'group_size': 32}",
                                         "{'bits': 8, 'symmetric': false}"};
    struct world w;
    world_open(&w, 8);
    struct pare_graph *sparse = world_with(&w, w.model->graph, "prune",
                                           "{'pattern': '2:4', 'criterion': 'magnitude'}", UNIT);
    struct pare_graph *g = world_with(&w, sparse, "quantize", params[_i], UNIT);
    const struct pare_weight *q = world_node(g, UNIT)->weight;
    ck_assert(q->structure == PARE_NM && q->n == 2 && q->m == 4 && q->values == PARE_VALUES_INT);
    float *before = world_weight(sparse, UNIT), *after = world_weight(g, UNIT);
    size_t zeros = 0;
    for (size_t i = 0; i < (size_t)q->rows * q->cols; i++) {
        zeros += before[i] == 0;
        if (before[i] == 0)
            ck_assert(after[i] == 0);
    }
    ck_assert_uint_ge(zeros, (size_t)q->rows * q->cols / 2);
    free(before);
    free(after);
    pare_graph_free(g);
    pare_graph_free(sparse);
    world_close(&w);
}
END_TEST

START_TEST(activations_and_default_selection)
{
    struct world w;
    world_open_split(&w, 256, "test");
    struct pare_graph *g =
        world_with(&w, w.model->graph, "quantize", "{'activations': 'int8'}", NULL);
    ck_assert_uint_eq(world_node(g, UNIT)->activation_bits, 8);
    ck_assert_uint_eq(world_node(g, UNIT)->weight->bits, 8);
    ck_assert_int_eq(world_node(g, "classifier")->weight->values, PARE_VALUES_F32);
    ck_assert_uint_eq(world_node(g, "classifier")->activation_bits, 0);
    ck_assert_double_le(fabs(world_accuracy(&w, g) - world_accuracy(&w, w.model->graph)), .015);
    ck_assert_uint_lt(pare_graph_bytes(g) * 3, pare_graph_bytes(w.model->graph));
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(bits_by_layer)
{
    struct world w;
    struct recorded r = {0};
    world_open(&w, 1);
    w.env.record = world_record;
    w.env.user = &r;
    struct pare_graph *g = world_with(
        &w, w.model->graph, "quantize",
        "{'bits': {'by': [{'on': ['**'], 'value': 4}, {'on': ['layer.0.**'], 'value': 8}]}}", NULL);
    ck_assert_uint_eq(world_node(g, UNIT)->weight->bits, 8);
    ck_assert_uint_eq(world_node(g, "layer.5.attn.query")->weight->bits, 4);
    ck_assert(recorded_value(&r, UNIT, "bits") == 8);
    ck_assert(recorded_value(&r, "layer.5.attn.query", "bits") == 4);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(repeats)
{
    world_check_repeats("quantize", "{'bits': 3, 'group_size': 32, 'clip': 'mse'}", NULL);
}
END_TEST

START_TEST(page)
{
    world_check_page("quantize");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("quantize");
    TCase *tc = pare_test_case(s, "quantize");
    tcase_add_test(tc, golden_codes);
    tcase_add_loop_test(tc, formulas, 0, PARE_COUNT(grids));
    tcase_add_loop_test(tc, clipping_helps, 0, 2);
    tcase_add_loop_test(tc, composes_with_nm, 0, 2);
    tcase_add_test(tc, activations_and_default_selection);
    tcase_add_test(tc, bits_by_layer);
    tcase_add_test(tc, repeats);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
