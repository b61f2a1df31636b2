/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <math.h>

void pare_random_seed(struct pare_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t pare_random_u64(struct pare_random *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t pare_random_below(struct pare_random *r, uint64_t n)
{
    uint64_t reject = -n % n; /* values below it would make the remainder uneven */
    uint64_t x;
    do {
        x = pare_random_u64(r);
    } while (x < reject);
    return x % n;
}

double pare_random_unit(struct pare_random *r)
{
    return (double)(pare_random_u64(r) >> 11) * 0x1p-53;
}

double pare_random_normal(struct pare_random *r)
{
    double u = 1.0 - pare_random_unit(r), v = pare_random_unit(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void pare_random_shuffle(struct pare_random *r, uint32_t *x, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)pare_random_below(r, i);
        uint32_t t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}
