/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/choose.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* What is looked up besides the trials: the pipeline's seed and the names of its shapes. */
struct plan_facts {
    struct pare_choice *choice;
    const char **shapes; /* in order; the first is latency_ms */
    size_t n_shapes;
    int64_t seed;
};

static int fact_row(void *user, const struct pare_row *row, struct pare_error *err)
{
    struct plan_facts *f = user;
    if (!row->values)
        return PARE_OK;
    if (row->values[0].type == PARE_VALUE_INTEGER)
        f->seed = row->values[0].integer;
    if (row->values[1].type != PARE_VALUE_TEXT)
        return PARE_OK;
    const char **grown = pare_pool_alloc(&f->choice->pool, f->n_shapes + 1, sizeof *grown);
    char *name = pare_pool_strdup(&f->choice->pool, row->values[1].text);
    if (!grown || !name)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < f->n_shapes; i++)
        grown[i] = f->shapes[i];
    grown[f->n_shapes++] = name;
    f->shapes = grown;
    return PARE_OK;
}

/* ---- metrics ---- */

static const struct pare_trial_metric *figure_of(const struct pare_trial *v, const char *metric)
{
    for (size_t i = 0; i < v->n_metrics; i++) {
        if (strcmp(v->metrics[i].name, metric) == 0)
            return &v->metrics[i];
    }
    return NULL;
}

/* Every metric that can be named: the program's, a latency per further shape, and those that
 * plugins bring. */
static int list_metrics(struct pare_choice *c, const struct plan_facts *f, struct pare_error *err)
{
    size_t n;
    const struct pare_metric *builtin = pare_metrics(&n);
    size_t room = n + (f->n_shapes ? f->n_shapes - 1 : 0) + c->trials.n_plugin_metrics;
    c->known = pare_pool_alloc(&c->pool, room, sizeof *c->known);
    struct pare_front_metric *metrics = pare_pool_alloc(&c->pool, room, sizeof *metrics);
    if (!c->known || !metrics)
        return pare_error_nomem(err, 0);
    memcpy(c->known, builtin, n * sizeof *builtin);
    for (size_t i = 1; i < f->n_shapes; i++) {
        const char *name = pare_pool_printf(&c->pool, "latency_ms.%s", f->shapes[i]);
        if (!name)
            return pare_error_nomem(err, 0);
        c->known[n++] = (struct pare_metric){name, PARE_METRIC_MS, false};
    }
    for (size_t i = 0; i < c->trials.n_plugin_metrics; i++) {
        const struct pare_store_metric *m = &c->trials.plugin_metrics[i];
        c->known[n++] = (struct pare_metric){m->name, PARE_METRIC_NUMBER, m->higher};
    }
    c->n_known = n;
    c->input.metrics = metrics;
    c->input.n_metrics = n;
    return PARE_OK;
}

static int fill_exact(struct pare_choice *c, struct pare_front_metric *m, struct pare_error *err)
{
    double *value = pare_pool_alloc(&c->pool, c->trials.n, sizeof *value);
    if (!value)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < c->trials.n; i++) {
        const struct pare_trial_metric *x = figure_of(&c->trials.items[i], m->name);
        value[i] = x ? x->value : (double)NAN;
    }
    m->kind = PARE_FIGURE_EXACT;
    m->value = value;
    m->log_scale = true;
    return PARE_OK;
}

static bool by_plugin(const struct pare_choice *c, const char *name)
{
    for (size_t i = 0; i < c->trials.n_plugin_metrics; i++) {
        if (strcmp(c->trials.plugin_metrics[i].name, name) == 0)
            return true;
    }
    return false;
}

/* A mean with its standard error, each variant's by itself. */
static int fill_spread(struct pare_choice *c, struct pare_front_metric *m, struct pare_error *err)
{
    double *sem = pare_pool_alloc(&c->pool, c->trials.n, sizeof *sem);
    int rc = sem ? fill_exact(c, m, err) : pare_error_nomem(err, 0);
    for (size_t i = 0; rc == PARE_OK && i < c->trials.n; i++) {
        const struct pare_trial_metric *x = figure_of(&c->trials.items[i], m->name);
        sem[i] = x ? x->sem : (double)NAN;
    }
    m->kind = PARE_FIGURE_SPREAD;
    m->sem = sem;
    m->log_scale = false; /* it may be below zero */
    return rc;
}

/* ---- what is known without samples and rounds ---- */

/* Another shape on the same host; n = 0: not timed there. */
struct shape {
    struct pare_trials trials;
    size_t metric;
};

struct shapes {
    struct shape *items;
    size_t n;
};

static void shapes_free(struct shapes *s)
{
    for (size_t i = 0; i < s->n; i++)
        pare_trials_free(&s->items[i].trials);
    free(s->items);
}

static struct pare_front_metric *metrics_of(struct pare_choice *c)
{
    return (struct pare_front_metric *)(uintptr_t)c->input.metrics;
}

static int begin_samples(struct pare_choice *c, struct pare_front_metric *m, struct pare_error *err)
{
    const struct pare_trials *t = &c->trials;
    struct pare_front_summary *s = pare_pool_alloc(&c->pool, t->n, sizeof *s);
    const float **sample = pare_pool_alloc(&c->pool, t->n, sizeof *sample);
    if (!s || !sample)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < t->n; i++) {
        const struct pare_trial *v = &t->items[i];
        const struct pare_trial_metric *x = figure_of(v, m->name);
        double right = x ? round(x->value * (double)t->n_samples) : (double)NAN;
        if (v->gain != PARE_NONE && right >= 0)
            s[i] = pare_front_summary_counts((size_t)right, t->n_samples, (size_t)v->gain,
                                             (size_t)v->loss);
        else /* not compared: only its samples can tell */
            s[i] = (struct pare_front_summary){x ? x->value : (double)NAN, NAN, NAN, NAN, NAN, NAN};
    }
    m->kind = PARE_FIGURE_SAMPLES;
    m->n_samples = t->n_samples;
    m->summary = s;
    m->sample = sample;
    return PARE_OK;
}

/* What is a mean over samples: perplexity's are the windows' losses, in nats, and the figure is
 * exp(mean); Spearman's rho is the mean of what the pairs add. Without them nothing is settled. */
static int begin_means(struct pare_choice *c, struct pare_front_metric *m, bool exponential,
                       struct pare_error *err)
{
    const struct pare_trials *t = &c->trials;
    struct pare_front_summary *s = pare_pool_alloc(&c->pool, t->n, sizeof *s);
    const float **sample = pare_pool_alloc(&c->pool, t->n, sizeof *sample);
    if (!s || !sample)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < t->n; i++) {
        const struct pare_trial_metric *x = figure_of(&t->items[i], m->name);
        const double value = x ? x->value : (double)NAN;
        s[i] =
            (struct pare_front_summary){exponential ? log(value) : value, NAN, NAN, NAN, NAN, NAN};
    }
    m->kind = PARE_FIGURE_SAMPLES;
    m->exponential = exponential;
    m->log_scale = exponential;
    m->n_samples = t->n_samples;
    m->summary = s;
    m->sample = sample;
    return PARE_OK;
}

static double *in_ms(struct pare_pool *pool, const double *ns, size_t n)
{
    double *ms = pare_pool_alloc(pool, n, sizeof *ms);
    for (size_t i = 0; ms && i < n; i++)
        ms[i] = ns[i] / 1e6;
    return ms;
}

/* The baseline's own figures: limits are told from them. */
static int load_baseline(struct pare_store *store, struct pare_trials *t, struct pare_error *err)
{
    bool *which = pare_calloc(t->n, sizeof *which);
    if (!which)
        return pare_error_nomem(err, t->n);
    if (t->baseline != SIZE_MAX)
        which[t->baseline] = true;
    int rc = pare_trials_details(store, t, which, err);
    free(which);
    return rc;
}

static int begin_rounds(struct pare_choice *c, struct pare_front_metric *m,
                        const struct pare_trials *t, struct pare_error *err)
{
    size_t n = c->trials.n;
    struct pare_front_memory memory = {0};
    struct pare_front_summary *s = pare_pool_alloc(&c->pool, n, sizeof *s);
    size_t *session = pare_pool_alloc(&c->pool, n, sizeof *session);
    if (!s || !session)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < n; i++) {
        session[i] = i < t->n ? t->items[i].session : SIZE_MAX;
        struct pare_interval none = {NAN, NAN, NAN}, x = i < t->n ? t->items[i].speedup : none;
        /* The log of its time over the baseline's: the speed-up turned round. */
        struct pare_interval ratio = {-log(x.value), -log(x.hi), -log(x.lo)};
        s[i] = pare_front_summary_ratio(ratio, i < t->n ? t->items[i].rounds : 0, &memory);
    }
    struct pare_front_session *reference = pare_pool_alloc(&c->pool, 1, sizeof *reference);
    if (!reference)
        return pare_error_nomem(err, 0);
    if (t->n_sessions) {
        reference->n_rounds = t->sessions[0].n_rounds;
        reference->baseline = in_ms(&c->pool, t->sessions[0].baseline_ns, reference->n_rounds);
        if (!reference->baseline)
            return pare_error_nomem(err, 0);
    }
    m->kind = PARE_FIGURE_ROUNDS;
    m->session = session;
    m->summary = s;
    m->log_scale = true;
    m->sessions = reference; /* the others come with the rounds */
    m->n_sessions = t->n_sessions ? 1 : 0;
    return PARE_OK;
}

/* A further shape on the same host; not timed there: missing for all. */
static int begin_shape(struct pare_choice *c, struct pare_store *store, const char *name,
                       size_t metric, struct shapes *shapes, struct pare_error *err)
{
    struct shape *s = &shapes->items[shapes->n++];
    int rc = PARE_NOT_FOUND;
    *s = (struct shape){.trials = {.baseline = SIZE_MAX}, .metric = metric};
    if (c->trials.host)
        rc =
            pare_trials_summaries(store, c->trials.pipeline, c->trials.host, name, &s->trials, err);
    if (rc == PARE_OK)
        rc = load_baseline(store, &s->trials, err);
    if (rc == PARE_NOT_FOUND) {
        s->trials = (struct pare_trials){.baseline = SIZE_MAX};
        rc = PARE_OK;
    }
    return rc == PARE_OK ? begin_rounds(c, &metrics_of(c)[metric], &s->trials, err) : rc;
}

static int begin_metrics(struct pare_choice *c, struct pare_store *store, struct shapes *shapes,
                         struct pare_error *err)
{
    int rc = PARE_OK;
    for (size_t k = 0; k < c->n_known; k++) {
        struct pare_front_metric *m = &metrics_of(c)[k];
        const char *name = c->known[k].name;
        m->name = name;
        m->direction = c->known[k].higher ? 1 : -1;
        if (strcmp(name, "top1") == 0)
            PARE_TRY(begin_samples(c, m, err));
        else if (strcmp(name, "perplexity") == 0)
            PARE_TRY(begin_means(c, m, true, err));
        else if (strcmp(name, "spearman") == 0)
            PARE_TRY(begin_means(c, m, false, err));
        else if (strcmp(name, "latency_ms") == 0)
            PARE_TRY(begin_rounds(c, m, &c->trials, err));
        else if (strncmp(name, "latency_ms.", 11) == 0)
            PARE_TRY(begin_shape(c, store, name + 11, k, shapes, err));
        else if (by_plugin(c, name))
            PARE_TRY(fill_spread(c, m, err));
        else
            PARE_TRY(fill_exact(c, m, err));
    }
out:
    return rc;
}

/* ---- samples and rounds ---- */

static int fill_samples(struct pare_choice *c, struct pare_front_metric *m, struct pare_error *err)
{
    const struct pare_trials *t = &c->trials;
    const float **sample = (const float **)(uintptr_t)m->sample;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->items[i].correct)
            continue;
        float *x = pare_pool_alloc(&c->pool, t->n_samples, sizeof *x);
        if (!x)
            return pare_error_nomem(err, t->n_samples * sizeof *x);
        for (size_t k = 0; k < t->n_samples; k++)
            x[k] = t->items[i].correct[k];
        sample[i] = x;
    }
    return PARE_OK;
}

static void fill_means(struct pare_choice *c)
{
    const float **loss =
        (const float **)(uintptr_t)metrics_of(c)[pare_choice_metric(c, "perplexity")].sample;
    const float **part =
        (const float **)(uintptr_t)metrics_of(c)[pare_choice_metric(c, "spearman")].sample;
    for (size_t i = 0; i < c->trials.n; i++) {
        loss[i] = c->trials.items[i].losses;
        part[i] = c->trials.items[i].parts;
    }
}

/* The rounds of one shape. `t` may be gone afterwards: everything is copied. */
static int fill_rounds(struct pare_choice *c, struct pare_front_metric *m,
                       const struct pare_trials *t, struct pare_error *err)
{
    size_t n = c->trials.n;
    struct pare_front_session *sessions =
        pare_pool_alloc(&c->pool, t->n_sessions, sizeof *sessions);
    const double **round = pare_pool_alloc(&c->pool, n, sizeof *round);
    if (!sessions || !round)
        return pare_error_nomem(err, 0);
    for (size_t s = 0; s < t->n_sessions; s++) {
        sessions[s].n_rounds = t->sessions[s].n_rounds;
        sessions[s].baseline = in_ms(&c->pool, t->sessions[s].baseline_ns, sessions[s].n_rounds);
        if (!sessions[s].baseline)
            return pare_error_nomem(err, 0);
    }
    for (size_t i = 0; i < t->n; i++) {
        if (m->session[i] == SIZE_MAX || !t->items[i].round_ns)
            continue;
        round[i] = in_ms(&c->pool, t->items[i].round_ns, sessions[m->session[i]].n_rounds);
        if (!round[i])
            return pare_error_nomem(err, 0);
    }
    m->sessions = sessions;
    m->n_sessions = t->n_sessions;
    m->round = round;
    return PARE_OK;
}

/* What nothing settles, and what the query names, with its rival. The baseline is there already. */
static void choose_details(const struct pare_choice *c, const struct pare_choice_query *query,
                           size_t *rival, bool *which)
{
    for (size_t i = 0; i < c->trials.n; i++) {
        which[i] = which[i] || rival[i] == SIZE_MAX || query->whole;
        for (size_t k = 0; k < query->n_closely; k++) {
            if (strcmp(c->trials.items[i].hash, query->closely[k]) != 0)
                continue;
            which[i] = true;
            if (rival[i] != SIZE_MAX)
                which[rival[i]] = true;
        }
    }
    which[c->trials.baseline] = false;
}

static int fill_details(struct pare_choice *c, struct pare_store *store,
                        const struct pare_choice_query *query, struct shapes *shapes,
                        struct pare_error *err)
{
    struct pare_hash hash;
    size_t *rival = pare_pool_alloc(&c->pool, c->trials.n, sizeof *rival);
    bool *which = pare_calloc(c->trials.n, sizeof *which);
    int rc = PARE_OK;
    if (!rival || !which) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_front_settle(&c->input, rival, err));
    choose_details(c, query, rival, which);
    PARE_TRY(pare_trials_details(store, &c->trials, which, err));
    pare_hash_begin(&hash);
    pare_hash_text(&hash, c->trials.data_hash);
    for (size_t i = 0; i < shapes->n; i++) {
        struct shape *s = &shapes->items[i];
        if (s->trials.n) {
            PARE_TRY(pare_trials_details(store, &s->trials, which, err));
            pare_hash_text(&hash, s->trials.data_hash);
        }
        PARE_TRY(fill_rounds(c, &metrics_of(c)[s->metric], &s->trials, err));
    }
    memcpy(c->data_hash, c->trials.data_hash, sizeof c->data_hash);
    if (shapes->n)
        pare_hash_end(&hash, c->data_hash);
    PARE_TRY(fill_samples(c, &metrics_of(c)[pare_choice_metric(c, "top1")], err));
    fill_means(c);
    PARE_TRY(fill_rounds(c, &metrics_of(c)[pare_choice_metric(c, "latency_ms")], &c->trials, err));
    c->input.settled = rival;
out:
    free(which);
    return rc;
}

static int set_objectives(struct pare_choice *c, struct pare_error *err)
{
    struct pare_front_metric *metrics = metrics_of(c);
    for (size_t i = 0; i < c->trials.n_objectives; i++) {
        const struct pare_store_objective *o = &c->trials.objectives[i];
        size_t m = pare_choice_metric(c, o->metric);
        if (m == SIZE_MAX)
            return pare_error_set(err, PARE_UNSUPPORTED, "this program does not know the metric %s",
                                  o->metric);
        metrics[m].objective = true;
        metrics[m].tolerance = o->tolerance;
        metrics[m].relative = o->relative;
    }
    return PARE_OK;
}

/* ---- constraints ---- */

static int add_constraint(struct pare_choice *c, const char *text, bool replaces,
                          struct pare_error *err)
{
    struct pare_constraint parsed;
    size_t column, at = c->n_constraints;
    int rc = pare_constraint_parse(text, c->known, c->n_known, &parsed, &column, err);
    if (rc != PARE_OK) {
        pare_error_detail(err, "in the constraint '%s', column %zu", text, column);
        return rc;
    }
    for (size_t i = 0; replaces && i < c->trials.n_constraints && i < c->n_constraints; i++) {
        if (c->constraints[i].metric == parsed.metric &&
            c->constraints[i].at_most == parsed.at_most)
            at = i;
    }
    if (at == c->n_constraints)
        c->n_constraints++;
    c->constraints[at] = parsed;
    c->constraint_texts[at] = text;
    return PARE_OK;
}

static int set_constraints(struct pare_choice *c, const struct pare_choice_query *query,
                           struct pare_error *err)
{
    size_t room = c->trials.n_constraints + query->n_constraints;
    struct pare_front_bound *bounds = pare_pool_alloc(&c->pool, room, sizeof *bounds);
    int rc = PARE_OK;
    c->constraints = pare_pool_alloc(&c->pool, room, sizeof *c->constraints);
    c->constraint_texts = pare_pool_alloc(&c->pool, room, sizeof *c->constraint_texts);
    if (!bounds || !c->constraints || !c->constraint_texts)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < c->trials.n_constraints; i++)
        PARE_TRY(add_constraint(c, c->trials.constraints[i], false, err));
    for (size_t i = 0; i < query->n_constraints; i++) {
        char *own = pare_pool_strdup(&c->pool, query->constraints[i]);
        if (!own)
            return pare_error_nomem(err, 0);
        PARE_TRY(add_constraint(c, own, true, err));
    }
    for (size_t i = 0; i < c->n_constraints; i++) {
        static const enum pare_limit_kind kinds[] = {[PARE_BOUND_ABSOLUTE] = PARE_LIMIT_ABSOLUTE,
                                                     [PARE_BOUND_PLUS] = PARE_LIMIT_BASELINE_PLUS,
                                                     [PARE_BOUND_TIMES] =
                                                         PARE_LIMIT_BASELINE_TIMES};
        const struct pare_constraint *k = &c->constraints[i];
        bounds[i] = (struct pare_front_bound){.metric = (size_t)(k->metric - c->known),
                                              .direction = k->at_most ? -1 : 1,
                                              .kind = kinds[k->bound],
                                              .number = k->value};
    }
    c->input.bounds = bounds;
    c->input.n_bounds = c->n_constraints;
out:
    return rc;
}

/* ---- the whole ---- */

int pare_choice_make(struct pare_store *store, const struct pare_choice_query *query,
                     struct pare_choice *out, struct pare_error *err)
{
    struct plan_facts facts = {.choice = out, .seed = 1};
    struct shapes shapes = {0};
    bool mine = false;
    int rc;
    *out = (struct pare_choice){.trials = {.baseline = SIZE_MAX}};
    PARE_TRY(pare_store_snapshot(store, &mine, err));
    PARE_TRY(pare_store_changes(store, &out->changes, err));
    PARE_TRY(pare_trials_summaries(store, query->pipeline, query->host, query->shape, &out->trials,
                                   err));
    if (out->trials.baseline == SIZE_MAX) {
        rc = pare_error_set(err, PARE_INVALID, "pipeline '%s' has no baseline",
                            out->trials.pipeline);
        pare_error_hint(err, "`pare run FILE` measures it");
        goto out;
    }
    const struct pare_argument name = {"name", out->trials.pipeline};
    PARE_TRY(pare_store_query(store,
                              "SELECT p.seed, s.name FROM pipeline p LEFT JOIN shape s "
                              "ON s.pipeline_id = p.pipeline_id WHERE p.name = :name "
                              "ORDER BY s.position",
                              &name, 1, fact_row, &facts, err));
    shapes.items = pare_calloc(facts.n_shapes, sizeof *shapes.items);
    if (!shapes.items) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    out->input.n = out->trials.n;
    out->input.baseline = out->trials.baseline;
    out->input.seed = (uint64_t)facts.seed;
    PARE_TRY(load_baseline(store, &out->trials, err));
    PARE_TRY(list_metrics(out, &facts, err));
    PARE_TRY(begin_metrics(out, store, &shapes, err));
    PARE_TRY(set_objectives(out, err));
    PARE_TRY(set_constraints(out, query, err));
    PARE_TRY(fill_details(out, store, query, &shapes, err));
    PARE_TRY(pare_front_compute(&out->input, &out->front, err));
out:
    pare_store_snapshot_end(store, mine);
    shapes_free(&shapes);
    if (rc != PARE_OK)
        pare_choice_free(out);
    return rc;
}

void pare_choice_free(struct pare_choice *choice)
{
    pare_front_free(&choice->front);
    pare_trials_free(&choice->trials);
    pare_pool_free(&choice->pool);
    *choice = (struct pare_choice){.trials = {.baseline = SIZE_MAX}};
}

size_t pare_choice_metric(const struct pare_choice *choice, const char *name)
{
    for (size_t i = 0; i < choice->n_known; i++) {
        if (strcmp(choice->known[i].name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

size_t pare_choice_variant(const struct pare_choice *choice, const char *hash)
{
    for (size_t i = 0; i < choice->trials.n; i++) {
        if (strcmp(choice->trials.items[i].hash, hash) == 0)
            return i;
    }
    return SIZE_MAX;
}

size_t pare_choice_broken(const struct pare_choice *choice, size_t variant)
{
    const struct pare_front *f = &choice->front;
    size_t worst = SIZE_MAX;
    double most = 0;
    for (size_t b = 0; b < choice->input.n_bounds; b++) {
        const struct pare_front_bound *bound = &choice->input.bounds[b];
        double v = f->point[variant * f->n_metrics + bound->metric];
        double limit = pare_front_limit(
            bound, f->point[choice->trials.baseline * f->n_metrics + bound->metric]);
        double share = -pare_front_room(bound, limit, v) / fmax(fabs(limit), 1e-300);
        if (share > most) {
            most = share;
            worst = b;
        }
    }
    return worst;
}

bool pare_choice_empty(const struct pare_choice *choice, size_t variant, size_t metric)
{
    const struct pare_trial *v = &choice->trials.items[variant];
    for (size_t k = 0; k < v->n_metrics; k++) {
        if (strcmp(v->metrics[k].name, choice->known[metric].name) == 0)
            return isnan(v->metrics[k].value);
    }
    return false;
}

void pare_choice_why(const struct pare_choice *choice, size_t variant, char *out)
{
    const struct pare_front_item *item = &choice->front.items[variant];
    const struct pare_trial *v = &choice->trials.items[variant];
    const char *rival = item->rival != SIZE_MAX ? choice->trials.items[item->rival].label : NULL;
    size_t broken = pare_choice_broken(choice, variant);
    out[0] = '\0';
    switch (item->status) {
    case PARE_FRONT_UNMEASURED:
        if (strcmp(v->state, "ok") != 0)
            snprintf(out, 256, "%s%s%.200s", v->state, v->reason ? ": " : "",
                     v->reason ? v->reason : "");
        else if (item->missing != SIZE_MAX)
            snprintf(out, 256, "%s %s", choice->known[item->missing].name,
                     pare_choice_empty(choice, variant, item->missing) ? "has a value for no sample"
                                                                       : "is not measured");
        break;
    case PARE_FRONT_INFEASIBLE:
        if (broken != SIZE_MAX)
            snprintf(out, 256, "breaks %.200s", choice->constraint_texts[broken]);
        break;
    case PARE_FRONT_OUT:
        if (rival)
            snprintf(out, 256, "%.200s is better%s", rival,
                     item->beaten ? " beyond all intervals" : "");
        break;
    default:
        if (item->folded != SIZE_MAX)
            snprintf(out, 256, "practically the same as %.200s",
                     choice->trials.items[item->folded].label);
        else if (rival && item->p_front < 0.95)
            snprintf(out, 256, "%.200s is better in some draws", rival);
    }
}
