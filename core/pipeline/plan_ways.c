/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "pipeline/plan_parts.h"

/* ---- the table ---- */

static uint64_t fnv1a(const void *key, size_t size)
{
    const unsigned char *p = key;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h ^ (h >> 32);
}

static size_t slot_of(const struct pare_table *t, uint64_t hash, const void *key, size_t size)
{
    size_t i = hash & (t->cap - 1);
    while (t->entries[i].key && (t->entries[i].hash != hash || t->entries[i].size != size ||
                                 memcmp(t->entries[i].key, key, size) != 0))
        i = (i + 1) & (t->cap - 1);
    return i;
}

size_t pare_table_find(const struct pare_table *t, const void *key, size_t size)
{
    if (t->cap == 0)
        return PARE_TABLE_NONE;
    const struct pare_table_entry *e = &t->entries[slot_of(t, fnv1a(key, size), key, size)];
    return e->key ? e->value : PARE_TABLE_NONE;
}

bool pare_table_add(struct pare_table *t, const void *key, size_t size, size_t value)
{
    if (t->n * 2 >= t->cap) {
        struct pare_table larger = {.cap = t->cap ? t->cap * 2 : 64, .n = t->n};
        larger.entries = pare_calloc(larger.cap, sizeof *larger.entries);
        if (!larger.entries)
            return false;
        for (size_t i = 0; i < t->cap; i++) {
            const struct pare_table_entry *e = &t->entries[i];
            if (e->key)
                larger.entries[slot_of(&larger, e->hash, e->key, e->size)] = *e;
        }
        free(t->entries);
        *t = larger;
    }
    uint64_t hash = fnv1a(key, size);
    struct pare_table_entry *e = &t->entries[slot_of(t, hash, key, size)];
    t->n += e->key == NULL;
    *e = (struct pare_table_entry){key, size, hash, value};
    return true;
}

void pare_table_free(struct pare_table *t)
{
    free(t->entries);
    *t = (struct pare_table){0};
}

/* ---- the ways of an item ---- */

static int add_way(struct pare_ways *ways, struct pare_ref *refs, size_t n)
{
    if (ways->n >= PARE_COMBINATIONS_MOST)
        return PARE_INVALID;
    if (!pare_grow(&ways->items, &ways->cap, ways->n + 1, sizeof *ways->items))
        return PARE_NOMEM;
    ways->items[ways->n++] = (struct pare_way){refs, n};
    return PARE_OK;
}

static int stage_ways(const struct pare_ways_context *c, size_t stage, struct pare_ways *out)
{
    const struct pare_pipeline_stage *s = &c->p->stages[stage];
    size_t n = json_array_size(s->settings);
    struct pare_ref *refs = pare_pool_alloc(c->pool, n, sizeof *refs);
    int rc = refs ? PARE_OK : PARE_NOMEM;
    if (rc == PARE_OK && s->optional)
        rc = add_way(out, NULL, 0);
    for (size_t i = 0; rc == PARE_OK && i < n; i++) {
        refs[i] = (struct pare_ref){(uint32_t)stage, (uint32_t)i};
        rc = add_way(out, &refs[i], 1);
    }
    return rc;
}

static int one_of_ways(const struct pare_ways_context *c, const struct pare_item *item,
                       struct pare_ways *out)
{
    bool empty = false; /* several optional alternatives: without any of them is one way */
    int rc = PARE_OK;
    for (size_t i = 0; rc == PARE_OK && i < item->n_items; i++) {
        struct pare_ways part = {0};
        rc = pare_ways_of(c, &item->items[i], &part);
        for (size_t k = 0; rc == PARE_OK && k < part.n; k++) {
            if (part.items[k].n == 0 && empty)
                continue;
            empty = empty || part.items[k].n == 0;
            rc = add_way(out, part.items[k].refs, part.items[k].n);
        }
        free(part.items);
    }
    return rc;
}

#define PARTS_MOST 6 /* as the reader allows in one group */

static bool next_permutation(size_t *order, size_t n)
{
    size_t i = n;
    while (i > 1 && order[i - 2] >= order[i - 1])
        i--;
    if (i <= 1)
        return false;
    size_t pivot = i - 2, last = n - 1;
    while (order[last] <= order[pivot])
        last--;
    size_t swap = order[pivot];
    order[pivot] = order[last];
    order[last] = swap;
    for (size_t a = pivot + 1, b = n - 1; a < b; a++, b--) {
        swap = order[a];
        order[a] = order[b];
        order[b] = swap;
    }
    return true;
}

static bool allowed(const struct pare_ways_context *c, const struct pare_ref *refs, size_t n)
{
    for (size_t a = 0; a < n; a++) {
        for (size_t b = a + 1; b < n; b++) {
            if (c->forbidden[refs[a].stage * c->p->n_stages + refs[b].stage])
                return false;
        }
    }
    return true;
}

static int add_order(const struct pare_ways_context *c, const struct pare_way *const *parts,
                     const size_t *order, size_t n, bool must, struct pare_ways *out)
{
    size_t total = 0, k = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i]->n;
    struct pare_ref *refs = pare_pool_alloc(c->pool, total, sizeof *refs);
    if (!refs)
        return PARE_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct pare_way *part = parts[order[i]];
        memcpy(refs + k, part->refs, part->n * sizeof *refs);
        k += part->n;
    }
    return must || allowed(c, refs, total) ? add_way(out, refs, total) : PARE_OK;
}

/* The orders that the plugins allow; where they allow none, the order written, which the plan then
 * skips and gives the reason. */
static int add_orders(const struct pare_ways_context *c, const struct pare_way *const *parts,
                      size_t n, struct pare_ways *out)
{
    size_t order[PARTS_MOST] = {0, 1, 2, 3, 4, 5};
    size_t before = out->n;
    int rc = PARE_OK;
    do {
        rc = add_order(c, parts, order, n, false, out);
    } while (rc == PARE_OK && next_permutation(order, n));
    if (rc == PARE_OK && out->n == before) {
        for (size_t i = 0; i < n; i++)
            order[i] = i;
        rc = add_order(c, parts, order, n, true, out);
    }
    return rc;
}

static int any_order_ways(const struct pare_ways_context *c, const struct pare_item *item,
                          struct pare_ways *out)
{
    struct pare_ways parts[PARTS_MOST] = {{0}};
    size_t digit[PARTS_MOST] = {0};
    size_t n = item->n_items, total = 1;
    int rc = n <= PARTS_MOST ? PARE_OK : PARE_INVALID;
    for (size_t i = 0; rc == PARE_OK && i < n; i++) {
        rc = pare_ways_of(c, &item->items[i], &parts[i]);
        if (rc == PARE_OK &&
            (!pare_mul_size(total, parts[i].n, &total) || total > PARE_COMBINATIONS_MOST))
            rc = PARE_INVALID;
    }
    for (size_t k = 0; rc == PARE_OK && k < total; k++) {
        const struct pare_way *present[PARTS_MOST];
        size_t n_present = 0;
        for (size_t i = 0; i < n; i++) {
            const struct pare_way *way = &parts[i].items[digit[i]];
            if (way->n)
                present[n_present++] = way;
        }
        rc = add_orders(c, present, n_present, out);
        for (size_t i = n; i-- > 0;) {
            if (++digit[i] < parts[i].n)
                break;
            digit[i] = 0;
        }
    }
    for (size_t i = 0; i < PARE_MIN(n, (size_t)PARTS_MOST); i++)
        free(parts[i].items);
    return rc;
}

int pare_ways_of(const struct pare_ways_context *c, const struct pare_item *item,
                 struct pare_ways *out)
{
    switch (item->kind) {
    case PARE_ITEM_ANY_ORDER:
        return any_order_ways(c, item, out);
    case PARE_ITEM_ONE_OF:
        return one_of_ways(c, item, out);
    default:
        return stage_ways(c, item->stage, out);
    }
}
