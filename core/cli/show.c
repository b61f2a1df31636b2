/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/str.h"
#include "pipeline/yaml.h"

/* ---- the database ---- */

/* A run that was killed left attempts behind as running: let them be marked as lost, so that what
 * is shown is so. Where the file cannot be written it stays as it is. */
static void settle(struct pare_store *store)
{
    struct pare_store *writer;
    struct pare_error ignored;
    if (!pare_store_notice(store)[0] && pare_store_stale(store) &&
        pare_store_open(pare_store_path(store), PARE_STORE_WRITE, &writer, &ignored) == PARE_OK)
        pare_store_close(writer);
}

struct pare_store *pare_cli_store(const struct pare_cli *cli, enum pare_store_mode mode, int *exit)
{
    struct pare_error err = {0};
    struct pare_store *store = NULL;
    char *path = NULL;
    int rc;
    PARE_TRY(pare_store_find(cli->db, &path, &err));
    /* Only `run` makes a database. */
    errno = 0;
    if (mode == PARE_STORE_WRITE && !pare_file_exists(path) &&
        (errno == ENOENT || errno == ENOTDIR)) {
        rc = pare_error_set(&err, PARE_NOT_FOUND, "there is no database %s", path);
        pare_error_hint(&err, "`pare run FILE` makes one; --db FILE names another");
        goto out;
    }
    PARE_TRY(pare_store_open(path, mode, &store, &err));
    if (mode == PARE_STORE_READ)
        settle(store);
    if (pare_store_notice(store)[0])
        fprintf(stderr, "pare: %s\n", pare_store_notice(store));
out:
    free(path);
    if (rc != PARE_OK)
        *exit = pare_cli_fail(&err);
    return store;
}

bool pare_cli_variant(struct pare_store *store, const char *text, struct pare_store_ref *out,
                      int *exit)
{
    struct pare_error err = {0};
    if (pare_store_resolve(store, text, NULL, out, &err) == PARE_OK)
        return true;
    *exit = pare_cli_fail(&err);
    return false;
}

/* ---- answers ---- */

static int keep_row(void *user, const struct pare_row *row, struct pare_error *err)
{
    struct pare_rows *r = user;
    if (!row->values) {
        r->n_columns = row->n;
        r->names = pare_pool_alloc(&r->pool, row->n, sizeof *r->names);
        for (size_t i = 0; r->names && i < row->n; i++) {
            r->names[i] = pare_pool_strdup(&r->pool, row->names[i]);
            if (!r->names[i])
                return pare_error_nomem(err, 0);
        }
        return r->names ? PARE_OK : pare_error_nomem(err, 0);
    }
    if (!pare_grow(&r->cells, &r->cap, (r->n + 1) * r->n_columns, sizeof *r->cells))
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < row->n; i++) {
        struct pare_cell *to = &r->cells[r->n * r->n_columns + i];
        *to = row->values[i];
        if (to->type == PARE_VALUE_BLOB) {
            to->text = pare_pool_printf(&r->pool, "(%zu bytes)", to->size);
        } else if (to->type == PARE_VALUE_TEXT) {
            to->text = pare_pool_strndup(&r->pool, to->text, to->size);
        } else {
            continue;
        }
        if (!to->text)
            return pare_error_nomem(err, to->size);
    }
    r->n++;
    return PARE_OK;
}

int pare_rows_load(struct pare_store *store, const char *sql, const struct pare_argument *args,
                   size_t n_args, struct pare_rows *out, struct pare_error *err)
{
    *out = (struct pare_rows){0};
    int rc = pare_store_query(store, sql, args, n_args, keep_row, out, err);
    if (rc != PARE_OK)
        pare_rows_free(out);
    return rc;
}

void pare_rows_free(struct pare_rows *rows)
{
    free(rows->cells);
    pare_pool_free(&rows->pool);
    *rows = (struct pare_rows){0};
}

static const struct pare_cell *cell_at(const struct pare_rows *rows, size_t row, const char *column)
{
    for (size_t i = 0; row < rows->n && i < rows->n_columns; i++) {
        if (strcmp(rows->names[i], column) == 0)
            return &rows->cells[row * rows->n_columns + i];
    }
    return NULL;
}

const char *pare_rows_text(const struct pare_rows *rows, size_t row, const char *column)
{
    const struct pare_cell *c = cell_at(rows, row, column);
    return c && c->type == PARE_VALUE_TEXT ? c->text : NULL;
}

void pare_show_left_out(void *user, const char *path, const struct pare_error *why)
{
    (void)user;
    fprintf(stderr, "pare: %s is left out: %s\n", path, why->what);
    if (why->detail[0])
        fprintf(stderr, "  %s\n", why->detail);
    if (why->hint[0])
        fprintf(stderr, "  hint: %s\n", why->hint);
}

double pare_rows_number(const struct pare_rows *rows, size_t row, const char *column)
{
    const struct pare_cell *c = cell_at(rows, row, column);
    return c && (c->type == PARE_VALUE_INTEGER || c->type == PARE_VALUE_REAL) ? c->real
                                                                              : (double)NAN;
}

void pare_rows_cell(const struct pare_rows *rows, size_t row, size_t column,
                    enum pare_format format, struct pare_table *to)
{
    const struct pare_cell *c = &rows->cells[row * rows->n_columns + column];
    const char *name = rows->names[column];
    bool people = format == PARE_FORMAT_TABLE || format == PARE_FORMAT_MARKDOWN;
    char text[64];
    switch (c->type) {
    case PARE_VALUE_INTEGER:
        if (people && (strcmp(name, "macs") == 0 || strcmp(name, "parameters") == 0)) {
            pare_show_count(c->real, text);
            pare_table_number(to, c->real, text);
        } else if (people && (pare_ends_with(name, "_bytes") || strcmp(name, "bytes") == 0)) {
            pare_show_bytes(c->real, text);
            pare_table_number(to, c->real, text);
        } else {
            pare_table_integer(to, c->integer);
        }
        break;
    case PARE_VALUE_REAL:
        snprintf(text, sizeof text,
                 fabs(c->real) < 100                                 ? "%.4f"
                 : c->real == floor(c->real) && fabs(c->real) < 9e15 ? "%.0f"
                                                                     : "%.6g",
                 c->real);
        if (fabs(c->real) < 0.00005 && c->real != 0)
            snprintf(text, sizeof text, "%.4g", c->real);
        pare_table_number(to, c->real, people ? text : NULL);
        break;
    case PARE_VALUE_TEXT:
        if (people && c->size == 64 && strspn(c->text, "0123456789abcdef") == 64) {
            snprintf(text, sizeof text, "%.7s", c->text); /* hashes in short */
            pare_table_text(to, text);
        } else {
            pare_table_text(to, c->text);
        }
        break;
    case PARE_VALUE_BLOB:
        pare_table_text(to, c->text);
        break;
    case PARE_VALUE_NULL:
        pare_table_text(to, NULL);
        break;
    }
}

bool pare_rows_print(const struct pare_rows *rows, enum pare_format format, FILE *to)
{
    struct pare_table t = {0};
    for (size_t i = 0; i < rows->n_columns; i++)
        pare_table_column(&t, rows->names[i]);
    for (size_t r = 0; r < rows->n; r++) {
        for (size_t i = 0; i < rows->n_columns; i++)
            pare_rows_cell(rows, r, i, format, &t);
    }
    return pare_table_print(&t, format, to);
}

int pare_cli_answer(const struct pare_cli *cli, const char *sql)
{
    struct pare_rows rows = {0};
    struct pare_error err = {0};
    int exit = PARE_EXIT_OK;
    struct pare_store *store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!store)
        return exit;
    if (pare_rows_load(store, sql, NULL, 0, &rows, &err) != PARE_OK)
        exit = pare_cli_fail(&err);
    else if (!pare_rows_print(&rows, cli->format, stdout))
        exit = PARE_EXIT_FAILED;
    pare_rows_free(&rows);
    pare_store_close(store);
    return exit;
}

size_t pare_rows_find(const struct pare_rows *rows, const char *column, const char *text)
{
    for (size_t lo = 0, hi = rows->n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        const char *here = pare_rows_text(rows, mid, column);
        int order = strcmp(here ? here : "", text);
        if (order == 0)
            return mid;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return SIZE_MAX;
}

json_t *pare_rows_json(const struct pare_rows *rows)
{
    json_t *list = json_array();
    for (size_t r = 0; list && r < rows->n; r++) {
        json_t *row = json_object();
        for (size_t i = 0; i < rows->n_columns; i++) {
            const struct pare_cell *c = &rows->cells[r * rows->n_columns + i];
            json_object_set_new(row, rows->names[i],
                                c->type == PARE_VALUE_INTEGER ? json_integer(c->integer)
                                : c->type == PARE_VALUE_REAL  ? json_real(c->real)
                                : c->type == PARE_VALUE_NULL  ? json_null()
                                                              : json_string(c->text));
        }
        json_array_append_new(list, row);
    }
    return list;
}

bool pare_cli_json(json_t *value)
{
    int rc =
        json_dumpf(value, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(value);
    return rc == 0 && fflush(stdout) == 0;
}

bool pare_cli_record(json_t *object, enum pare_format format)
{
    struct pare_table t = {0};
    const char *key;
    json_t *value;
    if (format == PARE_FORMAT_JSON)
        return pare_cli_json(object);
    json_object_foreach(object, key, value) pare_table_column(&t, key);
    json_object_foreach(object, key, value)
    {
        char text[32];
        snprintf(text, sizeof text, "%.6g", json_number_value(value));
        if (json_is_integer(value))
            pare_table_integer(&t, json_integer_value(value));
        else if (json_is_real(value))
            pare_table_number(&t, json_real_value(value), format == PARE_FORMAT_CSV ? NULL : text);
        else if (format == PARE_FORMAT_TABLE && json_string_length(value) == 64)
            pare_table_printf(&t, "%.7s", json_string_value(value)); /* hashes in short */
        else
            pare_table_text(&t, json_string_value(value));
    }
    json_decref(object);
    return pare_table_print(&t, format, stdout);
}

/* A database of a stranger could have names that are no ids. */
int pare_cli_plugin_metrics(struct pare_store *store, const char *pipeline, struct pare_rows *out,
                            struct pare_error *err)
{
    const struct pare_argument arg = {"pipeline", pipeline};
    *out = (struct pare_rows){0};
    if (!pare_store_has_metrics(store))
        return PARE_OK;
    return pare_rows_load(store,
                          "SELECT DISTINCT metric FROM metrics WHERE (:pipeline IS NULL OR "
                          "pipeline = :pipeline) AND metric NOT GLOB '*[^A-Za-z0-9._-]*' "
                          "ORDER BY metric",
                          &arg, 1, out, err);
}

/* What pare_cli_plugin_metrics() lists holds nothing that would have to be quoted. */
void pare_cli_from_variants(const struct pare_rows *metrics, struct pare_str *sql)
{
    if (!metrics->n) {
        pare_str_append(sql, "variants");
        return;
    }
    pare_str_append(sql, "(SELECT v.*");
    for (size_t i = 0; i < metrics->n; i++) {
        const char *name = pare_rows_text(metrics, i, "metric");
        pare_str_printf(sql,
                        ", (SELECT x.value FROM measurements x WHERE x.pipeline = v.pipeline AND "
                        "x.variant = v.variant AND x.metric = '%s' AND x.role = 'evaluate') AS "
                        "\"%s\"",
                        name, name);
    }
    pare_str_append(sql, " FROM variants v)");
}

int pare_variant_figures(struct pare_store *store, const char *pipeline, const char *host,
                         const char *shape, json_t *labels, struct pare_rows *out,
                         struct pare_error *err)
{
    char *text = labels ? json_dumps(labels, JSON_COMPACT) : NULL;
    const struct pare_argument args[] = {
        {"pipeline", pipeline}, {"host", host}, {"shape", shape}, {"labels", text}};
    struct pare_rows metrics = {0};
    struct pare_str sql = {0};
    int rc = labels && !text ? pare_error_nomem(err, 0) : PARE_OK;
    PARE_TRY(rc);
    PARE_TRY(pare_cli_plugin_metrics(store, pipeline, &metrics, err));
    pare_str_append(&sql, "SELECT * FROM ");
    pare_cli_from_variants(&metrics, &sql);
    pare_str_append(&sql, " WHERE pipeline = :pipeline AND host IS :host AND shape IS :shape");
    pare_str_append(&sql, labels ? " AND label IN (SELECT value FROM json_each(:labels)) "
                                   "ORDER BY +variant"
                                 : " ORDER BY variant");
    rc = sql.failed ? pare_error_nomem(err, 0)
                    : pare_rows_load(store, sql.data, args, labels ? 4 : 3, out, err);
out:
    pare_rows_free(&metrics);
    pare_str_free(&sql);
    json_decref(labels);
    free(text);
    return rc;
}

int pare_cli_qualities(struct pare_store *store, const char *pipeline,
                       const struct pare_quality **out, size_t *n, struct pare_error *err)
{
    struct pare_rows rows;
    const struct pare_argument arg = {"pipeline", pipeline};
    int rc = pare_rows_load(store,
                            "SELECT x.metric FROM pipeline p JOIN member m ON m.pipeline_id = "
                            "p.pipeline_id AND m.is_baseline AND m.is_current JOIN measurement x "
                            "ON x.variant_id = m.variant_id AND x.data_id = p.data_id LEFT JOIN "
                            "objective o ON o.pipeline_id = p.pipeline_id AND o.metric = x.metric "
                            "WHERE :pipeline IS NULL OR p.name = :pipeline GROUP BY x.metric "
                            "ORDER BY min(o.position) NULLS LAST, x.metric DESC",
                            &arg, 1, &rows, err);
    *n = 0;
    if (rc != PARE_OK)
        return rc;
    for (size_t i = 0; i < rows.n && *n < PARE_QUALITIES; i++) {
        const struct pare_quality *q = pare_quality_of(pare_rows_text(&rows, i, "metric"));
        if (q)
            out[(*n)++] = q;
    }
    pare_rows_free(&rows);
    if (!*n)
        out[(*n)++] = pare_qualities(&(size_t){0});
    return PARE_OK;
}

int pare_cli_pipeline_of(struct pare_store *store, const struct pare_store_ref *ref,
                         struct pare_rows *place, const char **name, struct pare_error *err)
{
    char id[32];
    snprintf(id, sizeof id, "%lld", (long long)ref->pipeline_id);
    const struct pare_argument arg = {"id", id};
    int rc =
        pare_rows_load(store, "SELECT name FROM pipeline WHERE pipeline_id = CAST(:id AS INTEGER)",
                       &arg, 1, place, err);
    *name = rc == PARE_OK ? pare_rows_text(place, 0, "name") : NULL;
    return rc;
}

int pare_stage_effects(struct pare_store *store, const char *hash, const char *pipeline,
                       struct pare_rows *out, struct pare_error *err)
{
    const struct pare_argument args[] = {{"hash", hash}, {"pipeline", pipeline}};
    const struct pare_quality *known[PARE_QUALITIES];
    struct pare_str sql = {0};
    size_t n;
    int rc;
    PARE_TRY(pare_cli_qualities(store, pipeline, known, &n, err));
    pare_str_append(&sql, "SELECT stage, plugin, \"without\"");
    for (size_t i = 0; i < n; i++) {
        const char *change = known[i]->change;
        if (change)
            pare_str_printf(&sql, ", %s, %s_lo, %s_hi", change, change, change);
    }
    pare_str_append(&sql, ", speedup, speedup_lo, speedup_hi, size_ratio, macs_ratio, verdict "
                          "FROM stage_effects WHERE variant = :hash AND "
                          "(:pipeline IS NULL OR pipeline = :pipeline)");
    rc = sql.failed ? pare_error_nomem(err, 0) : pare_rows_load(store, sql.data, args, 2, out, err);
out:
    pare_str_free(&sql);
    return rc;
}

/* ---- models ---- */

/* The path that a pipeline's YAML names as its model. NULL: it cannot be told. */
static char *model_in_yaml(const char *source, const char *yaml_path)
{
    struct pare_diags diags = {0};
    struct pare_yaml_tree tree = {0};
    char *out = NULL;
    if (source && pare_yaml_parse("pipeline", source, strlen(source), &diags, &tree) == PARE_OK) {
        const struct pare_yaml *node = pare_yaml_get(tree.root, "model");
        char *folder = pare_path_folder(yaml_path ? yaml_path : ".");
        if (node && node->text && folder)
            out = pare_path_join(folder, node->text);
        free(folder);
    }
    pare_yaml_free(&tree);
    pare_diags_free(&diags);
    return out;
}

/* The untouched model of the pipelines that a variant is the baseline of. */
static int baseline_file(struct pare_store *store, const struct pare_store_ref *ref, char **out,
                         struct pare_error *err)
{
    struct pare_rows rows;
    const struct pare_argument arg = {"hash", ref->hash};
    int rc = pare_rows_load(store,
                            "SELECT p.path, p.source FROM variants v JOIN pipeline p "
                            "ON p.name = v.pipeline WHERE v.variant = :hash AND v.is_baseline "
                            "GROUP BY p.name ORDER BY p.planned_at DESC",
                            &arg, 1, &rows, err);
    for (size_t i = 0; rc == PARE_OK && !*out && i < rows.n; i++) {
        char *path =
            model_in_yaml(pare_rows_text(&rows, i, "source"), pare_rows_text(&rows, i, "path"));
        if (path && pare_file_exists(path))
            *out = path;
        else
            free(path);
    }
    if (rc == PARE_OK)
        pare_rows_free(&rows);
    return rc;
}

int pare_variant_file(struct pare_store *store, const struct pare_store_ref *ref, char **out,
                      struct pare_error *err)
{
    struct pare_rows rows = {0};
    const struct pare_argument arg = {"hash", ref->hash};
    char *folder = NULL;
    int rc;
    *out = NULL;
    PARE_TRY(pare_rows_load(store,
                            "SELECT path FROM artifacts WHERE variant = :hash ORDER BY created_at "
                            "DESC, sha256",
                            &arg, 1, &rows, err));
    folder = pare_path_folder(pare_store_path(store));
    for (size_t i = 0; folder && !*out && i < rows.n; i++) {
        char *path = pare_path_join(folder, pare_rows_text(&rows, i, "path"));
        if (path && pare_file_exists(path))
            *out = path;
        else
            free(path);
    }
    if (!*out)
        PARE_TRY(baseline_file(store, ref, out, err));
    if (!*out) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "the model of '%s' is not kept", ref->label);
        pare_error_detail(err, "%zu file%s known, none is there", rows.n, rows.n == 1 ? "" : "s");
        pare_error_hint(
            err,
            "to build it again, in its pipeline's folder: `pare show %.7s --yaml > one.yaml`, "
            "then `pare run one.yaml --db one.db`",
            ref->hash);
    }
out:
    free(folder);
    pare_rows_free(&rows);
    return rc;
}

/* "runs/pare.db" is there: `*out` is opened for reading; it stays NULL when there is none. */
static int open_if_there(const struct pare_cli *cli, struct pare_store **out,
                         struct pare_error *err)
{
    char *path = NULL;
    int rc;
    *out = NULL;
    PARE_TRY(pare_store_find(cli->db, &path, err));
    if (cli->db || pare_file_exists(path))
        PARE_TRY(pare_store_open(path, PARE_STORE_READ, out, err));
out:
    free(path);
    return rc;
}

int pare_cli_model(const struct pare_cli *cli, const char *text, struct pare_model **out,
                   char **name, struct pare_error *err)
{
    struct pare_store *store = NULL;
    struct pare_store_ref ref;
    char *path = NULL;
    int rc = PARE_OK;
    *out = NULL;
    if (!pare_file_exists(text) && (cli->db || !strchr(text, '/'))) {
        PARE_TRY(open_if_there(cli, &store, err));
        if (store) {
            rc = pare_store_resolve(store, text, NULL, &ref, err);
            if (rc == PARE_NOT_FOUND)
                pare_error_detail(err, "nor a file or folder of that name");
            if (rc != PARE_OK)
                goto out;
            PARE_TRY(pare_variant_file(store, &ref, &path, err));
        }
    }
    PARE_TRY(pare_model_open(path ? path : text, out, err));
    if (name) {
        *name = pare_strdup(path ? ref.label : text);
        if (!*name)
            rc = pare_error_nomem(err, 0);
    }
out:
    if (rc != PARE_OK) {
        pare_model_free(*out);
        *out = NULL;
    }
    pare_store_close(store);
    free(path);
    return rc;
}

int pare_cli_refuse_overwrite(const char *path, bool force, struct pare_error *err)
{
    if (force || !pare_file_exists(path))
        return PARE_OK;
    pare_error_set(err, PARE_INVALID, "%s is there already", path);
    pare_error_hint(err, "--force overwrites it");
    return PARE_INVALID;
}

/* ---- figures ---- */

bool pare_cli_add_interval(json_t *object, const char *name, struct pare_interval x)
{
    const struct {
        const char *end;
        double value;
    } parts[] = {{"", x.value}, {"_lo", x.lo}, {"_hi", x.hi}};
    bool fine = true;
    for (size_t i = 0; i < PARE_COUNT(parts); i++) {
        char key[128];
        snprintf(key, sizeof key, "%s%s", name, parts[i].end);
        fine = json_object_set_new(object, key,
                                   isfinite(parts[i].value) ? json_real(parts[i].value)
                                                            : json_null()) == 0 &&
               fine;
    }
    return fine;
}

bool pare_cli_there(const char *const *paths, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < n; i++) {
        struct pare_error err = {0};
        if (!paths[i] || pare_file_exists(paths[i]))
            continue;
        pare_error_set(&err, PARE_NOT_FOUND, "there is no %s", paths[i]);
        pare_cli_fail(&err);
        all = false;
    }
    return all;
}

int pare_cli_data(const struct pare_data_spec *spec, const struct pare_model *model,
                  struct pare_dataset **out, struct pare_error *err)
{
    int rc = pare_dataset_open(spec, model, out, err);
    if (rc == PARE_OK)
        pare_cli_notes(pare_dataset_note(*out), stderr);
    return rc;
}

void pare_cli_notes(const char *lines, FILE *to)
{
    for (const char *at = lines; at && *at; at += strcspn(at, "\n"), at += *at == '\n')
        fprintf(to, "note: %.*s\n", (int)strcspn(at, "\n"), at);
}

bool pare_cli_threads(const struct pare_cli *cli, long long fallback, long long *out)
{
    long long cpus = pare_cpu_count();
    if (!pare_cli_number(cli, "threads", 1, 4 * cpus, fallback, out))
        return false;
    if (*out > cpus)
        fprintf(stderr, "pare: %lld threads on %lld CPU%s wait for each other\n", *out, cpus,
                cpus == 1 ? "" : "s");
    return true;
}

void pare_cli_shape_notes(const struct pare_pipeline *p, FILE *to)
{
    unsigned cpus = pare_cpu_count();
    for (size_t i = 0; i < p->n_shapes; i++) {
        if (p->shapes[i].threads > cpus)
            fprintf(to, "note: shape %s: %u threads on %u CPU%s wait for each other\n",
                    p->shapes[i].name, p->shapes[i].threads, cpus, cpus == 1 ? "" : "s");
    }
}

bool pare_cli_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < PARE_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

void pare_show_metric(const struct pare_metric *metric, double value, char *out)
{
    if (isnan(value)) {
        snprintf(out, 48, "unknown");
        return;
    }
    switch (metric->unit) {
    case PARE_METRIC_FRACTION:
        snprintf(out, 48, "%.4f", value);
        break;
    case PARE_METRIC_MS:
        snprintf(out, 48, "%.3f ms", value);
        break;
    case PARE_METRIC_BYTES:
        if (value < 0) {
            out[0] = '-';
            pare_show_bytes(-value, out + 1);
        } else {
            pare_show_bytes(value, out);
        }
        break;
    case PARE_METRIC_NUMBER:
        snprintf(out, 48, "%.4g", value);
        break;
    case PARE_METRIC_COUNT:
        out[0] = '-';
        pare_show_count(fabs(value), out + (value < 0));
        break;
    }
}

void pare_show_comparison(const struct pare_metric *metric, const struct pare_comparison *c,
                          char *out)
{
    const struct pare_interval *d = &c->difference;
    char text[48];
    if (c->ratio) {
        snprintf(out, 160, "%s %.3fx [%.3f, %.3f]", metric->name, d->value, d->lo, d->hi);
    } else if (d->lo == d->hi) {
        pare_show_metric(metric, d->value, text);
        snprintf(out, 160, "%s %s%s", metric->name, d->value >= 0 ? "+" : "", text);
    } else {
        snprintf(out, 160, "%s %+.4f [%+.4f, %+.4f]", metric->name, d->value, d->lo, d->hi);
    }
}
