/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_YAML_H
#define PARE_PIPELINE_YAML_H

#include "pipeline/diag.h"

/* What a YAML 1.2 core scalar can be, and the two collections. `yes`, `2:4`, `0755`, `0x10` and
 * dates are text; so is everything in quotes. */
enum pare_yaml_kind {
    PARE_YAML_NULL,
    PARE_YAML_BOOL,
    PARE_YAML_INT,
    PARE_YAML_REAL,
    PARE_YAML_TEXT,
    PARE_YAML_LIST,
    PARE_YAML_MAP
};

/* A node of the tree. Nodes named by an alias are shared: the tree is a graph without cycles. */
struct pare_yaml {
    enum pare_yaml_kind kind;
    bool quoted; /* scalars: written in quotes, or as a block */
    struct pare_mark at, end;
    const char *text;               /* scalars: as written, without quotes */
    bool boolean;                   /* BOOL */
    long long integer;              /* INT */
    double real;                    /* INT and REAL */
    size_t n;                       /* collections: entries */
    const struct pare_yaml **items; /* LIST: elements; MAP: values */
    const struct pare_yaml **keys;  /* MAP: scalars, all different */
    size_t weight;                  /* nodes below it with aliases followed, itself included */
    unsigned height;                /* levels below it */
};

struct pare_yaml_tree {
    const struct pare_yaml *root;
    struct pare_pool pool;
};

/* Limits: a pipeline is written by hand; what is larger was made to hurt. */
#define PARE_YAML_MAX_BYTES (1u << 20)
#define PARE_YAML_MAX_NODES 200000u
#define PARE_YAML_MAX_DEPTH 32u

/* Read one document. Mistakes go to `diags`, which is given the source under the name `path`.
 * Returns PARE_OK with a tree (duplicate keys are then in `diags`, so that what else is wrong can
 * be found too), PARE_INVALID without one, or PARE_NOMEM. Release with pare_yaml_free(). */
int pare_yaml_parse(const char *path, const char *text, size_t size, struct pare_diags *diags,
                    struct pare_yaml_tree *out);
void pare_yaml_free(struct pare_yaml_tree *tree);

/* Put a value at a place, by the setting of that number, from 1, in given->sets:
 * "data.evaluate.samples=400"; parts of the key are keys of maps (made when they are not there) and
 * ids or numbers of list elements, the value is YAML. What is put there carries marks into the
 * setting. */
int pare_yaml_set(struct pare_yaml_tree *tree, const struct pare_diags *given, size_t number,
                  struct pare_error *err);

/* The value (or the key's node) under a key of a map; NULL: not there, or no map. */
const struct pare_yaml *pare_yaml_get(const struct pare_yaml *map, const char *key);
const struct pare_yaml *pare_yaml_key(const struct pare_yaml *map, const char *key);

/* "text 'abc'", "integer 4", "a list": for "expected ..., got ...". `out` is also returned. */
const char *pare_yaml_describe(const struct pare_yaml *node, char out[80]);

/* Add a mistake that covers the node. */
#define pare_yaml_error(diags, node, ...)                                                          \
    pare_diag_add((diags), (node)->at, (node)->end, __VA_ARGS__)

#endif
