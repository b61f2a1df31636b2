/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_FUZZ_REPLAY_H
#define PARE_FUZZ_REPLAY_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An ordinary main for a fuzz target, for compilers without a fuzzer: every file of a folder of the
 * corpus (or those named), and every way it could be cut off, at most a few hundred. */
static inline int pare_replay_file(const char *path)
{
    char *data;
    size_t size;
    struct pare_error err;
    if (pare_file_read(path, 4u << 20, &data, &size, &err) != PARE_OK) {
        printf("not ok - %s: %s\n", path, err.what);
        return 1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    for (size_t cut = 0; cut < size; cut += size / 300 + 1)
        LLVMFuzzerTestOneInput((const uint8_t *)data, cut);
    free(data);
    printf("ok - %s\n", pare_path_name(path));
    return 0;
}

static inline int pare_replay(int argc, char **argv, const char *corpus)
{
    int failed = 0, n = 0;
    for (int i = 1; i < argc; i++, n++)
        failed += pare_replay_file(argv[i]);
    const char *top = getenv("PARE_TOP_SRC");
    char *folder = argc > 1 ? NULL : pare_path_join(top ? top : ".", corpus);
    DIR *dir = folder ? opendir(folder) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        char *path = entry->d_name[0] == '.' ? NULL : pare_path_join(folder, entry->d_name);
        if (path) {
            failed += pare_replay_file(path);
            n++;
        }
        free(path);
    }
    if (dir)
        closedir(dir);
    free(folder);
    printf("1..%d\n", n);
    return failed || n == 0;
}

#endif
