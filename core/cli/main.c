/* SPDX-License-Identifier: Apache-2.0 */
/* The program: find the command, sort out what was typed, run it. */
#include "base/mem.h"
#include "base/str.h"
#include "cli/command.h"
#include "engine/plan.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Commands that the design names and a later version brings: refused by name. */
static const char *const later[] = {"measure", "reproduce", "gc", "sweep", "merge"};

enum { OPT_HELP = 1000, OPT_FORMAT, OPT_DB, OPT_FIRST };

static bool color_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

/* ---- messages
 * ------------------------------------------------------------------------------------ */

static int status_exit(int status)
{
    switch (status) {
    case PARE_INVALID:
    case PARE_NOT_FOUND:
    case PARE_UNSUPPORTED:
        return PARE_EXIT_USAGE;
    case PARE_CANCELLED:
        return PARE_EXIT_INTERRUPTED;
    default:
        return PARE_EXIT_FAILED;
    }
}

int pare_cli_fail(const struct pare_error *err)
{
    fprintf(stderr, "pare: %s\n", err->what);
    if (err->detail[0])
        fprintf(stderr, "  %s\n", err->detail);
    if (err->hint[0])
        fprintf(stderr, "  hint: %s\n", err->hint);
    return status_exit(err->status);
}

int pare_cli_usage(const struct pare_cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "pare %s: ", cli->command->name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nusage: pare %s%s%s\n  `pare %s --help` tells more\n", cli->command->name,
            *cli->command->arguments ? " " : "", cli->command->arguments, cli->command->name);
    va_end(args);
    return PARE_EXIT_USAGE;
}

static void print_option(FILE *to, const struct pare_option *o)
{
    char left[64];
    char letter[8] = "";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    fprintf(to, "%-28s %s\n", left, o->help);
}

void pare_cli_help(const struct pare_command *c, FILE *to)
{
    static const struct pare_option format = {"format", 0, "FORMAT",
                                              "how to print: table (default), json, csv, markdown"};
    static const struct pare_option db = {
        "db", 0, "FILE", "the database ($PARE_DB, else pare.db here or in a folder above)"};
    static const struct pare_option help = {"help", 'h', NULL, "this text"};
    fprintf(to, "usage: pare %s%s%s\n\n%s.\n", c->name, *c->arguments ? " " : "", c->arguments,
            c->summary);
    if (c->about)
        fprintf(to, "\n%s\n", c->about);
    fputs("\noptions:\n", to);
    for (size_t i = 0; i < c->n_options; i++)
        print_option(to, &c->options[i]);
    if (c->flags & PARE_CMD_FORMAT)
        print_option(to, &format);
    if (c->flags & PARE_CMD_DB)
        print_option(to, &db);
    print_option(to, &help);
}

/* ---- options
 * ------------------------------------------------------------------------------------- */

const char *pare_cli_option(const struct pare_cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->command->n_options; i++) {
        if (strcmp(cli->command->options[i].name, name) == 0)
            return cli->values[i];
    }
    return NULL;
}

bool pare_cli_number(const struct pare_cli *cli, const char *name, long long lo, long long hi,
                     long long fallback, long long *out)
{
    const char *text = pare_cli_option(cli, name);
    *out = fallback;
    if (!text)
        return true;
    if (pare_parse_int(text, out) && *out >= lo && *out <= hi)
        return true;
    pare_cli_usage(cli, "--%s '%s' is no whole number from %lld to %lld", name, text, lo, hi);
    return false;
}

/* The tables that getopt_long() wants, from the command's. */
static void make_getopt(const struct pare_command *c, struct option *longs, char *shorts)
{
    size_t n = 0;
    *shorts++ = ':';
    for (size_t i = 0; i < c->n_options && i < PARE_OPTIONS_MAX; i++) {
        const struct pare_option *o = &c->options[i];
        longs[n++] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL,
                                     OPT_FIRST + (int)i};
        if (o->letter) {
            *shorts++ = o->letter;
            if (o->argument)
                *shorts++ = ':';
        }
    }
    if (c->flags & PARE_CMD_FORMAT)
        longs[n++] = (struct option){"format", required_argument, NULL, OPT_FORMAT};
    if (c->flags & PARE_CMD_DB)
        longs[n++] = (struct option){"db", required_argument, NULL, OPT_DB};
    longs[n++] = (struct option){"help", no_argument, NULL, OPT_HELP};
    longs[n] = (struct option){0};
    *shorts++ = 'h';
    *shorts = '\0';
}

static int option_at(const struct pare_command *c, int code)
{
    if (code >= OPT_FIRST)
        return code - OPT_FIRST;
    for (size_t i = 0; i < c->n_options; i++) {
        if (c->options[i].letter == code)
            return (int)i;
    }
    return -1;
}

static int no_option(const struct pare_cli *cli, const struct option *longs, const char *typed)
{
    const char *names[PARE_OPTIONS_MAX + 4], *near = NULL;
    char word[64];
    size_t n = 0;
    for (; longs[n].name; n++)
        names[n] = longs[n].name;
    if (strncmp(typed, "--", 2) == 0) {
        snprintf(word, sizeof word, "%.*s", (int)strcspn(typed + 2, "="), typed + 2);
        near = pare_nearest(word, names, n);
    }
    return near ? pare_cli_usage(cli, "no option '%s'; did you mean '--%s'?", typed, near)
                : pare_cli_usage(cli, "no option '%s'", typed);
}

/* By the word of the usage that stands where the first missing argument would. */
static int missing_argument(const struct pare_cli *cli)
{
    const char *at = cli->command->arguments;
    for (int i = 0; i < cli->n_args && *at; i++) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    if (*at < 'A' || *at > 'Z') /* words to choose from, which stand for themselves */
        return pare_cli_usage(cli, "one of '%s' is missing", cli->command->arguments);
    return pare_cli_usage(cli, "%.*s is missing", (int)strcspn(at, " "), at);
}

/* Returns an exit status, or -1 to go on. */
static int parse(struct pare_cli *cli, int argc, char **argv)
{
    struct option longs[PARE_OPTIONS_MAX + 4];
    char shorts[2 * PARE_OPTIONS_MAX + 4];
    const struct pare_command *c = cli->command;
    int code;
    make_getopt(c, longs, shorts);
    opterr = 0;
    optind = 1;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (code == OPT_HELP || (code == 'h' && option_at(c, 'h') < 0)) {
            pare_cli_help(c, stdout);
            return PARE_EXIT_OK;
        }
        if (code == ':')
            return pare_cli_usage(cli, "option '%s' needs a value", argv[optind - 1]);
        if (code == '?')
            return no_option(cli, longs, argv[optind - 1]);
        if (code == OPT_FORMAT) {
            if (!pare_format_parse(optarg, &cli->format))
                return pare_cli_usage(cli, "--format '%s' is none of table, json, csv, markdown",
                                      optarg);
            continue;
        }
        if (code == OPT_DB) {
            cli->db = optarg;
            continue;
        }
        int at = option_at(c, code);
        if (at < 0)
            continue;
        cli->values[at] = optarg ? optarg : "";
        if (cli->n_repeated == PARE_REPEAT_MAX)
            return pare_cli_usage(cli, "more than %d options", PARE_REPEAT_MAX);
        cli->repeated[cli->n_repeated].option = (size_t)at;
        cli->repeated[cli->n_repeated++].value = cli->values[at];
    }
    cli->args = argv + optind;
    cli->n_args = argc - optind;
    if (cli->n_args < c->least || (c->most >= 0 && cli->n_args > c->most))
        return cli->n_args < c->least
                   ? missing_argument(cli)
                   : pare_cli_usage(cli, "too many arguments: '%s'", cli->args[c->most]);
    return -1;
}

/* ---- commands
 * ------------------------------------------------------------------------------------ */

/* By name or unambiguous beginning. NULL: said what is wrong. */
static const struct pare_command *find_command(const char *name)
{
    const struct pare_command *found = NULL;
    const char *names[64];
    size_t n = 0, length = strlen(name);
    bool ambiguous = false;
    for (size_t i = 0; i < pare_n_commands; i++) {
        const struct pare_command *c = pare_commands[i];
        if (strcmp(c->name, name) == 0)
            return c;
        if (c->flags & PARE_CMD_HIDDEN)
            continue;
        if (n < PARE_COUNT(names))
            names[n++] = c->name;
        if (length && strncmp(c->name, name, length) == 0) {
            ambiguous = ambiguous || found;
            found = c;
        }
    }
    for (size_t i = 0; i < PARE_COUNT(later); i++) {
        if (strcmp(later[i], name) == 0) {
            fprintf(stderr, "pare: '%s' is not built yet\n", name);
            return NULL;
        }
    }
    if (found && !ambiguous)
        return found;
    fprintf(stderr, "pare: '%s' is %s\n", name, ambiguous ? "ambiguous:" : "no command");
    for (size_t i = 0; ambiguous && i < n; i++) {
        if (strncmp(names[i], name, length) == 0)
            fprintf(stderr, "  %s\n", names[i]);
    }
    const char *near = ambiguous ? NULL : pare_nearest(name, names, n);
    if (near)
        fprintf(stderr, "  hint: did you mean '%s'?\n", near);
    else if (!ambiguous)
        fputs("  hint: `pare help` lists the commands\n", stderr);
    return NULL;
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
        cli.command = find_command("help");
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
    cli.command = find_command(argv[1]);
    if (!cli.command || !check_environment())
        return PARE_EXIT_USAGE;
    if (cli.command->flags & PARE_CMD_WORKERS)
        signal(SIGPIPE,
               SIG_IGN); /* a worker that goes away is an error; `| head` ends the others */
    cli.program = own_path();
    cli.terminal = isatty(STDOUT_FILENO);
    cli.color = color_wanted();
    int rc = parse(&cli, argc - 1, argv + 1);
    if (rc < 0)
        rc = cli.command->run(&cli);
    if (fflush(stdout) != 0 && rc == PARE_EXIT_OK && errno != EPIPE) { /* `| head` has enough */
        perror("pare: standard output");
        rc = PARE_EXIT_FAILED;
    }
    return rc;
}
