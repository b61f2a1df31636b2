/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/windows.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/utf8.h"

#define TEXT_MAX ((size_t)1 << 30)
#define TOKENS_MAX (1u << 30)

struct pare_windows {
    struct pare_window_spec spec;
    int32_t *ids;
    uint32_t n_ids, first, n; /* windows first .. first + n - 1 are read */
    int32_t begin;            /* token that every window begins with; -1: its own */
    bool json;                /* its first line is an object of JSON */
    char hash[PARE_HASH_HEX];
};

const char *pare_window_method_name(enum pare_window_method method)
{
    return method == PARE_WINDOWS_HF ? "hf" : "llama.cpp";
}

void pare_windows_free(struct pare_windows *windows)
{
    if (!windows)
        return;
    free(windows->ids);
    free(windows);
}

uint32_t pare_window_default(const struct pare_graph *graph)
{
    return PARE_MIN(graph->context, 512u);
}

int pare_window_check(const struct pare_graph *graph, uint64_t window, struct pare_error *err)
{
    if (window <= graph->context)
        return PARE_OK;
    pare_error_set(err, PARE_INVALID, "windows of %ju tokens are longer than the model's context",
                   (uintmax_t)window);
    pare_error_detail(err, "it reads at most %u tokens", graph->context);
    pare_error_hint(err, "a window of %u takes all of it", graph->context);
    return PARE_INVALID;
}

static int check_spec(const struct pare_window_spec *s, struct pare_error *err)
{
    if (s->window < 2 || s->window > TOKENS_MAX)
        return pare_error_set(err, PARE_INVALID, "a window of %u tokens is out of range",
                              s->window);
    if (s->stride > s->window) {
        pare_error_set(err, PARE_INVALID, "a stride of %u tokens leaves some between windows of %u",
                       s->stride, s->window);
        pare_error_hint(err, "a stride is at most the window");
        return PARE_INVALID;
    }
    if (s->method == PARE_WINDOWS_LLAMA_CPP && s->stride && s->stride != s->window) {
        pare_error_set(err, PARE_INVALID, "llama.cpp's windows follow each other");
        pare_error_hint(err, "leave the stride out, or use method hf");
        return PARE_INVALID;
    }
    return PARE_OK;
}

/* How many windows a text of n tokens has. */
static uint32_t count_windows(const struct pare_window_spec *s, uint32_t n)
{
    if (s->method == PARE_WINDOWS_LLAMA_CPP)
        return n / s->window;
    if (n < 2)
        return 0;
    return n <= s->window ? 1 : (n - s->window + s->stride - 1) / s->stride + 1;
}

/* Whether text begins with a line that is an object of JSON, by its braces. */
static bool begins_with_json(const char *text, size_t size)
{
    const char *end = memchr(text, '\n', size);
    size_t n = end ? (size_t)(end - text) : size;
    while (n && strchr(" \t\r", text[n - 1]))
        n--;
    return n > 1 && text[0] == '{' && text[n - 1] == '}';
}

const char *pare_windows_note(const struct pare_windows *windows)
{
    return windows->json ? "the text begins as JSON lines do and is read as plain text; as "
                           "FILE.jsonl its keys are read"
                         : "";
}

static int read_ids(struct pare_windows *w, const struct pare_tokenizer *tokenizer,
                    struct pare_error *err)
{
    struct pare_ids ids = {0};
    char *text = NULL;
    size_t size;
    int rc;
    PARE_TRY(pare_file_read(w->spec.path, TEXT_MAX, &text, &size, err));
    PARE_TRY(pare_utf8_check(w->spec.path, text, size, err));
    w->json = begins_with_json(text, size);
    PARE_TRY(pare_tokenizer_encode(tokenizer, text, size, PARE_ENCODE_ADD, &ids, err));
    if (ids.n > TOKENS_MAX) {
        rc = pare_error_set(err, PARE_UNSUPPORTED, "%s: %zu tokens are too many", w->spec.path,
                            ids.n);
        goto out;
    }
    w->ids = ids.ids;
    w->n_ids = (uint32_t)ids.n;
    ids.ids = NULL;
out:
    pare_ids_free(&ids);
    free(text);
    return rc;
}

static void hash_windows(struct pare_windows *w)
{
    const struct pare_window_spec *s = &w->spec;
    const uint32_t how[] = {(uint32_t)s->method, s->window, s->stride, w->first, w->n};
    struct pare_hash h;
    pare_hash_begin(&h);
    pare_hash_add(&h, how, sizeof how);
    pare_hash_add(&h, w->ids, w->n_ids * sizeof *w->ids);
    pare_hash_end(&h, w->hash);
}

int pare_windows_open(const struct pare_window_spec *spec, const struct pare_tokenizer *tokenizer,
                      struct pare_windows **out, struct pare_error *err)
{
    struct pare_windows *w = pare_calloc(1, sizeof *w);
    int rc;
    if (!w)
        return pare_error_nomem(err, sizeof *w);
    w->spec = *spec;
    PARE_TRY(check_spec(spec, err));
    w->spec.stride = spec->stride ? spec->stride : spec->window;
    PARE_TRY(read_ids(w, tokenizer, err));
    w->begin = pare_tokenizer_special(tokenizer, PARE_SPECIAL_BOS);
    /* A tokenizer that does not begin texts with a token wants none at windows either. */
    if (spec->method != PARE_WINDOWS_LLAMA_CPP || w->n_ids == 0 || w->ids[0] != w->begin)
        w->begin = -1;
    const uint32_t all = count_windows(&w->spec, w->n_ids);
    if (all <= spec->skip) {
        rc = pare_error_set(err, PARE_INVALID, "%s is too short: %u tokens", spec->path, w->n_ids);
        pare_error_detail(err, "that is %u windows of %u, and %u are left out", all, spec->window,
                          spec->skip);
        goto out;
    }
    w->first = spec->skip;
    w->n = spec->most ? PARE_MIN(spec->most, all - spec->skip) : all - spec->skip;
    hash_windows(w);
    w->spec.path = NULL; /* the caller's */
    *out = w;
    w = NULL;
out:
    pare_windows_free(w);
    return rc;
}

uint32_t pare_windows_count(const struct pare_windows *windows)
{
    return windows->n;
}

uint32_t pare_windows_tokens(const struct pare_windows *windows)
{
    return windows->n_ids;
}

const char *pare_windows_hash(const struct pare_windows *windows)
{
    return windows->hash;
}

struct pare_window pare_windows_span(const struct pare_windows *w, uint32_t i)
{
    const struct pare_window_spec *s = &w->spec;
    const uint32_t number = w->first + i, again = s->window - s->stride;
    const uint32_t n = PARE_MIN(s->window, w->n_ids - number * s->stride);
    if (s->method == PARE_WINDOWS_LLAMA_CPP)
        return (struct pare_window){n, s->window / 2 + 1};
    /* All that the window before did not have; nothing comes before a first token. */
    return (struct pare_window){n, number && again ? again : 1};
}

struct pare_window pare_windows_read(const struct pare_windows *w, uint32_t i, int32_t *ids)
{
    const struct pare_window span = pare_windows_span(w, i);
    memcpy(ids, w->ids + (w->first + i) * w->spec.stride, span.n * sizeof *ids);
    if (w->begin >= 0)
        ids[0] = w->begin;
    return span;
}
