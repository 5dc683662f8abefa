/* Linear classifiers of sparse rows for labels 0 and 1: logistic regression by LIBLINEAR (Fan et al., JMLR 2008),
 * and a support vector machine with a linear kernel by LIBSVM (Chang and Lin 2011).
 *
 * Both minimise  |w|^2 / 2 + sum_i c_i loss(y_i (w x_i + b)) , with the logistic loss and the hinge loss; c_i is
 * `cost`, and with `balance` that of label 1 is larger by the ratio of the classes.  LIBLINEAR penalises b, too, as
 * the weight of a column of ones.  The score is 1 / (1 + exp(-(w x + b))): a probability for the first, for the
 * second a number that is .5 on the border.  Columns should be of like size: nothing is scaled here. */
#ifndef LEARN_LINEAR_H
#define LEARN_LINEAR_H

#include <stdbool.h>

#include "io/weights.h"
#include "learn/sparse.h"

typedef enum { LINEAR_LOGISTIC, LINEAR_SVM } LinearKind;
typedef struct {
    LinearKind kind;
    double cost;
    bool balance;
} LinearPlan;
typedef struct {
    int64_t columns;
    double *weight; /* (columns) */
    double bias;
} LinearModel;

/* E_CONFIG: the library's own complaint.  E_MISMATCH: only one class. */
Status linear_fit(LinearModel *out, Arena *, const Sparse *rows, const int32_t *label, const LinearPlan *);
double linear_score(const LinearModel *, const double *x); /* x: a full row */
/* As an array of a file of the caller's (io/weights.h): the weights, then the bias. */
Stored linear_store(Arena *, const LinearModel *);
/* E_FORMAT: the file holds no weights of `columns` columns. */
Status linear_read(LinearModel *out, Arena *, const Weights *, int64_t columns);

#endif
