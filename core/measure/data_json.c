/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/data_json.h"

#include <string.h>

#include "base/mem.h"

/* Seeds use all 64 bits, which JSON's integers hold as two's complement. */
static const struct member {
    const char *name;
    char type; /* 's' text, 'n' number, 'z' seed, 'b' truth */
    size_t offset;
} members[] = {
    {"from", 's', offsetof(struct pare_data_spec, from)},
    {"split", 's', offsetof(struct pare_data_spec, split)},
    {"inputs", 's', offsetof(struct pare_data_spec, inputs)},
    {"labels", 's', offsetof(struct pare_data_spec, labels)},
    {"skip", 'n', offsetof(struct pare_data_spec, skip)},
    {"samples", 'n', offsetof(struct pare_data_spec, samples)},
    {"fewer", 'b', offsetof(struct pare_data_spec, fewer)},
    {"shuffle", 'b', offsetof(struct pare_data_spec, shuffle)},
    {"seed", 'z', offsetof(struct pare_data_spec, seed)},
    {"window", 'n', offsetof(struct pare_data_spec, window)},
    {"stride", 'n', offsetof(struct pare_data_spec, stride)},
    {"method", 's', offsetof(struct pare_data_spec, method)},
};

json_t *pare_data_spec_to_json(const struct pare_data_spec *spec)
{
    json_t *json = json_object();
    for (size_t i = 0; json && i < PARE_COUNT(members); i++) {
        const char *at = (const char *)spec + members[i].offset, *text;
        uint64_t number;
        bool truth;
        json_t *value = NULL;
        switch (members[i].type) {
        case 's':
            memcpy(&text, at, sizeof text);
            if (!text)
                continue;
            value = json_string(text);
            break;
        case 'b':
            memcpy(&truth, at, sizeof truth);
            if (!truth)
                continue;
            value = json_true();
            break;
        default:
            memcpy(&number, at, sizeof number);
            if (number == 0)
                continue;
            value = json_integer((json_int_t)number);
        }
        if (json_object_set_new(json, members[i].name, value) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static bool take(const struct member *m, const json_t *value, struct pare_data_spec *out)
{
    char *at = (char *)out + m->offset;
    if (m->type == 's') {
        const char *text = json_string_value(value);
        memcpy(at, &text, sizeof text);
        return text != NULL;
    }
    if (m->type == 'b') {
        const bool truth = json_is_true(value);
        memcpy(at, &truth, sizeof truth);
        return json_is_boolean(value);
    }
    const uint64_t number = (uint64_t)json_integer_value(value);
    memcpy(at, &number, sizeof number);
    return json_is_integer(value) && (m->type == 'z' || json_integer_value(value) >= 0);
}

int pare_data_spec_from_json(const json_t *json, struct pare_data_spec *out, struct pare_error *err)
{
    struct pare_data_spec spec = {0};
    const char *key;
    json_t *value;
    if (!json_is_object(json))
        return pare_error_set(err, PARE_INVALID, "samples are described by an object");
    for (void *it = json_object_iter((json_t *)(uintptr_t)json); it;
         it = json_object_iter_next((json_t *)(uintptr_t)json, it)) {
        size_t i = 0;
        key = json_object_iter_key(it);
        value = json_object_iter_value(it);
        while (i < PARE_COUNT(members) && strcmp(members[i].name, key) != 0)
            i++;
        if (i == PARE_COUNT(members) || !take(&members[i], value, &spec))
            return pare_error_set(err, PARE_INVALID, "samples: '%s' is not understood", key);
    }
    *out = spec;
    return PARE_OK;
}
