/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_REGEX_H
#define PARE_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

/* Regular expressions of tokenizers, by PCRE2. They are written for Oniguruma, which the reference
 * uses; what the two libraries understand differently is translated first. A compiled one is const
 * in any number of threads. */
struct pare_regex;

/* Compile a pattern that is UTF-8. Freed by pare_regex_free(). Errors: PARE_INVALID with PCRE2's
 * reason and the place, PARE_UNSUPPORTED (what PCRE2 cannot express). */
int pare_regex_compile(const char *pattern, size_t n, struct pare_regex **out,
                       struct pare_error *err);
void pare_regex_free(struct pare_regex *re);

/* The pattern as PCRE2 gets it, appended to `out`. */
int pare_regex_translate(const char *pattern, size_t n, struct pare_str *out,
                         struct pare_error *err);

/* One thread's matching: the state of one regex at a time over texts that are UTF-8. */
struct pare_regex_run {
    const struct pare_regex *re;
    void *match, *context; /* PCRE2's */
    const char *text;
    size_t n, next; /* where the search goes on */
    size_t last;    /* end of the last match, SIZE_MAX: none yet */
    uint64_t deadline;
};

int pare_regex_begin(struct pare_regex_run *run, const struct pare_regex *re,
                     struct pare_error *err);
void pare_regex_text(struct pare_regex_run *run, const char *text, size_t n);
void pare_regex_end(struct pare_regex_run *run);

/* The next match, from left to right; `*found` says whether there is one. An empty match where the
 * last one ended does not count. PARE_FAILED: it would take too many steps or too long; PARE_NOMEM.
 */
int pare_regex_next(struct pare_regex_run *run, bool *found, size_t *start, size_t *end,
                    struct pare_error *err);

#endif
