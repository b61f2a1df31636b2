/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEST_FASHION_LOGITS_H
#define PARE_TEST_FASHION_LOGITS_H

#include "tests/unit/test.h"

#include "base/file.h"
#include "base/hash.h"

/* tests/fixtures/fashion-vit.logits, as make_logits.py beside it describes and writes it. */
struct fashion_logits {
    uint32_t version, images, classes, samples, correct;
    float logits[64 * 10];
};

/* Read it; fails the test when it was made from another model file than the one that is there. */
static inline void fashion_logits_read(struct fashion_logits *out)
{
    const size_t head = 8 + 5 * sizeof(uint32_t), sha = PARE_HASH_HEX - 1;
    char *data, hex[PARE_HASH_HEX];
    size_t size;
    struct pare_error err;
    ck_assert_ok(pare_file_read(pare_test_source("tests/fixtures/fashion-vit.logits"), 1u << 20,
                                &data, &size, &err),
                 err);
    ck_assert_ok(
        pare_hash_file(pare_test_source("share/models/fashion-vit/model.safetensors"), hex, &err),
        err);
    ck_assert(size >= head + sha && memcmp(data, "PARELOGI", 8) == 0);
    memcpy(out, data + 8, 5 * sizeof(uint32_t));
    ck_assert_uint_eq(out->version, 1);
    ck_assert_msg(memcmp(data + head, hex, sha) == 0,
                  "tests/fixtures/fashion-vit.logits belongs to another model file "
                  "(%.12s, now %.12s): run tests/fixtures/make_logits.py",
                  data + head, hex);
    const size_t n = (size_t)out->images * out->classes;
    ck_assert(n <= sizeof out->logits / sizeof *out->logits);
    ck_assert_uint_eq(size, head + sha + n * sizeof(float));
    memcpy(out->logits, data + head + sha, n * sizeof(float));
    free(data);
}

#endif
