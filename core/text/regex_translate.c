/* SPDX-License-Identifier: Apache-2.0 */
/* Oniguruma's Ruby syntax to PCRE2's, as far as they differ (Oniguruma's doc/RE and doc/UNICODE_
 * PROPERTIES; pcre2pattern(3)): what \s, \w and \h mean, ?m, scripts, quantified intervals, classes
 * within classes. What cannot be said in PCRE2 is refused. */
#include "text/regex.h"

#include <string.h>

#include "base/mem.h"
#include "text/utf8.h"

#define DEPTH 64

struct translation {
    const char *in;
    size_t n, i;
    struct pare_str *out;
    size_t atom;          /* where in `out` what a quantifier repeats begins */
    size_t groups[DEPTH]; /* where the open groups begin */
    size_t n_groups;
    struct pare_error *err;
};

/* Members of a class; outside of one they get brackets. \w has no joiners, and counts six numbers
 * of Latin-1 as long as it is not within a class, as Oniguruma's tables do. */
#define WORD_WITHIN "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define WORD WORD_WITHIN "\\xB2\\xB3\\xB9\\xBC-\\xBE"
static const struct {
    char name;
    const char *members;
    const char *inside; /* a class of its own within another; NULL: cannot be said */
} classes[] = {
    {'s', "\\p{White_Space}", "\\p{White_Space}"},
    {'S', "^\\p{White_Space}", "\\P{White_Space}"},
    {'w', WORD, WORD_WITHIN},
    {'W', "^" WORD, NULL},
    {'d', "\\p{Nd}", "\\p{Nd}"},
    {'D', "^\\p{Nd}", "\\P{Nd}"},
    {'h', "0-9a-fA-F", "0-9a-fA-F"},
    {'H', "^0-9a-fA-F", NULL},
};

static int refuse(struct translation *t, const char *what)
{
    pare_error_set(t->err, PARE_UNSUPPORTED, "the regex has %s, which is not supported", what);
    pare_error_detail(t->err, "at byte %zu of %.*s", t->i, (int)PARE_MIN(t->n, 300), t->in);
    return PARE_UNSUPPORTED;
}

static bool at(const struct translation *t, const char *text)
{
    const size_t len = strlen(text);
    return t->n - t->i >= len && memcmp(t->in + t->i, text, len) == 0;
}

/* \p{Name}: scripts in PCRE2 include their extensions unless sc: is said, but what is a category or
 * a property has no such form. */
static int property(struct translation *t)
{
    static const char *const scripts[] = {
        "Arabic",   "Armenian", "Bengali",   "Bopomofo",  "Cyrillic", "Devanagari",
        "Ethiopic", "Georgian", "Greek",     "Gujarati",  "Gurmukhi", "Han",
        "Hangul",   "Hebrew",   "Hiragana",  "Kannada",   "Katakana", "Khmer",
        "Lao",      "Latin",    "Malayalam", "Mongolian", "Myanmar",  "Oriya",
        "Sinhala",  "Tamil",    "Telugu",    "Thaana",    "Thai",     "Tibetan"};
    const char *close = memchr(t->in + t->i, '}', t->n - t->i);
    if (t->n - t->i < 4 || t->in[t->i + 2] != '{' || !close)
        return refuse(t, "\\p without a name in braces");
    const char *name = t->in + t->i + 3;
    size_t len = (size_t)(close - name);
    const bool negated = len > 0 && *name == '^';
    name += negated;
    len -= negated;
    const char *prefix = "";
    for (size_t i = 0; i < PARE_COUNT(scripts); i++)
        if (strlen(scripts[i]) == len && memcmp(scripts[i], name, len) == 0)
            prefix = "sc:";
    pare_str_append_n(t->out, t->in + t->i, 3);
    pare_str_append(t->out, negated ? "^" : "");
    pare_str_append(t->out, prefix);
    pare_str_append_n(t->out, name, len + 1);
    t->i = (size_t)(close - t->in) + 1;
    return PARE_OK;
}

/* A backslash and what follows. */
static int escape(struct translation *t, bool inside)
{
    if (t->n - t->i < 2)
        return refuse(t, "a backslash at its end");
    const char c = t->in[t->i + 1];
    for (size_t i = 0; i < PARE_COUNT(classes); i++)
        if (classes[i].name == c) {
            if (inside && !classes[i].inside)
                return refuse(t, "\\W or \\H within a class");
            pare_str_append(t->out, inside ? "" : "[");
            pare_str_append(t->out, inside ? classes[i].inside : classes[i].members);
            pare_str_append(t->out, inside ? "" : "]");
            t->i += 2;
            return PARE_OK;
        }
    if ((c == 'b' && !inside) || c == 'B') { /* of what \w is here */
        pare_str_append(
            t->out, c == 'b' ? "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))"
                             : "(?:(?<=[" WORD "])(?=[" WORD "])|(?<![" WORD "])(?![" WORD "]))");
        t->i += 2;
        return PARE_OK;
    }
    if (c == 'p' || c == 'P')
        return property(t);
    if (c == 'u') { /* \uHHHH */
        if (t->n - t->i < 6 || strspn(t->in + t->i + 2, "0123456789abcdefABCDEF") < 4)
            return refuse(t, "\\u without four hexadecimal digits");
        pare_str_printf(t->out, "\\x{%.4s}", t->in + t->i + 2);
        t->i += 6;
        return PARE_OK;
    }
    /* the same in both: signs, \t \n \r \f \v \a \e \xHH \x{...}, anchors, numbers */
    if (((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) && !strchr("tnrfaexbAzZ", c)) {
        if (c != 'v')
            return refuse(t, "an escape");
        pare_str_append(t->out, "\\x0B"); /* in PCRE2 \v is a class */
        t->i += 2;
        return PARE_OK;
    }
    const size_t len = 1 + pare_utf8_len(c);
    pare_str_append_n(t->out, t->in + t->i, len);
    t->i += len;
    return PARE_OK;
}

/* A class; those within it that are not negated are dissolved. */
static int class(struct translation *t)
{
    size_t depth = 0;
    bool fresh = true; /* a ] that comes first is a member */
    do {
        if (t->i >= t->n)
            return refuse(t, "a class without its end");
        const char c = t->in[t->i];
        if (c == '[') {
            if (at(t, "[:"))
                return refuse(t, "a POSIX bracket");
            if (depth > 0 && at(t, "[^"))
                return refuse(t, "a negated class within a class");
            pare_str_append(t->out, depth > 0 ? "" : at(t, "[^") ? "[^" : "[");
            t->i += at(t, "[^") ? 2 : 1;
            depth++;
            fresh = true;
            continue;
        }
        if (c == ']' && !fresh) {
            depth--;
            pare_str_append(t->out, depth > 0 ? "" : "]");
            t->i++;
        } else if (c == '\\') {
            const int rc = escape(t, true);
            if (rc != PARE_OK)
                return rc;
        } else if (at(t, "&&")) {
            return refuse(t, "an intersection of classes");
        } else {
            const size_t len = pare_utf8_len(c);
            pare_str_append(t->out, c == ']' ? "\\" : "");
            pare_str_append_n(t->out, t->in + t->i, len);
            t->i += len;
        }
        fresh = false;
    } while (depth > 0);
    return PARE_OK;
}

/* An opening parenthesis; with options, Ruby's m is PCRE2's s. */
static int group(struct translation *t)
{
    if (t->n_groups == DEPTH)
        return refuse(t, "groups deeper than 64");
    t->groups[t->n_groups++] = t->out->len;
    pare_str_append_n(t->out, "(", 1);
    t->i++;
    if (!at(t, "?"))
        return PARE_OK;
    static const char *const same[] = {"?:", "?=", "?!", "?>", "?<=", "?<!"};
    for (size_t i = 0; i < PARE_COUNT(same); i++)
        if (at(t, same[i])) {
            pare_str_append(t->out, same[i]);
            t->i += strlen(same[i]);
            return PARE_OK;
        }
    size_t len = 1;
    while (t->i + len < t->n && strchr("imx-", t->in[t->i + len]) && t->in[t->i + len])
        len++;
    if (t->i + len >= t->n || (t->in[t->i + len] != ':' && t->in[t->i + len] != ')'))
        return refuse(t, "a special group");
    for (size_t i = 0; i < len; i++, t->i++)
        pare_str_append_n(t->out, t->in[t->i] == 'm' ? "s" : t->in + t->i, 1);
    return PARE_OK;
}

/* {n,m} is greedy whatever + follows: in Ruby's syntax that repeats it. */
static bool interval(struct translation *t)
{
    size_t len = 1;
    while (t->i + len < t->n && strchr("0123456789,", t->in[t->i + len]) && t->in[t->i + len])
        len++;
    if (len < 2 || t->i + len >= t->n || t->in[t->i + len] != '}')
        return false;
    const char *low = t->in[t->i + 1] == ',' ? "{0" : "{"; /* {,m} */
    const bool again = t->i + len + 1 < t->n && t->in[t->i + len + 1] == '+';
    struct pare_str atom = {0};
    if (again) {
        pare_str_append_n(&atom, t->out->data + t->atom, t->out->len - t->atom);
        t->out->len = t->atom;
        pare_str_append(t->out, "(?:");
        pare_str_append(t->out, atom.data ? atom.data : "");
        t->out->failed |= atom.failed;
        pare_str_free(&atom);
    }
    pare_str_append(t->out, low);
    pare_str_append_n(t->out, t->in + t->i + 1, len);
    pare_str_append(t->out, again ? ")" : "");
    t->i += len + 1;
    return true;
}

int pare_regex_translate(const char *pattern, size_t n, struct pare_str *out,
                         struct pare_error *err)
{
    struct translation t = {.in = pattern, .n = n, .out = out, .err = err};
    int rc = PARE_OK;
    if (memchr(pattern, 0, n))
        return refuse(&t, "a NUL");
    while (rc == PARE_OK && !out->failed && t.i < n) {
        const char c = pattern[t.i];
        const size_t begin = out->len;
        if (c == '\\') {
            rc = escape(&t, false);
        } else if (c == '[') {
            rc = class(&t);
        } else if (c == '(') {
            rc = group(&t);
        } else if (c == '{' && out->len > 0 && interval(&t)) {
            continue;
        } else {
            const size_t len = pare_utf8_len(c);
            pare_str_append_n(out, pattern + t.i, len);
            t.i += len;
        }
        if (c == ')')
            t.atom = t.n_groups > 0 ? t.groups[--t.n_groups] : 0;
        else if (!strchr("?*+", c))
            t.atom = begin;
    }
    return rc != PARE_OK ? rc : out->failed ? pare_error_nomem(err, 0) : PARE_OK;
}
