/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_STR_H
#define PARE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text that grows. Zero-initialise. When memory runs out `failed` is set and stays set, further
 * appends do nothing: check once, at the end. `data` is NUL-terminated, NULL while nothing was
 * added. */
struct pare_str {
    char *data;
    size_t len, cap;
    bool failed;
};

void pare_str_append(struct pare_str *s, const char *text);
void pare_str_append_n(struct pare_str *s, const char *bytes, size_t n);
void pare_str_printf(struct pare_str *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void pare_str_free(struct pare_str *s);

/* Hand over the text (never NULL unless memory ran out) and empty `s`. Freed by free(). */
char *pare_str_take(struct pare_str *s);

/* The shortest decimal text that reads back as exactly `x` ("0.1", "4", "1e-05"); independent of
 * the locale. `out` holds at least 32 bytes. */
void pare_format_double(double x, char *out);

/* "241,604". `out` holds at least 32 bytes. */
void pare_format_grouped(uint64_t n, char *out);

/* Read a whole text as a finite number or an integer: true only when nothing is left over.
 * Independent of the locale. */
bool pare_parse_double(const char *text, double *out);
bool pare_parse_int(const char *text, long long *out);

bool pare_ends_with(const char *text, const char *end);

/* The candidate closest to `word` by edit distance (transpositions count one), else the only one
 * that begins with it; NULL when none is worth suggesting. */
const char *pare_nearest(const char *word, const char *const *candidates, size_t n);

/* Glob over dotted paths: `*` stops at a dot, `**` crosses it, `?` is one character but a dot. */
bool pare_glob_match(const char *pattern, const char *path);

#endif
