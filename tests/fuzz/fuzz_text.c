/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as text for a tokenizer of each kind, which the first byte chooses: those of the
 * fixtures, and byte-level ones with the regexes that GGUF files name. With PARE_REPLAY it has an
 * ordinary main. */
#include "tests/fuzz/replay.h"

#include <string.h>

#include "base/mem.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

static const char *const fixtures[] = {"gpt2",       "llama3",  "qwen2",         "bert-uncased",
                                       "bert-cased", "unigram", "unigram-bytes", "llama2",
                                       "mixed-a",    "mixed-b"};
static const char *const pres[] = {"default", "llama-bpe",   "qwen2",          "gpt-2",  "smollm",
                                   "falcon",  "deepseek-v3", "deepseek-coder", "tekken", "gpt-4o",
                                   "bloom",   "viking",      "qwen35"};
enum { KINDS = PARE_COUNT(fixtures) + PARE_COUNT(pres) };

/* Every byte is a token, and nothing is merged. */
static struct pare_tokenizer *bytes_only(const char *pre, struct pare_error *err)
{
    char texts[256][4];
    struct pare_bytes tokens[256];
    struct pare_tokenizer *t = NULL;
    for (int i = 0; i < 256; i++)
        tokens[i] =
            (struct pare_bytes){texts[i], pare_utf8_put(pare_byte_char((uint8_t)i), texts[i])};
    const struct pare_vocab_spec spec = {.model = "gpt2",
                                         .pre = pre,
                                         .n_tokens = 256,
                                         .tokens = tokens,
                                         .special = {-1, -1, -1, -1, -1, -1, -1},
                                         .add_bos = 0};
    pare_tokenizer_from_vocab(&spec, &t, err);
    return t;
}

static const struct pare_tokenizer *choose(size_t kind)
{
    static struct pare_tokenizer *made[KINDS];
    struct pare_error err = {0};
    if (!made[kind] && kind < PARE_COUNT(fixtures)) {
        const char *top = getenv("PARE_TOP_SRC");
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/fixtures/tokenizers/%s.json", top ? top : ".",
                 fixtures[kind]);
        pare_tokenizer_open(path, &made[kind], &err);
    } else if (!made[kind]) {
        made[kind] = bytes_only(pres[kind - PARE_COUNT(fixtures)], &err);
    }
    if (!made[kind]) {
        fprintf(stderr, "%s: %s\n", err.what, err.detail);
        abort();
    }
    return made[kind];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const size_t kind = data[0] % KINDS;
    const struct pare_tokenizer *t = choose(kind);
    const char *text = (const char *)data + 1;
    struct pare_error err = {0};
    struct pare_ids ids = {0};
    struct pare_str back = {0}, repaired = {0};
    if (pare_tokenizer_encode(t, text, size - 1, 0, &ids, &err) != PARE_OK)
        abort();
    for (size_t i = 0; i < ids.n; i++)
        if (ids.ids[i] < 0 || (size_t)ids.ids[i] >= pare_tokenizer_size(t))
            abort();
    if (pare_tokenizer_decode(t, ids.ids, ids.n, false, &back, &err) != PARE_OK)
        abort();
    /* without a normalizer nothing is lost */
    pare_utf8_repair(text, size - 1, &repaired);
    if ((kind == 1 || kind >= PARE_COUNT(fixtures)) &&
        (back.len != repaired.len ||
         (back.len > 0 && memcmp(back.data, repaired.data, back.len) != 0)))
        abort();
    pare_str_free(&back);
    pare_str_free(&repaired);
    pare_ids_free(&ids);
    return 0;
}

#ifdef PARE_REPLAY
int main(int argc, char **argv)
{
    return replay_main(argc, argv, "tests/fuzz/corpus/text", replay_cuts);
}
#endif
