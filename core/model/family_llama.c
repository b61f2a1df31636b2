/* SPDX-License-Identifier: Apache-2.0 */
/* Llama 2 and 3, Mistral, Qwen 2 and 3, SmolLM: RMS norms, rotary positions, heads of keys shared,
 * SwiGLU. Formulas: transformers' modeling_llama.py, modeling_mistral.py, modeling_qwen2.py,
 * modeling_qwen3.py; names in GGUF: https://github.com/ggml-org/llama.cpp (gguf-py). */
#include "base/mem.h"
#include "model/family_text.h"
#include "model/rope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pare_part parts[] = {
    {"attn.norm", "norm", {"input_layernorm", "attn_norm"}, false, false},
    {"attn.query", "attention.query", {"self_attn.q_proj", "attn_q"}, false, false},
    {"attn.key", "attention.key", {"self_attn.k_proj", "attn_k"}, false, false},
    {"attn.value", "attention.value", {"self_attn.v_proj", "attn_v"}, false, false},
    {"attn.output", "attention.output", {"self_attn.o_proj", "attn_output"}, false, false},
    {"attn.query_norm", "norm", {"self_attn.q_norm", "attn_q_norm"}, false, false},
    {"attn.key_norm", "norm", {"self_attn.k_norm", "attn_k_norm"}, false, false},
    {"ffn.norm", "norm", {"post_attention_layernorm", "ffn_norm"}, false, false},
    {"ffn.gate", "feed_forward.gate", {"mlp.gate_proj", "ffn_gate"}, false, false},
    {"ffn.up", "feed_forward.up", {"mlp.up_proj", "ffn_up"}, false, false},
    {"ffn.down", "feed_forward.down", {"mlp.down_proj", "ffn_down"}, false, false},
    {"embed.token", "embedding.token", {"embed_tokens", "token_embd"}, true, false},
    {"norm", "norm", {"norm", "output_norm"}, true, false},
    {"head", "classifier", {"lm_head", "output"}, true, true},
};
enum {
    ATTN_NORM,
    QUERY,
    KEY,
    VALUE,
    OUTPUT,
    QUERY_NORM,
    KEY_NORM,
    FFN_NORM,
    GATE,
    UP,
    DOWN,
    TOKEN,
    NORM,
    HEAD
};

static const struct pare_naming namings[] = {
    [PARE_DIALECT_HF] = {PARE_COLUMN_HF, "model.", "layers."},
    [PARE_DIALECT_GGUF] = {PARE_COLUMN_GGUF, "", "blk."},
};

#define AT(field) NULL, offsetof(struct pare_text_dims, field)
static const struct pare_dim_key dim_keys[] = {
    {"vocab_size", AT(vocabulary), PARE_WIDTH_MAX, 0},
    {"max_position_embeddings", AT(context), INT32_MAX, 2048},
    {"hidden_size", AT(hidden), PARE_SIDE_MAX, 0},
    {"intermediate_size", AT(ffn), PARE_WIDTH_MAX, 0},
    {"num_attention_heads", AT(heads), PARE_SIDE_MAX, 0},
    {"num_hidden_layers", AT(depth), PARE_DEPTH_MAX, 0},
};

/* What one family of the kin does and another does not. */
struct llama {
    struct pare_text_build base;
    const json_t *config;
    const char *type; /* model_type */
    struct pare_rope rope;
    enum pare_bias qkv_bias, output_bias, mlp_bias;
    bool qk_norm;
    bool adjacent; /* pairs of rotated rows lie side by side */
};

static bool says(const json_t *config, const char *key)
{
    return json_is_true(json_object_get(config, key));
}

static int read_dims(const json_t *config, struct pare_text_dims *d, struct pare_error *err)
{
    double eps;
    int rc;
    /* null stands for "as without it" */
    if (json_is_integer(json_object_get(config, "num_key_value_heads")))
        PARE_TRY(
            pare_config_size(config, "num_key_value_heads", PARE_SIDE_MAX, 0, &d->kv_heads, err));
    if (json_is_integer(json_object_get(config, "head_dim")))
        PARE_TRY(pare_config_size(config, "head_dim", PARE_SIDE_MAX, 0, &d->head, err));
    PARE_TRY(pare_text_dims_read(config, dim_keys, PARE_COUNT(dim_keys), d, err));
    PARE_TRY(pare_config_real(config, "rms_norm_eps", 1e-6, &eps, err));
    PARE_TRY(pare_config_activation(config, "hidden_act", "silu", &d->activation, err));
    d->eps = (float)eps;
out:
    return rc;
}

/* Tokens that a layer's attention sees; 0: all. */
static int window_of(const struct llama *l, uint32_t layer, uint32_t *out)
{
    const json_t *types = json_object_get(l->config, "layer_types");
    const json_t *window = json_object_get(l->config, "sliding_window");
    struct pare_error *err = l->base.base.err;
    uint32_t full = 0;
    bool slides = false;
    int rc = PARE_OK;
    *out = 0;
    if (json_is_array(types)) {
        const char *type = json_string_value(json_array_get(types, layer));
        if (!type ||
            (strcmp(type, "sliding_attention") != 0 && strcmp(type, "full_attention") != 0))
            return pare_error_set(err, PARE_UNSUPPORTED,
                                  "config.json: layer_types: '%s' is not supported",
                                  type ? type : "(none)");
        slides = strcmp(type, "sliding_attention") == 0;
    } else if (strcmp(l->type, "mistral") == 0) {
        slides = window && !json_is_null(window);
    } else if (says(l->config, "use_sliding_window")) {
        PARE_TRY(pare_config_size(l->config, "max_window_layers", PARE_WIDTH_MAX, 28, &full, err));
        slides = layer >= full;
    }
    if (slides)
        PARE_TRY(pare_config_size(l->config, "sliding_window", INT32_MAX, 4096, out, err));
out:
    return rc;
}

/* ---- building
 * ------------------------------------------------------------------------------------ */

static int add_rope(struct llama *l, int32_t layer, const char *path, uint32_t heads, uint32_t *x)
{
    struct pare_node node = pare_build_node(PARE_OP_ROPE, layer, path, "attention.rope", *x);
    node.heads = heads;
    node.adjacent = l->adjacent;
    node.scale = (float)l->rope.attention;
    node.a = pare_blob_ref(l->rope.frequency);
    int rc = pare_build_put(&l->base.base, &node);
    *x = pare_build_last(&l->base.base);
    return rc;
}

static int add_attention(struct llama *l, int32_t layer, uint32_t x, uint32_t *out)
{
    struct pare_text_build *b = &l->base;
    const uint32_t kv = b->d.kv_heads * b->d.head, all = b->d.heads * b->d.head;
    uint32_t normed, q, k, v, mix, window;
    int rc;
    PARE_TRY(pare_text_rms_norm(b, &parts[ATTN_NORM], layer, x, 1, b->d.hidden, &normed));
    PARE_TRY(
        pare_text_linear(b, &parts[QUERY], layer, normed, all, b->d.hidden, l->qkv_bias, NULL, &q));
    PARE_TRY(
        pare_text_linear(b, &parts[KEY], layer, normed, kv, b->d.hidden, l->qkv_bias, NULL, &k));
    PARE_TRY(
        pare_text_linear(b, &parts[VALUE], layer, normed, kv, b->d.hidden, l->qkv_bias, NULL, &v));
    if (l->qk_norm) {
        PARE_TRY(pare_text_rms_norm(b, &parts[QUERY_NORM], layer, q, b->d.heads, b->d.head, &q));
        PARE_TRY(pare_text_rms_norm(b, &parts[KEY_NORM], layer, k, b->d.kv_heads, b->d.head, &k));
    }
    PARE_TRY(add_rope(l, layer, "attn.query_rope", b->d.heads, &q));
    PARE_TRY(add_rope(l, layer, "attn.key_rope", b->d.kv_heads, &k));
    PARE_TRY(window_of(l, (uint32_t)layer, &window));
    PARE_TRY(pare_text_attention(b, layer, q, k, v, true, window, &mix));
    PARE_TRY(pare_text_linear(b, &parts[OUTPUT], layer, mix, b->d.hidden, all, l->output_bias, NULL,
                              out));
out:
    return rc;
}

static int add_feed_forward(struct llama *l, int32_t layer, uint32_t x, uint32_t *out)
{
    struct pare_text_build *b = &l->base;
    uint32_t normed, gate, up;
    int rc;
    PARE_TRY(pare_text_rms_norm(b, &parts[FFN_NORM], layer, x, 1, b->d.hidden, &normed));
    PARE_TRY(pare_text_linear(b, &parts[GATE], layer, normed, b->d.ffn, b->d.hidden, l->mlp_bias,
                              NULL, &gate));
    PARE_TRY(pare_build_activation(&b->base, layer, "ffn.act", "feed_forward.act", b->d.activation,
                                   gate));
    gate = pare_build_last(&b->base);
    PARE_TRY(pare_text_linear(b, &parts[UP], layer, normed, b->d.ffn, b->d.hidden, l->mlp_bias,
                              NULL, &up));
    struct pare_node mul = pare_build_node(PARE_OP_MUL, layer, "ffn.mul", "feed_forward.mul", gate);
    mul.n_inputs = 2;
    mul.inputs[1] = up;
    PARE_TRY(pare_build_put(&b->base, &mul));
    PARE_TRY(pare_text_linear(b, &parts[DOWN], layer, pare_build_last(&b->base), b->d.hidden,
                              b->d.ffn, l->mlp_bias, NULL, out));
out:
    return rc;
}

static int add_layer(struct llama *l, int32_t layer)
{
    struct pare_build *b = &l->base.base;
    uint32_t x = pare_build_last(b), y;
    int rc;
    PARE_TRY(add_attention(l, layer, x, &y));
    PARE_TRY(pare_build_add(b, layer, "attn.add", x, y, 1));
    x = pare_build_last(b);
    PARE_TRY(add_feed_forward(l, layer, x, &y));
    PARE_TRY(pare_build_add(b, layer, "ffn.add", x, y, 1));
out:
    return rc;
}

static int add_head(struct llama *l)
{
    struct pare_text_build *b = &l->base;
    struct pare_node rows =
        pare_build_node(PARE_OP_ROWS, -1, "rows", "rows", pare_build_last(&b->base));
    bool tied = says(l->config, "tie_word_embeddings") || !pare_text_has(b, &parts[HEAD], -1);
    char name[PARE_TENSOR_NAME];
    uint32_t x;
    int rc;
    PARE_TRY(pare_build_put(&b->base, &rows));
    PARE_TRY(
        pare_text_rms_norm(b, &parts[NORM], -1, pare_build_last(&b->base), 1, b->d.hidden, &x));
    PARE_TRY(pare_text_linear(b, &parts[HEAD], -1, x, b->d.vocabulary, b->d.hidden, PARE_BIAS_NONE,
                              tied ? b->base.graph->nodes[0].weight : NULL, &x));
    b->base.graph->output = x;
    if (tied) {
        pare_part_name(&b->naming, &parts[HEAD], -1, ".weight", name);
        pare_build_ignore(&b->base, name);
    }
out:
    return rc;
}

static bool may_be_unused(const char *name)
{
    return strstr(name, "rotary_emb.inv_freq") || strcmp(name, "rope_freqs.weight") == 0;
}

/* What the kin differ in. */
static void read_kind(struct llama *l, enum pare_dialect from)
{
    const bool qwen2 = strcmp(l->type, "qwen2") == 0;
    const bool said = says(l->config, "attention_bias");
    l->qkv_bias = qwen2 || said ? PARE_BIAS_MUST : PARE_BIAS_MAY;
    l->output_bias = said && !qwen2 ? PARE_BIAS_MUST : PARE_BIAS_MAY;
    l->mlp_bias = says(l->config, "mlp_bias") ? PARE_BIAS_MUST : PARE_BIAS_MAY;
    l->qk_norm = strcmp(l->type, "qwen3") == 0;
    l->adjacent = from == PARE_DIALECT_GGUF && strcmp(l->type, "llama") == 0;
}

static int build_llama(const json_t *config, enum pare_dialect from, struct pare_tensors *tensors,
                       struct pare_model *model, struct pare_error *err)
{
    struct llama l = {.base = {.base = {.tensors = tensors, .err = err}, .naming = namings[from]},
                      .config = config,
                      .type = json_string_value(json_object_get(config, "model_type"))};
    uint32_t x;
    int rc;
    read_kind(&l, from);
    PARE_TRY(read_dims(config, &l.base.d, err));
    PARE_TRY(pare_rope_read(config, l.base.d.head, &l.rope, err));
    if (!pare_text_has(&l.base, &parts[TOKEN], -1))
        l.base.naming.prefix = "";
    PARE_TRY(pare_text_begin(&l.base, model));
    PARE_TRY(pare_text_embed(&l.base, &parts[TOKEN], PARE_EMBED_ID, l.base.d.vocabulary, &x));
    for (uint32_t i = 0; i < l.base.d.depth; i++)
        PARE_TRY(add_layer(&l, (int32_t)i));
    PARE_TRY(add_head(&l));
    PARE_TRY(pare_build_finish(&l.base.base, may_be_unused, "LLaMA"));
out:
    pare_rope_free(&l.rope);
    return rc;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

/* The rows of rotated heads from pairs (i, i + pairs) to (2i, 2i + 1), or back. */
static uint32_t *rotated_order(uint32_t heads, uint32_t head, uint32_t pairs, bool to_adjacent)
{
    uint32_t *order = pare_alloc((size_t)heads * head, sizeof *order);
    for (uint32_t at = 0; order && at < heads * head; at += head) {
        for (uint32_t i = 0; i < head; i++)
            order[at + i] = at + i;
        for (uint32_t i = 0; i < pairs; i++) {
            uint32_t first = to_adjacent ? 2 * i : i, second = to_adjacent ? 2 * i + 1 : i + pairs;
            order[at + first] = at + (to_adjacent ? i : 2 * i);
            order[at + second] = at + (to_adjacent ? i + pairs : 2 * i + 1);
        }
    }
    return order;
}

static int put_layer(const struct pare_writing *w, const struct pare_text_dims *d, bool adjacent,
                     int32_t block, uint32_t number)
{
    const uint32_t all = d->heads * d->head, kv = d->kv_heads * d->head;
    const uint32_t sizes[HEAD][2] = {
        [QUERY] = {all, d->hidden},  [KEY] = {kv, d->hidden},      [VALUE] = {kv, d->hidden},
        [OUTPUT] = {d->hidden, all}, [GATE] = {d->ffn, d->hidden}, [UP] = {d->ffn, d->hidden},
        [DOWN] = {d->hidden, d->ffn}};
    const char *type = json_string_value(json_object_get(w->model->config, "model_type"));
    uint32_t *order = NULL;
    int rc = PARE_OK;
    for (int i = 0; i < TOKEN; i++) {
        const struct pare_node *node = pare_writing_node(w, block, parts[i].path);
        if ((i == QUERY_NORM || i == KEY_NORM) && (!type || strcmp(type, "qwen3") != 0))
            continue;
        if (!node) {
            rc = pare_text_missing(w, &parts[i], block);
            goto out;
        }
        if (sizes[i][0])
            PARE_TRY(pare_text_fits(w, node, sizes[i][0], sizes[i][1]));
        if (i == QUERY || i == KEY) {
            const struct pare_node *rope =
                pare_writing_node(w, block, i == QUERY ? "attn.query_rope" : "attn.key_rope");
            free(order);
            order = NULL;
            if (!rope || !rope->a || rope->a->size / sizeof(float) > d->head / 2) {
                rc = pare_writing_refuse(w, "%s is not rotated", node->path);
                goto out;
            }
            if (rope->adjacent != adjacent &&
                !(order = rotated_order(sizes[i][0] / d->head, d->head,
                                        (uint32_t)(rope->a->size / sizeof(float)), adjacent))) {
                rc = pare_error_nomem(w->err, 0);
                goto out;
            }
        }
        PARE_TRY(pare_text_put(w, &namings[w->to], &parts[i], block, number,
                               i == QUERY || i == KEY ? order : NULL));
    }
out:
    free(order);
    return rc;
}

static int put_ends(const struct pare_writing *w, json_t *config)
{
    const struct pare_naming *naming = &namings[w->to];
    const struct pare_node *token = pare_writing_node(w, -1, "embed.token");
    const struct pare_node *head = pare_writing_node(w, -1, "head");
    bool tied = token && head && token->weight == head->weight;
    int rc;
    PARE_TRY(pare_text_put(w, naming, &parts[TOKEN], -1, 0, NULL));
    PARE_TRY(pare_text_put(w, naming, &parts[NORM], -1, 0, NULL));
    if (!tied)
        PARE_TRY(pare_text_put(w, naming, &parts[HEAD], -1, 0, NULL));
    json_object_set_new(config, "tie_word_embeddings", json_boolean(tied));
out:
    return rc;
}

/* What GGUF files say by a tensor, and what they cannot say. */
static int put_gguf_only(const struct pare_writing *w, const struct pare_text_dims *d,
                         json_t *config)
{
    struct pare_rope rope = {0};
    uint32_t window = UINT32_MAX;
    int rc;
    PARE_TRY(pare_rope_read(config, d->head, &rope, w->err));
    if (rope.factors)
        PARE_TRY(pare_writing_vector(w, rope.factors, "rope_freqs.weight", NULL));
    for (uint32_t i = 0; i < w->model->graph->n_nodes; i++) {
        const struct pare_node *node = &w->model->graph->nodes[i];
        if (node->op == PARE_OP_ATTENTION && node->window)
            window = PARE_MIN(window, node->window);
    }
    /* llama.cpp reads these without a window, which up to its size is the same */
    if (window < d->context)
        json_object_set_new(config, "max_position_embeddings", json_integer(window));
out:
    pare_rope_free(&rope);
    return rc;
}

static int write_llama(const struct pare_writing *w, json_t **config)
{
    const char *type = json_string_value(json_object_get(w->model->config, "model_type"));
    const bool adjacent = w->to == PARE_DIALECT_GGUF && type &&
                          (strcmp(type, "llama") == 0 || strcmp(type, "mistral") == 0);
    struct pare_text_dims d = {0};
    uint32_t number = 0;
    int rc;
    PARE_TRY(read_dims(w->model->config, &d, w->err));
    pare_text_uniform(w, &d);
    PARE_TRY(pare_text_check(w, parts, PARE_COUNT(parts)));
    for (uint32_t b = 0; b < w->model->graph->blocks; b++) {
        if (pare_writing_has_layer(w, (int32_t)b))
            PARE_TRY(put_layer(w, &d, adjacent, (int32_t)b, number++));
    }
    PARE_TRY(pare_text_config(w, number, "num_hidden_layers", config));
    json_object_set_new(*config, "intermediate_size", json_integer(d.ffn));
    json_object_set_new(*config, "num_attention_heads", json_integer(d.heads));
    json_object_set_new(*config, "num_key_value_heads", json_integer(d.kv_heads));
    json_object_set_new(*config, "head_dim", json_integer(d.head));
    PARE_TRY(put_ends(w, *config));
    if (w->to == PARE_DIALECT_GGUF)
        PARE_TRY(put_gguf_only(w, &d, *config));
out:
    return rc;
}

/* ---- random models
 * ------------------------------------------------------------------------------- */

static int random_llama(const char *shape, uint64_t seed, struct pare_tensors *out, json_t **config,
                        json_t **preprocessor, struct pare_error *err)
{
    static const struct pare_naming naming = {PARE_COLUMN_HF, "model.", "layers."};
    struct pare_random r;
    char name[PARE_TENSOR_NAME];
    uint32_t s[7];
    int rc;
    *preprocessor = NULL;
    if (!pare_random_shape(shape, s, PARE_COUNT(s)))
        return pare_error_set(err, PARE_INVALID, "'%s' is no shape: %s", shape,
                              pare_family_llama.shape_help);
    const uint64_t vocabulary = s[0], context = s[1], width = s[2], depth = s[3], heads = s[4],
                   kv_heads = s[5], ffn = s[6];
    if (width % heads || width / heads % 2 || heads % kv_heads || depth > PARE_DEPTH_MAX ||
        width > PARE_SIDE_MAX)
        return pare_error_set(err, PARE_INVALID,
                              "shape '%s': the width must divide into heads of an even width, the "
                              "heads into those of keys, and layers be at most %d",
                              shape, PARE_DEPTH_MAX);
    const uint64_t kv = width / heads * kv_heads;
    const uint64_t sizes[PARE_COUNT(parts)][2] = {
        [ATTN_NORM] = {width, 0}, [QUERY] = {width, width},      [KEY] = {kv, width},
        [VALUE] = {kv, width},    [OUTPUT] = {width, width},     [FFN_NORM] = {width, 0},
        [GATE] = {ffn, width},    [UP] = {ffn, width},           [DOWN] = {width, ffn},
        [NORM] = {width, 0},      [TOKEN] = {vocabulary, width}, [HEAD] = {vocabulary, width}};
    pare_random_seed(&r, seed);
    for (uint64_t layer = 0; layer <= depth; layer++) {
        for (size_t i = 0; i < PARE_COUNT(parts); i++) {
            if (parts[i].end != (layer == depth) || sizes[i][0] == 0)
                continue;
            pare_part_name(&naming, &parts[i], (int32_t)layer, "", name);
            PARE_TRY(pare_random_pair(out, &r, name, sizes[i][1] ? 2 : 1, sizes[i], false, err));
        }
    }
    *config =
        json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:b}",
                  "architectures", "LlamaForCausalLM", "model_type", "llama", "vocab_size",
                  (json_int_t)vocabulary, "max_position_embeddings", (json_int_t)context,
                  "hidden_size", (json_int_t)width, "num_hidden_layers", (json_int_t)depth,
                  "num_attention_heads", (json_int_t)heads, "num_key_value_heads",
                  (json_int_t)kv_heads, "intermediate_size", (json_int_t)ffn, "hidden_act", "silu",
                  "rms_norm_eps", 1e-5, "rope_theta", 10000.0, "tie_word_embeddings", 0);
    if (!*config)
        rc = pare_error_nomem(err, 0);
out:
    return rc;
}

const struct pare_family pare_family_llama = {
    .name = "llama",
    .model_types = (const char *const[]){"llama", "mistral", "qwen2", "qwen3", NULL},
    .build = build_llama,
    .write = write_llama,
    .random = random_llama,
    .shape_help = "VOCABULARY,CONTEXT,WIDTH,DEPTH,HEADS,KV_HEADS,FFN, such as "
                  "512,512,64,5,8,4,172",
};
