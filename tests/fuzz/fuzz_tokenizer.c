/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as tokenizer.json, a NUL, and a text. With PARE_REPLAY it has an ordinary main. */
#include "tests/fuzz/replay.h"

#include <string.h>

#include "base/mem.h"
#include "text/tokenizer.h"

/* A failure has a message; ids are of the vocabulary, and can be decoded. */
static void use(const struct pare_tokenizer *t, const char *text, size_t n)
{
    struct pare_error err = {0};
    struct pare_ids ids = {0};
    struct pare_str out = {0}, part = {0};
    for (unsigned flags = 0; flags < 4; flags++) {
        int rc = flags == 3 ? pare_tokenizer_encode_pair(t, text, n / 2, text + n / 2, n - n / 2,
                                                         flags, &ids, &err)
                            : pare_tokenizer_encode(t, text, n, flags, &ids, &err);
        if (rc != PARE_OK && !err.what[0])
            abort();
        for (size_t i = 0; rc == PARE_OK && i < ids.n; i++) {
            if (ids.ids[i] < 0 || (size_t)ids.ids[i] >= pare_tokenizer_size(t))
                abort();
            if (i < 8)
                pare_tokenizer_token_bytes(t, ids.ids[i], &part, &err);
        }
        if (rc == PARE_OK)
            pare_tokenizer_decode(t, ids.ids, ids.n, flags & 1, &out, &err);
    }
    pare_str_free(&out);
    pare_str_free(&part);
    pare_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t n = end ? (size_t)(end - data) : size;
    const char *text = end ? (const char *)end + 1 : json;
    const size_t len = PARE_MIN(end ? size - n - 1 : size, 300);
    struct pare_tokenizer *t;
    struct pare_error err = {0};
    const int rc = pare_tokenizer_parse("fuzz.json", json, n, NULL, 0, &t, &err);
    if ((rc == PARE_OK) != (t != NULL) || (rc != PARE_OK && !err.what[0]))
        abort();
    if (t)
        use(t, text, len);
    pare_tokenizer_free(t);
    return 0;
}

#ifdef PARE_REPLAY
int main(int argc, char **argv)
{
    return replay_main(argc, argv, "tests/fuzz/corpus/tokenizer", replay_cuts);
}
#endif
