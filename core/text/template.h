/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_TEMPLATE_H
#define PARE_TEXT_TEMPLATE_H

#include "text/vocab.h"

/* What is put around a text, or two: special tokens and the texts' own ids, in order. */
struct pare_template_item {
    enum { PARE_TEMPLATE_TOKEN, PARE_TEMPLATE_A, PARE_TEMPLATE_B } what;
    int32_t id;   /* token */
    uint8_t type; /* the segment */
};

struct pare_template {
    const struct pare_template_item *items;
    size_t n;
};

/* The ids of one or two texts (`b` may be NULL) as the template says, in `out`. Without items, or
 * without special tokens, what is left. PARE_NOMEM. */
int pare_template_apply(const struct pare_template *t, bool specials, const struct pare_ids *a,
                        const struct pare_ids *b, struct pare_ids *out, struct pare_error *err);

#endif
