/* SPDX-License-Identifier: Apache-2.0 */
/* Where graphs can be cut, and what leads there, as keys of content. */
#include "model/prefix.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

size_t pare_point_floats(const struct pare_point *point)
{
    size_t total = 0;
    for (uint32_t i = 0; i < point->n; i++)
        total += point->floats[i];
    return total;
}

static void add_u64(struct pare_hash *h, uint64_t x)
{
    pare_hash_add(h, &x, sizeof x); /* keys serve one machine: its byte order will do */
}

static void add_blob(struct pare_hash *h, const struct pare_blob *blob)
{
    add_u64(h, blob ? blob->size + 1 : 0);
    if (blob && blob->size)
        pare_hash_add(h, blob->data, blob->size);
}

static void add_weight(struct pare_hash *h, const struct pare_weight *w)
{
    add_u64(h, w != NULL);
    if (!w)
        return;
    const uint64_t shape[] = {w->rows,   w->cols, w->structure, w->n,     w->m,
                              w->values, w->bits, w->zero_kind, w->group, w->groups};
    pare_hash_add(h, shape, sizeof shape);
    add_blob(h, w->stored);
    add_blob(h, w->index);
    add_blob(h, w->scales);
    add_blob(h, w->zeros);
}

static void add_f32(struct pare_hash *h, float x)
{
    pare_hash_add(h, &x, sizeof x);
}

/* All that a node's outputs depend on; paths, roles and original numbers are names only. Values are
 * told by the order in which they are written, which does not depend on what was removed later. */
static void add_node(struct pare_hash *h, const struct pare_node *node, const uint32_t *order)
{
    const uint64_t numbers[] = {node->op,
                                node->n_inputs,
                                node->n_outputs,
                                node->kernel,
                                node->prefix,
                                node->heads,
                                node->merge,
                                node->token,
                                node->activation,
                                node->activation_bits,
                                node->activation_group,
                                node->kv_heads,
                                node->causal,
                                node->window,
                                node->cache_bits,
                                node->adjacent,
                                node->embed};
    pare_hash_add(h, numbers, sizeof numbers);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        add_u64(h, order[node->inputs[i]]);
    add_f32(h, node->eps);
    add_f32(h, node->scale);
    add_weight(h, node->weight);
    add_blob(h, node->bias);
    add_blob(h, node->a);
    add_blob(h, node->b);
}

/* The values that live before node `at`, in the order of their writers; more than fit: 0. */
static uint32_t living(const struct pare_graph *g, uint32_t at, const uint32_t *last,
                       uint32_t *values)
{
    uint32_t n = 0;
    if (last[0] >= at)
        return 0; /* the image: nothing is saved */
    for (uint32_t i = 0; i < at; i++) {
        for (uint32_t o = 0; o < g->nodes[i].n_outputs; o++) {
            uint32_t value = g->nodes[i].outputs[o];
            if (last[value] < at)
                continue;
            if (n == PARE_POINT_VALUES)
                return 0;
            values[n++] = value;
        }
    }
    return n;
}

int pare_graph_points(const struct pare_graph *g, struct pare_point **out, size_t *n,
                      struct pare_error *err)
{
    uint32_t *order = pare_calloc(g->n_values, sizeof *order); /* the image is 0 */
    uint32_t *last = pare_calloc(g->n_values, sizeof *last);   /* node that reads it last */
    struct pare_point *points = pare_calloc(g->n_nodes, sizeof *points);
    struct pare_hash chain;
    uint64_t macs = 0;
    uint32_t written = 0;
    int rc = PARE_OK;
    *n = 0;
    if (!order || !last || !points) {
        rc = pare_error_nomem(err, g->n_nodes * sizeof *points);
        goto out;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t k = 0; k < g->nodes[i].n_inputs; k++)
            last[g->nodes[i].inputs[k]] = i;
    }
    last[g->output] = UINT32_MAX;
    pare_hash_begin(&chain);
    add_u64(&chain, g->channels);
    add_u64(&chain, g->height);
    add_u64(&chain, g->width);
    add_u64(&chain, g->length);
    for (uint32_t i = 0; i + 1 < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        struct pare_point p = {.at = i + 1};
        add_node(&chain, node, order);
        macs += pare_node_macs(g, node);
        for (uint32_t o = 0; o < node->n_outputs; o++)
            order[node->outputs[o]] = ++written;
        p.n = living(g, p.at, last, p.values);
        if (p.n == 0)
            continue;
        struct pare_hash here = chain;
        for (uint32_t k = 0; k < p.n; k++) {
            const struct pare_value *v = &g->values[p.values[k]];
            add_u64(&here, order[p.values[k]]);
            p.floats[k] = (size_t)v->tokens * v->width;
        }
        p.macs = macs;
        pare_hash_end(&here, p.key);
        points[(*n)++] = p;
    }
    *out = points;
    points = NULL;
out:
    free(order);
    free(last);
    free(points);
    return rc;
}
