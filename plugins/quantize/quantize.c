/* SPDX-License-Identifier: Apache-2.0 */
/* Round weights to integers with a scale per row or per group (round to nearest), and optionally
 * take the products' inputs as int8. Grids and clip search as in GPTQ's and QuaRot's released
 * quantizers. */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

enum { STEPS = 80, LANES = 16 }; /* of the clip search: shrink by 1 % each; summed side by side */
#define SCALE_MIN 0x1p-24f       /* smallest number of half precision */
/* Columns per scale of inputs, and what groups of weights have to be multiples of for it to pay. */
enum { INPUT_GROUP = 32, INPUT_SPAN = 16 };

struct setting {
    int64_t bits, group;
    int symmetric, search;
};

/* One row's work, and what all rows share. */
struct job {
    const struct pare_ext_weight *weight;
    struct setting s;
    uint32_t cols, groups;
    const float *values;
    int16_t *codes;
    float *scales, *zeros;
};

struct grid {
    float scale, zero;
    float low, high; /* codes */
};

/* The grid for values in [-reach * most, reach * most], or [reach * min, reach * max] with a zero
 * point. */
static struct grid grid_of(const struct job *job, float min, float max, float reach)
{
    struct grid g = {.scale = 1};
    float steps = (float)((1 << job->s.bits) - 1);
    if (job->s.symmetric) {
        float most = fmaxf(-min, max) * reach;
        g.high = (float)((1 << (job->s.bits - 1)) - 1);
        g.low = -g.high - 1;
        if (most > 0)
            g.scale = fmaxf(job->weight->round_f16(most / g.high), SCALE_MIN);
        return g;
    }
    g.high = steps;
    if (max > min) {
        g.scale = fmaxf(job->weight->round_f16((max - min) * reach / steps), SCALE_MIN);
        g.zero = fminf(fmaxf(rintf(-min * reach / g.scale), 0), steps);
    }
    return g;
}

static float code_of(const struct grid *g, float x)
{
    return fminf(fmaxf(rintf(x / g->scale) + g->zero, g->low), g->high);
}

static inline float newton(float root, float x)
{
    const float r2 = root * root;
    return 0.8f * root + 0.2f * x / (r2 * r2);
}

/* |x|^2.4, by Newton's method for the fifth root of its square, from a guess by the exponent: to a
 * few ulp in three steps, and unlike powf() many at once. */
static inline float power(float x)
{
    const float square = x * x;
    int32_t bits;
    float root;
    memcpy(&bits, &square, sizeof bits);
    bits = (int32_t)((float)bits * 0.2f) + 0x32CCCCCD; /* four fifths of the bits of 1.0 */
    memcpy(&root, &bits, sizeof root);
    return square * newton(newton(newton(root, square), square), square);
}

/* As code_of(), of numbers that are far below 2^22 codes: adding rounds them, without a call. */
static inline float rounding_error(const struct grid *g, float x)
{
    const float round = 0x1.8p23f;
    const float code = (x / g->scale + round) - round + g->zero;
    const float low = code < g->low ? g->low : code, kept = low > g->high ? g->high : low;
    return g->scale * (kept - g->zero) - x;
}

/* The sum of |error|^2.4, or part of it that is no less than `most`. */
static float error_of(const struct grid *g, const float *x, uint32_t n, float most)
{
    float sums[LANES] = {0}, sum = 0, rest = 0;
    uint32_t i = 0;
    for (; i + LANES <= n && sum < most; i += LANES) {
        sum = 0;
        for (int l = 0; l < LANES; l++)
            sums[l] += power(rounding_error(g, x[i + l]));
        for (int l = 0; l < LANES; l++)
            sum += sums[l];
    }
    for (; i < n && sum < most; i++)
        rest += power(rounding_error(g, x[i]));
    return sum + rest;
}

static struct grid best_grid(const struct job *job, const float *x, uint32_t n)
{
    float min = 0, max = 0; /* the range always holds zero */
    for (uint32_t i = 0; i < n; i++) {
        min = fminf(min, x[i]);
        max = fmaxf(max, x[i]);
    }
    struct grid best = grid_of(job, min, max, 1);
    if (!job->s.search || (min == 0 && max == 0))
        return best;
    float least = error_of(&best, x, n, INFINITY);
    for (int i = 1; i < STEPS; i++) {
        struct grid g = grid_of(job, min, max, 1 - (float)i / 100);
        if (power(rounding_error(&g, min)) >= least || power(rounding_error(&g, max)) >= least)
            continue; /* what is cut off alone is too much */
        float e = error_of(&g, x, n, least);
        if (e < least) {
            least = e;
            best = g;
        }
    }
    return best;
}

static int quantize_row(void *user, size_t row)
{
    const struct job *job = user;
    const float *x = job->values + row * job->cols;
    uint32_t size = job->s.group ? (uint32_t)job->s.group : job->cols;
    for (uint32_t g = 0; g < job->groups; g++) {
        uint32_t from = g * size, n = from + size > job->cols ? job->cols - from : size;
        struct grid grid = best_grid(job, x + from, n);
        job->scales[row * job->groups + g] = grid.scale;
        job->zeros[row * job->groups + g] = grid.zero;
        for (uint32_t i = from; i < from + n; i++)
            job->codes[row * job->cols + i] = (int16_t)code_of(&grid, x[i]);
    }
    return 0;
}

static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const struct pare_ext_parallel *parallel = host->extension(ctx, PARE_EXT_PARALLEL);
    struct job job = {.weight = weight, .cols = unit->cols};
    const char *clip, *activations;
    int64_t symmetric;
    int rc;
    if (!weight || !parallel)
        return host->error(ctx, PARE_UNSUPPORTED, "this host cannot change weights");
    if ((rc = host->get_int(ctx, unit, "bits", &job.s.bits)) != PARE_OK ||
        (rc = host->get_int(ctx, unit, "group_size", &job.s.group)) != PARE_OK ||
        (rc = host->get_int(ctx, unit, "symmetric", &symmetric)) != PARE_OK ||
        (rc = host->get_text(ctx, unit, "clip", &clip)) != PARE_OK ||
        (rc = host->get_text(ctx, unit, "activations", &activations)) != PARE_OK)
        return rc;
    job.s.symmetric = symmetric != 0;
    job.s.search = clip[0] == 'm';
    if (job.s.group > job.cols)
        job.s.group = 0;
    job.groups = job.s.group ? (uint32_t)((job.cols + job.s.group - 1) / job.s.group) : 1;
    size_t numbers = (size_t)unit->rows * unit->cols, scales = (size_t)unit->rows * job.groups;
    float *values = host->alloc(ctx, numbers, sizeof *values);
    job.codes = host->alloc(ctx, numbers, sizeof *job.codes);
    job.scales = host->alloc(ctx, scales, sizeof *job.scales);
    job.zeros = host->alloc(ctx, scales, sizeof *job.zeros);
    if (!values || !job.codes || !job.scales || !job.zeros)
        return PARE_NOMEM;
    if ((rc = weight->read(ctx, unit, 0, unit->rows, values)) != PARE_OK)
        return rc;
    job.values = values;
    if ((rc = parallel->run(ctx, unit->rows, quantize_row, &job)) != PARE_OK)
        return rc;
    struct pare_integers integers = {
        .struct_size = sizeof integers,
        .bits = (uint32_t)job.s.bits,
        .group_size = (uint32_t)job.s.group,
        .zero_kind = job.s.symmetric ? PARE_ZERO_NONE : PARE_ZERO_INT,
        .codes = job.codes,
        .scales = job.scales,
        .zeros = job.s.symmetric ? NULL : job.zeros,
    };
    if ((rc = weight->set_integers(ctx, unit, &integers)) != PARE_OK)
        return rc;
    const int int8 = activations[0] == 'i';
    if ((rc = weight->set_activations(ctx, unit, int8 ? 8 : 0)) != PARE_OK)
        return rc;
    const int spans = int8 && job.s.group > 0 && job.s.group % INPUT_SPAN == 0;
    return spans && PARE_HAS(weight, set_activation_group)
               ? weight->set_activation_group(ctx, unit, INPUT_GROUP)
               : PARE_OK;
}

static const struct pare_param params[] = {
    {.name = "bits",
     .type = PARE_INT,
     .min = 2,
     .max = 8,
     .dflt = "8",
     .unit = "bits",
     .search = "2,3,4,6,8",
     .varies = PARE_UNIT_LINEAR,
     .help = "bits of one weight"},
    {.name = "group_size",
     .type = PARE_INT,
     .min = 0,
     .max = 65536,
     .dflt = "0",
     .unit = "columns",
     .search = "0,32,64,128",
     .varies = PARE_UNIT_LINEAR,
     .help = "columns that share a scale; 0: one scale per row (per channel)"},
    {.name = "symmetric",
     .type = PARE_BOOL,
     .min = 1,
     .max = 0,
     .dflt = "true",
     .help = "no zero point: the grid is symmetric around zero"},
    {.name = "clip",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "none",
     .choices = "none|mse",
     .help = "shrink the range where that lowers the rounding error: not at all, or by a search"},
    {.name = "activations",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "none",
     .choices = "none|int8",
     .help = "inputs of the products: f32, or int8 with one scale per token (with groups of a "
             "multiple of 16: per 32 columns), taken while running"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "quantize",
    .version = "1.1.0",
    .summary = "round weights to 2 to 8 bits, and optionally activations to int8",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "q{bits}",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_LINEAR,
    .except = "role:classifier",
    PARE_PLUGIN_PARAMS(params),
    .apply_unit = apply_unit,
};

PARE_PLUGIN(plugin)
