/* Arms, each at several rates, over all seeds: what every comparison of methods on the toy models needs.
 *
 *     Arms s = {.arms = 2, .size = sizeof(Outcome), .tune = measure, .user = &q};
 *     s.rates = run_list(r, "rates", s.scale);
 *     s.arm[0] = (Arm){lab_arm("prefix"), &recipe}; ...
 *     TRY(arms_run(r, &s));
 *     const Outcome *best = arms_best(r, &s, 0, NULL);            one per seed, at the arm's best rate
 *
 * An outcome is plain bytes and begins with its LabResult: the rate with the lowest mean `last` counts.  Names of
 * arms are unique in the run; every job's arm is named ARM-FACTOR. */
#ifndef TOY_ARMS_H
#define TOY_ARMS_H

#include "lab/lab.h"

enum { ARMS_MOST = 48 };
typedef struct {
    LabArm arm;            /* its rate is the usual one: the sweep multiplies it */
    const LabModel *model; /* pretrained before */
} Arm;

typedef struct { /* one job: a fresh copy of the pretrained model, an arm at one rate, a seed */
    Arena *run;
    Model *m;
    Hooks *hooks;
    const LabModel *model;
    LabArm arm;
    int index, seed_index; /* of the arm; of the seed */
    uint64_t seed;
} ArmJob;
/* Attaches, trains and measures; NULL: lab_tune, scored on the arm's target. */
typedef Status ArmTune(Run *, ArmJob *, void *out, void *user);

typedef struct {
    Arm arm[ARMS_MOST];
    int arms, rates;
    double scale[RUN_LIST]; /* factors of the usual rates */
    size_t size;            /* of an outcome; 0: that of LabResult */
    ArmTune *tune;
    void *user;
    char *all; /* outcomes (arms, rates, seeds), on the arena of the run */
} Arms;

Status arms_run(Run *, Arms *);
const void *arms_best(Run *, const Arms *, int arm, int *rate); /* (seeds) outcomes; rate may be NULL */

/* The words of a comma list of methods; E_CONFIG: too many, too long, or a method that there is not. */
Status arms_words(char word[][24], int most, int *n, const char *list);

/* Mean of values (points, seeds) at each point, with the range over seeds. */
Series arms_series(Arena *, const double *values, int points, int seeds, const char *label);
double arms_mean(const double *values, int n);

#endif
