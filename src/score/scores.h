/* The table of vernier score on the terminal and as JSON. */
#ifndef SCORE_SCORES_H
#define SCORE_SCORES_H

#include "cli/command.h"
#include "io/json.h"
#include "metric/scores.h"

/* scores_compute() with the intervals that --draws and --seed want. */
Status scores_measure(Scores *, const Args *, int64_t n, const int32_t *stratum, StatsFn *, void *a, void *b);
void scores_print(const Scores *, const char *against);
void scores_json(const Scores *, cJSON *root); /* prints the root with the scores in it, and deletes it */

/* ---- tables of labels and predictions (score_own.c) */
Status score_classified(const Args *);
Status score_regressed(const Args *);

#endif
