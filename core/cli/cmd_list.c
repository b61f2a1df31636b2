/* SPDX-License-Identifier: Apache-2.0 */
/* The view `variants` as a table. */
#include "cli/commands.h"
#include "cli/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Columns before and behind those that say how good a variant is. */
static const struct columns {
    const char *before, *behind;
    bool good, intervals; /* those columns, and the intervals of the changes among them */
} usual = {"label,state", "latency_ms,speedup,size_bytes,size_ratio,macs_ratio,status,p_front",
           true, false},
  of_failed = {"label,state,reason,finished_at", NULL, false, false},
  of_alone = {"label,size_bytes,size_ratio,macs,macs_ratio", "speedup,speedup_lo,speedup_hi", true,
              true};

/* What a name of a column, or a list of them, has to be: the view's. */
static int check_column(const struct pare_rows *known, const char *name, size_t len,
                        struct pare_error *err)
{
    char own[64];
    snprintf(own, sizeof own, "%.*s", (int)PARE_MIN(len, sizeof own - 1), name);
    for (size_t i = 0; i < known->n_columns; i++) {
        if (strcmp(known->names[i], own) == 0)
            return PARE_OK;
    }
    struct pare_str all = {0};
    for (size_t i = 0; i < known->n_columns; i++)
        pare_str_printf(&all, "%s%s", i ? ", " : "", known->names[i]);
    const char *near = pare_nearest(own, known->names, known->n_columns);
    pare_error_set(err, PARE_NOT_FOUND, "there is no column '%s'", own);
    pare_error_detail(err, "there are %s", all.data ? all.data : "none");
    if (near)
        pare_error_hint(err, "did you mean '%s'?", near);
    pare_str_free(&all);
    return PARE_NOT_FOUND;
}

static int add_columns(struct pare_str *sql, const struct pare_rows *known, const char *list,
                       struct pare_error *err)
{
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        while (*at == ' ')
            at++;
        size_t len = strcspn(at, ", ");
        int rc = check_column(known, at, len, err);
        if (rc != PARE_OK)
            return rc;
        pare_str_printf(sql, "%s\"%.*s\"", sql->len > 7 ? ", " : "", (int)len, at);
    }
    return PARE_OK;
}

/* A pipeline that was named has to be there; what rows differ in has to be told. */
static int look_round(struct pare_cli *cli, struct pare_store *store, struct pare_rows *names,
                      struct pare_rows *spread, struct pare_error *err)
{
    const char *pipeline = cli->n_args ? cli->args[0] : NULL, *near;
    const struct pare_argument args[] = {{"pipeline", pipeline}};
    const char *all[64];
    size_t n;
    int rc;
    PARE_TRY(pare_rows_load(store, "SELECT name FROM pipeline", NULL, 0, names, err));
    PARE_TRY(pare_rows_load(store,
                            "SELECT count(DISTINCT pipeline) AS pipeline, count(DISTINCT host) AS "
                            "host, count(DISTINCT shape) AS shape FROM variants WHERE :pipeline IS "
                            "NULL OR pipeline = :pipeline",
                            args, 1, spread, err));
    n = PARE_MIN(names->n, PARE_COUNT(all));
    for (size_t i = 0; i < n; i++) {
        all[i] = pare_rows_text(names, i, "name");
        if (pipeline && strcmp(all[i], pipeline) == 0)
            goto out;
    }
    if (!pipeline || names->n > n)
        goto out;
    near = pare_nearest(pipeline, all, n);
    rc = pare_error_set(err, PARE_NOT_FOUND, "there is no pipeline '%s'", pipeline);
    if (near)
        pare_error_hint(err, "did you mean '%s'?", near);
out:
    return rc;
}

/* The columns of a list that nobody named, to those of `list` that are there. */
static int add_usual(struct pare_cli *cli, struct pare_store *store, const struct columns *which,
                     const struct pare_rows *metrics, struct pare_str *list, struct pare_error *err)
{
    const struct pare_quality *known[PARE_QUALITIES];
    size_t n = 0;
    int rc = PARE_OK;
    pare_str_append(list, which->before);
    if (which->good)
        PARE_TRY(pare_cli_qualities(store, cli->n_args ? cli->args[0] : NULL, known, &n, err));
    for (size_t i = 0; i < n; i++) {
        const char *change = known[i]->change;
        pare_str_printf(list, ",%s", known[i]->metric);
        if (change)
            pare_str_printf(list, ",%s", change);
        if (change && which->intervals)
            pare_str_printf(list, ",%s_lo,%s_hi", change, change);
    }
    for (size_t i = 0; which->good && i < metrics->n; i++)
        pare_str_printf(list, ",%s", pare_rows_text(metrics, i, "metric"));
    if (which->behind)
        pare_str_printf(list, ",%s", which->behind);
    if (list->failed)
        rc = pare_error_nomem(err, 0);
out:
    return rc;
}

static int make_sql(struct pare_cli *cli, struct pare_store *store, const struct pare_rows *known,
                    const struct pare_rows *spread, const struct pare_rows *metrics,
                    struct pare_str *sql, struct pare_error *err)
{
    static const char *const told[] = {"pipeline", "host", "shape"};
    const char *columns = pare_cli_option(cli, "columns"), *sort = pare_cli_option(cli, "sort");
    const char *where = pare_cli_option(cli, "where");
    bool failed = pare_cli_option(cli, "failed") != NULL;
    bool alone = pare_cli_option(cli, "alone") != NULL;
    struct pare_str list = {0};
    int rc = PARE_OK;
    pare_str_append(sql, "SELECT ");
    for (size_t i = 0; !columns && i < PARE_COUNT(told); i++) {
        if (pare_rows_number(spread, 0, told[i]) > 1)
            PARE_TRY(add_columns(sql, known, told[i], err));
    }
    if (!columns)
        PARE_TRY(add_usual(cli, store,
                           failed  ? &of_failed
                           : alone ? &of_alone
                                   : &usual,
                           metrics, &list, err));
    PARE_TRY(add_columns(sql, known, columns ? columns : list.data, err));
    pare_str_append(sql, " FROM ");
    pare_cli_from_variants(metrics, sql);
    pare_str_append(sql, " WHERE (:pipeline IS NULL OR pipeline = :pipeline)");
    if (failed)
        pare_str_append(sql, " AND state IN ('failed', 'blocked', 'lost', 'skipped')");
    if (alone) /* what one stage does by itself */
        pare_str_append(sql, " AND (is_baseline OR (SELECT count(*) FROM json_each(params)) = 1)");
    if (where)
        pare_str_printf(sql, " AND (%s\n)", where);
    if (sort) {
        bool down = *sort == '-';
        PARE_TRY(check_column(known, sort + down, strlen(sort + down), err));
        pare_str_printf(sql, " ORDER BY \"%s\" %s NULLS LAST", sort + down, down ? "DESC" : "ASC");
    } else {
        pare_str_append(sql, " ORDER BY pipeline, is_baseline DESC, label");
    }
    pare_str_append(sql, " LIMIT :limit");
    if (sql->failed)
        rc = pare_error_nomem(err, 0);
out:
    pare_str_free(&list);
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct pare_rows known = {0}, rows = {0}, names = {0}, spread = {0}, metrics = {0};
    struct pare_str sql = {0}, header = {0};
    struct pare_error err = {0};
    long long limit;
    char limit_text[32];
    int exit = PARE_EXIT_OK, rc;
    if (!pare_cli_number(cli, "limit", 0, 1000000000, -1, &limit))
        return PARE_EXIT_USAGE;
    struct pare_store *store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!store)
        return exit;
    snprintf(limit_text, sizeof limit_text, "%lld", limit);
    const struct pare_argument args[] = {{"pipeline", cli->n_args ? cli->args[0] : NULL},
                                         {"limit", limit_text}};
    PARE_TRY(pare_cli_plugin_metrics(store, args[0].text, &metrics, &err));
    pare_str_append(&header, "SELECT * FROM ");
    pare_cli_from_variants(&metrics, &header);
    pare_str_append(&header, " LIMIT 0");
    PARE_TRY(header.failed ? pare_error_nomem(&err, 0)
                           : pare_rows_load(store, header.data, NULL, 0, &known, &err));
    PARE_TRY(look_round(cli, store, &names, &spread, &err));
    PARE_TRY(make_sql(cli, store, &known, &spread, &metrics, &sql, &err));
    PARE_TRY(pare_rows_load(store, sql.data, args, 2, &rows, &err));
    if (rows.n == 0)
        fputs("pare: no such variant\n", stderr);
    if (!pare_rows_print(&rows, cli->format, stdout))
        exit = PARE_EXIT_FAILED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_str_free(&sql);
    pare_str_free(&header);
    pare_rows_free(&metrics);
    pare_rows_free(&rows);
    pare_rows_free(&names);
    pare_rows_free(&spread);
    pare_rows_free(&known);
    pare_store_close(store);
    return exit;
}

static const struct pare_option options[] = {
    {"columns", 'c', "A,B,...", "columns of the view `variants`"},
    {"sort", 's', "COLUMN", "lowest first; -COLUMN: highest first"},
    {"where", 'w', "SQL", "those only for which this holds"},
    {"failed", 0, NULL, "what failed, was blocked, lost or impossible, and why"},
    {"alone", 0, NULL, "what each stage does by itself: variants of one stage"},
    {"limit", 'n', "N", "at most N rows"},
};

const struct pare_command pare_command_list = {
    .name = "list",
    .summary = "List variants and their figures",
    .arguments = "[PIPELINE]",
    .about =
        "Rows are those of the view `variants`: one per variant, host and shape; "
        "pipeline,\nhost and "
        "shape are columns where the rows differ in them. Ratios are\nbaseline over variant "
        "(above 1 is smaller or faster), d_ is variant minus "
        "baseline,\nd_nll of the logarithm of perplexity. Of how good they are the columns are "
        "shown that were\nmeasured, the objectives' first; a metric that a plugin brings is a "
        "column, too, by the "
        "plugin's id.\n\n"
        "examples:\n"
        "  pare list --sort -speedup --where 'd_top1_lo >= -0.01' -n 10\n"
        "  pare list --alone\n"
        "  pare list --columns label,top1,top1_lo,top1_hi --format csv\n"
        "  pare list --failed",
    .least = 0,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
