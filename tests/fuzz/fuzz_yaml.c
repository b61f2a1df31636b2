/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a pipeline: text to plan, without files. With PARE_REPLAY it has an ordinary main
 * that runs the files of the corpus (or those named), for compilers without a fuzzer. */
#include "tests/unit/pipeline_env.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pare_diags diags = {0};
    struct pare_pipeline *pipeline = NULL;
    struct pare_run_plan *plan = NULL;
    struct pare_error err;
    int rc = pare_pipeline_parse("fuzz.yaml", (const char *)data, size, &test_env, &diags,
                                 &pipeline, &err);
    if (rc == PARE_OK)
        rc = pare_run_plan_make(pipeline, &test_env, &diags, &plan, &err);
    if ((rc == PARE_INVALID) != (diags.n > 0))
        abort(); /* an error without a message, or a message without an error */
    for (size_t i = 0; plan && i < plan->n_variants && i < 16; i++) {
        struct pare_steps back;
        json_t *json =
            pare_steps_to_json(plan->variants[i].steps, plan->variants[i].n_steps, &pipeline->used);
        if (!json || pare_steps_from_json(json, &test_env, &back, &err) != PARE_OK)
            abort();
        pare_steps_free(&back);
        json_decref(json);
    }
    free(pare_diags_text(&diags));
    json_decref(pare_diags_json(&diags));
    pare_run_plan_free(plan);
    pare_pipeline_free(pipeline);
    pare_diags_free(&diags);
    return 0;
}

#ifdef PARE_REPLAY
#include "tests/fuzz/replay.h"

/* Every way it could be cut off, at most a few hundred. */
static void vary(char *data, size_t size)
{
    for (size_t cut = 0; cut < size; cut += size / 300 + 1)
        LLVMFuzzerTestOneInput((const uint8_t *)data, cut);
}

int main(int argc, char **argv)
{
    return replay_main(argc, argv, "tests/fuzz/corpus/yaml", vary);
}
#endif
