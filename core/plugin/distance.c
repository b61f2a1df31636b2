/* SPDX-License-Identifier: Apache-2.0 */
/* How far an altered model's outputs are from a reference's. */
#include "engine/text.h"
#include "model/branch.h"
#include "plugin/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double log_sum_exp(const float *x, size_t n)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)x[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - most);
    return most + log(sum);
}

/* KL(softmax(p) || softmax(q)), in nats. */
static double kl(const float *p, const float *q, size_t n)
{
    double lp = log_sum_exp(p, n), lq = log_sum_exp(q, n), sum = 0;
    for (size_t i = 0; i < n; i++) {
        double a = (double)p[i] - lp;
        sum += exp(a) * (a - ((double)q[i] - lq));
    }
    return fmax(sum, 0);
}

static double relative_l2(const float *a, const float *b, size_t n)
{
    double d = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        double e = (double)b[i] - (double)a[i];
        d += e * e;
        s += (double)a[i] * (double)a[i];
    }
    return s > 0 ? sqrt(d / s) : d > 0;
}

static double one_minus_cos(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? 1 - ab / sqrt(aa * bb) : aa != bb;
}

/* ---- references
 * --------------------------------------------------------------------------------- */

#define OUTPUTS_MAX ((size_t)64 << 20) /* bytes of stored outputs */

/* Last hidden states of all samples are kept, and their outputs where these are few. Those of a
 * text (its length times the vocabulary) are computed again from the hidden states, batch by batch.
 */
struct pare_reference_run {
    struct pare_graph *head; /* what comes after the hidden state, when outputs are not kept */
    struct pare_plan *plan;  /* of `head` */
    uint32_t from, hidden_value;
    float *room;                /* outputs and gathered hidden states of a batch, for `plan` */
    size_t n_outputs, n_hidden; /* per sample */
    float *outputs;             /* of all samples, or NULL */
    float *hidden;
};

void pare_reference_free(struct pare_reference_run *r)
{
    if (!r)
        return;
    pare_plan_free(r->plan);
    pare_graph_free(r->head);
    free(r->room);
    free(r->outputs);
    free(r->hidden);
    free(r);
}

/* The branches before the hidden state are of no use here: a plan would pack their weights. */
static int drop_branches(struct pare_graph *g, struct pare_error *err)
{
    struct pare_branch b;
    int rc = PARE_OK;
    for (uint32_t i = 0; i < g->n_nodes && rc == PARE_OK;) {
        if ((int32_t)i < pare_graph_writer(g, pare_hidden_value(g)) && pare_branch_at(g, i, &b)) {
            rc = pare_graph_drop_branch(g, b.path, NULL, NULL, err);
            i = 0;
        } else {
            i++;
        }
    }
    return rc;
}

static int prepare_head(struct pare_reference_run *r, const struct pare_stage_env *env,
                        const struct pare_graph *graph, struct pare_error *err)
{
    uint32_t *live = pare_alloc(graph->n_values, sizeof *live);
    int rc = live ? PARE_OK : pare_error_nomem(err, 0);
    if (rc != PARE_OK)
        goto out;
    PARE_TRY(pare_graph_copy(graph, &r->head, err));
    PARE_TRY(drop_branches(r->head, err));
    r->hidden_value = pare_hidden_value(r->head);
    r->from = (uint32_t)(pare_graph_writer(r->head, r->hidden_value) + 1);
    if (r->hidden_value == r->head->output || pare_graph_live(r->head, r->from, live) != 1 ||
        live[0] != r->hidden_value) {
        rc = pare_error_set(err, PARE_UNSUPPORTED,
                            "the model's outputs are too large to be kept, and do not follow from "
                            "its last hidden state");
        goto out;
    }
    PARE_TRY(pare_pass_new(env, r->head, &r->plan, err));
    r->room = pare_alloc(pare_pass_batch(graph), (r->n_outputs + r->n_hidden) * sizeof *r->room);
    if (!r->room)
        rc = pare_error_nomem(err, 0);
out:
    free(live);
    return rc;
}

static int keep_batch(void *user, const struct pare_batch *b, struct pare_error *err)
{
    struct pare_reference_run *r = user;
    (void)err;
    for (uint32_t i = 0; i < b->n; i++) {
        size_t at = pare_batch_sample(b, i);
        if (r->outputs)
            memcpy(r->outputs + at * r->n_outputs, b->outputs + i * r->n_outputs,
                   r->n_outputs * sizeof *r->outputs);
        memcpy(r->hidden + at * r->n_hidden, b->hidden + i * r->n_hidden,
               r->n_hidden * sizeof *r->hidden);
    }
    return PARE_OK;
}

static int run_reference(struct pare_stage *stage, const struct pare_graph *graph,
                         struct pare_reference_run **out, struct pare_error *err)
{
    const struct pare_stage_env *env = stage->env;
    struct pare_reference_run *r = pare_calloc(1, sizeof *r);
    int rc = PARE_OK;
    if (!r)
        return pare_error_nomem(err, sizeof *r);
    r->n_outputs = pare_graph_outputs(graph);
    r->n_hidden = pare_hidden_size(graph);
    const bool few = r->n_outputs * env->n <= OUTPUTS_MAX / sizeof *r->outputs;
    r->hidden = pare_alloc(env->n, r->n_hidden * sizeof *r->hidden);
    r->outputs = few ? pare_alloc(env->n, r->n_outputs * sizeof *r->outputs) : NULL;
    if (!r->hidden || (few && !r->outputs)) {
        rc = pare_error_nomem(err, env->n * r->n_hidden * sizeof *r->hidden);
        goto out;
    }
    if (!few)
        PARE_TRY(prepare_head(r, env, graph, err));
    PARE_TRY(pare_restart_run(stage, graph, NULL, env->n, 0, keep_batch, r, err));
    *out = r;
    r = NULL;
out:
    pare_reference_free(r);
    return rc;
}

static int get_reference(struct pare_stage *stage, unsigned which, struct pare_reference_run **out,
                         struct pare_error *err)
{
    bool base = which == PARE_REFERENCE_BASELINE && stage->env->baseline;
    struct pare_reference_run **slot = base ? &stage->baseline_reference : &stage->stage_reference;
    int rc = PARE_OK;
    if (!*slot)
        rc = run_reference(stage, base ? stage->env->baseline : stage->entry, slot, err);
    *out = *slot;
    return rc;
}

/* The reference's outputs for a batch, in `r->room`. */
static int outputs_again(struct pare_stage_env *env, struct pare_reference_run *r,
                         const struct pare_batch *b, struct pare_error *err)
{
    float *given = r->room + b->n * r->n_outputs;
    for (uint32_t i = 0; i < b->n; i++)
        memcpy(given + i * r->n_hidden, r->hidden + pare_batch_sample(b, i) * r->n_hidden,
               r->n_hidden * sizeof *given);
    for (uint32_t i = r->from; i < r->head->n_nodes; i++) {
        uint64_t macs = pare_node_macs(r->head, &r->head->nodes[i]) * b->n;
        env->macs_stored += macs;
        env->macs_run += macs;
    }
    return pare_plan_run_from(r->plan, r->from,
                              &(struct pare_given){.value = r->hidden_value, .data = given}, 1,
                              b->n, r->room, err);
}

/* ---- distances
 * ---------------------------------------------------------------------------------- */

/* A comparison of two models, batch by batch. */
struct comparison {
    struct pare_stage *stage;
    struct pare_reference_run *reference;
    unsigned distance;
    struct pare_value output, hidden; /* shapes */
    double *per_sample, sum;
    double *tokens; /* of one sample */
};

/* One sample: outputs and hidden state of the reference and of the altered model, and the answers.
 */
struct pair {
    const float *p, *q, *p_hidden, *q_hidden;
    const float *ids; /* of a text, or NULL */
    uint32_t label;
};

/* Several distributions are many numbers: the engine's kernels sum them. */
static double token_kl(const float *p, const float *q, uint32_t n)
{
    uint32_t top;
    float from = pare_logits_sum(p, n, &top), to = pare_logits_sum(q, n, &top);
    return fmax((double)pare_logits_divergence(p, from, q, to, n), 0);
}

static double token_loss(const float *p, const float *q, uint32_t n, uint32_t y)
{
    uint32_t top;
    double from = (double)pare_logits_sum(p, n, &top), to = (double)pare_logits_sum(q, n, &top);
    return (to - (double)q[y]) - (from - (double)p[y]);
}

static double token_distance(const struct comparison *c, const struct pair *s, uint32_t t)
{
    const size_t n = c->output.width, width = c->hidden.width;
    const float *p = s->p + t * n, *q = s->q + t * n;
    const float *a = s->p_hidden + t * width, *b = s->q_hidden + t * width;
    const bool one = c->output.tokens == 1;
    switch (c->distance) {
    case PARE_DISTANCE_KL:
        return one ? kl(p, q, n) : token_kl(p, q, (uint32_t)n);
    case PARE_DISTANCE_L2:
        return relative_l2(a, b, width);
    case PARE_DISTANCE_COSINE:
        return one_minus_cos(a, b, width);
    default: {
        uint32_t y = s->ids ? (uint32_t)s->ids[t + 1] : s->label;
        y = y < n ? y : 0;
        if (s->ids)
            return token_loss(p, q, (uint32_t)n, y);
        return (log_sum_exp(q, n) - (double)q[y]) - (log_sum_exp(p, n) - (double)p[y]);
    }
    }
}

/* Mean over the tokens, added up in their order. */
static double sample_distance(const struct comparison *c, const struct pair *s)
{
    const bool hidden = c->distance == PARE_DISTANCE_L2 || c->distance == PARE_DISTANCE_COSINE;
    const uint32_t all = hidden ? c->hidden.tokens : c->output.tokens;
    const uint32_t n = !hidden && s->ids && c->distance == PARE_DISTANCE_LOSS ? all - 1 : all;
    const int threads = (int)PARE_MAX(1u, c->stage->env->threads);
    double sum = 0;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1 && n > 1)
    for (uint32_t t = 0; t < n; t++)
        c->tokens[t] = token_distance(c, s, t);
    for (uint32_t t = 0; t < n; t++)
        sum += c->tokens[t];
    return sum / n;
}

static int compare_batch(void *user, const struct pare_batch *b, struct pare_error *err)
{
    struct comparison *c = user;
    struct pare_stage_env *env = c->stage->env;
    struct pare_reference_run *r = c->reference;
    const bool hidden = c->distance == PARE_DISTANCE_L2 || c->distance == PARE_DISTANCE_COSINE;
    const size_t inputs = pare_graph_inputs(c->stage->entry);
    if (!r->outputs && !hidden) {
        int rc = outputs_again(env, r, b, err);
        if (rc != PARE_OK)
            return rc;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        const size_t at = pare_batch_sample(b, i);
        struct pair s = {.p = r->outputs ? r->outputs + at * r->n_outputs
                              : r->room  ? r->room + i * r->n_outputs
                                         : NULL,
                         .q = b->outputs + i * r->n_outputs,
                         .p_hidden = r->hidden + at * r->n_hidden,
                         .q_hidden = b->hidden + i * r->n_hidden,
                         .ids = c->output.tokens > 1 ? env->images + at * inputs : NULL,
                         .label = env->labels ? env->labels[at] : 0};
        double d = sample_distance(c, &s);
        if (c->per_sample)
            c->per_sample[at] = d;
        c->sum += d;
    }
    return PARE_OK;
}

/* Whether there are answers to hold outputs against. */
static int check_loss(const struct pare_stage *stage, const struct comparison *c,
                      struct pare_error *err)
{
    if (c->output.tokens == 1 && !stage->env->labels)
        return pare_error_set(err, PARE_INVALID,
                              "a loss needs labels, and the calibration data have none");
    if (c->output.tokens > 1 && c->output.width < stage->entry->vocabulary)
        return pare_error_set(
            err, PARE_UNSUPPORTED,
            "the model's outputs are no distribution over its vocabulary: there is "
            "no loss");
    return PARE_OK;
}

int pare_distance(struct pare_stage *stage, const struct pare_graph *altered, unsigned distance,
                  unsigned reference, const uint32_t *samples, uint32_t n, uint32_t spared,
                  double *per_sample, double *mean, struct pare_error *err)
{
    const struct pare_graph *entry = stage->entry;
    struct comparison c = {.stage = stage,
                           .distance = distance,
                           .per_sample = per_sample,
                           .output = entry->values[entry->output],
                           .hidden = entry->values[pare_hidden_value(entry)]};
    int rc = PARE_OK;
    if (distance < PARE_DISTANCE_KL || distance > PARE_DISTANCE_LOSS) {
        rc = pare_error_set(err, PARE_INVALID, "distance %u is not known", distance);
        goto out;
    }
    if (distance == PARE_DISTANCE_LOSS)
        PARE_TRY(check_loss(stage, &c, err));
    PARE_TRY(get_reference(stage, reference, &c.reference, err));
    if (c.reference->n_hidden != pare_hidden_size(altered) ||
        c.reference->n_hidden != pare_hidden_size(entry)) {
        rc = pare_error_set(err, PARE_UNSUPPORTED,
                            "the models' last hidden states differ in shape: they cannot be "
                            "compared");
        goto out;
    }
    c.tokens = pare_alloc(PARE_MAX(c.output.tokens, c.hidden.tokens), sizeof *c.tokens);
    if (!c.tokens) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pare_restart_run(stage, altered, samples, n, spared, compare_batch, &c, err));
    *mean = n ? c.sum / (double)n : 0;
out:
    free(c.tokens);
    return rc;
}
