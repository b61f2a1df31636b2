/* SPDX-License-Identifier: Apache-2.0 */
/* The second phase: one latency session, in interleaved rounds, with nothing else of Pare running.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/stat.h"
#include "engine/plan.h"
#include "measure/measure.h"
#include "pipeline/run_parts.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define INPUTS 64 /* samples that a bench cycles through */
#define SESSION_S 900.0
#define RAM_SHARE 0.5 /* members' processes together; above it models are loaded per visit */
#define STEAL_LIMIT 0.01
#define DRIFT_LIMIT 0.05 /* between the baseline's two visits of a round */
#define EXTRA_SHARE 0.25 /* rounds added for disturbed ones, at most */

struct member {
    size_t variant;
    struct pare_child child;
    int64_t attempt;
    bool gone;
    double cpu_seconds;
    int64_t peak_rss;
    uint32_t *ns; /* of the current round; the store copies them */
};

struct session {
    struct pare_runner *r;
    const struct pare_shape *shape;
    struct member *members; /* [0] is the baseline */
    size_t n;
    bool per_visit;
    int64_t id;
    size_t round;
    double began;
    int rc;
    struct pare_error *err;
};

/* ---- one member
 * ---------------------------------------------------------------------------------- */

/* Send a job and wait for its answer (a new reference); NULL: the member failed, `why` tells. */
static json_t *ask(const struct session *s, struct member *m, json_t *job, char *why, size_t size)
{
    struct pare_error err;
    struct pare_run_bound bound;
    json_t *answer = NULL;
    double since = pare_clock_seconds();
    pare_run_bound(s->r, NULL, &bound);
    int sig, code;
    pare_message_send(m->child.fd, job, &err);
    while (!answer) {
        struct pollfd fds[2] = {{.fd = m->child.fd, .events = POLLIN},
                                {.fd = m->child.log_fd, .events = POLLIN}};
        poll(fds, 2, 100);
        pare_child_listen(&m->child);
        if (pare_message_next(&m->child.reader, &answer, &err) != PARE_OK)
            m->child.closed = true;
        if (answer && strcmp(pare_message_text(answer, "type"), "progress") == 0) {
            json_decref(answer);
            answer = NULL;
            continue;
        }
        bool beyond = !answer && pare_run_beyond(&bound, &m->child, since);
        if (!answer && (m->child.closed || beyond || pare_run_stop() == 2)) {
            pare_child_end(&m->child, true, &sig, &code);
            if (pare_run_stop() == 2)
                snprintf(why, size, "stopped");
            else if (beyond)
                snprintf(why, size, "%s", bound.why);
            else
                snprintf(why, size, "crashed with signal %d while it was timed", sig);
            return NULL;
        }
    }
    if (strcmp(pare_message_text(answer, "type"), "failed") == 0) {
        snprintf(why, size, "%s", pare_message_text(answer, "what"));
        json_decref(answer);
        return NULL;
    }
    m->cpu_seconds += pare_message_number(answer, "cpu_seconds");
    m->peak_rss = PARE_MAX(m->peak_rss,
                           (int64_t)json_integer_value(json_object_get(answer, "peak_rss_bytes")));
    return answer;
}

static void drop_member(struct session *s, struct member *m, const char *why)
{
    struct pare_runner *r = s->r;
    bool stopped = strcmp(why, "stopped") == 0;
    struct pare_store_end end = {.state = stopped ? "stopped" : "failed",
                                 .cause = stopped ? NULL : "other",
                                 .reason = why,
                                 .signal = PARE_NONE,
                                 .exit_code = PARE_NONE,
                                 .cpu_seconds = m->cpu_seconds,
                                 .peak_rss_bytes = PARE_NONE};
    m->gone = true;
    if (!stopped)
        pare_view_line(r, "timing %s: %s", r->plan->variants[m->variant].label, why);
    if (s->rc == PARE_OK && m->attempt)
        s->rc = pare_store_attempt_finish(r->store, m->attempt, &end, s->err);
    m->attempt = 0;
    r->summary->failed += !stopped;
    pare_child_end(&m->child, true, NULL, NULL);
}

/* Start the member's process and load its model. */
static bool load(struct session *s, struct member *m)
{
    struct pare_runner *r = s->r;
    const struct pare_run_node *node = &r->nodes[r->variants[m->variant].node];
    char why[256];
    struct pare_error err;
    if (m->child.pid)
        return true;
    if (pare_child_start(&m->child, r->options->program, s->shape->threads, true, r->setup, &err) !=
        PARE_OK) {
        drop_member(s, m, err.what);
        return false;
    }
    const bool text = r->pipeline->reads_text; /* its inputs are random ids */
    json_t *job =
        json_pack("{s:s, s:s, s:o}", "type", "bench", "model", node->path, "data",
                  text ? json_null() : pare_run_data_json(&r->pipeline->evaluate, INPUTS));
    char definition[PARE_SHAPE_TEXT];
    pare_run_shape(s->shape, definition);
    json_object_update_new(job, json_loads(definition, 0, NULL));
    json_t *answer = ask(s, m, job, why, sizeof why);
    if (!answer)
        drop_member(s, m, why);
    json_decref(answer);
    return !m->gone;
}

/* ---- a round
 * ------------------------------------------------------------------------------------- */

static bool visit(struct session *s, struct member *m, size_t slot, struct pare_store_visit *out)
{
    struct pare_runner *r = s->r;
    struct pare_run_variant *v = &r->variants[m->variant];
    char why[256];
    if (m->gone || !load(s, m))
        return false;
    json_t *answer = ask(s, m, json_pack("{s:s}", "type", "visit"), why, sizeof why);
    if (!answer) {
        drop_member(s, m, why);
        return false;
    }
    const json_t *ns = json_object_get(answer, "ns");
    size_t n = json_array_size(ns);
    uint32_t *own = pare_alloc(n, sizeof *own);
    const char *first = pare_message_text(answer, "first_logits");
    bool same = !v->first_logits[0] || !first[0] || strcmp(first, v->first_logits) == 0;
    if (!v->first_logits[0]) /* timed before it is evaluated, which has to give the same */
        snprintf(v->first_logits, sizeof v->first_logits, "%s", first);
    for (size_t i = 0; own && i < n; i++)
        own[i] = (uint32_t)json_integer_value(json_array_get(ns, i));
    *out = (struct pare_store_visit){
        .variant_id = r->nodes[v->node].id,
        .slot = slot,
        .ns = own,
        .n = n,
        .nivcsw = (int64_t)json_integer_value(json_object_get(answer, "nivcsw")),
        .steal_ticks = PARE_NONE,
        .load1 = pare_message_number(answer, "load1"),
        .mhz = pare_message_number(answer, "mhz")};
    double steal = pare_message_number(answer, "steal");
    out->disturbed = steal > STEAL_LIMIT || out->nivcsw > (int64_t)n;
    if (out->mhz <= 0)
        out->mhz = (double)NAN;
    json_decref(answer);
    if (s->per_visit)
        pare_child_end(&m->child, true, NULL, NULL);
    if (!own || n == 0 || !same) {
        free(own);
        drop_member(s, m,
                    same ? "no time was measured"
                         : "the timed model gives other results than the evaluated one");
        return false;
    }
    return true;
}

static double median_ns(const struct pare_store_visit *v)
{
    double *x = pare_alloc(v->n, sizeof *x), median = (double)NAN;
    for (size_t i = 0; x && i < v->n; i++)
        x[i] = (double)v->ns[i];
    if (x)
        median = pare_stat_median(x, v->n);
    free(x);
    return median;
}

/* The baseline first and last, the others in random order between; one commit. */
static bool run_round(struct session *s, struct pare_random *random, bool *disturbed)
{
    struct pare_runner *r = s->r;
    size_t *order = pare_alloc(s->n + 1, sizeof *order), n = 0;
    struct pare_store_visit *visits = pare_calloc(s->n + 1, sizeof *visits);
    bool whole = order && visits;
    *disturbed = false;
    for (size_t i = 0; whole && i < s->n; i++)
        order[i] = i;
    for (size_t i = s->n; whole && i > 2; i--) { /* Fisher and Yates, position 0 stays */
        size_t j = 1 + (size_t)pare_random_below(random, i - 1), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
    if (whole)
        order[s->n] = 0;
    for (size_t slot = 0; whole && slot <= s->n; slot++) {
        struct member *m = &s->members[order[slot]];
        if (slot > 0 && slot == s->n && s->n == 1)
            break; /* the baseline alone: one visit is enough */
        pare_view_status(r, "timing %s  round %zu  %s", s->shape->name, s->round + 1,
                         r->plan->variants[m->variant].label);
        if (visit(s, m, slot, &visits[n]))
            *disturbed = visits[n++].disturbed || *disturbed;
        whole = !s->members[0].gone && s->rc == PARE_OK && pare_run_stop() != 2;
    }
    if (whole && n > 1 && visits[n - 1].variant_id == visits[0].variant_id) {
        double a = median_ns(&visits[0]), b = median_ns(&visits[n - 1]);
        *disturbed = *disturbed || fabs(log(a / b)) > DRIFT_LIMIT;
    }
    for (size_t i = 0; i < n; i++)
        visits[i].disturbed = *disturbed;
    if (whole && n)
        s->rc = pare_store_round(r->store, s->id, s->round, visits, n, s->err);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)visits[i].ns);
    free(visits);
    free(order);
    return whole && s->rc == PARE_OK;
}

void pare_run_shape(const struct pare_shape *shape, char *out)
{
    size_t n = (size_t)snprintf(out, PARE_SHAPE_TEXT, "{\"batch\":%u,\"threads\":%u", shape->batch,
                                shape->threads);
    if (shape->prefill || shape->decode)
        n += (size_t)snprintf(out + n, PARE_SHAPE_TEXT - n, ",\"%s\":%u,\"depth\":%u",
                              shape->prefill ? "prefill" : "decode",
                              shape->prefill ? shape->prefill : shape->decode, shape->depth);
    snprintf(out + n, PARE_SHAPE_TEXT - n, "}");
}

/* ---- the session
 * --------------------------------------------------------------------------------- */

static int begin(struct session *s, uint64_t *seed)
{
    struct pare_runner *r = s->r;
    char definition[PARE_SHAPE_TEXT];
    json_t *facts = pare_host_facts();
    char *text = json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS);
    int rc = PARE_OK;
    *seed = r->pipeline->seed ^ pare_clock_ns();
    pare_run_shape(s->shape, definition);
    struct pare_store_session row = {.pipeline_id = r->pipeline_id,
                                     .host_id = r->host_id,
                                     .seed = (int64_t)(*seed >> 1),
                                     .shape = s->shape->name,
                                     .definition = definition,
                                     .program = r->program_hash,
                                     .isa = r->isa,
                                     .facts = text};
    PARE_TRY(pare_store_session_begin(r->store, &row, &s->id, s->err));
    for (size_t i = 0; i < s->n; i++)
        PARE_TRY(pare_store_attempt_begin(
            r->store, r->nodes[r->variants[s->members[i].variant].node].id, PARE_PHASE_LATENCY, 0,
            r->host_id, r->isa, &s->members[i].attempt, s->err));
out:
    free(text);
    json_decref(facts);
    return rc;
}

/* Load everybody once, to see whether all fit beside each other. */
static void load_all(struct session *s)
{
    unsigned long long resident = 0;
    for (size_t i = 0; i < s->n && pare_run_stop() == 0; i++) {
        pare_view_status(s->r, "timing %s  loading %zu of %zu", s->shape->name, i + 1, s->n);
        if (load(s, &s->members[i]))
            resident += pare_child_rss(&s->members[i].child);
        if ((double)resident > RAM_SHARE * (double)s->r->memory)
            s->per_visit = true;
        if (s->per_visit)
            pare_child_end(&s->members[i].child, true, NULL, NULL);
    }
    if (s->per_visit) {
        pare_view_line(
            s->r, "timing %s: models are loaded for every visit, together they fill the memory",
            s->shape->name);
        for (size_t i = 0; i < s->n; i++)
            pare_child_end(&s->members[i].child, true, NULL, NULL);
    }
}

static void finish_members(struct session *s, bool cut)
{
    struct pare_runner *r = s->r;
    for (size_t i = 0; i < s->n; i++) {
        struct member *m = &s->members[i];
        int64_t id = r->nodes[r->variants[m->variant].node].id;
        struct pare_store_end end = {.state = cut ? "stopped" : "ok",
                                     .signal = PARE_NONE,
                                     .exit_code = PARE_NONE,
                                     .cpu_seconds = m->cpu_seconds,
                                     .peak_rss_bytes = m->peak_rss};
        struct pare_store_measurement rss = {.metric = "peak_rss_bytes",
                                             .unit = "B",
                                             .how = "VmHWM while timed",
                                             .value = (double)m->peak_rss,
                                             .lo = (double)NAN,
                                             .hi = (double)NAN,
                                             .n = PARE_NONE};
        pare_child_end(&m->child, true, NULL, NULL);
        if (!m->attempt || s->rc != PARE_OK)
            continue;
        if (m->peak_rss > 0 && !cut)
            s->rc = pare_store_measure(r->store, id, m->attempt, &rss, s->err);
        if (s->rc == PARE_OK)
            s->rc = pare_store_attempt_finish(r->store, m->attempt, &end, s->err);
        r->summary->timed += !cut;
    }
}

int pare_run_session(struct pare_runner *r, const struct pare_shape *shape, const bool *chosen,
                     struct pare_error *err)
{
    struct session s = {.r = r, .shape = shape, .err = err, .began = pare_clock_seconds()};
    struct pare_random random;
    uint64_t seed = 0;
    size_t rounds = r->options->rounds ? r->options->rounds : PARE_ROUNDS, extra = 0;
    double budget = r->options->session_s > 0 ? r->options->session_s : SESSION_S;
    s.members = pare_calloc(r->plan->n_variants, sizeof *s.members);
    if (!s.members)
        return pare_error_nomem(err, 0);
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        if (chosen[v]) /* the plan has the baseline first */
            s.members[s.n++] = (struct member){.variant = v, .child = {.fd = -1, .log_fd = -1}};
    }
    s.rc = begin(&s, &seed);
    pare_random_seed(&random, seed >> 1);
    if (s.rc == PARE_OK)
        load_all(&s);
    bool going = s.rc == PARE_OK && !s.members[0].gone;
    while (going && s.round < rounds + extra && pare_run_stop() == 0) {
        bool disturbed;
        going = run_round(&s, &random, &disturbed);
        s.round += going;
        if (disturbed && (double)extra + 1 <= EXTRA_SHARE * (double)rounds)
            extra++;
        if (s.round > 0 && pare_clock_seconds() - s.began > budget) {
            pare_view_line(r, "timing %s: the session's time is up after %zu rounds", shape->name,
                           s.round);
            break;
        }
        if (!isatty(2) && going)
            pare_view_line(r, "timing %s: round %zu of %zu%s", shape->name, s.round, rounds + extra,
                           disturbed ? " (disturbed)" : "");
    }
    finish_members(&s, pare_run_stop() != 0 && s.round < rounds);
    if (s.rc == PARE_OK && s.id)
        s.rc = pare_store_session_end(r->store, s.id, err);
    if (s.rc == PARE_OK && s.members[0].gone && !pare_run_stop())
        s.rc = pare_error_set(err, PARE_FAILED, "the baseline could not be timed");
    free(s.members);
    if (s.rc == PARE_OK && pare_run_stop())
        s.rc = pare_error_set(err, PARE_CANCELLED, "interrupted: whole rounds are kept");
    return s.rc;
}
