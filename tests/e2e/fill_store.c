/* SPDX-License-Identifier: Apache-2.0 */
/* Fill a database with a small, always equal set of figures, so that the commands that read can be
 * tested without running a pipeline. With a model, two variants are built for real: one with a
 * branch dropped, one with int8 weights besides. Usage:
 * fill_store [--two-shapes] [--two-pipelines] [--untimed] DATABASE [PIPELINE MODEL] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/stat.h"
#include "base/str.h"
#include "db/store.h"
#include "model/model.h"
#include "pipeline/choose.h"

enum { SAMPLES = 2000, CONFIRM = 500, CLASSES = 4, ROUNDS = 12, VISITS = 9 };

/* What each variant is like. `lost`: samples that the baseline gets right and it does not. */
static const struct sample_variant {
    const char *label, *steps; /* "drop 1, quant 8" */
    double bytes, macs, speed;
    int lost;
    const char *skipped, *failed;
} variants[] = {
    {"baseline", "", 3000000, 40e6, 1.0, 0, NULL, NULL},
    {"q8", "quant 8", 800000, 40e6, 1.6, 2, NULL, NULL},
    {"q4", "quant 4", 450000, 40e6, 0.8, 90, NULL, NULL},
    {"p2:4", "prune 2:4", 1700000, 20e6, 0.9, 12, NULL, NULL},
    {"drop1", "drop 1", 2650000, 35e6, 1.13, 5, NULL, NULL},
    {"drop1+q8", "drop 1, quant 8", 700000, 35e6, 1.8, 6, NULL, NULL},
    {"drop2+q8", "drop 2, quant 8", 610000, 30e6, 2.05, 19, NULL, NULL},
    {"drop7", "drop 7", 0, 0, 0, 0, NULL, "layer-drop crashed"},
    {"drop8", "drop 8", 0, 0, 0, 0, "a ViT of 8 layers cannot lose 8", NULL},
};
#define N PARE_COUNT(variants)

static const struct pare_store_shape shapes[] = {{"edge", "{\"batch\":1,\"threads\":1}"},
                                                 {"server", "{\"batch\":8,\"threads\":2}"}};
static size_t n_shapes = 1;
static struct pare_error err;
static int64_t ids[N], host, data, held_back, pipeline, plugins[3];
static int32_t target[SAMPLES], predicted[SAMPLES];

static void need(int rc)
{
    if (rc == PARE_OK)
        return;
    fprintf(stderr, "fill_store: %s: %s\n", err.what, err.detail);
    exit(1);
}

static void key(const char *kind, const char *text, char hex[PARE_HASH_HEX])
{
    char all[256];
    snprintf(all, sizeof all, "%s/%s", kind, text);
    pare_hash_bytes(all, strlen(all), hex);
}

static void add_variant(struct pare_store *s, size_t i, const char *model)
{
    static const char *const ids_of[] = {"drop", "prune", "quant"};
    static const char *const names[] = {"layer-drop", "prune", "quantize"};
    char hash[PARE_HASH_HEX], recipe[PARE_HASH_HEX], params[2][64];
    struct pare_store_step steps[2];
    size_t n = 0;
    for (size_t k = 0; k < PARE_COUNT(ids_of); k++) {
        const char *at = strstr(variants[i].steps, ids_of[k]);
        if (!at)
            continue;
        const char *value = strchr(at, ' ') + 1;
        int len = (int)strcspn(value, ",");
        snprintf(params[n], sizeof params[n],
                 k == 0   ? "{\"count\":%.*s}"
                 : k == 1 ? "{\"pattern\":\"%.*s\"}"
                          : "{\"bits\":%.*s}",
                 len, value);
        steps[n] = (struct pare_store_step){ids_of[k], names[k], plugins[k], params[n], NULL};
        n++;
    }
    key("build", variants[i].label, hash);
    key("recipe", variants[i].label, recipe);
    struct pare_store_variant v = {hash, recipe, model, variants[i].label, NULL, steps, n};
    need(pare_store_variant(s, &v, &ids[i], &err));
    need(pare_store_member(s, pipeline, ids[i], variants[i].label, i, i == 0, variants[i].skipped,
                           &err));
}

static void add_plan(struct pare_store *s, const char *path, const char *source, const char *model)
{
    static const struct pare_store_objective objectives[] = {
        {"top1", 1, 0.002, false}, {"latency_ms", -1, 0.01, true}, {"size_bytes", -1, 0, false}};
    static const char *const constraints[] = {"top1 >= baseline - 0.01"};
    static const char *const names[] = {"layer-drop", "prune", "quantize"};
    struct pare_store_host h = {.name = "nuc", .cpu = "test", .cores = 2};
    need(pare_store_host(s, &h, &host, &err));
    need(pare_store_data(s, "d0", "test[0:2000]", SAMPLES, target, &data, &err));
    need(pare_store_data(s, "d1", "test[2000:2500]", CONFIRM, target, &held_back, &err));
    for (size_t k = 0; k < PARE_COUNT(names); k++)
        need(pare_store_plugin(s, names[k], "1.0.0", names[k], NULL, &plugins[k], &err));
    struct pare_store_pipeline p = {.name = "tiny",
                                    .path = path,
                                    .source = source,
                                    .seed = 1,
                                    .data_id = data,
                                    .confirm_id = held_back,
                                    .objectives = objectives,
                                    .n_objectives = PARE_COUNT(objectives),
                                    .constraints = constraints,
                                    .n_constraints = PARE_COUNT(constraints),
                                    .shapes = shapes,
                                    .n_shapes = n_shapes};
    need(pare_store_pipeline(s, &p, &pipeline, &err));
    for (size_t i = 0; i < N; i++)
        add_variant(s, i, model);
    need(pare_store_refresh(s, &err));
}

static void attempt(struct pare_store *s, size_t i, enum pare_phase phase, const char *reason)
{
    int64_t id;
    struct pare_store_end end = {.state = reason ? "failed" : "ok",
                                 .signal = reason ? SIGSEGV : PARE_NONE,
                                 .exit_code = PARE_NONE,
                                 .cpu_seconds = 1.5,
                                 .peak_rss_bytes = 1 << 20};
    if (reason) {
        end.cause = "crash";
        end.reason = reason;
        end.stage = "drop";
        end.plugin = "layer-drop";
        end.log = "dropping layer 7\n";
    }
    need(pare_store_attempt_begin(s, ids[i], phase, phase == PARE_PHASE_EVAL ? data : 0, host,
                                  "avx2", &id, &err));
    need(pare_store_attempt_finish(s, id, &end, &err));
}

static void measure(struct pare_store *s, size_t i, const char *metric, const char *unit,
                    struct pare_interval value, int64_t n, int64_t on)
{
    struct pare_store_measurement m = {.metric = metric,
                                       .unit = unit,
                                       .how = on ? "wilson" : "counted",
                                       .value = value.value,
                                       .lo = value.lo,
                                       .hi = value.hi,
                                       .n = n,
                                       .data_id = on};
    need(pare_store_measure(s, ids[i], 0, &m, &err));
}

/* The first `lost` of the samples that the baseline gets right are spread over the set. */
static size_t predict(size_t i, size_t n)
{
    size_t right = 0;
    for (size_t k = 0; k < n; k++) {
        bool wrong = k % 10 == 9 || (int)(k * 7919 % n) < variants[i].lost;
        predicted[k] = wrong ? (target[k] + 1) % CLASSES : target[k];
        right += !wrong;
    }
    return right;
}

static void add_results(struct pare_store *s)
{
    for (size_t i = 0; i < N; i++) {
        if (variants[i].skipped)
            continue;
        if (i)
            attempt(s, i, PARE_PHASE_BUILD, variants[i].failed);
        if (variants[i].failed)
            continue;
        attempt(s, i, PARE_PHASE_EVAL, NULL);
        size_t right = predict(i, SAMPLES);
        need(pare_store_outcome(s, ids[i], data, SAMPLES, predicted, NULL, &err));
        measure(s, i, "top1", "fraction", pare_stat_wilson(right, SAMPLES, 0.95), SAMPLES, data);
        double none = (double)NAN;
        measure(s, i, "size_bytes", "bytes", (struct pare_interval){variants[i].bytes, none, none},
                PARE_NONE, 0);
        measure(s, i, "macs", "count", (struct pare_interval){variants[i].macs, none, none},
                PARE_NONE, 0);
        if (i == 0 || strcmp(variants[i].label, "drop1+q8") == 0)
            measure(s, i, "top1", "fraction", pare_stat_wilson(i ? 448 : 450, CONFIRM, 0.95),
                    CONFIRM, held_back);
    }
}

/* Another pipeline, of two of the variants, compared on what "tiny" holds back; it holds nothing
 * back itself and times nothing. */
static void add_other(struct pare_store *s)
{
    static const struct pare_store_objective objectives[] = {{"top1", 1, 0.002, false},
                                                             {"size_bytes", -1, 0, false}};
    const struct pare_store_pipeline p = {.name = "other",
                                          .path = "other.yaml",
                                          .source = "pare: 1\nname: other\nmodel: model\n",
                                          .seed = 1,
                                          .data_id = held_back,
                                          .objectives = objectives,
                                          .n_objectives = PARE_COUNT(objectives)};
    int64_t id;
    need(pare_store_pipeline(s, &p, &id, &err));
    for (size_t i = 0; i < 2; i++) {
        need(pare_store_member(s, id, ids[i], variants[i].label, i, i == 0, NULL, &err));
        size_t right = predict(i, CONFIRM);
        need(pare_store_outcome(s, ids[i], held_back, CONFIRM, predicted, NULL, &err));
        measure(s, i, "top1", "fraction", pare_stat_wilson(right, CONFIRM, 0.95), CONFIRM,
                held_back);
    }
    need(pare_store_refresh(s, &err));
}

/* On the server q8 is the fastest: the shapes differ in whom they favour. */
static void add_session(struct pare_store *s, size_t shape)
{
    struct pare_store_session session = {.pipeline_id = pipeline,
                                         .host_id = host,
                                         .seed = 7,
                                         .shape = shapes[shape].name,
                                         .definition = shapes[shape].definition,
                                         .program = "test",
                                         .isa = "avx2"};
    int64_t id;
    need(pare_store_session_begin(s, &session, &id, &err));
    for (size_t r = 0; r < ROUNDS; r++) {
        struct pare_store_visit visits[N];
        uint32_t ns[N][VISITS];
        size_t n = 0;
        for (size_t i = 0; i < N; i++) {
            if (variants[i].speed == 0)
                continue;
            double speed = variants[i].speed;
            if (shape == 1)
                speed = strcmp(variants[i].label, "q8") == 0 ? 3 : speed / 4;
            for (size_t k = 0; k < VISITS; k++)
                ns[n][k] = (uint32_t)(1e6 / speed * (1 + 0.002 * (double)((r * 5 + i * 3) % 7)) +
                                      100.0 * (double)k);
            visits[n] = (struct pare_store_visit){.variant_id = ids[i],
                                                  .slot = n,
                                                  .ns = ns[n],
                                                  .n = VISITS,
                                                  .steal_ticks = PARE_NONE,
                                                  .load1 = 0.5,
                                                  .mhz = (double)NAN};
            n++;
        }
        need(pare_store_round(s, id, r, visits, n, &err));
    }
    need(pare_store_session_end(s, id, &err));
}

/* int8 with a power of two as each row's scale, which half precision holds exactly. */
static void quantize(struct pare_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct pare_node *node = &graph->nodes[i];
        if (node->op != PARE_OP_LINEAR)
            continue;
        uint32_t rows = node->weight->rows, cols = node->weight->cols;
        float *values = pare_alloc((size_t)rows * cols, sizeof *values);
        int16_t *codes = pare_alloc((size_t)rows * cols, sizeof *codes);
        float *scales = pare_alloc(rows, sizeof *scales);
        struct pare_weight *coded;
        pare_weight_decode(node->weight, 0, rows, values);
        for (uint32_t r = 0; r < rows; r++) {
            float most = 0;
            for (uint32_t c = 0; c < cols; c++)
                most = fmaxf(most, fabsf(values[(size_t)r * cols + c]));
            scales[r] = exp2f(ceilf(log2f(fmaxf(most, 1e-4f) / 127)));
            for (uint32_t c = 0; c < cols; c++)
                codes[(size_t)r * cols + c] =
                    (int16_t)lrintf(values[(size_t)r * cols + c] / scales[r]);
        }
        const struct pare_integers integers = {.struct_size = sizeof integers,
                                               .bits = 8,
                                               .zero_kind = PARE_ZERO_NONE,
                                               .codes = codes,
                                               .scales = scales};
        need(pare_weight_with_integers(node->weight, &integers, &coded, &err));
        pare_weight_unref(node->weight);
        node->weight = coded;
        free(values);
        free(codes);
        free(scales);
    }
}

static void add_artifact(struct pare_store *s, const char *database, const struct pare_model *model,
                         const char *label, bool coded)
{
    struct pare_graph *graph;
    struct pare_model *built;
    char hash[PARE_HASH_HEX], *folder, *file, *name = NULL;
    size_t i = 0, size;
    struct pare_str path = {0};
    while (strcmp(variants[i].label, label) != 0)
        i++;
    need(pare_graph_copy(model->graph, &graph, &err));
    need(pare_graph_drop_branch(graph, "layer.1.ffn", NULL, NULL, &err));
    if (coded)
        quantize(graph);
    need(pare_graph_infer(graph, &err));
    need(pare_model_with_graph(model, graph, &built, &err));
    pare_str_printf(&path, "%s.d/%s.safetensors", database, coded ? "b" : "a");
    folder = pare_path_folder(path.data);
    need(pare_make_folders(folder, &err));
    need(pare_model_write(built, path.data, NULL, &err));
    need(pare_hash_file(path.data, hash, &err));
    need(pare_file_read(path.data, (size_t)1 << 30, &file, &size, &err));
    name = strrchr(folder, '/');
    struct pare_str relative = {0};
    pare_str_printf(&relative, "%s/%s", name ? name + 1 : folder, pare_path_name(path.data));
    need(pare_store_artifact(s, ids[i], hash, relative.data, (int64_t)size, "safetensors", &err));
    pare_str_free(&relative);
    pare_str_free(&path);
    free(file);
    free(folder);
    pare_model_free(built);
}

static void add_front(struct pare_store *s)
{
    const struct pare_choice_query query = {.pipeline = "tiny"};
    struct pare_choice choice;
    need(pare_choice_make(s, &query, &choice, &err));
    need(pare_choice_store(s, &choice, NULL, &err));
    pare_choice_free(&choice);
}

/* Write what may be a figure for all the store knows. */
static int touch(const char *path)
{
    struct pare_store *s;
    const struct pare_store_host same = {.name = "nuc"};
    int64_t id;
    need(pare_store_open(path, PARE_STORE_WRITE, &s, &err));
    need(pare_store_host(s, &same, &id, &err));
    pare_store_close(s);
    return 0;
}

int main(int argc, char **argv)
{
    struct pare_store *s;
    struct pare_str source = {0};
    char model[PARE_HASH_HEX];
    struct pare_model *untouched = NULL;
    const char *hash;
    bool other = false, timed = true;
    if (argc == 3 && strcmp(argv[1], "--touch") == 0)
        return touch(argv[2]);
    for (; argc > 1 && argv[1][0] == '-'; argv++, argc--) {
        n_shapes = strcmp(argv[1], "--two-shapes") == 0 ? 2 : n_shapes;
        other = other || strcmp(argv[1], "--two-pipelines") == 0;
        timed = timed && strcmp(argv[1], "--untimed") != 0;
    }
    if (argc != 2 && argc != 4) {
        fputs("usage: fill_store [--two-shapes] [--two-pipelines] [--untimed] DATABASE [PIPELINE "
              "MODEL]\n       fill_store --touch DATABASE\n",
              stderr);
        return 2;
    }
    for (size_t k = 0; k < SAMPLES; k++)
        target[k] = (int32_t)(k % CLASSES);
    key("model", "tiny", model);
    if (argc == 4) {
        need(pare_model_open(argv[3], &untouched, &err));
        need(pare_model_hash(untouched, &hash, &err));
        memcpy(model, hash, sizeof model);
    }
    pare_str_printf(&source, "pare: 1\nname: tiny\nmodel: %s\n", argc == 4 ? argv[3] : "model");
    need(pare_store_open(argv[1], PARE_STORE_WRITE, &s, &err));
    need(pare_store_begin(s, &err));
    add_plan(s, argc == 4 ? argv[2] : "tiny.yaml", source.data, model);
    add_results(s);
    for (size_t shape = 0; timed && shape < n_shapes; shape++)
        add_session(s, shape);
    if (other)
        add_other(s);
    struct pare_store_unit_value units[2] = {{"quant", "layer.0.attn.query", "attention.query",
                                              "bits", NULL, 8, 0.25, 36864, 9216, 460800, 460800},
                                             {"quant", "layer.1.attn.query", "attention.query",
                                              "bits", NULL, 8, (double)NAN, 36864, 9216, 460800,
                                              460800}};
    need(pare_store_unit_values(s, ids[1], units, 2, &err));
    need(pare_store_end(s, PARE_OK, &err));
    add_front(s);
    if (untouched) {
        add_artifact(s, argv[1], untouched, "drop1", false);
        add_artifact(s, argv[1], untouched, "drop1+q8", true);
    }
    pare_model_free(untouched);
    need(pare_store_tag(s, ids[5], "good", &err));
    need(pare_store_note(s, ids[5], "the one to ship", &err));
    pare_str_free(&source);
    pare_store_close(s);
    return 0;
}
