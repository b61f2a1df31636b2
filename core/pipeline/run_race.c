/* SPDX-License-Identifier: Apache-2.0 */
/* Racing: evaluations in looks over more and more samples; after each the variants that are beaten,
 * or out of bounds, beyond doubt are stopped. All go together from look to look, so that who is
 * stopped depends on outcomes and times alone, not on who was faster. */
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "pipeline/run_parts.h"
#include "select/race.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_LOOK                                                                                 \
    500 /* samples, or a sixteenth of them, whichever are more; then twice as many                 \
         */
#define RACING                                                                                     \
    "racing: " /* how the reason of a stopped attempt begins: running again leaves it              \
                */

/* ---- before
 * ------------------------------------------------------------------------------------- */

static int recall_row(void *user, const struct pare_row *row, struct pare_error *err)
{
    struct pare_runner *r = user;
    (void)err;
    if (!row->values || row->values[0].type != PARE_VALUE_TEXT)
        return PARE_OK;
    size_t v = pare_run_variant(r, row->values[0].text);
    if (v != SIZE_MAX && !r->variants[v].evaluated) {
        r->variants[v].stopped = !r->options->retry;
        r->variants[v].completed = r->options->retry;
    }
    return PARE_OK;
}

int pare_race_recall(struct pare_runner *r, struct pare_error *err)
{
    char data[32];
    const struct pare_argument arg = {"data", data};
    snprintf(data, sizeof data, "%lld", (long long)r->evaluate.id);
    return pare_store_query(
        r->store,
        "SELECT v.hash FROM attempt a JOIN variant v ON v.variant_id = a.variant_id "
        "WHERE a.phase = 'eval' AND a.data_id = CAST(:data AS INTEGER) AND a.state = 'stopped' "
        "AND a.reason LIKE '" RACING "%' AND a.attempt_id = (SELECT max(b.attempt_id) FROM attempt "
        "b WHERE b.variant_id = a.variant_id AND b.phase = 'eval' AND b.data_id = a.data_id)",
        &arg, 1, recall_row, r, err);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* A data set may be sorted: its samples are shuffled over the looks, and sorted within each. */
static int make_looks(struct pare_run_samples *s, uint64_t seed, struct pare_error *err)
{
    size_t n = s->ends[s->n_looks - 1], end = PARE_MAX(n / 16, (size_t)FIRST_LOOK);
    struct pare_random random;
    free(s->order);
    s->order = pare_alloc(n, sizeof *s->order);
    if (!s->order)
        return pare_error_nomem(err, n * sizeof *s->order);
    for (size_t i = 0; i < n; i++)
        s->order[i] = (uint32_t)i;
    pare_random_seed(&random, seed);
    pare_random_shuffle(&random, s->order, n);
    s->n_looks = 0;
    for (size_t from = 0; from < n; from = s->ends[s->n_looks++], end *= 2) {
        s->ends[s->n_looks] = end >= n || s->n_looks + 1 == PARE_LOOKS_MOST ? n : end;
        qsort(s->order + from, s->ends[s->n_looks] - from, sizeof *s->order, by_number);
    }
    return PARE_OK;
}

/* ---- outcomes that a cut race leaves behind
 * --------------------------------------------------------- */

/* Which samples a file of outcomes is of, and which metrics of plugins; the outcomes follow, then
 * what the plugins measured. */
struct seen_head {
    char data[PARE_HASH_HEX - 1], metrics[PARE_HASH_HEX - 1];
    uint64_t seed, n; /* samples in all */
};

static struct seen_head head_of(const struct pare_runner *r, const struct pare_run_samples *s)
{
    struct seen_head h = {.seed = r->pipeline->seed, .n = s->ends[s->n_looks - 1]};
    struct pare_hash hash;
    char hex[PARE_HASH_HEX];
    pare_hash_begin(&hash);
    for (size_t i = 0; i < r->pipeline->n_measures; i++)
        pare_hash_text(&hash, r->pipeline->measures[i].key);
    pare_hash_end(&hash, hex);
    memcpy(h.data, s->data->hash, sizeof h.data);
    memcpy(h.metrics, hex, sizeof h.metrics);
    return h;
}

/* Bytes of what plugins measured of n samples. */
static size_t measured_size(const struct pare_runner *r, size_t n)
{
    return n * r->pipeline->n_measures * sizeof(double);
}

static char *seen_path(const struct pare_runner *r, size_t v)
{
    struct pare_str path = {0};
    pare_str_printf(&path, "%s/%s.seen", r->folder, r->plan->variants[v].build);
    return pare_str_take(&path);
}

int pare_race_save(struct pare_runner *r, const struct pare_run_samples *samples, size_t v,
                   struct pare_error *err)
{
    const struct pare_run_variant *variant = &r->variants[v];
    const struct seen_head head = head_of(r, samples);
    struct pare_str bytes = {0};
    char *path = seen_path(r, v);
    int rc = PARE_OK;
    if (!path) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    if (variant->n_seen == head.n) { /* all of it is in the store */
        unlink(path);
        goto out;
    }
    pare_str_append_n(&bytes, (const char *)&head, sizeof head);
    pare_str_append_n(&bytes, (const char *)variant->seen, variant->n_seen * sizeof *variant->seen);
    if (r->pipeline->n_measures)
        pare_str_append_n(&bytes, (const char *)variant->measured,
                          measured_size(r, variant->n_seen));
    if (bytes.failed) {
        rc = pare_error_nomem(err, variant->n_seen * sizeof *variant->seen);
        goto out;
    }
    PARE_TRY(pare_file_write(path, bytes.data, bytes.len, err));
out:
    free(path);
    pare_str_free(&bytes);
    return rc;
}

/* Go on from the last look that a variant was seen in, if it was one of these. */
static int load(struct pare_runner *r, const struct pare_run_samples *samples, size_t v,
                struct pare_error *err)
{
    struct pare_run_variant *variant = &r->variants[v];
    const struct seen_head head = head_of(r, samples);
    struct pare_error ignored;
    char *path = seen_path(r, v), *bytes = NULL;
    size_t size;
    int rc = path ? PARE_OK : pare_error_nomem(err, 0);
    const size_t most = sizeof head + head.n * sizeof *variant->seen + measured_size(r, head.n);
    if (rc != PARE_OK || pare_file_read(path, most, &bytes, &size, &ignored) != PARE_OK)
        goto out;
    for (size_t look = 0; look + 1 < samples->n_looks; look++) {
        const size_t n = samples->ends[look], seen = n * sizeof *variant->seen;
        if (size != sizeof head + seen + measured_size(r, n) ||
            memcmp(bytes, &head, sizeof head) != 0)
            continue;
        variant->seen = pare_alloc(n, sizeof *variant->seen);
        variant->measured = pare_alloc(measured_size(r, n), 1);
        if (!variant->seen || !variant->measured) {
            rc = pare_error_nomem(err, size);
            goto out;
        }
        memcpy(variant->seen, bytes + sizeof head, seen);
        memcpy(variant->measured, bytes + sizeof head + seen, measured_size(r, n));
        variant->n_seen = n;
    }
out:
    free(path);
    free(bytes);
    return rc;
}

static int load_all(struct pare_runner *r, const struct pare_run_samples *samples,
                    struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t v = 0; v < r->plan->n_variants && rc == PARE_OK; v++) {
        const struct pare_run_variant *variant = &r->variants[v];
        if (variant->node != SIZE_MAX && !variant->evaluated && !variant->stopped)
            rc = load(r, samples, v, err);
    }
    return rc;
}

/* ---- the race
 * ----------------------------------------------------------------------------------- */

int pare_race_begin(struct pare_runner *r, struct pare_run_samples *samples, struct pare_error *err)
{
    struct pare_choice_query query = {.pipeline = r->pipeline->name, .whole = true};
    int rc = make_looks(samples, r->pipeline->seed, err);
    if (rc == PARE_OK)
        rc = load_all(r, samples, err);
    if (rc != PARE_OK)
        return rc;
    r->race = pare_calloc(1, sizeof *r->race);
    if (!r->race)
        return pare_error_nomem(err, 0);
    rc = pare_choice_make(r->store, &query, r->race, err);
    if (rc != PARE_OK) {
        free(r->race);
        r->race = NULL;
    }
    return rc;
}

/* How much of the work it saved. */
static void tell(struct pare_runner *r)
{
    size_t stopped = 0, n = 0;
    double run = 0;
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        const struct pare_run_variant *variant = &r->variants[v];
        if (variant->node == SIZE_MAX || !(variant->share > 0))
            continue;
        n++;
        run += variant->share;
        stopped += variant->stopped;
    }
    if (n)
        pare_view_line(r,
                       "racing stopped %zu of %zu variants early: %.0f %% of the samples were run",
                       stopped, n, 100 * run / (double)n);
}

void pare_race_end(struct pare_runner *r)
{
    if (r->race) {
        tell(r);
        pare_choice_free(r->race);
    }
    free(r->race);
    r->race = NULL;
}

/* ---- a look
 * ------------------------------------------------------------------------------------- */

/* The variant of a trial: mostly the one at its place in the plan. */
static size_t variant_at(const struct pare_runner *r, size_t item)
{
    const char *hash = r->race->trials.items[item].hash;
    if (item < r->plan->n_variants && r->variants[item].node != SIZE_MAX &&
        strcmp(r->plan->variants[item].build, hash) == 0)
        return item;
    return pare_run_variant(r, hash);
}

/* What was seen of a variant by the end of a look, as a metric has it; false: not all of it. */
static bool correct_so_far(const struct pare_runner *r, const struct pare_run_samples *samples,
                           size_t item, size_t n, float *out)
{
    size_t v = variant_at(r, item);
    const uint8_t *known = r->race->trials.items[item].correct; /* of a run before */
    if (v == SIZE_MAX)
        return false;
    const struct pare_run_variant *variant = &r->variants[v];
    if (variant->n_seen < n && !known)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct pare_run_outcome *o = variant->n_seen >= n ? &variant->seen[i] : NULL;
        out[i] = o ? o->predicted == o->target : known[samples->order[i]];
    }
    return true;
}

/* "racing: after 1,000 of 8,000 samples drop1+q8 is better in top1, latency_ms, size_bytes" */
static void reason_of(const struct pare_runner *r, const struct pare_race_verdict *verdict,
                      size_t seen, size_t all, char *out, size_t size)
{
    const struct pare_choice *c = r->race;
    char some[32], of[32];
    pare_format_grouped(seen, some);
    pare_format_grouped(all, of);
    int at = snprintf(out, size, RACING "after %s of %s samples ", some, of);
    if (verdict->bound != SIZE_MAX) {
        snprintf(out + at, size - (size_t)at, "it breaks %.200s beyond doubt",
                 c->constraint_texts[verdict->bound]);
        return;
    }
    at += snprintf(out + at, size - (size_t)at, "%.150s is better in",
                   c->trials.items[verdict->rival].label);
    for (size_t m = 0; m < c->input.n_metrics && (size_t)at < size; m++) {
        if (c->input.metrics[m].objective)
            at += snprintf(out + at, size - (size_t)at, " %s,", c->known[m].name);
    }
    if ((size_t)at < size)
        snprintf(out + at - 1, size - (size_t)at + 1, " beyond doubt");
}

static int stop(struct pare_runner *r, size_t v, const char *reason, struct pare_error *err)
{
    struct pare_run_variant *variant = &r->variants[v];
    struct pare_store_end end = {.state = "stopped",
                                 .reason = reason,
                                 .signal = PARE_NONE,
                                 .exit_code = PARE_NONE,
                                 .cpu_seconds = variant->cpu_seconds,
                                 .peak_rss_bytes = variant->peak_rss};
    char *path = seen_path(r, v);
    int rc = PARE_OK;
    if (!variant->attempt) /* seen by a run that was cut before it could decide */
        rc = pare_store_attempt_begin(r->store, r->nodes[variant->node].id, PARE_PHASE_EVAL,
                                      r->evaluate.id, r->host_id, r->isa, &variant->attempt, err);
    if (rc == PARE_OK)
        rc = pare_store_attempt_finish(r->store, variant->attempt, &end, err);
    variant->attempt = 0;
    variant->stopped = true;
    if (path)
        unlink(path);
    free(path);
    pare_view_line(r, "%s: %s", r->plan->variants[v].label, reason);
    return rc;
}

static int stop_all(struct pare_runner *r, const struct pare_race_verdict *verdicts, size_t seen,
                    size_t all, struct pare_error *err)
{
    char reason[512];
    int rc = pare_store_begin(r->store, err);
    if (rc != PARE_OK)
        return rc;
    for (size_t i = 0; i < r->race->trials.n; i++) {
        if (!verdicts[i].stop)
            continue;
        reason_of(r, &verdicts[i], seen, all, reason, sizeof reason);
        PARE_TRY(stop(r, variant_at(r, i), reason, err));
    }
out:
    return pare_store_end(r->store, rc, err);
}

static bool can_stop(const struct pare_run_variant *v)
{
    return !v->evaluated && !v->failed && !v->stopped && !v->completed;
}

int pare_race_look(struct pare_runner *r, struct pare_run_samples *samples, size_t look,
                   struct pare_error *err)
{
    size_t n = r->race->trials.n, seen = samples->ends[look];
    size_t top1 = pare_choice_metric(r->race, "top1");
    struct pare_front_input in = r->race->input;
    struct pare_front_metric *metrics = pare_alloc(in.n_metrics, sizeof *metrics);
    struct pare_race_verdict *verdicts = pare_calloc(n, sizeof *verdicts);
    const float **sample = pare_calloc(n, sizeof *sample);
    bool *running = pare_calloc(n, sizeof *running);
    float *correct = pare_calloc(n, seen * sizeof *correct);
    int rc = PARE_OK;
    if (!metrics || !verdicts || !sample || !running || !correct) {
        rc = pare_error_nomem(err, n * seen * sizeof *correct);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        size_t v = variant_at(r, i);
        float *own = correct + i * seen;
        sample[i] = correct_so_far(r, samples, i, seen, own) ? own : NULL;
        running[i] = v != SIZE_MAX && can_stop(&r->variants[v]) && sample[i];
    }
    memcpy(metrics, in.metrics, in.n_metrics * sizeof *metrics);
    if (top1 != SIZE_MAX) {
        metrics[top1].sample = sample;
        metrics[top1].n_samples = seen;
    }
    in.metrics = metrics;
    PARE_TRY(pare_race_decide(&in, running, samples->n_looks - 1, verdicts, err));
    PARE_TRY(stop_all(r, verdicts, seen, samples->ends[samples->n_looks - 1], err));
out:
    free(metrics);
    free(verdicts);
    free(sample);
    free(running);
    free(correct);
    return rc;
}
