/* SPDX-License-Identifier: Apache-2.0 */
/* How good one model is. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/stat.h"
#include "cli/commands.h"
#include "cli/eval_metric.h"
#include "cli/eval_text.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "measure/measure.h"
#include "measure/records.h"
#include "measure/source.h"
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
    const char *why = pare_spearman_lacks(o->similarity, o->score, o->n);
    if (why && !pare_spearman_lacks(NULL, o->score, o->n)) /* else the data set said so */
        fprintf(stderr, "note: there is no rank correlation: %s\n", why);
    return pare_spearman(o->similarity, o->score, o->n, &rho, NULL, err) == PARE_OK &&
           pare_cli_add_interval(out, "spearman", rho);
}

/* Whoever is told how far it is gets the outputs, too: progress comes first. */
struct watcher {
    struct pare_cli_progress progress;
    struct pare_cli_metric metric; /* plugin NULL: none was asked for */
};

static int take_outputs(void *user, const struct pare_outputs *outputs, uint32_t first,
                        struct pare_error *err)
{
    struct pare_cli_metric *m = &((struct watcher *)user)->metric;
    return pare_metric_measure(&m->env, m->plugin, m->params, outputs, m->values + first, err);
}

static bool print(struct pare_cli *cli, const char *name, const struct pare_dataset *data,
                  const struct pare_outcomes *o, const struct pare_cli_metric *metric,
                  double seconds)
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
        (!metric->plugin || pare_cli_metric_add(metric, out)) &&
        json_object_set_new(out, "data", json_string(pare_dataset_hash(data))) == 0 &&
        json_object_set_new(out, "seconds", json_real(seconds)) == 0)
        return pare_cli_record(out, cli->format);
    json_decref(out);
    return false;
}

/* The file of texts that was named, when it is a plain one: a file that is not of labelled texts.
 * Else `*out` stays NULL. */
static int find_text(const struct pare_cli *cli, const struct pare_data_spec *spec,
                     const struct pare_model *model, char **out, struct pare_error *err)
{
    const char *text = pare_cli_option(cli, "text");
    struct pare_place place = {0};
    int rc = PARE_OK;
    if (text) {
        *out = pare_strdup(text);
        return *out ? PARE_OK : pare_error_nomem(err, 0);
    }
    if (!spec->from || !pare_graph_reads_text(model->graph))
        return PARE_OK;
    PARE_TRY(pare_place_text(spec, &place, err));
    if (!pare_records_named(place.images)) {
        *out = place.images;
        place.images = NULL;
    }
out:
    pare_place_free(&place);
    return rc;
}

/* False: said what is wrong. */
static bool take_numbers(const struct pare_cli *cli, struct pare_data_spec *spec,
                         long long *threads)
{
    long long samples, skip, window, stride;
    const struct pare_cli_number numbers[] = {{"samples", 1, UINT32_MAX, 0, &samples},
                                              {"skip", 0, UINT32_MAX, 0, &skip},
                                              {"window", 2, 1 << 20, 0, &window},
                                              {"stride", 1, 1 << 20, 0, &stride}};
    if (!pare_cli_numbers(cli, numbers, PARE_COUNT(numbers)) ||
        !pare_cli_threads(cli, pare_cpu_count(), threads))
        return false;
    spec->samples = (uint64_t)samples;
    spec->skip = (uint64_t)skip;
    spec->window = (uint64_t)window;
    spec->stride = (uint64_t)stride;
    return true;
}

static int run(struct pare_cli *cli)
{
    static const char *const of_text[] = {"window", "stride", "method", "baseline", "nll"};
    const char *given = cli->n_args == 2 ? cli->args[1] : NULL;
    const char *metric = pare_cli_option(cli, "metric");
    struct pare_data_spec spec = {.from = given ? given : pare_cli_option(cli, "data"),
                                  .split = pare_cli_option(cli, "split"),
                                  .inputs = pare_cli_option(cli, "inputs"),
                                  .labels = pare_cli_option(cli, "labels")};
    struct pare_model *model = NULL;
    struct pare_dataset *data = NULL;
    struct pare_outcomes outcomes = {0};
    struct watcher watcher = {.progress.unit = ""};
    struct pare_error err = {0};
    long long threads;
    char *name = NULL, *text = NULL;
    int exit = PARE_EXIT_OK, rc;
    if (given && (pare_cli_option(cli, "data") || pare_cli_option(cli, "text")))
        return pare_cli_usage(cli, "'%s' is the data set already", given);
    if (!pare_cli_option(cli, "text") && !spec.from == !(spec.inputs && spec.labels))
        return pare_cli_usage(cli, "name a data set, or give --inputs and --labels");
    if (!take_numbers(cli, &spec, &threads))
        return PARE_EXIT_USAGE;
    const char *const named[] = {spec.from, spec.inputs, spec.labels, pare_cli_option(cli, "text")};
    const bool there = pare_cli_there(named, PARE_COUNT(named));
    PARE_TRY(pare_cli_model(cli, cli->args[0], &model, &name, &err));
    if (!there) {
        exit = PARE_EXIT_USAGE;
        goto out;
    }
    PARE_TRY(find_text(cli, &spec, model, &text, &err));
    if (text && metric) {
        exit = pare_cli_usage(cli, "--metric goes with classes");
        goto out;
    }
    if (text) {
        exit = pare_cli_eval_text(cli, model, name, text, &spec, (uint32_t)threads);
        goto out;
    }
    for (size_t i = 0; i < PARE_COUNT(of_text); i++) {
        if (pare_cli_option(cli, of_text[i])) {
            exit = pare_cli_usage(cli, "--%s goes with a plain text", of_text[i]);
            goto out;
        }
    }
    PARE_TRY(pare_cli_data(&spec, model, &data, &err));
    if (!pare_dataset_has_labels(data) && pare_dataset_task(data) == PARE_TASK_CLASSES) {
        rc = pare_error_set(&err, PARE_INVALID, "the data has no labels");
        pare_error_hint(&err, "accuracy needs them; `pare predict` does not");
        goto out;
    }
    if (metric && pare_dataset_task(data) != PARE_TASK_CLASSES) {
        exit = pare_cli_usage(cli, "--metric goes with classes");
        goto out;
    }
    watcher.progress.all = pare_dataset_size(data);
    if (metric)
        PARE_TRY(pare_cli_metric_open(metric, pare_dataset_size(data), &watcher.metric, &err));
    struct pare_evaluation e = {.graph = model->graph,
                                .data = data,
                                .batch = BATCH,
                                .threads = (uint32_t)threads,
                                .progress = pare_cli_progress,
                                .outputs = metric ? take_outputs : NULL,
                                .user = &watcher};
    pare_flush_denormals();
    pare_cli_watch_interrupt();
    double start = pare_clock_seconds();
    rc = pare_evaluate_part(&e, &outcomes, &err);
    pare_cli_progress_end();
    if (rc == PARE_OK &&
        !print(cli, name, data, &outcomes, &watcher.metric, pare_clock_seconds() - start))
        exit = PARE_EXIT_FAILED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_outcomes_free(&outcomes);
    pare_cli_metric_close(&watcher.metric);
    pare_dataset_close(data);
    pare_model_free(model);
    free(name);
    free(text);
    return exit;
}

static const struct pare_option options[] = {
    {"data", 'd', "DATA", "samples: a folder, or a file of texts; the same as DATA behind MODEL"},
    {"split", 0, "NAME", "which split of the folder: of texts SPLIT.txt, .jsonl or .tsv"},
    {"inputs", 0, "FILE", "samples as .npy, with --labels, instead of --data"},
    {"labels", 0, "FILE", "their labels as .npy"},
    {"text", 0, "FILE", "plain text, whatever the file is called"},
    {"window", 'w', "N", "text: tokens that are read together (512, or the model's context)"},
    {"stride", 0, "N", "text: tokens from one window to the next (the window)"},
    {"method", 0, "NAME", "text: how windows count, as hf (default) or llama.cpp have it"},
    {"baseline", 0, "MODEL", "text: also the divergence from this model"},
    {"nll", 0, "FILE", "text: write the loss of each token that counts, as .npy"},
    {"force", 'f', NULL, "replace the file of --nll"},
    {"metric", 'm', "PLUGIN", "classes: also what this plugin measures, at its defaults"},
    {"samples", 'n', "N", "the first N samples, or windows, only"},
    {"skip", 0, "N", "leave N out at the front"},
    {"threads", 't', "N", "threads (one per CPU); the result does not depend on them"},
};

const struct pare_command pare_command_eval = {
    .name = "eval",
    .summary = "Measure how good one model is",
    .arguments = "MODEL DATA [--split NAME]",
    .about =
        "MODEL is a folder, a .gguf file, a .safetensors file that Pare wrote, or a variant by "
        "name.\ntop1 comes with its 95 % interval (Wilson); nll is the mean negative log "
        "likelihood in nats.\n\n"
        "DATA is a folder of images, a file of texts, or a folder with SPLIT.txt, SPLIT.jsonl "
        "or\nSPLIT.tsv. A file's keys or columns say what is measured:\n"
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
        "  pare eval stories260K.gguf share/data/alice --split test --window 256\n"
        "  pare eval SmolLM2-135M.gguf hellaswag.jsonl --samples 1000\n"
        "  pare eval ./all-MiniLM-L6-v2 stsb-test.tsv",
    .least = 1,
    .most = 2,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
