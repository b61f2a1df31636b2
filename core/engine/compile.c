/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/compile.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/encoding.h"

/* Rows of one pass when samples are many: enough for the products to reuse a weight panel, few
 * enough for the activations to stay in the second cache. */
#define ROWS_PER_PASS 208u
/* What threads' scratch is a multiple of. */
#define SCRATCH_STEP 4096u

struct compiler {
    const struct pare_graph *graph;
    const struct pare_kernels *kernels;
    const struct pare_plan_node *nodes;
    const struct pare_plan_tap *taps;
    struct pare_program *p;
    uint32_t *readers; /* per value; the output has one more */
    uint32_t *writer;  /* per value: node */
    bool fuse;
    uint32_t context; /* most tokens of a text */
    struct pare_error *err;
};

void pare_program_free(struct pare_program *p)
{
    free(p->steps);
    free(p->slots);
    free(p->sizes_of);
    free(p->fused);
    free(p->groups);
    *p = (struct pare_program){0};
}

static int add_step(struct compiler *c, const struct pare_step *step)
{
    struct pare_program *p = c->p;
    size_t cap = p->cap_steps;
    if (!pare_grow(&p->steps, &cap, (size_t)p->n_steps + 1, sizeof *p->steps))
        return pare_error_nomem(c->err, 0);
    p->cap_steps = (uint32_t)cap;
    p->steps[p->n_steps++] = *step;
    return PARE_OK;
}

static int add_slot(struct compiler *c, uint32_t kind, uint32_t value, uint32_t group,
                    uint32_t width, uint32_t *slot)
{
    struct pare_program *p = c->p;
    size_t cap = p->cap_slots;
    if (!pare_grow(&p->slots, &cap, (size_t)p->n_slots + 1, sizeof *p->slots))
        return pare_error_nomem(c->err, 0);
    p->cap_slots = (uint32_t)cap;
    *slot = p->n_slots++;
    p->slots[*slot] = (struct pare_slot){.kind = (uint8_t)kind,
                                         .source = value,
                                         .group = group,
                                         .tokens = p->groups[group].tokens,
                                         .width = width,
                                         .first = UINT32_MAX};
    return PARE_OK;
}

/* The slot that holds `value` prepared as `kind`: made once for all readers, by the product that
 * computes it or by a step of its own. */
static int prepared(struct compiler *c, uint32_t kind, uint32_t value, const void *key,
                    uint32_t node, uint32_t group, uint32_t width, uint32_t *slot)
{
    struct pare_program *p = c->p;
    for (uint32_t i = c->graph->n_values; i < p->n_slots; i++) {
        if (p->slots[i].kind != kind || p->slots[i].source != value || p->slots[i].key != key ||
            p->slots[i].width != width)
            continue;
        for (uint32_t s = 0; s < p->n_steps; s++)
            if (p->steps[s].prepares && p->steps[s].out[0] == i)
                p->steps[s].last_node = node;
        *slot = i;
        return PARE_OK;
    }
    int rc = add_slot(c, kind, value, group, width, slot);
    if (rc != PARE_OK)
        return rc;
    p->slots[*slot].key = key;
    struct pare_step step = {
        .fn = pare_step_preparing(kind),
        .node = &c->graph->nodes[node],
        .index = node,
        .last_node = node,
        .in = {value},
        .out = {*slot},
        .n_in = 1,
        .prepares = true,
    };
    return add_step(c, &step);
}

/* The one node that reads a value, when nobody else wants it; -1 otherwise. */
static int64_t only_reader(const struct compiler *c, uint32_t value, uint32_t after)
{
    if (c->readers[value] != 1 || value == c->graph->output || c->taps[value].fn)
        return -1;
    for (uint32_t i = after + 1; i < c->graph->n_nodes; i++)
        for (uint32_t j = 0; j < c->graph->nodes[i].n_inputs; j++)
            if (c->graph->nodes[i].inputs[j] == value)
                return i;
    return -1;
}

/* Let an activation or an addition that only this product feeds happen in its epilogue. */
static void fuse_after(struct compiler *c, uint32_t index, struct pare_step *step)
{
    const struct pare_graph *g = c->graph;
    int64_t next = only_reader(c, step->out[0], index);
    if (next >= 0 && g->nodes[next].op == PARE_OP_ACTIVATION) {
        step->end.activation = g->nodes[next].activation;
        step->out[0] = g->nodes[next].outputs[0];
        c->p->fused[next] = index + 1;
    } else if (next >= 0 && g->nodes[next].op == PARE_OP_ADD) {
        const struct pare_node *add = &g->nodes[next];
        uint32_t other = add->inputs[0] == step->out[0] ? add->inputs[1] : add->inputs[0];
        if (other == step->out[0] || other == 0 || c->writer[other] >= index)
            return;
        /* What writes the other may itself have moved up into a product, never down. */
        step->end.factor = add->scale;
        step->in[1] = other;
        step->n_in = 2;
        step->out[0] = add->outputs[0];
        c->p->fused[next] = index + 1;
    }
}

/* Between two sparse products the values stay as the second reads them. */
static int keep_turned(struct compiler *c, uint32_t index, struct pare_step *step)
{
    const struct pare_graph *g = c->graph;
    const uint32_t value = step->out[0];
    const int64_t next = only_reader(c, value, index);
    if (next < 0 || g->nodes[next].op != PARE_OP_LINEAR || step->n_in > 1)
        return PARE_OK;
    const struct pare_choice *first = &c->nodes[index].choice, *second = &c->nodes[next].choice;
    if (first->product != PARE_PRODUCT_SPARSE || second->product != PARE_PRODUCT_SPARSE ||
        second->dequantize)
        return PARE_OK;
    return add_slot(c, PARE_SLOT_TRANSPOSED, value, c->p->slots[value].group,
                    g->values[value].width, &step->out[0]);
}

/* Sets inputs with a scale per group apart from those with one. */
static const char dequantized_by_group;

/* Whether a product can run beside those right before it: it reads nothing that they write. */
static bool joins(const struct pare_program *p, const struct pare_step *step)
{
    for (uint32_t s = p->n_steps; s-- > 0 && p->steps[s].packed;) {
        for (uint32_t i = 0; i < step->n_in; i++)
            if (step->in[i] == p->steps[s].out[0])
                return false;
        if (!p->steps[s].joins)
            return true;
    }
    return false;
}

static int compile_product(struct compiler *c, uint32_t index, struct pare_step *step)
{
    int rc = PARE_OK;
    const struct pare_node *node = step->node;
    const struct pare_plan_node *decided = &c->nodes[index];
    uint32_t input = node->inputs[0], k = decided->packed->k;
    const uint32_t rows = c->p->slots[node->outputs[0]].group;
    step->packed = decided->packed;
    step->end = (struct pare_epilogue){.bias = pare_blob_f32(node->bias), .factor = 1.0f};
    if (node->op == PARE_OP_CONV2D)
        PARE_TRY(prepared(c, PARE_SLOT_PATCHES, input, NULL, index, rows, k, &input));
    if (decided->choice.dequantize)
        PARE_TRY(prepared(c, PARE_SLOT_DEQUANTIZED, input,
                          node->activation_group ? &dequantized_by_group : NULL, index, rows, k,
                          &input));
    switch (pare_product_input(decided->choice.product)) {
    case PARE_INPUT_INT8:
        PARE_TRY(prepared(c, PARE_SLOT_CODES, input, NULL, index, rows, k, &input));
        break;
    case PARE_INPUT_BLOCKS:
        PARE_TRY(prepared(c, PARE_SLOT_BLOCKS, input, NULL, index, rows, k, &input));
        break;
    case PARE_INPUT_BF16:
        PARE_TRY(prepared(c, PARE_SLOT_BF16, input, NULL, index, rows, k, &input));
        break;
    case PARE_INPUT_TRANSPOSED:
        PARE_TRY(prepared(c, PARE_SLOT_TRANSPOSED, input, NULL, index, rows, k, &input));
        break;
    default:
        break;
    }
    step->in[0] = input;
    step->n_in = 1;
    if (c->fuse) {
        fuse_after(c, index, step);
        PARE_TRY(keep_turned(c, index, step));
        step->joins = joins(c->p, step);
    }
out:
    return rc;
}

/* Keys and values are kept first, by a step of its own, and attention reads them there. */
static int compile_causal(struct compiler *c, uint32_t index, struct pare_step *step)
{
    const struct pare_graph *g = c->graph;
    const struct pare_node *node = step->node;
    const uint32_t k = node->inputs[1], v = node->inputs[2];
    const struct pare_kept kept = pare_kept_of(c->kernels, g, node, g->length);
    uint32_t slot;
    int rc;
    if (kept.bytes > UINT32_MAX)
        return pare_error_set(c->err, PARE_UNSUPPORTED,
                              "%s: keys and values of %u tokens are too many", node->path,
                              g->length);
    PARE_TRY(prepared(c, PARE_SLOT_KEPT, k, node, index, c->p->slots[k].group, (uint32_t)kept.bytes,
                      &slot));
    struct pare_step *keep = &c->p->steps[c->p->n_steps - 1];
    keep->in[1] = v;
    keep->n_in = 2;
    step->fn = pare_step_attend;
    step->in[1] = slot;
    step->n_in = 2;
    const uint64_t sums = (uint64_t)node->heads * pare_stretches(c->context) * sizeof(float) *
                          pare_attend_sums(c->kernels, kept.value_width);
    if (sums > UINT32_MAX)
        return pare_error_set(c->err, PARE_UNSUPPORTED, "%s: a context of %u tokens is too long",
                              node->path, c->context);
    PARE_TRY(prepared(c, PARE_SLOT_SUMS, node->inputs[0], node, index,
                      c->p->slots[node->inputs[0]].group, (uint32_t)sums, &step->in[2]));
    struct pare_step *stretches = &c->p->steps[c->p->n_steps - 1];
    stretches->in[1] = slot;
    stretches->n_in = 2;
    step->n_in = 3;
out:
    return rc;
}

static int compile_rope(struct compiler *c, uint32_t index, struct pare_step *step)
{
    const struct pare_node *node = step->node;
    const uint32_t pairs = (uint32_t)(node->a->size / sizeof(float));
    int rc = prepared(c, PARE_SLOT_ANGLES, 0, node->a, index, 0, 2 * pairs, &step->in[1]);
    step->n_in = 2;
    return rc;
}

static int compile_node(struct compiler *c, uint32_t index)
{
    int rc = PARE_OK;
    const struct pare_node *node = &c->graph->nodes[index];
    struct pare_step step = {
        .fn = pare_step_of(node->op),
        .node = node,
        .index = index,
        .last_node = index,
        .n_in = node->n_inputs,
    };
    memcpy(step.in, node->inputs, sizeof step.in);
    memcpy(step.out, node->outputs, sizeof step.out);
    if (c->p->fused[index])
        return PARE_OK;
    if (!step.fn)
        return pare_error_set(c->err, PARE_UNSUPPORTED, "%s: the engine has no operation %s",
                              node->path, pare_op_name(node->op));
    if (c->nodes[index].packed)
        PARE_TRY(compile_product(c, index, &step));
    else if (node->op == PARE_OP_ATTENTION && node->causal)
        PARE_TRY(compile_causal(c, index, &step));
    else if (node->op == PARE_OP_ROPE)
        PARE_TRY(compile_rope(c, index, &step));
    PARE_TRY(add_step(c, &step));
out:
    return rc;
}

/* Token sizes go with every value that has the tokens of what it was made from. */
static void follow_sizes(struct compiler *c)
{
    const struct pare_graph *g = c->graph;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        uint32_t sizes = c->p->sizes_of[node->inputs[0]];
        if (node->op == PARE_OP_TOKEN_MERGE)
            sizes = node->outputs[1];
        else if (node->op == PARE_OP_POOL || node->op == PARE_OP_TOKENS)
            sizes = 0; /* one token, or none merged yet */
        for (uint32_t o = 0; o < node->n_outputs; o++)
            c->p->sizes_of[node->outputs[o]] = sizes;
    }
}

/* Which operations give their output other tokens than their input has. */
static bool regroups(unsigned op)
{
    return op == PARE_OP_CONV2D || op == PARE_OP_TOKENS || op == PARE_OP_POOL ||
           op == PARE_OP_TOKEN_MERGE || op == PARE_OP_ROWS;
}

static int find_groups(struct compiler *c)
{
    const struct pare_graph *g = c->graph;
    struct pare_program *p = c->p;
    p->groups = pare_calloc((size_t)g->n_nodes + 1, sizeof *p->groups);
    if (!p->groups)
        return pare_error_nomem(c->err, 0);
    p->groups[0].tokens = g->values[0].tokens;
    p->n_groups = 1;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const struct pare_node *node = &g->nodes[i];
        uint32_t group = p->slots[node->inputs[0]].group;
        if (regroups(node->op)) {
            p->groups[p->n_groups] = (struct pare_group){
                .parent = group,
                .tokens = g->values[node->outputs[0]].tokens,
                .op = node->op,
                .node = i,
            };
            group = p->n_groups++;
        }
        for (uint32_t o = 0; o < node->n_outputs; o++)
            p->slots[node->outputs[o]].group = group;
    }
    return PARE_OK;
}

/* The most rows of a group in one pass. */
static size_t most_rows(const struct pare_program *p, uint32_t group)
{
    const size_t rows = (size_t)p->samples * p->groups[group].tokens;
    for (; p->wanted && group; group = p->groups[group].parent) {
        if (p->groups[group].op == PARE_OP_ROWS)
            return PARE_MIN(rows, p->wanted);
    }
    return rows;
}

static bool bytes_of(const struct compiler *c, const struct pare_slot *slot, size_t *out)
{
    return pare_slot_bytes(c->kernels, slot, c->p->samples, most_rows(c->p, slot->group), out);
}

static void use(struct pare_slot *slot, uint32_t step)
{
    slot->first = PARE_MIN(slot->first, step);
    slot->last = PARE_MAX(slot->last, step);
}

/* Of steps that run side by side all inputs live until the last, all outputs from the first on. */
static void find_lives(struct compiler *c)
{
    struct pare_program *p = c->p;
    for (uint32_t s = 0, first = 0, last; s < p->n_steps; s++) {
        const struct pare_step *step = &p->steps[s];
        first = step->joins ? first : s;
        for (last = s; last + 1 < p->n_steps && p->steps[last + 1].joins;)
            last++;
        for (uint32_t i = 0; i < step->n_in; i++)
            use(&p->slots[step->in[i]], last);
        for (uint32_t o = 0; o < (step->prepares ? 1u : step->node->n_outputs); o++) {
            uint32_t out = step->out[o];
            use(&p->slots[out], first);
            if (out < c->graph->n_values && c->taps[out].fn && p->sizes_of[out])
                use(&p->slots[p->sizes_of[out]], s);
        }
    }
    p->slots[c->graph->output].last = p->n_steps;
    /* Where a run may start in the middle, what was prepared is made again, so its source has to be
     * there. */
    for (uint32_t s = p->n_steps; !c->fuse && s-- > 0;)
        for (uint32_t i = 0; p->steps[s].prepares && i < p->steps[s].n_in; i++)
            use(&p->slots[p->steps[s].in[i]], p->slots[p->steps[s].out[0]].last);
}

static int by_size(const void *a, const void *b)
{
    const size_t *x = a, *y = b; /* bytes, index */
    if (x[0] != y[0])
        return x[0] < y[0] ? 1 : -1;
    return x[1] < y[1] ? -1 : x[1] > y[1];
}

/* Greedy by size: each slot goes to the lowest place where it meets no other that is alive with it.
 */
static int place(struct compiler *c)
{
    int rc = PARE_OK;
    struct pare_program *p = c->p;
    size_t(*order)[2] = pare_alloc(p->n_slots, sizeof *order);
    uint32_t *placed = pare_alloc(p->n_slots, sizeof *placed), n_placed = 0;
    if (!order || !placed) {
        rc = pare_error_nomem(c->err, 0);
        goto out;
    }
    for (uint32_t i = 0; i < p->n_slots; i++) {
        order[i][0] = 0;
        order[i][1] = i;
        if (i != 0 && p->slots[i].first <= p->slots[i].last &&
            !bytes_of(c, &p->slots[i], &order[i][0])) {
            rc = pare_error_set(c->err, PARE_INVALID, "the model's values do not fit into memory");
            goto out;
        }
    }
    qsort(order, p->n_slots, sizeof *order, by_size);
    for (uint32_t i = 0; i < p->n_slots && order[i][0]; i++) {
        struct pare_slot *slot = &p->slots[order[i][1]];
        size_t at = 0, size = order[i][0];
        for (uint32_t j = 0; j < n_placed; j++) { /* `placed` is sorted by offset */
            const struct pare_slot *other = &p->slots[placed[j]];
            size_t other_size;
            bytes_of(c, other, &other_size);
            if (other->first > slot->last || slot->first > other->last)
                continue;
            if (at + size <= other->offset)
                break;
            at = PARE_MAX(at, other->offset + other_size);
        }
        slot->offset = at;
        if (at + size > PTRDIFF_MAX / 2) {
            rc = pare_error_set(c->err, PARE_INVALID, "the model's values do not fit into memory");
            goto out;
        }
        p->arena_bytes = PARE_MAX(p->arena_bytes, at + size);
        uint32_t j = n_placed++;
        for (; j > 0 && p->slots[placed[j - 1]].offset > at; j--)
            placed[j] = placed[j - 1];
        placed[j] = (uint32_t)order[i][1];
    }
out:
    free(order);
    free(placed);
    return rc;
}

/* As much as the step that needs the most, and a page that keeps threads apart. */
static int find_scratch(struct compiler *c)
{
    struct pare_program *p = c->p;
    size_t most = 0;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const struct pare_step *step = &p->steps[i];
        const size_t bytes = pare_step_scratch(
            c->kernels, p->slots, step, most_rows(p, p->slots[step->in[0]].group), c->context);
        if (step->packed && step->packed->product == PARE_PRODUCT_PLUGIN &&
            bytes > PARE_PLUGIN_SCRATCH) {
            pare_error_set(c->err, PARE_UNSUPPORTED,
                           "%s: the kernel of its encoding '%s' asks for too much memory",
                           step->node->path, step->packed->weight->encoding->id);
            pare_error_detail(c->err, "scratch() says %zu bytes per thread, at most %zu are given",
                              bytes, PARE_PLUGIN_SCRATCH);
            pare_error_hint(c->err,
                            "take another version of the plugin; 'pare plugin check %s' "
                            "shows its author what is wrong",
                            step->packed->weight->encoding->id);
            return PARE_UNSUPPORTED;
        }
        most = PARE_MAX(most, bytes);
    }
    if (!pare_add_size(most, SCRATCH_STEP, &p->scratch_bytes))
        return pare_error_nomem(c->err, most);
    p->scratch_bytes -= p->scratch_bytes % SCRATCH_STEP;
    return PARE_OK;
}

static uint32_t samples_per_pass(const struct pare_graph *g, uint32_t most)
{
    uint32_t tokens = 1;
    for (uint32_t i = 1; i < g->n_values; i++)
        tokens = PARE_MAX(tokens, g->values[i].tokens);
    uint32_t n = PARE_MIN(PARE_MAX(ROWS_PER_PASS / tokens, 1u), most);
    uint32_t passes = (most + n - 1) / n;
    return (most + passes - 1) / passes;
}

int pare_program_new(const struct pare_graph *graph, const struct pare_kernels *kernels,
                     const struct pare_plan_node *nodes, const struct pare_plan_tap *taps,
                     bool fuse, const struct pare_extent *extent, struct pare_program *out,
                     struct pare_error *err)
{
    int rc = PARE_OK;
    struct pare_program p = {.samples = extent->samples ? extent->samples
                                                        : samples_per_pass(graph, extent->most),
                             .wanted = extent->wanted};
    struct compiler c = {.graph = graph,
                         .kernels = kernels,
                         .nodes = nodes,
                         .taps = taps,
                         .p = &p,
                         .readers = pare_calloc(graph->n_values, sizeof(uint32_t)),
                         .writer = pare_calloc(graph->n_values, sizeof(uint32_t)),
                         .fuse = fuse,
                         .context = PARE_MAX(extent->context, graph->length),
                         .err = err};
    p.sizes_of = pare_calloc(graph->n_values, sizeof *p.sizes_of);
    p.fused = pare_calloc(graph->n_nodes, sizeof *p.fused);
    p.slots = pare_calloc(graph->n_values, sizeof *p.slots);
    if (!c.readers || !c.writer || !p.sizes_of || !p.fused || !p.slots) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    p.n_slots = p.cap_slots = graph->n_values;
    for (uint32_t i = 0; i < graph->n_values; i++)
        p.slots[i] = (struct pare_slot){.source = i,
                                        .tokens = graph->values[i].tokens,
                                        .width = graph->values[i].width,
                                        .first = UINT32_MAX};
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        for (uint32_t j = 0; j < graph->nodes[i].n_inputs; j++)
            c.readers[graph->nodes[i].inputs[j]]++;
        for (uint32_t j = 0; j < graph->nodes[i].n_outputs; j++)
            c.writer[graph->nodes[i].outputs[j]] = i;
    }
    PARE_TRY(find_groups(&c));
    follow_sizes(&c);
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        PARE_TRY(compile_node(&c, i));
    find_lives(&c);
    PARE_TRY(place(&c));
    PARE_TRY(find_scratch(&c));
    *out = p;
    p = (struct pare_program){0};
out:
    free(c.readers);
    free(c.writer);
    pare_program_free(&p);
    return rc;
}
