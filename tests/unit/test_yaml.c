/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "base/str.h"
#include "pipeline/yaml.h"
#include "select/constraint.h"

static int parse(const char *text, struct pare_diags *diags, struct pare_yaml_tree *tree)
{
    *diags = (struct pare_diags){0};
    return pare_yaml_parse("t.yaml", text, strlen(text), diags, tree);
}

START_TEST(core_scalars)
{
    static const struct {
        const char *text;
        enum pare_yaml_kind kind;
        double number;
    } cases[] = {
        {"4", PARE_YAML_INT, 4},           {"-12", PARE_YAML_INT, -12},
        {"0", PARE_YAML_INT, 0},           {"+3", PARE_YAML_INT, 3},
        {"0.5", PARE_YAML_REAL, 0.5},      {".5", PARE_YAML_REAL, 0.5},
        {"1e-3", PARE_YAML_REAL, 1e-3},    {"2.", PARE_YAML_REAL, 2},
        {"true", PARE_YAML_BOOL, 0},       {"False", PARE_YAML_BOOL, 0},
        {"null", PARE_YAML_NULL, 0},       {"~", PARE_YAML_NULL, 0},
        {"2:4", PARE_YAML_TEXT, 0},        {"yes", PARE_YAML_TEXT, 0},
        {"no", PARE_YAML_TEXT, 0},         {"on", PARE_YAML_TEXT, 0},
        {"2023-05-09", PARE_YAML_TEXT, 0}, {"0755", PARE_YAML_TEXT, 0},
        {"0x10", PARE_YAML_TEXT, 0},       {"0o17", PARE_YAML_TEXT, 0},
        {"1_000", PARE_YAML_TEXT, 0},      {".inf", PARE_YAML_TEXT, 0},
        {".nan", PARE_YAML_TEXT, 0},       {"1e999", PARE_YAML_TEXT, 0},
        {"\"4\"", PARE_YAML_TEXT, 0},      {"'true'", PARE_YAML_TEXT, 0},
        {"80%", PARE_YAML_TEXT, 0},        {"1:30:00", PARE_YAML_TEXT, 0},
        {"-", PARE_YAML_LIST, 0},          {"1-2", PARE_YAML_TEXT, 0},
    };
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_diags d;
        struct pare_yaml_tree tree;
        ck_assert_int_eq(parse(cases[i].text, &d, &tree), PARE_OK);
        ck_assert_msg(tree.root->kind == cases[i].kind, "'%s' is of kind %d", cases[i].text,
                      (int)tree.root->kind);
        if (tree.root->kind == PARE_YAML_INT || tree.root->kind == PARE_YAML_REAL)
            ck_assert_double_eq(tree.root->real, cases[i].number);
        pare_yaml_free(&tree);
        pare_diags_free(&d);
    }
}
END_TEST

START_TEST(marks)
{
    struct pare_diags d;
    struct pare_yaml_tree tree;
    ck_assert_int_eq(parse("a: 1\n\xC3\xA9t\xC3\xA9: [x, {k: val}]\n", &d, &tree), PARE_OK);
    const struct pare_yaml *list = pare_yaml_get(tree.root, "\xC3\xA9t\xC3\xA9");
    ck_assert_ptr_nonnull(list);
    const struct pare_yaml *value = pare_yaml_get(list->items[1], "k");
    ck_assert_uint_eq(value->at.line, 2);
    ck_assert_uint_eq(value->at.column, 14); /* characters, not bytes */
    ck_assert_uint_eq(value->end.column, 17);
    ck_assert_uint_eq(pare_yaml_key(list->items[1], "k")->at.column, 11);
    ck_assert_ptr_null(pare_yaml_get(list, "k"));
    ck_assert_ptr_null(pare_yaml_get(NULL, "k"));
    pare_yaml_free(&tree);
    pare_diags_free(&d);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *text;
        unsigned line, column;
        const char *what;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key 'a'"},
        {"a: {b: 1, b: 2}\n", 1, 11, "duplicate key 'b'"},
        {"a:\n\tb: 1\n", 2, 1, "tab character"},
        {"a: 1 \t# x\n", 1, 6, "tab character"},
        {"a: \xFF\n", 1, 4, "byte 0xff is not UTF-8 text"},
        {"a: \xC0\xAF\n", 1, 4, "byte 0xc0 is not UTF-8 text"},
        {"a: \xED\xA0\x80\n", 1, 4, "byte 0xed is not UTF-8 text"},
        {"a: 1\n---\nb: 2\n", 2, 1, "a second document; one file holds one pipeline"},
        {"", 1, 1, "the file is empty"},
        {"# nothing\n", 1, 1, "the file is empty"},
        {"a: !!int 4\n", 1, 4, "tag 'tag:yaml.org,2002:int': tags have no meaning here"},
        {"a: *b\n", 1, 4, "alias '*b' has no anchor before it"},
        {"a: &a [*a]\n", 1, 8, "alias '*a' has no anchor before it"},
        {"? [x, y]\n: 1\n", 1, 3, "a key must be a single word"},
        {"a: \"x\\0y\"\n", 1, 4, "text holds a zero byte"},
        {"a: [1, 2\nb: 3\n", 2, 2, NULL},
        {"a: 'x\n", 2, 1, NULL},
    };
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_diags d;
        struct pare_yaml_tree tree;
        struct pare_error err;
        parse(cases[i].text, &d, &tree);
        ck_assert_msg(d.n == 1, "'%s' gives %zu messages", cases[i].text, d.n);
        if (cases[i].what)
            ck_assert_str_eq(d.items[0].what, cases[i].what);
        ck_assert_msg(
            d.items[0].at.line == cases[i].line && d.items[0].at.column == cases[i].column,
            "'%s' is told at %u:%u", cases[i].text, d.items[0].at.line, d.items[0].at.column);
        ck_assert_int_eq(pare_diags_status(&d, &err), PARE_INVALID);
        pare_yaml_free(&tree);
        pare_diags_free(&d);
    }
}
END_TEST

START_TEST(deep_and_large)
{
    struct pare_diags d;
    struct pare_yaml_tree tree;
    struct pare_str s = {0};
    for (int i = 0; i < 2000; i++)
        pare_str_append(&s, "[");
    ck_assert_int_eq(parse(s.data, &d, &tree), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(d.items[0].what, "nested deeper than"));
    pare_diags_free(&d);
    pare_str_free(&s);

    /* depth and size by aliases: 10^9 values in ten lines */
    pare_str_append(&s, "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 10; i++) {
        pare_str_printf(&s, "l%d: &l%d [", i, i);
        for (int k = 0; k < 10; k++)
            pare_str_printf(&s, "%s*l%d", k ? ", " : "", i - 1);
        pare_str_append(&s, "]\n");
    }
    ck_assert_int_eq(parse(s.data, &d, &tree), PARE_INVALID);
    ck_assert_ptr_nonnull(strstr(d.items[0].what, "with aliases followed"));
    pare_diags_free(&d);
    pare_str_free(&s);

    char *big = malloc(PARE_YAML_MAX_BYTES + 1);
    memset(big, '#', PARE_YAML_MAX_BYTES + 1);
    d = (struct pare_diags){0};
    ck_assert_int_eq(pare_yaml_parse("b", big, PARE_YAML_MAX_BYTES + 1, &d, &tree), PARE_INVALID);
    free(big);
    pare_diags_free(&d);
}
END_TEST

START_TEST(aliases_share)
{
    struct pare_diags d;
    struct pare_yaml_tree tree;
    ck_assert_int_eq(parse("a: &x {k: [1, 2]}\nb: *x\n", &d, &tree), PARE_OK);
    ck_assert_ptr_eq(pare_yaml_get(tree.root, "a"), pare_yaml_get(tree.root, "b"));
    pare_yaml_free(&tree);
    pare_diags_free(&d);
}
END_TEST

START_TEST(diagnostics_as_text)
{
    struct pare_diags d = {0};
    static const char source[] = "stages:\n  - plugin: prune\n    with: {ratoi: 0.5}\n";
    pare_diags_source(&d, "edge.yaml", source, sizeof source - 1);
    pare_diag_add(&d, (struct pare_mark){3, 12, 0}, (struct pare_mark){3, 17, 0},
                  "unknown parameter '%s' for plugin 'prune'", "ratoi");
    pare_diag_hint(&d, "did you mean '%s'?", "sparsity");
    pare_diag_add(&d, (struct pare_mark){2, 5, 0}, (struct pare_mark){2, 11, 0}, "second");
    pare_diag_note(&d, (struct pare_mark){1, 1, 0}, "see here");
    pare_diag_add(&d, (struct pare_mark){2, 5, 0}, (struct pare_mark){2, 11, 0}, "second");
    pare_diags_sort(&d);
    char *text = pare_diags_text(&d);
    ck_assert_str_eq(text, "edge.yaml:2:5: error: second\n"
                           "    2 |   - plugin: prune\n"
                           "      |     ^~~~~~\n"
                           "edge.yaml:1:1: note: see here\n"
                           "edge.yaml:3:12: error: unknown parameter 'ratoi' for plugin 'prune'\n"
                           "    3 |     with: {ratoi: 0.5}\n"
                           "      |            ^~~~~\n"
                           "hint: did you mean 'sparsity'?\n");
    free(text);
    json_t *json = pare_diags_json(&d);
    char *dump = json_dumps(json_array_get(json, 1), JSON_SORT_KEYS | JSON_COMPACT);
    ck_assert_str_eq(dump,
                     "{\"column\":12,\"end_column\":17,\"end_line\":3,\"file\":\"edge.yaml\","
                     "\"hint\":\"did you mean 'sparsity'?\",\"line\":3,\"message\":"
                     "\"unknown parameter 'ratoi' for plugin 'prune'\",\"severity\":\"error\"}");
    free(dump);
    json_decref(json);
    pare_diags_free(&d);
}
END_TEST

START_TEST(diagnostics_are_capped)
{
    struct pare_diags d = {0};
    pare_diags_source(&d, "x", NULL, 0);
    for (unsigned i = 1; i <= 50; i++)
        pare_diag_add(&d, (struct pare_mark){i, 1, 0}, (struct pare_mark){i, 2, 0}, "bad");
    ck_assert_uint_eq(d.n, PARE_DIAG_MAX);
    ck_assert_uint_eq(d.dropped, 50 - PARE_DIAG_MAX);
    pare_diag_hint(&d, "belongs to a dropped one");
    ck_assert_ptr_null(d.items[PARE_DIAG_MAX - 1].hint);
    char *text = pare_diags_text(&d);
    ck_assert_ptr_nonnull(strstr(text, "30 more errors are not shown"));
    free(text);
    pare_diags_free(&d);
}
END_TEST

START_TEST(control_characters_are_not_echoed)
{
    struct pare_diags d = {0};
    static const char source[] = "a\x1b[31m: 1\n";
    pare_diags_source(&d, "x", source, sizeof source - 1);
    pare_diag_add(&d, (struct pare_mark){1, 1, 0}, (struct pare_mark){1, 2, 0}, "bad");
    char *text = pare_diags_text(&d);
    ck_assert_ptr_null(strchr(text, '\x1b'));
    free(text);
    pare_diags_free(&d);
}
END_TEST

/* ---- constraints ---- */

static const struct pare_metric *known(size_t *n)
{
    return pare_metrics(n);
}

START_TEST(constraints_parse)
{
    static const struct {
        const char *text, *metric;
        bool at_most;
        enum pare_bound bound;
        double value;
    } cases[] = {
        {"top1 >= 0.86", "top1", false, PARE_BOUND_ABSOLUTE, 0.86},
        {"top1>=86%", "top1", false, PARE_BOUND_ABSOLUTE, 0.86},
        {"top1 >= baseline - 0.01", "top1", false, PARE_BOUND_PLUS, -0.01},
        {"top1 >= baseline - 1 pp", "top1", false, PARE_BOUND_PLUS, -0.01},
        {"top1 >= baseline", "top1", false, PARE_BOUND_PLUS, 0},
        {"size_bytes <= 0.5 * baseline", "size_bytes", true, PARE_BOUND_TIMES, 0.5},
        {"size_bytes <= 50% * baseline", "size_bytes", true, PARE_BOUND_TIMES, 0.5},
        {"size_bytes <= 2 MB", "size_bytes", true, PARE_BOUND_ABSOLUTE, 2e6},
        {"size_bytes <= 500kB", "size_bytes", true, PARE_BOUND_ABSOLUTE, 5e5},
        {"size_bytes <= baseline - 1MB", "size_bytes", true, PARE_BOUND_PLUS, -1e6},
        {"latency_ms <= 1.5 s", "latency_ms", true, PARE_BOUND_ABSOLUTE, 1500},
        {"latency_ms <= 20ms", "latency_ms", true, PARE_BOUND_ABSOLUTE, 20},
        {"latency_ms <= baseline - 20%", "latency_ms", true, PARE_BOUND_TIMES, 0.8},
        {"macs <= 1e6", "macs", true, PARE_BOUND_ABSOLUTE, 1e6},
    };
    size_t n;
    const struct pare_metric *all = known(&n);
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        struct pare_constraint c;
        struct pare_error err;
        int rc = pare_constraint_parse(cases[i].text, all, n, &c, NULL, &err);
        ck_assert_msg(rc == PARE_OK, "'%s': %s", cases[i].text, err.what);
        ck_assert_str_eq(c.metric->name, cases[i].metric);
        ck_assert(c.at_most == cases[i].at_most && c.bound == cases[i].bound);
        ck_assert_double_eq_tol(c.value, cases[i].value, 1e-12 * fabs(cases[i].value) + 1e-15);
    }
}
END_TEST

START_TEST(constraints_refused)
{
    static const struct {
        const char *text;
        size_t column;
        const char *what, *hint;
    } cases[] = {
        {"top1 > 0.86", 6, "expected <= or >=, got '>'", "a constraint is"},
        {"top1 >= ", 9, "expected a number, got the end", "a constraint is"},
        {"top1 >= baseline * 0.5", 18, "expected + or - and a number, got '*'", "a constraint is"},
        {"size_bytes <= 0.5 x baseline", 19, "expected bytes, kB, MB or GB, got 'x'", ""},
        {"size_bytes <= 0.5 \xC3\x97 baseline", 19, "expected the end, got '\xC3\x97'", ""},
        {"size_bytes <= 5 ms", 17, "expected bytes, kB, MB or GB, got 'ms'", ""},
        {"size_bytes <= 50%", 18, "expected '* baseline' after %, got the end", ""},
        {"top1 >= baseline - 1%", 20, "expected pp (percentage points), got '1%'",
         "0.99 * baseline"},
        {"1 ms * baseline", 1, "unknown metric '1'", ""},
        {"latency_ms <= 1 ms * baseline", 15,
         "expected a plain number before '* baseline', got '1'", ""},
        {"top1 >= 0.5 0.6", 13, "expected a fraction (or %, pp), got '0.6'", ""},
        {"top1 >= 1.2.3", 9, "expected a number, got '1.2.3'", ""},
        {"", 1, "expected a metric, got the end", ""},
    };
    size_t n, column;
    const struct pare_metric *all = known(&n);
    struct pare_constraint c;
    struct pare_error err;
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        int rc = pare_constraint_parse(cases[i].text, all, n, &c, &column, &err);
        ck_assert_msg(rc != PARE_OK, "'%s' was accepted", cases[i].text);
        ck_assert_str_eq(err.what, cases[i].what);
        ck_assert_msg(column == cases[i].column, "'%s' is wrong at %zu", cases[i].text, column);
        ck_assert_ptr_nonnull(strstr(err.hint, cases[i].hint));
    }
    ck_assert_int_eq(pare_constraint_parse("  latencyms <= 3", all, n, &c, &column, &err),
                     PARE_NOT_FOUND);
    ck_assert_uint_eq(column, 3);
    ck_assert_ptr_eq(strstr(err.hint, "did you mean 'latency_ms'? there are top1, "), err.hint);
}
END_TEST

START_TEST(constraints_hold)
{
    size_t n;
    const struct pare_metric *all = known(&n);
    struct pare_constraint c;
    struct pare_error err;
    ck_assert_ok(pare_constraint_parse("top1 >= baseline - 0.01", all, n, &c, NULL, &err), err);
    ck_assert(pare_constraint_holds(&c, 0.86, 0.865));
    ck_assert(!pare_constraint_holds(&c, 0.85, 0.865));
    ck_assert_ok(pare_constraint_parse("size_bytes <= 0.5 * baseline", all, n, &c, NULL, &err),
                 err);
    ck_assert_double_eq(pare_constraint_limit(&c, 1000), 500);
    ck_assert(pare_constraint_holds(&c, 500, 1000) && !pare_constraint_holds(&c, 501, 1000));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("yaml");
    TCase *tc = pare_test_case(s, "yaml");
    tcase_add_test(tc, core_scalars);
    tcase_add_test(tc, marks);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, deep_and_large);
    tcase_add_test(tc, aliases_share);
    tcase_add_test(tc, diagnostics_as_text);
    tcase_add_test(tc, diagnostics_are_capped);
    tcase_add_test(tc, control_characters_are_not_echoed);
    tcase_add_test(tc, constraints_parse);
    tcase_add_test(tc, constraints_refused);
    tcase_add_test(tc, constraints_hold);
    return pare_test_main(&s, 1);
}
