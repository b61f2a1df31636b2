/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/init.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* What is measured goes by what samples are for; the first metric is chosen by. */
static const struct kind {
    unsigned long long least; /* samples of the split that variants are compared on */
    bool writes;              /* token by token: its phases are timed, its cache rounded */
    bool races;               /* right and wrong answers tell early what is beaten */
    const char *metrics[3], *tolerance, *limit;
} kinds[] = {
    [PARE_TASK_CLASSES] = {64, false, true, {"top1"}, "0.002", ">= baseline - 0.01"},
    [PARE_TASK_WINDOWS] =
        {8, true, false, {"perplexity", "kl", "agreement"}, "0.5%", "<= 1.1 * baseline"},
    [PARE_TASK_CHOICES] = {64, true, true, {"top1", "acc_norm"}, "0.002", ">= baseline - 0.01"},
    [PARE_TASK_SIMILARITY] = {64, false, false, {"spearman"}, "0.002", ">= baseline - 0.01"},
};

/* What goes by what samples are. */
static const struct form {
    unsigned long long calibration; /* what the calibrated methods are commonly given */
    const char *quantize[2];        /* values to try; those of texts fit into GGUF */
} forms[] = {{256, {"{bits: 8, activations: int8}", "{bits: 4, group_size: 32}"}},
             {16,
              {"{bits: 8, group_size: 32, activations: int8}",
               "{bits: 4, group_size: 32, activations: int8}"}}};

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

static void quoted_key(struct pare_str *s, const char *key, const char *text)
{
    pare_str_append(s, key);
    quoted(s, text);
}

static bool is_plain(const struct pare_init *in, const struct pare_split *split)
{
    return in->texts && split->task == PARE_TASK_WINDOWS;
}

/* ---- which samples serve what ---- */

/* The split with the first of some usual names; NULL: none. */
static const struct pare_split *split_named(const struct pare_init *in, const char *const *names,
                                            size_t n_names)
{
    for (size_t k = 0; k < n_names; k++) {
        for (size_t i = 0; i < in->n_splits; i++) {
            if (strcmp(in->splits[i].name, names[k]) == 0)
                return &in->splits[i];
        }
    }
    return NULL;
}

/* `*calibrate` is NULL where there is nothing to calibrate on. */
static void choose_splits(const struct pare_init *in, const struct pare_split **evaluate,
                          const struct pare_split **calibrate)
{
    static const char *const to_calibrate[] = {"calibration", "calib", "train", "training"};
    static const char *const to_evaluate[] = {"test", "val", "validation", "valid", "eval"};
    const struct pare_split *c = split_named(in, to_calibrate, PARE_COUNT(to_calibrate));
    const struct pare_split *e = split_named(in, to_evaluate, PARE_COUNT(to_evaluate));
    if (!e)
        e = c == in->splits && in->n_splits > 1 ? &in->splits[1] : in->splits;
    c = c ? c : e;
    *evaluate = e;
    *calibrate = in->texts && !is_plain(in, c) ? NULL : c;
}

static void entry(struct pare_str *s, const struct pare_init *in, const char *key,
                  const struct pare_split *split, unsigned long long skip,
                  unsigned long long samples, const char *comment)
{
    pare_str_printf(s, "  %s: {from: ", key);
    quoted(s, in->data);
    if (*split->name)
        quoted_key(s, ", split: ", split->name);
    if (is_plain(in, split))
        pare_str_printf(s, ", window: %u", in->window);
    if (skip)
        pare_str_printf(s, ", skip: %llu", skip);
    pare_str_printf(s, ", samples: %llu}  # %s\n", samples, comment);
}

/* Three quarters of what does not calibrate to choose on, a quarter to confirm. */
static void data_entries(struct pare_str *s, const struct pare_init *in, const struct pare_split *e,
                         const struct pare_split *c)
{
    const unsigned long long most = forms[in->texts].calibration;
    unsigned long long from = 0, total = e->samples;
    unsigned long long calibration = c ? PARE_MIN(most, c->samples) : 0;
    if (c == e)
        calibration = from = PARE_MIN(most, total / 4);
    unsigned long long choose = (total - from) * 3 / 4;
    pare_str_append(s, "data:\n");
    if (c)
        entry(s, in, "calibrate", c, 0, calibration, "what the methods look at");
    entry(s, in, "evaluate", e, from, choose, "what variants are compared on");
    entry(s, in, "confirm", e, from + choose, total - from - choose,
          "only the baseline and the chosen, after choosing");
}

/* ---- what is tried and measured ---- */

static void stages(struct pare_str *s, const struct pare_init *in, const struct kind *kind,
                   bool calibrated)
{
    pare_str_append(s, "stages:                       # in order; a list tries each value, "
                       "`optional` also tries without\n");
    /* without samples to look at, branches are scored by nothing */
    pare_str_printf(
        s, "  - {id: drop, plugin: layer-drop, optional: true, with: {%s, count: [1, 2]}}\n",
        calibrated ? "score: cosine" : "choose: even");
    if (!in->texts)
        pare_str_append(
            s, "  - {id: merge, plugin: token-merge, optional: true, with: {r: [2, 4]}}\n");
    pare_str_append(s, "  - id: quant\n"
                       "    plugin: quantize\n"
                       "    optional: true\n"
                       "    try:                      # values that belong together\n");
    for (size_t i = 0; i < PARE_COUNT(forms[in->texts].quantize); i++)
        pare_str_printf(s, "      - %s\n", forms[in->texts].quantize[i]);
    if (kind->writes)
        pare_str_append(s, "  - {id: kv, plugin: kv-quant, optional: true, with: {bits: 8}}  # the "
                           "cache of keys and values\n");
    pare_str_append(s,
                    "# exclude: [{drop.count: 2, quant.bits: 4}]   # combinations not wanted, as "
                    "STAGE.PARAMETER\n");
}

static void measures(struct pare_str *s, const struct pare_init *in, const struct kind *kind)
{
    const uint32_t part = in->window / 4;
    pare_str_append(s, "measure:\n");
    for (size_t i = 0; i < PARE_COUNT(kind->metrics) && kind->metrics[i]; i++)
        pare_str_printf(s, "  %s: {}\n", kind->metrics[i]);
    if (kind->writes)
        pare_str_printf(s,
                        "  latency:                   # the first shape is latency_ms\n"
                        "    decode: {threads: 1, decode: %u, depth: %u}  # tokens written one by "
                        "one, behind others\n"
                        "    prompt: {threads: 1, prefill: %u}            # tokens read at once\n",
                        PARE_MIN(part, 32), part, part);
    else
        pare_str_append(s, "  latency: {edge: {batch: 1, threads: 1}}     # the first shape is "
                           "latency_ms\n");
}

static const char *const racing =
    "# search: {racing: true}                      # time first, stop "
    "evaluating what is beaten beyond doubt\n";

int pare_init_text(const struct pare_init *in, char **out, struct pare_error *err)
{
    const struct pare_split *e = NULL, *c = NULL;
    struct pare_str s = {0};
    *out = NULL;
    if (in->n_splits)
        choose_splits(in, &e, &c);
    if (e && kinds[e->task].writes && !in->writes) {
        pare_error_set(err, PARE_INVALID,
                       "'%s' holds a plain text%s%s, and the model predicts none", in->data,
                       *e->name ? ", " : "", e->name);
        pare_error_hint(err, "name labelled texts: .jsonl or .tsv");
        return PARE_INVALID;
    }
    const struct kind *kind = &kinds[e ? e->task : PARE_TASK_CLASSES];
    if (!e || e->samples < kind->least) {
        pare_error_set(err, PARE_INVALID, "'%s' holds %llu samples%s%s: too few to divide",
                       in->data, e ? (unsigned long long)e->samples : 0ULL,
                       e && *e->name ? " in " : "", e ? e->name : "");
        pare_error_hint(err, "at least %llu are needed", kind->least);
        return PARE_INVALID;
    }
    pare_str_append(&s, "# yaml-language-server: $schema=.pare/schema.json\n"
                        "# Paths are relative to this file. `pare plan FILE` shows what would run, "
                        "`pare run FILE` does it.\n"
                        "pare: 1\n");
    quoted_key(&s, "name: ", in->name);
    quoted_key(&s, "\nmodel: ", in->model);
    pare_str_append(&s, "\n");
    data_entries(&s, in, e, c);
    stages(&s, in, kind, c != NULL);
    measures(&s, in, kind);
    pare_str_printf(
        &s,
        "select:\n"
        "  objectives: {%s: {tolerance: %s}, latency_ms: {tolerance: 1%%}, size_bytes: {}}\n"
        "  constraints: [\"%s %s\"]\n"
        "%s"
        "limits: {time: 1h, stall: 5min, memory: 80%%}  # for each variant\n",
        kind->metrics[0], kind->tolerance, kind->metrics[0], kind->limit,
        kind->races ? racing : "");
    *out = pare_str_take(&s);
    return *out ? PARE_OK : pare_error_nomem(err, 0);
}
