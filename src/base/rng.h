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

uint64_t rng_stream(uint64_t seed, const char *purpose);       /* an independent stream per name */
uint64_t rng_mix(uint64_t stream, uint64_t salt);              /* an independent stream per number */
RngBlock rng_block(uint64_t stream, uint64_t index);           /* 128 random bits: one Philox block */
uint64_t rng_bits(uint64_t stream, uint64_t index);            /* 64 random bits */
double rng_uniform(uint64_t stream, uint64_t index);           /* [0,1), 53 bits */
double rng_normal(uint64_t stream, uint64_t index);            /* N(0,1), Box-Muller on one block */
int64_t rng_below(uint64_t stream, uint64_t index, int64_t n); /* 0..n-1; bias below n / 2^64 */
void rng_shuffle(uint64_t stream, int64_t n, int32_t *items);  /* Fisher-Yates, in place */

#endif
