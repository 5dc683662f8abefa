/* Learners (tasks/learner.h) beside models: fitted to the training commits, with what validation chooses. */
#ifndef PROBES_LEARNERS_H
#define PROBES_LEARNERS_H

#include "run/experiment.h"
#include "tasks/learner.h"

typedef struct {
    const JitSet *train, *valid, *test;
    const JitSet *both; /* training and validation commits, to which it is fitted again; NULL: it is not */
    bool features;      /* the fourteen are read where every commit has them */
    bool as_published;
    uint64_t seed;
} LearnerFit;
/* Scores of the test commits, and the threshold of the largest F1 on validation.  The model lives in `run`. */
Status learner_scores(double *score, double *threshold, void **model, const LearnerFit *, const Learner *, Arena *run,
                      Arena *step);

/* ---- rows of a table, of every learner that the setting `baselines` names */
typedef struct {
    const char *name;
    double *at[5]; /* (seeds) F1, F1 at the best threshold, AUC, recall at 20 % effort, Popt */
    int seeds;
} LearnerRow;
enum { MOST_LEARNERS = 32 };
/* Words count twice, with the features and without, where every commit has them. */
Status learner_rows(LearnerRow row[MOST_LEARNERS], int *n, Run *, Arena *, const LearnerFit *);

#endif
