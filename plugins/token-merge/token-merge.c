/* SPDX-License-Identifier: Apache-2.0 */
/* Token merging (Bolya et al., ICLR 2023, arXiv:2210.09461): after the attention of a layer the r
 * most similar pairs of tokens become one each. The operation itself is the engine's; this sets how
 * many. */
#include <pare/plugin.h>

#include <string.h>

/* How many pairs merge at stream point `i` of `n`. */
static int pairs_at(struct pare_ctx *ctx, const struct pare_host *host,
                    const struct pare_unit *unit, uint32_t i, uint32_t n, int64_t *r)
{
    const char *schedule;
    const int64_t *list;
    uint32_t length;
    int rc;
    if ((rc = host->get_int(ctx, unit, "r", r)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "schedule", &schedule)) != PARE_OK ||
        (rc = host->get_ints(ctx, NULL, "list", &list, &length)) != PARE_OK)
        return rc;
    if (strcmp(schedule, "decreasing") == 0) { /* linear, from 2 r down to 0 */
        *r = n > 1 ? 2 * *r * (int64_t)(n - 1 - i) / (int64_t)(n - 1) : *r;
    } else if (strcmp(schedule, "list") == 0) {
        if (length != n)
            return host->error(ctx, PARE_INVALID,
                               "list has %u numbers, tokens can merge at %u points", length, n);
        *r = list[i];
    }
    return PARE_OK;
}

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    const struct pare_ext_model *model = host->extension(ctx, PARE_EXT_MODEL);
    const struct pare_ext_surgery *surgery = host->extension(ctx, PARE_EXT_SURGERY);
    int rc = PARE_OK;
    if (!model || !PARE_HAS(surgery, merge_tokens))
        return host->error(ctx, PARE_UNSUPPORTED, "this host cannot merge tokens");
    uint32_t n = model->count(ctx, PARE_UNIT_STREAM);
    for (uint32_t i = 0; i < n && rc == PARE_OK; i++) {
        const struct pare_unit *unit = model->unit(ctx, PARE_UNIT_STREAM, i);
        int64_t r = 0;
        rc = pairs_at(ctx, host, unit, i, n, &r);
        if (rc == PARE_OK && r > 0)
            rc = surgery->merge_tokens(ctx, unit, (uint32_t)r);
    }
    return rc;
}

static int check(struct pare_ctx *ctx, const struct pare_host *host)
{
    const char *schedule;
    const int64_t *list;
    uint32_t n;
    int rc;
    if ((rc = host->get_text(ctx, NULL, "schedule", &schedule)) != PARE_OK ||
        (rc = host->get_ints(ctx, NULL, "list", &list, &n)) != PARE_OK)
        return rc;
    if (strcmp(schedule, "list") == 0 && n == 0)
        return host->error(ctx, PARE_INVALID, "schedule: list needs the numbers in 'list'");
    if (strcmp(schedule, "list") != 0 && n != 0)
        return host->error(ctx, PARE_INVALID, "'list' is given, but the schedule is %s", schedule);
    return PARE_OK;
}

static const struct pare_param params[] = {
    {.name = "r",
     .type = PARE_INT,
     .min = 0,
     .max = 65536,
     .dflt = "2",
     .identity = "0",
     .unit = "pairs",
     .search = "1,2,4,8",
     .varies = PARE_UNIT_STREAM,
     .help = "pairs of tokens that merge in each layer"},
    {.name = "schedule",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "constant",
     .choices = "constant|decreasing|list",
     .help = "r everywhere, falling linearly from 2 r to 0, or the numbers in 'list'"},
    {.name = "list",
     .type = PARE_INTS,
     .min = 0,
     .max = 65536,
     .help = "for schedule: list, the pairs at each point where tokens can merge"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "token-merge",
    .version = "1.0.0",
    .summary = "merge similar tokens after the attention of every layer (ToMe)",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation =
        "Bolya, Fu, Dai, Zhang, Feichtenhofer, Hoffman: Token Merging: Your ViT But Faster. "
        "ICLR 2023. arXiv:2210.09461",
    .label = "tome{r}",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_STREAM,
    PARE_PLUGIN_PARAMS(params),
    .apply = apply,
    .check = check,
};

PARE_PLUGIN(plugin)
