/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_ENGINE_ENGINE_H
#define PARE_ENGINE_ENGINE_H

#include "engine/kernels/kernels.h"
#include "engine/plan.h"

/* Inside the engine: a plan is a list of steps over slots. Slots 0 .. n_values - 1 are the graph's
 * values; others hold what a step prepares for products: int8 codes, transposed inputs, patches. */

enum pare_slot_kind {
    PARE_SLOT_VALUE = 0,   /* rows x width floats */
    PARE_SLOT_CODES,       /* rows x stride codes, then rows scales */
    PARE_SLOT_TRANSPOSED,  /* blocks of tokens */
    PARE_SLOT_DEQUANTIZED, /* rows x width floats that went through int8 */
    PARE_SLOT_PATCHES,     /* rows x width floats */
    PARE_SLOT_ANGLES,      /* rows x width floats: cosines, then sines, of a ROPE's pairs */
    PARE_SLOT_BLOCKS,      /* rows of pare_blocks */
    PARE_SLOT_BF16,        /* rows of pare_bf16_stride() bf16 */
    PARE_SLOT_KEPT,        /* per sample the keys and values of an attention, see pare_kept */
    PARE_SLOT_SUMS         /* `width` bytes: per head and stretch of keys what comes of it */
};

struct pare_slot {
    uint8_t kind;
    uint32_t source;        /* value it is made from */
    const void *key;        /* what else it is made from; NULL: nothing */
    uint32_t group;         /* which rows belong to which sample */
    uint32_t tokens, width; /* per sample */
    uint32_t first, last;   /* steps between which it is alive; first > last: never written */
    size_t offset;          /* in the arena */
};

struct pare_run;
struct pare_step;
/* One part of a step. Parts are independent, and what each writes does not depend on their number.
 */
typedef void (*pare_step_fn)(const struct pare_run *run, const struct pare_step *step,
                             uint32_t part, uint32_t parts);

struct pare_step {
    pare_step_fn fn;
    const struct pare_node *node;
    uint32_t index;     /* of the node */
    uint32_t last_node; /* preparing steps: last node that reads it; others: index */
    uint32_t in[PARE_NODE_INPUTS], out[PARE_NODE_OUTPUTS];
    uint32_t n_in;
    bool prepares;
    bool joins; /* may run beside the step before it: neither waits for the other */
    const struct pare_packed *packed;
    struct pare_epilogue end; /* of products; the residual is in[1] */
};

/* Values whose tokens are the same ones of the same samples form a group. */
struct pare_group {
    uint32_t parent; /* group that it comes from; the input's is its own */
    uint32_t tokens; /* per sample of full length */
    uint8_t op;      /* of the node that made it: its rule */
    uint32_t node;
};

/* Which rows of a group are whose: n samples of `tokens` rows each or, with starts (n + 1 of them),
 * rows starts[i]..starts[i + 1] of sample i. */
struct pare_rows {
    uint32_t n, tokens;
    const uint32_t *starts;
};

static inline uint32_t pare_rows_first(const struct pare_rows *r, uint32_t sample)
{
    return r->starts ? r->starts[sample] : sample * r->tokens;
}

static inline uint32_t pare_rows_all(const struct pare_rows *r)
{
    return pare_rows_first(r, r->n);
}

/* What a pass over parts of texts needs beside their tokens. */
struct pare_passage {
    const uint32_t *past;   /* per sample: tokens before the first of this pass */
    const uint32_t *wanted; /* rows whose output is asked for; NULL: all */
    char *const *kept;      /* per sample: its part of the cache; NULL: nothing is kept */
    uint32_t capacity;      /* tokens that `kept` has room for */
    const size_t *offsets;  /* per node: where its keys and values begin in `kept` */
};

/* One pass over a block of samples. */
struct pare_run {
    const struct pare_kernels *kernels;
    const struct pare_slot *slots;
    const struct pare_rows *rows;       /* per group */
    const struct pare_passage *passage; /* NULL: whole samples */
    char *arena;
    void *scratch; /* of this thread */
    const float *inputs;
    uint32_t n; /* samples */
    uint32_t image_width;
};

static inline const struct pare_rows *pare_slot_rows(const struct pare_run *run, uint32_t slot)
{
    return &run->rows[run->slots[slot].group];
}

static inline void *pare_slot_data(const struct pare_run *run, uint32_t slot)
{
    return run->arena + run->slots[slot].offset;
}

static inline const float *pare_slot_read(const struct pare_run *run, uint32_t slot)
{
    return slot == 0 ? run->inputs : (const float *)pare_slot_data(run, slot);
}

/* team.c: the parts of a step, claimed by whichever thread is free, so that one which the system
 * keeps waiting does not hold up the others. With it go those of the n steps that run beside it
 * and, done by the thread that finishes last, those after it that have but one row to pass over: a
 * token has many such, and waiting for each other takes longer than they do. Returns how many steps
 * these were when all are done. `claims` begin at 0 and serve one such call of one run. */
struct pare_claims {
    uint32_t next, done, over; /* atomic */
};
uint32_t pare_work_off(const struct pare_step *steps, uint32_t n, const struct pare_run *run,
                       struct pare_claims *claims, uint32_t parts);

/* Bytes of a slot for `samples` of `rows` rows altogether; false when they overflow. */
bool pare_slot_bytes(const struct pare_kernels *kernels, const struct pare_slot *slot,
                     uint32_t samples, size_t rows, size_t *out);
/* Codes of a quantized row, in columns. */
uint32_t pare_code_stride(uint32_t width);

/* Bytes of scratch per thread that a step needs for `rows` rows of its input, and texts of at most
 * `context` tokens. */
size_t pare_step_scratch(const struct pare_kernels *kernels, const struct pare_slot *slots,
                         const struct pare_step *step, size_t rows, uint32_t context);

/* One part of n things. */
struct pare_share {
    uint32_t from, to;
};
static inline struct pare_share pare_share_of(uint32_t n, uint32_t part, uint32_t parts)
{
    return (struct pare_share){(uint32_t)((uint64_t)n * part / parts),
                               (uint32_t)((uint64_t)n * (part + 1) / parts)};
}

/* steps.c: the operations on slots. NULL: unknown operation. */
pare_step_fn pare_step_of(unsigned op);
pare_step_fn pare_step_preparing(unsigned slot_kind);

/* steps_text.c: those that only texts need. */
void pare_step_embed(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                     uint32_t parts);
void pare_step_rms_norm(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                        uint32_t parts);
void pare_step_rope(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                    uint32_t parts);
void pare_step_mul(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                   uint32_t parts);
void pare_step_rows(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                    uint32_t parts);
void pare_step_angles(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                      uint32_t parts);
void pare_step_keep(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                    uint32_t parts);
void pare_step_stretches(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                         uint32_t parts);
void pare_step_attend(const struct pare_run *run, const struct pare_step *step, uint32_t part,
                      uint32_t parts);
/* Stretches of keys that a row of `context` tokens may see. */
static inline uint32_t pare_stretches(uint32_t context)
{
    return (context + PARE_KEY_STRETCH - 1) / PARE_KEY_STRETCH;
}

/* How the attention of a node keeps keys and values of one sample with room for `capacity` tokens.
 */
struct pare_kept pare_kept_of(const struct pare_kernels *kernels, const struct pare_graph *graph,
                              const struct pare_node *node, uint32_t capacity);

/* merge.c: one sample of ToMe. `scratch` as pare_merge_scratch() says. */
size_t pare_merge_scratch(const struct pare_kernels *kernels, uint32_t tokens, uint32_t head_width);
void pare_merge_tokens(const struct pare_kernels *kernels, const float *x, const float *keys,
                       const float *sizes, uint32_t tokens, uint32_t width, uint32_t key_width,
                       uint32_t heads, uint32_t prefix, uint32_t r, float *out, float *out_sizes,
                       void *scratch);

#endif
