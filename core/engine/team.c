/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>

#include "engine/engine.h"

/* Steps take microseconds: spin first, then let others run. */
#define SPINS 4000

void pare_work_off(const struct pare_step *step, const struct pare_run *run,
                   struct pare_claims *claims, uint32_t parts)
{
    int mine = 0;
    uint32_t part;
    while ((part = __atomic_fetch_add(&claims->next, 1, __ATOMIC_RELAXED)) < parts) {
        step->fn(run, step, part, parts);
        mine++;
    }
    if (mine)
        __atomic_add_fetch(&claims->done, (uint32_t)mine, __ATOMIC_RELEASE);
    for (int spins = 0; __atomic_load_n(&claims->done, __ATOMIC_ACQUIRE) != parts;) {
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
