/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/show.h"

static int run(struct pare_cli *cli)
{
    struct pare_store_ref ref = {0};
    struct pare_error err = {0};
    int exit = PARE_EXIT_OK, rc = PARE_OK;
    if (cli->n_args == 0)
        return pare_cli_answer(cli, "SELECT at, label, body FROM notes ORDER BY note");
    const char *body = cli->args[cli->n_args - 1];
    if (!*body)
        return pare_cli_usage(cli, "the note is empty");
    struct pare_store *store = pare_cli_store(cli, PARE_STORE_WRITE, &exit);
    if (!store)
        return exit;
    if (cli->n_args == 2)
        rc = pare_store_resolve(store, cli->args[0], NULL, &ref, &err);
    if (rc == PARE_OK)
        rc = pare_store_note(store, ref.variant_id, body, &err);
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_store_close(store);
    return exit;
}

const struct pare_command pare_command_note = {
    .name = "note",
    .summary = "Write a note about a variant, or about the database; list the notes",
    .arguments = "[[VARIANT] TEXT]",
    .about =
        "Without arguments: all notes. `pare show VARIANT` prints a variant's; in SQL they are "
        "the\nview `notes`.\n\n"
        "examples:\n"
        "  pare note drop1+q8 'ships in the March release'\n"
        "  pare note 'the machine was moved to another rack today'\n"
        "  pare note",
    .least = 0,
    .most = 2,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .run = run,
};
