/* Which elements dropout keeps, for kernels that draw the mask themselves.
 *
 * One Philox block holds eight 16-bit decisions.  Elements go in groups of 128 = 16 blocks x 8 decisions: element
 * e of group G reads decision e / 16 of block 16 G + e % 16, so that sixteen neighbours take the same word of
 * sixteen consecutive blocks and a vector unit draws them together.  An element is dropped when its decision is
 * below cut = round(65536 p): p has a resolution of 2^-16, and the gain of the kept elements is 1/(1-p) for the p
 * that is drawn, so the expectation is exact. */
#ifndef NUM_DROPOUT_H
#define NUM_DROPOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

static inline uint32_t dropout_cut(double p)
{
    return p <= 0 ? 0 : p >= 1 ? 65536 : (uint32_t)(65536 * p + 0.5);
}

static inline double dropout_gain(uint32_t cut)
{
    return cut < 65536 ? 65536.0 / (65536.0 - cut) : 0;
}

static inline bool dropout_keeps(uint32_t cut, uint64_t stream, int64_t index)
{
    uint64_t i = (uint64_t)index, e = i % 128;
    RngBlock b = rng_block(stream, i / 128 * 16 + e % 16);
    uint32_t word = b.v[e / 32];
    return (e / 16 % 2 ? word >> 16 : word & 0xffff) >= cut;
}

#endif
