/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that only texts need. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"

/* The sample that a row of the input's group belongs to. */
static uint32_t sample_of(const struct pare_rows *rows, uint32_t row)
{
    uint32_t lo = 0, hi = rows->n;
    if (!rows->starts)
        return row / rows->tokens;
    while (lo + 1 < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (rows->starts[mid] <= row)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t past_of(const struct pare_run *run, uint32_t sample)
{
    return run->passage ? run->passage->past[sample] : 0;
}

/* Where in its text a row of the input's group stands. */
static uint32_t position_of(const struct pare_run *run, uint32_t row)
{
    const struct pare_rows *rows = &run->rows[0];
    const uint32_t sample = sample_of(rows, row);
    return past_of(run, sample) + row - pare_rows_first(rows, sample);
}

/* 1 beyond the first separator of the row's text. Texts that are read in parts have no segments. */
static uint32_t segment_of(const struct pare_run *run, uint32_t row, float separator)
{
    const struct pare_rows *rows = &run->rows[0];
    for (uint32_t r = pare_rows_first(rows, sample_of(rows, row)); r < row; r++)
        if (run->inputs[r] == separator)
            return 1;
    return 0;
}

void pare_step_embed(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                     uint32_t parts)
{
    const struct pare_node *node = step->node;
    const uint32_t width = node->weight->cols;
    const struct pare_share rows =
        pare_share_of(pare_rows_all(pare_slot_rows(run, step->out[0])), part, parts);
    float *out = (float *)pare_slot_data(run, step->out[0]) + (size_t)rows.from * width;
    for (uint32_t r = rows.from; r < rows.to; r++, out += width) {
        uint32_t at = node->embed == PARE_EMBED_ID         ? (uint32_t)run->inputs[r]
                      : node->embed == PARE_EMBED_POSITION ? position_of(run, r)
                                                           : segment_of(run, r, (float)node->token);
        pare_weight_decode(node->weight, PARE_MIN(at, node->weight->rows - 1), 1, out);
    }
}

void pare_step_rms_norm(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                        uint32_t parts)
{
    const uint32_t width = run->slots[step->out[0]].width, heads = step->node->heads;
    const struct pare_share rows =
        pare_share_of(pare_rows_all(pare_slot_rows(run, step->out[0])), part, parts);
    const size_t at = (size_t)rows.from * width;
    run->kernels->rms_norm(pare_slot_read(run, step->in[0]) + at, pare_blob_f32(step->node->a),
                           step->node->eps, (float *)pare_slot_data(run, step->out[0]) + at,
                           (size_t)(rows.to - rows.from) * heads, width / heads);
}

void pare_step_mul(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                   uint32_t parts)
{
    const uint32_t width = run->slots[step->out[0]].width;
    const struct pare_share rows =
        pare_share_of(pare_rows_all(pare_slot_rows(run, step->out[0])), part, parts);
    const size_t at = (size_t)rows.from * width;
    run->kernels->mul(pare_slot_read(run, step->in[0]) + at, pare_slot_read(run, step->in[1]) + at,
                      (float *)pare_slot_data(run, step->out[0]) + at,
                      (size_t)(rows.to - rows.from) * width);
}

void pare_step_rows(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                    uint32_t parts)
{
    const uint32_t width = run->slots[step->out[0]].width;
    const uint32_t *wanted = run->passage ? run->passage->wanted : NULL;
    const struct pare_share rows =
        pare_share_of(pare_rows_all(pare_slot_rows(run, step->out[0])), part, parts);
    const float *x = pare_slot_read(run, step->in[0]);
    float *out = (float *)pare_slot_data(run, step->out[0]) + (size_t)rows.from * width;
    for (uint32_t r = rows.from; r < rows.to; r++, out += width)
        memcpy(out, x + (size_t)(wanted ? wanted[r] : r) * width, width * sizeof *out);
}

/* In double: a position times a frequency has more digits than a float. */
void pare_step_angles(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                      uint32_t parts)
{
    const float *frequency = pare_blob_f32(step->node->a);
    const uint32_t width = run->slots[step->out[0]].width, pairs = width / 2;
    const struct pare_share rows =
        pare_share_of(pare_rows_all(pare_slot_rows(run, step->out[0])), part, parts);
    float *out = (float *)pare_slot_data(run, step->out[0]) + (size_t)rows.from * width;
    for (uint32_t r = rows.from; r < rows.to; r++, out += width) {
        const double position = position_of(run, r);
        for (uint32_t i = 0; i < pairs; i++) {
            out[i] = (float)cos(position * (double)frequency[i]);
            out[pairs + i] = (float)sin(position * (double)frequency[i]);
        }
    }
}

void pare_step_rope(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                    uint32_t parts)
{
    const struct pare_node *node = step->node;
    const uint32_t width = run->slots[step->out[0]].width, heads = node->heads;
    const uint32_t pairs = (uint32_t)(node->a->size / sizeof(float));
    const struct pare_share rows =
        pare_share_of(pare_rows_all(pare_slot_rows(run, step->out[0])), part, parts);
    const float *x = pare_slot_read(run, step->in[0]), *angles = pare_slot_read(run, step->in[1]);
    float *out = pare_slot_data(run, step->out[0]);
    for (size_t r = rows.from; r < rows.to; r++)
        run->kernels->rope(x + r * width, angles + r * 2 * pairs, out + r * width, heads,
                           width / heads, pairs, node->adjacent, node->scale);
}

/* ---- keys and values ---- */

struct pare_kept pare_kept_of(const struct pare_kernels *kernels, const struct pare_graph *graph,
                              const struct pare_node *node, uint32_t capacity)
{
    const uint32_t heads = node->kv_heads ? node->kv_heads : node->heads;
    return pare_kept_new(kernels, node->cache_bits, heads,
                         graph->values[node->inputs[1]].width / heads,
                         graph->values[node->inputs[2]].width / heads, capacity);
}

/* How and where a sample's keys and values of a step's node are. */
static struct pare_kept kept_here(const struct pare_run *run, const struct pare_step *step,
                                  uint32_t slot, uint32_t key_width, uint32_t value_width)
{
    const struct pare_node *node = step->node;
    const uint32_t heads = node->kv_heads ? node->kv_heads : node->heads;
    const struct pare_passage *p = run->passage;
    return pare_kept_new(run->kernels, node->cache_bits, heads, key_width, value_width,
                         p && p->kept ? p->capacity : run->slots[slot].tokens);
}

static char *kept_data(const struct pare_run *run, const struct pare_step *step, uint32_t slot,
                       uint32_t sample)
{
    const struct pare_passage *p = run->passage;
    if (p && p->kept)
        return p->kept[sample] + p->offsets[step->index];
    return (char *)pare_slot_data(run, slot) + (size_t)sample * run->slots[slot].width;
}

void pare_step_keep(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                    uint32_t parts)
{
    const struct pare_node *node = step->node;
    const struct pare_slot *k = &run->slots[step->in[0]], *v = &run->slots[step->in[1]];
    const struct pare_rows *rows = pare_slot_rows(run, step->in[0]);
    const uint32_t heads = node->kv_heads ? node->kv_heads : node->heads;
    const uint32_t dk = k->width / heads, dv = v->width / heads;
    const struct pare_kept kept = kept_here(run, step, step->out[0], dk, dv);
    const float *keys = pare_slot_read(run, step->in[0]);
    const float *values = pare_slot_read(run, step->in[1]);
    const struct pare_share units = pare_share_of(run->n * heads, part, parts);
    for (uint32_t u = units.from; u < units.to; u++) {
        const uint32_t sample = u / heads, head = u % heads;
        const size_t first = pare_rows_first(rows, sample);
        run->kernels->keep(&kept, kept_data(run, step, step->out[0], sample), head,
                           keys + first * k->width + (size_t)head * dk, k->width,
                           values + first * v->width + (size_t)head * dv, v->width,
                           past_of(run, sample),
                           pare_rows_first(rows, sample + 1) - (uint32_t)first);
    }
}

/* What the heads of a step have in common. */
static struct pare_attend attend_of(const struct pare_run *run, const struct pare_step *step,
                                    const struct pare_kept *kept)
{
    return (struct pare_attend){
        .kept = kept,
        .q_stride = run->slots[step->in[0]].width,
        .out_stride = kept->value_width * step->node->heads,
        .window = step->node->window,
        .scale = step->node->scale,
        .scratch = run->scratch,
    };
}

/* How and where the keys of an attention are, whose step reads them as in[1]. */
static struct pare_kept kept_of_step(const struct pare_run *run, const struct pare_step *step)
{
    const struct pare_node *node = step->node;
    return kept_here(run, step, step->in[1], run->slots[step->in[0]].width / node->heads,
                     run->slots[node->outputs[0]].width / node->heads);
}

/* The stretches of keys that the one row of a pass sees; none where there are more rows: they are
 * enough to keep all threads busy. */
static struct pare_share stretches_seen(const struct pare_run *run, const struct pare_step *step)
{
    const uint32_t window = step->node->window, last = past_of(run, 0);
    if (run->n != 1 || pare_rows_all(pare_slot_rows(run, step->in[0])) != 1)
        return (struct pare_share){0, 0};
    const uint32_t first = window && last + 1 > window ? last + 1 - window : 0;
    return (struct pare_share){first / PARE_KEY_STRETCH, last / PARE_KEY_STRETCH + 1};
}

void pare_step_stretches(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                         uint32_t parts)
{
    const struct pare_kept kept = kept_of_step(run, step);
    const struct pare_share seen = stretches_seen(run, step);
    const uint32_t n = seen.to - seen.from, group = step->node->heads / kept.heads;
    const size_t each = pare_attend_sums(run->kernels, kept.value_width);
    const struct pare_share units = pare_share_of(kept.heads * n, part, parts);
    struct pare_attend a = attend_of(run, step, &kept);
    a.n = group;
    a.rows = 1;
    a.past = past_of(run, 0);
    a.sums_stride = each * n;
    for (uint32_t u = units.from; u < units.to; u++) {
        a.data = kept_data(run, step, step->in[1], 0);
        a.kv_head = u / n;
        a.stretch = seen.from + u % n;
        a.q = pare_slot_read(run, step->in[0]) + (size_t)a.kv_head * group * kept.key_width;
        a.sums = (float *)pare_slot_data(run, step->out[0]) + a.kv_head * group * a.sums_stride +
                 u % n * each;
        run->kernels->attend(&a);
    }
}

/* Heads from what became of their stretches. */
static void end_heads(const struct pare_run *run, const struct pare_step *step, uint32_t n)
{
    const uint32_t heads = step->node->heads, dv = run->slots[step->out[0]].width / heads;
    const size_t stride = pare_attend_sums(run->kernels, dv) * n;
    float *sums = pare_slot_data(run, step->in[2]), *out = pare_slot_data(run, step->out[0]);
    for (uint32_t head = 0; head < heads; head++)
        run->kernels->attend_end(sums + head * stride, n, dv, out + (size_t)head * dv);
}

void pare_step_attend(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                      uint32_t parts)
{
    const uint32_t heads = step->node->heads;
    const struct pare_rows *rows = pare_slot_rows(run, step->out[0]);
    const struct pare_kept kept = kept_of_step(run, step);
    const struct pare_share seen = stretches_seen(run, step);
    if (seen.to) {
        if (part == 0)
            end_heads(run, step, seen.to - seen.from);
        return;
    }
    /* Heads are shared out; those of a part that look at the same keys go together. */
    const uint32_t group = heads / kept.heads, all = run->n * heads;
    const uint32_t cuts = all >= 2 * parts ? 1 : parts;
    const struct pare_share units = pare_share_of(all * cuts, part, parts);
    struct pare_attend a = attend_of(run, step, &kept);
    for (uint32_t u = units.from; u < units.to; u += a.n) {
        const uint32_t head = u / cuts % heads, sample = u / cuts / heads;
        const size_t first = pare_rows_first(rows, sample);
        const struct pare_share queries =
            pare_share_of(pare_rows_first(rows, sample + 1) - (uint32_t)first, u % cuts, cuts);
        a.n = cuts == 1 ? PARE_MIN(units.to - u, group - head % group) : 1;
        a.data = kept_data(run, step, step->in[1], sample);
        a.kv_head = head / group;
        a.q = pare_slot_read(run, step->in[0]) + (first + queries.from) * a.q_stride +
              (size_t)head * kept.key_width;
        a.out = (float *)pare_slot_data(run, step->out[0]) + (first + queries.from) * a.out_stride +
                (size_t)head * kept.value_width;
        a.rows = queries.to - queries.from;
        a.past = past_of(run, sample) + queries.from;
        if (a.rows)
            run->kernels->attend(&a);
    }
}
