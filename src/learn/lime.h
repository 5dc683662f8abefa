/* LIME for tables (Ribeiro et al., KDD 2016): a linear model of a classifier around one row, as the library fits it
 * with discretize_continuous off.
 *
 * Samples z ~ N(0, 1) of every column stand for the rows  mean + sd z ; row 0 is the row that is explained, as
 * (x - mean) / sd .  With the distance d_i of sample i from it and p columns, sample i weighs
 *
 *     w_i = sqrt(exp(-d_i^2 / (.75 sqrt(p))^2))
 *
 * and the explanation is the coefficients b of the ridge regression of the classifier's scores y,
 *
 *     sum_i w_i (y_i - b_0 - b z_i)^2 + alpha |b|^2     least.
 *
 * The samples lie around the mean of the training rows, not around the row that is explained, as published.  So
 * they serve all rows, and a Lime keeps them. */
#ifndef LEARN_LIME_H
#define LEARN_LIME_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef struct {
    double intercept, r2;      /* r2: weighted share of the scores' variance */
    double *coefficient;       /* (columns) */
    double *distance, *weight; /* (samples, row 0 among them) */
} Explanation;

typedef struct {
    int64_t n, columns; /* rows, row 0 among them */
    double *z;          /* (n, columns) */
    double *product;    /* (n, n) of every two rows; NULL where there are more rows than columns */
    double *score;      /* (n) */
} Lime;
typedef void LimeScores(double *score, const double *z, int64_t n, void *user); /* of rows mean + sd z */
/* Draws the samples and scores them; row 0 is left empty. */
Lime lime_open(Arena *, int64_t samples, int64_t columns, uint64_t stream, LimeScores *, void *user);
Lime lime_of(Arena *, double *z, double *score, int64_t n, int64_t columns); /* given rows, row 0 among them */
/* Row 0 becomes this one.  The sums are taken over columns or over rows, whichever are fewer.  E_NUMERIC: the
 * system has no solution. */
Status lime_explain(Explanation *out, Arena *, Lime *, const double *z, double score, double alpha);

#endif
