/* Effort-aware defect prediction: how many defects does a reviewer find who reads commits in the order of
 * score / effort, the highest first (no effort at all first of all)?  Effort is lines added plus deleted.
 *
 *   recall at 20 % effort    defects among the commits whose cumulative effort stays within a fifth of the total
 *   effort at 20 % recall    cumulative effort up to the ceil(B/5)-th of the B defects, over the total
 *   Popt                     1 - (A_opt - A) / (A_opt - A_worst), A the area (trapezoids) under recall at 10, 20 ..
 *                            100 % of the effort; the best order is by label / effort, the worst its reverse
 *   IFA                      clean commits before the first defect ("initial false alarms")
 *
 * Commits of equal score / effort are a tie, and their order is unknown.  Every measure is its
 * expected value over a random order of each tie, so the order of the rows does not matter.  It is exact, but for
 * large ties of unlike efforts, where recall at 20 % effort and Popt may be off by .001 (metric/tie.h).
 *
 * Scores must not be negative: division by the effort would turn their order around.  Random scores give Popt around
 * .80 and recall around .59 on JIT-Defects4J, not a half: small commits come early.
 * Definitions as in the evaluation of JITLine and JIT-Fine (Pornprasit and Tantithamthavorn, MSR 2021; Ni et al., FSE
 * 2022).  NaN where there is no defect or no effort; Popt also where the best order is as good as the worst. */
#ifndef METRIC_EFFORT_H
#define METRIC_EFFORT_H

#include <stdint.h>

#include "base/arena.h"

typedef struct {
    double recall_at_20, effort_at_20, popt, ifa;
} EffortScores;
EffortScores effort_scores(const int32_t *label, const double *score, const double *effort, int64_t n);

/* Which lines of one defective commit are at fault: lines by score, descending, with the expected value over ties as
 * above; scores may be negative.  top_5 and top_10: faulty lines among the first 5 or 10, over their number.  Average
 * over the commits that were predicted correctly and have added lines.  NaN where no line is faulty. */
typedef struct {
    double ifa, top_5, top_10, recall_at_20, effort_at_20;
} LineScores;
LineScores effort_lines(const int32_t *faulty, const double *score, int64_t n);

#endif
