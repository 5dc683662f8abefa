/* A probe's verdict in words, after the test that carries it.
 *
 * Two sets of predictions on the same test examples are compared by McNemar's exact test (1947): of the examples that
 * one alone gets right, is one's share more than a coin's?  Several seeds are averaged and compared by one
 * randomisation test over examples, and the interval of the mean comes from a bootstrap that draws test rows and
 * seeds, each with replacement: with 200 test rows the rows are most of it, and an interval over seeds alone would
 * hide that. */
#ifndef PROBE_COMPARE_H
#define PROBE_COMPARE_H

#include "num/stats.h"
#include "probe/dataset.h"

typedef struct {
    int64_t n, only_a, only_b; /* examples of the split; that a alone, b alone got right */
    double a, b, p;            /* accuracies; two-sided */
} Comparison;
/* predicted (N) each; label (N) NULL: the dataset's. */
Comparison compare_predictions(const int32_t *a, const int32_t *b, const Dataset *, const int32_t *label, Split);

/* Of `seeds` pairs of predictions: mean accuracies, and p of one randomisation test (Fisher; Noreen 1989).  Under its
 * null hypothesis the two may be exchanged in any example, in all seeds at once; the statistic is the difference of
 * mean accuracies.  only_a and only_b are sums over seeds. */
Comparison compare_seeds(const int32_t *const *a, const int32_t *const *b, int seeds, const Dataset *,
                         const int32_t *label, Split, int draws, uint64_t stream);

/* 95 % of the mean accuracy of `seeds` predictions (N) of the same examples. */
Interval compare_interval(const int32_t *const *predicted, int seeds, const Dataset *, const int32_t *label, Split,
                          int draws, uint64_t stream);

/* 95 % of the mean of `seeds` values of each of n rows, drawn in the same way. */
Interval compare_mean_interval(const double *const *value, int seeds, int64_t n, int draws, uint64_t stream);

/* The same set with the test rows alone that are kept (N); the others are in no split. */
Dataset compare_among(Arena *, const Dataset *, const bool *keep);

/* "above the word-overlap rule (84.0 % against 81.5 %, p = 0.03)", "not above the ..." where p >= alpha, "below the
 * ..." where the difference is as certain the other way; on the arena. */
const char *compare_sentence(Arena *, const Comparison *, const char *rule, double alpha);

#endif
