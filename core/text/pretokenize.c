/* SPDX-License-Identifier: Apache-2.0 */
#include "text/pretokenize.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/utf8.h"

/* Printable in Latin-1, and so written as itself. */
static bool plain(uint32_t c)
{
    return (c >= '!' && c <= '~') || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

uint32_t pare_byte_char(uint8_t byte)
{
    if (plain(byte))
        return byte;
    /* the others before it: 0 to 32, 127 to 160, 173 */
    return 0x100u + (byte <= ' ' ? byte : byte <= 0xA0 ? byte - 0x7Fu + 33 : 67);
}

int pare_char_byte(uint32_t c)
{
    if (c < 0x100)
        return plain(c) ? (int)c : -1;
    c -= 0x100;
    return c < 33 ? (int)c : c < 67 ? (int)c - 33 + 0x7F : c == 67 ? 0xAD : -1;
}

void pare_pieces_free(struct pare_pieces *p)
{
    pare_str_free(&p->text);
    free(p->at);
    *p = (struct pare_pieces){0};
}

static void add(struct pare_pieces *p, size_t start, size_t end, bool first)
{
    if (start >= end || p->text.failed)
        return;
    if (!pare_grow(&p->at, &p->cap, p->n + 1, sizeof *p->at)) {
        p->text.failed = true;
        return;
    }
    p->at[p->n++] = (struct pare_piece){start, end, first};
}

/* The stretches of one piece as they are found, matches and what is between, put together as the
 * behaviour says. The last one is held back, because the next may be merged into it. */
struct joiner {
    struct pare_pieces *out;
    enum pare_split_behavior behavior;
    bool invert, first;
    size_t base, begin; /* of the piece in the text, for `first` */
    bool held, held_match;
    size_t start, end;
};

static void flush(struct joiner *j)
{
    if (j->held && !(j->held_match && j->behavior == PARE_SPLIT_REMOVED))
        add(j->out, j->start, j->end, j->first && j->start == j->begin);
    j->held = false;
}

/* `held_match` is what the reference keeps as "the previous was a match": in MergedWithPrevious it
 * looks back, in MergedWithNext at what comes after, so that two matches in a row stay apart. */
static void stretch(struct joiner *j, size_t start, size_t end, bool match)
{
    if (start == end && !match)
        return;
    match ^= j->invert;
    start += j->base;
    end += j->base;
    bool merge = false;
    if (j->held) {
        switch (j->behavior) {
        case PARE_SPLIT_CONTIGUOUS:
            merge = match == j->held_match;
            break;
        case PARE_SPLIT_MERGED_WITH_PREVIOUS:
            merge = match && !j->held_match;
            break;
        case PARE_SPLIT_MERGED_WITH_NEXT:
            merge = !match && j->held_match;
            break;
        default:
            break;
        }
    }
    if (merge) {
        j->end = end;
        j->held_match = match;
        return;
    }
    flush(j);
    j->held = true;
    j->held_match = match;
    j->start = start;
    j->end = end;
}

enum class { SPACE, WORD, OTHER };

static enum class class_of(uint32_t c) {
    return pare_is_space(c)  ? SPACE
           : pare_is_word(c) ? WORD
                             : OTHER;
}

static bool is_match(enum pare_split_by by, uint32_t c)
{
    return by == PARE_SPLIT_SPACE    ? pare_is_space(c)
           : by == PARE_SPLIT_NUMBER ? pare_is_number(c)
                                     : pare_is_punctuation(c);
}

/* Each matching character is a match; for words, each run of one class. */
static void split_characters(const struct pare_pretokenize_step *s, struct joiner *j,
                             const char *text, size_t n)
{
    size_t from = 0;
    for (size_t i = 0; i < n;) {
        const uint32_t c = pare_utf8_get(text + i);
        size_t end = i + pare_utf8_len(text[i]);
        bool match;
        if (s->by == PARE_SPLIT_WORD) {
            const enum class k = class_of(c);
            match = k != SPACE;
            while (match && end < n && class_of(pare_utf8_get(text + end)) == k)
                end += pare_utf8_len(text[end]);
        } else {
            match = is_match(s->by, c);
        }
        if (match) {
            stretch(j, from, i, false);
            stretch(j, i, end, true);
            from = end;
        }
        i = end;
    }
    stretch(j, from, n, false);
}

static void split_literal(const struct pare_pretokenize_step *s, struct joiner *j, const char *text,
                          size_t n)
{
    size_t from = 0;
    const char *hit;
    while (s->literal.len > 0 && n - from >= s->literal.len &&
           (hit = pare_text_find(text + from, n - from, s->literal.data, s->literal.len)) != NULL) {
        const size_t at = (size_t)(hit - text);
        stretch(j, from, at, false);
        stretch(j, at, at + s->literal.len, true);
        from = at + s->literal.len;
    }
    stretch(j, from, n, false);
}

static int split_regex(struct pare_regex_run *run, struct joiner *j, const char *text, size_t n,
                       struct pare_error *err)
{
    size_t from = 0;
    pare_regex_text(run, text, n);
    for (bool found = true; found;) {
        size_t start, end;
        const int rc = pare_regex_next(run, &found, &start, &end, err);
        if (rc != PARE_OK)
            return rc;
        if (found) {
            stretch(j, from, start, false);
            stretch(j, start, end, true);
            from = end;
        }
    }
    stretch(j, from, n, false);
    return PARE_OK;
}

static int split(const struct pare_pretokenize_step *s, const struct pare_pieces *in,
                 struct pare_pieces *out, struct pare_error *err)
{
    struct pare_regex_run run = {0};
    int rc = PARE_OK;
    if (s->by == PARE_SPLIT_REGEX)
        PARE_TRY(pare_regex_begin(&run, s->regex, err));
    for (size_t i = 0; i < in->n; i++) {
        const struct pare_piece *p = &in->at[i];
        const char *text = in->text.data + p->start;
        struct joiner j = {.out = out,
                           .behavior = s->behavior,
                           .invert = s->invert,
                           .first = p->first,
                           .base = p->start,
                           .begin = p->start};
        if (s->by == PARE_SPLIT_REGEX)
            PARE_TRY(split_regex(&run, &j, text, p->end - p->start, err));
        else if (s->by == PARE_SPLIT_LITERAL)
            split_literal(s, &j, text, p->end - p->start);
        else
            split_characters(s, &j, text, p->end - p->start);
        flush(&j);
    }
    const struct pare_str text = in->text;
    if (!out->text.failed)
        pare_str_append_n(&out->text, text.data, text.len);
out:
    pare_regex_end(&run);
    return rc;
}

static bool begins(const char *text, size_t n, struct pare_bytes with)
{
    return n >= with.len && memcmp(text, with.data, with.len) == 0;
}

/* The steps that write the text of every piece anew. */
static void rewrite(const struct pare_pretokenize_step *s, const char *text, size_t n, bool first,
                    struct pare_str *out)
{
    static const struct pare_bytes space = {" ", 1};
    switch (s->kind) {
    case PARE_PRETOKENIZE_PREFIX:
        pare_str_append(out, *text == ' ' ? "" : " ");
        pare_str_append_n(out, text, n);
        break;
    case PARE_PRETOKENIZE_BYTES:
        for (size_t i = 0; i < n; i++)
            pare_utf8_append(pare_byte_char((uint8_t)text[i]), out);
        break;
    default: {
        const bool wanted =
            s->prepend == PARE_PREPEND_ALWAYS || (s->prepend == PARE_PREPEND_FIRST && first);
        if (wanted && !begins(text, n, s->literal) && *text != ' ')
            pare_str_append_n(out, s->literal.data, s->literal.len);
        for (size_t i = 0; i < n && out->len <= PARE_TEXT_MAX; i++)
            if (begins(text + i, n - i, space))
                pare_str_append_n(out, s->literal.data, s->literal.len);
            else
                pare_str_append_n(out, text + i, 1);
    }
    }
}

static void empty(struct pare_pieces *p)
{
    p->text.len = 0;
    p->n = 0;
}

int pare_pretokenize(const struct pare_pretokenize_step *steps, size_t n_steps, const char *text,
                     size_t n, bool first, struct pare_pieces *out, struct pare_pieces *spare,
                     struct pare_error *err)
{
    int rc = PARE_OK;
    empty(out);
    pare_str_append_n(&out->text, text, n);
    add(out, 0, n, first);
    for (size_t i = 0; i < n_steps && rc == PARE_OK && out->n > 0; i++) {
        const struct pare_pieces t = *spare;
        *spare = *out;
        *out = t;
        empty(out);
        if (steps[i].kind == PARE_PRETOKENIZE_SPLIT) {
            rc = split(&steps[i], spare, out, err);
            continue;
        }
        for (size_t k = 0; k < spare->n; k++) {
            const struct pare_piece *p = &spare->at[k];
            const size_t start = out->text.len;
            if (out->text.len > PARE_TEXT_MAX)
                return pare_error_set(err, PARE_FAILED, "pre-tokenization makes the text too long");
            rewrite(&steps[i], spare->text.data + p->start, p->end - p->start, p->first,
                    &out->text);
            add(out, start, out->text.len, p->first);
        }
    }
    if (rc == PARE_OK && (out->text.failed || spare->text.failed))
        rc = pare_error_nomem(err, 0);
    return rc;
}
