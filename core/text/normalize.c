/* SPDX-License-Identifier: Apache-2.0 */
#include "text/normalize.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/mem.h"
#include "text/utf8.h"

int pare_replace(const struct pare_regex *regex, struct pare_bytes pattern,
                 struct pare_bytes content, const char *text, size_t n, struct pare_str *out,
                 struct pare_error *err)
{
    size_t done = 0;
    if (!regex) {
        const char *hit;
        while (pattern.len > 0 && out->len <= PARE_TEXT_MAX && n - done >= pattern.len &&
               (hit = pare_text_find(text + done, n - done, pattern.data, pattern.len)) != NULL) {
            pare_str_append_n(out, text + done, (size_t)(hit - text) - done);
            pare_str_append_n(out, content.data, content.len);
            done = (size_t)(hit - text) + pattern.len;
        }
        pare_str_append_n(out, text + done, n - done);
        return PARE_OK;
    }
    struct pare_regex_run run;
    int rc = pare_regex_begin(&run, regex, err);
    if (rc != PARE_OK)
        return rc;
    pare_regex_text(&run, text, n);
    for (bool found = n > 0; found && out->len <= PARE_TEXT_MAX;) {
        size_t start, end;
        PARE_TRY(pare_regex_next(&run, &found, &start, &end, err));
        if (found) {
            pare_str_append_n(out, text + done, start - done);
            pare_str_append_n(out, content.data, content.len);
            done = end;
        }
    }
    pare_str_append_n(out, text + done, n - done);
out:
    pare_regex_end(&run);
    return rc;
}

static bool is_ascii(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static int combining_class(int32_t c)
{
    const int k = utf8proc_get_property(c)->combining_class;
    return k > 0 && pare_is_late_mark((uint32_t)c) ? 0 : k;
}

/* Sort each run of marks by combining class, stably: counted, because a run can be the whole text.
 */
static bool order_marks(int32_t *c, size_t n)
{
    int32_t *sorted = NULL;
    size_t cap = 0, end;
    for (size_t i = 0; i < n; i = end) {
        size_t at[257] = {0};
        bool ordered = true;
        for (end = i; end < n && combining_class(c[end]) > 0; end++) {
            at[combining_class(c[end]) + 1]++;
            ordered =
                ordered && (end == i || combining_class(c[end - 1]) <= combining_class(c[end]));
        }
        if (!ordered) {
            if (!pare_grow(&sorted, &cap, end - i, sizeof *sorted)) {
                free(sorted);
                return false;
            }
            for (size_t k = 1; k < PARE_COUNT(at); k++)
                at[k] += at[k - 1];
            for (size_t k = i; k < end; k++)
                sorted[at[combining_class(c[k])]++] = c[k];
            memcpy(c + i, sorted, (end - i) * sizeof *c);
        }
        end += end == i;
    }
    free(sorted);
    return true;
}

/* Compose in place, up to and from marks that are none to the reference. Returns what is left. */
static size_t compose_parts(int32_t *c, size_t n)
{
    size_t kept = 0, end;
    for (size_t i = 0; i < n; i = end) {
        end = i + 1;
        while (end < n && !pare_is_late_mark((uint32_t)c[end]))
            end++;
        const size_t own = pare_is_late_mark((uint32_t)c[i]); /* stands by itself */
        const utf8proc_ssize_t got =
            utf8proc_normalize_utf32(c + i + own, (utf8proc_ssize_t)(end - i - own),
                                     (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
        const size_t len = own + (got < 0 ? 0 : (size_t)got);
        memmove(c + kept, c + i, len * sizeof *c);
        kept += len;
    }
    return kept;
}

/* A normal form: decompose each character, order the marks, compose. utf8proc's own function for
 * all three would also decompose what the reference, of an older Unicode, leaves as it is. */
static int normal_form(bool compat, bool compose, const char *text, size_t n, struct pare_str *out,
                       struct pare_error *err)
{
    if (is_ascii(text, n)) {
        pare_str_append_n(out, text, n);
        return PARE_OK;
    }
    int32_t *c = NULL;
    size_t len = 0, cap = 0;
    int rc = PARE_OK;
    for (size_t i = 0; i < n; i += pare_utf8_len(text[i])) {
        const uint32_t from = pare_utf8_get(text + i);
        const utf8proc_option_t how =
            compat && !pare_is_late_compat(from) ? UTF8PROC_COMPAT : (utf8proc_option_t)0;
        enum { LONGEST = 18 }; /* of any character's decomposition, U+FDFA's */
        if (!pare_grow(&c, &cap, len + LONGEST, sizeof *c)) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
        int last = 0;
        const utf8proc_ssize_t got = utf8proc_decompose_char(
            (utf8proc_int32_t)from, c + len, LONGEST,
            (utf8proc_option_t)(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | how), &last);
        if (got < 0 || got > LONGEST) {
            rc = pare_error_set(err, PARE_FAILED, "Unicode normalization fails: %s",
                                utf8proc_errmsg(got));
            goto out;
        }
        len += (size_t)got;
    }
    if (!order_marks(c, len)) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    if (compose)
        len = compose_parts(c, len);
    for (size_t i = 0; i < len; i++)
        pare_utf8_append((uint32_t)c[i], out);
out:
    free(c);
    return rc;
}

static void lowercase(const char *text, size_t n, struct pare_str *out)
{
    for (size_t i = 0; i < n; i += pare_utf8_len(text[i])) {
        const uint32_t c = pare_utf8_get(text + i);
        if (c == 0x130)
            pare_str_append_n(out, "i\xCC\x87", 3);
        else
            pare_utf8_append((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), out);
    }
}

static void keep_unless(bool (*drop)(uint32_t), const char *text, size_t n, struct pare_str *out)
{
    for (size_t i = 0; i < n; i += pare_utf8_len(text[i]))
        if (!drop(pare_utf8_get(text + i)))
            pare_str_append_n(out, text + i, pare_utf8_len(text[i]));
}

static void strip(bool left, bool right, const char *text, size_t n, struct pare_str *out)
{
    size_t i = 0;
    while (left && i < n && pare_is_space(pare_utf8_get(text + i)))
        i += pare_utf8_len(text[i]);
    while (right && n > i && pare_is_space(pare_utf8_get(text + pare_utf8_back(text, n))))
        n = pare_utf8_back(text, n);
    pare_str_append_n(out, text + i, n - i);
}

/* BertNormalizer without what other steps do: controls dropped, blanks made spaces, ideographs put
 * between spaces. */
static void clean(const struct pare_normalize_step *s, const char *text, size_t n,
                  struct pare_str *out)
{
    for (size_t i = 0; i < n; i += pare_utf8_len(text[i])) {
        const uint32_t c = pare_utf8_get(text + i);
        if (s->clean && (c == 0 || c == 0xFFFD || pare_is_control(c)))
            continue;
        const bool apart = s->ideographs && pare_is_ideograph(c);
        pare_str_append(out, apart ? " " : "");
        if (s->clean && pare_is_space(c))
            pare_str_append_n(out, " ", 1);
        else
            pare_str_append_n(out, text + i, pare_utf8_len(text[i]));
        pare_str_append(out, apart ? " " : "");
    }
}

static void swap(struct pare_str *a, struct pare_str *b)
{
    const struct pare_str t = *a;
    *a = *b;
    *b = t;
    b->len = 0;
}

static int bert(const struct pare_normalize_step *s, const char *text, size_t n,
                struct pare_str *out, struct pare_error *err)
{
    struct pare_str from = {0};
    int rc = PARE_OK;
    clean(s, text, n, out);
    if (s->no_accents) {
        swap(&from, out);
        PARE_TRY(normal_form(false, false, from.data, from.len, out, err));
        swap(&from, out);
        keep_unless(pare_is_nonspacing, from.data, from.len, out);
    }
    if (s->lowercase) {
        swap(&from, out);
        lowercase(from.data, from.len, out);
    }
out:
    out->failed |= from.failed;
    pare_str_free(&from);
    return rc;
}

static int apply(const struct pare_normalize_step *s, const char *text, size_t n,
                 struct pare_str *out, struct pare_error *err)
{
    switch (s->kind) {
    case PARE_NORMALIZE_NFC:
    case PARE_NORMALIZE_NFD:
    case PARE_NORMALIZE_NFKC:
    case PARE_NORMALIZE_NFKD:
        return normal_form(s->kind == PARE_NORMALIZE_NFKC || s->kind == PARE_NORMALIZE_NFKD,
                           s->kind == PARE_NORMALIZE_NFC || s->kind == PARE_NORMALIZE_NFKC, text, n,
                           out, err);
    case PARE_NORMALIZE_LOWERCASE:
        lowercase(text, n, out);
        return PARE_OK;
    case PARE_NORMALIZE_STRIP_ACCENTS:
        keep_unless(pare_is_mark, text, n, out);
        return PARE_OK;
    case PARE_NORMALIZE_STRIP:
        strip(s->left, s->right, text, n, out);
        return PARE_OK;
    case PARE_NORMALIZE_REPLACE:
        return pare_replace(s->regex, s->pattern, s->content, text, n, out, err);
    case PARE_NORMALIZE_PREPEND:
        if (n > 0)
            pare_str_append_n(out, s->content.data, s->content.len);
        pare_str_append_n(out, text, n);
        return PARE_OK;
    case PARE_NORMALIZE_BERT:
        return bert(s, text, n, out, err);
    case PARE_NORMALIZE_CHARSMAP:
        pare_charsmap_apply(&s->map, text, n, out);
        return PARE_OK;
    }
    return PARE_OK;
}

/* Whether a step drops the first character of a text and puts nothing in its place. What a compiled
 * normalizer drops there the reference does not count. */
static int drops_first(const struct pare_normalize_step *s, const char *text, size_t n, bool *drops,
                       struct pare_error *err)
{
    const uint32_t c = pare_utf8_get(text);
    struct pare_regex_run run;
    size_t start, end;
    int rc = PARE_OK;
    bool found = false;
    switch (s->kind) {
    case PARE_NORMALIZE_STRIP:
        *drops = s->left && pare_is_space(c);
        break;
    case PARE_NORMALIZE_STRIP_ACCENTS:
        *drops = pare_is_mark(c);
        break;
    case PARE_NORMALIZE_BERT:
        *drops = (s->clean && (c == 0 || c == 0xFFFD || pare_is_control(c))) ||
                 (s->no_accents && pare_is_nonspacing(c));
        break;
    case PARE_NORMALIZE_REPLACE:
        if (s->content.len > 0)
            break;
        if (!s->regex) {
            *drops = s->pattern.len > 0 && n >= s->pattern.len &&
                     memcmp(text, s->pattern.data, s->pattern.len) == 0;
            break;
        }
        rc = pare_regex_begin(&run, s->regex, err);
        if (rc != PARE_OK)
            break;
        pare_regex_text(&run, text, n);
        rc = pare_regex_next(&run, &found, &start, &end, err);
        *drops = found && start == 0 && end > 0;
        pare_regex_end(&run);
        break;
    default:
        break;
    }
    return rc;
}

int pare_normalize(const struct pare_normalize_step *steps, size_t n_steps, const char *text,
                   size_t n, struct pare_str *out, struct pare_str *spare, bool *first,
                   struct pare_error *err)
{
    int rc = PARE_OK;
    out->len = 0;
    if (n_steps == 0)
        pare_str_append_n(out, text, n);
    for (size_t i = 0; i < n_steps && rc == PARE_OK; i++) {
        if (i > 0) {
            swap(spare, out);
            text = spare->data ? spare->data : "";
            n = spare->len;
        }
        out->len = 0;
        bool drops = false;
        if (first && *first && n > 0)
            rc = drops_first(&steps[i], text, n, &drops, err);
        if (drops)
            *first = false;
        if (rc == PARE_OK)
            rc = apply(&steps[i], text, n, out, err);
        if (rc == PARE_OK && out->len > PARE_TEXT_MAX)
            rc = pare_error_set(err, PARE_FAILED, "normalization makes the text too long");
    }
    return rc != PARE_OK ? rc : out->failed || spare->failed ? pare_error_nomem(err, 0) : PARE_OK;
}
