/* SPDX-License-Identifier: Apache-2.0 */
/* Before work starts: the states that models go through, all of the plan in the store, what is
 * there. */
#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/plan.h"
#include "measure/measure.h"
#include "pipeline/run_parts.h"
#include "pipeline/setup.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- nodes
 * --------------------------------------------------------------------------------------- */

struct node_at {
    const char *build;
    size_t node;
};

static int by_build(const void *a, const void *b)
{
    return strcmp(((const struct node_at *)a)->build, ((const struct node_at *)b)->build);
}

static const struct node_at *find_node(const struct node_at *sorted, size_t n, const char *build)
{
    struct node_at key = {.build = build};
    return bsearch(&key, sorted, n, sizeof key, by_build);
}

/* All different build keys of variants and prefixes, and for each the shortest way to it. */
static int make_nodes(struct pare_runner *r, struct pare_error *err)
{
    const struct pare_run_plan *plan = r->plan;
    struct node_at *all = NULL;
    size_t most = 1, n = 0;
    int rc = PARE_OK;
    for (size_t v = 0; v < plan->n_variants; v++)
        most += plan->variants[v].n_steps + 1;
    all = pare_calloc(most, sizeof *all);
    r->nodes = pare_calloc(most, sizeof *r->nodes);
    r->variants = pare_calloc(plan->n_variants, sizeof *r->variants);
    if (!all || !r->nodes || !r->variants) {
        rc = pare_error_nomem(err, most * sizeof *r->nodes);
        goto out;
    }
    for (size_t v = 0; v < plan->n_variants; v++) {
        const struct pare_variant *variant = &plan->variants[v];
        if (variant->is_baseline)
            all[n++] = (struct node_at){variant->build, 0};
        for (size_t k = 0; !variant->skip && k < variant->n_steps; k++)
            all[n++] = (struct node_at){variant->prefixes[k], 0};
    }
    qsort(all, n, sizeof *all, by_build);
    size_t distinct = 0;
    for (size_t i = 0; i < n; i++) {
        if (distinct == 0 || strcmp(all[distinct - 1].build, all[i].build) != 0)
            all[distinct++] = (struct node_at){all[i].build, SIZE_MAX};
    }
    /* in the order of the plan: a prefix is met before what goes on from it */
    for (size_t v = 0; v < plan->n_variants; v++) {
        const struct pare_variant *variant = &plan->variants[v];
        size_t parent = variant->is_baseline ? SIZE_MAX : 0;
        r->variants[v] = (struct pare_run_variant){.node = SIZE_MAX, .quality = (double)NAN};
        if (variant->skip)
            continue;
        for (size_t k = 0; k <= variant->n_steps; k++) {
            if (k == 0 && !variant->is_baseline)
                continue;
            const char *build = k ? variant->prefixes[k - 1] : variant->build;
            struct node_at *at = (struct node_at *)(uintptr_t)find_node(all, distinct, build);
            if (at->node == SIZE_MAX) {
                at->node = r->n_nodes++;
                r->nodes[at->node] = (struct pare_run_node){
                    .build = build,
                    .recipe = k ? variant->prefix_recipes[k - 1] : variant->recipe,
                    .parent = parent,
                    .step = k ? &variant->steps[k - 1] : NULL,
                    .variant = SIZE_MAX,
                    .n_steps = k,
                    .label = variant->label};
            }
            parent = at->node;
        }
        r->variants[v].node = parent;
        r->nodes[parent].variant = v;
        r->nodes[parent].label = variant->label;
    }
out:
    free(all);
    return rc;
}

/* ---- into the store
 * ------------------------------------------------------------------------------ */

static int store_steps(struct pare_runner *r, const struct pare_run_node *node,
                       const struct pare_variant *v, struct pare_store_step *out, char **texts,
                       struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t k = 0; k < node->n_steps; k++) {
        const struct pare_step *s = &v->steps[k];
        const struct pare_plugin *desc = &s->plugin->desc;
        json_t *on = json_array(), *except = json_array();
        for (size_t i = 0; s->on[i]; i++)
            json_array_append_new(on, json_string(s->on[i]));
        for (size_t i = 0; s->except[i]; i++)
            json_array_append_new(except, json_string(s->except[i]));
        json_t *units = json_pack("{s:o, s:o, s:s}", "on", on, "except", except, "propagate",
                                  s->compressed ? "compressed" : "original");
        texts[2 * k] = pare_canonical_text(s->params);
        texts[2 * k + 1] = pare_canonical_text(units);
        json_decref(units);
        if (!texts[2 * k] || !texts[2 * k + 1]) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
        out[k] = (struct pare_store_step){.stage = s->stage,
                                          .plugin = desc->id,
                                          .params = texts[2 * k],
                                          .units = texts[2 * k + 1]};
        PARE_TRY(pare_store_plugin(r->store, desc->id, desc->version, s->plugin->sha256,
                                   s->plugin->path, &out[k].plugin_id, err));
    }
out:
    return rc;
}

static int store_node(struct pare_runner *r, size_t at, struct pare_error *err)
{
    struct pare_run_node *node = &r->nodes[at];
    const struct pare_variant *v = NULL;
    struct pare_store_step *steps = pare_calloc(node->n_steps, sizeof *steps);
    char **texts = pare_calloc(2 * node->n_steps, sizeof *texts);
    int rc;
    for (size_t i = 0; i < r->plan->n_variants && !v; i++) {
        const struct pare_variant *x = &r->plan->variants[i];
        if (node->n_steps == 0 ? x->is_baseline
                               : !x->skip && x->n_steps >= node->n_steps &&
                                     strcmp(x->prefixes[node->n_steps - 1], node->build) == 0)
            v = x;
    }
    if (!steps || !texts) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(store_steps(r, node, v, steps, texts, err));
    struct pare_store_variant row = {
        .hash = node->build,
        .recipe = node->recipe,
        .model = r->pipeline->model_hash,
        .label = node->label,
        .parent = node->parent == SIZE_MAX ? NULL : r->nodes[node->parent].build,
        .steps = steps,
        .n_steps = node->n_steps};
    PARE_TRY(pare_store_variant(r->store, &row, &node->id, err));
out:
    for (size_t i = 0; texts && i < 2 * node->n_steps; i++)
        free(texts[i]);
    free(texts);
    free(steps);
    return rc;
}

static int store_members(struct pare_runner *r, struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        const struct pare_variant *variant = &r->plan->variants[v];
        size_t node = r->variants[v].node;
        int64_t id;
        if (node == SIZE_MAX) { /* skipped: a row nevertheless, with the reason */
            struct pare_store_variant row = {.hash = variant->build,
                                             .recipe = variant->recipe,
                                             .model = r->pipeline->model_hash,
                                             .label = variant->label};
            PARE_TRY(pare_store_variant(r->store, &row, &id, err));
        } else {
            id = r->nodes[node].id;
        }
        PARE_TRY(pare_store_member(r->store, r->pipeline_id, id, variant->label, v,
                                   variant->is_baseline, variant->skip, err));
    }
out:
    return rc;
}

static int store_data(struct pare_runner *r, const struct pare_data *data, const char *name,
                      struct pare_run_samples *out, struct pare_error *err)
{
    struct pare_str text = {0};
    *out = (struct pare_run_samples){.data = data, .n_looks = 1, .ends = {(size_t)data->n_samples}};
    if (data->n_samples == 0)
        return PARE_OK;
    pare_str_printf(&text, "%s", data->split ? data->split : name);
    int rc = text.failed ? pare_error_nomem(err, 0)
                         : pare_store_data(r->store, data->hash, text.data, (size_t)data->n_samples,
                                           NULL, &out->id, err);
    pare_str_free(&text);
    return rc;
}

static int store_metrics(struct pare_runner *r, struct pare_store_metric *out,
                         struct pare_error *err)
{
    const struct pare_pipeline *p = r->pipeline;
    int rc = PARE_OK;
    for (size_t i = 0; i < p->n_measures && rc == PARE_OK; i++) {
        const struct pare_measure *m = &p->measures[i];
        const struct pare_plugin *desc = &m->plugin->desc;
        out[i] = (struct pare_store_metric){.name = desc->id,
                                            .unit = desc->unit ? desc->unit : "1",
                                            .higher = pare_metric_higher(desc),
                                            .settings = m->settings,
                                            .key = m->key};
        rc = pare_store_plugin(r->store, desc->id, desc->version, m->plugin->sha256,
                               m->plugin->path, &out[i].plugin_id, err);
    }
    return rc;
}

static int store_pipeline(struct pare_runner *r, struct pare_error *err)
{
    const struct pare_pipeline *p = r->pipeline;
    struct pare_store_objective *objectives = pare_calloc(p->n_objectives, sizeof *objectives);
    struct pare_store_shape *shapes = pare_calloc(p->n_shapes, sizeof *shapes);
    char(*definitions)[PARE_SHAPE_TEXT] = pare_calloc(p->n_shapes, sizeof *definitions);
    struct pare_store_metric metrics[PARE_METRICS_MOST];
    char *source = NULL, *path = realpath(p->path, NULL); /* models are named relative to it */
    size_t size;
    int rc;
    if (!objectives || !shapes || !definitions) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_file_read(p->path, (size_t)16 << 20, &source, &size, err));
    PARE_TRY(store_metrics(r, metrics, err));
    for (size_t i = 0; i < p->n_objectives; i++)
        objectives[i] =
            (struct pare_store_objective){.metric = p->objectives[i].metric->name,
                                          .direction = p->objectives[i].metric->higher ? 1 : -1,
                                          .tolerance = p->objectives[i].tolerance,
                                          .relative = p->objectives[i].relative};
    for (size_t i = 0; i < p->n_shapes; i++) {
        pare_run_shape(&p->shapes[i], definitions[i]);
        shapes[i] =
            (struct pare_store_shape){.name = p->shapes[i].name, .definition = definitions[i]};
    }
    struct pare_store_pipeline row = {.name = p->name,
                                      .path = path ? path : p->path,
                                      .source = source,
                                      .seed = (int64_t)p->seed,
                                      .data_id = r->evaluate.id,
                                      .confirm_id = r->confirm.id,
                                      .objectives = objectives,
                                      .n_objectives = p->n_objectives,
                                      .constraints = p->constraint_texts,
                                      .n_constraints = p->n_constraints,
                                      .metrics = metrics,
                                      .n_metrics = p->n_measures,
                                      .shapes = shapes,
                                      .n_shapes = p->n_shapes};
    PARE_TRY(pare_store_pipeline(r->store, &row, &r->pipeline_id, err));
out:
    free(source);
    free(path);
    free(objectives);
    free(shapes);
    free(definitions);
    return rc;
}

static int store_host(struct pare_runner *r, struct pare_error *err)
{
    json_t *facts = pare_host_facts();
    char *text = json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS);
    struct pare_store_host host = {.cpu = json_string_value(json_object_get(facts, "cpu")),
                                   .isa = r->isa,
                                   .kernel = json_string_value(json_object_get(facts, "kernel")),
                                   .cores = r->cpus,
                                   .memory_bytes = (int64_t)r->memory,
                                   .facts = text};
    int rc = text ? pare_store_host(r->store, &host, &r->host_id, err) : pare_error_nomem(err, 0);
    free(text);
    json_decref(facts);
    return rc;
}

static int store_all(struct pare_runner *r, struct pare_error *err)
{
    int rc = pare_store_begin(r->store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(store_host(r, err));
    PARE_TRY(store_data(r, &r->pipeline->evaluate, "evaluate", &r->evaluate, err));
    PARE_TRY(store_data(r, &r->pipeline->confirm, "confirm", &r->confirm, err));
    PARE_TRY(store_pipeline(r, err));
    for (size_t i = 0; i < r->n_nodes; i++)
        PARE_TRY(store_node(r, i, err));
    PARE_TRY(store_members(r, err));
    PARE_TRY(pare_store_refresh(r->store, err));
    if (r->options->retry)
        PARE_TRY(pare_store_forgive(r->store, r->pipeline_id, err));
out:
    return pare_store_end(r->store, rc, err);
}

/* ---- what is there
 * ------------------------------------------------------------------------------- */

char *pare_run_folder(const char *database)
{
    struct pare_str s = {0};
    char *full = realpath(database, NULL);
    pare_str_printf(&s, "%s.d", full ? full : database);
    free(full);
    return pare_str_take(&s);
}

int pare_run_evaluated(struct pare_runner *r, size_t node, const struct pare_run_samples *samples,
                       bool *yes, struct pare_error *err)
{
    const struct pare_pipeline *p = r->pipeline;
    const int64_t id = r->nodes[node].id;
    int rc =
        pare_store_measured(r->store, id, pare_pipeline_quality(p), NULL, samples->id, yes, err);
    for (size_t i = 0; i < p->n_measures && rc == PARE_OK && *yes; i++)
        rc = pare_store_measured(r->store, id, p->measures[i].plugin->desc.id, p->measures[i].key,
                                 samples->id, yes, err);
    return rc;
}

static int locate(struct pare_runner *r, struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t i = 0; i < r->n_nodes; i++) {
        struct pare_str s = {0};
        pare_str_printf(&s, "%s/%s.safetensors", r->folder, r->nodes[i].build);
        r->nodes[i].path = pare_str_take(&s);
        if (!r->nodes[i].path)
            return pare_error_nomem(err, 0);
        /* a file alone is not enough: its maker may have outlived the run that was to record it */
        struct pare_store_tries tries;
        PARE_TRY(pare_store_tries(r->store, r->nodes[i].id, PARE_PHASE_BUILD, 0, &tries, err));
        if (tries.done && pare_file_exists(r->nodes[i].path))
            r->nodes[i].state = PARE_DONE;
    }
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        struct pare_run_variant *variant = &r->variants[v];
        if (variant->node == SIZE_MAX)
            continue;
        PARE_TRY(pare_run_evaluated(r, variant->node, &r->evaluate, &variant->evaluated, err));
    }
out:
    return rc;
}

void pare_run_need(struct pare_runner *r, size_t node)
{
    while (node != SIZE_MAX && r->nodes[node].state == PARE_WAITING && !r->nodes[node].needed) {
        r->nodes[node].needed = true;
        node = r->nodes[node].parent;
    }
}

uint64_t pare_run_memory(void)
{
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE), given;
    const char *text = getenv("PARE_MEMORY");
    return text && pare_parse_bytes(text, &given) ? PARE_MIN(all, given) : all;
}

/* Of a run that was killed, with its workers: nobody else writes here while the store is locked. */
static void remove_unfinished(const char *folder)
{
    const struct dirent *e;
    DIR *d = opendir(folder);
    while (d && (e = readdir(d))) {
        if (pare_ends_with(e->d_name, ".part"))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

int pare_run_prepare(struct pare_runner *r, struct pare_error *err)
{
    int rc;
    r->isa = pare_isa_name(pare_isa_best());
    r->cpus = pare_cpu_count();
    r->memory = pare_run_memory();
    r->folder = pare_run_folder(pare_store_path(r->store));
    if (!r->folder)
        return pare_error_nomem(err, 0);
    PARE_TRY(pare_make_folders(r->folder, err));
    remove_unfinished(r->folder);
    r->setup = pare_setup_new(&(struct pare_setup){.used = &r->pipeline->used,
                                                   .confine = !r->pipeline->limits.unconfined,
                                                   .reads = r->options->reads,
                                                   .writes = r->folder});
    if (!r->setup)
        return pare_error_nomem(err, 0);
    PARE_TRY(pare_hash_file(r->options->program, r->program_hash, err));
    PARE_TRY(make_nodes(r, err));
    PARE_TRY(store_all(r, err));
    PARE_TRY(locate(r, err));
out:
    return rc;
}

void pare_run_release(struct pare_runner *r)
{
    for (size_t i = 0; i < r->n_nodes; i++) {
        free(r->nodes[i].path);
        free(r->nodes[i].points);
    }
    free(r->evaluate.order);
    free(r->nodes);
    free(r->variants);
    free(r->folder);
    json_decref(r->setup);
}
