/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TESTS_REPLAY_H
#define PARE_TESTS_REPLAY_H

/* The main of a fuzz target for compilers without a fuzzer: it runs the files of a corpus, or those
 * named, whole and as `vary` changes them. Reports in TAP. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* May change the bytes; calls the target. */
typedef void (*replay_vary)(char *data, size_t size);

/* A vary: every way the bytes could be cut off, at most a few hundred. */
static inline void replay_cuts(char *data, size_t size)
{
    for (size_t cut = 0; cut < size; cut += size / 300 + 1)
        LLVMFuzzerTestOneInput((const uint8_t *)data, cut);
}

static int replay(const char *path, replay_vary vary)
{
    char *data;
    size_t size;
    struct pare_error err;
    if (pare_file_read(path, 4u << 20, &data, &size, &err) != PARE_OK) {
        printf("not ok - %s: %s\n", path, err.what);
        return 1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    vary(data, size);
    free(data);
    printf("ok - %s\n", pare_path_name(path));
    return 0;
}

/* `corpus`: a folder of the source tree. Returns what main() does. */
static int replay_main(int argc, char **argv, const char *corpus, replay_vary vary)
{
    int failed = 0, n = 0;
    if (argc > 1) {
        for (int i = 1; i < argc; i++, n++)
            failed += replay(argv[i], vary);
    } else {
        const char *top = getenv("PARE_TOP_SRC");
        char *files = pare_path_join(top ? top : ".", corpus);
        DIR *dir = files ? opendir(files) : NULL;
        struct dirent *entry;
        while (dir && (entry = readdir(dir)) != NULL) {
            char *path = entry->d_name[0] == '.' ? NULL : pare_path_join(files, entry->d_name);
            if (path) {
                failed += replay(path, vary);
                n++;
            }
            free(path);
        }
        if (dir)
            closedir(dir);
        free(files);
    }
    printf("1..%d\n", n);
    return failed || n == 0;
}

#endif
