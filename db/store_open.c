/* SPDX-License-Identifier: Apache-2.0 */
#include "db/store_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#define BUSY_MS 10000

int pare__store_fail(struct pare_store *store, struct pare_error *err, const char *what)
{
    static const struct {
        int code, status;
        const char *hint;
    } known[] = {
        {SQLITE_BUSY, PARE_BUSY, "another process is writing to it: try again when it is done"},
        {SQLITE_LOCKED, PARE_BUSY, "another process is writing to it: try again when it is done"},
        {SQLITE_FULL, PARE_IO, "the disk is full: make room, then run again; nothing done is lost"},
        {SQLITE_READONLY, PARE_IO, "the file or its folder cannot be written: check permissions"},
        {SQLITE_CANTOPEN, PARE_IO, "check that the folder is there and can be written"},
        {SQLITE_IOERR, PARE_IO, "the disk refused: see the system's log, and free space"},
        {SQLITE_CORRUPT, PARE_INVALID, "the file is damaged: `pare db check` tells where"},
        {SQLITE_NOTADB, PARE_INVALID, "it is not an SQLite file: was another file meant?"},
        {SQLITE_INTERRUPT, PARE_CANCELLED, ""},
        {SQLITE_NOMEM, PARE_NOMEM, ""},
        {SQLITE_AUTH, PARE_INVALID, "only reading is allowed here"},
        {SQLITE_CONSTRAINT, PARE_INVALID, ""},
        {SQLITE_MISMATCH, PARE_INVALID, ""},
        {SQLITE_ERROR, PARE_INVALID, ""},
    };
    int code = sqlite3_errcode(store->db) & 0xff, status = PARE_FAILED;
    const char *hint = "";
    for (size_t i = 0; i < PARE_COUNT(known); i++) {
        if (known[i].code == code) {
            status = known[i].status;
            hint = known[i].hint;
            break;
        }
    }
    pare_error_set(err, status, "%s: cannot %s", store->path, what);
    pare_error_detail(err, "%s", sqlite3_errmsg(store->db));
    pare_error_hint(err, "%s", hint);
    return status;
}

static void bind_all(sqlite3_stmt *stmt, const char *types, va_list args)
{
    for (int i = 1; *types; types++, i++) {
        switch (*types) {
        case 'i': {
            int64_t v = va_arg(args, int64_t);
            if (v != PARE_NONE)
                sqlite3_bind_int64(stmt, i, v);
            break;
        }
        case 'k': {
            int64_t v = va_arg(args, int64_t);
            if (v != 0)
                sqlite3_bind_int64(stmt, i, v);
            break;
        }
        case 'z':
            sqlite3_bind_int64(stmt, i, (int64_t)va_arg(args, size_t));
            break;
        case 'b':
            sqlite3_bind_int(stmt, i, va_arg(args, int));
            break;
        case 'd': {
            double v = va_arg(args, double);
            if (isfinite(v))
                sqlite3_bind_double(stmt, i, v);
            break;
        }
        case 't':
            sqlite3_bind_text(stmt, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
            break;
        }
    }
}

static int prepare(struct pare_store *store, sqlite3_stmt **out, struct pare_error *err,
                   const char *sql, const char *types, va_list args)
{
    *out = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, out, NULL) != SQLITE_OK)
        return pare__store_fail(store, err, "use the database");
    bind_all(*out, types, args);
    return PARE_OK;
}

int pare__store_prepare(struct pare_store *store, sqlite3_stmt **out, struct pare_error *err,
                        const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    int rc = prepare(store, out, err, sql, types, args);
    va_end(args);
    return rc;
}

int pare__store_step(struct pare_store *store, sqlite3_stmt *stmt, struct pare_error *err)
{
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return code == SQLITE_ROW;
    /* BEGIN and COMMIT count as reading, but only writing fills a disk. */
    bool reading = sqlite3_stmt_readonly(stmt) && (code & 0xff) != SQLITE_FULL;
    pare__store_fail(store, err, reading ? "read" : "write");
    return -1;
}

/* The status that pare__store_step() left behind. */
static int status_of(struct pare_store *store)
{
    return pare__store_fail(store, NULL, "");
}

int pare__store_put(struct pare_store *store, sqlite3_stmt *stmt, struct pare_error *err)
{
    if (pare__store_step(store, stmt, err) < 0)
        return status_of(store);
    sqlite3_reset(stmt);
    return PARE_OK;
}

int pare__store_run(struct pare_store *store, struct pare_error *err, const char *sql,
                    const char *types, ...)
{
    sqlite3_stmt *stmt;
    va_list args;
    va_start(args, types);
    int rc = prepare(store, &stmt, err, sql, types, args);
    va_end(args);
    if (rc == PARE_OK) {
        int got;
        do {
            got = pare__store_step(store, stmt, err);
        } while (got > 0);
        if (got < 0)
            rc = status_of(store);
    }
    sqlite3_finalize(stmt);
    return rc;
}

int pare__store_get(struct pare_store *store, int64_t *out, struct pare_error *err, const char *sql,
                    const char *types, ...)
{
    sqlite3_stmt *stmt;
    va_list args;
    va_start(args, types);
    int rc = prepare(store, &stmt, err, sql, types, args);
    va_end(args);
    *out = PARE_NONE;
    if (rc == PARE_OK) {
        int got = pare__store_step(store, stmt, err);
        if (got < 0)
            rc = status_of(store);
        else if (got && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
            *out = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return rc;
}

int pare_store_begin(struct pare_store *store, struct pare_error *err)
{
    if (store->read_only) {
        pare_error_set(err, PARE_UNSUPPORTED, "%s is open for reading only", store->path);
        pare_error_detail(err, "%s", store->notice);
        return PARE_UNSUPPORTED;
    }
    if (store->depth == 0) {
        int rc = pare__store_run(store, err, "BEGIN IMMEDIATE", "");
        if (rc != PARE_OK)
            return rc;
        store->doomed = store->aside = false;
        store->written = sqlite3_total_changes64(store->db);
    }
    store->depth++;
    return PARE_OK;
}

void pare__store_aside(struct pare_store *store)
{
    store->aside = true;
}

/* Every commit that may have changed a figure is counted: what was chosen before is out of date. */
static int count_change(struct pare_store *store, struct pare_error *err)
{
    if (store->aside || sqlite3_total_changes64(store->db) == store->written)
        return PARE_OK;
    return pare__store_run(store, err,
                           "INSERT INTO meta VALUES('changes', '1') ON CONFLICT DO UPDATE SET "
                           "value = CAST(value AS INTEGER) + 1",
                           "");
}

int pare_store_changes(struct pare_store *store, int64_t *out, struct pare_error *err)
{
    int rc = pare__store_get(store, out, err,
                             "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'changes'", "");
    if (rc == PARE_OK && *out == PARE_NONE)
        *out = 0;
    return rc;
}

int pare_store_end(struct pare_store *store, int rc, struct pare_error *err)
{
    if (rc != PARE_OK)
        store->doomed = true;
    if (--store->depth > 0)
        return rc;
    if (!store->doomed) {
        rc = count_change(store, err);
        if (rc == PARE_OK)
            rc = pare__store_run(store, err, "COMMIT", "");
        if (rc == PARE_OK)
            return rc;
    } else if (rc == PARE_OK) {
        rc = pare_error_set(err, PARE_FAILED, "%s: a write inside the commit had failed",
                            store->path);
    }
    if (!sqlite3_get_autocommit(store->db)) /* a full disk may have rolled back already */
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static int exec(struct pare_store *store, const char *sql, struct pare_error *err)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return pare__store_fail(store, err, "set up the database");
    return PARE_OK;
}

int pare__store_migrate(struct pare_store *store, const struct pare_migration *steps, size_t n,
                        struct pare_error *err)
{
    char sql[128];
    int64_t version;
    int rc;

    PARE_TRY(pare__store_get(store, &version, err, "PRAGMA user_version", ""));
    if (version > 0 && version < steps[n - 1].version) {
        struct pare_str copy = {0};
        pare_str_printf(&copy, "%s.bak-v%d", store->path, (int)version);
        if (copy.failed)
            rc = pare_error_nomem(err, 0);
        else if (!pare_file_exists(copy.data))
            rc = pare_store_backup(store, copy.data, err);
        pare_str_free(&copy);
        if (rc != PARE_OK)
            goto out;
    }
    for (size_t i = 0; i < n; i++) {
        /* Foreign keys are off while tables are rebuilt; the pragma is void inside a transaction.
         */
        PARE_TRY(exec(store, "PRAGMA foreign_keys = OFF", err));
        PARE_TRY(pare_store_begin(store, err));
        rc = pare__store_get(store, &version, err, "PRAGMA user_version", "");
        if (rc == PARE_OK && version < steps[i].version) {
            int64_t broken = PARE_NONE;
            rc = exec(store, steps[i].sql, err);
            if (rc == PARE_OK)
                rc = pare__store_get(store, &broken, err, "PRAGMA foreign_key_check", "");
            if (rc == PARE_OK && broken != PARE_NONE)
                rc = pare_error_set(err, PARE_FAILED,
                                    "%s: migration to version %d would break references",
                                    store->path, steps[i].version);
            snprintf(sql, sizeof sql, "PRAGMA user_version = %d; PRAGMA application_id = %d",
                     steps[i].version, PARE_STORE_APPLICATION);
            if (rc == PARE_OK)
                rc = exec(store, sql, err);
        }
        rc = pare_store_end(store, rc, err);
        if (rc != PARE_OK)
            goto out;
    }
out:
    sqlite3_exec(store->db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    return rc;
}

/* Views are made again whenever the program's differ from the file's. */
static int renew_views(struct pare_store *store, struct pare_error *err)
{
    char hash[PARE_HASH_HEX];
    int64_t same;
    sqlite3_stmt *stmt = NULL;
    struct pare_str drops = {0};
    int rc, got;

    pare_hash_bytes(pare_sql_views, strlen(pare_sql_views), hash);
    const char *ask = "SELECT 1 FROM meta WHERE key = 'views' AND value = ?";
    PARE_TRY(pare__store_get(store, &same, err, ask, "t", hash));
    if (same == 1)
        return PARE_OK;
    PARE_TRY(pare_store_begin(store, err));
    rc = pare__store_prepare(store, &stmt, err,
                             "SELECT name FROM sqlite_schema WHERE type = 'view'", "");
    while (rc == PARE_OK && (got = pare__store_step(store, stmt, err)) != 0) {
        if (got < 0)
            rc = status_of(store);
        else
            pare_str_printf(&drops, "DROP VIEW \"%s\";",
                            (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    if (rc == PARE_OK && drops.failed)
        rc = pare_error_nomem(err, 0);
    if (rc == PARE_OK && drops.len)
        rc = exec(store, drops.data, err);
    if (rc == PARE_OK)
        rc = exec(store, pare_sql_views, err);
    if (rc == PARE_OK)
        rc = pare__store_run(store, err, "INSERT OR REPLACE INTO meta VALUES('views', ?)", "t",
                             hash);
    rc = pare_store_end(store, rc, err);
out:
    pare_str_free(&drops);
    return rc;
}

static bool on_network(const char *path)
{
    static const uint32_t remote[] = {
        0x6969,     /* NFS */
        0x517b,     /* SMB */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB2 */
        0x65735546, /* FUSE */
        0x01021997, /* 9p */
        0x0bd00bd0, /* Lustre */
        0x47504653, /* GPFS */
        0x19830326, /* BeeGFS */
        0x00c36400, /* Ceph */
        0x5346414f, /* AFS */
        0x7461636f, /* OCFS2 */
        0x01161970, /* GFS2 */
        0x786f4256, /* VirtualBox shared folders */
    };
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return true; /* unknown: the mode that works everywhere */
    for (size_t i = 0; i < PARE_COUNT(remote); i++) {
        if ((uint32_t)fs.f_type == remote[i])
            return true;
    }
    return false;
}

bool pare_store_stale(struct pare_store *store)
{
    struct pare_process self;
    sqlite3_stmt *stmt = NULL;
    bool stale = false;
    pare__process_self(&self);
    int rc = pare__store_prepare(store, &stmt, NULL,
                                 "SELECT boot, pid, pid_start FROM attempt JOIN host "
                                 "USING(host_id) WHERE state = 'running' AND key = ?",
                                 "t", self.machine);
    while (rc == PARE_OK && !stale && pare__store_step(store, stmt, NULL) > 0)
        stale = strcmp((const char *)sqlite3_column_text(stmt, 0), self.boot) != 0 ||
                pare__process_start(sqlite3_column_int64(stmt, 1)) != sqlite3_column_int64(stmt, 2);
    sqlite3_finalize(stmt);
    return stale;
}

int pare__store_mark_lost(struct pare_store *store, bool everyone, struct pare_error *err)
{
    struct pare_process self;
    sqlite3_stmt *stmt = NULL;
    char now[32];
    int rc, got;

    pare__process_self(&self);
    pare_clock_utc(now);
    PARE_TRY(pare_store_begin(store, err));
    rc = pare__store_prepare(store, &stmt, err,
                             "SELECT attempt_id, boot, pid, pid_start FROM attempt JOIN host "
                             "USING(host_id) WHERE state = 'running' AND (? OR key = ?)",
                             "bt", (int)everyone, self.machine);
    while (rc == PARE_OK && (got = pare__store_step(store, stmt, err)) != 0) {
        if (got < 0) {
            rc = status_of(store);
            break;
        }
        int64_t pid = sqlite3_column_int64(stmt, 2), start = sqlite3_column_int64(stmt, 3);
        if (strcmp((const char *)sqlite3_column_text(stmt, 1), self.boot) == 0 &&
            pare__process_start(pid) == start && (pid == self.pid || !everyone))
            continue;
        rc = pare__store_run(store, err,
                             "UPDATE attempt SET state = 'lost', finished_at = ?, reason = "
                             "'the process ended before it could tell' WHERE attempt_id = ?",
                             "ti", now, (int64_t)sqlite3_column_int64(stmt, 0));
    }
    sqlite3_finalize(stmt);
    rc = pare_store_end(store, rc, err);
out:
    return rc;
}

/* Whose file is it, and of which version? An empty one is new. */
static int identify(struct pare_store *store, bool *fresh, int64_t *version, struct pare_error *err)
{
    int64_t application, tables;
    int rc;
    PARE_TRY(pare__store_get(store, &application, err, "PRAGMA application_id", ""));
    PARE_TRY(pare__store_get(store, version, err, "PRAGMA user_version", ""));
    PARE_TRY(pare__store_get(store, &tables, err, "SELECT count(*) FROM sqlite_schema", ""));
    *fresh = application == 0 && *version == 0 && tables == 0;
    if (!*fresh && application != PARE_STORE_APPLICATION) {
        rc = pare_error_set(err, PARE_INVALID, "%s is not a Pare database", store->path);
        pare_error_detail(err, "an SQLite file of another program: application id 0x%08x",
                          (unsigned)application);
        pare_error_hint(err, "name another file with --db, or in PARE_DB");
    }
out:
    return rc;
}

static int open_file(struct pare_store *store, int flags, struct pare_error *err)
{
    struct pare_str uri = {0};
    int64_t dummy;
    if (sqlite3_open_v2(store->path, &store->db, flags, NULL) != SQLITE_OK)
        return store->db ? pare__store_fail(store, err, "open it") : pare_error_nomem(err, 0);
    sqlite3_busy_timeout(store->db, BUSY_MS);
    sqlite3_extended_result_codes(store->db, 1);
    int rc = pare__store_get(store, &dummy, err, "SELECT count(*) FROM sqlite_schema", "");
    int code = sqlite3_errcode(store->db) & 0xff;
    if (rc == PARE_OK || !(flags & SQLITE_OPEN_READONLY) ||
        (code != SQLITE_CANTOPEN && code != SQLITE_READONLY))
        return rc;
    /* WAL needs files beside it; where none can be made nobody else writes either. */
    pare_str_append(&uri, "file:");
    for (const char *p = store->path; *p; p++)
        pare_str_printf(&uri, strchr("%?#", *p) ? "%%%02x" : "%c", (unsigned char)*p);
    pare_str_append(&uri, "?immutable=1");
    if (uri.failed)
        return pare_error_nomem(err, 0);
    sqlite3_close(store->db);
    store->db = NULL;
    code = sqlite3_open_v2(uri.data, &store->db, flags | SQLITE_OPEN_URI, NULL);
    pare_str_free(&uri);
    if (code != SQLITE_OK)
        return store->db ? pare__store_fail(store, err, "open it") : pare_error_nomem(err, 0);
    return pare__store_get(store, &dummy, err, "SELECT count(*) FROM sqlite_schema", "");
}

#define METRICS_SINCE 5

static const struct pare_migration migrations[] = {
    {1, pare_sql_schema},
    /* What a front says in short, and as of which change of the database. */
    {2, "ALTER TABLE front_result ADD COLUMN summary TEXT NOT NULL DEFAULT '{}' "
        "CHECK(json_valid(summary));"
        "ALTER TABLE front_result ADD COLUMN changes INTEGER;"},
    /* Texts: paired comparison of negative log likelihoods, window by window. */
    {3, "CREATE TABLE loss_pair("
        "    variant_id INTEGER NOT NULL REFERENCES variant,"
        "    rival_id INTEGER NOT NULL REFERENCES variant,"
        "    data_id INTEGER NOT NULL REFERENCES data,"
        "    n INTEGER NOT NULL, d REAL, lo REAL, hi REAL,"
        "    PRIMARY KEY(variant_id, rival_id, data_id)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE INDEX loss_pair_rival ON loss_pair(rival_id, data_id);"},
    /* Pairs of texts with a score, and the losses of single tokens. */
    {4, "CREATE TABLE score("
        "    data_id INTEGER NOT NULL REFERENCES data ON DELETE CASCADE,"
        "    sample INTEGER NOT NULL,"
        "    score REAL NOT NULL,"
        "    PRIMARY KEY(data_id, sample)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE TABLE outcome_similarity("
        "    outcome_id INTEGER NOT NULL REFERENCES outcome ON DELETE CASCADE,"
        "    sample INTEGER NOT NULL,"
        "    similarity REAL NOT NULL,"
        "    part REAL," /* what the pair adds to Spearman's rho, which is their mean */
        "    PRIMARY KEY(outcome_id, sample)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE TABLE similarity_pair("
        "    variant_id INTEGER NOT NULL REFERENCES variant,"
        "    rival_id INTEGER NOT NULL REFERENCES variant,"
        "    data_id INTEGER NOT NULL REFERENCES data,"
        "    n INTEGER NOT NULL, d REAL, lo REAL, hi REAL,"
        "    PRIMARY KEY(variant_id, rival_id, data_id)"
        ") STRICT, WITHOUT ROWID;"
        "CREATE INDEX similarity_pair_rival ON similarity_pair(rival_id, data_id);"
        "CREATE TABLE token_loss("
        "    outcome_id INTEGER PRIMARY KEY REFERENCES outcome ON DELETE CASCADE,"
        "    ends BLOB NOT NULL," /* uint32, little endian: tokens up to and with each window */
        "    nll BLOB NOT NULL CHECK(length(nll) % 4 = 0)" /* float32, little endian, nats */
        ") STRICT;"},
    /* Metrics that plugins bring: whose figures are the same is told by file and settings. */
    {METRICS_SINCE, "CREATE TABLE metric("
                    "    pipeline_id INTEGER NOT NULL REFERENCES pipeline ON DELETE CASCADE,"
                    "    position INTEGER NOT NULL,"
                    "    name TEXT NOT NULL," /* the plugin's id */
                    "    unit TEXT NOT NULL,"
                    "    direction TEXT NOT NULL CHECK(direction IN ('min', 'max')),"
                    "    plugin_id INTEGER NOT NULL REFERENCES plugin,"
                    "    settings TEXT NOT NULL CHECK(json_valid(settings)),"
                    "    key TEXT NOT NULL," /* hash of the plugin's file and the settings */
                    "    PRIMARY KEY(pipeline_id, position),"
                    "    UNIQUE(pipeline_id, name)"
                    ") STRICT, WITHOUT ROWID;"
                    "ALTER TABLE measurement ADD COLUMN metric_key TEXT;" /* of such a metric */
                    "DROP INDEX measurement_key;"
                    "CREATE UNIQUE INDEX measurement_key ON measurement(variant_id, metric, "
                    "coalesce(data_id, 0), coalesce(metric_key, ''));"},
};

static int make_writable(struct pare_store *store, struct pare_error *err)
{
    int rc;
    bool network = on_network(store->path);
    const char *mode = network ? "PRAGMA journal_mode = DELETE" : "PRAGMA journal_mode = WAL";
    rc = exec(store, mode, err);
    if (rc != PARE_OK && rc != PARE_BUSY) /* a reader in the way: the mode it has does as well */
        goto out;
    /* With WAL a commit may be lost when the power goes, but never the file. */
    PARE_TRY(
        exec(store, network ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err));
    PARE_TRY(pare__store_migrate(store, migrations, PARE_COUNT(migrations), err));
    PARE_TRY(renew_views(store, err));
    PARE_TRY(pare__store_mark_lost(store, false, err));
out:
    return rc;
}

int pare_store_open(const char *path, enum pare_store_mode mode, struct pare_store **out,
                    struct pare_error *err)
{
    int rc;
    bool fresh, writing = mode == PARE_STORE_WRITE;
    int64_t version, newest = migrations[PARE_COUNT(migrations) - 1].version;
    struct stat st;

    struct pare_store *store = pare_calloc(1, sizeof *store);
    if (!store)
        return pare_error_nomem(err, sizeof *store);
    store->lock = -1;
    store->path = pare_strdup(path);
    if (!store->path) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    bool there = stat(path, &st) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR) {
        rc = pare_error_errno(err, "cannot open %s", path);
        goto out;
    }
    if (there && !S_ISREG(st.st_mode)) {
        rc = pare_error_set(err, PARE_INVALID, "%s is not a regular file", path);
        goto out;
    }
    if (!there && !writing) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "there is no database %s", path);
        pare_error_hint(err, "`pare run` makes it; --db or PARE_DB names another");
        goto out;
    }
    PARE_TRY(open_file(
        store, writing ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY, err));
    PARE_TRY(identify(store, &fresh, &version, err));
    if (!writing && fresh) {
        rc = pare_error_set(err, PARE_INVALID, "%s is empty, not a Pare database", path);
        goto out;
    }
    if (version > newest) {
        snprintf(store->notice, sizeof store->notice,
                 "%s was made by a newer Pare (format %d, this one knows %d): reading only", path,
                 (int)version, (int)newest);
        writing = false;
    } else if (!writing && version < newest) {
        snprintf(store->notice, sizeof store->notice,
                 "%s has the older format %d: the next `pare run` brings it to %d", path,
                 (int)version, (int)newest);
    }
    store->read_only = !writing;
    store->has_metrics = writing || version >= METRICS_SINCE;
    PARE_TRY(exec(store, "PRAGMA foreign_keys = ON", err));
    if (writing && sqlite3_db_readonly(store->db, "main") == 1) {
        rc = pare_error_set(err, PARE_IO, "%s cannot be written", path);
        pare_error_detail(err, "the file or its folder is read-only");
        pare_error_hint(err, "check permissions, or copy it and name the copy with --db");
        goto out;
    }
    PARE_TRY(writing ? make_writable(store, err) : exec(store, "PRAGMA query_only = ON", err));
    *out = store;
    store = NULL;
out:
    pare_store_close(store);
    return rc;
}

bool pare_store_has_metrics(const struct pare_store *store)
{
    return store->has_metrics;
}

void pare_store_close(struct pare_store *store)
{
    if (!store)
        return;
    if (store->db && !store->read_only) {
        /* Leave one plain file: readers then create nothing beside it. Others may still be reading.
         */
        sqlite3_busy_timeout(store->db, 0);
        sqlite3_exec(store->db, "PRAGMA optimize; PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    sqlite3_close_v2(store->db);
    pare_store_unlock(store);
    free(store->path);
    free(store);
}
