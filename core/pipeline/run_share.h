/* SPDX-License-Identifier: Apache-2.0 */
/* Stored activations that evaluations share. Internal to core/pipeline/run*.c; the supervisor's
 * only thread. */
#ifndef PARE_PIPELINE_RUN_SHARE_H
#define PARE_PIPELINE_RUN_SHARE_H

#include "pipeline/run_parts.h"

struct stored;

/* Files of one phase and one set of samples. */
struct pare_share {
    struct pare_runner *r;
    char *folder;
    struct stored *files;
    size_t n, cap;
    uint64_t budget, used;       /* bytes on disk */
    size_t evaluated, started;   /* evaluations, and those of them that began in the middle */
    double macs_run, macs_naive; /* per sample, added up: what ran, and what would have */
};

int pare_share_begin(struct pare_share *s, struct pare_runner *r, struct pare_error *err);
/* Remove all files: they are of other samples than come now; and for good. */
void pare_share_clear(struct pare_share *s);
void pare_share_end(struct pare_share *s);

/* What a built model told of the points at which it can be started ("points", "macs"). */
int pare_share_points(struct pare_run_node *node, const json_t *answer);

/* Whether an evaluation in flight writes what would save this one work: better another first. */
bool pare_share_soon(const struct pare_share *s, size_t variant);
/* Add to the job of an evaluation over `samples` what it starts `from` and what it is to `keep` for
 * the variants that are waiting (a mask over variants). */
void pare_share_plan(struct pare_share *s, size_t variant, const bool *waiting, uint64_t samples,
                     size_t seat, json_t *job);
/* The evaluation on that seat has ended; NULL: badly. */
void pare_share_done(struct pare_share *s, size_t variant, size_t seat, const json_t *answer);
/* Remove what none of these variants (a mask) can use. */
void pare_share_sweep(struct pare_share *s, const bool *wanted);

#endif
