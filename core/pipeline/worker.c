/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/worker.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "kit/check.h"
#include "measure/data_json.h"
#include "measure/measure.h"
#include "pipeline/child.h"
#include "pipeline/plan.h"
#include "pipeline/setup.h"
#include "pipeline/spec_env.h"
#include "plugin/metric.h"
#include "plugin/stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEARTBEAT_S 0.5

/* A worker and what it keeps between jobs: the last model and the last data set. */
struct worker {
    struct pare_message_reader reader;
    struct pare_catalog *catalog;
    struct pare_model *model;
    char *model_path;
    struct pare_model *baseline; /* the untouched model, for what compares with it */
    struct pare_dataset *data;
    char *data_key; /* its specification and the model's preprocessing, as text */
    struct pare_bench *bench;
    json_t *unit_values;
    struct measuring *measuring; /* the metrics of the evaluation under way */
    struct pare_error refused;   /* why there is no setup, or none that could be followed; status 0:
                                    it was */
    double last_beat;
    double cpu_before;
    bool local; /* no parent: in the process of a command */
};

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void tell(const struct worker *w, json_t *message)
{
    struct pare_error ignored; /* a parent that is gone shows at the next wait */
    if (!w->local) {
        pare_message_send(PARE_CHILD_FD, message, &ignored);
        return;
    }
    if (strcmp(pare_message_text(message, "type"), "log") == 0)
        fprintf(stderr, "%s\n", pare_message_text(message, "text"));
    json_decref(message);
}

/* Add what every answer tells of the process. */
static json_t *with_cost(struct worker *w, json_t *answer)
{
    if (answer) {
        json_object_set_new(answer, "cpu_seconds", json_real(cpu_seconds() - w->cpu_before));
        json_object_set_new(answer, "peak_rss_bytes", json_integer((json_int_t)pare_peak_rss()));
    }
    return answer;
}

/* ---- signs of life
 * ------------------------------------------------------------------------------- */

static void beat(struct worker *w, double share)
{
    double now = pare_clock_seconds();
    if (now - w->last_beat < HEARTBEAT_S)
        return;
    w->last_beat = now;
    tell(w, json_pack("{s:s, s:f}", "type", "progress", "share", share));
}

/* Asked often by long work: not cancelled (the parent kills), but alive. */
static bool stage_cancelled(void *user)
{
    beat(user, -1);
    return false;
}

static void stage_progress(void *user, double share)
{
    beat(user, share);
}

static void stage_log(void *user, int level, const char *text)
{
    const struct worker *w = user;
    tell(w, json_pack("{s:s, s:i, s:s}", "type", "log", "level", level, "text", text));
}

static int eval_progress(void *user, uint32_t done)
{
    struct worker *w = user;
    beat(w, (double)done / (double)PARE_MAX(1u, pare_dataset_size(w->data)));
    return 0;
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static void stage_record(void *user, const struct pare_unit_value *v)
{
    struct worker *w = user;
    json_array_append_new(
        w->unit_values,
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I}", "stage", v->stage, "unit",
                  v->unit, "role", v->role, "name", v->name, "value", number_or_null(v->value),
                  "score", number_or_null(v->score), "bytes_before", (json_int_t)v->bytes_before,
                  "bytes_after", (json_int_t)v->bytes_after, "macs_before",
                  (json_int_t)v->macs_before, "macs_after", (json_int_t)v->macs_after));
}

/* ---- what jobs share
 * ----------------------------------------------------------------------------- */

static int open_model(struct worker *w, const char *path, struct pare_error *err)
{
    int rc = PARE_OK;
    if (w->model && strcmp(w->model_path, path) == 0)
        return PARE_OK;
    pare_bench_free(w->bench);
    w->bench = NULL;
    pare_model_free(w->model);
    w->model = NULL;
    free(w->model_path);
    w->model_path = pare_strdup(path);
    if (!w->model_path)
        return pare_error_nomem(err, 0);
    PARE_TRY(pare_model_open(path, &w->model, err));
out:
    return rc;
}

/* The data set of a job; NULL in w->data when the job names none. */
static int open_data(struct worker *w, const json_t *job, struct pare_error *err)
{
    const json_t *spec_json = json_object_get(job, "data");
    struct pare_data_spec spec;
    json_t *both = NULL;
    char *key = NULL;
    int rc = PARE_OK;
    if (!json_is_object(spec_json)) {
        pare_dataset_close(w->data);
        w->data = NULL;
        free(w->data_key);
        w->data_key = NULL;
        return PARE_OK;
    }
    both = json_pack("[O, o]", spec_json, pare_preprocess_json(&w->model->preprocess));
    key = json_dumps(both, JSON_COMPACT | JSON_SORT_KEYS);
    if (!key) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    if (w->data && strcmp(key, w->data_key) == 0)
        goto out;
    pare_dataset_close(w->data);
    w->data = NULL;
    PARE_TRY(pare_data_spec_from_json(spec_json, &spec, err));
    PARE_TRY(pare_dataset_open(&spec, w->model, &w->data, err));
    free(w->data_key);
    w->data_key = key;
    key = NULL;
out:
    free(key);
    json_decref(both);
    return rc;
}

static uint32_t threads_of(const json_t *job)
{
    double n = pare_message_number(job, "threads");
    return n >= 1 && n <= 1024 ? (uint32_t)n : 1;
}

static uint32_t batch_of(const json_t *job)
{
    double n = pare_message_number(job, "batch");
    return n >= 1 && n <= 65536 ? (uint32_t)n : 1;
}

/* The points at which the model can be started, for "points". NULL: no memory. */
static json_t *list_points(const struct pare_graph *graph)
{
    struct pare_point *points;
    struct pare_error ignored;
    size_t n;
    if (pare_graph_reads_text(graph)) /* windows are read through a cache, from their beginning */
        return json_array();
    if (pare_graph_points(graph, &points, &n, &ignored) != PARE_OK)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "key", points[i].key, "macs",
                                              (json_int_t)points[i].macs, "floats",
                                              (json_int_t)pare_point_floats(&points[i])));
    free(points);
    return list;
}

/* ---- build
 * --------------------------------------------------------------------------------------- */

struct samples {
    float *images;
    uint32_t *labels;
    uint32_t n;
};

static int read_samples(struct worker *w, struct samples *s, struct pare_error *err)
{
    const struct pare_graph *g = w->model->graph;
    size_t pixels = w->data && pare_dataset_windows(w->data) ? pare_dataset_window(w->data)
                                                             : pare_graph_inputs(g);
    int rc = PARE_OK;
    *s = (struct samples){.n = w->data ? pare_dataset_size(w->data) : 0};
    if (s->n == 0)
        return PARE_OK;
    s->images = pare_alloc((size_t)s->n * pixels, sizeof *s->images);
    s->labels = pare_alloc(s->n, sizeof *s->labels);
    if (!s->images || !s->labels)
        return pare_error_nomem(err, s->n * pixels * sizeof *s->images);
    PARE_TRY(pare_dataset_read(w->data, 0, s->n, s->images, s->labels, err));
    if (!pare_dataset_has_labels(w->data)) {
        free(s->labels);
        s->labels = NULL;
    }
out:
    return rc;
}

static int open_baseline(struct worker *w, const json_t *job, struct pare_error *err)
{
    return w->baseline ? PARE_OK
                       : pare_model_open(pare_message_text(job, "baseline"), &w->baseline, err);
}

static int job_build(struct worker *w, const json_t *job, json_t **answer, struct pare_error *err)
{
    struct pare_spec_env find = pare_catalog_env(w->catalog);
    const char *out_path = pare_message_text(job, "out");
    struct pare_steps steps = {0};
    struct pare_graph *graph = NULL, *baseline = NULL;
    struct pare_model *built = NULL;
    struct samples s = {0};
    struct pare_map map = {0};
    char sha256[PARE_HASH_HEX];
    int rc;
    PARE_TRY(open_model(w, pare_message_text(job, "model"), err));
    PARE_TRY(open_data(w, job, err));
    PARE_TRY(read_samples(w, &s, err));
    PARE_TRY(pare_steps_from_json(json_object_get(job, "steps"), &find, &steps, err));
    PARE_TRY(open_baseline(w, job, err));
    PARE_TRY(pare_graph_copy(w->model->graph, &graph, err));
    const uint32_t length = graph->length;
    if (w->data && pare_dataset_windows(w->data)) { /* calibration sees whole windows */
        PARE_TRY(pare_graph_copy(w->baseline->graph, &baseline, err));
        PARE_TRY(pare_graph_set_length(baseline, pare_dataset_window(w->data), err));
        PARE_TRY(pare_graph_set_length(graph, pare_dataset_window(w->data), err));
    }
    struct pare_stage_env env = {.baseline = baseline ? baseline : w->baseline->graph,
                                 .catalog = w->catalog,
                                 .images = s.images,
                                 .labels = s.labels,
                                 .n = s.n,
                                 .seed = (uint64_t)json_integer_value(json_object_get(job, "seed")),
                                 .threads = threads_of(job),
                                 .cancelled = stage_cancelled,
                                 .log = stage_log,
                                 .progress = stage_progress,
                                 .record = stage_record,
                                 .user = w};
    for (size_t i = 0; i < steps.n; i++) {
        tell(w, json_pack("{s:s, s:s, s:s}", "type", "stage", "stage", steps.items[i].stage,
                          "plugin", steps.items[i].plugin->desc.id));
        PARE_TRY(pare_stage_apply(&env, graph, &steps.items[i], err));
    }
    if (baseline)
        PARE_TRY(pare_graph_set_length(graph, length, err));
    rc = pare_model_with_graph(w->model, graph, &built, err);
    graph = NULL;
    if (rc != PARE_OK)
        goto out;
    PARE_TRY(pare_model_write(built, out_path, json_object_get(job, "about"), err));
    PARE_TRY(pare_map_open(out_path, &map, err));
    pare_hash_bytes(map.data, map.size, sha256);
    *answer =
        json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:O, s:I, s:I, s:I, s:o}", "type", "built",
                  "bytes", (json_int_t)map.size, "sha256", sha256, "parameters",
                  (json_int_t)pare_graph_parameters(built->graph), "macs",
                  (json_int_t)pare_graph_macs(built->graph), "size_bytes",
                  (json_int_t)pare_graph_bytes(built->graph), "unit_values", w->unit_values,
                  "macs_run", (json_int_t)env.macs_run, "macs_stored", (json_int_t)env.macs_stored,
                  "macs_naive", (json_int_t)env.macs_naive, "points", list_points(built->graph));
out:
    pare_map_close(&map);
    pare_steps_free(&steps);
    pare_graph_free(graph);
    pare_graph_free(baseline);
    pare_model_free(built);
    free(s.images);
    free(s.labels);
    return rc;
}

/* ---- eval
 * ---------------------------------------------------------------------------------------- */

static json_t *list_u32(const uint32_t *x, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, x[i] == UINT32_MAX ? json_null() : json_integer(x[i]));
    return list;
}

static json_t *list_f32(const float *x, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, number_or_null((double)x[i]));
    return list;
}

/* Models that were built by an earlier run: what their making would have told. */
static int job_points(struct worker *w, const json_t *job, json_t **answer, struct pare_error *err)
{
    int rc = open_model(w, pare_message_text(job, "model"), err);
    if (rc == PARE_OK)
        *answer = json_pack("{s:s, s:I, s:o}", "type", "points", "macs",
                            (json_int_t)pare_graph_macs(w->model->graph), "points",
                            list_points(w->model->graph));
    return rc;
}

/* What a job says of an evaluation besides the model: which samples, and files of activations. */
struct part {
    struct pare_point *points;
    size_t n_points;
    struct pare_stored from, *keep;
    size_t n_keep;
    bool *kept;
    uint32_t *samples;
};

static void part_free(struct part *p)
{
    free(p->points);
    free(p->keep);
    free(p->kept);
    free(p->samples);
}

static bool take_stored(const struct part *p, const json_t *row, struct pare_stored *out)
{
    for (size_t i = 0; i < p->n_points; i++) {
        if (strcmp(p->points[i].key, pare_message_text(row, "key")) != 0)
            continue;
        *out = (struct pare_stored){pare_message_text(row, "path"), &p->points[i]};
        return true;
    }
    return false;
}

static int take_part(struct worker *w, const json_t *job, struct part *p, struct pare_evaluation *e,
                     struct pare_error *err)
{
    const json_t *from = json_object_get(job, "from"), *keep = json_object_get(job, "keep"),
                 *samples = json_object_get(job, "samples");
    size_t n = json_array_size(samples), n_keep = json_array_size(keep);
    p->samples = pare_alloc(n, sizeof *p->samples);
    p->keep = pare_calloc(n_keep, sizeof *p->keep);
    p->kept = pare_calloc(n_keep, sizeof *p->kept);
    if (!p->samples || !p->keep || !p->kept)
        return pare_error_nomem(err, n * sizeof *p->samples);
    if (from || n_keep) {
        int rc = pare_graph_points(w->model->graph, &p->points, &p->n_points, err);
        if (rc != PARE_OK)
            return rc;
    }
    if (from && take_stored(p, from, &p->from))
        e->from = &p->from;
    for (size_t i = 0; i < n_keep; i++)
        p->n_keep += take_stored(p, json_array_get(keep, i), &p->keep[p->n_keep]);
    e->keep = p->keep;
    e->n_keep = p->n_keep;
    e->kept = p->kept;
    if (!json_is_array(samples))
        return PARE_OK;
    for (size_t i = 0; i < n; i++)
        p->samples[i] = (uint32_t)json_integer_value(json_array_get(samples, i));
    e->samples = p->samples;
    e->n_samples = (uint32_t)n;
    return PARE_OK;
}

/* ---- metrics of plugins ---- */

struct measuring {
    struct pare_stage_env env;
    const struct pare_plugin_file *plugins[PARE_METRICS_MOST];
    const json_t *params[PARE_METRICS_MOST];
    double *values[PARE_METRICS_MOST]; /* of every sample that is evaluated */
    size_t n;
};

/* The plugin that the job was planned with. */
static int find_metric(struct worker *w, const json_t *row, const struct pare_plugin_file **out,
                       struct pare_error *err)
{
    const char *path = pare_message_text(row, "plugin");
    int rc = pare_catalog_find(w->catalog, path, NULL, out, err);
    if (rc == PARE_OK && strcmp((*out)->sha256, pare_message_text(row, "sha256")) != 0)
        rc =
            pare_error_set(err, PARE_FAILED, "plugin %s has changed since the plan was made", path);
    else if (rc == PARE_OK && (*out)->desc.kind != PARE_METRIC)
        rc = pare_error_set(err, PARE_INVALID, "plugin '%s' is no metric", (*out)->desc.id);
    return rc;
}

static int take_metrics(struct worker *w, const json_t *job, uint32_t n, struct measuring *m,
                        struct pare_error *err)
{
    const json_t *row;
    size_t i;
    int rc = PARE_OK;
    m->env = (struct pare_stage_env){.catalog = w->catalog,
                                     .threads = threads_of(job),
                                     .cancelled = stage_cancelled,
                                     .log = stage_log,
                                     .progress = stage_progress,
                                     .user = w};
    json_array_foreach(json_object_get(job, "metrics"), i, row)
    {
        if (i == PARE_METRICS_MOST)
            return pare_error_set(err, PARE_INVALID, "more than %u metrics", PARE_METRICS_MOST);
        PARE_TRY(find_metric(w, row, &m->plugins[i], err));
        m->params[i] = json_object_get(row, "params");
        m->values[i] = pare_alloc(n, sizeof *m->values[i]);
        if (!m->values[i])
            return pare_error_nomem(err, n * sizeof *m->values[i]);
        m->n++;
    }
    w->measuring = m;
out:
    return rc;
}

static int eval_outputs(void *user, const struct pare_outputs *outputs, uint32_t first,
                        struct pare_error *err)
{
    struct measuring *m = ((struct worker *)user)->measuring;
    int rc = PARE_OK;
    for (size_t i = 0; i < m->n && rc == PARE_OK; i++)
        rc = pare_metric_measure(&m->env, m->plugins[i], m->params[i], outputs,
                                 m->values[i] + first, err);
    return rc;
}

/* A list for each metric, in the job's order. */
static json_t *list_metrics(const struct measuring *m, uint32_t n)
{
    json_t *lists = json_array();
    for (size_t i = 0; i < m->n; i++) {
        json_t *list = json_array();
        for (uint32_t k = 0; k < n; k++)
            json_array_append_new(list, number_or_null(m->values[i][k]));
        json_array_append_new(lists, list);
    }
    return lists;
}

static void measuring_end(struct worker *w, struct measuring *m)
{
    for (size_t i = 0; i < PARE_METRICS_MOST; i++)
        free(m->values[i]);
    w->measuring = NULL;
}

/* What only some kinds of samples have. */
static void add_outcomes(json_t *answer, const struct pare_outcomes *o)
{
    if (o->divergence) {
        json_object_set_new(answer, "divergence", list_f32(o->divergence, o->n));
        json_object_set_new(answer, "agreement", list_f32(o->agreement, o->n));
    }
    if (o->normalised)
        json_object_set_new(answer, "normalised", list_u32(o->normalised, o->n));
    if (o->similarity) {
        json_t *score = json_array();
        for (uint32_t i = 0; i < o->n; i++)
            json_array_append_new(score, json_real(o->score[i]));
        json_object_set_new(answer, "similarity", list_f32(o->similarity, o->n));
        json_object_set_new(answer, "score", score);
    }
    if (o->token_nll)
        json_object_set_new(answer, "tokens",
                            json_pack("{s:o, s:o}", "nll", list_f32(o->token_nll, o->n_tokens),
                                      "ends", list_u32(o->token_ends, o->n)));
}

static int job_eval(struct worker *w, const json_t *job, json_t **answer, struct pare_error *err)
{
    struct pare_outcomes o = {0};
    struct part part = {0};
    struct measuring measuring = {0};
    json_t *kept = NULL;
    int rc;
    PARE_TRY(open_model(w, pare_message_text(job, "model"), err));
    PARE_TRY(open_data(w, job, err));
    if (!w->data) {
        rc = pare_error_set(err, PARE_INVALID, "an evaluation without data");
        goto out;
    }
    struct pare_evaluation e = {.graph = w->model->graph,
                                .data = w->data,
                                .batch = batch_of(job),
                                .threads = threads_of(job),
                                .progress = eval_progress,
                                .user = w};
    PARE_TRY(take_part(w, job, &part, &e, err));
    if (json_is_true(json_object_get(job, "beside"))) {
        PARE_TRY(open_baseline(w, job, err));
        e.baseline = w->baseline->graph;
    }
    PARE_TRY(take_metrics(w, job, e.samples ? e.n_samples : pare_dataset_size(w->data), &measuring,
                          err));
    e.outputs = measuring.n ? eval_outputs : NULL;
    PARE_TRY(pare_evaluate_part(&e, &o, err));
    kept = json_array();
    for (size_t i = 0; i < e.n_keep; i++) {
        if (e.kept[i])
            json_array_append_new(kept, json_string(e.keep[i].path));
    }
    *answer = json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:s, s:I, s:O}", "type", "evaluated", "n",
                        (json_int_t)o.n, "correct", (json_int_t)o.correct, "target",
                        list_u32(o.target, o.n), "predicted", list_u32(o.predicted, o.n), "nll",
                        list_f32(o.nll, o.n), "first_logits", o.first_logits, "spared",
                        (json_int_t)(e.started ? e.from->point->macs : 0), "kept", kept);
    if (*answer)
        add_outcomes(*answer, &o);
    if (*answer && measuring.n)
        json_object_set_new(*answer, "metrics", list_metrics(&measuring, o.n));
out:
    measuring_end(w, &measuring);
    json_decref(kept);
    pare_outcomes_free(&o);
    part_free(&part);
    return rc;
}

/* ---- bench
 * --------------------------------------------------------------------------------------- */

static int job_bench(struct worker *w, const json_t *job, json_t **answer, struct pare_error *err)
{
    int rc;
    PARE_TRY(open_model(w, pare_message_text(job, "model"), err));
    PARE_TRY(open_data(w, job, err));
    pare_bench_free(w->bench);
    w->bench = NULL;
    struct pare_bench_shape shape = {.batch = batch_of(job), .threads = threads_of(job)};
    const json_t *prefill = json_object_get(job, "prefill"),
                 *decode = json_object_get(job, "decode");
    if (prefill || decode) {
        shape.phase = prefill ? PARE_BENCH_PREFILL : PARE_BENCH_DECODE;
        shape.tokens = (uint32_t)json_integer_value(prefill ? prefill : decode);
        shape.depth = (uint32_t)json_integer_value(json_object_get(job, "depth"));
    }
    PARE_TRY(pare_bench_new(w->model->graph, w->data, &shape, &w->bench, err));
    *answer = json_pack("{s:s}", "type", "ready");
out:
    return rc;
}

static int job_visit(struct worker *w, const json_t *job, json_t **answer, struct pare_error *err)
{
    struct pare_visit v;
    int rc;
    (void)job;
    if (!w->bench)
        return pare_error_set(err, PARE_INVALID, "a visit without a bench");
    PARE_TRY(pare_bench_visit(w->bench, &v, err));
    *answer = json_pack("{s:s, s:o, s:I, s:f, s:f, s:f, s:s}", "type", "visited", "ns",
                        list_u32(v.ns, v.n), "nivcsw", (json_int_t)v.nivcsw, "steal", v.steal,
                        "load1", v.load1, "mhz", v.mhz, "first_logits", v.first_logits);
out:
    return rc;
}

/* ---- check
 * --------------------------------------------------------------------------------------- */

static int job_check(struct worker *w, const json_t *job, json_t **answer, struct pare_error *err)
{
    struct pare_check_result result;
    (void)w;
    int rc = pare_check_here(pare_message_text(job, "plugin"), pare_message_text(job, "check"),
                             &result, err);
    if (rc == PARE_OK)
        *answer = json_pack("{s:s, s:s, s:s}", "type", "checked", "level",
                            pare_check_level_name(result.level), "text", result.text);
    return rc;
}

/* ---- the loop
 * ------------------------------------------------------------------------------------ */

/* What its supervisor asks before it loads a plugin itself. */
static int job_inspect(struct worker *w, const json_t *job, json_t **answer, struct pare_error *err)
{
    const struct pare_plugin_file *file;
    int rc = pare_catalog_find(w->catalog, pare_message_text(job, "plugin"), NULL, &file, err);
    if (rc == PARE_OK)
        *answer = json_pack("{s:s}", "type", "inspected");
    return rc;
}

static const struct {
    const char *type;
    int (*run)(struct worker *, const json_t *, json_t **, struct pare_error *);
} jobs[] = {
    {"build", job_build}, {"points", job_points}, {"eval", job_eval},       {"bench", job_bench},
    {"visit", job_visit}, {"check", job_check},   {"inspect", job_inspect},
};

static int do_job(struct worker *w, const json_t *job, json_t **answer, struct pare_error *err)
{
    const char *type = pare_message_text(job, "type");
    if (w->refused.status != PARE_OK) {
        *err = w->refused;
        return err->status;
    }
    w->cpu_before = cpu_seconds();
    json_array_clear(w->unit_values);
    for (size_t i = 0; i < PARE_COUNT(jobs); i++) {
        if (strcmp(jobs[i].type, type) == 0) {
            int rc = jobs[i].run(w, job, answer, err);
            return rc == PARE_OK && !*answer ? pare_error_nomem(err, 0) : rc;
        }
    }
    return pare_error_set(err, PARE_INVALID, "a job of type '%s' is not known", type);
}

static void serve(struct worker *w, const json_t *job)
{
    struct pare_error err = {0};
    json_t *answer = NULL;
    if (strcmp(pare_message_text(job, "type"), "setup") == 0) {
        w->refused.status = PARE_OK;
        pare_setup_follow(job, &w->refused);
        return;
    }
    if (do_job(w, job, &answer, &err) != PARE_OK) {
        json_decref(answer);
        answer = pare_message_failure(&err);
    }
    tell(w, with_cost(w, answer));
}

static void release(struct worker *w)
{
    pare_bench_free(w->bench);
    pare_dataset_close(w->data);
    pare_model_free(w->model);
    pare_model_free(w->baseline);
    free(w->model_path);
    free(w->data_key);
    json_decref(w->unit_values);
    pare_str_free(&w->reader.bytes);
    pare_catalog_free(w->catalog);
}

int pare_worker_do(const json_t *job, json_t **answer, struct pare_error *err)
{
    struct worker w = {.unit_values = json_array(), .local = true};
    int rc;
    pare_flush_denormals();
    rc = pare_catalog_new(&w.catalog, err);
    if (rc == PARE_OK)
        rc = do_job(&w, job, answer, err);
    release(&w);
    return rc;
}

int pare_worker_main(void)
{
    struct worker w = {.unit_values = json_array()};
    struct pare_error err;
    json_t *job;
    pare_child_end_with_parent();
    int rc = pare_catalog_new(&w.catalog, &err);
    pare_error_set(&w.refused, PARE_INVALID, "a job before the setup");
    while (rc == PARE_OK) {
        rc = pare_message_wait(&w.reader, PARE_CHILD_FD, &job, &err);
        if (rc == PARE_OK) {
            serve(&w, job);
            json_decref(job);
        }
    }
    release(&w);
    return rc == PARE_NOT_FOUND ? 0 : 1; /* the parent closed: all done */
}
