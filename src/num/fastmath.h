/* Elementary functions in float as straight lines, so that a loop around them vectorises.  Overflow gives inf,
 * underflow goes through the subnormals to 0, and exp, tanh and Phi keep NaN; sigmoid and bell take NaN for a large
 * number, because whoever uses them multiplies with x.
 *
 *   exp      n = round(x / ln 2), r = x - n ln 2, 2^n (1 + r + r^2 P4(r)); below 1.1 units in the last place
 *   sigmoid  with e = exp(-|x|): 1/(1+e) or e/(1+e); no cancellation on either side; 3.5 units
 *   tanh     x + x^3 P4(x^2) below 0.625, else (1-e)/(1+e) with e = exp(-2|x|); below 2 units
 *   Phi      normal distribution function: Phi(-z) = exp(-z^2/2) t P9(t), t = 1/(1+z/4), relative error below
 *            5e-7 in both tails; the square is split so that its rounding does not enter the exponent
 *
 * The polynomials are minimax fits of the relative error (Remez): 3e-9 for exp, 4e-9 for tanh, 9e-9 for Phi. */
#ifndef NUM_FASTMATH_H
#define NUM_FASTMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float float_of(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float fast_abs(float x)
{
    return float_of(float_bits(x) & 0x7fffffffu);
}

/* min(|x|, cap), compared as integers, which is one instruction; NaN gives cap */
static inline float fast_abs_below(float x, float cap)
{
    uint32_t u = float_bits(x) & 0x7fffffffu, c = float_bits(cap);
    return float_of(u < c ? u : c);
}

/* exp(x + low) for -104 <= x <= 89 or NaN, and a low that does not move the binary exponent by more than a little */
static inline float fast_exp_parts(float x, float low)
{
    const float ROUND = 12582912.0f; /* 1.5 x 2^23: adding it leaves the nearest integer in the low bits */
    float t = x * 1.44269504f + ROUND, n = t - ROUND;
    float r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f + low;
    float p = 0.00138144806146f;
    p = p * r + 0.00836878021051f;
    p = p * r + 0.0416683939428f;
    p = p * r + 0.16666520111f;
    p = p * r + 0.499999934138f;
    p = p * (r * r) + r;
    p = p + 1.0f;
    /* 2^n in two factors, each a normal number: the product rounds once, also where it is subnormal */
    uint32_t k = float_bits(t) - 0x4b400000u, half = (uint32_t)((int32_t)k >> 1);
    return p * float_of((half + 127u) << 23) * float_of((k - half + 127u) << 23);
}

static inline float fast_exp_negative(float x) /* x <= 0, or NaN */
{
    return fast_exp_parts(x < -104.0f ? -104.0f : x, 0.0f);
}

static inline float fast_exp(float x)
{
    return fast_exp_negative(x > 89.0f ? 89.0f : x);
}

static inline float fast_sigmoid(float x)
{
    float e = fast_exp_parts(-fast_abs_below(x, 104.0f), 0.0f), q = 1.0f / (1.0f + e);
    return x >= 0.0f ? q : e * q;
}

static inline float fast_sigmoid_slope(float x) /* s (1-s) */
{
    float e = fast_exp_parts(-fast_abs_below(x, 104.0f), 0.0f), q = 1.0f / (1.0f + e);
    return e * q * q;
}

static inline float fast_tanh(float x)
{
    float u = x * x, e = fast_exp_parts(-2.0f * fast_abs_below(x, 52.0f), 0.0f);
    float p = -0.00570499226917f;
    p = p * u + 0.0206390934562f;
    p = p * u - 0.0537397176508f;
    p = p * u + 0.133314422402f;
    p = p * u - 0.33333281944f;
    float near = x + x * u * p, far = (1.0f - e) / (1.0f + e);
    far = x < 0.0f ? -far : far;
    return fast_abs(x) >= 0.625f ? far : near; /* NaN is near */
}

static inline float fast_tanh_slope(float x) /* 1 - tanh^2 */
{
    float e = fast_exp_negative(-2.0f * fast_abs(x)), q = 1.0f / (1.0f + e);
    return 4.0f * e * q * q;
}

/* exp(-x^2/2): the upper half of x squares exactly, the rest goes in as a small second part. */
static inline float fast_bell(float x)
{
    float z = fast_abs_below(x, 14.4f), high = float_of(float_bits(z) & 0xfffff000u);
    return fast_exp_parts(-0.5f * high * high, -0.5f * (z - high) * (z + high));
}

/* Phi(x), given bell = fast_bell(x), which the slope of gelu needs as well */
static inline float fast_phi(float x, float bell)
{
    float t = 1.0f / (1.0f + 0.25f * fast_abs(x));
    float p = 0.0168923500978f;
    p = p * t - 0.064536892234f;
    p = p * t + 0.0558788905381f;
    p = p * t + 0.0226115817445f;
    p = p * t + 0.0177342350016f;
    p = p * t + 0.0838514350561f;
    p = p * t + 0.0730127500881f;
    p = p * t + 0.0952878667056f;
    p = p * t + 0.0995214577408f;
    p = p * t + 0.0997463295701f;
    float tail = bell * (p * t);
    return x >= 0.0f ? 1.0f - tail : tail;
}

#endif
