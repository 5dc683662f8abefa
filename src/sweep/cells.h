/* Cells of a sweep as processes of this program, side by side.
 *
 * A cell is an ordinary command whose directory is DIR/NAME; a command that prints is given one, with the output
 * in it.  DIR/logs has NAME.log, the output of the command; NAME.jsonl, a line for each attempt with its exit code,
 * seconds and memory; and NAME.done, a sealed note of the words and the inputs of a cell that is done.  Weights of
 * a model are mapped from its files, so cells that read the same files share their pages. */
#ifndef SWEEP_CELLS_H
#define SWEEP_CELLS_H

#include "run/progress.h"
#include "sweep/plan.h"

typedef struct {
    const Plan *plan;
    Arena *arena;
    const char *dir;
    int jobs, threads; /* cells at a time, and cores of each; threads 0: the command has its own --threads */
    bool quiet;
} Cells;

typedef struct {
    int64_t done, failed, busy, stopped; /* busy: in use by another process */
    Status first;                        /* of a cell that failed for its input, else OK */
} Outcome;

/* Runs the listed cells; a signal stops them in order.  One that is done already is counted and not run again. */
Status cells_run(Outcome *, const Cells *, int64_t n, const int64_t *cell);

bool cell_done(const Plan *, Arena *, const char *dir, int64_t cell);
const char *cell_log(Arena *, const char *dir, const char *name, const char *ending); /* DIR/logs/NAME.ENDING */

/* The cost of all attempts of a cell: seconds together, the most bytes of one.  NaN: none is recorded. */
typedef struct {
    double seconds, cpu_seconds, peak_bytes;
    int64_t attempts, exit;
} Cost;
Status cell_cost(Cost *, Arena *, const char *dir, const char *name);

#endif
