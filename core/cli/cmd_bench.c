/* SPDX-License-Identifier: Apache-2.0 */
/* The latency of one model. */
#include "base/stat.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/show_profile.h"
#include "measure/measure.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VISITS_MIN = 6, VISITS_MAX = 200, PROFILE_RUNS = 50 };

struct job {
    struct pare_cli *cli;
    struct pare_bench *bench;
    double median[VISITS_MAX]; /* of each visit, ns */
    size_t visits, n;
    uint32_t min_ns;
    struct pare_bench_shape shape;
};

static const char *const phases[] = {
    [PARE_BENCH_WHOLE] = "whole", [PARE_BENCH_PREFILL] = "prefill", [PARE_BENCH_DECODE] = "decode"};

static int visit_all(struct job *j, struct pare_error *err)
{
    static struct pare_visit visit;
    bool terminal = isatty(STDERR_FILENO);
    int rc = PARE_OK;
    j->min_ns = UINT32_MAX;
    for (size_t i = 0; i < j->visits && rc == PARE_OK; i++) {
        if (terminal)
            fprintf(stderr, "\r%zu/%zu", i + 1, j->visits);
        rc = pare_bench_visit(j->bench, &visit, err);
        j->median[i] = visit.p50_ns;
        j->n += visit.n;
        j->min_ns = PARE_MIN(j->min_ns, visit.min_ns);
    }
    if (terminal)
        fputs("\r          \r", stderr);
    return rc;
}

/* Of a language model: what people compare. */
static bool add_rate(const struct job *j, struct pare_interval t, json_t *out)
{
    const struct pare_bench_shape *s = &j->shape;
    const double tokens = (double)s->tokens * s->batch * 1e9;
    return json_object_update_new(
               out, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f}", "phase", phases[s->phase], "tokens",
                              (json_int_t)s->tokens, "depth", (json_int_t)s->depth,
                              "tokens_per_second", tokens / t.value, "tokens_per_second_lo",
                              tokens / t.hi, "tokens_per_second_hi", tokens / t.lo)) == 0;
}

static bool print(struct job *j, const char *name, const struct pare_graph *graph, uint64_t macs)
{
    struct pare_interval t = pare_stat_median_interval(j->median, j->visits, 0.95);
    json_t *out = json_pack(
        "{s:s, s:I, s:I, s:s, s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I}", "model", name,
        "batch", (json_int_t)j->shape.batch, "threads", (json_int_t)j->shape.threads, "isa",
        pare_isa_name(pare_isa_best()), "kernel", pare_plan_main_kernel(pare_bench_plan(j->bench)),
        "latency_ms", t.value / 1e6, "latency_ms_lo", t.lo / 1e6, "latency_ms_hi", t.hi / 1e6,
        "min_ms", j->min_ns / 1e6, "visits", (json_int_t)j->visits, "inferences", (json_int_t)j->n,
        "size_bytes", (json_int_t)pare_graph_bytes(graph), "macs", (json_int_t)macs,
        "peak_rss_bytes", (json_int_t)pare_peak_rss());
    if (!out || (j->shape.phase != PARE_BENCH_WHOLE && !add_rate(j, t, out))) {
        json_decref(out);
        return false;
    }
    return pare_cli_record(out, j->cli->format);
}

/* False: said what is wrong. */
static bool take_shape(struct job *j)
{
    const char *phase = pare_cli_option(j->cli, "phase");
    long long batch, threads, tokens, depth, visits;
    const struct pare_cli_number numbers[] = {{"batch", 1, 65536, 1, &batch},
                                              {"tokens", 1, 1 << 20, 128, &tokens},
                                              {"depth", 0, 1 << 20, 0, &depth},
                                              {"visits", VISITS_MIN, VISITS_MAX, 9, &visits}};
    if (!pare_cli_numbers(j->cli, numbers, PARE_COUNT(numbers)) ||
        !pare_cli_threads(j->cli, 1, &threads))
        return false;
    j->visits = (size_t)visits;
    j->shape = (struct pare_bench_shape){.batch = (uint32_t)batch,
                                         .threads = (uint32_t)threads,
                                         .tokens = (uint32_t)tokens,
                                         .depth = (uint32_t)depth};
    if (!phase && (pare_cli_option(j->cli, "tokens") || pare_cli_option(j->cli, "depth"))) {
        pare_cli_usage(j->cli, "--tokens and --depth go with --phase");
        return false;
    }
    for (size_t i = 0; phase && i < PARE_COUNT(phases); i++) {
        if (strcmp(phases[i], phase) == 0) {
            j->shape.phase = (enum pare_bench_phase)i;
            return true;
        }
    }
    if (phase)
        pare_cli_usage(j->cli, "--phase '%s' is none of whole, prefill, decode", phase);
    return !phase;
}

static int print_layers(struct job *j, const struct pare_graph *graph, struct pare_error *err)
{
    struct pare_profile profile = {0};
    struct pare_profile *const one[] = {&profile};
    const struct pare_graph *const graphs[] = {graph};
    int rc;
    /* One token after another is a text of one. */
    const struct pare_profile_shape shape = {.batch = j->shape.batch,
                                             .tokens = j->shape.phase == PARE_BENCH_WHOLE ? 0
                                                       : j->shape.phase == PARE_BENCH_DECODE
                                                           ? 1
                                                           : j->shape.tokens,
                                             .threads = j->shape.threads,
                                             .runs = PROFILE_RUNS};
    PARE_TRY(pare_profile_run(graphs, 1, &shape, one, err));
    if (!pare_profile_print(&profile, j->cli->format, stdout))
        rc = pare_error_set(err, PARE_IO, "cannot write");
out:
    pare_profile_free(&profile);
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct job j = {.cli = cli};
    struct pare_data_spec spec = {.from = pare_cli_option(cli, "data"),
                                  .split = pare_cli_option(cli, "split"),
                                  .samples = 256,
                                  .fewer = true};
    struct pare_model *model = NULL;
    struct pare_dataset *data = NULL;
    struct pare_error err = {0};
    char *name = NULL;
    uint64_t macs;
    int exit = PARE_EXIT_OK, rc;
    if (!take_shape(&j))
        return PARE_EXIT_USAGE;
    PARE_TRY(pare_cli_model(cli, cli->args[0], &model, &name, &err));
    if (spec.from)
        PARE_TRY(pare_cli_data(&spec, model, &data, &err));
    pare_flush_denormals();
    if (pare_cli_option(cli, "layers")) {
        PARE_TRY(print_layers(&j, model->graph, &err));
        goto out;
    }
    PARE_TRY(pare_bench_new(model->graph, data, &j.shape, &j.bench, &err));
    PARE_TRY(visit_all(&j, &err));
    PARE_TRY(pare_bench_macs(model->graph, &j.shape, &macs, &err));
    if (!print(&j, name, model->graph, macs))
        exit = PARE_EXIT_FAILED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_bench_free(j.bench);
    pare_dataset_close(data);
    pare_model_free(model);
    free(name);
    return exit;
}

static const struct pare_option options[] = {
    {"batch", 'b', "N", "samples of one inference (1)"},
    {"threads", 't', "N", "threads (1)"},
    {"data", 'd', "DATA",
     "samples to run on: images, or texts cut into windows; without: random ones"},
    {"split", 0, "NAME", "which split of the folder"},
    {"visits", 0, "N", "visits of about 0.3 s, at least 6 (9)"},
    {"phase", 0, "NAME", "of a language model: prefill or decode (whole: as other models)"},
    {"tokens", 'n', "N", "phase: tokens read at once, or generated one by one (128)"},
    {"depth", 0, "N", "phase: tokens that were read before (0)"},
    {"layers", 'l', NULL, "time and kernel of every operation instead"},
};

const struct pare_command pare_command_bench = {
    .name = "bench",
    .summary = "Time one model",
    .arguments = "MODEL",
    .about = "Every visit is warmed up and then times inferences one by one; latency_ms is the "
             "median\nof the visits' medians with its 95 % order-statistic interval. macs are "
             "those of what is\ntimed, for one sample or text. To compare models use a pipeline: "
             "it visits them in turn, so\nthat they share the machine's moods.\n\n"
             "examples:\n"
             "  pare bench share/models/fashion-vit --batch 1 --threads 1\n"
             "  pare bench edge/ --format json\n"
             "  pare bench drop1+q8 --layers\n"
             "  pare bench SmolLM2-135M.gguf --phase decode --tokens 64 --depth 512 --threads 2",
    .least = 1,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
