/* SPDX-License-Identifier: Apache-2.0 */
/* An encoding as it may be, whose kernel needs as much room as its bytes say; or, where WRONG, more
 * than there is. */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

#define TEXT(x) #x
#define ID(x) TEXT(x)

enum { HEAD = 64, STEP = 16384 };

static const float *values_of(const struct pare_encoded *w)
{
    return (const float *)(const void *)((const char *)w->data + HEAD);
}

static const char *check(const struct pare_encoded *w)
{
    const size_t n = (size_t)w->rows * w->cols;
    if (w->size != HEAD + n * sizeof(float))
        return "it has another size";
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values_of(w)[i]))
            return "a value is not finite";
    return NULL;
}

static void decode(const struct pare_encoded *w, uint32_t row, uint32_t n, float *out)
{
    memcpy(out, values_of(w) + (size_t)row * w->cols, (size_t)n * w->cols * sizeof *out);
}

static uint64_t room(const struct pare_encoded *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < HEAD; i++)
        sum += ((const unsigned char *)w->data)[i];
    return sum * STEP;
}

static uint64_t scratch(const struct pare_encoded *w, uint32_t tokens)
{
    (void)tokens;
    return WRONG ? UINT64_MAX : room(w);
}

static void multiply(const struct pare_encoded *w, const struct pare_multiply *job)
{
    for (uint64_t i = 0, n = room(w); i < n; i += 64)
        ((volatile char *)job->scratch)[i] = 1;
    for (uint32_t t = 0; t < job->tokens; t++) {
        for (uint32_t r = 0; r < job->n; r++) {
            float sum = 0;
            for (uint32_t c = 0; c < w->cols; c++)
                sum +=
                    job->x[t * job->ldx + c] * values_of(w)[(size_t)(job->row + r) * w->cols + c];
            job->y[t * job->ldy + r] = sum;
        }
    }
}

static const struct pare_encoding encoding = {
    .struct_size = sizeof encoding,
    .check = check,
    .decode = decode,
    .multiply = multiply,
    .scratch = scratch,
};

static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const size_t n = HEAD + (size_t)unit->rows * unit->cols * sizeof(float);
    unsigned char *bytes = host->alloc(ctx, n, 1);
    if (!bytes)
        return PARE_NOMEM;
    memset(bytes, 0, HEAD);
    bytes[0] = 1;
    int rc = weight->read(ctx, unit, 0, unit->rows, (float *)(void *)(bytes + HEAD));
    return rc == PARE_OK ? weight->set_encoded(ctx, unit, NULL, bytes, n) : rc;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = ID(PLUGIN),
    .version = "1.0.0",
    .summary = "keeps f32, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "given",
    .kind = PARE_ENCODING,
    .unit_kind = PARE_UNIT_LINEAR,
    .apply_unit = apply_unit,
    .encoding = &encoding,
};

PARE_PLUGIN(plugin)
