/* SPDX-License-Identifier: Apache-2.0 */
/* Pare's engine on images, by the line protocol of bench/protocol.h; inputs are `batch` images.
 * Besides:
 *
 *     profile K      a line of JSON: mean ns, kernel and MACs of every node over K runs
 */
#include "config.h"

#include <jansson.h>

#include "bench/protocol.h"
#include "bench/variant.h"

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

struct engine {
    struct server server;
    struct pare_model *model;
    struct pare_plan *plan;
    const struct settings *settings;
};

static int run(struct server *server, struct pare_error *err)
{
    struct engine *e = (struct engine *)server;
    return pare_plan_run(e->plan, server->inputs, e->settings->batch, server->outputs, err);
}

static int profile(struct engine *s, unsigned times, struct pare_error *err)
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
        rc = run(&s->server, err);
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

static int more(struct server *server, const char *line, bool *known, struct pare_error *err)
{
    unsigned times;
    *known = sscanf(line, "profile %u", &times) == 1 && times > 0;
    return *known ? profile((struct engine *)server, times, err) : PARE_OK;
}

static int start(struct engine *s, const char *path, struct pare_error *err)
{
    int rc;
    PARE_TRY(pare_model_open(path, &s->model, err));
    struct pare_graph *g = s->model->graph;
    PARE_TRY(variant_change(g, &s->settings->variant, err));
    PARE_TRY(variant_encode(g, &s->settings->variant, err));
    const struct pare_plan_options options = {
        .batch = s->settings->batch, .threads = s->settings->threads, .isa = s->settings->isa};
    PARE_TRY(pare_plan_new(g, &options, &s->plan, err));
    PARE_TRY(server_room(&s->server, s->settings->batch * pare_graph_inputs(g),
                         (size_t)s->settings->batch * g->values[g->output].width, err));
    enum pare_isa isa = s->settings->isa < 0 ? pare_isa_best() : (enum pare_isa)s->settings->isa;
    printf("{\"engine\": \"pare %s\", \"isa\": \"%s\", \"macs\": %" PRIu64 "}\n", PACKAGE_VERSION,
           pare_isa_name(isa), pare_graph_macs(g));
out:
    return rc;
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .batch = 1, .threads = 1, .isa = -1, .variant = {.encoding = &encodings[0]}};
    struct engine engine = {.server = {.run = run, .more = more}, .settings = &settings};
    struct pare_error err = {0};
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
    const int rc = start(&engine, argv[1], &err);
    const int status = server_serve(&engine.server, argv[0], rc, &err);
    pare_plan_free(engine.plan);
    pare_model_free(engine.model);
    return status;
}
