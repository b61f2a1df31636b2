/* SPDX-License-Identifier: Apache-2.0 */
/* How far a long command is, and whether it is asked to stop. One thread. */
#ifndef PARE_CLI_PROGRESS_H
#define PARE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* From here on Ctrl-C ends nothing by itself, but is told by pare_cli_interrupted(). */
void pare_cli_watch_interrupt(void);
bool pare_cli_interrupted(void);

/* Done of all on stderr, ten times a second at most, where that is a terminal. */
struct pare_cli_progress {
    uint32_t all;
    const char *unit; /* " windows"; or "" */
    double shown;     /* when, seconds */
};

/* A callback for evaluations; `user` is the struct above. Not zero: interrupted. */
int pare_cli_progress(void *user, uint32_t done);
void pare_cli_progress_end(void);

#endif
