/* The block types of GGUF files (llama.cpp): 32 or 256 values share a scale, or a scale and an offset, and each is an
 * integer of 2 to 8 bits.  Dequantised, a value is exact up to one rounding of F32: scales have 11 significant bits,
 * scales of scales 6 to 8, and integers 2 to 8, so every product is exact, and only the offset's sum rounds.  The
 * result is therefore the same with and without fused multiply-add. */
#ifndef NUM_BLOCKS_H
#define NUM_BLOCKS_H

#include "num/tensor.h"

enum { BLOCK_MOST = 256 }; /* values of the largest block */
/* n values, a multiple of the type's block, from bytes at any alignment. */
void blocks_to_floats(float *to, DType, const void *from, int64_t n);

#endif
