/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_MEM_H
#define PARE_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Alignment of every tensor payload and kernel buffer: one cache line, one AVX-512 register. */
#define PARE_ALIGN 64

#define PARE_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PARE_MIN(a, b) ((a) < (b) ? (a) : (b))
#define PARE_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Sizes that come from files are multiplied and added with these: false when the result does not
 * fit, and then *out is untouched. */
static inline bool pare_mul_size(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

static inline bool pare_add_size(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

/* Little-endian, as every format here stores integers. */
static inline void pare_put_le32(void *to, uint32_t x)
{
    for (size_t i = 0; i < 4; i++)
        ((unsigned char *)to)[i] = (unsigned char)(x >> 8 * i);
}

static inline uint32_t pare_get_le32(const void *from)
{
    const unsigned char *b = from;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline size_t pare_round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* malloc/calloc/realloc for `n` elements of `size` bytes; NULL when the product overflows or memory
 * is out. Zero elements give a valid pointer. Freed with free(). */
void *pare_alloc(size_t n, size_t size);
void *pare_calloc(size_t n, size_t size);
void *pare_realloc(void *p, size_t n, size_t size);

/* As pare_alloc(), aligned to PARE_ALIGN and padded to a multiple of it; the padding is zero. */
void *pare_alloc_aligned(size_t n, size_t size);

/* Grow `*array` (elements of `size` bytes) so that it holds at least `want`; doubles. `*cap` is its
 * capacity in elements. False when memory is out; the old array is then still valid. */
bool pare_grow(void *array, size_t *cap, size_t want, size_t size);

char *pare_strdup(const char *text);

/* A pool hands out memory that is freed all at once: trees, plans, catalogues.
 * Not thread safe. Zero-initialise; pare_pool_free() releases everything and makes it empty again.
 */
struct pare_pool {
    struct pare_pool_chunk *head;
};

void *pare_pool_alloc(struct pare_pool *pool, size_t n,
                      size_t size); /* zeroed; NULL: out of memory */
char *pare_pool_strdup(struct pare_pool *pool, const char *text);
char *pare_pool_strndup(struct pare_pool *pool, const char *text, size_t len);
char *pare_pool_printf(struct pare_pool *pool, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void pare_pool_free(struct pare_pool *pool);
/* What `other` holds is `pool`'s from now on; `other` is empty. */
void pare_pool_adopt(struct pare_pool *pool, struct pare_pool *other);

#endif
