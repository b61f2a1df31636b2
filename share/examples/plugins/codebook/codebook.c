/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.example.codebook: 4 bits per weight that point into 16 values, which k-means finds in the
 * weight itself (Lloyd's algorithm), times a scale per row. The kernel looks 16 weights up with one
 * permutation (AVX-512) and never writes them down.
 *
 * Bytes: 16 values, a scale per row (rows are filled up to blocks of 16), then per block of rows
 * and pair of columns 16 bytes, one per row: the first column in the low bits.
 */
#include <pare/plugin.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 16, BLOCK = 16, TILE = 8 };

static uint32_t blocks(uint32_t rows)
{
    return (rows + BLOCK - 1) / BLOCK;
}

static size_t pairs(uint32_t cols)
{
    return ((size_t)cols + 1) / 2;
}

static size_t size_of(uint32_t rows, uint32_t cols)
{
    return VALUES * 4 + (size_t)blocks(rows) * BLOCK * (4 + pairs(cols));
}

static const float *scales_of(const struct pare_encoded *w)
{
    return (const float *)w->data + VALUES;
}

static const uint8_t *codes_of(const struct pare_encoded *w, uint32_t block)
{
    return (const uint8_t *)(scales_of(w) + (size_t)blocks(w->rows) * BLOCK) +
           block * pairs(w->cols) * BLOCK;
}

static const char *check(const struct pare_encoded *w)
{
    if (w->size != size_of(w->rows, w->cols))
        return "it has another size than its rows and columns ask for";
    for (size_t i = 0; i < VALUES + (size_t)blocks(w->rows) * BLOCK; i++) {
        if (!(fabsf(((const float *)w->data)[i]) <= 1e15f))
            return "a value or a scale is out of range";
    }
    return NULL;
}

static void decode(const struct pare_encoded *w, uint32_t row, uint32_t n, float *out)
{
    for (uint32_t r = row; r < row + n; r++) {
        const uint8_t *codes = codes_of(w, r / BLOCK) + r % BLOCK;
        for (uint32_t c = 0; c < w->cols; c++)
            *out++ =
                scales_of(w)[r] * ((const float *)w->data)[codes[c / 2 * BLOCK] >> c % 2 * 4 & 15];
    }
}

static void describe(const struct pare_encoded *w, char *out, uint32_t size)
{
    const char text[] = "codebook 4 bits";
    if (w->rows && size >= sizeof text)
        memcpy(out, text, sizeof text);
}

/* Sums of 16 outputs of up to TILE tokens. Those of the even and of the odd columns apart: their
 * order is that of the columns, whatever is computed beside them. */
static void tile_plain(const struct pare_encoded *w, uint32_t block, const float *x, uint64_t ldx,
                       uint32_t tokens, float sums[TILE][BLOCK])
{
    const float *values = w->data;
    const uint8_t *codes = codes_of(w, block);
    for (uint32_t t = 0; t < tokens; t++, x += ldx) {
        float even[BLOCK] = {0}, odd[BLOCK] = {0};
        for (uint32_t c = 0; c < w->cols; c += 2) {
            for (uint32_t r = 0; r < BLOCK; r++) {
                const uint8_t code = codes[c / 2 * BLOCK + r];
                even[r] = fmaf(x[c], values[code & 15], even[r]);
                if (c + 1 < w->cols)
                    odd[r] = fmaf(x[c + 1], values[code >> 4], odd[r]);
            }
        }
        for (uint32_t r = 0; r < BLOCK; r++)
            sums[t][r] = scales_of(w)[block * BLOCK + r] * (even[r] + odd[r]);
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

/* The same numbers: every product is rounded as in tile_plain(). */
__attribute__((target("avx512f"))) static inline void
tile_lookup(const struct pare_encoded *w, uint32_t block, const float *x, uint64_t ldx,
            const uint32_t tokens, float sums[TILE][BLOCK])
{
    const __m512 values = _mm512_loadu_ps(w->data);
    const __m512 scale = _mm512_loadu_ps(scales_of(w) + (size_t)block * BLOCK);
    const uint8_t *codes = codes_of(w, block);
    __m512 even[TILE], odd[TILE];
#pragma GCC unroll 8
    for (uint32_t t = 0; t < tokens; t++)
        even[t] = odd[t] = _mm512_setzero_ps();
    for (uint32_t c = 0; c < w->cols; c += 2, codes += BLOCK) {
        const __m512i code =
            _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)codes));
        const __m512 low = _mm512_permutexvar_ps(code, values); /* looks at 4 bits */
#pragma GCC unroll 8
        for (uint32_t t = 0; t < tokens; t++)
            even[t] = _mm512_fmadd_ps(_mm512_set1_ps(x[t * ldx + c]), low, even[t]);
        if (c + 1 == w->cols)
            break;
        const __m512 high = _mm512_permutexvar_ps(_mm512_srli_epi32(code, 4), values);
#pragma GCC unroll 8
        for (uint32_t t = 0; t < tokens; t++)
            odd[t] = _mm512_fmadd_ps(_mm512_set1_ps(x[t * ldx + c + 1]), high, odd[t]);
    }
#pragma GCC unroll 8
    for (uint32_t t = 0; t < tokens; t++)
        _mm512_storeu_ps(sums[t], _mm512_mul_ps(scale, _mm512_add_ps(even[t], odd[t])));
}

/* With the number of tokens known the sums stay in registers. */
#define TILE_OF(n)                                                                                 \
    __attribute__((target("avx512f"))) static void tile_##n(                                       \
        const struct pare_encoded *w, uint32_t block, const float *x, uint64_t ldx,                \
        uint32_t tokens, float sums[TILE][BLOCK])                                                  \
    {                                                                                              \
        (void)tokens;                                                                              \
        tile_lookup(w, block, x, ldx, n, sums);                                                    \
    }
TILE_OF(8)
TILE_OF(4)
TILE_OF(2)
TILE_OF(1)
#endif

typedef void (*tile_fn)(const struct pare_encoded *w, uint32_t block, const float *x, uint64_t ldx,
                        uint32_t tokens, float sums[TILE][BLOCK]);

static void multiply(const struct pare_encoded *w, const struct pare_multiply *job)
{
    tile_fn tiles[TILE + 1] = {
        [8] = tile_plain, [4] = tile_plain, [2] = tile_plain, [1] = tile_plain};
    const uint32_t end = job->row + job->n;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        tiles[8] = tile_8, tiles[4] = tile_4, tiles[2] = tile_2, tiles[1] = tile_1;
#endif
    for (uint32_t b = job->row / BLOCK; b * BLOCK < end; b++) {
        const uint32_t from = b * BLOCK > job->row ? b * BLOCK : job->row;
        const uint32_t to = b * BLOCK + BLOCK < end ? b * BLOCK + BLOCK : end;
        for (uint32_t t = 0, n; t < job->tokens; t += n) {
            const uint32_t left = job->tokens - t;
            float sums[TILE][BLOCK];
            n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            tiles[n](w, b, job->x + t * job->ldx, job->ldx, n, sums);
            for (uint32_t i = 0; i < n; i++)
                memcpy(job->y + (t + i) * job->ldy + from - job->row, sums[i] + from - b * BLOCK,
                       (to - from) * sizeof(float));
        }
    }
}

static const struct pare_encoding encoding = {
    .struct_size = sizeof encoding,
    .check = check,
    .decode = decode,
    .describe = describe,
    .multiply = multiply,
};

/* ---- finding the values ---- */

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The nearest of the values, which ascend. */
static uint32_t nearest(const float values[VALUES], float x)
{
    uint32_t k = 0;
    while (k + 1 < VALUES && x > (values[k] + values[k + 1]) / 2)
        k++;
    return k;
}

/* Sorted numbers, and the sum of the first i of them. */
struct numbers {
    const float *x;
    const double *sums;
    size_t n;
};

/* How many of the numbers are at most `limit`. */
static size_t up_to(const struct numbers *s, float limit)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (s->x[middle] <= limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Lloyd's algorithm: each value moves to the mean of the numbers nearest to it. The one nearest to
 * 0 is 0, so that what was pruned stays so. */
static void find_values(const struct numbers *s, int64_t rounds, float values[VALUES])
{
    const float first = s->x[0], last = s->x[s->n - 1];
    for (uint32_t k = 0; k < VALUES; k++)
        values[k] = first + (last - first) * ((float)k + 0.5f) / VALUES;
    for (int64_t round = 0; round < rounds; round++) {
        for (uint32_t k = 0, from = 0, to; k < VALUES; k++, from = to) {
            to = k + 1 < VALUES ? (uint32_t)up_to(s, (values[k] + values[k + 1]) / 2)
                                : (uint32_t)s->n;
            if (to > from)
                values[k] = (float)((s->sums[to] - s->sums[from]) / (to - from));
        }
    }
    uint32_t least = 0;
    for (uint32_t k = 1; k < VALUES; k++) {
        if (fabsf(values[k]) < fabsf(values[least]))
            least = k;
    }
    values[least] = 0;
}

static void store(const struct pare_unit *unit, const float *x, const float *scales,
                  const float *values, char *bytes)
{
    uint8_t *codes = (uint8_t *)bytes + VALUES * 4 + (size_t)blocks(unit->rows) * BLOCK * 4;
    memcpy(bytes, values, VALUES * 4);
    memcpy(bytes + VALUES * 4, scales, unit->rows * sizeof *scales);
    for (uint32_t r = 0; r < unit->rows; r++) {
        for (uint32_t c = 0; c < unit->cols; c++)
            codes[(r / BLOCK * pairs(unit->cols) + c / 2) * BLOCK + r % BLOCK] |=
                (uint8_t)(nearest(values, x[(size_t)r * unit->cols + c]) << c % 2 * 4);
    }
}

static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    const struct pare_ext_weight *weight = host->extension(ctx, PARE_EXT_WEIGHT);
    const size_t n = (size_t)unit->rows * unit->cols, size = size_of(unit->rows, unit->cols);
    float values[VALUES];
    int64_t rounds;
    int rc;
    if (!PARE_HAS(weight, set_encoded))
        return host->error(ctx, PARE_UNSUPPORTED, "this host takes no encodings of plugins");
    if ((rc = host->get_int(ctx, unit, "rounds", &rounds)) != PARE_OK)
        return rc;
    float *x = host->alloc(ctx, n, sizeof *x), *sorted = host->alloc(ctx, n, sizeof *x);
    float *scales = host->alloc(ctx, unit->rows, sizeof *scales);
    double *sums = host->alloc(ctx, n + 1, sizeof *sums);
    char *bytes = host->alloc(ctx, size, 1);
    if (!x || !sorted || !scales || !sums || !bytes)
        return PARE_NOMEM;
    if ((rc = weight->read(ctx, unit, 0, unit->rows, x)) != PARE_OK)
        return rc;
    for (uint32_t r = 0; r < unit->rows; r++) {
        float *row = x + (size_t)r * unit->cols;
        for (uint32_t c = 0; c < unit->cols; c++)
            scales[r] = fmaxf(scales[r], fabsf(row[c]));
        for (uint32_t c = 0; c < unit->cols; c++)
            row[c] = scales[r] > 0 ? row[c] / scales[r] : 0;
    }
    memcpy(sorted, x, n * sizeof *x);
    qsort(sorted, n, sizeof *sorted, by_size);
    for (size_t i = 0; i < n; i++)
        sums[i + 1] = sums[i] + (double)sorted[i];
    find_values(&(struct numbers){sorted, sums, n}, rounds, values);
    store(unit, x, scales, values, bytes);
    return weight->set_encoded(ctx, unit, NULL, bytes, size);
}

static const struct pare_param params[] = {
    {
        .name = "rounds",
        .help = "rounds of k-means over each weight",
        .type = PARE_INT,
        .min = 0,
        .max = 1000,
        .dflt = "30",
        .search = "0,30",
        .varies = PARE_UNIT_LINEAR,
    },
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "org.example.codebook",
    .version = "1.0.0",
    .summary = "4 bits per weight that point into 16 values found by k-means",
    .author = "the Pare project",
    .url = "https://example.org/codebook",
    .license = "Apache-2.0",
    .citation = "Lloyd, Least squares quantization in PCM, IEEE Transactions on Information Theory "
                "28, 1982; Han, Mao, Dally, Deep Compression, ICLR 2016",
    .label = "cb4",
    .kind = PARE_ENCODING,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_LINEAR,
    .on = "layer.**",
    PARE_PLUGIN_PARAMS(params),
    .apply_unit = apply_unit,
    .encoding = &encoding,
};

PARE_PLUGIN(plugin)
