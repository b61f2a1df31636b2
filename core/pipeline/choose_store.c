/* SPDX-License-Identifier: Apache-2.0 */
/* What is told and kept of a front: its rule, its members, and what it says in short. */
#include "pipeline/choose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- in short ---- */

bool pare_choice_shown(const struct pare_choice *choice, size_t variant)
{
    const struct pare_front_item *item = &choice->front.items[variant];
    return variant == choice->trials.baseline ||
           (item->status <= PARE_FRONT_MAYBE && item->folded == SIZE_MAX);
}

static const char *label_of(const struct pare_choice *c, size_t i)
{
    return i == SIZE_MAX ? NULL : c->trials.items[i].label;
}

/* jansson counts a member that could not be added as an error only here: look at the whole. */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static bool put_text(json_t *object, const char *key, const char *text)
{
    return !text || put(object, key, json_string(text));
}

static bool put_counts(const struct pare_choice *c, json_t *out)
{
    static const struct {
        const char *key, *states[3];
    } groups[] = {{"failed", {"failed", "lost", "blocked"}},
                  {"impossible", {"skipped"}},
                  {"stopped", {"stopped"}}};
    size_t count[PARE_COUNT(groups)] = {0};
    for (size_t i = 0; i < c->trials.n; i++) {
        for (size_t g = 0; g < PARE_COUNT(groups); g++) {
            for (size_t s = 0; s < PARE_COUNT(groups[g].states) && groups[g].states[s]; s++)
                count[g] += strcmp(c->trials.items[i].state, groups[g].states[s]) == 0;
        }
    }
    bool fine = put(out, "variants", json_integer((json_int_t)c->trials.n)) &&
                put(out, "samples", json_integer((json_int_t)c->trials.n_samples)) &&
                put(out, "feasible", json_integer((json_int_t)c->front.n_feasible));
    for (size_t g = 0; g < PARE_COUNT(groups); g++)
        fine = fine && put(out, groups[g].key, json_integer((json_int_t)count[g]));
    return fine;
}

/* What a table for people leaves out, and whose limits that breaks. */
static bool put_hidden(const struct pare_choice *c, json_t *out)
{
    size_t count[PARE_FRONT_UNMEASURED + 1] = {0}, folded = 0;
    json_t *hidden = json_object(), *broken = json_array();
    bool fine = put(out, "hidden", hidden) && put(out, "broken", broken);
    for (size_t i = 0; i < c->trials.n; i++) {
        const struct pare_front_item *item = &c->front.items[i];
        if (pare_choice_shown(c, i))
            continue;
        if (item->status <= PARE_FRONT_MAYBE)
            folded++;
        else
            count[item->status]++;
    }
    for (int s = PARE_FRONT_OUT; s <= PARE_FRONT_UNMEASURED; s++)
        fine = fine && put(hidden, pare_front_status_name((enum pare_front_status)s),
                           json_integer((json_int_t)count[s]));
    bool *named = pare_calloc(c->n_known, sizeof *named);
    for (size_t i = 0; named && i < c->trials.n; i++) {
        if (c->front.items[i].status != PARE_FRONT_INFEASIBLE || pare_choice_shown(c, i))
            continue;
        size_t b = pare_choice_broken(c, i);
        if (b == SIZE_MAX || named[c->input.bounds[b].metric])
            continue;
        size_t m = c->input.bounds[b].metric;
        named[m] = true;
        fine = fine && json_array_append_new(broken, json_string(c->known[m].name)) == 0;
    }
    fine = fine && named && put(hidden, "folded", json_integer((json_int_t)folded));
    free(named);
    return fine;
}

/* Which metric's noise decides, and how much more of it would settle the one most in doubt. */
static bool put_limit(const struct pare_choice *c, json_t *out)
{
    const struct pare_front *f = &c->front;
    size_t waiting = 0, missing = SIZE_MAX, doubt = SIZE_MAX;
    json_t *limit = json_object();
    if (!put(out, "limit", limit))
        return false;
    if (f->limiting == SIZE_MAX) {
        for (size_t i = 0; i < f->n; i++) {
            if (f->items[i].missing == SIZE_MAX || strcmp(c->trials.items[i].state, "ok") != 0)
                continue;
            const bool empty = pare_choice_empty(c, i, f->items[i].missing);
            if (empty && waiting)
                continue;
            waiting += !empty; /* of 0 nothing is to come */
            missing = f->items[i].missing;
        }
        return missing == SIZE_MAX || (put_text(limit, "missing", c->known[missing].name) &&
                                       put(limit, "waiting", json_integer((json_int_t)waiting)));
    }
    for (size_t i = 0; i < f->n; i++) {
        const struct pare_front_item *x = &f->items[i];
        if (x->settle_metric != f->limiting || x->settle_more == 0 || i == c->trials.baseline)
            continue;
        if (doubt == SIZE_MAX || fabs(x->p_front - 0.5) < fabs(f->items[doubt].p_front - 0.5))
            doubt = i;
    }
    const struct pare_front_metric *m = &c->input.metrics[f->limiting];
    if (!put_text(limit, "metric", m->name))
        return false;
    return doubt == SIZE_MAX ||
           (put(limit, "more", json_integer((json_int_t)f->items[doubt].settle_more)) &&
            put_text(limit, "of", m->kind == PARE_FIGURE_SAMPLES ? "samples" : "rounds") &&
            put_text(limit, "settles", label_of(c, doubt)));
}

/* The members worth naming. */
static bool put_labels(const struct pare_choice *c, json_t *out)
{
    const struct pare_front *f = &c->front;
    size_t ask = SIZE_MAX;
    for (size_t i = 0; i < f->n; i++) {
        if (i == c->trials.baseline || !pare_choice_shown(c, i))
            continue;
        if (ask == SIZE_MAX || f->items[i].status > f->items[ask].status)
            ask = i;
    }
    if (ask == SIZE_MAX)
        ask = f->nearest_miss;
    bool fine = put_text(out, "baseline", label_of(c, c->trials.baseline)) &&
                put_text(out, "knee", label_of(c, f->knee)) &&
                put_text(out, "ask", label_of(c, ask));
    if (f->nearest_miss == SIZE_MAX || f->n_feasible)
        return fine;
    size_t b = pare_choice_broken(c, f->nearest_miss);
    return fine && put_text(out, "nearest", label_of(c, f->nearest_miss)) &&
           put_text(out, "breaks", b == SIZE_MAX ? NULL : c->constraint_texts[b]);
}

static const struct pare_quality qualities[] = {
    {"top1", "d_top1", false},         {"acc_norm", NULL, false}, {"perplexity", "d_nll", true},
    {"spearman", "d_spearman", false}, {"kl", NULL, false},       {"agreement", NULL, false},
};

const struct pare_quality *pare_qualities(size_t *n)
{
    *n = PARE_COUNT(qualities);
    return qualities;
}

const struct pare_quality *pare_quality_of(const char *metric)
{
    for (size_t i = 0; i < PARE_COUNT(qualities); i++) {
        if (strcmp(qualities[i].metric, metric) == 0)
            return &qualities[i];
    }
    return NULL;
}

static bool measured(const struct pare_trial *v, const char *metric)
{
    for (size_t i = 0; i < v->n_metrics; i++) {
        if (strcmp(v->metrics[i].name, metric) == 0)
            return true;
    }
    return false;
}

static const char *main_quality(const struct pare_choice *c)
{
    const struct pare_trial *baseline = &c->trials.items[c->trials.baseline];
    for (size_t i = 0; i < c->trials.n_objectives; i++) {
        const char *metric = c->trials.objectives[i].metric;
        if (pare_quality_of(metric) && measured(baseline, metric))
            return metric;
    }
    for (size_t i = 0; i < PARE_COUNT(qualities); i++) {
        if (measured(baseline, qualities[i].metric))
            return qualities[i].metric;
    }
    return qualities[0].metric;
}

static int place_row(void *user, const struct pare_row *row, struct pare_error *err)
{
    json_t *out = user;
    if (!row->values)
        return PARE_OK;
    bool fine = put_text(out, "data", row->values[0].text);
    if (row->values[1].type != PARE_VALUE_NULL) {
        json_t *shape = json_loads(row->values[3].text ? row->values[3].text : "", 0, NULL);
        fine = fine && put(out, "session", json_integer(row->values[1].integer)) &&
               put(out, "rounds", json_integer(row->values[2].integer));
        for (size_t i = 0; i < 2; i++) {
            const char *key = i ? "threads" : "batch";
            json_t *value = json_object_get(shape, key);
            fine = fine && (!value || put(out, key, json_incref(value)));
        }
        json_decref(shape);
    }
    return fine ? PARE_OK : pare_error_nomem(err, 0);
}

int pare_choice_summary(struct pare_store *store, const struct pare_choice *choice, json_t **out,
                        struct pare_error *err)
{
    const struct pare_trials *t = &choice->trials;
    const struct pare_argument args[] = {
        {"pipeline", t->pipeline}, {"host", t->host}, {"shape", t->shape}};
    json_t *summary = json_object();
    int rc = PARE_OK;
    if (!summary || !put_counts(choice, summary) || !put_hidden(choice, summary) ||
        !put_limit(choice, summary) || !put_labels(choice, summary) ||
        !put_text(summary, "quality", main_quality(choice)) ||
        !put_text(summary, "host", t->host) || !put_text(summary, "shape", t->shape)) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_store_query(
        store,
        "WITH d(data) AS (SELECT data_name FROM measurements WHERE pipeline = :pipeline AND "
        "role = 'evaluate' LIMIT 1), l AS (SELECT l.session, l.rounds, s.definition "
        "FROM latencies l JOIN session s ON s.session_id = l.session WHERE l.pipeline = :pipeline "
        "AND l.host IS :host AND l.shape IS :shape AND l.label = 'baseline' AND l.session = "
        "(SELECT session FROM variants WHERE pipeline = :pipeline AND host IS :host AND "
        "shape IS :shape AND label = 'baseline')) "
        "SELECT (SELECT data FROM d), l.* FROM (SELECT 1) LEFT JOIN l LIMIT 1",
        args, 3, place_row, summary, err));
    *out = json_incref(summary);
out:
    json_decref(summary);
    return rc;
}

/* ---- storing ---- */

static json_t *rule_of(const struct pare_choice *c)
{
    json_t *objectives = json_array(), *constraints = json_array();
    for (size_t i = 0; i < c->trials.n_objectives; i++) {
        const struct pare_store_objective *o = &c->trials.objectives[i];
        json_array_append_new(objectives,
                              json_pack("{s:s, s:s, s:f, s:b}", "metric", o->metric, "direction",
                                        o->direction > 0 ? "max" : "min", "tolerance", o->tolerance,
                                        "relative", (int)o->relative));
    }
    for (size_t i = 0; i < c->n_constraints; i++)
        json_array_append_new(constraints, json_string(c->constraint_texts[i]));
    return json_pack("{s:s, s:o, s:o, s:i}", "method", "paired bootstrap, non-dominated sort",
                     "objectives", objectives, "constraints", constraints, "replicates",
                     c->input.replicates ? (int)c->input.replicates : 1000);
}

static int64_t id_at(const struct pare_choice *c, size_t i)
{
    return i == SIZE_MAX ? 0 : c->trials.items[i].variant_id;
}

int pare_choice_store(struct pare_store *store, const struct pare_choice *choice, int64_t *id,
                      struct pare_error *err)
{
    size_t n = choice->trials.n;
    struct pare_store_front_member *members = pare_calloc(n, sizeof *members);
    char(*why)[256] = pare_calloc(n, sizeof *why);
    json_t *json = rule_of(choice), *summary = NULL;
    char *rule = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL, *text = NULL;
    int64_t ignored;
    int rc = members && why && rule ? PARE_OK : pare_error_nomem(err, 0);
    if (rc == PARE_OK)
        rc = pare_choice_summary(store, choice, &summary, err);
    if (rc != PARE_OK)
        goto out;
    text = json_dumps(summary, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        const struct pare_front_item *item = &choice->front.items[i];
        pare_choice_why(choice, i, why[i]);
        members[i] = (struct pare_store_front_member){
            .variant_id = id_at(choice, i),
            .status = pare_front_status_name(item->status),
            .p_front = item->p_front,
            .p_feasible = item->p_feasible,
            .knee = item->knee,
            .rank = item->rank == SIZE_MAX ? PARE_NONE : (int64_t)item->rank,
            .folded_id = id_at(choice, item->folded),
            .rival_id = id_at(choice, item->rival),
            .why = why[i][0] ? why[i] : NULL};
    }
    const struct pare_store_front front = {.pipeline_id = choice->trials.pipeline_id,
                                           .host_id = choice->trials.host_id,
                                           .shape = choice->trials.shape,
                                           .rule = rule,
                                           .seed = choice->input.seed,
                                           .data_hash = choice->data_hash,
                                           .summary = text,
                                           .changes = choice->changes,
                                           .members = members,
                                           .n = n};
    rc = pare_store_front(store, &front, id ? id : &ignored, err);
out:
    free(members);
    free(why);
    free(rule);
    free(text);
    json_decref(json);
    json_decref(summary);
    return rc;
}
