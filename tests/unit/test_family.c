/* SPDX-License-Identifier: Apache-2.0 */
/* Families that read text: what transformers computes, into others' files and back, bad input. The
 * models are tests/fixtures/families (made by make.py there) and share/models/stories260K. */
#include "tests/unit/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/plan.h"
#include "model/gguf.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "text/tokenizer.h"

static struct pare_error err;

/* ---- running
 * ------------------------------------------------------------------------------------- */

enum { IDS_MAX = 32 };

struct expected {
    float ids[IDS_MAX];
    uint32_t n;
    float *rows; /* the last ones */
    size_t numbers;
};

static struct expected read_expected(const char *folder)
{
    struct expected e = {0};
    char path[512], *text, *line;
    size_t size, cap = 0;
    snprintf(path, sizeof path, "tests/fixtures/%s/expected.txt", folder);
    ck_assert_ok(pare_file_read(pare_test_source(path), 1 << 20, &text, &size, &err), err);
    line = strchr(text, '\n');
    ck_assert_ptr_nonnull(line);
    *line++ = '\0';
    for (char *at = strtok(text, " "); at; at = strtok(NULL, " ")) {
        ck_assert_uint_lt(e.n, IDS_MAX);
        e.ids[e.n++] = strtof(at, NULL);
    }
    for (char *at = strtok(line, " \n"); at; at = strtok(NULL, " \n")) {
        ck_assert(pare_grow(&e.rows, &cap, e.numbers + 1, sizeof *e.rows));
        e.rows[e.numbers++] = strtof(at, NULL);
    }
    free(text);
    return e;
}

static struct pare_model *open_model(const char *path)
{
    struct pare_model *model;
    ck_assert_ok(pare_model_open(path, &model, &err), err);
    return model;
}

/* The outputs for n ids, keys and values kept as f32 and inputs of linears as f32: `*count` of
 * them. */
static float *run_by(const struct pare_model *model, const float *ids, uint32_t n,
                     const struct pare_plan_options *options, size_t *count, char kernel[64])
{
    struct pare_graph *g;
    struct pare_plan *plan;
    const struct pare_node_report *reports;
    ck_assert_ok(pare_graph_copy(model->graph, &g, &err), err);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        g->nodes[i].activation_bits = g->nodes[i].activation_group = 0;
        if (g->nodes[i].cache_bits)
            g->nodes[i].cache_bits = 32;
    }
    ck_assert_ok(pare_graph_set_length(g, n, &err), err);
    ck_assert_ok(pare_plan_new(g, options, &plan, &err), err);
    pare_plan_reports(plan, &reports);
    snprintf(kernel, 64, "%.63s", reports[PARE_MAX(pare_graph_find(g, "head"), 0)].kernel);
    *count = pare_graph_outputs(g);
    float *out = pare_alloc(*count, sizeof *out);
    ck_assert_ptr_nonnull(out);
    ck_assert_ok(pare_plan_run(plan, ids, 1, out, &err), err);
    pare_plan_free(plan);
    pare_graph_free(g);
    return out;
}

/* As transformers does it: inputs of bf16 weights are f32. */
static float *run(const struct pare_model *model, const float *ids, uint32_t n, bool reference,
                  size_t *count)
{
    char kernel[64];
    const struct pare_plan_options options = {
        .batch = 1,
        .threads = 1,
        .isa = (int)PARE_MIN(pare_isa_best(), PARE_ISA_AVX512VNNI),
        .reference = reference};
    return run_by(model, ids, n, &options, count, kernel);
}

static void check_near(const float *got, const float *want, size_t n, float relative,
                       const char *what)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(want[i]));
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) <= relative * most, "%s: output %zu is %g, not %g",
                      what, i, (double)got[i], (double)want[i]);
}

static const char *hash_of(struct pare_model *model)
{
    const char *text;
    ck_assert_ok(pare_model_hash(model, &text, &err), err);
    return text;
}

/* ---- as transformers
 * ----------------------------------------------------------------------------- */

/* `context` in GGUF: windows, which it does not have, cut it. `refused`: why it has no GGUF. */
static const struct {
    const char *folder, *family;
    uint32_t context;
    const char *refused;
} models[] = {
    {"families/llama3", "llama", 64, NULL},
    {"families/llama-linear", "llama", 64, NULL},
    {"families/llama-yarn", "llama", 64, NULL},
    {"families/mistral", "llama", 5, NULL},
    {"families/qwen2", "llama", 4, NULL},
    {"families/qwen3", "llama", 64, NULL},
    {"families/gpt2", "gpt2", 20, NULL},
    {"families/bert", "bert", 20, NULL},
    {"families/distilbert", "bert", 20, "pooler.act is relu"},
    {"families/minilm", "bert", 20, NULL},
    {"../../share/models/stories260K/stories260K.gguf", "llama", 512, NULL},
};

static struct pare_model *open_fixture(int i)
{
    char path[512];
    snprintf(path, sizeof path, "tests/fixtures/%s", models[i].folder);
    return open_model(pare_test_source(path));
}

static struct expected expected_of(int i)
{
    return read_expected(strstr(models[i].folder, ".gguf") ? "stories260K" : models[i].folder);
}

START_TEST(as_transformers)
{
    struct pare_model *model = open_fixture(_i);
    struct expected e = expected_of(_i);
    ck_assert_str_eq(model->family, models[_i].family);
    for (int reference = 0; reference < 2; reference++) {
        size_t n;
        float *got = run(model, e.ids, e.n, reference != 0, &n);
        ck_assert_uint_ge(n, e.numbers);
        check_near(got + n - e.numbers, e.rows, e.numbers, 1e-4f, models[_i].folder);
        free(got);
    }
    free(e.rows);
    pare_model_free(model);
}
END_TEST

/* ---- what a graph looks like
 * --------------------------------------------------------------------- */

static struct pare_node *node_of(const struct pare_model *model, const char *path)
{
    int32_t at = pare_graph_find(model->graph, path);
    ck_assert_msg(at >= 0, "there is no %s", path);
    return &model->graph->nodes[at];
}

/* bf16 weights meet bf16 inputs where the CPU multiplies them, f32 elsewhere, and the plan says
 * which. An input of a product is then off by 2^-9, and the five or six products in a row of each
 * of the two layers add up to less than 2^-5 of the largest output. */
START_TEST(bf16_as_the_cpu_has_it)
{
    static const char *const kernels[PARE_ISA_COUNT] = {
        "decode bf16 -> f32 dense scalar", "bf16 weight-only avx2", "bf16 weight-only avx512",
        "bf16 weight-only avx512vnni", "bf16 avx512bf16"};
    struct pare_model *model = open_fixture(0);
    struct expected e = expected_of(0);
    for (int isa = 0; isa <= (int)pare_isa_best(); isa++) {
        const struct pare_plan_options options = {.batch = 1, .threads = 1, .isa = isa};
        char kernel[64];
        size_t n;
        float *got = run_by(model, e.ids, e.n, &options, &n, kernel);
        ck_assert_str_eq(kernel, kernels[isa]);
        check_near(got + n - e.numbers, e.rows, e.numbers,
                   isa == PARE_ISA_AVX512BF16 ? 1.0f / 32 : 1e-4f, kernel);
        free(got);
    }
    free(e.rows);
    pare_model_free(model);
}
END_TEST

START_TEST(weights_stay_as_they_are)
{
    struct pare_model *model = open_fixture(0);
    const struct pare_node *key = node_of(model, "layer.1.attn.key");
    ck_assert_uint_eq(key->weight->values, PARE_VALUES_BF16);
    ck_assert_str_eq(key->role, "attention.key");
    ck_assert_ptr_eq(node_of(model, "head")->weight, node_of(model, "embed.token")->weight);
    ck_assert_ptr_eq(node_of(model, "layer.0.attn.query_rope")->a,
                     node_of(model, "layer.1.attn.key_rope")->a);
    ck_assert_uint_eq(node_of(model, "layer.0.attn.mix")->cache_bits, 16);
    ck_assert_uint_eq(model->graph->context, 64);
    ck_assert_uint_eq(model->tokenizer_source, PARE_TOKENIZER_FOLDER);
    pare_model_free(model);
    model = open_fixture(10);
    ck_assert_uint_eq(node_of(model, "layer.4.attn.query_rope")->adjacent, 1);
    ck_assert_uint_eq(model->tokenizer_source, PARE_TOKENIZER_GGUF);
    ck_assert_ptr_nonnull(strstr(model->tokenizer, "stories260K.gguf"));
    ck_assert_uint_eq(model->graph->length, 512);
    pare_model_free(model);
}
END_TEST

START_TEST(separators_come_from_the_folder)
{
    struct pare_model *model = open_fixture(7);
    ck_assert_uint_eq(node_of(model, "embed.segment")->token, 3);
    pare_model_free(model);
}
END_TEST

/* ---- out and back
 * -------------------------------------------------------------------------------- */

START_TEST(to_folders_and_back)
{
    struct pare_model *model = open_fixture(_i), *back;
    const char *dir = pare_test_folder();
    char *first = pare_strdup(hash_of(model));
    ck_assert_ok(pare_model_write_hf(model, dir, false, &err), err);
    back = open_model(dir);
    if (!strstr(models[_i].folder, ".gguf")) /* rows of queries and keys have another order there */
        ck_assert_str_eq(hash_of(back), first);
    struct expected e = expected_of(_i);
    size_t n;
    float *got = run(back, e.ids, e.n, false, &n);
    check_near(got + n - e.numbers, e.rows, e.numbers, 1e-4f, models[_i].folder);
    free(got);
    free(e.rows);
    free(first);
    pare_model_free(back);
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* The first file may turn the rows of rotated heads, which changes the order of sums; from there on
 * all is bit for bit. */
START_TEST(to_gguf_and_back)
{
    struct pare_model *model = open_fixture(_i), *once, *twice;
    const char *dir = pare_test_folder();
    char path[4200], again[4200];
    snprintf(path, sizeof path, "%s/once.gguf", dir);
    snprintf(again, sizeof again, "%s/twice.gguf", dir);
    int rc = pare_model_write_gguf(model, path, false, NULL, &err);
    if (models[_i].refused) {
        ck_assert_int_eq(rc, PARE_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(err.what, models[_i].refused));
        goto out;
    }
    ck_assert_ok(rc, err);
    once = open_model(path);
    ck_assert_uint_eq(once->graph->context, models[_i].context);
    ck_assert_ok(pare_model_write_gguf(once, again, false, NULL, &err), err);
    twice = open_model(again);
    ck_assert_str_eq(hash_of(once), hash_of(twice));
    struct expected e = expected_of(_i);
    const uint32_t most = PARE_MIN(e.n, models[_i].context);
    size_t n;
    float *want = run(model, e.ids, most, false, &n), *got = run(once, e.ids, most, false, &n);
    check_near(got, want, n, 1e-5f, models[_i].folder);
    free(want);
    want = got;
    got = run(twice, e.ids, most, false, &n);
    ck_assert_mem_eq(got, want, n * sizeof *got);
    free(got);
    free(want);
    free(e.rows);
    pare_model_free(once);
    pare_model_free(twice);
out:
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(own_format)
{
    struct pare_model *model = open_fixture(10), *back;
    const char *dir = pare_test_folder();
    char path[4200];
    snprintf(path, sizeof path, "%s/m.safetensors", dir);
    ck_assert_ok(pare_model_write(model, path, NULL, &err), err);
    back = open_model(path);
    ck_assert_str_eq(hash_of(back), hash_of(model));
    ck_assert_str_eq(back->tokenizer, model->tokenizer);
    ck_assert_uint_eq(back->tokenizer_source, PARE_TOKENIZER_GGUF);
    pare_model_free(back);
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(companions_go_along)
{
    static const char *const names[] = {"tokenizer_config.json", "modules.json",
                                        "1_Pooling/config.json"};
    struct pare_model *model = open_fixture(9);
    const char *dir = pare_test_folder();
    ck_assert_ok(pare_model_write_hf(model, dir, false, &err), err);
    for (size_t i = 0; i < PARE_COUNT(names); i++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        ck_assert_msg(pare_file_exists(path), "%s is not there", path);
    }
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* ---- changed models
 * ------------------------------------------------------------------------------ */

/* Change `model`'s graph; the model as it was is freed. */
static struct pare_model *with(struct pare_model *model, struct pare_graph *g)
{
    struct pare_model *changed;
    ck_assert_ok(pare_model_with_graph(model, g, &changed, &err), err);
    pare_model_free(model);
    return changed;
}

static struct pare_model *without(struct pare_model *model, const char *const *branches, size_t n)
{
    struct pare_graph *g;
    ck_assert_ok(pare_graph_copy(model->graph, &g, &err), err);
    for (size_t i = 0; i < n; i++)
        ck_assert_ok(pare_graph_drop_branch(g, branches[i], NULL, NULL, &err), err);
    return with(model, g);
}

START_TEST(dropped_layers_are_numbered_anew)
{
    static const char *const branches[] = {"layer.0.attn", "layer.0.ffn"};
    static const int which[] = {1, 6, 7, 9, 10}; /* biases; GPT-2; post-norm; from GGUF */
    struct pare_model *model = without(open_fixture(which[_i]), branches, 2), *back;
    const char *dir = pare_test_folder();
    struct expected e = expected_of(which[_i]);
    char path[4200];
    size_t n;
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    float *want = run(model, e.ids, e.n, false, &n);
    for (int gguf = 0; gguf < 2; gguf++) {
        ck_assert_ok(gguf ? pare_model_write_gguf(model, path, false, NULL, &err)
                          : pare_model_write_hf(model, dir, false, &err),
                     err);
        back = open_model(gguf ? path : dir);
        ck_assert_uint_eq(back->graph->blocks, model->graph->blocks - 1);
        float *got = run(back, e.ids, e.n, false, &n);
        check_near(got, want, n, 1e-5f, gguf ? "gguf" : "folder");
        free(got);
        pare_model_free(back);
    }
    free(want);
    free(e.rows);
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(a_branch_alone_is_refused)
{
    static const char *const branch[] = {"layer.1.attn"};
    static const int which[] = {0, 6, 9};
    struct pare_model *model = without(open_fixture(which[_i]), branch, 1);
    const char *dir = pare_test_folder();
    char path[4200];
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    ck_assert_int_eq(pare_model_write_gguf(model, path, true, NULL, &err), PARE_UNSUPPORTED);
    ck_assert_str_eq(err.what, "not representable in GGUF because layer.1.attn was dropped alone");
    ck_assert_int_eq(pare_model_write_hf(model, dir, true, &err), PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.what, "layer.1.attn"));
    ck_assert(!pare_file_exists(path));
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* Channels gone from one layer are a width of its own; from all, another width of the model. */
START_TEST(widths_are_one_for_all_layers)
{
    static const char *const branches[] = {"layer.0.ffn", "layer.1.ffn"};
    static const int which[] = {6, 9};
    struct pare_model *model = open_fixture(which[_i]), *back;
    struct expected e = expected_of(which[_i]);
    const char *dir = pare_test_folder();
    uint8_t keep[24];
    char path[4200];
    size_t n;
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    for (int i = 0; i < 24; i++)
        keep[i] = i % 3 != 0;
    for (int i = 0; i < 2; i++) {
        struct pare_graph *g;
        ck_assert_ok(pare_graph_copy(model->graph, &g, &err), err);
        ck_assert_ok(pare_graph_keep_channels(g, branches[i], keep, 24, NULL, &err), err);
        model = with(model, g);
        int rc = pare_model_write_gguf(model, path, false, NULL, &err);
        ck_assert_int_eq(rc, i ? PARE_OK : PARE_UNSUPPORTED);
        ck_assert(i || strstr(err.what, "as in other layers"));
        ck_assert_int_eq(pare_model_write_hf(model, dir, false, &err), rc);
    }
    float *want = run(model, e.ids, e.n, false, &n);
    for (int gguf = 0; gguf < 2; gguf++) {
        back = open_model(gguf ? path : dir);
        ck_assert_uint_eq(node_of(back, "layer.1.ffn.up")->weight->rows, 16);
        float *got = run(back, e.ids, e.n, false, &n);
        check_near(got, want, n, 1e-5f, gguf ? "gguf" : "folder");
        free(got);
        pare_model_free(back);
    }
    free(want);
    free(e.rows);
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* The weight at a path becomes int8 in groups of 32, or 2:4. */
static struct pare_model *encoded(struct pare_model *model, const char *path, bool sparse)
{
    struct pare_graph *g;
    struct pare_weight *w = NULL;
    ck_assert_ok(pare_graph_copy(model->graph, &g, &err), err);
    struct pare_node *node = &g->nodes[pare_graph_find(g, path)];
    const uint32_t rows = node->weight->rows, cols = node->weight->cols;
    int16_t *codes = pare_alloc((size_t)rows * cols, sizeof *codes);
    uint8_t *keep = pare_alloc((size_t)rows * cols, 1);
    float *scales = pare_alloc((size_t)rows * cols / 32, sizeof *scales);
    for (uint32_t i = 0; i < rows * cols; i++) {
        codes[i] = (int16_t)((int)(i * 37 % 255) - 127);
        scales[i / 32] = 0.0078125f;
        keep[i] = i % 4 < 2;
    }
    const struct pare_integers x = {
        .struct_size = sizeof x, .bits = 8, .group_size = 32, .codes = codes, .scales = scales};
    ck_assert_ok(sparse ? pare_weight_with_structure(node->weight, 2, 4, keep, &w, &err)
                        : pare_weight_with_integers(node->weight, &x, &w, &err),
                 err);
    pare_weight_unref(node->weight);
    node->weight = w;
    free(codes);
    free(keep);
    free(scales);
    return with(model, g);
}

static uint32_t type_of(const char *path, const char *tensor)
{
    struct pare_gguf *file;
    ck_assert_ok(pare_gguf_open(path, &file, &err), err);
    const struct pare_gguf_tensor *t = pare_gguf_tensor(file, tensor);
    ck_assert_ptr_nonnull(t);
    uint32_t type = t->type;
    pare_gguf_close(file);
    return type;
}

START_TEST(integers_go_into_gguf_as_they_are)
{
    struct pare_model *model = encoded(open_fixture(2), "layer.0.attn.key", false), *back;
    const char *dir = pare_test_folder();
    struct expected e = expected_of(2);
    char path[4200];
    size_t n;
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    ck_assert_ok(pare_model_write_gguf(model, path, false, NULL, &err), err);
    ck_assert_uint_eq(type_of(path, "blk.0.attn_k.weight"), PARE_GGML_Q8_0);
    ck_assert_uint_eq(type_of(path, "blk.1.attn_k.weight"), PARE_GGML_F16);
    back = open_model(path);
    const struct pare_node *key = node_of(back, "layer.0.attn.key");
    ck_assert_uint_eq(key->activation_bits, 8);
    ck_assert_uint_eq(key->activation_group, 32);
    float *want = run(model, e.ids, e.n, false, &n), *got = run(back, e.ids, e.n, false, &n);
    check_near(got, want, n, 1e-5f, "Q8_0");
    free(got);
    ck_assert_int_eq(pare_model_write_hf(model, dir, false, &err), PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.what, "layer.0.attn.key is a"));
    ck_assert_ok(pare_model_write_hf(model, dir, true, &err), err);
    pare_model_free(back);
    back = open_model(dir);
    got = run(back, e.ids, e.n, false, &n);
    check_near(got, want, n, 1e-5f, "decoded");
    free(got);
    free(want);
    free(e.rows);
    pare_model_free(back);
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(sparse_weights_are_refused_or_decoded)
{
    struct pare_model *model = encoded(open_fixture(6), "layer.1.ffn.up", true), *back;
    const char *dir = pare_test_folder();
    struct expected e = expected_of(6);
    char path[4200];
    size_t n;
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    ck_assert_int_eq(pare_model_write_gguf(model, path, false, NULL, &err), PARE_UNSUPPORTED);
    ck_assert_str_eq(err.what,
                     "not representable in GGUF because layer.1.ffn.up is a 2:4 f32 weight");
    ck_assert_ok(pare_model_write_gguf(model, path, true, NULL, &err), err);
    back = open_model(path);
    float *want = run(model, e.ids, e.n, false, &n), *got = run(back, e.ids, e.n, false, &n);
    check_near(got, want, n, 1e-5f, "decoded");
    free(got);
    free(want);
    free(e.rows);
    pare_model_free(back);
    /* one matrix there holds queries, keys and values, which have to agree */
    model = encoded(model, "layer.1.attn.key", true);
    ck_assert_int_eq(pare_model_write_gguf(model, path, true, NULL, &err), PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.what, "layer.1.attn.key is not encoded as attn.query"));
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(gguf_says_where_it_comes_from)
{
    struct pare_model *model = open_fixture(10);
    const char *dir = pare_test_folder();
    struct pare_gguf *file;
    struct pare_gguf_text text;
    const struct pare_gguf_value *tokens;
    char path[4200];
    json_t *about = json_pack("{s:s, s:{s:f}}", "recipe", "drop1", "figures", "perplexity", 1.5);
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    ck_assert_ok(pare_model_write_gguf(model, path, false, about, &err), err);
    ck_assert_ok(pare_gguf_open(path, &file, &err), err);
    ck_assert_ok(pare_gguf_text(file, "pare.recipe", &text, &err), err);
    ck_assert(text.len == 5 && memcmp(text.data, "drop1", 5) == 0);
    ck_assert_ok(pare_gguf_text(file, "pare.figures", &text, &err), err);
    ck_assert(text.len == 18 && memcmp(text.data, "{\"perplexity\":1.5}", 18) == 0);
    ck_assert_ok(pare_gguf_text(file, "general.name", &text, &err), err);
    ck_assert(text.len == 11 && memcmp(text.data, "stories260K", 11) == 0);
    ck_assert_ok(pare_gguf_array(file, "tokenizer.ggml.tokens", PARE_GGUF_TEXT, &tokens, &err),
                 err);
    ck_assert_uint_eq(tokens->n, 512);
    pare_gguf_close(file);
    json_decref(about);
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* ---- random models
 * ------------------------------------------------------------------------------- */

static const struct {
    const struct pare_family *family;
    const char *shape, *wrong;
} shapes[] = {
    {&pare_family_llama, "97,64,48,2,6,2,80", "97,64,48,2,5,2,80"},
    {&pare_family_gpt2, "97,64,48,2,6", "97,64,48,2,5"},
    {&pare_family_bert, "97,64,48,2,6,80", "97,64,48,2,5,80"},
};

/* A random model of a family in a folder. */
static void write_random_shape(const struct pare_family *family, const char *shape, const char *dir)
{
    struct pare_tensors tensors = {0};
    json_t *config = NULL, *preprocessor = NULL;
    char path[4200];
    ck_assert_ok(family->random(shape, 7, &tensors, &config, &preprocessor, &err), err);
    ck_assert_ptr_null(preprocessor);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    ck_assert_ok(pare_tensors_write(path, &tensors, &err), err);
    snprintf(path, sizeof path, "%s/config.json", dir);
    ck_assert_int_eq(json_dump_file(config, path, 0), 0);
    json_decref(config);
    pare_tensors_free(&tensors);
}

static void write_random(int which, const char *dir)
{
    write_random_shape(shapes[which].family, shapes[which].shape, dir);
}

START_TEST(random_models_run)
{
    static const float ids[] = {1, 5, 9, 33, 2, 96};
    const char *dir = pare_test_folder();
    struct pare_tensors tensors = {0};
    json_t *config = NULL, *preprocessor = NULL;
    size_t n, k;
    write_random(_i, dir);
    struct pare_model *model = open_model(dir);
    ck_assert_str_eq(model->family, shapes[_i].family->name);
    float *fast = run(model, ids, 6, false, &n), *slow = run(model, ids, 6, true, &k);
    check_near(fast, slow, n, 1e-4f, shapes[_i].shape);
    free(fast);
    free(slow);
    pare_model_free(model);
    ck_assert_int_eq(
        shapes[_i].family->random(shapes[_i].wrong, 7, &tensors, &config, &preprocessor, &err),
        PARE_INVALID);
    ck_assert_int_eq(shapes[_i].family->random("1,2,", 7, &tensors, &config, &preprocessor, &err),
                     PARE_INVALID);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* ---- tokenizers of folders, in GGUF
 * -------------------------------------------------------------- */

/* Fixtures of tests/fixtures/tokenizers with a model as large as their vocabulary; `refused`: what
 * is said of one that llama.cpp does not know. */
static const struct {
    const char *file, *shape;
    int family; /* of shapes */
    const char *refused;
} tokenizers[] = {
    {"gpt2", "910,16,8,1,2", 1, NULL},
    {"llama2", "710,16,8,1,2,1,8", 0, NULL},
    {"llama3", "910,16,8,1,2,1,8", 0, NULL},
    {"qwen2", "910,16,8,1,2,1,8", 0, NULL},
    {"bert-uncased", "1210,16,8,1,2,8", 2, NULL},
    {"mixed-a", "910,16,8,1,2,1,8", 0, "how its tokenizer splits text"},
    {"unigram", "1230,16,8,1,2,1,8", 0, "neither BPE nor WordPiece"},
    {"llama3", "300,16,8,1,2,1,8", 0, "no embedding"},
};

static void same_ids(const struct pare_tokenizer *a, const struct pare_tokenizer *b)
{
    static const char *const texts[] = {"Hello, world!", "it's  1234567 o'clock\n\n  and more.",
                                        "def f(x):\n\treturn x", " a ", "unbelievable things"};
    struct pare_ids x = {0}, y = {0};
    for (size_t i = 0; i < PARE_COUNT(texts); i++) {
        const size_t n = strlen(texts[i]);
        ck_assert_ok(pare_tokenizer_encode(a, texts[i], n, PARE_ENCODE_ADD, &x, &err), err);
        ck_assert_ok(pare_tokenizer_encode(b, texts[i], n, PARE_ENCODE_ADD, &y, &err), err);
        ck_assert_uint_eq(x.n, y.n);
        ck_assert_mem_eq(x.ids, y.ids, x.n * sizeof *x.ids);
    }
    pare_ids_free(&x);
    pare_ids_free(&y);
}

START_TEST(tokenizers_go_into_gguf)
{
    const char *dir = pare_test_folder();
    char path[4200], fixture[128], *text;
    struct pare_tokenizer *ours, *back;
    struct pare_gguf *file;
    size_t size;
    write_random_shape(shapes[tokenizers[_i].family].family, tokenizers[_i].shape, dir);
    snprintf(fixture, sizeof fixture, "tests/fixtures/tokenizers/%s.json", tokenizers[_i].file);
    ck_assert_ok(pare_file_read(pare_test_source(fixture), 1 << 24, &text, &size, &err), err);
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    ck_assert_ok(pare_file_write(path, text, size, &err), err);
    free(text);
    struct pare_model *model = open_model(dir);
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    int rc = pare_model_write_gguf(model, path, false, NULL, &err);
    if (tokenizers[_i].refused) {
        ck_assert_int_ne(rc, PARE_OK);
        ck_assert_msg(strstr(err.what, tokenizers[_i].refused) != NULL, "%s", err.what);
    } else {
        ck_assert_ok(rc, err);
        ck_assert_ok(pare_gguf_open(path, &file, &err), err);
        ck_assert_ok(pare_tokenizer_from_gguf(file, &back, &err), err);
        ck_assert_ok(pare_tokenizer_open(dir, &ours, &err), err);
        same_ids(ours, back);
        pare_tokenizer_free(ours);
        pare_tokenizer_free(back);
        pare_gguf_close(file);
    }
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* ---- bad input
 * ----------------------------------------------------------------------------------- */

/* What one key of a configuration is changed to (NULL: left out), and what is said of it. */
static const struct {
    int family; /* of shapes */
    const char *key, *value;
    int status;
    const char *what;
} wrong[] = {
    {0, "model_type", "\"mamba\"", PARE_UNSUPPORTED, "model_type 'mamba' is not supported"},
    {0, "hidden_size", NULL, PARE_INVALID, "hidden_size is missing"},
    {0, "hidden_size", "\"wide\"", PARE_INVALID, "hidden_size is no size"},
    {0, "hidden_size", "54", PARE_INVALID, "has shape [97, 48], [97, 54] is expected"},
    {0, "hidden_size", "4000000000", PARE_INVALID, "hidden_size is no size"},
    {0, "hidden_size", "50", PARE_INVALID, "width 50 does not divide into 6 heads"},
    {0, "num_hidden_layers", "0", PARE_INVALID, "num_hidden_layers is no size"},
    {0, "num_hidden_layers", "3", PARE_INVALID, "no tensor 'model.layers.2."},
    {0, "num_hidden_layers", "1", PARE_UNSUPPORTED, "belongs to no part of a LLaMA"},
    {0, "num_key_value_heads", "4", PARE_INVALID, "6 heads do not divide into 4 heads of keys"},
    {0, "num_key_value_heads", "3", PARE_INVALID, "k_proj.weight' has shape [16, 48], [24, 48]"},
    {0, "head_dim", "65536", PARE_INVALID, "cannot be rotated in pairs"},
    {0, "head_dim", "7", PARE_INVALID, "has shape"},
    {0, "vocab_size", "98", PARE_INVALID, "has shape [97, 48], [98, 48] is expected"},
    {0, "hidden_act", "\"relu6\"", PARE_UNSUPPORTED, "hidden_act 'relu6' is not supported"},
    {0, "rms_norm_eps", "2", PARE_INVALID, "epsilon is out of range"},
    {0, "rms_norm_eps", "\"small\"", PARE_INVALID, "rms_norm_eps is no number"},
    {0, "attention_bias", "true", PARE_INVALID, "no tensor 'model.layers.0.self_attn.q_proj.bias'"},
    {0, "rope_theta", "-1", PARE_INVALID, "rope_theta is out of range"},
    {0, "partial_rotary_factor", "0", PARE_INVALID, "partial_rotary_factor is not in (0, 1]"},
    {0, "rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2.0}", PARE_UNSUPPORTED,
     "positions scaled by 'dynamic' are not supported"},
    {0, "rope_scaling", "{\"type\": \"linear\"}", PARE_INVALID, "factor is missing"},
    {0, "rope_scaling", "{\"type\": \"linear\", \"factor\": 0}", PARE_INVALID, "not above zero"},
    {0, "rope_scaling",
     "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4}",
     PARE_INVALID, "high_freq_factor is not above"},
    {0, "rope_scaling",
     "{\"rope_type\": \"longrope\", \"short_factor\": [1, 1], \"long_factor\": [2, 2]}",
     PARE_UNSUPPORTED, "longrope"},
    {0, "rope_scaling",
     "{\"rope_type\": \"longrope\", \"short_factor\": [1, 1], \"long_factor\": [1, 1]}",
     PARE_INVALID, "longrope has 2 factors, not 4"},
    {0, "layer_types", "[\"full_attention\", \"linear_attention\"]", PARE_UNSUPPORTED,
     "'linear_attention' is not supported"},
    {0, "layer_types", "[]", PARE_UNSUPPORTED, "layer_types"},
    {1, "n_embd", "54", PARE_INVALID, "has shape [97, 48], [97, 54] is expected"},
    {1, "n_positions", "65", PARE_INVALID, "has shape [64, 48], [65, 48] is expected"},
    {1, "n_inner", "100", PARE_INVALID, "has shape [48, 192], [48, 100] is expected"},
    {1, "scale_attn_weights", "false", PARE_UNSUPPORTED, "not scaled"},
    {2, "max_position_embeddings", "65", PARE_INVALID, "has shape [64, 48], [65, 48]"},
    {2, "position_embedding_type", "\"relative_key\"", PARE_UNSUPPORTED, "relative_key"},
    {2, "type_vocab_size", "1", PARE_INVALID, "has shape [2, 48], [1, 48] is expected"},
    {2, "intermediate_size", "81", PARE_INVALID, "has shape [80, 48], [81, 48] is expected"},
};

START_TEST(bad_configurations)
{
    const char *dir = pare_test_folder();
    struct pare_model *model = NULL;
    char path[4200];
    write_random(wrong[_i].family, dir);
    snprintf(path, sizeof path, "%s/config.json", dir);
    json_t *config = json_load_file(path, 0, NULL);
    if (wrong[_i].value)
        json_object_set_new(config, wrong[_i].key,
                            json_loads(wrong[_i].value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(config, wrong[_i].key);
    ck_assert_int_eq(json_dump_file(config, path, 0), 0);
    json_decref(config);
    ck_assert_int_eq(pare_model_open(dir, &model, &err), wrong[_i].status);
    ck_assert_msg(strstr(err.what, wrong[_i].what) != NULL, "%s: %s", wrong[_i].key, err.what);
    ck_assert_ptr_null(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* A GGUF file of few entries and one small table. */
static void write_draft(const char *path, const char *arch, bool table)
{
    struct pare_gguf_draft *draft;
    struct pare_blob *data;
    ck_assert_ok(pare_gguf_draft_new(&draft, &err), err);
    ck_assert_ok(pare_gguf_put_text(draft, "general.architecture", arch, &err), err);
    static const char *const keys[] = {"llama.block_count", "llama.context_length",
                                       "llama.embedding_length", "llama.feed_forward_length",
                                       "llama.attention.head_count"};
    for (size_t i = 0; table && i < PARE_COUNT(keys); i++)
        ck_assert_ok(pare_gguf_put_u32(draft, keys[i], 4, &err), err);
    if (table)
        ck_assert_ok(
            pare_gguf_put_f32(draft, "llama.attention.layer_norm_rms_epsilon", 1e-5f, &err), err);
    ck_assert_ok(pare_blob_new(16, sizeof(float), &data, &err), err);
    ck_assert_ok(pare_gguf_put_tensor(draft, "token_embd.weight", PARE_GGML_F32, 2,
                                      (uint64_t[]){4, 4}, data, &err),
                 err);
    ck_assert_ok(pare_gguf_write(path, draft, &err), err);
    pare_blob_unref(data);
    pare_gguf_draft_free(draft);
}

START_TEST(bad_gguf)
{
    const char *dir = pare_test_folder();
    struct pare_model *model = NULL;
    char path[4200];
    snprintf(path, sizeof path, "%s/m.gguf", dir);
    write_draft(path, "mamba", false);
    ck_assert_int_eq(pare_model_open(path, &model, &err), PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.what, "architecture 'mamba' is not supported"));
    ck_assert_ptr_nonnull(strstr(err.hint, "llama"));
    write_draft(path, "llama", false);
    ck_assert_int_eq(pare_model_open(path, &model, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "llama.block_count is missing"));
    write_draft(path, "llama", true);
    ck_assert_int_eq(pare_model_open(path, &model, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "heads 1 wide cannot be rotated in pairs"));
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* Weights are not read when a model opens, so what is wrong in them shows at the hash. */
START_TEST(numbers_that_are_not_finite)
{
    const char *dir = pare_test_folder();
    struct pare_tensors tensors = {0};
    struct pare_model *model;
    const char *hash;
    char path[4200];
    write_random(0, dir);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    ck_assert_ok(pare_tensors_open(path, &tensors, &err), err);
    struct pare_tensor *t = pare_tensors_find(&tensors, "model.layers.1.mlp.up_proj.weight");
    struct pare_blob *copy;
    ck_assert_ok(pare_blob_copy(t->data->data, t->data->size, 1, &copy, &err), err);
    pare_blob_f32(copy)[11] = NAN;
    pare_blob_unref(t->data);
    t->data = copy;
    ck_assert_ok(pare_tensors_write(path, &tensors, &err), err);
    pare_tensors_free(&tensors);
    model = open_model(dir);
    ck_assert_int_eq(pare_model_hash(model, &hash, &err), PARE_INVALID);
    ck_assert_msg(strstr(err.what, "finite") || strstr(err.detail, "finite"), "%s", err.what);
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("families");
    TCase *tc = pare_test_case(suite, "in and out");
    const int n = (int)PARE_COUNT(models);
    tcase_add_loop_test(tc, as_transformers, 0, n);
    tcase_add_test(tc, weights_stay_as_they_are);
    tcase_add_test(tc, bf16_as_the_cpu_has_it);
    tcase_add_test(tc, separators_come_from_the_folder);
    tcase_add_loop_test(tc, to_folders_and_back, 0, n);
    tcase_add_loop_test(tc, to_gguf_and_back, 0, n);
    tcase_add_test(tc, own_format);
    tcase_add_test(tc, companions_go_along);
    tc = pare_test_case(suite, "changed");
    tcase_add_loop_test(tc, dropped_layers_are_numbered_anew, 0, 5);
    tcase_add_loop_test(tc, a_branch_alone_is_refused, 0, 3);
    tcase_add_loop_test(tc, widths_are_one_for_all_layers, 0, 2);
    tcase_add_test(tc, integers_go_into_gguf_as_they_are);
    tcase_add_test(tc, sparse_weights_are_refused_or_decoded);
    tcase_add_test(tc, gguf_says_where_it_comes_from);
    tc = pare_test_case(suite, "random");
    tcase_add_loop_test(tc, random_models_run, 0, (int)PARE_COUNT(shapes));
    tcase_add_loop_test(tc, tokenizers_go_into_gguf, 0, (int)PARE_COUNT(tokenizers));
    tc = pare_test_case(suite, "bad input");
    tcase_add_loop_test(tc, bad_configurations, 0, (int)PARE_COUNT(wrong));
    tcase_add_test(tc, bad_gguf);
    tcase_add_test(tc, numbers_that_are_not_finite);
    return pare_test_main(&suite, 1);
}
