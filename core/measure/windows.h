/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_WINDOWS_H
#define PARE_MEASURE_WINDOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"
#include "model/graph.h"
#include "text/tokenizer.h"

/* A long text cut into windows for perplexity: which tokens are read together, and which of them
 * are predicted and counted. */
enum pare_window_method {
    /* As Hugging Face's guide to perplexity: windows begin every `stride` tokens; of each the
     * tokens count that no earlier window had (never the first of the text). The last one may be
     * shorter. */
    PARE_WINDOWS_HF,
    /* As llama.cpp's perplexity: windows follow each other, the first token of each becomes the
     * beginning-of-text token where the tokenizer has one, and the second half counts. What is left
     * over at the end is not read. `stride` must be the window. */
    PARE_WINDOWS_LLAMA_CPP
};
const char *pare_window_method_name(enum pare_window_method method); /* "hf", "llama.cpp" */

struct pare_window_spec {
    const char *path; /* plain text, UTF-8 */
    enum pare_window_method method;
    uint32_t window, stride; /* tokens; stride 0: the window */
    uint32_t skip, most;     /* windows left out at the front; so many, 0: all */
};

/* Any thread may read once it is opened. */
struct pare_windows;

/* Tokens of a window where none are asked for; more than the context is PARE_INVALID. */
uint32_t pare_window_default(const struct pare_graph *graph);
int pare_window_check(const struct pare_graph *graph, uint64_t window, struct pare_error *err);

/* Read and cut the text. PARE_INVALID: a window or stride that is out of range, a text too short
 * for one window. Released with pare_windows_free(). */
int pare_windows_open(const struct pare_window_spec *spec, const struct pare_tokenizer *tokenizer,
                      struct pare_windows **out, struct pare_error *err);
void pare_windows_free(struct pare_windows *windows);

uint32_t pare_windows_count(const struct pare_windows *windows);
uint32_t pare_windows_tokens(const struct pare_windows *windows); /* of the whole text */
/* What is worth telling about how it was read, "" when nothing is. */
const char *pare_windows_note(const struct pare_windows *windows);
/* SHA-256 over the ids and the way they are cut. */
const char *pare_windows_hash(const struct pare_windows *windows);

/* Window `i`: `n` ids (at most the window) into `ids`; the tokens first..n - 1 of it count, each
 * predicted from those before it. */
struct pare_window {
    uint32_t n, first;
};
struct pare_window pare_windows_read(const struct pare_windows *windows, uint32_t i, int32_t *ids);
/* The same without its ids. */
struct pare_window pare_windows_span(const struct pare_windows *windows, uint32_t i);

#endif
