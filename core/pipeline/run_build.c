/* SPDX-License-Identifier: Apache-2.0 */
/* The first phase: build models and evaluate them, in workers side by side. */
#include "base/clock.h"
#include "base/mem.h"
#include "pipeline/run_phase.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EVAL_BATCH 16u
#define TICK_MS 100

/* Why we end a worker that did nothing wrong: the work is done again. */
static const char cut[] = "stopped";
static const char made_room[] = "put off: the workers together used too much memory";

/* ---- choosing the next job
 * ----------------------------------------------------------------------- */

bool pare_phase_wants(const struct phase *p, size_t v)
{
    const struct pare_run_variant *variant = &p->r->variants[v];
    return variant->node != SIZE_MAX && (!p->only || p->only[v]) && !variant->evaluated &&
           !variant->evaluating && !variant->failed && !variant->stopped &&
           variant->n_seen < p->samples->ends[p->look];
}

/* Better one that no evaluation in flight is about to save work, but never an idle seat. */
static bool next_evaluation(const struct phase *p, size_t *v)
{
    size_t second = SIZE_MAX;
    for (*v = 0; *v < p->r->plan->n_variants; ++*v) {
        if (!pare_phase_wants(p, *v) || p->r->nodes[p->r->variants[*v].node].state != PARE_DONE)
            continue;
        if (!pare_share_soon(&p->share, *v))
            return true;
        second = PARE_MIN(second, *v);
    }
    *v = second;
    return second != SIZE_MAX;
}

/* A model of an earlier run that is to be evaluated, of which nobody knows yet where it can start.
 */
static bool next_points(const struct phase *p, size_t *n)
{
    for (size_t v = 0; v < p->r->plan->n_variants; v++) {
        if (!pare_phase_wants(p, v))
            continue;
        *n = p->r->variants[v].node;
        const struct pare_run_node *node = &p->r->nodes[*n];
        if (node->state == PARE_DONE && !node->points_known)
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

/* ---- starting
 * ------------------------------------------------------------------------------------ */

/* The stage that a model is built by; NULL: none. */
static const struct pare_pipeline_stage *stage_of(const struct pare_runner *r,
                                                  const struct pare_run_node *node)
{
    for (size_t i = 0; node->step && i < r->pipeline->n_stages; i++) {
        if (strcmp(r->pipeline->stages[i].id, node->step->stage) == 0)
            return &r->pipeline->stages[i];
    }
    return NULL;
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

/* The metrics of plugins, as a worker is told. */
static json_t *metrics_job(const struct pare_pipeline *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->n_measures; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:O}", "plugin", p->measures[i].plugin->path, "sha256",
                            p->measures[i].plugin->sha256, "params", p->measures[i].params));
    return list;
}

static json_t *eval_job(struct phase *p, size_t variant, size_t seat)
{
    const struct pare_run_variant *v = &p->r->variants[variant];
    const struct pare_run_samples *samples = p->samples;
    size_t first = v->n_seen, end = samples->ends[p->look];
    json_t *job = json_pack("{s:s, s:s, s:o, s:i, s:i}", "type", "eval", "model",
                            p->r->nodes[v->node].path, "data", pare_run_data_json(samples->data, 0),
                            "batch", (int)EVAL_BATCH, "threads", 1);
    const struct pare_pipeline *pipeline = p->r->pipeline;
    if (job && (pipeline->kl || pipeline->agreement)) {
        json_object_set_new(job, "beside", json_true());
        json_object_set_new(job, "baseline", json_string(pipeline->model));
    }
    if (job && pipeline->n_measures)
        json_object_set_new(job, "metrics", metrics_job(pipeline));
    if (job && samples->order) {
        json_t *list = json_array();
        for (size_t i = first; i < end; i++)
            json_array_append_new(list, json_integer((json_int_t)samples->order[i]));
        json_object_set_new(job, "samples", list);
    }
    for (size_t i = 0; i < p->r->plan->n_variants; i++)
        p->waiting[i] = pare_phase_wants(p, i) && p->r->variants[i].n_seen == first;
    if (job)
        pare_share_plan(&p->share, variant, p->waiting, end - first, seat, job);
    return job;
}

static json_t *points_job(const struct pare_run_node *node)
{
    return json_pack("{s:s, s:s}", "type", "points", "model", node->path);
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
    pare_phase_settle(p, node, variant, phase, tries.reason);
    return true;
}

/* Claim the work in the store; an evaluation that goes on has done so. */
static void begin_attempt(struct phase *p, struct seat *s, enum job_kind job, size_t node,
                          size_t variant)
{
    struct pare_runner *r = p->r;
    bool build = job == JOB_BUILD;
    int64_t *attempt = build ? &s->attempt : &r->variants[variant].attempt;
    if (job == JOB_POINTS || (!build && *attempt))
        return;
    p->rc = pare_store_attempt_begin(
        r->store, r->nodes[node].id, build ? PARE_PHASE_BUILD : PARE_PHASE_EVAL,
        build ? 0 : p->samples->id, r->host_id, r->isa, attempt, p->err);
    if (!build && p->rc == PARE_OK) {
        r->variants[variant].cpu_seconds = 0;
        r->variants[variant].peak_rss = 0;
    }
}

static void start_job(struct phase *p, struct seat *s, enum job_kind job, size_t node,
                      size_t variant)
{
    struct pare_runner *r = p->r;
    bool build = job == JOB_BUILD;
    if (job != JOB_POINTS &&
        (given_up(p, node, variant, build ? PARE_PHASE_BUILD : PARE_PHASE_EVAL) ||
         p->rc != PARE_OK))
        return;
    if (s->child.pid == 0)
        p->rc = pare_child_start(&s->child, r->options->program, 1, false, r->setup, p->err);
    if (p->rc == PARE_OK)
        begin_attempt(p, s, job, node, variant);
    if (p->rc != PARE_OK)
        return;
    s->job = job;
    s->node = node;
    s->variant = variant;
    s->since = s->child.last_heard = pare_clock_seconds();
    pare_run_bound(r, build ? stage_of(r, &r->nodes[node]) : NULL, &s->bound);
    if (build)
        r->nodes[node].state = PARE_RUNNING;
    else if (job == JOB_EVAL)
        r->variants[variant].evaluating = true;
    else
        r->nodes[node].points_known = true; /* asked for */
    struct pare_error ignored;              /* a worker that is gone shows when it is listened to */
    pare_message_send(s->child.fd,
                      build             ? build_job(r, &r->nodes[node])
                      : job == JOB_EVAL ? eval_job(p, variant, (size_t)(s - p->seats))
                                        : points_job(&r->nodes[node]),
                      &ignored);
}

/* ---- memory
 * -------------------------------------------------------------------------------------- */

static size_t count_busy(const struct phase *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_seats; i++)
        n += p->seats[i].job != JOB_NONE;
    return n;
}

static unsigned long long memory_of(struct phase *p)
{
    unsigned long long all = 0;
    for (size_t i = 0; i < p->n_seats; i++) {
        unsigned long long own = p->seats[i].child.pid ? pare_child_rss(&p->seats[i].child) : 0;
        p->widest = PARE_MAX(p->widest, own);
        all += own;
    }
    return all;
}

/* Whether one more worker fits beside those at work, when it takes as much as the widest did. */
static bool has_room(struct phase *p)
{
    size_t busy = count_busy(p);
    if (busy == 0)
        return true;
    return busy < p->most_busy &&
           (double)(memory_of(p) + p->widest) <= PARE_MEMORY_SHARE * (double)p->r->memory;
}

/* All workers together take too much: the one that began last makes room, and comes again when
 * fewer are at work. */
static void make_room(struct phase *p)
{
    struct seat *last = NULL;
    size_t busy = count_busy(p);
    if ((double)memory_of(p) <= PARE_MEMORY_SHARE * (double)p->r->memory)
        return;
    for (size_t i = 0; i < p->n_seats; i++) { /* what idle ones keep goes first */
        struct seat *s = &p->seats[i];
        if (s->job == JOB_NONE && s->child.pid)
            pare_child_end(&s->child, true, NULL, NULL);
        else if (s->job != JOB_NONE && (!last || s->since > last->since))
            last = s;
    }
    if (busy < 2 || !last || last->killed)
        return;
    p->most_busy = PARE_MIN(p->most_busy, busy - 1);
    pare_view_line(p->r, "%s waits: the workers together use more than %.0f %% of the memory",
                   p->r->nodes[last->node].label, 100 * PARE_MEMORY_SHARE);
    last->killed = made_room;
    kill(-last->child.pid, SIGKILL);
}

/* Models first: which of them begin the same decides what is stored for whom. */
static void give_work(struct phase *p, struct seat *s)
{
    size_t at;
    while (p->rc == PARE_OK && s->job == JOB_NONE && has_room(p)) {
        if (next_build(p, &at))
            start_job(p, s, JOB_BUILD, at, SIZE_MAX);
        else if (next_points(p, &at))
            start_job(p, s, JOB_POINTS, at, SIZE_MAX);
        else if (next_evaluation(p, &at))
            start_job(p, s, JOB_EVAL, p->r->variants[at].node, at);
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
    } else if (strcmp(type, "built") == 0 || strcmp(type, "evaluated") == 0 ||
               strcmp(type, "points") == 0) {
        pare_phase_finish(p, s, message);
    } else if (strcmp(type, "failed") == 0) {
        struct pare_error why;
        pare_message_error(message, &why);
        pare_str_printf(&s->child.log, "%s\n%s\n%s\n", why.what, why.detail, why.hint);
        struct pare_store_end end = pare_phase_end(s, message, "failed");
        end.cause = strstr(why.what, "not finite") ? "numbers"
                    : why.status == PARE_NOMEM     ? "memory"
                                                   : "refused";
        end.reason = why.what;
        pare_phase_fail(p, s, end);
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
    struct pare_store_end end = pare_phase_end(s, NULL, "failed");
    end.signal = sig ? sig : PARE_NONE;
    end.exit_code = sig ? PARE_NONE : code;
    if (s->killed) {
        snprintf(reason, sizeof reason, "%s", s->killed);
        end.cause = s->killed == s->bound.why ? s->bound.cause : "other";
        if (s->killed == cut || s->killed == made_room)
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
    pare_phase_fail(p, s, end);
    pare_str_free(&s->child.log);
}

static void check_limits(struct seat *s)
{
    if (s->job == JOB_NONE || s->killed || !pare_run_beyond(&s->bound, &s->child, s->since))
        return;
    s->killed = s->bound.why;
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

/* ---- the phase
 * ----------------------------------------------------------------------------------- */

static int begin(struct phase *p)
{
    struct pare_runner *r = p->r;
    p->n_seats = PARE_MIN(r->options->jobs ? r->options->jobs : r->cpus, 64u);
    p->most_busy = p->n_seats;
    p->seats = pare_calloc(p->n_seats, sizeof *p->seats);
    p->waiting = pare_calloc(r->plan->n_variants, sizeof *p->waiting);
    if (!p->seats || !p->waiting)
        return pare_error_nomem(p->err, 0);
    r->began = pare_clock_seconds();
    r->build_total = r->build_done = 0;
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        if (pare_phase_wants(p, v)) {
            pare_run_need(r, r->variants[v].node);
            r->build_total++;
        }
    }
    return pare_share_begin(&p->share, r, p->err);
}

/* Give work and listen, until nothing is left to do in this look. */
static void work(struct phase *p)
{
    for (;;) {
        int stop = pare_run_stop();
        for (size_t i = 0; i < p->n_seats && p->rc == PARE_OK && stop == 0; i++)
            give_work(p, &p->seats[i]);
        if (p->rc != PARE_OK || count_busy(p) == 0)
            return;
        wait_a_little(p);
        for (size_t i = 0; i < p->n_seats && p->rc == PARE_OK; i++) {
            struct seat *s = &p->seats[i];
            if (s->child.pid == 0)
                continue;
            if (stop == 2 && s->job != JOB_NONE && !s->killed) {
                s->killed = cut;
                kill(-s->child.pid, SIGKILL);
            }
            listen_to(p, s);
            check_limits(s);
        }
        make_room(p);
    }
}

/* Evaluations that looks left unfinished: cut, or of a run that ends. */
static void close_attempts(struct phase *p)
{
    struct pare_store_end end = {.state = "stopped",
                                 .reason = "stopped",
                                 .signal = PARE_NONE,
                                 .exit_code = PARE_NONE,
                                 .cpu_seconds = (double)NAN,
                                 .peak_rss_bytes = PARE_NONE};
    for (size_t v = 0; v < p->r->plan->n_variants; v++) {
        struct pare_run_variant *variant = &p->r->variants[v];
        if (variant->attempt && p->rc == PARE_OK)
            p->rc = pare_store_attempt_finish(p->r->store, variant->attempt, &end, p->err);
        variant->attempt = 0;
        free(variant->seen);
        free(variant->measured);
        json_decref(variant->tokens);
        variant->seen = NULL;
        variant->measured = NULL;
        variant->tokens = NULL;
        variant->n_seen = 0;
    }
}

int pare_run_build(struct pare_runner *r, struct pare_run_samples *samples, const bool *only,
                   pare_look_fn look, struct pare_error *err)
{
    struct phase p = {.r = r, .samples = samples, .only = only, .err = err};
    p.rc = begin(&p);
    for (; p.rc == PARE_OK && p.look < samples->n_looks && pare_run_stop() == 0; p.look++) {
        work(&p);
        if (p.look + 1 == samples->n_looks || p.rc != PARE_OK || pare_run_stop())
            break;
        pare_share_clear(&p.share);
        if (look)
            p.rc = look(r, samples, p.look, err);
    }
    for (size_t i = 0; p.seats && i < p.n_seats; i++) {
        pare_child_end(&p.seats[i].child, p.seats[i].job != JOB_NONE, NULL, NULL);
        pare_str_free(&p.seats[i].child.log);
    }
    close_attempts(&p);
    if (p.share.started)
        pare_view_line(
            r, "%zu of %zu evaluations began from stored activations: %.0f %% of the work",
            p.share.started, p.share.evaluated, 100 * p.share.macs_run / p.share.macs_naive);
    r->summary->started += p.share.started;
    r->summary->macs_run += p.share.macs_run;
    r->summary->macs_naive += p.share.macs_naive;
    pare_share_end(&p.share);
    free(p.seats);
    free(p.waiting);
    if (p.rc == PARE_OK && pare_run_stop())
        p.rc = pare_error_set(err, PARE_CANCELLED, "interrupted: what was done is kept");
    return p.rc;
}
