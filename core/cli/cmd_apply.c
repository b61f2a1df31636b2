/* SPDX-License-Identifier: Apache-2.0 */
/* One model, one compression, no file and no database: the pipeline is written here, the rest is as
 * in run. */
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "pipeline/ask.h"
#include "pipeline/confine.h"
#include "pipeline/run.h"
#include "pipeline/run_parts.h"
#include "pipeline/setup.h"
#include "pipeline/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SET_MAX = 64 };

/* What KEY=VALUE sets in the pipeline that is written here. Its stage is called as its plugin is.
 */
#define SET_PREFIX "stages.0.with."

static const struct pare_option options[] = {
    {"output", 'o', "OUT", "a folder, or a .safetensors file: the compressed model (required)"},
    {"data", 'd', "FOLDER", "calibration data, for what needs it"},
    {"split", 0, "NAME", "split of the data"},
    {"samples", 'n', "N", "calibration samples at most (256)"},
    {"on", 0, "SELECTOR", "units to change (default: what the plugin says)"},
    {"except", 0, "SELECTOR", "units to leave alone"},
    {"force", 'f', NULL, "replace what is there"},
    {"in-process", 0, NULL, "no worker process, and so not confined: for a debugger"},
    {"limit-time", 0, "TIME", "most that the plugin may take: 30s, 5min, 1h (as it likes)"},
    {"limit-memory", 0, "SIZE", "the same of memory: 500MB, 2GB, 50% of the machine's"},
    {"no-confine", 0, NULL, "let the plugin touch all files and the network, as you may"},
};

static const struct {
    const char *option, *key;
} limits[] = {{"limit-time", "time"}, {"limit-memory", "memory"}};

static void append_json(struct pare_str *s, const char *text)
{
    json_t *j = json_string(text);
    char *quoted = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
    pare_str_append(s, quoted ? quoted : "\"\"");
    free(quoted);
    json_decref(j);
}

static char *pipeline_text(const struct pare_cli *cli, long long samples)
{
    struct pare_str s = {0};
    const char *data = pare_cli_option(cli, "data"), *split = pare_cli_option(cli, "split");
    const char *on = pare_cli_option(cli, "on"), *except = pare_cli_option(cli, "except");
    pare_str_append(&s, "pare: 1\nname: apply\nmodel: ");
    append_json(&s, cli->args[0]);
    if (data) {
        pare_str_printf(&s, "\ndata: {calibrate: {samples: %lld, from: ", samples);
        append_json(&s, data);
        if (split) {
            pare_str_append(&s, ", split: ");
            append_json(&s, split);
        }
        pare_str_append(&s, "}}");
    }
    pare_str_append(&s, "\nlimits:");
    for (size_t i = 0; i < PARE_COUNT(limits); i++) {
        const char *value = pare_cli_option(cli, limits[i].option);
        if (!value)
            continue;
        pare_str_printf(&s, "\n  %s: ", limits[i].key);
        append_json(&s, value);
    }
    /* nothing will be measured, but a pipeline says what it is for */
    pare_str_append(&s, "\nmeasure: {latency: {edge: {batch: 1, threads: 1}}}\n"
                        "select: {objectives: {latency_ms: {}, size_bytes: {}}}");
    pare_str_append(&s, "\nstages:\n  - plugin: ");
    append_json(&s, cli->args[1]);
    if (on) {
        pare_str_append(&s, "\n    on: ");
        append_json(&s, on);
    }
    if (except) {
        pare_str_append(&s, "\n    except: ");
        append_json(&s, except);
    }
    pare_str_append(&s, "\n");
    return pare_str_take(&s);
}

/* KEY=VALUE of the command line as settings of the stage. */
static int collect_sets(struct pare_cli *cli, const char **sets, struct pare_pool *pool)
{
    int n = 0;
    for (int i = 2; i < cli->n_args; i++) {
        if (!strchr(cli->args[i], '=') || n + 1 >= SET_MAX)
            return pare_cli_usage(cli, "'%s' is not KEY=VALUE", cli->args[i]);
        size_t key = strcspn(cli->args[i], "=") + 1;
        for (int k = 2; k < i; k++) {
            if (strncmp(cli->args[k], cli->args[i], key) == 0)
                return pare_cli_usage(cli, "'%s' and '%s' set the same", cli->args[k],
                                      cli->args[i]);
        }
        sets[n] = pare_pool_printf(pool, SET_PREFIX "%s", cli->args[i]);
        if (!sets[n++])
            return PARE_EXIT_FAILED;
    }
    sets[n] = NULL;
    return PARE_EXIT_OK;
}

static void print_log(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "%s\n", text);
}

/* Run the job in a worker and wait: a crash is an error, not our end. */
static int in_worker(struct pare_cli *cli, const struct pare_limits *most,
                     const struct pare_setup *told, json_t *job, json_t **answer,
                     struct pare_error *err)
{
    const double share = most->memory_share * (double)pare_run_memory();
    json_t *setup = pare_setup_new(told);
    pare_cli_notes(told->confine ? pare_confine_note() : NULL, stderr);
    struct pare_ask ask = {.program = cli->program,
                           .threads = 1,
                           .setup = setup,
                           .seconds = most->time_s,
                           .bytes =
                               most->memory_bytes ? most->memory_bytes : (unsigned long long)share,
                           .tell = print_log,
                           .cancelled = pare_cli_interrupted};
    int rc = pare_ask_worker(&ask, job, err);
    if (ask.log.len)
        fputs(ask.log.data, stderr);
    pare_str_free(&ask.log);
    json_decref(setup);
    *answer = ask.answer;
    if (rc == PARE_OK && !*answer) {
        rc = pare_error_set(err, PARE_FAILED, "the plugin did not finish: %s", ask.why);
        if (ask.limit)
            pare_error_hint(err, "raise --limit-%s, or leave it out", ask.limit);
        else
            pare_error_hint(err, "the same with --in-process runs under a debugger%s",
                            told->confine ? ", but not confined: --no-confine here tells whether "
                                            "that makes the difference"
                                          : "");
    } else if (rc == PARE_OK && strcmp(pare_message_text(*answer, "type"), "failed") == 0) {
        pare_message_error(*answer, err);
        rc = err->status;
    }
    return rc;
}

/* Where the model file goes; a folder is made. */
static int output_file(const char *out, bool force, char **file, struct pare_error *err)
{
    size_t n = strlen(out);
    char *folder;
    int rc;
    if (n > 12 && strcmp(out + n - 12, ".safetensors") == 0) {
        *file = pare_strdup(out);
        folder = pare_path_folder(out);
    } else {
        *file = pare_path_join(out, "model.safetensors");
        folder = pare_strdup(out);
    }
    rc = *file && folder ? pare_cli_refuse_overwrite(*file, force, err) : pare_error_nomem(err, 0);
    if (rc == PARE_OK)
        rc = pare_make_folders(folder, err);
    free(folder);
    return rc;
}

static void print_result(const struct pare_model *before, const json_t *answer, const char *file)
{
    char a[16], b[16];
    double old_bytes = (double)pare_graph_bytes(before->graph),
           old_macs = (double)pare_graph_macs(before->graph);
    double bytes = (double)json_integer_value(json_object_get(answer, "size_bytes"));
    double macs = (double)json_integer_value(json_object_get(answer, "macs"));
    pare_show_bytes(old_bytes, a);
    pare_show_bytes(bytes, b);
    printf("size  %s -> %s (%.2fx)\n", a, b, old_bytes / bytes);
    pare_show_count(old_macs, a);
    pare_show_count(macs, b);
    printf("MACs  %s -> %s (%.2fx)\n", a, b, old_macs / macs);
    printf("model %s\n", file);
}

/* Each mistake with what was typed there; the pipeline that was written here has no places. */
static int print_mistakes(const struct pare_diags *diags, const struct pare_error *err)
{
    if (!diags->n)
        return pare_cli_fail(err);
    for (size_t i = 0; i < diags->n; i++) {
        const struct pare_diag *d = &diags->items[i];
        const char *set = pare_diags_set(diags, d->at);
        fprintf(stderr, "pare: %s%s%s\n", set ? set : "", set ? ": " : "", d->what);
        if (d->hint)
            fprintf(stderr, "  hint: %s\n", d->hint);
    }
    return PARE_EXIT_USAGE;
}

/* A folder beside the file: what the worker may write to, which is not all of where people work. */
static int make_place(const char *file, char **folder, char **inside, struct pare_error *err)
{
    char *above = pare_path_folder(file),
         *name = above ? pare_path_join(above, ".pare-XXXXXX") : NULL;
    int rc = name ? PARE_OK : pare_error_nomem(err, 0);
    if (rc == PARE_OK && !mkdtemp(name))
        rc = pare_error_errno(err, "cannot write to %s", above);
    free(above);
    if (rc != PARE_OK) {
        free(name);
        return rc;
    }
    *folder = name;
    *inside = pare_path_join(name, pare_path_name(file));
    return *inside ? PARE_OK : pare_error_nomem(err, 0);
}

static int build(struct pare_cli *cli, const struct pare_pipeline *p,
                 const struct pare_run_plan *plan, const struct pare_world *world, const char *out,
                 struct pare_error *err)
{
    const struct pare_variant *v = &plan->variants[plan->n_variants - 1];
    json_t *answer = NULL;
    char *file = NULL, *place = NULL, *fresh = NULL;
    const bool here = pare_cli_option(cli, "in-process") != NULL;
    int rc;
    if (!here) /* a worker can be ended, and what was begun removed */
        pare_cli_watch_interrupt();
    PARE_TRY(output_file(out, pare_cli_option(cli, "force") != NULL, &file, err));
    PARE_TRY(make_place(file, &place, &fresh, err));
    json_t *job = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:i, s:i, s:s, s:{s:s, s:s, s:s}}", "type", "build", "model",
        p->model, "baseline", p->model, "steps", pare_steps_to_json(v->steps, v->n_steps, &p->used),
        "data", pare_run_data_json(&p->calibrate, 0), "seed", 0, "threads", 1, "out", fresh,
        "about", "label", v->label, "build", v->build, "recipe", v->recipe);
    if (here) {
        rc = pare_worker_do(job, &answer, err);
        json_decref(job);
    } else {
        const struct pare_setup told = {.used = &p->used,
                                        .confine = !pare_cli_option(cli, "no-confine"),
                                        .reads = world->reads,
                                        .writes = place};
        rc = in_worker(cli, &p->limits, &told, job, &answer, err);
    }
    if (rc == PARE_OK && rename(fresh, file) != 0)
        rc = pare_error_errno(err, "cannot put %s in place", file);
    if (rc == PARE_OK)
        print_result(world->model, answer, file);
out:
    if (place)
        pare_remove_tree(place, NULL);
    json_decref(answer);
    free(place);
    free(fresh);
    free(file);
    return rc;
}

static int run(struct pare_cli *cli)
{
    const char *sets[SET_MAX], *out = pare_cli_option(cli, "output");
    struct pare_world world = {.data = pare_run_data, .data_user = &world, .sets = sets};
    struct pare_diags diags = {.sets_hidden = strlen(SET_PREFIX)};
    struct pare_pipeline *p = NULL;
    struct pare_run_plan *plan = NULL;
    struct pare_error err = {0};
    struct pare_pool pool = {0};
    char *text = NULL;
    long long samples;
    int code;
    if (!out)
        return pare_cli_usage(cli, "-o OUT is missing");
    if (!pare_cli_number(cli, "samples", 1, 1000000, 256, &samples))
        return PARE_EXIT_USAGE;
    for (size_t i = 0; i < PARE_COUNT(limits) && pare_cli_option(cli, "in-process"); i++) {
        if (pare_cli_option(cli, limits[i].option))
            return pare_cli_usage(cli, "--%s bounds a worker, and --in-process has none",
                                  limits[i].option);
    }
    code = collect_sets(cli, sets, &pool);
    if (code != PARE_EXIT_OK)
        goto out;
    text = pipeline_text(cli, samples);
    code = PARE_EXIT_FAILED;
    if (!text || pare_catalog_new(&world.catalog, &err) != PARE_OK)
        goto out;
    struct pare_spec_env env = pare_world_env(&world);
    env.calibrate_hint = "name them with --data FOLDER and --split NAME";
    if (pare_pipeline_parse("command line", text, strlen(text), &env, &diags, &p, &err) !=
            PARE_OK ||
        pare_run_plan_make(p, &env, &diags, &plan, &err) != PARE_OK) {
        code = print_mistakes(&diags, &err);
    } else if (plan->n_variants > 2) {
        code = pare_cli_usage(cli, "these settings stand for %zu models; give one value each",
                              plan->n_variants - 1);
    } else {
        code =
            build(cli, p, plan, &world, out, &err) == PARE_OK ? PARE_EXIT_OK : pare_cli_fail(&err);
    }
out:
    pare_run_plan_free(plan);
    pare_pipeline_free(p);
    pare_diags_free(&diags);
    pare_world_free(&world);
    pare_catalog_free(world.catalog);
    pare_pool_free(&pool);
    free(text);
    return code;
}

const struct pare_command pare_command_apply = {
    .name = "apply",
    .summary = "Apply one compression to one model, without pipeline or database",
    .arguments = "MODEL PLUGIN [KEY=VALUE]... -o OUT",
    .about = "The result is Pare's own format, which every command takes as MODEL. A model that is "
             "there\nalready is not touched without --force.\n\n"
             "examples:\n"
             "  pare apply share/models/fashion-vit quantize bits=8 activations=int8 -o out/\n"
             "  pare apply share/models/fashion-vit prune pattern=2:4 --data "
             "share/data/fashion-mnist \\\n"
             "      --split calibration -o out/\n"
             "  pare apply MODEL ./build/x.so strength=3 -o out/ --in-process",
    .flags = PARE_CMD_WORKERS,
    .least = 2,
    .most = -1,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .run = run,
};
