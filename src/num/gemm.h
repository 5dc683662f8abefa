/* Matrix products: C = alpha op(A) op(B) + beta C, row-major, F32 or F64, over OpenBLAS.
 *
 * gemm_parallel() cuts the rows (or, for few rows, the columns) of C into slices whose number depends on the
 * problem's size alone, runs the slices on OpenMP threads, and calls OpenBLAS single-threaded in each: the same bytes
 * come out for any thread count, and it scales better at our sizes than BLAS threads do.  gemm_serial() is one
 * slice, for callers that are already parallel (attention).  With beta = 0, C may be uninitialised.
 * With kernels_use(KERNELS_REF) both run plain loops that accumulate in order.  A zero size is legal: k = 0
 * gives beta C.  Where bf16_native() (num/bf16.h), A and B may be in BF16, with C in F32 and alpha 1. */
#ifndef NUM_GEMM_H
#define NUM_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "num/tensor.h"

typedef struct {
    const void *data;
    int64_t stride; /* elements from one stored row to the next */
    bool t;         /* read transposed */
} Mat;

/* C is (m,n) with row stride c_stride; op(A) is (m,k), op(B) is (k,n). */
void gemm_parallel(DType, int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, void *c,
                   int64_t c_stride);
void gemm_serial(DType, int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, void *c,
                 int64_t c_stride);

/* OpenBLAS maps a buffer of 128 MB for each of its callers and waits for ever when the address space has no room
 * for one.  Under a limit on address space this takes the buffers of `threads` callers now; E_NUMERIC names the
 * missing memory. */
Status gemm_reserve(int threads);

const char *gemm_name(void); /* the library behind F32 products, "oneDNN" or "OpenBLAS": for the manifest */

#endif
