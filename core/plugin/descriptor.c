/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/descriptor.h"
#include "base/mem.h"
#include "base/str.h"
#include "plugin/open.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 256

static int bad(const struct pare_plugin_file *f, struct pare_error *err, const char *what)
{
    return pare_error_set(err, PARE_INVALID, "the plugin %s is not well formed: %s", f->path, what);
}

static int bad_param(const struct pare_plugin_file *f, struct pare_error *err,
                     const struct pare_param *p, const char *what)
{
    return pare_error_set(err, PARE_INVALID,
                          "the plugin %s is not well formed: its parameter '%s' %s", f->path,
                          p->name, what);
}

/* `what` with a number that plugins of a later minor version may have: "is of kind". */
static int not_known(const struct pare_plugin_file *f, struct pare_error *err, const char *what,
                     uint32_t number)
{
    pare_error_set(err, PARE_INVALID, "the plugin %s %s %u, which this program does not know",
                   f->path, what, number);
    if (f->desc.abi_minor > PARE_ABI_MINOR) {
        pare_error_detail(err, "it was built for ABI %u.%u, this program has %d.%d",
                          f->desc.abi_major, f->desc.abi_minor, PARE_ABI_MAJOR, PARE_ABI_MINOR);
        pare_error_hint(err, "use a newer pare");
    } else {
        pare_error_hint(err, "<pare/plugin.h> lists what there is");
    }
    return PARE_INVALID;
}

static bool in_choices(const char *choices, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = choices; p && n; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        if (strncmp(p, word, n) == 0 && (p[n] == '|' || p[n] == '\0'))
            return true;
    }
    return false;
}

static bool in_bounds(const struct pare_param *p, double x)
{
    return p->min > p->max || (x >= p->min && x <= p->max);
}

static bool check_ints(const struct pare_param *p, const char *text)
{
    long long x;
    char word[32];
    if (text[0] != '[')
        return false;
    for (text++; *text && *text != ']'; text += *text == ',') {
        text += strspn(text, " ");
        size_t n = strcspn(text, ",] ");
        if (n == 0 || n >= sizeof word)
            return false;
        memcpy(word, text, n);
        word[n] = '\0';
        if (!pare_parse_int(word, &x) || !in_bounds(p, (double)x))
            return false;
        text += n;
        text += strspn(text, " ");
    }
    return *text == ']';
}

int pare_param_check_text(const struct pare_param *p, const char *text, struct pare_error *err)
{
    double x;
    long long whole;
    bool fine = false;
    switch (p->type) {
    case PARE_INT:
        fine = pare_parse_int(text, &whole) && in_bounds(p, (double)whole);
        break;
    case PARE_REAL:
        fine = pare_parse_double(text, &x) && in_bounds(p, x);
        break;
    case PARE_BOOL:
        fine = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        break;
    case PARE_CHOICE:
        fine = in_choices(p->choices, text);
        break;
    case PARE_INTS:
        fine = check_ints(p, text);
        break;
    default:
        fine = true;
    }
    if (fine)
        return PARE_OK;
    return pare_error_set(err, PARE_INVALID, "'%s' is no value for '%s'", text, p->name);
}

static bool name_is_plain(const char *name)
{
    return name && *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* What is wrong with it, to be said after its name. */
static const char *check_param(const struct pare_param *p, const struct pare_param *before,
                               size_t n)
{
    if (!p->help || !*p->help)
        return "has no help";
    for (size_t i = 0; i < n; i++) {
        if (strcmp(before[i].name, p->name) == 0)
            return "is there twice";
    }
    if (isnan(p->min) || isnan(p->max))
        return "has bounds that are not numbers";
    if (p->type == PARE_CHOICE && (!p->choices || !*p->choices))
        return "offers no choices";
    if (p->dflt && pare_param_check_text(p, p->dflt, NULL) != PARE_OK)
        return "has a default that is not one of its values";
    if (p->identity && pare_param_check_text(p, p->identity, NULL) != PARE_OK)
        return "has an identity that is not one of its values";
    bool optional = p->type == PARE_TEXT || p->type == PARE_INTS || p->type == PARE_SCORED;
    if (!p->dflt && !optional && !(p->param_flags & PARE_PARAM_REQUIRED))
        return "has no default and is not required";
    return NULL;
}

/* "choose=score|even" names a choice of the plugin, and values of it. */
static bool check_condition(const struct pare_plugin *plugin, const char *when)
{
    const char *equals = strchr(when, '=');
    char name[64], value[64];
    if (!equals || (size_t)(equals - when) >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(equals - when), when);
    const struct pare_param *choice = pare_plugin_param(plugin, name);
    if (!choice || choice->type != PARE_CHOICE)
        return false;
    for (const char *at = equals + 1;; at++) {
        size_t n = strcspn(at, "|;");
        snprintf(value, sizeof value, "%.*s", (int)PARE_MIN(n, sizeof value - 1), at);
        if (!in_choices(choice->choices, value))
            return false;
        at += n;
        if (*at == ';') /* the next alternative */
            return check_condition(plugin, at + 1);
        if (!*at)
            return true;
    }
}

/* One alternative, up to its end at ';' or NUL. */
static bool holds(const char *condition, const json_t *setting)
{
    char name[64];
    size_t n = strcspn(condition, "=");
    snprintf(name, sizeof name, "%.*s", (int)n, condition);
    const char *value = json_string_value(json_object_get(setting, name));
    for (const char *at = condition + n; value && (*at == '=' || *at == '|');
         at += strcspn(at + 1, "|;") + 1) {
        if (strcspn(at + 1, "|;") == strlen(value) && !strncmp(at + 1, value, strlen(value)))
            return true;
    }
    return !value;
}

bool pare_param_counts(const struct pare_param *param, const json_t *setting)
{
    return !param->when || holds(param->when, setting);
}

bool pare_plugin_needs(const struct pare_plugin *plugin, const json_t *setting)
{
    const char *at = plugin->needs_when;
    if (!plugin->needs || !at)
        return plugin->needs != 0;
    for (;;) {
        if (holds(at, setting))
            return true;
        at += strcspn(at, ";");
        if (!*at)
            return false;
        at++;
    }
}

static int take_params(const struct pare_plugin *theirs, struct pare_plugin_file *f,
                       struct pare_error *err)
{
    uint32_t n = f->desc.n_params, size = f->desc.param_size;
    if (n > PARAMS_MAX || (n && (!theirs->params || size < offsetof(struct pare_param, reserved))))
        return bad(f, err, "its parameter table is out of range");
    struct pare_param *own = pare_calloc(n, sizeof *own);
    if (!own)
        return pare_error_nomem(err, n * sizeof *own);
    f->desc.params = own;
    for (uint32_t i = 0; i < n; i++) {
        const char *from = (const char *)theirs->params + (size_t)i * size;
        memcpy(&own[i], from, PARE_MIN(size, sizeof *own));
        if (own[i].type < PARE_INT || own[i].type > PARE_SCORED)
            return not_known(f, err, "has a parameter of type", own[i].type);
        if (!name_is_plain(own[i].name))
            return bad(f, err, "a parameter's name is not made of a-z, 0-9 and '_'");
        const char *wrong = check_param(&own[i], own, i);
        if (wrong)
            return bad_param(f, err, &own[i], wrong);
    }
    f->desc.param_size = sizeof *own;
    for (uint32_t i = 0; i < n; i++) {
        if (f->desc.kind == PARE_METRIC && (own[i].varies || own[i].type == PARE_SCORED))
            return bad_param(f, err, &own[i], "is no plain value, and a metric sees no units");
        if (own[i].when && !check_condition(&f->desc, own[i].when))
            return bad_param(f, err, &own[i], "depends on a choice that is not there");
    }
    if (f->desc.needs_when && !check_condition(&f->desc, f->desc.needs_when))
        return bad(f, err, "its needs depend on a choice that is not there");
    return PARE_OK;
}

const char **pare_descriptor_selectors(struct pare_pool *pool, const char *text)
{
    char *copy = pare_pool_strdup(pool, text), *rest = NULL;
    const char **out = pare_pool_alloc(pool, strlen(text) + 2, sizeof *out);
    size_t n = 0;
    if (!copy || !out)
        return NULL;
    for (char *part = strtok_r(copy, ", ", &rest); part; part = strtok_r(NULL, ", ", &rest))
        out[n++] = strcmp(part, "*") == 0 ? "**" : part;
    return out;
}

bool pare_plugin_lists(const char *list, const char *id)
{
    const size_t n = strlen(id);
    while (list && *list) {
        list += strspn(list, ", ");
        const size_t length = strcspn(list, ", ");
        if (length == n && !strncmp(list, id, n))
            return true;
        list += length;
    }
    return false;
}

bool pare_plugin_id_is_plain(const char *id)
{
    return *id && *id != '.' && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(id);
}

static const char *check_entries(const struct pare_plugin *d)
{
    if (pare_plugin_transforms(d))
        return !d->apply == !d->apply_unit ? "a transform has either apply or apply_unit"
               : !d->label                 ? "a transform has a label"
               : !d->encoding != (d->kind == PARE_TRANSFORM)
                   ? "an encoding, and nothing else, has a table of encoding"
               : d->apply_unit && (d->unit_kind == 0 || d->unit_kind & (d->unit_kind - 1))
                   ? "apply_unit works on one kind of units"
                   : NULL;
    if (d->kind == PARE_SCORE)
        return !d->score           ? "it has no score function"
               : d->unit_kind == 0 ? "a score names its units"
                                   : NULL;
    if (d->kind == PARE_ALLOCATE)
        return d->allocate ? NULL : "it has no allocate function";
    return d->measure ? NULL : "it has no measure function";
}

int pare_descriptor_take(const struct pare_plugin *theirs, struct pare_plugin_file *f,
                         struct pare_error *err)
{
    if (!PARE_REACHES(theirs, allocate) || theirs->struct_size > 65536)
        return bad(f, err, "its descriptor has an impossible size");
    memcpy(&f->desc, theirs, PARE_MIN(theirs->struct_size, sizeof f->desc));
    f->desc.params = NULL;
    f->desc.struct_size = sizeof f->desc;
    if (!f->desc.id || strlen(f->desc.id) > 100 || !pare_plugin_id_is_plain(f->desc.id))
        return bad(f, err, "its id is not made of a-z, 0-9, '-', '_' and '.'");
    if (!f->desc.version || !f->desc.summary || !f->desc.license || !f->desc.author)
        return bad(f, err, "it lacks version, summary, author or licence");
    if (f->desc.kind < PARE_TRANSFORM || f->desc.kind > PARE_METRIC)
        return not_known(f, err, "is of kind", f->desc.kind);
    const char *wrong = check_entries(&f->desc);
    return wrong ? bad(f, err, wrong) : take_params(theirs, f, err);
}

const struct pare_param *pare_plugin_param(const struct pare_plugin *plugin, const char *name)
{
    for (uint32_t i = 0; name && i < plugin->n_params; i++) {
        if (strcmp(plugin->params[i].name, name) == 0)
            return &plugin->params[i];
    }
    return NULL;
}
