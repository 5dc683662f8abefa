/* Which lines of a defective commit are at fault?  A file of JSON Lines has a row for each commit, with its added
 * ("a") and removed ("d") lines and whether each is at fault:
 *
 *   {"id": "6e71...", "lines": [["a", 0, "int x = 0 ;"], ["d", 1, "return y ;"]]}
 *
 *   TRY(jit_lines_read(&s, &run, path));
 *   for (i = 0; i < s.n; i++) {
 *       jit_lines_floor(score, &s.change[i], LINES_BY_LENGTH);
 *       each[i] = jit_lines_measure(&s.change[i], s.faulty[i], score, true);
 *   }
 *   LineScores mean = jit_lines_mean(each, s.n); */
#ifndef TASKS_JIT_LINES_H
#define TASKS_JIT_LINES_H

#include "change/change.h"
#include "metric/effort.h"

typedef struct {
    int64_t n;
    CodeChange *change; /* (n) with an id and one file of the added and removed lines, and nothing else */
    int32_t **faulty;   /* (n) of each line */
} JitFaulty;
/* E_FORMAT names path:line. */
Status jit_lines_read(JitFaulty *out, Arena *, const char *path);

/* Orders that any ranking should beat: a random one, that of the file, and the longest lines first. */
typedef enum { LINES_AT_RANDOM, LINES_IN_ORDER, LINES_BY_LENGTH, LINE_FLOORS } LineFloor;
extern const char *const LINE_FLOOR[LINE_FLOORS];
/* A score for each added or removed line, in their order.  Equal scores mean a random order (metric/effort.h). */
void jit_lines_floor(double *out, const CodeChange *, LineFloor);

/* NaN where no line that counts is at fault. */
LineScores jit_lines_measure(const CodeChange *, const int32_t *faulty, const double *score, bool added_alone);
LineScores jit_lines_mean(const LineScores *, int64_t n); /* over those that are not NaN */

#endif
