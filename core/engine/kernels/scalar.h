/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_KERNELS_SCALAR_H
#define PARE_KERNELS_SCALAR_H

#include "engine/kernels/kernels.h"

/* scalar_attend.c: members of pare_kernels_scalar, as struct pare_kernels says. */
void pare_scalar_rms_norm(const float *x, const float *gamma, float eps, float *out, size_t rows,
                          uint32_t width);
void pare_scalar_mul(const float *x, const float *y, float *out, size_t n);
void pare_scalar_keep(const struct pare_kept *kept, char *data, uint32_t head, const float *keys,
                      size_t key_stride, const float *values, size_t value_stride, uint32_t at,
                      uint32_t n);
void pare_scalar_attend(const struct pare_attend *a);
void pare_scalar_attend_end(float *sums, uint32_t n, uint32_t value_width, float *out);
float pare_scalar_log_sum(const float *x, size_t n, uint32_t *top);
float pare_scalar_divergence(const float *x, float x_sum, const float *y, float y_sum, size_t n);

#endif
