/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show_profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/stat.h"

enum { WARM_UP = 10 };

/* One model being profiled. */
struct subject {
    struct pare_graph *graph; /* an own copy */
    struct pare_plan *plan;
    struct pare_profile *profile;
    float *images, *logits;
    double *samples; /* [n nodes + 1][runs]; the last are the whole inference */
    uint64_t *before;
};

static uint64_t stored_bytes(const struct pare_node *node)
{
    const struct pare_blob *const blobs[] = {node->bias, node->a, node->b};
    uint64_t bytes = node->weight ? pare_weight_bytes(node->weight) : 0;
    for (size_t i = 0; i < PARE_COUNT(blobs); i++)
        bytes += blobs[i] ? pare_round_up(blobs[i]->size, PARE_ALIGN) : 0;
    return bytes;
}

static int begin(struct subject *s, const struct pare_graph *graph,
                 const struct pare_profile_shape *shape, struct pare_error *err)
{
    const uint32_t batch = shape->batch, runs = shape->runs;
    const struct pare_plan_options options = {.batch = batch, .threads = shape->threads, .isa = -1};
    const struct pare_node_report *reports;
    struct pare_profile *p = s->profile;
    struct pare_random random;
    int rc = pare_graph_copy(graph, &s->graph, err);
    const struct pare_graph *g = s->graph;
    if (rc == PARE_OK && shape->tokens && pare_graph_reads_text(g))
        rc = pare_graph_set_length(s->graph, shape->tokens, err);
    if (rc == PARE_OK)
        rc = pare_plan_new(g, &options, &s->plan, err);
    if (rc != PARE_OK)
        return rc;
    const size_t image = batch * pare_graph_inputs(g);
    p->n = pare_plan_reports(s->plan, &reports);
    p->ns = pare_pool_alloc(&p->pool, p->n, sizeof *p->ns);
    p->reports = pare_pool_alloc(&p->pool, p->n, sizeof *p->reports);
    p->op = pare_pool_alloc(&p->pool, p->n, 1);
    p->bytes = pare_pool_alloc(&p->pool, p->n, sizeof *p->bytes);
    s->images = pare_alloc_aligned(image, sizeof *s->images);
    s->logits = pare_alloc_aligned(batch * pare_graph_outputs(g), sizeof *s->logits);
    s->samples = pare_alloc((size_t)(p->n + 1) * runs, sizeof *s->samples);
    s->before = pare_calloc(p->n, sizeof *s->before);
    if (!p->ns || !p->reports || !p->op || !p->bytes || !s->images || !s->logits || !s->samples ||
        !s->before)
        return pare_error_nomem(err, image * sizeof *s->images);
    for (uint32_t i = 0; i < p->n; i++) {
        p->reports[i] = reports[i];
        p->reports[i].path = pare_pool_strdup(&p->pool, reports[i].path);
        p->reports[i].kernel = pare_pool_strdup(&p->pool, reports[i].kernel);
        p->op[i] = g->nodes[i].op;
        p->bytes[i] = stored_bytes(&g->nodes[i]);
        if (!p->reports[i].path || !p->reports[i].kernel)
            return pare_error_nomem(err, 0);
    }
    pare_random_seed(&random, 1);
    for (size_t i = 0; i < image; i++)
        s->images[i] = pare_graph_reads_text(g) ? (float)pare_random_below(&random, g->vocabulary)
                                                : (float)pare_random_normal(&random);
    pare_plan_profile(s->plan, true);
    return PARE_OK;
}

static int one_run(struct subject *s, uint32_t batch, uint32_t runs, uint32_t run,
                   struct pare_error *err)
{
    const uint64_t *times = pare_plan_times(s->plan);
    uint32_t n = s->profile->n;
    memcpy(s->before, times, n * sizeof *times);
    uint64_t start = pare_clock_ns();
    int rc = pare_plan_run(s->plan, s->images, batch, s->logits, err);
    if (rc != PARE_OK || run < WARM_UP)
        return rc;
    size_t at = run - WARM_UP;
    s->samples[(size_t)n * runs + at] = (double)(pare_clock_ns() - start);
    for (uint32_t i = 0; i < n; i++)
        s->samples[(size_t)i * runs + at] = (double)(times[i] - s->before[i]);
    return PARE_OK;
}

static void finish(struct subject *s, uint32_t batch, uint32_t runs)
{
    struct pare_profile *p = s->profile;
    for (uint32_t i = 0; i < p->n; i++)
        p->ns[i] = pare_stat_median(&s->samples[(size_t)i * runs], runs) / batch;
    p->total_ns = pare_stat_median(&s->samples[(size_t)p->n * runs], runs) / batch;
}

int pare_profile_run(const struct pare_graph *const *graphs, size_t n,
                     const struct pare_profile_shape *shape, struct pare_profile *const *out,
                     struct pare_error *err)
{
    const uint32_t batch = shape->batch, runs = shape->runs;
    struct subject *subjects = pare_calloc(n, sizeof *subjects);
    int rc = PARE_OK;
    if (!subjects)
        return pare_error_nomem(err, 0);
    for (size_t i = 0; i < n; i++) {
        subjects[i].profile = out[i];
        PARE_TRY(begin(&subjects[i], graphs[i], shape, err));
    }
    for (uint32_t run = 0; run < runs + WARM_UP; run++) {
        for (size_t i = 0; i < n; i++)
            PARE_TRY(one_run(&subjects[i], batch, runs, run, err));
    }
    for (size_t i = 0; i < n; i++)
        finish(&subjects[i], batch, runs);
out:
    for (size_t i = 0; i < n; i++) {
        pare_plan_free(subjects[i].plan);
        pare_graph_free(subjects[i].graph);
        free(subjects[i].images);
        free(subjects[i].logits);
        free(subjects[i].samples);
        free(subjects[i].before);
    }
    free(subjects);
    return rc;
}

void pare_profile_free(struct pare_profile *profile)
{
    pare_pool_free(&profile->pool);
    *profile = (struct pare_profile){0};
}

bool pare_profile_print(const struct pare_profile *profile, enum pare_format format, FILE *to)
{
    static const char *const names[] = {"node",        "kernel", "us",           "share",  "macs",
                                        "ns_per_kmac", "bytes",  "packed_bytes", "decoded"};
    bool people = format == PARE_FORMAT_TABLE || format == PARE_FORMAT_MARKDOWN;
    struct pare_table t = {0};
    double sum = 0;
    char text[64];
    for (size_t i = 0; i < PARE_COUNT(names); i++)
        pare_table_column(&t, names[i]);
    for (uint32_t i = 0; i < profile->n; i++)
        sum += profile->ns[i];
    for (uint32_t i = 0; i < profile->n; i++) {
        const struct pare_node_report *r = &profile->reports[i];
        double per = r->macs ? profile->ns[i] / (double)r->macs * 1e3 : (double)NAN;
        pare_table_text(&t, r->path);
        pare_table_text(&t, r->kernel);
        snprintf(text, sizeof text, "%.1f", profile->ns[i] / 1e3);
        pare_table_number(&t, profile->ns[i] / 1e3, people ? text : NULL);
        snprintf(text, sizeof text, "%.1f%%", 100 * profile->ns[i] / sum);
        pare_table_number(&t, profile->ns[i] / sum, people ? text : NULL);
        pare_show_count((double)r->macs, text);
        pare_table_number(&t, (double)r->macs, people ? text : NULL);
        snprintf(text, sizeof text, "%.1f", per);
        pare_table_number(&t, per, people ? text : NULL);
        pare_show_bytes((double)profile->bytes[i], text);
        pare_table_number(&t, (double)profile->bytes[i], people ? text : NULL);
        pare_show_bytes((double)r->packed_bytes, text);
        pare_table_number(&t, (double)r->packed_bytes, people ? text : NULL);
        pare_table_text(&t, r->decoded ? "yes" : NULL);
    }
    return pare_table_print(&t, format, to);
}
