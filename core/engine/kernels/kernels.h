/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_ENGINE_KERNELS_H
#define PARE_ENGINE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/plan.h"

/* Kernels by instruction set. Every one sums in an order that only the inner dimension fixes: a
 * row's bits depend neither on its position, nor on the rows beside it, nor on the split between
 * threads. Nothing here allocates; buffers are the caller's. All matrices are row-major. */

/* What happens to a product before it is stored: y = act(x W' + bias), or, with a residual,
 * y = factor * (residual + x W' + bias). Never both. */
struct pare_epilogue {
    const float *bias;     /* N, or NULL */
    const float *residual; /* M x N, or NULL; never the same memory as the output */
    float factor;
    unsigned activation; /* enum pare_activation, 0: none */
};

/* What a product reads. */
enum pare_input {
    PARE_INPUT_F32 = 0,    /* M x K floats */
    PARE_INPUT_INT8,       /* pare_quantized: one scale per token */
    PARE_INPUT_TRANSPOSED, /* blocks of tokens, each K x token_block; see pare_token_block() */
    PARE_INPUT_BLOCKS,     /* struct pare_blocks: one scale per 32 columns of a token */
    PARE_INPUT_BF16        /* rows of pare_bf16_stride() numbers */
};

/* Quantized activations: rows of `stride` codes, int8 + 128 in a byte for VNNI and for the
 * reference
 * (`code_size` 1), int16 elsewhere (2), and one scale per row. Columns beyond K hold 0. */
struct pare_quantized {
    const void *codes;
    const float *scales;
    size_t stride;
};

/* Activations quantized by blocks: rows of int8 codes (columns beyond K hold 0), then an f32 scale
 * per PARE_ACTIVATION_GROUP columns, then the sum of the codes of every PARE_SUM_SPAN columns as
 * int32. */
#define PARE_SUM_SPAN 16u
struct pare_blocks {
    uint32_t groups;
    size_t scales, sums, bytes; /* of a row: where its scales and sums begin, and all of it */
};
static inline struct pare_blocks pare_blocks_of(uint32_t k)
{
    const uint32_t groups = (k + PARE_ACTIVATION_GROUP - 1) / PARE_ACTIVATION_GROUP;
    const size_t codes = (size_t)groups * PARE_ACTIVATION_GROUP;
    const size_t sums = codes + groups * sizeof(float);
    return (struct pare_blocks){
        .groups = groups,
        .scales = codes,
        .sums = sums,
        .bytes = sums + codes / PARE_SUM_SPAN * sizeof(int32_t),
    };
}

/* Numbers of a row of bf16 inputs: K, and a 0 to fill up a pair. */
static inline uint32_t pare_bf16_stride(uint32_t k)
{
    return k + (k & 1);
}

/* The family of products: name, field in struct pare_kernels, input. The list feeds the
 * declarations, the tests and the benchmarks. */
#define PARE_PRODUCTS(X)                                                                           \
    X(DENSE, dense, "f32 dense", PARE_INPUT_F32)                                                   \
    X(NM, nm, "f32 N:M", PARE_INPUT_F32)                                                           \
    X(SPARSE, sparse, "f32 sparse", PARE_INPUT_TRANSPOSED)                                         \
    X(F16, f16, "f16 weight-only", PARE_INPUT_F32)                                                 \
    X(BF16, bf16, "bf16 weight-only", PARE_INPUT_F32)                                              \
    X(BF16_DOT, bf16_dot, "bf16", PARE_INPUT_BF16)                                                 \
    X(CODES4, codes4, "int4 weight-only", PARE_INPUT_F32)                                          \
    X(CODES8, codes8, "int8 weight-only", PARE_INPUT_F32)                                          \
    X(DYNAMIC, dynamic, "int8 dynamic", PARE_INPUT_INT8)                                           \
    X(DYNAMIC_SPARSE, dynamic_sparse, "4:8 int8 dynamic", PARE_INPUT_INT8)                         \
    X(BLOCKS8, blocks8, "int8 dynamic g32", PARE_INPUT_BLOCKS)                                     \
    X(BLOCKS4, blocks4, "int4 dynamic g32", PARE_INPUT_BLOCKS)                                     \
    X(PLUGIN, plugin, "plugin", PARE_INPUT_F32)

enum pare_product {
#define X(id, field, name, input) PARE_PRODUCT_##id,
    PARE_PRODUCTS(X)
#undef X
        PARE_PRODUCT_COUNT
};

/* A weight packed for one kernel. Outputs are cut into panels of `panel` columns of the product,
 * the last one as many whole vectors as it needs. */
struct pare_packed {
    uint8_t product; /* enum pare_product */
    uint8_t isa;     /* enum pare_isa, whose layout this is */
    uint32_t n, k;   /* outputs, inputs */
    uint32_t k_padded;
    uint32_t group, groups; /* columns per scale as the kernel sees them */
    uint32_t panel;         /* outputs per panel */
    uint32_t panels;
    uint32_t slots;     /* NM: stored numbers per output and vector of inputs */
    size_t panel_bytes; /* of `data`, between panels */
    void *data;         /* f32, f16, bf16 or codes */
    uint8_t *control;   /* DYNAMIC_SPARSE: places of 4 of 8 inputs, place_bits each, low bits first;
                           NM: which input */
    uint16_t *offsets;  /* SPARSE: beside every number, where in a chunk of a block its inputs lie,
                           in bytes */
    uint32_t *starts;   /* SPARSE: by group of panels, chunk, panel and output, where in data it
                           begins; one more ends the last */
    float *scales;      /* [panel][group][panel width]; BLOCKS*, CODES*: f16 where `half` */
    float *zeros;       /* CODES*: the zero; DYNAMIC, BLOCKS*: what the sum of the inputs is
                           multiplied by; or NULL */
    int32_t *sums;      /* DYNAMIC*: 128 * sum of the codes, for inputs stored with +128 */
    uint32_t scratch;   /* SPARSE, F16, BF16, CODES*, DYNAMIC_SPARSE: floats that a job needs */
    uint8_t zero_kind;  /* CODES*: enum pare_zero_kind */
    uint8_t
        place_bits;    /* DYNAMIC_SPARSE: 4, or 2 for 2:4, where places count from the first of 4 */
    uint8_t code_bias; /* CODES4: subtracted from the stored code */
    bool half;         /* BLOCKS*, CODES*: scales and zeros are exactly f16 */
    int32_t offset;    /* BLOCKS*: added to the stored code */
    uint32_t span;     /* BLOCKS*: columns that are summed before a scale is applied */
    struct pare_weight *weight; /* PLUGIN: as it is stored */
    size_t bytes;               /* of everything above */
};

/* A part of a product: rows m0..m1 and panels p0..p1 (SPARSE: token blocks and outputs). */
struct pare_job {
    const struct pare_packed *w;
    const float *x;          /* M x K, or the transposed blocks */
    struct pare_quantized q; /* for INT8 */
    const void *blocks;      /* for BLOCKS: row 0 */
    const uint16_t *halves;  /* for BF16: row 0 */
    struct pare_epilogue end;
    float *y;                      /* M x N */
    bool turned;                   /* SPARSE: y in transposed blocks, as inputs are */
    uint32_t m0, m1, p0, p1, rows; /* rows: M */
    void *scratch;                 /* scratch_bytes() */
};

struct pare_attention {
    const float *q, *k, *v; /* tokens x (heads * head_width), v: heads * value_width */
    const float *sizes;     /* tokens, or NULL */
    float *out;             /* tokens x (heads * value_width) */
    uint32_t tokens, heads, head_width, value_width;
    uint32_t query0, query1; /* the queries of this call */
    float scale;
    float *scratch; /* attention_scratch() floats */
};

/* Keys and values of one sample as causal attention keeps them, for tokens 0 .. capacity - 1. Per
 * head keys lie feature-major in blocks of as many tokens as a vector has lanes (block, feature,
 * token), values token by token, filled up to whole vectors. 16 bits: f16. 8 and 4 bits: unsigned
 * codes and, per head and token, a scale and a least value: x = scale * code + least; of 4-bit
 * codes two share a byte, low bits first: of keys those of neighbouring features, of values those
 * of neighbouring vectors. */
struct pare_kept {
    uint8_t bits;   /* 32, 16, 8, 4 */
    uint32_t heads; /* of keys and values */
    uint32_t key_width, value_width;
    uint32_t capacity;   /* a multiple of the lanes */
    size_t keys, values; /* where they begin in the data of a sample */
    size_t key_scales, value_scales;
    size_t key_bytes, value_bytes; /* of a head */
    size_t key_block, value_row;   /* bytes of a block of keys, of a token's values */
    size_t bytes;                  /* of the sample */
};
#define PARE_HEAD_MOST 1024u /* widest head of keys or values that are kept as integers */

/* Causal attention of `n` neighbouring query heads, which share one head of keys, over the rows of
 * one sample. Row i is token past + i and sees tokens up to itself. */
struct pare_attend {
    const struct pare_kept *kept;
    const char *data; /* of the sample */
    uint32_t kv_head;
    const float *q; /* first row, first of the heads; rows are q_stride floats apart */
    float *out;
    size_t q_stride, out_stride;
    uint32_t n, rows, past, window;
    float scale;
    float *scratch; /* pare_attend_scratch() floats */
    /* Not NULL: of the one row only what comes of the keys of one stretch, for attend_end(). */
    float *sums;
    size_t sums_stride; /* floats between heads */
    uint32_t stretch;
};

/* Keys are seen in stretches of so many, each with a highest score of its own: threads may take one
 * each, and what a row comes to does not depend on it. A multiple of every panel. */
#define PARE_KEY_STRETCH 144u

/* What one instruction set offers. Products that it lacks are NULL. */
struct pare_kernels {
    uint8_t isa;
    uint32_t lanes;         /* floats per vector */
    uint32_t panel;         /* outputs per panel */
    uint32_t rows;          /* rows per tile */
    uint32_t token_block;   /* most tokens of a transposed block */
    uint32_t sparse_chunk;  /* columns that a SPARSE product reads at a time; of at most 64 KiB */
    uint32_t sparse_panels; /* and panels for which it goes through the columns once */
    uint32_t code_size;     /* bytes per quantized activation */
    uint32_t k_chunk;       /* inner columns per pass of the products of floats */
    uint32_t k_step;        /* columns per integer dot product: 4 with VNNI, 2 without */
    void (*product[PARE_PRODUCT_COUNT])(const struct pare_job *job);
    void (*quantize)(const float *x, uint32_t rows, uint32_t k, void *codes, size_t stride,
                     float *scales);
    void (*quantize_blocks)(const float *x, uint32_t rows, uint32_t k, void *out);
    /* To rows of pare_bf16_stride(k) bf16, ties to even, denormals to 0; NULL where products take
     * none. */
    void (*to_bf16)(const float *x, uint32_t rows, uint32_t k, uint16_t *out);
    /* Token block `block` of an M x K matrix. */
    void (*transpose)(const float *x, uint32_t m, uint32_t k, uint32_t block, float *out);
    void (*activate)(unsigned activation, const float *x, float *y, size_t n);
    void (*add)(const float *x, const float *y, float factor, float *out, size_t n);
    void (*add_vector)(const float *x, const float *a, float *out, uint32_t rows, uint32_t width);
    void (*norm)(const float *x, const float *gamma, const float *beta, float eps, float *out,
                 uint32_t rows, uint32_t width);
    void (*mean)(const float *x, float *out, uint32_t rows, uint32_t width);
    void (*attention)(const struct pare_attention *a, uint32_t head);
    /* Each of `rows` slices of `width` by its own root mean square. */
    void (*rms_norm)(const float *x, const float *gamma, float eps, float *out, size_t rows,
                     uint32_t width);
    void (*mul)(const float *x, const float *y, float *out, size_t n);
    /* One row of `heads` slices: see PARE_OP_ROPE; `angles`: cosines, then sines of the pairs. */
    void (*rope)(const float *x, const float *angles, float *out, uint32_t heads, uint32_t width,
                 uint32_t pairs, bool adjacent, float factor);
    /* Keep one head of keys (n rows, `key_stride` floats apart) and of values as tokens from `at`
     * on. */
    void (*keep)(const struct pare_kept *kept, char *data, uint32_t head, const float *keys,
                 size_t key_stride, const float *values, size_t value_stride, uint32_t at,
                 uint32_t n);
    void (*attend)(const struct pare_attend *a);
    /* What a head of a row comes to by the sums of n stretches, pare_attend_sums() floats apart and
     * used up. */
    void (*attend_end)(float *sums, uint32_t n, uint32_t value_width, float *out);
    float (*dot)(const float *x, const float *y, size_t n);
    /* log of the sum of e^x over n >= 1 numbers; `top`: index of the highest, the first of equals.
     */
    float (*log_sum)(const float *x, size_t n, uint32_t *top);
    /* Kullback-Leibler divergence of softmax(y) from softmax(x), whose log_sum() are given: sum of
     * p (log p - log q). */
    float (*divergence)(const float *x, float x_sum, const float *y, float y_sum, size_t n);
    /* For each of m rows of x the row of y (n >= 1 of them, k wide) with the largest inner product,
     * the first of equals, and that product. `scratch`: pare_nearest_scratch() floats. */
    void (*nearest)(const float *x, size_t ldx, uint32_t m, const float *y, size_t ldy, uint32_t n,
                    uint32_t k, uint32_t *index, float *product, float *scratch);
};

/* NULL when the program has no kernels for it, or the CPU cannot run them. */
const struct pare_kernels *pare_kernels_of(enum pare_isa isa);

#define PARE_KERNELS(X) X(scalar) X(avx2) X(avx512) X(avx512vnni) X(avx512bf16)
#define X(name) extern const struct pare_kernels pare_kernels_##name;
PARE_KERNELS(X)
#undef X

/* Floats of scratch that attention over `tokens` needs for one head. */
size_t pare_attention_scratch(const struct pare_kernels *kernels, uint32_t tokens,
                              uint32_t head_width, uint32_t value_width);
/* ... that causal attention needs which sees at most `tokens`. */
size_t pare_attend_scratch(const struct pare_kernels *kernels, uint32_t tokens, uint32_t key_width,
                           uint32_t value_width);
/* Floats that a stretch of keys leaves of a head: values, weights, and the highest score. */
size_t pare_attend_sums(const struct pare_kernels *kernels, uint32_t value_width);
struct pare_kept pare_kept_new(const struct pare_kernels *kernels, uint32_t bits, uint32_t heads,
                               uint32_t key_width, uint32_t value_width, uint32_t capacity);
size_t pare_nearest_scratch(const struct pare_kernels *kernels, uint32_t n, uint32_t k);
/* PLUGIN: the sums of a job's part by the plugin's kernel, to y. */
void pare_plugin_sums(const struct pare_job *job);
/* Most that a plugin's kernel may ask for, per thread: beyond it lies a mistake, not a need. */
#define PARE_PLUGIN_SCRATCH ((size_t)1 << 30)
/* Bytes of scratch that a job of `rows` rows needs; of a PLUGIN whatever it says. */
size_t pare_job_scratch(const struct pare_packed *w, uint32_t rows);

/* Rows of queries per pass of attention. */
#define PARE_QUERY_BLOCK 48u

/* Tokens of a transposed block. Rows are spread over as few blocks as hold them, evenly by vectors;
 * vectors are filled up by 0. */
struct pare_token_block {
    uint32_t first, count;
};
static inline uint32_t pare_token_blocks(uint32_t rows, uint32_t most)
{
    return (rows + most - 1) / most;
}
static inline struct pare_token_block pare_token_block(uint32_t rows, uint32_t lanes, uint32_t most,
                                                       uint32_t block)
{
    const uint64_t vecs = (rows + lanes - 1) / lanes, blocks = pare_token_blocks(rows, most);
    uint32_t first = (uint32_t)(vecs * block / blocks) * lanes;
    uint32_t end = (uint32_t)(vecs * (block + 1) / blocks) * lanes;
    return (struct pare_token_block){first, (end < rows ? end : rows) - first};
}

const char *pare_product_name(unsigned product);
enum pare_input pare_product_input(unsigned product);

/* ---- packing (pack.c) ---- */

/* How a weight runs on an instruction set: the product, and whether it is decoded to a wider form.
 * A rule by encoding and shape alone. `tokens`: rows per sample, or PARE_TOKENS_ANY: of texts that
 * are read at once and token by token. */
#define PARE_TOKENS_ANY 0u
struct pare_choice {
    uint8_t product;
    bool decoded;
    bool dequantize; /* int8 inputs, but multiplied as floats: quantized and taken back */
};
struct pare_choice pare_choose(const struct pare_kernels *kernels, const struct pare_weight *w,
                               uint32_t activation_bits, uint32_t activation_group,
                               uint32_t tokens);

/* Pack `w` for the product; PARE_UNSUPPORTED when the product cannot express it. */
int pare_pack(const struct pare_kernels *kernels, unsigned product, const struct pare_weight *w,
              struct pare_packed **out, struct pare_error *err);
void pare_packed_free(struct pare_packed *p); /* NULL is fine */

#endif
