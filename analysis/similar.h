/* How alike two representations are, and two spaces.  Rows are the same tokens, columns each side's own. */
#ifndef ANALYSIS_SIMILAR_H
#define ANALYSIS_SIMILAR_H

#include "base/err.h"
#include "num/tensor.h"

/* Linear CKA of x (N,C) and y (N,D), columns centred (Kornblith et al. 2019): |Y'X|^2 / (|X'X| |Y'Y|), in [0,1];
 * NaN where one is constant. */
double similar_cka(Arena *scratch, Tensor x, Tensor y);
/* Orthogonal Procrustes distance, both centred and of norm 1 (Ding et al. 2021): 2 - 2 |X'Y|_*, in [0,2]: 0 where a
 * rotation turns one into the other.  NaN where one is constant. */
Status similar_procrustes(double *out, Arena *scratch, Tensor x, Tensor y);

/* Principal angles in degrees, ascending, between the spans of the columns of u (N,P) and v (N,Q), both orthonormal:
 * (min(P,Q)). */
Status similar_angles(Tensor *out, Arena *, Tensor u, Tensor v);
Tensor similar_columns(Arena *, Tensor u, int64_t n); /* the first n columns of u (N,K) */

#endif
