/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_GGUF_PRE_H
#define PARE_TEXT_GGUF_PRE_H

#include <stdbool.h>

/* What a name in tokenizer.ggml.pre stands for: regexes that cut the text one after another, each
 * match and each stretch between a piece of its own. As llama.cpp has them (src/llama-vocab.cpp),
 * which takes them from the models' tokenizer.json. */
#define PARE_PRE_REGEXES 5
struct pare_gguf_pre {
    const char *regexes[PARE_PRE_REGEXES]; /* NULL: no more */
    bool ignore_merges, add_bos;
};

/* NULL: not known. */
const struct pare_gguf_pre *pare_gguf_pre(const char *name);

#endif
