/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_COMMAND_H
#define PARE_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/status.h"
#include "cli/table.h"

/* Exit statuses of the program. */
enum pare_exit {
    PARE_EXIT_OK = 0,
    PARE_EXIT_FAILED = 1,
    PARE_EXIT_USAGE = 2,       /* wrong usage or input */
    PARE_EXIT_SOME_FAILED = 3, /* finished, but some variants failed */
    PARE_EXIT_INFEASIBLE = 4,  /* nothing meets the constraints */
    PARE_EXIT_INTERRUPTED = 130
};

/* One option of a command. An option without `argument` is a flag. */
struct pare_option {
    const char *name;     /* "batch" is --batch */
    char letter;          /* -b, or 0 */
    const char *argument; /* "N", or NULL for a flag */
    const char *help;
};

#define PARE_OPTIONS_MAX 24
#define PARE_REPEAT_MAX 64

/* What was typed, sorted out. Texts are argv's. */
struct pare_cli {
    const struct pare_command *command;
    const char *program;                  /* path of this executable, for workers */
    const char *values[PARE_OPTIONS_MAX]; /* by position in the command's table; flags: "" */
    struct {
        size_t option;
        const char *value;
    } repeated[PARE_REPEAT_MAX]; /* every option in the order given */
    size_t n_repeated;
    char **args; /* what is no option */
    int n_args;
    enum pare_format format; /* --format, for commands with PARE_CMD_FORMAT */
    const char *db;          /* --db, for commands with PARE_CMD_DB; NULL: not given */
    bool color, terminal;    /* stdout may have colours (NO_COLOR is respected); is a terminal */
};

#define PARE_CMD_FORMAT 1u  /* takes --format table|json|csv|markdown */
#define PARE_CMD_DB 2u      /* takes --db FILE */
#define PARE_CMD_HIDDEN 4u  /* not listed */
#define PARE_CMD_WORKERS 8u /* talks with workers */

/* A command: one file, one const entry, one line in the table of commands. */
struct pare_command {
    const char *name;
    const char *summary;   /* one line */
    const char *arguments; /* "MODEL PLUGIN [KEY=VALUE]..." */
    const char *about;     /* paragraphs for --help: what it does, examples */
    int least, most;       /* arguments; most = -1: any number */
    unsigned flags;
    const struct pare_option *options;
    size_t n_options;
    int (*run)(struct pare_cli *cli); /* returns enum pare_exit */
};

extern const struct pare_command *const pare_commands[];
extern const size_t pare_n_commands;

/* The command of that name, or the only listed one that begins so. NULL: none, or several. */
const struct pare_command *pare_command_find(const char *name);
/* The same; NULL: said what is wrong. */
const struct pare_command *pare_cli_command(const char *name);

/* Option `i` of a command: its own first, then those of all commands like it (--format, --db,
 * --help). NULL: it has fewer. */
const struct pare_option *pare_command_option(const struct pare_command *command, size_t i);

/* Sort out what was typed; argv[0] is the command. Returns an exit status, or -1 to go on. */
int pare_cli_parse(struct pare_cli *cli, int argc, char **argv);

/* The value of an option by name: NULL when it was not given, "" for a flag. The option must be in
 * the command's table. */
const char *pare_cli_option(const struct pare_cli *cli, const char *name);
/* Options that are whole numbers from lo to hi; the fallback when one was not given. False: said
 * what is wrong, of all of them. */
struct pare_cli_number {
    const char *name;
    long long lo, hi, fallback, *out;
};
bool pare_cli_numbers(const struct pare_cli *cli, const struct pare_cli_number *numbers, size_t n);
/* One of them. */
bool pare_cli_number(const struct pare_cli *cli, const char *name, long long lo, long long hi,
                     long long fallback, long long *out);

/* Print an error in its three parts to stderr ("pare: what", detail, hint); returns the exit status
 * that goes with it: 2 for wrong input or something not found, else 1. */
int pare_cli_fail(const struct pare_error *err);
/* The same for a message of the command itself: wrong usage, exit 2. */
int pare_cli_usage(const struct pare_cli *cli, const char *fmt, ...) PARE_PRINTF(2, 3);

/* What --help prints. */
void pare_cli_help(const struct pare_command *command, FILE *to);

#endif
