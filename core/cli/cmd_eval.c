/* SPDX-License-Identifier: Apache-2.0 */
/* How good one model is. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/stat.h"
#include "cli/commands.h"
#include "cli/eval_text.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "measure/measure.h"
#include "measure/records.h"
#include "measure/spearman.h"

#include <stdlib.h>

#define BATCH 32

/* A share of the samples with Wilson's interval, as NAME, NAME_lo, NAME_hi. */
static bool add_share(json_t *out, const char *name, uint32_t k, uint32_t n)
{
    const struct pare_interval x = pare_stat_wilson(k, n, 0.95);
    return pare_cli_add_interval(out, name, x);
}

static bool add_classes(json_t *out, const struct pare_outcomes *o, struct pare_error *err)
{
    double sum = 0;
    uint32_t labelled = 0;
    (void)err;
    for (uint32_t i = 0; i < o->n; i++) {
        if (!isnan(o->nll[i])) {
            sum += (double)o->nll[i];
            labelled++;
        }
    }
    return json_object_set_new(out, "correct", json_integer((json_int_t)o->correct)) == 0 &&
           add_share(out, "top1", o->correct, o->n) &&
           json_object_set_new(out, "nll", labelled ? json_real(sum / labelled) : json_null()) == 0;
}

static bool add_choices(json_t *out, const struct pare_outcomes *o, struct pare_error *err)
{
    return add_classes(out, o, err) && add_share(out, "acc_norm", o->correct_normalised, o->n);
}

static bool add_similarity(json_t *out, const struct pare_outcomes *o, struct pare_error *err)
{
    struct pare_interval rho;
    return pare_spearman(o->similarity, o->score, o->n, &rho, NULL, err) == PARE_OK &&
           pare_cli_add_interval(out, "spearman", rho);
}

static bool print(struct pare_cli *cli, const char *name, const struct pare_dataset *data,
                  const struct pare_outcomes *o, double seconds)
{
    static bool (*const add[])(json_t *, const struct pare_outcomes *,
                               struct pare_error *) = {[PARE_TASK_CLASSES] = add_classes,
                                                       [PARE_TASK_CHOICES] = add_choices,
                                                       [PARE_TASK_SIMILARITY] = add_similarity};
    struct pare_error err = {0};
    const char *split = pare_dataset_split(data);
    json_t *out = json_pack("{s:s, s:s, s:I}", "model", name, "split", split ? split : "", "n",
                            (json_int_t)o->n);
    if (out && add[pare_dataset_task(data)](out, o, &err) &&
        json_object_set_new(out, "data", json_string(pare_dataset_hash(data))) == 0 &&
        json_object_set_new(out, "seconds", json_real(seconds)) == 0)
        return pare_cli_record(out, cli->format);
    json_decref(out);
    return false;
}

/* A file that is not of labelled texts is a plain one. */
static const char *plain_text(const struct pare_cli *cli, const char *data)
{
    const char *text = pare_cli_option(cli, "text");
    if (text || !data || !pare_file_exists(data) || pare_is_folder(data) ||
        pare_records_named(data))
        return text;
    return data;
}

static int run(struct pare_cli *cli)
{
    static const char *const of_text[] = {"window", "stride", "method", "baseline", "nll"};
    const char *given = cli->n_args == 2 ? cli->args[1] : NULL, *text;
    struct pare_data_spec spec = {.from = given ? given : pare_cli_option(cli, "data"),
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
    if (given && (pare_cli_option(cli, "data") || pare_cli_option(cli, "text")))
        return pare_cli_usage(cli, "'%s' is the data set already", given);
    text = plain_text(cli, spec.from);
    if (text)
        return pare_cli_eval_text(cli, text);
    for (size_t i = 0; i < PARE_COUNT(of_text); i++) {
        if (pare_cli_option(cli, of_text[i]))
            return pare_cli_usage(cli, "--%s goes with a plain text", of_text[i]);
    }
    if (!pare_cli_number(cli, "samples", 1, UINT32_MAX, 0, &samples) ||
        !pare_cli_number(cli, "skip", 0, UINT32_MAX, 0, &skip) ||
        !pare_cli_threads(cli, pare_cpu_count(), &threads))
        return PARE_EXIT_USAGE;
    if (!spec.from == !(spec.inputs && spec.labels))
        return pare_cli_usage(cli, "name a data set, or give --inputs and --labels");
    spec.samples = (uint64_t)samples;
    spec.skip = (uint64_t)skip;
    PARE_TRY(pare_cli_model(cli, cli->args[0], &model, &name, &err));
    PARE_TRY(pare_cli_data(&spec, model, &data, &err));
    if (!pare_dataset_has_labels(data) && pare_dataset_task(data) == PARE_TASK_CLASSES) {
        rc = pare_error_set(&err, PARE_INVALID, "the data has no labels");
        pare_error_hint(&err, "accuracy needs them; `pare predict` does not");
        goto out;
    }
    if (pare_dataset_windows(data)) {
        rc = pare_error_set(&err, PARE_INVALID, "%s holds a plain text", spec.from);
        pare_error_hint(&err, "name the file itself: `pare eval MODEL FILE`");
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
    {"data", 'd', "DATA", "samples: a folder, or a file of texts; the same as DATA behind MODEL"},
    {"split", 0, "NAME", "which split of the folder"},
    {"inputs", 0, "FILE", "samples as .npy, with --labels, instead of --data"},
    {"labels", 0, "FILE", "their labels as .npy"},
    {"text", 0, "FILE", "plain text, whatever the file is called"},
    {"window", 'w', "N", "text: tokens that are read together (512)"},
    {"stride", 0, "N", "text: tokens from one window to the next (the window)"},
    {"method", 0, "NAME", "text: how windows count, as hf (default) or llama.cpp have it"},
    {"baseline", 0, "MODEL", "text: also the divergence from this model"},
    {"nll", 0, "FILE", "text: write the loss of each token that counts, as .npy"},
    {"force", 'f', NULL, "replace the file of --nll"},
    {"samples", 'n', "N", "the first N samples, or windows, only"},
    {"skip", 0, "N", "leave N out at the front"},
    {"threads", 't', "N", "threads (one per CPU); the result does not depend on them"},
};

const struct pare_command pare_command_eval = {
    .name = "eval",
    .summary = "Measure how good one model is",
    .arguments = "MODEL DATA [--split NAME]",
    .about =
        "MODEL is a folder, a .safetensors file that Pare wrote, or a variant by name. top1 "
        "comes\nwith its 95 % interval (Wilson); nll is the mean negative log likelihood in "
        "nats.\n\n"
        "DATA is a folder of images or a file, whose keys or columns say what is measured:\n"
        "  FILE.jsonl, FILE.tsv with text (or a pair) and label: top1 of a classifier\n"
        "  FILE.jsonl with context, choices and answer: top1 of a language model by the "
        "likelihood\n    of each choice, and acc_norm, by its likelihood per byte\n"
        "  FILE.jsonl, FILE.tsv with two sentences and a score: spearman, the rank correlation "
        "of\n    the scores with the cosines of the model's embeddings\n"
        "  any other file: a plain text, cut into windows: perplexity, with its standard "
        "error\n\n"
        "Of a plain text n is the number of tokens that count. hf: every token that no "
        "earlier\nwindow had; llama.cpp: the second half of every window. With --baseline: "
        "mean and percentiles\nof the Kullback-Leibler divergence per token, and how often "
        "both find the same token\nlikeliest.\n\n"
        "examples:\n"
        "  pare eval share/models/fashion-vit share/data/fashion-mnist --split test\n"
        "  pare eval edge/ ./plants --split val --format json\n"
        "  pare eval SmolLM2-135M.gguf book.txt --window 512 --stride 512\n"
        "  pare eval SmolLM2-135M.gguf hellaswag.jsonl --samples 1000\n"
        "  pare eval ./all-MiniLM-L6-v2 stsb-test.tsv",
    .least = 1,
    .most = 2,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
