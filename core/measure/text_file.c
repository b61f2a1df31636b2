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

/* `names` are those of the folder. */
static int none(const struct pare_data_spec *spec, const char **names, size_t n,
                struct pare_error *err)
{
    struct pare_str there = {0};
    pare_error_set(err, PARE_NOT_FOUND, "%s has no text%s%s", spec->from,
                   spec->split ? " of the split " : "", spec->split ? spec->split : "");
    for (size_t i = 0; i < n; i++) {
        if (stem(names[i]))
            pare_str_printf(&there, "%s %s", there.len ? "," : "there:", names[i]);
    }
    pare_error_detail(err, "%s", there.data ? there.data : "");
    pare_str_free(&there);
    if (spec->split)
        pare_error_hint(err, "models of text read %s/%s.txt, .jsonl or .tsv", spec->from,
                        spec->split);
    else
        pare_error_hint(err, "models of text read a file, or SPLIT.txt, SPLIT.jsonl or SPLIT.tsv "
                             "in a folder");
    return PARE_NOT_FOUND;
}

/* Columns are read where tabs separate them, which no text holds. */
static int refuse_commas(const char *path, struct pare_error *err)
{
    if (!pare_ends_with(path, ".csv"))
        return PARE_OK;
    pare_error_set(err, PARE_UNSUPPORTED, "%s: .csv is not read", path);
    pare_error_hint(err, "labelled texts are .jsonl, or .tsv, whose columns tabs separate");
    return PARE_UNSUPPORTED;
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
    PARE_TRY(refuse_commas(spec->from, err));
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
            pare_error_hint(err, "%s/%s is one", spec->from, found);
            goto out;
        }
        found = names[i];
    }
    rc = found ? take(out, pare_path_join(spec->from, found), strndup(found, stem(found)), err)
               : none(spec, names, n, err);
out:
    free(names);
    pare_pool_free(&pool);
    return rc;
}

static int measure_split(const struct pare_data_spec *spec, const struct pare_model *model,
                         struct pare_split *out, struct pare_error *err)
{
    struct pare_dataset *data = NULL;
    int rc;
    PARE_TRY(pare_dataset_open(spec, model, &data, err));
    snprintf(out->name, sizeof out->name, "%s", spec->split ? spec->split : "");
    out->samples = pare_dataset_size(data);
    out->task = pare_dataset_task(data);
out:
    pare_dataset_close(data);
    return rc;
}

int pare_text_splits(const char *path, const struct pare_model *model, struct pare_split *out,
                     size_t room, size_t *n, struct pare_error *err)
{
    struct pare_pool pool = {0};
    const char **names = NULL;
    struct pare_data_spec spec = {.from = path};
    size_t n_names = 0;
    int rc;
    *n = 0;
    if (!pare_is_folder(path)) {
        PARE_TRY(measure_split(&spec, model, out, err));
        *n = 1;
        goto out;
    }
    PARE_TRY(pare_folder_list(path, &pool, &names, &n_names, err));
    for (size_t i = 0; i < n_names && *n < room; i++) {
        char split[sizeof out->name];
        const size_t length = stem(names[i]);
        if (!length || length >= sizeof split)
            continue;
        snprintf(split, sizeof split, "%.*s", (int)length, names[i]);
        spec.split = split;
        PARE_TRY(measure_split(&spec, model, &out[(*n)++], err));
    }
    if (!*n)
        rc = none(&(struct pare_data_spec){.from = path}, NULL, 0, err);
out:
    free(names);
    pare_pool_free(&pool);
    return rc;
}
