/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"
#include "base/str.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct pare_table_cell {
    const char *text; /* what people see; NULL: missing */
    double number;    /* NaN: the cell is text */
    bool whole;
    int64_t integer;
};

static const char *const format_names[] = {"table", "json", "csv", "markdown"};

bool pare_format_parse(const char *text, enum pare_format *out)
{
    for (size_t i = 0; i < PARE_COUNT(format_names); i++) {
        if (strcmp(text, format_names[i]) == 0) {
            *out = (enum pare_format)i;
            return true;
        }
    }
    return false;
}

void pare_table_column(struct pare_table *t, const char *name)
{
    char *own = pare_pool_strdup(&t->pool, name);
    if (!own || !pare_grow(&t->names, &t->cap_columns, t->n_columns + 1, sizeof *t->names) ||
        !pare_grow(&t->numeric, &t->cap_numeric, t->n_columns + 1, sizeof *t->numeric)) {
        t->failed = true;
        return;
    }
    t->names[t->n_columns] = own;
    t->numeric[t->n_columns++] = false;
}

static void add_cell(struct pare_table *t, const char *text, double number, bool whole,
                     int64_t integer)
{
    char *own = text ? pare_pool_strdup(&t->pool, text) : NULL;
    if ((text && !own) || t->n_columns == 0 ||
        !pare_grow(&t->cells, &t->cap_cells, t->n_cells + 1, sizeof *t->cells)) {
        t->failed = true;
        return;
    }
    if (!isnan(number))
        t->numeric[t->n_cells % t->n_columns] = true;
    t->cells[t->n_cells++] =
        (struct pare_table_cell){.text = own, .number = number, .whole = whole, .integer = integer};
}

void pare_table_text(struct pare_table *t, const char *text)
{
    add_cell(t, text, (double)NAN, false, 0);
}

void pare_table_number(struct pare_table *t, double value, const char *shown)
{
    char text[32];
    if (!isfinite(value)) {
        add_cell(t, NULL, (double)NAN, false, 0);
        return;
    }
    if (!shown)
        pare_format_double(value, text);
    add_cell(t, shown ? shown : text, value, false, 0);
}

void pare_table_integer(struct pare_table *t, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    add_cell(t, text, (double)value, true, value);
}

void pare_table_printf(struct pare_table *t, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pare_table_text(t, text);
}

/* How a character is shown in a row; NULL: as it is. Control characters would break the table, or
 * steer the terminal. */
static const char *shown_as(char c, bool markdown)
{
    if (c == '\n')
        return markdown ? "<br>" : "\\n";
    if (c == '|' && markdown)
        return "\\|";
    return (unsigned char)c < 0x20 || c == 0x7f ? "?" : NULL;
}

/* Characters, not bytes: UTF-8 continuation bytes take no room. A line's end at the end goes. */
static size_t put(const char *text, bool markdown, FILE *to)
{
    size_t n = 0;
    for (; text && *text; text++) {
        const char *other = *text == '\n' && !text[1] ? "" : shown_as(*text, markdown);
        if (other)
            n += strlen(other);
        else
            n += ((unsigned char)*text & 0xc0) != 0x80;
        if (to && other)
            fputs(other, to);
        else if (to)
            fputc(*text, to);
    }
    return n;
}

static void pad(FILE *to, size_t n)
{
    while (n--)
        fputc(' ', to);
}

static void print_aligned(const struct pare_table *t, FILE *to, bool markdown)
{
    size_t *width = calloc(t->n_columns, sizeof *width);
    size_t rows = t->n_columns ? t->n_cells / t->n_columns : 0;
    if (!width)
        return;
    for (size_t c = 0; c < t->n_columns; c++) {
        width[c] = put(t->names[c], markdown, NULL);
        for (size_t r = 0; r < rows; r++)
            width[c] = PARE_MAX(width[c], put(t->cells[r * t->n_columns + c].text, markdown, NULL));
    }
    for (size_t r = 0; r <= rows; r++) {
        for (size_t c = 0; c < t->n_columns; c++) {
            const char *text = r == 0 ? t->names[c] : t->cells[(r - 1) * t->n_columns + c].text;
            size_t room = width[c] - put(text, markdown, NULL);
            bool last = c + 1 == t->n_columns;
            fputs(markdown ? (c ? " | " : "| ") : (c ? "  " : ""), to);
            if (t->numeric[c])
                pad(to, room);
            put(text, markdown, to);
            if (!t->numeric[c] && (!last || markdown))
                pad(to, room);
        }
        fputs(markdown ? " |\n" : "\n", to);
        for (size_t c = 0; markdown && r == 0 && c < t->n_columns; c++)
            fprintf(to, "%s%s%s", c ? "" : "|", t->numeric[c] ? "---:" : "---",
                    c + 1 == t->n_columns ? "|\n" : "|");
    }
    free(width);
}

static void print_quoted(FILE *to, const char *text)
{
    if (!text)
        return;
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, to);
        return;
    }
    fputc('"', to);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', to);
        fputc(*text, to);
    }
    fputc('"', to);
}

static void print_csv(const struct pare_table *t, FILE *to)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        fputs(c ? "," : "", to);
        print_quoted(to, t->names[c]);
    }
    fputs("\r\n", to);
    for (size_t i = 0; i < t->n_cells; i++) {
        const struct pare_table_cell *cell = &t->cells[i];
        char number[32];
        fputs(i % t->n_columns ? "," : "", to);
        if (!isnan(cell->number) && !cell->whole) {
            if (cell->number == floor(cell->number) && fabs(cell->number) < 1e15)
                snprintf(number, sizeof number, "%.0f", cell->number);
            else
                pare_format_double(cell->number, number);
            fputs(number, to);
        } else {
            print_quoted(to, cell->text);
        }
        if ((i + 1) % t->n_columns == 0)
            fputs("\r\n", to);
    }
}

static bool print_json(const struct pare_table *t, FILE *to)
{
    json_t *rows = json_array(), *row = NULL;
    for (size_t i = 0; i < t->n_cells; i++) {
        const struct pare_table_cell *cell = &t->cells[i];
        json_t *value = cell->whole            ? json_integer(cell->integer)
                        : !isnan(cell->number) ? json_real(cell->number)
                        : cell->text           ? json_string(cell->text)
                                               : json_null();
        if (i % t->n_columns == 0) {
            row = json_object();
            json_array_append_new(rows, row);
        }
        json_object_set_new(row, t->names[i % t->n_columns], value);
    }
    int rc = json_dumpf(rows, to, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    fputc('\n', to);
    json_decref(rows);
    return rc == 0;
}

void pare_table_drop(struct pare_table *t)
{
    free(t->names);
    free(t->numeric);
    free(t->cells);
    pare_pool_free(&t->pool);
    *t = (struct pare_table){0};
}

bool pare_table_print(struct pare_table *t, enum pare_format format, FILE *to)
{
    bool fine = !t->failed;
    if (fine && format == PARE_FORMAT_JSON)
        fine = print_json(t, to);
    else if (fine && format == PARE_FORMAT_CSV)
        print_csv(t, to);
    else if (fine)
        print_aligned(t, to, format == PARE_FORMAT_MARKDOWN);
    fine = fflush(to) == 0 && fine;
    pare_table_drop(t);
    return fine;
}

/* Three digits of a number and the unit that a thousand of the one before make. */
static void show_scaled(double x, const char *const units[5], char *out)
{
    size_t u = 0;
    for (; x >= 1000 && u < 4; u++)
        x /= 1000;
    snprintf(out, 16,
             u == 0    ? "%.0f%s"
             : x < 10  ? "%.2f%s"
             : x < 100 ? "%.1f%s"
                       : "%.0f%s",
             x, units[u]);
}

void pare_show_bytes(double bytes, char *out)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB"};
    show_scaled(bytes, units, out);
}

void pare_show_count(double n, char *out)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    show_scaled(n, units, out);
}
