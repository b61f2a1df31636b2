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

enum pare_tokenizer_source { PARE_TOKENIZER_NONE, PARE_TOKENIZER_FOLDER, PARE_TOKENIZER_GGUF };

struct pare_model {
    struct pare_graph *graph;
    struct pare_preprocess preprocess;
    char **labels; /* of the outputs, or NULL */
    uint32_t n_labels;
    char *family;    /* "vit" */
    json_t *config;  /* the family's config.json */
    json_t *about;   /* Pare's own files: recipe, hashes, measured figures; or NULL */
    char *tokenizer; /* absolute path of the folder or GGUF file that holds it; NULL: none */
    enum pare_tokenizer_source tokenizer_source; /* what that path is */
    char hash[PARE_HASH_HEX];                    /* once pare_model_hash() was called; "" before */
};

/* Open a folder (config.json with safetensors, or a model that Pare wrote), a .safetensors file
 * that Pare wrote, or a GGUF file. Weights stay mapped, and those of language models are not read:
 * numbers that are not finite are found by pare_model_hash(), or by who reads them. */
int pare_model_open(const char *path, struct pare_model **out, struct pare_error *err);
void pare_model_free(struct pare_model *model);

/* SHA-256 of graph and tensors, however they were stored, and of the plugins' files whose encodings
 * weights are in: what the model computes. Text that lives as long as the model.
 * The first call reads all weights; one thread at a time. PARE_INVALID: a number is not finite. */
int pare_model_hash(struct pare_model *model, const char **out, struct pare_error *err);

/* The same model with another graph (taken over, even on failure). */
int pare_model_with_graph(const struct pare_model *model, struct pare_graph *graph,
                          struct pare_model **out, struct pare_error *err);

/* Write Pare's own format, a safetensors file that describes itself and loads back bit for bit.
 * `about` (may be NULL) is stored with it: an object. */
int pare_model_write(const struct pare_model *model, const char *file, const json_t *about,
                     struct pare_error *err);

/* Write a Hugging Face folder: config.json, preprocessor_config.json for images, model.safetensors
 * with the family's names, and the tokenizer's files: copies where the model came from such a
 * folder, made from the vocabulary where it came from a GGUF file. Layers that are left are
 * numbered anew. PARE_UNSUPPORTED, naming the unit, when the architecture cannot express the graph.
 * With `decode`, encoded weights are written as f32; without, they are refused; f32, f16 and bf16
 * stay as they are. */
int pare_model_write_hf(const struct pare_model *model, const char *folder, bool decode,
                        struct pare_error *err);

/* Write a GGUF file that llama.cpp loads: every weight in ggml's form of its own encoding, layers
 * that are left numbered anew, metadata from the configuration, the tokenizer's entries copied from
 * the GGUF file that the model came from, or converted from its folder's tokenizer.json; a folder
 * without one gives a file that works with token ids only. `about` (may be NULL): an object, its
 * members become text entries "pare.NAME". PARE_UNSUPPORTED, naming the unit: "not representable in
 * GGUF because ..."; `decode` widens codes, else writes f32, where that helps. */
int pare_model_write_gguf(const struct pare_model *model, const char *path, bool decode,
                          const json_t *about, struct pare_error *err);

/* The kinds of files that name a family's tensors. */
enum pare_dialect { PARE_DIALECT_HF, PARE_DIALECT_GGUF };

/* A family: how a configuration (config.json, or what a GGUF file says in the same words) and named
 * tensors become a graph, and back. */
struct pare_tensors;
struct pare_writing;
struct pare_family {
    const char *name;
    const char *const *model_types; /* config.json's model_type; NULL-terminated */
    int (*build)(const json_t *config, enum pare_dialect from, struct pare_tensors *tensors,
                 struct pare_model *model, struct pare_error *err);
    /* Add to the configuration what other files of its folder say; may be NULL. */
    int (*describe)(const char *folder, json_t *config, struct pare_error *err);
    /* Collect the tensors of a model under others' names; `*config` is the new configuration. */
    int (*write)(const struct pare_writing *writing, json_t **config);
    /* A model with random weights: `shape` as text, see `shape_help`. */
    int (*random)(const char *shape, uint64_t seed, struct pare_tensors *tensors, json_t **config,
                  json_t **preprocessor, struct pare_error *err);
    const char *shape_help;
};
extern const struct pare_family pare_family_vit, pare_family_llama, pare_family_gpt2,
    pare_family_bert;
const struct pare_family *pare_family_find(const char *name); /* NULL: none of that name */
/* "vit, llama, ...": names of all families, for messages; at least 128 bytes. */
void pare_family_names(char out[128]);

/* Read preprocessor_config.json; what it leaves open is taken from the graph's image. */
int pare_preprocess_read(const json_t *config, const struct pare_graph *graph,
                         struct pare_preprocess *out, struct pare_error *err);
json_t *pare_preprocess_json(const struct pare_preprocess *p);

/* ---- changes of the graph that keep it whole (surgery)
 * ------------------------------------------- */

/* Take a branch out: the stream goes on without it, or with `mean` (width floats) added, or with a
 * linear map of the stream added (`map`: width x width, with `mean` as its bias). With the last
 * branch of a layer its norms on the stream go, too. `path` is a branch's. */
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

/* Replace a linear's weight by left * right: the linear gets `left`, rows x rank; a linear
 * PATH.basis before it gets `right`, rank x columns, reads what the linear read, and takes its
 * inputs as that did. Both f32. PARE_UNSUPPORTED (and the graph is as before): a weight that others
 * share, a product already, a linear on the image. */
int pare_graph_factorize(struct pare_graph *graph, const char *path, uint32_t rank,
                         const float *left, const float *right, struct pare_error *err);

/* Merge r pairs of tokens at a stream point (its path is a unit's). */
int pare_graph_merge_tokens(struct pare_graph *graph, const char *stream, uint32_t r,
                            struct pare_error *err);

#endif
