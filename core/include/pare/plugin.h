/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pare's plugin interface, ABI 1.0. A plugin is a shared object that includes this header, exports
 * one function (PARE_PLUGIN writes it) and links to nothing of Pare's: the host's services arrive
 * as tables.
 *
 * Growing without breaking: every struct begins with its size and only grows at the end; either
 * side reads no more of the other's struct than its size says, and takes what is missing as zero;
 * arrays carry the size of an element. Services beyond the first table are extensions by id. So a
 * plugin of 1.M runs in a host of 1.N whichever is older, as long as it asks with PARE_HAS() before
 * it uses what came after 1.0. Names, numbers, ids and the meaning of what is there never change;
 * docs/abi.md has the whole promise.
 *
 * Rules for plugins. Strings and arrays that the host hands out belong to the host and live until
 * the entry point returns. Memory from `alloc` is freed by the host when the entry point returns. A
 * plugin never exits, aborts, prints to stdout, changes the locale, signal handlers or the
 * floating-point control state. Entry points are called from one thread; services may be called
 * from that thread only, but inside `parallel` only the ones marked so. After an error was reported
 * through `error`, return the status that `error` returned.
 */
#ifndef PARE_PLUGIN_H
#define PARE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#include <pare/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PARE_ABI_MAJOR 1
#define PARE_ABI_MINOR 0

struct pare_ctx; /* one call of one entry point; the host's */

/* ---- what a plugin can be
 * ------------------------------------------------------------------------ */

enum pare_kind {
    PARE_TRANSFORM = 1, /* changes the model */
    PARE_SCORE = 2,     /* fills a table of importance or distortion */
    PARE_ALLOCATE = 3,  /* turns tables and a budget into one option per unit */
    PARE_ENCODING = 4,  /* a transform that brings the representation which it changes weights to */
    PARE_METRIC = 5     /* measures something of a model's outputs */
};

/* Kinds of units; also used as a mask of what a parameter can vary over. */
enum pare_unit_kind {
    PARE_UNIT_LINEAR = 1,  /* one weight matrix with its bias */
    PARE_UNIT_HEAD = 2,    /* one attention head: rows of q, k, v and columns of the output linear;
                              where several query heads share one of keys and values, all of them */
    PARE_UNIT_CHANNEL = 4, /* one hidden channel of a feed-forward branch: a row of the up linear
                              (of gate and up), a column of the down linear */
    PARE_UNIT_BRANCH = 8,  /* one residual branch */
    PARE_UNIT_BLOCK = 16,  /* the branches of one layer */
    PARE_UNIT_STREAM = 32  /* a point of the residual stream where tokens can be merged; models with
                              causal attention have none */
};

/* A view on a part of the model; the host's, valid until the entry point returns. `path` is for
 * ever: "layer.3.attn.query" names the same part when other layers have been dropped. */
struct pare_unit {
    uint32_t struct_size;
    uint32_t kind;  /* enum pare_unit_kind */
    uint32_t index; /* position among the selected units of this kind, in execution order */
    int32_t block;  /* index of the layer it is in, -1 when in none */
    const char *path;
    const char *role;    /* "attention.query", "feed_forward.up", "classifier", ... */
    uint32_t rows, cols; /* linear: outputs and inputs; head: its columns of the output linear;
                            channel: 1; stream: tokens, width */
    uint64_t parameters; /* numbers stored for it, biases included */
    uint64_t macs;       /* multiply-accumulates per sample */
    const char *within;  /* head, channel: path of the branch; linear: of the branch; branch: of the
                            block; or NULL */
};

/* ---- parameters are data
 * ------------------------------------------------------------------------- */

enum pare_param_type {
    PARE_INT = 1,
    PARE_REAL = 2,
    PARE_BOOL = 3,   /* 0 or 1 */
    PARE_CHOICE = 4, /* one of `choices` */
    PARE_TEXT = 5,
    PARE_INTS = 6,  /* a list of integers */
    PARE_SCORED = 7 /* the id of a score plugin, or a map {plugin: ID, PARAMETER: VALUE, ...} */
};

/* `param_flags` */
#define PARE_PARAM_LOG 1u      /* the search samples it on a logarithmic scale */
#define PARE_PARAM_REQUIRED 2u /* no default: the pipeline has to say it */

/* Values in text are written as in YAML: "4", "0.5", "true", "mse", "[1, 2]". */
struct pare_param {
    const char *name; /* lower case, words joined by '_' */
    const char *help; /* one sentence */
    uint32_t type;    /* enum pare_param_type */
    uint32_t param_flags;
    double min, max;      /* for INT, REAL and every element of INTS; min > max: no bounds */
    const char *dflt;     /* default; NULL: none (for INTS and TEXT: empty) */
    const char *identity; /* the setting at which the plugin changes nothing, or NULL */
    const char *choices;  /* CHOICE: "none|mse" */
    const char *unit;     /* "bits", "tokens", ... or NULL */
    const char *search;   /* values worth trying, "2,3,4,8", or NULL */
    uint32_t varies; /* mask of unit kinds it can vary over; 0: one value for the whole stage */
    uint32_t reserved;
    const char *when; /* "choose=score|even": it counts only while that choice is one of these;
                         NULL: always */
};

/* ---- the host's first table
 * ---------------------------------------------------------------------- */

enum pare_log_level { PARE_LOG_DEBUG = 0, PARE_LOG_INFO = 1, PARE_LOG_WARN = 2 };

struct pare_host {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor;

    /* Report why the call fails; returns `status`. The last message counts. */
    int (*error)(struct pare_ctx *ctx, int status, const char *fmt, ...);
    void (*log)(struct pare_ctx *ctx, int level, const char *fmt, ...);
    /* Long work calls this now and then: reports the share done (0..1); nonzero means: stop, return
     * PARE_CANCELLED. */
    int (*progress)(struct pare_ctx *ctx, double share);
    /* Zeroed memory, aligned to 64 bytes, freed when the entry point returns. NULL: no memory (the
     * message is set). */
    void *(*alloc)(struct pare_ctx *ctx, size_t n, size_t size);

    /* A parameter's value, for one unit or (unit = NULL) for the stage. The name and type were
     * checked against the plugin's own table; asking for another is PARE_INVALID. A numeric value
     * that was given per block or branch is the same for all units in it. */
    int (*get_real)(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                    double *out);
    int (*get_int)(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                   int64_t *out);
    int (*get_text)(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                    const char **out);
    int (*get_ints)(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                    const int64_t **values, uint32_t *n);

    /* A table of further services by id ("pare.model/1"), or NULL when this host has none. */
    const void *(*extension)(struct pare_ctx *ctx, const char *id);

    /* Of a transform: what it settled for a unit by itself (which branch to drop, which head to
     * keep), as the value of one of its parameters, and the score that spoke for it (NaN: none).
     * It is what the database shows; without this call that is the declared value. */
    int (*decided)(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                   double value, double score);
};

/* Whether a table is long enough to hold a slot, and the slot is filled. */
#define PARE_HAS(table, slot)                                                                      \
    ((table) &&                                                                                    \
     offsetof(__typeof__(*(table)), slot) + sizeof((table)->slot) <= (table)->struct_size &&       \
     (table)->slot)

/* ---- extensions
 * ---------------------------------------------------------------------------------- */

/* Units: those of the model as it enters the stage, restricted to what `on` and `except` selected.
 */
#define PARE_EXT_MODEL "pare.model/1"
struct pare_ext_model {
    uint32_t struct_size;
    uint32_t (*count)(struct pare_ctx *ctx, uint32_t unit_kind);
    const struct pare_unit *(*unit)(struct pare_ctx *ctx, uint32_t unit_kind, uint32_t index);
    /* The unit with that path, selected or not; NULL: none. */
    const struct pare_unit *(*find)(struct pare_ctx *ctx, uint32_t unit_kind, const char *path);
    /* Number of layers of the original model. */
    uint32_t (*blocks)(struct pare_ctx *ctx);
};

/* Weights of linear units. Rows are outputs. A weight that other parts of the model share (a
 * classifier tied to the embedding) stays shared: all of them get what is set. How a linear's
 * products take their inputs is not changed by setting its weight: a model can come with int8
 * activations, and keeps them until set_activations() is called. */
enum pare_zero_kind {
    PARE_ZERO_NONE = 0, /* w = scale * code, code in [-2^(b-1), 2^(b-1)-1] */
    PARE_ZERO_INT = 1,  /* w = scale * (code - zero), code and zero in [0, 2^b - 1] */
    PARE_ZERO_MIN = 2   /* w = scale * code + zero, code in [0, 2^b - 1], zero rounded to f16 */
};

/* A plugin's own integers: GPTQ must store its codes, not have f32 rounded again. */
struct pare_integers {
    uint32_t struct_size;
    uint32_t bits;        /* 2 to 8 */
    uint32_t group_size;  /* columns per scale, counted in original positions; 0: one per row */
    uint32_t zero_kind;   /* enum pare_zero_kind */
    const int16_t *codes; /* rows * cols */
    const float
        *scales; /* rows * groups; stored as f16: pass values that `round_f16` leaves alone */
    const float *zeros; /* rows * groups; NULL for PARE_ZERO_NONE */
};

/* ---- encodings
 * ----------------------------------------------------------------------------------- */

/* A weight in a plugin's own representation: bytes that the plugin laid out and that files hold as
 * they are (so: fixed widths, little-endian). The host's; `data` is aligned to 64 bytes. */
struct pare_encoded {
    uint32_t struct_size;
    uint32_t rows, cols; /* outputs, inputs */
    uint32_t reserved;
    const void *data;
    uint64_t size;
};

/* A part of a product y = x W': some outputs of some tokens. The host adds bias, activation and
 * residual. */
struct pare_multiply {
    uint32_t struct_size;
    uint32_t row, n; /* outputs row .. row + n - 1 */
    uint32_t tokens; /* rows of x and y */
    const float *x;  /* ldx floats from token to token, cols of them are there */
    float *y;        /* ldy floats from token to token; y[0] is output `row` */
    uint64_t ldx, ldy;
    void *scratch; /* scratch() bytes, aligned to 64, of this call alone */
};

/* What a plugin of kind PARE_ENCODING brings besides the entry points of a transform. These
 * functions get no context: they run wherever a model with such weights runs, in several threads at
 * once, long after the plugin's entry points. They allocate nothing, keep nothing and read nothing
 * but what they are given. */
struct pare_encoding {
    uint32_t struct_size;
    uint32_t reserved;
    /* Bytes come from files that strangers wrote. NULL: these are a weight, the other functions
     * read nothing outside of them and give finite numbers; else why not, as a static text. Called
     * before all others, once per weight. */
    const char *(*check)(const struct pare_encoded *w);
    /* `n` rows from `row` as f32, n * cols: the reference for multiply(). */
    void (*decode)(const struct pare_encoded *w, uint32_t row, uint32_t n, float *out);
    /* A word or two for people: "codebook 4 bits". At most `size` bytes with the NUL. NULL: the
     * plugin's id. */
    void (*describe)(const struct pare_encoded *w, char *out, uint32_t size);
    /* The native kernel. A number of y depends on its row of x and its row of the weight alone, bit
     * for bit, however the host cuts the work. NULL: the host decodes the weight once and
     * multiplies f32, and says so. */
    void (*multiply)(const struct pare_encoded *w, const struct pare_multiply *job);
    /* Bytes that multiply() needs for so many tokens at most. NULL: none. */
    uint64_t (*scratch)(const struct pare_encoded *w, uint32_t tokens);
};

#define PARE_EXT_WEIGHT "pare.weight/1"
struct pare_ext_weight {
    uint32_t struct_size;
    /* `n` rows from `row`, decoded to f32, n * cols. */
    int (*read)(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t row, uint32_t n,
                float *out);
    /* 1 where the structure keeps a position, 0 where it holds an exact zero; n * cols. */
    int (*read_kept)(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t row, uint32_t n,
                     uint8_t *out);
    /* New values; the structure and its exact zeros stay. rows * cols. */
    int (*set_values)(struct pare_ctx *ctx, const struct pare_unit *unit, const float *values);
    int (*set_integers)(struct pare_ctx *ctx, const struct pare_unit *unit,
                        const struct pare_integers *integers);
    /* New structure from a mask (rows * cols, 1 = keep); codes stay. n of m consecutive columns, or
     * m = 0: any pattern. A mask that keeps more than n of m is PARE_INVALID. */
    int (*set_structure)(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t n, uint32_t m,
                         const uint8_t *keep);
    int (*read_bias)(struct pare_ctx *ctx, const struct pare_unit *unit,
                     float *out); /* zeros if none */
    int (*set_bias)(struct pare_ctx *ctx, const struct pare_unit *unit, const float *bias);
    float (*round_f16)(float x); /* to the nearest half-precision number; usable in `parallel` */
    /* How products with this weight take their inputs: 0 as f32, 8 as int8 with one scale per
     * token. */
    int (*set_activations)(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t bits);
    /* After set_activations(): columns per scale of int8 inputs, 0 (one per token) or 32. Pays
     * where the weight's own groups are multiples of 16 columns. */
    int (*set_activation_group)(struct pare_ctx *ctx, const struct pare_unit *unit,
                                uint32_t columns);
    /* A weight in a plugin's encoding (id; NULL: the calling plugin's own), `size` bytes, copied.
     * They are checked and decoded: what is not finite is PARE_INVALID, and so is anything but 0
     * where the structure keeps no position. Inputs of its products are f32. */
    int (*set_encoded)(struct pare_ctx *ctx, const struct pare_unit *unit, const char *encoding,
                       const void *data, uint64_t size);
};

/* Changes of the graph. Units gone before are gone for good; paths of the others stay. */
enum pare_replace { PARE_REPLACE_NOTHING = 0, PARE_REPLACE_MEAN = 1, PARE_REPLACE_LINEAR = 2 };

#define PARE_EXT_SURGERY "pare.surgery/1"
struct pare_ext_surgery {
    uint32_t struct_size;
    /* Drop a branch or block. MEAN adds the branch's mean output over the calibration data; LINEAR
     * adds a ridge least-squares fit A x + b of the branch's output from its input stream. */
    int (*drop)(struct pare_ctx *ctx, const struct pare_unit *unit, uint32_t replace);
    /* Remove the heads or channels of one branch whose keep[i] is 0; i counts the branch's units as
     * they are now. With refit != 0 the consumer (output or down linear) is refitted by least
     * squares on the calibration data, W' = (W H)_S H_SS^-1, as f32. Rows that go must be of a
     * dense weight that is f32, f16, bf16 or in ggml's blocks; so must columns without a refit, of
     * blocks whole ones. PARE_UNSUPPORTED otherwise, and the model is as before. */
    int (*keep)(struct pare_ctx *ctx, uint32_t unit_kind, const char *branch, const uint8_t *keep,
                uint32_t n, uint32_t refit);
    /* Merge `r` pairs of tokens at a stream point (ToMe); the operation stays in the model.
     * PARE_UNSUPPORTED where attention is causal. */
    int (*merge_tokens)(struct pare_ctx *ctx, const struct pare_unit *stream, uint32_t r);
    /* Keep the keys and values of an attention branch as 16 bits (f16), or as integers of 8 or 4
     * bits with a scale per head and token. PARE_UNSUPPORTED where attention is not causal. */
    int (*set_cache_bits)(struct pare_ctx *ctx, const struct pare_unit *branch, uint32_t bits);
    /* Replace a linear's weight, of any encoding, by the product of `left`, rows * rank, and
     * `right`, rank * cols; 1 <= rank <= min(rows, cols). The linear keeps path, role and bias, and
     * `left` is its weight; a linear PATH.basis (role ROLE.basis, no bias) comes before it, has the
     * weight `right`, and takes its inputs as the linear did, which now takes its own as f32. Later
     * stages see both as units; in this one the linear is done with: set its bias before. Heads and
     * channels stay what they were. PARE_UNSUPPORTED, and the model is as before: a weight that
     * other parts share, a part of a product, a linear that reads the image. Pays where rank *
     * (rows + cols) < rows * cols. */
    int (*factorize)(struct pare_ctx *ctx, const struct pare_unit *linear, uint32_t rank,
                     const float *left, const float *right);
};

/* Statistics over the calibration samples of what the stage's plugins declared in `needs`; tokens
 * that stand for several are weighted by their size. Arrays are the host's, valid until the next
 * such call. */
#define PARE_EXT_CALIBRATION "pare.calibration/1"
struct pare_ext_calibration {
    uint32_t struct_size;
    uint64_t (*samples)(struct pare_ctx *ctx);
    /* Of a linear's input, `cols` values: mean of x, of |x|, of x^2, maximum of |x|. */
    int (*moments)(struct pare_ctx *ctx, const struct pare_unit *linear, const double **mean,
                   const double **mean_abs, const double **mean_square, const double **max_abs);
    /* cols * cols: mean of x x' (GPTQ's H is twice this). */
    int (*gram)(struct pare_ctx *ctx, const struct pare_unit *linear, const double **out);
    /* Mean over tokens of cos(input, output) of a branch (x and x + F(x)) or block. */
    int (*cosine)(struct pare_ctx *ctx, const struct pare_unit *unit, double *out);
    /* Mean over samples of the squared L2 norm per channel of what reaches the consumer from a head
     * or channel (the output linear's input columns). */
    int (*activity)(struct pare_ctx *ctx, const struct pare_unit *unit, double *out);
};

/* Probes: run the calibration data with some units altered, and tell how far the result moves. The
 * model is as before when the call returns. A sample is an image, or a text of a fixed length;
 * where a model has an output or a hidden state per token, a sample's distance is the mean over its
 * tokens. */
enum pare_alteration { PARE_ALTER_DROP = 1, PARE_ALTER_MEAN = 2, PARE_ALTER_SCALE = 3 };
enum pare_distance {
    PARE_DISTANCE_KL = 1,     /* KL(reference || altered) of the output distributions */
    PARE_DISTANCE_L2 = 2,     /* |altered - reference| / |reference| of the last hidden state */
    PARE_DISTANCE_COSINE = 3, /* 1 - cos of the last hidden state */
    PARE_DISTANCE_LOSS = 4 /* cross entropy with the labels, minus the reference's; of models with
                              an output per token: with the text's own next tokens */
};
enum pare_reference { PARE_REFERENCE_STAGE = 0, PARE_REFERENCE_BASELINE = 1 };

struct pare_alter {
    uint32_t struct_size;
    uint32_t what; /* enum pare_alteration */
    const struct pare_unit
        *unit;     /* head, channel, branch or block; DROP and MEAN: also a linear's output */
    double factor; /* SCALE: the unit's output times this */
};

#define PARE_EXT_PROBE "pare.probe/1"
struct pare_ext_probe {
    uint32_t struct_size;
    /* Mean distance over the calibration samples; `per_sample` (may be NULL) receives each. */
    int (*run)(struct pare_ctx *ctx, const struct pare_alter *alters, uint32_t n, uint32_t distance,
               uint32_t reference, double *mean, double *per_sample);
};

/* Linear algebra in f64 (LAPACK). Matrices are row-major; nothing is kept. */
#define PARE_EXT_LINALG "pare.linalg/1"
struct pare_ext_linalg {
    uint32_t struct_size;
    /* Upper Cholesky factor U of the inverse: inv(a + damp * mean(diag a) * I) = U'U; n * n in
     * place. */
    int (*cholesky_inverse)(struct pare_ctx *ctx, uint32_t n, double *a, double damp);
    /* Solve (a + damp * mean(diag a) * I) x = b for m right sides, b is n * m, in place. */
    int (*solve)(struct pare_ctx *ctx, uint32_t n, const double *a, double damp, uint32_t m,
                 double *b);
    /* Eigenvalues ascending and eigenvectors (columns of `a`) of a symmetric matrix, in place. */
    int (*eigen)(struct pare_ctx *ctx, uint32_t n, double *a, double *values);
    /* The k-th smallest (0-based) of n numbers; `x` is reordered. Usable in `parallel`. */
    double (*select)(double *x, size_t n, size_t k);

    /* c = op(a) op(b), rows * cols over `inner`; op(x) is x, or x' where `transpose_x` is not 0:
     * `a` is rows * inner (inner * rows), `b` inner * cols (cols * inner). `c` lies apart from
     * both. */
    int (*multiply)(struct pare_ctx *ctx, uint32_t rows, uint32_t cols, uint32_t inner,
                    const double *a, uint32_t transpose_a, const double *b, uint32_t transpose_b,
                    double *c);
    /* Lower Cholesky factor L: a + damp * mean(diag a) * I = LL'; n * n in place, zeros above the
     * diagonal. PARE_FAILED when that is not positive definite; `a` is then as it was. */
    int (*cholesky)(struct pare_ctx *ctx, uint32_t n, double *a, double damp);
    /* Solve L x = b (L' x = b where `transpose` is not 0) for m right sides; of `lower`, n * n,
     * what is above the diagonal is not read; b is n * m, in place. PARE_FAILED: a zero on the
     * diagonal.
     */
    int (*solve_triangular)(struct pare_ctx *ctx, uint32_t n, const double *lower,
                            uint32_t transpose, uint32_t m, double *b);
    /* Singular values, descending, and vectors: a = u diag(values) vt. With k = min(rows, cols),
     * `a` is rows * cols, u rows * k, vt k * cols; u and vt may both be NULL: values alone. */
    int (*svd)(struct pare_ctx *ctx, uint32_t rows, uint32_t cols, const double *a, double *u,
               double *values, double *vt);
};

/* The host runs `body` over 0..n-1 on its threads; a body that returns nonzero stops the rest, and
 * that is returned. Results must not depend on the number of threads. */
#define PARE_EXT_PARALLEL "pare.parallel/1"
struct pare_ext_parallel {
    uint32_t struct_size;
    int (*run)(struct pare_ctx *ctx, size_t n, int (*body)(void *user, size_t index), void *user);
};

/* Numbers from the pipeline's seed and the plugin's id. */
#define PARE_EXT_RANDOM "pare.random/1"
struct pare_ext_random {
    uint32_t struct_size;
    double (*unit)(struct pare_ctx *ctx);   /* uniform in [0, 1) */
    double (*normal)(struct pare_ctx *ctx); /* standard normal */
    uint64_t (*below)(struct pare_ctx *ctx, uint64_t n);
};

/* For transforms: the values of the score plugin that a PARE_SCORED parameter names, for all
 * selected units of a kind in execution order. Higher means: keep. */
#define PARE_EXT_SCORED "pare.scored/1"
struct pare_ext_scored {
    uint32_t struct_size;
    int (*importance)(struct pare_ctx *ctx, const char *param, uint32_t unit_kind,
                      const double **out);
};

/* For score plugins: the table to fill. Rows are the selected units of one kind; columns the
 * candidate values of the parameter that is being allocated, or one column. */
#define PARE_EXT_TABLE "pare.table/1"
struct pare_ext_table {
    uint32_t struct_size;
    uint32_t (*unit_kind)(struct pare_ctx *ctx); /* what the rows are */
    uint32_t (*rows)(struct pare_ctx *ctx);
    uint32_t (*columns)(struct pare_ctx *ctx);
    double (*column_value)(struct pare_ctx *ctx, uint32_t column); /* NaN for a single column */
    int (*set)(struct pare_ctx *ctx, uint32_t row, uint32_t column, double value);
};

/* For allocators: the choice to make. Units are the rows; an option is one candidate value of the
 * parameter. */
#define PARE_EXT_ALLOCATION "pare.allocation/1"
struct pare_ext_allocation {
    uint32_t struct_size;
    uint32_t (*units)(struct pare_ctx *ctx);
    const struct pare_unit *(*unit)(struct pare_ctx *ctx, uint32_t row);
    /* Importance of a unit (higher: keep), from the score; 0 when no score was named. */
    double (*importance)(struct pare_ctx *ctx, uint32_t row);
    double (*parameters)(struct pare_ctx *ctx, uint32_t row); /* shares count these */
    /* The bounds of the parameter that is allocated, and whether it is an integer. */
    int (*range)(struct pare_ctx *ctx, double *min, double *max, uint32_t *integer);
    int (*choose)(struct pare_ctx *ctx, uint32_t row, double value);
    /* Distortion of the output with these values (one per row), by running the calibration data
     * through a copy of the model transformed so. Costs a transform and a pass: cheap only for
     * small models. */
    int (*measure)(struct pare_ctx *ctx, const double *values, double *distortion);
    /* The one of `n` assignments (each one value per row, one after the other) whose distortion is
     * least; of equals the first. Cheaper than measuring all: the host stops one on some of the
     * samples when its paired interval leaves no doubt that another is better. `*distortion` (may
     * be NULL) is the best one's, over all samples. */
    int (*best)(struct pare_ctx *ctx, const double *values, uint32_t n, uint32_t *best,
                double *distortion);
};

/* ---- metrics
 * ------------------------------------------------------------------------------------- */

#define PARE_NO_TARGET UINT32_MAX

/* What a model gave for some samples, for a plugin of kind PARE_METRIC. The host's, valid until the
 * entry point returns. */
struct pare_outputs {
    uint32_t struct_size;
    uint32_t samples;
    uint32_t rows;           /* of numbers per sample: 1 where a sample has one answer */
    uint32_t width;          /* numbers per row: a logit for each class */
    const float *values;     /* samples * rows * width */
    const uint32_t *targets; /* samples * rows: the right class, or PARE_NO_TARGET */
    const float *baseline;   /* the same of the untouched model; NULL: it was not run beside */
};

/* ---- the descriptor
 * ------------------------------------------------------------------------------ */

/* `needs`: what has to be collected before the plugin runs */
#define PARE_NEEDS_DATA 1u    /* calibration samples (probes) */
#define PARE_NEEDS_MOMENTS 2u /* per-channel moments of linear inputs */
#define PARE_NEEDS_GRAM 4u    /* Gram matrices of linear inputs */
#define PARE_NEEDS_COSINE 8u  /* cosines of branches and blocks */
#define PARE_NEEDS_ACTIVITY 16u
#define PARE_NEEDS_LABELS 32u

/* `flags` */
#define PARE_DETERMINISTIC 1u /* same inputs and seed: same result, bit for bit */
#define PARE_HIGHER_IS_WORSE                                                                       \
    2u /* score: distortion rather than importance; metric: less is better */
#define PARE_WANTS_COMPRESSED                                                                      \
    4u /* transform: statistics renewed as the stage goes, not at its entry */

struct pare_plugin {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor;
    const char *id;      /* bare names are Pare's own; others use org.example.NAME */
    const char *version; /* MAJOR.MINOR.PATCH */
    const char *summary; /* one line */
    const char *author, *url, *license;
    const char *citation; /* the paper, as text; NULL: none */
    const char *label;    /* template for transforms: "q{bits}"; {name} is a parameter's value */
    uint32_t kind;        /* enum pare_kind */
    uint32_t flags;
    uint32_t needs;
    uint32_t
        unit_kind; /* what it works on: apply_unit's units, a score's rows (mask of those it can) */
    const char *on;       /* default selector, "**" for all; NULL: "**" */
    const char *except;   /* default exception, or NULL */
    const char *precedes; /* ids that must not come before it in a pipeline: "quantize,prune"; or
                             NULL. What must not come after it is told by `follows`. */
    uint32_t n_params, param_size;
    const struct pare_param *params;

    /* transform, encoding: either the whole stage at once, or unit by unit in execution order */
    int (*apply)(struct pare_ctx *ctx, const struct pare_host *host);
    int (*apply_unit)(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit);
    int (*score)(struct pare_ctx *ctx, const struct pare_host *host);
    int (*allocate)(struct pare_ctx *ctx, const struct pare_host *host);
    /* More than one parameter can be wrong together, or too much for a model: called by `plan`,
     * before any work, with the stage's values (get_* with unit = NULL only). Of the extensions
     * only PARE_EXT_MODEL may be there, with the units that the untouched model has: earlier stages
     * can leave fewer, never more. NULL: nothing to check. */
    int (*check)(struct pare_ctx *ctx, const struct pare_host *host);
    /* Settings for which `needs` holds, as alternatives: "criterion=wanda;what=heads|channels".
     * NULL: for all. Needs of the plugins that a parameter names are their own. */
    const char *needs_when;
    const char *follows; /* ids that must not come after it in a pipeline; or NULL */
    const struct pare_encoding *encoding; /* of kind PARE_ENCODING; NULL for all others */
    /* metric: a value for each sample of the outputs, NaN where there is none. The figure is their
     * mean; called for one batch of samples after the other, in their order. */
    int (*measure)(struct pare_ctx *ctx, const struct pare_host *host,
                   const struct pare_outputs *outputs, double *values);
    const char *unit; /* metric: of its values, "nat", "px"; NULL: a plain number */
};

typedef const struct pare_plugin *(*pare_plugin_entry)(void);
#define PARE_PLUGIN_ENTRY "pare_plugin_v1"

#if defined(__GNUC__)
#define PARE_EXPORT __attribute__((visibility("default")))
#else
#define PARE_EXPORT
#endif

/* The head of every descriptor: sizes and versions. */
#define PARE_PLUGIN_HEAD                                                                           \
    .struct_size = sizeof(struct pare_plugin), .abi_major = PARE_ABI_MAJOR,                        \
    .abi_minor = PARE_ABI_MINOR
#define PARE_PLUGIN_PARAMS(table)                                                                  \
    .n_params = sizeof(table) / sizeof((table)[0]), .param_size = sizeof((table)[0]),              \
    .params = (table)

#ifdef __cplusplus
#define PARE_EXTERN_C extern "C"
#else
#define PARE_EXTERN_C
#endif

/* The one exported function, for a descriptor with static storage. */
#define PARE_PLUGIN(descriptor)                                                                    \
    PARE_EXTERN_C PARE_EXPORT const struct pare_plugin *pare_plugin_v1(void);                      \
    PARE_EXTERN_C const struct pare_plugin *pare_plugin_v1(void)                                   \
    {                                                                                              \
        return &(descriptor);                                                                      \
    }

#ifdef __cplusplus
}
#endif

#endif
