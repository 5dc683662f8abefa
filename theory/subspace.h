/* A random subspace of those of a model's weights that a pattern names: theta = theta_0 + P z, with P (D,d) of
 * entries +-1/sqrt(D) that are made from a seed and never stored.  Two ways to draw the signs:
 *
 *   Hadamard      P_ij = s_i H(i, c_j) / sqrt(D): random signs s_i, distinct random columns c_j of the Walsh-Hadamard
 *                 matrix H(i, c) = (-1)^popcount(i & c) of N rows, the power of two at or above D.  N log N.
 *   independent   every sign by itself.  D d.
 *
 *     Subspace *s = subspace_open(run, model->params, "*", d, false, stream); all weights trainable
 *     each step: subspace_apply(s); forward and backward; subspace_step(s, lr, step) */
#ifndef THEORY_SUBSPACE_H
#define THEORY_SUBSPACE_H

#include "ad/param.h"

typedef struct {
    ParamSet *params;
    const char *names;     /* pattern of the weights that it reaches; the others stay frozen */
    int64_t size, d, room; /* D, d, N */
    bool independent;
    uint64_t stream;
    int32_t *column;            /* (N), shuffled; the first d are used */
    float *start, *grad, *sign; /* (D) theta_0; a gradient; s */
    float *work;                /* (N) */
    Tensor z, dz, m, v;         /* (d): the parameters, their gradient, and Adam's means */
} Subspace;

Subspace *subspace_open(Arena *run, ParamSet *, const char *names, int64_t d, bool independent, uint64_t stream);
void subspace_up(const Subspace *, float *theta, Tensor z);   /* theta (D) = P z */
void subspace_down(const Subspace *, Tensor z, float *theta); /* z = P' theta; theta is left as it is */
void subspace_apply(Subspace *);                              /* the model's weights = theta_0 + P z */
void subspace_step(Subspace *, double lr, int64_t step);      /* Adam on P' of the weights' gradients; from 1 */

#endif
