/* SPDX-License-Identifier: Apache-2.0 */
/* Values in proportion to importance, between a floor and a ceiling, with a given mean over the
 * parameters: what a clamped unit cannot take goes to the others (the allocation of ECoFLaP,
 * arXiv:2310.02998). */
#include <pare/plugin.h>

#include <math.h>

struct choice {
    const struct pare_ext_allocation *a;
    struct pare_ctx *ctx;
    uint32_t n, integer;
    double mean, min, max;
    double *weight, *value;
};

/* Scores as shares above zero; distortions arrive negated, so the lowest is moved to a tenth of the
 * range. */
static void set_weights(struct choice *c, int toward_unimportant)
{
    double lo = INFINITY, hi = -INFINITY;
    for (uint32_t i = 0; i < c->n; i++) {
        double x = c->a->importance(c->ctx, i) * (toward_unimportant ? -1 : 1);
        c->weight[i] = x;
        lo = fmin(lo, x);
        hi = fmax(hi, x);
    }
    double shift = lo > 0 ? 0 : (hi > lo ? 0.1 * (hi - lo) : 1) - lo;
    for (uint32_t i = 0; i < c->n; i++)
        c->weight[i] += shift;
}

static double spent(const struct choice *c, double scale)
{
    double sum = 0;
    for (uint32_t i = 0; i < c->n; i++)
        sum += c->a->parameters(c->ctx, i) * fmin(fmax(scale * c->weight[i], c->min), c->max);
    return sum;
}

/* Bisect the common factor until the mean is met: spending grows with it. */
static void solve(struct choice *c, double budget)
{
    double lo = 0, hi = 1;
    for (int i = 0; i < 200 && spent(c, hi) < budget; i++)
        hi *= 2;
    for (int i = 0; i < 200; i++) {
        double mid = (lo + hi) / 2;
        if (spent(c, mid) < budget)
            lo = mid;
        else
            hi = mid;
    }
    for (uint32_t i = 0; i < c->n; i++)
        c->value[i] = fmin(fmax(hi * c->weight[i], c->min), c->max);
}

/* Whole numbers: round down, then raise those with the largest remainders while the budget lasts.
 */
static void round_to_budget(struct choice *c, double budget)
{
    double sum = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        c->weight[i] = c->value[i] - floor(c->value[i]);
        c->value[i] = fmax(floor(c->value[i]), ceil(c->min));
        sum += c->a->parameters(c->ctx, i) * c->value[i];
    }
    for (;;) {
        uint32_t best = c->n;
        for (uint32_t i = 0; i < c->n; i++) {
            if (c->weight[i] > 0 && c->value[i] + 1 <= c->max &&
                (best == c->n || c->weight[i] > c->weight[best]))
                best = i;
        }
        if (best == c->n)
            return;
        c->weight[best] = 0;
        if (sum + c->a->parameters(c->ctx, best) <= budget * (1 + 1e-9)) {
            c->value[best] += 1;
            sum += c->a->parameters(c->ctx, best);
        }
    }
}

static int allocate(struct pare_ctx *ctx, const struct pare_host *host)
{
    struct choice c = {.a = host->extension(ctx, PARE_EXT_ALLOCATION), .ctx = ctx};
    double lo, hi, total = 0;
    const char *more;
    int rc;
    if (!c.a)
        return host->error(ctx, PARE_UNSUPPORTED, "this host does not allocate");
    if ((rc = host->get_real(ctx, NULL, "mean", &c.mean)) != PARE_OK ||
        (rc = host->get_real(ctx, NULL, "min", &c.min)) != PARE_OK ||
        (rc = host->get_real(ctx, NULL, "max", &c.max)) != PARE_OK ||
        (rc = host->get_text(ctx, NULL, "more_for", &more)) != PARE_OK ||
        (rc = c.a->range(ctx, &lo, &hi, &c.integer)) != PARE_OK)
        return rc;
    c.min = fmax(c.min, lo);
    c.max = fmin(c.max, hi);
    if (!(c.min <= c.mean && c.mean <= c.max) || c.min < 0)
        return host->error(ctx, PARE_INVALID,
                           "the mean %g is not between the floor %g and the ceiling %g", c.mean,
                           c.min, c.max);
    c.n = c.a->units(ctx);
    c.weight = host->alloc(ctx, c.n + 1u, sizeof *c.weight);
    c.value = host->alloc(ctx, c.n + 1u, sizeof *c.value);
    if (!c.weight || !c.value)
        return PARE_NOMEM;
    for (uint32_t i = 0; i < c.n; i++)
        total += c.a->parameters(ctx, i);
    set_weights(&c, more[0] == 'u');
    solve(&c, c.mean * total);
    if (c.integer)
        round_to_budget(&c, c.mean * total);
    for (uint32_t i = 0; i < c.n && rc == PARE_OK; i++)
        rc = c.a->choose(ctx, i, c.value[i]);
    return rc;
}

static const struct pare_param params[] = {
    {.name = "mean",
     .type = PARE_REAL,
     .min = 0,
     .max = 1e9,
     .param_flags = PARE_PARAM_REQUIRED,
     .help = "mean value, weighted by parameters: the budget"},
    {.name = "min",
     .type = PARE_REAL,
     .min = 0,
     .max = 1e9,
     .dflt = "0",
     .help = "no unit gets less"},
    {.name = "max",
     .type = PARE_REAL,
     .min = 0,
     .max = 1e9,
     .dflt = "1000000000",
     .help = "no unit gets more (a sparsity of 0.6 with a mean of 0.5, say)"},
    {.name = "more_for",
     .type = PARE_CHOICE,
     .min = 1,
     .max = 0,
     .dflt = "important",
     .choices = "important|unimportant",
     .help = "who gets more: the important units (bits) or the unimportant ones (sparsity)"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "proportional",
    .version = "1.0.0",
    .summary = "values in proportion to importance, with floor, ceiling and mean",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation = "Sung et al.: ECoFLaP. ICLR 2024. arXiv:2310.02998",
    .kind = PARE_ALLOCATE,
    .flags = PARE_DETERMINISTIC,
    PARE_PLUGIN_PARAMS(params),
    .allocate = allocate,
};

PARE_PLUGIN(plugin)
