/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"

/* A part of the rows that a step writes. */
static struct pare_share share_of_rows(const struct pare_run *run, const struct pare_step *step,
                                       uint32_t part, uint32_t parts)
{
    return pare_share_of(pare_rows_all(pare_slot_rows(run, step->out[0])), part, parts);
}

uint32_t pare_code_stride(uint32_t width)
{
    return (uint32_t)pare_round_up(width, 16);
}

bool pare_slot_bytes(const struct pare_kernels *kernels, const struct pare_slot *slot,
                     uint32_t samples, size_t rows, size_t *out)
{
    size_t bytes, width = slot->width;
    if (rows > UINT32_MAX / 2)
        return false;
    switch (slot->kind) {
    case PARE_SLOT_CODES:
        if (!pare_mul_size(rows, pare_code_stride(slot->width) * kernels->code_size + sizeof(float),
                           &bytes))
            return false;
        break;
    case PARE_SLOT_BLOCKS:
        if (!pare_mul_size(rows, pare_blocks_of(slot->width).bytes, &bytes))
            return false;
        break;
    case PARE_SLOT_BF16:
        if (!pare_mul_size(rows, pare_bf16_stride(slot->width) * sizeof(uint16_t), &bytes))
            return false;
        break;
    case PARE_SLOT_KEPT: /* width: bytes of a sample */
        if (!pare_mul_size(samples, width, &bytes))
            return false;
        break;
    case PARE_SLOT_SUMS:
        bytes = width;
        break;
    case PARE_SLOT_TRANSPOSED:
        rows = pare_round_up(rows, kernels->token_block);
        /* fallthrough */
    default:
        if (!pare_mul_size(rows, width, &bytes) || !pare_mul_size(bytes, sizeof(float), &bytes))
            return false;
        break;
    }
    *out = pare_round_up(bytes, PARE_ALIGN);
    return bytes < PTRDIFF_MAX / 2;
}

/* Where the scales of a slot of codes begin. */
static struct pare_quantized quantized(const struct pare_run *run, uint32_t slot)
{
    const struct pare_slot *s = &run->slots[slot];
    char *codes = pare_slot_data(run, slot);
    size_t stride = pare_code_stride(s->width), rows = pare_rows_all(pare_slot_rows(run, slot));
    return (struct pare_quantized){
        .codes = codes,
        .scales = (float *)(void *)(codes + rows * stride * run->kernels->code_size),
        .stride = stride,
    };
}

/* ---- steps that prepare the input of products ---- */

static void step_quantize(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                          uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    struct pare_share rows = share_of_rows(run, step, part, parts);
    struct pare_quantized q = quantized(run, step->out[0]);
    char *codes = pare_slot_data(run, step->out[0]);
    float *scales = (float *)(void *)(codes + ((const char *)q.scales - codes));
    run->kernels->quantize(pare_slot_read(run, step->in[0]) + (size_t)rows.from * s->width,
                           rows.to - rows.from, s->width,
                           codes + rows.from * q.stride * run->kernels->code_size, q.stride,
                           scales + rows.from);
}

static void step_blocks(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                        uint32_t parts)
{
    const uint32_t width = run->slots[step->out[0]].width;
    struct pare_share rows = share_of_rows(run, step, part, parts);
    run->kernels->quantize_blocks(
        pare_slot_read(run, step->in[0]) + (size_t)rows.from * width, rows.to - rows.from, width,
        (char *)pare_slot_data(run, step->out[0]) + rows.from * pare_blocks_of(width).bytes);
}

static void step_bf16(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                      uint32_t parts)
{
    const uint32_t width = run->slots[step->out[0]].width;
    const struct pare_share rows = share_of_rows(run, step, part, parts);
    run->kernels->to_bf16(pare_slot_read(run, step->in[0]) + (size_t)rows.from * width,
                          rows.to - rows.from, width,
                          (uint16_t *)pare_slot_data(run, step->out[0]) +
                              (size_t)rows.from * pare_bf16_stride(width));
}

/* What is left of numbers that became int8 with one scale. */
static void dequantized(const float *x, uint32_t n, float *y)
{
    float top = 0, bad = 0;
    for (uint32_t i = 0; i < n; i++) {
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
        bad += x[i] * 0.0f;
    }
    const float inv = top > 0 ? 127.0f / top : 0, scale = top / 127.0f + bad;
    for (uint32_t i = 0; i < n; i++)
        y[i] = nearbyintf(x[i] * inv) * scale;
}

static void step_dequantize(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                            uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    struct pare_share rows = share_of_rows(run, step, part, parts);
    const float *in = pare_slot_read(run, step->in[0]);
    float *out = pare_slot_data(run, step->out[0]);
    const uint32_t group = step->node->activation_group ? step->node->activation_group : s->width;
    for (size_t r = rows.from; r < rows.to; r++)
        for (uint32_t k = 0; k < s->width; k += group)
            dequantized(in + r * s->width + k, PARE_MIN(group, s->width - k),
                        out + r * s->width + k);
}

static void step_transpose(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                           uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    const uint32_t block = run->kernels->token_block,
                   rows = pare_rows_all(pare_slot_rows(run, step->out[0]));
    struct pare_share blocks = pare_share_of(pare_token_blocks(rows, block), part, parts);
    const float *x = pare_slot_read(run, step->in[0]);
    float *out = pare_slot_data(run, step->out[0]);
    for (uint32_t b = blocks.from; b < blocks.to; b++)
        run->kernels->transpose(x, rows, s->width, b, out + (size_t)b * block * s->width);
}

/* Patches as rows: channel, y, x. The image is channels x (height * width). */
static void step_patches(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                         uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    const uint32_t k = step->node->kernel, pixels = run->slots[step->in[0]].width;
    const uint32_t channels = run->slots[step->in[0]].tokens, across = run->image_width,
                   grid = across / k;
    struct pare_share rows = share_of_rows(run, step, part, parts);
    const float *images = pare_slot_read(run, step->in[0]);
    float *out = (float *)pare_slot_data(run, step->out[0]) + (size_t)rows.from * s->width;
    for (uint32_t r = rows.from; r < rows.to; r++) {
        uint32_t patch = r % s->tokens, py = patch / grid, px = patch % grid;
        const float *image = images + (size_t)(r / s->tokens) * channels * pixels;
        for (uint32_t c = 0; c < channels; c++) {
            const float *from =
                image + (size_t)c * pixels + (size_t)py * k * across + (size_t)px * k;
            for (uint32_t y = 0; y < k; y++, from += across, out += k)
                memcpy(out, from, k * sizeof *out);
        }
    }
}

/* ---- operations ---- */

/* Into how many parts a product's outputs are cut: all, where each then reads its part of the
 * weight once, else as many as divide them evenly. The rest of the parts cut its rows. */
static uint32_t parts_across(uint32_t panels, uint32_t rows, uint32_t parts)
{
    if (panels >= 4 * parts)
        return parts;
    for (uint32_t across = parts; across > 0; across--)
        if (parts % across == 0 && panels % across == 0 && rows >= parts / across)
            return across;
    return parts;
}

static void step_product(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                         uint32_t parts)
{
    const struct pare_packed *w = step->packed;
    const struct pare_slot *s = &run->slots[step->in[0]];
    struct pare_job job = {
        .w = w,
        .end = step->end,
        .y = pare_slot_data(run, step->out[0]),
        .rows = pare_rows_all(pare_slot_rows(run, step->in[0])),
        .scratch = run->scratch,
    };
    job.m1 = job.rows;
    job.p1 = w->panels;
    if (s->kind == PARE_SLOT_BLOCKS)
        job.blocks = pare_slot_data(run, step->in[0]);
    else if (s->kind == PARE_SLOT_BF16)
        job.halves = pare_slot_data(run, step->in[0]);
    else if (s->kind == PARE_SLOT_CODES)
        job.q = quantized(run, step->in[0]);
    else
        job.x = pare_slot_read(run, step->in[0]);
    if (s->kind == PARE_SLOT_TRANSPOSED)
        job.m1 = pare_token_blocks(job.rows, run->kernels->token_block);
    job.turned = run->slots[step->out[0]].kind == PARE_SLOT_TRANSPOSED;
    if (step->n_in > 1)
        job.end.residual = pare_slot_read(run, step->in[1]);
    const uint32_t across = parts_across(w->panels, job.m1, parts), down = parts / across;
    const struct pare_share panels = pare_share_of(w->panels, part % across, across);
    const struct pare_share rows = pare_share_of(job.m1, part / across, down);
    job.p0 = panels.from;
    job.p1 = panels.to;
    job.m0 = rows.from;
    job.m1 = rows.to;
    if (job.p0 < job.p1 && job.m0 < job.m1)
        run->kernels->product[w->product](&job);
}

static void step_tokens(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                        uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    const uint32_t width = s->width, prefix = step->node->prefix;
    const float *x = pare_slot_read(run, step->in[0]), *a = pare_blob_f32(step->node->a);
    const float *position = pare_blob_f32(step->node->b);
    float *out = pare_slot_data(run, step->out[0]);
    struct pare_share rows = share_of_rows(run, step, part, parts);
    for (uint32_t r = rows.from; r < rows.to; r++) {
        uint32_t sample = r / s->tokens, t = r % s->tokens;
        const float *from = t < prefix
                                ? a + (size_t)t * width
                                : x + ((size_t)sample * (s->tokens - prefix) + t - prefix) * width;
        float *to = out + (size_t)r * width;
        if (position)
            run->kernels->add(from, position + (size_t)t * width, 1.0f, to, width);
        else
            memcpy(to, from, width * sizeof *to);
    }
}

static void step_norm(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                      uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    struct pare_share rows = share_of_rows(run, step, part, parts);
    size_t at = (size_t)rows.from * s->width;
    run->kernels->norm(pare_slot_read(run, step->in[0]) + at, pare_blob_f32(step->node->a),
                       pare_blob_f32(step->node->b), step->node->eps,
                       (float *)pare_slot_data(run, step->out[0]) + at, rows.to - rows.from,
                       s->width);
}

static void step_attention(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                           uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    const struct pare_rows *rows = pare_slot_rows(run, step->out[0]);
    const uint32_t heads = step->node->heads, q_width = run->slots[step->in[0]].width;
    const float *q = pare_slot_read(run, step->in[0]), *k = pare_slot_read(run, step->in[1]);
    const float *v = pare_slot_read(run, step->in[2]);
    const float *sizes = step->n_in > 3 ? pare_slot_read(run, step->in[3]) : NULL;
    /* Heads; where they do not divide evenly, the queries of each too. */
    const uint32_t all = run->n * heads, cuts = all % parts == 0 || all >= 4 * parts ? 1 : parts;
    const struct pare_share units = pare_share_of(all * cuts, part, parts);
    for (uint32_t u = units.from; u < units.to; u++) {
        const uint32_t head = u / cuts % heads, sample = u / cuts / heads;
        const size_t first = pare_rows_first(rows, sample);
        const uint32_t tokens = pare_rows_first(rows, sample + 1) - (uint32_t)first;
        const struct pare_share queries = pare_share_of(tokens, u % cuts, cuts);
        const struct pare_attention a = {
            .q = q + first * q_width,
            .k = k + first * q_width,
            .v = v + first * s->width,
            .sizes = sizes ? sizes + first : NULL,
            .out = (float *)pare_slot_data(run, step->out[0]) + first * s->width,
            .tokens = tokens,
            .heads = heads,
            .head_width = q_width / heads,
            .value_width = s->width / heads,
            .query0 = queries.from,
            .query1 = queries.to,
            .scale = step->node->scale,
            .scratch = run->scratch,
        };
        run->kernels->attention(&a, head);
    }
}

static void step_activation(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                            uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    struct pare_share rows = share_of_rows(run, step, part, parts);
    size_t at = (size_t)rows.from * s->width;
    run->kernels->activate(step->node->activation, pare_slot_read(run, step->in[0]) + at,
                           (float *)pare_slot_data(run, step->out[0]) + at,
                           (size_t)(rows.to - rows.from) * s->width);
}

static void step_add(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                     uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    struct pare_share rows = share_of_rows(run, step, part, parts);
    size_t at = (size_t)rows.from * s->width;
    run->kernels->add(pare_slot_read(run, step->in[0]) + at, pare_slot_read(run, step->in[1]) + at,
                      step->node->scale, (float *)pare_slot_data(run, step->out[0]) + at,
                      (size_t)(rows.to - rows.from) * s->width);
}

static void step_add_vector(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                            uint32_t parts)
{
    const struct pare_slot *s = &run->slots[step->out[0]];
    struct pare_share rows = share_of_rows(run, step, part, parts);
    size_t at = (size_t)rows.from * s->width;
    run->kernels->add_vector(pare_slot_read(run, step->in[0]) + at, pare_blob_f32(step->node->a),
                             (float *)pare_slot_data(run, step->out[0]) + at, rows.to - rows.from,
                             s->width);
}

/* The mean of tokens that stand for `sizes` tokens each. */
static void weighted_mean(const float *x, const float *sizes, float *out, uint32_t rows,
                          uint32_t width)
{
    float all = 0;
    memset(out, 0, width * sizeof *out);
    for (uint32_t i = 0; i < rows; i++, x += width) {
        all += sizes[i];
        for (uint32_t c = 0; c < width; c++)
            out[c] += sizes[i] * x[c];
    }
    for (uint32_t c = 0; c < width; c++)
        out[c] /= all;
}

static void step_pool(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                      uint32_t parts)
{
    const uint32_t width = run->slots[step->in[0]].width;
    const struct pare_rows *rows = pare_slot_rows(run, step->in[0]);
    struct pare_share samples = pare_share_of(run->n, part, parts);
    const float *x = pare_slot_read(run, step->in[0]);
    const float *sizes = step->n_in > 1 ? pare_slot_read(run, step->in[1]) : NULL;
    float *out = (float *)pare_slot_data(run, step->out[0]) + (size_t)samples.from * width;
    for (uint32_t i = samples.from; i < samples.to; i++, out += width) {
        const size_t first = pare_rows_first(rows, i);
        const uint32_t tokens = pare_rows_first(rows, i + 1) - (uint32_t)first;
        if (step->node->token != PARE_POOL_MEAN)
            memcpy(out, x + (first + step->node->token) * width, width * sizeof *out);
        else if (sizes)
            weighted_mean(x + first * width, sizes + first, out, tokens, width);
        else
            run->kernels->mean(x + first * width, out, tokens, width);
    }
}

static void step_merge(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                       uint32_t parts)
{
    const uint32_t width = run->slots[step->in[0]].width;
    const uint32_t key_width = run->slots[step->in[1]].width;
    const struct pare_rows *in = pare_slot_rows(run, step->in[0]);
    const struct pare_rows *to = pare_slot_rows(run, step->out[0]);
    const float *sizes = step->n_in > 2 ? pare_slot_read(run, step->in[2]) : NULL;
    struct pare_share samples = pare_share_of(run->n, part, parts);
    for (uint32_t i = samples.from; i < samples.to; i++) {
        const size_t from = pare_rows_first(in, i), at = pare_rows_first(to, i);
        const uint32_t tokens = pare_rows_first(in, i + 1) - (uint32_t)from;
        pare_merge_tokens(run->kernels, pare_slot_read(run, step->in[0]) + from * width,
                          pare_slot_read(run, step->in[1]) + from * key_width,
                          sizes ? sizes + from : NULL, tokens, width, key_width,
                          PARE_MAX(step->node->heads, 1u), step->node->prefix,
                          tokens - (pare_rows_first(to, i + 1) - (uint32_t)at),
                          (float *)pare_slot_data(run, step->out[0]) + at * width,
                          (float *)pare_slot_data(run, step->out[1]) + at, run->scratch);
    }
}

pare_step_fn pare_step_of(unsigned op)
{
    static const pare_step_fn steps[PARE_OP_COUNT] = {
        [PARE_OP_CONV2D] = step_product,
        [PARE_OP_TOKENS] = step_tokens,
        [PARE_OP_LINEAR] = step_product,
        [PARE_OP_NORM] = step_norm,
        [PARE_OP_ATTENTION] = step_attention,
        [PARE_OP_ACTIVATION] = step_activation,
        [PARE_OP_ADD] = step_add,
        [PARE_OP_ADD_VECTOR] = step_add_vector,
        [PARE_OP_POOL] = step_pool,
        [PARE_OP_TOKEN_MERGE] = step_merge,
        [PARE_OP_EMBED] = pare_step_embed,
        [PARE_OP_RMS_NORM] = pare_step_rms_norm,
        [PARE_OP_ROPE] = pare_step_rope,
        [PARE_OP_MUL] = pare_step_mul,
        [PARE_OP_ROWS] = pare_step_rows,
    };
    return op < PARE_OP_COUNT ? steps[op] : NULL;
}

pare_step_fn pare_step_preparing(unsigned slot_kind)
{
    static const pare_step_fn steps[] = {
        [PARE_SLOT_CODES] = step_quantize,         [PARE_SLOT_TRANSPOSED] = step_transpose,
        [PARE_SLOT_DEQUANTIZED] = step_dequantize, [PARE_SLOT_PATCHES] = step_patches,
        [PARE_SLOT_BLOCKS] = step_blocks,          [PARE_SLOT_ANGLES] = pare_step_angles,
        [PARE_SLOT_KEPT] = pare_step_keep,         [PARE_SLOT_BF16] = step_bf16,
        [PARE_SLOT_SUMS] = pare_step_stretches,
    };
    return slot_kind < PARE_COUNT(steps) ? steps[slot_kind] : NULL;
}

size_t pare_step_scratch(const struct pare_kernels *kernels, const struct pare_slot *slots,
                         const struct pare_step *step, size_t rows, uint32_t context)
{
    const struct pare_slot *in = &slots[step->in[0]];
    const struct pare_node *node = step->node;
    if (step->prepares)
        return 0;
    if (step->packed)
        return pare_job_scratch(step->packed, (uint32_t)rows);
    switch (node->op) {
    case PARE_OP_ATTENTION:
        if (node->causal)
            return pare_attend_scratch(kernels, context, in->width / node->heads,
                                       slots[step->out[0]].width / node->heads) *
                   sizeof(float);
        return pare_attention_scratch(kernels, in->tokens, in->width / node->heads,
                                      slots[step->in[2]].width / node->heads) *
               sizeof(float);
    case PARE_OP_TOKEN_MERGE:
        return pare_merge_scratch(kernels, in->tokens,
                                  slots[step->in[1]].width / PARE_MAX(node->heads, 1u));
    default:
        return 0;
    }
}
