/* SPDX-License-Identifier: Apache-2.0 */
/* `--set KEY=VALUE`: put a value into a tree that was read. */
#include "base/str.h"
#include "pipeline/yaml.h"

#include <string.h>

struct setter {
    struct pare_yaml_tree *tree;
    const char *what; /* the whole KEY=VALUE, for messages */
    const char *dash; /* how it is called there */
    const char *key;  /* the whole key */
    unsigned number;  /* of the setting, from 1 */
    const struct pare_yaml *value;
    struct pare_error *err;
};

/* The element of a list that a part of the key names: its number, or its `id`. SIZE_MAX: none. */
static size_t list_at(const struct pare_yaml *list, const char *key)
{
    long long number;
    for (size_t i = 0; i < list->n; i++) {
        const struct pare_yaml *id = pare_yaml_get(list->items[i], "id");
        if (id && id->text && strcmp(id->text, key) == 0)
            return i;
    }
    if (pare_parse_int(key, &number) && number >= 0 && (size_t)number < list->n)
        return (size_t)number;
    return SIZE_MAX;
}

static size_t map_at(const struct pare_yaml *map, const char *key)
{
    for (size_t i = 0; i < map->n; i++) {
        if (map->keys[i]->text && strcmp(map->keys[i]->text, key) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* From `at` on, so many bytes, in the key of the setting. */
static struct pare_mark mark_in(const struct setter *s, const char *at)
{
    return (struct pare_mark){1, (unsigned)(at - s->key) + 1, s->number};
}

/* Places within the value, which was read by itself, become places within the setting. A node that
 * several aliases share is met again: it is done then. */
static void move_marks(struct pare_yaml *node, unsigned number, unsigned columns)
{
    if (node->at.set)
        return;
    struct pare_mark *const marks[] = {&node->at, &node->end};
    for (size_t i = 0; i < PARE_COUNT(marks); i++) {
        marks[i]->column += marks[i]->line == 1 ? columns : 0;
        marks[i]->set = number;
    }
    for (size_t i = 0; i < node->n; i++) {
        move_marks((struct pare_yaml *)(uintptr_t)node->items[i], number, columns);
        if (node->keys)
            move_marks((struct pare_yaml *)(uintptr_t)node->keys[i], number, columns);
    }
}

/* A copy of a collection with room for one more entry. */
static struct pare_yaml *widened(struct setter *s, const struct pare_yaml *node)
{
    struct pare_pool *pool = &s->tree->pool;
    struct pare_yaml *copy = pare_pool_alloc(pool, 1, sizeof *copy);
    const struct pare_yaml **items = pare_pool_alloc(pool, node->n + 1, sizeof *items);
    const struct pare_yaml **keys = pare_pool_alloc(pool, node->n + 1, sizeof *keys);
    if (!copy || !items || !keys)
        return NULL;
    *copy = *node;
    if (node->n)
        memcpy(items, node->items, node->n * sizeof *items);
    if (node->n && node->keys)
        memcpy(keys, node->keys, node->n * sizeof *keys);
    copy->items = items;
    copy->keys = node->kind == PARE_YAML_MAP ? keys : NULL;
    return copy;
}

static const struct pare_yaml *set_in(struct setter *s, const struct pare_yaml *node,
                                      const char *key)
{
    char part[64];
    size_t n = strcspn(key, ".");
    const struct pare_yaml empty = {
        .kind = PARE_YAML_MAP, .at = mark_in(s, key), .end = mark_in(s, key + n)};
    if (!key[0])
        return s->value;
    if (n == 0 || n >= sizeof part) {
        pare_error_set(s->err, PARE_INVALID, "%s%s: no such key", s->dash, s->what);
        return NULL;
    }
    memcpy(part, key, n);
    part[n] = '\0';
    if (!node || node->kind == PARE_YAML_NULL)
        node = &empty;
    bool list = node->kind == PARE_YAML_LIST;
    size_t at = list                          ? list_at(node, part)
                : node->kind == PARE_YAML_MAP ? map_at(node, part)
                                              : SIZE_MAX;
    if ((list && at == SIZE_MAX) || (!list && node->kind != PARE_YAML_MAP)) {
        pare_error_set(s->err, PARE_NOT_FOUND, "%s%s: there is no '%s'", s->dash, s->what, part);
        pare_error_hint(s->err,
                        "parts of the key are keys of maps, and ids or numbers of list elements");
        return NULL;
    }
    struct pare_yaml *copy = widened(s, node);
    const struct pare_yaml *below =
        copy ? set_in(s, at == SIZE_MAX ? NULL : node->items[at], key + n + (key[n] == '.')) : NULL;
    if (!below)
        return NULL;
    if (at == SIZE_MAX) {
        struct pare_yaml *name = pare_pool_alloc(&s->tree->pool, 1, sizeof *name);
        char *text = pare_pool_strdup(&s->tree->pool, part);
        if (!name || !text)
            return NULL;
        *name = (struct pare_yaml){.kind = PARE_YAML_TEXT,
                                   .at = mark_in(s, key),
                                   .end = mark_in(s, key + n),
                                   .text = text};
        at = copy->n++;
        copy->keys[at] = name;
    }
    copy->items[at] = below;
    return copy;
}

int pare_yaml_set(struct pare_yaml_tree *tree, const struct pare_diags *given, size_t number,
                  struct pare_error *err)
{
    const char *setting = given->sets[number - 1], *equals = strchr(setting, '=');
    struct pare_yaml_tree value = {0};
    struct pare_diags diags = {0};
    struct setter s = {.tree = tree,
                       .what = setting + given->sets_hidden,
                       .dash = given->sets_hidden ? "" : "--set ",
                       .number = (unsigned)number,
                       .err = err};
    int rc;
    if (!equals || equals == setting)
        return pare_error_set(err, PARE_INVALID, "%s%s is not KEY=VALUE", s.dash, s.what);
    err->what[0] = '\0';
    char *key = pare_pool_strndup(&tree->pool, setting, (size_t)(equals - setting));
    rc =
        key ? pare_yaml_parse("--set", equals + 1, strlen(equals + 1), &diags, &value) : PARE_NOMEM;
    if (rc == PARE_OK && diags.n == 0) {
        s.value = value.root;
        s.key = key;
        move_marks((struct pare_yaml *)(uintptr_t)value.root, s.number,
                   (unsigned)(equals + 1 - setting));
        const struct pare_yaml *root = set_in(&s, tree->root, key);
        if (root)
            tree->root = root;
        else
            rc = err->what[0] ? err->status : pare_error_nomem(err, 0);
    } else if (rc != PARE_NOMEM) {
        rc = pare_error_set(err, PARE_INVALID, "%s%s: the value is no YAML", s.dash, s.what);
        if (diags.n)
            pare_error_detail(err, "%s", diags.items[0].what);
    } else {
        pare_error_nomem(err, 0);
    }
    pare_diags_free(&diags);
    pare_pool_adopt(&tree->pool, &value.pool);
    return rc;
}
