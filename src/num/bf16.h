/* Products in BF16: the inputs are rounded to BF16 (nearest, ties to even), their products are exact, and the sums are
 * in F32.  Only products with a weight that is held in BF16 are, once bf16_use(true) is set for the process; adapters,
 * norms, softmax, losses and optimiser stay in F32.
 *
 * Where the processor has AVX512-BF16 or AMX, and the build has oneDNN, its matrix product takes BF16 as it is.  Those
 * instructions take subnormal inputs as zero and flush subnormal sums, and round no product; AVX512-BF16 adds products
 * in pairs.  Elsewhere rounded inputs are widened and multiplied in F32, where a product of two BF16 numbers is exact:
 * the same up to the order of sums and subnormal numbers, and slower than F32 by the roundings. */
#ifndef NUM_BF16_H
#define NUM_BF16_H

#include "num/gemm.h"

void bf16_use(bool); /* process-wide; set before any work, by --dtype bf16 */
bool bf16_used(void);
bool bf16_native(void);                                   /* the processor's own instructions are used */
const char *bf16_name(void);                              /* of the way above, for help and manifest */
bool bf16_takes(DType weight);                            /* a product with a weight of this type rounds its inputs */
void bf16_round(float *to, const float *from, int64_t n); /* to the next BF16 number; `to` may be `from` */
void bf16_narrow(uint16_t *to, const float *from, int64_t n);

/* One slice of gemm_parallel(): C = op(A) op(B) + beta C with A and B in `dtype`, F32 or BF16, C in F32, and beta 0 or
 * 1, by oneDNN's matrix product.  False where the build or the processor lacks it. */
bool bf16_multiply(DType, int64_t m, int64_t n, int64_t k, Mat a, Mat b, double beta, float *c, int64_t c_stride);

#endif
