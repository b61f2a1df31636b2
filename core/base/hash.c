/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/file.h"
#include "base/mem.h"

#include <nettle/sha2.h>
#include <string.h>
#include <zlib.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct pare_hash),
               "room for the library's state");

static struct sha256_ctx *context(struct pare_hash *h)
{
    return (struct sha256_ctx *)(void *)h->state;
}

void pare_hash_begin(struct pare_hash *h)
{
    sha256_init(context(h));
}

void pare_hash_add(struct pare_hash *h, const void *data, size_t size)
{
    sha256_update(context(h), size, data);
}

void pare_hash_text(struct pare_hash *h, const char *text)
{
    pare_hash_add(h, text, strlen(text) + 1);
}

void pare_hash_end(struct pare_hash *h, char hex[PARE_HASH_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t d[SHA256_DIGEST_SIZE];
    sha256_digest(context(h), sizeof d, d);
    for (size_t i = 0; i < sizeof d; i++) {
        hex[2 * i] = digits[d[i] >> 4];
        hex[2 * i + 1] = digits[d[i] & 15];
    }
    hex[2 * sizeof d] = '\0';
}

void pare_hash_bytes(const void *data, size_t size, char hex[PARE_HASH_HEX])
{
    struct pare_hash h;
    pare_hash_begin(&h);
    pare_hash_add(&h, data, size);
    pare_hash_end(&h, hex);
}

int pare_hash_file(const char *path, char hex[PARE_HASH_HEX], struct pare_error *err)
{
    struct pare_map map;
    int rc = pare_map_open(path, &map, err);
    if (rc != PARE_OK)
        return rc;
    pare_hash_bytes(map.data, map.size, hex);
    pare_map_close(&map);
    return PARE_OK;
}

uint32_t pare_crc32(uint32_t start, const void *data, size_t size)
{
    const uint8_t *p = data;
    uLong crc = start;
    while (size) {
        uInt n = (uInt)PARE_MIN(size, (size_t)1 << 30);
        crc = crc32(crc, p, n);
        p += n;
        size -= n;
    }
    return (uint32_t)crc;
}
