/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine can do, by the line protocol of bench/serve.c: floating-point operations or
 * bytes per run are `work` in its first line, and `run K` answers K times in ns.
 *
 *     gemm     Pare's own dense f32 product of 1024 x 1024 x 1024 numbers
 *     onednn   the same by oneDNN
 *     fma256   multiply-adds on registers, vectors of 256 bits
 *     fma512   the same, of 512 bits
 *     read     a sum over 512 MB, or as many bytes as are given
 */
#include "config.h"

#include <inttypes.h>
#include <omp.h>

#include "bench/onednn.h"
#include "bench/random_vit.h"

#include "base/clock.h"
#include "engine/kernels/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define SIDE 1024u
#define BLOCK 128u /* rows at a time: they stay in the second cache */
#define FLOATS ((size_t)128 << 20)
#define FLOATS_AT_ONCE 1024u
#define LOOPS 1000000u
#define CHAINS 12u /* more than the latency times the units of any CPU at hand */

static float *x, *w, *bias, *y;
static size_t floats = FLOATS; /* that `read` reads: a multiple of what it reads at once */
static volatile float sink;

static bool matrices(void)
{
    const size_t n = (size_t)SIDE * SIDE;
    x = pare_alloc_aligned(n, sizeof *x);
    w = pare_alloc_aligned(n, sizeof *w);
    y = pare_alloc_aligned(n, sizeof *y);
    bias = pare_calloc(SIDE, sizeof *bias);
    for (size_t i = 0; x && w && i < n; i++) {
        x[i] = (float)(i % 17) / 17.0f - 0.5f;
        w[i] = (float)(i % 13) / 13.0f - 0.5f;
    }
    return x && w && y && bias;
}

/* ---- own kernels ---- */

static struct pare_packed *packed;

static bool start_gemm(int threads)
{
    struct pare_weight *weight = NULL;
    (void)threads;
    bool good = matrices() && pare_weight_new(SIDE, SIDE, w, &weight, NULL) == PARE_OK &&
                pare_pack(pare_kernels_of(pare_isa_best()), PARE_PRODUCT_DENSE, weight, &packed,
                          NULL) == PARE_OK;
    pare_weight_unref(weight);
    return good;
}

static void run_gemm(int threads)
{
    const struct pare_kernels *k = pare_kernels_of(pare_isa_best());
#pragma omp parallel num_threads(threads)
    {
        const uint32_t me = (uint32_t)omp_get_thread_num(), all = (uint32_t)omp_get_num_threads();
        for (uint32_t m = 0; m < SIDE; m += BLOCK) {
            const struct pare_job job = {.w = packed,
                                         .x = x,
                                         .y = y,
                                         .end = {.bias = bias, .factor = 1},
                                         .m0 = m,
                                         .m1 = m + BLOCK,
                                         .p0 = packed->panels * me / all,
                                         .p1 = packed->panels * (me + 1) / all,
                                         .rows = SIDE};
            k->product[PARE_PRODUCT_DENSE](&job);
        }
    }
}

/* ---- oneDNN ---- */

#ifdef HAVE_ONEDNN
static struct onednn_product other;

static bool start_onednn(int threads)
{
    (void)threads; /* OMP_NUM_THREADS says it */
    return matrices() && onednn_new(&other, SIDE, SIDE, SIDE, x, w, bias, y);
}

static void run_onednn(int threads)
{
    (void)threads;
    if (!onednn_run(&other))
        exit(1);
}
#endif

/* ---- peaks ---- */

#if defined(__x86_64__)
static bool start_fma256(int threads)
{
    (void)threads;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool start_fma512(int threads)
{
    (void)threads;
    return __builtin_cpu_supports("avx512f");
}

__attribute__((target("avx2,fma"))) static float chains256(void)
{
    __m256 sum[CHAINS], factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
    for (unsigned c = 0; c < CHAINS; c++)
        sum[c] = _mm256_set1_ps((float)c);
    for (unsigned i = 0; i < LOOPS; i++) {
#pragma GCC unroll 12
        for (unsigned c = 0; c < CHAINS; c++)
            sum[c] = _mm256_fmadd_ps(sum[c], factor, term);
    }
    for (unsigned c = 1; c < CHAINS; c++)
        sum[0] = _mm256_add_ps(sum[0], sum[c]);
    return _mm256_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f"))) static float chains512(void)
{
    __m512 sum[CHAINS], factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
    for (unsigned c = 0; c < CHAINS; c++)
        sum[c] = _mm512_set1_ps((float)c);
    for (unsigned i = 0; i < LOOPS; i++) {
#pragma GCC unroll 12
        for (unsigned c = 0; c < CHAINS; c++)
            sum[c] = _mm512_fmadd_ps(sum[c], factor, term);
    }
    for (unsigned c = 1; c < CHAINS; c++)
        sum[0] = _mm512_add_ps(sum[0], sum[c]);
    return _mm512_cvtss_f32(sum[0]);
}

static void run_fma256(int threads)
{
#pragma omp parallel num_threads(threads)
    sink = chains256();
}

static void run_fma512(int threads)
{
#pragma omp parallel num_threads(threads)
    sink = chains512();
}
#endif

static bool start_read(int threads)
{
    x = pare_alloc_aligned(floats, sizeof *x);
    if (!x)
        return false;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < floats; i++)
        x[i] = 1.0f;
    return true;
}

static void run_read(int threads)
{
    float total = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : total)
    for (size_t block = 0; block < floats; block += FLOATS_AT_ONCE) {
        float sums[64] = {0}; /* independent, so that the compiler may use vectors */
        for (size_t i = block; i < block + FLOATS_AT_ONCE; i += 64)
            for (size_t j = 0; j < 64; j++)
                sums[j] += x[i + j];
        for (size_t j = 0; j < 64; j++)
            total += sums[j];
    }
    sink = total;
}

static const struct {
    const char *name;
    bool (*start)(int threads);
    void (*run)(int threads);
    double work; /* of one run; 0: the bytes that are read; each: of each thread */
    bool each;
} kinds[] = {
    {"gemm", start_gemm, run_gemm, 2.0 * SIDE *SIDE *SIDE, false},
#ifdef HAVE_ONEDNN
    {"onednn", start_onednn, run_onednn, 2.0 * SIDE *SIDE *SIDE, false},
#endif
#if defined(__x86_64__)
    {"fma256", start_fma256, run_fma256, 2.0 * 8 * CHAINS *LOOPS, true},
    {"fma512", start_fma512, run_fma512, 2.0 * 16 * CHAINS *LOOPS, true},
#endif
    {"read", start_read, run_read, 0, false},
};

int main(int argc, char **argv)
{
    const int threads = argc >= 3 ? atoi(argv[2]) : 0;
    const long long bytes = argc == 4 ? atoll(argv[3]) : 4ll * (long long)FLOATS;
    size_t kind = 0;
    char line[256];
    unsigned times;
    while (argc >= 3 && kind < PARE_COUNT(kinds) && strcmp(kinds[kind].name, argv[1]) != 0)
        kind++;
    floats = (size_t)PARE_MAX(bytes, 0) / sizeof *x / FLOATS_AT_ONCE * FLOATS_AT_ONCE;
    if (argc > 4 || threads < 1 || floats == 0) {
        fprintf(stderr, "usage: %s KIND THREADS [BYTES]\n", argv[0]);
        return 2;
    }
    pare_flush_denormals();
    if (kind == PARE_COUNT(kinds) || !kinds[kind].start(threads)) {
        puts("{\"absent\": true}");
        return 0;
    }
    const double work = kinds[kind].work > 0 ? kinds[kind].work : (double)sizeof *x * floats;
    printf("{\"work\": %.0f}\n", work * (kinds[kind].each ? threads : 1));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && sscanf(line, "run %u", &times) == 1) {
        for (unsigned i = 0; i < times; i++) {
            uint64_t start = pare_clock_ns();
            kinds[kind].run(threads);
            printf("%s%" PRIu64, i ? " " : "", pare_clock_ns() - start);
        }
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
