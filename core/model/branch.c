/* SPDX-License-Identifier: Apache-2.0 */
#include "model/branch.h"

#include <stdio.h>
#include <string.h>

static bool reads(const struct pare_node *node, uint32_t value)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (node->inputs[i] == value)
            return true;
    }
    return false;
}

/* Whether what node `at` writes reaches `value` through nodes up to and including `last`. */
static bool leads_to(const struct pare_graph *g, uint32_t at, uint32_t value, uint32_t last)
{
    const struct pare_node *node = &g->nodes[at];
    for (uint32_t o = 0; o < node->n_outputs; o++) {
        if (node->outputs[o] == value)
            return true;
        for (uint32_t i = at + 1; i <= last; i++) {
            if (reads(&g->nodes[i], node->outputs[o]) && leads_to(g, i, value, last))
                return true;
        }
    }
    return false;
}

bool pare_branch_has(const struct pare_graph *g, const struct pare_branch *b, uint32_t at)
{
    return at >= b->first && at < b->add && leads_to(g, at, b->out, b->add - 1);
}

/* The hidden channels: rows of the linear before the element-wise operations that feed the
 * consumer. */
static int32_t find_producer(const struct pare_graph *g, const struct pare_branch *b)
{
    int32_t at = b->consumer;
    while (at >= 0) {
        at = pare_graph_writer(g, g->nodes[at].inputs[0]);
        if (at < (int32_t)b->first)
            return -1;
        if (g->nodes[at].op == PARE_OP_LINEAR)
            return at;
        if (g->nodes[at].op != PARE_OP_ACTIVATION)
            return -1;
    }
    return -1;
}

static bool describe(const struct pare_graph *g, uint32_t at, uint32_t stream, uint32_t out,
                     struct pare_branch *b)
{
    const struct pare_node *add = &g->nodes[at];
    int32_t from = pare_graph_writer(g, stream), to = pare_graph_writer(g, out);
    if (to <= from)
        return false;
    *b = (struct pare_branch){.add = at,
                              .stream = stream,
                              .out = out,
                              .first = (uint32_t)(from + 1),
                              .attention = -1,
                              .consumer = -1,
                              .producer = -1,
                              .block = add->block};
    bool starts = false;
    for (uint32_t i = b->first; i < at; i++) {
        if (!pare_branch_has(g, b, i))
            continue;
        starts = starts || reads(&g->nodes[i], stream);
        if (g->nodes[i].op == PARE_OP_ATTENTION)
            b->attention = (int32_t)i;
    }
    if (!starts)
        return false;
    while (!pare_branch_has(g, b, b->first))
        b->first++;
    if (g->nodes[to].op == PARE_OP_LINEAR)
        b->consumer = to;
    if (b->attention < 0)
        b->producer = find_producer(g, b);
    size_t n = strlen(add->path);
    snprintf(b->path, sizeof b->path, "%s", add->path);
    if (n > 4 && strcmp(add->path + n - 4, ".add") == 0)
        b->path[n - 4] = '\0';
    return true;
}

bool pare_branch_at(const struct pare_graph *g, uint32_t at, struct pare_branch *out)
{
    const struct pare_node *add = &g->nodes[at];
    if (add->op != PARE_OP_ADD)
        return false;
    return describe(g, at, add->inputs[0], add->inputs[1], out) ||
           describe(g, at, add->inputs[1], add->inputs[0], out);
}

bool pare_branch_find(const struct pare_graph *g, const char *path, struct pare_branch *out)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (pare_branch_at(g, i, out) && strcmp(out->path, path) == 0)
            return true;
    }
    return false;
}
