/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/run.h"
#include "base/mem.h"
#include "pipeline/run_parts.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- signals
 * ------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_level;

int pare_run_stop(void)
{
    return stop_level;
}

static void on_signal(int sig)
{
    static const char once[] = "\npare: finishing what is in flight (again: stop at once)\n";
    (void)sig;
    if (stop_level < 2)
        stop_level++;
    if (stop_level == 1 && write(STDERR_FILENO, once, sizeof once - 1) < 0)
        return; /* nobody to tell */
}

struct handlers {
    struct sigaction interrupt, terminate;
};

static void catch_signals(struct handlers *old)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    stop_level = 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &old->interrupt);
    sigaction(SIGTERM, &action, &old->terminate);
}

static void release_signals(const struct handlers *old)
{
    sigaction(SIGINT, &old->interrupt, NULL);
    sigaction(SIGTERM, &old->terminate, NULL);
}

/* ---- timing
 * -------------------------------------------------------------------------------------- */

size_t pare_run_variant(const struct pare_runner *r, const char *build)
{
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        if (r->variants[v].node != SIZE_MAX && strcmp(r->plan->variants[v].build, build) == 0)
            return v;
    }
    return SIZE_MAX;
}

/* Who has to be timed: whoever lacks rounds; with them the baseline and the last front's members.
 * False: nobody lacks any. */
static int choose_members(struct pare_runner *r, const struct pare_shape *shape, bool *members,
                          bool *any, struct pare_error *err)
{
    struct pare_trials trials;
    size_t rounds = r->options->rounds ? r->options->rounds : PARE_ROUNDS;
    int rc;
    *any = false;
    for (size_t v = 0; v < r->plan->n_variants; v++)
        members[v] = r->variants[v].node != SIZE_MAX &&
                     (r->variants[v].evaluated ||
                      (r->pipeline->racing && r->nodes[r->variants[v].node].state == PARE_DONE));
    rc = pare_trials_summaries(r->store, r->pipeline->name, NULL, shape->name, &trials, err);
    if (rc == PARE_NOT_FOUND) { /* nothing was timed in this shape yet */
        rc = PARE_OK;
        *any = true;
        goto out;
    }
    if (rc != PARE_OK)
        goto out;
    for (size_t i = 0; i < trials.n; i++) {
        size_t v = pare_run_variant(r, trials.items[i].hash);
        if (v != SIZE_MAX && trials.host_id == r->host_id && trials.items[i].rounds >= rounds)
            members[v] = false;
    }
    pare_trials_free(&trials);
    for (size_t v = 0; v < r->plan->n_variants; v++)
        *any = *any || members[v];
    if (!*any)
        goto out;
    struct pare_choice choice;
    struct pare_choice_query query = {.pipeline = r->pipeline->name, .shape = shape->name};
    struct pare_error ignored;
    if (pare_choice_make(r->store, &query, &choice, &ignored) == PARE_OK) {
        for (size_t i = 0; i < choice.front.n; i++) {
            size_t v = pare_run_variant(r, choice.trials.items[i].hash);
            if (v != SIZE_MAX && choice.front.items[i].status <= PARE_FRONT_MAYBE)
                members[v] = true;
        }
        pare_choice_free(&choice);
    }
    members[0] = true;
out:
    return rc;
}

static int time_all(struct pare_runner *r, struct pare_error *err)
{
    bool *members = pare_calloc(r->plan->n_variants, sizeof *members), any;
    bool *nobody = pare_calloc(r->plan->n_variants, sizeof *nobody);
    int rc = PARE_OK;
    if (!members || !nobody) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (size_t i = 0; i < r->pipeline->n_shapes; i++) {
        PARE_TRY(choose_members(r, &r->pipeline->shapes[i], members, &any, err));
        if (!any)
            continue;
        for (size_t v = 0; v < r->plan->n_variants; v++) {
            if (members[v])
                pare_run_need(r, r->variants[v].node);
        }
        PARE_TRY(
            pare_run_build(r, &r->evaluate, nobody, NULL, err)); /* models that were cleared away */
        for (size_t v = 0; v < r->plan->n_variants; v++)
            members[v] = members[v] && r->nodes[r->variants[v].node].state == PARE_DONE;
        if (members[0])
            PARE_TRY(pare_run_session(r, &r->pipeline->shapes[i], members, err));
    }
out:
    free(members);
    free(nobody);
    return rc;
}

/* ---- choosing and confirming
 * --------------------------------------------------------------------- */

static int confirm(struct pare_runner *r, const struct pare_choice *choice, struct pare_error *err)
{
    bool *chosen = pare_calloc(r->plan->n_variants, sizeof *chosen);
    int rc = PARE_OK;
    if (!chosen)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < choice->front.n; i++) {
        size_t v = pare_run_variant(r, choice->trials.items[i].hash);
        if (v != SIZE_MAX && choice->front.items[i].status <= PARE_FRONT_FRONT)
            chosen[v] = true;
    }
    chosen[0] = true;
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        struct pare_run_variant *variant = &r->variants[v];
        variant->failed = false;
        variant->first_logits[0] = '\0'; /* of other samples than are timed */
        if (chosen[v] && variant->node != SIZE_MAX)
            PARE_TRY(pare_run_evaluated(r, variant->node, &r->confirm, &variant->evaluated, err));
    }
    PARE_TRY(pare_run_build(r, &r->confirm, chosen, NULL, err));
out:
    free(chosen);
    return rc;
}

static int choose(struct pare_runner *r, struct pare_error *err)
{
    struct pare_choice choice;
    struct pare_choice_query query = {.pipeline = r->pipeline->name};
    int rc = pare_choice_make(r->store, &query, &choice, err);
    if (rc != PARE_OK)
        return rc;
    PARE_TRY(pare_choice_store(r->store, &choice, NULL, err));
    if (r->confirm.id) {
        PARE_TRY(confirm(r, &choice, err));
        pare_choice_free(&choice);
        PARE_TRY(pare_choice_make(r->store, &query, &choice, err));
        PARE_TRY(pare_choice_store(r->store, &choice, NULL, err)); /* still current */
    }
out:
    pare_choice_free(&choice);
    return rc;
}

/* ---- the run
 * ------------------------------------------------------------------------------------- */

/* Every model first, then their times, so that the race for accuracy knows all else. */
static int race(struct pare_runner *r, struct pare_error *err)
{
    bool *nobody = pare_calloc(r->plan->n_variants, sizeof *nobody);
    int rc;
    if (!nobody)
        return pare_error_nomem(err, 0);
    PARE_TRY(pare_race_recall(r, err));
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        if (r->variants[v].node != SIZE_MAX && !r->variants[v].evaluated && !r->variants[v].stopped)
            pare_run_need(r, r->variants[v].node);
    }
    PARE_TRY(pare_run_build(r, &r->evaluate, nobody, NULL, err));
    if (!r->options->no_latency && r->nodes[r->variants[0].node].state == PARE_DONE)
        PARE_TRY(time_all(r, err));
    PARE_TRY(pare_race_begin(r, &r->evaluate, err));
    PARE_TRY(pare_run_build(r, &r->evaluate, NULL, pare_race_look, err));
out:
    pare_race_end(r);
    free(nobody);
    return rc;
}

static void count(struct pare_runner *r)
{
    struct pare_run_summary *s = r->summary;
    s->variants = r->plan->n_variants - r->plan->n_skipped;
    s->skipped = r->plan->n_skipped;
    for (size_t v = 0; v < r->plan->n_variants; v++) {
        s->ready += r->variants[v].node != SIZE_MAX && r->variants[v].evaluated;
        s->stopped += r->variants[v].stopped;
    }
}

int pare_run(struct pare_store *store, const struct pare_pipeline *pipeline,
             const struct pare_run_plan *plan, const struct pare_run_options *options,
             struct pare_run_summary *summary, struct pare_error *err)
{
    struct pare_runner r = {
        .store = store, .pipeline = pipeline, .plan = plan, .options = options, .summary = summary};
    struct handlers old;
    int rc;
    *summary = (struct pare_run_summary){0};
    if (pipeline->evaluate.n_samples == 0) {
        pare_error_set(err, PARE_INVALID, "%s names no data to evaluate on", pipeline->path);
        pare_error_hint(err, "data: {evaluate: {from: FOLDER, split: NAME}}");
        return PARE_INVALID;
    }
    rc = pare_store_lock(store, err);
    if (rc != PARE_OK)
        return rc;
    catch_signals(&old);
    PARE_TRY(pare_run_prepare(&r, err));
    if (pipeline->racing)
        PARE_TRY(race(&r, err));
    else
        PARE_TRY(pare_run_build(&r, &r.evaluate, NULL, NULL, err));
    count(&r);
    if (!r.variants[0].evaluated) {
        rc = pare_error_set(err, PARE_FAILED, "the untouched model could not be evaluated");
        pare_error_detail(err, "%s", r.nodes[0].reason);
        goto out;
    }
    if (!options->no_latency && !pipeline->racing)
        PARE_TRY(time_all(&r, err));
    if (!options->no_latency)
        PARE_TRY(choose(&r, err));
out:
    summary->interrupted = pare_run_stop() != 0;
    if (r.line_open)
        fputs("\r\033[K", stderr);
    pare_run_release(&r);
    release_signals(&old);
    pare_store_unlock(store);
    return rc;
}
