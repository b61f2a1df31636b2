/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_FAMILY_PARTS_H
#define PARE_MODEL_FAMILY_PARTS_H

#include "base/random.h"
#include "model/model.h"
#include "model/safetensors.h"

/* What families share. All functions follow the rules of model.h; none keeps what it is given
 * unless it says so. */

#define PARE_SIDE_MAX 65536       /* of what a configuration calls a size */
#define PARE_WIDTH_MAX (1u << 20) /* of vocabularies and contexts */
#define PARE_DEPTH_MAX 1024       /* layers */
#define PARE_TENSOR_NAME 256

/* By model_type; NULL: none. */
const struct pare_family *pare_family_of(const char *model_type);
/* All model types, for messages; at least 256 bytes. */
void pare_family_types(char out[256]);
/* FOLDER/NAME, a JSON object or list; NULL in *out when it is not there and not required. */
int pare_read_json(const char *folder, const char *name, bool required, json_t **out,
                   struct pare_error *err);

/* ---- config.json
 * --------------------------------------------------------------------------------- */

/* An integer from 1 to `most`; `fallback` when the key is not there or null (0: it must be). */
int pare_config_size(const json_t *config, const char *key, uint32_t most, uint32_t fallback,
                     uint32_t *out, struct pare_error *err);
/* A finite number; the fallback when it is not there or null (NAN: it must be). */
int pare_config_real(const json_t *config, const char *key, double fallback, double *out,
                     struct pare_error *err);
/* An activation in transformers' words. PARE_UNSUPPORTED for others. */
int pare_config_activation(const json_t *config, const char *key, const char *fallback,
                           uint32_t *out, struct pare_error *err);
/* transformers' name of an activation. */
const char *pare_activation_name(uint32_t activation);

/* ---- building
 * ------------------------------------------------------------------------------------ */

/* What the steps of building share. The graph is the model's. */
struct pare_build {
    struct pare_graph *graph;
    struct pare_tensors *tensors;
    struct pare_error *err;
};

/* A tensor as f32, see pare_tensors_take(); its name is formatted. */
int pare_build_take(struct pare_build *b, unsigned rank, const uint64_t *shape,
                    struct pare_blob **out, const char *fmt, ...) PARE_PRINTF(5, 6);
/* A matrix in the encoding of the file, neither read nor copied where the file's alignment allows.
 */
int pare_build_weight(struct pare_build *b, const char *name, uint32_t rows, uint32_t cols,
                      struct pare_weight **out);
/* Rows of a matrix of `all` rows, the same way. */
int pare_build_rows(struct pare_build *b, const char *name, uint32_t all, uint32_t first,
                    uint32_t rows, uint32_t cols, struct pare_weight **out);
bool pare_build_has(const struct pare_build *b, const char *name);
/* Mark a tensor that the model does without, so that it does not count as left over. */
void pare_build_ignore(struct pare_build *b, const char *name);
/* PARE_UNSUPPORTED, naming the first tensor that nobody took and `may` (or NULL) does not excuse.
 */
int pare_build_finish(struct pare_build *b, bool (*may)(const char *name), const char *what);

/* What the last node wrote. */
uint32_t pare_build_last(const struct pare_build *b);
/* A node with one input; path and role are set, `block` >= 0 puts "layer.N." before the path. */
struct pare_node pare_build_node(uint8_t op, int32_t block, const char *path, const char *role,
                                 uint32_t input);
/* Add a node; its references are the graph's from here on, whatever happens, and *node is empty. */
int pare_build_put(struct pare_build *b, struct pare_node *node);
int pare_build_add(struct pare_build *b, int32_t block, const char *path, uint32_t x, uint32_t y,
                   float factor);
int pare_build_activation(struct pare_build *b, int32_t block, const char *path, const char *role,
                          uint32_t activation, uint32_t input);
int pare_build_pool(struct pare_build *b, const char *path, uint32_t input, uint32_t token);

/* ---- writing
 * ------------------------------------------------------------------------------------- */

/* Collect the tensors of a model under the names of a kind of file. */
struct pare_writing {
    const struct pare_model *model;
    struct pare_tensors *out;
    enum pare_dialect to;
    bool decode;
    struct pare_error *err;
};

/* Let the model's family write: what every `write` function begins with. */
int pare_writing_run(const struct pare_writing *w, json_t **config);
/* "not representable in TARGET because ..."; returns PARE_UNSUPPORTED. */
int pare_writing_refuse(const struct pare_writing *w, const char *fmt, ...) PARE_PRINTF(2, 3);
/* The node layer.BLOCK.PATH, or PATH when block is -1; NULL: none. */
const struct pare_node *pare_writing_node(const struct pare_writing *w, int32_t block,
                                          const char *path);
/* Whether anything of a layer is left. */
bool pare_writing_has_layer(const struct pare_writing *w, int32_t block);
/* A weight as a tensor of that shape. Hugging Face's files hold f32, f16 and bf16; GGUF all that
 * pare_weight_to_ggml() gives. What cannot be held is written as f32 with `decode`, else refused
 * under the node's path. `order` (NULL: as they are) lists which row comes at each place. */
int pare_writing_weight(const struct pare_writing *w, const struct pare_node *node,
                        const char *name, unsigned rank, const uint64_t *shape,
                        const uint32_t *order);
/* A vector of f32; NULL is left out. */
int pare_writing_vector(const struct pare_writing *w, struct pare_blob *data, const char *name,
                        const uint32_t *order);
/* NAME.weight and NAME.bias of a norm. */
int pare_writing_norm(const struct pare_writing *w, const struct pare_node *node, const char *name);

/* ---- random models
 * ------------------------------------------------------------------------------- */

int pare_random_tensor(struct pare_tensors *out, struct pare_random *r, const char *name,
                       unsigned rank, const uint64_t *shape, double mean, double deviation,
                       struct pare_error *err);
/* NAME.weight of a matrix (rank 2 or 4) or a norm (rank 1), and NAME.bias when asked for. */
int pare_random_pair(struct pare_tensors *out, struct pare_random *r, const char *name,
                     unsigned rank, const uint64_t *shape, bool bias, struct pare_error *err);
/* n sizes divided by commas; false: `text` is something else. */
bool pare_random_shape(const char *text, uint32_t *out, size_t n);

#endif
