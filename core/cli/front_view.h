/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_FRONT_VIEW_H
#define PARE_CLI_FRONT_VIEW_H

#include "cli/command.h"
#include "cli/show.h"

/* A front as it is shown: read where one is kept and no figure has changed since, else made. */

struct pare_front_line {
    const char *label, *hash;
    enum pare_front_status status;
    bool baseline, shown;             /* shown: without being asked for all */
    double p_front, p_feasible, knee; /* NaN: does not apply */
    double rank;                      /* NaN: not ranked */
    const char *folded, *rival, *why; /* NULL: none */
    size_t figures;                   /* its row among the figures; SIZE_MAX: none */
};

struct pare_front_view {
    const char *pipeline, *host, *shape; /* host, shape: NULL while nothing is timed */
    json_t *summary;                     /* of pare_choice_summary() */
    struct pare_front_line *lines;       /* by latency, or by size while nothing is timed */
    size_t n;
    struct pare_rows figures; /* of the view `variants`, ordered by hash */
    struct pare_trials place;
    struct pare_choice choice; /* what was made; empty when it was read */
    struct pare_rows kept;
    struct pare_pool pool;
};

/* The lines shown, or `all`, which are always made anew. Errors: those of pare_choice_make(). */
int pare_front_view_load(struct pare_store *store, const struct pare_choice_query *query, bool all,
                         struct pare_front_view *out, struct pare_error *err);
void pare_front_view_free(struct pare_front_view *view);

#endif
