/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/str.h"

struct anchor {
    const char *name;
    const struct pare_yaml *node;
};

struct reader {
    yaml_parser_t parser;
    struct pare_diags *diags;
    struct pare_pool *pool;
    struct anchor *anchors;
    size_t n_anchors, cap_anchors;
    size_t nodes;
    bool nomem;
};

static struct pare_mark mark(yaml_mark_t m)
{
    return (struct pare_mark){(unsigned)m.line + 1, (unsigned)m.column + 1, 0};
}

/* Length of the UTF-8 sequence at `p`, 0 when it is none (also overlong forms and surrogates). */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char lo, hi, second_lo, second_hi, n;
    } forms[] = {
        {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < PARE_COUNT(forms); i++) {
        if (p[0] < forms[i].lo || p[0] > forms[i].hi)
            continue;
        if (forms[i].n > left)
            return 0;
        if (forms[i].n > 1 && (p[1] < forms[i].second_lo || p[1] > forms[i].second_hi))
            return 0;
        for (size_t k = 2; k < forms[i].n; k++) {
            if ((p[k] & 0xC0) != 0x80)
                return 0;
        }
        return forms[i].n;
    }
    return 0;
}

/* What libyaml would let pass, or report without a place. Tabs are refused everywhere: they look
 * like the spaces that YAML counts. */
static bool check_characters(struct pare_diags *diags, const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    struct pare_mark at = {1, 1, 0};
    for (size_t i = 0; i < size;) {
        struct pare_mark end = {at.line, at.column + 1, 0};
        size_t n = utf8_length(p + i, size - i);
        if (n == 0) {
            pare_diag_add(diags, at, end, "byte 0x%02x is not UTF-8 text", p[i]);
            return false;
        }
        if (p[i] == '\t') {
            pare_diag_add(diags, at, end, "tab character");
            pare_diag_hint(diags, "indent with spaces; inside text write \"\\t\"");
            return false;
        }
        if (p[i] == '\n')
            at = (struct pare_mark){at.line + 1, 1, 0};
        else if (i > 0 || n != 3 || memcmp(p, "\xEF\xBB\xBF", 3) != 0)
            at.column++;
        i += n;
    }
    return true;
}

static bool all_digits(const char *s, size_t n)
{
    return n > 0 && strspn(s, "0123456789") >= n;
}

/* YAML 1.2 core, but without hexadecimal, octal (`0755` is text: it means different things to
 * different readers) and numbers that are not finite. */
static void resolve(struct pare_yaml *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const truths[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
    const char *s = node->text;
    node->kind = PARE_YAML_TEXT;
    if (node->quoted)
        return;
    for (size_t i = 0; i < PARE_COUNT(nulls); i++) {
        if (!strcmp(s, nulls[i]))
            node->kind = PARE_YAML_NULL;
    }
    for (size_t i = 0; i < PARE_COUNT(truths); i++) {
        if (!strcmp(s, truths[i])) {
            node->kind = PARE_YAML_BOOL;
            node->boolean = i < 3;
        }
    }
    const char *digits = s + (*s == '-' || *s == '+');
    size_t whole = strspn(digits, "0123456789");
    bool octal = whole > 1 && digits[0] == '0';
    if (all_digits(digits, strlen(digits)) && !octal && pare_parse_int(s, &node->integer)) {
        node->kind = PARE_YAML_INT;
        node->real = (double)node->integer;
    } else if ((whole > 0 || (digits[0] == '.' && all_digits(digits + 1, 1))) && !octal &&
               pare_parse_double(s, &node->real)) {
        node->kind = PARE_YAML_REAL;
    }
}

static struct pare_yaml *node_new(struct reader *r, const yaml_event_t *event)
{
    struct pare_yaml *node = pare_pool_alloc(r->pool, 1, sizeof *node);
    if (!node) {
        r->nomem = true;
        return NULL;
    }
    node->at = mark(event->start_mark);
    node->end = mark(event->end_mark);
    node->weight = 1;
    if (++r->nodes > PARE_YAML_MAX_NODES) {
        pare_yaml_error(r->diags, node, "too large: more than %u values", PARE_YAML_MAX_NODES);
        return NULL;
    }
    return node;
}

static bool next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        r->nomem = true;
        return false;
    }
    struct pare_mark at = mark(p->error == YAML_READER_ERROR ? p->mark : p->problem_mark);
    struct pare_mark end = {at.line, at.column + 1, 0};
    pare_diag_add(r->diags, at, end, "%s%s%s", p->problem ? p->problem : "not YAML",
                  p->context ? " " : "", p->context ? p->context : "");
    if (p->context && p->context_mark.line + 1 != at.line)
        pare_diag_note(r->diags, mark(p->context_mark), "it began here");
    return false;
}

static bool refuse_tag(struct reader *r, const yaml_event_t *event, const yaml_char_t *tag)
{
    if (!tag)
        return true;
    pare_diag_add(r->diags, mark(event->start_mark), mark(event->end_mark),
                  "tag '%s': tags have no meaning here", (const char *)tag);
    return false;
}

static bool remember(struct reader *r, const yaml_char_t *name, const struct pare_yaml *node)
{
    if (!name)
        return true;
    const char *copy = pare_pool_strdup(r->pool, (const char *)name);
    if (!copy || !pare_grow(&r->anchors, &r->cap_anchors, r->n_anchors + 1, sizeof *r->anchors)) {
        r->nomem = true;
        return false;
    }
    r->anchors[r->n_anchors++] = (struct anchor){copy, node};
    return true;
}

static const struct pare_yaml *read_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    if (++r->nodes > PARE_YAML_MAX_NODES) {
        pare_diag_add(r->diags, mark(event->start_mark), mark(event->end_mark),
                      "too large: more than %u values", PARE_YAML_MAX_NODES);
        return NULL;
    }
    for (size_t i = r->n_anchors; i-- > 0;) { /* the last definition counts */
        if (!strcmp(r->anchors[i].name, name))
            return r->anchors[i].node;
    }
    pare_diag_add(r->diags, mark(event->start_mark), mark(event->end_mark),
                  "alias '*%s' has no anchor before it", name);
    return NULL;
}

static const struct pare_yaml *read_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (!refuse_tag(r, event, event->data.scalar.tag))
        return NULL;
    struct pare_yaml *node = node_new(r, event);
    if (!node)
        return NULL;
    if (memchr(text, 0, length)) {
        pare_yaml_error(r->diags, node, "text holds a zero byte");
        return NULL;
    }
    node->text = pare_pool_strndup(r->pool, text, length);
    if (!node->text) {
        r->nomem = true;
        return NULL;
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    resolve(node);
    return remember(r, event->data.scalar.anchor, node) ? node : NULL;
}

static int by_text(const void *a, const void *b)
{
    const struct pare_yaml *x = *(const struct pare_yaml *const *)a;
    const struct pare_yaml *y = *(const struct pare_yaml *const *)b;
    int order = strcmp(x->text, y->text);
    if (order)
        return order;
    if (x->at.line != y->at.line)
        return x->at.line < y->at.line ? -1 : 1;
    return (x->at.column > y->at.column) - (x->at.column < y->at.column);
}

static void check_duplicates(struct reader *r, const struct pare_yaml *map)
{
    const struct pare_yaml **keys = pare_alloc(map->n, sizeof *keys);
    if (!keys) {
        r->nomem = true;
        return;
    }
    if (map->n)
        memcpy(keys, map->keys, map->n * sizeof *keys);
    qsort(keys, map->n, sizeof *keys, by_text);
    for (size_t i = 1, first = 0; i < map->n; i++) {
        if (strcmp(keys[first]->text, keys[i]->text) != 0) {
            first = i;
            continue;
        }
        pare_yaml_error(r->diags, keys[i], "duplicate key '%s'", keys[i]->text);
        pare_diag_note(r->diags, keys[first]->at, "first given here");
    }
    free(keys);
}

static const struct pare_yaml *read_node(struct reader *r, const yaml_event_t *event,
                                         unsigned depth);

/* One element of a collection: NULL with *end set at the collection's end. */
static const struct pare_yaml *read_element(struct reader *r, yaml_event_type_t last,
                                            unsigned depth, struct pare_mark *end, bool *done)
{
    yaml_event_t event;
    if (!next_event(r, &event))
        return NULL;
    const struct pare_yaml *node = NULL;
    if (event.type == last) {
        *done = true;
        *end = mark(event.end_mark);
    } else {
        node = read_node(r, &event, depth);
    }
    yaml_event_delete(&event);
    return node;
}

static bool add_weight(struct reader *r, struct pare_yaml *node, const struct pare_yaml *child,
                       unsigned depth)
{
    node->weight += child->weight;
    node->height = PARE_MAX(node->height, child->height + 1);
    if (node->weight > PARE_YAML_MAX_NODES) {
        pare_yaml_error(r->diags, node, "too large: more than %u values with aliases followed",
                        PARE_YAML_MAX_NODES);
        return false;
    }
    if (depth + node->height > PARE_YAML_MAX_DEPTH) {
        pare_yaml_error(r->diags, node, "nested deeper than %u levels", PARE_YAML_MAX_DEPTH);
        return false;
    }
    return true;
}

static const struct pare_yaml *read_collection(struct reader *r, const yaml_event_t *event,
                                               unsigned depth)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    yaml_event_type_t last = is_map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    const yaml_char_t *tag =
        is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const struct pare_yaml **parts = NULL; /* for a map: key, value, key, value */
    size_t n = 0, cap = 0;
    bool done = false, ok = false;
    struct pare_yaml *node = refuse_tag(r, event, tag) ? node_new(r, event) : NULL;
    if (!node)
        return NULL;
    node->kind = is_map ? PARE_YAML_MAP : PARE_YAML_LIST;
    while (true) {
        const struct pare_yaml *part = read_element(r, last, depth + 1, &node->end, &done);
        if (done)
            break;
        if (!part || !add_weight(r, node, part, depth))
            goto out;
        if (is_map && n % 2 == 0 && part->kind >= PARE_YAML_LIST) {
            pare_yaml_error(r->diags, part, "a key must be a single word");
            goto out;
        }
        if (!pare_grow(&parts, &cap, n + 1, sizeof *parts)) {
            r->nomem = true;
            goto out;
        }
        parts[n++] = part;
    }
    node->n = is_map ? n / 2 : n;
    node->items = pare_pool_alloc(r->pool, node->n, sizeof *node->items);
    node->keys = is_map ? pare_pool_alloc(r->pool, node->n, sizeof *node->keys) : NULL;
    if (!node->items || (is_map && !node->keys)) {
        r->nomem = true;
        goto out;
    }
    for (size_t i = 0; i < node->n; i++) {
        node->items[i] = parts[is_map ? 2 * i + 1 : i];
        if (is_map)
            node->keys[i] = parts[2 * i];
    }
    if (is_map)
        check_duplicates(r, node);
    ok = remember(r, is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
                  node);
out:
    free(parts);
    return ok ? node : NULL;
}

static const struct pare_yaml *read_node(struct reader *r, const yaml_event_t *event,
                                         unsigned depth)
{
    if (depth > PARE_YAML_MAX_DEPTH) {
        pare_diag_add(r->diags, mark(event->start_mark), mark(event->end_mark),
                      "nested deeper than %u levels", PARE_YAML_MAX_DEPTH);
        return NULL;
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(r, event);
    case YAML_SCALAR_EVENT:
        return read_scalar(r, event);
    default:
        return read_collection(r, event, depth);
    }
}

static const struct pare_yaml *read_document(struct reader *r)
{
    const struct pare_yaml *root = NULL;
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!next_event(r, &event))
            return NULL;
        if (event.type == YAML_STREAM_END_EVENT) {
            more = false;
        } else if (event.type == YAML_DOCUMENT_START_EVENT && root) {
            pare_diag_add(r->diags, mark(event.start_mark), mark(event.end_mark),
                          "a second document; one file holds one pipeline");
            more = false;
            root = NULL;
        } else if (event.type != YAML_STREAM_START_EVENT &&
                   event.type != YAML_DOCUMENT_START_EVENT &&
                   event.type != YAML_DOCUMENT_END_EVENT) {
            root = read_node(r, &event, 0);
            more = root != NULL;
        }
        yaml_event_delete(&event);
    }
    if (!root && r->diags->n == 0 && !r->nomem)
        pare_diag_add(r->diags, (struct pare_mark){1, 1, 0}, (struct pare_mark){1, 1, 0},
                      "the file is empty");
    return root;
}

int pare_yaml_parse(const char *path, const char *text, size_t size, struct pare_diags *diags,
                    struct pare_yaml_tree *out)
{
    struct reader r = {.diags = diags, .pool = &out->pool};
    *out = (struct pare_yaml_tree){0};
    pare_diags_source(diags, path, size > PARE_YAML_MAX_BYTES ? NULL : text, size);
    if (size > PARE_YAML_MAX_BYTES) {
        pare_diag_add(diags, (struct pare_mark){1, 1, 0}, (struct pare_mark){1, 1, 0},
                      "too large: %zu bytes, at most %u", size, PARE_YAML_MAX_BYTES);
        return PARE_INVALID;
    }
    if (!check_characters(diags, text, size))
        return diags->nomem ? PARE_NOMEM : PARE_INVALID;
    if (!yaml_parser_initialize(&r.parser))
        return PARE_NOMEM;
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    out->root = read_document(&r);
    yaml_parser_delete(&r.parser);
    free(r.anchors);
    int rc = r.nomem || diags->nomem ? PARE_NOMEM : out->root ? PARE_OK : PARE_INVALID;
    if (rc != PARE_OK)
        pare_yaml_free(out);
    return rc;
}

void pare_yaml_free(struct pare_yaml_tree *tree)
{
    pare_pool_free(&tree->pool);
    tree->root = NULL;
}

static size_t find_key(const struct pare_yaml *map, const char *key)
{
    if (!map || map->kind != PARE_YAML_MAP)
        return SIZE_MAX;
    for (size_t i = 0; i < map->n; i++) {
        if (!strcmp(map->keys[i]->text, key))
            return i;
    }
    return SIZE_MAX;
}

const struct pare_yaml *pare_yaml_get(const struct pare_yaml *map, const char *key)
{
    size_t i = find_key(map, key);
    return i == SIZE_MAX ? NULL : map->items[i];
}

const struct pare_yaml *pare_yaml_key(const struct pare_yaml *map, const char *key)
{
    size_t i = find_key(map, key);
    return i == SIZE_MAX ? NULL : map->keys[i];
}

const char *pare_yaml_describe(const struct pare_yaml *node, char out[80])
{
    static const char *const words[] = {
        [PARE_YAML_NULL] = "nothing", [PARE_YAML_BOOL] = "",      [PARE_YAML_INT] = "",
        [PARE_YAML_REAL] = "",        [PARE_YAML_TEXT] = "text ", [PARE_YAML_LIST] = "a list",
        [PARE_YAML_MAP] = "a map",
    };
    bool shows = node->kind >= PARE_YAML_BOOL && node->kind <= PARE_YAML_TEXT;
    const char *mark_text = node->kind == PARE_YAML_TEXT ? "'" : "";
    snprintf(out, 80, "%s%s%.60s%s", words[node->kind], mark_text, shows ? node->text : "",
             mark_text);
    return out;
}
