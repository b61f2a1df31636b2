/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/labelled.h"

#include <stdlib.h>

#include "measure/tokens.h"

static int check_model(const char *path, enum pare_task task, const struct pare_graph *g,
                       struct pare_error *err)
{
    static const char *const gives[] = {[PARE_OUTPUT_CLASSES] = "classes",
                                        [PARE_OUTPUT_EMBEDDING] = "embeddings",
                                        [PARE_OUTPUT_NEXT_TOKEN] = "next tokens"};
    static const struct {
        const char *holds;
        enum pare_output output;
    } tasks[] = {[PARE_TASK_CLASSES] = {"texts with classes", PARE_OUTPUT_CLASSES},
                 [PARE_TASK_CHOICES] = {"texts with choices", PARE_OUTPUT_NEXT_TOKEN},
                 [PARE_TASK_SIMILARITY] = {"pairs of texts with a score", PARE_OUTPUT_EMBEDDING}};
    const enum pare_output output = pare_graph_output(g);
    if (output == tasks[task].output)
        return PARE_OK;
    pare_error_set(err, PARE_INVALID, "%.200s holds %s, which this model cannot be measured on",
                   path, tasks[task].holds);
    pare_error_hint(err, "they are for models that give %s; this one gives %s",
                    gives[tasks[task].output], gives[output]);
    return PARE_INVALID;
}

static int copy_labels(const struct pare_records *records, struct pare_labelled *x,
                       struct pare_error *err)
{
    const bool pairs = records->task == PARE_TASK_SIMILARITY;
    x->n = records->n;
    x->labels = pairs ? NULL : pare_alloc(x->n, sizeof *x->labels);
    x->scores = pairs ? pare_alloc(x->n, sizeof *x->scores) : NULL;
    if (!x->labels && !x->scores)
        return pare_error_nomem(err, x->n * sizeof *x->scores);
    for (uint32_t i = 0; i < x->n; i++) {
        if (pairs)
            x->scores[i] = records->items[i].score;
        else
            x->labels[i] = records->items[i].label;
    }
    return PARE_OK;
}

int pare_labelled_open(const char *path, const struct pare_model *model, struct pare_labelled *out,
                       char note[PARE_DATA_NOTE], struct pare_error *err)
{
    struct pare_records records = {0};
    struct pare_tokenizer *tokenizer = NULL;
    struct pare_labelled x = {0};
    int rc;
    PARE_TRY(pare_model_tokenizer(model, &tokenizer, err));
    PARE_TRY(pare_records_open(path, model, &records, err));
    PARE_TRY(check_model(path, records.task, model->graph, err));
    x.task = records.task;
    PARE_TRY(copy_labels(&records, &x, err));
    PARE_TRY(pare_sequences_new(&records, path, tokenizer, model->graph->context, &x.sequences,
                                note, err));
    *out = x;
    x = (struct pare_labelled){0};
out:
    pare_labelled_free(&x);
    pare_records_free(&records);
    pare_tokenizer_free(tokenizer);
    return rc;
}

void pare_labelled_free(struct pare_labelled *x)
{
    pare_sequences_free(x->sequences);
    free(x->labels);
    free(x->scores);
    *x = (struct pare_labelled){0};
}
