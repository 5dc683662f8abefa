/* The runs below some directories, chosen by their settings and metrics.
 *
 *     --where lr=0.001 --where 'f1>0.6' --where verdict=supported
 *
 * A key is dir, experiment, command, status, verdict, a setting or a metric; "f1" also means "validation: f1". */
#ifndef RUNS_STOCK_H
#define RUNS_STOCK_H

#include "cli/command.h"
#include "run/result.h"

typedef struct {
    int n;
    RunResult *run;
} Stock;

/* E_IO: no run there; E_FORMAT: a file of one is broken. */
Status stock_read(Stock *, Arena *, int dirs, const char *const *dir);
/* Keeps the runs that meet every --where.  E_CONFIG: no run has the key; the nearest is named. */
Status stock_choose(Stock *, const Args *);
/* Sorts by a key, the smallest first, or with a minus before the key the largest.  Runs without it come last. */
Status stock_sort(Stock *, Arena *, const char *key);

/* The value of a run under a key.  `text` NULL: nothing.  `number` is NaN where the text is none. */
typedef struct {
    const char *text;
    double number;
    const RunMetric *metric; /* NULL: it is none */
} Held;
Held stock_held(const RunResult *, Arena *, const char *key);
Status stock_has(const Stock *, Arena *, const char *option, const char *key); /* E_CONFIG: no run has that key */

const char *stock_number(Arena *, double);              /* four digits; "" for NaN */
const char *stock_interval(Arena *, const RunMetric *); /* "0.71 [0.62, 0.80]" */
bool stock_done(const RunResult *);
/* "supported", or the status of a run that did not end or makes no claim. */
const char *stock_outcome(const RunResult *);
/* The metric by which a run is known: that of the validation, else the first; NULL: it has none. */
const RunMetric *stock_key_metric(const RunResult *, Arena *);

#endif
