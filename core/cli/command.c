/* SPDX-License-Identifier: Apache-2.0 */
/* What all commands share: being found, options, messages. */
#include "cli/command.h"
#include "base/mem.h"
#include "base/str.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

/* Commands that the design names and a later version brings: refused by name. */
static const char *const later[] = {"measure", "reproduce", "gc", "sweep", "merge"};

enum { OPT_FIRST = 1000 }; /* what getopt_long() says for the first option; letters are below */

/* ---- messages ---- */

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

static int print_usage(const struct pare_cli *cli)
{
    fprintf(stderr, "usage: pare %s%s%s\n  `pare %s --help` tells more\n", cli->command->name,
            *cli->command->arguments ? " " : "", cli->command->arguments, cli->command->name);
    return PARE_EXIT_USAGE;
}

int pare_cli_usage(const struct pare_cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "pare %s: ", cli->command->name);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return print_usage(cli);
}

/* ---- options ---- */

static int take_format(struct pare_cli *cli, const char *value)
{
    if (pare_format_parse(value, &cli->format))
        return -1;
    return pare_cli_usage(cli, "--format '%s' is none of table, json, csv, markdown", value);
}

static int take_db(struct pare_cli *cli, const char *value)
{
    cli->db = value;
    return -1;
}

static int take_help(struct pare_cli *cli, const char *value)
{
    (void)value;
    pare_cli_help(cli->command, stdout);
    return PARE_EXIT_OK;
}

/* Options that many commands have. `take` returns as pare_cli_parse() does. */
static const struct common {
    struct pare_option option;
    unsigned flag; /* of the commands that have it; 0: all have */
    int (*take)(struct pare_cli *cli, const char *value);
} common[] = {
    {{"format", 0, "FORMAT", "how to print: table (default), json, csv, markdown"},
     PARE_CMD_FORMAT,
     take_format},
    {{"db", 0, "FILE", "the database ($PARE_DB, else pare.db here or in a folder above)"},
     PARE_CMD_DB,
     take_db},
    {{"help", 'h', NULL, "explain the command"}, 0, take_help},
};

/* The entry that is option `i` of a command; NULL: it has fewer, or that is its own. */
static const struct common *common_at(const struct pare_command *c, size_t i)
{
    size_t at = c->n_options;
    for (size_t k = 0; k < PARE_COUNT(common); k++) {
        if ((!common[k].flag || (c->flags & common[k].flag)) && at++ == i)
            return &common[k];
    }
    return NULL;
}

const struct pare_option *pare_command_option(const struct pare_command *c, size_t i)
{
    const struct common *many = common_at(c, i);
    return i < c->n_options ? &c->options[i] : many ? &many->option : NULL;
}

const char *pare_cli_option(const struct pare_cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->command->n_options; i++) {
        if (strcmp(cli->command->options[i].name, name) == 0)
            return cli->values[i];
    }
    return NULL;
}

bool pare_cli_numbers(const struct pare_cli *cli, const struct pare_cli_number *numbers, size_t n)
{
    bool fine = true;
    for (size_t i = 0; i < n; i++) {
        const struct pare_cli_number *x = &numbers[i];
        const char *text = pare_cli_option(cli, x->name);
        *x->out = x->fallback;
        if (!text || (pare_parse_int(text, x->out) && *x->out >= x->lo && *x->out <= x->hi))
            continue;
        fine = false;
        fprintf(stderr, "pare %s: --%s '%s' is no whole number from %lld to %lld\n",
                cli->command->name, x->name, text, x->lo, x->hi);
    }
    if (!fine)
        print_usage(cli);
    return fine;
}

bool pare_cli_number(const struct pare_cli *cli, const char *name, long long lo, long long hi,
                     long long fallback, long long *out)
{
    return pare_cli_numbers(cli, &(struct pare_cli_number){name, lo, hi, fallback, out}, 1);
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
    const struct pare_option *o;
    fprintf(to, "usage: pare %s%s%s\n\n%s.\n", c->name, *c->arguments ? " " : "", c->arguments,
            c->summary);
    if (c->about)
        fprintf(to, "\n%s\n", c->about);
    fputs("\noptions:\n", to);
    for (size_t i = 0; (o = pare_command_option(c, i)); i++)
        print_option(to, o);
}

/* ---- what was typed ---- */

#define OPTIONS_MOST (PARE_OPTIONS_MAX + PARE_COUNT(common))

/* The tables that getopt_long() wants, from the command's. */
static void make_getopt(const struct pare_command *c, struct option *longs, char *shorts)
{
    const struct pare_option *o;
    size_t i = 0;
    *shorts++ = ':';
    for (; i < OPTIONS_MOST && (o = pare_command_option(c, i)); i++) {
        longs[i] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL,
                                   OPT_FIRST + (int)i};
        if (o->letter) {
            *shorts++ = o->letter;
            if (o->argument)
                *shorts++ = ':';
        }
    }
    longs[i] = (struct option){0};
    *shorts = '\0';
}

/* Which option of the command getopt_long() means; a command's own letter comes first. */
static size_t option_at(const struct pare_command *c, int code)
{
    const struct pare_option *o;
    size_t i = 0;
    if (code >= OPT_FIRST)
        return (size_t)(code - OPT_FIRST);
    while ((o = pare_command_option(c, i)) && o->letter != code)
        i++;
    return i;
}

static int no_option(const struct pare_cli *cli, const struct option *longs, const char *typed)
{
    const char *names[OPTIONS_MOST + 1], *near = NULL;
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

int pare_cli_parse(struct pare_cli *cli, int argc, char **argv)
{
    struct option longs[OPTIONS_MOST + 1];
    char shorts[2 * OPTIONS_MOST + 2];
    const struct pare_command *c = cli->command;
    int code;
    make_getopt(c, longs, shorts);
    opterr = 0;
    optind = 1;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (code == ':')
            return pare_cli_usage(cli, "option '%s' needs a value", argv[optind - 1]);
        if (code == '?')
            return no_option(cli, longs, argv[optind - 1]);
        size_t at = option_at(c, code);
        const struct common *many = common_at(c, at);
        int exit = many ? many->take(cli, optarg) : -1;
        if (exit >= 0)
            return exit;
        if (at >= c->n_options)
            continue;
        cli->values[at] = optarg ? optarg : "";
        if (cli->n_repeated == PARE_REPEAT_MAX)
            return pare_cli_usage(cli, "more than %d options", PARE_REPEAT_MAX);
        cli->repeated[cli->n_repeated].option = at;
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

/* ---- commands ---- */

/* The names of the listed commands that begin so. */
static size_t names_of(const char *begin, const char **names, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < pare_n_commands && n < room; i++) {
        const char *name = pare_commands[i]->name;
        if (!(pare_commands[i]->flags & PARE_CMD_HIDDEN) &&
            strncmp(name, begin, strlen(begin)) == 0)
            names[n++] = name;
    }
    return n;
}

const struct pare_command *pare_command_find(const char *name)
{
    const char *whole[2];
    bool one = *name && names_of(name, whole, 2) == 1;
    const struct pare_command *found = NULL;
    for (size_t i = 0; i < pare_n_commands; i++) {
        if (strcmp(pare_commands[i]->name, name) == 0)
            return pare_commands[i];
        if (one && strcmp(pare_commands[i]->name, whole[0]) == 0)
            found = pare_commands[i];
    }
    return found;
}

const struct pare_command *pare_cli_command(const char *name)
{
    const struct pare_command *c = pare_command_find(name);
    const char *names[64], *near;
    if (c)
        return c;
    for (size_t i = 0; i < PARE_COUNT(later); i++) {
        if (strcmp(later[i], name) == 0) {
            fprintf(stderr, "pare: '%s' is not built yet\n", name);
            return NULL;
        }
    }
    size_t n = *name ? names_of(name, names, PARE_COUNT(names)) : 0;
    fprintf(stderr, "pare: '%s' is %s\n", name, n ? "ambiguous:" : "no command");
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "  %s\n", names[i]);
    if (n)
        return NULL;
    near = pare_nearest(name, names, names_of("", names, PARE_COUNT(names)));
    if (near)
        fprintf(stderr, "  hint: did you mean '%s'?\n", near);
    else
        fputs("  hint: `pare help` lists the commands\n", stderr);
    return NULL;
}
