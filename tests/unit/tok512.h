/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TOK512_H
#define PARE_TOK512_H

#include "base/file.h"
#include "base/mem.h"
#include "text/tokenizer.h"

/* The tokenizer of llama2.c: int32 longest token, then for each token float32 score, int32 length,
 * bytes. Spaces are written as such, where SentencePiece has U+2581; BOS and EOS lie between line
 * feeds. False: the file is not there or broken. */
static inline bool pare_tok512_open(const char *path, struct pare_tokenizer **out,
                                    struct pare_error *err)
{
    enum { MOST = 4096 };
    static struct pare_bytes tokens[MOST];
    static float scores[MOST];
    static int32_t types[MOST];
    struct pare_vocab_spec spec = {.model = "llama",
                                   .tokens = tokens,
                                   .scores = scores,
                                   .types = types,
                                   .special = {1, 2, 0, -1, -1, -1, -1},
                                   .add_bos = -1,
                                   .add_eos = -1,
                                   .add_space_prefix = true};
    struct pare_str texts[MOST] = {0};
    char *data = NULL;
    size_t size = 0, at = 4;
    int rc = pare_file_read(path, 1u << 20, &data, &size, err);
    while (rc == PARE_OK && spec.n_tokens < MOST && size - at >= 8) {
        const size_t i = spec.n_tokens++;
        int32_t len;
        memcpy(&scores[i], data + at, 4);
        memcpy(&len, data + at + 4, 4);
        at += 8;
        if (len < 0 || (size_t)len > size - at) {
            rc = PARE_INVALID;
            break;
        }
        types[i] = i == 0              ? PARE_TOKEN_UNKNOWN
                   : i <= 2            ? PARE_TOKEN_CONTROL
                   : i >= 3 && i < 259 ? PARE_TOKEN_BYTE
                                       : PARE_TOKEN_NORMAL;
        for (int32_t k = 0; k < len; k++)
            if (data[at + (size_t)k] == ' ')
                pare_str_append(&texts[i], "\xE2\x96\x81");
            else
                pare_str_append_n(&texts[i], data + at + k, 1);
        tokens[i] = (struct pare_bytes){texts[i].data, texts[i].len};
        at += (size_t)len;
    }
    if (rc == PARE_OK)
        rc = pare_tokenizer_from_vocab(&spec, out, err);
    for (size_t i = 0; i < spec.n_tokens; i++)
        pare_str_free(&texts[i]);
    free(data);
    return rc == PARE_OK;
}

#endif
