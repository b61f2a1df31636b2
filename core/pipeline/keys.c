/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void append_string(struct pare_str *s, const char *text)
{
    json_t *value = json_string(text);
    char *quoted = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (quoted)
        pare_str_append(s, quoted);
    else
        s->failed = true;
    free(quoted);
    json_decref(value);
}

static void append_object(struct pare_str *s, const json_t *object)
{
    size_t n = json_object_size(object), i = 0;
    const char **names = pare_alloc(n, sizeof *names);
    const char *name;
    json_t *value;
    if (!names) {
        s->failed = true;
        return;
    }
    /* the iterator of jansson lacks a const form; nothing is changed through it */
    union {
        const json_t *in;
        json_t *out;
    } plain = {.in = object};
    json_object_foreach(plain.out, name, value) names[i++] = name;
    qsort(names, n, sizeof *names, by_name);
    pare_str_append(s, "{");
    for (i = 0; i < n; i++) {
        pare_str_append(s, i ? "," : "");
        append_string(s, names[i]);
        pare_str_append(s, ":");
        pare_canonical_append(s, json_object_get(object, names[i]));
    }
    pare_str_append(s, "}");
    free(names);
}

void pare_canonical_append(struct pare_str *s, const json_t *value)
{
    char number[32];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        append_object(s, value);
        break;
    case JSON_ARRAY:
        pare_str_append(s, "[");
        for (size_t i = 0; i < json_array_size(value); i++) {
            pare_str_append(s, i ? "," : "");
            pare_canonical_append(s, json_array_get(value, i));
        }
        pare_str_append(s, "]");
        break;
    case JSON_STRING:
        append_string(s, json_string_value(value));
        break;
    case JSON_INTEGER:
        pare_str_printf(s, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL: {
        double x = json_real_value(value);
        pare_format_double(x == 0 ? 0 : x, number); /* no negative zero */
        pare_str_append(s, number);
        break;
    }
    case JSON_TRUE:
        pare_str_append(s, "true");
        break;
    case JSON_FALSE:
        pare_str_append(s, "false");
        break;
    default:
        pare_str_append(s, "null");
    }
}

char *pare_canonical_text(const json_t *value)
{
    struct pare_str s = {0};
    pare_canonical_append(&s, value);
    return pare_str_take(&s);
}

void pare_recipe_begin(struct pare_recipe *r, const char *model)
{
    pare_hash_begin(&r->steps);
    pare_hash_text(&r->steps, "pare recipe 1");
    pare_hash_text(&r->steps, model);
    pare_hash_begin(&r->files);
    pare_hash_text(&r->files, "pare files 1");
}

void pare_recipe_add(struct pare_recipe *r, const char *text, const char *const *files,
                     size_t n_files)
{
    pare_hash_text(&r->steps, text);
    for (size_t i = 0; i < n_files; i++)
        pare_hash_text(&r->files, files[i]);
    pare_hash_text(&r->files, ""); /* the next step's files begin */
}

void pare_recipe_key(const struct pare_recipe *r, char hex[PARE_HASH_HEX])
{
    struct pare_hash copy = r->steps;
    pare_hash_end(&copy, hex);
}

void pare_build_key(const struct pare_recipe *r, const char *calibration, uint64_t seed,
                    unsigned numerics, char hex[PARE_HASH_HEX])
{
    char recipe[PARE_HASH_HEX], files[PARE_HASH_HEX], number[64];
    struct pare_hash copy = r->files, h;
    pare_recipe_key(r, recipe);
    pare_hash_end(&copy, files);
    pare_hash_begin(&h);
    pare_hash_text(&h, "pare build 1");
    pare_hash_text(&h, recipe);
    pare_hash_text(&h, files);
    pare_hash_text(&h, calibration ? calibration : "");
    snprintf(number, sizeof number, "%" PRIu64 " %u", seed, numerics);
    pare_hash_text(&h, number);
    pare_hash_end(&h, hex);
}

void pare_outcome_key(const char *build, const char *metric, const char *samples,
                      char hex[PARE_HASH_HEX])
{
    struct pare_hash h;
    pare_hash_begin(&h);
    pare_hash_text(&h, "pare outcome 1");
    pare_hash_text(&h, build);
    pare_hash_text(&h, metric);
    pare_hash_text(&h, samples ? samples : "");
    pare_hash_end(&h, hex);
}

void pare_metric_key(const char *file, const char *settings, char hex[PARE_HASH_HEX])
{
    struct pare_hash h;
    pare_hash_begin(&h);
    pare_hash_text(&h, "pare metric 1");
    pare_hash_text(&h, file);
    pare_hash_text(&h, settings);
    pare_hash_end(&h, hex);
}

void pare_latency_key(const char *build, unsigned batch, unsigned threads, const char *host,
                      const char *program, const char *session, char hex[PARE_HASH_HEX])
{
    char shape[64];
    struct pare_hash h;
    snprintf(shape, sizeof shape, "%u %u", batch, threads);
    pare_hash_begin(&h);
    pare_hash_text(&h, "pare latency 1");
    pare_hash_text(&h, build);
    pare_hash_text(&h, shape);
    pare_hash_text(&h, host);
    pare_hash_text(&h, program);
    pare_hash_text(&h, session);
    pare_hash_end(&h, hex);
}
