/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/own_encoding.h"
#include "tests/unit/test.h"

#include "base/mem.h"
#include "base/random.h"
#include "bench/onednn.h"
#include "engine/kernels/kernels.h"
#include "model/ggml.h"
#include "model/half.h"

#define EPS 5.9604645e-8 /* 2^-24, the rounding of one float operation */

/* ---- weights of every encoding
 * ------------------------------------------------------------------- */

struct encoding {
    uint32_t n, m;  /* N:M; n = 0 with m = 1: bitmap; m = 0: dense */
    uint32_t bits;  /* 0: f32; F16, BF16 */
    uint32_t group; /* 0: one per row */
    uint32_t zero_kind;
    uint32_t activations; /* 0: f32; 8: int8, a scale per token; BLOCKS: one per 32 columns */
};

#define BLOCKS 32u
#define F16 16u
#define BF16 17u
#define OWN 18u  /* a plugin's, with a kernel */
#define SLOW 19u /* ... without */

static uint32_t activation_bits(const struct encoding *e)
{
    return e->activations ? 8 : 0;
}

static uint32_t activation_group(const struct encoding *e)
{
    return e->activations == BLOCKS ? PARE_ACTIVATION_GROUP : 0;
}

static float *random_floats(struct pare_random *r, size_t n)
{
    float *x = pare_alloc_aligned(n + 1, sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)pare_random_normal(r);
    return x;
}

static struct pare_weight *structured(struct pare_random *r, struct pare_weight *w,
                                      const struct encoding *e)
{
    struct pare_error err = {0};
    struct pare_weight *out = NULL;
    uint8_t *keep = pare_calloc((size_t)w->rows * w->cols, 1);
    for (size_t row = 0; row < w->rows; row++) {
        for (uint32_t k = 0; k < w->cols; k++) {
            uint8_t *at = keep + row * w->cols;
            if (e->n == 0)
                at[k] = pare_random_below(r, 3) == 0;
            else if (k % e->m == 0)
                for (uint32_t i = 0, start = (uint32_t)pare_random_below(r, e->m); i < e->n; i++)
                    if (k + (start + i * 2) % e->m < w->cols)
                        at[k + (start + i * 2) % e->m] = 1;
        }
    }
    ck_assert_ok(pare_weight_with_structure(w, e->n, e->n ? e->m : 0, keep, &out, &err), err);
    free(keep);
    pare_weight_unref(w);
    return out;
}

static struct pare_weight *quantized(struct pare_random *r, struct pare_weight *w,
                                     const struct encoding *e)
{
    struct pare_error err = {0};
    struct pare_weight *out = NULL;
    uint32_t group = e->group ? e->group : w->cols, groups = (w->cols + group - 1) / group;
    size_t n = (size_t)w->rows * w->cols, n_groups = (size_t)w->rows * groups;
    int16_t *codes = pare_alloc(n, sizeof *codes);
    float *scales = pare_alloc(n_groups, sizeof *scales),
          *zeros = pare_alloc(n_groups, sizeof *zeros);
    for (size_t i = 0; i < n; i++)
        codes[i] = (int16_t)((int)pare_random_below(r, 1u << e->bits) -
                             (e->zero_kind == PARE_ZERO_NONE ? 1 << (e->bits - 1) : 0));
    for (size_t i = 0; i < n_groups; i++) {
        scales[i] = pare_f16_to_f32(pare_f32_to_f16(0.01f + (float)pare_random_unit(r) * 0.1f));
        zeros[i] = e->zero_kind == PARE_ZERO_INT
                       ? (float)pare_random_below(r, 1u << e->bits)
                       : pare_f16_to_f32(pare_f32_to_f16((float)pare_random_normal(r)));
    }
    struct pare_integers integers = {.struct_size = sizeof integers,
                                     .bits = e->bits,
                                     .group_size = e->group,
                                     .zero_kind = e->zero_kind,
                                     .codes = codes,
                                     .scales = scales,
                                     .zeros = e->zero_kind == PARE_ZERO_NONE ? NULL : zeros};
    ck_assert_ok(pare_weight_with_integers(w, &integers, &out, &err), err);
    free(codes);
    free(scales);
    free(zeros);
    pare_weight_unref(w);
    return out;
}

static struct pare_weight *halves(struct pare_weight *w, const struct encoding *e)
{
    struct pare_error err = {0};
    struct pare_weight *out = NULL;
    struct pare_blob *blob = NULL;
    const size_t n = (size_t)w->rows * w->cols;
    float *values = pare_alloc(n, sizeof *values);
    ck_assert_ok(pare_blob_new(n, sizeof(uint16_t), &blob, &err), err);
    pare_weight_decode(w, 0, w->rows, values);
    for (size_t i = 0; i < n; i++)
        ((uint16_t *)blob->data)[i] =
            e->bits == F16 ? pare_f32_to_f16(values[i]) : pare_f32_to_bf16(values[i]);
    ck_assert_ok(pare_weight_from_ggml(e->bits == F16 ? PARE_GGML_F16 : PARE_GGML_BF16, w->rows,
                                       w->cols, blob, &out, &err),
                 err);
    pare_blob_unref(blob);
    pare_weight_unref(w);
    free(values);
    return out;
}

static struct pare_weight *owned(struct pare_weight *w, const struct encoding *e)
{
    const bool own = e->bits == OWN;
    struct pare_weight *out =
        own_weight(own ? "test.own" : "test.slow", own ? &own_encoding : &slow_encoding, w->rows,
                   w->cols, w->stored->data);
    pare_weight_unref(w);
    return out;
}

static struct pare_weight *make_weight(struct pare_random *r, uint32_t rows, uint32_t cols,
                                       const struct encoding *e)
{
    struct pare_error err = {0};
    struct pare_weight *w = NULL;
    float *values = random_floats(r, (size_t)rows * cols);
    ck_assert_ok(pare_weight_new(rows, cols, values, &w, &err), err);
    free(values);
    if (e->m)
        w = structured(r, w, e);
    if (e->bits >= OWN)
        w = owned(w, e);
    else if (e->bits >= F16)
        w = halves(w, e);
    else if (e->bits)
        w = quantized(r, w, e);
    return w;
}

/* ---- running a product
 * --------------------------------------------------------------------------- */

struct inputs {
    const struct pare_kernels *kernels;
    const float *x;
    uint32_t m, k;
    void *prepared; /* transposed, or codes */
    float *scales;
};

static void prepare(struct inputs *in, enum pare_input kind)
{
    const struct pare_kernels *k = in->kernels;
    if (kind == PARE_INPUT_INT8) {
        in->prepared = pare_alloc_aligned((size_t)in->m * pare_round_up(in->k, 16), k->code_size);
        in->scales = pare_alloc(in->m, sizeof(float));
        k->quantize(in->x, in->m, in->k, in->prepared, pare_round_up(in->k, 16), in->scales);
    } else if (kind == PARE_INPUT_BLOCKS) {
        in->prepared = pare_alloc_aligned((size_t)in->m * pare_blocks_of(in->k).bytes, 1);
        k->quantize_blocks(in->x, in->m, in->k, in->prepared);
    } else if (kind == PARE_INPUT_BF16) {
        in->prepared = pare_alloc((size_t)in->m * pare_bf16_stride(in->k), sizeof(uint16_t));
        k->to_bf16(in->x, in->m, in->k, in->prepared);
    } else if (kind == PARE_INPUT_TRANSPOSED) {
        uint32_t blocks = (in->m + k->token_block - 1) / k->token_block;
        in->prepared = pare_calloc((size_t)blocks * k->token_block * in->k + 1, sizeof(float));
        for (uint32_t b = 0; b < blocks; b++)
            k->transpose(in->x, in->m, in->k, b,
                         (float *)in->prepared + (size_t)b * k->token_block * in->k);
    }
}

/* Parts: 1 whole; otherwise cut both ways into that many, in any order. */
static void run_product(const struct inputs *in, const struct pare_packed *w,
                        const struct pare_epilogue *end, float *y, uint32_t parts)
{
    struct pare_job job = {.w = w, .x = in->x, .end = *end, .y = y, .rows = in->m};
    uint32_t rows = in->m;
    if (pare_product_input(w->product) == PARE_INPUT_INT8)
        job.q = (struct pare_quantized){in->prepared, in->scales, pare_round_up(in->k, 16)};
    job.blocks = job.halves = in->prepared;
    if (pare_product_input(w->product) == PARE_INPUT_TRANSPOSED) {
        job.x = in->prepared;
        rows = (in->m + in->kernels->token_block - 1) / in->kernels->token_block;
    }
    job.scratch = pare_alloc_aligned(pare_job_scratch(w, in->m) + 1, 1);
    for (uint32_t i = parts; i-- > 0;) {
        for (uint32_t j = 0; j < parts; j++) {
            job.m0 = rows * i / parts;
            job.m1 = rows * (i + 1) / parts;
            job.p0 = w->panels * j / parts;
            job.p1 = w->panels * (j + 1) / parts;
            if (job.m0 < job.m1 && job.p0 < job.p1)
                in->kernels->product[w->product](&job);
        }
    }
    job.m0 = job.m1 = 0; /* no rows: nothing is written */
    job.p0 = 0;
    job.p1 = w->panels;
    job.y = NULL;
    in->kernels->product[w->product](&job);
    free(job.scratch);
}

static double act64(unsigned activation, double x)
{
    switch (activation) {
    case PARE_ACT_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case PARE_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case PARE_ACT_SILU:
        return x / (1 + exp(-x));
    case PARE_ACT_RELU:
        return x < 0 ? 0 : x;
    case PARE_ACT_TANH:
        return tanh(x);
    default:
        return x;
    }
}

/* Against sums in double. A sum of k products in float is off by at most (k + 2) roundings of the
 * sum of magnitudes (products of two bf16 are exact in float, however a pair of them is added);
 * scales, bias, activation (slope below 1.13) and residual add a few more. */
static void check_product(const struct pare_kernels *kernels, const struct pare_weight *w,
                          const struct encoding *e, struct pare_choice choice, uint32_t m,
                          struct pare_random *r, bool *seen)
{
    struct pare_error err = {0};
    struct pare_packed *p = NULL;
    const uint32_t n = w->rows, k = w->cols;
    ck_assert_ptr_nonnull(kernels->product[choice.product]);
    ck_assert_ok(pare_pack(kernels, choice.product, w, &p, &err), err);
    seen[choice.product] = true;
    float *x = random_floats(r, (size_t)m * k + 1) + 1; /* not aligned */
    float *bias = random_floats(r, n + 1) + 1, *residual = random_floats(r, (size_t)m * n + 1) + 1;
    float *y = pare_alloc((size_t)m * n + 2, sizeof *y),
          *again = pare_alloc((size_t)m * n + 2, sizeof *y);
    float *decoded = pare_alloc((size_t)n * k, sizeof *decoded);
    double *used = pare_alloc((size_t)m * k, sizeof *used);
    pare_weight_decode(w, 0, n, decoded);
    const uint32_t group = activation_group(e) ? activation_group(e) : k;
    for (size_t row = 0; row < m; row++) {
        float top = 0;
        for (size_t i = 0; i < k; i++) {
            if (i % group == 0) {
                top = 0;
                for (size_t j = i; j < PARE_MIN(i + group, (size_t)k); j++)
                    top = fmaxf(top, fabsf(x[row * k + j]));
            }
            float *v = &x[row * k + i];
            used[row * k + i] = (double)*v;
            if (e->activations)
                used[row * k + i] =
                    (double)nearbyintf(*v * (127.0f / top)) * (double)(top / 127.0f);
            if (pare_product_input(choice.product) == PARE_INPUT_BF16)
                used[row * k + i] = (double)pare_bf16_to_f32(pare_f32_to_bf16(*v));
            if (choice.dequantize)
                *v = nearbyintf(*v * (127.0f / top)) * (top / 127.0f);
        }
    }
    const struct pare_epilogue ends[] = {
        {.factor = 1},
        {.bias = bias, .factor = 1, .activation = PARE_ACT_GELU},
        {.bias = bias, .residual = residual, .factor = 0.5f},
    };
    struct inputs in = {.kernels = kernels, .x = x, .m = m, .k = k};
    prepare(&in, pare_product_input(choice.product));
    for (size_t t = 0; t < PARE_COUNT(ends); t++) {
        y[m * n] = y[m * n + 1] = 1234.5f;
        run_product(&in, p, &ends[t], y, 1);
        ck_assert(y[m * n] == 1234.5f && y[m * n + 1] == 1234.5f);
        for (size_t row = 0; row < m; row++) {
            for (size_t col = 0; col < n; col++) {
                double sum = 0, size = 0;
                for (size_t i = 0; i < k; i++) {
                    double v = used[row * k + i] * (double)decoded[col * k + i];
                    sum += v;
                    /* What integer products add up before zeros are taken off may be larger. */
                    size += fabs(v) + (e->zero_kind && e->activations
                                           ? fabs(used[row * k + i]) * 2 *
                                                 (fabs((double)decoded[col * k + i]) + 30)
                                           : 0);
                }
                double b = ends[t].bias ? (double)bias[col] : 0;
                double want = act64(ends[t].activation, sum + b);
                double off = EPS * ((k + 8) * size + 8 * (fabs(sum) + fabs(b) + fabs(want) + 1));
                if (ends[t].residual) {
                    want = 0.5 * (want + (double)residual[row * n + col]);
                    off += EPS * fabs((double)residual[row * n + col]) * 2;
                }
                ck_assert_msg(fabs((double)y[row * n + col] - want) <= off,
                              "%s %s %u x %u x %u [%zu, %zu] end %zu: %.9g, not %.9g +- %.2g",
                              pare_isa_name((enum pare_isa)kernels->isa),
                              pare_product_name(choice.product), m, k, n, row, col, t,
                              (double)y[row * n + col], want, off);
            }
        }
        run_product(&in, p, &ends[t], again, 2);
        ck_assert_msg(memcmp(y, again, (size_t)m * n * sizeof *y) == 0, "parts change bits: %s",
                      pare_product_name(choice.product));
    }
    /* The last row alone has the bits it has among others. */
    struct inputs one = {.kernels = kernels, .x = x + (size_t)(m - 1) * k, .m = 1, .k = k};
    prepare(&one, pare_product_input(choice.product));
    run_product(&in, p, &ends[1], y, 1);
    run_product(&one, p, &ends[1], again, 1);
    ck_assert_msg(memcmp(y + (size_t)(m - 1) * n, again, n * sizeof *y) == 0,
                  "batch changes bits: %s", pare_product_name(choice.product));
    free(in.prepared);
    free(in.scales);
    free(one.prepared);
    free(one.scales);
    free(x - 1);
    free(bias - 1);
    free(residual - 1);
    free(y);
    free(again);
    free(decoded);
    free(used);
    pare_packed_free(p);
}

static const struct encoding encodings[] = {
    {0, 0, 0, 0, 0, 0},       {0, 0, 0, 0, 0, 8},       {0, 0, 8, 0, 0, 0},
    {0, 0, 8, 32, 0, 0},      {0, 0, 8, 32, 1, 0},      {0, 0, 8, 32, 2, 0},
    {0, 0, 8, 5, 0, 0},       {0, 0, 4, 0, 0, 0},       {0, 0, 4, 32, 0, 0},
    {0, 0, 4, 32, 1, 0},      {0, 0, 4, 32, 2, 0},      {0, 0, 4, 6, 0, 0},
    {0, 0, 4, 7, 0, 0},       {0, 0, 2, 16, 1, 0},      {0, 0, 3, 0, 0, 0},
    {0, 0, 5, 0, 2, 0},       {0, 0, 6, 8, 1, 0},       {0, 0, 7, 0, 0, 0},
    {0, 0, 8, 0, 0, 8},       {0, 0, 8, 32, 0, 8},      {0, 0, 8, 32, 1, 8},
    {0, 0, 8, 32, 2, 8},      {0, 0, 8, 0, 1, 8},       {0, 0, 8, 0, 2, 8},
    {0, 0, 4, 0, 0, 8},       {0, 0, 4, 32, 1, 8},      {0, 0, 3, 12, 2, 8},
    {0, 0, 8, 7, 0, 8},       {2, 4, 0, 0, 0, 0},       {4, 8, 0, 0, 0, 0},
    {1, 4, 0, 0, 0, 0},       {3, 4, 0, 0, 0, 0},       {2, 16, 0, 0, 0, 0},
    {0, 1, 0, 0, 0, 0},       {2, 4, 8, 0, 0, 0},       {2, 4, 4, 32, 0, 0},
    {2, 4, 8, 0, 0, 8},       {4, 8, 8, 32, 0, 8},      {2, 4, 8, 32, 1, 8},
    {4, 8, 4, 0, 0, 8},       {1, 4, 8, 0, 0, 8},       {0, 1, 8, 32, 0, 8},
    {0, 1, 4, 0, 1, 0},       {2, 4, 0, 0, 0, 8},       {0, 0, 8, 32, 0, BLOCKS},
    {0, 0, 8, 0, 0, BLOCKS},  {0, 0, 8, 64, 1, BLOCKS}, {0, 0, 8, 32, 2, BLOCKS},
    {0, 0, 8, 16, 2, BLOCKS}, {0, 0, 6, 16, 0, BLOCKS}, {0, 0, 5, 32, 0, BLOCKS},
    {0, 0, 5, 32, 2, BLOCKS}, {0, 0, 4, 32, 0, BLOCKS}, {0, 0, 4, 32, 2, BLOCKS},
    {0, 0, 4, 32, 1, BLOCKS}, {0, 0, 4, 0, 0, BLOCKS},  {0, 0, 4, 128, 0, BLOCKS},
    {0, 0, 3, 16, 0, BLOCKS}, {0, 0, 2, 16, 2, BLOCKS}, {2, 4, 4, 32, 0, BLOCKS},
    {0, 1, 8, 32, 1, BLOCKS}, {0, 0, 4, 6, 0, BLOCKS},  {0, 0, 0, 0, 0, BLOCKS},
    {0, 0, F16, 0, 0, 0},     {0, 0, BF16, 0, 0, 0},    {0, 0, BF16, 0, 0, 8},
    {0, 0, OWN, 0, 0, 0},     {0, 0, SLOW, 0, 0, 0},    {0, 0, OWN, 0, 0, 8},
};

static const struct {
    uint32_t m, k, n;
} shapes[] = {{1, 1, 1},    {1, 96, 10},  {2, 3, 5},     {7, 31, 17},  {8, 32, 48}, {9, 64, 49},
              {17, 96, 97}, {50, 96, 96}, {13, 300, 16}, {5, 257, 47}, {65, 8, 3},  {70, 40, 33}};

static void check_isa(int isa)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)isa);
    bool seen[PARE_PRODUCT_COUNT] = {false};
    struct pare_random r;
    pare_random_seed(&r, 42);
    if (!kernels) {
        ck_assert_int_gt(isa, (int)pare_isa_best());
        return;
    }
    for (size_t e = 0; e < PARE_COUNT(encodings); e++) {
        for (size_t s = 0; s < PARE_COUNT(shapes); s++) {
            if (encodings[e].group >= shapes[s].k)
                continue;
            struct pare_weight *w = make_weight(&r, shapes[s].n, shapes[s].k, &encodings[e]);
            struct pare_choice c = pare_choose(kernels, w, activation_bits(&encodings[e]),
                                               activation_group(&encodings[e]), shapes[s].m);
            check_product(kernels, w, &encodings[e], c, shapes[s].m, &r, seen);
            /* The reference is not chosen, as there f32 is what asks less. */
            if (isa == PARE_ISA_SCALAR && encodings[e].bits == BF16 && !c.dequantize) {
                c.product = PARE_PRODUCT_BF16_DOT;
                check_product(kernels, w, &encodings[e], c, shapes[s].m, &r, seen);
            }
            pare_weight_unref(w);
        }
    }
    /* Every product that the instruction set has was reached by an encoding. */
#define X(id, field, name, input)                                                                  \
    ck_assert_msg(seen[PARE_PRODUCT_##id] == (kernels->product[PARE_PRODUCT_##id] != NULL),        \
                  "%s is not tested on %s", name, pare_isa_name((enum pare_isa)isa));
    PARE_PRODUCTS(X)
#undef X
}

START_TEST(products)
{
    check_isa(_i);
}
END_TEST

/* 127 and -128 everywhere: what saturating instructions get wrong. Sums are exact, so equality. */
START_TEST(saturation)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    static const struct encoding kinds[] = {
        {0, 0, 8, 0, 0, 8}, {2, 4, 8, 0, 0, 8}, {0, 0, 8, 0, 0, BLOCKS}};
    static const int16_t pairs[][2] = {{127, 127}, {127, -127}, {-128, 127}, {-128, -127}};
    const uint32_t k = 256, n = 50, m = 9;
    struct pare_error err = {0};
    struct pare_random r;
    pare_random_seed(&r, 3);
    if (!kernels)
        return;
    for (size_t t = 0; t < PARE_COUNT(kinds) * PARE_COUNT(pairs); t++) {
        const struct encoding *e = &kinds[t / PARE_COUNT(pairs)];
        const int16_t code = pairs[t % PARE_COUNT(pairs)][0],
                      input = pairs[t % PARE_COUNT(pairs)][1];
        struct pare_weight *w = make_weight(&r, n, k, &(struct encoding){.n = e->n, .m = e->m}),
                           *ints;
        int16_t *codes = pare_alloc((size_t)n * k, sizeof *codes);
        float *scales = pare_alloc(n, sizeof *scales), *x = pare_alloc((size_t)m * k, sizeof *x);
        uint8_t *kept = pare_alloc((size_t)n * k, 1);
        pare_weight_kept(w, 0, n, kept);
        for (size_t i = 0; i < (size_t)n * k; i++)
            codes[i] = kept[i] ? code : 0;
        for (size_t i = 0; i < n; i++)
            scales[i] = 1;
        for (size_t i = 0; i < (size_t)m * k; i++)
            x[i] = (float)input;
        struct pare_integers integers = {
            .struct_size = sizeof integers, .bits = 8, .codes = codes, .scales = scales};
        ck_assert_ok(pare_weight_with_integers(w, &integers, &ints, &err), err);
        struct pare_choice choice = pare_choose(kernels, ints, 8, activation_group(e), m);
        struct pare_packed *p = NULL;
        ck_assert_ok(pare_pack(kernels, choice.product, ints, &p, &err), err);
        struct inputs in = {.kernels = kernels, .x = x, .m = m, .k = k};
        float *y = pare_alloc((size_t)m * n, sizeof *y);
        prepare(&in, pare_product_input(choice.product));
        run_product(&in, p, &(struct pare_epilogue){.factor = 1}, y, 1);
        pare_weight_codes(ints, 0, n, codes);
        for (size_t i = 0; i < (size_t)m * n; i++) {
            int sum = 0;
            for (size_t j = 0; j < k; j++)
                sum += codes[i % n * k + j] * input;
            ck_assert_msg(sum != 0 && y[i] == (float)sum, "%s: %g, not %d",
                          pare_product_name(choice.product), (double)y[i], sum);
        }
        free(in.prepared);
        free(in.scales);
        free(codes);
        free(scales);
        free(x);
        free(y);
        free(kept);
        pare_packed_free(p);
        pare_weight_unref(ints);
        pare_weight_unref(w);
    }
}
END_TEST

/* ---- other operations
 * ---------------------------------------------------------------------------- */

/* Sums of n exponentials in float: n / 16 additions a lane and a few more, each off by EPS. */
START_TEST(distributions)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    static const uint32_t sizes[] = {1, 2, 15, 16, 17, 100, 5000, 50001};
    struct pare_random r;
    pare_random_seed(&r, 8);
    for (size_t s = 0; kernels && s < PARE_COUNT(sizes); s++) {
        const uint32_t n = sizes[s];
        float *x = random_floats(&r, n), *y = random_floats(&r, n);
        uint32_t top = 0, y_top;
        double sum[2] = {0}, far = 0, size = 0;
        x[n / 2] = x[n - 1] = 7; /* equal: the first counts */
        for (uint32_t i = 0; i < n; i++) {
            sum[0] += exp((double)x[i]);
            sum[1] += exp((double)y[i]);
        }
        for (uint32_t i = 0; i < n; i++) {
            double p = (double)x[i] - log(sum[0]), q = (double)y[i] - log(sum[1]);
            far += exp(p) * (p - q);
            size += exp(p) * (fabs(p) + fabs(q));
        }
        const float x_sum = kernels->log_sum(x, n, &top), y_sum = kernels->log_sum(y, n, &y_top);
        const double off = EPS * (n / 16 + 64) * (1 + fabs(log(sum[0])));
        ck_assert_uint_eq(top, n / 2);
        ck_assert_msg(fabs((double)x_sum - log(sum[0])) <= off, "%u: %.9g, not %.9g", n,
                      (double)x_sum, log(sum[0]));
        const double got = (double)kernels->divergence(x, x_sum, y, y_sum, n);
        ck_assert_msg(fabs(got - far) <= 4 * off * (1 + size), "%u: %.9g, not %.9g", n, got, far);
        ck_assert(fabsf(kernels->divergence(x, x_sum, x, x_sum, n)) == 0);
        free(x);
        free(y);
    }
}
END_TEST

/* A dense sweep. gelu and silu: 2e-7 of the larger of the result and 1 (an absolute error where the
 * result vanishes); tanh: 5 units in the last place
 * of its range. */
START_TEST(activations)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    enum { N = 400001 };
    if (!kernels)
        return;
    float *x = pare_alloc(N, sizeof *x), *y = pare_alloc(N, sizeof *y);
    for (size_t i = 0; i < N; i++)
        x[i] = ((float)i - (float)(N / 2)) * (12.0f / (float)(N / 2));
    for (unsigned a = PARE_ACT_GELU; a <= PARE_ACT_TANH; a++) {
        double worst = 0, at = 0;
        kernels->activate(a, x, y, N);
        for (size_t i = 0; i < N; i++) {
            double want = act64(a, (double)x[i]), off = fabs((double)y[i] - want);
            off /= fmax(1, fabs(want));
            if (off > worst) {
                worst = off;
                at = (double)x[i];
            }
        }
        ck_assert_msg(worst <= (a == PARE_ACT_TANH ? 3e-7 : 2e-7),
                      "activation %u on %s: off by %.3g at %g", a, pare_isa_name((enum pare_isa)_i),
                      worst, at);
        const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0.0f};
        float out[PARE_COUNT(odd)];
        kernels->activate(a, odd, out, PARE_COUNT(odd));
        ck_assert(isnan(out[0]));
        ck_assert(a == PARE_ACT_TANH ? fabsf(out[1] - 1) < 1e-6f : out[1] > 1e30f);
        ck_assert(out[5] == 0);
        ck_assert(a == PARE_ACT_TANH ? fabsf(out[4] + 1) < 1e-6f : fabsf(out[4]) < 1e-6f * 1e30f);
    }
    free(x);
    free(y);
}
END_TEST

static const uint32_t widths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 96, 97, 768};

START_TEST(elementwise)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    struct pare_random r;
    pare_random_seed(&r, 5);
    if (!kernels)
        return;
    for (size_t w = 0; w < PARE_COUNT(widths); w++) {
        const uint32_t width = widths[w], rows = 5;
        const size_t n = (size_t)rows * width;
        float *x = random_floats(&r, n + 1) + 1, *y = random_floats(&r, n + 1) + 1;
        float *out = pare_alloc(n + 1, sizeof *out);
        out[n] = 99;
        kernels->add(x, y, 0.25f, out, n);
        for (size_t i = 0; i < n; i++)
            ck_assert(out[i] == 0.25f * (x[i] + y[i]));
        kernels->add_vector(x, y, out, rows, width);
        for (size_t i = 0; i < n; i++)
            ck_assert(out[i] == x[i] + y[i % width]);
        kernels->mean(x, out, rows, width);
        for (size_t i = 0; i < width; i++) {
            double sum = 0, size = 0;
            for (size_t row = 0; row < rows; row++) {
                sum += (double)x[row * width + i];
                size += fabs((double)x[row * width + i]);
            }
            ck_assert(fabs((double)out[i] - sum / rows) <= EPS * size * 2);
        }
        double dot = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            dot += (double)x[i] * (double)y[i];
            size += fabs((double)x[i] * (double)y[i]);
        }
        ck_assert(fabs((double)kernels->dot(x, y, n) - dot) <= EPS * size * (double)n);
        ck_assert(out[n] == 99);
        free(x - 1);
        free(y - 1);
        free(out);
    }
}
END_TEST

/* Rows of every other position, as token merging asks; the first of equals, and NaN does no harm.
 */
START_TEST(nearest)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    static const uint32_t sizes[][3] = {
        {1, 1, 1}, {3, 2, 5}, {24, 25, 32}, {98, 98, 64}, {50, 47, 33}};
    struct pare_random r;
    pare_random_seed(&r, 8);
    if (!kernels)
        return;
    for (size_t t = 0; t < PARE_COUNT(sizes); t++) {
        const uint32_t m = sizes[t][0], n = sizes[t][1], k = sizes[t][2];
        float *x = random_floats(&r, (size_t)2 * m * k), *y = random_floats(&r, (size_t)2 * n * k);
        float *product = pare_alloc(m, sizeof *product);
        uint32_t *index = pare_alloc(m, sizeof *index);
        float *scratch = pare_alloc_aligned(pare_nearest_scratch(kernels, n, k), sizeof *scratch);
        kernels->nearest(x, 2 * k, m, y, 2 * k, n, k, index, product, scratch);
        for (size_t i = 0; i < m; i++) {
            double best = -INFINITY, size = 0;
            for (size_t j = 0; j < n; j++) {
                double dot = 0, all = 0;
                for (size_t c = 0; c < k; c++) {
                    double v = (double)x[2 * i * k + c] * (double)y[2 * j * k + c];
                    dot += v;
                    all += fabs(v);
                }
                best = fmax(best, dot);
                size = fmax(size, all);
                if (j == index[i])
                    ck_assert(fabs(dot - (double)product[i]) <= EPS * (k + 1) * all);
            }
            ck_assert(index[i] < n && (double)product[i] >= best - 2 * EPS * (k + 1) * size);
        }
        for (size_t j = 0; j < n; j++) /* all the same */
            memcpy(y + 2 * j * k, y, k * sizeof *y);
        x[0] = NAN;
        kernels->nearest(x, 2 * k, m, y, 2 * k, n, k, index, product, scratch);
        for (size_t i = 0; i < m; i++)
            ck_assert_uint_eq(index[i], 0);
        free(x);
        free(y);
        free(product);
        free(index);
        free(scratch);
    }
}
END_TEST

START_TEST(norms)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    struct pare_random r;
    pare_random_seed(&r, 6);
    if (!kernels)
        return;
    for (size_t w = 0; w < PARE_COUNT(widths); w++) {
        const uint32_t width = widths[w], rows = 3;
        const size_t n = (size_t)rows * width;
        float *x = random_floats(&r, n), *gamma = random_floats(&r, width),
              *beta = random_floats(&r, width);
        float *out = pare_alloc(n, sizeof *out);
        for (size_t i = 0; i < n; i++)
            x[i] += 20; /* a mean that a one-pass variance would lose digits to */
        kernels->norm(x, gamma, beta, width == 1 ? 1e-5f : 1e-12f, out, rows, width);
        for (size_t i = 0; i < n; i++) {
            const float *row = x + i / width * width;
            double mean = 0, var = 0;
            for (size_t j = 0; j < width; j++)
                mean += (double)row[j] / width;
            for (size_t j = 0; j < width; j++)
                var += ((double)row[j] - mean) * ((double)row[j] - mean) / width;
            double inv = 1 / sqrt(var + (width == 1 ? 1e-5 : 1e-12));
            double want =
                ((double)x[i] - mean) * inv * (double)gamma[i % width] + (double)beta[i % width];
            /* The mean is off by up to `width` roundings of its magnitude, and moves every value.
             */
            double off = EPS * (double)(width + 8) * 24 * inv *
                             (fabs((double)gamma[i % width]) + 1) *
                             (1 + fabs(((double)x[i] - mean) * inv)) +
                         EPS * 8 * fabs(want);
            ck_assert_msg(fabs((double)out[i] - want) <= off, "norm of %u: %g, not %g +- %g", width,
                          (double)out[i], want, off);
        }
        free(x);
        free(gamma);
        free(beta);
        free(out);
    }
}
END_TEST

START_TEST(attention)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    static const struct {
        uint32_t tokens, heads, dh, dv;
    } cases[] = {{1, 1, 1, 1},    {5, 2, 3, 3},    {50, 3, 32, 32}, {17, 2, 64, 64},
                 {49, 1, 20, 20}, {113, 2, 8, 24}, {65, 1, 100, 7}};
    struct pare_random r;
    pare_random_seed(&r, 8);
    if (!kernels)
        return;
    for (size_t c = 0; c < PARE_COUNT(cases) * 2; c++) {
        const uint32_t t = cases[c / 2].tokens, h = cases[c / 2].heads, dh = cases[c / 2].dh;
        const uint32_t dv = cases[c / 2].dv, samples = 2;
        float *q = random_floats(&r, (size_t)samples * t * h * dh);
        float *k = random_floats(&r, (size_t)samples * t * h * dh);
        float *v = random_floats(&r, (size_t)samples * t * h * dv),
              *sizes = random_floats(&r, samples * t);
        float *out = pare_calloc((size_t)samples * t * h * dv, sizeof *out);
        double *p = pare_alloc(t, sizeof *p);
        for (size_t i = 0; i < (size_t)samples * t; i++)
            sizes[i] = 1 + (float)pare_random_below(&r, 4);
        struct pare_attention a = {
            .q = q,
            .k = k,
            .v = v,
            .sizes = c % 2 ? sizes : NULL,
            .out = out,
            .tokens = t,
            .heads = h,
            .head_width = dh,
            .value_width = dv,
            .scale = 0.3f,
            .scratch =
                pare_alloc_aligned(pare_attention_scratch(kernels, t, dh, dv), sizeof(float)),
        };
        for (uint32_t s = 0; s < samples; s++)
            for (uint32_t head = 0; head < h; head++)
                for (uint32_t cut = 0; cut < 2; cut++) {
                    a.query0 = cut * (t / 3);
                    a.query1 = cut ? t : t / 3;
                    a.q = q + (size_t)s * t * h * dh;
                    a.k = k + (size_t)s * t * h * dh;
                    a.v = v + (size_t)s * t * h * dv;
                    a.sizes = c % 2 ? sizes + (size_t)s * t : NULL;
                    a.out = out + (size_t)s * t * h * dv;
                    kernels->attention(&a, head);
                }
        for (size_t i = 0; i < (size_t)samples * t * h; i++) {
            size_t s = i / h / t, row = i / h % t, head = i % h;
            double sum = 0, top = -1e300, span = 0;
            for (size_t j = 0; j < t; j++) {
                double dot = 0, size = 0;
                for (size_t d = 0; d < dh; d++) {
                    double term = (double)q[((s * t + row) * h + head) * dh + d] *
                                  (double)k[((s * t + j) * h + head) * dh + d];
                    dot += term;
                    size += fabs(term);
                }
                p[j] = dot * (double)0.3f + (c % 2 ? log((double)sizes[s * t + j]) : 0);
                top = fmax(top, p[j]);
                span = fmax(span, size * 0.3 + fabs(p[j]));
            }
            for (size_t j = 0; j < t; j++)
                sum += p[j] = exp(p[j] - top);
            for (size_t d = 0; d < dv; d++) {
                double want = 0, size = 0;
                for (size_t j = 0; j < t; j++) {
                    double term = p[j] / sum * (double)v[((s * t + j) * h + head) * dv + d];
                    want += term;
                    size += fabs(term);
                }
                double got = (double)out[((s * t + row) * h + head) * dv + d];
                /* An error in a score is a relative error of its weight. */
                double off = EPS * size * ((dh + 4) * span * 2 + 2 * t + 16);
                ck_assert_msg(fabs(got - want) <= off, "attention over %u: %g, not %g +- %g", t,
                              got, want, off);
            }
        }
        free(q);
        free(k);
        free(v);
        free(sizes);
        free(out);
        free(p);
        free(a.scratch);
    }
}
END_TEST

/* Codes are the same on every instruction set, ties go to even, a row that is not finite shows. */
START_TEST(quantize)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    struct pare_random r;
    pare_random_seed(&r, 9);
    if (!kernels)
        return;
    for (size_t w = 0; w < PARE_COUNT(widths); w++) {
        const uint32_t k = widths[w], rows = 4, stride = (uint32_t)pare_round_up(k, 16);
        float *x = random_floats(&r, (size_t)rows * k + 1) + 1, scales[2][4];
        memset(x + k, 0, k * sizeof *x); /* a row of zeros */
        x[0] = 127;
        for (uint32_t i = 1; i < k; i++)
            x[i] = (float)(i % 200) * 0.5f - 50;
        uint8_t *want = pare_alloc((size_t)rows * stride, 1);
        char *got = pare_alloc((size_t)rows * stride, kernels->code_size);
        pare_kernels_scalar.quantize(x, rows, k, want, stride, scales[0]);
        kernels->quantize(x, rows, k, got, stride, scales[1]);
        for (size_t i = 0; i < (size_t)rows * stride; i++) {
            int16_t code;
            memcpy(&code, got + i * kernels->code_size, sizeof code / 2 * kernels->code_size);
            int have = kernels->code_size == 2 ? code : (uint8_t)got[i] - 128;
            ck_assert_int_eq(have, want[i] - 128);
        }
        for (uint32_t i = 0; i < k; i++)
            ck_assert_int_eq(want[i] - 128, (int)nearbyintf(x[i]));
        for (uint32_t i = 0; i < rows; i++)
            ck_assert(scales[0][i] == scales[1][i]);
        ck_assert(scales[1][1] == 0);
        x[k - 1] = _i % 2 ? NAN : -INFINITY;
        kernels->quantize(x, 1, k, got, stride, scales[1]);
        ck_assert(isnan(scales[1][0]));
        free(x - 1);
        free(want);
        free(got);
    }
}
END_TEST

#ifdef HAVE_ONEDNN
/* An independent implementation agrees, and what it is compared with is not its slow reference. */
START_TEST(onednn_agrees)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    struct pare_error err = {0};
    struct pare_random r;
    pare_random_seed(&r, 10);
    for (size_t s = 0; kernels && s < PARE_COUNT(shapes); s++) {
        const uint32_t m = shapes[s].m, k = shapes[s].k, n = shapes[s].n;
        float *x = random_floats(&r, (size_t)m * k), *values = random_floats(&r, (size_t)n * k);
        float *bias = random_floats(&r, n), *theirs = pare_calloc((size_t)m * n, sizeof(float));
        float *ours = pare_calloc((size_t)m * n, sizeof(float));
        struct onednn_product product;
        ck_assert(onednn_new(&product, m, k, n, x, values, bias, theirs));
        if (pare_isa_best() > PARE_ISA_SCALAR)
            ck_assert_ptr_null(strstr(product.implementation, "ref"));
        ck_assert(onednn_run(&product));
        onednn_free(&product);
        struct pare_weight *w = NULL;
        struct pare_packed *p = NULL;
        ck_assert_ok(pare_weight_new(n, k, values, &w, &err), err);
        ck_assert_ok(pare_pack(kernels, PARE_PRODUCT_DENSE, w, &p, &err), err);
        struct inputs in = {.kernels = kernels, .x = x, .m = m, .k = k};
        run_product(&in, p, &(struct pare_epilogue){.bias = bias, .factor = 1}, ours, 1);
        for (size_t i = 0; i < (size_t)m * n; i++) {
            double size = fabs((double)bias[i % n]);
            for (size_t j = 0; j < k; j++)
                size += fabs((double)x[i / n * k + j] * (double)values[i % n * k + j]);
            ck_assert(fabs((double)ours[i] - (double)theirs[i]) <= 2 * EPS * (k + 2) * size);
        }
        pare_packed_free(p);
        pare_weight_unref(w);
        free(x);
        free(values);
        free(bias);
        free(ours);
        free(theirs);
    }
}
END_TEST
#endif

/* Ties to even, denormals to 0 of their sign, what is not finite stays so; an odd row ends in 0. */
START_TEST(bf16_inputs)
{
    const struct pare_kernels *kernels = pare_kernels_of((enum pare_isa)_i);
    static const float odd[] = {0.0f,        -0.0f,           1.0f,     1.00390625f,
                                1.01171875f, -1.00390625f,    3.4e38f,  1e-40f,
                                -1e-40f,     1.17549435e-38f, INFINITY, -INFINITY,
                                NAN,         -3.0f,           65504.0f, 1e-30f};
    static const uint16_t want[] = {0,      0x8000, 0x3f80, 0x3f80, 0x3f82, 0xbf80, 0x7f80, 0,
                                    0x8000, 0x0080, 0x7f80, 0xff80, 0x7fc0, 0xc040, 0x4780, 0x0da2};
    struct pare_random r;
    pare_random_seed(&r, 11);
    if (!kernels || !kernels->to_bf16)
        return;
    for (size_t w = 0; w < PARE_COUNT(widths); w++) {
        const uint32_t k = widths[w], rows = 3, stride = pare_bf16_stride(k);
        float *x = random_floats(&r, (size_t)rows * k + 1) + 1;
        uint16_t *out = pare_alloc((size_t)rows * stride + 1, sizeof *out);
        for (uint32_t i = 0; i < k; i++)
            x[i] = odd[i % PARE_COUNT(odd)];
        out[rows * stride] = 1234;
        kernels->to_bf16(x, rows, k, out);
        ck_assert_uint_eq(out[rows * stride], 1234);
        for (uint32_t i = 0; i < rows * stride; i++) {
            const uint32_t col = i % stride, at = i / stride * k + col;
            const uint16_t good = col == k     ? 0
                                  : i < stride ? want[col % PARE_COUNT(want)]
                                               : pare_f32_to_bf16(x[at]);
            ck_assert_msg(out[i] == good, "%g becomes %04x, not %04x", (double)x[at], out[i], good);
        }
        free(x - 1);
        free(out);
    }
}
END_TEST

START_TEST(isa_names)
{
    setenv("PARE_ISA", "scalar", 1);
    ck_assert_int_eq(pare_isa_best(), PARE_ISA_SCALAR);
    unsetenv("PARE_ISA");
    enum pare_isa best = pare_isa_best();
    setenv("PARE_ISA", "no-such", 1);
    ck_assert_int_eq(pare_isa_best(), best);
    unsetenv("PARE_ISA");
    ck_assert_str_eq(pare_isa_name(PARE_ISA_AVX512VNNI), "avx512vnni");
    ck_assert_str_eq(pare_isa_name(PARE_ISA_AVX512BF16), "avx512bf16");
    ck_assert_ptr_null(pare_kernels_of(PARE_ISA_COUNT));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tc = pare_test_case(suite, "kernels");
    tcase_add_loop_test(tc, products, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, saturation, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, distributions, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, activations, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, elementwise, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, nearest, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, norms, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, attention, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, quantize, 0, PARE_ISA_COUNT);
    tcase_add_loop_test(tc, bf16_inputs, 0, PARE_ISA_COUNT);
#ifdef HAVE_ONEDNN
    tcase_add_loop_test(tc, onednn_agrees, 0, PARE_ISA_COUNT);
#endif
    tcase_add_test(tc, isa_names);
    return pare_test_main(&suite, 1);
}
