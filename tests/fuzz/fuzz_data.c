/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an image, as an array of images or labels, as dataset.yaml, and as labelled texts.
 * With PARE_REPLAY it has an ordinary main that runs the files of the corpus (or those named), for
 * compilers without a fuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "measure/image.h"
#include "measure/measure.h"
#include "measure/records.h"
#include "measure/sequences.h"
#include "text/pretokenize.h"
#include "text/utf8.h"

#define SIDE 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/pare-fuzz-XXXXXX";

static void clean_up(void)
{
    pare_remove_tree(folder, NULL);
}

static const char *put(const char *name, const uint8_t *data, size_t size)
{
    static char path[64];
    static int made;
    if (!made) {
        if (!mkdtemp(folder))
            abort();
        atexit(clean_up);
        made = 1;
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || (size && fwrite(data, size, 1, f) != 1) || fclose(f) != 0)
        abort();
    return path;
}

/* Success and an object, or a failure with a message. */
static void check(int rc, const void *object, const struct pare_error *err)
{
    if ((rc == PARE_OK) != (object != NULL) || (rc != PARE_OK && !err->what[0]))
        abort();
}

static void as_image(const uint8_t *data, size_t size)
{
    static const struct pare_preprocess p = {.resize = true,
                                             .resize_height = SIDE,
                                             .resize_width = SIDE,
                                             .resample = 3,
                                             .rescale = true,
                                             .factor = 1.0 / 255};
    struct pare_image image = {0};
    struct pare_error err = {0};
    float out[3 * SIDE * SIDE];
    int rc = pare_image_decode("fuzz", data, size, &image, &err);
    check(rc, image.pixels, &err);
    if (rc == PARE_OK && (uint64_t)image.width * image.height < 1u << 20 &&
        pare_preprocess_image(&p, 3, SIDE, SIDE, &image, out, &err) != PARE_OK)
        abort();
    free(image.pixels);
}

static void as_data(const struct pare_data_spec *spec, struct pare_graph *graph)
{
    struct pare_model model = {
        .graph = graph,
        .preprocess = {.resize = true, .resize_height = SIDE, .resize_width = SIDE, .resample = 2}};
    struct pare_dataset *set = NULL;
    struct pare_error err = {0};
    float out[SIDE * SIDE];
    uint32_t label;
    int rc = pare_dataset_open(spec, &model, &set, &err);
    check(rc, set, &err);
    for (uint32_t i = 0; set && i < pare_dataset_size(set) && i < 4; i++) {
        if (pare_dataset_read(set, i, 1, out, &label, &err) != PARE_OK && !err.what[0])
            abort();
    }
    pare_dataset_close(set);
}

/* Every byte is a token. */
static struct pare_tokenizer *bytes_only(void)
{
    char texts[256][4];
    struct pare_bytes tokens[256];
    struct pare_tokenizer *t = NULL;
    for (int i = 0; i < 256; i++)
        tokens[i] =
            (struct pare_bytes){texts[i], pare_utf8_put(pare_byte_char((uint8_t)i), texts[i])};
    const struct pare_vocab_spec spec = {.model = "gpt2",
                                         .pre = "default",
                                         .n_tokens = 256,
                                         .tokens = tokens,
                                         .special = {-1, -1, -1, -1, -1, -1, -1},
                                         .add_bos = 0};
    if (pare_tokenizer_from_vocab(&spec, &t, NULL) != PARE_OK)
        abort();
    return t;
}

static void as_texts(const char *name, const uint8_t *data, size_t size, struct pare_graph *graph)
{
    static struct pare_tokenizer *tokenizer;
    static char bad[] = "bad", good[] = "very good", *labels[] = {bad, good};
    const struct pare_model model = {.graph = graph, .labels = labels, .n_labels = 2};
    struct pare_records records;
    struct pare_sequences *s = NULL;
    struct pare_error err = {0};
    char note[PARE_DATA_NOTE];
    int rc = pare_records_parse(name, (const char *)data, size, &model, &records, &err);
    check(rc, records.items, &err);
    if (rc != PARE_OK)
        return;
    tokenizer = tokenizer ? tokenizer : bytes_only();
    rc = pare_sequences_new(&records, name, tokenizer, 16, &s, note, &err);
    check(rc, s, &err);
    for (uint32_t i = 0; s && i < records.n; i++) {
        for (uint32_t k = 0; k < pare_sequences_parts(s, i); k++) {
            const struct pare_sequence x = pare_sequences_part(s, i, k);
            if (x.n == 0 || x.n > 16 + (x.first > 0) || x.first >= x.n)
                abort();
        }
    }
    pare_sequences_free(s);
    pare_records_free(&records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pare_graph *graph;
    struct pare_split splits[8];
    size_t n;
    struct pare_error err = {0};
    if (!graph && pare_graph_new(1, SIDE, SIDE, &graph, &err) != PARE_OK)
        abort();
    as_image(data, size);
    as_texts("x.jsonl", data, size, graph);
    as_texts("x.tsv", data, size, graph);
    const char *path = put("x", data, size);
    as_data(&(struct pare_data_spec){.inputs = path, .shuffle = true}, graph);
    as_data(&(struct pare_data_spec){.inputs = path, .labels = path}, graph);
    put("dataset.yaml", data, size);
    as_data(&(struct pare_data_spec){.from = folder, .split = "test"}, graph);
    const int rc = pare_dataset_splits(folder, splits, 8, &n, &err);
    check(rc, rc == PARE_OK ? splits : NULL, &err);
    return 0;
}

#ifdef PARE_REPLAY
#include "tests/fuzz/replay.h"

/* Cut off or damaged at up to a hundred places. */
static void vary(char *data, size_t size)
{
    for (size_t at = 0; at < size; at += size / 100 + 1) {
        char *part = malloc(at + 1);
        if (!part)
            abort();
        memcpy(part, data, at);
        LLVMFuzzerTestOneInput((const uint8_t *)part, at);
        free(part);
        data[at] = (char)~data[at];
        LLVMFuzzerTestOneInput((const uint8_t *)data, size);
        data[at] = (char)~data[at];
    }
}

int main(int argc, char **argv)
{
    return replay_main(argc, argv, "tests/fuzz/corpus/data", vary);
}
#endif
