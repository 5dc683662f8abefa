/* How good are predicted classes or scores?  A row has a true class and a predicted one; where the classes are two,
 * 0 and 1, a score grows with the probability of 1.  Measures that divide by nothing are 0, except AUC and average
 * precision, which are NaN where a class is missing.  No measure depends on the order of the rows, not even
 * in its last bit.
 *
 *   macro and weighted F1   over the classes that occur, as truth or as prediction; weights are the true counts
 *   MCC                     Matthews' correlation for any number of classes (Gorodkin 2004)
 *   AUC                     the chance that a row of 1 scores above a row of 0; a tie counts half
 *   average precision       sum over distinct scores of (recall gained) x precision there
 *   Brier                   mean (score - label)^2; NaN unless every score is in [0,1] */
#ifndef METRIC_SCORE_H
#define METRIC_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

void score_confusion(int64_t *confusion, int classes, const int32_t *truth, const int32_t *predicted,
                     int64_t n); /* (C,C): row the truth, column the prediction; adds to its values */

typedef struct {
    double accuracy, mcc, macro_precision, macro_recall, macro_f1, weighted_precision, weighted_recall, weighted_f1;
} ClassScores;
ClassScores score_classes(const int64_t *confusion, int classes);
double score_f1(const int64_t *confusion, int classes, int class);

typedef struct {
    int64_t n, positives;
    double threshold; /* a row is predicted 1 when its score is at least this */
    double accuracy, precision, recall, f1, mcc, auc, average_precision, brier;
} BinaryScores;
BinaryScores score_binary(const int32_t *label, const double *score, int64_t n, double threshold);
double score_auc(const int32_t *label, const double *score, int64_t n); /* labels 0 and 1 */

#endif
