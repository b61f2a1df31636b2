/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_HASH_H
#define PARE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define PARE_HASH_HEX 65 /* 64 hexadecimal digits and the NUL */

/* SHA-256 in pieces (by libnettle). */
struct pare_hash {
    uint64_t state[16];
};

void pare_hash_begin(struct pare_hash *h);
void pare_hash_add(struct pare_hash *h, const void *data, size_t size);
void pare_hash_text(struct pare_hash *h,
                    const char *text); /* with its NUL, so that parts stay apart */
void pare_hash_end(struct pare_hash *h, char hex[PARE_HASH_HEX]);

void pare_hash_bytes(const void *data, size_t size, char hex[PARE_HASH_HEX]);
int pare_hash_file(const char *path, char hex[PARE_HASH_HEX], struct pare_error *err);

/* CRC-32 (by zlib), for messages and files that may be torn. */
uint32_t pare_crc32(uint32_t start, const void *data, size_t size);

#endif
