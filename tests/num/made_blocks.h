/* Random matrices in the block types of GGUF files. */
#ifndef TESTS_NUM_MADE_BLOCKS_H
#define TESTS_NUM_MADE_BLOCKS_H

#include <string.h>

#include "base/rng.h"
#include "expect.h"
#include "num/half.h"
#include "num/tensor.h"

/* The block types, and where the 16-bit scales of a block lie; -1: there is no second one. */
static const struct {
    DType type;
    int scale[2];
} BLOCKS[] = {{Q4_0, {0, -1}},  {Q4_1, {0, 2}},    {Q5_0, {0, -1}}, {Q5_1, {0, 2}}, {Q8_0, {0, -1}},
              {Q2_K, {80, 82}}, {Q3_K, {108, -1}}, {Q4_K, {0, 2}},  {Q5_K, {0, 2}}, {Q6_K, {208, -1}}};
enum { N_BLOCKS = sizeof BLOCKS / sizeof *BLOCKS };

/* Random integers, with scales between 1 and 5 times `scale`. */
static inline Tensor random_blocks(Arena *a, int type, double scale, uint64_t seed, int rank, const int64_t *dim)
{
    Tensor t = tensor_new(a, BLOCKS[type].type, rank, dim);
    uint8_t *x = t.data;
    size_t size = dtype_size(t.dtype), n = tensor_bytes(t);
    for (size_t i = 0; i < n; i++) x[i] = (uint8_t)rng_bits(seed, i);
    for (size_t i = 0; i < n; i += size)
        for (int s = 0; s < 2 && BLOCKS[type].scale[s] >= 0; s++) {
            uint16_t half = half_from(scale * (1 + 4 * rng_uniform(seed + 1, i + (size_t)s)));
            memcpy(x + i + BLOCKS[type].scale[s], &half, sizeof half);
        }
    return t;
}

#endif
