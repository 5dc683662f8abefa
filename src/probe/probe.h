/* Linear probes: can a linear classifier read a property off frozen features?
 *
 * Features are (N,D), one row per example of a Dataset, in its order.  They are standardised by the mean and
 * standard deviation of the training rows (a constant column becomes 0).  The classifier is multinomial logistic
 * regression with bias, fitted on the training rows by GSL's BFGS: with standardised x and weights W (C,D), b (C)
 *
 *     (1/n) sum_i -log softmax(W x_i + b)[y_i]  +  penalty/2 |W|^2    is least.
 *
 * The penalty is the one of the grid with the best validation accuracy, among ties the largest; the weights are
 * those of the training rows alone, and the test rows are used once.
 *
 * A probe's accuracy means little by itself: compare it with probe_majority (no features), with the same probe on
 * probe_bag (the text's tokens, no encoder), and with labels from probe_shuffle_labels (the memory of D
 * features: Hewitt and Liang, EMNLP 2019). */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include <stdbool.h>

#include "num/stats.h"
#include "num/tensor.h"
#include "probe/dataset.h"
#include "text/bpe.h"

typedef struct {
    const double *penalty; /* the grid, or NULL: 1, 0.1, 0.01, 0.001, 0.0001 */
    int n_penalties;
    int most_iterations; /* per penalty; 0: 1000 */
    double tolerance; /* of the norm of the scaled gradient; 0: the objective comes within 1e-6 of its least value */
    int hidden;       /* units of the multi-layer perceptron; 0: 32 */
    uint64_t seed;    /* of the starting weights and the order of rows */
    const double *scale; /* (D) weights of the standardised columns, small ones are penalised more; NULL: 1 */
    bool by_loss; /* choose the penalty by validation loss, for those who read probabilities; else by accuracy */
} ProbeConfig;

typedef struct {
    double accuracy[SPLITS], macro_f1[SPLITS]; /* fractions; NaN for an empty split */
    Interval ci95;                             /* of the test accuracy (Wilson) */
    int n_labels;
    int64_t *confusion;   /* (C,C) on test: row the true label, column the predicted */
    int32_t *predicted;   /* (N) every example, for stats_mcnemar between two probes */
    Tensor probability;   /* (N,C) F64 of every label for every example; `predicted` is the likeliest */
    double penalty, loss; /* the chosen one; the objective there */
    double gradient;      /* the norm of the objective's gradient there */
    int iterations;       /* of the chosen fit */
    bool converged;       /* the chosen fit reached the tolerance */
    Tensor weight, bias;  /* (C,D) and (C) F64, for standardised features: of linear classifiers */
    Tensor mean, sd;      /* (D) F64 of the training rows; sd 0 means a constant column */
} ProbeResult;

/* label (N) replaces the dataset's labels when not NULL; config NULL means the defaults.  Deterministic.
 * E_NUMERIC: a feature is not finite.  E_MISMATCH: no training rows. */
Status probe_fit(ProbeResult *out, Arena *, Tensor features, const Dataset *, const int32_t *label,
                 const ProbeConfig *);

/* Always the most frequent training label; its probabilities are the labels' training shares. */
void probe_majority(ProbeResult *out, Arena *, const Dataset *);

/* Bag of tokens (N,K) F32: log(1 + count) of the K <= most tokens that occur in the most training texts, and in
 * at least two (frequency cut-off; ties in order of first appearance).  Tokens are BPE pieces, or, with bpe NULL,
 * the words between white space. */
Tensor probe_bag(Arena *, const Dataset *, Bpe *bpe, int most);

void probe_shuffle_labels(int32_t *label, const Dataset *, uint64_t stream); /* (N) permuted within each split */

#endif
