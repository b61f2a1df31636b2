/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_STATUS_H
#define PARE_BASE_STATUS_H

#include <pare/status.h>

/* A message in three parts: what went wrong, the detail (where, which values), and what to do.
 * The lowest level that knows the reason sets it once; the levels above pass it on. */
struct pare_error {
    int status;
    char what[384];
    char detail[1024];
    char hint[384];
};

#define PARE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Set `what` and clear the other parts; returns `status`, so that `return pare_error_set(...)`
 * reads well. `err` may be NULL: then only the status is passed on. */
int pare_error_set(struct pare_error *err, int status, const char *fmt, ...) PARE_PRINTF(3, 4);

/* Add the second and third part to a message that pare_error_set() began. */
void pare_error_detail(struct pare_error *err, const char *fmt, ...) PARE_PRINTF(2, 3);
void pare_error_hint(struct pare_error *err, const char *fmt, ...) PARE_PRINTF(2, 3);

/* "out of memory" with the number of bytes that were wanted (0: unknown). Returns PARE_NOMEM. */
int pare_error_nomem(struct pare_error *err, unsigned long long bytes);

/* A system call failed: `what` is formatted, errno's text is the detail. Returns PARE_IO. */
int pare_error_errno(struct pare_error *err, const char *fmt, ...) PARE_PRINTF(2, 3);

/* A word for a status: "invalid", "out of memory", ... Never NULL. */
const char *pare_status_name(int status);

/* Run `call`; when it fails, set `rc` and go to `out`. Every function that uses it has both. */
#define PARE_TRY(call)                                                                             \
    do {                                                                                           \
        rc = (call);                                                                               \
        if (rc != PARE_OK)                                                                         \
            goto out;                                                                              \
    } while (0)

#endif
