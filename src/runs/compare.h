/* Runs side by side: the settings in which they differ, their metrics, paired tests against the first of them, cost.
 *
 * A metric with several values is tested over the seeds that both runs have (paired t).  Where both have kept their
 * validation examples, the measures are tested on the examples that both have (paired bootstrap). */
#ifndef RUNS_COMPARE_H
#define RUNS_COMPARE_H

#include "runs/rows.h"
#include "runs/stock.h"

enum { MOST_COMPARED = 26 };

typedef struct {
    const char *metric, *over; /* over: "seeds", "examples" */
    int run;                   /* less the first run */
    double difference, p, holm;
    Interval ci95;
    int64_t pairs;
} PairedTest;

typedef struct {
    Arena *arena;
    int n;
    const RunResult *run; /* others are compared with the first */
    Rows *rows;           /* (n) */
    const char **key;     /* settings that differ */
    int keys;
    const char **metric;   /* in the order of their importance */
    int metrics, left_out; /* left_out: equal in all runs, or beyond the limit */
    RunMetric **value;     /* (metrics) of (n) */
    PairedTest *test;
    int tests;
} Comparison;

typedef struct {
    const char *const *metric; /* those that are wanted, as metric_like() finds them; wanted 0: those that differ */
    int wanted, draws;
    bool all; /* of the metrics */
} CompareWish;

/* E_CONFIG: no run has a wanted metric. */
Status comparison_make(Comparison *, Arena *, const Stock *, const CompareWish *);
/* "B minus A: validation f1 0.12 [0.03, 0.20], p 0.01 over 48 examples." */
const char *comparison_sentence(const Comparison *);
char comparison_letter(int run);

#endif
