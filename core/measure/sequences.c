/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/sequences.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define TOKENS_MAX ((size_t)1 << 30)

struct span {
    size_t at; /* in all ids */
    uint32_t n, first, bytes;
};

struct pare_sequences {
    int32_t *ids;
    size_t n_ids, ids_cap;
    struct span *spans;
    size_t n_spans, spans_cap;
    size_t *starts; /* of each sample's spans; n + 1 */
    uint32_t longest;
};

struct maker {
    struct pare_sequences *s;
    const struct pare_tokenizer *tokenizer;
    const char *path;
    uint32_t context, line, n_cut;
    bool cut; /* something of this sample was */
    struct pare_ids ids;
    struct pare_str text; /* a choice behind its context */
    struct pare_error *err;
};

void pare_sequences_free(struct pare_sequences *s)
{
    if (!s)
        return;
    free(s->ids);
    free(s->spans);
    free(s->starts);
    free(s);
}

static int put(struct maker *m, const int32_t *ids, uint32_t n, uint32_t first, uint32_t bytes)
{
    struct pare_sequences *s = m->s;
    if (n == 0)
        return pare_error_set(m->err, PARE_INVALID, "%.200s:%u:1: the text has no tokens", m->path,
                              m->line);
    if (s->n_ids + n > TOKENS_MAX || !pare_grow(&s->ids, &s->ids_cap, s->n_ids + n, sizeof *ids) ||
        !pare_grow(&s->spans, &s->spans_cap, s->n_spans + 1, sizeof *s->spans))
        return pare_error_nomem(m->err, (s->n_ids + n) * sizeof *ids);
    memcpy(s->ids + s->n_ids, ids, n * sizeof *ids);
    s->spans[s->n_spans++] = (struct span){s->n_ids, n, first, bytes};
    s->n_ids += n;
    s->longest = PARE_MAX(s->longest, first ? n - 1 : n);
    return PARE_OK;
}

/* ---- whole texts ---- */

/* A text among the ids, with what the tokenizer puts before and after it. */
struct stretch {
    size_t at, before, n, after;
};

/* Unknown words are special tokens too, but of the text. */
static bool is_around(const struct maker *m, int32_t id)
{
    return pare_tokenizer_is_special(m->tokenizer, id) &&
           id != pare_tokenizer_special(m->tokenizer, PARE_SPECIAL_UNK);
}

static struct stretch stretch_of(const struct maker *m, size_t at, uint8_t type)
{
    const struct pare_ids *x = &m->ids;
    struct stretch s = {.at = at};
    size_t end = at;
    while (end < x->n && x->types[end] == type)
        end++;
    while (at + s.before < end && is_around(m, x->ids[at + s.before]))
        s.before++;
    while (end - s.after > at + s.before && is_around(m, x->ids[end - s.after - 1]))
        s.after++;
    s.n = end - at - s.before - s.after;
    return s;
}

/* How transformers' tokenizers truncate a pair, longest first, to `room` tokens. */
static void share_room(size_t room, size_t *a, size_t *b)
{
    size_t *less = *a <= *b ? a : b, *more = *a <= *b ? b : a;
    *more = *less > room ? *less : PARE_MAX(*less, room - *less);
    if (*less + *more > room) {
        *less = room / 2;
        *more = room - room / 2;
    }
}

static int cut_end(struct maker *m)
{
    struct pare_ids *x = &m->ids;
    struct stretch s[2] = {stretch_of(m, 0, 0)};
    s[1] = stretch_of(m, s[0].before + s[0].n + s[0].after, 1);
    const size_t around = x->n - s[0].n - s[1].n;
    size_t n[2] = {s[0].n, s[1].n}, to = 0;
    if (around >= m->context)
        return pare_error_set(m->err, PARE_INVALID,
                              "%.200s:%u:1: the text does not fit the model's %u tokens", m->path,
                              m->line, m->context);
    if (n[1])
        share_room(m->context - around, &n[0], &n[1]);
    else
        n[0] = m->context - around;
    for (int i = 0; i < 2; i++) {
        const size_t head = s[i].before + n[i], tail = s[i].at + s[i].before + s[i].n;
        memmove(x->ids + to, x->ids + s[i].at, head * sizeof *x->ids);
        memmove(x->ids + to + head, x->ids + tail, s[i].after * sizeof *x->ids);
        to += head + s[i].after;
    }
    x->n = to;
    m->cut = true;
    return PARE_OK;
}

static int put_text(struct maker *m, const char *text, const char *second)
{
    int rc;
    PARE_TRY(second ? pare_tokenizer_encode_pair(m->tokenizer, text, strlen(text), second,
                                                 strlen(second), PARE_ENCODE_ADD, &m->ids, m->err)
                    : pare_tokenizer_encode(m->tokenizer, text, strlen(text), PARE_ENCODE_ADD,
                                            &m->ids, m->err));
    if (m->ids.n > m->context)
        PARE_TRY(cut_end(m));
    rc = put(m, m->ids.ids, (uint32_t)m->ids.n, 0, 0);
out:
    return rc;
}

/* ---- choices ---- */

/* Spaces at the end of the context belong to the choice: tokens carry them in front. */
static size_t trimmed(const char *text)
{
    size_t n = strlen(text);
    while (n && strchr(" \t\n\r\v\f", text[n - 1]))
        n--;
    return n;
}

/* The ids of a text that goes on: without the end that some tokenizers put there. */
static int encode_open(struct maker *m, const char *text, size_t n)
{
    struct pare_ids *x = &m->ids;
    int rc = pare_tokenizer_encode(m->tokenizer, text, n, PARE_ENCODE_ADD, x, m->err);
    if (rc == PARE_OK && x->n > 1 &&
        x->ids[x->n - 1] == pare_tokenizer_special(m->tokenizer, PARE_SPECIAL_EOS))
        x->n--;
    return rc;
}

/* Tokens of the context by itself: so many of the whole are it. With none there is nothing to
 * predict the first token from but the one that texts begin or end with. */
static int context_tokens(struct maker *m, const char *context, size_t *n, int32_t *begin)
{
    const size_t length = trimmed(context);
    const int32_t bos = pare_tokenizer_special(m->tokenizer, PARE_SPECIAL_BOS);
    int rc = encode_open(m, context, length);
    *n = length ? m->ids.n : m->ids.n && m->ids.ids[0] == bos;
    *begin = -1;
    if (rc != PARE_OK || *n)
        return rc;
    *begin = bos;
    if (*begin < 0)
        *begin = pare_tokenizer_special(m->tokenizer, PARE_SPECIAL_EOS);
    if (*begin < 0)
        return pare_error_set(m->err, PARE_INVALID, "%.200s:%u:1: nothing comes before the choices",
                              m->path, m->line);
    return PARE_OK;
}

/* The whole text is encoded and cut where the context's own tokens end, as lm-evaluation-harness
 * does it; without a space on either side of the join there is one. */
static int put_choice(struct maker *m, const char *context, size_t n_context, int32_t begin,
                      const char *choice)
{
    const char *space = *context && !strchr(" \t\n\r\v\f", context[strlen(context) - 1]) &&
                                !strchr(" \t\n\r\v\f", choice[0])
                            ? " "
                            : "";
    int rc;
    m->text.len = 0;
    pare_str_printf(&m->text, "%s%s%s", context, space, choice);
    if (m->text.failed)
        return pare_error_nomem(m->err, strlen(context) + strlen(choice));
    PARE_TRY(encode_open(m, m->text.data, m->text.len));
    struct pare_ids *x = &m->ids;
    if (begin >= 0) {
        if (!pare_grow(&x->ids, &x->cap, x->n + 1, sizeof *x->ids))
            return pare_error_nomem(m->err, (x->n + 1) * sizeof *x->ids);
        memmove(x->ids + 1, x->ids, x->n * sizeof *x->ids);
        x->ids[0] = begin;
        x->n++;
        n_context = 1;
    }
    size_t first = PARE_MIN(n_context, x->n - PARE_MIN(x->n, (size_t)1)), from = 0;
    if (x->n > (size_t)m->context + 1) { /* its last token is not read */
        from = x->n - m->context - 1;
        m->cut = true;
    }
    if (first <= from) {
        rc = pare_error_set(m->err, PARE_INVALID,
                            "%.200s:%u:1: a choice does not fit the model's %u tokens", m->path,
                            m->line, m->context);
        pare_error_detail(m->err, "it has %zu itself, and one comes before it", x->n - first);
        goto out;
    }
    rc = put(m, x->ids + from, (uint32_t)(x->n - from), (uint32_t)(first - from),
             (uint32_t)strlen(choice));
out:
    return rc;
}

/* ---- the whole ---- */

static int put_record(struct maker *m, enum pare_task task, const struct pare_record *r)
{
    size_t n_context;
    int32_t begin;
    int rc;
    if (task == PARE_TASK_CLASSES)
        return put_text(m, r->text, r->second);
    if (task == PARE_TASK_SIMILARITY) {
        rc = put_text(m, r->text, NULL);
        return rc == PARE_OK ? put_text(m, r->second, NULL) : rc;
    }
    rc = context_tokens(m, r->text, &n_context, &begin);
    for (uint32_t i = 0; rc == PARE_OK && i < r->n_choices; i++)
        rc = put_choice(m, r->text, n_context, begin, r->choices[i]);
    return rc;
}

int pare_sequences_new(const struct pare_records *records, const char *path,
                       const struct pare_tokenizer *tokenizer, uint32_t context,
                       struct pare_sequences **out, char note[PARE_DATA_NOTE],
                       struct pare_error *err)
{
    struct maker m = {.s = pare_calloc(1, sizeof *m.s),
                      .tokenizer = tokenizer,
                      .path = path,
                      .context = context,
                      .err = err};
    int rc = PARE_OK;
    note[0] = '\0';
    if (!m.s || !(m.s->starts = pare_alloc((size_t)records->n + 1, sizeof *m.s->starts))) {
        rc = pare_error_nomem(err, records->n * sizeof *m.s->starts);
        goto out;
    }
    m.s->starts[0] = 0;
    for (uint32_t i = 0; i < records->n; i++) {
        m.line = records->items[i].line;
        m.cut = false;
        PARE_TRY(put_record(&m, records->task, &records->items[i]));
        m.n_cut += m.cut;
        m.s->starts[i + 1] = m.s->n_spans;
    }
    if (m.n_cut)
        snprintf(note, PARE_DATA_NOTE,
                 "%.300s: %u of %u samples are longer than the model's %u tokens and lose their %s",
                 path, m.n_cut, records->n, context,
                 records->task == PARE_TASK_CHOICES ? "beginning" : "end");
    *out = m.s;
    m.s = NULL;
out:
    pare_ids_free(&m.ids);
    pare_str_free(&m.text);
    pare_sequences_free(m.s);
    return rc;
}

uint32_t pare_sequences_parts(const struct pare_sequences *s, uint32_t sample)
{
    return (uint32_t)(s->starts[sample + 1] - s->starts[sample]);
}

struct pare_sequence pare_sequences_part(const struct pare_sequences *s, uint32_t sample,
                                         uint32_t part)
{
    const struct span *x = &s->spans[s->starts[sample] + part];
    return (struct pare_sequence){s->ids + x->at, x->n, x->first, x->bytes};
}

uint32_t pare_sequences_longest(const struct pare_sequences *s)
{
    return s->longest;
}

void pare_sequences_hash(const struct pare_sequences *s, uint32_t sample, struct pare_hash *hash)
{
    for (uint32_t i = 0; i < pare_sequences_parts(s, sample); i++) {
        const struct pare_sequence x = pare_sequences_part(s, sample, i);
        const uint32_t how[] = {x.n, x.first, x.bytes};
        pare_hash_add(hash, how, sizeof how);
        pare_hash_add(hash, x.ids, x.n * sizeof *x.ids);
    }
}
