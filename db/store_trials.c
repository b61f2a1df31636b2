/* SPDX-License-Identifier: Apache-2.0 */
/* All that a front is made of, as plain arrays. */
#include "db/store_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SAMPLES ((int64_t)1 << 28)

struct loader {
    struct pare_store *store;
    struct pare_trials *out;
    struct pare_error *err;
    int64_t data_id, baseline_id;
    struct pare_hash hash;
};

/* Keep a column's text; NULL stays NULL. False: memory is out. */
static bool keep(struct loader *l, sqlite3_stmt *stmt, int i, const char **out)
{
    const char *text = (const char *)sqlite3_column_text(stmt, i);
    *out = NULL;
    if (!text)
        return true;
    *out = pare_pool_strdup(&l->out->pool, text);
    return *out != NULL;
}

static double number(sqlite3_stmt *stmt, int i)
{
    return sqlite3_column_type(stmt, i) == SQLITE_NULL ? (double)NAN
                                                       : sqlite3_column_double(stmt, i);
}

/* Call `row` for each row; `row` returns false when memory is out. */
static int each(struct loader *l, bool (*row)(struct loader *l, sqlite3_stmt *stmt, size_t i),
                sqlite3_stmt *stmt)
{
    int got, rc = PARE_OK;
    size_t i = 0;
    while ((got = pare__store_step(l->store, stmt, l->err)) > 0) {
        if (!row(l, stmt, i++)) {
            rc = pare_error_nomem(l->err, 0);
            break;
        }
    }
    if (got < 0)
        rc = pare__store_fail(l->store, NULL, "");
    sqlite3_finalize(stmt);
    return rc;
}

static bool pipeline_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    (void)i;
    l->out->pipeline_id = sqlite3_column_int64(stmt, 0);
    l->data_id = sqlite3_column_int64(stmt, 2);
    l->out->n_samples = (size_t)PARE_MIN(sqlite3_column_int64(stmt, 4), MAX_SAMPLES);
    return keep(l, stmt, 1, &l->out->pipeline) && keep(l, stmt, 3, &l->out->data);
}

static bool place_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    (void)i;
    l->out->host_id = sqlite3_column_int64(stmt, 0);
    return keep(l, stmt, 1, &l->out->host) && keep(l, stmt, 2, &l->out->shape);
}

static int find_place(struct loader *l, const char *pipeline, const char *host, const char *shape)
{
    struct pare_process self;
    struct pare_trials *t = l->out;
    sqlite3_stmt *stmt;
    int rc;

    PARE_TRY(pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT p.pipeline_id, p.name, coalesce(p.data_id, 0), d.key, coalesce(d.n, 0) "
        "FROM pipeline p LEFT JOIN data d ON d.data_id = p.data_id WHERE ?1 IS NULL OR p.name = ?1 "
        "ORDER BY p.planned_at DESC, p.pipeline_id DESC LIMIT 1",
        "t", pipeline));
    PARE_TRY(each(l, pipeline_row, stmt));
    if (!t->pipeline) {
        rc = pipeline
                 ? pare_error_set(l->err, PARE_NOT_FOUND, "there is no pipeline '%s'", pipeline)
                 : pare_error_set(l->err, PARE_NOT_FOUND, "the database holds no pipeline yet");
        pare_error_hint(l->err, pipeline ? "`pare list` shows all" : "`pare run FILE` makes one");
        goto out;
    }
    pare__process_self(&self);
    PARE_TRY(pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT r.host_id, h.name, r.shape FROM _reference r JOIN host h ON h.host_id = r.host_id "
        "LEFT JOIN shape s ON s.pipeline_id = r.pipeline_id AND s.name = r.shape "
        "WHERE r.pipeline_id = ?1 AND (?2 IS NULL OR h.name = ?2) AND (?3 IS NULL OR r.shape = ?3) "
        "ORDER BY h.key = ?4 DESC, coalesce(s.position, 999), r.session_id DESC LIMIT 1",
        "ittt", t->pipeline_id, host, shape, self.machine));
    PARE_TRY(each(l, place_row, stmt));
    if (!t->host && (host || shape)) {
        rc = pare_error_set(l->err, PARE_NOT_FOUND, "%s was not timed%s%s%s%s", t->pipeline,
                            host ? " on host " : "", host ? host : "", shape ? " for shape " : "",
                            shape ? shape : "");
        pare_error_hint(l->err, "`pare query \"select distinct host, shape from latencies\"` shows "
                                "what there is");
    }
out:
    return rc;
}

static bool objective_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    (void)i;
    struct pare_trials *t = l->out;
    const char *metric;
    struct pare_store_objective *o = pare_pool_alloc(&t->pool, t->n_objectives + 1, sizeof *o);
    if (!o || !keep(l, stmt, 0, &metric))
        return false;
    if (t->n_objectives)
        memcpy(o, t->objectives, t->n_objectives * sizeof *o);
    o[t->n_objectives++] =
        (struct pare_store_objective){metric, sqlite3_column_int(stmt, 1),
                                      sqlite3_column_double(stmt, 2), sqlite3_column_int(stmt, 3)};
    t->objectives = o;
    return true;
}

static bool constraint_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    (void)i;
    struct pare_trials *t = l->out;
    const char **c = pare_pool_alloc(&t->pool, t->n_constraints + 1, sizeof *c);
    if (!c || !keep(l, stmt, 0, &c[t->n_constraints]))
        return false;
    if (t->n_constraints)
        memcpy(c, t->constraints, t->n_constraints * sizeof *c);
    t->n_constraints++;
    t->constraints = c;
    return true;
}

static bool member_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    struct pare_trials *t = l->out;
    struct pare_trial *v = &t->items[i];
    *v = (struct pare_trial){.variant_id = sqlite3_column_int64(stmt, 0),
                             .is_baseline = sqlite3_column_int(stmt, 3) != 0,
                             .session = SIZE_MAX};
    t->n = i + 1;
    if (v->is_baseline) {
        t->baseline = i;
        l->baseline_id = v->variant_id;
    }
    if (!keep(l, stmt, 1, &v->label) || !keep(l, stmt, 2, &v->hash) ||
        !keep(l, stmt, 4, &v->state) || !keep(l, stmt, 5, &v->reason))
        return false;
    pare_hash_text(&l->hash, v->hash);
    return true;
}

static int load_members(struct loader *l)
{
    struct pare_trials *t = l->out;
    sqlite3_stmt *stmt;
    int64_t n;
    int rc;
    PARE_TRY(pare__store_get(l->store, &n, l->err,
                             "SELECT count(*) FROM member WHERE pipeline_id = ? AND is_current",
                             "i", t->pipeline_id));
    t->items = pare_pool_alloc(&t->pool, (size_t)n, sizeof *t->items);
    if (!t->items) {
        rc = pare_error_nomem(l->err, 0);
        goto out;
    }
    PARE_TRY(pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT m.variant_id, m.label, v.hash, m.is_baseline, s.state, s.reason FROM member m "
        "JOIN variant v ON v.variant_id = m.variant_id "
        "JOIN _state s ON s.pipeline_id = m.pipeline_id AND s.variant_id = m.variant_id "
        "WHERE m.pipeline_id = ? AND m.is_current ORDER BY m.position, m.variant_id LIMIT ?",
        "ii", t->pipeline_id, n));
    PARE_TRY(each(l, member_row, stmt));
    PARE_TRY(pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT metric, CASE direction WHEN 'max' THEN 1 ELSE -1 END, tolerance, relative "
        "FROM objective WHERE pipeline_id = ? ORDER BY position",
        "i", t->pipeline_id));
    PARE_TRY(each(l, objective_row, stmt));
    PARE_TRY(pare__store_prepare(l->store, &stmt, l->err,
                                 "SELECT source FROM bound WHERE pipeline_id = ? ORDER BY position",
                                 "i", t->pipeline_id));
    PARE_TRY(each(l, constraint_row, stmt));
out:
    return rc;
}

static int load_metrics(struct loader *l, struct pare_trial *v)
{
    struct pare_trials *t = l->out;
    struct pare_trial_metric *items;
    sqlite3_stmt *stmt = NULL;
    int64_t n;
    int rc, got;
    PARE_TRY(pare__store_get(l->store, &n, l->err,
                             "SELECT count(*) FROM measurement WHERE variant_id = ?", "i",
                             v->variant_id));
    items = pare_pool_alloc(&t->pool, (size_t)n, sizeof *items);
    if (!items) {
        rc = pare_error_nomem(l->err, 0);
        goto out;
    }
    v->metrics = items;
    PARE_TRY(pare__store_prepare(l->store, &stmt, l->err,
                                 "SELECT metric, unit, how, value, lo, hi, n FROM measurement "
                                 "WHERE variant_id = ? AND (data_id IS NULL OR data_id = ?) "
                                 "ORDER BY metric, data_id IS NULL LIMIT ?",
                                 "iii", v->variant_id, l->data_id, n));
    while ((got = pare__store_step(l->store, stmt, l->err)) > 0) {
        struct pare_trial_metric *m = &items[v->n_metrics++];
        *m = (struct pare_trial_metric){.value = number(stmt, 3),
                                        .lo = number(stmt, 4),
                                        .hi = number(stmt, 5),
                                        .n = sqlite3_column_type(stmt, 6) == SQLITE_NULL
                                                 ? PARE_NONE
                                                 : sqlite3_column_int64(stmt, 6)};
        if (!keep(l, stmt, 0, &m->name) || !keep(l, stmt, 1, &m->unit) ||
            !keep(l, stmt, 2, &m->how)) {
            rc = pare_error_nomem(l->err, 0);
            goto out;
        }
        pare_hash_text(&l->hash, m->name);
        pare_hash_add(&l->hash, &m->value, sizeof m->value);
    }
    if (got < 0)
        rc = pare__store_fail(l->store, NULL, "");
out:
    sqlite3_finalize(stmt);
    return rc;
}

static int load_outcome(struct loader *l, struct pare_trial *v)
{
    struct pare_trials *t = l->out;
    size_t n = t->n_samples, seen = 0, with_class = 0, with_nll = 0;
    uint8_t *correct = NULL;
    float *nll = NULL;
    sqlite3_stmt *stmt = NULL;
    int rc, got;
    PARE_TRY(pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT x.sample, x.predicted = t.target, x.nll FROM outcome o "
        "JOIN outcome_sample x ON x.outcome_id = o.outcome_id "
        "LEFT JOIN target t ON t.data_id = o.data_id AND t.sample = x.sample "
        "WHERE o.variant_id = ? AND o.data_id = ? AND x.sample < ? ORDER BY x.sample",
        "iiz", v->variant_id, l->data_id, n));
    while ((got = pare__store_step(l->store, stmt, l->err)) > 0) {
        if (!correct) {
            correct = pare_pool_alloc(&t->pool, n, 1);
            nll = pare_pool_alloc(&t->pool, n, sizeof *nll);
            if (!correct || !nll) {
                rc = pare_error_nomem(l->err, n);
                goto out;
            }
        }
        size_t at = (size_t)sqlite3_column_int64(stmt, 0);
        if (at >= n)
            continue;
        seen++;
        if (sqlite3_column_type(stmt, 1) != SQLITE_NULL) {
            correct[at] = (uint8_t)sqlite3_column_int(stmt, 1);
            with_class++;
        }
        if (sqlite3_column_type(stmt, 2) != SQLITE_NULL) {
            nll[at] = (float)sqlite3_column_double(stmt, 2);
            with_nll++;
        }
    }
    if (got < 0) {
        rc = pare__store_fail(l->store, NULL, "");
        goto out;
    }
    /* Paired comparisons need every sample: an outcome with holes counts as none. */
    if (seen == n && with_class == n && n)
        v->correct = correct;
    if (seen == n && with_nll == n && n)
        v->nll = nll;
    if (v->correct)
        pare_hash_add(&l->hash, correct, n);
    if (v->nll)
        pare_hash_add(&l->hash, nll, n * sizeof *nll);
out:
    sqlite3_finalize(stmt);
    return rc;
}

/* Per round of a session, the mean of a variant's medians; NaN where it was not visited. */
static int load_rounds(struct loader *l, const struct pare_trial_session *s, int64_t variant_id,
                       const double **out)
{
    sqlite3_stmt *stmt = NULL;
    int rc = PARE_OK, got;
    double *ns = pare_pool_alloc(&l->out->pool, s->n_rounds, sizeof *ns);
    if (!ns)
        return pare_error_nomem(l->err, s->n_rounds * sizeof *ns);
    for (size_t i = 0; i < s->n_rounds; i++)
        ns[i] = NAN;
    /* Rounds are ranked over the whole session: their numbers may have holes. */
    PARE_TRY(pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT r.rank, avg(v.p50_ns) FROM (SELECT round, dense_rank() OVER (ORDER BY round) - 1 "
        "AS "
        "rank FROM (SELECT DISTINCT round FROM visit WHERE session_id = ?1)) r JOIN visit v ON "
        "v.session_id = ?1 AND v.round = r.round WHERE v.variant_id = ?2 GROUP BY r.rank",
        "ii", s->id, variant_id));
    while ((got = pare__store_step(l->store, stmt, l->err)) > 0) {
        int64_t at = sqlite3_column_int64(stmt, 0);
        if (at >= 0 && (size_t)at < s->n_rounds)
            ns[at] = sqlite3_column_double(stmt, 1);
    }
    if (got < 0)
        rc = pare__store_fail(l->store, NULL, "");
    pare_hash_add(&l->hash, ns, s->n_rounds * sizeof *ns);
    *out = ns;
out:
    sqlite3_finalize(stmt);
    return rc;
}

static int session_index(struct loader *l, int64_t id, size_t *index)
{
    struct pare_trials *t = l->out;
    int64_t rounds;
    int rc = PARE_OK;
    for (*index = 0; *index < t->n_sessions; (*index)++) {
        if (t->sessions[*index].id == id)
            return PARE_OK;
    }
    PARE_TRY(pare__store_get(l->store, &rounds, l->err,
                             "SELECT count(DISTINCT round) FROM visit WHERE session_id = ?", "i",
                             id));
    struct pare_trial_session *s = &t->sessions[*index];
    *s = (struct pare_trial_session){.id = id, .n_rounds = (size_t)rounds};
    PARE_TRY(load_rounds(l, s, l->baseline_id, &s->baseline_ns));
    t->n_sessions++;
out:
    return rc;
}

struct timing {
    int64_t variant_id, session_id;
    bool noisy;
};

static int load_latencies(struct loader *l)
{
    struct pare_trials *t = l->out;
    struct timing *timings = pare_pool_alloc(&t->pool, t->n, sizeof *timings);
    size_t n = 0;
    sqlite3_stmt *stmt = NULL;
    int rc = PARE_OK, got;

    t->sessions = pare_pool_alloc(&t->pool, t->n + 1, sizeof *t->sessions);
    if (!timings || !t->sessions)
        return pare_error_nomem(l->err, 0);
    if (!t->host)
        return PARE_OK;
    PARE_TRY(pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT x.variant_id, x.session_id, t.noisy FROM _latency x JOIN latency t "
        "ON t.session_id = x.session_id AND t.variant_id = x.variant_id "
        "JOIN member m ON m.pipeline_id = x.pipeline_id AND m.variant_id = x.variant_id "
        "WHERE x.pipeline_id = ? AND x.host_id = ? AND x.shape = ? AND m.is_current "
        "ORDER BY x.direct DESC, x.session_id, x.variant_id LIMIT ?",
        "iitz", t->pipeline_id, t->host_id, t->shape, t->n));
    while ((got = pare__store_step(l->store, stmt, l->err)) > 0)
        timings[n++] = (struct timing){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
                                       sqlite3_column_int(stmt, 2) != 0};
    if (got < 0) {
        rc = pare__store_fail(l->store, NULL, "");
        goto out;
    }
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < t->n; i++) {
            struct pare_trial *v = &t->items[i];
            if (v->variant_id != timings[k].variant_id)
                continue;
            PARE_TRY(session_index(l, timings[k].session_id, &v->session));
            PARE_TRY(load_rounds(l, &t->sessions[v->session], v->variant_id, &v->round_ns));
            v->noisy = timings[k].noisy;
        }
    }
out:
    sqlite3_finalize(stmt);
    return rc;
}

int pare_trials_load(struct pare_store *store, const char *pipeline, const char *host,
                     const char *shape, struct pare_trials *out, struct pare_error *err)
{
    struct loader l = {.store = store, .out = out, .err = err};
    int rc;
    *out = (struct pare_trials){.baseline = SIZE_MAX};
    pare_hash_begin(&l.hash);
    /* One snapshot: a run may be writing meanwhile. */
    bool outermost = sqlite3_get_autocommit(store->db) != 0;
    if (outermost)
        PARE_TRY(pare__store_run(store, err, "BEGIN", ""));
    PARE_TRY(find_place(&l, pipeline, host, shape));
    PARE_TRY(load_members(&l));
    for (size_t i = 0; i < out->n; i++) {
        PARE_TRY(load_metrics(&l, &out->items[i]));
        PARE_TRY(load_outcome(&l, &out->items[i]));
    }
    PARE_TRY(load_latencies(&l));
    pare_hash_end(&l.hash, out->data_hash);
out:
    if (outermost && !sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    if (rc != PARE_OK)
        pare_trials_free(out);
    return rc;
}

void pare_trials_free(struct pare_trials *trials)
{
    pare_pool_free(&trials->pool);
    *trials = (struct pare_trials){.baseline = SIZE_MAX};
}
