/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011).  A draw depends on (stream, index) alone, never on draw order or thread count, so adding a layer
 * shifts no other layer's numbers and a resumed run draws the numbers of the unbroken one.
 *
 *   uint64_t s = rng_stream(seed, "data/train");
 *   double u = rng_uniform(s, i);
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

typedef struct {
    uint32_t v[4];
} RngBlock;

/* The block itself, of so many rounds: for kernels that draw within their own loops.  Others call rng_block(). */
static inline __attribute__((always_inline)) RngBlock rng_philox(uint64_t stream, uint32_t low, uint32_t high,
                                                                 int rounds)
{
    uint32_t c0 = low, c1 = high, c2 = 0, c3 = 0, k0 = (uint32_t)stream, k1 = (uint32_t)(stream >> 32);
#pragma GCC unroll 10
    for (int r = 0; r < rounds; r++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (RngBlock){{c0, c1, c2, c3}};
}

uint64_t rng_stream(uint64_t seed, const char *purpose);       /* an independent stream per name */
uint64_t rng_mix(uint64_t stream, uint64_t salt);              /* an independent stream per number */
RngBlock rng_block(uint64_t stream, uint64_t index);           /* 128 random bits: one Philox block */
uint64_t rng_bits(uint64_t stream, uint64_t index);            /* 64 random bits */
double rng_uniform(uint64_t stream, uint64_t index);           /* [0,1), 53 bits */
double rng_normal(uint64_t stream, uint64_t index);            /* N(0,1), Box-Muller on one block */
int64_t rng_below(uint64_t stream, uint64_t index, int64_t n); /* 0..n-1; bias below n / 2^64 */
void rng_shuffle(uint64_t stream, int64_t n, int32_t *items);  /* Fisher-Yates, in place */

#endif
