/* SPDX-License-Identifier: Apache-2.0 */
#include "text/utf8.h"

#include <string.h>

#include <utf8proc.h>

#include "base/mem.h"

/* Bytes of the sequence at `s` when it is whole and valid, else 0; `*bad` is then the length of the
 * maximal part to replace (table 3-7 of The Unicode Standard). */
static size_t sequence(const unsigned char *s, size_t n, size_t *bad)
{
    *bad = 1;
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return 0;
    const size_t len = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    unsigned char lo = 0x80, hi = 0xBF;
    if (s[0] == 0xE0)
        lo = 0xA0;
    else if (s[0] == 0xED)
        hi = 0x9F;
    else if (s[0] == 0xF0)
        lo = 0x90;
    else if (s[0] == 0xF4)
        hi = 0x8F;
    for (size_t i = 1; i < len; i++, lo = 0x80, hi = 0xBF) {
        if (i >= n || s[i] < lo || s[i] > hi) {
            *bad = i;
            return 0;
        }
    }
    return len;
}

size_t pare_utf8_valid(const char *text, size_t n)
{
    size_t i = 0, len, bad;
    while (i < n && (len = sequence((const unsigned char *)text + i, n - i, &bad)) > 0)
        i += len;
    return i;
}

size_t pare_utf8_count(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

int pare_utf8_check(const char *name, const char *text, size_t n, struct pare_error *err)
{
    const size_t valid = pare_utf8_valid(text, n);
    size_t line = 1, start = 0;
    if (valid == n)
        return PARE_OK;
    for (size_t i = 0; i < valid; i++) {
        if (text[i] == '\n')
            line++, start = i + 1;
    }
    pare_error_set(err, PARE_INVALID, "%s:%zu:%zu: this is no text in UTF-8", name, line,
                   1 + pare_utf8_count(text + start, valid - start));
    pare_error_hint(err, "convert it: iconv -f ENCODING -t UTF-8");
    return PARE_INVALID;
}

void pare_utf8_repair(const char *text, size_t n, struct pare_str *out)
{
    for (size_t i = 0; i < n;) {
        const size_t fine = pare_utf8_valid(text + i, n - i);
        size_t bad;
        pare_str_append_n(out, text + i, fine);
        i += fine;
        if (i < n) {
            sequence((const unsigned char *)text + i, n - i, &bad);
            pare_str_append_n(out, "\xEF\xBF\xBD", 3);
            i += bad;
        }
    }
}

uint32_t pare_utf8_get(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return s[0];
    if (s[0] < 0xE0)
        return (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
    if (s[0] < 0xF0)
        return (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
    return (s[0] & 0x07u) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
}

size_t pare_utf8_put(uint32_t c, char out[4])
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}

size_t pare_utf8_back(const char *text, size_t i)
{
    do
        i--;
    while (i > 0 && ((unsigned char)text[i] & 0xC0) == 0x80);
    return i;
}

void pare_utf8_append(uint32_t c, struct pare_str *out)
{
    char bytes[4];
    pare_str_append_n(out, bytes, pare_utf8_put(c, bytes));
}

const char *pare_text_find(const char *text, size_t n, const char *what, size_t len)
{
    while (n >= len) {
        const char *hit = memchr(text, *what, n - len + 1);
        if (!hit || memcmp(hit, what, len) == 0)
            return hit;
        n -= (size_t)(hit + 1 - text);
        text = hit + 1;
    }
    return NULL;
}

struct range {
    uint32_t first, last;
};

static bool within(const struct range *r, size_t n, uint32_t c)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (r[mid].last < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && r[lo].first <= c;
}

/* The reference (tokenizers 0.23) takes these classes from tables of Unicode 8 and 9. Here are the
 * ranges in which what utf8proc has in the class came later. */
static const struct range late_punctuation[] = {
    {0x61D, 0x61D},     {0x9FD, 0xA76},     {0xC77, 0xC84},     {0x1B7D, 0x1B7E},
    {0x2E43, 0x2E5D},   {0x10EAD, 0x10F89}, {0x1144B, 0x1145D}, {0x11660, 0x116B9},
    {0x1183B, 0x11FFF}, {0x12FF1, 0x12FF2}, {0x16E97, 0x16FE2}, {0x1E95E, 0x1E95F},
};
static const struct range late_nonspacing[] = {
    {0x7FD, 0x7FD},     {0x898, 0x8E1},     {0x9FE, 0x9FE},     {0xAFA, 0xAFF},
    {0xB55, 0xB55},     {0xC04, 0xC3C},     {0xD00, 0xD00},     {0xD3B, 0xD3C},
    {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x180F, 0x1886},
    {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFB},   {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},
    {0xA8FF, 0xA8FF},   {0xA9BD, 0xA9BD},   {0x10D24, 0x10F85}, {0x11070, 0x11074},
    {0x110C2, 0x110C2}, {0x111C9, 0x111C9}, {0x111CF, 0x111CF}, {0x1123E, 0x11241},
    {0x1133B, 0x1133B}, {0x11438, 0x1145E}, {0x1182F, 0x13455}, {0x16F4F, 0x16F4F},
    {0x16FE4, 0x16FE4}, {0x1CF00, 0x1CF46}, {0x1E000, 0x1E4EF}, {0x1E944, 0x1E94A},
};
static const struct range late_mark[] = {
    {0x7FD, 0x7FD},     {0x898, 0x8D3},     {0x9FE, 0x9FE},     {0xAFA, 0xAFF},
    {0xB55, 0xB55},     {0xC04, 0xC3C},     {0xCF3, 0xD00},     {0xD3B, 0xD3C},
    {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x1715, 0x1715},
    {0x180F, 0x180F},   {0x1ABF, 0x1ACE},   {0x1CF7, 0x1CF7},   {0x1DF6, 0x1DFA},
    {0xA82C, 0xA82C},   {0xA8FF, 0xA8FF},   {0x10D24, 0x10F85}, {0x11070, 0x11074},
    {0x110C2, 0x110C2}, {0x11145, 0x11146}, {0x111C9, 0x111C9}, {0x111CE, 0x111CF},
    {0x11241, 0x11241}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x1182C, 0x11A99},
    {0x11D31, 0x13455}, {0x16F4F, 0x16F4F}, {0x16F7F, 0x16F87}, {0x16FE4, 0x16FF1},
    {0x1CF00, 0x1CF46}, {0x1E08F, 0x1E4EF},
};
static const struct range late_control[] = {
    {0x890, 0x891}, {0x8E2, 0x8E2}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}};
static const struct range late_compat[] = {
    {0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xAB69, 0xAB69},
    {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA},
    {0x1E030, 0x1E06D}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9},
};
#define WITHIN(ranges, c) within(ranges, PARE_COUNT(ranges), c)

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool pare_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool pare_is_number(uint32_t c)
{
    const utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}

bool pare_is_word(uint32_t c)
{
    /* signs that are alphabetic, and the two joiners */
    static const struct range other[] = {{0x200C, 0x200D},
                                         {0x24B6, 0x24E9},
                                         {0x1F130, 0x1F149},
                                         {0x1F150, 0x1F169},
                                         {0x1F170, 0x1F189}};
    const utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL) || k == UTF8PROC_CATEGORY_PC ||
           WITHIN(other, c);
}

bool pare_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') ||
               (c > 'z' && c < 0x7F);
    const utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO &&
            !WITHIN(late_punctuation, c)) ||
           c == 0x166D || c == 0x111C9;
}

bool pare_is_mark(uint32_t c)
{
    const utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME && !WITHIN(late_mark, c)) ||
           c == 0x1CF2 || c == 0x1CF3;
}

bool pare_is_nonspacing(uint32_t c)
{
    return (category(c) == UTF8PROC_CATEGORY_MN && !WITHIN(late_nonspacing, c)) || c == 0x1734;
}

bool pare_is_control(uint32_t c)
{
    const utf8proc_category_t k = category(c);
    return (k == UTF8PROC_CATEGORY_CC && c != '\t' && c != '\n' && c != '\r') ||
           (k == UTF8PROC_CATEGORY_CF && !WITHIN(late_control, c)) || k == UTF8PROC_CATEGORY_CO;
}

bool pare_is_ideograph(uint32_t c)
{
    static const struct range ranges[] = {
        {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},  {0x20000, 0x2A6DF},
        {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
    return WITHIN(ranges, c);
}

bool pare_is_late_compat(uint32_t c)
{
    return WITHIN(late_compat, c);
}

bool pare_is_late_mark(uint32_t c)
{
    return WITHIN(late_mark, c);
}
