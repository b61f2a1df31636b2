/* SPDX-License-Identifier: Apache-2.0 */
/* Linears that are a product of two: the same numbers, what is coupled to them, what is refused. */
#include "tests/unit/text_world.h"

#include <float.h>

#include "base/file.h"

/* ---- models: the shipped one, a fixture of every family of text, and made ones
 * --------------------------------------------------------------------------------- */

static const char *const folders[] = {"llama3", "mistral", "qwen2",      "qwen3",
                                      "gpt2",   "bert",    "distilbert", "minilm"};
static const struct llama_shape gated = {60, 48, 24, 32, 6, 2, 16, 64, 2, 0, 16, 0, true, 0};
static const struct llama_shape integers = {60, 48, 24, 32, 4, 2, 16, 64, 2, 0, 16, 0, false, 8};
static const struct bert_shape encoder = {60, 48, 24, 32, 4, 48, 2, 0};

enum { VIT = (int)PARE_COUNT(folders), LLAMA, BERT, MODELS };

/* Everything in f32, for all that share a weight: where two ways round otherwise, they part. */
static void into_f32(struct pare_graph *g)
{
    struct pare_error err = {0};
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        struct pare_weight *old = g->nodes[i].weight, *plain = NULL;
        g->nodes[i].activation_bits = g->nodes[i].activation_group = 0;
        g->nodes[i].cache_bits = g->nodes[i].cache_bits ? 32 : 0;
        if (!old || old->values == PARE_VALUES_F32)
            continue;
        float *values = world_weight(g, g->nodes[i].path);
        ck_assert_ok(pare_weight_new(old->rows, old->cols, values, &plain, &err), err);
        pare_weight_ref(old);
        for (uint32_t k = i; k < g->n_nodes; k++) {
            if (g->nodes[k].weight != old)
                continue;
            pare_weight_unref(old);
            g->nodes[k].weight = pare_weight_ref(plain);
        }
        pare_weight_unref(old);
        pare_weight_unref(plain);
        free(values);
    }
}

static struct pare_graph *open_world(struct world *w, int which, uint32_t n)
{
    struct pare_model *model = NULL;
    struct pare_graph *g;
    char path[256];
    if (which == VIT) {
        world_open(w, n);
        return world_copy(w, w->model->graph);
    }
    struct pare_error err = {0};
    if (which < VIT) {
        snprintf(path, sizeof path, "tests/fixtures/families/%s", folders[which]);
        ck_assert_ok(pare_model_open(pare_test_source(path), &model, &err), err);
        ck_assert_ok(pare_graph_copy(model->graph, &g, &err), err);
        ck_assert_ok(pare_graph_set_length(g, PARE_MIN(g->context, 12u), &err), err);
    } else {
        g = which == LLAMA ? random_llama(&gated, 3) : random_bert(&encoder, 3);
    }
    into_f32(g);
    world_open_text(w, g, n);
    w->env.baseline = NULL;
    w->model = model; /* NULL: a graph by hand */
    return g;
}

static void close_world(struct world *w, struct pare_graph *g)
{
    pare_graph_free(g);
    world_close(w);
}

/* ---- factors
 * ------------------------------------------------------------------------------------ */

/* W = (W Q) Q with the reflection Q = I - 2 v v', |v| = 1: of full rank, and nothing of it is an
 * identity. */
static void reflected(const struct pare_node *node, float **left, float **right)
{
    const uint32_t rows = node->weight->rows, cols = node->weight->cols;
    float *w = pare_alloc((size_t)rows * cols, sizeof *w);
    double *v = pare_alloc(cols, sizeof *v), length = 0;
    *left = pare_alloc((size_t)rows * cols, sizeof **left);
    *right = pare_alloc((size_t)cols * cols, sizeof **right);
    ck_assert(w && v && *left && *right);
    pare_weight_decode(node->weight, 0, rows, w);
    for (uint32_t i = 0; i < cols; i++) {
        v[i] = sin(1 + i * 0.7);
        length += v[i] * v[i];
    }
    for (uint32_t i = 0; i < cols; i++) {
        for (uint32_t j = 0; j < cols; j++)
            (*right)[(size_t)i * cols + j] = (float)((i == j) - 2 * v[i] * v[j] / length);
    }
    for (uint32_t r = 0; r < rows; r++) {
        double along = 0;
        for (uint32_t j = 0; j < cols; j++)
            along += (double)w[(size_t)r * cols + j] * v[j];
        for (uint32_t j = 0; j < cols; j++)
            (*left)[(size_t)r * cols + j] =
                (float)((double)w[(size_t)r * cols + j] - 2 * along * v[j] / length);
    }
    free(w);
    free(v);
}

/* A linear of at most as many columns as rows as (W Q) Q, one of more as I W. */
static int factorize(struct pare_graph *g, const char *path, struct pare_error *err)
{
    const struct pare_node *node = world_node(g, path);
    const uint32_t rows = node->weight->rows, cols = node->weight->cols;
    float *left = NULL, *right = NULL;
    if (cols <= rows) {
        reflected(node, &left, &right);
    } else {
        left = pare_calloc((size_t)rows * rows, sizeof *left);
        for (uint32_t i = 0; i < rows; i++)
            left[(size_t)i * rows + i] = 1;
        right = world_weight(g, path);
    }
    int rc = pare_graph_factorize(g, path, PARE_MIN(rows, cols), left, right, err);
    free(left);
    free(right);
    return rc;
}

/* All linears under `part` that have a weight of their own; how far outputs may be off. Each sum of
 * n products is off by n ulps of what it adds up at most; there are `cols` and `rank` of them where
 * there were `cols`, and as many rounded weights. */
static double factorize_all(struct pare_graph *g, const char *part, struct pare_error *err)
{
    struct pare_units units;
    double off = 0;
    ck_assert_ok(pare_units_of(g, PARE_UNIT_LINEAR, &units, err), *err);
    for (size_t i = 0; i < units.n; i++) {
        const struct pare_unit *u = &units.items[i];
        if (world_node(g, u->path)->op != PARE_OP_LINEAR || !pare_unit_selected(u, part))
            continue;
        int rc = factorize(g, u->path, err);
        if (rc == PARE_UNSUPPORTED)
            ck_assert_msg(strstr(err->what, "shares its weight"), "%s", err->what);
        else
            ck_assert_ok(rc, *err);
        off += (double)FLT_EPSILON * (2 * u->cols + 2 * PARE_MIN(u->rows, u->cols));
    }
    pare_units_free(&units);
    return off;
}

static float largest(const float *x, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most;
}

static void same_outputs(struct world *w, const struct pare_graph *got,
                         const struct pare_graph *want, double relative)
{
    float *x = world_outputs(w, want);
    float limit = (float)relative * largest(x, w->n * pare_graph_outputs(want));
    free(x);
    world_same(w, got, want, limit, "the product");
}

START_TEST(full_rank_is_the_same)
{
    struct world w;
    struct pare_graph *g = open_world(&w, _i, 4), *product = world_copy(&w, g);
    double off = factorize_all(product, "**", &w.err);
    ck_assert_uint_gt(product->n_nodes, g->n_nodes + 5);
    same_outputs(&w, product, g, off);
    pare_graph_free(product);
    close_world(&w, g);
}
END_TEST

static uint64_t stored_bytes(uint64_t numbers)
{
    return pare_round_up(numbers * sizeof(float), PARE_ALIGN);
}

/* A weight of rank 8 is its factors, with what they take. */
START_TEST(low_rank_is_small)
{
    enum { RANK = 8, ROWS = 288, COLS = 96, TOKENS = 50 };
    static const char path[] = "layer.0.ffn.up";
    struct world w;
    struct pare_graph *g = open_world(&w, VIT, 16), *small = world_copy(&w, g);
    float *left = world_weight(g, path), *right = world_weight(g, "layer.0.ffn.down");
    float *product = pare_alloc((size_t)ROWS * COLS, sizeof *product);
    struct pare_weight *weight = NULL;
    for (uint32_t i = 0; i < ROWS * COLS; i++) {
        double sum = 0;
        for (uint32_t k = 0; k < RANK; k++)
            sum += (double)left[i / COLS * RANK + k] * (double)right[k * COLS + i % COLS];
        product[i] = (float)sum;
    }
    ck_assert_ok(pare_weight_new(ROWS, COLS, product, &weight, &w.err), w.err);
    struct pare_node *node = &g->nodes[pare_graph_find(g, path)];
    pare_weight_unref(node->weight);
    node->weight = weight;
    ck_assert_ok(pare_graph_factorize(small, path, RANK, left, right, &w.err), w.err);
    same_outputs(&w, small, g, (double)FLT_EPSILON * 2 * (COLS + RANK));
    const struct pare_value *tokens = &small->values[world_node(small, path)->outputs[0]];
    ck_assert_uint_eq(tokens->tokens, TOKENS);
    ck_assert_uint_eq(pare_graph_parameters(g) - pare_graph_parameters(small),
                      ROWS * COLS - RANK * (ROWS + COLS));
    ck_assert_uint_eq(pare_graph_macs(g) - pare_graph_macs(small),
                      TOKENS * (ROWS * COLS - RANK * (ROWS + COLS)));
    ck_assert_uint_eq(pare_graph_bytes(g) - pare_graph_bytes(small), stored_bytes(ROWS * COLS) -
                                                                         stored_bytes(RANK * ROWS) -
                                                                         stored_bytes(RANK * COLS));
    free(left);
    free(right);
    free(product);
    pare_graph_free(small);
    close_world(&w, g);
}
END_TEST

/* ---- as units, and in files
 * --------------------------------------------------------------------------------- */

START_TEST(both_are_units)
{
    struct world w;
    struct pare_units u;
    struct pare_graph *g = open_world(&w, VIT, 1);
    ck_assert_ok(factorize(g, "layer.3.attn.query", &w.err), w.err);
    ck_assert_ok(factorize(g, "classifier", &w.err), w.err);
    ck_assert_ok(pare_units_of(g, PARE_UNIT_LINEAR, &u, &w.err), w.err);
    ck_assert_uint_eq(u.n, 1 + 8 * 6 + 1 + 2);
    const struct pare_unit *basis = &u.items[1 + 3 * 6], *query = basis + 1;
    ck_assert_str_eq(basis->path, "layer.3.attn.query.basis");
    ck_assert_str_eq(basis->role, "attention.query.basis");
    ck_assert_str_eq(basis->within, "layer.3.attn");
    ck_assert_int_eq(basis->block, 3);
    ck_assert_str_eq(query->path, "layer.3.attn.query");
    ck_assert_str_eq(query->within, "layer.3.attn");
    ck_assert_uint_eq(query->parameters - basis->parameters, 96); /* the bias stays */
    ck_assert_ptr_null(u.items[u.n - 2].within);
    static const struct {
        const char *selector;
        bool basis, query;
    } cases[] = {{"layer.3.attn.query", true, true},
                 {"role:attention.query", true, true},
                 {"layer.*.attn.**", true, true},
                 {"**.basis", true, false},
                 {"role:attention.query.basis", true, false},
                 {"layer.3.attn.key", false, false},
                 {"layer.3", true, true}};
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        ck_assert_msg(pare_unit_selected(basis, cases[i].selector) == cases[i].basis &&
                          pare_unit_selected(query, cases[i].selector) == cases[i].query,
                      "%s", cases[i].selector);
    }
    pare_units_free(&u);
    close_world(&w, g);
}
END_TEST

/* What the linear read, its basis reads in the same way; what it reads now was never integers. */
START_TEST(inputs_are_taken_as_before)
{
    struct world w;
    struct pare_graph *g = random_llama(&integers, 3);
    world_open_text(&w, g, 2);
    const struct pare_node old = *world_node(g, "layer.0.ffn.up");
    ck_assert(old.activation_bits == 8);
    ck_assert_ok(factorize(g, "layer.0.ffn.up", &w.err), w.err);
    const struct pare_node *basis = world_node(g, "layer.0.ffn.up.basis");
    const struct pare_node *up = world_node(g, "layer.0.ffn.up");
    ck_assert_uint_eq(basis->activation_bits, old.activation_bits);
    ck_assert_uint_eq(basis->activation_group, old.activation_group);
    ck_assert_uint_eq(basis->inputs[0], old.inputs[0]);
    ck_assert_uint_eq(up->activation_bits | up->activation_group, 0);
    ck_assert_uint_eq(up->outputs[0], old.outputs[0]);
    free(world_outputs(&w, g));
    close_world(&w, g);
}
END_TEST

static struct pare_model *as_model(struct world *w, struct pare_graph *g)
{
    struct pare_model *m = NULL;
    ck_assert_ok(pare_model_with_graph(w->model, world_copy(w, g), &m, &w->err), w->err);
    return m;
}

START_TEST(files)
{
    struct world w;
    struct pare_graph *g = open_world(&w, _i, 2);
    const char *dir = pare_test_folder(), *hash, *again;
    char path[4200];
    factorize_all(g, "layer.1", &w.err);
    struct pare_model *m = as_model(&w, g), *back = NULL;
    snprintf(path, sizeof path, "%s/m.safetensors", dir);
    ck_assert_ok(pare_model_write(m, path, NULL, &w.err), w.err);
    ck_assert_ok(pare_model_open(path, &back, &w.err), w.err);
    ck_assert_ok(pare_model_hash(m, &hash, &w.err), w.err);
    ck_assert_ok(pare_model_hash(back, &again, &w.err), w.err);
    ck_assert_str_eq(again, hash);
    world_same(&w, back->graph, g, 0, "read back");
    for (int decode = 0; decode < 2; decode++) {
        ck_assert_int_eq(pare_model_write_hf(m, dir, decode, &w.err), PARE_UNSUPPORTED);
        ck_assert_msg(strstr(w.err.what, "as a Hugging Face model because layer.1.") &&
                          strstr(w.err.what, "low rank"),
                      "%s", w.err.what);
        ck_assert_int_eq(pare_model_write_gguf(m, path, decode, NULL, &w.err), PARE_UNSUPPORTED);
        ck_assert_msg(strstr(w.err.what, "in GGUF because layer.1."), "%s", w.err.what);
        ck_assert(w.err.hint[0]);
    }
    pare_model_free(back);
    pare_model_free(m);
    close_world(&w, g);
    ck_assert_ok(pare_remove_tree(dir, &w.err), w.err);
}
END_TEST

/* ---- what is coupled
 * ---------------------------------------------------------------------------- */

static void zero_columns(struct pare_graph *g, const char *path, const uint8_t *keep, uint32_t n)
{
    struct pare_error err = {0};
    struct pare_node *node = &g->nodes[pare_graph_find(g, path)];
    struct pare_weight *weight = NULL;
    const uint32_t rows = node->weight->rows, cols = node->weight->cols;
    float *values = world_weight(g, path);
    for (size_t i = 0; i < (size_t)rows * cols; i++)
        values[i] *= keep[i % cols / (cols / n)] != 0;
    ck_assert_ok(pare_weight_new(rows, cols, values, &weight, &err), err);
    pare_weight_unref(node->weight);
    node->weight = weight;
    free(values);
}

static void same_units(const struct pare_graph *a, const struct pare_graph *b, unsigned kind)
{
    struct pare_units x, y;
    struct pare_error err = {0};
    ck_assert_ok(pare_units_of(a, kind, &x, &err), err);
    ck_assert_ok(pare_units_of(b, kind, &y, &err), err);
    ck_assert_uint_eq(x.n, y.n);
    for (size_t i = 0; i < x.n; i++) {
        ck_assert_str_eq(x.items[i].path, y.items[i].path);
        ck_assert_uint_eq(x.items[i].rows, y.items[i].rows);
        ck_assert_str_eq(x.items[i].role, y.items[i].role);
    }
    pare_units_free(&x);
    pare_units_free(&y);
}

/* Heads and channels are what they were: those that go are rows of the products and columns of the
 * basis of what reads them. */
START_TEST(heads_and_channels_stay_units)
{
    struct world w;
    uint8_t heads[6] = {0, 1, 1, 0, 1, 1}, channels[512];
    struct pare_graph *g = open_world(&w, _i, 4), *product = world_copy(&w, g);
    for (int i = 0; i < 512; i++)
        channels[i] = i % 3 != 1;
    double off = factorize_all(product, "layer.*", &w.err);
    same_units(product, g, PARE_UNIT_HEAD);
    same_units(product, g, PARE_UNIT_CHANNEL);
    same_units(product, g, PARE_UNIT_BRANCH);
    same_units(product, g, PARE_UNIT_BLOCK);
    same_units(product, g, PARE_UNIT_STREAM);
    struct pare_branch b;
    ck_assert(pare_branch_find(product, "layer.1.attn", &b));
    const uint32_t n = pare_branch_units(product, &b, PARE_UNIT_HEAD);
    ck_assert_str_eq(product->nodes[b.consumer].path, "layer.1.attn.output.basis");
    ck_assert_str_eq(product->nodes[b.last].path, "layer.1.attn.output");
    ck_assert(pare_branch_find(product, "layer.0.ffn", &b));
    const uint32_t m = pare_branch_units(product, &b, PARE_UNIT_CHANNEL);
    ck_assert_ok(pare_graph_keep_heads(product, "layer.1.attn", heads, n, NULL, &w.err), w.err);
    ck_assert_ok(pare_graph_keep_channels(product, "layer.0.ffn", channels, m, NULL, &w.err),
                 w.err);
    zero_columns(g, "layer.1.attn.output", heads, n);
    zero_columns(g, "layer.0.ffn.down", channels, m);
    same_outputs(&w, product, g, off);
    ck_assert_ok(pare_graph_drop_branch(product, "layer.1.attn", NULL, NULL, &w.err), w.err);
    for (uint32_t i = 0; i < product->n_nodes; i++)
        ck_assert(product->nodes[i].op != PARE_OP_LINEAR ||
                  !strstr(product->nodes[i].path, "layer.1.attn"));
    pare_graph_free(product);
    close_world(&w, g);
}
END_TEST

/* Prune chooses the same heads and channels, and refits the basis. */
START_TEST(pruned_alike)
{
    static const char *const settings[] = {
        "{'what': 'heads', 'sparsity': 0.5, 'refit': false}",
        "{'what': 'heads', 'sparsity': 0.5, 'refit': true, 'criterion': 'magnitude'}",
        "{'what': 'channels', 'sparsity': 0.5, 'refit': false}",
        "{'what': 'channels', 'sparsity': 0.5, 'refit': true}"};
    static const char *const branches[] = {"layer.0.attn", "layer.0.ffn"};
    struct world w;
    struct pare_branch a, b;
    struct pare_graph *g = open_world(&w, VIT, 16), *product = world_copy(&w, g);
    factorize_all(product, "layer.0", &w.err);
    struct pare_graph *want = world_with(&w, g, "prune", settings[_i], "layer.0.**");
    struct pare_graph *got = world_with(&w, product, "prune", settings[_i], "layer.0.**");
    same_units(got, want, _i < 2 ? PARE_UNIT_HEAD : PARE_UNIT_CHANNEL);
    ck_assert(pare_branch_find(got, branches[_i / 2], &a) &&
              pare_branch_find(want, branches[_i / 2], &b));
    ck_assert_uint_eq(got->nodes[a.consumer].weight->cols, want->nodes[b.consumer].weight->cols);
    ck_assert_uint_eq(pare_graph_basis(got, (uint32_t)a.last), a.consumer);
    /* what stays makes up for what went, in both alike: the basis' columns are the weight's,
     * turned, and a least-squares fit turns with them */
    same_outputs(&w, got, want, _i % 2 ? 1e-3 : 1e-4);
    pare_graph_free(got);
    pare_graph_free(want);
    pare_graph_free(product);
    close_world(&w, g);
}
END_TEST

static size_t recorded_at(const struct recorded *r, const char *unit)
{
    size_t i = 0;
    while (i < r->n && strcmp(r->items[i].unit, unit) != 0)
        i++;
    ck_assert_msg(i < r->n, "%s was not recorded", unit);
    return i;
}

/* Merges go on comparing the keys, and later stages work on both parts. */
START_TEST(later_stages)
{
    struct world w;
    struct pare_units u;
    struct recorded r = {0};
    struct pare_graph *g = open_world(&w, BERT, 6), *product = world_copy(&w, g);
    double off = factorize_all(product, "**", &w.err);
    struct pare_graph *merged = world_with(&w, product, "token-merge", "{'r': 3}", NULL);
    struct pare_graph *plain = world_with(&w, g, "token-merge", "{'r': 3}", NULL);
    same_outputs(&w, merged, plain, off);
    struct pare_graph *both =
        world_with(&w, merged, "prune", "{'what': 'heads', 'sparsity': 0.5}", "layer.1.**");
    ck_assert_uint_eq(world_node(both, "layer.1.merge")->heads, 2);
    pare_graph_free(both);
    w.env.record = world_record;
    w.env.user = &r;
    both = world_with(&w, product, "quantize", "{'bits': 8, 'activations': 'int8'}",
                      "layer.0.attn.query");
    w.env.record = NULL;
    static const char *const paths[] = {"layer.0.attn.query", "layer.0.attn.query.basis"};
    for (size_t i = 0; i < PARE_COUNT(paths); i++) { /* each for itself */
        const size_t at = recorded_at(&r, paths[i]);
        ck_assert_uint_eq(r.items[at].bytes_before,
                          pare_weight_bytes(world_node(product, paths[i])->weight));
        ck_assert_uint_eq(r.items[at].bytes_after,
                          pare_weight_bytes(world_node(both, paths[i])->weight));
    }
    ck_assert_uint_eq(world_node(both, "layer.0.attn.query")->weight->bits, 8);
    ck_assert_uint_eq(world_node(both, "layer.0.attn.query.basis")->weight->bits, 8);
    ck_assert_uint_eq(world_node(both, "layer.0.attn.query.basis")->activation_bits, 8);
    ck_assert_uint_eq(world_node(both, "layer.0.attn.key.basis")->weight->bits, 0);
    pare_graph_free(both);
    both = world_with(&w, product, "layer-drop", "{'count': 1, 'replace': 'linear'}", NULL);
    free(world_outputs(&w, both));
    pare_graph_free(both);
    w.env.baseline = product;
    double *scores = world_score(&w, product, "output-change", "{}", PARE_UNIT_HEAD, &u);
    for (size_t i = 0; i < u.n; i++)
        ck_assert(isfinite(scores[i]));
    free(scores);
    pare_units_free(&u);
    pare_graph_free(merged);
    pare_graph_free(plain);
    pare_graph_free(product);
    close_world(&w, g);
}
END_TEST

/* ---- refusals
 * ----------------------------------------------------------------------------------- */

START_TEST(refused)
{
    static float numbers[288 * 288];
    struct world w;
    struct pare_graph *g = open_world(&w, VIT, 1);
    static const struct {
        const char *path;
        uint32_t rank;
        int rc;
        const char *why;
    } cases[] = {
        {"layer.0.ffn.up", 0, PARE_INVALID, "rank"},
        {"layer.0.ffn.up", 97, PARE_INVALID, "between 1 and 96"},
        {"layer.0.ffn.none", 4, PARE_NOT_FOUND, "no linear"},
        {"layer.0.ffn.act", 4, PARE_NOT_FOUND, "no linear"},
        {"embed.patch", 4, PARE_UNSUPPORTED, "image"},
        {"layer.1.ffn.up", 4, PARE_UNSUPPORTED, "product already"},
        {"layer.1.ffn.up.basis", 4, PARE_UNSUPPORTED, "product already"},
        {"layer.2.ffn.up", 4, PARE_UNSUPPORTED, "shares its weight with layer.3.ffn.up"},
    };
    ck_assert_ok(factorize(g, "layer.1.ffn.up", &w.err), w.err);
    struct pare_node *tied = &g->nodes[pare_graph_find(g, "layer.2.ffn.up")];
    pare_weight_unref(tied->weight);
    tied->weight = pare_weight_ref(world_node(g, "layer.3.ffn.up")->weight);
    const uint32_t before = g->n_nodes;
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        w.err = (struct pare_error){0};
        ck_assert_int_eq(
            pare_graph_factorize(g, cases[i].path, cases[i].rank, numbers, numbers, &w.err),
            cases[i].rc);
        ck_assert_msg(strstr(w.err.what, cases[i].why) != NULL, "%s", w.err.what);
    }
    numbers[5] = INFINITY;
    ck_assert_int_eq(pare_graph_factorize(g, "layer.0.ffn.up", 4, numbers, numbers, &w.err),
                     PARE_INVALID);
    ck_assert_uint_eq(g->n_nodes, before);
    ck_assert_uint_eq(world_node(g, "layer.0.ffn.up")->weight->cols, 96);
    close_world(&w, g);
}
END_TEST

/* ---- the service
 * -------------------------------------------------------------------------------- */

static const struct pare_param nothing[] = {{.name = "call",
                                             .help = "x",
                                             .type = PARE_INT,
                                             .min = 0,
                                             .max = 9,
                                             .dflt = "0",
                                             .varies = PARE_UNIT_LINEAR}};

/* A product of rank 1; what comes after it is for later stages. */
static int makes_product(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_ext_surgery *surgery = host->extension(ctx, PARE_EXT_SURGERY);
    const struct pare_ext_calibration *data = host->extension(ctx, PARE_EXT_CALIBRATION);
    const struct pare_unit *up = model->find(ctx, PARE_UNIT_LINEAR, "layer.0.ffn.up");
    const struct pare_unit *branch = model->find(ctx, PARE_UNIT_BRANCH, "layer.0.ffn");
    static float left[288], right[96], room[288 * 96];
    const double *gram;
    int64_t call;
    int rc = host->get_int(ctx, NULL, "call", &call);
    if (rc != PARE_OK || !PARE_HAS(surgery, factorize))
        return rc;
    if (call == 1)
        return surgery->factorize(ctx, branch, 1, left, right);
    if (call == 2)
        return surgery->factorize(ctx, up, 1, NULL, right);
    if (call == 3)
        return surgery->factorize(ctx, NULL, 1, left, right);
    left[3] = right[7] = 1;
    if ((rc = surgery->factorize(ctx, up, 1, left, right)) != PARE_OK)
        return rc;
    switch (call) {
    case 4:
        return weight->read(ctx, up, 0, 1, room);
    case 5:
        return weight->set_values(ctx, up, room);
    case 6:
        return data->gram(ctx, up, &gram);
    case 7:
        return surgery->factorize(ctx, up, 1, left, right);
    case 8:
        return surgery->drop(ctx, branch, PARE_REPLACE_NOTHING);
    default:
        return PARE_OK;
    }
}

START_TEST(service)
{
    static const int wanted[] = {PARE_OK,      PARE_INVALID, PARE_INVALID,
                                 PARE_INVALID, PARE_INVALID, PARE_INVALID,
                                 PARE_INVALID, PARE_INVALID, PARE_OK};
    static const char *const on[] = {"**", NULL}, *const except[] = {NULL};
    struct world w;
    struct recorded r = {0};
    struct pare_graph *g = open_world(&w, VIT, 4);
    struct pare_plugin_file own = {.desc = {PARE_PLUGIN_HEAD, .id = "own", .version = "1.0.0",
                                            .label = "x", .kind = PARE_TRANSFORM,
                                            PARE_PLUGIN_PARAMS(nothing), .apply = makes_product,
                                            .needs = PARE_NEEDS_GRAM}};
    w.env.record = world_record;
    w.env.user = &r;
    json_t *params = json_pack("{s:i}", "call", _i);
    struct pare_step step = {.stage = "test",
                             .plugin = &own,
                             .on = on,
                             .except = except,
                             .params = params,
                             .compressed = true};
    w.err = (struct pare_error){0};
    ck_assert_int_eq(pare_stage_apply(&w.env, g, &step, &w.err), wanted[_i]);
    if (_i == 0) {
        ck_assert_uint_eq(world_node(g, "layer.0.ffn.up")->weight->cols, 1);
        ck_assert_uint_eq(world_node(g, "layer.0.ffn.up.basis")->weight->rows, 1);
        const size_t up = recorded_at(&r, "layer.0.ffn.up");
        ck_assert_uint_eq(r.items[up].bytes_before, stored_bytes(288 * 96));
        ck_assert_uint_eq(r.items[up].bytes_after, stored_bytes(288) + stored_bytes(96));
    } else if (_i == 8) {
        ck_assert_int_lt(pare_graph_find(g, "layer.0.ffn.up.basis"), 0);
    } else {
        ck_assert(w.err.what[0] != '\0');
        ck_assert_msg(_i < 4 || strstr(w.err.what, "product"), "%s", w.err.what);
    }
    json_decref(params);
    close_world(&w, g);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("factorize");
    TCase *tc = pare_test_case(s, "numbers");
    tcase_add_loop_test(tc, full_rank_is_the_same, 0, MODELS);
    tcase_add_test(tc, low_rank_is_small);
    tc = pare_test_case(s, "units and files");
    tcase_add_test(tc, both_are_units);
    tcase_add_test(tc, inputs_are_taken_as_before);
    tcase_add_loop_test(tc, files, 0, VIT + 1);
    tc = pare_test_case(s, "coupled");
    tcase_add_loop_test(tc, heads_and_channels_stay_units, 0, MODELS);
    tcase_add_loop_test(tc, pruned_alike, 0, 4);
    tcase_add_test(tc, later_stages);
    tc = pare_test_case(s, "refused");
    tcase_add_test(tc, refused);
    tcase_add_loop_test(tc, service, 0, 9);
    return pare_test_main(&s, 1);
}
