/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_ALLOCATOR_TEST_H
#define PARE_ALLOCATOR_TEST_H

#include "tests/unit/plugin_test.h"

/* Allocators on a transform that changes nothing: two parameters over linears, a whole number and a
 * real one. Units are the six linears of layer 0, with 9,312 parameters each (query, key, value,
 * output), 27,936 (up) and 27,744 (down): 92,928 in all. */
enum { ALLOCATED = 6, ALLOCATED_TOTAL = 92928 };

static int allocator_test_apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    (void)ctx, (void)host;
    return PARE_OK;
}

static const struct pare_param allocator_test_params[] = {
    {.name = "level",
     .help = "whole",
     .type = PARE_INT,
     .min = 2,
     .max = 8,
     .dflt = "8",
     .varies = PARE_UNIT_LINEAR},
    {.name = "share",
     .help = "real",
     .type = PARE_REAL,
     .min = 0,
     .max = 100,
     .dflt = "0",
     .varies = PARE_UNIT_LINEAR},
};

static struct pare_plugin_file allocator_test_plugin = {
    .desc = {PARE_PLUGIN_HEAD, .id = "nothing", .version = "1.0.0", .label = "x",
             .kind = PARE_TRANSFORM, .unit_kind = PARE_UNIT_LINEAR,
             PARE_PLUGIN_PARAMS(allocator_test_params), .apply = allocator_test_apply}};

/* Allocate `param` over the six; `score` is "[1, 2, ...]" or NULL. The status is returned. */
static inline int allocator_try(struct world *w, const char *param, const char *how,
                                const char *score, double out[ALLOCATED])
{
    static const char *const paths[] = {"attn.query",  "attn.key", "attn.value",
                                        "attn.output", "ffn.up",   "ffn.down"};
    struct recorded r = {0};
    char params[1024], path[64], scored[256] = "null";
    if (score)
        snprintf(scored, sizeof scored, "{'plugin': 'given-score', 'params': {'values': %s}}",
                 score);
    snprintf(params, sizeof params, "{'%s': {'allocate': %s, 'score': %s, 'per': 'linear'}}", param,
             how, scored);
    w->env.record = world_record;
    w->env.user = &r;
    struct pare_graph *g = world_copy(w, w->model->graph);
    int rc = world_apply_file(w, g, &allocator_test_plugin, params, "layer.0.**", NULL);
    for (int i = 0; rc == PARE_OK && i < ALLOCATED; i++) {
        snprintf(path, sizeof path, "layer.0.%s", paths[i]);
        out[i] = recorded_value(&r, path, param);
    }
    pare_graph_free(g);
    return rc;
}

static inline void allocator_check(const char *param, const char *how, const char *score,
                                   const double want[ALLOCATED])
{
    struct world w;
    double got[ALLOCATED];
    world_open(&w, 1);
    int rc = allocator_try(&w, param, how, score, got);
    ck_assert_msg(rc == PARE_OK, "%s %s", w.err.what, w.err.detail);
    for (int i = 0; i < ALLOCATED; i++)
        ck_assert_msg(fabs(got[i] - want[i]) < 1e-5, "%s: unit %d got %g, not %g", how, i, got[i],
                      want[i]);
    world_close(&w);
}

static inline void allocator_refused(const char *param, const char *how, const char *why)
{
    struct world w;
    double got[ALLOCATED];
    world_open(&w, 1);
    ck_assert_int_eq(allocator_try(&w, param, how, NULL, got), PARE_INVALID);
    ck_assert_msg(strstr(w.err.what, why) != NULL, "%s", w.err.what);
    world_close(&w);
}

#endif
