/* A table of measures with their intervals and, for two systems, their differences; then remarks, which say why a
 * value, an interval or a difference is missing and what else a reader of the numbers must know. */
#ifndef METRIC_SCORES_H
#define METRIC_SCORES_H

#include "metric/messages.h"
#include "num/stats.h"

enum { SCORES_MOST = 16, SCORES_REMARKS = 64 };
typedef struct {
    int n; /* measures */
    MetricName name[SCORES_MOST];
    const char *why[SCORES_MOST]; /* where the value is not finite: "only class 0 is there" */
    double value[SCORES_MOST];
    Interval ci95[SCORES_MOST];
    Contrast contrast[SCORES_MOST]; /* with a second system */
    bool paired, drawn;
    int remarks;
    const char *remark[SCORES_REMARKS]; /* sentences without their full stop */
} Scores;

typedef struct {
    int draws; /* of the bootstrap; below 2: no intervals */
    uint64_t seed;
    const int32_t *stratum; /* (n) as in Bootstrap, or NULL */
} ScoreDraws;

/* Values and intervals of system `a` on n rows and, against system `b` (NULL: none), the differences; then remarks
 * about what is missing. */
void scores_compute(Scores *, Arena *, const ScoreDraws *, int64_t n, StatsFn *, void *a, void *b);
/* Sorts n rows of the columns, in place, NULL columns left out: then neither a sum nor a draw of the bootstrap
 * depends on the order of the rows in a file. */
void scores_sort(Arena *, double *const *column, int columns, int64_t n);
void scores_remark(Scores *, Arena *, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
