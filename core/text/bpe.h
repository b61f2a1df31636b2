/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_BPE_H
#define PARE_TEXT_BPE_H

#include "text/vocab.h"

/* Byte-pair encoding (Sennrich et al. 2016): a word starts as its characters, and of all pairs of
 * neighbours the best is merged, the leftmost of equals, until none can be. Best is either the
 * first of a list of merges, or, as SentencePiece has it, what makes the token of highest score. */
struct pare_merge {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX: empty */
    uint32_t rank;
    int32_t id; /* of what they make */
};

struct pare_bpe {
    struct pare_merge *merges; /* open addressing; NULL: none */
    size_t mask, n_merges;
    bool by_score;
    bool ignore_merges; /* a word that is a token is that token */
    bool fuse_unk;      /* unknowns in a row are one */
    int32_t unk;        /* -1: what is unknown is left out */
    bool unk_parts;     /* what is left out keeps its neighbours from being merged, as llama.cpp
                           has it; else they come to stand together before anything is merged */
    bool unk_missing;   /* a token for unknowns is named but not there: unknowns are an error */
    bool byte_fallback;
    int32_t bytes[256];               /* of <0x00> to <0xFF>, -1: none */
    struct pare_bytes prefix, suffix; /* of characters that do not begin, that end a word */
};

int pare_bpe_add_merge(struct pare_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t id,
                       struct pare_error *err);
void pare_bpe_free(struct pare_bpe *bpe);

/* The ids of <0x00> to <0xFF>, for models with byte fallback. */
void pare_find_bytes(const struct pare_vocab *v, int32_t bytes[256]);

/* One thread's scratch, and the words it has seen in this call; zero-initialise. */
struct pare_bpe_work {
    struct pare_bpe_symbol *symbols;
    struct pare_bpe_step *heap;
    size_t n_symbols, symbols_cap, n_heap, heap_cap;
    struct pare_str text; /* a character with its prefix */
    bool lost;            /* something unknown was left out */
    struct pare_bpe_seen *seen;
    struct pare_str seen_words;
    struct pare_ids seen_ids;
};
void pare_bpe_work_free(struct pare_bpe_work *w);

/* Remember words from now on, up to a bound: worth it in long texts. */
void pare_bpe_remember(struct pare_bpe_work *w);

/* Append the ids of one word, which is UTF-8 and shorter than 4 GB. PARE_NOMEM; PARE_INVALID
 * for an unknown that is an error. */
int pare_bpe_word(const struct pare_bpe *bpe, const struct pare_vocab *v, struct pare_bpe_work *w,
                  const char *text, size_t n, struct pare_ids *out, struct pare_error *err);

#endif
