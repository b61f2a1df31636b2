/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What a character of the field can be; letters are themselves. */
enum { BLANK = 0, DOT, BASELINE, ACROSS, UP, LETTER = 32 };

static const char *const ascii[] = {
    [BLANK] = " ", [DOT] = ".", [BASELINE] = "=", [ACROSS] = "-", [UP] = "|"};
static const char *const unicode[] = {
    [BLANK] = " ", [DOT] = "·", [BASELINE] = "=", [ACROSS] = "─", [UP] = "│"};

struct field {
    const struct pare_plot *plot;
    double x0, x1, y0, y1; /* of the axes, x after its scale */
    unsigned char *cells;
    size_t below;
};

static double scaled(const struct field *f, double x)
{
    return f->plot->log_x ? log(fmax(x, 1e-300)) : x;
}

static bool drawable(const struct field *f, const struct pare_plot_point *p)
{
    return isfinite(p->y.value) && isfinite(scaled(f, p->x.value)) &&
           (!f->plot->log_x || p->x.value > 0);
}

static bool matters(const struct pare_plot_point *p)
{
    return p->kind != PARE_PLOT_OTHER;
}

/* Axes: x over all that is drawn; y over the front and the baseline, and as much again below. */
static bool find_axes(struct field *f)
{
    const struct pare_plot *plot = f->plot;
    bool any = false;
    f->x0 = f->y0 = HUGE_VAL;
    f->x1 = f->y1 = -HUGE_VAL;
    for (size_t i = 0; i < plot->n; i++)
        any = any || (drawable(f, &plot->points[i]) && matters(&plot->points[i]));
    for (size_t i = 0; i < plot->n; i++) {
        const struct pare_plot_point *p = &plot->points[i];
        if (!drawable(f, p) || (any && !matters(p)))
            continue;
        f->y0 = fmin(f->y0, isfinite(p->y.lo) ? p->y.lo : p->y.value);
        f->y1 = fmax(f->y1, isfinite(p->y.hi) ? p->y.hi : p->y.value);
    }
    if (!(f->y0 <= f->y1))
        return false;
    double span = fmax(f->y1 - f->y0, 1e-3), lowest = f->y0;
    for (size_t i = 0; i < plot->n; i++) {
        const struct pare_plot_point *p = &plot->points[i];
        if (!drawable(f, p))
            continue;
        f->y1 = fmax(f->y1, p->y.value);
        if (p->y.value >= f->y0 - span)
            lowest = fmin(lowest, p->y.value);
    }
    f->y0 = lowest - 0.05 * span;
    f->y1 += 0.05 * span;
    for (size_t i = 0; i < plot->n; i++) {
        const struct pare_plot_point *p = &plot->points[i];
        if (!drawable(f, p))
            continue;
        if (p->y.value < f->y0) {
            f->below++;
            continue;
        }
        f->x0 = fmin(f->x0, scaled(f, p->x.value));
        f->x1 = fmax(f->x1, scaled(f, p->x.value));
    }
    double margin = fmax((f->x1 - f->x0) * 0.04, fabs(f->x1) * 1e-3 + 1e-9);
    f->x0 -= margin;
    f->x1 += margin;
    return true;
}

static int column_of(const struct field *f, double x)
{
    double at = (scaled(f, x) - f->x0) / (f->x1 - f->x0) * (f->plot->width - 1);
    return (int)lround(fmin(fmax(at, 0), f->plot->width - 1));
}

static int row_of(const struct field *f, double y)
{
    double at = (f->y1 - y) / (f->y1 - f->y0) * (f->plot->height - 1);
    return (int)lround(fmin(fmax(at, 0), f->plot->height - 1));
}

static unsigned char *cell(const struct field *f, int row, int column)
{
    return &f->cells[(size_t)row * f->plot->width + (size_t)column];
}

static void draw_bars(const struct field *f, const struct pare_plot_point *p)
{
    int r = row_of(f, p->y.value), c = column_of(f, p->x.value);
    if (isfinite(p->x.lo) && isfinite(p->x.hi)) {
        for (int k = column_of(f, p->x.lo); k <= column_of(f, p->x.hi); k++) {
            if (k != c && *cell(f, r, k) == BLANK)
                *cell(f, r, k) = ACROSS;
        }
    }
    if (isfinite(p->y.lo) && isfinite(p->y.hi)) {
        for (int k = row_of(f, p->y.hi); k <= row_of(f, p->y.lo); k++) {
            if (k != r && *cell(f, k, c) == BLANK)
                *cell(f, k, c) = UP;
        }
    }
}

/* The letter of a member, by its place among those of its kind; letters end at Z. */
static unsigned char letter_of(const struct pare_plot *plot, size_t i)
{
    int place = 0;
    for (size_t k = 0; k < i; k++)
        place += plot->points[k].kind == plot->points[i].kind;
    return (unsigned char)((plot->points[i].kind == PARE_PLOT_FRONT ? 'A' : 'a') +
                           PARE_MIN(place, 25));
}

static void draw_points(const struct field *f)
{
    /* Later kinds lie on top: dots, then what is undecided, the front, the baseline. */
    for (int kind = PARE_PLOT_OTHER; kind <= PARE_PLOT_BASELINE; kind++) {
        for (size_t i = 0; i < f->plot->n; i++) {
            const struct pare_plot_point *p = &f->plot->points[i];
            if ((int)p->kind != kind || !drawable(f, p) || p->y.value < f->y0)
                continue;
            *cell(f, row_of(f, p->y.value), column_of(f, p->x.value)) =
                kind == PARE_PLOT_OTHER      ? DOT
                : kind == PARE_PLOT_BASELINE ? BASELINE
                                             : letter_of(f->plot, i);
        }
    }
    for (size_t i = 0; i < f->plot->n; i++) {
        const struct pare_plot_point *p = &f->plot->points[i];
        if (matters(p) && drawable(f, p) && p->y.value >= f->y0)
            draw_bars(f, p);
    }
}

static double unscaled(const struct field *f, double x)
{
    return f->plot->log_x ? exp(x) : x;
}

static void print_field(const struct field *f, FILE *to)
{
    const struct pare_plot *plot = f->plot;
    const char *const *glyphs = plot->utf8 ? unicode : ascii;
    fprintf(to, "%8s\n", plot->y_title);
    for (unsigned r = 0; r < plot->height; r++) {
        double y = f->y1 - (f->y1 - f->y0) * r / (plot->height - 1);
        if (r % 5 == 0 || r + 1 == plot->height)
            fprintf(to, "%8.4f %s", y, plot->utf8 ? "┤" : "+");
        else
            fprintf(to, "%8s %s", "", glyphs[UP]);
        unsigned last = plot->width;
        while (last && *cell(f, (int)r, (int)last - 1) == BLANK)
            last--;
        for (unsigned c = 0; c < last; c++) {
            unsigned char x = *cell(f, (int)r, (int)c);
            if (x >= LETTER)
                fputc(x, to);
            else
                fputs(glyphs[x], to);
        }
        fputc('\n', to);
    }
    fprintf(to, "%8s %s", "", plot->utf8 ? "└" : "+");
    for (unsigned c = 0; c < plot->width; c++)
        fputs(glyphs[ACROSS], to);
    char left[32], right[32];
    snprintf(left, sizeof left, "%.3g", unscaled(f, f->x0));
    snprintf(right, sizeof right, "%.3g", unscaled(f, f->x1));
    int room = (int)plot->width - (int)strlen(left) - (int)strlen(right);
    int title = (int)strlen(plot->x_title), before = PARE_MAX((room - title) / 2, 1);
    fprintf(to, "\n%10s%s%*s%s%*s%s\n", "", left, before, "", plot->x_title,
            PARE_MAX(room - title - before, 1), "", right);
}

static void print_legend(const struct field *f, FILE *to)
{
    const struct pare_plot *plot = f->plot;
    size_t line = 0;
    for (size_t i = 0; i < plot->n; i++) {
        const struct pare_plot_point *p = &plot->points[i];
        if (!matters(p) || !drawable(f, p))
            continue;
        size_t width = strlen(p->label) + 4;
        if (line && line + width > plot->width) {
            fputc('\n', to);
            line = 0;
        }
        fprintf(to, "%s%c %s", line ? "  " : "          ",
                p->kind == PARE_PLOT_BASELINE ? '=' : letter_of(plot, i), p->label);
        line += width;
    }
    if (line)
        fputc('\n', to);
    if (f->below)
        fprintf(to, "          %zu more below the plot\n", f->below);
}

int pare_plot_print(const struct pare_plot *plot, FILE *to, struct pare_error *err)
{
    struct field f = {.plot = plot};
    if (plot->width < 8 || plot->height < 4)
        return pare_error_set(err, PARE_INVALID, "a plot of %u x %u characters is too small",
                              plot->width, plot->height);
    if (!find_axes(&f)) {
        fputs("nothing to plot yet\n", to);
        return PARE_OK;
    }
    f.cells = pare_calloc(plot->width, plot->height);
    if (!f.cells)
        return pare_error_nomem(err, 0);
    draw_points(&f);
    print_field(&f, to);
    print_legend(&f, to);
    free(f.cells);
    return PARE_OK;
}
