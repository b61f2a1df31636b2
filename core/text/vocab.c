/* SPDX-License-Identifier: Apache-2.0 */
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

/* Eight bytes at a time, multiplied and folded. */
uint64_t pare_text_hash(const char *text, size_t n)
{
    uint64_t h = n * UINT64_C(0x9E3779B97F4A7C15);
    while (n > 0) {
        uint64_t word = 0;
        const size_t take = PARE_MIN(n, sizeof word);
        memcpy(&word, text, take);
        h = (h ^ word) * UINT64_C(0xD6E8FEB86659FD93);
        h ^= h >> 32;
        text += take;
        n -= take;
    }
    return h * UINT64_C(0xD6E8FEB86659FD93) >> 20;
}

int pare_vocab_reach(struct pare_vocab *v, long long id, struct pare_error *err)
{
    if (id < 0 || id >= PARE_ID_LIMIT) {
        pare_error_set(err, PARE_INVALID, "a token has the id %lld", id);
        pare_error_detail(err, "ids are from 0 to %d", PARE_ID_LIMIT - 1);
        return PARE_INVALID;
    }
    if ((size_t)id < v->size)
        return PARE_OK;
    if (!pare_grow(&v->tokens, &v->cap, (size_t)id + 1, sizeof *v->tokens))
        return pare_error_nomem(err, ((size_t)id + 1) * sizeof *v->tokens);
    memset(v->tokens + v->size, 0, ((size_t)id + 1 - v->size) * sizeof *v->tokens);
    v->size = (size_t)id + 1;
    return PARE_OK;
}

static bool same(const struct pare_token *t, const char *text, size_t n)
{
    return t->text.len == n && memcmp(t->text.data, text, n) == 0;
}

/* The slot of a text, or the empty one where it would go. */
static size_t slot(const struct pare_vocab *v, const char *text, size_t n)
{
    size_t i = pare_text_hash(text, n) & v->mask;
    while (v->slots[i] >= 0 && !same(&v->tokens[v->slots[i]], text, n))
        i = (i + 1) & v->mask;
    return i;
}

static bool widen(struct pare_vocab *v)
{
    const size_t old_n = v->slots ? v->mask + 1 : 0, n = old_n ? old_n * 2 : 1024;
    int32_t *old = v->slots, *slots = pare_alloc(n, sizeof *slots);
    if (!slots)
        return false;
    memset(slots, 0xFF, n * sizeof *slots);
    v->slots = slots;
    v->mask = n - 1;
    for (size_t i = 0; i < old_n; i++)
        if (old[i] >= 0) {
            const struct pare_bytes text = v->tokens[old[i]].text;
            slots[slot(v, text.data, text.len)] = old[i];
        }
    free(old);
    return true;
}

int pare_vocab_index(struct pare_vocab *v, int32_t id, struct pare_error *err)
{
    if ((!v->slots || v->n_model * 2 > v->mask) && !widen(v))
        return pare_error_nomem(err, 0);
    const struct pare_bytes text = v->tokens[id].text;
    const size_t i = slot(v, text.data, text.len);
    v->n_model += v->slots[i] < 0;
    v->slots[i] = id;
    return PARE_OK;
}

int32_t pare_vocab_find(const struct pare_vocab *v, const char *text, size_t n)
{
    return v->slots ? v->slots[slot(v, text, n)] : -1;
}

void pare_vocab_free(struct pare_vocab *v)
{
    free(v->tokens);
    free(v->slots);
    *v = (struct pare_vocab){0};
}

int pare_ids_push(struct pare_ids *ids, int32_t id, struct pare_error *err)
{
    if (!pare_grow(&ids->ids, &ids->cap, ids->n + 1, sizeof *ids->ids))
        return pare_error_nomem(err, ids->n * sizeof *ids->ids);
    ids->ids[ids->n++] = id;
    return PARE_OK;
}

void pare_ids_free(struct pare_ids *ids)
{
    free(ids->ids);
    free(ids->types);
    *ids = (struct pare_ids){0};
}
