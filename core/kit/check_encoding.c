/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of what a plugin's encoding does where it runs: its kernel, and bytes that are none of its
 * own. */
#include "kit/check_parts.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/random.h"
#include "engine/kernels/kernels.h"
#include "model/encoding.h"

enum { TOKENS = 17 };

/* Do something with each weight of the plugin's encoding that it makes of the tiny models. */
static void on_weights(struct pare_check *check,
                       void (*fn)(struct pare_check *check, const struct pare_weight *w))
{
    struct pare_check_subject s;
    size_t seen = 0;
    if (check->file->desc.kind != PARE_ENCODING) {
        pare_check_say(check, PARE_CHECK_SKIP, "it brings no encoding");
        return;
    }
    if (!pare_check_subject_begin(check, &s))
        return;
    pare_check_subject_end(&s);
    json_t *setting = pare_check_setting(check, NULL, NULL);
    struct pare_check_model m;
    for (size_t i = 0; setting && !pare_check_failed(check) && pare_check_model(check, i, &m);
         i++) {
        struct pare_check_outcome o;
        pare_check_apply(check, &m, &(struct pare_check_use){.setting = setting}, &o);
        for (uint32_t n = 0; o.rc == PARE_OK && n < o.graph->n_nodes; n++) {
            const struct pare_weight *w = o.graph->nodes[n].weight;
            if (!w || !w->encoding || pare_check_failed(check))
                continue;
            fn(check, w);
            seen++;
        }
        pare_check_outcome_free(&o);
        pare_check_model_free(&m);
    }
    json_decref(setting);
    if (!seen)
        pare_check_say(check, PARE_CHECK_FAIL, "with its defaults no weight is in its encoding");
}

/* ---- the kernel
 * ---------------------------------------------------------------------------------- */

struct product {
    const struct pare_weight *w;
    struct pare_encoded bytes;
    float *x, *y, *decoded;
    void *scratch;
};

static void product_free(struct product *p)
{
    free(p->x);
    free(p->y);
    free(p->decoded);
    free(p->scratch);
}

/* What a product of `bytes`, in the encoding and of the size of `w`, reads and writes. */
static bool product_new(struct pare_check *check, struct product *p, const struct pare_weight *w,
                        const struct pare_encoded *bytes)
{
    const struct pare_encoding *table = &w->encoding->table;
    const uint64_t scratch = table->multiply && table->scratch ? table->scratch(bytes, TOKENS) : 0;
    struct pare_random r;
    *p = (struct product){.w = w, .bytes = *bytes};
    if (scratch > PARE_PLUGIN_SCRATCH) {
        pare_check_say(check, PARE_CHECK_FAIL,
                       "scratch() asks for %" PRIu64 " bytes, at most %zu are given", scratch,
                       PARE_PLUGIN_SCRATCH);
        return false;
    }
    pare_random_seed(&r, 7);
    p->x = pare_alloc((size_t)TOKENS * w->cols, sizeof(float));
    p->y = pare_alloc((size_t)TOKENS * w->rows, sizeof(float));
    p->decoded = pare_alloc((size_t)w->rows * w->cols, sizeof(float));
    p->scratch = pare_alloc_aligned((size_t)scratch, 1);
    if (!p->x || !p->y || !p->decoded || !p->scratch)
        return false;
    for (size_t i = 0; i < (size_t)TOKENS * w->cols; i++)
        p->x[i] = (float)pare_random_normal(&r);
    table->decode(bytes, 0, w->rows, p->decoded);
    return true;
}

/* Outputs row .. row + n - 1 of tokens from .. from + tokens - 1, to where they belong in `y`. */
static void part(const struct product *p, uint32_t row, uint32_t n, uint32_t from, uint32_t tokens,
                 float *y)
{
    const struct pare_multiply job = {.struct_size = sizeof job,
                                      .row = row,
                                      .n = n,
                                      .tokens = tokens,
                                      .x = p->x + (size_t)from * p->w->cols,
                                      .y = y + (size_t)from * p->w->rows + row,
                                      .ldx = p->w->cols,
                                      .ldy = p->w->rows,
                                      .scratch = p->scratch};
    p->w->encoding->table.multiply(&p->bytes, &job);
}

/* A sum of k products, each off by a few roundings, in any order: (k + 8) roundings of the sum of
 * magnitudes bound it. */
static void compare_sums(struct pare_check *check, const struct product *p)
{
    const uint32_t k = p->w->cols;
    for (uint32_t t = 0; t < TOKENS; t++) {
        for (uint32_t r = 0; r < p->w->rows; r++) {
            const float *x = p->x + (size_t)t * k, *w = p->decoded + (size_t)r * k;
            double sum = 0, size = 0;
            for (uint32_t i = 0; i < k; i++) {
                sum += (double)x[i] * (double)w[i];
                size += fabs((double)x[i] * (double)w[i]);
            }
            const double y = (double)p->y[(size_t)t * p->w->rows + r];
            if (!(fabs(y - sum) <= (k + 8) * (double)FLT_EPSILON * size))
                pare_check_say(check, PARE_CHECK_FAIL,
                               "multiply() gives %.9g where decode() and plain sums give %.9g (%u "
                               "columns)",
                               y, sum, k);
        }
    }
}

static void cut_differently(struct pare_check *check, const struct product *p)
{
    const uint32_t rows = p->w->rows;
    static const uint32_t steps[][2] = {{1, 1}, {3, TOKENS}, {16, 2}, {7, 5}};
    float *y = pare_alloc((size_t)TOKENS * rows, sizeof *y);
    for (size_t s = 0; y && s < PARE_COUNT(steps); s++) {
        memset(y, 0xff, (size_t)TOKENS * rows * sizeof *y);
        for (uint32_t r = 0; r < rows; r += steps[s][0]) {
            for (uint32_t t = 0; t < TOKENS; t += steps[s][1])
                part(p, r, PARE_MIN(steps[s][0], rows - r), t,
                     PARE_MIN(steps[s][1], (uint32_t)TOKENS - t), y);
        }
        if (memcmp(y, p->y, (size_t)TOKENS * rows * sizeof *y) != 0)
            pare_check_say(check, PARE_CHECK_FAIL,
                           "multiply() gives other bits for %u outputs of %u tokens at a time than "
                           "for all",
                           steps[s][0], steps[s][1]);
    }
    free(y);
}

static void check_product(struct pare_check *check, const struct pare_weight *w)
{
    const struct pare_encoded bytes = pare_encoded_of(w);
    struct product p = {0};
    if (!w->encoding->table.multiply) {
        pare_check_say(
            check, PARE_CHECK_NOTE,
            "it has no kernel: products run as f32, and take as long and as much memory");
    } else if (product_new(check, &p, w, &bytes)) {
        part(&p, 0, w->rows, 0, TOKENS, p.y);
        compare_sums(check, &p);
        cut_differently(check, &p);
    }
    product_free(&p);
}

void pare_check_kernel(struct pare_check *check)
{
    on_weights(check, check_product);
}

/* ---- bytes of strangers
 * -------------------------------------------------------------------------- */

/* Memory after which nothing can be read. */
struct fence {
    char *pages;
    size_t room;
};

static void *behind(const struct fence *f, const void *data, size_t size)
{
    char *to = f->pages + (f->room - size) / PARE_ALIGN * PARE_ALIGN;
    memcpy(to, data, size);
    return to;
}

/* What passes check() is decoded without harm, to numbers. */
static void try_bytes(struct pare_check *check, const struct pare_weight *w, const void *data,
                      size_t size, const char *what)
{
    const struct pare_encoding *table = &w->encoding->table;
    struct pare_encoded bytes = pare_encoded_of(w);
    struct product p = {0};
    bytes.data = data;
    bytes.size = size;
    const char *why = table->check(&bytes);
    if (why)
        return;
    if (!product_new(check, &p, w, &bytes))
        goto out;
    bool finite = true;
    for (size_t i = 0; i < (size_t)w->rows * w->cols; i++)
        finite = finite && isfinite(p.decoded[i]);
    if (!finite)
        pare_check_say(check, PARE_CHECK_FAIL,
                       "check() takes %s that decode() makes numbers of that are not finite", what);
    if (table->multiply && finite)
        part(&p, 0, w->rows, 0, TOKENS, p.y);
out:
    product_free(&p);
}

static void change_bytes(struct pare_check *check, const struct pare_weight *w)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = w->stored->size;
    struct fence f = {.room = pare_round_up(size + PARE_ALIGN, page)};
    struct pare_random r;
    char *copy = pare_alloc(size + 1, 1);
    f.pages = mmap(NULL, f.room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!copy || f.pages == MAP_FAILED || mprotect(f.pages + f.room, page, PROT_NONE) != 0)
        goto out;
    pare_random_seed(&r, size);
    for (unsigned i = 0; i < 60 && !pare_check_failed(check); i++) {
        const unsigned changes = 1 + i / 4;
        memcpy(copy, w->stored->data, size);
        for (unsigned k = 0; k < changes; k++) /* the first bytes are where sizes and scales are */
            copy[pare_random_below(&r, k % 2 ? size : PARE_MIN(size, (size_t)64))] =
                (char)pare_random_below(&r, 256);
        try_bytes(check, w, behind(&f, copy, size), size, "changed bytes");
    }
    for (size_t n = 0; n < size && !pare_check_failed(check); n += 1 + size / 20)
        try_bytes(check, w, behind(&f, w->stored->data, n), n, "cut bytes");
out:
    if (f.pages != MAP_FAILED)
        munmap(f.pages, f.room + page);
    free(copy);
}

void pare_check_bytes(struct pare_check *check)
{
    on_weights(check, change_bytes);
}
