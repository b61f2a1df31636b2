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
    int64_t baseline_id;
    struct place {
        int64_t variant_id;
        size_t item;
    } * places; /* [n], ascending: where a variant is among the items */
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
    l->out->data_id = sqlite3_column_int64(stmt, 2);
    l->out->n_samples = (size_t)PARE_MIN(sqlite3_column_int64(stmt, 4), MAX_SAMPLES);
    return keep(l, stmt, 1, &l->out->pipeline) && keep(l, stmt, 3, &l->out->data);
}

static bool place_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    (void)i;
    l->out->host_id = sqlite3_column_int64(stmt, 0);
    return keep(l, stmt, 1, &l->out->host) && keep(l, stmt, 2, &l->out->shape);
}

/* Of the sessions that may be a reference (the view _reference, which counts all rounds to tell
 * which is), this host's, of the pipeline's first shape, the newest. */
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
        "SELECT z.host_id, h.name, z.shape FROM session z "
        "JOIN member b ON b.pipeline_id = z.pipeline_id AND b.is_baseline AND b.is_current "
        "JOIN latency l ON l.session_id = z.session_id AND l.variant_id = b.variant_id "
        "JOIN host h ON h.host_id = z.host_id "
        "LEFT JOIN shape s ON s.pipeline_id = z.pipeline_id AND s.name = z.shape "
        "WHERE z.pipeline_id = ?1 AND (?2 IS NULL OR h.name = ?2) AND (?3 IS NULL OR z.shape = ?3) "
        "AND (s.definition IS NULL OR s.definition = z.definition) "
        "ORDER BY h.key = ?4 DESC, coalesce(s.position, 999), z.session_id DESC LIMIT 1",
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

static bool metric_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    (void)i;
    struct pare_trials *t = l->out;
    struct pare_store_metric *m = pare_pool_alloc(&t->pool, t->n_plugin_metrics + 1, sizeof *m);
    struct pare_store_metric *own = m ? &m[t->n_plugin_metrics] : NULL;
    if (!m || !keep(l, stmt, 0, &own->name) || !keep(l, stmt, 1, &own->unit))
        return false;
    own->higher = sqlite3_column_int(stmt, 2);
    if (t->n_plugin_metrics)
        memcpy(m, t->plugin_metrics, t->n_plugin_metrics * sizeof *m);
    t->n_plugin_metrics++;
    t->plugin_metrics = m;
    return true;
}

/* ---- members ---- */

static bool member_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    struct pare_trials *t = l->out;
    struct pare_trial *v = &t->items[i];
    *v = (struct pare_trial){.variant_id = sqlite3_column_int64(stmt, 0),
                             .is_baseline = sqlite3_column_int(stmt, 3) != 0,
                             .position = (size_t)sqlite3_column_int64(stmt, 4),
                             .state = "planned",
                             .gain = PARE_NONE,
                             .loss = PARE_NONE,
                             .speedup = {NAN, NAN, NAN},
                             .session = SIZE_MAX};
    t->n = i + 1;
    if (!keep(l, stmt, 1, &v->label) || !keep(l, stmt, 2, &v->hash) ||
        !keep(l, stmt, 5, &v->reason))
        return false;
    if (v->reason)
        v->state = "skipped";
    return true;
}

static int by_position(const void *a, const void *b)
{
    const struct pare_trial *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return (x->variant_id > y->variant_id) - (x->variant_id < y->variant_id);
}

static int by_variant(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->variant_id > y->variant_id) - (x->variant_id < y->variant_id);
}

/* The item of a variant; SIZE_MAX: it is no current member. */
static size_t item_of(const struct loader *l, int64_t variant_id)
{
    const struct place key = {.variant_id = variant_id};
    const struct place *at =
        l->out->n ? bsearch(&key, l->places, l->out->n, sizeof key, by_variant) : NULL;
    return at ? at->item : SIZE_MAX;
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
    l->places = pare_alloc((size_t)n, sizeof *l->places);
    if (!t->items || !l->places) {
        rc = pare_error_nomem(l->err, 0);
        goto out;
    }
    PARE_TRY(pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT m.variant_id, m.label, v.hash, m.is_baseline, m.position, m.skipped FROM member m "
        "JOIN variant v ON v.variant_id = m.variant_id "
        "WHERE m.pipeline_id = ? AND m.is_current LIMIT ?",
        "ii", t->pipeline_id, n));
    PARE_TRY(each(l, member_row, stmt));
    qsort(t->items, t->n, sizeof *t->items, by_position);
    for (size_t i = 0; i < t->n; i++) {
        l->places[i] = (struct place){t->items[i].variant_id, i};
        if (t->items[i].is_baseline) {
            t->baseline = i;
            l->baseline_id = t->items[i].variant_id;
        }
    }
    qsort(l->places, t->n, sizeof *l->places, by_variant);
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
    if (!pare_store_has_metrics(l->store))
        goto out;
    PARE_TRY(pare__store_prepare(l->store, &stmt, l->err,
                                 "SELECT name, unit, direction = 'max' FROM metric "
                                 "WHERE pipeline_id = ? ORDER BY position",
                                 "i", t->pipeline_id));
    PARE_TRY(each(l, metric_row, stmt));
out:
    return rc;
}

/* Only what has an attempt that is not ok can be in a state that its figures do not tell. */
static bool state_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    size_t at = item_of(l, sqlite3_column_int64(stmt, 0));
    (void)i;
    return at == SIZE_MAX || (keep(l, stmt, 1, &l->out->items[at].state) &&
                              keep(l, stmt, 2, &l->out->items[at].reason));
}

static int load_states(struct loader *l)
{
    sqlite3_stmt *stmt;
    int rc = pare__store_prepare(
        l->store, &stmt, l->err,
        "SELECT s.variant_id, s.state, s.reason FROM _state s WHERE s.pipeline_id = ? AND "
        "s.variant_id IN (SELECT variant_id FROM attempt WHERE state <> 'ok')",
        "i", l->out->pipeline_id);
    return rc == PARE_OK ? each(l, state_row, stmt) : rc;
}

/* ---- measurements ---- */

struct figure {
    struct pare_trial_metric metric;
    size_t item;
    bool of_data;
};

struct figures {
    struct figure *items;
    size_t n, cap;
    const char *names[64]; /* kept once */
    size_t n_names;
};

static const char *name_of(struct loader *l, struct figures *f, const char *text)
{
    for (size_t i = 0; i < f->n_names; i++) {
        if (strcmp(f->names[i], text) == 0)
            return f->names[i];
    }
    const char *own = pare_pool_strdup(&l->out->pool, text);
    if (own && f->n_names < PARE_COUNT(f->names))
        f->names[f->n_names++] = own;
    return own;
}

/* By item, then metric; what is on the pipeline's data comes first. */
static int by_item(const void *a, const void *b)
{
    const struct figure *x = a, *y = b;
    if (x->item != y->item)
        return x->item < y->item ? -1 : 1;
    int order = strcmp(x->metric.name, y->metric.name);
    return order ? order : (int)y->of_data - (int)x->of_data;
}

static int read_figures(struct loader *l, struct figures *f)
{
    sqlite3_stmt *stmt;
    int64_t last = PARE_NONE;
    size_t item = SIZE_MAX;
    /* of a plugin's metric only what this pipeline's file and settings measured */
    static const char plain[] = "SELECT variant_id, metric, value, data_id, NULL FROM measurement "
                                "WHERE data_id IS NULL OR data_id = ?",
                      keyed[] = "SELECT variant_id, metric, value, data_id, "
                                "CASE WHEN metric_key IS NOT NULL THEN hi - lo END "
                                "FROM measurement WHERE (data_id IS NULL OR data_id = ?) AND "
                                "(metric_key IS NULL OR metric_key IN "
                                "(SELECT key FROM metric WHERE pipeline_id = ?))";
    const bool has = pare_store_has_metrics(l->store);
    int got, rc = pare__store_prepare(l->store, &stmt, l->err, has ? keyed : plain,
                                      has ? "ii" : "i", l->out->data_id, l->out->pipeline_id);
    if (rc != PARE_OK)
        return rc;
    while ((got = pare__store_step(l->store, stmt, l->err)) > 0) {
        int64_t variant_id = sqlite3_column_int64(stmt, 0);
        if (variant_id != last)
            item = item_of(l, variant_id);
        last = variant_id;
        if (item == SIZE_MAX)
            continue;
        if (!pare_grow(&f->items, &f->cap, f->n + 1, sizeof *f->items)) {
            rc = pare_error_nomem(l->err, 0);
            break;
        }
        struct figure *x = &f->items[f->n++];
        x->item = item;
        x->of_data = sqlite3_column_type(stmt, 3) != SQLITE_NULL;
        x->metric.value = number(stmt, 2);
        x->metric.sem = number(stmt, 4) / (2 * pare_stat_normal_quantile(0.975));
        x->metric.name = name_of(l, f, (const char *)sqlite3_column_text(stmt, 1));
        if (!x->metric.name) {
            rc = pare_error_nomem(l->err, 0);
            break;
        }
    }
    if (got < 0)
        rc = pare__store_fail(l->store, NULL, "");
    sqlite3_finalize(stmt);
    return rc;
}

static int load_metrics(struct loader *l)
{
    struct pare_trials *t = l->out;
    struct figures f = {0};
    struct pare_trial_metric *metrics;
    int rc;
    PARE_TRY(read_figures(l, &f));
    bool sorted = true;
    for (size_t k = 1; k < f.n && sorted; k++)
        sorted = by_item(&f.items[k - 1], &f.items[k]) <= 0;
    if (!sorted)
        qsort(f.items, f.n, sizeof *f.items, by_item);
    metrics = pare_pool_alloc(&t->pool, f.n, sizeof *metrics);
    if (!metrics) {
        rc = pare_error_nomem(l->err, f.n * sizeof *metrics);
        goto out;
    }
    for (size_t k = 0; k < f.n; k++) {
        struct pare_trial *v = &t->items[f.items[k].item];
        metrics[k] = f.items[k].metric;
        if (v->n_metrics++ == 0)
            v->metrics = &metrics[k];
        if (f.items[k].of_data == (t->data_id != 0) && strcmp(v->state, "planned") == 0)
            v->state = "ok";
    }
out:
    free(f.items);
    return rc;
}

static bool pair_row(struct loader *l, sqlite3_stmt *stmt, size_t i)
{
    size_t at = item_of(l, sqlite3_column_int64(stmt, 0));
    (void)i;
    if (at != SIZE_MAX && sqlite3_column_int64(stmt, 1) == (int64_t)l->out->n_samples) {
        l->out->items[at].gain = sqlite3_column_int64(stmt, 2);
        l->out->items[at].loss = sqlite3_column_int64(stmt, 3);
    }
    return true;
}

/* Right and wrong against the baseline: only comparisons of all samples count. */
static int load_pairs(struct loader *l)
{
    sqlite3_stmt *stmt;
    int rc = pare__store_prepare(l->store, &stmt, l->err,
                                 "SELECT variant_id, n, gain, loss FROM accuracy_pair "
                                 "WHERE rival_id = ? AND data_id = ?",
                                 "ii", l->baseline_id, l->out->data_id);
    if (rc == PARE_OK)
        rc = each(l, pair_row, stmt);
    if (l->out->baseline != SIZE_MAX)
        l->out->items[l->out->baseline].gain = l->out->items[l->out->baseline].loss = 0;
    return rc;
}

/* ---- latency ---- */

struct timing {
    size_t item;
    int64_t session_id;
    bool direct;
    size_t rounds;
    struct pare_interval speedup;
};

/* As the view _latency: the reference session, else the one with most rounds, else the newest. */
static bool better_timing(const struct timing *a, const struct timing *b)
{
    if (a->direct != b->direct)
        return a->direct;
    if (a->rounds != b->rounds)
        return a->rounds > b->rounds;
    return a->session_id > b->session_id;
}

static int read_timings(struct loader *l, struct timing *best)
{
    struct pare_trials *t = l->out;
    sqlite3_stmt *stmt;
    int got, rc = pare__store_prepare(
                 l->store, &stmt, l->err,
                 "SELECT t.variant_id, t.session_id, t.session_id = r.session_id, t.rounds, "
                 "p.speedup, p.lo, p.hi FROM _reference r "
                 "CROSS JOIN session z ON z.session_id = r.session_id "
                 "CROSS JOIN session s ON s.pipeline_id = r.pipeline_id AND s.host_id = r.host_id "
                 "AND s.shape = r.shape AND s.definition = z.definition "
                 "CROSS JOIN latency b ON b.session_id = s.session_id AND b.variant_id = "
                 "r.baseline_id CROSS JOIN latency t ON t.session_id = s.session_id "
                 "LEFT JOIN latency_pair p ON p.session_id = t.session_id "
                 "AND p.variant_id = t.variant_id AND p.rival_id = r.baseline_id "
                 "WHERE r.pipeline_id = ? AND r.host_id = ? AND r.shape = ?",
                 "iit", t->pipeline_id, t->host_id, t->shape);
    if (rc != PARE_OK)
        return rc;
    while ((got = pare__store_step(l->store, stmt, l->err)) > 0) {
        size_t at = item_of(l, sqlite3_column_int64(stmt, 0));
        struct timing x = {.item = at,
                           .session_id = sqlite3_column_int64(stmt, 1),
                           .direct = sqlite3_column_int(stmt, 2) != 0,
                           .rounds = (size_t)sqlite3_column_int64(stmt, 3),
                           .speedup = {number(stmt, 4), number(stmt, 5), number(stmt, 6)}};
        if (at == t->baseline)
            x.speedup = (struct pare_interval){1, 1, 1};
        if (at != SIZE_MAX && (best[at].item == SIZE_MAX || better_timing(&x, &best[at])))
            best[at] = x;
    }
    if (got < 0)
        rc = pare__store_fail(l->store, NULL, "");
    sqlite3_finalize(stmt);
    return rc;
}

static int by_session(const void *a, const void *b)
{
    const struct timing *x = a, *y = b;
    if (x->direct != y->direct) /* the reference session is the first */
        return x->direct ? -1 : 1;
    return (x->session_id > y->session_id) - (x->session_id < y->session_id);
}

static int load_latencies(struct loader *l)
{
    struct pare_trials *t = l->out;
    struct timing *best = pare_pool_alloc(&t->pool, t->n, sizeof *best);
    size_t n = 0;
    int rc = PARE_OK;
    t->sessions = pare_pool_alloc(&t->pool, t->n + 1, sizeof *t->sessions);
    if (!best || !t->sessions)
        return pare_error_nomem(l->err, 0);
    if (!t->host)
        return PARE_OK;
    for (size_t i = 0; i < t->n; i++)
        best[i].item = SIZE_MAX;
    PARE_TRY(read_timings(l, best));
    for (size_t i = 0; i < t->n; i++) {
        if (best[i].item != SIZE_MAX)
            best[n++] = best[i];
    }
    qsort(best, n, sizeof *best, by_session);
    for (size_t k = 0; k < n; k++) {
        struct pare_trial *v = &t->items[best[k].item];
        if (k == 0 || best[k].session_id != best[k - 1].session_id)
            t->sessions[t->n_sessions++].id = best[k].session_id;
        v->session = t->n_sessions - 1;
        v->speedup = best[k].speedup;
        v->rounds = best[k].rounds;
    }
out:
    return rc;
}

static void hash_summaries(struct loader *l)
{
    for (size_t i = 0; i < l->out->n; i++) {
        const struct pare_trial *v = &l->out->items[i];
        pare_hash_text(&l->hash, v->hash);
        for (size_t k = 0; k < v->n_metrics; k++) {
            pare_hash_text(&l->hash, v->metrics[k].name);
            pare_hash_add(&l->hash, &v->metrics[k].value, sizeof v->metrics[k].value);
            if (isfinite(v->metrics[k].sem))
                pare_hash_add(&l->hash, &v->metrics[k].sem, sizeof v->metrics[k].sem);
        }
        pare_hash_add(&l->hash, &v->gain, sizeof v->gain);
        pare_hash_add(&l->hash, &v->loss, sizeof v->loss);
        pare_hash_add(&l->hash, &v->speedup, sizeof v->speedup);
        pare_hash_add(&l->hash, &v->rounds, sizeof v->rounds);
    }
    pare_hash_end(&l->hash, l->out->data_hash);
}

int pare_store_snapshot(struct pare_store *store, bool *mine, struct pare_error *err)
{
    *mine = sqlite3_get_autocommit(store->db) != 0;
    return *mine ? pare__store_run(store, err, "BEGIN", "") : PARE_OK;
}

void pare_store_snapshot_end(struct pare_store *store, bool mine)
{
    if (mine && !sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
}

int pare_trials_place(struct pare_store *store, const char *pipeline, const char *host,
                      const char *shape, struct pare_trials *out, struct pare_error *err)
{
    struct loader l = {.store = store, .out = out, .err = err};
    *out = (struct pare_trials){.baseline = SIZE_MAX};
    int rc = find_place(&l, pipeline, host, shape);
    if (rc != PARE_OK)
        pare_trials_free(out);
    return rc;
}

int pare_trials_summaries(struct pare_store *store, const char *pipeline, const char *host,
                          const char *shape, struct pare_trials *out, struct pare_error *err)
{
    struct loader l = {.store = store, .out = out, .err = err};
    bool mine = false;
    int rc;
    *out = (struct pare_trials){.baseline = SIZE_MAX};
    pare_hash_begin(&l.hash);
    PARE_TRY(pare_store_snapshot(store, &mine, err));
    PARE_TRY(find_place(&l, pipeline, host, shape));
    PARE_TRY(load_members(&l));
    PARE_TRY(load_metrics(&l));
    PARE_TRY(load_states(&l));
    PARE_TRY(load_pairs(&l));
    PARE_TRY(load_latencies(&l));
    hash_summaries(&l);
out:
    pare_store_snapshot_end(store, mine);
    free(l.places);
    if (rc != PARE_OK)
        pare_trials_free(out);
    return rc;
}

int pare_trials_load(struct pare_store *store, const char *pipeline, const char *host,
                     const char *shape, struct pare_trials *out, struct pare_error *err)
{
    bool mine = false;
    *out = (struct pare_trials){.baseline = SIZE_MAX};
    int rc = pare_store_snapshot(store, &mine, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare_trials_summaries(store, pipeline, host, shape, out, err);
    if (rc == PARE_OK)
        rc = pare_trials_details(store, out, NULL, err);
    pare_store_snapshot_end(store, mine);
    if (rc != PARE_OK)
        pare_trials_free(out);
    return rc;
}

void pare_trials_free(struct pare_trials *trials)
{
    pare_pool_free(&trials->pool);
    *trials = (struct pare_trials){.baseline = SIZE_MAX};
}
