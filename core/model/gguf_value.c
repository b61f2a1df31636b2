/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF metadata: types, and values by key. */
#include "model/gguf_parts.h"

#include <string.h>

static const struct {
    const char *name;
    uint8_t size;
    bool integer, negative;
} types[] = {
    [PARE_GGUF_U8] = {"u8", 1, true, false},      [PARE_GGUF_I8] = {"i8", 1, true, true},
    [PARE_GGUF_U16] = {"u16", 2, true, false},    [PARE_GGUF_I16] = {"i16", 2, true, true},
    [PARE_GGUF_U32] = {"u32", 4, true, false},    [PARE_GGUF_I32] = {"i32", 4, true, true},
    [PARE_GGUF_F32] = {"f32", 4, false, true},    [PARE_GGUF_BOOL] = {"bool", 1, false, false},
    [PARE_GGUF_TEXT] = {"text", 0, false, false}, [PARE_GGUF_ARRAY] = {"array", 0, false, false},
    [PARE_GGUF_U64] = {"u64", 8, true, false},    [PARE_GGUF_I64] = {"i64", 8, true, true},
    [PARE_GGUF_F64] = {"f64", 8, false, true},
};

const char *pare_gguf_type_name(unsigned type)
{
    return type < PARE_COUNT(types) ? types[type].name : NULL;
}

size_t pare_gguf_type_size(unsigned type)
{
    return type < PARE_COUNT(types) ? types[type].size : 0;
}

bool pare_gguf_is_name(const uint8_t *s, size_t n)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < n;) {
        uint32_t c = s[i++];
        unsigned more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : 4;
        if (c == 0 || more == 4 || more > n - i)
            return false;
        c &= more ? 0x3fu >> more : 0x7fu;
        for (unsigned k = 0; k < more; k++, i++) {
            if (s[i] >> 6 != 2)
                return false;
            c = c << 6 | (s[i] & 63u);
        }
        if (c < least[more] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
            return false;
    }
    return true;
}

/* ---- elements
 * ------------------------------------------------------------------------------------ */

bool pare_gguf_i64_at(const struct pare_gguf_value *value, size_t i, int64_t *out)
{
    size_t size = types[value->type].size;
    if (!types[value->type].integer)
        return false;
    uint64_t x = pare_gguf_load(value->data + i * size, size);
    if (types[value->type].negative) {
        unsigned unused = 64 - 8 * (unsigned)size;
        *out = (int64_t)(x << unused) >> unused;
        return true;
    }
    *out = (int64_t)x;
    return x <= INT64_MAX;
}

bool pare_gguf_f64_at(const struct pare_gguf_value *value, size_t i, double *out)
{
    int64_t whole;
    float f;
    if (value->type == PARE_GGUF_F32) {
        memcpy(&f, value->data + 4 * i, sizeof f);
        *out = (double)f;
        return true;
    }
    if (value->type == PARE_GGUF_F64) {
        memcpy(out, value->data + 8 * i, sizeof *out);
        return true;
    }
    if (!pare_gguf_i64_at(value, i, &whole))
        return false;
    *out = (double)whole;
    return true;
}

bool pare_gguf_bool_at(const struct pare_gguf_value *value, size_t i, bool *out)
{
    if (value->type != PARE_GGUF_BOOL)
        return false;
    *out = value->data[i] != 0;
    return true;
}

bool pare_gguf_text_at(const struct pare_gguf_value *value, size_t i, struct pare_gguf_text *out)
{
    if (value->type != PARE_GGUF_TEXT)
        return false;
    const uint8_t *at = value->data + (value->at ? value->at[i] : 0);
    *out = (struct pare_gguf_text){(const char *)at + 8, (size_t)pare_gguf_load(at, 8)};
    return true;
}

/* ---- by key
 * -------------------------------------------------------------------------------------- */

const struct pare_gguf_value *pare_gguf_find(const struct pare_gguf *file, const char *key)
{
    size_t lo = 0, hi = file->n_values;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(key, file->by_key[mid]->key);
        if (order == 0)
            return file->by_key[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const struct pare_gguf_tensor *pare_gguf_tensor(const struct pare_gguf *file, const char *name)
{
    size_t lo = 0, hi = file->n_tensors;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(name, file->by_name[mid]->name);
        if (order == 0)
            return file->by_name[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static int find(const struct pare_gguf *file, const char *key, const struct pare_gguf_value **out,
                struct pare_error *err)
{
    *out = pare_gguf_find(file, key);
    if (*out)
        return PARE_OK;
    pare_error_set(err, PARE_NOT_FOUND, "%s has no '%s'", file->path, key);
    pare_error_hint(err, "convert the model again with a current converter");
    return PARE_NOT_FOUND;
}

static int wrong_kind(const struct pare_gguf *file, const struct pare_gguf_value *value,
                      const char *want, struct pare_error *err)
{
    pare_error_set(err, PARE_INVALID, "%s: '%s' is %s%s, %s is expected", file->path, value->key,
                   value->array ? "an array of " : "", types[value->type].name, want);
    pare_error_detail(err, "at byte %zu",
                      (size_t)(value->data - (const uint8_t *)file->file->data));
    pare_error_hint(err, "convert the model again with a current converter");
    return PARE_INVALID;
}

int pare_gguf_i64(const struct pare_gguf *file, const char *key, int64_t *out,
                  struct pare_error *err)
{
    const struct pare_gguf_value *value;
    int64_t x;
    int rc;
    PARE_TRY(find(file, key, &value, err));
    if (value->array || !pare_gguf_i64_at(value, 0, &x))
        return wrong_kind(file, value, "an integer", err);
    *out = x;
out:
    return rc;
}

int pare_gguf_u32(const struct pare_gguf *file, const char *key, uint32_t *out,
                  struct pare_error *err)
{
    int64_t x;
    int rc;
    PARE_TRY(pare_gguf_i64(file, key, &x, err));
    if (x < 0 || x > UINT32_MAX) {
        pare_error_set(err, PARE_INVALID, "%s: '%s' is %lld, out of range", file->path, key,
                       (long long)x);
        pare_error_hint(err, "convert the model again with a current converter");
        return PARE_INVALID;
    }
    *out = (uint32_t)x;
out:
    return rc;
}

int pare_gguf_f64(const struct pare_gguf *file, const char *key, double *out,
                  struct pare_error *err)
{
    const struct pare_gguf_value *value;
    double x;
    int rc;
    PARE_TRY(find(file, key, &value, err));
    if (value->array || !pare_gguf_f64_at(value, 0, &x))
        return wrong_kind(file, value, "a number", err);
    *out = x;
out:
    return rc;
}

int pare_gguf_bool(const struct pare_gguf *file, const char *key, bool *out, struct pare_error *err)
{
    const struct pare_gguf_value *value;
    int rc;
    PARE_TRY(find(file, key, &value, err));
    if (value->array || !pare_gguf_bool_at(value, 0, out))
        return wrong_kind(file, value, "a bool", err);
out:
    return rc;
}

int pare_gguf_text(const struct pare_gguf *file, const char *key, struct pare_gguf_text *out,
                   struct pare_error *err)
{
    const struct pare_gguf_value *value;
    int rc;
    PARE_TRY(find(file, key, &value, err));
    if (value->array || !pare_gguf_text_at(value, 0, out))
        return wrong_kind(file, value, "a text", err);
out:
    return rc;
}

int pare_gguf_array(const struct pare_gguf *file, const char *key, enum pare_gguf_type kind,
                    const struct pare_gguf_value **out, struct pare_error *err)
{
    const struct pare_gguf_value *value;
    int rc;
    PARE_TRY(find(file, key, &value, err));
    bool integer = types[value->type].integer;
    bool number = integer || value->type == PARE_GGUF_F32 || value->type == PARE_GGUF_F64;
    bool fits = value->type == kind || (kind == PARE_GGUF_I64 && integer) ||
                (kind == PARE_GGUF_F64 && number);
    if (!value->array || !fits)
        return wrong_kind(file, value,
                          kind == PARE_GGUF_TEXT   ? "an array of texts"
                          : kind == PARE_GGUF_BOOL ? "an array of bools"
                          : kind == PARE_GGUF_I64  ? "an array of integers"
                                                   : "an array of numbers",
                          err);
    *out = value;
out:
    return rc;
}
