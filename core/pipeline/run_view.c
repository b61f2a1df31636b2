/* SPDX-License-Identifier: Apache-2.0 */
/* Progress on stderr: a status line on a terminal, plain lines otherwise. */
#include "base/clock.h"
#include "pipeline/run_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static unsigned columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

void pare_view_status(struct pare_runner *r, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (r->options->quiet || !isatty(STDERR_FILENO))
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(stderr, "\r\033[K%.*s", (int)columns() - 1, text);
    fflush(stderr);
    r->line_open = true;
}

void pare_view_line(struct pare_runner *r, const char *fmt, ...)
{
    va_list args;
    if (r->options->quiet)
        return;
    if (r->line_open)
        fputs("\r\033[K", stderr);
    r->line_open = false;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}
