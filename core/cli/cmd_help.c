/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "cli/commands.h"

#include <string.h>

static int run(struct pare_cli *cli)
{
    if (cli->n_args == 1) {
        for (size_t i = 0; i < pare_n_commands; i++) {
            if (strcmp(pare_commands[i]->name, cli->args[0]) == 0) {
                pare_cli_help(pare_commands[i], stdout);
                return PARE_EXIT_OK;
            }
        }
        return pare_cli_usage(cli, "'%s' is no command", cli->args[0]);
    }
    puts("pare: compress a neural network in many ways, measure each, keep the Pareto-optimal "
         "ones\n\n"
         "usage: pare COMMAND [OPTION]... [ARGUMENT]...\n\ncommands:");
    for (size_t i = 0; i < pare_n_commands; i++) {
        if (!(pare_commands[i]->flags & PARE_CMD_HIDDEN))
            printf("  %-10s %s\n", pare_commands[i]->name, pare_commands[i]->summary);
    }
    puts("\n`pare COMMAND --help` tells all about one; `man pare` is the manual.\n"
         "first steps: pare run pipelines/first.yaml && pare front");
    return PARE_EXIT_OK;
}

const struct pare_command pare_command_help = {
    .name = "help",
    .summary = "List the commands, or explain one",
    .arguments = "[COMMAND]",
    .least = 0,
    .most = 1,
    .run = run,
};
