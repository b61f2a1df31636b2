/* SPDX-License-Identifier: Apache-2.0 */
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

struct pare_bpe_symbol {
    int32_t id; /* -1: no token */
    uint32_t start, len;
    int32_t prev, next; /* -1: none; len = 0: merged away */
};

/* A merge that may come to be. */
struct pare_bpe_step {
    double key; /* least first */
    int32_t left;
    int32_t id;
    uint32_t len; /* of what it makes */
};

enum { SEEN = 4096, SEEN_WORD = 128, SEEN_BYTES = 1 << 18 };
struct pare_bpe_seen {
    uint32_t text, len, ids, n;
};

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static struct pare_merge *merge_slot(const struct pare_bpe *bpe, uint64_t pair)
{
    size_t i = (pair * UINT64_C(0x9E3779B97F4A7C15) >> 24) & bpe->mask;
    while (bpe->merges[i].pair != UINT64_MAX && bpe->merges[i].pair != pair)
        i = (i + 1) & bpe->mask;
    return &bpe->merges[i];
}

int pare_bpe_add_merge(struct pare_bpe *bpe, int32_t left, int32_t right, uint32_t rank, int32_t id,
                       struct pare_error *err)
{
    if (!bpe->merges || bpe->n_merges * 2 > bpe->mask) {
        const size_t old_n = bpe->merges ? bpe->mask + 1 : 0, n = old_n ? old_n * 2 : 1024;
        struct pare_merge *old = bpe->merges, *merges = pare_alloc(n, sizeof *merges);
        if (!merges)
            return pare_error_nomem(err, n * sizeof *merges);
        for (size_t i = 0; i < n; i++)
            merges[i].pair = UINT64_MAX;
        bpe->merges = merges;
        bpe->mask = n - 1;
        for (size_t i = 0; i < old_n; i++)
            if (old[i].pair != UINT64_MAX)
                *merge_slot(bpe, old[i].pair) = old[i];
        free(old);
    }
    struct pare_merge *m = merge_slot(bpe, pair_of(left, right));
    bpe->n_merges += m->pair == UINT64_MAX;
    *m = (struct pare_merge){pair_of(left, right), rank, id};
    return PARE_OK;
}

void pare_bpe_free(struct pare_bpe *bpe)
{
    free(bpe->merges);
    *bpe = (struct pare_bpe){0};
}

void pare_find_bytes(const struct pare_vocab *v, int32_t bytes[256])
{
    static const char digits[] = "0123456789ABCDEF";
    for (int i = 0; i < 256; i++) {
        const char text[] = {'<', '0', 'x', digits[i >> 4], digits[i & 15], '>'};
        bytes[i] = pare_vocab_find(v, text, sizeof text);
    }
}

void pare_bpe_work_free(struct pare_bpe_work *w)
{
    free(w->symbols);
    free(w->heap);
    free(w->seen);
    pare_str_free(&w->text);
    pare_str_free(&w->seen_words);
    pare_ids_free(&w->seen_ids);
    *w = (struct pare_bpe_work){0};
}

void pare_bpe_remember(struct pare_bpe_work *w)
{
    if (!w->seen)
        w->seen = pare_calloc(SEEN, sizeof *w->seen);
}

static bool add_symbol(struct pare_bpe_work *w, int32_t id, size_t start, size_t len)
{
    if (!pare_grow(&w->symbols, &w->symbols_cap, w->n_symbols + 1, sizeof *w->symbols))
        return false;
    const int32_t i = (int32_t)w->n_symbols;
    if (i > 0)
        w->symbols[i - 1].next = i;
    w->symbols[w->n_symbols++] =
        (struct pare_bpe_symbol){id, (uint32_t)start, (uint32_t)len, i - 1, -1};
    return true;
}

/* The token of the character at [i, end) of a word. */
static int32_t character(const struct pare_bpe *bpe, const struct pare_vocab *v,
                         struct pare_bpe_work *w, const char *text, size_t n, size_t i, size_t end)
{
    if (bpe->prefix.len == 0 && bpe->suffix.len == 0)
        return pare_vocab_find(v, text + i, end - i);
    w->text.len = 0;
    if (i > 0)
        pare_str_append_n(&w->text, bpe->prefix.data, bpe->prefix.len);
    pare_str_append_n(&w->text, text + i, end - i);
    if (end == n)
        pare_str_append_n(&w->text, bpe->suffix.data, bpe->suffix.len);
    return w->text.failed ? -1 : pare_vocab_find(v, w->text.data, w->text.len);
}

/* The bytes of a character that is no token, when each of them is one. */
static bool fall_back(const struct pare_bpe *bpe, struct pare_bpe_work *w, const char *text,
                      size_t i, size_t end)
{
    for (size_t k = i; k < end; k++)
        if (bpe->bytes[(uint8_t)text[k]] < 0)
            return false;
    for (size_t k = i; k < end; k++)
        if (!add_symbol(w, bpe->bytes[(uint8_t)text[k]], k, 1))
            w->text.failed = true;
    return true;
}

/* A word as its characters. */
static bool begin(const struct pare_bpe *bpe, const struct pare_vocab *v, struct pare_bpe_work *w,
                  const char *text, size_t n)
{
    size_t unk = 0, unk_start = 0; /* bytes of unknowns not yet a symbol */
    bool fine = true;
    w->n_symbols = w->n_heap = 0;
    for (size_t i = 0, end; i < n && fine; i = end) {
        end = i + pare_utf8_len(text[i]);
        const int32_t id = character(bpe, v, w, text, n, i, end);
        if (bpe->by_score) {
            fine = add_symbol(w, id, i, end - i);
            continue;
        }
        if (id < 0 && bpe->byte_fallback && fall_back(bpe, w, text, i, end))
            continue;
        if (unk > 0 && (id >= 0 || !bpe->fuse_unk)) {
            fine = add_symbol(w, bpe->unk, unk_start, unk);
            unk = 0;
        }
        if (id >= 0) {
            fine = fine && add_symbol(w, id, i, end - i);
        } else if (bpe->unk >= 0) {
            unk_start = unk > 0 ? unk_start : i;
            unk += end - i;
        } else {
            w->lost = true;
            fine = !bpe->unk_parts || add_symbol(w, -1, i, end - i);
        }
    }
    if (unk > 0 && fine)
        fine = add_symbol(w, bpe->unk, unk_start, unk);
    return fine && !w->text.failed;
}

static bool before(const struct pare_bpe_step *a, const struct pare_bpe_step *b)
{
    return a->key != b->key ? a->key < b->key : a->left < b->left;
}

static bool push(struct pare_bpe_work *w, struct pare_bpe_step step)
{
    if (!pare_grow(&w->heap, &w->heap_cap, w->n_heap + 1, sizeof *w->heap))
        return false;
    size_t i = w->n_heap++;
    for (; i > 0 && before(&step, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = step;
    return true;
}

static struct pare_bpe_step pop(struct pare_bpe_work *w)
{
    const struct pare_bpe_step top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->n_heap)
            break;
        if (child + 1 < w->n_heap && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

/* What a symbol makes with the next, if anything. */
static bool look(const struct pare_bpe *bpe, const struct pare_vocab *v,
                 const struct pare_bpe_work *w, const char *text, int32_t left,
                 struct pare_bpe_step *step)
{
    const struct pare_bpe_symbol *a = &w->symbols[left];
    if (left < 0 || a->next < 0)
        return false;
    const struct pare_bpe_symbol *b = &w->symbols[a->next];
    *step = (struct pare_bpe_step){.left = left, .len = a->len + b->len};
    if (bpe->by_score) {
        step->id = pare_vocab_find(v, text + a->start, step->len);
        step->key = step->id >= 0 ? -v->tokens[step->id].score : 0;
        return step->id >= 0;
    }
    if (!bpe->merges)
        return false;
    const struct pare_merge *m = merge_slot(bpe, pair_of(a->id, b->id));
    step->key = m->rank;
    step->id = m->id;
    return m->pair != UINT64_MAX;
}

static bool merge_all(const struct pare_bpe *bpe, const struct pare_vocab *v,
                      struct pare_bpe_work *w, const char *text)
{
    struct pare_bpe_step step, now;
    for (size_t i = 0; i + 1 < w->n_symbols; i++)
        if (look(bpe, v, w, text, (int32_t)i, &step) && !push(w, step))
            return false;
    while (w->n_heap > 0) {
        step = pop(w);
        struct pare_bpe_symbol *a = &w->symbols[step.left];
        /* either neighbour may have been merged since; the reference compares what they make */
        if (a->len == 0 || !look(bpe, v, w, text, step.left, &now) || now.id != step.id ||
            (bpe->by_score && now.len != step.len))
            continue;
        struct pare_bpe_symbol *b = &w->symbols[a->next];
        a->id = step.id;
        a->len += b->len;
        a->next = b->next;
        b->len = 0;
        if (a->next >= 0)
            w->symbols[a->next].prev = step.left;
        if (a->prev >= 0 && look(bpe, v, w, text, a->prev, &now) && !push(w, now))
            return false;
        if (look(bpe, v, w, text, step.left, &now) && !push(w, now))
            return false;
    }
    return true;
}

static int emit(const struct pare_bpe *bpe, const struct pare_bpe_work *w, const char *text,
                struct pare_ids *out, struct pare_error *err)
{
    int rc = PARE_OK;
    for (int32_t i = w->n_symbols > 0 ? 0 : -1; i >= 0 && rc == PARE_OK; i = w->symbols[i].next) {
        const struct pare_bpe_symbol *s = &w->symbols[i];
        if (s->id >= 0) {
            rc = pare_ids_push(out, s->id, err);
            continue;
        }
        for (uint32_t k = 0; k < s->len && rc == PARE_OK && bpe->by_score; k++) {
            const int32_t byte = bpe->bytes[(uint8_t)text[s->start + k]];
            if (byte >= 0 || bpe->unk >= 0)
                rc = pare_ids_push(out, byte >= 0 ? byte : bpe->unk, err);
        }
    }
    return rc;
}

/* The word as it was encoded before in this call, or where to keep it. */
static struct pare_bpe_seen *recall(const struct pare_bpe_work *w, const char *text, size_t n,
                                    bool *known)
{
    struct pare_bpe_seen *s = &w->seen[pare_text_hash(text, n) & (SEEN - 1)];
    *known = s->len == n && memcmp(w->seen_words.data + s->text, text, n) == 0;
    return s;
}

int pare_bpe_word(const struct pare_bpe *bpe, const struct pare_vocab *v, struct pare_bpe_work *w,
                  const char *text, size_t n, struct pare_ids *out, struct pare_error *err)
{
    struct pare_bpe_seen *seen = NULL;
    const size_t from = out->n;
    int rc = PARE_OK;
    if (n == 0)
        return PARE_OK;
    if (bpe->ignore_merges) {
        const int32_t id = pare_vocab_find(v, text, n);
        if (id >= 0)
            return pare_ids_push(out, id, err);
    }
    if (w->seen && n <= SEEN_WORD) {
        bool known;
        seen = recall(w, text, n, &known);
        for (uint32_t i = 0; known && i < seen->n && rc == PARE_OK; i++)
            rc = pare_ids_push(out, w->seen_ids.ids[seen->ids + i], err);
        if (known)
            return rc;
    }
    if (!begin(bpe, v, w, text, n) || !merge_all(bpe, v, w, text))
        return pare_error_nomem(err, 0);
    if (w->lost && bpe->unk_missing)
        return pare_error_set(err, PARE_INVALID,
                              "a character is unknown, and the vocabulary has no token for that");
    PARE_TRY(emit(bpe, w, text, out, err));
    if (seen && w->seen_words.len + n <= SEEN_BYTES) {
        *seen = (struct pare_bpe_seen){(uint32_t)w->seen_words.len, (uint32_t)n,
                                       (uint32_t)w->seen_ids.n, (uint32_t)(out->n - from)};
        pare_str_append_n(&w->seen_words, text, n);
        for (size_t i = from; i < out->n && rc == PARE_OK; i++)
            rc = pare_ids_push(&w->seen_ids, out->ids[i], err);
        if (w->seen_words.failed)
            rc = pare_error_nomem(err, n);
    }
out:
    return rc;
}
