/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_EXPORT_TOKENIZER_H
#define PARE_MODEL_EXPORT_TOKENIZER_H

#include <jansson.h>

#include "model/gguf.h"

/* Put the tokenizer of a Hugging Face folder (tokenizer.json, tokenizer_config.json) into a GGUF
 * file as llama.cpp reads it: byte-level BPE whose way of splitting llama.cpp has a name for, BPE
 * as Llama 2 has it, WordPiece. `config`: the model's config.json; `vocabulary`: rows of its
 * embedding, up to which unused tokens are filled in. `*there` is false, and nothing is put, for a
 * folder without tokenizer.json. PARE_UNSUPPORTED, with the reason, for other tokenizers. */
int pare_tokenizer_to_gguf(const char *folder, const json_t *config, uint32_t vocabulary,
                           struct pare_gguf_draft *draft, bool *there, struct pare_error *err);

#endif
