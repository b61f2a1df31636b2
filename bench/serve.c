/* SPDX-License-Identifier: Apache-2.0 */
/* Pare's engine as a process that is told what to do, line by line, so that a driver can time it in
 * turn with other engines (bench/peers). After one line of JSON it answers
 *
 *     input FILE     floats of `batch` images
 *     output FILE    write the logits of the input
 *     run K          K times in ns, one for each run over the batch
 *     profile K      a line of JSON: mean ns, kernel and MACs of every node over K runs
 */
#include "config.h"

#include <inttypes.h>
#include <jansson.h>

#include "bench/variant.h"

#include "base/clock.h"
#include "engine/plan.h"

struct settings {
    uint32_t batch, threads;
    int isa;
    struct variant variant;
};

/* NAME=VALUE; false: not known. */
static bool set(struct settings *s, const char *word)
{
    const struct {
        const char *name;
        uint32_t *to;
    } numbers[] = {
        {"batch=", &s->batch},
        {"threads=", &s->threads},
        {"density=", &s->variant.density},
        {"drop=", &s->variant.drop},
        {"heads=", &s->variant.heads},
        {"channels=", &s->variant.channels},
        {"merge=", &s->variant.merge},
    };
    for (size_t i = 0; i < PARE_COUNT(numbers); i++) {
        size_t n = strlen(numbers[i].name);
        if (strncmp(word, numbers[i].name, n) == 0)
            return sscanf(word + n, "%" SCNu32, numbers[i].to) == 1;
    }
    for (size_t i = 0; i < PARE_COUNT(encodings); i++) {
        if (strncmp(word, "encoding=", 9) == 0 && strcmp(word + 9, encodings[i].name) == 0) {
            s->variant.encoding = &encodings[i];
            return true;
        }
    }
    for (int isa = 0; isa < PARE_ISA_COUNT; isa++) {
        if (strncmp(word, "isa=", 4) == 0 &&
            strcmp(word + 4, pare_isa_name((enum pare_isa)isa)) == 0) {
            s->isa = isa;
            return isa <= (int)pare_isa_best();
        }
    }
    return false;
}

struct server {
    struct pare_model *model;
    struct pare_plan *plan;
    const struct settings *settings;
    float *images, *logits;
    size_t n_images, n_logits;
};

static int run(struct server *s, struct pare_error *err)
{
    return pare_plan_run(s->plan, s->images, s->settings->batch, s->logits, err);
}

static int transfer(const char *file, const char *mode, float *data, size_t n,
                    struct pare_error *err)
{
    FILE *f = fopen(file, mode);
    if (!f)
        return pare_error_errno(err, "cannot open %s", file);
    size_t done = *mode == 'r' ? fread(data, sizeof *data, n, f) : fwrite(data, sizeof *data, n, f);
    if (fclose(f) || done != n)
        return pare_error_set(err, PARE_IO, "%s: %zu of %zu numbers", file, done, n);
    return PARE_OK;
}

static int profile(struct server *s, unsigned times, struct pare_error *err)
{
    const struct pare_node_report *reports;
    uint32_t n = pare_plan_reports(s->plan, &reports);
    json_t *nodes = json_array();
    int rc = PARE_OK;
    pare_plan_profile(s->plan, true);
    uint64_t *before = pare_calloc(n, sizeof *before);
    if (!before || !nodes)
        rc = pare_error_nomem(err, 0);
    for (uint32_t i = 0; rc == PARE_OK && i < n; i++)
        before[i] = pare_plan_times(s->plan)[i];
    for (unsigned i = 0; i < times && rc == PARE_OK; i++)
        rc = run(s, err);
    for (uint32_t i = 0; rc == PARE_OK && i < n; i++)
        json_array_append_new(
            nodes, json_pack("{s:s, s:s, s:I, s:f}", "path", reports[i].path, "kernel",
                             reports[i].kernel, "macs", (json_int_t)reports[i].macs, "ns",
                             (double)(pare_plan_times(s->plan)[i] - before[i]) / times));
    pare_plan_profile(s->plan, false);
    if (rc == PARE_OK) {
        json_dumpf(nodes, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(nodes);
    free(before);
    return rc;
}

static int answer(struct server *s, const char *line, struct pare_error *err)
{
    unsigned times;
    int rc = PARE_OK;
    if (strncmp(line, "input ", 6) == 0) {
        rc = transfer(line + 6, "rb", s->images, s->n_images, err);
        if (rc == PARE_OK)
            puts("ok");
    } else if (strncmp(line, "output ", 7) == 0) {
        PARE_TRY(run(s, err));
        PARE_TRY(transfer(line + 7, "wb", s->logits, s->n_logits, err));
        puts("ok");
    } else if (sscanf(line, "run %u", &times) == 1) {
        for (unsigned i = 0; i < times && rc == PARE_OK; i++) {
            uint64_t start = pare_clock_ns();
            rc = run(s, err);
            printf("%s%" PRIu64, i ? " " : "", pare_clock_ns() - start);
        }
        putchar('\n');
    } else if (sscanf(line, "profile %u", &times) == 1 && times > 0) {
        rc = profile(s, times, err);
    } else {
        rc = pare_error_set(err, PARE_INVALID, "unknown request: %s", line);
    }
out:
    fflush(stdout);
    return rc;
}

static int start(struct server *s, const char *path, struct pare_error *err)
{
    int rc;
    PARE_TRY(pare_model_open(path, &s->model, err));
    struct pare_graph *g = s->model->graph;
    PARE_TRY(variant_change(g, &s->settings->variant, err));
    PARE_TRY(variant_encode(g, &s->settings->variant, err));
    const struct pare_plan_options options = {
        .batch = s->settings->batch, .threads = s->settings->threads, .isa = s->settings->isa};
    PARE_TRY(pare_plan_new(g, &options, &s->plan, err));
    s->n_images = s->settings->batch * pare_graph_inputs(g);
    s->n_logits = (size_t)s->settings->batch * g->values[g->output].width;
    s->images = pare_calloc(s->n_images, sizeof *s->images);
    s->logits = pare_calloc(s->n_logits, sizeof *s->logits);
    if (!s->images || !s->logits)
        rc = pare_error_nomem(err, 0);
    enum pare_isa isa = s->settings->isa < 0 ? pare_isa_best() : (enum pare_isa)s->settings->isa;
    printf("{\"engine\": \"pare %s\", \"isa\": \"%s\", \"macs\": %" PRIu64 "}\n", PACKAGE_VERSION,
           pare_isa_name(isa), pare_graph_macs(g));
    fflush(stdout);
out:
    return rc;
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .batch = 1, .threads = 1, .isa = -1, .variant = {.encoding = &encodings[0]}};
    struct server server = {.settings = &settings};
    struct pare_error err = {0};
    char line[4096];
    bool good = argc > 1;
    for (int i = 2; i < argc; i++)
        good = good && set(&settings, argv[i]);
    if (!good || !settings.batch || !settings.threads) {
        fprintf(stderr,
                "usage: %s MODEL [batch=N] [threads=N] [isa=NAME] [encoding=NAME] "
                "[density=PERCENT] [drop=N] [heads=N] [channels=N] [merge=N]\n",
                argv[0]);
        return 2;
    }
    pare_flush_denormals();
    int rc = start(&server, argv[1], &err);
    while (rc == PARE_OK && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        rc = answer(&server, line, &err);
    }
    if (rc != PARE_OK)
        fprintf(stderr, "%s: %s; %s\n", argv[0], err.what, err.detail);
    pare_plan_free(server.plan);
    pare_model_free(server.model);
    free(server.images);
    free(server.logits);
    return rc == PARE_OK ? 0 : 1;
}
