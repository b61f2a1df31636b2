/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes of texts: similarity of pairs, and the losses of single tokens. */
#include "db/store_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What a pair adds to the rank correlation, in one and in the other, pair by pair. */
#define COMPARE(pairs)                                                                             \
    "SELECT q.variant_id, q.rival_id, o.data_id, "                                                 \
    "(SELECT json_array(count(*), total(a.part - b.part), "                                        \
    "  total((a.part - b.part) * (a.part - b.part))) FROM outcome_similarity a "                   \
    "  JOIN outcome_similarity b ON b.outcome_id = r.outcome_id AND b.sample = a.sample "          \
    "  WHERE a.outcome_id = o.outcome_id AND a.part IS NOT NULL AND b.part IS NOT NULL) AS sums "  \
    "FROM _pair q JOIN outcome o ON o.variant_id = q.variant_id "                                  \
    "JOIN outcome r ON r.variant_id = q.rival_id AND r.data_id = o.data_id "                       \
    "WHERE " pairs " AND EXISTS (SELECT 1 FROM outcome_similarity y WHERE y.outcome_id = "         \
    "o.outcome_id) AND NOT EXISTS (SELECT 1 FROM similarity_pair x WHERE "                         \
    "x.variant_id = q.variant_id AND x.rival_id = q.rival_id AND x.data_id = o.data_id)"

int pare__store_compare_similarity(struct pare_store *store, int64_t variant_id,
                                   struct pare_error *err)
{
    static const char insert[] = "INSERT OR REPLACE INTO similarity_pair VALUES(?, ?, ?, ?, ?, ?, "
                                 "?)";
    int rc;
    if (variant_id == 0)
        return pare__store_compare_means(store, COMPARE("TRUE"), insert, 0, err);
    PARE_TRY(
        pare__store_compare_means(store, COMPARE("q.variant_id = ?1"), insert, variant_id, err));
    PARE_TRY(pare__store_compare_means(store, COMPARE("q.rival_id = ?1"), insert, variant_id, err));
out:
    return rc;
}

static int put_scores(struct pare_store *store, int64_t data_id, size_t n, const double *score,
                      struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc;
    PARE_TRY(pare__store_prepare(store, &stmt, err, "INSERT OR IGNORE INTO score VALUES(?, ?, ?)",
                                 "i", data_id));
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)i);
        sqlite3_bind_double(stmt, 3, score[i]);
        PARE_TRY(pare__store_put(store, stmt, err));
    }
out:
    sqlite3_finalize(stmt);
    return rc;
}

static int outcome_of(struct pare_store *store, int64_t variant_id, int64_t data_id, int64_t *id,
                      struct pare_error *err)
{
    int rc = pare__store_get(store, id, err,
                             "SELECT outcome_id FROM outcome WHERE variant_id = ? AND data_id = ?",
                             "ii", variant_id, data_id);
    if (rc == PARE_OK && *id == PARE_NONE)
        rc = pare_error_set(err, PARE_NOT_FOUND, "the variant has no outcome on these samples");
    return rc;
}

int pare_store_similarity(struct pare_store *store, int64_t variant_id, int64_t data_id, size_t n,
                          const double *score, const float *similarity, const float *part,
                          struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t id;
    int rc = pare_store_begin(store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare_store_outcome(store, variant_id, data_id, 0, NULL, NULL, err));
    PARE_TRY(outcome_of(store, variant_id, data_id, &id, err));
    PARE_TRY(pare__store_run(store, err,
                             "DELETE FROM similarity_pair WHERE data_id = ?2 AND (variant_id = ?1 "
                             "OR rival_id = ?1)",
                             "ii", variant_id, data_id));
    PARE_TRY(put_scores(store, data_id, n, score, err));
    PARE_TRY(pare__store_prepare(store, &stmt, err,
                                 "INSERT INTO outcome_similarity VALUES(?, ?, ?, ?)", "i", id));
    for (size_t i = 0; i < n; i++) {
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)i);
        sqlite3_bind_double(stmt, 3, (double)similarity[i]);
        if (isfinite(part[i]))
            sqlite3_bind_double(stmt, 4, (double)part[i]);
        else
            sqlite3_bind_null(stmt, 4);
        PARE_TRY(pare__store_put(store, stmt, err));
    }
    PARE_TRY(pare__store_compare_similarity(store, variant_id, err));
out:
    sqlite3_finalize(stmt);
    return pare_store_end(store, rc, err);
}

int pare_store_token_losses(struct pare_store *store, int64_t variant_id, int64_t data_id,
                            const uint32_t *ends, size_t n_windows, const float *nll, size_t n,
                            struct pare_error *err)
{
    sqlite3_stmt *stmt = NULL;
    uint8_t *bytes = pare_alloc(n_windows + n, 4);
    int64_t id;
    int rc = bytes ? pare_store_begin(store, err) : pare_error_nomem(err, (n_windows + n) * 4);
    if (rc != PARE_OK) {
        free(bytes);
        return rc;
    }
    for (size_t i = 0; i < n_windows; i++)
        pare_put_le32(bytes + 4 * i, ends[i]);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &nll[i], sizeof bits);
        pare_put_le32(bytes + 4 * (n_windows + i), bits);
    }
    PARE_TRY(outcome_of(store, variant_id, data_id, &id, err));
    PARE_TRY(pare__store_prepare(store, &stmt, err,
                                 "INSERT OR REPLACE INTO token_loss VALUES(?, ?, ?)", "i", id));
    sqlite3_bind_blob64(stmt, 2, bytes, 4 * n_windows, SQLITE_STATIC);
    sqlite3_bind_blob64(stmt, 3, bytes + 4 * n_windows, 4 * n, SQLITE_STATIC);
    rc = pare__store_put(store, stmt, err);
out:
    sqlite3_finalize(stmt);
    free(bytes);
    return pare_store_end(store, rc, err);
}
