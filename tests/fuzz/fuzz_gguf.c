/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a GGUF file from a stranger. Whatever opens is read whole: every value, the first
 * rows of every tensor, and the entries written again and opened once more. With PARE_REPLAY an
 * ordinary program: the corpus, whole, cut and damaged. */
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "model/gguf.h"
#include "model/weight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLS_MAX = 4096, ROWS_MAX = 64, VALUES_MAX = 1000 };

/* Sums, so that nothing is read in vain. */
static double sink;

static void read_values(const struct pare_gguf *f)
{
    for (size_t i = 0; i < f->n_values; i++) {
        const struct pare_gguf_value *v = &f->values[i];
        if (pare_gguf_find(f, v->key) != v)
            abort();
        for (size_t k = 0; k < v->n && k < VALUES_MAX; k++) {
            struct pare_gguf_text text;
            int64_t whole;
            double real;
            bool flag;
            if (pare_gguf_text_at(v, k, &text))
                for (size_t c = 0; c < text.len; c++)
                    sink += text.data[c];
            sink += pare_gguf_i64_at(v, k, &whole) ? (double)whole : 0;
            sink += pare_gguf_f64_at(v, k, &real) ? real : 0;
            sink += pare_gguf_bool_at(v, k, &flag) ? flag : 0;
        }
    }
}

static void read_tensor(const struct pare_gguf *f, const struct pare_gguf_tensor *t)
{
    static float row[COLS_MAX];
    static int16_t codes[COLS_MAX];
    struct pare_weight *w = NULL, *fewer = NULL;
    struct pare_blob *data = NULL;
    struct pare_error err;
    uint32_t type;
    if (pare_gguf_tensor(f, t->name) != t)
        abort();
    uint64_t rows = t->data->size ? 1 : 0;
    for (uint32_t i = 1; i < t->rank; i++)
        rows *= t->dims[i];
    if (t->dims[0] > COLS_MAX || rows > ROWS_MAX ||
        pare_weight_from_ggml(t->type, (uint32_t)rows, (uint32_t)t->dims[0], t->data, &w, &err) !=
            PARE_OK)
        return;
    for (uint32_t r = 0; r < w->rows; r++) {
        pare_weight_decode(w, r, 1, row);
        sink += (double)row[w->cols - 1];
        if (w->values == PARE_VALUES_INT)
            pare_weight_codes(w, r, 1, codes);
    }
    if (pare_weight_check(w, &err) == PARE_OK) {
        uint8_t *keep = pare_alloc((size_t)w->rows * w->cols, 1);
        for (size_t i = 0; keep && i < (size_t)w->rows * w->cols; i++)
            keep[i] = i % 4 < 2;
        if (keep && pare_weight_with_structure(w, 0, 0, keep, &fewer, &err) == PARE_OK &&
            pare_weight_to_ggml(fewer, 1, &type, &data, &err) == PARE_OK)
            sink += type;
        free(keep);
    }
    pare_blob_unref(data);
    pare_weight_unref(fewer);
    pare_weight_unref(w);
}

/* What was read can be written, and reads again. */
static void write_again(const struct pare_gguf *f)
{
    char folder[] = "/tmp/pare-fuzz-XXXXXX", path[64];
    struct pare_gguf_draft *draft = NULL;
    struct pare_gguf *back = NULL;
    struct pare_error err;
    bool fine = mkdtemp(folder) && pare_gguf_draft_new(&draft, &err) == PARE_OK;
    for (size_t i = 0; fine && i < f->n_values; i++) {
        if (strcmp(f->values[i].key, "general.alignment") != 0)
            fine = pare_gguf_put_value(draft, &f->values[i], &err) == PARE_OK;
    }
    for (size_t i = 0; fine && i < f->n_tensors; i++) {
        const struct pare_gguf_tensor *t = &f->tensors[i];
        fine = pare_gguf_put_tensor(draft, t->name, t->type, t->rank, t->dims, t->data, &err) ==
               PARE_OK;
    }
    snprintf(path, sizeof path, "%s/x.gguf", folder);
    if (!fine || pare_gguf_write(path, draft, &err) != PARE_OK ||
        pare_gguf_open(path, &back, &err) != PARE_OK || back->n_tensors != f->n_tensors)
        abort();
    pare_gguf_close(back);
    pare_gguf_draft_free(draft);
    pare_remove_tree(folder, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pare_gguf *f = NULL;
    struct pare_error err;
    char path[64];
    int fd = memfd_create("gguf", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        goto out;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (pare_gguf_open(path, &f, &err) != PARE_OK) {
        if (!err.what[0] || !err.detail[0] || !err.hint[0])
            abort(); /* every refusal says what, where, and what to do */
        goto out;
    }
    read_values(f);
    for (size_t i = 0; i < f->n_tensors; i++)
        read_tensor(f, &f->tensors[i]);
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += data[i];
    if (sum % 64 == 0) /* files are slow: some */
        write_again(f);
out:
    pare_gguf_close(f);
    if (fd >= 0)
        close(fd);
    return 0;
}

#ifdef PARE_REPLAY
#include "tests/fuzz/replay.h"

enum { HITS = 1500 };

static void vary(char *data, size_t size)
{
    uint8_t *damaged = malloc(size);
    struct pare_random r;
    pare_random_seed(&r, size);
    for (size_t i = 0; i < size; i++) /* cut */
        LLVMFuzzerTestOneInput((const uint8_t *)data, i);
    for (int i = 0; damaged && i < HITS; i++) {
        memcpy(damaged, data, size);
        for (uint64_t k = 1 + pare_random_below(&r, 3); k > 0; k--) {
            size_t at = pare_random_below(&r, size);
            damaged[at] = (uint8_t)(i % 2 ? damaged[at] ^ 1u << pare_random_below(&r, 8)
                                          : pare_random_below(&r, 256));
        }
        LLVMFuzzerTestOneInput(damaged, size);
    }
    free(damaged);
}

int main(int argc, char **argv)
{
    return replay_main(argc, argv, "tests/fuzz/corpus/gguf", vary);
}
#endif
