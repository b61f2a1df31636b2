/* SPDX-License-Identifier: Apache-2.0 */
/* Points at which graphs can be cut, and evaluations that start there. */
#include "tests/unit/plugin_test.h"

#include <sys/stat.h>

#include "base/file.h"
#include "measure/measure.h"

#define SAMPLES 41u /* no multiple of the batch */
#define BATCH 8u

static struct pare_error err;

struct points {
    struct pare_point *items;
    size_t n;
};

static struct points points_of(const struct pare_graph *g)
{
    struct points p;
    ck_assert_ok(pare_graph_points(g, &p.items, &p.n, &err), err);
    return p;
}

static const struct pare_point *at_node(const struct points *p, uint32_t at)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].at == at)
            return &p->items[i];
    }
    return NULL;
}

/* The last point that both have; NULL: none. */
static const struct pare_point *shared(const struct points *a, const struct points *b)
{
    const struct pare_point *last = NULL;
    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++)
            last = strcmp(a->items[i].key, b->items[k].key) == 0 ? &a->items[i] : last;
    }
    return last;
}

static struct pare_graph *dropped(struct world *w, const struct pare_graph *from, const char *path)
{
    struct pare_graph *g = world_copy(w, from);
    ck_assert_ok(pare_graph_drop_branch(g, path, NULL, NULL, &err), err);
    ck_assert_ok(pare_graph_infer(g, &err), err);
    return g;
}

static struct pare_graph *merged(struct world *w, const struct pare_graph *from)
{
    struct pare_graph *g = world_copy(w, from);
    ck_assert_ok(pare_graph_merge_tokens(g, "layer.2.stream", 4, &err), err);
    ck_assert_ok(pare_graph_merge_tokens(g, "layer.4.stream", 4, &err), err);
    ck_assert_ok(pare_graph_infer(g, &err), err);
    return g;
}

/* ---- points
 * -------------------------------------------------------------------------------------- */

/* A point is what lives there, told by the engine's own account. */
START_TEST(points_are_where_little_lives)
{
    struct world w;
    world_open(&w, 1);
    struct pare_graph *graphs[] = {w.model->graph, merged(&w, w.model->graph)};
    for (size_t k = 0; k < 2; k++) {
        const struct pare_graph *g = graphs[k];
        struct points p = points_of(g);
        uint32_t *live = pare_alloc(g->n_values, sizeof *live), two = 0;
        uint64_t macs = 0;
        for (uint32_t at = 1; at < g->n_nodes; at++) {
            uint32_t n = pare_graph_live(g, at, live);
            const struct pare_point *point = at_node(&p, at);
            macs += pare_node_macs(g, &g->nodes[at - 1]);
            ck_assert_int_eq(point != NULL, n <= 2 && live[0] != 0);
            if (!point)
                continue;
            ck_assert_uint_eq(point->n, n);
            ck_assert_uint_eq(point->macs, macs);
            for (uint32_t i = 0; i < n; i++) {
                const struct pare_value *v = &g->values[point->values[i]];
                ck_assert(point->values[i] == live[0] || point->values[i] == live[n - 1]);
                ck_assert_uint_eq(point->floats[i], (size_t)v->tokens * v->width);
            }
            two += n == 2 && g->values[point->values[1]].width == 1;
        }
        ck_assert_uint_gt(p.n, 15);
        ck_assert_int_eq(two > 0, k == 1); /* the stream and the sizes of its tokens */
        free(live);
        free(p.items);
    }
    pare_graph_free(graphs[1]);
    world_close(&w);
}
END_TEST

START_TEST(keys_are_of_content)
{
    struct world w;
    struct pare_model *again;
    world_open(&w, 1);
    struct pare_graph *g = w.model->graph, *drop = dropped(&w, g, "layer.5.ffn");
    struct points base = points_of(g), p = points_of(drop);
    const struct pare_point *common = shared(&base, &p);
    ck_assert_ptr_nonnull(common);
    /* all that comes before the dropped branch, its own norm only by being dropped too */
    ck_assert_int_eq((int32_t)common->at, pare_graph_find(g, "layer.5.ffn.norm"));
    ck_assert_uint_gt(common->macs, pare_graph_macs(g) * 6 / 10);
    free(p.items);

    /* the same weights read from the file again are the same */
    ck_assert_ok(pare_model_open(pare_test_source("share/models/fashion-vit"), &again, &err), err);
    p = points_of(again->graph);
    ck_assert_uint_eq(p.n, base.n);
    for (size_t i = 0; i < p.n; i++)
        ck_assert_str_eq(p.items[i].key, base.items[i].key);
    free(p.items);

    /* one number of a norm, a bias, a weight or a setting is a difference, from there on */
    static const char *const paths[] = {"layer.3.attn.norm", "layer.3.attn.query",
                                        "layer.3.attn.key", "layer.3.attn.output"};
    for (unsigned kind = 0; kind < 4; kind++) {
        struct pare_graph *other = world_copy(&w, g);
        int32_t at = pare_graph_find(other, paths[kind]);
        ck_assert_int_ge(at, 0);
        struct pare_node *node = &other->nodes[at];
        if (kind == 0)
            node->eps *= 2;
        else if (kind == 3)
            node->activation_bits = 8;
        else if (kind == 1) {
            struct pare_blob *bias = NULL;
            ck_assert_ok(
                pare_blob_copy(node->bias->data, node->weight->rows, sizeof(float), &bias, &err),
                err);
            pare_blob_f32(bias)[7] += 1;
            pare_blob_unref(node->bias);
            node->bias = bias;
        } else {
            float *values = pare_alloc((size_t)node->weight->rows * node->weight->cols, 4);
            pare_weight_decode(node->weight, 0, node->weight->rows, values);
            values[11] += 1;
            pare_weight_unref(node->weight);
            ck_assert_ok(pare_weight_new(node->weight->rows, node->weight->cols, values,
                                         &node->weight, &err),
                         err);
            free(values);
        }
        p = points_of(other);
        common = shared(&base, &p);
        ck_assert_ptr_nonnull(common);
        ck_assert_int_eq((int32_t)common->at,
                         pare_graph_find(g, paths[kind == 3 ? 3 : 0]) + (kind == 1 || kind == 2));
        free(p.items);
        pare_graph_free(other);
    }
    free(base.items);
    pare_graph_free(drop);
    pare_model_free(again);
    world_close(&w);
}
END_TEST

/* ---- evaluations
 * --------------------------------------------------------------------------------- */

static void same_outcomes_(const struct pare_outcomes *a, const struct pare_outcomes *b, int line)
{
    ck_assert_uint_eq(a->n, b->n);
    for (uint32_t i = 0; i < a->n; i++)
        ck_assert_msg(a->nll[i] == b->nll[i], "line %d: sample %u", line, i);
    ck_assert_uint_eq(a->correct, b->correct);
    ck_assert_str_eq(a->first_logits, b->first_logits);
    ck_assert_int_eq(memcmp(a->target, b->target, a->n * sizeof *a->target), 0);
    ck_assert_int_eq(memcmp(a->predicted, b->predicted, a->n * sizeof *a->predicted), 0);
    ck_assert_int_eq(memcmp(a->nll, b->nll, a->n * sizeof *a->nll), 0);
}

#define same_outcomes(a, b) same_outcomes_(a, b, __LINE__)

static struct pare_dataset *test_images(const struct pare_model *m)
{
    const struct pare_data_spec spec = {
        .from = pare_test_source("share/data/fashion-mnist"), .split = "test", .samples = SAMPLES};
    struct pare_dataset *d;
    ck_assert_ok(pare_dataset_open(&spec, m, &d, &err), err);
    return d;
}

/* What one model stores, another that begins the same goes on from, bit for bit: plain, with int8
 * activations, with merged tokens; and stores on the way what a third one goes on from. */
START_TEST(goes_on_bit_for_bit)
{
    static const char *const late[] = {"layer.6.ffn", "layer.7.ffn", "layer.5.attn"};
    struct world w;
    world_open(&w, 1);
    struct pare_dataset *d = test_images(w.model);
    const char *folder = pare_test_folder();
    char one[4200], two[4200];
    snprintf(one, sizeof one, "%s/one", folder);
    snprintf(two, sizeof two, "%s/two", folder);
    struct pare_graph *first = _i == 0 ? world_copy(&w, w.model->graph)
                               : _i == 1
                                   ? world_with(&w, w.model->graph, "quantize",
                                                "{'bits': 8, 'activations': 'int8'}", "layer.**")
                                   : merged(&w, w.model->graph);
    struct pare_graph *second = dropped(&w, first, late[_i]),
                      *third = dropped(&w, second, "layer.7.attn");
    struct points p1 = points_of(first), p2 = points_of(second), p3 = points_of(third);
    const struct pare_point *a = shared(&p1, &p2), *b = shared(&p2, &p3);
    ck_assert(a && b);
    ck_assert_uint_eq(a->n, _i == 2 ? 2 : 1);
    bool kept[2];
    struct pare_outcomes o, plain;
    struct pare_stored keep_a = {one, a}, from_a = {one, shared(&p2, &p1)},
                       from_b = {two, shared(&p3, &p2)}, from_c = {one, shared(&p3, &p1)};
    struct pare_stored keep_b = {two, b};

    struct pare_evaluation e = {.graph = first,
                                .data = d,
                                .batch = BATCH,
                                .threads = 1,
                                .keep = &keep_a,
                                .n_keep = 1,
                                .kept = kept};
    ck_assert_ok(pare_evaluate_part(&e, &o, &err), err);
    ck_assert(kept[0] && !e.started);
    ck_assert_ok(pare_evaluate(first, d, BATCH, 1, NULL, NULL, &plain, &err), err);
    same_outcomes(&o, &plain);
    pare_outcomes_free(&o);
    pare_outcomes_free(&plain);

    e.graph = second;
    e.from = &from_a;
    e.keep = &keep_b;
    ck_assert_ok(pare_evaluate_part(&e, &o, &err), err);
    ck_assert(e.started);
    ck_assert_int_eq(kept[0], b->at >= from_a.point->at);
    ck_assert_ok(pare_evaluate(second, d, 16, 2, NULL, NULL, &plain, &err), err);
    same_outcomes(&o, &plain);
    pare_outcomes_free(&o);
    pare_outcomes_free(&plain);

    e.graph = third;
    e.from = kept[0] ? &from_b : &from_c;
    e.n_keep = 0;
    ck_assert_ok(pare_evaluate_part(&e, &o, &err), err);
    /* the first file may be of a later point */
    ck_assert_int_eq(e.started, e.from == &from_b || strcmp(from_c.point->key, a->key) == 0);
    ck_assert_ok(pare_evaluate(third, d, BATCH, 1, NULL, NULL, &plain, &err), err);
    same_outcomes(&o, &plain);
    pare_outcomes_free(&o);
    pare_outcomes_free(&plain);

    ck_assert_ok(pare_remove_tree(folder, &err), err);
    free(p1.items);
    free(p2.items);
    free(p3.items);
    pare_graph_free(first);
    pare_graph_free(second);
    pare_graph_free(third);
    pare_dataset_close(d);
    world_close(&w);
}
END_TEST

/* Some samples only, in one go or several, and files that are of no use. */
START_TEST(parts_and_bad_files)
{
    static const uint32_t some[] = {0, 3, 4, 5, 17, 18, 30, 31, 32, 33, 40};
    const uint32_t n = PARE_COUNT(some);
    struct world w;
    world_open(&w, 1);
    struct pare_dataset *d = test_images(w.model);
    const char *folder = pare_test_folder();
    char path[4200], nowhere[4200];
    snprintf(path, sizeof path, "%s/points", folder);
    snprintf(nowhere, sizeof nowhere, "%s/none/points", folder);
    struct points p = points_of(w.model->graph);
    const struct pare_point *late = &p.items[p.n - 4], *early = &p.items[2];
    struct pare_stored file = {path, late}, other = {path, early}, lost = {nowhere, late};
    struct pare_stored both[] = {file, lost};
    bool kept[2];
    struct pare_outcomes all, o;
    ck_assert_ok(pare_evaluate(w.model->graph, d, 16, 1, NULL, NULL, &all, &err), err);
    struct pare_evaluation e = {.graph = w.model->graph,
                                .data = d,
                                .batch = 4,
                                .threads = 1,
                                .samples = some,
                                .n_samples = n,
                                .from = &file, /* not there yet */
                                .keep = both,
                                .n_keep = 2,
                                .kept = kept};
    for (int round = 0; round < 4; round++) {
        ck_assert_ok(pare_evaluate_part(&e, &o, &err), err);
        ck_assert_uint_eq(o.n, n);
        for (uint32_t i = 0; i < n; i++) {
            ck_assert_uint_eq(o.target[i], all.target[some[i]]);
            ck_assert_uint_eq(o.predicted[i], all.predicted[some[i]]);
            ck_assert_msg(o.nll[i] == all.nll[some[i]], "round %d sample %u: %g %g", round, some[i],
                          (double)o.nll[i], (double)all.nll[some[i]]);
        }
        ck_assert_str_eq(o.first_logits, all.first_logits);
        pare_outcomes_free(&o);
        ck_assert_int_eq(e.started, round == 1);
        if (round == 0) { /* the second one has no folder to be in */
            ck_assert(kept[0] && !kept[1]);
            e.n_keep = 0;
        } else if (round == 1) {
            e.from = &other; /* of another point */
        } else if (round == 2) {
            e.from = &lost;
        }
    }
    /* of other samples: not the right size */
    e.from = &file;
    e.samples = some + 1;
    e.n_samples = n - 1;
    ck_assert_ok(pare_evaluate_part(&e, &o, &err), err);
    ck_assert(!e.started);
    ck_assert_str_eq(o.first_logits, ""); /* the first sample was not among them */
    pare_outcomes_free(&o);
    pare_outcomes_free(&all);
    ck_assert_ok(pare_remove_tree(folder, &err), err);
    free(p.items);
    pare_dataset_close(d);
    world_close(&w);
}
END_TEST

static int stop_late(void *user, uint32_t done)
{
    (void)user;
    return done > 20;
}

START_TEST(a_cut_evaluation_leaves_no_file)
{
    struct world w;
    struct stat st;
    world_open(&w, 1);
    struct pare_dataset *d = test_images(w.model);
    const char *folder = pare_test_folder();
    char path[4200], part[4300];
    snprintf(path, sizeof path, "%s/points", folder);
    snprintf(part, sizeof part, "%s.part", path);
    struct points p = points_of(w.model->graph);
    struct pare_stored file = {path, &p.items[p.n / 2]};
    bool kept;
    struct pare_outcomes o;
    struct pare_evaluation e = {.graph = w.model->graph,
                                .data = d,
                                .batch = BATCH,
                                .threads = 1,
                                .keep = &file,
                                .n_keep = 1,
                                .kept = &kept,
                                .progress = stop_late};
    ck_assert_int_eq(pare_evaluate_part(&e, &o, &err), PARE_CANCELLED);
    ck_assert(stat(path, &st) != 0 && stat(part, &st) != 0);
    ck_assert_ok(pare_remove_tree(folder, &err), err);
    free(p.items);
    pare_dataset_close(d);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("restart");
    TCase *tc = pare_test_case(s, "points");
    tcase_add_test(tc, points_are_where_little_lives);
    tcase_add_test(tc, keys_are_of_content);
    tc = pare_test_case(s, "evaluations");
    tcase_add_loop_test(tc, goes_on_bit_for_bit, 0, 3);
    tcase_add_test(tc, parts_and_bad_files);
    tcase_add_test(tc, a_cut_evaluation_leaves_no_file);
    return pare_test_main(&s, 1);
}
