/* Products of a few rows with a weight, as generation makes them one token at a time: they cost the time in which the
 * weight passes through the processor, so it is read once, where it lies, in the type that it is held in.
 *
 *   y (R,O) = x (R,C) W'   with W (O,C), or   y = x W   with W (C,O)
 *
 * y_ro is a sum over c in an order that depends on C and on the kind of type alone: in W (O,C) one vector of partial
 * sums and then a tree, in W (C,O) one after another.  So the same bytes come out whatever the number of rows, outputs
 * and threads, and for F32, BF16 and F16 that hold the same numbers.  Blocks (num/blocks.h) apply a scale once for 32
 * terms, and so differ from the dequantised weight by rounding; c, or o in W (C,O), is whole blocks of theirs. */
#ifndef NUM_MATVEC_H
#define NUM_MATVEC_H

#include "num/tensor.h"

enum { MATVEC_ROWS = 4 }; /* most rows */

typedef struct {
    int64_t r, o, c;
    const float *x;
    const void *w;  /* of type `held` */
    DType held;     /* F32 or a narrow type */
    int64_t stride; /* elements from one row of w to the next */
    bool in_out;    /* w is (C,O) */
    float *y;       /* overwritten */
} Matvec;

/* Whether matvec() does a product of so many rows; under kernels_use(KERNELS_REF) it does none. */
bool matvec_takes(DType, int64_t rows);
void matvec(const Matvec *);
void widen(float *to, const void *from, DType held, int64_t n); /* exact; in parallel where it pays */

typedef struct { /* one instruction set's; outputs first..end-1 */
    void (*product)(const Matvec *, int64_t first, int64_t end);
    void (*widen)(float *to, const void *from, DType held, int64_t n);
} MatvecKernels;

extern const MatvecKernels MATVEC_GENERIC;                           /* for tests */
extern const MatvecKernels *const MATVEC_AVX2, *const MATVEC_AVX512; /* NULL where they cannot be compiled */

#endif
