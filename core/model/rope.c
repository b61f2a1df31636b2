/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rope.h"
#include "base/mem.h"
#include "model/family_parts.h"

#include <math.h>
#include <string.h>

const json_t *pare_rope_scaling(const json_t *config)
{
    const json_t *j = json_object_get(config, "rope_parameters");
    if (!json_is_object(j))
        j = json_object_get(config, "rope_scaling");
    return json_is_object(j) ? j : NULL;
}

const char *pare_rope_type(const json_t *config)
{
    const json_t *scaling = pare_rope_scaling(config);
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    if (!type)
        type = json_string_value(json_object_get(scaling, "type"));
    return type ? type : "default";
}

int pare_rope_theta(const json_t *config, double *out, struct pare_error *err)
{
    double outer;
    int rc = pare_config_real(config, "rope_theta", 10000, &outer, err);
    if (rc == PARE_OK)
        rc = pare_config_real(pare_rope_scaling(config), "rope_theta", outer, out, err);
    if (rc == PARE_OK && !(*out > 1 && *out < 1e12))
        rc = pare_error_set(err, PARE_INVALID, "config.json: rope_theta is out of range");
    return rc;
}

/* What the types share. */
struct task {
    const json_t *config, *scaling;
    double theta, factor;
    float *plain; /* frequencies without scaling; the result */
    struct pare_rope *rope;
    struct pare_error *err;
};

/* A number above zero out of the scaling; NAN as fallback: it must be there. */
static int positive(struct task *t, const char *key, double fallback, double *out)
{
    int rc = pare_config_real(t->scaling, key, fallback, out, t->err);
    if (rc == PARE_OK && !(*out > 0))
        rc = pare_error_set(t->err, PARE_INVALID,
                            "config.json: %s of the positions' scaling is "
                            "not above zero",
                            key);
    return rc;
}

/* Tokens that the model was first trained for. */
static int original_context(struct task *t, double *out)
{
    double most;
    int rc = pare_config_real(t->config, "original_max_position_embeddings", 0, &most, t->err);
    if (rc == PARE_OK && most <= 0)
        rc = pare_config_real(t->config, "max_position_embeddings", 2048, &most, t->err);
    return rc == PARE_OK ? positive(t, "original_max_position_embeddings", most, out) : rc;
}

static int scale_default(struct task *t)
{
    (void)t;
    return PARE_OK;
}

static int scale_linear(struct task *t)
{
    int rc = positive(t, "factor", (double)NAN, &t->factor);
    for (uint32_t i = 0; rc == PARE_OK && i < t->rope->pairs; i++)
        t->plain[i] /= (float)t->factor;
    return rc;
}

/* Divide by factors in f32, which is how GGUF files hold them. */
static int divide(struct task *t, const double *factors)
{
    int rc = pare_blob_new(t->rope->pairs, sizeof(float), &t->rope->factors, t->err);
    for (uint32_t i = 0; rc == PARE_OK && i < t->rope->pairs; i++) {
        float factor = (float)factors[i];
        pare_blob_f32(t->rope->factors)[i] = factor;
        t->plain[i] /= factor;
    }
    return rc;
}

static int scale_llama3(struct task *t)
{
    double low, high, original, factors[PARE_SIDE_MAX / 64];
    int rc;
    PARE_TRY(positive(t, "factor", (double)NAN, &t->factor));
    PARE_TRY(positive(t, "low_freq_factor", (double)NAN, &low));
    PARE_TRY(positive(t, "high_freq_factor", (double)NAN, &high));
    PARE_TRY(original_context(t, &original));
    if (high <= low) {
        rc = pare_error_set(t->err, PARE_INVALID,
                            "config.json: high_freq_factor is not above low_freq_factor");
        goto out;
    }
    for (uint32_t i = 0; i < t->rope->pairs; i++) {
        double length = 2 * M_PI / (double)t->plain[i];
        double smooth = (original / length - low) / (high - low);
        smooth = fmin(fmax(smooth, 0), 1);
        factors[i] = 1 / ((1 - smooth) / t->factor + smooth);
    }
    PARE_TRY(divide(t, factors));
out:
    return rc;
}

static double mscale(double factor, double m)
{
    return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

static int scale_yarn(struct task *t)
{
    double original, fast, slow, m, m_all, attention, context;
    int rc;
    PARE_TRY(original_context(t, &original));
    PARE_TRY(pare_config_real(t->config, "max_position_embeddings", original, &context, t->err));
    PARE_TRY(positive(t, "factor", context / original, &t->factor));
    PARE_TRY(positive(t, "beta_fast", 32, &fast));
    PARE_TRY(positive(t, "beta_slow", 1, &slow));
    PARE_TRY(pare_config_real(t->scaling, "mscale", 0, &m, t->err));
    PARE_TRY(pare_config_real(t->scaling, "mscale_all_dim", 0, &m_all, t->err));
    attention = m != 0 && m_all != 0 ? mscale(t->factor, m) / mscale(t->factor, m_all)
                                     : mscale(t->factor, 1);
    PARE_TRY(positive(t, "attention_factor", attention, &t->rope->attention));
    const double dim = 2.0 * t->rope->pairs, base = 2 * log(t->theta);
    double low = dim * log(original / (fast * 2 * M_PI)) / base;
    double high = dim * log(original / (slow * 2 * M_PI)) / base;
    if (!json_is_false(json_object_get(t->scaling, "truncate"))) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, dim - 1);
    if (low == high)
        high += 0.001;
    for (uint32_t i = 0; i < t->rope->pairs; i++) {
        double ramp = fmin(fmax((i - low) / (high - low), 0), 1), x = (double)t->plain[i];
        t->plain[i] = (float)(x / t->factor * ramp + x * (1 - ramp));
    }
out:
    return rc;
}

/* Two lists of factors, for short and for long texts: one graph can have one. */
static int scale_longrope(struct task *t)
{
    const json_t *lists[] = {json_object_get(t->scaling, "short_factor"),
                             json_object_get(t->scaling, "long_factor")};
    double factors[PARE_SIDE_MAX / 64], attention = 1, original, context;
    int rc;
    if (!json_equal(lists[0], lists[1]))
        return pare_error_set(t->err, PARE_UNSUPPORTED,
                              "config.json: positions scaled by longrope with factors that change "
                              "with the text's length are not supported");
    if (json_array_size(lists[0]) != t->rope->pairs)
        return pare_error_set(t->err, PARE_INVALID, "config.json: longrope has %zu factors, not %u",
                              json_array_size(lists[0]), t->rope->pairs);
    for (uint32_t i = 0; i < t->rope->pairs; i++) {
        factors[i] = json_number_value(json_array_get(lists[0], i));
        if (!(factors[i] > 0 && factors[i] < 1e30))
            return pare_error_set(t->err, PARE_INVALID,
                                  "config.json: a factor of longrope is out of range");
    }
    PARE_TRY(original_context(t, &original));
    PARE_TRY(pare_config_real(t->config, "max_position_embeddings", original, &context, t->err));
    PARE_TRY(positive(t, "factor", context / original, &t->factor));
    if (t->factor > 1)
        attention = sqrt(1 + log(t->factor) / log(original));
    PARE_TRY(positive(t, "attention_factor", attention, &t->rope->attention));
    PARE_TRY(divide(t, factors));
out:
    return rc;
}

static const struct {
    const char *type;
    int (*scale)(struct task *);
} types[] = {
    {"default", scale_default}, {"linear", scale_linear},     {"llama3", scale_llama3},
    {"yarn", scale_yarn},       {"longrope", scale_longrope},
};

static int read_partial(struct task *t, double *out)
{
    double outer;
    int rc = pare_config_real(t->config, "partial_rotary_factor", 1, &outer, t->err);
    if (rc == PARE_OK)
        rc = pare_config_real(t->scaling, "partial_rotary_factor", outer, out, t->err);
    if (rc == PARE_OK && !(*out > 0 && *out <= 1))
        rc = pare_error_set(t->err, PARE_INVALID,
                            "config.json: partial_rotary_factor is not in (0, 1]");
    return rc;
}

int pare_rope_read(const json_t *config, uint32_t head, struct pare_rope *out,
                   struct pare_error *err)
{
    struct task t = {
        .config = config, .scaling = pare_rope_scaling(config), .rope = out, .err = err};
    const char *type = pare_rope_type(config);
    double partial;
    int rc;
    *out = (struct pare_rope){.attention = 1};
    PARE_TRY(pare_rope_theta(config, &t.theta, err));
    PARE_TRY(read_partial(&t, &partial));
    out->pairs = (uint32_t)(head * partial) / 2;
    if (out->pairs == 0 || out->pairs > PARE_SIDE_MAX / 64) {
        rc = pare_error_set(err, PARE_INVALID,
                            "config.json: heads %u wide cannot be rotated in pairs", head);
        goto out;
    }
    PARE_TRY(pare_blob_new(out->pairs, sizeof(float), &out->frequency, err));
    t.plain = pare_blob_f32(out->frequency);
    for (uint32_t i = 0; i < out->pairs; i++)
        t.plain[i] = (float)pow(t.theta, -(double)i / out->pairs);
    for (size_t i = 0; i < PARE_COUNT(types); i++) {
        if (strcmp(type, types[i].type) == 0) {
            rc = types[i].scale(&t);
            goto out;
        }
    }
    rc = pare_error_set(err, PARE_UNSUPPORTED,
                        "config.json: positions scaled by '%s' are not supported", type);
    pare_error_hint(err, "supported: default, linear, llama3, yarn");
out:
    return rc;
}

void pare_rope_free(struct pare_rope *rope)
{
    pare_blob_unref(rope->frequency);
    pare_blob_unref(rope->factors);
    *rope = (struct pare_rope){0};
}
