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

/* The factors, 0 or gain, of elements 128 group .. 128 group + 127: ten rounds of Philox4x32 on sixteen counters at a
 * time, written so that it vectorises. */
static inline void dropout_factors(float *factor, uint32_t cut, uint64_t stream, uint64_t group)
{
    uint32_t word[4][16], low = (uint32_t)(group * 16), high = (uint32_t)(group * 16 >> 32);
    float gain = (float)dropout_gain(cut);
#pragma omp simd
    for (uint32_t l = 0; l < 16; l++) {
        uint32_t c0 = low + l, c1 = high, c2 = 0, c3 = 0, k0 = (uint32_t)stream, k1 = (uint32_t)(stream >> 32);
#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
            c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
            c1 = (uint32_t)p1;
            c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
            c3 = (uint32_t)p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        word[0][l] = c0;
        word[1][l] = c1;
        word[2][l] = c2;
        word[3][l] = c3;
    }
    for (int d = 0; d < 8; d++) {
        int shift = d % 2 * 16;
#pragma omp simd
        for (int l = 0; l < 16; l++) factor[d * 16 + l] = (word[d / 2][l] >> shift & 0xffff) < cut ? 0 : gain;
    }
}

#endif
