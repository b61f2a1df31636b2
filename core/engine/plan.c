/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/plan_parts.h"
#include "model/branch.h"

void pare_plan_free(struct pare_plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; plan->nodes && i < plan->graph->n_nodes; i++)
        pare_packed_free(plan->nodes[i].packed);
    pare_program_free(&plan->program);
    pare_graph_free(plan->graph);
    free(plan->nodes);
    free(plan->taps);
    free(plan->arena);
    free(plan->scratch);
    free(plan->claims);
    free(plan->reports);
    free(plan->times);
    free(plan->rows);
    free(plan->starts);
    free(plan);
}

/* Choose and pack every product; what other nodes run on is their table's name. */
static int pack_nodes(struct pare_plan *plan, struct pare_error *err)
{
    int rc = PARE_OK;
    struct pare_graph *g = plan->graph;
    const char *isa = pare_isa_name((enum pare_isa)plan->kernels->isa);
    const bool one_by_one = pare_graph_causal(g);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        struct pare_node *node = &g->nodes[i];
        struct pare_plan_node *n = &plan->nodes[i];
        plan->reports[i] = (struct pare_node_report){
            .path = node->path, .kernel = n->kernel, .macs = pare_node_macs(g, node)};
        if (!node->weight || node->op == PARE_OP_EMBED) { /* few of its rows are read */
            snprintf(n->kernel, sizeof n->kernel, "%s %s", pare_op_name(node->op), isa);
            continue;
        }
        n->choice =
            pare_choose(plan->kernels, node->weight, node->activation_bits, node->activation_group,
                        one_by_one ? PARE_TOKENS_ANY : g->values[node->outputs[0]].tokens);
        PARE_TRY(pare_pack(plan->kernels, n->choice.product, node->weight, &n->packed, err));
        char from[64] = "";
        pare_weight_describe(node->weight, from);
        if (n->packed->weight) {
            snprintf(n->kernel, sizeof n->kernel, "plugin's %.48s", from);
        } else if (n->choice.decoded) {
            snprintf(n->kernel, sizeof n->kernel, "decode %.48s -> %s %s", from,
                     pare_product_name(n->choice.product), isa);
        } else {
            snprintf(n->kernel, sizeof n->kernel, "%s %s", pare_product_name(n->choice.product),
                     isa);
        }
        if (!n->packed->weight)
            pare_blob_forget(node->weight->stored); /* from here on the packed form is read */
        plan->reports[i].packed_bytes = n->packed->bytes;
        plan->reports[i].decoded = n->choice.decoded;
        pare_weight_unref(node->weight);
        node->weight = NULL;
    }
out:
    return rc;
}

/* Lay the program out again: at the start, and whenever a tap changes what may be fused. */
static int lay_out(struct pare_plan *plan, struct pare_error *err)
{
    int rc = PARE_OK;
    const struct pare_plan_options *o = &plan->options;
    /* Whole batches where somebody looks at values or hands them in, blocks of samples elsewhere.
     */
    const bool whole = plan->tapped || o->no_fusion;
    uint32_t lanes = !whole && o->threads > 1 && o->batch >= o->threads ? o->threads : 1;
    struct pare_program program = {0};
    const struct pare_extent extent = {
        .samples = whole ? o->batch : 0,
        .most = (o->batch + lanes - 1) / lanes,
        .wanted = o->wanted,
        .context = o->context,
    };
    PARE_TRY(pare_program_new(plan->graph, plan->kernels, plan->nodes, plan->taps, !o->no_fusion,
                              &extent, &program, err));
    size_t arena_bytes, scratch_bytes;
    if (!pare_mul_size(program.arena_bytes, lanes, &arena_bytes) ||
        !pare_mul_size(program.scratch_bytes, o->threads, &scratch_bytes)) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    char *arena = pare_alloc_aligned(arena_bytes, 1),
         *scratch = pare_alloc_aligned(scratch_bytes, 1);
    struct pare_claims *claims = pare_calloc(program.n_steps, sizeof *claims);
    struct pare_rows *rows = pare_calloc((size_t)program.n_groups * lanes, sizeof *rows);
    if (!arena || !scratch || !claims || !rows) {
        free(arena);
        free(scratch);
        free(claims);
        free(rows);
        rc = pare_error_nomem(err, arena_bytes + scratch_bytes);
        goto out;
    }
    free(plan->arena);
    free(plan->scratch);
    free(plan->claims);
    free(plan->rows);
    pare_program_free(&plan->program);
    plan->rows = rows;
    plan->arena = arena;
    plan->scratch = scratch;
    plan->claims = claims;
    plan->arena_bytes = arena_bytes;
    plan->lanes = lanes;
    plan->program = program;
    program = (struct pare_program){0};
    for (uint32_t i = 0; i < plan->graph->n_nodes; i++) {
        struct pare_plan_node *n = &plan->nodes[i];
        uint32_t into = plan->program.fused[i];
        if (!n->packed && into)
            snprintf(n->kernel, sizeof n->kernel, "fused into %.80s",
                     plan->graph->nodes[into - 1].path);
        else if (!n->packed)
            snprintf(n->kernel, sizeof n->kernel, "%s %s", pare_op_name(plan->graph->nodes[i].op),
                     pare_isa_name((enum pare_isa)plan->kernels->isa));
    }
out:
    pare_program_free(&program);
    return rc;
}

int pare_plan_new(const struct pare_graph *graph, const struct pare_plan_options *options,
                  struct pare_plan **out, struct pare_error *err)
{
    int rc = PARE_OK;
    struct pare_plan *plan = NULL;
    enum pare_isa best = pare_isa_best(),
                  isa = options->isa < 0 ? best : (enum pare_isa)options->isa;
    if (options->batch == 0 || options->threads == 0 || options->threads > 4096)
        return pare_error_set(err, PARE_INVALID, "a plan needs a batch and threads of at least 1");
    if (options->reference)
        isa = PARE_ISA_SCALAR;
    const struct pare_kernels *kernels = pare_kernels_of(isa);
    if (!kernels) {
        rc = pare_error_set(err, PARE_UNSUPPORTED, "no kernels for %s here", pare_isa_name(isa));
        pare_error_detail(err, "the best that this CPU and this program have is %s",
                          pare_isa_name(best));
        return rc;
    }
    plan = pare_calloc(1, sizeof *plan);
    if (!plan)
        return pare_error_nomem(err, sizeof *plan);
    plan->options = *options;
    plan->kernels = kernels;
    PARE_TRY(pare_graph_copy(graph, &plan->graph, err));
    PARE_TRY(pare_graph_infer(plan->graph, err));
    plan->nodes = pare_calloc(plan->graph->n_nodes, sizeof *plan->nodes);
    plan->taps = pare_calloc(plan->graph->n_values, sizeof *plan->taps);
    plan->reports = pare_calloc(plan->graph->n_nodes, sizeof *plan->reports);
    plan->times = pare_calloc(plan->graph->n_nodes, sizeof *plan->times);
    if (!plan->nodes || !plan->taps || !plan->reports || !plan->times) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    PARE_TRY(pack_nodes(plan, err));
    PARE_TRY(lay_out(plan, err));
    *out = plan;
    plan = NULL;
out:
    pare_plan_free(plan);
    return rc;
}

int pare_plan_tap(struct pare_plan *plan, uint32_t value, pare_tap_fn fn, void *user,
                  struct pare_error *err)
{
    if (value >= plan->graph->n_values)
        return pare_error_set(err, PARE_INVALID, "the graph has no value %u", value);
    if (plan->ran)
        return pare_error_set(err, PARE_INVALID, "taps are set before the first run");
    plan->taps[value] = (struct pare_plan_tap){.fn = fn, .user = user};
    plan->tapped = true;
    return lay_out(plan, err);
}

/* ---- running
 * ------------------------------------------------------------------------------------- */

/* A run in the arena of a lane; the scratch is that of thread 0. */
static struct pare_run run_of(const struct pare_plan *plan, uint32_t lane, const float *inputs,
                              uint32_t n)
{
    struct pare_rows *rows = plan->rows + (size_t)lane * plan->program.n_groups;
    for (uint32_t i = 0; i < plan->program.n_groups; i++)
        rows[i] = (struct pare_rows){.n = n, .tokens = plan->program.groups[i].tokens};
    return (struct pare_run){
        .kernels = plan->kernels,
        .slots = plan->program.slots,
        .rows = rows,
        .arena = plan->arena + lane * plan->program.arena_bytes,
        .scratch = plan->scratch,
        .inputs = inputs,
        .n = n,
        .image_width = plan->graph->width,
    };
}

static void use_scratch_of(const struct pare_plan *plan, struct pare_run *run, uint32_t thread)
{
    run->scratch = plan->scratch + thread * plan->program.scratch_bytes;
}

/* More parts than threads: who is done takes from who is late. */
static uint32_t parts_for(uint32_t threads)
{
    return threads == 1 ? 1 : 2 * threads;
}

/* Steps first..end of a run by several threads. */
static void run_steps(const struct pare_plan *plan, const struct pare_run *run, uint32_t threads,
                      uint32_t first, uint32_t end)
{
    const struct pare_program *p = &plan->program;
    if (threads == 1) {
        for (uint32_t s = first; s < end; s++)
            p->steps[s].fn(run, &p->steps[s], 0, 1);
        return;
    }
    memset(plan->claims + first, 0, (end - first) * sizeof *plan->claims);
#pragma omp parallel num_threads((int)threads)
    {
        struct pare_run mine = *run;
        use_scratch_of(plan, &mine, (uint32_t)omp_get_thread_num());
        for (uint32_t s = first; s < end;)
            s += pare_work_off(&p->steps[s], end - s, &mine, &plan->claims[s], parts_for(threads));
    }
}

static bool wanted(const struct pare_step *step, uint32_t first)
{
    return step->prepares ? step->last_node >= first : step->index >= first;
}

static int call_tap(const struct pare_plan *plan, const struct pare_run *run, uint32_t value)
{
    const struct pare_plan_tap *tap = &plan->taps[value];
    uint32_t sizes = plan->program.sizes_of[value];
    const struct pare_value *v = &plan->graph->values[value];
    return tap->fn(tap->user, value, pare_slot_read(run, value),
                   sizes ? pare_slot_read(run, sizes) : NULL, run->n, v->tokens, v->width);
}

/* Every step on its own, for taps and profiles. */
static int run_observed(struct pare_plan *plan, const struct pare_run *run, uint32_t threads,
                        uint32_t first)
{
    int rc = PARE_OK;
    if (first == 0 && plan->taps[0].fn)
        PARE_TRY(call_tap(plan, run, 0));
    for (uint32_t s = 0; s < plan->program.n_steps; s++) {
        const struct pare_step *step = &plan->program.steps[s];
        if (!wanted(step, first))
            continue;
        uint64_t start = plan->profiling ? pare_clock_ns() : 0;
        run_steps(plan, run, threads, s, s + 1);
        if (plan->profiling)
            plan->times[step->index] += pare_clock_ns() - start;
        for (uint32_t o = 0; !step->prepares && o < step->node->n_outputs; o++)
            if (step->out[o] < plan->graph->n_values && plan->taps[step->out[o]].fn)
                PARE_TRY(call_tap(plan, run, step->out[o]));
    }
out:
    return rc;
}

/* Block number `i` of the samples: `block` of them, fewer at the end. */
static void run_block(const struct pare_plan *plan, uint32_t lane, uint32_t threads, uint32_t block,
                      uint64_t i, const float *inputs, uint32_t n, float *out)
{
    const struct pare_graph *g = plan->graph;
    const size_t at = i * block, outputs = pare_graph_outputs(g);
    uint32_t here = (uint32_t)PARE_MIN((uint64_t)block, n - at);
    struct pare_run run = run_of(plan, lane, inputs + at * pare_graph_inputs(g), here);
    if (threads == 1)
        use_scratch_of(plan, &run, lane);
    run_steps(plan, &run, threads, 0, plan->program.n_steps);
    memcpy(out + at * outputs, pare_slot_read(&run, g->output), here * outputs * sizeof *out);
}

/* All samples, block by block: every block by all threads, or several blocks at once. */
static void run_blocks(const struct pare_plan *plan, const float *inputs, uint32_t n, float *out)
{
    /* Smaller blocks when there are too few samples for every lane to have a full one. */
    const uint32_t block = PARE_MIN(plan->program.samples, (n + plan->lanes - 1) / plan->lanes);
    const uint64_t blocks = ((uint64_t)n + block - 1) / block;
    if (plan->lanes == 1) {
        for (uint64_t i = 0; i < blocks; i++)
            run_block(plan, 0, plan->options.threads, block, i, inputs, n, out);
        return;
    }
    uint64_t next = 0;
#pragma omp parallel num_threads((int)plan->lanes)
    for (uint64_t i; (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < blocks;)
        run_block(plan, (uint32_t)omp_get_thread_num(), 1, block, i, inputs, n, out);
}

/* The logits of a vocabulary are many: look at all at once first. */
static bool all_finite(const float *x, size_t n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += x[i] * 0.0f;
    return sum == 0;
}

int pare_plan_check(const struct pare_plan *plan, const float *out, uint32_t n,
                    struct pare_error *err)
{
    const struct pare_graph *g = plan->graph;
    const size_t width = g->values[g->output].width;
    if (all_finite(out, n * width))
        return PARE_OK;
    for (size_t i = 0; i < n * width; i++) {
        if (isfinite(out[i]))
            continue;
        int rc = pare_error_set(err, PARE_FAILED, "the model's output is not finite");
        pare_error_detail(err, "%s %zu of the batch, output %zu is %g",
                          pare_graph_reads_text(g) ? "token" : "sample", i / width, i % width,
                          (double)out[i]);
        pare_error_hint(err,
                        "look for weights that are not finite or inputs that were not normalised");
        return rc;
    }
    return PARE_OK;
}

/* The same of n samples. */
static int check_samples(const struct pare_plan *plan, const float *out, uint32_t n,
                         struct pare_error *err)
{
    return pare_plan_check(plan, out, n * plan->graph->values[plan->graph->output].tokens, err);
}

static int check_n(const struct pare_plan *plan, uint32_t n, struct pare_error *err)
{
    if (n <= plan->options.batch)
        return PARE_OK;
    return pare_error_set(err, PARE_INVALID, "%u samples were given to a plan for %u", n,
                          plan->options.batch);
}

int pare_plan_run(struct pare_plan *plan, const float *inputs, uint32_t n, float *out,
                  struct pare_error *err)
{
    int rc = PARE_OK;
    const struct pare_graph *g = plan->graph;
    PARE_TRY(check_n(plan, n, err));
    plan->ran = true;
    if (n == 0)
        goto out;
    if (plan->tapped || plan->profiling) {
        const size_t outputs = pare_graph_outputs(g);
        for (uint32_t at = 0; at < n; at += plan->program.samples) {
            uint32_t here = PARE_MIN(plan->program.samples, n - at);
            struct pare_run run = run_of(plan, 0, inputs + at * pare_graph_inputs(g), here);
            rc = run_observed(plan, &run, plan->options.threads, 0);
            if (rc != PARE_OK) {
                rc = pare_error_set(err, rc, "a tap stopped the run");
                goto out;
            }
            memcpy(out + at * outputs, pare_slot_read(&run, g->output),
                   here * outputs * sizeof *out);
        }
    } else {
        run_blocks(plan, inputs, n, out);
    }
    PARE_TRY(check_samples(plan, out, n, err));
out:
    return rc;
}

uint32_t pare_plan_rows(const struct pare_plan *plan)
{
    return plan->program.samples * plan->graph->length;
}

int pare_plan_pass(struct pare_plan *plan, struct pare_run *run, struct pare_error *err)
{
    run->kernels = plan->kernels;
    run->slots = plan->program.slots;
    run->arena = plan->arena;
    run->scratch = plan->scratch;
    plan->ran = true;
    if (!plan->profiling) {
        run_steps(plan, run, plan->options.threads, 0, plan->program.n_steps);
        return PARE_OK;
    }
    int rc = run_observed(plan, run, plan->options.threads, 0);
    return rc == PARE_OK ? rc : pare_error_set(err, rc, "a tap stopped the run");
}

/* Copy what earlier nodes would have written into its slots. */
static int take_given(struct pare_plan *plan, struct pare_run *run, uint32_t first,
                      const struct pare_given *given, uint32_t n_given, struct pare_error *err)
{
    int rc = PARE_OK;
    const struct pare_graph *g = plan->graph;
    const struct pare_program *p = &plan->program;
    uint32_t from = 0; /* first step of the run proper */
    bool *known = pare_calloc(g->n_values, sizeof *known);
    if (!known)
        return pare_error_nomem(err, g->n_values);
    while (from < p->n_steps && p->steps[from].index < first)
        from++;
    for (uint32_t i = 0; i < n_given; i++) {
        uint32_t value = given[i].value;
        if (value >= g->n_values) {
            rc = pare_error_set(err, PARE_INVALID, "the graph has no value %u", value);
            goto out;
        }
        known[value] = true;
        const struct pare_slot *slot = &p->slots[value];
        if (value == 0)
            run->inputs = given[i].data;
        else if (slot->first < from && slot->last >= from)
            memcpy(pare_slot_data(run, value), given[i].data,
                   (size_t)run->n * slot->tokens * slot->width * sizeof(float));
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        for (uint32_t j = 0; i >= first && j < node->n_inputs; j++) {
            if (known[node->inputs[j]])
                continue;
            rc = pare_error_set(err, PARE_INVALID, "%s reads value %u, which was not given",
                                node->path, node->inputs[j]);
            goto out;
        }
        for (uint32_t j = 0; i >= first && j < node->n_outputs; j++) {
            uint32_t value = node->outputs[j], sizes = p->sizes_of[value];
            known[value] = true;
            if (plan->taps[value].fn && sizes && !known[sizes] && sizes != node->outputs[1]) {
                rc = pare_error_set(err, PARE_INVALID,
                                    "a tap after %s needs its token sizes, value %u", node->path,
                                    sizes);
                goto out;
            }
        }
    }
    if (!known[g->output])
        rc = pare_error_set(err, PARE_INVALID, "the output was not given");
out:
    free(known);
    return rc;
}

int pare_plan_run_from(struct pare_plan *plan, uint32_t first, const struct pare_given *given,
                       uint32_t n_given, uint32_t n, float *out, struct pare_error *err)
{
    int rc = PARE_OK;
    const struct pare_graph *g = plan->graph;
    struct pare_run run = run_of(plan, 0, NULL, n);
    if (!plan->options.no_fusion)
        return pare_error_set(err, PARE_INVALID,
                              "only a plan without fusion can start in the middle");
    if (first > g->n_nodes)
        return pare_error_set(err, PARE_INVALID, "the graph has no node %u", first);
    PARE_TRY(check_n(plan, n, err));
    plan->ran = true;
    if (n == 0)
        goto out;
    PARE_TRY(take_given(plan, &run, first, given, n_given, err));
    rc = run_observed(plan, &run, plan->options.threads, first);
    if (rc != PARE_OK) {
        rc = pare_error_set(err, rc, "a tap stopped the run");
        goto out;
    }
    memcpy(out, pare_slot_read(&run, g->output), n * pare_graph_outputs(g) * sizeof *out);
    PARE_TRY(check_samples(plan, out, n, err));
out:
    return rc;
}

uint32_t pare_graph_live(const struct pare_graph *graph, uint32_t first, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t value = 0; value < graph->n_values; value++) {
        bool written = value == 0, read = value == graph->output;
        for (uint32_t i = 0; i < graph->n_nodes; i++) {
            const struct pare_node *node = &graph->nodes[i];
            for (uint32_t j = 0; i < first && j < node->n_outputs; j++)
                written |= node->outputs[j] == value;
            for (uint32_t j = 0; i >= first && j < node->n_inputs; j++)
                read |= node->inputs[j] == value;
        }
        if (written && read)
            out[n++] = value;
    }
    return n;
}

uint32_t pare_plan_reports(const struct pare_plan *plan, const struct pare_node_report **out)
{
    *out = plan->reports;
    return plan->graph->n_nodes;
}

const char *pare_plan_main_kernel(const struct pare_plan *plan)
{
    const struct pare_node_report *r = plan->reports;
    const char *best = "";
    uint64_t most = 0;
    for (uint32_t i = 0; i < plan->graph->n_nodes; i++) {
        uint64_t macs = 0;
        for (uint32_t j = i; r[i].packed_bytes && j < plan->graph->n_nodes; j++)
            if (strcmp(r[j].kernel, r[i].kernel) == 0)
                macs += r[j].macs;
        if (macs > most) {
            most = macs;
            best = r[i].kernel;
        }
    }
    return best;
}

void pare_plan_profile(struct pare_plan *plan, bool on)
{
    plan->profiling = on;
    memset(plan->times, 0, plan->graph->n_nodes * sizeof *plan->times);
}

const uint64_t *pare_plan_times(const struct pare_plan *plan)
{
    return plan->times;
}

uint64_t pare_plan_arena_bytes(const struct pare_plan *plan)
{
    return plan->arena_bytes;
}
