/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/own_encoding.h"
#include "tests/unit/plugin_test.h"

#include "plugin/context.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "kit/new.h"
#include "plugin/fpstate.h"
#include "plugin/metric.h"

/* Where libtool leaves the misbehaving plugins. */
static const char *module(const char *id)
{
    static char path[2 * 4096];
    const char *top = getenv("PARE_TOP_BUILD");
    snprintf(path, sizeof path, "%s/tests/plugins/.libs/%s.so", top ? top : ".", id);
    return path;
}

static void copy_file(const char *from, const char *to)
{
    struct pare_error err = {0};
    char *data;
    size_t size;
    ck_assert_ok(pare_file_read(from, (size_t)64 << 20, &data, &size, &err), err);
    ck_assert_ok(pare_file_write(to, data, size, &err), err);
    free(data);
}

/* ---- loading
 * ------------------------------------------------------------------------------------- */

/* Each is refused with one clear message, and the process goes on as it was. */
static const struct {
    const char *id, *why;
} unloadable[] = {
    {"bad-noentry", "it has no pare_plugin_v1"},
    {"bad-abi", "was built for ABI 99.0, this program has 1.0"},
    {"bad-null", "returned no descriptor"},
    {"bad-size", "impossible size"},
    {"bad-name", "its id is not made of"},
    {"bad-entry", "either apply or apply_unit"},
    {"bad-measure", "it has no measure function"},
    {"bad-units", "its parameter 'a' is no plain value, and a metric sees no units"},
    {"bad-kind", "is of kind 77, which this program does not know"},
    {"bad-type", "has a parameter of type 99, which this program does not know"},
    {"bad-default", "its parameter 'a' has a default that is not one of its values"},
    {"bad-twice", "its parameter 'a' is there twice"},
    {"bad-bounds", "its parameter 'a' has bounds that are not numbers"},
    {"bad-when", "its parameter 'a' depends on a choice that is not there"},
    {"bad-count", "parameter table is out of range"},
#if defined(__x86_64__)
    {"bad-fpload", "changes the floating-point state when it is loaded"},
#endif
};

START_TEST(refused_when_loaded)
{
    struct world w;
    const struct pare_plugin_file *file;
    world_begin(&w, 1, 1);
    pare_flush_denormals(); /* as in a worker: what changes it has to be seen all the same */
    unsigned before = pare_fp_control();
    int rc = pare_catalog_find(w.catalog, module(unloadable[_i].id), NULL, &file, &w.err);
    ck_assert_msg(rc == PARE_INVALID, "%s: %d", unloadable[_i].id, rc);
    ck_assert_msg(strstr(w.err.what, unloadable[_i].why) != NULL, "%s", w.err.what);
    ck_assert_msg(strstr(w.err.what, unloadable[_i].id) != NULL, "%s", w.err.what);
    ck_assert_uint_eq(pare_fp_control(), before);
    ck_assert_int_eq(world_plugin(&w, "uniform")->desc.kind, PARE_ALLOCATE);
    world_close(&w);
}
END_TEST

/* What only a later program knows: which that is. */
START_TEST(later_plugin)
{
    struct world w;
    const struct pare_plugin_file *file;
    world_begin(&w, 1, 1);
    ck_assert_int_eq(pare_catalog_find(w.catalog, module("bad-type"), NULL, &file, &w.err),
                     PARE_INVALID);
    ck_assert_str_eq(w.err.detail, "it was built for ABI 1.1, this program has 1.0");
    ck_assert_str_eq(w.err.hint, "use a newer pare");
    world_close(&w);
}
END_TEST

/* Compilers before GCC 13 link a constructor with -ffast-math: then it is refused. Otherwise it is
 * harmless. Either way the process computes as before. */
START_TEST(fast_math)
{
    struct world w;
    const struct pare_plugin_file *file;
    volatile double tiny = 1e-308;
    world_begin(&w, 1, 1);
    int rc = pare_catalog_find(w.catalog, module("bad-fastmath"), NULL, &file, &w.err);
    ck_assert(rc == PARE_OK || strstr(w.err.hint, "-ffast-math"));
    ck_assert_uint_eq(pare_fp_control(), PARE_FP_DEFAULT);
    ck_assert(tiny / 4 > 0);
    world_close(&w);
}
END_TEST

/* What goes wrong only at work loads. */
START_TEST(loads)
{
    static const char *const ids[] = {"bad-crash",   "bad-stall",  "bad-memory", "bad-nan",
                                      "bad-fpstate", "bad-silent", "bad-score",  "young-plugin"};
    struct world w;
    const struct pare_plugin_file *file, *again;
    world_begin(&w, 1, 1);
    ck_assert_ok(pare_catalog_find(w.catalog, module(ids[_i]), NULL, &file, &w.err), w.err);
    ck_assert_str_eq(file->desc.id, ids[_i]);
    ck_assert_uint_eq(strlen(file->sha256), 64);
    ck_assert_int_eq(file->path[0], '/');
    ck_assert_ok(pare_catalog_find(w.catalog, ids[_i], NULL, &again, &w.err), w.err);
    ck_assert_ptr_eq(file, again);
    world_close(&w);
}
END_TEST

/* A host of a later minor version, as a plugin of this one sees it: every table is longer, and what
 * is there is no address. */
static char grown[16][1024] __attribute__((aligned(8)));

static const void *grown_extension(struct pare_ctx *ctx, const char *id)
{
    static const char *ids[PARE_COUNT(grown)];
    const uint32_t *real = pare_host_table.extension(ctx, id);
    size_t i = 0;
    if (!real)
        return NULL;
    while (ids[i] && strcmp(ids[i], id) != 0)
        i++;
    ck_assert_uint_lt(*real + 64, sizeof grown[i]);
    memset(grown[i], 0x5a, sizeof grown[i]);
    memcpy(grown[i], real, *real);
    *(uint32_t *)(void *)grown[i] = *real + 64;
    ids[i] = id;
    return grown[i];
}

START_TEST(younger_host)
{
    static const char *const uses[][2] = {{"quantize", "{'bits': 4, 'group_size': 16}"},
                                          {"prune", "{'sparsity': 0.5, 'criterion': 'wanda'}"},
                                          {"layer-drop", "{'count': 1, 'score': 'cosine'}"}};
    static char room[sizeof(struct pare_host) + 64] __attribute__((aligned(8)));
    struct pare_host host = pare_host_table;
    struct world w;
    world_open(&w, 8);
    host.struct_size = sizeof room;
    host.abi_minor = PARE_ABI_MINOR + 7;
    host.extension = grown_extension;
    memset(room, 0x5a, sizeof room);
    memcpy(room, &host, sizeof host);
    for (size_t i = 0; i < PARE_COUNT(uses); i++) {
        const char *hash[2];
        struct pare_model *model[2];
        for (size_t k = 0; k < 2; k++) {
            w.env.host = k ? (const struct pare_host *)(const void *)room : NULL;
            struct pare_graph *g = world_with(&w, w.model->graph, uses[i][0], uses[i][1], NULL);
            ck_assert_ok(pare_model_with_graph(w.model, g, &model[k], &w.err), w.err);
            ck_assert_ok(pare_model_hash(model[k], &hash[k], &w.err), w.err);
        }
        ck_assert_str_eq(hash[0], hash[1]);
        pare_model_free(model[0]);
        pare_model_free(model[1]);
    }
    w.env.host = NULL;
    world_close(&w);
}
END_TEST

/* What a later minor version has beyond ours is not looked at. */
START_TEST(younger_plugin)
{
    struct world w;
    world_open(&w, 8);
    const struct pare_plugin_file *file = world_plugin(&w, "young-plugin");
    ck_assert_uint_eq(file->desc.abi_minor, PARE_ABI_MINOR + 1);
    ck_assert_uint_eq(file->desc.struct_size, sizeof file->desc);
    ck_assert_uint_eq(file->desc.param_size, sizeof(struct pare_param));
    struct pare_graph *g = world_with(&w, w.model->graph, "young-plugin", "", "layer.3.ffn.up");
    const struct pare_weight *weight = world_node(g, "layer.3.ffn.up")->weight;
    ck_assert(weight->values == PARE_VALUES_INT && weight->bits == 8);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* ---- at work
 * ------------------------------------------------------------------------------------- */

static const struct {
    const char *id, *params, *why;
    int status;
} failing[] = {
    {"bad-nan", "{}", "not finite", PARE_INVALID},
    {"bad-nan", "{'where': 'bias'}", "sets a bias of", PARE_INVALID},
    {"bad-nan", "{'where': 'scales'}", "does not fit half precision", PARE_INVALID},
    {"bad-silent", "{}", "failed in apply and gave no reason", PARE_FAILED},
    {"bad-refusal", "{}", "this model has 3 legs too many", PARE_UNSUPPORTED},
#if defined(__x86_64__)
    {"bad-fpstate", "{}", "changed the floating-point state in apply", PARE_FAILED},
#endif
};

START_TEST(fails_at_work)
{
    struct world w;
    world_open(&w, 8);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        world_threads(&w, threads);
        unsigned before = pare_fp_control();
        struct pare_graph *g = world_copy(&w, w.model->graph);
        int rc = world_apply(&w, g, failing[_i].id, failing[_i].params, NULL, NULL);
        ck_assert_int_eq(rc, failing[_i].status);
        ck_assert_msg(strstr(w.err.what, failing[_i].why) != NULL, "%s", w.err.what);
        ck_assert_msg(strstr(w.err.what, failing[_i].id) || strstr(w.err.detail, failing[_i].id),
                      "%s; %s", w.err.what, w.err.detail);
        ck_assert_uint_eq(pare_fp_control(), before);
        pare_graph_free(g);
    }
    /* and the next one works */
    struct pare_graph *g = world_with(&w, w.model->graph, "quantize", "{}", NULL);
    world_accuracy(&w, g);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

static const struct {
    const char *what, *why;
    int status;
} scoring[] = {
    {"nan", "a value that is not finite", PARE_FAILED},
    {"missing", "without a value", PARE_FAILED},
    {"outside", "sets row 8, column 0 of a table of 8 x 1", PARE_INVALID},
    {"column", "sets row 0, column 1", PARE_INVALID},
    {"changes", "may not change the model", PARE_INVALID},
    {"chooses", "nothing is being allocated", PARE_INVALID},
    {"undeclared", "uses cosines without declaring PARE_NEEDS_COSINE in 'needs'", PARE_INVALID},
};

START_TEST(fails_to_score)
{
    struct world w;
    char params[160], before[PARE_HASH_HEX];
    world_open(&w, 8);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    snprintf(params, sizeof params, "{'score': {'plugin': 'bad-score', 'params': {'what': '%s'}}}",
             scoring[_i].what);
    ck_assert_int_eq(world_apply(&w, g, "layer-drop", params, NULL, NULL), scoring[_i].status);
    ck_assert_msg(strstr(w.err.what, scoring[_i].why) != NULL, "%s", w.err.what);
    world_hash(&w, g, before);
    ck_assert_str_eq(before, world_model_hash(&w));
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* In one process the host cannot keep a plugin from stdout; workers have theirs captured. */
START_TEST(prints)
{
    struct world w;
    char text[64] = "";
    int ends[2], out = dup(STDOUT_FILENO);
    world_open(&w, 1);
    ck_assert_int_eq(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    int rc = world_apply(&w, g, "bad-stdout", "", NULL, NULL);
    dup2(out, STDOUT_FILENO);
    ck_assert_int_eq(rc, PARE_OK);
    ck_assert_int_gt(read(ends[0], text, sizeof text - 1), 0);
    ck_assert_str_eq(text, "hello from a plugin\n");
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* ---- services, called by plugins that live in the test
 * --------------------------------------------------------------------------------------- */

static const struct pare_param own_params[] = {
    {.name = "whole",
     .help = "x",
     .type = PARE_INT,
     .min = 0,
     .max = 9,
     .dflt = "3",
     .varies = PARE_UNIT_LINEAR},
    {.name = "real", .help = "x", .type = PARE_REAL, .min = 0, .max = 9, .dflt = "0.5"},
    {.name = "flag", .help = "x", .type = PARE_BOOL, .dflt = "true"},
    {.name = "word", .help = "x", .type = PARE_CHOICE, .dflt = "b", .choices = "a|b"},
    {.name = "list", .help = "x", .type = PARE_INTS, .min = 0, .max = 99, .dflt = "[4, 5]"},
    {.name = "call", .help = "x", .type = PARE_INT, .min = 0, .max = 99, .dflt = "0"},
};

static int apply_own(struct world *w, struct pare_graph *g,
                     int (*apply)(struct pare_ctx *, const struct pare_host *), const char *params,
                     const char *on)
{
    struct pare_plugin_file own = {
        .desc = {PARE_PLUGIN_HEAD, .id = "own", .version = "1.0.0", .label = "x",
                 .kind = PARE_TRANSFORM, PARE_PLUGIN_PARAMS(own_params), .apply = apply,
                 .needs = PARE_NEEDS_GRAM | PARE_NEEDS_MOMENTS | PARE_NEEDS_DATA |
                          PARE_NEEDS_COSINE | PARE_NEEDS_ACTIVITY}};
    return world_apply_file(w, g, &own, params, on, NULL);
}

static int wrong_call(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_ext_surgery *surgery = host->extension(ctx, PARE_EXT_SURGERY);
    const struct pare_ext_calibration *data = host->extension(ctx, PARE_EXT_CALIBRATION);
    const struct pare_ext_probe *probe = host->extension(ctx, PARE_EXT_PROBE);
    const struct pare_ext_scored *scored = host->extension(ctx, PARE_EXT_SCORED);
    const struct pare_unit *linear = model->find(ctx, PARE_UNIT_LINEAR, "layer.1.ffn.up");
    const struct pare_unit *patch = model->find(ctx, PARE_UNIT_LINEAR, "embed.patch");
    const struct pare_unit *branch = model->find(ctx, PARE_UNIT_BRANCH, "layer.1.ffn");
    struct pare_alter alter = {
        .struct_size = sizeof alter, .what = PARE_ALTER_DROP, .unit = branch};
    struct pare_integers integers = {.struct_size = sizeof integers, .bits = 8};
    static float room[1 << 16];
    static uint8_t keep[1 << 16];
    const double *values;
    const char *text;
    const int64_t *list;
    uint32_t n;
    int64_t call, whole;
    double x;
    host->get_int(ctx, NULL, "call", &call);
    switch (call) {
    case 0:
        return host->get_int(ctx, NULL, "no_such", &whole);
    case 1:
        return host->get_int(ctx, NULL, "real", &whole);
    case 2:
        return host->get_text(ctx, NULL, "whole", &text);
    case 3:
        return host->get_ints(ctx, NULL, "whole", &list, &n);
    case 4:
        return host->get_real(ctx, NULL, NULL, &x);
    case 5:
        return weight->read(ctx, linear, linear->rows, 1, room);
    case 6:
        return weight->read(ctx, linear, UINT32_MAX, UINT32_MAX, room);
    case 7:
        return weight->read(ctx, branch, 0, 1, room);
    case 8:
        return weight->read(ctx, NULL, 0, 1, room);
    case 9:
        return weight->set_values(ctx, linear, NULL);
    case 10:
        return weight->set_integers(ctx, linear, &integers);
    case 11:
        return weight->set_integers(ctx, linear, NULL);
    case 12:
        return weight->set_activations(ctx, linear, 4);
    case 13:
        memset(keep, 1, sizeof keep);
        return weight->set_structure(ctx, linear, 2, 4, keep);
    case 14:
        return weight->set_structure(ctx, linear, 2, 64, keep);
    case 15:
        return weight->set_structure(ctx, linear, 0, 0, NULL);
    case 16:
        return weight->set_bias(ctx, linear, NULL);
    case 17:
        return surgery->drop(ctx, linear, PARE_REPLACE_NOTHING);
    case 18:
        return surgery->drop(ctx, branch, 9);
    case 19:
        return surgery->drop(ctx, NULL, PARE_REPLACE_NOTHING);
    case 20:
        surgery->drop(ctx, branch, PARE_REPLACE_NOTHING); /* gone: its linear is stale */
        return weight->read(ctx, linear, 0, 1, room);
    case 21:
        surgery->drop(ctx, branch, PARE_REPLACE_NOTHING);
        return surgery->drop(ctx, branch, PARE_REPLACE_NOTHING);
    case 22:
        return surgery->keep(ctx, PARE_UNIT_CHANNEL, "layer.1.ffn", keep, 7, 0);
    case 23:
        return surgery->keep(ctx, PARE_UNIT_CHANNEL, "layer.99.ffn", keep, 288, 1);
    case 24:
        memset(keep, 0, sizeof keep);
        return surgery->keep(ctx, PARE_UNIT_CHANNEL, "layer.1.ffn", keep, 288, 1);
    case 25:
        return surgery->keep(ctx, PARE_UNIT_LINEAR, "layer.1.ffn", keep, 288, 0);
    case 26:
        return surgery->merge_tokens(ctx, branch, 2);
    case 27:
        return surgery->merge_tokens(ctx, NULL, 2);
    case 28:
        return data->gram(ctx, patch, &values);
    case 29:
        return data->gram(ctx, NULL, &values);
    case 30:
        return data->cosine(ctx, linear, &x);
    case 31:
        return data->cosine(ctx, NULL, &x);
    case 32:
        return data->activity(ctx, branch, &x);
    case 33:
        return data->activity(ctx, NULL, &x);
    case 34:
        return probe->run(ctx, &alter, 1, 77, PARE_REFERENCE_STAGE, &x, NULL);
    case 35:
        return probe->run(ctx, &alter, 1, PARE_DISTANCE_KL, 5, &x, NULL);
    case 36:
        alter.struct_size = 4;
        return probe->run(ctx, &alter, 1, PARE_DISTANCE_KL, 0, &x, NULL);
    case 37:
        alter.what = 12;
        return probe->run(ctx, &alter, 1, PARE_DISTANCE_KL, 0, &x, NULL);
    case 38:
        alter.unit = NULL;
        return probe->run(ctx, &alter, 1, PARE_DISTANCE_KL, 0, &x, NULL);
    case 39:
        alter.what = PARE_ALTER_SCALE, alter.factor = (double)NAN;
        return probe->run(ctx, &alter, 1, PARE_DISTANCE_KL, 0, &x, NULL);
    case 40:
        return probe->run(ctx, NULL, 1, PARE_DISTANCE_KL, 0, &x, NULL);
    case 41:
        return scored->importance(ctx, "word", PARE_UNIT_BLOCK, &values);
    case 43:
        return weight->set_encoded(ctx, linear, NULL, room, 64); /* a transform has none */
    case 44:
        return weight->set_encoded(ctx, linear, "no.such-encoding", room, 64);
    case 45:
        return weight->set_encoded(ctx, linear, "uniform", room, 64); /* no encoding */
    case 46:
        return weight->set_encoded(ctx, linear, NULL, NULL, 64);
    case 47:
        return weight->set_encoded(ctx, branch, NULL, room, 64);
    default:
        return host->alloc(ctx, SIZE_MAX / 2, 3) ? PARE_OK : PARE_NOMEM;
    }
}

enum { WRONG_CALLS = 48 };

/* A wrong call is an error with a message, whatever the plugin does next. */
START_TEST(wrong_calls)
{
    struct world w;
    char params[32];
    world_open(&w, 8);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    snprintf(params, sizeof params, "{'call': %d}", _i);
    int rc = apply_own(&w, g, wrong_call, params, NULL);
    ck_assert_msg(rc != PARE_OK, "call %d was taken", _i);
    ck_assert_msg(!strstr(w.err.what, "gave no reason"), "call %d: %s", _i, w.err.what);
    ck_assert_msg(!strstr(w.err.what, "out of memory") == (_i != 42), "call %d: %s", _i,
                  w.err.what);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* A unit's weight as the test's encoding has it, but for one code. */
static int set_own(struct pare_ctx *ctx, const struct pare_host *host, const char *path,
                   uint64_t cut, int8_t code)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_unit *unit = model->find(ctx, PARE_UNIT_LINEAR, path);
    float *values = host->alloc(ctx, (size_t)unit->rows * unit->cols, sizeof *values);
    ck_assert_int_eq(weight->read(ctx, unit, 0, unit->rows, values), PARE_OK);
    struct pare_weight *w = own_weight("own", &own_encoding, unit->rows, unit->cols, values);
    int8_t *codes = (int8_t *)w->stored->data + unit->rows * sizeof(float);
    for (uint32_t i = 0; code && i < unit->rows * unit->cols; i++)
        codes[i] = code;
    int rc = weight->set_encoded(ctx, unit, NULL, w->stored->data, w->stored->size - cut);
    pare_weight_unref(w);
    return rc;
}

static int encodes(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_unit *up = model->find(ctx, PARE_UNIT_LINEAR, "layer.1.ffn.up");
    int64_t call;
    host->get_int(ctx, NULL, "call", &call);
    if (call == 1)
        return set_own(ctx, host, up->path, 1, 0);
    uint8_t *keep = host->alloc(ctx, (size_t)up->rows * up->cols, 1);
    for (uint32_t i = 0; i < up->rows * up->cols; i++)
        keep[i] = i % 3 != 0;
    ck_assert_int_eq(weight->set_activations(ctx, up, 8), PARE_OK);
    ck_assert_int_eq(weight->set_structure(ctx, up, 0, 0, keep), PARE_OK);
    return set_own(ctx, host, up->path, 0, call == 2 ? 1 : 0);
}

START_TEST(sets_an_encoding)
{
    struct world w;
    world_open(&w, 8);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    const struct pare_weight *before = world_node(w.model->graph, "layer.1.ffn.up")->weight;
    ck_assert_int_eq(apply_own(&w, g, encodes, "{'call': 1}", NULL), PARE_INVALID);
    ck_assert_msg(strstr(w.err.what, "another size") != NULL, "%s", w.err.what);
    ck_assert_msg(strstr(w.err.detail, "layer.1.ffn.up") != NULL, "%s", w.err.detail);
    ck_assert_ptr_eq(world_node(g, "layer.1.ffn.up")->weight, before);
    ck_assert_int_eq(apply_own(&w, g, encodes, "{'call': 2}", NULL), PARE_INVALID);
    ck_assert_msg(strstr(w.err.what, "was pruned and would be") != NULL, "%s", w.err.what);
    pare_graph_free(g);
    g = world_copy(&w, w.model->graph);
    ck_assert_int_eq(apply_own(&w, g, encodes, "{'call': 3}", NULL), PARE_OK);
    const struct pare_node *node = world_node(g, "layer.1.ffn.up");
    ck_assert_str_eq(node->weight->encoding->id, "own");
    ck_assert_uint_eq(node->activation_bits, 0); /* its kernel takes floats */
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

static int reads_parameters(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    int64_t whole = 0, flag = 0;
    double real = 0, as_real = 0;
    const char *word = NULL;
    const int64_t *list = NULL;
    uint32_t n = 0;
    ck_assert_int_eq(host->get_int(ctx, NULL, "whole", &whole), PARE_OK);
    ck_assert_int_eq(host->get_real(ctx, NULL, "whole", &as_real), PARE_OK);
    ck_assert_int_eq(host->get_int(ctx, NULL, "flag", &flag), PARE_OK);
    ck_assert_int_eq(host->get_real(ctx, NULL, "real", &real), PARE_OK);
    ck_assert_int_eq(host->get_text(ctx, NULL, "word", &word), PARE_OK);
    ck_assert_int_eq(host->get_ints(ctx, NULL, "list", &list, &n), PARE_OK);
    ck_assert(whole == 3 && as_real == 3 && flag == 1 && real == .5 && n == 2 && list[1] == 5);
    ck_assert_str_eq(word, "b");
    ck_assert_ptr_null(host->extension(ctx, "pare.no-such/1"));
    ck_assert_uint_eq(model->count(ctx, PARE_UNIT_LINEAR), 6); /* selected */
    ck_assert_uint_eq(model->count(ctx, 12345), 0);
    ck_assert_ptr_null(model->unit(ctx, PARE_UNIT_LINEAR, 6));
    ck_assert_ptr_nonnull(model->find(ctx, PARE_UNIT_LINEAR, "classifier")); /* not selected */
    ck_assert_ptr_null(model->find(ctx, PARE_UNIT_LINEAR, "nowhere"));
    ck_assert_uint_eq(model->blocks(ctx), 8);
    float *zeros = host->alloc(ctx, 100, sizeof *zeros);
    ck_assert_uint_eq((uintptr_t)zeros % 64, 0);
    for (int i = 0; i < 100; i++)
        ck_assert(zeros[i] == 0);
    return PARE_OK;
}

START_TEST(parameters_and_units)
{
    struct world w;
    world_open(&w, 8);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    ck_assert_int_eq(apply_own(&w, g, reads_parameters, "", "layer.2.**"), PARE_OK);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

static const struct golden *golden_now;

/* gram is X X'/N, so that GPTQ's H is twice it; the digest lists diag H. */
static int reads_statistics(struct pare_ctx *ctx, const struct pare_host *host)
{
    static const double diagonal[] = {1.086946, 1.146298, 1.226416, 1.332076,
                                      1.494452, 1.645428, 2.721606, 2.175693};
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_calibration *data = host->extension(ctx, PARE_EXT_CALIBRATION);
    const struct pare_unit *down = model->find(ctx, PARE_UNIT_LINEAR, "layer.0.ffn.down");
    const double *gram, *mean, *mean_abs, *square, *most;
    const struct golden *t = golden_now;
    ck_assert_uint_eq(data->samples(ctx), 1);
    ck_assert_int_eq(data->gram(ctx, down, &gram), PARE_OK);
    for (int i = 0; i < GOLDEN; i++) {
        ck_assert_double_eq_tol(2 * gram[i * GOLDEN + i], diagonal[i], 1e-6);
        for (int j = 0; j < GOLDEN; j++)
            ck_assert_double_eq_tol(2 * gram[i * GOLDEN + j], t->h[i][j], 1e-6);
    }
    ck_assert_int_eq(data->moments(ctx, down, &mean, &mean_abs, &square, &most), PARE_OK);
    for (int i = 0; i < GOLDEN; i++) {
        double sum = 0, sum_abs = 0, max = 0;
        for (int s = 0; s < GOLDEN_TOKENS; s++) {
            sum += t->x[i][s] / GOLDEN_TOKENS;
            sum_abs += fabs(t->x[i][s]) / GOLDEN_TOKENS;
            max = fmax(max, fabs(t->x[i][s]));
        }
        ck_assert_double_eq_tol(mean[i], sum, 1e-6);
        ck_assert_double_eq_tol(mean_abs[i], sum_abs, 1e-6);
        ck_assert_double_eq_tol(square[i], t->h[i][i] / 2, 1e-6);
        ck_assert_double_eq_tol(most[i], max, 1e-6);
    }
    double activity;
    const struct pare_unit *channel = model->unit(ctx, PARE_UNIT_CHANNEL, 6);
    ck_assert_int_eq(data->activity(ctx, channel, &activity), PARE_OK);
    ck_assert_double_eq_tol(activity, diagonal[6] / 2, 1e-6);
    return data->moments(ctx, down, NULL, NULL, NULL, NULL);
}

START_TEST(statistics)
{
    struct golden t;
    golden_open(&t);
    golden_now = &t;
    ck_assert_int_eq(apply_own(&t.w, t.graph, reads_statistics, "", NULL), PARE_OK);
    golden_close(&t);
}
END_TEST

static int add_index(void *user, size_t index)
{
    ((int *)user)[index] += (int)index + 1;
    return 0;
}

static int stop_at_seven(void *user, size_t index)
{
    (void)user;
    return index == 7 ? 42 : 0;
}

static double random_numbers[3];

static int uses_algebra(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_linalg *la = host->extension(ctx, PARE_EXT_LINALG);
    const struct pare_ext_parallel *parallel = host->extension(ctx, PARE_EXT_PARALLEL);
    const struct pare_ext_random *random = host->extension(ctx, PARE_EXT_RANDOM);
    const double a[9] = {4, 1, .5, 1, 3, .2, .5, .2, 2};
    double u[9], b[6] = {1, 0, 0, 1, 0, 0}, q[9], values[3];
    double order[] = {5, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9};
    const double sorted[] = {1, 1, 2, 3, 4, 5, 5, 5, 5, 6, 7, 8, 9, 9, 9};
    int counts[1000] = {0};
    /* inv(A) = U'U, so U A U' = I */
    memcpy(u, a, sizeof u);
    ck_assert_int_eq(la->cholesky_inverse(ctx, 3, u, 0), PARE_OK);
    ck_assert(u[3] == 0 && u[6] == 0 && u[7] == 0);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            double x = 0;
            for (int k = 0; k < 9; k++)
                x += u[i * 3 + k / 3] * a[k] * u[j * 3 + k % 3];
            ck_assert_double_eq_tol(x, i == j, 1e-12);
        }
    }
    ck_assert_int_eq(la->solve(ctx, 3, a, .1, 2, b), PARE_OK); /* (A + 0.3 I) X = first columns */
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 2; j++) {
            double x = .3 * b[i * 2 + j];
            for (int k = 0; k < 3; k++)
                x += a[i * 3 + k] * b[k * 2 + j];
            ck_assert_double_eq_tol(x, i == j, 1e-12);
        }
    }
    memcpy(q, a, sizeof q);
    ck_assert_int_eq(la->eigen(ctx, 3, q, values), PARE_OK);
    ck_assert(values[0] <= values[1] && values[1] <= values[2]);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            double x = 0;
            for (int k = 0; k < 3; k++)
                x += a[i * 3 + k] * q[k * 3 + j];
            ck_assert_double_eq_tol(x, values[j] * q[i * 3 + j], 1e-12);
        }
    }
    for (size_t k = 0; k < PARE_COUNT(sorted); k++)
        ck_assert(la->select(order, PARE_COUNT(order), k) == sorted[k]);
    ck_assert(isnan(la->select(order, 0, 0)));
    ck_assert_int_eq(la->solve(ctx, 0, a, 0, 0, b), PARE_OK);
    ck_assert_int_eq(parallel->run(ctx, 1000, add_index, counts), 0);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(counts[i], i + 1);
    ck_assert_int_eq(parallel->run(ctx, 1000, stop_at_seven, NULL), 42);
    random_numbers[0] = random->unit(ctx);
    random_numbers[1] = random->normal(ctx);
    random_numbers[2] = (double)random->below(ctx, 1000);
    ck_assert(random_numbers[0] >= 0 && random_numbers[0] < 1 && random_numbers[2] < 1000);
    const double singular[4] = {1, 2, 2, 1};
    memcpy(u, singular, sizeof singular);
    return la->cholesky_inverse(ctx, 2, u, 0);
}

START_TEST(algebra)
{
    struct golden t;
    double first[3];
    golden_open(&t);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        world_threads(&t.w, threads);
        ck_assert_int_eq(apply_own(&t.w, t.graph, uses_algebra, "", NULL), PARE_FAILED);
        ck_assert_ptr_nonnull(strstr(t.w.err.what, "not positive definite"));
        if (threads == 1)
            memcpy(first, random_numbers, sizeof first);
        ck_assert_mem_eq(first, random_numbers, sizeof first); /* the seed, not the threads */
    }
    t.w.env.seed++;
    apply_own(&t.w, t.graph, uses_algebra, "", NULL);
    ck_assert_mem_ne(first, random_numbers, sizeof first);
    golden_close(&t);
}
END_TEST

/* ---- factors, against plain sums
 * ----------------------------------------------------------------------------- */

enum { ROWS = 7, COLS = 5, INNER = 6 };

static void random_matrix(struct pare_random *r, double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = pare_random_normal(r);
}

/* op(a) op(b), by the definition. */
static void plain_product(int rows, int cols, int inner, const double *a, bool ta, const double *b,
                          bool tb, double *c)
{
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            c[i * cols + j] = 0;
            for (int k = 0; k < inner; k++)
                c[i * cols + j] += (ta ? a[k * rows + i] : a[i * inner + k]) *
                                   (tb ? b[j * inner + k] : b[k * cols + j]);
        }
    }
}

static void close_to(const double *x, const double *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol(x[i], want[i], 1e-12);
}

static void check_products(struct pare_ctx *ctx, const struct pare_ext_linalg *la,
                           struct pare_random *r)
{
    double a[ROWS * INNER], b[INNER * COLS], c[ROWS * COLS], want[ROWS * COLS];
    random_matrix(r, a, PARE_COUNT(a));
    random_matrix(r, b, PARE_COUNT(b));
    for (uint32_t t = 0; t < 4; t++) {
        ck_assert_int_eq(la->multiply(ctx, ROWS, COLS, INNER, a, t & 1, b, t & 2, c), PARE_OK);
        plain_product(ROWS, COLS, INNER, a, t & 1, b, t & 2, want);
        close_to(c, want, PARE_COUNT(want));
    }
    ck_assert_int_eq(la->multiply(ctx, ROWS, COLS, 0, a, 0, b, 0, c), PARE_OK);
    memset(want, 0, sizeof want);
    ck_assert_mem_eq(c, want, sizeof want); /* a sum of nothing */
}

static void check_triangles(struct pare_ctx *ctx, const struct pare_ext_linalg *la,
                            struct pare_random *r)
{
    double x[COLS * INNER], a[COLS * COLS], l[COLS * COLS], back[COLS * COLS], trace = 0;
    double b[COLS * 3], y[COLS * 3];
    random_matrix(r, x, PARE_COUNT(x));
    random_matrix(r, b, PARE_COUNT(b));
    plain_product(COLS, COLS, INNER, x, false, x, true, a);
    memcpy(l, a, sizeof l);
    ck_assert_int_eq(la->cholesky(ctx, COLS, l, .1), PARE_OK);
    plain_product(COLS, COLS, COLS, l, false, l, true, back);
    for (int i = 0; i < COLS; i++)
        trace += a[i * COLS + i];
    for (int i = 0; i < COLS; i++) {
        a[i * COLS + i] += .1 * trace / COLS;
        for (int j = i + 1; j < COLS; j++)
            ck_assert(l[i * COLS + j] == 0);
    }
    close_to(back, a, PARE_COUNT(back));
    l[1] = NAN; /* above the diagonal: not read */
    for (uint32_t t = 0; t < 2; t++) {
        memcpy(y, b, sizeof y);
        ck_assert_int_eq(la->solve_triangular(ctx, COLS, l, t, 3, y), PARE_OK);
        for (int i = 0; i < COLS; i++) {
            for (int j = 0; j < 3; j++) {
                double sum = 0;
                for (int k = t ? i : 0; k <= (t ? COLS - 1 : i); k++)
                    sum += l[t ? k * COLS + i : i * COLS + k] * y[k * 3 + j];
                ck_assert_double_eq_tol(sum, b[i * 3 + j], 1e-12);
            }
        }
    }
}

static void check_svd(struct pare_ctx *ctx, const struct pare_ext_linalg *la, struct pare_random *r,
                      int rows, int cols)
{
    double a[ROWS * ROWS], u[ROWS * ROWS], s[ROWS], alone[ROWS], vt[ROWS * ROWS], us[ROWS * ROWS],
        back[ROWS * ROWS], unit[ROWS * ROWS] = {0};
    const int k = PARE_MIN(rows, cols);
    random_matrix(r, a, (size_t)(rows * cols));
    ck_assert_int_eq(la->svd(ctx, (uint32_t)rows, (uint32_t)cols, a, u, s, vt), PARE_OK);
    ck_assert_int_eq(la->svd(ctx, (uint32_t)rows, (uint32_t)cols, a, NULL, alone, NULL), PARE_OK);
    close_to(alone, s, (size_t)k);
    for (int i = 0; i < k; i++) {
        ck_assert(s[i] >= 0 && (i == 0 || s[i] <= s[i - 1]));
        unit[i * k + i] = 1;
        for (int row = 0; row < rows; row++)
            us[row * k + i] = u[row * k + i] * s[i];
    }
    plain_product(rows, cols, k, us, false, vt, false, back);
    close_to(back, a, (size_t)(rows * cols));
    plain_product(k, k, rows, u, true, u, false, back);
    close_to(back, unit, (size_t)(k * k));
    plain_product(k, k, cols, vt, false, vt, true, back);
    close_to(back, unit, (size_t)(k * k));
}

static double svd_of_large[64];

static int uses_factors(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_linalg *la = host->extension(ctx, PARE_EXT_LINALG);
    double singular[4] = {1, 2, 2, 1}, zero[4] = {1, 0, 3, 0}, b[2] = {1, 1};
    static double large[64 * 96], square[64 * 64];
    struct pare_random r;
    pare_random_seed(&r, 5);
    ck_assert(PARE_HAS(la, multiply) && PARE_HAS(la, svd));
    check_products(ctx, la, &r);
    check_triangles(ctx, la, &r);
    check_svd(ctx, la, &r, ROWS, COLS);
    check_svd(ctx, la, &r, COLS, ROWS);
    check_svd(ctx, la, &r, COLS, COLS);
    check_svd(ctx, la, &r, 1, COLS);
    ck_assert_int_eq(la->svd(ctx, 0, 3, NULL, NULL, NULL, NULL), PARE_OK);
    random_matrix(&r, large, PARE_COUNT(large)); /* large enough for several threads */
    ck_assert_int_eq(la->multiply(ctx, 64, 64, 96, large, 0, large, 1, square), PARE_OK);
    ck_assert_int_eq(la->cholesky(ctx, 64, square, 0), PARE_OK);
    ck_assert_int_eq(la->solve_triangular(ctx, 64, square, 0, 96, large), PARE_OK);
    ck_assert_int_eq(la->svd(ctx, 64, 96, large, NULL, svd_of_large, NULL), PARE_OK);
    ck_assert_int_eq(la->cholesky(ctx, 2, singular, 0), PARE_FAILED);
    ck_assert(singular[0] == 1 && singular[1] == 2 && singular[3] == 1);
    return la->solve_triangular(ctx, 2, zero, 0, 1, b);
}

/* What overflowed is not called singular, nor slow to converge. */
static int takes_nan(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_linalg *la = host->extension(ctx, PARE_EXT_LINALG);
    const double bad[2] = {(double)NAN, (double)INFINITY}, whole[4] = {2, 0, 0, 2};
    for (size_t i = 0; i < PARE_COUNT(bad); i++) {
        for (int call = 0; call < 7; call++) {
            double a[4] = {2, bad[i], bad[i], 2}, b[2] = {1, 1}, nans[2] = {bad[0], 1};
            ctx->err->what[0] = '\0';
            int rc = call == 0   ? la->cholesky(ctx, 2, a, 0)
                     : call == 1 ? la->cholesky_inverse(ctx, 2, a, 0)
                     : call == 2 ? la->solve(ctx, 2, a, 0, 1, b)
                     : call == 3 ? la->solve(ctx, 2, whole, 0, 1, nans)
                     : call == 4 ? la->solve_triangular(ctx, 2, whole, 0, 1, nans)
                     : call == 5 ? la->svd(ctx, 2, 2, a, NULL, b, NULL)
                                 : la->eigen(ctx, 2, a, b);
            ck_assert_msg(rc == PARE_FAILED, "call %d", call);
            ck_assert_msg(strstr(ctx->err->what, "not finite") != NULL, "call %d: %s", call,
                          ctx->err->what);
        }
    }
    return PARE_OK;
}

START_TEST(not_finite)
{
    struct golden t;
    golden_open(&t);
    apply_own(&t.w, t.graph, takes_nan, "", NULL);
    golden_close(&t);
}
END_TEST

START_TEST(factors)
{
    struct golden t;
    double first[64];
    golden_open(&t);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        world_threads(&t.w, threads);
        ck_assert_int_eq(apply_own(&t.w, t.graph, uses_factors, "", NULL), PARE_FAILED);
        ck_assert_ptr_nonnull(strstr(t.w.err.what, "singular"));
        if (threads == 1)
            memcpy(first, svd_of_large, sizeof first);
        ck_assert_mem_eq(first, svd_of_large, sizeof first);
    }
    golden_close(&t);
}
END_TEST

static bool always(void *user)
{
    (void)user;
    return true;
}

static unsigned logged;
static void count_log(void *user, int level, const char *text)
{
    (void)user, (void)level;
    logged += strcmp(text, "working 1") == 0;
}

static int is_cancelled(struct pare_ctx *ctx, const struct pare_host *host)
{
    host->log(ctx, PARE_LOG_INFO, "working %d", 1);
    return host->progress(ctx, .5) ? host->error(ctx, PARE_CANCELLED, "interrupted") : PARE_OK;
}

START_TEST(cancelled)
{
    struct world w;
    world_open(&w, 16);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    w.env.log = count_log;
    ck_assert_int_eq(apply_own(&w, g, is_cancelled, "", NULL), PARE_OK);
    ck_assert_uint_eq(logged, 1);
    w.env.cancelled = always;
    ck_assert_int_eq(apply_own(&w, g, is_cancelled, "", NULL), PARE_CANCELLED);
    ck_assert_int_eq(world_apply(&w, g, "quantize", "", NULL, NULL), PARE_CANCELLED);
    ck_assert_int_eq(world_apply(&w, g, "prune", "", NULL, NULL), PARE_CANCELLED);
    ck_assert_int_eq(world_apply(&w, g, "layer-drop", "{'score': 'output-change'}", NULL, NULL),
                     PARE_CANCELLED);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* Only transforms are stages; two settings decided one after the other hold together. */
START_TEST(stages)
{
    struct world w;
    struct recorded r = {0};
    world_open(&w, 8);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    ck_assert_int_eq(world_apply(&w, g, "cosine", "", NULL, NULL), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(w.err.what, "is no transform"));
    ck_assert_int_eq(world_apply(&w, g, "quantize",
                                 "{'bits': {'allocate': {'plugin': 'uniform', 'params': {'value': "
                                 "4}}, 'per': 'stream'}}",
                                 NULL, NULL),
                     PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(w.err.what, "does not vary over"));
    ck_assert_int_eq(world_apply(&w, g, "quantize",
                                 "{'bits': {'allocate': {'plugin': 'uniform', 'params': {'value': "
                                 "4.5}}}}",
                                 "layer.**", NULL),
                     PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(w.err.what, "for 'bits', which takes a whole number from 2 to 8"));
    w.env.record = world_record;
    w.env.user = &r;
    ck_assert_int_eq(
        world_apply(&w, g, "quantize",
                    "{'bits': {'allocate': {'plugin': 'two-level', 'params': {'high': 8, 'low': 4, "
                    "'high_share': 0.5}}, 'score': 'zd', 'per': 'block'},"
                    " 'group_size': {'allocate': {'plugin': 'greedy', 'params': {'count': 1, "
                    "'from': 0, 'to': 32}}, 'per': 'block'}}",
                    "layer.**", NULL),
        PARE_OK);
    unsigned high = 0, grouped = 0;
    for (uint32_t b = 0; b < 8; b++) {
        char path[64];
        snprintf(path, sizeof path, "layer.%u.ffn.up", b);
        high += recorded_value(&r, path, "bits") == 8;
        grouped += recorded_value(&r, path, "group_size") == 32;
        ck_assert_uint_eq(world_node(g, path)->weight->bits,
                          (unsigned)recorded_value(&r, path, "bits"));
    }
    ck_assert_uint_eq(high, 4);
    ck_assert_uint_eq(grouped, 1);
    for (size_t i = 0; i < r.n; i++)
        ck_assert(r.items[i].bytes_before > r.items[i].bytes_after && r.items[i].bytes_after > 0);
    pare_graph_free(g);
    world_close(&w);
}
END_TEST

/* ---- the catalogue
 * ------------------------------------------------------------------------------- */

struct reported {
    unsigned n;
    char last[512];
};

static void note_bad(void *user, const char *path, const struct pare_error *why)
{
    struct reported *r = user;
    r->n++;
    snprintf(r->last, sizeof r->last, "%s: %.200s %.200s", path, why->what, why->detail);
}

START_TEST(search_order)
{
    struct pare_error err = {0};
    struct pare_catalog *c;
    const struct pare_plugin_file *file, *const *list;
    struct reported bad = {0};
    char a[4200], b[4200], path[8500], from[8500];
    size_t n;
    const char *folder = pare_test_folder();
    snprintf(a, sizeof a, "%s/a", folder);
    snprintf(b, sizeof b, "%s/b", folder);
    ck_assert(mkdir(a, 0700) == 0 && mkdir(b, 0700) == 0);
    snprintf(from, sizeof from, "%s", module("young-plugin"));
    snprintf(path, sizeof path, "%s/young-plugin.so", a);
    copy_file(from, path);
    snprintf(path, sizeof path, "%s/young-plugin.so", b);
    copy_file(from, path);
    snprintf(path, sizeof path, "%s:%s", a, b);
    setenv("PARE_PLUGIN_PATH", path, 1);
    setenv("HOME", folder, 1);
    /* a copy is the same plugin: the first in the path counts */
    ck_assert_ok(pare_catalog_new(&c, &err), err);
    ck_assert_ok(pare_catalog_find(c, "young-plugin", NULL, &file, &err), err);
    ck_assert_int_eq(strncmp(file->path, a, strlen(a)), 0);
    pare_catalog_free(c);
    /* another build of it is not, whichever way the first was met */
    snprintf(path, sizeof path, "%s/young-plugin.so", b);
    FILE *longer = fopen(path, "ab");
    ck_assert(longer && fputc(0, longer) == 0 && fclose(longer) == 0);
    for (int met = 0; met < 2; met++) {
        ck_assert_ok(pare_catalog_new(&c, &err), err);
        snprintf(path, sizeof path, "%s/young-plugin.so", a);
        if (met)
            ck_assert_ok(pare_catalog_find(c, path, NULL, &file, &err), err);
        ck_assert_int_eq(pare_catalog_find(c, "young-plugin", NULL, &file, &err), PARE_INVALID);
        ck_assert_str_eq(err.what, "two files are the plugin 'young-plugin'");
        ck_assert(strstr(err.detail, a) && strstr(err.detail, b));
        pare_catalog_free(c);
    }
    snprintf(path, sizeof path, "%s/broken.so", b);
    ck_assert_ok(pare_file_write(path, "not ELF", 7, &err), err);
    snprintf(path, sizeof path, "%s/renamed.so", b);
    copy_file(module("bad-crash"), path);
    ck_assert_ok(pare_catalog_new(&c, &err), err);
    snprintf(path, sizeof path, "%s/young-plugin.so", a);
    /* the second file of the id is named with the first, and left out */
    ck_assert_ok(pare_catalog_all(c, note_bad, &bad, &list, &n, &err), err);
    ck_assert_uint_eq(bad.n, 2);
    for (size_t i = 0; i < n; i++) {
        ck_assert(i == 0 || strcmp(list[i - 1]->desc.id, list[i]->desc.id) < 0);
        if (!strcmp(list[i]->desc.id, "young-plugin"))
            ck_assert_str_eq(list[i]->path, path);
    }
    snprintf(path, sizeof path, "%s/young-plugin.so", b);
    ck_assert_int_eq(pare_catalog_find(c, path, NULL, &file, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "two files are the plugin 'young-plugin'"));
    ck_assert(strstr(err.detail, a) && strstr(err.detail, b));
    ck_assert_int_eq(pare_catalog_find(c, "broken", NULL, &file, &err), PARE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.what, "cannot load"));
    /* a file is asked for by its id */
    ck_assert_int_eq(pare_catalog_find(c, "renamed", NULL, &file, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "is the plugin 'bad-crash', not 'renamed'"));
    pare_catalog_free(c);
    ck_assert_ok(pare_remove_tree(folder, &err), err);
}
END_TEST

START_TEST(names)
{
    struct pare_error err = {0};
    struct pare_catalog *c;
    struct world w;
    const struct pare_plugin_file *file;
    char path[8500];
    world_begin(&w, 1, 1);
    ck_assert_int_eq(pare_catalog_find(w.catalog, "quantise", NULL, &file, &err), PARE_NOT_FOUND);
    ck_assert_str_eq(err.what, "no plugin is called 'quantise'");
    ck_assert_str_eq(err.hint, "did you mean 'quantize'?");
    ck_assert_ptr_nonnull(strstr(err.detail, "/plugins"));
    ck_assert_int_eq(pare_catalog_find(w.catalog, "", NULL, &file, &err), PARE_NOT_FOUND);
    ck_assert_int_eq(pare_catalog_find(w.catalog, "..", NULL, &file, &err), PARE_NOT_FOUND);
    world_close(&w);

    const char *folder = pare_test_folder();
    snprintf(path, sizeof path, "%s/x", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/x/young-plugin.so", folder);
    copy_file(module("young-plugin"), path);
    /* relative and empty entries of the path would mean the current folder: not searched */
    ck_assert_int_eq(chdir(folder), 0);
    setenv("PARE_PLUGIN_PATH", "x::./x:", 1);
    setenv("HOME", "x", 1);
    ck_assert_ok(pare_catalog_new(&c, &err), err);
    ck_assert_int_eq(pare_catalog_find(c, "young-plugin", NULL, &file, &err), PARE_NOT_FOUND);
    /* a name with a slash is a file, from the given folder, or from here */
    ck_assert_ok(pare_catalog_find(c, "./x/young-plugin.so", folder, &file, &err), err);
    ck_assert_str_eq(file->desc.id, "young-plugin");
    ck_assert_ok(pare_catalog_find(c, "x/young-plugin.so", NULL, &file, &err), err);
    ck_assert_int_eq(pare_catalog_find(c, "./none.so", folder, &file, &err), PARE_NOT_FOUND);
    ck_assert_int_eq(pare_catalog_find(c, "./x", folder, &file, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "is not a regular file"));
    ck_assert_int_eq(mkfifo("pipe.so", 0600), 0);
    ck_assert_int_eq(pare_catalog_find(c, "./pipe.so", folder, &file, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "is not a regular file"));
    pare_catalog_free(c);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_ok(pare_remove_tree(folder, &err), err);
}
END_TEST

/* What is written to start from compiles as its own Makefile says, loads, and does what it says. */
START_TEST(template)
{
    struct world w;
    char command[4 * 4096], path[4200];
    const struct pare_plugin_file *file;
    const char *folder = pare_test_folder();
    world_open(&w, 16);
    snprintf(path, sizeof path, "%s/new", folder);
    ck_assert_ok(pare_plugin_new("drop-small", "transform", path, "/nowhere", &w.err), w.err);
    snprintf(command, sizeof command,
             "make -s -C %s CFLAGS='-O1 -Werror' PARE_CFLAGS=-I%s >%s/log 2>&1", path,
             pare_test_source("core/include"), folder);
    ck_assert_msg(system(command) == 0, "%s", command);
    snprintf(path, sizeof path, "%s/new/org.example.drop-small.so", folder);
    ck_assert_ok(pare_catalog_find(w.catalog, path, NULL, &file, &w.err), w.err);
    struct pare_graph *g = world_copy(&w, w.model->graph);
    ck_assert_int_eq(world_apply_file(&w, g, file, "{'threshold': 0}", NULL, NULL), PARE_OK);
    ck_assert_ptr_eq(world_node(g, "layer.0.ffn.up")->weight,
                     world_node(w.model->graph, "layer.0.ffn.up")->weight);
    ck_assert_int_eq(world_apply_file(&w, g, file, "{'threshold': 0.2}", NULL, NULL), PARE_OK);
    const struct pare_weight *after = world_node(g, "layer.0.ffn.up")->weight;
    float *x = world_weight(w.model->graph, "layer.0.ffn.up"),
          *y = world_weight(g, "layer.0.ffn.up");
    for (uint32_t r = 0; r < after->rows; r++) {
        float most = 0;
        for (uint32_t c = 0; c < after->cols; c++)
            most = fmaxf(most, fabsf(x[r * after->cols + c]));
        for (uint32_t c = 0; c < after->cols; c++) {
            float was = x[r * after->cols + c];
            ck_assert(y[r * after->cols + c] == (fabs((double)was) >= .2 * (double)most ? was : 0));
        }
    }
    free(x);
    free(y);
    pare_graph_free(g);
    world_close(&w);
    ck_assert_ok(pare_remove_tree(folder, &w.err), w.err);
}
END_TEST

/* ---- metrics
 * ------------------------------------------------------------------------------------- */

/* Of three samples with two classes; `how` is the plugin's parameter. */
static int measure(struct world *w, const char *how, double scale, double values[3])
{
    static const float logits[] = {1, 2, -3, 4, 5, 6};
    static const uint32_t targets[] = {1, 0, PARE_NO_TARGET};
    const struct pare_outputs outputs = {.struct_size = sizeof outputs,
                                         .samples = 3,
                                         .rows = 1,
                                         .width = 2,
                                         .values = logits,
                                         .targets = targets};
    json_t *params = json_pack("{s:s, s:f}", "how", how, "scale", scale);
    w->err = (struct pare_error){0};
    int rc = pare_metric_measure(&w->env, world_plugin(w, "given-metric"), params, &outputs, values,
                                 &w->err);
    json_decref(params);
    return rc;
}

START_TEST(metrics)
{
    struct world w;
    double values[3];
    world_begin(&w, 1, 1);
    const struct pare_plugin *desc = &world_plugin(&w, "given-metric")->desc;
    ck_assert(pare_metric_higher(desc) && !pare_plugin_transforms(desc));
    ck_assert_str_eq(desc->unit, "logit");
    ck_assert_ok(measure(&w, "well", 2, values), w.err);
    ck_assert(values[0] == 4 && values[1] == -6 && isnan(values[2]));
    size_t n;
    struct pare_interval x = pare_metric_mean(values, 3, 1, &n);
    ck_assert(n == 2 && x.value == -1 && fabs(x.hi - (-1 + 1.959964 * 5)) < 1e-5);
    x = pare_metric_mean(values, 2, 2, &n); /* the first and the third */
    ck_assert(n == 1 && x.value == 4 && isnan(x.lo));
    x = pare_metric_mean(values + 2, 1, 1, &n);
    ck_assert(n == 0 && isnan(x.value));
    ck_assert_ok(measure(&w, "services", 1, values), w.err);
    ck_assert_int_eq(measure(&w, "infinite", 1, values), PARE_FAILED);
    ck_assert_str_eq(w.err.what,
                     "metric 'given-metric' gave a sample a value that is not finite: sample 0 of "
                     "a batch of 3, of 2 classes: inf");
    ck_assert_int_eq(measure(&w, "silent", 1, values), PARE_FAILED);
    ck_assert_str_eq(w.err.what, "plugin 'given-metric' failed in measure and gave no reason");
    ck_assert_int_eq(measure(&w, "refuse", 1, values), PARE_UNSUPPORTED);
    ck_assert_str_eq(w.err.what, "metric 'given-metric': these are not to be measured");
    ck_assert_str_eq(w.err.detail, "plugin 'given-metric' 1.0.0");
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plugin host");
    TCase *tc = pare_test_case(s, "loading");
    tcase_add_loop_test(tc, refused_when_loaded, 0, PARE_COUNT(unloadable));
    tcase_add_test(tc, fast_math);
    tcase_add_test(tc, later_plugin);
    tcase_add_loop_test(tc, loads, 0, 8);
    tcase_add_test(tc, younger_plugin);
    tcase_add_test(tc, younger_host);
    tc = pare_test_case(s, "at work");
    tcase_add_loop_test(tc, fails_at_work, 0, PARE_COUNT(failing));
    tcase_add_loop_test(tc, fails_to_score, 0, PARE_COUNT(scoring));
    tcase_add_test(tc, prints);
    tc = pare_test_case(s, "services");
    tcase_add_loop_test(tc, wrong_calls, 0, WRONG_CALLS);
    tcase_add_test(tc, sets_an_encoding);
    tcase_add_test(tc, parameters_and_units);
    tcase_add_test(tc, statistics);
    tcase_add_test(tc, algebra);
    tcase_add_test(tc, factors);
    tcase_add_test(tc, not_finite);
    tcase_add_test(tc, cancelled);
    tcase_add_test(tc, metrics);
    tcase_add_test(tc, stages);
    tc = pare_test_case(s, "catalogue");
    tcase_add_test(tc, search_order);
    tcase_add_test(tc, names);
    tcase_add_test(tc, template);
    return pare_test_main(&s, 1);
}
