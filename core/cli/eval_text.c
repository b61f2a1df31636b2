/* SPDX-License-Identifier: Apache-2.0 */
/* The perplexity of one model, and how far it is from another. */
#include "cli/eval_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/stat.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "engine/plan.h"
#include "measure/array.h"
#include "measure/perplexity.h"
#include "measure/tokens.h"
#include "measure/windows.h"

struct job {
    struct pare_cli *cli;
    const struct pare_model *model;
    struct pare_model *baseline;
    struct pare_tokenizer *tokenizer;
    struct pare_windows *windows;
    struct pare_perplexity result;
    struct pare_window_spec spec;
    const char *name, *path, *nll; /* nll: file to write; NULL: none */
};

static int by_value(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Mean and percentiles of the divergence, and the share of tokens both models would write. */
static bool add_beside(const struct job *j, json_t *out)
{
    static const struct {
        const char *name;
        double p;
    } shares[] = {{"kl_p50", 0.5}, {"kl_p90", 0.9}, {"kl_p99", 0.99}, {"kl_max", 1}};
    const struct pare_perplexity *p = &j->result;
    double sum = 0;
    qsort(p->divergence, p->tokens, sizeof *p->divergence, by_value);
    for (uint32_t i = 0; i < p->tokens; i++)
        sum += (double)p->divergence[i];
    bool fine = json_object_set_new(out, "kl", json_real(sum / p->tokens)) == 0;
    for (size_t i = 0; i < PARE_COUNT(shares); i++) {
        const uint32_t at = (uint32_t)lround(shares[i].p * (p->tokens - 1));
        fine = fine &&
               json_object_set_new(out, shares[i].name, json_real((double)p->divergence[at])) == 0;
    }
    const struct pare_interval agreed = pare_stat_wilson(p->agreed, p->tokens, 0.95);
    return fine && json_object_set_new(out, "agreement", json_real(agreed.value)) == 0;
}

static json_t *real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static bool print(const struct job *j, double seconds)
{
    const struct pare_perplexity *p = &j->result;
    /* Half the width of the interval at 95 %, as a standard error of the same. */
    const double error = (p->mean.hi - p->mean.lo) / 2 / 1.959964 * p->perplexity.value;
    json_t *out = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:f, s:f, s:s, s:f}", "model",
        j->name, "text", j->path, "method", pare_window_method_name(j->spec.method), "window",
        (json_int_t)j->spec.window, "stride", (json_int_t)j->spec.stride, "windows",
        (json_int_t)p->windows, "n", (json_int_t)p->tokens, "perplexity", p->perplexity.value,
        "perplexity_error", real_or_null(error), "perplexity_lo", real_or_null(p->perplexity.lo),
        "perplexity_hi", real_or_null(p->perplexity.hi), "nll", p->mean.value, "next_token",
        (double)p->right / p->tokens, "data", pare_windows_hash(j->windows), "seconds", seconds);
    if (out && j->baseline && !add_beside(j, out)) {
        json_decref(out);
        return false;
    }
    return out && pare_cli_record(out, j->cli->format);
}

/* False: said what is wrong. */
static bool take_windows(struct job *j, const struct pare_data_spec *spec)
{
    const char *method = pare_cli_option(j->cli, "method");
    const uint32_t window =
        spec->window ? (uint32_t)spec->window : pare_window_default(j->model->graph);
    j->spec = (struct pare_window_spec){.path = j->path,
                                        .window = window,
                                        .stride = spec->stride ? (uint32_t)spec->stride : window,
                                        .skip = (uint32_t)spec->skip,
                                        .most = (uint32_t)spec->samples};
    if (!method || strcmp(method, "hf") == 0)
        return true;
    j->spec.method = PARE_WINDOWS_LLAMA_CPP;
    if (strcmp(method, "llama.cpp") == 0)
        return true;
    pare_cli_usage(j->cli, "--method '%s' is none of hf, llama.cpp", method);
    return false;
}

int pare_cli_eval_text(struct pare_cli *cli, const struct pare_model *model, const char *name,
                       const char *path, const struct pare_data_spec *spec, uint32_t threads)
{
    struct job j = {
        .cli = cli, .model = model, .name = name, .path = path, .nll = pare_cli_option(cli, "nll")};
    struct pare_error err = {0};
    const char *baseline = pare_cli_option(cli, "baseline");
    int exit = PARE_EXIT_OK, rc;
    if (!take_windows(&j, spec))
        return PARE_EXIT_USAGE;
    if (j.nll)
        PARE_TRY(pare_cli_refuse_overwrite(j.nll, pare_cli_option(cli, "force") != NULL, &err));
    if (baseline)
        PARE_TRY(pare_cli_model(cli, baseline, &j.baseline, NULL, &err));
    PARE_TRY(pare_model_tokenizer(j.model, &j.tokenizer, &err));
    PARE_TRY(pare_windows_open(&j.spec, j.tokenizer, &j.windows, &err));
    pare_cli_notes(pare_windows_note(j.windows), stderr);
    pare_flush_denormals();
    pare_cli_watch_interrupt();
    const double start = pare_clock_seconds();
    struct pare_cli_progress progress = {.all = pare_windows_count(j.windows), .unit = " windows"};
    const struct pare_perplexity_job job = {.graph = j.model->graph,
                                            .baseline = j.baseline ? j.baseline->graph : NULL,
                                            .windows = j.windows,
                                            .window = j.spec.window,
                                            .threads = threads,
                                            .progress = pare_cli_progress,
                                            .user = &progress};
    rc = pare_perplexity_measure(&job, &j.result, &err);
    pare_cli_progress_end();
    if (rc == PARE_OK && j.nll)
        rc = pare_npy_write(j.nll, j.result.nll, j.result.tokens, &err);
    if (rc == PARE_OK && !print(&j, pare_clock_seconds() - start))
        exit = PARE_EXIT_FAILED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_perplexity_free(&j.result);
    pare_windows_free(j.windows);
    pare_tokenizer_free(j.tokenizer);
    pare_model_free(j.baseline);
    return exit;
}
