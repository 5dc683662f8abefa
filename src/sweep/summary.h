/* The table of a sweep on the terminal, as CSV, Markdown and JSON, with figures and a page. */
#ifndef SWEEP_SUMMARY_H
#define SWEEP_SUMMARY_H

#include "num/stats.h"
#include "sweep/gather.h"

typedef struct {
    const char *const *value; /* of each key; the seed's is that of one of its cells */
    int cells, done, supported;
    double *metric; /* (done) */
    Summary over;
    double total, trainable, seconds,
        peak; /* parameters; mean seconds of a cell; bytes of the largest; NaN: unknown */
} Row;

typedef struct {
    const Plan *plan;
    Arena *arena;
    const char *dir;
    Gathered *cell;
    int seed;           /* the key that is the seed, or -1 */
    const char *metric; /* NULL: the cells have none */
    bool lowest;        /* is the best */
    const char **metrics;
    int n_metrics;
    bool verdicts;
    Row *row; /* the best first */
    int64_t n;
} Sums;

void summary_print(const Sums *);
void summary_json(const Sums *);
/* table.csv, table.md, cells.csv, figures and index.html below `dir`. */
Status summary_write(const Sums *, const char *dir);

#endif
