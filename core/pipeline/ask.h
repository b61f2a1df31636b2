/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_ASK_H
#define PARE_PIPELINE_ASK_H

#include "pipeline/child.h"

/* One question to a worker of its own: whatever a plugin does there, it does not end us. */
struct pare_ask {
    const char *program; /* this one */
    unsigned threads;
    const json_t *setup;      /* see setup.h */
    double seconds;           /* longer than this it may not take; 0: as it likes */
    unsigned long long bytes; /* nor more memory; 0: as it likes */
    void (*tell)(void *user, const char *text); /* what it logs; NULL: nobody listens */
    bool (*cancelled)(void);                    /* asked now and then: end it; NULL: nobody does */
    void *user;

    /* What came of it. */
    json_t *answer;      /* the caller's; NULL: none, and `why` tells how the worker ended */
    struct pare_str log; /* the end of what it printed; the caller's */
    const char *limit;   /* "time" or "memory" when it went beyond that; NULL: it did not */
    char why[400];       /* "it crashed with signal 11 (...)", with its last words; with an answer:
                            it crashed or hung at its exit */
};

/* Send `job` (taken) and wait for its answer, which is what tells neither of logs nor of progress.
 * Fails where no worker can be started or what it sends cannot be read. PARE_CANCELLED: somebody
 * did. One thread. */
int pare_ask_worker(struct pare_ask *ask, json_t *job, struct pare_error *err);

#endif
