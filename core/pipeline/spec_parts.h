/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_SPEC_PARTS_H
#define PARE_PIPELINE_SPEC_PARTS_H

#include "pipeline/spec.h"

/* Between spec.c (the file's top level), spec_stages.c and spec_select.c. */
struct pare_reader {
    struct pare_checker check;
    struct pare_pipeline *p;
    bool measure_wrong; /* something in `measure` was refused: what it measures is not known */
};

/* A key that a map may have. `read` gets what the map fills in; NULL: it is read elsewhere. */
struct pare_field {
    const char *name;
    void (*read)(struct pare_reader *r, const struct pare_yaml *node, void *into);
    const char *later; /* not NULL: part of the design, but not built yet */
};

/* Read each key of a map by a table; `where` is for messages ("unknown key 'x' in WHERE"). A value
 * that is no map is an error, but nothing at all ("top1:") is an empty map. */
void pare_read_fields(struct pare_reader *r, const struct pare_yaml *map, const char *where,
                      const struct pare_field *fields, size_t n, void *into);

/* Pool memory for n zeroed elements; NULL: out of memory, which was noted. */
void *pare_read_alloc(struct pare_reader *r, size_t n, size_t size);
const char *pare_read_strdup(struct pare_reader *r, const char *text);

/* Scalars; what is wrong is said and *out stays. */
void pare_read_text(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                    const char **out);
void pare_read_uint(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                    uint64_t least, uint64_t most, uint64_t *out);
bool pare_read_word(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                    const char **out); /* letters, digits, '_' and '-' (names may also hold '.') */

void pare_read_limits(struct pare_reader *r, const struct pare_yaml *node, void *into);
void pare_read_stages(struct pare_reader *r, const struct pare_yaml *node);
void pare_read_excludes(struct pare_reader *r, const struct pare_yaml *node);
void pare_read_measure(struct pare_reader *r, const struct pare_yaml *node);
void pare_read_select(struct pare_reader *r, const struct pare_yaml *node);
void pare_read_search(struct pare_reader *r, const struct pare_yaml *node);

#endif
