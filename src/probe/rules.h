/* Heuristic baselines: rules that solve a probing task without a model of code.  Every table of probing accuracies
 * needs them for comparison.  A rule may be fitted on the training split and predicts every row. */
#ifndef PROBE_RULES_H
#define PROBE_RULES_H

#include "base/str.h"
#include "probe/probetext.h"

typedef struct {
    const char *name, *says; /* says: the properties that it uses, for a table's legend */
    ProbeTask task;          /* TASKS: any */
    /* guess[i]: a label id for every row.  E_MISMATCH: the labels are not the task's. */
    Status (*guess)(int32_t *guess, Arena *, const Dataset *);
} Rule;
extern const Rule RULES[]; /* ends with {0} */

/* Correct guesses over rows of the split; NaN when it is empty. */
double rule_accuracy(const Dataset *, const int32_t *guess, Split);
/* The label whose name is `name`; E_MISMATCH names the file and the labels of the task. */
Status rule_label(int32_t *out, const Dataset *, const char *name);

/* The input of the neighbours rule for segment p: its position and the tags on both sides, as one number below
 * LTP_PLACES. */
enum { LTP_PLACES = 4 * (MARKS + 1) * (MARKS + 1) };
int64_t ltp_place(const Segment *, int64_t n, int64_t p);

#endif
