/* SPDX-License-Identifier: Apache-2.0 */
/* Drop residual branches or whole blocks: by a score (ShortGPT, LLM-Drop), evenly spaced (Unified
 * Layer Skipping, with the rounding done right), by number, or each unit as an allocator decides
 * (FinerCut). */
#include <pare/plugin.h>

#include <math.h>
#include <string.h>

struct stage {
    struct pare_ctx *ctx;
    const struct pare_host *host;
    const struct pare_ext_model *model;
    const struct pare_unit **units; /* candidates, in execution order */
    uint8_t *drop;
    uint32_t n, kind;
    int declared;        /* by the user or an allocator: nothing was settled here */
    const double *score; /* by index; NULL: none took part */
};

/* With choose: each every branch is asked for itself; one that was decided per block answers for
 * its block. */
static int candidates(struct stage *s)
{
    const char *what, *how;
    int rc;
    if ((rc = s->host->get_text(s->ctx, NULL, "unit", &what)) != PARE_OK ||
        (rc = s->host->get_text(s->ctx, NULL, "choose", &how)) != PARE_OK)
        return rc;
    int blocks = strcmp(what, "block") == 0 && strcmp(how, "each") != 0;
    s->kind = blocks ? PARE_UNIT_BLOCK : PARE_UNIT_BRANCH;
    uint32_t all = s->model->count(s->ctx, s->kind);
    s->units = s->host->alloc(s->ctx, all + 1u, sizeof *s->units);
    s->drop = s->host->alloc(s->ctx, all + 1u, 1);
    if (!s->units || !s->drop)
        return PARE_NOMEM;
    const char *role = strcmp(what, "attention") == 0 ? "attention"
                       : strcmp(what, "ffn") == 0     ? "feed_forward"
                                                      : NULL;
    for (uint32_t i = 0; i < all; i++) {
        const struct pare_unit *u = s->model->unit(s->ctx, s->kind, i);
        if (!role || strcmp(u->role, role) == 0)
            s->units[s->n++] = u;
    }
    return PARE_OK;
}

static int count_of(struct stage *s, uint32_t *count)
{
    int64_t wanted;
    int rc = s->host->get_int(s->ctx, NULL, "count", &wanted);
    if (rc != PARE_OK)
        return rc;
    if (wanted > s->n)
        return s->host->error(s->ctx, PARE_INVALID, "count is %lld, but there are %u to drop from",
                              (long long)wanted, s->n);
    *count = (uint32_t)wanted;
    return PARE_OK;
}

/* The least important go; among equals the later one. */
static int by_score(struct stage *s)
{
    const struct pare_ext_scored *scored = s->host->extension(s->ctx, PARE_EXT_SCORED);
    uint32_t count;
    int rc = count_of(s, &count);
    if (rc != PARE_OK)
        return rc;
    if (!scored)
        return s->host->error(s->ctx, PARE_UNSUPPORTED, "this host has no scores");
    if ((rc = scored->importance(s->ctx, "score", s->kind, &s->score)) != PARE_OK)
        return rc;
    for (; count > 0; count--) {
        uint32_t least = s->n;
        for (uint32_t i = 0; i < s->n; i++) {
            if (!s->drop[i] &&
                (least == s->n || s->score[s->units[i]->index] <= s->score[s->units[least]->index]))
                least = i;
        }
        s->drop[least] = 1;
    }
    return PARE_OK;
}

/* Keep R = n - count units at round(j (n - 1) / (R - 1)), the first and the last among them. */
static int evenly(struct stage *s)
{
    uint32_t count;
    int rc = count_of(s, &count);
    if (rc != PARE_OK)
        return rc;
    uint32_t kept = s->n - count;
    memset(s->drop, 1, s->n);
    for (uint32_t j = 0; j < kept; j++)
        s->drop[kept == 1 ? 0 : (2 * j * (s->n - 1) + kept - 1) / (2 * (kept - 1))] = 0;
    return PARE_OK;
}

static int by_number(struct stage *s, const int64_t *layers, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        int found = 0;
        for (uint32_t i = 0; i < s->n; i++) {
            if (s->units[i]->block == layers[k])
                s->drop[i] = (uint8_t)(found = 1);
        }
        if (!found)
            return s->host->error(s->ctx, PARE_INVALID, "layer %lld has nothing to drop (any more)",
                                  (long long)layers[k]);
    }
    return PARE_OK;
}

static int each(struct stage *s)
{
    s->declared = 1;
    for (uint32_t i = 0; i < s->n; i++) {
        int64_t drop;
        int rc = s->host->get_int(s->ctx, s->units[i], "drop", &drop);
        if (rc != PARE_OK)
            return rc;
        s->drop[i] = drop != 0;
    }
    return PARE_OK;
}

static int choose(struct stage *s)
{
    const char *how;
    const int64_t *layers;
    uint32_t n;
    int rc;
    if ((rc = s->host->get_text(s->ctx, NULL, "choose", &how)) != PARE_OK ||
        (rc = s->host->get_ints(s->ctx, NULL, "layers", &layers, &n)) != PARE_OK)
        return rc;
    if (strcmp(how, "layers") == 0)
        return by_number(s, layers, n);
    if (strcmp(how, "even") == 0)
        return evenly(s);
    return strcmp(how, "each") == 0 ? each(s) : by_score(s);
}

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_surgery *surgery = host->extension(ctx, PARE_EXT_SURGERY);
    struct stage s = {.ctx = ctx, .host = host, .model = host->extension(ctx, PARE_EXT_MODEL)};
    const char *replace;
    int rc;
    if (!s.model || !PARE_HAS(surgery, drop))
        return host->error(ctx, PARE_UNSUPPORTED, "this host cannot drop branches");
    if ((rc = candidates(&s)) != PARE_OK || (rc = choose(&s)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "replace", &replace)) != PARE_OK)
        return rc;
    uint32_t by = replace[0] == 'm'   ? PARE_REPLACE_MEAN
                  : replace[0] == 'l' ? PARE_REPLACE_LINEAR
                                      : PARE_REPLACE_NOTHING;
    for (uint32_t i = 0; i < s.n && rc == PARE_OK; i++) {
        if (!s.declared && PARE_HAS(host, decided))
            rc = host->decided(ctx, s.units[i], "drop", s.drop[i],
                               s.score ? s.score[s.units[i]->index] : (double)NAN);
        if (rc == PARE_OK && s.drop[i])
            rc = surgery->drop(ctx, s.units[i], by);
    }
    return rc;
}

static int check(struct pare_ctx *ctx, const struct pare_host *host)
{
    const char *how, *what;
    const int64_t *layers;
    uint32_t n;
    int rc;
    if ((rc = host->get_text(ctx, NULL, "choose", &how)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "unit", &what)) != PARE_OK ||
        (rc = host->get_ints(ctx, NULL, "layers", &layers, &n)) != PARE_OK)
        return rc;
    if (strcmp(how, "each") == 0 && (strcmp(what, "attention") == 0 || strcmp(what, "ffn") == 0))
        return host->error(ctx, PARE_INVALID,
                           "choose: each takes its units from 'on', as role:attention, not from "
                           "unit: %s",
                           what);
    if ((strcmp(how, "layers") == 0) != (n != 0))
        return host->error(ctx, PARE_INVALID, "'layers' and choose: layers go together");
    struct stage s = {.ctx = ctx, .host = host, .model = host->extension(ctx, PARE_EXT_MODEL)};
    uint32_t count;
    if (!s.model || strcmp(how, "each") == 0)
        return PARE_OK;
    if ((rc = candidates(&s)) != PARE_OK)
        return rc;
    return strcmp(how, "layers") == 0 ? by_number(&s, layers, n) : count_of(&s, &count);
}

static const struct pare_param params[] = {
    {.name = "unit",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "block",
     .choices = "block|attention|ffn|any",
     .help =
         "what is dropped: whole blocks, attention branches, feed-forward branches, or any branch"},
    {.name = "count",
     .type = PARE_INT,
     .min = 0,
     .max = 4096,
     .dflt = "1",
     .identity = "0",
     .unit = "units",
     .search = "1,2,3,4",
     .when = "choose=score|even",
     .help = "how many, for choose: score and choose: even"},
    {.name = "choose",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "score",
     .choices = "score|even|layers|each",
     .help = "by the lowest score, evenly spaced, the numbers in 'layers', or each unit by 'drop'"},
    {.name = "score",
     .type = PARE_SCORED,
     .min = 1,
     .max = 0,
     .dflt = "cosine",
     .when = "choose=score",
     .help = "the score for choose: score"},
    {.name = "layers",
     .type = PARE_INTS,
     .min = 0,
     .max = 4096,
     .when = "choose=layers",
     .help = "numbers of the layers, from 0, for choose: layers"},
    {.name = "drop",
     .type = PARE_BOOL,
     .min = 1,
     .max = 0,
     .dflt = "false",
     .varies = PARE_UNIT_BRANCH | PARE_UNIT_BLOCK,
     .when = "choose=each",
     .help = "for choose: each, whether a unit goes; by hand or by an allocator"},
    {.name = "replace",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "nothing",
     .choices = "nothing|mean|linear",
     .help = "what takes its place: nothing, its mean output, or a least-squares linear map"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "layer-drop",
    .version = "1.0.0",
    .summary = "drop blocks, attention branches or feed-forward branches",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation =
        "Men et al.: ShortGPT, arXiv:2403.03853; He et al.: What Matters in Transformers, "
        "arXiv:2406.15786; Zhang et al.: FinerCut, arXiv:2405.18218; Liu et al.: Unified Layer "
        "Skipping, arXiv:2404.06954",
    .label = "drop{count}",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .needs = PARE_NEEDS_DATA,
    .unit_kind = PARE_UNIT_BRANCH | PARE_UNIT_BLOCK,
    .precedes = "token-merge",
    PARE_PLUGIN_PARAMS(params),
    .apply = apply,
    .check = check,
    .needs_when = "replace=mean|linear",
};

PARE_PLUGIN(plugin)
