/* SPDX-License-Identifier: Apache-2.0 */
/* The units of a model, and making a random one. */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "model/safetensors.h"
#include "model/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* ---- units ---- */

static uint64_t node_bytes(const struct pare_node *node)
{
    const struct pare_blob *const blobs[] = {node->bias, node->a, node->b};
    uint64_t bytes = node->weight ? pare_weight_bytes(node->weight) : 0;
    for (size_t i = 0; i < PARE_COUNT(blobs); i++) {
        if (blobs[i])
            bytes += pare_round_up(blobs[i]->size, PARE_ALIGN);
    }
    return bytes;
}

/* Bytes of the nodes that are the unit or lie in it (the basis of a linear is a unit of its own);
 * NaN for slices of a weight. */
static double unit_bytes(const struct pare_graph *graph, const struct pare_unit *unit)
{
    size_t len = strlen(unit->path);
    double bytes = 0;
    if (unit->kind == PARE_UNIT_HEAD || unit->kind == PARE_UNIT_CHANNEL ||
        unit->kind == PARE_UNIT_STREAM)
        return (double)NAN;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const char *path = graph->nodes[i].path;
        if (strncmp(path, unit->path, len) == 0 &&
            (path[len] == '\0' || (path[len] == '.' && unit->kind != PARE_UNIT_LINEAR)))
            bytes += (double)node_bytes(&graph->nodes[i]);
    }
    return bytes;
}

static void encoding_cell(const struct pare_graph *graph, const struct pare_unit *unit,
                          struct pare_table *t)
{
    int32_t at = unit->kind == PARE_UNIT_LINEAR ? pare_graph_find(graph, unit->path) : -1;
    char text[64];
    if (at < 0 || !graph->nodes[at].weight) {
        pare_table_text(t, NULL);
        return;
    }
    const struct pare_node *node = &graph->nodes[at];
    pare_weight_describe(node->weight, text);
    if (node->activation_bits)
        pare_table_printf(t, "%s, inputs int%u", text, node->activation_bits);
    else
        pare_table_text(t, text);
}

static void unit_row(const struct pare_graph *graph, const struct pare_unit *unit, bool people,
                     struct pare_table *t)
{
    double bytes = unit_bytes(graph, unit);
    char text[64];
    pare_table_text(t, unit->path);
    pare_table_text(t, pare_unit_kind_name(unit->kind));
    pare_table_text(t, unit->role);
    if (unit->rows || unit->cols)
        pare_table_printf(t, "%u x %u", unit->rows, unit->cols);
    else
        pare_table_text(t, NULL);
    pare_show_count((double)unit->parameters, text);
    pare_table_number(t, (double)unit->parameters, people ? text : NULL);
    if (isnan(bytes)) {
        pare_table_text(t, NULL);
    } else {
        pare_show_bytes(bytes, text);
        pare_table_number(t, bytes, people ? text : NULL);
    }
    pare_show_count((double)unit->macs, text);
    pare_table_number(t, (double)unit->macs, people ? text : NULL);
    encoding_cell(graph, unit, t);
}

static void print_totals(const struct pare_model *m, const char *hash, const char *name,
                         size_t shown, size_t all)
{
    const struct pare_graph *g = m->graph;
    const uint32_t outputs = g->values[g->output].width;
    char parameters[16], bytes[16], macs[16], reads[96];
    pare_show_count((double)pare_graph_parameters(g), parameters);
    pare_show_bytes((double)pare_graph_bytes(g), bytes);
    pare_show_count((double)pare_graph_macs(g), macs);
    if (pare_graph_reads_text(g))
        snprintf(reads, sizeof reads, "%u of at most %u tokens, %u outputs", g->length, g->context,
                 outputs);
    else
        snprintf(reads, sizeof reads, "image %u x %u x %u, %u classes", g->channels, g->height,
                 g->width, outputs);
    printf("\n%s: %s, %u layers, %s | %s parameters, %s, %s MACs | %.7s\n", name,
           m->family ? m->family : "?", g->blocks, reads, parameters, bytes, macs, hash);
    printf("%zu of %zu units shown (--kind, --select)\n", shown, all);
}

/* Kinds named "linear" or "linear,head"; 0: one of them is none (which is told). */
static unsigned parse_kinds(struct pare_cli *cli, const char *text)
{
    unsigned mask = 0;
    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)PARE_MIN(strcspn(at, ","), (size_t)31), at);
        unsigned kind = strcmp(name, "all") == 0 ? ~0u : pare_unit_kind_from(name);
        if (!kind) {
            pare_cli_usage(cli,
                           "'%s' is no kind of unit: linear, head, channel, branch, block, stream "
                           "or all",
                           name);
            return 0;
        }
        mask |= kind;
    }
    return mask;
}

static int show_units(struct pare_cli *cli)
{
    static const char *const names[] = {"unit",       "kind",  "role", "shape",
                                        "parameters", "bytes", "macs", "encoding"};
    const char *kind = pare_cli_option(cli, "kind"), *select = pare_cli_option(cli, "select");
    struct pare_model *model = NULL;
    struct pare_units units = {0};
    struct pare_table t = {0};
    struct pare_error err = {0};
    const char *hash;
    char *name = NULL;
    size_t shown = 0;
    int exit = PARE_EXIT_OK, rc;
    unsigned kinds = parse_kinds(cli, kind ? kind : "linear");
    if (!kinds)
        return PARE_EXIT_USAGE;
    PARE_TRY(pare_cli_model(cli, cli->args[0], &model, &name, &err));
    PARE_TRY(pare_units_of(model->graph, kinds, &units, &err));
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        pare_table_column(&t, names[i]);
    for (size_t i = 0; i < units.n; i++) {
        if (select && !pare_unit_selected(&units.items[i], select))
            continue;
        unit_row(model->graph, &units.items[i], cli->format == PARE_FORMAT_TABLE, &t);
        shown++;
    }
    if (select && !shown) {
        const char *paths[512];
        size_t n = PARE_MIN(units.n, PARE_COUNT(paths));
        for (size_t i = 0; i < n; i++)
            paths[i] = units.items[i].path;
        const char *near = pare_nearest(select, paths, n);
        rc = pare_error_set(&err, PARE_NOT_FOUND, "no unit matches '%s'", select);
        pare_error_detail(&err, "%zu units of kind %s were looked at", units.n,
                          kind ? kind : "linear");
        pare_error_hint(&err, "did you mean '%s'?", near ? near : "layer.*");
        goto out;
    }
    if (!pare_table_print(&t, cli->format, stdout))
        exit = PARE_EXIT_FAILED;
    if (cli->format == PARE_FORMAT_TABLE) {
        PARE_TRY(pare_model_hash(model, &hash, &err));
        print_totals(model, hash, name, shown, units.n);
    }
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_table_drop(&t);
    pare_units_free(&units);
    pare_model_free(model);
    free(name);
    return exit;
}

/* ---- a random model ---- */

static int write_json(const char *folder, const char *name, const json_t *value,
                      struct pare_error *err)
{
    char *path = pare_path_join(folder, name);
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    int rc =
        path && text ? pare_file_write(path, text, strlen(text), err) : pare_error_nomem(err, 0);
    free(path);
    free(text);
    return rc;
}

static int make_model(const char *family_name, const char *shape, uint64_t seed, const char *folder,
                      bool force, struct pare_error *err)
{
    const struct pare_family *family = pare_family_find(family_name);
    struct pare_tensors tensors = {0};
    json_t *config = NULL, *preprocessor = NULL;
    char *file = NULL;
    int rc;
    if (!family) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "there is no family '%s'", family_name);
        char names[128];
        pare_family_names(names);
        pare_error_hint(err, "there are %s", names);
        goto out;
    }
    PARE_TRY(pare_cli_refuse_overwrite(folder, force, err));
    PARE_TRY(family->random(shape, seed, &tensors, &config, &preprocessor, err));
    PARE_TRY(pare_make_folders(folder, err));
    file = pare_path_join(folder, "model.safetensors");
    if (!file) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_tensors_write(file, &tensors, err));
    if (preprocessor)
        PARE_TRY(write_json(folder, "preprocessor_config.json", preprocessor, err));
    PARE_TRY(write_json(folder, "config.json", config, err));
out:
    pare_tensors_free(&tensors);
    json_decref(config);
    json_decref(preprocessor);
    free(file);
    return rc;
}

static int run(struct pare_cli *cli)
{
    const char *family = pare_cli_option(cli, "family"), *shape = pare_cli_option(cli, "shape");
    const char *out = pare_cli_option(cli, "output");
    struct pare_error err = {0};
    long long seed;
    if (strcmp(cli->args[0], "new") != 0 || pare_file_exists("new"))
        return show_units(cli);
    if (!pare_cli_number(cli, "seed", 0, INT64_MAX, 1, &seed))
        return PARE_EXIT_USAGE;
    if (!family || !shape || !out)
        return pare_cli_usage(cli, "new needs --family, --shape and -o");
    if (make_model(family, shape, (uint64_t)seed, out, pare_cli_option(cli, "force") != NULL,
                   &err) != PARE_OK)
        return pare_cli_fail(&err);
    return PARE_EXIT_OK;
}

static const struct pare_option options[] = {
    {"kind", 'k', "KIND,...", "linear (default), head, channel, branch, block, stream or all"},
    {"select", 's', "GLOB", "those only, as in a pipeline: 'layer.*.attn.**', 'role:classifier'"},
    {"family", 0, "NAME", "new: vit, llama, gpt2 or bert"},
    {"shape", 0, "SHAPE", "new: sizes divided by commas, as a wrong one tells"},
    {"seed", 0, "N", "new: of the random weights (1)"},
    {"output", 'o', "FOLDER", "new: where to write it"},
    {"force", 'f', NULL, "new: overwrite"},
};

const struct pare_command pare_command_model = {
    .name = "model",
    .summary = "Show the units of a model, or make a random one",
    .arguments = "MODEL | new --family NAME --shape SHAPE -o FOLDER",
    .about =
        "MODEL is a folder, a .safetensors file that Pare wrote, a GGUF file, or a variant. Units\n"
        "are what plugins work on; selectors in pipelines name them by path or role.\n\n"
        "examples:\n"
        "  pare model share/models/fashion-vit\n"
        "  pare model share/models/fashion-vit --kind branch,block\n"
        "  pare model drop1+q8 --select 'layer.0.**'\n"
        "  pare model new --family vit --shape 224,16,3,192,12,3,768 -o random-vit",
    .least = 1,
    .most = 1,
    .flags = PARE_CMD_FORMAT | PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
