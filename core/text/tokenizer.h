/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_TOKENIZER_H
#define PARE_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

/* Text to token ids and back, as the tokenizer of a language model has it: byte-level BPE, BPE and
 * unigram as SentencePiece has them, WordPiece. What is read are Hugging Face's tokenizer.json and
 * the vocabularies of GGUF files. Ids equal those of the reference, Hugging Face's `tokenizers` for
 * the former and llama.cpp for the latter, for characters of Unicode 14; later ones may be classed
 * otherwise. WordPiece in GGUF normalizes as BERT itself does, from which llama.cpp departs for
 * Hangul, combining marks, vertical tabs and form feeds. Truncation and padding in tokenizer.json
 * are left to the caller. */
struct pare_tokenizer;

/* The files of a folder that it is read from, the first of which has to be there. */
#define PARE_TOKENIZER_FILES 3
extern const char *const pare_tokenizer_files[PARE_TOKENIZER_FILES];

/* Open the tokenizer of a model folder (or a file named ....json): tokenizer.json, and beside it
 * tokenizer_config.json or special_tokens_map.json, which name the special tokens and, for the
 * tokenizer classes of Llama and Gemma, say whether text begins and ends with them. `*out` is freed
 * by pare_tokenizer_free(). Errors: PARE_NOT_FOUND, PARE_IO, PARE_INVALID with the place in the
 * file, PARE_UNSUPPORTED with the name of what is not known. Any thread. */
int pare_tokenizer_open(const char *path, struct pare_tokenizer **out, struct pare_error *err);

/* The same from memory; `config` may be NULL. `name` stands for the file in messages. */
int pare_tokenizer_parse(const char *name, const char *json, size_t size, const char *config,
                         size_t config_size, struct pare_tokenizer **out, struct pare_error *err);

/* A vocabulary as GGUF files have it; loaders fill it, pare_tokenizer_from_vocab() copies what it
 * needs. Arrays have `n_tokens` elements or are NULL. */
struct pare_bytes {
    const char *data;
    size_t len;
};

enum pare_token_type { /* as in GGUF and SentencePiece */
                       PARE_TOKEN_NORMAL = 1,
                       PARE_TOKEN_UNKNOWN = 2,
                       PARE_TOKEN_CONTROL = 3,
                       PARE_TOKEN_USER = 4,
                       PARE_TOKEN_UNUSED = 5,
                       PARE_TOKEN_BYTE = 6
};

enum pare_special {
    PARE_SPECIAL_BOS,
    PARE_SPECIAL_EOS,
    PARE_SPECIAL_UNK,
    PARE_SPECIAL_PAD,
    PARE_SPECIAL_SEP,
    PARE_SPECIAL_CLS,
    PARE_SPECIAL_MASK,
    PARE_SPECIAL_COUNT
};

struct pare_vocab_spec {
    const char *model; /* tokenizer.ggml.model: "gpt2", "llama", "bert", "t5" */
    const char *pre;   /* tokenizer.ggml.pre: names the regexes of "gpt2"; NULL: "default" */
    size_t n_tokens;
    const struct pare_bytes *tokens;
    const float *scores;  /* "llama", "t5" */
    const int32_t *types; /* enum pare_token_type; NULL: all normal */
    size_t n_merges;
    const struct pare_bytes *merges;     /* "left right", best first: "gpt2" */
    int32_t special[PARE_SPECIAL_COUNT]; /* ids, -1: none */
    int add_bos, add_eos;                /* 0, 1, or -1: as the model and `pre` have it */
    bool add_space_prefix;               /* "llama", "t5" */
    bool remove_extra_spaces;            /* "t5" */
    bool lowercase, strip_accents;       /* "bert" */
    const void *charsmap;                /* "t5": SentencePiece's compiled normalizer, or NULL */
    size_t charsmap_size;
};

/* Errors: PARE_INVALID, PARE_UNSUPPORTED (a model or pre-tokenizer that is not known). Any thread.
 */
int pare_tokenizer_from_vocab(const struct pare_vocab_spec *spec, struct pare_tokenizer **out,
                              struct pare_error *err);

/* What the metadata of a GGUF file says of its vocabulary, for as long as `use` runs, whose error
 * is passed on. Errors: PARE_NOT_FOUND (a file without one), PARE_INVALID, PARE_UNSUPPORTED,
 * PARE_NOMEM. Any thread. */
struct pare_gguf;
int pare_gguf_vocab(const struct pare_gguf *file,
                    int (*use)(void *user, const struct pare_vocab_spec *, struct pare_error *),
                    void *user, struct pare_error *err);

/* The tokenizer of that vocabulary; the file is only needed until this returns. Errors as above.
 */
int pare_tokenizer_from_gguf(const struct pare_gguf *file, struct pare_tokenizer **out,
                             struct pare_error *err);

void pare_tokenizer_free(struct pare_tokenizer *t); /* NULL is fine */

/* Ids that grow; zero-initialise, reuse, free. `types` are BERT's segments: 0, and 1 in the second
 * text of a pair. */
struct pare_ids {
    int32_t *ids;
    uint8_t *types;
    size_t n, cap, types_cap;
};
void pare_ids_free(struct pare_ids *ids);

enum {
    PARE_ENCODE_ADD = 1,  /* add the special tokens that the model expects around a text */
    PARE_ENCODE_PLAIN = 2 /* special tokens that are written in the text are text, not tokens */
};

/* The ids of `n` bytes of text replace the contents of `out`. What is not UTF-8 is read as U+FFFD,
 * one for each maximal part of a sequence, as Unicode recommends and the readers of the reference
 * do. Errors: PARE_NOMEM; PARE_FAILED when the tokenizer's regex gives up on the text (the limits
 * are generous and bound the time); PARE_INVALID when the vocabulary has no token for a character
 * nor one for unknowns, where the reference fails too. Any number of threads on one tokenizer. */
int pare_tokenizer_encode(const struct pare_tokenizer *t, const char *text, size_t n,
                          unsigned flags, struct pare_ids *out, struct pare_error *err);

/* The same for two texts that belong together ([CLS] a [SEP] b [SEP]). */
int pare_tokenizer_encode_pair(const struct pare_tokenizer *t, const char *a, size_t n_a,
                               const char *b, size_t n_b, unsigned flags, struct pare_ids *out,
                               struct pare_error *err);

/* Append the text of `n` ids to `out`, as the reference's decoder writes it: bytes that form no
 * UTF-8 become U+FFFD. With `skip_special`, special tokens are left out. Ids without a token are
 * left out. Errors: PARE_NOMEM, PARE_FAILED (as above, for decoders with a regex). Any thread. */
int pare_tokenizer_decode(const struct pare_tokenizer *t, const int32_t *ids, size_t n,
                          bool skip_special, struct pare_str *out, struct pare_error *err);

/* Append the bytes that one token adds in the middle of a text, for output as it is generated: they
 * may be a part of a character. Special tokens and ids without a token add nothing. Errors as
 * above. Any thread. */
int pare_tokenizer_token_bytes(const struct pare_tokenizer *t, int32_t id, struct pare_str *out,
                               struct pare_error *err);

/* One more than the largest id. Any thread, as all below. */
size_t pare_tokenizer_size(const struct pare_tokenizer *t);

/* The id of a special token, -1 when there is none. */
int32_t pare_tokenizer_special(const struct pare_tokenizer *t, enum pare_special which);
bool pare_tokenizer_is_special(const struct pare_tokenizer *t, int32_t id);

/* The token as the vocabulary writes it ("Ġthe", "##ing"), not NUL-terminated; data = NULL: none.
 * It lives as long as the tokenizer. */
struct pare_bytes pare_tokenizer_token(const struct pare_tokenizer *t, int32_t id);

/* The id of a token as the vocabulary writes it, -1 when there is none. */
int32_t pare_tokenizer_find(const struct pare_tokenizer *t, const char *token, size_t len);

#endif
