/* SPDX-License-Identifier: Apache-2.0 */
#include "model/unit.h"
#include "base/str.h"
#include "model/branch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned kind;
    const char *missing; /* why a model may have none */
} kinds[] = {
    {"linear", PARE_UNIT_LINEAR, NULL},
    {"head", PARE_UNIT_HEAD, NULL},
    {"channel", PARE_UNIT_CHANNEL, NULL},
    {"branch", PARE_UNIT_BRANCH, NULL},
    {"block", PARE_UNIT_BLOCK, NULL},
    {"stream", PARE_UNIT_STREAM,
     "tokens cannot be merged under causal attention: none may see what comes after it"},
};

const char *pare_unit_kind_name(unsigned kind)
{
    for (size_t i = 0; i < PARE_COUNT(kinds); i++) {
        if (kinds[i].kind == kind)
            return kinds[i].name;
    }
    return "unit";
}

unsigned pare_unit_kind_from(const char *name)
{
    for (size_t i = 0; i < PARE_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    }
    return 0;
}

const char *pare_unit_kinds_missing(unsigned mask)
{
    for (size_t i = 0; i < PARE_COUNT(kinds); i++) {
        if ((kinds[i].kind & mask) && kinds[i].missing)
            return kinds[i].missing;
    }
    return NULL;
}

/* ---- collecting
 * ---------------------------------------------------------------------------------- */

struct collect {
    const struct pare_graph *graph;
    struct pare_units *out;
    size_t cap;
    uint32_t index; /* among its kind */
    bool failed;
};

static struct pare_unit *add_unit(struct collect *c, unsigned kind, int32_t block, char *path,
                                  char *role, char *within)
{
    if (!path || !role || c->failed ||
        !pare_grow(&c->out->items, &c->cap, c->out->n + 1, sizeof *c->out->items)) {
        c->failed = true;
        return NULL;
    }
    struct pare_unit *u = &c->out->items[c->out->n++];
    *u = (struct pare_unit){.struct_size = sizeof *u,
                            .kind = kind,
                            .index = c->index++,
                            .block = block,
                            .path = path,
                            .role = role,
                            .within = within};
    return u;
}

static char *text(struct collect *c, const char *s)
{
    return pare_pool_strdup(&c->out->pool, s);
}

static uint64_t numbers_in(const struct pare_node *node)
{
    const struct pare_blob *parts[] = {node->bias, node->a, node->b};
    uint64_t n = node->weight ? pare_weight_stored(node->weight) : 0;
    for (size_t i = 0; i < PARE_COUNT(parts); i++)
        n += parts[i] ? parts[i]->size / sizeof(float) : 0;
    return n;
}

static void collect_linears(struct collect *c)
{
    const struct pare_graph *g = c->graph;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (node->op != PARE_OP_LINEAR && node->op != PARE_OP_CONV2D)
            continue;
        char within[PARE_PATH_MAX];
        snprintf(within, sizeof within, "%.*s", (int)pare_basis_stem(node->path), node->path);
        char *dot = strrchr(within, '.');
        if (dot)
            *dot = '\0';
        struct pare_unit *u =
            add_unit(c, PARE_UNIT_LINEAR, node->block, text(c, node->path), text(c, node->role),
                     node->block >= 0 && dot ? text(c, within) : NULL);
        if (!u)
            return;
        u->rows = node->weight->rows;
        u->cols = node->weight->cols;
        u->parameters = numbers_in(node);
        u->macs = pare_node_macs(g, node);
    }
}

/* A slice of a branch: head or channel number `id`, with 1/n of what its linears hold. */
static bool add_slice(struct collect *c, const struct pare_branch *b, unsigned kind,
                      const char *word, uint32_t id, uint32_t width, uint64_t parameters,
                      uint64_t macs)
{
    struct pare_pool *pool = &c->out->pool;
    struct pare_unit *u =
        add_unit(c, kind, b->block, pare_pool_printf(pool, "%s.%s.%u", b->path, word, id),
                 pare_pool_strdup(pool, word), text(c, b->path));
    if (!u)
        return false;
    u->rows = width;
    u->cols = 1;
    u->parameters = parameters;
    u->macs = macs;
    return true;
}

/* Heads or channels: each has an equal share of the linears that write it, and of the one that
 * reads it. */
static void collect_slices(struct collect *c, const struct pare_branch *b, unsigned kind,
                           const char *word, const uint32_t *writers, uint32_t n_writers,
                           uint64_t macs)
{
    const struct pare_graph *g = c->graph;
    const struct pare_node *reader = &g->nodes[b->consumer];
    const uint32_t n = pare_branch_units(g, b, kind);
    uint64_t parameters = pare_weight_stored(reader->weight);
    macs += pare_node_macs(g, reader);
    for (uint32_t i = 0; i < n_writers; i++) {
        parameters += numbers_in(&g->nodes[writers[i]]);
        macs += pare_node_macs(g, &g->nodes[writers[i]]);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!add_slice(c, b, kind, word, pare_branch_unit_id(g, b, kind, i),
                       reader->weight->cols / n, parameters / n, macs / n))
            return;
    }
}

static void collect_heads(struct collect *c, const struct pare_branch *b)
{
    struct pare_source source;
    uint32_t writers[3];
    if (pare_branch_units(c->graph, b, PARE_UNIT_HEAD) == 0)
        return;
    for (uint32_t i = 0; i < 3 && pare_branch_source(c->graph, b, i, &source); i++)
        writers[i] = source.linear;
    collect_slices(c, b, PARE_UNIT_HEAD, "head", writers, 3,
                   pare_node_macs(c->graph, &c->graph->nodes[b->attention]));
}

static void collect_channels(struct collect *c, const struct pare_branch *b)
{
    uint32_t writers[PARE_PRODUCERS];
    if (pare_branch_units(c->graph, b, PARE_UNIT_CHANNEL) == 0)
        return;
    for (uint32_t i = 0; i < b->n_producers; i++)
        writers[i] = (uint32_t)b->producers[i];
    collect_slices(c, b, PARE_UNIT_CHANNEL, "channel", writers, b->n_producers, 0);
}

static void branch_cost(const struct pare_graph *g, const struct pare_branch *b,
                        uint64_t *parameters, uint64_t *macs)
{
    for (uint32_t i = b->first; i < b->add; i++) {
        if (pare_branch_has(g, b, i)) {
            *parameters += numbers_in(&g->nodes[i]);
            *macs += pare_node_macs(g, &g->nodes[i]);
        }
    }
}

static const char *branch_role(const struct pare_branch *b)
{
    return b->attention >= 0 ? "attention" : b->n_producers ? "feed_forward" : "linear_map";
}

static void collect_branch(struct collect *c, const struct pare_branch *b)
{
    struct pare_pool *pool = &c->out->pool;
    struct pare_unit *u =
        add_unit(c, PARE_UNIT_BRANCH, b->block, text(c, b->path), text(c, branch_role(b)),
                 b->block >= 0 ? pare_pool_printf(pool, "layer.%d", b->block) : NULL);
    if (u)
        branch_cost(c->graph, b, &u->parameters, &u->macs);
}

static void collect_block(struct collect *c, const struct pare_branch *b)
{
    struct pare_unit *last = c->out->n ? &c->out->items[c->out->n - 1] : NULL;
    if (b->block < 0)
        return;
    if (!last || last->kind != PARE_UNIT_BLOCK || last->block != b->block)
        last =
            add_unit(c, PARE_UNIT_BLOCK, b->block,
                     pare_pool_printf(&c->out->pool, "layer.%d", b->block), text(c, "block"), NULL);
    if (last)
        branch_cost(c->graph, b, &last->parameters, &last->macs);
}

static bool merged_already(const struct pare_graph *g, uint32_t value)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op == PARE_OP_TOKEN_MERGE && g->nodes[i].inputs[0] == value)
            return true;
    }
    return false;
}

static void collect_stream(struct collect *c, const struct pare_branch *b)
{
    const struct pare_graph *g = c->graph;
    uint32_t value = g->nodes[b->add].outputs[0];
    if (b->attention < 0 || b->block < 0 || merged_already(g, value) || pare_graph_causal(g))
        return;
    struct pare_unit *u = add_unit(c, PARE_UNIT_STREAM, b->block,
                                   pare_pool_printf(&c->out->pool, "layer.%d.stream", b->block),
                                   text(c, "stream"), NULL);
    if (u) {
        u->rows = g->values[value].tokens;
        u->cols = g->values[value].width;
    }
}

static void collect_from_branches(struct collect *c,
                                  void (*fn)(struct collect *, const struct pare_branch *))
{
    struct pare_branch b;
    for (uint32_t i = 0; i < c->graph->n_nodes && !c->failed; i++) {
        if (pare_branch_at(c->graph, i, &b))
            fn(c, &b);
    }
}

int pare_units_of(const struct pare_graph *graph, unsigned want, struct pare_units *out,
                  struct pare_error *err)
{
    static const struct {
        unsigned kind;
        void (*fn)(struct collect *, const struct pare_branch *);
    } from_branches[] = {
        {PARE_UNIT_HEAD, collect_heads},    {PARE_UNIT_CHANNEL, collect_channels},
        {PARE_UNIT_BRANCH, collect_branch}, {PARE_UNIT_BLOCK, collect_block},
        {PARE_UNIT_STREAM, collect_stream},
    };
    struct collect c = {.graph = graph, .out = out};
    *out = (struct pare_units){0};
    if (want & PARE_UNIT_LINEAR)
        collect_linears(&c);
    for (size_t i = 0; i < PARE_COUNT(from_branches); i++) {
        c.index = 0;
        if (want & from_branches[i].kind)
            collect_from_branches(&c, from_branches[i].fn);
    }
    if (c.failed) {
        pare_units_free(out);
        return pare_error_nomem(err, 0);
    }
    return PARE_OK;
}

void pare_units_free(struct pare_units *units)
{
    free(units->items);
    pare_pool_free(&units->pool);
    *units = (struct pare_units){0};
}

/* ---- selectors
 * ----------------------------------------------------------------------------------- */

static bool takes(const char *selector, const struct pare_unit *unit)
{
    char block[32];
    if (strncmp(selector, "role:", 5) == 0)
        return pare_glob_match(selector + 5, unit->role);
    if (strcmp(selector, "*") == 0 || pare_glob_match(selector, unit->path))
        return true;
    if (unit->within && pare_glob_match(selector, unit->within))
        return true;
    snprintf(block, sizeof block, "layer.%d", unit->block);
    return unit->block >= 0 && pare_glob_match(selector, block);
}

bool pare_unit_selected(const struct pare_unit *unit, const char *selector)
{
    char path[PARE_PATH_MAX], role[PARE_ROLE_MAX];
    struct pare_unit whole = *unit;
    if (takes(selector, unit))
        return true;
    if (unit->kind != PARE_UNIT_LINEAR || !unit->path[pare_basis_stem(unit->path)])
        return false;
    snprintf(path, sizeof path, "%.*s", (int)pare_basis_stem(unit->path), unit->path);
    snprintf(role, sizeof role, "%.*s", (int)pare_basis_stem(unit->role), unit->role);
    whole.path = path;
    whole.role = role;
    return takes(selector, &whole);
}

static bool any_selects(const struct pare_unit *unit, const char *const *selectors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pare_unit_selected(unit, selectors[i]))
            return true;
    }
    return false;
}

bool pare_unit_chosen(const struct pare_unit *unit, const char *const *on, size_t n_on,
                      const char *const *except, size_t n_except)
{
    return (n_on == 0 || any_selects(unit, on, n_on)) && !any_selects(unit, except, n_except);
}
