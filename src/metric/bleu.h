/* Three BLEUs that commit messages are scored with.  They differ by several points on the same output, so a number
 * goes with the name of its variant.  One reference a row; Tao et al. (ICSME 2021) compare the three.
 *
 *   B-Norm    mean over rows of smoothed sentence BLEU-4 on lower-cased words and signs: for n >= 2 one is added to
 *             matches and total, and the brevity is min(0, 1 - (r+1)/(c+1)).  A row with an empty hypothesis is 0,
 *             where the published script leaves it out and a silent system would look good.  Agrees best with
 *             human judgement; the one to report.
 *   B-Moses   corpus BLEU-4 on words between white space, as the text stands (multi-bleu.perl): 0 where an order has
 *             no match at all.
 *   B-CC      mean over rows of sentence BLEU-4 with Chen and Cherry's smoothing 5 (nltk), on words between white
 *             space, as the text stands; a row without a common word is 0, and a row can exceed 1. */
#ifndef METRIC_BLEU_H
#define METRIC_BLEU_H

#include "metric/words.h"

enum { BLEU_ORDERS = 5 }; /* the fifth is for B-CC's smoothing */
typedef struct {
    int64_t hypothesis, reference;                  /* words */
    int64_t match[BLEU_ORDERS], total[BLEU_ORDERS]; /* n-grams of the hypothesis; matches clipped by the reference */
} BleuCounts;

void bleu_count(BleuCounts *, Arena *scratch, Words hypothesis, Words reference); /* adds to the counts */

double bleu_norm(const BleuCounts *row);     /* 0..1 */
double bleu_moses(const BleuCounts *corpus); /* 0..1, of the summed counts */
double bleu_cc(const BleuCounts *row);       /* 0.. */

#endif
