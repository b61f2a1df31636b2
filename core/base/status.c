/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int pare_error_set(struct pare_error *err, int status, const char *fmt, ...)
{
    if (!err)
        return status;
    char text[sizeof err->what]; /* the arguments may be parts of the old message */
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    memcpy(err->what, text, sizeof text);
    err->status = status;
    err->detail[0] = err->hint[0] = '\0';
    return status;
}

void pare_error_detail(struct pare_error *err, const char *fmt, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->detail, sizeof err->detail, fmt, args);
    va_end(args);
}

void pare_error_hint(struct pare_error *err, const char *fmt, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
}

int pare_error_nomem(struct pare_error *err, unsigned long long bytes)
{
    if (bytes == 0)
        return pare_error_set(err, PARE_NOMEM, "out of memory");
    return pare_error_set(err, PARE_NOMEM, "out of memory: %llu bytes were wanted", bytes);
}

int pare_error_errno(struct pare_error *err, const char *fmt, ...)
{
    int saved = errno;
    if (!err)
        return PARE_IO;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->what, sizeof err->what, fmt, args);
    va_end(args);
    err->status = PARE_IO;
    err->hint[0] = '\0';
    snprintf(err->detail, sizeof err->detail, "%s", strerror(saved));
    return PARE_IO;
}

const char *pare_status_name(int status)
{
    static const char *const names[] = {
        [PARE_OK] = "ok",
        [PARE_INVALID] = "invalid",
        [PARE_NOMEM] = "out of memory",
        [PARE_IO] = "input/output error",
        [PARE_UNSUPPORTED] = "unsupported",
        [PARE_FAILED] = "failed",
        [PARE_CANCELLED] = "cancelled",
        [PARE_NOT_FOUND] = "not found",
        [PARE_BUSY] = "busy",
    };
    if (status < 0 || status >= (int)(sizeof names / sizeof names[0]))
        return "unknown status";
    return names[status];
}
