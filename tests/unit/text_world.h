/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_WORLD_H
#define PARE_TEXT_WORLD_H

#include "tests/unit/plugin_test.h"
#include "tests/unit/random_bert.h"

/* What tests of plugins on models of text share: random models, with windows of random tokens to
 * calibrate on. There is no model file: graphs are told by what they compute. */

static inline void world_open_text(struct world *w, const struct pare_graph *g, uint32_t n)
{
    struct pare_random r;
    world_begin(w, n, g->length);
    pare_random_seed(&r, 11);
    for (size_t i = 0; i < (size_t)n * g->length; i++)
        w->images[i] = (float)pare_random_below(&r, g->vocabulary);
    w->env.labels = NULL;
    w->env.baseline = g;
}

/* The outputs for all windows; freed by the caller. */
static inline float *world_outputs(struct world *w, const struct pare_graph *g)
{
    float *out = pare_alloc(w->n * pare_graph_outputs(g), sizeof *out);
    ck_assert_ptr_nonnull(out);
    world_run(w, g, out);
    return out;
}

/* Outputs of two graphs that may differ by `limit`; 0: in no bit. */
static inline void world_same(struct world *w, const struct pare_graph *a,
                              const struct pare_graph *b, float limit, const char *what)
{
    ck_assert_uint_eq(pare_graph_outputs(a), pare_graph_outputs(b));
    float *x = world_outputs(w, a), *y = world_outputs(w, b);
    for (size_t i = 0; i < w->n * pare_graph_outputs(a); i++)
        ck_assert_msg(fabsf(x[i] - y[i]) <= limit, "%s: output %zu is %.9g, not %.9g", what, i,
                      (double)x[i], (double)y[i]);
    free(x);
    free(y);
}

#endif
