/* SPDX-License-Identifier: Apache-2.0 */
/* The samples and rounds of those trials that a front needs them of. */
#include "db/store_private.h"

#include <stdlib.h>
#include <string.h>

/* Statements that are used again for every variant or session. */
struct details {
    struct pare_store *store;
    struct pare_trials *out;
    struct pare_error *err;
    struct pare_hash hash;
    int64_t baseline_id;
    sqlite3_stmt *outcome, *parts, *rounds, *all_rounds;
    int32_t *target; /* [n_samples] */
    bool *has;       /* [n_samples] */
    struct {
        int64_t *round; /* [n_rounds] of a session, ascending: numbers may have holes */
    } * sessions;
};

static int load_targets(struct details *d)
{
    struct pare_trials *t = d->out;
    sqlite3_stmt *stmt;
    int got, rc = PARE_OK;
    d->target = pare_calloc(t->n_samples, sizeof *d->target);
    d->has = pare_calloc(t->n_samples, sizeof *d->has);
    if (!d->target || !d->has)
        return pare_error_nomem(d->err, t->n_samples * sizeof *d->target);
    PARE_TRY(pare__store_prepare(d->store, &stmt, d->err,
                                 "SELECT sample, target FROM target WHERE data_id = ?", "i",
                                 t->data_id));
    while ((got = pare__store_step(d->store, stmt, d->err)) > 0) {
        int64_t at = sqlite3_column_int64(stmt, 0);
        if (at >= 0 && (size_t)at < t->n_samples) {
            d->target[at] = sqlite3_column_int(stmt, 1);
            d->has[at] = true;
        }
    }
    if (got < 0)
        rc = pare__store_fail(d->store, NULL, "");
    sqlite3_finalize(stmt);
out:
    return rc;
}

static int load_outcome(struct details *d, struct pare_trial *v)
{
    struct pare_trials *t = d->out;
    size_t n = t->n_samples, known = 0;
    uint8_t *correct = NULL;
    float *loss = NULL;
    size_t losses = 0;
    int got;
    sqlite3_reset(d->outcome);
    sqlite3_bind_int64(d->outcome, 1, v->variant_id);
    while ((got = pare__store_step(d->store, d->outcome, d->err)) > 0) {
        int64_t at = sqlite3_column_int64(d->outcome, 0);
        if (at < 0 || (size_t)at >= n)
            continue;
        if (sqlite3_column_type(d->outcome, 1) == SQLITE_NULL &&
            sqlite3_column_type(d->outcome, 2) != SQLITE_NULL) {
            if (!loss && !(loss = pare_pool_alloc(&t->pool, n, sizeof *loss)))
                return pare_error_nomem(d->err, n * sizeof *loss);
            loss[at] = (float)sqlite3_column_double(d->outcome, 2);
            losses++;
            continue;
        }
        if (sqlite3_column_type(d->outcome, 1) == SQLITE_NULL || !d->has[at])
            continue;
        if (!correct && !(correct = pare_pool_alloc(&t->pool, n, 1)))
            return pare_error_nomem(d->err, n);
        correct[at] = sqlite3_column_int(d->outcome, 1) == d->target[at];
        known++;
    }
    if (got < 0)
        return pare__store_fail(d->store, NULL, "");
    /* Paired comparisons need every sample: an outcome with holes counts as none. */
    if (known == n && n) {
        v->correct = correct;
        pare_hash_add(&d->hash, correct, n);
    }
    if (losses == n && n) {
        v->losses = loss;
        pare_hash_add(&d->hash, loss, n * sizeof *loss);
    }
    return PARE_OK;
}

/* What each pair of texts adds to the rank correlation; NULL where some are not known. */
static int load_parts(struct details *d, struct pare_trial *v)
{
    const size_t n = d->out->n_samples;
    float *part = NULL;
    size_t known = 0;
    int got;
    if (!d->parts)
        return PARE_OK;
    sqlite3_reset(d->parts);
    sqlite3_bind_int64(d->parts, 1, v->variant_id);
    while ((got = pare__store_step(d->store, d->parts, d->err)) > 0) {
        int64_t at = sqlite3_column_int64(d->parts, 0);
        if (at < 0 || (size_t)at >= n)
            continue;
        if (!part && !(part = pare_pool_alloc(&d->out->pool, n, sizeof *part)))
            return pare_error_nomem(d->err, n * sizeof *part);
        part[at] = (float)sqlite3_column_double(d->parts, 1);
        known++;
    }
    if (got < 0)
        return pare__store_fail(d->store, NULL, "");
    if (known == n && n) {
        v->parts = part;
        pare_hash_add(&d->hash, part, n * sizeof *part);
    }
    return PARE_OK;
}

/* Per round of a session, the mean of a variant's medians; NaN where it was not visited. */
static int load_rounds(struct details *d, size_t session, int64_t variant_id, const double **out)
{
    struct pare_trials *t = d->out;
    const struct pare_trial_session *s = &t->sessions[session];
    const int64_t *round = d->sessions[session].round;
    int got;
    double *ns = pare_pool_alloc(&t->pool, s->n_rounds, sizeof *ns);
    if (!ns)
        return pare_error_nomem(d->err, s->n_rounds * sizeof *ns);
    for (size_t i = 0; i < s->n_rounds; i++)
        ns[i] = NAN;
    sqlite3_reset(d->rounds);
    sqlite3_bind_int64(d->rounds, 1, s->id);
    sqlite3_bind_int64(d->rounds, 2, variant_id);
    for (size_t i = 0; (got = pare__store_step(d->store, d->rounds, d->err)) > 0;) {
        int64_t at = sqlite3_column_int64(d->rounds, 0);
        while (i < s->n_rounds && round[i] < at)
            i++;
        if (i < s->n_rounds && round[i] == at)
            ns[i] = sqlite3_column_double(d->rounds, 1);
    }
    if (got < 0)
        return pare__store_fail(d->store, NULL, "");
    pare_hash_add(&d->hash, ns, s->n_rounds * sizeof *ns);
    *out = ns;
    return PARE_OK;
}

static int load_session(struct details *d, size_t at)
{
    struct pare_trials *t = d->out;
    struct pare_trial_session *s = &t->sessions[at];
    size_t n = 0, cap = 0;
    int got;
    if (d->sessions[at].round)
        return PARE_OK;
    sqlite3_reset(d->all_rounds);
    sqlite3_bind_int64(d->all_rounds, 1, s->id);
    while ((got = pare__store_step(d->store, d->all_rounds, d->err)) > 0) {
        if (!pare_grow(&d->sessions[at].round, &cap, n + 1, sizeof *d->sessions[at].round))
            return pare_error_nomem(d->err, 0);
        d->sessions[at].round[n++] = sqlite3_column_int64(d->all_rounds, 0);
    }
    if (got < 0)
        return pare__store_fail(d->store, NULL, "");
    s->n_rounds = n;
    return load_rounds(d, at, d->baseline_id, &s->baseline_ns);
}

static int prepare_details(struct details *d)
{
    int rc;
    PARE_TRY(load_targets(d));
    d->sessions = pare_calloc(d->out->n_sessions, sizeof *d->sessions);
    if (!d->sessions) {
        rc = pare_error_nomem(d->err, 0);
        goto out;
    }
    PARE_TRY(pare__store_prepare(
        d->store, &d->outcome, d->err,
        "SELECT x.sample, x.predicted, x.nll FROM outcome o JOIN outcome_sample x "
        "ON x.outcome_id = o.outcome_id WHERE o.variant_id = ?1 AND o.data_id = ?2",
        "ii", (int64_t)0, d->out->data_id));
    int64_t there; /* a file of an older format has none, and is only read */
    PARE_TRY(pare__store_get(d->store, &there, d->err,
                             "SELECT 1 FROM sqlite_schema WHERE name = 'outcome_similarity'", ""));
    if (there == 1)
        PARE_TRY(pare__store_prepare(
            d->store, &d->parts, d->err,
            "SELECT x.sample, x.part FROM outcome o JOIN outcome_similarity x "
            "ON x.outcome_id = o.outcome_id WHERE o.variant_id = ?1 AND o.data_id = ?2 "
            "AND x.part IS NOT NULL",
            "ii", (int64_t)0, d->out->data_id));
    PARE_TRY(pare__store_prepare(d->store, &d->rounds, d->err,
                                 "SELECT round, avg(p50_ns) FROM visit WHERE session_id = ?1 "
                                 "AND variant_id = ?2 GROUP BY round",
                                 ""));
    PARE_TRY(pare__store_prepare(
        d->store, &d->all_rounds, d->err,
        "SELECT DISTINCT round FROM visit WHERE session_id = ? ORDER BY round", ""));
out:
    return rc;
}

int pare_trials_details(struct pare_store *store, struct pare_trials *trials, const bool *which,
                        struct pare_error *err)
{
    struct details d = {.store = store, .out = trials, .err = err};
    int rc = PARE_OK;
    if (trials->baseline != SIZE_MAX)
        d.baseline_id = trials->items[trials->baseline].variant_id;
    pare_hash_begin(&d.hash);
    pare_hash_text(&d.hash, trials->data_hash);
    PARE_TRY(prepare_details(&d));
    if (trials->n_sessions)
        PARE_TRY(load_session(&d, 0));
    for (size_t i = 0; i < trials->n; i++) {
        struct pare_trial *v = &trials->items[i];
        if (which && !which[i])
            continue;
        PARE_TRY(load_outcome(&d, v));
        PARE_TRY(load_parts(&d, v));
        if (v->session == SIZE_MAX)
            continue;
        PARE_TRY(load_session(&d, v->session));
        PARE_TRY(load_rounds(&d, v->session, v->variant_id, &v->round_ns));
    }
    pare_hash_end(&d.hash, trials->data_hash);
out:
    for (size_t s = 0; d.sessions && s < trials->n_sessions; s++)
        free(d.sessions[s].round);
    free(d.sessions);
    free(d.target);
    free(d.has);
    sqlite3_finalize(d.outcome);
    sqlite3_finalize(d.parts);
    sqlite3_finalize(d.rounds);
    sqlite3_finalize(d.all_rounds);
    return rc;
}
