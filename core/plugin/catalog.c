/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and loading plugins. */
#include "plugin/catalog.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/encoding.h"
#include "plugin/descriptor.h"
#include "plugin/open.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PARE_PLUGIN_DIR
#define PARE_PLUGIN_DIR "/usr/local/lib/pare/plugins"
#endif

static int (*gate)(const char *path, struct pare_error *err);

void pare_catalog_set_gate(int (*may_load)(const char *path, struct pare_error *err))
{
    gate = may_load;
}

struct pare_catalog {
    struct pare_plugin_file **files; /* sorted by id when `all` has run */
    size_t n, cap;
    char **folders;
    size_t n_folders, cap_folders;
};

static int add_folder(struct pare_catalog *c, char *folder, struct pare_error *err)
{
    if (!folder || !pare_grow(&c->folders, &c->cap_folders, c->n_folders + 1, sizeof *c->folders)) {
        free(folder);
        return pare_error_nomem(err, 0);
    }
    c->folders[c->n_folders++] = folder;
    return PARE_OK;
}

/* PARE_PLUGIN_PATH's folders. An empty or relative entry would mean the current folder: not
 * searched. */
static int add_path(struct pare_catalog *c, const char *path, struct pare_error *err)
{
    int rc = PARE_OK;
    while (path && *path && rc == PARE_OK) {
        size_t n = strcspn(path, ":");
        if (path[0] == '/') {
            struct pare_str s = {0};
            pare_str_append_n(&s, path, n);
            rc = add_folder(c, pare_str_take(&s), err);
        }
        path += n + (path[n] == ':');
    }
    return rc;
}

int pare_catalog_new(struct pare_catalog **out, struct pare_error *err)
{
    const char *home = getenv("HOME");
    struct pare_catalog *c = calloc(1, sizeof *c);
    int rc;
    if (!c)
        return pare_error_nomem(err, sizeof *c);
    PARE_TRY(add_path(c, getenv("PARE_PLUGIN_PATH"), err));
    if (home && home[0] == '/')
        PARE_TRY(add_folder(c, pare_path_join(home, ".local/lib/pare/plugins"), err));
    PARE_TRY(add_folder(c, pare_strdup(PARE_PLUGIN_DIR), err));
    *out = c;
    return PARE_OK;
out:
    pare_catalog_free(c);
    return rc;
}

void pare_catalog_free(struct pare_catalog *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->files[i]->path);
        free((void *)(uintptr_t)c->files[i]->desc.params);
        free(c->files[i]);
    }
    for (size_t i = 0; i < c->n_folders; i++)
        free(c->folders[i]);
    free(c->files);
    free(c->folders);
    free(c);
}

const char *pare_catalog_folder(const struct pare_catalog *c, size_t i)
{
    return i < c->n_folders ? c->folders[i] : NULL;
}

static int refuse_two(const char *id, const char *a, const char *b, struct pare_error *err)
{
    pare_error_set(err, PARE_INVALID, "two files are the plugin '%s'", id);
    pare_error_detail(err, "%s and %s", a, b);
    pare_error_hint(err, "remove one of them, or take its folder out of PARE_PLUGIN_PATH");
    return PARE_INVALID;
}

/* Load one file, or find that it is loaded. */
static int load_file(struct pare_catalog *c, const char *path, const struct pare_plugin_file **out,
                     struct pare_error *err)
{
    struct pare_plugin_file *f = NULL;
    const struct pare_plugin *theirs;
    struct stat st;
    int rc = PARE_OK;
    char *real = realpath(path, NULL);
    if (!real || stat(real, &st) != 0) {
        int missing = errno == ENOENT || errno == ENOTDIR;
        rc = pare_error_errno(err, "cannot open the plugin %s", path);
        if (missing)
            rc = err ? (err->status = PARE_NOT_FOUND) : PARE_NOT_FOUND;
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = pare_error_set(err, PARE_INVALID, "the plugin %s is not a regular file", path);
        goto out;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->files[i]->device == st.st_dev && c->files[i]->inode == st.st_ino) {
            *out = c->files[i];
            goto out;
        }
    }
    f = calloc(1, sizeof *f);
    if (!f || !pare_grow(&c->files, &c->cap, c->n + 1, sizeof *c->files)) {
        rc = pare_error_nomem(err, sizeof *f);
        goto out;
    }
    f->path = real;
    real = NULL;
    f->device = st.st_dev;
    f->inode = st.st_ino;
    PARE_TRY(pare_hash_file(f->path, f->sha256, err));
    for (size_t i = 0; i < c->n; i++) { /* a copy is the same plugin */
        if (strcmp(c->files[i]->sha256, f->sha256) == 0) {
            *out = c->files[i];
            goto out;
        }
    }
    if (gate)
        PARE_TRY(gate(f->path, err));
    PARE_TRY(pare_plugin_open(f->path, &theirs, err));
    PARE_TRY(pare_descriptor_take(theirs, f, err));
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->files[i]->desc.id, f->desc.id) == 0) {
            rc = refuse_two(f->desc.id, c->files[i]->path, f->path, err);
            goto out;
        }
    }
    if (f->desc.encoding)
        PARE_TRY(pare_encoding_add(f->desc.id, f->desc.encoding, f->path, f->sha256, err));
    c->files[c->n++] = f;
    *out = f;
    f = NULL;
out:
    if (f) {
        free(f->path);
        free((void *)(uintptr_t)f->desc.params);
    }
    free(f);
    free(real);
    return rc;
}

/* Built but not installed, libtool keeps shared objects in .libs; an id's file is FOLDER/ID.so,
 * FOLDER/ID/ID.so, or one of these below .libs. */
enum { LAYOUTS = 4 };

static char *file_in(const char *folder, const char *id, size_t layout)
{
    struct pare_str s = {0};
    bool own = layout == 1 || layout == 2;
    pare_str_append(&s, folder);
    if (own)
        pare_str_printf(&s, "/%s", id);
    pare_str_printf(&s, "%s/%s.so", layout >= 2 ? "/.libs" : "", id);
    return pare_str_take(&s);
}

/* Whether two files are one, or hold the same. */
static bool same_file(const char *a, const char *b)
{
    char hash[2][PARE_HASH_HEX];
    struct stat st[2];
    if (stat(a, &st[0]) == 0 && stat(b, &st[1]) == 0 && st[0].st_dev == st[1].st_dev &&
        st[0].st_ino == st[1].st_ino)
        return true;
    return pare_hash_file(a, hash[0], NULL) == PARE_OK &&
           pare_hash_file(b, hash[1], NULL) == PARE_OK && strcmp(hash[0], hash[1]) == 0;
}

/* The file of an id, *out NULL when there is none; freed with free(). PARE_INVALID: there are two.
 */
static int search(struct pare_catalog *c, const char *id, char **out, struct pare_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < c->n_folders * LAYOUTS; i++) {
        char *path = file_in(c->folders[i / LAYOUTS], id, i % LAYOUTS);
        if (!path)
            return pare_error_nomem(err, 0);
        if (pare_file_exists(path) && *out && !same_file(*out, path)) {
            refuse_two(id, *out, path, err);
            free(path);
            return PARE_INVALID;
        }
        if (pare_file_exists(path) && !*out)
            *out = path;
        else
            free(path);
    }
    return PARE_OK;
}

/* The id that a directory entry may stand for: "quantize.so", or a folder "quantize". */
static char *entry_id(const char *name)
{
    size_t n = strlen(name);
    if (n > 3 && strcmp(name + n - 3, ".so") == 0)
        n -= 3;
    struct pare_str s = {0};
    pare_str_append_n(&s, name, n);
    char *id = pare_str_take(&s);
    if (id && !pare_plugin_id_is_plain(id)) {
        free(id);
        return NULL;
    }
    return id;
}

/* The ids that the files of the search path are named by, NULL where there are no more: `most` at
 * most. Freed with free(). */
static size_t names(const struct pare_catalog *c, char **ids, size_t most)
{
    size_t n = 0;
    for (size_t f = 0; f < c->n_folders; f++) {
        struct dirent **entries = NULL;
        int count = scandir(c->folders[f], &entries, NULL, alphasort);
        for (int i = 0; i < count; i++) {
            char *id = n < most ? entry_id(entries[i]->d_name) : NULL;
            if (id)
                ids[n++] = id;
            free(entries[i]);
        }
        free(entries);
    }
    return n;
}

static int not_found(struct pare_catalog *c, const char *name, struct pare_error *err)
{
    char *ids[256];
    struct pare_str folders = {0};
    const size_t n = names(c, ids, PARE_COUNT(ids));
    const char *near = pare_nearest(name, (const char *const *)ids, n);
    for (size_t i = 0; i < c->n_folders; i++)
        pare_str_printf(&folders, "%s%s", i ? ", " : "", c->folders[i]);
    pare_error_set(err, PARE_NOT_FOUND, "no plugin is called '%s'", name);
    pare_error_detail(err, "searched in %s", folders.failed ? "?" : folders.data);
    if (pare_ends_with(name, ".so"))
        pare_error_hint(err, "a file's name needs a slash: ./%s", name);
    else if (near)
        pare_error_hint(err, "did you mean '%s'?", near);
    else
        pare_error_hint(err, "`pare plugins` lists those installed; a file's name needs a slash");
    pare_str_free(&folders);
    for (size_t i = 0; i < n; i++)
        free(ids[i]);
    return PARE_NOT_FOUND;
}

int pare_catalog_find(struct pare_catalog *c, const char *name, const char *folder,
                      const struct pare_plugin_file **out, struct pare_error *err)
{
    int rc = PARE_OK;
    if (strchr(name, '/')) {
        char *file = pare_path_join(folder ? folder : ".", name);
        rc = file ? load_file(c, file, out, err) : pare_error_nomem(err, 0);
        free(file);
        return rc;
    }
    struct pare_plugin_file *known = NULL;
    char *path = NULL;
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->files[i]->desc.id, name) == 0)
            known = c->files[i];
    }
    if (known && known->searched) {
        *out = known;
        return PARE_OK;
    }
    if (pare_plugin_id_is_plain(name))
        PARE_TRY(search(c, name, &path, err));
    if (path)
        PARE_TRY(load_file(c, path, out, err));
    else if (known) /* named by its path before */
        *out = known;
    else
        PARE_TRY(not_found(c, name, err));
    if (strcmp((*out)->desc.id, name) != 0) {
        rc = pare_error_set(err, PARE_INVALID, "%s is the plugin '%s', not '%s'", (*out)->path,
                            (*out)->desc.id, name);
        goto out;
    }
    ((struct pare_plugin_file *)(uintptr_t)*out)->searched = true;
out:
    free(path);
    return rc;
}

/* Plugins that a pipeline names by their files, for as long as the process lives. */
struct named {
    struct named *next;
    char *id, *path;
};
static struct named *named_encodings;

int pare_catalog_name_encoding(const char *id, const char *path, struct pare_error *err)
{
    struct named *n = pare_calloc(1, sizeof *n);
    if (n) {
        n->id = pare_strdup(id);
        n->path = pare_strdup(path);
    }
    if (!n || !n->id || !n->path) {
        if (n) {
            free(n->id);
            free(n->path);
        }
        free(n);
        return pare_error_nomem(err, sizeof *n);
    }
    n->next = named_encodings;
    named_encodings = n;
    return PARE_OK;
}

/* An id comes out of a model's file: it is never taken for a path. */
int pare_catalog_resolve_encoding(const char *id, struct pare_error *err)
{
    const struct pare_plugin_file *file;
    const struct named *n = named_encodings;
    struct pare_catalog *c = NULL;
    int rc;
    if (!pare_plugin_id_is_plain(id))
        return pare_error_set(err, PARE_INVALID, "that is no plugin's id");
    while (n && strcmp(n->id, id) != 0)
        n = n->next;
    PARE_TRY(pare_catalog_new(&c, err));
    PARE_TRY(pare_catalog_find(c, n ? n->path : id, NULL, &file, err));
out:
    pare_catalog_free(c);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    const struct pare_plugin_file *const *x = a, *const *y = b;
    return strcmp((*x)->desc.id, (*y)->desc.id);
}

static void load_entry(struct pare_catalog *c, const char *folder, const char *id,
                       void (*bad)(void *, const char *, const struct pare_error *), void *user)
{
    struct pare_error why = {0};
    const struct pare_plugin_file *file;
    for (size_t l = 0; l < LAYOUTS; l++) {
        char *path = file_in(folder, id, l);
        if (path && pare_file_exists(path)) {
            if (load_file(c, path, &file, &why) != PARE_OK && bad)
                bad(user, path, &why);
            free(path);
            return;
        }
        free(path);
    }
}

int pare_catalog_all(struct pare_catalog *c,
                     void (*bad)(void *user, const char *path, const struct pare_error *why),
                     void *user, const struct pare_plugin_file *const **list, size_t *n,
                     struct pare_error *err)
{
    for (size_t f = 0; f < c->n_folders; f++) {
        struct dirent **entries = NULL;
        int count = scandir(c->folders[f], &entries, NULL, alphasort);
        for (int i = 0; i < count; i++) {
            char *id = entry_id(entries[i]->d_name);
            if (id)
                load_entry(c, c->folders[f], id, bad, user);
            free(id);
            free(entries[i]);
        }
        free(entries);
    }
    if (c->n)
        qsort(c->files, c->n, sizeof(struct pare_plugin_file *), by_id);
    *list = (const struct pare_plugin_file *const *)(void *)c->files;
    *n = c->n;
    (void)err;
    return PARE_OK;
}
