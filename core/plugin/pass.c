/* SPDX-License-Identifier: Apache-2.0 */
/* One pass of the calibration samples through a graph, for whoever taps its values. */
#include "plugin/context.h"

#include <stdlib.h>

#define PASS_BATCH 8u
#define PASS_OUTPUTS ((size_t)1 << 24) /* floats */

uint32_t pare_pass_batch(const struct pare_graph *graph)
{
    size_t most = PASS_OUTPUTS / PARE_MAX(pare_graph_outputs(graph), (size_t)1);
    return (uint32_t)PARE_MIN(PARE_MAX(most, (size_t)1), (size_t)PASS_BATCH);
}

int pare_pass_new(const struct pare_stage_env *env, const struct pare_graph *graph,
                  struct pare_plan **out, struct pare_error *err)
{
    struct pare_plan_options options = {
        .batch = pare_pass_batch(graph), .threads = env->threads, .isa = -1, .no_fusion = true};
    if (!env->images || env->n == 0) {
        pare_error_set(err, PARE_INVALID, "this needs calibration data, and there is none");
        pare_error_hint(err, "name some under data: calibrate:");
        return PARE_INVALID;
    }
    return pare_plan_new(graph, &options, out, err);
}

int pare_pass_go_on(const struct pare_stage_env *env, struct pare_error *err)
{
    if (env->cancelled && env->cancelled(env->user))
        return pare_error_set(err, PARE_CANCELLED, "interrupted");
    return PARE_OK;
}

int pare_pass_run(const struct pare_stage_env *env, const struct pare_graph *graph,
                  struct pare_plan *plan, uint32_t *first, struct pare_error *err)
{
    const size_t inputs = pare_graph_inputs(graph);
    const uint32_t batch = pare_pass_batch(graph);
    float *outputs = pare_alloc(batch, pare_graph_outputs(graph) * sizeof *outputs);
    int rc = PARE_OK;
    if (!outputs)
        return pare_error_nomem(err, 0);
    for (*first = 0; *first < env->n; *first += batch) {
        PARE_TRY(pare_pass_go_on(env, err));
        PARE_TRY(pare_plan_run(plan, env->images + *first * inputs,
                               PARE_MIN(env->n - *first, batch), outputs, err));
    }
out:
    free(outputs);
    return rc;
}
