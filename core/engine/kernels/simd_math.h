/* SPDX-License-Identifier: Apache-2.0 */
/* exp, tanh and gelu on vectors, and the activations made of them. NaN goes in and comes out: every
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

/* x P(x^2) / Q(x^2), the rational approximation of Eigen and XLA: below 4 ulp. */
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

/* gelu(x) = max(x, 0) - h(|x|) with h(a) = a erfc(a / sqrt 2) / 2, which is small and goes to 0: no
 * cancellation as in 1 + erf. h(a) = a / p(a)^4, p a polynomial of degree 10 fitted to the least
 * absolute error of h on 0..6 (Lawson's iteration): 1e-7 with all roundings; beyond 6, h stays at
 * h(6) = 6e-9. */
INLINE vf vf_gelu(vf x)
{
    vf a = vf_min(vf_set1(6.0f), vf_abs(x));
    vf p = vf_set1(7.0175037762965076e-06f);
    p = vf_fma(p, a, vf_set1(-8.064375288086012e-05f));
    p = vf_fma(p, a, vf_set1(4.668062902055681e-04f));
    p = vf_fma(p, a, vf_set1(-1.3905231608077884e-03f));
    p = vf_fma(p, a, vf_set1(3.1364394817501307e-03f));
    p = vf_fma(p, a, vf_set1(-1.7936445074155927e-03f));
    p = vf_fma(p, a, vf_set1(9.12418868392706e-03f));
    p = vf_fma(p, a, vf_set1(3.001650795340538e-02f));
    p = vf_fma(p, a, vf_set1(1.1860949546098709e-01f));
    p = vf_fma(p, a, vf_set1(2.3717455565929413e-01f));
    p = vf_fma(p, a, vf_set1(1.1892085075378418f));
    p = vf_mul(p, p);
    return vf_sub(vf_max(vf_zero(), x), vf_div(a, vf_mul(p, p)));
}

INLINE vf vf_act(unsigned activation, vf x)
{
    switch (activation) {
    case PARE_ACT_GELU:
        return vf_gelu(x);
    case PARE_ACT_GELU_TANH: { /* (1 + tanh u) / 2 = 1 / (1 + e^-2u), which does not cancel */
        vf cube = vf_mul(vf_mul(x, x), x);
        vf u = vf_mul(vf_set1(-2 * 0.7978845608028654f), vf_fma(cube, vf_set1(0.044715f), x));
        return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(u)));
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
