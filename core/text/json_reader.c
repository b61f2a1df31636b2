/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SEQUENCE_DEPTH 16

int pare_json_fail(struct pare_json_reader *r, int status, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    pare_error_set(r->err, status, "%s: %s", r->name, what);
    pare_error_detail(r->err, "at %s", r->place[0] ? r->place : "the top");
    return status;
}

int pare_json_pass(struct pare_json_reader *r, int status)
{
    if (status == PARE_OK || status == PARE_NOMEM || !r->err)
        return status;
    const struct pare_error below = *r->err;
    pare_error_set(r->err, status, "%.150s: %.200s", r->name, below.what);
    pare_error_detail(r->err, "at %s%s%.700s", r->place[0] ? r->place : "the top",
                      below.detail[0] ? "; " : "", below.detail);
    return status;
}

static const json_t *member(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);
    return json_is_null(value) ? NULL : value;
}

int pare_json_bool(struct pare_json_reader *r, const json_t *json, const char *key, bool *out)
{
    const json_t *value = member(json, key);
    if (!value)
        return PARE_OK;
    if (!json_is_boolean(value))
        return pare_json_fail(r, PARE_INVALID, "'%s' is not true or false", key);
    *out = json_is_true(value);
    return PARE_OK;
}

int pare_json_count(struct pare_json_reader *r, const json_t *json, const char *key, size_t *out)
{
    const json_t *value = member(json, key);
    if (!value)
        return PARE_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return pare_json_fail(r, PARE_INVALID, "'%s' is not a count", key);
    *out = (size_t)json_integer_value(value);
    return PARE_OK;
}

int pare_json_text(struct pare_json_reader *r, const json_t *json, const char *key,
                   struct pare_bytes *out)
{
    const json_t *value = member(json, key);
    if (!value)
        return PARE_OK;
    if (!json_is_string(value))
        return pare_json_fail(r, PARE_INVALID, "'%s' is not a text", key);
    *out = (struct pare_bytes){json_string_value(value), json_string_length(value)};
    return PARE_OK;
}

int pare_json_keep(struct pare_json_reader *r, const json_t *json, const char *key,
                   struct pare_bytes *out)
{
    struct pare_bytes text = {0};
    const int rc = pare_json_text(r, json, key, &text);
    if (rc != PARE_OK)
        return rc;
    if (!text.data)
        return pare_json_fail(r, PARE_INVALID, "'%s' is missing", key);
    *out = pare_keep_bytes(r->t, text.data, text.len);
    return out->data ? PARE_OK : pare_error_nomem(r->err, text.len);
}

int pare_json_pattern(struct pare_json_reader *r, const json_t *json, struct pare_bytes *literal,
                      struct pare_regex **regex)
{
    const json_t *pattern = member(json, "pattern");
    struct pare_bytes text = {0};
    int rc = pare_json_text(r, pattern, "Regex", &text);
    if (rc != PARE_OK)
        return rc;
    if (text.data)
        return pare_json_pass(r, pare_regex_compile(text.data, text.len, regex, r->err));
    if (!json_is_object(pattern))
        return pare_json_fail(r, PARE_INVALID, "'pattern' is not {\"String\"} or {\"Regex\"}");
    return pare_json_keep(r, pattern, "String", literal);
}

int pare_json_typed(struct pare_json_reader *r, const json_t *json, const char *place,
                    const char *parts, const struct pare_json_type *types, size_t n)
{
    const size_t len = strlen(r->place);
    int rc = PARE_OK;
    if (!json || json_is_null(json))
        return PARE_OK;
    snprintf(r->place + len, sizeof r->place - len, "%s", place);
    const char *type = json_string_value(json_object_get(json, "type"));
    const json_t *list =
        type && strcmp(type, "Sequence") == 0 ? json_object_get(json, parts) : NULL;
    if (!type) {
        rc = pare_json_fail(r, PARE_INVALID, "'type' is missing");
        goto out;
    }
    if (json_is_array(list)) {
        if (++r->depth > SEQUENCE_DEPTH) {
            rc = pare_json_fail(r, PARE_INVALID, "Sequences are nested deeper than %d",
                                SEQUENCE_DEPTH);
            goto out;
        }
        for (size_t i = 0; i < json_array_size(list) && rc == PARE_OK; i++) {
            char at[64];
            snprintf(at, sizeof at, ".%s[%zu]", parts, i);
            rc = pare_json_typed(r, json_array_get(list, i), at, parts, types, n);
        }
        r->depth--;
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(types[i].name, type) == 0) {
            rc = types[i].read(r, json);
            goto out;
        }
    rc = pare_json_fail(r, PARE_UNSUPPORTED, "'%.60s' is not supported", type);
out:
    r->place[len] = '\0';
    return rc;
}
