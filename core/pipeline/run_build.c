/* SPDX-License-Identifier: Apache-2.0 */
/* The first phase: build models and evaluate them, in workers side by side. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stat.h"
#include "pipeline/run_parts.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STALL_S 300.0    /* no sign of life */
#define MEMORY_SHARE 0.8 /* of the machine's */
#define EVAL_BATCH 16u
#define TICK_MS 100

enum job_kind { JOB_NONE, JOB_BUILD, JOB_EVAL };

/* One worker and what it is at. */
struct seat {
    struct pare_child child;
    enum job_kind job;
    size_t node;    /* of a build; of an evaluation: the variant's */
    size_t variant; /* of an evaluation */
    int64_t attempt;
    double since;
    struct pare_limits limits;
    char stage[128], plugin[128];
    const char *killed; /* why we ended it; NULL: we did not */
};

struct phase {
    struct pare_runner *r;
    struct pare_run_samples *samples;
    const bool *only; /* variants to evaluate; NULL: all */
    struct seat *seats;
    size_t n_seats;
    int rc; /* of the store: a failure there ends the run */
    struct pare_error *err;
};

/* ---- choosing the next job
 * ----------------------------------------------------------------------- */

static bool wants_evaluation(const struct phase *p, size_t v)
{
    const struct pare_run_variant *variant = &p->r->variants[v];
    return variant->node != SIZE_MAX && (!p->only || p->only[v]) && !variant->evaluated &&
           !variant->evaluating && !variant->failed;
}

static bool next_evaluation(const struct phase *p, size_t *v)
{
    for (*v = 0; *v < p->r->plan->n_variants; ++*v) {
        if (wants_evaluation(p, *v) && p->r->nodes[p->r->variants[*v].node].state == PARE_DONE)
            return true;
    }
    return false;
}

static bool next_build(const struct phase *p, size_t *n)
{
    for (*n = 0; *n < p->r->n_nodes; ++*n) {
        const struct pare_run_node *node = &p->r->nodes[*n];
        if (node->needed && node->state == PARE_WAITING &&
            (node->parent == SIZE_MAX || p->r->nodes[node->parent].state == PARE_DONE))
            return true;
    }
    return false;
}

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
static void settle_failure(struct phase *p, size_t node, size_t variant, enum pare_phase phase,
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

static void clear_seat(struct seat *s)
{
    if (s->job != JOB_NONE)
        pare_child_forget_log(&s->child);
    s->job = JOB_NONE;
    s->stage[0] = s->plugin[0] = '\0';
    s->killed = NULL;
}

static struct pare_store_end end_of(const struct seat *s, const json_t *answer, const char *state)
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

/* A failure, whatever its way: a refusal in words, or a process that is gone. */
static void finish_failed(struct phase *p, struct seat *s, struct pare_store_end end)
{
    struct pare_runner *r = p->r;
    enum job_kind job = s->job;
    size_t node = s->node, variant = s->variant;
    char reason[512];
    snprintf(reason, sizeof reason, "%s", end.reason);
    end.reason = reason;
    if (p->rc == PARE_OK)
        p->rc = pare_store_attempt_finish(r->store, s->attempt, &end, p->err);
    bool stopped = strcmp(end.state, "stopped") == 0;
    if (!stopped)
        pare_view_line(r, "%s %s: %s", job == JOB_BUILD ? "build" : "eval", r->nodes[node].label,
                       reason);
    clear_seat(s);
    if (job == JOB_EVAL)
        r->variants[variant].evaluating = false;
    if (stopped) {
        if (job == JOB_BUILD)
            r->nodes[node].state = PARE_WAITING;
        return;
    }
    settle_failure(p, node, variant, job == JOB_BUILD ? PARE_PHASE_BUILD : PARE_PHASE_EVAL, reason);
}

static int store_exact(struct pare_runner *r, int64_t variant, int64_t attempt, const char *metric,
                       const char *unit, const json_t *answer, struct pare_error *err)
{
    struct pare_store_measurement m = {
        .metric = metric,
        .unit = unit,
        .how = "exact",
        .value = (double)json_integer_value(json_object_get(answer, metric)),
        .lo = (double)NAN,
        .hi = (double)NAN,
        .n = PARE_NONE};
    return pare_store_measure(r->store, variant, attempt, &m, err);
}

static int64_t integer_of(const json_t *row, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(row, key));
}

static double real_of(const json_t *row, const char *key)
{
    const json_t *j = json_object_get(row, key);
    return json_is_number(j) ? json_number_value(j) : (double)NAN;
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

static int commit_built(struct phase *p, struct seat *s, const json_t *answer)
{
    struct pare_runner *r = p->r;
    struct pare_run_node *node = &r->nodes[s->node];
    struct pare_store_end end = end_of(s, answer, "ok");
    int rc = pare_store_begin(r->store, p->err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(store_exact(r, node->id, s->attempt, "size_bytes", "B", answer, p->err));
    PARE_TRY(store_exact(r, node->id, s->attempt, "macs", "1", answer, p->err));
    PARE_TRY(store_exact(r, node->id, s->attempt, "parameters", "1", answer, p->err));
    if (node->parent != SIZE_MAX)
        PARE_TRY(pare_store_inherit_units(r->store, node->id, r->nodes[node->parent].id, p->err));
    PARE_TRY(store_unit_values(r, node->id, json_object_get(answer, "unit_values"), p->err));
    PARE_TRY(store_file(r, node, answer, p->err));
    if (integer_of(answer, "macs_naive") > 0) {
        struct pare_store_measurement share = {
            .metric = "probe_share",
            .unit = "1",
            .how = "probe work run over probe work without restarts",
            .value =
                (double)integer_of(answer, "macs_run") / (double)integer_of(answer, "macs_naive"),
            .lo = (double)NAN,
            .hi = (double)NAN,
            .n = PARE_NONE};
        PARE_TRY(pare_store_measure(r->store, node->id, s->attempt, &share, p->err));
    }
    PARE_TRY(pare_store_attempt_finish(r->store, s->attempt, &end, p->err));
out:
    return pare_store_end(r->store, rc, p->err);
}

static int commit_evaluated(struct phase *p, struct seat *s, const json_t *answer)
{
    struct pare_runner *r = p->r;
    struct pare_run_variant *variant = &r->variants[s->variant];
    int64_t id = r->nodes[s->node].id;
    const json_t *predicted = json_object_get(answer, "predicted"),
                 *nll = json_object_get(answer, "nll");
    const json_t *target = json_object_get(answer, "target");
    size_t n = json_array_size(predicted);
    double correct = pare_message_number(answer, "correct");
    struct pare_store_end end = end_of(s, answer, "ok");
    int32_t *classes = pare_alloc(n, sizeof *classes), *targets = pare_alloc(n, sizeof *targets);
    float *losses = pare_alloc(n, sizeof *losses);
    int rc;
    if (!classes || !targets || !losses) {
        rc = pare_error_nomem(p->err, n * sizeof *classes);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *loss = json_array_get(nll, i);
        classes[i] = (int32_t)json_integer_value(json_array_get(predicted, i));
        targets[i] = (int32_t)json_integer_value(json_array_get(target, i));
        losses[i] = json_is_number(loss) ? (float)json_number_value(loss) : NAN;
    }
    rc = pare_store_begin(r->store, p->err);
    if (rc != PARE_OK)
        goto done;
    if (!p->samples->targets_known)
        PARE_TRY(pare_store_data(r->store, p->samples->data->hash,
                                 p->samples->data->split ? p->samples->data->split : "evaluate", n,
                                 targets, &p->samples->id, p->err));
    p->samples->targets_known = true;
    struct pare_interval ci = pare_stat_wilson((size_t)correct, n, 0.95);
    struct pare_store_measurement m = {.metric = "top1",
                                       .unit = "1",
                                       .how = "Wilson 95 %",
                                       .value = n ? correct / (double)n : (double)NAN,
                                       .lo = ci.lo,
                                       .hi = ci.hi,
                                       .n = (int64_t)n,
                                       .data_id = p->samples->id};
    PARE_TRY(pare_store_outcome(r->store, id, p->samples->id, n, classes, losses, p->err));
    PARE_TRY(pare_store_measure(r->store, id, s->attempt, &m, p->err));
    PARE_TRY(pare_store_attempt_finish(r->store, s->attempt, &end, p->err));
out:
    rc = pare_store_end(r->store, rc, p->err);
    variant->top1 = m.value;
done:
    free(classes);
    free(targets);
    free(losses);
    return rc;
}

static void finish_ok(struct phase *p, struct seat *s, const json_t *answer)
{
    struct pare_runner *r = p->r;
    size_t node = s->node, variant = s->variant;
    enum job_kind job = s->job;
    p->rc = job == JOB_BUILD ? commit_built(p, s, answer) : commit_evaluated(p, s, answer);
    clear_seat(s);
    if (p->rc != PARE_OK)
        return;
    if (job == JOB_BUILD) {
        r->nodes[node].state = PARE_DONE;
        r->summary->built++;
        return;
    }
    struct pare_run_variant *v = &r->variants[variant];
    v->evaluated = true;
    v->evaluating = false;
    snprintf(v->first_logits, sizeof v->first_logits, "%s",
             pare_message_text(answer, "first_logits"));
    r->summary->evaluated++;
    r->build_done++;
    double left = (pare_clock_seconds() - r->began) / (double)r->build_done *
                  (double)(r->build_total - PARE_MIN(r->build_done, r->build_total));
    if (isatty(2))
        pare_view_status(r, "build %zu/%zu  %s %.4f  about %.0f s left", r->build_done,
                         r->build_total, r->plan->variants[variant].label, v->top1, left);
    else
        pare_view_line(r, "built %zu/%zu %s: top1 %.4f", r->build_done, r->build_total,
                       r->plan->variants[variant].label, v->top1);
}

/* ---- starting
 * ------------------------------------------------------------------------------------ */

static struct pare_limits limits_of(const struct pare_runner *r, const struct pare_run_node *node)
{
    struct pare_limits l = r->pipeline->limits;
    for (size_t i = 0; node->step && i < r->pipeline->n_stages; i++) {
        const struct pare_limits *own = &r->pipeline->stages[i].limits;
        if (strcmp(r->pipeline->stages[i].id, node->step->stage) != 0)
            continue;
        l.time_s = own->time_s > 0 ? own->time_s : l.time_s;
        l.stall_s = own->stall_s > 0 ? own->stall_s : l.stall_s;
        l.memory_bytes = own->memory_bytes ? own->memory_bytes : l.memory_bytes;
        l.memory_share = own->memory_share > 0 ? own->memory_share : l.memory_share;
    }
    if (l.stall_s <= 0)
        l.stall_s = STALL_S;
    if (l.memory_bytes == 0)
        l.memory_bytes =
            (uint64_t)((l.memory_share > 0 ? l.memory_share : MEMORY_SHARE) * (double)r->memory);
    return l;
}

/* What is stored with a built model about how it came to be. */
static json_t *about_of(const struct pare_run_node *node)
{
    return json_pack("{s:s, s:s, s:s}", "label", node->label, "build", node->build, "recipe",
                     node->recipe);
}

static json_t *build_job(struct pare_runner *r, const struct pare_run_node *node)
{
    const char *from = node->parent == SIZE_MAX ? r->pipeline->model : r->nodes[node->parent].path;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:i, s:s, s:o}", "type", "build", "model",
                     from, "baseline", r->pipeline->model, "steps",
                     pare_steps_to_json(node->step, node->step ? 1 : 0, &r->pipeline->used), "data",
                     pare_run_data_json(&r->pipeline->calibrate, 0), "seed",
                     (json_int_t)r->pipeline->seed, "threads", 1, "out", node->path, "about",
                     about_of(node));
}

static json_t *eval_job(struct phase *p, const struct pare_run_node *node)
{
    return json_pack("{s:s, s:s, s:o, s:i, s:i}", "type", "eval", "model", node->path, "data",
                     pare_run_data_json(p->samples->data, 0), "batch", (int)EVAL_BATCH, "threads",
                     1);
}

/* A failure that was there before this run counts as it did then. */
static bool given_up(struct phase *p, size_t node, size_t variant, enum pare_phase phase)
{
    struct pare_runner *r = p->r;
    struct pare_store_tries tries;
    int64_t data = phase == PARE_PHASE_EVAL ? p->samples->id : 0;
    p->rc = pare_store_tries(r->store, r->nodes[node].id, phase, data, &tries, p->err);
    if (p->rc != PARE_OK || (tries.refused == 0 && tries.failed < PARE_TRIES))
        return false;
    settle_failure(p, node, variant, phase, tries.reason);
    return true;
}

static void start_job(struct phase *p, struct seat *s, enum job_kind job, size_t node,
                      size_t variant)
{
    struct pare_runner *r = p->r;
    bool build = job == JOB_BUILD;
    if (given_up(p, node, variant, build ? PARE_PHASE_BUILD : PARE_PHASE_EVAL) || p->rc != PARE_OK)
        return;
    if (s->child.pid == 0)
        p->rc = pare_child_start(&s->child, r->options->program, 1, false, p->err);
    if (p->rc != PARE_OK)
        return;
    p->rc = pare_store_attempt_begin(
        r->store, r->nodes[node].id, build ? PARE_PHASE_BUILD : PARE_PHASE_EVAL,
        build ? 0 : p->samples->id, r->host_id, r->isa, &s->attempt, p->err);
    if (p->rc != PARE_OK)
        return;
    s->job = job;
    s->node = node;
    s->variant = variant;
    s->since = s->child.last_heard = pare_clock_seconds();
    s->limits = limits_of(r, &r->nodes[node]);
    if (build)
        r->nodes[node].state = PARE_RUNNING;
    else
        r->variants[variant].evaluating = true;
    struct pare_error ignored; /* a worker that is gone shows when it is listened to */
    pare_message_send(s->child.fd,
                      build ? build_job(r, &r->nodes[node]) : eval_job(p, &r->nodes[node]),
                      &ignored);
}

static void give_work(struct phase *p, struct seat *s)
{
    size_t at;
    while (p->rc == PARE_OK && s->job == JOB_NONE) {
        if (next_evaluation(p, &at))
            start_job(p, s, JOB_EVAL, p->r->variants[at].node, at);
        else if (next_build(p, &at))
            start_job(p, s, JOB_BUILD, at, SIZE_MAX);
        else
            return;
    }
}

/* ---- listening
 * ----------------------------------------------------------------------------------- */

static void take_message(struct phase *p, struct seat *s, const json_t *message)
{
    const char *type = pare_message_text(message, "type");
    if (strcmp(type, "stage") == 0) {
        snprintf(s->stage, sizeof s->stage, "%s", pare_message_text(message, "stage"));
        snprintf(s->plugin, sizeof s->plugin, "%s", pare_message_text(message, "plugin"));
    } else if (strcmp(type, "log") == 0) {
        pare_str_printf(&s->child.log, "%s\n", pare_message_text(message, "text"));
    } else if (strcmp(type, "built") == 0 || strcmp(type, "evaluated") == 0) {
        finish_ok(p, s, message);
    } else if (strcmp(type, "failed") == 0) {
        struct pare_error why;
        pare_message_error(message, &why);
        pare_str_printf(&s->child.log, "%s\n%s\n%s\n", why.what, why.detail, why.hint);
        struct pare_store_end end = end_of(s, message, "failed");
        end.cause = strstr(why.what, "not finite") ? "numbers"
                    : why.status == PARE_NOMEM     ? "memory"
                                                   : "refused";
        end.reason = why.what;
        finish_failed(p, s, end);
    }
}

/* A worker that is gone: why, from its signal or from what we did. */
static void take_end(struct phase *p, struct seat *s)
{
    int sig, code;
    char reason[256];
    pare_child_end(&s->child, true, &sig, &code);
    if (s->job == JOB_NONE)
        return;
    struct pare_store_end end = end_of(s, NULL, "failed");
    end.signal = sig ? sig : PARE_NONE;
    end.exit_code = sig ? PARE_NONE : code;
    if (s->killed) {
        snprintf(reason, sizeof reason, "%s", s->killed);
        end.cause = strstr(s->killed, "memory") ? "memory" : "stall";
        if (strcmp(s->killed, "stopped") == 0)
            end.state = "stopped";
    } else if (sig) {
        snprintf(reason, sizeof reason, "crashed with signal %d (%s)", sig, strsignal(sig));
        end.cause = "crash";
    } else {
        snprintf(reason, sizeof reason, "the worker ended by itself with status %d", code);
        end.cause = "crash";
    }
    if (strcmp(end.state, "stopped") == 0)
        end.cause = NULL;
    end.reason = reason;
    finish_failed(p, s, end);
    pare_str_free(&s->child.log);
}

static void check_limits(struct seat *s)
{
    double now = pare_clock_seconds();
    static const char *const why[] = {"took longer than limits.time allows",
                                      "no sign of life for as long as limits.stall allows",
                                      "used more memory than limits.memory allows"};
    if (s->job == JOB_NONE || s->killed)
        return;
    if (s->limits.time_s > 0 && now - s->since > s->limits.time_s)
        s->killed = why[0];
    else if (now - s->child.last_heard > s->limits.stall_s)
        s->killed = why[1];
    else if (pare_child_rss(&s->child) > s->limits.memory_bytes)
        s->killed = why[2];
    if (s->killed)
        kill(-s->child.pid, SIGKILL);
}

static void listen_to(struct phase *p, struct seat *s)
{
    struct pare_error broken;
    json_t *message;
    pare_child_listen(&s->child);
    for (;;) {
        int rc = pare_message_next(&s->child.reader, &message, &broken);
        if (rc != PARE_OK) { /* a plugin wrote on our line: not to be trusted any more */
            s->killed = "it wrote something that is no message on its private descriptor";
            take_end(p, s);
            return;
        }
        if (!message)
            break;
        take_message(p, s, message);
        json_decref(message);
        if (p->rc != PARE_OK)
            return;
    }
    if (s->child.closed)
        take_end(p, s);
}

static void wait_a_little(struct phase *p)
{
    struct pollfd fds[2 * 64];
    nfds_t n = 0;
    for (size_t i = 0; i < p->n_seats; i++) {
        if (p->seats[i].child.pid == 0)
            continue;
        fds[n++] = (struct pollfd){.fd = p->seats[i].child.fd, .events = POLLIN};
    }
    poll(fds, n, TICK_MS);
}

static bool busy(const struct phase *p)
{
    for (size_t i = 0; i < p->n_seats; i++) {
        if (p->seats[i].job != JOB_NONE)
            return true;
    }
    return false;
}

/* ---- the phase
 * ----------------------------------------------------------------------------------- */

int pare_run_build(struct pare_runner *r, struct pare_run_samples *samples, const bool *only,
                   struct pare_error *err)
{
    struct phase p = {.r = r, .samples = samples, .only = only, .err = err};
    p.n_seats = PARE_MIN(r->options->jobs ? r->options->jobs : r->cpus, 64u);
    p.seats = pare_calloc(p.n_seats, sizeof *p.seats);
    if (!p.seats)
        return pare_error_nomem(err, 0);
    r->began = pare_clock_seconds();
    r->build_total = r->build_done = 0;
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        if (wants_evaluation(&p, v)) {
            pare_run_need(r, r->variants[v].node);
            r->build_total++;
        }
    }
    for (;;) {
        int stop = pare_run_stop();
        for (size_t i = 0; i < p.n_seats && p.rc == PARE_OK && stop == 0; i++)
            give_work(&p, &p.seats[i]);
        if (p.rc != PARE_OK || !busy(&p))
            break;
        wait_a_little(&p);
        for (size_t i = 0; i < p.n_seats && p.rc == PARE_OK; i++) {
            struct seat *s = &p.seats[i];
            if (s->child.pid == 0)
                continue;
            if (stop == 2 && s->job != JOB_NONE && !s->killed) {
                s->killed = "stopped";
                kill(-s->child.pid, SIGKILL);
            }
            listen_to(&p, s);
            check_limits(s);
        }
    }
    for (size_t i = 0; i < p.n_seats; i++)
        pare_child_end(&p.seats[i].child, p.seats[i].job != JOB_NONE, NULL, NULL);
    for (size_t i = 0; i < p.n_seats; i++)
        pare_str_free(&p.seats[i].child.log);
    free(p.seats);
    if (p.rc == PARE_OK && pare_run_stop())
        p.rc = pare_error_set(err, PARE_CANCELLED, "interrupted: what was done is kept");
    return p.rc;
}
