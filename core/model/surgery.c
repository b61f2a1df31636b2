/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a graph that keep it whole. Every function infers the shapes anew. */
#include "base/mem.h"
#include "model/branch.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_branch(const struct pare_graph *g, const char *path, struct pare_branch *b,
                       struct pare_error *err)
{
    if (pare_branch_find(g, path, b))
        return PARE_OK;
    return pare_error_set(err, PARE_NOT_FOUND, "the model has no branch %s", path);
}

/* ---- dropping a branch
 * --------------------------------------------------------------------------- */

/* A branch whose inner values are read outside it (its keys by a token merge) cannot go. */
static int check_private(const struct pare_graph *g, const struct pare_branch *b,
                         struct pare_error *err)
{
    for (uint32_t i = b->add; i < g->n_nodes; i++) {
        for (uint32_t j = 0; j < g->nodes[i].n_inputs; j++) {
            int32_t writer = pare_graph_writer(g, g->nodes[i].inputs[j]);
            if (i == b->add || writer < 0 || !pare_branch_has(g, b, (uint32_t)writer))
                continue;
            pare_error_set(err, PARE_UNSUPPORTED,
                           "%s cannot be dropped: %s reads a value inside it", b->path,
                           g->nodes[i].path);
            pare_error_hint(err, "drop layers before merging tokens");
            return PARE_UNSUPPORTED;
        }
    }
    return PARE_OK;
}

static struct pare_node replacement(const struct pare_branch *b, uint8_t op, const char *word)
{
    struct pare_node node = {.op = op, .n_inputs = 1, .inputs = {b->stream}, .block = b->block};
    snprintf(node.path, sizeof node.path, "%.80s.%s", b->path, word);
    snprintf(node.role, sizeof node.role, "%s", word);
    return node;
}

static int insert_mean(struct pare_graph *g, const struct pare_branch *b, const float *mean,
                       struct pare_error *err)
{
    struct pare_node node = replacement(b, PARE_OP_ADD_VECTOR, "mean");
    int rc = pare_blob_copy(mean, g->values[b->stream].width, sizeof *mean, &node.a, err);
    if (rc == PARE_OK)
        rc = pare_graph_insert(g, b->add, &node, err);
    if (rc == PARE_OK)
        pare_graph_remove(g, b->add + 1, g->nodes[b->add].outputs[0]);
    return rc;
}

static int insert_map(struct pare_graph *g, const struct pare_branch *b, const float *mean,
                      const float *map, struct pare_error *err)
{
    struct pare_node node = replacement(b, PARE_OP_LINEAR, "map");
    uint32_t width = g->values[b->stream].width;
    int rc;
    PARE_TRY(pare_weight_new(width, width, map, &node.weight, err));
    PARE_TRY(pare_blob_copy(mean, width, sizeof *mean, &node.bias, err));
    rc = pare_graph_insert(g, b->add, &node, err);
    node = (struct pare_node){0};
    if (rc != PARE_OK)
        goto out;
    struct pare_node *add = &g->nodes[b->add + 1];
    for (uint32_t i = 0; i < add->n_inputs; i++) {
        if (add->inputs[i] == b->out)
            add->inputs[i] = g->nodes[b->add].outputs[0];
    }
out:
    pare_node_release(&node);
    return rc;
}

static bool is_norm(const struct pare_node *node)
{
    return node->op == PARE_OP_NORM || node->op == PARE_OP_RMS_NORM;
}

/* A layer of which only norms on the stream are left (post-norm: x -> norm(x + F(x))) is gone. */
static void drop_norms(struct pare_graph *g, int32_t block)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (block < 0 || (g->nodes[i].block == block && !is_norm(&g->nodes[i])))
            return;
    }
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        if (g->nodes[i].block == block)
            pare_graph_remove(g, i, g->nodes[i].inputs[0]);
    }
}

int pare_graph_drop_branch(struct pare_graph *g, const char *path, const float *mean,
                           const float *map, struct pare_error *err)
{
    struct pare_branch b;
    int rc;
    PARE_TRY(find_branch(g, path, &b, err));
    PARE_TRY(check_private(g, &b, err));
    if (g->values[b.stream].width != g->values[b.out].width) {
        rc =
            pare_error_set(err, PARE_UNSUPPORTED, "%s does not keep the width of its stream", path);
        goto out;
    }
    if (map)
        PARE_TRY(insert_map(g, &b, mean, map, err));
    else if (mean)
        PARE_TRY(insert_mean(g, &b, mean, err));
    else
        pare_graph_remove(g, b.add, b.stream);
    pare_graph_sweep(g);
    drop_norms(g, b.block);
    PARE_TRY(pare_graph_infer(g, err));
out:
    return rc;
}

/* ---- removing heads and channels
 * ----------------------------------------------------------------- */

static uint32_t count(const uint8_t *keep, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        kept += keep[i] != 0;
    return kept;
}

/* One mask entry per unit becomes `width` entries. */
static uint8_t *widen(const uint8_t *keep, uint32_t n, uint32_t width)
{
    uint8_t *mask = pare_alloc((size_t)n * width, 1);
    for (size_t i = 0; mask && i < (size_t)n * width; i++)
        mask[i] = keep[i / width];
    return mask;
}

/* What a node gets once all of its kin are ready: nothing is touched before. */
struct change {
    uint32_t at;
    uint32_t heads, kv_heads;         /* 0: as they are */
    struct pare_weight *weight;       /* NULL: as it is */
    struct pare_blob *bias, *a, *ids; /* NULL: as it is */
};

/* The consumer; for heads the attention, up to three linears with what is between, and token merges
 * that read the keys; for channels the producers. */
#define CHANGES_MAX (2 + 3 * (1 + PARE_BETWEEN))

struct changes {
    struct change items[CHANGES_MAX];
    uint32_t n;
};

static struct change *change_of(struct changes *c, uint32_t at)
{
    struct change *x = &c->items[c->n++];
    *x = (struct change){.at = at};
    return x;
}

static void put_blob(struct pare_blob **to, struct pare_blob **from)
{
    if (!*from)
        return;
    pare_blob_unref(*to);
    *to = *from;
    *from = NULL;
}

static void commit(struct pare_graph *g, struct changes *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct change *x = &c->items[i];
        struct pare_node *node = &g->nodes[x->at];
        if (x->weight) {
            pare_weight_unref(node->weight);
            node->weight = x->weight;
            x->weight = NULL;
        }
        put_blob(&node->bias, &x->bias);
        put_blob(&node->a, &x->a);
        put_blob(&node->ids, &x->ids);
        node->heads = x->heads ? x->heads : node->heads;
        node->kv_heads = x->kv_heads ? x->kv_heads : node->kv_heads;
    }
}

static void release(struct changes *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct change *x = &c->items[i];
        pare_weight_unref(x->weight);
        pare_blob_unref(x->bias);
        pare_blob_unref(x->a);
        pare_blob_unref(x->ids);
    }
}

/* A weight that another node holds too cannot shrink for one of them. */
static int check_own(const struct pare_graph *g, uint32_t at, struct pare_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (i != at && g->nodes[i].weight == g->nodes[at].weight)
            return pare_error_set(err, PARE_UNSUPPORTED,
                                  "%s shares its weight with %s: nothing of it can be removed",
                                  g->nodes[at].path, g->nodes[i].path);
    }
    return PARE_OK;
}

/* The elements of a vector whose mask is nonzero; `*out` stays NULL when there is no vector. */
static int select_floats(const struct pare_blob *old, const uint8_t *mask, uint32_t n,
                         struct pare_blob **out, struct pare_error *err)
{
    if (!old)
        return PARE_OK;
    int rc = pare_blob_new(count(mask, n), sizeof(float), out, err);
    if (rc != PARE_OK)
        return rc;
    float *to = (*out)->data;
    for (uint32_t r = 0; r < n; r++) {
        if (mask[r])
            *to++ = pare_blob_f32(old)[r];
    }
    return PARE_OK;
}

static int select_rows(const struct pare_graph *g, struct change *x, const uint8_t *mask,
                       struct pare_error *err)
{
    const struct pare_node *node = &g->nodes[x->at];
    int rc;
    PARE_TRY(check_own(g, x->at, err));
    PARE_TRY(pare_weight_select(node->weight, mask, NULL, &x->weight, err));
    PARE_TRY(select_floats(node->bias, mask, node->weight->rows, &x->bias, err));
out:
    return rc;
}

/* The columns of the consumer that stay, or what was fitted to take their place. */
static int select_cols(const struct pare_graph *g, struct change *x, const uint8_t *keep,
                       uint32_t n, const float *values, struct pare_error *err)
{
    const struct pare_weight *old = g->nodes[x->at].weight;
    const uint32_t width = old->cols / n;
    uint8_t *mask = NULL;
    int rc;
    PARE_TRY(check_own(g, x->at, err));
    if (values) {
        rc = pare_weight_new(old->rows, count(keep, n) * width, values, &x->weight, err);
        goto out;
    }
    mask = widen(keep, n, width);
    rc = mask ? pare_weight_select(old, NULL, mask, &x->weight, err) : pare_error_nomem(err, n);
out:
    free(mask);
    return rc;
}

/* Original numbers of what stays; every unit is `share` entries. */
static int select_ids(const struct pare_node *node, struct change *x, const uint8_t *keep,
                      uint32_t n, uint32_t share, struct pare_error *err)
{
    const uint32_t *old = node->ids ? node->ids->data : NULL;
    int rc = pare_blob_new((size_t)count(keep, n) * share, sizeof(uint32_t), &x->ids, err);
    if (rc != PARE_OK)
        return rc;
    uint32_t *to = x->ids->data;
    for (uint32_t i = 0; i < n * share; i++) {
        if (keep[i / share])
            *to++ = old ? old[i] : i;
    }
    return PARE_OK;
}

static int check_keep(const struct pare_branch *b, const char *what, uint32_t have,
                      const uint8_t *keep, uint32_t n, struct pare_error *err)
{
    if (have == 0)
        return pare_error_set(err, PARE_UNSUPPORTED, "%s has no %s that could be removed", b->path,
                              what);
    if (n != have)
        return pare_error_set(err, PARE_INVALID, "%s has %u %s, %u were given", b->path, have, what,
                              n);
    if (count(keep, n) == 0) {
        pare_error_set(err, PARE_INVALID, "all %s of %s would go", what, b->path);
        pare_error_hint(err, "drop the branch with layer-drop instead");
        return PARE_INVALID;
    }
    return PARE_OK;
}

/* The linear behind one input of attention, and what works on its heads on the way. */
static int keep_source(const struct pare_graph *g, const struct pare_source *s, const uint8_t *keep,
                       uint32_t n, struct changes *c, struct pare_error *err)
{
    const uint32_t rows = g->nodes[s->linear].weight->rows, kept = count(keep, n);
    uint8_t *mask = widen(keep, n, rows / n);
    int rc = mask ? PARE_OK : pare_error_nomem(err, rows);
    if (rc == PARE_OK)
        rc = select_rows(g, change_of(c, s->linear), mask, err);
    for (uint32_t i = 0; i < s->n && rc == PARE_OK; i++) {
        const struct pare_node *node = &g->nodes[s->between[i]];
        struct change *x = change_of(c, s->between[i]);
        if (node->op == PARE_OP_ADD_VECTOR)
            rc = select_floats(node->a, mask, rows, &x->a, err);
        else
            x->heads = node->heads / n * kept;
    }
    free(mask);
    return rc;
}

int pare_graph_keep_heads(struct pare_graph *g, const char *branch, const uint8_t *keep, uint32_t n,
                          const float *consumer, struct pare_error *err)
{
    struct pare_branch b;
    struct pare_source source;
    struct changes c = {0};
    int rc;
    PARE_TRY(find_branch(g, branch, &b, err));
    PARE_TRY(check_keep(&b, "heads", pare_branch_units(g, &b, PARE_UNIT_HEAD), keep, n, err));
    const struct pare_node *mix = &g->nodes[b.attention];
    const uint32_t share = mix->heads / n, kept = count(keep, n);
    PARE_TRY(select_cols(g, change_of(&c, (uint32_t)b.consumer), keep, n, consumer, err));
    for (uint32_t i = 0; i < 3 && pare_branch_source(g, &b, i, &source); i++)
        PARE_TRY(keep_source(g, &source, keep, n, &c, err));
    struct change *x = change_of(&c, (uint32_t)b.attention);
    PARE_TRY(select_ids(mix, x, keep, n, share, err));
    x->heads = share * kept;
    x->kv_heads = mix->kv_heads ? kept : 0;
    const uint32_t keys = mix->inputs[1];
    commit(g, &c);
    for (uint32_t i = 0; i < g->n_nodes; i++) { /* merges compare the keys that are left */
        if (g->nodes[i].op == PARE_OP_TOKEN_MERGE && g->nodes[i].inputs[1] == keys)
            g->nodes[i].heads = kept;
    }
    PARE_TRY(pare_graph_infer(g, err));
out:
    release(&c);
    return rc;
}

int pare_graph_keep_channels(struct pare_graph *g, const char *branch, const uint8_t *keep,
                             uint32_t n, const float *consumer, struct pare_error *err)
{
    struct pare_branch b;
    struct changes c = {0};
    int rc;
    PARE_TRY(find_branch(g, branch, &b, err));
    PARE_TRY(check_keep(&b, "channels", pare_branch_units(g, &b, PARE_UNIT_CHANNEL), keep, n, err));
    PARE_TRY(select_cols(g, change_of(&c, (uint32_t)b.consumer), keep, n, consumer, err));
    for (uint32_t i = 0; i < b.n_producers; i++) {
        struct change *x = change_of(&c, (uint32_t)b.producers[i]);
        PARE_TRY(select_rows(g, x, keep, err));
        PARE_TRY(select_ids(&g->nodes[x->at], x, keep, n, 1, err));
    }
    commit(g, &c);
    PARE_TRY(pare_graph_infer(g, err));
out:
    release(&c);
    return rc;
}

int32_t pare_graph_consumer(const struct pare_graph *g, const char *branch, unsigned kind)
{
    struct pare_branch b;
    if (!pare_branch_find(g, branch, &b))
        return -1;
    return pare_branch_units(g, &b, kind) ? b.consumer : -1;
}

/* ---- merging tokens
 * ------------------------------------------------------------------------------ */

/* Tokens that never merge away: those that the embedding put in front, and up to one that the head
 * takes. */
static uint32_t protected_tokens(const struct pare_graph *g)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        if (node->op == PARE_OP_TOKENS)
            n = PARE_MAX(n, node->prefix);
        if (node->op == PARE_OP_POOL && node->token != PARE_POOL_MEAN)
            n = PARE_MAX(n, node->token + 1);
    }
    return n;
}

static int find_stream(const struct pare_graph *g, const char *path, struct pare_branch *b,
                       struct pare_error *err)
{
    char name[PARE_PATH_MAX];
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (!pare_branch_at(g, i, b) || b->attention < 0)
            continue;
        snprintf(name, sizeof name, "layer.%d.stream", b->block);
        if (strcmp(name, path) == 0)
            return PARE_OK;
    }
    return pare_error_set(err, PARE_NOT_FOUND,
                          "tokens cannot be merged at %s: there is no such point", path);
}

/* Later operations see the merged stream and the sizes, up to the next merge, which takes them
 * over. */
static void pass_on(struct pare_graph *g, uint32_t at, uint32_t before)
{
    const uint32_t merged = g->nodes[at].outputs[0], sizes = g->nodes[at].outputs[1];
    bool passed = false;
    for (uint32_t i = at + 1; i < g->n_nodes; i++) {
        struct pare_node *node = &g->nodes[i];
        for (uint32_t j = 0; j < node->n_inputs; j++) {
            if (node->inputs[j] == before)
                node->inputs[j] = merged;
        }
        if (passed)
            continue;
        if (node->op == PARE_OP_ATTENTION) {
            node->inputs[3] = sizes;
            node->n_inputs = 4;
        } else if (node->op == PARE_OP_TOKEN_MERGE) {
            node->inputs[2] = sizes;
            node->n_inputs = 3;
            passed = true;
        } else if (node->op == PARE_OP_POOL && node->token == PARE_POOL_MEAN) {
            node->inputs[1] = sizes;
            node->n_inputs = 2;
        }
    }
}

int pare_graph_merge_tokens(struct pare_graph *g, const char *stream, uint32_t r,
                            struct pare_error *err)
{
    struct pare_branch b;
    int rc = PARE_OK;
    if (pare_graph_causal(g)) {
        pare_error_set(err, PARE_UNSUPPORTED,
                       "tokens cannot be merged at %s: the model's attention is causal", stream);
        rc = PARE_UNSUPPORTED;
        pare_error_detail(err, "later tokens would mix into earlier ones, and a cache holds tokens "
                               "by position");
        pare_error_hint(err, "merge tokens in encoders, of images or of texts");
        goto out;
    }
    PARE_TRY(find_stream(g, stream, &b, err));
    uint32_t before = g->nodes[b.add].outputs[0];
    const struct pare_node *mix = &g->nodes[b.attention];
    struct pare_node node = {.op = PARE_OP_TOKEN_MERGE,
                             .n_inputs = 2,
                             .block = b.block,
                             .merge = r,
                             .inputs = {before, mix->inputs[1]},
                             .heads = mix->heads,
                             .prefix = protected_tokens(g)};
    snprintf(node.path, sizeof node.path, "layer.%d.merge", b.block);
    snprintf(node.role, sizeof node.role, "token_merge");
    if (mix->n_inputs == 4) { /* tokens have merged before */
        node.inputs[2] = mix->inputs[3];
        node.n_inputs = 3;
    }
    PARE_TRY(pare_graph_insert(g, b.add + 1, &node, err));
    pass_on(g, b.add + 1, before);
    PARE_TRY(pare_graph_infer(g, err));
out:
    return rc;
}

/* ---- keys and values
 * ----------------------------------------------------------------------------- */

int pare_graph_cache_bits(struct pare_graph *g, const char *branch, uint32_t bits,
                          struct pare_error *err)
{
    struct pare_branch b;
    int rc;
    PARE_TRY(find_branch(g, branch, &b, err));
    if (b.attention < 0 || !g->nodes[b.attention].causal) {
        pare_error_set(err, PARE_UNSUPPORTED, "%s keeps no keys and values: %s", branch,
                       b.attention < 0 ? "it has no attention" : "its attention is not causal");
        pare_error_hint(err, "only models that read a text token by token have such a cache");
        return PARE_UNSUPPORTED;
    }
    if (bits != 4 && bits != 8 && bits != 16 && bits != 32)
        return pare_error_set(err, PARE_INVALID,
                              "keys and values of %u bits: only 4, 8, 16 and 32 exist", bits);
    g->nodes[b.attention].cache_bits = bits;
out:
    return rc;
}
