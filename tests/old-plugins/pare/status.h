/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_STATUS_H
#define PARE_STATUS_H

/* What every fallible function of Pare returns. The numbers are part of the ABI: never renumbered.
 */
enum pare_status {
    PARE_OK = 0,
    PARE_INVALID = 1,     /* the input is wrong: a file, a parameter, an argument */
    PARE_NOMEM = 2,       /* memory could not be had */
    PARE_IO = 3,          /* the system refused to read or write */
    PARE_UNSUPPORTED = 4, /* well formed, but this program cannot do it */
    PARE_FAILED = 5,      /* tried and did not work */
    PARE_CANCELLED = 6,   /* somebody asked to stop */
    PARE_NOT_FOUND = 7,   /* a name that nothing answers to */
    PARE_BUSY = 8         /* somebody else holds it */
};

#endif
