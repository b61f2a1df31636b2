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
    long long batch, threads;
};

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

static bool print(struct job *j, const char *name, const struct pare_graph *graph)
{
    struct pare_interval t = pare_stat_median_interval(j->median, j->visits, 0.95);
    return pare_cli_record(
        json_pack("{s:s, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "model", name,
                  "batch", (json_int_t)j->batch, "threads", (json_int_t)j->threads, "isa",
                  pare_isa_name(pare_isa_best()), "latency_ms", t.value / 1e6, "latency_ms_lo",
                  t.lo / 1e6, "latency_ms_hi", t.hi / 1e6, "min_ms", j->min_ns / 1e6, "visits",
                  (json_int_t)j->visits, "inferences", (json_int_t)j->n, "size_bytes",
                  (json_int_t)pare_graph_bytes(graph), "macs", (json_int_t)pare_graph_macs(graph)),
        j->cli->format);
}

static int print_layers(struct job *j, const struct pare_graph *graph, struct pare_error *err)
{
    struct pare_profile profile = {0};
    struct pare_profile *const one[] = {&profile};
    const struct pare_graph *const graphs[] = {graph};
    int rc;
    PARE_TRY(pare_profile_run(graphs, 1, (uint32_t)j->batch, (uint32_t)j->threads, PROFILE_RUNS,
                              one, err));
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
    long long visits;
    char *name = NULL;
    int exit = PARE_EXIT_OK, rc;
    if (!pare_cli_number(cli, "batch", 1, 65536, 1, &j.batch) ||
        !pare_cli_threads(cli, 1, &j.threads) ||
        !pare_cli_number(cli, "visits", VISITS_MIN, VISITS_MAX, 9, &visits))
        return PARE_EXIT_USAGE;
    j.visits = (size_t)visits;
    PARE_TRY(pare_cli_model(cli, cli->args[0], &model, &name, &err));
    if (spec.from)
        PARE_TRY(pare_cli_data(&spec, model, &data, &err));
    pare_flush_denormals();
    if (pare_cli_option(cli, "layers")) {
        PARE_TRY(print_layers(&j, model->graph, &err));
        goto out;
    }
    PARE_TRY(
        pare_bench_new(model->graph, data, (uint32_t)j.batch, (uint32_t)j.threads, &j.bench, &err));
    PARE_TRY(visit_all(&j, &err));
    if (!print(&j, name, model->graph))
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
    {"data", 'd', "FOLDER", "samples to run on; without: random numbers"},
    {"split", 0, "NAME", "which split of the folder"},
    {"visits", 0, "N", "visits of about 0.3 s, at least 6 (9)"},
    {"layers", 'l', NULL, "time and kernel of every operation instead"},
};

const struct pare_command pare_command_bench = {
    .name = "bench",
    .summary = "Time one model",
    .arguments = "MODEL",
    .about = "Every visit is warmed up and then times inferences one by one; latency_ms is the "
             "median\nof the visits' medians with its 95 % order-statistic interval. To compare "
             "models use a\npipeline: it visits them in turn, so that they share the machine's "
             "moods.\n\n"
             "examples:\n"
             "  pare bench share/models/fashion-vit --batch 1 --threads 1\n"
             "  pare bench edge/ --format json\n"
             "  pare bench drop1+q8 --layers",
    .least = 1,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
