/* SPDX-License-Identifier: Apache-2.0 */
/* Reading for people: any SELECT, the named queries, and names of variants. */
#include "db/store_private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

const struct pare_store_named *pare_store_named(size_t *n)
{
    *n = pare_sql_n_queries;
    return pare_sql_queries;
}

void pare_store_interrupt(struct pare_store *store)
{
    sqlite3_interrupt(store->db);
}

static int only_reading(void *user, int action, const char *a, const char *b, const char *c,
                        const char *d)
{
    (void)user, (void)c, (void)d;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_UPDATE: /* how SQLite declares json_each and the like; the table itself is guarded
                         */
        return a && strcmp(a, "sqlite_master") == 0 ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_PRAGMA: /* what the pragma_ functions that describe the schema ask for */
        return a && (strncmp(a, "table_", 6) == 0 || strncmp(a, "index_", 6) == 0) ? SQLITE_OK
                                                                                   : SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

static int bind_arguments(struct pare_store *store, sqlite3_stmt *stmt,
                          const struct pare_argument *args, size_t n, struct pare_error *err)
{
    for (size_t i = 0; i < n; i++) {
        char name[128];
        snprintf(name, sizeof name, ":%s", args[i].name);
        int at = sqlite3_bind_parameter_index(stmt, name);
        if (at == 0) {
            struct pare_str all = {0};
            for (int k = 1; k <= sqlite3_bind_parameter_count(stmt); k++) {
                const char *known = sqlite3_bind_parameter_name(stmt, k);
                pare_str_printf(&all, "%s%s", all.len ? ", " : "", known ? known : "?");
            }
            pare_error_set(err, PARE_INVALID, "the query has no parameter :%s", args[i].name);
            pare_error_detail(err, "it has %s", all.len ? all.data : "none");
            pare_str_free(&all);
            return PARE_INVALID;
        }
        if (sqlite3_bind_text(stmt, at, args[i].text, -1, SQLITE_TRANSIENT) != SQLITE_OK)
            return pare__store_fail(store, err, "use the query's arguments");
    }
    return PARE_OK;
}

static void read_value(sqlite3_stmt *stmt, int i, struct pare_cell *out)
{
    *out = (struct pare_cell){0};
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
        out->type = PARE_VALUE_INTEGER;
        out->integer = sqlite3_column_int64(stmt, i);
        out->real = (double)out->integer;
        break;
    case SQLITE_FLOAT:
        out->type = PARE_VALUE_REAL;
        out->real = sqlite3_column_double(stmt, i);
        break;
    case SQLITE_TEXT:
        out->type = PARE_VALUE_TEXT;
        out->text = (const char *)sqlite3_column_text(stmt, i);
        out->size = (size_t)sqlite3_column_bytes(stmt, i);
        break;
    case SQLITE_BLOB:
        out->type = PARE_VALUE_BLOB;
        out->text = sqlite3_column_blob(stmt, i);
        out->size = (size_t)sqlite3_column_bytes(stmt, i);
        break;
    }
}

/* Whether the SQL itself says what the parameter is when it is missing. */
static bool may_be_missing(const char *sql, const char *name)
{
    char test[160];
    snprintf(test, sizeof test, "%s IS NULL", name);
    return strcasestr(sql, test) != NULL;
}

/* A parameter that was forgotten would compare as NULL, and give an empty answer. */
static int require_arguments(sqlite3_stmt *stmt, const char *sql, const struct pare_argument *args,
                             size_t n, struct pare_error *err)
{
    for (int k = 1; k <= sqlite3_bind_parameter_count(stmt); k++) {
        const char *name = sqlite3_bind_parameter_name(stmt, k);
        bool given = !name || name[0] != ':' || may_be_missing(sql, name);
        for (size_t i = 0; !given && i < n; i++)
            given = strcmp(args[i].name, name + 1) == 0;
        if (!given) {
            pare_error_set(err, PARE_INVALID, "%s is missing", name);
            pare_error_hint(err, "give it as %s=VALUE", name + 1);
            return PARE_INVALID;
        }
    }
    return PARE_OK;
}

/* Only space, comments and semicolons are left. */
static bool nothing_left(const char *p)
{
    while (*p) {
        if (isspace((unsigned char)*p) || *p == ';') {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else {
            return false;
        }
    }
    return true;
}

int pare_store_query(struct pare_store *store, const char *sql, const struct pare_argument *args,
                     size_t n_args,
                     int (*row)(void *user, const struct pare_row *row, struct pare_error *err),
                     void *user, struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    const char **names = NULL, *rest;
    struct pare_cell *values = NULL;
    struct pare_row r = {0};
    int rc = PARE_OK, got;

    sqlite3_set_authorizer(store->db, only_reading, NULL);
    if (sqlite3_prepare_v2(store->db, sql, -1, &stmt, &rest) != SQLITE_OK) {
        bool denied = (sqlite3_errcode(store->db) & 0xff) == SQLITE_AUTH;
        pare_error_set(err, PARE_INVALID,
                       denied ? "a query can only read" : "the SQL is not understood");
        pare_error_detail(err, "%s", sqlite3_errmsg(store->db));
        pare_error_hint(err, "the views and their columns: db/README.md, or "
                             "`select name from pragma_table_list where type='view'`");
        rc = PARE_INVALID;
        goto out;
    }
    if (!stmt || !nothing_left(rest)) {
        rc = pare_error_set(err, PARE_INVALID, "one SQL statement is expected, %s",
                            stmt ? "not several" : "there is none");
        goto out;
    }
    if (!sqlite3_stmt_readonly(stmt)) {
        rc = pare_error_set(err, PARE_INVALID, "a query can only read");
        goto out;
    }
    PARE_TRY(bind_arguments(store, stmt, args, n_args, err));
    PARE_TRY(require_arguments(stmt, sql, args, n_args, err));
    int n = sqlite3_column_count(stmt);
    names = pare_alloc((size_t)n, sizeof *names);
    values = pare_alloc((size_t)n, sizeof *values);
    if (!names || !values) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (int i = 0; i < n; i++)
        names[i] = sqlite3_column_name(stmt, i);
    r = (struct pare_row){.n = (size_t)n, .names = names};
    PARE_TRY(row(user, &r, err));
    r.values = values;
    while ((got = pare__store_step(store, stmt, err)) > 0) {
        for (int i = 0; i < n; i++)
            read_value(stmt, i, &values[i]);
        PARE_TRY(row(user, &r, err));
    }
    if (got < 0)
        rc = pare__store_fail(store, NULL, "");
out:
    sqlite3_set_authorizer(store->db, NULL, NULL);
    sqlite3_finalize(stmt);
    free(names);
    free(values);
    return rc;
}

/* Take the first row of (variant_id, pipeline_id, hash, label), and count the variants found. */
static int find_variant(struct pare_store *store, struct pare_store_ref *out, size_t *n,
                        struct pare_error *err, const char *sql, const char *a, const char *b)
{
    sqlite3_stmt *stmt;
    int got = 0, rc = pare__store_prepare(store, &stmt, err, sql, "tt", a, b);
    *n = 0;
    while (rc == PARE_OK && (got = pare__store_step(store, stmt, err)) > 0) {
        int64_t id = sqlite3_column_int64(stmt, 0);
        if (*n && out->variant_id == id)
            continue;
        if ((*n)++ == 0) {
            out->variant_id = id;
            out->pipeline_id = sqlite3_column_int64(stmt, 1);
            snprintf(out->hash, sizeof out->hash, "%s", (const char *)sqlite3_column_text(stmt, 2));
            snprintf(out->label, sizeof out->label, "%s",
                     (const char *)sqlite3_column_text(stmt, 3));
        }
    }
    if (got < 0)
        rc = pare__store_fail(store, NULL, "");
    sqlite3_finalize(stmt);
    return rc;
}

enum { HASH_LEAST = 4 }; /* digits of a hash that name a variant */

static int not_found(struct pare_store *store, const char *text, struct pare_error *err)
{
    struct pare_pool pool = {0};
    const char **labels = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *stmt;
    pare_error_set(err, PARE_NOT_FOUND, "there is no variant '%s'", text);
    int rc = pare__store_prepare(
        store, &stmt, NULL, "SELECT label FROM member WHERE is_current UNION SELECT tag FROM tag",
        "");
    while (rc == PARE_OK && pare__store_step(store, stmt, NULL) > 0) {
        char *label = pare_pool_strdup(&pool, (const char *)sqlite3_column_text(stmt, 0));
        if (!label || !pare_grow(&labels, &cap, n + 1, sizeof *labels))
            break;
        labels[n++] = label;
    }
    sqlite3_finalize(stmt);
    size_t len = strlen(text);
    bool hash = len && len < HASH_LEAST && strspn(text, "0123456789abcdef") == len;
    const char *near = n && !hash ? pare_nearest(text, labels, n) : NULL;
    if (hash)
        pare_error_hint(err, "the beginning of a hash takes %d digits at least", HASH_LEAST);
    else if (near)
        pare_error_hint(err, "did you mean '%s'? `pare list` shows all", near);
    else
        pare_error_hint(err, "`pare list` shows all");
    free(labels);
    pare_pool_free(&pool);
    return PARE_NOT_FOUND;
}

int pare_store_resolve(struct pare_store *store, const char *text, const char *pipeline,
                       struct pare_store_ref *out, struct pare_error *err)
{
#define FROM                                                                                       \
    "SELECT v.variant_id, coalesce(m.pipeline_id, 0), v.hash, coalesce(m.label, v.label) "         \
    "FROM variant v LEFT JOIN member m ON m.variant_id = v.variant_id "                            \
    "LEFT JOIN pipeline p ON p.pipeline_id = m.pipeline_id "
#define ORDER " ORDER BY p.name IS ?2 DESC, m.is_current DESC, p.planned_at DESC"
    size_t n = 0, len = strlen(text);
    const char *colon;
    char *before = NULL;
    int rc;

    *out = (struct pare_store_ref){0};
    PARE_TRY(find_variant(store, out, &n, err, FROM "WHERE m.label = ?1 AND m.is_current" ORDER,
                          text, pipeline));
    /* A label may hold a colon itself (2:4): every colon could be the one. */
    for (colon = strchr(text, ':'); colon && n == 0; colon = strchr(colon + 1, ':')) {
        struct pare_str s = {0};
        pare_str_append_n(&s, text, (size_t)(colon - text));
        free(before);
        before = pare_str_take(&s);
        if (!before) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
        PARE_TRY(find_variant(store, out, &n, err,
                              FROM "WHERE m.label = ?1 AND m.is_current AND p.name = ?2", colon + 1,
                              before));
    }
    if (n == 0)
        PARE_TRY(find_variant(store, out, &n, err,
                              FROM
                              "JOIN tag t ON t.variant_id = v.variant_id WHERE t.tag = ?1" ORDER,
                              text, pipeline));
    if (n == 0 && len >= HASH_LEAST && len <= 64 && strspn(text, "0123456789abcdef") == len) {
        PARE_TRY(find_variant(store, out, &n, err,
                              FROM "WHERE v.hash >= ?1 AND v.hash < ?1 || 'g'" ORDER, text,
                              pipeline));
        if (n > 1) {
            rc = pare_error_set(err, PARE_INVALID, "'%s' begins the hash of %zu variants", text, n);
            pare_error_hint(err, "give more digits");
            goto out;
        }
    }
    if (n == 0)
        rc = not_found(store, text, err);
out:
    free(before);
    return rc;
#undef FROM
#undef ORDER
}
