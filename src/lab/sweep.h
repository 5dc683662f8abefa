/* Arms x rates x seeds on the toy models, for every comparison of methods. An arm is a method with its options,
 * trained at every learning rate from the kept model of every seed. The rate whose late loss is least (lab_best)
 * represents the arm.
 *
 *     Sweep s = {.size = sizeof(Outcome), .tune = tune, .user = &q};
 *     s.rates = run_list(r, "rates", s.scale);
 *     s.arm[s.arms++] = (SweepArm){lab_arm("lora"), &recipe};
 *     s.arm[s.arms++] = (SweepArm){lab_arm("prefix"), &recipe};
 *     SweepBest best[SWEEP_ARMS];
 *     TRY(lab_pretrain(r, &recipe, 1));
 *     TRY(sweep_run(r, &s, best));
 *     sweep_record(r, &s, best);                                     metrics, and a note of the rates that won
 *     const Outcome *o = best[1].outcome;                            one per seed
 */
#ifndef LAB_SWEEP_H
#define LAB_SWEEP_H

#include "lab/lab.h"

enum { SWEEP_ARMS = 96 };
typedef struct {
    LabArm arm; /* arm.name labels metrics and figures and is unique; arm.lr is multiplied by the scales */
    const LabModel *model;
    int tag; /* the experiment's own */
} SweepArm;

typedef struct { /* one job: a fresh copy of the pretrained model, an arm at one learning rate, a seed */
    Arena *run;
    Model *m;
    Hooks *hooks;
    const LabModel *model;
    LabArm arm;
    int index, tag; /* of the arm */
    int seed_index;
    uint64_t seed;
} SweepJob;
/* Attaches, trains and measures one job.  An outcome is plain bytes and begins with its LabResult, whose `last`
 * decides between the rates. */
typedef Status SweepTune(Run *, SweepJob *, void *outcome, void *user);
Status sweep_train(Run *, const SweepJob *, LabResult *); /* lab_tune, scored on the arm's target */
/* Of an arm that is trained until its watched value, a share, has reached arm.until: whether it has.  `last` becomes
 * the steps to it, so that the rate that gets there first counts; rates that do not come after all that do. */
bool sweep_match(LabResult *, const LabArm *);

typedef struct {
    SweepArm arm[SWEEP_ARMS];
    int arms, rates;
    double scale[RUN_LIST];
    SweepTune *tune; /* NULL: sweep_train */
    size_t size;     /* of an outcome; 0: that of LabResult */
    void *user;
} Sweep;

typedef struct {             /* an arm at its best learning rate; lives on the run's arena */
    const LabResult *result; /* one per seed; score[0] is the target's, or that of the first target */
    const void *outcome;     /* one per seed */
    const LabResult *all;    /* (rates, seeds) */
    double lr;
    bool edge; /* the best learning rate is the least or the greatest tried */
} SweepBest;
Status sweep_run(Run *, Sweep *, SweepBest *best);
/* Of outcomes (arms, rates, seeds) in `all`. */
void sweep_choose(Arena *, const Sweep *, const void *all, int seeds, SweepBest *best);

double sweep_loss(const SweepBest *, int seeds);  /* mean late loss; NaN: a seed diverged */
double sweep_exact(const SweepBest *, int seeds); /* mean exact match, in % */
double sweep_token(const SweepBest *, int seeds); /* mean token accuracy, in % */
void sweep_record(Run *, const Sweep *, const SweepBest *);

/* Of n arms, for fig_bars and fig_lines: mean over seeds with the range. */
typedef enum { SWEEP_LOSS, SWEEP_EXACT, SWEEP_TOKEN } SweepWhat;
Series sweep_series(Arena *, const SweepBest *, int n, int seeds, SweepWhat, const char *label);

/* Mean of values (points, seeds) at each point, with the range over seeds; a NaN stays one. */
Series seeds_series(Arena *, const double *values, int points, int seeds, const char *label);
double seeds_mean(const double *values, int n);
const char *seeds_text(Arena *, const double *values, int n); /* for tables: "77.6 (73.5 to 82.7)", mean and range */

/* One value a seed, as run_claim takes them. */
const double *sweep_values(Arena *, const SweepBest *, int seeds, SweepWhat);
const double *lab_values(Arena *, const LabResult *, int seeds, int task);  /* exact match, in % */
const double *seeds_less(Arena *, const double *a, const double *b, int n); /* a - b */
const double *seeds_most(Arena *, const double *a, const double *b, int n); /* the greater of both */

/* The words of a comma list of methods; E_CONFIG: too many, too long, or an unknown method. */
Status sweep_methods(char word[][24], int most, int *n, const char *list);

#endif
