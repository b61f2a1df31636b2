/* SPDX-License-Identifier: Apache-2.0 */
/* The accuracy of one model. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/stat.h"
#include "cli/commands.h"
#include "cli/eval_text.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "measure/measure.h"

#include <stdlib.h>

#define BATCH 32

static bool print(struct pare_cli *cli, const char *name, const struct pare_dataset *data,
                  const struct pare_outcomes *o, double seconds)
{
    struct pare_interval top1 = pare_stat_wilson(o->correct, o->n, 0.95);
    double sum = 0;
    uint32_t labelled = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        if (!isnan(o->nll[i])) {
            sum += (double)o->nll[i];
            labelled++;
        }
    }
    return pare_cli_record(
        json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:o, s:s, s:f}", "model", name, "split",
                  pare_dataset_split(data) ? pare_dataset_split(data) : "", "n", (json_int_t)o->n,
                  "correct", (json_int_t)o->correct, "top1", top1.value, "top1_lo", top1.lo,
                  "top1_hi", top1.hi, "nll", labelled ? json_real(sum / labelled) : json_null(),
                  "data", pare_dataset_hash(data), "seconds", seconds),
        cli->format);
}

static int run(struct pare_cli *cli)
{
    struct pare_data_spec spec = {.from = pare_cli_option(cli, "data"),
                                  .split = pare_cli_option(cli, "split"),
                                  .inputs = pare_cli_option(cli, "inputs"),
                                  .labels = pare_cli_option(cli, "labels")};
    struct pare_model *model = NULL;
    struct pare_dataset *data = NULL;
    struct pare_outcomes outcomes = {0};
    struct pare_error err = {0};
    long long samples, skip, threads;
    char *name = NULL;
    int exit = PARE_EXIT_OK, rc;
    if (pare_cli_option(cli, "text"))
        return pare_cli_eval_text(cli);
    if (!pare_cli_number(cli, "samples", 1, UINT32_MAX, 0, &samples) ||
        !pare_cli_number(cli, "skip", 0, UINT32_MAX, 0, &skip) ||
        !pare_cli_threads(cli, pare_cpu_count(), &threads))
        return PARE_EXIT_USAGE;
    if (!spec.from == !(spec.inputs && spec.labels))
        return pare_cli_usage(cli, "give --data FOLDER, or --inputs and --labels, or --text FILE");
    spec.samples = (uint64_t)samples;
    spec.skip = (uint64_t)skip;
    PARE_TRY(pare_cli_model(cli, cli->args[0], &model, &name, &err));
    PARE_TRY(pare_cli_data(&spec, model, &data, &err));
    if (!pare_dataset_has_labels(data)) {
        rc = pare_error_set(&err, PARE_INVALID, "the data has no labels");
        pare_error_hint(&err, "accuracy needs them; `pare predict` does not");
        goto out;
    }
    struct pare_cli_progress progress = {.all = pare_dataset_size(data), .unit = ""};
    pare_flush_denormals();
    pare_cli_watch_interrupt();
    double start = pare_clock_seconds();
    rc = pare_evaluate(model->graph, data, BATCH, (uint32_t)threads, pare_cli_progress, &progress,
                       &outcomes, &err);
    pare_cli_progress_end();
    if (rc == PARE_OK && !print(cli, name, data, &outcomes, pare_clock_seconds() - start))
        exit = PARE_EXIT_FAILED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_outcomes_free(&outcomes);
    pare_dataset_close(data);
    pare_model_free(model);
    free(name);
    return exit;
}

static const struct pare_option options[] = {
    {"data", 'd', "FOLDER", "samples: IDX files, or a folder of images per class"},
    {"split", 0, "NAME", "which split of the folder"},
    {"inputs", 0, "FILE", "samples as .npy, with --labels, instead of --data"},
    {"labels", 0, "FILE", "their labels as .npy"},
    {"text", 0, "FILE", "plain text: the perplexity of a language model"},
    {"window", 'w', "N", "text: tokens that are read together (512)"},
    {"stride", 0, "N", "text: tokens from one window to the next (the window)"},
    {"method", 0, "NAME", "text: how windows count, as hf (default) or llama.cpp have it"},
    {"baseline", 0, "MODEL", "text: also the divergence from this model"},
    {"samples", 'n', "N", "the first N samples, or windows, only"},
    {"skip", 0, "N", "leave N out at the front"},
    {"threads", 't', "N", "threads (one per CPU); the result does not depend on them"},
};

const struct pare_command pare_command_eval = {
    .name = "eval",
    .summary = "Measure the accuracy of one model",
    .arguments = "MODEL --data FOLDER [--split NAME] | MODEL --text FILE",
    .about = "MODEL is a folder, a .safetensors file that Pare wrote, or a variant by name. top1 "
             "comes\nwith its 95 % interval (Wilson); nll is the mean negative log likelihood in "
             "nats.\n\n"
             "With --text: the perplexity of the text, cut into windows, with its standard error;\n"
             "n is the number of tokens that count. hf: every token that no earlier window had; "
             "llama.cpp:\nthe second half of every window. With --baseline: mean and percentiles "
             "of the\nKullback-Leibler divergence per token, and how often both find the same "
             "token likeliest.\n\n"
             "examples:\n"
             "  pare eval share/models/fashion-vit --data share/data/fashion-mnist --split test\n"
             "  pare eval edge/ --data ./plants --split val --format json\n"
             "  pare eval SmolLM2-135M.gguf --text book.txt --window 512 --stride 512",
    .least = 1,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
