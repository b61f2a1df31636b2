/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_VOCAB_JSON_H
#define PARE_TEXT_VOCAB_JSON_H

#include <jansson.h>

#include "text/tokenizer.h"

/* A vocabulary of a GGUF file as Hugging Face has it: what stands in tokenizer.json, and in
 * tokenizer_config.json (the special tokens). New references. Merges that llama.cpp finds by the
 * scores of tokens become a list, best first; a word of more than 100 characters is unknown to
 * WordPiece there. Errors: those of pare_tokenizer_from_vocab(); PARE_UNSUPPORTED: a token that is
 * not UTF-8, which JSON cannot hold. Any thread. */
int pare_vocab_to_json(const struct pare_vocab_spec *spec, json_t **tokenizer, json_t **settings,
                       struct pare_error *err);

/* The same of a GGUF file, with its chat template among the settings. PARE_NOT_FOUND: it has no
 * tokenizer. */
struct pare_gguf;
int pare_gguf_tokenizer_json(const struct pare_gguf *file, json_t **tokenizer, json_t **settings,
                             struct pare_error *err);

#endif
