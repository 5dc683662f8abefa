/* The results of the cells of a sweep: metrics, parameters, cost and state. */
#ifndef SWEEP_GATHER_H
#define SWEEP_GATHER_H

#include "sweep/cells.h"

typedef enum { STATE_DONE, STATE_FAILED, STATE_UNFINISHED, STATE_NONE } State;
const char *state_name(State);

typedef struct {
    const char *name;
    double value;
} Measured;

typedef struct {
    State state;
    Measured *metric;
    int metrics, room;
    double total, trainable; /* parameters; NaN: unknown */
    const char *verdict;     /* of an experiment, or NULL */
    Cost cost;
} Gathered;

Status gather(Gathered *out, const Plan *, Arena *, const char *dir); /* one for each cell */
double gathered(const Gathered *, const char *metric);                /* NaN: it has none */

#endif
