/* Weights that a model holds in 16 bits or in quantised blocks.  Only frozen ones are (ad/param.h); widening is
 * exact, so an op that computes with the wide copy gives the bytes that it gives for a parameter of F32. */
#ifndef AD_WIDE_H
#define AD_WIDE_H

#include "ad/op.h"

Tensor wide_open(Tape *, Tensor w); /* w itself, or its values in F32, in a buffer of the pool */
/* Outputs first .. first+n-1 of a weight as a matrix of their own, (n,C) or (C,n); w itself where it is wide. */
Tensor wide_part(Tape *, Tensor w, Layout, int64_t first, int64_t n);
void wide_copy(Tensor to, Tensor w);            /* into a tensor of the same shape: its bytes, or its values in F32 */
void wide_close(Tape *, Tensor wide, Tensor w); /* w: that given to wide_open() or wide_part() */

/* Outputs first .. first+n-1 of a weight with c inputs, for as many products as follow.  Where the weight is in BF16
 * and num/bf16.h is in use, they are products in BF16. */
typedef struct {
    Tensor w, wide; /* as given; as wide_part() has it */
    Layout layout;
    int64_t first, n, c;
} Weight;
Weight weight_open(Tape *, Tensor w, Layout, int64_t first, int64_t n);
void weight_close(Tape *, const Weight *);
void weight_forward(Tape *, const Weight *, DType, const void *x, int64_t r, void *y); /* y (r,n) = x (r,c) W' */
/* dx (r,c) = d (r,n) W + beta dx */
void weight_backward(Tape *, const Weight *, DType, const void *d, int64_t r, double beta, void *dx);
/* The input of a product with w: x itself, or its values rounded to BF16 in a buffer of the pool. */
Tensor round_open(Tape *, Tensor x, Tensor w);
void round_close(Tape *, Tensor rounded, Tensor x);

#endif
