/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/values.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "pipeline/values_parts.h"

void *pare_expected(struct pare_checker *c, const struct pare_yaml *node, const char *name,
                    const char *what)
{
    char got[80];
    pare_yaml_error(c->diags, node, "expected %s for '%s', got %s", what, name,
                    pare_yaml_describe(node, got));
    return NULL;
}

json_t *pare_checked_nomem(struct pare_checker *c)
{
    c->diags->nomem = true;
    return NULL;
}

bool pare_checked_keys(struct pare_checker *c, const struct pare_yaml *map,
                       const char *const *known, size_t n_known, const char *where)
{
    bool ok = true;
    for (size_t i = 0; i < map->n; i++) {
        size_t k = 0;
        while (k < n_known && strcmp(map->keys[i]->text, known[k]) != 0)
            k++;
        if (k < n_known)
            continue;
        ok = false;
        pare_yaml_error(c->diags, map->keys[i], "unknown key '%s' in %s", map->keys[i]->text,
                        where);
        const char *near = pare_nearest(map->keys[i]->text, known, n_known);
        if (near)
            pare_diag_hint(c->diags, "did you mean '%s'?", near);
    }
    return ok;
}

/* ---- scalars ---- */

/* "an integer from 2 to 8", "a number of at least 0" */
static const char *number_wanted(const struct pare_param *p, char out[160])
{
    const char *noun = p->type == PARE_REAL ? "a number" : "an integer";
    char lo[32], hi[32];
    pare_format_double(p->min, lo);
    pare_format_double(p->max, hi);
    if (!(p->min <= p->max) || (isinf(p->min) && isinf(p->max)))
        snprintf(out, 160, "%s", noun);
    else if (isinf(p->max))
        snprintf(out, 160, "%s of at least %s", noun, lo);
    else if (isinf(p->min))
        snprintf(out, 160, "%s of at most %s", noun, hi);
    else
        snprintf(out, 160, "%s from %s to %s", noun, lo, hi);
    return out;
}

static json_t *check_number(struct pare_checker *c, const struct pare_param *p,
                            const struct pare_yaml *node)
{
    char wanted[160];
    bool number = node->kind == PARE_YAML_INT || node->kind == PARE_YAML_REAL;
    bool right = p->type == PARE_REAL ? number : node->kind == PARE_YAML_INT;
    if (!right) {
        pare_expected(c, node, p->name, number_wanted(p, wanted));
        if (node->kind == PARE_YAML_TEXT && node->quoted)
            pare_diag_hint(c->diags, "a number is written without quotes");
        return NULL;
    }
    if (p->min <= p->max && (node->real < p->min || node->real > p->max)) {
        pare_yaml_error(c->diags, node, "'%s' is out of range: %s, expected %s%s%s", p->name,
                        node->text, number_wanted(p, wanted), p->unit ? ", in " : "",
                        p->unit ? p->unit : "");
        return NULL;
    }
    return p->type == PARE_REAL ? json_real(node->real == 0 ? 0 : node->real)
                                : json_integer(node->integer);
}

static json_t *check_bool(struct pare_checker *c, const struct pare_param *p,
                          const struct pare_yaml *node)
{
    if (node->kind != PARE_YAML_BOOL)
        return pare_expected(c, node, p->name, "true or false");
    return json_boolean(node->boolean);
}

/* Call `each` for every part of "a|b|c" or "2,3,4". */
static bool split(const char *text, char separator, bool (*each)(void *user, const char *part),
                  void *user)
{
    char part[128];
    while (*text) {
        const char *end = strchr(text, separator);
        size_t n = end ? (size_t)(end - text) : strlen(text);
        if (n < sizeof part) {
            memcpy(part, text, n);
            part[n] = '\0';
            char *start = part + strspn(part, " ");
            if (!each(user, start))
                return false;
        }
        text += n + (end != NULL);
    }
    return true;
}

struct choice {
    const char *text;
    const char *names[64];
    char kept[64][64];
    size_t n;
    bool found;
};

static bool each_choice(void *user, const char *part)
{
    struct choice *choice = user;
    if (choice->text && !strcmp(part, choice->text))
        choice->found = true;
    if (choice->n < PARE_COUNT(choice->names)) {
        snprintf(choice->kept[choice->n], sizeof choice->kept[0], "%.63s", part);
        choice->names[choice->n] = choice->kept[choice->n];
        choice->n++;
    }
    return true;
}

/* A choice may look like a number ("4:8", "16"): what counts is the text. */
static json_t *check_choice(struct pare_checker *c, const struct pare_param *p,
                            const struct pare_yaml *node)
{
    struct choice choice = {.text = node->text};
    if (node->kind >= PARE_YAML_LIST || node->kind == PARE_YAML_NULL)
        return pare_expected(c, node, p->name, "a word");
    split(p->choices ? p->choices : "", '|', each_choice, &choice);
    if (choice.found)
        return json_string(node->text);
    pare_yaml_error(c->diags, node, "'%s' cannot be '%s', expected one of %s", p->name, node->text,
                    p->choices ? p->choices : "(none)");
    const char *near = pare_nearest(node->text, choice.names, choice.n);
    if (near)
        pare_diag_hint(c->diags, "did you mean '%s'?", near);
    return NULL;
}

static json_t *check_text(struct pare_checker *c, const struct pare_param *p,
                          const struct pare_yaml *node)
{
    if (node->kind != PARE_YAML_TEXT)
        return pare_expected(c, node, p->name, "text");
    return json_string(node->text);
}

static json_t *check_ints(struct pare_checker *c, const struct pare_param *p,
                          const struct pare_yaml *node)
{
    if (node->kind != PARE_YAML_LIST)
        return pare_expected(c, node, p->name, "a list of integers");
    json_t *list = json_array();
    bool ok = list != NULL;
    for (size_t i = 0; list && i < node->n; i++) {
        if (node->items[i]->kind == PARE_YAML_LIST) {
            pare_expected(c, node->items[i], p->name, "an integer");
            pare_diag_hint(c->diags, "to try several lists write {try: [[...], [...]]}");
            ok = false;
            break;
        }
        json_t *item = check_number(c, p, node->items[i]);
        ok = item && json_array_append_new(list, item) == 0 && ok;
    }
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *check_plain(struct pare_checker *c, const struct pare_param *p,
                           const struct pare_yaml *node)
{
    static json_t *(*const checks[])(struct pare_checker *, const struct pare_param *,
                                     const struct pare_yaml *) = {
        [PARE_INT] = check_number,    [PARE_REAL] = check_number, [PARE_BOOL] = check_bool,
        [PARE_CHOICE] = check_choice, [PARE_TEXT] = check_text,   [PARE_INTS] = check_ints,
    };
    if (p->type >= PARE_COUNT(checks) || !checks[p->type]) {
        pare_yaml_error(c->diags, node, "parameter '%s' has a type that this program does not know",
                        p->name);
        return NULL;
    }
    return checks[p->type](c, p, node);
}

/* ---- lists of values ---- */

/* A list with one value, which is taken over. */
json_t *pare_checked_single(struct pare_checker *c, json_t *value)
{
    if (!value)
        return NULL;
    json_t *list = json_array();
    if (!list || json_array_append_new(list, value) != 0) {
        json_decref(list);
        return pare_checked_nomem(c);
    }
    return list;
}

/* The values of each element, one after the other. */
static json_t *check_each(struct pare_checker *c, const struct pare_plugin_file *plugin,
                          const struct pare_param *p, const struct pare_yaml *list)
{
    json_t *all = json_array();
    bool ok = all != NULL;
    if (list->n == 0) {
        pare_yaml_error(c->diags, list, "an empty list for '%s': nothing to try", p->name);
        ok = false;
    }
    for (size_t i = 0; all && i < list->n; i++) {
        json_t *part = pare_checked_value(c, plugin, p, list->items[i], false);
        ok = part && json_array_extend(all, part) == 0 && ok;
        json_decref(part);
    }
    if (ok)
        return all;
    json_decref(all);
    return NULL;
}

static json_t *check_try(struct pare_checker *c, const struct pare_plugin_file *plugin,
                         const struct pare_param *p, const struct pare_yaml *map)
{
    static const char *const keys[] = {"try"};
    const struct pare_yaml *list = pare_yaml_get(map, "try");
    if (!pare_checked_keys(c, map, keys, PARE_COUNT(keys), "{try: [...]}"))
        return NULL;
    if (list->kind != PARE_YAML_LIST)
        return pare_expected(c, list, "try", "a list");
    return check_each(c, plugin, p, list);
}

#define RANGE_MOST 10000

static json_t *check_range(struct pare_checker *c, const struct pare_plugin_file *plugin,
                           const struct pare_param *p, const struct pare_yaml *map)
{
    static const char *const keys[] = {"range", "step"};
    const struct pare_yaml *ends = pare_yaml_get(map, "range"), *step = pare_yaml_get(map, "step");
    (void)plugin;
    if (!pare_checked_keys(c, map, keys, PARE_COUNT(keys), "{range: [lo, hi], step: s}"))
        return NULL;
    if (p->type != PARE_INT && p->type != PARE_REAL) {
        pare_yaml_error(c->diags, ends, "'%s' is no number: a range makes no sense", p->name);
        return NULL;
    }
    if (ends->kind != PARE_YAML_LIST || ends->n != 2)
        return pare_expected(c, ends, "range", "a list of two numbers");
    json_t *lo = check_number(c, p, ends->items[0]), *hi = check_number(c, p, ends->items[1]);
    bool ok = lo && hi;
    json_decref(lo);
    json_decref(hi);
    if (!ok)
        return NULL;
    if (!step && p->type == PARE_REAL) {
        pare_yaml_error(c->diags, map, "a range of real numbers needs a `step`");
        return NULL;
    }
    double first = ends->items[0]->real, last = ends->items[1]->real, by = step ? step->real : 1;
    if (step &&
        ((step->kind != PARE_YAML_INT && (step->kind != PARE_YAML_REAL || p->type == PARE_INT)) ||
         !(by > 0)))
        return pare_expected(c, step, "step", "a positive number of the parameter's type");
    double n = floor((last - first) / by + 1e-9) + 1;
    if (first > last || n > RANGE_MOST) {
        pare_yaml_error(c->diags, ends,
                        first > last ? "the range is empty: %s is above %s"
                                     : "the range %s to %s has too many values",
                        ends->items[0]->text, ends->items[1]->text);
        return NULL;
    }
    json_t *list = json_array();
    for (int i = 0; list && i < (int)n; i++) {
        char text[40];
        double x = first + i * by;
        snprintf(text, sizeof text, "%.12g", x); /* 0.1 + 2 * 0.1 is meant to be 0.3 */
        pare_parse_double(text, &x);
        json_array_append_new(list,
                              p->type == PARE_INT ? json_integer((json_int_t)x) : json_real(x));
    }
    return list ? list : pare_checked_nomem(c);
}

/* Text from a descriptor, read as if it stood in the pipeline; mistakes in it are the plugin's, and
 * are told at `at`. */
json_t *pare_checked_own_text(struct pare_checker *c, const struct pare_plugin_file *plugin,
                              const struct pare_param *p, const char *text,
                              const struct pare_yaml *at)
{
    struct pare_diags own = {0}, *outer = c->diags;
    struct pare_yaml_tree tree;
    json_t *values = NULL;
    int rc = pare_yaml_parse("", text, strlen(text), &own, &tree);
    if (rc == PARE_OK) {
        c->diags = &own;
        values = pare_checked_value(c, plugin, p, tree.root, false);
        c->diags = outer;
        pare_yaml_free(&tree);
    }
    if (rc == PARE_NOMEM || own.nomem)
        pare_checked_nomem(c);
    else if (!values)
        pare_yaml_error(c->diags, at, "plugin '%s' is faulty: '%s' for '%s': %s", plugin->desc.id,
                        text, p->name, own.n ? own.items[0].what : "not a value");
    pare_diags_free(&own);
    return values;
}

struct hints {
    struct pare_checker *c;
    const struct pare_plugin_file *plugin;
    const struct pare_param *param;
    const struct pare_yaml *at;
    json_t *list;
};

static bool each_hint(void *user, const char *part)
{
    struct hints *h = user;
    json_t *values = pare_checked_own_text(h->c, h->plugin, h->param, part, h->at);
    bool ok = values && json_array_extend(h->list, values) == 0;
    json_decref(values);
    return ok;
}

static json_t *check_search(struct pare_checker *c, const struct pare_plugin_file *plugin,
                            const struct pare_param *p, const struct pare_yaml *node)
{
    const char *hint = p->search;
    char separator = ',';
    if (!hint && p->type == PARE_CHOICE) {
        hint = p->choices;
        separator = '|';
    } else if (!hint && p->type == PARE_BOOL) {
        hint = "false,true";
    }
    if (!hint) {
        pare_yaml_error(c->diags, node, "plugin '%s' does not say which values of '%s' to search",
                        plugin->desc.id, p->name);
        pare_diag_hint(c->diags, "list them: %s: [...]", p->name);
        return NULL;
    }
    struct hints h = {c, plugin, p, node, json_array()};
    if (h.list && split(hint, separator, each_hint, &h))
        return h.list;
    json_decref(h.list);
    return NULL;
}

/* ---- maps ---- */

static json_t *check_map(struct pare_checker *c, const struct pare_plugin_file *plugin,
                         const struct pare_param *p, const struct pare_yaml *map, bool outer)
{
    static const struct {
        const char *key;
        json_t *(*check)(struct pare_checker *, const struct pare_plugin_file *,
                         const struct pare_param *, const struct pare_yaml *);
        bool outer; /* not within a list of values */
    } forms[] = {
        {"try", check_try, true},
        {"range", check_range, true},
        {"by", pare_checked_by, false},
        {"allocate", pare_checked_allocate, false},
    };
    if (p->type == PARE_SCORED && pare_yaml_get(map, "plugin"))
        return pare_checked_scored(c, plugin, p, map);
    for (size_t i = 0; i < PARE_COUNT(forms); i++) {
        if (pare_yaml_get(map, forms[i].key) && (outer || !forms[i].outer))
            return forms[i].check(c, plugin, p, map);
    }
    pare_yaml_error(c->diags, map, "a map for '%s' must be %s%s", p->name,
                    outer ? "{try: ...}, {range: ...}, {by: ...} or {allocate: ...}"
                          : "{by: ...} or {allocate: ...} within a list",
                    p->type == PARE_SCORED ? ", or name a `plugin`" : "");
    return NULL;
}

json_t *pare_checked_value(struct pare_checker *c, const struct pare_plugin_file *plugin,
                           const struct pare_param *p, const struct pare_yaml *node, bool outer)
{
    bool search = outer && node->kind == PARE_YAML_TEXT && !strcmp(node->text, "search");
    if (node->kind == PARE_YAML_MAP)
        return check_map(c, plugin, p, node, outer);
    if (node->kind == PARE_YAML_LIST && p->type != PARE_INTS) {
        if (outer)
            return check_each(c, plugin, p, node);
        pare_yaml_error(c->diags, node, "a list within the list of values for '%s'", p->name);
        return NULL;
    }
    if (search && p->type != PARE_TEXT && p->type != PARE_SCORED)
        return check_search(c, plugin, p, node);
    if (p->type == PARE_SCORED)
        return pare_checked_scored(c, plugin, p, node);
    return pare_checked_single(c, check_plain(c, p, node));
}

json_t *pare_checked_values(struct pare_checker *c, const struct pare_plugin_file *plugin,
                            const struct pare_param *param, const struct pare_yaml *node)
{
    return pare_checked_value(c, plugin, param, node, true);
}
