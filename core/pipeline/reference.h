/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_REFERENCE_H
#define PARE_PIPELINE_REFERENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What every key of a pipeline means, in one line: editors show it, by the schema, and
 * docs/pipelines.md has it word for word (tests hold all three together). */
struct pare_reference_row {
    const char *where; /* a heading of docs/pipelines.md */
    const char *key;
    const char *what;
};
const struct pare_reference_row *pare_references(size_t *n);

/* The line of a key; NULL: there is none. */
const char *pare_reference_of(const char *where, const char *key);

/* Give the keys of the schema (see pare_schema()) their descriptions. False: no memory, or a key of
 * the table that the schema lacks. */
bool pare_reference_describe(json_t *schema);

#endif
