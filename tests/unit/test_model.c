/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ggml_golden.h"
#include "tests/unit/own_encoding.h"
#include "tests/unit/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "model/branch.h"
#include "model/half.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "model/unit.h"
#include "model/weight.h"

static struct pare_error err;

/* ---- half precision
 * ------------------------------------------------------------------------------ */

START_TEST(halves_round_trip)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = pare_f16_to_f32((uint16_t)h);
        if (!isnan(f))
            ck_assert_uint_eq(pare_f32_to_f16(f), h);
        f = pare_bf16_to_f32((uint16_t)h);
        if (!isnan(f))
            ck_assert_uint_eq(pare_f32_to_bf16(f), h);
    }
    ck_assert_uint_eq(pare_f32_to_f16(65519.0f), 0x7bff); /* below the middle to infinity */
    ck_assert_uint_eq(pare_f32_to_f16(65520.0f), 0x7c00);
    ck_assert_uint_eq(pare_f32_to_f16(0x1p-25f), 0); /* ties to even */
    ck_assert_uint_eq(pare_f32_to_f16(0x1.8p-25f), 1);
    ck_assert_uint_eq(pare_f32_to_f16(1.0f + 0x1p-11f), 0x3c00);
}
END_TEST

/* ---- encodings
 * ----------------------------------------------------------------------------------- */

enum { ROWS = 5, COLS = 37 };

static struct pare_weight *random_weight(float *values)
{
    struct pare_random r;
    struct pare_weight *w;
    pare_random_seed(&r, 3);
    for (int i = 0; i < ROWS * COLS; i++)
        values[i] = (float)pare_random_normal(&r);
    ck_assert_ok(pare_weight_new(ROWS, COLS, values, &w, &err), err);
    return w;
}

/* Random integers for a 5 x 37 weight. */
static struct pare_integers random_integers(uint32_t bits, uint32_t group, uint32_t zero_kind,
                                            int16_t *codes, float *scales, float *zeros)
{
    struct pare_random r;
    uint32_t groups = group ? (COLS + group - 1) / group : 1;
    pare_random_seed(&r, bits * 100 + group);
    int lo = zero_kind ? 0 : -(1 << (bits - 1));
    for (int i = 0; i < ROWS * COLS; i++)
        codes[i] = (int16_t)(lo + (int)pare_random_below(&r, 1u << bits));
    for (uint32_t i = 0; i < ROWS * groups; i++) {
        scales[i] = pare_f16_to_f32(pare_f32_to_f16(0.01f + 0.1f * (float)pare_random_unit(&r)));
        zeros[i] = zero_kind == PARE_ZERO_INT ? (float)pare_random_below(&r, 1u << bits)
                                              : pare_f16_to_f32(pare_f32_to_f16(-1.0f));
    }
    return (struct pare_integers){.struct_size = sizeof(struct pare_integers),
                                  .bits = bits,
                                  .group_size = group,
                                  .zero_kind = zero_kind,
                                  .codes = codes,
                                  .scales = scales,
                                  .zeros = zero_kind ? zeros : NULL};
}

START_TEST(integers_decode_by_the_formula)
{
    static const uint32_t groups[] = {0, 8, 32};
    float values[ROWS * COLS], scales[ROWS * COLS], zeros[ROWS * COLS], back[ROWS * COLS];
    int16_t codes[ROWS * COLS], codes_back[ROWS * COLS];
    struct pare_weight *dense = random_weight(values), *w;
    for (uint32_t bits = 2; bits <= 8; bits++) {
        for (size_t g = 0; g < PARE_COUNT(groups); g++) {
            for (uint32_t zero = 0; zero <= PARE_ZERO_MIN; zero++) {
                struct pare_integers x =
                    random_integers(bits, groups[g], zero, codes, scales, zeros);
                ck_assert_ok(pare_weight_with_integers(dense, &x, &w, &err), err);
                pare_weight_decode(w, 0, ROWS, back);
                pare_weight_codes(w, 0, ROWS, codes_back);
                ck_assert_mem_eq(codes, codes_back, sizeof codes);
                uint32_t size = groups[g] ? groups[g] : COLS, n = (COLS + size - 1) / size;
                for (uint32_t i = 0; i < ROWS * COLS; i++) {
                    uint32_t at = i / COLS * n + i % COLS / size;
                    float z = zero ? zeros[at] : 0;
                    float want = zero == PARE_ZERO_MIN ? scales[at] * (float)codes[i] + z
                                                       : scales[at] * ((float)codes[i] - z);
                    ck_assert(back[i] == want);
                }
                pare_weight_unref(w);
            }
        }
    }
    pare_weight_unref(dense);
}
END_TEST

START_TEST(ggml_layouts_are_exact)
{
    /* 32 columns: byte j of Q4_0 holds codes j and j + 16 plus 8; Q8_0 holds two's complement */
    float values[32] = {0}, scale = 0.5f;
    int16_t codes[32];
    struct pare_weight *dense, *w;
    struct pare_integers x = {
        .struct_size = sizeof x, .bits = 4, .group_size = 32, .codes = codes, .scales = &scale};
    for (int i = 0; i < 32; i++)
        codes[i] = (int16_t)(i % 16 - 8);
    ck_assert_ok(pare_weight_new(1, 32, values, &dense, &err), err);
    ck_assert_ok(pare_weight_with_integers(dense, &x, &w, &err), err);
    ck_assert_uint_eq(w->stored->size, 16);
    for (int j = 0; j < 16; j++)
        ck_assert_uint_eq(((uint8_t *)w->stored->data)[j],
                          (unsigned)((codes[j] + 8) | (codes[j + 16] + 8) << 4));
    pare_weight_unref(w);
    x.bits = 8;
    ck_assert_ok(pare_weight_with_integers(dense, &x, &w, &err), err);
    ck_assert_uint_eq(w->stored->size, 32);
    for (int j = 0; j < 32; j++)
        ck_assert_int_eq(((int8_t *)w->stored->data)[j], codes[j]);
    pare_weight_unref(w);
    pare_weight_unref(dense);
}
END_TEST

/* Keep at most n of each m, differently in every row. */
static void random_mask(uint32_t n, uint32_t m, uint8_t *keep)
{
    struct pare_random r;
    pare_random_seed(&r, n * 17 + m);
    for (uint32_t row = 0; row < ROWS; row++) {
        for (uint32_t c = 0; c < COLS; c++) {
            uint32_t start = m ? c / m * m : c, before = 0;
            for (uint32_t j = start; j < c; j++)
                before += keep[row * COLS + j];
            keep[row * COLS + c] = (m == 0 || before < n) && pare_random_below(&r, 3) != 0;
        }
    }
}

START_TEST(structure_keeps_values_and_codes)
{
    static const uint32_t patterns[][2] = {{2, 4}, {4, 8}, {1, 4}, {3, 16}, {2, 2}, {0, 0}};
    float values[ROWS * COLS], scales[ROWS * COLS], zeros[ROWS * COLS], back[ROWS * COLS],
        before[ROWS * COLS];
    int16_t codes[ROWS * COLS];
    uint8_t keep[ROWS * COLS];
    struct pare_weight *dense = random_weight(values), *sparse, *ints, *both, *other;
    for (size_t p = 0; p < PARE_COUNT(patterns); p++) {
        uint32_t n = patterns[p][0], m = patterns[p][1];
        random_mask(n, m, keep);
        ck_assert_ok(pare_weight_with_structure(dense, n, m, keep, &sparse, &err), err);
        pare_weight_decode(sparse, 0, ROWS, back);
        for (int i = 0; i < ROWS * COLS; i++)
            ck_assert(back[i] == (keep[i] ? values[i] : 0));
        /* integers on the structure, and the structure on integers, give the same numbers */
        struct pare_integers x = random_integers(4, 8, PARE_ZERO_INT, codes, scales, zeros);
        ck_assert_ok(pare_weight_with_integers(sparse, &x, &both, &err), err);
        ck_assert_ok(pare_weight_with_integers(dense, &x, &ints, &err), err);
        ck_assert_ok(pare_weight_with_structure(ints, n, m, keep, &other, &err), err);
        pare_weight_decode(both, 0, ROWS, back);
        pare_weight_decode(ints, 0, ROWS, before);
        for (int i = 0; i < ROWS * COLS; i++)
            ck_assert(back[i] == (keep[i] ? before[i] : 0));
        pare_weight_decode(other, 0, ROWS, before);
        ck_assert_mem_eq(back, before, sizeof back);
        pare_weight_unref(other);
        /* new values stay where the structure allows them */
        for (int i = 0; i < ROWS * COLS; i++)
            before[i] = 1;
        ck_assert_ok(pare_weight_with_values(both, before, &other, &err), err);
        float now[ROWS * COLS];
        pare_weight_decode(other, 0, ROWS, now);
        for (int i = 0; i < ROWS * COLS; i++)
            ck_assert(now[i] == (keep[i] && back[i] != 0 ? 1 : 0) ||
                      (m == 0 && keep[i] && now[i] == 1));
        pare_weight_unref(other);
        pare_weight_unref(both);
        pare_weight_unref(ints);
        pare_weight_unref(sparse);
    }
    pare_weight_unref(dense);
}
END_TEST

START_TEST(weights_refuse_nonsense)
{
    float values[ROWS * COLS], scale[ROWS] = {1, 1, 1, 1, 1};
    int16_t codes[ROWS * COLS] = {9};
    uint8_t keep[ROWS * COLS];
    struct pare_weight *dense = random_weight(values), *w;
    struct pare_integers x = {.struct_size = sizeof x, .bits = 4, .codes = codes, .scales = scale};
    ck_assert_int_eq(pare_weight_with_integers(dense, &x, &w, &err), PARE_INVALID); /* 9 > 7 */
    codes[0] = 0;
    scale[2] = 1e6f;
    ck_assert_int_eq(pare_weight_with_integers(dense, &x, &w, &err), PARE_INVALID);
    memset(keep, 1, sizeof keep);
    ck_assert_int_eq(pare_weight_with_structure(dense, 2, 4, keep, &w, &err), PARE_INVALID);
    ck_assert_int_eq(pare_weight_with_structure(dense, 2, 64, keep, &w, &err), PARE_INVALID);
    values[7] = NAN;
    ck_assert_int_eq(pare_weight_new(ROWS, COLS, values, &w, &err), PARE_INVALID);
    ck_assert_int_eq(pare_weight_new(0, COLS, values, &w, &err), PARE_INVALID);
    pare_weight_unref(dense);
}
END_TEST

/* ---- safetensors: what strangers write
 * ----------------------------------------------------------- */

static int open_text(const char *dir, uint64_t length, const char *header, size_t payload)
{
    char path[4200];
    char *file = calloc(1, 8 + strlen(header) + payload + 1);
    struct pare_tensors t;
    for (int i = 0; i < 8; i++)
        file[i] = (char)(length >> 8 * i);
    memcpy(file + 8, header, strlen(header));
    snprintf(path, sizeof path, "%s/x.safetensors", dir);
    ck_assert_ok(pare_file_write(path, file, 8 + strlen(header) + payload, &err), err);
    int rc = pare_tensors_open(path, &t, &err);
    if (rc == PARE_OK)
        pare_tensors_free(&t);
    free(file);
    return rc;
}

START_TEST(safetensors_refused)
{
    static const struct {
        const char *header;
        size_t payload;
        const char *says;
    } cases[] = {
        {"{}", 0, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, NULL},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "outside the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "do not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "outside the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, "no sizes"},
        {"{\"a\":{\"dtype\":\"F99\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}", 8,
         "absurd"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\","
         "\"shape\":[2],"
         "\"data_offsets\":[4,12]}}",
         12, "overlap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\","
         "\"shape\":[2],"
         "\"data_offsets\":[0,8]}}",
         8, "JSON"},
        {"{\"a\":[]}", 0, "dtype"},
        {"[]", 0, "JSON"},
        {"{\"a\":", 0, "JSON"},
        {"{\"__metadata__\":{\"x\":1}}", 0, "text"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
         "dimensions"},
    };
    const char *dir = pare_test_folder();
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        int rc = open_text(dir, strlen(cases[i].header), cases[i].header, cases[i].payload);
        if (!cases[i].says) {
            ck_assert_msg(rc == PARE_OK, "%s: %s", cases[i].header, err.what);
            continue;
        }
        ck_assert_msg(rc == PARE_INVALID, "%s was taken", cases[i].header);
        ck_assert_msg(strstr(err.what, cases[i].says) != NULL, "%s gives '%s'", cases[i].header,
                      err.what);
    }
    ck_assert_int_eq(open_text(dir, 1000, "{}", 0), PARE_INVALID); /* longer than the file */
    ck_assert_int_eq(open_text(dir, UINT64_MAX, "{}", 0), PARE_INVALID);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* ---- the shipped model
 * --------------------------------------------------------------------------- */

static struct pare_model *shipped(void)
{
    struct pare_model *model;
    ck_assert_ok(pare_model_open(pare_test_source("share/models/fashion-vit"), &model, &err), err);
    return model;
}

START_TEST(shipped_model_is_understood)
{
    struct pare_model *model = shipped();
    struct pare_units units;
    ck_assert_uint_eq(pare_graph_parameters(model->graph), 754186);
    ck_assert_uint_eq(model->n_labels, 10);
    ck_assert_str_eq(model->labels[9], "Ankle boot");
    static const struct {
        unsigned kind, n;
    } counts[] = {{PARE_UNIT_LINEAR, 50}, {PARE_UNIT_HEAD, 24}, {PARE_UNIT_CHANNEL, 8 * 288},
                  {PARE_UNIT_BRANCH, 16}, {PARE_UNIT_BLOCK, 8}, {PARE_UNIT_STREAM, 8}};
    for (size_t i = 0; i < PARE_COUNT(counts); i++) {
        ck_assert_ok(pare_units_of(model->graph, counts[i].kind, &units, &err), err);
        ck_assert_uint_eq(units.n, counts[i].n);
        pare_units_free(&units);
    }
    pare_model_free(model);
}
END_TEST

START_TEST(selectors_choose)
{
    struct pare_model *model = shipped();
    struct pare_units units;
    static const struct {
        const char *on;
        unsigned n;
    } cases[] = {{"*", 50},
                 {"**", 50},
                 {"layer.3", 6},
                 {"layer.3.attn", 4},
                 {"layer.*.ffn.*", 16},
                 {"role:classifier", 1},
                 {"role:attention.*", 32},
                 {"layer.9.**", 0},
                 {"embed.patch", 1}};
    ck_assert_ok(pare_units_of(model->graph, PARE_UNIT_LINEAR, &units, &err), err);
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        unsigned n = 0;
        for (size_t u = 0; u < units.n; u++)
            n += pare_unit_chosen(&units.items[u], &cases[i].on, 1, NULL, 0);
        ck_assert_msg(n == cases[i].n, "%s takes %u", cases[i].on, n);
    }
    pare_units_free(&units);
    pare_model_free(model);
}
END_TEST

static const char *hash_of(struct pare_model *model)
{
    const char *text;
    ck_assert_ok(pare_model_hash(model, &text, &err), err);
    return text;
}

START_TEST(own_format_is_bit_for_bit)
{
    struct pare_model *model = shipped(), *back;
    const char *dir = pare_test_folder();
    char path[4200];
    snprintf(path, sizeof path, "%s/m.safetensors", dir);
    ck_assert_ok(pare_graph_merge_tokens(model->graph, "layer.2.stream", 3, &err), err);
    ck_assert_ok(pare_graph_merge_tokens(model->graph, "layer.4.stream", 3, &err), err);
    struct pare_graph *changed;
    struct pare_model *variant;
    ck_assert_ok(pare_graph_copy(model->graph, &changed, &err), err);
    ck_assert_ok(pare_graph_drop_branch(changed, "layer.1.ffn", NULL, NULL, &err), err);
    ck_assert_ok(pare_model_with_graph(model, changed, &variant, &err), err);
    ck_assert_str_ne(hash_of(variant), hash_of(model));
    ck_assert_ok(pare_model_write(variant, path, NULL, &err), err);
    ck_assert_ok(pare_model_open(path, &back, &err), err);
    ck_assert_str_eq(hash_of(back), hash_of(variant));
    ck_assert_str_eq(back->labels[0], "T-shirt/top");
    ck_assert_uint_eq(pare_graph_bytes(back->graph), pare_graph_bytes(variant->graph));
    ck_assert_ok(pare_remove_tree(dir, &err), err);
    pare_model_free(back);
    pare_model_free(variant);
    pare_model_free(model);
}
END_TEST

/* A weight's numbers in one of ggml's types; where Pare does not write it, blocks of the golden
 * data.
 */
static struct pare_weight *in_type(const struct pare_weight *w, const struct pare_ggml_kind *kind)
{
    size_t n = (size_t)w->rows * w->cols, bytes;
    float *x = malloc(n * sizeof *x);
    struct pare_blob *blob;
    struct pare_weight *out;
    pare_weight_decode(w, 0, w->rows, x);
    ck_assert(pare_ggml_bytes(kind, n, &bytes));
    ck_assert_ok(pare_blob_new(bytes, 1, &blob, &err), err);
    if (kind->encodes) {
        ck_assert_ok(pare_ggml_encode(kind->type, x, n, blob->data, &err), err);
    } else {
        for (size_t i = 0; i < PARE_COUNT(golden); i++) {
            for (size_t b = 0; golden[i].type == kind->type && b < bytes; b += kind->bytes)
                memcpy((char *)blob->data + b, golden[i].blocks, kind->bytes);
        }
    }
    ck_assert_ok(pare_weight_from_ggml(kind->type, w->rows, w->cols, blob, &out, &err), err);
    pare_blob_unref(blob);
    free(x);
    return out;
}

/* Change every `from` in a file to `to`, which is as long, and try to open it. */
static int open_changed(const char *path, const char *from, const char *to)
{
    char *text;
    size_t size, n = strlen(from), found = 0;
    struct pare_model *model;
    ck_assert_ok(pare_file_read(path, (size_t)1 << 28, &text, &size, &err), err);
    for (size_t i = 0; i + n <= size; i++) {
        if (memcmp(text + i, from, n) == 0) {
            memcpy(text + i, to, n);
            found++;
        }
    }
    ck_assert_uint_gt(found, 0);
    char other[4200];
    snprintf(other, sizeof other, "%s.changed.safetensors", path);
    ck_assert_ok(pare_file_write(other, text, size, &err), err);
    free(text);
    int rc = pare_model_open(other, &model, &err);
    if (rc == PARE_OK)
        pare_model_free(model);
    return rc;
}

START_TEST(own_format_holds_every_encoding)
{
    const char *dir = pare_test_folder();
    char path[4200], config_path[4200], *text;
    struct pare_tensors tensors = {0};
    json_t *config, *preprocessor;
    struct pare_model *model, *variant, *back;
    struct pare_graph *g;
    size_t n_kinds, k = 0;
    const struct pare_ggml_kind *kinds = pare_ggml_kinds(&n_kinds);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    snprintf(config_path, sizeof config_path, "%s/config.json", dir);
    ck_assert_ok(
        pare_family_vit.random("8,4,1,256,2,4,256", 1, &tensors, &config, &preprocessor, &err),
        err);
    text = json_dumps(config, 0);
    ck_assert_ok(pare_tensors_write(path, &tensors, &err), err);
    ck_assert_ok(pare_file_write(config_path, text, strlen(text), &err), err);
    free(text);
    json_decref(config);
    json_decref(preprocessor);
    pare_tensors_free(&tensors);
    ck_assert_ok(pare_model_open(dir, &model, &err), err);
    ck_assert_ok(pare_graph_copy(model->graph, &g, &err), err);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        struct pare_weight *w = g->nodes[i].weight;
        if (!w || w->cols != 256 || k == n_kinds)
            continue;
        g->nodes[i].weight = in_type(w, &kinds[k++]);
        pare_weight_unref(w);
    }
    ck_assert_uint_eq(k, n_kinds);
    ck_assert_ok(pare_model_with_graph(model, g, &variant, &err), err);
    ck_assert_ok(pare_model_write(variant, path, NULL, &err), err);
    ck_assert_ok(pare_model_open(path, &back, &err), err);
    ck_assert_str_eq(hash_of(back), hash_of(variant));
    ck_assert_uint_eq(pare_graph_bytes(back->graph), pare_graph_bytes(variant->graph));
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_weight *a = g->nodes[i].weight, *b = back->graph->nodes[i].weight;
        if (!a)
            continue;
        ck_assert(a->values == b->values && a->ggml == b->ggml && a->bits == b->bits &&
                  a->zero_kind == b->zero_kind && a->group == b->group && a->groups == b->groups);
        ck_assert_uint_eq(a->stored->size, b->stored->size);
        ck_assert_mem_eq(a->stored->data, b->stored->data, a->stored->size);
    }
    ck_assert_ok(open_changed(path, "Q4_K", "Q4_K"), err);
    ck_assert_int_eq(open_changed(path, "\\\"Q4_K\\\"", "\\\"Q4_X\\\""), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "blocks of no known type"));
    ck_assert_int_eq(open_changed(path, "\\\"Q4_K\\\"", "\\\"Q5_K\\\""), PARE_INVALID);
    ck_assert_int_eq(open_changed(path, "\\\"bf16\\\"", "\\\"bf61\\\""), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "values of no known kind"));
    ck_assert_int_eq(open_changed(path, "dense", "n:m:x"), PARE_INVALID);
    pare_model_free(back);
    pare_model_free(variant);
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

/* The shipped model with its widest linears in an encoding of a plugin. */
static struct pare_model *encoded_model(const char *id, const struct pare_encoding *table)
{
    struct pare_model *model = shipped(), *out;
    struct pare_graph *g;
    ck_assert_ok(pare_graph_copy(model->graph, &g, &err), err);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        struct pare_weight *w = g->nodes[i].weight;
        if (!w || w->cols < 100 || g->nodes[i].op != PARE_OP_LINEAR)
            continue;
        g->nodes[i].weight = own_weight(id, table, w->rows, w->cols, w->stored->data);
        pare_weight_unref(w);
    }
    ck_assert_ok(pare_model_with_graph(model, g, &out, &err), err);
    pare_model_free(model);
    return out;
}

static const char *asked_for;

static int resolve(const char *id, struct pare_error *e)
{
    asked_for = strcmp(id, "test.owo") == 0 ? "test.owo" : "another";
    return pare_error_set(e, PARE_NOT_FOUND, "no plugin is called '%s'", id);
}

START_TEST(own_format_holds_encodings_of_plugins)
{
    const char *dir = pare_test_folder();
    char path[4200], what[48];
    struct pare_model *model = encoded_model("test.own", &own_encoding), *back;
    struct pare_blob *data;
    uint32_t type;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    ck_assert_ok(pare_model_write(model, path, NULL, &err), err);
    ck_assert_ok(pare_model_open(path, &back, &err), err);
    ck_assert_str_eq(hash_of(back), hash_of(model));
    ck_assert_uint_eq(pare_graph_bytes(back->graph), pare_graph_bytes(model->graph));
    size_t seen = 0;
    for (uint32_t i = 0; i < model->graph->n_nodes; i++) {
        struct pare_weight *a = model->graph->nodes[i].weight, *b = back->graph->nodes[i].weight,
                           *other;
        if (!a || !a->encoding)
            continue;
        seen++;
        ck_assert_ptr_eq(a->encoding, b->encoding);
        ck_assert_uint_eq(a->stored->size, a->rows * (4 + a->cols));
        ck_assert_mem_eq(a->stored->data, b->stored->data, a->stored->size);
        pare_weight_describe(b, what);
        ck_assert_ptr_nonnull(strstr(what, "own8 of"));
        ck_assert_uint_eq(pare_weight_stored(b), (uint64_t)b->rows * b->cols);
        /* other programs cannot read it; rows cannot go; a mask makes it f32 */
        ck_assert_int_eq(pare_weight_to_ggml(b, 1, &type, &data, &err), PARE_UNSUPPORTED);
        uint8_t *keep = calloc((size_t)b->rows * b->cols, 1);
        keep[0] = keep[1] = 1;
        ck_assert_int_eq(pare_weight_select(b, keep, NULL, &other, &err), PARE_UNSUPPORTED);
        ck_assert_ok(pare_weight_with_structure(b, 0, 0, keep, &other, &err), err);
        ck_assert(other->values == PARE_VALUES_F32 && other->structure == PARE_BITMAP);
        pare_weight_unref(other);
        free(keep);
    }
    ck_assert_uint_ge(seen, 4);
    pare_model_free(back);
    /* what nobody brings, and bytes that are none */
    ck_assert_int_eq(open_changed(path, "test.own", "test.owo"), PARE_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.what, "'test.owo'"));
    ck_assert_ptr_nonnull(strstr(err.hint, "pare_rt_plugin"));
    pare_encoding_set_resolver(resolve);
    ck_assert_int_eq(open_changed(path, "test.own", "test.owo"), PARE_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.hint, "PARE_PLUGIN_PATH"));
    ck_assert_ptr_nonnull(strstr(err.detail, "no plugin is called 'test.owo'"));
    ck_assert_str_eq(asked_for, "test.owo");
    pare_model_free(model);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(encodings_refuse_nonsense)
{
    static const struct pare_encoding half = {.struct_size = sizeof half, .check = own_check};
    const float values[6] = {1, 2, 3, 4, 5, 6};
    const struct pare_own_encoding *own;
    struct pare_blob *blob;
    struct pare_weight *w = own_weight("test.own", &own_encoding, 2, 3, values), *bad;
    struct pare_encoding copy = own_encoding;
    ck_assert_ok(pare_encoding_add("test.own", &own_encoding, "a", "fast", &err), err);
    ck_assert_ok(pare_encoding_add("test.own", &copy, "b", "fast", &err), err);
    ck_assert_int_eq(pare_encoding_add("test.own", &slow_encoding, "c", "slow", &err),
                     PARE_INVALID);
    ck_assert_str_eq(err.detail, "test.own and c");
    ck_assert_int_eq(pare_encoding_add("test.half", &half, "a", "", &err), PARE_INVALID);
    ck_assert_int_eq(pare_encoding_add("test.none", NULL, "a", "", &err), PARE_INVALID);
    ck_assert_ok(pare_encoding_find("test.own", &own, &err), err);
    ck_assert_ok(pare_blob_copy(w->stored->data, w->stored->size, 1, &blob, &err), err);
    ck_assert_int_eq(pare_weight_encoded(own, 3, 3, blob, &bad, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "another size"));
    ((float *)blob->data)[1] = INFINITY;
    ck_assert_int_eq(pare_weight_encoded(own, 2, 3, blob, &bad, &err), PARE_INVALID);
    ((float *)blob->data)[1] = 3e38f; /* finite, and what it decodes to is not */
    ck_assert_int_eq(pare_weight_encoded(own, 2, 3, blob, &bad, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "not finite"));
    pare_blob_unref(blob);
    pare_weight_unref(w);
}
END_TEST

START_TEST(hugging_face_round_trip)
{
    struct pare_model *model = shipped(), *back;
    const char *dir = pare_test_folder();
    ck_assert_ok(pare_model_write_hf(model, dir, false, &err), err);
    ck_assert_ok(pare_model_open(dir, &back, &err), err);
    ck_assert_str_eq(hash_of(back), hash_of(model));
    pare_model_free(back);
    ck_assert_ok(pare_graph_drop_branch(model->graph, "layer.1.ffn", NULL, NULL, &err), err);
    ck_assert_int_eq(pare_model_write_hf(model, dir, false, &err), PARE_UNSUPPORTED);
    ck_assert(strstr(err.what, "layer.1") != NULL);
    ck_assert_ok(pare_graph_drop_branch(model->graph, "layer.1.attn", NULL, NULL, &err), err);
    ck_assert_ok(pare_model_write_hf(model, dir, false, &err),
                 err); /* a whole block less: renumbered */
    ck_assert_ok(pare_model_open(dir, &back, &err), err);
    ck_assert_uint_eq(back->graph->blocks, 7);
    pare_model_free(back);
    ck_assert_ok(pare_remove_tree(dir, &err), err);
    pare_model_free(model);
}
END_TEST

START_TEST(surgery_keeps_the_graph_whole)
{
    struct pare_model *model = shipped();
    struct pare_graph *g = model->graph;
    struct pare_units units;
    uint8_t heads[3] = {1, 0, 1}, channels[288];
    float *map = calloc(96 * 96, sizeof *map), mean[96] = {0};
    uint64_t macs = pare_graph_macs(g);
    ck_assert_ok(pare_graph_keep_heads(g, "layer.0.attn", heads, 3, NULL, &err), err);
    ck_assert_ok(pare_units_of(g, PARE_UNIT_HEAD, &units, &err), err);
    ck_assert_uint_eq(units.n, 23);
    ck_assert_str_eq(units.items[1].path, "layer.0.attn.head.2"); /* paths are for ever */
    pare_units_free(&units);
    for (int i = 0; i < 288; i++)
        channels[i] = i % 3 != 0;
    ck_assert_ok(pare_graph_keep_channels(g, "layer.5.ffn", channels, 288, NULL, &err), err);
    ck_assert_ok(pare_units_of(g, PARE_UNIT_CHANNEL, &units, &err), err);
    ck_assert_uint_eq(units.n, 8 * 288 - 96);
    pare_units_free(&units);
    ck_assert(pare_graph_macs(g) < macs);
    ck_assert_ok(pare_graph_drop_branch(g, "layer.2.attn", mean, NULL, &err), err);
    ck_assert_ok(pare_graph_drop_branch(g, "layer.3.attn", mean, map, &err), err);
    ck_assert_int_ge(pare_graph_find(g, "layer.3.attn.map"), 0);
    ck_assert_int_ge(pare_graph_find(g, "layer.2.attn.mean"), 0);
    ck_assert_int_lt(pare_graph_find(g, "layer.2.attn.query"), 0);
    ck_assert_int_eq(pare_graph_merge_tokens(g, "layer.2.stream", 2, &err), PARE_NOT_FOUND);
    ck_assert_ok(pare_graph_merge_tokens(g, "layer.4.stream", 10, &err), err);
    ck_assert_int_eq(pare_graph_drop_branch(g, "layer.4.attn", NULL, NULL, &err), PARE_UNSUPPORTED);
    ck_assert_int_eq(pare_graph_drop_branch(g, "layer.2.attn", NULL, NULL, &err), PARE_NOT_FOUND);
    memset(heads, 0, sizeof heads);
    ck_assert_int_eq(pare_graph_keep_heads(g, "layer.1.attn", heads, 3, NULL, &err), PARE_INVALID);
    ck_assert_ok(pare_graph_infer(g, &err), err);
    free(map);
    pare_model_free(model);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("model");
    TCase *tc = pare_test_case(s, "model");
    tcase_add_test(tc, halves_round_trip);
    tcase_add_test(tc, integers_decode_by_the_formula);
    tcase_add_test(tc, ggml_layouts_are_exact);
    tcase_add_test(tc, structure_keeps_values_and_codes);
    tcase_add_test(tc, weights_refuse_nonsense);
    tcase_add_test(tc, safetensors_refused);
    tcase_add_test(tc, shipped_model_is_understood);
    tcase_add_test(tc, selectors_choose);
    tcase_add_test(tc, own_format_is_bit_for_bit);
    tcase_add_test(tc, own_format_holds_every_encoding);
    tcase_add_test(tc, own_format_holds_encodings_of_plugins);
    tcase_add_test(tc, encodings_refuse_nonsense);
    tcase_add_test(tc, hugging_face_round_trip);
    tcase_add_test(tc, surgery_keeps_the_graph_whole);
    return pare_test_main(&s, 1);
}
