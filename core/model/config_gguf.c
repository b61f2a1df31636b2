/* SPDX-License-Identifier: Apache-2.0 */
#include "model/config_gguf.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/family_parts.h"
#include "model/rope.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers that both have: the key below "ARCHITECTURE.", and config.json's. */
struct number {
    const char *gguf, *hf;
    bool real, required;
};

static const struct number llama_numbers[] = {
    {"block_count", "num_hidden_layers", false, true},
    {"context_length", "max_position_embeddings", false, true},
    {"embedding_length", "hidden_size", false, true},
    {"feed_forward_length", "intermediate_size", false, true},
    {"attention.head_count", "num_attention_heads", false, true},
    {"attention.head_count_kv", "num_key_value_heads", false, false},
    {"attention.key_length", "head_dim", false, false},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", true, true},
    {"vocab_size", "vocab_size", false, false},
    {0},
};
static const struct number gpt2_numbers[] = {
    {"block_count", "n_layer", false, true},
    {"context_length", "n_positions", false, true},
    {"embedding_length", "n_embd", false, true},
    {"feed_forward_length", "n_inner", false, true},
    {"attention.head_count", "n_head", false, true},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon", true, true},
    {"vocab_size", "vocab_size", false, false},
    {0},
};
static const struct number bert_numbers[] = {
    {"block_count", "num_hidden_layers", false, true},
    {"context_length", "max_position_embeddings", false, true},
    {"embedding_length", "hidden_size", false, true},
    {"feed_forward_length", "intermediate_size", false, true},
    {"attention.head_count", "num_attention_heads", false, true},
    {"attention.layer_norm_epsilon", "layer_norm_eps", true, true},
    {"vocab_size", "vocab_size", false, false},
    {0},
};

/* Architectures; several model types may be written as one. What GGUF leaves unsaid is `act`. */
static const struct architecture {
    const char *name, *model_type, *class, *act_key, *act;
    const struct number *numbers;
    bool rotary;
} architectures[] = {
    {"llama", "llama", "LlamaForCausalLM", "hidden_act", "silu", llama_numbers, true},
    {"llama", "mistral", "MistralForCausalLM", "hidden_act", "silu", llama_numbers, true},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", "hidden_act", "silu", llama_numbers, true},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", "hidden_act", "silu", llama_numbers, true},
    {"gpt2", "gpt2", "GPT2LMHeadModel", "activation_function", "gelu_new", gpt2_numbers, false},
    {"bert", "bert", "BertModel", "hidden_act", "gelu", bert_numbers, false},
};

/* Special tokens: in every configuration, and in GGUF below "tokenizer.ggml.". */
static const char *const special_tokens[][2] = {{"bos_token_id", "bos_token_id"},
                                                {"eos_token_id", "eos_token_id"},
                                                {"padding_token_id", "pad_token_id"}};

#define NORMALIZE_KEY "pare.normalize"
#define KEY_MAX 128
/* ARCH.NAME */
static const char *key_of(const char *arch, const char *name, char out[KEY_MAX])
{
    snprintf(out, KEY_MAX, "%s.%s", arch, name);
    return out;
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

struct reading {
    const struct pare_gguf *file;
    const struct architecture *arch;
    json_t *config;
    struct pare_error *err;
};

/* The short decimal of an f32: what a configuration would say. */
static double tidy(double x)
{
    char text[32];
    double shorter;
    snprintf(text, sizeof text, "%.7g", x);
    return pare_parse_double(text, &shorter) && (float)shorter == (float)x ? shorter : x;
}

/* A number below the architecture's name; false in *there when the file does not say. */
static int get_real(const struct reading *r, const char *name, bool *there, double *out)
{
    char key[KEY_MAX];
    int rc = pare_gguf_f64(r->file, key_of(r->arch->name, name, key), out, r->err);
    *there = rc == PARE_OK;
    if (rc == PARE_OK)
        *out = tidy(*out);
    return rc == PARE_NOT_FOUND ? PARE_OK : rc;
}

static int get_whole(const struct reading *r, const char *name, bool *there, uint32_t *out)
{
    char key[KEY_MAX];
    int rc = pare_gguf_u32(r->file, key_of(r->arch->name, name, key), out, r->err);
    *there = rc == PARE_OK;
    return rc == PARE_NOT_FOUND ? PARE_OK : rc;
}

static int read_number(const struct reading *r, const struct number *n)
{
    uint32_t whole = 0;
    double real = 0;
    bool there;
    int rc = n->real ? get_real(r, n->gguf, &there, &real) : get_whole(r, n->gguf, &there, &whole);
    if (rc != PARE_OK)
        return rc;
    if (!there && n->required)
        return pare_error_set(r->err, PARE_INVALID, "%s: %s.%s is missing", r->file->path,
                              r->arch->name, n->gguf);
    if (there)
        json_object_set_new(r->config, n->hf, n->real ? json_real(real) : json_integer(whole));
    return PARE_OK;
}

static int unsupported(const struct reading *r, const char *what)
{
    return pare_error_set(r->err, PARE_UNSUPPORTED, "%s: %s", r->file->path, what);
}

/* The divisors of the frequencies, as longrope with one list. */
static int read_factors(const struct reading *r, json_t *scaling)
{
    const struct pare_gguf_tensor *t = pare_gguf_tensor(r->file, "rope_freqs.weight");
    json_t *list;
    if (!t)
        return PARE_OK;
    if (t->rank != 1 || t->type != PARE_GGML_F32 || t->dims[0] > PARE_SIDE_MAX)
        return unsupported(r, "rope_freqs.weight is no vector of f32");
    list = json_array();
    for (uint64_t i = 0; i < t->dims[0]; i++)
        json_array_append_new(list, json_real((double)((const float *)t->data->data)[i]));
    json_object_set_new(scaling, "rope_type", json_string("longrope"));
    json_object_set_new(scaling, "factor", json_real(1));
    json_object_set_new(scaling, "attention_factor", json_real(1));
    json_object_set(scaling, "original_max_position_embeddings",
                    json_object_get(r->config, "max_position_embeddings"));
    json_object_set(scaling, "short_factor", list);
    json_object_set_new(scaling, "long_factor", list);
    return PARE_OK;
}

static int read_yarn(const struct reading *r, double factor, json_t *scaling)
{
    static const char *const reals[][2] = {
        {"rope.scaling.original_context_length", "original_max_position_embeddings"},
        {"rope.scaling.yarn_beta_fast", "beta_fast"},
        {"rope.scaling.yarn_beta_slow", "beta_slow"}};
    double x, attention = 1;
    bool there;
    int rc;
    PARE_TRY(get_real(r, "rope.scaling.yarn_log_multiplier", &there, &x));
    if (there && x != 0)
        return unsupported(r, "yarn with a log multiplier is not supported");
    for (size_t i = 0; i < PARE_COUNT(reals); i++) {
        PARE_TRY(get_real(r, reals[i][0], &there, &x));
        if (there)
            json_object_set_new(scaling, reals[i][1], i ? json_real(x) : json_integer((int)x));
    }
    PARE_TRY(get_real(r, "rope.scaling.attn_factor", &there, &attention));
    if (there && factor >= 1)
        json_object_set_new(scaling, "attention_factor",
                            json_real(attention * (0.1 * log(factor) + 1)));
out:
    return rc;
}

static int read_rotary(const struct reading *r)
{
    json_t *scaling = json_object();
    struct pare_gguf_text type = {"none", 4};
    char key[KEY_MAX];
    double theta = 10000, factor = 1;
    bool there;
    int rc;
    PARE_TRY(get_real(r, "rope.freq_base", &there, &theta));
    PARE_TRY(get_real(r, "rope.scaling.factor", &there, &factor));
    if (!there)
        PARE_TRY(get_real(r, "rope.scale_linear", &there, &factor));
    if (there && factor > 0 && factor != 1)
        type = (struct pare_gguf_text){"linear", 6};
    rc = pare_gguf_text(r->file, key_of(r->arch->name, "rope.scaling.type", key), &type, r->err);
    if (rc != PARE_OK && rc != PARE_NOT_FOUND)
        goto out;
    rc = PARE_OK;
    bool yarn = type.len == 4 && memcmp(type.data, "yarn", 4) == 0;
    bool linear = type.len == 6 && memcmp(type.data, "linear", 6) == 0;
    json_object_set_new(scaling, "rope_type", json_string("default"));
    if ((yarn || linear) && factor > 0 && factor != 1) {
        json_object_set_new(scaling, "rope_type", json_string(yarn ? "yarn" : "linear"));
        json_object_set_new(scaling, "factor", json_real(factor));
    } else if (!yarn && !linear && !(type.len == 4 && memcmp(type.data, "none", 4) == 0)) {
        rc = pare_error_set(r->err, PARE_UNSUPPORTED,
                            "%s: positions scaled by '%.*s' are not supported", r->file->path,
                            (int)PARE_MIN(type.len, (size_t)32), type.data);
        goto out;
    }
    if (yarn)
        PARE_TRY(read_yarn(r, factor, scaling));
    PARE_TRY(read_factors(r, scaling));
    json_object_set_new(r->config, "rope_theta", json_real(theta));
    if (strcmp(json_string_value(json_object_get(scaling, "rope_type")), "default") != 0)
        json_object_set(r->config, "rope_scaling", scaling);
out:
    json_decref(scaling);
    return rc;
}

static bool has_tensor(const struct reading *r, const char *name)
{
    return pare_gguf_tensor(r->file, name) != NULL;
}

static int read_llama(const struct reading *r)
{
    uint32_t value = 0, rotated = 0, window = 0, experts = 0;
    bool there;
    int rc;
    PARE_TRY(get_whole(r, "expert_count", &there, &experts));
    if (experts > 0)
        return unsupported(r, "mixtures of experts are not supported");
    uint32_t hidden = (uint32_t)json_integer_value(json_object_get(r->config, "hidden_size")),
             heads =
                 (uint32_t)json_integer_value(json_object_get(r->config, "num_attention_heads")),
             head = (uint32_t)json_integer_value(json_object_get(r->config, "head_dim"));
    if (!head)
        head = heads ? hidden / heads : 0;
    PARE_TRY(get_whole(r, "attention.value_length", &there, &value));
    if (there && value != head)
        return unsupported(r, "heads of values that are not as wide as those of keys are not "
                              "supported");
    PARE_TRY(get_whole(r, "rope.dimension_count", &there, &rotated));
    if (there && head && rotated != head)
        json_object_set_new(r->config, "partial_rotary_factor", json_real((double)rotated / head));
    PARE_TRY(get_whole(r, "attention.sliding_window", &there, &window));
    if (there && window > 0)
        return unsupported(r, "sliding windows are not supported in GGUF files");
    PARE_TRY(read_rotary(r));
    json_object_set_new(r->config, "attention_bias",
                        json_boolean(has_tensor(r, "blk.0.attn_output.bias")));
    json_object_set_new(r->config, "mlp_bias", json_boolean(has_tensor(r, "blk.0.ffn_up.bias")));
out:
    return rc;
}

/* Pooling types of llama.cpp's enum llama_pooling_type. */
enum { POOL_NONE = 0, POOL_MEAN = 1, POOL_CLS = 2, POOL_RANK = 4 };

static int read_bert(const struct reading *r)
{
    const struct pare_gguf_value *labels;
    struct pare_gguf_text text;
    char key[KEY_MAX];
    uint32_t pooling = POOL_MEAN, types = 0, separator = 0;
    bool there, normalize = false;
    int rc;
    PARE_TRY(get_whole(r, "pooling_type", &there, &pooling));
    if (pooling != POOL_NONE && pooling != POOL_MEAN && pooling != POOL_CLS && pooling != POOL_RANK)
        return unsupported(r, "its pooling is neither the mean nor the first token");
    pare_gguf_bool(r->file, NORMALIZE_KEY, &normalize, NULL); /* when Pare wrote the file */
    json_t *pare = json_pack("{s:s, s:b}", "pooling", pooling == POOL_CLS ? "cls" : "mean",
                             "normalize", (int)normalize);
    json_object_set_new(r->config, "pare", pare);
    if (pare_gguf_u32(r->file, "tokenizer.ggml.seperator_token_id", &separator, NULL) == PARE_OK)
        json_object_set_new(pare, "separator", json_integer(separator));
    if (pare_gguf_u32(r->file, "tokenizer.ggml.token_type_count", &types, NULL) == PARE_OK)
        json_object_set_new(r->config, "type_vocab_size", json_integer(types));
    key_of(r->arch->name, "classifier.output_labels", key);
    if (pare_gguf_array(r->file, key, PARE_GGUF_TEXT, &labels, NULL) == PARE_OK) {
        json_t *list = json_object();
        for (size_t i = 0; i < labels->n && i < PARE_SIDE_MAX; i++) {
            char number[24];
            snprintf(number, sizeof number, "%zu", i);
            if (pare_gguf_text_at(labels, i, &text))
                json_object_set_new(list, number, json_stringn(text.data, text.len));
        }
        json_object_set_new(r->config, "id2label", list);
    }
out:
    return rc;
}

static const struct architecture *find_architecture(const struct pare_gguf_text *name)
{
    for (size_t i = 0; i < PARE_COUNT(architectures); i++) {
        if (strlen(architectures[i].name) == name->len &&
            memcmp(architectures[i].name, name->data, name->len) == 0)
            return &architectures[i];
    }
    return NULL;
}

int pare_config_from_gguf(const struct pare_gguf *file, json_t **out, struct pare_error *err)
{
    struct reading r = {.file = file, .config = json_object(), .err = err};
    const struct pare_gguf_tensor *table = pare_gguf_tensor(file, "token_embd.weight");
    struct pare_gguf_text name;
    int rc;
    PARE_TRY(pare_gguf_text(file, "general.architecture", &name, err));
    r.arch = find_architecture(&name);
    if (!r.arch) {
        rc = pare_error_set(err, PARE_UNSUPPORTED, "%s: architecture '%.*s' is not supported",
                            file->path, (int)PARE_MIN(name.len, (size_t)64), name.data);
        pare_error_hint(err, "supported: llama, qwen2, qwen3, gpt2, bert");
        goto out;
    }
    for (const struct number *n = r.arch->numbers; n->gguf; n++)
        PARE_TRY(read_number(&r, n));
    if (!table || table->rank != 2 || table->dims[1] > PARE_WIDTH_MAX) {
        rc = pare_error_set(err, PARE_INVALID, "%s has no matrix token_embd.weight", file->path);
        goto out;
    }
    json_object_set_new(r.config, "vocab_size", json_integer((json_int_t)table->dims[1]));
    json_object_set_new(r.config, "model_type", json_string(r.arch->model_type));
    json_object_set_new(r.config, "architectures", json_pack("[s]", r.arch->class));
    json_object_set_new(r.config, r.arch->act_key, json_string(r.arch->act));
    json_object_set_new(r.config, "tie_word_embeddings",
                        json_boolean(!has_tensor(&r, "output.weight")));
    for (size_t i = 0; i < PARE_COUNT(special_tokens); i++) {
        char key[KEY_MAX];
        uint32_t id;
        if (pare_gguf_u32(file, key_of("tokenizer.ggml", special_tokens[i][0], key), &id, NULL) ==
            PARE_OK)
            json_object_set_new(r.config, special_tokens[i][1], json_integer(id));
    }
    if (r.arch->rotary)
        PARE_TRY(read_llama(&r));
    if (r.arch->numbers == bert_numbers)
        PARE_TRY(read_bert(&r));
out:
    if (rc == PARE_OK)
        *out = r.config;
    else
        json_decref(r.config);
    return rc;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

struct writing {
    const json_t *config;
    const struct architecture *arch;
    struct pare_gguf_draft *draft;
    struct pare_error *err;
};

static int put_whole(const struct writing *w, const char *name, uint32_t value)
{
    char key[KEY_MAX];
    return pare_gguf_put_u32(w->draft, key_of(w->arch->name, name, key), value, w->err);
}

static int put_real(const struct writing *w, const char *name, double value)
{
    char key[KEY_MAX];
    return pare_gguf_put_f32(w->draft, key_of(w->arch->name, name, key), (float)value, w->err);
}

static int put_text(const struct writing *w, const char *name, const char *value)
{
    char key[KEY_MAX];
    return pare_gguf_put_text(w->draft, key_of(w->arch->name, name, key), value, w->err);
}

static int put_yarn(const struct writing *w, const struct pare_rope *rope, double factor)
{
    static const char *const reals[][2] = {{"beta_fast", "rope.scaling.yarn_beta_fast"},
                                           {"beta_slow", "rope.scaling.yarn_beta_slow"}};
    const json_t *scaling = pare_rope_scaling(w->config);
    const json_t *original = json_object_get(scaling, "original_max_position_embeddings");
    int rc = PARE_OK;
    if (json_is_false(json_object_get(scaling, "truncate")))
        return pare_error_set(w->err, PARE_UNSUPPORTED,
                              "not representable in GGUF because yarn's range is not truncated");
    if (json_is_integer(original))
        PARE_TRY(put_whole(w, "rope.scaling.original_context_length",
                           (uint32_t)json_integer_value(original)));
    for (size_t i = 0; i < PARE_COUNT(reals); i++) {
        const json_t *x = json_object_get(scaling, reals[i][0]);
        if (json_is_number(x))
            PARE_TRY(put_real(w, reals[i][1], json_number_value(x)));
    }
    PARE_TRY(put_real(w, "rope.scaling.attn_factor",
                      rope->attention / (factor > 1 ? 0.1 * log(factor) + 1 : 1)));
out:
    return rc;
}

static int put_rotary(const struct writing *w, uint32_t head)
{
    const char *type = pare_rope_type(w->config);
    struct pare_rope rope = {0};
    double theta, factor;
    int rc;
    PARE_TRY(pare_rope_read(w->config, head, &rope, w->err));
    PARE_TRY(pare_rope_theta(w->config, &theta, w->err));
    bool yarn = strcmp(type, "yarn") == 0;
    if (rope.pairs * 2 != head || (!yarn && rope.attention != 1)) {
        rc = pare_error_set(w->err, PARE_UNSUPPORTED, "not representable in GGUF because %s",
                            rope.attention != 1 ? "rotated vectors are scaled"
                                                : "only a part of each head is rotated");
        goto out;
    }
    PARE_TRY(put_real(w, "rope.freq_base", theta));
    PARE_TRY(put_whole(w, "rope.dimension_count", head));
    if (!yarn && strcmp(type, "linear") != 0)
        goto out;
    PARE_TRY(pare_config_real(pare_rope_scaling(w->config), "factor", 1, &factor, w->err));
    PARE_TRY(put_text(w, "rope.scaling.type", type));
    PARE_TRY(put_real(w, "rope.scaling.factor", factor));
    if (yarn)
        PARE_TRY(put_yarn(w, &rope, factor));
out:
    pare_rope_free(&rope);
    return rc;
}

static int put_llama(const struct writing *w)
{
    uint32_t hidden, heads, kv_heads, head;
    int rc;
    PARE_TRY(pare_config_size(w->config, "hidden_size", PARE_WIDTH_MAX, 0, &hidden, w->err));
    PARE_TRY(pare_config_size(w->config, "num_attention_heads", PARE_SIDE_MAX, 0, &heads, w->err));
    PARE_TRY(pare_config_size(w->config, "num_key_value_heads", PARE_SIDE_MAX, heads, &kv_heads,
                              w->err));
    PARE_TRY(pare_config_size(w->config, "head_dim", PARE_SIDE_MAX, PARE_MAX(hidden / heads, 1u),
                              &head, w->err));
    if (!json_is_integer(json_object_get(w->config, "num_key_value_heads")))
        PARE_TRY(put_whole(w, "attention.head_count_kv", kv_heads));
    if (!json_is_integer(json_object_get(w->config, "head_dim")))
        PARE_TRY(put_whole(w, "attention.key_length", head));
    PARE_TRY(put_whole(w, "attention.value_length", head));
    PARE_TRY(put_rotary(w, head));
out:
    return rc;
}

static int put_bert(const struct writing *w)
{
    const json_t *pare = json_object_get(w->config, "pare");
    const char *pooling = json_string_value(json_object_get(pare, "pooling"));
    const json_t *labels = json_object_get(w->config, "id2label");
    struct pare_gguf_text *texts = NULL;
    char key[KEY_MAX];
    uint32_t types;
    int rc;
    PARE_TRY(pare_gguf_put_bool(w->draft, key_of(w->arch->name, "attention.causal", key), false,
                                w->err));
    PARE_TRY(pare_config_size(w->config, "type_vocab_size", PARE_SIDE_MAX, 1, &types, w->err));
    PARE_TRY(pare_gguf_put_u32(w->draft, "tokenizer.ggml.token_type_count", types, w->err));
    if (json_is_true(json_object_get(pare, "normalize")))
        PARE_TRY(pare_gguf_put_bool(w->draft, NORMALIZE_KEY, true, w->err));
    if (!pooling) { /* a classifier */
        size_t n = json_object_size(labels);
        PARE_TRY(put_whole(w, "pooling_type", POOL_RANK));
        texts = pare_calloc(n, sizeof *texts);
        if (!texts) {
            rc = pare_error_nomem(w->err, n);
            goto out;
        }
        for (size_t i = 0; i < n; i++) {
            char number[24];
            snprintf(number, sizeof number, "%zu", i);
            const char *text = json_string_value(json_object_get(labels, number));
            texts[i] = (struct pare_gguf_text){text ? text : "", text ? strlen(text) : 0};
        }
        if (n)
            PARE_TRY(pare_gguf_put_texts(w->draft,
                                         key_of(w->arch->name, "classifier.output_labels", key), n,
                                         texts, w->err));
    } else {
        PARE_TRY(put_whole(w, "pooling_type", strcmp(pooling, "cls") == 0 ? POOL_CLS : POOL_MEAN));
    }
out:
    free(texts);
    return rc;
}

int pare_config_to_gguf(const json_t *config, struct pare_gguf_draft *draft, struct pare_error *err)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    struct writing w = {.config = config, .draft = draft, .err = err};
    int rc;
    for (size_t i = 0; type && i < PARE_COUNT(architectures) && !w.arch; i++) {
        if (strcmp(architectures[i].model_type, type) == 0)
            w.arch = &architectures[i];
    }
    if (!w.arch)
        return pare_error_set(err, PARE_UNSUPPORTED, "GGUF has no architecture for a '%s'",
                              type ? type : "(none)");
    const char *act = json_string_value(json_object_get(config, w.arch->act_key));
    if (act && strcmp(act, w.arch->act) != 0)
        return pare_error_set(err, PARE_UNSUPPORTED,
                              "not representable in GGUF because the activation is %s; a %s there "
                              "has %s",
                              act, w.arch->name, w.arch->act);
    PARE_TRY(pare_gguf_put_text(draft, "general.architecture", w.arch->name, err));
    for (const struct number *n = w.arch->numbers; n->gguf; n++) {
        const json_t *x = json_object_get(config, n->hf);
        if (n->real && json_is_number(x))
            PARE_TRY(put_real(&w, n->gguf, json_number_value(x)));
        else if (json_is_integer(x))
            PARE_TRY(put_whole(&w, n->gguf, (uint32_t)json_integer_value(x)));
        else if (n->required) {
            rc = pare_error_set(err, PARE_INVALID, "the configuration has no %s", n->hf);
            goto out;
        }
    }
    if (w.arch->rotary)
        PARE_TRY(put_llama(&w));
    if (w.arch->numbers == bert_numbers)
        PARE_TRY(put_bert(&w));
out:
    return rc;
}
