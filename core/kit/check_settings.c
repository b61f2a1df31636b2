/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of parameters: their table, values within and beyond their bounds, and what they do. */
#include "kit/check_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/str.h"
#include "model/unit.h"
#include "plugin/descriptor.h"

static bool is_number(const struct pare_param *p)
{
    return p->type == PARE_INT || p->type == PARE_REAL;
}

/* Of both sides: half a bound is one. */
static bool is_bounded(const struct pare_param *p)
{
    return p->min <= p->max && isfinite(p->min) && isfinite(p->max);
}

/* The next of the values in "a,b" or "a|b"; NULL: no more. */
static const char *next_value(const char *at, char *out, size_t size)
{
    if (!at || !*at)
        return NULL;
    const size_t n = strcspn(at, ",|");
    snprintf(out, size, "%.*s", (int)PARE_MIN(n, size - 1), at);
    return at[n] ? at + n + 1 : at + n;
}

void pare_check_parameters(struct pare_check *check)
{
    const struct pare_plugin *desc = &check->file->desc;
    char value[128];
    for (uint32_t i = 0; i < desc->n_params; i++) {
        const struct pare_param *p = &desc->params[i];
        if (!p->help || !*p->help)
            pare_check_say(check, PARE_CHECK_WARN, "'%s' has no help", p->name);
        /* allocators choose values of another plugin's parameter, whose bounds hold */
        if (is_number(p) && !is_bounded(p) && desc->kind != PARE_ALLOCATE)
            pare_check_say(check, PARE_CHECK_WARN,
                           "'%s' has no bounds: every number reaches the plugin", p->name);
        for (const char *at = p->search; (at = next_value(at, value, sizeof value));) {
            struct pare_error err = {0};
            if (pare_param_check_text(p, value, &err) != PARE_OK)
                pare_check_say(check, PARE_CHECK_FAIL,
                               "'%s' says that %s is worth trying, which is refused: %s", p->name,
                               value, err.what);
        }
        if (p->varies && !p->search && is_number(p))
            pare_check_say(check, PARE_CHECK_NOTE,
                           "'%s' names no values worth trying (`search`): allocators have none to "
                           "choose from",
                           p->name);
    }
}

void pare_check_out_of_range(struct pare_check *check)
{
    const struct pare_plugin *desc = &check->file->desc;
    size_t tried = 0;
    for (uint32_t i = 0; i < desc->n_params; i++) {
        const struct pare_param *p = &desc->params[i];
        if (!is_number(p) || !is_bounded(p))
            continue;
        const double step = p->type == PARE_INT ? 1 : fmax(fabs(p->max), 1) * 1e-3;
        const double beyond[] = {p->min - step, p->max + step, p->max * 1e9 + 1e9};
        for (size_t k = 0; k < PARE_COUNT(beyond); k++) {
            char yaml[160];
            snprintf(yaml, sizeof yaml, p->type == PARE_INT ? "{%s: %.0f}" : "{%s: %.17g}", p->name,
                     beyond[k]);
            json_t *setting = pare_check_setting(check, yaml, NULL);
            if (setting)
                pare_check_say(check, PARE_CHECK_FAIL, "%s is taken, though bounds are %g to %g",
                               yaml, p->min, p->max);
            json_decref(setting);
            tried++;
        }
    }
    if (!tried)
        pare_check_say(check, PARE_CHECK_SKIP, "it has no numbers with bounds");
}

/* ---- settings at random
 * ------------------------------------------------------------------------- */

/* A value within what the parameter says; false: there is nothing to choose from. */
static bool random_value(struct pare_random *r, const struct pare_param *p, char *out, size_t size)
{
    const char *list = p->choices ? p->choices : p->search;
    if (is_number(p) && is_bounded(p) && pare_random_below(r, 4) != 0) {
        const double x = p->min + (p->max - p->min) * pare_random_unit(r);
        /* the ends are where things break */
        const uint64_t where = pare_random_below(r, 6);
        const double value = where == 0 ? p->min : where == 1 ? p->max : x;
        snprintf(out, size, "%.17g", p->type == PARE_INT ? rint(value) : value);
        return true;
    }
    if (p->type == PARE_BOOL) {
        snprintf(out, size, "%s", pare_random_below(r, 2) ? "true" : "false");
        return true;
    }
    size_t n = 0;
    char value[128];
    for (const char *at = list; (at = next_value(at, value, sizeof value));)
        n++;
    if (n == 0 || p->type == PARE_INTS)
        return false;
    size_t k = pare_random_below(r, n) + 1;
    for (const char *at = list; k > 0 && (at = next_value(at, value, sizeof value)); k--)
        snprintf(out, size, "%s", value);
    return true;
}

static void random_setting(struct pare_random *r, const struct pare_plugin *desc,
                           struct pare_str *out)
{
    char value[128];
    out->len = 0;
    pare_str_append(out, "{");
    for (uint32_t i = 0; i < desc->n_params; i++) {
        if (pare_random_below(r, 3) != 0 && random_value(r, &desc->params[i], value, sizeof value))
            pare_str_printf(out, "%s%s: %s", out->len > 1 ? ", " : "", desc->params[i].name, value);
    }
    pare_str_append(out, "}");
}

void pare_check_in_range(struct pare_check *check)
{
    enum { TRIES = 60 };
    struct pare_check_model m;
    struct pare_random r;
    struct pare_str yaml = {0};
    size_t worked = 0, refused = 0;
    struct pare_error last = {0};
    if (!pare_check_model(check, 0, &m))
        return;
    pare_random_seed(&r, 5);
    for (int i = 0; i < TRIES && !pare_check_failed(check); i++) {
        struct pare_check_outcome o;
        random_setting(&r, &check->file->desc, &yaml);
        json_t *setting = pare_check_setting(check, yaml.data, &last);
        const struct pare_check_use use = {.setting = setting, .seed = (uint64_t)i};
        if (!setting) {
            refused++;
            continue;
        }
        fprintf(stderr, "with %s\n", yaml.data); /* the last words before a crash */
        pare_check_apply(check, &m, &use, &o);
        worked += o.rc == PARE_OK;
        refused += pare_check_refused(&o);
        if (o.rc != PARE_OK) {
            last = o.err;
            if (!pare_check_refused(&o))
                pare_check_say_error(check, yaml.data, &o.err);
        }
        pare_check_outcome_free(&o);
        json_decref(setting);
    }
    if (!worked)
        pare_check_say(check, PARE_CHECK_WARN, "none of %zu settings within the bounds worked: %s",
                       refused, last.what);
    pare_str_free(&yaml);
    pare_check_model_free(&m);
}

/* ---- what settings do
 * --------------------------------------------------------------------------- */

void pare_check_identity(struct pare_check *check)
{
    const struct pare_plugin *desc = &check->file->desc;
    struct pare_check_model m;
    char before[PARE_HASH_HEX];
    size_t tried = 0;
    if (!pare_plugin_transforms(desc)) {
        pare_check_say(check, PARE_CHECK_SKIP, "it does not change models");
        return;
    }
    if (!pare_check_model(check, 0, &m))
        return;
    if (pare_check_graph_hash(m.model->graph, before, NULL) != PARE_OK)
        pare_check_say(check, PARE_CHECK_FAIL, "no memory");
    for (uint32_t i = 0; i < desc->n_params; i++) {
        const struct pare_param *p = &desc->params[i];
        struct pare_error why = {0};
        struct pare_check_outcome o;
        char yaml[256];
        if (!p->identity)
            continue;
        tried++;
        snprintf(yaml, sizeof yaml, "{%s: %s}", p->name, p->identity);
        json_t *setting = pare_check_setting(check, yaml, &why);
        if (!setting) {
            pare_check_say(check, PARE_CHECK_FAIL, "%s is refused: %s", yaml, why.what);
            continue;
        }
        pare_check_apply(check, &m, &(struct pare_check_use){.setting = setting}, &o);
        if (o.rc != PARE_OK)
            pare_check_say(check, PARE_CHECK_FAIL, "%s fails: %s", yaml, o.err.what);
        else if (strcmp(o.hash, before) != 0)
            pare_check_say(check, PARE_CHECK_FAIL,
                           "%s changes the model, though it is named as the identity", yaml);
        pare_check_outcome_free(&o);
        json_decref(setting);
    }
    if (!tried)
        pare_check_say(check, PARE_CHECK_SKIP, "no parameter names an identity");
    pare_check_model_free(&m);
}

/* A value of the parameter that is not its identity, as YAML; false: not known. */
static bool some_value(const struct pare_param *p, char *out, size_t size)
{
    const char *list = p->search ? p->search : p->choices;
    for (const char *at = list; (at = next_value(at, out, size));) {
        if (strcmp(out, p->identity) != 0)
            return true;
    }
    if (is_number(p) && is_bounded(p)) {
        snprintf(out, size, "%.17g", p->type == PARE_INT ? p->min : (p->min + p->max) / 2);
        return strcmp(out, p->identity) != 0;
    }
    return false;
}

/* A graph's nodes that differ from the model's, but for those in or of `unit`: the first's path. */
static const char *changed_elsewhere(const struct pare_graph *before,
                                     const struct pare_graph *after, const struct pare_unit *unit)
{
    for (uint32_t i = 0; i < before->n_nodes; i++) {
        const struct pare_node *a = &before->nodes[i], *b = NULL;
        const size_t n = strlen(unit->path);
        if (strncmp(a->path, unit->path, n) == 0 && (a->path[n] == '\0' || a->path[n] == '.'))
            continue;
        for (uint32_t k = 0; k < after->n_nodes && !b; k++) {
            if (strcmp(after->nodes[k].path, a->path) == 0)
                b = &after->nodes[k];
        }
        if (b && (a->weight != b->weight || a->bias != b->bias))
            return a->path;
    }
    return NULL;
}

static void one_unit_alone(struct pare_check *check, const struct pare_check_model *m,
                           const struct pare_param *p, const struct pare_unit *unit)
{
    char value[128], yaml[512];
    struct pare_error why = {0};
    struct pare_check_outcome o;
    if (!some_value(p, value, sizeof value))
        return;
    snprintf(yaml, sizeof yaml, "{%s: {by: [{on: \"**\", value: %s}, {on: \"%s\", value: %s}]}}",
             p->name, p->identity, unit->path, value);
    json_t *setting = pare_check_setting(check, yaml, &why);
    if (!setting) {
        pare_check_say(check, PARE_CHECK_FAIL, "%s is refused: %s", yaml, why.what);
        return;
    }
    pare_check_apply(check, m, &(struct pare_check_use){.setting = setting}, &o);
    if (o.rc != PARE_OK && !pare_check_refused(&o))
        pare_check_say(check, PARE_CHECK_FAIL, "%s fails: %s", yaml, o.err.what);
    const char *other = o.rc == PARE_OK ? changed_elsewhere(m->model->graph, o.graph, unit) : NULL;
    if (other)
        pare_check_say(check, PARE_CHECK_FAIL, "%s changes %s: ask for '%s' with the unit at hand",
                       yaml, other, p->name);
    pare_check_outcome_free(&o);
    json_decref(setting);
}

void pare_check_layer_wise(struct pare_check *check)
{
    const struct pare_plugin *desc = &check->file->desc;
    struct pare_check_model m;
    struct pare_error err = {0};
    size_t tried = 0;
    if (!pare_check_model(check, 0, &m))
        return;
    for (uint32_t i = 0; i < desc->n_params && pare_plugin_transforms(desc); i++) {
        const struct pare_param *p = &desc->params[i];
        struct pare_units units = {0};
        if (!(p->varies & PARE_UNIT_LINEAR) || !p->identity ||
            pare_units_of(m.model->graph, PARE_UNIT_LINEAR, &units, &err) != PARE_OK)
            continue;
        for (size_t k = 0; k < units.n; k += 5) {
            one_unit_alone(check, &m, p, &units.items[k]);
            tried++;
        }
        pare_units_free(&units);
    }
    if (!tried)
        pare_check_say(check, PARE_CHECK_SKIP,
                       "no parameter varies over linear units and names an identity");
    pare_check_model_free(&m);
}
