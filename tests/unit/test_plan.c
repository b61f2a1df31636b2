/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "base/clock.h"
#include "base/file.h"
#include "pipeline/init.h"
#include "pipeline/reference.h"
#include "pipeline/schema.h"
#include "tests/unit/pipeline_env.h"

/* A pipeline read and planned: what the tests look at. */
struct planned {
    struct pare_diags diags;
    struct pare_pipeline *pipeline;
    struct pare_run_plan *plan;
    struct pare_error err;
    int rc;
};

static struct planned make_with(const char *text, const struct pare_spec_env *env)
{
    struct planned p = {.rc = PARE_OK};
    p.rc = pare_pipeline_parse("t.yaml", text, strlen(text), env, &p.diags, &p.pipeline, &p.err);
    if (p.rc == PARE_OK)
        p.rc = pare_run_plan_make(p.pipeline, env, &p.diags, &p.plan, &p.err);
    return p;
}

static struct planned make(const char *text)
{
    return make_with(text, &test_env);
}

/* As make(), and it must succeed. */
static struct planned must(const char *text)
{
    struct planned p = make(text);
    char *shown = pare_diags_text(&p.diags);
    ck_assert_msg(p.rc == PARE_OK, "%s%s", shown, p.err.what);
    free(shown);
    return p;
}

static void drop(struct planned *p)
{
    pare_run_plan_free(p->plan);
    pare_pipeline_free(p->pipeline);
    pare_diags_free(&p->diags);
}

#define HEAD "pare: 1\nmodel: vit\ndata: {calibrate: {from: mnist}, evaluate: {from: mnist}}\n"

/* All labels in order, separated by spaces; skipped ones in parentheses. */
static const char *labels(const struct planned *p)
{
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < p->plan->n_variants; i++) {
        const struct pare_variant *v = &p->plan->variants[i];
        n += (size_t)snprintf(text + n, sizeof text - n, v->skip ? "%s(%s)" : "%s%s", i ? " " : "",
                              v->label);
        ck_assert_uint_lt(n, sizeof text);
    }
    return text;
}

static struct pare_plugin_file *plugin(const char *id)
{
    const struct pare_plugin_file *file;
    ck_assert_int_eq(test_find(NULL, id, NULL, &file, NULL), PARE_OK);
    for (size_t i = 0; i < PARE_COUNT(test_plugins); i++) {
        if (&test_plugins[i] == file)
            return &test_plugins[i];
    }
    return NULL;
}

/* ---- mistakes ---- */

struct mistake {
    const char *text;
    unsigned line, column;
    const char *what; /* the whole message */
    const char *hint; /* part of it, or NULL: not looked at */
};

static void check_mistakes(const char *head, const struct mistake *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[4096];
        snprintf(text, sizeof text, "%s%s", head, cases[i].text);
        struct planned p = make(text);
        char *shown = pare_diags_text(&p.diags);
        ck_assert_msg(p.rc == PARE_INVALID && p.diags.n == 1,
                      "%s\ngives %zu messages, status %d:\n%s", text, p.diags.n, p.rc, shown);
        ck_assert_str_eq(p.diags.items[0].what, cases[i].what);
        ck_assert_msg(p.diags.items[0].at.line == cases[i].line &&
                          p.diags.items[0].at.column == cases[i].column,
                      "not at %u:%u:\n%s", cases[i].line, cases[i].column, shown);
        if (cases[i].hint)
            ck_assert_msg(p.diags.items[0].hint && strstr(p.diags.items[0].hint, cases[i].hint),
                          "no hint '%s':\n%s", cases[i].hint, shown);
        ck_assert_ptr_null(p.plan);
        free(shown);
        drop(&p);
    }
}

#define MEASURED HEAD "stages: [{plugin: prune}]\n"

START_TEST(mistakes_in_metrics)
{
    static const struct mistake cases[] = {
        /* all of these begin in line 5 */
        {"measure: {org.example.calibration: {bins: 200}}\n", 5, 43,
         "'bins' is out of range: 200, expected an integer from 2 to 64", NULL},
        {"measure: {org.example.calibration: {bin: 20}}\n", 5, 37,
         "unknown parameter 'bin' for plugin 'org.example.calibration'", "'bins'"},
        {"measure: {org.example.calibration: {bins: [10, 20]}}\n", 5, 36,
         "org.example.calibration is measured with one setting, not with 2", NULL},
        {"measure: {org.example.calibration: 20}\n", 5, 36,
         "expected a map of its parameters for 'org.example.calibration', got 20", NULL},
        {"measure: {org.example.calibration: {plugin: test.m}}\n", 5, 37,
         "the plugin is named by the key before its map", NULL},
        {"measure: {test.m: {}, /plugins/margin.so: {}}\n", 5, 23,
         "'test.m' cannot be measured: it is measured already", NULL},
        {"measure: {/plugins/kl.so: {}}\n", 5, 11,
         "'kl' cannot be measured: a metric of Pare's own is called so", NULL},
        {"measure: {test.m: {}}\nselect: {objectives: {org.example.calibration: {}}}\n", 6, 23,
         "unknown metric 'org.example.calibration'", NULL},
    };
    check_mistakes(MEASURED, cases, PARE_COUNT(cases));
}
END_TEST

static struct planned measured(const char *measure)
{
    char text[1024];
    snprintf(text, sizeof text,
             MEASURED "measure: {%s}\n"
                      "select: {objectives: {test.m: {tolerance: 0.1}, size_bytes: {}}, "
                      "constraints: [\"org.example.calibration <= 1.5 * baseline\"]}\n",
             measure);
    struct planned p = make(text);
    ck_assert_int_eq(p.rc, PARE_OK);
    return p;
}

/* Their names are the plugins' ids, and their keys tell file and setting. */
START_TEST(metrics_of_plugins)
{
    struct planned p = measured("test.m: , org.example.calibration: {bins: 15}");
    const struct pare_pipeline *l = p.pipeline;
    ck_assert(l->n_measures == 2 && !l->top1 && l->n_objectives == 2 && l->n_constraints == 1);
    ck_assert_str_eq(l->measures[1].settings, "{\"bins\":15,\"norm\":\"l1\"}");
    ck_assert_str_eq(l->objectives[0].metric->name, "test.m");
    ck_assert(l->objectives[0].metric->higher && !l->constraints[0].metric->higher);
    struct planned same = measured("/plugins/calibration.so: {}, test.m: {}, top1: {}");
    ck_assert_str_eq(same.pipeline->measures[0].key, l->measures[1].key);
    struct planned other = measured("org.example.calibration: {bins: 16}, test.m: {}");
    ck_assert_str_ne(other.pipeline->measures[0].key, l->measures[1].key);
    plugin("test.m")->sha256[0] = 'x'; /* another build of it */
    struct planned rebuilt = measured("org.example.calibration: , test.m: ");
    ck_assert_str_eq(rebuilt.pipeline->measures[0].key, l->measures[1].key);
    ck_assert_str_ne(rebuilt.pipeline->measures[1].key, l->measures[0].key);
    plugin("test.m")->sha256[0] = 'd';
    ck_assert_str_eq(p.plan->variants[0].build, rebuilt.plan->variants[0].build);
    drop(&p);
    drop(&same);
    drop(&other);
    drop(&rebuilt);
}
END_TEST

/* What --set brings in is blamed on what was typed, not on a line of the file. */
START_TEST(mistakes_in_settings)
{
    static const struct {
        const char *set, *want;
        size_t hidden;
    } cases[] = {
        {"data.evaluate.samples=abc",
         "--set data.evaluate.samples=abc: error: expected an integer of at least 1 for "
         "'samples', got text 'abc'\n"
         "      | data.evaluate.samples=abc\n"
         "      |                       ^~~\n",
         0},
        {"foo=1",
         "--set foo=1: error: unknown key 'foo' in a pipeline\n"
         "      | foo=1\n"
         "      | ^~~\n",
         0},
        {"stages.drop.with={count: 1, cuont: 2}",
         "--set stages.drop.with={count: 1, cuont: 2}: error: unknown parameter 'cuont' for plugin "
         "'layer-drop'\n"
         "      | stages.drop.with={count: 1, cuont: 2}\n"
         "      |                             ^~~~~\n",
         0},
        {"limits.tmie=3s",
         "--set limits.tmie=3s: error: unknown key 'tmie' in limits\n"
         "      | limits.tmie=3s\n"
         "      |        ^~~~\n",
         0},
        {"stages.drop.with.cuont=2",
         "cuont=2: error: unknown parameter 'cuont' for plugin 'layer-drop'\n"
         "      | cuont=2\n"
         "      | ^~~~~\n",
         17},
    };
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        const char *const sets[] = {"limits.time=30s", cases[i].set, NULL};
        struct pare_spec_env env = test_env;
        struct pare_diags diags = {.sets_hidden = cases[i].hidden};
        struct pare_pipeline *p = NULL;
        struct pare_error err = {0};
        static const char text[] = HEAD "stages: [{id: drop, plugin: layer-drop}]\n";
        env.sets = sets;
        ck_assert_int_eq(pare_pipeline_parse("t.yaml", text, strlen(text), &env, &diags, &p, &err),
                         PARE_INVALID);
        char *shown = pare_diags_text(&diags);
        ck_assert_msg(strncmp(shown, cases[i].want, strlen(cases[i].want)) == 0, "%s", shown);
        ck_assert_msg(strncmp(err.what, cases[i].want, 9 - 9 * !!cases[i].hidden) == 0 &&
                          strstr(err.what, diags.items[0].what),
                      "%s", err.what);
        json_t *json = pare_diags_json(&diags);
        const char *file = json_string_value(json_object_get(json_array_get(json, 0), "file"));
        ck_assert_msg(strstr(file, cases[i].set + cases[i].hidden) != NULL, "%s", file);
        json_decref(json);
        free(shown);
        pare_diags_free(&diags);
    }
}
END_TEST

/* A model that cannot be read is said once, not again by all that needs it. */
START_TEST(one_mistake_for_a_missing_model)
{
    struct planned p = make("pare: 1\nmodel: nowhere\ndata: {calibrate: {from: mnist}, evaluate: "
                            "{from: mnist}}\nstages: [{plugin: layer-drop}]\n");
    ck_assert_int_eq(p.rc, PARE_INVALID);
    ck_assert_uint_eq(p.diags.n, 1);
    ck_assert_ptr_nonnull(strstr(p.diags.items[0].what, "nowhere"));
    drop(&p);
}
END_TEST

/* ---- the reference ---- */

static char *read_source(const char *name)
{
    struct pare_error err;
    char *text;
    size_t size;
    ck_assert_ok(pare_file_read(pare_test_source(name), (size_t)1 << 20, &text, &size, &err), err);
    return text;
}

/* The part of the page below a heading of any level. */
static char *below(const char *page, const char *heading)
{
    char line[96];
    snprintf(line, sizeof line, "# %s\n", heading);
    const char *from = strstr(page, line);
    ck_assert_msg(from != NULL, "docs/pipelines.md has no heading '%s'", heading);
    const char *to = strstr(from + 1, "\n#");
    return strndup(from, to ? (size_t)(to - from) : strlen(from));
}

START_TEST(reference_is_in_the_page)
{
    char *page = read_source("docs/pipelines.md");
    size_t n;
    const struct pare_reference_row *rows = pare_references(&n);
    for (size_t i = 0; i < n; i++) {
        char want[512], *part = below(page, rows[i].where);
        snprintf(want, sizeof want, "\n| `%s` | %s |\n", rows[i].key, rows[i].what);
        ck_assert_msg(strstr(part, want) != NULL, "%s lacks%s", rows[i].where, want);
        ck_assert_ptr_eq(pare_reference_of(rows[i].where, rows[i].key), rows[i].what);
        free(part);
    }
    free(page);
}
END_TEST

static bool is_row(const char *key)
{
    size_t n;
    const struct pare_reference_row *rows = pare_references(&n);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(rows[i].key, key))
            return true;
    }
    return false;
}

/* Every key that the reader takes, as its tables are written: {"KEY", read, NULL}, or an array of
 * names called `keys`. */
START_TEST(reader_has_no_other_keys)
{
    static const char *const files[] = {"spec.c", "spec_select.c", "spec_stages.c", "values.c",
                                        "values_units.c"};
    size_t found = 0;
    for (size_t f = 0; f < PARE_COUNT(files); f++) {
        char name[64], key[32], reader[64], last[8];
        snprintf(name, sizeof name, "core/pipeline/%s", files[f]);
        char *text = read_source(name);
        for (const char *p = strstr(text, "{\""); p; p = strstr(p + 1, "{\"")) {
            if (sscanf(p, "{\"%31[a-z0-9_]\", %63[a-zA-Z_], %7[A-Z]}", key, reader, last) != 3 ||
                strcmp(last, "NULL") != 0)
                continue;
            ck_assert_msg(is_row(key), "%s reads '%s', which reference.c lacks", name, key);
            found++;
        }
        for (const char *p = strstr(text, "keys[] = {"); p; p = strstr(p + 1, "keys[] = {")) {
            const char *end = strchr(p, '}');
            for (const char *q = strchr(p, '"'); q && q < end;
                 q = strchr(q + strlen(key) + 2, '"')) {
                ck_assert_int_eq(sscanf(q, "\"%31[a-z0-9_]\"", key), 1);
                ck_assert_msg(is_row(key), "%s reads '%s', which reference.c lacks", name, key);
                found++;
            }
        }
        free(text);
    }
    ck_assert_uint_ge(found, 45);
}
END_TEST

/* Every property has a description; those of plugins' parameters are their help. */
static size_t check_described(const json_t *schema, const char *path)
{
    const char *key;
    json_t *child;
    size_t n = 0, i;
    if (json_is_array(schema)) {
        json_array_foreach(schema, i, child) n += check_described(child, path);
        return n;
    }
    json_object_foreach((json_t *)(uintptr_t)schema, key, child)
    {
        char below_it[512];
        const char *name;
        json_t *property;
        snprintf(below_it, sizeof below_it, "%.400s/%.80s", path, key);
        bool conditions = !strcmp(key, "allOf") && !strcmp(path, "/definitions/stage");
        if (!strcmp(key, "properties") && json_is_object(child)) {
            json_object_foreach(child, name, property)
            {
                ck_assert_msg(json_object_get(property, "description") != NULL,
                              "%s/%s has no description", below_it, name);
                n++;
            }
        }
        if (!conditions)
            n += check_described(child, below_it);
    }
    return n;
}

START_TEST(schema_describes_keys)
{
    const struct pare_plugin_file *files[PARE_COUNT(test_plugins)];
    size_t n = 0;
    for (; n < PARE_COUNT(test_plugins); n++)
        files[n] = &test_plugins[n];
    json_t *schema = pare_schema(files, n);
    ck_assert_ptr_nonnull(schema);
    ck_assert_uint_ge(check_described(schema, ""), 45);
    json_decref(schema);
}
END_TEST

START_TEST(mistakes_in_stages)
{
    static const struct mistake cases[] = {
        /* all of these begin in line 4 */
        {"stages: [{plugin: prune, with: {ratoi: 0.5}}]\n", 4, 33,
         "unknown parameter 'ratoi' for plugin 'prune'", "`pare plugins prune` lists them"},
        {"stages: [{plugin: prune, with: {sparcity: 0.5}}]\n", 4, 33,
         "unknown parameter 'sparcity' for plugin 'prune'", "did you mean 'sparsity'?"},
        {"stages: [{plugin: prunne, with: {x: 1}, on: zzz}]\n", 4, 19, "unknown plugin 'prunne'",
         "did you mean 'prune'?"},
        {"stages: [{plugin: cosine}]\n", 4, 19, "plugin 'cosine' is a score, expected a transform",
         NULL},
        {"stages: [{plugin: quantize, with: {bits: 12}}]\n", 4, 42,
         "'bits' is out of range: 12, expected an integer from 2 to 8, in bits", NULL},
        {"stages: [{plugin: quantize, with: {bits: \"4\"}}]\n", 4, 42,
         "expected an integer from 2 to 8 for 'bits', got text '4'", "without quotes"},
        {"stages: [{plugin: quantize, with: {bits: 4.5}}]\n", 4, 42,
         "expected an integer from 2 to 8 for 'bits', got 4.5", NULL},
        {"stages: [{plugin: quantize, with: {bits: [8, 4, 9]}}]\n", 4, 49,
         "'bits' is out of range: 9, expected an integer from 2 to 8, in bits", NULL},
        {"stages: [{plugin: quantize, with: {bits: []}}]\n", 4, 42,
         "an empty list for 'bits': nothing to try", NULL},
        {"stages: [{plugin: quantize, with: {bits: 4, symmetric: yes}}]\n", 4, 56,
         "expected true or false for 'symmetric', got text 'yes'", NULL},
        {"stages: [{plugin: quantize, with: {bits: 4, activations: int4}}]\n", 4, 58,
         "'activations' cannot be 'int4', expected one of none|int8", "did you mean 'int8'?"},
        {"stages: [{plugin: quantize}]\n", 4, 19, "plugin 'quantize' needs a value for 'bits'",
         NULL},
        {"stages: [{plugin: quantize, try: [{bits: 4}, {group_size: 8}]}]\n", 4, 19,
         "plugin 'quantize' needs a value for 'bits'", NULL},
        {"stages: [{plugin: quantize, with: {bits: 4}, onn: x}]\n", 4, 46,
         "unknown key 'onn' in a stage", "did you mean 'on'?"},
        {"stages: [{plugin: prune, on: [\"layr.**\"]}]\n", 4, 31,
         "selector 'layr.**' matches nothing in this model", "did you mean 'layer.**'?"},
        {"stages: [{plugin: prune, on: layer.*.atn.query}]\n", 4, 30,
         "selector 'layer.*.atn.query' matches nothing in this model",
         "did you mean 'layer.*.attn.query'?"},
        {"stages: [{plugin: prune, on: layer.8.**}]\n", 4, 30,
         "selector 'layer.8.**' matches nothing in this model", "did you mean 'layer."},
        {"stages: [{plugin: prune, except: \"role:clasifier\"}]\n", 4, 34,
         "selector 'role:clasifier' matches nothing in this model",
         "did you mean 'role:classifier'?"},
        {"stages: [{plugin: prune, on: classifier}]\n", 4, 30,
         "stage 'prune' has nothing to work on in this model", "except: []"},
        {"stages: [{id: a, plugin: prune}, {id: a, plugin: prune}]\n", 4, 39,
         "two stages are called 'a'", NULL},
        {"stages: [{plugin: prune, propagate: both}]\n", 4, 37,
         "expected original or compressed for 'propagate', got text 'both'", NULL},
        {"stages: [{plugin: prune, as: \"p{nothing}\"}]\n", 4, 30,
         "plugin 'prune' has no parameter 'nothing' for the label", NULL},
        {"stages: [{plugin: prune, limits: {time: 5}}]\n", 4, 41,
         "expected a duration (30s, 5min, 1h) for 'time', got 5", NULL},
        {"stages: [{with: {}}]\n", 4, 10, "a stage without `plugin`", NULL},
        {"stages: []\n", 4, 9, "expected a list of stages for 'stages', got a list", NULL},
        {"stages: [{order: all, stages: [{plugin: prune}]}]\n", 4, 18,
         "expected any for 'order', got text 'all'", NULL},
        {"stages: [{plugin: prune, with: {sparsity: {range: [0.5, 0.1], step: 0.1}}}]\n", 4, 51,
         "the range is empty: 0.5 is above 0.1", NULL},
        {"stages: [{plugin: prune, with: {sparsity: {range: [0, 0.5]}}}]\n", 4, 43,
         "a range of real numbers needs a `step`", NULL},
        {"stages: [{plugin: prune, with: {sparsity: search}}]\n", 4, 43,
         "plugin 'prune' does not say which values of 'sparsity' to search", NULL},
        {"stages: [{plugin: prune, with: {pattern: {by: [{on: \"*\", value: 2:4}]}}}]\n", 4, 42,
         "'pattern' of plugin 'prune' is one value for the whole stage", NULL},
        {"stages: [{plugin: quantize, with: {bits: {by: [{on: layer.0.**, value: 8}]}}}]\n", 4, 47,
         "'bits' has no default, and `by` leaves units without a value", NULL},
        {"stages: [{plugin: quantize, with: {bits: {allocate: {plugin: two-level, high: 8, low: "
         "4}, "
         "score: zd, per: linear}}}]\n",
         4, 107, "score 'zd' has no value per linear", NULL},
        {"stages: [{plugin: quantize, with: {bits: {allocate: {plugin: zd}}}}]\n", 4, 62,
         "plugin 'zd' is a score, expected an allocator", NULL},
        {"stages: [{plugin: layer-drop, with: {score: {plugin: cosin}}}]\n", 4, 54,
         "unknown plugin 'cosin'", "did you mean 'cosine'?"},
        {"stages: [{plugin: prune}]\nexclude: [{prun.sparsity: 1}]\n", 5, 12,
         "no stage is called 'prun'", "did you mean 'prune'?"},
        {"stages: [{plugin: prune}]\nexclude: [{prune.sparsiti: 1}]\n", 5, 12,
         "unknown parameter 'sparsiti' for plugin 'prune'", "did you mean 'sparsity'?"},
        {"stages: [{plugin: prune}]\nexclude: [{prune.sparsity: 3}]\n", 5, 28,
         "'sparsity' is out of range: 3, expected a number from 0 to 1", NULL},
        {"stages: [{plugin: wide, with: {a: {range: [1, 300]}}}]\n", 4, 9,
         "301 variants, more than 256 without a `limit:`", "`limit: 301` allows them"},
        {"stages: [{plugin: wide, with: {a: {range: [1, 30]}}}]\nlimit: 5\n", 5, 8,
         "31 variants, more than 5", NULL},
        {"stages: [{plugin: quantize, with: {bits: 8}}, {plugin: layer-drop}]\n", 4, 19,
         "stage 'quantize' cannot run in any combination: plugin 'layer-drop' cannot come after "
         "'quantize' (stages 'layer-drop' and 'quantize')",
         NULL},
    };
    /* the last one is told for both stages */
    check_mistakes(HEAD, cases, PARE_COUNT(cases) - 1);
    char text[1024];
    const struct mistake *last = &cases[PARE_COUNT(cases) - 1];
    snprintf(text, sizeof text, "%s%s", HEAD, last->text);
    struct planned p = make(text);
    ck_assert_uint_eq(p.diags.n, 2);
    ck_assert_str_eq(p.diags.items[0].what, last->what);
    ck_assert_uint_eq(p.diags.items[0].at.column, last->column);
    drop(&p);
}
END_TEST

#define TAIL "pare: 1\nstages: [{plugin: prune}]\n"

START_TEST(mistakes_elsewhere)
{
    static const struct mistake cases[] = {
        /* all of these begin in line 3 */
        {"data: {evaluate: {from: mnist}}\nmodel: nowhere\n", 4, 8,
         "model 'nowhere': no such file or folder", NULL},
        {"data: {evaluate: {from: mnist}}\n", 1, 1, "the key 'model' is missing", NULL},
        {"model: vit\ndata: {calibrate: {from: mnist}}\n", 4, 7,
         "`data` lacks `evaluate`: top1 is measured on it", NULL},
        {"model: vit\ndata: {evaluate: {from: cifar}}\n", 4, 25, "'cifar' is not there", NULL},
        {"model: vit\ndata: {evaluate: {from: mnist, samples: 0}}\n", 4, 41,
         "expected an integer of at least 1 for 'samples', got 0", NULL},
        {"model: vit\ndata: {evaluate: {split: test}}\n", 4, 18, "`evaluate` lacks `from`", NULL},
        {"model: vit\ndata: {evaluate: {inputs: x.npy, labels: y.npy}}\n", 4, 19,
         "a pair of files goes into `from` of `evaluate`",
         "evaluate: {from: {inputs: x.npy, labels: y.npy}}"},
        {"model: vit\ndata: {evaluate: {from: {inputs: mnist.npy}}}\n", 4, 25,
         "expected both `inputs` and `labels` for 'from', got a map", NULL},
        {"model: vit\ndata: {evaluate: {from: mnist}, confirm: {from: mnist, skip: 9000}}\n", 4, 42,
         "`confirm` overlaps `evaluate`: the chosen models would be confirmed on the samples they "
         "were "
         "chosen on",
         NULL},
        {"model: vit\ndata: {evaluate: {from: mnist}}\nmodell: x\n", 5, 1,
         "unknown key 'modell' in a pipeline", "did you mean 'model'?"},
        {"model: vit\ndata: {evaluate: {from: mnist}}\nmodel: vit\n", 5, 1, "duplicate key 'model'",
         NULL},
        {"model: vit\ndata: {evaluate: {from: mnist}}\nselect: {constraints: [\"top1 >> 1\"]}\n", 5,
         30, "constraint: expected <= or >=, got '>>'", "a constraint is"},
        {"model: vit\ndata: {evaluate: {from: mnist}}\nselect: {constraints: [top9 >= 1]}\n", 5, 24,
         "constraint: unknown metric 'top9'", "did you mean 'top1'?"},
        {"model: vit\ndata: {evaluate: {from: mnist}}\nselect:\n  constraints:\n  - latency_ms.big "
         "<= 1\n",
         7, 5, "constraint: unknown metric 'latency_ms.big'", NULL},
        {"model: vit\ndata: {evaluate: {from: mnist}}\nselect: {objectives: {latncy_ms: {}}}\n", 5,
         23, "unknown metric 'latncy_ms'", "did you mean 'latency_ms'?"},
        {"model: vit\nmeasure: {latency: {}}\nselect: {objectives: {top1: {}}}\n", 5, 23,
         "unknown metric 'top1'", "add it to `measure`"},
        {"model: vit\nmeasure: {latency: {a: {batch: 0}}}\n", 4, 32,
         "expected an integer from 1 to 65536 for 'batch', got 0", NULL},
        {"model: vit\nmeasure: {perplexity: {}, latency: {}}\n", 4, 23,
         "perplexity is of plain texts; this one reads images", "top1: {}"},
        {"model: vit\nmeasure: {latency: {a: {prefill: 128}}}\n", 4, 24,
         "prefill, decode and depth are of language models; this one reads images", NULL},
        {"model: lm.gguf\nmeasure: {top1: {}, latency: {}}\n", 4, 17,
         "top1 is of classes and choices; this model reads text", "perplexity: {}"},
        {"model: lm.gguf\nmeasure: {latency: {a: {prefill: 128, decode: 8}}}\n", 4, 24,
         "a shape is either prefill or decode", NULL},
        {"model: lm.gguf\nmeasure: {latency: {}}\nsearch: {racing: true}\n", 5, 18,
         "racing compares right and wrong answers, which perplexity does not have", NULL},
        {"model: lm.gguf\nmeasure: {latency: {}}\ndata: {calibrate: {from: a, method: other}}\n", 5,
         37, "expected hf or llama.cpp for 'method', got text 'other'", NULL},
        {"model: vit\nmeasure: {latency: {}}\nsearch: {strategy: nsga2}\n", 5, 20,
         "search strategy 'nsga2' is not built yet", NULL},
        {"model: vit\nmeasure: {latency: {}}\nsearch: {strategy: grid, budget: {variants: 3}}\n", 5,
         26, "'budget' in search is not built yet (a grid needs none)", NULL},
        {"model: vit\nmeasure: {top5: }\nselect: {objectives: {top1: {}}, constraints: [\"top1 >= "
         "0.5\"]}\n",
         4, 11, "unknown key 'top5' in measure", "did you mean 'top1'?"},
        {"model: vit\nmeasure: {cosine: {}, latency: {}}\n", 4, 11,
         "plugin 'cosine' is a score, expected a metric", NULL},
        {"model: vit\nmeasure: {org.example.calibratio: {}, latency: {}}\n", 4, 11,
         "unknown plugin 'org.example.calibratio'", "did you mean 'org.example.calibration'?"},
        {"model: lm.gguf\nmeasure: {test.m: {}, latency: {}}\n", 4, 11,
         "plugins measure the logits of classes; this model reads text", "perplexity: {}"},
        {"model: vit\nmeasure: {latency: {}}\nselect: {objectives: {size: {}}}\n", 5, 23,
         "unknown metric 'size'", "did you mean 'size_bytes'?"},
        {"model: vit\nmeasure: {latency: {}}\nsearch: {racing: maybe}\n", 5, 18,
         "expected true or false for 'racing', got text 'maybe'", NULL},
        {"model: vit\nmeasure: {latency: {}}\nlimits: {activations: lots}\n", 5, 23,
         "expected a size (500MB, 2GB) or none for 'activations', got text 'lots'", NULL},
        {"model: vit\nmeasure: {latency: {}}\nlimits: {memory: 110%}\n", 5, 18,
         "expected a size (500MB, 2GB) or a share (80%) for 'memory', got text '110%'", NULL},
        {"model: vit\nmeasure: {latency: {}}\nname: a/b\n", 5, 7,
         "expected a word of letters, digits, '_' and '-' for 'name', got text 'a/b'", NULL},
    };
    check_mistakes(TAIL, cases, PARE_COUNT(cases));
    static const struct mistake versions[] = {
        {"pare: 2\nfuture: [1]\n", 1, 7, "this program reads version 1 of the format, not 2", NULL},
        {"[1, 2]\n", 1, 1, "a pipeline is a map of keys", NULL},
        {"pare: 1\nmodel: vit\nmeasure: {latency: {}}\nstages: [{plugin: layer-drop}]\n", 4, 19,
         "plugin 'cosine' needs calibration data", "calibrate"},
    };
    check_mistakes("", versions, PARE_COUNT(versions));
}
END_TEST

START_TEST(all_mistakes_at_once)
{
    char *text;
    size_t size;
    struct pare_error err;
    ck_assert_ok(pare_file_read(pare_test_source("tests/fuzz/corpus/yaml/mistakes.yaml"), 65536,
                                &text, &size, &err),
                 err);
    struct planned p = make(text);
    static const unsigned lines[] = {2, 3, 4, 4, 6, 7, 7, 8, 9, 10, 11, 11, 11, 12, 12, 13, 14};
    ck_assert_int_eq(p.rc, PARE_INVALID);
    ck_assert_uint_eq(p.diags.n, PARE_COUNT(lines));
    for (size_t i = 0; i < PARE_COUNT(lines); i++)
        ck_assert_uint_eq(p.diags.items[i].at.line, lines[i]);
    drop(&p);
    free(text);
}
END_TEST

/* ---- expansion ---- */

static char *corpus(const char *name)
{
    char *text, path[256];
    size_t size;
    struct pare_error err;
    snprintf(path, sizeof path, "tests/fuzz/corpus/yaml/%s", name);
    ck_assert_ok(pare_file_read(pare_test_source(path), 65536, &text, &size, &err), err);
    return text;
}

START_TEST(full_grid)
{
    char *text = corpus("full.yaml");
    struct planned p = must(text);
    /* 3 drop x 2 prune x 3 merge x 3 quant = 54, less drop2 with 4 bits (6), baseline among them */
    ck_assert_uint_eq(p.plan->n_variants, 48);
    ck_assert_uint_eq(p.plan->n_excluded, 6);
    ck_assert_uint_eq(p.plan->n_skipped, 0);
    ck_assert(p.plan->variants[0].is_baseline);
    ck_assert_str_eq(p.plan->variants[0].label, "baseline");
    ck_assert_str_eq(p.plan->variants[1].label, "q8");
    ck_assert_str_eq(p.plan->variants[2].label, "q4");
    ck_assert_str_eq(p.plan->variants[3].label, "merge2");
    ck_assert_str_eq(p.plan->variants[35].label, "drop1+p2:4+merge4+q4");
    ck_assert_str_eq(p.plan->variants[47].label, "drop2+p2:4+merge4+q8");
    ck_assert_str_eq(p.plan->matches[1].text, "49 of 50 linears; left: classifier (default)");
    ck_assert_str_eq(p.plan->matches[3].text, "48 of 50 linears; left: embed.patch, classifier");
    ck_assert_str_eq(p.plan->matches[0].text, "16 of 16 branches, 8 of 8 blocks");
    ck_assert_uint_eq(p.plan->n_notes, 1);
    ck_assert_str_eq(p.plan->notes[0], "drop: what score picks is decided at run time by cosine");
    /* the sections */
    const struct pare_pipeline *s = p.pipeline;
    ck_assert_str_eq(s->name, "fashion-vit");
    ck_assert_str_eq(s->model, "../share/models/fashion-vit");
    ck_assert_uint_eq(s->calibrate.n_samples, 256);
    ck_assert_uint_eq(s->confirm.skip, 8000);
    ck_assert_uint_eq(s->n_objectives, 3);
    ck_assert(!s->objectives[0].relative && s->objectives[1].relative);
    ck_assert_double_eq_tol(s->objectives[1].tolerance, 0.01, 1e-12);
    ck_assert_uint_eq(s->n_constraints, 2);
    ck_assert_double_eq(s->limits.time_s, 3600);
    ck_assert_double_eq(s->limits.stall_s, 300);
    ck_assert_double_eq_tol(s->limits.memory_share, 0.8, 1e-12);
    ck_assert_str_eq(s->shapes[0].name, "edge");
    drop(&p);
    free(text);
}
END_TEST

START_TEST(values_of_all_kinds)
{
    static const struct {
        const char *stages, *labels;
    } cases[] = {
        {"[{plugin: quantize, with: {bits: 4}}]", "baseline q4"},
        {"[{plugin: quantize, with: {bits: [8, 4]}}]", "baseline q8 q4"},
        {"[{plugin: quantize, with: {bits: {try: [8, 4]}}}]", "baseline q8 q4"},
        {"[{plugin: quantize, with: {bits: {range: [2, 8], step: 3}}}]", "baseline q2 q5 q8"},
        {"[{plugin: quantize, with: {bits: {range: [6, 8]}}}]", "baseline q6 q7 q8"},
        {"[{plugin: quantize, with: {bits: search}}]", "baseline q2 q3 q4 q8"},
        {"[{plugin: quantize, with: {bits: 4, symmetric: search}}]",
         "baseline q4[symmetric=false] q4[symmetric=true]"},
        {"[{plugin: quantize, with: {group_size: [32, 64], bits: [4, 8]}}]",
         "baseline q4[group_size=32] q8[group_size=32] q4[group_size=64] q8[group_size=64]"},
        {"[{plugin: quantize, with: {group_size: 32}, try: [{bits: 4}, {bits: 8, group_size: 0}]}]",
         "baseline q4 q8"},
        {"[{plugin: quantize, as: \"w{bits}a{activations}\", try: [{bits: 4}, {bits: 8, "
         "activations: "
         "int8}]}]",
         "baseline w4anone w8aint8"},
        {"[{plugin: prune, as: \"s{sparsity}\", with: {sparsity: {range: [0.1, 0.3], step: 0.1}}}]",
         "baseline s0.1 s0.2 s0.3"},
        {"[{plugin: layer-drop, as: \"l{layers}\", with: {layers: {try: [[1, 2], [3]]}}}]",
         "baseline l1,2 l3"},
        /* at its identity value a step is gone: the same model under two names */
        {"[{plugin: token-merge, with: {r: [0, 2]}}, {plugin: quantize, with: {bits: 8}}]",
         "baseline q8 merge2+q8"},
        {"[{plugin: prune, with: {sparsity: {by: [{on: \"*\", value: 0}]}}}]", "baseline"},
        {"[{plugin: quantize, optional: true, with: {bits: {by: [{on: \"*\", value: 4}, {on: "
         "layer.0.**, value: 8}]}}}]",
         "baseline qmixed"},
        {"[{plugin: quantize, with: {bits: [{by: [{on: \"*\", value: 4}]}, 8]}}]",
         "baseline qmixed q8"},
        {"[{plugin: quantize, with: {bits: {allocate: {plugin: two-level, high: 8, low: 4, "
         "high_share: {try: [0.25, 0.5]}}, score: zd}}}]",
         "baseline qtwo-level[high_share=0.25] qtwo-level[high_share=0.5]"},
        {"[{plugin: quantize, with: {bits: {allocate: uniform, score: {try: 1, plugin: zd}}}}]",
         NULL},
        /* groups */
        {"[{order: any, stages: [{plugin: prune}, {plugin: token-merge}]}]",
         "baseline punstructured+merge2 merge2+punstructured"},
        {"[{order: any, stages: [{plugin: prune, optional: true}, {plugin: token-merge}]}]",
         "baseline merge2 punstructured+merge2 merge2+punstructured"},
        {"[{order: any, stages: [{plugin: quantize, with: {bits: 8}}, {plugin: layer-drop}]}]",
         "baseline drop1+q8"},
        {"[{one_of: [{plugin: prune}, {plugin: token-merge}]}, {plugin: quantize, with: {bits: "
         "8}}]",
         "baseline punstructured+q8 merge2+q8"},
        {"[{one_of: [{plugin: prune, optional: true}, {plugin: token-merge, optional: true}]}]",
         "baseline punstructured merge2"},
        /* impossible orders are skipped with a reason, as long as something is left */
        {"[{plugin: quantize, optional: true, with: {bits: 8}}, {plugin: layer-drop, optional: "
         "true}]",
         "baseline drop1 q8 (q8+drop1)"},
        /* two stages that give the same piece */
        {"[{id: a, plugin: prune, optional: true, with: {sparsity: 0.5}}, {id: b, plugin: prune, "
         "optional: true, with: {sparsity: 0.6}}]",
         "baseline punstructured[stage=b] punstructured[stage=a] punstructured+punstructured"},
        {"[{plugin: prune, as: baseline}]", "baseline baseline[stage=prune]"},
    };
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        char text[1024];
        snprintf(text, sizeof text, "%sstages: %s\n", HEAD, cases[i].stages);
        if (!cases[i].labels) {
            struct planned bad = make(text);
            ck_assert_int_eq(bad.rc, PARE_INVALID);
            drop(&bad);
            continue;
        }
        struct planned p = must(text);
        ck_assert_str_eq(labels(&p), cases[i].labels);
        drop(&p);
    }
}
END_TEST

START_TEST(duplicates_keep_their_labels)
{
    struct planned p =
        must(HEAD "stages: [{plugin: token-merge, with: {r: [0, 2]}}, {plugin: quantize, "
                  "optional: true, with: {bits: [8, 8]}}]\n");
    ck_assert_str_eq(labels(&p), "baseline q8 merge2 merge2+q8");
    ck_assert_str_eq(p.plan->variants[0].also[0], "merge0");
    ck_assert_ptr_null(p.plan->variants[0].also[1]);
    ck_assert_str_eq(p.plan->variants[1].also[0], "merge0+q8");
    ck_assert_ptr_null(p.plan->variants[1].also[1]);
    ck_assert_ptr_null(p.plan->variants[2].also[0]);
    ck_assert_uint_eq(p.plan->n_duplicates, 3); /* merge0, and both second q8 */
    drop(&p);
}
END_TEST

START_TEST(skips_have_reasons)
{
    struct planned p =
        must(HEAD "stages: [{id: q, plugin: quantize, optional: true, with: {bits: 8}}, "
                  "{id: d, plugin: layer-drop, optional: true}]\n");
    ck_assert_uint_eq(p.plan->n_skipped, 1);
    ck_assert_str_eq(p.plan->variants[3].skip,
                     "plugin 'layer-drop' cannot come after 'quantize' (stages 'd' and 'q')");
    drop(&p);
}
END_TEST

/* Whoever says it, the earlier or the later one. */
START_TEST(both_sides_order)
{
    struct planned p = must(HEAD "stages: [{id: w, plugin: wide, optional: true, with: {a: 1}}, "
                                 "{id: m, plugin: token-merge, optional: true}]\n");
    ck_assert_uint_eq(p.plan->n_skipped, 1);
    ck_assert_str_eq(p.plan->variants[3].skip,
                     "plugin 'token-merge' cannot come after 'wide' (stages 'm' and 'w')");
    drop(&p);
    p = must(HEAD "stages: [{order: any, stages: [{id: w, plugin: wide, with: {a: 1}}, {id: m, "
                  "plugin: token-merge}]}]\n");
    ck_assert_uint_eq(p.plan->n_variants, 2); /* the baseline, and the one order that can be */
    ck_assert_ptr_eq(strstr(p.plan->variants[1].label, "merge"), p.plan->variants[1].label);
    drop(&p);
}
END_TEST

static int refuse_2_4_with_mean(void *user, const struct pare_step *step, struct pare_error *err)
{
    const char *pattern = json_string_value(json_object_get(step->params, "pattern"));
    double sparsity = json_number_value(json_object_get(step->params, "sparsity"));
    (void)user;
    if (pattern && !strcmp(pattern, "2:4") && sparsity != 0.5)
        return pare_error_set(err, PARE_INVALID, "2:4 is a sparsity of 0.5");
    return PARE_OK;
}

START_TEST(plugins_check_their_settings)
{
    struct pare_spec_env env = test_env;
    env.check = refuse_2_4_with_mean;
    struct planned p =
        make_with(HEAD "stages: [{id: p, plugin: prune, with: {pattern: 2:4, sparsity: "
                       "[0.5, 0.6]}}]\n",
                  &env);
    ck_assert_int_eq(p.rc, PARE_OK);
    ck_assert_uint_eq(p.plan->n_variants, 3);
    ck_assert_str_eq(p.plan->variants[2].skip, "p: 2:4 is a sparsity of 0.5");
    drop(&p);
    p = make_with(HEAD "stages: [{id: p, plugin: prune, with: {pattern: 2:4, sparsity: 0.6}}]\n",
                  &env);
    ck_assert_int_eq(p.rc, PARE_INVALID);
    ck_assert_str_eq(p.diags.items[0].what,
                     "stage 'p' cannot run in any combination: p: 2:4 is a sparsity of 0.5");
    drop(&p);
}
END_TEST

START_TEST(useless_excludes_are_noted)
{
    struct planned p = must(HEAD "stages: [{plugin: quantize, with: {bits: [4, 8]}}]\n"
                                 "exclude:\n  - {quantize.bits: 8}\n  - {quantize.bits: 5}\n");
    ck_assert_str_eq(labels(&p), "baseline q4");
    ck_assert_uint_eq(p.plan->n_notes, 1);
    ck_assert_str_eq(p.plan->notes[0], "exclude in line 7 takes nothing out");
    drop(&p);
}
END_TEST

/* ---- canonical form and keys ---- */

START_TEST(canonical_json)
{
    char *text = corpus("layerwise.yaml");
    struct planned p = must(text);
    static const struct {
        const char *label, *params;
    } golden[] = {
        {"qmixed",
         "{\"activations\":\"none\",\"bits\":{\"by\":[{\"on\":[\"**\"],\"value\":4},{\"on\":["
         "\"layer.0.**\"],\"value\":8}]},\"group_size\":0,\"symmetric\":true}"},
        {"qtwo-level[high_share=0.25]", "{\"activations\":\"none\",\"bits\":{\"allocate\":{"
                                        "\"params\":{\"high\":8,\"high_share\":0.25,"
                                        "\"low\":4},\"plugin\":\"two-level\"},\"per\":\"block\","
                                        "\"score\":{\"params\":{},\"plugin\":"
                                        "\"zd\"}},\"group_size\":0,\"symmetric\":true}"},
        {"punstructured",
         "{\"criterion\":\"magnitude\",\"pattern\":\"unstructured\",\"sparsity\":{"
         "\"by\":[{\"on\":[\"**\"],\"value\":0},{\"on\":[\"layer.7.**\"],\"value\":"
         "0.9}]}}"},
    };
    size_t found = 0;
    for (size_t i = 0; i < p.plan->n_variants; i++) {
        for (size_t k = 0; k < PARE_COUNT(golden); k++) {
            if (strcmp(p.plan->variants[i].label, golden[k].label) != 0)
                continue;
            char *params = pare_canonical_text(p.plan->variants[i].steps[0].params);
            ck_assert_str_eq(params, golden[k].params);
            free(params);
            found++;
        }
    }
    ck_assert_uint_eq(found, PARE_COUNT(golden));
    drop(&p);
    p = must(HEAD "stages: [{plugin: layer-drop, with: {layers: [3, 5], count: 2}}]\n");
    char *params = pare_canonical_text(p.plan->variants[1].steps[0].params);
    ck_assert_str_eq(params,
                     "{\"count\":2,\"layers\":[3,5],\"replace\":\"nothing\",\"score\":{\"params\":"
                     "{},\"plugin\":\"cosine\"}}");
    free(params);
    drop(&p);
    free(text);
}
END_TEST

/* The build key of the last variant. */
static void last_key(const char *text, const struct pare_spec_env *env, char key[PARE_HASH_HEX],
                     char recipe[PARE_HASH_HEX])
{
    struct planned p = make_with(text, env);
    ck_assert_int_eq(p.rc, PARE_OK);
    const struct pare_variant *v = &p.plan->variants[p.plan->n_variants - 1];
    memcpy(key, v->build, PARE_HASH_HEX);
    memcpy(recipe, v->recipe, PARE_HASH_HEX);
    drop(&p);
}

#define KEYED HEAD "stages: [{id: q, plugin: quantize, with: {bits: 4, group_size: 32}}]\n"

START_TEST(keys_are_of_content)
{
    static const struct {
        const char *text;
        bool same_recipe, same_build;
    } cases[] = {
        /* the same said otherwise */
        {HEAD "# a comment\nstages:\n  - id: q\n    with:\n        group_size:   32  # 32\n        "
              "bits: 4\n"
              "    plugin: quantize\n",
         true, true},
        {HEAD
         "stages: [{id: other, plugin: quantize, as: name, with: {bits: 4, group_size: 32}}]\n",
         true, true},
        {HEAD
         "stages: [{plugin: quantize, on: [\"*\"], except: [\"role:classifier\"], with: {bits: 4, "
         "group_size: 32, symmetric: true}}]\n",
         true, true},
        {HEAD "stages: [{plugin: token-merge, with: {r: 0}}, {plugin: quantize, with: {bits: 4, "
              "group_size: "
              "32}}]\n",
         true, true},
        {"name: other\n" KEYED "limits: {time: 1h}\nmeasure: {latency: {a: {threads: 7}}}\n", true,
         true},
        {"pare: 1\nmodel: elsewhere/vit\ndata: {calibrate: {from: other/mnist}, evaluate: {from: "
         "mnist, "
         "skip: 3}}\nstages: [{plugin: quantize, with: {bits: 4, group_size: 32}}]\n",
         true, true},
        /* something else */
        {HEAD "stages: [{plugin: quantize, with: {bits: 4, group_size: 64}}]\n", false, false},
        {HEAD "stages: [{plugin: quantize, except: [], with: {bits: 4, group_size: 32}}]\n", false,
         false},
        {HEAD "stages: [{plugin: quantize, on: layer.**, with: {bits: 4, group_size: 32}}]\n",
         false, false},
        {HEAD
         "stages: [{plugin: quantize, propagate: compressed, with: {bits: 4, group_size: 32}}]\n",
         false, false},
        {"pare: 1\nmodel: vit\ndata: {calibrate: {from: mnist, samples: 9}, evaluate: {from: "
         "mnist}}\n"
         "stages: [{plugin: quantize, with: {bits: 4, group_size: 32}}]\n",
         true, false},
    };
    char key[PARE_HASH_HEX], recipe[PARE_HASH_HEX], key2[PARE_HASH_HEX], recipe2[PARE_HASH_HEX];
    last_key(KEYED, &test_env, key, recipe);
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        last_key(cases[i].text, &test_env, key2, recipe2);
        ck_assert_msg(!strcmp(recipe, recipe2) == cases[i].same_recipe, "recipe of %s",
                      cases[i].text);
        ck_assert_msg(!strcmp(key, key2) == cases[i].same_build, "build of %s", cases[i].text);
    }
    /* what lies outside of the file */
    struct pare_spec_env raised = test_env;
    raised.numerics++;
    last_key(KEYED, &raised, key2, recipe2);
    ck_assert(!strcmp(recipe, recipe2) && strcmp(key, key2) != 0);
    strcpy(plugin("quantize")->sha256, "changed");
    last_key(KEYED, &test_env, key2, recipe2);
    strcpy(plugin("quantize")->sha256, "d3");
    ck_assert(!strcmp(recipe, recipe2) && strcmp(key, key2) != 0);
    strcpy(plugin("prune")->sha256, "changed"); /* not used here */
    last_key(KEYED, &test_env, key2, recipe2);
    strcpy(plugin("prune")->sha256, "d2");
    ck_assert_str_eq(key, key2);
    const char *model = test_model_hash;
    test_model_hash = "another model";
    last_key(KEYED, &test_env, key2, recipe2);
    test_model_hash = model;
    ck_assert(strcmp(recipe, recipe2) != 0);
}
END_TEST

START_TEST(keys_know_scores_and_allocators)
{
    static const char *const text = HEAD "stages: [{plugin: quantize, with: {bits: {allocate: "
                                         "{plugin: two-level, high: 8, low: 4}, score: "
                                         "zd}}}]\n";
    static const char *const inner[] = {"two-level", "zd"};
    char key[PARE_HASH_HEX], recipe[PARE_HASH_HEX], key2[PARE_HASH_HEX], recipe2[PARE_HASH_HEX];
    last_key(text, &test_env, key, recipe);
    for (size_t i = 0; i < PARE_COUNT(inner); i++) {
        char old[PARE_HASH_HEX];
        strcpy(old, plugin(inner[i])->sha256);
        strcpy(plugin(inner[i])->sha256, "changed");
        last_key(text, &test_env, key2, recipe2);
        strcpy(plugin(inner[i])->sha256, old);
        ck_assert(!strcmp(recipe, recipe2) && strcmp(key, key2) != 0);
    }
}
END_TEST

START_TEST(prefixes_are_shared)
{
    struct planned p =
        must(HEAD "stages: [{plugin: prune}, {plugin: quantize, optional: true, with: {bits: "
                  "[8, 4]}}]\n");
    ck_assert_uint_eq(p.plan->n_variants, 4); /* baseline, p, p+q8, p+q4 */
    const struct pare_variant *v = p.plan->variants;
    ck_assert_uint_eq(v[2].n_steps, 2);
    ck_assert_str_eq(v[2].prefixes[0], v[1].build);
    ck_assert_str_eq(v[3].prefixes[0], v[1].build);
    ck_assert_str_eq(v[2].prefixes[1], v[2].build);
    ck_assert_str_ne(v[2].build, v[3].build);
    drop(&p);
}
END_TEST

START_TEST(other_keys)
{
    char a[PARE_HASH_HEX], b[PARE_HASH_HEX];
    pare_outcome_key("build", "top1", "samples", a);
    pare_outcome_key("build", "top1", "others", b);
    ck_assert_str_ne(a, b);
    pare_outcome_key("build", "top1", NULL, b);
    ck_assert_str_ne(a, b);
    pare_latency_key("build", 1, 2, "host", "program", "session", a);
    pare_latency_key("build", 1, 2, "host", "program", "session", b);
    ck_assert_str_eq(a, b);
    pare_latency_key("build", 12, 1, "host", "program", "session", b);
    ck_assert_str_ne(a, b);
    pare_latency_key("build", 1, 2, "hostp", "rogram", "session", b); /* parts stay apart */
    ck_assert_str_ne(a, b);
}
END_TEST

/* ---- messages, schema, starter ---- */

START_TEST(steps_through_json)
{
    char *text = corpus("layerwise.yaml");
    struct planned p = must(text);
    struct pare_error err;
    for (size_t i = 0; i < p.plan->n_variants; i++) {
        const struct pare_variant *v = &p.plan->variants[i];
        struct pare_steps back;
        json_t *json = pare_steps_to_json(v->steps, v->n_steps, &p.pipeline->used);
        char *sent = json_dumps(json, JSON_COMPACT);
        json_t *received = json_loads(sent, 0, NULL);
        ck_assert_ok(pare_steps_from_json(received, &test_env, &back, &err), err);
        json_decref(received);
        ck_assert_uint_eq(back.n, v->n_steps);
        for (size_t k = 0; k < back.n; k++) {
            char *a = pare_canonical_text(v->steps[k].params);
            char *b = pare_canonical_text(back.items[k].params);
            ck_assert_str_eq(a, b);
            ck_assert_str_eq(back.items[k].stage, v->steps[k].stage);
            ck_assert_ptr_eq(back.items[k].plugin, v->steps[k].plugin);
            ck_assert_str_eq(back.items[k].on[0], v->steps[k].on[0]);
            ck_assert_ptr_null(back.items[k].on[1]);
            ck_assert_str_eq(back.items[k].except[0], "role:classifier");
            ck_assert_int_eq(back.items[k].compressed, v->steps[k].compressed);
            free(a);
            free(b);
        }
        pare_steps_free(&back);
        free(sent);
        json_decref(json);
    }
    /* a plugin that was rebuilt in between */
    const struct pare_variant *v = &p.plan->variants[p.plan->n_variants - 1];
    json_t *json = pare_steps_to_json(v->steps, v->n_steps, &p.pipeline->used);
    struct pare_steps back;
    strcpy(plugin("zd")->sha256, "new");
    ck_assert_int_eq(pare_steps_from_json(json, &test_env, &back, &err), PARE_FAILED);
    strcpy(plugin("zd")->sha256, "d7");
    json_decref(json);
    drop(&p);
    free(text);
}
END_TEST

START_TEST(hostile_json)
{
    static const char *const cases[] = {
        "[]",
        "{}",
        "{\"plugins\": 3, \"steps\": []}",
        "{\"plugins\": [], \"steps\": [3]}",
        "{\"plugins\": [3], \"steps\": []}",
        "{\"plugins\": [{\"id\": 3}], \"steps\": []}",
        "{\"plugins\": [], \"steps\": [{\"plugin\": \"prune\", \"params\": {}}]}",
        "{\"plugins\": [{\"id\": \"zd\", \"path\": \"zd\", \"sha256\": \"d7\"}], \"steps\": "
        "[{\"stage\": "
        "\"s\", \"plugin\": \"zd\", \"params\": {}, \"on\": [\"**\"], \"except\": [], "
        "\"propagate\": "
        "\"original\"}]}",
        "{\"plugins\": [{\"id\": \"wide\", \"path\": \"wide\", \"sha256\": \"d5\"}], \"steps\": "
        "[{\"stage\": \"s\", \"plugin\": \"wide\", \"params\": {\"a\": 1}, \"on\": [\"**\"], "
        "\"except\": "
        "[], \"propagate\": \"original\"}]}",
        "{\"plugins\": [{\"id\": \"wide\", \"path\": \"wide\", \"sha256\": \"d5\"}], \"steps\": "
        "[{\"stage\": \"s\", \"plugin\": \"wide\", \"params\": {\"a\": 1, \"b\": 1}, \"on\": [], "
        "\"except\": [], \"propagate\": \"original\"}]}",
    };
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_steps back;
        struct pare_error err;
        json_t *json = json_loads(cases[i], 0, NULL);
        ck_assert_ptr_nonnull(json);
        ck_assert_msg(pare_steps_from_json(json, &test_env, &back, &err) == PARE_INVALID,
                      "accepted: %s", cases[i]);
        json_decref(json);
    }
}
END_TEST

START_TEST(schema_follows_the_plugins)
{
    const struct pare_plugin_file *list[PARE_COUNT(test_plugins)];
    for (size_t i = 0; i < PARE_COUNT(test_plugins); i++)
        list[i] = &test_plugins[i];
    json_t *schema = pare_schema(list, PARE_COUNT(list));
    ck_assert_ptr_nonnull(schema);
    ck_assert_str_eq(json_string_value(json_object_get(schema, "$schema")),
                     "http://json-schema.org/draft-07/schema#");
    json_t *stage = json_object_get(json_object_get(schema, "definitions"), "stage");
    json_t *all = json_object_get(stage, "allOf");
    ck_assert_uint_eq(json_array_size(all), 5); /* the transforms */
    char *text = json_dumps(json_array_get(all, 2), JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_ptr_nonnull(strstr(text, "\"const\":\"quantize\""));
    ck_assert_ptr_nonnull(strstr(text, "\"maximum\":8.0,\"minimum\":2.0,\"type\":\"integer\""));
    ck_assert_ptr_nonnull(strstr(text, "\"enum\":[\"none\",\"int8\"]"));
    ck_assert_ptr_nonnull(strstr(text, "\"additionalProperties\":false"));
    free(text);
    json_decref(schema);
}
END_TEST

START_TEST(starter_is_a_pipeline)
{
    static const struct {
        struct pare_split splits[3];
        size_t n;
        const char *contains;
    } cases[] = {
        {{{"calibration", 1024, 0}, {"test", 10000, 0}}, 2, "split: \"test\", samples: 7500"},
        {{{"train", 60000, 0}, {"val", 400, 0}}, 2, "split: \"val\", skip: 300, samples: 100"},
        {{{"", 2000, 0}}, 1, "skip: 256, samples: 1308"},
        {{{"a", 5000, 0}, {"b", 800, 0}}, 2, "split: \"a\", skip: 256"},
    };
    struct pare_init in = {.name = "first", .model = "my \"vit\" #1", .data = "data/mnist"};
    struct pare_error err;
    char *text;
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        in.splits = cases[i].splits;
        in.n_splits = cases[i].n;
        ck_assert_ok(pare_init_text(&in, &text, &err), err);
        ck_assert_msg(strstr(text, cases[i].contains), "%s", text);
        struct planned p = must(text);
        ck_assert_str_eq(p.pipeline->model, "my \"vit\" #1");
        ck_assert_uint_eq(p.plan->n_variants, 27);
        drop(&p);
        free(text);
    }
    static const struct pare_split few = {"", 10, PARE_TASK_CLASSES};
    in.splits = &few;
    in.n_splits = 1;
    ck_assert_int_eq(pare_init_text(&in, &text, &err), PARE_INVALID);
    in.n_splits = 0;
    ck_assert_int_eq(pare_init_text(&in, &text, &err), PARE_INVALID);
}
END_TEST

/* What the texts are for is measured; labelled ones calibrate nothing. */
START_TEST(starter_of_texts)
{
    static const struct {
        struct pare_split splits[2];
        size_t n;
        const char *contains[4];
    } cases[] = {
        {{{"calibration", 40, PARE_TASK_WINDOWS}, {"test", 112, PARE_TASK_WINDOWS}},
         2,
         {"calibration\", window: 256, samples: 16", "test\", window: 256, samples: 84",
          "perplexity <= 1.1 * baseline", "decode: 32, depth: 64"}},
        {{{"", 40, PARE_TASK_WINDOWS}},
         1,
         {"window: 256, samples: 10", "window: 256, skip: 10, samples: 22", "kl: {}", "kv-quant"}},
        {{{"", 100, PARE_TASK_CHOICES}}, 1, {"samples: 75", "choose: even", "acc_norm: {}"}},
        {{{"train", 100, PARE_TASK_CLASSES}, {"val", 100, PARE_TASK_CLASSES}},
         2,
         {"val\", samples: 75", "choose: even", "edge: {batch: 1", "top1 >="}},
        {{{"", 100, PARE_TASK_SIMILARITY}}, 1, {"spearman: {tolerance", "spearman >="}},
        {{{"calib", 100, PARE_TASK_WINDOWS}, {"test", 100, PARE_TASK_CHOICES}},
         2,
         {"calib\", window: 256, samples: 16", "test\", samples: 75", "score: cosine"}},
    };
    struct pare_init in = {.name = "first",
                           .model = "m.gguf",
                           .data = "texts",
                           .texts = true,
                           .writes = true,
                           .window = 256};
    struct pare_error err;
    char *text;
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        in.splits = cases[i].splits;
        in.n_splits = cases[i].n;
        ck_assert_ok(pare_init_text(&in, &text, &err), err);
        for (size_t k = 0; k < PARE_COUNT(cases[i].contains) && cases[i].contains[k]; k++)
            ck_assert_msg(strstr(text, cases[i].contains[k]), "%s: %s", cases[i].contains[k], text);
        free(text);
    }
    in.writes = false; /* an encoder has no perplexity */
    in.splits = cases[1].splits;
    in.n_splits = 1;
    ck_assert_int_eq(pare_init_text(&in, &text, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.hint, ".jsonl"));
}
END_TEST

/* ---- size ---- */

static double seconds_for(int n)
{
    char text[512];
    snprintf(
        text, sizeof text,
        HEAD
        "stages:\n  - {id: x, plugin: wide, with: {a: {range: [1, %d]}, b: {range: [1, 10]}}}\n"
        "  - {id: y, plugin: wide, as: \"y{a}\", with: {a: {range: [1, 10]}}}\n"
        "exclude: [{x.a: 5, y.a: 3}]\nlimit: 1000000\n",
        n / 100);
    double start = pare_clock_seconds();
    struct planned p = must(text);
    double seconds = pare_clock_seconds() - start;
    ck_assert_uint_eq(p.plan->n_variants, (size_t)n + 1 - 10);
    ck_assert_str_eq(p.plan->variants[1].label, "wide[a=1,b=1]+y1");
    drop(&p);
    return seconds;
}

START_TEST(a_hundred_thousand)
{
    double small = seconds_for(10000), large = seconds_for(100000);
    printf("# planned 10,000 variants in %.3f s, 100,000 in %.3f s: %.1f times\n", small, large,
           large / small);
}
END_TEST

START_TEST(too_many_to_try)
{
    struct planned p = make(HEAD "stages:\n"
                                 "  - {id: x, plugin: wide, with: {a: {range: [1, 9000]}}}\n"
                                 "  - {id: y, plugin: wide, with: {a: {range: [1, 9000]}}}\n"
                                 "limit: 1000000\n");
    ck_assert_int_eq(p.rc, PARE_INVALID);
    ck_assert_str_eq(p.diags.items[0].what, "more than 1000000 combinations");
    drop(&p);
    p = make(HEAD "stages:\n  - {id: x, plugin: wide, with: {a: {range: [1, 9000]}, b: {range: [1, "
                  "9000]}}}\nlimit: 1000000\n");
    ck_assert_int_eq(p.rc, PARE_INVALID);
    ck_assert_str_eq(p.diags.items[0].what,
                     "more than 1000000 combinations of parameters in one stage");
    drop(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("plan");
    TCase *tc = pare_test_case(s, "plan");
    tcase_add_test(tc, reference_is_in_the_page);
    tcase_add_test(tc, reader_has_no_other_keys);
    tcase_add_test(tc, schema_describes_keys);
    tcase_add_test(tc, mistakes_in_settings);
    tcase_add_test(tc, one_mistake_for_a_missing_model);
    tcase_add_test(tc, mistakes_in_stages);
    tcase_add_test(tc, mistakes_in_metrics);
    tcase_add_test(tc, metrics_of_plugins);
    tcase_add_test(tc, mistakes_elsewhere);
    tcase_add_test(tc, all_mistakes_at_once);
    tcase_add_test(tc, full_grid);
    tcase_add_test(tc, values_of_all_kinds);
    tcase_add_test(tc, duplicates_keep_their_labels);
    tcase_add_test(tc, skips_have_reasons);
    tcase_add_test(tc, both_sides_order);
    tcase_add_test(tc, plugins_check_their_settings);
    tcase_add_test(tc, useless_excludes_are_noted);
    tcase_add_test(tc, canonical_json);
    tcase_add_test(tc, keys_are_of_content);
    tcase_add_test(tc, keys_know_scores_and_allocators);
    tcase_add_test(tc, prefixes_are_shared);
    tcase_add_test(tc, other_keys);
    tcase_add_test(tc, steps_through_json);
    tcase_add_test(tc, hostile_json);
    tcase_add_test(tc, schema_follows_the_plugins);
    tcase_add_test(tc, starter_is_a_pipeline);
    tcase_add_test(tc, starter_of_texts);
    tcase_add_test(tc, a_hundred_thousand);
    tcase_add_test(tc, too_many_to_try);
    return pare_test_main(&s, 1);
}
