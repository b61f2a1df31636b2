/* SPDX-License-Identifier: Apache-2.0 */
/* What was planned: hosts, data, pipelines, plugins, variants; and what people say about them. */
#include "db/store_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

int pare_store_host(struct pare_store *store, const struct pare_store_host *host, int64_t *id,
                    struct pare_error *err)
{
    struct pare_process self;
    char name[300];
    int64_t other;
    int rc;

    pare__process_self(&self);
    snprintf(name, sizeof name, "%s", host->name ? host->name : self.name);
    rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_get(store, &other, err, "SELECT 1 FROM host WHERE name = ? AND key <> ?",
                             "tt", name, self.machine));
    if (other == 1)
        snprintf(name + strlen(name), sizeof name - strlen(name), "-%.4s", self.machine);
    PARE_TRY(pare__store_run(
        store, err,
        "INSERT INTO host(key, name, cpu, isa, kernel, cores, memory_bytes, facts) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, coalesce(?, '{}')) ON CONFLICT(key) DO UPDATE SET "
        "name = excluded.name, cpu = excluded.cpu, isa = excluded.isa, kernel = excluded.kernel, "
        "cores = excluded.cores, memory_bytes = excluded.memory_bytes, facts = excluded.facts",
        "tttttiit", self.machine, name, host->cpu, host->isa, host->kernel, host->cores,
        host->memory_bytes, host->facts));
    PARE_TRY(pare__store_get(store, id, err, "SELECT host_id FROM host WHERE key = ?", "t",
                             self.machine));
out:
    return pare_store_end(store, rc, err);
}

int pare_store_data(struct pare_store *store, const char *key, const char *name, size_t n,
                    const int32_t *targets, int64_t *id, struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t have;
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_run(store, err,
                             "INSERT INTO data(key, name, n) VALUES(?, ?, ?) "
                             "ON CONFLICT(key) DO UPDATE SET name = excluded.name",
                             "ttz", key, name, n));
    PARE_TRY(pare__store_get(store, id, err, "SELECT data_id FROM data WHERE key = ?", "t", key));
    PARE_TRY(pare__store_get(store, &have, err, "SELECT 1 FROM target WHERE data_id = ? LIMIT 1",
                             "i", *id));
    if (!targets || have == 1)
        goto out;
    PARE_TRY(
        pare__store_prepare(store, &stmt, err, "INSERT INTO target VALUES(?, ?, ?)", "i", *id));
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)i);
        sqlite3_bind_int(stmt, 3, targets[i]);
        PARE_TRY(pare__store_put(store, stmt, err));
    }
out:
    sqlite3_finalize(stmt);
    return pare_store_end(store, rc, err);
}

static int pipeline_parts(struct pare_store *store, const struct pare_store_pipeline *p, int64_t id,
                          struct pare_error *err)
{
    static const char *const clear[] = {
        "DELETE FROM objective WHERE pipeline_id = ?",
        "DELETE FROM bound WHERE pipeline_id = ?",
        "DELETE FROM shape WHERE pipeline_id = ?",
        "DELETE FROM metric WHERE pipeline_id = ?",
        "UPDATE member SET is_current = 0 WHERE pipeline_id = ?",
    };
    int rc = PARE_OK;
    for (size_t i = 0; i < PARE_COUNT(clear); i++)
        PARE_TRY(pare__store_run(store, err, clear[i], "i", id));
    for (size_t i = 0; i < p->n_objectives; i++) {
        const struct pare_store_objective *o = &p->objectives[i];
        PARE_TRY(pare__store_run(store, err, "INSERT INTO objective VALUES(?, ?, ?, ?, ?, ?)",
                                 "izttdb", id, i, o->metric, o->direction > 0 ? "max" : "min",
                                 o->tolerance, (int)o->relative));
    }
    for (size_t i = 0; i < p->n_constraints; i++)
        PARE_TRY(pare__store_run(store, err, "INSERT INTO bound VALUES(?, ?, ?)", "izt", id, i,
                                 p->constraints[i]));
    for (size_t i = 0; i < p->n_shapes; i++)
        PARE_TRY(pare__store_run(store, err, "INSERT INTO shape VALUES(?, ?, ?, ?)", "iztt", id, i,
                                 p->shapes[i].name, p->shapes[i].definition));
    for (size_t i = 0; i < p->n_metrics; i++) {
        const struct pare_store_metric *m = &p->metrics[i];
        PARE_TRY(pare__store_run(store, err, "INSERT INTO metric VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                                 "iztttitt", id, i, m->name, m->unit, m->higher ? "max" : "min",
                                 m->plugin_id, m->settings, m->key));
    }
out:
    return rc;
}

int pare_store_pipeline(struct pare_store *store, const struct pare_store_pipeline *p, int64_t *id,
                        struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_run(
        store, err,
        "INSERT INTO pipeline(name, path, source, plan, seed, data_id, confirm_id, created_at, "
        "planned_at) VALUES(?1, ?2, ?3, coalesce(?4, '{}'), ?5, ?6, ?7, ?8, ?8) "
        "ON CONFLICT(name) DO UPDATE SET path = excluded.path, source = excluded.source, "
        "plan = excluded.plan, seed = excluded.seed, data_id = excluded.data_id, "
        "confirm_id = excluded.confirm_id, planned_at = excluded.planned_at",
        "ttttikkt", p->name, p->path, p->source, p->plan, p->seed, p->data_id, p->confirm_id, now));
    PARE_TRY(pare__store_get(store, id, err, "SELECT pipeline_id FROM pipeline WHERE name = ?", "t",
                             p->name));
    PARE_TRY(pipeline_parts(store, p, *id, err));
out:
    return pare_store_end(store, rc, err);
}

int pare_store_plugin(struct pare_store *store, const char *name, const char *version,
                      const char *sha256, const char *path, int64_t *id, struct pare_error *err)
{
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_run(store, err,
                             "INSERT INTO plugin(sha256, name, version, path) VALUES(?, ?, ?, ?) "
                             "ON CONFLICT(sha256) DO UPDATE SET path = excluded.path",
                             "tttt", sha256, name, version, path));
    PARE_TRY(pare__store_get(store, id, err, "SELECT plugin_id FROM plugin WHERE sha256 = ?", "t",
                             sha256));
out:
    return pare_store_end(store, rc, err);
}

/* The hash of a model and steps, one of them left out (n_steps: none). Plugin builds are not in it.
 */
static void chain_of(const struct pare_store_variant *v, size_t left_out, char hex[PARE_HASH_HEX])
{
    struct pare_hash h;
    pare_hash_begin(&h);
    pare_hash_text(&h, v->model);
    for (size_t i = 0; i < v->n_steps; i++) {
        const struct pare_store_step *s = &v->steps[i];
        if (i == left_out)
            continue;
        pare_hash_text(&h, s->stage);
        pare_hash_text(&h, s->plugin);
        pare_hash_text(&h, s->params);
        pare_hash_text(&h, s->units ? s->units : "");
    }
    pare_hash_end(&h, hex);
}

static int insert_steps(struct pare_store *store, const struct pare_store_variant *v, int64_t id,
                        struct pare_error *err)
{
    char chain[PARE_HASH_HEX];
    int rc = PARE_OK;
    for (size_t i = 0; i < v->n_steps; i++) {
        const struct pare_store_step *s = &v->steps[i];
        chain_of(v, i, chain);
        PARE_TRY(pare__store_run(store, err, "INSERT INTO step VALUES(?, ?, ?, ?, ?, ?, ?)",
                                 "iztittt", id, i, s->stage, s->plugin_id, s->params, s->units,
                                 chain));
        PARE_TRY(pare__store_run(store, err,
                                 "INSERT INTO param SELECT ?, ?, key, value FROM json_each(?)",
                                 "izt", id, i, s->params));
    }
out:
    return rc;
}

int pare_store_variant(struct pare_store *store, const struct pare_store_variant *v, int64_t *id,
                       struct pare_error *err)
{
    char now[32], chain[PARE_HASH_HEX];
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_get(store, id, err, "SELECT variant_id FROM variant WHERE hash = ?", "t",
                             v->hash));
    if (*id != PARE_NONE)
        goto out;
    pare_clock_utc(now);
    chain_of(v, v->n_steps, chain);
    PARE_TRY(pare__store_run(
        store, err,
        "INSERT INTO variant(hash, recipe, model, label, parent_id, chain, created_at) VALUES"
        "(?, ?, ?, ?, (SELECT variant_id FROM variant WHERE hash = ?), ?, ?)",
        "ttttttt", v->hash, v->recipe, v->model, v->label, v->parent, chain, now));
    *id = sqlite3_last_insert_rowid(store->db);
    PARE_TRY(insert_steps(store, v, *id, err));
out:
    return pare_store_end(store, rc, err);
}

int pare_store_member(struct pare_store *store, int64_t pipeline_id, int64_t variant_id,
                      const char *label, size_t position, bool is_baseline, const char *skipped,
                      struct pare_error *err)
{
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare__store_run(
        store, err,
        "INSERT INTO member VALUES(?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET "
        "label = excluded.label, position = excluded.position, is_baseline = excluded.is_baseline, "
        "is_current = 1, skipped = excluded.skipped",
        "iitzbt", pipeline_id, variant_id, label, position, (int)is_baseline, skipped);
    return pare_store_end(store, rc, err);
}

int pare_store_artifact(struct pare_store *store, int64_t variant_id, const char *sha256,
                        const char *path, int64_t bytes, const char *format, struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare__store_run(store, err,
                             "INSERT INTO artifact VALUES(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                             "path = excluded.path",
                             "tittt", sha256, bytes, format, path, now));
    PARE_TRY(pare__store_run(store, err, "INSERT OR IGNORE INTO variant_artifact VALUES(?, ?)",
                             "it", variant_id, sha256));
out:
    return pare_store_end(store, rc, err);
}

/* A tag is typed where variants are named, and labels come first there. */
static int check_tag(struct pare_store *store, const char *tag, struct pare_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._+-";
    int64_t taken;
    int rc;
    if (!*tag || *tag == '-' || tag[strspn(tag, allowed)] || strlen(tag) > 64) {
        pare_error_set(err, PARE_INVALID, "'%s' cannot be a tag", tag);
        pare_error_hint(err,
                        "a tag is at most 64 letters, digits and . _ + -, and begins with no -");
        return PARE_INVALID;
    }
    PARE_TRY(pare__store_get(store, &taken, err,
                             "SELECT 1 FROM member WHERE label = ? AND is_current", "t", tag));
    if (taken == 1) {
        rc = pare_error_set(err, PARE_INVALID, "'%s' is the label of a variant", tag);
        pare_error_detail(err, "a tag of the same name could never be used");
    }
out:
    return rc;
}

int pare_store_tag(struct pare_store *store, int64_t variant_id, const char *tag,
                   struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    pare__store_aside(store);
    rc = check_tag(store, tag, err);
    if (rc == PARE_OK)
        rc = pare__store_run(store, err, "INSERT OR REPLACE INTO tag VALUES(?, ?, ?)", "tit", tag,
                             variant_id, now);
    return pare_store_end(store, rc, err);
}

int pare_store_untag(struct pare_store *store, const char *tag, struct pare_error *err)
{
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    pare__store_aside(store);
    rc = pare__store_run(store, err, "DELETE FROM tag WHERE tag = ?", "t", tag);
    if (rc == PARE_OK && sqlite3_changes(store->db) == 0)
        rc = pare_error_set(err, PARE_NOT_FOUND, "no variant is tagged '%s'", tag);
    return pare_store_end(store, rc, err);
}

int pare_store_note(struct pare_store *store, int64_t variant_id, const char *body,
                    struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    pare__store_aside(store);
    rc = pare__store_run(store, err, "INSERT INTO note(variant_id, body, at) VALUES(?, ?, ?)",
                         "ktt", variant_id, body, now);
    return pare_store_end(store, rc, err);
}

int pare_store_front(struct pare_store *store, const struct pare_store_front *front, int64_t *id,
                     struct pare_error *err)
{
    char now[32];
    pare_clock_utc(now);
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    pare__store_aside(store);
    PARE_TRY(pare__store_get(
        store, id, err,
        "SELECT front_id FROM front_result WHERE rule = ? AND seed = ? AND data_hash = ? AND "
        "front_id = (SELECT max(front_id) FROM front_result WHERE pipeline_id = ? AND "
        "host_id IS ? AND shape IS ?)",
        "titikt", front->rule, (int64_t)front->seed, front->data_hash, front->pipeline_id,
        front->host_id, front->shape));
    if (*id != PARE_NONE) {
        PARE_TRY(pare__store_run(
            store, err, "UPDATE front_result SET changes = ?, summary = ? WHERE front_id = ?",
            "iti", front->changes, front->summary, *id));
        goto out;
    }
    PARE_TRY(pare__store_run(store, err,
                             "INSERT INTO front_result(pipeline_id, host_id, shape, rule, seed, "
                             "data_hash, made_at, summary, changes) "
                             "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                             "ikttittti", front->pipeline_id, front->host_id, front->shape,
                             front->rule, (int64_t)front->seed, front->data_hash, now,
                             front->summary, front->changes));
    *id = sqlite3_last_insert_rowid(store->db);
    for (size_t i = 0; i < front->n; i++) {
        const struct pare_store_front_member *m = &front->members[i];
        PARE_TRY(pare__store_run(
            store, err, "INSERT INTO front_member VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "iitddidkkt", *id, m->variant_id, m->status, m->p_front, m->p_feasible, m->rank,
            m->knee, m->folded_id, m->rival_id, m->why));
    }
out:
    return pare_store_end(store, rc, err);
}
