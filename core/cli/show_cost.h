/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_SHOW_COST_H
#define PARE_CLI_SHOW_COST_H

#include <jansson.h>

#include "cli/show_profile.h"

/* Where the time of a variant goes against the baseline's, from profiles of both: sums over the
 * parts of a model, and what they say about why it is not faster. */
struct pare_cost {
    const char *part; /* "layer.3", or "layer.*.ffn.up": the same operation in all layers */
    double base_ns, ns;
    uint64_t base_bytes, bytes, base_macs, macs;
    bool product, base_product; /* a linear or convolution */
    uint32_t decoded;           /* nodes that run by decoding their weights */
    const char *kernel;         /* of the variant's first node in it, NULL: it has none */
};

struct pare_costs {
    struct pare_cost *items;
    size_t n, cap;
    struct pare_pool pool;
};

/* Sum by layer, or (by_operation) over all layers by operation. Texts of the kernels are the
 * profile's. Release with pare_costs_free(). */
int pare_costs_of(const struct pare_profile *base, const struct pare_profile *variant,
                  bool by_operation, struct pare_costs *out, struct pare_error *err);
void pare_costs_free(struct pare_costs *costs);

bool pare_costs_print(const struct pare_costs *costs, bool by_operation, FILE *to);
json_t *pare_costs_json(const struct pare_costs *costs); /* a new reference */

/* Likely reasons, each a sentence with the figures it rests on: an array of texts, a new
 * reference; NULL: no memory. `operations` are costs by operation. */
json_t *pare_costs_reasons(const struct pare_costs *operations);

#endif
