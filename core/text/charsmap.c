/* SPDX-License-Identifier: Apache-2.0 */
#include "text/charsmap.h"

#include <string.h>

#include <utf8proc.h>

#include "base/mem.h"
#include "text/utf8.h"

int pare_charsmap_parse(const void *blob, size_t size, uint32_t *units, struct pare_charsmap *out,
                        struct pare_error *err)
{
    const unsigned char *b = blob;
    const size_t bytes = size < 4 ? 0 : pare_get_le32(b);
    if (size < 4 || bytes > size - 4 || bytes % 4 != 0 || bytes == 0) {
        pare_error_set(err, PARE_INVALID, "the compiled normalizer is broken");
        pare_error_detail(err, "its trie would have %zu of %zu bytes", bytes, size);
        return PARE_INVALID;
    }
    for (size_t i = 0; i < bytes / 4; i++)
        units[i] = pare_get_le32(b + 4 + 4 * i);
    *out = (struct pare_charsmap){
        units, bytes / 4, {(const char *)blob + 4 + bytes, size - 4 - bytes}, out->longest};
    return PARE_OK;
}

/* A unit of the double array: the label and whether it is a leaf, whether a leaf follows, and how
 * far the children are. */
static size_t children(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The shortest or longest entry that `text` begins with, and its length; 0: none. */
static size_t lookup(const struct pare_charsmap *map, const char *text, size_t n,
                     struct pare_bytes *found)
{
    size_t at = children(map->units[0]), len = 0;
    for (size_t i = 0; i < n && text[i] != 0; i++) {
        const uint8_t byte = (uint8_t)text[i];
        at ^= byte;
        if (at >= map->n_units || (map->units[at] & (1u << 31 | 0xFF)) != byte)
            break;
        const bool leaf = map->units[at] >> 8 & 1;
        at ^= children(map->units[at]);
        if (!leaf)
            continue;
        const size_t value = at < map->n_units ? map->units[at] & 0x7FFFFFFF : SIZE_MAX;
        if (value >= map->text.len)
            break;
        const char *begin = map->text.data + value;
        const char *end = memchr(begin, 0, map->text.len - value);
        const size_t size = end ? (size_t)(end - begin) : map->text.len - value;
        if (pare_utf8_valid(begin, size) < size)
            break;
        *found = (struct pare_bytes){begin, size};
        len = i + 1;
        if (!map->longest)
            break;
    }
    return len;
}

static void apply_longest(const struct pare_charsmap *map, const char *text, size_t n,
                          struct pare_str *out)
{
    struct pare_bytes found;
    for (size_t i = 0; i < n && out->len <= PARE_TEXT_MAX;) {
        size_t len = lookup(map, text + i, n - i, &found);
        /* an entry that ends within a character is broken */
        if (len == 0 || (i + len < n && ((uint8_t)text[i + len] & 0xC0) == 0x80)) {
            len = pare_utf8_len(text[i]);
            found = (struct pare_bytes){text + i, len};
        }
        pare_str_append_n(out, found.data, found.len);
        i += len;
    }
}

void pare_charsmap_apply(const struct pare_charsmap *map, const char *text, size_t n,
                         struct pare_str *out)
{
    struct pare_bytes found;
    if (map->longest) {
        apply_longest(map, text, n, out);
        return;
    }
    for (size_t i = 0; i < n && out->len <= PARE_TEXT_MAX;) {
        utf8proc_int32_t state = 0;
        uint32_t c = pare_utf8_get(text + i);
        size_t end = i + pare_utf8_len(text[i]);
        while (end < n) {
            const uint32_t next = pare_utf8_get(text + end);
            if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)next,
                                                 &state))
                break;
            c = next;
            end += pare_utf8_len(text[end]);
        }
        if (end - i < 6 && lookup(map, text + i, end - i, &found)) {
            pare_str_append_n(out, found.data, found.len);
            i = end;
            continue;
        }
        while (i < end) {
            const size_t len = pare_utf8_len(text[i]);
            if (lookup(map, text + i, len, &found))
                pare_str_append_n(out, found.data, found.len);
            else
                pare_str_append_n(out, text + i, len);
            i += len;
        }
    }
}
