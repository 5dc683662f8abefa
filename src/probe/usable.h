/* V-information: how many bits of a label can a classifier of this family predict from the features, beyond those
 * that it predicts without them?  For each example, pointwise,
 *
 *     PVI(x -> y) = log2 p(y | x) - log2 p(y),
 *
 * p(y | x) a fitted classifier's and p(y) the best guess without input, which is the label's share in training.  Its
 * mean over held-out examples is the V-information (or usable information), at most the labels' entropy and below 0
 * where the classifier has overfitted.  An example with negative PVI is harder with its features than without: the
 * labels of these may be wrong.
 * Source: Xu et al. (ICLR 2020); Ethayarajh et al., "Understanding Dataset Difficulty with V-Usable Information"
 * (ICML 2022). */
#ifndef PROBE_USABLE_H
#define PROBE_USABLE_H

#include "num/stats.h"
#include "num/tensor.h"
#include "probe/dataset.h"

typedef struct {
    int64_t n;         /* examples of the split */
    int32_t *row;      /* (n) which ones */
    double *pvi;       /* (n) bits */
    double mean;       /* the V-information, bits */
    Interval ci95;     /* bootstrap over examples */
    double entropy;    /* mean -log2 p(y) of the split, the upper bound */
    int64_t negatives; /* examples with negative PVI, ... */
    int32_t *negative; /* ... the lowest first */
} Usable;
/* probability (N,C): a classifier's for every example (ProbeResult), fitted with by_loss.  label (N) NULL: the
 * dataset's.  A label that training lacks has the share of half an example. */
void usable_measure(Usable *out, Arena *, Tensor probability, const Dataset *, const int32_t *label, Split,
                    uint64_t stream);

#endif
