/* SPDX-License-Identifier: Apache-2.0 */
/* Perplexity: which tokens count, and that what is read in parts gives what whole windows give. */
#include "tests/unit/test.h"

#include "base/file.h"
#include "engine/text.h"
#include "measure/perplexity.h"
#include "measure/sampling.h"
#include "tests/unit/random_llama.h"

static struct pare_error err;
static struct pare_tokenizer *tokenizer;
static char text_path[4200];
static const char *folder;

/* A tokenizer of letters that begins texts with a token of its own. */
static const char letters[] =
    "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"special\": "
    "true, "
    "\"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false}], "
    "\"normalizer\": null, \"pre_tokenizer\": null, "
    "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
    "{\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], "
    "\"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", "
    "\"type_id\": 1}}], \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [0], \"tokens\": "
    "[\"<s>\"]}}}, \"decoder\": null, "
    "\"model\": {\"type\": \"BPE\", \"vocab\": {\"<s>\": 0, \"a\": 1, \"b\": 2, \"c\": 3, \"d\": "
    "4, \"e\": 5, \"f\": 6, \"g\": 7}, \"merges\": []}}";
static const char config[] = "{\"bos_token\": \"<s>\", \"tokenizer_class\": \"LlamaTokenizer\", "
                             "\"add_bos_token\": true}";

static void write_text(uint32_t n)
{
    char *text = pare_alloc(n, 1);
    for (uint32_t i = 0; i < n; i++)
        text[i] = (char)('a' + (i * i + i / 3) % 7);
    ck_assert_ok(pare_file_write(text_path, text, n, &err), err);
    free(text);
}

static void set_up(void)
{
    folder = pare_test_folder();
    snprintf(text_path, sizeof text_path, "%s/text.txt", folder);
    ck_assert_ok(pare_tokenizer_parse("letters", letters, strlen(letters), config, strlen(config),
                                      &tokenizer, &err),
                 err);
}

static void tear_down(void)
{
    pare_tokenizer_free(tokenizer);
    pare_remove_tree(folder, NULL);
}

static struct pare_windows *cut(struct pare_window_spec spec)
{
    struct pare_windows *w;
    spec.path = text_path;
    ck_assert_ok(pare_windows_open(&spec, tokenizer, &w, &err), err);
    return w;
}

/* Text of 26 letters: 27 tokens with the one in front. */
START_TEST(which_tokens_count)
{
    static const struct {
        struct pare_window_spec spec;
        uint32_t windows;
        struct {
            uint32_t n, first;
        } each[8];
    } cases[] = {
        {{.window = 10}, 3, {{10, 1}, {10, 1}, {7, 1}}},
        {{.window = 10, .stride = 4}, 6, {{10, 1}, {10, 6}, {10, 6}, {10, 6}, {10, 6}, {7, 6}}},
        {{.window = 27}, 1, {{27, 1}}},
        {{.window = 40}, 1, {{27, 1}}},
        {{.window = 10, .method = PARE_WINDOWS_LLAMA_CPP}, 2, {{10, 6}, {10, 6}}},
        {{.window = 9, .method = PARE_WINDOWS_LLAMA_CPP}, 3, {{9, 5}, {9, 5}, {9, 5}}},
        {{.window = 10, .stride = 4, .skip = 1, .most = 2}, 2, {{10, 6}, {10, 6}}},
    };
    write_text(26);
    for (size_t c = 0; c < PARE_COUNT(cases); c++) {
        struct pare_windows *w = cut(cases[c].spec);
        int32_t ids[64];
        ck_assert_uint_eq(pare_windows_tokens(w), 27);
        ck_assert_uint_eq(pare_windows_count(w), cases[c].windows);
        for (uint32_t i = 0; i < cases[c].windows; i++) {
            const struct pare_window got = pare_windows_read(w, i, ids);
            ck_assert_uint_eq(got.n, cases[c].each[i].n);
            ck_assert_uint_eq(got.first, cases[c].each[i].first);
            const uint32_t stride =
                cases[c].spec.stride ? cases[c].spec.stride : cases[c].spec.window;
            const uint32_t at = (cases[c].spec.skip + i) * stride;
            const bool begins = at == 0 || cases[c].spec.method == PARE_WINDOWS_LLAMA_CPP;
            if (begins)
                ck_assert_int_eq(ids[0], 0);
            for (uint32_t k = begins; k < got.n; k++) {
                const uint32_t letter = at + k - 1;
                ck_assert_int_eq(ids[k], 1 + (int32_t)((letter * letter + letter / 3) % 7));
            }
        }
        pare_windows_free(w);
    }
}
END_TEST

START_TEST(other_ways_have_other_hashes)
{
    char hash[PARE_HASH_HEX];
    write_text(26);
    struct pare_windows *w = cut((struct pare_window_spec){.window = 10});
    memcpy(hash, pare_windows_hash(w), sizeof hash);
    pare_windows_free(w);
    const struct pare_window_spec others[] = {{.window = 9},
                                              {.window = 10, .stride = 5},
                                              {.window = 10, .most = 1},
                                              {.window = 10, .skip = 1},
                                              {.window = 10, .method = PARE_WINDOWS_LLAMA_CPP}};
    for (size_t i = 0; i < PARE_COUNT(others); i++) {
        w = cut(others[i]);
        ck_assert_str_ne(hash, pare_windows_hash(w));
        pare_windows_free(w);
    }
}
END_TEST

START_TEST(refused)
{
    static const struct pare_window_spec wrong[] = {
        {.window = 1},
        {.window = 10, .stride = 11},
        {.window = 10, .stride = 5, .method = PARE_WINDOWS_LLAMA_CPP},
        {.window = 40, .method = PARE_WINDOWS_LLAMA_CPP},
        {.window = 10, .skip = 3},
    };
    struct pare_windows *w = NULL;
    write_text(26);
    for (size_t i = 0; i < PARE_COUNT(wrong); i++) {
        struct pare_window_spec spec = wrong[i];
        spec.path = text_path;
        ck_assert_int_eq(pare_windows_open(&spec, tokenizer, &w, &err), PARE_INVALID);
    }
    write_text(0);
    struct pare_window_spec spec = {.path = text_path, .window = 10};
    ck_assert_int_eq(pare_windows_open(&spec, tokenizer, &w, &err), PARE_INVALID); /* one token */
    spec.path = "/nowhere";
    ck_assert_int_ne(pare_windows_open(&spec, tokenizer, &w, &err), PARE_OK);
}
END_TEST

/* The logits of a whole window, in double. */
static void log_softmax(const struct pare_graph *g, const int32_t *ids, uint32_t n, double *out)
{
    struct pare_graph *own;
    struct pare_plan *plan;
    const uint32_t v = g->vocabulary;
    float *logits = pare_alloc((size_t)n * v, sizeof *logits);
    const struct pare_text text = {ids, n, 0, true};
    ck_assert_ok(pare_graph_copy(g, &own, &err), err);
    ck_assert_ok(pare_graph_set_length(own, n, &err), err);
    const struct pare_plan_options o = {.batch = 1, .threads = 1, .isa = -1};
    ck_assert_ok(pare_plan_new(own, &o, &plan, &err), err);
    ck_assert_ok(pare_plan_read(plan, NULL, &text, 1, logits, &err), err);
    for (uint32_t t = 0; t < n; t++) {
        double sum = 0;
        for (uint32_t i = 0; i < v; i++)
            sum += exp((double)logits[t * v + i]);
        for (uint32_t i = 0; i < v; i++)
            out[t * v + i] = (double)logits[t * v + i] - log(sum);
    }
    free(logits);
    pare_plan_free(plan);
    pare_graph_free(own);
}

START_TEST(as_whole_windows_say)
{
    static const struct pare_window_spec specs[] = {
        {.window = 300},
        {.window = 150, .stride = 40},
        {.window = 200, .method = PARE_WINDOWS_LLAMA_CPP},
    };
    const struct llama_shape shape = {8, 300, 16, 32, 4, 2, 8, 24, 2, 0, 16, 0, false, 0};
    struct pare_graph *g = random_llama(&shape, 1), *other = random_llama(&shape, 2);
    struct pare_windows *w;
    struct pare_perplexity p;
    int32_t ids[300];
    write_text(700);
    w = cut(specs[_i]);
    struct pare_perplexity_job job = {
        .graph = g, .baseline = other, .windows = w, .window = specs[_i].window, .threads = 2};
    ck_assert_ok(pare_perplexity_measure(&job, &p, &err), err);
    double *mine = pare_alloc(300 * 8, sizeof *mine), *theirs = pare_alloc(300 * 8, sizeof *theirs);
    double total = 0;
    uint32_t k = 0, right = 0, agreed = 0;
    for (uint32_t i = 0; i < pare_windows_count(w); i++) {
        const struct pare_window one = pare_windows_read(w, i, ids);
        log_softmax(g, ids, one.n, mine);
        log_softmax(other, ids, one.n, theirs);
        for (uint32_t t = one.first; t < one.n; t++, k++) {
            const double *m = mine + (t - 1) * 8, *o = theirs + (t - 1) * 8;
            double far = 0;
            uint32_t top = 0, other_top = 0;
            for (uint32_t c = 0; c < 8; c++) {
                far += exp(o[c]) * (o[c] - m[c]);
                top = m[c] > m[top] ? c : top;
                other_top = o[c] > o[other_top] ? c : other_top;
            }
            ck_assert(fabs((double)p.nll[k] + m[ids[t]]) < 1e-5);
            ck_assert(fabs((double)p.divergence[k] - far) < 1e-5);
            ck_assert_uint_eq(p.predicted[k], top);
            right += top == (uint32_t)ids[t];
            agreed += top == other_top;
            total -= m[ids[t]];
        }
        ck_assert_uint_eq(p.ends[i], k);
    }
    ck_assert_uint_eq(p.tokens, k);
    ck_assert_uint_eq(p.right, right);
    ck_assert_uint_eq(p.agreed, agreed);
    ck_assert(fabs(p.mean.value - total / k) < 1e-6);
    ck_assert(fabs(p.perplexity.value - exp(total / k)) < 1e-4);
    ck_assert(p.mean.lo < p.mean.value && p.mean.value < p.mean.hi);
    free(mine);
    free(theirs);
    /* One window alone, without the baseline. */
    const uint32_t last = pare_windows_count(w) - 1, from = last ? p.ends[last - 1] : 0;
    struct pare_perplexity one;
    job.baseline = NULL;
    job.which = &last;
    job.n = 1;
    ck_assert_ok(pare_perplexity_measure(&job, &one, &err), err);
    ck_assert_uint_eq(one.tokens, p.tokens - from);
    ck_assert(memcmp(one.nll, p.nll + from, one.tokens * sizeof *one.nll) == 0);
    ck_assert_ptr_null(one.divergence);
    pare_perplexity_free(&one);
    pare_perplexity_free(&p);
    job.window = 301; /* beyond the context */
    ck_assert_int_eq(pare_perplexity_measure(&job, &p, &err), PARE_INVALID);
    pare_windows_free(w);
    pare_graph_free(g);
    pare_graph_free(other);
}
END_TEST

/* Shares of draws against the distribution: 5 standard errors. */
START_TEST(draws)
{
    static const float logits[] = {1.0f, 3.0f, 2.0f, -1.0f, 3.0f};
    static const struct {
        struct pare_sampling how;
        double share[5]; /* unnormalised */
    } cases[] = {
        {{0, 0, 1}, {0, 1, 0, 0, 0}},
        {{1, 1, 1}, {0, 1, 0, 0, 0}},
        {{1, 0, 1}, {0.1353353, 1, 0.3678794, 0.0183156, 1}},
        {{2, 3, 1}, {0, 1, 0.6065307, 0, 1}},
        {{1, 0, 0.5}, {0, 1, 0, 0, 1}},
        {{1, 0, 0.9}, {0, 1, 0.3678794, 0, 1}},
    };
    enum { N = 20000 };
    struct pare_candidate scratch[5];
    struct pare_random r;
    pare_random_seed(&r, 4);
    for (size_t c = 0; c < PARE_COUNT(cases); c++) {
        uint32_t count[5] = {0};
        double all = 0;
        for (int i = 0; i < N; i++)
            count[pare_sample(logits, 5, &cases[c].how, &r, scratch)]++;
        for (int i = 0; i < 5; i++)
            all += cases[c].share[i];
        for (int i = 0; i < 5; i++) {
            const double p = cases[c].share[i] / all;
            ck_assert_msg(fabs((double)count[i] / N - p) <= 5 * sqrt(p * (1 - p) / N) + 1e-12,
                          "case %zu: token %d: %u of %d, not %g", c, i, count[i], N, p * N);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("perplexity");
    TCase *tc = pare_test_case(suite, "windows");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, which_tokens_count);
    tcase_add_test(tc, other_ways_have_other_hashes);
    tcase_add_test(tc, refused);
    tcase_add_loop_test(tc, as_whole_windows_say, 0, 3);
    tc = pare_test_case(suite, "sampling");
    tcase_add_test(tc, draws);
    return pare_test_main(&suite, 1);
}
