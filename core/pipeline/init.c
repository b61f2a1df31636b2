/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/init.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define CALIBRATION 256ULL /* what the calibrated methods are commonly given */
#define LEAST_TOTAL 64ULL

/* Text in double quotes: a path may hold anything. */
static void quoted(struct pare_str *s, const char *text)
{
    pare_str_append(s, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            pare_str_printf(s, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            pare_str_printf(s, "\\x%02x", (unsigned char)*text);
        else
            pare_str_append_n(s, text, 1);
    }
    pare_str_append(s, "\"");
}

/* The first of some usual names among the splits; PARE_COUNT-like `n` when there is none. */
static size_t split_named(const struct pare_init_split *splits, size_t n, const char *const *names,
                          size_t n_names)
{
    for (size_t k = 0; k < n_names; k++) {
        for (size_t i = 0; i < n; i++) {
            if (splits[i].name && !strcmp(splits[i].name, names[k]))
                return i;
        }
    }
    return n;
}

static void entry(struct pare_str *s, const char *key, const char *data,
                  const struct pare_init_split *split, unsigned long long skip,
                  unsigned long long samples, const char *comment)
{
    pare_str_printf(s, "  %s: {from: ", key);
    quoted(s, data);
    if (split->name) {
        pare_str_append(s, ", split: ");
        quoted(s, split->name);
    }
    if (skip)
        pare_str_printf(s, ", skip: %llu", skip);
    pare_str_printf(s, ", samples: %llu}  # %s\n", samples, comment);
}

/* Which samples serve what. Three quarters of the rest to choose on, a quarter to confirm. */
static void data_entries(struct pare_str *s, const char *data, const struct pare_init_split *splits,
                         size_t n)
{
    static const char *const to_calibrate[] = {"calibration", "calib", "train", "training"};
    static const char *const to_evaluate[] = {"test", "val", "validation", "valid", "eval"};
    size_t e = split_named(splits, n, to_evaluate, PARE_COUNT(to_evaluate));
    size_t c = split_named(splits, n, to_calibrate, PARE_COUNT(to_calibrate));
    e = e < n ? e : (c == 0 && n > 1 ? 1 : 0);
    c = c < n ? c : e;
    unsigned long long from = 0, total = splits[e].samples;
    unsigned long long calibration = PARE_MIN(CALIBRATION, splits[c].samples);
    if (c == e) {
        calibration = PARE_MIN(CALIBRATION, total / 4);
        from = calibration;
    }
    unsigned long long choose = (total - from) * 3 / 4;
    entry(s, "calibrate", data, &splits[c], 0, calibration, "what the methods look at");
    entry(s, "evaluate", data, &splits[e], from, choose, "what variants are compared on");
    entry(s, "confirm", data, &splits[e], from + choose, total - from - choose,
          "only the baseline and the chosen, after choosing");
}

static const char *const head = "# yaml-language-server: $schema=.pare/schema.json\n"
                                "# Paths are relative to this file. `pare plan FILE` shows what "
                                "would run, `pare run FILE` does it.\n"
                                "pare: 1\n";

static const char *const body =
    "stages:                       # in order; a list tries each value, `optional` also tries "
    "without\n"
    "  - {id: drop, plugin: layer-drop, optional: true, with: {score: cosine, count: [1, 2]}}\n"
    "  - {id: merge, plugin: token-merge, optional: true, with: {r: [2, 4]}}\n"
    "  - id: quant\n"
    "    plugin: quantize\n"
    "    optional: true\n"
    "    try:                      # values that belong together\n"
    "      - {bits: 8, activations: int8}\n"
    "      - {bits: 4, group_size: 32}\n"
    "# exclude: [{drop.count: 2, quant.bits: 4}]   # combinations not wanted, as STAGE.PARAMETER\n"
    "measure:\n"
    "  top1: {}\n"
    "  latency: {edge: {batch: 1, threads: 1}}     # the first shape is latency_ms\n"
    "select:\n"
    "  objectives: {top1: {tolerance: 0.002}, latency_ms: {tolerance: 1%}, size_bytes: {}}\n"
    "  constraints: [\"top1 >= baseline - 0.01\"]    # 0.01 is one percentage point (1 pp)\n"
    "# search: {racing: true}                      # time first, stop evaluating what is beaten "
    "beyond "
    "doubt\n"
    "limits: {time: 1h, stall: 5min, memory: 80%}  # for each variant\n";

int pare_init_text(const char *name, const char *model, const char *data,
                   const struct pare_init_split *splits, size_t n_splits, char **out,
                   struct pare_error *err)
{
    struct pare_str s = {0};
    unsigned long long total = 0;
    for (size_t i = 0; i < n_splits; i++)
        total += splits[i].samples;
    *out = NULL;
    if (total < LEAST_TOTAL) {
        pare_error_set(err, PARE_INVALID, "'%s' holds %llu samples: too few to divide", data,
                       total);
        pare_error_hint(err, "at least %llu are needed", LEAST_TOTAL);
        return PARE_INVALID;
    }
    pare_str_append(&s, head);
    pare_str_append(&s, "name: ");
    quoted(&s, name);
    pare_str_append(&s, "\nmodel: ");
    quoted(&s, model);
    pare_str_append(&s, "\ndata:\n");
    data_entries(&s, data, splits, n_splits);
    pare_str_append(&s, body);
    *out = pare_str_take(&s);
    return *out ? PARE_OK : pare_error_nomem(err, 0);
}
