/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/ask.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* The end of what a worker printed, on one line. */
static void last_words(const struct pare_str *log, char *out, size_t size)
{
    size_t n = log->len, at = 0;
    while (n > 0 && log->data[n - 1] == '\n')
        n--;
    size_t from = n;
    while (from > 0 && log->data[from - 1] != '\n')
        from--;
    for (; from < n && at + 1 < size; from++)
        out[at++] = (char)(((unsigned char)log->data[from] < ' ') ? ' ' : log->data[from]);
    out[at] = '\0';
}

static bool is_answer(struct pare_ask *ask, const json_t *message)
{
    const char *type = pare_message_text(message, "type");
    if (strcmp(type, "log") == 0 && ask->tell)
        ask->tell(ask->user, pare_message_text(message, "text"));
    return strcmp(type, "log") != 0 && strcmp(type, "progress") != 0 && strcmp(type, "stage") != 0;
}

static int take_messages(struct pare_ask *ask, struct pare_child *child, struct pare_error *err)
{
    json_t *message;
    int rc = PARE_OK;
    while (!ask->answer && (rc = pare_message_next(&child->reader, &message, err)) == PARE_OK &&
           message) {
        if (is_answer(ask, message))
            ask->answer = message;
        else
            json_decref(message);
    }
    return rc;
}

int pare_ask_worker(struct pare_ask *ask, json_t *job, struct pare_error *err)
{
    struct pare_child child;
    struct pare_error ignored; /* a worker that is gone shows below */
    char how[120] = "", words[200];
    int sig = 0, code = 0;
    bool late = false, large = false;
    ask->answer = NULL;
    ask->limit = NULL;
    ask->why[0] = '\0';
    int rc = pare_child_start(&child, ask->program, ask->threads, false, ask->setup, err);
    if (rc != PARE_OK) {
        json_decref(job);
        return rc;
    }
    const double end = pare_clock_seconds() + ask->seconds;
    pare_message_send(child.fd, job, &ignored);
    while (rc == PARE_OK && !ask->answer && !child.closed && !late && !large) {
        struct pollfd fds[] = {{.fd = child.fd, .events = POLLIN},
                               {.fd = child.log_fd, .events = POLLIN}};
        poll(fds, 2, 200);
        pare_child_listen(&child);
        rc = take_messages(ask, &child, err);
        late = ask->seconds > 0 && pare_clock_seconds() >= end;
        large = ask->bytes && pare_child_rss(&child) > ask->bytes;
        if (rc == PARE_OK && !ask->answer && ask->cancelled && ask->cancelled())
            rc = pare_error_set(err, PARE_CANCELLED, "interrupted");
    }
    pare_child_end(&child, !ask->answer, &sig, &code);
    ask->log = child.log;
    if (rc != PARE_OK || (ask->answer && !sig))
        return rc;
    ask->limit = large ? "memory" : late ? "time" : NULL;
    if (large)
        snprintf(how, sizeof how, "it took more than %llu MB", ask->bytes / 1000000);
    else if (late)
        snprintf(how, sizeof how, "it was still at it after %g s", ask->seconds);
    else if (ask->answer && sig == SIGKILL)
        snprintf(how, sizeof how, "it did not end when its work was done");
    else if (sig)
        snprintf(how, sizeof how, "it crashed with signal %d (%s)", sig, strsignal(sig));
    else
        snprintf(how, sizeof how, "it ended the process with status %d", code);
    last_words(&ask->log, words, sizeof words);
    snprintf(ask->why, sizeof ask->why, "%s%s%s", how, *words ? "; its last words: " : "", words);
    return PARE_OK;
}
