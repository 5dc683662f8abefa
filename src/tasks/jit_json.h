/* The measures of a defect predictor by their names, and as JSON: the "validation" of a card. */
#ifndef TASKS_JIT_JSON_H
#define TASKS_JIT_JSON_H

#include "io/json.h"
#include "tasks/jit.h"

enum { JIT_MEASURES = 10 };
typedef struct {
    const char *name, *key; /* "AUC", "auc" */
} JitMeasure;
extern const JitMeasure JIT_MEASURE[JIT_MEASURES]; /* all are shares but the last, a count */

void jit_values(double out[JIT_MEASURES], const JitScores *); /* NaN: it has none */
const char *jit_missing(const JitScores *);                   /* why measures have no value; NULL: all have one */
cJSON *jit_scores_json(const JitScores *);
Status jit_scores_read(JitScores *out, const cJSON *, const char *path); /* the measures, and the counts */

#endif
