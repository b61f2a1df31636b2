/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_RANDOM_H
#define PARE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256** by Blackman and Vigna (2018), seeded by splitmix64: the same numbers from the same
 * seed on every machine. One generator per thread. */
struct pare_random {
    uint64_t s[4];
};

void pare_random_seed(struct pare_random *r, uint64_t seed);
uint64_t pare_random_u64(struct pare_random *r);
uint64_t pare_random_below(struct pare_random *r, uint64_t n); /* uniform in [0, n), n > 0 */
double pare_random_unit(struct pare_random *r);                /* uniform in [0, 1) */
double pare_random_normal(struct pare_random *r);              /* standard normal (Box-Muller) */
/* Put n numbers in an order that is equally likely as any other (Fisher and Yates). */
void pare_random_shuffle(struct pare_random *r, uint32_t *x, size_t n);

#endif
