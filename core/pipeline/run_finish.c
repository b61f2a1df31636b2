/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a job: its results go into the store, or its failure, and what hangs on it. */
#include "base/clock.h"
#include "base/mem.h"
#include "pipeline/run_phase.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what went wrong
 * ----------------------------------------------------------------------------- */

static void block_below(struct phase *p, size_t failed)
{
    struct pare_runner *r = p->r;
    for (size_t i = failed + 1; i < r->n_nodes && p->rc == PARE_OK; i++) {
        struct pare_run_node *node = &r->nodes[i];
        const struct pare_run_node *parent =
            node->parent == SIZE_MAX ? NULL : &r->nodes[node->parent];
        if (!parent || node->state != PARE_WAITING || !node->needed ||
            (parent->state != PARE_FAILED_FOR_GOOD && parent->state != PARE_BLOCKED))
            continue;
        node->state = PARE_BLOCKED;
        char why[sizeof node->reason];
        memcpy(why, parent->reason, sizeof why);
        if (parent->state == PARE_BLOCKED)
            memcpy(node->reason, why, sizeof why);
        else
            snprintf(node->reason, sizeof node->reason,
                     "blocked: stage '%.40s' failed before it (%.150s)",
                     parent->step ? parent->step->stage : "model", why);
        if (node->variant == SIZE_MAX)
            continue;
        r->summary->blocked++;
        p->rc = pare_store_blocked(r->store, node->id, PARE_PHASE_BUILD, r->host_id, node->reason,
                                   p->err);
    }
}

/* After a failed attempt: try again, or not. Looks at all attempts over all runs. */
void pare_phase_settle(struct phase *p, size_t node, size_t variant, enum pare_phase phase,
                       const char *reason)
{
    struct pare_runner *r = p->r;
    struct pare_store_tries tries;
    int64_t data = phase == PARE_PHASE_EVAL ? p->samples->id : 0;
    if (p->rc == PARE_OK)
        p->rc = pare_store_tries(r->store, r->nodes[node].id, phase, data, &tries, p->err);
    if (p->rc != PARE_OK)
        return;
    bool final = tries.refused > 0 || tries.failed >= PARE_TRIES;
    if (phase == PARE_PHASE_EVAL) {
        r->variants[variant].failed = final;
        r->summary->failed += final;
    } else {
        r->nodes[node].state = final ? PARE_FAILED_FOR_GOOD : PARE_WAITING;
    }
    snprintf(r->nodes[node].reason, sizeof r->nodes[node].reason, "%s", reason);
    if (!final)
        return;
    if (!r->summary->first_failure[0])
        snprintf(r->summary->first_failure, sizeof r->summary->first_failure, "%.80s: %.170s",
                 r->nodes[node].label, reason);
    if (phase == PARE_PHASE_BUILD) {
        r->summary->failed += r->nodes[node].variant != SIZE_MAX;
        block_below(p, node);
    }
}

/* ---- finishing
 * ----------------------------------------------------------------------------------- */

/* An evaluation has come to an end on this seat; NULL: badly. */
static void end_evaluation(struct phase *p, struct seat *s, const json_t *answer)
{
    size_t seat = (size_t)(s - p->seats);
    p->r->variants[s->variant].evaluating = false;
    pare_share_done(&p->share, s->variant, seat, answer);
}

static void clear_seat(struct seat *s)
{
    if (s->job != JOB_NONE)
        pare_child_forget_log(&s->child);
    s->job = JOB_NONE;
    s->stage[0] = s->plugin[0] = '\0';
    s->killed = NULL;
}

struct pare_store_end pare_phase_end(const struct seat *s, const json_t *answer, const char *state)
{
    return (struct pare_store_end){
        .state = state,
        .signal = PARE_NONE,
        .exit_code = PARE_NONE,
        .stage = s->stage[0] ? s->stage : NULL,
        .plugin = s->plugin[0] ? s->plugin : NULL,
        .log = s->child.log.len ? s->child.log.data : NULL,
        .cpu_seconds = answer ? pare_message_number(answer, "cpu_seconds") : (double)NAN,
        .peak_rss_bytes =
            answer ? (int64_t)json_integer_value(json_object_get(answer, "peak_rss_bytes"))
                   : PARE_NONE,
    };
}

/* Which plugin's metric it was in, a process that is gone cannot tell: all that it measured. */
static void add_metrics(const struct phase *p, char *reason, size_t size)
{
    for (size_t i = 0; i < p->r->pipeline->n_measures; i++) {
        const size_t n = strlen(reason);
        snprintf(reason + n, size - n, "%s%s", i ? ", " : "; it measured with ",
                 p->r->pipeline->measures[i].plugin->desc.id);
    }
}

/* A failure, whatever its way: a refusal in words, or a process that is gone. */
void pare_phase_fail(struct phase *p, struct seat *s, struct pare_store_end end)
{
    struct pare_runner *r = p->r;
    enum job_kind job = s->job;
    size_t node = s->node, variant = s->variant;
    char reason[512];
    int64_t *attempt = job == JOB_EVAL ? &r->variants[variant].attempt : &s->attempt;
    const bool stopped = strcmp(end.state, "stopped") == 0,
               gone = end.signal != PARE_NONE || end.exit_code != PARE_NONE;
    snprintf(reason, sizeof reason, "%s", end.reason);
    if (job == JOB_EVAL && gone && !stopped)
        add_metrics(p, reason, sizeof reason);
    end.reason = reason;
    if (p->rc == PARE_OK && *attempt)
        p->rc = pare_store_attempt_finish(r->store, *attempt, &end, p->err);
    *attempt = 0;
    if (!stopped && job != JOB_POINTS)
        pare_view_line(r, "%s %s: %s", job == JOB_BUILD ? "build" : "eval", r->nodes[node].label,
                       reason);
    if (job == JOB_EVAL)
        end_evaluation(p, s, NULL);
    clear_seat(s);
    if (job == JOB_POINTS) { /* it is evaluated from its images, and fails there if it must */
        r->nodes[node].points_known = true;
        return;
    }
    if (stopped) {
        if (job == JOB_BUILD)
            r->nodes[node].state = PARE_WAITING;
        return;
    }
    pare_phase_settle(p, node, variant, job == JOB_BUILD ? PARE_PHASE_BUILD : PARE_PHASE_EVAL,
                      reason);
}

static void finish_build(struct phase *p, struct seat *s, const json_t *answer)
{
    struct pare_run_node *node = &p->r->nodes[s->node];
    struct pare_store_end end = pare_phase_end(s, answer, "ok");
    p->rc = pare_commit_built(p->r, s->node, s->attempt, &end, answer, p->err);
    if (p->rc == PARE_OK && pare_share_points(node, answer) != PARE_OK)
        p->rc = pare_error_nomem(p->err, 0);
    clear_seat(s);
    if (p->rc != PARE_OK)
        return;
    node->state = PARE_DONE;
    p->r->summary->built++;
}

static int32_t class_at(const json_t *list, size_t i)
{
    const json_t *j = json_array_get(list, i);
    return json_is_integer(j) ? (int32_t)json_integer_value(j) : -1;
}

static double real_at(const json_t *list, size_t i)
{
    const json_t *j = json_array_get(list, i);
    return json_is_number(j) ? json_number_value(j) : (double)NAN;
}

/* What an answer says of its samples: a list each, absent where it has none. */
enum { PREDICTED, TARGET, NLL, DIVERGENCE, AGREEMENT, NORMALISED, SIMILARITY, SCORE, LISTS };
static const char *const list_names[LISTS] = {"predicted", "target",     "nll",        "divergence",
                                              "agreement", "normalised", "similarity", "score"};

static struct pare_run_outcome outcome_at(json_t *const list[LISTS], size_t i)
{
    return (struct pare_run_outcome){.predicted = class_at(list[PREDICTED], i),
                                     .target = class_at(list[TARGET], i),
                                     .nll = (float)real_at(list[NLL], i),
                                     .divergence = (float)real_at(list[DIVERGENCE], i),
                                     .agreement = (float)real_at(list[AGREEMENT], i),
                                     .normalised = class_at(list[NORMALISED], i),
                                     .similarity = (float)real_at(list[SIMILARITY], i),
                                     .score = real_at(list[SCORE], i)};
}

/* Append the plugins' values of samples from n_seen on, sample by sample. */
static int take_measured(struct phase *p, struct pare_run_variant *v, size_t n,
                         const json_t *answer)
{
    const size_t n_metrics = p->r->pipeline->n_measures;
    const json_t *lists = json_object_get(answer, "metrics");
    if (n_metrics == 0)
        return PARE_OK;
    double *measured = pare_realloc(v->measured, n * n_metrics, sizeof *measured);
    if (!measured)
        return pare_error_nomem(p->err, n * n_metrics * sizeof *measured);
    v->measured = measured;
    for (size_t m = 0; m < n_metrics; m++) {
        const json_t *list = json_array_get(lists, m);
        if (json_array_size(list) != n - v->n_seen)
            return pare_error_set(p->err, PARE_FAILED, "a worker lacks values of metric '%s'",
                                  p->r->pipeline->measures[m].plugin->desc.id);
        for (size_t i = v->n_seen; i < n; i++)
            measured[i * n_metrics + m] = real_at(list, i - v->n_seen);
    }
    return PARE_OK;
}

/* Add a look's outcomes to what is known of the variant. */
static int take_outcomes(struct phase *p, struct pare_run_variant *v, const json_t *answer)
{
    size_t n = p->samples->ends[p->look];
    struct pare_run_outcome *seen = pare_realloc(v->seen, n, sizeof *seen);
    if (!seen)
        return pare_error_nomem(p->err, n * sizeof *seen);
    v->seen = seen;
    json_t *list[LISTS];
    for (size_t k = 0; k < LISTS; k++)
        list[k] = json_object_get(answer, list_names[k]);
    if (json_array_size(list[PREDICTED]) != n - v->n_seen)
        return pare_error_set(p->err, PARE_FAILED,
                              "a worker evaluated other samples than it was told");
    int rc = take_measured(p, v, n, answer);
    if (rc != PARE_OK)
        return rc;
    for (size_t i = 0; v->n_seen < n; i++)
        v->seen[v->n_seen++] = outcome_at(list, i);
    json_decref(v->tokens);
    v->tokens = json_incref(json_object_get(answer, "tokens"));
    v->share = (double)n / (double)p->samples->ends[p->samples->n_looks - 1];
    v->cpu_seconds += pare_message_number(answer, "cpu_seconds");
    v->peak_rss = PARE_MAX(v->peak_rss, (int64_t)pare_message_number(answer, "peak_rss_bytes"));
    return PARE_OK;
}

/* What is timed has to be what is evaluated, whichever came first. */
static bool agrees(struct pare_run_variant *v, const char *first_logits)
{
    if (v->first_logits[0] && first_logits[0] && strcmp(v->first_logits, first_logits) != 0)
        return false;
    if (first_logits[0])
        snprintf(v->first_logits, sizeof v->first_logits, "%s", first_logits);
    return true;
}

static void tell_evaluated(struct phase *p, size_t variant)
{
    struct pare_runner *r = p->r;
    const char *label = r->plan->variants[variant].label;
    double quality = r->variants[variant].quality;
    double left = (pare_clock_seconds() - r->began) / (double)r->build_done *
                  (double)(r->build_total - PARE_MIN(r->build_done, r->build_total));
    if (isatty(2))
        pare_view_status(r, "evaluated %zu/%zu  %s %.4f  about %.0f s left", r->build_done,
                         r->build_total, label, quality, left);
    else
        pare_view_line(r, "evaluated %zu/%zu %s: %s %.4f", r->build_done, r->build_total, label,
                       pare_pipeline_quality(r->pipeline), quality);
}

static void finish_evaluation(struct phase *p, struct seat *s, const json_t *answer)
{
    struct pare_runner *r = p->r;
    size_t variant = s->variant;
    struct pare_run_variant *v = &r->variants[variant];
    if (!agrees(v, pare_message_text(answer, "first_logits"))) {
        struct pare_store_end end = pare_phase_end(s, answer, "failed");
        end.cause = "other";
        end.reason = "the evaluated model gives other results than the timed one";
        pare_phase_fail(p, s, end);
        return;
    }
    p->rc = take_outcomes(p, v, answer);
    end_evaluation(p, s, answer);
    struct pare_store_end end = pare_phase_end(s, answer, "ok");
    end.cpu_seconds = v->cpu_seconds;
    end.peak_rss_bytes = v->peak_rss;
    bool whole = v->n_seen == p->samples->ends[p->samples->n_looks - 1];
    if (p->rc == PARE_OK && whole)
        p->rc = pare_commit_evaluated(r, p->samples, variant, &end, p->err);
    if (p->rc == PARE_OK && p->samples->order)
        p->rc = pare_race_save(r, p->samples, variant, p->err);
    clear_seat(s);
    if (p->rc != PARE_OK || !whole)
        return;
    v->attempt = 0;
    v->evaluated = true;
    r->summary->evaluated++;
    r->build_done++;
    tell_evaluated(p, variant);
}

void pare_phase_finish(struct phase *p, struct seat *s, const json_t *answer)
{
    if (s->job == JOB_BUILD) {
        finish_build(p, s, answer);
    } else if (s->job == JOB_EVAL) {
        finish_evaluation(p, s, answer);
        if (p->rc != PARE_OK)
            return;
        for (size_t v = 0; v < p->r->plan->n_variants; v++)
            p->waiting[v] = pare_phase_wants(p, v) || p->r->variants[v].evaluating;
        pare_share_sweep(&p->share, p->waiting);
    } else {
        if (pare_share_points(&p->r->nodes[s->node], answer) != PARE_OK)
            p->rc = pare_error_nomem(p->err, 0);
        clear_seat(s);
    }
}
