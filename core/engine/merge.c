/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"

/*
 * Token merging by bipartite soft matching (Bolya et al., ICLR 2023): tokens at even positions (A)
 * look for the most similar one at odd positions (B), by the cosine of their keys averaged over
 * heads; the r most similar pairs become one token, the mean weighted by how many source tokens
 * each stands for. What is left comes in the order [rest of A, B].
 *
 * The first `prefix` tokens stay themselves: one in A is not offered (the class token), one in B is
 * not chosen (the distillation token). Ties take the lower position.
 */

struct pair {
    uint32_t a, b; /* positions */
    float score;
};

size_t pare_merge_scratch(const struct pare_kernels *kernels, uint32_t tokens, uint32_t head_width)
{
    return (size_t)tokens * (head_width * sizeof(float) + sizeof(struct pair) + sizeof(uint32_t) +
                             sizeof(float) + 1) +
           pare_nearest_scratch(kernels, tokens, head_width) * sizeof(float) + PARE_ALIGN;
}

/* Unit vectors: the mean over heads of a token's keys. */
static void metric_of(const struct pare_kernels *kernels, const float *keys, uint32_t tokens,
                      uint32_t key_width, uint32_t heads, float *metric)
{
    const uint32_t dh = key_width / heads;
    for (uint32_t t = 0; t < tokens; t++, keys += key_width, metric += dh) {
        memcpy(metric, keys, dh * sizeof *metric);
        for (uint32_t h = 1; h < heads; h++)
            kernels->add(metric, keys + (size_t)h * dh, 1.0f, metric, dh);
        float length = sqrtf(kernels->dot(metric, metric, dh));
        float inv = length > 0 ? 1.0f / length : 0;
        for (uint32_t i = 0; i < dh; i++)
            metric[i] *= inv;
    }
}

/* Insert, so that scores fall and equal ones keep their order. */
static void insert_pair(struct pair *pairs, uint32_t n, struct pair p)
{
    uint32_t i = n;
    for (; i > 0 && pairs[i - 1].score < p.score; i--)
        pairs[i] = pairs[i - 1];
    pairs[i] = p;
}

void pare_merge_tokens(const struct pare_kernels *kernels, const float *x, const float *keys,
                       const float *sizes, uint32_t tokens, uint32_t width, uint32_t key_width,
                       uint32_t heads, uint32_t prefix, uint32_t r, float *out, float *out_sizes,
                       void *scratch)
{
    const uint32_t dh = key_width / heads;
    float *metric = scratch;
    struct pair *pairs = (struct pair *)(void *)(metric + (size_t)tokens * dh);
    uint32_t *nearest = (uint32_t *)(void *)(pairs + tokens);
    float *score = (float *)(void *)(nearest + tokens), *products = score + tokens;
    uint8_t *gone = (uint8_t *)(products + pare_nearest_scratch(kernels, tokens, dh));
    metric_of(kernels, keys, tokens, key_width, heads, metric);
    memset(gone, 0, tokens);

    const uint32_t a0 = (prefix + 1) & ~1u, b0 = prefix | 1;
    const uint32_t count = a0 < tokens && b0 < tokens ? (tokens - a0 + 1) / 2 : 0;
    if (count)
        kernels->nearest(metric + (size_t)a0 * dh, 2 * (size_t)dh, count, metric + (size_t)b0 * dh,
                         2 * (size_t)dh, (tokens - b0 + 1) / 2, dh, nearest, score, products);
    uint32_t n = 0;
    for (; n < count; n++)
        insert_pair(pairs, n,
                    (struct pair){.a = a0 + 2 * n, .b = b0 + 2 * nearest[n], .score = score[n]});
    r = PARE_MIN(r, n);
    for (uint32_t i = 0; i < r; i++)
        gone[pairs[i].a] = 1;

    uint32_t at = 0;
    for (uint32_t a = 0; a < tokens; a += 2) {
        if (gone[a])
            continue;
        memcpy(out + (size_t)at * width, x + (size_t)a * width, width * sizeof *out);
        out_sizes[at++] = sizes ? sizes[a] : 1.0f;
    }
    const uint32_t kept = at;
    for (uint32_t b = 1; b < tokens; b += 2, at++) {
        memcpy(out + (size_t)at * width, x + (size_t)b * width, width * sizeof *out);
        out_sizes[at] = sizes ? sizes[b] : 1.0f;
    }
    /* Sums first: several may go to the same token. */
    for (uint32_t i = 0; i < r; i++) {
        uint32_t to = kept + pairs[i].b / 2;
        float *y = out + (size_t)to * width;
        const float *from = x + (size_t)pairs[i].a * width;
        float size = sizes ? sizes[pairs[i].a] : 1.0f;
        if (!(gone[pairs[i].b] & 2)) {
            gone[pairs[i].b] |= 2;
            for (uint32_t c = 0; c < width; c++)
                y[c] *= out_sizes[to];
        }
        for (uint32_t c = 0; c < width; c++)
            y[c] += size * from[c];
        out_sizes[to] += size;
    }
    for (uint32_t b = 1; b < tokens; b += 2) {
        if (!(gone[b] & 2))
            continue;
        float *y = out + (size_t)(kept + b / 2) * width, size = out_sizes[kept + b / 2];
        for (uint32_t c = 0; c < width; c++)
            y[c] /= size;
    }
}
