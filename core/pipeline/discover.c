/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "pipeline/ask.h"
#include "pipeline/setup.h"
#include "plugin/catalog.h"

/* What a plugin may take to be loaded and to say what it is. */
#define SECONDS_MOST 10.0
#define MEMORY_MOST 4000000000ULL
#define CACHE_MOST ((size_t)16 << 20)

/* The state of a process, as its loaded plugins are. */
static const char *self;
static char *cache_path;
static json_t *known; /* {"program": ..., "files": {PATH: entry}}; NULL: not read yet */

static char *find_cache(void)
{
    const char *folder = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (folder && folder[0] == '/')
        return pare_path_join(folder, "pare/plugins.json");
    return home && home[0] == '/' ? pare_path_join(home, ".cache/pare/plugins.json") : NULL;
}

static json_t *stamp_of(const struct stat *st)
{
    return json_pack("[I, I, I, I]", (json_int_t)st->st_mtim.tv_sec,
                     (json_int_t)st->st_mtim.tv_nsec, (json_int_t)st->st_size,
                     (json_int_t)st->st_ino);
}

/* Who found it: another program, or one of another ABI, may find otherwise. */
static json_t *finder(void)
{
    struct stat st = {0};
    stat(self, &st);
    return json_pack("{s:s, s:o, s:[i, i]}", "path", self, "stamp", stamp_of(&st), "abi",
                     PARE_ABI_MAJOR, PARE_ABI_MINOR);
}

/* The files that are known; a cache that cannot be read is an empty one. */
static json_t *files(void)
{
    struct pare_error ignored;
    char *text = NULL;
    size_t size = 0;
    json_t *who = finder();
    if (!known) {
        cache_path = find_cache();
        if (cache_path && pare_file_read(cache_path, CACHE_MOST, &text, &size, &ignored) == PARE_OK)
            known = json_loadb(text, size, 0, NULL);
        if (!json_equal(json_object_get(known, "program"), who) ||
            !json_is_object(json_object_get(known, "files"))) {
            json_decref(known);
            known = json_pack("{s:O, s:{}}", "program", who, "files");
        }
        free(text);
    }
    json_decref(who);
    return json_object_get(known, "files");
}

/* Not being able to keep it costs a look the next time. */
static void keep(void)
{
    struct pare_error ignored;
    char *text = known ? json_dumps(known, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    char *folder = cache_path ? pare_path_folder(cache_path) : NULL;
    if (text && folder && pare_make_folders(folder, &ignored) == PARE_OK)
        pare_file_write(cache_path, text, strlen(text), &ignored);
    free(folder);
    free(text);
}

/* Load it elsewhere: an entry that says what came of it. */
static json_t *look(const char *path, json_t *stamp, struct pare_error *err)
{
    json_t *setup = pare_setup_new(&(struct pare_setup){.confine = false}); /* as it is here */
    struct pare_ask ask = {.program = self,
                           .threads = 1,
                           .setup = setup,
                           .seconds = SECONDS_MOST,
                           .bytes = MEMORY_MOST};
    json_t *entry = json_pack("{s:O, s:s}", "stamp", stamp, "state", "ok");
    int rc = pare_ask_worker(&ask, json_pack("{s:s, s:s}", "type", "inspect", "plugin", path), err);
    if (rc == PARE_OK && ask.why[0]) { /* at its exit, too: it would do the same at ours */
        json_object_set_new(entry, "state", json_string("blocked"));
        json_object_set_new(entry, "why", json_string(ask.why));
    } else if (rc == PARE_OK && strcmp(pare_message_text(ask.answer, "type"), "failed") == 0) {
        json_object_set_new(entry, "state", json_string("refused"));
        json_object_update(entry, ask.answer);
    }
    json_decref(setup);
    json_decref(ask.answer);
    pare_str_free(&ask.log);
    if (rc == PARE_OK)
        return entry;
    json_decref(entry);
    return NULL;
}

/* Whether the same file gives the same again: a library that it lacks, or memory, can be there the
 * next time. */
static bool lasts(const json_t *entry)
{
    return strcmp(pare_message_text(entry, "state"), "refused") != 0 ||
           (int)pare_message_number(entry, "status") == PARE_INVALID;
}

/* What came of the last look at the file, or of one now; a new reference, or NULL: it could not be
 * looked at. */
static json_t *entry_of(const char *path, const struct stat *st, bool *kept)
{
    struct pare_error ignored;
    json_t *all = files(), *stamp = stamp_of(st), *entry = json_object_get(all, path);
    *kept = json_equal(json_object_get(entry, "stamp"), stamp) && lasts(entry);
    if (*kept) {
        json_incref(entry);
    } else {
        entry = look(path, stamp, &ignored);
        if (entry && json_object_set(all, path, entry) == 0)
            keep();
    }
    json_decref(stamp);
    return entry;
}

static int refuse_path(const char *path, struct pare_error *err)
{
    pare_error_set(err, PARE_INVALID, "the plugin %s cannot be used: its path is not UTF-8", path);
    pare_error_hint(err, "rename the file, or the folder that it is in");
    return PARE_INVALID;
}

/* For the catalogue: whether this file may be loaded here. */
static int may_load(const char *path, struct pare_error *err)
{
    static const char retry[] = "`pare plugins --retry` looks again";
    struct stat st;
    struct pare_error why = {0};
    bool kept;
    json_t *name = json_string(path);
    if (!name) /* messages and the cache are JSON */
        return refuse_path(path, err);
    json_decref(name);
    if (stat(path, &st) != 0)
        return PARE_OK; /* loading it says so */
    json_t *entry = entry_of(path, &st, &kept);
    const char *state = pare_message_text(entry, "state");
    if (strcmp(state, "refused") == 0) {
        const char *hint = pare_message_text(entry, "hint");
        pare_message_error(entry, &why);
        if (kept)
            pare_error_hint(&why, "%s%s%s", hint, *hint ? "; " : "", retry);
    } else if (strcmp(state, "blocked") == 0) {
        pare_error_set(&why, PARE_INVALID, "the plugin %s is blocked", path);
        pare_error_detail(&why, "when it was loaded to look at it, %s",
                          pare_message_text(entry, "why"));
        pare_error_hint(&why, "%s; `pare plugin check %s` tells more", retry, path);
    }
    json_decref(entry);
    if (why.status != PARE_OK && err)
        *err = why;
    return why.status;
}

void pare_discover_first(const char *program)
{
    self = program;
    pare_catalog_set_gate(program ? may_load : NULL);
}

const char *pare_discover_state(const char *path)
{
    char *real = realpath(path, NULL); /* as the catalogue asks */
    const char *state = real ? pare_message_text(json_object_get(files(), real), "state") : "";
    free(real);
    return state;
}

void pare_discover_again(void)
{
    json_t *all = files(), *entry;
    const char *path;
    void *next;
    json_object_foreach_safe(all, next, path, entry)
    {
        if (strcmp(pare_message_text(entry, "state"), "ok") != 0)
            json_object_del(all, path);
    }
    keep();
}
