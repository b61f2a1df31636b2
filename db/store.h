/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_DB_STORE_H
#define PARE_DB_STORE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/stat.h"
#include "base/status.h"

/* The experiment database: one SQLite file, one writing process. These functions are the only C
 * that speaks SQL. db/README.md describes the views, db/schema.sql the tables.
 *
 * A missing number is NaN or PARE_NONE, a missing text NULL, a missing row id 0; all become NULL.
 * Texts given are copied. Errors besides those named: PARE_BUSY (another process kept the file
 * locked for ten seconds), PARE_IO (disk full, not writable), PARE_INVALID (damaged file),
 * PARE_UNSUPPORTED (a write to a file that is open for reading only). A store belongs to one thread
 * at a time. */
struct pare_store;

#define PARE_NONE INT64_MIN

/* --- opening --- */

enum pare_store_mode {
    PARE_STORE_READ,  /* the file must be there; nothing is ever created */
    PARE_STORE_WRITE, /* created when it is not there, migrated when it is older (a copy
                         NAME.bak-vN is made first) */
};

/* Open. A file of a newer program is opened for reading only whatever `mode` says, and
 * pare_store_notice() tells. Writing also marks attempts whose process is gone as `lost`.
 * PARE_NOT_FOUND: no file to read; PARE_INVALID: not a Pare database. */
int pare_store_open(const char *path, enum pare_store_mode mode, struct pare_store **out,
                    struct pare_error *err);
/* Whether attempts are `running` whose process on this machine is gone: opening for writing marks
 * them. False where that cannot be told. */
bool pare_store_stale(struct pare_store *store);
void pare_store_close(struct pare_store *store); /* NULL is fine; gives the lock back */

/* The database a command means: `given` (--db), else $PARE_DB, else pare.db in the current folder
 * or one above it, else "pare.db" here. Freed with free(). */
int pare_store_find(const char *given, char **out, struct pare_error *err);

const char *pare_store_path(const struct pare_store *store);
bool pare_store_read_only(const struct pare_store *store);
const char *
pare_store_notice(const struct pare_store *store); /* "" when there is nothing to tell */

/* Whether the file can hold metrics of plugins: one of an older program that is only read cannot.
 */
bool pare_store_has_metrics(const struct pare_store *store);

/* Be the one run of this database: an exclusive lock on NAME.lock beside it, until unlock or close,
 * or the end of the process however it comes. Whoever begins attempts holds it: those that are
 * running and not this process's are marked `lost`, whatever host they were on. PARE_BUSY names the
 * holder's pid and host. */
int pare_store_lock(struct pare_store *store, struct pare_error *err);
void pare_store_unlock(struct pare_store *store);

/* Several writes as one commit (BEGIN IMMEDIATE). May nest; the outermost pare_store_end() commits
 * when every `rc` was PARE_OK, and else rolls all back. Returns `rc`, or the error of the commit.
 * Every write below is a commit by itself outside of these. */
int pare_store_begin(struct pare_store *store, struct pare_error *err);
int pare_store_end(struct pare_store *store, int rc, struct pare_error *err);

/* Look for damage: SQLite's own checks, foreign keys, identity, and artifacts that are missing or
 * have another size. Each problem goes to `report`; `*n` counts them. */
int pare_store_check(struct pare_store *store, void (*report)(void *user, const char *problem),
                     void *user, size_t *n, struct pare_error *err);

/* A compact copy (VACUUM INTO); `path` must not be there yet. */
int pare_store_backup(struct pare_store *store, const char *path, struct pare_error *err);

/* --- the plan --- */

struct pare_store_host {
    const char *name; /* NULL: the host's name; a name that another machine has gets a suffix */
    const char *cpu, *isa, *kernel;
    int64_t cores, memory_bytes;
    const char *facts; /* JSON object or NULL */
};
/* This machine, found again by its own identity; the facts are renewed. */
int pare_store_host(struct pare_store *store, const struct pare_store_host *host, int64_t *id,
                    struct pare_error *err);

/* Samples by content key; `targets` (n of them, NULL when there are none) are kept once. */
int pare_store_data(struct pare_store *store, const char *key, const char *name, size_t n,
                    const int32_t *targets, int64_t *id, struct pare_error *err);

struct pare_store_objective {
    const char *metric;
    int direction;    /* +1: higher is better, -1: lower is better */
    double tolerance; /* >= 0 */
    bool relative;    /* the tolerance is a share of the value */
};
struct pare_store_shape {
    const char *name;
    const char *definition; /* canonical JSON: {"batch":1,"threads":1} */
};
/* A metric that a plugin brings. */
struct pare_store_metric {
    const char *name, *unit;
    bool higher;          /* is better */
    int64_t plugin_id;    /* of pare_store_plugin() */
    const char *settings; /* canonical JSON object */
    const char *key;      /* of file and settings */
};
struct pare_store_pipeline {
    const char *name, *path, *source; /* source: the YAML as it was */
    const char *plan;                 /* JSON or NULL */
    int64_t seed, data_id, confirm_id;
    const struct pare_store_objective *objectives;
    size_t n_objectives;
    const char *const *constraints; /* as text */
    size_t n_constraints;
    const struct pare_store_metric *metrics;
    size_t n_metrics;
    const struct pare_store_shape *shapes; /* the first is the one that latency_ms means */
    size_t n_shapes;
};
/* A pipeline by name, replacing what it was. Its members are no longer current until
 * pare_store_member() says so again: call both, and pare_store_refresh(), in one commit. */
int pare_store_pipeline(struct pare_store *store, const struct pare_store_pipeline *pipeline,
                        int64_t *id, struct pare_error *err);

int pare_store_plugin(struct pare_store *store, const char *name, const char *version,
                      const char *sha256, const char *path, int64_t *id, struct pare_error *err);

struct pare_store_step {
    const char *stage, *plugin; /* plugin: its id */
    int64_t plugin_id;          /* of pare_store_plugin() */
    const char *params;         /* canonical JSON object: one row is made of each member */
    const char *units;          /* canonical JSON of on, except, propagate; NULL: all */
};
struct pare_store_variant {
    const char *hash, *recipe, *model; /* build key, recipe key, model content key */
    const char *label;
    const char *parent; /* build key without the last step, if it is known here; or NULL */
    const struct pare_store_step *steps;
    size_t n_steps;
};
/* A variant or a prefix of variants, by build key; what is there already is left alone. */
int pare_store_variant(struct pare_store *store, const struct pare_store_variant *variant,
                       int64_t *id, struct pare_error *err);

/* Make it a current member of a pipeline. `skipped` tells why it cannot be built, else NULL. */
int pare_store_member(struct pare_store *store, int64_t pipeline_id, int64_t variant_id,
                      const char *label, size_t position, bool is_baseline, const char *skipped,
                      struct pare_error *err);

/* Compute the paired comparisons that the views show and that are not there yet. */
int pare_store_refresh(struct pare_store *store, struct pare_error *err);

/* --- attempts and results --- */

enum pare_phase { PARE_PHASE_BUILD, PARE_PHASE_EVAL, PARE_PHASE_LATENCY };

/* Claim one unit of work for this process. PARE_BUSY: an attempt at it is running. */
int pare_store_attempt_begin(struct pare_store *store, int64_t variant_id, enum pare_phase phase,
                             int64_t data_id, int64_t host_id, const char *isa, int64_t *id,
                             struct pare_error *err);

struct pare_store_end {
    const char *state;  /* ok, failed, blocked, stopped */
    const char *cause;  /* of failed: refused, crash, stall, memory, numbers, other */
    const char *reason; /* one line for people */
    int64_t signal, exit_code;
    const char *stage, *plugin, *log;
    double cpu_seconds;
    int64_t peak_rss_bytes;
};
int pare_store_attempt_finish(struct pare_store *store, int64_t id,
                              const struct pare_store_end *end, struct pare_error *err);

/* A unit that cannot be tried because of another: an attempt that begins and ends as `blocked`. */
int pare_store_blocked(struct pare_store *store, int64_t variant_id, enum pare_phase phase,
                       int64_t host_id, const char *reason, struct pare_error *err);

struct pare_store_tries {
    bool done;     /* one ended well (an evaluation: on this data) */
    size_t failed; /* not forgiven; a lost one was cut with its run and does not count */
    size_t
        refused; /* of those, refusals and values that are not finite: the same again next time */
    char reason[256]; /* of the last one that failed, "" when none */
};
int pare_store_tries(struct pare_store *store, int64_t variant_id, enum pare_phase phase,
                     int64_t data_id, struct pare_store_tries *out, struct pare_error *err);

/* --retry: failed attempts of the pipeline's current members, and of their prefixes, count no more.
 */
int pare_store_forgive(struct pare_store *store, int64_t pipeline_id, struct pare_error *err);

struct pare_store_measurement {
    const char *metric, *unit, *how;
    double value, lo, hi;
    int64_t n;
    int64_t data_id; /* 0: does not depend on data */
    const char *key; /* of a metric that a plugin brings; else NULL */
};
int pare_store_measure(struct pare_store *store, int64_t variant_id, int64_t attempt_id,
                       const struct pare_store_measurement *m, struct pare_error *err);
/* Whether that metric of the variant is known on that data; one of a plugin (by its `key`, else
 * NULL) also when it has a value for no sample. */
int pare_store_measured(struct pare_store *store, int64_t variant_id, const char *metric,
                        const char *key, int64_t data_id, bool *yes, struct pare_error *err);

/* Outcomes sample by sample: predicted class (or NULL) and negative log likelihood in nats (or
 * NULL; NaN where missing), n of each. Replaces what was there, and renews the paired comparisons.
 */
int pare_store_outcome(struct pare_store *store, int64_t variant_id, int64_t data_id, size_t n,
                       const int32_t *predicted, const float *nll, struct pare_error *err);

/* Outcomes of pairs of texts, after pare_store_data() without targets: the known scores, the
 * similarity found for each, and what each adds to Spearman's rho (NaN: not known; their mean is
 * it), n of each. Replaces what was there, and renews the paired comparisons. */
int pare_store_similarity(struct pare_store *store, int64_t variant_id, int64_t data_id, size_t n,
                          const double *score, const float *similarity, const float *part,
                          struct pare_error *err);

/* The loss of each token of a text in nats, n of them, of an outcome that is there; `ends` tells
 * how many there are up to and with each of its windows. 4 bytes each. */
int pare_store_token_losses(struct pare_store *store, int64_t variant_id, int64_t data_id,
                            const uint32_t *ends, size_t n_windows, const float *nll, size_t n,
                            struct pare_error *err);

struct pare_store_unit_value {
    const char *stage, *unit, *role, *name;
    const char *text; /* the value when it is a word, else NULL and `value` holds */
    double value, score;
    int64_t bytes_before, bytes_after, macs_before, macs_after;
};
int pare_store_unit_values(struct pare_store *store, int64_t variant_id,
                           const struct pare_store_unit_value *values, size_t n,
                           struct pare_error *err);

/* A variant has what the stages of its prefix decided too: copy the prefix's unit values. */
int pare_store_inherit_units(struct pare_store *store, int64_t variant_id, int64_t parent_id,
                             struct pare_error *err);

/* A file that holds the built variant. `path` is relative to the database's folder, or absolute. */
int pare_store_artifact(struct pare_store *store, int64_t variant_id, const char *sha256,
                        const char *path, int64_t bytes, const char *format,
                        struct pare_error *err);

/* Name a variant (the name moves when it was another's), drop a name, write a note (variant_id 0:
 * about the database). A tag is a word, and no current label: PARE_INVALID. pare_store_untag:
 * PARE_NOT_FOUND. */
int pare_store_tag(struct pare_store *store, int64_t variant_id, const char *tag,
                   struct pare_error *err);
int pare_store_untag(struct pare_store *store, const char *tag, struct pare_error *err);
int pare_store_note(struct pare_store *store, int64_t variant_id, const char *body,
                    struct pare_error *err);

/* --- latency --- */

struct pare_store_session {
    int64_t pipeline_id, host_id, seed;
    const char *shape, *definition, *program, *isa;
    const char *facts; /* JSON: affinity, governor, denormals, ...; or NULL */
};
int pare_store_session_begin(struct pare_store *store, const struct pare_store_session *session,
                             int64_t *id, struct pare_error *err);

struct pare_store_visit {
    int64_t variant_id;
    size_t slot;
    const uint32_t *ns; /* every timed inference, in order */
    size_t n;           /* > 0 */
    int64_t nivcsw, steal_ticks;
    double load1, mhz;
    bool disturbed;
};
/* One whole round, as one commit; medians, intervals and paired ratios of the session follow. */
int pare_store_round(struct pare_store *store, int64_t session_id, size_t round,
                     const struct pare_store_visit *visits, size_t n, struct pare_error *err);
int pare_store_session_end(struct pare_store *store, int64_t session_id, struct pare_error *err);

/* Compute the session's figures again from its visits. */
int pare_store_session_summarise(struct pare_store *store, int64_t session_id,
                                 struct pare_error *err);

/* --- fronts --- */

struct pare_store_front_member {
    int64_t variant_id;
    const char *status; /* sure, front, maybe, out, infeasible, unmeasured */
    double p_front, p_feasible, knee;
    int64_t rank, folded_id, rival_id;
    const char *why;
};
struct pare_store_front {
    int64_t pipeline_id, host_id; /* host_id 0, shape NULL: not timed */
    const char *shape, *rule;
    uint64_t seed;
    const char *data_hash, *summary; /* JSON */
    int64_t changes;                 /* pare_store_changes() when its figures were read */
    const struct pare_store_front_member *members;
    size_t n;
};
/* Keep a front. The one of this place that was kept last only becomes current again when rule, seed
 * and hash are the same. */
int pare_store_front(struct pare_store *store, const struct pare_store_front *front, int64_t *id,
                     struct pare_error *err);
/* How many commits have changed a figure, or may have: a front kept since the last one is current.
 */
int pare_store_changes(struct pare_store *store, int64_t *out, struct pare_error *err);

/* --- reading --- */

enum pare_value_type {
    PARE_VALUE_NULL,
    PARE_VALUE_INTEGER,
    PARE_VALUE_REAL,
    PARE_VALUE_TEXT,
    PARE_VALUE_BLOB
};
struct pare_cell {
    enum pare_value_type type;
    int64_t integer;
    double real;      /* also set for an integer */
    const char *text; /* of text (NUL-terminated) and blobs */
    size_t size;
};
struct pare_row {
    size_t n;
    const char *const *names;
    const struct pare_cell *values; /* NULL: the header, which comes first and always */
};
struct pare_argument {
    const char *name, *text; /* without the colon */
};

/* Run one SELECT (or EXPLAIN) and give its rows to `row`, whose texts live until it returns;
 * another status than PARE_OK stops. An authorizer refuses everything that is not reading.
 * PARE_INVALID: SQL that is wrong, several statements, an argument nothing asks for, a parameter
 * :NAME without an argument (unless the SQL says ":NAME IS NULL"). */
int pare_store_query(struct pare_store *store, const char *sql, const struct pare_argument *args,
                     size_t n_args,
                     int (*row)(void *user, const struct pare_row *row, struct pare_error *err),
                     void *user, struct pare_error *err);
void pare_store_interrupt(struct pare_store *store); /* from a signal handler or another thread */

/* The named queries of `pare query @NAME`. */
struct pare_store_named {
    const char *name, *about, *sql;
};
const struct pare_store_named *pare_store_named(size_t *n);

/* A variant by label, PIPELINE:LABEL, tag, or unique beginning of its hash (4 digits at least).
 * `pipeline` (or NULL) is preferred among equal labels, else the one planned last.
 * PARE_NOT_FOUND suggests the nearest label. PARE_INVALID: an ambiguous hash. */
struct pare_store_ref {
    int64_t variant_id, pipeline_id; /* pipeline_id 0: in none */
    char hash[PARE_HASH_HEX], label[256];
};
int pare_store_resolve(struct pare_store *store, const char *text, const char *pipeline,
                       struct pare_store_ref *out, struct pare_error *err);

/* Everything that a front is made of: the current members of a pipeline in the plan's order, on one
 * host and for one shape. Freed by pare_trials_free(). */
struct pare_trial_metric {
    const char *name;
    double value;
    double sem; /* of a plugin's metric: the standard error; else NaN */
};
struct pare_trial_session {
    int64_t id;
    size_t n_rounds;           /* 0 until a trial's details ask for them */
    const double *baseline_ns; /* per round */
};
struct pare_trial {
    int64_t variant_id;
    const char *label, *hash, *state, *reason;
    bool is_baseline;
    size_t position;                         /* in the plan */
    const struct pare_trial_metric *metrics; /* on the pipeline's data, or on none; no latency */
    size_t n_metrics;
    /* What is kept of samples and rounds: counts against the baseline (PARE_NONE: not compared),
     * and time of the baseline over this one's with its interval at 95 % (NaN: not timed). */
    int64_t gain, loss;
    struct pare_interval speedup;
    size_t rounds;
    size_t session; /* index into sessions; SIZE_MAX: not timed */
    /* Details; NULL until they are asked for. */
    const uint8_t *correct; /* n_samples of 0 or 1; NULL: not evaluated sample by sample */
    const float *losses;    /* of windows of a text: n_samples; NULL: not evaluated so */
    const float *parts;     /* of pairs of texts, what each adds to Spearman's rho; likewise */
    const double
        *round_ns; /* per round of that session: mean of the visits' medians; NaN: not visited */
};
struct pare_trials {
    struct pare_pool pool;
    int64_t pipeline_id, host_id, data_id;
    const char *pipeline, *host, *shape, *data; /* host, shape: NULL while nothing was timed */
    struct pare_trial *items;
    size_t n, baseline; /* baseline: its index, SIZE_MAX when there is none */
    size_t n_samples;
    struct pare_trial_session *sessions; /* [0] is the reference session */
    size_t n_sessions;
    const struct pare_store_objective *objectives;
    size_t n_objectives;
    const char *const *constraints;
    size_t n_constraints;
    const struct pare_store_metric *plugin_metrics; /* name, unit and higher are told */
    size_t n_plugin_metrics;
    char data_hash[PARE_HASH_HEX]; /* of every figure above that is there */
};
/* All but the details: a few statements over all members. NULL for `pipeline`: planned last;
 * `host`: this one if it timed something, else whoever did last; `shape`: the pipeline's first.
 * PARE_NOT_FOUND names what there is. */
int pare_trials_summaries(struct pare_store *store, const char *pipeline, const char *host,
                          const char *shape, struct pare_trials *out, struct pare_error *err);
/* Only which pipeline, data, host and shape those are: no variants. */
int pare_trials_place(struct pare_store *store, const char *pipeline, const char *host,
                      const char *shape, struct pare_trials *out, struct pare_error *err);
/* Samples and rounds of those with which[i] (NULL: all). In one snapshot with the summaries only
 * between pare_store_snapshot() and its end. */
int pare_trials_details(struct pare_store *store, struct pare_trials *trials, const bool *which,
                        struct pare_error *err);
/* Both, of all, in one snapshot. */
int pare_trials_load(struct pare_store *store, const char *pipeline, const char *host,
                     const char *shape, struct pare_trials *out, struct pare_error *err);
void pare_trials_free(struct pare_trials *trials);

/* One snapshot for several readings: a run may be writing meanwhile. `*mine` is false inside a
 * transaction, which is one already. */
int pare_store_snapshot(struct pare_store *store, bool *mine, struct pare_error *err);
void pare_store_snapshot_end(struct pare_store *store, bool mine);

#endif
