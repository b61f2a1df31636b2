/* SPDX-License-Identifier: Apache-2.0 */
/* What workers answered, into the store: one commit per built model and per evaluated one. */
#include "base/file.h"
#include "base/mem.h"
#include "base/stat.h"
#include "measure/spearman.h"
#include "pipeline/run_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t integer_of(const json_t *row, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(row, key));
}

static double real_of(const json_t *row, const char *key)
{
    const json_t *j = json_object_get(row, key);
    return json_is_number(j) ? json_number_value(j) : (double)NAN;
}

/* A figure without an error, of no samples. */
static int store_figure(struct pare_runner *r, int64_t variant, int64_t attempt, const char *metric,
                        const char *unit, const char *how, double value, struct pare_error *err)
{
    struct pare_store_measurement m = {.metric = metric,
                                       .unit = unit,
                                       .how = how,
                                       .value = value,
                                       .lo = (double)NAN,
                                       .hi = (double)NAN,
                                       .n = PARE_NONE};
    return pare_store_measure(r->store, variant, attempt, &m, err);
}

static int store_exact(struct pare_runner *r, int64_t variant, int64_t attempt,
                       const json_t *answer, struct pare_error *err)
{
    static const struct {
        const char *metric, *unit;
    } exact[] = {{"size_bytes", "B"}, {"macs", "1"}, {"parameters", "1"}};
    int rc = PARE_OK;
    for (size_t i = 0; rc == PARE_OK && i < PARE_COUNT(exact); i++)
        rc = store_figure(r, variant, attempt, exact[i].metric, exact[i].unit, "exact",
                          (double)integer_of(answer, exact[i].metric), err);
    return rc;
}

static int store_unit_values(struct pare_runner *r, int64_t variant, const json_t *list,
                             struct pare_error *err)
{
    size_t n = json_array_size(list);
    struct pare_store_unit_value *values = pare_calloc(n, sizeof *values);
    if (!values)
        return pare_error_nomem(err, n * sizeof *values);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(list, i);
        values[i] = (struct pare_store_unit_value){.stage = pare_message_text(row, "stage"),
                                                   .unit = pare_message_text(row, "unit"),
                                                   .role = pare_message_text(row, "role"),
                                                   .name = pare_message_text(row, "name"),
                                                   .value = real_of(row, "value"),
                                                   .score = real_of(row, "score"),
                                                   .bytes_before = integer_of(row, "bytes_before"),
                                                   .bytes_after = integer_of(row, "bytes_after"),
                                                   .macs_before = integer_of(row, "macs_before"),
                                                   .macs_after = integer_of(row, "macs_after")};
    }
    int rc = n ? pare_store_unit_values(r->store, variant, values, n, err) : PARE_OK;
    free(values);
    return rc;
}

/* By a path from the database's folder, so that both can be moved together. */
static int store_file(struct pare_runner *r, const struct pare_run_node *node, const json_t *answer,
                      struct pare_error *err)
{
    char *path = pare_path_join(pare_path_name(r->folder), pare_path_name(node->path));
    int rc = path ? pare_store_artifact(r->store, node->id, pare_message_text(answer, "sha256"),
                                        path, integer_of(answer, "bytes"), "pare", err)
                  : pare_error_nomem(err, 0);
    free(path);
    return rc;
}

/* Of the work that scores and measured allocations would have been: what stored activations leave,
 * and what ran because candidates were stopped early as well. */
static int store_probe_shares(struct pare_runner *r, int64_t variant, int64_t attempt,
                              const json_t *answer, struct pare_error *err)
{
    static const struct {
        const char *metric, *macs, *how;
    } shares[] = {{"probe_share", "macs_stored", "work of probes from stored activations"},
                  {"probe_share_racing", "macs_run", "and with beaten candidates stopped early"}};
    double naive = (double)integer_of(answer, "macs_naive");
    int rc = PARE_OK;
    for (size_t i = 0; rc == PARE_OK && naive > 0 && i < PARE_COUNT(shares); i++)
        rc = store_figure(r, variant, attempt, shares[i].metric, "1", shares[i].how,
                          (double)integer_of(answer, shares[i].macs) / naive, err);
    return rc;
}

int pare_commit_built(struct pare_runner *r, size_t at, int64_t attempt,
                      const struct pare_store_end *end, const json_t *answer,
                      struct pare_error *err)
{
    const struct pare_run_node *node = &r->nodes[at];
    int rc = pare_store_begin(r->store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(store_exact(r, node->id, attempt, answer, err));
    if (node->parent != SIZE_MAX)
        PARE_TRY(pare_store_inherit_units(r->store, node->id, r->nodes[node->parent].id, err));
    PARE_TRY(store_unit_values(r, node->id, json_object_get(answer, "unit_values"), err));
    PARE_TRY(store_file(r, node, answer, err));
    PARE_TRY(store_probe_shares(r, node->id, attempt, answer, err));
    PARE_TRY(pare_store_attempt_finish(r->store, attempt, end, err));
out:
    return pare_store_end(r->store, rc, err);
}

/* Outcomes came look by look; the store has them in the order of the data. */
static size_t place_of(const struct pare_run_samples *samples, size_t i)
{
    return samples->order ? samples->order[i] : i;
}

/* ---- what was evaluated ---- */

static struct pare_store_measurement share_right(const struct pare_run_variant *v,
                                                 const char *metric, size_t offset)
{
    size_t correct = 0;
    for (size_t i = 0; i < v->n_seen; i++) {
        int32_t said;
        memcpy(&said, (const char *)&v->seen[i] + offset, sizeof said);
        correct += said == v->seen[i].target;
    }
    const struct pare_interval ci = pare_stat_wilson(correct, v->n_seen, 0.95);
    return (struct pare_store_measurement){.metric = metric,
                                           .unit = "1",
                                           .how = "Wilson 95 %",
                                           .value = v->n_seen ? (double)correct / (double)v->n_seen
                                                              : (double)NAN,
                                           .lo = ci.lo,
                                           .hi = ci.hi,
                                           .n = (int64_t)v->n_seen};
}

/* The mean over windows of one number, at `offset` in an outcome, by Student's t. */
static struct pare_store_measurement mean_of(const struct pare_run_variant *v, const char *metric,
                                             const char *unit, size_t offset)
{
    double sum = 0, squares = 0, n = (double)v->n_seen;
    for (size_t i = 0; i < v->n_seen; i++) {
        float x;
        memcpy(&x, (const char *)&v->seen[i] + offset, sizeof x);
        sum += (double)x;
        squares += (double)x * (double)x;
    }
    const double mean = sum / n, variance = fmax(squares - n * mean * mean, 0) / (n - 1);
    const double half =
        n < 2 ? (double)NAN : pare_stat_t_quantile(0.975, n - 1) * sqrt(variance / n);
    return (struct pare_store_measurement){.metric = metric,
                                           .unit = unit,
                                           .how = "t over windows, 95 %",
                                           .value = mean,
                                           .lo = mean - half,
                                           .hi = mean + half,
                                           .n = (int64_t)v->n_seen};
}

/* What a variant was evaluated to be, on samples that the store knows. */
struct evaluated {
    struct pare_runner *r;
    struct pare_run_samples *samples;
    struct pare_run_variant *v;
    int64_t id; /* of the variant */
};

/* The samples' entry in the store, made with the first variant that tells their targets. */
static int store_samples(const struct evaluated *e, const int32_t *targets, struct pare_error *err)
{
    struct pare_run_samples *s = e->samples;
    if (s->targets_known)
        return PARE_OK;
    const int rc =
        pare_store_data(e->r->store, s->data->hash, s->data->split ? s->data->split : "evaluate",
                        e->v->n_seen, targets, &s->id, err);
    s->targets_known = rc == PARE_OK;
    return rc;
}

static int store_measurement(const struct evaluated *e, struct pare_store_measurement m,
                             struct pare_error *err)
{
    m.data_id = e->samples->id;
    return pare_store_measure(e->r->store, e->id, e->v->attempt, &m, err);
}

/* What plugins measured. */
static int store_measured(const struct evaluated *e, struct pare_error *err)
{
    const struct pare_pipeline *p = e->r->pipeline;
    int rc = PARE_OK;
    for (size_t i = 0; i < p->n_measures && rc == PARE_OK; i++) {
        const struct pare_measure *m = &p->measures[i];
        const char *unit = m->plugin->desc.unit;
        size_t n;
        const struct pare_interval x =
            pare_metric_mean(e->v->measured + i, e->v->n_seen, p->n_measures, &n);
        rc = store_measurement(e,
                               (struct pare_store_measurement){.metric = m->plugin->desc.id,
                                                               .key = m->key,
                                                               .unit = unit ? unit : "1",
                                                               .how = "normal 95 %",
                                                               .value = x.value,
                                                               .lo = x.lo,
                                                               .hi = x.hi,
                                                               .n = (int64_t)n},
                               err);
    }
    return rc;
}

/* Classes and choices. */
static int store_classes(const struct evaluated *e, struct pare_error *err)
{
    const size_t n = e->v->n_seen;
    int32_t *classes = pare_alloc(n, sizeof *classes), *targets = pare_alloc(n, sizeof *targets);
    float *losses = pare_alloc(n, sizeof *losses);
    int rc = classes && targets && losses ? PARE_OK : pare_error_nomem(err, n * sizeof *classes);
    for (size_t i = 0; rc == PARE_OK && i < n; i++) {
        const struct pare_run_outcome *o = &e->v->seen[i];
        size_t k = place_of(e->samples, i);
        classes[k] = o->predicted;
        targets[k] = o->target;
        losses[k] = o->nll;
    }
    PARE_TRY(rc);
    PARE_TRY(store_samples(e, targets, err));
    PARE_TRY(pare_store_outcome(e->r->store, e->id, e->samples->id, n, classes, losses, err));
    const struct pare_store_measurement top1 =
        share_right(e->v, "top1", offsetof(struct pare_run_outcome, predicted));
    e->v->quality = top1.value;
    PARE_TRY(store_measurement(e, top1, err));
    if (e->samples->data->task == PARE_TASK_CHOICES)
        rc = store_measurement(
            e, share_right(e->v, "acc_norm", offsetof(struct pare_run_outcome, normalised)), err);
out:
    free(classes);
    free(targets);
    free(losses);
    return rc;
}

/* The losses of single tokens, as the worker told them. */
static int store_tokens(const struct evaluated *e, struct pare_error *err)
{
    const json_t *list = json_object_get(e->v->tokens, "nll"),
                 *ends_list = json_object_get(e->v->tokens, "ends");
    const size_t n = json_array_size(list), n_ends = json_array_size(ends_list);
    float *nll = pare_alloc(n, sizeof *nll);
    uint32_t *ends = pare_alloc(n_ends, sizeof *ends);
    int rc = nll && ends ? PARE_OK : pare_error_nomem(err, n * sizeof *nll);
    for (size_t i = 0; rc == PARE_OK && i < n; i++)
        nll[i] = (float)json_number_value(json_array_get(list, i));
    for (size_t i = 0; rc == PARE_OK && i < n_ends; i++)
        ends[i] = (uint32_t)json_integer_value(json_array_get(ends_list, i));
    if (rc == PARE_OK && n)
        rc = pare_store_token_losses(e->r->store, e->id, e->samples->id, ends, n_ends, nll, n, err);
    free(nll);
    free(ends);
    return rc;
}

static int store_windows(const struct evaluated *e, struct pare_error *err)
{
    const struct pare_pipeline *p = e->r->pipeline;
    const struct pare_run_variant *v = e->v;
    struct pare_store_measurement all[] = {
        mean_of(v, "perplexity", "1", offsetof(struct pare_run_outcome, nll)),
        mean_of(v, "kl", "nat", offsetof(struct pare_run_outcome, divergence)),
        mean_of(v, "agreement", "1", offsetof(struct pare_run_outcome, agreement))};
    const bool wanted[] = {true, p->kl, p->agreement};
    float *losses = pare_alloc(v->n_seen, sizeof *losses);
    int rc = losses ? PARE_OK : pare_error_nomem(err, v->n_seen * sizeof *losses);
    for (size_t i = 0; rc == PARE_OK && i < v->n_seen; i++)
        losses[place_of(e->samples, i)] = v->seen[i].nll;
    PARE_TRY(rc);
    PARE_TRY(store_samples(e, NULL, err));
    PARE_TRY(pare_store_outcome(e->r->store, e->id, e->samples->id, v->n_seen, NULL, losses, err));
    PARE_TRY(store_tokens(e, err));
    all[0].value = e->v->quality = exp(all[0].value);
    all[0].lo = exp(all[0].lo);
    all[0].hi = exp(all[0].hi);
    for (size_t i = 0; i < PARE_COUNT(all) && rc == PARE_OK; i++)
        rc = wanted[i] ? store_measurement(e, all[i], err) : PARE_OK;
out:
    free(losses);
    return rc;
}

static int store_similarity(const struct evaluated *e, struct pare_error *err)
{
    const size_t n = e->v->n_seen;
    float *similarity = pare_alloc(n, sizeof *similarity), *part = pare_alloc(n, sizeof *part);
    double *score = pare_alloc(n, sizeof *score);
    struct pare_interval rho;
    int rc = similarity && part && score ? PARE_OK : pare_error_nomem(err, n * sizeof *score);
    for (size_t i = 0; rc == PARE_OK && i < n; i++) {
        similarity[place_of(e->samples, i)] = e->v->seen[i].similarity;
        score[place_of(e->samples, i)] = e->v->seen[i].score;
    }
    PARE_TRY(rc);
    PARE_TRY(pare_spearman(similarity, score, n, &rho, part, err));
    PARE_TRY(store_samples(e, NULL, err));
    PARE_TRY(
        pare_store_similarity(e->r->store, e->id, e->samples->id, n, score, similarity, part, err));
    e->v->quality = rho.value;
    rc = store_measurement(e,
                           (struct pare_store_measurement){.metric = "spearman",
                                                           .unit = "1",
                                                           .how = "bootstrap over pairs, 95 %",
                                                           .value = rho.value,
                                                           .lo = rho.lo,
                                                           .hi = rho.hi,
                                                           .n = (int64_t)n},
                           err);
out:
    free(similarity);
    free(part);
    free(score);
    return rc;
}

int pare_commit_evaluated(struct pare_runner *r, struct pare_run_samples *samples, size_t at,
                          const struct pare_store_end *end, struct pare_error *err)
{
    static int (*const tasks[])(const struct evaluated *,
                                struct pare_error *) = {[PARE_TASK_CLASSES] = store_classes,
                                                        [PARE_TASK_WINDOWS] = store_windows,
                                                        [PARE_TASK_CHOICES] = store_classes,
                                                        [PARE_TASK_SIMILARITY] = store_similarity};
    struct pare_run_variant *v = &r->variants[at];
    const struct evaluated e = {r, samples, v, r->nodes[v->node].id};
    int rc = pare_store_begin(r->store, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(tasks[samples->data->task](&e, err));
    PARE_TRY(store_measured(&e, err));
    PARE_TRY(pare_store_attempt_finish(r->store, v->attempt, end, err));
out:
    return pare_store_end(r->store, rc, err);
}
