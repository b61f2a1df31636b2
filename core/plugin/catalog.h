/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_CATALOG_H
#define PARE_PLUGIN_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include <pare/plugin.h>

#include "base/hash.h"
#include "base/status.h"

/* A plugin that was loaded: the host's own copy of its descriptor (fields that an older plugin
 * lacks are zero) and of its parameter table (`desc.params` points to it, element size is ours). */
struct pare_plugin_file {
    struct pare_plugin desc;
    char *path; /* absolute */
    char sha256[PARE_HASH_HEX];
    unsigned long long device, inode;
    bool searched; /* the search path holds no other file of its id */
};

/* The plugins of one process. Loaded on first use, never unloaded (a plugin's OpenMP threads may
 * live). */
struct pare_catalog;

int pare_catalog_new(struct pare_catalog **out, struct pare_error *err);
void pare_catalog_free(struct pare_catalog *catalog);

/* Folder `i` of those that are searched; NULL: there are fewer. */
const char *pare_catalog_folder(const struct pare_catalog *catalog, size_t i);

/* Find and load: a bare id ("quantize") in PARE_PLUGIN_PATH, the user's folder, the installed one;
 * a name with a slash is a file relative to `folder` (the YAML's; NULL: the current one). The
 * result belongs to the catalogue. PARE_NOT_FOUND names the folders searched and the nearest id;
 * PARE_INVALID: it is there, but is no plugin for this program, or two different files are it; both
 * are named. A copy with the same content is the same plugin. */
int pare_catalog_find(struct pare_catalog *catalog, const char *name, const char *folder,
                      const struct pare_plugin_file **out, struct pare_error *err);

/* Who is asked before a file is loaded (an absolute path), in every catalogue of this process: what
 * is not PARE_OK is why not. NULL: nobody. */
void pare_catalog_set_gate(int (*may_load)(const char *path, struct pare_error *err));

/* A file that pare_catalog_resolve_encoding() takes for that id, before it searches. One thread. */
int pare_catalog_name_encoding(const char *id, const char *path, struct pare_error *err);

/* For pare_encoding_set_resolver(): load the plugin of that id, from where it was named or from the
 * search path. */
int pare_catalog_resolve_encoding(const char *id, struct pare_error *err);

/* Load all that the search path holds; a bad file is reported through `bad` and skipped. `*list` is
 * the catalogue's, sorted by id. */
int pare_catalog_all(struct pare_catalog *catalog,
                     void (*bad)(void *user, const char *path, const struct pare_error *why),
                     void *user, const struct pare_plugin_file *const **list, size_t *n,
                     struct pare_error *err);

/* Whether it changes models, so that it can be a stage. */
static inline bool pare_plugin_transforms(const struct pare_plugin *plugin)
{
    return plugin->kind == PARE_TRANSFORM || plugin->kind == PARE_ENCODING;
}

/* The parameter of that name, or NULL. */
const struct pare_param *pare_plugin_param(const struct pare_plugin *plugin, const char *name);

#endif
