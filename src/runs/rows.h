/* The validation examples of two runs, joined by their ids (validation.jsonl, tasks/tune_rows.h), and their tests. */
#ifndef RUNS_ROWS_H
#define RUNS_ROWS_H

#include "base/arena.h"
#include "base/err.h"
#include "num/stats.h"

typedef struct {
    int64_t n;
    const char **id, **label, **predicted; /* (n) predicted, score, loss and tokens: NULL where rows lack them */
    double *score, *loss, *tokens;
} Rows;

Status rows_read(Rows *, Arena *, const char *dir); /* n 0: the run has none.  E_FORMAT names the line */

/* A measure of both on the rows that both have, and its difference by the paired bootstrap. */
typedef struct {
    const char *name; /* "auc" */
    double a, b;
    Contrast contrast; /* of b minus a */
} RowTest;
enum { ROW_MEASURES = 5 };
extern const char *const ROW_MEASURE[ROW_MEASURES]; /* their names */
/* The count of measures; *shared: the rows.  0: fewer than two rows are shared, or they are of different kinds. */
int rows_compare(RowTest out[ROW_MEASURES], int64_t *shared, Arena *, const Rows *a, const Rows *b, int draws);
/* The intervals of one run's own measures, under the names as above; the count. */
int rows_measure(RowTest out[ROW_MEASURES], Interval ci95[ROW_MEASURES], Arena *, const Rows *, int draws);

#endif
