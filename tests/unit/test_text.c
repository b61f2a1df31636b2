/* SPDX-License-Identifier: Apache-2.0 */
/* Reading texts: whole, in parts, several at once, on one thread and on two, must give the same
 * bits; and what every instruction set gives must be what the reference gives. */
#include "tests/unit/test.h"

#include "engine/engine.h"
#include "engine/text.h"
#include "tests/unit/random_llama.h"

enum { LENGTH = 70, VOCABULARY = 90 };

static struct pare_error err;

static const struct llama_shape shapes[] = {
    {VOCABULARY, 128, LENGTH, 48, 6, 2, 8, 56, 2, 0, 16, 0, false, 0},
    {VOCABULARY, 128, LENGTH, 40, 5, 5, 10, 33, 2, 0, 32, 1, true, 0},
    {VOCABULARY, 128, LENGTH, 48, 8, 1, 20, 40, 2, 9, 16, 0, false, 0},
    {VOCABULARY, 128, LENGTH, 48, 6, 2, 24, 56, 2, 0, 8, 1, false, 0},
    {VOCABULARY, 128, LENGTH, 48, 4, 2, 33, 56, 2, 20, 4, 0, true, 0},
    {VOCABULARY, 128, LENGTH, 96, 6, 2, 16, 70, 2, 0, 16, 1, false, 4},
    {VOCABULARY, 128, LENGTH, 48, 6, 3, 8, 56, 2, 0, 16, 0, false, 8},
};

static struct pare_graph *graph_of(int i)
{
    struct pare_graph *g = random_llama(&shapes[i], 7 + (uint64_t)i);
    ck_assert_ptr_nonnull(g);
    return g;
}

static void ids_of(uint64_t seed, int32_t *ids, uint32_t n)
{
    struct pare_random r;
    pare_random_seed(&r, seed);
    for (uint32_t i = 0; i < n; i++)
        ids[i] = (int32_t)pare_random_below(&r, VOCABULARY);
}

static struct pare_plan *plan_of(const struct pare_graph *g, struct pare_plan_options o)
{
    struct pare_plan *plan;
    o.batch = o.batch ? o.batch : 1;
    o.threads = o.threads ? o.threads : 1;
    ck_assert_ok(pare_plan_new(g, &o, &plan, &err), err);
    return plan;
}

/* The outputs of a whole text, LENGTH x VOCABULARY. */
static float *whole(const struct pare_graph *g, struct pare_plan_options o, const int32_t *ids)
{
    struct pare_plan *plan = plan_of(g, o);
    float in[LENGTH], *out = pare_alloc(LENGTH * VOCABULARY, sizeof *out);
    for (uint32_t i = 0; i < LENGTH; i++)
        in[i] = (float)ids[i];
    ck_assert_ok(pare_plan_run(plan, in, 1, out, &err), err);
    pare_plan_free(plan);
    return out;
}

static void same_bits(const float *got, const float *want, uint32_t token, const char *what)
{
    for (uint32_t i = 0; i < VOCABULARY; i++)
        ck_assert_msg(memcmp(&got[i], &want[i], sizeof *got) == 0,
                      "%s: token %u, output %u is %.9g, not %.9g", what, token, i, (double)got[i],
                      (double)want[i]);
}

/* The limit by shape: float roundings through two layers on logits of size about 1; where keys and
 * values are rounded to f16 or to codes, and inputs to int8, some that fall to the other side of a
 * tie. */
static void near_reference(const float *got, const float *want, uint32_t n, int isa, int shape)
{
    static const float limits[] = {2e-3f, 2e-4f, 2e-3f, 2e-2f, 2.5e-1f, 1e-1f, 1e-1f};
    for (uint32_t i = 0; i < n * VOCABULARY; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) <= limits[shape], "%s: token %u: %g, not %g",
                      pare_isa_name((enum pare_isa)isa), i / VOCABULARY, (double)got[i],
                      (double)want[i]);
}

START_TEST(as_the_reference)
{
    struct pare_graph *g = graph_of(_i);
    int32_t ids[LENGTH];
    ids_of(3, ids, LENGTH);
    float *want = whole(g, (struct pare_plan_options){.isa = -1, .reference = true}, ids);
    for (int isa = PARE_ISA_AVX2; isa <= (int)pare_isa_best(); isa++) {
        float *got = whole(g, (struct pare_plan_options){.isa = isa}, ids);
        near_reference(got, want, LENGTH, isa, _i);
        free(got);
    }
    free(want);
    pare_graph_free(g);
}
END_TEST

START_TEST(threads_and_fusion_change_nothing)
{
    struct pare_graph *g = graph_of(_i);
    int32_t ids[LENGTH];
    ids_of(3, ids, LENGTH);
    float *want = whole(g, (struct pare_plan_options){.isa = -1}, ids);
    const struct pare_plan_options others[] = {{.isa = -1, .threads = 2},
                                               {.isa = -1, .threads = 3},
                                               {.isa = -1, .no_fusion = true},
                                               {.isa = -1, .batch = 5, .threads = 2}};
    for (size_t k = 0; k < PARE_COUNT(others); k++) {
        float *got = whole(g, others[k], ids);
        for (uint32_t t = 0; t < LENGTH; t++)
            same_bits(got + t * VOCABULARY, want + t * VOCABULARY, t, "other plan");
        free(got);
    }
    free(want);
    pare_graph_free(g);
}
END_TEST

/* Three texts that share beginnings, read token by token, in chunks, together. */
START_TEST(in_parts)
{
    static const uint32_t chunks[] = {1, 2, 7, 16, 33, LENGTH};
    struct pare_graph *g = graph_of(_i);
    int32_t ids[LENGTH];
    ids_of(5, ids, LENGTH);
    for (int isa = PARE_ISA_SCALAR; isa <= (int)pare_isa_best(); isa++) {
        float *want = whole(g, (struct pare_plan_options){.isa = isa}, ids);
        struct pare_plan *plan =
            plan_of(g, (struct pare_plan_options){.isa = isa, .threads = 2, .context = 100});
        struct pare_cache *cache;
        float *out = pare_alloc(3 * LENGTH * VOCABULARY, sizeof *out);
        ck_assert_ok(pare_cache_new(plan, 3, 100, &cache, &err), err);
        for (size_t c = 0; c < PARE_COUNT(chunks); c++) {
            for (uint32_t at = 0; at < LENGTH; at += chunks[c]) {
                const uint32_t n = PARE_MIN(chunks[c], LENGTH - at);
                const struct pare_text texts[] = {{ids + at, n, 2, true}, {ids + at, n, 0, false}};
                ck_assert_uint_eq(pare_cache_length(cache, 2), at);
                ck_assert_ok(pare_plan_read(plan, cache, texts, 2, out, &err), err);
                for (uint32_t t = 0; t < n; t++)
                    same_bits(out + t * VOCABULARY, want + (at + t) * VOCABULARY, at + t, "part");
                same_bits(out + n * VOCABULARY, want + (at + n - 1) * VOCABULARY, at + n - 1,
                          "last of a part");
            }
            ck_assert_uint_eq(pare_cache_length(cache, 0), LENGTH);
            pare_cache_cut(cache, 0, 10); /* and again from there */
            const struct pare_text rest = {ids + 10, 20, 0, false};
            ck_assert_ok(pare_plan_read(plan, cache, &rest, 1, out, &err), err);
            same_bits(out, want + 29 * VOCABULARY, 29, "after a cut");
            pare_cache_cut(cache, 0, 0);
            pare_cache_cut(cache, 2, 0);
        }
        pare_cache_free(cache);
        pare_plan_free(plan);
        free(want);
        free(out);
    }
    pare_graph_free(g);
}
END_TEST

/* Keys of several stretches, seen by windows of which some begin within one: rows at once, one row
 * by any number of threads, and one row of each of two texts. */
START_TEST(across_stretches)
{
    enum { LONG = 2 * PARE_KEY_STRETCH + 12, PROMPT = 2 * PARE_KEY_STRETCH - 4, PART = 101 };
    struct llama_shape shape = shapes[_i];
    shape.length = LONG;
    shape.context = 2 * LONG;
    shape.window = shape.window ? PARE_KEY_STRETCH + shape.window : 0;
    struct pare_graph *g = random_llama(&shape, 7 + (uint64_t)_i);
    int32_t ids[LONG];
    ids_of(5, ids, LONG);
    const struct pare_text all = {ids, LONG, 0, true};
    const struct pare_text prompts[] = {
        {ids, PROMPT, 0, false}, {ids, PART, 1, false}, {ids + PART, PROMPT - PART, 1, false}};
    float *want = pare_alloc(LONG * VOCABULARY, sizeof *want), out[2 * VOCABULARY];
    float *reference = pare_alloc(LONG * VOCABULARY, sizeof *reference);
    for (int isa = PARE_ISA_SCALAR; isa <= (int)pare_isa_best(); isa++) {
        for (uint32_t threads = 1; threads <= 3; threads++) {
            struct pare_plan *plan =
                plan_of(g, (struct pare_plan_options){.isa = isa, .batch = 2, .threads = threads});
            struct pare_cache *cache;
            ck_assert_ok(pare_cache_new(plan, 2, LONG, &cache, &err), err);
            if (threads == 1)
                ck_assert_ok(pare_plan_read(plan, NULL, &all, 1, want, &err), err);
            for (uint32_t i = 0; i < PARE_COUNT(prompts); i++) {
                const uint32_t last = i == 1 ? PART - 1 : PROMPT - 1;
                ck_assert_ok(pare_plan_read(plan, cache, &prompts[i], 1, out, &err), err);
                same_bits(out, want + last * VOCABULARY, last, "prompt");
            }
            for (uint32_t t = PROMPT; t < LONG; t++) {
                const struct pare_text next[] = {{ids + t, 1, 0, true}, {ids + t, 1, 1, true}};
                const uint32_t n = t < PROMPT + 8 ? 2 : 1;
                ck_assert_ok(pare_plan_read(plan, cache, next, n, out, &err), err);
                for (uint32_t i = 0; i < n; i++)
                    same_bits(out + i * VOCABULARY, want + t * VOCABULARY, t, "one row");
            }
            pare_cache_free(cache);
            pare_plan_free(plan);
        }
        if (isa == PARE_ISA_SCALAR)
            memcpy(reference, want, LONG * VOCABULARY * sizeof *want);
        near_reference(want, reference, LONG, isa, _i);
    }
    free(reference);
    free(want);
    pare_graph_free(g);
}
END_TEST

START_TEST(whole_texts_together)
{
    struct pare_graph *g = graph_of(_i);
    int32_t ids[LENGTH];
    ids_of(9, ids, LENGTH);
    float *want = whole(g, (struct pare_plan_options){.isa = -1}, ids);
    struct pare_plan *plan = plan_of(g, (struct pare_plan_options){.isa = -1, .batch = 3});
    float *out = pare_alloc(3 * LENGTH * VOCABULARY, sizeof *out);
    const struct pare_text texts[] = {{ids, 3, 0, false}, {ids, 41, 0, false}, {ids, 1, 0, true}};
    ck_assert_ok(pare_plan_read(plan, NULL, texts, 3, out, &err), err);
    same_bits(out, want + 2 * VOCABULARY, 2, "short");
    same_bits(out + VOCABULARY, want + 40 * VOCABULARY, 40, "long");
    same_bits(out + 2 * VOCABULARY, want, 0, "one token");
    pare_plan_free(plan);
    free(want);
    free(out);
    pare_graph_free(g);
}
END_TEST

START_TEST(refused)
{
    struct pare_graph *g = graph_of(0);
    struct pare_plan *plan = plan_of(g, (struct pare_plan_options){.isa = -1, .context = 80});
    struct pare_cache *cache, *none = NULL;
    int32_t ids[LENGTH + 20], high = VOCABULARY, low = -1;
    float *out = pare_alloc(LENGTH * VOCABULARY, sizeof *out);
    ids_of(1, ids, LENGTH + 20);
    ck_assert_int_eq(pare_cache_new(plan, 1, 81, &none, &err), PARE_INVALID);
    ck_assert_int_eq(pare_cache_new(plan, 0, 80, &none, &err), PARE_INVALID);
    ck_assert_ok(pare_cache_new(plan, 1, 80, &cache, &err), err);
    const struct pare_text wrong[] = {{&high, 1, 0, true},
                                      {&low, 1, 0, true},
                                      {ids, 0, 0, true},
                                      {ids, 81, 0, false},
                                      {ids, 1, 1, false}};
    for (size_t i = 0; i < PARE_COUNT(wrong); i++) {
        ck_assert_int_eq(pare_plan_read(plan, cache, &wrong[i], 1, out, &err), PARE_INVALID);
        ck_assert_uint_eq(pare_cache_length(cache, 0), 0);
    }
    const struct pare_text too_long = {ids, LENGTH + 1, 0, false};
    ck_assert_int_eq(pare_plan_read(plan, NULL, &too_long, 1, out, &err), PARE_INVALID);
    ck_assert_ok(pare_plan_read(plan, cache, &too_long, 1, out, &err), err); /* in two parts */
    pare_cache_free(cache);
    pare_plan_free(plan);
    free(out);
    ck_assert_int_eq(pare_graph_set_length(g, 129, &err), PARE_INVALID);
    ck_assert_ok(pare_graph_set_length(g, 128, &err), err);
    ck_assert_uint_eq(pare_graph_inputs(g), 128);
    pare_graph_free(g);
}
END_TEST

/* The embeddings are the head as well: one matrix. Frequencies of rotary positions are none. */
START_TEST(tied_weights_count_once)
{
    struct pare_graph *g = graph_of(0);
    const struct llama_shape *s = &shapes[0];
    const uint64_t attention = 2 * (s->heads + s->kv_heads) * s->head_width * s->width,
                   layer = attention + 3 * s->hidden * s->width + 2 * s->width;
    ck_assert_uint_eq(pare_graph_parameters(g),
                      s->vocabulary * s->width + s->layers * layer + s->width);
    pare_graph_free(g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tc = pare_test_case(suite, "reading");
    const int n = (int)PARE_COUNT(shapes);
    tcase_add_loop_test(tc, as_the_reference, 0, n);
    tcase_add_loop_test(tc, threads_and_fusion_change_nothing, 0, n);
    tcase_add_loop_test(tc, in_parts, 0, n);
    tcase_add_loop_test(tc, across_stretches, 0, n);
    tcase_add_loop_test(tc, whole_texts_together, 0, n);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, tied_weights_count_once);
    return pare_test_main(&suite, 1);
}
