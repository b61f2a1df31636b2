/* SPDX-License-Identifier: Apache-2.0 */
/* Who is stopped early: on outcomes whose truth is known, and on those of a real run. */
#include "tests/unit/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "plugin/context.h"
#include "select/race.h"

static struct pare_error err;

/* ---- candidates of a search
 * ------------------------------------------------------------------------- */

#define SAMPLES 256
#define RACES 500

struct pair {
    double candidate[SAMPLES], leader[SAMPLES], scratch[SAMPLES];
    uint32_t order[SAMPLES];
};

/* Distances as divergences are: positive, with a long tail, alike on the same sample. */
static void draw(struct pair *p, struct pare_random *random, double factor, double apart)
{
    for (uint32_t i = 0; i < SAMPLES; i++) {
        double shared = pare_random_normal(random);
        p->leader[i] = exp(shared + apart * pare_random_normal(random));
        p->candidate[i] = factor * exp(shared + apart * pare_random_normal(random));
        p->order[i] = i;
    }
}

/* Samples after which the candidate is stopped, 0: never; looks at 32, 64, 128. */
static uint32_t stopped_at(struct pair *p, double level)
{
    for (uint32_t n = 32; n < SAMPLES; n *= 2) {
        if (pare_race_beaten(p->candidate, p->leader, p->order, n, level, p->scratch))
            return n;
    }
    return 0;
}

START_TEST(equals_go_on)
{
    struct pare_random random;
    static struct pair p;
    unsigned stopped = 0;
    pare_random_seed(&random, 5);
    for (int k = 0; k < RACES; k++) {
        draw(&p, &random, 1, 0.5);
        stopped += stopped_at(&p, 1 - 0.01 / (16 * 4)) != 0;
    }
    ck_assert_msg(stopped <= 2, "%u of %u equals were stopped", stopped, RACES);
    /* one that is better is never */
    for (int k = 0; k < RACES; k++) {
        draw(&p, &random, 0.8, 0.5);
        ck_assert_uint_eq(stopped_at(&p, 1 - 0.01 / (16 * 4)), 0);
    }
}
END_TEST

START_TEST(the_worse_are_stopped)
{
    struct pare_random random;
    static struct pair p;
    unsigned at[SAMPLES + 1] = {0};
    pare_random_seed(&random, 6);
    for (int k = 0; k < RACES; k++) {
        draw(&p, &random, 3, 0.3);
        at[stopped_at(&p, 1 - 0.01 / (16 * 4))]++;
    }
    ck_assert_msg(at[0] <= RACES / 50 && at[32] + at[64] > RACES * 9 / 10,
                  "%u never, %u at 32, %u at 64", at[0], at[32], at[64]);
    /* only what was seen counts, in the order in which it was */
    draw(&p, &random, 1, 0.2);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        p.order[i] = SAMPLES - 1 - i;
        p.candidate[i] = p.leader[i] + (i >= SAMPLES - 32 ? 1 + 0.01 * (i % 3) : -100);
    }
    ck_assert(pare_race_beaten(p.candidate, p.leader, p.order, 32, 0.999, p.scratch));
    ck_assert(!pare_race_beaten(p.candidate, p.leader, p.order, 64, 0.999, p.scratch));
    ck_assert(!pare_race_beaten(p.candidate, p.leader, p.order, 1, 0.999, p.scratch));
    ck_assert(!pare_race_beaten(p.leader, p.leader, p.order, 32, 0.999, p.scratch));
}
END_TEST

/* ---- variants of a pipeline
 * ------------------------------------------------------------------------- */

#define MOST 32 /* variants */
#define TOP1 0
#define LATENCY 1
#define SIZE 2

/* What a front is made of: top1 over samples, latency over the rounds of one session, size. */
struct field {
    size_t n, samples, rounds;
    char label[MOST][64];
    double size[MOST], *ms[MOST];
    float *right[MOST];
    const float *sample[MOST]; /* NULL: not known */
    size_t session[MOST];
    struct pare_front_session sessions[1];
    struct pare_front_metric metrics[3];
    struct pare_front_bound bounds[2];
    struct pare_front_input in;
};

static void field_begin(struct field *f, size_t n, size_t samples, size_t rounds)
{
    *f = (struct field){.n = n, .samples = samples, .rounds = rounds};
    for (size_t i = 0; i < n; i++) {
        f->ms[i] = pare_calloc(rounds, sizeof *f->ms[i]);
        f->right[i] = pare_calloc(samples, sizeof *f->right[i]);
        ck_assert(f->ms[i] && f->right[i]);
        f->sample[i] = f->right[i];
    }
    f->sessions[0] = (struct pare_front_session){f->ms[0], rounds};
    f->metrics[TOP1] = (struct pare_front_metric){.name = "top1",
                                                  .kind = PARE_FIGURE_SAMPLES,
                                                  .direction = 1,
                                                  .objective = true,
                                                  .tolerance = 0.002,
                                                  .n_samples = samples,
                                                  .sample = f->sample};
    f->metrics[LATENCY] =
        (struct pare_front_metric){.name = "latency_ms",
                                   .kind = PARE_FIGURE_ROUNDS,
                                   .direction = -1,
                                   .objective = true,
                                   .tolerance = 0.01,
                                   .relative = true,
                                   .log_scale = true,
                                   .sessions = f->sessions,
                                   .n_sessions = 1,
                                   .session = f->session,
                                   .round = (const double *const *)(uintptr_t)f->ms};
    f->metrics[SIZE] = (struct pare_front_metric){.name = "size_bytes",
                                                  .kind = PARE_FIGURE_EXACT,
                                                  .direction = -1,
                                                  .objective = true,
                                                  .log_scale = true,
                                                  .value = f->size};
    f->bounds[0] = (struct pare_front_bound){
        .metric = TOP1, .direction = 1, .kind = PARE_LIMIT_BASELINE_PLUS, .number = -0.01};
    f->in = (struct pare_front_input){.n = n,
                                      .metrics = f->metrics,
                                      .n_metrics = 3,
                                      .bounds = f->bounds,
                                      .n_bounds = 1,
                                      .seed = 1};
}

static void field_end(struct field *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->ms[i]);
        free(f->right[i]);
    }
}

/* tests/fixtures/fashion-vit.race, see make_race.py beside it. */
static void field_read(struct field *f)
{
    char *text, *at;
    size_t size, samples, rounds, n;
    ck_assert_ok(pare_file_read(pare_test_source("tests/fixtures/fashion-vit.race"), 1u << 22,
                                &text, &size, &err),
                 err);
    ck_assert_int_eq(sscanf(text, "race %zu %zu %zu", &samples, &rounds, &n), 3);
    ck_assert(n <= MOST && samples % 4 == 0);
    field_begin(f, n, samples, rounds);
    at = strchr(text, '\n') + 1;
    for (size_t i = 0; i < n; i++) {
        int used;
        ck_assert_int_eq(sscanf(at, "%63s %lf%n", f->label[i], &f->size[i], &used), 2);
        at += used;
        for (size_t r = 0; r < rounds; r++)
            f->ms[i][r] = strtod(at, &at) / 1e6;
        at += 1;
        for (size_t k = 0; k < samples; k++) {
            char digit[2] = {at[k / 4], '\0'};
            f->right[i][k] = (float)(strtoul(digit, NULL, 16) >> (3 - k % 4) & 1);
        }
        at = strchr(at, '\n') + 1;
    }
    free(text);
}

static void shuffle(uint32_t *order, size_t n, uint64_t seed)
{
    struct pare_random random;
    pare_random_seed(&random, seed);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    pare_random_shuffle(&random, order, n);
}

/* Race over all looks; returns the share of the samples that were run. `stopped`: [n]. */
static double race(struct field *f, uint64_t seed, bool *stopped)
{
    uint32_t *order = pare_alloc(f->samples, sizeof *order);
    struct pare_race_verdict out[MOST];
    float *some[MOST];
    bool running[MOST];
    size_t run = 0, looks = 0, seen = 0;
    for (size_t n = 500; n < f->samples; n *= 2)
        looks++;
    shuffle(order, f->samples, seed);
    for (size_t i = 0; i < f->n; i++) {
        some[i] = pare_alloc(f->samples, sizeof *some[i]);
        for (size_t k = 0; k < f->samples; k++)
            some[i][k] = f->right[i][order[k]];
        stopped[i] = false;
    }
    for (size_t n = 500;; n *= 2) {
        size_t end = PARE_MIN(n, f->samples);
        for (size_t i = 0; i < f->n; i++) {
            run += stopped[i] ? 0 : end - seen;
            running[i] = !stopped[i] && i > 0;
            f->sample[i] = stopped[i] ? NULL : some[i];
        }
        seen = end;
        if (end == f->samples)
            break;
        f->metrics[TOP1].n_samples = end;
        ck_assert_ok(pare_race_decide(&f->in, running, looks, out, &err), err);
        for (size_t i = 0; i < f->n; i++) {
            ck_assert(!out[i].stop || running[i]);
            ck_assert_int_eq(out[i].stop, (out[i].rival != SIZE_MAX) != (out[i].bound != SIZE_MAX));
            stopped[i] = stopped[i] || out[i].stop;
        }
    }
    for (size_t i = 0; i < f->n; i++) {
        f->sample[i] = f->right[i];
        free(some[i]);
    }
    f->metrics[TOP1].n_samples = f->samples;
    free(order);
    return (double)run / (double)(f->n * f->samples);
}

/* The outcomes and rounds of a real run, raced in several orders of the samples: the front is the
 * same, with all its probabilities, and who was stopped is off it when measured in full. */
START_TEST(the_front_is_the_same)
{
    struct field f;
    struct pare_front whole, raced;
    bool stopped[MOST];
    size_t n = 0;
    field_read(&f);
    ck_assert_ok(pare_front_compute(&f.in, &whole, &err), err);
    double share = race(&f, (uint64_t)_i + 1, stopped);
    for (size_t i = 0; i < f.n; i++) {
        n += stopped[i];
        f.sample[i] = stopped[i] ? NULL : f.right[i];
    }
    ck_assert_ok(pare_front_compute(&f.in, &raced, &err), err);
    for (size_t i = 0; i < f.n; i++) {
        const struct pare_front_item *a = &whole.items[i], *b = &raced.items[i];
        if (stopped[i]) {
            ck_assert_msg(a->status == PARE_FRONT_OUT || a->status == PARE_FRONT_INFEASIBLE,
                          "%s was stopped, but is %s", f.label[i],
                          pare_front_status_name(a->status));
            ck_assert_int_eq(b->status, PARE_FRONT_UNMEASURED);
            continue;
        }
        ck_assert_msg(a->status == b->status && fabs(a->p_front - b->p_front) <= 0.005,
                      "%s is %s at %g, raced %s at %g", f.label[i],
                      pare_front_status_name(a->status), a->p_front,
                      pare_front_status_name(b->status), b->p_front);
        ck_assert_uint_eq(a->folded, b->folded);
    }
    ck_assert_uint_eq(whole.n_order, raced.n_order);
    ck_assert_int_eq(memcmp(whole.order, raced.order, whole.n_order * sizeof *whole.order), 0);
    ck_assert_uint_eq(whole.knee, raced.knee);
    ck_assert_msg(n >= 5 && share < 0.9, "%zu stopped, %g of the samples run", n, share);
    pare_front_free(&whole);
    pare_front_free(&raced);
    field_end(&f);
}
END_TEST

/* `n` variants that are right with these probabilities, alike on the same samples. */
static void draw_field(struct field *f, const double *top1, const double *ms, const double *size,
                       size_t n, size_t samples, uint64_t seed)
{
    struct pare_random random;
    field_begin(f, n, samples, 12);
    pare_random_seed(&random, seed);
    for (size_t k = 0; k < samples; k++) {
        double shared = pare_random_unit(&random);
        for (size_t i = 0; i < n; i++) {
            double own = pare_random_unit(&random) < 0.9 ? shared : pare_random_unit(&random);
            f->right[i][k] = own < top1[i];
        }
    }
    for (size_t r = 0; r < f->rounds; r++) {
        for (size_t i = 0; i < n; i++)
            f->ms[i][r] = ms[i] * exp(0.01 * pare_random_normal(&random));
    }
    for (size_t i = 0; i < n; i++)
        f->size[i] = size[i];
}

static struct pare_race_verdict decide(struct field *f, size_t variant)
{
    struct pare_race_verdict out[MOST];
    bool running[MOST];
    for (size_t i = 0; i < f->n; i++)
        running[i] = true;
    ck_assert_ok(pare_race_decide(&f->in, running, 4, out, &err), err);
    ck_assert(!out[0].stop); /* the baseline never is */
    return out[variant];
}

static const double top1s[] = {0.9, 0.895, 0.8, 0.85};
static const double times[] = {1, 0.5, 0.9, 0.6};
static const double sizes[] = {4e6, 1e6, 2e6, 3e6};

START_TEST(bounds)
{
    static const struct {
        struct pare_front_bound bound;
        bool stops[4]; /* of the four above */
    } cases[] = {
        {{TOP1, 1, PARE_LIMIT_BASELINE_PLUS, -0.02}, {false, false, true, true}},
        {{TOP1, 1, PARE_LIMIT_BASELINE_PLUS, -0.2}, {false, false, false, false}},
        {{TOP1, 1, PARE_LIMIT_ABSOLUTE, 0.88}, {false, false, true, true}},
        {{TOP1, 1, PARE_LIMIT_BASELINE_TIMES, 0.98}, {false, false, true, true}},
        {{LATENCY, -1, PARE_LIMIT_BASELINE_TIMES, 0.75}, {false, false, true, false}},
        {{LATENCY, -1, PARE_LIMIT_ABSOLUTE, 0.75}, {false, false, true, false}},
        {{LATENCY, -1, PARE_LIMIT_BASELINE_PLUS, -0.25}, {false, false, true, false}},
        {{SIZE, -1, PARE_LIMIT_ABSOLUTE, 2.5e6}, {false, false, false, true}},
        {{SIZE, -1, PARE_LIMIT_BASELINE_TIMES, 0.3}, {false, false, true, true}},
        {{SIZE, -1, PARE_LIMIT_ABSOLUTE, 1}, {false, false, false, false}}, /* nobody keeps it */
    };
    struct field f;
    draw_field(&f, top1s, times, sizes, 4, 4000, 3);
    for (size_t m = 0; m < 3; m++) /* no rivals: each is best in something of its own */
        f.metrics[m].objective = false;
    f.bounds[0] = cases[_i].bound;
    for (size_t i = 0; i < 4; i++) {
        struct pare_race_verdict v = decide(&f, i);
        ck_assert_msg(v.stop == cases[_i].stops[i], "variant %zu", i);
        ck_assert(!v.stop || (v.bound == 0 && v.rival == SIZE_MAX));
    }
    field_end(&f);
}
END_TEST

START_TEST(rivals)
{
    struct field f;
    draw_field(&f, top1s, times, sizes, 4, 4000, 4);
    f.in.n_bounds = 0;
    for (size_t i = 2; i < 4; i++) { /* variant 1 is better than both in all */
        struct pare_race_verdict v = decide(&f, i);
        ck_assert(v.stop && v.rival == 1 && v.bound == SIZE_MAX);
    }
    ck_assert(!decide(&f, 1).stop);

    f.size[1] = 3e6; /* as large is no worse, larger is */
    ck_assert(decide(&f, 3).stop && !decide(&f, 2).stop);
    f.size[1] = NAN;
    ck_assert(!decide(&f, 3).stop);
    f.size[1] = 1e6;

    double *own = f.ms[1]; /* not timed, or timed alike */
    f.session[1] = SIZE_MAX;
    ck_assert(!decide(&f, 3).stop);
    f.session[1] = 0;
    f.ms[1] = f.ms[3];
    ck_assert(!decide(&f, 3).stop);
    f.ms[1] = own;

    f.sample[1] = NULL; /* not evaluated in this look */
    ck_assert(!decide(&f, 3).stop);
    f.sample[1] = f.right[1];
    f.metrics[TOP1].n_samples = 60; /* too few to tell */
    ck_assert(!decide(&f, 3).stop);
    f.metrics[TOP1].n_samples = 4000;

    /* a rival that may break a bound which the variant keeps stops nobody */
    f.in.n_bounds = 1;
    f.bounds[0] = (struct pare_front_bound){SIZE, 1, PARE_LIMIT_ABSOLUTE, 1.5e6};
    ck_assert(!decide(&f, 3).stop && !decide(&f, 2).stop);
    f.bounds[0].number = 0.5e6;
    ck_assert(decide(&f, 3).stop);
    f.metrics[LATENCY].objective = false;
    f.bounds[0] = (struct pare_front_bound){LATENCY, 1, PARE_LIMIT_ABSOLUTE, 0.5};
    ck_assert(!decide(&f, 3).stop);
    f.bounds[0].number = 0.4;
    ck_assert(decide(&f, 3).stop);
    field_end(&f);
}
END_TEST

/* Variants no worse than others, over many runs and all looks: hardly ever is one stopped. */
START_TEST(few_are_stopped_wrongly)
{
    static const double same[] = {0.9, 0.9, 0.9, 0.9}, ms[] = {1, 0.5, 0.9, 0.6},
                        size[] = {4e6, 1e6, 2e6, 3e6};
    struct field f;
    bool stopped[MOST];
    unsigned wrong = 0;
    for (unsigned k = 0; k < 100; k++) {
        draw_field(&f, same, ms, size, 4, 4000, 100 + k);
        f.bounds[0].number = 0; /* all lie on the bound exactly */
        race(&f, k, stopped);
        for (size_t i = 0; i < 4; i++)
            wrong += stopped[i];
        field_end(&f);
    }
    ck_assert_msg(wrong <= 1, "%u of 300", wrong);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("race");
    TCase *tc = pare_test_case(s, "candidates");
    tcase_add_test(tc, equals_go_on);
    tcase_add_test(tc, the_worse_are_stopped);
    tc = pare_test_case(s, "variants");
    tcase_add_loop_test(tc, the_front_is_the_same, 0, 4);
    tcase_add_loop_test(tc, bounds, 0, 10);
    tcase_add_test(tc, rivals);
    tcase_add_test(tc, few_are_stopped_wrongly);
    return pare_test_main(&s, 1);
}
