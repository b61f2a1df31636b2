/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

void pare_cli_watch_interrupt(void)
{
    struct sigaction on = {.sa_handler = interrupt};
    sigaction(SIGINT, &on, NULL);
}

bool pare_cli_interrupted(void)
{
    return interrupted != 0;
}

int pare_cli_progress(void *user, uint32_t done)
{
    struct pare_cli_progress *p = user;
    double now = pare_clock_seconds();
    if (isatty(STDERR_FILENO) && now - p->shown > 0.1) {
        fprintf(stderr, "\r%" PRIu32 "/%" PRIu32 "%s", done, p->all, p->unit);
        p->shown = now;
    }
    return interrupted;
}

void pare_cli_progress_end(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r                    \r", stderr);
}
