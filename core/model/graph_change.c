/* SPDX-License-Identifier: Apache-2.0 */
/* Building, copying and changing graphs. */
#include "base/mem.h"
#include "model/graph.h"

#include <stdlib.h>
#include <string.h>

void pare_node_retain(struct pare_node *node)
{
    pare_weight_ref(node->weight);
    pare_blob_ref(node->bias);
    pare_blob_ref(node->a);
    pare_blob_ref(node->b);
    pare_blob_ref(node->ids);
}

void pare_node_release(struct pare_node *node)
{
    pare_weight_unref(node->weight);
    pare_blob_unref(node->bias);
    pare_blob_unref(node->a);
    pare_blob_unref(node->b);
    pare_blob_unref(node->ids);
    node->weight = NULL;
    node->bias = node->a = node->b = node->ids = NULL;
}

int pare_graph_new(uint32_t channels, uint32_t height, uint32_t width, struct pare_graph **out,
                   struct pare_error *err)
{
    struct pare_graph *g = calloc(1, sizeof *g);
    size_t cap = 0;
    if (!g || !pare_grow(&g->values, &cap, 1, sizeof *g->values)) {
        free(g);
        return pare_error_nomem(err, sizeof *g);
    }
    g->cap_values = (uint32_t)cap;
    g->n_values = 1;
    g->values[0] = (struct pare_value){.tokens = channels, .width = height * width};
    g->channels = channels;
    g->height = height;
    g->width = width;
    *out = g;
    return PARE_OK;
}

int pare_graph_new_text(uint32_t vocabulary, uint32_t context, uint32_t length,
                        struct pare_graph **out, struct pare_error *err)
{
    int rc = pare_graph_new(0, 0, 0, out, err);
    if (rc != PARE_OK)
        return rc;
    (*out)->vocabulary = vocabulary;
    (*out)->context = context;
    (*out)->length = length;
    (*out)->values[0] = (struct pare_value){.tokens = length, .width = 1};
    return rc;
}

void pare_graph_free(struct pare_graph *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        pare_node_release(&g->nodes[i]);
    free(g->nodes);
    free(g->values);
    free(g);
}

int pare_graph_copy(const struct pare_graph *old, struct pare_graph **out, struct pare_error *err)
{
    struct pare_graph *g = malloc(sizeof *g);
    if (!g)
        return pare_error_nomem(err, sizeof *g);
    *g = *old;
    g->nodes = pare_alloc(old->n_nodes, sizeof *g->nodes);
    g->values = pare_alloc(old->n_values, sizeof *g->values);
    if (!g->nodes || !g->values) {
        free(g->nodes);
        free(g->values);
        free(g);
        return pare_error_nomem(err, old->n_nodes * sizeof *g->nodes);
    }
    if (old->n_nodes)
        memcpy(g->nodes, old->nodes, old->n_nodes * sizeof *g->nodes);
    memcpy(g->values, old->values, old->n_values * sizeof *g->values);
    g->cap_nodes = g->n_nodes;
    g->cap_values = g->n_values;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        pare_node_retain(&g->nodes[i]);
    *out = g;
    return PARE_OK;
}

static bool grow_nodes(struct pare_graph *g, uint32_t more_values)
{
    size_t nodes = g->cap_nodes, values = g->cap_values;
    if (g->n_nodes >= 1u << 20 || !pare_grow(&g->nodes, &nodes, g->n_nodes + 1u, sizeof *g->nodes))
        return false;
    g->cap_nodes = (uint32_t)nodes;
    if (!pare_grow(&g->values, &values, g->n_values + more_values, sizeof *g->values))
        return false;
    g->cap_values = (uint32_t)values;
    return true;
}

int pare_graph_insert(struct pare_graph *g, uint32_t at, const struct pare_node *node,
                      struct pare_error *err)
{
    struct pare_node own = *node;
    own.n_outputs = pare_op_outputs(node->op);
    if (own.path[0] && pare_graph_find(g, own.path) >= 0) {
        pare_node_release(&own);
        return pare_error_set(err, PARE_INVALID, "two parts of the model are called %s",
                              node->path);
    }
    if (!grow_nodes(g, own.n_outputs)) {
        pare_node_release(&own);
        return pare_error_nomem(err, sizeof own);
    }
    for (uint32_t i = 0; i < own.n_outputs; i++) {
        own.outputs[i] = g->n_values;
        g->values[g->n_values++] = (struct pare_value){0};
    }
    memmove(&g->nodes[at + 1], &g->nodes[at], (g->n_nodes - at) * sizeof *g->nodes);
    g->nodes[at] = own;
    g->n_nodes++;
    return PARE_OK;
}

int pare_graph_add(struct pare_graph *g, const struct pare_node *node, struct pare_error *err)
{
    return pare_graph_insert(g, g->n_nodes, node, err);
}

static void reroute(struct pare_graph *g, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t j = 0; j < g->nodes[i].n_inputs; j++) {
            if (g->nodes[i].inputs[j] == from)
                g->nodes[i].inputs[j] = to;
        }
    }
    if (g->output == from)
        g->output = to;
}

static void take_out(struct pare_graph *g, uint32_t at)
{
    pare_node_release(&g->nodes[at]);
    memmove(&g->nodes[at], &g->nodes[at + 1], (g->n_nodes - at - 1) * sizeof *g->nodes);
    g->n_nodes--;
}

void pare_graph_remove(struct pare_graph *g, uint32_t at, uint32_t instead)
{
    uint32_t gone = g->nodes[at].outputs[0];
    take_out(g, at);
    reroute(g, gone, instead);
}

static bool is_read(const struct pare_graph *g, uint32_t value)
{
    if (g->output == value)
        return true;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t j = 0; j < g->nodes[i].n_inputs; j++) {
            if (g->nodes[i].inputs[j] == value)
                return true;
        }
    }
    return false;
}

void pare_graph_sweep(struct pare_graph *g)
{
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        bool used = false;
        for (uint32_t o = 0; o < g->nodes[i].n_outputs; o++)
            used = used || is_read(g, g->nodes[i].outputs[o]);
        if (!used)
            take_out(g, i);
    }
}

int32_t pare_graph_find(const struct pare_graph *g, const char *path)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (strcmp(g->nodes[i].path, path) == 0)
            return (int32_t)i;
    }
    return -1;
}

int32_t pare_graph_writer(const struct pare_graph *g, uint32_t value)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t o = 0; o < g->nodes[i].n_outputs; o++) {
            if (g->nodes[i].outputs[o] == value)
                return (int32_t)i;
        }
    }
    return -1;
}
