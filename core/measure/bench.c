/* SPDX-License-Identifier: Apache-2.0 */
/* Latency: visits of a session. Warm, inferences timed one by one, none dropped; what could have
 * disturbed them is recorded. */
#include "measure/measure.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/stat.h"
#include "engine/text.h"

#define WARM_RUNS 3
#define WARM_NS 50000000u
#define TIMED_NS 250000000u
#define RUNS_LEAST 5u
#define RUNS_MOST 200u
#define SLOW_NS 200000000u /* past this a visit is one warm-up and one timed inference */
#define INPUT_BYTES ((size_t)64 << 20) /* most for inputs, but always a batch */
#define INPUT_BATCHES 16u
#define RANDOM_SEED 20261123u

struct pare_bench {
    struct pare_bench_shape shape;
    struct pare_plan *plan;
    float *inputs, *logits;
    uint32_t batches, classes;
    size_t batch_floats;
    struct pare_graph *graph; /* of a language model: with the length of a pass */
    struct pare_cache *cache;
    struct pare_text *texts; /* per text of the batch */
    int32_t *ids;            /* per text: depth, then tokens */
};

void pare_bench_free(struct pare_bench *bench)
{
    if (!bench)
        return;
    pare_cache_free(bench->cache);
    pare_plan_free(bench->plan);
    pare_graph_free(bench->graph);
    free(bench->inputs);
    free(bench->logits);
    free(bench->texts);
    free(bench->ids);
    free(bench);
}

/* The first samples of the data, again from the start when they are fewer than the batches need. */
static int read_inputs(struct pare_bench *b, struct pare_dataset *data, size_t pixels,
                       struct pare_error *err)
{
    const uint32_t size = pare_dataset_size(data);
    int rc = PARE_OK;
    for (uint32_t i = 0, part, n = b->shape.batch * b->batches; i < n; i += part) {
        const uint32_t from = i % size;
        part = PARE_MIN(n - i, size - from);
        PARE_TRY(pare_dataset_read(data, from, part, b->inputs + i * pixels, NULL, err));
    }
out:
    return rc;
}

/* ---- a language model ---- */

#define PASS_TOKENS 512u /* most that are read at once */
#define STEP_TOKENS 64u  /* the same where tokens come one by one, to get to the depth */

/* Read n tokens of every text from `at` on. */
static int read_texts(struct pare_bench *b, uint32_t at, uint32_t n, struct pare_error *err)
{
    const size_t each = (size_t)b->shape.depth + b->shape.tokens;
    for (uint32_t t = 0; t < b->shape.batch; t++)
        b->texts[t] = (struct pare_text){b->ids + t * each + at, n, t, false};
    return pare_plan_read(b->plan, b->cache, b->texts, b->shape.batch, b->logits, err);
}

static int run_phase(struct pare_bench *b, struct pare_error *err)
{
    const struct pare_bench_shape *s = &b->shape;
    int rc = PARE_OK;
    for (uint32_t t = 0; t < s->batch; t++)
        pare_cache_cut(b->cache, t, s->depth);
    if (s->phase == PARE_BENCH_PREFILL)
        return read_texts(b, s->depth, s->tokens, err);
    for (uint32_t i = 0; i < s->tokens && rc == PARE_OK; i++)
        rc = read_texts(b, s->depth + i, 1, err);
    return rc;
}

static int make_phase(struct pare_bench *b, const struct pare_graph *graph, struct pare_error *err)
{
    const struct pare_bench_shape *s = &b->shape;
    const uint64_t context = (uint64_t)s->depth + s->tokens, all = context * s->batch;
    struct pare_random r;
    int rc;
    if (!pare_graph_reads_text(graph) || graph->values[graph->output].tokens == 1)
        return pare_error_set(err, PARE_INVALID, "only language models read token after token");
    if (s->tokens == 0 || context > graph->context) {
        pare_error_set(err, PARE_INVALID, "%u tokens after %u do not fit the model's context",
                       s->tokens, s->depth);
        pare_error_detail(err, "it reads from 1 to %u tokens", graph->context);
        pare_error_hint(err, "the tokens and the depth together are at most that");
        return PARE_INVALID;
    }
    const uint32_t most = s->phase == PARE_BENCH_PREFILL ? PASS_TOKENS : STEP_TOKENS;
    const struct pare_plan_options options = {.batch = s->batch,
                                              .threads = s->threads,
                                              .isa = -1,
                                              .wanted = s->batch,
                                              .context = (uint32_t)context};
    PARE_TRY(pare_graph_copy(graph, &b->graph, err));
    PARE_TRY(pare_graph_set_length(b->graph, (uint32_t)PARE_MIN(context, most), err));
    PARE_TRY(pare_plan_new(b->graph, &options, &b->plan, err));
    PARE_TRY(pare_cache_new(b->plan, s->batch, (uint32_t)context, &b->cache, err));
    b->texts = pare_alloc(s->batch, sizeof *b->texts);
    b->ids = pare_alloc(all, sizeof *b->ids);
    b->logits = pare_alloc(s->batch, b->classes * sizeof *b->logits);
    if (!b->texts || !b->ids || !b->logits) {
        rc = pare_error_nomem(err, all * sizeof *b->ids);
        goto out;
    }
    pare_random_seed(&r, RANDOM_SEED);
    for (uint64_t i = 0; i < all; i++)
        b->ids[i] = (int32_t)pare_random_below(&r, graph->vocabulary);
    if (s->depth)
        PARE_TRY(read_texts(b, 0, s->depth, err));
out:
    return rc;
}

/* ---- whole samples ---- */

static int run(struct pare_bench *b, uint32_t i, struct pare_error *err)
{
    if (b->cache)
        return run_phase(b, err);
    return pare_plan_run(b->plan, b->inputs + i % b->batches * b->batch_floats, b->shape.batch,
                         b->logits, err);
}

static int make_whole(struct pare_bench *b, const struct pare_graph *graph,
                      struct pare_dataset *data, struct pare_error *err)
{
    const struct pare_plan_options options = {
        .batch = b->shape.batch, .threads = b->shape.threads, .isa = -1};
    const size_t inputs = pare_graph_inputs(graph);
    int rc;
    PARE_TRY(pare_plan_new(graph, &options, &b->plan, err));
    if (!pare_mul_size(inputs, b->shape.batch, &b->batch_floats)) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    const size_t fit = INPUT_BYTES / sizeof(float) / b->batch_floats;
    b->batches = (uint32_t)PARE_MIN(PARE_MAX(fit, 1), INPUT_BATCHES);
    b->inputs = pare_alloc(b->batch_floats, b->batches * sizeof *b->inputs);
    b->logits = pare_alloc(b->shape.batch, pare_graph_outputs(graph) * sizeof *b->logits);
    if (!b->inputs || !b->logits) {
        rc = pare_error_nomem(err, (uint64_t)b->batch_floats * b->batches * sizeof *b->inputs);
        goto out;
    }
    if (data) {
        PARE_TRY(read_inputs(b, data, inputs, err));
        goto out;
    }
    struct pare_random r;
    pare_random_seed(&r, RANDOM_SEED);
    for (size_t i = 0; i < b->batch_floats * b->batches; i++)
        b->inputs[i] = pare_graph_reads_text(graph)
                           ? (float)pare_random_below(&r, graph->vocabulary)
                           : (float)pare_random_normal(&r);
out:
    return rc;
}

int pare_bench_new(const struct pare_graph *graph, struct pare_dataset *data,
                   const struct pare_bench_shape *shape, struct pare_bench **out,
                   struct pare_error *err)
{
    struct pare_bench *b = calloc(1, sizeof *b);
    int rc = b ? PARE_OK : pare_error_nomem(err, sizeof *b);
    if (rc != PARE_OK)
        return rc;
    b->shape = *shape;
    b->classes = graph->values[graph->output].width;
    PARE_TRY(shape->phase == PARE_BENCH_WHOLE ? make_whole(b, graph, data, err)
                                              : make_phase(b, graph, err));
    PARE_TRY(run(b, 0, err)); /* touches all memory, so that visits start warm */
    *out = b;
    b = NULL;
out:
    pare_bench_free(b);
    return rc;
}

struct pare_plan *pare_bench_plan(struct pare_bench *bench)
{
    return bench->plan;
}

/* ---- what disturbs
 * ------------------------------------------------------------------------------- */

/* Ticks of all CPUs: stolen by the hypervisor, and all (proc(5): user nice system idle iowait irq
 * softirq steal; guest times are within user). */
static bool read_ticks(unsigned long long *stolen, unsigned long long *all)
{
    unsigned long long t[8] = {0};
    FILE *f = fopen("/proc/stat", "re");
    int n = 0;
    if (!f)
        return false;
    n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3], &t[4],
               &t[5], &t[6], &t[7]);
    fclose(f);
    *stolen = t[7];
    *all = 0;
    for (int i = 0; i < 8; i++)
        *all += t[i];
    return n == 8;
}

static double read_load(void)
{
    double load = NAN;
    FILE *f = fopen("/proc/loadavg", "re");
    if (f && fscanf(f, "%lf", &load) != 1)
        load = NAN;
    if (f)
        fclose(f);
    return load;
}

/* The present clock of the CPU that this thread is on: cpufreq's, else /proc/cpuinfo's; 0: not
 * known. */
static double read_mhz(void)
{
    const int cpu = sched_getcpu();
    char text[256];
    double mhz = 0, value;
    int at = -1;
    snprintf(text, sizeof text, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu);
    FILE *f = fopen(text, "re");
    if (f) {
        mhz = fscanf(f, "%lf", &value) == 1 ? value / 1000 : 0;
        fclose(f);
        return mhz;
    }
    f = fopen("/proc/cpuinfo", "re");
    while (f && mhz == 0 && fgets(text, sizeof text, f)) {
        if (sscanf(text, "processor : %d", &at) != 1 && at == cpu &&
            sscanf(text, "cpu MHz : %lf", &value) == 1)
            mhz = value;
    }
    if (f)
        fclose(f);
    return mhz;
}

/* ---- a visit
 * ------------------------------------------------------------------------------------- */

static uint32_t saturate(uint64_t ns)
{
    return ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

/* Run until warm; `*k` says how many inferences to time. */
static int warm_up(struct pare_bench *b, struct pare_visit *v, uint32_t *k, struct pare_error *err)
{
    const uint64_t start = pare_clock_ns();
    uint64_t now = start, fastest = UINT64_MAX;
    int rc = PARE_OK;
    for (uint32_t i = 0; i < WARM_RUNS || now - start < WARM_NS; i++) {
        const uint64_t before = pare_clock_ns();
        PARE_TRY(run(b, i, err));
        now = pare_clock_ns();
        fastest = PARE_MIN(fastest, now - before);
        if (i == 0 && !b->cache) /* phases read other inputs than an evaluation */
            pare_hash_bytes(b->logits, b->classes * sizeof *b->logits, v->first_logits);
        if (fastest > SLOW_NS) {
            *k = 1;
            goto out;
        }
    }
    const uint64_t wanted = (TIMED_NS + fastest - 1) / PARE_MAX(fastest, 1);
    *k = (uint32_t)PARE_MIN(PARE_MAX(wanted, RUNS_LEAST), RUNS_MOST);
out:
    return rc;
}

static void summarise(struct pare_visit *v)
{
    double sorted[RUNS_MOST];
    for (uint32_t i = 0; i < v->n; i++)
        sorted[i] = v->ns[i];
    pare_stat_sort(sorted, v->n);
    v->min_ns = (uint32_t)sorted[0];
    v->p50_ns = (uint32_t)lround(pare_stat_quantile(sorted, v->n, 0.5));
    v->p90_ns = (uint32_t)lround(pare_stat_quantile(sorted, v->n, 0.9));
    v->max_ns = (uint32_t)sorted[v->n - 1];
}

int pare_bench_visit(struct pare_bench *bench, struct pare_visit *out, struct pare_error *err)
{
    struct pare_visit v = {0};
    struct rusage before = {0}, after = {0};
    unsigned long long stolen[2], all[2];
    uint32_t k;
    int rc;
    PARE_TRY(warm_up(bench, &v, &k, err));
    const bool ticks = read_ticks(&stolen[0], &all[0]);
    getrusage(RUSAGE_THREAD, &before);
    for (uint32_t i = 0; i < k; i++) {
        const uint64_t start = pare_clock_ns();
        PARE_TRY(run(bench, i, err));
        v.ns[i] = saturate(pare_clock_ns() - start);
    }
    v.n = k;
    getrusage(RUSAGE_THREAD, &after);
    v.mhz = read_mhz();
    v.load1 = read_load();
    v.nivcsw = after.ru_nivcsw - before.ru_nivcsw;
    if (ticks && read_ticks(&stolen[1], &all[1]) && all[1] > all[0])
        v.steal = (double)(stolen[1] - stolen[0]) / (double)(all[1] - all[0]);
    summarise(&v);
    *out = v;
out:
    return rc;
}

/* Of a whole text of so many tokens. */
static int macs_to(struct pare_graph *g, uint32_t tokens, uint64_t *out, struct pare_error *err)
{
    *out = 0;
    if (!tokens)
        return PARE_OK;
    int rc = pare_graph_set_length(g, tokens, err);
    *out = pare_graph_macs(g);
    return rc;
}

int pare_bench_macs(const struct pare_graph *graph, const struct pare_bench_shape *shape,
                    uint64_t *out, struct pare_error *err)
{
    struct pare_graph *g = NULL;
    const int32_t head = pare_graph_writer(graph, graph->output);
    uint64_t before, after;
    int rc = PARE_OK;
    if (shape->phase == PARE_BENCH_WHOLE) {
        *out = pare_graph_macs(graph);
        return PARE_OK;
    }
    PARE_TRY(pare_graph_copy(graph, &g, err));
    PARE_TRY(macs_to(g, shape->depth, &before, err));
    PARE_TRY(macs_to(g, shape->depth + shape->tokens, &after, err));
    *out = after - before;
    if (shape->phase == PARE_BENCH_PREFILL && head >= 0) /* only the last token's output is made */
        *out -= pare_node_macs(g, &g->nodes[head]) / (shape->depth + shape->tokens) *
                (shape->tokens - 1);
out:
    pare_graph_free(g);
    return rc;
}
