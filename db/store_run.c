/* SPDX-License-Identifier: Apache-2.0 */
/* What was tried and what came of it, but for latency. */
#include "db/store_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stat.h"

static const char *const phase_names[] = {
    [PARE_PHASE_BUILD] = "build", [PARE_PHASE_EVAL] = "eval", [PARE_PHASE_LATENCY] = "latency"};

int pare_store_attempt_begin(struct pare_store *store, int64_t variant_id, enum pare_phase phase,
                             int64_t data_id, int64_t host_id, const char *isa, int64_t *id,
                             struct pare_error *err)
{
    struct pare_process self;
    char now[32];
    int64_t pid;

    pare__process_self(&self);
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_get(store, &pid, err,
                             "SELECT pid FROM attempt WHERE variant_id = ? AND phase = ? "
                             "AND state = 'running'",
                             "it", variant_id, phase_names[phase]));
    if (pid != PARE_NONE) {
        rc = pare_error_set(err, PARE_BUSY, "the %s of this variant is being done already",
                            phase_names[phase]);
        pare_error_detail(err, "by process %lld", (long long)pid);
        goto out;
    }
    PARE_TRY(pare__store_run(store, err,
                             "INSERT INTO attempt(variant_id, phase, data_id, host_id, boot, pid, "
                             "pid_start, isa, state, started_at) "
                             "VALUES(?, ?, ?, ?, ?, ?, ?, ?, 'running', ?)",
                             "itkitiitt", variant_id, phase_names[phase], data_id, host_id,
                             self.boot, self.pid, self.start, isa, now));
    *id = sqlite3_last_insert_rowid(store->db);
out:
    return pare_store_end(store, rc, err);
}

int pare_store_attempt_finish(struct pare_store *store, int64_t id,
                              const struct pare_store_end *end, struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    bool failed = strcmp(end->state, "failed") == 0;
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_run(
        store, err,
        "UPDATE attempt SET state = ?, cause = ?, reason = ?, signal = ?, exit_code = ?, stage = "
        "?, "
        "plugin = ?, log = ?, cpu_seconds = ?, peak_rss_bytes = ?, finished_at = ? "
        "WHERE attempt_id = ? AND state IN ('running', 'lost')",
        "tttiitttditi", end->state, failed ? (end->cause ? end->cause : "other") : NULL,
        end->reason, end->signal, end->exit_code, end->stage, end->plugin, end->log,
        end->cpu_seconds, end->peak_rss_bytes, now, id));
    if (sqlite3_changes(store->db) == 0)
        rc = pare_error_set(err, PARE_NOT_FOUND, "attempt %lld is not running", (long long)id);
out:
    return pare_store_end(store, rc, err);
}

int pare_store_blocked(struct pare_store *store, int64_t variant_id, enum pare_phase phase,
                       int64_t host_id, const char *reason, struct pare_error *err)
{
    struct pare_store_end end = {.state = "blocked",
                                 .reason = reason,
                                 .signal = PARE_NONE,
                                 .exit_code = PARE_NONE,
                                 .cpu_seconds = NAN,
                                 .peak_rss_bytes = PARE_NONE};
    int64_t id;
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare_store_attempt_begin(store, variant_id, phase, 0, host_id, NULL, &id, err));
    PARE_TRY(pare_store_attempt_finish(store, id, &end, err));
out:
    return pare_store_end(store, rc, err);
}

int pare_store_tries(struct pare_store *store, int64_t variant_id, enum pare_phase phase,
                     int64_t data_id, struct pare_store_tries *out, struct pare_error *err)
{
    sqlite3_stmt *stmt;
    *out = (struct pare_store_tries){0};
    /* A bare column beside max() is taken from the row of the maximum. */
    int rc = pare__store_prepare(
        store, &stmt, err,
        "SELECT total(state = 'ok'), total(state = 'failed' AND NOT forgiven), "
        "total(cause IN ('refused', 'numbers') AND NOT forgiven), "
        "max(CASE WHEN state = 'failed' THEN attempt_id END), reason "
        "FROM attempt WHERE variant_id = ? AND phase = ? AND (data_id IS NULL OR data_id IS ?)",
        "itk", variant_id, phase_names[phase], data_id);
    if (rc != PARE_OK)
        return rc;
    if (pare__store_step(store, stmt, err) < 0) {
        rc = pare__store_fail(store, NULL, "");
        goto out;
    }
    out->done = sqlite3_column_int64(stmt, 0) > 0;
    out->failed = (size_t)sqlite3_column_int64(stmt, 1);
    out->refused = (size_t)sqlite3_column_int64(stmt, 2);
    const unsigned char *reason = sqlite3_column_text(stmt, 4);
    if (sqlite3_column_type(stmt, 3) != SQLITE_NULL && reason)
        snprintf(out->reason, sizeof out->reason, "%s", (const char *)reason);
out:
    sqlite3_finalize(stmt);
    return rc;
}

int pare_store_forgive(struct pare_store *store, int64_t pipeline_id, struct pare_error *err)
{
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare__store_run(store, err,
                         "UPDATE attempt SET forgiven = 1 WHERE state = 'failed' AND "
                         "variant_id IN (WITH RECURSIVE up(id) AS ("
                         "SELECT variant_id FROM member WHERE pipeline_id = ? AND is_current UNION "
                         "SELECT v.parent_id FROM up JOIN variant v ON v.variant_id = up.id "
                         "WHERE v.parent_id IS NOT NULL) SELECT id FROM up)",
                         "i", pipeline_id);
    return pare_store_end(store, rc, err);
}

int pare_store_measure(struct pare_store *store, int64_t variant_id, int64_t attempt_id,
                       const struct pare_store_measurement *m, struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare__store_run(
        store, err,
        "INSERT INTO measurement(variant_id, metric, data_id, attempt_id, value, unit, n, lo, hi, "
        "how, measured_at, metric_key) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(variant_id, metric, coalesce(data_id, 0), coalesce(metric_key, '')) "
        "DO UPDATE SET "
        "attempt_id = excluded.attempt_id, value = excluded.value, unit = excluded.unit, "
        "n = excluded.n, lo = excluded.lo, hi = excluded.hi, how = excluded.how, "
        "measured_at = excluded.measured_at",
        "itkkdtiddttt", variant_id, m->metric, m->data_id, attempt_id, m->value, m->unit, m->n,
        m->lo, m->hi, m->how, now, m->key);
    return pare_store_end(store, rc, err);
}

int pare_store_measured(struct pare_store *store, int64_t variant_id, const char *metric,
                        const char *key, int64_t data_id, bool *yes, struct pare_error *err)
{
    int64_t got;
    int rc = pare__store_get(store, &got, err,
                             "SELECT 1 FROM measurement WHERE variant_id = ? AND metric = ? AND "
                             "data_id IS ? AND metric_key IS ? AND "
                             "(value IS NOT NULL OR metric_key IS NOT NULL)",
                             "itkt", variant_id, metric, data_id, key);
    *yes = got == 1;
    return rc;
}

int pare_store_inherit_units(struct pare_store *store, int64_t variant_id, int64_t parent_id,
                             struct pare_error *err)
{
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(
        pare__store_run(store, err,
                        "INSERT OR IGNORE INTO unit_value SELECT ?, position, unit, name, role, "
                        "value, score, bytes_before, bytes_after, macs_before, macs_after "
                        "FROM unit_value WHERE variant_id = ?",
                        "ii", variant_id, parent_id));
out:
    return pare_store_end(store, rc, err);
}

int pare_store_unit_values(struct pare_store *store, int64_t variant_id,
                           const struct pare_store_unit_value *values, size_t n,
                           struct pare_error *err)
{
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    for (size_t i = 0; i < n; i++) {
        const struct pare_store_unit_value *u = &values[i];
        PARE_TRY(pare__store_run(
            store, err,
            "INSERT OR REPLACE INTO unit_value SELECT variant_id, position, ?, ?, ?, "
            "CASE WHEN ?6 IS NOT NULL THEN ?6 WHEN ?7 = CAST(?7 AS INTEGER) "
            "THEN CAST(?7 AS INTEGER) ELSE ?7 END, ?8, ?9, ?10, ?11, ?12 "
            "FROM step WHERE variant_id = ?4 AND stage = ?5",
            "tttittddiiii", u->unit, u->name, u->role, variant_id, u->stage, u->text, u->value,
            u->score, u->bytes_before, u->bytes_after, u->macs_before, u->macs_after));
        if (sqlite3_changes(store->db) == 0) {
            rc = pare_error_set(err, PARE_NOT_FOUND, "the variant has no stage '%s'", u->stage);
            goto out;
        }
    }
out:
    return pare_store_end(store, rc, err);
}

/* Which pairs to compare. Each is a condition of its own, so that it reaches the indexes. */
#define ALL_PAIRS "TRUE"
#define PAIRS_OF "q.variant_id = ?1"
#define PAIRS_WITH "q.rival_id = ?1"

/* Compare those of the pairs that lack it. Two whole scans in step: the samples of both outcomes
 * are in one order. */
#define COMPARE(pairs)                                                                             \
    "SELECT q.variant_id, q.rival_id, o.data_id, "                                                 \
    "(SELECT json_array(count(*), total(a.predicted = t.target AND b.predicted <> t.target), "     \
    "  total(a.predicted <> t.target AND b.predicted = t.target)) FROM outcome_sample a "          \
    "  JOIN outcome_sample b ON b.outcome_id = r.outcome_id AND b.sample = a.sample "              \
    "  JOIN target t ON t.data_id = o.data_id AND t.sample = a.sample "                            \
    "  WHERE a.outcome_id = o.outcome_id AND a.predicted IS NOT NULL "                             \
    "  AND b.predicted IS NOT NULL) AS counts "                                                    \
    "FROM _pair q JOIN outcome o ON o.variant_id = q.variant_id "                                  \
    "JOIN outcome r ON r.variant_id = q.rival_id AND r.data_id = o.data_id "                       \
    "WHERE " pairs " AND NOT EXISTS (SELECT 1 FROM "                                               \
    "accuracy_pair x WHERE x.variant_id = q.variant_id AND x.rival_id = q.rival_id AND "           \
    "x.data_id = o.data_id)"

/* The same of samples that have a loss and no class. */
#define COMPARE_LOSSES(pairs)                                                                      \
    "SELECT q.variant_id, q.rival_id, o.data_id, "                                                 \
    "(SELECT json_array(count(*), total(a.nll - b.nll), total((a.nll - b.nll) * (a.nll - b.nll)))" \
    "  FROM outcome_sample a JOIN outcome_sample b ON b.outcome_id = r.outcome_id "                \
    "  AND b.sample = a.sample WHERE a.outcome_id = o.outcome_id AND a.predicted IS NULL "         \
    "  AND a.nll IS NOT NULL AND b.nll IS NOT NULL) AS sums "                                      \
    "FROM _pair q JOIN outcome o ON o.variant_id = q.variant_id "                                  \
    "JOIN outcome r ON r.variant_id = q.rival_id AND r.data_id = o.data_id "                       \
    "WHERE " pairs " AND EXISTS (SELECT 1 FROM outcome_sample y WHERE y.outcome_id = "             \
    "o.outcome_id AND y.predicted IS NULL) AND NOT EXISTS (SELECT 1 FROM "                         \
    "loss_pair x WHERE x.variant_id = q.variant_id AND x.rival_id = q.rival_id AND "               \
    "x.data_id = o.data_id)"

int pare__store_compare_means(struct pare_store *store, const char *sql, const char *insert,
                              int64_t variant_id, struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc, got;
    PARE_TRY(pare__store_prepare(store, &stmt, err, sql, variant_id ? "i" : "", variant_id));
    while ((got = pare__store_step(store, stmt, err)) > 0) {
        double n, sum, squares;
        const char *sums = (const char *)sqlite3_column_text(stmt, 3);
        if (!sums || sscanf(sums, "[%lf,%lf,%lf]", &n, &sum, &squares) != 3 || n < 1)
            continue;
        const double mean = sum / n, variance = fmax(squares - n * mean * mean, 0) / (n - 1);
        const double half =
            n < 2 ? (double)NAN : pare_stat_t_quantile(0.975, n - 1) * sqrt(variance / n);
        PARE_TRY(pare__store_run(
            store, err, insert, "iiiiddd", (int64_t)sqlite3_column_int64(stmt, 0),
            (int64_t)sqlite3_column_int64(stmt, 1), (int64_t)sqlite3_column_int64(stmt, 2),
            (int64_t)n, mean, mean - half, mean + half));
    }
    if (got < 0)
        rc = pare__store_fail(store, NULL, "");
out:
    sqlite3_finalize(stmt);
    return rc;
}

static int compare_losses(struct pare_store *store, const char *sql, int64_t variant_id,
                          struct pare_error *err)
{
    return pare__store_compare_means(store, sql,
                                     "INSERT OR REPLACE INTO loss_pair VALUES(?, ?, ?, ?, ?, ?, ?)",
                                     variant_id, err);
}

static int compare(struct pare_store *store, const char *sql, int64_t variant_id,
                   struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc, got;
    PARE_TRY(pare__store_prepare(store, &stmt, err, sql, variant_id ? "i" : "", variant_id));
    while ((got = pare__store_step(store, stmt, err)) > 0) {
        double n, gain, loss;
        const char *counts = (const char *)sqlite3_column_text(stmt, 3);
        if (!counts || sscanf(counts, "[%lf,%lf,%lf]", &n, &gain, &loss) != 3 || n < 1)
            continue;
        struct pare_interval d =
            pare_stat_bonett_price((size_t)gain, (size_t)loss, (size_t)n, 0.95);
        PARE_TRY(pare__store_run(
            store, err, "INSERT OR REPLACE INTO accuracy_pair VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "iiiiiiddd", (int64_t)sqlite3_column_int64(stmt, 0),
            (int64_t)sqlite3_column_int64(stmt, 1), (int64_t)sqlite3_column_int64(stmt, 2),
            (int64_t)n, (int64_t)gain, (int64_t)loss, d.value, d.lo, d.hi));
    }
    if (got < 0)
        rc = pare__store_fail(store, NULL, "");
out:
    sqlite3_finalize(stmt);
    return rc;
}

int pare_store_refresh(struct pare_store *store, struct pare_error *err)
{
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    rc = compare(store, COMPARE(ALL_PAIRS), 0, err);
    if (rc == PARE_OK)
        rc = compare_losses(store, COMPARE_LOSSES(ALL_PAIRS), 0, err);
    if (rc == PARE_OK)
        rc = pare__store_compare_similarity(store, 0, err);
    return pare_store_end(store, rc, err);
}

int pare_store_outcome(struct pare_store *store, int64_t variant_id, int64_t data_id, size_t n,
                       const int32_t *predicted, const float *nll, struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t id;
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_run(store, err, "DELETE FROM outcome WHERE variant_id = ? AND data_id = ?",
                             "ii", variant_id, data_id));
    PARE_TRY(pare__store_run(store, err,
                             "DELETE FROM accuracy_pair WHERE variant_id = ? AND data_id = ?", "ii",
                             variant_id, data_id));
    PARE_TRY(pare__store_run(store, err,
                             "DELETE FROM accuracy_pair WHERE rival_id = ? AND data_id = ?", "ii",
                             variant_id, data_id));
    PARE_TRY(pare__store_run(store, err,
                             "DELETE FROM loss_pair WHERE data_id = ?2 AND (variant_id = ?1 OR "
                             "rival_id = ?1)",
                             "ii", variant_id, data_id));
    PARE_TRY(pare__store_run(store, err, "INSERT INTO outcome(variant_id, data_id) VALUES(?, ?)",
                             "ii", variant_id, data_id));
    id = sqlite3_last_insert_rowid(store->db);
    PARE_TRY(pare__store_prepare(store, &stmt, err, "INSERT INTO outcome_sample VALUES(?, ?, ?, ?)",
                                 "i", id));
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)i);
        if (predicted)
            sqlite3_bind_int(stmt, 3, predicted[i]);
        if (nll && isfinite(nll[i]))
            sqlite3_bind_double(stmt, 4, (double)nll[i]);
        else
            sqlite3_bind_null(stmt, 4);
        PARE_TRY(pare__store_put(store, stmt, err));
    }
    PARE_TRY(compare(store, COMPARE(PAIRS_OF), variant_id, err));
    PARE_TRY(compare(store, COMPARE(PAIRS_WITH), variant_id, err));
    PARE_TRY(compare_losses(store, COMPARE_LOSSES(PAIRS_OF), variant_id, err));
    PARE_TRY(compare_losses(store, COMPARE_LOSSES(PAIRS_WITH), variant_id, err));
out:
    sqlite3_finalize(stmt);
    return pare_store_end(store, rc, err);
}
