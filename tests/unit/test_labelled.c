/* SPDX-License-Identifier: Apache-2.0 */
/* Labelled texts: how files are read, and that what is measured on them is what whole texts say. */
#include "tests/unit/test.h"

#include "base/file.h"
#include "measure/measure.h"
#include "measure/records.h"
#include "measure/sequences.h"
#include "measure/spearman.h"
#include "tests/unit/random_bert.h"

static struct pare_error err;
static const char *folder;
static char path[4200];

#define SPECIAL(id, text)                                                                          \
    "{\"id\": " #id ", \"content\": \"" text "\", \"special\": true, \"single_word\": false, "     \
    "\"lstrip\": false, \"rstrip\": false, \"normalized\": false}"
#define PIECE(text, type) "{\"SpecialToken\": {\"id\": \"" text "\", \"type_id\": " #type "}}"
#define PART(part, type) "{\"Sequence\": {\"id\": \"" part "\", \"type_id\": " #type "}}"
#define NAMED(id, text)                                                                            \
    "\"" text "\": {\"id\": \"" text "\", \"ids\": [" #id "], \"tokens\": [\"" text "\"]}"

/* Letters, between [CLS] and [SEP] (which is token 2, as random models have it). A space and the b
 * behind it are one token. */
/* clang-format off */
static const char bert_letters[] =
    "{\"version\": \"1.0\", \"added_tokens\": [" SPECIAL(0, "[CLS]") ", " SPECIAL(2, "[SEP]") "], "
    "\"normalizer\": null, \"pre_tokenizer\": null, \"decoder\": null, "
    "\"post_processor\": {\"type\": \"TemplateProcessing\", "
    "\"single\": [" PIECE("[CLS]", 0) ", " PART("A", 0) ", " PIECE("[SEP]", 0) "], "
    "\"pair\": [" PIECE("[CLS]", 0) ", " PART("A", 0) ", " PIECE("[SEP]", 0) ", "
    PART("B", 1) ", " PIECE("[SEP]", 1) "], "
    "\"special_tokens\": {" NAMED(0, "[CLS]") ", " NAMED(2, "[SEP]") "}}, "
    "\"model\": {\"type\": \"BPE\", \"vocab\": {\"[CLS]\": 0, \"h\": 1, \"[SEP]\": 2, \"a\": 3, "
    "\"b\": 4, \"c\": 5, \"d\": 6, \"e\": 7, \"f\": 8, \"g\": 9, \" \": 10}, \"merges\": []}}";
/* clang-format on */
static const char text_letters[] = "{\"version\": \"1.0\", \"added_tokens\": [" SPECIAL(
    0, "<s>") "], "
              "\"normalizer\": null, \"pre_tokenizer\": null, \"decoder\": null, "
              "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": "
              "[" PIECE("<s>", 0) ", " PART("A", 0) "], \"pair\": [" PART("A", 0) ", " PART(
                  "B", 1) "], "
                          "\"special_tokens\": {" NAMED(0,
                                                        "<s>") "}}, "
                                                               "\"model\": {\"type\": \"BPE\", "
                                                               "\"vocab\": {\"<s>\": 0, \"h\": 1, "
                                                               "\" b\": 2, \"a\": 3, \"b\": 4, "
                                                               "\"c\": 5, \"d\": 6, \"e\": 7, "
                                                               "\"f\": 8, \"g\": 9, \" \": 10}, "
                                                               "\"merges\": [[\" \", \"b\"]]}}";
static const char config[] = "{\"bos_token\": \"<s>\", \"tokenizer_class\": \"LlamaTokenizer\", "
                             "\"add_bos_token\": true}";

static char bad[] = "bad", good[] = "Very good", *labels[] = {bad, good};
static struct pare_model model; /* of the test at work: its graph is the test's */

static void put(const char *name, const char *text, size_t n)
{
    char file[4300];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    ck_assert_ok(pare_file_write(file, text, n, &err), err);
}

static void set_up(void)
{
    folder = pare_test_folder();
    model = (struct pare_model){.labels = labels,
                                .n_labels = 2,
                                .tokenizer = (char *)(uintptr_t)folder,
                                .tokenizer_source = PARE_TOKENIZER_FOLDER};
}

static void tear_down(void)
{
    pare_graph_free(model.graph);
    pare_remove_tree(folder, NULL);
}

static void use_bert(uint32_t classes)
{
    const struct bert_shape shape = {11, 24, 24, 16, 2, 32, 2, classes};
    model.graph = random_bert(&shape, 3);
    put("tokenizer.json", bert_letters, strlen(bert_letters));
}

static void use_llama(void)
{
    const struct llama_shape shape = {11, 40, 16, 32, 4, 2, 8, 24, 2, 0, 32, 0, false, 0};
    model.graph = random_llama(&shape, 1);
    put("tokenizer.json", text_letters, strlen(text_letters));
    put("tokenizer_config.json", config, strlen(config));
}

static struct pare_dataset *open_data(const char *name, const char *text)
{
    struct pare_dataset *data = NULL;
    put(name, text, strlen(text));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const struct pare_data_spec spec = {.from = path};
    ck_assert_ok(pare_dataset_open(&spec, &model, &data, &err), err);
    return data;
}

/* All outputs of one whole text. */
static float *outputs_of(const int32_t *ids, uint32_t n)
{
    struct pare_graph *own;
    struct pare_plan *plan;
    const struct pare_plan_options o = {.batch = 1, .threads = 1, .isa = -1};
    float in[64];
    for (uint32_t i = 0; i < n; i++)
        in[i] = (float)ids[i];
    ck_assert_ok(pare_graph_copy(model.graph, &own, &err), err);
    ck_assert_ok(pare_graph_set_length(own, n, &err), err);
    float *out = pare_alloc(pare_graph_outputs(own), sizeof *out);
    ck_assert_ok(pare_plan_new(own, &o, &plan, &err), err);
    ck_assert_ok(pare_plan_run(plan, in, 1, out, &err), err);
    pare_plan_free(plan);
    pare_graph_free(own);
    return out;
}

static double log_softmax(const float *logits, uint32_t n, uint32_t at)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i]);
    return (double)logits[at] - log(sum);
}

/* ---- files ---- */

START_TEST(files_are_read)
{
    static const struct {
        const char *name, *text;
        enum pare_task task;
        uint32_t n, line;
        const char *first, *second;
        uint32_t label;
        double score;
    } cases[] = {
        {"x.tsv", "text\tlabel\na b\t1\n\nc\tBAD\r\n", PARE_TASK_CLASSES, 2, 4, "c", NULL, 0, 0},
        {"x.tsv", "\xEF\xBB\xBFid\tsentence1\tlabel\tsentence2\n7\ta\tvery_good\t\n",
         PARE_TASK_CLASSES, 1, 2, "a", "", 1, 0},
        {"x.tsv", "score\ttext\ttext2\n-2.5e-1\t\"a\tb\"\n", PARE_TASK_SIMILARITY, 1, 2, "\"a",
         "b\"", 0, -0.25},
        {"x.jsonl", "{\"label\": 1, \"text\": \"\\u00e9\", \"more\": {\"text\": 1}}\n",
         PARE_TASK_CLASSES, 1, 1, "\xC3\xA9", NULL, 1, 0},
        {"x.jsonl",
         "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"similarity\": 3, \"label\": null}",
         PARE_TASK_SIMILARITY, 1, 1, "a", "b", 0, 3},
        {"x.jsonl",
         "{\"query\": \"a\", \"choices\": [\"b\", \"c\"], \"gold\": \"1\"}\n \n"
         "{\"query\": \"a\", \"choices\": [\"b\", \"c\", \"d\"], \"gold\": \"C\"}\n",
         PARE_TASK_CHOICES, 2, 3, "a", NULL, 2, 0},
    };
    use_bert(2);
    for (size_t c = 0; c < PARE_COUNT(cases); c++) {
        struct pare_records r;
        ck_assert_ok(pare_records_parse(cases[c].name, cases[c].text, strlen(cases[c].text), &model,
                                        &r, &err),
                     err);
        const struct pare_record *last = &r.items[r.n - 1];
        ck_assert_int_eq(r.task, cases[c].task);
        ck_assert_uint_eq(r.n, cases[c].n);
        ck_assert_uint_eq(last->line, cases[c].line);
        ck_assert_str_eq(last->text, cases[c].first);
        ck_assert_pstr_eq(last->second, cases[c].second);
        ck_assert_uint_eq(last->label, cases[c].label);
        ck_assert(last->score == cases[c].score);
        pare_records_free(&r);
    }
}
END_TEST

START_TEST(mistakes_have_places)
{
    static const struct {
        const char *name, *text, *what, *more; /* more: in the detail or hint */
    } cases[] = {
        {"x.jsonl", "{\"text\": \"a\", \"label\": 0}\n{\"text\": \"\xC3\xA9\", \"label\": 2}\n",
         "x.jsonl:2:15: 'label' is out of range", "2 classes"},
        {"x.jsonl", "{\"text\": \"a\", \"label\": -1}", "x.jsonl:1:15: 'label' is out of range",
         ""},
        {"x.jsonl", "{\"text\": \"a\", \"label\": \"goood\"}",
         "x.jsonl:1:15: 'label' names no class", "bad, Very good"},
        {"x.jsonl", "{\"text\": \"a\", \"label\": 0.5}", "x.jsonl:1:15: 'label' is neither", ""},
        {"x.jsonl", "{\"text\": \"label\", \"label\" : []}", "x.jsonl:1:19: 'label' is neither",
         ""},
        {"x.jsonl", "{\"text\": 1, \"label\": 0}", "x.jsonl:1:2: 'text' is no text", ""},
        {"x.jsonl", "{\"text\": \"a\", \"label\": 0}\n{\"label\": 0}",
         "x.jsonl:2:1: a key is missing", "text, sentence"},
        {"x.jsonl", "{\"text\": \"a\"}", "x.jsonl:1:1: there is no label", "text and label"},
        {"x.jsonl", "{\"text\": \"a\", \"text2\": \"b\", \"label\": 0, \"score\": 1}",
         "x.jsonl:1:1: there are both", "leave"},
        {"x.jsonl", "{\"text\": \"a\", \"query\": \"b\", \"label\": 0}", "x.jsonl:1:15: two keys",
         ""},
        {"x.jsonl", "{\"text\": \"a\",, \"label\": 0}", "x.jsonl:1:14: this is no JSON", ""},
        {"x.jsonl", "{\"label\": 0, \"label\": 1, \"text\": \"a\"}", "this is no JSON",
         "duplicate"},
        {"x.jsonl", "[1]\n", "x.jsonl:1:1: a line is one object", ""},
        {"x.jsonl", "{\"text\": \"a\xFF\", \"label\": 0}", "x.jsonl:1:12: this is no text in UTF-8",
         "iconv"},
        {"x.jsonl", "", "x.jsonl:1:1: the file has no samples", ""},
        {"x.jsonl", "{\"query\": \"a\", \"choices\": [\"b\"], \"gold\": 0}",
         "x.jsonl:1:16: 'choices' is no list of two", ""},
        {"x.jsonl", "{\"query\": \"a\", \"choices\": [\"b\", \"\"], \"gold\": 0}",
         "x.jsonl:1:16: 'choices' has an empty one", ""},
        {"x.jsonl", "{\"query\": \"a\", \"choices\": [\"b\", \"c\"], \"gold\": \"C\"}",
         "x.jsonl:1:39: 'gold' is none of the choices", "from 0"},
        {"x.jsonl", "{\"text\": \"a\", \"text2\": \"b\", \"score\": \"x\"}",
         "x.jsonl:1:29: 'score' is no number", ""},
        {"x.tsv", "a\tb\n", "x.tsv:1:1: the first line is no header", "text and label"},
        {"x.tsv", "text\tlabel\ttext\n", "x.tsv:1:12: the header has a column twice", ""},
        {"x.tsv", "text\tlabel\na\n", "x.tsv:2:2: the line has fewer columns", "1 of 2"},
        {"x.tsv", "text\tlabel\na\t0\tb\n", "x.tsv:2:5: the line has more columns", ""},
        {"x.tsv", "text\tlabel\na\tgood\n", "x.tsv:2:3: 'label' names no class", ""},
        {"x.tsv", "text\ttext2\tscore\na\tb\t1e999\n", "x.tsv:2:5: 'score' is no number", ""},
        {"x.tsv", "text\tlabel\n", "x.tsv:2:1: the file has no samples", ""},
    };
    use_bert(2);
    for (size_t c = 0; c < PARE_COUNT(cases); c++) {
        struct pare_records r;
        const int rc = pare_records_parse(cases[c].name, cases[c].text, strlen(cases[c].text),
                                          &model, &r, &err);
        ck_assert_msg(rc == PARE_INVALID && strstr(err.what, cases[c].what), "case %zu: %d %s", c,
                      rc, err.what);
        ck_assert_msg(strstr(err.detail, cases[c].more) || strstr(err.hint, cases[c].more),
                      "case %zu: %s %s", c, err.detail, err.hint);
    }
    const size_t size = (1 << 20) + 2;
    char *text = pare_alloc(size, 1);
    struct pare_records r;
    memset(text, 'x', size);
    ck_assert_int_eq(pare_records_parse("x.jsonl", text, size, &model, &r, &err), PARE_INVALID);
    ck_assert_str_eq(err.what, "x.jsonl:1:1: the line is too long");
    memcpy(text, "text\tlabel\na\0b\t0\n", 17); /* a NUL */
    ck_assert_int_eq(pare_records_parse("x.tsv", text, 17, &model, &r, &err), PARE_INVALID);
    ck_assert_str_eq(err.what, "x.tsv:2:2: this is no text in UTF-8");
    free(text);
}
END_TEST

/* ---- classes ---- */

static const char pairs[] = "text\ttext2\tlabel\n"
                            "abc\tde\tbad\n"
                            "a\tg\t1\n"
                            "gfedcbagfedcba\tabcdef\t0\n"            /* 23 tokens */
                            "gfedcbagfedcbaaaaaa\tabcdef\t1\n"       /* 28: the first loses 4 */
                            "abcdefgabcdefgabc\tggggggggggggg\t0\n"; /* 33: both are cut */

/* Ids of what is left of each, by hand: [CLS] A [SEP] B [SEP]. */
static uint32_t by_hand(const char *a, uint32_t n_a, const char *b, uint32_t n_b, int32_t *ids)
{
    uint32_t n = 0;
    ids[n++] = 0;
    for (uint32_t i = 0; i < n_a; i++)
        ids[n++] = a[i] - 'a' + 3;
    ids[n++] = 2;
    for (uint32_t i = 0; b && i < n_b; i++)
        ids[n++] = b[i] - 'a' + 3;
    if (b)
        ids[n++] = 2;
    return n;
}

START_TEST(classes_as_whole_texts_say)
{
    static const struct {
        const char *a, *b;
        uint32_t n_a, n_b;
        uint32_t label;
    } wanted[] = {{"abc", "de", 3, 2, 0},
                  {"a", "g", 1, 1, 1},
                  {"gfedcbagfedcba", "abcdef", 14, 6, 0},
                  {"gfedcbagfedcbaa", "abcdef", 15, 6, 1},
                  {"abcdefgabcdefgabc", "ggggggggggggg", 11, 10, 0}};
    static const uint32_t some[] = {1, 4};
    struct pare_outcomes o, part;
    use_bert(2);
    struct pare_dataset *data = open_data("pairs.tsv", pairs);
    ck_assert_int_eq(pare_dataset_task(data), PARE_TASK_CLASSES);
    ck_assert(pare_dataset_has_labels(data));
    ck_assert_ptr_nonnull(strstr(pare_dataset_note(data), "2 of 5 samples are longer"));
    ck_assert_ok(pare_evaluate(model.graph, data, 3, 2, NULL, NULL, &o, &err), err);
    ck_assert_uint_eq(o.n, 5);
    uint32_t correct = 0;
    for (uint32_t i = 0; i < o.n; i++) {
        int32_t ids[64];
        const uint32_t n = by_hand(wanted[i].a, wanted[i].n_a, wanted[i].b, wanted[i].n_b, ids);
        const struct pare_sequence s = pare_sequences_part(pare_dataset_sequences(data), i, 0);
        ck_assert_uint_eq(s.n, n);
        ck_assert_mem_eq(s.ids, ids, n * sizeof *ids);
        float *logits = outputs_of(ids, n);
        ck_assert_uint_eq(o.target[i], wanted[i].label);
        ck_assert_uint_eq(o.predicted[i], logits[1] > logits[0]);
        ck_assert(fabs((double)o.nll[i] + log_softmax(logits, 2, wanted[i].label)) < 1e-5);
        correct += o.predicted[i] == wanted[i].label;
        free(logits);
    }
    ck_assert_uint_eq(o.correct, correct);
    struct pare_evaluation e = {.graph = model.graph,
                                .data = data,
                                .batch = 7,
                                .threads = 1,
                                .samples = some,
                                .n_samples = 2};
    ck_assert_ok(pare_evaluate_part(&e, &part, &err), err);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert(memcmp(&part.nll[i], &o.nll[some[i]], sizeof *o.nll) == 0);
        ck_assert_uint_eq(part.target[i], o.target[some[i]]);
    }
    pare_outcomes_free(&part);
    pare_outcomes_free(&o);
    pare_dataset_close(data);
}
END_TEST

/* ---- choices ---- */

START_TEST(choices_as_whole_texts_say)
{
    /* ids: the whole, and where the choice begins; the join gets a space, and " b" is one token */
    static const struct {
        int32_t ids[48];
        uint32_t n, first, bytes;
    } wanted[] = {
        {{0, 3, 5, 2, 6}, 5, 3, 2},        /* "ac" "bd" -> "ac bd" */
        {{0, 3, 5, 10, 7, 8, 9}, 7, 3, 3}, /* "efg" */
        {{0, 3, 5, 2}, 4, 3, 1},           /* "b" */
        {{0, 5, 10, 3}, 4, 2, 1},          /* "c " "a": the space is the choice's */
        {{0, 5, 2, 4, 4, 4}, 6, 2, 4},     /* "c " "bbbb" */
        {{0, 6}, 2, 1, 1},                 /* "" "d" */
        {{0, 7, 3}, 3, 1, 2},              /* "" "ea" */
    };
    static const uint32_t starts[] = {0, 3, 5, 7};
    struct pare_outcomes o;
    uint32_t correct = 0, normalised = 0;
    use_llama();
    struct pare_dataset *data = open_data(
        "x.jsonl",
        "{\"context\": \"ac\", \"choices\": [\"bd\", \"efg\", \"b\"], \"answer\": \"B\"}\n"
        "{\"context\": \"c \", \"choices\": [\"a\", \"bbbb\"], \"answer\": 1}\n"
        "{\"context\": \"\", \"choices\": [\"d\", \"ea\"], \"answer\": 0}\n");
    static const uint32_t targets[] = {1, 1, 0};
    ck_assert_int_eq(pare_dataset_task(data), PARE_TASK_CHOICES);
    ck_assert_str_eq(pare_dataset_note(data), "");
    ck_assert_ok(pare_evaluate(model.graph, data, 8, 2, NULL, NULL, &o, &err), err);
    for (uint32_t i = 0; i < 3; i++) {
        double sums[3], total = 0;
        uint32_t best = 0, per_byte = 0;
        ck_assert_uint_eq(pare_sequences_parts(pare_dataset_sequences(data), i),
                          starts[i + 1] - starts[i]);
        for (uint32_t k = 0; k < starts[i + 1] - starts[i]; k++) {
            const struct pare_sequence s = pare_sequences_part(pare_dataset_sequences(data), i, k);
            const uint32_t w = starts[i] + k;
            ck_assert_uint_eq(s.n, wanted[w].n);
            ck_assert_uint_eq(s.first, wanted[w].first);
            ck_assert_uint_eq(s.bytes, wanted[w].bytes);
            ck_assert_mem_eq(s.ids, wanted[w].ids, s.n * sizeof *s.ids);
            float *logits = outputs_of(s.ids, s.n);
            sums[k] = 0;
            for (uint32_t t = s.first; t < s.n; t++)
                sums[k] += log_softmax(logits + (size_t)(t - 1) * 11, 11, (uint32_t)s.ids[t]);
            free(logits);
            total += exp(sums[k]);
            best = sums[k] > sums[best] ? k : best;
            per_byte = sums[k] / s.bytes > sums[per_byte] / wanted[starts[i] + per_byte].bytes
                           ? k
                           : per_byte;
        }
        ck_assert_uint_eq(o.target[i], targets[i]);
        ck_assert_uint_eq(o.predicted[i], best);
        ck_assert_uint_eq(o.normalised[i], per_byte);
        ck_assert(fabs((double)o.nll[i] - (log(total) - sums[targets[i]])) < 1e-4);
        correct += best == targets[i];
        normalised += per_byte == targets[i];
    }
    ck_assert_uint_eq(o.correct, correct);
    ck_assert_uint_eq(o.correct_normalised, normalised);
    pare_outcomes_free(&o);
    pare_dataset_close(data);
}
END_TEST

START_TEST(contexts_lose_their_beginning)
{
    struct pare_dataset *data;
    struct pare_outcomes o;
    char line[512], letters[46] = "";
    use_llama(); /* reads 40 tokens */
    memset(letters, 'c', 45);
    letters[1] = 'd';
    letters[4] = 'e';
    letters[45] = '\0';
    snprintf(line, sizeof line,
             "{\"context\": \"%s\", \"choices\": [\"bde\", \"f\"], \"answer\": 0}", letters);
    data = open_data("x.jsonl", line);
    ck_assert_ptr_nonnull(strstr(pare_dataset_note(data), "1 of 1 samples are longer"));
    const struct pare_sequence s = pare_sequences_part(pare_dataset_sequences(data), 0, 0);
    ck_assert_uint_eq(s.n, 41); /* 38 of the context, 3 of the choice, of which one is not read */
    ck_assert_uint_eq(s.first, 38);
    ck_assert_uint_eq(pare_sequences_longest(pare_dataset_sequences(data)), 40);
    ck_assert_ok(pare_evaluate(model.graph, data, 8, 1, NULL, NULL, &o, &err), err);
    double sum[2];
    for (uint32_t k = 0; k < 2; k++) {
        const struct pare_sequence x = pare_sequences_part(pare_dataset_sequences(data), 0, k);
        float *logits = outputs_of(x.ids, x.n - 1);
        sum[k] = 0;
        for (uint32_t t = x.first; t < x.n; t++)
            sum[k] += log_softmax(logits + (size_t)(t - 1) * 11, 11, (uint32_t)x.ids[t]);
        free(logits);
    }
    ck_assert(fabs((double)o.nll[0] - (log(exp(sum[0]) + exp(sum[1])) - sum[0])) < 1e-4);
    pare_outcomes_free(&o);
    pare_dataset_close(data);
    /* a choice that leaves no room for what comes before it */
    snprintf(line, sizeof line,
             "\n{\"context\": \"a\", \"choices\": [\"%s\", \"f\"], \"answer\": 0}", letters);
    put("y.jsonl", line, strlen(line));
    snprintf(path, sizeof path, "%s/y.jsonl", folder);
    const struct pare_data_spec spec = {.from = path};
    ck_assert_int_eq(pare_dataset_open(&spec, &model, &data, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "y.jsonl:2:1: a choice does not fit"));
}
END_TEST

/* ---- similarity ---- */

START_TEST(similarity_as_whole_texts_say)
{
    static const char *const texts[][2] = {{"abc", "abd"}, {"gg", "abcdef"}, {"e", "e"}};
    struct pare_outcomes o;
    use_bert(0);
    struct pare_dataset *data =
        open_data("sts.jsonl", "{\"sentence1\": \"abc\", \"sentence2\": \"abd\", \"score\": 4.5}\n"
                               "{\"sentence1\": \"gg\", \"sentence2\": \"abcdef\", \"score\": 0}\n"
                               "{\"sentence1\": \"e\", \"sentence2\": \"e\", \"score\": 5}\n");
    ck_assert_int_eq(pare_dataset_task(data), PARE_TASK_SIMILARITY);
    ck_assert_ok(pare_evaluate(model.graph, data, 2, 2, NULL, NULL, &o, &err), err);
    for (uint32_t i = 0; i < 3; i++) {
        double ab = 0, aa = 0, bb = 0;
        float *x[2];
        for (int k = 0; k < 2; k++) {
            int32_t ids[64];
            x[k] =
                outputs_of(ids, by_hand(texts[i][k], (uint32_t)strlen(texts[i][k]), NULL, 0, ids));
        }
        for (uint32_t c = 0; c < 16; c++) {
            ab += (double)x[0][c] * (double)x[1][c];
            aa += (double)x[0][c] * (double)x[0][c];
            bb += (double)x[1][c] * (double)x[1][c];
        }
        ck_assert(fabs((double)o.similarity[i] - ab / sqrt(aa * bb)) < 1e-5);
        free(x[0]);
        free(x[1]);
    }
    ck_assert(o.score[0] == 4.5 && o.score[1] == 0 && o.score[2] == 5);
    ck_assert(fabs((double)o.similarity[2] - 1) < 1e-6);
    pare_outcomes_free(&o);
    pare_dataset_close(data);
}
END_TEST

START_TEST(only_for_models_that_can)
{
    static const struct {
        uint32_t classes; /* 99: predicts tokens */
        const char *name, *text, *hint;
    } cases[] = {
        {0, "a.tsv", "text\tlabel\na\t0\n", "this one gives embeddings"},
        {2, "b.tsv", "text\ttext2\tscore\na\tb\t0\n", "this one gives classes"},
        {99, "c.tsv", "text\tlabel\na\t0\n", "this one gives next tokens"},
        {2, "d.jsonl", "{\"query\": \"a\", \"choices\": [\"b\", \"c\"], \"gold\": 0}",
         "this one gives classes"},
    };
    for (size_t c = 0; c < PARE_COUNT(cases); c++) {
        struct pare_dataset *data = NULL;
        if (cases[c].classes == 99)
            use_llama();
        else
            use_bert(cases[c].classes);
        put(cases[c].name, cases[c].text, strlen(cases[c].text));
        snprintf(path, sizeof path, "%s/%s", folder, cases[c].name);
        struct pare_data_spec spec = {.from = path};
        ck_assert_int_eq(pare_dataset_open(&spec, &model, &data, &err), PARE_INVALID);
        ck_assert_msg(strstr(err.hint, cases[c].hint), "case %zu: %s %s", c, err.what, err.hint);
        pare_graph_free(model.graph);
        model.graph = NULL;
    }
}
END_TEST

/* ---- which samples ---- */

START_TEST(folders_have_splits_and_labels_count)
{
    struct pare_dataset *a, *b;
    struct pare_data_spec spec = {.from = folder, .split = "dev", .skip = 1, .samples = 1};
    use_bert(2);
    put("dev.tsv", "text\tlabel\na\t0\nb\t1\nc\t0\n", 23);
    ck_assert_ok(pare_dataset_open(&spec, &model, &a, &err), err);
    ck_assert_uint_eq(pare_dataset_size(a), 1);
    ck_assert_uint_eq(pare_dataset_label(a, 0), 1);
    spec = (struct pare_data_spec){.from = folder, .split = "train"};
    put("train.jsonl", "{\"text\": \"b\", \"label\": 1}", 25);
    ck_assert_ok(pare_dataset_open(&spec, &model, &b, &err), err);
    ck_assert_str_eq(pare_dataset_hash(a), pare_dataset_hash(b)); /* the same text and label */
    pare_dataset_close(b);
    put("train.jsonl", "{\"text\": \"b\", \"label\": 0}", 25);
    ck_assert_ok(pare_dataset_open(&spec, &model, &b, &err), err);
    ck_assert_str_ne(pare_dataset_hash(a), pare_dataset_hash(b));
    float ids[64];
    uint32_t label;
    ck_assert_int_eq(pare_dataset_read(b, 0, 1, ids, &label, &err), PARE_INVALID);
    pare_dataset_close(b);
    pare_dataset_close(a);
    spec = (struct pare_data_spec){.from = folder};
    ck_assert_int_eq(pare_dataset_open(&spec, &model, &b, &err), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(err.what, "several texts"));
    spec = (struct pare_data_spec){.from = folder, .split = "dev", .window = 8};
    ck_assert_int_eq(pare_dataset_open(&spec, &model, &b, &err), PARE_INVALID);
}
END_TEST

/* ---- Spearman's rho ---- */

/* By the definition: Pearson's correlation of average ranks. */
static double plain_rho(const float *x, const double *y, size_t n, size_t without)
{
    double aa = 0, bb = 0, ab = 0, m = 0, rank[2][64];
    for (size_t i = 0; i < n; i++) {
        rank[0][i] = rank[1][i] = 0;
        for (size_t k = 0; k < n; k++) {
            if (k == without)
                continue;
            rank[0][i] += (x[k] < x[i]) + 0.5 * (x[k] == x[i]);
            rank[1][i] += (y[k] < y[i]) + 0.5 * (y[k] == y[i]);
        }
        m += i != without ? 1 : 0;
    }
    for (size_t i = 0; i < n; i++) {
        const double a = rank[0][i] - m / 2, b = rank[1][i] - m / 2;
        aa += i == without ? 0 : a * a;
        bb += i == without ? 0 : b * b;
        ab += i == without ? 0 : a * b;
    }
    return ab / sqrt(aa * bb);
}

START_TEST(spearman_with_ties)
{
    /* numpy.corrcoef of the ranks (ranks 1 2.5 2.5 4 5 6.5 6.5 8, 2 2 2 5.5 4 5.5 8 7) */
    static const float x[] = {1, 2, 2, 3, 5, 7, 7, 9};
    static const double y[] = {0, 0, 0, 4, 3, 4, 9, 8};
    struct pare_interval rho;
    ck_assert_ok(pare_spearman(x, y, 8, &rho, NULL, &err), err);
    ck_assert(fabs(rho.value - plain_rho(x, y, 8, SIZE_MAX)) < 1e-12);
    ck_assert(fabs(rho.value - 0.888352993153387) < 1e-12);
    ck_assert(rho.lo < rho.value && rho.value < rho.hi && rho.hi <= 1);
    static const double same[] = {1, 1, 1};
    float part[3] = {0};
    ck_assert_ok(pare_spearman(x, same, 3, &rho, part, &err), err);
    ck_assert(isnan(rho.value) && isnan(rho.lo) && isnan(part[0]));
    ck_assert_ok(pare_spearman(x, y, 2, &rho, NULL, &err), err);
    ck_assert(isnan(rho.value));
}
END_TEST

START_TEST(spearman_parts_are_the_jackknife)
{
    enum { N = 50 };
    struct pare_random r;
    float x[N], part[N];
    double y[N], without[N], mean = 0, sum = 0;
    struct pare_interval rho;
    pare_random_seed(&r, 3);
    for (int i = 0; i < N; i++) {
        x[i] = (float)pare_random_below(&r, 15);
        y[i] = (double)x[i] + (double)pare_random_below(&r, 20);
    }
    ck_assert_ok(pare_spearman(x, y, N, &rho, part, &err), err);
    ck_assert(fabs(rho.value - plain_rho(x, y, N, SIZE_MAX)) < 1e-12);
    for (int i = 0; i < N; i++) {
        without[i] = plain_rho(x, y, N, (size_t)i);
        mean += without[i] / N;
        sum += (double)part[i] / N;
    }
    ck_assert(fabs(sum - rho.value) < 1e-6);
    for (int i = 0; i < N; i++)
        ck_assert(fabs((double)part[i] - (rho.value + (N - 1) * (mean - without[i]))) < 1e-5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("labelled");
    TCase *tc = pare_test_case(suite, "texts");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, files_are_read);
    tcase_add_test(tc, mistakes_have_places);
    tcase_add_test(tc, classes_as_whole_texts_say);
    tcase_add_test(tc, choices_as_whole_texts_say);
    tcase_add_test(tc, contexts_lose_their_beginning);
    tcase_add_test(tc, similarity_as_whole_texts_say);
    tcase_add_test(tc, only_for_models_that_can);
    tcase_add_test(tc, folders_have_splits_and_labels_count);
    tc = pare_test_case(suite, "spearman");
    tcase_add_test(tc, spearman_with_ties);
    tcase_add_test(tc, spearman_parts_are_the_jackknife);
    return pare_test_main(&suite, 1);
}
