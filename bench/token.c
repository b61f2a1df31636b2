/* SPDX-License-Identifier: Apache-2.0 */
/* Products of one token, as a language model that writes is made of: every weight is read once.
 * Each encoding has enough weights that no cache holds them; rounds visit all encodings, and after
 * each read as many bytes plainly. Printed are medians over rounds of ratios within a round and,
 * for machines that are not left alone, ratios of the shortest times.
 *
 *     bench/token [ISA] [ROUNDS]     (a name as PARE_ISA has it; 15 rounds)
 */
#include "config.h"

#include "bench/random_vit.h"

#include "base/clock.h"
#include "engine/kernels/kernels.h"
#include "model/ggml.h"

#define SIDE 2048u
#define BYTES ((size_t)96 << 20) /* of all weights of an encoding, packed */
#define MOST_ROUNDS 1000

static const struct kind {
    const char *name;
    struct vit_shape encoding;
    uint32_t activation_group;
    uint32_t type; /* PARE_GGML_BF16, PARE_GGML_F16, or 0 */
} kinds[] = {
    {"f32", {0}, 0, 0},
    {"bf16", {0}, 0, PARE_GGML_BF16},
    {"f16", {0}, 0, PARE_GGML_F16},
    {"int8 weight-only", {.bits = 8}, 0, 0},
    {"int8 weight-only g32", {.bits = 8, .group = 32}, 0, 0},
    {"int4 weight-only g32", {.bits = 4, .group = 32}, 0, 0},
    {"int8", {.bits = 8, .activation_bits = 8}, 0, 0},
    {"int8 g32", {.bits = 8, .group = 32, .activation_bits = 8}, PARE_ACTIVATION_GROUP, 0},
    {"int4 g32", {.bits = 4, .group = 32, .activation_bits = 8}, PARE_ACTIVATION_GROUP, 0},
    {"2:4 f32", {.n = 2, .m = 4}, 0, 0},
    {"4:8 f32", {.n = 4, .m = 8}, 0, 0},
    {"50 % f32", {.density = 50}, 0, 0},
    {"25 % f32", {.density = 25}, 0, 0},
    {"10 % f32", {.density = 10}, 0, 0},
    {"2:4 int8", {.n = 2, .m = 4, .bits = 8, .activation_bits = 8}, 0, 0},
    {"4:8 int8", {.n = 4, .m = 8, .bits = 8, .activation_bits = 8}, 0, 0},
};

/* Copies of a weight in one encoding, and the token's numbers as it wants them. */
struct subject {
    struct pare_packed **packed;
    uint32_t copies;
    size_t bytes;
    struct pare_job job;
    double ns[MOST_ROUNDS], read_ns[MOST_ROUNDS];
};

static void prepare(const struct pare_kernels *k, struct subject *s, const float *x)
{
    void *codes = pare_alloc_aligned(SIDE * 2 * (size_t)k->token_block, sizeof(float));
    float *scale = pare_alloc_aligned(1, sizeof *scale);
    if (!codes || !scale)
        exit(1);
    s->job.x = x;
    switch (pare_product_input(s->packed[0]->product)) {
    case PARE_INPUT_INT8:
        k->quantize(x, 1, SIDE, codes, SIDE, scale);
        s->job.q = (struct pare_quantized){codes, scale, SIDE};
        break;
    case PARE_INPUT_BLOCKS:
        k->quantize_blocks(x, 1, SIDE, codes);
        s->job.blocks = codes;
        break;
    case PARE_INPUT_TRANSPOSED:
        k->transpose(x, 1, SIDE, 0, codes);
        s->job.x = codes;
        break;
    case PARE_INPUT_BF16:
        k->to_bf16(x, 1, SIDE, codes);
        s->job.halves = codes;
        break;
    default:
        break;
    }
}

/* The weight as halves. */
static struct pare_weight *halves(struct pare_weight *w, uint32_t type)
{
    struct pare_weight *out = NULL;
    struct pare_blob *blob = NULL;
    const size_t n = (size_t)SIDE * SIDE;
    float *values = pare_alloc(n, sizeof *values);
    if (!values || pare_blob_new(n, sizeof(uint16_t), &blob, NULL) != PARE_OK)
        exit(1);
    pare_weight_decode(w, 0, SIDE, values);
    for (size_t i = 0; i < n; i++)
        ((uint16_t *)blob->data)[i] =
            type == PARE_GGML_F16 ? pare_f32_to_f16(values[i]) : pare_f32_to_bf16(values[i]);
    if (pare_weight_from_ggml(type, SIDE, SIDE, blob, &out, NULL) != PARE_OK)
        exit(1);
    pare_blob_unref(blob);
    pare_weight_unref(w);
    free(values);
    return out;
}

static void start(const struct pare_kernels *k, const struct kind *kind, const float *x, float *y,
                  struct subject *s)
{
    struct pare_random r;
    pare_random_seed(&r, 1);
    struct pare_weight *w = vit_weight(&r, SIDE, SIDE, &kind->encoding);
    if (!w)
        exit(1);
    if (kind->type)
        w = halves(w, kind->type);
    const struct pare_choice c =
        pare_choose(k, w, kind->encoding.activation_bits, kind->activation_group, PARE_TOKENS_ANY);
    do {
        s->packed = realloc(s->packed, (s->copies + 1) * sizeof(struct pare_packed *));
        if (!s->packed || pare_pack(k, c.product, w, &s->packed[s->copies], NULL) != PARE_OK)
            exit(1);
        s->bytes += s->packed[s->copies++]->bytes;
    } while (s->bytes < BYTES);
    pare_weight_unref(w);
    s->job = (struct pare_job){.m1 = 1, .rows = 1, .y = y, .p1 = s->packed[0]->panels};
    s->job.end.factor = 1;
    s->job.scratch = pare_alloc_aligned(pare_job_scratch(s->packed[0], 1) + 64, 1);
    prepare(k, s, x);
}

static void multiply(const struct pare_kernels *k, struct subject *s)
{
    for (uint32_t i = 0; i < s->copies; i++) {
        s->job.w = s->packed[i];
        k->product[s->packed[i]->product](&s->job);
    }
}

static volatile float sink;

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx2")))
#else
#define WIDE
#endif

/* A sum over as many bytes; the sums are as many vectors as the CPU adds at a time. */
WIDE static void read_plainly(const float *data, size_t bytes)
{
    float sums[64] = {0}, total = 0;
    for (size_t i = 0; i + 64 <= bytes / sizeof *data; i += 64)
        for (size_t j = 0; j < 64; j++)
            sums[j] += data[i + j];
    for (size_t j = 0; j < 64; j++)
        total += sums[j];
    sink = total;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *x, int n)
{
    double sorted[MOST_ROUNDS];
    memcpy(sorted, x, (size_t)n * sizeof *x);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return sorted[n / 2];
}

static double lowest(const double *x, int n)
{
    double low = x[0];
    for (int i = 1; i < n; i++)
        low = fmin(low, x[i]);
    return low;
}

int main(int argc, char **argv)
{
    enum { N = PARE_COUNT(kinds) };
    static struct subject subjects[N];
    enum pare_isa isa = pare_isa_best();
    for (int i = 0; argc > 1 && i < (int)isa; i++)
        if (strcmp(argv[1], pare_isa_name((enum pare_isa)i)) == 0)
            isa = (enum pare_isa)i;
    const int rounds = argc > 2 ? PARE_MIN(PARE_MAX(atoi(argv[2]), 1), MOST_ROUNDS) : 15;
    const struct pare_kernels *k = pare_kernels_of(isa);
    float *x = pare_alloc_aligned(SIDE, sizeof *x), *y = pare_alloc_aligned(SIDE, sizeof *y);
    size_t most = 0;
    struct pare_random r;
    pare_random_seed(&r, 2);
    pare_flush_denormals();
    for (uint32_t i = 0; x && i < SIDE; i++)
        x[i] = (float)pare_random_normal(&r);
    for (int e = 0; e < N; e++) {
        start(k, &kinds[e], x, y, &subjects[e]);
        most = PARE_MAX(most, subjects[e].bytes);
    }
    float *plain = pare_alloc_aligned(most / sizeof *plain, sizeof *plain);
    if (!x || !y || !plain)
        return 1;
    memset(plain, 1, most);
    for (int round = -1; round < rounds; round++) { /* the first warms up */
        for (int e = 0; e < N; e++) {
            struct subject *s = &subjects[e];
            uint64_t t0 = pare_clock_ns();
            multiply(k, s);
            uint64_t t1 = pare_clock_ns();
            read_plainly(plain, s->bytes);
            uint64_t t2 = pare_clock_ns();
            s->ns[PARE_MAX(round, 0)] = (double)(t1 - t0) / s->copies;
            s->read_ns[PARE_MAX(round, 0)] = (double)(t2 - t1) / s->copies;
        }
    }
    printf("%-22s %-18s %5s %8s  %s\n", "encoding", "kernel", "bits", "us",
           "of read, best   speed beside f32, best");
    for (int e = N; e-- > 0;) {
        struct subject *s = &subjects[e];
        double of_read[MOST_ROUNDS], speed[MOST_ROUNDS];
        for (int i = 0; i < rounds; i++) {
            of_read[i] = s->read_ns[i] / s->ns[i];
            speed[i] = subjects[0].ns[i] / s->ns[i];
        }
        const double mid[] = {median(of_read, rounds), median(speed, rounds)};
        const double least = lowest(s->ns, rounds);
        printf("%-22s %-18s %5.2f %8.1f  %7.2f %5.2f   %14.2f %5.2f\n", kinds[e].name,
               pare_product_name(s->packed[0]->product),
               8.0 * (double)s->bytes / s->copies / SIDE / SIDE, median(s->ns, rounds) / 1e3,
               mid[0], lowest(s->read_ns, rounds) / least, mid[1],
               lowest(subjects[0].ns, rounds) / least);
    }
    return 0;
}
