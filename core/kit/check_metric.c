/* SPDX-License-Identifier: Apache-2.0 */
/* What a metric is run on: outputs of a tiny model, and logits that were made up to be awkward. */
#include "kit/check_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "engine/plan.h"
#include "model/model.h"
#include "plugin/metric.h"

/* Logits by rule: normal numbers times `scale`. */
static const struct made_up {
    const char *name;
    uint32_t samples, classes;
    float scale;
    bool targets;
} made_up[] = {
    {"ordinary logits", 7, 10, 1, true},      {"huge logits", 7, 10, 1e30f, true},
    {"tiny logits", 7, 10, 1e-30f, true},     {"equal logits", 7, 10, 0, true},
    {"a single class", 5, 1, 1, true},        {"two classes", 5, 2, 1, true},
    {"a thousand classes", 3, 1000, 4, true}, {"no targets", 7, 10, 1, false},
    {"one sample", 1, 10, 1, true},
};

struct run {
    const struct pare_check *check;
    struct pare_stage_env *env;
    const json_t *setting;
    struct pare_check_outcome *out;
    struct pare_hash hash;
};

static struct pare_outputs part_of(const struct pare_outputs *all, uint32_t first, uint32_t n)
{
    struct pare_outputs part = *all;
    part.samples = n;
    part.values += (size_t)first * all->width;
    part.targets += first;
    return part;
}

static int measure(const struct run *r, const struct pare_outputs *outputs, double *values)
{
    return pare_metric_measure(r->env, r->check->file, r->setting, outputs, values, &r->out->err);
}

/* The same sample has the same value in whatever batch: figures would hang on it otherwise. */
static int check_cuts(const struct run *r, const struct pare_outputs *all, const double *values,
                      double *again, const char *name)
{
    static const uint32_t cuts[] = {1, 2, 3};
    for (size_t c = 0; c < PARE_COUNT(cuts); c++) {
        for (uint32_t first = 0, n; first < all->samples; first += n) {
            n = PARE_MIN(cuts[c], all->samples - first);
            const struct pare_outputs part = part_of(all, first, n);
            int rc = measure(r, &part, again + first);
            if (rc != PARE_OK)
                return rc;
        }
        for (uint32_t i = 0; i < all->samples; i++) {
            const bool same = isnan(values[i]) ? isnan(again[i]) : values[i] == again[i];
            if (!same)
                return pare_error_set(&r->out->err, PARE_FAILED,
                                      "%s: sample %u is %.17g in one batch, %.17g in batches of %u",
                                      name, i, values[i], again[i], cuts[c]);
        }
    }
    return PARE_OK;
}

static bool all_nan(const double *values, uint32_t n)
{
    while (n > 0 && isnan(values[n - 1]))
        n--;
    return n == 0;
}

static int run_on(struct run *r, const struct pare_outputs *outputs, const char *name)
{
    double *values = pare_calloc(outputs->samples, sizeof *values);
    double *again = pare_calloc(outputs->samples, sizeof *again);
    int rc = values && again ? measure(r, outputs, values) : pare_error_nomem(&r->out->err, 0);
    if (rc == PARE_OK)
        rc = check_cuts(r, outputs, values, again, name);
    if (rc == PARE_OK && name == made_up[0].name)
        r->out->no_values = all_nan(values, outputs->samples);
    if (rc == PARE_OK)
        pare_hash_add(&r->hash, values, outputs->samples * sizeof *values);
    free(values);
    free(again);
    return rc;
}

static int run_made_up(struct run *r, const struct made_up *made)
{
    struct pare_random random;
    const size_t n = (size_t)made->samples * made->classes;
    float *logits = pare_alloc(n, sizeof *logits);
    uint32_t *targets = pare_alloc(made->samples, sizeof *targets);
    int rc = logits && targets ? PARE_OK : pare_error_nomem(&r->out->err, n * sizeof *logits);
    pare_random_seed(&random, 29);
    for (size_t i = 0; rc == PARE_OK && i < n; i++)
        logits[i] = made->scale * (float)pare_random_normal(&random);
    for (uint32_t i = 0; rc == PARE_OK && i < made->samples; i++)
        targets[i] =
            made->targets ? (uint32_t)pare_random_below(&random, made->classes) : PARE_NO_TARGET;
    const struct pare_outputs outputs = {.struct_size = sizeof outputs,
                                         .samples = made->samples,
                                         .rows = 1,
                                         .width = made->classes,
                                         .values = logits,
                                         .targets = targets};
    if (rc == PARE_OK)
        rc = run_on(r, &outputs, made->name);
    free(logits);
    free(targets);
    return rc;
}

/* What a model says of its samples, where those are classes of images. */
static int run_model(struct run *r, const struct pare_check_model *m)
{
    const struct pare_graph *g = m->model->graph;
    const uint32_t width = g->values[g->output].width;
    struct pare_plan *plan = NULL;
    float *logits = NULL;
    int rc = PARE_OK;
    if (pare_graph_reads_text(g) || pare_graph_output(g) != PARE_OUTPUT_CLASSES || !m->labels)
        return PARE_OK;
    const struct pare_plan_options options = {.batch = m->n, .threads = 1, .isa = -1};
    logits = pare_alloc((size_t)m->n * width, sizeof *logits);
    if (!logits)
        return pare_error_nomem(&r->out->err, 0);
    PARE_TRY(pare_plan_new(g, &options, &plan, &r->out->err));
    PARE_TRY(pare_plan_run(plan, m->inputs, m->n, logits, &r->out->err));
    const struct pare_outputs outputs = {.struct_size = sizeof outputs,
                                         .samples = m->n,
                                         .rows = 1,
                                         .width = width,
                                         .values = logits,
                                         .targets = m->labels};
    rc = run_on(r, &outputs, "its own logits");
out:
    pare_plan_free(plan);
    free(logits);
    return rc;
}

void pare_check_measure(const struct pare_check *check, const struct pare_check_model *m,
                        struct pare_stage_env *env, const json_t *setting,
                        struct pare_check_outcome *out)
{
    struct run r = {.check = check, .env = env, .setting = setting, .out = out};
    pare_hash_begin(&r.hash);
    out->rc = run_model(&r, m);
    for (size_t i = 0; i < PARE_COUNT(made_up) && out->rc == PARE_OK; i++) {
        out->rc = run_made_up(&r, &made_up[i]);
        /* it may have no use for such logits, and say so; ordinary ones it has to measure */
        if (i && out->err.what[0] && (out->rc == PARE_UNSUPPORTED || out->rc == PARE_INVALID)) {
            out->err = (struct pare_error){0};
            out->rc = PARE_OK;
        }
    }
    pare_hash_end(&r.hash, out->hash);
}
