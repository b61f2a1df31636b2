/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_TABLE_H
#define PARE_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

/* How commands print data. */
enum pare_format { PARE_FORMAT_TABLE, PARE_FORMAT_JSON, PARE_FORMAT_CSV, PARE_FORMAT_MARKDOWN };

bool pare_format_parse(const char *text, enum pare_format *out);

/* Rows of named columns, collected and then printed in one format. JSON is an array of objects,
 * with numbers as numbers and missing cells as null; the others show text, numbers flush right. */
struct pare_table {
    struct pare_pool pool;
    const char **names;
    bool *numeric;
    size_t n_columns, cap_columns, cap_numeric;
    struct pare_table_cell *cells;
    size_t n_cells, cap_cells;
    bool failed; /* memory ran out: printing says so */
};

void pare_table_column(struct pare_table *t, const char *name); /* before the first cell */

/* Append the next cell, row by row. `shown` is what people see (NULL: as the number is written). */
void pare_table_text(struct pare_table *t, const char *text);                  /* NULL: missing */
void pare_table_number(struct pare_table *t, double value, const char *shown); /* NaN: missing */
void pare_table_integer(struct pare_table *t, int64_t value);
void pare_table_printf(struct pare_table *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Print and empty. False: memory ran out or `to` could not be written. */
bool pare_table_print(struct pare_table *t, enum pare_format format, FILE *to);

/* Empty one that is not going to be printed. */
void pare_table_drop(struct pare_table *t);

/* "3.02 MB", "812 kB"; "1.2k", "40.8M": at least 16 bytes. */
void pare_show_bytes(double bytes, char *out);
void pare_show_count(double n, char *out);

#endif
