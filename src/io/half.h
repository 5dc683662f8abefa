/* The two 16-bit floating types of files, widened to F32; both are exact. */
#ifndef IO_HALF_H
#define IO_HALF_H

#include "num/fastmath.h"

/* A half has 11 significant bits down to 2^-14 and steps of 2^-24 below.  Normal ones keep their bits, with another
 * exponent; a step is the value of the last bit of a number just above 2^-14. */
static inline float half_to_float(uint16_t h)
{
    uint32_t all = (uint32_t)(h & 0x7fff) << 13, e = all & 0x0f800000, sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t below = float_bits(float_of(all + (113u << 23)) - float_of(113u << 23));
    uint32_t beyond = all > 0x0f800000 ? 0x7fc00000 : 0x7f800000;
    uint32_t x = e ? all + (112u << 23) : below;
    return float_of((e == 0x0f800000 ? beyond : x) | sign);
}

static inline float bfloat_to_float(uint16_t h)
{
    uint32_t x = (uint32_t)h << 16;
    return float_of((x & 0x7fffffff) > 0x7f800000 ? x | 0x400000 : x);
}

#endif
