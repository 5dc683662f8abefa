/* A table of texts that grows cell by cell and row by row, for experiments with tables too irregular for a formula.
 *
 *   Grid g = grid_open(run_arena(r), 2, (const char *const[]){"system", "AUC"});
 *   grid_put(&g, "words"), grid_number(&g, 0.788, 3);
 *   grid_close(&g, r, "Defects on the test commits.");          nothing where no row was put */
#ifndef PROBES_GRID_H
#define PROBES_GRID_H

#include "run/experiment.h"

enum { GRID_COLUMNS = 12, GRID_ROWS = 256 };
typedef struct {
    Arena *a;
    const char **cell;
    int cols, rows, at;
    bool measured; /* of times and memory */
    const char *head[GRID_COLUMNS];
} Grid;
Grid grid_open(Arena *, int cols, const char *const *head); /* the arena outlives the run's results */
void grid_put(Grid *, const char *text);                    /* which outlives them, too */
void grid_number(Grid *, double, int decimals);             /* "n/a" where it is not finite */
void grid_close(Grid *, Run *, const char *caption);

#endif
