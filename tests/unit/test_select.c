/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/stat.h"
#include "select/dominance.h"
#include "select/front.h"
#include "select/pick.h"

#define CLOSE(a, b, tol)                                                                           \
    ck_assert_msg(fabs((a) - (b)) <= (tol), "%s = %.17g, not %.17g", #a, (double)(a), (double)(b))

/* Expected values: SciPy 1.x. */
START_TEST(quantiles)
{
    CLOSE(pare_stat_normal_quantile(0.975), 1.959963984540054, 1e-12);
    CLOSE(pare_stat_normal_quantile(0.9995), 3.2905267314919255, 1e-11);
    CLOSE(pare_stat_normal_quantile(0.001), -3.090232306167813, 1e-11);
    CLOSE(pare_stat_normal_quantile(0.6), 0.2533471031357997, 1e-12);
    ck_assert(isnan(pare_stat_normal_quantile(1)));
    static const double t[][3] = {
        {0.975, 1, 12.706204736174694},  {0.975, 2, 4.302652729749462},
        {0.975, 7, 2.364624251592784},   {0.9995, 7, 5.407882520861828},
        {0.975, 30.5, 2.04086944518632}, {0.05, 4, -2.131846786326651},
        {0.9995, 1, 636.6192487687897},  {0.975, 1000, 1.9623390808264083},
    };
    for (size_t i = 0; i < PARE_COUNT(t); i++)
        CLOSE(pare_stat_t_quantile(t[i][0], t[i][1]), t[i][2], 1e-9 * fabs(t[i][2]));
}
END_TEST

START_TEST(proportions)
{
    static const struct {
        size_t k, n;
        double lo, hi;
    } w[] = {{8685, 10000, 0.8617346296685646, 0.8749823635322467},
             {0, 10, 0, 0.27753279986288926},
             {10, 10, 0.7224672001371109, 1},
             {3, 7, 0.1582198552514697, 0.7495416354723428}};
    for (size_t i = 0; i < PARE_COUNT(w); i++) {
        struct pare_interval p = pare_stat_wilson(w[i].k, w[i].n, 0.95);
        CLOSE(p.lo, w[i].lo, 1e-12);
        CLOSE(p.hi, w[i].hi, 1e-12);
    }
    struct pare_interval d = pare_stat_bonett_price(120, 150, 8000, 0.95);
    CLOSE(d.value, -0.00375, 1e-15);
    CLOSE(d.lo, -0.007787786845425935, 1e-12);
    CLOSE(d.hi, 0.00028966137679309247, 1e-12);
    d = pare_stat_bonett_price(5, 0, 8, 0.95);
    CLOSE(d.lo, 0.08422885269509667, 1e-12);
    CLOSE(d.hi, 0.9157711473049033, 1e-12);
    ck_assert(isnan(pare_stat_wilson(0, 0, 0.95).lo));
}
END_TEST

START_TEST(medians_and_means)
{
    static const size_t ranks[][3] = {{6, 1, 6},   {10, 2, 9},  {12, 3, 10}, {16, 4, 13},
                                      {20, 6, 15}, {24, 7, 18}, {40, 14, 27}};
    size_t lo, hi;
    for (size_t i = 0; i < PARE_COUNT(ranks); i++) {
        ck_assert(pare_stat_median_ranks(ranks[i][0], 0.95, &lo, &hi));
        ck_assert_uint_eq(lo, ranks[i][1]);
        ck_assert_uint_eq(hi, ranks[i][2]);
    }
    ck_assert(!pare_stat_median_ranks(5, 0.95, &lo, &hi));
    double x[12] = {0.0454, 0.0573, 0.0531, 0.4,    0.0769, 0.011,
                    0.014,  0.0115, 0.079,  0.0392, 0.0209, 0.0159};
    double y[12], spread;
    memcpy(y, x, sizeof y);
    struct pare_interval m = pare_stat_trimmed_mean(y, 12, 0.95, &spread);
    CLOSE(m.value, 0.0403375, 1e-15);
    CLOSE(m.lo, 0.013585194191297455, 1e-12);
    CLOSE(m.hi, 0.06708980580870254, 1e-12);
    CLOSE(spread, 0.03919130309949343, 1e-12);
    m = pare_stat_mean(x, 12, 0.95, &spread);
    CLOSE(m.value, 0.06868333333333333, 1e-15);
    CLOSE(m.lo, 0.000578401539239437, 1e-12);
    CLOSE(m.hi, 0.13678826512742723, 1e-12);
    m = pare_stat_median_interval(y, 12, 0.95);
    CLOSE(m.value, (0.0392 + 0.0454) / 2, 1e-15);
    CLOSE(m.lo, 0.014, 0);
    CLOSE(m.hi, 0.0769, 0);
    double same[6] = {1, 2, 2, 2, 2, 3}; /* no winsorised spread: the range */
    m = pare_stat_trimmed_mean(same, 6, 0.95, NULL);
    ck_assert(m.value == 2 && m.lo == 1 && m.hi == 3);
    ck_assert(isnan(pare_stat_median(same, 0)));
    ck_assert(isnan(pare_stat_trimmed_mean(same, 1, 0.95, NULL).lo));
}
END_TEST

/* Ranks, fronts and volumes: moocore 0.3.2, reference point 1.1 in every coordinate. */
static const double x2[14][2] = {{0.805, 0.808}, {0.515, 0.286}, {0.054, 0.383}, {0.408, 0.045},
                                 {0.049, 0.999}, {0.652, 0.235}, {0.435, 0.974}, {0.898, 0.844},
                                 {0.392, 0.493}, {0.677, 0.061}, {0.556, 0.271}, {0.88, 0.064},
                                 {0.679, 0.87},  {0.227, 0.895}};
static const size_t rank2[14] = {2, 1, 0, 0, 0, 1, 2, 3, 1, 1, 1, 2, 2, 1};
static const double x3[14][3] = {
    {0.872, 0.019, 0.707}, {0.001, 0.503, 0.437}, {0.203, 0.325, 0.806}, {0.316, 0.149, 0.699},
    {0.449, 0.799, 0.236}, {0.203, 0.325, 0.806}, {0.506, 0.236, 0.015}, {0.933, 0.086, 0.845},
    {0.368, 0.951, 0.399}, {0.936, 0.556, 0.24},  {0.741, 0.674, 0.684}, {0.464, 0.222, 0.641},
    {0.107, 0.692, 0.635}, {0.377, 0.799, 0.194}};
static const size_t rank3[14] = {0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0};

START_TEST(geometry)
{
    struct pare_error err;
    size_t rank[14];
    bool on[14];
    double volume, reference[3] = {1.1, 1.1, 1.1};
    ck_assert_ok(pare_front_ranks(x2[0], 14, 2, rank, &err), err);
    ck_assert_ok(pare_front_mask(x2[0], 14, 2, NULL, on, &err), err);
    for (size_t i = 0; i < 14; i++) {
        ck_assert_uint_eq(rank[i], rank2[i]);
        ck_assert_int_eq(on[i], rank2[i] == 0);
    }
    ck_assert_ok(pare_front_ranks(x3[0], 14, 3, rank, &err), err);
    ck_assert_ok(pare_front_mask(x3[0], 14, 3, NULL, on, &err), err);
    for (size_t i = 0; i < 14; i++) {
        ck_assert_uint_eq(rank[i], rank3[i]);
        ck_assert_int_eq(on[i], rank3[i] == 0);
    }
    ck_assert_ok(pare_hypervolume(x2[0], 14, 2, reference, &volume, &err), err);
    CLOSE(volume, 0.984383, 1e-12);
    ck_assert_ok(pare_hypervolume(x3[0], 14, 3, reference, &volume, &err), err);
    CLOSE(volume, 0.832633338, 1e-12);
    ck_assert_int_eq(pare_hypervolume(x3[0], 14, 4, reference, &volume, &err), PARE_UNSUPPORTED);
}
END_TEST

/* As the definition has it: every pair, and what is left of each rank. */
static void plain_ranks(const double *x, size_t n, size_t k, size_t *rank)
{
    size_t left = n;
    for (size_t i = 0; i < n; i++)
        rank[i] = SIZE_MAX;
    for (size_t r = 0; left; r++) {
        for (size_t i = 0; i < n; i++) {
            bool beaten = rank[i] != SIZE_MAX;
            for (size_t j = 0; !beaten && j < n; j++)
                beaten = (rank[j] == SIZE_MAX || rank[j] == r) &&
                         pare_dominates(x + j * k, x + i * k, k);
            if (!beaten) {
                rank[i] = r;
                left--;
            }
        }
    }
}

/* Random points on a coarse grid, so that many share coordinates or are equal. */
START_TEST(sorting_agrees_with_all_pairs)
{
    enum { POINTS = 120 };
    struct pare_random random;
    struct pare_error err;
    double x[POINTS * 4], worst[POINTS * 4];
    size_t rank[POINTS], plain[POINTS], rival[POINTS];
    bool on[POINTS], may[POINTS];
    pare_random_seed(&random, 5);
    for (size_t round = 0; round < 200; round++) {
        size_t k = 1 + round % 4, grid = 2 + (size_t)pare_random_below(&random, 12);
        for (size_t c = 0; c < POINTS * k; c++) {
            x[c] = (double)pare_random_below(&random, grid);
            worst[c] = x[c] + (double)pare_random_below(&random, 3);
        }
        for (size_t i = 0; i < POINTS; i++)
            may[i] = pare_random_below(&random, 3) > 0;
        plain_ranks(x, POINTS, k, plain);
        ck_assert_ok(pare_front_ranks(x, POINTS, k, rank, &err), err);
        ck_assert_ok(pare_front_mask(x, POINTS, k, NULL, on, &err), err);
        for (size_t i = 0; i < POINTS; i++) {
            ck_assert_uint_eq(rank[i], plain[i]);
            ck_assert_int_eq(on[i], plain[i] == 0);
        }
        ck_assert_ok(pare_front_mask(x, POINTS, k, may, on, &err), err);
        ck_assert_ok(pare_front_settled(x, worst, POINTS, k, may, rival, NULL, &err), err);
        for (size_t i = 0; i < POINTS; i++) {
            bool beaten = false, settled = false;
            for (size_t j = 0; j < POINTS; j++) {
                beaten |= may[j] && pare_dominates(x + j * k, x + i * k, k);
                settled |= may[j] && pare_dominates(worst + j * k, x + i * k, k);
            }
            ck_assert_int_eq(on[i], may[i] && !beaten);
            ck_assert_int_eq(rival[i] != SIZE_MAX, settled);
            if (settled)
                ck_assert(may[rival[i]] && pare_dominates(worst + rival[i] * k, x + i * k, k));
        }
    }
    x[0] = (double)NAN; /* what is not known neither beats nor is beaten */
    ck_assert_ok(pare_front_mask(x, POINTS, 4, NULL, on, &err), err);
    ck_assert(on[0]);
    ck_assert_ok(pare_front_settled(x, x, POINTS, 4, NULL, rival, NULL, &err), err);
    ck_assert_uint_eq(rival[0], SIZE_MAX);
}
END_TEST

START_TEST(knees)
{
    double d[5];
    /* On the line from (0,1) to (1,0), but for one point at (0.2, 0.3): 0.5 / sqrt 2 below it. */
    double bent[5][2] = {{0, 10}, {0.5, 7.5}, {0.4, 3}, {1, 5}, {2, 0}};
    ck_assert_uint_eq(pare_knee(bent[0], 5, 2, d), 2);
    CLOSE(d[2], 0.5 / sqrt(2), 1e-12);
    CLOSE(d[0], 0, 1e-12);
    CLOSE(d[3], 0, 1e-12);
    double cube[4][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0.1, 0.1, 0.1}};
    ck_assert_uint_eq(pare_knee(cube[0], 4, 3, d), 3);
    CLOSE(d[3], 0.7 / sqrt(3), 1e-12);
    ck_assert_uint_eq(pare_knee(cube[0], 2, 3, d), SIZE_MAX);
}
END_TEST

/* A problem whose p were found by an independent NumPy bootstrap of 40,000 replicates. */
enum { N = 6, M = 400, R = 12 };
static const double numpy_p_front[N] = {0.0199, 0.721425, 0.758525, 0.87725, 0.134725, 0.371575};
static const double numpy_p_feasible[N] = {1, 0.969225, 0.9097, 0.88275, 0.134725, 0.9612};

struct problem {
    size_t n;
    float sample[N + 1][M];
    double base[R], round[N + 1][R], size[N + 1];
    const float *samples[N + 1];
    const double *rounds[N + 1];
    size_t session[N + 1];
    struct pare_front_session sessions[1];
    struct pare_front_metric metrics[3];
    struct pare_front_bound bound;
    struct pare_front_input in;
};

static void connect(struct problem *p, size_t n)
{
    p->n = n;
    p->sessions[0] = (struct pare_front_session){p->base, R};
    for (size_t i = 0; i < n; i++) {
        p->samples[i] = p->sample[i];
        p->rounds[i] = p->round[i];
        p->session[i] = 0;
    }
    p->metrics[0] = (struct pare_front_metric){.name = "top1",
                                               .kind = PARE_FIGURE_SAMPLES,
                                               .direction = 1,
                                               .objective = true,
                                               .n_samples = M,
                                               .sample = p->samples};
    p->metrics[1] = (struct pare_front_metric){.name = "latency_ms",
                                               .kind = PARE_FIGURE_ROUNDS,
                                               .direction = -1,
                                               .objective = true,
                                               .log_scale = true,
                                               .sessions = p->sessions,
                                               .n_sessions = 1,
                                               .session = p->session,
                                               .round = p->rounds};
    p->metrics[2] = (struct pare_front_metric){.name = "size_bytes",
                                               .kind = PARE_FIGURE_EXACT,
                                               .direction = -1,
                                               .objective = true,
                                               .log_scale = true,
                                               .value = p->size};
    p->bound = (struct pare_front_bound){0, 1, PARE_LIMIT_BASELINE_PLUS, -0.01};
    p->in = (struct pare_front_input){.n = n,
                                      .metrics = p->metrics,
                                      .n_metrics = 3,
                                      .bounds = &p->bound,
                                      .n_bounds = 1,
                                      .replicates = 4000,
                                      .seed = 11};
}

static void fill(struct problem *p)
{
    static const int right[N] = {880, 878, 870, 860, 820, 880};
    static const double factor[N] = {1, .97, .94, .95, .80, .99},
                        size[N] = {100, 60, 60, 50, 30, 60};
    for (int i = 0; i < N; i++) {
        for (int m = 0; m < M; m++)
            p->sample[i][m] =
                (m * 7919 + i * 17 + (m * m * 31) % 1009 * (3 + i % 2)) % 1000 < right[i];
        for (int r = 0; r < R; r++) {
            p->base[r] = 1e6 * (1 + 0.01 * ((r * 37) % 11) / 11);
            p->round[i][r] =
                i ? p->base[r] * factor[i] * (1 + 0.06 * (((r * 53 + i * 29) % 13) / 13.0 - .5))
                  : p->base[r];
        }
        p->size[i] = size[i];
    }
    connect(p, N);
}

START_TEST(bootstrap_agrees_with_numpy)
{
    static struct problem p;
    struct pare_error err;
    struct pare_front f;
    fill(&p);
    ck_assert_ok(pare_front_compute(&p.in, &f, &err), err);
    for (size_t i = 0; i < N; i++) { /* five standard errors of 4,000 replicates */
        double q = numpy_p_front[i], z = numpy_p_feasible[i];
        CLOSE(f.items[i].p_front, q, 5 * sqrt(q * (1 - q) / 4000) + 1e-9);
        CLOSE(f.items[i].p_feasible, z, 5 * sqrt(z * (1 - z) / 4000) + 1e-9);
    }
    CLOSE(f.point[1 * 3 + 0], 0.8925, 1e-12);
    CLOSE(f.point[0 * 3 + 1], 1004090.90909091, 1e-3);
    ck_assert_int_eq(f.items[3].status, PARE_FRONT_FRONT);
    ck_assert_int_eq(f.items[5].status, PARE_FRONT_MAYBE);
    ck_assert_int_eq(f.items[0].status, PARE_FRONT_OUT);
    ck_assert_uint_eq(f.items[5].rival, 1);
    ck_assert_uint_eq(f.limiting, 0); /* accuracy on 400 samples decides least */
    ck_assert_uint_eq(f.items[5].settle_metric, 0);
    ck_assert_uint_gt(f.items[5].settle_more, 0);
    for (size_t i = 1; i < f.n_order; i++)
        ck_assert(f.point[f.order[i - 1] * 3 + 1] <= f.point[f.order[i] * 3 + 1]);
    struct pare_front again;
    ck_assert_ok(pare_front_compute(&p.in, &again, &err), err);
    for (size_t i = 0; i < N; i++)
        ck_assert(again.items[i].p_front == f.items[i].p_front);
    pare_front_free(&again);
    pare_front_free(&f);
}
END_TEST

START_TEST(order_and_losers_change_nothing)
{
    static struct problem p, q;
    static const size_t from[N] = {4, 2, 0, 5, 1, 3};
    struct pare_error err;
    struct pare_front f, g;
    fill(&p);
    ck_assert_ok(pare_front_compute(&p.in, &f, &err), err);
    memcpy(q.base, p.base, sizeof q.base);
    for (size_t i = 0; i < N; i++) {
        memcpy(q.sample[i], p.sample[from[i]], sizeof q.sample[i]);
        memcpy(q.round[i], p.round[from[i]], sizeof q.round[i]);
        q.size[i] = p.size[from[i]];
    }
    connect(&q, N);
    q.in.baseline = 2;
    ck_assert_ok(pare_front_compute(&q.in, &g, &err), err);
    for (size_t i = 0; i < N; i++) {
        ck_assert(g.items[i].p_front == f.items[from[i]].p_front);
        ck_assert(g.items[i].p_feasible == f.items[from[i]].p_feasible);
        ck_assert(g.items[i].status == f.items[from[i]].status);
        ck_assert_uint_eq(g.items[i].rank, f.items[from[i]].rank);
    }
    pare_front_free(&g);
    /* One that the baseline beats in everything, in every round and sample. */
    memcpy(&p.sample[N], &p.sample[0], sizeof p.sample[0]);
    for (size_t m = 0; m < 40; m++)
        p.sample[N][m] = 0;
    for (size_t r = 0; r < R; r++)
        p.round[N][r] = 1.5 * p.base[r];
    p.size[N] = 200;
    connect(&p, N + 1);
    ck_assert_ok(pare_front_compute(&p.in, &g, &err), err);
    for (size_t i = 0; i < N; i++) {
        ck_assert(g.items[i].p_front == f.items[i].p_front);
        ck_assert(g.items[i].status == f.items[i].status);
    }
    ck_assert(g.items[N].beaten && g.items[N].p_front == 0);
    ck_assert_uint_lt(g.items[N].rival, N);
    pare_front_free(&g);
    pare_front_free(&f);
}
END_TEST

START_TEST(statuses)
{
    static struct problem p;
    struct pare_error err;
    struct pare_front f;
    fill(&p);
    p.samples[3] = NULL;
    p.session[2] = SIZE_MAX;
    p.rounds[2] = NULL;
    p.size[1] = (double)NAN;
    ck_assert_ok(pare_front_compute(&p.in, &f, &err), err);
    ck_assert_int_eq(f.items[3].status, PARE_FRONT_UNMEASURED);
    ck_assert_uint_eq(f.items[3].missing, 0);
    ck_assert_uint_eq(f.items[2].missing, 1);
    ck_assert_uint_eq(f.items[1].missing, 2);
    ck_assert(isnan(f.items[1].p_front));
    ck_assert_int_eq(f.items[5].status, PARE_FRONT_SURE); /* its rivals are gone */
    pare_front_free(&f);
    /* Nothing feasible: the nearest miss is told. */
    fill(&p);
    p.bound = (struct pare_front_bound){1, -1, PARE_LIMIT_BASELINE_TIMES, 0.5};
    ck_assert_ok(pare_front_compute(&p.in, &f, &err), err);
    ck_assert_uint_eq(f.n_feasible, 0);
    ck_assert_uint_eq(f.n_order, 0);
    ck_assert_uint_eq(f.nearest_miss, 4);
    CLOSE(f.items[4].shortfall, f.point[4 * 3 + 1] / (0.5 * f.point[1]) - 1, 1e-9);
    for (size_t i = 0; i < N; i++)
        ck_assert_int_eq(f.items[i].status, PARE_FRONT_INFEASIBLE);
    pare_front_free(&f);
    p.in.baseline = N;
    ck_assert_int_eq(pare_front_compute(&p.in, &f, &err), PARE_INVALID);
    p.in.baseline = 0;
    p.base[3] = 0;
    ck_assert_int_eq(pare_front_compute(&p.in, &f, &err), PARE_INVALID);
}
END_TEST

START_TEST(folding_and_knee)
{
    /* Exact figures: the front is plain; b is a to within the tolerances, but not c. */
    double fast[5] = {10, 5, 5.02, 2, 1}, small[5] = {100, 40, 39.9, 38, 37};
    struct pare_error err;
    struct pare_front f;
    struct pare_front_metric m[2] = {{.name = "latency_ms",
                                      .kind = PARE_FIGURE_EXACT,
                                      .direction = -1,
                                      .objective = true,
                                      .tolerance = 0.01,
                                      .relative = true,
                                      .value = fast},
                                     {.name = "size_bytes",
                                      .kind = PARE_FIGURE_EXACT,
                                      .direction = -1,
                                      .objective = true,
                                      .tolerance = 0.5,
                                      .value = small}};
    struct pare_front_input in = {.n = 5, .metrics = m, .n_metrics = 2, .replicates = 10};
    ck_assert_ok(pare_front_compute(&in, &f, &err), err);
    ck_assert_uint_eq(f.n_order, 1);
    ck_assert_uint_eq(f.order[0], 4);
    ck_assert_uint_eq(f.items[0].rank, 3);
    pare_front_free(&f);
    double slow[5] = {10, 5, 5.02, 20, 2};
    double more[5] = {30, 40, 39.9, 20, 100};
    m[0].value = slow;
    m[1].value = more;
    ck_assert_ok(pare_front_compute(&in, &f, &err), err);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(f.items[i].status, PARE_FRONT_SURE);
    ck_assert_uint_eq(f.items[2].folded, 1);
    ck_assert_uint_eq(f.items[1].folded, SIZE_MAX);
    ck_assert_uint_eq(f.knee, 1);
    ck_assert(isnan(f.items[2].knee));
    pare_front_free(&f);
}
END_TEST

START_TEST(comparing)
{
    static struct problem p;
    struct pare_error err;
    struct pare_comparison c;
    fill(&p);
    size_t gain = 0, loss = 0;
    for (size_t m = 0; m < M; m++) {
        gain += p.sample[1][m] > p.sample[0][m];
        loss += p.sample[1][m] < p.sample[0][m];
    }
    ck_assert_ok(pare_front_compare(&p.in, 0, 1, 0, 0.95, &c, &err), err);
    struct pare_interval d = pare_stat_bonett_price(gain, loss, M, 0.95);
    ck_assert(c.difference.lo == d.lo && c.difference.hi == d.hi && c.paired && c.n == M);
    ck_assert_ok(pare_front_compare(&p.in, 1, 4, 0, 0.95, &c, &err), err);
    ck_assert(c.ratio && c.paired && c.distinct && c.n == R && c.n_needed == 0);
    ck_assert(c.difference.lo < 0.8 && 0.8 < c.difference.hi && c.difference.hi < 0.83);
    ck_assert_ok(pare_front_compare(&p.in, 2, 4, 0, 0.95, &c, &err), err);
    ck_assert(c.difference.value == -70 && c.difference.lo == -70 && c.n == 0 && c.distinct);
    p.samples[1] = NULL;
    ck_assert_int_eq(pare_front_compare(&p.in, 0, 1, 0, 0.95, &c, &err), PARE_NOT_FOUND);

    /* Half a point at 3 % disagreement needs about 4,600 samples. */
    enum { MANY = 4000 };
    static float a[MANY], b[MANY];
    const float *both[2] = {a, b};
    for (int i = 0; i < 70; i++)
        a[i] = 1;
    for (int i = 70; i < 120; i++)
        b[i] = 1;
    struct pare_front_metric m = {.name = "top1",
                                  .kind = PARE_FIGURE_SAMPLES,
                                  .direction = 1,
                                  .objective = true,
                                  .n_samples = MANY,
                                  .sample = both};
    struct pare_front_input in = {.n = 2, .metrics = &m, .n_metrics = 1};
    ck_assert_ok(pare_front_compare(&in, 0, 0, 1, 0.95, &c, &err), err);
    ck_assert(!c.distinct && c.n_needed > 4500 && c.n_needed < 4800);

    /* Two sessions: through the baseline. */
    double base2[8], other[8];
    for (int r = 0; r < 8; r++) {
        base2[r] = 2e6 * (1 + 0.001 * r);
        other[r] = base2[r] * (0.5 + 0.001 * (r % 3));
    }
    fill(&p);
    struct pare_front_session two[2] = {{p.base, R}, {base2, 8}};
    p.metrics[1].sessions = two;
    p.metrics[1].n_sessions = 2;
    p.session[4] = 1;
    p.rounds[4] = other;
    ck_assert_ok(pare_front_compare(&p.in, 1, 4, 1, 0.95, &c, &err), err);
    ck_assert(!c.paired && c.distinct);
    CLOSE(c.difference.value, 0.501 / 0.97, 0.01);
    struct pare_front f;
    ck_assert_ok(pare_front_compute(&p.in, &f, &err), err);
    CLOSE(f.point[4 * 3 + 1] / f.point[1], 0.501, 0.0011); /* in the reference session's time */
    pare_front_free(&f);
}
END_TEST

START_TEST(picking)
{
    static struct problem p;
    struct pare_error err;
    struct pare_front f;
    struct pare_pick pick;
    size_t by[2] = {2, 1};
    fill(&p);
    ck_assert_ok(pare_front_compute(&p.in, &f, &err), err);
    ck_assert_ok(pare_pick(&p.in, &f, by, 1, &pick, &err), err);
    ck_assert_uint_eq(pick.chosen, 3); /* 4 is smaller, but breaks the bound */
    CLOSE(pick.margin[0], 0.8775 - (0.86 - 0.01), 1e-9);
    ck_assert_uint_eq(pick.tighter[0], 3);
    CLOSE(pick.against.difference.value, -10, 0);
    pare_pick_free(&pick);
    /* 1 and 2 are of one size: without the smaller one, the second metric decides. */
    ck_assert_ok(pare_pick(&p.in, &f, by, 2, &pick, &err), err);
    ck_assert_uint_eq(pick.chosen, 3);
    ck_assert_uint_eq(pick.runner_up, 2);
    pare_pick_free(&pick);
    /* A tolerance in the first metric lets the second decide. */
    p.metrics[2].tolerance = 10;
    ck_assert_ok(pare_pick(&p.in, &f, by, 2, &pick, &err), err);
    ck_assert_uint_eq(pick.chosen, 2);
    pare_pick_free(&pick);
    p.metrics[2].tolerance = 0;
    ck_assert_uint_eq(pick.alike, SIZE_MAX); /* bytes are no matter of noise */
    /* 1 is right most often, 3 as far as 400 samples can tell: it is smaller. */
    const size_t accurate_first[2] = {0, 2};
    ck_assert_ok(pare_pick(&p.in, &f, accurate_first, 2, &pick, &err), err);
    ck_assert_uint_eq(pick.chosen, 1);
    ck_assert_uint_eq(pick.alike, 3);
    ck_assert_uint_eq(pick.by_next, 2);
    pare_pick_free(&pick);
    ck_assert_ok(pare_pick(&p.in, &f, accurate_first, 1, &pick, &err), err);
    ck_assert_uint_eq(pick.alike, SIZE_MAX); /* nothing else is asked for */
    pare_pick_free(&pick);
    /* A tighter limit changes the pick: 5 % of a speed limit that 3 just keeps. */
    p.bound = (struct pare_front_bound){1, -1, PARE_LIMIT_ABSOLUTE, 960e3};
    pare_front_free(&f);
    ck_assert_ok(pare_front_compute(&p.in, &f, &err), err);
    size_t accurate = 0;
    ck_assert_ok(pare_pick(&p.in, &f, &accurate, 1, &pick, &err), err);
    ck_assert_uint_eq(pick.chosen, 3);
    ck_assert_uint_eq(pick.tighter[0], 4);
    pare_pick_free(&pick);
    ck_assert_int_eq(pare_pick(&p.in, &f, by, 0, &pick, &err), PARE_INVALID);
    /* Nothing feasible: no pick. */
    p.bound.number = 1;
    pare_front_free(&f);
    ck_assert_ok(pare_front_compute(&p.in, &f, &err), err);
    ck_assert_ok(pare_pick(&p.in, &f, by, 1, &pick, &err), err);
    ck_assert(pick.chosen == SIZE_MAX && isnan(pick.margin[0]));
    pare_pick_free(&pick);
    pare_front_free(&f);
}
END_TEST

/* Many variants: of some strength, and mostly with waste, that makes them worse in everything. */
struct crowd {
    size_t n, n_samples, n_rounds;
    float *sample, **samples;
    double *base, *round, **rounds, *size;
    size_t *session;
    struct pare_front_session sessions[2];
    struct pare_front_metric metrics[3];
    struct pare_front_bound bound;
    struct pare_front_input in;
};

static void gather_crowd(struct crowd *c, size_t n, size_t n_samples, size_t n_rounds, double power,
                         uint64_t seed)
{
    struct pare_random random;
    pare_random_seed(&random, seed);
    c->n = n;
    c->sample = pare_calloc(n * n_samples, sizeof *c->sample);
    c->samples = pare_calloc(n, sizeof *c->samples);
    c->base = pare_calloc(2 * n_rounds, sizeof *c->base);
    c->round = pare_calloc(n * n_rounds, sizeof *c->round);
    c->rounds = pare_calloc(n, sizeof *c->rounds);
    c->size = pare_calloc(n, sizeof *c->size);
    c->session = pare_calloc(n, sizeof *c->session);
    for (size_t r = 0; r < 2 * n_rounds; r++)
        c->base[r] = 1 + 0.02 * pare_random_unit(&random);
    for (size_t i = 0; i < n; i++) {
        double strength = pare_random_unit(&random);
        double waste = pow(pare_random_unit(&random), power);
        double right = 0.93 - 0.1 * strength * strength - 0.4 * waste;
        double ms = (1 + waste) / (1 + strength);
        c->size[i] = floor(1000 * (1 - 0.8 * strength) * (1 + waste));
        c->session[i] = i && i % 3 == 0;
        if (i == 0) {
            right = 0.93;
            ms = 1;
            c->size[i] = 1000;
        }
        c->samples[i] = c->sample + i * n_samples;
        for (size_t k = 0; k < n_samples; k++) { /* fails on much the same samples as the others */
            double hard = ((double)(k * 37 % n_samples) + 0.5) / (double)n_samples;
            c->samples[i][k] = hard + 0.1 * (pare_random_unit(&random) - 0.5) < right;
        }
        c->rounds[i] = c->round + i * n_rounds;
        for (size_t r = 0; r < n_rounds; r++) {
            double base = c->base[c->session[i] * n_rounds + r];
            c->rounds[i][r] = i ? base * ms * (1 + 0.03 * pare_random_unit(&random)) : base;
        }
    }
    c->sessions[0] = (struct pare_front_session){c->base, n_rounds};
    c->sessions[1] = (struct pare_front_session){c->base + n_rounds, n_rounds};
    c->metrics[0] = (struct pare_front_metric){.name = "top1",
                                               .kind = PARE_FIGURE_SAMPLES,
                                               .direction = 1,
                                               .objective = true,
                                               .n_samples = n_samples,
                                               .sample = (const float *const *)c->samples};
    c->metrics[1] = (struct pare_front_metric){.name = "latency_ms",
                                               .kind = PARE_FIGURE_ROUNDS,
                                               .direction = -1,
                                               .objective = true,
                                               .sessions = c->sessions,
                                               .n_sessions = 2,
                                               .session = c->session,
                                               .round = (const double *const *)c->rounds};
    c->metrics[2] = (struct pare_front_metric){.name = "size_bytes",
                                               .kind = PARE_FIGURE_EXACT,
                                               .direction = -1,
                                               .objective = true,
                                               .value = c->size};
    c->bound = (struct pare_front_bound){0, 1, PARE_LIMIT_BASELINE_PLUS, -0.15};
    c->in = (struct pare_front_input){.n = n,
                                      .metrics = c->metrics,
                                      .n_metrics = 3,
                                      .bounds = &c->bound,
                                      .n_bounds = 1,
                                      .replicates = 400,
                                      .seed = seed};
}

static void free_crowd(struct crowd *c)
{
    free(c->sample);
    free(c->samples);
    free(c->base);
    free(c->round);
    free(c->rounds);
    free(c->size);
    free(c->session);
}

/* Summaries as a database keeps them. */
static void summarise_crowd(const struct crowd *c, struct pare_front_summary *top1,
                            struct pare_front_summary *latency)
{
    struct pare_front_memory memory = {0};
    size_t n = c->metrics[0].n_samples, rounds = c->sessions[0].n_rounds;
    double x[64];
    for (size_t i = 0; i < c->n; i++) {
        size_t right = 0, gain = 0, loss = 0;
        for (size_t k = 0; k < n; k++) {
            right += c->samples[i][k] > 0;
            gain += c->samples[i][k] > c->samples[0][k];
            loss += c->samples[i][k] < c->samples[0][k];
        }
        top1[i] = pare_front_summary_counts(right, n, gain, loss);
        for (size_t r = 0; r < rounds; r++)
            x[r] = log(c->rounds[i][r] / c->sessions[c->session[i]].baseline[r]);
        latency[i] = pare_front_summary_ratio(pare_stat_trimmed_mean(x, rounds, 0.95, NULL), rounds,
                                              &memory);
    }
}

/* What settling leaves out would not have been on the front, and the rest stays as it was. The
 * samples and rounds of what summaries settle are not there at all. */
START_TEST(settling_changes_nothing)
{
    struct pare_error err;
    size_t settled = 0, paired = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct crowd c;
        struct pare_front all, staged;
        gather_crowd(&c, 80, 300 + 100 * (seed % 3), 6 + 3 * (seed % 3), seed % 2 ? 0.5 : 1, seed);
        if (seed % 4 == 0) /* nothing much is feasible */
            c.bound.number = 0.02;
        c.in.draw_all = true;
        ck_assert_ok(pare_front_compute(&c.in, &all, &err), err);
        ck_assert_uint_eq(all.n_drawn, c.n);
        c.in.draw_all = false;
        struct pare_front_summary *top1 = pare_calloc(c.n, sizeof *top1);
        struct pare_front_summary *latency = pare_calloc(c.n, sizeof *latency);
        size_t *rival = pare_calloc(c.n, sizeof *rival);
        summarise_crowd(&c, top1, latency);
        c.metrics[0].summary = top1;
        c.metrics[1].summary = latency;
        ck_assert_ok(pare_front_settle(&c.in, rival, &err), err);
        for (size_t i = 1; i < c.n; i++) {
            if (rival[i] == SIZE_MAX)
                continue;
            /* The exact, paired intervals settle it as well. */
            for (size_t m = 0; m < 3; m++) {
                struct pare_comparison d;
                ck_assert_ok(pare_front_compare(&c.in, m, rival[i], i, 0.999, &d, &err), err);
                if (m == 0)
                    ck_assert(d.difference.lo >= 0);
                else
                    ck_assert(d.difference.hi <= (m == 1 ? 1 : 0));
            }
        }
        for (size_t i = 1; i < c.n; i++) {
            if (rival[i] != SIZE_MAX) {
                c.samples[i] = NULL;
                c.rounds[i] = NULL;
            }
            settled += rival[i] != SIZE_MAX;
        }
        c.in.settled = rival;
        ck_assert_ok(pare_front_compute(&c.in, &staged, &err), err);
        for (size_t i = 0; i < c.n; i++) {
            const struct pare_front_item *a = &all.items[i], *b = &staged.items[i];
            if (b->beaten) {
                ck_assert_msg(a->p_front <= 0.01, "%zu: %g on the front", i, a->p_front);
                ck_assert(b->rival != SIZE_MAX && b->rival != i);
                ck_assert_msg(fabs(a->p_feasible - b->p_feasible) < 0.1, "%zu: %g, %g", i,
                              a->p_feasible, b->p_feasible);
                paired += rival[i] == SIZE_MAX;
            } else {
                ck_assert_msg(fabs(a->p_front - b->p_front) <= 0.01, "%zu: %g, %g", i, a->p_front,
                              b->p_front);
                ck_assert(a->p_feasible == b->p_feasible);
                ck_assert(a->folded == b->folded && a->status == b->status);
            }
        }
        ck_assert_uint_eq(all.knee, staged.knee);
        ck_assert_uint_eq(all.n_order, staged.n_order);
        for (size_t o = 0; o < all.n_order; o++)
            ck_assert_uint_eq(all.order[o], staged.order[o]);
        pare_front_free(&all);
        pare_front_free(&staged);
        free(top1);
        free(latency);
        free(rival);
        free_crowd(&c);
    }
    printf("# of 960 variants summaries settle %zu, pairs %zu more\n", settled, paired);
    ck_assert_uint_gt(settled, 100);
    ck_assert_uint_gt(paired, 20);
}
END_TEST

/* Counts, not times: what is compared and drawn grows with the front, not with all pairs. */
START_TEST(cost_is_in_proportion)
{
    enum { MANY = 4000 };
    struct pare_error err;
    struct crowd c;
    struct pare_front f;
    gather_crowd(&c, MANY, 200, 6, 0.3, 7);
    c.in.replicates = 50;
    ck_assert_ok(pare_front_compute(&c.in, &f, &err), err);
    printf("# of %d variants %zu are drawn, %zu pairs are compared\n", MANY, f.n_drawn,
           f.n_compared);
    ck_assert_uint_lt(f.n_drawn, MANY / 4);
    ck_assert_uint_lt(f.n_compared, 10 * MANY);
    pare_front_free(&f);
    free_crowd(&c);

    /* The search for rivals alone: n log n corners. */
    struct pare_random random;
    double *best = pare_calloc(3 * MANY, sizeof *best),
           *worst = pare_calloc(3 * MANY, sizeof *best);
    size_t *rival = pare_calloc(MANY, sizeof *rival), looked = 0;
    pare_random_seed(&random, 3);
    for (size_t i = 0; i < 3 * MANY; i++) {
        best[i] = pare_random_unit(&random);
        worst[i] = best[i] + 0.01;
    }
    ck_assert_ok(pare_front_settled(best, worst, MANY, 3, NULL, rival, &looked, &err), err);
    ck_assert_uint_lt(looked,
                      3 * 12 * MANY); /* log2 of 4000 is 12; a search each, and two to add */
    free(best);
    free(worst);
    free(rival);
}
END_TEST

START_TEST(speed)
{
    enum { VARIANTS = 30, SAMPLES = 8000, ROUNDS = 12 };
    static float sample[VARIANTS][SAMPLES];
    static double base[ROUNDS], round_ns[VARIANTS][ROUNDS], size[VARIANTS];
    const float *samples[VARIANTS];
    const double *rounds[VARIANTS];
    size_t session[VARIANTS] = {0};
    struct pare_front_session s = {base, ROUNDS};
    struct pare_random random;
    struct pare_error err;
    struct pare_front f;
    pare_random_seed(&random, 3);
    for (size_t r = 0; r < ROUNDS; r++)
        base[r] = 1e6 * (1 + 0.02 * pare_random_unit(&random));
    for (size_t m = 0; m < SAMPLES; m++)
        sample[0][m] = pare_random_unit(&random) < 0.87;
    for (size_t i = 0; i < VARIANTS; i++) {
        for (size_t m = 0; i && m < SAMPLES; m++)
            sample[i][m] =
                pare_random_unit(&random) < 0.03 ? pare_random_unit(&random) < 0.8 : sample[0][m];
        for (size_t r = 0; r < ROUNDS; r++)
            round_ns[i][r] =
                base[r] * (1 - 0.01 * (double)i) * (1 + 0.02 * pare_random_unit(&random));
        size[i] = 1000 - 7 * (double)((i * 11) % VARIANTS);
        samples[i] = sample[i];
        rounds[i] = round_ns[i];
    }
    struct pare_front_metric m[3] = {
        {.kind = PARE_FIGURE_SAMPLES, .direction = 1, .n_samples = SAMPLES, .sample = samples},
        {.kind = PARE_FIGURE_ROUNDS,
         .direction = -1,
         .sessions = &s,
         .n_sessions = 1,
         .session = session,
         .round = rounds},
        {.kind = PARE_FIGURE_EXACT, .direction = -1, .value = size}};
    for (int k = 0; k < 3; k++)
        m[k].objective = true;
    struct pare_front_input in = {.n = VARIANTS, .metrics = m, .n_metrics = 3};
    double start = pare_clock_seconds();
    ck_assert_ok(pare_front_compute(&in, &f, &err), err);
    double seconds = pare_clock_seconds() - start;
    printf("# 30 variants, 8000 samples, 1000 replicates: %.3f s\n", seconds);
    ck_assert_msg(seconds < 5, "%.1f s: far from well under a second", seconds);
    pare_front_free(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("select");
    TCase *tc = pare_test_case(suite, "statistics");
    tcase_add_test(tc, quantiles);
    tcase_add_test(tc, proportions);
    tcase_add_test(tc, medians_and_means);
    tc = pare_test_case(suite, "geometry");
    tcase_add_test(tc, geometry);
    tcase_add_test(tc, sorting_agrees_with_all_pairs);
    tcase_add_test(tc, knees);
    tc = pare_test_case(suite, "front");
    tcase_add_test(tc, bootstrap_agrees_with_numpy);
    tcase_add_test(tc, order_and_losers_change_nothing);
    tcase_add_test(tc, statuses);
    tcase_add_test(tc, folding_and_knee);
    tcase_add_test(tc, comparing);
    tcase_add_test(tc, picking);
    tcase_add_test(tc, settling_changes_nothing);
    tcase_add_test(tc, cost_is_in_proportion);
    tcase_add_test(tc, speed);
    return pare_test_main(&suite, 1);
}
