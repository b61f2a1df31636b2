/* SPDX-License-Identifier: Apache-2.0 */
/* The program: find the command, sort out what was typed, run it. */
#include "cli/command.h"
#include "engine/plan.h"
#include "model/encoding.h"
#include "pipeline/discover.h"
#include "plugin/catalog.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool color_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

/* A misspelt wish would be no wish, and nobody would notice. */
static bool check_environment(void)
{
    const char *wish = getenv("PARE_ISA");
    bool known = !wish || !*wish;
    for (int i = 0; !known && i < PARE_ISA_COUNT; i++)
        known = strcmp(wish, pare_isa_name((enum pare_isa)i)) == 0;
    if (known)
        return true;
    fprintf(stderr, "pare: PARE_ISA is '%s'\n  hint: it can be", wish);
    for (int i = 0; i < PARE_ISA_COUNT; i++)
        fprintf(stderr, "%s %s", i ? "," : "", pare_isa_name((enum pare_isa)i));
    fputc('\n', stderr);
    return false;
}

static char *own_path(void)
{
    static char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    return path;
}

int main(int argc, char **argv)
{
    struct pare_cli cli = {0};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        char name[] = "help", *help[] = {name, NULL};
        cli.command = pare_cli_command("help");
        cli.args = help + 1;
        int rc = cli.command->run(&cli);
        return argc < 2 ? PARE_EXIT_USAGE : rc;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("pare " PARE_VERSION);
        return PARE_EXIT_OK;
    }
    if (argv[1][0] == '-') {
        fprintf(stderr,
                "pare: '%s' comes before the command\n  hint: options follow it, as in "
                "`pare list --db FILE`\n",
                argv[1]);
        return PARE_EXIT_USAGE;
    }
    cli.command = pare_cli_command(argv[1]);
    if (!cli.command || !check_environment())
        return PARE_EXIT_USAGE;
    if (cli.command->flags & PARE_CMD_WORKERS)
        signal(SIGPIPE,
               SIG_IGN); /* a worker that goes away is an error; `| head` ends the others */
    cli.program = own_path();
    pare_encoding_set_resolver(pare_catalog_resolve_encoding);
    if (cli.command != pare_cli_command("worker")) /* which is where they are looked at */
        pare_discover_first(cli.program);
    cli.terminal = isatty(STDOUT_FILENO);
    cli.color = color_wanted();
    int rc = pare_cli_parse(&cli, argc - 1, argv + 1);
    if (rc < 0)
        rc = cli.command->run(&cli);
    if (fflush(stdout) != 0 && rc == PARE_EXIT_OK && errno != EPIPE) { /* `| head` has enough */
        perror("pare: standard output");
        rc = PARE_EXIT_FAILED;
    }
    return rc;
}
