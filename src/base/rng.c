/* Philox4x32-10: ten rounds of two 32x32->64 multiplications under a key schedule of Weyl constants. */
#include "base/rng.h"

#include <math.h>

enum { ROUNDS = 10 };

RngBlock rng_block(uint64_t stream, uint64_t index)
{
    return rng_philox(stream, (uint32_t)index, (uint32_t)(index >> 32), ROUNDS);
}

/* FNV-1a over the name, then one Philox block keyed by the seed. */
uint64_t rng_stream(uint64_t seed, const char *purpose)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *purpose; purpose++) h = (h ^ (unsigned char)*purpose) * 0x100000001b3u;
    return rng_mix(seed, h);
}

uint64_t rng_mix(uint64_t stream, uint64_t salt)
{
    RngBlock b = rng_block(stream, salt);
    return (uint64_t)b.v[3] << 32 | b.v[2];
}

uint64_t rng_bits(uint64_t stream, uint64_t index)
{
    RngBlock b = rng_block(stream, index);
    return (uint64_t)b.v[1] << 32 | b.v[0];
}

double rng_uniform(uint64_t stream, uint64_t index)
{
    return (double)(rng_bits(stream, index) >> 11) * 0x1p-53;
}

double rng_normal(uint64_t stream, uint64_t index)
{
    RngBlock b = rng_block(stream, index);
    double u = ((double)((uint64_t)b.v[0] << 21 | b.v[1] >> 11) + 0.5) * 0x1p-53; /* (0,1): the log is finite */
    double angle = (double)((uint64_t)b.v[2] << 21 | b.v[3] >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * angle);
}

int64_t rng_below(uint64_t stream, uint64_t index, int64_t n)
{
    __extension__ typedef unsigned __int128 Wide;
    return (int64_t)((Wide)rng_bits(stream, index) * (uint64_t)n >> 64);
}

void rng_shuffle(uint64_t stream, int64_t n, int32_t *items)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = rng_below(stream, (uint64_t)i, i + 1);
        int32_t t = items[i];
        items[i] = items[j];
        items[j] = t;
    }
}
