/* SPDX-License-Identifier: Apache-2.0 */
/* What `run` would do, by the same code. */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "pipeline/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

struct job {
    struct pare_cli *cli;
    const struct pare_pipeline *pipeline;
    const struct pare_run_plan *plan;
    const char *data_notes;   /* a line each; NULL: none */
    struct pare_store *store; /* NULL: there is no database yet */
    struct pare_rows known;   /* one row per build key in it, by that key */
    const char **recipes;     /* theirs, sorted */
    size_t n_recipes;
    struct pare_rows history; /* one row: what work took on this host; none without a database */
    uint64_t model_bytes;     /* of the untouched model */
};

enum state { NEW, CACHED, PARTLY, FAILED, SKIPPED };
static const char *const state_names[] = {"new", "cached", "partly", "failed before", "impossible"};

/* In three parts: between them stands what tells whether metrics of plugins are known, too. */
static const char known_sql[] =
    "SELECT v.hash, v.recipe, "
    "EXISTS(SELECT 1 FROM attempt a WHERE a.variant_id = v.variant_id AND a.phase = 'build' AND "
    "a.state = 'ok') AS built, "
    "EXISTS(SELECT 1 FROM measurement m JOIN data d ON d.data_id = m.data_id WHERE "
    "m.variant_id = v.variant_id AND d.key = :data)";
static const char metrics_sql[] =
    " AND NOT EXISTS(SELECT 1 FROM json_each(:metrics) k WHERE NOT EXISTS(SELECT 1 FROM "
    "measurement m JOIN data d ON d.data_id = m.data_id WHERE m.variant_id = v.variant_id AND "
    "d.key = :data AND m.metric_key = k.value))";
static const char known_rest_sql[] =
    " AS evaluated, "
    "EXISTS(SELECT 1 FROM latency l JOIN session s ON s.session_id = l.session_id JOIN host h ON "
    "h.host_id = s.host_id WHERE l.variant_id = v.variant_id AND h.name = :host) AS timed, "
    "(SELECT count(*) FROM attempt a WHERE a.variant_id = v.variant_id AND a.state = 'failed' AND "
    "NOT a.forgiven) AS tries, "
    "EXISTS(SELECT 1 FROM attempt a WHERE a.variant_id = v.variant_id AND a.cause = 'refused' AND "
    "NOT a.forgiven) AS refused, "
    "(SELECT CASE WHEN a.state = 'stopped' AND a.reason LIKE 'racing: %' THEN a.reason END FROM "
    "attempt a JOIN data d ON d.data_id = a.data_id WHERE a.variant_id = v.variant_id AND a.phase "
    "= 'eval' AND d.key = :data ORDER BY a.attempt_id DESC LIMIT 1) AS stopped, "
    "(SELECT a.reason FROM attempt a WHERE a.variant_id = v.variant_id AND a.state = 'failed' "
    "ORDER BY a.attempt_id DESC LIMIT 1) AS reason "
    "FROM variant v ORDER BY v.hash"; /* pare_rows_find() needs the order */

static const char history_sql[] =
    "SELECT (SELECT avg(wall_seconds) FROM attempts WHERE host = :host AND state = 'ok' AND "
    "phase = 'build') AS build_s, "
    "(SELECT avg(a.cpu_seconds) FROM attempts a WHERE a.host = :host AND a.state = 'ok' AND "
    "a.phase = 'eval') AS eval_s, "
    "(SELECT avg(d.n) FROM attempt a JOIN data d ON d.data_id = a.data_id JOIN host h ON "
    "h.host_id = a.host_id WHERE h.name = :host AND a.phase = 'eval' AND a.state = 'ok') AS "
    "eval_n, "
    "(SELECT sum((julianday(s.finished_at) - julianday(s.started_at)) * 86400.0) / "
    "sum((SELECT count(*) FROM visit v WHERE v.session_id = s.session_id)) FROM session s JOIN "
    "host h ON h.host_id = s.host_id WHERE h.name = :host AND s.finished_at IS NOT NULL) AS "
    "visit_s, "
    "(SELECT avg(a.bytes) FROM artifacts a JOIN variant v ON v.hash = a.variant WHERE v.model = "
    ":model) AS artifact_bytes";

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int sort_recipes(struct job *j, struct pare_error *err)
{
    j->recipes = pare_alloc(j->known.n, sizeof *j->recipes);
    if (!j->recipes)
        return pare_error_nomem(err, j->known.n * sizeof *j->recipes);
    for (size_t r = 0; r < j->known.n; r++) {
        const char *recipe = pare_rows_text(&j->known, r, "recipe");
        if (recipe)
            j->recipes[j->n_recipes++] = recipe;
    }
    qsort(j->recipes, j->n_recipes, sizeof *j->recipes, by_text);
    return PARE_OK;
}

/* What is there of each build; a file that is older than metrics of plugins knows none. */
static int load_builds(struct job *j, const char *host, struct pare_error *err)
{
    const struct pare_pipeline *p = j->pipeline;
    const bool asks = p->n_measures && pare_store_has_metrics(j->store);
    json_t *keys = json_array();
    struct pare_str sql = {0};
    for (size_t i = 0; i < p->n_measures; i++)
        json_array_append_new(keys, json_string(p->measures[i].key));
    char *text = json_dumps(keys, JSON_COMPACT);
    const struct pare_argument args[] = {
        {"host", host}, {"data", p->evaluate.hash}, {"metrics", text}};
    pare_str_append(&sql, known_sql);
    pare_str_append(&sql, asks ? metrics_sql : p->n_measures ? " AND 0" : "");
    pare_str_append(&sql, known_rest_sql);
    int rc = sql.failed || !text
                 ? pare_error_nomem(err, 0)
                 : pare_rows_load(j->store, sql.data, args, asks ? 3 : 2, &j->known, err);
    json_decref(keys);
    free(text);
    pare_str_free(&sql);
    return rc;
}

static int load_known(struct job *j, struct pare_error *err)
{
    char host[256] = "", *path = NULL;
    int rc;
    PARE_TRY(pare_store_find(j->cli->db, &path, err));
    if (!pare_file_exists(path)) /* planning never makes a database */
        goto out;
    PARE_TRY(pare_store_open(path, PARE_STORE_READ, &j->store, err));
    gethostname(host, sizeof host - 1);
    const struct pare_argument past[] = {{"host", host}, {"model", j->pipeline->model_hash}};
    PARE_TRY(load_builds(j, host, err));
    PARE_TRY(pare_rows_load(j->store, history_sql, past, 2, &j->history, err));
    PARE_TRY(sort_recipes(j, err));
out:
    free(path);
    return rc;
}

static bool recipe_is_known(const struct job *j, const char *recipe)
{
    return j->n_recipes &&
           bsearch(&recipe, j->recipes, j->n_recipes, sizeof *j->recipes, by_text) != NULL;
}

static bool is(const struct job *j, size_t row, const char *column)
{
    return pare_rows_number(&j->known, row, column) > 0;
}

/* Where a variant stands and why; `why` holds 320 bytes. */
static enum state state_of(const struct job *j, const struct pare_variant *v, char *why)
{
    size_t row = pare_rows_find(&j->known, "hash", v->build);
    const char *reason;
    why[0] = '\0';
    if (v->skip) {
        snprintf(why, 320, "%.300s", v->skip);
        return SKIPPED;
    }
    if (row == SIZE_MAX) {
        if (recipe_is_known(j, v->recipe))
            snprintf(why, 320,
                     "known by another build: plugins, calibration, seed or engine changed");
        return NEW;
    }
    bool built = v->is_baseline || is(j, row, "built");
    bool evaluated = !j->pipeline->evaluate.n_samples || is(j, row, "evaluated");
    bool timed = !j->pipeline->n_shapes || is(j, row, "timed");
    const char *stopped = evaluated ? NULL : pare_rows_text(&j->known, row, "stopped");
    if (stopped && j->pipeline->racing && built && timed) {
        snprintf(why, 320, "%.300s", stopped);
        return CACHED;
    }
    if (built && evaluated && timed)
        return CACHED;
    reason = pare_rows_text(&j->known, row, "reason");
    if (is(j, row, "tries")) {
        bool over = is(j, row, "refused") || pare_rows_number(&j->known, row, "tries") >= 3;
        snprintf(why, 320, "%.240s%s", reason ? reason : "",
                 over ? " (not tried again without --retry)" : " (tried again)");
        return FAILED;
    }
    if (!built && !is(j, row, "evaluated"))
        return NEW;
    snprintf(why, 320, "%s", !evaluated ? "to be evaluated" : "to be timed");
    return PARTLY;
}

static void steps_text(const struct pare_variant *v, struct pare_str *s)
{
    for (size_t i = 0; i < v->n_steps; i++)
        pare_str_printf(s, "%s%s", i ? " > " : "", v->steps[i].stage);
}

static bool print_variants(const struct job *j, enum pare_format format, size_t *count)
{
    static const char *const names[] = {"variant", "state", "stages", "hash", "why"};
    struct pare_table t = {0};
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        pare_table_column(&t, names[i]);
    for (size_t i = 0; i < j->plan->n_variants; i++) {
        const struct pare_variant *v = &j->plan->variants[i];
        char why[320];
        struct pare_str steps = {0}, more = {0};
        enum state state = state_of(j, v, why);
        count[state]++;
        steps_text(v, &steps);
        pare_str_append(&more, why);
        for (size_t k = 0; v->also && v->also[k]; k++)
            pare_str_printf(&more, "%salso %s", more.len ? "; " : "", v->also[k]);
        pare_table_text(&t, v->label);
        pare_table_text(&t, state_names[state]);
        pare_table_text(&t, v->is_baseline ? "(untouched)" : steps.data);
        if (format == PARE_FORMAT_CSV)
            pare_table_text(&t, v->build);
        else
            pare_table_printf(&t, "%.7s", v->build);
        pare_table_text(&t, more.len ? more.data : NULL);
        pare_str_free(&steps);
        pare_str_free(&more);
    }
    return pare_table_print(&t, format, stdout);
}

/* ---- what it will take ---- */

/* What a visit takes where nothing was timed yet: that is what visits aim at, see bench.c. */
#define VISIT_S 0.4
/* What a session may take, see run.h. */
#define SESSION_S 900.0

struct estimate {
    double seconds;   /* to build and evaluate; NaN: nothing like it was done on this host */
    double timing;    /* seconds */
    double bytes;     /* of disk */
    bool bytes_known; /* from this model's variants; else each is taken as the model itself */
};

static struct estimate estimate(const struct job *j)
{
    struct estimate e = {0};
    double build = pare_rows_number(&j->history, 0, "build_s");
    double eval = pare_rows_number(&j->history, 0, "eval_s");
    double eval_n = pare_rows_number(&j->history, 0, "eval_n");
    double visit = pare_rows_number(&j->history, 0, "visit_s");
    double file = pare_rows_number(&j->history, 0, "artifact_bytes");
    size_t to_time = 0;
    e.bytes_known = !isnan(file);
    file = e.bytes_known ? file : (double)j->model_bytes;
    for (size_t i = 0; i < j->plan->n_variants; i++) {
        const struct pare_variant *v = &j->plan->variants[i];
        char why[320];
        enum state state = state_of(j, v, why);
        size_t row = pare_rows_find(&j->known, "hash", v->build);
        if (state == CACHED || state == SKIPPED)
            continue;
        if (!v->is_baseline && (row == SIZE_MAX || !is(j, row, "built"))) {
            e.seconds += build;
            e.bytes += file;
        }
        if (j->pipeline->evaluate.n_samples && (row == SIZE_MAX || !is(j, row, "evaluated")))
            e.seconds += eval * (double)j->pipeline->evaluate.n_samples / eval_n;
        to_time += row == SIZE_MAX || !is(j, row, "timed");
    }
    if (to_time && j->pipeline->n_shapes) /* the baseline is visited twice a round */
        e.timing =
            (double)j->pipeline->n_shapes *
            fmin(SESSION_S, (isnan(visit) ? VISIT_S : visit) * PARE_ROUNDS * (double)(to_time + 2));
    return e;
}

static void print_duration(double s)
{
    if (s < 90)
        printf("about %.0f s", ceil(s));
    else if (s < 5400)
        printf("about %.0f min", ceil(s / 60));
    else
        printf("about %.1f h", s / 3600);
}

static void print_estimate(const struct job *j)
{
    struct estimate e = estimate(j);
    char bytes[16];
    fputs("estimate: ", stdout);
    if (isnan(e.seconds))
        fputs("time to build and evaluate unknown (nothing was run on this host yet)", stdout);
    else
        print_duration(e.seconds);
    if (!isnan(e.seconds))
        fputs(" to build and evaluate", stdout);
    if (e.timing > 0) {
        fputs(", ", stdout);
        print_duration(e.timing);
        fputs(" to time", stdout);
    }
    pare_show_bytes(e.bytes, bytes);
    printf(", %s%s of disk\n", e.bytes_known || e.bytes == 0 ? "" : "at most ", bytes);
}

static void print_samples(const char *name, const struct pare_data *d)
{
    if (!d->n_samples)
        return;
    printf("  %-10s %llu samples of %s%s%s, %.7s\n", name, d->n_samples,
           d->from ? d->from : d->inputs, d->split ? " " : "", d->split ? d->split : "", d->hash);
}

static bool print_people(const struct job *j)
{
    size_t count[PARE_COUNT(state_names)] = {0};
    const char *comma = "";
    bool fine = print_variants(j, PARE_FORMAT_TABLE, count);
    printf("\n%s: %zu variants: ", j->pipeline->name, j->plan->n_variants);
    for (size_t s = 0; s < PARE_COUNT(state_names); s++) {
        if (count[s])
            printf("%s%zu %s", comma, count[s], state_names[s]);
        comma = count[s] ? ", " : comma;
    }
    if (j->plan->n_excluded)
        printf("%s%zu excluded", comma, j->plan->n_excluded);
    if (j->plan->n_duplicates)
        printf(", %zu combinations are a model already listed", j->plan->n_duplicates);
    puts("\nselected:");
    for (size_t i = 0; i < j->plan->n_matches; i++)
        printf("  %-10s %s\n", j->plan->matches[i].stage, j->plan->matches[i].text);
    puts("data:");
    print_samples("calibrate", &j->pipeline->calibrate);
    print_samples("evaluate", &j->pipeline->evaluate);
    print_samples("confirm", &j->pipeline->confirm);
    for (size_t i = 0; i < j->plan->n_notes; i++)
        printf("note: %s\n", j->plan->notes[i]);
    pare_cli_notes(j->data_notes, stdout);
    pare_cli_shape_notes(j->pipeline, stdout);
    print_estimate(j);
    return fine;
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static bool print_json(const struct job *j)
{
    json_t *variants = json_array(), *matches = json_array(), *notes = json_array();
    struct estimate e = estimate(j);
    for (size_t i = 0; i < j->plan->n_variants; i++) {
        const struct pare_variant *v = &j->plan->variants[i];
        char why[320];
        enum state state = state_of(j, v, why);
        json_t *steps = pare_steps_to_json(v->steps, v->n_steps, &j->pipeline->used);
        json_t *also = json_array();
        for (size_t k = 0; v->also && v->also[k]; k++)
            json_array_append_new(also, json_string(v->also[k]));
        json_array_append_new(
            variants,
            json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:o, s:o}", "label", v->label, "variant",
                      v->build, "recipe", v->recipe, "state", state_names[state], "why",
                      why[0] ? json_string(why) : json_null(), "is_baseline", (int)v->is_baseline,
                      "also", also, "steps",
                      steps ? json_incref(json_object_get(steps, "steps")) : json_null()));
        json_decref(steps);
    }
    for (size_t i = 0; i < j->plan->n_matches; i++) {
        const struct pare_match *m = &j->plan->matches[i];
        json_array_append_new(matches, json_pack("{s:s, s:I, s:I, s:s}", "stage", m->stage,
                                                 "chosen", (json_int_t)m->chosen, "total",
                                                 (json_int_t)m->total, "text", m->text));
    }
    for (size_t i = 0; i < j->plan->n_notes; i++)
        json_array_append_new(notes, json_string(j->plan->notes[i]));
    for (const char *at = j->data_notes; at && *at; at += strcspn(at, "\n") + 1)
        json_array_append_new(notes, json_stringn(at, strcspn(at, "\n")));
    return pare_cli_json(json_pack(
        "{s:s, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "pipeline", j->pipeline->name, "variants",
        variants, "selected", matches, "notes", notes, "excluded", (json_int_t)j->plan->n_excluded,
        "duplicates", (json_int_t)j->plan->n_duplicates, "seconds",
        number_or_null(e.seconds + e.timing), "bytes", number_or_null(e.bytes)));
}

static int show(struct job *j)
{
    struct pare_error err = {0};
    size_t count[PARE_COUNT(state_names)] = {0};
    bool fine;
    int exit = PARE_EXIT_OK;
    if (load_known(j, &err) != PARE_OK)
        return pare_cli_fail(&err);
    if (j->cli->format == PARE_FORMAT_JSON)
        fine = print_json(j);
    else if (j->cli->format == PARE_FORMAT_TABLE)
        fine = print_people(j);
    else
        fine = print_variants(j, j->cli->format, count);
    if (!fine)
        exit = PARE_EXIT_FAILED;
    free(j->recipes);
    pare_rows_free(&j->known);
    pare_rows_free(&j->history);
    pare_store_close(j->store);
    return exit;
}

/* What is wrong with the file: for people on stderr, for programs as JSON on stdout. */
static int tell_mistakes(struct pare_cli *cli, const struct pare_diags *diags,
                         const struct pare_error *err)
{
    if (!diags->n)
        return pare_cli_fail(err);
    if (cli->format == PARE_FORMAT_JSON) {
        pare_cli_json(json_pack("{s:o}", "errors", pare_diags_json(diags)));
        return PARE_EXIT_USAGE;
    }
    char *text = pare_diags_text(diags);
    if (!text)
        return pare_cli_fail(err);
    fputs(text, stderr);
    free(text);
    return PARE_EXIT_USAGE;
}

static int run(struct pare_cli *cli)
{
    const char *sets[PARE_REPEAT_MAX + 1];
    struct pare_world world = {.data = pare_run_data, .data_user = &world, .sets = sets};
    struct pare_diags diags = {0};
    struct pare_pipeline *p = NULL;
    struct pare_run_plan *plan = NULL;
    struct pare_error err = {0};
    size_t n_sets = 0;
    int exit;
    for (size_t i = 0; i < cli->n_repeated; i++)
        sets[n_sets++] = cli->repeated[i].value; /* --set is the only option */
    sets[n_sets] = NULL;
    if (pare_catalog_new(&world.catalog, &err) != PARE_OK)
        return pare_cli_fail(&err);
    struct pare_spec_env env = pare_world_env(&world);
    if (pare_pipeline_read(cli->args[0], &env, &diags, &p, &err) != PARE_OK ||
        pare_run_plan_make(p, &env, &diags, &plan, &err) != PARE_OK) {
        exit = tell_mistakes(cli, &diags, &err);
    } else {
        struct job j = {.cli = cli,
                        .pipeline = p,
                        .plan = plan,
                        .data_notes = world.data_notes,
                        .model_bytes = pare_graph_bytes(world.model->graph)};
        exit = show(&j);
    }
    pare_run_plan_free(plan);
    pare_pipeline_free(p);
    pare_diags_free(&diags);
    pare_world_free(&world);
    pare_catalog_free(world.catalog);
    return exit;
}

static const struct pare_option options[] = {
    {"set", 's', "KEY=VALUE", "change what the file says, as `run` does (repeatable)"},
};

const struct pare_command pare_command_plan = {
    .name = "plan",
    .summary = "Check a pipeline and show what running it would do",
    .arguments = "FILE",
    .about = "Every variant and whether it is new, cached or failed before; what selectors match; "
             "what\nis decided at run time; the time and disk it will take, from what work took "
             "on this host\nbefore. All mistakes in the file are shown at once. Nothing is run "
             "and nothing written.\ndocs/pipelines.md describes every key of the file.\n\n"
             "examples:\n"
             "  pare plan pipelines/first.yaml\n"
             "  pare plan edge.yaml --set data.evaluate.samples=500 --format json",
    .least = 1,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
