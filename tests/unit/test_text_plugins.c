/* SPDX-License-Identifier: Apache-2.0 */
/* Every plugin on models of text: with shared heads of keys, gated feed-forwards, tied embeddings,
 * f32 and blocks of integers, and on an encoder. */
#include "tests/unit/text_world.h"

#include "model/ggml.h"
#include "plugin/context.h"

enum { SAMPLES = 10, LAYERS = 3 };

/* hidden and heads are whole blocks of 32, so that blocks can go */
static const struct llama_shape shapes[] = {
    {60, 48, 24, 32, 4, 2, 16, 64, LAYERS, 0, 16, 0, false, 0},
    {60, 48, 24, 32, 6, 2, 16, 64, LAYERS, 9, 32, 1, true, 0},
    {60, 48, 24, 32, 4, 2, 16, 64, LAYERS, 0, 16, 0, false, 4},
    {60, 48, 24, 32, 4, 2, 16, 64, LAYERS, 0, 16, 0, false, 8},
};
enum { PLAIN, NORMED, INT4, INT8, BLOCKS, SHAPES };

static const struct bert_shape encoders[] = {{60, 48, 24, 32, 4, 48, LAYERS, 5},
                                             {60, 48, 24, 32, 4, 48, LAYERS, 0}};

/* Every linear in groups of integers becomes a ggml tensor of the same numbers, as in a GGUF file.
 */
static void into_blocks(struct pare_graph *g)
{
    struct pare_error err = {0};
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        struct pare_weight *w = g->nodes[i].weight, *blocks = NULL;
        struct pare_blob *data = NULL;
        uint32_t type;
        if (!w || w->values != PARE_VALUES_INT)
            continue;
        ck_assert_ok(pare_weight_to_ggml(w, 0, &type, &data, &err), err);
        ck_assert_ok(pare_weight_from_ggml(type, w->rows, w->cols, data, &blocks, &err), err);
        pare_blob_unref(data);
        pare_weight_unref(w);
        g->nodes[i].weight = blocks;
    }
}

static struct pare_graph *model(int i)
{
    struct pare_graph *g = random_llama(&shapes[i == BLOCKS ? INT8 : i], 3);
    ck_assert_ptr_nonnull(g);
    if (i == BLOCKS)
        into_blocks(g);
    return g;
}

static struct pare_node *node_of(struct pare_graph *g, const char *path)
{
    int32_t at = pare_graph_find(g, path);
    ck_assert_msg(at >= 0, "no node %s", path);
    return &g->nodes[at];
}

static uint32_t units_of(const struct pare_graph *g, unsigned kind, struct pare_units *units)
{
    struct pare_error err = {0};
    ck_assert_ok(pare_units_of(g, kind, units, &err), err);
    return (uint32_t)units->n;
}

static uint32_t count_units(const struct pare_graph *g, unsigned kind)
{
    struct pare_units units;
    uint32_t n = units_of(g, kind, &units);
    pare_units_free(&units);
    return n;
}

/* ---- units
 * --------------------------------------------------------------------------------------- */

START_TEST(units)
{
    struct pare_graph *g = model(_i);
    const struct llama_shape *s = &shapes[_i];
    struct pare_units u;
    ck_assert_uint_eq(units_of(g, PARE_UNIT_LINEAR, &u), LAYERS * 7 + 1); /* no embedding */
    pare_units_free(&u);
    ck_assert_uint_eq(units_of(g, PARE_UNIT_HEAD, &u), LAYERS * s->kv_heads);
    const uint32_t share = s->heads / s->kv_heads;
    for (size_t i = 0; i < u.n; i++) {
        ck_assert_uint_eq(u.items[i].rows, share * s->head_width);
        ck_assert_uint_eq(u.items[i].parameters, (2 * share + 2) * s->head_width * s->width);
    }
    ck_assert_str_eq(u.items[3].path, "layer.1.attn.head.1");
    pare_units_free(&u);
    ck_assert_uint_eq(units_of(g, PARE_UNIT_CHANNEL, &u), LAYERS * s->hidden);
    ck_assert_uint_eq(u.items[0].parameters, 3 * s->width); /* gate, up and down */
    ck_assert_uint_eq(u.items[0].macs, 3 * s->width * s->length);
    pare_units_free(&u);
    ck_assert_uint_eq(units_of(g, PARE_UNIT_BRANCH, &u), 2 * LAYERS);
    ck_assert_str_eq(u.items[0].role, "attention");
    ck_assert_str_eq(u.items[1].role, "feed_forward");
    pare_units_free(&u);
    ck_assert_uint_eq(count_units(g, PARE_UNIT_BLOCK), LAYERS);
    ck_assert_uint_eq(count_units(g, PARE_UNIT_STREAM), 0); /* causal */
    pare_graph_free(g);
    g = random_bert(&encoders[0], 3);
    ck_assert_uint_eq(count_units(g, PARE_UNIT_LINEAR), LAYERS * 6 + 1);
    ck_assert_uint_eq(count_units(g, PARE_UNIT_HEAD), LAYERS * 4);
    ck_assert_uint_eq(count_units(g, PARE_UNIT_CHANNEL), LAYERS * 48);
    ck_assert_uint_eq(count_units(g, PARE_UNIT_BRANCH), LAYERS * 2);
    ck_assert_uint_eq(count_units(g, PARE_UNIT_STREAM), LAYERS);
    pare_graph_free(g);
}
END_TEST

/* ---- removing heads and channels
 * ----------------------------------------------------------------- */

/* Zero the consumer's columns of what does not stay. */
static void zero_columns(struct pare_graph *g, const char *path, const uint8_t *keep, uint32_t n)
{
    struct pare_error err = {0};
    struct pare_node *node = node_of(g, path);
    struct pare_weight *w = NULL;
    const uint32_t rows = node->weight->rows, cols = node->weight->cols;
    float *values = world_weight(g, path);
    for (size_t i = 0; i < (size_t)rows * cols; i++)
        values[i] *= keep[i % cols / (cols / n)] != 0;
    ck_assert_ok(pare_weight_new(rows, cols, values, &w, &err), err);
    pare_weight_unref(node->weight);
    node->weight = w;
    free(values);
}

/* What is gone for good is as if what reads it did not. */
START_TEST(removed_is_zeroed)
{
    static const int models[] = {PLAIN, NORMED, BLOCKS};
    const bool blocks = models[_i] == BLOCKS;
    struct world w;
    uint8_t heads[2] = {0, 1}, channels[64];
    struct pare_graph *g = model(models[_i]), *zeroed, *small;
    world_open_text(&w, g, SAMPLES);
    zeroed = world_copy(&w, g);
    small = world_copy(&w, g);
    for (int i = 0; i < 64; i++)
        channels[i] = blocks ? i < 32 : i % 3 != 1;
    ck_assert_ok(pare_graph_keep_heads(small, "layer.1.attn", heads, 2, NULL, &w.err), w.err);
    ck_assert_ok(pare_graph_keep_channels(small, "layer.0.ffn", channels, 64, NULL, &w.err), w.err);
    zero_columns(zeroed, "layer.1.attn.output", heads, 2);
    zero_columns(zeroed, "layer.0.ffn.down", channels, 64);
    if (blocks) { /* zeroed weights are f32, and round their inputs otherwise */
        for (uint32_t i = 0; i < small->n_nodes; i++) {
            small->nodes[i].activation_bits = 0;
            zeroed->nodes[i].activation_bits = 0;
        }
    }
    world_same(&w, small, zeroed, 1e-4f, "small");
    const struct pare_node *mix = world_node(small, "layer.1.attn.mix");
    const uint32_t share = world_node(g, "layer.1.attn.mix")->heads / 2;
    ck_assert_uint_eq(mix->heads, share);
    ck_assert_uint_eq(mix->kv_heads, 1);
    ck_assert_uint_eq(world_node(small, "layer.1.attn.query_rope")->heads, share);
    ck_assert_uint_eq(world_node(small, "layer.1.attn.key_rope")->heads, 1);
    ck_assert_uint_eq(world_node(small, "layer.0.ffn.gate")->weight->rows,
                      world_node(small, "layer.0.ffn.up")->weight->rows);
    ck_assert_uint_lt(pare_graph_bytes(small), pare_graph_bytes(g));
    /* numbers are those of the original model */
    struct pare_units u;
    units_of(small, PARE_UNIT_HEAD, &u);
    ck_assert_str_eq(u.items[2].path, "layer.1.attn.head.1");
    pare_units_free(&u);
    units_of(small, PARE_UNIT_CHANNEL, &u);
    ck_assert_str_eq(u.items[2].path, blocks ? "layer.0.ffn.channel.2" : "layer.0.ffn.channel.3");
    pare_units_free(&u);
    pare_graph_free(small);
    pare_graph_free(zeroed);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

static void same_parts(const struct pare_graph *a, const struct pare_graph *b)
{
    ck_assert_uint_eq(a->n_nodes, b->n_nodes);
    for (uint32_t i = 0; i < a->n_nodes; i++) {
        const struct pare_node *x = &a->nodes[i], *y = &b->nodes[i];
        ck_assert_msg(x->weight == y->weight && x->bias == y->bias && x->a == y->a &&
                          x->ids == y->ids && x->heads == y->heads && x->kv_heads == y->kv_heads,
                      "%s was changed", x->path);
    }
}

/* What cannot be removed is refused before anything is. */
START_TEST(refusals_leave_the_model)
{
    struct world w;
    uint8_t heads[2] = {0, 1}, channels[64] = {1, 1, 1};
    struct pare_graph *g = model(_i ? BLOCKS : INT4), *copy;
    world_open_text(&w, g, SAMPLES);
    copy = world_copy(&w, g);
    if (_i == 0) /* integers with scales apart */
        ck_assert_int_eq(pare_graph_keep_heads(copy, "layer.1.attn", heads, 2, NULL, &w.err),
                         PARE_UNSUPPORTED);
    ck_assert_int_eq(pare_graph_keep_channels(copy, "layer.1.ffn", channels, 64, NULL, &w.err),
                     PARE_UNSUPPORTED);
    same_parts(copy, g);
    if (_i == 1) { /* a fitted consumer asks no columns of the old one */
        struct pare_graph *fitted = world_with(
            &w, g, "prune", "{'what': 'channels', 'criterion': 'magnitude'}", "layer.1.ffn");
        ck_assert_uint_eq(world_node(fitted, "layer.1.ffn.down")->weight->cols, 32);
        ck_assert_uint_eq(world_node(fitted, "layer.1.ffn.gate")->weight->rows, 32);
        ck_assert_uint_eq(world_node(fitted, "layer.1.ffn.up")->weight->ggml, PARE_GGML_Q8_0);
        free(world_outputs(&w, fitted));
        pare_graph_free(fitted);
    }
    pare_graph_free(copy);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

START_TEST(shared_weights_do_not_shrink)
{
    struct world w;
    uint8_t channels[64] = {1, 1, 1};
    struct pare_graph *g = model(PLAIN), *copy;
    world_open_text(&w, g, 1);
    static const char *const pairs[][2] = {{"layer.0.ffn.up", "layer.1.ffn.up"},
                                           {"layer.0.ffn.down", "layer.1.ffn.down"}};
    for (size_t i = 0; i < PARE_COUNT(pairs); i++) {
        struct pare_graph *tied = world_copy(&w, g);
        struct pare_node *to = node_of(tied, pairs[i][0]);
        pare_weight_unref(to->weight);
        to->weight = pare_weight_ref(node_of(tied, pairs[i][1])->weight);
        copy = world_copy(&w, tied);
        ck_assert_int_eq(pare_graph_keep_channels(copy, "layer.0.ffn", channels, 64, NULL, &w.err),
                         PARE_UNSUPPORTED);
        ck_assert_msg(strstr(w.err.what, pairs[i][1]) != NULL, "%s", w.err.what);
        same_parts(copy, tied);
        pare_graph_free(copy);
        pare_graph_free(tied);
    }
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* ---- tied weights
 * -------------------------------------------------------------------------------- */

START_TEST(tied_stays_tied)
{
    static const char *const settings[][2] = {{"quantize", "{'bits': 8, 'group_size': 32}"},
                                              {"prune", "{'criterion': 'magnitude'}"},
                                              {"prune", "{'pattern': '2:4'}"}};
    struct world w;
    struct recorded r = {0};
    struct pare_graph *g = model(PLAIN);
    world_open_text(&w, g, SAMPLES);
    w.env.record = world_record;
    w.env.user = &r;
    struct pare_graph *got = world_with(&w, g, settings[_i][0], settings[_i][1], "head");
    const struct pare_weight *head = world_node(got, "head")->weight;
    ck_assert_ptr_eq(head, world_node(got, "embed.token")->weight);
    ck_assert_ptr_ne(head, world_node(g, "head")->weight);
    for (size_t i = 0; i < r.n; i++) {
        ck_assert_str_eq(r.items[i].unit, "head");
        ck_assert_uint_eq(r.items[i].bytes_before, 60 * 32 * 4);
        ck_assert_uint_eq(r.items[i].bytes_after, pare_weight_bytes(head));
    }
    ck_assert_uint_gt(r.n, 0);
    ck_assert_uint_eq(pare_graph_bytes(g) - pare_graph_bytes(got),
                      60 * 32 * 4 - pare_weight_bytes(head));
    /* the rows that are looked up are the new ones */
    float *stream = world_value(&w, got, world_node(got, "embed.token")->outputs[0], NULL), row[32];
    for (uint32_t i = 0; i < w.n * g->length; i++) {
        pare_weight_decode(head, (uint32_t)w.images[i], 1, row);
        ck_assert_mem_eq(stream + i * 32, row, sizeof row);
    }
    free(stream);
    pare_graph_free(got);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* ---- every plugin
 * -------------------------------------------------------------------------------- */

static const struct {
    const char *plugin, *params, *on;
    bool encoder; /* for encoders only */
    bool blocks;  /* also where weights are integers */
} settings[] = {
    {"quantize", "{'bits': 4, 'group_size': 32}", NULL, false, true},
    {"quantize", "{'bits': 8, 'activations': 'int8'}", NULL, false, true},
    {"quantize", "{'bits': 4, 'group_size': 32, 'activations': 'int8', 'clip': 'mse'}", NULL, false,
     true},
    {"quantize", "{'bits': 3, 'group_size': 16, 'symmetric': false}", NULL, false, true},
    {"quantize",
     "{'bits': {'allocate': {'plugin': 'two-level', 'params': {'high': 8, 'low': 3}}, 'score': "
     "{'plugin': 'zd'}, 'per': 'block'}}",
     "layer.**", false, true},
    {"quantize",
     "{'bits': {'allocate': {'plugin': 'two-level', 'params': {'high': 8, 'low': 2}}, 'score': "
     "{'plugin': 'output-change', 'params': {'distance': 'l2'}}, 'per': 'linear'}}",
     "layer.*.ffn.**", false, true},
    {"prune", "{'sparsity': 0.5}", NULL, false, true},
    {"prune", "{'pattern': '2:4'}", NULL, false, true},
    {"prune", "{'criterion': 'magnitude', 'scope': 'model', 'sparsity': 0.4}", NULL, false, true},
    {"prune",
     "{'sparsity': {'allocate': {'plugin': 'proportional', 'params': {'mean': 0.4}}, 'score': "
     "{'plugin': 'output-change'}, 'per': 'block'}}",
     NULL, false, true},
    {"prune", "{'sparsity': {'allocate': {'plugin': 'uniform', 'params': {'value': 0.3}}}}", NULL,
     false, true},
    {"prune", "{'what': 'heads', 'sparsity': 0.5}", NULL, false, false},
    {"prune", "{'what': 'heads', 'sparsity': 0.5, 'refit': false}", "layer.1.**", false, false},
    {"prune", "{'what': 'channels', 'sparsity': 0.25}", NULL, false, false},
    {"prune", "{'what': 'channels', 'scope': 'model', 'criterion': 'magnitude', 'refit': false}",
     NULL, false, false},
    {"layer-drop", "{'count': 1}", NULL, false, true},
    {"layer-drop", "{'unit': 'attention', 'score': 'output-change', 'replace': 'mean'}", NULL,
     false, true},
    {"layer-drop", "{'unit': 'ffn', 'choose': 'even', 'replace': 'linear'}", NULL, false, true},
    {"layer-drop",
     "{'unit': 'any', 'score': {'plugin': 'output-change', 'params': {'distance': 'cosine'}}}",
     NULL, false, true},
    {"layer-drop",
     "{'choose': 'each', 'drop': {'allocate': {'plugin': 'greedy', 'params': {'count': 2}}}}", NULL,
     false, true},
    {"token-merge", "{'r': 3}", NULL, true, true},
    {"token-merge", "{'r': 2, 'schedule': 'decreasing'}", NULL, true, true},
};

/* Each setting makes another model, smaller or with less work, whose outputs are finite, and the
 * same with one thread and two. */
static void check_setting(int i, const struct pare_graph *g)
{
    struct world w;
    world_open_text(&w, g, SAMPLES);
    struct pare_graph *one =
        world_with(&w, g, settings[i].plugin, settings[i].params, settings[i].on);
    world_threads(&w, 2);
    struct pare_graph *two =
        world_with(&w, g, settings[i].plugin, settings[i].params, settings[i].on);
    ck_assert_msg(pare_graph_bytes(one) != pare_graph_bytes(g) ||
                      pare_graph_macs(one) < pare_graph_macs(g),
                  "%s %s changed nothing", settings[i].plugin, settings[i].params);
    if (g->nodes[1].activation_bits == 0 && world_node(g, "layer.0.ffn.up")->activation_bits == 0)
        ck_assert(pare_graph_bytes(one) < pare_graph_bytes(g) ||
                  pare_graph_macs(one) < pare_graph_macs(g));
    world_same(&w, one, two, 0, settings[i].params); /* finite: a plan says so */
    pare_graph_free(one);
    pare_graph_free(two);
    world_close(&w);
}

START_TEST(settings_on_models)
{
    for (int m = 0; m < SHAPES; m++) {
        if (settings[_i].encoder || (m >= INT4 && !settings[_i].blocks))
            continue;
        struct pare_graph *g = model(m);
        check_setting(_i, g);
        pare_graph_free(g);
    }
}
END_TEST

START_TEST(settings_on_encoders)
{
    for (size_t m = 0; m < PARE_COUNT(encoders); m++) {
        struct pare_graph *g = random_bert(&encoders[m], 3);
        check_setting(_i, g);
        pare_graph_free(g);
    }
}
END_TEST

/* Settings that change nothing. */
START_TEST(identities)
{
    static const char *const nothing[][2] = {
        {"prune", "{'sparsity': 0}"},
        {"prune", "{'what': 'heads', 'sparsity': 0}"},
        {"prune", "{'what': 'channels', 'sparsity': 0}"},
        {"layer-drop", "{'count': 0}"},
        {"token-merge", "{'r': 0}"},
    };
    struct pare_graph *graphs[] = {model(PLAIN), model(NORMED), model(BLOCKS),
                                   random_bert(&encoders[0], 3)};
    for (size_t k = 0; k < PARE_COUNT(graphs); k++) {
        struct world w;
        world_open_text(&w, graphs[k], SAMPLES);
        for (size_t i = 0; i < PARE_COUNT(nothing); i++) {
            struct pare_graph *got = world_with(&w, graphs[k], nothing[i][0], nothing[i][1], NULL);
            same_parts(got, graphs[k]);
            pare_graph_free(got);
        }
        world_close(&w);
        pare_graph_free(graphs[k]);
    }
}
END_TEST

START_TEST(tokens_of_causal_models_do_not_merge)
{
    struct world w;
    struct pare_graph *g = model(PLAIN), *copy, *bert = random_bert(&encoders[0], 3);
    world_open_text(&w, g, 1);
    copy = world_copy(&w, g);
    ck_assert_int_eq(pare_graph_merge_tokens(copy, "layer.1.stream", 2, &w.err), PARE_UNSUPPORTED);
    ck_assert_msg(strstr(w.err.what, "causal") != NULL, "%s", w.err.what);
    same_parts(copy, g);
    pare_graph_free(copy);
    /* the token that the classifier reads stays itself */
    copy = world_with(&w, bert, "token-merge", "{'r': 100}", NULL);
    ck_assert_uint_eq(world_node(copy, "layer.0.merge")->prefix, 1);
    ck_assert_uint_eq(copy->values[world_node(copy, "layer.0.ffn.norm")->outputs[0]].tokens, 13);
    pare_graph_free(copy);
    pare_graph_free(bert);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* Heads that go after tokens merged leave the merge with the keys of those that stay. */
START_TEST(heads_after_merging)
{
    struct world w;
    struct pare_graph *bert = random_bert(&encoders[1], 3);
    world_open_text(&w, bert, SAMPLES);
    struct pare_graph *merged = world_with(&w, bert, "token-merge", "{'r': 3}", NULL);
    struct pare_graph *both =
        world_with(&w, merged, "prune", "{'what': 'heads', 'sparsity': 0.5}", "layer.1.**");
    ck_assert_uint_eq(world_node(both, "layer.1.merge")->heads, 2);
    ck_assert_uint_eq(world_node(both, "layer.0.merge")->heads, 4);
    free(world_outputs(&w, both));
    pare_graph_free(both);
    pare_graph_free(merged);
    pare_graph_free(bert);
    world_close(&w);
}
END_TEST

/* ---- activations
 * --------------------------------------------------------------------------------- */

START_TEST(scales_of_activations)
{
    static const struct {
        const char *params;
        uint32_t bits, group;
    } cases[] = {{"{'bits': 4, 'group_size': 32, 'activations': 'int8'}", 8, 32},
                 {"{'bits': 8, 'group_size': 16, 'activations': 'int8'}", 8, 32},
                 {"{'bits': 8, 'group_size': 24, 'activations': 'int8'}", 8, 0},
                 {"{'bits': 8, 'activations': 'int8'}", 8, 0},
                 {"{'bits': 8, 'group_size': 32}", 0, 0}};
    struct world w;
    struct pare_graph *g = model(_i % 2 ? BLOCKS : PLAIN);
    world_open_text(&w, g, 1);
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_graph *got = world_with(&w, g, "quantize", cases[i].params, NULL);
        const struct pare_node *node = world_node(got, "layer.1.ffn.up");
        ck_assert_uint_eq(node->activation_bits, cases[i].bits);
        ck_assert_uint_eq(node->activation_group, cases[i].group);
        pare_graph_free(got);
    }
    /* weights that are set leave them as the model came */
    struct pare_graph *got = world_with(&w, g, "prune", "{'criterion': 'magnitude'}", NULL);
    ck_assert_uint_eq(world_node(got, "layer.1.ffn.up")->activation_bits, _i % 2 ? 8 : 0);
    ck_assert_uint_eq(world_node(got, "layer.1.ffn.up")->activation_group, _i % 2 ? 32 : 0);
    pare_graph_free(got);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* ---- probes and statistics, by their definitions
 * -------------------------------------------------------------------------------- */

static double nll(const float *logits, uint32_t n, uint32_t y)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i]);
    return log(sum) - (double)logits[y];
}

/* Mean negative log likelihood of the windows' own next tokens. */
static double loss_of(struct world *w, const struct pare_graph *g)
{
    const uint32_t length = g->length, n = g->vocabulary;
    float *out = world_outputs(w, g);
    double sum = 0;
    for (uint32_t s = 0; s < w->n; s++) {
        for (uint32_t t = 0; t + 1 < length; t++)
            sum +=
                nll(out + ((size_t)s * length + t) * n, n, (uint32_t)w->images[s * length + t + 1]);
    }
    free(out);
    return sum / (double)(w->n * (length - 1));
}

/* Mean over tokens of what the head reads. */
static double hidden_distance(struct world *w, const struct pare_graph *a,
                              const struct pare_graph *b, bool cosine)
{
    const size_t width = 32, rows = (size_t)w->n * a->length;
    float *x = world_value(w, a, world_node(a, "rows")->outputs[0], NULL);
    float *y = world_value(w, b, world_node(b, "rows")->outputs[0], NULL);
    double sum = 0;
    for (size_t t = 0; t < rows; t++) {
        double xx = 0, yy = 0, xy = 0, dd = 0;
        for (size_t i = t * width; i < (t + 1) * width; i++) {
            xx += (double)x[i] * (double)x[i];
            yy += (double)y[i] * (double)y[i];
            xy += (double)x[i] * (double)y[i];
            dd += ((double)y[i] - (double)x[i]) * ((double)y[i] - (double)x[i]);
        }
        sum += cosine ? 1 - xy / sqrt(xx * yy) : sqrt(dd / xx);
    }
    free(x);
    free(y);
    return sum / (double)rows;
}

START_TEST(probes)
{
    static const char *const distances[] = {"kl", "loss", "l2", "cosine"};
    struct world w;
    char params[64];
    struct pare_graph *g = model(_i / 4);
    world_open_text(&w, g, SAMPLES);
    world_threads(&w, 2);
    struct pare_units u;
    snprintf(params, sizeof params, "{'distance': '%s'}", distances[_i % 4]);
    double *got = world_score(&w, g, "output-change", params, PARE_UNIT_BRANCH, &u);
    for (size_t i = 0; i < u.n; i++) {
        struct pare_graph *without = world_copy(&w, g);
        ck_assert_ok(pare_graph_drop_branch(without, u.items[i].path, NULL, NULL, &w.err), w.err);
        double want = _i % 4 == 0   ? world_kl(&w, g, without)
                      : _i % 4 == 1 ? loss_of(&w, without) - loss_of(&w, g)
                                    : hidden_distance(&w, g, without, _i % 4 == 3);
        ck_assert_msg(fabs(got[i] - want) <= 1e-5 + 1e-5 * fabs(want), "%s of %s: %g, not %g",
                      distances[_i % 4], u.items[i].path, got[i], want);
        pare_graph_free(without);
    }
    free(got);
    pare_units_free(&u);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* Heads and channels, by zeroing what reads them. */
START_TEST(probes_of_slices)
{
    struct world w;
    struct pare_units u;
    struct pare_graph *g = model(NORMED);
    world_open_text(&w, g, 4);
    const unsigned kind = _i ? PARE_UNIT_CHANNEL : PARE_UNIT_HEAD;
    const uint32_t each = _i ? 64 : 2;
    double *got = world_score(&w, g, "output-change", "{}", kind, &u);
    for (size_t i = 0; i < u.n; i += _i ? 29 : 1) {
        struct pare_graph *without = world_copy(&w, g);
        char path[96];
        uint8_t keep[64];
        memset(keep, 1, sizeof keep);
        keep[i % each] = 0;
        snprintf(path, sizeof path, "%s.%s", u.items[i].within, _i ? "down" : "output");
        zero_columns(without, path, keep, each);
        double want = world_kl(&w, g, without);
        ck_assert_double_eq_tol(got[i], want, 1e-5 + 1e-4 * want);
        pare_graph_free(without);
    }
    free(got);
    pare_units_free(&u);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* Outputs that are too many to be kept are computed again: several samples of a batch that is
 * smaller than others', and the rest. */
START_TEST(large_outputs)
{
    static const struct llama_shape large = {40000, 128, 128, 8, 2, 1, 4, 8, 2, 0, 16, 0, false, 0};
    struct world w;
    struct pare_units u;
    struct pare_graph *g = random_llama(&large, 3);
    world_open_text(&w, g, 4);
    world_threads(&w, 2);
    ck_assert_uint_gt(w.n * pare_graph_outputs(g) * sizeof(float), 64 << 20);
    ck_assert_uint_lt((1u << 24) / pare_graph_outputs(g), w.n);
    double *got = world_score(&w, g, "output-change", "{}", PARE_UNIT_BRANCH, &u);
    struct pare_graph *without = world_copy(&w, g);
    ck_assert_ok(pare_graph_drop_branch(without, u.items[3].path, NULL, NULL, &w.err), w.err);
    double want = world_kl(&w, g, without);
    ck_assert_double_eq_tol(got[3], want, 1e-5 + 1e-5 * want);
    ck_assert_double_gt(want, 1e-3);
    pare_graph_free(without);
    free(got);
    pare_units_free(&u);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* A model with pooled outputs has no next tokens: its loss asks for labels. */
START_TEST(loss_of_an_encoder)
{
    struct world w;
    double values[2 * LAYERS];
    struct pare_graph *bert = random_bert(&encoders[0], 3);
    world_open_text(&w, bert, 2);
    json_t *params =
        world_params(&w, &world_plugin(&w, "output-change")->desc, "{'distance': 'loss'}");
    ck_assert_int_eq(pare_stage_score(&w.env, bert, "output-change", params, PARE_UNIT_BRANCH,
                                      values, 2 * LAYERS, &w.err),
                     PARE_INVALID);
    ck_assert_msg(strstr(w.err.what, "labels") != NULL, "%s", w.err.what);
    w.env.labels = w.labels;
    ck_assert_ok(pare_stage_score(&w.env, bert, "output-change", params, PARE_UNIT_BRANCH, values,
                                  2 * LAYERS, &w.err),
                 w.err);
    json_decref(params);
    pare_graph_free(bert);
    world_close(&w);
}
END_TEST

/* What comes before the first altered node is not computed again: any difference between two nodes
 * has to be seen. */
START_TEST(alterations_are_seen)
{
    struct world w;
    double got, per_sample[SAMPLES];
    struct pare_graph *g = model(INT8), *altered;
    world_open_text(&w, g, SAMPLES);
    struct pare_stage stage = {.env = &w.env, .entry = g, .graph = g};
    altered = world_copy(&w, g);
    struct pare_node *mix = node_of(altered, "layer.2.attn.mix");
    struct pare_node *rope = node_of(altered, "layer.2.attn.query_rope");
    switch (_i) {
    case 0:
        mix->cache_bits = 4;
        break;
    case 1:
        mix->window = 5;
        break;
    case 2:
        rope->adjacent = 1;
        break;
    case 3:
        node_of(altered, "layer.2.ffn.down")->activation_group = 0;
        break;
    case 4:
        mix->scale *= 2;
        break;
    default:
        node_of(altered, "head")->activation_bits = 8;
        break;
    }
    ck_assert_ok(pare_graph_infer(altered, &w.err), w.err);
    ck_assert_ok(pare_distance(&stage, altered, PARE_DISTANCE_KL, PARE_REFERENCE_STAGE, NULL,
                               SAMPLES, 0, per_sample, &got, &w.err),
                 w.err);
    double want = world_kl(&w, g, altered), sum = 0;
    ck_assert_double_gt(want, 1e-6); /* more than roundings */
    ck_assert_msg(fabs(got - want) <= 1e-7 + 0.01 * want, "%g, not %g", got, want);
    for (int i = 0; i < SAMPLES; i++)
        sum += per_sample[i];
    ck_assert_double_eq_tol(sum / SAMPLES, got, 1e-12);
    ck_assert_uint_lt(w.env.macs_run, 2 * pare_graph_macs(g) * SAMPLES + 1); /* it went on */
    pare_reference_free(stage.stage_reference);
    pare_restart_free(stage.restart);
    pare_graph_free(altered);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* Branches and blocks, between the points of the stream. */
START_TEST(cosines)
{
    struct world w;
    struct pare_units u;
    struct pare_graph *g = model(PLAIN);
    world_open_text(&w, g, SAMPLES);
    const unsigned kind = _i ? PARE_UNIT_BLOCK : PARE_UNIT_BRANCH;
    double *got = world_score(&w, g, "cosine", "{}", kind, &u);
    for (size_t i = 0; i < u.n; i++) {
        struct pare_branch from, to;
        char path[64];
        snprintf(path, sizeof path, "layer.%d.attn", u.items[i].block);
        ck_assert(pare_branch_find(g, _i ? path : u.items[i].path, &from));
        snprintf(path, sizeof path, "layer.%d.ffn", u.items[i].block);
        ck_assert(pare_branch_find(g, _i ? path : u.items[i].path, &to));
        float *x = world_value(&w, g, from.stream, NULL);
        float *y = world_value(&w, g, g->nodes[to.add].outputs[0], NULL);
        const size_t rows = (size_t)SAMPLES * g->length;
        double want = 0;
        for (size_t t = 0; t < rows; t++) {
            double xx = 0, yy = 0, xy = 0;
            for (size_t k = t * 32; k < (t + 1) * 32; k++) {
                xx += (double)x[k] * (double)x[k];
                yy += (double)y[k] * (double)y[k];
                xy += (double)x[k] * (double)y[k];
            }
            want += xy / sqrt(xx * yy) / (double)rows;
        }
        ck_assert_msg(fabs(got[i] - (1 - want)) < 1e-6, "%s: %g, cosine %g", u.items[i].path,
                      got[i], want);
        free(x);
        free(y);
    }
    free(got);
    pare_units_free(&u);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

static double seen_gram[64 * 64], seen_square[64];

static int look_at_gram(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *units_at = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_calibration *data = host->extension(ctx, PARE_EXT_CALIBRATION);
    const struct pare_unit *linear = units_at->find(ctx, PARE_UNIT_LINEAR, "layer.1.ffn.down");
    const double *gram, *mean, *mean_abs, *square, *most;
    int rc = data->gram(ctx, linear, &gram);
    if (rc == PARE_OK)
        memcpy(seen_gram, gram, sizeof seen_gram);
    if (rc == PARE_OK)
        rc = data->moments(ctx, linear, &mean, &mean_abs, &square, &most);
    if (rc == PARE_OK)
        memcpy(seen_square, square, sizeof seen_square);
    return rc;
}

/* The mean of x x' over all tokens of all windows, whatever the threads. */
START_TEST(statistics)
{
    struct pare_plugin_file own = {.desc = {PARE_PLUGIN_HEAD, .id = "own", .version = "1.0.0",
                                            .label = "x", .kind = PARE_TRANSFORM,
                                            .needs = PARE_NEEDS_GRAM | PARE_NEEDS_MOMENTS,
                                            .apply = look_at_gram}};
    static double first[64 * 64];
    struct world w;
    struct pare_graph *g = model(PLAIN), *copy = NULL;
    world_open_text(&w, g, SAMPLES);
    const size_t rows = (size_t)SAMPLES * g->length;
    const struct pare_node *down = world_node(g, "layer.1.ffn.down");
    float *x = world_value(&w, g, down->inputs[0], NULL);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        world_threads(&w, threads);
        copy = world_copy(&w, g);
        ck_assert_int_eq(world_apply_file(&w, copy, &own, "", NULL, NULL), PARE_OK);
        pare_graph_free(copy);
        if (threads == 1)
            memcpy(first, seen_gram, sizeof first);
    }
    ck_assert_mem_eq(first, seen_gram, sizeof first);
    for (uint32_t i = 0; i < 64; i++) {
        for (uint32_t j = 0; j < 64; j++) {
            double want = 0;
            for (size_t t = 0; t < rows; t++)
                want += (double)x[t * 64 + i] * (double)x[t * 64 + j];
            want /= (double)rows;
            ck_assert_double_eq_tol(first[i * 64 + j], want, 1e-9 + 1e-6 * fabs(want));
        }
        ck_assert_double_eq_tol(first[i * 64 + i], seen_square[i], 1e-12 + 1e-9 * seen_square[i]);
    }
    free(x);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* The branch that greedy drops is the one whose loss trying all finds least. */
START_TEST(greedy_drops_the_least)
{
    struct world w;
    struct pare_units u;
    struct pare_branch b;
    struct pare_graph *g = model(PLAIN);
    size_t least = 0;
    double kl[2 * LAYERS];
    world_open_text(&w, g, SAMPLES);
    units_of(g, PARE_UNIT_BRANCH, &u);
    for (size_t i = 0; i < u.n; i++) {
        struct pare_graph *without = world_copy(&w, g);
        ck_assert_ok(pare_graph_drop_branch(without, u.items[i].path, NULL, NULL, &w.err), w.err);
        kl[i] = world_kl(&w, g, without);
        least = kl[i] < kl[least] ? i : least;
        pare_graph_free(without);
    }
    struct pare_graph *got = world_with(
        &w, g, "layer-drop",
        "{'choose': 'each', 'drop': {'allocate': {'plugin': 'greedy', 'params': {'count': 1}}}}",
        NULL);
    for (size_t i = 0; i < u.n; i++)
        ck_assert_msg(pare_branch_find(got, u.items[i].path, &b) == (i != least), "%s",
                      u.items[i].path);
    pare_graph_free(got);
    pare_units_free(&u);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text plugins");
    TCase *tc = pare_test_case(s, "units");
    tcase_add_loop_test(tc, units, 0, 2);
    tc = pare_test_case(s, "removing");
    tcase_add_loop_test(tc, removed_is_zeroed, 0, 3);
    tcase_add_loop_test(tc, refusals_leave_the_model, 0, 2);
    tcase_add_test(tc, shared_weights_do_not_shrink);
    tc = pare_test_case(s, "weights");
    tcase_add_loop_test(tc, tied_stays_tied, 0, 3);
    tcase_add_loop_test(tc, scales_of_activations, 0, 2);
    tc = pare_test_case(s, "plugins");
    tcase_add_loop_test(tc, settings_on_models, 0, (int)PARE_COUNT(settings));
    tcase_add_loop_test(tc, settings_on_encoders, 0, (int)PARE_COUNT(settings));
    tcase_add_test(tc, identities);
    tcase_add_test(tc, tokens_of_causal_models_do_not_merge);
    tcase_add_test(tc, heads_after_merging);
    tc = pare_test_case(s, "data");
    tcase_add_loop_test(tc, probes, 0, 8);
    tcase_add_loop_test(tc, probes_of_slices, 0, 2);
    tcase_add_test(tc, large_outputs);
    tcase_add_test(tc, loss_of_an_encoder);
    tcase_add_loop_test(tc, alterations_are_seen, 0, 6);
    tcase_add_loop_test(tc, cosines, 0, 2);
    tcase_add_test(tc, statistics);
    tcase_add_test(tc, greedy_drops_the_least);
    return pare_test_main(&s, 1);
}
