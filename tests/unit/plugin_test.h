/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_TEST_H
#define PARE_PLUGIN_TEST_H

#include "tests/unit/test.h"

#include <jansson.h>
#include <omp.h>
#include <zlib.h>

#include "base/random.h"
#include "base/str.h"
#include "engine/plan.h"
#include "model/branch.h"
#include "model/model.h"
#include "model/unit.h"
#include "plugin/descriptor.h"
#include "plugin/stage.h"

/* What tests of plugins share: the shipped model with calibration images, a step from a few words,
 * and a graph put together by hand for golden vectors. Nothing here runs in the parent of a test:
 * Check forks, and a process that used OpenMP must not. */

struct world {
    struct pare_catalog *catalog;
    struct pare_model *model; /* NULL: a graph by hand */
    float *images;
    uint32_t *labels;
    uint32_t n;
    struct pare_stage_env env;
    struct pare_error err;
};

/* Read the first n samples of gzipped IDX: ubyte images, normalised as the model wants them. */
static inline void world_read_idx(struct world *w, const char *split)
{
    char path[256];
    unsigned char head[16], *bytes = malloc((size_t)w->n * 784);
    ck_assert_ptr_nonnull(bytes);
    snprintf(path, sizeof path, "share/data/fashion-mnist/%s-images-idx3-ubyte.gz", split);
    gzFile f = gzopen(pare_test_source(path), "rb");
    ck_assert_msg(f && gzread(f, head, 16) == 16 && head[2] == 8 && head[3] == 3, "%s", path);
    ck_assert_int_eq(gzread(f, bytes, w->n * 784), (int)(w->n * 784));
    gzclose(f);
    for (size_t i = 0; i < (size_t)w->n * 784; i++)
        w->images[i] = ((float)bytes[i] / 255.0f - 0.286f) / 0.353f;
    snprintf(path, sizeof path, "share/data/fashion-mnist/%s-labels-idx1-ubyte.gz", split);
    f = gzopen(pare_test_source(path), "rb");
    ck_assert_msg(f && gzread(f, head, 8) == 8 && head[3] == 1, "%s", path);
    ck_assert_int_eq(gzread(f, bytes, w->n), (int)w->n);
    gzclose(f);
    for (uint32_t i = 0; i < w->n; i++)
        w->labels[i] = bytes[i];
    free(bytes);
}

static inline void world_begin(struct world *w, uint32_t n, size_t pixels)
{
    char path[2 * 4096];
    const char *top = getenv("PARE_TOP_BUILD");
    *w = (struct world){.n = n};
    omp_set_num_threads(1);
    if (top) { /* the plugins, and those that only tests have */
        snprintf(path, sizeof path, "%s/plugins:%s/tests/plugins", top, top);
        setenv("PARE_PLUGIN_PATH", path, 1);
    }
    ck_assert_ok(pare_catalog_new(&w->catalog, &w->err), w->err);
    w->images = pare_alloc(n * pixels, sizeof *w->images);
    w->labels = pare_calloc(n, sizeof *w->labels);
    ck_assert(w->images && w->labels);
    w->env = (struct pare_stage_env){.catalog = w->catalog,
                                     .images = w->images,
                                     .labels = w->labels,
                                     .n = n,
                                     .seed = 1,
                                     .threads = 1};
}

/* The shipped Vision Transformer with n images of a split ("calibration" or "test"). */
static inline void world_open_split(struct world *w, uint32_t n, const char *split)
{
    world_begin(w, n, 784);
    ck_assert_ok(pare_model_open(pare_test_source("share/models/fashion-vit"), &w->model, &w->err),
                 w->err);
    w->env.baseline = w->model->graph;
    world_read_idx(w, split);
}

static inline void world_open(struct world *w, uint32_t n)
{
    world_open_split(w, n, "calibration");
}

static inline void world_close(struct world *w)
{
    pare_model_free(w->model);
    pare_catalog_free(w->catalog);
    free(w->images);
    free(w->labels);
}

/* Threads of everything: the host's loops, the engine, and what libraries take from OpenMP. */
static inline void world_threads(struct world *w, uint32_t threads)
{
    w->env.threads = threads;
    omp_set_num_threads((int)threads);
}

static inline struct pare_graph *world_copy(struct world *w, const struct pare_graph *from)
{
    struct pare_graph *g = NULL;
    ck_assert_ok(pare_graph_copy(from, &g, &w->err), w->err);
    return g;
}

/* ---- steps
 * --------------------------------------------------------------------------------------- */

static inline const struct pare_plugin_file *world_plugin(struct world *w, const char *id)
{
    const struct pare_plugin_file *file = NULL;
    ck_assert_ok(pare_catalog_find(w->catalog, id, NULL, &file, &w->err), w->err);
    return file;
}

static inline void world_complete(struct world *w, const struct pare_plugin *desc, json_t *params);

/* "zd", or {"plugin": "zd", "params": {...}}, with all parameters filled in. */
static inline json_t *world_plugin_value(struct world *w, json_t *value)
{
    if (json_is_string(value)) {
        json_t *whole = json_pack("{s:O}", "plugin", value);
        json_decref(value);
        value = whole;
    }
    if (!json_object_get(value, "params"))
        json_object_set_new(value, "params", json_object());
    const struct pare_plugin_file *file =
        world_plugin(w, json_string_value(json_object_get(value, "plugin")));
    world_complete(w, &file->desc, json_object_get(value, "params"));
    return value;
}

/* A default, which the descriptor holds as text. */
static inline json_t *world_default(struct world *w, const struct pare_param *p)
{
    const char *text = p->dflt;
    switch (p->type) {
    case PARE_INT:
    case PARE_REAL:
    case PARE_BOOL:
        return json_loads(text, JSON_DECODE_ANY, NULL);
    case PARE_INTS:
        return json_loads(text ? text : "[]", JSON_DECODE_ANY, NULL);
    case PARE_SCORED:
        return text ? world_plugin_value(w, json_string(text)) : json_null();
    default:
        return json_string(text ? text : "");
    }
}

/* Fill an object of parameters up to the canonical form of plugin/step.h. */
static inline void world_complete(struct world *w, const struct pare_plugin *desc, json_t *params)
{
    for (uint32_t i = 0; i < desc->n_params; i++) {
        const struct pare_param *p = &desc->params[i];
        json_t *have = json_object_get(params, p->name);
        if (!have) {
            ck_assert_msg(!(p->param_flags & PARE_PARAM_REQUIRED), "%s is required", p->name);
            json_object_set_new(params, p->name, world_default(w, p));
        } else if (p->type == PARE_SCORED) {
            json_object_set_new(params, p->name, world_plugin_value(w, json_incref(have)));
        } else if (json_is_object(have) && json_object_get(have, "allocate")) {
            json_t *how = json_object_get(have, "allocate"),
                   *score = json_object_get(have, "score");
            json_object_set_new(have, "allocate", world_plugin_value(w, json_incref(how)));
            if (score && !json_is_null(score))
                json_object_set_new(have, "score", world_plugin_value(w, json_incref(score)));
        }
    }
}

/* Parameters from JSON with single quotes, so that C strings stay readable: "{'bits': 3}". */
static inline json_t *world_params(struct world *w, const struct pare_plugin *desc,
                                   const char *text)
{
    char *json = strdup(text && *text ? text : "{}");
    json_error_t why;
    for (char *p = json; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *params = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    ck_assert_msg(params != NULL, "%s: %s", text, why.text);
    free(json);
    const char *name;
    json_t *value;
    json_object_foreach(params, name, value)
        ck_assert_msg(pare_plugin_param(desc, name) != NULL, "no parameter %s", name);
    world_complete(w, desc, params);
    return params;
}

/* Apply a plugin that is at hand; `on` and `except` are one selector each, NULL: its defaults. */
static inline int world_apply_file(struct world *w, struct pare_graph *g,
                                   const struct pare_plugin_file *file, const char *params,
                                   const char *on, const char *except)
{
    const char *default_on = file->desc.on ? file->desc.on : "**";
    const char *const take[] = {on ? on : default_on, NULL};
    const char *const leave[] = {except ? except : file->desc.except, NULL};
    json_t *all = world_params(w, &file->desc, params);
    struct pare_step step = {
        .stage = "test", .plugin = file, .on = take, .except = leave, .params = all};
    w->err = (struct pare_error){0};
    struct pare_units units = {0};
    int rc = pare_units_of(g, ~0u, &units, &w->err);
    if (rc == PARE_OK)
        rc = pare_stage_check(w->catalog, &units, &step, &w->err);
    pare_units_free(&units);
    if (rc == PARE_OK)
        rc = pare_stage_apply(&w->env, g, &step, &w->err);
    json_decref(all);
    ck_assert_msg(rc == PARE_OK || w->err.what[0], "a failure without a message");
    return rc;
}

static inline int world_apply(struct world *w, struct pare_graph *g, const char *plugin,
                              const char *params, const char *on, const char *except)
{
    return world_apply_file(w, g, world_plugin(w, plugin), params, on, except);
}

/* A copy of the model with one step applied. */
static inline struct pare_graph *world_with(struct world *w, const struct pare_graph *from,
                                            const char *plugin, const char *params, const char *on)
{
    struct pare_graph *g = world_copy(w, from);
    int rc = world_apply(w, g, plugin, params, on, NULL);
    ck_assert_msg(rc == PARE_OK, "%s %s: %s %s", plugin, params ? params : "", w->err.what,
                  w->err.detail);
    return g;
}

/* ---- running
 * ------------------------------------------------------------------------------------- */

static inline void world_run(struct world *w, const struct pare_graph *g, float *logits)
{
    const struct pare_plan_options o = {.batch = 16, .threads = w->env.threads, .isa = -1};
    struct pare_plan *plan = NULL;
    const size_t inputs = pare_graph_inputs(g), outputs = pare_graph_outputs(g);
    ck_assert_ok(pare_plan_new(g, &o, &plan, &w->err), w->err);
    for (uint32_t at = 0; at < w->n; at += 16)
        ck_assert_ok(pare_plan_run(plan, w->images + at * inputs, PARE_MIN(16u, w->n - at),
                                   logits + at * outputs, &w->err),
                     w->err);
    pare_plan_free(plan);
}

static inline double world_accuracy(struct world *w, const struct pare_graph *g)
{
    size_t classes = g->values[g->output].width;
    float *logits = pare_alloc(w->n * classes, sizeof *logits);
    uint32_t right = 0;
    world_run(w, g, logits);
    for (uint32_t i = 0; i < w->n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < classes; c++)
            best = logits[i * classes + c] > logits[i * classes + best] ? c : best;
        right += best == w->labels[i];
    }
    free(logits);
    return (double)right / w->n;
}

/* Mean KL(a || b) of the outputs (of a text: of its tokens), straight from the definition. */
static inline double world_kl(struct world *w, const struct pare_graph *a,
                              const struct pare_graph *b)
{
    const size_t classes = a->values[a->output].width, rows = w->n * a->values[a->output].tokens;
    float *p = pare_alloc(rows * classes, sizeof *p), *q = pare_alloc(rows * classes, sizeof *q);
    double total = 0;
    world_run(w, a, p);
    world_run(w, b, q);
    for (size_t i = 0; i < rows; i++) {
        double sp = 0, sq = 0;
        for (size_t c = 0; c < classes; c++) {
            sp += exp((double)p[i * classes + c]);
            sq += exp((double)q[i * classes + c]);
        }
        for (size_t c = 0; c < classes; c++) {
            double x = exp((double)p[i * classes + c]) / sp,
                   y = exp((double)q[i * classes + c]) / sq;
            total += x * log(x / y);
        }
    }
    free(p);
    free(q);
    return total / (double)rows;
}

struct world_tap {
    float *data;
    size_t at;
};

static inline int world_tap_fn(void *user, uint32_t value, const float *data, const float *sizes,
                               uint32_t n, uint32_t tokens, uint32_t width)
{
    struct world_tap *t = user;
    (void)value, (void)sizes;
    memcpy(t->data + t->at, data, (size_t)n * tokens * width * sizeof *data);
    t->at += (size_t)n * tokens * width;
    return PARE_OK;
}

/* One value of the graph for all samples, by a plain run of all operations from the image on;
 * `logits` (may be NULL) too. */
static inline float *world_value(struct world *w, const struct pare_graph *g, uint32_t value,
                                 float *logits)
{
    const struct pare_plan_options o = {
        .batch = 16, .threads = w->env.threads, .isa = -1, .no_fusion = true};
    struct pare_plan *plan = NULL;
    const size_t inputs = pare_graph_inputs(g), outputs = pare_graph_outputs(g);
    size_t per = (size_t)g->values[value].tokens * g->values[value].width;
    struct world_tap t = {.data = pare_alloc(w->n * per, sizeof *t.data)};
    float *own = pare_alloc(w->n * outputs, sizeof *own);
    ck_assert(t.data && own);
    ck_assert_ok(pare_plan_new(g, &o, &plan, &w->err), w->err);
    ck_assert_ok(pare_plan_tap(plan, value, world_tap_fn, &t, &w->err), w->err);
    for (uint32_t at = 0; at < w->n; at += 16)
        ck_assert_ok(pare_plan_run(plan, w->images + at * inputs, PARE_MIN(16u, w->n - at),
                                   own + at * outputs, &w->err),
                     w->err);
    if (logits)
        memcpy(logits, own, w->n * outputs * sizeof *own);
    pare_plan_free(plan);
    free(own);
    return t.data;
}

/* A score's values for all units of a kind; freed by the caller. */
static inline double *world_score(struct world *w, const struct pare_graph *g, const char *plugin,
                                  const char *params, unsigned kind, struct pare_units *units)
{
    ck_assert_ok(pare_units_of(g, kind, units, &w->err), w->err);
    double *values = pare_alloc(units->n, sizeof *values);
    json_t *all = world_params(w, &world_plugin(w, plugin)->desc, params);
    ck_assert_ok(pare_stage_score(&w->env, g, plugin, all, kind, values, units->n, &w->err),
                 w->err);
    json_decref(all);
    return values;
}

/* The hash that identifies a graph with all its numbers. */
static inline void world_hash(struct world *w, const struct pare_graph *g, char hex[PARE_HASH_HEX])
{
    struct pare_model *m = NULL;
    const char *text;
    ck_assert_ok(pare_model_with_graph(w->model, world_copy(w, g), &m, &w->err), w->err);
    ck_assert_ok(pare_model_hash(m, &text, &w->err), w->err);
    memcpy(hex, text, PARE_HASH_HEX);
    pare_model_free(m);
}

static inline const char *world_model_hash(struct world *w)
{
    const char *text;
    ck_assert_ok(pare_model_hash(w->model, &text, &w->err), w->err);
    return text;
}

static inline const struct pare_node *world_node(const struct pare_graph *g, const char *path)
{
    int32_t at = pare_graph_find(g, path);
    ck_assert_msg(at >= 0, "no node %s", path);
    return &g->nodes[at];
}

static inline float *world_weight(const struct pare_graph *g, const char *path)
{
    const struct pare_weight *weight = world_node(g, path)->weight;
    float *values = pare_alloc((size_t)weight->rows * weight->cols, sizeof *values);
    ck_assert_ptr_nonnull(values);
    pare_weight_decode(weight, 0, weight->rows, values);
    return values;
}

/* Settings at which a transform changes nothing leave the model's hash alone. */
static inline void world_check_identity(const char *plugin, const char *params, const char *on)
{
    struct world w;
    char hex[PARE_HASH_HEX];
    world_open(&w, 8);
    struct pare_graph *g = world_with(&w, w.model->graph, plugin, params, on);
    world_hash(&w, g, hex);
    ck_assert_str_eq(hex, world_model_hash(&w));
    pare_graph_free(g);
    world_close(&w);
}

/* The same bytes with one thread, two threads, and again. */
static inline void world_check_repeats(const char *plugin, const char *params, const char *on)
{
    struct world w;
    char first[PARE_HASH_HEX], hex[PARE_HASH_HEX];
    world_open(&w, 16);
    for (uint32_t i = 0; i < 3; i++) {
        world_threads(&w, i == 1 ? 2 : 1);
        struct pare_graph *g = world_with(&w, w.model->graph, plugin, params, on);
        world_hash(&w, g, i ? hex : first);
        if (i)
            ck_assert_msg(!strcmp(hex, first), "%s %s differs with %u threads", plugin, params,
                          w.env.threads);
        else
            ck_assert_str_ne(first, world_model_hash(&w));
        pare_graph_free(g);
    }
    world_close(&w);
}

/* What a stage reports per unit; for env.record. */
struct recorded {
    size_t n;
    struct {
        char unit[96], name[48];
        double value, score;
        uint64_t bytes_before, bytes_after;
    } items[512];
};

static inline void world_record(void *user, const struct pare_unit_value *v)
{
    struct recorded *r = user;
    ck_assert_uint_lt(r->n, PARE_COUNT(r->items));
    snprintf(r->items[r->n].unit, sizeof r->items[0].unit, "%s", v->unit);
    snprintf(r->items[r->n].name, sizeof r->items[0].name, "%s", v->name);
    r->items[r->n].value = v->value;
    r->items[r->n].score = v->score;
    r->items[r->n].bytes_before = v->bytes_before;
    r->items[r->n++].bytes_after = v->bytes_after;
}

static inline double recorded_value(const struct recorded *r, const char *unit, const char *name)
{
    for (size_t i = 0; i < r->n; i++) {
        if (!strcmp(r->items[i].unit, unit) && !strcmp(r->items[i].name, name))
            return r->items[i].value;
    }
    ck_abort_msg("%s of %s was not recorded", name, unit);
    return 0;
}

/* ---- a graph by hand
 * ----------------------------------------------------------------------------- */

/* One residual branch over `width` features of `tokens` (rows x cols of pixels): up is the
 * identity, down is given, so that the input of "layer.0.ffn.down" is exactly the image's features.
 * Then the mean over tokens and an identity as classifier. `bias` (may be NULL) is down's. */
static inline struct pare_graph *hand_graph(uint32_t width, uint32_t rows, uint32_t cols,
                                            const float *down, const float *bias)
{
    struct pare_error err = {0};
    struct pare_graph *g = NULL;
    float *one = pare_calloc((size_t)width * width, sizeof *one);
    for (uint32_t i = 0; i < width; i++)
        one[(size_t)i * width + i] = 1;
    ck_assert_ok(pare_graph_new(width, rows, cols, &g, &err), err);
    static const struct {
        uint8_t op;
        int32_t block;
        const char *path, *role;
        int in[2]; /* nodes, -1: the image */
    } nodes[] = {
        {PARE_OP_CONV2D, -1, "embed.patch", "embedding", {-1, -2}},
        {PARE_OP_LINEAR, 0, "layer.0.ffn.up", "feed_forward.up", {0, -2}},
        {PARE_OP_LINEAR, 0, "layer.0.ffn.down", "feed_forward.down", {1, -2}},
        {PARE_OP_ADD, 0, "layer.0.ffn.add", "add", {0, 2}},
        {PARE_OP_POOL, -1, "pool", "pool", {3, -2}},
        {PARE_OP_LINEAR, -1, "classifier", "classifier", {4, -2}},
    };
    for (size_t i = 0; i < PARE_COUNT(nodes); i++) {
        struct pare_node node = {.op = nodes[i].op,
                                 .block = nodes[i].block,
                                 .kernel = 1,
                                 .token = PARE_POOL_MEAN,
                                 .scale = 1};
        for (int k = 0; k < 2 && nodes[i].in[k] >= -1; k++)
            node.inputs[node.n_inputs++] =
                nodes[i].in[k] < 0 ? 0 : g->nodes[nodes[i].in[k]].outputs[0];
        snprintf(node.path, sizeof node.path, "%s", nodes[i].path);
        snprintf(node.role, sizeof node.role, "%s", nodes[i].role);
        bool weighs = node.op == PARE_OP_CONV2D || node.op == PARE_OP_LINEAR;
        if (weighs)
            ck_assert_ok(pare_weight_new(width, width, i == 2 ? down : one, &node.weight, &err),
                         err);
        if (i == 2 && bias)
            ck_assert_ok(pare_blob_copy(bias, width, sizeof *bias, &node.bias, &err), err);
        ck_assert_ok(pare_graph_add(g, &node, &err), err);
    }
    g->output = g->nodes[g->n_nodes - 1].outputs[0];
    g->blocks = 1;
    ck_assert_ok(pare_graph_infer(g, &err), err);
    free(one);
    return g;
}

/* The golden example of the methods' digest: W (2 x 8, here with six rows of zeros below) meets X
 * (8 x 32): W_ij = sin(0.7 i + 1.3 j + 0.5), X_jt = sin(.37 t) + .3 cos(.9 (j + 1) t) + .1 j. */
enum { GOLDEN = 8, GOLDEN_TOKENS = 32 };

struct golden {
    struct world w;
    struct pare_graph *graph;
    double weight[2][GOLDEN], x[GOLDEN][GOLDEN_TOKENS], h[GOLDEN][GOLDEN]; /* h = 2 X X' / 32 */
};

static inline void golden_open(struct golden *t)
{
    float down[GOLDEN * GOLDEN] = {0};
    world_begin(&t->w, 1, GOLDEN * GOLDEN_TOKENS);
    for (int j = 0; j < GOLDEN; j++) {
        for (int i = 0; i < 2; i++) {
            t->weight[i][j] = sin(0.7 * i + 1.3 * j + 0.5);
            down[i * GOLDEN + j] = (float)t->weight[i][j];
        }
        for (int s = 0; s < GOLDEN_TOKENS; s++) {
            t->x[j][s] = sin(.37 * s) + .3 * cos(.9 * (j + 1) * s) + .1 * j;
            t->w.images[j * GOLDEN_TOKENS + s] = (float)t->x[j][s];
        }
    }
    for (int a = 0; a < GOLDEN; a++) {
        for (int b = 0; b < GOLDEN; b++) {
            t->h[a][b] = 0;
            for (int s = 0; s < GOLDEN_TOKENS; s++)
                t->h[a][b] += 2.0 / GOLDEN_TOKENS * t->x[a][s] * t->x[b][s];
        }
    }
    t->graph = hand_graph(GOLDEN, 4, 8, down, NULL);
    t->w.env.baseline = t->graph;
}

static inline void golden_close(struct golden *t)
{
    pare_graph_free(t->graph);
    world_close(&t->w);
}

/* E = tr(D H D') / 2 for a difference D of the first two rows. */
static inline double golden_error(const struct golden *t, double d[2][GOLDEN])
{
    double e = 0;
    for (int i = 0; i < 2; i++) {
        for (int a = 0; a < GOLDEN; a++) {
            for (int b = 0; b < GOLDEN; b++)
                e += d[i][a] * t->h[a][b] * d[i][b] / 2;
        }
    }
    return e;
}

/* The difference between the model's first two rows of down, over all columns, and W. */
static inline void golden_difference(const struct golden *t, const struct pare_graph *g,
                                     double d[2][GOLDEN])
{
    float *values = world_weight(g, "layer.0.ffn.down");
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < GOLDEN; j++)
            d[i][j] = (double)values[i * GOLDEN + j] - t->weight[i][j];
    }
    free(values);
}

/* ---- pages
 * --------------------------------------------------------------------------------------- */

/* The page of a plugin has one row per parameter, "| `name` | type | default | ...", and no other;
 * its default is the descriptor's; the page names the plugin's citation. */
static inline void world_check_page(const char *id)
{
    static const char *const types[] = {"",       "int",  "real", "bool",
                                        "choice", "text", "ints", "score"};
    struct world w;
    char path[128], row[256];
    world_begin(&w, 1, 1);
    const struct pare_plugin *d = &world_plugin(&w, id)->desc;
    snprintf(path, sizeof path, "plugins/%s/%s.md", id, id);
    FILE *f = fopen(pare_test_source(path), "r");
    ck_assert_msg(f != NULL, "%s is missing", path);
    char *text = calloc(1, 1 << 16);
    ck_assert_uint_gt(fread(text, 1, (1 << 16) - 1, f), 0);
    fclose(f);
    for (uint32_t i = 0; i < d->n_params; i++) {
        const struct pare_param *p = &d->params[i];
        bool empty = !p->dflt || !*p->dflt;
        snprintf(row, sizeof row, "\n| `%s` | %s | %s%s%s |", p->name, types[p->type],
                 empty ? "" : "`",
                 !empty                                 ? p->dflt
                 : p->param_flags & PARE_PARAM_REQUIRED ? "required"
                                                        : "none",
                 empty ? "" : "`");
        ck_assert_msg(strstr(text, row) != NULL, "%s lacks the row %s", path, row + 1);
    }
    uint32_t rows = 0;
    for (const char *at = text; (at = strstr(at, "\n| `")); at++)
        rows++;
    ck_assert_msg(rows == d->n_params, "%s has %u rows for %u parameters", path, rows, d->n_params);
    for (const char *at = d->citation; at && (at = strstr(at, "arXiv:")); at++) {
        snprintf(row, sizeof row, "%.16s", at);
        ck_assert_msg(strstr(text, row) != NULL, "%s does not cite %s", path, row);
    }
    free(text);
    world_close(&w);
}

#endif
