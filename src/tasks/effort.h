/* Effort-aware defect prediction: how many defects does a reviewer find who reads commits in the order of
 * score / effort, the highest first (no effort at all first of all, equals in the order given)?  Effort is lines
 * added plus deleted.
 *
 *   recall at 20 % effort    defects among the commits whose cumulative effort stays within a fifth of the total
 *   effort at 20 % recall    cumulative effort, whole lines, up to the ceil(B/5)-th of the B defects, over the total
 *   Popt                     1 - (A_opt - A) / (A_opt - A_worst), A the area (trapezoids) under recall at 10, 20 ..
 *                            100 % of the effort; the best order is by label / effort, the worst its reverse
 *   IFA                      clean commits before the first defect ("initial false alarms")
 *
 * Random scores give Popt around .80 and recall around .59 on JIT-Defects4J, not a half: small commits come early.
 * Definitions as in the evaluation of JITLine and JIT-Fine (Pornprasit and Tantithamthavorn, MSR 2021; Ni et al., FSE
 * 2022).  NaN where there is no defect. */
#ifndef TASKS_EFFORT_H
#define TASKS_EFFORT_H

#include <stdint.h>

#include "base/arena.h"

typedef struct {
    double recall_at_20, effort_at_20, popt, ifa;
} EffortScores;
EffortScores effort_scores(const int32_t *label, const double *score, const double *effort, int64_t n);

/* Which lines of one defective commit are at fault: lines by score, descending, equals in the order given.  top_5 and
 * top_10: faulty lines among the first 5 or 10, over their number.  Average over the commits that were predicted
 * correctly and have added lines.  NaN where no line is faulty. */
typedef struct {
    double ifa, top_5, top_10, recall_at_20, effort_at_20;
} LineScores;
LineScores effort_lines(const int32_t *faulty, const double *score, int64_t n);

#endif
