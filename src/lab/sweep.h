/* Arms x rates x seeds on the toy models.  Each arm is trained at every rate from the kept model of every seed; the
 * rate whose late loss is least (lab_best) speaks for the arm.
 *
 *     SweepArm arm[] = {{lab_arm("lora"), &recipe, 0}, {lab_arm("prefix"), &recipe, 0}};
 *     Sweep s = {.arm = arm, .arms = 2};
 *     s.rates = run_list(r, "rates", s.scale);
 *     SweepBest best[2];
 *     TRY(lab_pretrain(r, &recipe, 1));
 *     TRY(sweep_run(r, &s, best));
 *     sweep_record(r, &s, best);                                     metrics, and a note of the rates that won
 */
#ifndef LAB_SWEEP_H
#define LAB_SWEEP_H

#include "lab/lab.h"

enum { SWEEP_EXTRA = 96 };
typedef struct {
    LabArm arm; /* arm.name labels metrics and figures and is unique; arm.lr is multiplied by the scales */
    const LabModel *model;
    int tag; /* the experiment's own */
} SweepArm;
typedef struct {
    const SweepArm *arm;
    int arms, rates;
    double scale[RUN_LIST];
    /* How an arm attaches, NULL: as lab_attach does; and what else is measured after training, or NULL. */
    Status (*attach)(Model *, Hooks *, const SweepArm *, uint64_t seed, void *user);
    Status (*measure)(Arena *run, Model *, Hooks *, const SweepArm *, uint64_t seed, double extra[SWEEP_EXTRA],
                      void *user);
    void *user;
} Sweep;
typedef struct {                        /* an arm at its best rate; lives on the run's arena */
    const LabResult *result;            /* one per seed; score[0] is the target's, or that of the first target */
    const double (*extra)[SWEEP_EXTRA]; /* one per seed */
    const LabResult *all;               /* (rates, seeds) */
    double lr;
    bool edge; /* the best rate is the least or the greatest tried */
} SweepBest;
Status sweep_run(Run *, const Sweep *, SweepBest *out);

double sweep_loss(const SweepBest *, int seeds);  /* mean late loss; NaN: a seed diverged */
double sweep_exact(const SweepBest *, int seeds); /* mean exact match, in % */
double sweep_token(const SweepBest *, int seeds); /* mean tokens right, in % */
double sweep_extra(const SweepBest *, int seeds, int which);
void sweep_record(Run *, const Sweep *, const SweepBest *);

/* Of n arms, for fig_bars and fig_lines: mean over seeds with the range. */
typedef enum { SWEEP_LOSS, SWEEP_EXACT, SWEEP_TOKEN } SweepWhat;
Series sweep_series(Arena *, const SweepBest *, int n, int seeds, SweepWhat, const char *label);

#endif
