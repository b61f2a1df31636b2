/* SPDX-License-Identifier: Apache-2.0 */
/* A folder with a folder of images per class. */
#include "measure/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

#define FILES_MAX (1u << 26)

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int pare_folder_list(const char *folder, struct pare_pool *pool, const char ***out, size_t *n,
                     struct pare_error *err)
{
    const char **names = NULL;
    size_t count = 0, cap = 0;
    struct dirent *entry;
    int rc = PARE_OK;
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT || errno == ENOTDIR
                   ? pare_error_set(err, PARE_NOT_FOUND, "%s is not a folder", folder)
                   : pare_error_errno(err, "cannot list %s", folder);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (!pare_grow(&names, &cap, count + 1, sizeof *names) || count == FILES_MAX ||
            !(names[count++] = pare_pool_strdup(pool, entry->d_name))) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
    }
    if (count)
        qsort(names, count, sizeof *names, by_name);
    *out = names;
    *n = count;
    names = NULL;
out:
    closedir(dir);
    free(names);
    return rc;
}

static bool is_image_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < PARE_COUNT(endings); i++) {
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    }
    return false;
}

/* Add the images of one class. */
static int add_class(const char *folder, const char *name, struct pare_image_files *files,
                     size_t *cap_paths, size_t *cap_classes, struct pare_error *err)
{
    char *path = pare_path_join(folder, name);
    const char **names = NULL;
    size_t n = 0;
    int rc = path ? PARE_OK : pare_error_nomem(err, 0);
    if (rc != PARE_OK || !pare_is_folder(path))
        goto out;
    PARE_TRY(pare_folder_list(path, &files->pool, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (!is_image_name(names[i]))
            continue;
        char *file = pare_pool_printf(&files->pool, "%s/%s", path, names[i]);
        if (!file || files->n == FILES_MAX ||
            !pare_grow(&files->paths, cap_paths, files->n + 1, sizeof *files->paths) ||
            !pare_grow(&files->classes, cap_classes, files->n + 1, sizeof *files->classes)) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
        files->paths[files->n] = file;
        files->classes[files->n++] = files->n_classes;
    }
    files->names[files->n_classes++] = name; /* a class without images keeps its number */
out:
    free(names);
    free(path);
    return rc;
}

int pare_image_files_list(const char *folder, struct pare_image_files *out, struct pare_error *err)
{
    struct pare_image_files files = {0};
    size_t n = 0, cap_paths = 0, cap_classes = 0;
    const char **names = NULL;
    int rc;
    PARE_TRY(pare_folder_list(folder, &files.pool, &names, &n, err));
    files.names = pare_pool_alloc(&files.pool, n + 1, sizeof *files.names);
    if (!files.names) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        PARE_TRY(add_class(folder, names[i], &files, &cap_paths, &cap_classes, err));
    if (files.n == 0) {
        rc = pare_error_set(err, PARE_INVALID, "%s holds no images", folder);
        pare_error_hint(err, "expected a folder per class with .jpg, .jpeg or .png files");
        goto out;
    }
    *out = files;
    files = (struct pare_image_files){0};
out:
    free(names);
    pare_image_files_free(&files);
    return rc;
}

void pare_image_files_free(struct pare_image_files *files)
{
    free(files->paths);
    free(files->classes);
    pare_pool_free(&files->pool);
    *files = (struct pare_image_files){0};
}

static bool holds_image(const char *folder)
{
    bool found = false;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    while (dir && !found && (entry = readdir(dir)) != NULL)
        found = entry->d_name[0] != '.' && is_image_name(entry->d_name);
    if (dir)
        closedir(dir);
    return found;
}

bool pare_has_image_files(const char *folder)
{
    bool found = false;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    while (dir && !found && (entry = readdir(dir)) != NULL) {
        char *path = entry->d_name[0] == '.' ? NULL : pare_path_join(folder, entry->d_name);
        found = path && pare_is_folder(path) && holds_image(path);
        free(path);
    }
    if (dir)
        closedir(dir);
    return found;
}
