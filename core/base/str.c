/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pare_str_append_n(struct pare_str *s, const char *bytes, size_t n)
{
    size_t want;
    if (s->failed)
        return;
    if (!pare_add_size(s->len, n, &want) || !pare_add_size(want, 1, &want) ||
        !pare_grow(&s->data, &s->cap, want, 1)) {
        s->failed = true;
        return;
    }
    if (n)
        memcpy(s->data + s->len, bytes, n);
    s->len += n;
    s->data[s->len] = '\0';
}

void pare_str_append(struct pare_str *s, const char *text)
{
    pare_str_append_n(s, text, strlen(text));
}

void pare_str_printf(struct pare_str *s, const char *fmt, ...)
{
    va_list args, again;
    if (s->failed)
        return;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0 || !pare_grow(&s->data, &s->cap, s->len + (size_t)len + 1, 1)) {
        s->failed = true;
    } else {
        vsnprintf(s->data + s->len, (size_t)len + 1, fmt, again);
        s->len += (size_t)len;
    }
    va_end(again);
}

void pare_str_free(struct pare_str *s)
{
    free(s->data);
    *s = (struct pare_str){0};
}

char *pare_str_take(struct pare_str *s)
{
    pare_str_append_n(s, "", 0);
    char *text = s->failed ? NULL : s->data;
    if (!text)
        free(s->data);
    *s = (struct pare_str){0};
    return text;
}

/* The program never calls setlocale(), but a plugin might: the C locale is asked for by name. */
static locale_t c_locale(void)
{
    static locale_t loc;
    if (!loc)
        loc = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return loc;
}

void pare_format_double(double x, char *out)
{
    locale_t old = uselocale(c_locale());
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            break;
    }
    uselocale(old);
}

void pare_format_grouped(uint64_t n, char *out)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
}

bool pare_parse_double(const char *text, double *out)
{
    char *end;
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    locale_t old = uselocale(c_locale());
    double x = strtod(text, &end);
    uselocale(old);
    if (*end || end == text || !isfinite(x))
        return false;
    *out = x;
    return true;
}

bool pare_parse_int(const char *text, long long *out)
{
    char *end;
    if (!*text || strspn(text, "+-0123456789") != strlen(text))
        return false;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (*end || end == text || errno)
        return false;
    *out = x;
    return true;
}

#define NEAREST_MAX 64

/* Optimal string alignment distance, over words short enough for a fixed table. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    size_t d[NEAREST_MAX + 1][NEAREST_MAX + 1];
    if (la > NEAREST_MAX || lb > NEAREST_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= la; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= lb; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        for (size_t j = 1; j <= lb; j++) {
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = PARE_MIN(best, d[i - 1][j] + 1);
            best = PARE_MIN(best, d[i][j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = PARE_MIN(best, d[i - 2][j - 2] + 1);
            d[i][j] = best;
        }
    }
    return d[la][lb];
}

const char *pare_nearest(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t least = PARE_MAX(strlen(word), (size_t)3) / 2 + 1;
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(word, candidates[i]);
        if (d < least) {
            least = d;
            best = candidates[i];
        }
    }
    /* nothing is near: the only one that is longer, as size_bytes for size */
    size_t typed = strlen(word), longer = 0;
    for (size_t i = 0; !best && typed >= 3 && i < n; i++) {
        if (strncmp(word, candidates[i], typed) == 0 && longer++ == 0)
            least = i;
    }
    return best || longer != 1 ? best : candidates[least];
}

bool pare_ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

bool pare_glob_match(const char *pattern, const char *path)
{
    /* Backtracking to the last star only is enough within one kind of star; `**` restarts it. */
    const char *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL;
    while (*path || *pattern) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            pattern += 2;
            deep = pattern, deep_at = path, star = NULL;
        } else if (*pattern == '*') {
            star = ++pattern, star_at = path;
        } else if (*path && (*pattern == *path || (*pattern == '?' && *path != '.'))) {
            pattern++, path++;
        } else if (star && *star_at && *star_at != '.') {
            path = ++star_at, pattern = star;
        } else if (deep && *deep_at) {
            path = ++deep_at, pattern = deep, star = NULL;
        } else {
            return false;
        }
    }
    return true;
}
