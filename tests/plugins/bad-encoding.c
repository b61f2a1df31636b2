/* SPDX-License-Identifier: Apache-2.0 */
/* An encoding that trusts its bytes, and whose kernel counts what it is asked for. */
#include <pare/plugin.h>

#include <string.h>

static const char *check(const struct pare_encoded *w)
{
    return w->size ? NULL : "there is nothing";
}

static void decode(const struct pare_encoded *w, uint32_t row, uint32_t n, float *out)
{
    memcpy(out, (const float *)w->data + (size_t)row * w->cols, (size_t)n * w->cols * sizeof *out);
}

static void multiply(const struct pare_encoded *w, const struct pare_multiply *job)
{
    for (uint32_t t = 0; t < job->tokens; t++) {
        for (uint32_t r = 0; r < job->n; r++) {
            float sum = (float)job->n;
            for (uint32_t c = 0; c < w->cols; c++)
                sum += job->x[t * job->ldx + c] *
                       ((const float *)w->data)[(size_t)(job->row + r) * w->cols + c];
            job->y[t * job->ldy + r] = sum;
        }
    }
}

static const struct pare_encoding encoding = {
    .struct_size = sizeof encoding,
    .check = check,
    .decode = decode,
    .multiply = multiply,
};

static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const size_t n = (size_t)unit->rows * unit->cols;
    float *values = host->alloc(ctx, n, sizeof *values);
    if (!values)
        return PARE_NOMEM;
    weight->read(ctx, unit, 0, unit->rows, values);
    return weight->set_encoded(ctx, unit, NULL, values, n * sizeof *values);
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-encoding",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .kind = PARE_ENCODING,
    .unit_kind = PARE_UNIT_LINEAR,
    .apply_unit = apply_unit,
    .encoding = &encoding,
};

PARE_PLUGIN(plugin)
