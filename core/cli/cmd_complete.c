/* SPDX-License-Identifier: Apache-2.0 */
/* What a shell may put in the place of the word that is being typed. The completions of all shells
 * ask here, and here the tables of commands and the database are asked, so that nothing is told
 * twice.
 *
 * One candidate per line, a tab, what it is. The line ":files" means that files do as well. */
#include "cli/commands.h"
#include "cli/show.h"
#include "measure/dataset.h"
#include "model/unit.h"
#include "plugin/catalog.h"
#include "select/constraint.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { SPLITS_MOST = 64 };

struct job {
    struct pare_cli cli; /* of the command that is being typed; its database */
    const struct pare_command *command;
    char **words; /* after the command, without the one being typed */
    int n_words;
    const char *word;    /* being typed */
    char head[256];      /* what of it stays: "a,b," of a list */
    const char *args[8]; /* the arguments typed before */
    size_t n_args;
    const char *data; /* value of --data */
};

/* What goes on from what is typed. */
static void offer(const struct job *j, const char *text, const char *about)
{
    size_t head = strlen(j->head);
    if (strncmp(j->word, j->head, head) == 0 &&
        strncmp(text, j->word + head, strlen(j->word + head)) == 0)
        printf("%s%s\t%.*s\n", j->head, text, (int)strcspn(about ? about : "", "\n"),
               about ? about : "");
}

static void offer_files(const struct job *j)
{
    (void)j;
    puts(":files");
}

/* ---- out of the database: nothing where there is none ---- */

static void offer_rows(const struct job *j, const char *sql)
{
    struct pare_rows rows;
    int ignored;
    struct pare_store *store = pare_cli_store(&j->cli, PARE_STORE_READ, &ignored);
    const struct pare_argument typed = {"typed", j->word};
    bool asks = strstr(sql, ":typed") != NULL;
    if (store && pare_rows_load(store, sql, &typed, asks, &rows, NULL) == PARE_OK) {
        for (size_t r = 0; r < rows.n; r++)
            offer(j, pare_rows_text(&rows, r, "word"), pare_rows_text(&rows, r, "about"));
        pare_rows_free(&rows);
    }
    pare_store_close(store);
}

static void offer_variants(const struct job *j)
{
    offer_rows(j,
               "SELECT DISTINCT label AS word, state || coalesce(', top1 ' || round(top1, 4), "
               "', perplexity ' || round(perplexity, 3), ', spearman ' || round(spearman, 4), '') "
               "|| coalesce(', ' || size_bytes || ' bytes', '') AS about FROM variants GROUP BY "
               "label UNION ALL SELECT tag, 'tag of ' || label FROM tags UNION ALL SELECT "
               "pipeline || ':' || label, state FROM variants WHERE :typed <> '' AND (SELECT "
               "count(DISTINCT pipeline) FROM variants) > 1 GROUP BY pipeline, label");
}

static void offer_pipelines(const struct job *j)
{
    offer_rows(j, "SELECT name AS word, path AS about FROM pipeline ORDER BY name");
}

static void offer_hosts(const struct job *j)
{
    offer_rows(j, "SELECT name AS word, cpu AS about FROM host ORDER BY name");
}

static void offer_shapes(const struct job *j)
{
    offer_rows(j, "SELECT DISTINCT name AS word, definition AS about FROM shape ORDER BY name");
}

static void offer_tags(const struct job *j)
{
    offer_rows(j, "SELECT tag AS word, label AS about FROM tags ORDER BY tag");
}

/* ---- known without ---- */

static void offer_columns(const struct job *j)
{
    offer_rows(j, "SELECT name AS word, '' AS about FROM pragma_table_info('variants')");
    offer_rows(j, "SELECT DISTINCT metric AS word, '' AS about FROM metrics");
}

static void offer_falling_columns(const struct job *j)
{
    struct job down = *j;
    if (j->word[0] == '-')
        snprintf(down.head, sizeof down.head, "-");
    offer_columns(&down);
}

static void offer_queries(const struct job *j)
{
    size_t n;
    const struct pare_store_named *named = pare_store_named(&n);
    for (size_t i = 0; i < n; i++) {
        char text[80];
        snprintf(text, sizeof text, "@%s", named[i].name);
        offer(j, text, named[i].about);
    }
}

static void offer_commands(const struct job *j)
{
    for (size_t i = 0; i < pare_n_commands; i++) {
        if (!(pare_commands[i]->flags & PARE_CMD_HIDDEN))
            offer(j, pare_commands[i]->name, pare_commands[i]->summary);
    }
}

static void offer_metrics(const struct job *j, bool higher)
{
    size_t n;
    const struct pare_metric *metrics = pare_metrics(&n);
    for (size_t i = 0; i < n; i++) {
        if (metrics[i].higher == higher)
            offer(j, metrics[i].name, NULL);
    }
    if (!higher)
        offer_rows(j,
                   "SELECT DISTINCT 'latency_ms.' || name AS word, definition AS about FROM shape "
                   "WHERE position > 0");
    offer_rows(j, higher ? "SELECT DISTINCT metric AS word, '' AS about FROM metrics WHERE "
                           "direction = 'max'"
                         : "SELECT DISTINCT metric AS word, '' AS about FROM metrics WHERE "
                           "direction = 'min'");
}

static void offer_low(const struct job *j)
{
    offer_metrics(j, false);
}

static void offer_high(const struct job *j)
{
    offer_metrics(j, true);
}

static void offer_formats(const struct job *j)
{
    static const char *const names[] = {"table", "json", "csv", "markdown"};
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        offer(j, names[i], NULL);
}

static void offer_kinds(const struct job *j)
{
    for (uint32_t bit = 1; bit; bit <<= 1) {
        if (pare_unit_kind_name(bit))
            offer(j, pare_unit_kind_name(bit), NULL);
    }
    offer(j, "all", NULL);
}

static void offer_families(const struct job *j)
{
    offer(j, "vit", "vision transformer");
    offer(j, "llama", "decoder of text: rotary positions, gated feed-forwards");
    offer(j, "gpt2", "decoder of text: learned positions");
    offer(j, "bert", "encoder of text");
}

static void offer_phases(const struct job *j)
{
    offer(j, "prefill", "tokens that are read at once");
    offer(j, "decode", "tokens that are generated one by one");
    offer(j, "whole", "all of the model's input");
}

static void offer_methods(const struct job *j)
{
    offer(j, "hf", "every token that no earlier window had");
    offer(j, "llama.cpp", "the second half of every window");
}

static void offer_splits(const struct job *j)
{
    struct pare_split splits[SPLITS_MOST];
    size_t n = 0;
    if (!j->data || pare_dataset_splits(j->data, splits, SPLITS_MOST, &n, NULL) != PARE_OK)
        return;
    for (size_t i = 0; i < n; i++)
        offer(j, splits[i].name, NULL);
}

static void offer_plugins(const struct job *j)
{
    const struct pare_plugin_file *const *list;
    struct pare_catalog *catalog;
    size_t n;
    if (pare_catalog_new(&catalog, NULL) != PARE_OK)
        return;
    if (pare_catalog_all(catalog, NULL, NULL, &list, &n, NULL) == PARE_OK) {
        for (size_t i = 0; i < n; i++) {
            bool apply = strcmp(j->command->name, "apply") == 0;
            if (!apply || pare_plugin_transforms(&list[i]->desc))
                offer(j, list[i]->desc.id, list[i]->desc.summary);
        }
    }
    pare_catalog_free(catalog);
}

/* PARAMETER= of the plugin that was typed before. */
static void offer_settings(const struct job *j)
{
    const struct pare_plugin_file *f;
    struct pare_catalog *catalog;
    if (j->n_args < 2 || pare_catalog_new(&catalog, NULL) != PARE_OK)
        return;
    if (pare_catalog_find(catalog, j->args[1], NULL, &f, NULL) == PARE_OK) {
        for (uint32_t i = 0; i < f->desc.n_params; i++) {
            char text[128];
            snprintf(text, sizeof text, "%s=", f->desc.params[i].name);
            offer(j, text, f->desc.params[i].help);
        }
    }
    pare_catalog_free(catalog);
}

/* ---- what stands where ---- */

/* By the word that the help writes for an option's value or an argument. `option` (or NULL): of
 * that option alone. */
static const struct {
    const char *word, *option;
    void (*offer)(const struct job *j);
} sources[] = {
    {"FILE", NULL, offer_files},        {"FOLDER", NULL, offer_files},
    {"OUT", NULL, offer_files},         {"DATA", NULL, offer_files},
    {"INPUT", NULL, offer_files},       {"MODEL", NULL, offer_variants},
    {"MODEL", NULL, offer_files},       {"VARIANT", NULL, offer_variants},
    {"TAG", NULL, offer_tags},          {"PIPELINE", NULL, offer_pipelines},
    {"PLUGIN", NULL, offer_plugins},    {"PLUGIN", NULL, offer_files},
    {"COMMAND", NULL, offer_commands},  {"KEY=VALUE", NULL, offer_settings},
    {"@NAME", NULL, offer_queries},     {"NAME", "host", offer_hosts},
    {"NAME", "shape", offer_shapes},    {"NAME", "split", offer_splits},
    {"NAME", "family", offer_families}, {"NAME", "phase", offer_phases},
    {"NAME", "method", offer_methods},  {"METRIC", "min", offer_low},
    {"METRIC", "max", offer_high},      {"COLUMN", NULL, offer_falling_columns},
    {"A,B,...", NULL, offer_columns},   {"KIND,...", NULL, offer_kinds},
    {"FORMAT", NULL, offer_formats},
};

static void offer_for(struct job *j, const char *word, const char *option)
{
    const char *comma = strchr(word, ',') ? strrchr(j->word, ',') : NULL;
    if (comma)
        snprintf(j->head, sizeof j->head, "%.*s", (int)(comma + 1 - j->word), j->word);
    for (size_t i = 0; i < PARE_COUNT(sources); i++) {
        if (strcmp(sources[i].word, word) == 0 &&
            (!sources[i].option || (option && strcmp(sources[i].option, option) == 0)))
            sources[i].offer(j);
    }
}

/* The argument at a place of "MODEL PLUGIN [KEY=VALUE]... -o OUT": its alternatives; what is in
 * small letters stands for itself. Options are passed over, and what is repeated holds for the
 * rest. */
static void offer_argument(struct job *j)
{
    size_t place = 0;
    bool joined = false;
    for (const char *at = j->command->arguments; *at;) {
        size_t n = strcspn(at, " ");
        const char *next = at + n + strspn(at + n, " ");
        bool rest = n > 3 && strncmp(at + n - 3, "...", 3) == 0;
        if (n == 1 && *at == '|') { /* "check | backup FILE" */
            joined = true;
            at = next;
            continue;
        }
        if (at[strspn(at, "[")] == '-' && at[strspn(at, "[") + 1]) {
            at = next + strcspn(next, " ");
            at += strspn(at, " ");
            continue;
        }
        place -= joined;
        joined = false;
        for (size_t i = 0; i < n && (place == j->n_args || (rest && place < j->n_args));) {
            char word[32];
            size_t len = strcspn(at + i, "|[] ");
            snprintf(word, sizeof word, "%.*s", (int)PARE_MIN(len, n - i), at + i);
            i += len + 1;
            if (rest && strlen(word) > 3 && strcmp(word + strlen(word) - 3, "...") == 0)
                word[strlen(word) - 3] = '\0';
            if (word[0] >= 'a' && word[0] <= 'z')
                offer(j, word, NULL);
            else
                offer_for(j, word, NULL);
        }
        place++;
        at = next;
    }
}

/* ---- what was typed ---- */

static void offer_options(const struct job *j)
{
    const struct pare_option *o;
    char text[80];
    for (size_t i = 0; (o = pare_command_option(j->command, i)); i++) {
        snprintf(text, sizeof text, "--%s", o->name);
        offer(j, text, o->help);
    }
}

/* The option that a word is, NULL: none. `*value`: what follows its '='. */
static const struct pare_option *option_of(const struct pare_command *c, const char *word,
                                           const char **value)
{
    const struct pare_option *o;
    size_t n = strcspn(word, "=");
    *value = word[n] ? word + n + 1 : NULL;
    for (size_t i = 0; word[0] == '-' && (o = pare_command_option(c, i)); i++) {
        if ((word[1] == '-' && strlen(o->name) == n - 2 &&
             strncmp(o->name, word + 2, n - 2) == 0) ||
            (o->letter && word[1] == o->letter && !word[2]))
            return o;
    }
    return NULL;
}

/* Goes through the words before: arguments, --db, --data; an option whose value is being typed. */
static const struct pare_option *look_back(struct job *j)
{
    for (int i = 0; i < j->n_words; i++) {
        const char *value;
        const struct pare_option *o = option_of(j->command, j->words[i], &value);
        if (!o) {
            if (j->words[i][0] != '-' && j->n_args < PARE_COUNT(j->args))
                j->args[j->n_args++] = j->words[i];
            continue;
        }
        if (!o->argument)
            continue;
        if (!value && ++i == j->n_words)
            return o;
        value = value ? value : j->words[i];
        if (strcmp(o->name, "db") == 0)
            j->cli.db = value;
        if (strcmp(o->name, "data") == 0)
            j->data = value;
    }
    return NULL;
}

static int run(struct pare_cli *cli)
{
    struct job j = {.word = cli->n_args ? cli->args[cli->n_args - 1] : ""};
    const char *value;
    if (cli->n_args <= 1) {
        offer_commands(&j);
        offer(&j, "--help", "list the commands");
        offer(&j, "--version", "the version of this program");
        return PARE_EXIT_OK;
    }
    j.command = pare_command_find(cli->args[0]);
    if (!j.command)
        return PARE_EXIT_OK;
    j.cli.command = j.command;
    j.words = cli->args + 1;
    j.n_words = cli->n_args - 2;
    const struct pare_option *option = look_back(&j);
    if (option) {
        offer_for(&j, option->argument, option->name);
    } else if (j.word[0] == '-' && j.word[1] == '-' && strchr(j.word, '=')) {
        option = option_of(j.command, j.word, &value); /* --format=j */
        snprintf(j.head, sizeof j.head, "%.*s", (int)(value - j.word), j.word);
        if (option && option->argument)
            offer_for(&j, option->argument, option->name);
    } else if (j.word[0] == '-') {
        offer_options(&j);
    } else {
        offer_argument(&j);
    }
    return PARE_EXIT_OK;
}

const struct pare_command pare_command_complete = {
    .name = "complete",
    .summary = "What may stand in the place of the last of the words: for shells",
    .arguments = "-- WORD...",
    .about =
        "The words are those after `pare`, the last one the word that is being typed, or empty. "
        "A\nline per candidate, a tab, what it is; `:files` where file names do as well.\n\n"
        "examples:\n"
        "  pare complete -- query @",
    .least = 0,
    .most = -1,
    .flags = PARE_CMD_HIDDEN,
    .run = run,
};
