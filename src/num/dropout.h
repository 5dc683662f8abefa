/* Which elements dropout keeps, for kernels that draw the mask themselves.
 *
 * An element is dropped when a decision of 16 bits is below cut = round(65536 p): p has a resolution of 2^-16, and
 * the gain of the kept elements is 1/(1-p) for the p that is drawn, so the expectation is exact.  The upper byte
 * decides but for one element in 256, where it equals that of the cut.  So elements go in groups of 128 that share
 * eight blocks of Philox4x32-7, the fewest rounds that pass all of BigCrush (Salmon et al., SC 2011): element e of
 * group G has byte e of the words of blocks 8 G .. 8 G + 7, first words first, so that a vector unit draws eight
 * blocks together.  An element whose byte ties takes its lower byte from a block of its own. */
#ifndef NUM_DROPOUT_H
#define NUM_DROPOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/rng.h"

static inline uint32_t dropout_cut(double p)
{
    return p <= 0 ? 0 : p >= 1 ? 65536 : (uint32_t)(65536 * p + 0.5);
}

static inline double dropout_gain(uint32_t cut)
{
    return cut < 65536 ? 65536.0 / (65536.0 - cut) : 0;
}

enum { DROPOUT_GROUP = 128, DROPOUT_BLOCKS = 8, DROPOUT_ROUNDS = 7 };

/* The decision of a tie: element `index` of a stream, among counters that no group reaches. */
static inline bool dropout_tie_keeps(uint32_t cut, uint64_t stream, uint64_t index)
{
    return (rng_philox(stream, (uint32_t)index, (uint32_t)(index >> 32) | 1u << 31, DROPOUT_ROUNDS).v[0] & 0xff) >=
           (cut & 0xff);
}

static inline bool dropout_keeps(uint32_t cut, uint64_t stream, int64_t index)
{
    uint64_t i = (uint64_t)index, e = i % DROPOUT_GROUP;
    uint64_t block = i / DROPOUT_GROUP * DROPOUT_BLOCKS + e / 4 % DROPOUT_BLOCKS;
    RngBlock b = rng_philox(stream, (uint32_t)block, (uint32_t)(block >> 32), DROPOUT_ROUNDS);
    uint8_t byte[4];
    memcpy(byte, &b.v[e / 32], sizeof byte);
    uint32_t high = cut >> 8, own = byte[e % 4];
    return own == high ? dropout_tie_keeps(cut, stream, i) : own > high;
}

/* The factors, 0 or gain, of elements 128 group .. 128 group + 127. */
static inline void dropout_factors(float *factor, uint32_t cut, uint64_t stream, uint64_t group)
{
    uint64_t block = group * DROPOUT_BLOCKS;
    uint32_t word[4][DROPOUT_BLOCKS], high = cut >> 8;
    uint8_t byte[DROPOUT_GROUP];
    float gain = (float)dropout_gain(cut);
#pragma omp simd
    for (uint32_t l = 0; l < DROPOUT_BLOCKS; l++) {
        RngBlock b = rng_philox(stream, (uint32_t)block + l, (uint32_t)(block >> 32), DROPOUT_ROUNDS);
        word[0][l] = b.v[0], word[1][l] = b.v[1], word[2][l] = b.v[2], word[3][l] = b.v[3];
    }
    memcpy(byte, word, sizeof byte);
#pragma omp simd
    for (int e = 0; e < DROPOUT_GROUP; e++) factor[e] = byte[e] < high ? 0 : gain;
    if (!(cut & 0xff)) return; /* then a tie is kept, and p = 1 has none */
    for (const uint8_t *at = byte, *end = byte + sizeof byte; (at = memchr(at, (int)high, (size_t)(end - at))); at++)
        if (!dropout_tie_keeps(cut, stream, group * DROPOUT_GROUP + (uint64_t)(at - byte))) factor[at - byte] = 0;
}

#endif
