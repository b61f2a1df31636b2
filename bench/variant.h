/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BENCH_VARIANT_H
#define PARE_BENCH_VARIANT_H

#include "bench/random_vit.h"

#include "model/model.h"
#include "model/unit.h"

/* What is done to a model before it is timed: only the time counts, so weights are rounded and left
 * out by size, and heads, channels and layers by position. */

/* How the linears of the blocks are written. */
static const struct encoding {
    const char *name;
    uint32_t bits, group, n, m, activation_bits;
} encodings[] = {
    {"f32", .bits = 0},
    {"int8", .bits = 8, .activation_bits = 8},
    {"int8-weights", .bits = 8},
    {"int4-weights", .bits = 4, .group = 32},
    {"2:4", .n = 2, .m = 4},
    {"4:8", .n = 4, .m = 8},
    {"2:4-int8", .bits = 8, .n = 2, .m = 4, .activation_bits = 8},
};

struct variant {
    const struct encoding *encoding;
    uint32_t density; /* per cent of the numbers stored, anywhere; 0: as the encoding says */
    uint32_t drop;    /* layers left out, from the last */
    uint32_t heads, channels; /* kept of each branch; 0: all */
    uint32_t merge;           /* tokens merged in each layer */
};

/* The n largest of every m. */
static inline void variant_keep_nm(const float *values, uint32_t rows, uint32_t cols, uint32_t n,
                                   uint32_t m, uint8_t *keep)
{
    for (size_t start = 0; start < (size_t)rows * cols;) {
        uint32_t have = PARE_MIN(m, cols - (uint32_t)(start % cols));
        for (uint32_t i = 0; i < have; i++) {
            uint32_t larger = 0;
            for (uint32_t j = 0; j < have; j++) {
                float a = fabsf(values[start + j]), b = fabsf(values[start + i]);
                larger += a > b || (!(a < b) && j < i);
            }
            keep[start + i] = larger < n;
        }
        start += have;
    }
}

/* The largest `share` of all; the threshold is found by halving. */
static inline void variant_keep_share(const float *values, size_t n, double share, uint8_t *keep)
{
    float low = 0, high = 0;
    for (size_t i = 0; i < n; i++)
        high = fmaxf(high, fabsf(values[i]));
    for (int step = 0; step < 24; step++) {
        float middle = (low + high) / 2;
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            kept += fabsf(values[i]) > middle;
        if ((double)kept > share * (double)n)
            low = middle;
        else
            high = middle;
    }
    for (size_t i = 0; i < n; i++)
        keep[i] = fabsf(values[i]) > high;
}

static inline int variant_prune(struct pare_weight **w, const float *values,
                                const struct variant *v, struct pare_error *err)
{
    const uint32_t rows = (*w)->rows, cols = (*w)->cols;
    const uint32_t n = v->density ? 0 : v->encoding->n, m = v->density ? 0 : v->encoding->m;
    struct pare_weight *next = NULL;
    uint8_t *keep = pare_calloc((size_t)rows * cols, 1);
    if (!keep)
        return pare_error_nomem(err, (size_t)rows * cols);
    if (v->density)
        variant_keep_share(values, (size_t)rows * cols, v->density / 100.0, keep);
    else
        variant_keep_nm(values, rows, cols, n, m, keep);
    int rc = pare_weight_with_structure(*w, n, m, keep, &next, err);
    if (rc == PARE_OK) {
        pare_weight_unref(*w);
        *w = next;
    }
    free(keep);
    return rc;
}

static inline int variant_encode(struct pare_graph *g, const struct variant *v,
                                 struct pare_error *err)
{
    const struct encoding *e = v->encoding;
    int rc = PARE_OK;
    for (uint32_t i = 0; i < g->n_nodes && rc == PARE_OK; i++) {
        struct pare_node *node = &g->nodes[i];
        if (node->op != PARE_OP_LINEAR || node->block < 0)
            continue;
        struct pare_weight **w = &node->weight;
        float *values = pare_alloc((size_t)(*w)->rows * (*w)->cols, sizeof *values);
        if (!values)
            return pare_error_nomem(err, 0);
        pare_weight_decode(*w, 0, (*w)->rows, values);
        if (v->density || e->m)
            rc = variant_prune(w, values, v, err);
        if (rc == PARE_OK && e->bits)
            rc = vit_integers(w, values, e->bits, e->group);
        node->activation_bits = e->activation_bits;
        free(values);
    }
    return rc;
}

/* Keep the first `kept` heads or channels of a branch. */
static inline int variant_keep_first(struct pare_graph *g, const struct pare_unit *branch,
                                     unsigned kind, uint32_t kept, struct pare_error *err)
{
    struct pare_units slices;
    uint32_t n = 0;
    int rc = pare_units_of(g, kind, &slices, err);
    if (rc != PARE_OK)
        return rc;
    for (size_t i = 0; i < slices.n; i++)
        n += strcmp(slices.items[i].within, branch->path) == 0;
    uint8_t *keep = pare_calloc(n ? n : 1, 1);
    if (!keep)
        rc = pare_error_nomem(err, n);
    for (uint32_t i = 0; keep && i < PARE_MIN(n, kept); i++)
        keep[i] = 1;
    if (rc == PARE_OK && n > kept)
        rc = kind == PARE_UNIT_HEAD ? pare_graph_keep_heads(g, branch->path, keep, n, NULL, err)
                                    : pare_graph_keep_channels(g, branch->path, keep, n, NULL, err);
    free(keep);
    pare_units_free(&slices);
    return rc;
}

static inline int variant_change(struct pare_graph *g, const struct variant *v,
                                 struct pare_error *err)
{
    struct pare_units units;
    int rc = pare_units_of(g, PARE_UNIT_BRANCH | PARE_UNIT_STREAM, &units, err);
    for (size_t i = 0; i < units.n && rc == PARE_OK; i++) {
        const struct pare_unit *u = &units.items[i];
        bool gone = (uint32_t)u->block + v->drop >= g->blocks;
        if (u->kind == PARE_UNIT_BRANCH && gone)
            rc = pare_graph_drop_branch(g, u->path, NULL, NULL, err);
        if (u->kind == PARE_UNIT_BRANCH && !gone && v->heads && rc == PARE_OK)
            rc = variant_keep_first(g, u, PARE_UNIT_HEAD, v->heads, err);
        if (u->kind == PARE_UNIT_BRANCH && !gone && v->channels && rc == PARE_OK)
            rc = variant_keep_first(g, u, PARE_UNIT_CHANNEL, v->channels, err);
        if (u->kind == PARE_UNIT_STREAM && !gone && v->merge && rc == PARE_OK)
            rc = pare_graph_merge_tokens(g, u->path, v->merge, err);
    }
    pare_units_free(&units);
    return rc;
}

#endif
