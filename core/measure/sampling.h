/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_SAMPLING_H
#define PARE_MEASURE_SAMPLING_H

#include <stdint.h>

#include "base/random.h"

/* How the next token is chosen from logits: the likeliest (temperature 0), or drawn from
 * softmax(logits / temperature) over the `top_k` likeliest (0: all), of these the fewest whose
 * shares come to `top_p` (nucleus sampling, Holtzman et al., 2020). */
struct pare_sampling {
    double temperature; /* >= 0 */
    uint32_t top_k;
    double top_p; /* (0, 1] */
};

/* One entry of scratch for each of n logits. */
struct pare_candidate {
    float logit;
    uint32_t token;
};

/* Of equals the lower token comes first. `random` is not touched at temperature 0. */
uint32_t pare_sample(const float *logits, uint32_t n, const struct pare_sampling *how,
                     struct pare_random *random, struct pare_candidate *scratch);

#endif
