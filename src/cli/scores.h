/* The table of vernier score: metrics with their intervals and, for two systems, their differences.  Remarks follow,
 * with the reason for each missing value, interval or difference, and other facts that matter to a reader. */
#ifndef CLI_SCORE_SCORES_H
#define CLI_SCORE_SCORES_H

#include "cli/command.h"
#include "io/json.h"
#include "num/stats.h"
#include "metric/messages.h"

enum { SCORES_MOST = 16, SCORES_REMARKS = 64 };
typedef struct {
    int n; /* measures */
    MetricName name[SCORES_MOST];
    const char *why[SCORES_MOST]; /* where the value is not finite: "only class 0 is there" */
    double value[SCORES_MOST];
    Interval ci95[SCORES_MOST];
    Contrast contrast[SCORES_MOST]; /* with --against */
    bool paired, drawn;
    int remarks;
    const char *remark[SCORES_REMARKS]; /* sentences without their full stop */
} Scores;

/* Sorts n rows of the columns, in place, NULL columns left out: then neither a sum nor a draw of the bootstrap
 * depends on the order of the rows in a file. */
void scores_sort(Arena *, double *const *column, int columns, int64_t n);

/* Values, and intervals unless --bootstrap-samples is 0, of system `a` and against system `b` (NULL: none), and the
 * remarks about missing values.  stratum (n) as in Bootstrap, or NULL. */
Status scores_measure(Scores *, const Args *, int64_t n, const int32_t *stratum, StatsFn *, void *a, void *b);
void scores_remark(Scores *, Arena *, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void scores_print(const Scores *, const char *against);
void scores_json(const Scores *, cJSON *root); /* prints the root with the scores in it, and deletes it */

#endif
