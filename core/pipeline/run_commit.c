/* SPDX-License-Identifier: Apache-2.0 */
/* What workers answered, into the store: one commit per built model and per evaluated one. */
#include "base/file.h"
#include "base/mem.h"
#include "base/stat.h"
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

static struct pare_store_measurement share_right(const struct pare_run_variant *v)
{
    size_t correct = 0;
    for (size_t i = 0; i < v->n_seen; i++)
        correct += v->seen[i].predicted == v->seen[i].target;
    const struct pare_interval ci = pare_stat_wilson(correct, v->n_seen, 0.95);
    return (struct pare_store_measurement){.metric = "top1",
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

static int store_text(struct pare_runner *r, int64_t id, const struct pare_run_variant *v,
                      int64_t data_id, double *perplexity, struct pare_error *err)
{
    const struct pare_pipeline *p = r->pipeline;
    struct pare_store_measurement all[] = {
        mean_of(v, "perplexity", "1", offsetof(struct pare_run_outcome, nll)),
        mean_of(v, "kl", "nat", offsetof(struct pare_run_outcome, divergence)),
        mean_of(v, "agreement", "1", offsetof(struct pare_run_outcome, agreement))};
    const bool wanted[] = {true, p->kl, p->agreement};
    int rc = PARE_OK;
    all[0].value = *perplexity = exp(all[0].value);
    all[0].lo = exp(all[0].lo);
    all[0].hi = exp(all[0].hi);
    for (size_t i = 0; i < PARE_COUNT(all) && rc == PARE_OK; i++) {
        all[i].data_id = data_id;
        if (wanted[i])
            rc = pare_store_measure(r->store, id, v->attempt, &all[i], err);
    }
    return rc;
}

int pare_commit_evaluated(struct pare_runner *r, struct pare_run_samples *samples, size_t at,
                          const struct pare_store_end *end, struct pare_error *err)
{
    struct pare_run_variant *v = &r->variants[at];
    const bool text = r->pipeline->reads_text;
    int64_t id = r->nodes[v->node].id;
    size_t n = v->n_seen;
    int32_t *classes = pare_alloc(n, sizeof *classes), *targets = pare_alloc(n, sizeof *targets);
    float *losses = pare_alloc(n, sizeof *losses);
    int rc;
    if (!classes || !targets || !losses) {
        rc = pare_error_nomem(err, n * sizeof *classes);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        const struct pare_run_outcome *o = &v->seen[i];
        size_t k = place_of(samples, i);
        classes[k] = o->predicted;
        targets[k] = o->target;
        losses[k] = o->nll;
    }
    rc = pare_store_begin(r->store, err);
    if (rc != PARE_OK)
        goto done;
    if (!samples->targets_known)
        PARE_TRY(pare_store_data(r->store, samples->data->hash,
                                 samples->data->split ? samples->data->split : "evaluate", n,
                                 text ? NULL : targets, &samples->id, err));
    samples->targets_known = true;
    PARE_TRY(pare_store_outcome(r->store, id, samples->id, n, text ? NULL : classes, losses, err));
    if (text) {
        PARE_TRY(store_text(r, id, v, samples->id, &v->quality, err));
    } else {
        struct pare_store_measurement m = share_right(v);
        m.data_id = samples->id;
        v->quality = m.value;
        PARE_TRY(pare_store_measure(r->store, id, v->attempt, &m, err));
    }
    PARE_TRY(pare_store_attempt_finish(r->store, v->attempt, end, err));
out:
    rc = pare_store_end(r->store, rc, err);
done:
    free(classes);
    free(targets);
    free(losses);
    return rc;
}
