/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/show.h"

static int run(struct pare_cli *cli)
{
    struct pare_store_ref ref;
    struct pare_error err = {0};
    bool drop = pare_cli_option(cli, "delete") != NULL;
    int exit = PARE_EXIT_OK, rc;
    if (cli->n_args == 0 && !drop)
        return pare_cli_answer(cli, "SELECT tag, label, variant, at FROM tags ORDER BY tag");
    if (cli->n_args != (drop ? 1 : 2))
        return pare_cli_usage(cli, drop ? "--delete takes the tag alone"
                                        : "a variant and a tag are needed");
    struct pare_store *store = pare_cli_store(cli, PARE_STORE_WRITE, &exit);
    if (!store)
        return exit;
    if (drop) {
        rc = pare_store_untag(store, cli->args[0], &err);
        if (rc == PARE_NOT_FOUND)
            pare_error_hint(&err, "`pare tag` lists the tags");
    } else {
        rc = pare_store_resolve(store, cli->args[0], NULL, &ref, &err);
        if (rc == PARE_OK)
            rc = pare_store_tag(store, ref.variant_id, cli->args[1], &err);
    }
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_store_close(store);
    return exit;
}

static const struct pare_option options[] = {
    {"delete", 'd', NULL, "drop the tag; the variant stays"},
};

const struct pare_command pare_command_tag = {
    .name = "tag",
    .summary = "Give a variant a name of your own",
    .arguments = "[VARIANT] [TAG]",
    .about = "A tag stands for the variant in every command, and keeps its built model. A tag that "
             "was\nanother variant's moves. It is a word of letters, digits and . _ + -, and no "
             "label, since\nlabels come first. Without arguments: list the tags.\n\n"
             "examples:\n"
             "  pare tag drop1+q8 release-1\n"
             "  pare tag --delete release-1\n"
             "  pare tag",
    .least = 0,
    .most = 2,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
