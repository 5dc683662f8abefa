/* The results of a sweep as one table: a row for each setting, with mean and interval over its seeds, best first, and
 * its cost.  DIR/summary gets it as table.csv and table.md, every cell as cells.csv, figures and index.html. */
#ifndef SWEEP_COLLECT_H
#define SWEEP_COLLECT_H

#include "sweep/plan.h"

typedef struct {
    const char *by; /* the metric to choose by; NULL: that of the validation, else the first */
    int direction;  /* 1: the highest is the best, -1: the lowest; 0: by the name of the metric */
    bool json;
} Collect;

/* Prints the table and writes DIR/summary.  E_CONFIG: no metric of that name; E_MISMATCH: no cell is done. */
Status collect(const Plan *, Arena *, const char *dir, const Collect *);

#endif
