/* SPDX-License-Identifier: Apache-2.0 */
/* Pick one variant of the front by an explicit rule, and tell how firm the choice is. */
#include "cli/commands.h"
#include "cli/show.h"
#include "select/pick.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define BY_MAX 16

struct job {
    struct pare_cli *cli;
    struct pare_store *store;
    struct pare_choice choice;
    struct pare_rows figures;
    struct pare_pick pick;
    size_t by[BY_MAX], n_by;
};

static const struct pare_metric *metric(const struct job *j, size_t m)
{
    return &j->choice.known[m];
}

static double figure(const struct job *j, size_t i, size_t m)
{
    return j->choice.front.point[i * j->choice.front.n_metrics + m];
}

static const char *label(const struct job *j, size_t i)
{
    return j->choice.trials.items[i].label;
}

static int add_metric(struct job *j, const char *name, bool higher, struct pare_error *err)
{
    size_t m = pare_choice_metric(&j->choice, name);
    if (m == SIZE_MAX) {
        char hint[PARE_METRIC_HINT];
        pare_metric_hint(name, j->choice.known, j->choice.n_known, hint);
        pare_error_set(err, PARE_NOT_FOUND, "there is no metric '%s'", name);
        pare_error_hint(err, "%s", hint);
        return PARE_NOT_FOUND;
    }
    if (metric(j, m)->higher != higher) {
        pare_error_set(err, PARE_INVALID, "%s is better when it is %s", name,
                       higher ? "lower" : "higher");
        pare_error_hint(err, "use --%s %s", higher ? "min" : "max", name);
        return PARE_INVALID;
    }
    if (j->n_by < BY_MAX)
        j->by[j->n_by++] = m;
    return PARE_OK;
}

/* What to go by: as asked; else the objectives, those that no constraint bounds first. */
static int choose_rule(struct job *j, struct pare_error *err)
{
    const struct pare_trials *t = &j->choice.trials;
    for (size_t i = 0; i < j->cli->n_repeated; i++) {
        const char *name = j->cli->command->options[j->cli->repeated[i].option].name;
        bool higher = strcmp(name, "max") == 0;
        if (!higher && strcmp(name, "min") != 0)
            continue;
        int rc = add_metric(j, j->cli->repeated[i].value, higher, err);
        if (rc != PARE_OK)
            return rc;
    }
    for (int bounded = 0; bounded <= 1; bounded++) {
        for (size_t o = 0; o < t->n_objectives && j->n_by < BY_MAX; o++) {
            size_t m = pare_choice_metric(&j->choice, t->objectives[o].metric);
            bool has = false, taken = false;
            for (size_t b = 0; b < j->choice.input.n_bounds; b++)
                has = has || j->choice.input.bounds[b].metric == m;
            for (size_t k = 0; k < j->n_by; k++)
                taken = taken || j->by[k] == m;
            if (m != SIZE_MAX && !taken && has == bounded)
                j->by[j->n_by++] = m;
        }
    }
    return PARE_OK;
}

static int load(struct job *j, struct pare_error *err)
{
    const char *where[PARE_REPEAT_MAX];
    struct pare_choice_query query = {.pipeline = j->cli->n_args ? j->cli->args[0] : NULL,
                                      .host = pare_cli_option(j->cli, "host"),
                                      .shape = pare_cli_option(j->cli, "shape"),
                                      .constraints = where};
    int rc;
    for (size_t i = 0; i < j->cli->n_repeated; i++) {
        if (strcmp(j->cli->command->options[j->cli->repeated[i].option].name, "where") == 0)
            where[query.n_constraints++] = j->cli->repeated[i].value;
    }
    PARE_TRY(pare_choice_make(j->store, &query, &j->choice, err));
    const struct pare_trials *t = &j->choice.trials;
    PARE_TRY(choose_rule(j, err));
    PARE_TRY(pare_pick(&j->choice.input, &j->choice.front, j->by, j->n_by, &j->pick, err));
    if (j->pick.chosen != SIZE_MAX)
        PARE_TRY(pare_variant_figures(j->store, t->pipeline, t->host, t->shape,
                                      json_pack("[s]", t->items[j->pick.chosen].label), &j->figures,
                                      err));
out:
    return rc;
}

/* ---- telling ---- */

static void print_rule(const struct job *j)
{
    printf("by %s", metric(j, j->by[0])->name);
    for (size_t k = 1; k < j->n_by; k++)
        printf("%s%s", k == 1 ? ", then " : ", ", metric(j, j->by[k])->name);
    for (size_t b = 0; b < j->choice.n_constraints; b++)
        printf("%s%s", b ? ", " : " where ", j->choice.constraint_texts[b]);
    putchar('\n');
}

/* A count beside the baseline's; `out` holds 160 bytes. */
static void exact_against(double value, double base, char *out)
{
    if (value == base)
        snprintf(out, 160, "as the baseline");
    else if (value == 0 || base == 0)
        snprintf(out, 160, "%.3g %s than the baseline", fabs(value - base),
                 value < base ? "less" : "more");
    else if (value < base)
        snprintf(out, 160, "%.3gx less than the baseline", base / value);
    else
        snprintf(out, 160, "%.3gx more than the baseline", value / base);
}

static void print_figure(const struct job *j, size_t i, size_t m)
{
    const struct pare_choice *c = &j->choice;
    struct pare_comparison d;
    char value[48], against[160] = "";
    if (isnan(figure(j, i, m)))
        return;
    double v = figure(j, i, m);
    if (strcmp(metric(j, m)->name, "latency_ms") == 0) /* as `front` and SQL show it */
        v = pare_rows_number(&j->figures, 0, "latency_ms");
    pare_show_metric(metric(j, m), v, value);
    if (i != c->trials.baseline &&
        pare_front_compare(&c->input, m, i, c->trials.baseline, 0.95, &d, NULL) == PARE_OK) {
        const bool exact = c->input.metrics[m].kind == PARE_FIGURE_EXACT;
        if (exact && pare_quality_of(metric(j, m)->name))
            snprintf(against, sizeof against, "%+.4f to the baseline", d.difference.value);
        else if (exact)
            exact_against(figure(j, i, m), figure(j, c->trials.baseline, m), against);
        else if (d.ratio && metric(j, m)->unit != PARE_METRIC_MS)
            snprintf(against, sizeof against, "%.3fx [%.3f, %.3f] the baseline's",
                     d.difference.value, d.difference.lo, d.difference.hi);
        else if (d.ratio)
            snprintf(against, sizeof against, "%.2fx [%.2f, %.2f] the baseline's speed%s",
                     1 / d.difference.value, 1 / d.difference.hi, 1 / d.difference.lo,
                     d.difference.hi < 1   ? ": faster"
                     : d.difference.lo > 1 ? ": slower"
                                           : "");
        else
            snprintf(against, sizeof against, "%+.4f [%+.4f, %+.4f] to the baseline",
                     d.difference.value, d.difference.lo, d.difference.hi);
    }
    printf("  %-18s %10s   %s\n", metric(j, m)->name, value, against);
}

/* What it goes by first. */
static void print_figures(const struct job *j, size_t i)
{
    for (size_t k = 0; k < j->n_by; k++)
        print_figure(j, i, j->by[k]);
    for (size_t m = 0; m < j->choice.n_known; m++) {
        bool told = false;
        for (size_t k = 0; k < j->n_by; k++)
            told = told || j->by[k] == m;
        if (!told)
            print_figure(j, i, m);
    }
}

static void print_margins(const struct job *j)
{
    for (size_t b = 0; b < j->pick.n_bounds; b++) {
        const struct pare_front_bound *bound = &j->choice.input.bounds[b];
        double limit = pare_front_limit(bound, figure(j, j->choice.trials.baseline, bound->metric));
        char at[48], room[48];
        pare_show_metric(metric(j, bound->metric), limit, at);
        pare_show_metric(metric(j, bound->metric), j->pick.margin[b], room);
        printf("  limit %s: %s to spare (limit %s)", j->choice.constraint_texts[b], room, at);
        if (j->pick.tighter[b] == j->pick.chosen)
            printf("; 5 %% tighter: the same\n");
        else if (j->pick.tighter[b] == SIZE_MAX)
            printf("; 5 %% tighter: nothing\n");
        else
            printf("; 5 %% tighter: %s\n", label(j, j->pick.tighter[b]));
    }
}

static void print_runner_up(const struct job *j)
{
    if (j->pick.runner_up == SIZE_MAX) {
        puts("runner-up: none");
        return;
    }
    char text[160];
    pare_show_comparison(metric(j, j->by[0]), &j->pick.against, text);
    printf("runner-up: %s; the pick against it: %s%s\n", label(j, j->pick.runner_up), text,
           j->pick.against.distinct || j->choice.input.metrics[j->by[0]].kind == PARE_FIGURE_EXACT
               ? ""
               : " (not distinguishable)");
}

/* The rule goes by figures; where noise alone put the pick first, that is said. */
static void print_alike(const struct job *j)
{
    if (j->pick.alike == SIZE_MAX)
        return;
    const struct pare_metric *first = metric(j, j->by[0]), *next = metric(j, j->pick.by_next);
    char own[48], other[48];
    pare_show_metric(next, figure(j, j->pick.chosen, j->pick.by_next), own);
    pare_show_metric(next, figure(j, j->pick.alike, j->pick.by_next), other);
    printf("as good in %s as can be told, and better in %s (%s against %s): %s\n"
           "  a tolerance of %s among the objectives, or --%s %s, lets %s decide\n",
           first->name, next->name, other, own, label(j, j->pick.alike), first->name,
           next->higher ? "max" : "min", next->name, next->name);
}

/* How good it is on the samples that the pipeline holds back, if it does and they were measured. */
static int print_confirmed(const struct job *j, struct pare_error *err)
{
    struct pare_rows rows = {0};
    const struct pare_quality *known[PARE_QUALITIES];
    const char *pipeline = j->choice.trials.pipeline;
    size_t n;
    int rc = pare_cli_qualities(j->store, pipeline, known, &n, err);
    if (rc != PARE_OK)
        return rc;
    const struct pare_argument args[] = {{"pipeline", pipeline},
                                         {"metric", known[0]->metric},
                                         {"hash", j->choice.trials.items[j->pick.chosen].hash}};
    rc = pare_rows_load(
        j->store,
        "SELECT p.confirm_id, m.metric, m.value, m.lo, m.hi, m.n, m.data_name, b.value AS base "
        "FROM pipeline p LEFT JOIN measurements m ON m.pipeline = p.name AND m.variant = :hash "
        "AND m.metric = :metric AND m.role = 'confirm' "
        "LEFT JOIN measurements b ON "
        "b.pipeline = p.name AND b.metric = m.metric AND b.role = 'confirm' AND "
        "b.label = 'baseline' WHERE p.name = :pipeline",
        args, 3, &rows, err);
    if (rc == PARE_OK && isnan(pare_rows_number(&rows, 0, "confirm_id")))
        puts("confirmed: no, the pipeline holds no samples back (data: confirm:)");
    else if (rc == PARE_OK && !isnan(pare_rows_number(&rows, 0, "value")))
        printf("confirmed on %s: %s %.4f [%.4f, %.4f], n=%.0f; baseline %.4f\n",
               pare_rows_text(&rows, 0, "data_name"), pare_rows_text(&rows, 0, "metric"),
               pare_rows_number(&rows, 0, "value"), pare_rows_number(&rows, 0, "lo"),
               pare_rows_number(&rows, 0, "hi"), pare_rows_number(&rows, 0, "n"),
               pare_rows_number(&rows, 0, "base"));
    else if (rc == PARE_OK)
        puts("confirmed: not yet measured on held-back samples");
    pare_rows_free(&rows);
    return rc;
}

static int tell_people(struct job *j, struct pare_error *err)
{
    const struct pare_front_item *item = &j->choice.front.items[j->pick.chosen];
    int rc;
    printf("pick: %s (%.7s), on the front with p=%.2f, within limits with p=%.2f\n",
           label(j, j->pick.chosen), j->choice.trials.items[j->pick.chosen].hash, item->p_front,
           item->p_feasible);
    print_rule(j);
    print_figures(j, j->pick.chosen);
    print_margins(j);
    print_runner_up(j);
    print_alike(j);
    PARE_TRY(print_confirmed(j, err));
    printf("next: pare export %s -o %s/\n", label(j, j->pick.chosen), label(j, j->pick.chosen));
out:
    return rc;
}

static bool tell_data(struct job *j)
{
    const struct pare_front_item *item = &j->choice.front.items[j->pick.chosen];
    struct pare_table t = {0};
    static const char *const names[] = {"label",     "variant",    "p_front", "p_feasible",
                                        "runner_up", "difference", "lo",      "hi",
                                        "ratio",     "distinct"};
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        pare_table_column(&t, names[i]);
    for (size_t m = 0; m < j->choice.n_known; m++)
        pare_table_column(&t, metric(j, m)->name);
    pare_table_text(&t, label(j, j->pick.chosen));
    pare_table_text(&t, j->choice.trials.items[j->pick.chosen].hash);
    pare_table_number(&t, item->p_front, NULL);
    pare_table_number(&t, item->p_feasible, NULL);
    bool rival = j->pick.runner_up != SIZE_MAX;
    const struct pare_comparison *d = &j->pick.against;
    pare_table_text(&t, rival ? label(j, j->pick.runner_up) : NULL);
    pare_table_number(&t, rival ? d->difference.value : (double)NAN, NULL);
    pare_table_number(&t, rival ? d->difference.lo : (double)NAN, NULL);
    pare_table_number(&t, rival ? d->difference.hi : (double)NAN, NULL);
    pare_table_integer(&t, rival && d->ratio);
    pare_table_integer(&t, rival && d->distinct);
    for (size_t m = 0; m < j->choice.n_known; m++)
        pare_table_number(&t, figure(j, j->pick.chosen, m), NULL);
    return pare_table_print(&t, j->cli->format, stdout);
}

static int tell_infeasible(const struct job *j)
{
    size_t miss = j->choice.front.nearest_miss;
    size_t missing = j->choice.front.items[j->choice.trials.baseline].missing;
    if (missing != SIZE_MAX && pare_choice_empty(&j->choice, j->choice.trials.baseline, missing)) {
        fprintf(
            stderr,
            "pare: there is nothing to pick from: %s of the baseline has a value for no sample\n"
            "  hint: evaluate it on samples that it can measure, or choose by another metric\n",
            metric(j, missing)->name);
        return PARE_EXIT_FAILED;
    }
    if (j->choice.front.items[j->choice.trials.baseline].status == PARE_FRONT_UNMEASURED) {
        fprintf(stderr,
                "pare: there is nothing to pick from yet: %s of the baseline is not known\n",
                missing == SIZE_MAX ? "a figure" : metric(j, missing)->name);
        if (missing != SIZE_MAX && pare_quality_of(metric(j, missing)->name))
            fprintf(
                stderr,
                "  hint: `%s: {}` below `measure` of the pipeline, then `pare run FILE`, has it "
                "measured\n",
                metric(j, missing)->name);
        else
            fputs("  hint: `pare run FILE` goes on where it stopped\n", stderr);
        return PARE_EXIT_FAILED;
    }
    fprintf(stderr, "pare: no variant on the front meets the constraints\n");
    if (miss != SIZE_MAX) {
        size_t b = pare_choice_broken(&j->choice, miss);
        fprintf(stderr, "  nearest miss: %s", label(j, miss));
        if (b != SIZE_MAX) {
            size_t m = j->choice.input.bounds[b].metric;
            char value[48], limit[48];
            pare_show_metric(metric(j, m), figure(j, miss, m), value);
            pare_show_metric(metric(j, m),
                             pare_front_limit(&j->choice.input.bounds[b],
                                              figure(j, j->choice.trials.baseline, m)),
                             limit);
            fprintf(stderr, ": %s is %s, the limit %s (%s)", metric(j, m)->name, value, limit,
                    j->choice.constraint_texts[b]);
        }
        fputc('\n', stderr);
    }
    fputs("  hint: --where with a wider limit on the same metric replaces the pipeline's\n",
          stderr);
    return PARE_EXIT_INFEASIBLE;
}

static int run(struct pare_cli *cli)
{
    struct job j = {.cli = cli};
    struct pare_error err = {0};
    int exit = PARE_EXIT_OK, rc;
    j.store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!j.store)
        return exit;
    PARE_TRY(load(&j, &err));
    if (j.pick.chosen == SIZE_MAX)
        exit = tell_infeasible(&j);
    else if (pare_cli_option(cli, "quiet"))
        puts(j.choice.trials.items[j.pick.chosen].hash);
    else if (cli->format != PARE_FORMAT_TABLE)
        exit = tell_data(&j) ? PARE_EXIT_OK : PARE_EXIT_FAILED;
    else
        rc = tell_people(&j, &err);
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_rows_free(&j.figures);
    pare_pick_free(&j.pick);
    pare_choice_free(&j.choice);
    pare_store_close(j.store);
    return exit;
}

static const struct pare_option options[] = {
    {"min", 0, "METRIC", "go by the lowest METRIC; may be repeated, the first weighs most"},
    {"max", 0, "METRIC", "go by the highest METRIC, such as top1"},
    {"where", 'w', "CONSTRAINT",
     "a further limit; replaces the pipeline's on the same metric and side"},
    {"quiet", 'q', NULL, "print the hash alone"},
    {"host", 0, "NAME", "figures of that host"},
    {"shape", 0, "NAME", "latency of that input shape"},
};

const struct pare_command pare_command_pick = {
    .name = "pick",
    .summary = "Pick one variant of the front",
    .arguments = "[PIPELINE]",
    .about = "Of the front's members that meet the limits, the one that is best in the first "
             "metric;\nwithin that metric's tolerance the next decides. Figures decide, not "
             "intervals; what is as\ngood as can be told and better elsewhere is named. Without "
             "--min or --max: "
             "the pipeline's\nobjectives in order, those without a limit first.\n\n"
             "A constraint is METRIC <= or >= NUMBER, baseline + NUMBER, baseline - NUMBER or\n"
             "NUMBER * baseline, with the units kB, MB, GB, ms, s, % and pp. Metrics: top1,\n"
             "acc_norm, spearman, perplexity, kl, agreement, latency_ms, latency_ms.SHAPE, "
             "size_bytes,\nmacs, parameters, peak_rss_bytes.\n"
             "Exit status 4: nothing meets the limits; the nearest miss is told.\n\n"
             "examples:\n"
             "  pare pick\n"
             "  pare pick --min latency_ms --where 'top1 >= baseline - 0.01' --where 'size_bytes "
             "<= 2 MB'\n"
             "  pare export \"$(pare pick -q)\" -o edge/",
    .least = 0,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
