/* SPDX-License-Identifier: Apache-2.0 */
#include "text/wordpiece.h"

#include <stdlib.h>
#include <string.h>

int pare_wordpiece_build(struct pare_wordpiece *wp, const struct pare_vocab *v,
                         struct pare_pool *pool, struct pare_error *err)
{
    struct pare_trie_entry *begin = pare_alloc(v->size, sizeof *begin);
    struct pare_trie_entry *inside = pare_alloc(v->size, sizeof *inside);
    const struct pare_bytes prefix = wp->prefix;
    size_t n_begin = 0, n_inside = 0;
    int rc = PARE_OK;
    if (!begin || !inside) {
        rc = pare_error_nomem(err, v->size * sizeof *begin);
        goto out;
    }
    for (size_t i = 0; i < v->size; i++) {
        const struct pare_bytes text = v->tokens[i].text;
        if (!text.data || pare_vocab_find(v, text.data, text.len) != (int32_t)i)
            continue;
        begin[n_begin++] = (struct pare_trie_entry){text, (int32_t)i};
        if (text.len >= prefix.len && memcmp(text.data, prefix.data, prefix.len) == 0)
            inside[n_inside++] = (struct pare_trie_entry){
                {text.data + prefix.len, text.len - prefix.len}, (int32_t)i};
    }
    PARE_TRY(pare_trie_build(begin, n_begin, pool, &wp->begin, err));
    PARE_TRY(pare_trie_build(inside, n_inside, pool, &wp->inside, err));
out:
    free(begin);
    free(inside);
    return rc;
}

int pare_wordpiece_word(const struct pare_wordpiece *wp, const char *text, size_t n,
                        struct pare_ids *out, struct pare_error *err)
{
    const size_t from = out->n;
    size_t characters = 0, len;
    for (size_t i = 0; i < n; i++)
        characters += ((unsigned char)text[i] & 0xC0) != 0x80;
    size_t i = characters > wp->longest ? n + 1 : 0;
    while (i < n) {
        const int32_t id =
            pare_trie_longest(i == 0 ? &wp->begin : &wp->inside, text + i, n - i, &len);
        if (id < 0)
            break;
        const int rc = pare_ids_push(out, id, err);
        if (rc != PARE_OK)
            return rc;
        i += len;
    }
    if (i == n)
        return PARE_OK;
    out->n = from;
    if (wp->unk < 0)
        return pare_error_set(err, PARE_INVALID,
                              "a word is unknown, and the vocabulary has no token for that");
    return pare_ids_push(out, wp->unk, err);
}
