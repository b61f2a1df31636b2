/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in the representations of plugins, and who brings them. */
#include "model/encoding.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/weight_parts.h"

/* The state of a process, as its loaded plugins are. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pare_own_encoding *known;
static int (*resolver)(const char *id, struct pare_error *err);

static struct pare_own_encoding *find_known(const char *id)
{
    pthread_mutex_lock(&lock);
    struct pare_own_encoding *e = known;
    while (e && strcmp(e->id, id) != 0)
        e = e->next;
    pthread_mutex_unlock(&lock);
    return e;
}

static int refuse_two(const char *id, const char *a, const char *b, struct pare_error *err)
{
    pare_error_set(err, PARE_INVALID, "two plugins bring the encoding '%s'", id);
    pare_error_detail(err, "%s and %s", a, b);
    pare_error_hint(err, "remove one of them, or take its folder out of PARE_PLUGIN_PATH");
    return PARE_INVALID;
}

static void free_encoding(struct pare_own_encoding *e)
{
    if (!e)
        return;
    free(e->id);
    free(e->path);
    free(e->sha256);
    free(e);
}

int pare_encoding_add(const char *id, const struct pare_encoding *theirs, const char *path,
                      const char *sha256, struct pare_error *err)
{
    const size_t least = offsetof(struct pare_encoding, describe);
    const struct pare_own_encoding *there = find_known(id);
    if (there && (there->theirs == theirs || strcmp(there->sha256, sha256) == 0))
        return PARE_OK;
    if (there)
        return refuse_two(id, there->path, path, err);
    if (!theirs || theirs->struct_size < least || !theirs->check || !theirs->decode)
        return pare_error_set(err, PARE_INVALID, "the encoding '%s' lacks check or decode", id);
    struct pare_own_encoding *e = pare_calloc(1, sizeof *e);
    if (e) {
        e->id = pare_strdup(id);
        e->path = pare_strdup(path);
        e->sha256 = pare_strdup(sha256);
    }
    if (!e || !e->id || !e->path || !e->sha256) {
        free_encoding(e);
        return pare_error_nomem(err, sizeof *e);
    }
    memcpy(&e->table, theirs, PARE_MIN(theirs->struct_size, sizeof e->table));
    e->theirs = theirs;
    pthread_mutex_lock(&lock);
    e->next = known;
    known = e;
    pthread_mutex_unlock(&lock);
    return PARE_OK;
}

int pare_encoding_find(const char *id, const struct pare_own_encoding **out, struct pare_error *err)
{
    struct pare_error why = {0};
    int rc = PARE_OK;
    *out = find_known(id);
    if (!*out && resolver)
        rc = resolver(id, &why);
    if (!*out && rc == PARE_OK)
        *out = find_known(id);
    if (*out)
        return PARE_OK;
    if (rc == PARE_OK && resolver)
        rc = pare_error_set(&why, PARE_INVALID, "the plugin of that name brings no encoding");
    if (rc != PARE_OK && rc != PARE_NOT_FOUND) {
        pare_error_set(err, rc, "the model has weights in the encoding '%.100s': %s", id, why.what);
        pare_error_detail(err, "%s", why.detail);
        pare_error_hint(err, "%s", why.hint);
        return rc;
    }
    pare_error_set(err, PARE_NOT_FOUND, "the model has weights in the encoding '%.100s'", id);
    if (why.what[0])
        pare_error_detail(err, "%s", why.what);
    pare_error_hint(err, resolver ? "the plugin of that name brings it: install it, or put its "
                                    "folder into PARE_PLUGIN_PATH"
                                  : "the plugin of that name brings it: load it first, with "
                                    "pare_rt_plugin()");
    return PARE_NOT_FOUND;
}

void pare_encoding_set_resolver(int (*resolve)(const char *id, struct pare_error *err))
{
    resolver = resolve;
}

struct pare_encoded pare_encoded_of(const struct pare_weight *w)
{
    return (struct pare_encoded){.struct_size = sizeof(struct pare_encoded),
                                 .rows = w->rows,
                                 .cols = w->cols,
                                 .data = w->stored->data,
                                 .size = w->stored->size};
}

int pare_weight_encoded(const struct pare_own_encoding *encoding, uint32_t rows, uint32_t cols,
                        struct pare_blob *data, struct pare_weight **out, struct pare_error *err)
{
    struct pare_weight *w = NULL;
    int rc;
    PARE_TRY(pare_weight_blank(rows, cols, &w, err));
    w->values = PARE_VALUES_PLUGIN;
    w->encoding = encoding;
    /* as the plugin was promised it, wherever in a file it was mapped from */
    if ((uintptr_t)data->data % PARE_ALIGN == 0)
        w->stored = pare_blob_ref(data);
    else
        PARE_TRY(pare_blob_copy(data->data, data->size, 1, &w->stored, err));
    const struct pare_encoded bytes = pare_encoded_of(w);
    const char *wrong = encoding->table.check(&bytes);
    if (wrong) {
        rc = pare_error_set(err, PARE_INVALID, "this is no weight of '%s': %.150s", encoding->id,
                            wrong);
        goto out;
    }
    PARE_TRY(pare_weight_check(w, err));
    *out = w;
    w = NULL;
out:
    pare_weight_unref(w);
    return rc;
}
