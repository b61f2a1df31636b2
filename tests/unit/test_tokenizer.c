/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <jansson.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/gguf.h"
#include "tests/unit/tok512.h"
#include "text/regex.h"
#include "text/tokenizer.h"
#include "text/vocab_json.h"

#define FIXTURES "tests/fixtures/tokenizers/"
enum { STRINGS = 1000, IDS_MAX = 20000 };

/* The hard strings, and what the reference makes of one (see the fixtures' README). */
static struct pare_bytes strings[STRINGS];
static json_t *strings_json[STRINGS];

struct record {
    uint16_t n, ids[IDS_MAX];
    uint32_t crc_plain, crc_all, crc_pair;
};

static void read_strings(void)
{
    static char line[1 << 16];
    FILE *file = fopen(pare_test_source(FIXTURES "strings.jsonl"), "r");
    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < STRINGS; i++) {
        ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
        strings_json[i] = json_loads(line, JSON_DECODE_ANY, NULL);
        strings[i] = (struct pare_bytes){json_string_value(strings_json[i]),
                                         json_string_length(strings_json[i])};
        ck_assert_ptr_nonnull(strings[i].data);
    }
    fclose(file);
}

static void free_strings(void)
{
    for (size_t i = 0; i < STRINGS; i++)
        json_decref(strings_json[i]);
}

static void take(gzFile file, void *out, unsigned n)
{
    ck_assert_int_eq(gzread(file, out, n), (int)n);
}

static void next_record(gzFile file, struct record *r)
{
    take(file, &r->n, 2);
    ck_assert_uint_le(r->n, IDS_MAX);
    if (r->n > 0)
        take(file, r->ids, r->n * 2u);
    take(file, &r->crc_plain, 4);
    take(file, &r->crc_all, 4);
    take(file, &r->crc_pair, 4);
}

static gzFile open_expected(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, FIXTURES "%s.expected.gz", name);
    gzFile file = gzopen(pare_test_source(path), "rb");
    ck_assert_ptr_nonnull(file);
    return file;
}

static struct pare_tokenizer *open_fixture(const char *name)
{
    struct pare_tokenizer *t;
    struct pare_error err;
    char path[256];
    snprintf(path, sizeof path, FIXTURES "%s.json", name);
    ck_assert_ok(pare_tokenizer_open(pare_test_source(path), &t, &err), err);
    return t;
}

static bool same_ids(const struct pare_ids *ids, const struct record *r)
{
    bool same = ids->n == r->n;
    for (size_t i = 0; same && i < r->n; i++)
        same = ids->ids[i] == r->ids[i];
    return same;
}

static uint32_t decoded(const struct pare_tokenizer *t, const struct record *r, bool skip)
{
    static int32_t ids[IDS_MAX];
    struct pare_str out = {0};
    struct pare_error err;
    for (size_t i = 0; i < r->n; i++)
        ids[i] = r->ids[i];
    ck_assert_ok(pare_tokenizer_decode(t, ids, r->n, skip, &out, &err), err);
    const uint32_t crc = pare_crc32(0, out.data ? out.data : "", out.len);
    pare_str_free(&out);
    return crc;
}

/* Ids and types as the pair's checksum has them. */
static uint32_t pair_crc(const struct pare_tokenizer *t, size_t i, struct pare_ids *ids)
{
    static uint16_t both[4 * IDS_MAX];
    const struct pare_bytes a = strings[i], b = strings[(i + 1) % STRINGS];
    struct pare_error err;
    ck_assert_ok(
        pare_tokenizer_encode_pair(t, a.data, a.len, b.data, b.len, PARE_ENCODE_ADD, ids, &err),
        err);
    ck_assert_uint_le(ids->n, 2 * IDS_MAX);
    for (size_t k = 0; k < ids->n; k++) {
        both[k] = (uint16_t)ids->ids[k];
        both[ids->n + k] = ids->types[k];
    }
    return pare_crc32(0, both, ids->n * 4);
}

static const char *const names[] = {"gpt2",       "llama3",  "qwen2",         "bert-uncased",
                                    "bert-cased", "unigram", "unigram-bytes", "llama2",
                                    "mixed-a",    "mixed-b"};

START_TEST(reference)
{
    struct pare_tokenizer *t = open_fixture(names[_i]);
    gzFile file = open_expected(names[_i]);
    struct pare_ids ids = {0};
    struct pare_error err;
    static struct record r;
    read_strings();
    for (size_t i = 0; i < STRINGS; i++) {
        next_record(file, &r);
        ck_assert_ok(
            pare_tokenizer_encode(t, strings[i].data, strings[i].len, PARE_ENCODE_ADD, &ids, &err),
            err);
        ck_assert_msg(same_ids(&ids, &r), "%s: other ids for string %zu: %s", names[_i], i,
                      strings[i].data);
        ck_assert_msg(decoded(t, &r, true) == r.crc_plain && decoded(t, &r, false) == r.crc_all,
                      "%s: another text for string %zu: %s", names[_i], i, strings[i].data);
        ck_assert_msg(pair_crc(t, i, &ids) == r.crc_pair, "%s: another pair from string %zu",
                      names[_i], i);
    }
    gzclose(file);
    free_strings();
    pare_ids_free(&ids);
    pare_tokenizer_free(t);
}
END_TEST

/* SentencePiece's own BPE, by the scores of tokens. */
START_TEST(sentencepiece)
{
    struct pare_tokenizer *t = NULL;
    struct pare_ids ids = {0};
    struct pare_error err;
    static struct record r;
    ck_assert(pare_tok512_open(pare_test_source(FIXTURES "tok512.bin"), &t, &err));
    ck_assert_uint_eq(pare_tokenizer_size(t), 512);
    gzFile file = open_expected("tok512");
    read_strings();
    for (size_t i = 0; i < STRINGS; i++) {
        next_record(file, &r);
        ck_assert_ok(pare_tokenizer_encode(t, strings[i].data, strings[i].len,
                                           PARE_ENCODE_ADD | PARE_ENCODE_PLAIN, &ids, &err),
                     err);
        ck_assert_msg(same_ids(&ids, &r), "other ids for string %zu: %s", i, strings[i].data);
        ck_assert_msg(decoded(t, &r, true) == r.crc_plain, "another text for string %zu", i);
    }
    gzclose(file);
    free_strings();
    pare_ids_free(&ids);
    pare_tokenizer_free(t);
}
END_TEST

/* The tokenizer of a GGUF file after it was written as tokenizer.json. */
static struct pare_tokenizer *through_json(const struct pare_gguf *file)
{
    struct pare_tokenizer *t;
    struct pare_error err;
    json_t *tokenizer, *settings;
    ck_assert_ok(pare_gguf_tokenizer_json(file, &tokenizer, &settings, &err), err);
    char *text = json_dumps(tokenizer, 0), *config = json_dumps(settings, 0);
    ck_assert_ok(pare_tokenizer_parse("tokenizer.json", text, strlen(text), config, strlen(config),
                                      &t, &err),
                 err);
    free(text);
    free(config);
    json_decref(tokenizer);
    json_decref(settings);
    return t;
}

/* A vocabulary as a GGUF file has it, written, read and used; `json`: read and written once more.
 */
static struct pare_tokenizer *through_gguf(const char *model, const char *pre, size_t n,
                                           const struct pare_gguf_text *tokens,
                                           const int32_t *types, size_t n_merges,
                                           const struct pare_gguf_text *merges,
                                           struct pare_tokenizer **json)
{
    struct pare_gguf_draft *draft;
    struct pare_gguf *file;
    struct pare_tokenizer *t;
    struct pare_error err;
    const char *folder = pare_test_folder();
    char *path = pare_path_join(folder, "vocab.gguf");
    ck_assert_ok(pare_gguf_draft_new(&draft, &err), err);
    ck_assert_ok(pare_gguf_put_text(draft, "tokenizer.ggml.model", model, &err), err);
    if (pre)
        ck_assert_ok(pare_gguf_put_text(draft, "tokenizer.ggml.pre", pre, &err), err);
    ck_assert_ok(pare_gguf_put_texts(draft, "tokenizer.ggml.tokens", n, tokens, &err), err);
    ck_assert_ok(
        pare_gguf_put_array(draft, "tokenizer.ggml.token_type", PARE_GGUF_I32, n, types, &err),
        err);
    if (merges)
        ck_assert_ok(pare_gguf_put_texts(draft, "tokenizer.ggml.merges", n_merges, merges, &err),
                     err);
    ck_assert_ok(pare_gguf_put_u32(draft, "tokenizer.ggml.bos_token_id", merges ? 0 : 2, &err),
                 err);
    ck_assert_ok(pare_gguf_put_u32(draft, "tokenizer.ggml.seperator_token_id", 3, &err), err);
    ck_assert_ok(pare_gguf_put_u32(draft, "tokenizer.ggml.unknown_token_id", 1, &err), err);
    ck_assert_ok(pare_gguf_write(path, draft, &err), err);
    pare_gguf_draft_free(draft);
    ck_assert_ok(pare_gguf_open(path, &file, &err), err);
    ck_assert_ok(pare_tokenizer_from_gguf(file, &t, &err), err);
    *json = through_json(file);
    pare_gguf_close(file);
    free(path);
    pare_remove_tree(folder, NULL);
    return t;
}

/* How many of the strings as `shorter` allows do not get the ids of a fixture; none may when all
 * must. */
static size_t unlike_fixture(const struct pare_tokenizer *t, const char *name, size_t shorter,
                             unsigned flags, bool all)
{
    gzFile file = open_expected(name);
    struct pare_ids ids = {0};
    struct pare_error err;
    static struct record r;
    size_t unlike = 0;
    read_strings();
    for (size_t i = 0; i < STRINGS; i++) {
        next_record(file, &r);
        if (strings[i].len >= shorter)
            continue;
        ck_assert_ok(pare_tokenizer_encode(t, strings[i].data, strings[i].len, flags, &ids, &err),
                     err);
        unlike += !same_ids(&ids, &r);
        ck_assert_msg(!all || unlike == 0, "%s: other ids for string %zu: %s", name, i,
                      strings[i].data);
    }
    gzclose(file);
    free_strings();
    pare_ids_free(&ids);
    return unlike;
}

static void as_in_fixture(const struct pare_tokenizer *t, const char *name, size_t shorter,
                          unsigned flags)
{
    unlike_fixture(t, name, shorter, flags, true);
}

START_TEST(gguf_bpe)
{
    struct pare_error err;
    struct pare_tokenizer *t = open_fixture("llama3");
    json_t *json = json_load_file(pare_test_source(FIXTURES "llama3.json"), 0, NULL);
    const json_t *list = json_object_get(json_object_get(json, "model"), "merges");
    const size_t n = pare_tokenizer_size(t), n_merges = json_array_size(list);
    struct pare_gguf_text *tokens = calloc(n, sizeof *tokens);
    struct pare_gguf_text *merges = calloc(n_merges, sizeof *merges);
    int32_t *types = calloc(n, sizeof *types);
    for (size_t i = 0; i < n; i++) {
        const struct pare_bytes text = pare_tokenizer_token(t, (int32_t)i);
        tokens[i] = (struct pare_gguf_text){text.data, text.len};
        types[i] = pare_tokenizer_is_special(t, (int32_t)i) ? PARE_TOKEN_CONTROL : 1;
    }
    for (size_t i = 0; i < n_merges; i++) {
        const json_t *pair = json_array_get(list, i);
        struct pare_str both = {0};
        pare_str_printf(&both, "%s %s", json_string_value(json_array_get(pair, 0)),
                        json_string_value(json_array_get(pair, 1)));
        merges[i].len = both.len;
        merges[i].data = pare_str_take(&both);
    }
    struct pare_tokenizer *j,
        *g = through_gguf("gpt2", "llama-bpe", n, tokens, types, n_merges, merges, &j);
    as_in_fixture(g, "llama3", SIZE_MAX, PARE_ENCODE_ADD);
    as_in_fixture(j, "llama3", SIZE_MAX, PARE_ENCODE_ADD);
    ck_assert_int_eq(pare_tokenizer_special(j, PARE_SPECIAL_BOS), 0);
    pare_tokenizer_free(j);
    ck_assert_int_eq(pare_tokenizer_special(g, PARE_SPECIAL_BOS), 0);
    pare_tokenizer_free(g);
    /* a merge that makes nothing */
    struct pare_bytes list_of_two[] = {{"a", 1}, {"b", 1}}, merge = {"a b", 3};
    const struct pare_vocab_spec bad = {.model = "gpt2",
                                        .n_tokens = 2,
                                        .tokens = list_of_two,
                                        .n_merges = 1,
                                        .merges = &merge,
                                        .special = {-1, -1, -1, -1, -1, -1, -1}};
    ck_assert_int_eq(pare_tokenizer_from_vocab(&bad, &g, &err), PARE_INVALID);
    ck_assert_ptr_null(g);
    for (size_t i = 0; i < n_merges; i++)
        free((void *)(uintptr_t)merges[i].data);
    free(tokens);
    free(merges);
    free(types);
    json_decref(json);
    pare_tokenizer_free(t);
}
END_TEST

START_TEST(gguf_t5)
{
    struct pare_gguf *file;
    struct pare_tokenizer *t;
    struct pare_error err;
    ck_assert_ok(pare_gguf_open(pare_test_source(FIXTURES "t5.gguf"), &file, &err), err);
    ck_assert_ok(pare_tokenizer_from_gguf(file, &t, &err), err);
    as_in_fixture(t, "t5", SIZE_MAX, PARE_ENCODE_ADD | PARE_ENCODE_PLAIN);
    pare_tokenizer_free(t);
    t = through_json(file);
    pare_gguf_close(file);
    /* Hugging Face finds the texts of control tokens as pieces, normalizes by grapheme instead of
     * by the longest match, and knows a mark from a space: 30 of the strings have such. */
    ck_assert_uint_le(unlike_fixture(t, "t5", SIZE_MAX, PARE_ENCODE_ADD | PARE_ENCODE_PLAIN, false),
                      30);
    pare_tokenizer_free(t);
}
END_TEST

/* SentencePiece's scores as a list of merges. */
START_TEST(gguf_llama)
{
    struct pare_gguf *file;
    struct pare_error err;
    ck_assert_ok(
        pare_gguf_open(pare_test_source("share/models/stories260K/stories260K.gguf"), &file, &err),
        err);
    struct pare_tokenizer *t = through_json(file);
    pare_gguf_close(file);
    as_in_fixture(t, "tok512", SIZE_MAX, PARE_ENCODE_ADD | PARE_ENCODE_PLAIN);
    pare_tokenizer_free(t);
}
END_TEST

START_TEST(gguf_bert)
{
    struct pare_tokenizer *t = open_fixture("bert-uncased");
    const size_t n = pare_tokenizer_size(t);
    struct pare_gguf_text *tokens = calloc(n, sizeof *tokens);
    struct pare_str *texts = calloc(n, sizeof *texts);
    int32_t *types = calloc(n, sizeof *types);
    for (size_t i = 0; i < n; i++) {
        const struct pare_bytes text = pare_tokenizer_token(t, (int32_t)i);
        const bool special = pare_tokenizer_is_special(t, (int32_t)i);
        const bool inside = text.len > 2 && memcmp(text.data, "##", 2) == 0;
        types[i] = special ? PARE_TOKEN_CONTROL : PARE_TOKEN_NORMAL;
        pare_str_append(&texts[i], special || inside ? "" : "\xE2\x96\x81");
        pare_str_append_n(&texts[i], text.data + (inside ? 2 : 0), text.len - (inside ? 2 : 0));
        tokens[i] = (struct pare_gguf_text){texts[i].data, texts[i].len};
    }
    struct pare_tokenizer *j, *g = through_gguf("bert", NULL, n, tokens, types, 0, NULL, &j);
    /* llama.cpp knows no longest word */
    as_in_fixture(g, "bert-uncased", 100, PARE_ENCODE_ADD);
    as_in_fixture(j, "bert-uncased", SIZE_MAX, PARE_ENCODE_ADD);
    pare_tokenizer_free(j);
    for (size_t i = 0; i < n; i++)
        pare_str_free(&texts[i]);
    free(tokens);
    free(texts);
    free(types);
    pare_tokenizer_free(g);
    pare_tokenizer_free(t);
}
END_TEST

/* What comes out token by token is the text, but for what happens at its beginning. */
START_TEST(streaming)
{
    static const struct {
        const char *name;
        size_t extra; /* bytes in front */
    } cases[] = {{"gpt2", 0}, {"llama2", 1}, {"bert-cased", 1}, {"unigram-bytes", 1}};
    static const char text[] = "Shall I compare 2 d\xC3\xA4ys? \xF0\x9F\x91\x8D \xE6\xBC\xA2\n!";
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_tokenizer *t = open_fixture(cases[i].name);
        struct pare_ids ids = {0};
        struct pare_str whole = {0}, parts = {0};
        struct pare_error err;
        ck_assert_ok(pare_tokenizer_encode(t, text, strlen(text), PARE_ENCODE_ADD, &ids, &err),
                     err);
        ck_assert_ok(pare_tokenizer_decode(t, ids.ids, ids.n, true, &whole, &err), err);
        for (size_t k = 0; k < ids.n; k++)
            ck_assert_ok(pare_tokenizer_token_bytes(t, ids.ids[k], &parts, &err), err);
        ck_assert_uint_ge(parts.len, cases[i].extra);
        ck_assert_str_eq(parts.data + cases[i].extra, whole.data);
        ck_assert_ok(pare_tokenizer_token_bytes(t, -1, &parts, &err), err);
        ck_assert_ok(pare_tokenizer_token_bytes(t, 1 << 30, &parts, &err), err);
        pare_str_free(&whole);
        pare_str_free(&parts);
        pare_ids_free(&ids);
        pare_tokenizer_free(t);
    }
}
END_TEST

/* What is not UTF-8 is U+FFFD, one for each maximal part. */
START_TEST(broken_utf8)
{
#define R "\xEF\xBF\xBD"
    static const struct {
        const char *text, *read;
    } cases[] = {
        {"a\xFF"
         "b",
         "a" R "b"},
        {"\xC3", R},
        {"\xE2\x82", R},
        {"\xE2\x82"
         "a",
         R "a"},
        {"\xC0\xAF", R R},
        {"\xED\xA0\x80", R R R},
        {"\xF0\x9F\x91", R},
        {"\xF4\x90\x80\x80", R R R R},
        {"\x80\x80", R R},
        {"\xF0\x80\x80\x41", R R R "A"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
         "A",
         R R R R "A"},
    };
#undef R
    struct pare_tokenizer *t = open_fixture("gpt2");
    struct pare_ids a = {0}, b = {0};
    struct pare_error err;
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        const char *x = cases[i].text, *y = cases[i].read;
        ck_assert_ok(pare_tokenizer_encode(t, x, strlen(x), 0, &a, &err), err);
        ck_assert_ok(pare_tokenizer_encode(t, y, strlen(y), 0, &b, &err), err);
        ck_assert_msg(a.n == b.n && memcmp(a.ids, b.ids, a.n * sizeof *a.ids) == 0, "case %zu", i);
    }
    ck_assert_ok(pare_tokenizer_encode(t, "a\0b", 3, 0, &a, &err), err);
    ck_assert_uint_eq(a.n, 3);
    pare_ids_free(&a);
    pare_ids_free(&b);
    pare_tokenizer_free(t);
}
END_TEST

static int parse(const char *json, const char *config, struct pare_tokenizer **t,
                 struct pare_error *err)
{
    return pare_tokenizer_parse("tokenizer.json", json, strlen(json), config,
                                config ? strlen(config) : 0, t, err);
}

/* A byte that is no token is left out; whether what stood around it merges is told apart by the
 * references: in llama.cpp it does not, in Hugging Face's tokenizers it does. */
START_TEST(left_out)
{
    static const struct pare_bytes tokens[] = {{"a", 1}, {"b", 1}, {"ab", 2}};
    static const struct pare_bytes merge = {"a b", 3};
    const struct pare_vocab_spec spec = {.model = "gpt2",
                                         .n_tokens = 3,
                                         .tokens = tokens,
                                         .n_merges = 1,
                                         .merges = &merge,
                                         .special = {-1, -1, -1, -1, -1, -1, -1}};
    struct pare_tokenizer *t;
    struct pare_ids ids = {0};
    struct pare_error err;
    ck_assert_ok(pare_tokenizer_from_vocab(&spec, &t, &err), err);
    ck_assert_ok(pare_tokenizer_encode(t, "xaxbabx", 7, 0, &ids, &err), err);
    ck_assert_uint_eq(ids.n, 3);
    ck_assert(ids.ids[0] == 0 && ids.ids[1] == 1 && ids.ids[2] == 2);
    pare_tokenizer_free(t);
    ck_assert_ok(parse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},"
                       "\"merges\":[\"a b\"]}}",
                       NULL, &t, &err),
                 err);
    ck_assert_ok(pare_tokenizer_encode(t, "xaxbabx", 7, 0, &ids, &err), err);
    ck_assert_uint_eq(ids.n, 2);
    ck_assert(ids.ids[0] == 2 && ids.ids[1] == 2);
    pare_tokenizer_free(t);
    pare_ids_free(&ids);
}
END_TEST

#define BPE "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"
#define ADDED(id, content) "\"added_tokens\":[{\"id\":" id ",\"content\":\"" content "\"}],"

START_TEST(refused)
{
    static const struct {
        const char *json;
        int status;
        const char *what, *detail;
    } cases[] = {
        {"", PARE_INVALID, "not JSON", "line"},
        {"[1", PARE_INVALID, "not JSON", "line"},
        {"[]", PARE_INVALID, "not an object", ""},
        {"{}", PARE_INVALID, "'model' is missing", ""},
        {"{\"model\":{\"type\":\"WordLevel\"}}", PARE_UNSUPPORTED, "'WordLevel'", "at model"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", PARE_INVALID, "-1",
         "model"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999999},\"merges\":[]}}", PARE_INVALID,
         "99999999999", "model"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"0\"},\"merges\":[]}}", PARE_INVALID,
         "not an integer", "model"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", PARE_INVALID,
         "two tokens have the id 0", "'a' and 'b'"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]}}",
         PARE_INVALID, "needs the token 'ab'", "model.merges[0]"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}}", PARE_INVALID,
         "not two tokens", "model.merges[0]"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",1]]}}", PARE_INVALID,
         "not two tokens", "model.merges[0]"},
        {"{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{},\"merges\":[]}}",
         PARE_UNSUPPORTED, "dropout", "model"},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":5,\"vocab\":[[\"a\",-1]]}}", PARE_INVALID,
         "unk_id", "model"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",\"b\"]]}}", PARE_INVALID, "score",
         "model.vocab[0]"},
        {"{" BPE ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},"
         "{\"type\":\"Nmt\"}]}}",
         PARE_UNSUPPORTED, "'Nmt'", "normalizer.normalizers[1]"},
        {"{" BPE ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!\"}}",
         PARE_INVALID, "base64", "normalizer"},
        {"{" BPE
         ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////w==\"}}",
         PARE_INVALID, "compiled normalizer", "normalizer"},
        {"{" BPE ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"}}}",
         PARE_INVALID, "does not compile", "pre_tokenizer"},
        {"{" BPE ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"}}}",
         PARE_UNSUPPORTED, "intersection", "pre_tokenizer"},
        {"{" BPE ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":3}}", PARE_INVALID,
         "'pattern'", "pre_tokenizer"},
        {"{" BPE ",\"decoder\":{\"type\":\"CTC\"}}", PARE_UNSUPPORTED, "'CTC'", "decoder"},
        {"{" BPE ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken"
         "\":{\"id\":\"x\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{}}}",
         PARE_INVALID, "no ids for 'x'", "post_processor.single[0]"},
        {"{" BPE ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\",-7],\"cls\":["
         "\"c\",0]}}",
         PARE_INVALID, "-7", "post_processor"},
        {"{" ADDED("1", "x") BPE "}", PARE_INVALID, "has the id of 'b'", "added_tokens[0]"},
        {"{" ADDED("16777216", "x") BPE "}", PARE_INVALID, "16777216", "added_tokens[0]"},
    };
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_tokenizer *t;
        struct pare_error err = {0};
        const int rc = parse(cases[i].json, NULL, &t, &err);
        ck_assert_msg(rc == cases[i].status && !t, "case %zu: status %d", i, rc);
        ck_assert_msg(strstr(err.what, cases[i].what) && strstr(err.detail, cases[i].detail),
                      "case %zu: %s | %s", i, err.what, err.detail);
    }
    /* Sequences in Sequences */
    struct pare_str deep = {0};
    struct pare_tokenizer *t;
    struct pare_error err = {0};
    pare_str_append(&deep, "{" BPE ",\"decoder\":");
    for (int i = 0; i < 500; i++)
        pare_str_append(&deep, "{\"type\":\"Sequence\",\"decoders\":[");
    pare_str_append(&deep, "{\"type\":\"Fuse\"}");
    for (int i = 0; i < 500; i++)
        pare_str_append(&deep, "]}");
    pare_str_append(&deep, "}");
    ck_assert_int_eq(parse(deep.data, NULL, &t, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "nested"));
    pare_str_free(&deep);
}
END_TEST

/* A regex that backtracks without end is stopped, and soon. */
START_TEST(catastrophe)
{
    static const char *const patterns[] = {"(a+)+$", "(a|aa)+[de]", "(a*)*[de]", "(.*)*[xy](?=z)"};
    static char text[40000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    for (size_t i = 0; i < PARE_COUNT(patterns); i++) {
        struct pare_str json = {0};
        struct pare_tokenizer *t;
        struct pare_ids ids = {0};
        struct pare_error err = {0};
        pare_str_printf(&json,
                        "{" BPE ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{"
                        "\"Regex\":\"%s\"},\"behavior\":\"Isolated\"}}",
                        patterns[i]);
        ck_assert_ok(parse(json.data, NULL, &t, &err), err);
        const double start = pare_clock_seconds();
        const int rc = pare_tokenizer_encode(t, text, sizeof text, 0, &ids, &err);
        ck_assert_msg(rc == PARE_FAILED, "%s: status %d", patterns[i], rc);
        ck_assert_ptr_nonnull(strstr(err.what, "gives up"));
        ck_assert_msg(pare_clock_seconds() - start < 60, "%s", patterns[i]);
        pare_str_free(&json);
        pare_ids_free(&ids);
        pare_tokenizer_free(t);
    }
}
END_TEST

/* What a file can ask for, and text cannot. */
START_TEST(limits)
{
    struct pare_str json = {0};
    struct pare_tokenizer *t;
    struct pare_ids ids = {0};
    struct pare_error err = {0};
    /* every step makes the text 16 times as long */
    pare_str_append(&json, "{" BPE ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 60; i++)
        pare_str_printf(&json,
                        "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},"
                        "\"content\":\"aaaaaaaaaaaaaaaa\"}",
                        i ? "," : "");
    pare_str_append(&json, "]}}");
    ck_assert_ok(parse(json.data, NULL, &t, &err), err);
    ck_assert_int_eq(pare_tokenizer_encode(t, "a", 1, 0, &ids, &err), PARE_FAILED);
    ck_assert_ptr_nonnull(strstr(err.what, "too long"));
    pare_tokenizer_free(t);
    pare_str_free(&json);
    /* a token for unknowns that is not there */
    ck_assert_ok(parse("{\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"a\":0},"
                       "\"merges\":[]}}",
                       NULL, &t, &err),
                 err);
    ck_assert_ok(pare_tokenizer_encode(t, "aa", 2, 0, &ids, &err), err);
    ck_assert_uint_eq(ids.n, 2);
    ck_assert_int_eq(pare_tokenizer_encode(t, "ab", 2, 0, &ids, &err), PARE_INVALID);
    pare_tokenizer_free(t);
    /* a special token that is a part of a character, and one that is no text */
    static const struct pare_bytes tokens[] = {{"\xA9", 1}, {"<0xC3>", 6}, {"\xC3", 1}};
    static const int32_t types[] = {PARE_TOKEN_CONTROL, PARE_TOKEN_BYTE, PARE_TOKEN_NORMAL};
    struct pare_vocab_spec spec = {.model = "llama",
                                   .n_tokens = 3,
                                   .tokens = tokens,
                                   .types = types,
                                   .special = {-1, -1, -1, -1, -1, -1, -1},
                                   .add_bos = 1};
    ck_assert_ok(pare_tokenizer_from_vocab(&spec, &t, &err), err);
    ck_assert_ok(pare_tokenizer_encode(t, "\xC3\xA9", 2, PARE_ENCODE_ADD, &ids, &err), err);
    ck_assert_uint_eq(ids.n, 1);
    ck_assert_int_eq(ids.ids[0], 1);
    static const int32_t bad[] = {2, 2, -1, 1 << 30};
    struct pare_str out = {0};
    ck_assert_ok(pare_tokenizer_decode(t, bad, 4, false, &out, &err), err);
    ck_assert_str_eq(out.data, "\xEF\xBF\xBD\xEF\xBF\xBD");
    pare_str_free(&out);
    pare_tokenizer_free(t);
    /* ids and vocabularies that do not fit */
    spec.special[PARE_SPECIAL_EOS] = 3;
    ck_assert_int_eq(pare_tokenizer_from_vocab(&spec, &t, &err), PARE_INVALID);
    spec.special[PARE_SPECIAL_EOS] = -1;
    spec.model = "rwkv";
    ck_assert_int_eq(pare_tokenizer_from_vocab(&spec, &t, &err), PARE_UNSUPPORTED);
    spec.model = "gpt2";
    spec.pre = "new-one";
    ck_assert_int_eq(pare_tokenizer_from_vocab(&spec, &t, &err), PARE_UNSUPPORTED);
    static const struct pare_bytes twice[] = {{"a", 1}, {"b", 1}, {"a", 1}};
    spec.tokens = twice;
    ck_assert_int_eq(pare_tokenizer_from_vocab(&spec, &t, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.detail, "0 and 2"));
    pare_ids_free(&ids);
}
END_TEST

START_TEST(translation)
{
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xB2\\xB3\\xB9\\xBC-\\xBE"
    static const struct {
        const char *from, *to; /* NULL: refused */
    } cases[] = {
        {"a|b", "a|b"},
        {"\\s+(?!\\S)", "[\\p{White_Space}]+(?![^\\p{White_Space}])"},
        {"[^\\s\\p{L}]", "[^\\p{White_Space}\\p{L}]"},
        {"\\w", "[" WORD "]"},
        {"[\\w-]", "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}-]"},
        {"[^(\\s|[.,])]+", "[^(\\p{White_Space}|.,)]+"},
        {"\\p{Han}\\p{^Lu}", "\\p{sc:Han}\\p{^Lu}"},
        {"(?m:.)(?i)x", "(?s:.)(?i)x"},
        {"\\p{N}{1,3}+", "(?:\\p{N}{1,3})+"},
        {"(ab){2}+c", "(?:(ab){2})+c"},
        {"[]a]", "[\\]a]"},
        {"\\h", "[0-9a-fA-F]"},
        {"\\b", "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))"},
        {"[\\b]", "[\\b]"},
        {"a{,3}", "a{0,3}"},
        {"a{b", "a{b"},
        {"\\u00e4", "\\x{00e4}"},
        {"[\\W]", NULL},
        {"[a[^b]]", NULL},
        {"[[:alpha:]]", NULL},
        {"(?<name>a)", NULL},
        {"\\K", NULL},
        {"\\", NULL},
        {"[a", NULL},
        {"\\p", NULL},
    };
#undef WORD
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_str out = {0};
        struct pare_error err;
        const int rc = pare_regex_translate(cases[i].from, strlen(cases[i].from), &out, &err);
        ck_assert_msg(rc == (cases[i].to ? PARE_OK : PARE_UNSUPPORTED), "%s: %d", cases[i].from,
                      rc);
        if (cases[i].to)
            ck_assert_str_eq(out.data, cases[i].to);
        pare_str_free(&out);
    }
}
END_TEST

/* Special tokens: as the configuration names them, in the text or not, around it. */
START_TEST(specials)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true},{\"id\":4,\"content\":"
        "\"</s>\",\"special\":true},{\"id\":7,\"content\":\"aa\",\"special\":false}]," BPE "}";
    static const char config[] = "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_eos_token\":true,"
                                 "\"eos_token\":{\"content\":\"</s>\"},\"bos_token\":\"<s>\"}";
    static const struct {
        bool config;
        unsigned flags;
        const char *text;
        size_t n;
        int32_t ids[8];
    } cases[] = {
        {false, PARE_ENCODE_ADD, "ab", 1, {2}},
        {true, PARE_ENCODE_ADD, "ab", 3, {3, 2, 4}},
        {true, 0, "ab", 1, {2}},
        {true, 0, "a<s>aab", 4, {0, 3, 7, 1}},
        {true, PARE_ENCODE_PLAIN, "a<s>aab", 3, {0, 7, 1}},
        {true, PARE_ENCODE_ADD, "", 2, {3, 4}},
    };
    struct pare_tokenizer *t[2];
    struct pare_ids ids = {0};
    struct pare_error err;
    const char *folder = pare_test_folder();
    ck_assert_ok(parse(json, NULL, &t[0], &err), err);
    char *path = pare_path_join(folder, "tokenizer.json");
    ck_assert_ok(pare_file_write(path, json, strlen(json), &err), err);
    free(path);
    path = pare_path_join(folder, "tokenizer_config.json");
    ck_assert_ok(pare_file_write(path, config, strlen(config), &err), err);
    free(path);
    ck_assert_ok(pare_tokenizer_open(folder, &t[1], &err), err);
    pare_remove_tree(folder, NULL);
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        ck_assert_ok(pare_tokenizer_encode(t[cases[i].config], cases[i].text, strlen(cases[i].text),
                                           cases[i].flags, &ids, &err),
                     err);
        ck_assert_msg(ids.n == cases[i].n &&
                          memcmp(ids.ids, cases[i].ids, ids.n * sizeof *ids.ids) == 0,
                      "case %zu", i);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pare_tokenizer_special(t[i], PARE_SPECIAL_BOS), 3);
        ck_assert_int_eq(pare_tokenizer_special(t[i], PARE_SPECIAL_EOS), 4);
        ck_assert_int_eq(pare_tokenizer_special(t[i], PARE_SPECIAL_MASK), -1);
        ck_assert_uint_eq(pare_tokenizer_size(t[i]), 8); /* 5 and 6 are holes */
        ck_assert_ptr_null(pare_tokenizer_token(t[i], 5).data);
        ck_assert_int_eq(pare_tokenizer_find(t[i], "ab", 2), 2);
        ck_assert_int_eq(pare_tokenizer_find(t[i], "ba", 2), -1);
        pare_tokenizer_free(t[i]);
    }
    ck_assert_int_eq(pare_tokenizer_open("/nowhere", &t[0], &err), PARE_NOT_FOUND);
    pare_ids_free(&ids);
}
END_TEST

/* Many threads get what one gets, and a long text, whose words are remembered, what its parts get.
 */
START_TEST(threads)
{
    struct pare_tokenizer *t = open_fixture("qwen2");
    int wrong = 0;
    static uint32_t crc[STRINGS];
    struct pare_ids ids = {0}, line = {0}, all = {0};
    struct pare_error err;
    read_strings();
    for (size_t i = 0; i < STRINGS; i++) {
        ck_assert_ok(pare_tokenizer_encode(t, strings[i].data, strings[i].len, 0, &ids, &err), err);
        crc[i] = pare_crc32(0, ids.ids, ids.n * sizeof *ids.ids);
    }
#pragma omp parallel for num_threads(4) schedule(dynamic) reduction(+ : wrong)
    for (size_t k = 0; k < 4 * STRINGS; k++) {
        const struct pare_bytes text = strings[k % STRINGS];
        struct pare_ids mine = {0};
        wrong += pare_tokenizer_encode(t, text.data, text.len, 0, &mine, NULL) != PARE_OK ||
                 pare_crc32(0, mine.ids, mine.n * sizeof *mine.ids) != crc[k % STRINGS];
        pare_ids_free(&mine);
    }
    ck_assert_int_eq(wrong, 0);
    /* "\n" after a letter always ends a piece here */
    struct pare_str whole = {0};
    for (int i = 0; i < 400; i++) {
        const char *text = i % 3 ? "some words again\n" : "other words\n";
        pare_str_append(&whole, text);
        ck_assert_ok(pare_tokenizer_encode(t, text, strlen(text), 0, &line, &err), err);
        for (size_t k = 0; k < line.n; k++) {
            ck_assert(pare_grow(&all.ids, &all.cap, all.n + 1, sizeof *all.ids));
            all.ids[all.n++] = line.ids[k];
        }
    }
    ck_assert_ok(pare_tokenizer_encode(t, whole.data, whole.len, 0, &ids, &err), err);
    ck_assert_uint_eq(ids.n, all.n);
    ck_assert_int_eq(memcmp(ids.ids, all.ids, ids.n * sizeof *ids.ids), 0);
    pare_str_free(&whole);
    pare_ids_free(&ids);
    pare_ids_free(&line);
    pare_ids_free(&all);
    free_strings();
    pare_tokenizer_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *tc = pare_test_case(suite, "reference");
    tcase_add_loop_test(tc, reference, 0, (int)PARE_COUNT(names));
    tcase_add_test(tc, sentencepiece);
    tcase_add_test(tc, gguf_bpe);
    tcase_add_test(tc, gguf_bert);
    tcase_add_test(tc, gguf_llama);
    tcase_add_test(tc, left_out);
    tcase_add_test(tc, gguf_t5);
    tc = pare_test_case(suite, "text");
    tcase_add_test(tc, streaming);
    tcase_add_test(tc, broken_utf8);
    tcase_add_test(tc, specials);
    tcase_add_test(tc, threads);
    tc = pare_test_case(suite, "refusals");
    tcase_add_test(tc, refused);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, translation);
    tcase_add_test(tc, catastrophe);
    return pare_test_main(&suite, 1);
}
