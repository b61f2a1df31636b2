/* SPDX-License-Identifier: Apache-2.0 */
/* BERT and DistilBERT, as classifiers or as embeddings of sentences (MiniLM). Formulas:
 * transformers' modeling_bert.py and modeling_distilbert.py, sentence-transformers' Pooling and
 * Normalize. */
#include "base/mem.h"
#include "base/str.h"
#include "model/family_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATOR 102 /* [SEP] in BERT's vocabularies */
#define NORMALIZE_EPS 1e-24f

static const struct pare_part parts[] = {
    {"attn.query",
     "attention.query",
     {"attention.self.query", "attn_q", "attention.q_lin"},
     false,
     false},
    {"attn.key",
     "attention.key",
     {"attention.self.key", "attn_k", "attention.k_lin"},
     false,
     false},
    {"attn.value",
     "attention.value",
     {"attention.self.value", "attn_v", "attention.v_lin"},
     false,
     false},
    {"attn.output",
     "attention.output",
     {"attention.output.dense", "attn_output", "attention.out_lin"},
     false,
     false},
    {"attn.norm",
     "norm",
     {"attention.output.LayerNorm", "attn_output_norm", "sa_layer_norm"},
     false,
     false},
    {"ffn.up", "feed_forward.up", {"intermediate.dense", "ffn_up", "ffn.lin1"}, false, false},
    {"ffn.down", "feed_forward.down", {"output.dense", "ffn_down", "ffn.lin2"}, false, false},
    {"ffn.norm",
     "norm",
     {"output.LayerNorm", "layer_output_norm", "output_layer_norm"},
     false,
     false},
    {"embed.token",
     "embedding.token",
     {"embeddings.word_embeddings", "token_embd", "embeddings.word_embeddings"},
     true,
     false},
    {"embed.segment",
     "embedding.segment",
     {"embeddings.token_type_embeddings", "token_types", "embeddings.token_type_embeddings"},
     true,
     false},
    {"embed.position",
     "embedding.position",
     {"embeddings.position_embeddings", "position_embd", "embeddings.position_embeddings"},
     true,
     false},
    {"embed.norm",
     "norm",
     {"embeddings.LayerNorm", "token_embd_norm", "embeddings.LayerNorm"},
     true,
     false},
    {"pooler", "pooler", {"pooler.dense", "cls", "pooler.dense"}, true, false},
    {"pooler", "pooler", {"pre_classifier", "cls", "pre_classifier"}, true, true},
    {"classifier", "classifier", {"classifier", "cls.output", "classifier"}, true, true},
};
enum {
    QUERY,
    KEY,
    VALUE,
    OUTPUT,
    ATTN_NORM,
    UP,
    DOWN,
    FFN_NORM,
    TOKEN,
    SEGMENT,
    POSITION,
    EMBED_NORM,
    POOLER,
    PRE_CLASSIFIER,
    CLASSIFIER
};

static const struct pare_naming namings[] = {
    [PARE_COLUMN_HF] = {PARE_COLUMN_HF, "bert.", "encoder.layer."},
    [PARE_COLUMN_GGUF] = {PARE_COLUMN_GGUF, "", "blk."},
    [PARE_COLUMN_OTHER] = {PARE_COLUMN_OTHER, "distilbert.", "transformer.layer."},
};

#define AT(field) offsetof(struct pare_text_dims, field)
static const struct pare_dim_key dim_keys[] = {
    {"vocab_size", NULL, AT(vocabulary), PARE_WIDTH_MAX, 0},
    {"max_position_embeddings", NULL, AT(context), PARE_WIDTH_MAX, 512},
    {"hidden_size", "dim", AT(hidden), PARE_SIDE_MAX, 0},
    {"intermediate_size", "hidden_dim", AT(ffn), PARE_WIDTH_MAX, 0},
    {"num_attention_heads", "n_heads", AT(heads), PARE_SIDE_MAX, 0},
    {"num_hidden_layers", "n_layers", AT(depth), PARE_DEPTH_MAX, 0},
};

static bool is_distil(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type && strcmp(type, "distilbert") == 0;
}

static int read_dims(const json_t *config, struct pare_text_dims *d, struct pare_error *err)
{
    const char *how = json_string_value(json_object_get(config, "position_embedding_type"));
    double eps;
    int rc;
    PARE_TRY(pare_text_dims_read(config, dim_keys, PARE_COUNT(dim_keys), d, err));
    PARE_TRY(pare_config_real(config, "layer_norm_eps", 1e-12, &eps, err));
    PARE_TRY(pare_config_activation(config, is_distil(config) ? "activation" : "hidden_act", "gelu",
                                    &d->activation, err));
    d->eps = (float)eps;
    if (how && strcmp(how, "absolute") != 0)
        rc = pare_error_set(err, PARE_UNSUPPORTED,
                            "config.json: position_embedding_type '%s' is not supported", how);
out:
    return rc;
}

/* ---- what the folder's other files say
 * ----------------------------------------------------------- */

/* The modules of sentence-transformers that are not the model itself. */
static int describe_modules(const char *folder, json_t *said, struct pare_error *err)
{
    json_t *modules = NULL, *module;
    size_t i;
    int rc;
    PARE_TRY(pare_read_json(folder, "modules.json", false, &modules, err));
    json_array_foreach(modules, i, module)
    {
        const char *type = json_string_value(json_object_get(module, "type"));
        const char *last = type ? strrchr(type, '.') : NULL;
        last = last ? last + 1 : "(none)";
        if (strcmp(last, "Normalize") == 0) {
            json_object_set_new(said, "normalize", json_true());
        } else if (strcmp(last, "Transformer") != 0 && strcmp(last, "Pooling") != 0) {
            rc = pare_error_set(err, PARE_UNSUPPORTED,
                                "modules.json: a module '%s' is not "
                                "supported",
                                last);
            goto out;
        }
    }
out:
    json_decref(modules);
    return rc;
}

static int describe_pooling(const char *folder, json_t *said, struct pare_error *err)
{
    json_t *pooling = NULL, *value;
    const char *key;
    int rc;
    PARE_TRY(pare_read_json(folder, "1_Pooling/config.json", false, &pooling, err));
    const char *mode = json_string_value(json_object_get(pooling, "pooling_mode"));
    if (mode && strcmp(mode, "cls") != 0 && strcmp(mode, "mean") != 0)
        rc = pare_error_set(err, PARE_UNSUPPORTED, "1_Pooling/config.json: '%s' is not supported",
                            mode);
    else if (mode)
        json_object_set_new(said, "pooling", json_string(mode));
    json_object_foreach(pooling, key, value)
    {
        if (strncmp(key, "pooling_mode_", strlen("pooling_mode_")) != 0 || !json_is_true(value))
            continue;
        if (strcmp(key, "pooling_mode_cls_token") == 0)
            json_object_set_new(said, "pooling", json_string("cls"));
        else if (strcmp(key, "pooling_mode_mean_tokens") != 0)
            rc = pare_error_set(err, PARE_UNSUPPORTED, "1_Pooling/config.json: %s is not supported",
                                key);
    }
out:
    json_decref(pooling);
    return rc;
}

/* The separator's id, by the names that tokenizer_config.json gives. */
static int describe_separator(const char *folder, json_t *config, json_t *said,
                              struct pare_error *err)
{
    json_t *tokenizer = NULL, *value;
    const json_t *id = json_object_get(config, "sep_token_id");
    const char *key;
    long long number = SEPARATOR;
    int rc;
    PARE_TRY(pare_read_json(folder, "tokenizer_config.json", false, &tokenizer, err));
    const json_t *token = json_object_get(tokenizer, "sep_token");
    const char *name =
        json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
    json_object_foreach(json_object_get(tokenizer, "added_tokens_decoder"), key, value)
    {
        const char *content = json_string_value(json_object_get(value, "content"));
        long long x;
        if (name && content && strcmp(name, content) == 0 && pare_parse_int(key, &x) && x >= 0 &&
            x < PARE_WIDTH_MAX)
            number = x;
    }
    if (json_is_integer(id) && json_integer_value(id) >= 0 &&
        json_integer_value(id) < PARE_WIDTH_MAX)
        number = json_integer_value(id);
    json_object_set_new(said, "separator", json_integer(number));
out:
    json_decref(tokenizer);
    return rc;
}

static int describe_bert(const char *folder, json_t *config, struct pare_error *err)
{
    json_t *said = json_object_get(config, "pare");
    int rc;
    if (!json_is_object(said)) {
        said = json_pack("{s:s, s:b}", "pooling", "mean", "normalize", 0);
        if (json_object_set_new(config, "pare", said) != 0)
            return pare_error_nomem(err, 0);
    }
    PARE_TRY(describe_modules(folder, said, err));
    PARE_TRY(describe_pooling(folder, said, err));
    PARE_TRY(describe_separator(folder, config, said, err));
out:
    return rc;
}

/* ---- building
 * ------------------------------------------------------------------------------------ */

static int add_embedding(struct pare_text_build *b, const json_t *config)
{
    const json_t *said = json_object_get(config, "pare");
    const json_t *separator = json_object_get(said, "separator");
    struct pare_graph *g = b->base.graph;
    uint32_t x, y, types;
    int rc;
    PARE_TRY(pare_text_embed(b, &parts[TOKEN], PARE_EMBED_ID, b->d.vocabulary, &x));
    if (pare_text_has(b, &parts[SEGMENT], -1)) {
        PARE_TRY(
            pare_config_size(config, "type_vocab_size", PARE_SIDE_MAX, 2, &types, b->base.err));
        PARE_TRY(pare_text_embed(b, &parts[SEGMENT], PARE_EMBED_SEGMENT, types, &y));
        g->nodes[g->n_nodes - 1].token =
            json_is_integer(separator) ? (uint32_t)json_integer_value(separator) : SEPARATOR;
        PARE_TRY(pare_build_add(&b->base, -1, "embed.segment_add", x, y, 1));
        x = pare_build_last(&b->base);
    }
    PARE_TRY(pare_text_embed(b, &parts[POSITION], PARE_EMBED_POSITION, b->d.context, &y));
    PARE_TRY(pare_build_add(&b->base, -1, "embed.position_add", x, y, 1));
    PARE_TRY(pare_text_norm(b, &parts[EMBED_NORM], -1, pare_build_last(&b->base), &x));
out:
    return rc;
}

static int add_layer(struct pare_text_build *b, int32_t layer)
{
    const uint32_t width = b->d.hidden, ffn = b->d.ffn;
    uint32_t x = pare_build_last(&b->base), q[3], y;
    int rc;
    for (int i = QUERY; i <= VALUE; i++)
        PARE_TRY(
            pare_text_linear(b, &parts[i], layer, x, width, width, PARE_BIAS_MUST, NULL, &q[i]));
    PARE_TRY(pare_text_attention(b, layer, q[QUERY], q[KEY], q[VALUE], false, 0, &y));
    PARE_TRY(pare_text_linear(b, &parts[OUTPUT], layer, y, width, width, PARE_BIAS_MUST, NULL, &y));
    PARE_TRY(pare_build_add(&b->base, layer, "attn.add", x, y, 1));
    PARE_TRY(pare_text_norm(b, &parts[ATTN_NORM], layer, pare_build_last(&b->base), &x));
    PARE_TRY(pare_text_linear(b, &parts[UP], layer, x, ffn, width, PARE_BIAS_MUST, NULL, &y));
    PARE_TRY(
        pare_build_activation(&b->base, layer, "ffn.act", "feed_forward.act", b->d.activation, y));
    PARE_TRY(pare_text_linear(b, &parts[DOWN], layer, pare_build_last(&b->base), width, ffn,
                              PARE_BIAS_MUST, NULL, &y));
    PARE_TRY(pare_build_add(&b->base, layer, "ffn.add", x, y, 1));
    PARE_TRY(pare_text_norm(b, &parts[FFN_NORM], layer, pare_build_last(&b->base), &x));
out:
    return rc;
}

/* A vector of length one: the root mean square of n numbers is their length / sqrt(n). */
static int add_normalize(struct pare_text_build *b)
{
    struct pare_node node =
        pare_build_node(PARE_OP_RMS_NORM, -1, "normalize", "normalize", pare_build_last(&b->base));
    int rc;
    node.heads = 1;
    node.eps = NORMALIZE_EPS;
    PARE_TRY(pare_blob_new(b->d.hidden, sizeof(float), &node.a, b->base.err));
    for (uint32_t i = 0; i < b->d.hidden; i++)
        pare_blob_f32(node.a)[i] = (float)(1 / sqrt((double)b->d.hidden));
    PARE_TRY(pare_build_put(&b->base, &node));
out:
    pare_node_release(&node);
    return rc;
}

static int add_classifier(struct pare_text_build *b, const struct pare_part *pooler, uint32_t act)
{
    const uint32_t width = b->d.hidden;
    char name[PARE_TENSOR_NAME];
    uint32_t x;
    int rc;
    pare_part_name(&b->naming, &parts[CLASSIFIER], -1, ".weight", name);
    const struct pare_tensor *t = pare_tensors_find(b->base.tensors, name);
    if (t->rank != 2 || t->shape[0] == 0 || t->shape[0] > PARE_WIDTH_MAX)
        return pare_error_set(b->base.err, PARE_INVALID, "tensor '%s' is no matrix of classes",
                              name);
    PARE_TRY(pare_build_pool(&b->base, "pool", pare_build_last(&b->base), 0));
    x = pare_build_last(&b->base);
    if (b->naming.column != PARE_COLUMN_GGUF || pare_text_has(b, pooler, -1)) {
        PARE_TRY(pare_text_linear(b, pooler, -1, x, width, width, PARE_BIAS_MUST, NULL, &x));
        PARE_TRY(pare_build_activation(&b->base, -1, "pooler.act", "pooler.act", act, x));
        x = pare_build_last(&b->base);
    }
    PARE_TRY(pare_text_linear(b, &parts[CLASSIFIER], -1, x, (uint32_t)t->shape[0], width,
                              PARE_BIAS_MUST, NULL, &x));
out:
    return rc;
}

static int add_head(struct pare_text_build *b, const json_t *config)
{
    const json_t *said = json_object_get(config, "pare");
    const char *pooling = json_string_value(json_object_get(said, "pooling"));
    const bool distil = is_distil(config);
    int rc = PARE_OK;
    if (pare_text_has(b, &parts[CLASSIFIER], -1)) {
        PARE_TRY(add_classifier(b, &parts[distil ? PRE_CLASSIFIER : POOLER],
                                distil ? PARE_ACT_RELU : PARE_ACT_TANH));
    } else {
        const bool first = pooling && strcmp(pooling, "cls") == 0;
        PARE_TRY(pare_build_pool(&b->base, "pool", pare_build_last(&b->base),
                                 first ? 0 : PARE_POOL_MEAN));
        if (json_is_true(json_object_get(said, "normalize")))
            PARE_TRY(add_normalize(b));
    }
    b->base.graph->output = pare_build_last(&b->base);
out:
    return rc;
}

/* Heads for training, poolers that embeddings do without, and counters. */
static bool may_be_unused(const char *name)
{
    return strstr(name, "pooler.") || strncmp(name, "cls.", 4) == 0 ||
           strncmp(name, "vocab_", 6) == 0 || strstr(name, "position_ids");
}

/* Files of the first years call a norm's weight gamma and its bias beta. */
static int rename_norms(struct pare_tensors *tensors, struct pare_error *err)
{
    static const char *const names[][2] = {{".gamma", ".weight"}, {".beta", ".bias"}};
    bool any = false;
    for (size_t i = 0; i < tensors->n; i++) {
        for (size_t k = 0; k < PARE_COUNT(names); k++) {
            char *name = tensors->items[i].name, *longer;
            size_t len = strlen(name), end = strlen(names[k][0]);
            if (len <= end || strcmp(name + len - end, names[k][0]) != 0)
                continue;
            longer = pare_realloc(name, len + 4, 1);
            if (!longer)
                return pare_error_nomem(err, len + 4);
            snprintf(longer + len - end, end + 4, "%s", names[k][1]);
            tensors->items[i].name = longer;
            any = true;
        }
    }
    if (any)
        pare_tensors_sort(tensors);
    return PARE_OK;
}

static int build_bert(const json_t *config, enum pare_dialect from, struct pare_tensors *tensors,
                      struct pare_model *model, struct pare_error *err)
{
    const enum pare_column column = from == PARE_DIALECT_GGUF ? PARE_COLUMN_GGUF
                                    : is_distil(config)       ? PARE_COLUMN_OTHER
                                                              : PARE_COLUMN_HF;
    struct pare_text_build b = {.base = {.tensors = tensors, .err = err},
                                .naming = namings[column]};
    int rc;
    PARE_TRY(read_dims(config, &b.d, err));
    PARE_TRY(rename_norms(tensors, err));
    if (!pare_text_has(&b, &parts[TOKEN], -1))
        b.naming.prefix = "";
    PARE_TRY(pare_text_begin(&b, model));
    PARE_TRY(add_embedding(&b, config));
    for (uint32_t i = 0; i < b.d.depth; i++)
        PARE_TRY(add_layer(&b, (int32_t)i));
    PARE_TRY(add_head(&b, config));
    PARE_TRY(pare_build_finish(&b.base, may_be_unused, "BERT"));
out:
    return rc;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static int put_layer(const struct pare_writing *w, const struct pare_naming *naming,
                     const struct pare_text_dims *d, int32_t block, uint32_t number)
{
    int rc = PARE_OK;
    for (int i = 0; i < TOKEN; i++) {
        const struct pare_node *node = pare_writing_node(w, block, parts[i].path);
        if (!node)
            return pare_text_missing(w, &parts[i], block);
        if (i != ATTN_NORM && i != FFN_NORM)
            PARE_TRY(pare_text_fits(w, node, i == UP ? d->ffn : d->hidden,
                                    i == DOWN ? d->ffn : d->hidden));
        PARE_TRY(pare_text_put(w, naming, &parts[i], block, number, NULL));
    }
out:
    return rc;
}

static int put_ends(const struct pare_writing *w, const struct pare_naming *naming)
{
    const struct pare_node *act = pare_writing_node(w, -1, "pooler.act");
    const bool relu = act && act->activation == PARE_ACT_RELU;
    int rc = PARE_OK;
    if (w->to == PARE_DIALECT_GGUF && relu)
        return pare_writing_refuse(w, "pooler.act is relu; a bert there has tanh");
    for (int i = TOKEN; i <= CLASSIFIER; i++) {
        if (i == (relu ? POOLER : PRE_CLASSIFIER) || !pare_writing_node(w, -1, parts[i].path))
            continue;
        PARE_TRY(pare_text_put(w, naming, &parts[i], -1, 0, NULL));
    }
out:
    return rc;
}

/* DistilBERT's configuration in BERT's words. */
static void as_bert(json_t *config, const struct pare_text_dims *d)
{
    json_object_set_new(config, "model_type", json_string("bert"));
    json_object_set_new(config, "hidden_size", json_integer(d->hidden));
    json_object_set_new(config, "intermediate_size", json_integer(d->ffn));
    json_object_set_new(config, "num_attention_heads", json_integer(d->heads));
    json_object_set_new(config, "layer_norm_eps", json_real((double)d->eps));
    json_object_set_new(config, "type_vocab_size", json_integer(1));
    json_object_set_new(config, "hidden_act", json_string(pare_activation_name(d->activation)));
}

static int write_bert(const struct pare_writing *w, json_t **config)
{
    const bool distil = is_distil(w->model->config),
               classifies = pare_writing_node(w, -1, "classifier") != NULL;
    struct pare_naming naming =
        namings[w->to == PARE_DIALECT_GGUF ? PARE_COLUMN_GGUF
                                           : (distil ? PARE_COLUMN_OTHER : PARE_COLUMN_HF)];
    struct pare_text_dims d = {0};
    uint32_t number = 0;
    int rc;
    if (!classifies)
        naming.prefix = "";
    PARE_TRY(read_dims(w->model->config, &d, w->err));
    pare_text_uniform(w, &d);
    PARE_TRY(pare_text_check(w, parts, PARE_COUNT(parts)));
    for (uint32_t b = 0; b < w->model->graph->blocks; b++) {
        if (pare_writing_has_layer(w, (int32_t)b))
            PARE_TRY(put_layer(w, &naming, &d, (int32_t)b, number++));
    }
    PARE_TRY(put_ends(w, &naming));
    const bool other = distil && w->to == PARE_DIALECT_HF;
    PARE_TRY(pare_text_config(w, number, other ? "n_layers" : "num_hidden_layers", config));
    json_object_set_new(*config, other ? "hidden_dim" : "intermediate_size", json_integer(d.ffn));
    if (w->to == PARE_DIALECT_GGUF && distil)
        as_bert(*config, &d);
    if (w->to == PARE_DIALECT_GGUF)
        json_object_set_new(*config, "layer_norm_eps", json_real((double)d.eps));
    if (classifies) {
        json_object_del(json_object_get(*config, "pare"), "pooling");
        json_object_del(json_object_get(*config, "pare"), "normalize");
    }
out:
    return rc;
}

/* ---- random models
 * ------------------------------------------------------------------------------- */

static int random_bert(const char *shape, uint64_t seed, struct pare_tensors *out, json_t **config,
                       json_t **preprocessor, struct pare_error *err)
{
    enum { CLASSES = 2 };
    struct pare_random r;
    char name[PARE_TENSOR_NAME];
    uint32_t s[6];
    int rc;
    *preprocessor = NULL;
    if (!pare_random_shape(shape, s, PARE_COUNT(s)))
        return pare_error_set(err, PARE_INVALID, "'%s' is no shape: %s", shape,
                              pare_family_bert.shape_help);
    const uint64_t vocabulary = s[0], context = s[1], width = s[2], depth = s[3], heads = s[4],
                   ffn = s[5];
    if (width % heads || depth > PARE_DEPTH_MAX || width > PARE_SIDE_MAX)
        return pare_error_set(err, PARE_INVALID,
                              "shape '%s': the width must divide into the heads, and layers be at "
                              "most %d",
                              shape, PARE_DEPTH_MAX);
    const uint64_t sizes[PARE_COUNT(parts)][2] = {
        [QUERY] = {width, width},  [KEY] = {width, width},         [VALUE] = {width, width},
        [OUTPUT] = {width, width}, [ATTN_NORM] = {width, 0},       [UP] = {ffn, width},
        [DOWN] = {width, ffn},     [FFN_NORM] = {width, 0},        [TOKEN] = {vocabulary, width},
        [SEGMENT] = {2, width},    [POSITION] = {context, width},  [EMBED_NORM] = {width, 0},
        [POOLER] = {width, width}, [CLASSIFIER] = {CLASSES, width}};
    pare_random_seed(&r, seed);
    for (uint64_t layer = 0; layer <= depth; layer++) {
        for (size_t i = 0; i < PARE_COUNT(parts); i++) {
            const bool table = i == TOKEN || i == SEGMENT || i == POSITION;
            if (parts[i].end != (layer == depth) || sizes[i][0] == 0)
                continue;
            pare_part_name(&namings[PARE_COLUMN_HF], &parts[i], (int32_t)layer, "", name);
            PARE_TRY(pare_random_pair(out, &r, name, sizes[i][1] ? 2 : 1, sizes[i], !table, err));
        }
    }
    *config = json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:s, s:f, s:{s:s, s:s}}",
                        "architectures", "BertForSequenceClassification", "model_type", "bert",
                        "vocab_size", (json_int_t)vocabulary, "max_position_embeddings",
                        (json_int_t)context, "hidden_size", (json_int_t)width, "num_hidden_layers",
                        (json_int_t)depth, "num_attention_heads", (json_int_t)heads,
                        "intermediate_size", (json_int_t)ffn, "type_vocab_size", 2, "hidden_act",
                        "gelu", "layer_norm_eps", 1e-12, "id2label", "0", "first", "1", "second");
    if (!*config)
        rc = pare_error_nomem(err, 0);
out:
    return rc;
}

const struct pare_family pare_family_bert = {
    .name = "bert",
    .model_types = (const char *const[]){"bert", "distilbert", NULL},
    .build = build_bert,
    .describe = describe_bert,
    .write = write_bert,
    .random = random_bert,
    .shape_help = "VOCABULARY,CONTEXT,WIDTH,DEPTH,HEADS,FFN, such as 512,128,64,4,4,256",
};
