/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>

#include "engine/engine.h"

/* Steps take microseconds: spin first, then let others run. */
#define SPINS 4000

static void wait_for(const uint32_t *flag)
{
    for (int spins = 0; !__atomic_load_n(flag, __ATOMIC_ACQUIRE);) {
        if (++spins < SPINS) {
#if defined(__x86_64__)
            __builtin_ia32_pause();
#elif defined(__aarch64__)
            __asm__ __volatile__("yield");
#endif
        } else {
            sched_yield();
        }
    }
}

/* One row to pass over: done sooner than another thread could be told of it. */
static bool lone(const struct pare_run *run, const struct pare_step *step)
{
    return !step->packed && step->fn != pare_step_stretches &&
           pare_rows_all(pare_slot_rows(run, step->out[0])) <= 1;
}

uint32_t pare_work_off(const struct pare_step *steps, uint32_t n, const struct pare_run *run,
                       struct pare_claims *claims, uint32_t parts)
{
    const uint32_t cuts = lone(run, steps) ? 1 : parts;
    uint32_t beside = 1, end, claim, mine = 0;
    while (beside < n && steps[beside].joins)
        beside++;
    for (end = beside; end < n && lone(run, &steps[end]);)
        end++;
    while ((claim = __atomic_fetch_add(&claims->next, 1, __ATOMIC_RELAXED)) < beside * cuts) {
        const struct pare_step *step = &steps[claim / cuts];
        step->fn(run, step, claim % cuts, cuts);
        mine++;
    }
    if (mine && __atomic_add_fetch(&claims->done, mine, __ATOMIC_ACQ_REL) == beside * cuts) {
        for (const struct pare_step *step = steps + beside; step < steps + end; step++)
            step->fn(run, step, 0, 1);
        __atomic_store_n(&claims->over, 1, __ATOMIC_RELEASE);
    }
    wait_for(&claims->over);
    return end;
}
