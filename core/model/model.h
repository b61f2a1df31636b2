/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_MODEL_H
#define PARE_MODEL_MODEL_H

#include <jansson.h>

#include "base/hash.h"
#include "model/graph.h"

/* How an image becomes the graph's input, as transformers' image processors do it: resize, crop,
 * rescale, normalise. */
struct pare_preprocess {
    bool resize;
    uint32_t resize_height, resize_width; /* 0 x 0: by shortest_edge */
    uint32_t shortest_edge;
    uint32_t resample; /* PIL's numbers: 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic */
    bool crop;
    uint32_t crop_height, crop_width;
    bool rescale;
    double factor;
    bool normalize;
    uint32_t channels; /* of mean and deviation */
    double mean[4], deviation[4];
};

struct pare_model {
    struct pare_graph *graph;
    struct pare_preprocess preprocess;
    char **labels; /* of the outputs, or NULL */
    uint32_t n_labels;
    char *family;             /* "vit" */
    json_t *config;           /* the family's config.json */
    json_t *about;            /* Pare's own files: recipe, hashes, measured figures; or NULL */
    char hash[PARE_HASH_HEX]; /* SHA-256 of graph and tensors, however they were stored */
};

/* Open a folder (config.json with safetensors, or a model that Pare wrote) or a .safetensors file
 * that Pare wrote. */
int pare_model_open(const char *path, struct pare_model **out, struct pare_error *err);
void pare_model_free(struct pare_model *model);

/* The same model with another graph (taken over, even on failure); hash recomputed. */
int pare_model_with_graph(const struct pare_model *model, struct pare_graph *graph,
                          struct pare_model **out, struct pare_error *err);

/* Write Pare's own format, a safetensors file that describes itself and loads back bit for bit.
 * `about` (may be NULL) is stored with it: an object. */
int pare_model_write(const struct pare_model *model, const char *file, const json_t *about,
                     struct pare_error *err);

/* Write a Hugging Face folder: config.json, preprocessor_config.json, model.safetensors with the
 * family's names, as f32. PARE_UNSUPPORTED, naming the unit, when the architecture cannot express
 * the graph. With `decode`, encoded weights are written as f32; without, they are refused. */
int pare_model_write_hf(const struct pare_model *model, const char *folder, bool decode,
                        struct pare_error *err);

/* A family: how a config.json and named tensors become a graph. */
struct pare_tensors;
struct pare_family {
    const char *name;
    const char *const *model_types; /* config.json's model_type; NULL-terminated */
    int (*build)(const json_t *config, struct pare_tensors *tensors, struct pare_model *model,
                 struct pare_error *err);
    int (*write)(const struct pare_model *model, bool decode, struct pare_tensors *tensors,
                 json_t **config, struct pare_error *err);
    /* A model with random weights: `shape` as text, see `shape_help`. */
    int (*random)(const char *shape, uint64_t seed, struct pare_tensors *tensors, json_t **config,
                  json_t **preprocessor, struct pare_error *err);
    const char *shape_help;
};
extern const struct pare_family pare_family_vit;
const struct pare_family *pare_family_find(const char *name); /* NULL: none of that name */

/* Read preprocessor_config.json; what it leaves open is taken from the graph's image. */
int pare_preprocess_read(const json_t *config, const struct pare_graph *graph,
                         struct pare_preprocess *out, struct pare_error *err);
json_t *pare_preprocess_json(const struct pare_preprocess *p);

/* ---- changes of the graph that keep it whole (surgery)
 * ------------------------------------------- */

/* Take a branch out: the stream goes on without it, or with `mean` (width floats) added, or with a
 * linear map of the stream added (`map`: width x width, with `mean` as its bias). `path` is a
 * branch's. */
int pare_graph_drop_branch(struct pare_graph *graph, const char *path, const float *mean,
                           const float *map, struct pare_error *err);

/* Remove heads or channels of a branch: `keep` has one entry per head or channel that it has now.
 * All that is coupled goes along: rows of q, k and v (or of the up linear), columns of the
 * consumer. `consumer` (may be NULL) is the new weight of the consumer over the kept columns, rows
 * x kept. */
int pare_graph_keep_heads(struct pare_graph *graph, const char *branch, const uint8_t *keep,
                          uint32_t n, const float *consumer, struct pare_error *err);
int pare_graph_keep_channels(struct pare_graph *graph, const char *branch, const uint8_t *keep,
                             uint32_t n, const float *consumer, struct pare_error *err);
/* Index of the linear that reads a branch's heads or channels (the output or down linear); -1:
 * none. */
int32_t pare_graph_consumer(const struct pare_graph *graph, const char *branch, unsigned unit_kind);

/* Merge r pairs of tokens at a stream point (its path is a unit's). */
int pare_graph_merge_tokens(struct pare_graph *graph, const char *stream, uint32_t r,
                            struct pare_error *err);

#endif
