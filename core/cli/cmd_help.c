/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/commands.h"

#include <stdio.h>

/* The pipeline of the first steps, in the source tree and where it is installed. */
#define SHIPPED "pipelines/first.yaml"
#define INSTALLED PARE_DATA_DIR "/" SHIPPED

static int run(struct pare_cli *cli)
{
    if (cli->n_args == 1) {
        const struct pare_command *c = pare_cli_command(cli->args[0]);
        if (!c)
            return PARE_EXIT_USAGE;
        pare_cli_help(c, stdout);
        return PARE_EXIT_OK;
    }
    puts("pare: compress a neural network in many ways, measure each, keep the Pareto-optimal "
         "ones\n\n"
         "usage: pare COMMAND [OPTION]... [ARGUMENT]...\n\ncommands:");
    for (size_t i = 0; i < pare_n_commands; i++) {
        if (!(pare_commands[i]->flags & PARE_CMD_HIDDEN))
            printf("  %-10s %s\n", pare_commands[i]->name, pare_commands[i]->summary);
    }
    puts("\n`pare COMMAND --help` tells all about one; `man pare` is the manual.\n"
         "first steps:");
    printf("  pare run %s && pare front\n  pare init MODEL DATA > mine.yaml\n",
           pare_file_exists(SHIPPED) || !pare_file_exists(INSTALLED) ? SHIPPED : INSTALLED);
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
