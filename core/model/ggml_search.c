/* SPDX-License-Identifier: Apache-2.0 */
/* Q4_K and Q6_K: scales and minima of least squared error.
 *
 * For given codes q the best scale s of x ~ s q is <x, q> / <q, q>, and the best (s, m) of
 * x ~ s q - m solves a 2 x 2 system; for given scales the best code is the nearest. Each group
 * begins from a grid of scales around the one that spans its numbers, and takes the best after the
 * closed form. Then the block's f16 numbers and the groups' small integers are settled in turn:
 * integers by trying the neighbours of the rounded one with codes chosen anew, f16 numbers by least
 * squares over the block, for as long as the error falls. */
#include "base/mem.h"
#include "model/ggml_parts.h"
#include "model/half.h"

#include <math.h>
#include <string.h>

enum { SIZE = 256, ROUNDS = 4 };

static void put_half(uint8_t *to, uint16_t half)
{
    to[0] = (uint8_t)half;
    to[1] = (uint8_t)(half >> 8);
}

static int nearest(float x, int lo, int hi)
{
    x = x > (float)lo ? x : (float)lo; /* NaN too */
    x = x < (float)hi ? x : (float)hi;
    return (int)lrintf(x);
}

/* A finite f16 near x: the largest where x is beyond, so that a search may go on. */
static uint16_t half_near(double x)
{
    return pare_f32_to_f16((float)fmax(-65504.0, fmin(65504.0, x)));
}

/* ---- Q6_K: 16 groups of 16, x ~ d sc q, q in -32..31, sc in -128..127
 * --------------------------- */

struct q6 {
    const float *x;
    float d;
    int sc[16];
    int8_t q[SIZE];
    double error;
};

/* The scale of one group. */
static float fit_scale(const float *x)
{
    float most = 0, best = 0, gain = 0;
    for (unsigned i = 0; i < 16; i++)
        most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
    if (most == 0)
        return 0;
    for (int k = -9; k <= 9; k++) {
        float inverse = -(32 + 0.1f * (float)k) / most, xq = 0, qq = 0;
        for (unsigned i = 0; i < 16; i++) {
            float q = (float)nearest(inverse * x[i], -32, 31);
            xq += x[i] * q;
            qq += q * q;
        }
        if (qq > 0 && xq * xq > gain * qq) { /* the error is <x, x> - xq^2 / qq */
            gain = xq * xq / qq;
            best = xq / qq;
        }
    }
    return best;
}

/* Codes of one group for a scale; returns the squared error. */
static double codes_signed(const float *x, float scale, int8_t *q)
{
    float inverse = scale != 0 ? 1 / scale : 0;
    double error = 0;
    for (unsigned i = 0; i < 16; i++) {
        q[i] = (int8_t)nearest(x[i] * inverse, -32, 31);
        double off = (double)(scale * (float)q[i]) - (double)x[i];
        error += off * off;
    }
    return error;
}

static void settle_groups_q6(struct q6 *b, const float *scales)
{
    b->error = 0;
    for (unsigned g = 0; g < 16; g++) {
        int middle = b->d != 0 ? nearest(scales[g] / b->d, -128, 127) : 0;
        double least = (double)INFINITY;
        for (int sc = PARE_MAX(middle - 1, -128); sc <= PARE_MIN(middle + 1, 127); sc++) {
            int8_t q[16];
            double error = codes_signed(b->x + 16 * g, b->d * (float)sc, q);
            if (error < least) {
                least = error;
                b->sc[g] = sc;
                memcpy(b->q + 16 * g, q, sizeof q);
            }
        }
        b->error += least;
    }
}

bool pare_ggml_encode_q6_k(const float *x, uint8_t *block)
{
    struct q6 now = {.x = x}, best = {.error = (double)INFINITY};
    float scales[16], most = 0;
    for (unsigned g = 0; g < 16; g++) {
        scales[g] = fit_scale(x + 16 * g);
        most = fabsf(scales[g]) > fabsf(most) ? scales[g] : most;
    }
    if (fabsf(most) > 127.0f * 65504.0f)
        return false;
    now.d = pare_f16_to_f32(half_near((double)most / -128));
    for (int round = 0; round < ROUNDS; round++) {
        double xs = 0, ss = 0;
        settle_groups_q6(&now, scales);
        if (!(now.error < best.error))
            break;
        best = now;
        for (unsigned e = 0; e < SIZE; e++) {
            double s = now.sc[e / 16] * now.q[e];
            xs += (double)x[e] * s;
            ss += s * s;
        }
        if (ss > 0)
            now.d = pare_f16_to_f32(half_near(xs / ss));
    }
    memset(block, 0, PARE_Q6_K_QH + 64);
    for (unsigned e = 0; e < SIZE; e++) {
        unsigned half = e / 128, quarter = e % 128 / 32, l = e % 32, q = (unsigned)(best.q[e] + 32);
        block[half * 64 + quarter % 2 * 32 + l] |= (uint8_t)((q & 15) << (quarter / 2 * 4));
        block[PARE_Q6_K_QH + half * 32 + l] |= (uint8_t)(q >> 4 << (quarter * 2));
    }
    for (unsigned g = 0; g < 16; g++)
        block[PARE_Q6_K_SCALES + g] = (uint8_t)best.sc[g];
    put_half(block + PARE_Q6_K_D, pare_f32_to_f16(best.d));
    return true;
}

/* ---- Q4_K: 8 groups of 32, x ~ d sc q - dmin mn, q in 0..15, sc and mn in 0..63
 * ------------------ */

struct q4 {
    const float *x;
    float d, dmin;
    int sc[8], mn[8];
    uint8_t q[SIZE];
    double error;
};

/* Codes of one group for a scale and a minimum; returns the squared error. */
static double codes_min(const float *x, float scale, float min, uint8_t *q)
{
    float inverse = scale != 0 ? 1 / scale : 0;
    double error = 0;
    for (unsigned i = 0; i < 32; i++) {
        q[i] = (uint8_t)nearest((x[i] + min) * inverse, 0, 15);
        double off = (double)(scale * (float)q[i] - min) - (double)x[i];
        error += off * off;
    }
    return error;
}

/* The best scale and minimum, neither below 0, for given codes. False: no scale. */
static bool solve_min(const float *x, const uint8_t *q, float *scale, float *min)
{
    double sx = 0, sq = 0, xq = 0, qq = 0;
    for (unsigned i = 0; i < 32; i++) {
        sx += (double)x[i];
        sq += q[i];
        xq += (double)x[i] * q[i];
        qq += (double)q[i] * q[i];
    }
    double det = 32 * qq - sq * sq;
    double s = det > 0 ? (32 * xq - sx * sq) / det : 0, m = (s * sq - sx) / 32;
    if (m < 0) {
        m = 0;
        s = qq > 0 ? xq / qq : 0;
    }
    *scale = (float)s;
    *min = (float)m;
    return s > 0;
}

/* Scale and minimum of one group. */
static void fit_min(const float *x, float *scale, float *min)
{
    float lo = 0, hi = x[0];
    uint8_t q[32];
    for (unsigned i = 0; i < 32; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    *scale = 0;
    *min = -lo;
    if (!(hi > lo))
        return;
    double least = (double)INFINITY;
    for (int k = -4; k <= 4; k++) {
        float s = (hi - lo) / (15 + 0.4f * (float)k), m = -lo;
        codes_min(x, s, m, q);
        for (int turn = 0; turn < 3 && solve_min(x, q, &s, &m); turn++) {
            double error = codes_min(x, s, m, q);
            if (!(error < least))
                break;
            least = error;
            *scale = s;
            *min = m;
        }
    }
}

static void settle_groups_q4(struct q4 *b, const float *scales, const float *mins)
{
    b->error = 0;
    for (unsigned g = 0; g < 8; g++) {
        int sc0 = b->d > 0 ? nearest(scales[g] / b->d, 0, 63) : 0;
        int mn0 = b->dmin > 0 ? nearest(mins[g] / b->dmin, 0, 63) : 0;
        double least = (double)INFINITY;
        for (int sc = PARE_MAX(sc0 - 1, 0); sc <= PARE_MIN(sc0 + 1, 63); sc++) {
            for (int mn = PARE_MAX(mn0 - 1, 0); mn <= PARE_MIN(mn0 + 1, 63); mn++) {
                uint8_t q[32];
                double error = codes_min(b->x + 32 * g, b->d * (float)sc, b->dmin * (float)mn, q);
                if (error < least) {
                    least = error;
                    b->sc[g] = sc;
                    b->mn[g] = mn;
                    memcpy(b->q + 32 * g, q, sizeof q);
                }
            }
        }
        b->error += least;
    }
}

/* d and dmin of least squared error for the block's integers: x ~ d u - dmin v. */
static void solve_block(struct q4 *b)
{
    double uu = 0, vv = 0, uv = 0, xu = 0, xv = 0;
    for (unsigned e = 0; e < SIZE; e++) {
        double u = b->sc[e / 32] * b->q[e], v = b->mn[e / 32], x = (double)b->x[e];
        uu += u * u;
        vv += v * v;
        uv += u * v;
        xu += x * u;
        xv += x * v;
    }
    double det = uu * vv - uv * uv, d, dmin;
    if (det > 1e-9 * uu * vv) {
        d = (xu * vv - xv * uv) / det;
        dmin = (xu * uv - xv * uu) / det;
    } else {
        d = uu > 0 ? xu / uu : 0;
        dmin = 0;
    }
    if (d > 0 && dmin >= 0) {
        b->d = pare_f16_to_f32(half_near(d));
        b->dmin = pare_f16_to_f32(half_near(dmin));
    }
}

bool pare_ggml_encode_q4_k(const float *x, uint8_t *block)
{
    struct q4 now = {.x = x}, best = {.error = (double)INFINITY};
    float scales[8], mins[8], most = 0, deepest = 0;
    for (unsigned g = 0; g < 8; g++) {
        fit_min(x + 32 * g, &scales[g], &mins[g]);
        most = fmaxf(most, scales[g]);
        deepest = fmaxf(deepest, mins[g]);
    }
    if (most > 63.0f * 65504.0f || deepest > 63.0f * 65504.0f)
        return false;
    now.d = pare_f16_to_f32(half_near((double)most / 63));
    now.dmin = pare_f16_to_f32(half_near((double)deepest / 63));
    for (int round = 0; round < ROUNDS; round++) {
        settle_groups_q4(&now, scales, mins);
        if (!(now.error < best.error))
            break;
        best = now;
        solve_block(&now);
    }
    memset(block, 0, PARE_Q4_K_QS + SIZE / 2);
    put_half(block, pare_f32_to_f16(best.d));
    put_half(block + 2, pare_f32_to_f16(best.dmin));
    uint8_t *s = block + PARE_Q4_K_SCALES;
    for (unsigned g = 0; g < 8; g++) {
        unsigned sc = (unsigned)best.sc[g], mn = (unsigned)best.mn[g];
        if (g < 4) {
            s[g] |= (uint8_t)sc;
            s[g + 4] |= (uint8_t)mn;
        } else {
            s[g + 4] = (uint8_t)((sc & 15) | (mn & 15) << 4);
            s[g - 4] |= (uint8_t)(sc >> 4 << 6);
            s[g] |= (uint8_t)(mn >> 4 << 6);
        }
    }
    for (unsigned e = 0; e < SIZE; e++)
        block[PARE_Q4_K_QS + e / 64 * 32 + e % 32] |= (uint8_t)(best.q[e] << (e / 32 % 2 * 4));
    return true;
}
