/* SPDX-License-Identifier: Apache-2.0 */
/* For who writes plugins: begin one, check one. */
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "kit/check.h"
#include "kit/new.h"
#include "pipeline/confine.h"

#include <stdlib.h>
#include <string.h>

/* ---- check
 * --------------------------------------------------------------------------------------- */

struct report {
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
    struct report r = {.people = cli->format == PARE_FORMAT_TABLE};
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
                                       .unconfined = pare_cli_option(cli, "no-confine") != NULL,
                                       .seconds = (double)seconds,
                                       .tell = tell,
                                       .user = &r};
    for (size_t i = 0; i < PARE_COUNT(columns) && !r.people; i++)
        pare_table_column(&r.table, columns[i]);
    pare_cli_notes(run.unconfined ? NULL : pare_confine_note(), stderr);
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

/* ---- new
 * ----------------------------------------------------------------------------------------- */

static int begin(struct pare_cli *cli)
{
    struct pare_error err = {0};
    const char *kind = pare_cli_option(cli, "kind"), *folder = pare_cli_option(cli, "output");
    if (cli->n_args != 2)
        return pare_cli_usage(cli, "new takes one NAME");
    const char *name = cli->args[1], *dot = strrchr(name, '.');
    const char *own = dot ? dot + 1 : name;
    folder = folder ? folder : own;
    if (pare_plugin_new(name, kind ? kind : "transform", folder, PARE_DATA_DIR "/share", &err) !=
        PARE_OK)
        return pare_cli_fail(&err);
    printf("%s/%s.c is a plugin that works. Next:\n  cd %s && make && make check\n", folder, own,
           folder);
    return PARE_EXIT_OK;
}

/* ---- the command
 * --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(struct pare_cli *);
} actions[] = {{"new", begin}, {"check", check}};

static int run(struct pare_cli *cli)
{
    for (size_t i = 0; i < PARE_COUNT(actions); i++) {
        if (strcmp(actions[i].name, cli->args[0]) == 0)
            return actions[i].run(cli);
    }
    return pare_cli_usage(cli, "'%s' is neither new nor check; `pare plugins` lists plugins",
                          cli->args[0]);
}

static const struct pare_option options[] = {
    {"kind", 0, "KIND", "new: transform (default), score, allocate, encoding or metric"},
    {"output", 'o', "FOLDER", "new: where to write it (NAME)"},
    {"only", 0, "GLOB", "check: those whose name matches"},
    {"list", 0, NULL, "check: name the checks, and run none"},
    {"strict", 0, NULL, "check: a warning is a failure, too"},
    {"seconds", 0, "N", "check: most time for one (120)"},
    {"no-confine", 0, NULL, "check: let the plugin touch all files and the network, as you may"},
};

const struct pare_command pare_command_plugin = {
    .name = "plugin",
    .summary = "Begin a plugin, or check one",
    .arguments = "new NAME | check PLUGIN",
    .about =
        "new writes a folder that builds and passes its tests: source, Makefile and meson.build,\n"
        "test, manual page, pipeline, and an example for CI. NAME alone becomes org.example.NAME;\n"
        "take a domain that you have. Where Pare is not installed: make check "
        "PARE_SOURCE=/path/to/pare\nPARE=/path/to/build/pare.\n\n"
        "check runs named checks on a plugin (an id, or a file's name with a slash), each in a\n"
        "process of its own, on tiny random models of every family: what crashes or hangs fails\n"
        "that check alone. Levels: pass, skip (it does not apply), note, warn, fail. The exit\n"
        "status is 1 when one fails.\n\n"
        "examples:\n"
        "  pare plugin new drop-small && cd drop-small && make check\n"
        "  pare plugin new com.example.mine --kind score -o mine/\n"
        "  pare plugin check ./org.example.drop-small.so\n"
        "  pare plugin check quantize --only leaks --format json",
    .least = 1,
    .most = 2,
    .flags = PARE_CMD_FORMAT,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
