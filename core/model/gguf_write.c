/* SPDX-License-Identifier: Apache-2.0 */
/* Writing GGUF: metadata is put down as it will stand in the file, tensors are remembered, and one
 * pass writes it all to a temporary file that takes its name at the end. */
#include "base/file.h"
#include "base/str.h"
#include "model/gguf_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pare_gguf_draft {
    struct pare_str values;
    const char **keys;
    size_t n_values, cap_values;
    struct pare_gguf_tensor *tensors;
    size_t n_tensors, cap_tensors;
    struct pare_pool pool;
};

int pare_gguf_draft_new(struct pare_gguf_draft **out, struct pare_error *err)
{
    *out = pare_calloc(1, sizeof **out);
    return *out ? PARE_OK : pare_error_nomem(err, sizeof **out);
}

void pare_gguf_draft_free(struct pare_gguf_draft *draft)
{
    if (!draft)
        return;
    for (size_t i = 0; i < draft->n_tensors; i++)
        pare_blob_unref(draft->tensors[i].data);
    free(draft->tensors);
    free(draft->keys);
    pare_str_free(&draft->values);
    pare_pool_free(&draft->pool);
    free(draft);
}

/* ---- metadata
 * ------------------------------------------------------------------------------------ */

static void add_number(struct pare_str *s, uint64_t x, unsigned size)
{
    char bytes[8];
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (char)(x >> 8 * i);
    pare_str_append_n(s, bytes, size);
}

static void add_text(struct pare_str *s, const char *text, size_t n)
{
    add_number(s, n, 8);
    pare_str_append_n(s, text, n);
}

static int check_name(const char *name, size_t most, const char *what, struct pare_error *err)
{
    size_t n = strlen(name);
    if (n == 0 || n > most || !pare_gguf_is_name((const uint8_t *)name, n))
        return pare_error_set(err, PARE_INVALID,
                              "'%.80s' cannot be %s in GGUF: 1 to %zu bytes of UTF-8 may be", name,
                              what, most);
    return PARE_OK;
}

/* Begin an entry: its key and type. */
static int begin_value(struct pare_gguf_draft *d, const char *key, unsigned type,
                       struct pare_error *err)
{
    int rc;
    PARE_TRY(check_name(key, PARE_GGUF_KEY_MAX, "a key", err));
    for (size_t i = 0; i < d->n_values; i++) {
        if (strcmp(d->keys[i], key) == 0)
            return pare_error_set(err, PARE_INVALID, "key '%s' is put twice", key);
    }
    if (strcmp(key, "general.alignment") == 0)
        return pare_error_set(err, PARE_INVALID, "the alignment is not for the caller to put");
    const char *own = pare_pool_strdup(&d->pool, key);
    if (!own || !pare_grow(&d->keys, &d->cap_values, d->n_values + 1, sizeof *d->keys))
        return pare_error_nomem(err, 0);
    d->keys[d->n_values++] = own;
    add_text(&d->values, key, strlen(key));
    add_number(&d->values, type, 4);
out:
    return rc;
}

static int end_value(const struct pare_gguf_draft *d, struct pare_error *err)
{
    return d->values.failed ? pare_error_nomem(err, d->values.len) : PARE_OK;
}

static int put_number(struct pare_gguf_draft *d, const char *key, unsigned type, uint64_t bits,
                      struct pare_error *err)
{
    int rc;
    PARE_TRY(begin_value(d, key, type, err));
    add_number(&d->values, bits, (unsigned)pare_gguf_type_size(type));
    rc = end_value(d, err);
out:
    return rc;
}

int pare_gguf_put_u32(struct pare_gguf_draft *draft, const char *key, uint32_t value,
                      struct pare_error *err)
{
    return put_number(draft, key, PARE_GGUF_U32, value, err);
}

int pare_gguf_put_u64(struct pare_gguf_draft *draft, const char *key, uint64_t value,
                      struct pare_error *err)
{
    return put_number(draft, key, PARE_GGUF_U64, value, err);
}

int pare_gguf_put_f32(struct pare_gguf_draft *draft, const char *key, float value,
                      struct pare_error *err)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_number(draft, key, PARE_GGUF_F32, bits, err);
}

int pare_gguf_put_bool(struct pare_gguf_draft *draft, const char *key, bool value,
                       struct pare_error *err)
{
    return put_number(draft, key, PARE_GGUF_BOOL, value, err);
}

int pare_gguf_put_text(struct pare_gguf_draft *draft, const char *key, const char *text,
                       struct pare_error *err)
{
    int rc;
    PARE_TRY(begin_value(draft, key, PARE_GGUF_TEXT, err));
    add_text(&draft->values, text, strlen(text));
    rc = end_value(draft, err);
out:
    return rc;
}

static int begin_array(struct pare_gguf_draft *d, const char *key, unsigned type, size_t n,
                       struct pare_error *err)
{
    int rc = begin_value(d, key, PARE_GGUF_ARRAY, err);
    if (rc == PARE_OK) {
        add_number(&d->values, type, 4);
        add_number(&d->values, n, 8);
    }
    return rc;
}

int pare_gguf_put_array(struct pare_gguf_draft *draft, const char *key, enum pare_gguf_type type,
                        size_t n, const void *elements, struct pare_error *err)
{
    size_t bytes;
    int rc;
    if (pare_gguf_type_size(type) == 0 || !pare_mul_size(n, pare_gguf_type_size(type), &bytes))
        return pare_error_set(err, PARE_INVALID, "'%s' cannot be an array of that type", key);
    PARE_TRY(begin_array(draft, key, type, n, err));
    pare_str_append_n(&draft->values, elements, bytes);
    rc = end_value(draft, err);
out:
    return rc;
}

int pare_gguf_put_texts(struct pare_gguf_draft *draft, const char *key, size_t n,
                        const struct pare_gguf_text *texts, struct pare_error *err)
{
    int rc;
    PARE_TRY(begin_array(draft, key, PARE_GGUF_TEXT, n, err));
    for (size_t i = 0; i < n; i++)
        add_text(&draft->values, texts[i].data, texts[i].len);
    rc = end_value(draft, err);
out:
    return rc;
}

int pare_gguf_put_value(struct pare_gguf_draft *draft, const struct pare_gguf_value *value,
                        struct pare_error *err)
{
    size_t bytes = value->n * pare_gguf_type_size(value->type);
    struct pare_gguf_text last;
    int rc;
    if (value->type == PARE_GGUF_TEXT && value->n) {
        pare_gguf_text_at(value, value->n - 1, &last);
        bytes = (size_t)(last.data + last.len - (const char *)value->data);
    }
    PARE_TRY(value->array ? begin_array(draft, value->key, value->type, value->n, err)
                          : begin_value(draft, value->key, value->type, err));
    pare_str_append_n(&draft->values, (const char *)value->data, bytes);
    rc = end_value(draft, err);
out:
    return rc;
}

/* ---- tensors
 * ------------------------------------------------------------------------------------- */

int pare_gguf_put_tensor(struct pare_gguf_draft *draft, const char *name, uint32_t type,
                         uint32_t rank, const uint64_t *dims, struct pare_blob *data,
                         struct pare_error *err)
{
    const struct pare_ggml_kind *kind = pare_ggml_find(type);
    size_t count = 1, bytes;
    int rc;
    /* llama.cpp counts the end of a name among its 64 bytes */
    PARE_TRY(check_name(name, PARE_GGUF_NAME_MAX - 1, "a tensor's name", err));
    bool fits = kind && rank >= 1 && rank <= PARE_GGUF_RANK_MAX && dims[0] % kind->elements == 0;
    for (uint32_t i = 0; fits && i < rank; i++)
        fits = dims[i] > 0 && dims[i] <= SIZE_MAX && pare_mul_size(count, (size_t)dims[i], &count);
    if (!fits || !pare_ggml_bytes(kind, count, &bytes) || bytes != data->size)
        return pare_error_set(err, PARE_INVALID,
                              "tensor '%s': %zu bytes do not fit its type and shape", name,
                              data->size);
    for (size_t i = 0; i < draft->n_tensors; i++) {
        if (strcmp(draft->tensors[i].name, name) == 0)
            return pare_error_set(err, PARE_INVALID, "tensor '%s' is put twice", name);
    }
    const char *own = pare_pool_strdup(&draft->pool, name);
    if (!own || !pare_grow(&draft->tensors, &draft->cap_tensors, draft->n_tensors + 1,
                           sizeof *draft->tensors))
        return pare_error_nomem(err, 0);
    struct pare_gguf_tensor *t = &draft->tensors[draft->n_tensors++];
    *t = (struct pare_gguf_tensor){.name = own, .type = type, .rank = rank};
    for (uint32_t i = 0; i < PARE_GGUF_RANK_MAX; i++)
        t->dims[i] = i < rank ? dims[i] : 1;
    t->data = pare_blob_ref(data);
out:
    return rc;
}

/* ---- the file
 * ------------------------------------------------------------------------------------ */

/* All that comes before the data. */
static void make_head(const struct pare_gguf_draft *d, struct pare_str *head)
{
    uint64_t offset = 0;
    pare_str_append_n(head, "GGUF", 4);
    add_number(head, 3, 4);
    add_number(head, d->n_tensors, 8);
    add_number(head, d->n_values, 8);
    pare_str_append_n(head, d->values.data ? d->values.data : "", d->values.len);
    for (size_t i = 0; i < d->n_tensors; i++) {
        const struct pare_gguf_tensor *t = &d->tensors[i];
        add_text(head, t->name, strlen(t->name));
        add_number(head, t->rank, 4);
        for (uint32_t k = 0; k < t->rank; k++)
            add_number(head, t->dims[k], 8);
        add_number(head, t->type, 4);
        add_number(head, offset, 8);
        offset += pare_round_up(t->data->size, PARE_GGUF_ALIGNMENT);
    }
}

/* `size` bytes, and zeros up to the next multiple of the alignment. */
static struct pare_file_part *add_part(struct pare_file_part *to, const void *data, size_t size)
{
    static const char zeros[PARE_GGUF_ALIGNMENT];
    *to++ = (struct pare_file_part){data, size};
    *to++ = (struct pare_file_part){zeros, pare_round_up(size, PARE_GGUF_ALIGNMENT) - size};
    return to;
}

int pare_gguf_write(const char *path, const struct pare_gguf_draft *draft, struct pare_error *err)
{
    struct pare_str head = {0};
    struct pare_file_part *parts = pare_alloc(draft->n_tensors + 1, 2 * sizeof *parts), *end;
    int rc;
    make_head(draft, &head);
    if (!parts || head.failed) {
        rc = pare_error_nomem(err, head.len);
        goto out;
    }
    end = add_part(parts, head.data, head.len);
    for (size_t i = 0; i < draft->n_tensors; i++)
        end = add_part(end, draft->tensors[i].data->data, draft->tensors[i].data->size);
    rc = pare_file_write_parts(path, parts, (size_t)(end - parts), err);
out:
    free(parts);
    pare_str_free(&head);
    return rc;
}
