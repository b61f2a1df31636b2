/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Open a regular file for reading and tell its size. */
static int open_regular(const char *path, int *fd, size_t *size, struct pare_error *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        int missing = errno == ENOENT || errno == ENOTDIR;
        pare_error_errno(err, "cannot open %s", path);
        if (missing && err)
            err->status = PARE_NOT_FOUND;
        return missing ? PARE_NOT_FOUND : PARE_IO;
    }
    if (fstat(*fd, &st) != 0) {
        pare_error_errno(err, "cannot look at %s", path);
        close(*fd);
        return PARE_IO;
    }
    if (!S_ISREG(st.st_mode)) {
        close(*fd);
        return pare_error_set(err, PARE_INVALID, "%s is not a regular file", path);
    }
    *size = (size_t)st.st_size;
    return PARE_OK;
}

int pare_file_read(const char *path, size_t limit, char **out, size_t *size, struct pare_error *err)
{
    int fd, rc;
    size_t want;
    char *data = NULL;

    rc = open_regular(path, &fd, &want, err);
    if (rc != PARE_OK)
        return rc;
    if (want > limit) {
        rc = pare_error_set(err, PARE_INVALID, "%s is too large: %zu bytes, at most %zu are read",
                            path, want, limit);
        goto out;
    }
    data = pare_alloc(want + 1, 1);
    if (!data) {
        rc = pare_error_nomem(err, want);
        goto out;
    }
    size_t got = 0;
    while (got < want) {
        ssize_t n = read(fd, data + got, want - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = pare_error_errno(err, "cannot read %s", path);
            goto out;
        }
        if (n == 0)
            break;
        got += (size_t)n;
    }
    data[got] = '\0';
    *out = data;
    *size = got;
    data = NULL;
out:
    free(data);
    close(fd);
    return rc;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, PARE_MIN(size, (size_t)1 << 30));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

int pare_file_write(const char *path, const void *data, size_t size, struct pare_error *err)
{
    return pare_file_write_parts(path, &(struct pare_file_part){data, size}, 1, err);
}

static int write_pieces(int fd, const struct pare_file_part *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (write_all(fd, pieces[i].data, pieces[i].size) != 0)
            return -1;
    }
    return 0;
}

int pare_file_write_parts(const char *path, const struct pare_file_part *pieces, size_t n,
                          struct pare_error *err)
{
    struct pare_str tmp = {0};
    int rc = PARE_OK, fd = -1;

    pare_str_printf(&tmp, "%s.%ld.part", path, (long)getpid());
    if (tmp.failed) {
        pare_str_free(&tmp);
        return pare_error_nomem(err, 0);
    }
    fd = open(tmp.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || write_pieces(fd, pieces, n) != 0 || fsync(fd) != 0)
        rc = pare_error_errno(err, "cannot write %s", path);
    if (fd >= 0 && close(fd) != 0 && rc == PARE_OK)
        rc = pare_error_errno(err, "cannot write %s", path);
    if (rc == PARE_OK && rename(tmp.data, path) != 0)
        rc = pare_error_errno(err, "cannot put %s in place", path);
    if (rc != PARE_OK && fd >= 0)
        unlink(tmp.data);
    pare_str_free(&tmp);
    return rc;
}

int pare_map_open(const char *path, struct pare_map *out, struct pare_error *err)
{
    int fd;
    size_t size;
    int rc = open_regular(path, &fd, &size, err);
    if (rc != PARE_OK)
        return rc;
    *out = (struct pare_map){.size = size};
    if (size) {
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = pare_error_errno(err, "cannot map %s", path);
        else
            out->data = p;
    }
    close(fd);
    return rc;
}

void pare_map_close(struct pare_map *map)
{
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct pare_map){0};
}

bool pare_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool pare_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int pare_make_folders(const char *path, struct pare_error *err)
{
    char *copy = pare_strdup(path);
    if (!copy)
        return pare_error_nomem(err, 0);
    int rc = PARE_OK;
    for (char *p = copy + 1; rc == PARE_OK; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char kept = *p;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            rc = pare_error_errno(err, "cannot create the folder %s", copy);
        *p = kept;
        if (!kept)
            break;
    }
    if (rc == PARE_OK && !pare_is_folder(path))
        rc = pare_error_set(err, PARE_INVALID, "%s is in the way: not a folder", path);
    free(copy);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

int pare_remove_tree(const char *path, struct pare_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0 && errno == ENOENT)
        return PARE_OK;
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        return pare_error_errno(err, "cannot remove %s", path);
    return PARE_OK;
}

char *pare_path_join(const char *dir, const char *name)
{
    struct pare_str s = {0};
    while (name[0] == '.' && name[1] == '/') /* "./x" is "x" from there */
        name += 2 + strspn(name + 2, "/");
    if (*name == '/' || !*dir || (strcmp(dir, ".") == 0 && *name))
        return pare_strdup(name);
    pare_str_append(&s, dir);
    if (s.len && s.data[s.len - 1] != '/')
        pare_str_append(&s, "/");
    pare_str_append(&s, name);
    return pare_str_take(&s);
}

char *pare_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct pare_str s = {0};
    if (!slash)
        return pare_strdup(".");
    pare_str_append_n(&s, path, slash == path ? 1 : (size_t)(slash - path));
    return pare_str_take(&s);
}

const char *pare_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
