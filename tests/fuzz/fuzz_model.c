/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a model file of Pare's own format, or any safetensors file, from a stranger. With
 * PARE_REPLAY an ordinary program: it makes small models in several encodings, damages each in many
 * places, and opens what comes out; whatever opens has to compile and run without harm. */
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "engine/plan.h"
#include "model/model.h"
#include "model/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A graph from outside may be huge and right: only small ones are run. */
#define MACS_MAX 10000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pare_model *model = NULL;
    struct pare_plan *plan = NULL;
    struct pare_error err;
    char path[64];
    int fd = memfd_create("model", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        goto out;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (pare_model_open(path, &model, &err) != PARE_OK)
        goto out;
    const struct pare_graph *g = model->graph;
    struct pare_plan_options options = {.batch = 1, .threads = 1, .isa = -1};
    if (pare_graph_macs(g) < MACS_MAX && pare_plan_new(g, &options, &plan, &err) == PARE_OK) {
        float *in = pare_calloc(pare_graph_inputs(g), sizeof *in);
        float *out = pare_calloc(g->values[g->output].width, sizeof *out);
        if (in && out)
            pare_plan_run(plan, in, 1, out, &err);
        free(in);
        free(out);
    }
out:
    pare_plan_free(plan);
    pare_model_free(model);
    if (fd >= 0)
        close(fd);
    return 0;
}

#ifdef PARE_REPLAY
enum { CUTS = 60, HITS = 4000 };

static int refuse(const struct pare_error *err)
{
    printf("Bail out! %s %s\n", err->what, err->detail);
    return 1;
}

/* The seeds: a random model whose linears are encoded in turn as f32, int4 in groups, 2:4, and 2:4
 * int8. */
static int make_seed(const char *folder, char **out, size_t *size, struct pare_error *err)
{
    static float scales[4096];
    static int16_t codes[4096];
    static uint8_t keep[4096];
    struct pare_tensors tensors = {0};
    struct pare_model *model = NULL, *changed = NULL;
    struct pare_graph *g = NULL;
    json_t *config = NULL, *preprocessor = NULL;
    char *path = pare_path_join(folder, "model.safetensors"), *text = NULL;
    char *config_path = pare_path_join(folder, "config.json");
    int rc;
    PARE_TRY(pare_family_vit.random("8,4,1,16,1,2,32", 1, &tensors, &config, &preprocessor, err));
    text = json_dumps(config, 0);
    PARE_TRY(pare_tensors_write(path, &tensors, err));
    PARE_TRY(pare_file_write(config_path, text, strlen(text), err));
    PARE_TRY(pare_model_open(folder, &model, err));
    PARE_TRY(pare_graph_copy(model->graph, &g, err));
    for (size_t i = 0; i < 4096; i++) {
        scales[i] = 0.125f;
        codes[i] = (int16_t)(i % 7) - 3;
        keep[i] = i % 4 < 2;
    }
    for (uint32_t i = 0, kind = 0; i < g->n_nodes; i++) {
        struct pare_weight *w = NULL;
        struct pare_integers x = {.struct_size = sizeof x,
                                  .bits = kind % 2 ? 8 : 4,
                                  .group_size = 8,
                                  .codes = codes,
                                  .scales = scales};
        if (g->nodes[i].op != PARE_OP_LINEAR)
            continue;
        if (kind % 4 >= 2) {
            PARE_TRY(pare_weight_with_structure(g->nodes[i].weight, kind % 3 ? 2 : 0,
                                                kind % 3 ? 4 : 0, keep, &w, err));
            pare_weight_unref(g->nodes[i].weight);
            g->nodes[i].weight = w;
        }
        if (kind % 4 != 2)
            PARE_TRY(pare_weight_with_integers(g->nodes[i].weight, &x, &w, err));
        else
            w = pare_weight_ref(g->nodes[i].weight);
        pare_weight_unref(g->nodes[i].weight);
        g->nodes[i].weight = w;
        kind++;
    }
    PARE_TRY(pare_graph_merge_tokens(g, "layer.0.stream", 1, err));
    rc = pare_model_with_graph(model, g, &changed, err);
    g = NULL;
    if (rc != PARE_OK)
        goto out;
    PARE_TRY(pare_model_write(changed, path, NULL, err));
    PARE_TRY(pare_file_read(path, (size_t)1 << 30, out, size, err));
out:
    pare_graph_free(g);
    pare_model_free(model);
    pare_model_free(changed);
    pare_tensors_free(&tensors);
    json_decref(config);
    json_decref(preprocessor);
    free(text);
    free(path);
    free(config_path);
    return rc;
}

/* With the name of a file: write the seed there, for the fuzzer to begin with. */
int main(int argc, char **argv)
{
    char folder[] = "/tmp/pare-fuzz-XXXXXX", *seed = NULL;
    struct pare_error err = {0};
    struct pare_random r;
    size_t size = 0;
    int rc = mkdtemp(folder) ? make_seed(folder, &seed, &size, &err) : PARE_IO;
    pare_remove_tree(folder, NULL);
    if (rc != PARE_OK)
        return refuse(&err);
    if (argc > 1) {
        rc = pare_file_write(argv[1], seed, size, &err);
        free(seed);
        return rc == PARE_OK ? 0 : refuse(&err);
    }
    uint8_t *damaged = malloc(size);
    uint64_t header = 8;
    for (int i = 7; i >= 0; i--)
        header += (uint64_t)(uint8_t)seed[i] << 8 * i;
    LLVMFuzzerTestOneInput((const uint8_t *)seed, size);
    for (size_t i = 0; i < CUTS; i++)
        LLVMFuzzerTestOneInput((const uint8_t *)seed, size * i / CUTS);
    puts("ok 1 - models that are cut");
    pare_random_seed(&r, 5);
    for (size_t i = 0; damaged && i < HITS; i++) {
        memcpy(damaged, seed, size);
        for (uint64_t k = 1 + pare_random_below(&r, 3); k > 0; k--) /* mostly in the description */
            damaged[pare_random_below(&r, i % 4 ? header : size)] =
                (uint8_t)(i % 2 ? '0' + (int)pare_random_below(&r, 10)
                                : (int)pare_random_below(&r, 256));
        LLVMFuzzerTestOneInput(damaged, size);
    }
    puts("ok 2 - models that are damaged\n1..2");
    free(damaged);
    free(seed);
    return 0;
}
#endif
