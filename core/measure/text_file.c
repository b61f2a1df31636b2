/* SPDX-License-Identifier: Apache-2.0 */
/* Which file of a folder holds the texts of a split. */
#include "measure/source.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"

static const char *const endings[] = {".txt", ".jsonl", ".tsv"};

/* Length of a file's name without one of the endings; 0: it has none of them. */
static size_t stem(const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < PARE_COUNT(endings); i++) {
        const size_t m = strlen(endings[i]);
        if (n > m && strcmp(name + n - m, endings[i]) == 0)
            return n - m;
    }
    return 0;
}

static int none(const struct pare_data_spec *spec, struct pare_error *err)
{
    pare_error_set(err, PARE_NOT_FOUND, "%s has no text%s%s", spec->from,
                   spec->split ? " of the split " : "", spec->split ? spec->split : "");
    pare_error_hint(err, "models of text read a file, or SPLIT.txt, SPLIT.jsonl or SPLIT.tsv in a "
                         "folder");
    return PARE_NOT_FOUND;
}

static int take(struct pare_place *out, char *path, char *split, struct pare_error *err)
{
    out->images = path;
    out->split = split;
    return path && split ? PARE_OK : pare_error_nomem(err, 0);
}

int pare_place_text(const struct pare_data_spec *spec, struct pare_place *out,
                    struct pare_error *err)
{
    struct pare_pool pool = {0};
    const char **names = NULL, *found = NULL;
    size_t n = 0;
    int rc;
    if (!pare_is_folder(spec->from))
        return take(out, pare_strdup(spec->from),
                    pare_strdup(spec->split ? spec->split : pare_path_name(spec->from)), err);
    PARE_TRY(pare_folder_list(spec->from, &pool, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const size_t length = stem(names[i]);
        if (!length || (spec->split && (strlen(spec->split) != length ||
                                        strncmp(names[i], spec->split, length) != 0)))
            continue;
        if (found) {
            rc = pare_error_set(err, PARE_INVALID, "%s has several texts: name a %s", spec->from,
                                spec->split ? "file" : "split");
            pare_error_detail(err, "%s and %s are two", found, names[i]);
            goto out;
        }
        found = names[i];
    }
    rc = found ? take(out, pare_path_join(spec->from, found), strndup(found, stem(found)), err)
               : none(spec, err);
out:
    free(names);
    pare_pool_free(&pool);
    return rc;
}
