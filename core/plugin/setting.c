/* SPDX-License-Identifier: Apache-2.0 */
/* The value of a numeric parameter for one unit: a scalar, by hand, or by an allocator. */
#include "base/str.h"
#include "plugin/context.h"

#include <string.h>

static double number(const json_t *j)
{
    return json_is_boolean(j) ? json_is_true(j) : json_number_value(j);
}

/* {"by": [{"on": [...], "value": x}, ...]}: the last rule that takes the unit wins. */
static bool by_hand(const json_t *rules, const struct pare_unit *unit, double *out)
{
    for (size_t i = json_array_size(rules); i-- > 0;) {
        const json_t *rule = json_array_get(rules, i), *on = json_object_get(rule, "on");
        for (size_t s = 0; s < json_array_size(on); s++) {
            if (unit && pare_unit_selected(unit, json_string_value(json_array_get(on, s)))) {
                *out = number(json_object_get(rule, "value"));
                return true;
            }
        }
    }
    return false;
}

/* Whether the row of an assignment covers the unit: itself, or the branch or block that it is in.
 */
static bool covers(const struct pare_unit *row, const struct pare_unit *unit)
{
    if (strcmp(row->path, unit->path) == 0)
        return true;
    if (unit->within && strcmp(row->path, unit->within) == 0)
        return true;
    if (row->kind == PARE_UNIT_BLOCK)
        return row->block == unit->block;
    return row->kind == PARE_UNIT_STREAM && unit->kind == PARE_UNIT_BLOCK &&
           row->block == unit->block;
}

bool pare_assignment_find(const struct pare_stage *stage, const char *param,
                          const struct pare_unit *unit, const struct pare_assignment **out,
                          size_t *row)
{
    for (size_t a = 0; unit && a < stage->n_assignments; a++) {
        const struct pare_assignment *s = &stage->assignments[a];
        if (strcmp(s->param, param) != 0)
            continue;
        for (size_t i = 0; i < s->units.n; i++) {
            if (covers(&s->units.items[i], unit)) {
                *out = s;
                *row = i;
                return true;
            }
        }
    }
    return false;
}

static bool by_allocator(const struct pare_stage *stage, const char *param,
                         const struct pare_unit *unit, double *out)
{
    const struct pare_assignment *a;
    size_t row;
    if (!pare_assignment_find(stage, param, unit, &a, &row))
        return false;
    *out = a->values[row];
    return true;
}

/* A unit that neither rule nor row takes keeps what changes nothing, else the default. */
static double fallback(const struct pare_param *p)
{
    const char *text = p->identity ? p->identity : p->dflt;
    if (text && strcmp(text, "true") == 0)
        return 1;
    double x = 0;
    if (text)
        pare_parse_double(text, &x);
    return x;
}

int pare_setting_number(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                        double *out)
{
    const json_t *j = json_object_get(ctx->params, param);
    const struct pare_param *p = pare_plugin_param(&ctx->plugin->desc, param);
    if (json_is_number(j) || json_is_boolean(j)) {
        *out = number(j);
        return PARE_OK;
    }
    *out = fallback(p);
    if (json_is_object(j) && json_object_get(j, "by"))
        by_hand(json_object_get(j, "by"), unit, out);
    else if (json_is_object(j))
        by_allocator(ctx->stage, param, unit, out);
    return PARE_OK;
}
