/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of an evaluation share. Internal to core/measure/. */
#ifndef PARE_MEASURE_EVALUATE_PARTS_H
#define PARE_MEASURE_EVALUATE_PARTS_H

#include "measure/measure.h"

static inline uint32_t pare__sample_at(const struct pare_evaluation *e, uint32_t i)
{
    return e->samples ? e->samples[i] : i;
}

static inline uint32_t pare__samples_of(const struct pare_evaluation *e)
{
    return e->samples ? e->n_samples : pare_dataset_size(e->data);
}

/* Tell how many samples are done; PARE_CANCELLED when whoever is told wants no more. */
static inline int pare__tell(int (*progress)(void *user, uint32_t done), void *user, uint32_t done,
                             struct pare_error *err)
{
    if (progress && progress(user, done) != 0)
        return pare_error_set(err, PARE_CANCELLED, "the evaluation was stopped");
    return PARE_OK;
}

/* What logits say of samples first .. first + n - 1, whose targets are there; whoever asks for
 * outputs gets them. */
int pare__take_outcomes(const struct pare_evaluation *e, const float *logits, uint32_t classes,
                        uint32_t first, uint32_t n, struct pare_outcomes *o,
                        struct pare_error *err);

/* Samples that are labelled texts. */
int pare__evaluate_labelled(struct pare_evaluation *e, struct pare_outcomes *out,
                            struct pare_error *err);

#endif
