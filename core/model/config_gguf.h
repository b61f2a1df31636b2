/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_CONFIG_GGUF_H
#define PARE_MODEL_CONFIG_GGUF_H

#include <jansson.h>

#include "model/gguf.h"

/* The metadata of GGUF files in the words of config.json, and back, so that a family knows one kind
 * of configuration. Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */

/* A configuration out of a file's metadata. PARE_UNSUPPORTED for architectures that are not known
 * and for what the known ones can say and Pare cannot (experts, other scalings of positions). */
int pare_config_from_gguf(const struct pare_gguf *file, json_t **out, struct pare_error *err);

/* Put what a configuration says: general.architecture and the keys of that architecture.
 * PARE_UNSUPPORTED when GGUF has no key for something. */
int pare_config_to_gguf(const json_t *config, struct pare_gguf_draft *draft,
                        struct pare_error *err);

#endif
