/* Small dense F64 matrices for theory experiments: (M,N) tensors on the given arena, made, multiplied, measured. */
#ifndef THEORY_DENSE_H
#define THEORY_DENSE_H

#include "base/err.h"
#include "num/tensor.h"

Tensor dense_normal(Arena *, int64_t rows, int64_t cols, double sd, uint64_t stream);
Tensor dense_identity(Arena *, int64_t n);
Tensor dense_product(Arena *, Tensor a, Tensor b); /* a b */
Tensor dense_transpose(Arena *, Tensor a);
Tensor dense_sum(Arena *, Tensor a, double s, Tensor b);    /* a + s b */
Status dense_norm(double *out, Arena *, Tensor a);          /* largest singular value */
Status dense_solve(Tensor *x, Arena *, Tensor a, Tensor b); /* a x = b, shortest or least squares where it must be */
double dense_gap(Tensor a, Tensor b);                       /* maximum |a_i - b_i| */

#endif
