/* Baselines of a probing set that need no encoder: the majority, the task's heuristics, a bag of words. */
#ifndef PROBES_FLOORS_H
#define PROBES_FLOORS_H

#include "probe/rules.h"

enum { MOST_FLOORS = 6 };
typedef struct {
    const char *name;
    bool rule;      /* one of the task's own */
    int32_t *guess; /* (N) */
    double accuracy[SPLITS];
} ProbeFloor;

/* The majority first, the bag of words last; names on an arena of their own, which a report outlives. */
Status probe_floors(ProbeFloor out[MOST_FLOORS], int *n, Arena *, Arena *names, const Dataset *, ProbeTask);
/* By validation accuracy; the majority where a task has no rule. */
const ProbeFloor *probe_best_rule(const ProbeFloor *, int n);

#endif
