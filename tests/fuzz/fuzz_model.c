/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a model file of Pare's own format, any safetensors file, or a GGUF file, from a
 * stranger. With PARE_REPLAY an ordinary program: it makes small models in several encodings,
 * damages each in many places, and opens what comes out; whatever opens has to compile and run
 * without harm. */
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "engine/plan.h"
#include "model/family_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A graph from outside may be huge and right: only small ones are run. */
#define MACS_MAX 10000000u

/* Whether others' files can hold it or not, asking does no harm. */
static void write_nowhere(const struct pare_model *model)
{
    const struct pare_family *family = pare_family_find(model->family);
    static const enum pare_dialect dialects[] = {PARE_DIALECT_HF, PARE_DIALECT_GGUF};
    for (size_t i = 0; family && i < PARE_COUNT(dialects); i++) {
        struct pare_error err;
        struct pare_tensors tensors = {0};
        const struct pare_writing writing = {model, &tensors, dialects[i], true, &err};
        json_t *config = NULL;
        family->write(&writing, &config);
        json_decref(config);
        pare_tensors_free(&tensors);
    }
}

static void open_and_run(const char *path)
{
    struct pare_model *model = NULL;
    struct pare_plan *plan = NULL;
    struct pare_error err;
    if (pare_model_open(path, &model, &err) != PARE_OK)
        return;
    const struct pare_graph *g = model->graph;
    struct pare_plan_options options = {.batch = 1, .threads = 1, .isa = -1};
    if (pare_graph_macs(g) < MACS_MAX)
        write_nowhere(model);
    if (pare_graph_macs(g) < MACS_MAX && pare_plan_new(g, &options, &plan, &err) == PARE_OK) {
        float *in = pare_calloc(pare_graph_inputs(g), sizeof *in);
        float *out = pare_calloc(pare_graph_outputs(g), sizeof *out);
        if (in && out)
            pare_plan_run(plan, in, 1, out, &err);
        free(in);
        free(out);
    }
    pare_plan_free(plan);
    pare_model_free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("model", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size)
        open_and_run(path);
    if (fd >= 0)
        close(fd);
    return 0;
}

#ifdef PARE_REPLAY
enum { CUTS = 60 };

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

/* A random model of a family that reads text, in a folder; `*config` is the text of config.json. */
static int make_folder(const struct pare_family *family, const char *shape, const char *folder,
                       char **config, struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    json_t *j = NULL, *preprocessor = NULL;
    char *path = pare_path_join(folder, "model.safetensors");
    char *config_path = pare_path_join(folder, "config.json");
    int rc;
    PARE_TRY(family->random(shape, 1, &tensors, &j, &preprocessor, err));
    *config = json_dumps(j, 0);
    PARE_TRY(pare_tensors_write(path, &tensors, err));
    PARE_TRY(pare_file_write(config_path, *config, strlen(*config), err));
out:
    pare_tensors_free(&tensors);
    json_decref(j);
    json_decref(preprocessor);
    free(path);
    free(config_path);
    return rc;
}

/* The same as a GGUF file. */
static int make_gguf_seed(const struct pare_family *family, const char *shape, const char *folder,
                          char **out, size_t *size, struct pare_error *err)
{
    struct pare_model *model = NULL;
    char *gguf = pare_path_join(folder, "m.gguf"), *config = NULL;
    int rc;
    PARE_TRY(make_folder(family, shape, folder, &config, err));
    PARE_TRY(pare_model_open(folder, &model, err));
    PARE_TRY(pare_model_write_gguf(model, gguf, false, NULL, err));
    PARE_TRY(pare_file_read(gguf, (size_t)1 << 30, out, size, err));
out:
    pare_model_free(model);
    free(config);
    free(gguf);
    return rc;
}

static const struct {
    const char *name;
    const struct pare_family *family; /* NULL: the model of own encodings */
    const char *shape;
    size_t hits;
} seeds[] = {
    {"own", NULL, NULL, 4000},
    {"llama", &pare_family_llama, "24,12,16,1,2,1,20", 2000},
    {"gpt2", &pare_family_gpt2, "24,12,16,1,2", 1000},
    {"bert", &pare_family_bert, "24,12,16,1,2,20", 1000},
};

static int seed_of(size_t which, char **out, size_t *size, struct pare_error *err)
{
    char folder[] = "/tmp/pare-fuzz-XXXXXX";
    if (!mkdtemp(folder))
        return pare_error_errno(err, "cannot make %s", folder);
    int rc = seeds[which].family
                 ? make_gguf_seed(seeds[which].family, seeds[which].shape, folder, out, size, err)
                 : make_seed(folder, out, size, err);
    pare_remove_tree(folder, NULL);
    return rc;
}

static void damage(size_t which, const char *seed, size_t size)
{
    struct pare_random r;
    uint8_t *damaged = malloc(size);
    uint64_t header = 8; /* the description, which is mostly hit */
    for (int i = 7; i >= 0 && !seeds[which].family; i--)
        header += (uint64_t)(uint8_t)seed[i] << 8 * i;
    if (seeds[which].family)
        header = PARE_MIN(size, 4096);
    LLVMFuzzerTestOneInput((const uint8_t *)seed, size);
    for (size_t i = 0; i < CUTS; i++)
        LLVMFuzzerTestOneInput((const uint8_t *)seed, size * i / CUTS);
    printf("ok %zu - %s models that are cut\n", 2 * which + 1, seeds[which].name);
    pare_random_seed(&r, 5);
    for (size_t i = 0; damaged && i < seeds[which].hits; i++) {
        memcpy(damaged, seed, size);
        for (uint64_t k = 1 + pare_random_below(&r, 3); k > 0; k--)
            damaged[pare_random_below(&r, i % 4 ? header : size)] =
                (uint8_t)(i % 2 ? '0' + (int)pare_random_below(&r, 10)
                                : (int)pare_random_below(&r, 256));
        LLVMFuzzerTestOneInput(damaged, size);
    }
    printf("ok %zu - %s models that are damaged\n", 2 * which + 2, seeds[which].name);
    free(damaged);
}

/* What config.json says may be anything that is still JSON. */
static int damage_config(size_t which, struct pare_error *err)
{
    static const char *const values[] = {"0",          "-1",       "3",    "7",    "1e9",
                                         "4294967295", "0.5",      "null", "true", "false",
                                         "\"\"",       "\"relu\"", "[]",   "{}"};
    char folder[] = "/tmp/pare-fuzz-XXXXXX", *text = NULL, *path = NULL;
    json_t *config = NULL, *value;
    const char *key;
    void *next;
    int rc = mkdtemp(folder) ? PARE_OK : pare_error_errno(err, "cannot make %s", folder);
    PARE_TRY(rc);
    PARE_TRY(make_folder(seeds[which].family, seeds[which].shape, folder, &text, err));
    path = pare_path_join(folder, "config.json");
    config = json_loads(text, 0, NULL);
    json_object_foreach_safe(config, next, key, value)
    {
        json_t *kept = json_incref(value);
        for (size_t i = 0; i < PARE_COUNT(values); i++) {
            json_object_set_new(config, key, json_loads(values[i], JSON_DECODE_ANY, NULL));
            if (json_dump_file(config, path, 0) == 0)
                open_and_run(folder);
        }
        json_object_set_new(config, key, kept);
    }
    printf("ok %zu - %s configurations\n", 2 * PARE_COUNT(seeds) + which, seeds[which].name);
out:
    pare_remove_tree(folder, NULL);
    json_decref(config);
    free(path);
    free(text);
    return rc;
}

/* With the name of a folder: write the seeds there, for the fuzzer to begin with. */
int main(int argc, char **argv)
{
    struct pare_error err = {0};
    for (size_t i = 0; i < PARE_COUNT(seeds); i++) {
        char *seed = NULL, *path = argc > 1 ? pare_path_join(argv[1], seeds[i].name) : NULL;
        size_t size = 0;
        int rc = seed_of(i, &seed, &size, &err);
        if (rc == PARE_OK && path)
            rc = pare_file_write(path, seed, size, &err);
        else if (rc == PARE_OK)
            damage(i, seed, size);
        free(seed);
        free(path);
        if (rc != PARE_OK)
            return refuse(&err);
    }
    for (size_t i = 1; argc == 1 && i < PARE_COUNT(seeds); i++) {
        if (damage_config(i, &err) != PARE_OK)
            return refuse(&err);
    }
    if (argc == 1)
        printf("1..%zu\n", 3 * PARE_COUNT(seeds) - 1);
    return 0;
}
#endif
