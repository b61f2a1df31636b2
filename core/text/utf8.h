/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_UTF8_H
#define PARE_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

/* Characters of text that is known to be UTF-8, and their classes as the reference has them. Pure
 * functions, any thread. */

/* No text becomes longer, whatever a tokenizer replaces by what. */
#define PARE_TEXT_MAX ((size_t)1 << 28)

/* Bytes at the start of `text` that are UTF-8 (no surrogates, nothing above U+10FFFF). */
size_t pare_utf8_valid(const char *text, size_t n);

/* PARE_INVALID with NAME:LINE:COLUMN and what to do where a text is not UTF-8. */
int pare_utf8_check(const char *name, const char *text, size_t n, struct pare_error *err);

/* Characters of `n` bytes: what a column counts. */
size_t pare_utf8_count(const char *text, size_t n);

/* Append `text` with U+FFFD for each maximal part of a sequence that is not UTF-8 (The Unicode
 * Standard, section 3.9). */
void pare_utf8_repair(const char *text, size_t n, struct pare_str *out);

/* Bytes of the character that starts with `lead`; the text is UTF-8. */
static inline size_t pare_utf8_len(char lead)
{
    const unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

uint32_t pare_utf8_get(const char *text);      /* the character at `text`, which is UTF-8 */
size_t pare_utf8_put(uint32_t c, char out[4]); /* returns its bytes */
size_t pare_utf8_back(const char *text,
                      size_t i); /* where the character that ends at i > 0 starts */
void pare_utf8_append(uint32_t c, struct pare_str *out);

/* The first place of `what`, which is not empty, in `text`; NULL: none. */
const char *pare_text_find(const char *text, size_t n, const char *what, size_t len);

bool pare_is_space(uint32_t c);       /* White_Space */
bool pare_is_number(uint32_t c);      /* Nd, Nl, No */
bool pare_is_word(uint32_t c);        /* \w of Unicode TS 18, annex C */
bool pare_is_punctuation(uint32_t c); /* P, and every other ASCII sign */
bool pare_is_mark(uint32_t c);        /* Mn, Mc, Me */
bool pare_is_nonspacing(uint32_t c);  /* Mn */
bool pare_is_control(uint32_t c);     /* Cc, Cf, Co, but tab, LF, CR */
bool pare_is_ideograph(uint32_t c);   /* what BERT puts spaces around */

/* What the reference, whose normal forms are of an older Unicode, does not know: that a character
 * has a compatibility decomposition, that it is a mark. */
bool pare_is_late_compat(uint32_t c);
bool pare_is_late_mark(uint32_t c);

#endif
