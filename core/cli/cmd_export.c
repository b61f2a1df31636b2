/* SPDX-License-Identifier: Apache-2.0 */
/* Hand over a built variant: a folder with one self-describing file, of Pare or GGUF, or a Hugging
 * Face folder. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "measure/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

struct job {
    struct pare_cli *cli;
    struct pare_store *store;
    bool hf, gguf, decode, force, nll;
};

/* ---- what is known of the variant, for the file's own metadata ---- */

static int add_rows(struct job *j, json_t *about, const char *key, const char *sql,
                    const struct pare_store_ref *ref, struct pare_error *err)
{
    struct pare_rows rows;
    const struct pare_argument arg = {"hash", ref->hash};
    int rc = pare_rows_load(j->store, sql, &arg, 1, &rows, err);
    if (rc != PARE_OK)
        return rc;
    json_t *list = pare_rows_json(&rows);
    /* What is JSON in the database is JSON here. */
    for (size_t r = 0; r < json_array_size(list); r++) {
        static const char *const nested[] = {"params", "units"};
        json_t *row = json_array_get(list, r);
        for (size_t k = 0; k < PARE_COUNT(nested); k++) {
            json_t *text = json_object_get(row, nested[k]);
            json_t *value = json_is_string(text)
                                ? json_loads(json_string_value(text), JSON_DECODE_ANY, NULL)
                                : NULL;
            if (value)
                json_object_set_new(row, nested[k], value);
        }
    }
    pare_rows_free(&rows);
    return json_object_set_new(about, key, list) == 0 ? PARE_OK : pare_error_nomem(err, 0);
}

static int describe(struct job *j, const struct pare_model *model, const struct pare_store_ref *ref,
                    json_t **out, struct pare_error *err)
{
    json_t *about = model->about ? json_deep_copy(model->about) : json_object();
    char now[32];
    int rc;
    *out = about;
    if (!about)
        return pare_error_nomem(err, 0);
    pare_clock_utc(now);
    json_object_set_new(about, "label", json_string(ref->label));
    json_object_set_new(about, "variant", json_string(ref->hash));
    json_object_set_new(about, "exported_at", json_string(now));
    json_object_set_new(about, "exported_by", json_string("pare " PARE_VERSION));
    PARE_TRY(add_rows(j, about, "steps",
                      "SELECT s.stage, g.name AS plugin, g.version, g.sha256, s.params, s.units "
                      "FROM step s JOIN variant v ON v.variant_id = s.variant_id JOIN plugin g ON "
                      "g.plugin_id = s.plugin_id WHERE v.hash = :hash ORDER BY s.position",
                      ref, err));
    PARE_TRY(add_rows(j, about, "figures",
                      "SELECT pipeline, recipe, model, " PARE_QUALITY_COLUMNS
                      ", host, shape, session, latency_ms, latency_ms_lo, latency_ms_hi, "
                      "speedup, speedup_lo, speedup_hi, size_bytes, size_ratio, macs, macs_ratio, "
                      "parameters, status, p_front, p_feasible FROM variants WHERE variant = :hash",
                      ref, err));
    PARE_TRY(add_rows(j, about, "measurements",
                      "SELECT DISTINCT metric, value, unit, n, lo, hi, how, data, data_name, "
                      "measured_at FROM measurements WHERE variant = :hash",
                      ref, err));
out:
    return rc;
}

/* ---- writing: into a folder beside the target, then into its place ---- */

/* Other formats hold weights; bits of the cache are of the program that runs them. */
static void note_cache(const struct job *j, const struct pare_store_ref *ref,
                       const struct pare_graph *g)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op == PARE_OP_ATTENTION && g->nodes[i].cache_bits &&
            g->nodes[i].cache_bits <= 8)
            bits = PARE_MAX(bits, g->nodes[i].cache_bits);
    }
    if (!bits)
        return;
    fprintf(stderr, "note: %s keeps keys and values in %u bits, which %s does not hold", ref->label,
            bits, j->gguf ? "GGUF" : "a Hugging Face folder");
    if (j->gguf)
        fprintf(stderr, ": give llama.cpp `-ctk q%u_0 -ctv q%u_0`", bits, bits);
    fputc('\n', stderr);
}

static int fill(struct job *j, const struct pare_store_ref *ref, const char *folder,
                struct pare_error *err)
{
    struct pare_model *model = NULL;
    json_t *about = NULL;
    char *from = NULL, *to = NULL;
    int rc;
    PARE_TRY(pare_variant_file(j->store, ref, &from, err));
    PARE_TRY(pare_model_open(from, &model, err));
    if (j->hf) {
        PARE_TRY(pare_model_write_hf(model, folder, j->decode, err));
        note_cache(j, ref, model->graph);
        goto out;
    }
    PARE_TRY(describe(j, model, ref, &about, err));
    to = pare_path_join(folder, j->gguf ? "model.gguf" : "model.safetensors");
    PARE_TRY(to ? PARE_OK : pare_error_nomem(err, 0));
    rc = j->gguf ? pare_model_write_gguf(model, to, j->decode, about, err)
                 : pare_model_write(model, to, about, err);
    if (rc == PARE_OK && j->gguf)
        note_cache(j, ref, model->graph);
out:
    if (rc == PARE_UNSUPPORTED && (j->hf || j->gguf) && !err->hint[0])
        pare_error_hint(err, "without --%s Pare's own format holds everything",
                        j->hf ? "hf" : "gguf");
    json_decref(about);
    pare_model_free(model);
    free(from);
    free(to);
    return rc;
}

/* Put a finished folder in the place of `target`; what was there goes last. */
static int put_in_place(const char *ready, const char *target, struct pare_error *err)
{
    struct pare_str old = {0};
    int rc = PARE_OK;
    if (pare_file_exists(target)) {
        pare_str_printf(&old, "%s.old", ready);
        if (old.failed)
            return pare_error_nomem(err, 0);
        if (rename(target, old.data) != 0)
            rc = pare_error_errno(err, "cannot replace %s", target);
    }
    if (rc == PARE_OK && rename(ready, target) != 0) {
        rc = pare_error_errno(err, "cannot write %s", target);
        if (old.data && rename(old.data, target) != 0)
            pare_error_hint(err, "what was there is in %s", old.data);
    } else if (rc == PARE_OK && old.data) {
        rc = pare_remove_tree(old.data, err);
    }
    pare_str_free(&old);
    return rc;
}

static int export_one(struct job *j, const struct pare_store_ref *ref, const char *path,
                      struct pare_error *err)
{
    struct pare_str ready = {0};
    char *target = pare_strdup(path), *above = NULL;
    int rc = target ? PARE_OK : pare_error_nomem(err, 0);
    for (size_t n = rc == PARE_OK ? strlen(target) : 0; n > 1 && target[n - 1] == '/'; n--)
        target[n - 1] = '\0';
    PARE_TRY(rc);
    PARE_TRY(pare_cli_refuse_overwrite(target, j->force, err));
    above = pare_path_folder(target);
    PARE_TRY(above ? pare_make_folders(above, err) : pare_error_nomem(err, 0));
    pare_str_printf(&ready, "%s.part-%ld", target, (long)getpid());
    PARE_TRY(ready.failed ? pare_error_nomem(err, 0) : pare_remove_tree(ready.data, err));
    PARE_TRY(pare_make_folders(ready.data, err));
    rc = fill(j, ref, ready.data, err);
    if (rc == PARE_OK)
        rc = put_in_place(ready.data, target, err);
    if (rc == PARE_OK)
        fprintf(stderr, "%s (%.7s) is in %s\n", ref->label, ref->hash, target);
    else
        pare_remove_tree(ready.data, NULL);
out:
    pare_str_free(&ready);
    free(target);
    free(above);
    return rc;
}

/* ---- the losses of its tokens ---- */

struct losses {
    float *nll;
    size_t n;
};

static int loss_row(void *user, const struct pare_row *row, struct pare_error *err)
{
    struct losses *l = user;
    if (!row->values || row->values[0].type != PARE_VALUE_BLOB)
        return PARE_OK;
    const uint8_t *bytes = (const uint8_t *)row->values[0].text;
    l->n = row->values[0].size / 4;
    free(l->nll);
    l->nll = pare_alloc(l->n, sizeof *l->nll);
    if (!l->nll)
        return pare_error_nomem(err, l->n * sizeof *l->nll);
    for (size_t i = 0; i < l->n; i++, bytes += 4) {
        const uint32_t bits = pare_get_le32(bytes);
        memcpy(&l->nll[i], &bits, sizeof bits);
    }
    return PARE_OK;
}

static int export_nll(struct job *j, const struct pare_store_ref *ref, const char *path,
                      struct pare_error *err)
{
    const struct pare_argument arg = {"hash", ref->hash};
    struct losses l = {0};
    int rc;
    PARE_TRY(pare_cli_refuse_overwrite(path, j->force, err));
    PARE_TRY(pare_store_query(j->store,
                              "SELECT nll FROM token_losses WHERE variant = :hash AND "
                              "role = 'evaluate' LIMIT 1",
                              &arg, 1, loss_row, &l, err));
    if (!l.nll) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "no losses of tokens are kept of %s", ref->label);
        pare_error_hint(err,
                        "they are of evaluations on plain texts; older ones: `pare eval %s FILE "
                        "--nll OUT.npy`",
                        ref->label);
        goto out;
    }
    rc = pare_npy_write(path, l.nll, l.n, err);
out:
    free(l.nll);
    return rc;
}

/* ---- the whole front, a folder each ---- */

static int export_front(struct job *j, const char *path, struct pare_error *err)
{
    struct pare_choice choice = {0};
    const struct pare_choice_query query = {0};
    size_t n = 0;
    int rc;
    PARE_TRY(pare_choice_make(j->store, &query, &choice, err));
    for (size_t k = 0; k < choice.front.n_order; k++) {
        size_t i = choice.front.order[k];
        const struct pare_front_item *item = &choice.front.items[i];
        struct pare_store_ref ref = {.variant_id = choice.trials.items[i].variant_id};
        if (item->status > PARE_FRONT_FRONT || item->folded != SIZE_MAX ||
            i == choice.trials.baseline)
            continue;
        snprintf(ref.hash, sizeof ref.hash, "%s", choice.trials.items[i].hash);
        snprintf(ref.label, sizeof ref.label, "%s", choice.trials.items[i].label);
        char *name = pare_strdup(ref.label);
        for (char *c = name; c && *c; c++)
            *c = *c == '/' ? '_' : *c;
        char *folder = name ? pare_path_join(path, name) : NULL;
        rc = folder ? export_one(j, &ref, folder, err) : pare_error_nomem(err, 0);
        free(folder);
        free(name);
        if (rc != PARE_OK)
            goto out;
        n++;
    }
    if (n == 0) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "nothing but the baseline is on the front");
        pare_error_hint(err, "`pare front --all` tells why");
    }
out:
    pare_choice_free(&choice);
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct job j = {.cli = cli,
                    .hf = pare_cli_option(cli, "hf") != NULL,
                    .gguf = pare_cli_option(cli, "gguf") != NULL,
                    .decode = pare_cli_option(cli, "decode") != NULL,
                    .force = pare_cli_option(cli, "force") != NULL,
                    .nll = pare_cli_option(cli, "nll") != NULL};
    struct pare_error err = {0};
    struct pare_store_ref ref;
    const char *path = pare_cli_option(cli, "output");
    bool front = pare_cli_option(cli, "front") != NULL;
    int exit = PARE_EXIT_OK, rc;
    if (!path || !*path)
        return pare_cli_usage(cli, "-o FOLDER is missing");
    if (front == (cli->n_args == 1))
        return pare_cli_usage(cli, "give a variant, or --front");
    if (j.nll && (front || j.hf || j.gguf || j.decode))
        return pare_cli_usage(cli, "--nll goes with one variant, and nothing else");
    if (j.hf && j.gguf)
        return pare_cli_usage(cli, "give --hf or --gguf, not both");
    if (j.decode && !j.hf && !j.gguf)
        return pare_cli_usage(cli, "--decode goes with --hf or --gguf; Pare's own format keeps "
                                   "encodings");
    j.store = pare_cli_store(cli, PARE_STORE_READ, &exit);
    if (!j.store)
        return exit;
    if (front) {
        rc = export_front(&j, path, &err);
    } else {
        rc = pare_store_resolve(j.store, cli->args[0], NULL, &ref, &err);
        if (rc == PARE_OK)
            rc = j.nll ? export_nll(&j, &ref, path, &err) : export_one(&j, &ref, path, &err);
    }
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    pare_store_close(j.store);
    return exit;
}

static const struct pare_option options[] = {
    {"output", 'o', "FOLDER", "where to write it; made with the folders above it"},
    {"front", 0, NULL, "every member of the front, a folder each below FOLDER"},
    {"hf", 0, NULL, "as a Hugging Face folder, where that can hold the model"},
    {"gguf", 0, NULL, "as FOLDER/model.gguf, where that can hold the model"},
    {"decode", 0, NULL, "with --hf or --gguf: widen what their formats lack, to f32 at most"},
    {"nll", 0, NULL, "into the file -o instead, as .npy: its loss on every token of a plain text"},
    {"force", 'f', NULL, "replace what is there"},
};

const struct pare_command pare_command_export = {
    .name = "export",
    .summary = "Write a built variant into a folder",
    .arguments = "VARIANT|--front -o FOLDER",
    .about =
        "FOLDER/model.safetensors describes itself: the recipe, hashes and measured figures "
        "are in\nit. It runs through <pare/runtime.h> and in every command that takes a "
        "MODEL. A folder\nthat is there already is not touched without --force; it is whole "
        "or not there.\n"
        "FOLDER/model.gguf tells the same in entries \"pare.NAME\". It holds weights, not how "
        "they are\nmultiplied: those in blocks of integers get inputs as int8, in Pare too; bits\n"
        "of the cache (kv-quant) are lost, which is said.\n\n"
        "examples:\n"
        "  pare export drop1+q8 -o edge/\n"
        "  pare export \"$(pare pick -q)\" -o edge/\n"
        "  pare export --front -o candidates/\n"
        "  pare export q8 --hf --decode -o q8-hf/\n"
        "  pare export q8 --nll -o q8.npy\n"
        "  pare export q8 --gguf -o q8-gguf/ && llama-cli -m q8-gguf/model.gguf",
    .least = 0,
    .most = 1,
    .flags = PARE_CMD_DB,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
