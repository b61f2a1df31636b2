/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "pipeline/spec_parts.h"

/* ---- helpers for all parts ---- */

void *pare_read_alloc(struct pare_reader *r, size_t n, size_t size)
{
    void *p = pare_pool_alloc(&r->p->pool, n, size);
    if (!p)
        r->check.diags->nomem = true;
    return p;
}

const char *pare_read_strdup(struct pare_reader *r, const char *text)
{
    const char *copy = pare_pool_strdup(&r->p->pool, text);
    if (!copy)
        r->check.diags->nomem = true;
    return copy;
}

void pare_read_fields(struct pare_reader *r, const struct pare_yaml *map, const char *where,
                      const struct pare_field *fields, size_t n, void *into)
{
    const char *names[32] = {NULL};
    size_t n_names = 0;
    if (map->kind == PARE_YAML_NULL)
        return;
    if (map->kind != PARE_YAML_MAP) {
        pare_expected(&r->check, map, where, "a map");
        return;
    }
    for (size_t k = 0; k < n && n_names < PARE_COUNT(names); k++)
        names[n_names++] = fields[k].name;
    pare_checked_keys(&r->check, map, names, n_names, where);
    for (size_t k = 0; k < n; k++) { /* in the table's order: later ones may need earlier ones */
        const struct pare_yaml *value = pare_yaml_get(map, fields[k].name);
        if (value && fields[k].later)
            pare_yaml_error(r->check.diags, pare_yaml_key(map, fields[k].name),
                            "'%s' in %s is not built yet (%s)", fields[k].name, where,
                            fields[k].later);
        else if (value && fields[k].read)
            fields[k].read(r, value, into);
    }
}

void pare_read_text(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                    const char **out)
{
    if (node->kind != PARE_YAML_TEXT || !*node->text)
        pare_expected(&r->check, node, name, "text");
    else
        *out = node->text;
}

bool pare_read_word(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                    const char **out)
{
    size_t n = node->kind == PARE_YAML_TEXT
                   ? strspn(node->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789_-")
                   : 0;
    if (n == 0 || node->text[n] || n > 64) {
        pare_expected(&r->check, node, name, "a word of letters, digits, '_' and '-'");
        return false;
    }
    *out = node->text;
    return true;
}

void pare_read_uint(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                    uint64_t least, uint64_t most, uint64_t *out)
{
    char wanted[96];
    if (node->kind == PARE_YAML_INT && node->integer >= 0 && (uint64_t)node->integer >= least &&
        (uint64_t)node->integer <= most) {
        *out = (uint64_t)node->integer;
        return;
    }
    if (most >= INT64_MAX)
        snprintf(wanted, sizeof wanted, "an integer of at least %llu", (unsigned long long)least);
    else
        snprintf(wanted, sizeof wanted, "an integer from %llu to %llu", (unsigned long long)least,
                 (unsigned long long)most);
    pare_expected(&r->check, node, name, wanted);
}

/* ---- limits ---- */

struct suffix {
    const char *text;
    double factor;
};

/* NUMBER [space] SUFFIX */
static bool parse_with(const char *text, const struct suffix *suffixes, size_t n, double *out)
{
    char number[32];
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits >= sizeof number)
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    const char *rest = text + digits + (text[digits] == ' ');
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(rest, suffixes[i].text) && pare_parse_double(number, out)) {
            *out *= suffixes[i].factor;
            return *out > 0;
        }
    }
    return false;
}

bool pare_parse_duration(const char *text, double *seconds)
{
    static const struct suffix suffixes[] = {{"s", 1}, {"min", 60}, {"h", 3600}};
    return parse_with(text, suffixes, PARE_COUNT(suffixes), seconds);
}

bool pare_parse_bytes(const char *text, uint64_t *bytes)
{
    static const struct suffix suffixes[] = {{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
    double x;
    if (!parse_with(text, suffixes, PARE_COUNT(suffixes), &x) || x > 1e18)
        return false;
    *bytes = (uint64_t)llround(x);
    return true;
}

bool pare_parse_percent(const char *text, double *share)
{
    static const struct suffix suffixes[] = {{"%", 0.01}};
    return parse_with(text, suffixes, PARE_COUNT(suffixes), share);
}

static void read_duration(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                          double *out)
{
    if (node->kind != PARE_YAML_TEXT || !pare_parse_duration(node->text, out))
        pare_expected(&r->check, node, name, "a duration (30s, 5min, 1h)");
}

static void limit_time(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    read_duration(r, node, "time", &((struct pare_limits *)into)->time_s);
}

static void limit_stall(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    read_duration(r, node, "stall", &((struct pare_limits *)into)->stall_s);
}

static void limit_memory(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    struct pare_limits *limits = into;
    bool text = node->kind == PARE_YAML_TEXT;
    if (text && pare_parse_percent(node->text, &limits->memory_share) && limits->memory_share <= 1)
        return;
    limits->memory_share = 0;
    if (!text || !pare_parse_bytes(node->text, &limits->memory_bytes))
        pare_expected(&r->check, node, "memory", "a size (500MB, 2GB) or a share (80%)");
}

/* Of the whole run: a stage has none of its own. */
static void limit_activations(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    struct pare_limits *limits = into;
    bool text = node->kind == PARE_YAML_TEXT;
    limits->activation_bytes = 1; /* holds nothing */
    if (limits != &r->p->limits)
        pare_yaml_error(r->check.diags, node, "'activations' is a limit of the whole pipeline");
    else if (!text || (strcmp(node->text, "none") != 0 &&
                       !pare_parse_bytes(node->text, &limits->activation_bytes)))
        pare_expected(&r->check, node, "activations", "a size (500MB, 2GB) or none");
}

/* Of all workers: one does the work of several stages. */
static void limit_confine(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    struct pare_limits *limits = into;
    if (limits != &r->p->limits)
        pare_yaml_error(r->check.diags, node, "'confine' is a limit of the whole pipeline");
    else if (node->kind != PARE_YAML_BOOL)
        pare_expected(&r->check, node, "confine", "true or false");
    else
        limits->unconfined = !node->boolean;
}

void pare_read_limits(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    static const struct pare_field fields[] = {{"time", limit_time, NULL},
                                               {"stall", limit_stall, NULL},
                                               {"memory", limit_memory, NULL},
                                               {"activations", limit_activations, NULL},
                                               {"confine", limit_confine, NULL}};
    pare_read_fields(r, node, "limits", fields, PARE_COUNT(fields), into);
}

/* ---- data ---- */

static const char *resolve(struct pare_reader *r, const char *name)
{
    char *joined = pare_path_join(r->p->folder, name);
    const char *path = joined ? pare_read_strdup(r, joined) : NULL;
    if (!joined)
        r->check.diags->nomem = true;
    free(joined);
    return path;
}

static void read_path(struct pare_reader *r, const struct pare_yaml *node, const char *name,
                      const char **out)
{
    const char *text = NULL;
    pare_read_text(r, node, name, &text);
    if (text)
        *out = resolve(r, text);
}

static void pair_inputs(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    read_path(r, node, "inputs", &((struct pare_data *)into)->inputs);
}

static void pair_labels(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    read_path(r, node, "labels", &((struct pare_data *)into)->labels);
}

static void data_from(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    static const struct pare_field fields[] = {{"inputs", pair_inputs, NULL},
                                               {"labels", pair_labels, NULL}};
    struct pare_data *data = into;
    if (node->kind != PARE_YAML_MAP) {
        read_path(r, node, "from", &data->from);
        return;
    }
    pare_read_fields(r, node, "from", fields, PARE_COUNT(fields), data);
    if (!pare_yaml_get(node, "inputs") || !pare_yaml_get(node, "labels"))
        pare_expected(&r->check, node, "from", "both `inputs` and `labels`");
}

static void data_split(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    pare_read_text(r, node, "split", &((struct pare_data *)into)->split);
}

static void data_samples(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    pare_read_uint(r, node, "samples", 1, INT64_MAX, &((struct pare_data *)into)->samples);
}

static void data_skip(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    pare_read_uint(r, node, "skip", 0, INT64_MAX, &((struct pare_data *)into)->skip);
}

static void data_shuffle(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    uint64_t seed = 0;
    pare_read_uint(r, node, "shuffle", 0, INT64_MAX, &seed);
    ((struct pare_data *)into)->shuffle = (int64_t)seed;
}

static void data_window(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    pare_read_uint(r, node, "window", 2, 1 << 20, &((struct pare_data *)into)->window);
}

static void data_stride(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    pare_read_uint(r, node, "stride", 1, 1 << 20, &((struct pare_data *)into)->stride);
}

static void data_method(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    if (node->kind == PARE_YAML_TEXT &&
        (strcmp(node->text, "hf") == 0 || strcmp(node->text, "llama.cpp") == 0))
        pare_read_text(r, node, "method", &((struct pare_data *)into)->method);
    else
        pare_expected(&r->check, node, "method", "hf or llama.cpp");
}

static void read_samples(struct pare_reader *r, const struct pare_yaml *node, const char *where,
                         struct pare_data *data)
{
    static const struct pare_field fields[] = {
        {"from", data_from, NULL},       {"split", data_split, NULL},
        {"samples", data_samples, NULL}, {"skip", data_skip, NULL},
        {"shuffle", data_shuffle, NULL}, {"window", data_window, NULL},
        {"stride", data_stride, NULL},   {"method", data_method, NULL}};
    struct pare_error err = {0};
    size_t before = r->check.diags->n + r->check.diags->dropped;
    const struct pare_yaml *pair = pare_yaml_key(node, "inputs");
    pair = pair ? pair : pare_yaml_key(node, "labels");
    data->shuffle = -1;
    if (pair) {
        pare_yaml_error(r->check.diags, pair, "a pair of files goes into `from` of `%s`", where);
        pare_diag_hint(r->check.diags, "%s: {from: {inputs: x.npy, labels: y.npy}}", where);
        return;
    }
    pare_read_fields(r, node, where, fields, PARE_COUNT(fields), data);
    const struct pare_yaml *from = pare_yaml_get(node, "from");
    if (!from && node->kind == PARE_YAML_MAP)
        pare_yaml_error(r->check.diags, node, "`%s` lacks `from`", where);
    if (!from || r->check.diags->n + r->check.diags->dropped != before)
        return;
    if (!r->p->model_hash[0]) /* said already; what fits a model cannot be told without one */
        return;
    int rc = r->check.env->data(r->check.env->user, data, &err);
    if (rc == PARE_NOMEM) {
        r->check.diags->nomem = true;
    } else if (rc != PARE_OK) {
        pare_yaml_error(r->check.diags, from, "%s%s%s", err.what, err.detail[0] ? ": " : "",
                        err.detail);
        if (err.hint[0])
            pare_diag_hint(r->check.diags, "%s", err.hint);
    }
}

/* Plugins look at texts of one length. */
static void data_calibrate(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    const struct pare_data *data = &r->p->calibrate;
    (void)into;
    read_samples(r, node, "calibrate", &r->p->calibrate);
    if (data->n_samples && r->p->reads_text && data->task != PARE_TASK_WINDOWS) {
        pare_yaml_error(r->check.diags, node, "labelled texts are not calibrated on");
        pare_diag_hint(r->check.diags, "name a plain text (.txt), which is cut into windows");
    }
}

static void data_evaluate(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    read_samples(r, node, "evaluate", &r->p->evaluate);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* Confirming on samples that were chosen on would flatter the winner, unnoticed. */
static void data_confirm(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    const struct pare_data *a = &r->p->evaluate, *b = &r->p->confirm;
    (void)into;
    read_samples(r, node, "confirm", &r->p->confirm);
    if (a->n_samples && b->n_samples && a->task != b->task)
        pare_yaml_error(r->check.diags, node, "`confirm` holds other samples than `evaluate`");
    if (a->n_samples && b->n_samples && same_text(a->from, b->from) &&
        same_text(a->inputs, b->inputs) && same_text(a->split, b->split) &&
        a->shuffle == b->shuffle && a->skip < b->skip + b->n_samples &&
        b->skip < a->skip + a->n_samples) {
        pare_yaml_error(r->check.diags, node,
                        "`confirm` overlaps `evaluate`: the chosen models would "
                        "be confirmed on the samples they were chosen on");
        pare_diag_hint(r->check.diags, "evaluate reads samples %llu to %llu of this split",
                       (unsigned long long)a->skip,
                       (unsigned long long)(a->skip + a->n_samples - 1));
    }
}

/* ---- the top level ---- */

static void top_name(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    pare_read_word(r, node, "name", &r->p->name);
}

static void top_model(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    struct pare_error err = {0};
    struct pare_pipeline *p = r->p;
    (void)into;
    read_path(r, node, "model", &p->model);
    if (!p->model)
        return;
    int rc = r->check.env->model(r->check.env->user, p->model, &p->units, &p->n_units,
                                 p->model_hash, &p->reads_text, &p->output, &err);
    if (rc == PARE_NOMEM) {
        r->check.diags->nomem = true;
    } else if (rc != PARE_OK) {
        p->units = NULL;
        p->n_units = 0;
        pare_yaml_error(r->check.diags, node, "model '%s': %s%s%s", node->text, err.what,
                        err.detail[0] ? ": " : "", err.detail);
        if (err.hint[0])
            pare_diag_hint(r->check.diags, "%s", err.hint);
    }
    r->check.units = p->units;
    r->check.n_units = p->n_units;
}

static void top_data(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    static const struct pare_field fields[] = {{"calibrate", data_calibrate, NULL},
                                               {"evaluate", data_evaluate, NULL},
                                               {"confirm", data_confirm, NULL}};
    pare_read_fields(r, node, "data", fields, PARE_COUNT(fields), into);
}

static void top_stages(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    pare_read_stages(r, node);
}

static void top_exclude(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    pare_read_excludes(r, node);
}

static void top_limits(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    pare_read_limits(r, node, &r->p->limits);
}

static void top_limit(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    pare_read_uint(r, node, "limit", 1, PARE_VARIANTS_LIMIT, &r->p->max_variants);
}

static void top_search(struct pare_reader *r, const struct pare_yaml *node, void *into)
{
    (void)into;
    pare_read_search(r, node);
}

/* The version decides what the rest means: it is said first, and alone. */
static bool read_version(struct pare_reader *r, const struct pare_yaml *root)
{
    struct pare_diags *diags = r->check.diags;
    const struct pare_yaml *version = pare_yaml_get(root, "pare");
    if (root->kind != PARE_YAML_MAP || !version) {
        pare_diag_add(diags, root->at, root->at,
                      root->kind == PARE_YAML_MAP ? "the key 'pare' is missing"
                                                  : "a pipeline is a map of keys");
        pare_diag_hint(diags, "begin with `pare: 1`, the version of the format");
        return root->kind == PARE_YAML_MAP;
    }
    if (version->kind == PARE_YAML_INT && version->integer == 1)
        return true;
    pare_yaml_error(diags, version, "this program reads version 1 of the format, not %s",
                    version->kind < PARE_YAML_LIST ? version->text : "that");
    return false;
}

static void require(struct pare_reader *r, const struct pare_yaml *root, const char *key)
{
    if (!pare_yaml_get(root, key))
        pare_diag_add(r->check.diags, root->at, root->at, "the key '%s' is missing", key);
}

static void find_task(struct pare_pipeline *p)
{
    static const enum pare_task of_output[] = {[PARE_OUTPUT_CLASSES] = PARE_TASK_CLASSES,
                                               [PARE_OUTPUT_EMBEDDING] = PARE_TASK_SIMILARITY,
                                               [PARE_OUTPUT_NEXT_TOKEN] = PARE_TASK_WINDOWS};
    p->task = p->evaluate.n_samples ? p->evaluate.task : of_output[p->output];
}

static void read_root(struct pare_reader *r, const struct pare_yaml *root)
{
    /* read elsewhere: the version comes first; measure hangs on data; it and select have defaults
     */
    static const struct pare_field fields[] = {
        {"pare", NULL, NULL},         {"name", top_name, NULL},     {"model", NULL, NULL},
        {"data", NULL, NULL},         {"stages", top_stages, NULL}, {"exclude", top_exclude, NULL},
        {"measure", NULL, NULL},      {"select", NULL, NULL},       {"search", top_search, NULL},
        {"limits", top_limits, NULL}, {"limit", top_limit, NULL},
    };
    if (!read_version(r, root))
        return;
    require(r, root, "model");
    require(r, root, "stages");
    if (pare_yaml_get(root, "model")) /* what can be measured hangs on it */
        top_model(r, pare_yaml_get(root, "model"), NULL);
    if (pare_yaml_get(root, "data"))
        top_data(r, pare_yaml_get(root, "data"), NULL);
    find_task(r->p);
    pare_read_measure(r, pare_yaml_get(root, "measure"));
    pare_read_fields(r, root, "a pipeline", fields, PARE_COUNT(fields), NULL);
    pare_read_select(r, pare_yaml_get(root, "select"));
    const struct pare_yaml *data = pare_yaml_get(root, "data");
    const struct pare_pipeline *p = r->p;
    const bool good = p->top1 || p->perplexity || p->acc_norm || p->spearman;
    if ((good || p->n_measures) && !r->measure_wrong && !pare_yaml_get(data, "evaluate"))
        pare_diag_add(r->check.diags, data ? data->at : root->at, data ? data->end : root->at,
                      "`data` lacks `evaluate`: %s is measured on it",
                      good ? pare_pipeline_quality(p) : p->measures[0].plugin->desc.id);
}

/* The file's name without its ending, as far as it makes a word. */
static const char *default_name(struct pare_reader *r, const char *path)
{
    const char *name = pare_path_name(path);
    size_t n = strcspn(name, ".");
    char *copy = pare_pool_strndup(&r->p->pool, name, n);
    if (!copy)
        r->check.diags->nomem = true;
    return copy;
}

int pare_pipeline_parse(const char *path, const char *text, size_t size,
                        const struct pare_spec_env *env, struct pare_diags *diags,
                        struct pare_pipeline **out, struct pare_error *err)
{
    struct pare_pipeline *p = pare_calloc(1, sizeof *p);
    char *folder = pare_path_folder(path);
    struct pare_reader r = {.check = {.env = env, .diags = diags}, .p = p};
    int rc = PARE_NOMEM;
    *out = NULL;
    if (!p || !folder) {
        pare_error_nomem(err, sizeof *p);
        goto out;
    }
    rc = pare_yaml_parse(path, text, size, diags, &p->tree);
    if (rc != PARE_OK) {
        if (rc == PARE_INVALID)
            rc = pare_diags_status(diags, err);
        else
            pare_error_nomem(err, 0);
        goto out;
    }
    diags->sets = env->sets;
    for (size_t i = 0; env->sets && env->sets[i]; i++)
        PARE_TRY(pare_yaml_set(&p->tree, diags, i + 1, err));
    p->path = pare_read_strdup(&r, path);
    p->folder = pare_read_strdup(&r, folder);
    p->name = default_name(&r, path);
    r.check.folder = p->folder;
    r.check.used = &p->used;
    if (p->path && p->folder && p->name)
        read_root(&r, p->tree.root);
    pare_diags_sort(diags);
    rc = pare_diags_status(diags, err);
out:
    free(folder);
    if (rc == PARE_OK)
        *out = p;
    else
        pare_pipeline_free(p);
    return rc;
}

int pare_pipeline_read(const char *path, const struct pare_spec_env *env, struct pare_diags *diags,
                       struct pare_pipeline **out, struct pare_error *err)
{
    char *text = NULL;
    size_t size;
    int rc;
    *out = NULL;
    PARE_TRY(pare_file_read(path, PARE_YAML_MAX_BYTES, &text, &size, err));
    PARE_TRY(pare_pipeline_parse(path, text, size, env, diags, out, err));
out:
    free(text);
    return rc;
}

void pare_pipeline_free(struct pare_pipeline *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_stages; i++)
        json_decref(p->stages[i].settings);
    for (size_t i = 0; i < p->n_excludes; i++) {
        for (size_t k = 0; k < p->excludes[i].n; k++)
            json_decref(p->excludes[i].conditions[k].values);
    }
    for (size_t i = 0; i < p->n_measures; i++) {
        json_decref(p->measures[i].params);
        free(p->measures[i].settings);
    }
    free(p->used.files);
    pare_yaml_free(&p->tree);
    pare_pool_free(&p->pool);
    free(p);
}
