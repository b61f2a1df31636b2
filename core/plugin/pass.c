/* SPDX-License-Identifier: Apache-2.0 */
/* One pass of the calibration samples through a graph, for whoever taps its values. */
#include "plugin/context.h"

#include <stdlib.h>

int pare_pass_new(const struct pare_stage_env *env, const struct pare_graph *graph,
                  struct pare_plan **out, struct pare_error *err)
{
    struct pare_plan_options options = {
        .batch = PARE_PASS_BATCH, .threads = env->threads, .isa = -1, .no_fusion = true};
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
    size_t pixels = pare_graph_inputs(graph);
    float *logits =
        pare_alloc((size_t)PARE_PASS_BATCH * graph->values[graph->output].width, sizeof *logits);
    int rc = PARE_OK;
    if (!logits)
        return pare_error_nomem(err, 0);
    for (*first = 0; *first < env->n; *first += PARE_PASS_BATCH) {
        PARE_TRY(pare_pass_go_on(env, err));
        PARE_TRY(pare_plan_run(plan, env->images + *first * pixels,
                               PARE_MIN(env->n - *first, (uint32_t)PARE_PASS_BATCH), logits, err));
    }
out:
    free(logits);
    return rc;
}
