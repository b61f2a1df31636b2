/* SPDX-License-Identifier: Apache-2.0 */
/* Timing sessions: visits come in by rounds, the session's figures are computed from them. */
#include "db/store_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/stat.h"

#define LEVEL 0.95
#define P90_FROM                                                                                   \
    64 /* samples below which a percentile says nothing (MLPerf's early stopping, 99 %) */
#define P99_FROM 662

int pare_store_session_begin(struct pare_store *store, const struct pare_store_session *s,
                             int64_t *id, struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare__store_run(
        store, err,
        "INSERT INTO session(pipeline_id, host_id, shape, definition, program, isa, "
        "seed, facts, started_at) VALUES(?, ?, ?, ?, ?, ?, ?, coalesce(?, '{}'), ?)",
        "iittttitt", s->pipeline_id, s->host_id, s->shape, s->definition, s->program, s->isa,
        s->seed, s->facts, now);
    *id = sqlite3_last_insert_rowid(store->db);
    return pare_store_end(store, rc, err);
}

int pare_store_session_end(struct pare_store *store, int64_t session_id, struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare__store_run(store, err, "UPDATE session SET finished_at = ? WHERE session_id = ?",
                         "ti", now, session_id);
    return pare_store_end(store, rc, err);
}

static int insert_visit(struct pare_store *store, int64_t session_id, size_t round,
                        const struct pare_store_visit *v, struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    double *sorted = pare_alloc(v->n, sizeof *sorted);
    unsigned char *bytes = pare_alloc(v->n, 4);
    int rc;

    if (!sorted || !bytes) {
        rc = pare_error_nomem(err, v->n * sizeof *sorted);
        goto out;
    }
    if (v->n == 0 || v->n > INT32_MAX / 4) {
        rc =
            pare_error_set(err, PARE_INVALID, "a visit needs timed inferences, and less than 2^29");
        goto out;
    }
    for (size_t i = 0; i < v->n; i++) {
        sorted[i] = v->ns[i];
        pare_put_le32(bytes + 4 * i, v->ns[i]);
    }
    double median = pare_stat_median(sorted, v->n);
    double p90 = v->n >= P90_FROM ? pare_stat_quantile(sorted, v->n, 0.9) : (double)NAN;
    PARE_TRY(pare__store_prepare(
        store, &stmt, err,
        "INSERT INTO visit VALUES(?, ?, ?, ?, ?, ?, ?, CAST(? AS INTEGER), ?, ?, ?, ?, ?, ?, ?)",
        "izziziddiiiddb", session_id, round, v->slot, v->variant_id, v->n, (int64_t)sorted[0],
        median, p90, (int64_t)sorted[v->n - 1], v->nivcsw, v->steal_ticks, v->load1, v->mhz,
        (int)v->disturbed));
    sqlite3_bind_blob(stmt, 15, bytes, (int)(4 * v->n), SQLITE_STATIC);
    rc = pare__store_put(store, stmt, err);
out:
    sqlite3_finalize(stmt);
    free(bytes);
    free(sorted);
    return rc;
}

int pare_store_round(struct pare_store *store, int64_t session_id, size_t round,
                     const struct pare_store_visit *visits, size_t n, struct pare_error *err)
{
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        PARE_TRY(insert_visit(store, session_id, round, &visits[i], err));
    PARE_TRY(pare_store_session_summarise(store, session_id, err));
out:
    return pare_store_end(store, rc, err);
}

/* One variant's visits in a session, folded into rounds. */
struct series {
    int64_t variant_id;
    size_t *round; /* ascending */
    double *value; /* per round: mean of the visits' medians, in ns */
    size_t n, cap_r, cap_v, visits_in_last;
    double *pool; /* every timed inference */
    size_t n_pool, cap_pool;
    size_t far; /* of them, beyond 3 IQR of their own visit */
    size_t disturbed;
    size_t last_disturbed; /* round + 1 that was counted last */
};

struct session_data {
    struct series *items;
    size_t n, cap;
};

static void session_data_free(struct session_data *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->items[i].round);
        free(d->items[i].value);
        free(d->items[i].pool);
    }
    free(d->items);
}

static bool add_samples(struct series *s, const unsigned char *bytes, size_t n)
{
    if (!pare_grow(&s->pool, &s->cap_pool, s->n_pool + n, sizeof *s->pool))
        return false;
    double *x = s->pool + s->n_pool;
    for (size_t i = 0; i < n; i++, bytes += 4)
        x[i] = (double)pare_get_le32(bytes);
    pare_stat_sort(x, n);
    double q1 = pare_stat_quantile(x, n, 0.25), q3 = pare_stat_quantile(x, n, 0.75);
    for (size_t i = 0; i < n; i++)
        s->far += x[i] < q1 - 3 * (q3 - q1) || x[i] > q3 + 3 * (q3 - q1);
    s->n_pool += n;
    return true;
}

/* Add a visit; rows come ordered by variant and round. */
static bool add_visit(struct session_data *d, int64_t variant_id, size_t round, double median,
                      bool disturbed, const void *bytes, size_t n)
{
    if (d->n == 0 || d->items[d->n - 1].variant_id != variant_id) {
        if (!pare_grow(&d->items, &d->cap, d->n + 1, sizeof *d->items))
            return false;
        d->items[d->n++] = (struct series){.variant_id = variant_id};
    }
    struct series *s = &d->items[d->n - 1];
    if (s->n == 0 || s->round[s->n - 1] != round) {
        if (!pare_grow(&s->round, &s->cap_r, s->n + 1, sizeof *s->round) ||
            !pare_grow(&s->value, &s->cap_v, s->n + 1, sizeof *s->value))
            return false;
        s->round[s->n] = round;
        s->value[s->n++] = 0;
        s->visits_in_last = 0;
    }
    double *v = &s->value[s->n - 1];
    s->visits_in_last++;
    *v += (median - *v) / (double)s->visits_in_last;
    if (disturbed && s->last_disturbed != round + 1) {
        s->disturbed++;
        s->last_disturbed = round + 1;
    }
    return add_samples(s, bytes, n);
}

static int load_session(struct pare_store *store, int64_t session_id, struct session_data *d,
                        struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc, got;
    PARE_TRY(pare__store_prepare(store, &stmt, err,
                                 "SELECT variant_id, round, p50_ns, disturbed, ns FROM visit "
                                 "WHERE session_id = ? ORDER BY variant_id, round, slot",
                                 "i", session_id));
    while ((got = pare__store_step(store, stmt, err)) > 0) {
        const void *bytes = sqlite3_column_blob(stmt, 4);
        if (!add_visit(d, sqlite3_column_int64(stmt, 0), (size_t)sqlite3_column_int64(stmt, 1),
                       sqlite3_column_double(stmt, 2), sqlite3_column_int(stmt, 3) != 0, bytes,
                       (size_t)sqlite3_column_bytes(stmt, 4) / 4)) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
    }
    if (got < 0)
        rc = pare__store_fail(store, NULL, "");
out:
    sqlite3_finalize(stmt);
    return rc;
}

static int store_series(struct pare_store *store, int64_t session_id, struct series *s,
                        double *scratch, struct pare_error *err)
{
    memcpy(scratch, s->value, s->n * sizeof *scratch);
    struct pare_interval m = pare_stat_median_interval(scratch, s->n, LEVEL);
    bool noisy = s->far * 20 > s->n_pool || m.hi - m.lo > 0.06 * m.value;
    if (s->n >= 3) { /* a slow first round: something was still warming up */
        memcpy(scratch, s->value + 1, (s->n - 1) * sizeof *scratch);
        noisy |= s->value[0] > 1.1 * pare_stat_median(scratch, s->n - 1);
    }
    pare_stat_sort(s->pool, s->n_pool);
    double p90 = s->n_pool >= P90_FROM ? pare_stat_quantile(s->pool, s->n_pool, 0.90) : (double)NAN;
    double p99 = s->n_pool >= P99_FROM ? pare_stat_quantile(s->pool, s->n_pool, 0.99) : (double)NAN;
    return pare__store_run(
        store, err, "INSERT OR REPLACE INTO latency VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iizzzdddiddb", session_id, s->variant_id, s->n, s->disturbed, s->n_pool, m.value, m.lo,
        m.hi, (int64_t)s->pool[0], p90, p99, (int)noisy);
}

static int by_variant(const void *a, const void *b)
{
    int64_t x = ((const struct series *)a)->variant_id, y = ((const struct series *)b)->variant_id;
    return (x > y) - (x < y);
}

static struct series *find(struct session_data *d, int64_t variant_id)
{
    const struct series key = {.variant_id = variant_id};
    return d->n ? bsearch(&key, d->items, d->n, sizeof key, by_variant) : NULL;
}

/* rival over variant, from the log ratios of the rounds that both have. */
static int store_pair(struct pare_store *store, int64_t session_id, const struct series *v,
                      const struct series *rival, double *scratch, struct pare_error *err)
{
    size_t n = 0;
    for (size_t i = 0, j = 0; i < v->n && j < rival->n;) {
        if (v->round[i] == rival->round[j])
            scratch[n++] = log(rival->value[j++] / v->value[i++]);
        else if (v->round[i] < rival->round[j])
            i++;
        else
            j++;
    }
    if (n == 0)
        return PARE_OK;
    struct pare_interval d = pare_stat_trimmed_mean(scratch, n, LEVEL, NULL);
    return pare__store_run(
        store, err, "INSERT OR REPLACE INTO latency_pair VALUES(?, ?, ?, ?, ?, ?, ?)", "iiizddd",
        session_id, v->variant_id, rival->variant_id, n, exp(d.value), exp(d.lo), exp(d.hi));
}

/* Only the pairs of the session's own variants are asked for: a database may hold many more. */
static int store_pairs(struct pare_store *store, int64_t session_id, struct session_data *d,
                       double *scratch, struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc, got = 0;
    PARE_TRY(pare__store_prepare(store, &stmt, err,
                                 "SELECT rival_id FROM _pair WHERE variant_id = ?", ""));
    for (size_t i = 0; i < d->n && got >= 0; i++) {
        sqlite3_reset(stmt);
        sqlite3_bind_int64(stmt, 1, d->items[i].variant_id);
        while ((got = pare__store_step(store, stmt, err)) > 0) {
            struct series *rival = find(d, sqlite3_column_int64(stmt, 0));
            if (rival)
                PARE_TRY(store_pair(store, session_id, &d->items[i], rival, scratch, err));
        }
    }
    if (got < 0)
        rc = pare__store_fail(store, NULL, "");
out:
    sqlite3_finalize(stmt);
    return rc;
}

int pare_store_session_summarise(struct pare_store *store, int64_t session_id,
                                 struct pare_error *err)
{
    struct session_data d = {0};
    double *scratch = NULL;
    size_t most = 0;
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(load_session(store, session_id, &d, err));
    for (size_t i = 0; i < d.n; i++)
        most = PARE_MAX(most, d.items[i].n);
    scratch = pare_alloc(most, sizeof *scratch);
    if (!scratch) {
        rc = pare_error_nomem(err, most * sizeof *scratch);
        goto out;
    }
    for (size_t i = 0; i < d.n; i++)
        PARE_TRY(store_series(store, session_id, &d.items[i], scratch, err));
    PARE_TRY(store_pairs(store, session_id, &d, scratch, err));
out:
    free(scratch);
    session_data_free(&d);
    return pare_store_end(store, rc, err);
}
