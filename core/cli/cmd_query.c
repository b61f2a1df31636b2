/* SPDX-License-Identifier: Apache-2.0 */
/* SQL over the database, read-only; named queries. */
#include "cli/commands.h"
#include "cli/show.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define SQL_MAX ((size_t)1 << 20)
#define ARGUMENTS_MAX 32

/* For the handler of Ctrl-C alone. */
static struct pare_store *running;

static void interrupt(int signal)
{
    (void)signal;
    pare_store_interrupt(running);
}

static int list_named(struct pare_cli *cli)
{
    size_t n;
    const struct pare_store_named *named = pare_store_named(&n);
    struct pare_table t = {0};
    pare_table_column(&t, "name");
    pare_table_column(&t, "what");
    if (cli->format != PARE_FORMAT_TABLE)
        pare_table_column(&t, "sql");
    for (size_t i = 0; i < n; i++) {
        pare_table_text(&t, named[i].name);
        pare_table_text(&t, named[i].about);
        if (cli->format != PARE_FORMAT_TABLE)
            pare_table_text(&t, named[i].sql);
    }
    return pare_table_print(&t, cli->format, stdout) ? PARE_EXIT_OK : PARE_EXIT_FAILED;
}

static int read_stdin(struct pare_str *sql, struct pare_error *err)
{
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stdin)) > 0) {
        if (memchr(part, '\0', n))
            return pare_error_set(err, PARE_INVALID, "the SQL on standard input holds a NUL byte");
        pare_str_append_n(sql, part, n);
        if (sql->len > SQL_MAX)
            return pare_error_set(err, PARE_INVALID,
                                  "the SQL on standard input is longer than 1 MB");
    }
    if (ferror(stdin))
        return pare_error_errno(err, "cannot read standard input");
    return sql->failed ? pare_error_nomem(err, 0) : PARE_OK;
}

static int find_named(const char *name, const char **sql, struct pare_error *err)
{
    size_t n;
    const struct pare_store_named *named = pare_store_named(&n);
    const char *names[64];
    for (size_t i = 0; i < n; i++) {
        if (strcmp(named[i].name, name) == 0) {
            *sql = named[i].sql;
            return PARE_OK;
        }
        if (i < PARE_COUNT(names))
            names[i] = named[i].name;
    }
    const char *near = pare_nearest(name, names, PARE_MIN(n, PARE_COUNT(names)));
    pare_error_set(err, PARE_NOT_FOUND, "there is no query '@%s'", name);
    if (near)
        pare_error_hint(err, "did you mean '@%s'? `pare query --list` shows all", near);
    else
        pare_error_hint(err, "`pare query --list` shows all");
    return PARE_NOT_FOUND;
}

/* NAME=VALUE, each. The names are cut out of argv. */
static int read_arguments(struct pare_cli *cli, struct pare_argument *out, size_t *n,
                          struct pare_error *err)
{
    *n = 0;
    for (int i = 1; i < cli->n_args; i++) {
        char *equals = strchr(cli->args[i], '=');
        if (!equals || equals == cli->args[i]) {
            pare_error_set(err, PARE_INVALID, "'%s' is no NAME=VALUE", cli->args[i]);
            pare_error_hint(err, "SQL is one argument: put it in quotes");
            return PARE_INVALID;
        }
        if (*n == ARGUMENTS_MAX)
            return pare_error_set(err, PARE_INVALID, "more than %d arguments", ARGUMENTS_MAX);
        *equals = '\0';
        out[(*n)++] = (struct pare_argument){cli->args[i], equals + 1};
    }
    return PARE_OK;
}

static int run(struct pare_cli *cli)
{
    struct pare_argument args[ARGUMENTS_MAX];
    struct pare_rows rows = {0};
    struct pare_str typed = {0};
    struct pare_error err = {0};
    struct sigaction on = {.sa_handler = interrupt}, before;
    struct pare_store *store = NULL;
    const char *sql;
    size_t n;
    int exit = PARE_EXIT_OK, rc;
    if (pare_cli_option(cli, "list"))
        return list_named(cli);
    if (cli->n_args == 0)
        return pare_cli_usage(cli, "SQL or @NAME is missing; --list shows the named queries");
    sql = cli->args[0];
    if (*sql == '@')
        PARE_TRY(find_named(sql + 1, &sql, &err));
    PARE_TRY(read_arguments(cli, args, &n, &err));
    if (strcmp(sql, "-") == 0) {
        PARE_TRY(read_stdin(&typed, &err));
        sql = typed.data ? typed.data : "";
    }
    store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!store)
        goto out;
    running = store;
    sigaction(SIGINT, &on, &before);
    rc = pare_rows_load(store, sql, args, n, &rows, &err);
    sigaction(SIGINT, &before, NULL);
    if (rc == PARE_CANCELLED)
        pare_error_set(&err, rc, "interrupted");
    if (rc == PARE_OK && !pare_rows_print(&rows, cli->format, stdout))
        exit = PARE_EXIT_FAILED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_rows_free(&rows);
    pare_str_free(&typed);
    pare_store_close(store);
    return exit;
}

static const struct pare_option options[] = {
    {"list", 'l', NULL, "list the named queries"},
};

const struct pare_command pare_command_query = {
    .name = "query",
    .summary = "Ask the database in SQL; it can only read",
    .arguments = "SQL|@NAME|- [NAME=VALUE]...",
    .about =
        "One SELECT over the views variants, variants_all, stage_effects, measurements, metrics, "
        "params,\nunit_values, latencies, rounds, samples, attempts, failures, pending, front, "
        "artifacts,\ntags and notes (db/README.md describes every column). NAME=VALUE fills the "
        "parameter :NAME.\n- reads the SQL from standard input. Ctrl-C stops a long one.\n\n"
        "examples:\n"
        "  pare query --list\n"
        "  pare query @smallest-not-slower\n"
        "  pare query @unit-bits label=q-mixed\n"
        "  pare query \"select label, params->>'$.quant.bits' bits, d_top1 from variants\"\n"
        "  pare query - --format csv < mine.sql",
    .least = 0,
    .most = -1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
