/* SPDX-License-Identifier: Apache-2.0 */
/* Labelled texts: every line becomes an object of JSON, which is then read the same way. */
#include "measure/records.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "measure/array.h"
#include "measure/source.h"
#include "text/utf8.h"

#define FILE_MAX ((size_t)1 << 30)
#define LINE_MAX ((size_t)1 << 20)
#define CHOICES_MAX 1000u
#define NAMES_SHOWN 8

enum role { TEXT, SECOND, CHOICES, LABEL, SCORE, ROLES };

/* What files of others call them. */
static const struct {
    const char *name;
    enum role role;
} names[] = {
    {"text", TEXT},       {"sentence", TEXT},   {"sentence1", TEXT},   {"context", TEXT},
    {"query", TEXT},      {"question", TEXT},   {"text2", SECOND},     {"sentence2", SECOND},
    {"choices", CHOICES}, {"endings", CHOICES}, {"label", LABEL},      {"answer", LABEL},
    {"gold", LABEL},      {"score", SCORE},     {"similarity", SCORE},
};

static const char *const wanted =
    "text and label; sentence1, sentence2 and label or score; or (JSON lines) context, choices and "
    "answer";

/* The roles that a line needs for a task. */
static const struct {
    enum pare_task task;
    enum role needs[3];
    size_t n;
} shapes[] = {{PARE_TASK_CHOICES, {CHOICES, TEXT, LABEL}, 3},
              {PARE_TASK_SIMILARITY, {SCORE, TEXT, SECOND}, 3},
              {PARE_TASK_CLASSES, {LABEL, TEXT}, 2}};

struct reader {
    const char *path;
    const struct pare_model *model;
    struct pare_records *out;
    struct pare_error *err;
    size_t cap, shape;
    const char *line; /* n bytes */
    size_t n;
    uint32_t number;
    bool tabs;
    char **columns; /* of a header: n_columns names, "" for those of no role */
    size_t n_columns;
    const char *name[ROLES]; /* what the line calls it */
    json_t *value[ROLES];    /* borrowed from the line's object */
};

/* ---- where something is wrong ---- */

static size_t cell_start(const struct reader *r, size_t column)
{
    size_t at = 0;
    for (; column; column--) {
        const char *tab = memchr(r->line + at, '\t', r->n - at);
        if (!tab)
            return r->n;
        at = (size_t)(tab - r->line) + 1;
    }
    return at;
}

/* The byte at which a key (then a colon), or the cell under that name, begins; 0: not there. */
static size_t place_of(const struct reader *r, const char *name)
{
    const size_t len = strlen(name);
    for (size_t c = 0; r->tabs && c < r->n_columns; c++) {
        if (strcmp(r->columns[c], name) == 0)
            return cell_start(r, c);
    }
    for (size_t i = 0; !r->tabs && i + len + 2 < r->n; i++) {
        if (r->line[i] != '"' || strncmp(r->line + i + 1, name, len) != 0 ||
            r->line[i + len + 1] != '"')
            continue;
        size_t after = i + len + 2;
        while (after < r->n && strchr(" \t", r->line[after]))
            after++;
        if (after < r->n && r->line[after] == ':')
            return i;
    }
    return 0;
}

/* "FILE:LINE:COLUMN: what": the place is a byte of the line. */
static int wrong_at(const struct reader *r, size_t byte, const char *what)
{
    return pare_error_set(r->err, PARE_INVALID, "%.200s:%u:%zu: %s", r->path, r->number,
                          1 + pare_utf8_count(r->line, PARE_MIN(byte, r->n)), what);
}

static int wrong(const struct reader *r, enum role role, const char *what)
{
    char text[160];
    snprintf(text, sizeof text, "'%s' %s", r->name[role], what);
    return wrong_at(r, place_of(r, r->name[role]), text);
}

/* ---- a line as an object ---- */

static json_t *of_json(const struct reader *r)
{
    json_error_t e;
    json_t *object = json_loadb(r->line, r->n, JSON_REJECT_DUPLICATES, &e);
    if (object && !json_is_object(object)) {
        wrong_at(r, 0, "a line is one object of JSON");
        json_decref(object);
        return NULL;
    }
    if (!object) {
        const size_t at = e.position > 0 ? (size_t)e.position - 1 : 0;
        wrong_at(r, PARE_MIN(at, r->n), "this is no JSON");
        pare_error_detail(r->err, "%s", e.text);
        pare_error_hint(r->err, "every line is one object: {\"text\": \"...\", \"label\": 1}");
    }
    return object;
}

static json_t *of_cells(const struct reader *r)
{
    json_t *object = json_object();
    size_t at = 0;
    for (size_t c = 0; object && c < r->n_columns; c++) {
        if (at > r->n) {
            wrong_at(r, r->n, "the line has fewer columns than the header");
            pare_error_detail(r->err, "%zu of %zu", c, r->n_columns);
            pare_error_hint(r->err, "columns are separated by one tab; texts hold none");
            json_decref(object);
            return NULL;
        }
        const char *tab = memchr(r->line + at, '\t', r->n - at);
        const size_t end = tab ? (size_t)(tab - r->line) : r->n;
        if (r->columns[c][0] &&
            json_object_set_new(object, r->columns[c],
                                json_stringn_nocheck(r->line + at, end - at)) != 0)
            break;
        at = end + 1;
    }
    if (object && at <= r->n) {
        wrong_at(r, at, "the line has more columns than the header");
        pare_error_hint(r->err, "columns are separated by one tab; texts hold none");
        json_decref(object);
        return NULL;
    }
    return object;
}

/* ---- what is in it ---- */

static int find_roles(struct reader *r, json_t *object)
{
    for (size_t i = 0; i < ROLES; i++)
        r->value[i] = NULL;
    for (size_t i = 0; i < PARE_COUNT(names); i++) {
        json_t *value = json_object_get(object, names[i].name);
        const enum role role = names[i].role;
        if (!value || json_is_null(value))
            continue;
        if (r->value[role]) {
            wrong_at(r, place_of(r, names[i].name), "two keys say the same");
            pare_error_detail(r->err, "'%s' and '%s'", r->name[role], names[i].name);
            pare_error_hint(r->err, "leave one of them out");
            return PARE_INVALID;
        }
        r->value[role] = value;
        r->name[role] = names[i].name;
    }
    return PARE_OK;
}

/* The first line says what the file is for. */
static int find_shape(struct reader *r)
{
    if (r->value[SCORE] && r->value[LABEL] && !r->value[CHOICES]) {
        wrong_at(r, 0, "there are both a label and a score");
        pare_error_hint(r->err,
                        "leave '%s' or '%s' out: the one is accuracy's, the other "
                        "similarity's",
                        r->name[LABEL], r->name[SCORE]);
        return PARE_INVALID;
    }
    for (r->shape = 0; r->shape < PARE_COUNT(shapes); r->shape++) {
        if (r->value[shapes[r->shape].needs[0]]) {
            r->out->task = shapes[r->shape].task;
            return PARE_OK;
        }
    }
    wrong_at(r, 0, "there is no label, score or choices");
    pare_error_hint(r->err, "a data set of texts has %s", wanted);
    return PARE_INVALID;
}

static int check_needs(const struct reader *r)
{
    for (size_t i = 0; i < shapes[r->shape].n; i++) {
        char known[128] = "";
        const enum role role = shapes[r->shape].needs[i];
        if (r->value[role])
            continue;
        for (size_t k = 0; k < PARE_COUNT(names); k++) {
            const size_t len = strlen(known);
            if (names[k].role == role)
                snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "", names[k].name);
        }
        wrong_at(r, 0, "a key is missing");
        pare_error_detail(r->err, "one of: %s", known);
        pare_error_hint(r->err, "a data set of texts has %s", wanted);
        return PARE_INVALID;
    }
    return PARE_OK;
}

static int take_text(struct reader *r, enum role role, const char **out)
{
    if (!r->value[role])
        return PARE_OK;
    if (!json_is_string(r->value[role]))
        return wrong(r, role, "is no text");
    *out = pare_pool_strdup(&r->out->pool, json_string_value(r->value[role]));
    return *out ? PARE_OK : pare_error_nomem(r->err, 0);
}

/* A whole number, also where a column holds it as text; -1: none. */
static long long whole(const json_t *value)
{
    long long n;
    if (json_is_integer(value))
        return json_integer_value(value) >= 0 ? json_integer_value(value) : -1;
    if (!json_is_string(value) || !pare_parse_int(json_string_value(value), &n))
        return -1;
    return n >= 0 ? n : -1;
}

static int unknown_class(const struct reader *r, const char *label)
{
    const struct pare_model *m = r->model;
    struct pare_str list = {0};
    for (uint32_t i = 0; i < m->n_labels && i < NAMES_SHOWN; i++)
        pare_str_printf(&list, "%s%s", i ? ", " : "", m->labels[i]);
    const char *near = pare_nearest(label, (const char *const *)m->labels, m->n_labels);
    wrong(r, LABEL, "names no class of the model");
    pare_error_detail(r->err, "'%.100s'; it has %u: %s%s", label,
                      m->graph->values[m->graph->output].width, list.data ? list.data : "",
                      m->n_labels > NAMES_SHOWN ? ", ..." : "");
    if (near)
        pare_error_hint(r->err, "did you mean '%s'?", near);
    else
        pare_error_hint(r->err, "write the number of the class, or its name in the model's "
                                "config.json, id2label");
    pare_str_free(&list);
    return PARE_INVALID;
}

static int take_class(struct reader *r, struct pare_record *out)
{
    const json_t *value = r->value[LABEL];
    const char *text = json_string_value(value);
    const uint32_t classes =
        r->model ? r->model->graph->values[r->model->graph->output].width : UINT32_MAX;
    if (!text && !json_is_integer(value))
        return wrong(r, LABEL, "is neither a number nor a name of a class");
    out->label = text && r->model ? pare_label_find(text, r->model) : UINT32_MAX;
    if (out->label < classes)
        return PARE_OK;
    const long long n = whole(value);
    if (n < 0 && text && r->model)
        return unknown_class(r, text);
    if (n < 0 || n >= classes) {
        wrong(r, LABEL, "is out of range");
        pare_error_detail(r->err, "the model has %u classes", classes);
        pare_error_hint(r->err, "classes are counted from 0");
        return PARE_INVALID;
    }
    out->label = (uint32_t)n;
    return PARE_OK;
}

static int take_choices(struct reader *r, struct pare_record *out)
{
    const json_t *list = r->value[CHOICES];
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 2 || n > CHOICES_MAX) {
        wrong(r, CHOICES, "is no list of two texts or more");
        pare_error_hint(r->err, "\"%s\": [\"one\", \"two\"]", r->name[CHOICES]);
        return PARE_INVALID;
    }
    const char **texts = pare_pool_alloc(&r->out->pool, n, sizeof *texts);
    if (!texts)
        return pare_error_nomem(r->err, n * sizeof *texts);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || !*text)
            return wrong(r, CHOICES, text ? "has an empty one" : "has one that is no text");
        texts[i] = pare_pool_strdup(&r->out->pool, text);
        if (!texts[i])
            return pare_error_nomem(r->err, 0);
    }
    out->choices = texts;
    out->n_choices = (uint32_t)n;
    return PARE_OK;
}

/* A number from 0, or a letter from A. */
static int take_right(struct reader *r, struct pare_record *out)
{
    const char *text = json_string_value(r->value[LABEL]);
    long long n = whole(r->value[LABEL]);
    if (text && text[0] && !text[1] && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ", text[0]))
        n = text[0] - 'A';
    if (n < 0 || n >= out->n_choices) {
        wrong(r, LABEL, "is none of the choices");
        pare_error_detail(r->err, "there are %u", out->n_choices);
        pare_error_hint(r->err, "the right one goes by its number from 0, or by a letter from A");
        return PARE_INVALID;
    }
    out->label = (uint32_t)n;
    return PARE_OK;
}

static int take_score(struct reader *r, struct pare_record *out)
{
    const json_t *value = r->value[SCORE];
    const char *text = json_string_value(value);
    if (text ? !pare_parse_double(text, &out->score) : !json_is_number(value))
        return wrong(r, SCORE, "is no number");
    if (!text)
        out->score = json_number_value(value);
    return isfinite(out->score) ? PARE_OK : wrong(r, SCORE, "is not finite");
}

static int take_record(struct reader *r, json_t *object)
{
    struct pare_records *out = r->out;
    struct pare_record record = {.line = r->number};
    int rc;
    PARE_TRY(find_roles(r, object));
    if (out->n == 0)
        PARE_TRY(find_shape(r));
    PARE_TRY(check_needs(r));
    PARE_TRY(take_text(r, TEXT, &record.text));
    if (out->task == PARE_TASK_CHOICES) {
        PARE_TRY(take_choices(r, &record));
        PARE_TRY(take_right(r, &record));
    } else {
        PARE_TRY(take_text(r, SECOND, &record.second));
        PARE_TRY(out->task == PARE_TASK_CLASSES ? take_class(r, &record) : take_score(r, &record));
    }
    if (out->n == PARE_SAMPLES_MAX || !pare_grow(&out->items, &r->cap, out->n + 1, sizeof record)) {
        rc = pare_error_nomem(r->err, (out->n + 1) * sizeof record);
        goto out;
    }
    out->items[out->n++] = record;
out:
    return rc;
}

/* ---- lines ---- */

static int take_header(struct reader *r)
{
    struct pare_pool *pool = &r->out->pool;
    size_t known = 0;
    r->n_columns = 1;
    for (size_t i = 0; i < r->n; i++)
        r->n_columns += r->line[i] == '\t';
    r->columns = pare_pool_alloc(pool, r->n_columns, sizeof *r->columns);
    for (size_t c = 0, at = 0; r->columns && c < r->n_columns; c++) {
        const char *tab = memchr(r->line + at, '\t', r->n - at);
        const size_t end = tab ? (size_t)(tab - r->line) : r->n;
        char *name = pare_pool_strndup(pool, r->line + at, end - at);
        size_t k = 0;
        while (name && k < PARE_COUNT(names) && strcmp(names[k].name, name) != 0)
            k++;
        for (size_t i = 0; name && i < c && k < PARE_COUNT(names); i++) {
            if (strcmp(r->columns[i], name) == 0)
                return wrong_at(r, at, "the header has a column twice");
        }
        if (!name)
            return pare_error_nomem(r->err, 0);
        r->columns[c] = k < PARE_COUNT(names) ? name : name + strlen(name);
        known += k < PARE_COUNT(names);
        at = end + 1;
    }
    if (!r->columns)
        return pare_error_nomem(r->err, 0);
    if (known)
        return PARE_OK;
    wrong_at(r, 0, "the first line is no header");
    pare_error_hint(r->err, "name the columns: %s, with tabs between them", wanted);
    return PARE_INVALID;
}

static int take_line(struct reader *r)
{
    const size_t valid = pare_utf8_valid(r->line, r->n);
    if (r->n > LINE_MAX) {
        wrong_at(r, 0, "the line is too long");
        pare_error_detail(r->err, "%zu bytes; %zu are read", r->n, LINE_MAX);
        return PARE_INVALID;
    }
    if (valid < r->n || memchr(r->line, '\0', r->n)) {
        const char *nul = memchr(r->line, '\0', r->n);
        const size_t at = nul ? PARE_MIN((size_t)(nul - r->line), valid) : valid;
        wrong_at(r, at, "this is no text in UTF-8");
        pare_error_hint(r->err, "convert the file: iconv -f ENCODING -t UTF-8");
        return PARE_INVALID;
    }
    if (r->tabs && !r->columns)
        return take_header(r);
    *r->err = (struct pare_error){0};
    json_t *object = r->tabs ? of_cells(r) : of_json(r);
    if (!object)
        return r->err->what[0] ? PARE_INVALID : pare_error_nomem(r->err, 0);
    int rc = take_record(r, object);
    json_decref(object);
    return rc;
}

static bool blank(const struct reader *r)
{
    size_t i = 0;
    while (i < r->n && (r->line[i] == ' ' || (r->line[i] == '\t' && !r->tabs)))
        i++;
    return i == r->n;
}

bool pare_records_named(const char *path)
{
    return pare_ends_with(path, ".jsonl") || pare_ends_with(path, ".tsv");
}

int pare_records_parse(const char *path, const char *bytes, size_t size,
                       const struct pare_model *model, struct pare_records *out,
                       struct pare_error *err)
{
    static const char mark[] = "\xEF\xBB\xBF"; /* of UTF-8, which some programs write */
    struct pare_error local = {0};
    struct reader r = {.path = path,
                       .model = model,
                       .out = out,
                       .err = err ? err : &local,
                       .tabs = pare_ends_with(path, ".tsv")};
    size_t at = size >= 3 && memcmp(bytes, mark, 3) == 0 ? 3 : 0;
    int rc = PARE_OK;
    *out = (struct pare_records){0};
    while (at < size && rc == PARE_OK) {
        const char *end = memchr(bytes + at, '\n', size - at);
        const size_t stop = end ? (size_t)(end - bytes) : size;
        r.line = bytes + at;
        r.n = stop - at - (stop > at && bytes[stop - 1] == '\r');
        r.number++;
        at = stop + 1;
        if (!blank(&r))
            rc = take_line(&r);
    }
    if (rc == PARE_OK && out->n == 0) {
        rc = pare_error_set(r.err, PARE_INVALID, "%.200s:%u:1: the file has no samples", path,
                            r.number + 1);
        pare_error_hint(r.err, "a data set of texts has %s", wanted);
    }
    if (rc != PARE_OK)
        pare_records_free(out);
    return rc;
}

int pare_records_open(const char *path, const struct pare_model *model, struct pare_records *out,
                      struct pare_error *err)
{
    char *bytes = NULL;
    size_t size;
    int rc = pare_file_read(path, FILE_MAX, &bytes, &size, err);
    if (rc == PARE_OK)
        rc = pare_records_parse(path, bytes, size, model, out, err);
    free(bytes);
    return rc;
}

void pare_records_free(struct pare_records *records)
{
    free(records->items);
    pare_pool_free(&records->pool);
    *records = (struct pare_records){0};
}
