/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/stat.h"
#include "base/str.h"
#include "db/store_private.h"

#define CLOSE(a, b, tol)                                                                           \
    ck_assert_msg(fabs((a) - (b)) <= (tol), "%s = %.17g, not %.17g", #a, (double)(a), (double)(b))

static char folder[4096], path[4200];
static struct pare_error err;

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s", pare_test_folder());
    snprintf(path, sizeof path, "%s/pare.db", folder);
}

static void remove_folder(void)
{
    pare_remove_tree(folder, &err);
}

static struct pare_store *open_store(enum pare_store_mode mode)
{
    struct pare_store *store = NULL;
    ck_assert_ok(pare_store_open(path, mode, &store, &err), err);
    return store;
}

/* --- reading answers as text: columns by |, rows by newline --- */

struct answer {
    struct pare_str text;
    bool header;
};

static int take(void *user, const struct pare_row *row, struct pare_error *error)
{
    struct answer *a = user;
    char number[32];
    (void)error;
    if (!row->values && !a->header)
        return PARE_OK;
    for (size_t i = 0; i < row->n; i++) {
        if (i)
            pare_str_append(&a->text, "|");
        if (!row->values) {
            pare_str_append(&a->text, row->names[i]);
            continue;
        }
        const struct pare_cell *v = &row->values[i];
        switch (v->type) {
        case PARE_VALUE_NULL:
            pare_str_append(&a->text, "-");
            break;
        case PARE_VALUE_REAL:
            snprintf(number, sizeof number, "%.4f", v->real);
            pare_str_append(&a->text, number);
            break;
        case PARE_VALUE_INTEGER:
            pare_str_printf(&a->text, "%lld", (long long)v->integer);
            break;
        default:
            pare_str_append_n(&a->text, v->text, v->size);
        }
    }
    pare_str_append(&a->text, "\n");
    return PARE_OK;
}

static void expect_with(struct pare_store *store, const char *sql, const struct pare_argument *args,
                        size_t n, const char *want)
{
    struct answer a = {0};
    ck_assert_ok(pare_store_query(store, sql, args, n, take, &a, &err), err);
    ck_assert_msg(strcmp(a.text.data ? a.text.data : "", want) == 0, "%s\ngave\n%swanted\n%s", sql,
                  a.text.data ? a.text.data : "(nothing)\n", want);
    pare_str_free(&a.text);
}

static void expect(struct pare_store *store, const char *sql, const char *want)
{
    expect_with(store, sql, NULL, 0, want);
}

/* --- a small filled database --- */

enum { SAMPLES = 1000, CLASSES = 4, ROUNDS = 12 };
enum { BASE, Q8, Q4, P24, P24Q8, MIXED, BAD, SKIP, VARIANTS };

struct filled {
    int64_t host, data, pipeline, plugins[3], variant[VARIANTS], session, front, attempt;
    int32_t target[SAMPLES], predicted[VARIANTS][SAMPLES];
};
static struct filled f;

static const char *const labels[VARIANTS] = {"baseline", "q8",      "q4",    "p2:4",
                                             "p2:4+q8",  "q-mixed", "drop7", "drop8"};
static const double bytes_of[VARIANTS] = {3000, 840, 420, 1700, 600, 700, 0, 0};
static const double speed_of[VARIANTS] = {1, 1.5, 0.8, 0.9, 1.3, 1.4, 0, 0};
/* Samples that a variant gets wrong and the baseline right, from the first on. */
static const int lost_of[VARIANTS] = {0, 2, 60, 30, 33, 2, 0, 0};

static void hash_for(const char *text, char hex[PARE_HASH_HEX])
{
    pare_hash_bytes(text, strlen(text), hex);
}

static int64_t add_variant(struct pare_store *s, const char *label, const char *build,
                           const struct pare_store_step *steps, size_t n)
{
    char hash[PARE_HASH_HEX], recipe[PARE_HASH_HEX], model[PARE_HASH_HEX], text[300];
    int64_t id;
    snprintf(text, sizeof text, "%s/%s", label, build);
    hash_for(text, hash);
    hash_for(label, recipe);
    hash_for("model", model);
    struct pare_store_variant v = {hash, recipe, model, label, NULL, steps, n};
    ck_assert_ok(pare_store_variant(s, &v, &id, &err), err);
    return id;
}

static void add_pipeline(struct pare_store *s)
{
    static const struct pare_store_objective objectives[] = {
        {"top1", 1, 0.002, false}, {"latency_ms", -1, 0.01, true}, {"size_bytes", -1, 0, false}};
    static const char *const constraints[] = {"top1 >= baseline - 0.01"};
    static const struct pare_store_shape shapes[] = {{"edge", "{\"batch\":1,\"threads\":1}"}};
    struct pare_store_pipeline p = {.name = "fashion-vit",
                                    .path = "pipelines/fashion-vit.yaml",
                                    .source = "pare: 1\n",
                                    .seed = 1,
                                    .data_id = f.data,
                                    .objectives = objectives,
                                    .n_objectives = 3,
                                    .constraints = constraints,
                                    .n_constraints = 1,
                                    .shapes = shapes,
                                    .n_shapes = 1};
    ck_assert_ok(pare_store_pipeline(s, &p, &f.pipeline, &err), err);
}

static void add_plan(struct pare_store *s)
{
    const struct pare_store_step prune = {"prune", "prune", f.plugins[0],
                                          "{\"criterion\":\"wanda\",\"pattern\":\"2:4\"}", NULL};
    const struct pare_store_step quant[2] = {
        {"quant", "quantize", f.plugins[1], "{\"bits\":8,\"symmetric\":true}", "{\"on\":[\"**\"]}"},
        {"quant", "quantize", f.plugins[1], "{\"bits\":4,\"symmetric\":true}",
         "{\"on\":[\"**\"]}"}};
    const struct pare_store_step mixed = {"quant", "quantize", f.plugins[1],
                                          "{\"bits\":{\"by\":[]},\"symmetric\":true}", NULL};
    const struct pare_store_step drop = {"drop", "layer-drop", f.plugins[2], "{\"count\":7}", NULL};
    const struct pare_store_step drop8 = {"drop", "layer-drop", f.plugins[2], "{\"count\":8}",
                                          NULL};
    const struct pare_store_step both[2] = {prune, quant[0]};
    const struct {
        const struct pare_store_step *steps;
        size_t n;
    } plan[VARIANTS] = {
        [BASE] = {NULL, 0},  [Q8] = {&quant[0], 1}, [Q4] = {&quant[1], 1}, [P24] = {&prune, 1},
        [P24Q8] = {both, 2}, [MIXED] = {&mixed, 1}, [BAD] = {&drop, 1},    [SKIP] = {&drop8, 1}};
    add_pipeline(s);
    for (size_t i = 0; i < VARIANTS; i++) {
        f.variant[i] = add_variant(s, labels[i], "1", plan[i].steps, plan[i].n);
        ck_assert_ok(pare_store_member(s, f.pipeline, f.variant[i], labels[i], i, i == BASE,
                                       i == SKIP ? "a ViT of 8 layers cannot lose 8" : NULL, &err),
                     err);
    }
}

static void add_measure(struct pare_store *s, int64_t variant, const char *metric, const char *unit,
                        double value, bool on_data)
{
    struct pare_store_measurement m = {.metric = metric,
                                       .unit = unit,
                                       .how = "counted",
                                       .value = value,
                                       .lo = value,
                                       .hi = value,
                                       .n = PARE_NONE,
                                       .data_id = on_data ? f.data : 0};
    ck_assert_ok(pare_store_measure(s, variant, 0, &m, &err), err);
}

static struct pare_store_end ending(const char *state)
{
    return (struct pare_store_end){.state = state,
                                   .signal = PARE_NONE,
                                   .exit_code = PARE_NONE,
                                   .cpu_seconds = 3.6,
                                   .peak_rss_bytes = 1 << 20};
}

static void try_it(struct pare_store *s, size_t i, enum pare_phase phase,
                   const struct pare_store_end *end)
{
    ck_assert_ok(pare_store_attempt_begin(s, f.variant[i], phase,
                                          phase == PARE_PHASE_EVAL ? f.data : 0, f.host, "avx2",
                                          &f.attempt, &err),
                 err);
    ck_assert_ok(pare_store_attempt_finish(s, f.attempt, end, &err), err);
}

static void add_outcomes(struct pare_store *s)
{
    struct pare_store_end ok = ending("ok"), bad = ending("failed");
    for (size_t i = 0; i < BAD; i++) {
        size_t right = 0;
        for (int k = 0; k < SAMPLES; k++) {
            bool base_right = k % 10 != 9;
            /* Class 0 suffers: a variant loses its first samples of that class. */
            bool lost = base_right && k % CLASSES == 0 && k / CLASSES < 2 * lost_of[i] &&
                        k / CLASSES % 2 == 0;
            f.predicted[i][k] = base_right && !lost ? f.target[k] : (f.target[k] + 1) % CLASSES;
            right += f.predicted[i][k] == f.target[k];
        }
        if (i != BASE)
            try_it(s, i, PARE_PHASE_BUILD, &ok);
        try_it(s, i, PARE_PHASE_EVAL, &ok);
        ck_assert_ok(
            pare_store_outcome(s, f.variant[i], f.data, SAMPLES, f.predicted[i], NULL, &err), err);
        add_measure(s, f.variant[i], "top1", "fraction", (double)right / SAMPLES, true);
        add_measure(s, f.variant[i], "size_bytes", "bytes", bytes_of[i], false);
        add_measure(s, f.variant[i], "macs", "count", i == P24 ? 500 : 1000, false);
    }
    bad.cause = "crash";
    bad.reason = "layer-drop crashed";
    bad.signal = SIGSEGV;
    bad.stage = "drop";
    bad.plugin = "layer-drop";
    bad.log = "dropping layer 7\n";
    try_it(s, BAD, PARE_PHASE_BUILD, &bad);
}

static int64_t add_session(struct pare_store *s, const char *program)
{
    struct pare_store_session session = {.pipeline_id = f.pipeline,
                                         .host_id = f.host,
                                         .seed = 7,
                                         .shape = "edge",
                                         .definition = "{\"batch\":1,\"threads\":1}",
                                         .program = program,
                                         .isa = "avx2"};
    int64_t id;
    ck_assert_ok(pare_store_session_begin(s, &session, &id, &err), err);
    return id;
}

/* One round of some variants, the baseline first and last; `scale` slows all alike. */
static int add_round(struct pare_store *s, int64_t session, size_t round, const size_t *which,
                     size_t n, double scale)
{
    struct pare_store_visit visits[VARIANTS + 1];
    uint32_t ns[VARIANTS + 1][9];
    for (size_t k = 0; k <= n; k++) {
        size_t i = which[k % n];
        for (size_t j = 0; j < 9; j++)
            ns[k][j] = (uint32_t)(1e6 * scale / speed_of[i] * (1 + 0.002 * (double)(round % 5)) +
                                  100.0 * (double)j);
        visits[k] = (struct pare_store_visit){.variant_id = f.variant[i],
                                              .slot = k,
                                              .ns = ns[k],
                                              .n = 9,
                                              .nivcsw = 1,
                                              .steal_ticks = PARE_NONE,
                                              .load1 = 0.5,
                                              .mhz = (double)NAN,
                                              .disturbed = round == 3 && k == 1};
    }
    return pare_store_round(s, session, round, visits, n + 1, &err);
}

static const size_t timed[] = {BASE, Q8, Q4, P24, P24Q8, MIXED};

static struct pare_store *fill(void)
{
    struct pare_store *s = open_store(PARE_STORE_WRITE);
    struct pare_store_host host = {.name = "nuc", .cpu = "x", .cores = 2, .memory_bytes = 1 << 30};
    f = (struct filled){0};
    for (int k = 0; k < SAMPLES; k++)
        f.target[k] = k % CLASSES;
    ck_assert_ok(pare_store_begin(s, &err), err);
    ck_assert_ok(pare_store_host(s, &host, &f.host, &err), err);
    ck_assert_ok(pare_store_data(s, "d0", "test[0:1000]", SAMPLES, f.target, &f.data, &err), err);
    static const char *const names[3] = {"prune", "quantize", "layer-drop"};
    for (size_t i = 0; i < 3; i++)
        ck_assert_ok(pare_store_plugin(s, names[i], "1.0", names[i], NULL, &f.plugins[i], &err),
                     err);
    add_plan(s);
    ck_assert_ok(pare_store_end(s, pare_store_refresh(s, &err), &err), err);
    add_outcomes(s);
    f.session = add_session(s, "build-1");
    for (size_t r = 0; r < ROUNDS; r++)
        ck_assert_ok(add_round(s, f.session, r, timed, PARE_COUNT(timed), 1), err);
    ck_assert_ok(pare_store_session_end(s, f.session, &err), err);
    struct pare_store_unit_value units[2] = {
        {"quant", "layer.0.attn.query", "query", "bits", NULL, 8, 0.25, 400, 100, 10, 10},
        {"quant", "layer.1.attn.query", "query", "bits", NULL, 4, (double)NAN, 400, 50, 10, 10}};
    ck_assert_ok(pare_store_unit_values(s, f.variant[MIXED], units, 2, &err), err);
    ck_assert_ok(pare_store_artifact(s, f.variant[Q8], "ab12cd", "pare.db.d/ab12cd", 840,
                                     "safetensors", &err),
                 err);
    return s;
}

/* --- the tests --- */

static const char *const views[][2] = {
    {"variants",
     "pipeline|label|variant|recipe|model|is_baseline|state|reason|params|top1|top1_lo|top1_hi|"
     "d_top1|d_top1_lo|d_top1_hi|perplexity|perplexity_ratio|host|session|shape|latency_ms|"
     "latency_ms_lo|latency_ms_hi|direct|speedup|speedup_lo|speedup_hi|noisy|size_bytes|size_ratio|"
     "macs|macs_ratio|parameters|peak_rss_bytes|status|p_front|p_feasible|finished_at|"
     "perplexity_lo|perplexity_hi|d_nll|d_nll_lo|d_nll_hi|kl|agreement|acc_norm|acc_norm_lo|"
     "acc_norm_hi|spearman|spearman_lo|spearman_hi|d_spearman|d_spearman_lo|d_spearman_hi\n"},
    {"similarities", "pipeline|variant|label|role|data|sample|score|similarity|part\n"},
    {"token_losses", "pipeline|variant|label|role|data|windows|tokens|ends|nll\n"},
    {"stage_effects",
     "pipeline|label|variant|stage|plugin|params|without|d_top1|d_top1_lo|d_top1_hi|speedup|"
     "speedup_lo|speedup_hi|size_ratio|macs_ratio|verdict|d_nll|d_nll_lo|d_nll_hi|d_spearman|"
     "d_spearman_lo|d_spearman_hi\n"},
    {"measurements",
     "pipeline|label|variant|metric|value|unit|n|lo|hi|how|role|data|data_name|measured_at\n"},
    {"metrics", "pipeline|metric|unit|direction|plugin_version|plugin_sha256|settings\n"},
    {"params", "pipeline|label|variant|stage|plugin|plugin_version|plugin_sha256|name|value\n"},
    {"unit_values", "pipeline|label|variant|stage|unit|role|name|value|score|bytes_before|"
                    "bytes_after|macs_before|macs_after\n"},
    {"latencies",
     "pipeline|label|variant|host|session|shape|latency_ms|latency_ms_lo|latency_ms_hi|"
     "min_ms|p90_ms|p99_ms|speedup|speedup_lo|speedup_hi|rounds|n|disturbed|noisy|isa|"
     "program|started_at|finished_at\n"},
    {"rounds", "pipeline|label|variant|host|session|shape|round|slot|n|min_ns|p50_ns|p90_ns|max_ns|"
               "nivcsw|steal_ticks|load1|mhz|disturbed|ns\n"},
    {"samples", "pipeline|variant|label|role|data|sample|target|predicted|correct|nll\n"},
    {"attempts", "pipeline|label|variant|attempt|phase|state|cause|reason|signal|exit_code|stage|"
                 "plugin|host|isa|pid|cpu_seconds|peak_rss_bytes|wall_seconds|log|started_at|"
                 "finished_at\n"},
    {"failures", "pipeline|label|variant|attempt|phase|stage|plugin|state|cause|reason|signal|"
                 "exit_code|log|host|started_at|finished_at\n"},
    {"pending", "pipeline|label|variant|phase|shape|tries|reason\n"},
    {"front", "pipeline|host|shape|label|variant|status|p_front|p_feasible|rank|knee|folded_under|"
              "rival|why|rule|seed|data_hash|made_at\n"},
    {"artifacts", "sha256|variant|label|bytes|format|path|created_at\n"},
    {"tags", "tag|variant|label|at\n"},
    {"notes", "note|variant|label|body|at\n"},
};

START_TEST(views_have_their_columns)
{
    struct pare_store *s = open_store(PARE_STORE_WRITE);
    for (size_t i = 0; i < PARE_COUNT(views); i++) {
        char sql[128];
        struct answer a = {.header = true};
        snprintf(sql, sizeof sql, "SELECT * FROM \"%s\"", views[i][0]);
        ck_assert_ok(pare_store_query(s, sql, NULL, 0, take, &a, &err), err);
        ck_assert_str_eq(a.text.data, views[i][1]);
        pare_str_free(&a.text);
        /* Every column is in the reference page, under its view. */
        char *page, *section, *copy = pare_strdup(views[i][1]), *word, *rest;
        size_t size;
        ck_assert_ok(pare_file_read(pare_test_source("db/README.md"), 1 << 20, &page, &size, &err),
                     err);
        snprintf(sql, sizeof sql, "\n### `%s`", views[i][0]);
        section = strstr(page, sql);
        ck_assert_msg(section, "db/README.md has no section %s", sql);
        char *end = strstr(section + 1, "\n##");
        if (end)
            *end = '\0';
        for (word = strtok_r(copy, "|\n", &rest); word; word = strtok_r(NULL, "|\n", &rest)) {
            snprintf(sql, sizeof sql, "`%s`", word);
            ck_assert_msg(strstr(section, sql), "db/README.md, %s: no %s", views[i][0], sql);
        }
        free(copy);
        free(page);
    }
    struct answer all = {.header = true};
    ck_assert_ok(pare_store_query(s, "SELECT * FROM variants_all", NULL, 0, take, &all, &err), err);
    size_t len = strlen(views[0][1]) - 1; /* as variants, and whether it is in the plan */
    ck_assert(strncmp(all.text.data, views[0][1], len) == 0);
    ck_assert_str_eq(all.text.data + len, "|is_current\n");
    pare_str_free(&all.text);
    pare_store_close(s);
}
END_TEST

START_TEST(figures_of_variants)
{
    struct pare_store *s = fill();
    expect(s, "select label, state, reason from variants order by label",
           "baseline|ok|-\ndrop7|failed|layer-drop crashed\n"
           "drop8|skipped|a ViT of 8 layers cannot lose 8\n"
           "p2:4|ok|-\np2:4+q8|ok|-\nq-mixed|ok|-\nq4|ok|-\nq8|ok|-\n");
    expect(s, "select top1, d_top1, d_top1_lo, d_top1_hi from variants where label='baseline'",
           "0.9000|0.0000|0.0000|0.0000\n");
    struct pare_interval d = pare_stat_bonett_price(0, 48, SAMPLES, 0.95);
    char want[128];
    size_t lost = 0;
    for (int k = 0; k < SAMPLES; k++)
        lost += f.predicted[Q4][k] != f.predicted[BASE][k];
    d = pare_stat_bonett_price(0, lost, SAMPLES, 0.95);
    snprintf(want, sizeof want, "%.4f|%.4f|%.4f\n", d.value, d.lo, d.hi);
    expect(s, "select d_top1, d_top1_lo, d_top1_hi from variants where label='q4'", want);
    expect(s,
           "select host, shape, session, direct, speedup > 1.49 and speedup < 1.51, "
           "speedup_lo <= speedup and speedup <= speedup_hi, latency_ms, size_ratio, params "
           "from variants where label='q8'",
           "nuc|edge|1|1|1|1|0.6691|3.5714|{\"quant\":{\"bits\":8,\"symmetric\":true}}\n");
    expect(s, "select speedup, speedup_lo, latency_ms, noisy from variants where label='baseline'",
           "1.0000|1.0000|1.0034|0\n");
    expect(s, "select latency_ms, size_bytes, status from variants where label='drop7'", "-|-|-\n");
    expect(s,
           "select label, stage, \"without\", verdict from stage_effects where label like '%+%' "
           "order by stage",
           "p2:4+q8|prune|q8|smaller, slower, less accurate\n"
           "p2:4+q8|quant|p2:4|smaller, faster\n");
    expect(s,
           "select speedup > 0.86 and speedup < 0.87, size_ratio from stage_effects where "
           "label='p2:4+q8' and stage='prune'",
           "1|1.4000\n"); /* 1.3 / 1.5; 840 / 600 */
    expect(s, "select name, value from params where label='q8'", "bits|8\nsymmetric|1\n");
    expect(s, "select count(*), sum(disturbed), min(length(ns)) from rounds", "84|1|36\n");
    expect(s, "select rounds, n, disturbed, p99_ms from latencies where label='q8'",
           "12|108|1|-\n");
    expect(s, "select label, phase, tries, reason from pending",
           "drop7|build|1|layer-drop crashed\ndrop7|eval|0|-\ndrop7|latency|0|-\n");
    pare_store_close(s);
}
END_TEST

static const char *named(const char *name)
{
    size_t n;
    const struct pare_store_named *q = pare_store_named(&n);
    ck_assert_uint_eq(n, 10);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_gt(strlen(q[i].about), 20);
        if (strcmp(q[i].name, name) == 0)
            return q[i].sql;
    }
    ck_abort_msg("no query %s", name);
    return NULL;
}

START_TEST(named_queries)
{
    struct pare_store *s = fill();
    char want[512];
    expect(s, named("failed"),
           "fashion-vit|drop7|build|drop|layer-drop|crash|layer-drop crashed|11|-|"
           "dropping layer 7\n\n");
    /* q-mixed loses 2 of 1000: its interval stays within a point, and it is smaller than q8. */
    struct pare_argument other = {"pipeline", "other"};
    expect_with(s, named("smallest-not-slower"), &other, 1, "");
    struct answer a = {0};
    ck_assert_ok(pare_store_query(s, named("smallest-not-slower"), NULL, 0, take, &a, &err), err);
    ck_assert(strncmp(a.text.data, "fashion-vit|nuc|edge|q-mixed|700|4.2857|", 40) == 0);
    pare_str_free(&a.text);
    a = (struct answer){0};
    ck_assert_ok(pare_store_query(s, named("plugin-effects"), NULL, 0, take, &a, &err), err);
    ck_assert_msg(strncmp(a.text.data, "quantize|4|", 11) == 0 &&
                      strstr(a.text.data, "\nprune|2|") && strstr(a.text.data, "\nlayer-drop|1|-"),
                  "%s", a.text.data);
    pare_str_free(&a.text);
    a = (struct answer){0};
    ck_assert_ok(pare_store_query(s, named("bits-by-pattern"), NULL, 0, take, &a, &err), err);
    ck_assert_msg(strstr(a.text.data, "\n2:4|8|1|-0.0") && strstr(a.text.data, "\n-|4|1|-0.0"),
                  "%s", a.text.data);
    pare_str_free(&a.text);
    expect(s, named("rebuilt"), "");
    expect(s, "select count(*) from latencies where label='baseline'", "1\n");
    struct pare_argument label = {"label", "q-mixed"};
    expect_with(s, named("unit-bits"), &label, 1,
                "fashion-vit|quant|layer.0.attn.query|query|8|0.2500|400|100\n"
                "fashion-vit|quant|layer.1.attn.query|query|4|-|400|50\n");
    label.text = "q4";
    size_t n = 0, base = 0, v = 0;
    for (int k = 0; k < SAMPLES; k += CLASSES) {
        n++;
        base += f.predicted[BASE][k] == f.target[k];
        v += f.predicted[Q4][k] == f.target[k];
    }
    ck_assert_uint_lt(v, base);
    snprintf(want, sizeof want, "fashion-vit|d0|0|%zu|%.4f|%.4f|%.4f\n", n,
             (double)base / (double)n, (double)v / (double)n,
             ((double)v - (double)base) / (double)n);
    a = (struct answer){0};
    ck_assert_ok(pare_store_query(s, named("class-accuracy"), &label, 1, take, &a, &err), err);
    ck_assert_msg(strncmp(a.text.data, want, strlen(want)) == 0, "%s\n%s", a.text.data, want);
    pare_str_free(&a.text);
    expect(s,
           "select host, phase, attempts, cpu_hours from (select host, phase, count(*) attempts, "
           "sum(cpu_seconds)/3600 cpu_hours from attempts group by 1,2)",
           "nuc|build|6|0.0060\nnuc|eval|6|0.0060\n");
    a = (struct answer){0};
    ck_assert_ok(pare_store_query(s, named("cpu-hours"), NULL, 0, take, &a, &err), err);
    ck_assert(strncmp(a.text.data, "nuc|build|6|0.0060|", 19) == 0);
    pare_str_free(&a.text);
    struct pare_argument hash = {"hash", "ab12"};
    a = (struct answer){0};
    ck_assert_ok(pare_store_query(s, named("whose-file"), &hash, 1, take, &a, &err), err);
    ck_assert(strncmp(a.text.data, "ab12cd|safetensors|840|pare.db.d/ab12cd|q8|fashion-vit|q8|",
                      58) == 0);
    pare_str_free(&a.text);
    pare_store_close(s);
}
END_TEST

/* Figures are kept by content of the samples; a pipeline shows those on its own samples alone. */
START_TEST(data_of_each_pipeline)
{
    struct pare_store *s = fill();
    int64_t other, id;
    ck_assert_ok(pare_store_data(s, "d7", "val", SAMPLES, f.target, &other, &err), err);
    struct pare_store_pipeline p = {
        .name = "second", .path = "b.yaml", .source = "", .data_id = other, .confirm_id = f.data};
    ck_assert_ok(pare_store_pipeline(s, &p, &id, &err), err);
    ck_assert_ok(pare_store_member(s, id, f.variant[BASE], "baseline", 0, true, NULL, &err), err);
    ck_assert_ok(pare_store_member(s, id, f.variant[Q8], "q8", 1, false, NULL, &err), err);
    expect(s, "select count(*) from samples where pipeline = 'second' and role = 'evaluate'",
           "0\n");
    const char *ask = "select pipeline, role, data_name, n from measurements where metric = 'top1' "
                      "and label = 'q8' order by 1, 2";
    expect(s, ask, "fashion-vit|evaluate|test[0:1000]|-\nsecond|confirm|test[0:1000]|-\n");
    struct pare_store_measurement m = {"top1", "fraction", "wilson", 0.5, 0.4,
                                       0.6,    700,        other,    NULL};
    ck_assert_ok(pare_store_measure(s, f.variant[Q8], 0, &m, &err), err);
    ck_assert_ok(pare_store_outcome(s, f.variant[Q8], other, SAMPLES, f.predicted[Q8], NULL, &err),
                 err);
    expect(s, ask,
           "fashion-vit|evaluate|test[0:1000]|-\nsecond|confirm|test[0:1000]|-\nsecond|evaluate|"
           "val|700\n");
    expect(s, "select pipeline, role, count(*) from samples where label = 'q8' group by 1, 2",
           "fashion-vit|evaluate|1000\nsecond|confirm|1000\nsecond|evaluate|1000\n");
    pare_store_close(s);
}
END_TEST

START_TEST(tags_and_notes)
{
    struct pare_store *s = fill();
    ck_assert_ok(pare_store_tag(s, f.variant[Q8], "best", &err), err);
    ck_assert_ok(pare_store_note(s, f.variant[Q8], "ship it", &err), err);
    ck_assert_ok(pare_store_note(s, 0, "new rack", &err), err);
    expect(s, "select tag, label from tags", "best|q8\n");
    static const char *const bad[] = {"q4", "baseline", "two words", "", "-x", "a:b", "a/b"};
    for (size_t i = 0; i < PARE_COUNT(bad); i++)
        ck_assert_int_eq(pare_store_tag(s, f.variant[Q8], bad[i], &err), PARE_INVALID);
    expect(s, "select count(*) from tags", "1\n");
    expect(s, "select note, label, body from notes order by note", "1|q8|ship it\n2|-|new rack\n");
    pare_store_close(s);
}
END_TEST

/* The one-liners of the manual, as people type them. */
START_TEST(ten_questions)
{
    static const char *const questions[] = {
        "select label from variants where pipeline='fashion-vit' and d_top1_lo>=-0.01 and "
        "speedup_lo>=1 order by size_bytes limit 1",
        "select plugin,count(*),avg(speedup),avg(d_top1) from stage_effects group by 1",
        "select params->>'$.prune.pattern',params->>'$.quant.bits',avg(d_top1) from variants group "
        "by 1,2",
        "select label,plugin,reason,signal,log from failures",
        "select recipe,max(top1)-min(top1) from variants_all group by 1 having count(distinct "
        "variant)>1",
        "select session,host,latency_ms from latencies where label='baseline'",
        "select unit,value,score from unit_values where label='q-mixed' and name='bits'",
        "select target,avg(b.correct)-avg(v.correct) from samples v join samples b "
        "using(pipeline,data,sample,target) where v.label='q4' and b.label='baseline' group by 1",
        "select host,phase,sum(cpu_seconds)/3600 from attempts group by 1,2",
        "select v.* from artifacts a join variants v using(variant) where a.sha256 like 'ab12%'"};
    struct pare_store *s = fill();
    for (size_t i = 0; i < PARE_COUNT(questions); i++) {
        struct answer a = {0};
        ck_assert_ok(pare_store_query(s, questions[i], NULL, 0, take, &a, &err), err);
        ck_assert_msg(a.text.len > 0 || i == 4, "no answer: %s", questions[i]);
        pare_str_free(&a.text);
    }
    expect(s, questions[0], "q-mixed\n");
    expect(s, questions[5], "1|nuc|1.0034\n");
    pare_store_close(s);
}
END_TEST

START_TEST(rebuilt_plugins_and_later_sessions)
{
    struct pare_store *s = fill();
    static const size_t some[] = {BASE, Q8, MIXED};
    /* A second session, twice as slow, with a variant that the first lacks. */
    int64_t plugin;
    ck_assert_ok(pare_store_begin(s, &err), err);
    ck_assert_ok(pare_store_plugin(s, "quantize", "1.1", "quantize2", NULL, &plugin, &err), err);
    struct pare_store_step step = {"quant", "quantize", plugin, "{\"bits\":8,\"symmetric\":true}",
                                   "{\"on\":[\"**\"]}"};
    add_pipeline(s);
    f.variant[Q8] = add_variant(s, "q8", "2", &step, 1);
    for (size_t i = 0; i < VARIANTS; i++)
        ck_assert_ok(
            pare_store_member(s, f.pipeline, f.variant[i], labels[i], i, i == BASE, NULL, &err),
            err);
    ck_assert_ok(pare_store_end(s, pare_store_refresh(s, &err), &err), err);
    expect(s, "select state, top1 from variants where label='q8'", "planned|-\n");
    add_measure(s, f.variant[Q8], "top1", "fraction", 0.875, true);
    ck_assert_ok(pare_store_outcome(s, f.variant[Q8], f.data, SAMPLES, f.predicted[Q8], NULL, &err),
                 err);
    f.session = add_session(s, "build-2");
    for (size_t r = 0; r < 8; r++)
        ck_assert_ok(add_round(s, f.session, r, some, 3, 2), err);
    expect(s,
           "select label, count(distinct variant), max(top1) - min(top1) from variants_all "
           "group by recipe having count(distinct variant) > 1",
           "q8|2|0.0230\n");
    struct answer a = {0};
    ck_assert_ok(pare_store_query(s, named("rebuilt"), NULL, 0, take, &a, &err), err);
    ck_assert_msg(strstr(a.text.data, "|2|0.8750|0.8980|0.0230|"), "%s", a.text.data);
    pare_str_free(&a.text);
    /* The new build was timed in the second session only: in the first one's milliseconds. */
    expect(s,
           "select session, direct, latency_ms > 0.66 and latency_ms < 0.68, speedup > 1.49 and "
           "speedup < 1.51, latency_ms_lo <= latency_ms from variants where label='q8'",
           "2|0|1|1|1\n");
    expect(s, "select session, direct from variants where label='q-mixed'", "1|1\n");
    a = (struct answer){0};
    ck_assert_ok(pare_store_query(s, named("baseline-drift"), NULL, 0, take, &a, &err), err);
    ck_assert_msg(strstr(a.text.data, "|1|1.0034|") && strstr(a.text.data, "|2|2.00") &&
                      strstr(a.text.data, "|build-2|"),
                  "%s", a.text.data);
    pare_str_free(&a.text);
    pare_store_close(s);
}
END_TEST

START_TEST(queries_only_read)
{
    static const char *const refused[] = {
        "delete from member",
        "update variant set label = 'x'",
        "attach 'other.db' as o",
        "pragma user_version = 9",
        "create table t(x)",
        "begin",
        "vacuum into 'copy.db'",
        "select 1; select 2",
        "select 1; delete from member",
        "selekt 1",
        "",
        " -- nothing\n",
        "select load_extension('x')",
        "update sqlite_master set sql = ''",
        "with x as (select 1) insert into meta select 'a', 'b'",
    };
    struct pare_store *s = fill();
    struct answer a = {0};
    for (size_t i = 0; i < PARE_COUNT(refused); i++)
        ck_assert_msg(pare_store_query(s, refused[i], NULL, 0, take, &a, &err) == PARE_INVALID,
                      "allowed: %s", refused[i]);
    struct pare_argument wrong = {"lable", "q4"};
    ck_assert_int_eq(pare_store_query(s, named("unit-bits"), &wrong, 1, take, &a, &err),
                     PARE_INVALID);
    ck_assert(strstr(err.detail, ":label"));
    pare_str_free(&a.text);
    expect(s, "select count(*) from pragma_table_info('variants');  -- fine\n", "54\n");
    expect(s, "select key from variants, json_each(params, '$.quant') where label='q8'",
           "bits\nsymmetric\n");
    ck_assert_ok(pare_store_tag(s, f.variant[Q8], "best", &err), err); /* writing still works */
    pare_store_close(s);
}
END_TEST

START_TEST(names_of_variants)
{
    struct pare_store *s = fill();
    struct pare_store_ref ref;
    char hash[PARE_HASH_HEX];
    static const char *const good[][2] = {{"q8", "q8"},
                                          {"p2:4", "p2:4"},
                                          {"fashion-vit:p2:4+q8", "p2:4+q8"},
                                          {"fashion-vit:q4", "q4"},
                                          {"best", "q8"}};
    ck_assert_ok(pare_store_tag(s, f.variant[Q8], "best", &err), err);
    ck_assert_ok(pare_store_note(s, f.variant[Q8], "ship it", &err), err);
    for (size_t i = 0; i < PARE_COUNT(good); i++) {
        ck_assert_ok(pare_store_resolve(s, good[i][0], NULL, &ref, &err), err);
        ck_assert_str_eq(ref.label, good[i][1]);
        ck_assert_int_eq(ref.pipeline_id, f.pipeline);
    }
    hash_for("q4/1", hash);
    hash[7] = '\0';
    ck_assert_ok(pare_store_resolve(s, hash, NULL, &ref, &err), err);
    ck_assert_int_eq(ref.variant_id, f.variant[Q4]);
    ck_assert_int_eq(pare_store_resolve(s, "q-mixde", NULL, &ref, &err), PARE_NOT_FOUND);
    ck_assert(strstr(err.hint, "q-mixed"));
    ck_assert_int_eq(pare_store_resolve(s, "other:q8", NULL, &ref, &err), PARE_NOT_FOUND);
    ck_assert_ok(pare_store_untag(s, "best", &err), err);
    ck_assert_int_eq(pare_store_untag(s, "best", &err), PARE_NOT_FOUND);
    pare_store_close(s);
}
END_TEST

START_TEST(trials_and_fronts)
{
    struct pare_store *s = fill();
    struct pare_trials t, again;
    ck_assert_ok(pare_trials_load(s, NULL, NULL, NULL, &t, &err), err);
    ck_assert_str_eq(t.pipeline, "fashion-vit");
    ck_assert_str_eq(t.host, "nuc");
    ck_assert_str_eq(t.shape, "edge");
    ck_assert_uint_eq(t.n, VARIANTS);
    ck_assert_uint_eq(t.baseline, BASE);
    ck_assert_uint_eq(t.n_samples, SAMPLES);
    ck_assert_uint_eq(t.n_sessions, 1);
    ck_assert_uint_eq(t.sessions[0].n_rounds, ROUNDS);
    ck_assert_uint_eq(t.n_objectives, 3);
    ck_assert_str_eq(t.objectives[1].metric, "latency_ms");
    ck_assert(t.objectives[1].direction == -1 && t.objectives[1].relative);
    ck_assert_str_eq(t.constraints[0], "top1 >= baseline - 0.01");
    for (size_t i = 0; i < BAD; i++) {
        for (int k = 0; k < SAMPLES; k++)
            ck_assert_int_eq(t.items[i].correct[k], f.predicted[i][k] == f.target[k]);
        for (size_t r = 0; r < ROUNDS; r++)
            CLOSE(t.items[i].round_ns[r], 1e6 / speed_of[i] * (1 + 0.002 * (double)(r % 5)) + 400,
                  1);
        ck_assert_uint_eq(t.items[i].n_metrics, 3);
        ck_assert_str_eq(t.items[i].metrics[1].name, "size_bytes");
        CLOSE(t.items[i].metrics[1].value, bytes_of[i], 0);
    }
    ck_assert_ptr_null(t.items[BAD].correct);
    ck_assert_str_eq(t.items[BAD].state, "failed");
    ck_assert_uint_eq(t.items[BAD].session, SIZE_MAX);
    ck_assert_ok(pare_trials_load(s, "fashion-vit", "nuc", "edge", &again, &err), err);
    ck_assert_str_eq(t.data_hash, again.data_hash);
    pare_trials_free(&again);

    struct pare_store_front_member members[2] = {
        {f.variant[Q8], "sure", 0.99, 1, 0.2, 0, 0, 0, NULL},
        {f.variant[Q4], "out", 0.01, (double)NAN, (double)NAN, PARE_NONE, f.variant[Q8],
         f.variant[Q8], "slower"}};
    int64_t id;
    struct pare_store_front front = {.pipeline_id = t.pipeline_id,
                                     .host_id = t.host_id,
                                     .shape = t.shape,
                                     .rule = "{}",
                                     .seed = 1,
                                     .data_hash = t.data_hash,
                                     .summary = "{\"knee\":\"q8\"}",
                                     .members = members,
                                     .n = 2};
    ck_assert_ok(pare_store_changes(s, &front.changes, &err), err);
    ck_assert_ok(pare_store_front(s, &front, &id, &err), err);
    expect(s, "select current, summary from fronts", "1|{\"knee\":\"q8\"}\n");
    expect(s, "select label, status, p_front, p_feasible, rank, folded_under, rival from front",
           "q8|sure|0.9900|1.0000|0|-|-\nq4|out|0.0100|-|-|q8|q8\n");
    expect(s, "select status, p_front from variants where label='q8'", "sure|0.9900\n");
    char first[PARE_HASH_HEX];
    memcpy(first, t.data_hash, sizeof first);
    pare_trials_free(&t);
    ck_assert_ok(pare_store_note(s, f.variant[Q8], "what people say changes no figure", &err), err);
    ck_assert_ok(pare_store_tag(s, f.variant[Q8], "good", &err), err);
    expect(s, "select current from fronts", "1\n");
    add_measure(s, f.variant[Q8], "size_bytes", "bytes", 841, false);
    expect(s, "select current from fronts", "0\n");
    ck_assert_ok(pare_trials_load(s, NULL, NULL, NULL, &again, &err), err);
    ck_assert_str_ne(first, again.data_hash);
    /* The same figures again: the front is the same one, and current; of others it is a new one. */
    int64_t same;
    front.data_hash = first;
    front.pipeline_id = again.pipeline_id;
    front.host_id = again.host_id;
    front.shape = again.shape;
    ck_assert_ok(pare_store_changes(s, &front.changes, &err), err);
    ck_assert_ok(pare_store_front(s, &front, &same, &err), err);
    ck_assert_int_eq(same, id);
    expect(s, "select current from fronts", "1\n");
    expect(s, "select count(*) from front_result", "1\n");
    front.data_hash = again.data_hash;
    ck_assert_ok(pare_store_front(s, &front, &same, &err), err);
    ck_assert_int_ne(same, id);
    pare_trials_free(&again);
    ck_assert_int_eq(pare_trials_load(s, "other", NULL, NULL, &again, &err), PARE_NOT_FOUND);
    ck_assert_int_eq(pare_trials_load(s, NULL, "mars", NULL, &again, &err), PARE_NOT_FOUND);
    pare_store_close(s);
}
END_TEST

/* --- what it costs among many variants, counted in steps of SQLite's machine --- */

static int count_step(void *user)
{
    ++*(size_t *)user;
    return 0;
}

enum { PER_SESSION = 50, FEW_SAMPLES = 20 };

static void crowd_round(struct pare_store *s, int64_t session, size_t round, const int64_t *ids,
                        size_t n)
{
    struct pare_store_visit visits[PER_SESSION + 1] = {0};
    static const uint32_t ns[3] = {1000000, 1001000, 1002000};
    for (size_t k = 0; k <= n; k++)
        visits[k] = (struct pare_store_visit){.variant_id = k ? ids[k - 1] : f.variant[BASE],
                                              .slot = k,
                                              .ns = ns,
                                              .n = 3,
                                              .mhz = (double)NAN};
    ck_assert_ok(pare_store_round(s, session, round, visits, n + 1, &err), err);
}

/* Add n variants of one stage each, built, evaluated and timed. */
static int64_t *add_crowd(struct pare_store *s, size_t n)
{
    int64_t *ids = pare_calloc(n, sizeof *ids);
    struct pare_store_end ok = ending("ok");
    ck_assert_ok(pare_store_begin(s, &err), err);
    for (size_t i = 0; i < n; i++) {
        char label[32], params[64];
        snprintf(label, sizeof label, "crowd%zu", i);
        snprintf(params, sizeof params, "{\"bits\":%zu}", i + 100);
        struct pare_store_step step = {"quant", "quantize", f.plugins[1], params, NULL};
        ids[i] = add_variant(s, label, "1", &step, 1);
        ck_assert_ok(pare_store_member(s, f.pipeline, ids[i], label, 100 + i, false, NULL, &err),
                     err);
        int64_t attempt;
        ck_assert_ok(pare_store_attempt_begin(s, ids[i], PARE_PHASE_BUILD, 0, f.host, "avx2",
                                              &attempt, &err),
                     err);
        ck_assert_ok(pare_store_attempt_finish(s, attempt, &ok, &err), err);
        ck_assert_ok(
            pare_store_outcome(s, ids[i], f.data, FEW_SAMPLES, f.predicted[Q8], NULL, &err), err);
        add_measure(s, ids[i], "top1", "fraction", 0.9, true);
        add_measure(s, ids[i], "size_bytes", "bytes", 1000 + (double)i, false);
    }
    for (size_t i = 0; i < n; i += PER_SESSION) {
        int64_t session = add_session(s, "build-1");
        for (size_t r = 0; r < 2; r++)
            crowd_round(s, session, r, ids + i, PARE_MIN((size_t)PER_SESSION, n - i));
    }
    ck_assert_ok(pare_store_end(s, PARE_OK, &err), err);
    return ids;
}

static const char *const costly[] = {
    "select * from variants",      "select * from variants order by speedup desc limit 20",
    "select * from stage_effects", "select * from latencies",
    "select * from failures",      "select * from pending",
    "select * from attempts",
};
#define N_COSTS (4 + PARE_COUNT(costly))

/* Steps of: storing an outcome, storing a round, one variant's effects, all figures for a front,
 * and the views. */
static void count_costs(size_t n, size_t *steps)
{
    struct pare_store *s = fill();
    struct answer a = {0};
    struct pare_trials t;
    int64_t *ids = add_crowd(s, n), session = add_session(s, "build-1");
    for (size_t i = 0; i < N_COSTS; i++)
        steps[i] = 0;
    sqlite3_progress_handler(s->db, 1, count_step, &steps[0]);
    ck_assert_ok(pare_store_outcome(s, ids[3], f.data, FEW_SAMPLES, f.predicted[Q4], NULL, &err),
                 err);
    sqlite3_progress_handler(s->db, 1, count_step, &steps[1]);
    crowd_round(s, session, 0, ids, 3);
    sqlite3_progress_handler(s->db, 1, count_step, &steps[2]);
    ck_assert_ok(pare_store_query(s, "select * from stage_effects where label = 'crowd7'", NULL, 0,
                                  take, &a, &err),
                 err);
    sqlite3_progress_handler(s->db, 1, count_step, &steps[3]);
    ck_assert_ok(pare_trials_summaries(s, NULL, NULL, NULL, &t, &err), err);
    pare_trials_free(&t);
    for (size_t i = 0; i < PARE_COUNT(costly); i++) {
        sqlite3_progress_handler(s->db, 1, count_step, &steps[4 + i]);
        ck_assert_ok(pare_store_query(s, costly[i], NULL, 0, take, &a, &err), err);
    }
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    pare_str_free(&a.text);
    free(ids);
    pare_store_close(s);
    ck_assert_ok(pare_remove_tree(path, &err), err);
}

/* Nothing has been analysed: the plans are those of a database that is being filled. */
START_TEST(cost_grows_with_the_answer)
{
    enum { FEW = 100, MANY = 800 };
    size_t few[N_COSTS], many[N_COSTS];
    count_costs(FEW, few);
    count_costs(MANY, many);
    for (size_t i = 0; i < N_COSTS; i++) {
        double limit = i < 3 ? 1.3 : 1.3 * MANY / FEW, ratio = (double)many[i] / (double)few[i];
        ck_assert_uint_gt(few[i], 50);
        ck_assert_msg(ratio < limit, "%s: %zu steps among %d variants, %zu among %d",
                      i == 0   ? "an outcome"
                      : i == 1 ? "a round"
                      : i == 2 ? "effects of one"
                      : i == 3 ? "figures for a front"
                               : costly[i - 4],
                      few[i], FEW, many[i], MANY);
    }
}
END_TEST

START_TEST(tries_are_counted)
{
    struct pare_store *s = fill();
    struct pare_store_tries t;
    struct pare_store_end bad = ending("failed");
    bad.cause = "refused";
    bad.reason = "no";
    ck_assert_ok(pare_store_tries(s, f.variant[BAD], PARE_PHASE_BUILD, 0, &t, &err), err);
    ck_assert(!t.done && t.failed == 1 && t.refused == 0);
    ck_assert_str_eq(t.reason, "layer-drop crashed");
    try_it(s, BAD, PARE_PHASE_BUILD, &bad);
    ck_assert_ok(pare_store_tries(s, f.variant[BAD], PARE_PHASE_BUILD, 0, &t, &err), err);
    ck_assert(t.failed == 2 && t.refused == 1);
    ck_assert_str_eq(t.reason, "no");
    expect(s, "select count(*) from pending where phase = 'build'", "0\n");
    ck_assert_ok(pare_store_forgive(s, f.pipeline, &err), err);
    ck_assert_ok(pare_store_tries(s, f.variant[BAD], PARE_PHASE_BUILD, 0, &t, &err), err);
    ck_assert(t.failed == 0 && t.refused == 0);
    expect(s, "select count(*) from pending where phase = 'build'", "1\n");
    ck_assert_ok(pare_store_tries(s, f.variant[Q8], PARE_PHASE_EVAL, f.data, &t, &err), err);
    ck_assert(t.done);
    ck_assert_ok(pare_store_tries(s, f.variant[Q8], PARE_PHASE_EVAL, 0, &t, &err), err);
    ck_assert(!t.done); /* on other data */
    ck_assert_ok(
        pare_store_blocked(s, f.variant[BAD], PARE_PHASE_EVAL, f.host, "drop7 failed", &err), err);
    bool yes;
    ck_assert_ok(pare_store_measured(s, f.variant[Q8], "top1", NULL, f.data, &yes, &err), err);
    ck_assert(yes);
    ck_assert_ok(pare_store_measured(s, f.variant[Q8], "top1", NULL, 0, &yes, &err), err);
    ck_assert(!yes);
    pare_store_close(s);
}
END_TEST

static void raw_sql(const char *file, const char *sql)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* ---- metrics that plugins bring ---- */

static int64_t metric_pipeline(struct pare_store *s, const char *name, const char *key)
{
    int64_t id;
    const struct pare_store_metric metric = {.name = "org.example.brier",
                                             .unit = "1",
                                             .plugin_id = f.plugins[0],
                                             .settings = "{\"bins\":15}",
                                             .key = key};
    const struct pare_store_pipeline p = {.name = name,
                                          .path = "m.yaml",
                                          .source = "",
                                          .data_id = f.data,
                                          .metrics = &metric,
                                          .n_metrics = 1};
    ck_assert_ok(pare_store_pipeline(s, &p, &id, &err), err);
    ck_assert_ok(pare_store_member(s, id, f.variant[BASE], "baseline", 0, true, NULL, &err), err);
    ck_assert_ok(pare_store_member(s, id, f.variant[Q8], "q8", 1, false, NULL, &err), err);
    return id;
}

static void add_keyed(struct pare_store *s, int64_t variant, const char *key, double value,
                      int64_t n)
{
    const double half = n ? 0.0392 : (double)NAN;
    const struct pare_store_measurement m = {.metric = "org.example.brier",
                                             .unit = "1",
                                             .how = "normal 95 %",
                                             .value = value,
                                             .lo = value - half,
                                             .hi = value + half,
                                             .n = n,
                                             .data_id = f.data,
                                             .key = key};
    ck_assert_ok(pare_store_measure(s, variant, 0, &m, &err), err);
}

static bool knows(struct pare_store *s, size_t v, const char *key)
{
    bool yes;
    ck_assert_ok(pare_store_measured(s, f.variant[v], "org.example.brier", key, f.data, &yes, &err),
                 err);
    return yes;
}

/* Figures of another file of the plugin, or another setting, are another pipeline's. */
START_TEST(metrics_of_plugins)
{
    struct pare_store *s = fill();
    struct pare_trials t;
    metric_pipeline(s, "one", "key-1");
    metric_pipeline(s, "two", "key-2");
    const char *pending = "select label, phase from pending where pipeline = 'one' and phase = "
                          "'eval' order by label";
    expect(s, pending, "baseline|eval\nq8|eval\n");
    add_keyed(s, f.variant[BASE], "key-1", 0.25, 1000);
    add_keyed(s, f.variant[Q8], "key-1", 0.5, 1000);
    add_keyed(s, f.variant[Q8], "key-2", 0.75, 1000);
    add_keyed(s, f.variant[BASE], "key-2", (double)NAN, 0); /* a value for no sample */
    expect(s, pending, "");
    ck_assert(knows(s, BASE, "key-1") && knows(s, Q8, "key-2") && knows(s, BASE, "key-2"));
    ck_assert(!knows(s, Q8, "key-3") && !knows(s, Q8, NULL));
    expect(s,
           "select pipeline, label, value, n from measurements where metric = 'org.example.brier' "
           "order by 1, 2",
           "one|baseline|0.2500|1000\none|q8|0.5000|1000\ntwo|baseline|-|0\n"
           "two|q8|0.7500|1000\n");
    expect(
        s, "select pipeline, metric, unit, direction, settings from metrics order by 1",
        "one|org.example.brier|1|min|{\"bins\":15}\ntwo|org.example.brier|1|min|{\"bins\":15}\n");
    ck_assert_ok(pare_trials_summaries(s, "one", NULL, NULL, &t, &err), err);
    ck_assert(t.n_plugin_metrics == 1 && !t.plugin_metrics[0].higher);
    ck_assert_str_eq(t.plugin_metrics[0].name, "org.example.brier");
    for (size_t i = 0; i < t.items[1].n_metrics; i++) {
        const struct pare_trial_metric *m = &t.items[1].metrics[i];
        const bool own = !strcmp(m->name, "org.example.brier");
        ck_assert(!own || (m->value == 0.5 && fabs(m->sem - 0.02) < 1e-6));
        ck_assert(own || isnan(m->sem));
    }
    pare_trials_free(&t);
    pare_store_close(s);
    raw_sql(path, "PRAGMA user_version = 4"); /* as an older program left it */
    s = open_store(PARE_STORE_READ);
    ck_assert(!pare_store_has_metrics(s));
    ck_assert_ok(pare_trials_summaries(s, "one", NULL, NULL, &t, &err), err);
    ck_assert_uint_eq(t.n_plugin_metrics, 0);
    pare_trials_free(&t);
    pare_store_close(s);
}
END_TEST

/* Names in the folder, to see that reading leaves nothing behind. */
static size_t count_files(void)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

START_TEST(whose_file_it_is)
{
    struct pare_store *s = NULL;
    ck_assert_int_eq(pare_store_open(path, PARE_STORE_READ, &s, &err), PARE_NOT_FOUND);
    ck_assert_uint_eq(count_files(), 0);
    /* Another program's. */
    raw_sql(path, "CREATE TABLE t(x)");
    for (int mode = PARE_STORE_READ; mode <= PARE_STORE_WRITE; mode++) {
        ck_assert_int_eq(pare_store_open(path, (enum pare_store_mode)mode, &s, &err), PARE_INVALID);
        ck_assert(strstr(err.what, "not a Pare database"));
    }
    /* No SQLite at all. */
    ck_assert_ok(pare_file_write(path, "pare: 1\n# a pipeline, by mistake\n", 33, &err), err);
    ck_assert_int_eq(pare_store_open(path, PARE_STORE_WRITE, &s, &err), PARE_INVALID);
    ck_assert_int_eq(pare_store_open(folder, PARE_STORE_WRITE, &s, &err), PARE_INVALID);
    unlink(path);
    pare_store_close(fill());
    ck_assert_uint_eq(count_files(), 1); /* one plain file, no WAL beside it */
    s = open_store(PARE_STORE_READ);
    expect(s, "select count(*) from variants", "8\n");
    ck_assert_int_eq(pare_store_tag(s, f.variant[Q8], "x", &err), PARE_UNSUPPORTED);
    ck_assert_uint_eq(count_files(), 1);
    pare_store_close(s);
    ck_assert_uint_eq(count_files(), 1);
    /* A newer one is read, and says so. */
    raw_sql(path, "PRAGMA user_version = 99");
    s = open_store(PARE_STORE_WRITE);
    ck_assert(pare_store_read_only(s) && strstr(pare_store_notice(s), "newer"));
    expect(s, "select count(*) from variants", "8\n");
    ck_assert_int_eq(pare_store_tag(s, f.variant[Q8], "x", &err), PARE_UNSUPPORTED);
    ck_assert(strstr(err.detail, "newer"));
    pare_store_close(s);
}
END_TEST

/* Windows of a text have a loss and no class; they are compared with what both have. */
START_TEST(losses)
{
    struct pare_store *s = fill();
    static const float base[] = {3.0f, 2.0f, 4.0f, 1.0f}, q8[] = {3.1f, 2.3f, 4.0f, 1.2f};
    int64_t text;
    ck_assert_ok(pare_store_data(s, "text", "test", 4, NULL, &text, &err), err);
    ck_assert_ok(pare_store_outcome(s, f.variant[BASE], text, 4, NULL, base, &err), err);
    ck_assert_ok(pare_store_outcome(s, f.variant[Q8], text, 4, NULL, q8, &err), err);
    /* differences 0.1, 0.3, 0, 0.2: mean 0.15, deviation 0.1291, t(3) 3.1824 */
    expect(s,
           "select n, round(d, 4), round(lo, 4), round(hi, 4) from loss_pair where variant_id = "
           "(select variant_id from variant where label = 'q8')",
           "4|0.1500|-0.0554|0.3554\n");
    /* The baseline again: the pair is that of the new one. */
    ck_assert_ok(pare_store_outcome(s, f.variant[BASE], text, 4, NULL, q8, &err), err);
    expect(s, "select n, round(d, 4) from loss_pair", "4|0.0000\n");
    expect(s,
           "select count(*) from accuracy_pair where data_id = (select data_id from data where "
           "key = 'text')",
           "0\n");
    pare_store_close(s);
}
END_TEST

/* Pairs of texts, and single tokens: their rows, the paired difference, and bytes as they are read.
 */
START_TEST(texts)
{
    struct pare_store *s = fill();
    static const double score[] = {1, 2.5, 4, 5};
    static const float cosine[] = {0.5f, 0.25f, 1, 0}, base[] = {0.5f, 1, 0.25f, 0.25f},
                       q8[] = {0.5f, 0.75f, 0.25f, 0}, hole[] = {0.5f, NAN, 0.25f, 0};
    static const float nll[] = {1.5f, -2.0f, 0.5f};
    static const uint32_t ends[] = {1, 3};
    int64_t pairs, text;
    ck_assert_ok(pare_store_data(s, "pairs", "dev", 4, NULL, &pairs, &err), err);
    ck_assert_ok(pare_store_similarity(s, f.variant[BASE], pairs, 4, score, cosine, base, &err),
                 err);
    ck_assert_ok(pare_store_similarity(s, f.variant[Q8], pairs, 4, score, cosine, q8, &err), err);
    /* differences 0, -0.25, 0, -0.25: mean -0.125, deviation 0.14434, t(3) 3.1824 */
    expect(
        s,
        "select n, round(d, 4), round(lo, 4), round(hi, 4) from similarity_pair where variant_id "
        "= (select variant_id from variant where label = 'q8')",
        "4|-0.1250|-0.3547|0.1047\n");
    expect(s,
           "select sample, score, similarity, part from score join outcome_similarity "
           "using(sample) join outcome using(outcome_id) where variant_id = (select variant_id "
           "from variant where label = 'q8') and sample = 1",
           "1|2.5000|0.2500|0.7500\n");
    /* Evaluated again: rows are replaced, and what is not known is not compared. */
    ck_assert_ok(pare_store_similarity(s, f.variant[Q8], pairs, 4, score, cosine, hole, &err), err);
    expect(s, "select count(*), sum(part is null) from outcome_similarity", "8|1\n");
    expect(s, "select n from similarity_pair", "3\n");
    /* Tokens go with their outcome. */
    ck_assert_ok(pare_store_data(s, "text", "test", 2, NULL, &text, &err), err);
    ck_assert_int_eq(pare_store_token_losses(s, f.variant[BASE], text, ends, 2, nll, 3, &err),
                     PARE_NOT_FOUND);
    ck_assert_ok(pare_store_outcome(s, f.variant[BASE], text, 2, NULL, nll, &err), err);
    ck_assert_ok(pare_store_token_losses(s, f.variant[BASE], text, ends, 2, nll, 3, &err), err);
    expect(s, "select hex(ends), hex(nll) from token_loss",
           "0100000003000000|0000C03F000000C00000003F\n");
    ck_assert_ok(pare_store_outcome(s, f.variant[BASE], text, 2, NULL, nll, &err), err);
    expect(s, "select count(*) from token_loss", "0\n");
    pare_store_close(s);
}
END_TEST

START_TEST(migrations)
{
    static const struct pare_migration steps[] = {
        {5, ""}, {6, "CREATE TABLE two(x) STRICT"}, {7, "ALTER TABLE two ADD y TEXT"}};
    static const struct pare_migration good[] = {
        {5, ""}, {6, "CREATE TABLE two(x INTEGER) STRICT"}, {7, "ALTER TABLE two ADD y TEXT"}};
    static const struct pare_migration dangling[] = {
        {8, "PRAGMA defer_foreign_keys = 1; DELETE FROM pipeline"}};
    struct pare_store *s = fill(), *old;
    char copy[4300];
    int64_t version;
    /* A step that fails leaves the version before it. */
    ck_assert_int_ne(pare__store_migrate(s, steps, 3, &err), PARE_OK);
    ck_assert_ok(pare__store_get(s, &version, &err, "PRAGMA user_version", ""), err);
    ck_assert_int_eq(version, 5);
    ck_assert_ok(pare__store_migrate(s, good, 3, &err), err);
    ck_assert_ok(pare__store_get(s, &version, &err, "PRAGMA user_version", ""), err);
    ck_assert_int_eq(version, 7);
    ck_assert_ok(pare__store_run(s, &err, "INSERT INTO two VALUES(1, 'a')", ""), err);
    /* One that would break references is taken back. */
    ck_assert_int_eq(pare__store_migrate(s, dangling, 1, &err), PARE_FAILED);
    expect(s, "select count(*) from variants", "8\n");
    pare_store_close(s);
    snprintf(copy, sizeof copy, "%s.bak-v5", path);
    ck_assert_ok(pare_store_open(copy, PARE_STORE_WRITE, &old, &err), err);
    expect(old, "select count(*) from variants", "8\n");
    pare_store_close(old);
}
END_TEST

/* A file that an earlier Pare left, before fronts said in short what they say. */
START_TEST(an_older_file)
{
    sqlite3 *db;
    struct pare_store *s;
    int64_t version;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, pare_sql_schema, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db,
                                  "PRAGMA user_version = 1; PRAGMA application_id = 1346458181;"
                                  "INSERT INTO pipeline VALUES(1, 'p', NULL, '', '{}', 1, NULL, "
                                  "NULL, 'then', 'then');"
                                  "INSERT INTO front_result VALUES(1, 1, NULL, NULL, '{}', 1, "
                                  "'hash', 'then');"
                                  "INSERT INTO variant VALUES(1, 'h', 'r', 'm', 'q8', NULL, 'c', "
                                  "'then');"
                                  "INSERT INTO measurement VALUES(1, 1, 'top1', NULL, NULL, 0.5, "
                                  "'1', NULL, NULL, NULL, 'counted', 'then')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    ck_assert_ok(pare_store_open(path, PARE_STORE_WRITE, &s, &err), err);
    ck_assert_ok(pare__store_get(s, &version, &err, "PRAGMA user_version", ""), err);
    ck_assert_int_eq(version, 5);
    expect(s, "select pipeline, current, summary from fronts", "p|0|{}\n");
    bool yes;
    ck_assert_ok(pare_store_measured(s, 1, "top1", NULL, 0, &yes, &err), err);
    ck_assert(yes);
    pare_store_close(s);
}
END_TEST

/* Run `work` in a child; it must not return. */
static pid_t child_of(void (*work)(int fd), int *fd)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        alarm(60); /* nothing outlives a test that failed */
        work(ends[1]);
        _exit(9);
    }
    close(ends[1]);
    *fd = ends[0];
    return pid;
}

static void end_child(pid_t pid, int fd)
{
    int status;
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status), "the child ended by itself: %d", status);
    close(fd);
}

static void lock_and_try(int fd)
{
    struct pare_store *s;
    int64_t id;
    if (pare_store_open(path, PARE_STORE_WRITE, &s, &err) != PARE_OK ||
        pare_store_lock(s, &err) != PARE_OK ||
        pare_store_attempt_begin(s, f.variant[BAD], PARE_PHASE_EVAL, f.data, f.host, NULL, &id,
                                 &err) != PARE_OK ||
        write(fd, "x", 1) != 1)
        _exit(8);
    for (;;)
        pause();
}

START_TEST(one_run_at_a_time)
{
    struct pare_store *s = fill();
    int fd;
    int64_t id;
    char byte, want[64];
    pid_t pid = child_of(lock_and_try, &fd);
    ck_assert_int_eq(read(fd, &byte, 1), 1);
    ck_assert_int_eq(pare_store_lock(s, &err), PARE_BUSY);
    snprintf(want, sizeof want, "pid %ld on ", (long)pid);
    ck_assert_msg(strstr(err.detail, want), "%s", err.detail);
    ck_assert_int_eq(pare_store_attempt_begin(s, f.variant[BAD], PARE_PHASE_EVAL, f.data, f.host,
                                              NULL, &id, &err),
                     PARE_BUSY);
    pare_store_close(s);
    s = open_store(PARE_STORE_WRITE); /* it lives: not lost */
    expect(s, "select state from variants where label='drop7'", "running\n");
    pare_store_close(s);
    end_child(pid, fd);
    s = open_store(PARE_STORE_WRITE);
    expect(s, "select state from attempts order by attempt desc limit 1", "lost\n");
    /* One of another host: only who holds the lock can tell that it is dead. */
    ck_assert_ok(pare_store_attempt_begin(s, f.variant[BAD], PARE_PHASE_EVAL, f.data, f.host, NULL,
                                          &id, &err),
                 err);
    const char *sql = "UPDATE host SET key = 'elsewhere'";
    ck_assert_ok(pare__store_run(s, &err, sql, ""), err);
    sql = "UPDATE attempt SET boot = 'another' WHERE state = 'running'";
    ck_assert_ok(pare__store_run(s, &err, sql, ""), err);
    pare_store_close(s);
    s = open_store(PARE_STORE_WRITE);
    expect(s, "select count(*) from attempts where state = 'running'", "1\n");
    ck_assert_ok(pare_store_lock(s, &err), err);
    expect(s, "select count(*) from attempts where state = 'running'", "0\n");
    ck_assert_ok(pare_store_attempt_begin(s, f.variant[BAD], PARE_PHASE_EVAL, f.data, f.host, NULL,
                                          &id, &err),
                 err);
    pare_store_close(s);
}
END_TEST

static void write_for_ever(int fd)
{
    struct pare_store *s;
    if (pare_store_open(path, PARE_STORE_WRITE, &s, &err) != PARE_OK || write(fd, "x", 1) != 1)
        _exit(8);
    int64_t session = add_session(s, "build-1");
    for (size_t r = 0;; r++) {
        if (add_round(s, session, r, timed, PARE_COUNT(timed), 1) != PARE_OK ||
            pare_store_outcome(s, f.variant[BAD], f.data, SAMPLES, f.predicted[r % BAD], NULL,
                               &err) != PARE_OK)
            _exit(7);
    }
}

static void report(void *user, const char *problem)
{
    struct pare_str *all = user;
    pare_str_printf(all, "%s\n", problem);
}

START_TEST(killed_while_writing)
{
    struct pare_random random;
    struct pare_store *s = fill();
    pare_store_close(s);
    pare_random_seed(&random, (uint64_t)getpid());
    for (int turn = 0; turn < 8; turn++) {
        struct pare_str found = {0};
        size_t problems;
        int fd;
        char byte;
        pid_t pid = child_of(write_for_ever, &fd);
        ck_assert_int_eq(read(fd, &byte, 1), 1);
        usleep((useconds_t)(1000 + pare_random_below(&random, 60000)));
        end_child(pid, fd);
        s = open_store(PARE_STORE_WRITE);
        ck_assert_ok(pare_store_check(s, report, &found, &problems, &err), err);
        ck_assert_msg(problems == 1 && strstr(found.data, "pare.db.d/ab12cd is missing"), "%s",
                      found.data); /* the sample's artifact never was a file */
        pare_str_free(&found);
        /* Whole rounds and whole outcomes, with their figures. */
        expect(s,
               "select count(*) from (select session, round from rounds group by 1, 2 having "
               "count(*) <> 7)",
               "0\n");
        expect(s,
               "select count(*) from (select session, count(distinct round) n from rounds group "
               "by 1) r join latencies l using(session) where l.rounds <> r.n",
               "0\n");
        expect(s,
               "select count(*) from (select count(*) n from samples group by label) where n <> "
               "1000",
               "0\n");
        pare_store_close(s);
    }
}
END_TEST

START_TEST(full_disk)
{
    struct pare_store *s = fill();
    int64_t pages;
    char sql[64];
    ck_assert_ok(pare__store_get(s, &pages, &err, "PRAGMA page_count", ""), err);
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld", (long long)pages);
    ck_assert_ok(pare__store_run(s, &err, sql, ""), err);
    float nll[SAMPLES];
    for (int k = 0; k < SAMPLES; k++)
        nll[k] = (float)k / 7;
    int rc = pare_store_outcome(s, f.variant[BAD], f.data, SAMPLES, f.predicted[BASE], nll, &err);
    ck_assert_int_eq(rc, PARE_IO);
    ck_assert(strstr(err.hint, "disk is full"));
    expect(s, "select count(*) from samples where label='drop7'", "0\n");
    ck_assert_ok(pare__store_run(s, &err, "PRAGMA max_page_count = 1000000", ""), err);
    ck_assert_ok(
        pare_store_outcome(s, f.variant[BAD], f.data, SAMPLES, f.predicted[BASE], nll, &err), err);
    expect(s, "select count(*), max(nll) from samples where label='drop7'", "1000|142.7143\n");
    pare_store_close(s);
}
END_TEST

START_TEST(commits_nest)
{
    struct pare_store *s = fill();
    ck_assert_ok(pare_store_begin(s, &err), err);
    ck_assert_ok(pare_store_tag(s, f.variant[Q8], "kept", &err), err);
    ck_assert_ok(pare_store_end(s, PARE_OK, &err), err);
    ck_assert_ok(pare_store_begin(s, &err), err);
    ck_assert_ok(pare_store_tag(s, f.variant[Q8], "gone", &err), err);
    ck_assert_int_eq(pare_store_untag(s, "never", &err), PARE_NOT_FOUND);
    ck_assert_int_eq(pare_store_end(s, PARE_OK, &err), PARE_FAILED);
    expect(s, "select tag from tag", "kept\n");
    pare_store_close(s);
}
END_TEST

START_TEST(backups)
{
    struct pare_store *s = fill(), *copy;
    char to[4300];
    snprintf(to, sizeof to, "%s/copy.db", folder);
    pare_store_close(s);
    s = open_store(PARE_STORE_READ);
    ck_assert_ok(pare_store_backup(s, to, &err), err);
    ck_assert_int_eq(pare_store_backup(s, to, &err), PARE_INVALID);
    pare_store_close(s);
    ck_assert_ok(pare_store_open(to, PARE_STORE_READ, &copy, &err), err);
    expect(copy, "select count(*) from variants", "8\n");
    pare_store_close(copy);
}
END_TEST

START_TEST(speed)
{
    enum { MANY = 8000, TIMES = 30 };
    static int32_t predicted[MANY], target[MANY];
    struct pare_store *s = fill();
    struct pare_random random;
    int64_t data;
    pare_random_seed(&random, 5);
    for (int k = 0; k < MANY; k++)
        target[k] = (int32_t)pare_random_below(&random, 10);
    double start = pare_clock_seconds();
    ck_assert_ok(pare_store_data(s, "d1", "test", MANY, target, &data, &err), err);
    for (int i = 0; i < TIMES; i++) {
        for (int k = 0; k < MANY; k++)
            predicted[k] = pare_random_below(&random, 10) ? target[k] : 0;
        struct pare_store_step step = {"quant", "quantize", f.plugins[1], "{}", NULL};
        char label[32], units[32];
        snprintf(label, sizeof label, "v%d", i);
        snprintf(units, sizeof units, "[%d]", i);
        step.units = units;
        int64_t id = add_variant(s, label, "1", &step, 1);
        ck_assert_ok(pare_store_member(s, f.pipeline, id, label, 100, false, NULL, &err), err);
        ck_assert_ok(pare_store_outcome(s, id, data, MANY, predicted, NULL, &err), err);
        if (i == 0) /* so that the others have something to be compared with */
            ck_assert_ok(pare_store_outcome(s, f.variant[BASE], data, MANY, predicted, NULL, &err),
                         err);
    }
    double wrote = pare_clock_seconds() - start;
    expect(s, "select count(*) from accuracy_pair where n = 8000", "30\n");
    start = pare_clock_seconds();
    struct answer a = {0};
    ck_assert_ok(pare_store_query(s, "select * from variants", NULL, 0, take, &a, &err), err);
    double read = pare_clock_seconds() - start;
    start = pare_clock_seconds();
    struct pare_argument label = {"label", "v7"};
    ck_assert_ok(pare_store_query(s, named("class-accuracy"), &label, 1, take, &a, &err), err);
    double classes = pare_clock_seconds() - start;
    pare_str_free(&a.text);
    printf("# 31 outcomes of 8000 samples: %.3f s; variants: %.3f s; classes: %.3f s\n", wrote,
           read, classes);
    ck_assert_msg(wrote < 10 && read < 2 && classes < 2, "far too slow");
    pare_store_close(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tc = pare_test_case(suite, "views");
    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, views_have_their_columns);
    tcase_add_test(tc, figures_of_variants);
    tcase_add_test(tc, named_queries);
    tcase_add_test(tc, data_of_each_pipeline);
    tcase_add_test(tc, tags_and_notes);
    tcase_add_test(tc, ten_questions);
    tcase_add_test(tc, rebuilt_plugins_and_later_sessions);
    tcase_add_test(tc, queries_only_read);
    tcase_add_test(tc, names_of_variants);
    tcase_add_test(tc, trials_and_fronts);
    tcase_add_test(tc, cost_grows_with_the_answer);
    tcase_add_test(tc, tries_are_counted);
    tcase_add_test(tc, metrics_of_plugins);
    tcase_add_test(tc, speed);
    tc = pare_test_case(suite, "file");
    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_add_test(tc, whose_file_it_is);
    tcase_add_test(tc, losses);
    tcase_add_test(tc, texts);
    tcase_add_test(tc, migrations);
    tcase_add_test(tc, an_older_file);
    tcase_add_test(tc, one_run_at_a_time);
    tcase_add_test(tc, killed_while_writing);
    tcase_add_test(tc, full_disk);
    tcase_add_test(tc, commits_nest);
    tcase_add_test(tc, backups);
    return pare_test_main(&suite, 1);
}
