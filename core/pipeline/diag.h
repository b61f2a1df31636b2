/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_DIAG_H
#define PARE_PIPELINE_DIAG_H

#include <jansson.h>

#include "base/mem.h"
#include "base/status.h"

/* A place in a text file: line and column from 1, columns count characters. Line 0: no place. */
struct pare_mark {
    unsigned line, column;
    unsigned set; /* in the setting of this number, from 1, of the command line; 0: in the file */
};

/* One mistake in a file: what is wrong, from `at` to before `end`, and what to do about it. */
struct pare_diag {
    struct pare_mark at, end;
    const char *what;
    const char *hint; /* or NULL */
    const char *note; /* or NULL: about a second place */
    struct pare_mark note_at;
};

#define PARE_DIAG_MAX 20

/* The mistakes found in one file, so that all are shown at once. Zero-initialise; not thread safe.
 */
struct pare_diags {
    const char *path; /* as it is shown */
    const char *text; /* the file, for quoting lines; may be NULL */
    size_t size;
    const char *const *sets; /* settings KEY=VALUE that marks refer to; the caller's */
    size_t sets_hidden;      /* bytes at the front of each that nobody typed */
    struct pare_diag items[PARE_DIAG_MAX];
    size_t n;
    size_t dropped; /* beyond PARE_DIAG_MAX */
    bool last_kept; /* whether hints and notes have something to belong to */
    bool nomem;
    struct pare_pool pool;
};

/* Say which file is read; path and text are copied. `text` may be NULL. */
void pare_diags_source(struct pare_diags *d, const char *path, const char *text, size_t size);
void pare_diags_free(struct pare_diags *d);

/* Add a mistake; the same words at the same place count once. */
void pare_diag_add(struct pare_diags *d, struct pare_mark at, struct pare_mark end, const char *fmt,
                   ...) PARE_PRINTF(4, 5);

/* Complete the mistake added last. */
void pare_diag_hint(struct pare_diags *d, const char *fmt, ...) PARE_PRINTF(2, 3);
void pare_diag_note(struct pare_diags *d, struct pare_mark at, const char *fmt, ...)
    PARE_PRINTF(3, 4);

/* A setting as it was typed, or NULL when the mark is in the file. */
const char *pare_diags_set(const struct pare_diags *d, struct pare_mark at);

/* Put the mistakes in the order of their places. */
void pare_diags_sort(struct pare_diags *d);

/* PARE_OK when nothing was found, else PARE_INVALID (or PARE_NOMEM) with `err` naming the first. */
int pare_diags_status(const struct pare_diags *d, struct pare_error *err);

/* The text people read: FILE:LINE:COLUMN, the source line, a caret line and the hint for each.
 * Freed with free(); NULL: no memory. */
char *pare_diags_text(const struct pare_diags *d);

/* The same for programs: an array of {file, line, column, end_line, end_column, severity, message,
 * hint}. A new reference; NULL: no memory. */
json_t *pare_diags_json(const struct pare_diags *d);

#endif
