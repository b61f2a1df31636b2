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

/* The hidden channels: rows of the linears before the element-wise operations that feed the
 * consumer. False: something else is on the way. */
static bool find_producers(const struct pare_graph *g, struct pare_branch *b, uint32_t value)
{
    int32_t at = pare_graph_writer(g, value);
    bool known = false;
    if (at < (int32_t)b->first)
        return false;
    switch (g->nodes[at].op) {
    case PARE_OP_LINEAR:
        for (uint32_t i = 0; i < b->n_producers; i++)
            known = known || b->producers[i] == at;
        if (!known && b->n_producers == PARE_PRODUCERS)
            return false;
        if (!known)
            b->producers[b->n_producers++] = at;
        return true;
    case PARE_OP_ACTIVATION:
        return find_producers(g, b, g->nodes[at].inputs[0]);
    case PARE_OP_MUL:
        return find_producers(g, b, g->nodes[at].inputs[0]) &&
               find_producers(g, b, g->nodes[at].inputs[1]);
    default:
        return false;
    }
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
                              .last = -1,
                              .consumer = -1,
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
    if (g->nodes[to].op == PARE_OP_LINEAR) {
        const int32_t basis = pare_graph_basis(g, (uint32_t)to);
        b->last = to;
        b->consumer = basis >= 0 ? basis : to;
    }
    if (b->attention < 0 && b->consumer >= 0 &&
        !find_producers(g, b, g->nodes[b->consumer].inputs[0]))
        b->n_producers = 0;
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

bool pare_graph_causal(const struct pare_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op == PARE_OP_ATTENTION && g->nodes[i].causal)
            return true;
    }
    return false;
}

/* ---- heads and channels
 * -------------------------------------------------------------------------- */

bool pare_branch_source(const struct pare_graph *g, const struct pare_branch *b, uint32_t input,
                        struct pare_source *out)
{
    int32_t at = pare_graph_writer(g, g->nodes[b->attention].inputs[input]);
    *out = (struct pare_source){0};
    for (; at >= (int32_t)b->first; at = pare_graph_writer(g, g->nodes[at].inputs[0])) {
        const struct pare_node *node = &g->nodes[at];
        out->linear = (uint32_t)at;
        if (node->op == PARE_OP_LINEAR)
            return true;
        if ((node->op != PARE_OP_RMS_NORM && node->op != PARE_OP_ROPE &&
             node->op != PARE_OP_ADD_VECTOR) ||
            out->n == PARE_BETWEEN)
            return false;
        out->between[out->n++] = (uint32_t)at;
    }
    return false;
}

/* Heads of keys and values: what is removed at a time. */
static uint32_t groups_of(const struct pare_node *attention)
{
    return attention->kv_heads ? attention->kv_heads : attention->heads;
}

static uint32_t head_units(const struct pare_graph *g, const struct pare_branch *b)
{
    struct pare_source source;
    if (b->attention < 0)
        return 0;
    const struct pare_node *mix = &g->nodes[b->attention];
    const uint32_t groups = groups_of(mix);
    if (g->nodes[b->consumer].inputs[0] != mix->outputs[0])
        return 0;
    for (uint32_t i = 0; i < 3; i++) {
        if (!pare_branch_source(g, b, i, &source) || g->nodes[source.linear].weight->rows % groups)
            return 0;
        for (uint32_t k = 0; k < source.n; k++) {
            const struct pare_node *node = &g->nodes[source.between[k]];
            if (node->op != PARE_OP_ADD_VECTOR && node->heads % groups)
                return 0; /* a norm over several groups would change */
        }
    }
    return groups;
}

uint32_t pare_branch_units(const struct pare_graph *g, const struct pare_branch *b, unsigned kind)
{
    if (b->consumer < 0)
        return 0;
    if (kind == PARE_UNIT_HEAD)
        return head_units(g, b);
    return b->n_producers ? g->nodes[b->producers[0]].weight->rows : 0;
}

uint32_t pare_branch_unit_id(const struct pare_graph *g, const struct pare_branch *b, unsigned kind,
                             uint32_t i)
{
    const struct pare_node *owner =
        &g->nodes[kind == PARE_UNIT_HEAD ? b->attention : b->producers[0]];
    const uint32_t share = kind == PARE_UNIT_HEAD ? owner->heads / groups_of(owner) : 1;
    const uint32_t *ids = owner->ids ? owner->ids->data : NULL;
    return ids ? ids[i * share] / share : i;
}
