/* The two 16-bit formats, one number at a time and without branches, so that a loop around them vectorises.
 *
 * A half (F16) has 11 significant bits down to 2^-14 and steps of 2^-24 below.  Normal ones keep their bits, with
 * another exponent; a step is the value of the last bit of a number just above 2^-14.  A bfloat (BF16) is the upper
 * half of an F32.  Widening either is exact; narrowing rounds to nearest, ties to even. */
#ifndef NUM_HALF_H
#define NUM_HALF_H

#include "num/fastmath.h"

static inline float half_to_float(uint16_t h)
{
    uint32_t all = (uint32_t)(h & 0x7fff) << 13, e = all & 0x0f800000, sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t below = float_bits(float_of(all + (113u << 23)) - float_of(113u << 23));
    uint32_t beyond = all > 0x0f800000 ? 0x7fc00000 : 0x7f800000;
    uint32_t x = e ? all + (112u << 23) : below;
    return float_of((e == 0x0f800000 ? beyond : x) | sign);
}

/* Rounds to nearest, ties to even; the last bit of a number just above 1/2 is a step. */
static inline uint16_t half_from_float(float f)
{
    int32_t all = (int32_t)float_bits(f), size = all & 0x7fffffff, sign = all >> 16 & 0x8000;
    int32_t below = (int32_t)(float_bits(float_of((uint32_t)size) + 0.5f) - float_bits(0.5f));
    int32_t normal = (size - (112 << 23) + 0xfff + (size >> 13 & 1)) >> 13;
    int32_t h = size < 113 << 23 ? below : normal;
    h = size >= 143 << 23 ? 0x7c00 : h; /* 2^16; numbers that round up to it have carried into the exponent */
    return (uint16_t)(size > 0x7f800000 ? 0x7e00 : h | sign);
}

/* The same of an F64, rounded once. */
static inline uint16_t half_from(double x)
{
    double size = fabs(x);
    float f = (float)x;
    uint32_t bits = float_bits(f);
    /* Rounding to odd on the way, where bits are lost, keeps the second rounding from mistaking a tie. */
    if (fabs((double)f) > size) bits--;
    if (fabs((double)float_of(bits)) < size) bits |= 1;
    return half_from_float(float_of(bits));
}

static inline float bfloat_to_float(uint16_t h)
{
    uint32_t x = (uint32_t)h << 16;
    return float_of((x & 0x7fffffff) > 0x7f800000 ? x | 0x400000 : x);
}

static inline uint16_t bfloat_from_float(float f)
{
    uint32_t x = float_bits(f), rounded = (x + 0x7fff + (x >> 16 & 1)) >> 16;
    return (uint16_t)((x & 0x7fffffff) > 0x7f800000 ? x >> 16 | 0x40 : rounded);
}

#endif
