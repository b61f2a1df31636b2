/* SPDX-License-Identifier: Apache-2.0 */
/* The files around the database: which one, its lock, the processes that hold it, its health. */
#include "db/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

const char *pare_store_path(const struct pare_store *store)
{
    return store->path;
}

bool pare_store_read_only(const struct pare_store *store)
{
    return store->read_only;
}

const char *pare_store_notice(const struct pare_store *store)
{
    return store->notice;
}

int pare_store_find(const char *given, char **out, struct pare_error *err)
{
    const char *named = given ? given : getenv("PARE_DB");
    char folder[PATH_MAX];
    *out = NULL;
    if (named && *named) {
        *out = pare_strdup(named);
        return *out ? PARE_OK : pare_error_nomem(err, 0);
    }
    if (getcwd(folder, sizeof folder)) {
        for (;;) {
            char *path = pare_path_join(folder[0] ? folder : "/", "pare.db");
            if (!path)
                return pare_error_nomem(err, 0);
            if (pare_file_exists(path)) {
                *out = path;
                return PARE_OK;
            }
            free(path);
            char *slash = strrchr(folder, '/');
            if (!slash)
                break;
            *slash = '\0';
        }
    }
    *out = pare_strdup("pare.db");
    return *out ? PARE_OK : pare_error_nomem(err, 0);
}

static void read_line(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");
    out[0] = '\0';
    if (!f)
        return;
    if (!fgets(out, (int)size, f))
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    fclose(f);
}

int64_t pare__process_start(int64_t pid)
{
    char path[64], line[1024];
    long long start = -1;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    read_line(path, line, sizeof line);
    /* The name, field 2, is in parentheses and may hold anything; the start is field 22. */
    char *p = strrchr(line, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (!p || sscanf(p, " %lld", &start) != 1)
        return -1;
    return start;
}

void pare__process_self(struct pare_process *out)
{
    char id[128];
    struct pare_hash h;
    if (gethostname(out->name, sizeof out->name) != 0)
        strcpy(out->name, "localhost");
    out->name[sizeof out->name - 1] = '\0';
    read_line("/etc/machine-id", id, sizeof id);
    pare_hash_begin(&h);
    pare_hash_text(&h, id);
    pare_hash_text(&h, out->name);
    pare_hash_end(&h, out->machine);
    read_line("/proc/sys/kernel/random/boot_id", out->boot, sizeof out->boot);
    out->pid = (int64_t)getpid();
    out->start = pare__process_start(out->pid);
}

int pare_store_lock(struct pare_store *store, struct pare_error *err)
{
    struct pare_str path = {0};
    struct pare_process self;
    char text[512], now[32];
    int rc = PARE_OK;

    if (store->lock >= 0)
        return PARE_OK;
    pare_str_printf(&path, "%s.lock", store->path);
    if (path.failed)
        return pare_error_nomem(err, 0);
    int fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        rc = pare_error_errno(err, "cannot open %s", path.data);
        goto out;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            rc = pare_error_errno(err, "cannot lock %s", path.data);
            goto out;
        }
        ssize_t got = pread(fd, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        rc = pare_error_set(err, PARE_BUSY, "%s is in use by another run", store->path);
        pare_error_detail(err, "%s", text[0] ? text : "its holder has not told who it is");
        pare_error_hint(err, "wait for it, stop it, or use another database with --db");
        goto out;
    }
    pare__process_self(&self);
    pare_clock_utc(now);
    int len = snprintf(text, sizeof text, "pid %lld on %s since %s\n", (long long)self.pid,
                       self.name, now);
    /* The text only helps a second run to name us; the lock is the kernel's. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        rc = pare_error_errno(err, "cannot write %s", path.data);
        goto out;
    }
    store->lock = fd;
    fd = -1;
    if (!store->read_only)
        rc = pare__store_mark_lost(store, true, err);
    if (rc != PARE_OK)
        pare_store_unlock(store);
out:
    if (fd >= 0)
        close(fd);
    pare_str_free(&path);
    return rc;
}

void pare_store_unlock(struct pare_store *store)
{
    if (store->lock < 0)
        return;
    /* The file stays: removing it would let two runs lock two files of the same name. */
    if (ftruncate(store->lock, 0) != 0) {
        /* An old holder's name in a free lock file is never read. */
    }
    close(store->lock);
    store->lock = -1;
}

int pare_store_backup(struct pare_store *store, const char *path, struct pare_error *err)
{
    if (pare_file_exists(path))
        return pare_error_set(err, PARE_INVALID, "%s is there already", path);
    /* A store that only reads refuses even a copy to elsewhere. */
    if (store->read_only)
        sqlite3_exec(store->db, "PRAGMA query_only = OFF", NULL, NULL, NULL);
    int rc = pare__store_run(store, err, "VACUUM INTO ?", "t", path);
    if (store->read_only)
        sqlite3_exec(store->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
    if (rc != PARE_OK)
        unlink(path);
    return rc;
}

struct checker {
    struct pare_store *store;
    void (*report)(void *user, const char *problem);
    void *user;
    size_t n;
};

static void problem(struct checker *c, const char *fmt, ...) PARE_PRINTF(2, 3);
static void problem(struct checker *c, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    c->n++;
    c->report(c->user, text);
}

static const char *column(sqlite3_stmt *stmt, int i)
{
    const unsigned char *text = sqlite3_column_text(stmt, i);
    return text ? (const char *)text : "";
}

static void check_sqlite(struct checker *c, sqlite3_stmt *stmt)
{
    if (strcmp(column(stmt, 0), "ok") != 0)
        problem(c, "%s", column(stmt, 0));
}

static void check_key(struct checker *c, sqlite3_stmt *stmt)
{
    problem(c, "table %s, row %s: what it refers to in %s is missing", column(stmt, 0),
            column(stmt, 1), column(stmt, 2));
}

static void check_version(struct checker *c, sqlite3_stmt *stmt)
{
    if (sqlite3_column_int64(stmt, 0) != PARE_STORE_APPLICATION)
        problem(c, "the application id is not Pare's");
}

static void check_artifact(struct checker *c, sqlite3_stmt *stmt)
{
    struct stat st;
    char *folder = pare_path_folder(c->store->path);
    char *path = folder ? pare_path_join(folder, column(stmt, 1)) : NULL;
    if (path && stat(path, &st) != 0)
        problem(c, "artifact %.12s: %s is missing", column(stmt, 0), path);
    else if (path && st.st_size != sqlite3_column_int64(stmt, 2))
        problem(c, "artifact %.12s: %s has %lld bytes, %lld were stored", column(stmt, 0), path,
                (long long)st.st_size, (long long)sqlite3_column_int64(stmt, 2));
    free(path);
    free(folder);
}

int pare_store_check(struct pare_store *store, void (*report)(void *user, const char *problem),
                     void *user, size_t *n, struct pare_error *err)
{
    static const struct {
        const char *sql;
        void (*row)(struct checker *c, sqlite3_stmt *stmt);
    } checks[] = {
        {"PRAGMA integrity_check", check_sqlite},
        {"PRAGMA foreign_key_check", check_key},
        {"PRAGMA application_id", check_version},
        {"SELECT sha256, path, bytes FROM artifact", check_artifact},
    };
    struct checker c = {store, report, user, 0};
    int rc = PARE_OK;
    for (size_t i = 0; i < PARE_COUNT(checks) && rc == PARE_OK; i++) {
        sqlite3_stmt *stmt;
        int got = 0;
        rc = pare__store_prepare(store, &stmt, err, checks[i].sql, "");
        while (rc == PARE_OK && (got = pare__store_step(store, stmt, err)) > 0)
            checks[i].row(&c, stmt);
        if (got < 0) /* a badly damaged file stops the check itself: that is a finding */
            problem(&c, "the check stopped: %s", sqlite3_errmsg(store->db));
        sqlite3_finalize(stmt);
    }
    *n = c.n;
    return rc;
}
