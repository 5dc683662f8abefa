/* ROUGE-L of one row as the COCO caption scripts compute it: with L the length of the longest common subsequence,
 * P = L / hypothesis, R = L / reference, F = (1 + b^2) P R / (R + b^2 P), b = 1.2.  Their words lie between single
 * blanks (words_blanks), so an empty text is one empty word; the text is taken as it stands, upper case included.
 * Source: Lin (2004); Chen et al., "Microsoft COCO Captions" (2015). */
#ifndef METRIC_ROUGE_H
#define METRIC_ROUGE_H

#include "metric/words.h"

int64_t rouge_lcs(Arena *scratch, Words a, Words b);
double rouge_l(Arena *scratch, Words hypothesis, Words reference); /* 0..1 */

#endif
