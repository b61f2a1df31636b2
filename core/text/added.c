/* SPDX-License-Identifier: Apache-2.0 */
#include "text/added.h"

#include <stdlib.h>

#include "text/utf8.h"

int pare_added_build(struct pare_added_set *set, const struct pare_added *tokens, size_t n,
                     bool normalized, const struct pare_bytes *text, struct pare_pool *pool,
                     struct pare_error *err)
{
    struct pare_trie_entry *entries = pare_alloc(n, sizeof *entries);
    size_t used = 0;
    if (!entries)
        return pare_error_nomem(err, n * sizeof *entries);
    set->tokens = tokens;
    for (size_t i = 0; i < n; i++)
        if (tokens[i].normalized == normalized && text[i].len > 0) {
            entries[used++] = (struct pare_trie_entry){text[i], (int32_t)i};
            set->lead[(uint8_t)text[i].data[0]] = true;
        }
    const int rc = pare_trie_build(entries, used, pool, &set->trie, err);
    free(entries);
    return rc;
}

static bool stands_alone(const char *text, size_t n, size_t start, size_t end)
{
    return (start == 0 || !pare_is_word(pare_utf8_get(text + pare_utf8_back(text, start)))) &&
           (end == n || !pare_is_word(pare_utf8_get(text + end)));
}

/* Where the blanks from `i` on end. Another token within them asks again, so it is remembered. */
static size_t skip_blanks(const char *text, size_t n, size_t i, struct pare_added_cursor *cursor)
{
    if (i < cursor->blank || i > cursor->blank_end) {
        cursor->blank = cursor->blank_end = i;
        while (cursor->blank_end < n && pare_is_space(pare_utf8_get(text + cursor->blank_end)))
            cursor->blank_end += pare_utf8_len(text[cursor->blank_end]);
    }
    return cursor->blank_end;
}

bool pare_added_next(const struct pare_added_set *set, const char *text, size_t n, bool plain,
                     size_t done, struct pare_added_cursor *cursor, size_t *start, size_t *end,
                     int32_t *id)
{
    if (!set->trie.nodes)
        return false;
    for (size_t i = cursor->from; i < n;) {
        size_t len = 0;
        const int32_t hit =
            set->lead[(uint8_t)text[i]] ? pare_trie_longest(&set->trie, text + i, n - i, &len) : -1;
        if (hit < 0) {
            i++;
            continue;
        }
        const struct pare_added *token = &set->tokens[hit];
        size_t s = i, e = i + len;
        i = e;
        if ((plain && token->special) || (token->single_word && !stands_alone(text, n, s, e)))
            continue;
        while (token->lstrip && s > done &&
               pare_is_space(pare_utf8_get(text + pare_utf8_back(text, s))))
            s = pare_utf8_back(text, s);
        if (token->rstrip)
            e = skip_blanks(text, n, e, cursor);
        cursor->from = i;
        *start = s;
        *end = e;
        *id = token->id;
        return true;
    }
    return false;
}
