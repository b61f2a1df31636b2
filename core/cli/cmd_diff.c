/* SPDX-License-Identifier: Apache-2.0 */
/* Two variants side by side. */
#include "cli/commands.h"
#include "cli/show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct pare_cli *cli;
    struct pare_store *store;
    struct pare_store_ref a, b;
    struct pare_table table;
};

/* Settings that differ, and those that only one has; equal ones with --all. */
static int add_params(struct job *j, struct pare_error *err)
{
    struct pare_rows rows;
    const struct pare_argument args[] = {{"a", j->a.hash}, {"b", j->b.hash}};
    int rc = pare_rows_load(
        j->store,
        "SELECT what, max(CASE WHEN hash = :a THEN value END) AS a, "
        "max(CASE WHEN hash = :b THEN value END) AS b FROM ("
        "SELECT v.hash, s.stage || '.' || e.key AS what, CASE WHEN e.type IN ('true', 'false') "
        "THEN "
        "e.type ELSE CAST(e.value AS TEXT) END AS value FROM variant v JOIN step s ON "
        "s.variant_id = v.variant_id, json_each(s.params) e WHERE v.hash IN (:a, :b)) "
        "GROUP BY what ORDER BY what",
        args, 2, &rows, err);
    if (rc != PARE_OK)
        return rc;
    for (size_t r = 0; r < rows.n; r++) {
        const char *a = pare_rows_text(&rows, r, "a"), *b = pare_rows_text(&rows, r, "b");
        if (a && b && strcmp(a, b) == 0 && !pare_cli_option(j->cli, "all"))
            continue;
        pare_table_text(&j->table, pare_rows_text(&rows, r, "what"));
        pare_table_text(&j->table, a);
        pare_table_text(&j->table, b);
        for (int k = 0; k < 5; k++)
            pare_table_text(&j->table, NULL);
    }
    pare_rows_free(&rows);
    return PARE_OK;
}

static double figure(const struct pare_choice *c, size_t i, size_t m)
{
    return c->front.point[i * c->front.n_metrics + m];
}

static void add_metric(struct job *j, const struct pare_choice *c, size_t m, size_t a, size_t b)
{
    struct pare_table *t = &j->table;
    struct pare_comparison d;
    char text[48];
    bool people = j->cli->format == PARE_FORMAT_TABLE;
    if (isnan(figure(c, a, m)) && isnan(figure(c, b, m)))
        return;
    pare_table_text(t, c->known[m].name);
    pare_show_metric(&c->known[m], figure(c, a, m), text);
    pare_table_number(t, figure(c, a, m), people ? text : NULL);
    pare_show_metric(&c->known[m], figure(c, b, m), text);
    pare_table_number(t, figure(c, b, m), people ? text : NULL);
    /* b against a: what changes when one goes from the first to the second */
    if (pare_front_compare(&c->input, m, b, a, 0.95, &d, NULL) != PARE_OK) {
        for (int k = 0; k < 5; k++)
            pare_table_text(t, NULL);
        return;
    }
    const double cells[] = {d.difference.value, d.difference.lo, d.difference.hi};
    for (size_t k = 0; k < PARE_COUNT(cells); k++) {
        bool counted = c->input.metrics[m].kind == PARE_FIGURE_EXACT;
        if (counted && k > 0) {
            pare_table_text(t, NULL);
            continue;
        }
        if (counted)
            pare_show_metric(&c->known[m], cells[k], text);
        else
            snprintf(text, sizeof text, d.ratio ? "%.4fx" : "%+.4f", cells[k]);
        pare_table_number(t, cells[k], people ? text : NULL);
    }
    if (strcmp(c->known[m].name, "peak_rss_bytes") == 0) { /* differs from run to run */
        pare_table_text(t, "one reading");
        pare_table_text(t, NULL);
        return;
    }
    pare_table_text(t, c->input.metrics[m].kind == PARE_FIGURE_EXACT ? "counted"
                       : d.paired                                    ? "paired"
                                                                     : "through the baseline");
    pare_table_text(
        t, d.distinct || (c->input.metrics[m].kind == PARE_FIGURE_EXACT && d.difference.value != 0)
               ? "yes"
               : "no");
}

/* Figures of both, paired, in a pipeline that holds both. */
static int add_figures(struct job *j, struct pare_error *err)
{
    struct pare_rows rows = {0};
    struct pare_choice choice = {0};
    const struct pare_argument args[] = {{"a", j->a.hash}, {"b", j->b.hash}};
    int rc;
    PARE_TRY(pare_rows_load(j->store,
                            "SELECT pipeline FROM variants WHERE variant IN (:a, :b) GROUP BY "
                            "pipeline HAVING count(DISTINCT variant) = 2 OR :a = :b",
                            args, 2, &rows, err));
    if (rows.n == 0) {
        fputs("pare: the two are in no pipeline together: figures cannot be paired\n"
              "  hint: `pare show` prints each\n",
              stderr);
        goto out;
    }
    const char *const both[] = {j->a.hash, j->b.hash};
    const struct pare_choice_query query = {
        .pipeline = pare_rows_text(&rows, 0, "pipeline"), .closely = both, .n_closely = 2};
    PARE_TRY(pare_choice_make(j->store, &query, &choice, err));
    size_t a = pare_choice_variant(&choice, j->a.hash), b = pare_choice_variant(&choice, j->b.hash);
    for (size_t m = 0; a != SIZE_MAX && b != SIZE_MAX && m < choice.n_known; m++)
        add_metric(j, &choice, m, a, b);
out:
    pare_choice_free(&choice);
    pare_rows_free(&rows);
    return rc;
}

static int run(struct pare_cli *cli)
{
    static const char *const names[] = {"change", "lo", "hi", "how", "distinct"};
    struct job j = {.cli = cli};
    struct pare_error err = {0};
    int exit = PARE_EXIT_OK, rc;
    j.store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!j.store)
        return exit;
    if (!pare_cli_variant(j.store, cli->args[0], &j.a, &exit) ||
        !pare_cli_variant(j.store, cli->args[1], &j.b, &exit)) {
        pare_store_close(j.store);
        return exit;
    }
    pare_table_column(&j.table, "what");
    pare_table_column(&j.table, cli->format == PARE_FORMAT_TABLE ? j.a.label : "a");
    pare_table_column(&j.table, cli->format == PARE_FORMAT_TABLE ? j.b.label : "b");
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        pare_table_column(&j.table, names[i]);
    PARE_TRY(add_params(&j, &err));
    PARE_TRY(add_figures(&j, &err));
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    else if (!pare_table_print(&j.table, cli->format, stdout))
        exit = PARE_EXIT_FAILED;
    pare_table_drop(&j.table);
    pare_store_close(j.store);
    return exit;
}

static const struct pare_option options[] = {
    {"all", 'a', NULL, "also parameters that are the same"},
};

const struct pare_command pare_command_diff = {
    .name = "diff",
    .summary = "Compare two variants: parameters and figures",
    .arguments = "VARIANT VARIANT",
    .about = "`change` is what happens when one goes from the first to the second, on the same "
             "samples\nand rounds: a difference, or for times the ratio (0.5x takes half). "
             "`distinct`: the 95 %\ninterval leaves out \"the same\".\n\n"
             "examples:\n"
             "  pare diff q8 drop1+q8\n"
             "  pare diff baseline drop1+q8 --all --format markdown",
    .least = 2,
    .most = 2,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
