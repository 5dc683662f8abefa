/* Logistic regression on a few dense columns.  With weights w and bias b, over rows x_i of class weights c_i (the
 * positive class's is the root of the imbalance) and labels y_i = -1 or 1,
 *
 *     (1/sum c) sum_i c_i log(1 + exp(-y_i (w z_i + b)))  +  penalty/2 |w|^2      is least,
 *
 * where z is x with mean 0 and variance 1 in each column.  Deterministic. */
#ifndef NUM_LOGISTIC_H
#define NUM_LOGISTIC_H

#include "base/arena.h"
#include "num/minimise.h"

typedef struct {
    int64_t columns;
    double *mean, *scale; /* (columns) z = (x - mean) scale; a constant column's scale is 0 */
    double *weight;       /* (columns), then the bias */
} Logistic;
Logistic logistic_blank(Arena *, int64_t columns);
/* x (n,columns); label (n) 0 or 1, of both classes.  E_NUMERIC: a value is not finite. */
Status logistic_fit(Logistic *out, Minimum *found, Arena *, const double *x, const int *label, int64_t n,
                    int64_t columns, double penalty);
double logistic_score(const Logistic *, const double *x); /* the probability of label 1 */

#endif
