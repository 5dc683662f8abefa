/* Where a commit lies in the time of its project, and how much of an AUC that explains.  A set of commits whose
 * classes were cut by time apart from each other, as JIT-Defects4J was, has its defective commits early and its clean
 * ones late in every project, so that the date alone looks like a predictor (AUC .80 there).  The paired AUC compares
 * only commits of one project that lie close to each other in time. */
#ifndef METRIC_PLACE_H
#define METRIC_PLACE_H

#include <stdint.h>

#include "base/arena.h"

#define PLACE_CLOSE 0.1 /* a tenth of the project's commits */

/* place[i] in [0,1]: the rank of time[i] among those of project[i], 0 the first and 1 the last, equal times in the
 * middle of their ranks; .5 where the project has one commit.  NaN: its time is INT64_MIN, which is unknown. */
void place_of(double *place, const char *const *project, const int64_t *time, int64_t n);

/* The chance that a commit of label 1 scores above one of label 0 of the same project whose place differs by at most
 * PLACE_CLOSE; a tie counts half.  NaN where there is no such pair; *pairs, unless NULL, counts them. */
double place_auc(int64_t *pairs, const int32_t *label, const double *score, const char *const *project,
                 const double *place, int64_t n);

#endif
