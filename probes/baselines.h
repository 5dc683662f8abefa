/* The baselines of the study on the same commits: every learner (tasks/learner.h) on every seed, and their cost.
 *
 *   defects    a learner is fitted to the training commits, chooses on the validation commits, is fitted to both, and
 *              scores the test commits, beside the date, the added lines, hashed words and, where the test file has
 *              them, the scores of a published model as a ceiling
 *   lines      of the defective test commits that the learner finds: its ranking of their lines beside a random
 *              order, that of the file, and the longest first
 *   messages   the nearest training change and the most frequent message, beside the published outputs re-scored
 *
 * Intervals and paired tests are bootstraps over commits within projects, with the mean over seeds in every draw. */
#ifndef PROBES_BASELINES_H
#define PROBES_BASELINES_H

#include "num/stats.h"
#include "probes/commits.h"
#include "tasks/jit_lines.h"
#include "tasks/learner.h"

enum { MOST_SYSTEMS = 24, MOST_BASELINE_SEEDS = 64 };
typedef struct {
    const char *name;
    const Learner *learner; /* NULL: scores from the test file */
    int seeds;
    const double *score[MOST_BASELINE_SEEDS]; /* (test commits) */
    const double *line[MOST_BASELINE_SEEDS];  /* (lines in all) NaN: not ranked; NULL: it ranks none */
    double threshold[MOST_BASELINE_SEEDS], seconds, megabytes;
    double auc[2]; /* plain and paired, mean over seeds */
    Interval ci[2];
} System;

typedef struct {
    Arena arena;
    JitSet set[SPLITS], both; /* both: train and valid */
    JitFaulty faulty;         /* the labelled lines of defective test commits; n 0: none */
    int64_t *commit;          /* (faulty.n) which test commit; -1: none */
    int64_t *first;           /* (faulty.n) of its lines among all */
    int64_t lines;
    System system[MOST_SYSTEMS];
    int systems, words; /* words: the index of the system that all are compared with */
    int32_t *project;   /* (test commits) */
    int draws;
} Baselines;

Status baselines_defects(Run *, Baselines *);
Status baselines_lines(Run *, Baselines *);
Status baselines_messages(Run *, Baselines *, const char *dir);

#endif
