/* SPDX-License-Identifier: Apache-2.0 */
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "text/utf8.h"

/* Bounds of one search. The steps are per start of a match and grow with the text, because looking
 * ahead over a run of blanks is legitimate; the clock is looked at between runs of starts. */
#define STEPS 1000000u
#define STEPS_PER_BYTE 32u
#define STEPS_MOST 2000000000u
#define HEAP_KIB (64u << 10)
#define STARTS 1024u
#define SECONDS 10u

struct pare_regex {
    pcre2_code *code;
};

int pare_regex_compile(const char *pattern, size_t n, struct pare_regex **out,
                       struct pare_error *err)
{
    struct pare_str text = {0};
    struct pare_regex *re = NULL;
    int rc;
    *out = NULL;
    PARE_TRY(pare_regex_translate(pattern, n, &text, err));
    re = pare_calloc(1, sizeof *re);
    if (!re || text.failed) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    int code;
    PCRE2_SIZE at;
    re->code = pcre2_compile((PCRE2_SPTR)(text.data ? text.data : ""), text.len,
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
                                 PCRE2_USE_OFFSET_LIMIT | PCRE2_NO_UTF_CHECK,
                             &code, &at, NULL);
    if (!re->code) {
        PCRE2_UCHAR why[200];
        pcre2_get_error_message(code, why, sizeof why);
        rc = pare_error_set(err, PARE_INVALID, "the regex does not compile: %s", (char *)why);
        pare_error_detail(err, "at byte %zu of %.*s", (size_t)at, (int)PARE_MIN(n, 300), pattern);
        goto out;
    }
    /* where no just-in-time code can be had, PCRE2 interprets */
    pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
    *out = re;
    re = NULL;
out:
    pare_regex_free(re);
    pare_str_free(&text);
    return rc;
}

void pare_regex_free(struct pare_regex *re)
{
    if (re)
        pcre2_code_free(re->code);
    free(re);
}

int pare_regex_begin(struct pare_regex_run *run, const struct pare_regex *re,
                     struct pare_error *err)
{
    *run = (struct pare_regex_run){.re = re, .last = SIZE_MAX};
    run->match = pcre2_match_data_create(1, NULL);
    run->context = pcre2_match_context_create(NULL);
    if (!run->match || !run->context) {
        pare_regex_end(run);
        return pare_error_nomem(err, 0);
    }
    pcre2_set_heap_limit(run->context, HEAP_KIB);
    run->deadline = pare_clock_ns() + SECONDS * UINT64_C(1000000000);
    return PARE_OK;
}

void pare_regex_text(struct pare_regex_run *run, const char *text, size_t n)
{
    run->text = text;
    run->n = n;
    run->next = 0;
    run->last = SIZE_MAX;
    const size_t steps = n > STEPS_MOST / STEPS_PER_BYTE ? STEPS_MOST : STEPS + STEPS_PER_BYTE * n;
    pcre2_set_match_limit(run->context, (uint32_t)PARE_MIN(steps, STEPS_MOST));
    pcre2_set_depth_limit(run->context, (uint32_t)PARE_MIN(steps, STEPS_MOST));
}

void pare_regex_end(struct pare_regex_run *run)
{
    pcre2_match_data_free(run->match);
    pcre2_match_context_free(run->context);
    *run = (struct pare_regex_run){0};
}

static int gives_up(struct pare_error *err, const char *why)
{
    pare_error_set(err, PARE_FAILED, "the tokenizer's regex gives up on this text");
    pare_error_detail(err, "%s", why);
    pare_error_hint(err, "its pattern backtracks too much; check tokenizer.json");
    return PARE_FAILED;
}

/* One search from `run->next`, in runs of starts. Returns what pcre2_match() does. */
static int search(struct pare_regex_run *run, bool *late)
{
    int got = PCRE2_ERROR_NOMATCH;
    for (size_t from = run->next; got == PCRE2_ERROR_NOMATCH; from += STARTS) {
        while (from < run->n && from > run->next && ((uint8_t)run->text[from] & 0xC0) == 0x80)
            from++;
        pcre2_set_offset_limit(run->context, from + STARTS);
        const PCRE2_SPTR text = (PCRE2_SPTR)run->text;
        got = pcre2_match(run->re->code, text, run->n, from, PCRE2_NO_UTF_CHECK, run->match,
                          run->context);
        if (got == PCRE2_ERROR_JIT_STACKLIMIT)
            got = pcre2_match(run->re->code, text, run->n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                              run->match, run->context);
        if (got == PCRE2_ERROR_NOMATCH && run->n - from <= STARTS)
            break;
        if (got == PCRE2_ERROR_NOMATCH && pare_clock_ns() > run->deadline) {
            *late = true;
            break;
        }
    }
    return got;
}

int pare_regex_next(struct pare_regex_run *run, bool *found, size_t *start, size_t *end,
                    struct pare_error *err)
{
    *found = false;
    while (run->next <= run->n) {
        bool late = false;
        const int got = search(run, &late);
        if (late || pare_clock_ns() > run->deadline)
            return gives_up(err, "it takes more than 10 seconds");
        if (got == PCRE2_ERROR_NOMATCH)
            return PARE_OK;
        if (got == PCRE2_ERROR_NOMEMORY)
            return pare_error_nomem(err, 0);
        if (got < 0) {
            PCRE2_UCHAR why[200];
            pcre2_get_error_message(got, why, sizeof why);
            return gives_up(err, (char *)why);
        }
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(run->match);
        /* \K in a look-around can put the start behind the end */
        *end = at[1];
        *start = PARE_MIN(at[0], at[1]);
        if (*start < (run->last == SIZE_MAX ? 0 : run->last))
            *start = run->last;
        if (*end == *start && run->last == *end) {
            run->next = *end < run->n ? *end + pare_utf8_len(run->text[*end]) : run->n + 1;
            continue;
        }
        run->next = run->last = *end;
        *found = true;
        return PARE_OK;
    }
    return PARE_OK;
}
