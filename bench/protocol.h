/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BENCH_PROTOCOL_H
#define PARE_BENCH_PROTOCOL_H

/* An engine as a process that is told what to do, line by line, so that a driver can time it in
 * turn with others (bench/peers). After one line of JSON about itself it answers
 *
 *     input FILE     floats: what is read from now on
 *     output FILE    write the outputs for that input, floats
 *     run K          K times in ns, one for each run over the input
 *
 * and what a server knows beyond that. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/status.h"

struct server {
    float *inputs, *outputs;
    size_t n_inputs, n_outputs;
    bool fresh; /* the input is not the one of the last run; `run` clears it where it matters */
    int (*run)(struct server *s, struct pare_error *err);
    /* A request of its own: answer it and set *known. NULL: there are none. */
    int (*more)(struct server *s, const char *line, bool *known, struct pare_error *err);
};

static inline int server_transfer(const char *file, const char *mode, float *data, size_t n,
                                  struct pare_error *err)
{
    FILE *f = fopen(file, mode);
    if (!f)
        return pare_error_errno(err, "cannot open %s", file);
    size_t done = *mode == 'r' ? fread(data, sizeof *data, n, f) : fwrite(data, sizeof *data, n, f);
    if (fclose(f) || done != n)
        return pare_error_set(err, PARE_IO, "%s: %zu of %zu numbers", file, done, n);
    return PARE_OK;
}

static inline int server_answer(struct server *s, const char *line, struct pare_error *err)
{
    unsigned times;
    bool known = true;
    int rc = PARE_OK;
    if (strncmp(line, "input ", 6) == 0) {
        rc = server_transfer(line + 6, "rb", s->inputs, s->n_inputs, err);
        s->fresh = true;
        if (rc == PARE_OK)
            puts("ok");
    } else if (strncmp(line, "output ", 7) == 0) {
        PARE_TRY(s->run(s, err));
        PARE_TRY(server_transfer(line + 7, "wb", s->outputs, s->n_outputs, err));
        puts("ok");
    } else if (sscanf(line, "run %u", &times) == 1) {
        for (unsigned i = 0; i < times && rc == PARE_OK; i++) {
            uint64_t start = pare_clock_ns();
            rc = s->run(s, err);
            printf("%s%" PRIu64, i ? " " : "", pare_clock_ns() - start);
        }
        putchar('\n');
    } else {
        known = false;
        if (s->more)
            rc = s->more(s, line, &known, err);
        if (rc == PARE_OK && !known)
            rc = pare_error_set(err, PARE_INVALID, "unknown request: %s", line);
    }
out:
    fflush(stdout);
    return rc;
}

/* Answer until there are no more requests, unless the start, which printed the first line, failed;
 * tell what went wrong. Returns the exit status. */
static inline int server_serve(struct server *s, const char *program, int rc,
                               struct pare_error *err)
{
    char line[4096];
    fflush(stdout);
    while (rc == PARE_OK && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        rc = server_answer(s, line, err);
    }
    if (rc != PARE_OK)
        fprintf(stderr, "%s: %s; %s\n", program, err->what, err->detail);
    free(s->inputs);
    free(s->outputs);
    return rc == PARE_OK ? 0 : 1;
}

/* Room for inputs and outputs. */
static inline int server_room(struct server *s, size_t n_inputs, size_t n_outputs,
                              struct pare_error *err)
{
    s->n_inputs = n_inputs;
    s->n_outputs = n_outputs;
    s->fresh = true;
    s->inputs = pare_calloc(n_inputs, sizeof *s->inputs);
    s->outputs = pare_calloc(n_outputs, sizeof *s->outputs);
    return s->inputs && s->outputs ? PARE_OK : pare_error_nomem(err, 0);
}

#endif
