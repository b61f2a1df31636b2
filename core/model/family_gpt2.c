/* SPDX-License-Identifier: Apache-2.0 */
/* GPT-2: learned positions, layer norms, one matrix for queries, keys and values. Formulas:
 * transformers' modeling_gpt2.py, whose Conv1D keeps matrices as inputs x outputs. */
#include "base/mem.h"
#include "model/family_text.h"
#include "model/ggml.h"

#include <stdio.h>
#include <string.h>

static const struct pare_part parts[] = {
    {"attn.norm", "norm", {"ln_1", "attn_norm"}, false, false},
    {"attn.query", "attention.query", {"attn.c_attn", "attn_qkv"}, false, false},
    {"attn.key", "attention.key", {"attn.c_attn", "attn_qkv"}, false, false},
    {"attn.value", "attention.value", {"attn.c_attn", "attn_qkv"}, false, false},
    {"attn.output", "attention.output", {"attn.c_proj", "attn_output"}, false, false},
    {"ffn.norm", "norm", {"ln_2", "ffn_norm"}, false, false},
    {"ffn.up", "feed_forward.up", {"mlp.c_fc", "ffn_up"}, false, false},
    {"ffn.down", "feed_forward.down", {"mlp.c_proj", "ffn_down"}, false, false},
    {"embed.token", "embedding.token", {"wte", "token_embd"}, true, false},
    {"embed.position", "embedding.position", {"wpe", "position_embd"}, true, false},
    {"norm", "norm", {"ln_f", "output_norm"}, true, false},
    {"head", "classifier", {"lm_head", "output"}, true, true},
};
enum { ATTN_NORM, QUERY, KEY, VALUE, OUTPUT, FFN_NORM, UP, DOWN, TOKEN, POSITION, NORM, HEAD };

static const struct pare_naming namings[] = {
    [PARE_DIALECT_HF] = {PARE_COLUMN_HF, "transformer.", "h."},
    [PARE_DIALECT_GGUF] = {PARE_COLUMN_GGUF, "", "blk."},
};

#define AT(field) offsetof(struct pare_text_dims, field)
static const struct pare_dim_key dim_keys[] = {
    {"vocab_size", NULL, AT(vocabulary), PARE_WIDTH_MAX, 0},
    {"n_positions", "n_ctx", AT(context), PARE_WIDTH_MAX, 1024},
    {"n_embd", "hidden_size", AT(hidden), PARE_SIDE_MAX, 0},
    {"n_head", "num_attention_heads", AT(heads), PARE_SIDE_MAX, 0},
    {"n_layer", "num_hidden_layers", AT(depth), PARE_DEPTH_MAX, 0},
};

static int read_dims(const json_t *config, struct pare_text_dims *d, struct pare_error *err)
{
    double eps;
    int rc;
    PARE_TRY(pare_text_dims_read(config, dim_keys, PARE_COUNT(dim_keys), d, err));
    PARE_TRY(pare_config_size(config, "n_inner", PARE_WIDTH_MAX,
                              PARE_MIN(4 * d->hidden, PARE_WIDTH_MAX), &d->ffn, err));
    PARE_TRY(pare_config_real(config, "layer_norm_epsilon", 1e-5, &eps, err));
    PARE_TRY(
        pare_config_activation(config, "activation_function", "gelu_new", &d->activation, err));
    d->eps = (float)eps;
    if (json_is_true(json_object_get(config, "scale_attn_by_inverse_layer_idx")) ||
        json_is_false(json_object_get(config, "scale_attn_weights")))
        rc = pare_error_set(err, PARE_UNSUPPORTED,
                            "config.json: attention that is not scaled by the heads' width is not "
                            "supported");
out:
    return rc;
}

/* ---- building
 * ------------------------------------------------------------------------------------ */

/* Columns first to first + rows of a matrix of inputs x outputs, as outputs x inputs. */
static int take_transposed(struct pare_text_build *b, const char *name, uint32_t all,
                           uint32_t first, uint32_t rows, uint32_t cols, struct pare_weight **out)
{
    struct pare_weight *whole = NULL;
    struct pare_blob *data = NULL;
    int rc;
    PARE_TRY(pare_build_weight(&b->base, name, cols, all, &whole));
    static const uint32_t types[] = {[PARE_VALUES_F32] = PARE_GGML_F32,
                                     [PARE_VALUES_F16] = PARE_GGML_F16,
                                     [PARE_VALUES_BF16] = PARE_GGML_BF16};
    const size_t size = whole->values == PARE_VALUES_F32 ? 4 : 2;
    PARE_TRY(pare_blob_new((size_t)rows * cols, size, &data, b->base.err));
    const char *from = whole->stored->data;
    char *to = data->data;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < cols; c++, to += size)
            memcpy(to, from + ((size_t)c * all + first + r) * size, size);
    }
    PARE_TRY(pare_weight_from_ggml(types[whole->values], rows, cols, data, out, b->base.err));
out:
    pare_weight_unref(whole);
    pare_blob_unref(data);
    return rc;
}

/* A linear over `rows` of the `all` rows of a matrix, with its bias. */
static int add_linear(struct pare_text_build *b, int which, int32_t layer, uint32_t input,
                      uint32_t all, uint32_t first, uint32_t rows, uint32_t cols, uint32_t *out)
{
    struct pare_weight *weight = NULL;
    struct pare_blob *bias = NULL;
    char name[PARE_TENSOR_NAME];
    int rc;
    pare_part_name(&b->naming, &parts[which], layer, ".weight", name);
    if (b->naming.column == PARE_COLUMN_HF)
        PARE_TRY(take_transposed(b, name, all, first, rows, cols, &weight));
    else
        PARE_TRY(pare_build_rows(&b->base, name, all, first, rows, cols, &weight));
    PARE_TRY(
        pare_text_linear(b, &parts[which], layer, input, rows, cols, PARE_BIAS_NONE, weight, out));
    pare_part_name(&b->naming, &parts[which], layer, ".bias", name);
    PARE_TRY(pare_build_take(&b->base, 1, (uint64_t[]){all}, &bias, "%s", name));
    PARE_TRY(pare_blob_part(bias, first * sizeof(float), rows * sizeof(float),
                            &b->base.graph->nodes[b->base.graph->n_nodes - 1].bias, b->base.err));
out:
    pare_weight_unref(weight);
    pare_blob_unref(bias);
    return rc;
}

static int add_layer(struct pare_text_build *b, int32_t layer)
{
    const uint32_t width = b->d.hidden, ffn = b->d.ffn;
    uint32_t x = pare_build_last(&b->base), normed, q[3], y;
    int rc;
    PARE_TRY(pare_text_norm(b, &parts[ATTN_NORM], layer, x, &normed));
    for (uint32_t i = 0; i < 3; i++)
        PARE_TRY(add_linear(b, QUERY + (int)i, layer, normed, 3 * width, i * width, width, width,
                            &q[i]));
    PARE_TRY(pare_text_attention(b, layer, q[0], q[1], q[2], true, 0, &y));
    PARE_TRY(add_linear(b, OUTPUT, layer, y, width, 0, width, width, &y));
    PARE_TRY(pare_build_add(&b->base, layer, "attn.add", x, y, 1));
    x = pare_build_last(&b->base);
    PARE_TRY(pare_text_norm(b, &parts[FFN_NORM], layer, x, &normed));
    PARE_TRY(add_linear(b, UP, layer, normed, ffn, 0, ffn, width, &y));
    PARE_TRY(
        pare_build_activation(&b->base, layer, "ffn.act", "feed_forward.act", b->d.activation, y));
    PARE_TRY(add_linear(b, DOWN, layer, pare_build_last(&b->base), width, 0, width, ffn, &y));
    PARE_TRY(pare_build_add(&b->base, layer, "ffn.add", x, y, 1));
out:
    return rc;
}

/* Masks that old files carry along. */
static bool may_be_unused(const char *name)
{
    const char *end = strstr(name, ".attn.");
    return end && (strcmp(end, ".attn.bias") == 0 || strcmp(end, ".attn.masked_bias") == 0);
}

static int build_gpt2(const json_t *config, enum pare_dialect from, struct pare_tensors *tensors,
                      struct pare_model *model, struct pare_error *err)
{
    struct pare_text_build b = {.base = {.tensors = tensors, .err = err}, .naming = namings[from]};
    struct pare_node rows;
    char name[PARE_TENSOR_NAME];
    uint32_t token, position, x;
    int rc;
    PARE_TRY(read_dims(config, &b.d, err));
    if (!pare_text_has(&b, &parts[TOKEN], -1))
        b.naming.prefix = "";
    PARE_TRY(pare_text_begin(&b, model));
    PARE_TRY(pare_text_embed(&b, &parts[TOKEN], PARE_EMBED_ID, b.d.vocabulary, &token));
    PARE_TRY(pare_text_embed(&b, &parts[POSITION], PARE_EMBED_POSITION, b.d.context, &position));
    PARE_TRY(pare_build_add(&b.base, -1, "embed.add", token, position, 1));
    for (uint32_t i = 0; i < b.d.depth; i++)
        PARE_TRY(add_layer(&b, (int32_t)i));
    rows = pare_build_node(PARE_OP_ROWS, -1, "rows", "rows", pare_build_last(&b.base));
    PARE_TRY(pare_build_put(&b.base, &rows));
    PARE_TRY(pare_text_norm(&b, &parts[NORM], -1, pare_build_last(&b.base), &x));
    bool tied = !json_is_false(json_object_get(config, "tie_word_embeddings")) ||
                !pare_text_has(&b, &parts[HEAD], -1);
    PARE_TRY(pare_text_linear(&b, &parts[HEAD], -1, x, b.d.vocabulary, b.d.hidden, PARE_BIAS_NONE,
                              tied ? b.base.graph->nodes[0].weight : NULL, &b.base.graph->output));
    pare_part_name(&b.naming, &parts[HEAD], -1, ".weight", name);
    pare_build_ignore(&b.base, name);
    PARE_TRY(pare_build_finish(&b.base, may_be_unused, "GPT-2"));
out:
    return rc;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

/* Put matrices under each other, or, transposed, side by side. */
static int join(const struct pare_writing *w, const struct pare_tensors *some, uint32_t cols,
                const char *name)
{
    const struct pare_tensor *first = &some->items[0];
    struct pare_blob *data = NULL;
    uint64_t rows = 0;
    size_t bytes = 0;
    int rc;
    for (size_t i = 0; i < some->n; i++) {
        rows += some->items[i].shape[0];
        bytes += some->items[i].data->size;
    }
    PARE_TRY(pare_blob_new(bytes, 1, &data, w->err));
    char *to = data->data;
    const size_t size = bytes / (rows * cols);
    for (size_t i = 0, row = 0; i < some->n; row += some->items[i++].shape[0]) {
        const char *from = some->items[i].data->data;
        if (w->to == PARE_DIALECT_GGUF) {
            memcpy(to, from, some->items[i].data->size);
            to += some->items[i].data->size;
            continue;
        }
        for (size_t r = 0; r < some->items[i].shape[0]; r++) {
            for (size_t c = 0; c < cols; c++, from += size)
                memcpy(to + (c * rows + row + r) * size, from, size);
        }
    }
    const uint64_t shape[2] = {w->to == PARE_DIALECT_GGUF ? rows : cols,
                               w->to == PARE_DIALECT_GGUF ? cols : rows};
    PARE_TRY(pare_tensors_add_ggml(w->out, name, first->ggml, 2, shape, data, w->err));
out:
    pare_blob_unref(data);
    return rc;
}

/* `n` linears from parts[which] on, as one matrix and one bias. */
static int put_linears(const struct pare_writing *w, int32_t block, uint32_t number, int which,
                       uint32_t n, uint32_t rows, uint32_t cols)
{
    struct pare_tensors some = {0};
    struct pare_writing part = *w;
    struct pare_blob *bias = NULL;
    char name[PARE_TENSOR_NAME];
    int rc;
    part.out = &some;
    PARE_TRY(pare_blob_new((size_t)n * rows, sizeof(float), &bias, w->err));
    for (uint32_t i = 0; i < n; i++) {
        const struct pare_node *node = pare_writing_node(w, block, parts[which + (int)i].path);
        if (!node) {
            rc = pare_text_missing(w, &parts[which], block);
            goto out;
        }
        PARE_TRY(pare_text_fits(w, node, rows, cols));
        PARE_TRY(pare_writing_weight(&part, node, "part", 2, (uint64_t[]){rows, cols}, NULL));
        if (node->bias)
            memcpy(pare_blob_f32(bias) + (size_t)i * rows, node->bias->data, rows * sizeof(float));
        if (some.items[i].ggml != some.items[0].ggml) {
            rc = pare_writing_refuse(w, "%s is not encoded as %s is, and both are one matrix there",
                                     node->path, parts[which].path);
            goto out;
        }
    }
    pare_part_name(&namings[w->to], &parts[which], (int32_t)number, ".weight", name);
    PARE_TRY(join(w, &some, cols, name));
    pare_part_name(&namings[w->to], &parts[which], (int32_t)number, ".bias", name);
    PARE_TRY(pare_writing_vector(w, bias, name, NULL));
out:
    pare_tensors_free(&some);
    pare_blob_unref(bias);
    return rc;
}

static int put_layer(const struct pare_writing *w, const struct pare_text_dims *d, int32_t block,
                     uint32_t number)
{
    const struct pare_naming *naming = &namings[w->to];
    int rc;
    PARE_TRY(pare_text_put(w, naming, &parts[ATTN_NORM], block, number, NULL));
    PARE_TRY(put_linears(w, block, number, QUERY, 3, d->hidden, d->hidden));
    PARE_TRY(put_linears(w, block, number, OUTPUT, 1, d->hidden, d->hidden));
    PARE_TRY(pare_text_put(w, naming, &parts[FFN_NORM], block, number, NULL));
    PARE_TRY(put_linears(w, block, number, UP, 1, d->ffn, d->hidden));
    PARE_TRY(put_linears(w, block, number, DOWN, 1, d->hidden, d->ffn));
out:
    return rc;
}

static int write_gpt2(const struct pare_writing *w, json_t **config)
{
    const struct pare_node *token = pare_writing_node(w, -1, "embed.token");
    const struct pare_node *head = pare_writing_node(w, -1, "head");
    const bool tied = token && head && token->weight == head->weight;
    struct pare_text_dims d = {0};
    uint32_t number = 0;
    int rc;
    PARE_TRY(read_dims(w->model->config, &d, w->err));
    pare_text_uniform(w, &d);
    PARE_TRY(pare_text_check(w, parts, PARE_COUNT(parts)));
    for (uint32_t b = 0; b < w->model->graph->blocks; b++) {
        if (pare_writing_has_layer(w, (int32_t)b))
            PARE_TRY(put_layer(w, &d, (int32_t)b, number++));
    }
    for (int i = TOKEN; i < HEAD + !tied; i++)
        PARE_TRY(pare_text_put(w, &namings[w->to], &parts[i], -1, 0, NULL));
    PARE_TRY(pare_text_config(w, number, "n_layer", config));
    json_object_set_new(*config, "tie_word_embeddings", json_boolean(tied));
    json_object_set_new(*config, "n_inner", json_integer(d.ffn));
out:
    return rc;
}

/* ---- random models
 * ------------------------------------------------------------------------------- */

static int random_gpt2(const char *shape, uint64_t seed, struct pare_tensors *out, json_t **config,
                       json_t **preprocessor, struct pare_error *err)
{
    struct pare_random r;
    char name[PARE_TENSOR_NAME];
    uint32_t s[5];
    int rc;
    *preprocessor = NULL;
    if (!pare_random_shape(shape, s, PARE_COUNT(s)))
        return pare_error_set(err, PARE_INVALID, "'%s' is no shape: %s", shape,
                              pare_family_gpt2.shape_help);
    const uint64_t vocabulary = s[0], context = s[1], width = s[2], depth = s[3], heads = s[4];
    if (width % heads || depth > PARE_DEPTH_MAX || width > PARE_SIDE_MAX)
        return pare_error_set(err, PARE_INVALID,
                              "shape '%s': the width must divide into the heads, and layers be at "
                              "most %d",
                              shape, PARE_DEPTH_MAX);
    const uint64_t sizes[PARE_COUNT(parts)][2] = {
        [ATTN_NORM] = {width, 0},      [QUERY] = {width, 3 * width},  [OUTPUT] = {width, width},
        [FFN_NORM] = {width, 0},       [UP] = {width, 4 * width},     [DOWN] = {4 * width, width},
        [TOKEN] = {vocabulary, width}, [POSITION] = {context, width}, [NORM] = {width, 0}};
    pare_random_seed(&r, seed);
    for (uint64_t layer = 0; layer <= depth; layer++) {
        for (size_t i = 0; i < PARE_COUNT(parts); i++) {
            if (parts[i].end != (layer == depth) || sizes[i][0] == 0)
                continue;
            pare_part_name(&namings[PARE_DIALECT_HF], &parts[i], (int32_t)layer, "", name);
            PARE_TRY(pare_random_pair(out, &r, name, sizes[i][1] ? 2 : 1, sizes[i], false, err));
            strcat(name, ".bias");
            if (i != TOKEN && i != POSITION) /* as long as the outputs, which come second */
                PARE_TRY(pare_random_tensor(out, &r, name, 1, &sizes[i][sizes[i][1] != 0], 0, 0.02,
                                            err));
        }
    }
    *config =
        json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:b}", "architectures",
                  "GPT2LMHeadModel", "model_type", "gpt2", "vocab_size", (json_int_t)vocabulary,
                  "n_positions", (json_int_t)context, "n_embd", (json_int_t)width, "n_layer",
                  (json_int_t)depth, "n_head", (json_int_t)heads, "activation_function", "gelu_new",
                  "layer_norm_epsilon", 1e-5, "tie_word_embeddings", 1);
    if (!*config)
        rc = pare_error_nomem(err, 0);
out:
    return rc;
}

const struct pare_family pare_family_gpt2 = {
    .name = "gpt2",
    .model_types = (const char *const[]){"gpt2", NULL},
    .build = build_gpt2,
    .write = write_gpt2,
    .random = random_gpt2,
    .shape_help = "VOCABULARY,CONTEXT,WIDTH,DEPTH,HEADS, such as 512,256,64,4,4",
};
