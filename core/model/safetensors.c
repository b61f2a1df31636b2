/* SPDX-License-Identifier: Apache-2.0 */
#include "model/safetensors.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/ggml.h"
#include "model/half.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAX ((size_t)100 << 20) /* the reference implementation's limit */
#define INDEX_MAX ((size_t)64 << 20)

static const struct {
    const char *name;
    uint8_t size;
} dtypes[PARE_DTYPE_COUNT] = {
    [PARE_F64] = {"F64", 8},    [PARE_F32] = {"F32", 4}, [PARE_F16] = {"F16", 2},
    [PARE_BF16] = {"BF16", 2},  [PARE_I64] = {"I64", 8}, [PARE_I32] = {"I32", 4},
    [PARE_I16] = {"I16", 2},    [PARE_I8] = {"I8", 1},   [PARE_U64] = {"U64", 8},
    [PARE_U32] = {"U32", 4},    [PARE_U16] = {"U16", 2}, [PARE_U8] = {"U8", 1},
    [PARE_BOOL8] = {"BOOL", 1},
};

const char *pare_dtype_name(unsigned dtype)
{
    return dtype < PARE_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

size_t pare_dtype_size(unsigned dtype)
{
    return dtype < PARE_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

void pare_tensors_free(struct pare_tensors *tensors)
{
    for (size_t i = 0; i < tensors->n; i++) {
        free(tensors->items[i].name);
        pare_blob_unref(tensors->items[i].data);
    }
    free(tensors->items);
    json_decref(tensors->metadata);
    *tensors = (struct pare_tensors){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct pare_tensor *)a)->name, ((const struct pare_tensor *)b)->name);
}

void pare_tensors_sort(struct pare_tensors *tensors)
{
    if (tensors->n)
        qsort(tensors->items, tensors->n, sizeof *tensors->items, by_name);
}

struct pare_tensor *pare_tensors_find(const struct pare_tensors *tensors, const char *name)
{
    size_t lo = 0, hi = tensors->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(name, tensors->items[mid].name);
        if (order == 0)
            return &tensors->items[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

int pare_tensors_add(struct pare_tensors *tensors, const char *name, enum pare_dtype dtype,
                     unsigned rank, const uint64_t *shape, struct pare_blob *data,
                     struct pare_error *err)
{
    if (rank > PARE_RANK_MAX)
        return pare_error_set(err, PARE_INVALID,
                              "tensor '%s' has %u dimensions, at most %d are read", name, rank,
                              PARE_RANK_MAX);
    char *own = pare_strdup(name);
    if (!own ||
        !pare_grow(&tensors->items, &tensors->cap, tensors->n + 1, sizeof *tensors->items)) {
        free(own);
        return pare_error_nomem(err, 0);
    }
    struct pare_tensor *t = &tensors->items[tensors->n++];
    *t = (struct pare_tensor){.name = own, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank};
    for (unsigned i = 0; i < rank; i++)
        t->shape[i] = shape[i];
    t->data = pare_blob_ref(data);
    return PARE_OK;
}

int pare_tensors_add_ggml(struct pare_tensors *tensors, const char *name, uint32_t type,
                          unsigned rank, const uint64_t *shape, struct pare_blob *data,
                          struct pare_error *err)
{
    enum pare_dtype dtype = type == PARE_GGML_F32    ? PARE_F32
                            : type == PARE_GGML_F16  ? PARE_F16
                            : type == PARE_GGML_BF16 ? PARE_BF16
                                                     : PARE_BLOCKS;
    int rc = pare_tensors_add(tensors, name, dtype, rank, shape, data, err);
    if (rc == PARE_OK)
        tensors->items[tensors->n - 1].ggml = (uint8_t)type;
    return rc;
}

/* ---- reading
 * ------------------------------------------------------------------------------------- */

/* One entry of the header: {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}. */
struct entry {
    unsigned dtype, rank;
    uint64_t shape[PARE_RANK_MAX];
    size_t begin, end;
};

static bool read_size(const json_t *j, uint64_t *out)
{
    if (!json_is_integer(j) || json_integer_value(j) < 0)
        return false;
    *out = (uint64_t)json_integer_value(j);
    return true;
}

static const char *parse_entry(const json_t *j, size_t data_size, struct entry *e)
{
    const char *name = json_string_value(json_object_get(j, "dtype"));
    const json_t *shape = json_object_get(j, "shape"),
                 *offsets = json_object_get(j, "data_offsets");
    if (!name || !json_is_array(shape) || json_array_size(offsets) != 2)
        return "has no dtype, shape or data_offsets";
    for (e->dtype = 0; e->dtype < PARE_DTYPE_COUNT && strcmp(name, dtypes[e->dtype].name) != 0;)
        e->dtype++;
    if (e->dtype == PARE_DTYPE_COUNT)
        return "has a dtype that is not known";
    if (json_array_size(shape) > PARE_RANK_MAX)
        return "has too many dimensions";
    e->rank = (unsigned)json_array_size(shape);
    size_t want = dtypes[e->dtype].size;
    for (unsigned i = 0; i < e->rank; i++) {
        if (!read_size(json_array_get(shape, i), &e->shape[i]))
            return "has a dimension that is no size";
        if (!pare_mul_size(want, e->shape[i], &want))
            return "has an absurd shape";
    }
    uint64_t begin, end;
    if (!read_size(json_array_get(offsets, 0), &begin) ||
        !read_size(json_array_get(offsets, 1), &end))
        return "has offsets that are no sizes";
    if (begin > end || end > data_size)
        return "lies outside the file";
    if (end - begin != want)
        return "has offsets that do not fit its shape";
    e->begin = begin;
    e->end = end;
    return NULL;
}

struct span {
    size_t begin, end;
    const char *name;
};

static int by_begin(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->begin != y->begin ? (x->begin < y->begin ? -1 : 1)
                                : (x->end > y->end) - (x->end < y->end);
}

static int check_overlap(const char *path, struct span *spans, size_t n, struct pare_error *err)
{
    if (n)
        qsort(spans, n, sizeof *spans, by_begin);
    for (size_t i = 1; i < n; i++) {
        if (spans[i].begin < spans[i - 1].end)
            return pare_error_set(err, PARE_INVALID, "%s: tensors '%s' and '%s' overlap", path,
                                  spans[i - 1].name, spans[i].name);
    }
    return PARE_OK;
}

static int read_header(const char *path, const struct pare_blob *file, json_t **out,
                       size_t *data_at, struct pare_error *err)
{
    uint64_t length = 0;
    json_error_t why;
    if (file->size < 8)
        return pare_error_set(err, PARE_INVALID, "%s is too short for a safetensors file", path);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | ((const uint8_t *)file->data)[i];
    if (length > HEADER_MAX || length > file->size - 8)
        return pare_error_set(err, PARE_INVALID,
                              "%s: the header is said to take %llu bytes, the file has %zu", path,
                              (unsigned long long)length, file->size);
    json_t *header =
        json_loadb((const char *)file->data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(header)) {
        json_decref(header);
        pare_error_set(err, PARE_INVALID, "%s: the header is no JSON object", path);
        pare_error_detail(err, "%s", why.text);
        return PARE_INVALID;
    }
    *out = header;
    *data_at = 8 + (size_t)length;
    return PARE_OK;
}

static int read_metadata(const char *path, json_t *header, struct pare_tensors *out,
                         struct pare_error *err)
{
    json_t *metadata = json_object_get(header, "__metadata__"), *value;
    const char *key;
    if (!metadata)
        return PARE_OK;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return pare_error_set(err, PARE_INVALID, "%s: metadata '%s' is no text", path, key);
    }
    if (!out->metadata)
        out->metadata = json_incref(metadata);
    return PARE_OK;
}

static int read_file(const char *path, struct pare_tensors *out, struct pare_error *err)
{
    struct pare_blob *file = NULL;
    json_t *header = NULL, *value;
    struct span *spans = NULL;
    size_t data_at = 0, n = 0;
    const char *name;
    int rc;
    PARE_TRY(pare_blob_map(path, &file, err));
    PARE_TRY(read_header(path, file, &header, &data_at, err));
    PARE_TRY(read_metadata(path, header, out, err));
    spans = pare_alloc(json_object_size(header), sizeof *spans);
    if (!spans) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    json_object_foreach(header, name, value)
    {
        struct entry e = {0};
        struct pare_blob *data = NULL;
        if (strcmp(name, "__metadata__") == 0)
            continue;
        const char *wrong = parse_entry(value, file->size - data_at, &e);
        if (wrong) {
            rc = pare_error_set(err, PARE_INVALID, "%s: tensor '%s' %s", path, name, wrong);
            goto out;
        }
        if (e.end > e.begin)
            spans[n++] = (struct span){e.begin, e.end, name};
        PARE_TRY(pare_blob_part(file, data_at + e.begin, e.end - e.begin, &data, err));
        rc = pare_tensors_add(out, name, (enum pare_dtype)e.dtype, e.rank, e.shape, data, err);
        pare_blob_unref(data);
        if (rc != PARE_OK)
            goto out;
    }
    PARE_TRY(check_overlap(path, spans, n, err));
out:
    free(spans);
    json_decref(header);
    pare_blob_unref(file);
    return rc;
}

/* The index maps tensor names to files beside it; a file name with a slash would lead elsewhere. */
static int read_index(const char *path, struct pare_tensors *out, struct pare_error *err)
{
    char *text = NULL, *folder = pare_path_folder(path);
    json_t *index = NULL, *files = json_object(), *value;
    const char *key;
    json_error_t why;
    size_t size;
    int rc;
    if (!folder || !files) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_file_read(path, INDEX_MAX, &text, &size, err));
    index = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    json_t *map = json_object_get(index, "weight_map");
    if (!json_is_object(map)) {
        rc = pare_error_set(err, PARE_INVALID, "%s has no weight_map", path);
        goto out;
    }
    json_object_foreach(map, key, value)
    {
        const char *name = json_string_value(value);
        if (!name || strchr(name, '/') || name[0] == '.') {
            rc = pare_error_set(err, PARE_INVALID, "%s: '%s' names no file beside it", path, key);
            goto out;
        }
        json_object_set_new(files, name, json_true());
    }
    json_object_foreach(files, key, value)
    {
        char *file = pare_path_join(folder, key);
        rc = file ? read_file(file, out, err) : pare_error_nomem(err, 0);
        free(file);
        if (rc != PARE_OK)
            goto out;
    }
out:
    free(text);
    free(folder);
    json_decref(index);
    json_decref(files);
    return rc;
}

void pare_tensors_hash(const struct pare_tensors *tensors, struct pare_hash *h)
{
    for (size_t i = 0; i < tensors->n; i++) {
        pare_hash_text(h, tensors->items[i].name);
        pare_hash_add(h, tensors->items[i].data->data, tensors->items[i].data->size);
    }
}

/* What would be a model; of a folder with a GGUF file in it that file. */
static void hint_models(const char *path, struct pare_error *err)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (!pare_ends_with(entry->d_name, ".gguf"))
            continue;
        pare_error_hint(err, "name the file: %s%s%s", path, pare_ends_with(path, "/") ? "" : "/",
                        entry->d_name);
        closedir(folder);
        return;
    }
    if (folder)
        closedir(folder);
    pare_error_hint(err, "a model is a folder with config.json and model.safetensors (or its "
                         ".index.json and the files that names), a .gguf file, or a .safetensors "
                         "file that Pare wrote");
}

int pare_tensors_open(const char *path, struct pare_tensors *out, struct pare_error *err)
{
    static const char *const inside[] = {"model.safetensors", "model.safetensors.index.json"};
    char *file = NULL;
    int rc = PARE_OK;
    *out = (struct pare_tensors){0};
    if (pare_is_folder(path)) {
        for (size_t i = 0; i < PARE_COUNT(inside); i++) {
            free(file);
            file = pare_path_join(path, inside[i]);
            if (file && pare_file_exists(file))
                break;
        }
    } else {
        file = pare_strdup(path);
    }
    if (!file) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    if (!pare_file_exists(file)) {
        rc = pare_is_folder(path)
                 ? pare_error_set(err, PARE_NOT_FOUND, "no model at %s: it holds no %s", path,
                                  inside[0])
                 : pare_error_set(err, PARE_NOT_FOUND, "no model at %s", path);
        hint_models(path, err);
        goto out;
    }
    PARE_TRY(pare_ends_with(file, ".json") ? read_index(file, out, err)
                                           : read_file(file, out, err));
    pare_tensors_sort(out);
    for (size_t i = 1; i < out->n; i++) {
        if (strcmp(out->items[i].name, out->items[i - 1].name) == 0) {
            rc = pare_error_set(err, PARE_INVALID, "%s: tensor '%s' is there twice", path,
                                out->items[i].name);
            goto out;
        }
    }
out:
    if (rc != PARE_OK)
        pare_tensors_free(out);
    free(file);
    return rc;
}

/* ---- taking
 * -------------------------------------------------------------------------------------- */

static int to_f32(const struct pare_tensor *t, struct pare_blob **out, struct pare_error *err)
{
    size_t n = t->data->size / pare_dtype_size(t->dtype);
    const uint8_t *from = t->data->data;
    if (t->dtype == PARE_F32 && (uintptr_t)from % sizeof(float) == 0) {
        *out = pare_blob_ref(t->data);
        return PARE_OK;
    }
    int rc = pare_blob_new(n, sizeof(float), out, err);
    if (rc != PARE_OK)
        return rc;
    float *to = (*out)->data;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        double wide;
        switch (t->dtype) {
        case PARE_F32:
            memcpy(&to[i], from + 4 * i, 4);
            break;
        case PARE_F64:
            memcpy(&wide, from + 8 * i, 8);
            to[i] = (float)wide;
            break;
        default:
            memcpy(&half, from + 2 * i, 2);
            to[i] = t->dtype == PARE_F16 ? pare_f16_to_f32(half) : pare_bf16_to_f32(half);
        }
    }
    return PARE_OK;
}

static void print_shape(const uint64_t *shape, unsigned rank, char *out, size_t size)
{
    struct pare_str s = {0};
    pare_str_append(&s, "[");
    for (unsigned i = 0; i < rank; i++)
        pare_str_printf(&s, "%s%llu", i ? ", " : "", (unsigned long long)shape[i]);
    pare_str_append(&s, "]");
    snprintf(out, size, "%s", s.failed ? "?" : s.data);
    pare_str_free(&s);
}

int pare_tensors_expect(const struct pare_tensors *tensors, const char *name, unsigned rank,
                        const uint64_t *shape, struct pare_tensor **out, struct pare_error *err)
{
    struct pare_tensor *t = pare_tensors_find(tensors, name);
    if (!t)
        return pare_error_set(err, PARE_INVALID, "the model has no tensor '%s'", name);
    unsigned skip = 0;
    while (t->rank - skip > rank && t->shape[skip] == 1)
        skip++;
    bool same = t->rank - skip == rank;
    for (unsigned i = 0; same && i < rank; i++)
        same = t->shape[skip + i] == shape[i];
    if (!same) {
        char have[160], want[160];
        print_shape(t->shape, t->rank, have, sizeof have);
        print_shape(shape, rank, want, sizeof want);
        pare_error_set(err, PARE_INVALID, "tensor '%s' has shape %s, %s is expected", name, have,
                       want);
        pare_error_hint(err, "the configuration and the weights may belong to different models");
        return PARE_INVALID;
    }
    *out = t;
    return PARE_OK;
}

int pare_tensors_take(struct pare_tensors *tensors, const char *name, unsigned rank,
                      const uint64_t *shape, struct pare_blob **out, struct pare_error *err)
{
    struct pare_tensor *t;
    int rc = pare_tensors_expect(tensors, name, rank, shape, &t, err);
    if (rc != PARE_OK)
        return rc;
    if (t->dtype > PARE_BF16)
        return pare_error_set(err, PARE_INVALID,
                              "tensor '%s' has dtype %s, a floating-point one is expected", name,
                              pare_dtype_name(t->dtype));
    rc = to_f32(t, out, err);
    if (rc != PARE_OK)
        return rc;
    const float *x = (*out)->data;
    for (size_t i = 0; i < (*out)->size / sizeof *x; i++) {
        if (!isfinite(x[i])) {
            pare_blob_unref(*out);
            *out = NULL;
            return pare_error_set(err, PARE_INVALID, "tensor '%s': number %zu is not finite", name,
                                  i);
        }
    }
    t->used = true;
    return PARE_OK;
}

/* ---- writing
 * ------------------------------------------------------------------------------------- */

static json_t *header_of(const struct pare_tensors *tensors)
{
    json_t *header = json_object();
    size_t at = 0;
    if (tensors->metadata)
        json_object_set(header, "__metadata__", tensors->metadata);
    for (size_t i = 0; i < tensors->n; i++) {
        const struct pare_tensor *t = &tensors->items[i];
        json_t *shape = json_array();
        for (unsigned d = 0; d < t->rank; d++)
            json_array_append_new(shape, json_integer((json_int_t)t->shape[d]));
        size_t end = at + t->data->size;
        json_object_set_new(header, t->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", pare_dtype_name(t->dtype),
                                      "shape", shape, "data_offsets", (json_int_t)at,
                                      (json_int_t)end));
        at = end;
    }
    return header;
}

int pare_tensors_write(const char *path, const struct pare_tensors *tensors, struct pare_error *err)
{
    struct pare_str head = {0};
    struct pare_file_part *pieces = pare_alloc(tensors->n + 1, sizeof *pieces);
    json_t *header = header_of(tensors);
    char *text = json_dumps(header, JSON_COMPACT | JSON_PRESERVE_ORDER);
    int rc = PARE_OK;
    if (!text || !pieces) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    uint64_t length = pare_round_up(strlen(text) + 8, PARE_ALIGN) - 8;
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (uint8_t)(length >> 8 * i);
    pare_str_append_n(&head, (const char *)prefix, 8);
    pare_str_append(&head, text);
    for (size_t i = strlen(text); i < length; i++)
        pare_str_append_n(&head, " ", 1);
    if (head.failed) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    pieces[0] = (struct pare_file_part){head.data, head.len};
    for (size_t i = 0; i < tensors->n; i++)
        pieces[i + 1] =
            (struct pare_file_part){tensors->items[i].data->data, tensors->items[i].data->size};
    PARE_TRY(pare_file_write_parts(path, pieces, tensors->n + 1, err));
out:
    pare_str_free(&head);
    free(pieces);
    free(text);
    json_decref(header);
    return rc;
}
