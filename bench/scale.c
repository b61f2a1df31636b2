/* SPDX-License-Identifier: Apache-2.0 */
/* What a database of many variants costs: planning aside, the time to store results, to choose a
 * front, and to read the views, for growing numbers of variants. Times mean something only as a
 * curve within one run. Usage: bench/scale [--keep FOLDER] [VARIANTS]...
 * With --keep the databases stay in FOLDER, and one that is there already is only read. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "base/stat.h"
#include "base/str.h"
#include "cli/front_view.h"
#include "db/store.h"
#include "pipeline/choose.h"

enum { SAMPLES = 200, CLASSES = 10, ROUNDS = 6, VISITS = 5, PER_SESSION = 250, PER_COMMIT = 250 };

static struct pare_error err;

static void need(int rc)
{
    if (rc == PARE_OK)
        return;
    fprintf(stderr, "scale: %s: %s\n", err.what, err.detail);
    exit(1);
}

/* What a variant is truly like: the more is taken away, the smaller, the faster and the worse. */
struct truth {
    double loss, speed, bytes;
};
/* A search tries much that is of no use: next to a good choice of the same strength most lose half
 * of the samples or more, are slower and larger. */
static struct truth truth_of(struct pare_random *r, size_t i)
{
    if (i == 0)
        return (struct truth){0, 1, 3e6};
    double strength = pare_random_unit(r), waste = cbrt(pare_random_unit(r));
    return (struct truth){
        .loss = fmin(0.1 * strength * strength + 0.85 * waste, 0.83),
        .speed = (1 + 2 * strength) / (1 + waste),
        .bytes = 3e6 * (1 - 0.8 * strength) * (1 + waste),
    };
}

struct filler {
    struct pare_store *store;
    struct pare_random random;
    size_t n;
    int64_t *ids, host, data, pipeline, plugin;
    struct truth *truth;
    int32_t target[SAMPLES];
    double hard[SAMPLES]; /* how hard each sample is, 0 to 1: variants fail on much the same ones */
};

static void add_plan(struct filler *f)
{
    static const struct pare_store_objective objectives[] = {
        {"top1", 1, 0.002, false}, {"latency_ms", -1, 0.01, true}, {"size_bytes", -1, 0, false}};
    static const char *const constraints[] = {"top1 >= baseline - 0.2"};
    static const struct pare_store_shape shape = {"edge", "{\"batch\":1,\"threads\":1}"};
    struct pare_store_host host = {.cpu = "scale", .cores = 1};
    for (size_t k = 0; k < SAMPLES; k++)
        f->target[k] = (int32_t)(k % CLASSES);
    for (size_t k = 0; k < SAMPLES; k++)
        f->hard[k] = ((double)(k * 37 % SAMPLES) + 0.5) / SAMPLES;
    need(pare_store_begin(f->store, &err));
    need(pare_store_host(f->store, &host, &f->host, &err));
    need(pare_store_data(f->store, "d0", "test", SAMPLES, f->target, &f->data, &err));
    need(pare_store_plugin(f->store, "quantize", "1.0.0", "sha", NULL, &f->plugin, &err));
    struct pare_store_pipeline p = {.name = "scale",
                                    .path = "scale.yaml",
                                    .source = "",
                                    .seed = 1,
                                    .data_id = f->data,
                                    .objectives = objectives,
                                    .n_objectives = 3,
                                    .constraints = constraints,
                                    .n_constraints = 1,
                                    .shapes = &shape,
                                    .n_shapes = 1};
    need(pare_store_pipeline(f->store, &p, &f->pipeline, &err));
    for (size_t i = 0; i < f->n; i++) {
        char label[32], hash[PARE_HASH_HEX], recipe[PARE_HASH_HEX], params[32];
        snprintf(label, sizeof label, i ? "v%zu" : "baseline", i);
        pare_hash_bytes(label, strlen(label), hash);
        memcpy(recipe, hash, sizeof recipe);
        snprintf(params, sizeof params, "{\"bits\":%zu}", i % 7 + 2);
        struct pare_store_step step = {"quant", "quantize", f->plugin, params, NULL};
        struct pare_store_variant v = {hash, recipe, "m", label, NULL, &step, i ? 1 : 0};
        need(pare_store_variant(f->store, &v, &f->ids[i], &err));
        need(pare_store_member(f->store, f->pipeline, f->ids[i], label, i, i == 0, NULL, &err));
    }
    need(pare_store_refresh(f->store, &err));
    need(pare_store_end(f->store, PARE_OK, &err));
}

static void attempt(struct filler *f, size_t i, enum pare_phase phase)
{
    int64_t id;
    struct pare_store_end end = {.state = "ok",
                                 .signal = PARE_NONE,
                                 .exit_code = 0,
                                 .cpu_seconds = 1,
                                 .peak_rss_bytes = 1 << 20};
    need(pare_store_attempt_begin(f->store, f->ids[i], phase,
                                  phase == PARE_PHASE_EVAL ? f->data : 0, f->host, "avx2", &id,
                                  &err));
    need(pare_store_attempt_finish(f->store, id, &end, &err));
}

static void measure(struct filler *f, size_t i, const char *metric, const char *unit,
                    struct pare_interval x, int64_t n, int64_t data)
{
    struct pare_store_measurement m = {.metric = metric,
                                       .unit = unit,
                                       .how = data ? "wilson" : "counted",
                                       .value = x.value,
                                       .lo = x.lo,
                                       .hi = x.hi,
                                       .n = n,
                                       .data_id = data};
    need(pare_store_measure(f->store, f->ids[i], 0, &m, &err));
}

/* Variants from..to: built and evaluated. */
static void add_results(struct filler *f, size_t from, size_t to)
{
    int32_t predicted[SAMPLES];
    need(pare_store_begin(f->store, &err));
    for (size_t i = from; i < to; i++) {
        const struct truth *t = &f->truth[i];
        size_t right = 0;
        for (size_t k = 0; k < SAMPLES; k++) {
            double luck = 0.1 * (pare_random_unit(&f->random) - 0.5);
            bool ok = f->hard[k] + luck >= 0.07 + t->loss;
            predicted[k] = ok ? f->target[k] : (f->target[k] + 1) % CLASSES;
            right += ok;
        }
        attempt(f, i, PARE_PHASE_BUILD);
        attempt(f, i, PARE_PHASE_EVAL);
        struct pare_interval bytes = {t->bytes, (double)NAN, (double)NAN};
        measure(f, i, "size_bytes", "B", bytes, PARE_NONE, 0);
        measure(f, i, "macs", "MAC", bytes, PARE_NONE, 0);
        measure(f, i, "top1", "fraction", pare_stat_wilson(right, SAMPLES, 0.95), SAMPLES, f->data);
        need(pare_store_outcome(f->store, f->ids[i], f->data, SAMPLES, predicted, NULL, &err));
    }
    need(pare_store_end(f->store, PARE_OK, &err));
}

/* A session of the baseline and variants from..to. */
static void add_session(struct filler *f, size_t from, size_t to)
{
    struct pare_store_visit visits[PER_SESSION + 1] = {0};
    static uint32_t ns[PER_SESSION + 1][VISITS];
    struct pare_store_session s = {f->pipeline, f->host, 1,   "edge", "{\"batch\":1,\"threads\":1}",
                                   "program",   "avx2",  NULL};
    int64_t id;
    need(pare_store_begin(f->store, &err));
    need(pare_store_session_begin(f->store, &s, &id, &err));
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t k = 0; k <= to - from; k++) {
            const size_t i = k ? from + k - 1 : 0;
            for (size_t v = 0; v < VISITS; v++)
                ns[k][v] = (uint32_t)(1e6 / f->truth[i].speed *
                                      (1 + 0.02 * fabs(pare_random_normal(&f->random))));
            visits[k] = (struct pare_store_visit){
                .variant_id = f->ids[i], .slot = k, .ns = ns[k], .n = VISITS, .mhz = 3000};
        }
        need(pare_store_round(f->store, id, round, visits, to - from + 1, &err));
    }
    need(pare_store_session_end(f->store, id, &err));
    need(pare_store_end(f->store, PARE_OK, &err));
}

static int count_row(void *user, const struct pare_row *row, struct pare_error *e)
{
    (void)e;
    *(size_t *)user += row->values != NULL;
    return PARE_OK;
}

static double seconds_since(uint64_t start)
{
    return (double)(pare_clock_ns() - start) / 1e9;
}

static double query(struct pare_store *store, const char *sql)
{
    size_t rows = 0;
    uint64_t start = pare_clock_ns();
    need(pare_store_query(store, sql, NULL, 0, count_row, &rows, &err));
    return seconds_since(start);
}

/* Fill a database of n variants; tells how long planning, results and timing took. */
static void fill(const char *path, size_t n)
{
    struct filler f = {.n = n};
    f.ids = pare_calloc(n, sizeof *f.ids);
    f.truth = pare_calloc(n, sizeof *f.truth);
    if (!f.ids || !f.truth)
        need(pare_error_nomem(&err, n));
    pare_random_seed(&f.random, n);
    for (size_t i = 0; i < n; i++)
        f.truth[i] = truth_of(&f.random, i);
    need(pare_store_open(path, PARE_STORE_WRITE, &f.store, &err));
    uint64_t start = pare_clock_ns();
    add_plan(&f);
    double planned = seconds_since(start);
    start = pare_clock_ns();
    for (size_t i = 0; i < n; i += PER_COMMIT)
        add_results(&f, i, PARE_MIN(i + PER_COMMIT, n));
    double results = seconds_since(start);
    start = pare_clock_ns();
    for (size_t i = 1; i < n; i += PER_SESSION)
        add_session(&f, i, PARE_MIN(i + PER_SESSION, n));
    double timed = seconds_since(start);
    struct pare_choice choice;
    struct pare_choice_query any = {0};
    need(pare_choice_make(f.store, &any, &choice, &err));
    start = pare_clock_ns();
    need(pare_choice_store(f.store, &choice, NULL, &err));
    double kept = seconds_since(start);
    pare_choice_free(&choice);
    pare_store_close(f.store);
    printf("%8zu  stored: plan %.3f s, %.3f ms a result, %.3f ms a timing, front %.3f s\n", n,
           planned, 1e3 * results / (double)n, 1e3 * timed / (double)n, kept);
    fflush(stdout);
    free(f.ids);
    free(f.truth);
}

static const struct {
    const char *name, *sql;
} queries[] = {
    {"one variant", "SELECT * FROM variants WHERE label = 'v7'"},
    {"top 20", "SELECT * FROM variants ORDER BY speedup DESC LIMIT 20"},
    {"all rows", "SELECT * FROM variants"},
    {"front view", "SELECT * FROM front WHERE status IN ('sure', 'front', 'maybe')"},
    {"failures", "SELECT * FROM failures"},
    {"pending", "SELECT * FROM pending"},
    {"stage effects, one", "SELECT * FROM stage_effects WHERE label = 'v7'"},
    {"stage effects", "SELECT * FROM stage_effects"},
};

static void measure_reading(const char *path, size_t n)
{
    struct pare_store *store;
    struct pare_choice choice;
    struct pare_choice_query all = {0};
    size_t shown = 0, drawn = 0;
    need(pare_store_open(path, PARE_STORE_READ, &store, &err));
    uint64_t start = pare_clock_ns();
    need(pare_choice_make(store, &all, &choice, &err));
    double front = seconds_since(start);
    for (size_t i = 0; i < choice.front.n; i++) {
        drawn += !choice.front.items[i].beaten;
        shown += choice.front.items[i].status <= PARE_FRONT_MAYBE;
    }
    printf("%8zu  front %.3f s: %zu reach the bootstrap, %zu are shown\n", n, front, drawn, shown);
    pare_choice_free(&choice);
    struct pare_front_view view;
    start = pare_clock_ns();
    need(pare_front_view_load(store, &all, false, &view, &err));
    front = seconds_since(start);
    printf("%8zu  %-20s %8.4f s\n", n, view.kept.n ? "front, kept" : "front, made again", front);
    pare_front_view_free(&view);
    for (size_t q = 0; q < PARE_COUNT(queries); q++)
        printf("%8zu  %-20s %8.4f s\n", n, queries[q].name, query(store, queries[q].sql));
    fflush(stdout);
    pare_store_close(store);
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"1000", "3000", "10000", "30000", "100000"};
    const char *const *sizes = usual;
    const char *keep = argc > 2 && strcmp(argv[1], "--keep") == 0 ? argv[2] : NULL;
    int first = keep ? 3 : 1;
    size_t n = PARE_COUNT(usual);
    char folder[] = "/tmp/pare-scale-XXXXXX";
    if (argc > first) {
        sizes = (const char *const *)argv + first;
        n = (size_t)(argc - first);
    }
    if (!keep && !mkdtemp(folder))
        return 1;
    for (size_t i = 0; i < n; i++) {
        char name[64];
        size_t variants = (size_t)strtoull(sizes[i], NULL, 10);
        snprintf(name, sizeof name, "scale-%zu.db", variants);
        char *path = pare_path_join(keep ? keep : folder, name);
        if (!path || variants < 2)
            return 1;
        if (!keep || !pare_file_exists(path))
            fill(path, variants);
        measure_reading(path, variants);
        free(path);
    }
    if (!keep)
        pare_remove_tree(folder, NULL);
    return 0;
}
