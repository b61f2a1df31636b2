/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_CHILD_H
#define PARE_PIPELINE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "pipeline/message.h"

/* A worker process as its parent sees it: this program again, started by posix_spawn (nothing forks
 * after OpenMP), talking over a private descriptor, its stdout and stderr captured. */
struct pare_child {
    pid_t pid;  /* 0: none */
    int fd;     /* messages */
    int log_fd; /* -1 when it has closed both */
    struct pare_message_reader reader;
    struct pare_str log; /* the end of what it printed since pare_child_forget() */
    double last_heard;   /* seconds, pare_clock_seconds() */
    bool closed;         /* it has closed its end */
};

/* The descriptor on which a worker finds its parent. */
#define PARE_CHILD_FD 3

/* Start `program worker` with so many threads; a `timed` one is alone and bound to its cores.
 * `setup` (see setup.h) is what it is told first: without one it does nothing. */
int pare_child_start(struct pare_child *child, const char *program, unsigned threads, bool timed,
                     const json_t *setup, struct pare_error *err);
/* In the worker, at its start: it ends when its parent does, however that ended. */
void pare_child_end_with_parent(void);
/* Read what it printed and sent; messages are taken with pare_message_next(). */
void pare_child_listen(struct pare_child *child);
void pare_child_forget_log(struct pare_child *child);
/* Let it end, or kill it when told to or when it takes more than seconds; collect, close.
 * `*signal` and `*code` (may be NULL) tell how it ended. */
void pare_child_end(struct pare_child *child, bool kill_it, int *signal, int *code);
/* Resident memory now, in bytes; 0: not known. */
unsigned long long pare_child_rss(const struct pare_child *child);

#endif
