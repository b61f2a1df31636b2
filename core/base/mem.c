/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *pare_alloc(size_t n, size_t size)
{
    size_t bytes;
    if (!pare_mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    return malloc(bytes ? bytes : 1);
}

void *pare_calloc(size_t n, size_t size)
{
    return calloc(n ? n : 1, size ? size : 1);
}

void *pare_realloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (!pare_mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void *pare_alloc_aligned(size_t n, size_t size)
{
    size_t bytes;
    if (!pare_mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX - 2 * PARE_ALIGN)
        return NULL;
    size_t padded = pare_round_up(bytes ? bytes : 1, PARE_ALIGN);
    char *p = aligned_alloc(PARE_ALIGN, padded);
    if (p)
        memset(p + bytes, 0, padded - bytes);
    return p;
}

bool pare_grow(void *array, size_t *cap, size_t want, size_t size)
{
    if (want <= *cap)
        return true;
    size_t next = *cap ? *cap : 8;
    while (next < want) {
        if (!pare_mul_size(next, 2, &next))
            return false;
    }
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = pare_realloc(old, next, size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *cap = next;
    return true;
}

char *pare_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

struct pare_pool_chunk {
    struct pare_pool_chunk *next;
    size_t used, size;
    max_align_t data[];
};

void *pare_pool_alloc(struct pare_pool *pool, size_t n, size_t size)
{
    size_t bytes;
    if (!pare_mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX / 2)
        return NULL;
    bytes = pare_round_up(bytes ? bytes : 1, sizeof(max_align_t));
    struct pare_pool_chunk *chunk = pool->head;
    if (!chunk || chunk->size - chunk->used < bytes) {
        size_t room = PARE_MAX(bytes, (size_t)8192);
        chunk = malloc(sizeof *chunk + room);
        if (!chunk)
            return NULL;
        *chunk = (struct pare_pool_chunk){.next = pool->head, .size = room};
        pool->head = chunk;
    }
    char *p = (char *)chunk->data + chunk->used;
    chunk->used += bytes;
    memset(p, 0, bytes);
    return p;
}

char *pare_pool_strndup(struct pare_pool *pool, const char *text, size_t len)
{
    char *copy = pare_pool_alloc(pool, len + 1, 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}

char *pare_pool_strdup(struct pare_pool *pool, const char *text)
{
    return pare_pool_strndup(pool, text, strlen(text));
}

char *pare_pool_printf(struct pare_pool *pool, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = len < 0 ? NULL : pare_pool_alloc(pool, (size_t)len + 1, 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

void pare_pool_free(struct pare_pool *pool)
{
    while (pool->head) {
        struct pare_pool_chunk *next = pool->head->next;
        free(pool->head);
        pool->head = next;
    }
}

void pare_pool_adopt(struct pare_pool *pool, struct pare_pool *other)
{
    struct pare_pool_chunk *last = other->head;
    while (last && last->next)
        last = last->next;
    if (last) { /* behind the current chunk, which may have room */
        last->next = pool->head ? pool->head->next : NULL;
        if (pool->head)
            pool->head->next = other->head;
        else
            pool->head = other->head;
    }
    other->head = NULL;
}
