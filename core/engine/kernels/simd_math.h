/* SPDX-License-Identifier: Apache-2.0 */
/* exp, tanh and erf on vectors, and the activations made of them. NaN goes in and comes out: every
 * clamp has the variable as the second operand, which min and max return when either is NaN. */
#ifndef PARE_SIMD_MATH_H
#define PARE_SIMD_MATH_H

#include "engine/kernels/simd_vec.h"

/* e^x by x = n ln 2 + r and a polynomial of degree 6 in r (Cephes, Moshier); about 1 ulp; clamped
 * to the normal range. */
INLINE vf vf_exp(vf x)
{
    x = vf_max(vf_set1(-87.3f), vf_min(vf_set1(88.0f), x));
    vf n = vf_round(vf_mul(x, vf_set1(1.44269504088896341f)));
    vf r = vf_fnma(n, vf_set1(0.693359375f), x);
    r = vf_fnma(n, vf_set1(-2.12194440e-4f), r);
    vf p = vf_set1(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set1(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set1(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set1(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set1(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set1(5.0000001201e-1f));
    p = vf_fma(p, vf_mul(r, r), vf_add(r, vf_set1(1.0f)));
    vi power = vi_shl(vi_add(vf_to_int(n), vi_set1(127)), 23);
    return vf_mul(p, vi_float(power));
}

/* x P(x^2) / Q(x^2), the rational approximations of Eigen and XLA: below 4 ulp. */
INLINE vf vf_tanh(vf x)
{
    x = vf_max(vf_set1(-7.90531110763549805f), vf_min(vf_set1(7.90531110763549805f), x));
    vf s = vf_mul(x, x);
    vf p = vf_set1(-2.76076847742355e-16f);
    p = vf_fma(p, s, vf_set1(2.00018790482477e-13f));
    p = vf_fma(p, s, vf_set1(-8.60467152213735e-11f));
    p = vf_fma(p, s, vf_set1(5.12229709037114e-08f));
    p = vf_fma(p, s, vf_set1(1.48572235717979e-05f));
    p = vf_fma(p, s, vf_set1(6.37261928875436e-04f));
    p = vf_fma(p, s, vf_set1(4.89352455891786e-03f));
    vf q = vf_set1(1.19825839466702e-06f);
    q = vf_fma(q, s, vf_set1(1.18534705686654e-04f));
    q = vf_fma(q, s, vf_set1(2.26843463243900e-03f));
    q = vf_fma(q, s, vf_set1(4.89352518554385e-03f));
    return vf_div(vf_mul(x, p), q);
}

INLINE vf vf_erf(vf x)
{
    x = vf_max(vf_set1(-4.0f), vf_min(vf_set1(4.0f), x));
    vf s = vf_mul(x, x);
    vf p = vf_set1(-2.72614225801306e-10f);
    p = vf_fma(p, s, vf_set1(2.77068142495902e-08f));
    p = vf_fma(p, s, vf_set1(-2.10102402082508e-06f));
    p = vf_fma(p, s, vf_set1(-5.69250639462346e-05f));
    p = vf_fma(p, s, vf_set1(-7.34990630326855e-04f));
    p = vf_fma(p, s, vf_set1(-2.95459980854025e-03f));
    p = vf_fma(p, s, vf_set1(-1.60960333262415e-02f));
    vf q = vf_set1(-1.45660718464996e-05f);
    q = vf_fma(q, s, vf_set1(-2.13374055278905e-04f));
    q = vf_fma(q, s, vf_set1(-1.68282697438203e-03f));
    q = vf_fma(q, s, vf_set1(-7.37332916720468e-03f));
    q = vf_fma(q, s, vf_set1(-1.42647390514189e-02f));
    return vf_div(vf_mul(x, p), q);
}

INLINE vf vf_act(unsigned activation, vf x)
{
    vf half = vf_mul(x, vf_set1(0.5f));
    switch (activation) {
    case PARE_ACT_GELU:
        return vf_fma(half, vf_erf(vf_mul(x, vf_set1(0.70710678118654752f))), half);
    case PARE_ACT_GELU_TANH: {
        vf cube = vf_mul(vf_mul(x, x), x);
        vf inner = vf_mul(vf_set1(0.7978845608028654f), vf_fma(cube, vf_set1(0.044715f), x));
        return vf_fma(half, vf_tanh(inner), half);
    }
    case PARE_ACT_SILU: /* x / (1 + e^-x) */
        return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_zero(), x))));
    case PARE_ACT_RELU:
        return vf_max(vf_zero(), x);
    case PARE_ACT_TANH:
        return vf_tanh(x);
    default:
        return x;
    }
}

#endif
