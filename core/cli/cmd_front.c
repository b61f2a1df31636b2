/* SPDX-License-Identifier: Apache-2.0 */
/* The front of a pipeline: what is worth having, how sure that is, and what to do next. */
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/show_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct view {
    struct pare_cli *cli;
    struct pare_choice choice;
    struct pare_rows figures; /* of the view `variants`, one row per variant */
    struct pare_rows about;   /* one row: sessions, rounds, data */
    bool utf8;
};

static double number(const struct view *v, size_t i, const char *column)
{
    return pare_rows_number(&v->figures, pare_choice_row(&v->choice, &v->figures, i), column);
}

static int load(struct view *v, struct pare_store *store, struct pare_error *err)
{
    int rc;
    struct pare_choice_query query = {.pipeline = v->cli->n_args ? v->cli->args[0] : NULL,
                                      .host = pare_cli_option(v->cli, "host"),
                                      .shape = pare_cli_option(v->cli, "shape")};
    PARE_TRY(pare_choice_make(store, &query, &v->choice, err));
    const struct pare_argument args[] = {{"pipeline", v->choice.trials.pipeline},
                                         {"host", v->choice.trials.host},
                                         {"shape", v->choice.trials.shape}};
    PARE_TRY(pare_rows_load(
        store,
        "SELECT (SELECT data_name FROM measurements WHERE pipeline = :pipeline AND role = "
        "'evaluate' LIMIT 1) AS data, l.session, l.rounds, s.definition FROM latencies l JOIN "
        "session s "
        "ON s.session_id = l.session WHERE l.pipeline = :pipeline AND l.host IS :host AND "
        "l.shape IS :shape AND l.session = (SELECT session FROM variants WHERE pipeline = "
        ":pipeline "
        "AND host IS :host AND shape IS :shape AND label = 'baseline') AND l.label = 'baseline' "
        "UNION ALL "
        "SELECT (SELECT data_name FROM measurements WHERE pipeline = :pipeline AND role = "
        "'evaluate' LIMIT 1), NULL, NULL, NULL LIMIT 1",
        args, 3, &v->about, err));
out:
    return rc;
}

/* ---- which rows, in which order ---- */

static bool shown(const struct view *v, size_t i, bool all)
{
    const struct pare_front_item *item = &v->choice.front.items[i];
    return all || i == v->choice.trials.baseline ||
           (item->status <= PARE_FRONT_MAYBE && item->folded == SIZE_MAX);
}

/* Sorted by latency, else by the first objective's point; what has none comes last. */
static double sort_key(const struct view *v, size_t i)
{
    const struct pare_front *f = &v->choice.front;
    size_t by = pare_choice_metric(&v->choice, "latency_ms");
    if (!v->choice.trials.host)
        by = pare_choice_metric(&v->choice, "size_bytes");
    double x = f->point[i * f->n_metrics + by];
    return isnan(x) ? HUGE_VAL : x;
}

struct keyed {
    double key;
    size_t at;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int sorted(const struct view *v, bool all, size_t *out, size_t *n, struct pare_error *err)
{
    struct keyed *order = pare_alloc(v->choice.trials.n, sizeof *order);
    *n = 0;
    if (!order)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < v->choice.trials.n; i++) {
        if (shown(v, i, all))
            order[(*n)++] = (struct keyed){sort_key(v, i), i};
    }
    qsort(order, *n, sizeof *order, by_key);
    for (size_t k = 0; k < *n; k++)
        out[k] = order[k].at;
    free(order);
    return PARE_OK;
}

/* ---- the table for people ---- */

static const char *mark_of(const struct view *v, size_t i)
{
    const struct pare_front_item *item = &v->choice.front.items[i];
    if (i == v->choice.trials.baseline)
        return "=";
    if (item->status <= PARE_FRONT_FRONT && item->folded == SIZE_MAX)
        return v->utf8 ? "●" : "*";
    if (item->status == PARE_FRONT_MAYBE && item->folded == SIZE_MAX)
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

static void people_row(const struct view *v, size_t i, bool all, struct pare_table *t)
{
    const struct pare_front_item *item = &v->choice.front.items[i];
    double d = number(v, i, "d_top1"), size = number(v, i, "size_bytes");
    double ms = number(v, i, "latency_ms");
    char text[64], why[256];
    pare_table_text(t, mark_of(v, i));
    if (i == v->choice.trials.baseline)
        pare_table_text(t, "base");
    else
        cell(t, item->p_front, 2, "");
    pare_table_text(t, v->choice.trials.items[i].label);
    cell(t, number(v, i, "top1"), 4, "");
    if (i == v->choice.trials.baseline || isnan(d)) {
        pare_table_text(t, NULL);
    } else {
        double half = (number(v, i, "d_top1_hi") - number(v, i, "d_top1_lo")) / 2;
        pare_table_printf(t, "%+.4f %s%.4f", d, v->utf8 ? "±" : "+-", half);
    }
    interval_cell(t, ms, number(v, i, "latency_ms_lo"), number(v, i, "latency_ms_hi"),
                  ms < 10 ? 3 : 1, "");
    interval_cell(t, number(v, i, "speedup"), number(v, i, "speedup_lo"),
                  number(v, i, "speedup_hi"), 2, "x");
    if (isnan(size)) {
        pare_table_text(t, NULL);
    } else {
        pare_show_bytes(size, text);
        pare_table_number(t, size, text);
    }
    cell(t, number(v, i, "size_ratio"), 1, "x");
    if (!all)
        return;
    pare_choice_why(&v->choice, i, why);
    pare_table_text(t, i == v->choice.trials.baseline ? "" : pare_front_status_name(item->status));
    pare_table_text(t, why[0] ? why : NULL);
}

static void print_header(const struct view *v)
{
    const struct pare_trials *t = &v->choice.trials;
    size_t failed = 0, skipped = 0, stopped = 0;
    double session = pare_rows_number(&v->about, 0, "session");
    const char *data = pare_rows_text(&v->about, 0, "data");
    const char *definition = pare_rows_text(&v->about, 0, "definition");
    for (size_t i = 0; i < t->n; i++) {
        failed += strcmp(t->items[i].state, "failed") == 0 ||
                  strcmp(t->items[i].state, "lost") == 0 ||
                  strcmp(t->items[i].state, "blocked") == 0;
        skipped += strcmp(t->items[i].state, "skipped") == 0;
        stopped += strcmp(t->items[i].state, "stopped") == 0;
    }
    printf("%s: %zu variant%s", t->pipeline, t->n, t->n == 1 ? "" : "s");
    if (failed)
        printf(", %zu failed", failed);
    if (skipped)
        printf(", %zu impossible", skipped);
    if (stopped)
        printf(", %zu stopped early", stopped);
    if (t->n_samples)
        printf(" | %s n=%zu", data ? data : "samples", t->n_samples);
    if (t->host) {
        json_t *shape = definition ? json_loads(definition, 0, NULL) : NULL;
        int threads = (int)json_integer_value(json_object_get(shape, "threads"));
        printf(" | %s: batch %d, %d thread%s | host %s, session %.0f, %.0f rounds", t->shape,
               (int)json_integer_value(json_object_get(shape, "batch")), threads,
               threads == 1 ? "" : "s", t->host, session, pare_rows_number(&v->about, 0, "rounds"));
        json_decref(shape);
    } else {
        printf(" | not timed yet");
    }
    putchar('\n');
}

/* "2 infeasible (top1, size_bytes)": the metrics whose limits are broken. */
static void print_broken(const struct view *v)
{
    bool named[64] = {false}, first = true;
    for (size_t i = 0; i < v->choice.trials.n; i++) {
        if (v->choice.front.items[i].status != PARE_FRONT_INFEASIBLE)
            continue;
        size_t b = pare_choice_broken(&v->choice, i);
        size_t m = b == SIZE_MAX ? SIZE_MAX : v->choice.input.bounds[b].metric;
        if (m >= PARE_COUNT(named) || named[m])
            continue;
        named[m] = true;
        printf("%s%s", first ? " (" : ", ", v->choice.known[m].name);
        first = false;
    }
    if (!first)
        putchar(')');
}

static void print_hidden(const struct view *v, bool all)
{
    const struct pare_front *f = &v->choice.front;
    size_t count[PARE_FRONT_UNMEASURED + 1] = {0}, folded = 0, total = 0;
    const char *comma = "";
    for (size_t i = 0; i < f->n; i++) {
        if (shown(v, i, all))
            continue;
        total++;
        if (f->items[i].status <= PARE_FRONT_MAYBE)
            folded++;
        else
            count[f->items[i].status]++;
    }
    if (total) {
        printf("hidden: ");
        for (int s = PARE_FRONT_OUT; s <= PARE_FRONT_UNMEASURED; s++) {
            if (!count[s])
                continue;
            printf("%s%zu %s", comma, count[s], pare_front_status_name((enum pare_front_status)s));
            if (s == PARE_FRONT_INFEASIBLE)
                print_broken(v);
            comma = ", ";
        }
        if (folded)
            printf("%s%zu folded", comma, folded);
        printf(" (--all)        ");
    }
    printf("knee: %s\n", f->knee == SIZE_MAX ? "none" : v->choice.trials.items[f->knee].label);
}

/* No metric's noise decides. That is so as well where there is nothing to decide on. */
static void print_settled(const struct view *v)
{
    const struct pare_front *f = &v->choice.front;
    size_t waiting = 0, missing = SIZE_MAX;
    for (size_t i = 0; i < f->n; i++) {
        if (f->items[i].missing == SIZE_MAX || strcmp(v->choice.trials.items[i].state, "ok") != 0)
            continue;
        waiting++;
        missing = f->items[i].missing;
    }
    if (waiting)
        printf("limits the decision: %s of %zu variant%s is not measured yet\n",
               v->choice.known[missing].name, waiting, waiting == 1 ? "" : "s");
    else if (!f->n_feasible)
        puts("limits the decision: the constraints");
    else
        puts("limits the decision: nothing, all is settled");
}

/* Which metric's noise decides, and how much more of it would settle the one most in doubt. */
static void print_limiting(const struct view *v)
{
    const struct pare_front *f = &v->choice.front;
    size_t doubt = SIZE_MAX;
    char count[48];
    if (f->limiting == SIZE_MAX) {
        print_settled(v);
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        const struct pare_front_item *x = &f->items[i];
        if (x->settle_metric != f->limiting || x->settle_more == 0 ||
            i == v->choice.trials.baseline)
            continue;
        if (doubt == SIZE_MAX || fabs(x->p_front - 0.5) < fabs(f->items[doubt].p_front - 0.5))
            doubt = i;
    }
    const struct pare_front_metric *m = &v->choice.input.metrics[f->limiting];
    printf("limits the decision: %s", strcmp(m->name, "top1") == 0 ? "accuracy" : m->name);
    if (doubt != SIZE_MAX) {
        pare_show_grouped(f->items[doubt].settle_more, count);
        printf("; about %s more %s would settle %s", count,
               m->kind == PARE_FIGURE_SAMPLES ? "samples" : "rounds",
               v->choice.trials.items[doubt].label);
    }
    putchar('\n');
}

static void print_infeasible(const struct view *v)
{
    const struct pare_front *f = &v->choice.front;
    if (f->nearest_miss == SIZE_MAX || f->n_feasible)
        return;
    size_t b = pare_choice_broken(&v->choice, f->nearest_miss);
    printf("nothing meets the constraints; nearest: %s",
           v->choice.trials.items[f->nearest_miss].label);
    if (b != SIZE_MAX)
        printf(", which breaks %s", v->choice.constraint_texts[b]);
    putchar('\n');
}

static void print_next(const struct view *v)
{
    const struct pare_front *f = &v->choice.front;
    size_t ask = SIZE_MAX;
    for (size_t i = 0; i < f->n; i++) {
        if (i == v->choice.trials.baseline || !shown(v, i, false))
            continue;
        if (ask == SIZE_MAX || f->items[i].status > f->items[ask].status)
            ask = i;
    }
    if (ask == SIZE_MAX && f->nearest_miss != SIZE_MAX)
        ask = f->nearest_miss;
    if (!v->choice.trials.host)
        puts("next: run the pipeline on to time its variants");
    else if (ask != SIZE_MAX)
        printf("next: pare why %s | pare pick\n", v->choice.trials.items[ask].label);
    else
        puts("next: pare front --all | pare pick");
}

static bool print_people(const struct view *v, const size_t *order, size_t n, bool all)
{
    static const char *const columns[] = {
        "", "p", "variant", "top1", "vs baseline", "latency ms", "speed-up", "size", "ratio"};
    struct pare_table t = {0};
    for (size_t c = 0; c < PARE_COUNT(columns); c++)
        pare_table_column(&t, columns[c]);
    if (all) {
        pare_table_column(&t, "status");
        pare_table_column(&t, "why");
    }
    for (size_t k = 0; k < n; k++)
        people_row(v, order[k], all, &t);
    print_header(v);
    bool fine = pare_table_print(&t, PARE_FORMAT_TABLE, stdout);
    print_hidden(v, all);
    print_infeasible(v);
    print_limiting(v);
    print_next(v);
    return fine;
}

/* ---- for programs: every figure ---- */

static bool print_data(const struct view *v, const size_t *order, size_t n)
{
    static const char *const own[] = {"pipeline",     "label", "status",  "p_front",
                                      "p_feasible",   "knee",  "is_knee", "rank",
                                      "folded_under", "rival", "why"};
    struct pare_table t = {0};
    for (size_t c = 0; c < PARE_COUNT(own); c++)
        pare_table_column(&t, own[c]);
    for (size_t c = 0; c < v->figures.n_columns; c++) {
        const char *name = v->figures.names[c];
        bool twice = false;
        for (size_t k = 0; k < PARE_COUNT(own); k++)
            twice = twice || strcmp(own[k], name) == 0;
        if (!twice)
            pare_table_column(&t, name);
    }
    for (size_t k = 0; k < n; k++) {
        size_t i = order[k], row = pare_choice_row(&v->choice, &v->figures, i);
        const struct pare_front_item *item = &v->choice.front.items[i];
        const struct pare_trial *items = v->choice.trials.items;
        char why[256];
        if (row == SIZE_MAX)
            continue;
        pare_choice_why(&v->choice, i, why);
        pare_table_text(&t, v->choice.trials.pipeline);
        pare_table_text(&t, items[i].label);
        pare_table_text(&t, pare_front_status_name(item->status));
        pare_table_number(&t, item->p_front, NULL);
        pare_table_number(&t, item->p_feasible, NULL);
        pare_table_number(&t, item->knee, NULL);
        pare_table_integer(&t, i == v->choice.front.knee);
        if (item->rank == SIZE_MAX)
            pare_table_text(&t, NULL);
        else
            pare_table_integer(&t, (int64_t)item->rank);
        pare_table_text(&t, item->folded == SIZE_MAX ? NULL : items[item->folded].label);
        pare_table_text(&t, item->rival == SIZE_MAX ? NULL : items[item->rival].label);
        pare_table_text(&t, why[0] ? why : NULL);
        for (size_t c = 0; c < v->figures.n_columns; c++) {
            bool twice = false;
            for (size_t o = 0; o < PARE_COUNT(own); o++)
                twice = twice || strcmp(own[o], v->figures.names[c]) == 0;
            if (!twice)
                pare_rows_cell(&v->figures, row, c, PARE_FORMAT_CSV, &t);
        }
    }
    return pare_table_print(&t, v->cli->format, stdout);
}

/* ---- the plot ---- */

static int plot(const struct view *v, struct pare_error *err)
{
    const struct pare_trials *t = &v->choice.trials;
    bool timed = t->host != NULL;
    struct pare_plot_point *points = pare_calloc(t->n, sizeof *points);
    size_t *order = pare_calloc(t->n, sizeof *order), n = 0;
    int rc = points && order ? PARE_OK : pare_error_nomem(err, 0);
    if (rc == PARE_OK)
        rc = sorted(v, true, order, &n, err);
    for (size_t k = 0; k < n; k++) {
        size_t i = order[k];
        const struct pare_front_item *item = &v->choice.front.items[i];
        double none = (double)NAN;
        points[k] = (struct pare_plot_point){
            .label = t->items[i].label,
            .x = timed ? (struct pare_interval){number(v, i, "latency_ms"),
                                                number(v, i, "latency_ms_lo"),
                                                number(v, i, "latency_ms_hi")}
                       : (struct pare_interval){number(v, i, "size_bytes") / 1e6, none, none},
            .y = {number(v, i, "top1"), none, none},
            .kind = i == t->baseline                   ? PARE_PLOT_BASELINE
                    : item->folded != SIZE_MAX         ? PARE_PLOT_OTHER
                    : item->status <= PARE_FRONT_FRONT ? PARE_PLOT_FRONT
                    : item->status == PARE_FRONT_MAYBE ? PARE_PLOT_MAYBE
                                                       : PARE_PLOT_OTHER};
        /* The bar is that of the paired difference: what tells members apart. */
        double lo = number(v, i, "d_top1_lo"), hi = number(v, i, "d_top1_hi");
        if (i != t->baseline && !isnan(lo)) {
            points[k].y.lo = points[k].y.value - (hi - lo) / 2;
            points[k].y.hi = points[k].y.value + (hi - lo) / 2;
        }
    }
    if (rc == PARE_OK) {
        const struct pare_plot p = {.x_title = timed ? "latency ms" : "size MB",
                                    .y_title = "top1",
                                    .points = points,
                                    .n = n,
                                    .width = 60,
                                    .height = 16,
                                    .utf8 = v->utf8,
                                    .log_x = false};
        rc = pare_plot_print(&p, stdout, err);
    }
    free(points);
    free(order);
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct view v = {.cli = cli, .utf8 = pare_cli_utf8()};
    struct pare_error err = {0};
    size_t *order = NULL, n = 0;
    int exit = PARE_EXIT_OK, rc;
    bool all = pare_cli_option(cli, "all") != NULL;
    if (pare_cli_option(cli, "plot") && cli->format != PARE_FORMAT_TABLE)
        return pare_cli_usage(cli, "--plot draws for people: it goes with no other --format");
    struct pare_store *store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!store)
        return exit;
    PARE_TRY(load(&v, store, &err));
    order = pare_calloc(v.choice.trials.n, sizeof *order);
    if (!order) {
        rc = pare_error_nomem(&err, 0);
        goto out;
    }
    PARE_TRY(sorted(&v, all, order, &n, &err));
    bool every = all || pare_cli_option(cli, "plot");
    PARE_TRY(pare_choice_figures(store, &v.choice, every ? NULL : order, n, &v.figures, &err));
    bool fine = cli->format == PARE_FORMAT_TABLE ? print_people(&v, order, n, all)
                                                 : print_data(&v, order, n);
    if (!fine)
        exit = PARE_EXIT_FAILED;
    if (pare_cli_option(cli, "plot")) {
        putchar('\n');
        rc = plot(&v, &err);
    }
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    free(order);
    pare_rows_free(&v.figures);
    pare_rows_free(&v.about);
    pare_choice_free(&v.choice);
    pare_store_close(store);
    return exit;
}

static const struct pare_option options[] = {
    {"all", 'a', NULL, "also what is out, infeasible, folded or not measured, and why"},
    {"plot", 'p', NULL, "also draw top-1 against latency (size, while nothing is timed)"},
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
