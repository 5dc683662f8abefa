/* Gradient descent for theory experiments: a handful of parameters that belong to no Model, and a loss that is a
 * function of them.  AdamW without decay, gradient clipped at norm 1, the learning rate falling to 0 along a cosine.
 *
 *     static Var *distance(Tape *t, int64_t step, void *user) { ... return op_mse(t, y, target); }
 *     Param *keys = fit_param(ps, "keys", (Init){INIT_NORMAL, 1}, SHAPE(n, d));
 *     TRY(fit_descend(&best, ps, distance, &mine, (Fit){.lr = 1e-2, .steps = 2000}));
 *
 * `best` is the smallest loss of any step: for a loss without noise, the loss reached. A loss or gradient that is not
 * finite ends the fit; best is then the smallest loss before it, or NaN.  The parameters keep their last values. */
#ifndef THEORY_FIT_H
#define THEORY_FIT_H

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    double lr;
    int64_t steps;
} Fit;
typedef Var *FitLoss(Tape *, int64_t step, void *user); /* (1), in the dtype of the parameters */

Param *fit_param(ParamSet *, const char *name, Init, int rank, const int64_t *dim); /* trainable */
Status fit_descend(double *best, ParamSet *, FitLoss *, void *user, Fit);           /* E_INTERRUPT when stopped */

#endif
