/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_RECORDS_H
#define PARE_MEASURE_RECORDS_H

#include "base/mem.h"
#include "measure/dataset.h"

/* Texts with what is known of them, a line each: JSON lines (.jsonl) or columns under a header,
 * separated by tabs (.tsv). What keys and columns are there says what is to be done with them;
 * others are passed over. */
struct pare_record {
    uint32_t line;              /* of the file, from 1 */
    const char *text;           /* UTF-8, without NUL; of choices: what comes before them */
    const char *second;         /* the other one of a pair; NULL: none */
    const char *const *choices; /* n_choices texts */
    uint32_t n_choices;
    uint32_t label; /* class, or number of the right choice */
    double score;   /* of a pair: how similar, finite */
};

/* Zero-initialise. */
struct pare_records {
    enum pare_task task; /* never PARE_TASK_WINDOWS */
    struct pare_record *items;
    uint32_t n;
    struct pare_pool pool;
};

/* Whether that file's name ends as one of labelled texts. */
bool pare_records_named(const char *path);

/* Read a file. Labels are numbers of `model`'s classes, or their names by its id2label (as
 * pare_label_find() has it); right choices are numbers from 0 or letters from A. PARE_INVALID: a
 * mistake as FILE:LINE:COLUMN with what to do. Released with pare_records_free(). One thread. */
int pare_records_open(const char *path, const struct pare_model *model, struct pare_records *out,
                      struct pare_error *err);
/* The same of bytes; `path` stands for them in messages and says by its ending how they are read.
 */
int pare_records_parse(const char *path, const char *bytes, size_t size,
                       const struct pare_model *model, struct pare_records *out,
                       struct pare_error *err);
void pare_records_free(struct pare_records *records);

#endif
