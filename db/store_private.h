/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_DB_STORE_PRIVATE_H
#define PARE_DB_STORE_PRIVATE_H

#include <sqlite3.h>

#include "db/store.h"

#define PARE_STORE_APPLICATION 0x50415245 /* "PARE" */

struct pare_store {
    sqlite3 *db;
    char *path;
    bool has_metrics; /* the file can hold them */
    bool read_only, doomed;
    bool aside;      /* what is being written changes no figure: see pare__store_aside() */
    int depth;       /* of nested pare_store_begin() */
    int64_t written; /* rows written before the outermost pare_store_begin() */
    int lock;        /* descriptor of the lock file, or -1 */
    char notice[512];
};

/* db/sql.c, made from the SQL files. */
extern const char pare_sql_schema[], pare_sql_views[];
extern const struct pare_store_named pare_sql_queries[];
extern const size_t pare_sql_n_queries;

/* A step of the schema: what brings a file of version `version` - 1 to `version`. */
struct pare_migration {
    int version;
    const char *sql;
};
int pare__store_migrate(struct pare_store *store, const struct pare_migration *steps, size_t n,
                        struct pare_error *err);

/* The transaction writes nothing that a front is made of, so what was chosen stays current. */
void pare__store_aside(struct pare_store *store);

/* Turn SQLite's last error into ours. `what` completes "cannot ...". */
int pare__store_fail(struct pare_store *store, struct pare_error *err, const char *what);

/* Statements with arguments by letter: i int64 (PARE_NONE: NULL), k row id (0: NULL), d double
 * (NaN: NULL), t text (NULL: NULL), z size_t, b bool. */
int pare__store_prepare(struct pare_store *store, sqlite3_stmt **out, struct pare_error *err,
                        const char *sql, const char *types, ...);
int pare__store_run(struct pare_store *store, struct pare_error *err, const char *sql,
                    const char *types, ...);
/* The first column of the first row; `*out` is PARE_NONE when there is no row or it is NULL. */
int pare__store_get(struct pare_store *store, int64_t *out, struct pare_error *err, const char *sql,
                    const char *types, ...);
/* Step: 1 a row, 0 the end, -1 an error that was put into `err`. */
int pare__store_step(struct pare_store *store, sqlite3_stmt *stmt, struct pare_error *err);
/* Run a statement that gives no rows, so that it can be bound and run again. */
int pare__store_put(struct pare_store *store, sqlite3_stmt *stmt, struct pare_error *err);

/* This machine and boot, and when a process began (clock ticks after boot; -1: there is none). */
struct pare_process {
    char machine[PARE_HASH_HEX], boot[64], name[256];
    int64_t pid, start;
};
/* Mark attempts that run no more as lost: those of this machine whose process is gone; everyone:
 * all but this process's own. */
int pare__store_mark_lost(struct pare_store *store, bool everyone, struct pare_error *err);

void pare__process_self(struct pare_process *out);
int64_t pare__process_start(int64_t pid);

/* Mean differences by Student's t over the samples: `sql` gives variant, rival, data and a JSON
 * array [n, sum, sum of squares] of the pairs of a variant (bound as ?1 unless 0), `insert` takes
 * variant, rival, data, n, d, lo, hi. */
int pare__store_compare_means(struct pare_store *store, const char *sql, const char *insert,
                              int64_t variant_id, struct pare_error *err);
/* store_texts.c: those of similarities that are not there yet, of a variant or (0) of all. */
int pare__store_compare_similarity(struct pare_store *store, int64_t variant_id,
                                   struct pare_error *err);

#endif
