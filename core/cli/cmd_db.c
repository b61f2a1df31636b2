/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/show.h"

#include <string.h>

static void print_problem(void *user, const char *problem)
{
    (void)user;
    puts(problem);
}

static int check(struct pare_store *store, struct pare_error *err, int *exit)
{
    size_t n;
    int rc = pare_store_check(store, print_problem, NULL, &n, err);
    if (rc == PARE_OK && n == 0)
        printf("%s: fine\n", pare_store_path(store));
    else if (rc == PARE_OK) {
        fprintf(stderr, "pare: %s: %zu problem%s\n", pare_store_path(store), n, n == 1 ? "" : "s");
        *exit = PARE_EXIT_FAILED;
    }
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct pare_error err = {0};
    const char *what = cli->args[0];
    bool backup = strcmp(what, "backup") == 0;
    int exit = PARE_EXIT_OK;
    if (strcmp(what, "merge") == 0) {
        fputs("pare: 'db merge' is not built yet\n", stderr);
        return PARE_EXIT_USAGE;
    }
    if (!backup && strcmp(what, "check") != 0)
        return pare_cli_usage(cli, "'%s' is neither check nor backup", what);
    if (cli->n_args != (backup ? 2 : 1))
        return pare_cli_usage(cli,
                              backup ? "backup needs the FILE to write" : "check takes no more");
    struct pare_store *store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!store)
        return exit;
    int rc = backup ? pare_store_backup(store, cli->args[1], &err) : check(store, &err, &exit);
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_store_close(store);
    return exit;
}

const struct pare_command pare_command_db = {
    .name = "db",
    .summary = "Look after the database",
    .arguments = "check | backup FILE",
    .about = "check   look for damage: the file itself, its references, built models that are "
             "missing\nbackup  write a compact copy; safe while a run is going on. FILE must not "
             "be there yet\n\n"
             "examples:\n"
             "  pare db check\n"
             "  pare db backup /mnt/safe/pare-2026-11-23.db",
    .least = 1,
    .most = 2,
    .flags = PARE_CMD_DB,
    .run = run,
};
