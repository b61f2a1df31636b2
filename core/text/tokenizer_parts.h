/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_TOKENIZER_PARTS_H
#define PARE_TEXT_TOKENIZER_PARTS_H

#include "text/added.h"
#include "text/bpe.h"
#include "text/decode.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/template.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

/* A tokenizer as loaders fill it and tokenizer.c runs it: normalize, cut into pieces, ask the
 * model, add special tokens; and back. */
enum pare_text_model { PARE_MODEL_BPE, PARE_MODEL_UNIGRAM, PARE_MODEL_WORDPIECE };

struct pare_tokenizer {
    struct pare_pool pool; /* texts, steps, tries */
    struct pare_vocab vocab;
    enum pare_text_model model;
    struct pare_bpe bpe;
    struct pare_unigram unigram;
    struct pare_wordpiece wordpiece;
    struct pare_normalize_step *normalize;
    size_t n_normalize, normalize_cap;
    struct pare_pretokenize_step *pretokenize;
    size_t n_pretokenize, pretokenize_cap;
    struct pare_decode_step *decode;
    size_t n_decode, decode_cap;
    struct pare_added *added;
    size_t n_added, added_cap;
    struct pare_added_set raw, normalized; /* what is looked for before and after normalizing */
    struct pare_template one, two;
    int32_t special[PARE_SPECIAL_COUNT];
};

/* Empty, without special tokens. NULL: no memory. */
struct pare_tokenizer *pare_tokenizer_new(void);

/* One more step, zeroed; NULL: no memory. It belongs to the tokenizer, its regex too. */
struct pare_normalize_step *pare_add_normalize(struct pare_tokenizer *t);
struct pare_pretokenize_step *pare_add_pretokenize(struct pare_tokenizer *t);
struct pare_decode_step *pare_add_decode(struct pare_tokenizer *t);

/* A copy in the pool; data NULL: no memory. */
struct pare_bytes pare_keep_bytes(struct pare_tokenizer *t, const char *data, size_t len);

/* Name a token of the model; it can be found by its text from then on. `text` lives as long as the
 * tokenizer. PARE_INVALID: the id is out of range or has a token already. */
int pare_add_token(struct pare_tokenizer *t, long long id, struct pare_bytes text, double score,
                   struct pare_error *err);

/* Once all is filled in: index the model's tokens and the added ones. */
int pare_tokenizer_finish(struct pare_tokenizer *t, struct pare_error *err);

#endif
