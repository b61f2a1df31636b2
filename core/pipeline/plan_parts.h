/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_PLAN_PARTS_H
#define PARE_PIPELINE_PLAN_PARTS_H

#include "pipeline/plan.h"

/* A hash table from bytes to a number. The keys' memory is the caller's and must stay. */
struct pare_table {
    struct pare_table_entry {
        const void *key;
        size_t size;
        uint64_t hash;
        size_t value;
    } * entries;
    size_t cap, n; /* cap: a power of two */
};

#define PARE_TABLE_NONE SIZE_MAX

size_t pare_table_find(const struct pare_table *t, const void *key, size_t size);
bool pare_table_add(struct pare_table *t, const void *key, size_t size, size_t value);
void pare_table_free(struct pare_table *t);

/* One setting of one stage, and one way that part of the stages can go: an ordered list of them. */
struct pare_ref {
    uint32_t stage, setting;
};

struct pare_way {
    struct pare_ref *refs;
    size_t n;
};

struct pare_ways {
    struct pare_way *items;
    size_t n, cap;
};

/* All ways of an item. Memory is the pool's but for out->items, which is freed with free().
 * PARE_INVALID: more than PARE_COMBINATIONS_MOST. */
struct pare_ways_context {
    const struct pare_pipeline *p;
    struct pare_pool *pool;
    const bool *forbidden; /* [a * n_stages + b]: a must not run before b */
};
int pare_ways_of(const struct pare_ways_context *c, const struct pare_item *item,
                 struct pare_ways *out);

/* What `plan` tells besides the variants. `exclude_hits`: which excludes took something out. False:
 * no memory. */
bool pare_plan_describe(const struct pare_pipeline *p, const bool *exclude_hits,
                        struct pare_plan *plan);

#endif
