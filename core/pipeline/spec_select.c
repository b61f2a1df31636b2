/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "pipeline/keys.h"
#include "pipeline/spec_parts.h"

/* ---- measure ---- */

#define OF(task) (1u << PARE_TASK_##task)

/* What a metric is measured on. */
static const struct {
    const char *name, *of;
    unsigned tasks;
} qualities[] = {
    {"top1", "classes and choices", OF(CLASSES) | OF(CHOICES)},
    {"acc_norm", "choices", OF(CHOICES)},
    {"spearman", "pairs with a score", OF(SIMILARITY)},
    {"perplexity", "plain texts", OF(WINDOWS)},
    {"kl", "plain texts", OF(WINDOWS)},
    {"agreement", "plain texts", OF(WINDOWS)},
};

static const char *what_there_is(const struct pare_pipeline *p)
{
    static const char *const holds[] = {[PARE_TASK_CLASSES] = "`evaluate` holds classes",
                                        [PARE_TASK_WINDOWS] = "`evaluate` holds a plain text",
                                        [PARE_TASK_CHOICES] = "`evaluate` holds choices",
                                        [PARE_TASK_SIMILARITY] = "`evaluate` holds pairs"};
    if (p->evaluate.n_samples)
        return holds[p->task];
    return p->reads_text ? "this model reads text" : "this one reads images";
}

/* Metrics of samples: they take no keys. */
static void measure(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                    bool *wanted)
{
    pare_read_fields(r, node, name, NULL, 0, NULL);
    *wanted = true;
    if (!r->p->model_hash[0] || (r->p->evaluate.from && !r->p->evaluate.n_samples))
        return; /* said already */
    for (size_t i = 0; i < PARE_COUNT(qualities); i++) {
        if (strcmp(qualities[i].name, name) != 0 || qualities[i].tasks >> r->p->task & 1)
            continue;
        pare_yaml_error(r->check.diags, node, "%s is of %s; %s", name, qualities[i].of,
                        what_there_is(r->p));
        pare_diag_hint(r->check.diags, "%s: {}", pare_pipeline_quality(r->p));
    }
}

static void measure_top1(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    measure(r, node, "top1", &r->p->top1);
}

static void measure_acc_norm(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    measure(r, node, "acc_norm", &r->p->acc_norm);
}

static void measure_spearman(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    measure(r, node, "spearman", &r->p->spearman);
}

static void measure_perplexity(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    measure(r, node, "perplexity", &r->p->perplexity);
}

static void measure_kl(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    measure(r, node, "kl", &r->p->kl);
}

static void measure_agreement(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    measure(r, node, "agreement", &r->p->agreement);
}

static void shape_prefill(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    uint64_t n = 0;
    pare_read_uint(r, node, "prefill", 1, 1 << 20, &n);
    ((struct pare_shape *)into)->prefill = (unsigned)n;
}

static void shape_decode(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    uint64_t n = 0;
    pare_read_uint(r, node, "decode", 1, 1 << 20, &n);
    ((struct pare_shape *)into)->decode = (unsigned)n;
}

static void shape_depth(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    uint64_t n = 0;
    pare_read_uint(r, node, "depth", 0, 1 << 20, &n);
    ((struct pare_shape *)into)->depth = (unsigned)n;
}

/* A language model reads a prompt or writes token by token; nothing else does either. */
static void check_shape(struct pare_reader *r, const struct pare_yaml *node,
                        struct pare_shape *shape)
{
    if (!r->p->model_hash[0])
        return;
    const bool predicts = r->p->output == PARE_OUTPUT_NEXT_TOKEN;
    if (!predicts && (shape->prefill || shape->decode || shape->depth))
        pare_yaml_error(r->check.diags, node,
                        "prefill, decode and depth are of language models; this one %s",
                        r->p->reads_text ? "reads whole texts" : "reads images");
    else if (shape->prefill && shape->decode)
        pare_yaml_error(r->check.diags, node, "a shape is either prefill or decode");
    else if (predicts && !shape->prefill && !shape->decode)
        shape->decode = 32;
}

static void shape_batch(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    uint64_t n = 1;
    pare_read_uint(r, node, "batch", 1, 65536, &n);
    ((struct pare_shape *)into)->batch = (unsigned)n;
}

static void shape_threads(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    uint64_t n = 1;
    pare_read_uint(r, node, "threads", 1, 1024, &n);
    ((struct pare_shape *)into)->threads = (unsigned)n;
}

static void measure_latency(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    static const struct pare_field fields[] = {{"batch", shape_batch, NULL},
                                               {"threads", shape_threads, NULL},
                                               {"prefill", shape_prefill, NULL},
                                               {"decode", shape_decode, NULL},
                                               {"depth", shape_depth, NULL}};
    struct pare_pipeline *p = r->p;
    bool empty = node->kind == PARE_YAML_NULL || (node->kind == PARE_YAML_MAP && node->n == 0);
    (void)into;
    if (!empty && node->kind != PARE_YAML_MAP) {
        pare_expected(&r->check, node, "latency", "a map of shapes {NAME: {batch: 1, threads: 1}}");
        return;
    }
    p->shapes = pare_read_alloc(r, empty ? 1 : node->n, sizeof *p->shapes);
    if (!p->shapes)
        return;
    if (empty)
        p->shapes[p->n_shapes++] = (struct pare_shape){
            "default", 1, 1, 0, p->output == PARE_OUTPUT_NEXT_TOKEN ? 32 : 0, 0};
    for (size_t i = 0; !empty && i < node->n; i++) {
        struct pare_shape *shape = &p->shapes[p->n_shapes];
        *shape = (struct pare_shape){NULL, 1, 1, 0, 0, 0};
        if (!pare_read_word(r, node->keys[i], "latency", &shape->name))
            continue;
        p->n_shapes++;
        pare_read_fields(r, node->items[i], "a shape", fields, PARE_COUNT(fields), shape);
        check_shape(r, node->items[i], shape);
    }
}

/* ---- metrics of plugins ---- */

/* What else a metric could be called; a bare word that is no plugin's id is a misspelt key. */
static bool names_plugin(struct pare_reader *r, const struct pare_yaml *key)
{
    const struct pare_plugin_file *file;
    struct pare_error ignored = {0};
    return strpbrk(key->text, "./") ||
           r->check.env->find(r->check.env->user, key->text, r->check.folder, &file, &ignored) !=
               PARE_NOT_FOUND;
}

/* The one setting that a map of parameters stands for; NULL: said why not. */
static json_t *one_setting(struct pare_reader *r, const struct pare_plugin_file *plugin,
                           const struct pare_yaml *key, const struct pare_yaml *map)
{
    const struct pare_yaml *other = pare_yaml_key(map, "plugin"); /* names the score in a stage */
    json_t *one = NULL;
    if (other) {
        pare_yaml_error(r->check.diags, other, "the plugin is named by the key before its map");
        return NULL;
    }
    if (map->kind != PARE_YAML_MAP && map->kind != PARE_YAML_NULL)
        return pare_expected(&r->check, map, key->text, "a map of its parameters");
    json_t *all = pare_checked_settings(&r->check, plugin, &map, map->kind == PARE_YAML_MAP, key);
    if (all && json_array_size(all) == 1)
        one = json_incref(json_array_get(all, 0));
    else if (all)
        pare_yaml_error(r->check.diags, map, "%s is measured with one setting, not with %zu",
                        key->text, json_array_size(all));
    json_decref(all);
    return one;
}

/* What the plugin itself says of its parameters together. */
static void check_setting(struct pare_reader *r, const struct pare_measure *m,
                          const struct pare_yaml *key)
{
    static const char *const none[] = {NULL};
    const struct pare_step step = {
        .stage = "measure", .plugin = m->plugin, .on = none, .except = none, .params = m->params};
    struct pare_error err = {0};
    if (!r->check.env->check || r->check.env->check(r->check.env->user, &step, &err) == PARE_OK)
        return;
    pare_yaml_error(r->check.diags, key, "%s", err.what);
    if (err.hint[0])
        pare_diag_hint(r->check.diags, "%s", err.hint);
}

/* Why a metric cannot be there besides the others, or NULL. */
static const char *clash(const struct pare_pipeline *p, const char *id)
{
    size_t n;
    const struct pare_metric *all = pare_metrics(&n);
    if (pare_metric_find(id, all, n) || strncmp(id, "latency", 7) == 0)
        return "a metric of Pare's own is called so";
    if (!strpbrk(id, ".-")) /* as all of Pare's columns are named, those to come too */
        return "its id could be that of a column of Pare's, which has neither '.' nor '-'";
    for (size_t i = 0; i < p->n_measures; i++) {
        if (strcmp(p->measures[i].plugin->desc.id, id) == 0)
            return "it is measured already";
    }
    return p->n_measures == PARE_METRICS_MOST ? "a pipeline has at most 8 metrics of plugins"
                                              : NULL;
}

/* A row of class logits for each sample is what plugins can measure. */
static void check_task(struct pare_reader *r, const struct pare_yaml *key)
{
    const struct pare_pipeline *p = r->p;
    if (!p->model_hash[0] || (p->evaluate.from && !p->evaluate.n_samples) ||
        p->task == PARE_TASK_CLASSES)
        return;
    pare_yaml_error(r->check.diags, key, "plugins measure the logits of classes; %s",
                    what_there_is(p));
    pare_diag_hint(r->check.diags, "%s: {}", pare_pipeline_quality(p));
}

static void measure_plugin(struct pare_reader *r, const struct pare_yaml *key,
                           const struct pare_yaml *map)
{
    struct pare_pipeline *p = r->p;
    const struct pare_plugin_file *plugin = pare_checked_plugin(&r->check, key, PARE_METRIC);
    const char *wrong = plugin ? clash(p, plugin->desc.id) : NULL;
    if (wrong)
        pare_yaml_error(r->check.diags, key, "'%s' cannot be measured: %s", plugin->desc.id, wrong);
    if (!plugin || wrong)
        return;
    struct pare_measure m = {.plugin = plugin, .params = one_setting(r, plugin, key, map)};
    if (!m.params)
        return;
    m.settings = pare_canonical_text(m.params);
    if (!m.settings) {
        r->check.diags->nomem = true;
        json_decref(m.params);
        return;
    }
    pare_metric_key(plugin->sha256, m.settings, m.key);
    p->measures[p->n_measures++] = m;
    check_setting(r, &m, key);
    check_task(r, key);
}

/* Keys that are no fields name plugins; `rest` gets the others. */
static void measure_plugins(struct pare_reader *r, const struct pare_yaml *map,
                            const struct pare_field *fields, size_t n, struct pare_yaml *rest)
{
    *rest = *map;
    if (map->kind != PARE_YAML_MAP)
        return;
    rest->keys = pare_read_alloc(r, map->n, sizeof *rest->keys);
    rest->items = pare_read_alloc(r, map->n, sizeof *rest->items);
    rest->n = 0;
    for (size_t i = 0; rest->keys && rest->items && i < map->n; i++) {
        size_t k = 0;
        while (k < n && strcmp(fields[k].name, map->keys[i]->text) != 0)
            k++;
        if (k == n && names_plugin(r, map->keys[i])) {
            measure_plugin(r, map->keys[i], map->items[i]);
            continue;
        }
        rest->keys[rest->n] = map->keys[i];
        rest->items[rest->n++] = map->items[i];
    }
}

/* Whether the pipeline measures it: what is not named here comes by itself. */
static bool is_measured(const struct pare_pipeline *p, const char *name)
{
    const struct {
        const char *name;
        bool yes;
    } asked[] = {{"top1", p->top1},
                 {"acc_norm", p->acc_norm},
                 {"spearman", p->spearman},
                 {"perplexity", p->perplexity},
                 {"kl", p->kl},
                 {"agreement", p->agreement},
                 {"latency_ms", p->n_shapes > 0}};
    for (size_t i = 0; i < PARE_COUNT(asked); i++) {
        if (strcmp(asked[i].name, name) == 0)
            return asked[i].yes;
    }
    return true;
}

static void list_metrics(struct pare_reader *r)
{
    struct pare_pipeline *p = r->p;
    size_t n;
    const struct pare_metric *all = pare_metrics(&n);
    p->metrics = pare_read_alloc(r, n + p->n_shapes + p->n_measures, sizeof *p->metrics);
    for (size_t i = 0; p->metrics && i < n; i++) {
        bool timed = !strcmp(all[i].name, "latency_ms");
        if (!is_measured(p, all[i].name))
            continue;
        p->metrics[p->n_metrics++] = all[i];
        for (size_t k = 0; timed && k < p->n_shapes; k++) {
            char name[96];
            snprintf(name, sizeof name, "latency_ms.%s", p->shapes[k].name);
            p->metrics[p->n_metrics] = all[i];
            p->metrics[p->n_metrics++].name = pare_read_strdup(r, name);
        }
    }
    for (size_t i = 0; p->metrics && i < p->n_measures; i++) {
        const struct pare_plugin *desc = &p->measures[i].plugin->desc;
        p->metrics[p->n_metrics++] =
            (struct pare_metric){desc->id, PARE_METRIC_NUMBER, pare_metric_higher(desc)};
    }
}

/* Left out: what fits the samples, and latency at batch 1 on one thread. */
void pare_read_measure(struct pare_reader *r, const struct pare_yaml *node)
{
    static const struct pare_field fields[] = {
        {"top1", measure_top1, NULL},
        {"latency", measure_latency, NULL},
        {"acc_norm", measure_acc_norm, NULL},
        {"spearman", measure_spearman, NULL},
        {"perplexity", measure_perplexity, NULL},
        {"kl", measure_kl, NULL},
        {"agreement", measure_agreement, NULL},
    };
    static const struct pare_yaml nothing = {.kind = PARE_YAML_NULL};
    if (node) {
        size_t before = r->check.diags->n + r->check.diags->dropped;
        struct pare_yaml rest;
        measure_plugins(r, node, fields, PARE_COUNT(fields), &rest);
        pare_read_fields(r, &rest, "measure", fields, PARE_COUNT(fields), NULL);
        r->measure_wrong = r->check.diags->n + r->check.diags->dropped != before;
    }
    if (!node || r->measure_wrong) { /* one mistake does not make the metrics named later wrong */
        struct pare_pipeline *p = r->p;
        p->acc_norm = p->task == PARE_TASK_CHOICES;
        p->top1 = p->task == PARE_TASK_CLASSES || p->acc_norm;
        p->perplexity = p->task == PARE_TASK_WINDOWS;
        p->spearman = p->task == PARE_TASK_SIMILARITY;
        if (r->p->n_shapes == 0)
            measure_latency(r, &nothing, NULL);
    }
    list_metrics(r);
}

/* ---- select ---- */

/* latency_ms.FIRST is another name of latency_ms. */
static const struct pare_metric *plain_metric(const struct pare_pipeline *p,
                                              const struct pare_metric *metric)
{
    const char *shape = strchr(metric->name, '.');
    if (shape && p->n_shapes && !strcmp(shape + 1, p->shapes[0].name))
        return pare_metric_find("latency_ms", p->metrics, p->n_metrics);
    return metric;
}

static void hint_unmeasured(struct pare_reader *r, const char *name)
{
    size_t n;
    const struct pare_metric *all = pare_metrics(&n);
    if (pare_metric_find(name, all, n))
        pare_diag_hint(r->check.diags, "this pipeline does not measure it: add it to `measure`");
}

static void unknown_metric(struct pare_reader *r, const struct pare_yaml *key)
{
    char hint[PARE_METRIC_HINT];
    pare_metric_hint(key->text, r->p->metrics, r->p->n_metrics, hint);
    pare_yaml_error(r->check.diags, key, "unknown metric '%s'", key->text);
    pare_diag_hint(r->check.diags, "%s", hint);
    hint_unmeasured(r, key->text);
}

static void objective_tolerance(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    struct pare_objective *o = into;
    if ((node->kind == PARE_YAML_INT || node->kind == PARE_YAML_REAL) && node->real >= 0)
        o->tolerance = node->real;
    else if (node->kind == PARE_YAML_TEXT && pare_parse_percent(node->text, &o->tolerance))
        o->relative = true;
    else
        pare_expected(&r->check, node, "tolerance", "a number (0.002) or a share (1%)");
}

static void select_objectives(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    static const struct pare_field fields[] = {{"tolerance", objective_tolerance, NULL}};
    struct pare_pipeline *p = r->p;
    (void)into;
    if (node->kind != PARE_YAML_MAP || node->n == 0) {
        pare_expected(&r->check, node, "objectives", "a map of metrics {top1: {tolerance: 0.002}}");
        return;
    }
    p->objectives = pare_read_alloc(r, node->n, sizeof *p->objectives);
    for (size_t i = 0; p->objectives && i < node->n; i++) {
        struct pare_objective o = {0};
        o.metric = pare_metric_find(node->keys[i]->text, p->metrics, p->n_metrics);
        pare_read_fields(r, node->items[i], "an objective", fields, PARE_COUNT(fields), &o);
        if (!o.metric) {
            unknown_metric(r, node->keys[i]);
            continue;
        }
        o.metric = plain_metric(p, o.metric);
        p->objectives[p->n_objectives++] = o;
    }
}

static void read_constraint(struct pare_reader *r, const struct pare_yaml *node)
{
    struct pare_pipeline *p = r->p;
    struct pare_constraint c;
    struct pare_error err = {0};
    size_t column = 1;
    if (node->kind != PARE_YAML_TEXT) {
        pare_expected(&r->check, node, "constraints", "text like \"top1 >= baseline - 0.01\"");
        return;
    }
    int rc = pare_constraint_parse(node->text, p->metrics, p->n_metrics, &c, &column, &err);
    if (rc == PARE_OK) {
        c.metric = plain_metric(p, c.metric);
        p->constraint_texts[p->n_constraints] = node->text;
        p->constraints[p->n_constraints++] = c;
        return;
    }
    struct pare_mark at = node->at;
    if (node->at.line == node->end.line) /* else lines were folded: the start has to do */
        at.column += (unsigned)column - 1 + node->quoted;
    if (rc == PARE_NOMEM)
        r->check.diags->nomem = true;
    pare_diag_add(r->check.diags, at, node->end, "constraint: %s", err.what);
    if (err.hint[0])
        pare_diag_hint(r->check.diags, "%s", err.hint);
    if (rc == PARE_NOT_FOUND) {
        char name[64];
        snprintf(name, sizeof name, "%.*s",
                 (int)PARE_MIN(strcspn(node->text + column - 1, " <>="), (size_t)63),
                 node->text + column - 1);
        hint_unmeasured(r, name);
    }
}

static void select_constraints(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    struct pare_pipeline *p = r->p;
    (void)into;
    if (node->kind != PARE_YAML_LIST) {
        pare_expected(&r->check, node, "constraints", "a list of texts");
        return;
    }
    p->constraints = pare_read_alloc(r, node->n, sizeof *p->constraints);
    p->constraint_texts = pare_read_alloc(r, node->n, sizeof *p->constraint_texts);
    for (size_t i = 0; p->constraints && p->constraint_texts && i < node->n; i++)
        read_constraint(r, node->items[i]);
}

/* Left out: everything of top1, perplexity, spearman, latency_ms and size_bytes that is measured.
 */
static void default_objectives(struct pare_reader *r)
{
    static const char *const names[] = {"top1", "perplexity", "spearman", "latency_ms",
                                        "size_bytes"};
    struct pare_pipeline *p = r->p;
    p->objectives = pare_read_alloc(r, PARE_COUNT(names), sizeof *p->objectives);
    for (size_t i = 0; p->objectives && i < PARE_COUNT(names); i++) {
        const struct pare_metric *metric = pare_metric_find(names[i], p->metrics, p->n_metrics);
        if (metric)
            p->objectives[p->n_objectives++] = (struct pare_objective){.metric = metric};
    }
}

void pare_read_select(struct pare_reader *r, const struct pare_yaml *node)
{
    static const struct pare_field fields[] = {{"objectives", select_objectives, NULL},
                                               {"constraints", select_constraints, NULL}};
    if (node)
        pare_read_fields(r, node, "select", fields, PARE_COUNT(fields), NULL);
    if (!pare_yaml_get(node, "objectives"))
        default_objectives(r);
}

/* ---- search ---- */

static void search_strategy(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    static const char *const later[] = {"random", "greedy", "nsga2"};
    static const char *const all[] = {"grid", "random", "greedy", "nsga2"};
    (void)into;
    if (node->kind == PARE_YAML_TEXT && !strcmp(node->text, "grid"))
        return;
    for (size_t i = 0; i < PARE_COUNT(later) && node->kind == PARE_YAML_TEXT; i++) {
        if (!strcmp(node->text, later[i])) {
            pare_yaml_error(r->check.diags, node, "search strategy '%s' is not built yet",
                            node->text);
            pare_diag_hint(r->check.diags, "`grid` runs every combination");
            return;
        }
    }
    pare_expected(&r->check, node, "strategy", "grid");
    const char *near = node->kind == PARE_YAML_TEXT ? pare_nearest(node->text, all, 4) : NULL;
    if (near)
        pare_diag_hint(r->check.diags, "did you mean '%s'?", near);
}

static void search_racing(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    if (node->kind == PARE_YAML_BOOL)
        r->p->racing = node->boolean;
    else
        pare_expected(&r->check, node, "racing", "true or false");
    if (r->p->racing && strcmp(pare_pipeline_quality(r->p), "top1") != 0)
        pare_yaml_error(r->check.diags, node,
                        "racing compares right and wrong answers, which %s does not have",
                        pare_pipeline_quality(r->p));
}

void pare_read_search(struct pare_reader *r, const struct pare_yaml *node)
{
    static const char *const why = "a grid needs none";
    const struct pare_field fields[] = {
        {"strategy", search_strategy, NULL},
        {"budget", NULL, why},
        {"limit", NULL, why},
        {"seed", NULL, why},
        {"racing", search_racing, NULL},
    };
    pare_read_fields(r, node, "search", fields, PARE_COUNT(fields), NULL);
}
