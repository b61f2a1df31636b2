/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin to start from: the files of share/template, with its name in them. */
#include "kit/new.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kit/new_parts.h"
#include "plugin/descriptor.h"

static const char *const kinds[] = {"transform", "score", "allocate", "encoding", "metric"};

/* What stands for @KEY@. */
struct word {
    const char *key, *value;
};

static void append_filled(struct pare_str *out, const char *text, const struct word *words,
                          size_t n)
{
    while (*text) {
        size_t len = strcspn(text, "@");
        pare_str_append_n(out, text, len);
        text += len;
        size_t i = 0;
        while (i < n && strncmp(text, words[i].key, strlen(words[i].key)) != 0)
            i++;
        if (i < n) {
            pare_str_append(out, words[i].value);
            text += strlen(words[i].key);
        } else if (*text) {
            pare_str_append_n(out, text++, 1);
        }
    }
}

/* "transform.c" of the kind that is wanted is the source; of others, nothing; what names no kind is
 * for all. */
static void target_name(const char *name, const char *kind, const char *plugin, char *out,
                        size_t size)
{
    const size_t stem = strcspn(name, ".");
    bool of_kind = false;
    for (size_t i = 0; i < PARE_COUNT(kinds); i++)
        of_kind = of_kind || (strlen(kinds[i]) == stem && strncmp(kinds[i], name, stem) == 0);
    if (of_kind && (strlen(kind) != stem || strncmp(kind, name, stem) != 0))
        snprintf(out, size, "%s", "");
    else if (strcmp(name + stem, ".yaml") == 0)
        snprintf(out, size, "pipeline.yaml");
    else if (of_kind)
        snprintf(out, size, "%s%s", plugin, name + stem);
    else
        snprintf(out, size, "%s", name);
}

static int write_files(const char *kind, const char *plugin, const char *folder,
                       const struct word *words, size_t n, struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t i = 0; i < pare_n_template_files && rc == PARE_OK; i++) {
        struct pare_str text = {0};
        char name[160];
        target_name(pare_template_files[i].name, kind, plugin, name, sizeof name);
        if (!*name)
            continue;
        append_filled(&text, pare_template_files[i].text, words, n);
        char *path = pare_path_join(folder, name);
        rc = path && !text.failed ? pare_file_write(path, text.data, text.len, err)
                                  : pare_error_nomem(err, 0);
        free(path);
        pare_str_free(&text);
    }
    return rc;
}

static bool is_kind(const char *kind)
{
    for (size_t i = 0; i < PARE_COUNT(kinds); i++) {
        if (strcmp(kinds[i], kind) == 0)
            return true;
    }
    return false;
}

int pare_plugin_new(const char *name, const char *kind, const char *folder, const char *share,
                    struct pare_error *err)
{
    char id[120], title[80];
    const char *dot = strrchr(name, '.');
    const char *plugin = dot ? dot + 1 : name;
    snprintf(id, sizeof id, "%s%s", dot ? "" : "org.example.", name);
    if (!*plugin || strlen(name) > 60 || !pare_plugin_id_is_plain(id)) {
        pare_error_set(err, PARE_INVALID, "'%.80s' is no name for a plugin", name);
        pare_error_hint(err, "lower case letters, digits and '-': drop-small, or with a domain of "
                             "yours com.example.drop-small");
        return PARE_INVALID;
    }
    if (!is_kind(kind)) {
        pare_error_set(err, PARE_INVALID, "there is no kind '%.40s' to begin with", kind);
        pare_error_hint(err, "--kind is one of transform, score, allocate, encoding, metric");
        return PARE_INVALID;
    }
    if (pare_file_exists(folder))
        return pare_error_set(err, PARE_INVALID, "%s is there already", folder);
    snprintf(title, sizeof title, "%s", plugin);
    for (char *c = title; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    const struct word words[] = {
        {"@ID@", id},       {"@NAME@", plugin}, {"@LABEL@", plugin},
        {"@TITLE@", title}, {"@SHARE@", share},
    };
    int rc = pare_make_folders(folder, err);
    return rc == PARE_OK ? write_files(kind, plugin, folder, words, PARE_COUNT(words), err) : rc;
}
