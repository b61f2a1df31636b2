/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEST_PIPELINE_ENV_H
#define PARE_TEST_PIPELINE_ENV_H

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "pipeline/plan.h"

/* A world for pipelines without files: plugins as tables, a Vision Transformer of 8 layers as a
 * list of units, data sets by name. */

#define ANY .min = 1, .max = 0

static const struct pare_param drop_params[] = {
    {.name = "count",
     .help = "how many",
     .type = PARE_INT,
     .min = 0,
     .max = 8,
     .dflt = "1",
     .identity = "0",
     .search = "1,2,3"},
    {.name = "score", .help = "what to keep", .type = PARE_SCORED, .dflt = "cosine", ANY},
    {.name = "layers", .help = "these", .type = PARE_INTS, .min = 0, .max = 7},
    {.name = "replace",
     .help = "by",
     .type = PARE_CHOICE,
     .dflt = "nothing",
     .choices = "nothing|mean|linear",
     ANY},
};
static const struct pare_param prune_params[] = {
    {.name = "sparsity",
     .help = "share of zeros",
     .type = PARE_REAL,
     .min = 0,
     .max = 1,
     .dflt = "0.5",
     .identity = "0",
     .varies = PARE_UNIT_LINEAR},
    {.name = "pattern",
     .help = "which",
     .type = PARE_CHOICE,
     .dflt = "unstructured",
     .choices = "unstructured|2:4|4:8",
     ANY},
    {.name = "criterion",
     .help = "by",
     .type = PARE_CHOICE,
     .dflt = "magnitude",
     .choices = "magnitude|wanda",
     ANY},
};
static const struct pare_param quantize_params[] = {
    {.name = "bits",
     .help = "width",
     .type = PARE_INT,
     .min = 2,
     .max = 8,
     .unit = "bits",
     .param_flags = PARE_PARAM_REQUIRED,
     .search = "2,3,4,8",
     .varies = PARE_UNIT_LINEAR},
    {.name = "group_size",
     .help = "columns per scale",
     .type = PARE_INT,
     .min = 0,
     .max = 4096,
     .dflt = "0"},
    {.name = "symmetric", .help = "no zero point", .type = PARE_BOOL, .dflt = "true", ANY},
    {.name = "activations",
     .help = "how",
     .type = PARE_CHOICE,
     .dflt = "none",
     .choices = "none|int8",
     ANY},
};
static const struct pare_param merge_params[] = {
    {.name = "r",
     .help = "pairs per layer",
     .type = PARE_INT,
     .min = 0,
     .max = 25,
     .dflt = "2",
     .identity = "0",
     .varies = PARE_UNIT_STREAM},
};
static const struct pare_param two_level_params[] = {
    {.name = "high",
     .help = "for the important",
     .type = PARE_REAL,
     ANY,
     .param_flags = PARE_PARAM_REQUIRED},
    {.name = "low",
     .help = "for the rest",
     .type = PARE_REAL,
     ANY,
     .param_flags = PARE_PARAM_REQUIRED},
    {.name = "high_share", .help = "share", .type = PARE_REAL, .min = 0, .max = 1, .dflt = "0.5"},
};
static const struct pare_param wide_params[] = {
    {.name = "a", .help = "a", .type = PARE_INT, .min = 0, .max = 100000, .dflt = "0"},
    {.name = "b", .help = "b", .type = PARE_INT, .min = 0, .max = 100000, .dflt = "0"},
};

static const struct pare_param calibration_params[] = {
    {.name = "bins", .help = "how many", .type = PARE_INT, .min = 2, .max = 64, .dflt = "15"},
    {.name = "norm", .help = "which", .type = PARE_CHOICE, .dflt = "l1", .choices = "l1|l2", ANY},
};

#define TRANSFORM PARE_PLUGIN_HEAD, .version = "1.0.0", .summary = "a test", .kind = PARE_TRANSFORM

static struct pare_plugin_file test_plugins[] = {
    {.desc = {TRANSFORM, .id = "layer-drop", .label = "drop{count}", .needs = PARE_NEEDS_DATA,
              .unit_kind = PARE_UNIT_BRANCH | PARE_UNIT_BLOCK, .precedes = "quantize,prune",
              PARE_PLUGIN_PARAMS(drop_params)},
     .path = (char[]){"/plugins/layer-drop.so"},
     .sha256 = "d1"},
    {.desc = {TRANSFORM, .id = "prune", .label = "p{pattern}", .unit_kind = PARE_UNIT_LINEAR,
              .except = "role:classifier", .flags = PARE_WANTS_COMPRESSED,
              PARE_PLUGIN_PARAMS(prune_params)},
     .path = (char[]){"/plugins/prune.so"},
     .sha256 = "d2"},
    {.desc = {TRANSFORM, .id = "quantize", .label = "q{bits}", .unit_kind = PARE_UNIT_LINEAR,
              .except = "role:classifier", PARE_PLUGIN_PARAMS(quantize_params)},
     .path = (char[]){"/plugins/quantize.so"},
     .sha256 = "d3"},
    {.desc = {TRANSFORM, .id = "token-merge", .label = "merge{r}", .unit_kind = PARE_UNIT_STREAM,
              PARE_PLUGIN_PARAMS(merge_params)},
     .path = (char[]){"/plugins/token-merge.so"},
     .sha256 = "d4"},
    {.desc = {TRANSFORM, .id = "wide", .unit_kind = PARE_UNIT_LINEAR, .follows = "token-merge",
              PARE_PLUGIN_PARAMS(wide_params)},
     .path = (char[]){"/plugins/wide.so"},
     .sha256 = "d5"},
    {.desc = {PARE_PLUGIN_HEAD, .id = "cosine", .kind = PARE_SCORE, .needs = PARE_NEEDS_COSINE,
              .unit_kind = PARE_UNIT_BRANCH | PARE_UNIT_BLOCK},
     .path = (char[]){"/plugins/cosine.so"},
     .sha256 = "d6"},
    {.desc = {PARE_PLUGIN_HEAD, .id = "zd", .kind = PARE_SCORE, .unit_kind = PARE_UNIT_BLOCK},
     .path = (char[]){"/plugins/zd.so"},
     .sha256 = "d7"},
    {.desc = {PARE_PLUGIN_HEAD, .id = "two-level", .kind = PARE_ALLOCATE,
              PARE_PLUGIN_PARAMS(two_level_params)},
     .path = (char[]){"/plugins/two-level.so"},
     .sha256 = "d8"},
    {.desc = {PARE_PLUGIN_HEAD, .id = "uniform", .kind = PARE_ALLOCATE},
     .path = (char[]){"/plugins/uniform.so"},
     .sha256 = "d9"},
    {.desc = {PARE_PLUGIN_HEAD, .id = "org.example.calibration", .kind = PARE_METRIC,
              .summary = "a test", .flags = PARE_HIGHER_IS_WORSE,
              PARE_PLUGIN_PARAMS(calibration_params)},
     .path = (char[]){"/plugins/calibration.so"},
     .sha256 = "d10"},
    {.desc = {PARE_PLUGIN_HEAD, .id = "test.m", .kind = PARE_METRIC, .summary = "a test"},
     .path = (char[]){"/plugins/margin.so"},
     .sha256 = "d11"},
    {.desc = {PARE_PLUGIN_HEAD, .id = "kl", .kind = PARE_METRIC, .summary = "a test"},
     .path = (char[]){"/plugins/kl.so"},
     .sha256 = "d12"},
};

static int test_find(void *user, const char *name, const char *folder,
                     const struct pare_plugin_file **out, struct pare_error *err)
{
    const char *ids[PARE_COUNT(test_plugins)];
    (void)user;
    (void)folder;
    for (size_t i = 0; i < PARE_COUNT(test_plugins); i++) {
        ids[i] = test_plugins[i].desc.id;
        if (!strcmp(ids[i], name) || !strcmp(test_plugins[i].path, name)) {
            *out = &test_plugins[i];
            return PARE_OK;
        }
    }
    const char *near = pare_nearest(name, ids, PARE_COUNT(ids));
    pare_error_set(err, PARE_NOT_FOUND, "no plugin is called '%s'", name);
    if (near)
        pare_error_hint(err, "did you mean '%s'?", near);
    return PARE_NOT_FOUND;
}

#define TEST_LAYERS 8

/* 50 linears, 16 branches, 8 blocks, 8 streams. */
static struct pare_unit test_units[128];
static char test_paths[128][2][48];
static size_t n_test_units;

static void add_unit(unsigned kind, int block, const char *role, const char *within,
                     const char *path)
{
    struct pare_unit *u = &test_units[n_test_units];
    snprintf(test_paths[n_test_units][0], sizeof test_paths[0][0], "%s", path);
    snprintf(test_paths[n_test_units][1], sizeof test_paths[0][1], "%s", within ? within : "");
    *u = (struct pare_unit){.struct_size = sizeof *u,
                            .kind = kind,
                            .block = block,
                            .path = test_paths[n_test_units][0],
                            .role = role,
                            .within = within ? test_paths[n_test_units][1] : NULL,
                            .parameters = 100};
    n_test_units++;
}

static void make_units(void)
{
    static const struct {
        const char *branch, *name, *role;
    } linears[] = {
        {"attn", "query", "attention.query"}, {"attn", "key", "attention.key"},
        {"attn", "value", "attention.value"}, {"attn", "output", "attention.output"},
        {"mlp", "up", "feed_forward.up"},     {"mlp", "down", "feed_forward.down"},
    };
    static const char *const branches[] = {"attn", "mlp"};
    char path[48], within[24];
    if (n_test_units)
        return;
    add_unit(PARE_UNIT_LINEAR, -1, "embedding", NULL, "embed.patch");
    for (int b = 0; b < TEST_LAYERS; b++) {
        for (size_t i = 0; i < PARE_COUNT(linears); i++) {
            snprintf(within, sizeof within, "layer.%d.%s", b, linears[i].branch);
            snprintf(path, sizeof path, "%s.%s", within, linears[i].name);
            add_unit(PARE_UNIT_LINEAR, b, linears[i].role, within, path);
        }
        snprintf(within, sizeof within, "layer.%d", b);
        for (size_t i = 0; i < PARE_COUNT(branches); i++) {
            snprintf(path, sizeof path, "layer.%d.%s", b, branches[i]);
            add_unit(PARE_UNIT_BRANCH, b, branches[i], within, path);
        }
        add_unit(PARE_UNIT_BLOCK, b, "block", NULL, within);
        snprintf(path, sizeof path, "layer.%d.stream", b);
        add_unit(PARE_UNIT_STREAM, b, "stream", NULL, path);
    }
    add_unit(PARE_UNIT_LINEAR, -1, "classifier", NULL, "classifier");
}

static const char *test_model_hash = "model-content";

static int test_model(void *user, const char *path, const struct pare_unit **units, size_t *n,
                      char hash[PARE_HASH_HEX], bool *text, enum pare_output *output,
                      struct pare_error *err)
{
    (void)user;
    make_units();
    *text = strstr(path, "gguf") != NULL;
    *output = *text ? PARE_OUTPUT_NEXT_TOKEN : PARE_OUTPUT_CLASSES;
    if (!strstr(path, "vit") && !*text)
        return pare_error_set(err, PARE_NOT_FOUND, "no such file or folder");
    *units = test_units;
    *n = n_test_units;
    snprintf(hash, PARE_HASH_HEX, "%s", test_model_hash);
    return PARE_OK;
}

static int test_data(void *user, struct pare_data *data, struct pare_error *err)
{
    char text[256];
    const char *name = data->from ? data->from : data->inputs;
    (void)user;
    if (!strstr(name, "mnist"))
        return pare_error_set(err, PARE_NOT_FOUND, "'%s' is not there", name);
    unsigned long long all = data->skip < 10000 ? 10000 - data->skip : 0;
    data->n_samples = data->samples && data->samples < all ? data->samples : all;
    snprintf(text, sizeof text, "%.40s %llu %llu %lld", data->split ? data->split : "",
             (unsigned long long)data->skip, data->n_samples, (long long)data->shuffle);
    pare_hash_bytes(text, strlen(text), data->hash);
    return PARE_OK;
}

static const struct pare_spec_env test_env = {
    .find = test_find, .model = test_model, .data = test_data, .numerics = PARE_ENGINE_NUMERICS};

#endif
