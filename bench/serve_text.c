/* SPDX-License-Identifier: Apache-2.0 */
/* Pare's engine on a text, by the line protocol of bench/protocol.h. Inputs are the ids of `depth`
 * tokens, which are read beforehand, and of `tokens` more, which a run reads at once
 * (phase=prefill) or one by one (phase=decode). Outputs are the logits of the last of them or, with
 * outputs=all, of each; of a model that pools, its embedding of the text. Besides:
 *
 *     tokens TEXT FILE    write the ids of the text in a file, as this model's tokenizer has them
 */
#include "config.h"

#include "bench/protocol.h"

#include "base/file.h"
#include "engine/text.h"
#include "measure/tokens.h"
#include "model/model.h"

#define PREFILL_TOKENS 512u /* most that are read at once, as in `pare bench` */
#define DECODE_TOKENS 64u

struct settings {
    uint32_t threads, tokens, depth;
    bool decode, all;
};

struct engine {
    struct server server;
    const struct settings *settings;
    struct pare_model *model;
    struct pare_graph *graph; /* with the length of a pass */
    struct pare_plan *plan;
    struct pare_cache *cache; /* NULL: the model pools */
    int32_t *ids;
    uint32_t width; /* of an output */
};

/* NAME=VALUE; false: not known. */
static bool set(struct settings *s, const char *word)
{
    const struct {
        const char *name;
        uint32_t *to;
    } numbers[] = {{"threads=", &s->threads}, {"tokens=", &s->tokens}, {"depth=", &s->depth}};
    const struct {
        const char *word;
        bool *to, value;
    } words[] = {{"phase=prefill", &s->decode, false},
                 {"phase=decode", &s->decode, true},
                 {"outputs=last", &s->all, false},
                 {"outputs=all", &s->all, true}};
    for (size_t i = 0; i < PARE_COUNT(numbers); i++) {
        size_t n = strlen(numbers[i].name);
        if (strncmp(word, numbers[i].name, n) == 0)
            return sscanf(word + n, "%" SCNu32, numbers[i].to) == 1;
    }
    for (size_t i = 0; i < PARE_COUNT(words); i++) {
        if (strcmp(word, words[i].word) == 0) {
            *words[i].to = words[i].value;
            return true;
        }
    }
    return false;
}

static int read_ids(struct engine *e, uint32_t at, uint32_t n, bool all, float *out,
                    struct pare_error *err)
{
    const struct pare_text text = {e->ids + at, n, 0, all};
    return pare_plan_read(e->plan, e->cache, &text, 1, out, err);
}

/* A new input: what a run begins behind. */
static int begin(struct engine *e, struct pare_error *err)
{
    const struct settings *s = e->settings;
    for (size_t i = 0; i < e->server.n_inputs; i++)
        e->ids[i] = (int32_t)e->server.inputs[i];
    e->server.fresh = false;
    if (!e->cache)
        return PARE_OK;
    pare_cache_cut(e->cache, 0, 0);
    return s->depth ? read_ids(e, 0, s->depth, false, e->server.outputs, err) : PARE_OK;
}

static int run(struct server *server, struct pare_error *err)
{
    struct engine *e = (struct engine *)server;
    const struct settings *s = e->settings;
    float *out = server->outputs;
    int rc = PARE_OK;
    if (server->fresh)
        PARE_TRY(begin(e, err));
    if (e->cache)
        pare_cache_cut(e->cache, 0, s->depth);
    if (!s->decode)
        return read_ids(e, s->depth, s->tokens, s->all, out, err);
    for (uint32_t i = 0; i < s->tokens && rc == PARE_OK; i++, out += s->all ? e->width : 0)
        rc = read_ids(e, s->depth + i, 1, false, out, err);
out:
    return rc;
}

static int write_tokens(struct engine *e, const char *text, const char *file,
                        struct pare_error *err)
{
    struct pare_tokenizer *tokenizer = NULL;
    struct pare_ids ids = {0};
    float *numbers = NULL;
    char *data = NULL;
    size_t size;
    int rc;
    PARE_TRY(pare_file_read(text, (size_t)64 << 20, &data, &size, err));
    PARE_TRY(pare_model_tokenizer(e->model, &tokenizer, err));
    PARE_TRY(pare_tokenizer_encode(tokenizer, data, size, PARE_ENCODE_ADD, &ids, err));
    numbers = pare_alloc(ids.n, sizeof *numbers);
    PARE_TRY(numbers ? PARE_OK : pare_error_nomem(err, ids.n));
    for (size_t i = 0; i < ids.n; i++)
        numbers[i] = (float)ids.ids[i]; /* exact: vocabularies have far less than 2^24 */
    PARE_TRY(server_transfer(file, "wb", numbers, ids.n, err));
    puts("ok");
out:
    pare_tokenizer_free(tokenizer);
    pare_ids_free(&ids);
    free(numbers);
    free(data);
    return rc;
}

static int more(struct server *server, const char *line, bool *known, struct pare_error *err)
{
    char text[2048], file[2048];
    *known = sscanf(line, "tokens %2047s %2047s", text, file) == 2;
    return *known ? write_tokens((struct engine *)server, text, file, err) : PARE_OK;
}

/* Bytes of weights as they are packed for their products: what each token reads. */
static uint64_t packed_bytes(const struct pare_plan *plan)
{
    const struct pare_node_report *reports;
    const uint32_t n = pare_plan_reports(plan, &reports);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += reports[i].packed_bytes;
    return bytes;
}

static int start(struct engine *e, const char *path, struct pare_error *err)
{
    const struct settings *s = e->settings;
    const uint32_t context = s->depth + s->tokens,
                   most = s->decode ? DECODE_TOKENS : PREFILL_TOKENS;
    const struct pare_plan_options options = {
        .batch = 1, .threads = s->threads, .isa = -1, .wanted = s->all ? 0 : 1, .context = context};
    int rc;
    PARE_TRY(pare_model_open(path, &e->model, err));
    const bool pools = e->model->graph->values[e->model->graph->output].tokens == 1;
    PARE_TRY(pare_graph_copy(e->model->graph, &e->graph, err));
    PARE_TRY(pare_graph_set_length(e->graph, PARE_MIN(context, most), err));
    PARE_TRY(pare_plan_new(e->graph, &options, &e->plan, err));
    e->width = e->graph->values[e->graph->output].width;
    if (!pools)
        PARE_TRY(pare_cache_new(e->plan, 1, context, &e->cache, err));
    e->ids = pare_alloc(context, sizeof *e->ids);
    PARE_TRY(e->ids ? PARE_OK : pare_error_nomem(err, context));
    PARE_TRY(server_room(&e->server, context, (size_t)e->width * (s->all ? s->tokens : 1), err));
    printf("{\"engine\": \"pare %s\", \"isa\": \"%s\", \"weights\": %" PRIu64
           ", \"cache\": %" PRIu64 "}\n",
           PACKAGE_VERSION, pare_isa_name(pare_isa_best()), packed_bytes(e->plan),
           e->cache ? pare_cache_bytes(e->cache) : 0);
out:
    return rc;
}

int main(int argc, char **argv)
{
    struct settings settings = {.threads = 1, .tokens = 128};
    struct engine engine = {.server = {.run = run, .more = more}, .settings = &settings};
    struct pare_error err = {0};
    bool good = argc > 1;
    for (int i = 2; i < argc; i++)
        good = good && set(&settings, argv[i]);
    if (!good || !settings.threads || !settings.tokens || settings.depth > 1u << 20 ||
        settings.tokens > 1u << 20) {
        fprintf(stderr,
                "usage: %s MODEL [threads=N] [tokens=N] [depth=N] [phase=prefill|decode] "
                "[outputs=last|all]\n",
                argv[0]);
        return 2;
    }
    pare_flush_denormals();
    const int rc = start(&engine, argv[1], &err);
    const int status = server_serve(&engine.server, argv[0], rc, &err);
    pare_cache_free(engine.cache);
    pare_plan_free(engine.plan);
    pare_graph_free(engine.graph);
    pare_model_free(engine.model);
    free(engine.ids);
    return status;
}
