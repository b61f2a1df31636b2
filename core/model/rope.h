/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_ROPE_H
#define PARE_MODEL_ROPE_H

#include <jansson.h>
#include <stdbool.h>

#include "model/blob.h"

/* Rotary position embeddings as configurations describe them (transformers' modeling_rope_utils):
 * rope_theta, partial_rotary_factor, and rope_scaling or rope_parameters with one of the types
 * default, linear, llama3, yarn (https://arxiv.org/abs/2309.00071), longrope with one list. */
struct pare_rope {
    struct pare_blob *frequency; /* one f32 per pair: what a position is multiplied by */
    struct pare_blob *factors;   /* f32 that the plain frequencies were divided by; NULL: by one */
    double attention;            /* what the rotated vectors are multiplied by */
    uint32_t pairs;
};

/* `head`: the width of a head. Released by pare_rope_free(), also after an error. Errors:
 * PARE_INVALID, PARE_UNSUPPORTED with the name of a type that is not known. */
int pare_rope_read(const json_t *config, uint32_t head, struct pare_rope *out,
                   struct pare_error *err);
void pare_rope_free(struct pare_rope *rope);

/* What a configuration says of scaling: an object, or NULL when it says nothing. */
const json_t *pare_rope_scaling(const json_t *config);
/* Its type, "default" when there is none. */
const char *pare_rope_type(const json_t *config);
/* rope_theta, wherever it is. */
int pare_rope_theta(const json_t *config, double *out, struct pare_error *err);

#endif
