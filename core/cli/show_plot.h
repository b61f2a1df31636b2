/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_SHOW_PLOT_H
#define PARE_CLI_SHOW_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/stat.h"
#include "base/status.h"

/* One point of a scatter of two figures, for a terminal. */
struct pare_plot_point {
    const char *label;
    struct pare_interval x, y; /* lo and hi may be NaN: no bar */
    enum { PARE_PLOT_OTHER, PARE_PLOT_MAYBE, PARE_PLOT_FRONT, PARE_PLOT_BASELINE } kind;
};

struct pare_plot {
    const char *x_title, *y_title;
    const struct pare_plot_point *points;
    size_t n;
    unsigned width, height; /* in characters, of the field itself */
    bool utf8, log_x;
};

/* Draw it: A, B, ... are the front in the order given, a, b, ... what is too close to call, = the
 * baseline, dots the rest; bars where an interval is wider than a character. The y axis holds the
 * front and the baseline; how many lie below is said. Points with a missing figure are left out. */
int pare_plot_print(const struct pare_plot *plot, FILE *to, struct pare_error *err);

#endif
