/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_KIT_CHECK_H
#define PARE_KIT_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* The checks that a plugin goes through: named, each in a process of its own. */
enum pare_check_level {
    PARE_CHECK_PASS,
    PARE_CHECK_SKIP, /* it does not apply, and the text says why */
    PARE_CHECK_NOTE, /* worth knowing */
    PARE_CHECK_WARN, /* people will stumble over it */
    PARE_CHECK_FAIL  /* the contract is broken */
};
const char *pare_check_level_name(enum pare_check_level level); /* "pass", "skip", ... */

struct pare_check_result {
    enum pare_check_level level;
    char text[600]; /* what was seen and what to do; "" when there is nothing to say. Of
                       pare_check_here("same-bytes") that passes: a hash of what was made */
};

struct pare_check;
struct pare_check_case {
    const char *name;
    const char *demands; /* one sentence: what the plugin has to do */
    void (*run)(struct pare_check *check);
};
/* All of them, in the order in which they make sense. */
const struct pare_check_case *pare_checks(size_t *n);

/* Run one check here, in this process, which a bad plugin can bring down. `plugin`: an id, or a
 * file's name with a slash. Errors: PARE_NOT_FOUND for a check that there is not. */
int pare_check_here(const char *plugin, const char *name, struct pare_check_result *out,
                    struct pare_error *err);

/* Run checks in a worker each (`program worker`), which are ended after `seconds`: what kills a
 * worker or makes it hang fails its check. `only`: those whose name matches the glob; NULL: all.
 * `tell` is called after each; nonzero stops (PARE_CANCELLED). PARE_NOT_FOUND: none matches. */
struct pare_check_run {
    const char *program, *plugin, *only;
    bool unconfined; /* workers may touch what the user may */
    double seconds;
    int (*tell)(void *user, const struct pare_check_case *check,
                const struct pare_check_result *result, double seconds);
    void *user;
};
int pare_check_all(const struct pare_check_run *run, struct pare_error *err);

#endif
