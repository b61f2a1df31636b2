/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_SHOW_H
#define PARE_CLI_SHOW_H

#include "base/str.h"
#include "cli/command.h"
#include "db/store.h"
#include "measure/dataset.h"
#include "model/model.h"
#include "pipeline/choose.h"
#include "pipeline/spec.h"

/* What several commands share: opening what was named, and answers of the database as tables. */

/* Open the database that the command means and tell its notice, if there is one. NULL: an error was
 * printed and `*exit` holds the status. */
struct pare_store *pare_cli_store(const struct pare_cli *cli, enum pare_store_mode mode, int *exit);

/* The variant a person means; the same manner of failing. */
bool pare_cli_variant(struct pare_store *store, const char *text, struct pare_store_ref *out,
                      int *exit);

/* The answer to a query, kept: rows of cells. Release with pare_rows_free(). */
struct pare_rows {
    struct pare_pool pool;
    size_t n, n_columns, cap;
    const char **names;
    struct pare_cell *cells;
};
int pare_rows_load(struct pare_store *store, const char *sql, const struct pare_argument *args,
                   size_t n_args, struct pare_rows *out, struct pare_error *err);
void pare_rows_free(struct pare_rows *rows);
/* A cell by row and column name: NULL or NaN when it is missing. The column must be there. */
const char *pare_rows_text(const struct pare_rows *rows, size_t row, const char *column);
double pare_rows_number(const struct pare_rows *rows, size_t row, const char *column);
/* The row with that text in a column that the rows are ordered by; SIZE_MAX: none. */
size_t pare_rows_find(const struct pare_rows *rows, const char *column, const char *text);
/* Add one cell to a table as people read it: bytes as MB, hashes short, six digits. Exact in other
 * formats than the table. */
void pare_rows_cell(const struct pare_rows *rows, size_t row, size_t column,
                    enum pare_format format, struct pare_table *to);
/* The whole answer. False: memory ran out or stdout could not be written. */
bool pare_rows_print(const struct pare_rows *rows, enum pare_format format, FILE *to);

/* Print the answer to a query without arguments as --format says; returns the exit status. */
int pare_cli_answer(const struct pare_cli *cli, const char *sql);

/* An array of objects, one per row; a new reference. NULL: no memory. */
json_t *pare_rows_json(const struct pare_rows *rows);

/* Print a value as JSON to stdout and release it. False: it could not be written. */
bool pare_cli_json(json_t *value);
/* One record: an object in JSON, one row in the other formats. `object` (numbers, texts, nulls) is
 * released. */
bool pare_cli_record(json_t *object, enum pare_format format);

/* Add NAME, NAME_lo and NAME_hi to an object; null where they are not known. False: no memory. */
bool pare_cli_add_interval(json_t *object, const char *name, struct pare_interval x);

/* The metrics that plugins bring to a pipeline (NULL: to all), as the column `metric`. */
int pare_cli_plugin_metrics(struct pare_store *store, const char *pipeline, struct pare_rows *out,
                            struct pare_error *err);
/* What to select from: the view `variants`, with a column more for each of those metrics. */
void pare_cli_from_variants(const struct pare_rows *metrics, struct pare_str *sql);

/* The rows of the view `variants` in a place, of those labels (an array of texts, released; NULL:
 * of all): the figures as everybody sees them, ordered by hash; metrics of plugins come last. */
int pare_variant_figures(struct pare_store *store, const char *pipeline, const char *host,
                         const char *shape, json_t *labels, struct pare_rows *out,
                         struct pare_error *err);

/* The metrics that say how good the models of a pipeline are (NULL: of all pipelines): those that
 * were measured of the baseline, objectives first; top1 when there is none. */
#define PARE_QUALITIES 8
int pare_cli_qualities(struct pare_store *store, const char *pipeline,
                       const struct pare_quality **out, size_t *n, struct pare_error *err);
/* The name of the pipeline that a variant was found in, kept in `place`; NULL: of none. */
int pare_cli_pipeline_of(struct pare_store *store, const struct pare_store_ref *ref,
                         struct pare_rows *place, const char **name, struct pare_error *err);
/* What each stage of a variant does, by these metrics, for tables; in a pipeline (NULL: in all). */
int pare_stage_effects(struct pare_store *store, const char *hash, const char *pipeline,
                       struct pare_rows *out, struct pare_error *err);
/* Columns of the view `variants` by which every metric of quality is told. */
#define PARE_QUALITY_COLUMNS                                                                       \
    "top1, top1_lo, top1_hi, d_top1, d_top1_lo, d_top1_hi, acc_norm, acc_norm_lo, acc_norm_hi, "   \
    "perplexity, perplexity_lo, perplexity_hi, d_nll, d_nll_lo, d_nll_hi, kl, agreement, "         \
    "spearman, spearman_lo, spearman_hi, d_spearman, d_spearman_lo, d_spearman_hi"

/* A model by path, or, when there is no such file and a database exists, a variant of it by name.
 * `*name` (may be NULL) gets what to call it, freed with free(). */
int pare_cli_model(const struct pare_cli *cli, const char *text, struct pare_model **out,
                   char **name, struct pare_error *err);
/* The file that holds a built variant, or the baseline's own; freed with free(). PARE_NOT_FOUND: it
 * is not kept. */
int pare_variant_file(struct pare_store *store, const struct pare_store_ref *ref, char **out,
                      struct pare_error *err);

/* Whether files and folders that were named are there (NULL: not named), so that all that are not
 * are told at once. False: said which. */
bool pare_cli_there(const char *const *paths, size_t n);

/* Samples as an option named them; what is worth telling about them goes to stderr. */
int pare_cli_data(const struct pare_data_spec *spec, const struct pare_model *model,
                  struct pare_dataset **out, struct pare_error *err);

/* --threads: at most four for each CPU, and a warning beyond one. False: said what is wrong. */
bool pare_cli_threads(const struct pare_cli *cli, long long fallback, long long *out);

/* A note on each shape that wants more threads than there are CPUs. */
void pare_cli_shape_notes(const struct pare_pipeline *p, FILE *to);

/* Each line of a text (NULL: none) as a note. */
void pare_cli_notes(const char *lines, FILE *to);

/* Whether the terminal's character set is UTF-8, by the environment. */
bool pare_cli_utf8(void);

/* How one metric's value, and a comparison in it, is written: "0.8671", "0.84 MB", "0.402 ms",
 * "-0.0014", "1.87x". `out` holds 48 bytes. */
void pare_show_metric(const struct pare_metric *metric, double value, char *out);
/* "d_top1 -0.0014 [-0.0035, 0.0007]", "latency 0.53x [0.52, 0.55]"; `out` holds 160 bytes. */
void pare_show_comparison(const struct pare_metric *metric, const struct pare_comparison *c,
                          char *out);

/* Write a file unless it is there already and `force` is not given. */
int pare_cli_refuse_overwrite(const char *path, bool force, struct pare_error *err);

/* For pare_catalog_all(): a plugin that is not loaded, and why, on stderr. */
void pare_show_left_out(void *user, const char *path, const struct pare_error *why);

#endif
