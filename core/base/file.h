/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_FILE_H
#define PARE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Read a whole regular file of at most `limit` bytes. `*out` is NUL-terminated beyond `*size` and
 * freed with free(). Errors: PARE_NOT_FOUND, PARE_IO, PARE_INVALID (a folder, a device, too large).
 */
int pare_file_read(const char *path, size_t limit, char **out, size_t *size,
                   struct pare_error *err);

/* Write a file so that a reader sees the old content or the new, never a part: a temporary file
 * beside it, fsync, rename. */
int pare_file_write(const char *path, const void *data, size_t size, struct pare_error *err);
/* The same from pieces that come one after the other, without joining them in memory. */
struct pare_file_part {
    const void *data;
    size_t size;
};
int pare_file_write_parts(const char *path, const struct pare_file_part *pieces, size_t n,
                          struct pare_error *err);

/* A regular file mapped read-only. Zero bytes give data = NULL. */
struct pare_map {
    const void *data;
    size_t size;
};

int pare_map_open(const char *path, struct pare_map *out, struct pare_error *err);
void pare_map_close(struct pare_map *map);

bool pare_file_exists(const char *path); /* any kind */
bool pare_is_folder(const char *path);

/* Create a folder and those above it; one that is there already is fine. */
int pare_make_folders(const char *path, struct pare_error *err);

/* Remove a file or a whole folder; one that is not there is fine. Never follows a link out of it.
 */
int pare_remove_tree(const char *path, struct pare_error *err);

/* DIR/NAME, or NAME alone when it is absolute or `dir` is empty. Freed with free(); NULL: no
 * memory. */
char *pare_path_join(const char *dir, const char *name);

/* The folder part of a path ("." when it has none). Freed with free(); NULL: no memory. */
char *pare_path_folder(const char *path);

/* The part after the last slash; points into `path`. */
const char *pare_path_name(const char *path);

#endif
