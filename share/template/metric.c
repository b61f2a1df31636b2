/* SPDX-License-Identifier: Apache-2.0 */
/*
 * @ID@: the Brier score, how far the classes' probabilities are from the right answer: 0 is sure
 * and right, 2 is sure and wrong. Begin by making this do what yours shall do; `make check` tells
 * whether the contract still holds.
 *
 * The three rules that matter most: return the status that `error` returned, take memory from
 * `alloc`, and never print to stdout.
 */
#include <pare/plugin.h>

#include <math.h>

/* Logits can be large: what is above all others is taken off before exp(). */
static void softmax(const float *logits, uint32_t n, double temperature, double *out)
{
    double top = (double)logits[0], sum = 0;
    for (uint32_t i = 1; i < n; i++)
        top = fmax(top, (double)logits[i]);
    for (uint32_t i = 0; i < n; i++)
        sum += out[i] = exp(((double)logits[i] - top) / temperature);
    for (uint32_t i = 0; i < n; i++)
        out[i] /= sum;
}

static double brier(const double *probability, uint32_t n, uint32_t target)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        const double d = probability[i] - (i == target);
        sum += d * d;
    }
    return sum;
}

/* A value for each sample. The figure is their mean over all batches, so a sample's value depends
 * on that sample alone. */
static int measure(struct pare_ctx *ctx, const struct pare_host *host,
                   const struct pare_outputs *outputs, double *values)
{
    double temperature;
    int rc;

    /* Say so rather than measure something else. */
    if (outputs->rows != 1)
        return host->error(ctx, PARE_UNSUPPORTED, "a sample has %u answers, not one",
                           outputs->rows);
    if ((rc = host->get_real(ctx, NULL, "temperature", &temperature)) != PARE_OK)
        return rc;
    /* The host frees this when measure returns; NULL: it has set the message. */
    double *probability = host->alloc(ctx, outputs->width, sizeof *probability);
    if (!probability)
        return PARE_NOMEM;

    for (uint32_t i = 0; i < outputs->samples; i++) {
        const uint32_t target = outputs->targets[i];
        if (target == PARE_NO_TARGET) {
            values[i] = NAN; /* no value: this sample does not count */
            continue;
        }
        softmax(outputs->values + (size_t)i * outputs->width, outputs->width, temperature,
                probability);
        values[i] = brier(probability, outputs->width, target);
        if (host->progress(ctx, (double)(i + 1) / outputs->samples))
            return host->error(ctx, PARE_CANCELLED, "interrupted");
    }
    return PARE_OK;
}

static const struct pare_param params[] = {
    {
        .name = "temperature",
        .help = "what logits are divided by: above 1 answers are less sure",
        .type = PARE_REAL,
        .min = 0.05, /* bounds count for numbers; min > max: none */
        .max = 20,
        .dflt = "1",
        .search = "0.5,1,2",
    },
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "@ID@",
    .version = "0.1.0",
    .summary = "Brier score: how far the classes' probabilities are from the right answer",
    .author = "your name",
    .url = "https://example.org/@NAME@",
    .license = "Apache-2.0",
    .kind = PARE_METRIC,
    .flags = PARE_DETERMINISTIC | PARE_HIGHER_IS_WORSE, /* without the second: higher is better */
    PARE_PLUGIN_PARAMS(params),
    .measure = measure, /* .unit = "nat", where it has one */
};

PARE_PLUGIN(plugin)
