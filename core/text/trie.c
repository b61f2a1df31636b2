/* SPDX-License-Identifier: Apache-2.0 */
#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct pare_trie_entry *x = a, *y = b;
    const size_t n = PARE_MIN(x->key.len, y->key.len);
    const int order = n ? memcmp(x->key.data, y->key.data, n) : 0;
    if (order != 0)
        return order;
    if (x->key.len != y->key.len)
        return x->key.len < y->key.len ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* What is still to be divided: entries [lo, hi) share the first `depth` bytes, which `node` is. */
struct range {
    size_t lo, hi, depth, node;
};

struct builder {
    struct pare_trie_node *nodes;
    size_t n, cap;
    struct range *todo;
    size_t n_todo, todo_cap;
};

static bool push(struct builder *b, struct range r)
{
    if (!pare_grow(&b->todo, &b->todo_cap, b->n_todo + 1, sizeof *b->todo))
        return false;
    b->todo[b->n_todo++] = r;
    return true;
}

static bool divide(struct builder *b, const struct pare_trie_entry *e, struct range r)
{
    const size_t first = b->n;
    size_t i = r.lo;
    while (i < r.hi && e[i].key.len == r.depth) {
        if (b->nodes[r.node].value < 0)
            b->nodes[r.node].value = e[i].value;
        i++;
    }
    while (i < r.hi) {
        const uint8_t byte = (uint8_t)e[i].key.data[r.depth];
        size_t end = i + 1;
        while (end < r.hi && (uint8_t)e[end].key.data[r.depth] == byte)
            end++;
        if (b->n >= UINT32_MAX || !pare_grow(&b->nodes, &b->cap, b->n + 1, sizeof *b->nodes) ||
            !push(b, (struct range){i, end, r.depth + 1, b->n}))
            return false;
        b->nodes[b->n++] = (struct pare_trie_node){.byte = byte, .value = -1};
        i = end;
    }
    b->nodes[r.node].child = (uint32_t)first;
    b->nodes[r.node].n_children = (uint16_t)(b->n - first);
    return true;
}

int pare_trie_build(struct pare_trie_entry *entries, size_t n, struct pare_pool *pool,
                    struct pare_trie *out, struct pare_error *err)
{
    struct builder b = {0};
    int rc = PARE_OK;
    *out = (struct pare_trie){0};
    if (n > 0)
        qsort(entries, n, sizeof *entries, compare);
    size_t skip = 0;
    while (skip < n && entries[skip].key.len == 0)
        skip++;
    if (skip == n)
        return PARE_OK;
    bool fine = pare_grow(&b.nodes, &b.cap, 1, sizeof *b.nodes);
    if (fine) {
        b.nodes[b.n++] = (struct pare_trie_node){.value = -1};
        fine = push(&b, (struct range){skip, n, 0, 0});
    }
    while (fine && b.n_todo > 0)
        fine = divide(&b, entries, b.todo[--b.n_todo]);
    struct pare_trie_node *nodes = fine ? pare_pool_alloc(pool, b.n, sizeof *nodes) : NULL;
    if (nodes) {
        memcpy(nodes, b.nodes, b.n * sizeof *nodes);
        *out = (struct pare_trie){nodes, b.n};
    } else {
        rc = pare_error_nomem(err, 0);
    }
    free(b.nodes);
    free(b.todo);
    return rc;
}

const struct pare_trie_node *pare_trie_step(const struct pare_trie *trie,
                                            const struct pare_trie_node *node, uint8_t byte)
{
    size_t lo = node->child, hi = lo + node->n_children;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (trie->nodes[mid].byte < byte)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < (size_t)node->child + node->n_children && trie->nodes[lo].byte == byte
               ? &trie->nodes[lo]
               : NULL;
}

int32_t pare_trie_longest(const struct pare_trie *trie, const char *text, size_t n, size_t *len)
{
    int32_t best = -1;
    const struct pare_trie_node *node = trie->nodes;
    for (size_t i = 0; node && i < n; i++) {
        node = pare_trie_step(trie, node, (uint8_t)text[i]);
        if (node && node->value >= 0) {
            best = node->value;
            *len = i + 1;
        }
    }
    return best;
}
