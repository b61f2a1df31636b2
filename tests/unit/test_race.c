/* SPDX-License-Identifier: Apache-2.0 */
/* Who is stopped early, on outcomes whose truth is known. */
#include "tests/unit/test.h"

#include "base/mem.h"
#include "base/random.h"
#include "plugin/context.h"

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
    ck_assert_msg(at[0] <= RACES / 50 && at[32] + at[64] > RACES * 9 / 10, "%u never, %u at 32, %u at 64",
                  at[0], at[32], at[64]);
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

int main(void)
{
    Suite *s = suite_create("race");
    TCase *tc = pare_test_case(s, "candidates");
    tcase_add_test(tc, equals_go_on);
    tcase_add_test(tc, the_worse_are_stopped);
    return pare_test_main(&s, 1);
}
