/* SPDX-License-Identifier: Apache-2.0 */
/* What a language model writes. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "engine/text.h"
#include "measure/sampling.h"
#include "measure/tokens.h"
#include "text/utf8.h"

enum { PASS_TOKENS = 256, PROMPT_MOST = 64 << 20 };

struct job {
    struct pare_cli *cli;
    struct pare_model *model;
    struct pare_tokenizer *tokenizer;
    struct pare_graph *graph; /* with the length of a pass */
    struct pare_plan *plan;
    struct pare_cache *cache;
    struct pare_ids prompt;
    struct pare_sampling how;
    struct pare_random random;
    struct pare_candidate *candidates;
    float *logits;
    uint32_t tokens, threads, vocabulary;
};

/* A number of the command line in a range. False: said what is wrong. */
static bool take_real(const struct pare_cli *cli, const char *name, double lo, double hi,
                      double *out)
{
    const char *text = pare_cli_option(cli, name);
    if (!text || (pare_parse_double(text, out) && *out >= lo && *out <= hi))
        return true;
    pare_cli_usage(cli, "--%s '%s' is no number from %g to %g", name, text, lo, hi);
    return false;
}

static bool take_options(struct job *j)
{
    long long tokens, top_k, seed, threads;
    j->how = (struct pare_sampling){.top_p = 1};
    const struct pare_cli_number numbers[] = {{"tokens", 1, 1 << 20, 128, &tokens},
                                              {"top-k", 0, 1 << 20, 0, &top_k},
                                              {"seed", 0, INT64_MAX, 1, &seed}};
    if (!pare_cli_numbers(j->cli, numbers, PARE_COUNT(numbers)) ||
        !pare_cli_threads(j->cli, pare_cpu_count(), &threads) ||
        !take_real(j->cli, "temperature", 0, 100, &j->how.temperature) ||
        !take_real(j->cli, "top-p", 1e-6, 1, &j->how.top_p))
        return false;
    j->how.top_k = (uint32_t)top_k;
    j->tokens = (uint32_t)tokens;
    j->threads = (uint32_t)threads;
    pare_random_seed(&j->random, (uint64_t)seed);
    return true;
}

static int read_prompt(struct job *j, struct pare_error *err)
{
    const char *given = j->cli->n_args > 1 ? j->cli->args[1] : "";
    struct pare_str text = {0};
    char part[4096];
    ssize_t n;
    int rc = PARE_OK;
    if (strcmp(given, "-") != 0)
        pare_str_append(&text, given);
    else
        while ((n = read(STDIN_FILENO, part, sizeof part)) > 0 && text.len < PROMPT_MOST)
            pare_str_append_n(&text, part, (size_t)n);
    if (text.failed) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_utf8_check("prompt", text.data ? text.data : "", text.len, err));
    PARE_TRY(pare_tokenizer_encode(j->tokenizer, text.data ? text.data : "", text.len,
                                   PARE_ENCODE_ADD, &j->prompt, err));
    if (j->prompt.n == 0) {
        rc = pare_error_set(err, PARE_INVALID, "the prompt is empty");
        pare_error_detail(err, "this model's tokenizer puts no token in front of a text");
        pare_error_hint(err, "give a PROMPT behind MODEL, or - to read one from standard input");
        goto out;
    }
    if (j->prompt.n >= j->model->graph->context) {
        rc = pare_error_set(err, PARE_INVALID, "the prompt of %zu tokens fills the model's context",
                            j->prompt.n);
        pare_error_detail(err, "it reads at most %u tokens, those that it writes among them",
                          j->model->graph->context);
        pare_error_hint(err, "shorten it");
    }
out:
    pare_str_free(&text);
    return rc;
}

static int make_plan(struct job *j, struct pare_error *err)
{
    const size_t most = j->model->graph->context, wanted = j->prompt.n + j->tokens;
    const uint32_t context = (uint32_t)PARE_MIN(most, wanted);
    const struct pare_plan_options options = {
        .batch = 1, .threads = j->threads, .isa = -1, .wanted = 1, .context = context};
    int rc;
    PARE_TRY(pare_graph_copy(j->model->graph, &j->graph, err));
    PARE_TRY(pare_graph_set_length(j->graph, PARE_MIN(context, (uint32_t)PASS_TOKENS), err));
    if (j->graph->values[j->graph->output].tokens == 1) {
        rc = pare_error_set(err, PARE_INVALID, "the model does not predict the next token");
        goto out;
    }
    PARE_TRY(pare_plan_new(j->graph, &options, &j->plan, err));
    PARE_TRY(pare_cache_new(j->plan, 1, context, &j->cache, err));
    j->vocabulary = j->graph->values[j->graph->output].width;
    j->logits = pare_alloc(j->vocabulary, sizeof *j->logits);
    j->candidates = pare_alloc(j->vocabulary, sizeof *j->candidates);
    if (!j->logits || !j->candidates)
        rc = pare_error_nomem(err, 0);
out:
    return rc;
}

static int write_token(const struct job *j, int32_t id, struct pare_error *err)
{
    struct pare_str bytes = {0};
    int rc = pare_tokenizer_token_bytes(j->tokenizer, id, &bytes, err);
    if (rc == PARE_OK && bytes.len)
        fwrite(bytes.data, 1, bytes.len, stdout);
    pare_str_free(&bytes);
    return fflush(stdout) == 0 ? rc : pare_error_errno(err, "cannot write");
}

static int generate(struct job *j, struct pare_error *err)
{
    const struct pare_text prompt = {j->prompt.ids, (uint32_t)j->prompt.n, 0, false};
    const int32_t end = pare_tokenizer_special(j->tokenizer, PARE_SPECIAL_EOS);
    const double start = pare_clock_seconds();
    uint32_t n = 0;
    int rc;
    PARE_TRY(pare_plan_read(j->plan, j->cache, &prompt, 1, j->logits, err));
    const double read = pare_clock_seconds();
    while (n < j->tokens && !pare_cli_interrupted()) {
        const int32_t id =
            (int32_t)pare_sample(j->logits, j->vocabulary, &j->how, &j->random, j->candidates);
        const struct pare_text next = {&id, 1, 0, false};
        if (id == end)
            break;
        PARE_TRY(write_token(j, id, err));
        if (++n == j->tokens || pare_cache_length(j->cache, 0) + 1 >= j->graph->context)
            break;
        PARE_TRY(pare_plan_read(j->plan, j->cache, &next, 1, j->logits, err));
    }
    const double done = pare_clock_seconds();
    putchar('\n');
    fprintf(stderr, "%zu tokens read, %.0f a second; %u generated, %.1f a second\n", j->prompt.n,
            (double)j->prompt.n / (read - start), n, n / (done - read));
out:
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct job j = {.cli = cli};
    struct pare_error err = {0};
    int exit = PARE_EXIT_OK, rc;
    if (!take_options(&j))
        return PARE_EXIT_USAGE;
    PARE_TRY(pare_cli_model(cli, cli->args[0], &j.model, NULL, &err));
    PARE_TRY(pare_model_tokenizer(j.model, &j.tokenizer, &err));
    PARE_TRY(read_prompt(&j, &err));
    pare_flush_denormals();
    PARE_TRY(make_plan(&j, &err));
    pare_cli_watch_interrupt();
    PARE_TRY(generate(&j, &err));
    if (pare_cli_interrupted())
        exit = PARE_EXIT_INTERRUPTED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_ids_free(&j.prompt);
    pare_cache_free(j.cache);
    pare_plan_free(j.plan);
    pare_graph_free(j.graph);
    pare_tokenizer_free(j.tokenizer);
    pare_model_free(j.model);
    free(j.candidates);
    free(j.logits);
    return exit;
}

static const struct pare_option options[] = {
    {"tokens", 'n', "N", "generate at most N (128)"},
    {"temperature", 0, "T", "draw at this temperature; 0: always the likeliest (0)"},
    {"top-k", 0, "N", "draw from the N likeliest only (all)"},
    {"top-p", 0, "P", "draw from the fewest whose shares come to P (1)"},
    {"seed", 0, "N", "of the draws (1)"},
    {"threads", 't', "N", "threads (one per CPU); the text does not depend on them"},
};

const struct pare_command pare_command_generate = {
    .name = "generate",
    .summary = "Let a language model go on with a text",
    .arguments = "MODEL [PROMPT|-]",
    .about = "For a look at the words: what a compressed model writes. PROMPT - is read from "
             "standard\ninput. The text goes to standard output, rates to standard error.\n\n"
             "examples:\n"
             "  pare generate SmolLM2-135M.gguf 'The capital of France is' --tokens 20\n"
             "  pare generate drop1+q4 'Once upon a time' --temperature 0.8 --top-p 0.95 --seed 7",
    .least = 1,
    .most = 2,
    .flags = PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
