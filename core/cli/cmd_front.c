/* SPDX-License-Identifier: Apache-2.0 */
/* The front of a pipeline: what is worth having, how sure that is, and what to do next. */
#include "cli/commands.h"
#include "cli/front_view.h"
#include "cli/show_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct view {
    struct pare_cli *cli;
    struct pare_front_view front;
    bool all, utf8;
    const struct pare_quality *quality;
    struct pare_rows metrics; /* that plugins bring */
};

static double number(const struct view *v, const struct pare_front_line *l, const char *column)
{
    return l->figures == SIZE_MAX ? (double)NAN
                                  : pare_rows_number(&v->front.figures, l->figures, column);
}

/* Of the summary; 0 and NULL where it is left out. */
static long long count_in(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text_in(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* ---- the table for people ---- */

static const char *mark_of(const struct view *v, const struct pare_front_line *l)
{
    if (l->baseline)
        return "=";
    if (l->status <= PARE_FRONT_FRONT && !l->folded)
        return v->utf8 ? "●" : "*";
    if (l->status == PARE_FRONT_MAYBE && !l->folded)
        return v->utf8 ? "○" : "o";
    return " ";
}

static void cell(struct pare_table *t, double value, int digits, const char *after)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f%s", digits, value, after);
    pare_table_number(t, value, text);
}

static void interval_cell(struct pare_table *t, double value, double lo, double hi, int digits,
                          const char *after)
{
    if (isnan(value))
        pare_table_text(t, NULL);
    else if (isnan(lo) || lo == hi)
        pare_table_printf(t, "%.*f%s", digits, value, after);
    else
        pare_table_printf(t, "%.*f%s [%.*f,%.*f]", digits, value, after, digits, lo, digits, hi);
}

/* How it differs from the baseline, with its interval where there is one. */
static struct pare_interval change_of(const struct view *v, const struct pare_front_line *l)
{
    const struct pare_quality *q = v->quality;
    struct pare_interval d = {NAN, NAN, NAN};
    char lo[64], hi[64];
    if (q->change) {
        snprintf(lo, sizeof lo, "%s_lo", q->change);
        snprintf(hi, sizeof hi, "%s_hi", q->change);
        return (struct pare_interval){number(v, l, q->change), number(v, l, lo), number(v, l, hi)};
    }
    for (size_t i = 0; i < v->front.n; i++) {
        if (v->front.lines[i].baseline)
            d.value = number(v, l, q->metric) - number(v, &v->front.lines[i], q->metric);
    }
    return d;
}

/* The figure, and its difference from the baseline's: of what is compared by logarithms as a share.
 */
static void quality_cells(const struct view *v, const struct pare_front_line *l,
                          struct pare_table *t)
{
    const char *pm = v->utf8 ? "±" : "+-";
    const struct pare_interval d = change_of(v, l);
    cell(t, number(v, l, v->quality->metric), v->quality->log ? 3 : 4, "");
    if (l->baseline || isnan(d.value))
        pare_table_text(t, NULL);
    else if (isnan(d.lo))
        pare_table_printf(t, "%+.4f", d.value);
    else if (v->quality->log)
        pare_table_printf(t, "%+.1f %% %s%.1f", 100 * expm1(d.value), pm,
                          50 * (expm1(d.hi) - expm1(d.lo)));
    else
        pare_table_printf(t, "%+.4f %s%.4f", d.value, pm, (d.hi - d.lo) / 2);
}

static void people_row(const struct view *v, const struct pare_front_line *l, struct pare_table *t)
{
    double size = number(v, l, "size_bytes");
    double ms = number(v, l, "latency_ms");
    char text[64];
    pare_table_text(t, mark_of(v, l));
    if (l->baseline)
        pare_table_text(t, "base");
    else
        cell(t, l->p_front, 2, "");
    pare_table_text(t, l->label);
    quality_cells(v, l, t);
    for (size_t i = 0; i < v->metrics.n; i++)
        cell(t, number(v, l, pare_rows_text(&v->metrics, i, "metric")), 4, "");
    interval_cell(t, ms, number(v, l, "latency_ms_lo"), number(v, l, "latency_ms_hi"),
                  ms < 10 ? 3 : 1, "");
    interval_cell(t, number(v, l, "speedup"), number(v, l, "speedup_lo"),
                  number(v, l, "speedup_hi"), 2, "x");
    if (isnan(size)) {
        pare_table_text(t, NULL);
    } else {
        pare_show_bytes(size, text);
        pare_table_number(t, size, text);
    }
    cell(t, number(v, l, "size_ratio"), 1, "x");
    if (!v->all)
        return;
    pare_table_text(t, l->baseline ? "" : pare_front_status_name(l->status));
    pare_table_text(t, l->why);
}

static void print_header(const struct view *v)
{
    static const struct {
        const char *key, *words;
    } counts[] = {{"failed", "failed"}, {"impossible", "impossible"}, {"stopped", "stopped early"}};
    const json_t *s = v->front.summary;
    long long n = count_in(s, "variants"), threads = count_in(s, "threads");
    const char *data = text_in(s, "data");
    printf("%s: %lld variant%s", v->front.pipeline, n, n == 1 ? "" : "s");
    for (size_t i = 0; i < PARE_COUNT(counts); i++) {
        if (count_in(s, counts[i].key))
            printf(", %lld %s", count_in(s, counts[i].key), counts[i].words);
    }
    if (count_in(s, "samples"))
        printf(" | %s n=%lld", data ? data : "samples", count_in(s, "samples"));
    if (v->front.host)
        printf(" | %s: batch %lld, %lld thread%s | host %s, session %lld, %lld rounds",
               v->front.shape, count_in(s, "batch"), threads, threads == 1 ? "" : "s",
               v->front.host, count_in(s, "session"), count_in(s, "rounds"));
    else
        printf(" | %s", v->front.shape ? "not timed yet" : "not timed");
    putchar('\n');
}

/* "hidden: 2 infeasible (top1, size_bytes), 5 folded (--all)        knee: drop1+q8" */
static void print_hidden(const struct view *v)
{
    const json_t *s = v->front.summary, *hidden = json_object_get(s, "hidden");
    const json_t *broken = json_object_get(s, "broken");
    const char *comma = "hidden: ";
    for (int k = PARE_FRONT_OUT; k <= PARE_FRONT_UNMEASURED + 1 && !v->all; k++) {
        const char *key = k <= PARE_FRONT_UNMEASURED
                              ? pare_front_status_name((enum pare_front_status)k)
                              : "folded";
        if (!count_in(hidden, key))
            continue;
        printf("%s%lld %s", comma, count_in(hidden, key), key);
        comma = ", ";
        for (size_t i = 0; k == PARE_FRONT_INFEASIBLE && i < json_array_size(broken); i++)
            printf("%s%s%s", i ? ", " : " (", json_string_value(json_array_get(broken, i)),
                   i + 1 == json_array_size(broken) ? ")" : "");
    }
    if (comma[0] == ',')
        printf(" (--all)        ");
    const char *knee = text_in(s, "knee");
    printf("knee: %s\n", knee ? knee : "none");
}

/* Which metric's noise decides, and how much more of it would settle the one most in doubt. */
static void print_limiting(const struct view *v)
{
    const json_t *s = v->front.summary, *limit = json_object_get(s, "limit");
    const char *metric = text_in(limit, "metric"), *missing = text_in(limit, "missing");
    long long more = count_in(limit, "more"), waiting = count_in(limit, "waiting");
    char count[48];
    if (metric) {
        printf("limits the decision: %s", strcmp(metric, "top1") == 0 ? "accuracy" : metric);
        if (more > 0) {
            pare_format_grouped((uint64_t)more, count);
            printf("; about %s more %s would settle %s", count, text_in(limit, "of"),
                   text_in(limit, "settles"));
        }
        putchar('\n');
    } else if (missing && !waiting) {
        printf("limits the decision: %s has a value for no sample\n", missing);
    } else if (missing) {
        printf("limits the decision: %s of %lld variant%s is not measured yet\n", missing, waiting,
               waiting == 1 ? "" : "s");
    } else {
        printf("limits the decision: %s\n", count_in(s, "feasible") ? "nothing, all is settled"
                                            : text_in(s, "nearest") ? "the constraints"
                                                                    : "nothing is there to choose");
    }
}

static void print_infeasible(const struct view *v)
{
    const char *nearest = text_in(v->front.summary, "nearest");
    const char *breaks = text_in(v->front.summary, "breaks");
    if (!nearest)
        return;
    printf("nothing meets the constraints; nearest: %s", nearest);
    if (breaks)
        printf(", which breaks %s", breaks);
    putchar('\n');
}

static void print_next(const struct view *v)
{
    const char *ask = text_in(v->front.summary, "ask");
    if (!v->front.host && v->front.shape)
        puts("next: run the pipeline on to time its variants");
    else if (ask)
        printf("next: pare why %s | pare pick\n", ask);
    else
        puts("next: pare front --all | pare pick");
}

static bool print_people(const struct view *v)
{
    const char *const columns[] = {"", "p", "variant", v->quality->metric, "vs baseline"};
    static const char *const behind[] = {"latency ms", "speed-up", "size", "ratio"};
    struct pare_table t = {0};
    for (size_t c = 0; c < PARE_COUNT(columns); c++)
        pare_table_column(&t, columns[c]);
    for (size_t i = 0; i < v->metrics.n; i++)
        pare_table_column(&t, pare_rows_text(&v->metrics, i, "metric"));
    for (size_t c = 0; c < PARE_COUNT(behind); c++)
        pare_table_column(&t, behind[c]);
    if (v->all) {
        pare_table_column(&t, "status");
        pare_table_column(&t, "why");
    }
    for (size_t k = 0; k < v->front.n; k++) {
        if (v->all || v->front.lines[k].shown)
            people_row(v, &v->front.lines[k], &t);
    }
    print_header(v);
    bool fine = pare_table_print(&t, PARE_FORMAT_TABLE, stdout);
    print_hidden(v);
    print_infeasible(v);
    print_limiting(v);
    print_next(v);
    return fine;
}

/* ---- for programs: every figure ---- */

static const char *const own[] = {"pipeline",     "label", "status",  "p_front",
                                  "p_feasible",   "knee",  "is_knee", "rank",
                                  "folded_under", "rival", "why"};

static bool is_own(const char *name)
{
    bool yes = false;
    for (size_t i = 0; i < PARE_COUNT(own); i++)
        yes = yes || strcmp(own[i], name) == 0;
    return yes;
}

static bool print_data(const struct view *v)
{
    const struct pare_rows *figures = &v->front.figures;
    const char *knee = text_in(v->front.summary, "knee");
    struct pare_table t = {0};
    for (size_t c = 0; c < PARE_COUNT(own); c++)
        pare_table_column(&t, own[c]);
    for (size_t c = 0; c < figures->n_columns; c++) {
        if (!is_own(figures->names[c]))
            pare_table_column(&t, figures->names[c]);
    }
    for (size_t k = 0; k < v->front.n; k++) {
        const struct pare_front_line *l = &v->front.lines[k];
        if (l->figures == SIZE_MAX)
            continue;
        pare_table_text(&t, v->front.pipeline);
        pare_table_text(&t, l->label);
        pare_table_text(&t, pare_front_status_name(l->status));
        pare_table_number(&t, l->p_front, NULL);
        pare_table_number(&t, l->p_feasible, NULL);
        pare_table_number(&t, l->knee, NULL);
        pare_table_integer(&t, knee && strcmp(knee, l->label) == 0);
        if (isnan(l->rank))
            pare_table_text(&t, NULL);
        else
            pare_table_integer(&t, (int64_t)l->rank);
        pare_table_text(&t, l->folded);
        pare_table_text(&t, l->rival);
        pare_table_text(&t, l->why);
        for (size_t c = 0; c < figures->n_columns; c++) {
            if (!is_own(figures->names[c]))
                pare_rows_cell(figures, l->figures, c, PARE_FORMAT_CSV, &t);
        }
    }
    return pare_table_print(&t, v->cli->format, stdout);
}

/* ---- the plot ---- */

static int plot(const struct view *v, struct pare_error *err)
{
    bool timed = v->front.host != NULL;
    size_t n = v->front.n;
    struct pare_plot_point *points = pare_calloc(n, sizeof *points);
    if (!points)
        return pare_error_nomem(err, 0);
    for (size_t k = 0; k < n; k++) {
        const struct pare_front_line *l = &v->front.lines[k];
        double none = (double)NAN;
        points[k] = (struct pare_plot_point){
            .label = l->label,
            .x = timed ? (struct pare_interval){number(v, l, "latency_ms"),
                                                number(v, l, "latency_ms_lo"),
                                                number(v, l, "latency_ms_hi")}
                       : (struct pare_interval){number(v, l, "size_bytes") / 1e6, none, none},
            .y = {number(v, l, v->quality->metric), none, none},
            .kind = l->baseline                     ? PARE_PLOT_BASELINE
                    : l->folded                     ? PARE_PLOT_OTHER
                    : l->status <= PARE_FRONT_FRONT ? PARE_PLOT_FRONT
                    : l->status == PARE_FRONT_MAYBE ? PARE_PLOT_MAYBE
                                                    : PARE_PLOT_OTHER};
        /* The bar is that of the paired difference: what tells members apart. */
        const struct pare_interval d = change_of(v, l);
        if (!l->baseline && !isnan(d.lo) && !v->quality->log) {
            points[k].y.lo = points[k].y.value - (d.hi - d.lo) / 2;
            points[k].y.hi = points[k].y.value + (d.hi - d.lo) / 2;
        }
    }
    const struct pare_plot p = {.x_title = timed ? "latency ms" : "size MB",
                                .y_title = v->quality->metric,
                                .points = points,
                                .n = n,
                                .width = 60,
                                .height = 16,
                                .utf8 = v->utf8,
                                .log_x = false};
    int rc = pare_plot_print(&p, stdout, err);
    free(points);
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct view v = {
        .cli = cli, .utf8 = pare_cli_utf8(), .all = pare_cli_option(cli, "all") != NULL};
    struct pare_error err = {0};
    const struct pare_choice_query query = {.pipeline = cli->n_args ? cli->args[0] : NULL,
                                            .host = pare_cli_option(cli, "host"),
                                            .shape = pare_cli_option(cli, "shape")};
    int exit = PARE_EXIT_OK, rc;
    bool plotted = pare_cli_option(cli, "plot") != NULL;
    if (plotted && cli->format != PARE_FORMAT_TABLE)
        return pare_cli_usage(cli, "--plot draws for people: it goes with no other --format");
    struct pare_store *store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!store)
        return exit;
    PARE_TRY(pare_front_view_load(store, &query, v.all || plotted, &v.front, &err));
    PARE_TRY(pare_cli_plugin_metrics(store, v.front.pipeline, &v.metrics, &err));
    const char *quality = text_in(v.front.summary, "quality");
    v.quality = quality ? pare_quality_of(quality) : NULL;
    if (!v.quality)
        v.quality = pare_quality_of("top1");
    if (!(cli->format == PARE_FORMAT_TABLE ? print_people(&v) : print_data(&v)))
        exit = PARE_EXIT_FAILED;
    if (plotted) {
        putchar('\n');
        rc = plot(&v, &err);
    }
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_rows_free(&v.metrics);
    pare_front_view_free(&v.front);
    pare_store_close(store);
    return exit;
}

static const struct pare_option options[] = {
    {"all", 'a', NULL, "also what is out, infeasible, folded or not measured, and why"},
    {"plot", 'p', NULL, "also draw the quality against latency (size, while nothing is timed)"},
    {"host", 0, "NAME", "figures of that host (this one, if it timed something)"},
    {"shape", 0, "NAME", "latency of that input shape (the pipeline's first)"},
};

const struct pare_command pare_command_front = {
    .name = "front",
    .summary = "Show the variants worth having, and how sure that is",
    .arguments = "[PIPELINE]",
    .about = "PIPELINE is by default the one planned last. `p` is the share of 1000 bootstrap\n"
             "draws of the same samples and rounds in which a variant is on the front:\n"
             "  ●  on the front (p at least 0.5)   ○  too close to call   =  the baseline\n"
             "Intervals are 95 %. Members within the objectives' tolerance of another are folded\n"
             "under it.\n\n"
             "examples:\n"
             "  pare front\n"
             "  pare front fashion-vit --all\n"
             "  pare front --plot --host nuc --shape edge\n"
             "  pare front --all --format csv > front.csv",
    .least = 0,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
