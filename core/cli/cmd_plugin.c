/* SPDX-License-Identifier: Apache-2.0 */
/* For who writes plugins: check one. */
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "kit/check.h"

#include <stdlib.h>
#include <string.h>

/* ---- check
 * --------------------------------------------------------------------------------------- */

struct report {
    struct pare_cli *cli;
    struct pare_table table;
    size_t count[PARE_CHECK_FAIL + 1];
    bool people;
};

static int tell(void *user, const struct pare_check_case *check,
                const struct pare_check_result *result, double seconds)
{
    struct report *r = user;
    const char *level = pare_check_level_name(result->level);
    r->count[result->level]++;
    if (r->people) {
        printf("%-4s  %-13s %s\n", level, check->name,
               result->text[0] ? result->text : check->demands);
        fflush(stdout);
        return pare_cli_interrupted();
    }
    pare_table_text(&r->table, check->name);
    pare_table_text(&r->table, level);
    pare_table_text(&r->table, result->text);
    pare_table_text(&r->table, check->demands);
    pare_table_number(&r->table, seconds, NULL);
    return pare_cli_interrupted();
}

static bool print_list(struct pare_cli *cli)
{
    struct pare_table t = {0};
    size_t n;
    const struct pare_check_case *cases = pare_checks(&n);
    pare_table_column(&t, "check");
    pare_table_column(&t, "demands");
    for (size_t i = 0; i < n; i++) {
        pare_table_text(&t, cases[i].name);
        pare_table_text(&t, cases[i].demands);
    }
    return pare_table_print(&t, cli->format, stdout);
}

static int check(struct pare_cli *cli)
{
    static const char *const columns[] = {"check", "level", "found", "demands", "seconds"};
    struct report r = {.cli = cli, .people = cli->format == PARE_FORMAT_TABLE};
    struct pare_error err = {0};
    long long seconds;
    if (pare_cli_option(cli, "list"))
        return print_list(cli) ? PARE_EXIT_OK : PARE_EXIT_FAILED;
    if (cli->n_args != 2)
        return pare_cli_usage(cli, "one plugin is checked at a time");
    if (!pare_cli_number(cli, "seconds", 1, 86400, 120, &seconds))
        return PARE_EXIT_USAGE;
    const struct pare_check_run run = {.program = cli->program,
                                       .plugin = cli->args[1],
                                       .only = pare_cli_option(cli, "only"),
                                       .seconds = (double)seconds,
                                       .tell = tell,
                                       .user = &r};
    for (size_t i = 0; i < PARE_COUNT(columns) && !r.people; i++)
        pare_table_column(&r.table, columns[i]);
    pare_cli_watch_interrupt();
    const int rc = pare_check_all(&run, &err);
    if (rc != PARE_OK) {
        pare_table_drop(&r.table);
        return rc == PARE_CANCELLED ? PARE_EXIT_INTERRUPTED : pare_cli_fail(&err);
    }
    if (r.people)
        printf("\n%s: %zu passed, %zu skipped, %zu notes, %zu warnings, %zu failed\n", cli->args[1],
               r.count[PARE_CHECK_PASS], r.count[PARE_CHECK_SKIP], r.count[PARE_CHECK_NOTE],
               r.count[PARE_CHECK_WARN], r.count[PARE_CHECK_FAIL]);
    else if (!pare_table_print(&r.table, cli->format, stdout))
        return PARE_EXIT_FAILED;
    const bool strict = pare_cli_option(cli, "strict") != NULL;
    return r.count[PARE_CHECK_FAIL] || (strict && r.count[PARE_CHECK_WARN]) ? PARE_EXIT_FAILED
                                                                            : PARE_EXIT_OK;
}

/* ---- the command
 * --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(struct pare_cli *);
} actions[] = {{"check", check}};

static int run(struct pare_cli *cli)
{
    for (size_t i = 0; i < PARE_COUNT(actions); i++) {
        if (strcmp(actions[i].name, cli->args[0]) == 0)
            return actions[i].run(cli);
    }
    return pare_cli_usage(cli, "'%s' is not check; `pare plugins` lists plugins", cli->args[0]);
}

static const struct pare_option options[] = {
    {"only", 0, "GLOB", "checks whose name matches"},
    {"list", 0, NULL, "name the checks, and run none"},
    {"strict", 0, NULL, "a warning is a failure, too"},
    {"seconds", 0, "N", "most time for one check (120)"},
};

const struct pare_command pare_command_plugin = {
    .name = "plugin",
    .summary = "Check a plugin that you write",
    .arguments = "check PLUGIN",
    .about =
        "PLUGIN is an id, or a file's name with a slash. Every check runs in a process of its own\n"
        "on tiny random models of every family, so that a crash or a hang fails that check alone.\n"
        "Levels: pass, skip (it does not apply), note, warn, fail. The exit status is 1 when one\n"
        "fails.\n\n"
        "examples:\n"
        "  pare plugin check ./org.example.drop-small.so\n"
        "  pare plugin check ./mine.so --only leaks\n"
        "  pare plugin check quantize --format json",
    .least = 1,
    .most = 2,
    .flags = PARE_CMD_FORMAT,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
