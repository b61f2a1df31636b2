/* SPDX-License-Identifier: Apache-2.0 */
#include "text/decode.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/utf8.h"

/* Texts one after another. */
struct list {
    struct pare_str text;
    size_t *ends;
    size_t n, cap;
};

/* What was appended to `text` since the last end is one more. */
static void close_text(struct list *l)
{
    if (!pare_grow(&l->ends, &l->cap, l->n + 1, sizeof *l->ends)) {
        l->text.failed = true;
        return;
    }
    l->ends[l->n++] = l->text.len;
}

static struct pare_bytes get(const struct list *l, size_t i)
{
    const size_t start = i > 0 ? l->ends[i - 1] : 0;
    return (struct pare_bytes){l->text.data ? l->text.data + start : "", l->ends[i] - start};
}

static bool begins(struct pare_bytes text, struct pare_bytes with)
{
    return text.len >= with.len && memcmp(text.data, with.data, with.len) == 0;
}

/* Bytes from the byte-level alphabet; a token with any other character is taken as it is. */
static void bytes(const struct list *in, bool middle, struct list *out)
{
    struct pare_str raw = {0};
    for (size_t i = 0; i < in->n; i++) {
        const struct pare_bytes t = get(in, i);
        const size_t from = raw.len;
        bool mapped = pare_utf8_valid(t.data, t.len) == t.len;
        for (size_t k = 0; mapped && k < t.len; k += pare_utf8_len(t.data[k])) {
            const int byte = pare_char_byte(pare_utf8_get(t.data + k));
            const char c = (char)byte;
            mapped = byte >= 0;
            if (mapped)
                pare_str_append_n(&raw, &c, 1);
        }
        if (!mapped) {
            raw.len = PARE_MIN(from, raw.len);
            pare_str_append_n(&raw, t.data, t.len);
        }
    }
    if (middle)
        pare_str_append_n(&out->text, raw.data, raw.len);
    else
        pare_utf8_repair(raw.data, raw.len, &out->text);
    out->text.failed |= raw.failed;
    pare_str_free(&raw);
    close_text(out);
}

static void metaspace(const struct pare_decode_step *s, struct pare_bytes t, bool first,
                      struct list *out)
{
    for (size_t i = 0; i < t.len;) {
        if (!begins((struct pare_bytes){t.data + i, t.len - i}, s->pattern)) {
            pare_str_append_n(&out->text, t.data + i++, 1);
            continue;
        }
        if (!first || !s->strip)
            pare_str_append_n(&out->text, " ", 1);
        i += s->pattern.len;
    }
}

/* English as it is written: what BERT's pre-tokenizer took apart. */
static int cleanup(struct pare_str *text, struct pare_error *err)
{
    static const struct {
        const char *from, *to;
    } pairs[] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                 {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                 {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    int rc = PARE_OK;
    for (size_t i = 0; i < PARE_COUNT(pairs) && rc == PARE_OK; i++) {
        struct pare_str to = {0};
        rc = pare_replace(NULL, (struct pare_bytes){pairs[i].from, strlen(pairs[i].from)},
                          (struct pare_bytes){pairs[i].to, strlen(pairs[i].to)},
                          text->data ? text->data : "", text->len, &to, err);
        to.failed |= text->failed;
        pare_str_free(text);
        *text = to;
    }
    return rc;
}

static int wordpiece(const struct pare_decode_step *s, struct pare_bytes t, bool first,
                     struct list *out, struct pare_error *err)
{
    struct pare_str word = {0};
    int rc = PARE_OK;
    const bool glued = !first && begins(t, s->pattern);
    const size_t skip = glued ? s->pattern.len : 0;
    pare_str_append(&word, first || glued ? "" : " ");
    pare_str_append_n(&word, t.data + skip, t.len - skip);
    if (s->cleanup)
        rc = cleanup(&word, err);
    pare_str_append_n(&out->text, word.data, word.len);
    out->text.failed |= word.failed;
    pare_str_free(&word);
    return rc;
}

/* The byte that <0xHH> stands for, -1: it is another token. Signs before the digits are read too,
 * as the reference does. */
static int byte_of(struct pare_bytes t)
{
    if (t.len != 6 || memcmp(t.data, "<0x", 3) != 0 || t.data[5] != '>')
        return -1;
    int byte = 0;
    for (size_t i = 3; i < 5; i++) {
        const char c = t.data[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                          : c == '+' && i == 3   ? 0
                                                 : -1;
        if (digit < 0)
            return -1;
        byte = byte * 16 + digit;
    }
    return byte;
}

static void byte_fallback(const struct list *in, bool middle, struct list *out)
{
    struct pare_str run = {0};
    for (size_t i = 0; i <= in->n; i++) {
        const int byte = i < in->n ? byte_of(get(in, i)) : -1;
        const char c = (char)byte;
        if (byte >= 0) {
            pare_str_append_n(&run, &c, 1);
            continue;
        }
        if (run.len > 0) {
            if (middle || pare_utf8_valid(run.data, run.len) == run.len) {
                pare_str_append_n(&out->text, run.data, run.len);
                close_text(out);
            } else {
                for (size_t k = 0; k < run.len; k++) {
                    pare_str_append(&out->text, "\xEF\xBF\xBD");
                    close_text(out);
                }
            }
            run.len = 0;
        }
        if (i < in->n) {
            pare_str_append_n(&out->text, get(in, i).data, get(in, i).len);
            close_text(out);
        }
    }
    out->text.failed |= run.failed;
    pare_str_free(&run);
}

static void strip(const struct pare_decode_step *s, struct pare_bytes t, struct list *out)
{
    const struct pare_bytes what = s->pattern;
    for (size_t i = 0; i < s->start && begins(t, what); i++)
        t = (struct pare_bytes){t.data + what.len, t.len - what.len};
    for (size_t i = 0; i < s->stop && t.len >= what.len &&
                       memcmp(t.data + t.len - what.len, what.data, what.len) == 0;
         i++)
        t.len -= what.len;
    pare_str_append_n(&out->text, t.data, t.len);
}

static int replace(const struct pare_decode_step *s, struct pare_bytes t, struct list *out,
                   struct pare_error *err)
{
    /* in the middle of a text, parts of characters may come by, which a regex must not see */
    if (s->regex && pare_utf8_valid(t.data, t.len) < t.len) {
        pare_str_append_n(&out->text, t.data, t.len);
        return PARE_OK;
    }
    return pare_replace(s->regex, s->pattern, s->content, t.data, t.len, &out->text, err);
}

static int apply(const struct pare_decode_step *s, const struct list *in, bool middle, bool *fused,
                 struct list *out, struct pare_error *err)
{
    int rc = PARE_OK;
    if (s->kind == PARE_DECODE_BYTES || s->kind == PARE_DECODE_FUSE) {
        *fused = true;
        if (s->kind == PARE_DECODE_BYTES) {
            bytes(in, middle, out);
        } else {
            pare_str_append_n(&out->text, in->text.data, in->text.len);
            close_text(out);
        }
        return PARE_OK;
    }
    if (s->kind == PARE_DECODE_BYTE_FALLBACK) {
        byte_fallback(in, middle, out);
        return PARE_OK;
    }
    for (size_t i = 0; i < in->n && rc == PARE_OK; i++) {
        const struct pare_bytes t = get(in, i);
        const bool first = i == 0 && !middle;
        if (s->kind == PARE_DECODE_METASPACE)
            metaspace(s, t, first, out);
        else if (s->kind == PARE_DECODE_WORDPIECE)
            rc = wordpiece(s, t, first, out, err);
        else if (s->kind == PARE_DECODE_REPLACE)
            rc = replace(s, t, out, err);
        else if (!(middle && *fused))
            strip(s, t, out);
        else
            pare_str_append_n(&out->text, t.data, t.len);
        close_text(out);
    }
    return rc;
}

int pare_decode(const struct pare_decode_step *steps, size_t n_steps,
                const struct pare_bytes *tokens, size_t n, bool middle, struct pare_str *out,
                struct pare_error *err)
{
    struct list a = {0}, b = {0};
    bool fused = false;
    int rc = PARE_OK;
    for (size_t i = 0; i < n; i++) {
        if (n_steps == 0 && (i > 0 || middle))
            pare_str_append_n(&a.text, " ", 1);
        pare_str_append_n(&a.text, tokens[i].data, tokens[i].len);
        close_text(&a);
    }
    for (size_t i = 0; i < n_steps && rc == PARE_OK && !a.text.failed; i++) {
        b.text.len = b.n = 0;
        rc = apply(&steps[i], &a, middle, &fused, &b, err);
        if (rc == PARE_OK && b.text.len > PARE_TEXT_MAX)
            rc = pare_error_set(err, PARE_FAILED, "decoding makes the text too long");
        const struct list t = a;
        a = b;
        b = t;
    }
    if (rc == PARE_OK && middle)
        pare_str_append_n(out, a.text.data, a.text.len);
    else if (rc == PARE_OK) /* GGUF tokens may be any bytes */
        pare_utf8_repair(a.text.data, a.text.len, out);
    if (rc == PARE_OK && (a.text.failed || b.text.failed || out->failed))
        rc = pare_error_nomem(err, 0);
    pare_str_free(&a.text);
    pare_str_free(&b.text);
    free(a.ends);
    free(b.ends);
    return rc;
}
