/* SPDX-License-Identifier: Apache-2.0 */
/*
 * @ID@: weights as int8 codes with a scale per row, and the kernel that multiplies them. Begin by
 * making this store what yours shall store; `make check` tells whether the contract still holds.
 * A weight's bytes are yours and go into files as they are: here a float scale per row, then codes.
 */
#include <pare/plugin.h>

#include <math.h>

static float scale_of(const struct pare_encoded *w, uint32_t row)
{
    return ((const float *)w->data)[row];
}

static const int8_t *codes_of(const struct pare_encoded *w, uint32_t row)
{
    return (const int8_t *)w->data + w->rows * sizeof(float) + (size_t)row * w->cols;
}

/* Files come from strangers: what passes here must not lead the others astray. */
static const char *check(const struct pare_encoded *w)
{
    if (w->size != (uint64_t)w->rows * (sizeof(float) + w->cols))
        return "it has another size than its rows and columns ask for";
    for (uint32_t r = 0; r < w->rows; r++)
        if (!(fabsf(scale_of(w, r)) <= 1e30f))
            return "a scale is out of range";
    return NULL;
}

static void decode(const struct pare_encoded *w, uint32_t row, uint32_t n, float *out)
{
    for (size_t i = 0; i < (size_t)n * w->cols; i++)
        out[i] = scale_of(w, row + (uint32_t)(i / w->cols)) * codes_of(w, row)[i];
}

/* 16 outputs of 8 tokens at a time, in registers: about twice the time of f32 where there are many
 * tokens. The example `codebook` is faster; docs/plugins/encoding.md tells how. */
enum { ROWS = 16, TOKENS = 8 };
typedef float vec __attribute__((vector_size(ROWS * sizeof(float))));
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) /* one version for each */
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void
multiply(const struct pare_encoded *w, const struct pare_multiply *job)
{
    vec *codes = job->scratch;
    for (uint32_t r = 0; r < job->n; r += ROWS) {
        for (uint32_t i = 0; i < ROWS; i++) /* beyond the last is anything that can be read */
            for (uint32_t c = 0; c < w->cols; c++)
                codes[c][i] = codes_of(w, job->row + (r + i < job->n ? r + i : r))[c];
        for (uint32_t t = 0; t < job->tokens; t += TOKENS) {
            const float *x[TOKENS];
            vec sums[TOKENS] = {{0}};
            for (uint32_t k = 0; k < TOKENS; k++)
                x[k] = job->x + (t + k < job->tokens ? t + k : t) * job->ldx;
            /* Column by column: a number's bits hang on its row and its token alone. */
            for (uint32_t c = 0; c < w->cols; c++) {
#pragma GCC unroll 8
                for (uint32_t k = 0; k < TOKENS; k++)
                    sums[k] += x[k][c] * codes[c];
            }
#pragma GCC unroll 8
            for (uint32_t k = 0; k < TOKENS; k++)
                for (uint32_t i = 0; i < ROWS && r + i < job->n && t + k < job->tokens; i++)
                    job->y[(t + k) * job->ldy + r + i] = scale_of(w, job->row + r + i) * sums[k][i];
        }
    }
}

static uint64_t scratch(const struct pare_encoded *w, uint32_t tokens)
{
    return tokens ? w->cols * (uint64_t)sizeof(vec) : 0;
}

static const struct pare_encoding encoding = {
    .struct_size = sizeof encoding,
    .check = check,
    .decode = decode,
    .multiply = multiply, /* without one Pare decodes once and multiplies f32 */
    .scratch = scratch,
};

/* Called once for each linear that the pipeline selects, in execution order. */
static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const size_t n = (size_t)unit->rows * unit->cols, head = unit->rows * sizeof(float);
    double clip;
    int rc;
    /* An older host may lack a service: say so rather than crash. */
    if (!PARE_HAS(weight, set_encoded))
        return host->error(ctx, PARE_UNSUPPORTED, "this host takes no encodings of plugins");
    if ((rc = host->get_real(ctx, unit, "clip", &clip)) != PARE_OK)
        return rc;
    /* The host frees these when apply_unit returns; NULL: it has set the message. */
    float *values = host->alloc(ctx, n, sizeof *values);
    char *bytes = host->alloc(ctx, head + n, 1);
    if (!values || !bytes)
        return PARE_NOMEM;
    if ((rc = weight->read(ctx, unit, 0, unit->rows, values)) != PARE_OK)
        return rc;
    for (uint32_t r = 0; r < unit->rows; r++) {
        const float *x = values + (size_t)r * unit->cols;
        int8_t *codes = (int8_t *)bytes + head + (size_t)r * unit->cols;
        float most = 0;
        for (uint32_t c = 0; c < unit->cols; c++)
            most = fmaxf(most, fabsf(x[c]));
        const float scale = most > 0 ? (float)clip * most / 127.0f : 1.0f;
        ((float *)(void *)bytes)[r] = scale;
        for (uint32_t c = 0; c < unit->cols; c++)
            codes[c] = (int8_t)lrintf(fminf(fmaxf(x[c] / scale, -127), 127));
    }
    return weight->set_encoded(ctx, unit, NULL, bytes, head + n);
}

static const struct pare_param params[] = {
    {
        .name = "clip",
        .help = "share of a row's largest weight that the largest code stands for",
        .type = PARE_REAL,
        .min = 0.1, /* bounds count for numbers; min > max: none */
        .max = 1,
        .dflt = "1",
        .search = "0.9,1",
        .varies = PARE_UNIT_LINEAR,
    },
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "@ID@",
    .version = "0.1.0",
    .summary = "weights as int8 codes with a scale per row",
    .author = "your name",
    .url = "https://example.org/@NAME@",
    .license = "Apache-2.0",
    .label = "@LABEL@",
    .kind = PARE_ENCODING,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_LINEAR,
    .on = "layer.**",
    PARE_PLUGIN_PARAMS(params),
    .apply_unit = apply_unit,
    .encoding = &encoding,
};

PARE_PLUGIN(plugin)
