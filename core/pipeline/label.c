/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/label.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/keys.h"

static void append_list(struct pare_str *s, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        pare_str_append(s, i ? "," : "");
        pare_label_value(s, json_array_get(list, i));
    }
}

void pare_label_value(struct pare_str *s, const json_t *value)
{
    const char *plugin = json_string_value(json_object_get(value, "plugin"));
    const json_t *allocate = json_object_get(value, "allocate");
    if (allocate)
        pare_label_value(s, allocate);
    else if (plugin)
        pare_str_append(s, plugin);
    else if (json_is_object(value))
        pare_str_append(s, "mixed");
    else if (json_is_array(value))
        append_list(s, value);
    else if (json_is_string(value))
        pare_str_append(s, json_string_value(value));
    else if (json_is_null(value))
        pare_str_append(s, "none");
    else
        pare_canonical_append(s, value);
}

static const char *to_pool(struct pare_pool *pool, struct pare_str *s)
{
    const char *text = s->failed ? NULL : pare_pool_strndup(pool, s->data ? s->data : "", s->len);
    pare_str_free(s);
    return text;
}

/* The next {name} in a template: its start, its name in `name`; NULL: none. */
static const char *next_name(const char *template, char *name, size_t size)
{
    const char *open = strchr(template, '{');
    size_t n = open ? strcspn(open + 1, "}") : 0;
    if (!open || open[1 + n] != '}' || n >= size)
        return NULL;
    memcpy(name, open + 1, n);
    name[n] = '\0';
    return open;
}

bool pare_label_check(const char *template, const struct pare_plugin *plugin, char *name,
                      size_t size)
{
    const char *at;
    while ((at = next_name(template, name, size)) != NULL) {
        bool known = false;
        for (size_t i = 0; i < plugin->n_params && !known; i++)
            known = !strcmp(plugin->params[i].name, name);
        if (!known)
            return false;
        template = at + strlen(name) + 2;
    }
    name[0] = '\0';
    return !strpbrk(template, "{}");
}

const char *pare_label_piece(struct pare_pool *pool, const char *template, const json_t *params)
{
    struct pare_str s = {0};
    char name[64];
    const char *at;
    while ((at = next_name(template, name, sizeof name)) != NULL) {
        const json_t *value = json_object_get(params, name);
        pare_str_append_n(&s, template, (size_t)(at - template));
        if (value)
            pare_label_value(&s, value);
        template = at + strlen(name) + 2;
    }
    pare_str_append(&s, template);
    return to_pool(pool, &s);
}

/* ---- telling settings apart ---- */

/* One place in a setting that can differ: "group_size", or "high_share" of the allocator of "bits".
 */
struct leaf {
    const char *path;  /* unique */
    const char *name;  /* shown */
    const char *value; /* of the first setting seen */
    size_t seen;
    bool varies;
};

struct leaves {
    struct pare_pool pool;
    struct leaf *items;
    size_t n, cap;
    bool failed;
    /* second pass: write what varies */
    struct pare_str *out;
};

static void leaf(struct leaves *l, const char *path, const char *name, const json_t *value)
{
    struct pare_str s = {0};
    size_t i = 0;
    const json_t *by = json_object_get(value, "by");
    if (by) { /* "mixed" would not tell two of them apart */
        for (size_t k = 0; k < json_array_size(by); k++) {
            const json_t *entry = json_array_get(by, k);
            pare_str_append(&s, k ? ";" : "");
            append_list(&s, json_object_get(entry, "on"));
            pare_str_append(&s, ":");
            pare_label_value(&s, json_object_get(entry, "value"));
        }
    } else {
        pare_label_value(&s, value);
    }
    pare_str_append(&s, "");
    while (i < l->n && strcmp(l->items[i].path, path) != 0)
        i++;
    if (l->out) {
        if (i < l->n && l->items[i].varies)
            pare_str_printf(l->out, "%s%s=%s", l->out->data[l->out->len - 1] == '[' ? "" : ",",
                            name, s.data ? s.data : "");
    } else if (s.failed) {
        l->failed = true;
    } else if (i < l->n) {
        l->items[i].seen++;
        l->items[i].varies =
            l->items[i].varies || strcmp(l->items[i].value, s.data ? s.data : "") != 0;
    } else if (pare_grow(&l->items, &l->cap, l->n + 1, sizeof *l->items)) {
        struct leaf *new = &l->items[l->n++];
        *new = (struct leaf){.path = pare_pool_strdup(&l->pool, path),
                             .name = pare_pool_strdup(&l->pool, name),
                             .value = pare_pool_strdup(&l->pool, s.data ? s.data : ""),
                             .seen = 1};
        l->failed = l->failed || !new->path || !new->name || !new->value;
    } else {
        l->failed = true;
    }
    pare_str_free(&s);
}

/* Plugins within a value are looked into; everything else is a leaf. */
static void visit(struct leaves *l, const char *path, const char *name, json_t *value)
{
    char below[512];
    const char *key;
    json_t *child;
    bool plugin = json_object_get(value, "plugin") || json_object_get(value, "allocate");
    if (l->failed)
        return;
    if (!plugin) {
        leaf(l, path, name, value);
        return;
    }
    json_object_foreach(value, key, child)
    {
        const char *inner;
        json_t *param;
        snprintf(below, sizeof below, "%.400s/%.100s", path, key);
        if (!strcmp(key, "params")) {
            json_object_foreach(child, inner, param)
            {
                snprintf(below, sizeof below, "%.400s/%.100s", path, inner);
                visit(l, below, inner, param);
            }
        } else {
            visit(l, below, !strcmp(key, "plugin") ? name : key, child);
        }
    }
}

static void visit_setting(struct leaves *l, json_t *setting)
{
    const char *name;
    json_t *value;
    json_object_foreach(setting, name, value) visit(l, name, name, value);
}

struct numbered {
    const char *piece;
    size_t index;
};

static int by_piece(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    int order = strcmp(x->piece, y->piece);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Settings whose pieces are the same: append what varies among them. */
static bool tell_apart(struct pare_pool *pool, const json_t *settings, const struct numbered *same,
                       size_t n, const char **pieces)
{
    struct leaves l = {0};
    for (size_t i = 0; i < n; i++)
        visit_setting(&l, json_array_get(settings, same[i].index));
    for (size_t i = 0; i < l.n; i++)
        l.items[i].varies = l.items[i].varies || l.items[i].seen < n;
    bool ok = !l.failed;
    for (size_t i = 0; ok && i < n; i++) {
        struct pare_str s = {0};
        pare_str_printf(&s, "%s[", same[i].piece);
        size_t before = s.len;
        l.out = &s;
        if (!s.failed)
            visit_setting(&l, json_array_get(settings, same[i].index));
        if (s.len > before) { /* else the settings are equal: one variant with one label */
            pare_str_append(&s, "]");
            pieces[same[i].index] = to_pool(pool, &s);
            ok = pieces[same[i].index] != NULL;
        } else {
            ok = !s.failed;
            pare_str_free(&s);
        }
    }
    free(l.items);
    pare_pool_free(&l.pool);
    return ok;
}

bool pare_label_pieces(struct pare_pool *pool, const char *template, const json_t *settings,
                       const char **pieces)
{
    size_t n = json_array_size(settings);
    struct numbered *order = pare_alloc(n, sizeof *order);
    bool ok = order != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        pieces[i] = pare_label_piece(pool, template, json_array_get(settings, i));
        order[i] = (struct numbered){pieces[i], i};
        ok = pieces[i] != NULL;
    }
    if (ok)
        qsort(order, n, sizeof *order, by_piece);
    for (size_t i = 0, end; ok && i < n; i = end) {
        for (end = i + 1; end < n && !strcmp(order[end].piece, order[i].piece);)
            end++;
        if (end - i > 1)
            ok = tell_apart(pool, settings, order + i, end - i, pieces);
    }
    free(order);
    return ok;
}
