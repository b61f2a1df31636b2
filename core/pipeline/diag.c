/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define SHOWN_WIDTH 160 /* characters of a source line that are quoted */

void pare_diags_source(struct pare_diags *d, const char *path, const char *text, size_t size)
{
    d->path = pare_pool_strdup(&d->pool, path);
    d->text = text ? pare_pool_strndup(&d->pool, text, size) : NULL;
    d->size = d->text ? size : 0;
    if (!d->path || (text && !d->text))
        d->nomem = true;
}

void pare_diags_free(struct pare_diags *d)
{
    pare_pool_free(&d->pool);
    *d = (struct pare_diags){0};
}

static const char *format(struct pare_diags *d, const char *fmt, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, fmt, args);
    const char *copy = pare_pool_strdup(&d->pool, text);
    if (!copy)
        d->nomem = true;
    return copy;
}

void pare_diag_add(struct pare_diags *d, struct pare_mark at, struct pare_mark end, const char *fmt,
                   ...)
{
    va_list args;
    va_start(args, fmt);
    const char *what = format(d, fmt, args);
    va_end(args);
    d->last_kept = false;
    if (!what)
        return;
    for (size_t i = 0; i < d->n; i++) {
        const struct pare_diag *old = &d->items[i];
        if (old->at.set == at.set && old->at.line == at.line && old->at.column == at.column &&
            !strcmp(old->what, what))
            return;
    }
    if (d->n == PARE_DIAG_MAX) {
        d->dropped++;
        return;
    }
    d->items[d->n++] = (struct pare_diag){.at = at, .end = end, .what = what};
    d->last_kept = true;
}

void pare_diag_hint(struct pare_diags *d, const char *fmt, ...)
{
    if (!d->last_kept)
        return;
    va_list args;
    va_start(args, fmt);
    d->items[d->n - 1].hint = format(d, fmt, args);
    va_end(args);
}

void pare_diag_note(struct pare_diags *d, struct pare_mark at, const char *fmt, ...)
{
    if (!d->last_kept)
        return;
    va_list args;
    va_start(args, fmt);
    d->items[d->n - 1].note = format(d, fmt, args);
    d->items[d->n - 1].note_at = at;
    va_end(args);
}

static bool before(const struct pare_diag *a, const struct pare_diag *b)
{
    if (a->at.set != b->at.set)
        return a->at.set < b->at.set;
    return a->at.line != b->at.line ? a->at.line < b->at.line : a->at.column < b->at.column;
}

void pare_diags_sort(struct pare_diags *d)
{
    for (size_t i = 1; i < d->n; i++) {
        struct pare_diag item = d->items[i];
        size_t k = i;
        for (; k > 0 && before(&item, &d->items[k - 1]); k--)
            d->items[k] = d->items[k - 1];
        d->items[k] = item;
    }
    d->last_kept = false;
}

const char *pare_diags_set(const struct pare_diags *d, struct pare_mark at)
{
    return at.set ? d->sets[at.set - 1] + d->sets_hidden : NULL;
}

static void place(struct pare_str *s, const struct pare_diags *d, struct pare_mark at)
{
    if (at.set) {
        pare_str_printf(s, "%s%s", d->sets_hidden ? "" : "--set ", pare_diags_set(d, at));
        return;
    }
    pare_str_append(s, d->path ? d->path : "?");
    if (at.line)
        pare_str_printf(s, ":%u:%u", at.line, at.column);
}

int pare_diags_status(const struct pare_diags *d, struct pare_error *err)
{
    if (d->nomem)
        return pare_error_nomem(err, 0);
    if (d->n == 0)
        return PARE_OK;
    const struct pare_diag *first = &d->items[0];
    struct pare_str where = {0};
    place(&where, d, first->at);
    pare_error_set(err, PARE_INVALID, "%s: %s", where.data ? where.data : "?", first->what);
    pare_str_free(&where);
    if (first->hint)
        pare_error_hint(err, "%s", first->hint);
    if (d->n + d->dropped > 1)
        pare_error_detail(err, "and %zu more", d->n + d->dropped - 1);
    return PARE_INVALID;
}

/* Bytes of the character at `p`: the text was checked to be UTF-8, or is cut off byte by byte. */
static size_t char_bytes(const char *p, const char *end)
{
    size_t n = 1;
    while (p + n < end && ((unsigned char)p[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* The source line with a caret line below. A long line is shown from near the mistake on; control
 * characters, which could steer a terminal, are shown as '?'. */
static void quote(struct pare_str *s, const struct pare_diags *d, struct pare_mark at,
                  struct pare_mark end)
{
    const char *set = pare_diags_set(d, at), *p = set ? set : d->text;
    const char *stop = p ? p + (set ? strlen(set) : d->size) : NULL;
    if (!p || at.line == 0)
        return;
    if (set && at.line == 1) { /* what nobody typed is not shown */
        at.column -= (unsigned)d->sets_hidden;
        end.column -= end.line == 1 ? (unsigned)d->sets_hidden : 0;
    }
    for (unsigned line = 1; line < at.line; line++) {
        p = memchr(p, '\n', (size_t)(stop - p));
        if (!p)
            return;
        p++;
    }
    unsigned first = at.column > SHOWN_WIDTH / 2 ? at.column - SHOWN_WIDTH / 4 : 1;
    unsigned column = 1;
    if (set)
        pare_str_append(s, "      | ");
    else
        pare_str_printf(s, "%5u | ", at.line);
    for (; p < stop && *p != '\n' && *p != '\r' && column < first + SHOWN_WIDTH; column++) {
        size_t n = char_bytes(p, stop);
        if (column >= first) {
            if (n == 1 && ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7F))
                pare_str_append(s, "?");
            else
                pare_str_append_n(s, p, n);
        }
        p += n;
    }
    pare_str_append(s, "\n      | ");
    for (unsigned i = first; i < at.column; i++)
        pare_str_append(s, " ");
    pare_str_append(s, "^");
    unsigned last = end.line == at.line ? end.column : column;
    for (unsigned i = at.column + 1; i < last && i < column; i++)
        pare_str_append(s, "~");
    pare_str_append(s, "\n");
}

char *pare_diags_text(const struct pare_diags *d)
{
    struct pare_str s = {0};
    for (size_t i = 0; i < d->n; i++) {
        const struct pare_diag *item = &d->items[i];
        place(&s, d, item->at);
        pare_str_printf(&s, ": error: %s\n", item->what);
        quote(&s, d, item->at, item->end);
        if (item->note) {
            place(&s, d, item->note_at);
            pare_str_printf(&s, ": note: %s\n", item->note);
        }
        if (item->hint)
            pare_str_printf(&s, "hint: %s\n", item->hint);
    }
    if (d->dropped)
        pare_str_printf(&s, "%s: %zu more errors are not shown\n", d->path, d->dropped);
    return pare_str_take(&s);
}

json_t *pare_diags_json(const struct pare_diags *d)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < d->n; i++) {
        const struct pare_diag *item = &d->items[i];
        struct pare_str file = {0};
        if (item->at.set)
            place(&file, d, item->at);
        json_t *entry =
            json_pack("{s:s, s:i, s:i, s:i, s:i, s:s, s:s, s:s?}", "file",
                      file.data ? file.data
                      : d->path ? d->path
                                : "",
                      "line", (int)item->at.line, "column", (int)item->at.column, "end_line",
                      (int)item->end.line, "end_column", (int)item->end.column, "severity", "error",
                      "message", item->what, "hint", item->hint);
        pare_str_free(&file);
        if (!entry || json_array_append_new(list, entry) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
