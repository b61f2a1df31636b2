/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins there are, and all that one says about itself. */
#include "cli/commands.h"
#include "cli/show.h"
#include "model/unit.h"
#include "pipeline/discover.h"
#include "plugin/metric.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"

static const char *const kinds[] = {[PARE_TRANSFORM] = "transform",
                                    [PARE_SCORE] = "score",
                                    [PARE_ALLOCATE] = "allocate",
                                    [PARE_ENCODING] = "encoding",
                                    [PARE_METRIC] = "metric"};
static const char *const types[] = {
    [PARE_INT] = "integer",   [PARE_REAL] = "number", [PARE_BOOL] = "true/false",
    [PARE_CHOICE] = "choice", [PARE_TEXT] = "text",   [PARE_INTS] = "integers",
    [PARE_SCORED] = "score"};

static const char *name_in(const char *const *names, size_t n, uint32_t i)
{
    return i < n && names[i] ? names[i] : "?";
}

static const char *abi_of(const struct pare_plugin *p, char out[16])
{
    snprintf(out, 16, "%u.%u", p->abi_major, p->abi_minor);
    return out;
}

struct list {
    struct pare_table table;
    size_t n_columns;
};

static void row(struct list *l, const char *const *cells)
{
    for (size_t i = 0; i < l->n_columns; i++)
        pare_table_text(&l->table, cells[i]);
}

/* One that is not loaded is a row as far as it is known, and people are told why. */
static void bad_row(void *user, const char *path, const struct pare_error *why)
{
    char id[128];
    const char *state = pare_discover_state(path);
    if (strcmp(state, "ok") == 0) /* it is well by itself, and yet left out: its id is taken */
        state = why->status == PARE_INVALID ? "duplicate" : "refused";
    snprintf(id, sizeof id, "%.120s", pare_path_name(path));
    if (pare_ends_with(id, ".so"))
        id[strlen(id) - 3] = '\0';
    row(user,
        (const char *const[]){id, NULL, NULL, NULL, *state ? state : "refused", NULL, path, NULL});
    pare_show_left_out(NULL, path, why);
}

static int list_all(struct pare_cli *cli, struct pare_catalog *catalog, struct pare_error *err)
{
    static const char *const names[] = {"plugin", "kind",    "version", "abi",
                                        "state",  "summary", "file",    "sha256"};
    const struct pare_plugin_file *const *list;
    struct list l = {.n_columns = cli->format == PARE_FORMAT_TABLE ? 6 : PARE_COUNT(names)};
    size_t n;
    for (size_t i = 0; i < l.n_columns; i++)
        pare_table_column(&l.table, names[i]);
    int rc = pare_catalog_all(catalog, bad_row, &l, &list, &n, err);
    if (rc != PARE_OK)
        return rc;
    for (size_t i = 0; i < n; i++) {
        const struct pare_plugin *p = &list[i]->desc;
        char abi[16];
        row(&l, (const char *const[]){p->id, name_in(kinds, PARE_COUNT(kinds), p->kind), p->version,
                                      abi_of(p, abi), "ok", p->summary, list[i]->path,
                                      list[i]->sha256});
    }
    if (l.table.n_cells == 0) {
        fputs("pare: no plugins are installed\n", stderr);
        fputs("  hint: PARE_PLUGIN_PATH names further folders\n", stderr);
    }
    return pare_table_print(&l.table, cli->format, stdout)
               ? PARE_OK
               : pare_error_set(err, PARE_IO, "cannot write");
}

/* "2 to 8", "none|mse", ... */
static void range_of(const struct pare_param *p, struct pare_str *s)
{
    char lo[32], hi[32];
    if (p->choices) {
        pare_str_append(s, p->choices);
    } else if (p->min <= p->max && (p->min != 0 || p->max != 0) &&
               (p->type == PARE_INT || p->type == PARE_REAL || p->type == PARE_INTS)) {
        pare_format_double(p->min, lo);
        pare_format_double(p->max, hi);
        pare_str_printf(s, "%s to %s", lo, hi);
    }
}

/* The kinds in a mask, joined. */
static void kinds_of(uint32_t mask, struct pare_str *s)
{
    for (uint32_t bit = 1; bit && bit <= mask; bit <<= 1) {
        const char *name = mask & bit ? pare_unit_kind_name(bit) : NULL;
        if (name)
            pare_str_printf(s, "%s%s", s->len ? ", " : "", name);
    }
}

static void text_cell(struct pare_table *t, struct pare_str *s)
{
    pare_table_text(t, s->len ? s->data : NULL);
    pare_str_free(s);
}

static bool print_params(const struct pare_plugin *p, enum pare_format format)
{
    static const char *const names[] = {"parameter", "type",   "range",        "default",
                                        "identity",  "varies", "what it means"};
    struct pare_table t = {0};
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        pare_table_column(&t, names[i]);
    for (uint32_t i = 0; i < p->n_params; i++) {
        const struct pare_param *q = &p->params[i];
        struct pare_str range = {0}, varies = {0};
        pare_table_text(&t, q->name);
        pare_table_text(&t, name_in(types, PARE_COUNT(types), q->type));
        range_of(q, &range);
        text_cell(&t, &range);
        pare_table_text(&t, q->param_flags & PARE_PARAM_REQUIRED ? "(required)" : q->dflt);
        pare_table_text(&t, q->identity);
        kinds_of(q->varies, &varies);
        text_cell(&t, &varies);
        pare_table_text(&t, q->help);
    }
    return pare_table_print(&t, format, stdout);
}

static const struct {
    uint32_t flag;
    const char *what;
} needs[] = {{PARE_NEEDS_DATA, "calibration samples"},
             {PARE_NEEDS_MOMENTS, "activation moments"},
             {PARE_NEEDS_GRAM, "Gram matrices"},
             {PARE_NEEDS_COSINE, "cosines of branches"},
             {PARE_NEEDS_ACTIVITY, "activity of heads or channels"},
             {PARE_NEEDS_LABELS, "labels"}};

static void line(const char *name, const char *value)
{
    if (value && *value)
        printf("%-10s %s\n", name, value);
}

/* What a metric's figures are in, and which way is better. */
static const char *values_of(const struct pare_plugin *p, struct pare_str *s)
{
    if (p->kind == PARE_METRIC)
        pare_str_printf(s, "%s%s%s is better", p->unit ? p->unit : "", p->unit ? ", " : "",
                        pare_metric_higher(p) ? "higher" : "lower");
    return s->data;
}

static bool print_one(const struct pare_plugin_file *f, enum pare_format format)
{
    const struct pare_plugin *p = &f->desc;
    struct pare_str works = {0}, wants = {0}, values = {0};
    char abi[16];
    if (format != PARE_FORMAT_TABLE)
        return print_params(p, format);
    for (size_t i = 0; i < PARE_COUNT(needs); i++) {
        if (p->needs & needs[i].flag)
            pare_str_printf(&wants, "%s%s", wants.len ? ", " : "", needs[i].what);
    }
    if (wants.len && p->needs_when) {
        pare_str_append(&wants, ", with ");
        for (const char *at = p->needs_when; *at; at++) {
            const char one[2] = {*at, '\0'};
            pare_str_append(&wants, *at == ';' ? " or with " : *at == '|' ? " or " : one);
        }
    }
    kinds_of(p->unit_kind, &works);
    printf("%s %s: %s\n\n", p->id, p->version, p->summary);
    line("kind", name_in(kinds, PARE_COUNT(kinds), p->kind));
    line("works on", works.data);
    line("values", values_of(p, &values));
    line("selects", p->on);
    line("except", p->except);
    line("needs", wants.data);
    line("not after", p->precedes);
    line("not before", p->follows);
    line("label", p->label);
    line("author", p->author);
    line("licence", p->license);
    line("url", p->url);
    line("citation", p->citation);
    line("abi", abi_of(p, abi));
    line("file", f->path);
    line("sha256", f->sha256);
    pare_str_free(&works);
    pare_str_free(&wants);
    pare_str_free(&values);
    putchar('\n');
    if (p->n_params == 0) {
        puts("no parameters");
        return true;
    }
    return print_params(p, format);
}

static void put(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text && *text ? json_string(text) : json_null());
}

static json_t *param_json(const struct pare_param *q)
{
    json_t *o = json_object();
    struct pare_str varies = {0};
    put(o, "name", q->name);
    put(o, "type", name_in(types, PARE_COUNT(types), q->type));
    put(o, "help", q->help);
    put(o, "unit", q->unit);
    bool bounded = q->min <= q->max && (q->min != 0 || q->max != 0);
    json_object_set_new(o, "min", bounded ? json_real(q->min) : json_null());
    json_object_set_new(o, "max", bounded ? json_real(q->max) : json_null());
    put(o, "default", q->dflt);
    json_object_set_new(o, "required", json_boolean(q->param_flags & PARE_PARAM_REQUIRED));
    put(o, "identity", q->identity);
    put(o, "choices", q->choices);
    put(o, "search", q->search);
    put(o, "when", q->when);
    kinds_of(q->varies, &varies);
    put(o, "varies", varies.data);
    pare_str_free(&varies);
    return o;
}

static bool json_one(const struct pare_plugin_file *f)
{
    const struct pare_plugin *p = &f->desc;
    json_t *o = json_object(), *params = json_array(), *wants = json_array();
    struct pare_str works = {0}, values = {0};
    char abi[16];
    kinds_of(p->unit_kind, &works);
    put(o, "plugin", p->id);
    put(o, "version", p->version);
    put(o, "kind", name_in(kinds, PARE_COUNT(kinds), p->kind));
    put(o, "summary", p->summary);
    put(o, "works_on", works.data);
    put(o, "values", values_of(p, &values));
    put(o, "on", p->on);
    put(o, "except", p->except);
    put(o, "not_after", p->precedes);
    put(o, "not_before", p->follows);
    put(o, "label", p->label);
    put(o, "author", p->author);
    put(o, "license", p->license);
    put(o, "url", p->url);
    put(o, "citation", p->citation);
    put(o, "abi", abi_of(p, abi));
    put(o, "state", "ok"); /* of another there is only the reason */
    put(o, "file", f->path);
    put(o, "sha256", f->sha256);
    for (size_t i = 0; i < PARE_COUNT(needs); i++) {
        if (p->needs & needs[i].flag)
            json_array_append_new(wants, json_string(needs[i].what));
    }
    json_object_set_new(o, "needs", wants);
    put(o, "needs_when", p->needs_when);
    for (uint32_t i = 0; i < p->n_params; i++)
        json_array_append_new(params, param_json(&p->params[i]));
    json_object_set_new(o, "parameters", params);
    pare_str_free(&works);
    pare_str_free(&values);
    return pare_cli_json(o);
}

static int run(struct pare_cli *cli)
{
    struct pare_catalog *catalog = NULL;
    const struct pare_plugin_file *file;
    struct pare_error err = {0};
    int exit = PARE_EXIT_OK, rc;
    if (pare_cli_option(cli, "retry"))
        pare_discover_again();
    PARE_TRY(pare_catalog_new(&catalog, &err));
    if (cli->n_args == 0) {
        PARE_TRY(list_all(cli, catalog, &err));
        goto out;
    }
    PARE_TRY(pare_catalog_find(catalog, cli->args[0], NULL, &file, &err));
    if (!(cli->format == PARE_FORMAT_JSON ? json_one(file) : print_one(file, cli->format)))
        exit = PARE_EXIT_FAILED;
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_catalog_free(catalog);
    return exit;
}

static const struct pare_option options[] = {
    {"retry", 0, NULL, "look again at plugins that were blocked or refused"},
};

const struct pare_command pare_command_plugins = {
    .name = "plugins",
    .summary = "List the plugins, or tell all about one",
    .arguments = "[PLUGIN]",
    .about = "PLUGIN is an id, or a file's name with a slash. Plugins are looked for in the "
             "folders of\n$PARE_PLUGIN_PATH, the user's folder, and the installed one.\n\n"
             "Before a plugin is loaded here, a process of its own loads it: one that crashes or "
             "hangs is\nblocked, and the reason kept, until its file changes or --retry.\n\n"
             "examples:\n"
             "  pare plugins\n"
             "  pare plugins quantize\n"
             "  pare plugins ./build/mine.so --format json",
    .least = 0,
    .most = 1,
    .flags = PARE_CMD_FORMAT,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
