/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/setup.h"

#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "engine/plan.h"
#include "pipeline/confine.h"

#define DEPTH 3 /* FOLDER/SPLIT/CLASS/IMAGE, FOLDER/ID/.libs/ID.so */

/* ---- what may be read
 * ---------------------------------------------------------------------------- */

/* Folders whose links were looked at. */
struct seen {
    struct {
        dev_t device;
        ino_t inode;
    } * items;
    size_t n, cap;
};

static bool see(struct seen *seen, const struct stat *st)
{
    for (size_t i = 0; i < seen->n; i++) {
        if (seen->items[i].device == st->st_dev && seen->items[i].inode == st->st_ino)
            return false;
    }
    if (!pare_grow(&seen->items, &seen->cap, seen->n + 1, sizeof *seen->items))
        return false;
    seen->items[seen->n].device = st->st_dev;
    seen->items[seen->n++].inode = st->st_ino;
    return true;
}

static void add_links(json_t *paths, const char *path, struct seen *seen)
{
    char *roots[] = {(char *)(uintptr_t)path, NULL};
    struct stat st;
    FTSENT *e;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode) || !see(seen, &st))
        return;
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    while (tree && (e = fts_read(tree))) {
        if (e->fts_info == FTS_SL || e->fts_info == FTS_SLNONE)
            json_array_append_new(paths, json_string(e->fts_path));
        else if (e->fts_info == FTS_D && e->fts_level >= DEPTH)
            fts_set(tree, e, FTS_SKIP);
    }
    if (tree)
        fts_close(tree);
}

/* "A:B" of the environment. */
static void add_folders(json_t *paths, const char *list)
{
    while (list && *list) {
        const size_t n = strcspn(list, ":");
        if (*list == '/')
            json_array_append_new(paths, json_stringn(list, n));
        list += n + (list[n] == ':');
    }
}

/* Where a link leads is where its own links are looked for: the list grows while it is walked. */
static json_t *readable(const struct pare_setup *setup)
{
    struct seen seen = {0};
    struct pare_catalog *catalog = NULL;
    const char *folder;
    json_t *paths = setup->reads ? json_copy((json_t *)(uintptr_t)setup->reads) : json_array();
    if (!paths || pare_catalog_new(&catalog, NULL) != PARE_OK) {
        json_decref(paths);
        return NULL;
    }
    for (size_t i = 0; (folder = pare_catalog_folder(catalog, i)); i++)
        json_array_append_new(paths, json_string(folder));
    for (size_t i = 0; setup->used && i < setup->used->n; i++)
        json_array_append_new(paths, json_string(setup->used->files[i]->path));
    add_folders(paths, getenv("LD_LIBRARY_PATH"));
    for (size_t i = 0; i < json_array_size(paths); i++)
        add_links(paths, json_string_value(json_array_get(paths, i)), &seen);
    pare_catalog_free(catalog);
    free(seen.items);
    return paths;
}

/* ---- the message
 * --------------------------------------------------------------------------------- */

json_t *pare_setup_new(const struct pare_setup *setup)
{
    const struct pare_used *used = setup->used;
    json_t *encodings = json_object(), *write = json_array();
    for (size_t i = 0; used && i < used->n; i++) {
        if (used->files[i]->desc.encoding)
            json_object_set_new(encodings, used->files[i]->desc.id,
                                json_string(used->files[i]->path));
    }
    if (setup->writes)
        json_array_append_new(write, json_string(setup->writes));
    if (setup->confine)
        return json_pack("{s:s, s:o, s:{s:o, s:o}}", "type", "setup", "encodings", encodings,
                         "confine", "read", readable(setup), "write", write);
    json_decref(write);
    return json_pack("{s:s, s:o}", "type", "setup", "encodings", encodings);
}

int pare_setup_follow(const json_t *setup, struct pare_error *err)
{
    const json_t *confine = json_object_get(setup, "confine");
    json_t *path;
    const char *id;
    int rc = PARE_OK;
    if (confine)
        PARE_TRY(
            pare_confine(json_object_get(confine, "read"), json_object_get(confine, "write"), err));
    pare_flush_denormals(); /* begins the threads, which are as confined as who begins them */
    json_object_foreach(json_object_get(setup, "encodings"), id, path)
    {
        const char *file = json_string_value(path);
        PARE_TRY(file ? pare_catalog_name_encoding(id, file, err) : PARE_OK);
    }
out:
    return rc;
}
