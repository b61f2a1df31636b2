/* SPDX-License-Identifier: Apache-2.0 */
/* Why a variant stands where it stands: who beats it, and where its time, bytes and accuracy go. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/show_cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MIN = 20, RUNS_MAX = 300 };
#define PROFILE_S 3.0 /* what profiling may take, about */

struct job {
    struct pare_cli *cli;
    struct pare_store *store;
    struct pare_store_ref ref;
    struct pare_choice choice;
    size_t at; /* of the variant in the choice */
    struct pare_rows stages;
    struct pare_profile base, own;
    bool profiled;
    char not_profiled[1024]; /* why not */
    struct pare_costs layers, operations;
    json_t *reasons;
};

static double figure(const struct job *j, size_t i, size_t m)
{
    return j->choice.front.point[i * j->choice.front.n_metrics + m];
}

static int load(struct job *j, struct pare_error *err)
{
    struct pare_rows place = {0};
    const char *pipeline;
    int rc;
    PARE_TRY(pare_cli_pipeline_of(j->store, &j->ref, &place, &pipeline, err));
    if (!pipeline) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "'%s' is in no pipeline's plan now", j->ref.label);
        pare_error_hint(err, "`pare show %s` tells what is known of it", j->ref.label);
        goto out;
    }
    const char *closely = j->ref.hash;
    const struct pare_choice_query query = {.pipeline = pipeline,
                                            .closely = &closely,
                                            .n_closely = 1,
                                            .host = pare_cli_option(j->cli, "host"),
                                            .shape = pare_cli_option(j->cli, "shape")};
    PARE_TRY(pare_choice_make(j->store, &query, &j->choice, err));
    j->at = pare_choice_variant(&j->choice, j->ref.hash);
    if (j->at == SIZE_MAX) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "'%s' is not in the plan of %s now", j->ref.label,
                            pipeline);
        goto out;
    }
    PARE_TRY(pare_stage_effects(j->store, j->ref.hash, pipeline, &j->stages, err));
out:
    pare_rows_free(&place);
    return rc;
}

/* ---- profiles ---- */

static int open_variant(struct job *j, size_t i, struct pare_model **out, struct pare_error *err)
{
    struct pare_store_ref ref = {.variant_id = j->choice.trials.items[i].variant_id};
    char *path = NULL;
    snprintf(ref.hash, sizeof ref.hash, "%s", j->choice.trials.items[i].hash);
    snprintf(ref.label, sizeof ref.label, "%s", j->choice.trials.items[i].label);
    int rc = pare_variant_file(j->store, &ref, &path, err);
    if (rc == PARE_OK)
        rc = pare_model_open(path, out, err);
    free(path);
    return rc;
}

/* As many inferences of both as fit the time. */
static uint32_t runs_for(const struct job *j)
{
    size_t m = pare_choice_metric(&j->choice, "latency_ms");
    double ms = figure(j, j->at, m) + figure(j, j->choice.trials.baseline, m);
    if (isnan(ms))
        ms = 20;
    return (uint32_t)fmin(fmax(PROFILE_S * 1e3 / ms, RUNS_MIN), RUNS_MAX);
}

/* Batch and threads of the shape that the choice is about; 1 and 1 while nothing is timed. */
static int shape_of(const struct job *j, struct pare_profile_shape *shape, struct pare_error *err)
{
    struct pare_rows rows = {0};
    const struct pare_argument args[] = {{"pipeline", j->choice.trials.pipeline},
                                         {"shape", j->choice.trials.shape}};
    *shape = (struct pare_profile_shape){.batch = 1, .threads = 1, .runs = runs_for(j)};
    int rc = pare_rows_load(j->store,
                            "SELECT json_extract(s.definition, '$.batch') AS batch, "
                            "json_extract(s.definition, '$.threads') AS threads, "
                            "coalesce(json_extract(s.definition, '$.prefill'), "
                            "s.definition ->> '$.decode' IS NOT NULL) AS tokens FROM shape s JOIN "
                            "pipeline p ON p.pipeline_id = s.pipeline_id WHERE p.name = :pipeline "
                            "AND (:shape IS NULL OR s.name = :shape) ORDER BY s.position LIMIT 1",
                            args, 2, &rows, err);
    if (rc == PARE_OK && rows.n) {
        shape->batch = (uint32_t)fmin(fmax(pare_rows_number(&rows, 0, "batch"), 1), 65536);
        shape->threads = (uint32_t)fmin(fmax(pare_rows_number(&rows, 0, "threads"), 1), 1024);
        shape->tokens = (uint32_t)fmin(fmax(pare_rows_number(&rows, 0, "tokens"), 0), 65536);
    }
    pare_rows_free(&rows);
    return rc;
}

static int profile(struct job *j, struct pare_error *err)
{
    struct pare_model *base = NULL, *own = NULL;
    struct pare_profile_shape shape;
    int rc;
    PARE_TRY(shape_of(j, &shape, err));
    PARE_TRY(open_variant(j, j->choice.trials.baseline, &base, err));
    PARE_TRY(open_variant(j, j->at, &own, err));
    const struct pare_graph *const graphs[] = {base->graph, own->graph};
    struct pare_profile *const profiles[] = {&j->base, &j->own};
    pare_flush_denormals();
    PARE_TRY(pare_profile_run(graphs, 2, &shape, profiles, err));
    PARE_TRY(pare_costs_of(&j->base, &j->own, false, &j->layers, err));
    PARE_TRY(pare_costs_of(&j->base, &j->own, true, &j->operations, err));
    j->reasons = pare_costs_reasons(&j->operations);
    j->profiled = true;
out:
    pare_model_free(base);
    pare_model_free(own);
    return rc;
}

/* ---- telling ---- */

static void print_standing(const struct job *j)
{
    const struct pare_front_item *item = &j->choice.front.items[j->at];
    char why[256];
    pare_choice_why(&j->choice, j->at, why);
    printf("%s: %s", j->ref.label, pare_front_status_name(item->status));
    if (!isnan(item->p_front))
        printf(", on the front in %.1f %% and within the limits in %.1f %% of the draws",
               100 * item->p_front, 100 * item->p_feasible);
    printf("%s%s\n", why[0] ? ": " : "", why);
    if (strcmp(j->choice.trials.items[j->at].state, "failed") == 0)
        printf("  `pare show %s` prints its log\n", j->ref.label);
}

static void print_limits(const struct job *j)
{
    for (size_t b = 0; b < j->choice.input.n_bounds; b++) {
        const struct pare_front_bound *bound = &j->choice.input.bounds[b];
        double v = figure(j, j->at, bound->metric);
        double limit = pare_front_limit(bound, figure(j, j->choice.trials.baseline, bound->metric));
        char value[48], at[48];
        if (isnan(v))
            continue;
        pare_show_metric(&j->choice.known[bound->metric], v, value);
        pare_show_metric(&j->choice.known[bound->metric], limit, at);
        bool kept = pare_front_room(bound, limit, v) >= 0;
        printf("  limit %s: %s is %s, the limit %s: %s\n", j->choice.constraint_texts[b],
               j->choice.known[bound->metric].name, value, at, kept ? "kept" : "broken");
    }
}

/* Comparisons in every objective: what it is, against another. */
static void print_against(const struct job *j, size_t other, const char *how)
{
    bool any = false;
    for (size_t m = 0; m < j->choice.n_known; m++) {
        struct pare_comparison d;
        char text[160];
        if (!j->choice.input.metrics[m].objective ||
            pare_front_compare(&j->choice.input, m, j->at, other, 0.95, &d, NULL) != PARE_OK)
            continue;
        if (!any)
            printf("against %s%s:\n", j->choice.trials.items[other].label, how);
        any = true;
        pare_show_comparison(&j->choice.known[m], &d, text);
        const enum pare_figure_kind kind = j->choice.input.metrics[m].kind;
        const bool exact = kind == PARE_FIGURE_EXACT;
        double worse = (d.ratio ? d.difference.value - 1 : d.difference.value) *
                       j->choice.input.metrics[m].direction;
        printf("  %s: %s%s\n", text,
               exact         ? (worse < 0   ? "worse"
                                : worse > 0 ? "better"
                                            : "the same")
               : !d.distinct ? "not distinguishable"
               : worse < 0   ? "worse"
                             : "better",
               exact || d.paired            ? ""
               : kind == PARE_FIGURE_SPREAD ? ", each by itself"
                                            : ", through the baseline");
    }
}

static void print_settle(const struct job *j)
{
    const struct pare_front_item *item = &j->choice.front.items[j->at];
    if (item->settle_metric == SIZE_MAX || item->settle_more == 0)
        return;
    char count[48];
    pare_format_grouped(item->settle_more, count);
    printf("undecided for want of %s: about %s more %s would settle it\n",
           j->choice.known[item->settle_metric].name, count,
           j->choice.input.metrics[item->settle_metric].kind == PARE_FIGURE_SAMPLES ? "samples"
                                                                                    : "rounds");
}

static void print_profile(const struct job *j)
{
    const json_t *reason;
    size_t i;
    if (!j->profiled) {
        printf("\nwhere its time goes: not known: %s\n", j->not_profiled);
        return;
    }
    printf("\nwhere time, bytes and MACs go, by layer (profiled just now: %.3f ms against %.3f)\n",
           j->own.total_ns / 1e6, j->base.total_ns / 1e6);
    pare_costs_print(&j->layers, false, stdout);
    puts("\nby operation, over all layers");
    pare_costs_print(&j->operations, true, stdout);
    puts("\nlikely reasons, from these figures");
    json_array_foreach(j->reasons, i, reason) printf("  - %s\n", json_string_value(reason));
}

static int print_units(const struct job *j, struct pare_error *err)
{
    struct pare_rows rows;
    const struct pare_argument args[] = {{"hash", j->ref.hash},
                                         {"pipeline", j->choice.trials.pipeline}};
    int rc = pare_rows_load(
        j->store,
        "SELECT stage, name, CASE WHEN unit LIKE 'layer.%' THEN 'layer.' || "
        "CAST(substr(unit, 7) AS INTEGER) ELSE unit END AS layer, "
        "group_concat(DISTINCT value) AS \"values\", avg(score) AS mean_score, "
        "sum(bytes_before) AS bytes_before, sum(bytes_after) AS bytes_after, "
        "sum(macs_before) AS macs_before, sum(macs_after) AS macs_after FROM unit_values "
        "WHERE variant = :hash AND pipeline = :pipeline AND (stage, name) IN (SELECT stage, name "
        "FROM unit_values WHERE variant = :hash AND pipeline = :pipeline GROUP BY stage, name "
        "HAVING count(DISTINCT value) > 1 OR count(score) > 0) GROUP BY stage, name, layer "
        "ORDER BY stage, name, CAST(substr(unit, 7) AS INTEGER)",
        args, 2, &rows, err);
    if (rc == PARE_OK && rows.n) {
        puts("\nwhat was decided for each layer");
        pare_rows_print(&rows, PARE_FORMAT_TABLE, stdout);
    }
    pare_rows_free(&rows);
    return rc;
}

static int tell_people(struct job *j, struct pare_error *err)
{
    size_t rival = j->choice.front.items[j->at].rival, base = j->choice.trials.baseline;
    print_standing(j);
    print_limits(j);
    if (rival != SIZE_MAX)
        print_against(j, rival, ", which beats it most often");
    if (j->at != base && rival != base)
        print_against(j, base, "");
    print_settle(j);
    if (j->stages.n) {
        puts("\nwhat each stage costs and gives here (with it against without)");
        pare_rows_print(&j->stages, PARE_FORMAT_TABLE, stdout);
    }
    int rc = print_units(j, err);
    if (rc == PARE_OK && j->at != base && strcmp(j->choice.trials.items[j->at].state, "ok") == 0)
        print_profile(j);
    return rc;
}

static json_t *against_json(const struct job *j, size_t other)
{
    json_t *list = json_array();
    for (size_t m = 0; m < j->choice.n_known; m++) {
        struct pare_comparison d;
        if (pare_front_compare(&j->choice.input, m, j->at, other, 0.95, &d, NULL) != PARE_OK)
            continue;
        json_array_append_new(
            list,
            json_pack("{s:s, s:f, s:o, s:o, s:b, s:b, s:b}", "metric", j->choice.known[m].name,
                      "difference", d.difference.value, "lo",
                      isnan(d.difference.lo) ? json_null() : json_real(d.difference.lo), "hi",
                      isnan(d.difference.hi) ? json_null() : json_real(d.difference.hi), "ratio",
                      (int)d.ratio, "paired", (int)d.paired, "distinct", (int)d.distinct));
    }
    return list;
}

static bool tell_json(struct job *j)
{
    const struct pare_front_item *item = &j->choice.front.items[j->at];
    json_t *o = json_object();
    char why[256];
    pare_choice_why(&j->choice, j->at, why);
    json_object_set_new(o, "label", json_string(j->ref.label));
    json_object_set_new(o, "variant", json_string(j->ref.hash));
    json_object_set_new(o, "status", json_string(pare_front_status_name(item->status)));
    json_object_set_new(o, "p_front",
                        isnan(item->p_front) ? json_null() : json_real(item->p_front));
    json_object_set_new(o, "p_feasible",
                        isnan(item->p_feasible) ? json_null() : json_real(item->p_feasible));
    json_object_set_new(o, "why", json_string(why));
    if (item->rival != SIZE_MAX) {
        json_object_set_new(o, "rival", json_string(j->choice.trials.items[item->rival].label));
        json_object_set_new(o, "against_rival", against_json(j, item->rival));
    }
    json_object_set_new(o, "against_baseline", against_json(j, j->choice.trials.baseline));
    json_object_set_new(o, "stages", pare_rows_json(&j->stages));
    if (j->profiled) {
        json_object_set_new(o, "layers", pare_costs_json(&j->layers));
        json_object_set_new(o, "operations", pare_costs_json(&j->operations));
        json_object_set(o, "reasons", j->reasons);
    } else if (j->not_profiled[0]) {
        json_object_set_new(o, "not_profiled", json_string(j->not_profiled));
    }
    return pare_cli_json(o);
}

static int run(struct pare_cli *cli)
{
    struct job j = {.cli = cli};
    struct pare_error err = {0}, ignored = {0};
    int exit = PARE_EXIT_OK, rc;
    if (cli->format != PARE_FORMAT_TABLE && cli->format != PARE_FORMAT_JSON)
        return pare_cli_usage(cli, "why is told as table or json");
    j.store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!j.store)
        return exit;
    if (!pare_cli_variant(j.store, cli->args[0], &j.ref, &exit)) {
        pare_store_close(j.store);
        return exit;
    }
    PARE_TRY(load(&j, &err));
    /* The rest holds without profiles: models may have been cleared away. */
    if (pare_cli_option(cli, "no-profile"))
        snprintf(j.not_profiled, sizeof j.not_profiled, "--no-profile was given");
    else if (j.at != j.choice.trials.baseline && profile(&j, &ignored) != PARE_OK)
        snprintf(j.not_profiled, sizeof j.not_profiled, "%s%s%s", ignored.what,
                 ignored.hint[0] ? "; " : "", ignored.hint);
    if (cli->format == PARE_FORMAT_JSON)
        exit = tell_json(&j) ? PARE_EXIT_OK : PARE_EXIT_FAILED;
    else
        rc = tell_people(&j, &err);
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    json_decref(j.reasons);
    pare_costs_free(&j.layers);
    pare_costs_free(&j.operations);
    pare_profile_free(&j.base);
    pare_profile_free(&j.own);
    pare_rows_free(&j.stages);
    pare_choice_free(&j.choice);
    pare_store_close(j.store);
    return exit;
}

static const struct pare_option options[] = {
    {"host", 0, "NAME", "figures of that host"},
    {"shape", 0, "NAME", "latency of that input shape"},
    {"no-profile", 0, NULL, "do not run the model to see where its time goes"},
};

const struct pare_command pare_command_why = {
    .name = "why",
    .summary = "Tell why a variant is, or is not, worth having",
    .arguments = "VARIANT",
    .about = "Who beats it and by how much, on the same samples and rounds; which limits it keeps; "
             "what\neach stage costs and gives. Its model and the baseline's are then run in turn "
             "for about\n3 s in this process, to see where time goes: by layer, by operation with "
             "the kernel that\nran, and what that says about why it is not faster.\n\n"
             "examples:\n"
             "  pare why p2:4\n"
             "  pare why drop2+q8 --format json",
    .least = 1,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
