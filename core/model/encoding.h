/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_ENCODING_H
#define PARE_MODEL_ENCODING_H

#include <stdbool.h>

#include <pare/plugin.h>

#include "model/weight.h"

/* The representations of weights that plugins brought to this process: known by the plugin's id,
 * for as long as it lives (plugins are never unloaded). Any thread. */
struct pare_own_encoding {
    char *id;
    struct pare_encoding table; /* what an older plugin lacks is NULL */
    const struct pare_encoding *theirs;
    char *path, *sha256; /* of the plugin's file */
    struct pare_own_encoding *next;
};

/* Copy a plugin's table, checked, under its id; `path` and `sha256` are of the file it came from.
 * The same table again, or that of a copy of the file, is fine; another one under an id that is
 * there is PARE_INVALID. */
int pare_encoding_add(const char *id, const struct pare_encoding *theirs, const char *path,
                      const char *sha256, struct pare_error *err);

/* The encoding of that id. One that is not there yet is asked of the resolver, which loads the
 * plugin that brings it. PARE_NOT_FOUND tells how to get it; another answer of the resolver is
 * passed on. */
int pare_encoding_find(const char *id, const struct pare_own_encoding **out,
                       struct pare_error *err);

/* Who finds plugins for models that name encodings: PARE_OK when the plugin of that id is loaded.
 * Set once, before models are opened; NULL: nobody. */
void pare_encoding_set_resolver(int (*resolve)(const char *id, struct pare_error *err));

/* A weight in an encoding; `data` is referenced. The bytes are checked, and all numbers are found
 * to be finite. */
int pare_weight_encoded(const struct pare_own_encoding *encoding, uint32_t rows, uint32_t cols,
                        struct pare_blob *data, struct pare_weight **out, struct pare_error *err);

/* As the plugin's functions take it. */
struct pare_encoded pare_encoded_of(const struct pare_weight *w);

#endif
