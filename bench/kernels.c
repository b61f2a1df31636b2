/* SPDX-License-Identifier: Apache-2.0 */
/* GFLOP/s of every product on every instruction set of this CPU, and the time of an image: not a
 * test, and only ratios within one run mean anything on a busy machine. */
#include "config.h"

#include "bench/onednn.h"
#include "bench/random_vit.h"

#include "base/clock.h"
#include "engine/kernels/kernels.h"

static const struct {
    uint32_t m, k, n;
} shapes[] = {{50, 96, 96},    {50, 96, 288},   {50, 288, 96},
              {197, 192, 768}, {197, 768, 768}, {197, 768, 3072}};

static const struct {
    const char *name;
    struct vit_shape encoding;
} encodings[] = {
    {"f32", {0}},
    {"int8 dynamic", {.bits = 8, .activation_bits = 8}},
    {"int8 g32 dynamic", {.bits = 8, .group = 32, .activation_bits = 8}},
    {"int8 weight-only", {.bits = 8}},
    {"int4 g32", {.bits = 4, .group = 32}},
    {"2:4 f32", {.n = 2, .m = 4}},
    {"4:8 f32", {.n = 4, .m = 8}},
    {"2:4 int8 dynamic", {.n = 2, .m = 4, .bits = 8, .activation_bits = 8}},
};

/* The best of several rounds, in ns: what disturbs a run only makes it longer. */
static double best_ns(void (*body)(void *), void *data)
{
    double best = 1e30;
    uint64_t start = pare_clock_ns();
    for (int round = 0; round < 200 && (round < 10 || pare_clock_ns() - start < 100000000u);
         round++) {
        uint64_t t0 = pare_clock_ns();
        body(data);
        best = fmin(best, (double)(pare_clock_ns() - t0));
    }
    return best;
}

struct product {
    const struct pare_kernels *kernels;
    struct pare_job job;
    const float *x;
    void *prepared;
    float *scales;
};

static void run_product(void *data)
{
    struct product *p = data;
    const struct pare_packed *w = p->job.w;
    const struct pare_kernels *k = p->kernels;
    switch (pare_product_input(w->product)) {
    case PARE_INPUT_INT8:
        k->quantize(p->x, p->job.rows, w->k, p->prepared, p->job.q.stride, p->scales);
        break;
    case PARE_INPUT_TRANSPOSED:
        for (uint32_t b = 0; b < p->job.m1; b++)
            k->transpose(p->x, p->job.rows, w->k, b,
                         (float *)p->prepared + (size_t)b * k->token_block * w->k);
        break;
    default:
        break;
    }
    k->product[w->product](&p->job);
}

#ifdef HAVE_ONEDNN
static void run_onednn(void *data)
{
    if (!onednn_run(data))
        exit(1);
}
#endif

static void products(const struct pare_kernels *kernels)
{
    struct pare_random r;
    pare_random_seed(&r, 1);
    for (size_t s = 0; s < PARE_COUNT(shapes); s++) {
        uint32_t m = shapes[s].m, k = shapes[s].k, n = shapes[s].n;
        float *x = pare_alloc_aligned((size_t)m * k, sizeof *x);
        float *y = pare_alloc_aligned((size_t)m * n, sizeof *y);
        float *scales = pare_alloc_aligned(m, sizeof *scales);
        float *prepared = pare_alloc_aligned((size_t)(m + 64) * (k + 64), sizeof *prepared);
        double f32 = 0;
        if (!x || !y || !scales || !prepared)
            exit(1);
        for (size_t i = 0; i < (size_t)m * k; i++)
            x[i] = (float)pare_random_normal(&r);
        for (size_t e = 0; e < PARE_COUNT(encodings); e++) {
            struct pare_weight *w = vit_weight(&r, n, k, &encodings[e].encoding);
            struct pare_packed *packed = NULL;
            struct pare_choice c =
                pare_choose(kernels, w, encodings[e].encoding.activation_bits, 0, m);
            if (pare_pack(kernels, c.product, w, &packed, NULL) != PARE_OK)
                exit(1);
            struct product p = {.kernels = kernels, .x = x, .prepared = prepared, .scales = scales};
            p.job = (struct pare_job){
                .w = packed, .x = x, .y = y, .m1 = m, .p1 = packed->panels, .rows = m};
            p.job.end.factor = 1;
            p.job.scratch = pare_alloc_aligned(pare_job_scratch(packed, m) + 64, 1);
            if (pare_product_input(c.product) == PARE_INPUT_INT8)
                p.job.q = (struct pare_quantized){prepared, scales, pare_round_up(k, 16)};
            if (pare_product_input(c.product) == PARE_INPUT_TRANSPOSED) {
                p.job.x = prepared;
                p.job.m1 = (m + kernels->token_block - 1) / kernels->token_block;
            }
            double ns = best_ns(run_product, &p);
            if (e == 0)
                f32 = ns;
            printf("%-11s %4u x %4u x %4u  %-18s %8.1f us %8.1f GFLOP/s  %5.2f x f32  %s\n",
                   pare_isa_name((enum pare_isa)kernels->isa), m, k, n, encodings[e].name, ns / 1e3,
                   2.0 * m * k * n / ns, f32 / ns, c.decoded ? "decoded" : "");
            free(p.job.scratch);
            pare_packed_free(packed);
            pare_weight_unref(w);
        }
#ifdef HAVE_ONEDNN
        struct onednn_product other;
        float *w = pare_calloc((size_t)n * k, sizeof *w), *bias = pare_calloc(n, sizeof *bias);
        if (!w || !bias || !onednn_new(&other, m, k, n, x, w, bias, y))
            exit(1);
        double ns = best_ns(run_onednn, &other);
        printf("%-11s %4u x %4u x %4u  %-18s %8.1f us %8.1f GFLOP/s  %5.2f x f32  %s\n", "onednn",
               m, k, n, "f32", ns / 1e3, 2.0 * m * k * n / ns, f32 / ns, other.implementation);
        onednn_free(&other);
        free(w);
        free(bias);
#endif
        free(x);
        free(y);
        free(scales);
        free(prepared);
    }
}

struct image {
    struct pare_plan *plan;
    float *images, *out;
    uint32_t n;
};

static void run_images(void *data)
{
    struct image *i = data;
    if (pare_plan_run(i->plan, i->images, i->n, i->out, NULL) != PARE_OK)
        exit(1);
}

static void models(enum pare_isa isa, bool layers)
{
    static const struct vit_shape small = {.channels = 1,
                                           .image = 28,
                                           .patch = 4,
                                           .width = 96,
                                           .heads = 3,
                                           .hidden = 288,
                                           .layers = 8,
                                           .classes = 10};
    static const struct vit_shape tiny = {.channels = 3,
                                          .image = 224,
                                          .patch = 16,
                                          .width = 192,
                                          .heads = 3,
                                          .hidden = 768,
                                          .layers = 12,
                                          .classes = 1000};
    const struct vit_shape *const shape[] = {&small, &tiny};
    for (size_t s = 0; s < 2; s++) {
        for (size_t e = 0; e < PARE_COUNT(encodings); e++) {
            for (uint32_t batch = 1; batch <= 16; batch *= 16) {
                struct vit_shape v = *shape[s];
                v.bits = encodings[e].encoding.bits;
                v.group = encodings[e].encoding.group;
                v.n = encodings[e].encoding.n;
                v.m = encodings[e].encoding.m;
                v.activation_bits = encodings[e].encoding.activation_bits;
                struct pare_graph *g = vit_new(&v, 1);
                struct pare_plan_options o = {.batch = batch, .threads = 1, .isa = (int)isa};
                struct image i = {.n = batch};
                size_t pixels = (size_t)v.channels * v.image * v.image;
                i.images = pare_calloc(batch * pixels, sizeof(float));
                i.out = pare_calloc((size_t)batch * v.classes, sizeof(float));
                for (size_t p = 0; i.images && p < batch * pixels; p++)
                    i.images[p] = (float)(p % 13) / 13.0f;
                if (!g || pare_plan_new(g, &o, &i.plan, NULL) != PARE_OK)
                    exit(1);
                double ns = best_ns(run_images, &i);
                printf("%-11s vit %u tokens x %u  batch %2u  %-18s %8.3f ms per image\n",
                       pare_isa_name(isa), (v.image / v.patch) * (v.image / v.patch) + 1, v.width,
                       batch, encodings[e].name, ns / 1e6 / batch);
                if (layers && batch == 1) {
                    const struct pare_node_report *reports;
                    pare_plan_profile(i.plan, true);
                    for (int t = 0; t < 50; t++)
                        run_images(&i);
                    uint32_t n = pare_plan_reports(i.plan, &reports);
                    for (uint32_t k = 0; k < PARE_MIN(n, 17u); k++)
                        printf("    %-24s %-40s %8.2f us\n", reports[k].path, reports[k].kernel,
                               (double)pare_plan_times(i.plan)[k] / 50e3);
                }
                pare_plan_free(i.plan);
                pare_graph_free(g);
                free(i.images);
                free(i.out);
            }
        }
    }
}

int main(int argc, char **argv)
{
    bool layers = argc > 1 && strcmp(argv[1], "--layers") == 0;
    pare_flush_denormals();
    for (int isa = argc > 2 ? atoi(argv[2]) : PARE_ISA_AVX2; isa <= (int)pare_isa_best(); isa++) {
        products(pare_kernels_of((enum pare_isa)isa));
        models((enum pare_isa)isa, layers);
    }
    return 0;
}
