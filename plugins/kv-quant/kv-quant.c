/* SPDX-License-Identifier: Apache-2.0 */
/* Keep the keys and values that causal attention looks back at as integers, with a scale per head
 * and token (as KIVI's values: Liu et al., ICML 2024, arXiv:2402.02750). The rounding itself is the
 * engine's, while tokens are read; this sets how many bits. */
#include <pare/plugin.h>

enum { HALF = 16 };

static int bits_of(struct pare_ctx *ctx, const struct pare_host *host, const struct pare_unit *unit,
                   int64_t *bits)
{
    int rc = host->get_int(ctx, unit, "bits", bits);
    if (rc == PARE_OK && *bits != 4 && *bits != 8 && *bits != HALF)
        rc = host->error(ctx, PARE_INVALID, "bits is %lld: keys and values have 4, 8 or 16",
                         (long long)*bits);
    return rc;
}

static int apply_unit(struct pare_ctx *ctx, const struct pare_host *host,
                      const struct pare_unit *unit)
{
    const struct pare_ext_surgery *surgery = host->extension(ctx, PARE_EXT_SURGERY);
    int64_t bits = HALF;
    int rc;
    if (!PARE_HAS(surgery, set_cache_bits))
        return host->error(ctx, PARE_UNSUPPORTED, "this host cannot quantize keys and values");
    if ((rc = bits_of(ctx, host, unit, &bits)) != PARE_OK || bits == HALF)
        return rc; /* 16 leaves a branch as it is */
    return surgery->set_cache_bits(ctx, unit, (uint32_t)bits);
}

/* One value for all is known before any work; what allocators choose, is not. */
static int check(struct pare_ctx *ctx, const struct pare_host *host)
{
    int64_t bits;
    return bits_of(ctx, host, NULL, &bits);
}

static const struct pare_param params[] = {
    {.name = "bits",
     .type = PARE_INT,
     .min = 4,
     .max = HALF,
     .dflt = "8",
     .identity = "16",
     .unit = "bits",
     .search = "4,8,16",
     .varies = PARE_UNIT_BRANCH,
     .help = "bits of one number of a key or value: 4, 8, or 16 to leave it as it is"},
};

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "kv-quant",
    .version = "1.0.0",
    .summary = "keep keys and values of causal attention as 8 or 4 bits",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .citation = "Liu et al.: KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache. ICML "
                "2024. arXiv:2402.02750 (per-token quantization; keys too are per token here)",
    .label = "kv{bits}",
    .kind = PARE_TRANSFORM,
    .flags = PARE_DETERMINISTIC,
    .unit_kind = PARE_UNIT_BRANCH,
    .on = "role:attention",
    PARE_PLUGIN_PARAMS(params),
    .apply_unit = apply_unit,
    .check = check,
};

PARE_PLUGIN(plugin)
