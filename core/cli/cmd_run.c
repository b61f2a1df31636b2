/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "pipeline/confine.h"
#include "pipeline/run.h"

#include <stdlib.h>
#include <string.h>

enum { SET_MAX = 32 };

static const struct pare_option options[] = {
    {"set", 's', "KEY=VALUE",
     "change what the file says, as data.evaluate.samples=500 (repeatable)"},
    {"jobs", 'j', "N", "workers side by side for building and evaluating (one per CPU)"},
    {"quick", 'q', NULL, "6 rounds of timing instead of 12"},
    {"rounds", 0, "N", "rounds of timing"},
    {"session-time", 0, "SECONDS", "time budget of one timing session (900)"},
    {"no-latency", 0, NULL, "build and evaluate, but time nothing"},
    {"retry", 0, NULL, "try again what failed before"},
    {"quiet", 0, NULL, "no progress"},
    {"limit-time", 0, "TIME", "most for one piece of work, unless its stage says: 30s, 5min, 1h"},
    {"limit-memory", 0, "SIZE", "the same of memory: 500MB, 2GB, 50% (80% of the machine's)"},
    {"no-confine", 0, NULL, "let plugins touch all files and the network, as you may"},
};

/* Options that are short for a --set. */
static const struct {
    const char *option, *set;
} shorts[] = {{"limit-time", "limits.time="},
              {"limit-memory", "limits.memory="},
              {"no-confine", "limits.confine=false"}};

/* All values of --set, NULL-terminated. */
static void collect_sets(const struct pare_cli *cli, struct pare_pool *pool, const char **sets)
{
    size_t n = 0;
    for (size_t i = 0; i < cli->n_repeated && n + 1 < SET_MAX; i++) {
        if (strcmp(options[cli->repeated[i].option].name, "set") == 0)
            sets[n++] = cli->repeated[i].value;
    }
    for (size_t i = 0; i < PARE_COUNT(shorts) && n + 1 < SET_MAX; i++) {
        const char *value = pare_cli_option(cli, shorts[i].option);
        sets[n] = value ? pare_pool_printf(pool, "%s%s", shorts[i].set, value) : NULL;
        n += sets[n] != NULL;
    }
    sets[n] = NULL;
}

static int print_diags(const struct pare_diags *diags, const struct pare_error *err)
{
    char *text = diags->n ? pare_diags_text(diags) : NULL;
    if (!text)
        return pare_cli_fail(err);
    fputs(text, stderr);
    free(text);
    return PARE_EXIT_USAGE;
}

/* How many variants are built and evaluated, by the database: a run that was interrupted has not
 * counted them. */
static void count_ready(struct pare_store *store, const struct pare_pipeline *p,
                        const struct pare_run_plan *plan, struct pare_run_summary *s)
{
    const struct pare_argument args[] = {{"pipeline", p->name},
                                         {"metric", pare_pipeline_quality(p)}};
    struct pare_rows rows;
    s->variants = plan->n_variants - plan->n_skipped;
    s->skipped = plan->n_skipped;
    if (pare_rows_load(store,
                       "SELECT count(DISTINCT variant) AS n FROM measurements WHERE pipeline = "
                       ":pipeline AND role = 'evaluate' AND metric = :metric",
                       args, 2, &rows, NULL) != PARE_OK)
        return;
    s->ready = (size_t)pare_rows_number(&rows, 0, "n");
    pare_rows_free(&rows);
}

static void print_summary(const struct pare_cli *cli, const struct pare_pipeline *p,
                          const struct pare_run_summary *s, const char *database)
{
    fprintf(stderr, "%s: %zu variants, %zu ready (%zu built, %zu evaluated, %zu timed now)",
            p->name, s->variants, s->ready, s->built, s->evaluated, s->timed);
    if (s->skipped)
        fprintf(stderr, ", %zu skipped", s->skipped);
    if (s->stopped)
        fprintf(stderr, ", %zu stopped by racing", s->stopped);
    if (s->failed || s->blocked)
        fprintf(stderr, ", %zu failed, %zu blocked", s->failed, s->blocked);
    fprintf(stderr, "\ndatabase: %s\n", database);
    if (s->first_failure[0])
        fprintf(stderr, "failed: %s\n  `pare query @failed` or `pare list --failed` show all\n",
                s->first_failure);
    if (s->interrupted)
        fprintf(stderr, "next: pare run %s\n", cli->args[0]);
    else
        fputs("next: pare front | pare pick\n", stderr);
}

static int run_pipeline(struct pare_cli *cli, const struct pare_pipeline *p,
                        const struct pare_run_plan *plan, const struct pare_run_options *o,
                        struct pare_error *err)
{
    struct pare_store *store = NULL;
    struct pare_run_summary summary;
    char *database = NULL;
    int rc, code;
    rc = pare_store_find(cli->db, &database, err);
    if (rc == PARE_OK)
        rc = pare_store_open(database, PARE_STORE_WRITE, &store, err);
    if (rc == PARE_OK && pare_store_read_only(store))
        rc = pare_error_set(err, PARE_UNSUPPORTED, "%s cannot be written: %s", database,
                            pare_store_notice(store));
    if (rc != PARE_OK) {
        free(database);
        pare_store_close(store);
        return pare_cli_fail(err);
    }
    rc = pare_run(store, p, plan, o, &summary, err);
    if (rc != PARE_OK)
        code = pare_cli_fail(err);
    else
        code = summary.failed || summary.blocked ? PARE_EXIT_SOME_FAILED : PARE_EXIT_OK;
    if (rc == PARE_CANCELLED)
        count_ready(store, p, plan, &summary);
    if (rc == PARE_OK || rc == PARE_CANCELLED)
        print_summary(cli, p, &summary, pare_store_path(store));
    pare_store_close(store);
    free(database);
    return code;
}

static int run(struct pare_cli *cli)
{
    const char *sets[SET_MAX];
    struct pare_world world = {.data = pare_run_data, .data_user = &world, .sets = sets};
    struct pare_run_options o = {.program = cli->program};
    struct pare_diags diags = {0};
    struct pare_pool pool = {0};
    struct pare_pipeline *p = NULL;
    struct pare_run_plan *plan = NULL;
    struct pare_error err = {0};
    long long jobs, rounds, session;
    int code;
    if (!pare_cli_number(cli, "jobs", 1, 64, 0, &jobs) ||
        !pare_cli_number(cli, "rounds", 1, 400,
                         pare_cli_option(cli, "quick") ? PARE_ROUNDS_QUICK : 0, &rounds) ||
        !pare_cli_number(cli, "session-time", 1, 1000000, 0, &session))
        return PARE_EXIT_USAGE;
    o.jobs = (unsigned)jobs;
    o.rounds = (unsigned)rounds;
    o.session_s = (double)session;
    o.retry = pare_cli_option(cli, "retry");
    o.no_latency = pare_cli_option(cli, "no-latency");
    o.quiet = pare_cli_option(cli, "quiet");
    collect_sets(cli, &pool, sets);
    if (pare_catalog_new(&world.catalog, &err) != PARE_OK)
        return pare_cli_fail(&err);
    struct pare_spec_env env = pare_world_env(&world);
    if (pare_pipeline_read(cli->args[0], &env, &diags, &p, &err) != PARE_OK ||
        pare_run_plan_make(p, &env, &diags, &plan, &err) != PARE_OK)
        code = print_diags(&diags, &err);
    else {
        pare_cli_notes(world.data_notes, stderr);
        pare_cli_shape_notes(p, stderr);
        pare_cli_notes(p->limits.unconfined ? NULL : pare_confine_note(), stderr);
        o.reads = world.reads;
        code = run_pipeline(cli, p, plan, &o, &err);
    }
    pare_run_plan_free(plan);
    pare_pipeline_free(p);
    pare_diags_free(&diags);
    pare_pool_free(&pool);
    pare_world_free(&world);
    pare_catalog_free(world.catalog);
    return code;
}

const struct pare_command pare_command_run = {
    .name = "run",
    .summary = "Build, evaluate and time every variant of a pipeline, then choose",
    .arguments = "FILE",
    .about = "Everything that ends well is kept at once: stop it, kill it, run it again, and it "
             "goes on from\n"
             "there. What is known is not computed twice. Ctrl-C finishes what is in flight; twice "
             "stops.\n\n"
             "examples:\n"
             "  pare run pipelines/first.yaml\n"
             "  pare run edge.yaml --quick --set data.evaluate.samples=500\n"
             "  pare run edge.yaml --retry",
    .flags = PARE_CMD_DB | PARE_CMD_WORKERS,
    .least = 1,
    .most = 1,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .run = run,
};
