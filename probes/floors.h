/* Baselines that need no encoder: of a probing set the majority, the task's heuristics and a bag of words; of commit
 * messages the nearest training change and the most frequent message. */
#ifndef PROBES_FLOORS_H
#define PROBES_FLOORS_H

#include "change/change.h"
#include "metric/messages.h"
#include "num/stats.h"
#include "probe/beyond.h"
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
/* Bits of the label that the rules give, and the words beyond them; `words` has the logits of both, beyond which an
 * encoder's features are measured (probe/beyond.h). */
typedef struct {
    Beyond rules, words;
} ProbeKnown;
Status probe_known(ProbeKnown *, Arena *, const Dataset *, const ProbeFloor *, int floors);

/* By validation accuracy; the majority where a task has no rule. */
const ProbeFloor *probe_best_rule(const ProbeFloor *, int n);

typedef struct {
    bool nearest; /* the message of the nearest training change (NNGen); false: the most frequent one */
    const CodeChange *train, *test;
    int64_t n, m; /* of train and test */
} MessageFloor;
/* Metrics in %, and their 95 % by a bootstrap over changes; ci95 NULL: not wanted. */
Status message_floor(double metric[MESSAGE_METRICS], Interval *ci95, const MessageFloor *);

#endif
