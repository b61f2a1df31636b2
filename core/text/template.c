/* SPDX-License-Identifier: Apache-2.0 */
#include "text/template.h"

#include <string.h>

static int append(struct pare_ids *out, const int32_t *ids, size_t n, uint8_t type,
                  struct pare_error *err)
{
    size_t want;
    if (!pare_add_size(out->n, n, &want) ||
        !pare_grow(&out->ids, &out->cap, want, sizeof *out->ids) ||
        !pare_grow(&out->types, &out->types_cap, want, 1))
        return pare_error_nomem(err, n * sizeof *ids);
    if (n > 0) {
        memcpy(out->ids + out->n, ids, n * sizeof *ids);
        memset(out->types + out->n, type, n);
    }
    out->n = want;
    return PARE_OK;
}

int pare_template_apply(const struct pare_template *t, bool specials, const struct pare_ids *a,
                        const struct pare_ids *b, struct pare_ids *out, struct pare_error *err)
{
    static const struct pare_template_item plain[] = {{PARE_TEMPLATE_A, -1, 0},
                                                      {PARE_TEMPLATE_B, -1, 1}};
    const struct pare_template_item *items = t->n > 0 ? t->items : plain;
    const size_t n = t->n > 0 ? t->n : PARE_COUNT(plain);
    int rc = PARE_OK;
    out->n = 0;
    for (size_t i = 0; i < n && rc == PARE_OK; i++) {
        const struct pare_template_item *item = &items[i];
        if (item->what == PARE_TEMPLATE_A)
            rc = append(out, a->ids, a->n, item->type, err);
        else if (item->what == PARE_TEMPLATE_B && b)
            rc = append(out, b->ids, b->n, item->type, err);
        else if (item->what == PARE_TEMPLATE_TOKEN && specials)
            rc = append(out, &item->id, 1, item->type, err);
    }
    return rc;
}
