/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/front_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- read ---- */

static enum pare_front_status status_of(const char *name)
{
    enum pare_front_status s = PARE_FRONT_SURE;
    while (s < PARE_FRONT_UNMEASURED && strcmp(pare_front_status_name(s), name) != 0)
        s++;
    return s;
}

#define KEPT_COLUMNS                                                                               \
    "label, variant, status, p_front, p_feasible, rank, knee, folded_under, rival, why"
#define KEPT_PLACE "pipeline = :pipeline AND host IS :host AND shape IS :shape"

/* The lines that are shown of the front that is kept; `*current` tells whether there is one. */
static int read_kept(struct pare_store *store, struct pare_front_view *v, bool *current,
                     struct pare_error *err)
{
    struct pare_rows fronts = {0};
    const struct pare_argument args[] = {
        {"pipeline", v->place.pipeline}, {"host", v->place.host}, {"shape", v->place.shape}};
    int rc;
    *current = false;
    PARE_TRY(pare_rows_load(store,
                            "SELECT summary FROM fronts WHERE pipeline = :pipeline AND "
                            "host IS :host AND shape IS :shape AND current",
                            args, 3, &fronts, err));
    if (!fronts.n)
        goto out;
    v->summary = json_loads(pare_rows_text(&fronts, 0, "summary"), 0, NULL);
    const char *baseline = json_string_value(json_object_get(v->summary, "baseline"));
    if (!baseline)
        goto out;
    /* Two parts, as an OR over both would look up the names of all members first. */
    PARE_TRY(pare_rows_load(store,
                            "SELECT " KEPT_COLUMNS " FROM front WHERE " KEPT_PLACE
                            " AND status IN ('sure', 'front', 'maybe') AND folded_under IS NULL "
                            "UNION SELECT " KEPT_COLUMNS " FROM front WHERE " KEPT_PLACE
                            " AND variant = (SELECT v.hash FROM pipeline p JOIN member m "
                            "USING(pipeline_id) JOIN variant v USING(variant_id) WHERE p.name = "
                            ":pipeline AND m.is_baseline AND m.is_current)",
                            args, 3, &v->kept, err));
    v->lines = pare_calloc(v->kept.n, sizeof *v->lines);
    if (!v->lines) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (size_t i = 0; i < v->kept.n; i++) {
        const char *label = pare_rows_text(&v->kept, i, "label");
        v->lines[v->n++] =
            (struct pare_front_line){.label = label,
                                     .hash = pare_rows_text(&v->kept, i, "variant"),
                                     .status = status_of(pare_rows_text(&v->kept, i, "status")),
                                     .baseline = strcmp(label, baseline) == 0,
                                     .shown = true,
                                     .p_front = pare_rows_number(&v->kept, i, "p_front"),
                                     .p_feasible = pare_rows_number(&v->kept, i, "p_feasible"),
                                     .knee = pare_rows_number(&v->kept, i, "knee"),
                                     .rank = pare_rows_number(&v->kept, i, "rank"),
                                     .folded = pare_rows_text(&v->kept, i, "folded_under"),
                                     .rival = pare_rows_text(&v->kept, i, "rival"),
                                     .why = pare_rows_text(&v->kept, i, "why")};
    }
    *current = true;
out:
    pare_rows_free(&fronts);
    return rc;
}

/* ---- made ---- */

static int make(struct pare_store *store, const struct pare_choice_query *query, bool all,
                struct pare_front_view *v, struct pare_error *err)
{
    const struct pare_choice *c = &v->choice;
    int rc;
    PARE_TRY(pare_choice_make(store, query, &v->choice, err));
    PARE_TRY(pare_choice_summary(store, c, &v->summary, err));
    v->lines = pare_calloc(c->trials.n, sizeof *v->lines);
    if (!v->lines)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < c->trials.n; i++) {
        const struct pare_front_item *item = &c->front.items[i];
        const struct pare_trial *items = c->trials.items;
        char why[256];
        if (!all && !pare_choice_shown(c, i))
            continue;
        pare_choice_why(c, i, why);
        char *own = why[0] ? pare_pool_strdup(&v->pool, why) : NULL;
        if (why[0] && !own)
            return pare_error_nomem(err, 0);
        v->lines[v->n++] = (struct pare_front_line){
            .label = items[i].label,
            .hash = items[i].hash,
            .status = item->status,
            .baseline = i == c->trials.baseline,
            .shown = pare_choice_shown(c, i),
            .p_front = item->p_front,
            .p_feasible = item->p_feasible,
            .knee = item->knee,
            .rank = item->rank == SIZE_MAX ? (double)NAN : (double)item->rank,
            .folded = item->folded == SIZE_MAX ? NULL : items[item->folded].label,
            .rival = item->rival == SIZE_MAX ? NULL : items[item->rival].label,
            .why = own};
    }
out:
    return rc;
}

/* ---- the figures, and the order ---- */

static int load_figures(struct pare_store *store, struct pare_front_view *v, bool all,
                        struct pare_error *err)
{
    json_t *labels = all ? NULL : json_array();
    for (size_t i = 0; labels && i < v->n; i++)
        json_array_append_new(labels, json_string(v->lines[i].label));
    if (!all && json_array_size(labels) != v->n) {
        json_decref(labels);
        return pare_error_nomem(err, 0);
    }
    int rc = pare_variant_figures(store, v->pipeline, v->host, v->shape, labels, &v->figures, err);
    for (size_t i = 0; rc == PARE_OK && i < v->n; i++)
        v->lines[i].figures = pare_rows_find(&v->figures, "variant", v->lines[i].hash);
    return rc;
}

struct keyed {
    double key;
    struct pare_front_line line;
    size_t at;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* What has no such figure comes last. */
static int sort_lines(struct pare_front_view *v, struct pare_error *err)
{
    const char *by = v->host ? "latency_ms" : "size_bytes";
    struct keyed *order = pare_alloc(v->n, sizeof *order);
    if (!order)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < v->n; i++) {
        size_t row = v->lines[i].figures;
        double x = row == SIZE_MAX ? (double)NAN : pare_rows_number(&v->figures, row, by);
        order[i] = (struct keyed){isnan(x) ? HUGE_VAL : x, v->lines[i], i};
    }
    qsort(order, v->n, sizeof *order, by_key);
    for (size_t i = 0; i < v->n; i++)
        v->lines[i] = order[i].line;
    free(order);
    return PARE_OK;
}

int pare_front_view_load(struct pare_store *store, const struct pare_choice_query *query, bool all,
                         struct pare_front_view *out, struct pare_error *err)
{
    bool mine = false, current = false;
    int rc;
    *out = (struct pare_front_view){0};
    PARE_TRY(pare_store_snapshot(store, &mine, err));
    PARE_TRY(
        pare_trials_place(store, query->pipeline, query->host, query->shape, &out->place, err));
    if (!all)
        PARE_TRY(read_kept(store, out, &current, err));
    if (!current) {
        json_decref(out->summary);
        out->summary = NULL;
        PARE_TRY(make(store, query, all, out, err));
    }
    out->pipeline = out->place.pipeline;
    out->host = out->place.host;
    out->shape = out->place.shape;
    PARE_TRY(load_figures(store, out, all, err));
    PARE_TRY(sort_lines(out, err));
out:
    pare_store_snapshot_end(store, mine);
    if (rc != PARE_OK)
        pare_front_view_free(out);
    return rc;
}

void pare_front_view_free(struct pare_front_view *view)
{
    pare_rows_free(&view->figures);
    pare_rows_free(&view->kept);
    pare_trials_free(&view->place);
    pare_choice_free(&view->choice);
    pare_pool_free(&view->pool);
    free(view->lines);
    json_decref(view->summary);
    *view = (struct pare_front_view){0};
}
