/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin_test.h"

enum { N = 20, CLASSES = 10, WIDTH = 96 };

/* What a model says and its last hidden state, by a plain run from the image on. */
struct result {
    float logits[N * CLASSES];
    float *hidden;
};

static void run_model(struct world *w, const struct pare_graph *g, struct result *r)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op == PARE_OP_POOL)
            r->hidden = world_value(w, g, g->nodes[i].outputs[0], r->logits);
    }
}

static double log_sum(const float *x)
{
    double sum = 0;
    for (int c = 0; c < CLASSES; c++)
        sum += exp((double)x[c]);
    return log(sum);
}

static double direct(const struct world *w, const char *what, const struct result *a,
                     const struct result *b)
{
    double total = 0;
    for (int i = 0; i < N; i++) {
        const float *p = a->logits + i * CLASSES, *q = b->logits + i * CLASSES;
        const float *x = a->hidden + i * WIDTH, *y = b->hidden + i * WIDTH;
        double lp = log_sum(p), lq = log_sum(q), kl = 0, xx = 0, yy = 0, xy = 0, dd = 0;
        for (int c = 0; c < CLASSES; c++)
            kl += exp((double)p[c] - lp) * (((double)p[c] - lp) - ((double)q[c] - lq));
        for (int k = 0; k < WIDTH; k++) {
            double d = (double)y[k] - (double)x[k];
            xx += (double)x[k] * (double)x[k];
            yy += (double)y[k] * (double)y[k];
            xy += (double)x[k] * (double)y[k];
            dd += d * d;
        }
        uint32_t y0 = w->labels[i];
        total += !strcmp(what, "kl")       ? kl
                 : !strcmp(what, "l2")     ? sqrt(dd / xx)
                 : !strcmp(what, "cosine") ? 1 - xy / sqrt(xx * yy)
                                           : (lq - (double)q[y0]) - (lp - (double)p[y0]);
    }
    return total / N;
}

static const char *const distances[] = {"kl", "l2", "cosine", "loss"};

/* Dropping a branch, with probes that start from stored activations: the same number as two whole
 * runs, for the first, a middle and the last branch. */
START_TEST(equals_two_runs)
{
    struct world w;
    struct pare_units units;
    struct result base, other;
    char params[64];
    world_open(&w, N);
    snprintf(params, sizeof params, "{'distance': '%s'}", distances[_i]);
    double *score =
        world_score(&w, w.model->graph, "output-change", params, PARE_UNIT_BRANCH, &units);
    ck_assert_uint_lt(w.env.macs_run, w.env.macs_naive * 2 / 3);
    run_model(&w, w.model->graph, &base);
    for (size_t i = 0; i < units.n; i += 5) {
        struct pare_graph *g = world_copy(&w, w.model->graph);
        ck_assert_ok(pare_graph_drop_branch(g, units.items[i].path, NULL, NULL, &w.err), w.err);
        run_model(&w, g, &other);
        double want = direct(&w, distances[_i], &base, &other);
        ck_assert_msg(fabs(score[i] - want) <= 1e-9 + 1e-7 * fabs(want), "%s: %.12g, not %.12g",
                      units.items[i].path, score[i], want);
        free(other.hidden);
        pare_graph_free(g);
    }
    free(base.hidden);
    free(score);
    pare_units_free(&units);
    world_close(&w);
}
END_TEST

/* A linear scaled, also the last one, behind the last hidden state: that does not move, the output
 * does. */
START_TEST(scaled_linears)
{
    struct world w;
    struct pare_units units;
    struct result base, other;
    world_open(&w, N);
    double *l2 = world_score(&w, w.model->graph, "output-change",
                             "{'alter': 'scale', 'factor': 0.5, 'distance': 'l2'}",
                             PARE_UNIT_LINEAR, &units);
    pare_units_free(&units);
    double *kl = world_score(&w, w.model->graph, "output-change",
                             "{'alter': 'scale', 'factor': 0.5}", PARE_UNIT_LINEAR, &units);
    run_model(&w, w.model->graph, &base);
    other = base;
    for (size_t i = 0; i < units.n; i++) {
        if (strcmp(units.items[i].path, "classifier") != 0) {
            ck_assert(l2[i] > 0);
            continue;
        }
        for (int k = 0; k < N * CLASSES; k++)
            other.logits[k] = base.logits[k] * .5f;
        ck_assert(l2[i] == 0);
        ck_assert_double_eq_tol(kl[i], direct(&w, "kl", &base, &other), 1e-6);
    }
    free(base.hidden);
    free(l2);
    free(kl);
    pare_units_free(&units);
    world_close(&w);
}
END_TEST

/* A head that is dropped is one whose columns of the output linear are zero; with its mean in its
 * place, what these columns make of the mean comes back through the bias. */
START_TEST(heads)
{
    struct world w;
    struct pare_units units;
    struct result base, other;
    world_open(&w, N);
    double *score = world_score(&w, w.model->graph, "output-change",
                                _i ? "{'alter': 'mean'}" : "{}", PARE_UNIT_HEAD, &units);
    ck_assert_uint_eq(units.n, 24);
    ck_assert_str_eq(units.items[2 * 3 + 1].path, "layer.2.attn.head.1");
    struct pare_graph *g = world_copy(&w, w.model->graph);
    struct pare_node *node = &g->nodes[pare_graph_find(g, "layer.2.attn.output")];
    float *x = world_weight(g, "layer.2.attn.output"), bias[WIDTH];
    float *input = world_value(&w, g, node->inputs[0], NULL);
    double mean[WIDTH] = {0};
    for (size_t i = 0; i < N * 50 * WIDTH; i++)
        mean[i % WIDTH] += (double)input[i] / (N * 50);
    for (int r = 0; r < WIDTH; r++) {
        double lost = 0;
        for (int c = 32; c < 64; c++) {
            lost += mean[c] * (double)x[r * WIDTH + c];
            x[r * WIDTH + c] = 0;
        }
        bias[r] = pare_blob_f32(node->bias)[r] + (_i ? (float)lost : 0);
    }
    pare_weight_unref(node->weight);
    pare_blob_unref(node->bias);
    ck_assert_ok(pare_weight_new(WIDTH, WIDTH, x, &node->weight, &w.err), w.err);
    ck_assert_ok(pare_blob_copy(bias, WIDTH, sizeof *bias, &node->bias, &w.err), w.err);
    run_model(&w, w.model->graph, &base);
    run_model(&w, g, &other);
    ck_assert_double_eq_tol(score[2 * 3 + 1], direct(&w, "kl", &base, &other), 1e-7);
    free(x);
    free(input);
    free(base.hidden);
    free(other.hidden);
    free(score);
    pare_units_free(&units);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* A probe leaves no trace, and merged tokens (two live values) restart as well. */
START_TEST(after_merging)
{
    struct world w;
    struct pare_units units;
    struct result base, other;
    world_open(&w, N);
    struct pare_graph *m =
        world_with(&w, w.model->graph, "token-merge", "{'r': 4}", "layer.3.stream");
    char before[PARE_HASH_HEX], after[PARE_HASH_HEX];
    world_hash(&w, m, before);
    double *score = world_score(&w, m, "output-change", "{'alter': 'scale', 'factor': 0}",
                                PARE_UNIT_BRANCH, &units);
    world_hash(&w, m, after);
    ck_assert_str_eq(before, after);
    struct pare_graph *g = world_copy(&w, m);
    ck_assert_ok(pare_graph_drop_branch(g, "layer.6.ffn", NULL, NULL, &w.err), w.err);
    run_model(&w, m, &base);
    run_model(&w, g, &other);
    for (size_t i = 0; i < units.n; i++) {
        if (!strcmp(units.items[i].path, "layer.6.ffn"))
            ck_assert_double_eq_tol(score[i], direct(&w, "kl", &base, &other), 1e-9);
    }
    free(base.hidden);
    free(other.hidden);
    free(score);
    pare_units_free(&units);
    pare_graph_free(g);
    pare_graph_free(m);
    world_close(&w);
}
END_TEST

START_TEST(loss_needs_labels)
{
    struct world w;
    double values[8];
    world_open(&w, 8);
    w.env.labels = NULL;
    json_t *p = world_params(&w, &world_plugin(&w, "output-change")->desc, "{'distance': 'loss'}");
    ck_assert_int_eq(pare_stage_score(&w.env, w.model->graph, "output-change", p, PARE_UNIT_BLOCK,
                                      values, 8, &w.err),
                     PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(w.err.what, "labels"));
    json_decref(p);
    world_close(&w);
}
END_TEST

START_TEST(page)
{
    world_check_page("output-change");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("output-change");
    TCase *tc = pare_test_case(s, "output-change");
    tcase_add_loop_test(tc, equals_two_runs, 0, 4);
    tcase_add_test(tc, scaled_linears);
    tcase_add_loop_test(tc, heads, 0, 2);
    tcase_add_test(tc, after_merging);
    tcase_add_test(tc, loss_needs_labels);
    tcase_add_test(tc, page);
    return pare_test_main(&s, 1);
}
