/* SPDX-License-Identifier: Apache-2.0 */
/* The splits of a folder: sub-folders of images per class, files with a common prefix, and what
 * dataset.yaml names:
 *
 *     splits:
 *       test: {images: x_test.npy, labels: y_test.npy}
 */
#include "measure/source.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/str.h"
#include "measure/array.h"
#include "measure/dataset.h"

#define YAML_BYTES_MAX ((size_t)64 << 10)
#define NAMES_SHOWN 12

static const struct {
    const char *images, *labels;
} suffixes[] = {
    {"-images-idx3-ubyte", "-labels-idx1-ubyte"},
    {"-images-idx3-ubyte.gz", "-labels-idx1-ubyte.gz"},
    {"-images.idx3-ubyte", "-labels.idx1-ubyte"},
    {"-images.npy", "-labels.npy"},
};

void pare_place_free(struct pare_place *place)
{
    free(place->split);
    free(place->images);
    free(place->labels);
    *place = (struct pare_place){0};
}

/* Take over the paths; NULL paths mean that memory was out. */
static int make_place(const char *split, char *images, char *labels, struct pare_place *out,
                      struct pare_error *err)
{
    struct pare_place p = {pare_strdup(split), images, labels};
    if (!p.split || !images) {
        pare_place_free(&p);
        return pare_error_nomem(err, 0);
    }
    *out = p;
    return PARE_OK;
}

static char *join_with(const char *folder, const char *name, const char *suffix)
{
    struct pare_str s = {0};
    pare_str_printf(&s, "%s/%s%s", folder, name, suffix);
    return pare_str_take(&s);
}

/* PARE_NOT_FOUND without a message: no such file. */
static int find_prefix(const char *folder, const char *split, struct pare_place *out,
                       struct pare_error *err)
{
    for (size_t i = 0; i < PARE_COUNT(suffixes); i++) {
        char *images = join_with(folder, split, suffixes[i].images);
        if (!images)
            return pare_error_nomem(err, 0);
        if (!pare_file_exists(images)) {
            free(images);
            continue;
        }
        char *labels = join_with(folder, split, suffixes[i].labels);
        if (labels && !pare_file_exists(labels)) {
            free(labels);
            labels = NULL;
        }
        return make_place(split, images, labels, out, err);
    }
    return PARE_NOT_FOUND;
}

/* ---- dataset.yaml
 * -------------------------------------------------------------------------------- */

struct listing {
    char *path;
    char *text;
    yaml_document_t document;
    const yaml_node_t *splits; /* a mapping; NULL: there is no dataset.yaml */
    bool loaded;
};

static const char *scalar(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static const yaml_node_t *lookup(struct listing *y, const yaml_node_t *map, const char *key)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const char *name = scalar(yaml_document_get_node(&y->document, p->key));
        if (name && strcmp(name, key) == 0)
            return yaml_document_get_node(&y->document, p->value);
    }
    return NULL;
}

static int listing_error(const struct listing *y, const yaml_mark_t *at, const char *what,
                         struct pare_error *err)
{
    return pare_error_set(err, PARE_INVALID, "%s:%zu:%zu: %s", y->path, at->line + 1,
                          at->column + 1, what);
}

static void listing_close(struct listing *y)
{
    if (y->loaded)
        yaml_document_delete(&y->document);
    free(y->path);
    free(y->text);
}

static int listing_open(const char *folder, struct listing *y, struct pare_error *err)
{
    yaml_parser_t parser;
    size_t size;
    int rc = PARE_OK;
    y->path = pare_path_join(folder, "dataset.yaml");
    if (!y->path)
        return pare_error_nomem(err, 0);
    if (!pare_file_exists(y->path))
        return PARE_OK;
    rc = pare_file_read(y->path, YAML_BYTES_MAX, &y->text, &size, err);
    if (rc != PARE_OK)
        return rc;
    if (!yaml_parser_initialize(&parser))
        return pare_error_nomem(err, 0);
    yaml_parser_set_input_string(&parser, (const unsigned char *)y->text, size);
    y->loaded = yaml_parser_load(&parser, &y->document);
    if (!y->loaded) {
        rc = listing_error(y, &parser.problem_mark, parser.problem ? parser.problem : "no YAML",
                           err);
        goto out;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&y->document);
    y->splits = lookup(y, root, "splits");
    if (!y->splits || y->splits->type != YAML_MAPPING_NODE) {
        yaml_mark_t top = {0};
        rc = listing_error(y,
                           y->splits ? &y->splits->start_mark
                           : root    ? &root->start_mark
                                     : &top,
                           "expected splits: {NAME: {images: PATH, labels: PATH}}", err);
    }
out:
    yaml_parser_delete(&parser);
    return rc;
}

static int find_listed(const char *folder, struct listing *y, const char *split,
                       struct pare_place *out, struct pare_error *err)
{
    const yaml_node_t *entry = lookup(y, y->splits, split);
    const yaml_node_t *labels_node = lookup(y, entry, "labels");
    const char *images = scalar(lookup(y, entry, "images")), *labels = scalar(labels_node);
    if (!entry)
        return PARE_NOT_FOUND;
    if (!images || !*images || (labels_node && (!labels || !*labels)))
        return listing_error(y, &entry->start_mark, "expected {images: PATH, labels: PATH}", err);
    char *to_labels = labels ? pare_path_join(folder, labels) : NULL;
    if (labels && !to_labels)
        return pare_error_nomem(err, 0);
    return make_place(split, pare_path_join(folder, images), to_labels, out, err);
}

/* ---- all of a folder
 * ------------------------------------------------------------------------------ */

struct names {
    char **items;
    size_t n, cap;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
}

static int names_add(struct names *names, const char *name, size_t length, struct pare_error *err)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strlen(names->items[i]) == length && memcmp(names->items[i], name, length) == 0)
            return PARE_OK;
    }
    char *copy = strndup(name, length);
    if (!copy || !pare_grow(&names->items, &names->cap, names->n + 1, sizeof *names->items)) {
        free(copy);
        return pare_error_nomem(err, length);
    }
    names->items[names->n++] = copy;
    return PARE_OK;
}

/* Every split's name, sub-folders and prefixes in alphabetical order, then what is listed. */
static int find_names(const char *folder, struct listing *y, struct names *out,
                      struct pare_error *err)
{
    struct pare_pool pool = {0};
    const char **entries = NULL;
    size_t n = 0;
    int rc;
    PARE_TRY(pare_folder_list(folder, &pool, &entries, &n, err));
    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(entries[i]);
        char *path = pare_path_join(folder, entries[i]);
        const bool is_split = path && pare_is_folder(path) && pare_has_image_files(path);
        free(path);
        if (is_split)
            PARE_TRY(names_add(out, entries[i], length, err));
        for (size_t s = 0; s < PARE_COUNT(suffixes); s++) {
            const size_t tail = strlen(suffixes[s].images);
            if (length > tail && strcmp(entries[i] + length - tail, suffixes[s].images) == 0)
                PARE_TRY(names_add(out, entries[i], length - tail, err));
        }
    }
    for (const yaml_node_pair_t *p = y->splits ? y->splits->data.mapping.pairs.start : NULL;
         p && p < y->splits->data.mapping.pairs.top; p++) {
        const char *name = scalar(yaml_document_get_node(&y->document, p->key));
        if (name && *name)
            PARE_TRY(names_add(out, name, strlen(name), err));
    }
out:
    free(entries);
    pare_pool_free(&pool);
    return rc;
}

static int refuse(const char *folder, const char *split, const struct names *names,
                  struct pare_error *err)
{
    struct pare_str list = {0};
    int rc;
    for (size_t i = 0; i < names->n && i < NAMES_SHOWN; i++)
        pare_str_printf(&list, "%s%s", i ? ", " : "", names->items[i]);
    if (names->n > NAMES_SHOWN)
        pare_str_printf(&list, " and %zu more", names->n - NAMES_SHOWN);
    if (names->n == 0) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "%s holds no data set", folder);
        pare_error_hint(err, "expected a folder of images per class, SPLIT-images-idx3-ubyte.gz, "
                             "SPLIT-images.npy, or a dataset.yaml");
    } else if (split) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "%s has no split '%s'", folder, split);
        pare_error_detail(err, "there: %s", list.data ? list.data : "");
    } else {
        rc = pare_error_set(err, PARE_INVALID, "%s has %zu splits: name one", folder, names->n);
        pare_error_detail(err, "there: %s", list.data ? list.data : "");
    }
    pare_str_free(&list);
    return rc;
}

/* The place of a split whose name is known, in the order that dataset.h says. */
static int find_place(const char *folder, struct listing *y, const char *split,
                      struct pare_place *out, struct pare_error *err)
{
    char *path = pare_path_join(folder, split);
    int rc = PARE_NOT_FOUND;
    if (!path)
        return pare_error_nomem(err, 0);
    if (*split && !strchr(split, '/') && split[0] != '.') {
        if (pare_is_folder(path) && pare_has_image_files(path)) {
            rc = make_place(split, path, NULL, out, err);
            path = NULL;
        } else {
            rc = find_prefix(folder, split, out, err);
        }
    }
    if (rc == PARE_NOT_FOUND)
        rc = find_listed(folder, y, split, out, err);
    free(path);
    return rc;
}

static bool is_one_split(const char *folder)
{
    return pare_has_image_files(folder);
}

int pare_place_find(const char *folder, const char *split, struct pare_place *out,
                    struct pare_error *err)
{
    struct listing y = {0};
    struct names names = {0};
    int rc;
    if (!pare_is_folder(folder)) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "%s is not a folder", folder);
        goto out;
    }
    if (is_one_split(folder) && (!split || strcmp(split, "all") == 0)) {
        rc = make_place("all", pare_strdup(folder), NULL, out, err);
        goto out;
    }
    PARE_TRY(listing_open(folder, &y, err));
    if (split) {
        rc = find_place(folder, &y, split, out, err);
        if (rc != PARE_NOT_FOUND)
            goto out;
    }
    PARE_TRY(find_names(folder, &y, &names, err));
    if (!split && names.n == 1)
        PARE_TRY(find_place(folder, &y, names.items[0], out, err));
    else
        rc = refuse(folder, split, &names, err);
out:
    names_free(&names);
    listing_close(&y);
    return rc;
}

static int count_samples(const struct pare_place *place, uint64_t *out, struct pare_error *err)
{
    struct pare_image_files files = {0};
    struct pare_array array = {0};
    int rc;
    if (pare_is_folder(place->images)) {
        rc = pare_image_files_list(place->images, &files, err);
        *out = files.n;
        pare_image_files_free(&files);
    } else {
        rc = pare_array_open(place->images, true, &array, err);
        *out = array.dims[0];
        pare_array_close(&array);
    }
    return rc;
}

int pare_dataset_splits(const char *folder, struct pare_split *out, size_t room, size_t *n,
                        struct pare_error *err)
{
    struct listing y = {0};
    struct names names = {0};
    struct pare_place place = {0};
    int rc;
    *n = 0;
    if (is_one_split(folder)) {
        PARE_TRY(names_add(&names, "all", 3, err));
    } else {
        PARE_TRY(listing_open(folder, &y, err));
        PARE_TRY(find_names(folder, &y, &names, err));
    }
    for (size_t i = 0; i < names.n && *n < room; i++) {
        struct pare_split *s = &out[*n];
        if (strlen(names.items[i]) >= sizeof s->name)
            continue;
        strcpy(s->name, names.items[i]);
        pare_place_free(&place);
        PARE_TRY(is_one_split(folder) ? make_place("all", pare_strdup(folder), NULL, &place, err)
                                      : find_place(folder, &y, names.items[i], &place, err));
        PARE_TRY(count_samples(&place, &s->samples, err));
        (*n)++;
    }
out:
    pare_place_free(&place);
    names_free(&names);
    listing_close(&y);
    return rc;
}
