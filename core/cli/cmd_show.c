/* SPDX-License-Identifier: Apache-2.0 */
/* Everything about one variant, or a pipeline that builds it alone. */
#include "cli/commands.h"
#include "cli/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "pipeline/yaml.h"

/* What is printed, in this order; `many`: longer than a screen unless it is cut. Without `sql` what
 * pare_stage_effects() says. */
static const struct section {
    const char *key, *title, *sql;
    bool many;
} sections[] = {
    {"figures", "figures",
     "SELECT pipeline, label, state, reason, host, shape, session, " PARE_QUALITY_COLUMNS
     ", latency_ms, latency_ms_lo, latency_ms_hi, direct, speedup, speedup_lo, "
     "speedup_hi, noisy, size_bytes, size_ratio, macs, macs_ratio, parameters, peak_rss_bytes, "
     "status, p_front, p_feasible, finished_at FROM variants_all WHERE variant = :hash "
     "ORDER BY is_current DESC, pipeline, host, shape",
     false},
    {"steps", "steps",
     "SELECT s.stage, g.name AS plugin, g.version, g.sha256 AS plugin_sha256, s.params, s.units "
     "FROM step s JOIN variant v ON v.variant_id = s.variant_id JOIN plugin g ON g.plugin_id = "
     "s.plugin_id WHERE v.hash = :hash ORDER BY s.position",
     false},
    {"stage_effects", "what each stage does here", NULL, false},
    {"measurements", "measurements",
     "SELECT DISTINCT metric, value, unit, n, lo, hi, how, role, data_name FROM measurements WHERE "
     "variant = :hash ORDER BY metric, role DESC",
     false},
    {"latencies", "sessions",
     "SELECT DISTINCT session, host, shape, latency_ms, latency_ms_lo, latency_ms_hi, p90_ms, "
     "p99_ms, speedup, speedup_lo, speedup_hi, rounds, n, disturbed, noisy, isa, started_at FROM "
     "latencies WHERE variant = :hash ORDER BY session",
     false},
    {"probes", "work of the probes that decided, as a share of running every one from the images",
     "WITH RECURSIVE chain(variant_id) AS (SELECT variant_id FROM variant WHERE hash = :hash UNION "
     "SELECT v.parent_id FROM chain c JOIN variant v ON v.variant_id = c.variant_id WHERE "
     "v.parent_id IS NOT NULL) SELECT s.stage, a.value AS stored_activations, b.value AS "
     "and_stopped_early FROM chain c JOIN measurement a ON a.variant_id = c.variant_id AND "
     "a.metric = 'probe_share' LEFT JOIN measurement b ON b.variant_id = c.variant_id AND b.metric "
     "= 'probe_share_racing' JOIN step s ON s.variant_id = c.variant_id WHERE s.position = (SELECT "
     "max(x.position) FROM step x WHERE x.variant_id = c.variant_id) ORDER BY s.position",
     false},
    {"unit_values", "decided for each unit",
     "SELECT DISTINCT stage, unit, role, name, value, score, bytes_before, bytes_after, "
     "macs_before, macs_after FROM unit_values WHERE variant = :hash",
     true},
    {"artifacts", "built models",
     "SELECT sha256, bytes, format, path, created_at FROM artifacts WHERE variant = :hash", false},
    {"attempts", "attempts",
     "SELECT phase, state, cause, reason, signal, exit_code, stage, plugin, host, wall_seconds, "
     "cpu_seconds, peak_rss_bytes, started_at FROM attempts WHERE variant = :hash ORDER BY attempt",
     true},
    {"tags", "tags", "SELECT tag, at FROM tags WHERE variant = :hash ORDER BY tag", false},
    {"notes", "notes", "SELECT at, body FROM notes WHERE variant = :hash ORDER BY note", false},
    {"logs", NULL,
     "SELECT phase, stage, reason, log FROM failures WHERE variant = :hash AND log IS NOT NULL",
     false},
};

enum { CUT = 12 };

struct job {
    struct pare_cli *cli;
    struct pare_store *store;
    struct pare_store_ref ref;
};

/* One record per row, name and value in lines: tables that wide are not readable. */
static void print_lines(const struct pare_rows *rows, enum pare_format format)
{
    for (size_t r = 0; r < rows->n; r++) {
        struct pare_table t = {0};
        pare_table_column(&t, "figure");
        pare_table_column(&t, "value");
        for (size_t i = 0; i < rows->n_columns; i++) {
            if (rows->cells[r * rows->n_columns + i].type == PARE_VALUE_NULL)
                continue;
            pare_table_text(&t, rows->names[i]);
            pare_rows_cell(rows, r, i, format, &t);
        }
        pare_table_print(&t, format, stdout);
        if (r + 1 < rows->n)
            putchar('\n');
    }
}

static void print_section(const struct job *j, const struct section *s, struct pare_rows *rows)
{
    size_t all = rows->n;
    if (rows->n == 0)
        return;
    if (!s->title) {
        for (size_t r = 0; r < rows->n; r++)
            printf("\nlog of %s (%s):\n%s", pare_rows_text(rows, r, "phase"),
                   pare_rows_text(rows, r, "reason"), pare_rows_text(rows, r, "log"));
        return;
    }
    printf("\n%s\n", s->title);
    if (s->many && !pare_cli_option(j->cli, "all"))
        rows->n = PARE_MIN(rows->n, (size_t)CUT);
    if (strcmp(s->key, "figures") == 0)
        print_lines(rows, j->cli->format);
    else
        pare_rows_print(rows, j->cli->format, stdout);
    if (rows->n < all)
        printf("... and %zu more (--all)\n", all - rows->n);
}

static int show(struct job *j, struct pare_error *err)
{
    const struct pare_argument arg = {"hash", j->ref.hash};
    bool people = j->cli->format == PARE_FORMAT_TABLE || j->cli->format == PARE_FORMAT_MARKDOWN;
    json_t *all = json_object();
    struct pare_rows place = {0};
    const char *pipeline;
    int rc;
    PARE_TRY(pare_cli_pipeline_of(j->store, &j->ref, &place, &pipeline, err));
    json_object_set_new(all, "label", json_string(j->ref.label));
    json_object_set_new(all, "variant", json_string(j->ref.hash));
    if (people)
        printf("%s  %s\n", j->ref.label, j->ref.hash);
    for (size_t i = 0; i < PARE_COUNT(sections); i++) {
        struct pare_rows rows;
        const char *sql = sections[i].sql;
        PARE_TRY(sql ? pare_rows_load(j->store, sql, &arg, 1, &rows, err)
                     : pare_stage_effects(j->store, j->ref.hash, pipeline, &rows, err));
        if (people)
            print_section(j, &sections[i], &rows);
        else if (j->cli->format == PARE_FORMAT_CSV && i == 0)
            pare_rows_print(&rows, j->cli->format, stdout);
        else
            json_object_set_new(all, sections[i].key, pare_rows_json(&rows));
        pare_rows_free(&rows);
    }
    if (j->cli->format == PARE_FORMAT_JSON)
        pare_cli_json(json_incref(all));
out:
    json_decref(all);
    pare_rows_free(&place);
    return rc;
}

/* ---- as a pipeline ---- */

/* {"plugin": ID, "params": {...}} as a pipeline writes it: {plugin: ID, ...}. A new reference. */
static json_t *as_typed(const json_t *value)
{
    const char *key;
    json_t *member, *out;
    if (json_is_array(value)) {
        size_t i;
        out = json_array();
        json_array_foreach(value, i, member) json_array_append_new(out, as_typed(member));
        return out;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    out = json_object();
    bool plugin = json_is_string(json_object_get(value, "plugin")) &&
                  json_is_object(json_object_get(value, "params"));
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        if (plugin && strcmp(key, "params") == 0)
            json_object_update(out, member);
        else if (!json_is_null(member))
            json_object_set_new(out, key, as_typed(member));
    }
    return out;
}

/* The lines of the source that hold top-level keys that still apply. */
static void keep_keys(const char *source, struct pare_str *out)
{
    static const char *const dropped[] = {"name", "stages", "exclude", "search", "limit"};
    struct pare_diags diags = {0};
    struct pare_yaml_tree tree = {0};
    if (pare_yaml_parse("pipeline", source, strlen(source), &diags, &tree) != PARE_OK ||
        tree.root->kind != PARE_YAML_MAP)
        goto out;
    const char *line = source;
    bool keep = false;
    for (unsigned number = 1; *line; number++) {
        size_t len = strcspn(line, "\n");
        for (size_t k = 0; k < tree.root->n; k++) {
            if (tree.root->keys[k]->at.line != number)
                continue;
            keep = true;
            for (size_t d = 0; d < PARE_COUNT(dropped); d++)
                keep = keep && strcmp(tree.root->keys[k]->text, dropped[d]) != 0;
        }
        if (keep) {
            pare_str_append_n(out, line, len);
            pare_str_append(out, "\n");
        }
        line += len + (line[len] == '\n');
    }
out:
    pare_yaml_free(&tree);
    pare_diags_free(&diags);
}

static int add_stage(const struct pare_rows *steps, size_t row, struct pare_str *out,
                     struct pare_error *err)
{
    const char *params = pare_rows_text(steps, row, "params");
    const char *units = pare_rows_text(steps, row, "units");
    json_t *stage = json_pack("{s:s, s:s}", "id", pare_rows_text(steps, row, "stage"), "plugin",
                              pare_rows_text(steps, row, "plugin"));
    json_t *with = params ? json_loads(params, 0, NULL) : NULL;
    json_t *which = units ? json_loads(units, 0, NULL) : NULL;
    if (which)
        json_object_update(stage, which);
    if (with)
        json_object_set_new(stage, "with", as_typed(with));
    char *text = json_dumps(stage, JSON_PRESERVE_ORDER);
    pare_str_printf(out, "  - %s\n", text ? text : "");
    int rc = text && !out->failed ? PARE_OK : pare_error_nomem(err, 0);
    free(text);
    json_decref(which);
    json_decref(with);
    json_decref(stage);
    return rc;
}

static int show_yaml(struct job *j, struct pare_error *err)
{
    struct pare_rows plan = {0}, steps = {0};
    struct pare_str out = {0};
    const struct pare_argument arg = {"hash", j->ref.hash};
    int rc;
    PARE_TRY(pare_rows_load(j->store,
                            "SELECT p.name, p.path, p.source FROM variants_all v JOIN pipeline p "
                            "ON p.name = v.pipeline WHERE v.variant = :hash ORDER BY v.is_current "
                            "DESC, p.planned_at DESC LIMIT 1",
                            &arg, 1, &plan, err));
    PARE_TRY(pare_rows_load(j->store, sections[1].sql, &arg, 1, &steps, err));
    const char *path = pare_rows_text(&plan, 0, "path");
    const char *source = pare_rows_text(&plan, 0, "source");
    pare_str_printf(&out, "# %s alone (%.7s). Paths are relative to the folder of %s\n",
                    j->ref.label, j->ref.hash, path ? path : "its pipeline");
    keep_keys(source ? source : "pare: 1\n", &out);
    if (steps.n == 0) {
        rc = pare_error_set(err, PARE_UNSUPPORTED,
                            "'%s' is the untouched model: a pipeline needs a stage", j->ref.label);
        goto out;
    }
    pare_str_append(&out, "stages:\n");
    for (size_t r = 0; r < steps.n; r++)
        PARE_TRY(add_stage(&steps, r, &out, err));
    fputs(out.data, stdout);
out:
    pare_str_free(&out);
    pare_rows_free(&plan);
    pare_rows_free(&steps);
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct job j = {.cli = cli};
    struct pare_error err = {0};
    int exit = PARE_EXIT_OK;
    j.store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!j.store)
        return exit;
    if (pare_cli_variant(j.store, cli->args[0], &j.ref, &exit)) {
        int rc = pare_cli_option(cli, "yaml") ? show_yaml(&j, &err) : show(&j, &err);
        if (rc != PARE_OK)
            exit = pare_cli_fail(&err);
    }
    pare_store_close(j.store);
    return exit;
}

static const struct pare_option options[] = {
    {"yaml", 'y', NULL, "a pipeline that builds this variant alone"},
    {"all", 'a', NULL, "cut nothing"},
};

const struct pare_command pare_command_show = {
    .name = "show",
    .summary = "Tell everything about one variant",
    .arguments = "VARIANT",
    .about = "Its recipe and parameters, figures, sessions, values decided for each unit, built "
             "models,\nattempts with their logs, tags and notes. A variant is named by its label, "
             "by\nPIPELINE:LABEL, by a tag, or by the beginning of its hash.\n\n"
             "examples:\n"
             "  pare show drop1+q8\n"
             "  pare show 3f2a91c --format json\n"
             "  pare show q-mixed --yaml > again.yaml",
    .least = 1,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
