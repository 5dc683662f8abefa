/* Dense linear algebra beyond products: singular values, ranks, least squares, over the LAPACK in OpenBLAS.
 *
 * Inputs are matrices (M,N) of any float dtype; work and results are F64 on the given arena.  LAPACK stores by
 * columns, so a row-major matrix reaches it as its transpose; here that is undone, and callers see (M,N). */
#ifndef NUM_LINALG_H
#define NUM_LINALG_H

#include "base/err.h"
#include "num/tensor.h"

typedef struct {
    Tensor u, s, vt; /* (M,K), (K) descending, (K,N) with K = min(M,N); m = u diag(s) vt */
} Svd;

/* E_NUMERIC: an entry is not finite, or the iteration did not converge. */
Status linalg_svd(Svd *out, Arena *, Tensor m);
Status linalg_singular(Tensor *s, Arena *, Tensor m); /* (K) singular values alone, descending */

int64_t linalg_rank(Tensor s, double relative); /* how many exceed relative * s[0]; 0 for a zero matrix */
int64_t linalg_numerical_rank(Tensor s);        /* at 1e-9: above the rounding error of work in F64 */
double linalg_effective_rank(Tensor s);         /* exp of the entropy of s / sum(s) (Roy and Vetterli 2007) */
double linalg_participation(Tensor s);          /* (sum s^2)^2 / sum s^4: how many directions share the variance */

/* x (N,P) that makes |a x - b|_F least, and of those the shortest; a is (M,N), b is (M,P).  Singular values below
 * relative * s[0] count as zero; relative < 0 means machine precision.  rank may be NULL. */
Status linalg_least_squares(Tensor *x, int64_t *rank, Arena *, Tensor a, Tensor b, double relative);

/* x (N) becomes the solution of a x = x for a symmetric positive definite a (N,N), row-major, which is overwritten.
 * E_NUMERIC: it is not positive definite. */
Status linalg_solve_positive(double *x, double *a, int64_t n);

#endif
