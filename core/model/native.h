/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_NATIVE_H
#define PARE_MODEL_NATIVE_H

#include <jansson.h>

#include "model/graph.h"
#include "model/safetensors.h"

/* A graph as JSON plus tensors named PATH.weight, PATH.bias, ... The JSON and the tensors are the
 * same for the same graph, so their hash identifies it. `*out` is a new reference. */
int pare_native_store(const struct pare_graph *graph, struct pare_tensors *tensors, json_t **out,
                      struct pare_error *err);

/* The way back; everything is checked, the graph is inferred. */
int pare_native_load(const json_t *graph, struct pare_tensors *tensors, struct pare_graph **out,
                     struct pare_error *err);

#endif
