/* The least value of a smooth function, by GSL's BFGS.  Deterministic. */
#ifndef NUM_MINIMISE_H
#define NUM_MINIMISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef double SlopeFn(const double *x, double *g, void *user); /* the value; the gradient into g (n), may be NULL */
typedef struct {
    double value, gradient; /* there; the gradient's norm */
    int iterations;
    bool converged; /* the norm is below the tolerance */
} Minimum;
/* From x (n), which is left at the best point found.  E_NUMERIC: GSL's reason, where it cannot even begin. */
Status minimise_bfgs(Minimum *out, double *x, int64_t n, SlopeFn *, void *user, double tolerance,
                     int most_iterations);

#endif
