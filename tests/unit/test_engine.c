/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "bench/random_vit.h"
#include "engine/engine.h"

static const struct vit_shape small = {.channels = 1,
                                       .image = 20,
                                       .patch = 4,
                                       .width = 24,
                                       .heads = 3,
                                       .hidden = 40,
                                       .layers = 3,
                                       .classes = 7};

static float *random_images(const struct vit_shape *s, uint32_t n, uint64_t seed)
{
    struct pare_random r;
    size_t count = (size_t)n * s->channels * s->image * s->image;
    float *images = pare_alloc(count, sizeof *images);
    ck_assert_ptr_nonnull(images);
    pare_random_seed(&r, seed);
    for (size_t i = 0; i < count; i++)
        images[i] = (float)pare_random_normal(&r);
    return images;
}

static struct pare_plan *plan_of(const struct pare_graph *g, uint32_t batch, uint32_t threads,
                                 int isa, bool reference, bool no_fusion)
{
    struct pare_error err = {0};
    struct pare_plan *plan = NULL;
    const struct pare_plan_options o = {.batch = batch,
                                        .threads = threads,
                                        .isa = isa,
                                        .reference = reference,
                                        .no_fusion = no_fusion};
    ck_assert_ok(pare_plan_new(g, &o, &plan, &err), err);
    return plan;
}

static void run(struct pare_plan *plan, const float *images, uint32_t n, float *out)
{
    struct pare_error err = {0};
    ck_assert_ok(pare_plan_run(plan, images, n, out, &err), err);
}

static void check_close(const float *a, const float *b, size_t n, float limit, const char *what)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabsf(a[i] - b[i]) <= limit, "%s: output %zu is %g, not %g", what, i,
                      (double)a[i], (double)b[i]);
}

/* What a model can be made of. The limit is on logits of size about 1: float roundings through
 * three layers for f32, and for int8 activations one code that falls to the other side of a tie. */
static const struct {
    const char *name;
    struct vit_shape change;
    float limit;
} variants[] = {
    {"f32", {0}, 5e-5f},
    {"merged", {.merge = 3}, 5e-5f},
    {"int8 weights", {.bits = 8}, 5e-5f},
    {"int4 g8", {.bits = 4, .group = 8}, 5e-5f},
    {"int3", {.bits = 3}, 5e-5f},
    {"int8 dynamic", {.bits = 8, .activation_bits = 8}, 5e-2f},
    {"int4 g8 dynamic", {.bits = 4, .group = 8, .activation_bits = 8}, 5e-2f},
    {"2:4", {.n = 2, .m = 4}, 5e-5f},
    {"4:8 int8", {.n = 4, .m = 8, .bits = 8}, 5e-5f},
    {"2:4 int8 dynamic", {.n = 2, .m = 4, .bits = 8, .activation_bits = 8}, 5e-2f},
    {"f32 dynamic", {.activation_bits = 8}, 5e-2f},
    {"merged int8 dynamic", {.merge = 2, .bits = 8, .activation_bits = 8}, 5e-2f},
};

static struct vit_shape variant(size_t i)
{
    struct vit_shape s = small;
    s.merge = variants[i].change.merge;
    s.bits = variants[i].change.bits;
    s.group = variants[i].change.group;
    s.n = variants[i].change.n;
    s.m = variants[i].change.m;
    s.activation_bits = variants[i].change.activation_bits;
    return s;
}

/* Every instruction set agrees with the reference, fused or not. */
START_TEST(fast_is_reference)
{
    enum { N = 5 };
    const struct vit_shape s = variant((size_t)_i);
    struct pare_graph *g = vit_new(&s, 11);
    ck_assert_ptr_nonnull(g);
    float *images = random_images(&s, N, 1), want[N * 7], got[N * 7], loose[N * 7];
    struct pare_plan *plan = plan_of(g, N, 1, -1, true, false);
    run(plan, images, N, want);
    pare_plan_free(plan);
    float size = 0;
    for (size_t i = 0; i < PARE_COUNT(want); i++)
        size = fmaxf(size, fabsf(want[i]));
    ck_assert(size > 0.1f && size < 20);
    for (int isa = 0; isa < PARE_ISA_COUNT; isa++) {
        if (!pare_kernels_of((enum pare_isa)isa))
            continue;
        plan = plan_of(g, N, 1, isa, false, false);
        run(plan, images, N, got);
        pare_plan_free(plan);
        check_close(got, want, N * 7, variants[_i].limit * size, variants[_i].name);
        plan = plan_of(g, N, 1, isa, false, true);
        run(plan, images, N, loose);
        pare_plan_free(plan);
        check_close(loose, got, N * 7, variants[_i].limit * size, "without fusion");
    }
    free(images);
    pare_graph_free(g);
}
END_TEST

/* The bits of a sample depend neither on the batch, nor on its place in it, nor on the threads. */
START_TEST(same_bits)
{
    enum { N = 7 };
    const struct vit_shape s = variant((size_t)_i);
    struct pare_graph *g = vit_new(&s, 12);
    float *images = random_images(&s, N, 2), want[N * 7], got[N * 7];
    for (int isa = 0; isa < PARE_ISA_COUNT; isa++) {
        if (!pare_kernels_of((enum pare_isa)isa))
            continue;
        struct pare_plan *one = plan_of(g, 1, 1, isa, false, false);
        for (uint32_t i = 0; i < N; i++)
            run(one, images + i * 400, 1, want + (size_t)i * 7);
        pare_plan_free(one);
        static const struct {
            uint32_t batch, threads, n;
        } cases[] = {{7, 1, 7}, {7, 2, 7}, {1, 2, 1}, {7, 3, 5}, {2, 3, 2}, {64, 2, 7}};
        for (size_t c = 0; c < PARE_COUNT(cases); c++) {
            struct pare_plan *plan =
                plan_of(g, cases[c].batch, cases[c].threads, isa, false, false);
            memset(got, 0, sizeof got);
            run(plan, images, cases[c].n, got);
            ck_assert_msg(memcmp(got, want, (size_t)cases[c].n * 7 * sizeof *got) == 0,
                          "%s on %s: batch %u, threads %u change bits", variants[_i].name,
                          pare_isa_name((enum pare_isa)isa), cases[c].batch, cases[c].threads);
            pare_plan_free(plan);
        }
    }
    free(images);
    pare_graph_free(g);
}
END_TEST

/* ---- taps and runs from the middle
 * --------------------------------------------------------------- */

struct seen {
    float *data, *sizes;
    uint32_t n, tokens, width, value, calls;
    bool has_sizes;
};

static int keep_value(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                      uint32_t tokens, uint32_t width)
{
    struct seen *s = user;
    size_t count = (size_t)n * tokens * width;
    free(s->data);
    free(s->sizes);
    s->data = pare_alloc(count, sizeof *s->data);
    s->sizes = pare_alloc((size_t)n * tokens, sizeof *s->sizes);
    memcpy(s->data, data, count * sizeof *data);
    if (sizes)
        memcpy(s->sizes, sizes, (size_t)n * tokens * sizeof *sizes);
    s->n = n;
    s->tokens = tokens;
    s->width = width;
    s->value = value;
    s->has_sizes = sizes != NULL;
    s->calls++;
    return PARE_OK;
}

static int refuse(void *user, uint32_t value, const float *data, const float *sizes, uint32_t n,
                  uint32_t tokens, uint32_t width)
{
    (void)user, (void)value, (void)data, (void)sizes, (void)n, (void)tokens, (void)width;
    return PARE_CANCELLED;
}

START_TEST(run_from_equals_run)
{
    enum { N = 3 };
    struct pare_error err = {0};
    const struct vit_shape s = variant((size_t)_i);
    struct pare_graph *g = vit_new(&s, 13);
    float *images = random_images(&s, N, 3), want[N * 7], got[N * 7];
    struct pare_plan *plan = plan_of(g, N, 1, -1, false, true);
    struct seen *seen = pare_calloc(g->n_values, sizeof *seen);
    for (uint32_t v = 0; v < g->n_values; v++)
        ck_assert_ok(pare_plan_tap(plan, v, keep_value, &seen[v], &err), err);
    run(plan, images, N, want);
    for (uint32_t v = 0; v < g->n_values; v++)
        ck_assert_msg(seen[v].calls == 1 && seen[v].n == N && seen[v].value == v, "value %u", v);
    pare_plan_free(plan);
    ck_assert(memcmp(seen[0].data, images, N * 400 * sizeof *images) == 0);
    ck_assert(memcmp(seen[g->output].data, want, sizeof want) == 0);
    plan = plan_of(g, N, 2, -1, false, true);
    uint32_t *live = pare_alloc(g->n_values, sizeof *live);
    struct pare_given *given = pare_alloc(g->n_values, sizeof *given);
    for (uint32_t first = 0; first <= g->n_nodes; first++) {
        uint32_t n = pare_graph_live(g, first, live);
        for (uint32_t i = 0; i < n; i++)
            given[i] = (struct pare_given){.value = live[i], .data = seen[live[i]].data};
        memset(got, 0, sizeof got);
        ck_assert_ok(pare_plan_run_from(plan, first, given, n, N, got, &err), err);
        ck_assert_msg(memcmp(got, want, sizeof got) == 0, "from node %u", first);
        if (n > 0 && first < g->n_nodes)
            ck_assert_int_eq(pare_plan_run_from(plan, first, given, n - 1, N, got, &err),
                             PARE_INVALID);
    }
    for (uint32_t v = 0; v < g->n_values; v++) {
        free(seen[v].data);
        free(seen[v].sizes);
    }
    free(seen);
    free(live);
    free(given);
    free(images);
    pare_plan_free(plan);
    pare_graph_free(g);
}
END_TEST

START_TEST(taps_keep_values)
{
    enum { N = 2 };
    struct pare_error err = {0};
    struct vit_shape s = small;
    s.merge = 3;
    struct pare_graph *g = vit_new(&s, 14);
    float *images = random_images(&s, N, 4), want[N * 7], got[N * 7];
    struct pare_plan *plan = plan_of(g, N, 1, -1, false, false);
    run(plan, images, N, want);
    ck_assert_int_eq(pare_plan_tap(plan, 1, keep_value, NULL, &err), PARE_INVALID); /* too late */
    pare_plan_free(plan);
    /* A value in the middle of what would be fused: what the first feed-forward linear gives. */
    int32_t up = pare_graph_find(g, "layer.1.ffn.up");
    ck_assert_int_ge(up, 0);
    struct seen seen = {0};
    plan = plan_of(g, N, 2, -1, false, false);
    ck_assert_ok(pare_plan_tap(plan, g->nodes[up].outputs[0], keep_value, &seen, &err), err);
    run(plan, images, N, got);
    check_close(got, want, N * 7, 1e-4f, "with a tap");
    ck_assert(seen.calls == 1 && seen.width == 40 && seen.n == N && seen.has_sizes);
    ck_assert_uint_eq(seen.tokens, 26 - 6);
    for (uint32_t i = 0; i < N; i++) { /* sizes count all source tokens */
        float sum = 0;
        for (uint32_t t = 0; t < seen.tokens; t++)
            sum += seen.sizes[i * seen.tokens + t];
        ck_assert(sum == 26);
    }
    free(seen.data);
    free(seen.sizes);
    pare_plan_free(plan);
    plan = plan_of(g, N, 1, -1, false, false);
    ck_assert_int_eq(pare_plan_tap(plan, g->n_values, keep_value, &seen, &err), PARE_INVALID);
    ck_assert_ok(pare_plan_tap(plan, 1, refuse, NULL, &err), err);
    ck_assert_int_eq(pare_plan_run(plan, images, N, got, &err), PARE_CANCELLED);
    pare_plan_free(plan);
    free(images);
    pare_graph_free(g);
}
END_TEST

/* ---- reports, errors
 * ----------------------------------------------------------------------------- */

START_TEST(report_of_nodes)
{
    struct vit_shape s = small;
    s.bits = 3;
    struct pare_graph *g = vit_new(&s, 15);
    float *images = random_images(&s, 1, 5), out[7];
    struct pare_plan *plan = plan_of(g, 1, 1, -1, false, false);
    const struct pare_node_report *reports;
    uint32_t n = pare_plan_reports(plan, &reports);
    ck_assert_uint_eq(n, g->n_nodes);
    uint64_t macs = 0, spent = 0;
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_str_eq(reports[i].path, g->nodes[i].path);
        macs += reports[i].macs;
        if (strcmp(reports[i].path, "layer.0.attn.query") == 0) {
            ck_assert(reports[i].decoded);
            ck_assert_msg(strncmp(reports[i].kernel, "decode int3", 11) == 0, "%s",
                          reports[i].kernel);
        }
        if (strcmp(reports[i].path, "layer.0.ffn.act") == 0)
            ck_assert_str_eq(reports[i].kernel, "fused into layer.0.ffn.up");
        if (strcmp(reports[i].path, "classifier") == 0) {
            ck_assert(!reports[i].decoded);
            ck_assert(strncmp(reports[i].kernel, "f32 dense", 9) == 0);
            ck_assert_uint_ge(reports[i].packed_bytes, 7 * 24 * 4);
        }
    }
    ck_assert_uint_eq(macs, pare_graph_macs(g));
    pare_plan_profile(plan, true);
    run(plan, images, 1, out);
    for (uint32_t i = 0; i < n; i++)
        spent += pare_plan_times(plan)[i];
    ck_assert_uint_gt(spent, 0);
    ck_assert_uint_gt(pare_plan_arena_bytes(plan), 26 * 40 * sizeof(float));
    pare_plan_free(plan);
    free(images);
    pare_graph_free(g);
}
END_TEST

/* Four-bit weights stay four bits in memory. */
START_TEST(packed_bytes)
{
    struct vit_shape s = small;
    s.width = 96;
    s.hidden = 288;
    s.bits = 4;
    s.group = 32;
    struct pare_graph *g = vit_new(&s, 16);
    struct pare_plan *plan = plan_of(g, 1, 1, -1, false, false);
    const struct pare_node_report *reports;
    uint32_t n = pare_plan_reports(plan, &reports);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(reports[i].path, "layer.0.ffn.up") == 0 && pare_isa_best() != PARE_ISA_SCALAR)
            ck_assert_uint_eq(reports[i].packed_bytes, 288 * 96 / 2 + 288 * 3 * 2);
    pare_plan_free(plan);
    pare_graph_free(g);
}
END_TEST

START_TEST(not_finite)
{
    struct pare_error err = {0};
    static const float bad[] = {NAN, INFINITY};
    for (size_t v = 0; v < PARE_COUNT(variants); v++) {
        const struct vit_shape s = variant(v);
        struct pare_graph *g = vit_new(&s, 17);
        float *images = random_images(&s, 2, 6), out[14];
        images[400 + 57] = bad[v % 2];
        for (int isa = 0; isa < PARE_ISA_COUNT; isa++) {
            if (!pare_kernels_of((enum pare_isa)isa))
                continue;
            struct pare_plan *plan = plan_of(g, 2, 1, isa, false, false);
            ck_assert_msg(pare_plan_run(plan, images, 2, out, &err) == PARE_FAILED, "%s on %s",
                          variants[v].name, pare_isa_name((enum pare_isa)isa));
            ck_assert_ok(pare_plan_run(plan, images, 1, out, &err), err); /* the other sample */
            pare_plan_free(plan);
        }
        free(images);
        pare_graph_free(g);
    }
}
END_TEST

START_TEST(refusals)
{
    struct pare_error err = {0};
    struct pare_graph *g = vit_new(&small, 18);
    float *images = random_images(&small, 2, 7), out[14];
    struct pare_plan *plan = NULL;
    ck_assert_int_eq(
        pare_plan_new(g, &(struct pare_plan_options){.threads = 1, .isa = -1}, &plan, &err),
        PARE_INVALID);
    ck_assert_int_eq(
        pare_plan_new(g, &(struct pare_plan_options){.batch = 1, .isa = -1}, &plan, &err),
        PARE_INVALID);
    ck_assert_int_eq(
        pare_plan_new(g,
                      &(struct pare_plan_options){.batch = 1, .threads = 1, .isa = PARE_ISA_COUNT},
                      &plan, &err),
        PARE_UNSUPPORTED);
    plan = plan_of(g, 1, 1, -1, false, false);
    ck_assert_int_eq(pare_plan_run(plan, images, 2, out, &err), PARE_INVALID);
    ck_assert_ok(pare_plan_run(plan, images, 0, out, &err), err);
    ck_assert_int_eq(pare_plan_run_from(plan, 0, NULL, 0, 1, out, &err), PARE_INVALID); /* fused */
    pare_plan_free(plan);
    free(images);
    pare_graph_free(g);
}
END_TEST

/* ---- token merging
 * -------------------------------------------------------------------------------- */

/* Seven tokens of width 1, one head of two dimensions. Token 0 is protected. A = 0 2 4 6, B = 1
 * 3 5. Cosines: 2 is nearest to 3 (1), 4 to 1 (0.8), 6 to 3 (0.6 / ...). */
static const float golden_keys[7][2] = {{1, 0},        /* 0: would match 1 best, but is protected */
                                        {1, 0},        /* 1 */
                                        {0, 2},        /* 2 -> 3: 1 */
                                        {0, 1},        /* 3 */
                                        {0.8f, -0.6f}, /* 4 -> 1: 0.8 */
                                        {-1, 0},       /* 5 */
                                        {0.6f, 0.8f}}; /* 6 -> 3: 0.8, after 4 in a tie */

START_TEST(merge_golden)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    const float x[7] = {1, 2, 3, 4, 5, 6, 7}, sizes[7] = {1, 1, 3, 1, 2, 1, 4};
    float out[7], out_sizes[7];
    if (!kernels)
        return;
    void *scratch = pare_alloc_aligned(pare_merge_scratch(kernels, 7, 4), 1);
    pare_merge_tokens(kernels, x, golden_keys[0], NULL, 7, 1, 2, 1, 1, 2, out, out_sizes, scratch);
    /* kept A: 0, 6; B: 1 with 4, 3 with 2, 5 */
    const float want[5] = {1, 7, 3.5f, 3.5f, 6}, want_sizes[5] = {1, 1, 2, 2, 1};
    for (int i = 0; i < 5; i++) {
        ck_assert_msg(out[i] == want[i], "token %d is %g, not %g", i, (double)out[i],
                      (double)want[i]);
        ck_assert(out_sizes[i] == want_sizes[i]);
    }
    pare_merge_tokens(kernels, x, golden_keys[0], sizes, 7, 1, 2, 1, 1, 3, out, out_sizes, scratch);
    /* 3 takes 2 (size 3) and 6 (size 4): (4 + 9 + 28) / 8; 1 takes 4 (size 2): (2 + 10) / 3 */
    ck_assert(out[0] == 1 && out[1] == 4 && out[2] == 41.0f / 8 && out[3] == 6);
    ck_assert(out_sizes[0] == 1 && out_sizes[1] == 3 && out_sizes[2] == 8 && out_sizes[3] == 1);
    /* Without protection token 0 finds its equal first; with two protected, nobody may go to 1. */
    pare_merge_tokens(kernels, x, golden_keys[0], NULL, 7, 1, 2, 1, 0, 1, out, out_sizes, scratch);
    ck_assert(out[0] == 3 && out[3] == 1.5f && out_sizes[3] == 2);
    pare_merge_tokens(kernels, x, golden_keys[0], NULL, 7, 1, 2, 1, 2, 3, out, out_sizes, scratch);
    ck_assert(out[0] == 1 && out[1] == 2 && out_sizes[1] == 1);
    /* Heads are averaged: the same keys as two heads of which the second is zero. */
    float two[7][4] = {{0}}, again[7];
    for (int i = 0; i < 7; i++)
        memcpy(two[i], golden_keys[i], sizeof golden_keys[i]);
    pare_merge_tokens(kernels, x, golden_keys[0], sizes, 7, 1, 2, 1, 1, 2, out, out_sizes, scratch);
    pare_merge_tokens(kernels, x, two[0], sizes, 7, 1, 4, 2, 1, 2, again, out_sizes, scratch);
    ck_assert(memcmp(out, again, 5 * sizeof *out) == 0);
    free(scratch);
}
END_TEST

/* Keys in which two tokens are 0: no direction, no NaN. */
START_TEST(merge_zero_keys)
{
    const float keys[4][2] = {{0, 0}, {0, 0}, {1, 1}, {1, 1}}, x[4] = {1, 2, 3, 4};
    float out[4], sizes[4];
    const struct pare_kernels *kernels = pare_kernels_of(PARE_ISA_SCALAR);
    void *scratch = pare_alloc_aligned(pare_merge_scratch(kernels, 4, 2), 1);
    pare_merge_tokens(kernels, x, keys[0], NULL, 4, 1, 2, 1, 0, 1, out, sizes, scratch);
    ck_assert(out[0] == 1 && out[1] == 2 && out[2] == 3.5f && sizes[2] == 2);
    free(scratch);
}
END_TEST

/* The mean over all patches of an image, of which some have merged, twice. */
static struct pare_graph *mean_of_patches(bool merged)
{
    struct vit_builder b = {.s = &small};
    struct pare_graph *g = NULL;
    const uint32_t patch = small.patch, width = small.width;
    const struct vit_shape plain = {0};
    pare_random_seed(&b.r, 5);
    ck_assert_int_eq(pare_graph_new(small.channels, small.image, small.image, &b.g, NULL), PARE_OK);
    g = b.g;
    struct pare_node pool = {.op = PARE_OP_POOL, .n_inputs = 1, .token = PARE_POOL_MEAN};
    pool.inputs[0] =
        vit_add(&b,
                (struct pare_node){
                    .op = PARE_OP_CONV2D,
                    .n_inputs = 1,
                    .weight = vit_weight(&b.r, width, small.channels * patch * patch, &plain),
                    .kernel = patch},
                "patch", -1);
    for (uint32_t i = 0; merged && i < 2; i++) {
        const uint32_t x = pool.inputs[0];
        pool.inputs[0] = vit_add(&b,
                                 (struct pare_node){.op = PARE_OP_TOKEN_MERGE,
                                                    .n_inputs = (uint8_t)(2 + i),
                                                    .inputs = {x, x, pool.inputs[1]},
                                                    .heads = 1,
                                                    .merge = 3},
                                 "merge", (int)i);
        ck_assert_int_eq(b.rc, PARE_OK);
        pool.inputs[1] = g->nodes[g->n_nodes - 1].outputs[1];
        pool.n_inputs = 2;
    }
    g->output = vit_add(&b, pool, "pool", -1);
    ck_assert_int_eq(b.rc, PARE_OK);
    ck_assert_int_eq(pare_graph_infer(g, NULL), PARE_OK);
    return g;
}

/* Merging takes means by size, and so does pooling: the mean stays what it was. */
START_TEST(merged_mean)
{
    enum { N = 2, WIDTH = 64 };
    float *images = random_images(&small, N, 3), out[2][N * WIDTH] = {{0}};
    ck_assert(small.width <= WIDTH);
    for (int merged = 0; merged < 2; merged++) {
        struct pare_graph *g = mean_of_patches(merged != 0);
        struct pare_plan *plan = plan_of(g, N, 1, -1, false, false);
        run(plan, images, N, out[merged]);
        pare_plan_free(plan);
        pare_graph_free(g);
    }
    check_close(out[1], out[0], (size_t)N * small.width, 1e-6f, "merged");
    free(images);
}
END_TEST

START_TEST(denormals)
{
    volatile float tiny = 2e-38f;
    int kept = tiny * 0.1f == 0;
    ck_assert_int_eq(kept, 0);
    pare_flush_denormals();
#pragma omp parallel reduction(+ : kept)
    kept += tiny * 0.1f != 0;
    ck_assert_int_eq(kept, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = pare_test_case(suite, "plans");
    tcase_add_loop_test(tc, fast_is_reference, 0, (int)PARE_COUNT(variants));
    tcase_add_loop_test(tc, same_bits, 0, (int)PARE_COUNT(variants));
    tcase_add_loop_test(tc, run_from_equals_run, 0, (int)PARE_COUNT(variants));
    tcase_add_test(tc, taps_keep_values);
    tcase_add_test(tc, report_of_nodes);
    tcase_add_test(tc, packed_bytes);
    tcase_add_test(tc, not_finite);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, denormals);
    tc = pare_test_case(suite, "merge");
    tcase_add_loop_test(tc, merge_golden, 0, PARE_ISA_COUNT);
    tcase_add_test(tc, merge_zero_keys);
    tcase_add_test(tc, merged_mean);
    return pare_test_main(&suite, 1);
}
